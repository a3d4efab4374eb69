//! Words that must not appear in certain places, and calls that may appear once.

use crate::Finding;
use crate::source::{Path, Source, Token};

/// A word, or a path, that is banned somewhere.
struct Ban {
    /// A path that begins, or has in its middle, these words one after the other.
    words: &'static [&'static str],
    /// Where: the beginning of a path in the repository.
    within: &'static [&'static str],
    /// Not where: the same.
    except: &'static [&'static str],
    /// Whether code that exists only in tests may.
    tests: Tests,
    /// Completes "…: ".
    why: &'static str,
}

/// Whether a ban holds for tests too.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Tests {
    Too,
    May,
}

const EVERYWHERE: &[&str] = &["src/", "load/", "tests/", "build.rs"];
const SANS_IO: &[&str] = &["src/chat/", "src/conn/", "src/wire/"];
const PURE: &[&str] = &["src/chat/"];

const fn ban(
    words: &'static [&'static str],
    within: &'static [&'static str],
    except: &'static [&'static str],
    tests: Tests,
    why: &'static str,
) -> Ban {
    Ban {
        words,
        within,
        except,
        tests,
        why,
    }
}

const SOCKET: &str = "this floor knows no sockets";
const CLOCK: &str = "time is an argument";
const THREAD: &str = "this floor knows no threads";
const RANDOM: &str = "randomness is an argument";
const LOG: &str = "the domain does not log; what is worth telling is an output";
const FILE: &str = "this floor knows no files";
const ORDER: &str = "the order of its iteration differs per process; BTreeMap has one";

const BANS: &[Ban] = &[
    ban(
        &["RefCell"],
        EVERYWHERE,
        &[],
        Tests::Too,
        "pass ids, return values, split borrows",
    ),
    ban(&["std", "net"], SANS_IO, &[], Tests::Too, SOCKET),
    ban(&["TcpStream"], SANS_IO, &[], Tests::Too, SOCKET),
    ban(&["mio"], SANS_IO, &[], Tests::Too, SOCKET),
    ban(&["socket2"], SANS_IO, &[], Tests::Too, SOCKET),
    ban(&["libc"], SANS_IO, &[], Tests::Too, SOCKET),
    ban(&["Instant"], SANS_IO, &[], Tests::Too, CLOCK),
    ban(&["SystemTime"], SANS_IO, &[], Tests::Too, CLOCK),
    ban(&["thread"], SANS_IO, &[], Tests::Too, THREAD),
    ban(&["mpsc"], SANS_IO, &[], Tests::Too, THREAD),
    ban(&["Mutex"], SANS_IO, &[], Tests::Too, THREAD),
    ban(&["getrandom"], SANS_IO, &[], Tests::Too, RANDOM),
    ban(&["rand"], SANS_IO, &[], Tests::Too, RANDOM),
    ban(&["Entropy", "System"], PURE, &[], Tests::Too, RANDOM),
    ban(&["println"], PURE, &[], Tests::May, LOG),
    ban(&["eprintln"], PURE, &[], Tests::May, LOG),
    ban(&["std", "fs"], SANS_IO, &[], Tests::Too, FILE),
    ban(&["HashMap"], PURE, &[], Tests::Too, ORDER),
    ban(&["HashSet"], PURE, &[], Tests::Too, ORDER),
    ban(
        &["tokio"],
        EVERYWHERE,
        // Peers to compare with are packages of their own; most of them are about the runtime.
        &["src/grpc.rs", "load/compare/"],
        Tests::Too,
        "a runtime lives in one file, on a thread of its own",
    ),
    ban(
        &["std", "env"],
        &["src/", "load/"],
        &[
            "src/app.rs",
            "src/cli/args.rs",
            "load/main.rs",
            "load/args/",
            "load/bench/",
            // Programs of one file: nothing is above it.
            "load/compare/",
        ],
        Tests::May,
        "settings come from above, as values",
    ),
    ban(
        &["sleep"],
        &["src/", "tests/", "build.rs"],
        &["tests/common/"],
        Tests::Too,
        "wait for the event, with a deadline",
    ),
];

/// The table, and the words that need more than a path to be recognised.
pub fn banned_words(source: &Source) -> Vec<Finding> {
    let mut found = Vec::new();
    for ban in BANS {
        let starts = |places: &[&str]| places.iter().any(|place| source.path.starts_with(place));
        if !starts(ban.within) || starts(ban.except) {
            continue;
        }
        for path in &source.paths {
            if ban.matches(path) && !(path.test && ban.tests == Tests::May) {
                let what = format!("`{}`: {}", ban.words.join("::"), ban.why);
                found.push(source.finding(path.line, what));
            }
        }
    }
    if source.path.starts_with("src/chat/") {
        // The crate, that is; `log` alone, or behind `chat::`, is what conversations are made of.
        let logging = source.paths.iter();
        let logging = logging.filter(|path| path.segments.len() > 1 && path.segments[0] == "log");
        found.extend(logging.map(|path| source.finding(path.line, format!("`log::`: {LOG}"))));
    }
    found.extend(unfinished(source));
    found.extend(unwraps(source));
    found
}

