//! The least of an opening handshake (RFC 6455 section 4.2): the proof, and the one subprotocol.
//!
//! Knows no socket.

use kith::limits::{HEAD_BYTES, HEAD_COUNT};
use tungstenite::handshake::derive_accept_key;

use super::ECHO;

/// What the bytes of a request come to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Request {
    /// It is not whole.
    More,
    /// A WebSocket is asked for.
    Granted {
        /// What is to be sent.
        answer: String,
        /// Whether it is [`ECHO`] that was asked for.
        echo: bool,
        /// Bytes of the request.
        len: usize,
    },
    /// It is something else; what is to be sent before the end.
    Refused(&'static str),
}

const NOT_HTTP: &str = "HTTP/1.1 400 Bad Request\r\nconnection: close\r\ncontent-length: 0\r\n\r\n";
const NO_WEBSOCKET: &str = "HTTP/1.1 426 Upgrade Required\r\nupgrade: websocket\r\n\
                            connection: close\r\ncontent-length: 0\r\n\r\n";

/// Reads what has come so far.
pub fn read(input: &[u8]) -> Request {
    let mut fields = [httparse::EMPTY_HEADER; HEAD_COUNT];
    let mut request = httparse::Request::new(&mut fields);
    let len = match request.parse(input) {
        Ok(httparse::Status::Complete(len)) => len,
        Ok(httparse::Status::Partial) if input.len() < HEAD_BYTES => return Request::More,
        Ok(httparse::Status::Partial) | Err(_) => return Request::Refused(NOT_HTTP),
    };
    let field = |name: &'static str| {
        let mut named = request.headers.iter();
        let field = named.find(|field| field.name.eq_ignore_ascii_case(name));
        field.map(|field| field.value)
    };
    let Some(key) = field("sec-websocket-key") else {
        return Request::Refused(NO_WEBSOCKET);
    };
    let mut answer = format!(
        "HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: upgrade\r\n\
         sec-websocket-accept: {}\r\n",
        derive_accept_key(key)
    );
    // Of several it cannot know which one it speaks.
    if let Some(Ok(one)) = field("sec-websocket-protocol").map(str::from_utf8)
        && !one.contains(',')
    {
        answer.push_str("sec-websocket-protocol: ");
        answer.push_str(one);
        answer.push_str("\r\n");
    }
    answer.push_str("\r\n");
    let path = request.path.unwrap_or_default();
    let echo = path.split('?').next() == Some(ECHO);
    Request::Granted { answer, echo, len }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Of RFC 6455 section 1.3.
    const KEY: &str = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";

    #[test]
    fn the_proof_is_that_of_the_rfc_and_one_subprotocol_comes_back() {
        for (path, fields, echoes, subprotocol) in [
            ("/", "", false, None),
            ("/echo", "", true, None),
            ("/echo?x=1", "", true, None),
            ("/echoes", "", false, None),
            ("/", "sec-websocket-protocol: a.b\r\n", false, Some("a.b")),
            ("/", "sec-websocket-protocol: a, b\r\n", false, None),
        ] {
            let text = format!("GET {path} HTTP/1.1\r\n{KEY}{fields}\r\n");
            let Request::Granted { answer, echo, len } = read(text.as_bytes()) else {
                panic!("{text}");
            };
            assert_eq!((echo, len), (echoes, text.len()), "{text}");
            assert!(answer.contains("accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"));
            let granted = subprotocol.map(|one| format!("sec-websocket-protocol: {one}\r\n"));
            assert_eq!(
                answer.contains("protocol: "),
                granted.is_some_and(|line| answer.contains(&line))
            );
            assert_eq!(read(&text.as_bytes()[..len - 1]), Request::More);
        }
    }

    #[test]
    fn what_is_no_request_for_a_websocket_is_answered() {
        let long = format!("GET / HTTP/1.1\r\na: {}", "x".repeat(HEAD_BYTES));
        for (text, answer) in [
            ("GET / HTTP/1.1\r\nhost: h\r\n\r\n", NO_WEBSOCKET),
            ("SSH-2.0-OpenSSH\r\n\r\n", NOT_HTTP),
            (&long, NOT_HTTP),
        ] {
            assert_eq!(read(text.as_bytes()), Request::Refused(answer), "{text}");
        }
    }
}
