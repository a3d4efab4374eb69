//! The program `kith-swarm`: puts a chat server under load and says what came of it.
//!
//! Above `conn`, `wire` and floor 0 of the library, and beside everything else: it is a client. Its
//! modules are the program's own, so that nothing of the server could use them if it tried.
//!
//! ```text
//! args -> Options{Plan, Limits}           scenario  what a run does, as values
//!           |                             schedule  when messages are due; knows no clock
//!           v
//! engine    sockets, the clock  <-----> clients           what it drives, as a trait
//!                                       crowd + hearing   all clients, without either;
//!                                         |               raw: those of any other server
//!                                         |        |
//!                                         |        v
//!                                         |      ledger + listener   who must hear what, who did
//!                                         v        |
//!                                       numbers    v
//!                                         |      verdict
//!                                         v        v
//! watch     /proc ------------------->  report     JSON, and a summary
//!
//! floor     a server of its own: the least that there can be
//! ```

#![cfg_attr(test, allow(clippy::unwrap_used))]

mod args;
mod bounds;
mod breaking;
mod breaks;
mod clients;
mod counting;
mod crowd;
mod engine;
mod failure;
mod files;
mod flap;
mod floor;
mod hearing;
mod interrupt;
mod latency;
mod ledger;
mod listener;
mod numbers;
mod payload;
mod person;
mod raw;
mod report;
mod restarts;
mod scenario;
mod schedule;
#[cfg(test)]
mod scripted;
mod serving;
mod slow;
mod talking;
mod verdict;
mod watch;

use std::env;
use std::fs;
use std::io::{self, Write as _};
use std::net::{SocketAddr, ToSocketAddrs};
use std::process::ExitCode;
use std::time::Duration;

use kith::clock::Moment;
use kith::ids::Entropy;

use crate::args::{Options, Task, Url};
use crate::bounds::FILES_KEPT;
use crate::clients::Clients;
use crate::crowd::{Crowd, Phase, Target};
use crate::engine::Engine;
use crate::failure::Failure;
use crate::floor::Floor;
use crate::interrupt::Interrupts;
use crate::payload::Run;
use crate::raw::{Expect, Opaque, Pings, Raw};
use crate::report::{Report, Watched};
use crate::restarts::Restarts;
use crate::scenario::Speech;
use crate::serving::Service;

fn main() -> ExitCode {
    let done = match args::parse(env::args_os()) {
        Ok(Task::Run(options)) => load(&options),
        Ok(Task::Print(text)) => {
            // Whoever asked may have stopped listening.
            let _ = write!(io::stdout(), "{text}");
            Ok(ExitCode::SUCCESS)
        }
        Ok(Task::Floor(address)) => serve(address),
        // Help goes to standard output with status 0, a mistake to standard error with 2.
        Err(error) => error.exit(),
    };
    done.unwrap_or_else(|failure| {
        // If standard error is gone, the exit status still tells.
        let _ = writeln!(io::stderr(), "error: {failure}");
        ExitCode::FAILURE
    })
}

