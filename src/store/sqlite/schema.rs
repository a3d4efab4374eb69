//! How a connection is set up, how a database is made or brought up to date, and what is read once
//! at the start.
//!
//! Floor 2. The tables themselves are in `migrations/`, one file per version. Two numbers in the
//! file's header say what it is before any table is looked at: `application_id` that it is ours,
//! `user_version` which schema it has. A database of the present schema is opened without asking
//! the migration library at all.

use std::cmp::Ordering;
use std::path::Path;

use rusqlite::{Connection, OptionalExtension, params};

use super::read::position;
use super::{FILE, READ_WRITE, blame};
use crate::chat::durable::Snapshot;
use crate::chat::event::Standing;
use crate::ids::{AppId, ConvId, Entropy, Epoch, Seq, Tag};
use crate::limits::{CHECKPOINT_BUSY, LOCK_WAIT, READER_CACHE_KIB, WRITER_CACHE_KIB};
use crate::store::{OpenError, Place};

mod embedded {
    #![allow(clippy::unwrap_used)]
    refinery::embed_migrations!("src/store/sqlite/migrations");
}

/// "Kith" in ASCII.
const APPLICATION_ID: i64 = 0x4b69_7468;

/// Kinds of conversation, as stored.
pub(super) const KIND_LOBBY: i64 = 0;
/// Kinds of entry, as stored.
pub(super) const KIND_MESSAGE: i64 = 0;
/// Kinds of person, as stored.
pub(super) const KIND_GUEST: i64 = 0;

/// What belongs to the database as a whole.
pub(super) struct Meta {
    pub(super) epoch: Epoch,
    pub(super) guest_secret: [u8; 32],
    pub(super) key_secret: [u8; 32],
}

/// The connection that writes, to a database that is ours and up to date.
pub(super) fn writer(
    place: &Place,
    entropy: &mut Entropy,
    path: &Path,
) -> Result<Connection, OpenError> {
    let failed = |e| blame(path, "opening", &e);
    let mut connection = connect(place, WRITER_CACHE_KIB).map_err(failed)?;
    let todo = examine(&connection, path)?;
    if let Place::Folder(_) = place {
        log_ahead(&connection).map_err(failed)?;
    }
    if let Todo::Migrate = todo {
        migrate(&mut connection, entropy, path)?;
    }
    Ok(connection)
}

/// A connection that reads.
pub(super) fn reader(place: &Place) -> rusqlite::Result<Connection> {
    // Whoever reads a write-ahead log writes to its index, so that it cannot be opened read-only.
    let connection = connect(place, READER_CACHE_KIB)?;
    connection.pragma_update(None, "query_only", true)?;
    Ok(connection)
}

fn log_ahead(connection: &Connection) -> rusqlite::Result<()> {
    connection.pragma_update(None, "journal_mode", "wal")?;
    // A commit is acknowledged, so it must be on the disk; NORMAL flushes at checkpoints only.
    connection.pragma_update(None, "synchronous", "full")?;
    // The writer does it itself between two commits, when the answers are out and an error can
    // still be told.
    connection.pragma_update(None, "wal_autocheckpoint", 0)?;
    // A reader that was slow for a moment lets the log grow; afterwards it shrinks to this again.
    connection.pragma_update(None, "journal_size_limit", CHECKPOINT_BUSY * PAGE_SIZE)
}

/// SQLite's, for a new database.
const PAGE_SIZE: i64 = 4096;

fn connect(place: &Place, cache_kib: i64) -> rusqlite::Result<Connection> {
    let connection = match place {
        Place::Folder(folder) => Connection::open_with_flags(folder.join(FILE), READ_WRITE)?,
        Place::Memory(disk) => Connection::open_with_flags(disk.uri(), READ_WRITE)?,
    };
    connection.busy_timeout(LOCK_WAIT)?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS);
    // Negative: KiB, not pages.
    connection.pragma_update(None, "cache_size", -cache_kib)?;
    // A disk that fails under a mapped file is a signal, not an error.
    connection.pragma_update(None, "mmap_size", 0)?;
    // No row refers to another by the database's own means; see the schema.
    connection.pragma_update(None, "foreign_keys", false)?;
    // Bytes that were deleted are overwritten: what was recalled is gone from the file.
    connection.pragma_update(None, "secure_delete", "fast")?;
    Ok(connection)
}

/// More than one connection ever prepares.
const STATEMENTS: usize = 32;

enum Todo {
    Nothing,
    Migrate,
}

/// Looks at the header, and refuses what is not ours before anything is changed.
fn examine(connection: &Connection, path: &Path) -> Result<Todo, OpenError> {
    let failed = |e| blame(path, "reading the header", &e);
    let number = |name| connection.pragma_query_value(None, name, |row| row.get::<_, i64>(0));
    let application = number("application_id").map_err(failed)?;
    let found = number("user_version").map_err(failed)?;
    let tables: i64 = connection
        .query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))
        .map_err(failed)?;
    let path = path.to_owned();
    let empty = application == 0 && tables == 0;
    if application != APPLICATION_ID && !empty {
        return Err(OpenError::Foreign { path });
    }
    let known = newest(&embedded::migrations::runner());
    match found.cmp(&known) {
        Ordering::Less => Ok(Todo::Migrate),
        Ordering::Equal => Ok(Todo::Nothing),
        Ordering::Greater => Err(OpenError::Newer { path, found, known }),
    }
}

