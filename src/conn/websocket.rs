//! Frames in, messages out: tungstenite over memory (RFC 6455 sections 5 to 7).
//!
//! Floor 2, part of `conn`. A context of tungstenite is needed only while a message is under way.
//! Between two messages it holds nothing, goes back to the pool, and the connection is left with
//! the two dozen bytes of a [`Boundary`]. Keep-alive and the end of the connection are decided
//! elsewhere.

use std::io::{self, Read, Write};

use tungstenite::Message;
use tungstenite::error::Error;
use tungstenite::protocol::{Role, WebSocketConfig, WebSocketContext};

use crate::chat::closing::CloseCode;
use crate::conn::boundary::Boundary;
use crate::conn::buffers::Buffers;
use crate::conn::outbox::Outbox;
use crate::conn::shared::ConnConfig;
use crate::conn::whole::{self, Whole};
use crate::limits::{CONTEXT_BYTES, CONTEXT_GROWN, CONTEXTS_KEPT};

/// The WebSocket stage of a connection.
#[derive(Debug)]
pub(super) struct WebSocket {
    context: Option<Box<Context>>,
    boundary: Boundary,
    pub(super) talk: Talk,
    /// Pings sent since the peer was last heard.
    pub(super) pings: u8,
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
    Text(String),
    Binary(Vec<u8>),
    /// The answer to one of our pings, and the position that it carries.
    Pong(u64),
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
            pings: 0,
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
            let between = self.boundary.at_rest() && self.talk != Talk::Closing;
            if between && let Some(message) = contexts.whole.take(input) {
                return match message {
                    whole::Message::Text(text) => Step::Text(text),
                    whole::Message::Binary(bytes) => Step::Binary(bytes),
                };
            }
            let (frame, rest) = input.split_at(self.boundary.follow(input));
            *input = rest;
            let context = self.context.get_or_insert_with(|| contexts.take());
            let mut pipe = Pipe {
                inp: frame,
                out: (self.talk != Talk::Closing).then_some((&mut *out, &mut *buffers)),
            };
            let step = context.read(&mut pipe);
            let size = self.boundary.left().saturating_add(frame.len() as u64);
            context.grown |= size > CONTEXT_GROWN as u64;
            if self.boundary.fragments() >= contexts.fragments {
                return self.broken(CloseCode::TooBig);
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
                Step::Text(_) | Step::Binary(_) | Step::Pong(_) if self.talk == Talk::Closing => {}
                // Nobody asked for this one, which is allowed (RFC 6455 section 5.5.3).
                Step::Pong(position) if position > out.enqueued() => {}
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

/// A context, and whether its buffer has outgrown [`CONTEXT_GROWN`]: buffers of tungstenite never
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
            Ok(Message::Text(text)) => Step::Text(text.as_str().to_owned()),
            Ok(Message::Binary(bytes)) => Step::Binary(bytes.into()),
            Ok(Message::Pong(payload)) => <[u8; 8]>::try_from(&payload[..])
                .map_or(Step::More, |position| {
                    Step::Pong(u64::from_be_bytes(position))
                }),
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
    #[expect(
        clippy::vec_box,
        reason = "a context goes to a connection and back as a pointer, not as 264 bytes"
    )]
    free: Vec<Box<Context>>,
    config: WebSocketConfig,
    role: Role,
    fragments: u32,
    /// For messages that need no context.
    whole: Whole,
}

impl Contexts {
    /// For the server's end.
    pub(super) fn new(config: &ConnConfig) -> Self {
        Self::of(Role::Server, config)
    }

