//! One connection: bytes in, events and bytes out.
//!
//! Floor 2. HTTP/1.1 and WebSocket on one port. No socket, no clock, no thread and no log in here:
//! the event loop hands in what it read and what time it is, takes events, and writes what the
//! outbox shows. Knows nothing of commands, names and conversations.
//!
//! ```text
//!            poll_event                              respond accept refuse push close
//! bytes ---> held -+-> Http ------- Event::Request ----> respond ---+
//!                  |    |   head    Event::Upgrade ----> accept  ---+--> Outbox ---> bytes
//!                  |    |   request                      refuse  ---+      |  slices
//!                  |    v accept                                    |      |  wrote
//!                  +-> WebSocket -- Event::Text|Binary|Pong         |
//!                  |    |  boundary Event::Closed       push, close-+
//!                  |    v  + a context while a message is under way
//!                  +-> Ending       the last bytes, FIN, the peer's FIN  (Verdict)
//! ```
//!
//! The rules of the call, for whoever drives it:
//!
//! 1. After reading: [`Conn::poll_event`] until `None` (or until enough), then [`Conn::hold`] what
//!    is left of the input. While [`Conn::wants_input`] says no, nothing is read from the socket.
//! 2. An [`Event::Request`] is owed a [`Conn::respond`], an [`Event::Upgrade`] a [`Conn::accept`]
//!    or a [`Conn::refuse`]. Until then `poll_event` gives nothing more.
//! 3. After any of these, after the end of the input, and after writing: while
//!    [`Conn::wants_poll`] says so, there is something to poll for without any new input.
//! 4. After anything that may have queued bytes: write, and tell [`Conn::wrote`] (also if nothing
//!    could be written). After that, do what [`Conn::verdict`] says.
//! 5. At [`Conn::deadline`], which may have moved after any call: [`Conn::handle_deadline`].

mod advance;
mod boundary;
mod buffers;
pub mod client;
mod deadlines;
mod event;
pub mod frame;
pub mod head;
pub mod outbox;
mod request;
pub mod response;
mod segments;
mod shared;
pub mod upgrade;
mod websocket;
mod whole;

use std::fmt;
use std::io::IoSlice;

pub use self::event::{Closed, Due, Event, Push, Verdict};
pub use self::frame::{ForMany, Frame};
pub use self::outbox::Outbox;
pub use self::request::Request;
pub use self::response::Response;
pub use self::segments::Run;
pub use self::shared::{ConnConfig, Shared};
pub use self::upgrade::{OriginPolicy, Upgrade};

use self::deadlines::Deadlines;
use self::frame::Control;
use self::request::{Http, Owed};
use self::response::Then;
use self::websocket::{Talk, WebSocket};
use crate::chat::closing::CloseCode;
use crate::clock::{Moment, Now};
use crate::limits::{CLOSE_WAIT, HANDSHAKE_WAIT, KEEP_ALIVE_WAIT, SIGN_IN_WAIT, WRITE_PIECES};

/// One connection, from accept to the end.
///
/// `handle_*` takes what happened, [`Conn::poll_event`] gives what came of it, verbs (`respond`,
/// `push`, `close`) are commands, the rest are getters. Idle after the upgrade it owns no heap.
pub struct Conn {
    outbox: Outbox,
    stage: Stage,
    /// Input that was not looked at yet; comes before all other input.
    held: Option<Box<Held>>,
    deadlines: Deadlines,
    input: Input,
}

enum Stage {
    Http(Box<Http>),
    WebSocket(WebSocket),
    /// Our last word is queued; what still comes is read and thrown away, this many bytes of it.
    Ending {
        sending: Sending,
        patience: u32,
    },
    /// Nothing more can be said or heard.
    Gone,
}

/// Our side of the stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sending {
    Open,
    ShutDown,
}

/// The peer's side of the stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Input {
    Open,
    Ended,
}

#[derive(Default)]
struct Held {
    bytes: Vec<u8>,
    from: usize,
}

impl Conn {
    /// A connection that was accepted just now.
    pub fn new(now: Now) -> Self {
        Self {
            outbox: Outbox::default(),
            stage: Stage::Http(Box::default()),
            held: None,
            deadlines: Deadlines::new(now.mono, now.mono.after(HANDSHAKE_WAIT)),
            input: Input::Open,
        }
    }

