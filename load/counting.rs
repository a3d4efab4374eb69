//! Counting without reading: walks over the headers of a server's frames (RFC 6455 section 5.2) and
//! counts the messages of which only the number matters.
//!
//! One thread takes ten million of them a second so: no byte of such a message is copied, and of
//! its payload the first two bytes at most are looked at. Whatever else comes (pings, the end,
//! messages of another kind, a message in pieces, nonsense) is passed on as it is, to be read by
//! whoever reads for those who do not count. Knows no protocol and no connection.

/// Which messages are counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Counted {
    /// All.
    All,
    /// Those whose payload begins with these bytes.
    Beginning([u8; 2]),
}

/// One connection's way through what it is sent.
#[derive(Clone, Copy, Debug)]
pub struct Counter {
    counted: Counted,
    /// Bytes of the frame under way that are still to come, and what becomes of them.
    left: u64,
    passing: bool,
    /// The beginning of a frame that is not understood yet.
    head: [u8; HEAD],
    have: u8,
    messages: u64,
}

/// The longest header, with the mask that no server sends, and two bytes of payload.
const HEAD: usize = 16;

/// How a frame begins.
struct Frame {
    /// All of it.
    len: u64,
    counts: bool,
}

impl Counter {
    /// At the beginning of a frame.
    pub const fn new(counted: Counted) -> Self {
        Self {
            counted,
            left: 0,
            passing: false,
            head: [0; HEAD],
            have: 0,
            messages: 0,
        }
    }

    /// Messages that were counted since the last call.
    pub const fn take(&mut self) -> u64 {
        std::mem::replace(&mut self.messages, 0)
    }

    /// Goes through what came, and passes on what is to be read: whole frames, but not in one
    /// piece each.
    pub fn walk(&mut self, mut input: &[u8], mut pass: impl FnMut(&[u8])) {
        while !input.is_empty() {
            if self.left > 0 {
                let here = self.left.min(input.len() as u64) as usize;
                let (part, rest) = input.split_at(here);
                if self.passing {
                    pass(part);
                }
                self.left -= here as u64;
                input = rest;
            } else if self.have > 0 {
                input = self.complete(input, &mut pass);
            } else {
                match self.look(input) {
                    Some(Frame { len, counts: true }) => {
                        self.messages += 1;
                        match input.get(len as usize..) {
                            Some(rest) => input = rest,
                            None => {
                                (self.left, self.passing) = (len - input.len() as u64, false);
                                return;
                            }
                        }
                    }
                    Some(Frame { len, .. }) => (self.left, self.passing) = (len, true),
                    None => {
                        self.head[..input.len()].copy_from_slice(input);
                        self.have = input.len() as u8;
                        return;
                    }
                }
            }
        }
    }

