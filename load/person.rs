//! One client of the swarm: its connection, who it is to the server, and what it has to say.
//!
//! Speaks the protocol's protobuf. Holds what a well-behaved client keeps over a lost connection
//! (guest id, resume secret, what was not answered yet); what it heard is in the ledger's books.

use std::collections::VecDeque;

use kith::clock::Moment;
use kith::conn::Shared;
use kith::conn::client::Client;
use kith::conn::frame::{Kind, append_masked};
use kith::ids::Entropy;
use kith::wire::pb;
use prost::Message as _;

use crate::counting::Counter;
use crate::payload::Which;

/// The id of `hello`; what it says has the ids after that.
pub const HELLO: u32 = 1;
const FIRST_TALK: u32 = 2;

/// One client.
#[derive(Debug, Default)]
pub struct Person {
    /// Its connection, while it has one or asks for one.
    pub conn: Option<Client>,
    /// How far it is with that.
    pub stage: Stage,
    /// What the last `welcome` said: guest id and resume secret.
    pub identity: Option<(String, String)>,
    /// The life of the log that it follows.
    pub epoch: String,
    /// Since when it has been in without the swarm having cut it.
    pub in_since: Moment,
    /// Sent and not answered; all of it is sent again on another connection.
    pub unanswered: VecDeque<Which>,
    /// Due, and not sent yet.
    pub waiting: VecDeque<Which>,
    /// The swarm cut it, and it is not back yet.
    pub cut: bool,
    /// Set if it only counts, once it is in.
    pub counter: Option<Counter>,
    /// It was among those whom a break threw out, and has not come back from it.
    pub missed: bool,
    /// Whether it is on the list of those who have something to write.
    pub dirty: bool,
}

/// How far a client is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Stage {
    /// It has no connection, and nobody has asked for one.
    #[default]
    Out,
    /// On its way in, since then.
    Coming(Moment),
    /// `welcome` came.
    In,
}

impl Person {
    /// Queues a frame.
    pub fn push(&mut self, frame: &pb::ClientFrame, shared: &mut Shared, entropy: &mut Entropy) {
        if let Some(conn) = &mut self.conn {
            let mask = entropy.u32().to_be_bytes();
            conn.push(&masked(frame, mask), shared);
        }
    }

    /// The field of the request by which it comes in for the first time: the name alone.
    pub fn claim(&self, name: &str) -> Option<(String, String)> {
        let first = self.identity.is_none();
        first.then(|| ("username".to_owned(), name.to_owned()))
    }

    /// What it says to get back in, with the proof that the name is its own, behind what it has
    /// heard: `(seq, tag)`, if it knows. Nothing the first time, when the request said it all.
    pub fn hello(&self, name: &str, cursor: Option<(u64, u32)>) -> Option<pb::ClientFrame> {
        let (guest_id, resume_secret) = self.identity.clone()?;
        let cursor = cursor.map(|(seq, tag)| pb::Cursor {
            conversation: "lobby".to_owned(),
            epoch: self.epoch.clone(),
            seq,
            tag,
        });
        let hello = pb::Hello {
            name: name.to_owned(),
            guest_id,
            resume_secret,
            cursors: cursor.into_iter().collect(),
        };
        Some(greeting(hello))
    }
}

/// `hello` as a frame.
pub fn greeting(hello: pb::Hello) -> pb::ClientFrame {
    pb::ClientFrame {
        id: HELLO,
        key: Vec::new(),
        command: Some(pb::client_frame::Command::Hello(hello)),
    }
}

/// A frame as it goes over the wire.
pub fn masked(frame: &pb::ClientFrame, mask: [u8; 4]) -> Vec<u8> {
    let mut bytes = Vec::new();
    append_masked(&mut bytes, Kind::Binary, mask, |out| {
        frame.encode(out).expect("a Vec takes all of it");
    });
    bytes
}

/// A message as a frame.
pub fn talk(which: Which, key: [u8; 16], text: String) -> pb::ClientFrame {
    pb::ClientFrame {
        id: id(which),
        key: key.to_vec(),
        command: Some(pb::client_frame::Command::Talk(pb::Talk {
            to: String::new(),
            text,
        })),
    }
}

/// The id of a message.
pub const fn id(which: Which) -> u32 {
    which.number.saturating_add(FIRST_TALK)
}

/// The message that an answer of this id is about, if it is about one of this client's.
pub fn answered(sender: u32, id: u32) -> Option<Which> {
    let number = id.checked_sub(FIRST_TALK)?;
    Some(Which { sender, number })
}
