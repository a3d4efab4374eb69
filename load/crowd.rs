//! All clients of a run, without a socket and without a clock.
//!
//! Fills the room, lets the schedule speak, cuts whom the scenario wants cut, brings them back, and
//! waits until the last message is everywhere. Whoever drives it connects and drops sockets as
//! [`Clients::poll_action`] says, and moves bytes. What the server says is taken in `hearing.rs`.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};
use std::io::{self, IoSlice};
use std::net::SocketAddr;
use std::time::Duration;

use kith::clock::Moment;
use kith::conn::client::{Client, Opening};
use kith::conn::{ConnConfig, Shared};
use kith::ids::Entropy;
use kith::limits::WRITE_PIECES;
use kith::wire::Format;
use tungstenite::handshake::client::generate_key;

use crate::bounds::{
    FLOOD_MESSAGES, LOOK, MESSAGE_MOST, OPENING, RETRY, SIGN_IN_WAIT, SLOW_BUFFER,
};
use crate::breaking::Breaking;
use crate::breaks::Kind;
use crate::clients::Clients;
use crate::failure::Failure;
use crate::flap::{Flaps, Means};
use crate::hearing::Trouble;
use crate::ledger::Ledger;
use crate::numbers::Numbers;
use crate::payload::Run;
use crate::person::{Person, Stage};
use crate::scenario::Plan;
use crate::schedule::{Pace, Schedule};
use crate::series::Mark;
use crate::slow::SlowReaders;
use crate::verdict::Verdict;

/// The crowd. See the module.
#[derive(Debug)]
pub struct Crowd {
    pub(crate) plan: Plan,
    pub(crate) target: Target,
    pub(crate) run: Run,
    pub(crate) people: Vec<Person>,
    pub(crate) shared: Shared,
    pub(crate) entropy: Entropy,
    pub(crate) ledger: Ledger,
    pub(crate) numbers: Numbers,
    pub(crate) phase: Phase,
    /// How many are in, and how many are on their way.
    pub(crate) inside: u32,
    pub(crate) coming: usize,
    pub(crate) fatal: Option<Failure>,
    /// What kept somebody out, the last time.
    pub(crate) trouble: Option<Trouble>,
    /// When somebody came in, the last time.
    pub(crate) progress: Moment,
    pub(crate) actions: VecDeque<Action>,
    pub(crate) returns: BinaryHeap<Reverse<(Moment, u32)>>,
    dirty: Vec<u32>,
    /// How many have ever been sent on their way.
    begun: u32,
    pub(crate) breaking: Breaking,
    pub(crate) slow: SlowReaders,
    pub(crate) flaps: Flaps,
    swept: Moment,
}

/// Where the server is.
#[derive(Clone, Debug)]
pub struct Target {
    /// To connect to.
    pub address: SocketAddr,
    /// As `Host` has it.
    pub host: String,
    /// Path and query.
    pub path: String,
}

/// How far a run is.
#[derive(Debug)]
pub enum Phase {
    /// Clients come in, since then.
    Filling(Moment),
    /// Everybody is in, and messages are due.
    Talking {
        /// When they are.
        schedule: Schedule,
        /// Since when.
        since: Moment,
    },
    /// Everything is said; the last of it is on its way, until then at most.
    Settling(Moment),
    /// That was all.
    Over,
}

/// What is to be done with sockets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Connect this client.
    Connect(u32),
    /// Drop this client's socket, if it has one.
    Drop(u32),
    /// Close this client's socket in good order.
    Leave(u32),
    /// Read from this client's socket, for which there was no [`Crowd::room`] before.
    Read(u32),
}

