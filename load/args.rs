//! The command line: what was typed, checked, as the values that the run takes.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use clap::builder::PossibleValuesParser;
use clap::{CommandFactory, FromArgMatches, Parser};
use kith::limits::{PORT, TEXT_BYTES};

use crate::bounds::MESSAGE_LEAST;
use crate::scenario::{self, Plan, SCENARIOS};
use crate::verdict::{Fault, Limits};

/// Everything that is asked for.
#[derive(Clone, Debug)]
pub struct Options {
    /// The scenario's name.
    pub scenario: &'static str,
    /// Its numbers, as far as they were not given otherwise.
    pub plan: Plan,
    /// Where the server is.
    pub url: Url,
    /// What is good enough.
    pub limits: Limits,
    /// The server's process, if it was named.
    pub pid: Option<u32>,
    /// Where the report goes.
    pub json: Option<PathBuf>,
}

/// An address of a WebSocket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Url {
    /// A name or an address; of IPv6 without brackets.
    pub host: String,
    /// The port.
    pub port: u16,
    /// Path and query.
    pub path: String,
}

#[derive(Debug, Parser)]
#[command(
    name = "kith-swarm",
    version,
    args_override_self = true,
    about = "Puts a chat server under load; says what was lost, doubled or late."
)]
struct Args {
    /// What to do; `--help` says what each shows
    #[arg(value_parser = PossibleValuesParser::new(SCENARIOS.iter().map(|s| s.name)))]
    scenario: String,
    /// The server
    #[arg(long, default_value_t = Url::default(), value_parser = parse_url)]
    url: Url,
    /// How many are in the room
    #[arg(short = 'n', long, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    clients: Option<u32>,
    /// How many of them talk, in turns
    #[arg(long)]
    talkers: Option<u32>,
    /// Messages per second of all talkers together
    #[arg(long, value_parser = parse_rate)]
    rate: Option<f64>,
    /// Messages that are due at the same moment
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..))]
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
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..))]
    window: Option<u32>,
    /// The share of clients that is cut each second, such as 0.1
    #[arg(long, value_parser = parse_share, value_name = "SHARE")]
    cut: Option<f64>,
    /// New connections per second while the room fills
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..))]
    connect_rate: Option<u32>,
    /// How long the last messages may be on their way
    #[arg(long, value_parser = parse_duration, value_name = "TIME")]
    settle: Option<Duration>,
    /// The server's process, if it is not to be found by its port
    #[arg(long)]
    pid: Option<u32>,
    /// Write the report here, too
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    #[command(flatten)]
    limits: LimitArgs,
}

#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Limits, beyond which the exit status is 1")]
struct LimitArgs {
    /// Messages that somebody never heard
    #[arg(long, default_value_t = 0, value_name = "N")]
    max_lost: u64,
    /// Messages that somebody heard twice
    #[arg(long, default_value_t = 0, value_name = "N")]
    max_duplicated: u64,
    /// Messages that somebody heard after a later one
    #[arg(long, default_value_t = 0, value_name = "N")]
    max_reordered: u64,
    /// Entries that were passed over without a word
    #[arg(long, default_value_t = 0, value_name = "N")]
    max_silent_holes: u64,
    /// Entries that were not for this room or of this run
    #[arg(long, default_value_t = 0, value_name = "N")]
    max_misdelivered: u64,
    /// Messages that came other than they were sent
    #[arg(long, default_value_t = 0, value_name = "N")]
    max_altered: u64,
    /// Messages that were acknowledged and not heard by anybody
    #[arg(long, default_value_t = 0, value_name = "N")]
    max_never_seen: u64,
    /// Messages that were neither acknowledged nor refused
    #[arg(long, default_value_t = 0, value_name = "N")]
    max_unanswered: u64,
    /// Entries of which the server said that they will not be brought
    #[arg(long, default_value_t = 0, value_name = "N")]
    max_announced_holes: u64,
    /// Messages that were refused, for whatever reason
    #[arg(long, default_value_t = 0, value_name = "N")]
    max_refused: u64,
    /// Half of the deliveries are as fast as this, such as 5ms
    #[arg(long, value_parser = parse_duration, value_name = "TIME")]
    max_p50: Option<Duration>,
    /// 99 of 100 are
    #[arg(long, value_parser = parse_duration, value_name = "TIME")]
    max_p99: Option<Duration>,
    /// 999 of 1,000 are
    #[arg(long, value_parser = parse_duration, value_name = "TIME")]
    max_p999: Option<Duration>,
}

