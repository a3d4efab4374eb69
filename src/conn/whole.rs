//! Messages that come whole: one plain frame, and all of it is here (RFC 6455 section 5.2).
//!
//! Floor 2, part of `conn`. Almost every message of a chat is one. What tungstenite does for it is to
//! take off the mask and to look at the text; but a context costs 60 ns each time, most of them for
//! clearing a read buffer of 1 KiB, and that is more than everything else which a `ping` costs. So
//! such a message is taken out of the input directly. Whatever is not as plain as that (a part of a
//! frame, a fragment, a control frame, a reserved bit, a wrong mask, bad UTF-8) is not judged here: it
//! goes to tungstenite's context, to which the tests of `websocket.rs` hold this file.

use tungstenite::protocol::Role;

use crate::conn::frame::{FIN, Kind, MASKED, mask};
use crate::limits::{CONTEXT_GROWN, WHOLE_BUFFER};

const TEXT: u8 = FIN | Kind::Text as u8;
const BINARY: u8 = FIN | Kind::Binary as u8;

/// Takes whole messages out of the input. One buffer goes out with each and comes back for the next:
/// slices of a shared one would cost two atomic operations for a message that nobody keeps.
#[derive(Debug)]
pub(super) struct Whole {
    buffer: Vec<u8>,
    /// A larger message is tungstenite's.
    most: usize,
    /// The bit that says whether a frame has a mask, as it has to be at this end.
    masked: u8,
}

/// A message that came whole.
#[derive(Debug)]
pub(super) enum Message {
    Text(String),
    Binary(Vec<u8>),
}

/// The first frame, as it came.
struct Plain<'a> {
    kind: Kind,
    /// Zeros, which change nothing, if it has none.
    key: [u8; 4],
    payload: &'a [u8],
    /// What stands behind it.
    rest: &'a [u8],
}

impl Whole {
    /// For this end, and messages of at most so many bytes.
    pub(super) fn new(role: Role, message_bytes: usize) -> Self {
        Self {
            buffer: Vec::new(),
            most: message_bytes.min(CONTEXT_GROWN),
            masked: if role == Role::Server { MASKED } else { 0 },
        }
    }

    /// The message that `input` begins with, if it is a plain one and whole. Between two messages only.
    #[inline]
    pub(super) fn take(&mut self, input: &mut &[u8]) -> Option<Message> {
        let Plain {
            kind,
            key,
            payload,
            rest,
        } = self.frame(input)?;
        let mut words = std::mem::take(&mut self.buffer);
        words.clear();
        words.extend_from_slice(payload);
        // The mask is taken off eight bytes at a time, without a loop for the last few.
        words.extend_from_slice(&[0; 7]);
        mask(&mut words[..payload.len().next_multiple_of(8)], key);
        words.truncate(payload.len());
        let message = match kind {
            Kind::Binary => Message::Binary(words),
            Kind::Text => match String::from_utf8(words) {
                Ok(text) => Message::Text(text),
                Err(bad) => {
                    self.reuse(bad.into_bytes());
                    return None;
                }
            },
        };
        *input = rest;
        Some(message)
    }

    /// Takes back a buffer in which a message was given out.
    #[inline]
    pub(super) fn reuse(&mut self, words: Vec<u8>) {
        if words.capacity() <= WHOLE_BUFFER {
            self.buffer = words;
        }
    }

    /// The frame that `input` begins with. A length of 8 bytes is left to tungstenite: it says more
    /// than [`Self::most`], or is longer than it has to be.
    #[inline]
    fn frame<'a>(&self, input: &'a [u8]) -> Option<Plain<'a>> {
        let (&[first, second], rest) = input.split_first_chunk()?;
        let kind = match first {
            TEXT => Kind::Text,
            BINARY => Kind::Binary,
            _ => return None,
        };
        let (len, rest) = match second ^ self.masked {
            len @ 0..=125 => (usize::from(len), rest),
            126 => {
                let (&len, rest) = rest.split_first_chunk()?;
                (usize::from(u16::from_be_bytes(len)), rest)
            }
            _ => return None,
        };
        let (key, rest) = match self.masked {
            0 => ([0; 4], rest),
            _ => rest.split_first_chunk().map(|(key, rest)| (*key, rest))?,
        };
        let (payload, rest) = rest.split_at_checked(len)?;
        (len <= self.most).then_some(Plain {
            kind,
            key,
            payload,
            rest,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conn::frame::append_masked;

    #[test]
    fn one_buffer_serves_message_after_message() {
        let mut whole = Whole::new(Role::Server, CONTEXT_GROWN);
        whole.reuse(Vec::with_capacity(WHOLE_BUFFER));
        let kept = whole.buffer.as_ptr();
        let words: [&[u8]; 5] = [b"hello", b"", b"no \xff text", b"12345678", b"again"];
        for payload in words {
            let mut frame = Vec::new();
            append_masked(&mut frame, Kind::Text, [1, 2, 3, 250], |out| {
                out.extend_from_slice(payload);
            });
            let mut input = &frame[..];
            let told = match whole.take(&mut input) {
                Some(Message::Text(text)) => text.into_bytes(),
                Some(Message::Binary(_)) => panic!("it was sent as text"),
                None => {
                    assert!(std::str::from_utf8(payload).is_err());
                    assert_eq!(input, frame, "what is left to others is left whole");
                    continue;
                }
            };
            assert_eq!((&told[..], input), (payload, &[][..]));
            assert_eq!(told.as_ptr(), kept);
            whole.reuse(told);
        }
        whole.reuse(Vec::with_capacity(WHOLE_BUFFER + 1));
        assert_eq!(whole.buffer.as_ptr(), kept, "a larger one is not kept");
    }
}
