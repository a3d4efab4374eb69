//! The program as an operator meets it: exit codes, one line about what is wrong, and a log whose
//! reader may go.

#![allow(clippy::unwrap_used)]

mod common;

use std::io::Read;
use std::net::TcpListener;
use std::process::{Command, Output};

use common::Folder;
use common::server::{Server, kith};
use kith::logging::{Logging, PANIC_STATUS};
use kith::signals::{Signal, Signals};

fn output(words: &[&str], folder: &Folder) -> Output {
    kith(words).current_dir(folder.path()).output().unwrap()
}

#[test]
fn exit_codes_are_as_the_help_says() {
    let folder = Folder::new();
    for (words, code) in [
        (&["--help"][..], 0),
        (&["--version"], 0),
        (&["settings"], 0),
        (&["check"], 0),
        (&["check", "--set", "lisen=1"], 1),
        (&["--set", "lisen=1"], 1),
        (&["--lisen", "1"], 2),
        (&["sreve"], 2),
    ] {
        assert_eq!(
            output(words, &folder).status.code(),
            Some(code),
            "{words:?}"
        );
    }
}

#[test]
fn what_keeps_it_from_starting_is_one_line() {
    let folder = Folder::new();
    std::fs::write(folder.path().join("file"), "").unwrap();
    std::fs::write(folder.path().join("bad.toml"), "lobby.keep = no\n").unwrap();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = taken.local_addr().unwrap().to_string();
    for (words, says) in [
        (&["--listen", &taken][..], "is in use"),
        (
            &["--listen", "192.0.2.1:9091"],
            "does not have that address",
        ),
        (
            &["--listen", "127.0.0.1:0", "--data", "file"],
            "cannot keep data in file",
        ),
        (
            &["--listen", "127.0.0.1:0", "--data", "file/below"],
            "or name another with --data",
        ),
        (&["--config", "bad.toml"], "bad.toml:1: this is not TOML"),
        (
            &["--config", "missing.toml"],
            "missing.toml: cannot be read",
        ),
    ] {
        let output = output(words, &folder);
        let text = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{words:?}: {text}");
        assert!(
            text.starts_with("error: ") && text.contains(says),
            "{words:?}: {text}"
        );
        assert_eq!(text.lines().count(), 1, "{text}");
    }
}

#[test]
fn one_server_per_data_folder() {
    let folder = Folder::new();
    let _server = Server::start(&folder);
    let second = output(&["--listen", "127.0.0.1:0"], &folder);
    let text = String::from_utf8(second.stderr).unwrap();
    assert_eq!(second.status.code(), Some(1));
    assert!(
        text.contains("another Kith is running on ./kith-data"),
        "{text}"
    );
}

#[test]
fn a_signal_stops_it_in_order() {
    for signal in [libc::SIGTERM, libc::SIGINT] {
        let folder = Folder::new();
        let mut server = Server::start(&folder);
        server.signal(signal);
        let mut rest = String::new();
        server
            .log
            .take()
            .unwrap()
            .read_to_string(&mut rest)
            .unwrap();
        assert!(
            rest.contains("stopped"),
            "the last lines are written out: {rest}"
        );
        assert_eq!(server.child.wait().unwrap().code(), Some(0));
    }
}

#[test]
fn a_reader_that_has_seen_enough_is_no_failure() {
    let folder = Folder::new();
    let mut child = kith(&["settings"])
        .current_dir(folder.path())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let mut text = String::new();
    child
        .stderr
        .take()
        .unwrap()
        .read_to_string(&mut text)
        .unwrap();
    assert_eq!((child.wait().unwrap().code(), text.as_str()), (Some(0), ""));
}

#[test]
fn a_server_outlives_the_reader_of_its_log() {
    let folder = Folder::new();
    let mut server = Server::start(&folder);
    drop(server.log.take());
    // It has something to say on its way out, and nobody to say it to.
    server.signal(libc::SIGTERM);
    let mut text = String::new();
    server
        .child
        .stderr
        .take()
        .unwrap()
        .read_to_string(&mut text)
        .unwrap();
    assert_eq!(
        (server.child.wait().unwrap().code(), text.as_str()),
        (Some(0), "")
    );
}

/// Runs one of the two parts below in a process of its own.
fn part(name: &str) -> (Option<i32>, String) {
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", name, "--ignored", "--nocapture"])
        .output()
        .unwrap();
    (
        output.status.code(),
        String::from_utf8(output.stderr).unwrap(),
    )
}

#[test]
fn a_panic_in_any_thread_ends_the_server_with_one_line() {
    let (code, text) = part("a_thread_that_panics");
    assert_eq!(code, Some(PANIC_STATUS), "{text}");
    assert_eq!(text.lines().count(), 1, "{text}");
    assert!(
        text.starts_with("kith: a bug ended the server, in thread worker: "),
        "{text}"
    );
    assert!(
        text.contains("tests/process.rs") && text.contains("two\\nlines"),
        "{text}"
    );
}

#[test]
#[ignore = "ends its process; run by a_panic_in_any_thread_ends_the_server_with_one_line"]
fn a_thread_that_panics() {
    let logging = Logging::start(log::LevelFilter::Info, Vec::new()).unwrap();
    let worker = std::thread::Builder::new().name("worker".to_owned());
    let worker = worker.spawn(|| panic!("two\nlines")).unwrap();
    let _ = worker.join();
    logging.stop();
}

#[test]
fn the_first_signal_asks_and_the_second_ends() {
    let (code, text) = part("two_signals");
    assert_eq!(
        (code, text.as_str()),
        (Some(128 + libc::SIGTERM), "asked\n")
    );
}

#[test]
#[ignore = "ends its process; run by the_first_signal_asks_and_the_second_ends"]
fn two_signals() {
    let mut signals = Signals::new().unwrap();
    assert_eq!(signals.pending().count(), 0);
    assert_eq!(unsafe { libc::raise(libc::SIGINT) }, 0);
    assert_eq!(signals.pending().collect::<Vec<_>>(), [Signal::Stop]);
    eprintln!("asked");
    assert_eq!(unsafe { libc::raise(libc::SIGTERM) }, 0);
    unreachable!("the second signal ended the process");
}
