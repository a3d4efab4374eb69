//! HTTP responses (RFC 9110, RFC 9112 section 4 and 6).
//!
//! Floor 2, part of `conn`. A response is a value that says nothing of the connection it goes over:
//! `Date`, `Content-Length` and `Connection` are put in where it is written.

use std::io::Write;
use std::time::{Duration, UNIX_EPOCH};

use bytes::Bytes;
use http::StatusCode;
use http::header::{ALLOW, CONTENT_TYPE, HeaderName, HeaderValue};

use crate::clock::UnixMillis;
use crate::conn::buffers::Buffers;
use crate::conn::outbox::Outbox;
use crate::limits::SHARE_ABOVE;

/// What is answered to a request.
#[derive(Clone, Debug)]
pub struct Response {
    status: StatusCode,
    headers: Vec<(HeaderName, HeaderValue)>,
    body: Bytes,
}

/// What follows a response on its connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Then {
    /// The next request.
    KeepAlive,
    /// The end.
    Close,
}

/// Whether the peer wants the body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part {
    /// Head and body.
    Whole,
    /// The answer to `HEAD`: as if, but without the body (RFC 9110 section 9.3.2).
    HeadOnly,
}

impl Response {
    /// A response without a body.
    pub const fn new(status: StatusCode) -> Self {
        Self {
            status,
            headers: Vec::new(),
            body: Bytes::new(),
        }
    }

    /// An error with one line of text for whoever looks.
    pub fn error(status: StatusCode, why: impl Into<String>) -> Self {
        let mut line = why.into();
        line.push('\n');
        Self::new(status).body("text/plain; charset=utf-8", line)
    }

    /// 405 with the methods that there are, which RFC 9110 section 15.5.6 asks for.
    pub fn method_not_allowed(allow: &'static str) -> Self {
        Self::error(StatusCode::METHOD_NOT_ALLOWED, format!("only {allow}"))
            .header(ALLOW, HeaderValue::from_static(allow))
    }

    /// Adds a field. `Date`, `Content-Length` and `Connection: close` are not the caller's.
    #[must_use]
    pub fn header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.push((name, value));
        self
    }

    /// Sets the body and its type.
    #[must_use]
    pub fn body(mut self, content_type: &'static str, body: impl Into<Bytes>) -> Self {
        self.body = body.into();
        self.header(CONTENT_TYPE, HeaderValue::from_static(content_type))
    }

    /// Its status.
    pub const fn status(&self) -> StatusCode {
        self.status
    }

    /// Queues head and body, a large body by reference.
    pub(super) fn write(
        &self,
        part: Part,
        then: Then,
        wall: UnixMillis,
        out: &mut Outbox,
        buffers: &mut Buffers,
    ) {
        let mut head = Vec::with_capacity(SHARE_ABOVE);
        // Writing to a Vec cannot fail.
        let _ = write!(head, "HTTP/1.1 {}\r\ndate: {}\r\n", self.status, date(wall));
        for (name, value) in &self.headers {
            head.extend_from_slice(name.as_str().as_bytes());
            head.extend_from_slice(b": ");
            head.extend_from_slice(value.as_bytes());
            head.extend_from_slice(b"\r\n");
        }
        if self.may_have_body() {
            let _ = write!(head, "content-length: {}\r\n", self.body.len());
        }
        if then == Then::Close {
            head.extend_from_slice(b"connection: close\r\n");
        }
        head.extend_from_slice(b"\r\n");
        out.append(&head, buffers);
        if part == Part::HeadOnly || !self.may_have_body() {
            return;
        }
        if self.body.len() > SHARE_ABOVE {
            out.share(self.body.clone(), buffers);
        } else {
            out.append(&self.body, buffers);
        }
    }

    /// RFC 9112 section 6.3: 204 and 304 end with their head.
    fn may_have_body(&self) -> bool {
        self.status != StatusCode::NO_CONTENT && self.status != StatusCode::NOT_MODIFIED
    }
}

/// IMF-fixdate (RFC 9110 section 5.6.7).
fn date(wall: UnixMillis) -> httpdate::HttpDate {
    // httpdate ends with the year 9999, and panics beyond it.
    let millis = u64::try_from(wall.0).unwrap_or(0).min(253_402_300_799_000);
    (UNIX_EPOCH + Duration::from_millis(millis)).into()
}
