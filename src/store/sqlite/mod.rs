//! The built-in engine: SQLite, one file, a write-ahead log beside it.
//!
//! Floor 2. A data folder holds `kith.db` (and SQLite's `-wal` and `-shm`) and `kith.lock`, which a
//! running server holds locked, so that two never share a folder. One connection writes; as many as
//! are wanted read, each for one thread.

mod read;
mod schema;
mod write;

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use rusqlite::{Connection, ErrorCode, OpenFlags};

pub use read::SqliteReader;
pub use write::SqliteWriter;

use crate::chat::durable::Snapshot;
use crate::ids::Entropy;
use crate::store::engine::EngineError;
use crate::store::{Config, Lanes, OpenError, Place, Wake};

/// A store that is ready.
#[derive(Debug)]
pub struct Opened {
    /// How the logs stand.
    pub snapshot: Snapshot,
    /// By which guest ids are signed. Made once with the database, so that a guest can resume after
    /// a restart.
    pub guest_secret: [u8; 32],
    /// The one that writes.
    pub writer: SqliteWriter,
    /// Where readers come from.
    pub readers: Readers,
}

/// Opens readers of an open store.
#[derive(Clone, Debug)]
pub struct Readers(Arc<Held>);

/// What must stay while any connection is open.
#[derive(Debug)]
struct Held {
    place: Place,
    /// Unlocked by the operating system when it is closed, also after kill -9.
    _lock: Option<File>,
}

/// A database in memory that stays while this value, or a clone of it, does: what a disk is to the
/// files on it. Two values are two databases.
#[derive(Clone, Debug)]
pub struct MemoryDisk {
    uri: Arc<str>,
    _holder: Arc<Mutex<Connection>>,
}

/// Opens the store, and makes it if there is none.
///
/// # Errors
/// See [`OpenError`].
pub fn open(config: &Config, mut entropy: Entropy) -> Result<Opened, OpenError> {
    let lock = match &config.place {
        Place::Folder(folder) => Some(claim(folder)?),
        Place::Memory(_) => None,
    };
    let held = Arc::new(Held {
        place: config.place.clone(),
        _lock: lock,
    });
    let path = held.path();
    let connection = schema::writer(&held.place, &mut entropy, &path)?;
    let meta = schema::meta(&connection, &path)?;
    let snapshot = schema::snapshot(&connection, meta.epoch, &path)?;
    Ok(Opened {
        snapshot,
        guest_secret: meta.guest_secret,
        writer: SqliteWriter::new(
            connection,
            &meta.key_secret,
            config.lobby_keep,
            entropy,
            held.clone(),
        ),
        readers: Readers(held),
    })
}

impl Opened {
    /// Starts the threads over it.
    ///
    /// # Errors
    /// No thread, or no further connection.
    pub fn start(self, wake: Wake) -> Result<Lanes, OpenError> {
        let (pages, history) = (self.readers.open()?, self.readers.open()?);
        Lanes::start(self.writer, pages, history, wake).map_err(OpenError::Threads)
    }
}

impl Readers {
    /// One more connection that reads.
    ///
    /// # Errors
    /// See [`OpenError`].
    pub fn open(&self) -> Result<SqliteReader, OpenError> {
        let connection =
            schema::reader(&self.0.place).map_err(|e| blame(&self.0.path(), "opening", &e))?;
        Ok(SqliteReader::new(connection, self.0.clone()))
    }
}

impl MemoryDisk {
    /// An empty one.
    ///
    /// # Errors
    /// Out of memory.
    pub fn new() -> Result<Self, OpenError> {
        static MADE: AtomicU64 = AtomicU64::new(0);
        let serial = MADE.fetch_add(1, Ordering::Relaxed);
        // SQLite's own file system in memory: a name that begins with a slash is shared by all
        // connections of the process, with the locks of a file (and, unlike the older shared cache,
        // with waiting for them).
        let uri: Arc<str> = format!("file:/kith-{serial}?vfs=memdb").into();
        let holder = Connection::open_with_flags(&*uri, READ_WRITE)
            .map_err(|e| blame(Path::new("memory"), "opening", &e))?;
        Ok(Self {
            uri,
            _holder: Arc::new(Mutex::new(holder)),
        })
    }

