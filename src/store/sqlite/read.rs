//! Pages, cursors and history out of SQLite.
//!
//! Floor 2. Each read is one transaction, so that the floor and the entries belong to the same
//! moment. Numbers from outside are positions up to 2^64 - 1; SQLite's end at 2^63 - 1, and no log
//! reaches either, so they are cut down to it.

use std::ops::RangeInclusive;
use std::sync::Arc;

use rusqlite::types::{Type, ValueRef};
use rusqlite::{CachedStatement, Connection, OptionalExtension, Row, params};

use super::schema::KIND_MESSAGE;
use super::{Held, failed};
use crate::chat::durable::{Found, Page, Read};
use crate::chat::event::{Body, Entry, HistoryPage, Person};
use crate::chat::refusal::{ErrorCode, Refusal};
use crate::clock::UnixMillis;
use crate::ids::{ConvId, PublicId, Seq, Tag};
use crate::limits::{HISTORY_ENTRIES, PAGE_BYTES, PAGE_ENTRIES};
use crate::store::engine::{JobError, Reader};

/// A connection that reads.
#[derive(Debug)]
pub struct SqliteReader {
    connection: Connection,
    _held: Arc<Held>,
}

impl SqliteReader {
    pub(super) const fn new(connection: Connection, held: Arc<Held>) -> Self {
        Self {
            connection,
            _held: held,
        }
    }
}

impl Reader for SqliteReader {
    fn read(&mut self, read: &Read) -> Result<Found, JobError> {
        look_up(&self.connection, read)
    }
}

/// Serves one read, on whatever connection.
pub(super) fn look_up(connection: &Connection, read: &Read) -> Result<Found, JobError> {
    // Deferred: it takes its snapshot with the first row and locks nobody out.
    let moment = connection
        .unchecked_transaction()
        .map_err(failed("a read"))?;
    let found = match *read {
        Read::Page { conv, next } => page(&moment, conv, next).map(Found::Page),
        Read::Cursor { conv, seq, tag } => {
            cursor(&moment, conv, seq, tag).map(|matches| Found::Cursor { matches })
        }
        Read::History {
            conv,
            before,
            after,
            limit,
            head,
        } => history(&moment, conv, before, after, limit, head).map(Found::History),
    }?;
    moment.finish().map_err(failed("a read"))?;
    Ok(found)
}

/// What a log holds: nothing before `floor`, nothing after `head`.
struct Extent {
    floor: Seq,
    head: Seq,
}

fn extent(connection: &Connection, conv: ConvId) -> Result<Extent, JobError> {
    connection
        .prepare_cached("SELECT floor, head FROM conversation WHERE id = ?1")
        .and_then(|mut statement| {
            let extent = |row: &Row| {
                Ok(Extent {
                    floor: Seq(position(row, 0)?),
                    head: Seq(position(row, 1)?),
                })
            };
            statement.query_row([conv.0], extent).optional()
        })
        .map_err(failed("a conversation"))?
        .ok_or_else(|| JobError::Refused(Refusal::new(ErrorCode::NotFound)))
}

/// The aligned page of `next`, or where that is more than [`PAGE_BYTES`] the part of it that holds
/// `next`. The parts are cut from the page's beginning, never from `next`, so that listeners who
/// are behind by different amounts ask for the same few runs.
fn page(connection: &Connection, conv: ConvId, next: Seq) -> Result<Page, JobError> {
    let Extent { floor, head } = extent(connection, conv)?;
    let next = next.min(Seq::MAX).0.max(1);
    let first = (next - 1) / PAGE_ENTRIES * PAGE_ENTRIES + 1;
    let last = first.saturating_add(PAGE_ENTRIES - 1);
    let mut entries = Vec::new();
    let mut bytes = 0;
    walk(
        connection,
        Direction::Up,
        conv,
        first.max(floor.0)..=last.min(head.0),
        |entry| {
            let more = weight(&entry);
            if bytes + more > PAGE_BYTES {
                if entry.seq.0 > next {
                    return Walk::Stop;
                }
                entries.clear();
                bytes = 0;
            }
            bytes += more;
            entries.push(entry);
            Walk::On
        },
    )?;
    // The part that holds `next` may not exist: the log ends before it.
    if entries.last().is_some_and(|last: &Entry| last.seq.0 < next) {
        entries.clear();
    }
    Ok(Page {
        conv,
        entries,
        floor,
    })
}

fn cursor(connection: &Connection, conv: ConvId, seq: Seq, tag: Tag) -> Result<bool, JobError> {
    let extent = extent(connection, conv)?;
    if seq == Seq::ZERO || (seq < extent.floor && seq <= extent.head) {
        return Ok(true);
    }
    if seq > extent.head {
        return Ok(false);
    }
    let found: Option<u32> = connection
        .prepare_cached("SELECT tag FROM entry WHERE conv = ?1 AND seq = ?2")
        .and_then(|mut statement| {
            statement
                .query_row(params![conv.0, clamp(seq)], |row| row.get(0))
                .optional()
        })
        .map_err(failed("a cursor"))?;
    Ok(found == Some(tag.0))
}

