//! Presence at the hub: who is online, who is told, and when.

#![allow(clippy::unwrap_used)]

#[path = "common/hub.rs"]
mod hub;

use hub::{Room, check, durable};
use kith::limits::{PRESENCE_ALL, USERS_PAGE};

#[test]
fn changes_come_in_batches_and_what_happened_last_is_told() {
    check(
        durable(0),
        "
        > ann opens as Ann
        *
        > wait 499 ms
        > bob opens as Bob
        *
        > wait 1 ms
        ann bob < presence +Ann +Bob, 2 in all
        > wait 10000 ms
        > cat opens as Cat
        *
        > bob asks 1 exit
        *
        > ann asks 1 list
        ann < 1 users Ann Cat, 2 in all
        > cat asks 1 exit
        *
        > bob opens as BOB
        *
        > wait 500 ms
        ann bob < presence +BOB -Bob -Cat, 2 in all
        > wait 10000 ms
        ",
    );
}

#[test]
fn going_offline_is_announced_after_ten_seconds_counted_from_the_last_loss() {
    check(
        durable(0),
        "
        > bob opens as Bob
        *
        > ann opens as Ann
        *
        > wait 1000 ms
        *
        > ann closes
        > wait 1000 ms
        > again opens in ann's place
        > again asks 1 hello Ann proving ann
        *
        > wait 1000 ms
        > again closes
        > wait 9999 ms
        > bob asks 1 list
        bob < 1 users Ann Bob, 2 in all
        > wait 1 ms
        > bob asks 2 list
        bob < 2 users Bob, 1 in all
        > wait 500 ms
        bob < presence -Ann, 1 in all
        > wait 60000 ms
        ",
    );
}

#[test]
fn one_who_wavers_does_not_hold_up_the_announcement_of_others() {
    check(
        durable(0),
        "
        > bob opens as Bob
        *
        > ann opens as Ann
        *
        > cat opens as Cat
        *
        > wait 1000 ms
        *
        > ann closes
        > again opens
        > again asks 1 hello Ann proving ann
        *
        > wait 100 ms
        > again closes
        > wait 9800 ms
        > cat closes
        > wait 200 ms
        > bob asks 1 list
        bob < 1 users Bob Cat, 2 in all
        > wait 500 ms
        bob < presence -Ann, 2 in all
        ",
    );
}

#[test]
fn a_person_is_online_while_any_device_is() {
    check(
        durable(0),
        "
        > bob opens as Bob
        *
        > phone opens as Ann
        *
        > laptop opens
        > laptop asks 1 hello Ann proving phone
        *
        > wait 500 ms
        bob phone laptop < presence +Ann +Bob, 2 in all
        > phone closes
        > wait 60000 ms
        > laptop asks 2 exit
        *
        > wait 500 ms
        bob < presence -Ann, 1 in all
        ",
    );
}

#[test]
fn a_namesake_within_the_grace_who_writes_it_otherwise_is_told_of() {
    check(
        durable(0),
        "
        > bob opens as Bob
        *
        > ann opens as Ann
        *
        > wait 1000 ms
        *
        > ann closes
        > wait 1000 ms
        > other opens as ANN
        *
        > wait 500 ms
        bob other < presence +ANN -Ann, 2 in all
        > other closes
        > wait 1000 ms
        > third opens as ANN
        *
        > wait 60000 ms
        ",
    );
}

#[test]
fn who_is_behind_misses_changes_and_is_told_to_ask_again() {
    check(
        durable(0),
        "
        > ann opens as Ann
        *
        > wait 1000 ms
        *
        > ann lags
        ann awaits room
        > bob opens as Bob
        *
        > wait 500 ms
        bob < presence +Bob, 2 in all
        > ann drained
        ann < presence ask again, 2 in all
        ",
    );
}

/// A room of `n` people p1 to pn, all of whom know of each other.
fn crowd(n: usize) -> Room {
    let mut room = Room::new(durable(0));
    room.run_all((1..=n).map(|i| format!("p{i} opens as P{i}")));
    room.run("wait 60000 ms");
    room
}

/// What a line says to whom, without the long list of whom.
fn said(lines: Vec<String>) -> Vec<String> {
    let cut = |line: String| match line.split_once(" < ") {
        Some((to, what)) => format!("{} < {what}", to.split(' ').count()),
        None => line,
    };
    lines.into_iter().map(cut).collect()
}

#[test]
fn a_batch_holds_at_most_two_hundred_names() {
    let mut room = Room::new(durable(0));
    let opens = |n: usize| format!("p{n} opens as P{n}");
    room.run_all((1..=PRESENCE_ALL).map(opens));
    let batch = room.run("wait 500 ms");
    assert_eq!(batch.len(), 1);
    assert_eq!(batch[0].matches('+').count(), PRESENCE_ALL);
    // All but one go and as many come, within one batch.
    for n in 2..=PRESENCE_ALL {
        room.run(&format!("p{n} asks 1 exit"));
        room.run(&opens(n + PRESENCE_ALL));
    }
    let batch = said(room.run("wait 500 ms"));
    assert_eq!(batch, ["200 < presence ask again, 200 in all"]);
    room.run("p1 asks 1 exit");
    let batch = said(room.run("wait 500 ms"));
    assert_eq!(batch, ["199 < presence -P1, 199 in all"]);
}

