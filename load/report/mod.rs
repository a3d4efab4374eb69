//! What a run came to, for programs and for people.
//!
//! Data apart from printing: [`Report`] is the JSON, member for member, as `report.schema.json`
//! describes it; the summary (`text.rs`) and the page (`load/page/`) are made of the same. The
//! shape has a number, [`FORMAT`], which changes when a member goes or means something else; new
//! members may come at any time. Times that end in `_s` are seconds, latencies are milliseconds,
//! memory is bytes.

mod server;
mod text;

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Serialize;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

pub use server::{Server, Swarm, Thread};

use crate::args::Options;
use crate::breaks::Told;
use crate::latency::{CurvePoint, Percentiles};
use crate::numbers::Numbers;
use crate::observe::Observed;
use crate::restarts::Served;
use crate::search::Found;
use crate::series::{MarkTold, Sample};
use crate::verdict::{Limits, Verdict};

/// The number of the shape.
pub const FORMAT: u32 = 2;
/// JSON Schema (2020-12) of the shape.
pub const SCHEMA: &str = include_str!("../report.schema.json");

/// Everything about one run.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// [`FORMAT`].
    pub format: u32,
    /// The swarm's version.
    pub version: &'static str,
    /// When the first connection was made, in UTC (RFC 3339).
    pub started: String,
    /// The scenario's name.
    pub scenario: String,
    /// The server's address.
    pub url: String,
    /// What was to be done.
    pub plan: PlanTold,
    /// What was good enough.
    pub limits: LimitsTold,
    /// Whether all limits held; the exit status says the same.
    pub held: bool,
    /// One sentence for each that did not.
    pub broken: Vec<String>,
    /// Messages, and what was wrong with them: how often, and the first one.
    pub verdict: Verdict,
    /// In milliseconds.
    pub latency: Latencies,
    /// The whole of two of them.
    pub curves: Curves,
    /// What went over the wire.
    pub traffic: Traffic,
    /// When everybody was out at once, and how long it took until they were back.
    pub breaks: Vec<Told>,
    /// The server, if the swarm started it.
    pub serve: Option<Served>,
    /// What it sustains, if that was searched for.
    pub search: Option<Found>,
    /// Whether somebody stopped the run before its end.
    pub interrupted: bool,
    /// The server's process, if it was there to be looked at.
    pub server: Option<Server>,
    /// The swarm's own.
    pub swarm: Swarm,
    /// The run second by second; a long one in longer steps.
    pub samples: Vec<Sample>,
    /// What happened when.
    pub marks: Vec<MarkTold>,
    /// Marks that were too many to be kept.
    pub marks_left_out: u64,
}

/// What was good enough.
#[derive(Clone, Debug, Serialize)]
pub struct LimitsTold {
    /// How often each fault might be.
    pub faults: BTreeMap<&'static str, u64>,
    /// How many messages might be refused.
    pub refused: u64,
    /// What a percentile of the corrected latency might be, in milliseconds; those that were given.
    pub latency: BTreeMap<&'static str, f64>,
}

/// Percentile curves: how long, by the share that took at most so long.
#[derive(Clone, Debug, Serialize)]
pub struct Curves {
    /// From due to heard.
    pub corrected: Vec<CurvePoint>,
    /// From sent to heard.
    pub uncorrected: Vec<CurvePoint>,
}

/// The numbers of the scenario; they are explained where they are given.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct PlanTold {
    pub clients: u32,
    pub talkers: u32,
    pub rate: f64,
    pub burst: u32,
    pub ramp_s: f64,
    pub duration_s: f64,
    pub size: usize,
    pub window: usize,
    pub cut: f64,
    pub flood: bool,
    pub count: bool,
    pub waves: u32,
    pub slow: f64,
    pub flap: f64,
    pub restart: &'static str,
    pub every_s: f64,
}

/// All of them count from the moment a message was due, unless it is said otherwise.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Latencies {
    /// Until it was heard.
    pub corrected: Percentiles,
    /// From when it was sent until it was heard.
    pub uncorrected: Percentiles,
    /// Until it was heard by, or from, somebody whom the swarm had cut off.
    pub after_break: Percentiles,
    /// Until it was heard by, or from, a slow reader.
    pub slow: Percentiles,
    /// Until its sender was told.
    pub acknowledged: Percentiles,
    /// From `connect` to `welcome`.
    pub sign_in: Percentiles,
}

/// What went over the wire.
#[derive(Clone, Debug, Serialize)]
pub struct Traffic {
    /// Messages heard.
    pub deliveries: u64,
    /// Of the time during which messages were due, and until the last of them was heard.
    pub deliveries_per_second: f64,
    /// WebSockets granted.
    pub handshakes: u64,
    /// While the room filled.
    pub handshakes_per_second: f64,
    /// Bytes from the server.
    pub bytes_in: u64,
    /// Bytes to the server.
    pub bytes_out: u64,
    /// Connections that the swarm cut.
    pub cuts: u64,
    /// Connections that were opened besides, to get nothing done.
    pub flaps: u64,
    /// Connections that ended otherwise, by close code or `lost`.
    pub ended: BTreeMap<String, u64>,
}

