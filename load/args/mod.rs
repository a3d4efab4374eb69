//! The command line: what was typed, checked, as the values that the run takes.

mod file;
mod fits;
mod limits;
mod plan;
mod raw;
mod url;
mod values;

use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::error::ErrorKind;
use clap::{CommandFactory, FromArgMatches, Parser};

pub use self::raw::Offer;
pub use self::url::Url;

use self::file::{Chosen, parse_scenario};
use self::fits::fits;
use self::limits::LimitArgs;
use self::plan::PlanArgs;
use self::raw::RawArgs;
use self::url::parse_url;
use crate::bounds::{SEARCH_LEAST, SEARCH_P99, SEARCH_STEP};
use crate::raw::Expect;
use crate::scenario::{Plan, Restart, SCENARIOS, Scenario};
use crate::verdict::{Fault, Limits};

/// What the program is to do.
#[derive(Clone, Debug)]
pub enum Task {
    /// Put a server under load.
    Run(Box<Options>),
    /// Print this, which is a scenario as a file.
    Print(String),
    /// Be the server that does the least, and listen there.
    Floor(SocketAddr),
    /// Print the schema of reports.
    Schema,
}

/// Everything that is asked for of a run.
#[derive(Clone, Debug)]
pub struct Options {
    /// The scenario's name, or its file's.
    pub scenario: String,
    /// Its numbers, as far as they were not given otherwise.
    pub plan: Plan,
    /// Where the server is.
    pub url: Url,
    /// Who hears a message of `raw`, and what it asks for.
    pub raw: (Expect, Offer),
    /// What is good enough.
    pub limits: Limits,
    /// Whether to look for the highest rate at which that is so.
    pub search: bool,
    /// What starts the server, if the swarm is to do that: a command for `sh`.
    pub serve: Option<String>,
    /// Where the output of that goes.
    pub serve_output: Option<PathBuf>,
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
    /// What to do, or a file that says it; `--help` says what each shows
    #[arg(required = true, value_parser = parse_scenario)]
    scenario: Option<Chosen>,
    #[command(subcommand)]
    instead: Option<Instead>,
    /// The server [default: ws://127.0.0.1:9091/ws; raw: the floor's]
    #[arg(long, value_parser = parse_url)]
    url: Option<Url>,
    #[command(flatten)]
    plan: PlanArgs,
    /// The server's process, if it is not to be found by its port
    #[arg(long)]
    pid: Option<u32>,
    /// Start this one command, stop it at the end (variables: `env A=b kith`)
    #[arg(long, value_name = "COMMAND")]
    serve: Option<String>,
    /// Where its output goes; otherwise only its last words are kept
    #[arg(long, requires = "serve", value_name = "FILE")]
    serve_output: Option<PathBuf>,
    /// Raise the rate until a limit breaks; say what the server sustains
    #[arg(long)]
    search: bool,
    /// Print the scenario as a file, and do nothing else
    #[arg(long)]
    print: bool,
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
    let mut words: Vec<_> = words.into_iter().collect();
    let args = typed(&words)?;
    match args.instead {
        Some(Instead::Floor { listen }) => return Ok(Task::Floor(listen)),
        Some(Instead::Schema) => return Ok(Task::Schema),
        None => {}
    }
    let chosen = args
        .scenario
        .clone()
        .expect("clap requires it without a subcommand");
    let (name, base, args) = match chosen {
        Chosen::Named(found) => (found.name.to_owned(), found, args),
        Chosen::File(path) => {
            let said = file::read(&path).map_err(|why| wrong(&why))?;
            // Behind the program's name, and in front of everything that is typed.
            words.splice(1..1, said.words);
            (path.display().to_string(), said.base, typed(&words)?)
        }
    };
    let mut plan = args.plan.plan(&base.plan);
    if args.print {
        let printed = Scenario { plan, ..*base };
        return Ok(Task::Print(file::print(&printed, &args.limits.limits())));
    }
    let mut limits = args.limits.limits();
    if args.search {
        search(&mut plan, &mut limits, args.plan.duration())?;
    }
    fits(&plan, &args.raw, &limits, args.serve.is_some()).map_err(|why| wrong(&why))?;
    Ok(Task::Run(Box::new(Options {
        scenario: name,
        limits,
        search: args.search,
        url: args.url.unwrap_or_else(|| Url::usual(plan.speech)),
        raw: args.raw.into_parts(),
        plan,
        serve: args.serve,
        serve_output: args.serve_output,
        pid: args.pid,
        json: args.json,
        html: args.html,
    })))
}

/// What a search needs besides.
fn search(plan: &mut Plan, limits: &mut Limits, step: Option<Duration>) -> Result<(), clap::Error> {
    if plan.restart != Restart::Never || plan.waves > 0 {
        return Err(wrong(
            "a search is for a server that is left alone: leave out --restart and --waves",
        ));
    }
    if plan.flood || plan.pace.rate < SEARCH_LEAST || plan.talkers() == 0 {
        return Err(wrong(
            "a search begins with a rate: name one with --rate, and some --talkers; no --flood",
        ));
    }
    plan.pace.duration = step.unwrap_or(SEARCH_STEP);
    plan.pace.ramp = Duration::ZERO;
    if limits.latency.is_empty() {
        limits.latency.push(("p99", 0.99, SEARCH_P99));
    }
    Ok(())
}

fn typed(words: &[OsString]) -> Result<Args, clap::Error> {
    let command = Args::command().after_long_help(after_help());
    Args::from_arg_matches_mut(&mut command.try_get_matches_from(words)?)
}

fn wrong(why: &str) -> clap::Error {
    Args::command().error(ErrorKind::ValueValidation, why)
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
    use std::time::Duration;

    use super::*;
    use crate::scenario;

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
            (&["storm", "--search"], "leave out --restart and --waves"),
            (&["idle", "--search"], "name one with --rate"),
            (&["lobby", "--cut", "2"], "from 0 to 1"),
            (&["raw", "--slow", "0.1"], "for what can be resumed"),
            (&["lobby", "--flood", "--cut", "1"], "connections that stay"),
            (&["lobby", "--flood", "--max-p99", "1s"], "a flood has none"),
            (&["lobby", "--count", "--cut", "1"], "leave out --cut"),
            (&["lobby", "--expect", "echo"], "are for raw"),
            (&["ping", "--count"], "here nobody does"),
            (&["ping", "--cut", "1"], "for what can be resumed"),
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
            (&["lobby", "--clients", "0"], "1 to 1000000 clients"),
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
