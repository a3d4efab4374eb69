//! What a run does, as values: who is there, who talks, how often, what breaks.
//!
//! A scenario is one row of a table, and every number of it can be given on the command line.
//! Knows no connection and no clock.

use std::time::Duration;

use crate::schedule::Pace;

/// A run that has a name.
#[derive(Clone, Copy, Debug)]
pub struct Scenario {
    /// As it is typed.
    pub name: &'static str,
    /// What there is to see.
    pub shows: &'static str,
    /// Its numbers.
    pub plan: Plan,
}

/// The numbers of a run.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Plan {
    /// How many are in the room.
    pub clients: u32,
    /// How many of them talk; no more than there are.
    pub talkers: u32,
    /// When messages are due.
    pub pace: Pace,
    /// Bytes of text in each.
    pub size: usize,
    /// Messages that one client may have sent without an answer; what is due beyond that waits.
    pub window: usize,
    /// This share of the clients is cut each second, and comes back.
    pub cut: f64,
    /// New connections per second while the room fills.
    pub connect_rate: u32,
    /// How long the last messages may be on their way.
    pub settle: Duration,
    /// What is spoken.
    pub speech: Speech,
    /// There is no schedule: every talker keeps its window full.
    pub flood: bool,
    /// Listeners who do not talk count what they hear, and do not read it.
    pub count: bool,
}

/// What clients and server speak.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Speech {
    /// Kith's protocol: guests talk in the lobby.
    Kith,
    /// The same: guests ping.
    Pings,
    /// Messages of any bytes, of which the server knows nothing.
    Raw,
}

/// Talkers: everybody, however many they are.
pub const EVERYBODY: u32 = u32::MAX;

const LOBBY: Plan = Plan {
    clients: 100,
    talkers: 1,
    pace: Pace {
        rate: 10.0,
        burst: 1,
        ramp: Duration::ZERO,
        duration: Duration::from_secs(10),
    },
    size: 128,
    window: 16,
    cut: 0.0,
    connect_rate: 2000,
    settle: Duration::from_secs(10),
    speech: Speech::Kith,
    flood: false,
    count: false,
};

/// All scenarios.
pub const SCENARIOS: &[Scenario] = &[
    Scenario {
        name: "lobby",
        shows: "One talks, all hear it: what a delivery costs, and its latency.",
        plan: LOBBY,
    },
    Scenario {
        name: "chatty",
        shows: "Everybody talks: whether writes and commits are gathered.",
        plan: Plan {
            talkers: EVERYBODY,
            pace: Pace {
                rate: 100.0,
                ..LOBBY.pace
            },
            ..LOBBY
        },
    },
    Scenario {
        name: "idle",
        shows: "All come and stay: handshakes, and the memory of a connection.",
        plan: Plan {
            clients: 1000,
            talkers: 0,
            pace: Pace {
                rate: 0.0,
                ..LOBBY.pace
            },
            ..LOBBY
        },
    },
    Scenario {
        name: "reconnect",
        shows: "A tenth is cut each second, comes back, and must miss nothing.",
        plan: Plan {
            talkers: 10,
            pace: Pace {
                rate: 50.0,
                ..LOBBY.pace
            },
            cut: 0.1,
            ..LOBBY
        },
    },
    Scenario {
        name: "ping",
        shows: "All ask for a pong: what a command costs, and its answer.",
        plan: Plan {
            clients: 10,
            talkers: EVERYBODY,
            pace: Pace {
                rate: 1000.0,
                ..LOBBY.pace
            },
            speech: Speech::Pings,
            ..LOBBY
        },
    },
    Scenario {
        name: "raw",
        shows: "Any WebSocket server that broadcasts or echoes what it is sent.",
        plan: Plan {
            speech: Speech::Raw,
            ..LOBBY
        },
    },
];

impl Plan {
    /// How many read what they hear, the first of all; the others count it.
    pub fn readers(&self) -> u32 {
        if self.count {
            self.talkers()
        } else {
            self.clients
        }
    }

    /// When messages are due; in a flood no message is, and it has an end.
    pub fn pace(&self) -> Pace {
        let rate = if self.flood { 0.0 } else { self.pace.rate };
        Pace { rate, ..self.pace }
    }

    /// How many talk.
    pub fn talkers(&self) -> u32 {
        self.talkers.min(self.clients)
    }
}

/// A scenario by its name.
pub fn find(name: &str) -> Option<&'static Scenario> {
    SCENARIOS.iter().find(|scenario| scenario.name == name)
}
