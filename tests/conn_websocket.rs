//! A WebSocket in memory: messages, broken rules, pings, ends, and partial writes.

#![allow(clippy::unwrap_used)]

#[path = "common/script.rs"]
mod script;

use bytes::Bytes;
use kith::chat::closing::CloseCode;
use kith::conn::frame::{Encoder, Kind};
use kith::conn::{Conn, ConnConfig, Event, Frame, Push};
use kith::limits::{FRAGMENTS, FRAME_BYTES, OUTBOX_HARD, OUTBOX_SOFT, PONG_ROOM, SHARE_ABOVE};
use script::{Player, Step, check_open, close, frame, ping, send, slowly, text, wait};

const BROKEN: [&str; 3] = [
    "< Broken(Protocol)",
    "> close 1002 protocol error",
    "= Shutdown",
];
const TOO_BIG: [&str; 3] = [
    "< Broken(TooBig)",
    "> close 1009 message too big",
    "= Shutdown",
];
const NOT_UTF8: [&str; 3] = [
    "< Broken(InvalidData)",
    "> close 1007 invalid UTF-8",
    "= Shutdown",
];

/// A header without the payload that it announces.
fn announced(first: u8, len: u64) -> Vec<u8> {
    [&[first, 0x80 | 127], &len.to_be_bytes()[..], &[1, 2, 3, 4]].concat()
}

#[test]
fn messages_come_out_whole_however_they_come_in() {
    let long = "x".repeat(FRAME_BYTES);
    let parts = [
        frame(0x01, b"Hel"),
        frame(0x89, b"?"),
        frame(0x00, b""),
        frame(0x80, b"lo"),
        frame(0x82, b"\x00\x01"),
        frame(0x81, long.as_bytes()),
        frame(0x81, b""),
    ]
    .concat();
    let told = [
        "< text Hello",
        "< binary \0\u{1}",
        "< text of 81920 bytes",
        "< text ",
    ];
    check_open([send(parts.clone())], &[&told[..], &["> pong ?"]].concat());
    let mut slow = told.to_vec();
    slow.push("> pong ?");
    check_open([slowly(parts)], &slow);
}

#[test]
fn broken_frames_are_answered_with_1002() {
    for bytes in [
        frame(0xc1, b"rsv1, as permessage-deflate sets it"),
        frame(0xa1, b"rsv2"),
        frame(0x91, b"rsv3"),
        frame(0x83, b"reserved data opcode"),
        frame(0x87, b""),
        frame(0x8b, b"reserved control opcode"),
        frame(0x8f, b""),
        frame(0x09, b"fragmented ping"),
        frame(0x08, b""),
        frame(0x89, &[b'x'; 126]),
        frame(0x88, &[b'x'; 126]),
        frame(0x80, b"nothing to continue"),
        frame(0x00, b"nothing to continue"),
        [frame(0x01, b"a"), frame(0x81, b"not a continuation")].concat(),
        frame(0x88, b"x"),
        vec![0x81, 0x05, b'H', b'e', b'l', b'l', b'o'],
        vec![0x89, 0x00],
    ] {
        let followed = [&bytes[..], &frame(0x81, b"never read")].concat();
        check_open([send(followed.clone())], &BROKEN);
        check_open([slowly(followed)], &BROKEN);
    }
}

#[test]
fn codes_that_no_close_frame_may_carry_are_answered_with_1002() {
    for code in [0, 999, 1004, 1005, 1006, 1015, 1016, 2999, 5000, 65_535] {
        let expected = [
            "< ByPeer(Some(1002))",
            "> close 1002 Protocol violation",
            "= Shutdown",
        ];
        check_open([close(code)], &expected);
    }
    for code in [1000, 1001, 1003, 1007, 1011, 3000, 3999, 4000, 4999] {
        let told = format!("< ByPeer(Some({code}))");
        let answer = format!("> close {code}");
        check_open([close(code)], &[&told, &answer, "= Shutdown"]);
    }
    check_open(
        [send(frame(0x88, b""))],
        &["< ByPeer(None)", "> close", "= Shutdown"],
    );
}

