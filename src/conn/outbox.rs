//! What waits to be written to one peer.
//!
//! Floor 2, part of `conn`. A queue of whole frames, counted in bytes. Small frames are appended to
//! the tail, large ones are queued by reference; buffers come from a pool that all connections of a
//! loop share and go back when the peer has taken them, so that an empty outbox owns no heap. What
//! is taken moves an offset and no bytes. Knows no socket: the loop writes what [`Outbox::slices`]
//! shows.
//!
//! ```text
//!   pieces (only if there is a large frame, or much)         tail
//!   [copied 16 KiB][shared 64 KiB][copied ..] ...            [small frames, appended]
//!    ^ head: bytes of the first one that the peer has taken
//! ```

use std::collections::VecDeque;
use std::fmt;
use std::io::IoSlice;

use bytes::Bytes;

use crate::conn::frame::{Frame, PONG};
use crate::limits::{OUTBOX_CHUNK, OUTBOX_FIRST, OUTBOX_POOL, PONG_ROOM, WRITE_PIECES};

/// The queue. See the module.
#[derive(Default)]
pub struct Outbox {
    tail: Vec<u8>,
    #[expect(
        clippy::box_collection,
        reason = "8 bytes instead of 32, because few connections ever have more than a tail"
    )]
    pieces: Option<Box<VecDeque<Piece>>>,
    enqueued: u64,
    taken: u64,
    /// Always less than the length of what it counts in.
    head: u32,
    /// The length of the pong that stands last in the tail, not a byte of it taken; 0 if none does.
    pong: u8,
}

enum Piece {
    Copied(Vec<u8>),
    Shared(Bytes),
}

impl Outbox {
    /// Bytes that wait.
    pub const fn len(&self) -> usize {
        (self.enqueued - self.taken) as usize
    }

    /// Whether none do.
    pub const fn is_empty(&self) -> bool {
        self.enqueued == self.taken
    }

    /// Bytes ever queued. A pong that a later one replaced is not counted.
    pub const fn enqueued(&self) -> u64 {
        self.enqueued
    }

    /// The first pieces that wait, for one `writev`; returns how many there are.
    pub fn slices<'a>(&'a self, into: &mut [IoSlice<'a>; WRITE_PIECES]) -> usize {
        let mut head = self.head as usize;
        let mut count = 0;
        let pieces = self.pieces.iter().flat_map(|pieces| pieces.iter());
        for bytes in pieces.map(Piece::bytes).chain([&self.tail[..]]) {
            if count == WRITE_PIECES || bytes.is_empty() {
                break;
            }
            into[count] = IoSlice::new(&bytes[head..]);
            head = 0;
            count += 1;
        }
        count
    }

    /// Whether only the struct itself is allocated.
    #[cfg(test)]
    pub(super) const fn owns_no_heap(&self) -> bool {
        self.tail.capacity() == 0 && self.pieces.is_none()
    }

    pub(super) fn push(&mut self, frame: &Frame<'_>, buffers: &mut Buffers) {
        match frame {
            Frame::Copied(bytes) => self.append(bytes, buffers),
            Frame::Shared(bytes) => self.share(bytes.clone()),
        }
    }

    /// Copies `bytes` behind everything else.
    #[inline]
    pub(super) fn append(&mut self, bytes: &[u8], buffers: &mut Buffers) {
        if self.tail.len() + bytes.len() > self.tail.capacity() {
            self.make_room(bytes.len(), buffers);
        }
        self.tail.extend_from_slice(bytes);
        self.enqueued += bytes.len() as u64;
        self.pong = 0;
    }

    /// Queues `bytes` by reference.
    pub(super) fn share(&mut self, bytes: Bytes) {
        if bytes.is_empty() {
            return;
        }
        self.seal_tail();
        self.enqueued += bytes.len() as u64;
        self.pong = 0;
        self.pieces
            .get_or_insert_default()
            .push_back(Piece::Shared(bytes));
    }

    /// Appends one whole frame that tungstenite made. Once [`PONG_ROOM`] bytes wait, a pong takes
    /// the place of one that waits at the end: RFC 6455 section 5.5.3 asks for an answer to the
    /// latest ping only, and somebody who pings without reading gets no more than that.
    pub(super) fn append_control(&mut self, frame: &[u8], buffers: &mut Buffers) {
        let pong = frame.first() == Some(&PONG);
        if pong && self.pong > 0 && self.len() + frame.len() > PONG_ROOM {
            self.tail.truncate(self.tail.len() - usize::from(self.pong));
            self.enqueued -= u64::from(self.pong);
        }
        self.append(frame, buffers);
        if pong {
            self.pong = u8::try_from(frame.len()).unwrap_or(0);
        }
    }

    /// Notes that the peer's kernel took the first `count` bytes.
    pub(super) fn advance(&mut self, count: usize, buffers: &mut Buffers) {
        debug_assert!(count <= self.len());
        self.taken += count as u64;
        if self.len() < usize::from(self.pong) {
            self.pong = 0;
        }
        let mut head = self.head as usize + count;
        while let Some(pieces) = &mut self.pieces {
            let Some(first) = pieces.front().map(|piece| piece.bytes().len()) else {
                self.pieces = None;
                break;
            };
            if head < first {
                self.head = head as u32;
                return;
            }
            head -= first;
            if let Some(Piece::Copied(buffer)) = pieces.pop_front() {
                buffers.give(buffer);
            }
        }
        if head < self.tail.len() {
            self.head = head as u32;
        } else {
            self.head = 0;
            buffers.give(std::mem::take(&mut self.tail));
        }
    }

