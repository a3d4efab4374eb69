//! Talking at the hub: what is answered, who hears it, how fast one may, and what waits.

#![allow(clippy::unwrap_used)]

#[path = "common/hub.rs"]
mod hub;
#[path = "common/naughty.rs"]
mod naughty;

use hub::{Room, check, durable, live, rate};
use kith::chat::hub::Settings;
use kith::limits::{IN_FLIGHT, LIVE_KEYS, TEXT_BYTES};

#[test]
fn a_sender_who_is_gone_is_heard_all_the_same() {
    check(
        durable(0),
        "
        > ann opens as Ann
        *
        > bob opens as Bob
        *
        > ann asks 1 talk last words
        store < 1 talk Ann: last words
        > ann closes
        > store keeps 1
        bob < entry 1 Ann: last words
        ",
    );
}

#[test]
fn a_key_goes_along_and_a_duplicate_is_told_to_nobody_else() {
    check(
        durable(0),
        "
        > ann opens as Ann
        *
        > bob opens as Bob
        *
        > ann asks 1 key 7 talk hello
        store < 1 key 7 talk Ann: hello
        > store keeps 1
        ann < 1 talked 1
        bob < entry 1 Ann: hello
        > ann asks 2 key 7 talk hello
        store < 2 key 7 talk Ann: hello
        > store has 2 as 1
        ann < 2 talked 1 before
        > ann asks 3 key 7 talk other
        store < 3 key 7 talk Ann: other
        > store refuses 3 key_reused
        ann < 3 refused key_reused
        ",
    );
}

#[test]
fn a_lobby_without_history_keeps_its_keys_by_itself() {
    check(
        live(),
        "
        > ann opens as Ann
        *
        > bob opens as Bob
        *
        > ann asks 1 key 7 talk hello
        ann < 1 talked 1
        bob < entry 1 Ann: hello
        > ann asks 2 key 7 talk hello
        ann < 2 talked 1 before
        > ann asks 3 key 7 talk other
        ann < 3 refused key_reused in key
        > bob asks 1 key 7 talk hello
        bob < 1 talked 2
        ann < entry 2 Bob: hello
        > ann asks 4 talk hello
        ann < 4 talked 3
        bob < entry 3 Ann: hello
        > bob asks 2 history
        bob < 2 history nothing of 4-3
        ",
    );
}

#[test]
fn a_lobby_without_history_forgets_the_oldest_keys_first() {
    let mut room = Room::new(live());
    room.run("ann opens as Ann");
    room.run("ann asks 1 key 1 talk first");
    // Each of these is another person's key: the story's keys are single bytes.
    for n in 0..LIVE_KEYS / 250 + 1 {
        room.run(&format!("p{n} opens as P{n}"));
        room.run_all((0..250).map(|key| format!("p{n} asks 1 key {key} talk x")));
        if n == 0 {
            let again = room.run("ann asks 2 key 1 talk first");
            assert_eq!(again, ["ann < 2 talked 1 before"]);
        }
    }
    let again = room.run("ann asks 3 key 1 talk first");
    assert!(!again[0].ends_with("before"), "{again:?}");
}

#[test]
fn what_cannot_be_said_is_refused_before_the_store_sees_it() {
    let mut room = Room::new(durable(0));
    room.run("ann opens as Ann");
    let long = "x".repeat(TEXT_BYTES + 1);
    for (said, answer) in [
        ("talk", "refused text_empty in talk.text"),
        ("talk  \u{a0}\u{3000}\t", "refused text_empty in talk.text"),
        (
            &format!("talk {long}"),
            "refused text_too_long in talk.text",
        ),
        ("talkto nowhere x", "refused not_found in talk.to"),
        ("talkto LOBBY x", "refused not_found in talk.to"),
        ("talkto g:1 x", "refused not_found in talk.to"),
        ("talkto Ann x", "refused not_found in talk.to"),
        (
            "history nowhere",
            "refused not_found in history.conversation",
        ),
        ("typing nowhere", "refused not_found in typing.conversation"),
    ] {
        assert_eq!(
            room.run(&format!("ann asks 1 {said}")),
            [format!("ann < 1 {answer}")],
            "{said:.40}"
        );
    }
    let said = room.run("ann asks 1 talkto lobby x");
    assert_eq!(said, ["store < 1 talk Ann: x"]);
}

