//! What a server sustains: the rate is doubled until a limit breaks, then halved in until it is
//! known to within 5 %.
//!
//! One crowd stays and talks in steps of some seconds. Each step is judged by itself, so that what
//! one of them broke does not count against the next. Knows no connection; what was seen of a step
//! is an argument.

use std::fmt;
use std::time::Duration;

use serde::Serialize;

use crate::bounds::{SEARCH_CLOSE, SEARCH_LEAST, SEARCH_MOST};
use crate::latency::Latency;
use crate::units::{count, ms, three};
use crate::verdict::{Limits, Verdict};

/// A search that is under way.
#[derive(Debug)]
pub struct Search {
    limits: Limits,
    rate: f64,
    /// It broke at this rate, and may have been unlucky.
    doubt: bool,
    /// The highest rate that held, and the lowest that broke.
    low: Option<f64>,
    high: Option<f64>,
    steps: Vec<Step>,
}

/// What was seen of one step.
#[derive(Clone, Debug)]
pub struct Seen {
    /// From due to heard.
    pub corrected: Latency,
    /// From due to taken up.
    pub lateness: Latency,
    /// Messages heard.
    pub deliveries: u64,
    /// How long messages were due, and until the last of them was heard.
    pub talked: Duration,
    /// Messages refused.
    pub refused: u64,
    /// What else was wrong.
    pub faults: u64,
    /// Whether everybody had everything in the end.
    pub settled: bool,
    /// CPU time of the swarm.
    pub cpu: Duration,
}

/// What to do after a step.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Next {
    /// Try this rate.
    Rate(f64),
    /// The search is over.
    End(Ended),
}

/// Why a search is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Ended {
    /// The rate is known.
    Found,
    /// The swarm itself was the bottleneck.
    Swarm,
    /// After the last step not everybody got everything.
    Stuck,
    /// There is no higher rate to try.
    Most,
    /// There is no lower rate to try.
    Least,
    /// Somebody stopped it.
    Interrupted,
}

/// What came of it.
#[derive(Clone, Debug, Serialize)]
pub struct Found {
    /// Messages per second at which all limits held.
    pub sustained: Option<f64>,
    /// Why it went no further.
    pub ended: Ended,
    /// In the order in which they were tried.
    pub steps: Vec<Step>,
}

/// One step. Latencies are in milliseconds.
#[derive(Clone, Debug, Serialize)]
pub struct Step {
    /// Messages per second that were due.
    pub rate: f64,
    /// Whether all limits held.
    pub held: bool,
    /// One sentence for each that did not.
    pub broken: Vec<String>,
    /// While messages were due.
    pub deliveries_per_second: f64,
    /// Half of the deliveries were as fast as this, corrected.
    pub p50: f64,
    /// 99 of 100 were.
    pub p99: f64,
    /// The swarm's own lateness, of 99 in 100 messages.
    pub lateness_p99: f64,
    /// The swarm's CPU time, as a share of one core.
    pub cpu_share: f64,
}

impl Search {
    /// Begins with this rate.
    pub fn new(rate: f64, limits: Limits) -> Self {
        Self {
            limits,
            rate,
            doubt: false,
            low: None,
            high: None,
            steps: Vec::new(),
        }
    }

    /// Takes a step at the rate that was wanted last; says what is wanted now.
    pub fn judge(&mut self, seen: &Seen) -> Next {
        let step = self.step(seen);
        let (held, rate) = (step.held, self.rate);
        let swarm = step.is_bottleneck();
        self.steps.push(step);
        if held {
            self.low = Some(rate);
        }
        if swarm {
            return Next::End(Ended::Swarm);
        }
        if !seen.settled {
            return Next::End(Ended::Stuck);
        }
        if !held && !self.doubt {
            // A hiccup of the machine is no limit of the server's: it has to break twice.
            self.doubt = true;
            return Next::Rate(rate);
        }
        self.doubt = false;
        if !held {
            self.high = Some(rate);
        }
        let next = match (self.low, self.high) {
            (Some(low), None) if low * 2.0 > SEARCH_MOST => return Next::End(Ended::Most),
            (Some(low), None) => low * 2.0,
            (None, Some(high)) if high / 2.0 < SEARCH_LEAST => return Next::End(Ended::Least),
            (None, Some(high)) => high / 2.0,
            (Some(low), Some(high)) if high <= low * SEARCH_CLOSE => {
                return Next::End(Ended::Found);
            }
            (Some(low), Some(high)) => f64::midpoint(low, high),
            (None, None) => rate,
        };
        self.rate = next;
        Next::Rate(next)
    }