#[test]
fn what_is_not_utf8_is_answered_with_1007() {
    for bytes in [
        frame(0x81, b"\xff"),
        frame(0x81, b"\xed\xa0\x80"),
        frame(0x81, b"\xf4\x90\x80\x80"),
        frame(0x81, b"cut \xe4\xb8"),
        [frame(0x01, b"cut \xe4"), frame(0x80, b"x")].concat(),
        [frame(0x01, b"cut \xe4"), frame(0x80, b"")].concat(),
        frame(0x88, b"\x03\xe8\xff"),
    ] {
        check_open([send(bytes)], &NOT_UTF8);
    }
    let split = [
        frame(0x01, b"\xe4"),
        frame(0x00, b"\xb8"),
        frame(0x80, b"\x96"),
    ]
    .concat();
    check_open([send(split)], &["< text 世"]);
}

#[test]
fn announced_lengths_are_judged_by_the_header_alone() {
    let most = FRAME_BYTES as u64;
    for len in [most + 1, 1 << 31, (1 << 63) - 1, 1 << 63, u64::MAX] {
        check_open([send(announced(0x82, len))], &TOO_BIG);
        check_open([slowly(announced(0x81, len))], &TOO_BIG);
        check_open([send(announced(0x02, len))], &TOO_BIG);
    }
    check_open([send(announced(0x82, most))], &[]);
}

#[test]
fn a_message_in_many_frames_is_bounded_in_bytes_and_in_frames() {
    let half = FRAME_BYTES / 2;
    let two = |second: usize| {
        let frames = [frame(0x02, &vec![0; half]), frame(0x80, &vec![0; second])];
        send(frames.concat())
    };
    check_open([two(half)], &["< binary of 81920 bytes"]);
    check_open([two(half + 1)], &TOO_BIG);

    for payload in [&b"x"[..], b""] {
        let message = |frames: u32| {
            let mut bytes = frame(0x01, payload);
            (2..frames).for_each(|_| bytes.extend(frame(0x00, payload)));
            bytes.extend(frame(0x80, payload));
            bytes
        };
        let whole = if payload.is_empty() {
            "< text "
        } else {
            "< text of 1024 bytes"
        };
        // One after the other, because the count begins anew with each message.
        let twice = [message(FRAGMENTS), message(FRAGMENTS)].concat();
        check_open([send(twice)], &[whole, whole]);
        check_open([send(message(FRAGMENTS + 1))], &TOO_BIG);
    }
}

#[test]
fn pongs_close_frames_and_pushed_frames_keep_their_order() {
    check_open(
        [
            Step::Push("one"),
            ping("a"),
            Step::Push("two"),
            ping("b"),
            Step::Close(CloseCode::Normal),
            Step::Push("three"),
            ping("c"),
            text("dropped"),
            close(1000),
        ],
        &[
            "> text one",
            "> pong a",
            "> text two",
            "> pong b",
            "> close 1000 bye",
            "= Closed",
            "= Shutdown",
        ],
    );
    let mut player = Player::open(ConnConfig::default());
    let push = |player: &mut Player, text: &str| {
        let mut encoder = Encoder::default();
        let frame = encoder.encode(Kind::Text, |out| out.extend(text.bytes()));
        assert_eq!(player.conn.push(&frame, &mut player.shared), Push::Queued);
    };
    push(&mut player, "one");
    player.feed(&frame(0x89, b"a"));
    push(&mut player, &"x".repeat(SHARE_ABOVE));
    player.feed(&frame(0x89, b"b"));
    push(&mut player, "two");
    player.feed(&close_frame(1000));
    player.play(send(""));
    assert_eq!(
        player.transcript,
        [
            "< ByPeer(Some(1000))",
            "> text one",
            "> pong a",
            "> text of 4096 bytes",
            "> pong b",
            "> text two",
            "> close 1000",
            "= Shutdown",
        ]
    );
}

fn close_frame(code: u16) -> Vec<u8> {
    frame(0x88, &code.to_be_bytes())
}

