//! Where values come from, and which one counts.
//!
//! Floor 5. Lowest first: defaults, `kith.toml`, `kith.<profile>.toml`, `KITH_…` in the
//! environment, flags. Each value keeps the place where it was said, so that an error and
//! `kith check` can point there. What a value means is the business of `settings.rs`.

use std::fmt;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use toml::de::{DeTable, DeValue};

use crate::cli::args::{Environment, Overrides};
use crate::cli::config::{Config, ConfigError};
use crate::cli::settings::{Given, SETTINGS, Setting, Shown};

/// Where a value was said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// Nowhere.
    Default,
    /// In a file.
    File {
        /// As it was named.
        path: PathBuf,
        /// From 1.
        line: usize,
    },
    /// In the environment, under this name.
    Variable(String),
    /// On the command line, with this flag.
    Flag(String),
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::File { path, line } => write!(f, "{}:{line}", path.display()),
            Self::Variable(name) | Self::Flag(name) => f.write_str(name),
        }
    }
}

/// A configuration, and how it came about.
#[derive(Debug)]
pub struct Loaded {
    /// What counts.
    pub config: Config,
    /// Every setting in the order of the table: its key, its value as text, where it was said.
    pub values: Vec<(&'static str, String, Source)>,
    /// The files that were read, in the order in which they count.
    pub files: Vec<PathBuf>,
    /// `dev`, `test` or `prod`.
    pub profile: String,
    /// What is not wrong, but unsafe or without effect.
    pub warnings: Vec<String>,
}

/// Reads and merges all layers.
///
/// # Errors
/// Everything that is wrong, not only the first of it. A value that a higher layer replaces must
/// be right all the same: it would be a surprise on the day that the higher one goes.
pub fn load(overrides: &Overrides, environment: &Environment) -> Result<Loaded, Vec<ConfigError>> {
    let mut merge = Merge::default();
    let profile = merge.profile(environment);
    let named = overrides
        .config
        .clone()
        .map(|file| (file, Presence::Required));
    let (base, presence) = named.unwrap_or_else(|| ("kith.toml".into(), Presence::Optional));
    merge.file(&base, presence);
    merge.file(&for_profile(&base, &profile), Presence::Optional);
    merge.environment(environment);
    merge.flags(overrides);
    if !merge.errors.is_empty() {
        return Err(merge.errors);
    }
    let mut config = merge.config;
    merge.warnings.splice(0..0, config.warnings());
    let values = SETTINGS
        .iter()
        .map(|setting| {
            let source = merge
                .sources
                .iter()
                .rev()
                .find(|(key, _)| *key == setting.key);
            let source = source.map_or(Source::Default, |(_, source)| source.clone());
            (setting.key, setting.value(&mut config), source)
        })
        .collect();
    Ok(Loaded {
        config,
        values,
        files: merge.files,
        profile,
        warnings: merge.warnings,
    })
}

/// Whether a file has to be there.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Presence {
    Required,
    Optional,
}

/// The layers as far as they are merged.
#[derive(Default)]
struct Merge {
    config: Config,
    sources: Vec<(&'static str, Source)>,
    files: Vec<PathBuf>,
    warnings: Vec<String>,
    errors: Vec<ConfigError>,
}

impl Merge {
    fn profile(&mut self, environment: &Environment) -> String {
        let found = environment.get("KITH_PROFILE").unwrap_or("dev").to_owned();
        if !["dev", "test", "prod"].contains(&found.as_str()) {
            self.errors.push(ConfigError::BadProfile {
                found: found.clone(),
            });
        }
        found
    }

    fn file(&mut self, path: &Path, presence: Presence) {
        let text = match fs::read_to_string(path) {
            Ok(text) => text,
            Err(error)
                if error.kind() == io::ErrorKind::NotFound && presence == Presence::Optional =>
            {
                return;
            }
            Err(error) => {
                let file = path.to_owned();
                return self.errors.push(ConfigError::Unreadable { file, error });
            }
        };
        self.files.push(path.to_owned());
        let at = |offset: usize| Source::File {
            path: path.to_owned(),
            line: text[..offset.min(text.len())].matches('\n').count() + 1,
        };
        match DeTable::parse(&text) {
            Ok(table) => self.table("", table.get_ref(), &at),
            Err(error) => self.errors.push(ConfigError::NotToml {
                source: at(error.span().map_or(0, |span| span.start)),
                message: error.message().replace('\n', ", "),
            }),
        }
    }

