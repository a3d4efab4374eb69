//! Placeholder until the page lands.
#![allow(missing_docs)]
pub struct Asset {
    pub path: &'static str,
    pub content_type: &'static str,
    pub body: &'static [u8],
    pub gzip: Option<&'static [u8]>,
    pub etag: &'static str,
}
pub const CSP: &str = "default-src 'self'";
pub fn find(_: &str) -> Option<&'static Asset> {
    None
}
