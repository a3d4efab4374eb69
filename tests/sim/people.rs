//! What people do next: who comes, who talks, who leaves, and how badly.

use std::time::Duration;

use super::device::{Device, TakeUp, Wrong};
use super::server::Server;
use super::world::World;

impl World<'_> {
    /// Whoever is away comes back, sooner or later.
    pub(super) fn arrivals(&mut self) {
        for device in 0..self.devices.len() {
            let one = &self.devices[device];
            let seldom = if self.is_rival(device) { 30 } else { 400 };
            if one.session.is_none() && one.away_until <= self.now.mono && self.dice.chance(seldom)
            {
                let mute = self.dice.chance(10);
                self.devices[device].mute = mute;
                let wrong = self.dice.weighted(&[
                    (30, Wrong::Nothing),
                    (2, Wrong::Tag),
                    (1, Wrong::Epoch),
                    (1, Wrong::Beyond),
                ]);
                let take_up = self.dice.weighted(&[
                    (2, TakeUp::Anew),
                    (6, TakeUp::Resume(wrong)),
                    (2, TakeUp::Earlier),
                    (1, TakeUp::Beginning),
                ]);
                self.connect(device, take_up);
            }
        }
    }

    pub(super) fn connect(&mut self, device: usize, take_up: TakeUp) {
        let window = self.dice.pick(&[700, 4_000, 60_000, 400_000]);
        let listens = self.server.as_ref().is_some_and(Server::listens);
        self.ask_siblings(self.devices[device].who);
        let (one, around) = self.around(device);
        if !listens {
            one.away_until = around.now.mono.after(Duration::from_millis(200));
            return;
        }
        let link = one.connect(take_up, window, &around);
        self.note(|_| format!("device {device} connects, to take up {take_up:?}"));
        if let Some(server) = &mut self.server {
            server.connect(&link);
        }
        self.links.push(link);
    }

    /// The proof that somebody uses now is better than the one that was learned last: a welcome may
    /// have been read long after its connection had ended.
    fn ask_siblings(&mut self, who: usize) {
        let siblings = self.devices.iter().filter(|one| one.who == who);
        let mut online = siblings.filter_map(Device::online);
        if let Some(session) = online.next_back() {
            let proof = (session.guest.clone(), session.secret.clone());
            self.people[who].proof = Some(proof);
        }
    }

    pub(super) fn act(&mut self, device: usize) {
        let what = self.dice.weighted(&[
            (40, Act::Talk),
            (4, Act::TalkALot),
            (8, Act::SayAgain),
            (6, Act::SayTwice),
            (20, Act::LookAround),
            (2, Act::HelloAgain),
            (5, Act::Exit),
            (3, Act::HangUp),
            (3, Act::BreakOff),
            (3, Act::GoDark),
            (14, Act::ReadSlowly),
        ]);
        self.note(|_| format!("device {device}: {what:?}"));
        let padding = self.dice.below(self.padding);
        let slow = Duration::from_millis(self.dice.pick(&[100, 3_000, 8_000, 15_000]));
        let now = self.now;
        let (one, mut around) = self.around(device);
        let patient = one.hold_until <= now.mono;
        match what {
            Act::Talk => one.talk(padding, &mut around),
            Act::TalkALot if padding > 3000 => {
                (0..5).for_each(|_| one.talk(padding, &mut around));
            }
            Act::TalkALot => (0..70).for_each(|_| one.talk(padding.min(10), &mut around)),
            Act::SayAgain if patient => one.say_again(&mut around),
            Act::SayAgain => {}
            Act::SayTwice => one.say_twice(&mut around),
            Act::LookAround => one.look_around(),
            Act::HelloAgain => one.hello_again(&mut around),
            Act::Exit if one.online().is_some() => {
                around.counts.add("exits");
                one.exit();
            }
            Act::Exit => {}
            Act::HangUp => one.hang_up(now),
            Act::BreakOff => {
                let told = one.break_off(now);
                if told.is_some() {
                    around.counts.add("connections reset");
                }
                self.tell(told);
            }
            Act::GoDark => {
                if let Some(link) = one.part(slow, now) {
                    around.counts.add("connections gone dark");
                    link.darken();
                }
            }
            Act::ReadSlowly => {
                if let Some(session) = &mut one.session {
                    session.slow_until = now.mono.after(slow);
                }
            }
        }
    }
}

/// What a device may do.
#[derive(Clone, Copy, Debug)]
enum Act {
    Talk,
    /// More than may be under way.
    TalkALot,
    SayAgain,
    SayTwice,
    LookAround,
    HelloAgain,
    Exit,
    HangUp,
    BreakOff,
    GoDark,
    ReadSlowly,
}
