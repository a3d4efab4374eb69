//! A scenario in a file: the flags' names and values, in TOML.
//!
//! `base` names the scenario that it changes; every other key is a flag without its dashes, and in
//! `[limits]` without `max-`. A file becomes words in front of those that were typed, so that it
//! means what they mean, and what is typed beside it counts more. What is wrong in it is named
//! with its line.
//!
//! ```toml
//! base = "reconnect"
//! clients = 2000
//! duration = "10m"
//!
//! [limits]
//! p99 = "50ms"
//! ```

use std::ffi::OsString;
use std::fmt::Write as _;
use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use clap::{Args as _, Command};
use toml::de::{DeTable, DeValue};

use super::limits::LimitArgs;
use super::plan::{PlanArgs, time, written};
use crate::bounds::SCENARIO_BYTES;
use crate::scenario::{self, SCENARIOS, Scenario};
use crate::verdict::Limits;

/// What was typed for a scenario.
#[derive(Clone, Debug)]
pub enum Chosen {
    /// One of the table.
    Named(&'static Scenario),
    /// A name with a dot or a slash is a file.
    File(PathBuf),
}

/// What a file says.
#[derive(Clone, Debug)]
pub struct Said {
    /// What it changes.
    pub base: &'static Scenario,
    /// Its other keys, as they would be typed.
    pub words: Vec<OsString>,
}

/// A scenario's name, or a file's.
pub fn parse_scenario(text: &str) -> Result<Chosen, String> {
    match scenario::find(text) {
        Some(found) => Ok(Chosen::Named(found)),
        None if text.contains(['.', '/']) => Ok(Chosen::File(text.into())),
        None => Err(format!(
            "{}; a file has a dot or a slash in its name",
            one_of(text)
        )),
    }
}

/// Reads a file.
///
/// # Errors
/// Everything that is wrong with it, a line each: file, line, and what would be right.
pub fn read(path: &Path) -> Result<Said, String> {
    let shown = path.display();
    let text = text(path).map_err(|error| format!("cannot read {shown}: {error}"))?;
    let mut reading = Reading {
        base: None,
        words: Vec::new(),
        wrong: Vec::new(),
    };
    let line = |offset: usize| text[..offset.min(text.len())].matches('\n').count() + 1;
    match DeTable::parse(&text) {
        Ok(table) => reading.table(table.get_ref()),
        Err(error) => {
            let at = error.span().map_or(0, |span| span.start);
            let message = error.message().replace('\n', ", ");
            reading
                .wrong
                .push((at, format!("this is no TOML: {message}")));
        }
    }
    if reading.base.is_none() && reading.wrong.is_empty() {
        let why = format!("`base` is missing; {}", one_of(""));
        reading.wrong.push((0, why));
    }
    match (reading.base, &mut reading.wrong) {
        (Some(base), wrong) if wrong.is_empty() => Ok(Said {
            base,
            words: reading.words,
        }),
        (_, wrong) => {
            wrong.sort();
            let lines = wrong.iter();
            let lines = lines.map(|(at, why)| format!("{shown}:{}: {why}", line(*at)));
            Err(lines.collect::<Vec<_>>().join("\n"))
        }
    }
}

/// All of a file, if that is short enough for a scenario.
fn text(path: &Path) -> io::Result<String> {
    let mut text = String::new();
    let file = File::open(path)?.take(SCENARIO_BYTES + 1);
    io::BufReader::new(file).read_to_string(&mut text)?;
    if text.len() as u64 > SCENARIO_BYTES {
        let why = format!("a scenario has at most {SCENARIO_BYTES} bytes");
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, why));
    }
    Ok(text)
}

/// A scenario and what is good enough, as a file that [`read`] understands.
pub fn print(scenario: &Scenario, good: &Limits) -> String {
    let command = PlanArgs::augment_args(Command::new(""));
    let mut text = format!("# {}\nbase = \"{}\"\n\n", scenario.shows, scenario.name);
    for (key, value) in written(&scenario.plan) {
        let flag = command
            .get_arguments()
            .find(|arg| arg.get_long() == Some(key));
        let help = flag.and_then(|arg| arg.get_help()).map(ToString::to_string);
        // Writing to a String cannot fail.
        let _ = writeln!(text, "# {}\n{key} = {value}", help.unwrap_or_default());
    }
    text.push_str("\n# What may go wrong without the exit status being 1, such as `lost` or `p99`.\n[limits]\n");
    for flag in limits().get_arguments().filter_map(|arg| arg.get_long()) {
        let key = flag.trim_start_matches("max-");
        let _ = match written_limit(key, good) {
            Some(given) => writeln!(text, "{key} = {given}"),
            None if key.starts_with('p') => writeln!(text, "# {key} = \"50ms\""),
            None => writeln!(text, "# {key} = 0"),
        };
    }
    text
}

