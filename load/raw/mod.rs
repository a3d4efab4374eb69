//! Clients of any WebSocket server: they say opaque messages, and hear them come back or hear each
//! other's.
//!
//! The other set of clients that the engine drives (the first one, `crowd`, speaks to Kith, which
//! gives every message a place). Fills the room, lets the schedule speak or keeps every talker's
//! window full, and waits until the last message is everywhere. Whoever is cut off by the server
//! comes back, and what it missed is lost: there is nothing to resume from. What is said, and how it
//! is read, is the dialect's; Kith's pings are one.

mod books;
mod dialect;
mod flow;
mod marker;
mod people;
#[cfg(test)]
mod scripted;

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};
use std::time::Duration;

use kith::clock::Moment;
use kith::conn::{ConnConfig, Shared};
use kith::ids::Entropy;

pub use self::dialect::{Dialect, Opaque, Pings};

use self::books::Books;
use self::people::Person;
use crate::bounds::{LOOK, MESSAGE_MOST, OPENING};
use crate::crowd::{Action, Phase, Target};
use crate::failure::Failure;
use crate::hearing::Trouble;
use crate::numbers::Numbers;
use crate::payload::Run;
use crate::scenario::Plan;

/// Who is to hear a message.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Expect {
    /// Everybody, the sender too
    #[default]
    Broadcast,
    /// Everybody but the sender
    Others,
    /// The sender alone
    Echo,
}

/// The set. See the module.
#[derive(Debug)]
pub struct Raw<D> {
    dialect: D,
    expect: Expect,
    plan: Plan,
    target: Target,
    people: Vec<Person>,
    shared: Shared,
    entropy: Entropy,
    books: Books,
    numbers: Numbers,
    phase: Phase,
    /// How many are in, on their way, and have ever been sent on it.
    inside: u32,
    coming: usize,
    begun: u32,
    fatal: Option<Failure>,
    /// What kept somebody out, the last time.
    trouble: Option<Trouble>,
    /// When somebody came in, the last time.
    progress: Moment,
    swept: Moment,
    actions: VecDeque<Action>,
    returns: BinaryHeap<Reverse<(Moment, u32)>>,
    dirty: Vec<u32>,
    /// Frames that are about to be queued, and one message of them.
    frames: Vec<u8>,
}

impl<D: Dialect> Raw<D> {
    /// Nobody is there yet.
    pub fn new(
        dialect: D,
        expect: Expect,
        run: Run,
        plan: Plan,
        target: Target,
        entropy: Entropy,
        now: Moment,
    ) -> Self {
        Self {
            dialect,
            expect,
            people: (0..plan.clients).map(|_| Person::default()).collect(),
            shared: Shared::for_clients(ConnConfig {
                message_bytes: MESSAGE_MOST,
                ..ConnConfig::default()
            }),
            books: Books::new(run, expect, plan.clients, plan.talkers(), plan.readers()),
            numbers: Numbers::new(),
            phase: Phase::Filling(now),
            inside: 0,
            coming: 0,
            begun: 0,
            fatal: None,
            trouble: None,
            progress: now,
            swept: now,
            actions: VecDeque::new(),
            returns: BinaryHeap::new(),
            dirty: Vec::new(),
            frames: Vec::new(),
            plan,
            target,
            entropy,
        }
    }

    /// When something is due that nobody outside brings about.
    fn next(&self, now: Moment) -> Moment {
        let phase = match &self.phase {
            Phase::Filling(_) if self.begun < self.plan.clients => {
                now.after(Duration::from_millis(1))
            }
            Phase::Filling(_) | Phase::Over => Moment(u64::MAX),
            Phase::Talking { schedule, .. } => schedule.next().unwrap_or(schedule.end()),
            Phase::Settling(_) => now.after(LOOK),
        };
        let back = self.returns.peek().map(|Reverse((at, _))| *at);
        let back = back.filter(|_| self.coming < OPENING);
        let sweep = self.swept.after(Duration::from_secs(1));
        phase.min(sweep).min(back.unwrap_or(sweep))
    }
}
