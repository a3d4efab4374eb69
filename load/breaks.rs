//! When everybody was out at once, and how long it took until all were back.
//!
//! A wave of the swarm's own, or a server that was drained or killed. Knows no connection and no
//! clock; who is back is counted, not named.

use std::collections::VecDeque;
use std::fmt;
use std::time::Duration;

use kith::clock::Moment;
use serde::Serialize;

use crate::bounds::BREAKS;
use crate::series::Mark;

/// The breaks of a run, in order; of more than [`BREAKS`] the first are forgotten.
#[derive(Clone, Debug, Default)]
pub struct Breaks(VecDeque<Break>);

/// What kind of break.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// The swarm cut all clients at once.
    Wave,
    /// The server was told to end.
    Drain,
    /// The server was killed.
    Kill,
}

/// One break.
#[derive(Clone, Copy, Debug)]
pub struct Break {
    /// What happened.
    pub kind: Kind,
    /// When.
    pub at: Moment,
    /// How many were to come back.
    pub out: u32,
    /// How many are.
    pub back: u32,
    /// The old server is gone: whoever comes in is back.
    pub renewed: bool,
    /// The server was there again.
    pub up: Option<Moment>,
    /// The first was back.
    pub first: Option<Moment>,
    /// The last was.
    pub last: Option<Moment>,
}

/// One break, as a report has it. Times count from the break; what did not happen has none.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Told {
    /// What happened.
    pub what: Kind,
    /// When, in seconds since the first connection.
    pub at_s: f64,
    /// How many were to come back.
    pub out: u32,
    /// How many were, at the next break or at the end.
    pub back: u32,
    /// Until the server could be reached, in milliseconds.
    pub up_ms: Option<f64>,
    /// Until the first was in again.
    pub first_back_ms: Option<f64>,
    /// Until the last one was.
    pub last_back_ms: Option<f64>,
    /// After a wave, until all were in. After the others everybody waits a while before trying again,
    /// and how long they take says little about the server.
    pub handshakes_per_second: Option<f64>,
}

impl Kind {
    /// How it is marked.
    pub const fn mark(self) -> Mark {
        match self {
            Self::Wave => Mark::Wave,
            Self::Drain => Mark::Drained,
            Self::Kill => Mark::Killed,
        }
    }
}

impl Breaks {
    /// All of them are out from now on.
    pub fn begin(&mut self, kind: Kind, out: u32, at: Moment) {
        if self.0.len() == BREAKS {
            self.0.pop_front();
        }
        self.0.push_back(Break {
            kind,
            at,
            out,
            back: 0,
            // A wave does nothing to the server.
            renewed: kind == Kind::Wave,
            up: (kind == Kind::Wave).then_some(at),
            first: None,
            last: None,
        });
    }

    /// The old server is gone, and another one was started.
    pub fn renewed(&mut self) {
        if let Some(last) = self.0.back_mut() {
            last.renewed = true;
        }
    }

    /// It can be reached.
    pub fn up(&mut self, at: Moment) {
        if let Some(last) = self.0.back_mut() {
            last.up.get_or_insert(at);
        }
    }

    /// One of those who were out is in again; says whether that counts. It does not in a server
    /// that is about to end.
    pub fn back(&mut self, at: Moment) -> bool {
        let Some(one) = self.0.back_mut().filter(|one| one.renewed) else {
            return false;
        };
        // Who is in has reached it, whoever else has noticed.
        one.up.get_or_insert(at);
        one.back += 1;
        one.first.get_or_insert(at);
        if one.back == one.out {
            one.last = Some(at);
        }
        true
    }

    /// Whether somebody is back from the last one.
    pub fn any_back(&self) -> bool {
        self.0.back().is_none_or(|one| one.first.is_some())
    }

    /// Whether nobody is missed.
    pub fn all_back(&self) -> bool {
        self.0.back().is_none_or(|one| one.last.is_some())
    }

    /// In order, as a report has them.
    pub fn told(&self) -> Vec<Told> {
        self.0.iter().map(Break::told).collect()
    }
}

impl fmt::Display for Told {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match self.what {
            Kind::Wave => "wave",
            Kind::Drain => "drain",
            Kind::Kill => "kill",
        };
        write!(f, "{kind:<5} at {:.1} s", self.at_s)?;
        if let Some(up) = self.up_ms.filter(|_| self.what != Kind::Wave) {
            write!(f, "; server up after {up:.0} ms")?;
        }
        match (self.first_back_ms, self.last_back_ms) {
            (Some(first), Some(last)) => write!(f, "; back after {first:.0} to {last:.0} ms")?,
            (Some(first), None) => write!(f, "; first back after {first:.0} ms")?,
            (None, _) => f.write_str("; nobody back")?,
        }
        match self.handshakes_per_second {
            Some(rate) => write!(f, ", {rate:.0} a second"),
            None if self.back == self.out => Ok(()),
            None => write!(f, ", {} of {} back", self.back, self.out),
        }
    }
}

impl Break {
    /// From the break until then.
    fn until(&self, then: Option<Moment>) -> Option<Duration> {
        Some(then?.since(self.at))
    }

    /// As a report has it; its moment counts from the first connection.
    pub fn told(&self) -> Told {
        let ms = |then| Some(self.until(then)?.as_secs_f64() * 1000.0);
        Told {
            what: self.kind,
            at_s: self.at.since(Moment(0)).as_secs_f64(),
            out: self.out,
            back: self.back,
            up_ms: ms(self.up),
            first_back_ms: ms(self.first),
            last_back_ms: ms(self.last),
            handshakes_per_second: self.handshakes_per_second(),
        }
    }

    fn handshakes_per_second(&self) -> Option<f64> {
        let time = self.last?.since(self.at).as_secs_f64();
        (self.kind == Kind::Wave && time > 0.0).then(|| f64::from(self.back) / time)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_comes_back_counts_from_the_new_server_on_and_until_the_next_break() {
        let second = |n: u64| Moment(n * 1_000_000_000);
        let mut breaks = Breaks::default();
        assert!(breaks.all_back());
        assert!(!breaks.back(second(1)), "nobody was out");
        breaks.begin(Kind::Drain, 2, second(1));
        assert!(!breaks.back(second(1)), "that was the old server");
        breaks.renewed();
        breaks.up(second(2));
        breaks.up(second(9));
        assert!(breaks.back(second(3)) && !breaks.all_back());
        assert!(breaks.back(second(4)) && breaks.all_back());
        breaks.begin(Kind::Wave, 2, second(5));
        assert!(breaks.back(second(6)));
        breaks.begin(Kind::Kill, 2, second(7));
        let told = breaks.told();
        let times = |one: &Told| [one.up_ms, one.first_back_ms, one.last_back_ms];
        assert_eq!(times(&told[0]), [Some(1000.0), Some(2000.0), Some(3000.0)]);
        assert_eq!(told[0].handshakes_per_second, None);
        assert_eq!(times(&told[1]), [Some(0.0), Some(1000.0), None]);
        assert_eq!(times(&told[2]), [None; 3]);
        let text: Vec<_> = told.iter().map(ToString::to_string).collect();
        assert_eq!(
            text,
            [
                "drain at 1.0 s; server up after 1000 ms; back after 2000 to 3000 ms",
                "wave  at 5.0 s; first back after 1000 ms, 1 of 2 back",
                "kill  at 7.0 s; nobody back, 0 of 2 back",
            ]
        );
    }
}
