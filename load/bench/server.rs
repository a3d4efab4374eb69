//! The real server as a process of its own, and what the kernel says of it.

// Each bench uses a part of this.
#![allow(dead_code)]

use std::fs;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

/// A server on a free port with a folder of its own; both are gone when it is dropped.
pub struct Server {
    child: Child,
    folder: PathBuf,
    address: SocketAddr,
}

/// How long anything may take that is not measured.
const PATIENCE: Duration = Duration::from_secs(60);

impl Server {
    /// Starts it with these settings, `key=value`.
    pub fn start(settings: &[&str]) -> Self {
        let folder = std::env::temp_dir().join(format!("kith-bench-{}", std::process::id()));
        let mut command = Command::new(env!("CARGO_BIN_EXE_kith"));
        command.args(["--listen", "127.0.0.1:0", "--data"]);
        command.arg(&folder);
        for setting in settings {
            command.args(["--set", setting]);
        }
        let mut child = command
            .stdout(Stdio::piped())
            .spawn()
            .expect("the server is built and starts");
        let mut lines = BufReader::new(child.stdout.take().expect("it is piped"));
        let mut line = String::new();
        let address = loop {
            line.clear();
            let read = lines.read_line(&mut line).expect("its log is text");
            assert!(read > 0, "the server ended at once");
            let rest = line.split_once("listening on http://");
            if let Some((address, _)) = rest.and_then(|(_, rest)| rest.split_once('/')) {
                break address.parse().expect("an address");
            }
        };
        // Somebody reads its log, as in production.
        thread::spawn(move || io::copy(&mut lines, &mut io::sink()));
        Self {
            child,
            folder,
            address,
        }
    }

    /// Where it listens.
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Its process.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// A number of `/metrics`.
    pub fn metric(&self, name: &str) -> u64 {
        let text = self.metrics().expect("it answers");
        let value = text
            .lines()
            .find_map(|line| line.strip_prefix(name)?.trim().parse().ok());
        value.expect("the number is there")
    }

    fn metrics(&self) -> io::Result<String> {
        let mut socket = TcpStream::connect(self.address)?;
        socket.write_all(b"GET /metrics HTTP/1.1\r\nHost: bench\r\nConnection: close\r\n\r\n")?;
        let mut text = String::new();
        socket.read_to_string(&mut text)?;
        Ok(text)
    }

    /// Waits until a number of `/metrics` is this.
    pub fn wait_for(&self, name: &str, value: u64) {
        let begun = Instant::now();
        while self.metric(name) != value {
            assert!(begun.elapsed() < PATIENCE, "{name} does not become {value}");
            thread::sleep(Duration::from_millis(50));
        }
    }

    /// Processor time of each thread so far, by name: in user space, and in the kernel.
    pub fn threads(&self) -> Vec<(String, Duration, Duration)> {
        let tasks = fs::read_dir(format!("/proc/{}/task", self.pid())).expect("it lives");
        let stat = |task: fs::DirEntry| fs::read_to_string(task.path().join("stat")).ok();
        tasks
            .flatten()
            .filter_map(stat)
            .filter_map(|stat| thread_time(&stat))
            .collect()
    }

    /// What of its memory is resident, from `smaps_rollup`.
    pub fn memory(&self) -> Memory {
        let text =
            fs::read_to_string(format!("/proc/{}/smaps_rollup", self.pid())).expect("it lives");
        let bytes = |name: &str| {
            let line = text.lines().find_map(|line| line.strip_prefix(name));
            let number = line.and_then(|line| line.trim().strip_suffix(" kB"));
            number.and_then(|kb| kb.parse::<i64>().ok()).unwrap_or(0) * 1024
        };
        Memory {
            rss: bytes("Rss:"),
            pss: bytes("Pss:"),
            dirty: bytes("Private_Dirty:"),
        }
    }
}

/// Bytes of a process.
#[derive(Clone, Copy, Debug)]
pub struct Memory {
    /// Resident, what is shared with other processes included.
    pub rss: i64,
    /// The same, with only its share of what is shared.
    pub pss: i64,
    /// Written by it and in nobody else's hands.
    pub dirty: i64,
}

/// Name, user and system time of a line of `/proc/PID/task/TID/stat` (proc(5): fields 2, 14, 15, in
/// hundredths of a second).
fn thread_time(stat: &str) -> Option<(String, Duration, Duration)> {
    let (before, after) = stat.rsplit_once(')')?;
    let (_, name) = before.split_once('(')?;
    let mut fields = after.split_whitespace().skip(11);
    let mut ticks = || fields.next()?.parse::<u64>().ok();
    let time = |ticks: u64| Duration::from_millis(ticks * 10);
    Some((name.to_owned(), time(ticks()?), time(ticks()?)))
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended by itself, and the folder may be gone.
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = fs::remove_dir_all(&self.folder);
    }
}
