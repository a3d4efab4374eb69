//! When the server that the swarm started is ended and started again.
//!
//! Between the crowd, which counts who is back, and the process. What came of each life is kept:
//! how it ended, and what memory it held just before.

use std::collections::VecDeque;
use std::path::PathBuf;
use std::process::ExitStatus;
use std::thread;

use kith::clock::Moment;
use serde::Serialize;

use crate::bounds::{LIVES, SERVE_LOOK};
use crate::breaks::Kind;
use crate::clients::Clients;
use crate::crowd::Phase;
use crate::failure::Failure;
use crate::scenario::{Plan, Restart};
use crate::serving::{News, Service, Serving, said};
use crate::watch::Watch;

/// A server, and when it is to be restarted.
#[derive(Debug)]
pub struct Restarts {
    serving: Serving,
    plan: Plan,
    /// How often it was.
    done: u32,
    lives: VecDeque<Life>,
}

/// The server that the swarm started, when it is gone.
#[derive(Clone, Debug, Serialize)]
pub struct Served {
    /// What started it.
    pub command: String,
    /// Where it printed, if that has a name.
    pub output: Option<PathBuf>,
    /// Its lives in order, the newest of them if there were many.
    pub lives: Vec<Life>,
}

/// One life of the server.
#[derive(Clone, Debug, Serialize)]
pub struct Life {
    /// Its process.
    pub pid: u32,
    /// What ended it: `drain` or `kill`, of which the first is also the end of the last life.
    pub ended_by: Kind,
    /// How it ended, such as `status 0`; empty until it has.
    pub with: String,
    /// Resident memory just before, in bytes; 0 if it could not be asked.
    pub resident: u64,
}

impl Restarts {
    /// Starts the server, and waits until it can be reached.
    ///
    /// # Errors
    /// It does not serve.
    pub fn begin(
        service: Service,
        plan: Plan,
        clock: impl Fn() -> Moment,
    ) -> Result<Self, Failure> {
        let mut serving = Serving::start(service, clock())?;
        while serving.poll(clock())?.is_none() {
            thread::sleep(SERVE_LOOK);
        }
        Ok(Self {
            serving,
            plan,
            done: 0,
            lives: VecDeque::new(),
        })
    }

    /// When [`Restarts::tend`] has something to do.
    pub fn next(&self, crowd: &impl Clients, now: Moment) -> Moment {
        if self.serving.is_up() {
            self.due(crowd).unwrap_or(Moment(u64::MAX))
        } else {
            now.after(SERVE_LOOK)
        }
    }

    /// Ends the server when it is time to, starts it when it has ended, and tells the crowd.
    ///
    /// # Errors
    /// It ended by itself, or did not come back.
    pub fn tend(&mut self, crowd: &mut impl Clients, now: Moment) -> Result<(), Failure> {
        match self.serving.poll(now)? {
            Some(News::Up) => crowd.server_up(now),
            Some(News::Ended(status)) => {
                self.over(status);
                self.serving.again(now)?;
                crowd.server_renewed();
            }
            None => {}
        }
        if self.serving.is_up() && self.due(crowd).is_some_and(|at| at <= now) {
            let drain = match self.plan.restart {
                Restart::Both => self.done.is_multiple_of(2),
                restart => restart == Restart::Drain,
            };
            self.done += 1;
            let kind = if drain { Kind::Drain } else { Kind::Kill };
            crowd.server_leaves(kind, now);
            self.end(kind, now);
        }
        Ok(())
    }

    /// Ends the server for good.
    ///
    /// # Errors
    /// It does not end.
    pub fn finish(mut self, clock: impl Fn() -> Moment) -> Result<Served, Failure> {
        if !self.serving.is_ending() {
            self.end(Kind::Drain, clock());
        }
        loop {
            if let Some(News::Ended(status)) = self.serving.poll(clock())? {
                self.over(status);
                let Service {
                    command, output, ..
                } = self.serving.service().clone();
                return Ok(Served {
                    command,
                    output,
                    lives: self.lives.into(),
                });
            }
            thread::sleep(SERVE_LOOK);
        }
    }

    fn end(&mut self, kind: Kind, now: Moment) {
        if self.lives.len() == LIVES {
            self.lives.pop_front();
        }
        let pid = self.serving.pid();
        self.lives.push_back(Life {
            pid,
            ended_by: kind,
            with: String::new(),
            resident: resident(pid).unwrap_or(0),
        });
        match kind {
            Kind::Kill => self.serving.kill(now),
            Kind::Drain | Kind::Wave => self.serving.drain(now),
        }
    }

    fn over(&mut self, status: ExitStatus) {
        if let Some(life) = self.lives.back_mut() {
            life.with = said(status);
        }
    }

    /// The moment of the next restart, as long as messages are due. One that is due before
    /// everybody is back from the last one waits for them.
    fn due(&self, crowd: &impl Clients) -> Option<Moment> {
        let Phase::Talking { schedule, since } = crowd.phase() else {
            return None;
        };
        if !crowd.numbers().breaks.all_back() {
            return None;
        }
        let at = since.after(self.plan.every.saturating_mul(self.done + 1));
        // One in the last moment would not show how it goes on.
        (self.plan.restart != Restart::Never && at < schedule.end()).then_some(at)
    }
}

impl Served {
    /// One sentence for each life that did not end in good order when it was asked to.
    pub fn wrong(&self) -> Vec<String> {
        let asked = self.lives.iter();
        let asked = asked.filter(|life| life.ended_by == Kind::Drain && life.with != "status 0");
        let sentence = |Life { pid, with, .. }: &Life| {
            format!("the server (process {pid}) was asked to end, and did with {with}")
        };
        asked.map(sentence).collect()
    }
}

fn resident(pid: u32) -> Option<u64> {
    let holdings = Watch::new(pid, None).ok()?.holdings();
    holdings.map(|holdings| holdings.resident)
}
