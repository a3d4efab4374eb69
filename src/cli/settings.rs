//! The table of settings. Parser, `kith check`, `kith settings`, the README and the names in the
//! environment all derive from it.
//!
//! Floor 5. A row says how a setting is called, where its value lives in [`Config`] (and thereby of
//! what type it is) and what it does to the people on the server. Where values come from is the
//! business of `layers.rs`. The default of a row is what [`Config::default`] holds in its place.

use std::net::SocketAddr;
use std::path::PathBuf;

use log::LevelFilter;

use crate::cli::config::Config;
use crate::logging::Target;

/// One row.
pub struct Setting {
    /// As in `kith.toml` and after `--set`.
    pub key: &'static str,
    /// Its type and its place.
    pub slot: Slot,
    /// Whether its value may be shown.
    pub shown: Shown,
    /// What it does, with its consequences, in a sentence or two.
    pub help: &'static str,
}

/// The type of a setting, and the place in [`Config`] that holds its value.
pub enum Slot {
    /// `address:port`.
    Address(fn(&mut Config) -> &mut SocketAddr),
    /// A path, relative to where the server was started.
    Folder(fn(&mut Config) -> &mut PathBuf),
    /// Origins of web pages.
    Origins(fn(&mut Config) -> &mut Vec<String>),
    /// true or false.
    Switch(fn(&mut Config) -> &mut bool),
    /// A whole number, and the least that it may be.
    Count(fn(&mut Config) -> &mut u32, u32),
    /// A log level.
    Level(fn(&mut Config) -> &mut LevelFilter),
    /// Parts of the server, each with a log level.
    Targets(fn(&mut Config) -> &mut Vec<Target>),
}

/// Whether `kith check` and error messages may repeat a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shown {
    /// Yes.
    Plainly,
    /// Only that there is one.
    Never,
}