#[test]
fn who_pings_without_reading_gets_the_last_pong_only() {
    let mut player = Player::open(ConnConfig::default());
    let ten: Vec<u8> = (0..10).flat_map(|_| frame(0x89, &[b'x'; 125])).collect();
    player.feed(&ten);
    assert_eq!(player.conn.outbox().len(), 10 * 127);
    for n in 0..20_000_u32 {
        player.feed(&frame(0x89, &n.to_string().into_bytes()));
        assert!(player.conn.outbox().len() <= PONG_ROOM + 127);
    }
    // Once a part of it is on its way it stays, and the next one follows.
    let last = player.conn.outbox().len() - 7;
    player.take(last + 1);
    player.feed(&frame(0x89, b"next"));
    player.play(send(""));
    assert_eq!(
        player.transcript[player.transcript.len() - 2..],
        ["> pong 19999", "> pong next"]
    );
    assert!(player.transcript.len() < PONG_ROOM / 2);
}

#[test]
fn a_budget_of_one_message_leaves_the_others_for_later() {
    let mut player = Player::open(ConnConfig::default());
    let bytes = [
        frame(0x81, b"1"),
        frame(0x81, b"2"),
        frame(0x81, b"3"),
        frame(0x01, b"4"),
    ]
    .concat();
    let mut input = &bytes[..];
    let mut next = |input: &mut &[u8]| {
        let event = player
            .conn
            .poll_event(input, &mut player.shared, player.now);
        player.conn.hold(std::mem::take(input));
        let more = (
            player.conn.wants_poll(&player.shared),
            player.conn.wants_input(),
        );
        match event {
            Some(Event::Text(text)) => (text.to_string(), more),
            other => (format!("{other:?}"), more),
        }
    };
    assert_eq!(next(&mut input), ("1".to_owned(), (true, false)));
    assert_eq!(next(&mut &[][..]), ("2".to_owned(), (true, false)));
    // More input does not overtake what is held.
    let rest = frame(0x80, b"5");
    assert_eq!(next(&mut &rest[..]), ("3".to_owned(), (true, false)));
    assert_eq!(next(&mut &[][..]), ("45".to_owned(), (false, true)));
    assert_eq!(next(&mut &[][..]), ("None".to_owned(), (false, true)));
}

#[test]
fn what_was_said_before_the_end_is_still_heard() {
    let mut player = Player::open(ConnConfig::default());
    player
        .conn
        .hold(&[frame(0x81, b"last words"), frame(0x01, b"unfinished")].concat());
    player.conn.handle_failure(&mut player.shared);
    player.play(send(""));
    assert_eq!(player.transcript, ["< text last words", "< Lost", "= Drop"]);
    check_open(
        [text("bye"), Step::Eof],
        &["< text bye", "< Lost", "= Drop"],
    );
}

#[test]
fn a_close_of_ours_waits_for_theirs_but_not_for_long() {
    let close_1012 = ["> close 1012 restart"];
    let ours = Step::Close(CloseCode::Restart);
    check_open([ours.clone(), wait(4)], &close_1012);
    check_open(
        [ours.clone(), close(1012)],
        &["> close 1012 restart", "= Shutdown"],
    );
    check_open(
        [ours.clone(), close(1012), Step::Eof],
        &["> close 1012 restart", "= Shutdown", "= Drop"],
    );
    check_open([ours.clone(), wait(5)], &["> close 1012 restart", "= Drop"]);
    check_open(
        [ours.clone(), Step::Eof],
        &["> close 1012 restart", "= Drop"],
    );
    check_open(
        [ours.clone(), send(frame(0xff, b""))],
        &["> close 1012 restart", "= Shutdown"],
    );
    // In the midst of a message, too; and once is enough.
    let midst = [
        send(frame(0x01, b"a")),
        ours.clone(),
        ours,
        send(frame(0x80, b"b")),
        close(1012),
    ];
    check_open(midst, &["> close 1012 restart", "= Shutdown"]);
}

#[test]
fn silence_is_asked_and_then_believed() {
    let two_pings = ["> ping 8", "> ping 8"];
    check_open([wait(24)], &[]);
    check_open([wait(25)], &two_pings[..1]);
    check_open([wait(59)], &two_pings);
    check_open(
        [wait(60)],
        &[
            "> ping 8",
            "> ping 8",
            "< due Silent",
            "> close 3001 no pong",
        ],
    );
    // Any byte is a sign of life, also one that completes nothing.
    let unfinished = frame(0x81, b"hello");
    check_open(
        [
            send(&unfinished[..3]),
            wait(24),
            send(&unfinished[3..4]),
            wait(24),
        ],
        &[],
    );
}

