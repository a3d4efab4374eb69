//! Why a run could not be made: what is wrong, and what to do.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use kith::conn::client::Refused;

/// One sentence for whoever started the swarm.
#[derive(Debug)]
pub enum Failure {
    /// The user's or the network's: the host has no address.
    NoHost(String, io::Error),
    /// Nobody listens there.
    Unreachable(SocketAddr, io::Error),
    /// Somebody listens, and does not grant a WebSocket of the subprotocol that is asked for.
    NoWebSocket(SocketAddr, Refused),
    /// Somebody grants one, and does not say what a chat server says.
    NoChat(SocketAddr, String),
    /// Somebody listens, and let nobody in for so long, without a word why.
    NoAnswer(SocketAddr, Duration),
    /// The server did not let everybody in.
    NotIn {
        /// Who got in.
        got: u32,
        /// Who was to get in.
        of: u32,
        /// What happened to the last one who did not.
        why: String,
    },
    /// The system's limit on open files.
    Files {
        /// How many may be open.
        have: u64,
        /// How many are needed.
        need: u64,
    },
    /// No process of this number can be looked at.
    NoProcess(u32, io::Error),
    /// A server was to be started where somebody else serves.
    Taken(SocketAddr),
    /// The server that the swarm started does not do what a server does.
    Served {
        /// What was started.
        command: String,
        /// What is wrong.
        why: String,
        /// What it printed last.
        last: String,
    },
    /// What that server prints could not be written.
    Output(PathBuf, io::Error),
    /// Somebody stopped it before anybody talked.
    Interrupted,
    /// The floor cannot listen there.
    Listen(SocketAddr, io::Error),
    /// The report could not be written.
    Report(PathBuf, io::Error),
    /// The system refused something that cannot be done without.
    System(&'static str, io::Error),
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoHost(host, error) => write!(f, "{host} has no address: {error}"),
            Self::Unreachable(address, error) => write!(
                f,
                "nobody can be reached at {address}: {error}; start the server, or name its \
                 address with --url"
            ),
            Self::NoWebSocket(address, refused) => write!(
                f,
                "{address} grants no such WebSocket: {}; check address and path of --url",
                said(*refused)
            ),
            Self::NoChat(address, why) => write!(
                f,
                "{address} is no chat server of this protocol: {why}; check address and path of \
                 --url"
            ),
            Self::NoAnswer(address, waited) => write!(
                f,
                "{address} did not answer within {} s, so what it is cannot be told; look whether \
                 it is busy or hangs, and try again, with fewer --clients or a lower \
                 --connect-rate; or check --url",
                waited.as_secs()
            ),
            Self::NotIn { got, of, why } => write!(
                f,
                "only {got} of {of} clients got in: {why}; look at the server's log and at its \
                 limits.connections, or take fewer with --clients"
            ),
            Self::Files { have, need } => write!(
                f,
                "{need} files have to be open and only {have} may be; raise the limit with \
                 `ulimit -n {need}`, or take fewer with --clients"
            ),
            Self::NoProcess(pid, error) => {
                write!(f, "process {pid} cannot be looked at: {error}; check --pid")
            }
            Self::Taken(address) => write!(
                f,
                "somebody listens at {address} already; end that server, or leave --serve out"
            ),
            Self::Served { command, why, last } => {
                write!(f, "`{command}` does not serve: {why}")?;
                match last.as_str() {
                    "" => f.write_str("; it printed nothing"),
                    last => write!(f, "; it printed last:\n{last}"),
                }
            }
            Self::Output(path, error) => {
                let path = path.display();
                write!(f, "cannot write {path}: {error}; check --serve-output")
            }
            Self::Interrupted => f.write_str("interrupted before anybody talked"),
            Self::Listen(address, error) => write!(
                f,
                "cannot listen on {address}: {error}; name another address with --listen"
            ),
            Self::Report(path, error) => {
                write!(
                    f,
                    "cannot write {}: {error}; name another file",
                    path.display()
                )
            }
            Self::System(doing, error) => write!(f, "{doing}: {error}"),
        }
    }
}

impl std::error::Error for Failure {}

/// What somebody did who grants no such WebSocket.
fn said(refused: Refused) -> String {
    match refused {
        Refused::NotHttp => "its answer is not HTTP".to_owned(),
        Refused::Status(status) => format!("it answers {status} instead of 101"),
        Refused::NotWebSocket => "its answer is not that to a WebSocket".to_owned(),
        Refused::Extension => "it uses an extension that nobody offered".to_owned(),
        Refused::Subprotocol => "it does not speak the subprotocol of it".to_owned(),
        Refused::Ended => "it ended the connection without an answer".to_owned(),
    }
}