impl Crowd {
    /// Nobody is there yet.
    pub fn new(plan: Plan, target: Target, mut entropy: Entropy, now: Moment) -> Self {
        let run = Run(entropy.u64());
        Self {
            people: (0..plan.clients).map(|_| Person::default()).collect(),
            shared: Shared::for_clients(ConnConfig {
                message_bytes: MESSAGE_MOST,
                ..ConnConfig::default()
            }),
            ledger: Ledger::new(run, plan.size, plan.clients, plan.readers()),
            numbers: Numbers::new(),
            phase: Phase::Filling(now),
            inside: 0,
            coming: 0,
            fatal: None,
            trouble: None,
            progress: now,
            actions: VecDeque::new(),
            returns: BinaryHeap::new(),
            dirty: Vec::new(),
            begun: 0,
            breaking: Breaking::default(),
            slow: SlowReaders::new(&plan),
            flaps: Flaps::new(plan.clients, plan.flapping()),
            swept: now,
            plan,
            target,
            run,
            entropy,
        }
    }
}

impl Clients for Crowd {
    fn tick(&mut self, now: Moment) {
        while let Some(Reverse((at, client))) = self.returns.peek().copied()
            && at <= now
            && self.coming < OPENING
        {
            self.returns.pop();
            self.start(client, now);
        }
        let paced = matches!(self.phase, Phase::Talking { .. });
        while let Some(client) = match paced {
            true => self.slow.release(now),
            false => self.slow.release_any(),
        } {
            self.actions.push_back(Action::Read(client));
        }
        if now.since(self.swept) >= Duration::from_secs(1) {
            self.swept = now;
            self.sweep(now);
        }
        match self.phase {
            Phase::Filling(since) => self.fill(since, now),
            Phase::Talking { since, .. } => self.speak(since, now),
            Phase::Settling(until) => {
                let all = self.numbers.breaks.all_back() && self.has_all();
                self.phase = self.numbers.settle(all, until, now);
            }
            Phase::Over => {}
        }
        self.besides(|flaps, means| flaps.tick(means, now));
    }

    fn poll_action(&mut self) -> Option<Action> {
        let of_crowd = self.actions.pop_front();
        of_crowd.or_else(|| self.flaps.poll_action())
    }

    fn next_tick(&self, now: Moment) -> Moment {
        let phase = match &self.phase {
            Phase::Filling(_) if self.begun < self.plan.clients => {
                now.after(Duration::from_millis(1))
            }
            Phase::Filling(_) | Phase::Over => Moment(u64::MAX),
            Phase::Talking { schedule, since } => {
                let said = schedule.next().unwrap_or(schedule.end());
                said.min(self.next_break(*since))
            }
            Phase::Settling(_) => now.after(LOOK),
        };
        let back = self.returns.peek().map(|Reverse((at, _))| *at);
        let back = back.filter(|_| self.coming < OPENING);
        let sweep = self.swept.after(Duration::from_secs(1));
        let others = [back, self.slow.next(), self.flaps.next()];
        let first = others.into_iter().flatten().min();
        phase.min(sweep).min(first.unwrap_or(sweep))
    }

    fn room(&mut self, client: u32, now: Moment) -> usize {
        let paced = self.slow.has(client)
            && !self.is_beside(client)
            && self.people[client as usize].stage == Stage::In
            && matches!(self.phase, Phase::Talking { .. });
        if paced {
            self.slow.room(client, now)
        } else {
            usize::MAX
        }
    }

    fn receive_buffer(&self, client: u32) -> Option<usize> {
        let slow = self.slow.has(client) && !self.is_beside(client);
        slow.then_some(SLOW_BUFFER)
    }

    fn received(&mut self, client: u32, bytes: &[u8], now: Moment) {
        if self.is_beside(client) {
            return self.besides(|flaps, means| flaps.received(client, bytes, means));
        }
        self.numbers.bytes_in += bytes.len() as u64;
        self.slow.took(client, bytes.len(), now);
        let mut input = bytes;
        while self.people[client as usize].counter.is_none() && self.step(client, &mut input, now) {
        }
        if let Some(mut counter) = self.people[client as usize].counter {
            counter.walk(input, |mut part| while self.step(client, &mut part, now) {});
            self.count(client, counter.take(), now);
            // Unless the connection is over by now.
            if let Some(kept) = &mut self.people[client as usize].counter {
                *kept = counter;
            }
        }
        self.mark(client);
    }

