//! Frames on their way out (RFC 6455 section 5.2): a server's, encoded once for all who are to get
//! them, and a client's, masked.
//!
//! Floor 2, part of `conn`. A server does not mask, so one encoding serves every listener, and it
//! holds nothing that differs between them. Knows no connection and no meaning of a payload.

use std::ops::Range;

use bytes::Bytes;

use crate::chat::closing::CloseCode;
use crate::conn::segments::{Run, Writer};
use crate::conn::shared::Shared;
use crate::limits::SHARE_ABOVE;

/// The longest header of a frame that a server sends: 2 bytes and a length of 8.
const HEADER_ROOM: usize = 10;
/// RFC 6455 section 5.5: the payload of a control frame.
const CONTROL_BYTES: usize = 125;

pub(super) const FIN: u8 = 0x80;
pub(super) const MASKED: u8 = 0x80;
pub(super) const CLOSE: u8 = FIN | 0x8;
pub(super) const PING: u8 = FIN | 0x9;
pub(super) const PONG: u8 = FIN | 0xa;

/// What a data frame says of its payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// UTF-8.
    Text = 0x1,
    /// Bytes.
    Binary = 0x2,
}

/// A frame that is ready for the wire, for as many connections as want it.
#[derive(Clone, Debug)]
pub enum Frame<'a> {
    /// Copied into each outbox: for small frames that is cheaper than a reference count.
    Copied(&'a [u8]),
    /// Queued by reference.
    Shared(Bytes),
}

impl Frame<'_> {
    /// Header and payload together.
    pub fn bytes(&self) -> &[u8] {
        match self {
            Self::Copied(bytes) => bytes,
            Self::Shared(bytes) => bytes,
        }
    }
}

/// A frame that was encoded earlier and kept, such as a cached page of a log.
impl<'a> From<&'a Bytes> for Frame<'a> {
    fn from(bytes: &'a Bytes) -> Self {
        if bytes.len() > SHARE_ABOVE {
            Self::Shared(bytes.clone())
        } else {
            Self::Copied(bytes)
        }
    }
}

/// Encodes one frame at a time into a buffer of its own, which it keeps as long as frames are
/// small.
#[derive(Debug, Default)]
pub struct Encoder {
    scratch: Vec<u8>,
    writer: Writer,
}

/// A frame for many connections.
#[derive(Clone, Debug)]
pub enum ForMany<'a> {
    /// Stored once, in a segment that is overwritten when none of them needs it any more.
    Run(Run),
    /// Too large for a segment, or for too few.
    Frame(Frame<'a>),
}

impl Encoder {
    /// The frame whose payload `fill` appends to the vector that it gets.
    pub fn encode(&mut self, kind: Kind, fill: impl FnOnce(&mut Vec<u8>)) -> Frame<'_> {
        self.scratch.clear();
        let range = append(&mut self.scratch, kind, fill);
        if range.len() > SHARE_ABOVE {
            let whole = Bytes::from(std::mem::take(&mut self.scratch));
            Frame::Shared(whole.slice(range))
        } else {
            Frame::Copied(&self.scratch[range])
        }
    }

    /// The same for many connections. Push it to all of them before the next frame is encoded: what
    /// nobody holds is overwritten.
    pub fn encode_for_many(
        &mut self,
        kind: Kind,
        shared: &mut Shared,
        fill: impl FnOnce(&mut Vec<u8>),
    ) -> ForMany<'_> {
        let Self { scratch, writer } = self;
        scratch.clear();
        let range = append(scratch, kind, fill);
        if range.len() > SHARE_ABOVE {
            let whole = Bytes::from(std::mem::take(scratch));
            return ForMany::Frame(Frame::Shared(whole.slice(range)));
        }
        let segments = &mut shared.buffers.segments;
        match segments.append(writer, &scratch[range.clone()]) {
            Some(run) => ForMany::Run(run),
            None => ForMany::Frame(Frame::Copied(&scratch[range])),
        }
    }
}

/// Appends a frame to `buffer` and returns where it stands.
///
/// The length of a payload decides the length of the header before it, and is known only after
/// `fill` appended it. So room for the longest header is left, and the header is put right before
/// the payload afterwards: nothing is moved, at the price of up to 8 unused bytes.
pub fn append(buffer: &mut Vec<u8>, kind: Kind, fill: impl FnOnce(&mut Vec<u8>)) -> Range<usize> {
    let room = buffer.len();
    buffer.extend_from_slice(&[0; HEADER_ROOM]);
    fill(buffer);
    let payload = room + HEADER_ROOM;
    let (header, size) = header(kind, buffer.len() - payload);
    buffer[room..payload].copy_from_slice(&header);
    payload - size..buffer.len()
}

/// Appends a frame as a client sends it, under this mask, which is random so that nobody between
/// the two ends can be made to take a payload for something else (RFC 6455 section 10.3).
///
/// Such frames stand one after the other in a buffer, so the payload is moved up to its header:
/// what a client says is short.
pub fn append_masked(
    buffer: &mut Vec<u8>,
    kind: Kind,
    key: [u8; 4],
    fill: impl FnOnce(&mut Vec<u8>),
) {
    let begin = buffer.len();
    buffer.extend_from_slice(&[0; HEADER_ROOM + 4]);
    fill(buffer);
    let payload = begin + HEADER_ROOM + 4;
    let (header, size) = header(kind, buffer.len() - payload);
    mask(&mut buffer[payload..], key);
    buffer[begin..begin + size].copy_from_slice(&header[HEADER_ROOM - size..]);
    buffer[begin + 1] |= MASKED;
    buffer[begin + size..begin + size + 4].copy_from_slice(&key);
    buffer.copy_within(payload.., begin + size + 4);
    buffer.truncate(buffer.len() - (HEADER_ROOM - size));
}

