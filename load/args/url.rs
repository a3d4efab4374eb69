//! Where a WebSocket is: `ws://host:port/path`.
//!
//! Knows nothing of what is to be done there.

use kith::limits::PORT;

use crate::bounds::FLOOR_PORT;
use crate::scenario::Speech;

/// An address of a WebSocket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Url {
    /// A name or an address; of IPv6 without brackets.
    pub host: String,
    /// The port.
    pub port: u16,
    /// Path and query.
    pub path: String,
}

impl Url {
    /// Where a server of this kind listens by itself: Kith, or the floor.
    pub fn usual(speech: Speech) -> Self {
        let (port, path) = match speech {
            Speech::Kith | Speech::Pings => (PORT, "/ws"),
            Speech::Raw => (FLOOR_PORT, "/"),
        };
        Self {
            host: "127.0.0.1".to_owned(),
            port,
            path: path.to_owned(),
        }
    }
}

impl std::fmt::Display for Url {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "ws://{}{}", self.authority(), self.path)
    }
}

impl Url {
    /// As `Host` has it.
    pub fn authority(&self) -> String {
        let Self { host, port, .. } = self;
        if host.contains(':') {
            format!("[{host}]:{port}")
        } else {
            format!("{host}:{port}")
        }
    }
}

/// Reads an address.
///
/// # Errors
/// What it should look like.
pub fn parse_url(text: &str) -> Result<Url, String> {
    const LOOKS: &str = "an address looks like ws://127.0.0.1:9091/ws";
    if text.starts_with("wss:") || text.starts_with("https:") {
        return Err("the swarm speaks no TLS; name the server behind the proxy".to_owned());
    }
    let uri: http::Uri = text.parse().map_err(|error| format!("{error}; {LOOKS}"))?;
    match uri.scheme_str() {
        Some("ws" | "http") => {}
        _ => return Err(LOOKS.to_owned()),
    }
    let host = uri.host().ok_or(LOOKS)?.trim_matches(['[', ']']);
    let path = uri.path_and_query().map_or("/", |path| path.as_str());
    Ok(Url {
        host: host.to_owned(),
        port: uri.port_u16().unwrap_or(80),
        path: path.to_owned(),
    })
}