    /// `prefix` is empty or ends with a dot; `at` turns an offset into a place.
    fn table(&mut self, prefix: &str, table: &DeTable<'_>, at: &dyn Fn(usize) -> Source) {
        for (name, value) in table.iter() {
            let key = format!("{prefix}{}", name.get_ref());
            let inside = format!("{key}.");
            let known = SETTINGS
                .iter()
                .any(|setting| setting.key.starts_with(&inside));
            match value.get_ref() {
                // An unknown table is named once by itself if it is empty, else by its keys.
                DeValue::Table(inner) if known || !inner.is_empty() => {
                    self.table(&inside, inner, at);
                }
                other => self.put(&key, &given(other), at(name.span().start)),
            }
        }
    }

    fn environment(&mut self, environment: &Environment) {
        for (name, value) in environment.iter() {
            match SETTINGS.iter().find(|setting| setting.variable() == name) {
                Some(setting) => {
                    let given = match value {
                        Some(text) => Given::Word(text.to_owned()),
                        None => Given::Other("not UTF-8"),
                    };
                    self.put(setting.key, &given, Source::Variable(name.to_owned()));
                }
                None if name == "KITH_PROFILE" => {}
                // Kubernetes sets these for every service that is called kith, wanted or not.
                None if name.starts_with("KITH_PORT") || name.starts_with("KITH_SERVICE_") => {
                    self.warnings.push(format!(
                        "{name} in the environment is not the name of a setting, and has no effect."
                    ));
                }
                None => {
                    let key = name
                        .trim_start_matches("KITH_")
                        .to_lowercase()
                        .replacen('_', ".", 1);
                    self.errors.push(ConfigError::UnknownKey {
                        source: Source::Variable(name.to_owned()),
                        near: Setting::nearest(&key),
                        key,
                    });
                }
            }
        }
    }

    fn flags(&mut self, overrides: &Overrides) {
        for (flag, key, value) in [
            ("--listen", "listen", &overrides.listen),
            ("--data", "data", &overrides.data),
            ("--log", "log.level", &overrides.log),
        ] {
            if let Some(text) = value {
                self.put(
                    key,
                    &Given::Word(text.clone()),
                    Source::Flag(flag.to_owned()),
                );
            }
        }
        for found in &overrides.set {
            match found.split_once('=') {
                Some((key, value)) => {
                    let key = key.trim();
                    let source = Source::Flag("--set".to_owned());
                    self.put(key, &Given::Word(value.trim().to_owned()), source);
                }
                None => self.errors.push(ConfigError::NotAnAssignment {
                    found: found.clone(),
                }),
            }
        }
    }

    fn put(&mut self, key: &str, given: &Given, source: Source) {
        let Some(setting) = Setting::find(key) else {
            return self.errors.push(ConfigError::UnknownKey {
                source,
                key: key.to_owned(),
                near: Setting::nearest(key),
            });
        };
        match setting.put(&mut self.config, given) {
            Ok(()) => self.sources.push((setting.key, source)),
            Err(expected) => self.errors.push(ConfigError::BadValue {
                source,
                key: setting.key,
                found: match setting.shown {
                    Shown::Plainly => given.describe(),
                    Shown::Never => "of the wrong form".to_owned(),
                },
                expected,
            }),
        }
    }
}

/// `kith.toml` and `prod` make `kith.prod.toml`.
fn for_profile(base: &Path, profile: &str) -> PathBuf {
    let extension = base.extension().unwrap_or_default().to_string_lossy();
    base.with_extension(format!("{profile}.{extension}"))
}

fn given(value: &DeValue<'_>) -> Given {
    match value {
        DeValue::String(text) => Given::Text(text.clone().into_owned()),
        // Settings are decimal; 0x10 comes out as what it was written as, and is refused.
        DeValue::Integer(number) if number.radix() == 10 => {
            Given::Number(number.as_str().to_owned())
        }
        DeValue::Integer(_) => Given::Other("a number that is not decimal"),
        DeValue::Boolean(on) => Given::Switch(*on),
        DeValue::Array(items) => {
            let texts = items.iter().map(|item| match item.get_ref() {
                DeValue::String(text) => Some(text.clone().into_owned()),
                _ => None,
            });
            match texts.collect() {
                Some(texts) => Given::List(texts),
                None => Given::Other("a list of things that are not text"),
            }
        }
        DeValue::Float(_) => Given::Other("a number with a fraction"),
        DeValue::Datetime(_) => Given::Other("a date"),
        DeValue::Table(_) => Given::Other("a table"),
    }
}
