//! Catching up at the hub: cursors, pages, holes, resets, and the seam to what is live.

#![allow(clippy::unwrap_used)]
#[path = "common/hub.rs"]
mod hub;

use hub::{Room, Setup, check, durable, live};

#[test]
fn without_a_cursor_one_listens_from_the_head_on() {
    check(
        durable(5),
        "
        > ann opens as Ann
        ann signed in
        ann < 0 welcome Ann (id 1), 1 online, lobby 1-5
        > bob opens as Bob
        *
        > bob asks 1 talk hello
        store < 1 talk Bob: hello
        > store keeps 1
        bob < 1 talked 6
        ann < entry 6 Bob: hello
        ",
    );
}

#[test]
fn a_cursor_is_taken_up_compared_or_answered_by_a_reset() {
    let kept = Setup {
        floor: 11,
        ..durable(100)
    };
    let (full, beyond) = (durable(100), "cursor 9223372036854775807");
    let reset: &[&str] = &["reset to 1-100"];
    let table: &[(Setup, &str, &[&str])] = &[
        (durable(0), "cursor 0", &[]),
        (durable(0), "cursor 0 tag 99", &[]),
        (durable(0), "cursor 1", &["reset to 1-0"]),
        (durable(0), "cursor 0 epoch 8", &["reset to 1-0"]),
        (durable(100), "cursor 0", &["store < 1 page with 1"]),
        (durable(100), "cursor 5", &["store < 1 tag 50 of 5"]),
        (durable(100), "cursor 99", &["store < 1 tag 990 of 99"]),
        (durable(100), "cursor 100", &[]),
        (durable(100), "cursor 100 tag 7", &["reset to 1-100"]),
        (durable(100), "cursor 100 epoch 8", &["reset to 1-100"]),
        (durable(100), "cursor 100 epoch 0", &["reset to 1-100"]),
        (durable(100), "cursor 101", &["reset to 1-100"]),
        (full, beyond, reset),
        (durable(100), "cursor 5 in nowhere", &[]),
        (full, "cursor 5 in nowhere with cursor 101", reset),
        (durable(100), "cursor 101 with cursor 100", &[]),
        (
            kept,
            "cursor 0",
            &["hole 1-10 retention", "store < 1 page with 11"],
        ),
        (kept, "cursor 4", &["store < 1 tag 40 of 4"]),
        (live(), "cursor 0", &[]),
        (live(), "cursor 1", &["reset to 1-0"]),
    ];
    for (setup, cursor, wanted) in table {
        let mut room = Room::new(*setup);
        room.run("ann opens as Ann");
        let lines = room.run(&format!("ann asks 1 hello with {cursor}"));
        let came: Vec<_> = lines[1..]
            .iter()
            .map(|line| line.trim_start_matches("ann < "))
            .filter(|line| !line.starts_with("presence"))
            .collect();
        assert_eq!(came, *wanted, "{cursor}");
    }
}

#[test]
fn pages_come_as_fast_as_they_are_read_up_to_the_head() {
    check(
        durable(150),
        "
        > ann opens
        > ann asks 1 hello Ann with cursor 10
        ann signed in
        ann < 1 welcome Ann (id 1), 1 online, lobby 1-150
        store < 1 tag 100 of 10
        > store finds 1 tag right
        store < 2 page with 11
        > store finds 2 page 1-64
        ann < page 11-64
        ann awaits room
        > wait 60000 ms
        *
        > ann drained
        store < 3 page with 65
        > store finds 3 page 65-128
        ann < page 65-128
        ann awaits room
        > ann drained
        store < 4 page with 129
        > store finds 4 page 129-150
        ann < page 129-150
        ann < presence ask again, 1 in all
        > ann drained
        > ann asks 2 talk live now
        store < 5 talk Ann: live now
        > store keeps 5
        ann < 2 talked 151
        nobody < entry 151 Ann: live now
        ",
    );
}

#[test]
fn at_the_seam_nothing_is_missed_and_nothing_is_doubled() {
    check(
        durable(3),
        "
        > bob opens as Bob
        *
        > ann opens
        > ann asks 1 hello Ann with cursor 0
        ann signed in
        ann < 1 welcome Ann (id 2), 2 online, lobby 1-3
        store < 1 page with 1
        > bob asks 1 talk four
        store < 2 talk Bob: four
        > bob asks 2 talk five
        store < 3 talk Bob: five
        > store keeps 2
        bob < 1 talked 4
        nobody < entry 4 Bob: four
        > store finds 1 page 1-5
        ann < page 1-4
        ann < presence ask again, 2 in all
        > store keeps 3
        bob < 2 talked 5
        ann < entry 5 Bob: five
        ",
    );
}

