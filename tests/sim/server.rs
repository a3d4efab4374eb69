//! The whole server minus the kernel, the clock and the threads.
//!
//! The exchange, the hub, the wire and the connection layer are the real ones; so are the writer
//! and the SQLite below it. What the threads of `store::lanes` do is done here when the world says
//! so, in any order that threads could do it in.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use kith::auth::GuestKey;
use kith::chat::durable::{Read, Write};
use kith::chat::hub::{Hub, Settings};
use kith::chat::log::empty;
use kith::chat::refusal::{ErrorCode, Refusal};
use kith::clock::{Moment, Now};
use kith::conn::{ConnConfig, Shared};
use kith::event_loop::{Backend, Exchange, Setup, Taken};
use kith::ids::{ConvId, Entropy, Epoch, Ticket};
use kith::limits::{
    BUSY_RETRY, CLOSE_WAIT, DRAIN_WAIT, GROUP_COMMANDS, LAST_WORDS_WAIT, OUTBOX_HARD,
};
use kith::store::engine::{JobError, Pace, Reader};
use kith::store::sqlite::{MemoryDisk, SqliteReader};
use kith::store::writer::{Verdict, Writer};
use kith::store::{self, Answer, Config, Place};
use kith::wire::Greeting;

use super::dice::Dice;
use super::disk::{self, Faulty, Ledger};
use super::network::{Link, SimSocket};

/// What an operator set, and how long the queues of this world are.
#[derive(Clone, Copy, Debug)]
pub struct Site {
    pub settings: Settings,
    pub history: bool,
    pub lobby_keep: u64,
    pub outbox_soft: usize,
    /// Jobs that wait for a lane; more get "busy".
    pub queue: usize,
}

/// Where jobs wait for the lanes.
#[derive(Debug, Default)]
pub struct Desk {
    writes: VecDeque<(Ticket, Write)>,
    pages: VecDeque<(Ticket, Read)>,
    history: VecDeque<(Ticket, Read)>,
    room: usize,
    /// The writer has ended.
    closed: bool,
}

impl Backend for Desk {
    fn submit(&mut self, ticket: Ticket, write: Write) -> Taken {
        if self.closed || self.writes.len() >= self.room {
            return Taken::Full;
        }
        self.writes.push_back((ticket, write));
        Taken::Taken
    }

    fn fetch(&mut self, ticket: Ticket, read: Read) -> Taken {
        let lane = match read {
            Read::Page { .. } | Read::Cursor { .. } => &mut self.pages,
            Read::History { .. } => &mut self.history,
        };
        if lane.len() >= self.room {
            return Taken::Full;
        }
        lane.push_back((ticket, read));
        Taken::Taken
    }
}

/// Why a server is no more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// Killed, or the power went.
    Died,
    /// It could not tell what is on disk, said so, sent everybody home and ended.
    Failed,
    /// SIGTERM, and everybody had left.
    Drained,
    /// SIGTERM, and some had not left in time.
    CutOff,
    /// The story is over.
    Told,
}

/// See the module.
pub struct Server {
    pub exchange: Exchange<SimSocket, Desk>,
    writer: Writer<Faulty>,
    pages: SqliteReader,
    history: SqliteReader,
    ledger: Ledger,
    /// Answers of the writer, and of the readers, that the loop did not take yet.
    written: VecDeque<Answer>,
    found: VecDeque<Answer>,
    /// Connections that the kernel has accepted.
    backlog: VecDeque<Link>,
    drain: Option<Drain>,
    pub conv: ConvId,
    pub epoch: Epoch,
}

/// As `event_loop::Drain`.
#[derive(Debug)]
struct Drain {
    hurry_at: Option<Moment>,
    until: Moment,
    failed: bool,
}

/// The part of a turn after which the process dies.
pub const PHASES: usize = 6;

