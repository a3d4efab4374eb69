//! What the outboxes of one loop share.
//!
//! Floor 2, part of `conn`. The segments of what goes to many, and empty buffers that are kept for
//! the next outbox that needs one: at most [`OUTBOX_POOL`] bytes in all, and after [`Buffers::trim`]
//! only as many as were in use at once since the time before.

use crate::conn::segments::Segments;
use crate::limits::{OUTBOX_CHUNK, OUTBOX_FIRST, OUTBOX_POOL};

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Buffers {
    pub(super) segments: Segments,
    pub(super) free: Vec<Vec<u8>>,
    pub(super) bytes: usize,
    /// How many have not been taken since the last [`Buffers::trim`].
    spare: usize,
}

impl Buffers {
    /// Frees what was not needed since the last time.
    pub(super) fn trim(&mut self) {
        let unused = self.free.drain(..self.spare);
        self.bytes -= unused.map(|buffer| buffer.capacity()).sum::<usize>();
        self.spare = self.free.len();
    }

    /// An empty buffer.
    pub(super) fn take(&mut self) -> Vec<u8> {
        let buffer = self.free.pop();
        self.spare = self.spare.min(self.free.len());
        self.bytes -= buffer.as_ref().map_or(0, Vec::capacity);
        buffer.unwrap_or_else(|| Vec::with_capacity(OUTBOX_FIRST))
    }

    /// A buffer that is not needed any more.
    pub(super) fn give(&mut self, mut buffer: Vec<u8>) {
        let size = buffer.capacity();
        if size > 0 && size <= OUTBOX_CHUNK && self.bytes + size <= OUTBOX_POOL {
            buffer.clear();
            self.bytes += size;
            self.free.push(buffer);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pool_is_bounded_and_keeps_no_large_buffer() {
        let mut buffers = Buffers::default();
        buffers.give(Vec::with_capacity(OUTBOX_CHUNK + 1));
        assert_eq!(buffers.bytes, 0);
        for _ in 0..2 * OUTBOX_POOL / OUTBOX_CHUNK {
            buffers.give(Vec::with_capacity(OUTBOX_CHUNK));
        }
        assert_eq!(buffers.bytes, OUTBOX_POOL);
    }
}