    /// For this end: a server takes masked frames only, a client only those that are not.
    pub(super) fn of(role: Role, config: &ConnConfig) -> Self {
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
            role,
            fragments: config.fragments,
            whole: Whole::new(role, config.message_bytes),
        }
    }

    fn take(&mut self) -> Box<Context> {
        self.free.pop().unwrap_or_else(|| {
            Box::new(Context {
                inner: WebSocketContext::new(self.role, Some(self.config)),
                grown: false,
            })
        })
    }

    /// Takes back the buffer of a message.
    #[inline]
    pub(super) fn reuse(&mut self, words: Vec<u8>) {
        self.whole.reuse(words);
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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use tungstenite::protocol::frame::coding::{Control, Data, OpCode};
    use tungstenite::protocol::frame::{Frame, FrameHeader};

    use super::*;

    /// What a client sends as one frame.
    #[derive(Clone, Debug)]
    struct Part {
        opcode: OpCode,
        last: bool,
        len: usize,
    }

    fn masked(part: &Part) -> Vec<u8> {
        let header = FrameHeader {
            is_final: part.last,
            opcode: part.opcode,
            mask: Some([0x12, 0x34, 0x56, 0x78]),
            ..FrameHeader::default()
        };
        let payload: Vec<u8> = (0..part.len).map(|n| b'a' + (n % 26) as u8).collect();
        let mut bytes = Vec::new();
        Frame::from_payload(header, payload.into())
            .format(&mut bytes)
            .unwrap();
        bytes
    }

    fn len() -> impl Strategy<Value = usize> {
        prop_oneof![8 => 0..200_usize, 2 => 0..5_000_usize, 1 => 60_000..70_000_usize]
    }

    /// One message in several frames, with pings and pongs between them.
    fn message() -> impl Strategy<Value = Vec<Part>> {
        let kind = prop_oneof![Just(Data::Text), Just(Data::Binary)];
        let control = prop_oneof![Just(Control::Ping), Just(Control::Pong)];
        let controls = prop::collection::vec((control, 0..125_usize), 0..3);
        let parts = prop::collection::vec((len(), controls), 1..5);
        (kind, parts).prop_map(|(kind, parts)| {
            let count = parts.len();
            let mut frames = Vec::new();
            for (at, (len, controls)) in parts.into_iter().enumerate() {
                frames.push(Part {
                    opcode: OpCode::Data(if at == 0 { kind } else { Data::Continue }),
                    last: at + 1 == count,
                    len,
                });
                frames.extend(controls.into_iter().map(|(control, len)| Part {
                    opcode: OpCode::Control(control),
                    last: true,
                    len,
                }));
            }
            frames
        })
    }

    fn stream() -> impl Strategy<Value = Vec<u8>> {
        prop::collection::vec(message(), 1..6)
            .prop_map(|messages| messages.iter().flatten().flat_map(masked).collect())
    }

    fn chunks() -> impl Strategy<Value = Vec<usize>> {
        let size = prop_oneof![Just(1_usize), 1..20_usize, 1..5_000_usize, 1..70_000_usize];
        prop::collection::vec(size, 1..20)
    }

    fn config() -> ConnConfig {
        ConnConfig {
            message_bytes: 256 * 1024,
            ..ConnConfig::default()
        }
    }

    /// What one context says that is kept from the first byte to the last.
    fn with_one_context(bytes: &[u8]) -> Vec<String> {
        let mut context = Contexts::new(&config()).take();
        let mut told = Vec::new();
        let mut pipe = Pipe {
            inp: bytes,
            out: None,
        };
        loop {
            let step = match context.inner.read(&mut pipe) {
                Err(Error::Io(_)) => return told,
                Err(error) => judge(&error),
                Ok(Message::Text(text)) => Step::Text(text.as_str().to_owned()),
                Ok(Message::Binary(bytes)) => Step::Binary(bytes.into()),
                Ok(Message::Close(frame)) => Step::Closed(frame.map(|frame| frame.code.into())),
                Ok(_) => Step::More,
            };
            let end = matches!(step, Step::Broken(_) | Step::Closed(_));
            note(step, &mut told);
            if end {
                return told;
            }
        }
    }

    /// What comes of the same bytes in pieces, and whether a context was only ever held inside a
    /// message.
    fn in_chunks(bytes: &[u8], chunks: &[usize]) -> Vec<String> {
        let (mut contexts, mut buffers) = (Contexts::new(&config()), Buffers::default());
        let (mut socket, mut out) = (WebSocket::new(), Outbox::default());
        let (mut told, mut rest) = (Vec::new(), bytes);
        for &size in chunks.iter().cycle() {
            let (mut input, later) = rest.split_at(size.min(rest.len()));
            rest = later;
            while !input.is_empty() {
                let step = socket.read(&mut input, &mut out, &mut contexts, &mut buffers);
                let end = matches!(step, Step::Broken(_) | Step::Closed(_));
                note(step, &mut told);
                assert!(contexts.free.iter().all(|context| !context.grown));
                if end {
                    assert!(!socket.holds_context());
                    return told;
                }
                assert_eq!(socket.holds_context(), !socket.boundary.at_rest());
            }
            if rest.is_empty() {
                break;
            }
        }
        told
    }

    fn note(step: Step, told: &mut Vec<String>) {
        // Pongs of tungstenite carry no position here, or one that is judged elsewhere.
        if !matches!(step, Step::More | Step::Pong(_)) {
            told.push(format!("{step:?}"));
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig {
            cases: 200,
            failure_persistence: None,
            ..ProptestConfig::default()
        })]

        #[test]
        fn pooled_contexts_read_what_a_kept_one_reads(bytes in stream(), chunks in chunks()) {
            let told = with_one_context(&bytes);
            prop_assert!(!told.is_empty());
            prop_assert!(in_chunks(&bytes, &chunks) == told);
        }

        #[test]
        fn damaged_streams_are_judged_alike(
            mut bytes in stream(),
            damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
            chunks in chunks(),
        ) {
            for (at, value) in damage {
                let at = at.index(bytes.len().min(300));
                bytes[at] = value;
            }
            prop_assert!(in_chunks(&bytes, &chunks) == with_one_context(&bytes));
        }

        #[test]
        fn any_bytes_are_judged_alike(
            bytes in prop::collection::vec(any::<u8>(), 0..300),
            chunks in chunks(),
        ) {
            prop_assert!(in_chunks(&bytes, &chunks) == with_one_context(&bytes));
        }
    }

    #[test]
    fn a_context_that_has_grown_is_not_kept_and_a_whole_message_needs_none() {
        for (len, kept) in [(0, 1), (CONTEXT_GROWN - 8, 1), (CONTEXT_GROWN + 1, 0)] {
            for (chunk, kept) in [(1, kept), (100_000, 0)] {
                let bytes = masked(&Part {
                    opcode: OpCode::Data(Data::Binary),
                    last: true,
                    len,
                });
                let (mut contexts, mut buffers) = (Contexts::new(&config()), Buffers::default());
                let (mut socket, mut out) = (WebSocket::new(), Outbox::default());
                for mut piece in bytes.chunks(chunk) {
                    let _ = socket.read(&mut piece, &mut out, &mut contexts, &mut buffers);
                }
                assert_eq!(contexts.free.len(), kept, "{len} in pieces of {chunk}");
            }
        }
    }
}
