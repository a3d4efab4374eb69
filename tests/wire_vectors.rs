//! Holds both directions of the wire to the golden vectors in `tests/vectors/`, which other
//! people's clients are written against.

#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::time::Duration;

use kith::chat::closing::CloseCode;
use kith::chat::command::{self, Command};
use kith::chat::event::{
    Addresses, Body, Entry, Event, HistoryPage, HoleReason, Person, Presence, Reply, Standing,
    Welcome,
};
use kith::chat::refusal::{ErrorCode, Refusal};
use kith::clock::UnixMillis;
use kith::ids::{ConvId, Epoch, Key, PublicId, Seq, Tag};
use kith::wire::{self, Claim, Context, Format, Greeting, Payload, Request, pb};
use prost::Message as _;
use serde_json::Value;

const ALICE: PublicId = PublicId([
    0x01, 0x23, 0x45, 0x67, 0x89, 0xab, 0xcd, 0xef, 0x01, 0x23, 0x45, 0x67, 0x89, 0xab, 0xcd, 0xef,
]);
const EPOCH: Epoch = Epoch(0x00c0_ffee_1234_5678);
const TAG: Tag = Tag(4_026_531_841);
const UNICODE: &str = "naïve 😀 \0 \"quoted\" \\ \u{2028}";
/// 2026-11-20T10:00:00Z.
const TEN: i64 = 1_795_168_800_000;

type Vectors = BTreeMap<String, Value>;

fn vectors(file: &str) -> Vectors {
    let path = format!("{}/tests/vectors/{file}", env!("CARGO_MANIFEST_DIR"));
    let rows: Vec<Value> = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    let count = rows.len();
    let named: Vectors = rows
        .into_iter()
        .map(|row| (row["name"].as_str().unwrap().to_owned(), row))
        .collect();
    assert_eq!(named.len(), count, "a name is used twice in {file}");
    named
}

fn bytes(row: &Value) -> Vec<u8> {
    let hex = row["protobuf"].as_str().unwrap();
    (0..hex.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap())
        .collect()
}

fn request(id: u32, command: Command) -> Request {
    Request {
        id,
        key: None,
        command,
        claim: None,
    }
}

fn talk(to: &str, text: &str) -> Command {
    Command::Talk(command::Talk {
        to: to.into(),
        text: text.into(),
    })
}

fn cursor(conversation: &str, epoch: Epoch, seq: u64, tag: Tag) -> command::Cursor {
    command::Cursor {
        conversation: conversation.into(),
        epoch,
        seq: Seq(seq),
        tag,
    }
}

fn hello(name: &str, cursors: Vec<command::Cursor>) -> Command {
    Command::Hello(Box::new(command::Hello {
        name: name.into(),
        resumed: None,
        cursors,
    }))
}

fn history(conversation: &str, before: u64, after: u64, limit: u32) -> Command {
    Command::History(command::History {
        conversation: conversation.into(),
        before: Seq(before),
        after: Seq(after),
        limit,
    })
}

fn user_list(after: &str, limit: u32) -> Command {
    Command::UserList(command::UserList {
        after: after.into(),
        limit,
    })
}

fn typing(conversation: &str) -> Command {
    Command::Typing(command::Typing {
        conversation: conversation.into(),
    })
}

fn watch(names: &[&str]) -> Command {
    Command::Watch(command::Watch {
        names: names.iter().map(ToString::to_string).collect(),
    })
}

