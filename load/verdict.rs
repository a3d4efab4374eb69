//! What a run came to, and whether that is good enough.
//!
//! Values only: what can be wrong, how often it was, and an example of each to look at.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Serialize;
use serde::ser::{SerializeMap, SerializeSeq, Serializer};

use crate::bounds::REFUSALS;
use crate::latency::Latency;
use crate::units::plain;

macro_rules! faults {
    ($( $variant:ident $name:literal $help:literal; )+) => {
        /// What can be wrong.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Fault {
            $( #[doc = $help] $variant, )+
        }

        impl Fault {
            /// All of them, the worst first.
            pub const ALL: &'static [Self] = &[ $( Self::$variant, )+ ];

            /// Its name in reports, and behind `--max-`.
            pub const fn name(self) -> &'static str {
                match self { $( Self::$variant => $name, )+ }
            }

            /// What it means.
            pub const fn help(self) -> &'static str {
                match self { $( Self::$variant => $help, )+ }
            }
        }
    };
}

faults! {
    Lost "lost" "Somebody in the room never heard a message.";
    Duplicated "duplicated" "Somebody heard a message twice.";
    Reordered "reordered" "Somebody heard a message after a later one.";
    SilentHole "silent-holes" "An entry was passed over without a word, and never came.";
    Misdelivered "misdelivered" "Somebody heard what was not for this room or of this run.";
    Altered "altered" "A message or an acknowledgement came other than it was sent.";
    NeverSeen "never-seen" "A message was acknowledged, and nobody heard it.";
    Unanswered "unanswered" "A message was neither acknowledged nor refused.";
    AnnouncedHole "announced-holes" "The server said that an entry will not be brought.";
}

/// How often, and the first time.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Tally {
    /// How often.
    pub count: u64,
    /// An example.
    pub first: Option<String>,
}

/// Refused messages, by code and name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Refusals(pub BTreeMap<(u32, String), Tally>);

/// What a run came to.
#[derive(Clone, Debug, Default)]
pub struct Verdict {
    /// Messages that were due.
    pub said: u64,
    /// Of these, how many have a place in the log.
    pub acknowledged: u64,
    /// Entries that were not the swarm's, such as people's words. No fault.
    pub strangers: u64,
    /// By code.
    pub refused: Refusals,
    faults: BTreeMap<Fault, Tally>,
}

/// What is good enough.
#[derive(Clone, Debug, Default)]
pub struct Limits {
    /// How often each may be.
    pub faults: BTreeMap<Fault, u64>,
    /// How many messages may be refused.
    pub refused: u64,
    /// How long so large a share of the deliveries may take, corrected: `("p99", 0.99, 50 ms)`.
    pub latency: Vec<(&'static str, f64, Duration)>,
}

impl Tally {
    /// Counts, and keeps the first example.
    pub fn add(&mut self, count: u64, example: impl FnOnce() -> String) {
        if count > 0 && self.first.is_none() {
            self.first = Some(plain(&example()));
        }
        self.count = self.count.saturating_add(count);
    }
}

impl Refusals {
    /// Counts one.
    pub fn note(&mut self, code: u32, name: &str, example: impl FnOnce() -> String) {
        let mut key = (code, plain(name));
        if self.0.len() >= REFUSALS && !self.0.contains_key(&key) {
            key = (0, "others".to_owned());
        }
        self.0.entry(key).or_default().add(1, example);
    }

    /// All of them together.
    pub fn count(&self) -> u64 {
        self.0.values().map(|tally| tally.count).sum()
    }
}

impl Verdict {
    /// Counts one.
    pub fn note(&mut self, fault: Fault, example: impl FnOnce() -> String) {
        self.add(fault, 1, example);
    }

    /// Counts several.
    pub fn add(&mut self, fault: Fault, count: u64, example: impl FnOnce() -> String) {
        if count > 0 {
            self.faults.entry(fault).or_default().add(count, example);
        }
    }

    /// All of them together.
    pub fn faults(&self) -> u64 {
        let counts = self.faults.values().map(|tally| tally.count);
        counts.fold(0, u64::saturating_add)
    }

    /// How often, and the first time.
    pub fn tally(&self, fault: Fault) -> Tally {
        self.faults.get(&fault).cloned().unwrap_or_default()
    }
}

impl Limits {
    /// One sentence for each limit that did not hold.
    pub fn broken(&self, verdict: &Verdict, latency: &Latency) -> Vec<String> {
        let mut broken = self.broken_faults(verdict);
        broken.extend(self.broken_refused(verdict.refused.count()));
        broken.extend(self.broken_latency(latency));
        broken
    }

