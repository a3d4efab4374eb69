//! The load tester as its user meets it: against the real server, with a report that programs can
//! read, and with one sentence about whatever keeps it from running.
//!
//! That its verdict is right is shown beside it, in `load/scripted.rs`.

#![allow(clippy::unwrap_used)]

mod common;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Output, Stdio};

use common::Folder;
use common::server::Server;
use serde_json::{Value, json};

const SWARM: &str = env!("CARGO_BIN_EXE_kith-swarm");

fn swarm(words: &[&str], folder: &Folder) -> Output {
    let mut command = Command::new(SWARM);
    command.args(words).env_clear().stdin(Stdio::null());
    command.current_dir(folder.path()).output().unwrap()
}

/// Ten clients who say something for a second, within the limits that a server has by itself.
const LITTLE: &[&str] = &[
    "--clients",
    "10",
    "--talkers",
    "4",
    "--rate",
    "20",
    "--duration",
    "1s",
    "--json",
    "r.json",
    "--html",
    "r.html",
];

/// Runs against a server of its own; gives the exit status, the report and the summary.
fn run(scenario: &str, more: &[&str]) -> (Option<i32>, Value, String) {
    let folder = Folder::new();
    let server = Server::start(&folder);
    let url = format!("ws://{}/ws", server.address);
    let output = swarm(
        &[&[scenario, "--url", &url], LITTLE, more].concat(),
        &folder,
    );
    let text = String::from_utf8(output.stdout).unwrap();
    let errors = String::from_utf8(output.stderr).unwrap();
    let json = std::fs::read_to_string(folder.path().join("r.json"));
    let json = json.unwrap_or_else(|error| panic!("{error}: {errors}"));
    let report = serde_json::from_str(&json).unwrap();
    assert_eq!(complaints(&report), [""; 0], "{scenario}");
    stands_alone(&std::fs::read_to_string(folder.path().join("r.html")).unwrap());
    (output.status.code(), report, text)
}

#[test]
fn against_the_real_server_nothing_is_wrong() {
    for (scenario, more, said) in [
        ("lobby", &[][..], 20),
        ("chatty", &["--talkers", "10"], 20),
        ("reconnect", &["--cut", "0.5"], 20),
        ("idle", &["--rate", "0", "--duration", "100ms"], 0),
        ("big", &[], 20),
        ("storm", &["--waves", "2"], 20),
        ("slow", &["--slow", "0.2", "--slow-turn", "100ms"], 20),
        ("flap", &["--flap", "1"], 20),
        ("ping", &["--talkers", "10"], 20),
        ("lobby", &["--count"], 20),
    ] {
        let (code, report, text) = run(scenario, more);
        assert_eq!(code, Some(0), "{text}");
        assert!(text.ends_with("all limits held\n"), "{text}");
        let verdict = &report["verdict"];
        for fault in ["lost", "duplicated", "reordered", "silent-holes"] {
            assert_eq!(verdict[fault]["count"], 0, "{fault}: {text}");
        }
        assert_eq!(verdict["said"], said);
        assert_eq!(verdict["acknowledged"], said);
        // Everybody but the sender, and perhaps the sender once more if it was cut.
        let heard = report["traffic"]["deliveries"].as_u64().unwrap();
        let expected = match scenario {
            "ping" => said..=said,
            _ => 9 * said..=10 * said,
        };
        assert!(expected.contains(&heard), "{heard}");
        assert!(report["server"]["resident_filled"].as_u64() > Some(0));
    }
}

#[test]
fn limits_that_do_not_hold_are_named_and_are_the_exit_status() {
    let (code, report, text) = run("lobby", &["--talkers", "1", "--rate", "200"]);
    assert_eq!((code, &report["held"]), (Some(1), &Value::Bool(false)));
    assert!(text.contains("500 too_fast"), "{text}");
    assert!(text.contains("NOT HELD     refused: "), "{text}");
    assert_eq!(report["verdict"]["refused"][0]["code"], 500);
    let (code, _, text) = run("lobby", &["--max-p50", "0us"]);
    assert_eq!(code, Some(1));
    assert!(text.contains("NOT HELD     p50: "), "{text}");
}

