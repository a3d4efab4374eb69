//! The README's tables are what the code says. `KITH_BLESS=1 cargo test --test docs` writes them.

#![allow(clippy::unwrap_used)]

use std::fmt::Write;
use std::fs;

use kith::chat::closing::CloseCode;
use kith::chat::refusal::ErrorCode;
use kith::cli::settings;

const README: &str = "README.md";

/// What stands between `<!-- table: name -->` and `<!-- end -->`.
fn tables() -> [(&'static str, String); 3] {
    [
        ("settings", settings::markdown()),
        ("errors", errors()),
        ("closings", closings()),
    ]
}

fn errors() -> String {
    let mut out = String::from("| code | name | later? | meaning |\n|---|---|---|---|\n");
    for code in ErrorCode::ALL {
        let later = if code.temporary() { "yes" } else { "no" };
        let (number, name, help) = (code.number(), code.name(), code.help());
        writeln!(out, "| {number} | `{name}` | {later} | {help} |").unwrap();
    }
    out
}

fn closings() -> String {
    let mut out = String::from("| code | reason | come back? | meaning |\n|---|---|---|---|\n");
    for code in CloseCode::ALL {
        let back = if code.come_back() { "yes" } else { "no" };
        let (number, name, help) = (code.number(), code.name(), code.help());
        writeln!(out, "| {number} | {name} | {back} | {help} |").unwrap();
    }
    out
}

/// The text with this table in its place.
///
/// # Errors
/// When the text has no place for it.
fn with(text: &str, name: &str, table: &str) -> Result<String, String> {
    let begin = format!("<!-- table: {name} -->\n");
    let missing = || format!("{README} has no {}", begin.trim());
    let start = text.find(&begin).ok_or_else(missing)? + begin.len();
    let end = text[start..].find("<!-- end -->").ok_or_else(missing)? + start;
    Ok(format!("{}{table}{}", &text[..start], &text[end..]))
}

#[test]
fn the_readme_has_the_tables_of_the_code() {
    let found = fs::read_to_string(README).unwrap();
    let mut wanted = found.clone();
    for (name, table) in tables() {
        wanted = with(&wanted, name, &table).unwrap();
    }
    if std::env::var_os("KITH_BLESS").is_some() {
        fs::write(README, &wanted).unwrap();
    } else {
        let lines = found.lines().zip(wanted.lines());
        let first = lines.clone().find(|(found, wanted)| found != wanted);
        assert!(
            found == wanted,
            "{README} differs from the code, first at {first:?}; KITH_BLESS=1 cargo test --test docs"
        );
    }
}

#[test]
fn a_table_that_is_old_or_missing_is_noticed() {
    let text = "a\n<!-- table: x -->\nold\n<!-- end -->\nb\n";
    let new = "a\n<!-- table: x -->\nnew\n<!-- end -->\nb\n";
    assert_eq!(with(text, "x", "new\n").as_deref(), Ok(new));
    assert!(with(text, "y", "new\n").is_err());
    assert!(with("<!-- table: x -->\n", "x", "").is_err());
}