    /// Goes on with a frame of which only the beginning has come, byte by byte.
    fn complete<'a>(&mut self, input: &'a [u8], pass: &mut impl FnMut(&[u8])) -> &'a [u8] {
        let Some((byte, rest)) = input.split_first() else {
            return input;
        };
        let have = usize::from(self.have) + 1;
        self.head[have - 1] = *byte;
        self.have = have as u8;
        let head = self.head;
        if let Some(Frame { len, counts }) = self.look(&head[..have]) {
            self.have = 0;
            // Of a frame that is decided upon at its last byte nothing is left.
            (self.left, self.passing) = (len - have as u64, !counts);
            if counts {
                self.messages += 1;
            } else {
                pass(&head[..have]);
            }
        }
        rest
    }

    /// What the input begins with; `None` if there is too little of it.
    #[inline]
    fn look(&self, input: &[u8]) -> Option<Frame> {
        let [first, second, ..] = *input else {
            return None;
        };
        let (payload, at) = match second & 0x7f {
            126 => {
                let bytes = input.get(2..4)?.try_into().ok()?;
                (u64::from(u16::from_be_bytes(bytes)), 4)
            }
            127 => (u64::from_be_bytes(input.get(2..10)?.try_into().ok()?), 10),
            len => (u64::from(len), 2),
        };
        let masked = second & 0x80 != 0;
        let at = if masked { at + 4 } else { at };
        // A message in one piece, of text or of bytes.
        let message = matches!(first, 0x81 | 0x82) && !masked;
        let counts = message
            && match self.counted {
                Counted::All => true,
                Counted::Beginning(_) if payload < 2 => false,
                Counted::Beginning(bytes) => input.get(at..at + 2)? == bytes,
            };
        // A length beyond what there can be is for whoever judges frames.
        let len = payload.saturating_add(at as u64);
        Some(Frame { len, counts })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Header and payload of a frame with this first byte.
    fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
        let mut bytes = vec![first];
        match payload.len() {
            len @ 0..=125 => bytes.push(len as u8),
            len @ 126..=0xffff => {
                bytes.push(126);
                bytes.extend_from_slice(&(len as u16).to_be_bytes());
            }
            len => {
                bytes.push(127);
                bytes.extend_from_slice(&(len as u64).to_be_bytes());
            }
        }
        bytes.extend_from_slice(payload);
        bytes
    }

    /// Feeds it in chunks of every size; so many are counted, and this is passed on.
    fn check(counted: Counted, frames: &[Vec<u8>], expected: u64, passed: &[Vec<u8>]) {
        let bytes = frames.concat();
        let sizes = (1..40).chain([4096, bytes.len().max(1)]);
        for size in sizes {
            let mut counter = Counter::new(counted);
            let mut found = Vec::new();
            for chunk in bytes.chunks(size) {
                counter.walk(chunk, |part| found.extend_from_slice(part));
            }
            assert_eq!(counter.take(), expected, "{size}");
            assert!(found == passed.concat(), "{size}");
            assert_eq!(counter.take(), 0);
        }
    }

    #[test]
    fn messages_are_counted_and_everything_else_is_passed_on() {
        let sizes = [0, 1, 2, 125, 126, 128, 65_535, 65_536];
        let messages: Vec<_> = sizes.map(|len| frame(0x82, &vec![7; len])).into();
        check(Counted::All, &messages, 8, &[]);
        check(Counted::All, &[], 0, &[]);
        let ping = frame(0x89, b"position");
        let pieces = [frame(0x02, b"a"), frame(0x80, b"b")];
        let close = frame(0x88, &[3, 232]);
        let mixed = [
            frame(0x81, b"text"),
            ping.clone(),
            pieces[0].clone(),
            ping.clone(),
            pieces[1].clone(),
            frame(0x82, &[1; 300]),
            close.clone(),
        ];
        let [first, second] = pieces;
        check(
            Counted::All,
            &mixed,
            2,
            &[ping.clone(), first, ping, second, close],
        );
    }

    #[test]
    fn only_messages_of_the_wanted_kind_are_counted() {
        let entries = [frame(0x82, &[0xf2, 0x01, 9, 9, 9])];
        let others = [
            frame(0x82, &[0xfa, 0x01, 9]),
            frame(0x82, &[0xf2]),
            frame(0x82, &[]),
            frame(0x82, &[0x08, 0xf2, 0x01]),
        ];
        let all = [&others[..], &entries, &others, &entries].concat();
        let passed = [&others[..], &others].concat();
        check(Counted::Beginning([0xf2, 0x01]), &all, 2, &passed);
    }

    #[test]
    fn nonsense_is_left_to_whoever_judges_it() {
        let masked = vec![0x82, 0x81, 1, 2, 3, 4, 5];
        let reserved = frame(0xc2, b"x");
        let endless = [vec![0x82, 127], vec![0xff; 8], vec![1; 50]].concat();
        check(
            Counted::All,
            &[masked.clone(), reserved.clone()],
            0,
            &[masked, reserved],
        );
        // Its length is no reason to pass it on; it is counted, and never ends.
        check(Counted::All, &[endless], 1, &[]);
    }
}