/// What each good client frame asks.
fn requests() -> Vec<(&'static str, Request)> {
    let end = Seq::MAX.0;
    let resumed = Request {
        claim: Some(Box::new(Claim {
            guest: ALICE,
            secret: "s3cret".into(),
        })),
        ..request(
            2,
            hello(
                "alice",
                vec![
                    cursor("lobby", EPOCH, 7, TAG),
                    cursor("g:1", EPOCH, 0, Tag(0)),
                ],
            ),
        )
    };
    let lost = cursor("lobby", Epoch::NONE, end, Tag(1));
    let once = Request {
        key: Some(Key(std::array::from_fn(|at| at as u8))),
        ..request(
            u32::MAX,
            talk("g:1", "naïve 小明 😀 \0 \"quoted\" \\ \u{2028}"),
        )
    };
    vec![
        ("hello", request(1, hello("alice", vec![]))),
        ("hello_resume", resumed),
        ("hello_again", request(3, hello("", vec![lost]))),
        ("talk", request(1, talk("", "hello"))),
        ("talk_key", once),
        ("talk_unanswered", request(0, talk("", "x"))),
        ("talk_empty", request(5, talk("", ""))),
        ("user_list", request(2, user_list("", 0))),
        ("user_list_page", request(6, user_list("bob", 2))),
        ("typing", request(7, typing(""))),
        ("typing_group", request(8, typing("g:1"))),
        ("history", request(9, history("", 0, 0, 0))),
        (
            "history_bounds",
            request(10, history("g:1", end, 9_007_199_254_740_993, 50)),
        ),
        ("history_limit", request(11, history("", 0, 0, 100))),
        ("watch", request(12, watch(&["bob", "小明"]))),
        ("watch_nobody", request(13, watch(&[]))),
        ("ping", request(3, Command::Ping)),
        ("exit", request(0, Command::Exit)),
    ]
}

#[test]
fn a_good_frame_asks_the_same_in_both_formats() {
    let mut vectors = vectors("client.json");
    vectors.retain(|_, row| row.get("error").is_none());
    for (name, expected) in requests() {
        let row = vectors
            .remove(name)
            .unwrap_or_else(|| panic!("no vector {name}"));
        let (json, bytes) = (&row["json"], bytes(&row));
        assert_eq!(
            wire::decode(Payload::Text(&json.to_string())).as_ref(),
            Ok(&expected),
            "{name}"
        );
        assert_eq!(
            wire::decode(Payload::Binary(&bytes)),
            Ok(expected),
            "{name}"
        );
        // The direction of a client, which the swarm goes.
        let frame: pb::ClientFrame = serde_json::from_value(json.clone()).unwrap();
        assert_eq!(frame.encode_to_vec(), bytes, "{name}");
        assert_eq!(&serde_json::to_value(&frame).unwrap(), json, "{name}");
    }
    assert!(vectors.is_empty(), "nobody expects {:?}", vectors.keys());
}

#[test]
fn every_command_has_a_good_frame() {
    let shown: Vec<_> = requests()
        .iter()
        .map(|(_, asked)| asked.command.verb().name)
        .collect();
    for verb in Command::VERBS {
        assert!(shown.contains(&verb.name), "{}", verb.name);
    }
}

#[test]
fn a_bad_frame_is_refused_as_the_vectors_say() {
    let mut checked = 0;
    for (name, row) in vectors("client.json") {
        let Some(expected) = row.get("error") else {
            continue;
        };
        let answer = match row.get("text") {
            Some(text) => wire::decode(Payload::Text(text.as_str().unwrap())),
            None => wire::decode(Payload::Binary(&bytes(&row))),
        };
        let bad = answer.expect_err(&name);
        assert_eq!(u64::from(bad.id), expected["id"], "{name}: {bad:?}");
        assert_eq!(
            u64::from(bad.refusal.code.number()),
            expected["code"],
            "{name}: {bad:?}"
        );
        assert_eq!(bad.refusal.code.name(), expected["name"], "{name}: {bad:?}");
        let field = expected
            .get("field")
            .map_or("", |field| field.as_str().unwrap());
        assert_eq!(bad.refusal.field, field, "{name}: {bad:?}");
        checked += 1;
    }
    assert!(checked > 40, "only {checked} bad frames");
}

struct Lobby;

impl Addresses for Lobby {
    fn address(&self, _: ConvId) -> &str {
        "lobby"
    }
}

/// What a frame of the server is made of.
enum Told {
    Reply(u32, Reply),
    Refusal(u32, Refusal),
    Event(Event),
}

