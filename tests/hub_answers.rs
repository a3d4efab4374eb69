//! What an answer stands for at the hub: the entry, if it follows the last one of that connection.

#![allow(clippy::unwrap_used)]

#[path = "common/hub.rs"]
mod hub;

use hub::{check, durable, live};

#[test]
fn nobody_is_told_before_it_is_kept_and_the_reply_stands_for_the_entry() {
    check(
        durable(4),
        "
        > ann opens as Ann
        *
        > bob opens as Bob
        *
        > ann asks 1 talk hello
        store < 1 talk Ann: hello
        > store keeps 1
        ann < 1 talked 5
        bob < entry 5 Ann: hello
        ",
    );
}

#[test]
fn the_senders_other_devices_hear_the_entry() {
    check(
        durable(0),
        "
        > phone opens as Ann
        *
        > laptop opens
        > laptop asks 1 hello Ann proving phone
        *
        > laptop asks 2 talk hello
        store < 1 talk Ann: hello
        > store keeps 1
        laptop < 2 talked 1
        phone < entry 1 Ann: hello
        ",
    );
}

#[test]
fn without_a_number_there_is_no_reply_and_nothing_stands_for_the_entry() {
    check(
        durable(0),
        "
        > ann opens as Ann
        *
        > ann asks 0 talk hello
        store < 1 talk Ann: hello
        > store keeps 1
        ann < entry 1 Ann: hello
        > ann asks 0 list
        > ann asks 0 typing
        nobody < typing Ann
        > ann asks 0 talkto nowhere x
        ann < 0 refused not_found in talk.to
        ",
    );
}

#[test]
fn a_sender_who_is_behind_gets_the_reply_at_once_and_the_entry_in_its_place() {
    check(
        durable(3),
        "
        > ann opens
        > ann asks 1 hello Ann with cursor 2
        ann signed in
        ann < 1 welcome Ann (id 1), 1 online, lobby 1-3
        store < 1 tag 20 of 2
        > ann asks 2 talk hello
        store < 2 talk Ann: hello
        > store keeps 2
        ann < 2 talked 4
        nobody < entry 4 Ann: hello
        > store finds 1 tag right
        store < 3 page with 3
        > store finds 3 page 1-4
        ann < page 3-4
        ann < presence ask again, 1 in all
        ",
    );
}

#[test]
fn the_reply_to_a_sender_who_lacks_nothing_stands_for_the_entry_though_she_is_behind() {
    check(
        durable(3),
        "
        > ann opens as Ann
        *
        > bob opens as Bob
        *
        > ann lags
        ann awaits room
        > ann asks 1 talk four
        store < 1 talk Ann: four
        > ann asks 2 talk five
        store < 2 talk Ann: five
        > store keeps 1
        ann < 1 talked 4
        bob < entry 4 Ann: four
        > store keeps 2
        ann < 2 talked 5
        bob < entry 5 Ann: five
        > ann drained
        ann < presence ask again, 2 in all
        > bob asks 1 talk six
        store < 3 talk Bob: six
        > store keeps 3
        bob < 1 talked 6
        ann < entry 6 Bob: six
        ",
    );
}

#[test]
fn once_somebody_else_spoke_the_entry_of_one_who_is_behind_comes_in_its_place() {
    check(
        durable(3),
        "
        > ann opens as Ann
        *
        > bob opens as Bob
        *
        > ann lags
        *
        > ann asks 1 talk four
        *
        > store keeps 1
        ann < 1 talked 4
        bob < entry 4 Ann: four
        > bob asks 1 talk five
        *
        > store keeps 2
        bob < 1 talked 5
        nobody < entry 5 Bob: five
        > ann asks 2 talk six
        *
        > store keeps 3
        ann < 2 talked 6
        bob < entry 6 Ann: six
        > ann drained
        store < 4 page with 5
        > ann asks 3 talk seven
        *
        > store keeps 5
        ann < 3 talked 7
        bob < entry 7 Ann: seven
        > store finds 4 page 4-7
        ann < page 5-7
        ann < presence ask again, 2 in all
        ",
    );
}

#[test]
fn without_a_number_the_entry_comes_to_one_who_is_behind_as_to_others() {
    check(
        durable(3),
        "
        > ann opens as Ann
        *
        > ann lags
        ann awaits room
        > ann asks 0 talk four
        store < 1 talk Ann: four
        > store keeps 1
        nobody < entry 4 Ann: four
        > ann drained
        store < 2 page with 4
        > store finds 2 page 4-4
        ann < page 4-4
        ann < presence ask again, 1 in all
        ",
    );
}

#[test]
fn a_hole_begins_behind_what_was_answered() {
    check(
        live(),
        "
        > ann opens as Ann
        *
        > bob opens as Bob
        *
        > ann lags
        *
        > ann asks 1 talk one
        ann < 1 talked 1
        bob < entry 1 Ann: one
        > bob asks 1 talk two
        bob < 1 talked 2
        nobody < entry 2 Bob: two
        > ann asks 2 talk three
        ann < 2 talked 3
        bob < entry 3 Ann: three
        > ann drained
        ann < hole 2-3 no history tag 2027808485
        ann < presence ask again, 2 in all
        ",
    );
}

#[test]
fn an_overtaken_question_does_not_disturb_what_an_answer_stands_for() {
    check(
        durable(9),
        "
        > ann opens
        > ann asks 1 hello Ann with cursor 5
        ann signed in
        ann < 1 welcome Ann (id 1), 1 online, lobby 1-9
        store < 1 tag 50 of 5
        > ann asks 2 hello with cursor 9
        ann < 2 welcome Ann (id 1), 1 online, lobby 1-9
        ann < presence ask again, 1 in all
        > ann lags
        ann awaits room
        > ann asks 3 talk ten
        store < 2 talk Ann: ten
        > store keeps 2
        ann < 3 talked 10
        nobody < entry 10 Ann: ten
        > store finds 1 tag wrong
        > ann drained
        ann < presence ask again, 1 in all
        ",
    );
}
