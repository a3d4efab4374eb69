//! Plays a script against one connection, in memory, and compares what comes of it.
//!
//! A transcript has a line for each thing: `< ...` what the connection told (an event), `> ...`
//! what it wrote (an HTTP response or a frame), `= ...` what it wanted done with its socket. After
//! each step all events are taken, requests are answered, and everything is written.

#![allow(dead_code)] // Each test uses its own part.

use std::fmt::Write as _;
use std::io::IoSlice;
use std::time::Duration;

use kith::chat::closing::CloseCode;
use kith::clock::{Now, UnixMillis};
use kith::conn::frame::{Encoder, Kind};
use kith::conn::{Conn, ConnConfig, Due, Event, Push, Response, Shared, Verdict};
use kith::limits::WRITE_PIECES;

/// A handshake that is granted.
pub const UPGRADE: &str = "GET /ws HTTP/1.1\r\nHost: kith.example\r\nConnection: Upgrade\r\n\
    Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
    Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
/// An ordinary request.
pub const GET: &str = "GET / HTTP/1.1\r\nHost: kith.example\r\n\r\n";

/// What happens to the connection.
#[derive(Clone, Debug)]
pub enum Step {
    /// Bytes arrive in one piece.
    Send(Vec<u8>),
    /// The same, one byte at a time.
    Slowly(Vec<u8>),
    /// Time passes; every deadline on the way is handled.
    Wait(Duration),
    /// The peer closes its sending side.
    Eof,
    /// Somebody is named.
    SignIn,
    /// A text frame is pushed.
    Push(&'static str),
    /// We close.
    Close(CloseCode),
}

pub fn send(bytes: impl Into<Vec<u8>>) -> Step {
    Step::Send(bytes.into())
}

pub fn slowly(bytes: impl Into<Vec<u8>>) -> Step {
    Step::Slowly(bytes.into())
}

pub fn wait(secs: u64) -> Step {
    Step::Wait(Duration::from_secs(secs))
}

/// A masked frame of a client. `first` is FIN, the reserved bits and the opcode.
pub fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let mask = [0x37, 0xfa, 0x21, 0x3d];
    let mut bytes = vec![first];
    match payload.len() {
        len @ 0..=125 => bytes.push(0x80 | len as u8),
        len @ 126..=0xffff => {
            bytes.push(0x80 | 126);
            bytes.extend_from_slice(&(len as u16).to_be_bytes());
        }
        len => {
            bytes.push(0x80 | 127);
            bytes.extend_from_slice(&(len as u64).to_be_bytes());
        }
    }
    bytes.extend_from_slice(&mask);
    bytes.extend(payload.iter().zip(mask.iter().cycle()).map(|(b, m)| b ^ m));
    bytes
}

pub fn text(text: &str) -> Step {
    send(frame(0x81, text.as_bytes()))
}

pub fn ping(payload: &str) -> Step {
    send(frame(0x89, payload.as_bytes()))
}

pub fn close(code: u16) -> Step {
    send(frame(0x88, &code.to_be_bytes()))
}

/// Plays `script` with the default rules.
#[track_caller]
pub fn check(script: impl IntoIterator<Item = Step>, expected: &[&str]) {
    check_with(ConnConfig::default(), script, expected);
}

/// Plays `script` after a handshake and a sign-in, which are not in the transcript.
#[track_caller]
pub fn check_open(script: impl IntoIterator<Item = Step>, expected: &[&str]) {
    let mut player = Player::open(ConnConfig::default());
    script.into_iter().for_each(|step| player.play(step));
    assert_eq!(player.transcript, expected);
}

/// Plays `script` with other rules.
#[track_caller]
pub fn check_with(config: ConnConfig, script: impl IntoIterator<Item = Step>, expected: &[&str]) {
    let mut player = Player::new(config);
    script.into_iter().for_each(|step| player.play(step));
    assert_eq!(player.transcript, expected);
}

/// One connection and what a loop would do with it.
pub struct Player {
    pub conn: Conn,
    pub shared: Shared,
    pub now: Now,
    pub transcript: Vec<String>,
    /// Written, and not yet described in the transcript.
    pub written: Vec<u8>,
    upgraded: bool,
    verdict: Verdict,
}

