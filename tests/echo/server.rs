//! A WebSocket echo server over Kith's connection layer, for the Autobahn test suite.
//!
//! The smallest loop that obeys the rules of `conn`: it owns sockets, reads the clock once per
//! turn, and does for each connection what the layer asks for. Whoever wants to see that layer used
//! without a chat server around it can start here. Not a server to run: it accepts without a bound,
//! and reads one peer until it is dry while the others wait.

use std::error::Error;
use std::io::{self, IoSlice, Read, Write};
use std::net::{Shutdown, SocketAddr};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use clap::Parser;
use http::StatusCode;
use kith::chat::closing::CloseCode;
use kith::clock::{Moment, Now, UnixMillis, nanos};
use kith::conn::frame::{Encoder, Kind};
use kith::conn::{Conn, ConnConfig, Event, OriginPolicy, Push, Response, Shared, Verdict};
use kith::limits::{EVENTS, READ_BUFFER, WRITE_PIECES};
use mio::net::{TcpListener, TcpStream};
use mio::{Events, Interest, Poll, Token};
use slab::Slab;

const LISTENER: Token = Token(usize::MAX);

/// Sends every message back.
#[derive(Parser)]
struct Args {
    /// Where to listen; port 0 takes a free one.
    #[arg(long, default_value = "127.0.0.1:0")]
    listen: SocketAddr,
    /// The largest message, in bytes.
    #[arg(long, default_value_t = 16 * 1024 * 1024)]
    message: usize,
    /// Frames of one message.
    #[arg(long, default_value_t = 1024 * 1024)]
    fragments: u32,
    /// What may wait for one peer, in bytes.
    #[arg(long, default_value_t = 64 * 1024 * 1024)]
    outbox: usize,
}

struct Peer {
    socket: TcpStream,
    conn: Conn,
    /// Whether the socket may have something to read: edges are told once.
    readable: bool,
}

struct Echo {
    poll: Poll,
    listener: TcpListener,
    peers: Slab<Peer>,
    shared: Shared,
    encoder: Encoder,
    buffer: Vec<u8>,
    started: Instant,
}

fn main() -> Result<(), Box<dyn Error>> {
    let args = Args::parse();
    let mut echo = Echo::bind(&args)?;
    println!("listening on {}", echo.listener.local_addr()?);
    let mut events = Events::with_capacity(EVENTS);
    loop {
        echo.turn(&mut events)?;
    }
}

impl Echo {
    fn bind(args: &Args) -> io::Result<Self> {
        let poll = Poll::new()?;
        let mut listener = TcpListener::bind(args.listen)?;
        poll.registry()
            .register(&mut listener, LISTENER, Interest::READABLE)?;
        Ok(Self {
            poll,
            listener,
            peers: Slab::new(),
            shared: Shared::new(ConnConfig {
                message_bytes: args.message,
                fragments: args.fragments,
                outbox_soft: args.outbox / 2,
                outbox_hard: args.outbox,
                origins: OriginPolicy::Any,
                ..ConnConfig::default()
            }),
            encoder: Encoder::default(),
            buffer: vec![0; READ_BUFFER],
            started: Instant::now(),
        })
    }

