//! Signing in at the hub: who somebody is, and how a session begins and ends.

#![allow(clippy::unwrap_used)]

#[path = "common/hub.rs"]
mod hub;

use hub::{check, durable, rate};
use kith::chat::hub::Settings;

#[test]
fn a_name_in_the_upgrade_or_in_hello_is_welcomed() {
    check(
        durable(3),
        "
        > ann opens as Ann
        ann signed in
        ann < 0 welcome Ann (id 1), 1 online, lobby 1-3
        > bob opens
        > bob asks 7 hello Bob
        bob signed in
        bob < 7 welcome Bob (id 2), 2 online, lobby 1-3
        ",
    );
}

#[test]
fn a_welcome_is_told_even_to_a_hello_without_a_number() {
    check(
        durable(0),
        "
        > ann opens
        > ann asks 0 hello Ann
        ann signed in
        ann < 0 welcome Ann (id 1), 1 online, lobby 1-0
        ",
    );
}

#[test]
fn a_name_is_taken_while_somebody_holds_it_and_names_fold() {
    check(
        durable(0),
        "
        > ann opens as Ann
        *
        > bob opens as ANN
        bob < 0 refused name_taken in username
        > bob asks 1 hello ann
        bob < 1 refused name_taken in hello.name
        > bob asks 2 hello Bob
        bob signed in
        bob < 2 welcome Bob (id 2), 2 online, lobby 1-0
        ",
    );
}

#[test]
fn name_and_proof_together_are_the_same_guest_on_one_more_connection() {
    check(
        durable(0),
        "
        > phone opens as Ann
        *
        > laptop opens
        > laptop asks 1 hello ann proving phone
        laptop signed in
        laptop < 1 welcome Ann (id 1), 1 online, lobby 1-0
        > phone asks 1 exit
        phone paused
        phone closed 1000
        > laptop asks 2 list
        laptop < 2 users Ann, 1 in all
        ",
    );
}

#[test]
fn the_proof_of_another_guest_does_not_open_a_name_that_is_held() {
    check(
        durable(0),
        "
        > ann opens as Ann
        *
        > bob opens as Bob
        *
        > eve opens
        > eve asks 1 hello Ann proving bob
        eve < 1 refused name_taken in hello.name
        > eve asks 2 hello Bob proving ann
        eve < 2 refused name_taken in hello.name
        ",
    );
}

#[test]
fn a_guest_keeps_the_id_over_a_lost_connection_and_over_an_exit() {
    check(
        durable(0),
        "
        > one opens as Ann
        *
        > one closes
        > two opens in one's place
        > two asks 1 hello Ann proving one
        two signed in
        two < 1 welcome Ann (id 1), 1 online, lobby 1-0
        > two asks 2 exit
        two paused
        two closed 1000
        > three opens
        > three asks 1 hello Ann proving one
        three signed in
        three < 1 welcome Ann (id 1), 1 online, lobby 1-0
        ",
    );
}

#[test]
fn a_name_is_free_once_no_connection_holds_it_also_within_the_grace() {
    check(
        durable(0),
        "
        > ann opens as Ann
        *
        > ann closes
        > other opens as ANN
        other signed in
        other < 0 welcome ANN (id 2), 1 online, lobby 1-0
        > back opens
        > back asks 1 hello Ann proving ann
        back < 1 refused name_taken in hello.name
        ",
    );
}

#[test]
fn a_second_hello_may_bring_cursors_but_no_other_person() {
    check(
        durable(3),
        "
        > ann opens as Ann
        *
        > bob opens as Bob
        *
        > ann asks 1 hello
        ann < 1 welcome Ann (id 1), 2 online, lobby 1-3
        > ann asks 2 hello ANN proving ann
        ann < 2 welcome Ann (id 1), 2 online, lobby 1-3
        > ann asks 3 hello Bob
        ann < 3 refused already_signed_in
        > ann asks 4 hello Ann proving bob
        ann < 4 refused already_signed_in
        > ann asks 5 hello a:b
        ann < 5 refused already_signed_in
        > ann asks 6 hello Ann with cursor 3
        ann < 6 welcome Ann (id 1), 2 online, lobby 1-3
        ",
    );
}

