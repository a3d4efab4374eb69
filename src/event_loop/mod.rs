//! The event loop: one thread for all sockets.
//!
//! Floor 3. [`EventLoop`] is the shell around the [`Exchange`]: it owns the poller, the listener and
//! the clock, and turns the crank. One `EventLoop::tick` is a fixed list of phases, each one call,
//! so that the server runs at its own pace and not at that of its peers: whatever the kernel reported
//! is first noted, then dealt with in order and within budgets, and written at the end, once for each
//! connection that has something to be written. When it falls behind, ticks grow longer, more is
//! appended to each outbox in between, and each write carries more: it gets faster under load.
//!
//! * `exchange`: the phases, and who waits for what.
//! * `reading`: from sockets to the hub. `telling`: from the hub to outboxes.
//! * `peer`: one connection. `pages`: what is kept of logs. `routes`: what is served over HTTP.
//! * `backend`: what is asked of the store. `thrift`: memory goes back to the system.

pub mod backend;
pub mod exchange;
mod listener;
mod lists;
pub mod pages;
pub mod peer;
mod reading;
mod routes;
mod telling;
mod thrift;

use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use mio::event::{Event, Source};
use mio::net::TcpStream;
use mio::{Events, Interest, Poll, Token, Waker};

pub use backend::{Backend, NoStore, Taken};
pub use exchange::{Exchange, Readiness, Setup};
pub use listener::Listener;
pub use peer::Socket;

use crate::clock::{Moment, Now, UnixMillis, nanos};
use crate::limits::{CLOSE_WAIT, DRAIN_WAIT, EVENTS, LAST_WORDS_WAIT, MAILBOX_BUDGET};
use crate::store::{Answer, Lanes, Wake};
use listener::Accepting;
use thrift::Thrift;

const LISTENER: Token = Token(usize::MAX - 1);
const MAILBOX: Token = Token(usize::MAX - 2);
const SIGNALS: Token = Token(usize::MAX - 3);

/// Where the loop learns that the operator wants it to end.
pub trait Stop: Source {
    /// Whether that was asked since the last call.
    fn asked(&mut self) -> bool;
}

/// Why the loop ended.
#[derive(Debug)]
pub enum End {
    /// It was asked to, and everything was finished.
    Drained,
    /// It was asked to, and this was still open or under way when the wait was over.
    CutOff {
        /// Connections that did not leave.
        connections: usize,
        /// Questions that the store did not answer.
        commands: usize,
    },
    /// The store cannot tell what is on disk. Whoever was waiting has been told so, as far as their
    /// kernel took it.
    StoreFailed(String),
    /// The kernel refused to poll. Ours or the system's fault, and nothing can go on.
    Poll(io::Error),
}

/// The poller, which exists before the store does, whose threads must be able to wake it.
pub struct Poller {
    poll: Poll,
    waker: Arc<Waker>,
}

impl Poller {
    /// Opens it.
    ///
    /// # Errors
    /// The process has no file descriptor left.
    pub fn new() -> io::Result<Self> {
        let poll = Poll::new()?;
        let waker = Arc::new(Waker::new(poll.registry(), MAILBOX)?);
        Ok(Self { poll, waker })
    }

    /// What another thread calls when it has put something into a mailbox of the loop.
    pub fn wake(&self) -> Wake {
        let waker = self.waker.clone();
        // It fails only where the poller is gone, and then nobody needs to wake up.
        Arc::new(move || drop(waker.wake()))
    }
}

/// How far the end is.
#[derive(Debug)]
struct Drain {
    /// When the store is not waited for any longer.
    hurry_at: Option<Moment>,
    /// When nobody is waited for any longer.
    until: Moment,
    /// Questions that the store had not answered when it was waited for no longer.
    abandoned: usize,
    /// Why it has to end, if nobody asked it to.
    failed: Option<String>,
}

impl Drain {
    fn next(&self) -> Moment {
        self.hurry_at.unwrap_or(self.until)
    }
}

/// See the module.
pub struct EventLoop<I> {
    poller: Poller,
    events: Events,
    listener: Listener,
    exchange: Exchange<TcpStream, Lanes>,
    stop: I,
    /// The kernel says that `stop` has something to say.
    signalled: bool,
    started: Instant,
    now: Now,
    drain: Option<Drain>,
    thrift: Thrift,
}

impl<I: Stop> EventLoop<I> {
    /// A loop that is ready to serve. `started` is where its clock begins.
    ///
    /// # Errors
    /// The kernel does not poll one of these.
    pub fn new(
        poller: Poller,
        mut listener: Listener,
        mut stop: I,
        started: Instant,
        setup: Setup,
        lanes: Lanes,
    ) -> io::Result<Self> {
        let registry = poller.poll.registry();
        listener.register(registry, LISTENER)?;
        registry.register(&mut stop, SIGNALS, Interest::READABLE)?;
        let now = Now::default();
        Ok(Self {
            poller,
            events: Events::with_capacity(EVENTS),
            listener,
            exchange: Exchange::new(setup, lanes, now),
            stop,
            signalled: false,
            started,
            now,
            drain: None,
            thrift: Thrift::default(),
        })
    }

    /// Serves until it is told to end; gives back the store, which may have something to finish.
    pub fn run(mut self) -> (End, Lanes) {
        loop {
            match self.tick() {
                Ok(()) => {}
                Err(end) => return (end, self.exchange.into_backend()),
            }
        }
    }

