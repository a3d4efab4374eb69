//! How many talks per second are acknowledged, beside raw inserts of the same rows.
//!
//! `cargo bench --bench store`. A window of senders, each with one message in flight, goes through
//! the lanes as it would from the event loop; then the same rows go into the same tables by
//! prepared statements alone, in transactions of the same size, with the same promise (write-ahead
//! log, flush per commit). Rounds alternate and medians are compared, so that a busy machine slows
//! both. `cargo bench --bench store -- million` fills a store with a million messages and measures
//! how soon it opens.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use kith::chat::durable::{Read, Write, Written};
use kith::chat::event::Person;
use kith::clock::UnixMillis;
use kith::ids::{AppId, ConvId, Entropy, Key, Seq, Ticket};
use kith::limits::{CHECKPOINT_BUSY, GROUP_COMMANDS};
use kith::store::engine::Reader;
use kith::store::writer::{Verdict, Writer};
use kith::store::{Answer, Config, Opened, Place, open};
use rusqlite::{Connection, params};
use tempfile::TempDir;

/// Messages of one measurement.
const MESSAGES: u64 = 100_000;
/// Each a measurement of the lanes and one of raw inserts.
const ROUNDS: usize = 5;
/// Bytes of text in a message.
const TEXT: usize = 128;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Keys {
    With,
    Without,
}

fn main() {
    if std::env::args().any(|arg| arg == "million") {
        return million();
    }
    println!("{MESSAGES} messages of {TEXT} bytes, medians of {ROUNDS} rounds");
    println!("senders  keys     lanes/s  per commit  p50 ms  p99 ms     raw/s  ratio");
    for keys in [Keys::Without, Keys::With] {
        compare(1000, keys);
    }
    for senders in [100, 10, 1] {
        compare(senders, Keys::With);
    }
}

fn compare(senders: u64, keys: Keys) {
    // Few senders fill few commits, and a commit takes its time however little is in it.
    let messages = MESSAGES * senders / 1000;
    let messages = messages.max(MESSAGES / 50);
    let mut lanes = Vec::new();
    let mut raw = Vec::new();
    for _ in 0..ROUNDS {
        let disk = TempDir::new().expect("a folder for temporary files");
        lanes.push(through_lanes(disk.path(), messages, senders, keys));
        let batch = lanes.last().map_or(1, |run| run.per_commit());
        let disk = TempDir::new().expect("a folder for temporary files");
        raw.push(rate(
            messages,
            raw_inserts(disk.path(), messages, senders, keys, batch),
        ));
    }
    lanes.sort_by_key(|run| run.took);
    raw.sort_by(f64::total_cmp);
    let (run, raw) = (&lanes[ROUNDS / 2], raw[ROUNDS / 2]);
    let ours = rate(messages, run.took);
    let keys = if keys == Keys::With {
        "with"
    } else {
        "without"
    };
    println!(
        "{senders:7}  {keys:7} {ours:8.0}  {:10}  {:6.2}  {:6.2}  {raw:8.0}  {:5.2}",
        run.per_commit(),
        run.percentile(50),
        run.percentile(99),
        ours / raw
    );
}

fn rate(messages: u64, took: Duration) -> f64 {
    messages as f64 / took.as_secs_f64()
}

struct Run {
    took: Duration,
    messages: u64,
    commits: u64,
    /// From handing over to the answer, sorted.
    waits: Vec<Duration>,
}

impl Run {
    fn per_commit(&self) -> usize {
        (self.messages / self.commits.max(1)).max(1) as usize
    }

    fn percentile(&self, percent: usize) -> f64 {
        self.waits[(self.waits.len() - 1) * percent / 100].as_secs_f64() * 1e3
    }
}

fn store(folder: &Path) -> Opened {
    let config = Config {
        place: Place::Folder(folder.join("data")),
        lobby_keep: 0,
    };
    open(&config, Entropy::System).expect("an empty folder opens")
}

fn text(n: u64) -> String {
    format!("{n:0TEXT$}")
}

fn key(n: u64) -> Key {
    // Spread like the random keys of clients; only the high half of the product is well mixed.
    let mixed = u128::from(n + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835);
    Key(mixed.rotate_left(64).to_be_bytes())
}

fn people(count: u64) -> Vec<Person> {
    let mut entropy = Entropy::Seeded(1);
    let person = |n| Person {
        id: entropy.public_id(),
        name: format!("sender {n}").into(),
    };
    (0..count).map(person).collect()
}

/// Every sender has one message on its way, and sends the next when that one is acknowledged.
fn through_lanes(folder: &Path, messages: u64, senders: u64, keys: Keys) -> Run {
    let opened = store(folder);
    let conv = opened.snapshot.lobby.conv;
    let people = people(senders);
    let loop_thread = thread::current();
    let mut lanes = opened
        .start(Arc::new(move || loop_thread.unpark()))
        .expect("threads");
    let talk = |n: u64, sender: u64| Write::Talk {
        app: AppId::DEFAULT,
        conv,
        from: people[sender as usize].clone(),
        text: text(n),
        key: (keys == Keys::With).then(|| key(n)),
    };
    let mut waits = Vec::with_capacity(messages as usize);
    let mut since = vec![Instant::now(); senders as usize];
    let begun = Instant::now();
    let mut sent = 0;
    while sent < senders {
        lanes
            .write(Ticket(sent), talk(sent, sent))
            .expect("room for every sender");
        sent += 1;
    }
    while waits.len() < messages as usize {
        let Some(answer) = lanes.take() else {
            thread::park();
            continue;
        };
        let Answer::Written {
            ticket,
            result: Ok(Written::Appended(_)),
        } = answer
        else {
            panic!("{answer:?}");
        };
        let now = Instant::now();
        waits.push(now - since[ticket.0 as usize]);
        if sent < messages {
            since[ticket.0 as usize] = now;
            lanes
                .write(ticket, talk(sent, ticket.0))
                .expect("room for every sender");
            sent += 1;
        }
    }
    let took = begun.elapsed();
    let commits = lanes.commits();
    lanes.join();
    waits.sort_unstable();
    Run {
        took,
        messages,
        commits,
        waits,
    }
}