#[test]
fn what_needs_a_name_is_refused_without_one_and_the_rest_is_not() {
    check(
        durable(0),
        "
        > ann opens
        > ann asks 1 talk hello
        ann < 1 refused sign_in_first
        > ann asks 2 list
        ann < 2 refused sign_in_first
        > ann asks 3 typing
        ann < 3 refused sign_in_first
        > ann asks 4 history
        ann < 4 refused sign_in_first
        > ann asks 5 watch Bob
        ann < 5 refused sign_in_first
        > ann asks 6 ping
        ann < 6 pong
        > ann unfit 7
        > wait 249 ms
        > wait 1 ms
        ann < 7 refused malformed
        > ann asks 8 exit
        ann paused
        ann closed 1000
        ",
    );
}

#[test]
fn what_a_stranger_sends_that_is_no_command_is_answered_before_the_next_frame_or_not_at_all() {
    check(
        durable(0),
        "
        > ann opens
        > ann unfit 1
        > ann unfit 2
        ann < 1 refused malformed
        > ann asks 3 ping
        ann < 2 refused malformed
        ann < 3 pong
        ",
    );
    check(
        durable(0),
        "
        > ann opens
        > ann unfit 1
        > ann closes
        > wait 1000 ms
        > bob opens as Bob
        bob signed in
        bob < 0 welcome Bob (id 2), 1 online, lobby 1-0
        > bob unfit 3
        bob < 3 refused malformed
        ",
    );
}

#[test]
fn nobody_without_a_name_hears_anything() {
    check(
        durable(0),
        "
        > ann opens as Ann
        *
        > bob opens
        > ann asks 1 talk hello
        store < 1 talk Ann: hello
        > store keeps 1
        ann < 1 talked 1
        nobody < entry 1 Ann: hello
        ",
    );
}

#[test]
fn exit_is_off_the_list_at_once_and_the_last_word() {
    check(
        durable(0),
        "
        > ann opens as Ann
        *
        > bob opens as Bob
        *
        > ann asks 1 exit
        ann paused
        ann closed 1000
        > bob asks 1 list
        bob < 1 users Bob, 1 in all
        > ann asks 2 hello Ann
        > ann asks 3 ping
        > ann asks 4 talk too late
        > ann asks 5 exit
        > ann unfit 6
        > ann lags
        > ann drained
        > ann closes
        > cat opens in ann's place as Ann
        cat signed in
        cat < 0 welcome Ann (id 3), 2 online, lobby 1-0
        ",
    );
}

#[test]
fn exit_waits_for_the_answers_that_are_due() {
    check(
        durable(0),
        "
        > ann opens as Ann
        *
        > bob opens as Bob
        *
        > ann asks 1 talk one
        store < 1 talk Ann: one
        > ann asks 2 talk two
        store < 2 talk Ann: two
        > ann asks 3 history
        store < 3 history before 0 after 0 limit 100 upto 0
        > ann asks 4 exit
        ann paused
        > bob asks 1 list
        bob < 1 users Bob, 1 in all
        > store keeps 1
        ann < 1 talked 1
        bob < entry 1 Ann: one
        > store finds 3 history 1-0
        ann < 3 history nothing of 1-1
        > store refuses 2 busy
        ann < 2 refused busy
        ann closed 1000
        > wait 1000 ms
        bob < presence +Bob -Ann, 1 in all
        ",
    );
}

#[test]
fn a_connection_that_is_gone_reaches_nobody_and_nobody_reaches_it() {
    check(
        durable(0),
        "
        > ann opens as Ann
        *
        > bob opens as Bob
        *
        > ann asks 1 talk hello
        store < 1 talk Ann: hello
        > ann asks 2 history
        store < 2 history before 0 after 0 limit 100 upto 0
        > ann closes
        > cat opens in ann's place as Cat
        *
        > ann asks 3 talk from the grave
        > ann unfit 4
        > ann lags
        > ann drained
        > ann closes
        > store keeps 1
        bob cat < entry 1 Ann: hello
        > store finds 2 history 1-1
        > store finds 2 history 1-1
        > store has 99 as 1
        ",
    );
}

