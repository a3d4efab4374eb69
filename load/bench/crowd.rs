//! Many clients in one process: some talk, all listen, and what they are owed is counted.

use std::fmt;
use std::io::{self, Read, Write};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use kith::wire::Format;
use mio::net::TcpStream;
use mio::{Events, Interest, Poll, Token};

use crate::client::{self, header_len};

/// Who is there, and what they do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Crowd {
    /// All of them, talkers included.
    pub listeners: usize,
    /// How many of them talk, in turn.
    pub talkers: usize,
    /// Talks per second of all together; 0 for as fast as answers come.
    pub per_second: u32,
    /// Of a talk.
    pub bytes: usize,
    /// Of all of them.
    pub format: Format,
    /// How long.
    pub seconds: u32,
}

/// What came of it.
#[derive(Clone, Copy, Debug)]
pub struct Counted {
    /// Entries that arrived, in all.
    pub heard: u64,
    /// Entries that should have: each talk at everybody else.
    pub owed: u64,
    /// Entries that the server said it would not bring: holes, where nothing is stored.
    pub holes: u64,
    /// From the first talk to the last entry.
    pub seconds: f64,
}

/// Talks of one talker that are on their way when it goes as fast as it can.
const AHEAD: usize = 8;
/// How long nothing may come before the end counts as the end.
const QUIET: Duration = Duration::from_secs(5);

struct Member {
    socket: TcpStream,
    /// The beginning of a frame whose rest has not come yet.
    part: Vec<u8>,
    /// Still to be sent.
    out: Vec<u8>,
    on_the_way: usize,
    welcomed: bool,
}

struct Room {
    members: Vec<Member>,
    poll: Poll,
    buffer: Vec<u8>,
    heard: u64,
    holes: u64,
    answered: u64,
    last: Instant,
}

impl Crowd {
    /// Comes in, talks, listens until everything that is owed has come, and goes.
    ///
    /// # Errors
    /// What the sockets say; the server ended a connection.
    pub fn run(&self, address: SocketAddr) -> io::Result<Counted> {
        let mut room = Room::enter(self, address)?;
        let talk = client::talk(self.format, self.bytes);
        let (heard, answered) = (room.heard, room.answered);
        let begun = Instant::now();
        let end = begun + Duration::from_secs(self.seconds.into());
        let mut events = Events::with_capacity(1024);
        let mut talks: u64 = 0;
        while Instant::now() < end {
            let due = match self.per_second {
                0 => u64::MAX,
                rate => (begun.elapsed().as_secs_f64() * f64::from(rate)) as u64,
            };
            for offset in 0..self.talkers {
                // In turn, so that at a fixed rate everybody talks as often.
                let who = (talks as usize + offset) % self.talkers;
                while talks < due && room.members[who].on_the_way < AHEAD {
                    room.members[who].say(&talk)?;
                    talks += 1;
                    if self.per_second > 0 {
                        break;
                    }
                }
            }
            room.turn(&mut events, Duration::from_millis(1))?;
        }
        let owed = talks * (self.listeners as u64 - 1);
        while (room.heard + room.holes - heard < owed || room.answered - answered < talks)
            && room.last.elapsed() < QUIET
        {
            room.turn(&mut events, Duration::from_millis(100))?;
        }
        Ok(Counted {
            heard: room.heard - heard,
            owed,
            holes: room.holes,
            seconds: (room.last - begun).as_secs_f64(),
        })
    }

    /// As [`fmt::Display`] writes it.
    pub fn parse(text: &str) -> Option<Self> {
        let mut numbers = text.split(',').map(|word| word.parse::<u32>().ok());
        let mut next = || numbers.next().flatten();
        Some(Self {
            listeners: next()? as usize,
            talkers: next()? as usize,
            per_second: next()?,
            bytes: next()? as usize,
            format: *Format::ALL.get(next()? as usize)?,
            seconds: next()?,
        })
    }
}

impl fmt::Display for Crowd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let format = self.format.index();
        write!(
            f,
            "{},{},{},{},{format},{}",
            self.listeners, self.talkers, self.per_second, self.bytes, self.seconds
        )
    }
}

impl Counted {
    /// As [`fmt::Display`] writes it.
    pub fn parse(text: &str) -> Option<Self> {
        let mut words = text.split(',');
        Some(Self {
            heard: words.next()?.parse().ok()?,
            owed: words.next()?.parse().ok()?,
            holes: words.next()?.parse().ok()?,
            seconds: words.next()?.parse().ok()?,
        })
    }
}

impl fmt::Display for Counted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            heard,
            owed,
            holes,
            seconds,
        } = self;
        write!(f, "{heard},{owed},{holes},{seconds}")
    }
}

