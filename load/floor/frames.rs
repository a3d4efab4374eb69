//! Frames of clients, and the same frames as a server sends them (RFC 6455 section 5.2).
//!
//! Judges only what has to be judged to find the next frame. Knows no socket.

use kith::conn::frame::mask;

use crate::bounds::FLOOR_MESSAGE;

const FIN: u8 = 0x80;
const OPCODE: u8 = 0x0f;
const MASKED: u8 = 0x80;

/// A client's frame, still masked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Frame<'a> {
    /// What is in it.
    pub kind: Kind,
    first: u8,
    mask: [u8; 4],
    payload: &'a [u8],
}

/// What is in a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A message, whole.
    Data,
    /// To be answered with its payload.
    Ping,
    /// Of no interest.
    Pong,
    /// To be answered, and the end.
    Close,
}

/// What the input begins with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next<'a> {
    /// A frame, and how many bytes it takes.
    Frame(Frame<'a>, usize),
    /// A part of one.
    More,
    /// Nothing that this server takes: no mask, a message in pieces, or one that is too long.
    Wrong,
}

/// Finds the frame that the input begins with.
pub fn next(input: &[u8]) -> Next<'_> {
    let [first, second, ..] = *input else {
        return Next::More;
    };
    let kind = match first & OPCODE {
        1 | 2 => Kind::Data,
        8 => Kind::Close,
        9 => Kind::Ping,
        10 => Kind::Pong,
        _ => return Next::Wrong,
    };
    if first & FIN == 0 || second & MASKED == 0 {
        return Next::Wrong;
    }
    let (len, at) = match second & !MASKED {
        126 => match input.get(2..4) {
            Some(&[a, b]) => (u64::from(u16::from_be_bytes([a, b])), 4),
            _ => return Next::More,
        },
        127 => match input.get(2..10).map(<[u8; 8]>::try_from) {
            Some(Ok(bytes)) => (u64::from_be_bytes(bytes), 10),
            _ => return Next::More,
        },
        len => (u64::from(len), 2),
    };
    // What a ping brings goes back with a length of one byte.
    let most = if kind == Kind::Data {
        FLOOR_MESSAGE
    } else {
        125
    };
    if len > most as u64 {
        return Next::Wrong;
    }
    let end = at + 4 + len as usize;
    let (Some(&[a, b, c, d]), Some(payload)) = (input.get(at..at + 4), input.get(at + 4..end))
    else {
        return Next::More;
    };
    let frame = Frame {
        kind,
        first,
        mask: [a, b, c, d],
        payload,
    };
    Next::Frame(frame, end)
}

impl Frame<'_> {
    /// Appends it as a server sends it: with the shortest header, and without a mask.
    pub fn encode(&self, into: &mut Vec<u8>) {
        let first = match self.kind {
            Kind::Ping => FIN | 10,
            _ => self.first,
        };
        let len = self.payload.len();
        match len {
            0..=125 => into.extend_from_slice(&[first, len as u8]),
            126..=0xffff => {
                let [a, b] = (len as u16).to_be_bytes();
                into.extend_from_slice(&[first, 126, a, b]);
            }
            _ => {
                into.extend_from_slice(&[first, 127]);
                into.extend_from_slice(&(len as u64).to_be_bytes());
            }
        }
        let begin = into.len();
        into.extend_from_slice(self.payload);
        mask(&mut into[begin..], self.mask);
    }
}

#[cfg(test)]
mod tests {
    use tungstenite::protocol::frame::Frame as Reference;
    use tungstenite::protocol::frame::coding::{Data, OpCode};

    use super::*;

    fn formatted(frame: Reference) -> Vec<u8> {
        let mut bytes = Vec::new();
        frame.format(&mut bytes).unwrap();
        bytes
    }

    #[test]
    fn a_frame_goes_out_as_it_came_but_for_the_mask() {
        for len in [0, 1, 7, 8, 9, 125, 126, 65_535, 65_536, FLOOR_MESSAGE] {
            let payload: Vec<u8> = (0..len).map(|n| n as u8).collect();
            let data = OpCode::Data(Data::Binary);
            let mut frame = Reference::message(payload, data, true);
            let expected = formatted(frame.clone());
            frame.header_mut().mask = Some([1, 2, 3, 250]);
            let masked = formatted(frame);
            let Next::Frame(found, taken) = next(&masked) else {
                panic!("{len}");
            };
            assert_eq!((found.kind, taken), (Kind::Data, masked.len()));
            let mut out = b"before".to_vec();
            found.encode(&mut out);
            assert_eq!(out[6..], expected, "{len}");
            for part in [0, 1, 2, 5, masked.len() - 1] {
                assert_eq!(next(&masked[..part]), Next::More, "{part} of {len}");
            }
        }
    }

    #[test]
    fn a_ping_goes_back_as_a_pong() {
        let mut ping = Reference::ping(b"p".to_vec());
        ping.header_mut().mask = Some([9; 4]);
        let bytes = formatted(ping);
        let Next::Frame(found, _) = next(&bytes) else {
            panic!("{bytes:?}");
        };
        let mut out = Vec::new();
        found.encode(&mut out);
        assert_eq!((found.kind, &out[..]), (Kind::Ping, &b"\x8a\x01p"[..]));
    }

    #[test]
    fn what_this_server_does_not_take_is_said_at_once() {
        let mut long = vec![0x82, 0xff];
        long.extend_from_slice(&(FLOOR_MESSAGE as u64 + 1).to_be_bytes());
        for bytes in [
            &b"\x82\x01x"[..],
            b"\x02\x81",
            b"\x00\x81",
            b"\x89\xfe\x00\x7e",
            &long,
            b"\x8b\x80",
        ] {
            assert_eq!(next(bytes), Next::Wrong, "{bytes:?}");
        }
    }
}
