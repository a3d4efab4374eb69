//! The web page, as the bytes that go over the wire.
//!
//! Floor 2, neighbour of `conn`, `wire` and `store`. It refuses to know sockets, requests and the
//! file system: `build.rs` walks `src/page/`, compresses each file once and writes the table, so
//! that a path is looked up among names and can lead nowhere else. There is nothing to configure
//! and nothing to install beside the binary.

/// One file of the page.
#[derive(Clone, Copy, Debug)]
pub struct Asset {
    /// The path of a request, beginning with a slash.
    pub path: &'static str,
    /// For `Content-Type`.
    pub content_type: &'static str,
    /// As it is.
    pub body: &'static [u8],
    /// The same for whoever sends `Accept-Encoding: gzip`; none where it would be no smaller. Both
    /// forms have one tag, so answers want `Vary: Accept-Encoding`.
    pub gzip: Option<&'static [u8]>,
    /// For `ETag`, weak and quoted: the first 96 bits of the SHA-256 of `body`.
    pub etag: &'static str,
}

/// Sorted by the path of the file, which is not quite the order of `path`.
static ASSETS: &[Asset] = include!(concat!(env!("OUT_DIR"), "/page.rs"));

/// For `Cache-Control`, with every asset.
///
/// Modules import each other by plain relative paths, so a name cannot carry the hash of what is
/// behind it without a build step. The browser asks each time and is told 304; all files change
/// together with the binary, and none is ever stale.
pub const CACHE_CONTROL: &str = "no-cache";

/// For `Content-Security-Policy`, with every asset.
///
/// Everything is forbidden, then what the page has is admitted, from this origin alone.
/// `connect-src 'self'` covers `ws:` and `wss:` of the same host and port (CSP level 3, section
/// 6.7.2.8; Chromium, Firefox, and Safari since 15.4); naming the host instead would mean trusting
/// a `Host` header. Trusted Types forbid the functions that parse HTML, as nothing here calls one.
pub const CSP: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; \
                       connect-src 'self'; manifest-src 'self'; base-uri 'none'; \
                       form-action 'none'; frame-ancestors 'none'; \
                       require-trusted-types-for 'script'; trusted-types 'none'";

/// Further headers that go with every asset, as names and values.
pub const HEADERS: &[(&str, &str)] = &[
    ("X-Content-Type-Options", "nosniff"),
    // For browsers from before `frame-ancestors`.
    ("X-Frame-Options", "DENY"),
    ("Referrer-Policy", "no-referrer"),
    ("Cross-Origin-Opener-Policy", "same-origin"),
    ("Cross-Origin-Resource-Policy", "same-origin"),
];