/// The same rows, in commits of the same size, by nothing but SQL.
fn raw_inserts(folder: &Path, messages: u64, senders: u64, keys: Keys, batch: usize) -> Duration {
    drop(store(folder));
    let mut database = Connection::open(folder.join("data/kith.db")).expect("it was just made");
    database
        .execute_batch("PRAGMA journal_mode = wal; PRAGMA synchronous = full")
        .expect("it was just made");
    let people = people(senders);
    let begun = Instant::now();
    let mut n = 0;
    while n < messages {
        let transaction = database.transaction().expect("nobody else has it");
        insert(
            &transaction,
            n..messages.min(n + batch.min(GROUP_COMMANDS) as u64),
            &people,
            keys,
        )
        .expect("the rows are new");
        n = messages.min(n + batch.min(GROUP_COMMANDS) as u64);
        transaction.commit().expect("the disk has room");
    }
    begun.elapsed()
}

fn insert(
    database: &Connection,
    range: std::ops::Range<u64>,
    people: &[Person],
    keys: Keys,
) -> rusqlite::Result<()> {
    let (conv, end) = (ConvId(1).0, range.end as i64);
    let mut entry = database.prepare_cached(
        "INSERT INTO entry (conv, seq, n, tag, kind, sender, at, sum, body)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
    )?;
    let mut once = database.prepare_cached(
        "INSERT INTO once (person, key, digest, conv, seq, tag, at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
    )?;
    for n in range {
        let (seq, tag, at) = (n as i64 + 1, n as u32 ^ 0x5bd1_e995, 1_800_000_000_000_i64);
        let sender = n as usize % people.len();
        if n < people.len() as u64 {
            database
                .prepare_cached(
                    "INSERT INTO person (app, public_id, kind, name, made_at)
                 VALUES (1, ?1, 0, ?2, ?3)",
                )?
                .execute(params![people[sender].id.0, &*people[sender].name, at])?;
        }
        let row = sender as i64 + 1;
        entry.execute(params![conv, seq, seq, tag, 0, row, at, tag, text(n)])?;
        if keys == Keys::With {
            once.execute(params![row, key(n).0, [n as u8; 16], conv, seq, tag, at])?;
        }
    }
    database
        .prepare_cached("UPDATE conversation SET head = ?2, n = ?2 WHERE id = ?1")?
        .execute(params![conv, end])?;
    Ok(())
}

fn million() {
    let disk = TempDir::new().expect("a folder for temporary files");
    let run = through_lanes(disk.path(), 1_000_000, 1000, Keys::With);
    println!("a million messages in {:.1} s", run.took.as_secs_f64());
    for _ in 0..ROUNDS {
        print_opening("a clean stop", disk.path());
    }
    read_pages(disk.path());
    for _ in 0..ROUNDS {
        let killed = TempDir::new().expect("a folder for temporary files");
        kill(disk.path(), killed.path());
        print_opening("a kill", killed.path());
    }
}

/// Pages all over the log, as listeners who are behind ask for them.
fn read_pages(folder: &Path) {
    const PAGES: u64 = 20_000;
    let opened = store(folder);
    let lobby = opened.snapshot.lobby;
    let mut reader = opened.readers.open().expect("one more connection");
    let mut entropy = Entropy::Seeded(1);
    let begun = Instant::now();
    for _ in 0..PAGES {
        let next = Seq(entropy.u64() % lobby.head.0 + 1);
        let conv = lobby.conv;
        reader
            .read(&Read::Page { conv, next })
            .expect("the log is sound");
    }
    let took = begun.elapsed().as_secs_f64() * 1e6 / PAGES as f64;
    println!("a page of 64 messages: {took:.1} µs");
}

fn print_opening(after: &str, folder: &Path) {
    let begun = Instant::now();
    let opened = store(folder);
    let took = begun.elapsed().as_secs_f64() * 1e3;
    println!(
        "open after {after}: {took:.2} ms, head {}",
        opened.snapshot.lobby.head
    );
}

/// Leaves in `to` what a kill would leave of `from` at the moment when its log ahead is longest.
fn kill(from: &Path, to: &Path) {
    let opened = store(from);
    let (conv, from_person) = (opened.snapshot.lobby.conv, people(1).remove(0));
    let mut writer = Writer::new(opened.writer);
    let log = from.join("data/kith.db-wal");
    let since = SystemTime::UNIX_EPOCH
        .elapsed()
        .expect("a clock that is set");
    let now = UnixMillis(since.as_millis() as i64);
    let mut sent = 0;
    while fs::metadata(&log).expect("it is open").len() < CHECKPOINT_BUSY as u64 * 4096 {
        let talk = |n| Write::Talk {
            app: AppId::DEFAULT,
            conv,
            from: from_person.clone(),
            text: text(n),
            key: None,
        };
        let batch: Vec<_> = (sent..sent + 256).map(|n| (Ticket(n), talk(n))).collect();
        let flush = writer.flush(&batch, now);
        assert_eq!(flush.verdict, Verdict::GoOn);
        sent += 256;
    }
    fs::create_dir(to.join("data")).expect("a folder for temporary files");
    for file in ["data/kith.db", "data/kith.db-wal"] {
        fs::copy(from.join(file), to.join(file)).expect("the disk has room");
    }
}
