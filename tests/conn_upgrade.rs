//! The handshake of a WebSocket: who gets a 101, and what everybody else is told.

#![allow(clippy::unwrap_used)]

#[path = "common/script.rs"]
mod script;

use kith::conn::{ConnConfig, OriginPolicy, upgrade};
use script::{Player, Step, UPGRADE, check, check_with, close, frame, send, slowly, text, wait};

/// The granted handshake, with the line that begins like `line` replaced by it (or left out, if it
/// ends there), or with `line` added if none does.
fn with(line: &str) -> Vec<u8> {
    replaced(UPGRADE, line)
}

fn replaced(handshake: &str, line: &str) -> Vec<u8> {
    let (name, value) = line.split_once(": ").unwrap_or((line, ""));
    let mut lines: Vec<&str> = handshake.trim_end().split("\r\n").collect();
    let known = lines
        .iter()
        .position(|have| have.starts_with(&format!("{name}: ")));
    match known {
        Some(at) if value.is_empty() => drop(lines.remove(at)),
        Some(at) => lines[at] = line,
        None => lines.push(line),
    }
    format!("{}\r\n\r\n", lines.join("\r\n")).into_bytes()
}

fn also(lines: &str) -> String {
    format!(
        "{}{lines}\r\n\r\n",
        UPGRADE.trim_end_matches("\r\n").to_owned() + "\r\n"
    )
}

fn instead_of_get(line: &str) -> String {
    UPGRADE.replacen("GET /ws HTTP/1.1", line, 1)
}

#[track_caller]
fn granted(handshake: impl Into<Vec<u8>>, event: &str) {
    check([send(handshake)], &[event, "> 101"]);
}

#[track_caller]
fn refused(handshake: impl Into<Vec<u8>>, answer: &str) {
    check([send(handshake)], &[answer, "= Shutdown"]);
}

#[test]
fn the_101_holds_the_digest_of_the_key_and_no_extension() {
    let mut player = Player::new(ConnConfig::default());
    let offer = also("Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits");
    player.feed(offer.as_bytes());
    // The key and its digest are those of RFC 6455 section 1.3.
    assert_eq!(
        String::from_utf8(player.take_all()).unwrap(),
        "HTTP/1.1 101 Switching Protocols\r\nconnection: Upgrade\r\nupgrade: websocket\r\n\
         sec-websocket-accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n"
    );
}

#[test]
fn what_is_legal_is_granted() {
    let plain = "< upgrade /ws";
    granted(UPGRADE, plain);
    granted(with("Connection: keep-alive, Upgrade"), plain);
    granted(with("Connection: UPGRADE"), plain);
    granted(with("Upgrade: h2c, WebSocket"), plain);
    granted(with("Content-Length: 0"), plain);
    granted(instead_of_get("GET ws://kith.example/ws HTTP/1.1"), plain);
    granted(
        instead_of_get("GET /other?x=y HTTP/1.1"),
        "< upgrade /other",
    );
    check([slowly(UPGRADE)], &[plain, "> 101"]);
    check(
        [send(with(
            "Sec-WebSocket-Protocol: kith.v1.json, kith.v1.proto",
        ))],
        &[plain, "> 101 sec-websocket-protocol=kith.v1.json"],
    );
}

#[test]
fn what_is_no_handshake_is_told_what_is_missing() {
    let key = "> 400 close | Sec-WebSocket-Key is not 16 bytes of base64";
    refused(with("Sec-WebSocket-Key"), key);
    refused(with("Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ"), key);
    refused(with("Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZ==="), key);
    refused(with("Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ*="), key);
    refused(
        also("Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="),
        "> 400 close | more than one sec-websocket-key",
    );
    let version = "> 426 sec-websocket-version=13 close | a WebSocket of version 13 is spoken here";
    refused(with("Sec-WebSocket-Version"), version);
    refused(with("Sec-WebSocket-Version: 12"), version);
    refused(with("Sec-WebSocket-Version: 13, 8"), version);
    refused(
        also("Sec-WebSocket-Version: 8"),
        "> 400 close | more than one sec-websocket-version",
    );
    for line in [
        "POST /ws HTTP/1.1",
        "PUT /ws HTTP/1.1",
        "OPTIONS /ws HTTP/1.1",
    ] {
        refused(instead_of_get(line), "> 405 allow=GET close | only GET");
    }
    let begins = "> 400 close | a WebSocket begins with an HTTP/1.1 GET without a body";
    refused(instead_of_get("GET /ws HTTP/1.0"), begins);
    refused(with("Content-Length: 4"), begins);
    refused(
        with("Transfer-Encoding: chunked"),
        "> 501 close | no Transfer-Encoding is taken, send a Content-Length",
    );
    refused(with("Host"), "> 400 close | no Host");
    refused(
        also("Host: evil.example"),
        "> 400 close | more than one Host",
    );
}

