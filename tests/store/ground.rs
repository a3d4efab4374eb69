//! What the tests of the store stand on: engines to test, people who talk, and answers as words.

use std::time::{Duration, Instant};

use kith::chat::durable::{Found, Page, Read, Snapshot, Write, WriteResult, Written};
use kith::chat::event::{Body, Entry, HistoryPage, Person};
use kith::clock::UnixMillis;
use kith::ids::{AppId, ConvId, Entropy, Key, PublicId, Seq, Tag, Ticket};
use kith::store::engine::{Engine, JobError, Reader};
use kith::store::sqlite::{MemoryDisk, SqliteReader, SqliteWriter};
use kith::store::writer::{Verdict, Writer};
use kith::store::{Config, OpenError, Opened, Place, open};
use tempfile::TempDir;

/// Somewhere that an engine keeps its data, across restarts.
pub trait Ground {
    /// The engine to test.
    type Engine: Engine;
    /// Its readers.
    type Reader: Reader;

    /// Starts a server on it; whatever server was there before is gone.
    fn start(&self, lobby_keep: u64) -> Server<Self::Engine, Self::Reader>;

    /// Adds another app, behind the engine's back.
    fn another_app(&self) -> (AppId, ConvId);
}

/// A running store without threads.
pub struct Server<E, R> {
    pub writer: Writer<E>,
    pub reader: R,
    pub snapshot: Snapshot,
    pub guest_secret: [u8; 32],
    pub app: AppId,
    pub conv: ConvId,
    pub now: UnixMillis,
}

/// SQLite in a file.
pub struct InFile(pub TempDir);

/// SQLite in memory.
pub struct InMemory(pub MemoryDisk);

impl InFile {
    pub fn new() -> Self {
        Self(TempDir::new().unwrap())
    }

    pub fn config(&self, lobby_keep: u64) -> Config {
        Config {
            place: Place::Folder(self.0.path().join("data")),
            lobby_keep,
        }
    }

    pub fn database(&self) -> rusqlite::Connection {
        rusqlite::Connection::open(self.0.path().join("data/kith.db")).unwrap()
    }
}

impl InMemory {
    pub fn new() -> Self {
        Self(MemoryDisk::new().unwrap())
    }

    pub fn config(&self, lobby_keep: u64) -> Config {
        Config {
            place: Place::Memory(self.0.clone()),
            lobby_keep,
        }
    }

    pub fn database(&self) -> rusqlite::Connection {
        rusqlite::Connection::open(self.0.uri()).unwrap()
    }
}

impl Ground for InFile {
    type Engine = SqliteWriter;
    type Reader = SqliteReader;

    fn start(&self, lobby_keep: u64) -> Server<SqliteWriter, SqliteReader> {
        server(&self.config(lobby_keep))
    }

    fn another_app(&self) -> (AppId, ConvId) {
        another_app(&self.database())
    }
}

impl Ground for InMemory {
    type Engine = SqliteWriter;
    type Reader = SqliteReader;

    fn start(&self, lobby_keep: u64) -> Server<SqliteWriter, SqliteReader> {
        server(&self.config(lobby_keep))
    }

    fn another_app(&self) -> (AppId, ConvId) {
        another_app(&self.database())
    }
}

fn server(config: &Config) -> Server<SqliteWriter, SqliteReader> {
    let opened = patiently(config);
    let conv = opened.snapshot.lobby.conv;
    Server {
        reader: opened.readers.open().unwrap(),
        writer: Writer::new(opened.writer),
        snapshot: opened.snapshot,
        guest_secret: opened.guest_secret,
        app: AppId::DEFAULT,
        conv,
        now: UnixMillis(1_000),
    }
}

fn another_app(database: &rusqlite::Connection) -> (AppId, ConvId) {
    database
        .execute("INSERT INTO app (name) VALUES ('other')", [])
        .unwrap();
    let app = database.last_insert_rowid();
    database
        .execute("INSERT INTO conversation (app, kind) VALUES (?1, 0)", [app])
        .unwrap();
    (
        AppId(app.try_into().unwrap()),
        ConvId(database.last_insert_rowid()),
    )
}

/// A person by their name alone.
/// Opens a folder that is free, or about to be: a test beside this one may be starting a program just
/// now, and until that has begun it holds every file that we had open, a lock that we let go included.
fn patiently(config: &Config) -> Opened {
    let deadline = Instant::now() + Duration::from_secs(20);
    loop {
        match open(config, Entropy::Seeded(1)) {
            Err(OpenError::InUse { .. }) if Instant::now() < deadline => std::thread::yield_now(),
            opened => return opened.unwrap(),
        }
    }
}

pub fn person(name: &str) -> Person {
    let mut id = [0; 16];
    id[..name.len()].copy_from_slice(name.as_bytes());
    Person {
        id: PublicId(id),
        name: name.into(),
    }
}

pub fn key(number: u8) -> Key {
    Key([number; 16])
}