/// A page that is well-formed, can be heard as well as seen, and asks nobody for anything.
fn stands_alone(page: &str) {
    let options = roxmltree::ParsingOptions {
        allow_dtd: true,
        ..Default::default()
    };
    let page = roxmltree::Document::parse_with_options(page, options).unwrap();
    let mut ids = std::collections::BTreeSet::new();
    for node in page.descendants().filter(roxmltree::Node::is_element) {
        assert_ne!(node.tag_name().name(), "script");
        for attribute in node.attributes() {
            let (name, value) = (attribute.name(), attribute.value());
            let refers = ["href", "src", "srcset", "action", "data", "style"].contains(&name);
            assert!(!refers || value == "data:,", "{name}: {value}");
            assert!(!name.starts_with("on"), "{name}: {value}");
            assert!(name != "id" || ids.insert(value), "{value} twice");
        }
    }
    let style = page.descendants().find(|node| node.has_tag_name("style"));
    let style = style.unwrap().text().unwrap();
    assert!(!style.contains("url(") && !style.contains("@import"));
    let mut drawings = page.descendants().filter(|node| node.has_tag_name("svg"));
    assert!(drawings.all(|drawing| match drawing.attribute("role") {
        Some("img") => {
            let names = drawing.attribute("aria-labelledby").unwrap();
            names.split(' ').all(|name| ids.contains(name))
        }
        _ => drawing.attribute("aria-hidden") == Some("true"),
    }));
}

#[test]
fn the_page_shows_the_verdict_the_plots_and_whatever_was_said() {
    let folder = Folder::new();
    let server = Server::start(&folder);
    // What stands in an address stands on the page, as it was typed.
    let url = format!("ws://{}/ws?a='&b=%3C/p%3E", server.address);
    let words = ["lobby", "--url", &url, "--max-p50", "0us"];
    let output = swarm(&[&words, LITTLE].concat(), &folder);
    assert_eq!(output.status.code(), Some(1));
    let page = std::fs::read_to_string(folder.path().join("r.html")).unwrap();
    stands_alone(&page);
    for shown in [
        "One limit did not hold",
        "<h3>Latency over time</h3>",
        "<h3>Percentiles</h3>",
        "<h3>Server CPU by thread</h3>",
        "<h3>Server memory</h3>",
        "<caption>Latencies</caption>",
        "p50 at most 0 µs",
        "?a=&#39;&amp;b=%3C/p%3E",
    ] {
        assert!(page.contains(shown), "{shown}");
    }
}

#[test]
fn the_schema_is_printed_as_it_is() {
    let output = swarm(&["schema"], &Folder::new());
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(output.stdout, include_bytes!("../load/report.schema.json"));
}

/// What `load/report.schema.json` has against it.
fn complaints(report: &Value) -> Vec<String> {
    let schema: Value = serde_json::from_str(include_str!("../load/report.schema.json")).unwrap();
    let validator = jsonschema::draft202012::new(&schema).unwrap();
    let errors = validator.iter_errors(report);
    errors
        .map(|error| format!("{}: {error}", error.instance_path()))
        .collect()
}

/// `run` holds every report of these tests to the schema; here it is shown that this means
/// something, and that every number of the schema is found in a report.
#[test]
fn the_schema_knows_every_member_and_refuses_what_it_does_not_know() {
    let (_, report, text) = run("lobby", &[]);
    assert_eq!(report["format"], 2);
    assert!(report["samples"][0]["server_cpu"].is_object(), "{text}");
    assert_eq!(report["marks"][0]["what"], "talking", "{text}");
    assert!(report["server"]["threads"][0]["cpu_us_per_delivery"].as_f64() > Some(0.0));
    for (pointer, wrong, says) in [
        ("", None, "format"),
        ("/format", Some(json!(1)), "2"),
        ("/held", Some(json!("yes")), "boolean"),
        ("/latency/corrected/p99", Some(json!(-1)), "less than"),
        ("/samples/0/inside", Some(json!(0.5)), "integer"),
        ("/marks/0/what", Some(json!("nothing")), "talking"),
        ("/server/threads/0", Some(json!({})), "required"),
        ("/verdict/lost/more", Some(json!(1)), "more"),
        ("/more", Some(json!(1)), "more"),
    ] {
        let mut broken = report.clone();
        match wrong {
            Some(wrong) => {
                let (parent, name) = pointer.rsplit_once('/').unwrap();
                let parent = broken.pointer_mut(parent).unwrap();
                match parent {
                    Value::Array(list) => list[0] = wrong,
                    parent => parent[name] = wrong,
                }
            }
            None => assert!(broken.as_object_mut().unwrap().remove("format").is_some()),
        }
        let found = complaints(&broken);
        assert!(
            found.len() == 1 || says == "required",
            "{pointer}: {found:?}"
        );
        assert!(found[0].contains(says), "{pointer}: {found:?}");
    }
}

