//! A process that writes is killed without warning, again and again, and what it had acknowledged
//! is compared with what is there.
//!
//! The process is this test program itself, started with a folder in its environment.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write as _};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::thread;

use kith::chat::durable::{Write, Written};
use kith::ids::{AppId, Entropy, Ticket};
use kith::store::{Answer, Config, Place, open};

use crate::ground::{Ground, InFile, key, person, span, text};

const FOLDER: &str = "KITH_TEST_KILL_FOLDER";
const KILLS: u64 = 12;
/// Commands on their way at any time.
const WINDOW: u64 = 64;

/// Runs as a process of its own: talks until it is killed, and says what was acknowledged.
#[test]
fn victim() {
    let Some(folder) = std::env::var_os(FOLDER) else {
        return;
    };
    let config = Config {
        place: Place::Folder(folder.into()),
        lobby_keep: 0,
    };
    let opened = open(&config, Entropy::System).unwrap();
    let lobby = opened.snapshot.lobby.clone();
    let this = thread::current();
    let mut lanes = opened.start(Arc::new(move || this.unpark())).unwrap();
    let talk = |n: u64| Write::Talk {
        app: AppId::DEFAULT,
        conv: lobby.conv,
        from: person(["alice", "bob", "carol"][n as usize % 3]),
        text: format!("{} after {}", n, lobby.head),
        key: n.is_multiple_of(2).then(|| key((n % 256) as u8)),
    };
    let mut sent = 0;
    loop {
        while sent < WINDOW {
            lanes.write(Ticket(sent), talk(sent)).unwrap();
            sent += 1;
        }
        let Some(answer) = lanes.take() else {
            thread::park();
            continue;
        };
        if let Answer::Written {
            result: Ok(Written::Appended(entry)),
            ..
        } = answer
        {
            let line = format!("acked {} {} {}\n", entry.seq, entry.tag.0, text(&entry));
            std::io::stdout().write_all(line.as_bytes()).unwrap();
        }
        lanes.write(Ticket(sent), talk(sent)).unwrap();
        sent += 1;
    }
}

#[test]
fn what_was_acknowledged_is_there_after_every_kill() {
    let ground = InFile::new();
    let mut acked = BTreeMap::new();
    for round in 0..KILLS {
        let mut victim = Command::new(std::env::current_exe().unwrap())
            .args(["kill::victim", "--exact", "--nocapture"])
            .env(FOLDER, ground.0.path().join("data"))
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(victim.stdout.take().unwrap())
            .lines()
            .map_while(Result::ok);
        let mut told = lines.filter_map(|line| {
            let (seq, rest) = line.strip_prefix("acked ")?.split_once(' ')?;
            Some((seq.parse::<u64>().unwrap(), rest.to_owned()))
        });
        // Another moment each time; what was said before the kill and not yet read counts as well.
        acked.extend(told.by_ref().take(1 + (round * round * 7) as usize));
        victim.kill().unwrap();
        acked.extend(told);
        victim.wait().unwrap();

        let mut server = ground.start(0);
        let head = server.snapshot.lobby.head.0;
        let log = server.everything();
        assert_eq!(span(&log), Some((1, head)));
        for (seq, said) in &acked {
            let entry = &log[*seq as usize - 1];
            assert_eq!(&format!("{} {}", entry.tag.0, text(entry)), said);
        }
        assert!(*acked.last_key_value().unwrap().0 <= head);
    }
}
