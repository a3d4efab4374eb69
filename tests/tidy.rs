//! The style of the house as a test. What each rule is for stands beside it, in `tests/tidy/`;
//! below, every rule is shown something that it must find.

#![allow(clippy::unwrap_used)]

#[path = "tidy/floors.rs"]
mod floors;
#[path = "tidy/shape.rs"]
mod shape;
#[path = "tidy/source.rs"]
mod source;
#[path = "tidy/tree.rs"]
mod tree;
#[path = "tidy/words.rs"]
mod words;

use std::path::Path;

use source::Source;

/// Something that is not as it should be.
pub struct Finding {
    path: String,
    line: usize,
    what: String,
}

/// Everything that is wrong with these files.
fn tidy(files: &[(String, Vec<u8>)]) -> Vec<String> {
    let mut found = tree::top_level(files);
    let mut sources = Vec::new();
    for (path, bytes) in files {
        // What is not text is no concern of this test.
        let Ok(text) = std::str::from_utf8(bytes) else {
            continue;
        };
        found.extend(tree::portable(path, text));
        if path.ends_with(".rs") {
            match Source::new(path, text) {
                Ok(source) => sources.push(source),
                Err(what) => found.push(Finding {
                    path: path.clone(),
                    line: 1,
                    what,
                }),
            }
        }
    }
    for source in &sources {
        found.extend(shape::shape(source));
        found.extend(floors::imports_go_down(source));
        found.extend(floors::the_swarm_is_a_client(source));
        found.extend(words::banned_words(source));
        found.extend(words::bare_capacities(source));
    }
    found.extend(words::once_in_the_tree(&sources));
    let show = |f: &Finding| format!("{}:{}: {}", f.path, f.line, f.what);
    let mut found: Vec<_> = found.iter().map(show).collect();
    // `use crate::{app::A, app::B}` is one mistake.
    found.dedup();
    found
}

#[test]
fn the_tree_is_tidy() {
    // Cargo starts tests in the root of the package.
    let files = tree::files(Path::new("."));
    assert!(
        files.iter().any(|(path, _)| path == "src/lib.rs"),
        "this is the root"
    );
    let found = tidy(&files);
    assert!(
        found.is_empty(),
        "\n{}\n{} findings",
        found.join("\n"),
        found.len()
    );
}

/// Each file must bring the one finding that is named, and no other.
fn check(table: &[(&str, &str, &str)]) {
    for (path, text, want) in table {
        let text = match path.ends_with(".rs") {
            true => format!("//! A test.\n{text}\n"),
            false => (*text).to_owned(),
        };
        let found = tidy(&[((*path).to_owned(), text.clone().into_bytes())]);
        match *want {
            "" => assert!(found.is_empty(), "{found:?} in {path}:\n{text}"),
            want => {
                assert_eq!(found.len(), 1, "{found:?} in {path}:\n{text}");
                assert!(
                    found[0].contains(want),
                    "{found:?} is not {want}, in {path}:\n{text}"
                );
            }
        }
    }
}

#[test]
fn imports_go_down_only() {
    check(&[
        ("src/conn/a.rs", "use crate::limits::HEAD_BYTES;", ""),
        (
            "src/conn/a.rs",
            "use crate::event_loop::Tick;",
            "conn looks up at event_loop",
        ),
        (
            "src/conn/a.rs",
            "use crate::{ids, wire::{self, Frame}};",
            "conn looks sideways at wire",
        ),
        (
            "src/conn/a.rs",
            "use crate::{\n    ids,\n    store,\n};",
            "conn looks sideways at store",
        ),
        (
            "src/conn/a.rs",
            "fn f() { crate::app::run(); }",
            "conn looks up at app",
        ),
        (
            "src/conn/a.rs",
            "use super::super::store::Job;",
            "conn looks sideways at store",
        ),
        ("src/conn/a.rs", "use super::frame::Frame;", ""),
        (
            "src/conn/mod.rs",
            "use super::store::Job;",
            "conn looks sideways at store",
        ),
        ("src/clock.rs", "use super::*;", "`*` has no floor"),
        (
            "src/clock.rs",
            "mod tests { use super::*; use crate::ids; }",
            "clock looks sideways at ids",
        ),
        (
            "src/clock.rs",
            "mod tests { use super::super::chat; }",
            "clock looks up at chat",
        ),
        ("src/clock.rs", "use crate as kith;", "`crate as`"),
        (
            "src/conn/a.rs",
            "macro_rules! m { () => { $crate::chat::f() } }",
            "",
        ),
        (
            "src/conn/a.rs",
            "macro_rules! m { () => { $crate::app::f() } }",
            "conn looks up at app",
        ),
        ("src/main.rs", "use kith::app;", ""),
        ("src/wire/a.rs", "use kith::app;", "wire looks up at app"),
        ("src/attic.rs", "", "`attic` has no floor"),
        (
            "src/conn/a.rs",
            "// use crate::app;\nconst A: &str = \"crate::app::b\";",
            "",
        ),
    ]);
}

