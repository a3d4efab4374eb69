//! The exchange: everything that the loop does, but for the kernel.
//!
//! Floor 3, the one place that knows connections, the wire, the hub and the store. It is generic over
//! its sockets and its store and reads no clock, so that the whole server minus the kernel runs in a
//! simulation and in a benchmark. Its public methods are the phases of a tick, in their order:
//! [`Exchange::settle`], [`Exchange::attach`], [`Exchange::read`], [`Exchange::expire`],
//! [`Exchange::flush`], [`Exchange::reap`].
//!
//! **One interpreter.** `input` is the only caller of `Hub::handle`, and drains the hub's outputs
//! before it returns. What an output brings about that is itself an input (a listener lags, a page
//! was in the cache) is queued in `follow` and handled right after, never from within.

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use slab::Slab;

use crate::auth::GuestKey;
use crate::chat::bucket::Address;
use crate::chat::durable::{Found, ReadResult, WriteResult};
use crate::chat::hub::{Hub, Input, Looked};
use crate::chat::refusal::Refusal;
use crate::clock::{Moment, Now, Wheel};
use crate::conn::frame::Encoder;
use crate::conn::{Conn, Due, Shared, Verdict};
use crate::event_loop::backend::Backend;
use crate::event_loop::lists::{Lists, mark};
use crate::event_loop::pages::Pages;
use crate::event_loop::peer::{Dirty, Peer, Socket, Wrote};
use crate::ids::{ConnId, Entropy, Ticket};
use crate::limits::{FLUSH_BUDGET, OUTBOX_LOW, READ_BUFFER};
use crate::metrics::Metrics;
use crate::wire::{Format, Greeting};

/// What the exchange is told at its start.
#[derive(Debug)]
pub struct Setup {
    /// The domain.
    pub hub: Hub,
    /// What connections share.
    pub shared: Shared,
    /// What `welcome` says to everybody.
    pub greeting: Greeting,
    /// For guests who come back.
    pub guests: GuestKey,
    /// For the ids of those who are new.
    pub entropy: Entropy,
    /// How many connections there may be at once.
    pub connections: usize,
    /// Whether `/metrics` answers others than this host.
    pub metrics_public: bool,
    /// Whether the words of messages go to the log.
    pub log_text: bool,
    /// Log lines that were dropped, counted by whoever drops them.
    pub log_dropped: Arc<AtomicU64>,
}

/// What the kernel said of a socket.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Readiness {
    /// There is something to read.
    pub readable: bool,
    /// There is room to write.
    pub writable: bool,
    /// The peer has ended its direction.
    pub read_closed: bool,
}

/// See the module.
#[derive(Debug)]
pub struct Exchange<S, B> {
    pub(super) hub: Hub,
    pub(super) peers: Slab<Peer<S>>,
    pub(super) shared: Shared,
    pub(super) backend: B,
    pub(super) pages: Pages,
    pub(super) encoders: [Encoder; Format::ALL.len()],
    pub(super) greeting: Greeting,
    pub(super) guests: GuestKey,
    pub(super) entropy: Entropy,
    pub(super) wheel: Wheel<ConnId>,
    pub(super) buffer: Box<[u8]>,
    pub(super) lists: Lists,
    pub(super) follow: VecDeque<Input>,
    pub(super) stopping: bool,
    pub(super) metrics_public: bool,
    pub(super) log_text: bool,
    pub(super) log_dropped: Arc<AtomicU64>,
    connections: usize,
    serial: u32,
    trimmed: Moment,
    /// The numbers that the exchange counts; `/metrics` shows them.
    pub metrics: Metrics,
}

impl<S: Socket, B: Backend> Exchange<S, B> {
    /// An exchange with nobody connected.
    pub fn new(setup: Setup, backend: B, now: Now) -> Self {
        Self {
            hub: setup.hub,
            peers: Slab::new(),
            shared: setup.shared,
            backend,
            pages: Pages::default(),
            encoders: Default::default(),
            greeting: setup.greeting,
            guests: setup.guests,
            entropy: setup.entropy,
            wheel: Wheel::new(now.mono),
            buffer: vec![0; READ_BUFFER].into(),
            lists: Lists::default(),
            follow: VecDeque::new(),
            stopping: false,
            metrics_public: setup.metrics_public,
            log_text: setup.log_text,
            log_dropped: setup.log_dropped,
            connections: setup.connections,
            serial: 0,
            trimmed: now.mono,
            metrics: Metrics::default(),
        }
    }

