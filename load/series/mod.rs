//! A run over time: a sample a second, and marks of what happened when.
//!
//! Fed with what was counted so far; each sample is the difference to the one before. The number of
//! samples is bounded: a long run has longer ones. Knows no clock and no process.

mod marks;

use std::collections::BTreeMap;
use std::time::Duration;

use kith::clock::Moment;
use serde::Serialize;

pub use marks::{Mark, MarkTold, Marks};

use crate::bounds::{SAMPLE, SAMPLES};
use crate::latency::Latency;
use crate::numbers::Numbers;
use crate::watch::Totals;

/// Takes the samples.
#[derive(Clone, Debug)]
pub struct Sampler {
    samples: Vec<Sample>,
    /// How long a sample is at least, before the next one begins.
    step: Duration,
    before: Counted,
}

/// Some time of a run, and what was counted in it. Rates are per second.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Sample {
    /// Its end, in seconds since the first connection.
    pub at_s: f64,
    /// Its length.
    pub seconds: f64,
    /// Messages heard.
    pub deliveries_per_second: f64,
    /// Messages that were due.
    pub messages_per_second: f64,
    /// Corrected latency in milliseconds of what was heard; none where nothing was. Where samples
    /// have become one, all three are those of the worst.
    pub p50: Option<f64>,
    /// One of a hundred was slower.
    pub p99: Option<f64>,
    /// The slowest.
    pub max: Option<f64>,
    /// Clients that were in at its end.
    pub inside: u32,
    /// Connections that the swarm cut.
    pub cuts: u64,
    /// Connections that ended otherwise.
    pub ended: u64,
    /// CPU time of the server's threads, as a share of one core each.
    pub server_cpu: BTreeMap<String, f64>,
    /// The server's resident memory in bytes at its end; none while it was not there.
    pub server_resident: Option<u64>,
    /// CPU time of the swarm, as a share of one core.
    pub swarm_cpu: f64,
    /// The swarm's own lateness: 99 of 100 messages were taken up within so many milliseconds.
    pub swarm_lateness: Option<f64>,
}

/// What there is to look at.
#[derive(Clone, Copy, Debug)]
pub struct Reading<'a> {
    /// Counted so far.
    pub numbers: &'a Numbers,
    /// How many are in.
    pub inside: u32,
    /// What the server took so far, if it can be looked at.
    pub server: Option<&'a Totals>,
    /// What the swarm took so far.
    pub swarm: &'a Totals,
}

/// What had been counted at the end of the sample before.
#[derive(Clone, Debug)]
struct Counted {
    at: Moment,
    corrected: Latency,
    lateness: Latency,
    deliveries: u64,
    cuts: u64,
    ended: u64,
    server: Totals,
    swarm: Totals,
}

impl Sampler {
    /// Nothing was counted so far, and these had been taken before.
    pub fn new(now: Moment, server: Option<Totals>, swarm: Totals) -> Self {
        Self {
            samples: Vec::new(),
            step: SAMPLE,
            before: Counted {
                at: now,
                corrected: Latency::new(),
                lateness: Latency::new(),
                deliveries: 0,
                cuts: 0,
                ended: 0,
                server: server.unwrap_or_default(),
                swarm,
            },
        }
    }

    /// When the next look is due.
    pub fn next(&self) -> Moment {
        self.before.at.after(SAMPLE)
    }

    /// Takes a sample; returns what was counted since the one before, however long that is.
    pub fn take(&mut self, reading: &Reading<'_>, now: Moment) -> Sample {
        let sample = self.before.until(reading, now);
        match self.samples.last_mut() {
            // Half a look is allowed for: looks are never early, and often a little late.
            Some(last) if last.seconds + SAMPLE.as_secs_f64() / 2.0 < self.step.as_secs_f64() => {
                last.absorb(&sample);
            }
            _ => {
                if self.samples.len() == SAMPLES {
                    self.halve();
                }
                self.samples.push(sample.clone());
            }
        }
        sample
    }

    /// All of them, in order.
    pub fn finish(self) -> Vec<Sample> {
        self.samples
    }

    fn halve(&mut self) {
        self.step *= 2;
        let pairs = self.samples.chunks(2);
        let pairs = pairs.map(|pair| {
            let mut one = pair[0].clone();
            pair[1..].iter().for_each(|other| one.absorb(other));
            one
        });
        self.samples = pairs.collect();
    }
}

impl Sample {
    /// Makes one of two that follow each other.
    fn absorb(&mut self, later: &Self) {
        let whole = self.seconds + later.seconds;
        let (mine, its) = (self.seconds / whole, later.seconds / whole);
        let mean = |a: f64, b: f64| a * mine + b * its;
        self.deliveries_per_second = mean(self.deliveries_per_second, later.deliveries_per_second);
        self.messages_per_second = mean(self.messages_per_second, later.messages_per_second);
        self.swarm_cpu = mean(self.swarm_cpu, later.swarm_cpu);
        for share in self.server_cpu.values_mut() {
            *share *= mine;
        }
        for (name, share) in &later.server_cpu {
            *self.server_cpu.entry(name.clone()).or_default() += share * its;
        }
        for (mine, its) in [
            (&mut self.p50, later.p50),
            (&mut self.p99, later.p99),
            (&mut self.max, later.max),
            (&mut self.swarm_lateness, later.swarm_lateness),
        ] {
            *mine = [*mine, its].into_iter().flatten().reduce(f64::max);
        }
        self.cuts += later.cuts;
        self.ended += later.ended;
        self.inside = later.inside;
        self.server_resident = later.server_resident;
        (self.at_s, self.seconds) = (later.at_s, whole);
    }
}