impl Room {
    fn enter(crowd: &Crowd, address: SocketAddr) -> io::Result<Self> {
        let mut room = Self {
            members: Vec::new(),
            poll: Poll::new()?,
            buffer: vec![0; 256 * 1024],
            heard: 0,
            holes: 0,
            answered: 0,
            last: Instant::now(),
        };
        let mut events = Events::with_capacity(1024);
        for n in 0..crowd.listeners {
            let socket = std::net::TcpStream::connect(address)?;
            socket.set_nodelay(true)?;
            socket.set_nonblocking(true)?;
            let mut socket = TcpStream::from_std(socket);
            let interest = Interest::READABLE | Interest::WRITABLE;
            room.poll
                .registry()
                .register(&mut socket, Token(n), interest)?;
            let head = client::upgrade(crowd.format, &format!("member-{n:05}"));
            room.members.push(Member {
                socket,
                part: Vec::new(),
                out: Vec::new(),
                on_the_way: 0,
                welcomed: false,
            });
            room.members[n].send(head.as_bytes())?;
            room.turn(&mut events, Duration::ZERO)?;
        }
        while room.members.iter().any(|member| !member.welcomed) {
            room.turn(&mut events, Duration::from_millis(100))?;
        }
        Ok(room)
    }

    fn turn(&mut self, events: &mut Events, wait: Duration) -> io::Result<()> {
        self.poll.poll(events, Some(wait))?;
        for event in &*events {
            let Token(n) = event.token();
            self.members[n].send(&[])?;
            if event.is_readable() {
                self.read(n)?;
            }
        }
        Ok(())
    }

    fn read(&mut self, n: usize) -> io::Result<()> {
        let member = &mut self.members[n];
        loop {
            let known = member.part.len();
            self.buffer[..known].copy_from_slice(&member.part);
            let count = match member.socket.read(&mut self.buffer[known..]) {
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(count) => count,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error),
            };
            member.part.clear();
            let mut rest = &self.buffer[..known + count];
            while let Some((frame, after)) = split(rest, &mut member.welcomed) {
                match tag(frame) {
                    Tag::Entry => self.heard += 1,
                    Tag::Hole => self.holes += client::hole(frame).unwrap_or(0),
                    Tag::Talked => {
                        self.answered += 1;
                        member.on_the_way -= 1;
                    }
                    Tag::Other => {}
                }
                rest = after;
            }
            member.part.extend_from_slice(rest);
            self.last = Instant::now();
            if known + count < self.buffer.len() {
                return Ok(());
            }
        }
    }
}

impl Member {
    fn say(&mut self, talk: &[u8]) -> io::Result<()> {
        self.on_the_way += 1;
        self.send(talk)
    }

    fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.out.extend_from_slice(bytes);
        while !self.out.is_empty() {
            match self.socket.write(&self.out) {
                Ok(count) => drop(self.out.drain(..count)),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

/// What a frame is to those who count.
enum Tag {
    Entry,
    Hole,
    Talked,
    Other,
}

/// The first frame, and what follows it. The answer to the upgrade counts as a frame.
fn split<'a>(bytes: &'a [u8], welcomed: &mut bool) -> Option<(&'a [u8], &'a [u8])> {
    if !*welcomed {
        let end = bytes.windows(4).position(|four| four == b"\r\n\r\n")?;
        *welcomed = true;
        return Some(bytes.split_at(end + 4));
    }
    let second = *bytes.get(1)?;
    let header = header_len(second);
    let len = match bytes.get(2..header)? {
        [] => usize::from(second & 0x7f),
        long => long
            .iter()
            .fold(0, |len, byte| len << 8 | usize::from(*byte)),
    };
    (bytes.len() >= header + len).then(|| bytes.split_at(header + len))
}

/// By the first bytes of the payload: an entry begins with field 30, a hole with field 33, a
/// `talked` with the number of the talk and field 11; in JSON with their names.
fn tag(frame: &[u8]) -> Tag {
    let payload = frame
        .get(1)
        .and_then(|second| frame.get(header_len(*second)..))
        .unwrap_or_default();
    if payload.starts_with(&[0xf2, 0x01]) || payload.starts_with(b"{\"entry\"") {
        Tag::Entry
    } else if payload.starts_with(&[0x8a, 0x02]) {
        Tag::Hole
    } else if payload.starts_with(&[0x08, 0x01, 0x5a])
        || payload.starts_with(b"{\"id\":1,\"talked\"")
    {
        Tag::Talked
    } else {
        Tag::Other
    }
}
