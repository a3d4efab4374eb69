//! The upgrade of a request to a WebSocket (RFC 6455 section 4.2).
//!
//! Floor 2, part of `conn`. Checks everything that can be known before somebody decides about the
//! path: the handshake's fields, whether the page that asks may ask, and what name is claimed.
//! Whether that name is fit is not its question.

use http::header::{CONNECTION, HeaderValue, SEC_WEBSOCKET_VERSION, UPGRADE};
use http::{Method, StatusCode};
use percent_encoding::percent_decode;
use tungstenite::handshake::derive_accept_key;

use crate::conn::buffers::Buffers;
use crate::conn::head::{self, Head, Version};
use crate::conn::outbox::Outbox;
use crate::conn::response::Response;

/// A request for a WebSocket that may be granted.
#[derive(Clone, Debug)]
pub struct Upgrade {
    /// Line and fields.
    pub head: Head,
    /// The name that the client goes by, from the field `username` or the query; any UTF-8, and
    /// perhaps empty.
    pub username: Option<String>,
}

impl Upgrade {
    /// The subprotocols that the client offers, best first (RFC 6455 section 11.3.4).
    pub fn subprotocols(&self) -> impl Iterator<Item = &str> {
        self.head.items("sec-websocket-protocol")
    }
}

/// Which pages may open a WebSocket to us.
///
/// A browser sends the cookies and reaches the network of whoever looks at a page, so a foreign
/// page could act for them (cross-site WebSocket hijacking; CORS does not apply). Clients that are
/// no browser send no `Origin` and are not concerned.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum OriginPolicy {
    /// Pages of the very host and port that the request names.
    #[default]
    SameHost,
    /// The same, but only if that host is a name of this very machine. For a server that listens
    /// nowhere else: a foreign page whose own name was made to lead here (DNS rebinding) names itself
    /// as the host.
    ThisMachine,
    /// These as well: whole origins (`https://chat.example`) or hosts (`chat.example:8443`).
    Listed(Vec<String>),
    /// All pages. For servers that hold nothing but a public lobby.
    Any,
}

impl OriginPolicy {
    /// Whether a page of `origin` may open a WebSocket to `host`.
    fn allows(&self, origin: &[u8], host: Option<&str>) -> bool {
        if *self == Self::Any {
            return true;
        }
        let Some((scheme, from)) = std::str::from_utf8(origin)
            .ok()
            .and_then(|origin| origin.split_once("://"))
        else {
            return false; // `null` of sandboxes and files too.
        };
        let port = match scheme {
            "http" => ":80",
            "https" => ":443",
            _ => return false,
        };
        // A browser leaves the scheme's own port out, a proxy may put it into Host.
        let bare = |host: &str| host.strip_suffix(port).unwrap_or(host).to_ascii_lowercase();
        if host.is_some_and(|host| bare(host) == bare(from)) {
            return *self != Self::ThisMachine || is_this_machine(from);
        }
        let Self::Listed(listed) = self else {
            return false;
        };
        listed.iter().any(|entry| match entry.split_once("://") {
            Some((of, host)) => of.eq_ignore_ascii_case(scheme) && bare(host) == bare(from),
            None => bare(entry) == bare(from),
        })
    }
}

/// Whether a request asks for a WebSocket. `Upgrade` counts only if `Connection` names it, and may
/// always be ignored (RFC 9110 section 7.8); so it is with `HEAD`, whose answers have no body.
pub(super) fn is_wanted(head: &Head) -> bool {
    head.method() != Method::HEAD
        && head.lists("connection", "upgrade")
        && head.lists("upgrade", "websocket")
}

/// Whether `host`, which may have a port, cannot be anybody else's (RFC 6761 section 6.3).
fn is_this_machine(host: &str) -> bool {
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    };
    let name = name.to_ascii_lowercase();
    name == "localhost" || name.ends_with(".localhost") || name == "[::1]" || is_loopback_v4(&name)
}

/// 127.0.0.0/8, as browsers write it (RFC 1122 section 3.2.1.3).
fn is_loopback_v4(name: &str) -> bool {
    let parts: Vec<_> = name.split('.').collect();
    parts.len() == 4 && parts[0] == "127" && parts.iter().all(|part| part.parse::<u8>().is_ok())
}