/// The asset of exactly this path (no query, no percent signs), if there is one.
pub fn find(path: &str) -> Option<&'static Asset> {
    // Some thirty short strings: a scan is as fast as anything cleverer.
    ASSETS.iter().find(|asset| asset.path == path)
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;
    use std::io::Read;

    use super::*;

    /// What a first visit fetches, compressed where that is smaller.
    fn cost(asset: &Asset) -> usize {
        asset.gzip.unwrap_or(asset.body).len()
    }

    fn text(asset: &Asset) -> &'static str {
        std::str::from_utf8(asset.body).unwrap()
    }

    /// Everything between quotes that follows `before`.
    fn quoted<'a>(text: &'a str, before: &str, quote: char) -> Vec<&'a str> {
        text.split(before)
            .skip(1)
            .filter_map(|rest| rest.split(quote).next())
            .collect()
    }

    /// A relative address, as a browser resolves it against the file that holds it.
    fn resolve(base: &str, relative: &str) -> String {
        let mut parts: Vec<&str> = base.split('/').collect();
        parts.pop();
        for part in relative.split('/') {
            match part {
                "." => {}
                ".." => drop(parts.pop()),
                part => parts.push(part),
            }
        }
        parts.join("/")
    }

    #[test]
    fn an_asset_is_found_by_its_exact_path_and_by_no_other() {
        assert_eq!(find("/").unwrap().content_type, "text/html; charset=utf-8");
        for path in [
            "",
            "//",
            "/index.html",
            "/app.js/",
            "/app.js?x",
            "/view",
            "/view/../app.js",
        ] {
            assert!(find(path).is_none(), "{path}");
        }
        let paths: HashSet<_> = ASSETS.iter().map(|asset| asset.path).collect();
        assert_eq!(paths.len(), ASSETS.len());
    }

    #[test]
    fn each_type_is_the_one_that_a_browser_insists_on() {
        for (path, content_type) in [
            ("/style/base.css", "text/css; charset=utf-8"),
            ("/app.js", "text/javascript; charset=utf-8"),
            ("/i18n/zh-Hans.js", "text/javascript; charset=utf-8"),
            ("/icon.svg", "image/svg+xml"),
            ("/manifest.webmanifest", "application/manifest+json"),
        ] {
            assert_eq!(find(path).unwrap().content_type, content_type, "{path}");
        }
    }

    #[test]
    fn what_is_compressed_comes_out_as_it_went_in() {
        for asset in ASSETS {
            let Some(gzip) = asset.gzip else { continue };
            let mut body = Vec::new();
            flate2::read::GzDecoder::new(gzip)
                .read_to_end(&mut body)
                .unwrap();
            assert_eq!(body, asset.body, "{}", asset.path);
            assert!(gzip.len() < asset.body.len(), "{}", asset.path);
        }
    }

    #[test]
    fn a_tag_is_quoted_and_belongs_to_one_content() {
        let tags: HashSet<_> = ASSETS.iter().map(|asset| asset.etag).collect();
        let bodies: HashSet<_> = ASSETS.iter().map(|asset| asset.body).collect();
        assert_eq!(tags.len(), bodies.len());
        for tag in tags {
            assert!(
                tag.len() == 28 && tag.starts_with("W/\"") && tag.ends_with('"'),
                "{tag}"
            );
        }
    }

    #[test]
    fn the_first_visit_fetches_less_than_60_kib() {
        // Everybody reads one language.
        let spoken = |asset: &&Asset| asset.path.starts_with("/i18n/");
        let dictionary = ASSETS.iter().filter(spoken).map(cost).max().unwrap();
        let rest: usize = ASSETS.iter().filter(|it| !spoken(it)).map(cost).sum();
        let total = rest + dictionary;
        assert!(total < 60 * 1024, "{total} bytes");
    }

    #[test]
    fn every_address_in_the_page_leads_to_an_asset() {
        let mut checked = 0;
        for asset in ASSETS {
            let found = match asset.content_type {
                "text/html; charset=utf-8" => [
                    quoted(text(asset), " href=\"", '"'),
                    quoted(text(asset), " src=\"", '"'),
                ]
                .concat(),
                "text/javascript; charset=utf-8" => [
                    quoted(text(asset), " from '", '\''),
                    quoted(text(asset), "=> import('", '\''),
                ]
                .concat(),
                _ => continue,
            };
            // `#…` is a symbol in the document itself.
            for relative in found.into_iter().filter(|it| !it.starts_with('#')) {
                let path = resolve(asset.path, relative);
                assert!(find(&path).is_some(), "{} names {path}", asset.path);
                checked += 1;
            }
        }
        assert!(checked > 40, "only {checked} addresses were found");
    }

    #[test]
    fn every_module_is_announced_in_the_head_but_the_dictionaries() {
        let index = text(find("/").unwrap());
        let announced = quoted(index, "modulepreload\" href=\"", '"');
        for asset in ASSETS {
            let name = asset.path.trim_start_matches('/');
            let wanted = name.ends_with(".js") && !name.starts_with("i18n/");
            // It holds types and is imported by nobody.
            let wanted = wanted && name != "view/context.js";
            assert_eq!(announced.contains(&name), wanted, "{name}");
        }
    }

    #[test]
    fn nothing_is_inline_and_nothing_parses_html() {
        assert!(!CSP.contains("unsafe"));
        for asset in ASSETS {
            let text = text(asset);
            for word in [
                "innerHTML",
                "outerHTML",
                "insertAdjacentHTML",
                "eval(",
                " style=\"",
                "<style",
            ] {
                assert!(!text.contains(word), "{} contains {word}", asset.path);
            }
        }
        let index = text(find("/").unwrap());
        assert_eq!(
            index.matches("<script").count(),
            index.matches("<script type=\"module\" src=").count()
        );
    }
}
