//! The listening socket, and how new connections are taken from it.
//!
//! Floor 3. Accepting has a budget per tick, so that a storm of newcomers does not starve those who
//! are in; and it rests when the process has no file descriptor left, because an edge-triggered
//! listener gives no further event then, and retrying at once would burn a core (the fate of many an
//! event loop: EMFILE is reported, nothing is taken, the listener is still readable).

use std::io;
use std::net::{IpAddr, SocketAddr};

use mio::net::{TcpListener, TcpStream};
use mio::{Interest, Registry, Token};
use socket2::{Domain, Protocol, Socket, Type};

use crate::chat::bucket::Address;
use crate::clock::Moment;
use crate::limits::{ACCEPT_BUDGET, ACCEPT_RETRY, BACKLOG, KERNEL_UNSENT};

/// See the module.
#[derive(Debug)]
pub struct Listener {
    socket: Option<TcpListener>,
    /// The kernel may have more.
    pending: bool,
    /// Not before then.
    rest_until: Option<Moment>,
    /// How many this tick has taken.
    taken: usize,
    /// When the operator was told last that descriptors ran out.
    told: Option<Moment>,
}

/// What [`Listener::accept`] came to.
#[derive(Debug)]
pub enum Accepting {
    /// A connection, and where it comes from.
    One(TcpStream, Address),
    /// No more for now: none is waiting, or the budget of this tick is spent.
    Enough,
    /// The process has no file descriptor for it, or cannot accept at all; accepting rests.
    Exhausted,
}

impl Listener {
    /// Listens. Connections inherit `TCP_NODELAY` (what goes together was put together already) and
    /// [`KERNEL_UNSENT`].
    ///
    /// # Errors
    /// The address is taken, not ours, or not allowed.
    pub fn bind(address: SocketAddr) -> io::Result<Self> {
        let socket = Socket::new(
            Domain::for_address(address),
            Type::STREAM,
            Some(Protocol::TCP),
        )?;
        socket.set_nonblocking(true)?;
        // A restart must not wait for connections in TIME_WAIT.
        socket.set_reuse_address(true)?;
        socket.set_tcp_nodelay(true)?;
        bound_unsent(&socket)?;
        socket.bind(&address.into())?;
        socket.listen(BACKLOG)?;
        Ok(Self {
            socket: Some(TcpListener::from_std(socket.into())),
            pending: true,
            rest_until: None,
            taken: 0,
            told: None,
        })
    }

    /// Where it listens, also when port 0 was asked for.
    ///
    /// # Errors
    /// It is closed.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.socket
            .as_ref()
            .ok_or(io::ErrorKind::NotConnected)?
            .local_addr()
    }

    pub(super) fn register(&mut self, registry: &Registry, token: Token) -> io::Result<()> {
        match &mut self.socket {
            Some(socket) => registry.register(socket, token, Interest::READABLE),
            None => Ok(()),
        }
    }

    /// The kernel says that somebody waits.
    pub(super) const fn ready(&mut self) {
        self.pending = true;
    }

    /// Takes one connection, if one is waiting and this tick may.
    pub(super) fn accept(&mut self, now: Moment) -> Accepting {
        let Some(socket) = &self.socket else {
            return Accepting::Enough;
        };
        let resting = self.rest_until.is_some_and(|until| until > now);
        if !self.pending || resting || self.taken >= ACCEPT_BUDGET {
            return Accepting::Enough;
        }
        self.rest_until = None;
        match socket.accept() {
            Ok((stream, from)) => {
                self.taken += 1;
                Accepting::One(stream, address(from.ip()))
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                self.pending = false;
                Accepting::Enough
            }
            Err(error) => self.failed(&error, now),
        }
    }

    /// Somebody has left, so there is a file for the next one. Without this a queue of connections
    /// whose peers had given up was worked off by as many as fit in between two rests: 2,000 of
    /// them, 100 at a time, kept newcomers waiting for 5 s.
    pub(super) const fn relieved(&mut self) {
        self.rest_until = None;
    }

    /// The tick is over; the next one has its own budget.
    pub(super) const fn turn_over(&mut self) {
        self.taken = 0;
    }

    /// When to come back though the kernel says nothing.
    pub(super) fn poll_timeout(&self, now: Moment, room: bool) -> Option<Moment> {
        if self.socket.is_none() || !self.pending || !room {
            // Where there is no room, somebody has to leave first, and that is an event.
            return None;
        }
        Some(self.rest_until.unwrap_or(now))
    }

    /// Lets nobody in any more. Who is in the kernel's queue is refused by it.
    pub(super) fn close(&mut self, registry: &Registry) {
        if let Some(mut socket) = self.socket.take() {
            // An error means that it was not polled, which is what is wanted.
            let _ = registry.deregister(&mut socket);
        }
    }

    fn failed(&mut self, error: &io::Error, now: Moment) -> Accepting {
        let gave_up = [io::ErrorKind::ConnectionAborted, io::ErrorKind::Interrupted];
        if gave_up.contains(&error.kind()) {
            // The peer did, while it was waiting: its affair, and the next one may be there.
            return Accepting::Enough;
        }
        // No file or no memory, or something that nobody has thought of: trying again at once would
        // burn the core for as long as it lasts.
        self.rest_until = Some(now.after(ACCEPT_RETRY));
        if self.told.is_none_or(|told| now.since(told).as_secs() >= 10) {
            self.told = Some(now);
            let raise = match error.raw_os_error() {
                Some(libc::EMFILE | libc::ENFILE) => "; raise the limit of open files",
                _ => "",
            };
            log::warn!("new connections have to wait: {error}{raise}");
        }
        Accepting::Exhausted
    }
}

