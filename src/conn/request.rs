//! HTTP/1.1 requests, one after the other (RFC 9112).
//!
//! Floor 2, part of `conn`. Gathers head and body, says how a request is framed, and refuses every
//! framing that two readers could see differently. While an answer is owed it reads no further, so
//! answers leave in the order of requests. Knows no route.

use std::fmt;

use bytes::Bytes;
use http::{Method, StatusCode};

use crate::conn::head::{self, Head, Version};
use crate::conn::response::{Part, Response, Then};
use crate::conn::shared::ConnConfig;
use crate::conn::upgrade::{self, Upgrade};
use crate::limits::HEAD_BYTES;

/// A complete request.
#[derive(Clone)]
pub struct Request {
    /// Line and fields.
    pub head: Head,
    /// At most `ConnConfig::body_bytes`; empty if there was none.
    pub body: Bytes,
}

/// Without the body, which may hold a password.
impl fmt::Debug for Request {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Request")
            .field("head", &self.head)
            .field("body_len", &self.body.len())
            .finish()
    }
}

/// The HTTP stage of a connection.
#[derive(Default)]
pub(super) struct Http {
    /// What has come of the head, or of the body.
    buffer: Vec<u8>,
    phase: Phase,
}

#[derive(Default)]
enum Phase {
    #[default]
    Head,
    Body {
        head: Head,
        len: usize,
    },
    Answer(Owed),
}

/// What the peer waits for.
#[derive(Debug)]
pub(super) enum Owed {
    Response {
        part: Part,
        then: Then,
    },
    /// The value of `Sec-WebSocket-Accept`.
    Upgrade {
        accept: String,
    },
}

/// What a stretch of input came to.
#[derive(Debug)]
pub(super) enum Step {
    /// Nothing yet, or nothing before the answer.
    More,
    Request(Box<Request>),
    Upgrade(Box<Upgrade>),
    /// The head is here, and the peer waits for a go-ahead before it sends the body.
    Continue,
    /// The answer to give before the connection is closed.
    Refuse(Response),
}

impl Http {
    /// Goes on through `input`, at most to the end of one request.
    pub(super) fn read(&mut self, input: &mut &[u8], config: &ConnConfig) -> Step {
        match self.phase {
            Phase::Answer(_) => Step::More,
            Phase::Head => match self.gather_head(input) {
                Ok(None) => Step::More,
                Ok(Some(head)) => self
                    .take_head(head, input, config)
                    .unwrap_or_else(Step::Refuse),
                Err(refusal) => Step::Refuse(refusal),
            },
            Phase::Body { .. } => self.gather_body(input),
        }
    }

    /// Whether a request has begun and is not complete.
    pub(super) fn is_underway(&self) -> bool {
        !self.buffer.is_empty() || matches!(self.phase, Phase::Body { .. })
    }

    /// Whether an answer is owed.
    pub(super) const fn owes(&self) -> bool {
        matches!(self.phase, Phase::Answer(_))
    }

    /// Takes note that the answer is given, and says what was waited for.
    pub(super) fn settle(&mut self) -> Option<Owed> {
        match std::mem::take(&mut self.phase) {
            Phase::Answer(owed) => Some(owed),
            other => {
                self.phase = other;
                None
            }
        }
    }

    /// The next head, once it is whole. One that came in one piece is not copied together first.
    fn gather_head(&mut self, input: &mut &[u8]) -> Result<Option<Head>, Response> {
        self.skip_empty_lines(input)?;
        let known = self.buffer.len();
        let most = input.len().min(HEAD_BYTES - known);
        let (window, _) = input.split_at(most);
        let (bytes, from) = if known == 0 {
            (window, 0)
        } else {
            self.buffer.extend_from_slice(window);
            (&self.buffer[..], known)
        };
        match head::find_end(bytes, from)? {
            Some(end) => {
                let head = Head::parse(&bytes[..end])?;
                *input = &input[end - known..];
                self.buffer = Vec::new();
                Ok(Some(head))
            }
            None if bytes.len() == HEAD_BYTES => Err(head::too_large()),
            None => {
                if known == 0 {
                    self.buffer.extend_from_slice(window);
                }
                *input = &input[most..];
                Ok(None)
            }
        }
    }

