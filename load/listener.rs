//! What one client has heard of a log, as places: how far, and what is missing before that.
//!
//! Knows no message and no connection.

use std::collections::VecDeque;

use crate::bounds::GAPS;

/// One client's way through the log.
#[derive(Clone, Debug, Default)]
pub struct Listener {
    /// Everything up to here was heard, announced as not coming, is in `gaps`, or was before its
    /// time. `None`: it was never in the room.
    at: Option<u64>,
    /// Of the last entry.
    tag: u32,
    /// Ranges that were passed over, both ends included, in order and apart.
    gaps: VecDeque<(u64, u64)>,
    /// Places in those ranges that there was no room for.
    forgotten: u64,
}

/// How an entry's place is to be taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// It is the next one, or passes some over.
    New,
    /// It was passed over before.
    Late,
    /// It was heard before, or was said before this client came.
    Again,
}

impl Listener {
    /// In the room behind this place.
    pub fn joined(head: u64, tag: u32) -> Self {
        Self {
            at: Some(head),
            tag,
            ..Self::default()
        }
    }

    /// Whether it ever was in the room.
    pub const fn is_in(&self) -> bool {
        self.at.is_some()
    }

    /// `(seq, tag)` of the last entry.
    pub fn cursor(&self) -> (u64, u32) {
        (self.at.unwrap_or_default(), self.tag)
    }

    /// Whether this place is the next.
    pub fn expects(&self, seq: u64) -> bool {
        self.at.is_some_and(|at| seq == at.saturating_add(1))
    }

    /// Takes an entry.
    pub fn heard(&mut self, seq: u64, tag: u32) -> Place {
        let at = self.at.unwrap_or_default();
        if seq > at {
            if seq - at > 1 {
                self.pass_over(at + 1, seq - 1);
            }
            (self.at, self.tag) = (Some(seq), tag);
            return Place::New;
        }
        if self.fill(seq) {
            Place::Late
        } else {
            Place::Again
        }
    }

    /// Its own message has this place. That stands for the entry if it is the next one; otherwise
    /// the client is behind, and will be brought the entry like everything before it.
    pub fn acknowledged(&mut self, seq: u64, tag: u32) {
        if self.expects(seq) {
            (self.at, self.tag) = (Some(seq), tag);
        }
    }

    /// Takes an announcement, with the tag of its last entry; returns how many entries it is about
    /// that were not heard before.
    pub fn hole(&mut self, from: u64, to: u64, tag: u32) -> u64 {
        let at = self.at.unwrap_or_default();
        if to <= at || to < from {
            return 0;
        }
        let from = from.max(at.saturating_add(1));
        if from - at > 1 {
            self.pass_over(at + 1, from - 1);
        }
        (self.at, self.tag) = (Some(to), tag);
        to - from + 1
    }

    /// Goes on behind this place, wherever it was.
    pub fn go_on(&mut self, head: u64, tag: u32) {
        (self.at, self.tag) = (Some(head), tag);
    }

    /// Somebody who only counts heard so many more entries, or was told that so many will not come.
    pub fn counted(&mut self, entries: u64) {
        self.at = self.at.map(|at| at.saturating_add(entries));
    }

    /// Somebody who only counts was away, and goes on behind this place: what was said meanwhile
    /// is lost.
    pub fn missed(&mut self, head: u64, tag: u32) {
        let at = self.at.unwrap_or(head);
        self.forgotten = self.forgotten.saturating_add(head.saturating_sub(at));
        self.go_on(head, tag);
    }

    /// Of somebody who only counts: how many entries up to `head` are too few, and too many.
    pub fn balance(&self, head: u64) -> (u64, u64) {
        let at = self.at.unwrap_or(head);
        let few = head.saturating_sub(at).saturating_add(self.forgotten);
        (few, at.saturating_sub(head))
    }

    /// Whether nothing up to `head` is missing; whoever never was in the room misses nothing.
    pub fn has_all(&self, head: u64) -> bool {
        self.at.is_none_or(|at| at >= head) && self.gaps.is_empty()
    }