fn person(name: &str, id: PublicId) -> Person {
    Person {
        id,
        name: name.into(),
    }
}

fn entry() -> Entry {
    Entry {
        conv: ConvId(1),
        seq: Seq(7),
        n: 6,
        tag: TAG,
        at: UnixMillis(TEN),
        from: person("alice", ALICE),
        body: Body::Message {
            text: "hello".into(),
        },
    }
}

fn unicode_entry() -> Entry {
    Entry {
        seq: Seq(8),
        n: 7,
        tag: Tag(1),
        at: UnixMillis(TEN + 1500),
        from: person("小明", PublicId([0xff; 16])),
        body: Body::Message {
            text: UNICODE.into(),
        },
        ..entry()
    }
}

fn standing() -> Standing {
    Standing {
        conv: ConvId(1),
        epoch: EPOCH,
        head: Seq(7),
        tag: TAG,
        floor: Seq(1),
        durable: true,
    }
}

fn welcomes() -> Vec<(&'static str, Told)> {
    let empty = Standing {
        head: Seq(0),
        tag: Tag(0),
        floor: Seq(0),
        durable: false,
        ..standing()
    };
    let welcome = |you, standing, online| {
        Reply::Welcome(Welcome {
            you,
            conversations: vec![standing],
            online,
        })
    };
    let bob = person("bob", PublicId(1_u128.to_be_bytes()));
    vec![
        (
            "welcome",
            Told::Reply(1, welcome(person("alice", ALICE), standing(), 2)),
        ),
        ("welcome_empty", Told::Reply(0, welcome(bob, empty, 1))),
    ]
}

fn replies() -> Vec<(&'static str, Told)> {
    let talked = |seq, tag, at, duplicate| Reply::Talked {
        conv: ConvId(1),
        seq,
        tag,
        at: UnixMillis(at),
        duplicate,
    };
    let users = |names: &[&str], total, more| Reply::Users {
        names: names.iter().map(|&name| name.into()).collect(),
        total,
        more,
    };
    let page = |entries, head| {
        Reply::History(HistoryPage {
            conv: ConvId(1),
            entries,
            floor: Seq(1),
            head: Seq(head),
        })
    };
    vec![
        ("talked", Told::Reply(1, talked(Seq(7), TAG, TEN, false))),
        (
            "talked_duplicate",
            Told::Reply(u32::MAX, talked(Seq::MAX, Tag(1), TEN + 7, true)),
        ),
        ("users", Told::Reply(2, users(&["alice", "bob"], 2, false))),
        (
            "users_more",
            Told::Reply(2, users(&["alice", "bob"], 7, true)),
        ),
        ("users_none", Told::Reply(2, users(&[], 2, false))),
        (
            "page",
            Told::Reply(9, page(vec![entry(), unicode_entry()], 8)),
        ),
        ("page_empty", Told::Reply(9, page(vec![], 0))),
        ("pong", Told::Reply(3, Reply::Pong)),
        ("done", Told::Reply(7, Reply::Done)),
    ]
}

fn events() -> Vec<(&'static str, Told)> {
    let presence = |online: &[&str], offline: &[&str], total, refresh| {
        Event::Presence(Presence {
            online: online.iter().map(|&name| name.into()).collect(),
            offline: offline.iter().map(|&name| name.into()).collect(),
            total,
            refresh,
        })
    };
    let hole = |reason, tag| Event::Hole {
        conv: ConvId(1),
        from: Seq(1),
        to: Seq(6),
        reason,
        tag: Tag(tag),
    };
    let closing = |code, retry_after| Event::Closing { code, retry_after };
    let typed = Event::Typing {
        conv: ConvId(1),
        from: person("bob", ALICE),
    };
    let second = Some(Duration::from_secs(1));
    vec![
        ("entry", Told::Event(Event::Entry(entry().into()))),
        (
            "entry_unicode",
            Told::Event(Event::Entry(unicode_entry().into())),
        ),
        (
            "presence",
            Told::Event(presence(&["bob"], &["carol", "小明"], 2, false)),
        ),
        (
            "presence_count",
            Told::Event(presence(&[], &[], 1000, true)),
        ),
        ("typed", Told::Event(typed)),
        (
            "hole_retention",
            Told::Event(hole(HoleReason::Retention, 0)),
        ),
        (
            "hole_no_history",
            Told::Event(hole(HoleReason::NoHistory, 7)),
        ),
        ("reset", Told::Event(Event::Reset(standing()))),
        ("closing", Told::Event(closing(CloseCode::Restart, second))),
        (
            "closing_stay",
            Told::Event(closing(CloseCode::NoName, None)),
        ),
    ]
}