    /// What SQLite opens it by.
    pub fn uri(&self) -> &str {
        &self.uri
    }
}

/// No mutex: a connection belongs to one thread.
const READ_WRITE: OpenFlags = OpenFlags::SQLITE_OPEN_READ_WRITE
    .union(OpenFlags::SQLITE_OPEN_CREATE)
    .union(OpenFlags::SQLITE_OPEN_URI)
    .union(OpenFlags::SQLITE_OPEN_NO_MUTEX);

impl Held {
    fn path(&self) -> PathBuf {
        match &self.place {
            Place::Folder(folder) => folder.join(FILE),
            Place::Memory(disk) => disk.uri().into(),
        }
    }
}

const FILE: &str = "kith.db";
const LOCK: &str = "kith.lock";

/// Makes the folder and takes its lock.
fn claim(folder: &Path) -> Result<File, OpenError> {
    let failed = |why| OpenError::Folder {
        path: folder.to_owned(),
        why,
    };
    if !folder.is_dir() {
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(folder)
            .map_err(failed)?;
        // A power cut must not take the folder's name away again after something in it was
        // acknowledged.
        if let Some(above) = folder.parent() {
            let above = if above.as_os_str().is_empty() {
                Path::new(".")
            } else {
                above
            };
            File::open(above)
                .and_then(|above| above.sync_all())
                .map_err(failed)?;
        }
    }
    let private = |name| {
        OpenOptions::new()
            .create(true)
            .truncate(false)
            .read(true)
            .write(true)
            .mode(0o600)
            .open(folder.join(name))
    };
    let lock = private(LOCK).map_err(failed)?;
    match lock.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            return Err(OpenError::InUse {
                path: folder.to_owned(),
            });
        }
        Err(TryLockError::Error(why)) => return Err(failed(why)),
    }
    // SQLite would make it readable for everybody; what it makes beside it takes this file's mode.
    private(FILE).map_err(failed)?;
    File::open(folder)
        .and_then(|folder| folder.sync_all())
        .map_err(failed)?;
    Ok(lock)
}

/// Whose fault it is that the database did not open.
fn blame(path: &Path, doing: &'static str, error: &rusqlite::Error) -> OpenError {
    let path = path.to_owned();
    match error.sqlite_error_code() {
        Some(ErrorCode::NotADatabase) => OpenError::NotADatabase { path },
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => OpenError::Locked { path },
        Some(ErrorCode::CannotOpen | ErrorCode::PermissionDenied | ErrorCode::ReadOnly) => {
            OpenError::Folder {
                path,
                why: io::Error::other(error.to_string()),
            }
        }
        _ => OpenError::Failed {
            path,
            doing,
            detail: error.to_string(),
        },
    }
}

/// An error of SQLite in the words of the engine.
fn failed(doing: &'static str) -> impl Fn(rusqlite::Error) -> EngineError {
    move |error| EngineError {
        doing,
        detail: error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A start must not take longer because the log has grown, nor a page because it lies far back.
    #[test]
    fn what_is_asked_of_a_log_is_looked_up_and_never_scanned() {
        let config = Config {
            place: Place::Memory(MemoryDisk::new().unwrap()),
            lobby_keep: 0,
        };
        let opened = open(&config, Entropy::Seeded(1)).unwrap();
        let reader = schema::reader(&config.place).unwrap();
        for sql in [schema::SNAPSHOT, read::UP, read::DOWN] {
            let mut plan = reader
                .prepare(&format!("EXPLAIN QUERY PLAN {sql}"))
                .unwrap();
            let count = plan.parameter_count();
            let values = rusqlite::params_from_iter(vec![1; count]);
            let steps: Vec<String> = plan
                .query_map(values, |row| row.get(3))
                .unwrap()
                .map(Result::unwrap)
                .collect();
            assert!(!steps.is_empty());
            for step in steps {
                assert!(
                    !step.contains("SCAN") && !step.contains("TEMP B-TREE"),
                    "{step}: {sql}"
                );
            }
        }
        drop(opened);
    }
}
