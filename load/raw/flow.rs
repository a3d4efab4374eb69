//! The course of a run: the room fills, messages are due or windows are kept full, the last of them
//! are waited for.

use std::cmp::Reverse;
use std::time::Duration;

use kith::clock::Moment;
use kith::conn::frame::{Kind, append_masked};

use super::marker::Times;
use super::{Dialect, Expect, Raw};
use crate::bounds::{OPENING, PATIENCE, RETRY, SIGN_IN_WAIT};
use crate::crowd::Phase;
use crate::hearing::Trouble;
use crate::person::Stage;
use crate::schedule::Schedule;

impl<D: Dialect> Raw<D> {
    /// Does what is due.
    pub(super) fn go_on(&mut self, now: Moment) {
        while let Some(Reverse((at, client))) = self.returns.peek().copied()
            && at <= now
            && self.coming < OPENING
        {
            self.returns.pop();
            self.start(client, now);
        }
        if now.since(self.swept) >= Duration::from_secs(1) {
            self.swept = now;
            self.sweep(now);
        }
        match self.phase {
            Phase::Filling(since) => self.fill(since, now),
            Phase::Talking { since, .. } => self.speak(since, now),
            Phase::Settling(until) => {
                self.phase = self.numbers.settle(self.books.all_heard(), until, now);
            }
            Phase::Over => {}
        }
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
    pub(super) fn talk(&mut self, now: Moment) {
        let schedule = Schedule::new(self.plan.pace(), now, self.plan.talkers());
        self.phase = Phase::Talking {
            schedule,
            since: now,
        };
        for client in 0..self.plan.talkers() {
            self.send(client, now);
        }
    }

    fn speak(&mut self, since: Moment, now: Moment) {
        while let Phase::Talking { schedule, .. } = &mut self.phase
            && let Some(due) = schedule.take(now)
        {
            self.numbers.lateness.record(due.at, now);
            self.books.due(due.sender);
            let person = &mut self.people[due.sender as usize];
            person.waiting.push_back(due.at);
            self.send(due.sender, now);
        }
        if let Phase::Talking { schedule, .. } = &self.phase
            && now >= schedule.end()
            && schedule.next().is_none()
        {
            self.settle(since, now);
        }
    }

    /// Everything is said.
    pub(super) fn settle(&mut self, since: Moment, now: Moment) {
        self.numbers.said(since, now);
        self.phase = Phase::Settling(now.after(self.plan.settle));
    }

    /// Sends what a client has to say, as far as its window goes, in one piece.
    pub(super) fn send(&mut self, client: u32, now: Moment) {
        let flood = self.flood_until().filter(|_| client < self.plan.talkers());
        let person = &mut self.people[client as usize];
        let Some(conn) = person.conn.as_mut().filter(|_| person.stage == Stage::In) else {
            return;
        };
        self.frames.clear();
        if person.flying.is_empty() {
            person.answered = now;
        }
        while person.flying.len() < self.plan.window {
            let due = match person.waiting.pop_front() {
                Some(due) => due,
                None if flood.is_some_and(|end| now < end) => {
                    self.books.due(client);
                    now
                }
                None => break,
            };
            let which = self.books.sent(client);
            let times = Times { due, sent: now };
            let mask = self.entropy.u32().to_be_bytes();
            append_masked(&mut self.frames, Kind::Binary, mask, |out| {
                self.dialect.say(which, times, out);
            });
            if self.expect != Expect::Others {
                person.flying.push_back(times);
            }
        }
        if !self.frames.is_empty() {
            conn.push(&self.frames, &mut self.shared);
            self.mark(client);
        }
    }

    /// While windows are kept full: until when.
    fn flood_until(&self) -> Option<Moment> {
        match &self.phase {
            Phase::Talking { schedule, .. } if self.plan.flood => Some(schedule.end()),
            _ => None,
        }
    }

    /// Gives up those who have been on their way for too long, and messages that have.
    fn sweep(&mut self, now: Moment) {
        for client in 0..self.plan.clients {
            let person = &mut self.people[client as usize];
            match person.stage {
                Stage::Coming(since) if now.since(since) >= SIGN_IN_WAIT => {
                    self.out(client, Trouble::Silent, now);
                }
                Stage::In
                    if !person.flying.is_empty() && now.since(person.answered) >= PATIENCE =>
                {
                    person.first += person.flying.len() as u32;
                    person.flying.clear();
                    person.answered = now;
                    self.send(client, now);
                }
                _ => {}
            }
        }
        self.shared.trim();
    }
}
