//! The head of an HTTP/1.1 request: its line and its fields (RFC 9112 sections 2 to 5).
//!
//! Floor 2, part of `conn`. httparse reads the syntax; what it forgives and others read differently
//! is refused here, because two readers that disagree about one request are how requests are
//! smuggled. Knows nothing of upgrades and of what a field is for, other than framing and `Host`.

use std::fmt;

use http::{Method, StatusCode};

use crate::conn::response::Response;
use crate::limits::{HEAD_BYTES, HEAD_COUNT};

/// One request head, in the bytes it came in.
#[derive(Clone)]
pub struct Head {
    bytes: Box<[u8]>,
    fields: Box<[Field]>,
    method: Method,
    path: Option<Span>,
    query: Option<Span>,
    host: Option<Span>,
    version: Version,
}

/// Of HTTP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Version {
    /// HTTP/1.0: no upgrade, and one request per connection.
    Http10,
    /// HTTP/1.1.
    Http11,
}

/// A part of the head; [`HEAD_BYTES`] fits.
#[derive(Clone, Copy, Debug)]
struct Span {
    from: u16,
    to: u16,
}

#[derive(Clone, Copy, Debug)]
struct Field {
    name: Span,
    value: Span,
}

impl Head {
    /// What is asked for.
    pub const fn method(&self) -> &Method {
        &self.method
    }

    /// The path, as it came: ASCII, beginning with a slash (or `*` alone), not decoded.
    pub fn path(&self) -> &str {
        // `http://host` alone means its root.
        self.path.map_or("/", |span| self.text(span))
    }

    /// What follows the question mark, not decoded.
    pub fn query(&self) -> Option<&str> {
        self.query.map(|span| self.text(span))
    }

    /// Host and port that the peer believes to talk to: of the target if it was in absolute form
    /// (RFC 9112 section 3.2.2), of the `Host` field otherwise.
    pub fn host(&self) -> Option<&str> {
        self.host.map(|span| self.text(span))
    }

    /// Of the request.
    pub const fn version(&self) -> Version {
        self.version
    }

    /// The first field of this name (case does not matter), without white space around it.
    pub fn get(&self, name: &str) -> Option<&[u8]> {
        let named = |field: &&Field| self.slice(field.name).eq_ignore_ascii_case(name.as_bytes());
        let found = self.fields.iter().find(named)?;
        Some(self.slice(found.value))
    }

    /// Every field of this name, in order.
    pub fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a [u8]> {
        self.fields
            .iter()
            .filter(move |field| self.slice(field.name).eq_ignore_ascii_case(name.as_bytes()))
            .map(|field| self.slice(field.value))
    }

    /// The items of a field that is a comma-separated list, in one line or several (RFC 9110
    /// section 5.6.1). Items that are not ASCII text are left out.
    pub fn items<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.all(name)
            .filter_map(|value| std::str::from_utf8(value).ok())
            .flat_map(|value| value.split(','))
            .map(|item| item.trim_matches([' ', '\t']))
            .filter(|item| !item.is_empty())
    }

    /// Whether a list has this item, whatever its case.
    pub fn lists(&self, name: &str, item: &str) -> bool {
        self.items(name).any(|have| have.eq_ignore_ascii_case(item))
    }

    /// Reads a complete head.
    ///
    /// # Errors
    /// The answer to give before the connection is closed.
    pub(super) fn parse(bytes: &[u8]) -> Result<Self, Response> {
        let mut fields = [httparse::EMPTY_HEADER; HEAD_COUNT];
        let mut request = httparse::Request::new(&mut fields);
        match request.parse(bytes) {
            Ok(httparse::Status::Complete(len)) if len == bytes.len() => {}
            Err(httparse::Error::TooManyHeaders) => return Err(too_large()),
            _ => return Err(bad("malformed request")),
        }
        let (Some(method), Some(target), Some(version)) =
            (request.method, request.path, request.version)
        else {
            return Err(bad("malformed request"));
        };
        let method = Method::from_bytes(method.as_bytes()).map_err(|_| bad("malformed method"))?;
        let version = if version == 0 {
            Version::Http10
        } else {
            Version::Http11
        };
        let target = Target::parse(target).ok_or_else(|| bad("malformed request target"))?;
        let host = one_host(request.headers, version)?;
        Ok(Self {
            method,
            path: target.path.map(|path| Span::of(path, bytes)),
            query: target.query.map(|query| Span::of(query, bytes)),
            host: target.authority.or(host).map(|host| Span::of(host, bytes)),
            version,
            fields: request
                .headers
                .iter()
                .map(|field| Field {
                    name: Span::of(field.name, bytes),
                    value: Span::within(field.value, bytes),
                })
                .collect(),
            bytes: bytes.into(),
        })
    }

    fn slice(&self, span: Span) -> &[u8] {
        &self.bytes[usize::from(span.from)..usize::from(span.to)]
    }

    fn text(&self, span: Span) -> &str {
        // Only what came out of httparse as `str` is asked for as text.
        std::str::from_utf8(self.slice(span)).unwrap_or_default()
    }
}