    /// Takes in a connection. `socket` is given the index under which readiness will be reported.
    ///
    /// # Errors
    /// What `socket` said; the exchange is as it was.
    pub fn attach(
        &mut self,
        address: Address,
        now: Now,
        socket: impl FnOnce(usize) -> io::Result<S>,
    ) -> io::Result<ConnId> {
        let entry = self.peers.vacant_entry();
        let index = entry.key();
        let socket = socket(index)?;
        self.serial = self.serial.wrapping_add(1);
        entry.insert(Peer::new(socket, Conn::new(now), self.serial, address));
        let id = ConnId {
            index: index as u32,
            serial: self.serial,
        };
        self.metrics.connections_accepted += 1;
        self.metrics.connections_open = self.peers.len() as u64;
        self.arm(id);
        Ok(id)
    }

    /// Whether another connection may be taken in.
    pub fn has_room(&self) -> bool {
        self.peers.len() < self.connections
    }

    /// Notes what the kernel said of the socket at `index`.
    pub fn ready(&mut self, index: usize, readiness: Readiness) {
        // An event for a socket that is gone: mio allows it, and there is nothing to do.
        let Some(peer) = self.peers.get_mut(index) else {
            return;
        };
        let id = ConnId {
            index: index as u32,
            serial: peer.serial,
        };
        peer.flags.read_closed |= readiness.read_closed;
        if readiness.readable || readiness.read_closed {
            peer.flags.readable = true;
            self.queue_read(id);
        }
        if readiness.writable {
            self.writable(id);
        }
    }

    fn writable(&mut self, id: ConnId) {
        let Some(peer) = self.peer(id) else { return };
        peer.flags.writable = true;
        if !peer.conn.outbox().is_empty() {
            self.mark(id, Dirty::Urgent);
        }
    }

    /// Handles an input and everything that follows from it.
    pub fn input(&mut self, input: Input, now: Now) {
        self.hub.handle(input, now);
        self.drain(now);
    }

    /// An answer of the store.
    pub fn written(&mut self, ticket: Ticket, result: WriteResult, now: Now) {
        self.input(Input::Written { ticket, result }, now);
    }

    /// An answer of the store. A page goes to everybody who waits for it.
    pub fn found(&mut self, ticket: Ticket, result: ReadResult, now: Now) {
        match result {
            Ok(Found::Page(page)) => {
                self.metrics.pages_read += 1;
                let conv = page.conv;
                let looked = self.pages.keep(page);
                self.page_answered(ticket, conv, &Ok(looked), now);
            }
            Ok(Found::Cursor { matches }) => {
                self.looked(ticket, Ok(Looked::Cursor { matches }), now);
            }
            Ok(Found::History(page)) => self.looked(ticket, Ok(Looked::History(page)), now),
            Err(refusal) => self.read_failed(ticket, refusal, now),
        }
    }

    /// Deals with what earlier phases left to be told to the hub. The first phase of a tick.
    pub fn settle(&mut self, now: Now) {
        // New ones may join while the hub is being told; those are for the next tick.
        for conn in std::mem::take(&mut self.lists.drained) {
            self.input(Input::Drained { conn }, now);
        }
    }

    /// Brings up what is due.
    pub fn expire(&mut self, now: Now) {
        let mut due = std::mem::take(&mut self.lists.due);
        self.wheel.expire(now.mono, &mut due);
        for id in due.drain(..) {
            self.deadline(id, now);
        }
        self.lists.due = due;
        if now.mono.since(self.trimmed) >= SLOT {
            self.trimmed = now.mono;
            self.shared.trim();
        }
        if self.hub.poll_timeout().is_some_and(|at| at <= now.mono) {
            self.hub.handle_timeout(now);
            self.drain(now);
        }
    }