    /// Goes on through what was held, then through `input`, up to the next event. `None` means that
    /// more input, or an answer, is needed; [`Conn::hold`] what is left of `input` then.
    #[must_use]
    pub fn poll_event(
        &mut self,
        input: &mut &[u8],
        shared: &mut Shared,
        now: Now,
    ) -> Option<Event> {
        if !input.is_empty() {
            self.deadlines.heard(now.mono);
            if let Stage::WebSocket(socket) = &mut self.stage {
                socket.pings = 0;
            }
        }
        if let Some(mut held) = self.held.take() {
            let mut rest = &held.bytes[held.from..];
            let event = self.advance(&mut rest, shared, now);
            if !rest.is_empty() {
                held.from = held.bytes.len() - rest.len();
                self.held = Some(held);
                return event;
            }
            if event.is_some() {
                return event;
            }
        }
        self.advance(input, shared, now)
    }

    /// Keeps input that was not looked at yet, for the next [`Conn::poll_event`].
    pub fn hold(&mut self, rest: &[u8]) {
        if rest.is_empty() || matches!(self.stage, Stage::Ending { .. } | Stage::Gone) {
            return;
        }
        let held = self.held.get_or_insert_default();
        held.bytes.extend_from_slice(rest);
    }

    /// Whether the socket should be read. As long as the loop obeys, no more than one read buffer
    /// is ever held.
    pub const fn wants_input(&self) -> bool {
        self.held.is_none()
            && matches!(self.input, Input::Open)
            && !matches!(self.stage, Stage::Gone)
    }

    /// Whether [`Conn::poll_event`] may give something without new input.
    pub fn wants_poll(&self, shared: &Shared) -> bool {
        let more = self.held.is_some() || self.input == Input::Ended;
        match &self.stage {
            Stage::Http(http) => more && !http.owes() && !self.is_backed_up(shared),
            Stage::WebSocket(_) => more,
            Stage::Ending { .. } | Stage::Gone => false,
        }
    }

    /// The peer closed its sending side. [`Conn::poll_event`] says what that means once it is
    /// through with what was held.
    pub const fn handle_eof(&mut self) {
        self.input = Input::Ended;
    }

    /// The socket failed: nothing can be read or written any more. What was held still counts.
    pub fn handle_failure(&mut self, shared: &mut Shared) {
        self.input = Input::Ended;
        self.outbox.clear(&mut shared.buffers);
        if !matches!(self.stage, Stage::WebSocket(_)) {
            self.drop_all(shared);
        }
    }

    /// Answers an [`Event::Request`].
    pub fn respond(&mut self, response: &Response, shared: &mut Shared, now: Now) {
        let Stage::Http(http) = &mut self.stage else {
            return;
        };
        let Some(Owed::Response { part, then }) = http.settle() else {
            return;
        };
        let buffers = &mut shared.buffers;
        response.write(part, then, now.wall, &mut self.outbox, buffers);
        match then {
            Then::KeepAlive => self.deadlines.stage_until(now.mono.after(KEEP_ALIVE_WAIT)),
            Then::Close => self.end(now),
        }
    }

    /// Grants an [`Event::Upgrade`].
    pub fn accept(&mut self, subprotocol: Option<&str>, shared: &mut Shared, now: Now) {
        let Stage::Http(http) = &mut self.stage else {
            return;
        };
        let Some(Owed::Upgrade { accept }) = http.settle() else {
            return;
        };
        upgrade::write_accept(&accept, subprotocol, &mut self.outbox, &mut shared.buffers);
        self.stage = Stage::WebSocket(WebSocket::new());
        self.deadlines.heard(now.mono);
        self.deadlines.stage_until(now.mono.after(SIGN_IN_WAIT));
    }

    /// Refuses an [`Event::Upgrade`]; the connection ends with that.
    pub fn refuse(&mut self, response: &Response, shared: &mut Shared, now: Now) {
        if matches!(&self.stage, Stage::Http(http) if http.owes()) {
            self.last_word(response, shared, now);
        }
    }