    fn ended(&mut self, client: u32, now: Moment) {
        if self.is_beside(client) {
            return self.flaps.ended(client);
        }
        if let Some(conn) = &mut self.people[client as usize].conn
            && let Some(told) = conn.handle_eof()
        {
            self.told(client, told, now);
        }
    }

    fn unreachable(&mut self, client: u32, error: io::Error, now: Moment) {
        if self.is_beside(client) {
            return self.flaps.ended(client);
        }
        self.out(client, Trouble::Unreachable(error), now);
    }

    fn take_dirty(&mut self, into: &mut Vec<u32>) {
        for client in &self.dirty {
            self.people[*client as usize].dirty = false;
        }
        into.append(&mut self.dirty);
        self.flaps.take_dirty(into);
    }

    fn slices<'a>(&'a self, client: u32, into: &mut [IoSlice<'a>; WRITE_PIECES]) -> usize {
        if self.is_beside(client) {
            return self.flaps.slices(client, into);
        }
        match &self.people[client as usize].conn {
            Some(conn) => conn.slices(&self.shared, into),
            None => 0,
        }
    }

    fn wrote(&mut self, client: u32, taken: usize) {
        if self.is_beside(client) {
            return self.flaps.wrote(client, taken);
        }
        self.numbers.bytes_out += taken as u64;
        if let Some(conn) = &mut self.people[client as usize].conn {
            conn.wrote(taken, &mut self.shared);
        }
    }

    fn server_leaves(&mut self, kind: Kind, now: Moment) {
        self.all_out(kind, now);
    }

    fn server_renewed(&mut self) {
        self.numbers.breaks.renewed();
    }

    fn server_up(&mut self, now: Moment) {
        self.numbers.breaks.up(now);
    }

    fn stop(&mut self, now: Moment) {
        match self.phase {
            Phase::Filling(_) => self.fatal = Some(Failure::Interrupted),
            Phase::Talking { since, .. } => {
                self.numbers.interrupted = true;
                self.settle(since, now);
            }
            Phase::Settling(_) | Phase::Over => {}
        }
    }

    fn again(&mut self, pace: Pace, now: Moment) {
        self.plan.pace = pace;
        self.breaking = Breaking::default();
        self.talk(now);
    }

    fn has_all(&self) -> bool {
        let everybody = self.inside == self.plan.clients;
        everybody && self.ledger.open() == 0 && self.ledger.all_heard()
    }

    fn refused(&self) -> u64 {
        self.ledger.refusals()
    }

    fn phase(&self) -> &Phase {
        &self.phase
    }

    fn inside(&self) -> u32 {
        self.inside
    }

    fn numbers(&self) -> &Numbers {
        &self.numbers
    }

    fn faults(&self) -> u64 {
        self.ledger.faults()
    }

    fn take_failure(&mut self) -> Option<Failure> {
        self.fatal.take()
    }

    fn finish(self) -> (Numbers, Verdict) {
        (self.numbers, self.ledger.close())
    }
}

impl Crowd {
    /// Notes that a client has something to write.
    pub(crate) fn mark(&mut self, client: u32) {
        let person = &mut self.people[client as usize];
        let waits = person.conn.as_ref().is_some_and(|c| !c.outbox().is_empty());
        if waits && !person.dirty {
            person.dirty = true;
            self.dirty.push(client);
        }
    }

    /// A client's connection is gone; it comes back.
    pub(crate) fn away(&mut self, client: u32, back: Moment) {
        let person = &mut self.people[client as usize];
        match std::mem::take(&mut person.stage) {
            Stage::In => self.inside -= 1,
            Stage::Coming(_) => self.coming -= 1,
            Stage::Out => return,
        }
        person.conn = None;
        person.counter = None;
        self.actions.push_back(Action::Drop(client));
        self.returns.push(Reverse((back, client)));
    }