    /// One turn. This is the whole of it.
    fn tick(&mut self) -> Result<(), End> {
        self.wait().map_err(End::Poll)?;
        let now = self.now;
        self.exchange.settle(now);
        self.mailbox(now);
        self.accept(now);
        self.exchange.read(now);
        self.exchange.expire(now);
        self.exchange.flush(now);
        if self.exchange.reap(now) > 0 {
            self.listener.relieved();
        }
        self.thrift.turn(&mut self.exchange, now.mono);
        self.drained(now)
    }

    /// Waits for the kernel, reads the clock, and notes what became ready.
    fn wait(&mut self) -> io::Result<()> {
        let timeout = self.timeout();
        match self.poller.poll.poll(&mut self.events, timeout) {
            Err(error) if error.kind() != io::ErrorKind::Interrupted => return Err(error),
            _ => {}
        }
        self.now = self.read_clock();
        self.exchange.metrics.ticks += 1;
        for event in &self.events {
            match event.token() {
                LISTENER => self.listener.ready(),
                // A wake-up carries nothing; the mailboxes are looked into anyway.
                MAILBOX => {}
                SIGNALS => self.signalled = true,
                Token(index) => self.exchange.ready(index, readiness(event)),
            }
        }
        Ok(())
    }

    /// The only look at the clock in a tick, so that everything in it happens at one time.
    fn read_clock(&self) -> Now {
        let mono = Moment(nanos(Instant::now().duration_since(self.started)));
        let wall = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        Now {
            mono,
            wall: UnixMillis(wall.as_millis() as i64),
        }
    }

    fn timeout(&self) -> Option<Duration> {
        let next = [
            self.exchange.poll_timeout(self.now),
            self.listener
                .poll_timeout(self.now.mono, self.exchange.has_room()),
            self.drain.as_ref().map(Drain::next),
            self.thrift.poll_timeout(),
        ];
        next.into_iter()
            .flatten()
            .min()
            .map(|at| at.since(self.now.mono))
    }

    /// Takes what other threads sent: the store's answers, and the operator's wish to end.
    fn mailbox(&mut self, now: Now) {
        for taken in 0.. {
            if taken == MAILBOX_BUDGET {
                // The waker's edge is used up; the rest must not wait for another.
                (self.poller.wake())();
                break;
            }
            match self.exchange.backend().take() {
                Some(Answer::Written { ticket, result }) => {
                    self.exchange.written(ticket, result, now);
                }
                Some(Answer::Found { ticket, result }) => self.exchange.found(ticket, result, now),
                Some(Answer::Fatal { reason }) => self.fail(reason, now),
                None => break,
            }
        }
        let commits = self.exchange.backend().commits();
        self.exchange.metrics.commits = commits;
        // Only then: asking is a system call.
        let signalled = std::mem::take(&mut self.signalled);
        if signalled && self.stop.asked() && self.drain.is_none() {
            log::info!("stopping: no new connections, finishing what is under way");
            self.listener.close(self.poller.poll.registry());
            self.drain = Some(Drain {
                hurry_at: Some(now.mono.after(DRAIN_WAIT - CLOSE_WAIT)),
                until: now.mono.after(DRAIN_WAIT),
                abandoned: 0,
                failed: None,
            });
            self.exchange.stop(now);
        }
    }

    /// The store is gone. What it answered before says "unknown", and so is told whoever still waits;
    /// then everybody is sent home, with a little time to read it.
    fn fail(&mut self, reason: String, now: Now) {
        self.listener.close(self.poller.poll.registry());
        let abandoned = self.exchange.stop_now(now);
        self.drain = Some(Drain {
            hurry_at: None,
            until: now.mono.after(LAST_WORDS_WAIT),
            abandoned,
            failed: Some(reason),
        });
    }

    /// Takes in new connections, within the budget of a tick: those that are open go first.
    fn accept(&mut self, now: Now) {
        let registry = self.poller.poll.registry();
        while self.exchange.has_room() {
            match self.listener.accept(now.mono) {
                Accepting::One(mut socket, address) => {
                    let attached = self.exchange.attach(address, now, |index| {
                        let interest = Interest::READABLE | Interest::WRITABLE;
                        registry.register(&mut socket, Token(index), interest)?;
                        Ok(socket)
                    });
                    if let Err(error) = attached {
                        log::warn!("a connection could not be polled and was dropped: {error}");
                    }
                }
                Accepting::Exhausted => {
                    self.exchange.metrics.accept_exhausted += 1;
                    break;
                }
                Accepting::Enough => break,
            }
        }
        self.listener.turn_over();
    }

    /// Whether this was the last tick.
    fn drained(&mut self, now: Now) -> Result<(), End> {
        let Some(drain) = &mut self.drain else {
            return Ok(());
        };
        if drain.hurry_at.is_some_and(|at| at <= now.mono) {
            drain.hurry_at = None;
            drain.abandoned = self.exchange.stop_now(now);
        }
        if !self.exchange.stopped() && drain.until > now.mono {
            return Ok(());
        }
        let (connections, commands) = (self.exchange.len(), drain.abandoned);
        Err(match drain.failed.take() {
            Some(reason) => End::StoreFailed(reason),
            None if connections + commands == 0 => End::Drained,
            None => End::CutOff {
                connections,
                commands,
            },
        })
    }
}

/// Both ends of a hang-up count as the peer's end: after it no other edge comes.
fn readiness(event: &Event) -> Readiness {
    Readiness {
        readable: event.is_readable(),
        writable: event.is_writable(),
        read_closed: event.is_read_closed() || event.is_error(),
    }
}
