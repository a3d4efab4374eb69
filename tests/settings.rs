//! Where settings come from, and what an operator is told when one cannot be used.

#![allow(clippy::unwrap_used)]

mod common;

use common::Folder;
use kith::cli::args::{Environment, Overrides};
use kith::cli::check;
use kith::cli::layers::{self, Loaded, Source};

/// A start in a folder with these files, this environment and these flags.
struct Start<'a> {
    files: &'a [(&'a str, &'a str)],
    environment: Environment,
    set: &'a [&'a str],
}

impl Default for Start<'_> {
    fn default() -> Self {
        Self {
            files: &[],
            environment: [].into(),
            set: &[],
        }
    }
}

impl Start<'_> {
    /// What came of it; the folder is left out of all places.
    fn load(&self) -> Result<Loaded, String> {
        let folder = Folder::new();
        for (name, text) in self.files {
            std::fs::write(folder.path().join(name), text).unwrap();
        }
        let base = folder.path().join("kith.toml");
        let overrides = Overrides {
            config: self
                .files
                .iter()
                .any(|(name, _)| *name == "kith.toml")
                .then_some(base),
            set: self.set.iter().map(|&text| text.to_owned()).collect(),
            ..Overrides::default()
        };
        let prefix = format!("{}/", folder.path().display());
        layers::load(&overrides, &self.environment)
            .map_err(|errors| check::complaint(&errors).replace(&prefix, ""))
    }

    /// The value that counts and where it was said.
    fn value(&self, key: &str) -> (String, String) {
        let loaded = self.load().unwrap();
        let (_, value, source) = loaded.values.iter().find(|(k, ..)| *k == key).unwrap();
        let place = match source {
            Source::File { path, line } => {
                format!("{}:{line}", path.file_name().unwrap().to_string_lossy())
            }
            other => other.to_string(),
        };
        (value.clone(), place)
    }
}

#[test]
fn the_later_layer_counts() {
    let files: &[(&str, &str)] = &[
        ("kith.toml", "# lobby\n[lobby]\nkeep = 1\n"),
        ("kith.prod.toml", "lobby.keep = 2\n"),
    ];
    let variable = ("KITH_LOBBY_KEEP", "3");
    let prod = ("KITH_PROFILE", "prod");
    let table: [(Start, &str, &str); 5] = [
        (Start::default(), "100000", "default"),
        (
            Start {
                files,
                ..Start::default()
            },
            "1",
            "kith.toml:3",
        ),
        (
            Start {
                files,
                environment: [prod].into(),
                set: &[],
            },
            "2",
            "kith.prod.toml:1",
        ),
        (
            Start {
                files,
                environment: [prod, variable].into(),
                set: &[],
            },
            "3",
            "KITH_LOBBY_KEEP",
        ),
        (
            Start {
                files,
                environment: [prod, variable].into(),
                set: &["lobby.keep=4"],
            },
            "4",
            "--set",
        ),
    ];
    for (start, value, place) in table {
        assert_eq!(
            start.value("lobby.keep"),
            (value.to_owned(), place.to_owned())
        );
    }
}

#[test]
fn a_setting_that_cannot_be_used_is_named_with_its_place_and_the_way_out() {
    let toml = |text| Start {
        files: Box::leak(Box::new([("kith.toml", text)])),
        ..Start::default()
    };
    let set = |text| Start {
        set: Box::leak(Box::new([text])),
        ..Start::default()
    };
    let table = [
        (
            toml("[lobby]\n\nhistroy = false\n"),
            "kith.toml:3: there is no setting \"lobby.histroy\"; did you mean \"lobby.history\"?",
        ),
        (
            toml("[databse]\n"),
            "kith.toml:1: there is no setting \"databse\"; `kith settings` lists them all",
        ),
        (
            toml("listen = 9091\n"),
            "kith.toml:1: listen is 9091, but should be an address and a port",
        ),
        (
            toml("lobby.history = \"no\"\n"),
            "kith.toml:1: lobby.history is \"no\", but should be true or false",
        ),
        (
            toml("lobby.keep = 0x10\n"),
            "kith.toml:1: lobby.keep is a number that is not decimal, but should be a whole number",
        ),
        (toml("a = 1\nb ===\n"), "kith.toml:2: this is not TOML: "),
        (
            toml("lobby.keep = 1\nlobby.keep = 2\n"),
            "kith.toml:2: this is not TOML: duplicate key",
        ),
        (
            set("lobby.keep"),
            "--set lobby.keep: should look like --set lobby.keep=5000",
        ),
        (
            set("lobby.keep=many"),
            "--set: lobby.keep is \"many\", but should be a whole number",
        ),
        (set("port=1"), "--set: there is no setting \"port\""),
        (
            Start {
                environment: [("KITH_LOG_LEVEL", "loud")].into(),
                ..Start::default()
            },
            "KITH_LOG_LEVEL: log.level is \"loud\", but should be one of off, error, warn",
        ),
        (
            Start {
                environment: [("KITH_PROFILE", "production")].into(),
                ..Start::default()
            },
            "KITH_PROFILE is \"production\", but should be dev, test or prod",
        ),
    ];
    for (start, want) in table {
        let got = start.load().expect_err(want);
        assert!(
            got.starts_with(&format!("error: {want}")),
            "{got}\nis not\n{want}"
        );
        assert_eq!(got.lines().count(), 1, "{got}");
    }
}