    /// RFC 9112 section 2.2: empty lines before a request are ignored, however they are cut. What
    /// follows them must at least begin like a request.
    fn skip_empty_lines(&mut self, input: &mut &[u8]) -> Result<(), Response> {
        let not_http = || head::bad("this is not HTTP");
        if self.buffer == b"\r"
            && let Some((first, rest)) = input.split_first()
        {
            if *first != b'\n' {
                return Err(not_http());
            }
            self.buffer.clear();
            *input = rest;
        }
        if self.buffer.is_empty() {
            while let Some(rest) = input.strip_prefix(b"\r\n") {
                *input = rest;
            }
            match input {
                [] | [b'\r'] => {}
                [first, ..] if first.is_ascii_graphic() => {}
                _ => return Err(not_http()),
            }
        }
        Ok(())
    }

    fn take_head(
        &mut self,
        head: Head,
        input: &mut &[u8],
        config: &ConnConfig,
    ) -> Result<Step, Response> {
        let len = body_len(&head, config)?;
        if upgrade::is_wanted(&head) {
            let (upgrade, accept) = upgrade::check(head, len, &config.origins)?;
            self.phase = Phase::Answer(Owed::Upgrade { accept });
            return Ok(Step::Upgrade(Box::new(upgrade)));
        }
        let waits = waits_for_go_ahead(&head)?;
        self.phase = Phase::Body { head, len };
        if waits && input.is_empty() && len > 0 {
            return Ok(Step::Continue);
        }
        Ok(self.gather_body(input))
    }

    fn gather_body(&mut self, input: &mut &[u8]) -> Step {
        let Phase::Body { head, len } = std::mem::take(&mut self.phase) else {
            return Step::More;
        };
        let (here, rest) = input.split_at(input.len().min(len - self.buffer.len()));
        self.buffer.extend_from_slice(here);
        *input = rest;
        if self.buffer.len() < len {
            self.phase = Phase::Body { head, len };
            return Step::More;
        }
        let part = match *head.method() {
            Method::HEAD => Part::HeadOnly,
            _ => Part::Whole,
        };
        let then = then(&head);
        self.phase = Phase::Answer(Owed::Response { part, then });
        let body = std::mem::take(&mut self.buffer).into();
        Step::Request(Box::new(Request { head, body }))
    }
}

/// RFC 9112 section 9.3. HTTP/1.0 could ask for more than one request, and gets one all the same.
fn then(head: &Head) -> Then {
    if head.version() == Version::Http10 || head.lists("connection", "close") {
        Then::Close
    } else {
        Then::KeepAlive
    }
}

/// How long the body is (RFC 9112 section 6), for which there must be exactly one reading.
fn body_len(head: &Head, config: &ConnConfig) -> Result<usize, Response> {
    let mut lengths = head.all("content-length");
    let (length, another) = (lengths.next(), lengths.next());
    if head.get("transfer-encoding").is_some() {
        return Err(if length.is_some() {
            head::bad("both Transfer-Encoding and Content-Length")
        } else {
            Response::error(
                StatusCode::NOT_IMPLEMENTED,
                "no Transfer-Encoding is taken, send a Content-Length",
            )
        });
    }
    let Some(length) = length else {
        return Ok(0);
    };
    if another.is_some() || length.is_empty() || !length.iter().all(u8::is_ascii_digit) {
        return Err(head::bad("Content-Length is not one number"));
    }
    // Digits only, so what does not fit into the type is too much.
    std::str::from_utf8(length)
        .ok()
        .and_then(|length| length.parse().ok())
        .filter(|&length: &usize| length <= config.body_bytes)
        .ok_or_else(|| {
            Response::error(
                StatusCode::PAYLOAD_TOO_LARGE,
                format!("a body is at most {} bytes", config.body_bytes),
            )
        })
}

/// RFC 9110 section 10.1.1; 1.0 does not know it.
fn waits_for_go_ahead(head: &Head) -> Result<bool, Response> {
    if head.get("expect").is_none() || head.version() == Version::Http10 {
        return Ok(false);
    }
    let mut expected = head.all("expect");
    if expected.all(|value| value.eq_ignore_ascii_case(b"100-continue")) {
        return Ok(true);
    }
    Err(Response::error(
        StatusCode::EXPECTATION_FAILED,
        "only 100-continue can be expected",
    ))
}
