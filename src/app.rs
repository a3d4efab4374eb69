//! Assembly: from settings to a running server, and from its end to an exit code.
//!
//! Floor 5. Everything that can go wrong at the start goes wrong here, within a second, and with
//! one line that says what, where and what to do. What the parts do with each other is theirs.

use std::fmt;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Write};
use std::net::SocketAddr;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use mio::net::TcpListener;
use mio::{Events, Interest, Poll, Token};
use socket2::{Domain, Socket, Type};

use crate::cli::args::{Args, Command, Environment};
use crate::cli::check;
use crate::cli::config::{Config, ConfigError};
use crate::cli::layers::{self, Loaded};
use crate::limits::{BACKLOG, FILES_KEPT};
use crate::logging::{CannotLog, Logging};
use crate::signals::Signals;

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
    /// The operator's: the data folder cannot be made or written to.
    Data {
        /// Which.
        folder: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// The operator's: another server uses the data folder.
    DataInUse {
        /// Which.
        folder: PathBuf,
    },
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
            Self::Data { folder, error } => write!(
                f,
                "error: the data folder {} cannot be used: {error}; choose another with --data",
                folder.display()
            ),
            Self::DataInUse { folder } => write!(
                f,
                "error: another server uses the data folder {}; stop it, or choose another folder \
                 with --data",
                folder.display()
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

/// Everything that the system has granted: what the server runs on.
struct Ground {
    /// As the operator wants it, with `limits.connections` lowered to what is possible.
    config: Config,
    listener: TcpListener,
    signals: Signals,
    /// The data folder belongs to this process as long as this is open.
    _lock: File,
    /// Log lines that were dropped, for the metrics.
    log_dropped: Arc<AtomicU64>,
}

fn serve(loaded: Loaded) -> Result<(), Failure> {
    let log = &loaded.config.log;
    let logging = Logging::start(log.level, log.targets.clone()).map_err(Failure::Log)?;
    for warning in &loaded.warnings {
        log::warn!("{warning}");
    }
    let outcome = prepare(loaded.config, &logging).and_then(host);
    logging.stop();
    outcome
}

fn prepare(mut config: Config, logging: &Logging) -> Result<Ground, Failure> {
    let system = |doing| move |error| Failure::System { doing, error };
    let files = raise_files().map_err(system("asking how many files may be open"))?;
    let most = u32::try_from(files.saturating_sub(FILES_KEPT as u64)).unwrap_or(u32::MAX);
    if most < config.limits.connections {
        log::info!("{files} files may be open, so at most {most} connections");
        config.limits.connections = most.max(1);
    }
    let lock = take_folder(&config.data)?;
    let listener = listen(config.listen).map_err(|error| Failure::Listen {
        address: config.listen,
        error,
    })?;
    let signals = Signals::new().map_err(system("taking signals over"))?;
    Ok(Ground {
        config,
        listener,
        signals,
        _lock: lock,
        log_dropped: logging.dropped(),
    })
}

/// Opens the store, runs the loop until it ends, closes the store.
fn host(mut ground: Ground) -> Result<(), Failure> {
    let system = |doing| move |error| Failure::System { doing, error };
    let address = ground
        .listener
        .local_addr()
        .map_err(system("asking for the port"))?;
    let data = ground.config.data.display();
    log::info!("listening on http://{address}/, data in {data}");
    let mut poll = Poll::new().map_err(system("asking for a poller"))?;
    poll.registry()
        .register(&mut ground.signals, Token(0), Interest::READABLE)
        .map_err(system("waiting for signals"))?;
    let mut events = Events::with_capacity(1);
    while ground.signals.pending().next().is_none() {
        match poll.poll(&mut events, None) {
            Err(error) if error.kind() != io::ErrorKind::Interrupted => {
                return Err(system("waiting for events")(error));
            }
            _ => {}
        }
    }
    let dropped = ground.log_dropped.load(Ordering::Relaxed);
    log::info!("stopped; {dropped} log lines were dropped");
    Ok(())
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

/// Makes the data folder, for its owner only, and keeps other servers out of it. The lock is on
/// the open file and goes with the process, however that ends.
fn take_folder(folder: &Path) -> Result<File, Failure> {
    let unusable = |error| Failure::Data {
        folder: folder.to_owned(),
        error,
    };
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(folder)
        .map_err(unusable)?;
    let lock = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(folder.join("lock"))
        .map_err(unusable)?;
    match lock.try_lock() {
        Ok(()) => Ok(lock),
        Err(TryLockError::WouldBlock) => Err(Failure::DataInUse {
            folder: folder.to_owned(),
        }),
        Err(TryLockError::Error(error)) => Err(unusable(error)),
    }
}

/// By way of socket2, because mio listens with room for 128 connections only: when a crowd comes
/// back at once, the rest would be told nothing and try again a second later.
fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, None)?;
    // A restart must not wait for the connections of its predecessor to be forgotten.
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(TcpListener::from_std(socket.into()))
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
