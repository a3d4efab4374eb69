//! The other end of a connection: what a client asks for, and what it is told.
//!
//! Floor 2, part of `conn`, in the same style: bytes in, events and bytes out. For whoever is a
//! client of a server like this one, such as the load tester; the server itself never is. Reads
//! frames through the same contexts as the server's end does, in the other role. Knows no socket,
//! no clock and no randomness: keys and masks are arguments.

use std::io::IoSlice;

use tungstenite::handshake::derive_accept_key;

use crate::conn::event::Closed;
use crate::conn::outbox::Outbox;
use crate::conn::shared::Shared;
use crate::conn::websocket::{Step, WebSocket};
use crate::limits::{HEAD_BYTES, HEAD_COUNT, WRITE_PIECES};

/// What a client asks for (RFC 6455 section 4.1).
#[derive(Clone, Copy, Debug)]
pub struct Opening<'a> {
    /// Host and port, as `Host` has them.
    pub host: &'a str,
    /// Path and query.
    pub path: &'a str,
    /// 16 random bytes as base64.
    pub key: &'a str,
    /// The one subprotocol that is offered; the server must grant it.
    pub subprotocol: Option<&'a str>,
    /// Further header fields, name and value, as they are to be sent. Whoever gives them vouches
    /// that there is no line break in them.
    pub fields: &'a [(String, String)],
}

/// One connection, from the request on.
#[derive(Debug)]
pub struct Client {
    outbox: Outbox,
    stage: Stage,
}

#[derive(Debug)]
enum Stage {
    Asked(Box<Asked>),
    Open(WebSocket),
    Over,
}

/// A request without an answer yet, or with a part of one.
#[derive(Debug)]
struct Asked {
    answer: Vec<u8>,
    accept: String,
    subprotocol: Option<Box<str>>,
}

/// What came of the input.
#[derive(Debug)]
pub enum Told {
    /// The server granted the WebSocket.
    Open,
    /// It did not. Nothing comes after it.
    Refused(Refused),
    /// A text message. Give it to [`Shared::reuse`] when you are done with it, and the next one costs
    /// no allocation.
    Text(String),
    /// A binary message. The same holds.
    Binary(Vec<u8>),
    /// The WebSocket is over. Nothing comes after it.
    Closed(Closed),
}

/// Why there is no WebSocket. The server's fault, or that of whoever named the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// The answer is no HTTP/1.1.
    NotHttp,
    /// It has another status than 101.
    Status(u16),
    /// It is 101, without what makes it one for a WebSocket: `Upgrade` and `Connection`, and in
    /// `Sec-WebSocket-Accept` the proof that the request was understood.
    NotWebSocket,
    /// It names an extension, and none was offered.
    Extension,
    /// It does not name the subprotocol that was offered.
    Subprotocol,
    /// The connection ended before there was an answer.
    Ended,
}

impl Client {
    /// A connection whose request is queued.
    pub fn new(opening: &Opening<'_>, shared: &mut Shared) -> Self {
        let Opening {
            host,
            path,
            key,
            subprotocol,
            fields,
        } = *opening;
        let mut request = format!(
            "GET {path} HTTP/1.1\r\nhost: {host}\r\nconnection: Upgrade\r\nupgrade: websocket\r\n\
             sec-websocket-version: 13\r\nsec-websocket-key: {key}\r\n"
        );
        if let Some(subprotocol) = subprotocol {
            request.push_str("sec-websocket-protocol: ");
            request.push_str(subprotocol);
            request.push_str("\r\n");
        }
        for (name, value) in fields {
            for part in [name, ": ", value, "\r\n"] {
                request.push_str(part);
            }
        }
        request.push_str("\r\n");
        let mut outbox = Outbox::default();
        outbox.append(request.as_bytes(), &mut shared.buffers);
        Self {
            outbox,
            stage: Stage::Asked(Box::new(Asked {
                answer: Vec::new(),
                accept: derive_accept_key(key.as_bytes()),
                subprotocol: subprotocol.map(Box::from),
            })),
        }
    }