/// Checks the handshake; returns it with the value of `Sec-WebSocket-Accept`.
///
/// # Errors
/// The answer to give before the connection is closed.
pub(super) fn check(
    head: Head,
    body_len: usize,
    origins: &OriginPolicy,
) -> Result<(Upgrade, String), Response> {
    if head.method() != Method::GET {
        return Err(Response::method_not_allowed("GET"));
    }
    if head.version() == Version::Http10 || body_len > 0 {
        return Err(head::bad(
            "a WebSocket begins with an HTTP/1.1 GET without a body",
        ));
    }
    if only(&head, "sec-websocket-version")? != Some(b"13") {
        return Err(upgrade_required());
    }
    let accept = match only(&head, "sec-websocket-key")? {
        Some(key) if is_key(key) => derive_accept_key(key),
        _ => return Err(head::bad("Sec-WebSocket-Key is not 16 bytes of base64")),
    };
    if let Some(origin) = only(&head, "origin")?
        && !origins.allows(origin, head.host())
    {
        return Err(Response::error(
            StatusCode::FORBIDDEN,
            "pages of this origin may not connect here",
        ));
    }
    let username = username(&head)?;
    Ok((Upgrade { head, username }, accept))
}

/// 426 for whoever asks for a WebSocket in another version, or in plain HTTP for what is one (RFC
/// 6455 section 4.4, RFC 9110 section 15.5.22).
pub fn upgrade_required() -> Response {
    let why = "a WebSocket of version 13 is spoken here";
    Response::error(StatusCode::UPGRADE_REQUIRED, why)
        .header(SEC_WEBSOCKET_VERSION, HeaderValue::from_static("13"))
        .header(UPGRADE, HeaderValue::from_static("websocket"))
        .header(CONNECTION, HeaderValue::from_static("upgrade"))
}

/// Queues the 101. No extension is ever accepted: without permessage-deflate there is no
/// decompression to attack, and tungstenite has none.
pub(super) fn write_accept(
    accept: &str,
    subprotocol: Option<&str>,
    out: &mut Outbox,
    buffers: &mut Buffers,
) {
    let mut head = String::with_capacity(256);
    head.push_str(
        "HTTP/1.1 101 Switching Protocols\r\nconnection: Upgrade\r\nupgrade: websocket\r\n",
    );
    head.push_str("sec-websocket-accept: ");
    head.push_str(accept);
    if let Some(subprotocol) = subprotocol {
        head.push_str("\r\nsec-websocket-protocol: ");
        head.push_str(subprotocol);
    }
    head.push_str("\r\n\r\n");
    out.append(head.as_bytes(), buffers);
}

/// The one field of this name, if there is any.
fn only<'a>(head: &'a Head, name: &'static str) -> Result<Option<&'a [u8]>, Response> {
    let mut all = head.all(name);
    let first = all.next();
    if all.next().is_some() {
        return Err(Response::error(
            StatusCode::BAD_REQUEST,
            format!("more than one {name}"),
        ));
    }
    Ok(first)
}

/// 16 bytes are 22 letters of base64 and two fillers (RFC 6455 section 4.2.1).
fn is_key(key: &[u8]) -> bool {
    let letter = |&byte: &u8| byte.is_ascii_alphanumeric() || byte == b'+' || byte == b'/';
    key.len() == 24 && key.ends_with(b"==") && key[..22].iter().all(letter)
}

/// The name claimed by the field `username` or by the query, which must not disagree.
fn username(head: &Head) -> Result<Option<String>, Response> {
    let mut claimed: Option<String> = None;
    let in_fields = head.all("username").map(decode);
    let in_query = head
        .query()
        .into_iter()
        .flat_map(|query| query.split('&'))
        .filter_map(|pair| pair.strip_prefix("username="))
        // What `URLSearchParams` writes for a space.
        .map(|value| decode(value.replace('+', " ").as_bytes()));
    for name in in_fields.chain(in_query) {
        let name = name?;
        if claimed.as_ref().is_some_and(|other| *other != name) {
            return Err(head::bad("two different user names"));
        }
        claimed = Some(name);
    }
    Ok(claimed)
}

/// Percent-decoding, where a `%` that is not followed by two hexadecimal digits is itself.
fn decode(value: &[u8]) -> Result<String, Response> {
    String::from_utf8(percent_decode(value).collect())
        .map_err(|_| head::bad("the user name is not UTF-8"))
}
