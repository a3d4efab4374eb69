//! Assembly: from settings to a running server, and from its end to an exit code.
//!
//! Floor 5. Everything that can go wrong at the start goes wrong here, within a second, and with
//! one line that says what, where and what to do. What the parts do with each other is theirs.

use std::fmt;
use std::io::{self, Write};
use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::atomic::Ordering;
use std::sync::mpsc;
use std::thread;
use std::time::Instant;

use crate::auth::GuestKey;
use crate::chat::bucket::Rate;
use crate::chat::hub::{Hub, Settings};
use crate::chat::log::empty;
use crate::cli::args::{Args, Command, Environment};
use crate::cli::check;
use crate::cli::config::{Config, ConfigError};
use crate::cli::layers::{self, Loaded};
use crate::conn::{ConnConfig, OriginPolicy, Shared};
use crate::event_loop::{End, EventLoop, Listener, Poller, Setup};
use crate::ids::{Entropy, Epoch};
use crate::limits::{FILES_KEPT, STORE_CLOSE_WAIT};
use crate::logging::{CannotLog, Logging};
use crate::signals::Signals;
use crate::store::{self, Lanes, OpenError, Opened, Place};
use crate::wire::Greeting;

/// What `welcome` tells clients that this server can do, beyond what every version can.
const FEATURES: &[&str] = &["resume", "cursors", "keys", "watch"];

/// Does what was typed.
pub fn run(args: &Args, environment: &Environment) -> ExitCode {
    let command = args.command.unwrap_or(Command::Serve);
    if command == Command::Settings {
        return print(&check::manual());
    }
    let loaded = match layers::load(&args.overrides, environment) {
        Ok(loaded) => loaded,
        Err(errors) => return fail(&Failure::Settings(errors)),
    };
    if command == Command::Check {
        return print(&check::report(&loaded));
    }
    match serve(loaded) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => fail(&failure),
    }
}

/// Why the server did not start, or did not go on.
#[derive(Debug)]
pub enum Failure {
    /// The operator's: settings that cannot be used.
    Settings(Vec<ConfigError>),
    /// The operator's or the system's: no log.
    Log(CannotLog),
    /// The operator's or the disk's: the data cannot be used.
    Data(OpenError),
    /// The disk's: what was said last may or may not be stored.
    Store(String),
    /// The operator's: nobody can be listened to there.
    Listen {
        /// Where.
        address: SocketAddr,
        /// Why.
        error: io::Error,
    },
    /// The system's: it refused something that a server cannot do without.
    System {
        /// What was to be done.
        doing: &'static str,
        /// Why it was not.
        error: io::Error,
    },
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Settings(errors) => f.write_str(check::complaint(errors).trim_end()),
            Self::Log(error) => write!(f, "error: {error}"),
            Self::Data(error) => write!(f, "error: {error}"),
            Self::Store(reason) => write!(
                f,
                "error: the disk failed while messages were stored: {reason}; look after it, then \
                 start again: what was acknowledged is there"
            ),
            Self::Listen { address, error } => {
                write!(f, "error: cannot listen on {address}: ")?;
                let port = address.port();
                match error.kind() {
                    io::ErrorKind::AddrInUse => write!(
                        f,
                        "port {port} is in use, perhaps by another Kith; choose another, such as \
                         --listen {}:{}",
                        Host(address),
                        if port == u16::MAX { port - 1 } else { port + 1 }
                    ),
                    io::ErrorKind::AddrNotAvailable => f.write_str(
                        "this machine does not have that address; --listen 0.0.0.0:9091 takes all \
                         that it has",
                    ),
                    io::ErrorKind::PermissionDenied => write!(
                        f,
                        "port {port} is not for everybody; choose one from 1024 on with --listen"
                    ),
                    _ => write!(f, "{error}; choose another address with --listen"),
                }
            }
            Self::System { doing, error } => write!(f, "error: {doing}: {error}"),
        }
    }
}

impl std::error::Error for Failure {}

/// An address without its port, as it is written before one.
struct Host<'a>(&'a SocketAddr);

impl fmt::Display for Host<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            SocketAddr::V4(v4) => write!(f, "{}", v4.ip()),
            SocketAddr::V6(v6) => write!(f, "[{}]", v6.ip()),
        }
    }
}

fn serve(loaded: Loaded) -> Result<(), Failure> {
    let log = &loaded.config.log;
    let logging = Logging::start(log.level, log.targets.clone()).map_err(Failure::Log)?;
    for warning in &loaded.warnings {
        log::warn!("{warning}");
    }
    let outcome = host(loaded.config, &logging);
    logging.stop();
    outcome
}