/// A limit that is another than without a word.
fn written_limit(key: &str, good: &Limits) -> Option<String> {
    let mut faults = good.faults.iter();
    let fault = faults.find(|(fault, _)| fault.name() == key);
    let most = match key {
        "refused" => Some(good.refused),
        _ => fault.map(|(_, most)| *most),
    };
    let count = most.filter(|most| *most > 0).map(|most| most.to_string());
    let mut latency = good.latency.iter();
    let found = latency.find(|(name, _, _)| *name == key);
    count.or_else(|| found.map(|(_, _, most)| time(*most)))
}

/// A file as far as it is read: what is wrong by its offset.
struct Reading {
    base: Option<&'static Scenario>,
    words: Vec<OsString>,
    wrong: Vec<(usize, String)>,
}

impl Reading {
    fn table(&mut self, table: &DeTable<'_>) {
        for (name, value) in table {
            let (at, key) = (name.span().start, name.get_ref().as_ref());
            match (key, value.get_ref()) {
                ("base", DeValue::String(text)) => match scenario::find(text) {
                    Some(found) => self.base = Some(found),
                    None => self.wrong(at, format!("base: {}", one_of(text))),
                },
                ("base", _) => self.wrong(at, format!("base: {}", one_of(""))),
                ("limits", DeValue::Table(inner)) => {
                    for (name, value) in inner {
                        let (at, key) = (name.span().start, name.get_ref());
                        let flag = format!("max-{key}");
                        self.put(at, key, &flag, value.get_ref(), &limits());
                    }
                }
                ("limits", _) => self.wrong(at, "limits: this is a table, [limits]".to_owned()),
                (key, value) => {
                    let command = PlanArgs::augment_args(Command::new(""));
                    self.put(at, key, key, value, &command);
                }
            }
        }
    }

    /// One key, if `command` has a flag for it that takes the value.
    fn put(&mut self, at: usize, key: &str, flag: &str, value: &DeValue<'_>, command: &Command) {
        let flags = || command.get_arguments().filter_map(|arg| arg.get_long());
        if !flags().any(|known| known == flag) {
            let known = flags().map(|known| known.trim_start_matches("max-"));
            let known = known.collect::<Vec<_>>().join(", ");
            return self.wrong(at, format!("there is no `{key}` here, but {known}"));
        }
        let text = match value {
            DeValue::String(text) => text.to_string(),
            DeValue::Integer(number) => number.to_string(),
            DeValue::Float(number) => number.to_string(),
            DeValue::Boolean(yes) => yes.to_string(),
            _ => {
                return self.wrong(
                    at,
                    format!("{key}: this is a number, true, false or a text in quotes"),
                );
            }
        };
        let word = format!("--{flag}={text}");
        let alone = command.clone().no_binary_name(true);
        match alone.try_get_matches_from([&word]) {
            Ok(_) => self.words.push(word.into()),
            Err(error) => {
                let why = std::error::Error::source(&error).map(ToString::to_string);
                let why = why.unwrap_or_else(|| "this cannot be its value".to_owned());
                self.wrong(at, format!("{key} = {text}: {why}"));
            }
        }
    }

    fn wrong(&mut self, at: usize, why: String) {
        self.wrong.push((at, why));
    }
}

fn limits() -> Command {
    LimitArgs::augment_args(Command::new(""))
}

