//! What waits to be written to one peer.
//!
//! Floor 2, part of `conn`. A queue of whole frames, counted in bytes. Small frames are appended to
//! the tail, large ones are queued by reference; buffers come from a pool that all connections of a
//! loop share and go back when the peer has taken them, so that an empty outbox owns no heap. What
//! is taken moves an offset and no bytes. What goes to many stands in a segment that all their
//! outboxes share (`segments.rs`), and here is only which stretch of it. Knows no socket: the loop
//! writes what [`Conn::slices`](super::Conn::slices) shows.
//!
//! ```text
//!   pieces (only if there is a large frame, or much)   tail                      run
//!   [copied 16 KiB][shared 64 KiB][run 16 KiB] ...     [small frames, appended]  [of a segment]
//!    ^ head: bytes of the first one that the peer has taken
//! ```

use std::collections::VecDeque;
use std::fmt;
use std::io::IoSlice;

use bytes::Bytes;

use crate::conn::buffers::Buffers;
use crate::conn::frame::{Frame, PONG};
use crate::conn::segments::{Run, Segments};
use crate::limits::{OUTBOX_CHUNK, PONG_ROOM, SHARE_ABOVE, WRITE_PIECES};

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
    /// At most the hard limit and what few words end a connection.
    waiting: u32,
    /// Comes last.
    run: Run,
    /// Always less than the length of what it counts in; 0 if that is `run`, which moves itself.
    head: u32,
    /// The length of the pong that stands last in the tail, not a byte of it taken; 0 if none does.
    pong: u8,
}

enum Piece {
    Copied(Vec<u8>),
    Shared(Bytes),
    Run(Run),
}

impl Outbox {
    /// Bytes that wait.
    pub const fn len(&self) -> usize {
        self.waiting as usize
    }

    /// Whether none do.
    pub const fn is_empty(&self) -> bool {
        self.waiting == 0
    }

    /// Bytes ever queued. A pong that a later one replaced is not counted.
    pub const fn enqueued(&self) -> u64 {
        self.enqueued
    }

    /// All that waits, if it stands in one piece, as it does before nearly every write.
    #[inline]
    pub(super) fn whole<'a>(&'a self, segments: &'a Segments) -> Option<&'a [u8]> {
        match (&self.pieces, self.tail.is_empty(), self.run.is_empty()) {
            (None, true, _) => Some(segments.bytes(self.run)),
            (None, false, true) => Some(&self.tail[self.head as usize..]),
            _ => None,
        }
    }

