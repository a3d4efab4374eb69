//! What happened, counted over all seeds, so that a simulation in which something never happens any
//! more is noticed.

use std::collections::BTreeMap;

/// How often what happened.
#[derive(Clone, Debug, Default)]
pub struct Counts(BTreeMap<&'static str, u64>);

/// What has to have happened, and how often at least, in 256 seeds.
const WANTED: &[(&str, u64)] = &[
    ("commits that failed without effect", 20),
    ("commits that nobody could tell of, done", 5),
    ("commits that nobody could tell of, undone", 5),
    ("statements that failed", 10),
    ("checkpoints that failed", 5),
    ("crashes inside a transaction", 5),
    ("crashes between commit and answer", 5),
    ("crashes in the middle of a turn", 40),
    ("drains that ended well", 40),
    ("drains that were cut off", 1),
    ("resumes", 700),
    ("resumes from the beginning", 70),
    ("guests who proved themselves", 1000),
    ("names that were taken", 500),
    ("pages read", 400),
    ("pages from memory", 400),
    ("pages to scroll", 50),
    ("holes of retention", 100),
    ("holes without history", 100),
    ("resets", 100),
    ("wrong cursors", 40),
    ("listeners put behind", 1000),
    ("answers that stand for the entry", 4000),
    ("answers before the entry", 200),
    ("asked to list anew", 1000),
    ("lists", 700),
    ("answers", 4000),
    ("answers to duplicates", 200),
    ("keys used for another command", 15),
    ("refusals: busy", 200),
    ("refusals: store_failed", 40),
    ("refusals: store_unknown", 40),
    ("refusals: too_fast", 1000),
    ("refusals: stopping", 15),
    ("entries", 20_000),
    ("entries in JSON", 10_000),
    ("entries in protobuf", 10_000),
    ("exits", 100),
    ("goodbyes", 100),
    ("restarts told", 200),
    ("closed for silence", 20),
    ("closed for slowness", 40),
    ("closed without a name", 40),
    ("clocks set", 70),
    ("connections gone dark", 100),
    ("connections reset", 100),
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