impl<E: Engine, R: Reader> Server<E, R> {
    /// A command as a line: `alice: hello`, or under a key `alice #7: hello`.
    pub fn line(&self, line: &str) -> Write {
        let (head, text) = line.split_once(": ").unwrap();
        let (name, key_number) = match head.split_once(" #") {
            Some((name, number)) => (name, Some(number.parse().unwrap())),
            None => (head, None),
        };
        Write::Talk {
            app: self.app,
            conv: self.conv,
            from: person(name),
            text: text.to_owned(),
            key: key_number.map(key),
        }
    }

    /// Does commands in one commit.
    pub fn flush(&mut self, writes: Vec<Write>) -> Vec<WriteResult> {
        let batch: Vec<_> = (0..).map(Ticket).zip(writes).collect();
        let flush = self.writer.flush(&batch, self.now);
        assert_eq!(flush.verdict, Verdict::GoOn);
        assert_eq!(flush.trouble, None);
        assert_eq!(flush.commits, u64::from(!batch.is_empty()));
        let tickets: Vec<_> = flush.answers.iter().map(|(ticket, _)| *ticket).collect();
        assert_eq!(
            tickets,
            batch.iter().map(|(ticket, _)| *ticket).collect::<Vec<_>>()
        );
        flush
            .answers
            .into_iter()
            .map(|(_, result)| result)
            .collect()
    }

    /// Does one command in a commit of its own.
    pub fn one(&mut self, write: Write) -> WriteResult {
        self.flush(vec![write]).remove(0)
    }

    /// Each batch is one commit; each command in it stands beside the words of its answer.
    pub fn check(&mut self, batches: &[&[(&str, &str)]]) {
        for batch in batches {
            let writes = batch.iter().map(|(line, _)| self.line(line)).collect();
            let results = self.flush(writes);
            for ((line, expected), result) in batch.iter().zip(results) {
                assert_eq!(words(&result), *expected, "{line}");
            }
        }
    }

    /// Appends `count` short messages.
    pub fn fill(&mut self, count: u64) {
        for _ in 0..count.div_ceil(100) {
            let size = 100.min(count);
            let writes = (0..size)
                .map(|n| self.line(&format!("alice: message {n}")))
                .collect();
            assert!(self.flush(writes).iter().all(Result::is_ok));
        }
    }

    pub fn page(&mut self, next: u64) -> Page {
        let read = Read::Page {
            conv: self.conv,
            next: Seq(next),
        };
        match self.reader.read(&read) {
            Ok(Found::Page(page)) => page,
            other => panic!("{other:?}"),
        }
    }

    pub fn cursor(&mut self, seq: u64, tag: u32) -> bool {
        let read = Read::Cursor {
            conv: self.conv,
            seq: Seq(seq),
            tag: Tag(tag),
        };
        match self.reader.read(&read) {
            Ok(Found::Cursor { matches }) => matches,
            other => panic!("{other:?}"),
        }
    }

    pub fn history(&mut self, before: u64, after: u64, limit: u32, head: u64) -> HistoryPage {
        let read = Read::History {
            conv: self.conv,
            before: Seq(before),
            after: Seq(after),
            limit,
            head: Seq(head),
        };
        match self.reader.read(&read) {
            Ok(Found::History(page)) => page,
            other => panic!("{other:?}"),
        }
    }

    /// The whole log, as a listener who has nothing would catch up with it.
    pub fn everything(&mut self) -> Vec<Entry> {
        let mut entries: Vec<Entry> = Vec::new();
        loop {
            let next = entries.last().map_or(0, |last| last.seq.0) + 1;
            let page = self.page(next);
            let next = next.max(page.floor.0);
            let page = if page.entries.is_empty() {
                self.page(next)
            } else {
                page
            };
            let before = entries.len();
            entries.extend(page.entries.into_iter().filter(|entry| entry.seq.0 >= next));
            if entries.len() == before {
                return entries;
            }
        }
    }
}

/// An answer in words: its place and ordinal, the place of the first time, or why not.
pub fn words(result: &WriteResult) -> String {
    match result {
        Ok(Written::Appended(entry)) => format!("{} ({})", entry.seq, entry.n),
        Ok(Written::Again { seq, .. }) => format!("again {seq}"),
        Err(refusal) => refusal.code.name().to_owned(),
    }
}

pub fn appended(result: WriteResult) -> Entry {
    match result {
        Ok(Written::Appended(entry)) => entry,
        other => panic!("{other:?}"),
    }
}

/// First and last position of a run that must have no gap; `None` if it is empty.
pub fn span(entries: &[Entry]) -> Option<(u64, u64)> {
    for pair in entries.windows(2) {
        assert_eq!(pair[0].seq.next(), pair[1].seq);
    }
    Some((entries.first()?.seq.0, entries.last()?.seq.0))
}

pub fn text(entry: &Entry) -> &str {
    match &entry.body {
        Body::Message { text } => text,
    }
}

/// The code of the refusal that a read must meet.
pub fn refused<R: Reader>(reader: &mut R, read: &Read) -> &'static str {
    match reader.read(read) {
        Err(JobError::Refused(refusal)) => refusal.code.name(),
        other => panic!("{other:?}"),
    }
}
