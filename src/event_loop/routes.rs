//! What is served over plain HTTP: the page, the probes and the numbers.
//!
//! Floor 3. Routes only; how a request is read and an answer is written is the connection layer's.

use http::header::{
    ACCEPT_ENCODING, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_SECURITY_POLICY, ETAG, HeaderName,
    HeaderValue, IF_NONE_MATCH, REFERRER_POLICY, RETRY_AFTER, VARY, X_CONTENT_TYPE_OPTIONS,
    X_FRAME_OPTIONS,
};
use http::{Method, StatusCode};

use crate::chat::bucket::Address;
use crate::conn::head::Head;
use crate::conn::response::Response;
use crate::conn::upgrade::upgrade_required;
use crate::metrics::Metrics;
use crate::page::{self, Asset};

/// Where WebSocket clients go.
pub const SOCKET_PATH: &str = "/ws";

/// What an answer may depend on.
#[derive(Clone, Copy, Debug)]
pub struct Site<'a> {
    /// For `/metrics`.
    pub metrics: &'a Metrics,
    /// Who may read `/metrics`.
    pub metrics_public: bool,
    /// Whether the server is about to stop.
    pub stopping: bool,
    /// Who asks.
    pub address: Address,
}

/// Answers a request that is not for a WebSocket.
pub fn answer(head: &Head, site: &Site<'_>) -> Response {
    let response = route(head, site);
    response
        .header(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"))
        .header(REFERRER_POLICY, HeaderValue::from_static("no-referrer"))
}

fn route(head: &Head, site: &Site<'_>) -> Response {
    let path = head.path();
    if path == SOCKET_PATH {
        return upgrade_required();
    }
    let asset = page::find(path);
    let known = asset.is_some() || matches!(path, "/healthz" | "/readyz" | "/metrics");
    if !known {
        return Response::error(StatusCode::NOT_FOUND, "there is nothing at this address");
    }
    if *head.method() != Method::GET && *head.method() != Method::HEAD {
        return Response::method_not_allowed("GET, HEAD");
    }
    match (asset, path) {
        (Some(asset), _) => serve(head, asset),
        (None, "/healthz") => plain(StatusCode::OK, "alive\n"),
        (None, "/readyz") if site.stopping => plain(StatusCode::SERVICE_UNAVAILABLE, "stopping\n")
            .header(RETRY_AFTER, HeaderValue::from_static("1")),
        (None, "/readyz") => plain(StatusCode::OK, "ready\n"),
        (None, _) if site.metrics_public || (is_loopback(site.address) && !is_forwarded(head)) => {
            plain(StatusCode::OK, site.metrics.render())
        }
        (None, _) => Response::error(
            StatusCode::FORBIDDEN,
            "numbers are for this host only; see the setting metrics.public",
        ),
    }
}

fn plain(status: StatusCode, body: impl Into<bytes::Bytes>) -> Response {
    Response::new(status)
        .body("text/plain; version=0.0.4; charset=utf-8", body)
        .header(CACHE_CONTROL, HeaderValue::from_static("no-store"))
}

/// A file of the page. Its paths never change, so the browser asks each time whether the file did.
fn serve(head: &Head, asset: &'static Asset) -> Response {
    let packed = asset
        .gzip
        .filter(|_| head.lists(ACCEPT_ENCODING.as_str(), "gzip"));
    let held = head.items(IF_NONE_MATCH.as_str());
    let response = if held
        .map(weak)
        .any(|tag| tag == weak(asset.etag) || tag == "*")
    {
        Response::new(StatusCode::NOT_MODIFIED)
    } else {
        let body = packed.unwrap_or(asset.body);
        let response = Response::new(StatusCode::OK).body(asset.content_type, body);
        match packed {
            Some(_) => response.header(CONTENT_ENCODING, HeaderValue::from_static("gzip")),
            None => response,
        }
    };
    response
        .header(ETAG, HeaderValue::from_static(asset.etag))
        .header(VARY, HeaderValue::from_static("accept-encoding"))
        .header(CACHE_CONTROL, HeaderValue::from_static("no-cache"))
        .header(CONTENT_SECURITY_POLICY, HeaderValue::from_static(page::CSP))
        .header(X_FRAME_OPTIONS, HeaderValue::from_static("DENY"))
        .header(
            HeaderName::from_static("cross-origin-opener-policy"),
            HeaderValue::from_static("same-origin"),
        )
}

/// RFC 9110 section 13.1.2: `If-None-Match` compares weakly.
fn weak(tag: &str) -> &str {
    tag.strip_prefix("W/").unwrap_or(tag)
}

/// Whether a proxy on this host asks, for somebody who may be anywhere.
fn is_forwarded(head: &Head) -> bool {
    let marks = ["forwarded", "x-forwarded-for", "x-real-ip", "via"];
    marks.into_iter().any(|name| head.get(name).is_some())
}

/// 127.0.0.0/8 mapped into IPv6, or ::1.
fn is_loopback(address: Address) -> bool {
    let ip = std::net::Ipv6Addr::from(address);
    ip.to_ipv4_mapped()
        .map_or(ip.is_loopback(), |v4| v4.is_loopback())
}
