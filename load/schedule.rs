//! When messages are due, and whose turn it is.
//!
//! The only place that knows rate, ramp, burst and duration. The schedule is open: nothing that the
//! server does moves a due time, so whoever is kept waiting is seen to wait (what wrk2 calls the
//! coordinated omission problem). Knows no clock; what is due is asked for with the time.

use std::time::Duration;

use kith::clock::Moment;

/// What is wanted of a schedule.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Pace {
    /// Messages per second of all talkers together, once the ramp is climbed. 0 is silence.
    pub rate: f64,
    /// So many are due at the same moment, and the next so many correspondingly later.
    pub burst: u32,
    /// The rate grows from nothing for so long, in a straight line.
    pub ramp: Duration,
    /// After so long nothing more is due.
    pub duration: Duration,
}

/// The due times of one run, handed out one after the other.
#[derive(Clone, Debug)]
pub struct Schedule {
    pace: Pace,
    from: Moment,
    talkers: u32,
    next: u64,
    total: u64,
}

/// A message that is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Due {
    /// Index of the client who says it.
    pub sender: u32,
    /// When.
    pub at: Moment,
}

impl Schedule {
    /// Begins `from`; the first `talkers` clients take turns.
    pub fn new(pace: Pace, from: Moment, talkers: u32) -> Self {
        let total = if talkers == 0 { 0.0 } else { count(&pace) };
        Self {
            pace,
            from,
            talkers,
            next: 0,
            total: total as u64,
        }
    }

    /// When the next message is due, whether or not that has passed; `None` after the last one.
    pub fn next(&self) -> Option<Moment> {
        (self.next < self.total).then(|| self.at(self.next))
    }

    /// When nothing more is due.
    pub fn end(&self) -> Moment {
        self.from.after(self.pace.duration)
    }

    /// Takes one message that is due at `now`.
    pub fn take(&mut self, now: Moment) -> Option<Due> {
        let at = self.next().filter(|at| *at <= now)?;
        let sender = (self.next % u64::from(self.talkers)) as u32;
        self.next += 1;
        Some(Due { sender, at })
    }

    /// When the `n`'th message is due: the moment until which the rate adds up to `n`.
    fn at(&self, n: u64) -> Moment {
        let Pace {
            rate, burst, ramp, ..
        } = self.pace;
        let n = (n - n % u64::from(burst.max(1))) as f64;
        let ramp = ramp.as_secs_f64();
        let climbed = rate * ramp / 2.0;
        let seconds = if n < climbed {
            (2.0 * n * ramp / rate).sqrt()
        } else {
            ramp + (n - climbed) / rate
        };
        self.from.after(Duration::from_secs_f64(seconds))
    }
}

/// Messages that are due before the end. A hair less than the area below the rate, so that 10 a
/// second for a second are those at 0.0 to 0.9, and not the one at 1.0.
fn count(pace: &Pace) -> f64 {
    let (ramp, duration) = (pace.ramp.as_secs_f64(), pace.duration.as_secs_f64());
    let area = if duration < ramp {
        pace.rate * duration * duration / ramp / 2.0
    } else {
        pace.rate * (duration - ramp / 2.0)
    };
    (area - 1e-6).ceil().max(0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn pace(rate: f64, burst: u32, ramp: Duration, duration: Duration) -> Pace {
        Pace {
            rate,
            burst,
            ramp,
            duration,
        }
    }

    /// Due times in milliseconds, as far as they are due by the end.
    fn due(pace: Pace, talkers: u32) -> Vec<(u32, u64)> {
        let mut schedule = Schedule::new(pace, Moment(0), talkers);
        let end = schedule.end();
        let mut found = Vec::new();
        while let Some(due) = schedule.take(end) {
            found.push((due.sender, due.at.0 / 1_000_000));
        }
        assert_eq!(
            (found.len() as u64, schedule.next()),
            (schedule.total, None)
        );
        found
    }

    #[test]
    fn talkers_take_turns_at_even_distances() {
        let none = Duration::ZERO;
        assert_eq!(
            due(pace(4.0, 1, none, SECOND), 3),
            [(0, 0), (1, 250), (2, 500), (0, 750)]
        );
        assert_eq!(
            due(pace(4.0, 2, none, SECOND), 3),
            [(0, 0), (1, 0), (2, 500), (0, 500)]
        );
        assert_eq!(due(pace(10.0, 1, none, SECOND), 1).len(), 10);
        assert!(due(pace(0.0, 1, none, SECOND), 1).is_empty());
        assert!(due(pace(4.0, 1, none, SECOND), 0).is_empty());
    }

    #[test]
    fn a_ramp_is_half_as_many_in_its_time_and_all_after_it() {
        let found = due(pace(100.0, 1, 2 * SECOND, 4 * SECOND), 1);
        let until = |ms| found.iter().filter(|(_, at)| *at < ms).count();
        assert_eq!((until(1000), until(2000), until(4000)), (25, 100, 300));
        assert!(found.is_sorted());
        // An end on the way up.
        assert_eq!(due(pace(100.0, 1, 2 * SECOND, SECOND), 1).len(), 25);
    }

    #[test]
    fn nothing_is_due_before_its_time() {
        let mut schedule = Schedule::new(pace(2.0, 1, Duration::ZERO, SECOND), Moment(7), 1);
        assert_eq!(schedule.take(Moment(6)), None);
        assert_eq!(schedule.take(Moment(7)).map(|due| due.at), Some(Moment(7)));
        assert_eq!(schedule.next(), Some(Moment(500_000_007)));
        assert_eq!(schedule.take(Moment(8)), None);
    }
}