fn newest(runner: &refinery::Runner) -> i64 {
    let versions = runner.get_migrations().iter();
    versions.map(|m| i64::from(m.version())).max().unwrap_or(0)
}

/// Makes the tables, or brings them up to date. Interrupted anywhere, it is taken up again by the
/// next start.
fn migrate(
    connection: &mut Connection,
    entropy: &mut Entropy,
    path: &Path,
) -> Result<(), OpenError> {
    let failed = |e| blame(path, "the migration", &e);
    // First, so that the rest of an interrupted start is not called foreign.
    connection
        .pragma_update(None, "application_id", APPLICATION_ID)
        .map_err(failed)?;
    let runner = embedded::migrations::runner();
    runner.run(connection).map_err(|error| {
        let source = std::error::Error::source(&error);
        match source.and_then(|source| source.downcast_ref()) {
            Some(error) => blame(path, "the migration", error),
            None => OpenError::Failed {
                path: path.to_owned(),
                doing: "the migration",
                detail: error.to_string(),
            },
        }
    })?;
    fill(connection, entropy).map_err(failed)?;
    connection
        .pragma_update(None, "user_version", newest(&runner))
        .map_err(failed)
}

/// What every database has from its first start, made once.
fn fill(connection: &mut Connection, entropy: &mut Entropy) -> rusqlite::Result<()> {
    let transaction = connection.transaction()?;
    for (name, length) in [("epoch", 8), ("guest_secret", 32), ("key_secret", 32)] {
        let mut value = [0; 32];
        entropy.fill(&mut value[..length]);
        transaction.execute(
            "INSERT OR IGNORE INTO meta (name, value) VALUES (?1, ?2)",
            params![name, &value[..length]],
        )?;
    }
    let app = AppId::DEFAULT.0;
    transaction.execute(
        "INSERT OR IGNORE INTO app (id, name) VALUES (?1, ?2)",
        params![app, AppId::DEFAULT_NAME],
    )?;
    transaction.execute(
        "INSERT OR IGNORE INTO conversation (app, kind) VALUES (?1, ?2)",
        params![app, KIND_LOBBY],
    )?;
    transaction.commit()
}

pub(super) fn meta(connection: &Connection, path: &Path) -> Result<Meta, OpenError> {
    let value = |name: &'static str| {
        let found: Option<Vec<u8>> = connection
            .query_row("SELECT value FROM meta WHERE name = ?1", [name], |row| {
                row.get(0)
            })
            .optional()
            .map_err(|e| blame(path, "reading the secrets", &e))?;
        found.ok_or_else(|| damaged(path, name))
    };
    let secret = |name| <[u8; 32]>::try_from(value(name)?).map_err(|_| damaged(path, name));
    let epoch = <[u8; 8]>::try_from(value("epoch")?).map_err(|_| damaged(path, "epoch"))?;
    Ok(Meta {
        epoch: Epoch(u64::from_be_bytes(epoch)),
        guest_secret: secret("guest_secret")?,
        key_secret: secret("key_secret")?,
    })
}

fn damaged(path: &Path, name: &'static str) -> OpenError {
    OpenError::Failed {
        path: path.to_owned(),
        doing: "reading the secrets",
        detail: format!("no {name}"),
    }
}

/// How the lobby stands. A few look-ups by index, whatever the log holds.
///
/// The two ends of the log are compared with what its row says: an acknowledged message beyond the
/// head would be overwritten, and this is the only moment to notice.
pub(super) fn snapshot(
    connection: &Connection,
    epoch: Epoch,
    path: &Path,
) -> Result<Snapshot, OpenError> {
    let (lobby, ends) = connection
        .query_row(SNAPSHOT, [AppId::DEFAULT.0], |row| {
            let standing = Standing {
                conv: ConvId(row.get(0)?),
                epoch,
                head: Seq(position(row, 1)?),
                tag: Tag(row.get(3)?),
                floor: Seq(position(row, 2)?),
                durable: true,
            };
            Ok((standing, (Seq(position(row, 4)?), Seq(position(row, 5)?))))
        })
        .map_err(|e| blame(path, "reading the lobby", &e))?;
    if ends != (lobby.floor, lobby.head) {
        return Err(OpenError::Failed {
            path: path.to_owned(),
            doing: "reading the lobby",
            detail: format!(
                "it says {} to {} and holds {} to {}",
                lobby.floor, lobby.head, ends.0, ends.1
            ),
        });
    }
    Ok(Snapshot { lobby })
}

pub(super) const SNAPSHOT: &str = "SELECT c.id, c.head, c.floor, coalesce(e.tag, 0),
     coalesce((SELECT seq FROM entry WHERE conv = c.id ORDER BY seq LIMIT 1), 1),
     coalesce((SELECT seq FROM entry WHERE conv = c.id ORDER BY seq DESC LIMIT 1), 0)
     FROM conversation c LEFT JOIN entry e ON e.conv = c.id AND e.seq = c.head
     WHERE c.app = ?1 AND c.kind = 0";

// The partial index `conversation_lobby` serves only whoever writes the number out.
const _: () = assert!(KIND_LOBBY == 0);