impl Counted {
    /// The difference, after which this is `reading`.
    fn until(&mut self, reading: &Reading<'_>, now: Moment) -> Sample {
        let numbers = reading.numbers;
        // A moment later than the last one, so that a rate is a number.
        let seconds = now.since(self.at).as_secs_f64().max(1e-9);
        let corrected = numbers.corrected.since(&self.corrected).percentiles();
        let lateness = numbers.lateness.since(&self.lateness).percentiles();
        let heard = (corrected.count > 0).then_some(corrected);
        let share = |spent: crate::watch::Spent| spent.cpu.total().as_secs_f64() / seconds;
        let ended = numbers.ended.values().sum();
        let server = reading.server.map(|totals| totals.since(&self.server));
        let sample = Sample {
            at_s: now.since(Moment(0)).as_secs_f64(),
            seconds,
            deliveries_per_second: (numbers.deliveries - self.deliveries) as f64 / seconds,
            messages_per_second: lateness.count as f64 / seconds,
            p50: heard.map(|latency| latency.p50),
            p99: heard.map(|latency| latency.p99),
            max: heard.map(|latency| latency.max),
            inside: reading.inside,
            cuts: numbers.cuts - self.cuts,
            ended: ended - self.ended,
            server_cpu: server
                .unwrap_or_default()
                .into_iter()
                .map(|(name, spent)| (name, share(spent)))
                .collect(),
            server_resident: reading
                .server
                .map(|totals| totals.resident)
                .filter(|resident| *resident > 0),
            swarm_cpu: share(reading.swarm.spent().since(self.swarm.spent())),
            swarm_lateness: (lateness.count > 0).then_some(lateness.p99),
        };
        *self = Self {
            at: now,
            corrected: numbers.corrected.clone(),
            lateness: numbers.lateness.clone(),
            deliveries: numbers.deliveries,
            cuts: numbers.cuts,
            ended,
            server: reading.server.unwrap_or(&self.server).clone(),
            swarm: reading.swarm.clone(),
        };
        sample
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::watch::{Cpu, Spent};

    fn totals(name: &str, ms: u64, resident: u64) -> Totals {
        let cpu = Cpu {
            user: Duration::from_millis(ms),
            kernel: Duration::from_millis(ms),
        };
        let spent = Spent {
            cpu,
            ..Spent::default()
        };
        let threads = BTreeMap::from([(name.to_owned(), spent)]);
        Totals { threads, resident }
    }

    /// Second after second one more message is heard by ten than in the second before, each so many
    /// tenths of a millisecond late.
    fn run(seconds: u64) -> Vec<Sample> {
        let mut numbers = Numbers::new();
        let mut sampler = Sampler::new(Moment(0), Some(totals("kith", 0, 1)), Totals::default());
        for second in 1..=seconds {
            let now = Moment(second * 1_000_000_000);
            assert_eq!(sampler.next(), now);
            for _ in 0..second {
                numbers.lateness.record(now, now);
                numbers.deliveries += 10;
                let due = Moment(now.0 - second * 100_000);
                (0..10).for_each(|_| numbers.corrected.record(due, now));
            }
            numbers.cuts += 1;
            *numbers.ended.entry("1012".to_owned()).or_default() += 2;
            let reading = Reading {
                numbers: &numbers,
                inside: second as u32,
                server: Some(&totals("kith", 100 * second, second)),
                swarm: &totals("swarm", 50 * second, 0),
            };
            let sample = sampler.take(&reading, now);
            assert_eq!(sample.deliveries_per_second, 10.0 * second as f64);
        }
        sampler.finish()
    }

    #[test]
    fn a_sample_is_what_was_added_in_its_second() {
        let samples = run(3);
        let expected = Sample {
            at_s: 3.0,
            seconds: 1.0,
            deliveries_per_second: 30.0,
            messages_per_second: 3.0,
            p50: Some(0.3),
            p99: Some(0.3),
            max: Some(0.3),
            inside: 3,
            cuts: 1,
            ended: 2,
            server_cpu: BTreeMap::from([("kith".to_owned(), 0.2)]),
            server_resident: Some(3),
            swarm_cpu: 0.1,
            swarm_lateness: Some(0.0),
        };
        assert_eq!(samples.len(), 3);
        assert_eq!(samples[2], expected);
    }

    #[test]
    fn a_long_run_has_longer_samples_and_loses_none() {
        let seconds = SAMPLES as u64 + 100;
        let samples = run(seconds);
        assert_eq!(samples.len(), SAMPLES / 2 + 50);
        assert!(samples.iter().all(|s| s.seconds == 2.0));
        let heard = samples.iter().map(|s| s.deliveries_per_second * s.seconds);
        let expected = (1..=seconds)
            .map(|second| second as f64 * 10.0)
            .sum::<f64>();
        assert!((heard.sum::<f64>() / expected - 1.0).abs() < 1e-9);
        assert_eq!(samples.iter().map(|s| s.cuts).sum::<u64>(), seconds);
        // The worst of the two, and what was there at the end.
        let first = &samples[0];
        assert_eq!(
            (first.p50, first.max, first.inside),
            (Some(0.2), Some(0.2), 2)
        );
        assert_eq!((first.at_s, first.server_resident), (2.0, Some(2)));
        assert!((first.server_cpu["kith"] - 0.2).abs() < 1e-9);
    }
}