#[test]
fn what_was_said_while_a_page_was_read_is_brought_by_the_next() {
    check(
        durable(3),
        "
        > bob opens as Bob
        *
        > ann opens
        > ann asks 1 hello Ann with cursor 0
        *
        > bob asks 1 talk four
        store < 2 talk Bob: four
        > store keeps 2
        bob < 1 talked 4
        nobody < entry 4 Bob: four
        > store finds 1 page 1-3
        ann < page 1-3
        ann awaits room
        > ann drained
        store < 3 page with 4
        > store finds 3 page 1-4
        ann < page 4-4
        ann < presence ask again, 2 in all
        ",
    );
}

#[test]
fn who_reads_too_slowly_is_put_behind_and_brought_back_by_pages() {
    check(
        durable(3),
        "
        > ann opens as Ann
        *
        > bob opens as Bob
        *
        > ann lags
        ann awaits room
        > ann lags
        > bob asks 1 talk four
        store < 1 talk Bob: four
        > store keeps 1
        bob < 1 talked 4
        nobody < entry 4 Bob: four
        > bob asks 2 typing
        bob < 2 done
        nobody < typing Bob
        > ann drained
        store < 2 page with 4
        > ann drained
        > ann lags
        > store finds 2 page 1-4
        ann < page 4-4
        ann < presence ask again, 2 in all
        > ann lags
        ann awaits room
        > ann drained
        ann < presence ask again, 2 in all
        > ann drained
        ",
    );
}

#[test]
fn the_slots_of_the_others_stay_right_when_some_fall_behind() {
    check(
        live(),
        "
        > ann opens as Ann
        *
        > bob opens as Bob
        *
        > cat opens as Cat
        *
        > dan opens as Dan
        *
        > ann lags
        *
        > cat closes
        > dan asks 1 talk one
        dan < 1 talked 1
        bob < entry 1 Dan: one
        > ann drained
        ann < hole 1-1 no history tag 3041712728
        ann < presence ask again, 4 in all
        > bob asks 1 exit
        *
        > dan asks 2 talk two
        dan < 2 talked 2
        ann < entry 2 Dan: two
        ",
    );
}

#[test]
fn a_wrong_tag_is_a_reset_and_one_listens_on_from_the_head() {
    check(
        durable(9),
        "
        > bob opens as Bob
        *
        > ann opens
        > ann asks 1 hello Ann with cursor 5 tag 1
        ann signed in
        ann < 1 welcome Ann (id 2), 2 online, lobby 1-9
        store < 1 tag 1 of 5
        > bob asks 1 talk ten
        store < 2 talk Bob: ten
        > store keeps 2
        bob < 1 talked 10
        nobody < entry 10 Bob: ten
        > store finds 1 tag wrong
        ann < reset to 1-10
        ann < presence ask again, 2 in all
        > bob asks 2 talk eleven
        store < 3 talk Bob: eleven
        > store keeps 3
        bob < 2 talked 11
        ann < entry 11 Bob: eleven
        ",
    );
}

#[test]
fn what_retention_took_is_told_as_a_hole_however_late_it_is_found_out() {
    let kept = Setup {
        floor: 51,
        ..durable(100)
    };
    check(
        kept,
        "
        > ann opens
        > ann asks 1 hello Ann with cursor 7
        ann signed in
        ann < 1 welcome Ann (id 1), 1 online, lobby 51-100
        store < 1 tag 70 of 7
        > store finds 1 tag right
        ann < hole 8-50 retention
        store < 2 page with 51
        > store finds 2 page 71-100 floor 71
        ann < hole 51-70 retention
        store < 3 page with 71
        > store finds 3 page 71-100 floor 71
        ann < page 71-100
        ann < presence ask again, 1 in all
        > bob opens as Bob
        bob signed in
        bob < 0 welcome Bob (id 2), 2 online, lobby 71-100
        ",
    );
}

#[test]
fn a_store_that_is_ahead_of_the_head_makes_no_hole_beyond_it() {
    check(
        durable(3),
        "
        > bob opens as Bob
        *
        > ann opens
        > ann asks 1 hello Ann with cursor 0
        *
        > bob asks 1 talk four
        store < 2 talk Bob: four
        > store finds 1 page 1-0 floor 5
        ann < hole 1-3 retention tag 30
        ann < presence ask again, 2 in all
        > store keeps 2
        bob < 1 talked 4
        ann < entry 4 Bob: four
        ",
    );
}

#[test]
fn a_lobby_without_history_brings_a_hole_and_nothing_else() {
    check(
        live(),
        "
        > bob opens as Bob
        *
        > bob asks 1 talk one
        *
        > bob asks 2 talk two
        *
        > ann opens
        > ann asks 1 hello Ann with cursor 1 tag 5
        ann signed in
        ann < 1 welcome Ann (id 2), 2 online, lobby 1-2
        ann < hole 2-2 no history tag 387276959
        > bob asks 3 talk three
        bob < 3 talked 3
        ann < entry 3 Bob: three
        > ann asks 2 hello with cursor 3 tag 0
        ann < 2 welcome Ann (id 2), 2 online, lobby 1-3
        ",
    );
}

