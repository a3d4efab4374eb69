//! What only the built-in engine has: a folder, a file in it, and everything that can be wrong with
//! them.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use kith::chat::durable::{Found, Read};
use kith::clock::UnixMillis;
use kith::ids::{Entropy, Seq};
use kith::store::engine::{Engine, JobError, Pace, Reader};
use kith::store::writer::Verdict;
use kith::store::{Config, OpenError, Place, open};
use rusqlite::Connection;

use crate::ground::{Ground, InFile, span, text};

/// Why the store does not open, as the operator reads it; without the folder's name, which differs
/// each time.
fn refusal(ground: &InFile) -> String {
    let error = open(&ground.config(0), Entropy::Seeded(1))
        .unwrap_err()
        .to_string();
    assert!(!error.contains('\n'), "{error}");
    error.replace(ground.0.path().to_str().unwrap(), "")
}

fn count(database: &Connection, table: &str) -> i64 {
    database
        .query_row(&format!("SELECT count(*) FROM {table}"), [], |row| {
            row.get(0)
        })
        .unwrap()
}

/// A folder whose database is what `make` made of it.
fn with_database(make: impl FnOnce(&Path)) -> InFile {
    let ground = InFile::new();
    fs::create_dir(ground.0.path().join("data")).unwrap();
    make(&ground.0.path().join("data/kith.db"));
    ground
}

#[test]
fn the_folder_and_what_is_in_it_are_private() {
    let ground = InFile::new();
    let mut server = ground.start(0);
    server.fill(1);
    let mode = |path: &str| {
        fs::metadata(ground.0.path().join(path))
            .unwrap()
            .permissions()
            .mode()
            & 0o777
    };
    assert_eq!(mode("data"), 0o700);
    for file in ["kith.db", "kith.db-wal", "kith.db-shm", "kith.lock"] {
        assert_eq!(mode(&format!("data/{file}")), 0o600, "{file}");
    }
}

#[test]
fn two_servers_never_share_a_folder() {
    let ground = InFile::new();
    let server = ground.start(0);
    assert_eq!(
        refusal(&ground),
        "another Kith is running on /data; stop it, or name another folder with --data"
    );
    drop(server.writer);
    // A reader that is still there is still that server.
    assert!(matches!(
        open(&ground.config(0), Entropy::Seeded(1)),
        Err(OpenError::InUse { .. })
    ));
    drop(server.reader);
    ground.start(0);
}

#[test]
fn what_is_not_ours_is_refused_and_left_as_it_is() {
    let junk =
        with_database(|path| fs::write(path, "This is a letter to my mother.".repeat(99)).unwrap());
    assert_eq!(
        refusal(&junk),
        "/data/kith.db is not a database, or is damaged; restore it from a backup, or move it \
         away to start empty"
    );
    let foreign = with_database(|path| {
        let database = Connection::open(path).unwrap();
        database
            .execute_batch("CREATE TABLE note (text); PRAGMA user_version = 1")
            .unwrap();
    });
    assert_eq!(
        refusal(&foreign),
        "/data/kith.db is a database of another program; name another folder with --data"
    );
    assert_eq!(count(&foreign.database(), "sqlite_schema"), 1);
    let newer = InFile::new();
    newer.start(0);
    newer
        .database()
        .execute_batch("PRAGMA user_version = 1000")
        .unwrap();
    let before = fs::read(newer.0.path().join("data/kith.db")).unwrap();
    assert_eq!(
        refusal(&newer),
        "/data/kith.db was written by a newer Kith (schema 1000, this one knows 1); start \
         that version, or restore a backup from before"
    );
    assert_eq!(
        fs::read(newer.0.path().join("data/kith.db")).unwrap(),
        before
    );
}

#[test]
fn a_folder_that_cannot_be_is_named() {
    let ground = InFile::new();
    fs::write(ground.0.path().join("data"), "a file").unwrap();
    let error = refusal(&ground);
    assert!(error.starts_with("cannot keep data in /data: "), "{error}");
    assert!(error.ends_with("make the folder writable for this user, or name another with --data"));
    let below = Config {
        place: Place::Folder(ground.0.path().join("data/below")),
        lobby_keep: 0,
    };
    assert!(matches!(
        open(&below, Entropy::Seeded(1)),
        Err(OpenError::Folder { .. })
    ));
}

