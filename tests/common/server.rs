//! The real program, started for a test on a port of its own, and ended with it.

use std::io::{BufRead, BufReader};
use std::process::{Child, ChildStdout, Command, Stdio};

use super::Folder;

/// The program, with nothing of this process's environment that it would read.
pub fn kith(words: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_kith"));
    command.args(words).env_clear().stdin(Stdio::null());
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// A server on a port of its own, from the line that says where it listens on.
pub struct Server {
    pub child: Child,
    pub log: Option<BufReader<ChildStdout>>,
    /// `127.0.0.1:PORT`.
    pub address: String,
}

impl Server {
    pub fn start(folder: &Folder) -> Self {
        let mut child = kith(&["--listen", "127.0.0.1:0"])
            .current_dir(folder.path())
            .spawn()
            .unwrap();
        let mut log = BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        let address = loop {
            line.clear();
            assert_ne!(
                log.read_line(&mut line).unwrap(),
                0,
                "it ended before it listened"
            );
            if let Some((_, rest)) = line.split_once("listening on http://") {
                break rest.split('/').next().unwrap().to_owned();
            }
        };
        Self {
            child,
            log: Some(log),
            address,
        }
    }

    pub fn signal(&self, signal: i32) {
        let pid = i32::try_from(self.child.id()).unwrap();
        assert_eq!(unsafe { libc::kill(pid, signal) }, 0);
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