    /// Closes it.
    pub fn finish(self, ended: Ended) -> Found {
        Found {
            sustained: self.low,
            ended,
            steps: self.steps,
        }
    }

    fn step(&self, seen: &Seen) -> Step {
        let mut broken = self.limits.broken_latency(&seen.corrected);
        broken.extend(self.limits.broken_refused(seen.refused));
        if seen.faults > 0 {
            broken.push(format!("{} faults", seen.faults));
        }
        if !seen.settled {
            broken.push("not everybody got everything".to_owned());
        }
        let seconds = seen.talked.as_secs_f64().max(f64::MIN_POSITIVE);
        let ms = |latency: &Latency, share| latency.at(share).as_secs_f64() * 1000.0;
        Step {
            rate: self.rate,
            held: broken.is_empty(),
            broken,
            deliveries_per_second: seen.deliveries as f64 / seconds,
            p50: ms(&seen.corrected, 0.5),
            p99: ms(&seen.corrected, 0.99),
            lateness_p99: ms(&seen.lateness, 0.99),
            cpu_share: seen.cpu.as_secs_f64() / seconds,
        }
    }
}

impl Step {
    /// Whether the swarm could not keep up, so that it is not known whether the server could.
    fn is_bottleneck(&self) -> bool {
        let late = self.lateness_p99 > 5.0 && self.lateness_p99 > self.p99 / 4.0;
        late || self.cpu_share > 0.9
    }
}

impl Found {
    /// What is not good enough: a fault in any step, or that no rate held at all. That the steps
    /// beyond the limit broke is what they were for.
    pub fn broken(&self, limits: &Limits, verdict: &Verdict) -> Vec<String> {
        let mut broken = limits.broken_faults(verdict);
        if self.sustained.is_none() {
            broken.push("no rate that was tried held all limits".to_owned());
        }
        broken
    }
}

impl fmt::Display for Found {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let whole = |number: f64| count(number.round() as u64);
        let names = ["messages/s", "deliveries/s", "p50", "p99"];
        write!(f, "search      ")?;
        names.iter().try_for_each(|name| write!(f, "{name:>14}"))?;
        writeln!(f)?;
        for step in &self.steps {
            let rate = whole(step.deliveries_per_second);
            let cells = [three(step.rate), rate, ms(step.p50), ms(step.p99)];
            write!(f, "            ")?;
            cells.iter().try_for_each(|cell| write!(f, "{cell:>14}"))?;
            match step.broken.first() {
                None => writeln!(f, "  held")?,
                Some(broken) => writeln!(f, "  {broken}")?,
            }
        }
        match self.sustained {
            Some(rate) => write!(f, "sustains     {} messages a second", three(rate))?,
            None => write!(f, "sustains     nothing that was tried")?,
        }
        writeln!(f, "{}", self.ended.said())
    }
}

