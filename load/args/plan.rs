//! The numbers of a run: a flag for each, and the same names in a file.
//!
//! Knows what each is called and how it is written; what it means stands in `scenario.rs`.

use std::time::Duration;

use super::values::{
    parse_clients, parse_count, parse_duration, parse_rate, parse_restart, parse_share, parse_size,
    parse_some, parse_turn,
};
use crate::scenario::{EVERYBODY, Plan, Restart, Slow};
use crate::schedule::Pace;

/// As they are typed; what is not given is the scenario's.
#[derive(Debug, clap::Args)]
pub struct PlanArgs {
    /// How many are in the room
    #[arg(short = 'n', long, value_parser = parse_clients, value_name = "N")]
    clients: Option<u32>,
    /// How many of them talk, in turns
    #[arg(long, value_parser = parse_count, value_name = "N")]
    talkers: Option<u32>,
    /// Messages per second of all talkers together
    #[arg(long, value_parser = parse_rate)]
    rate: Option<f64>,
    /// Messages that are due at the same moment
    #[arg(long, value_parser = parse_some, value_name = "N")]
    burst: Option<u32>,
    /// The rate grows from nothing for so long
    #[arg(long, value_parser = parse_duration, value_name = "TIME")]
    ramp: Option<Duration>,
    /// Messages are due for so long
    #[arg(long, value_parser = parse_duration, value_name = "TIME")]
    duration: Option<Duration>,
    /// Bytes of text in a message
    #[arg(long, value_parser = parse_size, value_name = "BYTES")]
    size: Option<usize>,
    /// Messages of one client that may be unanswered; more of them wait
    #[arg(long, value_parser = parse_some, value_name = "N")]
    window: Option<u32>,
    /// Everybody who talks keeps a window full, whatever the rate
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true",
        value_name = "BOOL")]
    flood: Option<bool>,
    /// Those who do not talk count what they hear, and do not read it
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true",
        value_name = "BOOL")]
    count: Option<bool>,
    /// The share of clients that is cut each second, such as 0.1
    #[arg(long, value_parser = parse_share, value_name = "SHARE")]
    cut: Option<f64>,
    /// How often all are cut at once
    #[arg(long, value_parser = parse_count, value_name = "N")]
    waves: Option<u32>,
    /// The share of clients that reads slowly or not at all, in turns
    #[arg(long, value_parser = parse_share, value_name = "SHARE")]
    slow: Option<f64>,
    /// What each of these reads, in bytes a second
    #[arg(long, value_parser = parse_some, value_name = "BYTES")]
    slow_rate: Option<u32>,
    /// How long each reads slowly, and then not at all
    #[arg(long, value_parser = parse_turn, value_name = "TIME")]
    slow_turn: Option<Duration>,
    /// Connections besides that stop half-way or vanish, as a share
    #[arg(long, value_parser = parse_share, value_name = "SHARE")]
    flap: Option<f64>,
    /// What happens to the server of --serve: never, drain, kill, both
    #[arg(long, value_parser = parse_restart, value_name = "HOW")]
    restart: Option<Restart>,
    /// How often that happens
    #[arg(long, value_parser = parse_turn, value_name = "TIME")]
    every: Option<Duration>,
    /// New connections a second while the room fills; 0: all that it takes
    #[arg(long, value_parser = parse_count, value_name = "N")]
    connect_rate: Option<u32>,
    /// How long the last messages may be on their way
    #[arg(long, value_parser = parse_duration, value_name = "TIME")]
    settle: Option<Duration>,
}

impl PlanArgs {
    /// How long messages are due, if that is given.
    pub const fn duration(&self) -> Option<Duration> {
        self.duration
    }

    /// The plan, with `usual` for what is not given.
    pub fn plan(&self, usual: &Plan) -> Plan {
        let (pace, slow) = (usual.pace, usual.slow);
        Plan {
            clients: self.clients.unwrap_or(usual.clients),
            talkers: self.talkers.unwrap_or(usual.talkers),
            pace: Pace {
                rate: self.rate.unwrap_or(pace.rate),
                burst: self.burst.unwrap_or(pace.burst),
                ramp: self.ramp.unwrap_or(pace.ramp),
                duration: self.duration.unwrap_or(pace.duration),
            },
            size: self.size.unwrap_or(usual.size),
            window: self.window.map_or(usual.window, |window| window as usize),
            cut: self.cut.unwrap_or(usual.cut),
            waves: self.waves.unwrap_or(usual.waves),
            slow: Slow {
                share: self.slow.unwrap_or(slow.share),
                rate: self.slow_rate.unwrap_or(slow.rate),
                turn: self.slow_turn.unwrap_or(slow.turn),
            },
            flap: self.flap.unwrap_or(usual.flap),
            restart: self.restart.unwrap_or(usual.restart),
            every: self.every.unwrap_or(usual.every),
            connect_rate: self.connect_rate.unwrap_or(usual.connect_rate),
            settle: self.settle.unwrap_or(usual.settle),
            flood: self.flood.unwrap_or(usual.flood),
            count: self.count.unwrap_or(usual.count),
            speech: usual.speech,
        }
    }
}

/// A plan as it is written in a file: each number's name, and the number.
pub fn written(plan: &Plan) -> Vec<(&'static str, String)> {
    let talkers = match plan.talkers {
        EVERYBODY => plan.clients,
        talkers => talkers,
    };
    vec![
        ("clients", plan.clients.to_string()),
        ("talkers", talkers.to_string()),
        ("rate", plan.pace.rate.to_string()),
        ("burst", plan.pace.burst.to_string()),
        ("ramp", time(plan.pace.ramp)),
        ("duration", time(plan.pace.duration)),
        ("size", plan.size.to_string()),
        ("window", plan.window.to_string()),
        ("flood", plan.flood.to_string()),
        ("count", plan.count.to_string()),
        ("cut", plan.cut.to_string()),
        ("waves", plan.waves.to_string()),
        ("slow", plan.slow.share.to_string()),
        ("slow-rate", plan.slow.rate.to_string()),
        ("slow-turn", time(plan.slow.turn)),
        ("flap", plan.flap.to_string()),
        ("restart", format!("\"{}\"", plan.restart.name())),
        ("every", time(plan.every)),
        ("connect-rate", plan.connect_rate.to_string()),
        ("settle", time(plan.settle)),
    ]
}

/// A time as it is written in a file.
pub fn time(time: Duration) -> String {
    match time.as_micros() {
        micros if micros % 1_000_000 == 0 => format!("\"{}s\"", micros / 1_000_000),
        micros if micros % 1000 == 0 => format!("\"{}ms\"", micros / 1000),
        micros => format!("\"{micros}us\""),
    }
}