#[test]
fn without_connection_upgrade_it_is_an_ordinary_request() {
    for line in [
        "Connection: keep-alive",
        "Connection",
        "Upgrade: h2c",
        "Upgrade",
    ] {
        check([send(with(line))], &["< GET /ws", "> 200 | hello"]);
    }
}

/// A page whose own name was made to lead here names itself as the host.
#[test]
fn a_server_for_this_machine_takes_no_page_of_another_name() {
    for (host, allowed) in [
        ("127.0.0.1:9091", true),
        ("127.7.7.7", true),
        ("localhost:9091", true),
        ("LOCALHOST", true),
        ("kith.localhost:9091", true),
        ("[::1]:9091", true),
        ("evil.example:9091", false),
        ("localhost.evil.example", false),
        ("127.0.0.1.evil.example", false),
        ("10.0.0.1:9091", false),
        ("[2001:db8::1]:9091", false),
    ] {
        let config = ConnConfig {
            origins: OriginPolicy::ThisMachine,
            ..ConnConfig::default()
        };
        let handshake = also(&format!("Origin: http://{host}"));
        let handshake = handshake.replace("Host: kith.example", &format!("Host: {host}"));
        let expected: &[&str] = match allowed {
            true => &["< upgrade /ws", "> 101"],
            false => &[
                "> 403 close | pages of this origin may not connect here",
                "= Shutdown",
            ],
        };
        check_with(config, [send(handshake)], expected);
    }
}

#[test]
fn foreign_pages_get_a_403() {
    let forbidden = "> 403 close | pages of this origin may not connect here";
    let listed = OriginPolicy::Listed(vec![
        "https://chat.example".to_owned(),
        "other.example:8443".to_owned(),
    ]);
    for (origin, same_host, on_the_list) in [
        ("http://kith.example", true, true),
        ("https://kith.example", true, true),
        ("https://KITH.example", true, true),
        ("http://kith.example:80", true, true),
        ("https://kith.example:443", true, true),
        ("http://kith.example:443", false, false),
        ("http://kith.example:8080", false, false),
        ("http://evil.example", false, false),
        ("http://kith.example.evil", false, false),
        ("http://evilkith.example", false, false),
        ("http://kith.example@evil.example", false, false),
        ("http://kith.example/", false, false),
        ("null", false, false),
        ("", false, false),
        ("kith.example", false, false),
        ("file://", false, false),
        ("chrome-extension://kith.example", false, false),
        ("https://chat.example", false, true),
        ("https://chat.example:443", false, true),
        ("http://chat.example", false, false),
        ("https://chat.example.evil", false, false),
        ("https://other.example:8443", false, true),
        ("http://other.example:8443", false, true),
        ("https://other.example", false, false),
    ] {
        let handshake = also(&format!("Origin: {origin}"));
        for (policy, allowed) in [
            (OriginPolicy::SameHost, same_host),
            (listed.clone(), on_the_list),
            (OriginPolicy::Any, true),
        ] {
            let config = ConnConfig {
                origins: policy,
                ..ConnConfig::default()
            };
            let expected: &[&str] = if allowed {
                &["< upgrade /ws", "> 101"]
            } else {
                &[forbidden, "= Shutdown"]
            };
            check_with(config, [send(handshake.clone())], expected);
        }
    }
    refused(
        also("Origin: http://kith.example\r\nOrigin: http://evil.example"),
        "> 400 close | more than one origin",
    );
}

