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
