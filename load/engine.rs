//! The sockets of the swarm: one thread, one poller, one table.
//!
//! Does what the crowd says and moves bytes. A client keeps its index for good, so the table is a
//! plain vector and the index is the token; an event that comes late for a socket that was replaced
//! costs one read that finds nothing. Knows nothing of messages.

use std::io::{self, IoSlice, Read, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::time::{Duration, Instant};

use kith::clock::Moment;
use kith::limits::WRITE_PIECES;
use mio::event::Source;
use mio::net::TcpStream;
use mio::unix::SourceFd;
use mio::{Events, Interest, Poll, Token};
use socket2::{Domain, Protocol, Socket, Type};

use crate::bounds::{BYTES_AT_ONCE, EVENTS, PORTS, READ_BUFFER, READS, READS_AT_ONCE};
use crate::clients::Clients;
use crate::crowd::Action;
use crate::failure::Failure;

/// The timer's token; clients have theirs from 0 on.
const TIMER: Token = Token(usize::MAX);
/// That of whatever else wakes it.
const OTHER: Token = Token(usize::MAX - 1);

/// The engine. See the module.
#[derive(Debug)]
pub struct Engine {
    poll: Poll,
    events: Events,
    timer: Timer,
    peers: Vec<Option<TcpStream>>,
    buffer: Box<[u8]>,
    address: SocketAddr,
    started: Instant,
    /// Sockets from which there was more to read than one turn takes, and whether the server has
    /// closed its side.
    unread: Vec<(u32, bool)>,
    writable: Vec<u32>,
    /// Bytes that were read since it was last looked what is due.
    taken: usize,
    /// How often an address of this machine had no port left, and the next one was taken.
    spread: u32,
}

impl Engine {
    /// For so many clients of the server at this address.
    ///
    /// # Errors
    /// The system's.
    pub fn new(address: SocketAddr, clients: u32) -> Result<Self, Failure> {
        let system = |error| Failure::System("asking for a poller", error);
        let poll = Poll::new().map_err(system)?;
        let timer = Timer::new().map_err(system)?;
        let fd = timer.0.as_raw_fd();
        poll.registry()
            .register(&mut SourceFd(&fd), TIMER, Interest::READABLE)
            .map_err(system)?;
        Ok(Self {
            poll,
            events: Events::with_capacity(EVENTS),
            timer,
            peers: (0..clients).map(|_| None).collect(),
            buffer: vec![0; READ_BUFFER].into(),
            address,
            started: Instant::now(),
            unread: Vec::new(),
            writable: Vec::new(),
            taken: 0,
            spread: 0,
        })
    }

    /// Ends a turn early when there is something to read there.
    ///
    /// # Errors
    /// The system's.
    pub fn wake_for(&mut self, source: &mut impl Source) -> Result<(), Failure> {
        let registry = self.poll.registry();
        let done = registry.register(source, OTHER, Interest::READABLE);
        done.map_err(|error| Failure::System("asking for signals", error))
    }

    /// Closes all sockets, after the last turn.
    pub fn hang_up(&mut self) {
        self.peers.clear();
    }

    /// What time it is.
    pub fn now(&self) -> Moment {
        Moment(self.started.elapsed().as_nanos() as u64)
    }

    /// Waits until something happens, is due, or `until` has come; does everything about it.
    ///
    /// # Errors
    /// The system's, or what the crowd found to be the end of the run.
    pub fn turn<C: Clients>(&mut self, crowd: &mut C, until: Moment) -> Result<(), Failure> {
        let now = self.now();
        let wait = crowd.next_tick(now).min(until).since(now);
        let system = |error| Failure::System("waiting for events", error);
        let timeout = if self.unread.is_empty() {
            self.timer.set(wait).map_err(system)?;
            None
        } else {
            Some(Duration::ZERO)
        };
        match self.poll.poll(&mut self.events, timeout) {
            Err(error) if error.kind() != io::ErrorKind::Interrupted => return Err(system(error)),
            _ => {}
        }
        let mut ready = std::mem::take(&mut self.unread);
        for event in self.events.iter().filter(|event| event.token() < OTHER) {
            let client = event.token().0 as u32;
            let closed = event.is_read_closed() || event.is_error();
            if event.is_readable() || closed {
                ready.push((client, closed));
            }
            if event.is_writable() {
                self.writable.push(client);
            }
        }
        let mut reads = 0;
        for (client, closed) in ready {
            self.read(client, closed, crowd);
            reads += 1;
            // What is due does not wait until everybody was read.
            if reads >= READS_AT_ONCE || self.taken >= BYTES_AT_ONCE {
                (reads, self.taken) = (0, 0);
                self.serve(crowd);
            }
        }
        self.serve(crowd);
        crowd.take_failure().map_or(Ok(()), Err)
    }

    /// What is due, and what came of it.
    fn serve<C: Clients>(&mut self, crowd: &mut C) {
        crowd.tick(self.now());
        self.act(crowd);
        let mut writing = std::mem::take(&mut self.writable);
        crowd.take_dirty(&mut writing);
        for client in writing.drain(..) {
            self.write(client, crowd);
        }
        self.writable = writing;
        self.act(crowd);
    }

    fn act<C: Clients>(&mut self, crowd: &mut C) {
        while let Some(action) = crowd.poll_action() {
            match action {
                Action::Drop(client) => self.drop(client),
                Action::Leave(client) => self.peers[client as usize] = None,
                // Whether the server has closed its side was perhaps told while nobody read.
                Action::Read(client) => self.unread.push((client, true)),
                Action::Connect(client) => {
                    self.drop(client);
                    if let Err(error) = self.connect(client, crowd.receive_buffer(client)) {
                        crowd.unreachable(client, error, self.now());
                    }
                }
            }
        }
    }

    /// Leaves without a word and without TIME_WAIT, which would keep the port for a minute.
    fn drop(&mut self, client: u32) {
        if let Some(stream) = self.peers[client as usize].take() {
            let socket = socket2::SockRef::from(&stream);
            // Where this fails the port is kept for a minute, and no more.
            let _ = socket.set_linger(Some(Duration::ZERO));
        }
    }

    /// Begins to connect; where ports run short, from another address of this machine.
    fn connect(&mut self, client: u32, buffer: Option<usize>) -> io::Result<()> {
        let source = client / PORTS as u32;
        let stream = match self.open(source + self.spread, buffer) {
            Err(error) if error.kind() == io::ErrorKind::AddrNotAvailable => {
                self.spread += 1;
                self.open(source + self.spread, buffer)?
            }
            result => result?,
        };
        let stream = self.peers[client as usize].insert(stream);
        let both = Interest::READABLE | Interest::WRITABLE;
        let token = Token(client as usize);
        self.poll.registry().register(stream, token, both)
    }

    fn open(&self, source: u32, buffer: Option<usize>) -> io::Result<TcpStream> {
        let socket = Socket::new(
            Domain::for_address(self.address),
            Type::STREAM,
            Some(Protocol::TCP),
        )?;
        socket.set_nonblocking(true)?;
        socket.set_tcp_nodelay(true)?;
        if let Some(bytes) = buffer {
            // Before it connects: the window that is offered then is as large as it ever gets.
            socket.set_recv_buffer_size(bytes)?;
        }
        if let Some(source) = source_address(self.address, source) {
            share_ports(&socket)?;
            socket.bind(&source.into())?;
        }
        match socket.connect(&self.address.into()) {
            Err(error) if error.raw_os_error() != Some(libc::EINPROGRESS) => return Err(error),
            _ => {}
        }
        Ok(TcpStream::from_std(socket.into()))
    }

    fn read<C: Clients>(&mut self, client: u32, closed: bool, crowd: &mut C) {
        for _ in 0..READS {
            let room = crowd.room(client, self.now()).min(self.buffer.len());
            let Some(stream) = &mut self.peers[client as usize] else {
                return;
            };
            if room == 0 {
                return;
            }
            match stream.read(&mut self.buffer[..room]) {
                Ok(0) => {
                    let now = self.now();
                    return crowd.ended(client, now);
                }
                Ok(count) => {
                    let now = Moment(self.started.elapsed().as_nanos() as u64);
                    crowd.received(client, &self.buffer[..count], now);
                    self.taken += count;
                    // Less than there was room for is all there is, and more of it brings an
                    // event; but that the server has closed its side is told once.
                    if count < room && !closed {
                        return;
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return self.failed(client, error, crowd),
            }
        }
        self.unread.push((client, closed));
    }

    fn write<C: Clients>(&mut self, client: u32, crowd: &mut C) {
        while let Some(stream) = &mut self.peers[client as usize] {
            let mut pieces = [IoSlice::new(&[]); WRITE_PIECES];
            let count = crowd.slices(client, &mut pieces);
            if count == 0 {
                return;
            }
            match stream.write_vectored(&pieces[..count]) {
                Ok(taken) => crowd.wrote(client, taken),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return self.failed(client, error, crowd),
            }
        }
    }

    /// Reading or writing did not go. Whichever asks first is told what became of `connect`.
    fn failed<C: Clients>(&self, client: u32, error: io::Error, crowd: &mut C) {
        use io::ErrorKind::{BrokenPipe, ConnectionReset, NotConnected, WouldBlock};
        match error.kind() {
            // Not connected yet, or nothing to read, or no room: an edge will follow.
            WouldBlock | NotConnected => {}
            // There may be something to read yet, and the end follows it.
            BrokenPipe => {}
            ConnectionReset => crowd.ended(client, self.now()),
            _ => crowd.unreachable(client, error, self.now()),
        }
    }
}

/// `127.0.0.1` has some 28,000 ports to one server; `127.0.0.2` has as many again. The first is
/// not bound at all, and from outside this machine there is no other.
fn source_address(server: SocketAddr, source: u32) -> Option<SocketAddr> {
    match server.ip() {
        IpAddr::V4(ip) if ip.is_loopback() && source > 0 => {
            let ip = u32::from(Ipv4Addr::LOCALHOST) + source % 0xff_fffe;
            Some(SocketAddr::from((Ipv4Addr::from(ip), 0)))
        }
        _ => None,
    }
}

/// Lets the kernel choose the port when it knows where the connection goes, so that a port counts
/// as taken for that address only (`ip(7)`).
fn share_ports(socket: &Socket) -> io::Result<()> {
    let on: libc::c_int = 1;
    // The value is an int that lives until the call returns, and its size is given.
    let done = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            libc::IPPROTO_IP,
            libc::IP_BIND_ADDRESS_NO_PORT,
            (&raw const on).cast(),
            size_of::<libc::c_int>() as libc::socklen_t,
        )
    };
    match done {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

/// A timer that wakes the poller to the microsecond; a poller's own timeout counts milliseconds,
/// and each message would be late by up to one.
#[derive(Debug)]
struct Timer(OwnedFd);

impl Timer {
    fn new() -> io::Result<Self> {
        let flags = libc::TFD_NONBLOCK | libc::TFD_CLOEXEC;
        // Gives a descriptor that nobody else has, or -1.
        let fd = unsafe { libc::timerfd_create(libc::CLOCK_MONOTONIC, flags) };
        match fd {
            -1 => Err(io::Error::last_os_error()),
            fd => Ok(Self(unsafe { OwnedFd::from_raw_fd(fd) })),
        }
    }

    /// Arms it anew, which also takes back what was not read of the time before.
    fn set(&self, wait: Duration) -> io::Result<()> {
        // Zero would disarm it.
        let wait = wait.clamp(Duration::from_nanos(1), Duration::from_secs(3600));
        let mut spec: libc::itimerspec = unsafe { std::mem::zeroed() };
        spec.it_value.tv_sec = wait.as_secs() as libc::time_t;
        spec.it_value.tv_nsec = wait.subsec_nanos().into();
        // Both pointers are of structs that live until the call returns, or null.
        let fd = self.0.as_raw_fd();
        match unsafe { libc::timerfd_settime(fd, 0, &raw const spec, std::ptr::null_mut()) } {
            0 => Ok(()),
            _ => Err(io::Error::last_os_error()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn other_source_addresses_are_for_this_machine_only() {
        let check = |server: &str, source, expected: Option<&str>| {
            let found = source_address(server.parse().unwrap(), source);
            assert_eq!(found, expected.map(|text| text.parse().unwrap()));
        };
        check("127.0.0.1:9091", 0, None);
        check("127.0.0.1:9091", 1, Some("127.0.0.2:0"));
        check("127.0.0.1:9091", 255, Some("127.0.1.0:0"));
        check("192.0.2.1:9091", 1, None);
        check("[::1]:9091", 1, None);
    }

    #[test]
    fn the_second_source_address_is_the_one_that_the_server_sees() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let engine = Engine::new(listener.local_addr().unwrap(), 1).unwrap();
        for (source, expected) in [(0, [127, 0, 0, 1]), (1, [127, 0, 0, 2])] {
            let _stream = engine.open(source, None).unwrap();
            let (_, seen) = listener.accept().unwrap();
            assert_eq!(seen.ip(), IpAddr::from(expected));
        }
    }
}
