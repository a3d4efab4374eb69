//! Rates, by the generic cell rate algorithm.
//!
//! Floor 1. One `Moment` per limited thing: the time at which the bucket will be empty again. It needs
//! no timer, no float and no refill, and it never gives more than its burst, however long it rested
//! (ITU-T I.371, the virtual scheduling form).

use std::collections::BTreeMap;
use std::ops::Bound;
use std::time::Duration;

use crate::clock::{Moment, nanos};
use crate::limits::ADDRESSES;

/// How often something may happen. A `per_second` of 0 means as often as one likes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rate {
    /// In the long run.
    pub per_second: u32,
    /// At once, after a rest.
    pub burst: u32,
}

impl Rate {
    /// Takes one from the bucket that is empty again at `*full_at`.
    ///
    /// # Errors
    /// How long to wait for the next one; the bucket is as it was.
    pub fn take(self, full_at: &mut Moment, now: Moment) -> Result<(), Duration> {
        if self.per_second == 0 {
            return Ok(());
        }
        let interval = nanos(Duration::from_secs(1)) / u64::from(self.per_second);
        let next = Moment((*full_at).max(now).0 + interval);
        let depth = interval * u64::from(self.burst.max(1));
        let ahead = next.0 - now.0;
        if ahead > depth {
            return Err(Duration::from_nanos(ahead - depth));
        }
        *full_at = next;
        Ok(())
    }
}

/// An IP address as 16 bytes: IPv4 mapped into IPv6, and of an IPv6 address the network half, since a
/// host usually owns all of the other.
pub type Address = [u8; 16];

/// The rates of addresses. An address that rested long enough for its bucket to be full is forgotten.
#[derive(Debug, Default)]
pub struct Addresses {
    full_at: BTreeMap<Address, Moment>,
    /// When those who rested were forgotten last: a walk over all, so not for every newcomer.
    swept: Moment,
    /// Who was forgotten last without having rested; the next one comes after it, so that it hits
    /// everybody in turn.
    dropped: Address,
}

impl Addresses {
    /// As [`Rate::take`], for one address.
    ///
    /// # Errors
    /// How long to wait.
    pub fn take(&mut self, address: Address, rate: Rate, now: Moment) -> Result<(), Duration> {
        if rate.per_second == 0 {
            return Ok(());
        }
        if self.full_at.len() >= ADDRESSES && !self.full_at.contains_key(&address) {
            self.make_room(now);
        }
        rate.take(self.full_at.entry(address).or_default(), now)
    }

    /// Forgets who rested, and failing that just somebody, who thereby gains one burst.
    fn make_room(&mut self, now: Moment) {
        if now.since(self.swept) >= Duration::from_secs(1) {
            self.swept = now;
            self.full_at.retain(|_, full_at| *full_at > now);
        }
        if self.full_at.len() >= ADDRESSES {
            let after = (Bound::Excluded(self.dropped), Bound::Unbounded);
            let next = self
                .full_at
                .range(after)
                .next()
                .or_else(|| self.full_at.first_key_value());
            if let Some(address) = next.map(|(address, _)| *address) {
                self.dropped = address;
                self.full_at.remove(&address);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RATE: Rate = Rate {
        per_second: 5,
        burst: 30,
    };

    fn at(ms: u64) -> Moment {
        Moment(ms * 1_000_000)
    }

    #[test]
    fn a_burst_then_the_rate_and_the_wait_is_exact() {
        let mut bucket = Moment::default();
        assert!((0..30).all(|_| RATE.take(&mut bucket, at(1000)).is_ok()));
        assert_eq!(
            RATE.take(&mut bucket, at(1000)),
            Err(Duration::from_millis(200))
        );
        assert_eq!(
            RATE.take(&mut bucket, at(1199)),
            Err(Duration::from_millis(1))
        );
        assert_eq!(RATE.take(&mut bucket, at(1200)), Ok(()));
        assert!(RATE.take(&mut bucket, at(1200)).is_err());
    }

    #[test]
    fn a_long_rest_gives_one_burst_and_no_more() {
        let mut bucket = Moment::default();
        let taken = (0..100)
            .filter(|_| RATE.take(&mut bucket, at(3_600_000)).is_ok())
            .count();
        assert_eq!(taken, 30);
    }

    #[test]
    fn the_table_of_addresses_has_an_end() {
        let mut addresses = Addresses::default();
        for n in 0..ADDRESSES as u128 + 10 {
            assert_eq!(addresses.take(n.to_be_bytes(), RATE, at(1)), Ok(()));
        }
        assert_eq!(addresses.full_at.len(), ADDRESSES);
        assert_eq!(addresses.take([0xff; 16], RATE, at(60_000)), Ok(()));
        assert_eq!(addresses.full_at.len(), 1, "who rested is forgotten");
    }
}