/// A value as somebody gave it.
#[derive(Clone, Debug, PartialEq)]
pub enum Given {
    /// From the environment or a flag, where everything is a word.
    Word(String),
    /// A TOML string.
    Text(String),
    /// A TOML integer, as it was written if it is beyond 64 bits.
    Number(String),
    /// A TOML boolean.
    Switch(bool),
    /// A TOML array of strings.
    List(Vec<String>),
    /// Something that no setting is; in words.
    Other(&'static str),
}

/// The table.
pub const SETTINGS: &[Setting] = &[
    Setting {
        key: "listen",
        slot: Slot::Address(|c| &mut c.listen),
        shown: Shown::Plainly,
        help: "Address and port for all clients. Only this machine reaches 127.0.0.1; with 0.0.0.0 \
               everybody does, and then a proxy with TLS belongs in front.",
    },
    Setting {
        key: "data",
        slot: Slot::Folder(|c| &mut c.data),
        shown: Shown::Plainly,
        help: "The folder that holds everything worth keeping; it is created if it is missing. \
               Back it up. One server at a time uses it.",
    },
    Setting {
        key: "origins",
        slot: Slot::Origins(|c| &mut c.origins),
        shown: Shown::Plainly,
        help: "Web pages that may connect, such as https://chat.example.org. Empty: only pages \
               that come from this server's own host, which is localhost for a server that \
               listens on this machine only: behind a proxy, name the public one here. Programs \
               that are no browser always may.",
    },
    Setting {
        key: "log.level",
        slot: Slot::Level(|c| &mut c.log.level),
        shown: Shown::Plainly,
        help: "How much is logged: off, error, warn, info or debug. At info every message is a \
               line.",
    },
    Setting {
        key: "log.targets",
        slot: Slot::Targets(|c| &mut c.log.targets),
        shown: Shown::Plainly,
        help: "Parts of the server with a level of their own, such as store=debug. Libraries speak \
               from warn up unless they are named here.",
    },
    Setting {
        key: "log.text",
        slot: Slot::Switch(|c| &mut c.log.text),
        shown: Shown::Plainly,
        help: "Whether the words of messages may appear in the log. Off, they never do.",
    },
    Setting {
        key: "lobby.history",
        slot: Slot::Switch(|c| &mut c.lobby.history),
        shown: Shown::Plainly,
        help: "Whether the lobby's messages are stored and acknowledged from disk. Off, they are \
               gone with the server, and talking costs no disk.",
    },
    Setting {
        key: "lobby.keep",
        slot: Slot::Count(|c| &mut c.lobby.keep, 0),
        shown: Shown::Plainly,
        help: "The newest so many entries of the lobby are kept; older ones are deleted for good. \
               0 keeps all of them.",
    },
    Setting {
        key: "limits.talk_rate",
        slot: Slot::Count(|c| &mut c.limits.talk_rate, 0),
        shown: Shown::Plainly,
        help: "Messages per second that one session may send in the long run; more are refused \
               with \"too_fast\". 0 means no limit.",
    },
    Setting {
        key: "limits.talk_burst",
        slot: Slot::Count(|c| &mut c.limits.talk_burst, 1),
        shown: Shown::Plainly,
        help: "Messages that one session may send at once before the rate counts.",
    },
    Setting {
        key: "limits.command_rate",
        slot: Slot::Count(|c| &mut c.limits.command_rate, 0),
        shown: Shown::Plainly,
        help: "Commands of any kind per second of one session. 0 means no limit.",
    },
    Setting {
        key: "limits.command_burst",
        slot: Slot::Count(|c| &mut c.limits.command_burst, 1),
        shown: Shown::Plainly,
        help: "Commands of any kind that one session may send at once.",
    },
    Setting {
        key: "limits.address_talk_rate",
        slot: Slot::Count(|c| &mut c.limits.address_talk_rate, 0),
        shown: Shown::Plainly,
        help: "Messages per second of all sessions from one IP address together; a school behind \
               one router shares it. 0 means no limit.",
    },
    Setting {
        key: "limits.address_talk_burst",
        slot: Slot::Count(|c| &mut c.limits.address_talk_burst, 1),
        shown: Shown::Plainly,
        help: "Messages of all sessions from one IP address that may come at once.",
    },
    Setting {
        key: "limits.connections",
        slot: Slot::Count(|c| &mut c.limits.connections, 1),
        shown: Shown::Plainly,
        help: "Connections at once. Where the system lets the process open fewer files, it is that \
               number less 64; who comes beyond it waits until somebody leaves.",
    },
    Setting {
        key: "metrics.public",
        slot: Slot::Switch(|c| &mut c.metrics.public),
        shown: Shown::Plainly,
        help: "Whether /metrics answers everybody. Off, it answers this machine only.",
    },
];

impl Setting {
    /// The row of this key.
    pub fn find(key: &str) -> Option<&'static Self> {
        SETTINGS.iter().find(|setting| setting.key == key)
    }

