//! HTTP over a connection: what is taken, what is refused, and what comes after it.

#![allow(clippy::unwrap_used)]

#[path = "common/script.rs"]
mod script;

use std::time::Duration;

use http::StatusCode;
use kith::conn::{ConnConfig, Due, Event, Response, Verdict};
use kith::limits::{BODY_BYTES, HEAD_BYTES};
use script::{GET, Player, Step, check, send, slowly, wait};

/// A request with these fields after the request line, which are whole lines.
fn request(line: &str, fields: &str) -> Step {
    send(format!("{line}\r\n{fields}\r\n"))
}

#[test]
fn a_request_is_answered_and_the_connection_kept() {
    check(
        [send(GET), send(GET)],
        &["< GET /", "> 200 | hello", "< GET /", "> 200 | hello"],
    );
}

#[test]
fn byte_by_byte_is_fine() {
    check([slowly(GET)], &["< GET /", "> 200 | hello"]);
    check(
        [slowly(
            "\r\nPOST /a HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nabc",
        )],
        &["< POST /a abc", "> 200 | hello"],
    );
}

#[test]
fn pipelined_requests_are_answered_in_order() {
    let three = "POST /1 HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nabc\
                 GET /2?q HTTP/1.1\r\nHost: h\r\n\r\n\
                 GET /3 HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n\
                 GET /4 HTTP/1.1\r\nHost: h\r\n\r\n";
    check(
        [send(three), Step::Eof],
        &[
            "< POST /1 abc",
            "< GET /2",
            "< GET /3",
            "> 200 | hello",
            "> 200 | hello",
            "> 200 close | hello",
            "= Shutdown",
            "= Drop",
        ],
    );
}

#[test]
fn nothing_is_read_while_an_answer_is_owed() {
    let mut player = Player::new(ConnConfig::default());
    let bytes = [GET, GET].concat();
    let mut input = bytes.as_bytes();
    let first = player
        .conn
        .poll_event(&mut input, &mut player.shared, player.now);
    assert!(matches!(first, Some(Event::Request(_))));
    let second = player
        .conn
        .poll_event(&mut input, &mut player.shared, player.now);
    assert!(second.is_none());
    assert_eq!(input, GET.as_bytes());
    player.conn.hold(input);
    assert!(!player.conn.wants_input() && !player.conn.wants_poll(&player.shared));

    let answer = Response::new(StatusCode::NO_CONTENT);
    player.conn.respond(&answer, &mut player.shared, player.now);
    assert!(player.conn.wants_poll(&player.shared));
    player.play(send(""));
    assert_eq!(player.transcript, ["< GET /", "> 204", "> 200 | hello"]);
    assert!(player.conn.wants_input());
}

#[test]
fn head_gets_the_head_only() {
    let mut player = Player::new(ConnConfig::default());
    player.feed(b"HEAD /page HTTP/1.1\r\nHost: h\r\n\r\n");
    let written = String::from_utf8(player.take_all()).unwrap();
    assert!(written.contains("content-length: 5\r\n"), "{written}");
    assert!(
        written.contains("date: Fri, 20 Nov 2026 10:00:00 GMT\r\n"),
        "{written}"
    );
    assert!(written.ends_with("\r\n\r\n"), "{written}");
}

/// Each request (its lines, without the empty one) is refused like this, and what follows in the
/// same breath is never taken for another.
#[track_caller]
fn all_refused(refusal: &str, requests: &[&str]) {
    for request in requests {
        let smuggled = [request, "\r\n\r\n", GET].concat();
        check([send(smuggled)], &[refusal, "= Shutdown"]);
    }
}

