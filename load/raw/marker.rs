//! What a message to a server says that takes any bytes: which run, who, the how many'th, when it
//! was due and when it was sent.
//!
//! ```text
//!  "swarmraw"  run  sender  number  due  sent  CRC-32 of these   'x', up to the wanted size
//!      8        8     4       4      8     8         4           numbers big-endian
//! ```
//!
//! Knows no connection and judges nothing but the bytes.

use kith::clock::Moment;

use crate::bounds::RAW_LEAST;
use crate::payload::{Run, Which};

const MAGIC: [u8; 8] = *b"swarmraw";
/// What fills a message up, in the pieces in which it is compared.
const FILL: [u8; 1024] = [b'x'; 1024];

/// What bytes are to a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reading {
    /// A message of this run.
    Ours(Which, Times),
    /// A message of this run, of which the marker came whole, and the rest not as it was sent.
    AlteredOf(Which),
    /// It begins like one, and its marker is not as it was sent.
    Altered,
    /// A message of another run.
    Foreign,
    /// Somebody's.
    Stranger,
}

/// When a message was to be said, and when it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Times {
    /// When it was to be said.
    pub due: Moment,
    /// When it was.
    pub sent: Moment,
}

/// Appends a message of exactly `size` bytes, from [`RAW_LEAST`] on.
pub fn write(run: Run, which: Which, times: Times, size: usize, into: &mut Vec<u8>) {
    let mut marker = [0; RAW_LEAST];
    marker[..8].copy_from_slice(&MAGIC);
    marker[8..16].copy_from_slice(&run.0.to_be_bytes());
    marker[16..20].copy_from_slice(&which.sender.to_be_bytes());
    marker[20..24].copy_from_slice(&which.number.to_be_bytes());
    marker[24..32].copy_from_slice(&times.due.0.to_be_bytes());
    marker[32..40].copy_from_slice(&times.sent.0.to_be_bytes());
    let sum = crc32fast::hash(&marker[..40]);
    marker[40..].copy_from_slice(&sum.to_be_bytes());
    into.extend_from_slice(&marker);
    into.resize(into.len() + size.saturating_sub(RAW_LEAST), b'x');
}

/// What these bytes are, if messages of this run have `size` of them.
pub fn read(run: Run, bytes: &[u8], size: usize) -> Reading {
    if !bytes.starts_with(&MAGIC) {
        return Reading::Stranger;
    }
    let Some((marker, rest)) = bytes.split_first_chunk::<RAW_LEAST>() else {
        return Reading::Altered;
    };
    let long = |at| u64::from_be_bytes(std::array::from_fn(|n| marker[at + n]));
    let short = |at| u32::from_be_bytes(std::array::from_fn(|n| marker[at + n]));
    if short(40) != crc32fast::hash(&marker[..40]) {
        return Reading::Altered;
    }
    if long(8) != run.0 {
        return Reading::Foreign;
    }
    let which = Which {
        sender: short(16),
        number: short(20),
    };
    let mut pieces = rest.chunks(FILL.len());
    if bytes.len() != size || !pieces.all(|piece| *piece == FILL[..piece.len()]) {
        return Reading::AlteredOf(which);
    }
    let times = Times {
        due: Moment(long(24)),
        sent: Moment(long(32)),
    };
    Reading::Ours(which, times)
}

#[cfg(test)]
mod tests {
    use super::*;

    const RUN: Run = Run(0xc0ffee);
    const WHICH: Which = Which {
        sender: 1,
        number: 2,
    };
    const TIMES: Times = Times {
        due: Moment(3),
        sent: Moment(4),
    };

    fn written(run: Run, size: usize) -> Vec<u8> {
        let mut bytes = Vec::new();
        write(run, WHICH, TIMES, size, &mut bytes);
        bytes
    }

    #[test]
    fn a_message_is_read_as_it_was_written() {
        for size in [RAW_LEAST, 45, 128, 65_536] {
            let bytes = written(RUN, size);
            assert_eq!(bytes.len(), size);
            assert_eq!(read(RUN, &bytes, size), Reading::Ours(WHICH, TIMES));
        }
    }

    #[test]
    fn every_byte_that_changes_is_noticed() {
        let bytes = written(RUN, 2000);
        for at in 0..bytes.len() {
            let mut other = bytes.clone();
            other[at] ^= 4;
            let expected = match at {
                0..8 => Reading::Stranger,
                8..RAW_LEAST => Reading::Altered,
                _ => Reading::AlteredOf(WHICH),
            };
            assert_eq!(read(RUN, &other, 2000), expected, "{at}");
        }
        for (bytes, expected) in [
            (&bytes[..1999], Reading::AlteredOf(WHICH)),
            (&bytes[..RAW_LEAST - 1], Reading::Altered),
            (&written(Run(1), 2000), Reading::Foreign),
            (b"hello", Reading::Stranger),
        ] {
            assert_eq!(read(RUN, bytes, 2000), expected);
        }
    }
}
