//! Sockets without a kernel: bytes arrive in whatever pieces the world hands on, a write takes
//! whatever there is room for, and a connection can stall, break, or go dark without a word.
//!
//! What a kernel promises is kept: order, and the edges of edge-triggered polling. A read that
//! does not fill the buffer has drained the socket, and whoever was refused room is told when there
//! is some.

use std::io::{self, IoSlice, Read, Write};
use std::sync::{Arc, Mutex, MutexGuard};

use kith::event_loop::{Readiness, Socket};

/// One connection, held by both ends.
#[derive(Clone, Debug)]
pub struct Link(Arc<Mutex<Wire>>);

/// The state of the wire between a client and the server.
#[derive(Debug, Default)]
pub struct Wire {
    /// Sent by the client, not yet with the server's kernel.
    up: Stream,
    /// With the server's kernel, to be read.
    arrived: Stream,
    /// Taken from the server, to be read by the client.
    down: Stream,
    /// How much `down` may hold.
    pub window: usize,
    /// The most that one write takes now; an edge follows.
    pub sip: Option<usize>,
    /// The next call on the server's side is interrupted by a signal.
    pub interrupt: bool,
    /// The client has ended its direction: read as an end, once everything before it was read.
    client_ended: bool,
    /// The end has arrived.
    end_arrived: bool,
    /// The client is gone for good: whatever the server does fails.
    broken: bool,
    /// The server has ended its direction.
    server_ended: bool,
    /// The server has dropped the socket.
    server_gone: bool,
    /// The server was refused room, and waits to be told.
    blocked: bool,
    /// Nothing passes any more, and nobody is told.
    dark: bool,
    /// Under which the server wants to be told of readiness.
    index: Option<usize>,
}

/// Bytes on their way. A `VecDeque<u8>` moves them one by one, which shows where nothing is
/// optimised.
#[derive(Debug, Default)]
struct Stream {
    bytes: Vec<u8>,
    from: usize,
}

impl Stream {
    const fn len(&self) -> usize {
        self.bytes.len() - self.from
    }

    const fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn clear(&mut self) {
        *self = Self::default();
    }

    fn push(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    /// The first bytes, at most so many.
    fn take(&mut self, most: usize) -> Vec<u8> {
        let end = self.from + most.min(self.len());
        let piece = self.bytes[self.from..end].to_vec();
        self.from = end;
        if self.is_empty() {
            self.clear();
        }
        piece
    }
}

/// What a client can read.
#[derive(Debug, PartialEq, Eq)]
pub enum Heard {
    Bytes(Vec<u8>),
    Nothing,
    End,
}

impl Link {
    pub fn new(window: usize) -> Self {
        Self(Arc::new(Mutex::new(Wire {
            window,
            ..Wire::default()
        })))
    }

    /// The client sends.
    pub fn send(&self, bytes: &[u8]) {
        self.wire().up.push(bytes);
    }

    pub fn wire(&self) -> MutexGuard<'_, Wire> {
        self.0.lock().expect("one thread")
    }

    /// The server's end, which will be told of under `index`.
    pub fn accept(&self, index: usize) -> SimSocket {
        self.wire().index = Some(index);
        SimSocket(self.clone())
    }

    /// Hands up to `count` bytes on to the server, and the end if that is all there is; returns
    /// what its poller says.
    pub fn rise(&self, count: usize) -> Option<(usize, Readiness)> {
        let mut wire = self.wire();
        if wire.dark || wire.server_gone {
            return None;
        }
        let index = wire.index?;
        let piece = wire.up.take(count);
        wire.arrived.push(&piece);
        let ends = wire.client_ended && wire.up.is_empty() && !wire.end_arrived;
        wire.end_arrived |= ends;
        let readiness = Readiness {
            readable: !piece.is_empty() || ends,
            writable: false,
            read_closed: ends || wire.broken,
        };
        (readiness != Readiness::default()).then_some((index, readiness))
    }

