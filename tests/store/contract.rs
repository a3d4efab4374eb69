//! What any engine must do. Each test runs against every engine that there is.

use kith::chat::durable::{Read, Write, Written};
use kith::chat::event::Person;
use kith::clock::UnixMillis;
use kith::ids::{ConvId, Seq, Tag, Ticket};
use kith::limits::{HISTORY_ENTRIES, KEY_KEPT, PAGE_BYTES, PAGE_ENTRIES, TEXT_BYTES};
use kith::store::engine::Engine;

use crate::ground::{Ground, InFile, InMemory, appended, person, refused, span, text, words};

macro_rules! contract {
    ($($name:ident)+) => {
        mod in_a_file { $( #[test] fn $name() { super::$name(&super::InFile::new()); } )+ }
        mod in_memory { $( #[test] fn $name() { super::$name(&super::InMemory::new()); } )+ }
    };
}

contract! {
    positions_are_dense_across_commits
    a_key_makes_it_happen_once
    the_second_answer_under_a_key_is_the_first
    a_key_belongs_to_one_person_of_one_app
    a_key_is_forgotten_after_a_week
    what_is_refused_leaves_nothing_behind
    what_is_rolled_back_leaves_nothing_behind
    a_crash_before_the_commit_leaves_nothing_behind
    a_restart_finds_everything
    a_message_comes_back_byte_for_byte
    a_person_is_shown_under_the_latest_spelling
    a_page_is_aligned_and_ends_with_the_log
    a_page_of_long_messages_is_cut_at_the_same_places_for_everybody
    a_cursor_is_told_by_its_tag
    history_goes_both_ways
    history_is_bounded_in_bytes
    retention_raises_the_floor
    a_lower_retention_is_caught_up_with_in_steps
    time_may_run_backwards_and_order_does_not
    numbers_from_outside_have_no_edge
}

fn positions_are_dense_across_commits(ground: &impl Ground) {
    let mut server = ground.start(0);
    server.check(&[
        &[("alice: a", "1 (1)")],
        &[
            ("bob: b", "2 (2)"),
            ("alice: c", "3 (3)"),
            ("alice: c", "4 (4)"),
        ],
        &[],
        &[("bob: d", "5 (5)")],
    ]);
    let texts: Vec<_> = server
        .everything()
        .iter()
        .map(|e| text(e).to_owned())
        .collect();
    assert_eq!(texts, ["a", "b", "c", "c", "d"]);
}

fn a_key_makes_it_happen_once(ground: &impl Ground) {
    let mut server = ground.start(0);
    server.check(&[
        &[("alice #1: a", "1 (1)")],
        &[("alice #1: a", "again 1"), ("alice #1: b", "key_reused")],
        // In the same commit as well, and with others in between.
        &[
            ("alice #2: c", "2 (2)"),
            ("bob: d", "3 (3)"),
            ("alice #2: c", "again 2"),
            ("alice #2: d", "key_reused"),
            ("alice: c", "4 (4)"),
        ],
        &[("alice #1: a", "again 1"), ("alice #2: c", "again 2")],
    ]);
    drop(server);
    let mut server = ground.start(0);
    server.check(&[&[
        ("alice #1: a", "again 1"),
        ("alice #1: A", "key_reused"),
        ("alice #3: a", "5 (5)"),
    ]]);
}

fn the_second_answer_under_a_key_is_the_first(ground: &impl Ground) {
    let mut server = ground.start(0);
    let write = server.line("alice #1: a");
    let first = appended(server.one(write.clone()));
    server.now = UnixMillis(5_000);
    let again = Written::Again {
        conv: first.conv,
        seq: first.seq,
        tag: first.tag,
        at: UnixMillis(1_000),
    };
    assert_eq!(server.one(write), Ok(again));
}

fn a_key_belongs_to_one_person_of_one_app(ground: &impl Ground) {
    let mut server = ground.start(0);
    server.check(&[&[
        ("alice #1: a", "1 (1)"),
        ("bob #1: a", "2 (2)"),
        ("bob #1: b", "key_reused"),
    ]]);
    let (app, conv) = ground.another_app();
    let own = (server.app, server.conv);
    (server.app, server.conv) = (app, conv);
    server.check(&[&[
        ("alice #1: elsewhere", "1 (1)"),
        ("alice #1: elsewhere", "again 1"),
    ]]);
    assert_eq!(span(&server.everything()), Some((1, 1)));
    (server.app, server.conv) = own;
    server.check(&[&[("alice #1: a", "again 1")]]);
    // The log of another app does not exist.
    server.conv = conv;
    server.check(&[&[("alice: a", "not_found")]]);
}

fn a_key_is_forgotten_after_a_week(ground: &impl Ground) {
    let mut server = ground.start(0);
    let week = i64::try_from(KEY_KEPT.as_millis()).unwrap();
    server.check(&[&[("alice #1: a", "1 (1)")]]);
    server.now = UnixMillis(1_000 + week);
    server.check(&[&[("alice #2: b", "2 (2)")], &[("alice #1: a", "again 1")]]);
    server.now = UnixMillis(1_001 + week);
    server.check(&[
        &[("bob: the sweep comes with a commit", "3 (3)")],
        &[("alice #1: a", "4 (4)"), ("alice #2: b", "again 2")],
    ]);
    // A clock that had been far ahead leaves nothing that stays for ever.
    server.now = UnixMillis(1_000 + 100 * week);
    server.check(&[&[("alice #3: c", "5 (5)")]]);
    server.now = UnixMillis(2_000 + week);
    server.check(&[&[("bob: d", "6 (6)")], &[("alice #3: c", "7 (7)")]]);
}

fn what_is_refused_leaves_nothing_behind(ground: &impl Ground) {
    let mut server = ground.start(0);
    let long = format!("alice #1: {}", "x".repeat(TEXT_BYTES + 1));
    server.check(&[
        &[("alice #1:  ", "text_empty"), (&long, "text_too_long")],
        &[
            ("alice #1: a", "1 (1)"),
            ("alice #1: b", "key_reused"),
            ("bob: c", "2 (2)"),
        ],
    ]);
    let lobby = server.conv;
    for conv in [0, -1, i64::MAX, i64::MIN] {
        server.conv = ConvId(conv);
        server.check(&[&[("alice #2: a", "not_found")]]);
        let conv = server.conv;
        let page = Read::Page { conv, next: Seq(1) };
        assert_eq!(refused(&mut server.reader, &page), "not_found");
    }
    server.conv = lobby;
    server.check(&[&[("alice #2: d", "3 (3)")]]);
    assert_eq!(span(&server.everything()), Some((1, 3)));
}

fn what_is_rolled_back_leaves_nothing_behind(ground: &impl Ground) {
    let mut server = ground.start(0);
    server.check(&[&[("alice: a", "1 (1)")]]);
    let writes = [
        server.line("carol #1: lost"),
        server.line("alice: lost too"),
    ];
    let engine = server.writer.engine();
    engine.begin().unwrap();
    for write in &writes {
        engine.apply(write, UnixMillis(1_000)).unwrap();
    }
    engine.rollback().unwrap();
    assert_eq!(span(&server.everything()), Some((1, 1)));
    server.check(&[&[("carol #1: kept", "2 (2)"), ("carol #1: kept", "again 2")]]);
    assert_eq!(&*server.page(2).entries[1].from.name, "carol");
}

fn a_crash_before_the_commit_leaves_nothing_behind(ground: &impl Ground) {
    let mut server = ground.start(0);
    server.check(&[&[("alice: a", "1 (1)")]]);
    let write = server.line("bob #1: lost");
    let engine = server.writer.engine();
    engine.begin().unwrap();
    engine.apply(&write, UnixMillis(1_000)).unwrap();
    drop(server);
    let mut server = ground.start(0);
    assert_eq!(server.snapshot.lobby.head, Seq(1));
    server.check(&[&[("bob #1: kept", "2 (2)")]]);
}

fn a_restart_finds_everything(ground: &impl Ground) {
    let mut server = ground.start(0);
    let empty = server.snapshot.lobby.clone();
    assert_eq!(
        (empty.head, empty.tag, empty.floor),
        (Seq::ZERO, Tag(0), Seq(1))
    );
    assert!(empty.durable);
    let last = (0..3).map(|_| {
        let write = server.line("alice: a");
        appended(server.one(write))
    });
    let last = last.last().unwrap();
    let (before, secret) = (server.everything(), server.guest_secret);
    drop(server);
    let mut server = ground.start(0);
    let lobby = server.snapshot.lobby.clone();
    assert_eq!(
        (lobby.head, lobby.tag, lobby.floor),
        (Seq(3), last.tag, Seq(1))
    );
    assert_eq!((lobby.conv, lobby.epoch), (empty.conv, empty.epoch));
    assert_eq!(server.guest_secret, secret);
    assert_ne!(secret, [0; 32]);
    assert_eq!(server.everything(), before);
    assert_eq!(before.last(), Some(&last));
}

fn a_message_comes_back_byte_for_byte(ground: &impl Ground) {
    let mut server = ground.start(0);
    let texts = [
        "'; DROP TABLE entry; --".to_owned(),
        "nul \0 in the middle".to_owned(),
        " \t\r\n around ".to_owned(),
        "\u{feff}\u{202e}e\u{301}\u{1f469}\u{200d}\u{1f680}\u{10ffff}".to_owned(),
        "%_?1 :a @b $c".to_owned(),
        "x".repeat(TEXT_BYTES),
        "界".repeat(TEXT_BYTES / 3),
    ];
    for text in &texts {
        let mut write = server.line("alice: ");
        let Write::Talk { text: slot, .. } = &mut write;
        slot.clone_from(text);
        assert!(server.one(write).is_ok());
    }
    let found = server.everything();
    assert_eq!(
        found.iter().map(text).collect::<Vec<_>>(),
        texts.iter().collect::<Vec<_>>()
    );
}

fn a_person_is_shown_under_the_latest_spelling(ground: &impl Ground) {
    let mut server = ground.start(0);
    server.check(&[&[("alice: a", "1 (1)")]]);
    let mut write = server.line("alice: b");
    let Write::Talk { from, .. } = &mut write;
    *from = Person {
        id: person("alice").id,
        name: "Alice".into(),
    };
    assert!(server.one(write).is_ok());
    let names: Vec<_> = server
        .everything()
        .into_iter()
        .map(|entry| entry.from.name)
        .collect();
    assert_eq!(names, ["Alice".into(), "Alice".into()]);
}

fn a_page_is_aligned_and_ends_with_the_log(ground: &impl Ground) {
    let mut server = ground.start(0);
    assert_eq!(
        (span(&server.page(1).entries), server.page(1).floor),
        (None, Seq(1))
    );
    server.fill(PAGE_ENTRIES + 1);
    let last = PAGE_ENTRIES + 1;
    for (next, expected) in [
        (0, Some((1, 64))),
        (1, Some((1, 64))),
        (2, Some((1, 64))),
        (64, Some((1, 64))),
        (65, Some((65, 65))),
        (66, None),
        (128, None),
        (129, None),
    ] {
        assert_eq!(
            span(&server.page(next).entries),
            expected,
            "next is {next} of {last}"
        );
    }
}

fn a_page_of_long_messages_is_cut_at_the_same_places_for_everybody(ground: &impl Ground) {
    let mut server = ground.start(0);
    // 40 KiB three times make more than a page's bytes, twice not; the fifth alone fills half.
    for size in [40, 40, 40, 40, 64, 64, 64, 1].map(|kib| kib * 1024) {
        let line = format!("alice: {}", "x".repeat(size));
        let write = server.line(&line);
        assert!(server.one(write).is_ok());
    }
    assert_eq!(PAGE_BYTES, 128 * 1024);
    for (next, expected) in [
        (1, (1, 3)),
        (2, (1, 3)),
        (3, (1, 3)),
        (4, (4, 5)),
        (5, (4, 5)),
        (6, (6, 7)),
        (7, (6, 7)),
        (8, (8, 8)),
    ] {
        assert_eq!(
            span(&server.page(next).entries),
            Some(expected),
            "next is {next}"
        );
    }
    assert_eq!(span(&server.page(9).entries), None);
}

fn a_cursor_is_told_by_its_tag(ground: &impl Ground) {
    let mut server = ground.start(4);
    server.fill(6);
    let tags: Vec<u32> = server
        .everything()
        .iter()
        .map(|entry| entry.tag.0)
        .collect();
    assert_eq!(tags.len(), 4);
    for (seq, tag, expected, why) in [
        (
            0,
            9,
            true,
            "before the first entry there is nothing to be mistaken about",
        ),
        (1, 9, true, "below the floor it cannot be told"),
        (2, 9, true, "below the floor it cannot be told"),
        (3, tags[0], true, "the oldest that is kept"),
        (3, tags[0] ^ 1, false, "one bit of the tag"),
        (6, tags[3], true, "the head"),
        (6, tags[2], false, "the tag of the entry before"),
        (7, tags[3], false, "beyond the head"),
        (u64::MAX, 0, false, "beyond every head"),
    ] {
        assert_eq!(server.cursor(seq, tag), expected, "{why}");
    }
}

fn history_goes_both_ways(ground: &impl Ground) {
    let mut server = ground.start(0);
    server.fill(200);
    assert_eq!(HISTORY_ENTRIES, 100);
    for (before, after, limit, head, expected) in [
        (0, 0, 10, 200, Some((191, 200))),
        (0, 0, 0, 200, Some((101, 200))),
        (0, 0, u32::MAX, 200, Some((101, 200))),
        (0, 0, 10, 150, Some((141, 150))),
        (0, 0, 10, u64::MAX, Some((191, 200))),
        (101, 0, 10, 200, Some((91, 100))),
        (5, 0, 10, 200, Some((1, 4))),
        (1, 0, 10, 200, None),
        (u64::MAX, 0, 10, 200, Some((191, 200))),
        (0, 100, 10, 200, Some((101, 110))),
        (0, 195, 10, 200, Some((196, 200))),
        (0, 195, 10, 197, Some((196, 197))),
        (0, 200, 10, 200, None),
        (0, u64::MAX, 10, 200, None),
        (8, 4, 10, 200, Some((5, 7))),
        (8, 4, 2, 200, Some((5, 6))),
        (4, 8, 10, 200, None),
        (0, 0, 10, 0, None),
    ] {
        let page = server.history(before, after, limit, head);
        let asked = format!("before {before} after {after} limit {limit} head {head}");
        assert_eq!(span(&page.entries), expected, "{asked}");
        assert_eq!(
            (page.floor, page.head),
            (Seq(1), Seq(head.min(200))),
            "{asked}"
        );
    }
}

fn history_is_bounded_in_bytes(ground: &impl Ground) {
    let mut server = ground.start(0);
    for _ in 0..4 {
        let write = server.line(&format!("alice: {}", "x".repeat(60 * 1024)));
        assert!(server.one(write).is_ok());
    }
    assert_eq!(span(&server.history(0, 0, 10, 4).entries), Some((3, 4)));
    assert_eq!(span(&server.history(0, 1, 10, 4).entries), Some((2, 3)));
}

fn retention_raises_the_floor(ground: &impl Ground) {
    let mut server = ground.start(10);
    server.fill(10);
    assert_eq!(
        (server.page(1).floor, span(&server.page(1).entries)),
        (Seq(1), Some((1, 10)))
    );
    server.fill(90);
    for (next, expected) in [
        (1, None),
        (64, None),
        (65, Some((91, 100))),
        (91, Some((91, 100))),
    ] {
        let page = server.page(next);
        assert_eq!(
            (page.floor, span(&page.entries)),
            (Seq(91), expected),
            "next is {next}"
        );
    }
    let page = server.history(0, 0, 100, 100);
    assert_eq!(
        (page.floor, span(&page.entries)),
        (Seq(91), Some((91, 100)))
    );
    assert_eq!(span(&server.history(0, 5, 3, 100).entries), Some((91, 93)));
    drop(server);
    let mut server = ground.start(10);
    assert_eq!(
        (server.snapshot.lobby.floor, server.snapshot.lobby.head),
        (Seq(91), Seq(100))
    );
    server.check(&[&[("alice: a", "101 (101)")]]);
    assert_eq!(span(&server.everything()), Some((92, 101)));
}

fn a_lower_retention_is_caught_up_with_in_steps(ground: &impl Ground) {
    let mut server = ground.start(0);
    server.fill(2_500);
    drop(server);
    let mut server = ground.start(1);
    for (expected, floor) in [
        ("2501 (2501)", 1_025),
        ("2502 (2502)", 2_049),
        ("2503 (2503)", 2_503),
    ] {
        server.check(&[&[("alice: a", expected)]]);
        assert_eq!(server.page(1).floor, Seq(floor));
    }
}

fn time_may_run_backwards_and_order_does_not(ground: &impl Ground) {
    let mut server = ground.start(0);
    let mut times = Vec::new();
    for now in [1_000, -5, i64::MAX, i64::MIN, 0] {
        server.now = UnixMillis(now);
        let write = server.line(&format!("alice #{}: a", times.len()));
        times.push(appended(server.one(write)).at.0);
    }
    assert_eq!(times, [1_000, -5, i64::MAX, i64::MIN, 0]);
    assert_eq!(span(&server.everything()), Some((1, 5)));
}

fn numbers_from_outside_have_no_edge(ground: &impl Ground) {
    let mut server = ground.start(0);
    server.fill(3);
    let edges = [
        0,
        1,
        2,
        1 << 31,
        1 << 53,
        i64::MAX as u64,
        1 << 63,
        u64::MAX - 1,
        u64::MAX,
    ];
    for a in edges {
        server.page(a);
        server.cursor(a, u32::MAX);
        for b in edges {
            for limit in [0, 1, 1 << 31, u32::MAX] {
                let entries = server.history(a, b, limit, b.max(a)).entries;
                assert!(entries.len() <= 3);
            }
        }
    }
    // The largest position that SQLite holds is a log's end and no panic.
    let batch = [(Ticket(u64::MAX), server.line("alice: a"))];
    let answer = &server.writer.flush(&batch, UnixMillis(0)).answers[0];
    assert_eq!(
        (answer.0, words(&answer.1)),
        (Ticket(u64::MAX), "4 (4)".to_owned())
    );
}