    /// Whether this one is none of the crowd's, but one of those who get nothing done.
    const fn is_beside(&self, client: u32) -> bool {
        client >= self.plan.clients
    }

    fn besides(&mut self, then: impl FnOnce(&mut Flaps, &mut Means<'_>)) {
        let mut means = Means {
            target: &self.target,
            run: self.run,
            shared: &mut self.shared,
            entropy: &mut self.entropy,
        };
        then(&mut self.flaps, &mut means);
    }

    /// A random while of at most so long.
    pub(crate) fn jitter(&mut self, most: Duration) -> Duration {
        most.mul_f64(f64::from(self.entropy.u32()) / f64::from(u32::MAX))
    }

    fn start(&mut self, client: u32, now: Moment) {
        let person = &mut self.people[client as usize];
        let first = person.claim(self.ledger.name(client));
        let opening = Opening {
            host: &self.target.host,
            path: &self.target.path,
            key: &generate_key(),
            subprotocol: Some(Format::Proto.subprotocol()),
            fields: first.as_slice(),
        };
        person.conn = Some(Client::new(&opening, &mut self.shared));
        person.stage = Stage::Coming(now);
        self.coming += 1;
        self.actions.push_back(Action::Connect(client));
        self.mark(client);
    }

    /// Sends new clients on their way, evenly; when all are in, talking begins.
    fn fill(&mut self, since: Moment, now: Moment) {
        let by_now = self.plan.begun_by(now.since(since));
        while self.begun < by_now && self.coming < OPENING {
            self.start(self.begun, now);
            self.begun += 1;
        }
        if self.inside == self.plan.clients {
            self.numbers.filled = now.since(since);
            self.talk(now);
        } else if now.since(self.progress) > SIGN_IN_WAIT + RETRY {
            let (got, of) = (self.inside, self.plan.clients);
            self.fatal = Some(Trouble::missing(self.trouble.as_ref(), got, of));
        }
    }

    /// Messages are due from now on.
    fn talk(&mut self, now: Moment) {
        self.numbers.marks.push(now, Mark::Talking);
        let schedule = Schedule::new(self.plan.pace(), now, self.plan.talkers());
        self.flaps.begin(now);
        self.phase = Phase::Talking {
            schedule,
            since: now,
        };
        if self.plan.flood {
            for client in 0..self.plan.talkers() {
                self.send_waiting(client, now);
            }
        }
    }

    fn speak(&mut self, since: Moment, now: Moment) {
        while let Phase::Talking { schedule, .. } = &mut self.phase
            && let Some(due) = schedule.take(now)
        {
            self.numbers.lateness.record(due.at, now);
            let which = self.ledger.due(due.sender, due.at);
            let person = &mut self.people[due.sender as usize];
            person.waiting.push_back(which);
            if person.cut
                && let Some(said) = self.ledger.said(which)
            {
                said.interrupted = true;
            }
            self.send_waiting(due.sender, now);
        }
        if let Phase::Talking { schedule, .. } = &self.phase
            && (now >= schedule.end() && schedule.next().is_none()
                || self.plan.flood && self.ledger.due_so_far() >= FLOOD_MESSAGES)
        {
            return self.settle(since, now);
        }
        self.break_off(since, now);
    }

    /// Everything is said.
    fn settle(&mut self, since: Moment, now: Moment) {
        self.numbers.said(since, now);
        self.numbers.marks.push(now, Mark::Said);
        self.flaps.end();
        self.numbers.flaps = self.flaps.opened();
        self.phase = Phase::Settling(now.after(self.plan.settle));
    }

    /// Gives up those who have been on their way for too long.
    fn sweep(&mut self, now: Moment) {
        for client in 0..self.plan.clients {
            if let Stage::Coming(since) = self.people[client as usize].stage
                && now.since(since) >= SIGN_IN_WAIT
            {
                self.out(client, Trouble::Silent, now);
            }
        }
        self.shared.trim();
    }
}
