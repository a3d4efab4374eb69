//! What happens next: time, the network, the server and its store's threads, and misfortune.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use kith::chat::bucket::Rate;
use kith::chat::durable::Write;
use kith::chat::event::Person as Guest;
use kith::chat::hub::Settings;
use kith::clock::{Now, UnixMillis};
use kith::event_loop::Readiness;
use kith::ids::{AppId, PublicId, Ticket};
use kith::limits::OUTBOX_SOFT;
use kith::store::sqlite::MemoryDisk;

use super::counts::Counts;
use super::device::{Around, Device, Person};
use super::dice::Dice;
use super::disk::{self, Fault, Ledger};
use super::network::{Heard, Link};
use super::oracle::{Check, Oracle};
use super::server::{End, Lane, PHASES, Server, Site};

/// People; the last two are rivals of the first two for their names.
const NAMES: [&str; 6] = ["Ann", "Bob", "Zoë", "小明", "ANN", "bob"];
const RIVALS: usize = 2;
/// Three devices of one, two of another, one of each of the rest.
const OWNERS: [usize; 9] = [0, 0, 0, 1, 1, 2, 3, 4, 5];
const STEPS: usize = 120;

/// See the module.
pub struct World<'a> {
    pub(super) dice: Dice,
    pub(super) now: Now,
    /// What the wall clock is wrong by, in milliseconds.
    wrong_by: i64,
    site: Site,
    disk: MemoryDisk,
    pub(super) ledger: Ledger,
    pub(super) server: Option<Server>,
    pub(super) down_until: kith::clock::Moment,
    pub(super) devices: Vec<Device>,
    pub(super) people: Vec<Person>,
    pub(super) oracle: Oracle,
    pub(super) counts: Counts,
    /// All connections that the server may hold, also those that their clients gave up.
    pub(super) links: Vec<Link>,
    /// The size of what is said, at most.
    pub(super) padding: usize,
    trace: bool,
    /// Told to whoever watches, also if this ends in a panic.
    step: &'a AtomicU64,
}

impl<'a> World<'a> {
    pub fn new(seed: u64, trace: bool, step: &'a AtomicU64) -> Self {
        let mut dice = Dice::new(seed);
        let site = site(&mut dice);
        let disk = MemoryDisk::new().expect("memory is a disk");
        let ledger = Ledger::default();
        let person = |name| Person { name, proof: None };
        let device = |(number, who): (usize, &usize), dice: &mut Dice| {
            Device::new(number, *who, dice.split())
        };
        let devices = OWNERS.iter().enumerate();
        let devices = devices.map(|one| device(one, &mut dice)).collect();
        let mut world = Self {
            now: Now::default(),
            wrong_by: 0,
            site,
            disk,
            ledger: ledger.clone(),
            server: None,
            down_until: kith::clock::Moment::default(),
            devices,
            people: NAMES.map(person).to_vec(),
            oracle: Oracle::new(ledger, site.history, site.lobby_keep),
            counts: Counts::default(),
            links: Vec::new(),
            padding: dice.weighted(&[(6, 40), (3, 3000), (2, 60_000)]),
            trace,
            step,
            dice,
        };
        world.note(|world| format!("{:?}", world.site));
        world.pass(Duration::ZERO);
        world.prefill();
        world
    }

    /// Lives through one seed.
    ///
    /// # Errors
    /// The check that failed, and how.
    pub fn run(&mut self) -> Result<Counts, String> {
        for _ in 0..STEPS {
            self.next_step();
            self.one_step()?;
        }
        self.rest()?;
        self.server_ends(End::Told);
        Ok(std::mem::take(&mut self.counts))
    }

