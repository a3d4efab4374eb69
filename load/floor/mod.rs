//! The floor: the least that a WebSocket server can do and still deliver, as a yardstick.
//!
//! No rules, no names, no log. Every data frame that comes is encoded once for everybody in the
//! room, its sender too; whoever asked for the path [`ECHO`] gets only its own back. One thread,
//! edge-triggered epoll, one coalesced send per socket and turn. What is said in a turn stands in
//! one buffer, and each socket is sent that buffer: only what the kernel does not take at once is
//! copied, into that socket's own queue, which is bounded. Refuses to know any message; stands
//! beside the swarm and shares nothing with it but the bounds.
//!
//! ```text
//! wait -> accept -> read: unmask, encode (room: one buffer; echo: the socket's own) -> send, once
//! ```

mod frames;
mod peer;
mod upgrade;

use std::convert::Infallible;
use std::io::{self, Read};
use std::net::SocketAddr;
use std::time::Duration;

use mio::net::TcpListener;
use mio::{Events, Interest, Poll, Token};
use socket2::{Domain, Protocol, Socket, Type};

use self::peer::{Peer, Place, Stay};
use crate::bounds::{ACCEPTS, BACKLOG, EVENTS, FLOOR_BUFFER, FLOOR_TURN, READS};

/// Asked for, a socket hears nobody but itself.
pub const ECHO: &str = "/echo";

/// The listener's token; sockets have their file descriptor as theirs.
const LISTENER: Token = Token(usize::MAX);

/// The server. See the module.
#[derive(Debug)]
pub struct Floor {
    poll: Poll,
    events: Events,
    listener: TcpListener,
    /// By file descriptor, of which the kernel gives the smallest that is free: the table stays
    /// dense, and an event finds its socket without a search.
    peers: Vec<Option<Peer>>,
    /// Those who are in the room, in no order.
    room: Vec<u32>,
    /// One for all reads.
    buffer: Box<[u8]>,
    /// What was said in this turn, as it goes to everybody in the room.
    said: Vec<u8>,
    /// Those who have a queue of their own to be sent.
    dirty: Vec<u32>,
    /// Sockets that were not read to their end, and whether the peer has closed its side.
    unread: Vec<(u32, bool)>,
    /// Those who go at the end of the turn.
    leaving: Vec<u32>,
    /// There may be somebody to accept of whom no event will tell.
    knocking: bool,
    /// The last who knocked could not be let in, because too many files are open.
    full: bool,
}

impl Floor {
    /// Listens.
    ///
    /// # Errors
    /// The system's: nobody may listen there, or somebody does.
    pub fn bind(address: SocketAddr) -> io::Result<Self> {
        let domain = Domain::for_address(address);
        let socket = Socket::new(domain, Type::STREAM, Some(Protocol::TCP))?;
        socket.set_reuse_address(true)?;
        socket.set_nonblocking(true)?;
        // Inherited by what is accepted: a call less per connection.
        socket.set_tcp_nodelay(true)?;
        socket.bind(&address.into())?;
        socket.listen(BACKLOG)?;
        let mut listener = TcpListener::from_std(socket.into());
        let poll = Poll::new()?;
        poll.registry()
            .register(&mut listener, LISTENER, Interest::READABLE)?;
        Ok(Self {
            poll,
            events: Events::with_capacity(EVENTS),
            listener,
            peers: Vec::new(),
            room: Vec::new(),
            buffer: vec![0; FLOOR_BUFFER].into(),
            said: Vec::with_capacity(FLOOR_TURN),
            dirty: Vec::new(),
            unread: Vec::new(),
            leaving: Vec::new(),
            knocking: false,
            full: false,
        })
    }

