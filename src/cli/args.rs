//! The command line and the environment, as they are.
//!
//! Floor 5. Mirrors what was typed and decides nothing: values stay text until `settings.rs` has
//! looked at them. Besides `app.rs` this is the only file that reads the environment.

use std::env;
use std::path::PathBuf;

use clap::{Parser, Subcommand};

/// What was typed after `kith`.
#[derive(Debug, Parser)]
#[command(
    name = "kith",
    version,
    about = "Kith: a self-hosted chat server. One program, one port, no setup.",
    long_about = LONG_ABOUT,
    after_help = "`kith --help` tells more.",
    after_long_help = AFTER_LONG_HELP,
)]
pub struct Args {
    /// Serving is what it does when it is told nothing.
    #[command(subcommand)]
    pub command: Option<Command>,
    /// Settings that go before all others.
    #[command(flatten)]
    pub overrides: Overrides,
}

/// What to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Subcommand)]
pub enum Command {
    /// Run the server (also what happens without a command).
    Serve,
    /// Show every setting, where it came from, and what is unsafe.
    Check,
    /// Explain every setting.
    Settings,
}

/// Settings on the command line. Text, not values: there is one parser, and it names the place.
#[derive(Clone, Debug, Default, PartialEq, Eq, clap::Args)]
pub struct Overrides {
    /// Take clients here [default: 127.0.0.1:9091]
    #[arg(long, global = true, value_name = "ADDRESS:PORT")]
    pub listen: Option<String>,
    /// Keep everything here [default: ./kith-data]
    #[arg(long, global = true, value_name = "FOLDER")]
    pub data: Option<String>,
    /// off, error, warn, info or debug [default: info]
    #[arg(long, global = true, value_name = "LEVEL")]
    pub log: Option<String>,
    /// Read settings from here [default: ./kith.toml]
    #[arg(long, global = true, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Give any setting, such as lobby.keep=5000
    #[arg(long, global = true, value_name = "KEY=VALUE")]
    pub set: Vec<String>,
}

/// The `KITH_…` part of the environment, sorted by name.
#[derive(Clone, Debug, Default)]
pub struct Environment(Vec<(String, Option<String>)>);

impl Environment {
    /// What the process was started with.
    pub fn read() -> Self {
        let mut variables: Vec<_> = env::vars_os()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok())))
            .filter(|(name, _)| name.starts_with("KITH_"))
            .collect();
        variables.sort();
        Self(variables)
    }

    /// The value of this variable, if it is set and UTF-8.
    pub fn get(&self, name: &str) -> Option<&str> {
        let (_, value) = self.0.iter().find(|(found, _)| found == name)?;
        value.as_deref()
    }

    /// Names and values; a value that is not UTF-8 is `None`.
    pub fn iter(&self) -> impl Iterator<Item = (&str, Option<&str>)> {
        self.0
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_deref()))
    }
}

impl<const N: usize> From<[(&str, &str); N]> for Environment {
    fn from(pairs: [(&str, &str); N]) -> Self {
        let own = |(name, value): (&str, &str)| (name.to_owned(), Some(value.to_owned()));
        Self(pairs.map(own).into())
    }
}

const LONG_ABOUT: &str = "\
Kith: a self-hosted chat server. One program, one port, no setup.

Started without a word, it listens on 127.0.0.1:9091 (this machine only), shows
a page to chat on at http://127.0.0.1:9091/, and takes WebSocket clients at /ws.
Messages are stored in ./kith-data, an SQLite database, before anybody is told
of them. Ctrl-C stops it: clients are asked to come back, and nothing that was
acknowledged is lost. A second Ctrl-C stops it at once.";

const AFTER_LONG_HELP: &str = "\
Most common:
  kith                                     serve on this machine
  kith --listen 0.0.0.0:9091               serve for the network, too

Talk to it from another terminal (https://github.com/vi/websocat):
  websocat 'ws://127.0.0.1:9091/ws?username=alice'
  {\"id\":1,\"talk\":{\"text\":\"hello\"}}

or from Python (pip install websockets):
  from websockets.sync.client import connect
  ws = connect('ws://127.0.0.1:9091/ws?username=bob')
  ws.send('{\"id\":1,\"talk\":{\"text\":\"hello\"}}')
  for frame in ws: print(frame)

Settings count in this order, the last one wins: defaults, kith.toml,
kith.PROFILE.toml (KITH_PROFILE is dev, test or prod; dev if it is not set),
the environment (lobby.keep is KITH_LOBBY_KEEP), the command line.
`kith settings` explains them, `kith check` shows what they are now.

Exit status: 0 stopped in order, or all settings are good; 1 could not start,
or failed; 2 the command line makes no sense; 101 a bug ended the server (the
last line says where; please report it); 130 and 143 stopped at once by a
second Ctrl-C or SIGTERM.";

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn flags_may_stand_before_and_after_the_command() {
        let overrides = |words: &[&str]| {
            let words = [&["kith"], words].concat();
            Args::try_parse_from(words).unwrap().overrides
        };
        let before = overrides(&["--set", "a=1", "--listen", "x", "check"]);
        let after = overrides(&["check", "--set", "a=1", "--listen", "x"]);
        assert_eq!(before, after);
        assert_eq!(before.set, ["a=1"]);
    }

    #[test]
    fn the_help_fits_a_terminal_of_80_columns() {
        let mut command = Args::command();
        for text in [command.render_help(), command.render_long_help()] {
            let text = text.to_string();
            let long: Vec<_> = text
                .lines()
                .filter(|line| line.chars().count() > 80)
                .collect();
            assert!(long.is_empty(), "{long:#?}");
        }
        command.debug_assert();
    }
}