#[test]
fn a_database_that_another_process_holds_is_waited_for_and_then_refused() {
    let ground = InFile::new();
    ground.start(0);
    let other = ground.database();
    other
        .execute_batch("PRAGMA locking_mode = exclusive; BEGIN EXCLUSIVE")
        .unwrap();
    assert_eq!(
        refusal(&ground),
        "/data/kith.db is locked by another process; end whatever has it open (a database shell, a \
         backup) and start again"
    );
    drop(other);
    ground.start(0);
}

#[test]
fn a_locked_database_refuses_commands_and_recovers() {
    let ground = InFile::new();
    let mut server = ground.start(0);
    server.fill(1);
    let other = ground.database();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    assert!(server.writer.engine().begin().is_err());
    assert_eq!(span(&server.everything()), Some((1, 1)));
    other.execute_batch("ROLLBACK").unwrap();
    server.fill(1);
    assert_eq!(span(&server.everything()), Some((1, 2)));
}

#[test]
fn a_first_start_that_was_interrupted_is_taken_up_again() {
    for interrupted in [
        "PRAGMA user_version = 0",
        "PRAGMA user_version = 0; DELETE FROM meta; DELETE FROM conversation; DELETE FROM app",
        "PRAGMA user_version = 0; DROP TABLE meta; DROP TABLE app; DROP TABLE person;
         DROP TABLE conversation; DROP TABLE entry; DROP TABLE once;
         DROP TABLE refinery_schema_history",
    ] {
        let ground = InFile::new();
        ground.start(0);
        ground.database().execute_batch(interrupted).unwrap();
        let mut server = ground.start(0);
        server.check(&[&[("alice: a", "1 (1)")]]);
        assert_eq!(count(&ground.database(), "conversation"), 1);
    }
}

#[test]
fn a_guest_has_a_row_from_the_first_thing_that_is_kept() {
    let ground = InFile::new();
    let mut server = ground.start(0);
    server.check(&[&[("alice #1:  ", "text_empty")]]);
    assert_eq!(count(&ground.database(), "person"), 0);
    server.check(&[&[
        ("alice #1: a", "1 (1)"),
        ("alice: b", "2 (2)"),
        ("bob: c", "3 (3)"),
    ]]);
    assert_eq!(count(&ground.database(), "person"), 2);
    assert_eq!(count(&ground.database(), "once"), 1);
}

#[test]
fn the_log_ahead_stays_small_and_is_gone_after_an_orderly_stop() {
    let ground = InFile::new();
    let mut server = ground.start(0);
    let log = ground.0.path().join("data/kith.db-wal");
    for _ in 0..40 {
        for _ in 0..16 {
            let write = server.line(&format!("alice: {}", "x".repeat(60_000)));
            assert!(server.one(write).is_ok());
        }
        assert_eq!(server.writer.tend(Pace::Busy), Verdict::GoOn);
    }
    // 37 MiB were written. 16 MiB are the threshold; what one round adds comes on top.
    let size = fs::metadata(&log).unwrap().len();
    assert!(size < 20 * 1024 * 1024, "{size}");
    assert_eq!(server.writer.tend(Pace::Last), Verdict::GoOn);
    assert_eq!(fs::metadata(&log).unwrap().len(), 0);
    drop(server);
    assert!(!log.exists());
}

#[test]
fn a_damaged_log_is_an_error_and_never_a_gap() {
    for damage in [
        "DELETE FROM entry WHERE seq = 2",
        "DELETE FROM person",
        "UPDATE entry SET seq = -2 WHERE seq = 2",
        "UPDATE entry SET kind = 99 WHERE seq = 2",
        "UPDATE entry SET body = CAST(x'ff' AS TEXT) WHERE seq = 2",
        "UPDATE entry SET tag = -1 WHERE seq = 2",
        "UPDATE person SET public_id = x'00'",
        "UPDATE conversation SET floor = -1",
    ] {
        let ground = InFile::new();
        let mut server = ground.start(0);
        server.fill(3);
        ground.database().execute_batch(damage).unwrap();
        let read = Read::Page {
            conv: server.conv,
            next: Seq(1),
        };
        let result = server.reader.read(&read);
        assert!(
            matches!(result, Err(JobError::Engine(_))),
            "{damage}: {result:?}"
        );
    }
}