    /// The key that somebody who wrote `key` probably meant.
    pub fn nearest(key: &str) -> Option<&'static str> {
        let key = key.to_lowercase().replace('-', "_");
        let last = |key: &str| key.rsplit('.').next().map(str::to_owned);
        SETTINGS
            .iter()
            .map(|setting| {
                let whole = strsim::damerau_levenshtein(&key, setting.key);
                // `history` alone is as good as a slip of the finger in `lobby.history`.
                let distance = match last(setting.key) == last(&key) {
                    true => whole.min(1),
                    false => whole,
                };
                (distance, setting.key)
            })
            .filter(|&(distance, near)| distance <= 1.max(near.len() / 3))
            .min()
            .map(|(_, near)| near)
    }

    /// Its name in the environment: `lobby.keep` is `KITH_LOBBY_KEEP`.
    pub fn variable(&self) -> String {
        format!("KITH_{}", self.key.to_uppercase().replace('.', "_"))
    }

    /// Puts a value into its place.
    ///
    /// # Errors
    /// What would have been right, to follow "should be"; the place keeps what it had.
    pub fn put(&self, config: &mut Config, given: &Given) -> Result<(), String> {
        match &self.slot {
            Slot::Address(place) => *place(config) = address(given)?,
            Slot::Folder(place) => *place(config) = folder(given)?,
            Slot::Origins(place) => *place(config) = list(given, origin, ORIGINS)?,
            Slot::Switch(place) => *place(config) = switch(given)?,
            Slot::Count(place, least) => *place(config) = count(given, *least)?,
            Slot::Level(place) => *place(config) = level(given)?,
            Slot::Targets(place) => *place(config) = list(given, target, TARGETS)?,
        }
        Ok(())
    }

    /// The value that `config` holds, as it would be written after `--set key=`.
    pub fn value(&self, config: &mut Config) -> String {
        if self.shown == Shown::Never {
            return "(not shown)".to_owned();
        }
        match &self.slot {
            Slot::Address(place) => place(config).to_string(),
            Slot::Folder(place) => place(config).display().to_string(),
            Slot::Origins(place) => place(config).join(","),
            Slot::Switch(place) => place(config).to_string(),
            Slot::Count(place, _) => place(config).to_string(),
            Slot::Level(place) => place(config).to_string().to_lowercase(),
            Slot::Targets(place) => {
                let words: Vec<_> = place(config).iter().map(Target::to_string).collect();
                words.join(",")
            }
        }
    }

    /// What may stand there, in a word or two.
    pub fn kind(&self) -> String {
        match &self.slot {
            Slot::Address(_) => "address:port".to_owned(),
            Slot::Folder(_) => "folder".to_owned(),
            Slot::Origins(_) => "list of origins".to_owned(),
            Slot::Switch(_) => "true or false".to_owned(),
            Slot::Count(_, 0) => "number".to_owned(),
            Slot::Count(_, least) => format!("number from {least}"),
            Slot::Level(_) => "level".to_owned(),
            Slot::Targets(_) => "list of part=level".to_owned(),
        }
    }
}

impl Given {
    /// For an error message: what was found.
    pub fn describe(&self) -> String {
        match self {
            Self::Word(text) | Self::Text(text) => format!("{text:?}"),
            Self::Number(digits) => digits.clone(),
            Self::Switch(on) => on.to_string(),
            Self::List(items) => format!("{items:?}"),
            Self::Other(words) => (*words).to_owned(),
        }
    }
}

const ORIGINS: &str = "a list of origins such as \"https://chat.example.org\", without a path";
const TARGETS: &str =
    "a list such as \"store=debug\" (levels: off, error, warn, info, debug, trace)";

fn address(given: &Given) -> Result<SocketAddr, String> {
    let (Given::Word(text) | Given::Text(text)) = given else {
        return Err("an address and a port, such as \"127.0.0.1:9091\"".to_owned());
    };
    text.parse().map_err(|_| {
        "an IP address and a port, such as \"127.0.0.1:9091\" or \"[::1]:9091\"".to_owned()
    })
}

fn folder(given: &Given) -> Result<PathBuf, String> {
    match given {
        Given::Word(text) | Given::Text(text) if !text.is_empty() && !text.contains('\0') => {
            Ok(PathBuf::from(text))
        }
        _ => Err("the path of a folder".to_owned()),
    }
}

fn switch(given: &Given) -> Result<bool, String> {
    match given {
        Given::Switch(on) => Ok(*on),
        Given::Word(word) if word == "true" => Ok(true),
        Given::Word(word) if word == "false" => Ok(false),
        _ => Err("true or false".to_owned()),
    }
}

fn count(given: &Given, least: u32) -> Result<u32, String> {
    let (Given::Word(digits) | Given::Number(digits)) = given else {
        return Err(format!("a whole number from {least} to {}", u32::MAX));
    };
    match digits.parse() {
        Ok(number) if number >= least => Ok(number),
        _ => Err(format!("a whole number from {least} to {}", u32::MAX)),
    }
}

fn level(given: &Given) -> Result<LevelFilter, String> {
    match given {
        Given::Word(word) | Given::Text(word) => word.parse().ok(),
        _ => None,
    }
    .ok_or_else(|| "one of off, error, warn, info, debug, trace".to_owned())
}

