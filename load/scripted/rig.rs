//! Crowd and scripted server, and what is between them: memory, and a clock that jumps from one
//! thing that is due to the next.

use std::io::{self, IoSlice};
use std::time::Duration;

use kith::clock::{Moment, Now};
use kith::conn::Conn;
use kith::ids::Entropy;
use kith::limits::WRITE_PIECES;

use crate::breaks::Kind;
use crate::clients::Clients;
use crate::crowd::{Action, Crowd, Phase, Target};
use crate::failure::Failure;
use crate::numbers::Numbers;
use crate::scenario::{Plan, find};
use crate::schedule::Pace;
use crate::scripted::server::{Script, Server};
use crate::verdict::Verdict;

/// Crowd and server, and what is between them.
pub struct Rig {
    /// All clients.
    pub crowd: Crowd,
    server: Server,
    now: Moment,
    /// Between these two the server does nothing.
    pub stall: (Moment, Moment),
    /// What came for the server meanwhile.
    queued: Vec<(u32, Vec<u8>)>,
    /// Nobody listens.
    away: bool,
    /// What else happens, and when; the last comes first.
    pub doings: Vec<(Duration, Doing)>,
}

/// What happens to the server, or to the swarm.
#[derive(Clone, Copy, Debug)]
pub enum Doing {
    /// It is told to end, or killed.
    Leave(Kind),
    /// It loses this client.
    Lose(u32),
    /// It tells this client the last entry again.
    Repeat(u32),
    /// It is gone, with all its connections, and nobody listens.
    Gone,
    /// Another one is there.
    Up,
    /// Somebody stops the swarm.
    Stop,
}

/// Who talks in [`plan`].
pub const TALKERS: u32 = 2;

/// Five listen, two of them talk, for a second.
pub fn plan() -> Plan {
    Plan {
        clients: 5,
        talkers: TALKERS,
        pace: Pace {
            rate: 100.0,
            burst: 1,
            ramp: Duration::ZERO,
            duration: Duration::from_secs(1),
        },
        ..find("lobby").expect("it is in the table").plan
    }
}

impl Rig {
    /// Everything is about to begin.
    pub fn new(plan: Plan, script: Script) -> Self {
        let target = Target {
            address: ([127, 0, 0, 1], 9091).into(),
            host: "h".to_owned(),
            path: "/ws".to_owned(),
        };
        let now = Moment(0);
        Self {
            crowd: Crowd::new(plan, target, Entropy::Seeded(7), now),
            server: Server::new(plan.clients + plan.flapping(), script),
            now,
            stall: (Moment(0), Moment(0)),
            queued: Vec::new(),
            away: false,
            doings: Vec::new(),
        }
    }

    /// Until it is over, or cannot go on.
    pub fn run(mut self) -> Result<(Numbers, Verdict), Failure> {
        while !matches!(self.crowd.phase(), Phase::Over) {
            while let Some((at, doing)) = self.doings.last().copied()
                && self.now >= Moment(0).after(at)
            {
                self.doings.pop();
                self.act(doing);
            }
            self.crowd.tick(self.now);
            // What was heard may be what somebody waited for.
            while self.exchange() {
                if self.crowd.plan.flood {
                    // It must come to its end.
                    self.now = self.now.after(Duration::from_micros(100));
                }
                self.crowd.tick(self.now);
            }
            if let Some(failure) = self.crowd.take_failure() {
                return Err(failure);
            }
            let doing = self.doings.last().map(|(at, _)| Moment(0).after(*at));
            let next = self.crowd.next_tick(self.now);
            let next = doing.map_or(next, |doing| doing.min(next));
            // Neither crowd nor script ever waits for nothing.
            self.now = next.max(self.now.after(Duration::from_micros(1)));
        }
        Ok(self.crowd.finish())
    }

    fn act(&mut self, doing: Doing) {
        match doing {
            Doing::Leave(kind) => self.crowd.server_leaves(kind, self.now),
            Doing::Lose(client) => {
                self.server.guests[client as usize].conn = None;
                self.crowd.ended(client, self.now);
            }
            Doing::Repeat(client) => self.server.repeat(client),
            Doing::Gone => {
                self.away = true;
                for client in 0..self.server.guests.len() as u32 {
                    if self.server.guests[client as usize].conn.is_some() {
                        self.act(Doing::Lose(client));
                    }
                }
            }
            Doing::Up => {
                self.away = false;
                self.crowd.server_renewed();
                self.crowd.server_up(self.now);
            }
            Doing::Stop => self.crowd.stop(self.now),
        }
    }

    /// Moves bytes both ways, once; says whether there were any.
    fn exchange(&mut self) -> bool {
        let mut moved = false;
        while let Some(action) = self.crowd.poll_action() {
            match action {
                Action::Connect(client) if self.away => {
                    let refused = io::Error::from(io::ErrorKind::ConnectionRefused);
                    self.crowd.unreachable(client, refused, self.now);
                }
                Action::Connect(client) => {
                    let conn = Conn::new(Now::default());
                    self.server.guests[client as usize].conn = Some(conn);
                }
                Action::Drop(client) | Action::Leave(client) => {
                    self.server.guests[client as usize].conn = None;
                }
                Action::Read(_) => {}
            }
            moved = true;
        }
        let mut dirty = Vec::new();
        self.crowd.take_dirty(&mut dirty);
        for client in dirty {
            let mut pieces = [IoSlice::new(&[]); WRITE_PIECES];
            let count = self.crowd.slices(client, &mut pieces);
            let bytes = together(&pieces[..count]);
            self.crowd.wrote(client, bytes.len());
            self.queued.push((client, bytes));
        }
        let now = Now {
            mono: self.now,
            ..Now::default()
        };
        if !(self.stall.0 <= self.now && self.now < self.stall.1) {
            for (client, bytes) in std::mem::take(&mut self.queued) {
                self.server.received(client, &bytes, now);
                moved = true;
            }
        }
        for client in 0..self.server.guests.len() as u32 {
            let Some(conn) = &mut self.server.guests[client as usize].conn else {
                continue;
            };
            let mut pieces = [IoSlice::new(&[]); WRITE_PIECES];
            let count = conn.slices(&self.server.shared, &mut pieces);
            let mut bytes = together(&pieces[..count]);
            if !bytes.is_empty() {
                bytes.truncate(self.crowd.room(client, self.now));
            }
            conn.wrote(bytes.len(), &mut self.server.shared, now);
            if !bytes.is_empty() {
                self.crowd.received(client, &bytes, self.now);
                moved = true;
            }
        }
        moved
    }
}

fn together(pieces: &[IoSlice<'_>]) -> Vec<u8> {
    pieces.iter().flat_map(|piece| piece.to_vec()).collect()
}