    /// Those about faults.
    pub fn broken_faults(&self, verdict: &Verdict) -> Vec<String> {
        let mut broken = Vec::new();
        for (fault, most) in &self.faults {
            let Tally { count, first } = verdict.tally(*fault);
            if count > *most {
                let first = first.unwrap_or_default();
                broken.push(format!(
                    "{}: {count}, at most {most}; {first}",
                    fault.name()
                ));
            }
        }
        broken
    }

    /// That about refusals.
    pub fn broken_refused(&self, refused: u64) -> Option<String> {
        let most = self.refused;
        (refused > most).then(|| format!("refused: {refused}, at most {most}"))
    }

    /// Those about latencies.
    pub fn broken_latency(&self, latency: &Latency) -> Vec<String> {
        let mut broken = Vec::new();
        let none = latency.percentiles().count == 0;
        for (name, share, most) in &self.latency {
            if none {
                broken.push(format!(
                    "{name}: nothing was heard that it could be told from"
                ));
                continue;
            }
            let found = latency.at(*share);
            if found > *most {
                let ms = |time: Duration| time.as_secs_f64() * 1000.0;
                broken.push(format!(
                    "{name}: {:.3} ms, at most {:.3} ms",
                    ms(found),
                    ms(*most)
                ));
            }
        }
        broken
    }
}

impl Serialize for Refusals {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Row<'a> {
            code: u32,
            name: &'a str,
            #[serde(flatten)]
            tally: &'a Tally,
        }
        let mut rows = serializer.serialize_seq(Some(self.0.len()))?;
        for ((code, name), tally) in &self.0 {
            let code = *code;
            rows.serialize_element(&Row { code, name, tally })?;
        }
        rows.end()
    }
}

/// Every fault has its member, also where there was none.
impl Serialize for Verdict {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("said", &self.said)?;
        map.serialize_entry("acknowledged", &self.acknowledged)?;
        for fault in Fault::ALL {
            map.serialize_entry(fault.name(), &self.tally(*fault))?;
        }
        map.serialize_entry("refused", &self.refused)?;
        map.serialize_entry("strangers", &self.strangers)?;
        map.end()
    }
}

#[cfg(test)]
mod tests {
    use kith::clock::Moment;

    use super::*;

    #[test]
    fn a_server_can_refuse_in_many_words_and_none_of_them_moves_a_cursor() {
        let mut refused = Refusals::default();
        for code in 0..2 * REFUSALS as u32 {
            refused.note(code, "\u{1b}[2J", || "a\nb".to_owned());
        }
        assert_eq!(
            (refused.0.len(), refused.count()),
            (REFUSALS + 1, 2 * REFUSALS as u64)
        );
        let ((code, name), tally) = refused.0.last_key_value().unwrap();
        assert_eq!(
            (*code as usize, name.as_str()),
            (REFUSALS - 1, "\u{fffd}[2J")
        );
        assert_eq!(tally.first.as_deref(), Some("a\u{fffd}b"));
    }

    #[test]
    fn limits_hold_up_to_their_number() {
        let mut verdict = Verdict::default();
        verdict.note(Fault::Lost, || "the first".to_owned());
        verdict.note(Fault::Lost, || "the second".to_owned());
        let mut latency = Latency::new();
        latency.record(Moment(0), Moment(30_000_000));
        let broken = |lost, ms| {
            let limits = Limits {
                faults: BTreeMap::from([(Fault::Lost, lost), (Fault::Reordered, 0)]),
                refused: 0,
                latency: vec![("p99", 0.99, Duration::from_millis(ms))],
            };
            limits.broken(&verdict, &latency)
        };
        assert_eq!(broken(2, 31), [""; 0]);
        assert_eq!(broken(1, 31), ["lost: 2, at most 1; the first"]);
        assert_eq!(broken(2, 29).len(), 1);
        // Of what nobody has heard nobody knows how fast it was.
        let limits = Limits {
            latency: vec![("p99", 0.99, Duration::MAX)],
            ..Limits::default()
        };
        let unknown = limits.broken(&verdict, &Latency::new());
        assert_eq!(
            unknown,
            ["p99: nothing was heard that it could be told from"]
        );
        // A server can say any number.
        verdict.add(Fault::SilentHole, u64::MAX, || "all".to_owned());
        assert_eq!(verdict.faults(), u64::MAX);
    }
}
