//! Random tags for entries, drawn a handful at a time.
//!
//! Floor 2. One system call per entry was an eighth of the writer's time; a tag is no secret, so
//! that those for the next entries may lie in memory.

use crate::ids::{Entropy, Tag};
use crate::limits::GROUP_COMMANDS;

/// An endless supply of tags.
#[derive(Debug)]
pub(super) struct Tags {
    entropy: Entropy,
    drawn: [u8; GROUP_COMMANDS * 4],
    used: usize,
}

impl Tags {
    pub(super) const fn new(entropy: Entropy) -> Self {
        let drawn = [0; GROUP_COMMANDS * 4];
        Self {
            entropy,
            drawn,
            used: drawn.len(),
        }
    }

    /// The next one.
    pub(super) fn draw(&mut self) -> Tag {
        if self.used == self.drawn.len() {
            self.entropy.fill(&mut self.drawn);
            self.used = 0;
        }
        let mut tag = [0; 4];
        tag.copy_from_slice(&self.drawn[self.used..self.used + 4]);
        self.used += 4;
        Tag(u32::from_le_bytes(tag))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tag_is_handed_out_once() {
        let mut tags = Tags::new(Entropy::Seeded(1));
        let mut drawn: Vec<u32> = (0..3 * GROUP_COMMANDS).map(|_| tags.draw().0).collect();
        drawn.sort_unstable();
        drawn.dedup();
        // 768 of 2^32: with this seed no two are alike.
        assert_eq!(drawn.len(), 3 * GROUP_COMMANDS);
    }
}