#[test]
fn the_swarm_uses_what_a_client_may_know() {
    check(&[
        ("load/a.rs", "use kith::{conn::client, wire::pb};", ""),
        ("load/a.rs", "use kith::chat::name;", "knows no `chat`"),
        ("load/a.rs", "use kith::{ids, store};", "knows no `store`"),
        ("load/a.rs", "fn f() { kith::app::run() }", "knows no `app`"),
        ("load/bench/a.rs", "use kith::chat::name;", ""),
    ]);
}

#[test]
fn the_domain_is_pure() {
    check(&[
        (
            "src/chat/a.rs",
            "use std::net::ToSocketAddrs;",
            "`std::net`",
        ),
        (
            "src/chat/a.rs",
            "use std::{fmt, time::{Duration, Instant}};",
            "`Instant`",
        ),
        (
            "src/chat/a.rs",
            "use std::time::SystemTime;",
            "`SystemTime`",
        ),
        (
            "src/chat/a.rs",
            "fn f() { std::thread::yield_now() }",
            "`thread`",
        ),
        (
            "src/chat/a.rs",
            "fn f() { getrandom::fill(&mut []) }",
            "`getrandom`",
        ),
        (
            "src/chat/a.rs",
            "fn f() { Entropy::System; }",
            "`Entropy::System`",
        ),
        ("src/chat/a.rs", "fn f() { log::info!(\"a\") }", "`log::`"),
        (
            "src/chat/a.rs",
            "fn f() { let log = 1; log.max(2); println!(); }",
            "`println`",
        ),
        (
            "src/chat/a.rs",
            "use std::collections::HashMap;",
            "`HashMap`",
        ),
        (
            "src/chat/a.rs",
            "use std::collections::HashSet;",
            "`HashSet`",
        ),
        ("src/chat/a.rs", "use crate::chat::log::Log;", ""),
        ("src/wire/a.rs", "use std::collections::HashMap;", ""),
        (
            "src/chat/a.rs",
            "/// A HashMap.\nconst A: &str = \"Instant\";",
            "",
        ),
    ]);
}

#[test]
fn banned_words_are_found_in_code_and_only_there() {
    let may = "a runtime lives in one file";
    check(&[
        ("load/a.rs", "use std::cell::{Cell, RefCell};", "`RefCell`"),
        ("src/conn/a.rs", "use mio::Token;", "`mio`"),
        ("src/store/a.rs", "use tokio::task;", may),
        ("src/grpc.rs", "use tokio::task;", ""),
        ("load/a.rs", "use tokio::task;", may),
        ("load/compare/a/src/main.rs", "use tokio::task;", ""),
        ("load/compare/a/src/main.rs", "use std::env;", ""),
        (
            "load/compare/a/src/main.rs",
            "fn f() { x.unwrap(); }",
            "`unwrap()`",
        ),
        ("src/store/a.rs", "use std::{env, io};", "`std::env`"),
        ("src/app.rs", "use std::env;", ""),
        ("tests/a.rs", "fn f() { std::thread::sleep(x) }", "`sleep`"),
        (
            "src/store/a.rs",
            "#[cfg(test)] mod tests { use std::thread::sleep; }",
            "`sleep`",
        ),
        ("tests/common/a.rs", "fn f() { std::thread::sleep(x) }", ""),
        ("src/store/a.rs", "fn f() { x.unwrap(); }", "`unwrap()`"),
        (
            "src/store/a.rs",
            "#[cfg(test)]\nmod tests { fn f() { x.unwrap(); } }",
            "",
        ),
        (
            "src/store/a.rs",
            "#[cfg(test)]\nmod tests {}\nfn f() { x.unwrap(); }",
            "`unwrap()`",
        ),
        ("src/store/a.rs", "fn f() { x.unwrap_or(1); }", ""),
        ("tests/a.rs", "fn f() { x.unwrap(); }", ""),
        ("tests/a.rs", "fn f() { todo!() }", "`todo!`"),
        (
            "load/a.rs",
            "fn f() { unimplemented!() }",
            "`unimplemented!`",
        ),
        ("build.rs", "fn f() { dbg!(1); }", "`dbg!`"),
        (
            "src/chat/a.rs",
            "/// A RefCell, todo!\nconst A: &str = \"dbg!(unwrap())\";",
            "",
        ),
    ]);
}

