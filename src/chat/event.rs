//! Everything that the server tells: replies to who asked, events to whom they concern.
//!
//! Floor 1. An event that goes to many holds nothing that differs between them, so that it is
//! encoded once per format.

use std::sync::Arc;
use std::time::Duration;

use crate::chat::closing::CloseCode;
use crate::clock::UnixMillis;
use crate::ids::{ConvId, Epoch, PublicId, Seq, Tag};

/// What conversations are called outside.
pub trait Addresses {
    /// The address of a conversation that an event names (`lobby`, `g:…`).
    fn address(&self, conv: ConvId) -> &str;
}

/// Somebody, as others see them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Person {
    /// Never changes and never returns.
    pub id: PublicId,
    /// As shown.
    pub name: Arc<str>,
}

/// One entry of a conversation's log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Whose log.
    pub conv: ConvId,
    /// Position, dense from 1.
    pub seq: Seq,
    /// How many messages the log holds up to and including this entry.
    pub n: u64,
    /// See [`Tag`].
    pub tag: Tag,
    /// When it was committed, by the server's wall clock.
    pub at: UnixMillis,
    /// Who did it.
    pub from: Person,
    /// What it is.
    pub body: Body,
}

/// What an entry says. More kinds will join; a client that does not know one moves its cursor on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Body {
    /// Somebody said something.
    Message {
        /// As it was typed, byte for byte.
        text: Arc<str>,
    },
}

/// The answer to a command that was not refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reply {
    /// To `hello`, or pushed when the upgrade named the guest.
    Welcome(Welcome),
    /// To `talk`: it is on disk, or in a lobby without history it has its place.
    Talked {
        /// Where.
        conv: ConvId,
        /// Its place.
        seq: Seq,
        /// Its tag.
        tag: Tag,
        /// When it was committed.
        at: UnixMillis,
        /// This key had been used before; this is what was answered then.
        duplicate: bool,
    },
    /// To `userList`.
    Users {
        /// Sorted by their folding.
        names: Vec<Arc<str>>,
        /// How many are online in all.
        total: u32,
        /// Whether there are names after these.
        more: bool,
    },
    /// To `history`.
    History(HistoryPage),
    /// To `ping`.
    Pong,
    /// To `typing`, `watch` and everything else that has nothing to say.
    Done,
}

/// See [`Reply::Welcome`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Welcome {
    /// Who the client is to everybody else.
    pub you: Person,
    /// Each conversation that the client is in.
    pub conversations: Vec<Standing>,
    /// How many are online.
    pub online: u32,
}

/// How a conversation stands at the moment of `welcome`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Standing {
    /// Which.
    pub conv: ConvId,
    /// Which life of it.
    pub epoch: Epoch,
    /// Its last entry.
    pub head: Seq,
    /// That entry's tag.
    pub tag: Tag,
    /// The oldest entry that is kept.
    pub floor: Seq,
    /// Whether entries outlive the server.
    pub durable: bool,
}

/// A run of entries, ascending.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HistoryPage {
    /// Whose.
    pub conv: ConvId,
    /// Ascending, without a gap.
    pub entries: Vec<Entry>,
    /// The oldest entry that is kept.
    pub floor: Seq,
    /// The last entry of the log.
    pub head: Seq,
}

/// What somebody is told without having asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// A log has grown.
    Entry(Arc<Entry>),
    /// Who came, who went, how many there are.
    Presence(Presence),
    /// Somebody types.
    Typing {
        /// Where.
        conv: ConvId,
        /// Who.
        from: Person,
    },
    /// Entries that will not be brought.
    Hole {
        /// Whose.
        conv: ConvId,
        /// The first one missing.
        from: Seq,
        /// The last one missing.
        to: Seq,
        /// Why.
        reason: HoleReason,
        /// Of the last one missing, where that is the head; 0 before it, where a cursor needs none.
        tag: Tag,
    },
    /// What the client holds of this log belongs to another life of it: forget it, and begin at
    /// this standing.
    Reset(Standing),
    /// The last event of a connection that the server ends.
    Closing {
        /// The code of the close frame that follows.
        code: CloseCode,
        /// When to come back, if at all; the client adds jitter of its own.
        retry_after: Option<Duration>,
    },
}

/// See [`Event::Presence`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Presence {
    /// Who came.
    pub online: Vec<Arc<str>>,
    /// Who went.
    pub offline: Vec<Arc<str>>,
    /// How many are online.
    pub total: u32,
    /// Changes were missed; ask `userList` again if you show it.
    pub refresh: bool,
}

/// See [`Event::Hole`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HoleReason {
    /// They are older than this conversation keeps.
    Retention,
    /// This conversation keeps nothing.
    NoHistory,
}