#[test]
fn everything_that_is_wrong_is_told_at_once() {
    let start = Start {
        files: &[("kith.toml", "lisen = 1\n[lobby]\nkeep = -1\n")],
        environment: [("KITH_LOG_TEXT", "perhaps")].into(),
        set: &["lobby.keep=5"],
    };
    assert_eq!(start.load().unwrap_err().lines().count(), 3);
}

#[test]
fn a_file_that_was_named_must_be_there() {
    let overrides = Overrides {
        config: Some("no/such/kith.toml".into()),
        ..Overrides::default()
    };
    let errors = layers::load(&overrides, &[].into()).unwrap_err();
    let text = check::complaint(&errors);
    assert!(
        text.starts_with("error: no/such/kith.toml: cannot be read: "),
        "{text}"
    );
}

#[test]
fn a_foreign_variable_of_our_prefix_is_only_warned_of() {
    let start = Start {
        environment: [("KITH_PORT", "tcp://10.0.0.1:9091")].into(),
        ..Start::default()
    };
    let loaded = start.load().unwrap();
    assert_eq!(loaded.warnings.len(), 1, "{:?}", loaded.warnings);
    assert!(
        loaded.warnings[0].starts_with("KITH_PORT "),
        "{:?}",
        loaded.warnings
    );
}

#[test]
fn a_variable_of_our_prefix_that_names_no_setting_is_an_error() {
    let start = Start {
        environment: [("KITH_LOBBY_KEPT", "3")].into(),
        ..Start::default()
    };
    let text = start.load().unwrap_err();
    assert!(
        text.contains("KITH_LOBBY_KEPT: there is no setting"),
        "{text}"
    );
    assert!(text.contains("lobby.keep"), "{text}");
}

#[test]
fn every_setting_can_be_given_in_every_way() {
    for (key, value, _) in Start::default().load().unwrap().values {
        let set = format!("{key}={value}");
        let variable = format!("KITH_{}", key.to_uppercase().replace('.', "_"));
        let by_flag = Start {
            set: &[&set],
            ..Start::default()
        };
        let by_variable = Start {
            environment: [(variable.as_str(), value.as_str())].into(),
            ..Start::default()
        };
        assert_eq!(by_flag.value(key), (value.clone(), "--set".to_owned()));
        assert_eq!(by_variable.value(key), (value, variable));
    }
}

#[test]
fn check_shows_every_setting_and_warns_of_what_is_unsafe() {
    let start = Start {
        set: &["listen=0.0.0.0:9091", "log.text=true"],
        ..Start::default()
    };
    let text = check::report(&start.load().unwrap());
    assert!(
        text.contains("\n  listen                     0.0.0.0:9091  --set\n"),
        "{text}"
    );
    assert!(
        text.contains("\n  origins                    (empty)       default\n"),
        "{text}"
    );
    assert_eq!(text.matches("\nwarning: ").count(), 2, "{text}");
    let long: Vec<_> = text
        .lines()
        .filter(|line| line.chars().count() > 80)
        .collect();
    assert!(long.is_empty(), "{long:#?}");
}

#[test]
fn a_long_value_does_not_push_its_source_out_of_the_column() {
    let list = "origins=https://chat.example.org,https://team.example.org";
    let start = Start {
        set: &[list],
        ..Start::default()
    };
    let text = check::report(&start.load().unwrap());
    let column = |line: &&str| line.rfind("  ").map(|at| at + 2);
    let rows: Vec<_> = text
        .lines()
        .filter(|line| line.ends_with("default"))
        .collect();
    let own: Vec<_> = text
        .lines()
        .filter(|line| line.ends_with("--set"))
        .collect();
    assert_eq!(own.len(), 1, "{text}");
    assert_eq!(column(&own[0]), column(&rows[0]), "{text}");
}