/// What was seen of a run besides its own numbers.
#[derive(Clone, Debug)]
pub struct Seen {
    /// Second by second, and of the processes.
    pub observed: Observed,
    /// Of the server, if the swarm started it.
    pub served: Option<Served>,
    /// By the search, if there was one.
    pub found: Option<Found>,
}

impl Report {
    /// Puts it together.
    pub fn new(
        options: &Options,
        started: OffsetDateTime,
        numbers: &Numbers,
        verdict: Verdict,
        seen: Seen,
    ) -> Self {
        let Seen {
            observed,
            served: serve,
            found: search,
        } = seen;
        let mut broken = match &search {
            Some(found) => found.broken(&options.limits, &verdict),
            None => options.limits.broken(&verdict, &numbers.corrected),
        };
        broken.extend(serve.iter().flat_map(Served::wrong));
        let clients = options.plan.clients;
        let server = observed.server.as_ref();
        Self {
            format: FORMAT,
            version: env!("CARGO_PKG_VERSION"),
            // Its year has four digits, and nothing else can go wrong.
            started: started.format(&Rfc3339).unwrap_or_default(),
            scenario: options.scenario.clone(),
            url: options.url.to_string(),
            plan: PlanTold::new(options),
            limits: LimitsTold::new(&options.limits),
            held: broken.is_empty(),
            broken,
            verdict,
            latency: Latencies::new(numbers),
            curves: Curves {
                corrected: numbers.corrected.curve(),
                uncorrected: numbers.uncorrected.curve(),
            },
            traffic: Traffic::new(numbers, clients),
            breaks: numbers.breaks.told(),
            serve,
            search,
            interrupted: numbers.interrupted,
            server: server.map(|seen| Server::new(seen, numbers, clients)),
            swarm: Swarm::new(numbers, &observed.swarm),
            samples: observed.samples,
            marks_left_out: observed.marks.left_out(),
            marks: observed.marks.told(),
        }
    }
}

impl LimitsTold {
    fn new(limits: &Limits) -> Self {
        let faults = limits.faults.iter();
        let latency = limits.latency.iter();
        Self {
            faults: faults.map(|(fault, most)| (fault.name(), *most)).collect(),
            refused: limits.refused,
            latency: latency
                .map(|(name, _, most)| (*name, most.as_secs_f64() * 1000.0))
                .collect(),
        }
    }
}

impl Traffic {
    fn new(numbers: &Numbers, clients: u32) -> Self {
        Self {
            deliveries: numbers.deliveries,
            deliveries_per_second: per_second(numbers.deliveries, numbers.talked),
            handshakes: numbers.handshakes,
            handshakes_per_second: per_second(u64::from(clients), numbers.filled),
            bytes_in: numbers.bytes_in,
            bytes_out: numbers.bytes_out,
            cuts: numbers.cuts,
            flaps: numbers.flaps,
            ended: numbers.ended.clone(),
        }
    }
}

impl PlanTold {
    fn new(options: &Options) -> Self {
        let (plan, pace) = (&options.plan, &options.plan.pace);
        Self {
            clients: plan.clients,
            talkers: plan.talkers(),
            rate: pace.rate,
            burst: pace.burst,
            ramp_s: pace.ramp.as_secs_f64(),
            duration_s: pace.duration.as_secs_f64(),
            size: plan.size,
            window: plan.window,
            cut: plan.cut,
            flood: plan.flood,
            count: plan.count,
            waves: plan.waves,
            slow: plan.slow.share,
            flap: plan.flap,
            restart: plan.restart.name(),
            every_s: plan.every.as_secs_f64(),
        }
    }
}

impl Latencies {
    fn new(numbers: &Numbers) -> Self {
        Self {
            corrected: numbers.corrected.percentiles(),
            uncorrected: numbers.uncorrected.percentiles(),
            after_break: numbers.after_break.percentiles(),
            slow: numbers.slow.percentiles(),
            acknowledged: numbers.acknowledged.percentiles(),
            sign_in: numbers.sign_in.percentiles(),
        }
    }

    /// As tables name them.
    pub fn named(&self) -> [(&'static str, Percentiles); 6] {
        [
            ("corrected", self.corrected),
            ("uncorrected", self.uncorrected),
            ("after break", self.after_break),
            ("slow readers", self.slow),
            ("acknowledged", self.acknowledged),
            ("sign-in", self.sign_in),
        ]
    }
}

fn per_second(count: u64, time: Duration) -> f64 {
    let seconds = time.as_secs_f64();
    if seconds > 0.0 {
        count as f64 / seconds
    } else {
        0.0
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;
    use crate::bounds::{MARKS, SAMPLES};
    use crate::series::Mark;
    use crate::verdict::Fault;

    #[test]
    fn the_schema_names_every_mark_and_fault_that_there_can_be() {
        let schema: Value = serde_json::from_str(SCHEMA).unwrap();
        let members = &schema["properties"];
        let marks = &members["marks"];
        let names: Vec<&str> = Mark::ALL.iter().map(|mark| mark.name()).collect();
        assert_eq!(
            marks["items"]["properties"]["what"]["enum"],
            Value::from(names)
        );
        assert_eq!(marks["maxItems"], MARKS);
        assert_eq!(members["samples"]["maxItems"], SAMPLES);
        assert_eq!(members["format"]["const"], FORMAT);
        for fault in Fault::ALL {
            assert!(members["verdict"]["properties"][fault.name()].is_object());
        }
    }
}
