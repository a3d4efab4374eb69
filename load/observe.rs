//! Looks at a run once a second, and at its processes at the moments that matter.
//!
//! Everything that is seen of a run while it goes on is gathered here: for the report when it is
//! over, and for whoever waits in front of a terminal. Knows the swarm only as a [`Scene`].

use std::net::SocketAddr;
use std::time::Duration;

use kith::clock::{Moment, nanos};

use crate::clients::Clients;
use crate::crowd::Phase;
use crate::failure::Failure;
use crate::numbers::Numbers;
use crate::progress::{Progress, View};
use crate::scenario::Plan;
use crate::series::{Mark, Marks, Reading, Sample, Sampler};
use crate::watch::{self, Holdings, Totals, Watch};

/// A run as it stands.
#[derive(Clone, Copy, Debug)]
pub struct Scene<'a> {
    /// What is being done.
    pub doing: Doing,
    /// How much of that is done, from 0 to 1.
    pub done: f64,
    /// How much longer it will take, or may take.
    pub left: Duration,
    /// How many are in.
    pub inside: u32,
    /// How many there are.
    pub clients: u32,
    /// What was counted so far.
    pub numbers: &'a Numbers,
    /// Faults found so far, of any kind. Some are only found when the books are closed.
    pub faults: u64,
}

/// What a run is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Doing {
    /// Clients come in.
    Filling,
    /// Messages are due.
    Talking,
    /// The last of them are on their way.
    Settling,
    /// Nothing more.
    Over,
}

/// The observer. See the module.
#[derive(Debug)]
pub struct Observer {
    server: Option<Watched>,
    swarm: Watched,
    sampler: Sampler,
    progress: Progress,
    stage: Doing,
    /// For whoever breaks things on purpose, and is not of the crowd.
    pub marks: Marks,
}

/// What was seen of a run, when it is over.
#[derive(Clone, Debug)]
pub struct Observed {
    /// Of the server's processes, if they were to be looked at.
    pub server: Option<Observation>,
    /// Of this process.
    pub swarm: Observation,
    /// Second by second.
    pub samples: Vec<Sample>,
    /// What happened.
    pub marks: Marks,
}

/// What was seen of a process, or of one after the other.
#[derive(Clone, Debug)]
pub struct Observation {
    /// The number of the last one.
    pub pid: u32,
    /// How many there were.
    pub processes: u32,
    /// Before the first connection.
    pub before: Snapshot,
    /// When everybody was in.
    pub filled: Snapshot,
    /// After the last message.
    pub after: Snapshot,
}

/// A process at one of the moments that matter.
#[derive(Clone, Debug, Default)]
pub struct Snapshot {
    /// What was taken so far.
    pub totals: Totals,
    /// What it held; `None` if there was none.
    pub holdings: Option<Holdings>,
}

#[derive(Debug)]
struct Watched {
    watch: Watch,
    before: Snapshot,
    filled: Option<Snapshot>,
}

impl<'a> Scene<'a> {
    /// As these clients are in.
    pub fn of(clients: &'a impl Clients, plan: &Plan, now: Moment) -> Self {
        let share = |of: Duration, whole: Duration| match whole.as_secs_f64() {
            0.0 => 1.0,
            whole => (of.as_secs_f64() / whole).min(1.0),
        };
        let inside = clients.inside();
        let (doing, done, left) = match clients.phase() {
            Phase::Filling(_) => {
                let missing = f64::from(plan.clients.saturating_sub(inside));
                // At 0 they come as fast as they are let in, which nobody knows.
                let seconds = match plan.connect_rate {
                    0 => 0.0,
                    rate => missing / f64::from(rate),
                };
                let left = Duration::from_secs_f64(seconds);
                let done = f64::from(inside) / f64::from(plan.clients);
                (Doing::Filling, done, left)
            }
            Phase::Talking { schedule, since } => {
                let done = share(now.since(*since), schedule.end().since(*since));
                (Doing::Talking, done, schedule.end().since(now))
            }
            Phase::Settling(until) => {
                let left = until.since(now);
                (Doing::Settling, 1.0 - share(left, plan.settle), left)
            }
            Phase::Over => (Doing::Over, 1.0, Duration::ZERO),
        };
        Self {
            doing,
            done,
            left,
            inside,
            clients: plan.clients,
            numbers: clients.numbers(),
            faults: clients.faults(),
        }
    }
}