    pub(super) fn next_step(&self) {
        self.step.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn note(&self, what: impl FnOnce(&Self) -> String) {
        if self.trace {
            let ms = self.now.mono.0 / 1_000_000;
            let step = self.step.load(Ordering::Relaxed);
            println!("{step:>4} {ms:>8} ms  {}", what(self));
        }
    }

    fn one_step(&mut self) -> Check {
        let passes = self
            .dice
            .weighted(&[(50, 0), (30, 20), (15, 500), (4, 12_000), (1, 70_000)]);
        let passes = self.dice.between(0, passes) as u64;
        self.pass(Duration::from_millis(passes));
        self.begin_server();
        self.arrivals();
        let device = self.dice.below(self.devices.len());
        self.act(device);
        self.misfortune();
        for at in 0..self.links.len() {
            if self.dice.chance(600) {
                let some = self.dice.between(2, 60);
                let count = self.dice.weighted(&[(1, 1), (3, some), (6, usize::MAX)]);
                self.rise(at, count);
            }
        }
        self.serve()?;
        for at in 0..self.devices.len() {
            if self.dice.chance(700) {
                let count = self.dice.weighted(&[(1, 700), (4, usize::MAX)]);
                self.fall(at, count)?;
            }
        }
        Ok(())
    }

    pub(super) fn pass(&mut self, time: Duration) {
        /// 20 November 2026, 10:00.
        const START: i64 = 1_795_168_800_000;
        self.now.mono = self.now.mono.after(time);
        let ms = (self.now.mono.0 / 1_000_000) as i64;
        self.now.wall = UnixMillis(START + ms + self.wrong_by);
    }

    /// What a device may look at, and the device.
    pub(super) fn around(&mut self, device: usize) -> (&mut Device, Around<'_>) {
        let around = Around {
            now: self.now,
            oracle: &mut self.oracle,
            people: &mut self.people,
            counts: &mut self.counts,
        };
        (&mut self.devices[device], around)
    }

    pub(super) fn is_rival(&self, device: usize) -> bool {
        self.devices[device].who >= NAMES.len() - RIVALS
    }

    // --- The server ---------------------------------------------------------------------------

    pub(super) fn begin_server(&mut self) {
        if self.server.is_some() || self.down_until > self.now.mono {
            return;
        }
        let server = Server::start(
            self.site,
            &self.disk,
            &self.ledger,
            &mut self.dice,
            self.now,
        );
        self.note(|_| format!("the server starts, epoch {}", server.epoch));
        self.server = Some(server);
    }

    /// The server's threads get their turns, or not, and may die in the middle.
    fn serve(&mut self) -> Check {
        if self.dice.chance(600) {
            self.plan();
            let most = self.dice.weighted(&[(1, 1), (1, 3), (4, usize::MAX)]);
            let end = self.write(most);
            disk::open(&self.ledger).plan = None;
            self.count_faults();
            if let Some(end) = end {
                self.server_ends(end);
            }
        }
        for lane in [Lane::Pages, Lane::History] {
            let fails = self.dice.chance(30);
            if self.dice.chance(600)
                && let Some(server) = &mut self.server
            {
                server.look_up(lane, fails);
            }
        }
        let phases = match self.dice.chance(6) {
            true => self.dice.below(PHASES),
            false => PHASES,
        };
        if self.dice.chance(800) {
            let most = self.dice.weighted(&[(1, 1), (5, usize::MAX)]);
            self.turn(phases, most);
        }
        Ok(())
    }

    pub(super) fn write(&mut self, most: usize) -> Option<End> {
        let now = self.now;
        self.server.as_mut()?.write(most, now)
    }

    pub(super) fn turn(&mut self, phases: usize, most: usize) {
        let now = self.now;
        let Some(server) = &mut self.server else {
            return;
        };
        if let Some(end) = server.turn(phases, most, now) {
            if phases < PHASES {
                self.counts.add("crashes in the middle of a turn");
            }
            self.server_ends(end);
        }
        self.links.retain(|link| !link.is_orphan());
    }

    /// What goes wrong with the next transaction, if anything does.
    fn plan(&mut self) {
        let number = self.dice.below(3);
        let fault = self.dice.weighted(&[
            (2, Fault::Begin),
            (2, Fault::Apply(number)),
            (1, Fault::Sweep),
            (2, Fault::CommitNotDone),
            (1, Fault::UnknownDone),
            (1, Fault::UnknownUndone),
            (1, Fault::Tend),
            (1, Fault::DieBefore(number)),
            (1, Fault::DieBeforeCommit),
            (1, Fault::DieAfterCommit),
        ]);
        if self.dice.chance(120) {
            disk::open(&self.ledger).plan = Some(fault);
        }
    }

    fn count_faults(&mut self) {
        let struck: Vec<Fault> = std::mem::take(&mut disk::open(&self.ledger).struck);
        for fault in struck {
            self.note(|_| format!("the disk: {fault:?}"));
            self.counts.add(match fault {
                Fault::Begin | Fault::CommitNotDone => "commits that failed without effect",
                Fault::Apply(_) | Fault::Sweep => "statements that failed",
                Fault::UnknownDone => "commits that nobody could tell of, done",
                Fault::UnknownUndone => "commits that nobody could tell of, undone",
                Fault::Tend => "checkpoints that failed",
                Fault::DieBefore(_) | Fault::DieBeforeCommit => "crashes inside a transaction",
                Fault::DieAfterCommit => "crashes between commit and answer",
            });
        }
    }

    pub(super) fn server_ends(&mut self, end: End) {
        let Some(mut server) = self.server.take() else {
            return;
        };
        self.note(|_| format!("the server ends: {end:?}"));
        let metrics = &server.exchange.metrics;
        self.counts
            .add_many("listeners put behind", metrics.put_behind);
        self.counts.add_many("pages read", metrics.pages_read);
        self.counts
            .add_many("pages from memory", metrics.pages_cached);
        match end {
            End::Died | End::Failed | End::Told => {}
            End::Drained => self.counts.add("drains that ended well"),
            End::CutOff => self.counts.add("drains that were cut off"),
        }
        if matches!(end, End::Drained | End::CutOff) {
            server.finish(self.now);
        }
        for link in self.links.drain(..) {
            link.orphan(self.dice.chance(700));
        }
        drop(server);
        let wait = self.dice.weighted(&[(3, 0), (2, 300), (1, 5000)]);
        self.down_until = self.now.mono.after(Duration::from_millis(wait));
    }

    /// Entries from before the story begins, said by somebody who is not in it.
    fn prefill(&mut self) {
        let count = self.dice.pick(&[0, 0, 10, 70, 150, 300]);
        self.begin_server();
        let Some(mut server) = self
            .server
            .take()
            .filter(|_| self.site.history && count > 0)
        else {
            return;
        };
        let ghost = Guest {
            id: PublicId([7; 16]),
            name: "Ghost".into(),
        };
        let mut batch = Vec::new();
        for n in 0..count {
            let padding = self.dice.below(self.padding.min(3000));
            let uid = self.oracle.utter(&ghost.id.to_string(), None, padding);
            let message = self.oracle.message(uid);
            message.open = 1;
            let write = Write::Talk {
                app: AppId::DEFAULT,
                conv: server.conv,
                from: ghost.clone(),
                text: message.text.clone(),
                key: None,
            };
            batch.push((Ticket(n), write));
        }
        server.fill(&batch, self.now);
        drop(server);
        self.begin_server();
    }

    // --- The network --------------------------------------------------------------------------

    /// Says whether anything came through.
    pub(super) fn rise(&mut self, link: usize, count: usize) -> bool {
        let told = self.links[link].rise(count);
        self.tell(told);
        told.is_some()
    }

    /// Says whether anything came through.
    pub(super) fn fall(&mut self, device: usize, count: usize) -> Result<bool, String> {
        let Some(session) = &self.devices[device].session else {
            return Ok(false);
        };
        if session.slow_until > self.now.mono {
            return Ok(false);
        }
        let (heard, told) = session.link.fall(count);
        self.tell(told);
        let (device, mut around) = self.around(device);
        let (number, came) = (device.number, heard != Heard::Nothing);
        let received = device.receive(heard, &mut around);
        received.map_err(|what| format!("device {number}: {what}"))?;
        Ok(came)
    }

    pub(super) fn tell(&mut self, told: Option<(usize, Readiness)>) {
        if let (Some((index, readiness)), Some(server)) = (told, &mut self.server) {
            server.exchange.ready(index, readiness);
        }
    }

    /// What people have no hand in.
    fn misfortune(&mut self) {
        if self.dice.chance(8)
            && let Some(server) = &mut self.server
        {
            server.stop(self.now);
            self.note(|_| "SIGTERM".to_owned());
        }
        if self.dice.chance(10) {
            // Less than keys are kept, or they would be forgotten.
            const DAYS: usize = 3 * 24 * 3_600_000;
            self.wrong_by = self.dice.between(0, 2 * DAYS) as i64 - DAYS as i64;
            self.counts.add("clocks set");
        }
        if self.dice.chance(300) && !self.links.is_empty() {
            let sip = self.dice.between(1, 300);
            let mut wire = self.links[self.dice.below(self.links.len())].wire();
            wire.sip = Some(sip);
            wire.interrupt = sip.is_multiple_of(7);
        }
    }
}

fn site(dice: &mut Dice) -> Site {
    let rate = |per_second, burst| Rate { per_second, burst };
    let limited = Settings {
        talk: rate(5, 10),
        commands: rate(20, 40),
        address_talk: rate(50, 100),
    };
    Site {
        settings: dice.pick(&[Settings::default(), Settings::default(), limited]),
        history: dice.chance(800),
        lobby_keep: dice.weighted(&[(4, 0), (2, 5), (2, 20), (1, 100)]),
        outbox_soft: dice.pick(&[OUTBOX_SOFT, OUTBOX_SOFT, 16 * 1024, 4 * 1024]),
        queue: dice.pick(&[10_000, 10_000, 4]),
    }
}