/// Puts a server under load, and says what came of it.
fn load(options: &Options) -> Result<ExitCode, Failure> {
    let report = run(options).and_then(|report| write(options, report))?;
    let _ = writeln!(io::stdout(), "{report}");
    Ok(if report.held {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// Is the floor, until somebody ends the process.
fn serve(address: SocketAddr) -> Result<ExitCode, Failure> {
    files::all()?;
    let listening = |error| Failure::Listen(address, error);
    let mut floor = Floor::bind(address).map_err(listening)?;
    let bound = floor.address().map_err(listening)?;
    // Whoever started it may not be interested.
    let _ = writeln!(io::stdout(), "listening on ws://{bound}/");
    match floor.serve() {
        Ok(never) => match never {},
        Err(error) => Err(Failure::System("waiting for events", error)),
    }
}

/// Whatever is spoken: from the first connection to the closed books.
fn run(options: &Options) -> Result<Report, Failure> {
    let target = target(&options.url)?;
    let address = target.address;
    let (plan, (expect, offer)) = (options.plan, options.raw.clone());
    // Masks and the like: asking the kernel for each would cost more than what is sent.
    let mut entropy = Entropy::Seeded(Entropy::System.u64());
    let run = Run(entropy.u64());
    match plan.speech {
        Speech::Kith => drive(options, address, |now| {
            Crowd::new(plan, target, entropy, now)
        }),
        Speech::Pings => drive(options, address, |now| {
            let pings = Pings::new(run);
            Raw::new(pings, Expect::Echo, run, plan, target, entropy, now)
        }),
        Speech::Raw => drive(options, address, |now| {
            let size = plan.size;
            let opaque = Opaque { run, size, offer };
            Raw::new(opaque, expect, run, plan, target, entropy, now)
        }),
    }
}

/// Lets a set of clients do what it does, and looks at the server meanwhile.
fn drive<C: Clients>(
    options: &Options,
    address: SocketAddr,
    clients: impl FnOnce(Moment) -> C,
) -> Result<Report, Failure> {
    let sockets = options.plan.clients + options.plan.flapping();
    files::at_least(u64::from(sockets) + FILES_KEPT)?;
    let mut engine = Engine::new(address, sockets)?;
    let mut restarts = serve_for(options, address, &engine)?;
    let mut interrupts = Interrupts::new()?;
    engine.wake_for(&mut interrupts)?;
    let mut server = match options.pid {
        Some(pid) => Some((pid, look(pid)?)),
        // Not found, or not to be looked at, is no reason not to run.
        None => watch::listener(address).and_then(|pid| Some((pid, watch::usage(pid).ok()?))),
    }
    .map(|(pid, before)| (pid, Watched::since(before)));
    let this = std::process::id();
    let mut own = Watched::since(look(this)?);
    let mut crowd = clients(engine.now());
    let mut progress = Progress::default();
    let mut filled = false;
    while !matches!(crowd.phase(), Phase::Over) {
        let restart = restarts
            .as_ref()
            .map(|restarts| restarts.next(&crowd, engine.now()));
        let until = restart.unwrap_or(Moment(u64::MAX)).min(progress.next());
        engine.turn(&mut crowd, until)?;
        if interrupts.asked() {
            crowd.stop(engine.now());
        }
        if let Some(restarts) = &mut restarts {
            restarts.tend(&mut crowd, engine.now())?;
        }
        progress.tell(&crowd, engine.now());
        if !filled && !matches!(crowd.phase(), Phase::Filling(_)) {
            filled = true;
            own.filled = look(this)?;
            // A server whose process is gone by now has other news for us.
            server = server.and_then(|(pid, mut watched)| {
                watched.filled = watch::usage(pid).ok()?;
                Some((pid, watched))
            });
        }
    }
    own.after = look(this)?;
    server = server.and_then(|(pid, mut watched)| {
        watched.after = watch::usage(pid).ok()?;
        Some((pid, watched))
    });
    let (numbers, verdict) = crowd.finish();
    let lives = restarts.map(|restarts| restarts.finish(|| engine.now()));
    let lives = lives.transpose()?.unwrap_or_default();
    Ok(Report::new(options, &numbers, verdict, server, own, lives))
}

/// Starts the server, if that is asked for.
fn serve_for(
    options: &Options,
    address: SocketAddr,
    engine: &Engine,
) -> Result<Option<Restarts>, Failure> {
    let Some(command) = options.serve.clone() else {
        return Ok(None);
    };
    let service = Service {
        command,
        address,
        output: options.serve_output.clone(),
    };
    Restarts::begin(service, options.plan, || engine.now()).map(Some)
}

/// A line a second while it runs, to standard error, so that the summary stands alone.
#[derive(Debug, Default)]
struct Progress {
    told: Moment,
    deliveries: u64,
}

impl Progress {
    const EVERY: Duration = Duration::from_secs(1);

    fn next(&self) -> Moment {
        self.told.after(Self::EVERY)
    }

    fn tell(&mut self, crowd: &impl Clients, now: Moment) {
        if now < self.next() {
            return;
        }
        let numbers = crowd.numbers();
        let seconds = now.since(self.told).as_secs_f64();
        let rate = (numbers.deliveries - self.deliveries) as f64 / seconds;
        (self.told, self.deliveries) = (now, numbers.deliveries);
        let doing = match crowd.phase() {
            Phase::Filling(_) => "filling",
            Phase::Talking { .. } => "talking",
            Phase::Settling(_) => "settling",
            Phase::Over => "over",
        };
        let (at, inside) = (now.0 / 1_000_000_000, crowd.inside());
        let p99 = numbers.corrected.at(0.99).as_secs_f64() * 1000.0;
        let _ = writeln!(
            io::stderr(),
            "{at:>4} s  {doing:<8}  {inside} in  {rate:.0} deliveries/s  p99 so far {p99:.1} ms"
        );
    }
}

fn write(options: &Options, report: Report) -> Result<Report, Failure> {
    if let Some(path) = &options.json {
        let mut json = serde_json::to_string_pretty(&report)
            .map_err(|error| Failure::Report(path.clone(), error.into()))?;
        json.push('\n');
        fs::write(path, json).map_err(|error| Failure::Report(path.clone(), error))?;
    }
    Ok(report)
}

fn look(pid: u32) -> Result<watch::Usage, Failure> {
    watch::usage(pid).map_err(|error| Failure::NoProcess(pid, error))
}

fn target(url: &Url) -> Result<Target, Failure> {
    let none = || io::Error::from(io::ErrorKind::NotFound);
    let address = (url.host.as_str(), url.port)
        .to_socket_addrs()
        .and_then(|mut all| all.next().ok_or_else(none))
        .map_err(|error| Failure::NoHost(url.host.clone(), error))?;
    Ok(Target {
        address,
        host: url.authority(),
        path: url.path.clone(),
    })
}