#[test]
fn the_pong_says_how_far_the_peer_has_read() {
    let mut player = Player::open(ConnConfig::default());
    player.play(Step::Push("hello"));
    let before = player.conn.outbox().enqueued();
    player.play(wait(25));
    player.play(send(frame(0x8a, &before.to_be_bytes())));
    // Positions that were never sent, and pongs that nobody asked for, mean nothing.
    player.play(send(frame(0x8a, &u64::MAX.to_be_bytes())));
    player.play(send(frame(0x8a, b"hello")));
    let pong = format!("< pong {before}");
    assert_eq!(player.transcript, ["> text hello", "> ping 8", &pong]);
}

#[test]
fn partial_writes_lose_and_repeat_nothing() {
    for room in [1, 7, 100, 4096, 65_536, 1_000_000] {
        let mut player = Player::open(ConnConfig::default());
        let mut expected = Vec::new();
        let mut taken = 0;
        for n in 0..100_usize {
            let mut encoder = Encoder::default();
            let frame = encoder.encode(Kind::Binary, |out| out.resize(out.len() + n * 83, n as u8));
            let enqueued = expected.len() + frame.bytes().len();
            if enqueued - taken <= OUTBOX_HARD {
                expected.extend_from_slice(frame.bytes());
                assert_ne!(player.conn.push(&frame, &mut player.shared), Push::Full);
            }
            taken += player.take(room);
            assert_eq!(player.conn.outbox().len(), expected.len() - taken);
        }
        while player.take(room) > 0 {}
        assert!(player.written == expected, "{room}");
        assert!(player.conn.outbox().is_empty());
    }
}

#[test]
fn the_outbox_says_when_it_is_full_and_holds_no_more() {
    let mut player = Player::open(ConnConfig::default());
    let chunk = Bytes::from(vec![0; 64 * 1024]);
    let said: Vec<Push> = (0..18)
        .map(|_| {
            player
                .conn
                .push(&Frame::Shared(chunk.clone()), &mut player.shared)
        })
        .collect();
    let soft = OUTBOX_SOFT / chunk.len();
    let hard = OUTBOX_HARD / chunk.len();
    assert!(said[..soft].iter().all(|&push| push == Push::Queued));
    assert!(said[soft..hard].iter().all(|&push| push == Push::Soft));
    assert!(said[hard..].iter().all(|&push| push == Push::Full));
    assert_eq!(player.conn.outbox().len(), OUTBOX_HARD);
}

#[test]
fn who_does_not_read_is_closed_and_dropped() {
    let mut player = Player::open(ConnConfig::default());
    let push = |player: &mut Player| {
        let frame = Frame::Copied(b"\x81\x01x");
        assert_eq!(player.conn.push(&frame, &mut player.shared), Push::Queued);
    };
    let wait = |player: &mut Player, secs: u64| {
        let at = player.now.mono.after(std::time::Duration::from_secs(secs));
        player.now.mono = at;
        player.conn.handle_deadline(&mut player.shared, player.now)
    };
    // It takes a byte from time to time, and that will do.
    push(&mut player);
    assert_eq!(player.take(0), 0);
    assert_eq!(wait(&mut player, 9), kith::conn::Due::Kept);
    assert_eq!(player.take(1), 1);
    assert_eq!(wait(&mut player, 9), kith::conn::Due::Kept);
    // It takes none: trying does not count.
    assert_eq!(player.take(0), 0);
    push(&mut player);
    assert_eq!(
        wait(&mut player, 1),
        kith::conn::Due::Closed(CloseCode::Slow)
    );
    assert_eq!(player.conn.verdict(), kith::conn::Verdict::Keep);
    assert_eq!(wait(&mut player, 5), kith::conn::Due::Kept);
    assert_eq!(player.conn.verdict(), kith::conn::Verdict::Drop);
    assert!(player.conn.outbox().is_empty());
}

#[test]
fn a_connection_is_small() {
    // Beside this, an idle upgraded connection owns nothing: see the tests of `Conn` itself.
    assert!(size_of::<Conn>() <= 128, "{}", size_of::<Conn>());
    assert!(size_of::<Event>() <= 48, "{}", size_of::<Event>());
}
