//! A search for what the server sustains, in a running crowd: what was seen of each step, and the
//! next one.

use std::time::Duration;

use kith::clock::Moment;

use crate::args::Options;
use crate::clients::Clients;
use crate::failure::Failure;
use crate::numbers::Numbers;
use crate::schedule::Pace;
use crate::search::{Ended, Found, Next, Search, Seen};
use crate::watch::Watch;

/// The search, and how things stood when its step began.
#[derive(Debug)]
pub struct Searching {
    search: Search,
    pace: Pace,
    swarm: Watch,
    numbers: Numbers,
    refused: u64,
    faults: u64,
    /// Not known for the first step: what the filling took is not told apart from it.
    cpu: Option<Duration>,
}

impl Searching {
    /// If one is wanted; its first step is the crowd's first talk.
    ///
    /// # Errors
    /// This very process cannot be looked at.
    pub fn new(options: &Options) -> Result<Option<Self>, Failure> {
        if !options.search {
            return Ok(None);
        }
        let this = std::process::id();
        let swarm = Watch::new(this, None).map_err(|error| Failure::NoProcess(this, error))?;
        let pace = options.plan.pace;
        Ok(Some(Self {
            search: Search::new(pace.rate, options.limits.clone()),
            pace,
            swarm,
            numbers: Numbers::new(),
            refused: 0,
            faults: 0,
            cpu: None,
        }))
    }

    /// A step is over: begins the next, or says why there is none.
    pub fn step(&mut self, clients: &mut impl Clients, now: Moment) -> Option<Ended> {
        let seen = self.seen(clients);
        let next = self.search.judge(&seen);
        if clients.numbers().interrupted {
            return Some(Ended::Interrupted);
        }
        match next {
            Next::End(ended) => Some(ended),
            Next::Rate(rate) => {
                self.pace.rate = rate;
                clients.again(self.pace, now);
                None
            }
        }
    }

    /// Closes it.
    pub fn finish(self, ended: Ended) -> Found {
        self.search.finish(ended)
    }

    /// What was seen since the last time.
    fn seen(&mut self, clients: &impl Clients) -> Seen {
        let (now, then) = (clients.numbers(), &self.numbers);
        let cpu = self.swarm.look().spent().cpu.total();
        let seen = Seen {
            corrected: now.corrected.since(&then.corrected),
            lateness: now.lateness.since(&then.lateness),
            deliveries: now.deliveries - then.deliveries,
            talked: now.talked - then.talked,
            refused: clients.refused() - self.refused,
            faults: clients.faults() - self.faults,
            settled: clients.has_all(),
            cpu: self.cpu.map_or(Duration::ZERO, |before| cpu - before),
        };
        self.numbers = now.clone();
        (self.refused, self.faults) = (clients.refused(), clients.faults());
        self.cpu = Some(cpu);
        seen
    }
}