impl Player {
    pub fn new(config: ConnConfig) -> Self {
        let now = Now {
            wall: UnixMillis(1_795_168_800_000),
            ..Now::default()
        };
        Self {
            conn: Conn::new(now),
            shared: Shared::new(config),
            now,
            transcript: Vec::new(),
            written: Vec::new(),
            upgraded: false,
            verdict: Verdict::Keep,
        }
    }

    /// A connection that is upgraded and signed in.
    pub fn open(config: ConnConfig) -> Self {
        let mut player = Self::new(config);
        player.play(send(UPGRADE));
        player.play(Step::SignIn);
        assert_eq!(player.transcript, ["< upgrade /ws", "> 101"]);
        player.transcript.clear();
        player
    }

    pub fn play(&mut self, step: Step) {
        match step {
            Step::Send(bytes) => self.feed(&bytes),
            Step::Slowly(bytes) => bytes.chunks(1).for_each(|byte| self.feed(byte)),
            Step::Wait(time) => self.wait(time),
            Step::Eof => self.conn.handle_eof(),
            Step::SignIn => self.conn.signed_in(),
            Step::Push(text) => {
                let mut encoder = Encoder::default();
                let frame = encoder.encode(Kind::Text, |out| out.extend(text.bytes()));
                match self.conn.push(&frame, &mut self.shared) {
                    Push::Queued => {}
                    push => self.transcript.push(format!("= {push:?}")),
                }
            }
            Step::Close(code) => self.conn.close(code, &mut self.shared, self.now),
        }
        self.feed(&[]);
        self.settle();
    }

    /// Hands in bytes and takes every event.
    pub fn feed(&mut self, mut input: &[u8]) {
        while let Some(event) = self.conn.poll_event(&mut input, &mut self.shared, self.now) {
            self.tell(event);
        }
        self.conn.hold(input);
        while self.conn.wants_poll(&self.shared) {
            match self
                .conn
                .poll_event(&mut &[][..], &mut self.shared, self.now)
            {
                Some(event) => self.tell(event),
                None => break,
            }
        }
    }

    /// Everything that waits, as if the peer had taken it.
    pub fn take_all(&mut self) -> Vec<u8> {
        while !self.conn.outbox().is_empty() {
            let taken = self.take(usize::MAX);
            assert!(taken > 0, "bytes wait and no piece shows them");
        }
        std::mem::take(&mut self.written)
    }

    /// What one `writev` does if the peer's kernel has room for `room` bytes; returns how many it
    /// took.
    pub fn take(&mut self, room: usize) -> usize {
        let mut pieces = [IoSlice::new(&[]); WRITE_PIECES];
        let count = self.conn.slices(&self.shared, &mut pieces);
        let mut left = room;
        for piece in &pieces[..count] {
            let part = &piece[..piece.len().min(left)];
            self.written.extend_from_slice(part);
            left -= part.len();
        }
        let taken = room - left;
        self.conn.wrote(taken, &mut self.shared, self.now);
        taken
    }

    fn tell(&mut self, event: Event) {
        let line = match event {
            Event::Request(request) => {
                let mut line = format!("{} {}", request.head.method(), request.head.path());
                if !request.body.is_empty() {
                    let _ = write!(line, " {}", String::from_utf8_lossy(&request.body));
                }
                let response = Response::new(http::StatusCode::OK).body("text/plain", "hello");
                self.conn.respond(&response, &mut self.shared, self.now);
                line
            }
            Event::Upgrade(upgrade) => {
                let subprotocol = upgrade.subprotocols().next();
                self.conn.accept(subprotocol, &mut self.shared, self.now);
                let mut line = format!("upgrade {}", upgrade.head.path());
                if let Some(name) = &upgrade.username {
                    let _ = write!(line, " as {name:?}");
                }
                line
            }
            Event::Text(text) => format!("text {}", shortened(text.as_bytes())),
            Event::Binary(bytes) => format!("binary {}", shortened(&bytes)),
            Event::Pong(position) => format!("pong {position}"),
            Event::Closed(closed) => format!("{closed:?}"),
        };
        self.transcript.push(format!("< {line}"));
    }