fn list<T>(given: &Given, one: fn(&str) -> Option<T>, expected: &str) -> Result<Vec<T>, String> {
    let items: Vec<&str> = match given {
        // Where there is only text, commas make the list; no origin and no part has one.
        Given::Word(text) | Given::Text(text) => text.split(',').map(str::trim).collect(),
        Given::List(items) => items.iter().map(|item| item.trim()).collect(),
        _ => return Err(expected.to_owned()),
    };
    items
        .into_iter()
        .filter(|item| !item.is_empty())
        .map(|item| one(item).ok_or_else(|| expected.to_owned()))
        .collect()
}

/// RFC 6454 section 6.2: scheme, host and perhaps a port, nothing behind them. A `*` would let
/// every page on the web speak in the name of whoever looks at it, and is no origin.
fn origin(text: &str) -> Option<String> {
    let text = text.to_lowercase();
    let host = text
        .strip_prefix("https://")
        .or_else(|| text.strip_prefix("http://"))?;
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"-._:[]".contains(&b);
    (!host.is_empty() && host.bytes().all(plain)).then_some(text)
}

fn target(text: &str) -> Option<Target> {
    text.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn put(key: &str, given: Given) -> Result<String, String> {
        let mut config = Config::default();
        let setting = Setting::find(key).unwrap();
        setting.put(&mut config, &given)?;
        Ok(setting.value(&mut config))
    }

    #[test]
    fn what_is_shown_can_be_given_again() {
        let mut config = Config::default();
        for setting in SETTINGS {
            let shown = setting.value(&mut config);
            assert_eq!(put(setting.key, Given::Word(shown.clone())), Ok(shown));
        }
        assert_eq!(config, Config::default());
    }

    #[test]
    fn a_value_fits_its_setting_or_is_refused() {
        let word = |text: &str| Given::Word(text.to_owned());
        let text = |text: &str| Given::Text(text.to_owned());
        for (key, given, want) in [
            ("listen", word("[::1]:80"), Some("[::1]:80")),
            ("listen", word("localhost"), None),
            ("listen", Given::Number("9091".into()), None),
            ("data", text(""), None),
            (
                "origins",
                word("https://A.example, http://b:81"),
                Some("https://a.example,http://b:81"),
            ),
            ("origins", Given::List(vec!["*".into()]), None),
            ("origins", word("https://a.example/chat"), None),
            ("log.level", text("DEBUG"), Some("debug")),
            ("log.level", word("loud"), None),
            ("log.targets", text("store=debug"), Some("store=debug")),
            ("log.targets", text("store"), None),
            ("log.text", text("true"), None),
            ("log.text", word("true"), Some("true")),
            ("lobby.keep", Given::Number("-1".into()), None),
            ("lobby.keep", text("5"), None),
            ("lobby.keep", word("5"), Some("5")),
            ("limits.talk_burst", word("0"), None),
            ("limits.talk_rate", word("4294967296"), None),
            ("limits.talk_rate", Given::Other("a table"), None),
        ] {
            let got = put(key, given.clone());
            assert_eq!(got.as_deref().ok(), want, "{key} {given:?}");
        }
    }

    #[test]
    fn a_slip_of_the_finger_is_understood() {
        for (typed, meant) in [
            ("listen", Some("listen")),
            ("history", Some("lobby.history")),
            ("lobby.histroy", Some("lobby.history")),
            ("limits.talk-rate", Some("limits.talk_rate")),
            ("Log.Level", Some("log.level")),
            ("database.password", None),
        ] {
            assert_eq!(Setting::nearest(typed), meant, "{typed}");
        }
    }

    #[test]
    fn keys_and_variables_name_one_setting_each() {
        let mut names: Vec<_> = SETTINGS.iter().map(Setting::variable).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), SETTINGS.len());
        assert!(names.contains(&"KITH_LOBBY_KEEP".to_owned()));
    }

    #[test]
    fn a_secret_is_not_shown() {
        let secret = Setting {
            key: "data",
            slot: Slot::Folder(|c| &mut c.data),
            shown: Shown::Never,
            help: "",
        };
        assert_eq!(secret.value(&mut Config::default()), "(not shown)");
    }
}