    /// Goes on through `input`, up to the next event. `None` means that more input is needed; all
    /// of it was taken then.
    #[must_use]
    pub fn poll_event(&mut self, input: &mut &[u8], shared: &mut Shared) -> Option<Told> {
        match &mut self.stage {
            Stage::Asked(asked) => match asked.read(input)? {
                Ok(()) => {
                    self.stage = Stage::Open(WebSocket::new());
                    Some(Told::Open)
                }
                Err(refused) => {
                    self.stage = Stage::Over;
                    Some(Told::Refused(refused))
                }
            },
            Stage::Open(socket) => {
                let Shared {
                    contexts, buffers, ..
                } = shared;
                let closed = loop {
                    match socket.read(input, &mut self.outbox, contexts, buffers) {
                        Step::More => return None,
                        Step::Text(text) => return Some(Told::Text(text)),
                        Step::Binary(bytes) => return Some(Told::Binary(bytes)),
                        // A client sends no pings, so this answers none.
                        Step::Pong(_) => {}
                        Step::Closed(code) => break Closed::ByPeer(code),
                        Step::Broken(code) => break Closed::Broken(code),
                    }
                };
                self.stage = Stage::Over;
                Some(Told::Closed(closed))
            }
            Stage::Over => {
                *input = &[];
                None
            }
        }
    }

    /// The peer closed its sending side, or the socket failed; says what that means, if it is
    /// news.
    pub fn handle_eof(&mut self) -> Option<Told> {
        match std::mem::replace(&mut self.stage, Stage::Over) {
            Stage::Asked(_) => Some(Told::Refused(Refused::Ended)),
            Stage::Open(_) => Some(Told::Closed(Closed::Lost)),
            Stage::Over => None,
        }
    }

    /// Whether messages can be pushed.
    pub const fn is_open(&self) -> bool {
        matches!(self.stage, Stage::Open(_))
    }

    /// Queues frames that [`append_masked`](crate::conn::frame::append_masked) made. Unless it is open, nothing happens.
    pub fn push(&mut self, frames: &[u8], shared: &mut Shared) {
        if self.is_open() {
            self.outbox.append(frames, &mut shared.buffers);
        }
    }

    /// What waits to be written.
    pub const fn outbox(&self) -> &Outbox {
        &self.outbox
    }

    /// The first pieces of it, for one `writev`; returns how many there are.
    pub fn slices<'a>(
        &'a self,
        shared: &'a Shared,
        into: &mut [IoSlice<'a>; WRITE_PIECES],
    ) -> usize {
        self.outbox.slices(&shared.buffers.segments, into)
    }

    /// An attempt to write what [`Client::slices`] showed took this many bytes, perhaps none.
    pub fn wrote(&mut self, taken: usize, shared: &mut Shared) {
        self.outbox.advance(taken, &mut shared.buffers);
    }
}

impl Asked {
    /// Takes what belongs to the head of the answer; `None` as long as it is not whole.
    fn read(&mut self, input: &mut &[u8]) -> Option<Result<(), Refused>> {
        let before = self.answer.len();
        let room = HEAD_BYTES.saturating_sub(before).min(input.len());
        self.answer.extend_from_slice(&input[..room]);
        let mut fields = [httparse::EMPTY_HEADER; HEAD_COUNT];
        let mut response = httparse::Response::new(&mut fields);
        match response.parse(&self.answer) {
            Ok(httparse::Status::Complete(len)) => {
                *input = &input[len.saturating_sub(before)..];
                Some(self.judge(&response))
            }
            Ok(httparse::Status::Partial) if self.answer.len() < HEAD_BYTES => {
                *input = &[];
                None
            }
            Ok(httparse::Status::Partial) | Err(_) => Some(Err(Refused::NotHttp)),
        }
    }

