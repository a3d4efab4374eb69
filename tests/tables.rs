//! Holds the tables in README.md to the tables in the code: settings, commands, refusals,
//! close codes.
//!
//! After a change of the code, `KITH_BLESS=1 cargo test --test tables` writes them anew.

#![allow(clippy::unwrap_used)]

use std::fmt::Write as _;

use kith::chat::closing::CloseCode;
use kith::chat::command::Command;
use kith::chat::refusal::ErrorCode;
use kith::cli::config::Config;
use kith::cli::settings::SETTINGS;

/// A table of Markdown: the heads, then the rows.
fn table<const N: usize>(heads: [&str; N], rows: impl Iterator<Item = [String; N]>) -> String {
    let mut out = format!("| {} |\n|{}\n", heads.join(" | "), "---|".repeat(N));
    for row in rows {
        writeln!(out, "| {} |", row.join(" | ")).unwrap();
    }
    out
}

fn yes(it_is: bool) -> String {
    if it_is { "yes" } else { "no" }.to_owned()
}

fn commands() -> String {
    table(
        ["Command", "Needs a name", "A key makes it happen once"],
        Command::VERBS.iter().map(|verb| {
            [
                format!("`{}`", verb.name),
                yes(verb.signed_in),
                yes(verb.once),
            ]
        }),
    )
}

fn refusals() -> String {
    table(
        ["Code", "Name", "Temporary", "Meaning"],
        ErrorCode::ALL.iter().map(|code| {
            [
                code.number().to_string(),
                format!("`{}`", code.name()),
                yes(code.temporary()),
                code.help().to_owned(),
            ]
        }),
    )
}

fn closings() -> String {
    table(
        ["Code", "Reason", "Come back", "Meaning"],
        CloseCode::ALL.iter().map(|code| {
            [
                code.number().to_string(),
                code.name().to_owned(),
                yes(code.come_back()),
                code.help().to_owned(),
            ]
        }),
    )
}

fn settings() -> String {
    let mut config = Config::default();
    table(
        ["Setting", "Default", "What it does"],
        SETTINGS.iter().map(|setting| {
            let value = match setting.value(&mut config) {
                value if value.is_empty() => "(empty)".to_owned(),
                value => format!("`{value}`"),
            };
            [format!("`{}`", setting.key), value, setting.help.to_owned()]
        }),
    )
}

#[test]
fn the_readme_shows_the_tables_of_the_code() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/README.md");
    let found = std::fs::read_to_string(path).unwrap();
    let mut expected = found.clone();
    for (name, table) in [
        ("settings", settings()),
        ("commands", commands()),
        ("refusals", refusals()),
        ("closings", closings()),
    ] {
        let (begin, end) = (format!("<!-- table: {name} -->\n"), "<!-- end -->");
        let from = expected
            .find(&begin)
            .unwrap_or_else(|| panic!("no {begin}"))
            + begin.len();
        let to = from
            + expected[from..]
                .find(end)
                .unwrap_or_else(|| panic!("no {end}"));
        expected.replace_range(from..to, &format!("\n{table}\n"));
    }
    if std::env::var_os("KITH_BLESS").is_some() {
        std::fs::write(path, &expected).unwrap();
    } else {
        let help = "KITH_BLESS=1 cargo test --test tables writes it";
        assert!(
            found == expected,
            "README.md is behind the code: {help}
{expected}"
        );
    }
}

/// What the documents point to exists: files in back quotes or links, and tests by their names.
#[test]
fn the_documents_point_to_what_is_there() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut checked = 0;
    for document in [
        "README.md",
        "src/ARCHITECTURE.md",
        "tests/clients/README.md",
    ] {
        let text = std::fs::read_to_string(root.join(document)).unwrap();
        let quoted = text.split('`').skip(1).step_by(2);
        let linked = text
            .split("](")
            .skip(1)
            .map(|rest| rest.split(')').next().unwrap());
        for name in quoted.chain(linked) {
            let path = ["src/", "tests/", "load/", "proto/", ".ci/"];
            if path.iter().any(|folder| name.starts_with(folder)) && !name.contains([' ', '*']) {
                assert!(root.join(name).exists(), "{document} names {name}");
                checked += 1;
            }
        }
        for test in text.split("--test ").skip(1) {
            let name: String = test
                .chars()
                .take_while(|c| c.is_alphanumeric() || *c == '_')
                .collect();
            let file = root.join("tests").join(&name);
            let there = file.with_extension("rs").exists() || file.join("main.rs").exists();
            assert!(there, "{document} names the test {name}");
            checked += 1;
        }
    }
    assert!(checked > 10, "{checked}");
}
