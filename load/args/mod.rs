//! The command line: what was typed, checked, as the values that the run takes.

mod fits;
mod limits;
mod raw;
mod url;
mod values;

use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::builder::PossibleValuesParser;
use clap::error::ErrorKind;
use clap::{CommandFactory, FromArgMatches, Parser};

pub use self::raw::Offer;
pub use self::url::Url;

use self::fits::fits;
use self::limits::LimitArgs;
use self::raw::RawArgs;
use self::url::parse_url;
use self::values::{parse_duration, parse_rate, parse_share, parse_size};
use crate::raw::Expect;
use crate::scenario::{self, Plan, SCENARIOS};
use crate::verdict::{Fault, Limits};

/// What the program is to do.
#[derive(Clone, Debug)]
pub enum Task {
    /// Put a server under load.
    Run(Box<Options>),
    /// Be the server that does the least, and listen there.
    Floor(SocketAddr),
    /// Print the schema of reports.
    Schema,
}

/// Everything that is asked for of a run.
#[derive(Clone, Debug)]
pub struct Options {
    /// The scenario's name.
    pub scenario: &'static str,
    /// Its numbers, as far as they were not given otherwise.
    pub plan: Plan,
    /// Where the server is.
    pub url: Url,
    /// Who hears a message of `raw`, and what it asks for.
    pub raw: (Expect, Offer),
    /// What is good enough.
    pub limits: Limits,
    /// The server's process, if it was named.
    pub pid: Option<u32>,
    /// Where the report goes.
    pub json: Option<PathBuf>,
    /// Where the page goes.
    pub html: Option<PathBuf>,
}

#[derive(Debug, Parser)]
#[command(
    name = "kith-swarm",
    version,
    args_override_self = true,
    about = "Puts a chat server under load; says what was lost, doubled or late.",
    args_conflicts_with_subcommands = true,
    subcommand_negates_reqs = true,
    disable_help_subcommand = true
)]
struct Args {
    /// What to do; `--help` says what each shows
    #[arg(
        required = true,
        value_parser = PossibleValuesParser::new(SCENARIOS.iter().map(|s| s.name))
    )]
    scenario: Option<String>,
    #[command(subcommand)]
    instead: Option<Instead>,
    /// The server [default: ws://127.0.0.1:9091/ws; raw: the floor's]
    #[arg(long, value_parser = parse_url)]
    url: Option<Url>,
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
    /// Everybody who talks keeps a window full, whatever the rate
    #[arg(long, conflicts_with_all = ["rate", "burst", "ramp"])]
    flood: bool,
    /// Those who do not talk count what they hear, and do not read it
    #[arg(long)]
    count: bool,
    /// New connections per second while the room fills
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..))]
    connect_rate: Option<u32>,
    /// How long the last messages may be on their way
    #[arg(long, value_parser = parse_duration, value_name = "TIME")]
    settle: Option<Duration>,
    /// The server's process, if it is not to be found by its port
    #[arg(long)]
    pid: Option<u32>,
    /// Write the report here, too; `kith-swarm schema` describes it
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Write a page with plots here: one file that needs nothing else
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
    #[command(flatten)]
    limits: LimitArgs,
    #[command(flatten)]
    raw: RawArgs,
}

/// What there is to do besides scenarios.
#[derive(Debug, clap::Subcommand)]
enum Instead {
    /// Serve the least that a WebSocket server can do, to compare others with
    #[command(after_long_help = FLOOR_HELP)]
    Floor {
        /// Where to listen; with port 0 the system chooses one
        #[arg(long, default_value = "127.0.0.1:9092", value_name = "ADDRESS")]
        listen: SocketAddr,
    },
    /// Print the JSON Schema of what --json writes
    Schema,
}

const FLOOR_HELP: &str = "\
Every message goes to everybody, the sender too, as it came: no rules, no names,
no log. It is encoded once, and each socket is written to once in a turn of the
loop. Whoever connects to /echo hears only itself. No server that does more can
need less; what one needs beyond it is what its features cost.";

/// Reads what was typed, the program's name first.
///
/// # Errors
/// Help, version, or what is wrong; it knows how to print itself and with what status to end.
pub fn parse(words: impl IntoIterator<Item = OsString>) -> Result<Task, clap::Error> {
    let command = Args::command().after_long_help(after_help());
    let mut matches = command.try_get_matches_from(words)?;
    let args = Args::from_arg_matches_mut(&mut matches)?;
    match args.instead {
        Some(Instead::Floor { listen }) => return Ok(Task::Floor(listen)),
        Some(Instead::Schema) => return Ok(Task::Schema),
        None => {}
    }
    let name = args.scenario.as_deref().unwrap_or_default();
    let found = scenario::find(name).expect("clap takes the names of the table only");
    let plan = args.plan(found.plan);
    let limits = args.limits.limits();
    if let Err(why) = fits(&plan, &args.raw, &limits) {
        return Err(Args::command().error(ErrorKind::ArgumentConflict, why));
    }
    Ok(Task::Run(Box::new(Options {
        scenario: found.name,
        limits,
        url: args.url.unwrap_or_else(|| Url::usual(plan.speech)),
        raw: args.raw.into_parts(),
        plan,
        pid: args.pid,
        json: args.json,
        html: args.html,
    })))
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
            flood: self.flood || usual.flood,
            count: self.count || usual.count,
            ..usual
        }
    }
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

