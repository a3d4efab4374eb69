//! One accepted connection: a socket, its protocol state, and what the loop remembers of it.
//!
//! Floor 3. Sockets are registered once, for both edges, so what the kernel said is kept here as a
//! word until it has been used up; there is no registering anew. What a peer is waiting for is in the
//! exchange's lists, at most once each; the flags here are what keeps it from being there twice.

use std::io::{self, IoSlice, Read, Write};

use crate::chat::bucket::Address;
use crate::clock::{Moment, Now};
use crate::conn::{Conn, Shared};
use crate::limits::{FLUSH_UNIT, WRITE_PIECES};
use crate::wire::Format;

/// What the exchange needs of a socket: one that never blocks.
pub trait Socket: Read + Write {
    /// Ends our direction (FIN), so that the peer reads everything before it reads the end.
    ///
    /// # Errors
    /// The peer is gone already; nobody needs to do anything about it.
    fn shut_down(&mut self) -> io::Result<()>;
}

impl Socket for mio::net::TcpStream {
    fn shut_down(&mut self) -> io::Result<()> {
        self.shutdown(std::net::Shutdown::Write)
    }
}

/// See the module.
#[derive(Debug)]
pub struct Peer<S> {
    /// The socket; nothing but this file and the exchange's phases touch it.
    pub socket: S,
    /// Bytes to events, frames to bytes.
    pub conn: Conn,
    /// Never reused; see [`crate::ids::ConnId`].
    pub serial: u32,
    /// When the wheel will bring this peer up, if it is in there.
    pub armed: Option<Moment>,
    /// Where it comes from.
    pub address: Address,
    /// How its messages are written.
    pub format: Format,
    /// What it is, what it waits for, what is known of its socket.
    pub flags: Flags,
}

/// The little facts about a peer.
#[derive(Clone, Copy, Debug, Default)]
pub struct Flags {
    /// There may be something to read.
    pub readable: bool,
    /// The kernel said that the peer's direction has ended: read to the end, no edge will come again.
    pub read_closed: bool,
    /// The kernel may take something.
    pub writable: bool,
    /// In the list of those to be read.
    pub in_ready: bool,
    /// In one of the lists of those to be flushed.
    pub dirty: Dirty,
    /// The hub wants no more of its commands for now.
    pub paused: bool,
    /// The hub waits for its outbox.
    pub awaited: bool,
    /// The hub will be told that it lags.
    pub lagging: bool,
    /// The format was settled, by a subprotocol or a binary frame.
    pub settled: bool,
    /// The upgrade was granted; the hub knows it.
    pub upgraded: bool,
    /// To be reaped at the end of this tick; nothing reaches it any more.
    pub doomed: bool,
}

/// Where a peer waits to be flushed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Dirty {
    /// Nowhere.
    #[default]
    No,
    /// Behind everything else: a share of a big fan-out.
    Bulk,
    /// First: an answer, or something for a few.
    Urgent,
}

/// What a read came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Took {
    /// So many bytes; whether there may be more is in the flags.
    Bytes(usize),
    /// Nothing for now.
    Nothing,
    /// The peer sends no more.
    End,
    /// The connection is gone.
    Broken,
}

/// What a flush came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wrote {
    /// Everything, or as much as the kernel took.
    Cost {
        /// In units of one small write.
        units: usize,
        /// Bytes that the kernel took.
        bytes: usize,
        /// Calls.
        writes: usize,
    },
    /// The connection is gone.
    Broken,
}

impl<S: Socket> Peer<S> {
    /// A peer whose socket was just accepted: it may be written, and perhaps has sent something.
    pub fn new(socket: S, conn: Conn, serial: u32, address: Address) -> Self {
        let flags = Flags {
            writable: true,
            ..Flags::default()
        };
        Self {
            socket,
            conn,
            serial,
            armed: None,
            address,
            format: Format::default(),
            flags,
        }
    }

    /// Reads once into `buffer`.
    ///
    /// A read that does not fill the buffer has drained the socket: with edge-triggered epoll the
    /// next segment is a new edge, and asking for the `WouldBlock` would cost a system call per
    /// message. The exception is a peer that closed its direction, whose last edge that was.
    pub fn read(&mut self, buffer: &mut [u8]) -> Took {
        match self.socket.read(buffer) {
            Ok(0) => {
                self.flags.readable = false;
                Took::End
            }
            Ok(count) => {
                self.flags.readable = count == buffer.len() || self.flags.read_closed;
                Took::Bytes(count)
            }
            Err(error) => match error.kind() {
                io::ErrorKind::WouldBlock => {
                    self.flags.readable = false;
                    Took::Nothing
                }
                io::ErrorKind::Interrupted => Took::Nothing,
                _ => Took::Broken,
            },
        }
    }

    /// Writes what is queued, until the kernel takes no more or it has cost about `budget`.
    pub fn flush(&mut self, budget: usize, shared: &mut Shared, now: Now) -> Wrote {
        let (mut units, mut bytes, mut writes) = (0, 0, 0);
        while self.flags.writable && units < budget && !self.conn.outbox().is_empty() {
            let (offered, taken) = match self.conn.whole(shared) {
                Some(bytes) => (bytes.len(), self.socket.write(bytes)),
                None => write_pieces(&mut self.socket, &self.conn, shared),
            };
            writes += 1;
            match taken {
                Ok(0) => return Wrote::Broken,
                Ok(count) => {
                    // A partial write means a full send buffer; the next edge says that there is
                    // room again.
                    self.flags.writable = count == offered;
                    self.conn.wrote(count, shared, now);
                    units += 1 + count / FLUSH_UNIT;
                    bytes += count;
                }
                Err(error) => match error.kind() {
                    io::ErrorKind::WouldBlock => {
                        self.flags.writable = false;
                        self.conn.wrote(0, shared, now);
                    }
                    io::ErrorKind::Interrupted => units += 1,
                    _ => return Wrote::Broken,
                },
            }
        }
        Wrote::Cost {
            units,
            bytes,
            writes,
        }
    }
}

/// Offers the first pieces; how many bytes that were, and what the socket said.
fn write_pieces<S: Socket>(
    socket: &mut S,
    conn: &Conn,
    shared: &Shared,
) -> (usize, io::Result<usize>) {
    let mut slices = [IoSlice::new(&[]); WRITE_PIECES];
    let pieces = conn.slices(shared, &mut slices);
    let offered = slices[..pieces].iter().map(|slice| slice.len()).sum();
    (offered, socket.write_vectored(&slices[..pieces]))
}
