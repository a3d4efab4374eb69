//! What a run does, as values: who is there, who talks, how often, what breaks.
//!
//! A scenario is one row of a table, and every number of it can be given on the command line or in
//! a file. Knows no connection and no clock.

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
    /// So many times, at even distances, everybody is cut at once and comes back at once.
    pub waves: u32,
    /// Who reads slowly.
    pub slow: Slow,
    /// So many connections come besides, as a share of the clients, and never get anything done:
    /// half-open ones, slow ones, some that vanish. They are nobody in the room.
    pub flap: f64,
    /// What happens to a server that the swarm itself started, and how often.
    pub restart: Restart,
    /// From one restart to the next.
    pub every: Duration,
    /// New connections per second while the room fills; with 0 as many as the server takes, of
    /// which [`OPENING`](crate::bounds::OPENING) are on their way at once.
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

/// Clients that do not keep up. In turns of the same length each reads slowly, then not at all;
/// when everything is said, it reads as fast as everybody.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Slow {
    /// This share of the clients; those that talk the least.
    pub share: f64,
    /// Bytes per second that each of them reads in its better turns.
    pub rate: u32,
    /// How long a turn is.
    pub turn: Duration,
}

/// What happens to the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Restart {
    /// Nothing.
    Never,
    /// It is told to end (SIGTERM), and started again when it has.
    Drain,
    /// It is killed (SIGKILL), and started again.
    Kill,
    /// The one and the other in turns.
    Both,
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
    waves: 0,
    slow: Slow {
        share: 0.0,
        rate: 64 * 1024,
        turn: Duration::from_secs(2),
    },
    flap: 0.0,
    restart: Restart::Never,
    every: Duration::from_secs(3),
    connect_rate: 2000,
    settle: Duration::from_secs(10),
    speech: Speech::Kith,
    flood: false,
    count: false,
};

/// Ten talk, and what they said while something was broken must arrive, too.
const BROKEN: Plan = Plan {
    talkers: 10,
    pace: Pace {
        rate: 50.0,
        ..LOBBY.pace
    },
    ..LOBBY
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
        name: "big",
        shows: "64 KiB to all: whether long messages are shared or copied.",
        plan: Plan {
            pace: Pace {
                rate: 5.0,
                ..LOBBY.pace
            },
            size: 64 * 1024,
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
        name: "storm",
        shows: "All are cut at once and come back at once: how long that takes.",
        plan: Plan {
            clients: 1000,
            talkers: 10,
            waves: 3,
            connect_rate: 0,
            ..LOBBY
        },
    },
    Scenario {
        name: "reconnect",
        shows: "A tenth is cut each second, comes back, and must miss nothing.",
        plan: Plan { cut: 0.1, ..BROKEN },
    },
    Scenario {
        name: "slow",
        shows: "A tenth reads slowly or stops; nobody else may feel it.",
        plan: Plan {
            pace: Pace {
                rate: 50.0,
                ..LOBBY.pace
            },
            size: 8 * 1024,
            slow: Slow {
                share: 0.1,
                ..LOBBY.slow
            },
            ..LOBBY
        },
    },
    Scenario {
        name: "flap",
        shows: "Connections that stop half-way or vanish; nobody may feel it.",
        plan: Plan {
            flap: 0.5,
            ..BROKEN
        },
    },
    Scenario {
        name: "rolling",
        shows: "The server drains and starts again; all come back. With --serve.",
        plan: Plan {
            restart: Restart::Drain,
            ..BROKEN
        },
    },
    Scenario {
        name: "crash",
        shows: "The server is killed and starts again. With --serve.",
        plan: Plan {
            restart: Restart::Kill,
            ..BROKEN
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

    /// The first of the slow readers; those before it are quick. Who talks comes first, and is
    /// quick as long as there are others.
    pub fn first_slow(&self) -> u32 {
        self.clients - share_of(self.slow.share, self.clients)
    }

    /// Connections that come besides the clients.
    pub fn flapping(&self) -> u32 {
        share_of(self.flap, self.clients)
    }

    /// How many may have been sent on their way, so long after the first.
    pub fn begun_by(&self, time: Duration) -> u32 {
        match self.connect_rate {
            0 => self.clients,
            rate => {
                let count = time.as_secs_f64() * f64::from(rate) + 1.0;
                (count as u32).min(self.clients)
            }
        }
    }

    /// When the `n`'th wave comes, from 1 on, counted from the first message.
    pub fn wave(&self, n: u32) -> Option<Duration> {
        let (all, n) = (f64::from(self.waves) + 1.0, f64::from(n));
        (n < all).then(|| self.pace.duration.mul_f64(n / all))
    }
}

impl Restart {
    /// As they are typed.
    pub const NAMES: [(&'static str, Self); 4] = [
        ("never", Self::Never),
        ("drain", Self::Drain),
        ("kill", Self::Kill),
        ("both", Self::Both),
    ];

    /// As it is typed.
    pub fn name(self) -> &'static str {
        let mut all = Self::NAMES.into_iter();
        let found = all.find(|(_, restart)| *restart == self);
        found.map_or("never", |(name, _)| name)
    }
}

/// Somebody, as soon as anybody is wanted.
fn share_of(share: f64, all: u32) -> u32 {
    ((share * f64::from(all)).ceil() as u32).min(all)
}

/// A scenario by its name.
pub fn find(name: &str) -> Option<&'static Scenario> {
    SCENARIOS.iter().find(|scenario| scenario.name == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_scenario_is_over_in_ten_seconds_and_has_a_name_of_its_own() {
        for (at, scenario) in SCENARIOS.iter().enumerate() {
            assert!(scenario.plan.pace.duration <= Duration::from_secs(10));
            let same = SCENARIOS.iter().position(|one| one.name == scenario.name);
            assert_eq!(same, Some(at), "{}", scenario.name);
            assert!(find(scenario.name).is_some());
        }
    }

    #[test]
    fn shares_waves_and_connects_are_counted_as_they_are_described() {
        let mut plan = LOBBY;
        assert_eq!((plan.first_slow(), plan.flapping()), (100, 0));
        (plan.slow.share, plan.flap) = (0.101, 0.5);
        assert_eq!((plan.first_slow(), plan.flapping()), (89, 50));
        let waves: Vec<_> = (1..5)
            .map_while(|n| Plan { waves: 3, ..plan }.wave(n))
            .collect();
        assert_eq!(waves, [2.5, 5.0, 7.5].map(Duration::from_secs_f64));
        assert_eq!(plan.begun_by(Duration::ZERO), 1);
        assert_eq!(plan.begun_by(Duration::from_millis(10)), 21);
        assert_eq!(plan.begun_by(Duration::from_secs(1)), 100);
        plan.connect_rate = 0;
        assert_eq!(plan.begun_by(Duration::ZERO), 100);
    }
}