/// The scenarios there are, as the end of a sentence.
fn one_of(text: &str) -> String {
    let names: Vec<_> = SCENARIOS.iter().map(|scenario| scenario.name).collect();
    let near = names
        .iter()
        .map(|name| (strsim::damerau_levenshtein(text, name), name))
        .filter(|(distance, name)| *distance <= 1.max(name.len() / 3))
        .min();
    match near {
        Some((_, near)) => format!("there is no scenario `{text}`; did you mean {near}?"),
        None => format!("a scenario is one of {}", names.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::args::{Options, Task, parse};

    /// Writes a file, reads it, and is gone.
    fn with_file(text: &str, more: &[&str]) -> Result<Options, String> {
        use std::sync::atomic::{AtomicU32, Ordering};
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("kith-swarm-{}-{number}.toml", std::process::id());
        let path = std::env::temp_dir().join(name);
        fs::write(&path, text).unwrap();
        let shown = path.display().to_string();
        let words = [&["kith-swarm", &shown], more].concat();
        let parsed = parse(words.into_iter().map(OsString::from));
        fs::remove_file(&path).unwrap();
        match parsed {
            Ok(Task::Run(options)) => Ok(*options),
            Ok(other) => panic!("{other:?}"),
            Err(error) => Err(error.to_string().replace(&shown, "FILE")),
        }
    }

    #[test]
    fn every_scenario_that_is_printed_reads_as_what_it_was() {
        for scenario in SCENARIOS {
            let text = print(scenario, &Limits::default());
            let read = with_file(&text, &["--serve", "true"]).unwrap();
            // Everybody who talks is a number in a file.
            let mut plan = scenario.plan;
            plan.talkers = plan.talkers();
            assert_eq!(read.plan, plan, "{text}");
            // What is behind `#` can be taken in as it stands.
            let all = text.lines().map(|line| match line.strip_prefix("# ") {
                Some(rest) if rest.contains(" = ") => rest,
                _ => line,
            });
            let read = with_file(&all.collect::<Vec<_>>().join("\n"), &["--serve", "true"]);
            assert_eq!(read.unwrap().limits.latency.len(), 3);
        }
        for flag in PlanArgs::augment_args(Command::new("")).get_arguments() {
            let key = flag.get_long().unwrap();
            let written = written(&SCENARIOS[0].plan);
            assert!(written.iter().any(|(known, _)| *known == key), "{key}");
        }
    }

    #[test]
    fn what_was_typed_and_what_another_file_says_is_printed() {
        let text = "base = 'slow'\n[limits]\nlost = 3\np99 = '1500us'\n";
        let read = with_file(text, &["--max-refused", "2", "--rate", "5"]).unwrap();
        let slow = scenario::find("slow").unwrap();
        let plan = read.plan;
        let again = print(&Scenario { plan, ..*slow }, &read.limits);
        let again = with_file(&again, &[]).unwrap();
        assert_eq!(again.plan, plan);
        assert_eq!(again.limits.faults, read.limits.faults);
        assert_eq!(
            (again.limits.refused, again.limits.latency),
            (2, read.limits.latency)
        );
    }

    #[test]
    fn a_file_changes_its_base_and_what_is_typed_counts_more() {
        let text = "base = 'reconnect'\nclients = 7\nrate = 2\nevery = '1s'\n[limits]\nlost = 3\np99 = '50ms'\n";
        let read = with_file(text, &["--rate", "3.5", "--max-lost", "4"]).unwrap();
        assert!(read.scenario.ends_with(".toml"));
        assert_eq!((read.plan.clients, read.plan.cut), (7, 0.1));
        assert_eq!(read.plan.pace.rate, 3.5);
        assert_eq!(read.limits.faults[&crate::verdict::Fault::Lost], 4);
        assert_eq!(read.limits.latency.len(), 1);
    }

    #[test]
    fn what_is_wrong_in_a_file_has_its_line_and_what_would_be_right() {
        for (text, says) in [
            (
                "clients = 7\n",
                "FILE:1: `base` is missing; a scenario is one of lobby, ",
            ),
            (
                "base = 'loby'\n",
                "FILE:1: base: there is no scenario `loby`; did you mean lobby?",
            ),
            ("base = 7\n", "FILE:1: base: a scenario is one of lobby, "),
            (
                "\nbase = 'lobby'\nclient = 7\n",
                "FILE:3: there is no `client` here, but clients, ",
            ),
            (
                "base = 'lobby'\nrate = 'fast'\n",
                "FILE:2: rate = fast: a rate is from 0 to 1000000",
            ),
            (
                "base = 'lobby'\nclients = 0\n",
                "FILE:2: clients = 0: there are 1 to 1000000 clients",
            ),
            (
                "base = 'lobby'\nduration = 10\n",
                "FILE:2: duration = 10: a time looks like 50ms",
            ),
            (
                "base = 'lobby'\ncut = [0.5]\n",
                "FILE:2: cut: this is a number, true, false or a text",
            ),
            (
                "base = 'lobby'\ncut = true\n",
                "FILE:2: cut = true: a share is from 0 to 1",
            ),
            (
                "base = 'lobby'\n[limits]\nlate = 1\n",
                "FILE:3: there is no `late` here, but lost, ",
            ),
            (
                "base = 'lobby'\n[limits]\nlost = -1\n",
                "FILE:3: lost = -1: ",
            ),
            (
                "base = 'lobby'\nlimits = 1\n",
                "FILE:2: limits: this is a table",
            ),
            ("base = 'lobby\n", "FILE:1: this is no TOML: "),
            (
                &"#".repeat(SCENARIO_BYTES as usize + 1),
                "cannot read FILE: a scenario has at most 1048576 bytes",
            ),
        ] {
            let error = with_file(text, &[]).unwrap_err();
            assert!(error.contains(says), "{text}: {error}");
        }
        // All of it at once, in order.
        let error = with_file("base = 'lobby'\nrate = -1\nwaves = 'x'\n", &[]).unwrap_err();
        assert!(error.contains("FILE:2: rate = -1: ") && error.contains("\nFILE:3: waves = x: "));
        let error = read(Path::new("./no/such.toml")).unwrap_err();
        assert!(error.starts_with("cannot read ./no/such.toml: No such file"));
    }
}
