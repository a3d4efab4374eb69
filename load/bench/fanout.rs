//! The whole server under fan-out, by real clients over real sockets.
//!
//! `cargo bench --bench fanout`, or one scenario by its name. A second process holds all clients on
//! one mio poll; it sends at a fixed rate or, to find the limit, as soon as a talker has its answer.
//! Every entry that everybody is owed is counted; a negative loss means that talkers who had fallen
//! behind were brought their own entries, too, for which a reply stands otherwise. What is told is the
//! server's processor time per delivery, by thread, in user space and in the kernel. `--profile`
//! keeps the server busy for a profiler to be attached to the process whose number is printed.

mod client;
mod crowd;
mod server;
mod table;

use std::env;
use std::process::{Command, ExitCode, Stdio};
use std::time::Duration;

use crowd::{Counted, Crowd};
use kith::wire::Format;
use server::Server;
use table::Table;

/// What the process of the clients is started with.
const DRIVE: &str = "--drive";
/// Without rates, since one address sends everything, and without holes of retention.
const UNLIMITED: [&str; 4] = [
    "limits.talk_rate=0",
    "limits.address_talk_rate=0",
    "limits.command_rate=0",
    "lobby.keep=0",
];

/// One load.
struct Scenario {
    name: &'static str,
    history: bool,
    crowd: Crowd,
}

fn scenarios(seconds: u32) -> Vec<Scenario> {
    let crowd = |talkers, per_second| Crowd {
        listeners: 1_000,
        talkers,
        per_second,
        bytes: 128,
        format: Format::Proto,
        seconds,
    };
    let scenario = |name, history, crowd| Scenario {
        name,
        history,
        crowd,
    };
    vec![
        scenario("live, 1 talks, 100/s", false, crowd(1, 100)),
        scenario("live, 200 talk, 400/s", false, crowd(200, 400)),
        scenario("live, 200 talk, flat out", false, crowd(200, 0)),
        scenario("durable, 200 talk, 400/s", true, crowd(200, 400)),
        scenario("durable, 200 talk, flat out", true, crowd(200, 0)),
    ]
}

fn main() -> ExitCode {
    let args: Vec<String> = env::args().collect();
    if let Some(place) = args.iter().position(|arg| arg == DRIVE) {
        let address = args.get(place + 1).and_then(|word| word.parse().ok());
        let crowd = args.get(place + 2).and_then(|word| Crowd::parse(word));
        let (address, crowd) = address.zip(crowd).expect("an address and a crowd follow");
        let counted = crowd.run(address).expect("the server keeps everybody");
        println!("{counted}");
        return ExitCode::SUCCESS;
    }
    let seconds = if args.iter().any(|arg| arg == "--profile") {
        30
    } else {
        5
    };
    let words: Vec<&String> = args
        .iter()
        .skip(1)
        .filter(|arg| !arg.starts_with("--"))
        .collect();
    let mut table = Table::new(&[
        "1,000 listeners, 128 bytes, protobuf",
        "deliveries/s",
        "loop us/delivery",
        "user",
        "kernel",
        "other threads",
        "writes/delivery",
        "told as holes",
        "lost",
    ]);
    for scenario in scenarios(seconds) {
        if words.is_empty()
            || words
                .iter()
                .any(|word| scenario.name.contains(word.as_str()))
        {
            run(&scenario, &mut table);
        }
    }
    table.print();
    ExitCode::SUCCESS
}

fn run(scenario: &Scenario, table: &mut Table) {
    let history = format!("lobby.history={}", scenario.history);
    let mut settings = UNLIMITED.to_vec();
    settings.push(&history);
    let server = Server::start(&settings);
    println!("{}: process {}", scenario.name, server.pid());
    let (before, writes) = (server.threads(), server.metric("kith_writes_total"));
    let myself = env::current_exe().expect("this program has a path");
    let output = Command::new(myself)
        .args([DRIVE, &server.address().to_string()])
        .arg(scenario.crowd.to_string())
        .stderr(Stdio::inherit())
        .output()
        .expect("this program starts again");
    let told = String::from_utf8_lossy(&output.stdout);
    let counted = Counted::parse(told.trim()).expect("the clients came to an end");
    let deliveries = counted.heard as f64;
    let (mut user, mut kernel, mut others) = (Duration::ZERO, Duration::ZERO, Duration::ZERO);
    for (name, in_user, in_kernel) in server.threads() {
        let earlier = before.iter().find(|(other, ..)| *other == name);
        let (u, k) = earlier.map_or((Duration::ZERO, Duration::ZERO), |(_, u, k)| (*u, *k));
        if name == "kith" {
            user = in_user - u;
            kernel = in_kernel - k;
        } else {
            others += in_user - u + in_kernel - k;
        }
    }
    let writes = server.metric("kith_writes_total") - writes;
    let micros = |time: Duration| format!("{:.3}", time.as_secs_f64() * 1e6 / deliveries);
    table.row(&[
        &scenario.name,
        &format!("{:.0}", deliveries / counted.seconds),
        &micros(user + kernel),
        &micros(user),
        &micros(kernel),
        &micros(others),
        &format!("{:.3}", writes as f64 / deliveries),
        &counted.holes,
        &(counted.owed as i64 - counted.heard as i64 - counted.holes as i64),
    ]);
}