#[test]
fn stop_refuses_what_is_new_and_finishes_what_is_under_way() {
    check(
        durable(9),
        "
        > ann opens as Ann
        *
        > bob opens as Bob
        *
        > ann asks 1 talk hello
        store < 1 talk Ann: hello
        > stop
        > stop
        > ann asks 2 talk more
        ann < 2 refused stopping, again in 1s
        > bob asks 1 list
        bob < 1 refused stopping, again in 1s
        > bob asks 2 ping
        bob < 2 pong
        > cat opens as Cat
        cat < 0 refused stopping, again in 1s
        > cat asks 1 hello Cat
        cat < 1 refused stopping, again in 1s
        > bob asks 3 exit
        bob paused
        bob closed 1000
        > store keeps 1
        ann < 1 talked 10
        nobody < entry 10 Ann: hello
        everybody closed 1012, again in 1s
        > stop
        > dan opens as Dan
        dan closed 1012
        ",
    );
}

#[test]
fn stop_does_not_wait_for_listeners_who_catch_up() {
    check(
        durable(200),
        "
        > ann opens
        > ann asks 1 hello Ann with cursor 0
        ann signed in
        ann < 1 welcome Ann (id 1), 1 online, lobby 1-200
        store < 1 page with 1
        > stop
        > store finds 1 page 1-64
        ann < page 1-64
        ann awaits room
        everybody closed 1012, again in 1s
        > ann drained
        > wait 10000 ms
        *
        ",
    );
}

#[test]
fn stop_with_nothing_under_way_sends_everybody_home_at_once() {
    check(
        durable(0),
        "
        > ann opens as Ann
        *
        > stop
        everybody closed 1012, again in 1s
        > ann closes
        > stop
        ",
    );
}

#[test]
fn stop_now_says_of_what_was_not_answered_what_can_be_said() {
    check(
        durable(9),
        "
        > ann opens as Ann
        *
        > bob opens
        > bob asks 1 hello Bob with cursor 0
        *
        > ann asks 1 talk hello
        store < 2 talk Ann: hello
        > ann asks 2 history
        store < 3 history before 0 after 0 limit 100 upto 9
        > ann asks 3 talk more
        store < 4 talk Ann: more
        > stop
        > store keeps 2
        ann < 1 talked 10
        nobody < entry 10 Ann: hello
        > stop now
        ann < 2 refused stopping, again in 1s
        ann < 3 refused store_unknown, perhaps done, again in 1s
        everybody closed 1012, again in 1s
        > store keeps 4
        > store finds 3 history 1-9
        > store finds 1 page 1-9
        > stop now
        ",
    );
}

#[test]
fn commands_have_a_rate_that_says_how_long_to_wait_and_exit_has_none() {
    let mut setup = durable(0);
    setup.settings = Settings {
        commands: rate(2, 3),
        ..Settings::default()
    };
    check(
        setup,
        "
        > ann opens
        > ann asks 1 ping
        ann < 1 pong
        > ann unfit 2
        > ann asks 3 talk without a name
        ann < 2 refused malformed
        ann < 3 refused sign_in_first
        > ann asks 4 hello Ann
        ann < 4 refused too_fast, again in 500ms
        > ann unfit 5
        > wait 250 ms
        ann < 5 refused too_fast, again in 500ms
        > wait 249 ms
        > ann asks 6 ping
        ann < 6 refused too_fast, again in 1ms
        > wait 1 ms
        > ann asks 7 hello Ann
        ann signed in
        ann < 7 welcome Ann (id 1), 1 online, lobby 1-0
        > ann asks 8 exit
        ann paused
        ann closed 1000
        ",
    );
}