    /// The first pieces that wait, for one `writev`; returns how many there are.
    pub(super) fn slices<'a>(
        &'a self,
        segments: &'a Segments,
        into: &mut [IoSlice<'a>; WRITE_PIECES],
    ) -> usize {
        let mut head = self.head as usize;
        let mut count = 0;
        let pieces = self.pieces.iter().flat_map(|pieces| pieces.iter());
        let pieces = pieces.map(|piece| piece.bytes(segments));
        for bytes in pieces.chain([&self.tail[..], segments.bytes(self.run)]) {
            if bytes.is_empty() {
                continue;
            }
            if count == WRITE_PIECES {
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
        self.tail.capacity() == 0 && self.pieces.is_none() && self.run.is_empty()
    }

    pub(super) fn push(&mut self, frame: &Frame<'_>, buffers: &mut Buffers) {
        match frame {
            Frame::Copied(bytes) => self.append(bytes, buffers),
            Frame::Shared(bytes) => self.share(bytes.clone(), buffers),
        }
    }

    /// Queues what stands in a segment.
    #[inline]
    pub(super) fn follow(&mut self, run: Run, buffers: &mut Buffers) {
        if self.run.continues(run) {
            self.run.to = run.to;
        } else {
            self.seal_run(buffers);
            buffers.segments.hold(run);
            self.run = run;
        }
        self.count(run.len());
    }

    /// Copies `bytes` behind everything else.
    #[inline]
    pub(super) fn append(&mut self, bytes: &[u8], buffers: &mut Buffers) {
        if !self.run.is_empty() {
            self.seal_run(buffers);
        }
        self.copy(bytes, buffers);
        self.count(bytes.len());
    }

    #[inline]
    const fn count(&mut self, bytes: usize) {
        self.enqueued += bytes as u64;
        self.waiting += bytes as u32;
        self.pong = 0;
    }

    #[inline]
    fn copy(&mut self, bytes: &[u8], buffers: &mut Buffers) {
        if self.tail.len() + bytes.len() > self.tail.capacity() {
            self.make_room(bytes.len(), buffers);
        }
        self.tail.extend_from_slice(bytes);
    }

    /// Queues `bytes` by reference.
    pub(super) fn share(&mut self, bytes: Bytes, buffers: &mut Buffers) {
        if bytes.is_empty() {
            return;
        }
        self.seal_run(buffers);
        self.seal_tail();
        self.count(bytes.len());
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
            self.waiting -= u32::from(self.pong);
        }
        self.append(frame, buffers);
        if pong {
            self.pong = u8::try_from(frame.len()).unwrap_or(0);
        }
    }

    /// Notes that the peer's kernel took the first `count` bytes.
    pub(super) fn advance(&mut self, count: usize, buffers: &mut Buffers) {
        debug_assert!(count <= self.len());
        self.waiting -= count as u32;
        if self.len() < usize::from(self.pong) {
            self.pong = 0;
        }
        let mut head = self.head as usize + count;
        while let Some(pieces) = &mut self.pieces {
            let Some(first) = pieces.front().map(Piece::len) else {
                self.pieces = None;
                break;
            };
            if head < first {
                self.head = head as u32;
                return;
            }
            head -= first;
            match pieces.pop_front() {
                Some(Piece::Copied(buffer)) => buffers.give(buffer),
                Some(Piece::Run(run)) => buffers.segments.release(run),
                Some(Piece::Shared(_)) | None => {}
            }
        }
        if head < self.tail.len() {
            self.head = head as u32;
            return;
        }
        head -= self.tail.len();
        self.head = 0;
        buffers.give(std::mem::take(&mut self.tail));
        if head > 0 {
            self.run.from += head as u16;
            if self.run.is_empty() {
                buffers.segments.release(std::mem::take(&mut self.run));
            }
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

    /// Something else follows the run. A short one is copied, which is cheaper than a piece, and
    /// lets go of the segment.
    fn seal_run(&mut self, buffers: &mut Buffers) {
        let run = std::mem::take(&mut self.run);
        if run.is_empty() {
            return;
        }
        if run.len() > SHARE_ABOVE {
            self.seal_tail();
            self.pieces
                .get_or_insert_default()
                .push_back(Piece::Run(run));
            return;
        }
        if self.tail.len() + run.len() > self.tail.capacity() {
            self.make_room(run.len(), buffers);
        }
        self.tail.extend_from_slice(buffers.segments.bytes(run));
        buffers.segments.release(run);
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
    fn bytes<'a>(&'a self, segments: &'a Segments) -> &'a [u8] {
        match self {
            Self::Copied(bytes) => bytes,
            Self::Shared(bytes) => bytes,
            Self::Run(run) => segments.bytes(*run),
        }
    }

    fn len(&self) -> usize {
        match self {
            Self::Copied(bytes) => bytes.len(),
            Self::Shared(bytes) => bytes.len(),
            Self::Run(run) => run.len(),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::conn::segments::Writer;
    use crate::limits::OUTBOX_FIRST;

    #[test]
    fn an_empty_outbox_owns_no_heap_and_its_buffer_serves_the_next() {
        let mut buffers = Buffers::default();
        let (mut one, mut other) = (Outbox::default(), Outbox::default());
        one.append(b"hello", &mut buffers);
        one.share(Bytes::from_static(b"shared"), &mut buffers);
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
            out.share(Bytes::copy_from_slice(&[n, n]), &mut buffers);
        }
        let mut left = 3 * WRITE_PIECES;
        let mut expected = (0..WRITE_PIECES as u8).flat_map(|n| [n; 3]);
        while !out.is_empty() {
            let mut pieces = [IoSlice::new(&[]); WRITE_PIECES];
            let count = out.slices(&buffers.segments, &mut pieces);
            assert!(count <= WRITE_PIECES);
            assert_eq!(Some(pieces[0][0]), expected.next());
            out.advance(1, &mut buffers);
            left -= 1;
            assert_eq!(out.len(), left);
        }
        assert_eq!((left, out.enqueued()), (0, 3 * WRITE_PIECES as u64));
    }

    /// What happens to an outbox.
    #[derive(Clone, Debug)]
    enum Doing {
        /// A frame for this one alone.
        Append(usize),
        /// A frame for many, which this one hears, or does not.
        Many(usize, bool),
        /// A large frame.
        Share(usize),
        /// The kernel takes so much.
        Take(usize),
    }

    fn doing() -> impl Strategy<Value = Doing> {
        prop_oneof![
            2 => (1..300_usize).prop_map(Doing::Append),
            6 => (1..3_000_usize, prop::bool::weighted(0.9)).prop_map(|(n, heard)| Doing::Many(n, heard)),
            1 => (1..9_000_usize).prop_map(Doing::Share),
            3 => (0..20_000_usize).prop_map(Doing::Take),
        ]
    }

    /// Takes as much as one `writev` would, at most `room` bytes, and compares it.
    fn take(out: &mut Outbox, buffers: &mut Buffers, room: usize, expected: &mut VecDeque<u8>) {
        let mut pieces = [IoSlice::new(&[]); WRITE_PIECES];
        let count = out.slices(&buffers.segments, &mut pieces);
        let shown: Vec<u8> = pieces[..count]
            .iter()
            .flat_map(|piece| piece.iter().copied())
            .collect();
        assert!(
            out.whole(&buffers.segments)
                .is_none_or(|whole| whole == shown)
        );
        let taken = room.min(shown.len());
        let wanted: Vec<u8> = expected.drain(..taken).collect();
        assert_eq!(shown[..taken], wanted);
        out.advance(taken, buffers);
        assert_eq!(out.len(), expected.len());
    }

    proptest! {
        #![proptest_config(ProptestConfig {
            cases: 200,
            failure_persistence: None,
            ..ProptestConfig::default()
        })]

        /// Two outboxes on one pool, so that segments are held in turn.
        #[test]
        fn bytes_leave_in_the_order_they_came_and_every_segment_comes_back(
            steps in prop::collection::vec((0..2_usize, doing()), 1..200),
        ) {
            let (mut buffers, mut writer) = (Buffers::default(), Writer::default());
            let mut outs = [Outbox::default(), Outbox::default()];
            let mut expected = [VecDeque::new(), VecDeque::new()];
            for (n, (which, doing)) in steps.into_iter().enumerate() {
                let byte = n as u8;
                match doing {
                    Doing::Append(len) => {
                        outs[which].append(&vec![byte; len], &mut buffers);
                        expected[which].extend(vec![byte; len]);
                    }
                    Doing::Many(len, both) => {
                        let run = buffers.segments.append(&mut writer, &vec![byte; len]).unwrap();
                        for it in 0..2 {
                            if both || it == which {
                                outs[it].follow(run, &mut buffers);
                                expected[it].extend(vec![byte; len]);
                            }
                        }
                    }
                    Doing::Share(len) => {
                        outs[which].share(vec![byte; len].into(), &mut buffers);
                        expected[which].extend(vec![byte; len]);
                    }
                    Doing::Take(room) => {
                        take(&mut outs[which], &mut buffers, room, &mut expected[which]);
                    }
                }
            }
            outs[0].clear(&mut buffers);
            while !outs[1].is_empty() {
                take(&mut outs[1], &mut buffers, usize::MAX, &mut expected[1]);
            }
            assert!(outs.iter().all(Outbox::owns_no_heap));
            assert!(buffers.segments.held() <= 1, "only by the writer");
        }
    }
}
