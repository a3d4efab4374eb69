//! What is kept for a crowd goes back to the system when the crowd has left.
//!
//! Floor 3, a part of the loop. Two things are left of eighteen thousand people: tables that have room
//! for them, and small blocks all over the heap. glibc returns memory by itself only from the end of
//! the heap, and one small block that lives on there pins everything below it; fifty clients that each
//! let 1 MiB wait and then left cost 50 MiB for good. Asking for all of it costs a walk over the free
//! blocks, so it is asked for some time after something happened that freed much: somebody was put
//! behind or cut, or half of a crowd went.

use super::backend::Backend;
use super::exchange::Exchange;
use super::peer::Socket;
use crate::clock::Moment;
use crate::limits::{CROWD, TRIM_EVERY};

/// When to trim.
#[derive(Debug, Default)]
pub(super) struct Thrift {
    /// Who was put behind or cut so far, all told.
    troubles: u64,
    /// The most connections since a crowd halved last.
    most: usize,
    due: Option<Moment>,
    /// There was more since `due` was set, which that trim may be too early for.
    again: bool,
}

impl Thrift {
    /// Trims if it is time to. Called once a tick.
    pub(super) fn turn<S: Socket, B: Backend>(
        &mut self,
        exchange: &mut Exchange<S, B>,
        now: Moment,
    ) {
        let troubles = exchange.metrics.put_behind + exchange.metrics.cut;
        if self.is_due(troubles, exchange.len(), now) {
            exchange.shrink();
            trim();
        }
    }

    /// When [`Thrift::turn`] should be called at the latest.
    pub(super) const fn poll_timeout(&self) -> Option<Moment> {
        self.due
    }

    fn is_due(&mut self, troubles: u64, open: usize, now: Moment) -> bool {
        self.most = self.most.max(open);
        let halved = self.most >= CROWD && open <= self.most / 2;
        if halved {
            self.most = open;
        }
        if halved || troubles != self.troubles {
            self.troubles = troubles;
            self.again = self.due.is_some();
            self.due.get_or_insert(now.after(TRIM_EVERY));
        }
        let due = self.due.is_some_and(|at| at <= now);
        if due {
            let again = std::mem::take(&mut self.again);
            self.due = again.then(|| now.after(TRIM_EVERY));
        }
        due
    }
}

impl<S: Socket, B: Backend> Exchange<S, B> {
    /// Gives back the room that tables have beyond what is in them. Between two ticks it may be called
    /// at any time; it costs a copy of what stays.
    pub fn shrink(&mut self) {
        self.peers.shrink_to_fit();
        self.wheel.shrink();
        self.lists.shrink();
        self.follow.shrink_to_fit();
        self.hub.shrink();
    }
}

#[cfg(target_env = "gnu")]
fn trim() {
    // It takes no pointer and touches free memory only.
    unsafe { libc::malloc_trim(0) };
}

/// Other allocators do not keep it, or cannot be asked.
#[cfg(not(target_env = "gnu"))]
const fn trim() {}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Moment {
        Moment::default().after(std::time::Duration::from_secs(seconds))
    }

    #[test]
    fn a_trim_follows_trouble_and_one_more_what_came_meanwhile() {
        let mut thrift = Thrift::default();
        let every = TRIM_EVERY.as_secs();
        let mut trims = Vec::new();
        for second in 0..10 * every {
            // Somebody at 5, more at 6, more again long after.
            let troubles = match second {
                0..5 => 0,
                5 => 1,
                _ if second < 8 * every => 2,
                _ => 3,
            };
            if thrift.is_due(troubles, 1, at(second)) {
                trims.push(second);
            }
        }
        assert_eq!(trims, [5 + every, 5 + 2 * every, 9 * every]);
        assert_eq!(thrift.poll_timeout(), None, "nothing wakes an idle server");
    }

    #[test]
    fn a_crowd_is_followed_by_a_trim_when_it_has_gone_and_a_few_are_not() {
        let every = TRIM_EVERY.as_secs();
        let half = CROWD / 2;
        let cases: [(&str, [usize; 4], &[u64]); 4] = [
            ("all at once", [0, CROWD, 0, 0], &[2 + every]),
            (
                "by and by",
                [0, 4 * CROWD, CROWD, 0],
                &[2 + every, 2 + 2 * every],
            ),
            ("most stay", [0, CROWD, half + 1, half + 1], &[]),
            ("a few", [0, CROWD - 1, 0, 0], &[]),
        ];
        for (what, open, expected) in cases {
            let mut thrift = Thrift::default();
            let open_at = |second: u64| open[second.min(3) as usize];
            let due = |second: &u64| thrift.is_due(0, open_at(*second), at(*second));
            let trims: Vec<u64> = (0..10 * every).filter(due).collect();
            assert_eq!(trims, expected, "{what}");
        }
    }
}
