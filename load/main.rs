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
//! watch     /proc ---> observe ------->  report     JSON, a summary, a page
//!                         |  series                 a sample a second, marks
//!                         v
//!                      progress                     on the terminal while it runs
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
mod observe;
mod page;
mod payload;
mod person;
mod progress;
mod raw;
mod report;
mod restarts;
mod saving;
mod scenario;
mod schedule;
#[cfg(test)]
mod scripted;
mod search;
mod searching;
mod series;
mod serving;
mod slow;
mod talking;
mod units;
mod verdict;
mod watch;

use std::env;
use std::io::{self, Write as _};
use std::net::{SocketAddr, ToSocketAddrs};
use std::process::ExitCode;
use std::time::Instant;

use kith::clock::Moment;
use kith::ids::Entropy;
use time::OffsetDateTime;

use crate::args::{Options, Task, Url};
use crate::bounds::FILES_KEPT;
use crate::clients::Clients;
use crate::crowd::{Crowd, Phase, Target};
use crate::engine::Engine;
use crate::failure::Failure;
use crate::floor::Floor;
use crate::interrupt::Interrupts;
use crate::observe::{Observer, Scene};
use crate::payload::Run;
use crate::progress::Progress;
use crate::raw::{Expect, Opaque, Pings, Raw};
use crate::report::{Report, SCHEMA, Seen};
use crate::restarts::Restarts;
use crate::scenario::Speech;
use crate::search::Ended;
use crate::searching::Searching;
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
        Ok(Task::Schema) => {
            let _ = write!(io::stdout(), "{SCHEMA}");
            Ok(ExitCode::SUCCESS)
        }
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
    saving::check(options)?;
    let report = run(options)?;
    // Whatever becomes of the files, it can be read here.
    let _ = writeln!(io::stdout(), "{report}");
    saving::save(options, &report)?;
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
    let mut restarts = serve_for(options, address)?;
    // Looking for the server takes its time, so the clock starts after it.
    let mut observer = Observer::new(options.pid, address, progress(options))?;
    let mut engine = Engine::new(address, sockets)?;
    let mut interrupts = Interrupts::new()?;
    engine.wake_for(&mut interrupts)?;
    let started = OffsetDateTime::now_utc();
    let mut crowd = clients(engine.now());
    let mut search = Searching::new(options)?;
    let ended = loop {
        while !matches!(crowd.phase(), Phase::Over) {
            let restart = restarts.as_ref().map(|one| one.next(&crowd, engine.now()));
            let until = restart.unwrap_or(Moment(u64::MAX)).min(observer.next());
            engine.turn(&mut crowd, until)?;
            if interrupts.asked() {
                crowd.stop(engine.now());
            }
            if let Some(restarts) = &mut restarts {
                restarts.tend(&mut crowd, engine.now())?;
            }
            let now = engine.now();
            observer.look(&Scene::of(&crowd, &options.plan, now), now);
        }
        match search
            .as_mut()
            .map(|search| search.step(&mut crowd, engine.now()))
        {
            None => break Ended::Found,
            Some(Some(ended)) => break ended,
            Some(None) => {}
        }
    };
    let (numbers, verdict) = crowd.finish();
    let found = search.map(|search| search.finish(ended));
    let observed = observer.finish(&numbers);
    // A server that is asked to end waits some seconds for those who are still connected.
    engine.hang_up();
    let served = restarts.map(|restarts| restarts.finish(|| engine.now()));
    let served = served.transpose()?;
    let seen = Seen {
        observed,
        served,
        found,
    };
    Ok(Report::new(options, started, &numbers, verdict, seen))
}

/// Starts the server, if that is asked for.
fn serve_for(options: &Options, address: SocketAddr) -> Result<Option<Restarts>, Failure> {
    let Some(command) = options.serve.clone() else {
        return Ok(None);
    };
    let service = Service {
        command,
        address,
        output: options.serve_output.clone(),
    };
    let began = Instant::now();
    let clock = || Moment(began.elapsed().as_nanos() as u64);
    Restarts::begin(service, options.plan, clock).map(Some)
}

fn progress(options: &Options) -> Progress {
    let title = format!("{} at {}", options.scenario, options.url);
    let of = |name| env::var(name).ok();
    let (term, no_color) = (of("TERM"), of("NO_COLOR"));
    Progress::new(title, term.as_deref(), no_color.as_deref())
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