#[test]
fn a_body_whose_length_has_two_readings_is_refused() {
    all_refused(
        "> 400 close | Content-Length is not one number",
        &[
            "GET / HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\nContent-Length: 1",
            "GET / HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\ncontent-length: 2",
            "GET / HTTP/1.1\r\nHost: h\r\nContent-Length: 1, 1",
            "GET / HTTP/1.1\r\nHost: h\r\nContent-Length: 1 1",
            "GET / HTTP/1.1\r\nHost: h\r\nContent-Length: +1",
            "GET / HTTP/1.1\r\nHost: h\r\nContent-Length: -1",
            "GET / HTTP/1.1\r\nHost: h\r\nContent-Length: 0x1",
            "GET / HTTP/1.1\r\nHost: h\r\nContent-Length:",
        ],
    );
    all_refused(
        "> 400 close | both Transfer-Encoding and Content-Length",
        &[
            "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\nContent-Length: 5",
            "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\ntransfer-encoding: identity",
            "POST / HTTP/1.0\r\nContent-Length: 5\r\nTransfer-Encoding: chunked",
        ],
    );
    all_refused(
        "> 501 close | no Transfer-Encoding is taken, send a Content-Length",
        &[
            "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked",
            "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: xchunked",
            "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: gzip\r\nTransfer-Encoding: chunked",
            "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding:",
        ],
    );
    all_refused(
        "> 417 close | only 100-continue can be expected",
        &["POST / HTTP/1.1\r\nHost: h\r\nExpect: gold\r\nContent-Length: 1"],
    );
}

#[test]
fn lines_that_others_read_differently_are_refused() {
    all_refused(
        "> 400 close | malformed request",
        &[
            "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding : chunked",
            "POST / HTTP/1.1\r\nHost: h\r\n Transfer-Encoding: chunked",
            "POST / HTTP/1.1\r\n Host: h",
            "GET / HTTP/1.1\r\nHost: h\r\nX: a\r\n b",
            "GET / HTTP/1.1\r\nHost: h\r\nX: a\rb",
            "GET / HTTP/1.1\r\nHost: h\r\nX: a\0b",
            "GET / HTTP/1.1\r\nHost: h\r\nX a",
            "GET / HTTP/1.1\r\nHost: h\r\n: a",
            "GET  / HTTP/1.1\r\nHost: h",
            "GET /a b HTTP/1.1\r\nHost: h",
            "GET / HTTP/1.2\r\nHost: h",
            "GET / HTTP/2.0\r\nHost: h",
            "GET / http/1.1\r\nHost: h",
            "GET /\r\nHost: h",
            "GET\r\nHost: h",
            "G=T / HTTP/1.1\r\nHost: h",
        ],
    );
    all_refused(
        "> 400 close | a line that ends without a carriage return",
        &[
            "GET / HTTP/1.1\r\nHost: h\r\nX: a\n",
            "GET / HTTP/1.1\nHost: h",
        ],
    );
}

#[test]
fn targets_and_hosts_that_name_nothing_are_refused() {
    all_refused(
        "> 400 close | malformed request target",
        &[
            "GET x HTTP/1.1\r\nHost: h",
            "GET /\u{e9} HTTP/1.1\r\nHost: h",
            "GET /#a HTTP/1.1\r\nHost: h",
            "GET http:// HTTP/1.1\r\nHost: h",
            "GET http://u@h/ HTTP/1.1\r\nHost: h",
            "GET ftp://h/ HTTP/1.1\r\nHost: h",
            "CONNECT h:80 HTTP/1.1\r\nHost: h",
        ],
    );
    all_refused("> 400 close | no Host", &["GET / HTTP/1.1"]);
    all_refused(
        "> 400 close | more than one Host",
        &[
            "GET / HTTP/1.1\r\nHost: a\r\nHost: a",
            "GET / HTTP/1.0\r\nHost: a\r\nhost: b",
        ],
    );
    all_refused(
        "> 400 close | malformed Host",
        &[
            "GET / HTTP/1.1\r\nHost: a/b",
            "GET / HTTP/1.1\r\nHost: user@h",
            "GET / HTTP/1.1\r\nHost: a b",
            "GET / HTTP/1.1\r\nHost: \u{e9}",
        ],
    );
}

#[test]
fn what_is_no_http_is_told_so_at_once() {
    for bytes in [
        &b"\x16\x03\x01\x02"[..],
        b"\0",
        b"\x81\x85",
        b" GET / HTTP/1.1\r\n",
        b"\n",
    ] {
        check(
            [send(bytes)],
            &["> 400 close | this is not HTTP", "= Shutdown"],
        );
    }
}

#[test]
fn targets_in_absolute_form_and_http_1_0_are_legal() {
    check(
        [
            request("GET http://other.example/x?y HTTP/1.1", "Host: h\r\n"),
            request("OPTIONS * HTTP/1.1", "Host: h\r\n"),
            request("GET ws://other.example HTTP/1.1", "Host:\r\n"),
            request("GET /old HTTP/1.0", ""),
        ],
        &[
            "< GET /x",
            "> 200 | hello",
            "< OPTIONS *",
            "> 200 | hello",
            "< GET /",
            "> 200 | hello",
            "< GET /old",
            "> 200 close | hello",
            "= Shutdown",
        ],
    );
}

