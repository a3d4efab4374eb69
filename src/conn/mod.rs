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
//! 2. An [`Event::Request`] is owed a [`Conn::respond`], an [`Event::Upgrade`] an [`Conn::accept`]
//!    or [`Conn::refuse`]. Until then `poll_event` gives nothing more; after it, call it again with
//!    no input, because what was held may go on.
//! 3. After anything that may have queued bytes: write, and tell [`Conn::wrote`]. After that, do
//!    what [`Conn::verdict`] says.
//! 4. At [`Conn::deadline`], which may have moved after any call: [`Conn::handle_deadline`].

mod boundary;
mod deadlines;
pub mod frame;
pub mod head;
pub mod outbox;
pub mod request;
pub mod response;
pub mod upgrade;
mod websocket;

use bytes::Bytes;
pub use tungstenite::Utf8Bytes;

use crate::chat::closing::CloseCode;
use crate::clock::{Moment, Now};
use crate::limits::{
    BODY_BYTES, CLOSE_WAIT, FRAGMENTS, FRAME_BYTES, HANDSHAKE_WAIT, KEEP_ALIVE_WAIT, LINGER_BYTES,
    OUTBOX_HARD, OUTBOX_SOFT, SIGN_IN_WAIT,
};

use deadlines::{Deadlines, Silence};
use frame::{Control, Frame};
use outbox::{Buffers, Outbox};
use request::{Http, Owed};
use response::{Part, Response, Then};
use websocket::{Contexts, Talk, WebSocket};

pub use request::Request;
pub use upgrade::{OriginPolicy, Upgrade};

/// One connection, from accept to the end.
///
/// `handle_*` takes what happened, [`Conn::poll_event`] gives what came of it, verbs (`respond`,
/// `push`, `close`) are commands, the rest are getters. Idle after the upgrade it owns no heap.
#[derive(Debug)]
pub struct Conn {
    outbox: Outbox,
    stage: Stage,
    /// Input that was not looked at yet; comes before all other input.
    held: Option<Box<Held>>,
    deadlines: Deadlines,
    /// Whether the peer will send more.
    input: Input,
}

/// What all connections of one loop share.
#[derive(Debug)]
pub struct Shared {
    config: ConnConfig,
    contexts: Contexts,
    buffers: Buffers,
}

/// The bounds that an operator may move, and whose pages may connect.
#[derive(Clone, Debug)]
pub struct ConnConfig {
    /// One message from a client, and one frame of it, in bytes.
    pub message_bytes: usize,
    /// Frames of one message.
    pub fragments: u32,
    /// The body of one HTTP request, in bytes.
    pub body_bytes: usize,
    /// Queued bytes at which [`Push::Soft`] is said.
    pub outbox_soft: usize,
    /// Queued bytes beyond which nothing is queued.
    pub outbox_hard: usize,
    /// Which pages may open a WebSocket.
    pub origins: OriginPolicy,
}

impl Default for ConnConfig {
    fn default() -> Self {
        Self {
            message_bytes: FRAME_BYTES,
            fragments: FRAGMENTS,
            body_bytes: BODY_BYTES,
            outbox_soft: OUTBOX_SOFT,
            outbox_hard: OUTBOX_HARD,
            origins: OriginPolicy::default(),
        }
    }
}

/// What came of the input.
#[derive(Debug)]
pub enum Event {
    /// A complete HTTP request. Owed a [`Conn::respond`].
    Request(Box<Request>),
    /// A WebSocket that may be granted. Owed a [`Conn::accept`] or [`Conn::refuse`].
    Upgrade(Box<Upgrade>),
    /// A text message. Copy what you keep: it is a slice of the read buffer and pins it.
    Text(Utf8Bytes),
    /// A binary message. The same holds.
    Binary(Bytes),
    /// The peer has read everything that was queued before this many bytes were.
    Pong(u64),
    /// The peer ended the WebSocket, or has to be taken as having done so. Comes once, and not at
    /// all after [`Conn::close`] or [`Due::Closed`]; nothing comes after it.
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
    /// It is queued, and with it the soft limit is crossed.
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
    /// Nothing special: write what waits, read while [`Conn::wants_input`].
    Keep,
    /// Everything is written: shut down the sending side, then say [`Conn::handle_shutdown`].
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

#[derive(Debug)]
enum Stage {
    Http(Box<Http>),
    WebSocket(WebSocket),
    /// Our last word is queued; what still comes is read and thrown away, this many bytes of it.
    Ending {
        shut: bool,
        patience: u32,
    },
    Gone,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Input {
    Open,
    Ended,
}

#[derive(Debug)]
struct Held {
    bytes: Vec<u8>,
    from: usize,
}

impl Shared {
    /// An empty pool, and the rules.
    pub fn new(config: ConnConfig) -> Self {
        Self {
            contexts: Contexts::new(&config),
            buffers: Buffers::default(),
            config,
        }
    }