    /// Lets the client read up to `count` bytes; the server may have room afterwards.
    pub fn fall(&self, count: usize) -> (Heard, Option<(usize, Readiness)>) {
        let mut wire = self.wire();
        if wire.dark {
            return (Heard::Nothing, None);
        }
        let piece = wire.down.take(count);
        if piece.is_empty() {
            let over = wire.server_ended || wire.server_gone;
            return (if over { Heard::End } else { Heard::Nothing }, None);
        }
        let told = (wire.blocked && !wire.server_gone).then(|| {
            wire.blocked = false;
            Readiness {
                writable: true,
                ..Readiness::default()
            }
        });
        (Heard::Bytes(piece), wire.index.zip(told))
    }

    /// The client ends its direction, as a program does that closes its socket.
    pub fn end(&self) {
        self.wire().client_ended = true;
    }

    /// The client's host resets the connection; returns what the server's poller says.
    pub fn reset(&self) -> Option<(usize, Readiness)> {
        let mut wire = self.wire();
        wire.broken = true;
        wire.up.clear();
        let told = !wire.dark && !wire.server_gone;
        let readiness = Readiness {
            readable: true,
            writable: true,
            read_closed: true,
        };
        wire.index.filter(|_| told).map(|index| (index, readiness))
    }

    /// The cable is pulled: neither end will ever hear of the other again.
    pub fn darken(&self) {
        self.wire().dark = true;
    }

    /// The server's process is gone. What its kernel had taken is still delivered, or is not.
    pub fn orphan(&self, delivered: bool) {
        let mut wire = self.wire();
        wire.server_gone = true;
        if !delivered {
            wire.down.clear();
        }
    }

    /// Whether the server holds its end no more.
    pub fn is_orphan(&self) -> bool {
        self.wire().server_gone
    }
}

/// The server's end of a [`Link`].
#[derive(Debug)]
pub struct SimSocket(Link);

impl Read for SimSocket {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut wire = self.0.wire();
        if std::mem::take(&mut wire.interrupt) {
            return Err(io::ErrorKind::Interrupted.into());
        }
        if wire.broken {
            return Err(io::ErrorKind::ConnectionReset.into());
        }
        let piece = wire.arrived.take(buffer.len());
        if piece.is_empty() && !wire.end_arrived {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        buffer[..piece.len()].copy_from_slice(&piece);
        Ok(piece.len())
    }
}

impl Write for SimSocket {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.write_vectored(&[IoSlice::new(bytes)])
    }

    fn write_vectored(&mut self, pieces: &[IoSlice<'_>]) -> io::Result<usize> {
        let mut wire = self.0.wire();
        assert!(!wire.server_ended, "nothing is written after the end");
        if std::mem::take(&mut wire.interrupt) {
            return Err(io::ErrorKind::Interrupted.into());
        }
        if wire.broken {
            return Err(io::ErrorKind::BrokenPipe.into());
        }
        let offered: usize = pieces.iter().map(|piece| piece.len()).sum();
        let room = wire.window.saturating_sub(wire.down.len());
        let taken = offered.min(room).min(wire.sip.take().unwrap_or(room));
        wire.blocked |= taken < offered;
        if taken == 0 {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        let mut left = taken;
        for piece in pieces {
            let part = &piece[..left.min(piece.len())];
            wire.down.push(part);
            left -= part.len();
        }
        Ok(taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Socket for SimSocket {
    fn shut_down(&mut self) -> io::Result<()> {
        self.0.wire().server_ended = true;
        Ok(())
    }
}

impl Drop for SimSocket {
    fn drop(&mut self) {
        let mut wire = self.0.wire();
        wire.server_gone = true;
        // A kernel that closes a socket with something unread resets the connection, and the
        // peer's kernel may throw away what it had not read.
        if !wire.arrived.is_empty() {
            wire.down.clear();
        }
    }
}
