//! The load tester with a server that it starts itself: drained, killed, searched, interrupted, and
//! never left behind.

#![allow(clippy::unwrap_used)]

mod common;

use std::io::Read;
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use common::Folder;
use serde_json::Value;

const SWARM: &str = env!("CARGO_BIN_EXE_kith-swarm");
const KITH: &str = env!("CARGO_BIN_EXE_kith");

/// A run that has begun, with ten clients.
struct Run {
    child: Child,
    folder: Folder,
}

/// What came of it.
struct Done {
    code: Option<i32>,
    out: String,
    errors: String,
    report: Value,
    /// What the server printed, if that went into `log`.
    log: String,
}

impl Run {
    fn start(scenario: &str, serve: &str, more: &[&str]) -> Self {
        let folder = Folder::new();
        // Free as long as nobody else thinks of it.
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr();
        let address = port.unwrap().to_string();
        let serve = serve.replace("ADDRESS", &address);
        let url = format!("ws://{address}/ws");
        let words = [
            "--serve", &serve, "--url", &url, "--json", "r.json", "-n", "10",
        ];
        let mut command = Command::new(SWARM);
        command.arg(scenario).args(words).args(more).env_clear();
        command.env("PATH", std::env::var_os("PATH").unwrap());
        command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let child = command.current_dir(folder.path()).spawn().unwrap();
        Self { child, folder }
    }

    /// Against Kith, without limits on what one client may say.
    fn kith(scenario: &str, more: &[&str]) -> Self {
        let limits = ["talk_rate", "address_talk_rate", "command_rate"];
        let limits = limits.map(|limit| format!("--set limits.{limit}=0"));
        let serve = format!("{KITH} --listen ADDRESS --data d {}", limits.join(" "));
        Self::start(scenario, &serve, more)
    }

    fn end(mut self) -> Done {
        let (mut out, mut errors) = (String::new(), String::new());
        let mut stderr = self.child.stderr.take().unwrap();
        // Both at once, so that neither fills up.
        let reader = std::thread::spawn(move || {
            stderr.read_to_string(&mut errors).unwrap();
            errors
        });
        self.child
            .stdout
            .take()
            .unwrap()
            .read_to_string(&mut out)
            .unwrap();
        let json = std::fs::read_to_string(self.folder.path().join("r.json"));
        Done {
            code: self.child.wait().unwrap().code(),
            out,
            errors: reader.join().unwrap(),
            log: std::fs::read_to_string(self.folder.path().join("log")).unwrap_or_default(),
            report: json.map_or(Value::Null, |json| serde_json::from_str(&json).unwrap()),
        }
    }

    /// Waits until it says so on standard error.
    fn says(&mut self, wanted: &str) {
        let stderr = self.child.stderr.as_mut().unwrap();
        let mut line = String::new();
        // A byte at a time, so that nothing is taken that `end` wants.
        let mut byte = [0];
        while !line.contains(wanted) {
            assert_ne!(stderr.read(&mut byte).unwrap(), 0, "it ended with {line}");
            line.push(byte[0].into());
        }
    }

    fn signal(&self, signal: i32) {
        let pid = i32::try_from(self.child.id()).unwrap();
        assert_eq!(unsafe { libc::kill(pid, signal) }, 0);
    }
}

fn gone(pid: &Value) -> bool {
    !Path::new(&format!("/proc/{pid}")).exists()
}

#[test]
fn a_server_that_is_drained_and_killed_in_turns_loses_nothing() {
    let words = [
        "--talkers",
        "4",
        "--duration",
        "3s",
        "--restart",
        "both",
        "--every",
        "1s",
    ];
    let done = Run::kith(
        "reconnect",
        &[&words[..], &["--slow", "0.2", "--flap", "0.5"]].concat(),
    )
    .end();
    assert_eq!(done.code, Some(0), "{}{}", done.out, done.errors);
    let lives = done.report["serve"]["lives"].as_array().unwrap();
    let ended: Vec<_> = lives
        .iter()
        .map(|life| (&life["ended_by"], &life["with"]))
        .collect();
    let ended: Vec<_> = ended
        .iter()
        .map(|(by, with)| (by.as_str(), with.as_str()))
        .collect();
    let drain = (Some("drain"), Some("status 0"));
    assert_eq!(ended, [drain, (Some("kill"), Some("signal 9")), drain]);
    assert!(
        lives
            .iter()
            .all(|life| gone(&life["pid"]) && life["resident"].as_u64() > Some(0))
    );
    // The last one was there only for a moment before it was over.
    let server = &done.report["server"];
    assert_eq!(server["pid"], lives[2]["pid"]);
    assert!(server["resident_after"].as_u64() > Some(0));
    for (told, what) in done.report["breaks"]
        .as_array()
        .unwrap()
        .iter()
        .zip(["drain", "kill"])
    {
        assert_eq!(told["what"], what);
    }
    let last = &done.report["breaks"][1];
    assert_eq!((&last["out"], &last["back"]), (&10.into(), &10.into()));
    assert_eq!(done.report["verdict"]["said"], 150);
    assert_eq!(done.report["verdict"]["acknowledged"], 150);
    let marks = done.report["marks"].as_array().unwrap();
    let marks: Vec<_> = marks
        .iter()
        .filter_map(|mark| mark["what"].as_str())
        .collect();
    assert!(
        marks.contains(&"drained") && marks.contains(&"killed"),
        "{marks:?}"
    );
}