    /// The ranges up to `head` that never came.
    pub fn missing(&self, head: u64) -> Vec<(u64, u64)> {
        let Some(at) = self.at else { return Vec::new() };
        let tail = (at < head).then(|| (at + 1, head));
        self.gaps.iter().copied().chain(tail).collect()
    }

    /// How many places never came that there was no room to remember.
    pub const fn forgotten(&self) -> u64 {
        self.forgotten
    }

    /// Whether anything after this place was heard.
    pub fn heard_beyond(&self, seq: u64) -> bool {
        self.at.is_some_and(|at| at > seq)
    }

    fn pass_over(&mut self, from: u64, to: u64) {
        if self.gaps.len() == GAPS
            && let Some((first, last)) = self.gaps.pop_front()
        {
            self.forgotten = self.forgotten.saturating_add(last - first + 1);
        }
        self.gaps.push_back((from, to));
    }

    /// Takes one place out of the gaps, if it is in one.
    fn fill(&mut self, seq: u64) -> bool {
        let after = self.gaps.partition_point(|(_, to)| *to < seq);
        let Some(&(from, to)) = self.gaps.get(after).filter(|(from, _)| *from <= seq) else {
            return false;
        };
        self.gaps.remove(after);
        if seq < to {
            self.gaps.insert(after, (seq + 1, to));
        }
        if from < seq {
            self.gaps.insert(after, (from, seq - 1));
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_passed_over_may_come_late_and_only_once() {
        let mut listener = Listener::joined(10, 0);
        for (seq, expected) in [
            (11, Place::New),
            (11, Place::Again),
            (16, Place::New),
            (14, Place::Late),
            (14, Place::Again),
            (10, Place::Again),
            (17, Place::New),
        ] {
            assert_eq!(listener.heard(seq, seq as u32), expected, "{seq}");
        }
        assert_eq!(listener.cursor(), (17, 17));
        assert_eq!(listener.missing(19), [(12, 13), (15, 15), (18, 19)]);
        for seq in [12, 13, 15] {
            assert_eq!(listener.heard(seq, 0), Place::Late);
        }
        assert_eq!(listener.missing(17), []);
        assert!(listener.has_all(17) && !listener.has_all(18));
    }

    #[test]
    fn a_hole_is_no_gap_and_an_acknowledgement_stands_for_the_entry() {
        let mut listener = Listener::joined(0, 0);
        assert_eq!(listener.hole(1, 5, 0), 5);
        assert_eq!(listener.hole(3, 5, 0), 0);
        assert_eq!(listener.hole(8, 9, 7), 2);
        assert_eq!(listener.cursor(), (9, 7));
        assert_eq!(listener.missing(9), [(6, 7)]);
        listener.acknowledged(10, 1);
        listener.acknowledged(12, 1);
        assert_eq!(listener.cursor(), (10, 1));
        assert_eq!(listener.heard(12, 1), Place::New);
        assert!(listener.heard_beyond(11) && !listener.heard_beyond(12));
    }

    #[test]
    fn who_counts_knows_only_how_many() {
        let mut listener = Listener::joined(10, 0);
        listener.counted(4);
        assert_eq!(
            (listener.balance(15), listener.has_all(15)),
            ((1, 0), false)
        );
        listener.counted(3);
        assert_eq!((listener.balance(15), listener.has_all(15)), ((0, 2), true));
        listener.missed(20, 0);
        assert_eq!(listener.balance(20), (3, 0));
    }

    #[test]
    fn gaps_without_room_are_lost_for_good() {
        let mut listener = Listener::joined(0, 0);
        for n in 1..=GAPS as u64 + 1 {
            listener.heard(2 * n, 0);
        }
        assert_eq!(listener.heard(1, 0), Place::Again);
        assert_eq!(listener.heard(3, 0), Place::Late);
        assert_eq!(listener.forgotten(), 1);
    }
}
