//! The logs on disk.
//!
//! Floor 2. It takes the hub's [`Write`](crate::chat::durable::Write) and
//! [`Read`](crate::chat::durable::Read) and gives back what came of them. It refuses to know
//! sessions, sockets and formats; it decides, inside the transaction, by the rules of
//! [`crate::chat::rules`].
//!
//! * `engine`: what a database must be able to do, as a trait.
//! * `writer`: group commit as a function, without a thread.
//! * `lanes`: the threads and their mailboxes.
//! * `sqlite`: the built-in engine.
//! * `secret`: keyed hashes, by which the same command is recognised under the same key.
//! * `tags`: random bits for entries.

pub mod engine;
pub mod lanes;
mod secret;
pub mod sqlite;
mod tags;
pub mod writer;

use std::fmt;
use std::io;
use std::path::PathBuf;

pub use lanes::{Answer, Lanes, Unsent, Wake};
pub use sqlite::{Opened, open};

use crate::store::sqlite::MemoryDisk;

/// Where the logs are kept, and how much of them.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where.
    pub place: Place,
    /// Entries of the lobby that are kept; 0 keeps all.
    pub lobby_keep: u64,
}

/// See [`Config`].
#[derive(Clone, Debug)]
pub enum Place {
    /// A folder of its own, made on the first start with mode 0700. Other things may lie in it;
    /// ours is everything whose name begins with `kith.`.
    Folder(PathBuf),
    /// Memory that outlives its connections, so that a simulation can let the server crash and
    /// start again.
    Memory(MemoryDisk),
}

/// Why the store did not open. Each says what is wrong, where, and what to do, on one line.
#[derive(Debug)]
pub enum OpenError {
    /// The folder cannot be made, or is not ours to write to. The operator's to mend.
    Folder {
        /// Which.
        path: PathBuf,
        /// What the operating system said.
        why: io::Error,
    },
    /// Another server runs on the same folder.
    InUse {
        /// Which.
        path: PathBuf,
    },
    /// The file is something else, or only the beginning or the middle of a database.
    NotADatabase {
        /// Which.
        path: PathBuf,
    },
    /// The file is an SQLite database of another program.
    Foreign {
        /// Which.
        path: PathBuf,
    },
    /// A newer version of the server has written it.
    Newer {
        /// Which.
        path: PathBuf,
        /// Its schema.
        found: i64,
        /// The newest schema that this server knows.
        known: i64,
    },
    /// Another process has held the database locked for as long as we wait.
    Locked {
        /// Which.
        path: PathBuf,
    },
    /// The database contradicts itself, or the disk does not let it be read or written.
    Failed {
        /// Which.
        path: PathBuf,
        /// What was being done.
        doing: &'static str,
        /// What the database said.
        detail: String,
    },
    /// The operating system has no thread to give.
    Threads(io::Error),
}

impl fmt::Display for OpenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Folder { path, why } => write!(
                f,
                "cannot keep data in {}: {why}; make the folder writable for this user, or name \
                 another with --data",
                path.display()
            ),
            Self::InUse { path } => write!(
                f,
                "another Kith is running on {}; stop it, or name another folder with --data",
                path.display()
            ),
            Self::NotADatabase { path } => write!(
                f,
                "{} is not a database, or is damaged; restore it from a backup, or move it away to \
                 start empty",
                path.display()
            ),
            Self::Foreign { path } => write!(
                f,
                "{} is a database of another program; name another folder with --data",
                path.display()
            ),
            Self::Newer { path, found, known } => write!(
                f,
                "{} was written by a newer Kith (schema {found}, this one knows {known}); \
                 start that version, or restore a backup from before",
                path.display()
            ),
            Self::Locked { path } => write!(
                f,
                "{} is locked by another process; end whatever has it open (a database shell, a \
                 backup) and start again",
                path.display()
            ),
            Self::Failed {
                path,
                doing,
                detail,
            } => write!(
                f,
                "{}: {doing} failed: {detail}; look after the disk, or restore a backup",
                path.display()
            ),
            Self::Threads(why) => write!(
                f,
                "no thread for the store: {why}; raise the limit of processes"
            ),
        }
    }
}

impl std::error::Error for OpenError {}