    /// Where it listens.
    ///
    /// # Errors
    /// The system's.
    pub fn address(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Serves until the process ends.
    ///
    /// # Errors
    /// The poller's.
    pub fn serve(&mut self) -> io::Result<Infallible> {
        loop {
            self.turn()?;
        }
    }

    fn turn(&mut self) -> io::Result<()> {
        let busy = self.knocking || !self.unread.is_empty();
        let timeout = busy.then_some(Duration::ZERO);
        match self.poll.poll(&mut self.events, timeout) {
            Err(error) if error.kind() != io::ErrorKind::Interrupted => return Err(error),
            _ => {}
        }
        let mut ready = std::mem::take(&mut self.unread);
        for event in &self.events {
            if event.token() == LISTENER {
                self.knocking = true;
                continue;
            }
            let fd = event.token().0 as u32;
            let closed = event.is_read_closed() || event.is_error();
            if event.is_readable() || closed {
                ready.push((fd, closed));
            }
            if event.is_writable()
                && let Some(Some(peer)) = self.peers.get_mut(fd as usize)
            {
                peer.blocked = false;
                if peer.becomes_dirty() {
                    self.dirty.push(fd);
                }
            }
        }
        let mut at = 0;
        // What everybody says in one turn is bounded; who is not read now is read in the next.
        while at < ready.len() && self.said.len() < FLOOR_TURN {
            let (fd, closed) = ready[at];
            self.read(fd, closed);
            at += 1;
        }
        ready.drain(..at);
        // Whoever was read up to the bound of one turn stands behind those who were not read.
        ready.append(&mut self.unread);
        self.unread = ready;
        self.send();
        self.leave();
        if self.knocking {
            self.accept();
        }
        Ok(())
    }

    fn accept(&mut self) {
        for _ in 0..ACCEPTS {
            match self.listener.accept() {
                Ok((stream, _)) => self.admit(Peer::new(stream)),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                // Nobody is left. Or there is no file for them: then whoever leaves next makes
                // room.
                Err(error) => {
                    self.knocking = false;
                    self.full = error.kind() != io::ErrorKind::WouldBlock;
                    return;
                }
            }
        }
    }

    fn admit(&mut self, mut peer: Peer) {
        let at = peer.fd() as usize;
        let both = Interest::READABLE | Interest::WRITABLE;
        let registry = self.poll.registry();
        // Without the kernel's memory for it, it is dropped, and the peer sees that.
        if registry.register(&mut peer.stream, Token(at), both).is_ok() {
            let len = self.peers.len().max(at + 1);
            self.peers.resize_with(len, || None);
            self.peers[at] = Some(peer);
        }
    }

    /// Reads a socket, and takes its frames as they stand in the one buffer.
    fn read(&mut self, fd: u32, closed: bool) {
        let Some(Some(peer)) = self.peers.get_mut(fd as usize) else {
            return;
        };
        for _ in 0..READS {
            let count = match peer.stream.read(&mut self.buffer) {
                Ok(0) => return self.leaving.push(fd),
                Ok(count) => count,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(_) => return self.leaving.push(fd),
            };
            let before = peer.place;
            let room = self.room.len() as u32;
            let stay = peer.take(&self.buffer[..count], &mut self.said, room);
            if peer.place != before && peer.place == Place::Room(room) {
                self.room.push(fd);
            }
            if peer.becomes_dirty() {
                self.dirty.push(fd);
            }
            if stay == Stay::Goes {
                return self.leaving.push(fd);
            }
            // Less than there was room for is all there is, and more of it brings an event; but
            // that the peer has closed its side is told once.
            if count < self.buffer.len() && !closed {
                return;
            }
        }
        self.unread.push((fd, closed));
    }

    /// One send for each who is to hear something, or has something of its own.
    fn send(&mut self) {
        let Self { peers, leaving, .. } = self;
        if !self.said.is_empty() {
            for fd in &self.room {
                if let Some(Some(peer)) = peers.get_mut(*fd as usize)
                    && peer.deliver(&self.said) == Stay::Goes
                {
                    leaving.push(*fd);
                }
            }
            self.said.clear();
        }
        for fd in self.dirty.drain(..) {
            if let Some(Some(peer)) = peers.get_mut(fd as usize)
                && peer.flush() == Stay::Goes
            {
                leaving.push(fd);
            }
        }
    }

    fn leave(&mut self) {
        while let Some(fd) = self.leaving.pop() {
            // Somebody may have had two reasons to go.
            let Some(peer) = self.peers.get_mut(fd as usize).and_then(Option::take) else {
                continue;
            };
            self.knocking |= std::mem::take(&mut self.full);
            if let Place::Room(at) = peer.place {
                self.room.swap_remove(at as usize);
                if let Some(moved) = self.room.get(at as usize)
                    && let Some(Some(other)) = self.peers.get_mut(*moved as usize)
                {
                    other.place = Place::Room(at);
                }
            }
        }
    }
}
