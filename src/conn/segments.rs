//! Frames that go to many, stored once.
//!
//! Floor 2, part of `conn`. A fan-out appends its frame to a segment; the outbox of each listener
//! only notes which stretch of the segment it still has to send. Whoever hears everything notes one
//! stretch that grows: a delivery is an addition instead of a copy, ten thousand outboxes that wait
//! for the same entries hold one copy of them, and the kernel copies out of memory that is in the
//! cache. A segment is written anew once nobody needs it. The holders are counted by hand, because
//! a segment must be appendable while others refer to it, which no reference-counted slice allows.

use crate::limits::{OUTBOX_CHUNK, SEGMENTS, SEGMENTS_KEPT};

/// The segments of a loop.
#[derive(Debug, Default)]
pub(super) struct Segments {
    slots: Vec<Segment>,
    /// Slots that nobody holds and nobody writes to.
    free: Vec<u16>,
}

#[derive(Debug, Default)]
struct Segment {
    /// At most [`OUTBOX_CHUNK`], all frames together.
    bytes: Vec<u8>,
    /// Stretches in outboxes, and 1 for the writer while there is one.
    holders: u32,
}

/// A stretch of a segment. Whoever keeps one that is not empty holds the segment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Run {
    segment: u16,
    pub(super) from: u16,
    pub(super) to: u16,
}

impl Run {
    /// Bytes in it.
    pub const fn len(self) -> usize {
        (self.to - self.from) as usize
    }

    /// Whether there are none.
    pub const fn is_empty(self) -> bool {
        self.from == self.to
    }

    /// Whether `next` goes on where this one ends.
    pub(super) const fn continues(self, next: Self) -> bool {
        !self.is_empty() && self.segment == next.segment && self.to == next.from
    }
}

/// Who appends to a segment, one after the other.
#[derive(Debug, Default)]
pub(super) struct Writer {
    segment: Option<u16>,
}

impl Segments {
    /// Stores a frame of at most [`OUTBOX_CHUNK`] bytes; nobody holds it yet. `None` when all
    /// [`SEGMENTS`] are held.
    pub(super) fn append(&mut self, writer: &mut Writer, frame: &[u8]) -> Option<Run> {
        debug_assert!(frame.len() <= OUTBOX_CHUNK);
        let id = self.room(writer, frame.len())?;
        let bytes = &mut self.slots[id as usize].bytes;
        let from = bytes.len() as u16;
        bytes.extend_from_slice(frame);
        Some(Run {
            segment: id,
            from,
            to: bytes.len() as u16,
        })
    }

    /// The segment that the next `count` bytes go to.
    fn room(&mut self, writer: &mut Writer, count: usize) -> Option<u16> {
        if let Some(id) = writer.segment {
            let segment = &mut self.slots[id as usize];
            if segment.holders == 1 {
                segment.bytes.clear();
            }
            if segment.bytes.len() + count <= OUTBOX_CHUNK {
                return Some(id);
            }
            self.let_go(id);
            writer.segment = None;
        }
        let id = match self.free.pop() {
            Some(id) => id,
            None if self.slots.len() == SEGMENTS => return None,
            None => {
                self.slots.push(Segment::default());
                (self.slots.len() - 1) as u16
            }
        };
        let segment = &mut self.slots[id as usize];
        segment.holders = 1;
        // All of it at once: it is going to be filled.
        segment.bytes.reserve_exact(OUTBOX_CHUNK);
        writer.segment = Some(id);
        Some(id)
    }

    /// What is in a run that somebody holds, or that was appended just now.
    pub(super) fn bytes(&self, run: Run) -> &[u8] {
        match self.slots.get(run.segment as usize) {
            Some(segment) => &segment.bytes[usize::from(run.from)..usize::from(run.to)],
            // The empty run, before there is any segment.
            None => &[],
        }
    }

    /// Somebody keeps this run.
    pub(super) fn hold(&mut self, run: Run) {
        self.slots[run.segment as usize].holders += 1;
    }

    /// And now no more.
    pub(super) fn release(&mut self, run: Run) {
        self.let_go(run.segment);
    }

    fn let_go(&mut self, id: u16) {
        let segment = &mut self.slots[id as usize];
        debug_assert!(segment.holders > 0, "who releases a segment held it");
        segment.holders -= 1;
        if segment.holders == 0 {
            segment.bytes.clear();
            if self.free.len() >= SEGMENTS_KEPT {
                segment.bytes = Vec::new();
            }
            self.free.push(id);
        }
    }

    /// Segments that somebody holds.
    #[cfg(test)]
    pub(super) fn held(&self) -> usize {
        self.slots.iter().filter(|slot| slot.holders > 0).count()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_segment_is_written_anew_when_only_its_writer_is_left() {
        let (mut segments, mut writer) = (Segments::default(), Writer::default());
        let first = segments.append(&mut writer, b"hello").unwrap();
        segments.hold(first);
        let second = segments.append(&mut writer, b"world").unwrap();
        assert!(first.continues(second));
        assert_eq!(segments.bytes(first), b"hello");
        segments.release(first);
        let third = segments.append(&mut writer, b"again").unwrap();
        assert_eq!((third.from, third.to), (0, 5));
        assert_eq!(segments.bytes(third), b"again");
    }

    #[test]
    fn a_full_segment_is_followed_by_another_and_both_are_used_again() {
        let (mut segments, mut writer) = (Segments::default(), Writer::default());
        let frame = [7; OUTBOX_CHUNK / 2];
        let runs: Vec<Run> = (0..6)
            .map(|_| {
                let run = segments.append(&mut writer, &frame).unwrap();
                segments.hold(run);
                run
            })
            .collect();
        assert!(runs[0].continues(runs[1]) && !runs[1].continues(runs[2]));
        assert_eq!(segments.slots.len(), 3);
        for run in runs {
            assert_eq!(segments.bytes(run), frame);
            segments.release(run);
        }
        assert_eq!((segments.held(), segments.free.len()), (1, 2));
        for _ in 0..2 * SEGMENTS_KEPT {
            segments.append(&mut writer, &frame).unwrap();
        }
        assert_eq!(segments.slots.len(), 3);
    }

    #[test]
    fn what_is_held_and_what_is_kept_empty_is_bounded() {
        let (mut segments, mut writer) = (Segments::default(), Writer::default());
        let frame = [7; OUTBOX_CHUNK / 2 + 1];
        let mut runs = Vec::new();
        while let Some(run) = segments.append(&mut writer, &frame) {
            segments.hold(run);
            runs.push(run);
        }
        assert_eq!(runs.len(), SEGMENTS);
        runs.into_iter().for_each(|run| segments.release(run));
        assert_eq!(segments.held(), 0);
        let kept = segments
            .slots
            .iter()
            .filter(|slot| slot.bytes.capacity() > 0);
        assert_eq!(kept.count(), SEGMENTS_KEPT);
        assert!(segments.append(&mut writer, &frame).is_some());
    }
}