/// With `after`, the oldest that follow it; otherwise the newest. `before` bounds either.
fn history(
    connection: &Connection,
    conv: ConvId,
    before: Seq,
    after: Seq,
    limit: u32,
    head: Seq,
) -> Result<HistoryPage, JobError> {
    let extent = extent(connection, conv)?;
    let head = head.min(extent.head);
    let limit = match limit {
        0 => HISTORY_ENTRIES,
        some => some.min(HISTORY_ENTRIES),
    } as usize;
    let first = after.next().max(extent.floor);
    let last = match before {
        Seq::ZERO => head,
        before => before.prev().min(head),
    };
    let direction = match after {
        Seq::ZERO => Direction::Down,
        _ => Direction::Up,
    };
    let mut entries = Vec::new();
    let mut bytes = 0;
    walk(connection, direction, conv, first.0..=last.0, |entry| {
        bytes += weight(&entry);
        if bytes > PAGE_BYTES {
            return Walk::Stop;
        }
        entries.push(entry);
        if entries.len() < limit {
            Walk::On
        } else {
            Walk::Stop
        }
    })?;
    if let Direction::Down = direction {
        entries.reverse();
    }
    Ok(HistoryPage {
        conv,
        entries,
        floor: extent.floor,
        head,
    })
}

/// What an entry counts towards [`PAGE_BYTES`].
fn weight(entry: &Entry) -> usize {
    match &entry.body {
        Body::Message { text } => text.len(),
    }
}

#[derive(Clone, Copy)]
enum Direction {
    Up,
    Down,
}

enum Walk {
    On,
    Stop,
}

/// Shows the entries of `range` that the log holds, one after the other.
///
/// They must be all there and none twice: whatever the cause of a gap, a listener who is served one
/// never asks for it again.
fn walk(
    connection: &Connection,
    direction: Direction,
    conv: ConvId,
    range: RangeInclusive<u64>,
    mut visit: impl FnMut(Entry) -> Walk,
) -> Result<(), JobError> {
    let sql = match direction {
        Direction::Up => UP,
        Direction::Down => DOWN,
    };
    let bounds = params![conv.0, clamp(Seq(*range.start())), clamp(Seq(*range.end()))];
    let mut expected = range.clone();
    let walk = |mut statement: CachedStatement| {
        let mut rows = statement.query(bounds)?;
        while let Some(row) = rows.next()? {
            let entry = entry(conv, row)?;
            let due = match direction {
                Direction::Up => expected.next(),
                Direction::Down => expected.next_back(),
            };
            if due != Some(entry.seq.0) {
                return Err(damaged(0, "a gap in the log"));
            }
            if let Walk::Stop = visit(entry) {
                return Ok(());
            }
        }
        match expected.next() {
            None => Ok(()),
            Some(_) => Err(damaged(0, "a gap in the log")),
        }
    };
    connection
        .prepare_cached(sql)
        .and_then(walk)
        .map_err(failed("entries"))
        .map_err(JobError::Engine)
}

pub(super) const UP: &str = "SELECT e.seq, e.n, e.tag, e.at, e.kind, e.sender, e.sum, e.body,
     p.public_id, p.name FROM entry e LEFT JOIN person p ON p.id = e.sender
     WHERE e.conv = ?1 AND e.seq BETWEEN ?2 AND ?3 ORDER BY e.seq";
pub(super) const DOWN: &str = "SELECT e.seq, e.n, e.tag, e.at, e.kind, e.sender, e.sum, e.body,
     p.public_id, p.name FROM entry e LEFT JOIN person p ON p.id = e.sender
     WHERE e.conv = ?1 AND e.seq BETWEEN ?2 AND ?3 ORDER BY e.seq DESC";

fn entry(conv: ConvId, row: &Row) -> rusqlite::Result<Entry> {
    let kind = row.get(4)?;
    let text = text(row, 7)?;
    let entry = Entry {
        conv,
        seq: Seq(position(row, 0)?),
        n: position(row, 1)?,
        tag: Tag(row.get(2)?),
        at: UnixMillis(row.get(3)?),
        from: Person {
            id: PublicId(row.get(8)?),
            name: self::text(row, 9)?,
        },
        body: Body::Message { text: text.clone() },
    };
    if sum(&entry, kind, row.get(5)?, &text) != row.get::<_, u32>(6)? {
        return Err(damaged(6, "an entry that is not as it was written"));
    }
    match kind {
        KIND_MESSAGE => Ok(entry),
        _ => Err(damaged(4, "an entry of unknown kind")),
    }
}

/// What stands in the row's `sum`.
pub(super) fn sum(entry: &Entry, kind: i64, sender: i64, body: &str) -> u32 {
    let numbers = [
        entry.conv.0,
        entry.seq.0.cast_signed(),
        entry.n.cast_signed(),
        entry.tag.0.into(),
        kind,
        sender,
        entry.at.0,
    ];
    let mut head = [0; 8 * 7];
    for (slot, number) in head.chunks_exact_mut(8).zip(numbers) {
        slot.copy_from_slice(&number.to_le_bytes());
    }
    let mut sum = crc32fast::Hasher::new();
    sum.update(&head);
    sum.update(body.as_bytes());
    sum.finalize()
}

fn damaged(column: usize, what: &'static str) -> rusqlite::Error {
    rusqlite::Error::FromSqlConversionFailure(column, Type::Null, what.into())
}

/// Text without a stop in a `String`.
fn text(row: &Row, column: usize) -> rusqlite::Result<Arc<str>> {
    Ok(match row.get_ref(column)? {
        ValueRef::Text(_) => row.get_ref(column)?.as_str()?.into(),
        other => {
            return Err(rusqlite::Error::InvalidColumnType(
                column,
                "text".to_owned(),
                other.data_type(),
            ));
        }
    })
}

/// A number that is never negative in a sound database.
pub(super) fn position(row: &Row, column: usize) -> rusqlite::Result<u64> {
    let value: i64 = row.get(column)?;
    u64::try_from(value).map_err(|_| rusqlite::Error::IntegralValueOutOfRange(column, value))
}

/// A position as SQLite's integer.
pub(super) fn clamp(seq: Seq) -> i64 {
    i64::try_from(seq.0).unwrap_or(i64::MAX)
}
