//! What `kith check` and `kith settings` print.
//!
//! Floor 5. Text only: returns it, and leaves printing and exit codes to `app.rs`. Made for 80
//! columns.

use std::fmt::Write;

use crate::cli::config::{Config, ConfigError};
use crate::cli::layers::Loaded;
use crate::cli::settings::SETTINGS;

/// The columns that text is wrapped at.
const COLUMNS: usize = 80;

/// Every setting, its value and where that was said, and what is unsafe about them.
pub fn report(loaded: &Loaded) -> String {
    let mut out = String::new();
    let files: Vec<_> = loaded
        .files
        .iter()
        .map(|file| file.display().to_string())
        .collect();
    let files = match files.is_empty() {
        true => "no settings file".to_owned(),
        false => files.join(", "),
    };
    line(
        &mut out,
        format_args!("Profile {}, {files}.\n", loaded.profile),
    );
    let keys = width(loaded.values.iter().map(|(key, ..)| *key));
    let values = width(loaded.values.iter().map(|(_, value, _)| shown(value)));
    for (key, value, source) in &loaded.values {
        let value = shown(value);
        if value.chars().count() > values {
            line(&mut out, format_args!("  {key:keys$}  {value}"));
            line(
                &mut out,
                format_args!("  {:keys$}  {:values$}  {source}", "", ""),
            );
        } else {
            line(
                &mut out,
                format_args!("  {key:keys$}  {value:values$}  {source}"),
            );
        }
    }
    out.push('\n');
    for warning in &loaded.warnings {
        wrap(&mut out, "warning: ", warning);
    }
    if !loaded.warnings.is_empty() {
        out.push('\n');
    }
    out.push_str("The settings can be used.\n");
    out
}

/// What is wrong, one line each, and what to do about it.
pub fn complaint(errors: &[ConfigError]) -> String {
    let mut out = String::new();
    for error in errors {
        line(&mut out, format_args!("error: {error}"));
    }
    out
}

/// Every setting, explained.
pub fn manual() -> String {
    let mut out = String::new();
    wrap(
        &mut out,
        "",
        "In kith.toml a dot makes a table: lobby.keep is \"keep\" under [lobby]. In the \
         environment lobby.keep is KITH_LOBBY_KEEP, on the command line --set lobby.keep=5000.",
    );
    let mut config = Config::default();
    for setting in SETTINGS {
        let value = setting.value(&mut config);
        let default = if value.is_empty() { "empty" } else { &value };
        line(
            &mut out,
            format_args!("\n{} ({}; default {default})", setting.key, setting.kind()),
        );
        wrap(&mut out, "    ", setting.help);
    }
    out
}

fn shown(value: &str) -> &str {
    if value.is_empty() { "(empty)" } else { value }
}

/// The widest of these, but no wider than leaves room for where they came from.
fn width<'a>(cells: impl Iterator<Item = &'a str>) -> usize {
    cells
        .map(|cell| cell.chars().count())
        .max()
        .unwrap_or(0)
        .min(28)
}

fn line(out: &mut String, text: std::fmt::Arguments<'_>) {
    // Writing to a String cannot fail.
    let _ = writeln!(out, "{text}");
}

/// Writes `text` between words, each line indented as far as `first` is long.
fn wrap(out: &mut String, first: &str, text: &str) {
    let mut used = first.len();
    out.push_str(first);
    for (nth, word) in text.split_whitespace().enumerate() {
        if nth > 0 && used + 1 + word.chars().count() > COLUMNS {
            out.push('\n');
            out.push_str(&" ".repeat(first.len()));
            used = first.len();
        } else if nth > 0 {
            out.push(' ');
            used += 1;
        }
        out.push_str(word);
        used += word.chars().count();
    }
    out.push('\n');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_manual_names_every_setting_and_fits_a_terminal() {
        let text = manual();
        for setting in SETTINGS {
            assert!(
                text.contains(&format!("\n{} (", setting.key)),
                "{}",
                setting.key
            );
        }
        let long: Vec<_> = text
            .lines()
            .filter(|line| line.chars().count() > COLUMNS)
            .collect();
        assert!(long.is_empty(), "{long:#?}");
    }

    #[test]
    fn words_that_do_not_fit_go_to_the_next_line() {
        let mut out = String::new();
        wrap(&mut out, "note: ", &"word ".repeat(20));
        let lines: Vec<_> = out.lines().collect();
        assert_eq!(lines.len(), 2);
        assert!(lines.iter().all(|line| line.len() <= COLUMNS));
        assert!(lines[1].starts_with("      word"));
    }
}
