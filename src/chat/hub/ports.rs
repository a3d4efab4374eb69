//! What goes into the hub, and what comes out of it.
//!
//! Floor 1. Only words: the whole of what the hub and the event loop say to each other.

use std::time::Duration;

use crate::chat::bucket::{Address, Rate};
use crate::chat::closing::CloseCode;
use crate::chat::command::Command;
use crate::chat::durable::{Read, Write, WriteResult};
use crate::chat::event::{Event, HistoryPage, Reply};
use crate::chat::refusal::Refusal;
use crate::ids::{ConnId, ConvId, Key, PublicId, Seq, Ticket};

/// What an operator may set of an app.
#[derive(Clone, Copy, Debug, Default)]
pub struct Settings {
    /// Messages of one session.
    pub talk: Rate,
    /// Commands of one session.
    pub commands: Rate,
    /// Messages of one address.
    pub address_talk: Rate,
}

/// What happened.
#[derive(Debug)]
pub enum Input {
    /// A connection was upgraded.
    Opened {
        /// Which.
        conn: ConnId,
        /// From where.
        address: Address,
        /// Random; who this will be, should it sign in as somebody new.
        fresh: PublicId,
        /// The name that the upgrade carried.
        name: Option<String>,
    },
    /// It asks something.
    Asked {
        /// Which connection.
        conn: ConnId,
        /// Its own number for the command.
        request: u32,
        /// Its key, if any.
        key: Option<Key>,
        /// What.
        command: Command,
    },
    /// It sent what is no command, or a secret that is none.
    Unfit {
        /// Which connection.
        conn: ConnId,
        /// Its own number for the command, as far as it could be read.
        request: u32,
        /// What is wrong with it.
        refusal: Refusal,
    },
    /// It is gone, for whatever reason.
    Closed {
        /// Which.
        conn: ConnId,
    },
    /// It reads too slowly: its outbox is over the soft limit.
    Lagging {
        /// Which.
        conn: ConnId,
    },
    /// What [`Output::AwaitDrain`] waited for.
    Drained {
        /// Which.
        conn: ConnId,
    },
    /// A write was done, or was not.
    Written {
        /// Whose.
        ticket: Ticket,
        /// What came of it.
        result: WriteResult,
    },
    /// A read was done, or was not.
    Found {
        /// Whose.
        ticket: Ticket,
        /// What came of it.
        result: Result<Looked, Refusal>,
    },
    /// The server stops: take no more, finish what is under way, send everybody home.
    Stop,
    /// It stops without waiting for the store any longer: what was not answered stays unknown.
    StopNow,
}

/// What the hub must know of what was read. The entries of a page stay with the caller.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Looked {
    /// A run of entries from `first` to `last`; none if `last < first`.
    Page {
        /// The first entry.
        first: Seq,
        /// The last entry.
        last: Seq,
        /// The oldest entry that is kept.
        floor: Seq,
    },
    /// Whether the tag is that entry's.
    Cursor {
        /// It is.
        matches: bool,
    },
    /// Somebody scrolls back.
    History(HistoryPage),
}

/// What is to be done.
#[derive(Debug, PartialEq, Eq)]
pub enum Output {
    /// Answer a command.
    Reply {
        /// Whom.
        to: ConnId,
        /// Which command.
        request: u32,
        /// With what.
        reply: Reply,
    },
    /// Refuse a command.
    Refuse {
        /// Whom.
        to: ConnId,
        /// Which command.
        request: u32,
        /// Why.
        refusal: Refusal,
    },
    /// Tell one.
    Push {
        /// Whom.
        to: ConnId,
        /// What.
        event: Event,
    },
    /// Tell everybody in [`live`](super::Hub::live) of this conversation.
    FanOut {
        /// Whose listeners.
        conv: ConvId,
        /// But not this one.
        except: Option<ConnId>,
        /// What.
        event: Event,
    },
    /// Send these entries of the page that was just found.
    SendPage {
        /// Whom.
        to: ConnId,
        /// Whose.
        conv: ConvId,
        /// The first one.
        from: Seq,
        /// The last one.
        upto: Seq,
    },
    /// Give this to the store; [`Input::Written`] comes back, also when the store is too busy to
    /// take it.
    Submit {
        /// To be given back.
        ticket: Ticket,
        /// What.
        write: Write,
    },
    /// Look this up; [`Input::Found`] comes back.
    Fetch {
        /// To be given back.
        ticket: Ticket,
        /// What.
        read: Read,
    },
    /// Say [`Input::Drained`] once less than `OUTBOX_LOW` is queued for this connection.
    AwaitDrain {
        /// Which.
        conn: ConnId,
    },
    /// It has a name now; the deadline for that is over.
    SignedIn {
        /// Which.
        conn: ConnId,
    },
    /// Read no more of it for now.
    Pause {
        /// Which.
        conn: ConnId,
    },
    /// Read on.
    Resume {
        /// Which.
        conn: ConnId,
    },
    /// End it, after what is queued.
    Close {
        /// Which.
        conn: ConnId,
        /// With what.
        code: CloseCode,
    },
    /// End all connections, also those without a name, after what is queued.
    CloseAll {
        /// With what.
        code: CloseCode,
        /// When to come back.
        retry_after: Option<Duration>,
    },
}
