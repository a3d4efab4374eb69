//! Time as a value, and the wheel of deadlines.
//!
//! Floor 0. Nothing here reads a clock: the event loop does so once per tick and hands the result
//! down as [`Now`], which is what lets a simulation live through a day in a second. The wheel knows
//! keys and moments, not what is due at them.

use std::time::Duration;

/// A point on the monotonic clock, in nanoseconds since the process (or the simulation) began.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Moment(pub u64);

impl Moment {
    /// This long after; saturating, so that a deadline may be "never".
    #[must_use]
    pub const fn after(self, wait: Duration) -> Self {
        Self(self.0.saturating_add(nanos(wait)))
    }

    /// How long it has been since `earlier`; zero if that is yet to come.
    pub const fn since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }
}

/// A `Duration` in nanoseconds, at most 584 years.
pub const fn nanos(wait: Duration) -> u64 {
    let nanos = wait.as_nanos();
    if nanos > u64::MAX as u128 {
        u64::MAX
    } else {
        nanos as u64
    }
}

/// Milliseconds since 1970 by the wall clock. For people to read; nothing is ordered or timed by
/// it, it may jump.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UnixMillis(pub i64);

/// What one tick of the loop calls now.
#[derive(Clone, Copy, Debug, Default)]
pub struct Now {
    /// For waits.
    pub mono: Moment,
    /// For people.
    pub wall: UnixMillis,
}

/// A wheel of 64 slots, one second each (Varghese and Lauck, SOSP 1987, scheme 4 with one
/// revolution).
///
/// Arming is a push, and a slot is looked at only when its second has passed, so that an idle
/// connection costs nothing per tick. A deadline further away than the wheel reaches comes up
/// early; whoever finds a key early, or no longer due, arms or drops it. A bit for each slot
/// answers "when next?" without looking into any.
#[derive(Debug)]
pub struct Wheel<K> {
    slots: [Vec<K>; SLOTS as usize],
    occupied: u64,
    /// The second up to which (exclusive) everything was handed out.
    swept: u64,
}

const SLOTS: u64 = 64;
const SECOND: u64 = 1_000_000_000;

impl<K: Copy> Wheel<K> {
    /// An empty wheel that begins at `now`.
    pub fn new(now: Moment) -> Self {
        Self {
            slots: std::array::from_fn(|_| Vec::new()),
            occupied: 0,
            swept: now.0 / SECOND,
        }
    }

    /// Remembers `key` until the first whole second after `at`, or until the wheel's reach; returns
    /// the moment that it took.
    pub fn arm(&mut self, at: Moment, key: K) -> Moment {
        let second = (at.0 / SECOND).clamp(self.swept, self.swept + SLOTS - 1);
        let slot = (second % SLOTS) as usize;
        self.slots[slot].push(key);
        self.occupied |= 1 << slot;
        Moment((second + 1) * SECOND)
    }

    /// Moves every key whose second has passed to `due`.
    pub fn expire(&mut self, now: Moment, due: &mut Vec<K>) {
        let target = now.0 / SECOND;
        if self.occupied == 0 {
            self.swept = self.swept.max(target);
            return;
        }
        let mut steps = target.saturating_sub(self.swept).min(SLOTS);
        while steps > 0 {
            let slot = (self.swept % SLOTS) as usize;
            due.append(&mut self.slots[slot]);
            self.occupied &= !(1 << slot);
            self.swept += 1;
            steps -= 1;
        }
        self.swept = self.swept.max(target);
    }

    /// Gives back the room of slots that were once fuller.
    pub fn shrink(&mut self) {
        self.slots.iter_mut().for_each(Vec::shrink_to_fit);
    }

    /// When [`Wheel::expire`] should be called next, if ever.
    pub fn next(&self) -> Option<Moment> {
        if self.occupied == 0 {
            return None;
        }
        let ahead = self
            .occupied
            .rotate_right((self.swept % SLOTS) as u32)
            .trailing_zeros();
        Some(Moment((self.swept + u64::from(ahead) + 1) * SECOND))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: u64) -> Moment {
        Moment(ms * 1_000_000)
    }

    fn due(wheel: &mut Wheel<u32>, now: Moment) -> Vec<u32> {
        let mut keys = Vec::new();
        wheel.expire(now, &mut keys);
        keys
    }

    #[test]
    fn a_key_comes_up_once_its_second_has_passed_and_only_once() {
        let mut wheel = Wheel::new(at(500));
        assert_eq!(wheel.next(), None);
        assert_eq!(wheel.arm(at(2_300), 7), at(3_000));
        assert_eq!(wheel.next(), Some(at(3_000)));
        assert!(due(&mut wheel, at(2_999)).is_empty());
        assert_eq!(due(&mut wheel, at(3_000)), [7]);
        assert!(due(&mut wheel, at(90_000)).is_empty());
        assert_eq!(wheel.next(), None);
    }

    #[test]
    fn a_deadline_in_the_past_or_beyond_the_reach_is_not_forgotten() {
        let mut wheel = Wheel::new(at(100_000));
        wheel.arm(at(5), 1);
        assert_eq!(wheel.arm(at(1_000_000), 2), at(164_000));
        assert_eq!(due(&mut wheel, at(101_000)), [1]);
        assert_eq!(due(&mut wheel, at(164_000)), [2]);
    }

    #[test]
    fn a_long_sleep_hands_out_everything() {
        let mut wheel = Wheel::new(at(0));
        (0..64).for_each(|n| {
            wheel.arm(at(n * 1000), n as u32);
        });
        let mut keys = due(&mut wheel, at(10_000_000));
        keys.sort_unstable();
        assert_eq!(keys, (0..64).collect::<Vec<_>>());
        wheel.arm(at(10_000_500), 9);
        assert_eq!(wheel.next(), Some(at(10_001_000)));
    }
}