/// Linux alone is asked for it; elsewhere the kernel takes what it takes.
#[cfg(target_os = "linux")]
fn bound_unsent(socket: &Socket) -> io::Result<()> {
    use std::os::fd::AsRawFd;

    let (value, size) = (KERNEL_UNSENT, size_of::<libc::c_int>() as libc::socklen_t);
    // The call reads `size` bytes of a number that lives until it returns.
    let done = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            libc::IPPROTO_TCP,
            libc::TCP_NOTSENT_LOWAT,
            (&raw const value).cast(),
            size,
        )
    };
    if done == 0 {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}

#[cfg(not(target_os = "linux"))]
fn bound_unsent(_: &Socket) -> io::Result<()> {
    Ok(())
}

/// An address as 16 bytes, IPv4 mapped into IPv6.
fn address(ip: IpAddr) -> Address {
    match ip {
        IpAddr::V4(v4) => v4.to_ipv6_mapped().octets(),
        IpAddr::V6(v6) => v6.octets(),
    }
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, TcpStream};

    use super::*;

    #[test]
    fn accepting_rests_when_there_is_no_file_until_somebody_leaves() {
        let mut listener = Listener::bind((Ipv4Addr::LOCALHOST, 0).into()).unwrap();
        let _peer = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let now = Moment(0);
        let out_of_files = io::Error::from_raw_os_error(libc::EMFILE);
        let answer = listener.failed(&out_of_files, now);
        assert!(matches!(answer, Accepting::Exhausted));
        assert!(matches!(listener.accept(now), Accepting::Enough));
        let retry = now.after(ACCEPT_RETRY);
        assert_eq!(listener.poll_timeout(now, true), Some(retry));
        listener.relieved();
        assert_eq!(listener.poll_timeout(now, true), Some(now));
        assert!(matches!(listener.accept(now), Accepting::One(..)));
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn the_kernel_takes_little_of_what_a_peer_does_not_read() {
        use std::io::Write;

        let mut listener = Listener::bind((Ipv4Addr::LOCALHOST, 0).into()).unwrap();
        let peer = Socket::new(Domain::IPV4, Type::STREAM, Some(Protocol::TCP)).unwrap();
        peer.set_recv_buffer_size(32 * 1024).unwrap();
        peer.connect(&listener.local_addr().unwrap().into())
            .unwrap();
        let Accepting::One(mut stream, _) = listener.accept(Moment(0)) else {
            panic!("nobody was accepted");
        };
        let mut taken = 0;
        while let Ok(count) = stream.write(&[0; 16 * 1024]) {
            taken += count;
        }
        // Besides it there is what was sent and stands in the peer's own buffer.
        assert!(taken < KERNEL_UNSENT as usize + 256 * 1024, "{taken}");
    }
}
