//! The whole server but the kernel, in one hand: an [`Exchange`] whose sockets are sinks.
//!
//! Everybody in the room came in by the bytes of an upgrade, as clients do; what the talker says is
//! bytes too. A sink takes whatever it is offered, so that what is measured ends at the call that
//! would be the system call. Lives on one thread and shares its state by `Cell`.

// Each bench uses a part of this.
#![allow(dead_code)]

use std::cell::Cell;
use std::io::{self, IoSlice, Read, Write};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use kith::auth::GuestKey;
use kith::chat::durable::Snapshot;
use kith::chat::hub::{Hub, Settings};
use kith::chat::log::empty;
use kith::clock::{Now, UnixMillis};
use kith::conn::{ConnConfig, Shared};
use kith::event_loop::{Exchange, NoStore, Readiness, Setup, Socket};
use kith::ids::{ConvId, Entropy, Epoch};
use kith::wire::{Format, Greeting};

use crate::client;

/// A room of listeners and one talker.
pub struct Room {
    exchange: Exchange<Sink, NoStore>,
    outside: Rc<Outside>,
    now: Now,
    talker: usize,
}

/// What all sinks share.
#[derive(Default)]
struct Outside {
    /// What the socket that is read next will find.
    inbox: Cell<Option<Rc<[u8]>>>,
    /// How much of it, from its end, was not read yet.
    unread: Cell<usize>,
    bytes: Cell<u64>,
    writes: Cell<u64>,
    /// The last write, while somebody wants to see it.
    seen: Cell<Option<Vec<u8>>>,
}

/// A socket that reads what is in the inbox and takes everything that is written.
struct Sink(Rc<Outside>);

/// What went out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sent {
    /// Frames queued by fan-out.
    pub deliveries: u64,
    /// Calls of a socket's `write`.
    pub writes: u64,
    /// Bytes in them.
    pub bytes: u64,
}

/// Time that passes between two ticks: nothing is due that a fan-out has nothing to do with.
const TICK: Duration = Duration::from_micros(10);

impl Room {
    /// A room with so many listeners, who all speak one format, and nothing left to be told.
    pub fn new(format: Format, listeners: usize) -> Self {
        let lobby = empty(ConvId(1), Epoch(7), false);
        let setup = Setup {
            hub: Hub::new(Settings::default(), Snapshot { lobby }),
            shared: Shared::new(ConnConfig::default()),
            greeting: Greeting::default(),
            guests: GuestKey::new([7; 32]),
            entropy: Entropy::Seeded(7),
            connections: listeners + 1,
            metrics_public: false,
            log_text: false,
            log_dropped: Arc::default(),
        };
        let now = Now {
            wall: UnixMillis(1_795_168_800_123),
            ..Now::default()
        };
        let mut room = Self {
            exchange: Exchange::new(setup, NoStore, now),
            outside: Rc::default(),
            now,
            talker: 0,
        };
        for n in 0..listeners {
            room.enter(format, &format!("listener-{n:05}"));
        }
        room.talker = room.enter(format, "talker");
        // The number online is told every two seconds; after that nothing is due for a while.
        for _ in 0..3 {
            room.now.mono = room.now.mono.after(Duration::from_secs(3));
            room.come_to_rest();
        }
        assert_eq!(room.exchange.hub().signed_in(), listeners + 1);
        room
    }

    #[inline(never)]
    fn enter(&mut self, format: Format, name: &str) -> usize {
        let outside = self.outside.clone();
        let id = self
            .exchange
            .attach([127; 16], self.now, |_| Ok(Sink(outside)))
            .expect("a sink is always accepted");
        self.put(client::upgrade(format, name).into_bytes().into());
        self.say(id.index as usize);
        self.come_to_rest();
        id.index as usize
    }

    /// Lays out what the talker will be found to have sent.
    pub fn put(&self, bytes: Rc<[u8]>) {
        self.outside.unread.set(bytes.len());
        self.outside.inbox.set(Some(bytes));
    }

    /// The first half: from the talker's bytes to the outboxes of all listeners.
    #[inline(never)]
    pub fn fill(&mut self) {
        self.say(self.talker);
    }

    /// The second half: from the outboxes to the sockets, in as many ticks as it takes.
    #[inline(never)]
    pub fn write_out(&mut self) {
        self.come_to_rest();
    }

    fn come_to_rest(&mut self) {
        loop {
            self.now.mono = self.now.mono.after(TICK);
            self.exchange.settle(self.now);
            self.exchange.expire(self.now);
            self.exchange.flush(self.now);
            self.exchange.reap(self.now);
            if self.exchange.poll_timeout(self.now) != Some(self.now.mono) {
                return;
            }
        }
    }

    fn say(&mut self, index: usize) {
        let readable = Readiness {
            readable: true,
            ..Readiness::default()
        };
        self.exchange.ready(index, readable);
        self.exchange.read(self.now);
        // What is larger than the loop's read buffer.
        while self.outside.unread.get() > 0 {
            self.exchange.read(self.now);
        }
    }

    /// What went out since the start.
    pub fn sent(&self) -> Sent {
        Sent {
            deliveries: self.exchange.metrics.deliveries,
            writes: self.outside.writes.get(),
            bytes: self.outside.bytes.get(),
        }
    }

    /// Lets the talker say something once, and gives the frame that the last listener got.
    pub fn overhear(&mut self, bytes: Rc<[u8]>) -> Vec<u8> {
        self.put(bytes);
        self.fill();
        self.outside.seen.set(Some(Vec::new()));
        self.write_out();
        self.outside.seen.take().unwrap_or_default()
    }
}

impl Outside {
    fn wrote(&self, bytes: &[u8]) {
        self.bytes.set(self.bytes.get() + bytes.len() as u64);
        if let Some(mut seen) = self.seen.take() {
            seen.clear();
            seen.extend_from_slice(bytes);
            self.seen.set(Some(seen));
        }
    }
}

impl Read for Sink {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let unread = self.0.unread.get();
        let (Some(inbox), 1..) = (self.0.inbox.take(), unread) else {
            return Err(io::ErrorKind::WouldBlock.into());
        };
        let from = inbox.len() - unread;
        let count = buffer.len().min(unread);
        buffer[..count].copy_from_slice(&inbox[from..from + count]);
        self.0.unread.set(unread - count);
        self.0.inbox.set(Some(inbox));
        Ok(count)
    }
}

impl Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.writes.set(self.0.writes.get() + 1);
        self.0.wrote(bytes);
        Ok(bytes.len())
    }

    fn write_vectored(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        self.0.writes.set(self.0.writes.get() + 1);
        slices.iter().for_each(|slice| self.0.wrote(slice));
        Ok(slices.iter().map(|slice| slice.len()).sum())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Socket for Sink {
    fn shut_down(&mut self) -> io::Result<()> {
        Ok(())
    }
}
