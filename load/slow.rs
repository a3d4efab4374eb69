//! Readers that do not keep up: when each may read, and how much.
//!
//! The kernel's buffers fill up behind a slow reader, then the server's. A reader that asks too
//! early is held, and told when to ask again. Knows no socket.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::Duration;

use kith::clock::Moment;

use crate::bounds::SLOW_PIECE;
use crate::scenario::{Plan, Slow};

/// All slow readers of a run.
#[derive(Debug)]
pub struct SlowReaders {
    slow: Slow,
    /// Index of the first; all behind it are slow.
    first: u32,
    readers: Vec<Reader>,
    /// Who is held, and until when.
    held: BinaryHeap<Reverse<(Moment, u32)>>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Reader {
    /// When the next piece may be read.
    next: Moment,
    held: bool,
}

impl SlowReaders {
    /// Those of this plan.
    pub fn new(plan: &Plan) -> Self {
        let first = plan.first_slow();
        Self {
            slow: plan.slow,
            first,
            readers: vec![Reader::default(); (plan.clients - first) as usize],
            held: BinaryHeap::new(),
        }
    }

    /// Whether this client is one.
    pub const fn has(&self, client: u32) -> bool {
        client >= self.first
    }

    /// How many bytes a slow reader may read now; with 0 it is held.
    pub fn room(&mut self, client: u32, now: Moment) -> usize {
        let Some(at) = client.checked_sub(self.first) else {
            return usize::MAX;
        };
        let next = self.from(at, self.readers[at as usize].next.max(now));
        let reader = &mut self.readers[at as usize];
        if next <= now {
            return SLOW_PIECE;
        }
        if !reader.held {
            reader.held = true;
            self.held.push(Reverse((next, client)));
        }
        0
    }

    /// It read so much.
    pub fn took(&mut self, client: u32, count: usize, now: Moment) {
        if let Some(at) = client.checked_sub(self.first) {
            let seconds = count as f64 / f64::from(self.slow.rate.max(1));
            self.readers[at as usize].next = now.after(Duration::from_secs_f64(seconds));
        }
    }

    /// Somebody who was held and may read now.
    pub fn release(&mut self, now: Moment) -> Option<u32> {
        let Reverse((at, _)) = self.held.peek()?;
        if *at > now {
            return None;
        }
        self.release_any()
    }

    /// Somebody who was held, whether or not it is time.
    pub fn release_any(&mut self) -> Option<u32> {
        let Reverse((_, client)) = self.held.pop()?;
        self.readers[(client - self.first) as usize].held = false;
        Some(client)
    }

    /// When somebody may be released.
    pub fn next(&self) -> Option<Moment> {
        self.held.peek().map(|Reverse((at, _))| *at)
    }

    /// The first moment from `then` on that lies in a turn in which this one reads. Half of them
    /// read while the others do not.
    fn from(&self, reader: u32, then: Moment) -> Moment {
        let turn = self.slow.turn.as_nanos().max(1) as u64;
        let nth = then.0 / turn + u64::from(reader);
        match nth % 2 {
            0 => then,
            _ => Moment((then.0 / turn + 1) * turn),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::find;

    #[test]
    fn a_slow_reader_reads_at_its_rate_and_in_its_turns_only() {
        let mut plan = find("slow").unwrap().plan;
        plan.clients = 20;
        let mut readers = SlowReaders::new(&plan);
        assert_eq!((readers.has(17), readers.has(18)), (false, true));
        assert_eq!(readers.room(17, Moment(0)), usize::MAX);
        let mut read = [0; 2];
        let mut now = Moment(0);
        let turn = plan.slow.turn.as_nanos() as u64;
        // Two readers ask whenever they are let, for two turns each.
        let mut asking = vec![18, 19];
        while now.0 < 4 * turn {
            for client in asking.drain(..) {
                while readers.room(client, now) > 0 {
                    read[client as usize - 18] += SLOW_PIECE;
                    readers.took(client, SLOW_PIECE, now);
                    let quiet = now.0 / turn % 2 != u64::from(client) % 2;
                    assert!(!quiet, "{client} at {now:?}");
                }
            }
            now = readers.next().unwrap();
            asking.extend(std::iter::from_fn(|| readers.release(now)));
            assert!(!asking.is_empty());
        }
        let expected = 2 * plan.slow.turn.as_secs() as usize * plan.slow.rate as usize;
        for read in read {
            assert!(read.abs_diff(expected) <= 2 * SLOW_PIECE, "{read}");
        }
    }

    #[test]
    fn who_is_held_is_held_once_and_may_be_let_go_early() {
        let mut plan = find("slow").unwrap().plan;
        plan.clients = 10;
        let mut readers = SlowReaders::new(&plan);
        readers.took(9, SLOW_PIECE, Moment(0));
        for _ in 0..3 {
            assert_eq!(readers.room(9, Moment(1)), 0);
        }
        assert_eq!(readers.release(Moment(1)), None);
        assert_eq!(readers.release_any(), Some(9));
        assert_eq!(readers.release_any(), None);
    }
}
