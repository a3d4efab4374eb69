//! Commands into SQLite.
//!
//! Floor 2. The rules are asked first, then what exists is looked up, then the command's key, and
//! only then is anything written. What a group of commands would read and write again and again,
//! the conversation's head, is read once and written once per transaction; it is nowhere else in
//! between, and a rollback forgets it.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use rusqlite::{Connection, OptionalExtension, params};

use super::read::{clamp, look_up, position, sum};
use super::schema::{KIND_GUEST, KIND_MESSAGE};
use super::{Held, failed};
use crate::chat::durable::{Found, Read, Write, Written};
use crate::chat::event::{Body, Entry, Person};
use crate::chat::refusal::{ErrorCode, Refusal};
use crate::chat::rules;
use crate::clock::{UnixMillis, nanos};
use crate::ids::{AppId, ConvId, Entropy, Key, PublicId, Seq, Tag};
use crate::limits::{CHECKPOINT_BUSY, CHECKPOINT_IDLE, KEY_KEPT, PEOPLE_CACHE, SWEEP_ROWS};
use crate::store::engine::{CommitError, Engine, EngineError, JobError, Pace, Reader};
use crate::store::secret::{DIGEST, Secret};
use crate::store::tags::Tags;

/// The connection that writes.
#[derive(Debug)]
pub struct SqliteWriter {
    connection: Connection,
    secret: Secret,
    tags: Tags,
    lobby_keep: u64,
    /// Conversations that this transaction has touched. Ordered, so that a simulation repeats.
    heads: BTreeMap<ConvId, Head>,
    /// Rows of people that are known to be as they are here.
    people: HashMap<(AppId, PublicId), Known>,
    _held: Arc<Held>,
}

/// A conversation within a transaction.
#[derive(Clone, Copy, Debug)]
struct Head {
    app: AppId,
    seq: Seq,
    n: u64,
    floor: Seq,
    changed: bool,
}

#[derive(Clone, Debug)]
struct Known {
    row: i64,
    name: Arc<str>,
}

impl SqliteWriter {
    pub(super) fn new(
        connection: Connection,
        key_secret: &[u8; 32],
        lobby_keep: u64,
        entropy: Entropy,
        held: Arc<Held>,
    ) -> Self {
        Self {
            connection,
            secret: Secret::new(key_secret),
            tags: Tags::new(entropy),
            lobby_keep,
            heads: BTreeMap::new(),
            people: HashMap::new(),
            _held: held,
        }
    }

    fn talk(&mut self, write: &Write, now: UnixMillis) -> Result<Written, JobError> {
        let Write::Talk {
            app,
            conv,
            from,
            text,
            key,
        } = write;
        rules::text(text).map_err(JobError::Refused)?;
        let head = self.head(*conv)?;
        if head.app != *app {
            return Err(JobError::Refused(Refusal::new(ErrorCode::NotFound)));
        }
        let known = self.known(*app, from.id)?;
        let digest = key.map(|_| self.secret.digest(write));
        if let (Some(key), Some(digest), Some(known)) = (key, &digest, &known)
            && let Some(again) = self.answered(known.row, key, digest)?
        {
            return Ok(again);
        }

        let sender = self.enrol(*app, from, known, now)?;
        let entry = Entry {
            conv: *conv,
            seq: head.seq.next(),
            n: head.n + 1,
            tag: self.tags.draw(),
            at: now,
            from: from.clone(),
            body: Body::Message {
                text: text.as_str().into(),
            },
        };
        self.append(&entry, sender, KIND_MESSAGE, text)?;
        if let (Some(key), Some(digest)) = (key, &digest) {
            self.answer(sender, key, digest, &entry)?;
        }
        let head = Head {
            seq: entry.seq,
            n: entry.n,
            changed: true,
            ..head
        };
        self.heads.insert(*conv, head);
        Ok(Written::Appended(entry))
    }

    /// How the conversation stands within this transaction.
    fn head(&mut self, conv: ConvId) -> Result<Head, JobError> {
        if let Some(head) = self.heads.get(&conv) {
            return Ok(*head);
        }
        let head = self
            .connection
            .prepare_cached("SELECT app, head, n, floor FROM conversation WHERE id = ?1")
            .and_then(|mut statement| {
                statement
                    .query_row([conv.0], |row| {
                        Ok(Head {
                            app: AppId(row.get(0)?),
                            seq: Seq(position(row, 1)?),
                            n: position(row, 2)?,
                            floor: Seq(position(row, 3)?),
                            changed: false,
                        })
                    })
                    .optional()
            })
            .map_err(failed("a conversation"))?
            .ok_or_else(|| JobError::Refused(Refusal::new(ErrorCode::NotFound)))?;
        self.heads.insert(conv, head);
        Ok(head)
    }