impl Server {
    /// Starts over whatever the disk holds.
    pub fn start(
        site: Site,
        disk: &MemoryDisk,
        ledger: &Ledger,
        dice: &mut Dice,
        now: Now,
    ) -> Self {
        let config = Config {
            place: Place::Memory(disk.clone()),
            lobby_keep: site.lobby_keep,
        };
        let opened = store::open(&config, Entropy::Seeded(dice.u64())).expect("memory opens");
        let mut snapshot = opened.snapshot.clone();
        if !site.history {
            snapshot.lobby = empty(snapshot.lobby.conv, Epoch(dice.u64()), false);
        }
        let (conv, epoch) = (snapshot.lobby.conv, snapshot.lobby.epoch);
        let conn = ConnConfig {
            outbox_soft: site.outbox_soft,
            outbox_hard: OUTBOX_HARD,
            ..ConnConfig::default()
        };
        let setup = Setup {
            hub: Hub::new(site.settings, snapshot),
            shared: Shared::new(conn),
            greeting: Greeting::default(),
            guests: GuestKey::new(opened.guest_secret),
            entropy: Entropy::Seeded(dice.u64()),
            connections: 64,
            metrics_public: false,
            log_text: false,
            log_dropped: Arc::new(AtomicU64::new(0)),
        };
        let desk = Desk {
            room: site.queue,
            ..Desk::default()
        };
        let mut book = disk::open(ledger);
        book.dead = false;
        book.plan = None;
        Self {
            exchange: Exchange::new(setup, desk, now),
            pages: opened.readers.open().expect("memory opens"),
            history: opened.readers.open().expect("memory opens"),
            writer: Writer::new(Faulty::new(opened.writer, ledger.clone())),
            ledger: ledger.clone(),
            written: VecDeque::new(),
            found: VecDeque::new(),
            backlog: VecDeque::new(),
            drain: None,
            conv,
            epoch,
        }
    }

    /// Whether it takes connections.
    pub const fn listens(&self) -> bool {
        self.drain.is_none()
    }

    pub fn connect(&mut self, link: &Link) {
        self.backlog.push_back(link.clone());
    }

    /// SIGTERM.
    pub fn stop(&mut self, now: Now) {
        if self.drain.is_none() {
            self.close_listener();
            self.drain = Some(Drain {
                hurry_at: Some(now.mono.after(DRAIN_WAIT - CLOSE_WAIT)),
                until: now.mono.after(DRAIN_WAIT),
                failed: false,
            });
            self.exchange.stop(now);
        }
    }

    /// The writer has ended, for nobody can tell what is on disk.
    fn fail(&mut self, now: Now) {
        self.close_listener();
        self.exchange.stop_now(now);
        self.drain = Some(Drain {
            hurry_at: None,
            until: now.mono.after(LAST_WORDS_WAIT),
            failed: true,
        });
    }

    fn close_listener(&mut self) {
        for link in self.backlog.drain(..) {
            link.orphan(false);
        }
    }

    /// One turn of the loop, as `EventLoop::tick` has it; the process may die after `phases` of it.
    pub fn turn(&mut self, phases: usize, answers: usize, now: Now) -> Option<End> {
        let steps: [fn(&mut Self, usize, Now); PHASES] = [
            |one, answers, now| {
                one.exchange.settle(now);
                one.mailbox(answers, now);
            },
            |one, _, now| one.accept(now),
            |one, _, now| one.exchange.read(now),
            |one, _, now| one.exchange.expire(now),
            |one, _, now| one.exchange.flush(now),
            |one, _, now| {
                one.exchange.reap(now);
                // The loop does it seldom, and it may be done at any time.
                if one.exchange.len().is_multiple_of(2) {
                    one.exchange.shrink();
                }
            },
        ];
        for step in steps.iter().take(phases) {
            step(self, answers, now);
        }
        if phases < PHASES {
            return Some(End::Died);
        }
        self.drained(now)
    }

    /// As `EventLoop::drained`.
    fn drained(&mut self, now: Now) -> Option<End> {
        let drain = self.drain.as_mut()?;
        if drain.hurry_at.is_some_and(|at| at <= now.mono) {
            drain.hurry_at = None;
            self.exchange.stop_now(now);
        }
        let stopped = self.exchange.stopped();
        match drain {
            Drain { until, .. } if !stopped && *until > now.mono => None,
            Drain { failed: true, .. } => Some(End::Failed),
            _ if stopped => Some(End::Drained),
            _ => Some(End::CutOff),
        }
    }

    /// The loop takes up to this many answers of each kind.
    fn mailbox(&mut self, most: usize, now: Now) {
        let written = self.written.drain(..most.min(self.written.len()));
        let found = self.found.drain(..most.min(self.found.len()));
        for answer in written.chain(found).collect::<Vec<_>>() {
            match answer {
                Answer::Written { ticket, result } => self.exchange.written(ticket, result, now),
                Answer::Found { ticket, result } => self.exchange.found(ticket, result, now),
                Answer::Fatal { .. } => self.fail(now),
            }
        }
    }