/// Puts the parts together, runs the loop until it ends, closes the store.
fn host(mut config: Config, logging: &Logging) -> Result<(), Failure> {
    let started = Instant::now();
    // Before anybody can reach the port and take that for a sign that this has begun.
    let signals = Signals::new().map_err(system("taking signals over"))?;
    let files = raise_files().map_err(system("asking how many files may be open"))?;
    let most = u32::try_from(files.saturating_sub(FILES_KEPT as u64)).unwrap_or(u32::MAX);
    if most < config.limits.connections {
        log::info!("{files} files may be open, so at most {most} connections");
        config.limits.connections = most.max(1);
    }
    // The port first: whoever starts a second server by mistake learns of it before anything else.
    let listener = Listener::bind(config.listen).map_err(|error| Failure::Listen {
        address: config.listen,
        error,
    })?;
    let address = listener
        .local_addr()
        .map_err(system("asking for the port"))?;
    let place = Place::Folder(config.data.clone());
    let keep = u64::from(config.lobby.keep);
    let opened = store::open(
        &store::Config {
            place,
            lobby_keep: keep,
        },
        Entropy::System,
    )
    .map_err(Failure::Data)?;
    let setup = setup(&config, &opened, logging);
    let poller = Poller::new().map_err(system("asking for a poller"))?;
    let lanes = opened.start(poller.wake()).map_err(Failure::Data)?;
    let event_loop = EventLoop::new(poller, listener, signals, started, setup, lanes)
        .map_err(system("waiting for events"))?;
    let (ready, data) = (started.elapsed().as_millis(), config.data.display());
    log::info!("listening on http://{address}/, data in {data}, ready after {ready} ms");
    let (end, lanes) = event_loop.run();
    if matches!(end, End::Drained) {
        close(lanes);
    }
    // Otherwise a disk that hangs would hold us for ever; ending here is no worse than kill -9.
    let dropped = logging.dropped().load(Ordering::Relaxed);
    match end {
        End::Drained if dropped == 0 => log::info!("stopped"),
        End::Drained => log::info!("stopped; {dropped} log lines were dropped on the way"),
        End::CutOff {
            connections,
            commands,
        } => log::warn!(
            "stopped in the middle: {connections} connections did not leave, {commands} questions \
             were not answered by the store"
        ),
        End::StoreFailed(reason) => return Err(Failure::Store(reason)),
        End::Poll(error) => return Err(system("waiting for events")(error)),
    }
    Ok(())
}

/// Lets the store finish, in its own time but not for ever.
fn close(lanes: Lanes) {
    let (done, wait) = mpsc::channel();
    // Nobody waits for this thread: it ends with the process, if not before.
    thread::spawn(move || {
        lanes.join();
        // An error means that nobody is interested any more.
        let _ = done.send(());
    });
    if wait.recv_timeout(STORE_CLOSE_WAIT).is_err() {
        log::warn!("the store did not finish in time; the next start takes up what it left");
    }
}

/// What the settings mean to the loop and the hub.
fn setup(config: &Config, opened: &Opened, logging: &Logging) -> Setup {
    let mut entropy = Entropy::System;
    let mut snapshot = opened.snapshot.clone();
    if !config.lobby.history {
        // A lobby that keeps nothing begins anew with every start, and its epoch says so.
        snapshot.lobby = empty(snapshot.lobby.conv, Epoch(entropy.u64()), false);
    }
    let limits = &config.limits;
    let rate = |per_second, burst| Rate { per_second, burst };
    let settings = Settings {
        talk: rate(limits.talk_rate, limits.talk_burst),
        commands: rate(limits.command_rate, limits.command_burst),
        address_talk: rate(limits.address_talk_rate, limits.address_talk_burst),
    };
    let origins = match &config.origins[..] {
        [] if config.listen.ip().is_loopback() => OriginPolicy::ThisMachine,
        [] => OriginPolicy::SameHost,
        listed => OriginPolicy::Listed(listed.to_vec()),
    };
    Setup {
        hub: Hub::new(settings, snapshot),
        shared: Shared::new(ConnConfig {
            origins,
            ..ConnConfig::default()
        }),
        greeting: Greeting {
            talk_rate: limits.talk_rate,
            talk_burst: limits.talk_burst,
            features: FEATURES.iter().map(|&feature| feature.to_owned()).collect(),
            server: format!("kith/{}", env!("CARGO_PKG_VERSION")),
            ..Greeting::default()
        },
        guests: GuestKey::new(opened.guest_secret),
        entropy,
        connections: limits.connections as usize,
        metrics_public: config.metrics.public,
        log_text: config.log.text,
        log_dropped: logging.dropped(),
    }
}

fn system(doing: &'static str) -> impl FnOnce(io::Error) -> Failure {
    move |error| Failure::System { doing, error }
}

/// Lets the process open as many files as it may ask for, and says how many that are.
fn raise_files() -> io::Result<u64> {
    let mut limit = libc::rlimit {
        rlim_cur: 0,
        rlim_max: 0,
    };
    // Both calls take a pointer to a struct that lives until they return.
    if unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &mut limit) } != 0 {
        return Err(io::Error::last_os_error());
    }
    let wanted = libc::rlimit {
        rlim_cur: limit.rlim_max,
        ..limit
    };
    if unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &wanted) } == 0 {
        limit = wanted;
    }
    Ok(limit.rlim_cur)
}

/// To standard output; a reader that has seen enough (`kith settings | head`) is no failure.
fn print(text: &str) -> ExitCode {
    let mut out = io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => ExitCode::FAILURE,
        _ => ExitCode::SUCCESS,
    }
}

fn fail(failure: &Failure) -> ExitCode {
    // If standard error is gone, the exit code still tells.
    let _ = writeln!(io::stderr(), "{failure}");
    ExitCode::FAILURE
}
