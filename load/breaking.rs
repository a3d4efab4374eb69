//! Whom the scenario cuts off, and when: single clients, everybody at once, or the server itself.
//!
//! Part of the crowd. A break that was asked for is no fault of the server's: what was under way,
//! and what was due until those who were cut off were back, is counted apart (`after_break`).

use std::time::Duration;

use kith::clock::Moment;

use crate::bounds::AWAY_MOST;
use crate::breaks::Kind;
use crate::crowd::Crowd;
use crate::person::Stage;

/// How far the cutting is.
#[derive(Debug, Default)]
pub struct Breaking {
    cuts: u64,
    waves: u32,
}

impl Crowd {
    /// Cuts whoever is to be cut by now, if messages are due since then.
    pub(crate) fn break_off(&mut self, since: Moment, now: Moment) {
        let wanted = (now.since(since).as_secs_f64() * self.cut_rate()) as u64;
        while self.breaking.cuts < wanted {
            self.breaking.cuts += 1;
            let client = self.entropy.u32() % self.plan.clients;
            let back = now.after(self.jitter(AWAY_MOST));
            self.cut(client, back);
        }
        if self.next_wave(since).is_some_and(|at| at <= now) {
            self.breaking.waves += 1;
            self.all_out(Kind::Wave, now);
            for client in 0..self.plan.clients {
                self.cut(client, now);
            }
        }
    }

    /// When [`Crowd::break_off`] has something to do.
    pub(crate) fn next_break(&self, since: Moment) -> Moment {
        let cut = match self.cut_rate() {
            0.0 => Moment(u64::MAX),
            rate => {
                let seconds = (self.breaking.cuts + 1) as f64 / rate;
                since.after(Duration::from_secs_f64(seconds))
            }
        };
        self.next_wave(since).map_or(cut, |wave| wave.min(cut))
    }

    /// Somebody came in. If that was after a break for which nobody blames the server, what was due
    /// before now is counted apart.
    pub(crate) fn came_back(&mut self, client: u32, now: Moment) {
        let person = &mut self.people[client as usize];
        if person.missed && self.numbers.breaks.back(now) {
            person.missed = false;
        }
        if person.identity.is_none() || person.cut {
            person.in_since = now;
        }
        // Whoever came into a server that is about to end will be out again.
        person.cut = person.missed;
    }

    /// Everybody counts as cut off until they are back.
    pub(crate) fn all_out(&mut self, kind: Kind, now: Moment) {
        self.numbers.breaks.begin(kind, self.plan.clients, now);
        self.numbers.marks.push(now, kind.mark());
        for client in 0..self.plan.clients {
            self.people[client as usize].missed = true;
            self.interrupt(client);
        }
    }

    /// Cuts somebody off, without a word, unless that has just been done.
    fn cut(&mut self, client: u32, back: Moment) {
        if self.people[client as usize].stage != Stage::In {
            return;
        }
        self.interrupt(client);
        self.numbers.cuts += 1;
        self.away(client, back);
    }

    /// What is under way from this client cannot be blamed on the server.
    fn interrupt(&mut self, client: u32) {
        let person = &mut self.people[client as usize];
        person.cut = true;
        for which in person.unanswered.iter().chain(&person.waiting) {
            if let Some(said) = self.ledger.said(*which) {
                said.interrupted = true;
            }
        }
    }

    fn cut_rate(&self) -> f64 {
        self.plan.cut * f64::from(self.plan.clients)
    }

    /// Everybody is to be there when a wave comes; one that is due before waits for them.
    fn next_wave(&self, since: Moment) -> Option<Moment> {
        let ready = self.inside == self.plan.clients && self.numbers.breaks.all_back();
        let wave = self.plan.wave(self.breaking.waves + 1)?;
        ready.then(|| since.after(wave))
    }
}