    fn known(&mut self, app: AppId, id: PublicId) -> Result<Option<Known>, EngineError> {
        if let Some(known) = self.people.get(&(app, id)) {
            return Ok(Some(known.clone()));
        }
        let known = self
            .connection
            .prepare_cached("SELECT id, name FROM person WHERE app = ?1 AND public_id = ?2")
            .and_then(|mut statement| {
                statement
                    .query_row(params![app.0, id.0], |row| {
                        let name: String = row.get(1)?;
                        Ok(Known {
                            row: row.get(0)?,
                            name: name.into(),
                        })
                    })
                    .optional()
            })
            .map_err(failed("a person"))?;
        if let Some(known) = &known {
            self.remember(app, id, known.clone());
        }
        Ok(known)
    }

    fn remember(&mut self, app: AppId, id: PublicId, known: Known) {
        if self.people.len() >= PEOPLE_CACHE {
            self.people.clear();
        }
        self.people.insert((app, id), known);
    }

    /// The person's row: made with the first thing that they do, and brought up to date when they
    /// come back under another spelling of their name.
    fn enrol(
        &mut self,
        app: AppId,
        person: &Person,
        known: Option<Known>,
        now: UnixMillis,
    ) -> Result<i64, EngineError> {
        let row = match known {
            Some(known) if known.name == person.name => return Ok(known.row),
            Some(known) => {
                self.execute(
                    "UPDATE person SET name = ?2 WHERE id = ?1",
                    params![known.row, &*person.name],
                    "a person",
                )?;
                known.row
            }
            None => {
                self.execute(
                    "INSERT INTO person (app, public_id, kind, name, made_at)
                     VALUES (?1, ?2, ?3, ?4, ?5)",
                    params![app.0, person.id.0, KIND_GUEST, &*person.name, now.0],
                    "a person",
                )?;
                self.connection.last_insert_rowid()
            }
        };
        let name = person.name.clone();
        self.remember(app, person.id, Known { row, name });
        Ok(row)
    }

    /// What was answered under this key, if anything was.
    fn answered(
        &self,
        person: i64,
        key: &Key,
        digest: &[u8; DIGEST],
    ) -> Result<Option<Written>, JobError> {
        let found = self
            .connection
            .prepare_cached(
                "SELECT digest, conv, seq, tag, at FROM once WHERE person = ?1 AND key = ?2",
            )
            .and_then(|mut statement| {
                statement
                    .query_row(params![person, key.0], |row| {
                        let again = Written::Again {
                            conv: ConvId(row.get(1)?),
                            seq: Seq(position(row, 2)?),
                            tag: Tag(row.get(3)?),
                            at: UnixMillis(row.get(4)?),
                        };
                        Ok((row.get::<_, [u8; DIGEST]>(0)?, again))
                    })
                    .optional()
            })
            .map_err(failed("a key"))?;
        match found {
            None => Ok(None),
            Some((then, again)) if then == *digest => Ok(Some(again)),
            Some(_) => Err(JobError::Refused(
                Refusal::new(ErrorCode::KeyReused).field("key"),
            )),
        }
    }

    fn append(&self, entry: &Entry, sender: i64, kind: i64, body: &str) -> Result<(), EngineError> {
        self.execute(
            "INSERT INTO entry (conv, seq, n, tag, kind, sender, at, sum, body)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
            params![
                entry.conv.0,
                clamp(entry.seq),
                clamp(Seq(entry.n)),
                entry.tag.0,
                kind,
                sender,
                entry.at.0,
                sum(entry, kind, sender, body),
                body
            ],
            "an entry",
        )
    }

    fn answer(
        &self,
        person: i64,
        key: &Key,
        digest: &[u8; DIGEST],
        entry: &Entry,
    ) -> Result<(), EngineError> {
        self.execute(
            "INSERT INTO once (person, key, digest, conv, seq, tag, at)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
            params![
                person,
                key.0,
                digest,
                entry.conv.0,
                clamp(entry.seq),
                entry.tag.0,
                entry.at.0
            ],
            "a key",
        )
    }

    fn execute(
        &self,
        sql: &str,
        values: impl rusqlite::Params,
        doing: &'static str,
    ) -> Result<(), EngineError> {
        self.connection
            .prepare_cached(sql)
            .and_then(|mut statement| statement.execute(values))
            .map(|_| ())
            .map_err(failed(doing))
    }

    /// Entries beyond the retention, of the conversations that this transaction has touched; the
    /// others have not grown. Returns how many rows may still be removed.
    fn sweep_entries(&mut self, mut budget: u64) -> Result<u64, EngineError> {
        if self.lobby_keep == 0 {
            return Ok(budget);
        }
        let mut heads = std::mem::take(&mut self.heads);
        for (conv, head) in &mut heads {
            let first_kept = head.seq.0.saturating_sub(self.lobby_keep) + 1;
            let floor = Seq(first_kept.min(head.floor.0.saturating_add(budget)));
            if floor > head.floor {
                self.execute(
                    "DELETE FROM entry WHERE conv = ?1 AND seq < ?2",
                    params![conv.0, clamp(floor)],
                    "the retention",
                )?;
                budget -= floor.0 - head.floor.0;
                head.floor = floor;
                head.changed = true;
            }
        }
        self.heads = heads;
        Ok(budget)
    }

