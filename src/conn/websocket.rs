//! Frames in, messages out: tungstenite over memory (RFC 6455 sections 5 to 7).
//!
//! Floor 2, part of `conn`. A context of tungstenite is needed only while a message is under way.
//! Between two messages it holds nothing, goes back to the pool, and the connection is left with
//! the two dozen bytes of a [`Boundary`]. Keep-alive and the end of the connection are decided
//! elsewhere.

use std::io::{self, Read, Write};

use bytes::Bytes;
use tungstenite::error::Error;
use tungstenite::protocol::{Role, WebSocketConfig, WebSocketContext};
use tungstenite::{Message, Utf8Bytes};

use crate::chat::closing::CloseCode;
use crate::conn::boundary::Boundary;
use crate::conn::outbox::{Buffers, Outbox};
use crate::limits::{CONTEXT_BYTES, CONTEXTS_KEPT};

use super::ConnConfig;

/// The WebSocket stage of a connection.
#[derive(Debug)]
pub(super) struct WebSocket {
    context: Option<Box<Context>>,
    boundary: Boundary,
    pub(super) talk: Talk,
}

/// How far a conversation is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Talk {
    /// Nobody has said who this is.
    Anonymous,
    /// Somebody has.
    SignedIn,
    /// Our close frame is queued, and the peer's is awaited; whatever else comes is dropped.
    Closing,
}

/// What a stretch of input came to.
#[derive(Debug)]
pub(super) enum Step {
    /// Nothing yet.
    More,
    Text(Utf8Bytes),
    Binary(Bytes),
    Pong(Bytes),
    /// The peer's close frame, answered where it has to be.
    Closed(Option<u16>),
    /// The peer broke a rule; this is what to close with.
    Broken(CloseCode),
}

impl WebSocket {
    pub(super) fn new() -> Self {
        Self {
            context: None,
            boundary: Boundary::default(),
            talk: Talk::Anonymous,
        }
    }

    /// Goes on through `input`, at most to the end of one message.
    pub(super) fn read(
        &mut self,
        input: &mut &[u8],
        out: &mut Outbox,
        contexts: &mut Contexts,
        buffers: &mut Buffers,
    ) -> Step {
        while !input.is_empty() {
            let (frame, rest) = input.split_at(self.boundary.follow(input));
            *input = rest;
            let context = self.context.get_or_insert_with(|| contexts.take());
            let mut pipe = Pipe {
                inp: frame,
                out: (self.talk != Talk::Closing).then_some((&mut *out, &mut *buffers)),
            };
            let step = context.read(&mut pipe);
            if self.boundary.fragments() > contexts.fragments {
                return self.broken(CloseCode::TooBig);
            }
            if self.boundary.left() > CONTEXT_BYTES as u64 {
                context.grown = true;
            }
            match step {
                Step::Broken(code) => return self.broken(code),
                Step::Closed(_) => self.context = None,
                _ if self.boundary.at_rest() => {
                    contexts.give(self.context.take());
                }
                _ => {}
            }
            match step {
                Step::More => {}
                Step::Text(_) | Step::Binary(_) if self.talk == Talk::Closing => {}
                step => return step,
            }
        }
        Step::More
    }

    /// Whether a context is held, which none is between two messages.
    #[cfg(test)]
    pub(super) const fn holds_context(&self) -> bool {
        self.context.is_some()
    }

    fn broken(&mut self, code: CloseCode) -> Step {
        self.context = None;
        Step::Broken(code)
    }
}

/// A context, and whether its buffer has outgrown [`CONTEXT_BYTES`]: buffers of tungstenite never
/// shrink, so that one large message would stay allocated for good.
#[derive(Debug)]
struct Context {
    inner: WebSocketContext,
    grown: bool,
}

impl Context {
    /// Feeds what the pipe holds, which is no more than one frame.
    fn read(&mut self, pipe: &mut Pipe<'_>) -> Step {
        match self.inner.read(pipe) {
            Ok(Message::Text(text)) => Step::Text(text),
            Ok(Message::Binary(bytes)) => Step::Binary(bytes),
            Ok(Message::Pong(payload)) => Step::Pong(payload),
            // The answer is written with the next call, so there is one at once.
            Ok(Message::Ping(_)) => match self.inner.flush(pipe) {
                Ok(()) => Step::More,
                Err(error) => judge(&error),
            },
            Ok(Message::Close(frame)) => {
                // Says that the connection is closed, which is no news.
                let _ = self.inner.flush(pipe);
                Step::Closed(frame.map(|frame| frame.code.into()))
            }
            // Raw frames are not given out when reading.
            Ok(Message::Frame(_)) => Step::More,
            Err(error) => judge(&error),
        }
    }
}

/// tungstenite says what is wrong and closes nothing.
fn judge(error: &Error) -> Step {
    match error {
        Error::Io(error) if error.kind() == io::ErrorKind::WouldBlock => Step::More,
        Error::Capacity(_) => Step::Broken(CloseCode::TooBig),
        Error::Utf8(_) => Step::Broken(CloseCode::InvalidData),
        _ => Step::Broken(CloseCode::Protocol),
    }
}

/// Contexts at rest, for whoever gets the next bytes.
#[derive(Debug)]
pub(super) struct Contexts {
    free: Vec<Box<Context>>,
    config: WebSocketConfig,
    fragments: u32,
}

impl Contexts {
    pub(super) fn new(config: &ConnConfig) -> Self {
        let limits = WebSocketConfig::default()
            .read_buffer_size(CONTEXT_BYTES)
            // Every frame goes to the outbox at once, so that the order of what tungstenite sends
            // and what is pushed is the order of the calls.
            .write_buffer_size(0)
            .max_write_buffer_size(CONTEXT_BYTES)
            .max_message_size(Some(config.message_bytes))
            .max_frame_size(Some(config.message_bytes))
            .accept_unmasked_frames(false);
        Self {
            free: Vec::new(),
            config: limits,
            fragments: config.fragments,
        }
    }

    fn take(&mut self) -> Box<Context> {
        self.free.pop().unwrap_or_else(|| {
            Box::new(Context {
                inner: WebSocketContext::new(Role::Server, Some(self.config)),
                grown: false,
            })
        })
    }

    fn give(&mut self, context: Option<Box<Context>>) {
        if let Some(context) = context
            && !context.grown
            && self.free.len() < CONTEXTS_KEPT
        {
            self.free.push(context);
        }
    }
}

/// What tungstenite takes for a socket.
struct Pipe<'a> {
    inp: &'a [u8],
    /// Nothing is written any more once our close frame is queued.
    out: Option<(&'a mut Outbox, &'a mut Buffers)>,
}

impl Read for Pipe<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self.inp.read(buffer) {
            Ok(0) => Err(io::ErrorKind::WouldBlock.into()),
            read => read,
        }
    }
}

impl Write for Pipe<'_> {
    /// One whole frame per call, a pong or the answer to a close frame.
    fn write(&mut self, frame: &[u8]) -> io::Result<usize> {
        if let Some((out, buffers)) = &mut self.out {
            out.append_control(frame, buffers);
        }
        Ok(frame.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