What --flood shows is how much a server can do, not how fast it answers: nobody
says anything while it waits for an answer, so that a server which stalls is
asked less. Latencies are the uncorrected ones then. A talker of lobby waits for
its acknowledgement, one of raw for its own message.

What --count cannot see: which message it was. Nothing is known of order, of
content and of latency, and what was lost and what was doubled add up to nothing
if there is as much of both; who talks still reads. Of Kith's frames those are
counted that bring an entry, and all others are read as ever.

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
        match parse(words.map(OsString::from)) {
            Ok(Task::Run(options)) => Ok(*options),
            Ok(other) => panic!("{other:?}"),
            Err(error) => Err(error.to_string()),
        }
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
    fn raw_asks_for_what_is_typed_and_for_the_floor_by_itself() {
        let plain = options(&["raw"]).unwrap();
        assert_eq!(plain.url.to_string(), "ws://127.0.0.1:9092/");
        assert_eq!(plain.raw, (Expect::Broadcast, Offer::default()));
        let other = [
            "raw",
            "--expect",
            "echo",
            "--header",
            "Cookie: a=b",
            "--size",
            "44",
        ];
        let other = [
            &other[..],
            &["--header", "x: y", "--subprotocol", "chat.v2"],
        ]
        .concat();
        let other = options(&other).unwrap();
        let fields = [("cookie", "a=b"), ("x", "y")];
        let offer = Offer {
            subprotocol: Some("chat.v2".to_owned()),
            fields: fields.map(|(a, b)| (a.to_owned(), b.to_owned())).into(),
        };
        assert_eq!((other.raw, other.plan.size), ((Expect::Echo, offer), 44));
    }

    #[test]
    fn the_floor_listens_where_it_is_told_to() {
        for (words, address) in [
            (&["kith-swarm", "floor"][..], "127.0.0.1:9092"),
            (&["kith-swarm", "floor", "--listen", "[::1]:0"], "[::1]:0"),
        ] {
            let task = parse(words.iter().map(OsString::from));
            let expected = address.parse().unwrap();
            assert!(matches!(task, Ok(Task::Floor(found)) if found == expected));
        }
    }

    #[test]
    fn what_makes_no_sense_says_what_would() {
        for (words, says) in [
            (&["loby"][..], "lobby"),
            (&[], "--help"),
            (&["lobby", "--rate=-1"], "from 0 to 1000000"),
            (&["lobby", "--rate", "NaN"], "from 0 to 1000000"),
            (&["lobby", "--size", "10"], "44 to 65536 bytes"),
            (&["lobby", "--size", "50"], "66 to 65536 bytes"),
            (&["lobby", "--cut", "2"], "from 0 to 1"),
            (&["lobby", "--flood", "--rate", "1"], "cannot be used with"),
            (&["lobby", "--flood", "--cut", "1"], "connections that stay"),
            (&["lobby", "--flood", "--max-p99", "1s"], "a flood has none"),
            (&["lobby", "--count", "--cut", "1"], "leave out --cut"),
            (&["lobby", "--expect", "echo"], "are for raw"),
            (&["ping", "--count"], "here nobody does"),
            (&["ping", "--cut", "1"], "raw and ping cannot"),
            (
                &["raw", "--flood", "--expect", "others"],
                "brings nothing back",
            ),
            (&["raw", "--count", "--expect", "echo"], "here nobody does"),
            (&["raw", "-n", "100000", "--talkers", "1000"], "or --count"),
            (&["raw", "--header", "a b: c"], "looks like 'Name: value'"),
            (
                &["raw", "--header", "Host: c"],
                "that the swarm sends by itself",
            ),
            (&["raw", "--subprotocol", "a, b"], "one word"),
            (&["lobby", "--clients", "0"], "1..=1000000"),
            (&["lobby", "--duration", "10"], "50ms, 10s or 2m"),
            (&["lobby", "--duration", "9999999m"], "at most a day"),
            (&["lobby", "--url", "wss://a/ws"], "no TLS"),
            (&["lobby", "--url", "127.0.0.1:9091"], "looks like ws://"),
            (&["floor", "--listen", "9092"], "invalid socket address"),
            (&["floor", "--rate", "1"], "'--rate'"),
        ] {
            let text = options(words).unwrap_err();
            assert!(text.contains(says), "{words:?}: {text}");
        }
    }

    #[test]
    fn the_help_fits_a_terminal_of_80_columns_and_names_every_scenario() {
        let mut command = Args::command().after_long_help(after_help());
        command.clone().debug_assert();
        let mut text = command.render_long_help().to_string();
        let floor = command.find_subcommand_mut("floor").unwrap();
        text.push_str(&floor.render_long_help().to_string());
        for line in text.lines() {
            assert!(line.chars().count() <= 80, "{line}");
        }
        for scenario in SCENARIOS {
            assert!(text.contains(scenario.shows), "{}", scenario.name);
        }
    }
}