/// Reads what was typed, the program's name first.
///
/// # Errors
/// Help, version, or what is wrong; it knows how to print itself and with what status to end.
pub fn parse(words: impl IntoIterator<Item = OsString>) -> Result<Options, clap::Error> {
    let command = Args::command().after_long_help(after_help());
    let mut matches = command.try_get_matches_from(words)?;
    let args = Args::from_arg_matches_mut(&mut matches)?;
    let found = scenario::find(&args.scenario).expect("clap takes the names of the table only");
    Ok(Options {
        scenario: found.name,
        plan: args.plan(found.plan),
        limits: args.limits.limits(),
        url: args.url,
        pid: args.pid,
        json: args.json,
    })
}

impl Args {
    fn plan(&self, usual: Plan) -> Plan {
        let pace = usual.pace;
        Plan {
            clients: self.clients.unwrap_or(usual.clients),
            talkers: self.talkers.unwrap_or(usual.talkers),
            pace: crate::schedule::Pace {
                rate: self.rate.unwrap_or(pace.rate),
                burst: self.burst.unwrap_or(pace.burst),
                ramp: self.ramp.unwrap_or(pace.ramp),
                duration: self.duration.unwrap_or(pace.duration),
            },
            size: self.size.unwrap_or(usual.size),
            window: self.window.map_or(usual.window, |window| window as usize),
            cut: self.cut.unwrap_or(usual.cut),
            connect_rate: self.connect_rate.unwrap_or(usual.connect_rate),
            settle: self.settle.unwrap_or(usual.settle),
        }
    }
}

impl LimitArgs {
    fn limits(&self) -> Limits {
        let faults = BTreeMap::from([
            (Fault::Lost, self.max_lost),
            (Fault::Duplicated, self.max_duplicated),
            (Fault::Reordered, self.max_reordered),
            (Fault::SilentHole, self.max_silent_holes),
            (Fault::Misdelivered, self.max_misdelivered),
            (Fault::Altered, self.max_altered),
            (Fault::NeverSeen, self.max_never_seen),
            (Fault::Unanswered, self.max_unanswered),
            (Fault::AnnouncedHole, self.max_announced_holes),
        ]);
        let latency = [
            ("p50", 0.5, self.max_p50),
            ("p99", 0.99, self.max_p99),
            ("p999", 0.999, self.max_p999),
        ];
        let given = latency.into_iter();
        Limits {
            faults,
            refused: self.max_refused,
            latency: given
                .filter_map(|(name, share, most)| Some((name, share, most?)))
                .collect(),
        }
    }
}

impl Default for Url {
    fn default() -> Self {
        Self {
            host: "127.0.0.1".to_owned(),
            port: PORT,
            path: "/ws".to_owned(),
        }
    }
}

impl std::fmt::Display for Url {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "ws://{}{}", self.authority(), self.path)
    }
}

impl Url {
    /// As `Host` has it.
    pub fn authority(&self) -> String {
        let Self { host, port, .. } = self;
        if host.contains(':') {
            format!("[{host}]:{port}")
        } else {
            format!("{host}:{port}")
        }
    }
}

fn parse_url(text: &str) -> Result<Url, String> {
    const LOOKS: &str = "an address looks like ws://127.0.0.1:9091/ws";
    if text.starts_with("wss:") || text.starts_with("https:") {
        return Err("the swarm speaks no TLS; name the server behind the proxy".to_owned());
    }
    let uri: http::Uri = text.parse().map_err(|error| format!("{error}; {LOOKS}"))?;
    match uri.scheme_str() {
        Some("ws" | "http") => {}
        _ => return Err(LOOKS.to_owned()),
    }
    let host = uri.host().ok_or(LOOKS)?.trim_matches(['[', ']']);
    let path = uri.path_and_query().map_or("/", |path| path.as_str());
    Ok(Url {
        host: host.to_owned(),
        port: uri.port_u16().unwrap_or(80),
        path: path.to_owned(),
    })
}

/// `50ms`, `10s`, `2m`.
fn parse_duration(text: &str) -> Result<Duration, String> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let unit = match &text[digits.len()..] {
        "us" => 1e-6,
        "ms" => 1e-3,
        "s" => 1.0,
        "m" => 60.0,
        _ => return Err("a time looks like 50ms, 10s or 2m".to_owned()),
    };
    let number: f64 = digits.parse().map_err(|_| "this is no number")?;
    match number * unit {
        // A day, and nothing that is no number.
        seconds if (0.0..=86_400.0).contains(&seconds) => Ok(Duration::from_secs_f64(seconds)),
        _ => Err("a time is at most a day".to_owned()),
    }
}

fn parse_rate(text: &str) -> Result<f64, String> {
    within(text, 1_000_000.0).ok_or_else(|| "a rate is from 0 to 1000000 a second".to_owned())
}

fn parse_share(text: &str) -> Result<f64, String> {
    within(text, 1.0).ok_or_else(|| "a share is from 0 to 1".to_owned())
}