    fn judge(&self, response: &httparse::Response<'_, '_>) -> Result<(), Refused> {
        let all = |name: &'static str| {
            let named = response.headers.iter();
            named
                .filter(move |field| field.name.eq_ignore_ascii_case(name))
                .map(|field| field.value)
        };
        let lists = |name, item: &[u8]| {
            all(name)
                .flat_map(|value| value.split(|&byte| byte == b','))
                .any(|have| have.trim_ascii().eq_ignore_ascii_case(item))
        };
        match response.code {
            Some(101) => {}
            code => return Err(Refused::Status(code.unwrap_or_default())),
        }
        let accepted = all("sec-websocket-accept").eq([self.accept.as_bytes()]);
        if !accepted || !lists("upgrade", b"websocket") || !lists("connection", b"upgrade") {
            return Err(Refused::NotWebSocket);
        }
        if all("sec-websocket-extensions").next().is_some() {
            return Err(Refused::Extension);
        }
        if all("sec-websocket-protocol").ne(self.subprotocol.as_deref().map(str::as_bytes)) {
            return Err(Refused::Subprotocol);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chat::closing::CloseCode;
    use crate::clock::Now;
    use crate::conn::frame::{Kind, append_masked};
    use crate::conn::{Conn, ConnConfig, Event, Frame as Ready, Push};

    /// Of RFC 6455 section 1.3, with its answer.
    const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";
    const ACCEPT: &str = "sec-websocket-accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n";
    const OPENING: Opening<'_> = Opening {
        host: "h",
        path: "/ws",
        key: KEY,
        subprotocol: Some("kith.v1.proto"),
        fields: &[],
    };

    fn asking() -> (Client, Shared) {
        let mut shared = Shared::for_clients(ConnConfig::default());
        (Client::new(&OPENING, &mut shared), shared)
    }