/// The floor, until it is dropped.
struct Floor {
    child: Child,
    /// `ws://127.0.0.1:PORT/`.
    url: String,
}

impl Floor {
    fn start() -> Self {
        let mut command = Command::new(SWARM);
        command.args(["floor", "--listen", "127.0.0.1:0"]);
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        let mut out = BufReader::new(child.stdout.take().unwrap());
        out.read_line(&mut line).unwrap();
        let url = line.trim_end().strip_prefix("listening on ").unwrap();
        let url = url.to_owned();
        Self { child, url }
    }

    fn connect(&self, path: &str) -> tungstenite::WebSocket<TcpStream> {
        let address = self.url.strip_prefix("ws://").unwrap();
        let stream = TcpStream::connect(address.trim_end_matches('/')).unwrap();
        let url = format!("{}{path}", self.url);
        tungstenite::client(url, stream).unwrap().0
    }
}

impl Drop for Floor {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn the_floor_tells_everybody_but_who_only_wants_an_echo() {
    let floor = Floor::start();
    let mut room = ["", "ws", "any?x=1"].map(|path| floor.connect(path));
    let mut echo = floor.connect("echo");
    let message = |size| tungstenite::Message::binary(vec![b'x'; size]);
    // Larger than a read buffer, and than what a socket takes at once.
    for size in [0, 128, 1_000_000] {
        room[1].send(message(size)).unwrap();
        for socket in &mut room {
            assert_eq!(socket.read().unwrap(), message(size));
        }
    }
    echo.send(message(7)).unwrap();
    assert_eq!(echo.read().unwrap(), message(7));
    echo.send(tungstenite::Message::Ping("p".into())).unwrap();
    assert_eq!(echo.read().unwrap(), tungstenite::Message::Pong("p".into()));
    // One leaves with a word and one without; the others stay.
    room[0].close(None).unwrap();
    while room[0].read().is_ok() {}
    let [_, mut left, dropped] = room;
    drop(dropped);
    left.send(message(9)).unwrap();
    assert_eq!(left.read().unwrap(), message(9));
    echo.send(message(8)).unwrap();
    assert_eq!(echo.read().unwrap(), message(8));
}

#[test]
fn whoever_does_not_read_is_dropped_by_the_floor_and_holds_nobody_up() {
    let floor = Floor::start();
    let [mut reader, mut lazy] = ["", ""].map(|path| floor.connect(path));
    let message = tungstenite::Message::binary(vec![b'x'; 1_000_000]);
    // More than the kernel holds for a socket and the floor for a queue.
    for _ in 0..40 {
        reader.send(message.clone()).unwrap();
        assert_eq!(reader.read().unwrap(), message);
    }
    let mut came = 0;
    while lazy.read().is_ok() {
        came += 1;
    }
    assert!(came < 40, "{came}");
}

#[test]
fn from_the_floor_everything_comes_that_is_to_come() {
    let floor = Floor::start();
    let echo = format!("{}echo", floor.url);
    for (url, more, heard) in [
        (&floor.url, &[][..], 10),
        (&floor.url, &["--count", "--size", "44"], 10),
        (&floor.url, &["--size", "60000", "--subprotocol", "a.b"], 10),
        (&echo, &["--expect", "echo", "--header", "x: y"], 1),
    ] {
        let folder = Folder::new();
        let words = [&["raw", "--url", url], LITTLE, more].concat();
        let output = swarm(&words, &folder);
        let text = String::from_utf8(output.stdout).unwrap();
        assert_eq!(output.status.code(), Some(0), "{text}");
        let report = std::fs::read_to_string(folder.path().join("r.json")).unwrap();
        let report: Value = serde_json::from_str(&report).unwrap();
        assert_eq!(complaints(&report), [""; 0], "{text}");
        assert_eq!(report["verdict"]["said"], 20, "{text}");
        assert_eq!(report["verdict"]["acknowledged"], 20, "{text}");
        assert_eq!(report["traffic"]["deliveries"], 20 * heard, "{text}");
        assert_eq!(report["server"]["pid"], floor.child.id());
    }
    // A closed loop says as much as it can, and has no corrected latency.
    let words = ["raw", "--url", &floor.url, "--flood", "--window", "4"];
    let folder = Folder::new();
    let output = swarm(&[&words[..], LITTLE].concat(), &folder);
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.contains("a flood is not open loop"), "{text}");
    let report = std::fs::read_to_string(folder.path().join("r.json")).unwrap();
    let report: Value = serde_json::from_str(&report).unwrap();
    let said = report["verdict"]["said"].as_u64().unwrap();
    assert!(said >= 4 * 4, "{text}");
    assert_eq!(report["traffic"]["deliveries"], 10 * said, "{text}");
    assert_eq!(report["latency"]["corrected"]["count"], 0);
    assert_eq!(report["latency"]["uncorrected"]["count"], 10 * said);
    // Nobody was to hear its own words.
    let words = ["raw", "--url", &floor.url, "--expect", "others"];
    let output = swarm(&[&words[..], LITTLE].concat(), &Folder::new());
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(
        text.contains("NOT HELD     misdelivered: 20, at most 0; "),
        "{text}"
    );
}

