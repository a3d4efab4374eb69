//! What the allocator keeps goes back to the system after a crowd that did not read.
//!
//! Floor 3, a part of the loop. glibc returns memory by itself only from the end of the heap, and one
//! small block that lives on there pins everything below it: fifty clients that each let 1 MiB wait
//! and then left cost 50 MiB for good. Asking for all of it costs a walk over the free blocks, so it is
//! asked for some time after somebody was put behind or cut, which is when much was queued.

use crate::clock::Moment;
use crate::limits::TRIM_EVERY;
use crate::metrics::Metrics;

/// When to trim.
#[derive(Debug, Default)]
pub(super) struct Thrift {
    /// Who was put behind or cut so far, all told.
    troubles: u64,
    due: Option<Moment>,
    /// There was more trouble since `due` was set, which that trim may be too early for.
    again: bool,
}

impl Thrift {
    /// Trims if it is time to. Called once a tick.
    pub(super) fn turn(&mut self, metrics: &Metrics, now: Moment) {
        if self.is_due(metrics.put_behind + metrics.cut, now) {
            trim();
        }
    }

    /// When [`Thrift::turn`] should be called at the latest.
    pub(super) const fn poll_timeout(&self) -> Option<Moment> {
        self.due
    }

    fn is_due(&mut self, troubles: u64, now: Moment) -> bool {
        if troubles != self.troubles {
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
            if thrift.is_due(troubles, at(second)) {
                trims.push(second);
            }
        }
        assert_eq!(trims, [5 + every, 5 + 2 * every, 9 * every]);
        assert_eq!(thrift.poll_timeout(), None, "nothing wakes an idle server");
    }
}