#[test]
fn a_page_or_a_comparison_that_fails_is_asked_for_again() {
    check(
        durable(9),
        "
        > ann opens
        > ann asks 1 hello Ann with cursor 5
        *
        > wait 1000 ms
        *
        > store misses 1 busy
        > wait 249 ms
        > wait 1 ms
        store < 2 tag 50 of 5
        > store finds 2 tag right
        store < 3 page with 6
        > store misses 3 store_failed
        > ann drained
        > wait 250 ms
        store < 4 page with 6
        > store finds 4 page 1-0
        > wait 250 ms
        store < 5 page with 6
        > store finds 5 page 1-5
        > wait 250 ms
        store < 6 page with 6
        > store finds 6 page 1-9
        ann < page 6-9
        ann < presence ask again, 1 in all
        > wait 1000 ms
        ",
    );
}

#[test]
fn a_page_that_ends_early_is_followed_by_the_next() {
    check(
        durable(9),
        "
        > ann opens
        > ann asks 1 hello Ann with cursor 0
        *
        > store finds 1 page 1-2
        ann < page 1-2
        ann awaits room
        > ann drained
        store < 2 page with 3
        > store finds 2 page 3-9
        ann < page 3-9
        ann < presence ask again, 1 in all
        ",
    );
}

#[test]
fn an_answer_to_a_question_of_before_a_second_hello_is_dropped() {
    check(
        durable(100),
        "
        > ann opens
        > ann asks 1 hello Ann with cursor 5 tag 1
        ann signed in
        ann < 1 welcome Ann (id 1), 1 online, lobby 1-100
        store < 1 tag 1 of 5
        > ann asks 2 hello with cursor 90
        ann < 2 welcome Ann (id 1), 1 online, lobby 1-100
        > store finds 1 tag wrong
        store < 2 tag 900 of 90
        > ann asks 3 hello with cursor 80 tag 1
        ann < 3 welcome Ann (id 1), 1 online, lobby 1-100
        > store finds 2 tag right
        store < 3 tag 1 of 80
        > ann asks 4 hello with cursor 0
        ann < 4 welcome Ann (id 1), 1 online, lobby 1-100
        > store finds 3 tag right
        store < 4 page with 1
        > ann asks 5 hello with cursor 100
        ann < 5 welcome Ann (id 1), 1 online, lobby 1-100
        ann < presence ask again, 1 in all
        > ann lags
        ann awaits room
        > store finds 4 page 1-64
        > ann drained
        ann < presence ask again, 1 in all
        ",
    );
}

#[test]
fn a_second_hello_without_cursors_disturbs_nothing() {
    check(
        durable(100),
        "
        > ann opens
        > ann asks 1 hello Ann with cursor 0
        *
        > ann asks 2 hello
        ann < 2 welcome Ann (id 1), 1 online, lobby 1-100
        > store finds 1 page 1-64
        ann < page 1-64
        ann awaits room
        > ann asks 3 hello
        ann < 3 welcome Ann (id 1), 1 online, lobby 1-100
        > ann drained
        store < 2 page with 65
        > store finds 2 page 65-100
        ann < page 65-100
        ann < presence ask again, 1 in all
        > ann asks 4 hello
        ann < 4 welcome Ann (id 1), 1 online, lobby 1-100
        > ann asks 5 talk once
        store < 3 talk Ann: once
        > store keeps 3
        ann < 5 talked 101
        nobody < entry 101 Ann: once
        ",
    );
}

#[test]
fn however_often_one_says_hello_one_question_is_with_the_store() {
    let mut room = Room::new(durable(100));
    room.run("ann opens as Ann");
    let lines =
        room.run_all((1..=1000).map(|n| format!("ann asks {n} hello with cursor {}", n % 90)));
    let asked = lines.iter().filter(|line| line.starts_with("store <"));
    assert_eq!(asked.count(), 1);
    assert_eq!(room.run("store misses 1 busy"), ["store < 2 tag 100 of 10"]);
}

#[test]
fn who_leaves_while_behind_is_brought_nothing_more() {
    check(
        durable(100),
        "
        > ann opens
        > ann asks 1 hello Ann with cursor 0
        *
        > bob opens
        > bob asks 1 hello Bob with cursor 0
        *
        > cat opens
        > cat asks 1 hello Cat with cursor 0
        *
        > ann closes
        > bob asks 2 exit
        bob paused
        bob closed 1000
        > store misses 3 busy
        > cat closes
        > dan opens in ann's place as Dan
        *
        > store finds 1 page 1-64
        > store finds 2 page 1-64
        > ann drained
        > bob drained
        > wait 400 ms
        ",
    );
}