    /// Ends the wait for a name.
    pub const fn signed_in(&mut self) {
        if let Stage::WebSocket(socket) = &mut self.stage
            && matches!(socket.talk, Talk::Anonymous)
        {
            socket.talk = Talk::SignedIn;
            self.deadlines.stage_unbounded();
        }
    }

    /// Whether this is a WebSocket to which frames can be pushed.
    #[inline]
    pub fn is_open(&self) -> bool {
        matches!(&self.stage, Stage::WebSocket(socket) if socket.talk != Talk::Closing)
    }

    /// Queues a frame.
    #[inline]
    pub fn push(&mut self, frame: &Frame<'_>, shared: &mut Shared) -> Push {
        let push = self.room_for(frame.bytes().len(), shared);
        if matches!(push, Push::Queued | Push::Soft) {
            self.outbox.push(frame, &mut shared.buffers);
        }
        push
    }

    /// Queues a frame that many get.
    #[inline]
    pub fn push_one_of_many(&mut self, frame: &ForMany<'_>, shared: &mut Shared) -> Push {
        let run = match frame {
            ForMany::Run(run) => *run,
            ForMany::Frame(frame) => return self.push(frame, shared),
        };
        let push = self.room_for(run.len(), shared);
        if matches!(push, Push::Queued | Push::Soft) {
            self.outbox.follow(run, &mut shared.buffers);
        }
        push
    }

    #[inline]
    fn room_for(&self, count: usize, shared: &Shared) -> Push {
        if !self.is_open() {
            return Push::Closed;
        }
        let len = self.outbox.len() + count;
        if len > shared.config.outbox_hard {
            Push::Full
        } else if len > shared.config.outbox_soft {
            Push::Soft
        } else {
            Push::Queued
        }
    }

    /// Queues a close frame and waits for the peer's; nothing that the peer still sends is given
    /// out. Without a WebSocket the connection just ends.
    pub fn close(&mut self, code: CloseCode, shared: &mut Shared, now: Now) {
        match &mut self.stage {
            Stage::WebSocket(socket) if socket.talk != Talk::Closing => {
                socket.talk = Talk::Closing;
                let close = Control::close(code);
                self.outbox.append(close.bytes(), &mut shared.buffers);
                self.deadlines.stage_until(now.mono.after(CLOSE_WAIT));
            }
            Stage::Http(_) => self.end(now),
            Stage::WebSocket(_) | Stage::Ending { .. } | Stage::Gone => {}
        }
    }

    /// What waits to be written.
    pub const fn outbox(&self) -> &Outbox {
        &self.outbox
    }

    /// All of it, if it stands in one piece.
    #[inline]
    pub fn whole<'a>(&'a self, shared: &'a Shared) -> Option<&'a [u8]> {
        self.outbox.whole(&shared.buffers.segments)
    }

    /// The first pieces of it, for one `writev`; returns how many there are.
    pub fn slices<'a>(
        &'a self,
        shared: &'a Shared,
        into: &mut [IoSlice<'a>; WRITE_PIECES],
    ) -> usize {
        self.outbox.slices(&shared.buffers.segments, into)
    }

    /// An attempt to write what [`Conn::whole`] or [`Conn::slices`] showed took this many bytes, perhaps none.
    pub fn wrote(&mut self, taken: usize, shared: &mut Shared, now: Now) {
        self.outbox.advance(taken, &mut shared.buffers);
        self.deadlines.wrote(taken, self.outbox.len(), now.mono);
        let ending = match &self.stage {
            Stage::WebSocket(socket) => socket.talk == Talk::Closing,
            Stage::Ending { .. } => true,
            Stage::Http(_) | Stage::Gone => false,
        };
        if taken > 0 && ending {
            // What is queued before the end may take as long as it is being read.
            self.deadlines.stage_until(now.mono.after(CLOSE_WAIT));
        }
    }

    /// The connection is about to be dropped: what waits goes back to where it is shared. Whatever
    /// is dropped without this takes its share of memory with it.
    pub fn discard(&mut self, shared: &mut Shared) {
        self.outbox.clear(&mut shared.buffers);
    }