impl Ban {
    fn matches(&self, path: &Path) -> bool {
        let mut runs = path.segments.windows(self.words.len());
        runs.any(|run| run.iter().zip(self.words).all(|(a, b)| a == b))
    }
}

impl Source {
    /// Where these tokens follow each other: the line, and whether it is only in tests.
    pub fn sequences(&self, want: &[&str]) -> Vec<(usize, bool)> {
        let same = |(token, want): (&Token, &&str)| !token.literal && token.text == *want;
        let runs = self.tokens.windows(want.len());
        runs.filter(|run| run.iter().zip(want).all(same))
            .map(|run| (run[0].lines.0, run[0].test))
            .collect()
    }

    pub fn finding(&self, line: usize, what: String) -> Finding {
        Finding {
            path: self.path.clone(),
            line,
            what,
        }
    }
}

fn unfinished(source: &Source) -> Vec<Finding> {
    let mut found = Vec::new();
    for name in ["todo", "unimplemented", "dbg"] {
        let places = source.sequences(&[name, "!"]);
        found.extend(
            places
                .into_iter()
                .map(|(line, _)| source.finding(line, format!("`{name}!`: unfinished"))),
        );
    }
    found
}

fn unwraps(source: &Source) -> Vec<Finding> {
    let places = source.sequences(&[".", "unwrap", "("]);
    places
        .into_iter()
        .filter(|(_, test)| !test)
        .map(|(line, _)| source.finding(line, "`unwrap()` outside tests".to_owned()))
        .collect()
}

/// A capacity that is a number belongs into limits.rs if it is more than a small buffer.
pub fn bare_capacities(source: &Source) -> Vec<Finding> {
    if source.path == "src/limits.rs" || !source.path.starts_with("src/") {
        return Vec::new();
    }
    let tokens = &source.tokens;
    let mut found = Vec::new();
    for at in 0..tokens.len() {
        if tokens[at].text != "with_capacity" || tokens[at].test {
            continue;
        }
        let inside = tokens[at + 1..]
            .iter()
            .skip(1)
            .take_while(|token| token.text != ")");
        let mut factors = inside
            .filter(|token| token.text != "*")
            .map(|token| number(&token.text));
        let product = factors.try_fold(1u64, |product, factor| {
            Some(product.saturating_mul(factor?))
        });
        if product.is_some_and(|product| product > 1024) {
            let what = "a capacity over 1024 has a name in src/limits.rs".to_owned();
            found.push(source.finding(tokens[at].lines.0, what));
        }
    }
    found
}

fn number(text: &str) -> Option<u64> {
    let digits: String = text.chars().filter(|c| *c != '_').collect();
    let end = digits
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(digits.len());
    digits[..end].parse().ok()
}

/// Calls that the whole of the server makes in one place. None is as wrong as two: then the rule
/// looks for something that has another name by now.
pub fn once_in_the_tree(sources: &[Source]) -> Vec<Finding> {
    let within = |place: &'static str| {
        sources
            .iter()
            .filter(move |source| source.path.starts_with(place))
    };
    let mut found = Vec::new();
    let mut clocks = Vec::new();
    for source in within("src/event_loop/") {
        let calls = source.sequences(&["Instant", "::", "now"]);
        clocks.extend(
            calls
                .into_iter()
                .filter(|(_, test)| !test)
                .map(|(line, _)| (source, line)),
        );
    }
    let mut removals = Vec::new();
    for source in within("src/") {
        // The slab of connections is the field `peers`; see below for any other.
        for call in ["remove", "try_remove", "clear", "drain", "retain"] {
            let calls = source.sequences(&["peers", ".", call, "("]);
            removals.extend(calls.into_iter().map(|(line, _)| (source, line)));
        }
        for run in source.tokens.windows(3) {
            let [name, colon, kind] = run else { continue };
            if kind.text == "Slab" && colon.text == ":" && name.text != "peers" {
                let what = format!("the slab `{}`: it is called `peers`", name.text);
                found.push(source.finding(kind.lines.0, what));
            }
        }
    }
    for (places, what) in [
        (
            clocks,
            "`Instant::now` in the event loop: one tick, one moment",
        ),
        (removals, "`peers.remove`: connections go in `reap` only"),
    ] {
        if places.len() > 1 {
            let each = places.iter();
            found.extend(each.map(|(source, line)| source.finding(*line, format!("{what}; once"))));
        } else if let (Some(source), []) = (within("src/event_loop/").next(), &places[..]) {
            found.push(source.finding(1, format!("{what}; nowhere")));
        }
    }
    found
}
