//! What a client of the crowd says, and when: as far as its window goes.
//!
//! Part of the crowd.

use kith::clock::Moment;

use crate::crowd::{Crowd, Phase};
use crate::person::{Stage, talk};

impl Crowd {
    /// In a flood everybody who talks has always something to say, up to the window.
    fn flood(&mut self, client: u32, now: Moment) {
        if let Phase::Talking { schedule, .. } = &self.phase
            && self.plan.flood
            && now < schedule.end()
            && client < self.plan.talkers()
        {
            let person = &mut self.people[client as usize];
            while person.unanswered.len() + person.waiting.len() < self.plan.window {
                person.waiting.push_back(self.ledger.due(client, now));
            }
        }
    }

    /// Sends what a client has to say, as far as its window goes.
    pub(crate) fn send_waiting(&mut self, client: u32, now: Moment) {
        self.flood(client, now);
        let person = &mut self.people[client as usize];
        while person.stage == Stage::In
            && person.unanswered.len() < self.plan.window
            && let Some(which) = person.waiting.pop_front()
        {
            person.unanswered.push_back(which);
            let Some(said) = self.ledger.said(which) else {
                continue;
            };
            said.sent = Some(now);
            let text = self.run.text(which, said.due, self.plan.size);
            let frame = talk(which, self.run.key(which).0, text);
            person.push(&frame, &mut self.shared, &mut self.entropy);
        }
        self.mark(client);
    }
}