    fn accept(&mut self, now: Now) {
        while let Some(link) = self.backlog.pop_front() {
            let address = [1; 16];
            let taken = self
                .exchange
                .attach(address, now, |index| Ok(link.accept(index)));
            taken.expect("a link is always accepted");
        }
    }

    /// The writer's thread gets its turn: one group of at most `most` commands.
    pub fn write(&mut self, most: usize, now: Now) -> Option<End> {
        let writes = &mut self.exchange.backend().writes;
        let count = most.min(GROUP_COMMANDS).min(writes.len());
        let batch: Vec<_> = writes.drain(..count).collect();
        if batch.is_empty() {
            return None;
        }
        let flush = self.writer.flush(&batch, now.wall);
        if disk::open(&self.ledger).dead {
            return Some(End::Died);
        }
        let answers = flush.answers.into_iter();
        self.written
            .extend(answers.map(|(ticket, result)| Answer::Written { ticket, result }));
        let tended = match flush.verdict {
            Verdict::GoOn => self.writer.tend(Pace::Busy),
            end => end,
        };
        if let Verdict::End(reason) = tended {
            self.last_words(reason);
        }
        None
    }

    /// The end of the writer's thread: what still waits was not begun.
    fn last_words(&mut self, reason: String) {
        let desk = self.exchange.backend();
        desk.closed = true;
        let waiting: Vec<_> = desk.writes.drain(..).collect();
        let not_done = waiting.into_iter().map(|(ticket, _)| {
            let refusal = Refusal::new(ErrorCode::StoreFailed).retry(BUSY_RETRY);
            Answer::Written {
                ticket,
                result: Err(refusal),
            }
        });
        self.written.extend(not_done);
        self.written.push_back(Answer::Fatal { reason });
    }

    /// A reader's thread gets its turn: one job of the lane for pages, or of the one for history.
    pub fn look_up(&mut self, lane: Lane, fails: bool) {
        let desk = self.exchange.backend();
        let (jobs, reader) = match lane {
            Lane::Pages => (&mut desk.pages, &mut self.pages),
            Lane::History => (&mut desk.history, &mut self.history),
        };
        let Some((ticket, read)) = jobs.pop_front() else {
            return;
        };
        let not_done = || Refusal::new(ErrorCode::StoreFailed).retry(BUSY_RETRY);
        let result = match reader.read(&read) {
            _ if fails => Err(not_done()),
            Ok(found) => Ok(found),
            Err(JobError::Refused(refusal)) => Err(refusal),
            Err(JobError::Engine(error)) => panic!("the database is sound: {error}"),
        };
        self.found.push_back(Answer::Found { ticket, result });
    }

    /// The end of a server that was asked to end: what had been taken is still done.
    pub fn finish(&mut self, now: Now) {
        while !self.exchange.backend().writes.is_empty() {
            assert_eq!(
                self.write(usize::MAX, now),
                None,
                "nothing goes wrong any more"
            );
        }
        assert_eq!(self.writer.tend(Pace::Last), Verdict::GoOn);
    }

    /// Puts entries into the log that were there before the story begins.
    pub fn fill(&mut self, batch: &[(Ticket, Write)], now: Now) {
        for group in batch.chunks(GROUP_COMMANDS) {
            let flush = self.writer.flush(group, now.wall);
            assert!(flush.trouble.is_none(), "nothing goes wrong yet");
        }
    }

    /// Whether nothing waits for anything but the peers.
    pub fn is_idle(&mut self) -> bool {
        let desk = self.exchange.backend();
        let jobs = desk.writes.len() + desk.pages.len() + desk.history.len();
        jobs + self.written.len() + self.found.len() + self.backlog.len() == 0
    }

    /// Whether a job waits for a reader.
    pub fn has_reads(&mut self) -> bool {
        let desk = self.exchange.backend();
        !desk.pages.is_empty() || !desk.history.is_empty()
    }

    /// Asks the disk itself.
    pub fn reader(&mut self) -> &mut SqliteReader {
        &mut self.history
    }
}

/// The lanes that read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lane {
    Pages,
    History,
}