    /// Keys that were used longer ago than they are kept; also those from a future that the wall
    /// clock visited by mistake, which would otherwise stand in front of the others for ever.
    fn sweep_keys(&self, now: UnixMillis, budget: u64) -> Result<(), EngineError> {
        let kept = i64::try_from(nanos(KEY_KEPT) / 1_000_000).unwrap_or(i64::MAX);
        let fresh = now.0.saturating_sub(kept)..=now.0.saturating_add(kept);
        // In the usual case there is nothing to do, and one row tells.
        let oldest: Option<i64> = self
            .connection
            .prepare_cached("SELECT at FROM once ORDER BY id LIMIT 1")
            .and_then(|mut statement| statement.query_row([], |row| row.get(0)).optional())
            .map_err(failed("expired keys"))?;
        if oldest.is_none_or(|at| fresh.contains(&at)) {
            return Ok(());
        }
        self.execute(
            "DELETE FROM once WHERE id IN (SELECT id FROM
             (SELECT id, at FROM once ORDER BY id LIMIT ?1) WHERE at NOT BETWEEN ?2 AND ?3)",
            params![clamp(Seq(budget)), fresh.start(), fresh.end()],
            "expired keys",
        )
    }

    fn forget(&mut self) {
        self.heads.clear();
        self.people.clear();
    }

    /// Copies the write-ahead log into the database, or only looks how long it is. Returns the
    /// pages that are still to be copied; a database without such a log has none.
    fn checkpoint(&self, sql: &str) -> Result<i64, EngineError> {
        let pages = self
            .connection
            .prepare_cached(sql)
            .and_then(|mut statement| {
                statement.query_row([], |row| Ok(row.get::<_, i64>(1)? - row.get::<_, i64>(2)?))
            });
        match pages {
            Ok(pages) => Ok(pages),
            // It stays in the log, and there is another time.
            Err(error) if had_no_effect(&error) => Ok(0),
            Err(error) => Err(failed("a checkpoint")(error)),
        }
    }
}

impl Reader for SqliteWriter {
    fn read(&mut self, read: &Read) -> Result<Found, JobError> {
        look_up(&self.connection, read)
    }
}

impl Engine for SqliteWriter {
    fn begin(&mut self) -> Result<(), EngineError> {
        self.heads.clear();
        // Takes the lock for writing at once: a transaction that begins by reading could find, at
        // its first write, that it has read too early.
        self.execute("BEGIN IMMEDIATE", [], "begin")
    }

    fn apply(&mut self, write: &Write, now: UnixMillis) -> Result<Written, JobError> {
        match write {
            Write::Talk { .. } => self.talk(write, now),
        }
    }

    fn sweep(&mut self, now: UnixMillis) -> Result<(), EngineError> {
        let budget = self.sweep_entries(SWEEP_ROWS as u64)?;
        self.sweep_keys(now, budget)
    }

    fn commit(&mut self) -> Result<(), CommitError> {
        for (conv, head) in &self.heads {
            if head.changed {
                self.execute(
                    "UPDATE conversation SET head = ?2, n = ?3, floor = ?4 WHERE id = ?1",
                    params![
                        conv.0,
                        clamp(head.seq),
                        clamp(Seq(head.n)),
                        clamp(head.floor)
                    ],
                    "a conversation",
                )
                .map_err(CommitError::NotDone)?;
            }
        }
        let committed = self
            .connection
            .prepare_cached("COMMIT")
            .and_then(|mut statement| statement.execute([]));
        match committed {
            Ok(_) => Ok(()),
            Err(error) if had_no_effect(&error) => {
                Err(CommitError::NotDone(failed("commit")(error)))
            }
            Err(error) => Err(CommitError::Unknown(failed("commit")(error))),
        }
    }

    fn rollback(&mut self) -> Result<(), EngineError> {
        self.forget();
        // Some errors make SQLite roll back by itself.
        if self.connection.is_autocommit() {
            return Ok(());
        }
        self.execute("ROLLBACK", [], "rollback")
    }

    fn tend(&mut self, pace: Pace) -> Result<(), EngineError> {
        let enough = match pace {
            Pace::Busy => CHECKPOINT_BUSY,
            Pace::Idle => CHECKPOINT_IDLE,
            Pace::Last => {
                return self
                    .checkpoint("PRAGMA wal_checkpoint(TRUNCATE)")
                    .map(|_| ());
            }
        };
        if self.checkpoint("PRAGMA wal_checkpoint(NOOP)")? >= enough {
            // Passive: copies what no reader still needs, and waits for nobody.
            self.checkpoint("PRAGMA wal_checkpoint(PASSIVE)")?;
        }
        Ok(())
    }
}

/// Whether SQLite promises that nothing has changed. A full disk is noticed before the mark that
/// makes a transaction valid is written; an error of the disk itself may come after it.
fn had_no_effect(error: &rusqlite::Error) -> bool {
    use rusqlite::ErrorCode as Code;
    matches!(
        error.sqlite_error_code(),
        Some(Code::DatabaseBusy | Code::DatabaseLocked | Code::DiskFull | Code::ReadOnly)
    )
}