#[test]
fn a_head_that_fell_back_is_noticed_before_it_is_written_over() {
    for (damage, says) in [
        (
            "UPDATE conversation SET head = 2",
            "1 to 2 and holds 1 to 3",
        ),
        (
            "UPDATE conversation SET head = 4",
            "1 to 4 and holds 1 to 3",
        ),
        ("DELETE FROM entry WHERE seq = 1", "1 to 3 and holds 2 to 3"),
        ("DELETE FROM entry", "1 to 3 and holds 1 to 0"),
    ] {
        let ground = InFile::new();
        ground.start(0).fill(3);
        ground.database().execute_batch(damage).unwrap();
        let expected = format!(
            "/data/kith.db: reading the lobby failed: it says {says}; look after the disk, or \
             restore a backup"
        );
        assert_eq!(refusal(&ground), expected);
    }
}

/// Everything that the log holds, or that it cannot be read. Who said it is left out: a name is not
/// protected against a failing disk, what was said is.
fn content(ground: &InFile) -> Option<Vec<(u64, u32, String)>> {
    let opened = open(&ground.config(0), Entropy::Seeded(1)).ok()?;
    let lobby = opened.snapshot.lobby;
    let mut reader = opened.readers.open().ok()?;
    let mut content = Vec::new();
    for next in (1..=lobby.head.0).step_by(64) {
        let read = Read::Page {
            conv: lobby.conv,
            next: Seq(next),
        };
        let Ok(Found::Page(page)) = reader.read(&read) else {
            return None;
        };
        content.extend(
            page.entries
                .iter()
                .map(|e| (e.seq.0, e.tag.0, text(e).to_owned())),
        );
    }
    Some(content)
}

#[test]
fn a_flipped_bit_is_never_served_as_what_somebody_said() {
    let ground = InFile::new();
    let mut server = ground.start(0);
    server.fill(300);
    assert_eq!(server.writer.tend(Pace::Last), Verdict::GoOn);
    drop(server);
    let original = content(&ground).unwrap();
    assert_eq!(original.len(), 300);
    let path = ground.0.path().join("data/kith.db");
    let sound = fs::read(&path).unwrap();
    let mut entropy = Entropy::Seeded(40);
    let (mut noticed, mut harmless) = (0, 0);
    for _ in 0..400 {
        let mut damaged = sound.clone();
        let at = entropy.u64() as usize % damaged.len();
        damaged[at] ^= 1 << (entropy.u32() % 8);
        fs::write(&path, damaged).unwrap();
        match content(&ground) {
            None => noticed += 1,
            Some(content) => {
                assert_eq!(content, original, "a bit of byte {at}");
                harmless += 1;
            }
        }
    }
    // Much of a small database is unused space, and some of it nobody reads any more.
    assert!(
        noticed > 50 && harmless > 50,
        "{noticed} noticed, {harmless} harmless"
    );
}

#[test]
fn what_was_written_before_a_kill_is_found_without_an_orderly_stop() {
    let ground = InFile::new();
    let mut server = ground.start(0);
    server.fill(300);
    let data = ground.0.path().join("data");
    // The files as a kill would leave them, at a moment when the log ahead is full and a
    // transaction is open.
    let write = server.line("alice: not committed");
    let engine = server.writer.engine();
    engine.begin().unwrap();
    engine.apply(&write, UnixMillis(0)).unwrap();
    let killed = InFile::new();
    fs::create_dir(killed.0.path().join("data")).unwrap();
    for file in ["kith.db", "kith.db-wal"] {
        fs::copy(data.join(file), killed.0.path().join("data").join(file)).unwrap();
    }
    let mut again = killed.start(0);
    assert_eq!(again.snapshot.lobby.head, Seq(300));
    assert_eq!(span(&again.everything()), Some((1, 300)));
    again.check(&[&[("alice: goes on", "301 (301)")]]);
}
