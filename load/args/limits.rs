//! What is good enough: a flag for each kind of fault, and some for latencies.
//!
//! Knows nothing of a run but what may be wrong with it.

use std::collections::BTreeMap;
use std::time::Duration;

use super::values::parse_duration;
use crate::verdict::{Fault, Limits};

/// As they are typed.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Limits, beyond which the exit status is 1")]
pub struct LimitArgs {
    /// Messages that somebody never heard
    #[arg(long, default_value_t = 0, value_name = "N")]
    max_lost: u64,
    /// Messages that somebody heard twice
    #[arg(long, default_value_t = 0, value_name = "N")]
    max_duplicated: u64,
    /// Messages that somebody heard after a later one
    #[arg(long, default_value_t = 0, value_name = "N")]
    max_reordered: u64,
    /// Entries that were passed over without a word
    #[arg(long, default_value_t = 0, value_name = "N")]
    max_silent_holes: u64,
    /// Entries that were not for this room or of this run
    #[arg(long, default_value_t = 0, value_name = "N")]
    max_misdelivered: u64,
    /// Messages that came other than they were sent
    #[arg(long, default_value_t = 0, value_name = "N")]
    max_altered: u64,
    /// Messages that were acknowledged and not heard by anybody
    #[arg(long, default_value_t = 0, value_name = "N")]
    max_never_seen: u64,
    /// Messages that were neither acknowledged nor refused
    #[arg(long, default_value_t = 0, value_name = "N")]
    max_unanswered: u64,
    /// Entries of which the server said that they will not be brought
    #[arg(long, default_value_t = 0, value_name = "N")]
    max_announced_holes: u64,
    /// Messages that were refused, for whatever reason
    #[arg(long, default_value_t = 0, value_name = "N")]
    max_refused: u64,
    /// Half of the deliveries are as fast as this, such as 5ms
    #[arg(long, value_parser = parse_duration, value_name = "TIME")]
    max_p50: Option<Duration>,
    /// 99 of 100 are
    #[arg(long, value_parser = parse_duration, value_name = "TIME")]
    max_p99: Option<Duration>,
    /// 999 of 1,000 are
    #[arg(long, value_parser = parse_duration, value_name = "TIME")]
    max_p999: Option<Duration>,
}

impl LimitArgs {
    /// As the verdict takes them.
    pub fn limits(&self) -> Limits {
        let faults = BTreeMap::from([
            (Fault::Lost, self.max_lost),
            (Fault::Duplicated, self.max_duplicated),
            (Fault::Reordered, self.max_reordered),
            (Fault::SilentHole, self.max_silent_holes),
            (Fault::Misdelivered, self.max_misdelivered),
            (Fault::Altered, self.max_altered),
            (Fault::NeverSeen, self.max_never_seen),
            (Fault::Unanswered, self.max_unanswered),
            (Fault::AnnouncedHole, self.max_announced_holes),
        ]);
        let latency = [
            ("p50", 0.5, self.max_p50),
            ("p99", 0.99, self.max_p99),
            ("p999", 0.999, self.max_p999),
        ];
        let given = latency.into_iter();
        Limits {
            faults,
            refused: self.max_refused,
            latency: given
                .filter_map(|(name, share, most)| Some((name, share, most?)))
                .collect(),
        }
    }
}