    fn together(pieces: &[IoSlice<'_>]) -> Vec<u8> {
        pieces.iter().flat_map(|piece| piece.to_vec()).collect()
    }

    /// Everything that waits, taken.
    fn sent(client: &mut Client, shared: &mut Shared) -> Vec<u8> {
        let mut pieces = [IoSlice::new(&[]); WRITE_PIECES];
        let count = client.slices(shared, &mut pieces);
        let bytes = together(&pieces[..count]);
        client.wrote(bytes.len(), shared);
        bytes
    }

    fn answer(fields: &str) -> String {
        format!("HTTP/1.1 101 Yes\r\nupgrade: websocket\r\nconnection: Upgrade\r\n{fields}\r\n")
    }

    #[test]
    fn only_the_answer_to_this_request_opens() {
        let granted = format!("{ACCEPT}Sec-WebSocket-Protocol: kith.v1.proto\r\n");
        let no_upgrade = format!("HTTP/1.1 101 Yes\r\nconnection: upgrade\r\n{granted}\r\n");
        for (text, expected) in [
            (answer(&granted), Ok(())),
            (answer(ACCEPT), Err(Refused::Subprotocol)),
            (
                answer(&granted.replace("v1.proto", "v1.json")),
                Err(Refused::Subprotocol),
            ),
            (
                answer(&granted.replace("s3p", "S3p")),
                Err(Refused::NotWebSocket),
            ),
            (
                answer(&format!("{granted}{ACCEPT}")),
                Err(Refused::NotWebSocket),
            ),
            (no_upgrade, Err(Refused::NotWebSocket)),
            (
                answer(&format!("{granted}sec-websocket-extensions: x\r\n")),
                Err(Refused::Extension),
            ),
            (
                "HTTP/1.1 404 No\r\n\r\n".to_owned(),
                Err(Refused::Status(404)),
            ),
            ("SSH-2.0-OpenSSH\r\n".to_owned(), Err(Refused::NotHttp)),
            (
                format!("HTTP/1.1 101 Yes\r\na: {}", "x".repeat(HEAD_BYTES)),
                Err(Refused::NotHttp),
            ),
        ] {
            for chunk in [1, text.len()] {
                let (mut client, mut shared) = asking();
                let mut told = None;
                for mut bytes in text.as_bytes().chunks(chunk) {
                    told = told.or(client.poll_event(&mut bytes, &mut shared));
                }
                let found = match told {
                    Some(Told::Open) => Ok(()),
                    Some(Told::Refused(refused)) => Err(refused),
                    other => panic!("{other:?} to {text}"),
                };
                assert_eq!((found, client.is_open()), (expected, expected.is_ok()));
            }
        }
    }

    #[test]
    fn further_fields_stand_in_the_request() {
        let fields = [("cookie".to_owned(), "a=b".to_owned())];
        let opening = Opening {
            fields: &fields,
            subprotocol: None,
            ..OPENING
        };
        let mut shared = Shared::for_clients(ConnConfig::default());
        let mut client = Client::new(&opening, &mut shared);
        let request = String::from_utf8(sent(&mut client, &mut shared)).unwrap();
        assert!(request.ends_with("\r\ncookie: a=b\r\n\r\n"), "{request}");
        assert!(!request.contains("protocol"));
    }

    #[test]
    fn the_two_ends_understand_each_other() {
        let (mut client, mut shared) = asking();
        let now = Now::default();
        let mut other = Shared::new(ConnConfig::default());
        let mut conn = Conn::new(now);
        let request = sent(&mut client, &mut shared);
        let event = conn.poll_event(&mut &request[..], &mut other, now);
        assert!(matches!(event, Some(Event::Upgrade(_))), "{event:?}");
        conn.accept(OPENING.subprotocol, &mut other, now);
        // "hi" and a ping, in the same piece as the 101.
        let frames = Ready::Copied(b"\x82\x02hi\x89\x01p");
        assert_eq!(conn.push(&frames, &mut other), Push::Queued);
        let mut pieces = [IoSlice::new(&[]); WRITE_PIECES];
        let count = conn.slices(&other, &mut pieces);
        let bytes = together(&pieces[..count]);
        let mut input = &bytes[..];
        let told = client.poll_event(&mut input, &mut shared);
        assert!(matches!(told, Some(Told::Open)), "{told:?}");
        let told = client.poll_event(&mut input, &mut shared);
        assert!(matches!(told, Some(Told::Binary(hi)) if &hi[..] == b"hi"));
        assert!(client.poll_event(&mut input, &mut shared).is_none());
        // A masked pong, and a masked message.
        let mut frame = Vec::new();
        append_masked(&mut frame, Kind::Binary, [1, 2, 3, 4], |out| {
            out.extend_from_slice(b"hello");
        });
        client.push(&frame, &mut shared);
        let bytes = sent(&mut client, &mut shared);
        assert_eq!((bytes[0], bytes[1] & 0x80), (0x8a, 0x80));
        let event = conn.poll_event(&mut &bytes[..], &mut other, now);
        assert!(matches!(event, Some(Event::Binary(hello)) if &hello[..] == b"hello"));
    }

    #[test]
    fn how_it_ends_is_told_once() {
        let (mut client, _) = asking();
        let told = client.handle_eof();
        assert!(matches!(told, Some(Told::Refused(Refused::Ended))));
        assert!(client.handle_eof().is_none());

        for (bytes, expected) in [
            (&b"\x88\x02\x03\xe8"[..], Closed::ByPeer(Some(1000))),
            // A server's frame has no mask.
            (
                &b"\x82\x81\x01\x02\x03\x04x"[..],
                Closed::Broken(CloseCode::Protocol),
            ),
        ] {
            let (mut client, mut shared) = asking();
            let granted = answer(&format!(
                "{ACCEPT}sec-websocket-protocol: kith.v1.proto\r\n"
            ));
            let told = client.poll_event(&mut granted.as_bytes(), &mut shared);
            assert!(matches!(told, Some(Told::Open)));
            let told = client.poll_event(&mut &*bytes, &mut shared);
            assert!(matches!(told, Some(Told::Closed(closed)) if closed == expected));
            assert!(client.handle_eof().is_none());
        }
    }
}