#[test]
fn large_capacities_have_a_name() {
    check(&[
        (
            "src/conn/a.rs",
            "fn f() { Vec::<u8>::with_capacity(1025); }",
            "has a name",
        ),
        (
            "src/conn/a.rs",
            "fn f() { Vec::<u8>::with_capacity(2 * 1_024usize); }",
            "has a name",
        ),
        (
            "src/conn/a.rs",
            "fn f() { Vec::<u8>::with_capacity(1024); }",
            "",
        ),
        (
            "src/conn/a.rs",
            "fn f() { Vec::<u8>::with_capacity(HEAD_BYTES); }",
            "",
        ),
        (
            "src/conn/a.rs",
            "#[test]\nfn f() { Vec::<u8>::with_capacity(4096); }",
            "",
        ),
    ]);
}

#[test]
fn what_happens_in_one_place_happens_in_one_place() {
    let good = "fn f() { Instant::now(); self.peers.remove(1); }";
    check(&[
        ("src/event_loop/a.rs", good, ""),
        (
            "src/event_loop/a.rs",
            "fn f() { self.peers.remove(1); }",
            "one moment; nowhere",
        ),
        (
            "src/event_loop/a.rs",
            "fn f() { Instant::now(); }",
            "in `reap` only; nowhere",
        ),
        (
            "src/store/a.rs",
            "struct A { jobs: Slab<Job> }",
            "the slab `jobs`",
        ),
        ("src/store/a.rs", "struct A { peers: Slab<Job> }", ""),
    ]);
    let twice = |more: &str| {
        let file =
            |path: &str, text: &str| (path.to_owned(), format!("//! A.\n{text}").into_bytes());
        tidy(&[
            file("src/event_loop/a.rs", good),
            file("src/event_loop/b.rs", more),
        ])
        .len()
    };
    assert_eq!(twice("fn g() {}"), 0);
    assert_eq!(twice("fn g() { Instant::now(); }"), 2);
    assert_eq!(twice("fn g() { a.peers.try_remove(1); }"), 2);
}

#[test]
fn files_functions_and_lines_have_an_end() {
    let lines = |count: usize| "// a\n".repeat(count);
    let function = |count: usize| format!("fn f() {{\n{}}}", "    a();\n".repeat(count));
    let wide = "a".repeat(95);
    check(&[
        ("src/ids.rs", &lines(498), ""),
        ("src/ids.rs", &lines(500), "a file of 502 lines"),
        ("load/a.rs", &function(68), ""),
        ("load/a.rs", &function(69), "`f` has 71 lines"),
        (
            "tests/a.rs",
            &format!("mod a {{ impl A {{ {} }} }}", function(69)),
            "`f` has 71 lines",
        ),
        ("src/ids.rs", &format!("// {wide}"), ""),
        ("src/ids.rs", &format!("// {wide}xyz"), "101 columns"),
        ("src/ids.rs", &format!("// https://{wide}xyz"), ""),
        ("src/ids.rs", &format!("/// | {wide} | table |"), ""),
        ("src/ids.rs", &format!("const A: &str = \"{wide}\";"), ""),
        (
            "src/ids.rs",
            &format!("const A: &str = {wide}{wide}(\"\");"),
            "columns",
        ),
        (
            "src/ids.rs",
            &format!("const A: &str = \"\n{wide}{wide}\n\";"),
            "",
        ),
    ]);
    let found = tidy(&[("src/ids.rs".to_owned(), b"use std::fmt;\n".to_vec())]);
    assert!(
        found.len() == 1 && found[0].contains("begins with `//!`"),
        "{found:?}"
    );
    let found = tidy(&[("src/ids.rs".to_owned(), b"//! A.\nfn f( {".to_vec())]);
    assert!(
        found.len() == 1 && found[0].starts_with("src/ids.rs:1: "),
        "{found:?}"
    );
}

#[test]
fn nothing_ties_the_tree_to_a_machine() {
    let home = concat!("cd /ho", "me/alice/kith");
    let registry = concat!("https://registry.", "npmjs.org/ws");
    check(&[
        ("README.md", home, "is a place on one machine"),
        (
            ".ci/run",
            concat!("cd \"/wo", "rk/kith\""),
            "is a place on one machine",
        ),
        (".ci/run", "mkdir -p .ci/work/venv", ""),
        ("README.md", registry, "clients know their registry"),
        (
            "tests/a/package-lock.json",
            "{\"resolved\": \"a\"}",
            "ties a lock file",
        ),
        (
            "tests/a/package-lock.json",
            "{\"integrity\": \"sha512\"}",
            "",
        ),
        ("notes.txt", "", "does not belong at the top"),
        ("docs/a.md", "", "does not belong at the top"),
        (
            "src/page/logo.svg",
            "<svg xmlns=\"http://www.w3.org/2000/svg\"/>",
            "",
        ),
    ]);
}
