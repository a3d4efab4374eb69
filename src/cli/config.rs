//! The settings after validation: plain values, and nothing left to be parsed.
//!
//! Floor 5. `app.rs` takes this apart and hands each part what it needs; the parts know plain
//! numbers and paths, not settings. What a setting means to an operator stands in `settings.rs`.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;

use log::LevelFilter;

use crate::cli::layers::Source;
use crate::limits;
use crate::logging::Target;

/// Everything that an operator may decide. The fields are named as the settings are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// Where clients connect.
    pub listen: SocketAddr,
    /// The folder of everything that outlives the process.
    pub data: PathBuf,
    /// Web pages that may connect, as `scheme://host[:port]` in lower case; empty means those that
    /// this server served.
    pub origins: Vec<String>,
    /// `log.…`
    pub log: Log,
    /// `lobby.…`
    pub lobby: Lobby,
    /// `limits.…`
    pub limits: Limits,
    /// `metrics.…`
    pub metrics: Metrics,
}

/// What is logged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Log {
    /// The least important level that is written.
    pub level: LevelFilter,
    /// Parts of the server with a level of their own.
    pub targets: Vec<Target>,
    /// Whether the words of messages may appear.
    pub text: bool,
}

/// The room that everybody is in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lobby {
    /// Whether its messages are stored.
    pub history: bool,
    /// Entries that are kept, the newest; 0 keeps all.
    pub keep: u32,
}

/// Rates are per second, bursts are what may come at once; a rate of 0 means no limit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Messages of one session.
    pub talk_rate: u32,
    /// At least 1.
    pub talk_burst: u32,
    /// Commands of one session.
    pub command_rate: u32,
    /// At least 1.
    pub command_burst: u32,
    /// Messages of all sessions from one IP address.
    pub address_talk_rate: u32,
    /// At least 1.
    pub address_talk_burst: u32,
    /// Connections at once; `app.rs` lowers it to what the process may open.
    pub connections: u32,
}

/// Who may read the counters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Metrics {
    /// Whether `/metrics` answers peers beyond this machine.
    pub public: bool,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], limits::PORT)),
            data: PathBuf::from("./kith-data"),
            origins: Vec::new(),
            log: Log {
                level: LevelFilter::Info,
                targets: Vec::new(),
                text: false,
            },
            lobby: Lobby {
                history: true,
                keep: limits::LOBBY_KEEP,
            },
            limits: Limits {
                talk_rate: limits::TALK_RATE,
                talk_burst: limits::TALK_BURST,
                command_rate: limits::COMMAND_RATE,
                command_burst: limits::COMMAND_BURST,
                address_talk_rate: limits::ADDRESS_TALK_RATE,
                address_talk_burst: limits::ADDRESS_TALK_BURST,
                connections: limits::CONNECTIONS as u32,
            },
            metrics: Metrics { public: false },
        }
    }
}

impl Config {
    /// What an operator should know before the public comes; one sentence each.
    pub fn warnings(&self) -> Vec<String> {
        let mut out = Vec::new();
        let open = !self.listen.ip().is_loopback();
        if open {
            out.push(format!(
                "listen is {}, which other machines reach, and there is no TLS: put a proxy that has \
                 it in front, or whoever is on the way reads along.",
                self.listen
            ));
        }
        if open && self.metrics.public {
            out.push("metrics.public is on: strangers can read how busy the server is.".to_owned());
        }
        if self.log.text {
            out.push("log.text is on: the log holds what people say to each other.".to_owned());
        }
        for (key, rate) in [
            ("limits.talk_rate", self.limits.talk_rate),
            ("limits.command_rate", self.limits.command_rate),
            ("limits.address_talk_rate", self.limits.address_talk_rate),
        ] {
            if rate == 0 {
                out.push(format!(
                    "{key} is 0: one client alone can keep the server and everybody's screen busy."
                ));
            }
        }
        out
    }
}

/// A setting that cannot be used. Whose fault: the operator's, and the text says where to look.
#[derive(Debug)]
pub enum ConfigError {
    /// A file that was named, or that exists, cannot be read.
    Unreadable {
        /// Which.
        file: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// A file is not TOML.
    NotToml {
        /// Where.
        source: Source,
        /// The parser's words.
        message: String,
    },
    /// There is no such setting.
    UnknownKey {
        /// Where it was given.
        source: Source,
        /// As it was given.
        key: String,
        /// The setting that was probably meant.
        near: Option<&'static str>,
    },
    /// The setting exists, the value does not fit it.
    BadValue {
        /// Where it was given.
        source: Source,
        /// Which setting.
        key: &'static str,
        /// As it was given; nothing of a secret.
        found: String,
        /// What would have been right.
        expected: String,
    },
    /// `--set` without an equals sign.
    NotAnAssignment {
        /// As it was given.
        found: String,
    },
    /// `KITH_PROFILE` is none of the three.
    BadProfile {
        /// As it was given.
        found: String,
    },
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreadable { file, error } => {
                write!(f, "{}: cannot be read: {error}", file.display())
            }
            Self::NotToml { source, message } => write!(f, "{source}: this is not TOML: {message}"),
            Self::UnknownKey { source, key, near } => {
                write!(f, "{source}: there is no setting \"{key}\"")?;
                match near {
                    Some(near) => write!(f, "; did you mean \"{near}\"?"),
                    None => write!(f, "; `kith settings` lists them all"),
                }
            }
            Self::BadValue {
                source,
                key,
                found,
                expected,
            } => write!(f, "{source}: {key} is {found}, but should be {expected}"),
            Self::NotAnAssignment { found } => {
                write!(f, "--set {found}: should look like --set lobby.keep=5000")
            }
            Self::BadProfile { found } => {
                write!(
                    f,
                    "KITH_PROFILE is \"{found}\", but should be dev, test or prod"
                )
            }
        }
    }
}

impl std::error::Error for ConfigError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_need_no_warning() {
        assert_eq!(Config::default().warnings(), Vec::<String>::new());
    }

    #[test]
    fn whatever_opens_the_server_up_is_named() {
        type Change = fn(&mut Config);
        let table: [(Change, &str); 5] = [
            (|c| c.listen.set_ip([0, 0, 0, 0].into()), "no TLS"),
            (|c| c.log.text = true, "log.text"),
            (|c| c.limits.talk_rate = 0, "limits.talk_rate"),
            (|c| c.limits.command_rate = 0, "limits.command_rate"),
            (
                |c| c.limits.address_talk_rate = 0,
                "limits.address_talk_rate",
            ),
        ];
        for (change, word) in table {
            let mut config = Config::default();
            change(&mut config);
            let warnings = config.warnings();
            assert_eq!(warnings.len(), 1, "{warnings:?}");
            assert!(warnings[0].contains(word), "{warnings:?}");
        }
    }
}