impl Doing {
    /// In one word.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Filling => "filling",
            Self::Talking => "talking",
            Self::Settling => "settling",
            Self::Over => "over",
        }
    }
}

impl Observer {
    /// Begins with what is there: the server's process of this number, or the one that listens at
    /// this address, if it is on this machine.
    ///
    /// # Errors
    /// A process that was named cannot be looked at. One that was not named is just not watched.
    pub fn new(pid: Option<u32>, address: SocketAddr, progress: Progress) -> Result<Self, Failure> {
        let watch = |pid| Watch::new(pid, Some(address));
        let server = match pid {
            Some(pid) => Some(watch(pid).map_err(|error| Failure::NoProcess(pid, error))?),
            None => watch::listener(address).and_then(|pid| watch(pid).ok()),
        };
        let this = std::process::id();
        let swarm = Watch::new(this, None).map_err(|error| Failure::NoProcess(this, error))?;
        let (server, swarm) = (server.map(Watched::new), Watched::new(swarm));
        let taken = server.as_ref().map(|server| server.before.totals.clone());
        Ok(Self {
            sampler: Sampler::new(Moment(0), taken, swarm.before.totals.clone()),
            server,
            swarm,
            progress,
            stage: Doing::Filling,
            marks: Marks::default(),
        })
    }

    /// When the next look is due.
    pub fn next(&self) -> Moment {
        self.sampler.next()
    }

    /// Looks, if it is time to or something has changed.
    pub fn look(&mut self, scene: &Scene<'_>, now: Moment) {
        if self.stage == Doing::Filling && scene.doing != Doing::Filling {
            self.swarm.fill();
            self.server.iter_mut().for_each(Watched::fill);
        }
        let changed = self.stage != scene.doing;
        match scene.doing {
            Doing::Talking if changed => self.marks.push(now, Mark::Talking),
            Doing::Settling if changed => self.marks.push(now, Mark::Said),
            _ => {}
        }
        self.stage = scene.doing;
        if now >= self.next() || (changed && scene.doing == Doing::Over) {
            self.sample(scene, now);
        }
    }

    /// Looks once more, and takes down the display.
    pub fn finish(mut self, numbers: &Numbers) -> Observed {
        self.progress.close();
        Observed {
            server: self.server.map(Watched::finish),
            swarm: self.swarm.finish(),
            samples: self.sampler.finish(),
            marks: self.marks.with(&numbers.marks),
        }
    }

    fn sample(&mut self, scene: &Scene<'_>, now: Moment) {
        let (marks, swarm) = (&mut self.marks, self.swarm.watch.look());
        let server = self.server.as_mut().map(|server| {
            let before = server.watch.processes();
            let totals = server.watch.look();
            if server.watch.processes() > before {
                // It may have been looked for in vain before.
                let began = Moment(now.0.saturating_sub(nanos(server.watch.age())));
                marks.push(began, Mark::Restarted);
            }
            totals
        });
        let reading = Reading {
            numbers: scene.numbers,
            inside: scene.inside,
            server: server.as_ref(),
            swarm: &swarm,
        };
        let second = self.sampler.take(&reading, now);
        self.progress.tell(&View {
            at: now,
            scene,
            second: &second,
            mark: self.marks.with(&scene.numbers.marks).last(),
        });
    }
}

impl Watched {
    fn new(mut watch: Watch) -> Self {
        Self {
            before: Snapshot::of(watch.look(), &watch),
            filled: None,
            watch,
        }
    }

    fn fill(&mut self) {
        self.filled = Some(Snapshot::of(self.watch.look(), &self.watch));
    }

    fn finish(mut self) -> Observation {
        let after = Snapshot::of(self.watch.look_last(), &self.watch);
        Observation {
            pid: self.watch.pid(),
            processes: self.watch.processes(),
            before: self.before,
            filled: self.filled.unwrap_or_else(|| after.clone()),
            after,
        }
    }
}

impl Snapshot {
    fn of(totals: Totals, watch: &Watch) -> Self {
        let holdings = watch.holdings();
        Self { totals, holdings }
    }
}