/// Puts a mask on, or takes it off (RFC 6455 section 5.3). Eight bytes at a time, of which the
/// compiler makes more.
pub fn mask(bytes: &mut [u8], key: [u8; 4]) {
    let [a, b, c, d] = key;
    let wide = u64::from_ne_bytes([a, b, c, d, a, b, c, d]);
    let (chunks, rest) = bytes.as_chunks_mut::<8>();
    for chunk in chunks {
        *chunk = (u64::from_ne_bytes(*chunk) ^ wide).to_ne_bytes();
    }
    for (byte, key) in rest.iter_mut().zip(key.into_iter().cycle()) {
        *byte ^= key;
    }
}

/// The header of a whole message, unmasked, and how long it is. It stands at the end of the room, so
/// that the room can be copied as a whole.
#[inline]
fn header(kind: Kind, len: usize) -> ([u8; HEADER_ROOM], usize) {
    let mut header = [0; HEADER_ROOM];
    let first = FIN | kind as u8;
    let size = match len {
        0..=125 => {
            header[8..].copy_from_slice(&[first, len as u8]);
            2
        }
        126..=0xffff => {
            header[6..8].copy_from_slice(&[first, 126]);
            header[8..].copy_from_slice(&(len as u16).to_be_bytes());
            4
        }
        _ => {
            header[..2].copy_from_slice(&[first, 127]);
            header[2..].copy_from_slice(&(len as u64).to_be_bytes());
            10
        }
    };
    (header, size)
}

/// A control frame, on the stack.
#[derive(Clone, Copy, Debug)]
pub(super) struct Control {
    bytes: [u8; 2 + CONTROL_BYTES],
    len: u8,
}

impl Control {
    /// A close frame with the code's number and name.
    pub(super) fn close(code: CloseCode) -> Self {
        Self::new(CLOSE, &code.number().to_be_bytes(), code.name().as_bytes())
    }

    /// A ping that carries how many bytes were queued before it; the pong proves that the peer
    /// has read them.
    pub(super) fn ping(position: u64) -> Self {
        Self::new(PING, &position.to_be_bytes(), &[])
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes[..usize::from(self.len)]
    }

    fn new(first: u8, a: &[u8], b: &[u8]) -> Self {
        let mut bytes = [0; 2 + CONTROL_BYTES];
        let b = &b[..b.len().min(CONTROL_BYTES - a.len())];
        let len = a.len() + b.len();
        bytes[0] = first;
        bytes[1] = len as u8;
        bytes[2..2 + a.len()].copy_from_slice(a);
        bytes[2 + a.len()..2 + len].copy_from_slice(b);
        Self {
            bytes,
            len: 2 + len as u8,
        }
    }
}

#[cfg(test)]
mod tests {
    use tungstenite::protocol::frame::Frame as Reference;
    use tungstenite::protocol::frame::coding::{Data, OpCode};

    use super::*;

    #[test]
    fn a_frame_is_what_tungstenite_would_send() {
        for len in [
            0, 1, 4, 5, 7, 8, 125, 126, 127, 4096, 65_535, 65_536, 80_000,
        ] {
            for (kind, data) in [(Kind::Text, Data::Text), (Kind::Binary, Data::Binary)] {
                let payload = vec![b'x'; len];
                let mut expected = Vec::new();
                Reference::message(payload.clone(), OpCode::Data(data), true)
                    .format(&mut expected)
                    .unwrap();
                let mut buffer = b"before".to_vec();
                let range = append(&mut buffer, kind, |out| out.extend_from_slice(&payload));
                assert_eq!(buffer[range], expected, "{len}");
                assert!(buffer.starts_with(b"before"));
                let key = [1, 2, 3, 250];
                let mut frame = Reference::message(payload.clone(), OpCode::Data(data), true);
                frame.header_mut().mask = Some(key);
                let mut expected = b"before".to_vec();
                frame.format(&mut expected).unwrap();
                let mut buffer = b"before".to_vec();
                append_masked(&mut buffer, kind, key, |out| {
                    out.extend_from_slice(&payload)
                });
                assert_eq!(buffer, expected, "{len}");
            }
        }
    }

    #[test]
    fn large_frames_are_shared_and_small_ones_are_copied() {
        let mut encoder = Encoder::default();
        let fits = SHARE_ABOVE - 4;
        for (len, shared) in [(0, false), (fits, false), (fits + 1, true)] {
            let frame = encoder.encode(Kind::Binary, |out| out.resize(out.len() + len, 7));
            assert_eq!(matches!(frame, Frame::Shared(_)), shared, "{len}");
        }
    }

    #[test]
    fn control_frames_stay_within_125_bytes() {
        let long = Control::new(CLOSE, &[3, 232], &[b'x'; 500]);
        assert_eq!(long.bytes().len(), 2 + CONTROL_BYTES);
        assert_eq!(
            Control::close(CloseCode::Normal).bytes(),
            b"\x88\x05\x03\xe8bye"
        );
        assert_eq!(Control::ping(258).bytes(), b"\x89\x08\0\0\0\0\0\0\x01\x02");
    }
}
