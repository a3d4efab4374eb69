//! The conversations in README.md, held with the real server: what a reader copies works.
//!
//! Every block marked `transcript` is played against a server of its own. `who > frame` is sent,
//! `who < pattern` waits for a frame that fits, past those that do not (the README says that
//! clients ignore what they do not know). In a pattern `…` is anything, and `$NAME` is anything the
//! first time and the same ever after.

#![allow(clippy::unwrap_used)]

mod common;

use std::collections::BTreeMap;
use std::net::TcpStream;
use std::time::Duration;

use common::Folder;
use common::server::Server;
use tungstenite::client::IntoClientRequest;
use tungstenite::{Error, Message, WebSocket};

type Client = WebSocket<TcpStream>;
type Names = BTreeMap<String, String>;

/// How long a frame may take that will come.
const PATIENCE: Duration = Duration::from_secs(20);

#[test]
fn every_conversation_in_the_readme_goes_as_it_says() {
    let readme = include_str!("../README.md");
    let transcripts: Vec<_> = readme
        .split("```transcript\n")
        .skip(1)
        .map(|rest| rest.split("```").next().unwrap())
        .collect();
    assert!(transcripts.len() >= 3, "the README has conversations");
    transcripts.into_iter().for_each(play);
}

#[test]
fn a_pattern_that_does_not_fit_is_noticed() {
    let mut names = Names::new();
    assert!(fits(
        r#"{"a":"…","b":$B}"#,
        r#"{"a":"x","b":7}"#,
        &mut names
    ));
    assert_eq!(names["B"], "7");
    assert!(fits(r#"{"b":$B,…}"#, r#"{"b":7,"c":[]}"#, &mut names));
    assert!(!fits(r#"{"b":$B,…}"#, r#"{"b":8,"c":[]}"#, &mut names));
    assert!(!fits(r#"{"a":"…"}"#, r#"{"a":"x","b":7}"#, &mut names));
}

fn play(transcript: &str) {
    let folder = Folder::new();
    let server = Server::start(&folder);
    let mut clients: BTreeMap<&str, Client> = BTreeMap::new();
    let mut names = Names::new();
    for line in transcript.lines() {
        let (who, rest) = line.split_once(' ').unwrap();
        match rest.split_once(' ').unwrap_or((rest, "")) {
            ("connects", name) => {
                let name = name.strip_prefix("as ");
                clients.insert(who, connect(&server.address, name));
            }
            ("drops", _) => drop(clients.remove(who).unwrap()),
            (">", frame) => {
                let frame = filled(frame, &names);
                clients
                    .get_mut(who)
                    .unwrap()
                    .send(Message::text(frame))
                    .unwrap();
            }
            ("<", pattern) => expect(clients.get_mut(who).unwrap(), line, pattern, &mut names),
            ("closes", code) => closes(clients.get_mut(who).unwrap(), code.parse().unwrap()),
            _ => panic!("not a line of a transcript: {line}"),
        }
    }
}

fn connect(address: &str, name: Option<&str>) -> Client {
    let mut request = format!("ws://{address}/ws").into_client_request().unwrap();
    if let Some(name) = name {
        request
            .headers_mut()
            .insert("username", name.parse().unwrap());
    }
    let stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    tungstenite::client(request, stream).unwrap().0
}

fn expect(client: &mut Client, line: &str, pattern: &str, names: &mut Names) {
    let mut passed = Vec::new();
    loop {
        match client.read() {
            Ok(Message::Text(frame)) if fits(pattern, &frame, names) => return,
            Ok(other) => passed.push(other),
            Err(error) => panic!("{line}\nnever came ({error}); instead: {passed:#?}"),
        }
    }
}

fn closes(client: &mut Client, code: u16) {
    loop {
        match client.read() {
            Ok(Message::Close(Some(frame))) => return assert_eq!(u16::from(frame.code), code),
            Ok(_) => {}
            Err(Error::ConnectionClosed) => panic!("closed without a code"),
            Err(error) => panic!("not closed: {error}"),
        }
    }
}

/// A frame with what is known of its names put in.
fn filled(frame: &str, names: &Names) -> String {
    names.iter().fold(frame.to_owned(), |frame, (name, value)| {
        frame.replace(&format!("${name}"), value)
    })
}

/// Whether a frame fits a pattern; then the pattern's new names are known.
fn fits(pattern: &str, frame: &str, names: &mut Names) -> bool {
    let pattern = filled(pattern, names);
    let mut found = Names::new();
    // What the hole before the present literal is called; `…` has the empty name.
    let mut hole: Option<&str> = None;
    let (mut pattern, mut frame) = (&pattern[..], frame);
    loop {
        let end = pattern.find(['…', '$']).unwrap_or(pattern.len());
        let (literal, rest) = pattern.split_at(end);
        let at = match hole {
            None => frame.starts_with(literal).then_some(0),
            // The last hole takes all, but for the literal that ends the pattern.
            Some(_) if rest.is_empty() => frame
                .ends_with(literal)
                .then(|| frame.len() - literal.len()),
            Some(_) => frame.find(literal),
        };
        let Some(at) = at else { return false };
        if let Some(name) = hole.filter(|name| !name.is_empty()) {
            found.insert(name.to_owned(), frame[..at].to_owned());
        }
        frame = &frame[at + literal.len()..];
        let Some(mark) = rest.chars().next() else {
            break;
        };
        let after = &rest[mark.len_utf8()..];
        let name = if mark == '…' {
            0
        } else {
            after.bytes().take_while(u8::is_ascii_uppercase).count()
        };
        hole = Some(&after[..name]);
        pattern = &after[name..];
    }
    if frame.is_empty() {
        names.extend(found);
    }
    frame.is_empty()
}
