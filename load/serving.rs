//! A server that the swarm starts, ends and starts again.
//!
//! One command, one process group, one life after the other. What the server prints goes into a
//! file, so that a start that fails can be quoted. Nothing of it outlives the swarm: the last
//! life is ended in order, or killed when the run fails; and if the swarm itself is killed, the
//! kernel kills the server (`prctl(2)`, PR_SET_PDEATHSIG). Knows nothing of clients.

use std::fs::{File, OpenOptions};
use std::io;
use std::net::{SocketAddr, TcpStream};
use std::os::fd::FromRawFd;
use std::os::unix::fs::FileExt;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};

use kith::clock::Moment;

use crate::bounds::{SERVE_CONNECT, SERVE_END, SERVE_OUTPUT, SERVE_QUOTED, SERVE_START};
use crate::failure::Failure;

/// What is to be started, and where it can be reached then.
#[derive(Clone, Debug)]
pub struct Service {
    /// One command for `sh`, which becomes it (`exec`).
    pub command: String,
    /// Where it listens.
    pub address: SocketAddr,
    /// Where its output goes. Without a name it is kept as long as the swarm runs.
    pub output: Option<PathBuf>,
}

/// The server, in one of its lives.
#[derive(Debug)]
pub struct Serving {
    service: Service,
    output: File,
    child: Child,
    state: State,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// It was started, and must be there until then.
    Starting(Moment),
    Up,
    /// It was told to end, and must have until then.
    Ending(Moment),
    Ended,
}

/// What became of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum News {
    /// It can be reached.
    Up,
    /// It has ended, as it was asked to.
    Ended(ExitStatus),
}

impl Serving {
    /// Starts it for the first time; [`Serving::poll`] says when it is there.
    ///
    /// # Errors
    /// Somebody else serves there already, or the output cannot be written, or there is no `sh`.
    pub fn start(service: Service, now: Moment) -> Result<Self, Failure> {
        if reachable(service.address) {
            return Err(Failure::Taken(service.address));
        }
        let output = match &service.output {
            Some(path) => OpenOptions::new()
                .create(true)
                .append(true)
                .read(true)
                .open(path)
                .map_err(|error| Failure::Output(path.clone(), error))?,
            None => nameless().map_err(|error| Failure::System("asking for memory", error))?,
        };
        let child = spawn(&service.command, &output)?;
        Ok(Self {
            service,
            output,
            child,
            state: State::Starting(now.after(SERVE_START)),
        })
    }

    /// Its process.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// What is started.
    pub const fn service(&self) -> &Service {
        &self.service
    }

    /// Whether it is there and was not asked to end.
    pub fn is_up(&self) -> bool {
        self.state == State::Up
    }

    /// Whether it was asked to end, and has not.
    pub fn is_ending(&self) -> bool {
        matches!(self.state, State::Ending(_))
    }

    /// Tells it to end.
    pub fn drain(&mut self, now: Moment) {
        self.end(libc::SIGTERM, now);
    }

    /// Kills it.
    pub fn kill(&mut self, now: Moment) {
        self.end(libc::SIGKILL, now);
    }

    /// Starts it again, after it has ended.
    ///
    /// # Errors
    /// There are no processes left.
    pub fn again(&mut self, now: Moment) -> Result<(), Failure> {
        self.child = spawn(&self.service.command, &self.output)?;
        self.state = State::Starting(now.after(SERVE_START));
        Ok(())
    }

    /// What is new; never waits.
    ///
    /// # Errors
    /// It ended without having been asked to, or did not get ready or did not end in time.
    pub fn poll(&mut self, now: Moment) -> Result<Option<News>, Failure> {
        self.shorten();
        let system = |error| Failure::System("asking what the server does", error);
        let ended = match self.state {
            State::Ended => None,
            _ => self.child.try_wait().map_err(system)?,
        };
        match (self.state, ended) {
            (State::Ending(_), Some(status)) => {
                self.state = State::Ended;
                Ok(Some(News::Ended(status)))
            }
            (State::Ending(by), None) if now >= by => {
                let why = format!("it did not end within {} s", SERVE_END.as_secs());
                Err(self.failure(why))
            }
            (State::Starting(_), None) if reachable(self.service.address) => {
                self.state = State::Up;
                Ok(Some(News::Up))
            }
            (State::Starting(by), None) if now >= by => {
                let Service { address, .. } = self.service;
                let seconds = SERVE_START.as_secs();
                Err(self.failure(format!("nobody listens at {address} after {seconds} s")))
            }
            (State::Starting(_) | State::Up, Some(status)) => {
                self.state = State::Ended;
                Err(self.failure(format!("it ended by itself ({})", said(status))))
            }
            _ => Ok(None),
        }
    }

    fn end(&mut self, signal: i32, now: Moment) {
        signal_group(&self.child, signal);
        self.state = State::Ending(now.after(SERVE_END));
    }

    fn failure(&self, why: String) -> Failure {
        Failure::Served {
            command: self.service.command.clone(),
            why,
            last: self.last_words(),
        }
    }

    /// The end of what it printed.
    fn last_words(&self) -> String {
        let len = self.output.metadata().map_or(0, |data| data.len());
        let mut bytes = vec![0; SERVE_QUOTED];
        let from = len.saturating_sub(SERVE_QUOTED as u64);
        let count = self.output.read_at(&mut bytes, from).unwrap_or_default();
        let text = String::from_utf8_lossy(&bytes[..count]).into_owned();
        // What begins in the middle of a line is no line.
        match text.split_once('\n') {
            Some((_, rest)) if from > 0 => rest.trim_end().to_owned(),
            _ => text.trim_end().to_owned(),
        }
    }