    /// The sending side of the socket is shut down.
    pub const fn handle_shutdown(&mut self) {
        if let Stage::Ending { sending, .. } = &mut self.stage {
            *sending = Sending::ShutDown;
        }
    }

    /// What is to be done with the socket.
    pub fn verdict(&self) -> Verdict {
        match &self.stage {
            Stage::Http(_) | Stage::WebSocket(_) => Verdict::Keep,
            Stage::Ending { .. } if !self.outbox.is_empty() => Verdict::Keep,
            Stage::Ending { .. } if self.input == Input::Ended => Verdict::Drop,
            Stage::Ending { sending, .. } => match sending {
                Sending::Open => Verdict::Shutdown,
                Sending::ShutDown => Verdict::Keep,
            },
            Stage::Gone => Verdict::Drop,
        }
    }

    /// When [`Conn::handle_deadline`] has to be called, if nothing happens before.
    pub fn deadline(&self) -> Option<Moment> {
        match &self.stage {
            Stage::WebSocket(socket) if socket.talk == Talk::SignedIn => {
                self.deadlines.with_pings(socket.pings)
            }
            Stage::WebSocket(socket) if socket.talk == Talk::Closing => self.deadlines.stage(),
            Stage::Http(_) | Stage::WebSocket(_) => self.deadlines.without_pings(),
            Stage::Ending { .. } => self.deadlines.stage(),
            Stage::Gone => None,
        }
    }
}

/// Without any byte that came or goes: there are names, words and tokens among them.
impl fmt::Debug for Conn {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let stage = match &self.stage {
            Stage::Http(_) => "http",
            Stage::WebSocket(_) => "websocket",
            Stage::Ending { .. } => "ending",
            Stage::Gone => "gone",
        };
        out.debug_struct("Conn")
            .field("stage", &stage)
            .field("outbox", &self.outbox)
            .field("deadline", &self.deadline())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const UPGRADE: &[u8] = b"GET /ws HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\n\
        Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
        Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
    /// "hello", masked with zeros.
    const HELLO: &[u8] = b"\x81\x85\0\0\0\0hello";

    /// Whether nothing but the struct itself is allocated for a connection.
    fn owns_no_heap(conn: &Conn) -> bool {
        conn.held.is_none()
            && conn.outbox.owns_no_heap()
            && match &conn.stage {
                Stage::WebSocket(socket) => !socket.holds_context(),
                Stage::Http(_) => false,
                Stage::Ending { .. } | Stage::Gone => true,
            }
    }

    #[test]
    fn an_idle_upgraded_connection_is_128_bytes_and_owns_no_heap() {
        assert!(size_of::<Conn>() <= 128, "{}", size_of::<Conn>());
        let now = Now::default();
        let mut shared = Shared::new(ConnConfig::default());
        let mut conn = Conn::new(now);
        // Byte by byte, so that the head has been gathered in a buffer.
        for byte in UPGRADE.chunks(1) {
            let event = conn.poll_event(&mut &*byte, &mut shared, now);
            assert_eq!(event.is_some(), conn.deadline().is_none());
        }
        conn.accept(None, &mut shared, now);
        conn.signed_in();
        assert!(!owns_no_heap(&conn), "the 101 waits");
        conn.wrote(conn.outbox().len(), &mut shared, now);
        assert!(owns_no_heap(&conn));

        // A message in two pieces, answered.
        assert!(
            conn.poll_event(&mut &HELLO[..3], &mut shared, now)
                .is_none()
        );
        assert!(!owns_no_heap(&conn), "a message is under way");
        let event = conn.poll_event(&mut &HELLO[3..], &mut shared, now);
        assert!(matches!(event, Some(Event::Text(text)) if &*text == "hello"));
        assert_eq!(
            conn.push(&Frame::Copied(b"\x81\x00"), &mut shared),
            Push::Queued
        );
        conn.wrote(2, &mut shared, now);
        assert!(owns_no_heap(&conn));

        // Held, and taken up again.
        conn.hold(HELLO);
        assert!(!owns_no_heap(&conn));
        assert!(conn.poll_event(&mut &[][..], &mut shared, now).is_some());
        assert!(owns_no_heap(&conn));
    }
}
