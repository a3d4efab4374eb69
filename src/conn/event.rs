//! What a connection tells whoever drives it.
//!
//! Floor 2, part of `conn`. Values only.

use crate::chat::closing::CloseCode;
use crate::conn::request::Request;
use crate::conn::upgrade::Upgrade;

/// What came of the input.
#[derive(Debug)]
pub enum Event {
    /// A complete HTTP request. Owed a `Conn::respond`.
    Request(Box<Request>),
    /// A WebSocket that may be granted. Owed a `Conn::accept` or `Conn::refuse`.
    Upgrade(Box<Upgrade>),
    /// A text message. Give it to [`Shared::reuse`](super::Shared::reuse) when you are done with it,
    /// and the next one costs no allocation.
    Text(String),
    /// A binary message. The same holds.
    Binary(Vec<u8>),
    /// The peer has read everything that was queued before this many bytes were.
    Pong(u64),
    /// The peer ended the WebSocket, or has to be taken as having done so. Comes once, and not at
    /// all after `Conn::close` or [`Due::Closed`]; nothing comes after it.
    Closed(Closed),
}

/// How a WebSocket ended that was not ended by us.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Closed {
    /// With a close frame, and the code in it.
    ByPeer(Option<u16>),
    /// With a frame that broke a rule. The close frame with this code is queued.
    Broken(CloseCode),
    /// Without a word.
    Lost,
}

/// What became of a frame.
#[must_use]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Push {
    /// It is queued.
    Queued,
    /// It is queued, and with it more than the soft limit waits.
    Soft,
    /// It is not queued, because the hard limit would be crossed: cut the connection.
    Full,
    /// It is not queued, because this is no open WebSocket (any more).
    Closed,
}

/// What is to be done with the socket.
#[must_use]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Nothing special: write what waits, read while `Conn::wants_input`.
    Keep,
    /// Everything is written: shut down the sending side, then say `Conn::handle_shutdown`.
    Shutdown,
    /// Drop it.
    Drop,
}

/// What a deadline came to.
#[must_use]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Due {
    /// Nothing that anybody else needs to know of.
    Kept,
    /// A WebSocket was closed with this code.
    Closed(CloseCode),
}