    /// What nobody asked to keep does not fill the disk. Written at the end of the file, whatever
    /// its length is.
    fn shorten(&self) {
        let len = self.output.metadata().map_or(0, |data| data.len());
        if self.service.output.is_none() && len > SERVE_OUTPUT {
            // Where it fails, it is tried again.
            let _ = self.output.set_len(0);
        }
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        if self.state != State::Ended {
            signal_group(&self.child, libc::SIGKILL);
            let _ = self.child.wait();
        }
    }
}

/// How a process ended.
pub fn said(status: ExitStatus) -> String {
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("status {code}"),
        (None, Some(signal)) => format!("signal {signal}"),
        (None, None) => "without a status".to_owned(),
    }
}

fn spawn(command: &str, output: &File) -> Result<Child, Failure> {
    let system = |error| Failure::System("starting what --serve says", error);
    let copy = || output.try_clone().map(Stdio::from).map_err(system);
    let mut shell = Command::new("sh");
    shell.arg("-c").arg(format!("exec {command}"));
    shell.stdin(Stdio::null()).stdout(copy()?).stderr(copy()?);
    shell.process_group(0);
    // Between fork and exec only what is async-signal-safe may be called; this is a system call.
    // It is the main thread that calls, which lives as long as the process.
    unsafe {
        shell.pre_exec(
            || match libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) {
                0 => Ok(()),
                _ => Err(io::Error::last_os_error()),
            },
        );
    }
    shell.spawn().map_err(system)
}

/// To the whole group, in case the command made children.
fn signal_group(child: &Child, signal: i32) {
    if let Ok(pid) = i32::try_from(child.id()) {
        // A number that is not reused before `wait`; that nobody is left in the group is no error.
        unsafe { libc::kill(-pid, signal) };
    }
}

fn reachable(address: SocketAddr) -> bool {
    TcpStream::connect_timeout(&address, SERVE_CONNECT).is_ok()
}

/// A file in memory, gone when everybody has closed it. Written at its end, like one with a name.
fn nameless() -> io::Result<File> {
    // The name is a string that ends with 0, and is only shown.
    let fd = unsafe { libc::memfd_create(c"output".as_ptr(), libc::MFD_CLOEXEC) };
    if fd == -1 {
        return Err(io::Error::last_os_error());
    }
    // A descriptor that nobody else has.
    let file = unsafe { File::from_raw_fd(fd) };
    match unsafe { libc::fcntl(fd, libc::F_SETFL, libc::O_APPEND) } {
        -1 => Err(io::Error::last_os_error()),
        _ => Ok(file),
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::time::Duration;

    use super::*;

    fn service(command: &str, address: SocketAddr) -> Service {
        Service {
            command: command.to_owned(),
            address,
            output: None,
        }
    }

    /// A port that nobody listens on, as long as nobody else thinks of it.
    fn free() -> SocketAddr {
        let socket = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        socket.local_addr().unwrap()
    }

    /// Asks until there is an answer; so much time passes each time.
    fn poll(serving: &mut Serving, step: Duration) -> Result<News, String> {
        let mut now = Moment(0);
        loop {
            match serving.poll(now) {
                Ok(Some(news)) => return Ok(news),
                Ok(None) => now = now.after(step),
                Err(failure) => return Err(failure.to_string()),
            }
            std::thread::yield_now();
        }
    }

    #[test]
    fn whoever_does_not_serve_is_quoted() {
        let command = "printf 'one\\ntwo: no such folder\\n' >&2; exit 3";
        let mut serving =
            Serving::start(service(&format!("sh -c \"{command}\""), free()), Moment(0)).unwrap();
        let why = poll(&mut serving, Duration::ZERO).unwrap_err();
        assert!(why.contains("it ended by itself (status 3)"), "{why}");
        assert!(why.contains("two: no such folder"), "{why}");
        let mut idle =
            Serving::start(service("cat /dev/zero >/dev/null", free()), Moment(0)).unwrap();
        let why = poll(&mut idle, SERVE_START).unwrap_err();
        assert!(why.contains("nobody listens at 127.0.0.1:"), "{why}");
    }

    #[test]
    fn a_place_that_is_taken_is_not_served_from() {
        let socket = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let taken = service("true", socket.local_addr().unwrap());
        let why = Serving::start(taken, Moment(0)).unwrap_err().to_string();
        assert!(why.contains("somebody listens at"), "{why}");
    }

    #[test]
    fn what_was_started_ends_with_it_and_with_all_its_children() {
        let command = "sh -c 'cat /dev/zero >/dev/null & echo $! >&2; wait'";
        let serving = Serving::start(service(command, free()), Moment(0)).unwrap();
        let child: u32 = loop {
            match serving.last_words().parse() {
                Ok(pid) => break pid,
                Err(_) => std::thread::yield_now(),
            }
        };
        let pid = serving.pid();
        drop(serving);
        // The one was waited for; the other is an orphan, whom init has to wait for.
        assert!(!Path::new(&format!("/proc/{pid}")).exists());
        let runs = || {
            let stat = std::fs::read_to_string(format!("/proc/{child}/stat"));
            stat.is_ok_and(|stat| !stat.contains(") Z "))
        };
        while runs() {
            std::thread::yield_now();
        }
    }
}