    /// Drops everything that waits.
    pub(super) fn clear(&mut self, buffers: &mut Buffers) {
        self.advance(self.len(), buffers);
    }

    /// A tail never grows beyond a chunk, except for a frame that is larger: then it is sealed and
    /// another one begun. So a queue that is filled and drained at the same time needs no memmove,
    /// and gives memory back as it drains.
    #[cold]
    fn make_room(&mut self, count: usize, buffers: &mut Buffers) {
        if self.tail.capacity() == 0 {
            self.tail = buffers.take();
        }
        if !self.tail.is_empty() && self.tail.len() + count > OUTBOX_CHUNK {
            self.seal_tail();
            self.tail = buffers.take();
        }
        self.tail.reserve(count);
    }

    fn seal_tail(&mut self) {
        if !self.tail.is_empty() {
            let tail = std::mem::take(&mut self.tail);
            self.pieces
                .get_or_insert_default()
                .push_back(Piece::Copied(tail));
        }
    }
}

impl fmt::Debug for Outbox {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Outbox")
            .field("len", &self.len())
            .field("enqueued", &self.enqueued)
            .finish_non_exhaustive()
    }
}

impl Piece {
    fn bytes(&self) -> &[u8] {
        match self {
            Self::Copied(bytes) => bytes,
            Self::Shared(bytes) => bytes,
        }
    }
}

/// Empty buffers, kept for the next outbox that needs one: at most [`OUTBOX_POOL`] bytes in all,
/// and after [`Buffers::trim`] only as many as were in use at once since the time before.
#[derive(Debug, Default)]
pub(super) struct Buffers {
    free: Vec<Vec<u8>>,
    bytes: usize,
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

    fn take(&mut self) -> Vec<u8> {
        let buffer = self.free.pop();
        self.spare = self.spare.min(self.free.len());
        self.bytes -= buffer.as_ref().map_or(0, Vec::capacity);
        buffer.unwrap_or_else(|| Vec::with_capacity(OUTBOX_FIRST))
    }

    fn give(&mut self, mut buffer: Vec<u8>) {
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
    fn an_empty_outbox_owns_no_heap_and_its_buffer_serves_the_next() {
        let mut buffers = Buffers::default();
        let (mut one, mut other) = (Outbox::default(), Outbox::default());
        one.append(b"hello", &mut buffers);
        one.share(Bytes::from_static(b"shared"));
        one.append(b"tail", &mut buffers);
        let buffer = one.tail.as_ptr();
        one.advance(one.len(), &mut buffers);
        assert!(one.owns_no_heap() && one.is_empty());
        assert_eq!((buffers.free.len(), buffers.bytes), (2, 2 * OUTBOX_FIRST));
        other.append(b"x", &mut buffers);
        assert_eq!(other.tail.as_ptr(), buffer);
        assert_eq!((buffers.free.len(), buffers.bytes), (1, OUTBOX_FIRST));
    }

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

    #[test]
    fn what_was_not_used_for_a_while_is_freed() {
        let mut buffers = Buffers::default();
        let mut many: Vec<Outbox> = (0..10).map(|_| Outbox::default()).collect();
        let mut use_some = |count: usize, buffers: &mut Buffers| {
            many[..count]
                .iter_mut()
                .for_each(|out| out.append(b"x", buffers));
            many[..count].iter_mut().for_each(|out| out.clear(buffers));
        };
        for (in_use, kept) in [(10, 10), (10, 10), (3, 3), (5, 5), (0, 0), (2, 2)] {
            use_some(in_use, &mut buffers);
            buffers.trim();
            assert_eq!(
                (buffers.free.len(), buffers.bytes),
                (kept, kept * OUTBOX_FIRST)
            );
        }
    }

    #[test]
    fn a_queue_that_is_never_quite_empty_does_not_grow() {
        let mut buffers = Buffers::default();
        let mut out = Outbox::default();
        let frame = [7; 1000];
        for _ in 0..10 {
            out.append(&frame, &mut buffers);
        }
        for _ in 0..10_000 {
            out.append(&frame, &mut buffers);
            out.advance(frame.len(), &mut buffers);
        }
        assert_eq!(out.len(), 10 * frame.len());
        assert!(out.tail.capacity() <= OUTBOX_CHUNK);
        assert!(out.pieces.map_or(0, |pieces| pieces.len()) <= 1);
    }

    #[test]
    fn pieces_are_shown_in_order_and_from_where_the_peer_stopped() {
        let mut buffers = Buffers::default();
        let mut out = Outbox::default();
        for n in 0..WRITE_PIECES as u8 {
            out.append(&[n], &mut buffers);
            out.share(Bytes::copy_from_slice(&[n, n]));
        }
        let mut left = 3 * WRITE_PIECES;
        let mut expected = (0..WRITE_PIECES as u8).flat_map(|n| [n; 3]);
        while !out.is_empty() {
            let mut pieces = [IoSlice::new(&[]); WRITE_PIECES];
            let count = out.slices(&mut pieces);
            assert!(count <= WRITE_PIECES);
            assert_eq!(Some(pieces[0][0]), expected.next());
            out.advance(1, &mut buffers);
            left -= 1;
            assert_eq!(out.len(), left);
        }
        assert_eq!((left, out.enqueued()), (0, 3 * WRITE_PIECES as u64));
    }
}