#[test]
fn above_two_hundred_the_number_is_told_every_two_seconds() {
    let mut room = crowd(PRESENCE_ALL);
    room.run("q1 opens as Q1");
    let batch = said(room.run("wait 500 ms"));
    assert_eq!(batch, ["201 < presence, 201 in all"]);
    room.run("q2 opens as Q2");
    assert_eq!(room.run("wait 1999 ms"), [""; 0]);
    room.run("q3 opens as Q3");
    let batch = said(room.run("wait 1 ms"));
    assert_eq!(batch, ["203 < presence, 203 in all"]);
    room.run("wait 10000 ms");
    room.run("q4 opens as Q4");
    assert_eq!(room.run("wait 499 ms"), [""; 0]);
    let batch = said(room.run("wait 1 ms"));
    assert_eq!(
        batch,
        ["204 < presence, 204 in all"],
        "after a rest, at once"
    );
    room.run("q5 opens as Q5");
    room.run("q5 asks 1 exit");
    assert_eq!(room.run("wait 10000 ms"), [""; 0], "the number is the same");
}

#[test]
fn back_at_two_hundred_names_are_told_again_after_asking_anew() {
    let mut room = crowd(PRESENCE_ALL + 2);
    room.run("p1 asks 1 exit");
    room.run("p2 asks 1 exit");
    let batch = said(room.run("wait 500 ms"));
    assert_eq!(batch, ["200 < presence ask again, 200 in all"]);
    room.run("p3 asks 1 exit");
    let batch = said(room.run("wait 500 ms"));
    assert_eq!(batch, ["199 < presence -P3, 199 in all"]);
}

#[test]
fn two_hundred_crossed_for_a_moment_loses_no_name_without_a_word() {
    let mut room = crowd(PRESENCE_ALL - 1);
    for line in ["q1 opens as Q1", "q2 opens as Q2", "p1 asks 1 exit"] {
        room.run(line);
    }
    let batch = said(room.run("wait 500 ms"));
    assert_eq!(batch, ["200 < presence ask again, 200 in all"]);
}

#[test]
fn whom_somebody_watches_is_told_by_name_also_in_a_crowd() {
    let mut room = crowd(PRESENCE_ALL + 1);
    assert_eq!(
        room.run("p1 asks 1 watch p2 Q1 q1 nobody"),
        ["p1 < 1 done", "p1 < presence +P2 -nobody -q1, 201 in all"]
    );
    room.run("q1 opens as Q1");
    room.run("q2 opens as Q2");
    room.run("p2 asks 1 exit");
    let batch = said(room.run("wait 500 ms"));
    assert_eq!(
        batch,
        [
            "1 < presence +Q1 -P2, 202 in all",
            "202 < presence, 202 in all"
        ]
    );
    assert_eq!(
        room.run("p1 asks 2 watch q2"),
        ["p1 < 2 done", "p1 < presence +Q2, 202 in all"],
        "replaces what was watched before"
    );
    room.run("q1 asks 1 exit");
    let batch = said(room.run("wait 2000 ms"));
    assert_eq!(batch, ["201 < presence, 201 in all"]);
    // Whatever was told when the watch began, what happens afterwards is told, also if it only
    // takes back what the batch did not tell yet.
    room.run("q3 opens as Q3");
    room.run("p1 asks 3 watch q3");
    room.run("q3 asks 1 exit");
    let batch = said(room.run("wait 500 ms"));
    assert_eq!(batch, ["1 < presence -Q3, 201 in all"]);
    room.run("p1 asks 4 watch");
    room.run("q4 opens as Q3");
    let batch = said(room.run("wait 5000 ms"));
    assert_eq!(batch, ["202 < presence, 202 in all"]);
    room.run("p5 asks 1 watch Q3");
    room.run("p5 closes");
    room.run("q4 asks 1 exit");
    let batch = said(room.run("wait 5000 ms"));
    assert_eq!(
        batch,
        ["200 < presence, 201 in all"],
        "who is gone watches nobody"
    );
}

#[test]
fn a_watch_has_at_most_a_hundred_names_and_each_must_be_one() {
    let mut room = Room::new(durable(0));
    room.run("ann opens as Ann");
    let names = |n: usize| (1..=n).map(|i| format!(" n{i}")).collect::<String>();
    assert_eq!(
        room.run(&format!("ann asks 1 watch{}", names(101))),
        ["ann < 1 refused too_many in watch.names"]
    );
    let most = room.run(&format!("ann asks 2 watch{}", names(100)));
    assert_eq!(most[1].matches(" -n").count(), 100);
    assert_eq!(
        room.run("ann asks 3 watch Bob a:b Cat"),
        ["ann < 3 refused bad_name in watch.names[1]"]
    );
}

#[test]
fn the_list_is_sorted_by_folding_and_comes_in_pages() {
    check(
        durable(0),
        "
        > a opens as dave
        *
        > b opens as Bob
        *
        > c opens as alice
        *
        > d opens as Carol
        *
        > a asks 1 list
        a < 1 users alice Bob Carol dave, 4 in all
        > a asks 2 list limit 2
        a < 2 users alice Bob and more, 4 in all
        > a asks 3 list limit 2 after BOB
        a < 3 users Carol dave, 4 in all
        > a asks 4 list after bobby
        a < 4 users Carol dave, 4 in all
        > a asks 5 list after zoe
        a < 5 users , 4 in all
        > a asks 6 list limit 4294967295
        a < 6 users alice Bob Carol dave, 4 in all
        > a asks 7 list after a:b
        a < 7 refused bad_name in userList.after
        ",
    );
    let mut room = crowd(USERS_PAGE as usize + 1);
    for limit in ["", " limit 500", " limit 501", " limit 4294967295"] {
        let page = room.run(&format!("p1 asks 1 list{limit}")).remove(0);
        assert!(page.ends_with(" and more, 501 in all"), "{page}");
        assert_eq!(page.matches(" P").count(), USERS_PAGE as usize);
    }
    let rest = room.run("p1 asks 1 list after P98");
    assert_eq!(rest, ["p1 < 1 users P99, 501 in all"]);
}
