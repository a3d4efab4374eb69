//! Messages that come whole: one plain frame, and all of it is here (RFC 6455 section 5.2).
//!
//! Floor 2, part of `conn`. Almost every message of a chat is one. What tungstenite does for it is to
//! take off the mask and to look at the text; but a context costs 60 ns each time, most of them for
//! clearing a read buffer of 1 KiB, and that is more than everything else which a `ping` costs. So
//! such a message is taken out of the input directly, behind the header as tungstenite reads it.
//! Whatever is not as plain as that (a part of a frame, a fragment, a control frame, a reserved bit, a
//! wrong mask, bad UTF-8) is not judged here: it goes to tungstenite's context, to which the tests of
//! `websocket.rs` hold this file.

use std::io::Cursor;

use bytes::{Bytes, BytesMut};
use tungstenite::Utf8Bytes;
use tungstenite::protocol::Role;
use tungstenite::protocol::frame::FrameHeader;
use tungstenite::protocol::frame::coding::{Data, OpCode};

use crate::conn::frame::Kind;
use crate::limits::{CONTEXT_GROWN, WHOLE_BUFFER};

/// Where the words of whole messages are put. One buffer serves them all in turn, as long as nobody
/// keeps one.
#[derive(Debug)]
pub(super) struct Whole {
    buffer: BytesMut,
    /// A larger message is tungstenite's.
    most: usize,
    masked: bool,
}

/// A message that came whole.
#[derive(Debug)]
pub(super) enum Message {
    Text(Utf8Bytes),
    Binary(Bytes),
}

impl Whole {
    /// For this end, and messages of at most so many bytes.
    pub(super) fn new(role: Role, message_bytes: usize) -> Self {
        Self {
            buffer: BytesMut::new(),
            most: message_bytes.min(CONTEXT_GROWN),
            masked: role == Role::Server,
        }
    }

    /// The message that `input` begins with, if it is a plain one and whole. Between two messages only.
    #[inline]
    pub(super) fn take(&mut self, input: &mut &[u8]) -> Option<Message> {
        let mut rest = *input;
        let (kind, mask, payload) = self.frame(&mut rest)?;
        if payload.len() > self.buffer.capacity() {
            self.buffer.reserve(payload.len().max(WHOLE_BUFFER));
        }
        unmask(payload, mask, &mut self.buffer);
        let bytes = self.buffer.split().freeze();
        let message = match kind {
            Kind::Text => Message::Text(bytes.try_into().ok()?),
            Kind::Binary => Message::Binary(bytes),
        };
        *input = rest;
        Some(message)
    }

    /// Takes the first frame: its kind, its mask, its payload as it came.
    #[inline]
    fn frame<'a>(&self, rest: &mut &'a [u8]) -> Option<(Kind, [u8; 4], &'a [u8])> {
        let mut cursor = Cursor::new(*rest);
        let (header, len) = FrameHeader::parse(&mut cursor).ok()??;
        let kind = match header.opcode {
            OpCode::Data(Data::Text) => Kind::Text,
            OpCode::Data(Data::Binary) => Kind::Binary,
            _ => return None,
        };
        let reserved = header.rsv1 || header.rsv2 || header.rsv3;
        if !header.is_final || reserved || header.mask.is_some() != self.masked {
            return None;
        }
        let len = usize::try_from(len).ok().filter(|len| *len <= self.most)?;
        let (_, behind) = rest.split_at_checked(cursor.position() as usize)?;
        let (payload, behind) = behind.split_at_checked(len)?;
        *rest = behind;
        // Zeros change nothing.
        Some((kind, header.mask.unwrap_or_default(), payload))
    }
}

/// Appends a payload without its mask (RFC 6455 section 5.3), eight bytes at a time.
#[inline]
fn unmask(payload: &[u8], mask: [u8; 4], into: &mut BytesMut) {
    let from = into.len();
    into.extend_from_slice(payload);
    let word = u32::from_ne_bytes(mask);
    let wide = u64::from(word) << 32 | u64::from(word);
    let mut words = into[from..].chunks_exact_mut(8);
    for eight in &mut words {
        let mut bytes = [0; 8];
        bytes.copy_from_slice(eight);
        eight.copy_from_slice(&(u64::from_ne_bytes(bytes) ^ wide).to_ne_bytes());
    }
    let last = words.into_remainder().iter_mut();
    last.zip(mask.iter().cycle())
        .for_each(|(byte, mask)| *byte ^= mask);
}
