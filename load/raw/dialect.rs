//! What is said to a server and how its answers are read: opaque messages, or Kith's pings.
//!
//! A ping is a message that comes back to its sender: the same books and the same windows hold for
//! it, and only the bytes differ. Knows no connection and no clock.

use kith::wire::Format;
use kith::wire::pb;
use kith::wire::pb::client_frame::Command;
use kith::wire::pb::server_frame::Body;
use prost::Message as _;

use super::marker::{self, Reading, Times};
use crate::args::Offer;
use crate::payload::{Run, Which};
use crate::person::{HELLO, answered, id};

/// How clients and server talk.
pub trait Dialect {
    /// What the request asks for.
    fn offer(&self) -> &Offer;

    /// What a client says before it is in; nothing, if it is in as soon as it is connected.
    fn hello(&self, client: u32, into: &mut Vec<u8>);

    /// Appends a message.
    fn say(&self, which: Which, times: Times, into: &mut Vec<u8>);

    /// Reads what a client was told.
    fn read(&self, client: u32, bytes: &[u8]) -> Told;
}

/// What a client was told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Told {
    /// It is in.
    Welcome,
    /// A message, if it is one.
    Message(Reading),
    /// One that came back without saying when it was sent.
    Answer(Which),
    /// One that will not come back.
    Refused(Which, pb::Error),
    /// It cannot come in, or this is not what such a server says.
    Wrong(String),
    /// Something else, which is fine.
    Other,
}

/// Opaque messages, in binary frames.
#[derive(Clone, Debug)]
pub struct Opaque {
    /// The run.
    pub run: Run,
    /// Bytes of a message.
    pub size: usize,
    /// What is asked for.
    pub offer: Offer,
}

/// Kith's `ping`, and its `pong`.
#[derive(Clone, Debug)]
pub struct Pings {
    run: Run,
    offer: Offer,
}

impl Dialect for Opaque {
    fn offer(&self) -> &Offer {
        &self.offer
    }

    fn hello(&self, _: u32, _: &mut Vec<u8>) {}

    fn say(&self, which: Which, times: Times, into: &mut Vec<u8>) {
        marker::write(self.run, which, times, self.size, into);
    }

    fn read(&self, _: u32, bytes: &[u8]) -> Told {
        Told::Message(marker::read(self.run, bytes, self.size))
    }
}

impl Pings {
    /// Of guests who are named after this run.
    pub fn new(run: Run) -> Self {
        let offer = Offer {
            subprotocol: Some(Format::Proto.subprotocol().to_owned()),
            fields: Vec::new(),
        };
        Self { run, offer }
    }
}

impl Dialect for Pings {
    fn offer(&self) -> &Offer {
        &self.offer
    }

    fn hello(&self, client: u32, into: &mut Vec<u8>) {
        let hello = pb::Hello {
            name: self.run.name(client),
            ..pb::Hello::default()
        };
        command(HELLO, Command::Hello(hello), into);
    }

    fn say(&self, which: Which, _: Times, into: &mut Vec<u8>) {
        command(id(which), Command::Ping(pb::Ping {}), into);
    }

    fn read(&self, client: u32, bytes: &[u8]) -> Told {
        let Ok(frame) = pb::ServerFrame::decode(bytes) else {
            let why = "it sends frames that are not those of the protocol";
            return Told::Wrong(why.to_owned());
        };
        match (frame.body, answered(client, frame.id)) {
            (Some(Body::Pong(_)), Some(which)) => Told::Answer(which),
            (Some(Body::Welcome(_)), _) => Told::Welcome,
            (Some(Body::Error(error)), Some(which)) => Told::Refused(which, error),
            (Some(Body::Error(error)), None) if frame.id == HELLO => {
                let pb::Error { code, message, .. } = error;
                Told::Wrong(format!("it answered `hello` with {code}: {message}"))
            }
            _ => Told::Other,
        }
    }
}

fn command(id: u32, command: Command, into: &mut Vec<u8>) {
    let frame = pb::ClientFrame {
        id,
        key: Vec::new(),
        command: Some(command),
    };
    frame.encode(into).expect("a Vec takes all of it");
}