    fn deadline(&mut self, id: ConnId, now: Now) {
        let Self {
            peers,
            shared,
            metrics,
            ..
        } = self;
        let Some(peer) = live(peers, id) else { return };
        // The wheel may bring up what was armed again for an earlier moment meanwhile.
        if peer.armed.is_some_and(|at| at > now.mono) {
            return;
        }
        peer.armed = None;
        if peer.conn.deadline().is_some_and(|at| at <= now.mono) {
            match peer.conn.handle_deadline(shared, now) {
                Due::Kept => {}
                Due::Closed(_) => {
                    metrics.cut += 1;
                    self.gone(id, now);
                }
            }
        }
        self.after(id);
    }

    /// The WebSocket of this peer has ended, though its socket may linger: the hub is told once.
    pub(super) fn gone(&mut self, id: ConnId, now: Now) {
        let Some(peer) = self.peer(id) else { return };
        // The hub resumes nobody who is gone, and the peer still has a close frame to answer.
        peer.flags.paused = false;
        if std::mem::take(&mut peer.flags.upgraded) {
            self.input(Input::Closed { conn: id }, now);
        }
        self.queue_read(id);
    }

    /// Writes what is queued: answers and small fan-outs first, then shares of big ones, for which a
    /// part of what one tick may cost is kept. What is left keeps its place.
    pub fn flush(&mut self, now: Now) {
        let mut budget = FLUSH_BUDGET;
        while budget > 0 {
            let Some((id, class)) = self.lists.next_dirty(budget) else {
                break;
            };
            let Self {
                peers,
                shared,
                metrics,
                ..
            } = self;
            let Some(peer) = live(peers, id) else {
                continue;
            };
            // It may have moved to the other list since.
            if peer.flags.dirty != class {
                continue;
            }
            peer.flags.dirty = Dirty::No;
            match peer.flush(budget, shared, now) {
                Wrote::Cost {
                    units,
                    bytes,
                    writes,
                } => {
                    budget = budget.saturating_sub(units.max(1));
                    metrics.bytes_out += bytes as u64;
                    metrics.writes += writes as u64;
                    let empty = peer.conn.outbox().is_empty();
                    // An open one that took everything is due no earlier than it was, and not at
                    // its end: most of a fan-out is done with here.
                    let settled = empty && peer.conn.is_open() && !peer.flags.awaited;
                    if peer.flags.writable && !empty {
                        self.mark(id, Dirty::Bulk);
                    } else if peer.conn.wants_poll(shared) && !peer.flags.paused {
                        self.queue_read(id);
                    }
                    if !settled {
                        self.tell_drained(id);
                        self.after(id);
                    }
                }
                Wrote::Broken => self.doom(id),
            }
        }
    }

    /// Takes the doomed out of the slab. The last phase of a tick, and the only place where anything
    /// is removed, so that no phase before it can meet an index that has changed hands. Returns how
    /// many that were: the files that are free again.
    pub fn reap(&mut self, now: Now) -> usize {
        let doomed = std::mem::take(&mut self.lists.doomed);
        let count = doomed.len();
        for id in doomed {
            let index = id.index as usize;
            let peer = self.peers.get(index);
            if peer.is_some_and(|peer| peer.flags.upgraded) {
                self.input(Input::Closed { conn: id }, now);
            }
            self.peers.remove(index).conn.discard(&mut self.shared);
        }
        self.metrics.connections_open = self.peers.len() as u64;
        self.metrics.sessions = self.hub.signed_in() as u64;
        count
    }

    /// When the next tick should begin at the latest, with nothing heard from the kernel.
    pub fn poll_timeout(&self, now: Now) -> Option<Moment> {
        let lists = &self.lists;
        let left = !lists.ready.is_empty()
            || !lists.urgent.is_empty()
            || !lists.bulk.is_empty()
            || !lists.drained.is_empty()
            || !lists.doomed.is_empty();
        if left {
            return Some(now.mono);
        }
        [self.wheel.next(), self.hub.poll_timeout()]
            .into_iter()
            .flatten()
            .min()
    }

    /// The server stops: what is under way is finished, then everybody is sent home.
    pub fn stop(&mut self, now: Now) {
        self.stopping = true;
        self.input(Input::Stop, now);
    }

    /// The same, without waiting for the store; returns how many questions it still had.
    pub fn stop_now(&mut self, now: Now) -> usize {
        self.stopping = true;
        let unanswered = self.hub.unanswered();
        self.input(Input::StopNow, now);
        unanswered
    }

