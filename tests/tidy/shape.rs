//! The shape of a file: how it begins, how long it is, how long its functions and lines are.

use crate::Finding;
use crate::source::Source;

const FILE_LINES: usize = 500;
const FUNCTION_LINES: usize = 70;
const COLUMNS: usize = 100;

/// All of it.
pub fn shape(source: &Source) -> Vec<Finding> {
    let mut found = Vec::new();
    if !source.text.starts_with("//!") {
        found.push(source.finding(
            1,
            "a file begins with `//!`: what it is, what it refuses to know".to_owned(),
        ));
    }
    let lines = source.text.lines().count();
    if lines > FILE_LINES {
        found.push(source.finding(
            lines,
            format!("a file of {lines} lines; {FILE_LINES} at most"),
        ));
    }
    for (name, range) in &source.functions {
        if range.len() > FUNCTION_LINES {
            let what = format!(
                "`{name}` has {} lines; {FUNCTION_LINES} at most",
                range.len()
            );
            found.push(source.finding(range.start, what));
        }
    }
    found.extend(width(source));
    found
}

/// What nobody can break is forgiven: literals, addresses, tables in comments.
fn width(source: &Source) -> Vec<Finding> {
    let literals = source.tokens.iter().filter(|token| token.literal);
    let literals: Vec<_> = literals
        .map(|token| (token.lines, token.text.chars().count()))
        .collect();
    let forgiven = |line: usize, width: usize| {
        let mut here = literals
            .iter()
            .filter(|(lines, _)| lines.0 <= line && line <= lines.1);
        // A literal of several lines forgives all of them.
        let several = here.clone().any(|(lines, _)| lines.0 < lines.1);
        several || width <= COLUMNS + here.by_ref().map(|(_, chars)| chars).sum::<usize>()
    };
    let lines = source.text.lines().enumerate();
    lines
        .map(|(at, text)| (at + 1, text, text.chars().count()))
        .filter(|(_, text, width)| *width > COLUMNS && !text.contains("://") && !table(text))
        .filter(|(line, _, width)| !forgiven(*line, *width))
        .map(|(line, _, width)| source.finding(line, format!("{width} columns; {COLUMNS} at most")))
        .collect()
}

fn table(text: &str) -> bool {
    text.trim_start_matches([' ', '/', '!', '*'])
        .starts_with('|')
}