fn refusals() -> Vec<(&'static str, Told)> {
    let fast = Refusal::new(ErrorCode::TooFast).retry(Duration::from_micros(200_001));
    let empty = Refusal::new(ErrorCode::TextEmpty).field("talk.text");
    vec![
        ("error", Told::Refusal(4, empty)),
        ("error_temporary", Told::Refusal(4, fast)),
        (
            "error_unknown",
            Told::Refusal(4, Refusal::new(ErrorCode::StoreUnknown)),
        ),
        (
            "error_push",
            Told::Refusal(0, Refusal::new(ErrorCode::Malformed)),
        ),
    ]
}

fn encode(format: Format, name: &str, told: &Told) -> Vec<u8> {
    let limited = name == "welcome";
    let greeting = Greeting {
        talk_rate: if limited { 5 } else { 0 },
        talk_burst: if limited { 30 } else { 0 },
        features: limited.then(|| "history".to_owned()).into_iter().collect(),
        server: if limited { "kith/0.1.0" } else { "" }.to_owned(),
        ..Greeting::default()
    };
    let context = Context {
        addresses: &Lobby,
        greeting: &greeting,
        resume_secret: if limited { "s3cret" } else { "x" },
    };
    // Frames are appended: what stands in the buffer already stays.
    let mut out = b"before".to_vec();
    match told {
        Told::Reply(id, reply) => wire::encode_reply(format, *id, reply, &context, &mut out),
        Told::Refusal(id, refusal) => wire::encode_refusal(format, *id, refusal, &mut out),
        Told::Event(event) => wire::encode_event(format, event, &Lobby, &mut out),
    }
    assert_eq!(&out[..6], b"before");
    out.split_off(6)
}

#[test]
fn the_server_says_exactly_what_the_vectors_say() {
    let mut vectors = vectors("server.json");
    for (name, told) in [welcomes(), replies(), events(), refusals()]
        .into_iter()
        .flatten()
    {
        let row = vectors
            .remove(name)
            .unwrap_or_else(|| panic!("no vector {name}"));
        let json = String::from_utf8(encode(Format::Json, name, &told)).unwrap();
        assert_eq!(
            serde_json::from_str::<Value>(&json).unwrap(),
            row["json"],
            "{name}"
        );
        assert_eq!(encode(Format::Proto, name, &told), bytes(&row), "{name}");
        // A client reads the same out of both.
        let frame = pb::ServerFrame::decode(&*bytes(&row)).unwrap();
        assert_eq!(
            serde_json::from_str::<pb::ServerFrame>(&json).unwrap(),
            frame,
            "{name}"
        );
    }
    assert!(vectors.is_empty(), "nobody says {:?}", vectors.keys());
}

#[test]
fn what_people_type_by_hand_reads_as_documented() {
    let text = |name: &str, told| String::from_utf8(encode(Format::Json, name, &told)).unwrap();
    assert_eq!(
        text("pong", Told::Reply(3, Reply::Pong)),
        r#"{"id":3,"pong":{}}"#
    );
    let entry = text("entry", Told::Event(Event::Entry(entry().into())));
    assert!(
        entry.starts_with(r#"{"entry":{"conversation":"lobby","seq":"7","#),
        "{entry}"
    );
    let end = r#""at":"2026-11-20T10:00:00Z","message":{"text":"hello"}}}"#;
    assert!(entry.ends_with(end), "{entry}");
}