#[test]
fn the_name_comes_from_the_field_or_the_query() {
    let named = |name: &str| format!("< upgrade /ws as {name:?}");
    for (value, name) in [
        ("alice", "alice"),
        ("小明", "小明"),
        ("%E5%B0%8F%E6%98%8E", "小明"),
        ("a%20b", "a b"),
        ("a+b", "a+b"),
        ("100%", "100%"),
        ("50%zz%2", "50%zz%2"),
        ("%25", "%"),
        ("%0a", "\n"),
    ] {
        granted(also(&format!("Username: {value}")), &named(name));
    }
    granted(also("username:"), &named(""));
    for (query, name) in [
        ("username=alice", "alice"),
        ("a=b&username=%E5%B0%8F%E6%98%8E&c", "小明"),
        ("username=a+b", "a b"),
        ("username=a%2Bb", "a+b"),
        ("username=a&username=a", "a"),
        ("username=", ""),
    ] {
        granted(
            instead_of_get(&format!("GET /ws?{query} HTTP/1.1")),
            &named(name),
        );
    }
    granted(
        instead_of_get("GET /ws?name=x&usernames=y HTTP/1.1"),
        "< upgrade /ws",
    );
    let both = |name: &str| {
        let handshake = replaced(UPGRADE, &format!("username: {name}"));
        String::from_utf8(handshake)
            .unwrap()
            .replacen("/ws", "/ws?username=alice", 1)
    };
    granted(both("alice"), &named("alice"));
    refused(both("bob"), "> 400 close | two different user names");
    refused(
        also("username: a\r\nusername: b"),
        "> 400 close | two different user names",
    );
    refused(
        also("username: %ff"),
        "> 400 close | the user name is not UTF-8",
    );
    let mut raw = also("username: ?").into_bytes();
    *raw.iter_mut().rfind(|byte| **byte == b'?').unwrap() = 0xff;
    refused(raw, "> 400 close | the user name is not UTF-8");
}

#[test]
fn frames_behind_the_handshake_are_neither_lost_nor_misread() {
    let all = [
        UPGRADE.as_bytes(),
        &frame(0x81, b"one"),
        &frame(0x81, b"two"),
    ]
    .concat();
    let expected = ["< upgrade /ws", "< text one", "< text two", "> 101"];
    check([send(all.clone())], &expected);
    for cut in 1..all.len() {
        let mut player = Player::new(ConnConfig::default());
        player.feed(&all[..cut]);
        player.play(send(&all[cut..]));
        assert_eq!(player.transcript, expected, "{cut}");
    }
    // A second request is no frame.
    check(
        [send([UPGRADE, "GET / HTTP/1.1\r\n\r\n"].concat())],
        &[
            "< upgrade /ws",
            "< Broken(Protocol)",
            "> 101",
            "> close 1002 protocol error",
            "= Shutdown",
        ],
    );
}

#[test]
fn an_upgrade_may_be_refused() {
    let mut player = Player::new(ConnConfig::default());
    let bytes = [UPGRADE.as_bytes(), &frame(0x81, b"one")].concat();
    let mut input = &bytes[..];
    assert!(
        player
            .conn
            .poll_event(&mut input, &mut player.shared, player.now)
            .is_some()
    );
    assert!(
        player
            .conn
            .poll_event(&mut input, &mut player.shared, player.now)
            .is_none()
    );
    player.conn.hold(input);
    let response = kith::conn::Response::error(http::StatusCode::NOT_FOUND, "nothing is here");
    player
        .conn
        .refuse(&response, &mut player.shared, player.now);
    player.play(send(GET_NEXT));
    assert_eq!(
        player.transcript,
        ["> 404 close | nothing is here", "= Shutdown"]
    );
}

const GET_NEXT: &str = script::GET;

#[test]
fn plain_http_for_a_websocket_can_be_told_to_upgrade() {
    let response = upgrade::upgrade_required();
    assert_eq!(response.status(), http::StatusCode::UPGRADE_REQUIRED);
    let mut player = Player::new(ConnConfig::default());
    let mut input = script::GET.as_bytes();
    assert!(
        player
            .conn
            .poll_event(&mut input, &mut player.shared, player.now)
            .is_some()
    );
    player
        .conn
        .respond(&response, &mut player.shared, player.now);
    let written = String::from_utf8(player.take_all()).unwrap();
    for field in [
        "upgrade: websocket",
        "connection: upgrade",
        "sec-websocket-version: 13",
    ] {
        assert!(written.contains(field), "{written}");
    }
}

#[test]
fn who_gives_no_name_is_closed() {
    let ended = [
        "< upgrade /ws",
        "> 101",
        "< due NoName",
        "> close 3500 no name",
    ];
    check([send(UPGRADE), wait(9)], &ended[..2]);
    check([send(UPGRADE), wait(10)], &ended);
    // Chatter instead of a name does not help.
    let chatter = [
        send(UPGRADE),
        wait(9),
        text("x"),
        wait(1),
        text("y"),
        close(3500),
    ];
    check(
        chatter,
        &[
            "< upgrade /ws",
            "> 101",
            "< text x",
            "< due NoName",
            "> close 3500 no name",
            "= Shutdown",
        ],
    );
    check([send(UPGRADE), Step::SignIn, wait(24)], &ended[..2]);
}