#[test]
fn whatever_is_said_comes_back_byte_for_byte() {
    let mut room = Room::new(live());
    room.run("ann opens as Ann");
    room.run("bob opens as Bob");
    let mut seq = 0;
    for text in naughty::STRINGS {
        let came = room.run(&format!("ann asks 1 talkto lobby {text}"));
        // The story's own words are parted by spaces, so these cannot begin with one.
        if text.trim().is_empty() {
            assert_eq!(
                came,
                ["ann < 1 refused text_empty in talk.text"],
                "{text:?}"
            );
            continue;
        }
        seq += 1;
        let text = text.trim_start_matches(' ');
        assert_eq!(
            came,
            [
                format!("ann < 1 talked {seq}"),
                format!("bob < entry {seq} Ann: {text}")
            ]
        );
    }
    assert!(seq > 80);
}

#[test]
fn a_session_has_a_rate_of_its_own() {
    let mut setup = live();
    setup.settings = Settings {
        talk: rate(5, 2),
        ..Settings::default()
    };
    check(
        setup,
        "
        > ann opens as Ann
        *
        > bob opens as Bob
        *
        > ann asks 1 talk one
        *
        > ann asks 2 talk two
        *
        > ann asks 3 talk three
        ann < 3 refused too_fast, again in 200ms
        > ann asks 4 ping
        ann < 4 pong
        > bob asks 1 talk mine
        bob < 1 talked 3
        ann < entry 3 Bob: mine
        > wait 150 ms
        > ann asks 5 talk three
        ann < 5 refused too_fast, again in 50ms
        > wait 50 ms
        > ann asks 6 talk three
        ann < 6 talked 4
        bob < entry 4 Ann: three
        > ann asks 7 talk four
        ann < 7 refused too_fast, again in 200ms
        ",
    );
}

#[test]
fn an_address_has_a_rate_for_all_its_sessions() {
    let mut setup = live();
    setup.settings = Settings {
        address_talk: rate(1, 2),
        ..Settings::default()
    };
    check(
        setup,
        "
        > ann opens from 9 as Ann
        *
        > bob opens from 9 as Bob
        *
        > cat opens from 8 as Cat
        *
        > ann asks 1 talk one
        *
        > bob asks 1 talk two
        *
        > ann asks 2 talk three
        ann < 2 refused too_fast, again in 1s
        > bob asks 2 talk three
        bob < 2 refused too_fast, again in 1s
        > cat asks 1 talk three
        cat < 1 talked 3
        ann bob < entry 3 Cat: three
        > ann closes
        > dan opens from 9 as Dan
        *
        > dan asks 1 talk a new connection is no new address
        dan < 1 refused too_fast, again in 1s
        ",
    );
}

#[test]
fn a_session_with_64_commands_in_flight_is_not_read_until_half_are_answered() {
    let mut room = Room::new(durable(0));
    room.run("ann opens as Ann");
    for n in 1..=IN_FLIGHT {
        let mut wanted = vec![format!("store < {n} talk Ann: x")];
        if n == IN_FLIGHT {
            wanted.insert(0, "ann paused".to_owned());
        }
        assert_eq!(room.run(&format!("ann asks {n} talk x")), wanted);
    }
    // What had been read before the pause took hold.
    let over = room.run("ann asks 65 talk x");
    assert_eq!(over, ["ann < 65 refused busy, again in 250ms"]);
    let over = room.run("ann asks 66 history");
    assert_eq!(over, ["ann < 66 refused busy, again in 250ms"]);
    assert_eq!(room.run("ann asks 67 ping"), ["ann < 67 pong"]);
    for n in 1..=IN_FLIGHT {
        let resumed = room
            .run(&format!("store keeps {n}"))
            .contains(&"ann resumed".to_owned());
        assert_eq!(resumed, n == IN_FLIGHT / 2, "after {n} answers");
    }
    let next = room.run("ann asks 68 talk x");
    assert_eq!(next, ["store < 65 talk Ann: x"]);
}