    /// The rules.
    pub const fn config(&self) -> &ConnConfig {
        &self.config
    }
}

impl Conn {
    /// A connection that was accepted just now.
    pub fn new(now: Moment) -> Self {
        Self {
            outbox: Outbox::default(),
            stage: Stage::Http(Box::default()),
            held: None,
            deadlines: Deadlines::new(now, now.after(HANDSHAKE_WAIT)),
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
        }
        if let Some(mut held) = self.held.take() {
            let mut rest = &held.bytes[held.from..];
            let event = self.advance(&mut rest, shared, now);
            let left = rest.len();
            if left > 0 {
                held.from = held.bytes.len() - left;
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
        let held = self.held.get_or_insert_with(|| {
            Box::new(Held {
                bytes: Vec::new(),
                from: 0,
            })
        });
        held.bytes.extend_from_slice(rest);
    }

    /// Whether input is held.
    pub const fn has_held(&self) -> bool {
        self.held.is_some()
    }

    /// Whether the socket should be read. While it says no, at most one read buffer is held.
    pub const fn wants_input(&self) -> bool {
        self.held.is_none() && matches!(self.input, Input::Open)
    }

    /// The peer closed its sending side, or the connection broke. [`Conn::poll_event`] tells when
    /// what was held before is done.
    pub const fn handle_eof(&mut self) {
        self.input = Input::Ended;
    }

    /// Answers an [`Event::Request`].
    pub fn respond(&mut self, response: &Response, shared: &mut Shared, now: Now) {
        let Stage::Http(http) = &mut self.stage else {
            return;
        };
        let (part, then) = match http.settle() {
            Some(Owed::Response { part, then }) => (part, then),
            // A WebSocket that is not granted, or a request that never was one.
            Some(Owed::Upgrade { .. }) | None => (Part::Whole, Then::Close),
        };
        response.write(part, then, now.wall, &mut self.outbox, &mut shared.buffers);
        match then {
            Then::KeepAlive => self.deadlines.stage_until(now.mono.after(KEEP_ALIVE_WAIT)),
            Then::Close => self.end(now.mono),
        }
    }

    /// Refuses an [`Event::Upgrade`]; the connection ends with that.
    pub fn refuse(&mut self, response: &Response, shared: &mut Shared, now: Now) {
        self.respond(response, shared, now);
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
        self.deadlines.stage_until(now.mono.after(SIGN_IN_WAIT));
        self.deadlines.heard(now.mono);
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

    /// Queues a frame.
    #[inline]
    pub fn push(&mut self, frame: &Frame<'_>, shared: &mut Shared) -> Push {
        match &self.stage {
            Stage::WebSocket(socket) if socket.talk != Talk::Closing => {}
            _ => return Push::Closed,
        }
        let len = self.outbox.len() + frame.bytes().len();
        if len > shared.config.outbox_hard {
            return Push::Full;
        }
        self.outbox.push(frame, &mut shared.buffers);
        if len > shared.config.outbox_soft {
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
                self.outbox
                    .append(Control::close(code).bytes(), &mut shared.buffers);
                self.deadlines.stage_until(now.mono.after(CLOSE_WAIT));
            }
            Stage::Http(_) => self.end(now.mono),
            Stage::WebSocket(_) | Stage::Ending { .. } | Stage::Gone => {}
        }
    }

    /// What waits to be written.
    pub const fn outbox(&self) -> &Outbox {
        &self.outbox
    }

    /// An attempt to write what [`Outbox::slices`] showed took this many bytes, perhaps none.
    pub fn wrote(&mut self, taken: usize, shared: &mut Shared, now: Moment) {
        self.outbox.advance(taken, &mut shared.buffers);
        self.deadlines.wrote(taken, self.outbox.len(), now);
    }

    /// The sending side of the socket is shut down.
    pub const fn handle_shutdown(&mut self) {
        if let Stage::Ending { shut, .. } = &mut self.stage {
            *shut = true;
        }
    }

    /// What is to be done with the socket.
    pub fn verdict(&self) -> Verdict {
        match &self.stage {
            Stage::Gone => Verdict::Drop,
            Stage::Ending { .. } if !self.outbox.is_empty() => Verdict::Keep,
            Stage::Ending { shut: true, .. } if self.input == Input::Ended => Verdict::Drop,
            Stage::Ending { shut: false, .. } => Verdict::Shutdown,
            _ => Verdict::Keep,
        }
    }

    /// When [`Conn::handle_deadline`] has to be called, if nothing happens before.
    pub fn deadline(&self) -> Option<Moment> {
        match &self.stage {
            Stage::WebSocket(socket) if socket.talk == Talk::SignedIn => {
                self.deadlines.with_pings()
            }
            Stage::Gone => None,
            _ => self.deadlines.without_pings(),
        }
    }

    /// Does what is due; if nothing is, that is no harm.
    pub fn handle_deadline(&mut self, shared: &mut Shared, now: Now) -> Due {
        match &mut self.stage {
            Stage::Http(_) => self.http_deadline(shared, now),
            Stage::WebSocket(socket) => match socket.talk {
                Talk::Closing if self.deadlines.stage_is_over(now.mono) => self.drop_all(shared),
                Talk::Closing => {}
                _ if self.deadlines.is_stuck(now.mono) => {
                    return self.close_due(CloseCode::Slow, shared, now);
                }
                Talk::Anonymous if self.deadlines.stage_is_over(now.mono) => {
                    return self.close_due(CloseCode::NoName, shared, now);
                }
                Talk::Anonymous => {}
                Talk::SignedIn => match self.deadlines.silence(now.mono) {
                    Silence::Fine => {}
                    Silence::Ping => self.ping(shared),
                    Silence::Gone => return self.close_due(CloseCode::Silent, shared, now),
                },
            },
            Stage::Ending { .. } if self.deadlines.stage_is_over(now.mono) => self.drop_all(shared),
            Stage::Ending { .. } | Stage::Gone => {}
        }
        Due::Kept
    }

    fn advance(&mut self, input: &mut &[u8], shared: &mut Shared, now: Now) -> Option<Event> {
        match &mut self.stage {
            Stage::Http(_) => self.advance_http(input, shared, now),
            Stage::WebSocket(_) => self.advance_websocket(input, shared, now),
            Stage::Ending { patience, .. } => {
                let count = u32::try_from(input.len()).unwrap_or(u32::MAX);
                *input = &[];
                match patience.checked_sub(count) {
                    Some(left) => *patience = left,
                    None => self.drop_all(shared),
                }
                None
            }
            Stage::Gone => {
                *input = &[];
                None
            }
        }
    }

    fn advance_http(&mut self, input: &mut &[u8], shared: &mut Shared, now: Now) -> Option<Event> {
        let Stage::Http(http) = &mut self.stage else {
            return None;
        };
        // Somebody who asks and asks and reads no answer is not listened to further.
        if self.outbox.len() > shared.config.outbox_soft {
            return None;
        }
        let was_underway = http.is_underway();
        match http.read(input, &shared.config) {
            request::Step::More => {
                let begun = !was_underway && http.is_underway();
                if self.input == Input::Ended && input.is_empty() && !http.owes() {
                    self.end(now.mono);
                } else if begun && self.outbox.enqueued() > 0 {
                    // The first request has its time from accept.
                    self.deadlines.stage_until(now.mono.after(HANDSHAKE_WAIT));
                }
                None
            }
            request::Step::Request(request) => {
                self.deadlines.stage_unbounded();
                Some(Event::Request(request))
            }
            request::Step::Upgrade(upgrade) => {
                self.deadlines.stage_unbounded();
                Some(Event::Upgrade(upgrade))
            }
            request::Step::Continue => {
                let go_ahead = b"HTTP/1.1 100 Continue\r\n\r\n";
                self.outbox.append(go_ahead, &mut shared.buffers);
                None
            }
            request::Step::Refuse(response) => {
                self.last_word(&response, shared, now);
                *input = &[];
                None
            }
        }
    }

    fn advance_websocket(
        &mut self,
        input: &mut &[u8],
        shared: &mut Shared,
        now: Now,
    ) -> Option<Event> {
        let Stage::WebSocket(socket) = &mut self.stage else {
            return None;
        };
        let told = socket.talk == Talk::Closing;
        let Shared {
            contexts, buffers, ..
        } = shared;
        let step = loop {
            match socket.read(input, &mut self.outbox, contexts, buffers) {
                websocket::Step::Pong(payload) => {
                    let position = <[u8; 8]>::try_from(&payload[..]).map(u64::from_be_bytes);
                    match position {
                        Ok(position) if position <= self.outbox.enqueued() && !told => {
                            return Some(Event::Pong(position));
                        }
                        // Nobody asked for it, which is allowed (RFC 6455 section 5.5.3).
                        _ => {}
                    }
                }
                step => break step,
            }
        };
        let closed = match step {
            websocket::Step::Text(text) => return Some(Event::Text(text)),
            websocket::Step::Binary(bytes) => return Some(Event::Binary(bytes)),
            websocket::Step::Pong(_) => return None,
            websocket::Step::More if self.input == Input::Open => return None,
            websocket::Step::More => {
                self.stage = Stage::Gone;
                self.outbox.clear(buffers);
                Closed::Lost
            }
            websocket::Step::Closed(code) => {
                self.end(now.mono);
                Closed::ByPeer(code)
            }
            websocket::Step::Broken(code) => {
                if !told {
                    self.outbox.append(Control::close(code).bytes(), buffers);
                }
                self.end(now.mono);
                Closed::Broken(code)
            }
        };
        *input = &[];
        (!told).then_some(Event::Closed(closed))
    }

    fn http_deadline(&mut self, shared: &mut Shared, now: Now) {
        let Stage::Http(http) = &self.stage else {
            return;
        };
        if self.deadlines.is_stuck(now.mono) {
            self.drop_all(shared);
        } else if self.deadlines.stage_is_over(now.mono) {
            if http.is_underway() {
                let late = Response::error(http::StatusCode::REQUEST_TIMEOUT, "too slow");
                self.last_word(&late, shared, now);
            } else {
                // Browsers open connections that they may never use, and would take an answer
                // without a question for the answer to their next one.
                self.end(now.mono);
            }
        }
    }

    fn ping(&mut self, shared: &mut Shared) {
        self.deadlines.pinged();
        let ping = Control::ping(self.outbox.enqueued());
        self.outbox.append(ping.bytes(), &mut shared.buffers);
    }

    fn close_due(&mut self, code: CloseCode, shared: &mut Shared, now: Now) -> Due {
        self.close(code, shared, now);
        Due::Closed(code)
    }

    /// An answer after which the connection ends.
    fn last_word(&mut self, response: &Response, shared: &mut Shared, now: Now) {
        let Shared { buffers, .. } = shared;
        response.write(
            Part::Whole,
            Then::Close,
            now.wall,
            &mut self.outbox,
            buffers,
        );
        self.end(now.mono);
    }

    /// Nothing follows what is queued.
    fn end(&mut self, now: Moment) {
        self.stage = Stage::Ending {
            shut: false,
            patience: LINGER_BYTES as u32,
        };
        self.held = None;
        self.deadlines.stage_until(now.after(CLOSE_WAIT));
    }

    fn drop_all(&mut self, shared: &mut Shared) {
        self.stage = Stage::Gone;
        self.held = None;
        self.outbox.clear(&mut shared.buffers);
    }
}