/// Answers one connection with `answer`, and gives its URL.
fn answering(answer: &'static str) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut head = [0; 4096];
        // The swarm hangs up when it has seen enough.
        let _ = stream.read(&mut head);
        let _ = stream.write_all(answer.as_bytes());
        let _ = stream.read(&mut head);
    });
    format!("ws://{address}/ws")
}

/// Grants one WebSocket, and no subprotocol.
fn echoing() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        let (stream, _) = listener.accept().unwrap();
        let mut socket = tungstenite::accept(stream).unwrap();
        let _ = socket.read();
    });
    format!("ws://{address}/ws")
}

#[test]
fn what_keeps_it_from_running_is_one_sentence_with_advice() {
    // Dropped at once: a port of which nobody else thinks so soon.
    let nobody = TcpListener::bind("127.0.0.1:0").unwrap().local_addr();
    let nobody = format!("ws://{}/ws", nobody.unwrap());
    let not_found = answering("HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n");
    // Longer than a name may be, so that nobody has to be asked.
    let no_host = format!("ws://{}/ws", "a".repeat(64));
    let folder = Folder::new();
    for (words, code, says) in [
        (["--url", &nobody], 1, "nobody can be reached at"),
        (
            ["--url", &not_found],
            1,
            "it answers 404 instead of 101; check",
        ),
        (
            ["--url", &answering("220 mail\r\n")],
            1,
            "its answer is not HTTP",
        ),
        (
            ["--url", &echoing()],
            1,
            "it does not speak the subprotocol",
        ),
        (["--url", &no_host], 1, "has no address"),
        (
            ["--pid", "4000000000"],
            1,
            "process 4000000000 cannot be looked at",
        ),
        (["--json", "no/such/folder"], 1, "cannot write no/such/"),
        (["--html", "."], 1, "cannot write .: Is a directory"),
        (["--url", "nowhere"], 2, "an address looks like ws://"),
        (["--rate", "fast"], 2, "a rate is from 0"),
        (["--cilents", "3"], 2, "--clients"),
    ] {
        let output = swarm(&[&["lobby", "-n", "1"], &words[..]].concat(), &folder);
        let text = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(code), "{words:?}: {text}");
        assert!(
            text.starts_with("error: ") && text.contains(says),
            "{words:?}: {text}"
        );
        assert!(output.stdout.is_empty());
        assert!(code == 2 || text.lines().count() == 1, "{text}");
    }
}

#[test]
fn a_report_that_is_lost_leaves_the_summary_and_one_of_no_run_no_file() {
    let folder = Folder::new();
    let floor = Floor::start();
    let url = floor.url.clone();
    let words = ["raw", "--url", &url, "-n", "2", "--duration", "100ms"];
    let output = swarm(&[&words[..], &["--json", "/dev/full"]].concat(), &folder);
    let (out, errors) = (output.stdout, output.stderr);
    let (out, errors) = [out, errors]
        .map(|text| String::from_utf8(text).unwrap())
        .into();
    assert_eq!(output.status.code(), Some(1));
    assert!(out.ends_with("all limits held\n"), "{out}");
    assert!(
        errors.contains("error: cannot write /dev/full: "),
        "{errors}"
    );
    drop(floor);
    let output = swarm(&[&words[..], &["--json", "r.json"]].concat(), &folder);
    assert_eq!(output.status.code(), Some(1));
    assert!(!folder.path().join("r.json").exists());
}

#[test]
fn too_few_files_are_said_before_anything_is_tried() {
    let output = Command::new("sh")
        .args(["-c", "ulimit -n 64; exec \"$0\" lobby -n 100", SWARM])
        .output()
        .unwrap();
    let text = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(
        text.contains("132 files have to be open and only 64 may be"),
        "{text}"
    );
    assert!(text.contains("`ulimit -n 132`"), "{text}");
}
