//! Where one frame ends and the next begins (RFC 6455 section 5.2).
//!
//! Floor 2, part of `conn`. Walks over frame headers and skips payloads; judges nothing, because
//! that is tungstenite's. Thanks to it a connection is known to stand between two messages, and
//! needs no context there; nothing beyond one frame is ever fed to a context, so that what was not
//! delivered yet is still input.

/// How far into a frame, and into a message of several frames, the input has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Boundary {
    /// Once the header is whole: bytes of payload still to come. Before: its length field so far.
    left: u64,
    /// Frames of the message under way, none of them its last one.
    fragments: u32,
    /// Bytes seen of the header; 0 between two frames.
    seen: u8,
    /// Bytes of the header in all, and of these the ones before the mask; known from the second
    /// byte on.
    size: u8,
    unmasked_size: u8,
    first: u8,
}

impl Boundary {
    /// Goes on through `input`, at most to the end of one frame; returns how many bytes of it
    /// belong to that frame.
    pub(super) fn follow(&mut self, input: &[u8]) -> usize {
        let mut used = 0;
        while self.seen < 2 || self.seen < self.size {
            let Some(&byte) = input.get(used) else {
                return used;
            };
            used += 1;
            self.header_byte(byte);
        }
        let here = self.left.min((input.len() - used) as u64);
        self.left -= here;
        if self.left == 0 {
            self.end_frame();
        }
        used + here as usize
    }

    /// Whether the last byte seen was the last one of a whole message, or of a control frame
    /// between two messages.
    pub(super) const fn at_rest(&self) -> bool {
        self.seen == 0 && self.fragments == 0
    }

    /// Frames of the unfinished message.
    pub(super) const fn fragments(&self) -> u32 {
        self.fragments
    }

    /// Bytes that the frame under way still lacks, as far as its header is known.
    pub(super) const fn left(&self) -> u64 {
        self.left
    }

    fn header_byte(&mut self, byte: u8) {
        match self.seen {
            0 => self.first = byte,
            1 => {
                let extended = match byte & 0x7f {
                    126 => 2,
                    127 => 8,
                    _ => 0,
                };
                self.left = if extended == 0 {
                    u64::from(byte & 0x7f)
                } else {
                    0
                };
                self.unmasked_size = 2 + extended;
                self.size = self.unmasked_size + if byte & 0x80 == 0 { 0 } else { 4 };
            }
            at if at < self.unmasked_size => self.left = self.left << 8 | u64::from(byte),
            _ => {}
        }
        self.seen += 1;
    }

    fn end_frame(&mut self) {
        self.seen = 0;
        self.size = 0;
        let control = self.first & 0x8 != 0;
        if !control {
            let last = self.first & 0x80 != 0;
            self.fragments = if last {
                0
            } else {
                self.fragments.saturating_add(1)
            };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How many bytes belong to the frame that `bytes` begins with, seen at once and one by one.
    fn frame_of(bytes: &[u8]) -> usize {
        let mut whole = Boundary::default();
        let len = whole.follow(bytes);
        let mut single = Boundary::default();
        let by_one: usize = bytes[..len].chunks(1).map(|byte| single.follow(byte)).sum();
        assert_eq!((by_one, single), (len, whole));
        len
    }

    #[test]
    fn a_frame_ends_where_its_length_says() {
        for (header, len) in [
            (&[0x81, 0x80, 1, 2, 3, 4][..], 0),
            (&[0x81, 0x85, 1, 2, 3, 4], 5),
            (&[0x81, 0xfe, 0, 126, 1, 2, 3, 4], 126),
            (&[0x81, 0xfe, 1, 0, 1, 2, 3, 4], 256),
            (&[0x81, 0xff, 0, 0, 0, 0, 0, 1, 0, 0, 1, 2, 3, 4], 65_536),
            (&[0x81, 0x05], 5),
        ] {
            let frame = [header, &vec![0; len]].concat();
            let followed = [&frame[..], b"the next one"].concat();
            assert_eq!(frame_of(&followed), frame.len(), "{header:?}");
        }
    }

    #[test]
    fn only_a_whole_message_is_rest() {
        let mut boundary = Boundary::default();
        for (frame, at_rest, fragments) in [
            (&[0x81, 0x80, 1, 2, 3, 4][..], true, 0),
            (&[0x01, 0x80, 1, 2, 3, 4], false, 1),
            (&[0x89, 0x80, 1, 2, 3, 4], false, 1),
            (&[0x00, 0x80, 1, 2, 3, 4], false, 2),
            (&[0x80, 0x80, 1, 2, 3], false, 2),
            (&[4], true, 0),
            (&[0x89, 0x80, 1, 2, 3, 4], true, 0),
            (&[0x81], false, 0),
        ] {
            assert_eq!(boundary.follow(frame), frame.len());
            assert_eq!(
                (boundary.at_rest(), boundary.fragments()),
                (at_rest, fragments),
                "{frame:?}"
            );
        }
    }

    #[test]
    fn the_longest_announcement_does_not_wrap() {
        let mut boundary = Boundary::default();
        let header = [&[0x82, 0xff][..], &[0xff; 8], &[1, 2, 3, 4], b"begin"].concat();
        assert_eq!(boundary.follow(&header), header.len());
        assert_eq!(boundary.left(), u64::MAX - 5);
        assert!(!boundary.at_rest());
    }
}
