//! Latencies, counted two ways.
//!
//! *Corrected* counts from the moment a message was due; *uncorrected* from the moment it was sent,
//! as a tester does that waits for an answer before it asks again. Where the two differ, the server
//! kept people waiting who had something to say. Knows no clock.

use std::time::Duration;

use hdrhistogram::Histogram;
use kith::clock::Moment;

use crate::bounds::{CURVE_STEPS, LATENCY_MOST};

/// Latencies in microseconds, in steps of a thousandth of each.
#[derive(Clone, Debug)]
pub struct Latency(Histogram<u64>);

/// What a run's latencies came to. Names and units are those of the JSON report.
#[derive(Clone, Copy, Debug, Default, PartialEq, serde::Serialize)]
pub struct Percentiles {
    /// How many there are.
    pub count: u64,
    /// All in milliseconds.
    pub p50: f64,
    /// Of a hundred, ten are slower.
    pub p90: f64,
    /// One of a hundred is slower.
    pub p99: f64,
    /// One of a thousand.
    pub p999: f64,
    /// One of ten thousand.
    pub p9999: f64,
    /// The slowest.
    pub max: f64,
}

/// A point of a percentile curve: this share of all took at most so long.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize)]
pub struct CurvePoint {
    /// From 0 to 1.
    pub share: f64,
    /// In milliseconds.
    pub ms: f64,
}

impl Latency {
    /// None yet.
    pub fn new() -> Self {
        let most = LATENCY_MOST.as_micros() as u64;
        Self(Histogram::new_with_bounds(1, most, 3).expect("1 is less than half of most"))
    }

    /// Adds one.
    pub fn record(&mut self, from: Moment, to: Moment) {
        self.0.saturating_record(to.since(from).as_micros() as u64);
    }

    /// This share (0.5 is the median) took at most so long.
    pub fn at(&self, share: f64) -> Duration {
        // A bucket is named by its upper end, which may lie above everything that was recorded.
        let micros = self.0.value_at_quantile(share).min(self.0.max());
        Duration::from_micros(micros)
    }

    /// How many were recorded.
    pub fn count(&self) -> u64 {
        self.0.len()
    }

    /// What was recorded since `earlier`, which is a copy of this one.
    pub fn since(&self, earlier: &Self) -> Self {
        let mut rest = self.0.clone();
        rest.subtract(&earlier.0)
            .expect("counts of a copy have only grown");
        Self(rest)
    }

    /// The whole of it: points at even distances of how rare it is to be slower, so that the last
    /// thousandth gets as much room as the first nine tenths. The last point is the slowest.
    pub fn curve(&self) -> Vec<CurvePoint> {
        let count = self.count();
        if count == 0 {
            return Vec::new();
        }
        let steps = ((count as f64).log10() * f64::from(CURVE_STEPS)) as u32;
        let shares =
            (0..=steps).map(|at| 1.0 - 10f64.powf(-f64::from(at) / f64::from(CURVE_STEPS)));
        let point = |share| CurvePoint {
            share,
            ms: self.at(share).as_micros() as f64 / 1000.0,
        };
        let last = CurvePoint {
            share: 1.0,
            ms: self.0.max() as f64 / 1000.0,
        };
        shares.map(point).chain([last]).collect()
    }

    /// All that a report says of it.
    pub fn percentiles(&self) -> Percentiles {
        let at = |share| self.at(share).as_micros() as f64 / 1000.0;
        Percentiles {
            count: self.0.len(),
            p50: at(0.5),
            p90: at(0.9),
            p99: at(0.99),
            p999: at(0.999),
            p9999: at(0.9999),
            max: self.0.max() as f64 / 1000.0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_those_of_what_was_recorded() {
        let mut latency = Latency::new();
        assert_eq!(latency.percentiles(), Percentiles::default());
        for ms in 1..=1000 {
            latency.record(Moment(5), Moment(5 + ms * 1_000_000));
        }
        let found = latency.percentiles();
        for (found, expected) in [
            (found.p50, 500.0),
            (found.p90, 900.0),
            (found.p99, 990.0),
            (found.p999, 999.0),
            (found.max, 1000.0),
        ] {
            assert!((found / expected - 1.0).abs() < 0.002, "{found}");
        }
        assert_eq!(found.count, 1000);
        let curve = latency.curve();
        assert_eq!(curve.len(), 38);
        assert!(curve.is_sorted_by(|a, b| a.share < b.share && a.ms <= b.ms));
        assert_eq!((curve[0].share, curve[37].ms), (0.0, found.max));
        assert!((curve[24].share - 0.99).abs() < 1e-9 && (curve[24].ms - found.p99).abs() < 1.0);
        // A moment that seems to lie ahead is no time at all, and an hour is the longest there is.
        latency.record(Moment(5), Moment(0));
        latency.record(Moment(0), Moment(3_600_000_000_000));
        assert!(latency.percentiles().max <= 600_600.0);
    }

    #[test]
    fn what_came_later_stands_alone() {
        let mut latency = Latency::new();
        latency.record(Moment(0), Moment(9_000_000_000));
        let before = latency.clone();
        assert_eq!(latency.since(&before).count(), 0);
        latency.record(Moment(0), Moment(1_000_000));
        let later = latency.since(&before).percentiles();
        assert_eq!((later.count, later.max), (1, 1.0));
    }
}
