//! One socket of the floor: what came of it in part, and what it did not take yet.
//!
//! One that was only told its handshake's answer owns nothing on the heap. Knows nobody beside it.

use std::io::{self, Write};
use std::os::fd::AsRawFd;

use mio::net::TcpStream;

use super::frames::{self, Kind, Next};
use super::upgrade::{self, Request};
use crate::bounds::{FLOOR_KEPT, FLOOR_QUEUE};

/// One socket. See the module.
#[derive(Debug)]
pub struct Peer {
    /// Registered for both edges.
    pub stream: TcpStream,
    /// Where it is.
    pub place: Place,
    /// The last write took less than there was; an event will tell when there is room.
    pub blocked: bool,
    /// Whether it is on the list of those who have something of their own to be sent.
    dirty: bool,
    /// The beginning of a request or frame.
    part: Vec<u8>,
    /// What waits, from `sent` on.
    queue: Vec<u8>,
    sent: usize,
}

/// Where a socket is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// It has not asked for anything yet.
    Door,
    /// In the room, at this place of its list.
    Room(u32),
    /// By itself.
    Echo,
}

/// Whether a socket stays.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Stay {
    /// It does.
    Stays,
    /// It is to be dropped when the turn ends.
    Goes,
}

impl Peer {
    /// Accepted, and silent so far.
    pub const fn new(stream: TcpStream) -> Self {
        Self {
            stream,
            place: Place::Door,
            blocked: false,
            dirty: false,
            part: Vec::new(),
            queue: Vec::new(),
            sent: 0,
        }
    }

    /// Its file descriptor, which is its place in the table.
    pub fn fd(&self) -> u32 {
        self.stream.as_raw_fd() as u32
    }

    /// Takes what came: a request first, frames after it. What is for the room is appended to
    /// `said`, encoded; `room` is the place that this socket gets if it comes in now.
    pub fn take(&mut self, input: &[u8], said: &mut Vec<u8>, room: u32) -> Stay {
        if self.part.is_empty() {
            let (stay, taken) = self.consume(input, said, room);
            self.part.extend_from_slice(&input[taken..]);
            return stay;
        }
        let mut part = std::mem::take(&mut self.part);
        part.extend_from_slice(input);
        let (stay, taken) = self.consume(&part, said, room);
        if taken < part.len() {
            part.drain(..taken);
            self.part = part;
        }
        stay
    }

    /// Sends the room's bytes behind what waits; what is not taken waits.
    pub fn deliver(&mut self, said: &[u8]) -> Stay {
        if !self.queue.is_empty() || self.blocked {
            if self.queue.len() - self.sent + said.len() > FLOOR_QUEUE {
                return Stay::Goes;
            }
            self.queue.extend_from_slice(said);
            return self.flush();
        }
        match self.stream.write(said) {
            Ok(taken) if taken == said.len() => Stay::Stays,
            Ok(taken) => self.wait(&said[taken..]),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => self.wait(said),
            Err(_) => Stay::Goes,
        }
    }

    /// Sends what waits.
    pub fn flush(&mut self) -> Stay {
        self.dirty = false;
        if self.blocked || self.queue.is_empty() {
            return Stay::Stays;
        }
        match self.stream.write(&self.queue[self.sent..]) {
            Ok(taken) => self.sent += taken,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(_) => return Stay::Goes,
        }
        if self.sent < self.queue.len() {
            self.blocked = true;
            // What was sent is moved over once it is the larger part, so that each byte is moved
            // once at most.
            if self.sent > self.queue.len() / 2 {
                self.queue.drain(..self.sent);
                self.sent = 0;
            }
            return Stay::Stays;
        }
        self.sent = 0;
        self.queue.clear();
        if !FLOOR_KEPT.contains(&self.queue.capacity()) {
            self.queue = Vec::new();
        }
        Stay::Stays
    }

    /// Whether it has something to be sent and is not on the list yet; it is from now on.
    pub fn becomes_dirty(&mut self) -> bool {
        !self.queue.is_empty() && !std::mem::replace(&mut self.dirty, true)
    }

    fn wait(&mut self, rest: &[u8]) -> Stay {
        self.blocked = true;
        self.queue.extend_from_slice(rest);
        Stay::Stays
    }

    /// Goes through whole frames; says how many bytes they took.
    fn consume(&mut self, input: &[u8], said: &mut Vec<u8>, room: u32) -> (Stay, usize) {
        let mut taken = 0;
        if self.place == Place::Door {
            match upgrade::read(input) {
                Request::More => return (Stay::Stays, 0),
                Request::Refused(answer) => {
                    self.queue.extend_from_slice(answer.as_bytes());
                    return (Stay::Goes, input.len());
                }
                Request::Granted { answer, echo, len } => {
                    self.queue.extend_from_slice(answer.as_bytes());
                    self.place = if echo { Place::Echo } else { Place::Room(room) };
                    taken = len;
                }
            }
        }
        let said = match self.place {
            Place::Echo => None,
            _ => Some(said),
        };
        self.frames(input, taken, said)
    }

    fn frames(
        &mut self,
        input: &[u8],
        mut taken: usize,
        mut said: Option<&mut Vec<u8>>,
    ) -> (Stay, usize) {
        loop {
            match frames::next(&input[taken..]) {
                Next::Frame(frame, len) => {
                    taken += len;
                    match (frame.kind, &mut said) {
                        (Kind::Data, Some(said)) => frame.encode(said),
                        (Kind::Data | Kind::Ping, _) => frame.encode(&mut self.queue),
                        (Kind::Pong, _) => {}
                        (Kind::Close, _) => {
                            frame.encode(&mut self.queue);
                            return (Stay::Goes, input.len());
                        }
                    }
                }
                Next::More => break,
                Next::Wrong => return (Stay::Goes, input.len()),
            }
        }
        let stay = if self.queue.len() - self.sent > FLOOR_QUEUE {
            Stay::Goes
        } else {
            Stay::Stays
        };
        (stay, taken)
    }
}