#[test]
fn the_host_is_that_of_the_target_if_it_has_one() {
    let mut player = Player::new(ConnConfig::default());
    let mut input =
        &b"GET http://a.example:1/p?q=1 HTTP/1.1\r\nHost: b.example\r\nX:  y \r\n\r\n"[..];
    let event = player
        .conn
        .poll_event(&mut input, &mut player.shared, player.now);
    let Some(Event::Request(request)) = event else {
        panic!("{event:?}");
    };
    let head = &request.head;
    assert_eq!(head.host(), Some("a.example:1"));
    assert_eq!((head.path(), head.query()), ("/p", Some("q=1")));
    assert_eq!((head.get("x"), head.get("y")), (Some(&b"y"[..]), None));
    // Nothing that may be a secret is shown to a log.
    let shown = format!("{request:?}");
    let expected = r#"Request { head: Head { method: GET, path: "/p", .. }, body_len: 0 }"#;
    assert_eq!(shown, expected);
}

#[test]
fn a_large_head_is_refused_before_more_of_it_is_kept() {
    let refusal = "> 431 close | a request head is at most 16384 bytes in 100 fields";
    let endless = format!("GET / HTTP/1.1\r\nHost: h\r\nX: {}", "x".repeat(HEAD_BYTES));
    check([send(endless.clone())], &[refusal, "= Shutdown"]);
    check([slowly(endless)], &[refusal, "= Shutdown"]);

    let fields = |count| "X: y\r\n".repeat(count) + "Host: h\r\n";
    check(
        [request("GET / HTTP/1.1", &fields(100))],
        &[refusal, "= Shutdown"],
    );
    check(
        [request("GET / HTTP/1.1", &fields(99))],
        &["< GET /", "> 200 | hello"],
    );

    let filled = |len: usize| {
        let rest = "GET / HTTP/1.1\r\nHost: h\r\nX: \r\n\r\n".len();
        request(
            "GET / HTTP/1.1",
            &format!("Host: h\r\nX: {}\r\n", "x".repeat(len - rest)),
        )
    };
    check([filled(HEAD_BYTES)], &["< GET /", "> 200 | hello"]);
    check([filled(HEAD_BYTES + 1)], &[refusal, "= Shutdown"]);
}

#[test]
fn a_body_has_a_bound() {
    let post = |len: &str| {
        request(
            "POST / HTTP/1.1",
            &format!("Host: h\r\nContent-Length: {len}\r\n"),
        )
    };
    let refusal = format!("> 413 close | a body is at most {BODY_BYTES} bytes");
    let refusal = [&refusal[..], "= Shutdown"];
    check([post(&(BODY_BYTES + 1).to_string())], &refusal);
    check([post("99999999999999999999999999999999")], &refusal);
    check([post("0")], &["< POST /", "> 200 | hello"]);
    check(
        [post("3"), send("ab"), send("c")],
        &["< POST / abc", "> 200 | hello"],
    );
}

#[test]
fn who_asks_for_a_go_ahead_gets_one_unless_the_body_is_there() {
    let head = "POST / HTTP/1.1\r\nHost: h\r\nExpect: 100-Continue\r\nContent-Length: 2\r\n\r\n";
    check(
        [send(head), send("ab")],
        &["> 100", "< POST / ab", "> 200 | hello"],
    );
    check(
        [send(format!("{head}ab"))],
        &["< POST / ab", "> 200 | hello"],
    );
}

#[test]
fn whoever_is_slow_is_let_go() {
    let late = "> 408 close | the request took too long";
    let slow = [send("GET / HT"), wait(9), send("TP/1.1\r\n"), wait(1)];
    check(slow, &[late, "= Shutdown"]);
    // Nothing was asked, so nothing is answered.
    check([wait(10)], &["= Shutdown"]);
    check(
        [send("\r\n"), wait(9), send("\r\n"), wait(1)],
        &["= Shutdown"],
    );
    // Between requests there is more time, within one there is not.
    check(
        [send(GET), wait(29), send(GET)],
        &["< GET /", "> 200 | hello", "< GET /", "> 200 | hello"],
    );
    check(
        [send(GET), wait(30)],
        &["< GET /", "> 200 | hello", "= Shutdown"],
    );
    let second = [send(GET), wait(29), send("G"), wait(9), send("E"), wait(1)];
    check(second, &["< GET /", "> 200 | hello", late, "= Shutdown"]);
    let body = "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\n";
    check(
        [send(body), wait(9), send("a"), wait(1)],
        &[late, "= Shutdown"],
    );
}