    fn turn(&mut self, events: &mut Events) -> io::Result<()> {
        // Deadlines are looked at once a second, all of them: there are few connections here.
        match self.poll.poll(events, Some(Duration::from_secs(1))) {
            Err(error) if error.kind() != io::ErrorKind::Interrupted => return Err(error),
            _ => {}
        }
        let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH);
        let now = Now {
            mono: Moment(nanos(self.started.elapsed())),
            wall: UnixMillis(since_1970.map_or(0, |time| time.as_millis() as i64)),
        };
        for event in events.iter() {
            if event.token() == LISTENER {
                self.accept(now)?;
            } else if let Some(peer) = self.peers.get_mut(event.token().0) {
                peer.readable |= event.is_readable() || event.is_read_closed();
                self.serve(event.token().0, now);
            }
        }
        let is_due = |peer: &Peer| peer.conn.deadline().is_some_and(|at| at <= now.mono);
        let due: Vec<usize> = self
            .peers
            .iter()
            .filter_map(|(key, peer)| is_due(peer).then_some(key))
            .collect();
        for key in due {
            let _ = self.peers[key].conn.handle_deadline(&mut self.shared, now);
            self.serve(key, now);
        }
        Ok(())
    }

    fn accept(&mut self, now: Now) -> io::Result<()> {
        loop {
            let mut socket = match self.listener.accept() {
                Ok((socket, _)) => socket,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error),
            };
            socket.set_nodelay(true)?;
            let entry = self.peers.vacant_entry();
            let interest = Interest::READABLE | Interest::WRITABLE;
            self.poll
                .registry()
                .register(&mut socket, Token(entry.key()), interest)?;
            entry.insert(Peer {
                socket,
                conn: Conn::new(now),
                readable: true,
            });
        }
    }

    /// Reads, echoes and writes until the socket or the peer has to be waited for.
    fn serve(&mut self, key: usize, now: Now) {
        let Some(peer) = self.peers.get_mut(key) else {
            return;
        };
        loop {
            let input = peer.read(&mut self.buffer, &mut self.shared);
            let idle = input.is_empty() && !peer.conn.wants_poll(&self.shared);
            peer.echo(input, &mut self.encoder, &mut self.shared, now);
            peer.write(&mut self.shared, now);
            if idle {
                break;
            }
        }
        if peer.conn.verdict() == Verdict::Shutdown {
            // If that fails, the peer is gone, and reading will tell.
            let _ = peer.socket.shutdown(Shutdown::Write);
            peer.conn.handle_shutdown();
        }
        if peer.conn.verdict() == Verdict::Drop {
            self.peers.remove(key);
        }
    }
}

impl Peer {
    fn read<'a>(&mut self, buffer: &'a mut [u8], shared: &mut Shared) -> &'a [u8] {
        if !self.readable || !self.conn.wants_input() {
            return &[];
        }
        let read = loop {
            match self.socket.read(buffer) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                read => break read,
            }
        };
        match read {
            Ok(0) => {
                self.readable = false;
                self.conn.handle_eof();
                &[]
            }
            Ok(count) => &buffer[..count],
            Err(error) => {
                self.readable = false;
                if error.kind() != io::ErrorKind::WouldBlock {
                    self.conn.handle_failure(shared);
                }
                &[]
            }
        }
    }

    fn echo(&mut self, mut input: &[u8], encoder: &mut Encoder, shared: &mut Shared, now: Now) {
        while let Some(event) = self.conn.poll_event(&mut input, shared, now) {
            let frame = match &event {
                Event::Upgrade(_) => {
                    self.conn.accept(None, shared, now);
                    self.conn.signed_in();
                    continue;
                }
                Event::Request(_) => {
                    let response = Response::error(StatusCode::NOT_FOUND, "a WebSocket is here");
                    self.conn.respond(&response, shared, now);
                    continue;
                }
                Event::Text(text) => {
                    encoder.encode(Kind::Text, |out| out.extend_from_slice(text.as_bytes()))
                }
                Event::Binary(bytes) => {
                    encoder.encode(Kind::Binary, |out| out.extend_from_slice(bytes))
                }
                Event::Pong(_) | Event::Closed(_) => continue,
            };
            if self.conn.push(&frame, shared) == Push::Full {
                self.conn.close(CloseCode::Slow, shared, now);
            }
        }
        self.conn.hold(input);
    }

    fn write(&mut self, shared: &mut Shared, now: Now) {
        while !self.conn.outbox().is_empty() {
            let mut pieces = [IoSlice::new(&[]); WRITE_PIECES];
            let count = self.conn.slices(shared, &mut pieces);
            match self.socket.write_vectored(&pieces[..count]) {
                Ok(taken) => self.conn.wrote(taken, shared, now),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    self.conn.wrote(0, shared, now);
                    return;
                }
                Err(_) => self.conn.handle_failure(shared),
            }
        }
    }
}