#[test]
fn a_restart_that_is_due_too_soon_waits_until_somebody_is_back() {
    let words = ["--duration", "2s", "--restart", "both", "--every", "10ms"];
    let done = Run::kith("reconnect", &words).end();
    assert_eq!(done.code, Some(0), "{}{}", done.out, done.errors);
    let breaks = done.report["breaks"].as_array().unwrap();
    assert!(!breaks.is_empty());
    assert!(breaks.iter().all(|one| one["back"].as_u64() >= Some(1)));
}

#[test]
fn what_does_not_serve_is_quoted_and_left_nowhere() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = format!("ws://{}/ws", taken.local_addr().unwrap());
    for (serve, more, says) in [
        (
            "sh -c 'echo no such folder; exit 3'",
            &[][..],
            "it ended by itself (status 3); it printed last:\nno such folder",
        ),
        (
            "no-such-program",
            &[],
            "it ended by itself (status 127); it printed last:\n",
        ),
        (
            "true",
            &["--url", &taken],
            "already; end that server, or leave --serve out",
        ),
        (
            "true",
            &["--serve-output", "no/such/folder"],
            "cannot write no/such/folder",
        ),
    ] {
        let done = Run::start("lobby", serve, more).end();
        assert_eq!(done.code, Some(1), "{}", done.errors);
        assert!(
            done.errors.starts_with("error: ") && done.errors.contains(says),
            "{}",
            done.errors
        );
    }
}

#[test]
fn an_interrupt_gives_the_verdict_on_what_was_said() {
    let mut run = Run::kith("lobby", &["--duration", "10m", "--serve-output", "log"]);
    run.says("talking");
    run.signal(libc::SIGINT);
    let done = run.end();
    assert_eq!(done.code, Some(0), "{}{}", done.out, done.errors);
    assert!(done.out.contains("stopped early"), "{}", done.out);
    assert!(done.out.ends_with("all limits held\n"), "{}", done.out);
    assert_eq!(done.report["serve"]["output"], "log");
    assert!(done.log.contains("listening on"), "{}", done.log);
}

#[test]
fn a_second_interrupt_ends_it_at_once_and_the_server_with_it() {
    let words = ["--duration", "10m", "--settle", "10m", "--rate", "100"];
    let mut run = Run::kith("lobby", &words);
    run.says("talking");
    let pid = run.child.id();
    let children = std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap();
    let server: Value = serde_json::from_str(children.trim()).unwrap();
    let stopped = i32::try_from(server.as_i64().unwrap()).unwrap();
    assert_eq!(unsafe { libc::kill(stopped, libc::SIGSTOP) }, 0);
    // A second later a hundred messages wait for an answer.
    run.says("talking");
    run.signal(libc::SIGTERM);
    run.says("settling");
    run.signal(libc::SIGTERM);
    assert_eq!(run.end().code, Some(128 + libc::SIGTERM));
    while !gone(&server) {
        std::thread::yield_now();
    }
}

#[test]
fn a_search_says_what_the_server_sustains() {
    let words = [
        "--search",
        "--rate",
        "20",
        "--duration",
        "100ms",
        "--max-p99",
        "0us",
    ];
    let done = Run::kith("lobby", &words).end();
    assert_eq!(done.code, Some(1), "{}{}", done.out, done.errors);
    let search = &done.report["search"];
    // How far down it came depends on the machine: a swarm that cannot keep up says so, and stops.
    assert_eq!(search["sustained"], Value::Null);
    assert_eq!(search["steps"][0]["rate"], 20.0);
    assert_eq!(search["steps"][0]["held"], false);
    assert!(
        done.out.contains("no rate that was tried held all limits"),
        "{}",
        done.out
    );
    // One that somebody stops says how far it was.
    let words = ["--search", "--duration", "10m", "--max-p99", "10s"];
    let mut run = Run::kith("lobby", &words);
    run.says("talking");
    run.signal(libc::SIGINT);
    let Done { out, report, .. } = run.end();
    let search = &report["search"];
    assert_eq!(
        (&search["sustained"], &search["ended"]),
        (&10.0.into(), &"interrupted".into())
    );
    assert!(
        out.contains("sustains     10.0 messages a second at least; the search was stopped"),
        "{out}"
    );
}

#[test]
fn a_file_that_is_wrong_is_named_with_its_line() {
    let folder = Folder::new();
    std::fs::write(
        folder.path().join("my.toml"),
        "base = 'lobby'\n\nrate = 'fast'\n",
    )
    .unwrap();
    let mut command = Command::new(SWARM);
    let output = command
        .arg("my.toml")
        .current_dir(folder.path())
        .output()
        .unwrap();
    let text = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2), "{text}");
    let says = "error: my.toml:3: rate = fast: a rate is from 0 to 1000000 a second";
    assert!(text.starts_with(says), "{text}");
    let printed = Command::new(SWARM)
        .args(["storm", "--print"])
        .output()
        .unwrap();
    let text = String::from_utf8(printed.stdout).unwrap();
    assert!(
        printed.status.success() && text.contains("\nwaves = 3\n"),
        "{text}"
    );
}