#[test]
fn after_the_last_word_the_peer_has_a_while_to_close() {
    let refusal = "> 400 close | this is not HTTP";
    check(
        [send("\0"), wait(4), Step::Eof],
        &[refusal, "= Shutdown", "= Drop"],
    );
    check([send("\0"), wait(5)], &[refusal, "= Shutdown", "= Drop"]);
    let flood = vec![0; 64 * 1024];
    let flooded = (0..5).map(|_| send(flood.clone()));
    check(
        [send("\0")].into_iter().chain(flooded),
        &[refusal, "= Shutdown", "= Drop"],
    );
}

#[test]
fn a_long_answer_may_take_as_long_as_it_is_being_read() {
    for line in ["GET / HTTP/1.0", "GET / HTTP/1.1"] {
        let mut player = Player::new(ConnConfig::default());
        let head = format!("{line}\r\nHost: h\r\n\r\n");
        let event = player
            .conn
            .poll_event(&mut head.as_bytes(), &mut player.shared, player.now);
        assert!(matches!(event, Some(Event::Request(_))));
        let page = Response::new(StatusCode::OK).body("text/html", vec![b'x'; 100_000]);
        player.conn.respond(&page, &mut player.shared, player.now);
        for _ in 0..20 {
            assert_eq!(player.take(1000), 1000);
            player.now.mono = player.now.mono.after(Duration::from_secs(4));
            assert_eq!(
                player.conn.handle_deadline(&mut player.shared, player.now),
                Due::Kept
            );
            assert_eq!(player.conn.verdict(), Verdict::Keep);
        }
        player.take(0);
        player.now.mono = player.now.mono.after(Duration::from_secs(10));
        assert_eq!(
            player.conn.handle_deadline(&mut player.shared, player.now),
            Due::Kept
        );
        assert_eq!(player.conn.verdict(), Verdict::Drop, "{line}");
    }
}

#[test]
fn a_peer_that_closes_first_still_gets_its_answer() {
    check([Step::Eof], &["= Drop"]);
    check([send("GET /"), Step::Eof], &["= Drop"]);
    let mut player = Player::new(ConnConfig::default());
    let mut input = GET.as_bytes();
    let event = player
        .conn
        .poll_event(&mut input, &mut player.shared, player.now);
    assert!(matches!(event, Some(Event::Request(_))));
    player.play(Step::Eof);
    assert_eq!(player.transcript, [""; 0]);
    let response = Response::new(StatusCode::OK).body("text/plain", "late");
    player
        .conn
        .respond(&response, &mut player.shared, player.now);
    player.play(send(""));
    assert_eq!(player.transcript, ["> 200 | late", "= Drop"]);
}

#[test]
fn who_asks_without_reading_is_not_listened_to() {
    let mut player = Player::new(ConnConfig::default());
    let page = Response::new(StatusCode::OK).body("text/html", vec![b'x'; 100_000]);
    let many = GET.repeat(50);
    let mut input = many.as_bytes();
    let mut served = 0;
    while let Some(event) = player
        .conn
        .poll_event(&mut input, &mut player.shared, player.now)
    {
        assert!(matches!(event, Event::Request(_)));
        player.conn.respond(&page, &mut player.shared, player.now);
        served += 1;
    }
    player.conn.hold(input);
    assert_eq!(served, 3);
    assert!(!player.conn.wants_input() && !player.conn.wants_poll(&player.shared));
    // As it reads, it is served on.
    player.take(150_000);
    assert!(player.conn.wants_poll(&player.shared));
    // And if it never does, it is dropped.
    player.take(0);
    player.play(wait(0));
    assert_eq!(
        player
            .transcript
            .iter()
            .filter(|line| line.starts_with('<'))
            .count(),
        47
    );
}