    /// Whether everybody was sent home and has left.
    pub fn stopped(&self) -> bool {
        self.hub.stopped() && self.peers.is_empty()
    }

    /// How many connections there are.
    pub fn len(&self) -> usize {
        self.peers.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.peers.is_empty()
    }

    /// The domain, to look at.
    pub const fn hub(&self) -> &Hub {
        &self.hub
    }

    /// Ends it; the store may have something to finish.
    pub fn into_backend(self) -> B {
        self.backend
    }

    /// The store, for its answers.
    pub const fn backend(&mut self) -> &mut B {
        &mut self.backend
    }

    /// The peer of this id, unless it is gone or doomed.
    pub(super) fn peer(&mut self, id: ConnId) -> Option<&mut Peer<S>> {
        live(&mut self.peers, id)
    }

    /// Queues a peer to be read, once.
    pub(super) fn queue_read(&mut self, id: ConnId) {
        let Some(peer) = self.peer(id) else { return };
        if !std::mem::replace(&mut peer.flags.in_ready, true) {
            self.lists.ready.push(id);
        }
    }

    /// Queues a peer to be flushed, once; one that waits with the many may move to the first.
    pub(super) fn mark(&mut self, id: ConnId, class: Dirty) {
        let Self { peers, lists, .. } = self;
        if let Some(peer) = live(peers, id) {
            mark(peer, id, class, lists);
        }
    }

    /// After anything that may have changed when a peer is due, or whether it is finished.
    pub(super) fn after(&mut self, id: ConnId) {
        let Self { peers, lists, .. } = self;
        let Some(peer) = live(peers, id) else { return };
        if !peer.conn.outbox().is_empty() && peer.flags.writable {
            // Whoever waits with the many stays there.
            if peer.flags.dirty == Dirty::No {
                mark(peer, id, Dirty::Urgent, lists);
            }
        }
        if peer.conn.verdict() == Verdict::Shutdown {
            // An error means that the peer is gone, which the next read will say.
            let _ = peer.socket.shut_down();
            peer.conn.handle_shutdown();
        }
        match peer.conn.verdict() {
            Verdict::Drop => self.doom(id),
            Verdict::Keep | Verdict::Shutdown => self.arm(id),
        }
    }

    /// Makes sure that the wheel brings this peer up in time. Later is no concern: whoever comes up
    /// early is armed again, so a busy connection costs nothing here.
    pub(super) fn arm(&mut self, id: ConnId) {
        let Self { peers, wheel, .. } = self;
        let Some(peer) = live(peers, id) else { return };
        let Some(deadline) = peer.conn.deadline() else {
            return;
        };
        if peer.armed.is_none_or(|at| at > deadline.after(SLOT)) {
            peer.armed = Some(wheel.arm(deadline, id));
        }
    }

    /// Marks a peer to be reaped at the end of the tick.
    pub(super) fn doom(&mut self, id: ConnId) {
        let Some(peer) = self.peer(id) else { return };
        peer.flags.doomed = true;
        self.lists.doomed.push(id);
    }

    /// Tells the hub that there is room, once there is, if it asked.
    pub(super) fn tell_drained(&mut self, id: ConnId) {
        let Self { peers, lists, .. } = self;
        let Some(peer) = live(peers, id) else { return };
        if peer.flags.awaited && peer.conn.outbox().len() <= OUTBOX_LOW {
            peer.flags.awaited = false;
            lists.drained.push(id);
        }
    }

    fn looked(&mut self, ticket: Ticket, result: Result<Looked, Refusal>, now: Now) {
        self.input(Input::Found { ticket, result }, now);
    }
}

/// The wheel's resolution: a peer that comes up this much late is in time.
const SLOT: std::time::Duration = std::time::Duration::from_secs(1);

/// The peer of this id, unless it is gone or doomed. A free function, so that a caller may hold other
/// parts of the exchange at the same time.
pub(super) fn live<S>(peers: &mut Slab<Peer<S>>, id: ConnId) -> Option<&mut Peer<S>> {
    let peer = peers.get_mut(id.index as usize)?;
    (peer.serial == id.serial && !peer.flags.doomed).then_some(peer)
}