#[test]
fn who_is_told_busy_is_not_read_for_as_long_as_it_was_told() {
    check(
        durable(0),
        "
        > ann opens as Ann
        *
        > wait 1000 ms
        *
        > ann asks 1 talk one
        store < 1 talk Ann: one
        > ann asks 2 talk two
        store < 2 talk Ann: two
        > ann asks 3 talk three
        store < 3 talk Ann: three
        > store refuses 2 busy
        ann < 2 refused busy
        ann paused
        > store refuses 3 busy
        ann < 3 refused busy
        > store keeps 1
        ann < 1 talked 1
        nobody < entry 1 Ann: one
        > wait 249 ms
        > wait 1 ms
        ann resumed
        > wait 1000 ms
        ",
    );
}

#[test]
fn who_is_full_and_told_busy_waits_for_both() {
    let mut room = Room::new(durable(0));
    room.run("ann opens as Ann");
    room.run("wait 1000 ms");
    room.run_all((1..=64).map(|n| format!("ann asks {n} talk x")));
    assert_eq!(room.run("store refuses 64 busy"), ["ann < 64 refused busy"]);
    assert_eq!(room.run("wait 250 ms"), [""; 0], "still 63 under way");
    let lines = room.run_all((1..=31).map(|n| format!("store keeps {n}")));
    let resumed = lines.iter().filter(|line| *line == "ann resumed").count();
    assert_eq!((resumed, &**lines.last().unwrap()), (1, "ann resumed"));
}

#[test]
fn a_refusal_of_the_store_says_whether_it_may_have_happened() {
    check(
        durable(0),
        "
        > ann opens as Ann
        *
        > ann asks 1 talk one
        *
        > ann asks 2 talk two
        *
        > store refuses 1 store_failed
        ann < 1 refused store_failed
        > store refuses 2 store_unknown
        ann < 2 refused store_unknown, perhaps done
        > ann asks 3 history
        *
        > store misses 3 store_failed
        ann < 3 refused store_failed
        ",
    );
}

#[test]
fn history_shows_nothing_that_was_not_fanned_out_and_its_numbers_are_clamped() {
    let max = u64::try_from(i64::MAX).unwrap();
    let mut room = Room::new(durable(50));
    room.run("ann opens as Ann");
    for (ticket, (asked, looked_up)) in [
        ("", "before 0 after 0 limit 100"),
        ("limit 1", "before 0 after 0 limit 1"),
        ("limit 100", "before 0 after 0 limit 100"),
        ("limit 101", "before 0 after 0 limit 100"),
        ("limit 4294967295", "before 0 after 0 limit 100"),
        ("before 9 after 3 limit 2", "before 9 after 3 limit 2"),
        (
            &format!("before {max} after {max}"),
            &format!("before {max} after {max} limit 100"),
        ),
    ]
    .into_iter()
    .enumerate()
    {
        assert_eq!(
            room.run(&format!("ann asks 1 history {asked}")),
            [format!(
                "store < {} history {looked_up} upto 50",
                ticket + 1
            )]
        );
    }
    room.run("ann asks 2 talk x");
    room.run("store keeps 8");
    let page = room.run("store finds 1 history 41-50 floor 3");
    assert_eq!(page, ["ann < 1 history 41-50 of 3-51"]);
}

#[test]
fn typing_reaches_others_once_in_two_seconds_and_not_in_a_crowd() {
    check(
        durable(0),
        "
        > ann opens as Ann
        *
        > bob opens as Bob
        *
        > wait 5000 ms
        *
        > ann asks 1 typing
        ann < 1 done
        bob < typing Ann
        > ann asks 2 typing lobby
        ann < 2 done
        > wait 1999 ms
        > ann asks 3 typing
        ann < 3 done
        > wait 1 ms
        > ann asks 4 typing
        ann < 4 done
        bob < typing Ann
        > bob asks 1 typing
        bob < 1 done
        ann < typing Bob
        ",
    );
    let mut room = Room::new(durable(0));
    room.run_all((1..=500).map(|n| format!("p{n} opens as P{n}")));
    assert_eq!(room.run("p1 asks 1 typing").len(), 2);
    room.run("p501 opens as P501");
    assert_eq!(room.run("p2 asks 1 typing"), ["p2 < 1 done"]);
}
