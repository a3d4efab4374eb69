//! What happened, counted over all seeds, so that a simulation in which something never happens any
//! more is noticed.

use std::collections::BTreeMap;

/// How often what happened.
#[derive(Clone, Debug, Default)]
pub struct Counts(BTreeMap<&'static str, u64>);

/// What has to have happened, and how often at least, in 256 seeds.
const WANTED: &[(&str, u64)] = &[
    ("commits that failed without effect", 10),
    ("commits that nobody could tell of, done", 10),
    ("commits that nobody could tell of, undone", 10),
    ("commits that stood alone after a statement failed", 10),
    ("crashes inside a transaction", 10),
    ("crashes between commit and answer", 10),
    ("crashes in the middle of a turn", 50),
    ("drains that ended well", 50),
    ("drains that were cut off", 1),
    ("resumes", 1000),
    ("resumes from the beginning", 100),
    ("guests who proved themselves", 1000),
    ("names that were taken", 50),
    ("pages read", 500),
    ("pages from memory", 100),
    ("pages to scroll", 100),
    ("holes of retention", 50),
    ("holes without history", 50),
    ("resets", 100),
    ("wrong cursors", 100),
    ("listeners put behind", 100),
    ("own entries by page", 10),
    ("asked to list anew", 100),
    ("lists", 1000),
    ("answers", 5000),
    ("answers to duplicates", 200),
    ("keys used for another command", 50),
    ("refusals: busy", 20),
    ("refusals: store_failed", 20),
    ("refusals: store_unknown", 20),
    ("refusals: too_fast", 50),
    ("refusals: stopping", 5),
    ("entries", 10_000),
    ("entries in JSON", 1000),
    ("entries in protobuf", 1000),
    ("exits", 50),
    ("goodbyes", 20),
    ("restarts told", 50),
    ("closed for silence", 5),
    ("closed for slowness", 5),
    ("closed without a name", 1),
    ("clocks set", 50),
    ("connections gone dark", 50),
    ("connections reset", 50),
    ("typing heard", 50),
];

impl Counts {
    pub fn add(&mut self, what: &'static str) {
        self.add_many(what, 1);
    }

    pub fn add_many(&mut self, what: &'static str, times: u64) {
        *self.0.entry(what).or_default() += times;
    }

    pub fn merge(&mut self, other: &Self) {
        for (what, times) in &other.0 {
            self.add_many(what, *times);
        }
    }

    /// What happened less often than it has to.
    pub fn missing(&self) -> Vec<String> {
        let seldom = |(what, least): &(&'static str, u64)| {
            let times = self.0.get(what).copied().unwrap_or(0);
            (times < *least).then(|| format!("{what}: {times} times, and not {least}"))
        };
        WANTED.iter().filter_map(seldom).collect()
    }

    pub fn print(&self) {
        for (what, times) in &self.0 {
            println!("{times:>9}  {what}");
        }
    }
}