impl Ended {
    const fn said(self) -> &'static str {
        match self {
            Self::Found => "; 5 % more breaks a limit",
            Self::Swarm => " at least; then the swarm itself was the bottleneck",
            Self::Stuck => "; in the last step not everybody got everything in time",
            Self::Most => " at least; there is no higher rate to try",
            Self::Least => "; there is no lower rate to try",
            Self::Interrupted => " at least; the search was stopped",
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use kith::clock::Moment;

    use super::*;

    /// A step in which everything took so long.
    fn seen(ms: u64) -> Seen {
        let mut corrected = Latency::new();
        corrected.record(Moment(0), Moment(ms * 1_000_000));
        Seen {
            corrected,
            lateness: Latency::new(),
            deliveries: 3000,
            talked: Duration::from_secs(3),
            refused: 0,
            faults: 0,
            settled: true,
            cpu: Duration::from_secs(1),
        }
    }

    fn limits() -> Limits {
        Limits {
            faults: BTreeMap::new(),
            refused: 0,
            latency: vec![("p99", 0.99, Duration::from_millis(50))],
        }
    }

    /// Searches in a server that is slow beyond `most`; gives what was found, and the rates tried.
    fn search(from: f64, most: f64) -> (Found, Vec<f64>) {
        let mut search = Search::new(from, limits());
        let (mut rate, mut tried) = (from, Vec::new());
        loop {
            tried.push(rate);
            let step = seen(if rate > most { 100 } else { 1 });
            match search.judge(&step) {
                Next::Rate(next) => rate = next,
                Next::End(ended) => return (search.finish(ended), tried),
            }
        }
    }

    #[test]
    fn the_rate_is_doubled_and_then_known_to_within_five_percent() {
        let (found, tried) = search(10.0, 1000.0);
        let sustained = found.sustained.unwrap();
        assert!((950.0..=1000.0).contains(&sustained), "{sustained}");
        assert_eq!(
            tried[..9],
            [10.0, 20.0, 40.0, 80.0, 160.0, 320.0, 640.0, 1280.0, 1280.0]
        );
        assert_eq!((found.ended, tried[9]), (Ended::Found, 960.0));
        assert_eq!(tried.len(), found.steps.len());
        // One that begins too high comes down.
        let (found, tried) = search(100.0, 30.0);
        assert_eq!(tried[..5], [100.0, 100.0, 50.0, 50.0, 25.0]);
        assert!((28.5..=30.0).contains(&found.sustained.unwrap()));
        assert_eq!(search(1.0, 0.0).0.ended, Ended::Least);
        assert_eq!(search(1.0, f64::MAX).0.ended, Ended::Most);
        let text = search(1.0, 0.0).0.to_string();
        assert!(
            text.contains("sustains     nothing that was tried; there is no lower"),
            "{text}"
        );
    }

    #[test]
    fn one_hiccup_is_no_limit() {
        let mut search = Search::new(10.0, limits());
        assert_eq!(search.judge(&seen(100)), Next::Rate(10.0));
        assert_eq!(search.judge(&seen(1)), Next::Rate(20.0));
        assert_eq!(search.judge(&seen(100)), Next::Rate(20.0));
        assert_eq!(search.judge(&seen(100)), Next::Rate(15.0));
    }

    #[test]
    fn whatever_says_nothing_about_the_server_ends_it() {
        let late = |ms: u64| {
            let mut lateness = Latency::new();
            lateness.record(Moment(0), Moment(ms * 1_000_000));
            lateness
        };
        for (step, expected) in [
            (
                Seen {
                    lateness: late(30),
                    ..seen(100)
                },
                Ended::Swarm,
            ),
            (
                Seen {
                    cpu: Duration::from_secs(3),
                    ..seen(1)
                },
                Ended::Swarm,
            ),
            (
                Seen {
                    settled: false,
                    ..seen(1)
                },
                Ended::Stuck,
            ),
        ] {
            let mut search = Search::new(10.0, limits());
            assert_eq!(search.judge(&seen(1)), Next::Rate(20.0));
            assert_eq!(search.judge(&step), Next::End(expected));
        }
        // Who is a little late where the server is much slower is no bottleneck.
        let mut search = Search::new(10.0, limits());
        let step = Seen {
            lateness: late(10),
            ..seen(100)
        };
        assert_eq!(search.judge(&step), Next::Rate(10.0));
    }

    #[test]
    fn faults_and_refusals_break_a_step() {
        for (step, says) in [
            (
                Seen {
                    refused: 1,
                    ..seen(1)
                },
                "refused: 1, at most 0",
            ),
            (
                Seen {
                    faults: 2,
                    ..seen(1)
                },
                "2 faults",
            ),
        ] {
            let mut search = Search::new(10.0, limits());
            assert_eq!(search.judge(&step), Next::Rate(10.0));
            assert_eq!(search.finish(Ended::Found).steps[0].broken, [says]);
        }
    }
}
