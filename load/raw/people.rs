//! The clients of the set, each: how it comes in, what it is told, and how it goes.

use std::cmp::Reverse;
use std::collections::VecDeque;
use std::io::{self, IoSlice};

use kith::clock::Moment;
use kith::conn::client::{Client, Opening, Told as Event};
use kith::conn::frame::{Kind, append_masked};
use kith::limits::WRITE_PIECES;
use tungstenite::handshake::client::generate_key;

use super::dialect::Told;
use super::marker::{Reading, Times};
use super::{Dialect, Raw};
use crate::bounds::RETRY;
use crate::clients::Clients;
use crate::counting::{Counted, Counter};
use crate::crowd::{Action, Phase};
use crate::failure::Failure;
use crate::hearing::Trouble;
use crate::numbers::Numbers;
use crate::payload::Which;
use crate::person::Stage;
use crate::schedule::Pace;
use crate::verdict::Verdict;

/// One client.
#[derive(Debug, Default)]
pub struct Person {
    /// Its connection, while it has one or asks for one.
    pub conn: Option<Client>,
    /// How far it is with that.
    pub stage: Stage,
    /// Set if it only counts, once it is in.
    pub counter: Option<Counter>,
    /// Due, and not sent yet.
    pub waiting: VecDeque<Moment>,
    /// Sent and not come back, the first of them with this number; empty if none comes back.
    pub flying: VecDeque<Times>,
    pub first: u32,
    /// When the last one came back, or the first one of them went.
    pub answered: Moment,
    /// Whether it is on the list of those who have something to write.
    pub dirty: bool,
}

impl<D: Dialect> Clients for Raw<D> {
    fn tick(&mut self, now: Moment) {
        self.go_on(now);
    }

    fn next_tick(&self, now: Moment) -> Moment {
        self.next(now)
    }

    fn poll_action(&mut self) -> Option<Action> {
        self.actions.pop_front()
    }

    fn received(&mut self, client: u32, bytes: &[u8], now: Moment) {
        self.numbers.bytes_in += bytes.len() as u64;
        let mut input = bytes;
        while self.people[client as usize].counter.is_none() {
            if !self.step(client, &mut input, now) {
                break;
            }
        }
        if let Some(mut counter) = self.people[client as usize].counter {
            counter.walk(input, |mut part| while self.step(client, &mut part, now) {});
            let messages = counter.take();
            self.numbers.heard(messages, now);
            self.books.counted(client, messages);
            // Unless the connection is over by now.
            if let Some(kept) = &mut self.people[client as usize].counter {
                *kept = counter;
            }
        }
        self.send(client, now);
        self.mark(client);
    }

    fn ended(&mut self, client: u32, now: Moment) {
        if let Some(conn) = &mut self.people[client as usize].conn
            && let Some(event) = conn.handle_eof()
        {
            self.event(client, event, now);
        }
    }

    fn unreachable(&mut self, client: u32, error: io::Error, now: Moment) {
        self.out(client, Trouble::Unreachable(error), now);
    }

    fn take_dirty(&mut self, into: &mut Vec<u32>) {
        into.append(&mut self.dirty);
        for client in into {
            self.people[*client as usize].dirty = false;
        }
    }

    fn slices<'a>(&'a self, client: u32, into: &mut [IoSlice<'a>; WRITE_PIECES]) -> usize {
        match &self.people[client as usize].conn {
            Some(conn) => conn.slices(&self.shared, into),
            None => 0,
        }
    }

    fn wrote(&mut self, client: u32, taken: usize) {
        self.numbers.bytes_out += taken as u64;
        if let Some(conn) = &mut self.people[client as usize].conn {
            conn.wrote(taken, &mut self.shared);
        }
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
        self.talk(now);
    }

    fn has_all(&self) -> bool {
        self.books.all_heard()
    }

    fn refused(&self) -> u64 {
        self.books.refusals()
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

    fn take_failure(&mut self) -> Option<Failure> {
        self.fatal.take()
    }

    fn finish(self) -> (Numbers, Verdict) {
        (self.numbers, self.books.close())
    }
}

impl<D: Dialect> Raw<D> {
    /// Begins to connect a client.
    pub(super) fn start(&mut self, client: u32, now: Moment) {
        let offer = self.dialect.offer();
        let opening = Opening {
            host: &self.target.host,
            path: &self.target.path,
            key: &generate_key(),
            subprotocol: offer.subprotocol.as_deref(),
            fields: &offer.fields,
        };
        let person = &mut self.people[client as usize];
        person.conn = Some(Client::new(&opening, &mut self.shared));
        person.stage = Stage::Coming(now);
        self.coming += 1;
        self.actions.push_back(Action::Connect(client));
        self.mark(client);
    }

    /// Notes that a client has something to write.
    pub(super) fn mark(&mut self, client: u32) {
        let person = &mut self.people[client as usize];
        let waits = person.conn.as_ref().is_some_and(|c| !c.outbox().is_empty());
        if waits && !person.dirty {
            person.dirty = true;
            self.dirty.push(client);
        }
    }

