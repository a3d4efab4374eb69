//! The end of a run: misfortune stops, and everything must come to rest as it ought to be.

use std::collections::BTreeSet;
use std::time::Duration;

use kith::ids::Seq;

use super::device::{Device, Expect, Listing, TakeUp, Wrong};
use super::disk;
use super::oracle::{Check, Oracle};
use super::server::{Lane, PHASES};
use super::world::World;

/// Long enough for silent connections to be noticed (60 s, and 5 s to close them) and for whoever
/// is gone to be announced (10 s).
const CALM: Duration = Duration::from_secs(90);
/// Rounds without rest after which there is none to be expected.
const ROUNDS: usize = 5000;

impl World<'_> {
    /// Lets everything come to rest, and looks whether it is as it ought to be.
    pub(super) fn rest(&mut self) -> Check {
        self.calm();
        let until = self.now.mono.after(CALM);
        for _ in 0..ROUNDS {
            self.next_step();
            let moved = self.round()?;
            let wait = if moved {
                Duration::from_millis(1)
            } else if self.now.mono >= until && self.unfinished().is_none() {
                return self.all_is_well();
            } else {
                self.next_due()
            };
            self.pass(wait);
        }
        let what = self.unfinished().unwrap_or_default();
        Err(format!("queues are empty in the end: {what}"))
    }

    /// Rivals leave. Who reads slowly does so for a while yet.
    fn calm(&mut self) {
        self.note(|_| "calm".to_owned());
        for device in 0..self.devices.len() {
            let rival = self.is_rival(device);
            let now = self.now;
            let one = &mut self.devices[device];
            let Some(session) = &one.session else {
                continue;
            };
            if one.mute || (rival && !session.welcomed) {
                one.hang_up(now);
            } else if rival && !session.leaving {
                one.exit();
            }
        }
    }

    /// Everything that can happen happens once; says whether anything did.
    fn round(&mut self) -> Result<bool, String> {
        self.begin_server();
        let mut moved = self.pursue();
        for link in 0..self.links.len() {
            moved |= self.rise(link, usize::MAX);
        }
        if let Some(end) = self.write(usize::MAX) {
            return Err(format!("the store ended by itself: {end:?}"));
        }
        while let Some(server) = &mut self.server
            && server.has_reads()
        {
            server.look_up(Lane::Pages, false);
            server.look_up(Lane::History, false);
            moved = true;
        }
        self.turn(PHASES, usize::MAX);
        for device in 0..self.devices.len() {
            moved |= self.fall(device, usize::MAX)?;
        }
        Ok(moved)
    }

    /// Everybody who belongs here comes back and asks again what is open.
    fn pursue(&mut self) -> bool {
        let mut moved = false;
        for device in 0..self.devices.len() {
            let now = self.now.mono;
            let rival = self.is_rival(device);
            let one = &mut self.devices[device];
            one.mute = false;
            if one.session.is_none() && one.away_until <= now && !rival {
                self.connect(device, TakeUp::Resume(Wrong::Nothing));
                moved = true;
                continue;
            }
            let ready = one.online().is_some() && one.hold_until <= now;
            let wants = one.online().is_some_and(|s| s.listing == Listing::Wanted);
            if ready && wants {
                one.list(String::new());
            }
            if ready {
                let (one, mut around) = self.around(device);
                one.say_again(&mut around);
            }
        }
        moved
    }

    fn next_due(&mut self) -> Duration {
        let now = self.now;
        let server = self.server.as_ref();
        let server = server.and_then(|server| server.exchange.poll_timeout(now));
        let devices = self.devices.iter().map(|one| one.away_until);
        let held = self.devices.iter().map(|one| one.hold_until);
        let due = devices
            .chain(held)
            .chain(server)
            .chain([self.down_until])
            .filter(|at| *at > now.mono)
            .min();
        let wait = due.map_or(Duration::from_secs(1), |at| at.since(now.mono));
        wait.clamp(Duration::from_millis(1), Duration::from_secs(1))
    }

    /// What still has to happen, if anything.
    fn unfinished(&mut self) -> Option<String> {
        let Some(server) = &mut self.server else {
            return Some("the server is down".to_owned());
        };
        if !server.is_idle() {
            return Some("the store is not idle".to_owned());
        }
        let head = server.exchange.hub().head(server.conv)?;
        let people = self.devices.iter().filter(|one| one.who < 4);
        people
            .filter_map(|one| Some((one.number, lacks(one, head)?)))
            .map(|(number, what)| format!("device {number} {what}"))
            .next()
    }

    /// Invariants 4, 8 and 10, and what the disk has to say.
    fn all_is_well(&mut self) -> Check {
        let online: Vec<&Device> = self
            .devices
            .iter()
            .filter(|one| one.online().is_some())
            .collect();
        let names = online
            .iter()
            .map(|one| self.people[one.who].name.to_owned());
        let names: BTreeSet<String> = names.collect();
        for one in &online {
            let shown = one.online().map(|session| &session.shown);
            Oracle::presence_is_reality(shown.ok_or("nobody is online")?, &names)
                .map_err(|what| format!("device {}: {what}", one.number))?;
        }
        let count = online.len();
        let server = self.server.as_mut().ok_or("the server is down")?;
        let hub = server.exchange.hub();
        let is = (hub.signed_in(), hub.online(), server.exchange.len());
        let live = hub.live(server.conv).len();
        if is != (count, names.len(), count) || live != count {
            return Err(format!(
                "{count} devices are online, and the server has {is:?}, {live} of them live"
            ));
        }
        if !self.oracle.history {
            return Ok(());
        }
        let committed = disk::open(&self.ledger)
            .committed
            .keys()
            .next_back()
            .copied();
        let head = hub.head(server.conv);
        if head != Some(Seq(committed.unwrap_or(0))) {
            return Err(format!("the hub is at {head:?}, the disk at {committed:?}"));
        }
        let conv = server.conv;
        self.oracle.disk_keeps_its_word(conv, server.reader())
    }
}

/// What a device still waits for.
fn lacks(one: &Device, head: Seq) -> Option<String> {
    let Some(session) = one.online() else {
        return Some("is not online".to_owned());
    };
    let last = one.ledger.as_ref().map_or(0, super::ledger::Ledger::last);
    if last != head.0 {
        return Some(format!("has {last} of {head}"));
    }
    if !session.asked.is_empty() || session.expects != Expect::Nothing {
        return Some(format!(
            "waits for {:?}, {:?}",
            session.asked, session.expects
        ));
    }
    if session.listing != Listing::Complete || !one.unsettled.is_empty() {
        return Some(format!("is at {:?}, {:?}", session.listing, one.unsettled));
    }
    None
}