fn within(text: &str, most: f64) -> Option<f64> {
    let number = text.parse().ok()?;
    (0.0..=most).contains(&number).then_some(number)
}

fn parse_size(text: &str) -> Result<usize, String> {
    let number = text.parse().ok();
    number
        .filter(|size| (MESSAGE_LEAST..=TEXT_BYTES).contains(size))
        .ok_or_else(|| format!("a message has {MESSAGE_LEAST} to {TEXT_BYTES} bytes"))
}

fn after_help() -> String {
    let mut text = "Scenarios:\n".to_owned();
    for scenario in SCENARIOS {
        text.push_str(&format!("  {:<10} {}\n", scenario.name, scenario.shows));
        let Plan {
            clients,
            pace,
            size,
            ..
        } = scenario.plan;
        let (rate, seconds) = (pace.rate, pace.duration.as_secs());
        text.push_str(&format!(
            "  {:<10} {clients} clients, {rate} messages of {size} bytes a second, {seconds} s\n",
            ""
        ));
    }
    text.push_str(
        "
A server limits what one client and one address may say. For a load test of
your own server, start it without:
  kith --set limits.talk_rate=0 --set limits.address_talk_rate=0 \\
       --set limits.command_rate=0

What can be wrong with a message:
",
    );
    for fault in Fault::ALL {
        text.push_str(&format!("  {:<16} {}\n", fault.name(), fault.help()));
    }
    text.push_str(
        "
Latencies count from the moment a message was due, whatever kept it from being
sent; the uncorrected ones, beside them, from when it was sent.

Exit status: 0 the limits held; 1 they did not, or the run could not be made;
2 the command line makes no sense.",
    );
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(words: &[&str]) -> Result<Options, String> {
        let words = ["kith-swarm"].iter().chain(words);
        parse(words.map(OsString::from)).map_err(|error| error.to_string())
    }

    #[test]
    fn a_scenario_is_what_the_table_says_but_for_what_is_typed() {
        let lobby = options(&["lobby"]).unwrap();
        assert_eq!(lobby.plan, scenario::find("lobby").unwrap().plan);
        assert_eq!(lobby.url.to_string(), "ws://127.0.0.1:9091/ws");
        let other = [
            "chatty",
            "-n",
            "7",
            "--rate",
            "2.5",
            "--duration",
            "1m",
            "--ramp",
            "500ms",
            "--size",
            "100",
            "--max-p99",
            "50ms",
            "--max-lost",
            "3",
            "--url",
            "ws://[::1]:1/x?y=1",
        ];
        let other = options(&other).unwrap();
        assert_eq!((other.plan.clients, other.plan.talkers()), (7, 7));
        assert_eq!((other.plan.pace.rate, other.plan.size), (2.5, 100));
        assert_eq!(other.plan.pace.duration, Duration::from_secs(60));
        assert_eq!(other.plan.pace.ramp, Duration::from_millis(500));
        let p99 = ("p99", 0.99, Duration::from_millis(50));
        assert_eq!(other.limits.latency, [p99]);
        assert_eq!(other.limits.faults[&Fault::Lost], 3);
        assert_eq!(other.limits.faults.len(), Fault::ALL.len());
        assert_eq!(other.url.to_string(), "ws://[::1]:1/x?y=1");
    }

    #[test]
    fn what_makes_no_sense_says_what_would() {
        for (words, says) in [
            (&["loby"][..], "lobby"),
            (&[], "--help"),
            (&["lobby", "--rate=-1"], "from 0 to 1000000"),
            (&["lobby", "--rate", "NaN"], "from 0 to 1000000"),
            (&["lobby", "--size", "10"], "66 to 65536 bytes"),
            (&["lobby", "--cut", "2"], "from 0 to 1"),
            (&["lobby", "--clients", "0"], "1..=1000000"),
            (&["lobby", "--duration", "10"], "50ms, 10s or 2m"),
            (&["lobby", "--duration", "9999999m"], "at most a day"),
            (&["lobby", "--url", "wss://a/ws"], "no TLS"),
            (&["lobby", "--url", "127.0.0.1:9091"], "looks like ws://"),
        ] {
            let text = options(words).unwrap_err();
            assert!(text.contains(says), "{words:?}: {text}");
        }
    }

    #[test]
    fn the_help_fits_a_terminal_of_80_columns_and_names_every_scenario() {
        let mut command = Args::command().after_long_help(after_help());
        command.clone().debug_assert();
        let text = command.render_long_help().to_string();
        for line in text.lines() {
            assert!(line.chars().count() <= 80, "{line}");
        }
        for scenario in SCENARIOS {
            assert!(text.contains(scenario.shows), "{}", scenario.name);
        }
    }
}