    /// A client's connection is over, not by the swarm's doing.
    pub(super) fn out(&mut self, client: u32, trouble: Trouble, now: Moment) {
        let person = &mut self.people[client as usize];
        match std::mem::take(&mut person.stage) {
            Stage::In => {
                self.inside -= 1;
                *self.numbers.ended.entry(trouble.kind()).or_default() += 1;
            }
            Stage::Coming(_) => self.coming -= 1,
            Stage::Out => return,
        }
        person.conn = None;
        person.counter = None;
        person.first += person.flying.len() as u32;
        person.flying.clear();
        let back =
            now.after(RETRY + RETRY.mul_f64(f64::from(self.entropy.u32()) / f64::from(u32::MAX)));
        self.actions.push_back(Action::Drop(client));
        self.returns.push(Reverse((back, client)));
        if matches!(self.phase, Phase::Filling(_)) && self.inside == 0 {
            // Nobody is in, so there is nothing to wait for.
            let address = self.target.address;
            self.fatal
                .get_or_insert_with(|| trouble.failure(address, self.plan.clients));
        } else {
            self.trouble = Some(trouble);
        }
    }

    /// Goes on by one event; says whether there may be another.
    fn step(&mut self, client: u32, input: &mut &[u8], now: Moment) -> bool {
        let Some(conn) = &mut self.people[client as usize].conn else {
            return false;
        };
        match conn.poll_event(input, &mut self.shared) {
            Some(event) => {
                self.event(client, event, now);
                true
            }
            None => false,
        }
    }

    fn event(&mut self, client: u32, event: Event, now: Moment) {
        match event {
            Event::Open => {
                self.numbers.handshakes += 1;
                self.frames.clear();
                self.dialect.hello(client, &mut self.frames);
                if self.frames.is_empty() {
                    return self.welcome(client, now);
                }
                let hello = std::mem::take(&mut self.frames);
                let mask = self.entropy.u32().to_be_bytes();
                append_masked(&mut self.frames, Kind::Binary, mask, |out| {
                    out.extend_from_slice(&hello);
                });
                if let Some(conn) = &mut self.people[client as usize].conn {
                    conn.push(&self.frames, &mut self.shared);
                }
            }
            Event::Refused(refused) => self.out(client, Trouble::Refused(refused), now),
            Event::Closed(closed) => self.out(client, Trouble::Closed(closed), now),
            Event::Binary(bytes) => {
                self.told(client, &bytes, now);
                self.shared.reuse(bytes);
            }
            Event::Text(text) => {
                self.told(client, text.as_bytes(), now);
                self.shared.reuse(text.into_bytes());
            }
        }
    }

    fn told(&mut self, client: u32, bytes: &[u8], now: Moment) {
        if self.people[client as usize].counter.is_some() {
            // It came in pieces, and was passed on for that.
            self.numbers.heard(1, now);
            return self.books.counted(client, 1);
        }
        match self.dialect.read(client, bytes) {
            Told::Message(reading) => {
                let times = match reading {
                    Reading::Ours(_, times) => Some(times),
                    _ => None,
                };
                self.heard(client, reading, times, now);
            }
            Told::Answer(which) => {
                let person = &self.people[client as usize];
                let at = which.number.checked_sub(person.first);
                let times = at.and_then(|at| person.flying.get(at as usize).copied());
                let unknown = Times {
                    due: now,
                    sent: now,
                };
                let reading = Reading::Ours(which, times.unwrap_or(unknown));
                self.heard(client, reading, times, now);
            }
            Told::Refused(which, error) => {
                let pb = &error;
                self.books.refused(which, pb.code, &pb.name, &pb.message);
                self.back(client, which, now);
            }
            Told::Welcome => self.welcome(client, now),
            Told::Wrong(why) => self.out(client, Trouble::Chat(why), now),
            Told::Other => {}
        }
    }

    fn heard(&mut self, client: u32, reading: Reading, times: Option<Times>, now: Moment) {
        let Some(which) = self.books.heard(client, reading) else {
            return;
        };
        self.numbers.heard(1, now);
        if let Some(Times { due, sent }) = times {
            if !self.plan.flood {
                self.numbers.corrected.record(due, now);
            }
            self.numbers.uncorrected.record(sent, now);
        }
        if which.sender == client {
            self.back(client, which, now);
        }
    }

    /// One of its own messages came back, or never will; with it all before it have had their time.
    fn back(&mut self, client: u32, which: Which, now: Moment) {
        let person = &mut self.people[client as usize];
        person.answered = now;
        while person.first <= which.number && person.flying.pop_front().is_some() {
            person.first += 1;
        }
    }

    fn welcome(&mut self, client: u32, now: Moment) {
        let person = &mut self.people[client as usize];
        let Stage::Coming(since) = person.stage else {
            return;
        };
        person.stage = Stage::In;
        if client >= self.plan.readers() {
            person.counter = Some(Counter::new(Counted::All));
        }
        self.coming -= 1;
        self.inside += 1;
        self.progress = now;
        self.numbers.sign_in.record(since, now);
    }
}