    fn wait(&mut self, time: Duration) {
        let until = self.now.mono.after(time);
        while let Some(at) = self.conn.deadline().filter(|&at| at <= until) {
            self.now.mono = self.now.mono.max(at);
            match self.conn.handle_deadline(&mut self.shared, self.now) {
                Due::Kept => {}
                Due::Closed(code) => self.transcript.push(format!("< due {code:?}")),
            }
            self.settle();
            assert!(self.conn.deadline().is_none_or(|at| at > self.now.mono));
        }
        self.now.mono = until;
    }

    /// Writes everything and does what the verdict says.
    fn settle(&mut self) {
        self.written = self.take_all();
        while let Some((line, len)) = self.next_written() {
            self.transcript.push(line);
            self.written.drain(..len);
        }
        let verdict = self.conn.verdict();
        if verdict != self.verdict && verdict != Verdict::Keep {
            self.transcript.push(format!("= {verdict:?}"));
        }
        if verdict == Verdict::Shutdown {
            self.conn.handle_shutdown();
        }
        self.verdict = verdict;
        if self.conn.verdict() == Verdict::Drop && verdict != Verdict::Drop {
            self.settle();
        }
    }

    fn next_written(&mut self) -> Option<(String, usize)> {
        if self.written.is_empty() {
            None
        } else if self.upgraded {
            Some(describe_frame(&self.written))
        } else {
            let described = describe_response(&self.written);
            self.upgraded = described.0.starts_with("> 101");
            Some(described)
        }
    }
}

fn describe_response(bytes: &[u8]) -> (String, usize) {
    let mut fields = [httparse::EMPTY_HEADER; 32];
    let mut response = httparse::Response::new(&mut fields);
    let head = response.parse(bytes).unwrap().unwrap();
    let mut line = format!("> {}", response.code.unwrap());
    let mut len = 0;
    for field in response.headers.iter() {
        let value = String::from_utf8_lossy(field.value);
        match field.name.to_ascii_lowercase().as_str() {
            "content-length" => len = value.parse().unwrap(),
            "connection" if value == "close" => line.push_str(" close"),
            "connection" | "upgrade" | "date" | "content-type" | "sec-websocket-accept" => {}
            "sec-websocket-extensions" => panic!("no extension was ever promised: {value}"),
            name => line.push_str(&format!(" {name}={value}")),
        }
    }
    if len > 0 {
        let body = String::from_utf8_lossy(&bytes[head..head + len]);
        let _ = write!(line, " | {}", body.trim_end());
    }
    (line, head + len)
}

fn describe_frame(bytes: &[u8]) -> (String, usize) {
    let (header, len) = match bytes[1] {
        126 => (
            4,
            usize::from(u16::from_be_bytes(bytes[2..4].try_into().unwrap())),
        ),
        127 => (
            10,
            u64::from_be_bytes(bytes[2..10].try_into().unwrap()) as usize,
        ),
        len => (2, usize::from(len)),
    };
    assert_eq!(bytes[1] & 0x80, 0, "a server does not mask");
    let payload = &bytes[header..header + len];
    let line = match bytes[0] {
        0x81 => format!("> text {}", shortened(payload)),
        0x82 => format!("> binary {}", shortened(payload)),
        0x88 if payload.is_empty() => "> close".to_owned(),
        0x88 => {
            let code = u16::from_be_bytes([payload[0], payload[1]]);
            format!("> close {code} {}", shortened(&payload[2..]))
                .trim_end()
                .to_owned()
        }
        0x89 => format!("> ping {}", payload.len()),
        0x8a => format!("> pong {}", shortened(payload)),
        other => panic!("a frame that begins with {other:#x}"),
    };
    (line, header + len)
}

fn shortened(bytes: &[u8]) -> String {
    if bytes.len() > 40 {
        format!("of {} bytes", bytes.len())
    } else {
        String::from_utf8_lossy(bytes).into_owned()
    }
}