/// Method and path only: fields and query hold cookies and tokens, which belong into no log.
impl fmt::Debug for Head {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Head")
            .field("method", &self.method)
            .field("path", &self.path())
            .finish_non_exhaustive()
    }
}

impl Span {
    fn of(part: &str, whole: &[u8]) -> Self {
        Self::within(part.as_bytes(), whole)
    }

    /// Where `part`, a slice of `whole`, stands in it.
    fn within(part: &[u8], whole: &[u8]) -> Self {
        let from = if part.is_empty() {
            0 // httparse points anywhere when there is nothing.
        } else {
            part.as_ptr().addr() - whole.as_ptr().addr()
        };
        Self {
            from: from as u16,
            to: (from + part.len()) as u16,
        }
    }
}

/// The request target of RFC 9112 section 3.2.
struct Target<'a> {
    authority: Option<&'a str>,
    path: Option<&'a str>,
    query: Option<&'a str>,
}

impl<'a> Target<'a> {
    fn parse(target: &'a str) -> Option<Self> {
        if !target.bytes().all(|byte| byte.is_ascii_graphic()) || target.contains('#') {
            return None;
        }
        let (authority, rest) = match target.split_once("://") {
            Some((scheme, rest)) if is_web_scheme(scheme) => {
                let end = rest.find(['/', '?']).unwrap_or(rest.len());
                let (authority, rest) = rest.split_at(end);
                if authority.is_empty() || !is_host(authority) {
                    return None;
                }
                (Some(authority), rest)
            }
            _ => (None, target),
        };
        let (path, query) = match rest.split_once('?') {
            Some((path, query)) => (path, Some(query)),
            None => (rest, None),
        };
        let whole = path.starts_with('/') || target == "*";
        (whole || (path.is_empty() && authority.is_some())).then_some(Self {
            authority,
            path: whole.then_some(path),
            query,
        })
    }
}

/// The `Host` field: exactly one, except that HTTP/1.0 may do without (RFC 9112 section 3.2).
fn one_host<'a>(
    fields: &[httparse::Header<'a>],
    version: Version,
) -> Result<Option<&'a str>, Response> {
    let mut hosts = fields
        .iter()
        .filter(|field| field.name.eq_ignore_ascii_case("host"));
    match (hosts.next(), hosts.next()) {
        (Some(host), None) => std::str::from_utf8(host.value)
            .ok()
            .filter(|host| is_host(host))
            .map(Some)
            .ok_or_else(|| bad("malformed Host")),
        (None, None) if version == Version::Http10 => Ok(None),
        (None, None) => Err(bad("no Host")),
        _ => Err(bad("more than one Host")),
    }
}

fn is_web_scheme(scheme: &str) -> bool {
    ["http", "https", "ws", "wss"]
        .iter()
        .any(|known| scheme.eq_ignore_ascii_case(known))
}

/// `uri-host [":" port]` of RFC 9110 section 7.2, in the letters that hosts are made of. No user
/// information.
fn is_host(host: &str) -> bool {
    host.bytes()
        .all(|byte| byte.is_ascii_alphanumeric() || b"-._~:[]%!$&'()*+;=".contains(&byte))
}

/// Where the head ends in `bytes`, of which the first `from` were searched before.
///
/// # Errors
/// A line that ends without a carriage return. RFC 9112 section 2.2 lets a server accept it, but
/// those in front of us may not, and would then see another request than we do.
pub(super) fn find_end(bytes: &[u8], from: usize) -> Result<Option<usize>, Response> {
    let mut at = from;
    while let Some(found) = bytes[at..].iter().position(|&byte| byte == b'\n') {
        at += found + 1;
        if !bytes[..at].ends_with(b"\r\n") {
            return Err(bad("a line that ends without a carriage return"));
        }
        if bytes[..at].ends_with(b"\r\n\r\n") {
            return Ok(Some(at));
        }
    }
    Ok(None)
}

/// The head is, or would become, larger than [`HEAD_BYTES`] or [`HEAD_COUNT`].
pub(super) fn too_large() -> Response {
    Response::error(
        StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
        format!("a request head is at most {HEAD_BYTES} bytes in {HEAD_COUNT} fields"),
    )
}

pub(super) fn bad(why: &'static str) -> Response {
    Response::error(StatusCode::BAD_REQUEST, why)
}
