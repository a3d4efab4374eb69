//! What a run came to, for programs and for people.
//!
//! Data apart from printing: [`Report`] is the JSON, member for member; the summary is made of the
//! same. The shape has a number, [`FORMAT`], which changes when a member goes or means something
//! else; new members may come at any time. Times that end in `_s` are seconds, latencies are
//! milliseconds, memory is bytes.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use serde::Serialize;

use crate::args::Options;
use crate::breaks::Told;
use crate::latency::Percentiles;
use crate::numbers::Numbers;
use crate::restarts::Life;
use crate::verdict::{Fault, Verdict};
use crate::watch::Usage;

/// The number of the shape.
pub const FORMAT: u32 = 1;

/// Everything about one run.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// [`FORMAT`].
    pub format: u32,
    /// The scenario's name.
    pub scenario: String,
    /// The server's address.
    pub url: String,
    /// What was to be done.
    pub plan: PlanTold,
    /// Whether all limits held; the exit status says the same.
    pub held: bool,
    /// One sentence for each that did not.
    pub broken: Vec<String>,
    /// Messages, and what was wrong with them: how often, and the first one.
    pub verdict: Verdict,
    /// In milliseconds.
    pub latency: Latencies,
    /// What went over the wire.
    pub traffic: Traffic,
    /// When everybody was out at once, and how long it took until they were back.
    pub breaks: Vec<Told>,
    /// What started the server, if the swarm did that.
    pub serve: Option<String>,
    /// Where that printed, if it has a name.
    pub serve_output: Option<PathBuf>,
    /// The lives of that server.
    pub lives: Vec<Life>,
    /// Whether somebody stopped the run before its end.
    pub interrupted: bool,
    /// The server's process, if it was there to be looked at from the beginning to the end.
    pub server: Option<Server>,
    /// The swarm's own.
    pub swarm: Swarm,
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
    pub waves: u32,
    pub slow: f64,
    pub flap: f64,
    pub restart: &'static str,
    pub every_s: f64,
    pub flood: bool,
    pub count: bool,
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
    /// Of the time during which messages were due.
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

/// The server's process.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Server {
    /// Its number.
    pub pid: u32,
    /// CPU time of all its threads from the first message to the last.
    pub cpu_s: f64,
    /// The same for each delivery; none without deliveries.
    pub cpu_us_per_delivery: Option<f64>,
    /// Memory before the first connection, ...
    pub resident_before: u64,
    /// ... with everybody in, ...
    pub resident_filled: u64,
    /// ... and after the last message.
    pub resident_after: u64,
    /// What each client added while the room filled. A server that was busy before has memory
    /// left over, and shows less than it takes.
    pub resident_per_client: u64,
}

/// The swarm's own process.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Swarm {
    /// How long after its due time a message was taken up, in milliseconds.
    pub lateness: Percentiles,
    /// CPU time while messages were due, as a share of one core.
    pub cpu_share: f64,
    /// Whether it could not keep up, so that latencies are also its own.
    pub is_bottleneck: bool,
}

/// Looks at a process at the three moments that matter.
#[derive(Clone, Copy, Debug, Default)]
pub struct Watched {
    /// Before the first connection.
    pub before: Usage,
    /// When everybody was in.
    pub filled: Usage,
    /// After the last message.
    pub after: Usage,
}

impl Watched {
    /// So far it was looked at once.
    pub fn since(before: Usage) -> Self {
        Self {
            before,
            ..Self::default()
        }
    }

    fn cpu(&self) -> Duration {
        self.after.cpu.saturating_sub(self.filled.cpu)
    }
}

impl Report {
    /// Puts it together.
    pub fn new(
        options: &Options,
        numbers: &Numbers,
        verdict: Verdict,
        server: Option<(u32, Watched)>,
        swarm: Watched,
        lives: Vec<Life>,
    ) -> Self {
        let mut broken = options.limits.broken(&verdict, &numbers.corrected);
        broken.extend(lives.iter().filter_map(Life::wrong));
        Self {
            format: FORMAT,
            scenario: options.scenario.clone(),
            url: options.url.to_string(),
            plan: PlanTold::new(options),
            held: broken.is_empty(),
            broken,
            verdict,
            latency: Latencies {
                corrected: numbers.corrected.percentiles(),
                uncorrected: numbers.uncorrected.percentiles(),
                after_break: numbers.after_break.percentiles(),
                slow: numbers.slow.percentiles(),
                acknowledged: numbers.acknowledged.percentiles(),
                sign_in: numbers.sign_in.percentiles(),
            },
            traffic: Traffic {
                deliveries: numbers.deliveries,
                deliveries_per_second: per_second(numbers.deliveries, numbers.talked),
                handshakes: numbers.handshakes,
                handshakes_per_second: per_second(u64::from(options.plan.clients), numbers.filled),
                bytes_in: numbers.bytes_in,
                bytes_out: numbers.bytes_out,
                cuts: numbers.cuts,
                flaps: numbers.flaps,
                ended: numbers.ended.clone(),
            },
            breaks: numbers.breaks.told(),
            serve: options.serve.clone(),
            serve_output: options.serve_output.clone(),
            lives,
            interrupted: numbers.interrupted,
            server: server.map(|(pid, watched)| Server {
                pid,
                cpu_s: watched.cpu().as_secs_f64(),
                cpu_us_per_delivery: (numbers.deliveries > 0)
                    .then(|| watched.cpu().as_secs_f64() * 1e6 / numbers.deliveries as f64),
                resident_before: watched.before.resident,
                resident_filled: watched.filled.resident,
                resident_after: watched.after.resident,
                resident_per_client: {
                    let grown = watched
                        .filled
                        .resident
                        .saturating_sub(watched.before.resident);
                    grown / u64::from(options.plan.clients)
                },
            }),
            swarm: Swarm::new(numbers, &swarm),
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
            waves: plan.waves,
            slow: plan.slow.share,
            flap: plan.flap,
            restart: plan.restart.name(),
            every_s: plan.every.as_secs_f64(),
            flood: plan.flood,
            count: plan.count,
        }
    }
}

impl Swarm {
    fn new(numbers: &Numbers, watched: &Watched) -> Self {
        let lateness = numbers.lateness.percentiles();
        let corrected = numbers.corrected.percentiles();
        let seconds = numbers.talked.as_secs_f64();
        let cpu_share = if seconds > 0.0 {
            watched.cpu().as_secs_f64() / seconds
        } else {
            0.0
        };
        // Taking messages up so late that it shows in what is measured, or without a rest.
        let late = lateness.p99 > 5.0 && lateness.p99 > corrected.p99 / 4.0;
        Self {
            lateness,
            cpu_share,
            is_bottleneck: late || cpu_share > 0.9,
        }
    }
}

impl Report {
    fn breaks(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let traffic = &self.traffic;
        if traffic.cuts > 0 || !traffic.ended.is_empty() {
            write!(f, "breaks       {} cut by the swarm", traffic.cuts)?;
            for (how, count) in &traffic.ended {
                write!(f, ", {count} ended by the server ({how})")?;
            }
            writeln!(f)?;
        }
        for told in &self.breaks {
            writeln!(f, "break        {told}")?;
        }
        if traffic.flaps > 0 {
            let count = traffic.flaps;
            writeln!(f, "besides      {count} connections that got nothing done")?;
        }
        Ok(())
    }

    fn latencies(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let latency = &self.latency;
        for (name, percentiles) in [
            ("corrected", &latency.corrected),
            ("uncorrected", &latency.uncorrected),
            ("after break", &latency.after_break),
            ("slow readers", &latency.slow),
            ("acknowledged", &latency.acknowledged),
            ("sign-in", &latency.sign_in),
            ("own lateness", &self.swarm.lateness),
        ] {
            if percentiles.count > 0 {
                writeln!(f, "{name:<12} {percentiles}")?;
            }
        }
        Ok(())
    }
}

/// For people.
impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (verdict, traffic) = (&self.verdict, &self.traffic);
        let PlanTold {
            clients, talkers, ..
        } = self.plan;
        writeln!(
            f,
            "{}: {clients} clients, {talkers} talking, at {}",
            self.scenario, self.url
        )?;
        writeln!(
            f,
            "messages     {} due, {} acknowledged, {} refused",
            verdict.said,
            verdict.acknowledged,
            verdict.refused.count()
        )?;
        for ((code, name), tally) in &verdict.refused.0 {
            let first = tally.first.as_deref().unwrap_or_default();
            writeln!(f, "             {code} {name}: {}; {first}", tally.count)?;
        }
        writeln!(f, "verdict      {}", faults(verdict))?;
        writeln!(
            f,
            "traffic      {} deliveries, {:.0} a second; {} handshakes, {:.0} a second; \
             {} MB in, {} MB out",
            traffic.deliveries,
            traffic.deliveries_per_second,
            traffic.handshakes,
            traffic.handshakes_per_second,
            traffic.bytes_in / 1_000_000,
            traffic.bytes_out / 1_000_000
        )?;
        self.breaks(f)?;
        self.latencies(f)?;
        if self.interrupted {
            writeln!(
                f,
                "note         interrupted: this is about what was said until then"
            )?;
        }
        if let Some(server) = &self.server {
            writeln!(f, "server       {server}")?;
        }
        if self.swarm.is_bottleneck {
            let share = self.swarm.cpu_share * 100.0;
            writeln!(
                f,
                "note         the swarm itself was late, or busy ({share:.0} % of a core): the \
                 latencies are partly its own"
            )?;
        }
        if self.plan.flood {
            writeln!(
                f,
                "note         a flood is not open loop: nobody talks while waiting for an answer, \
                 and latencies count from then"
            )?;
        }
        for broken in &self.broken {
            writeln!(f, "NOT HELD     {broken}")?;
        }
        f.write_str(if self.held {
            "all limits held"
        } else {
            "not all limits held"
        })
    }
}

impl fmt::Display for Percentiles {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            p50,
            p90,
            p99,
            p999,
            p9999,
            max,
            ..
        } = self;
        write!(
            f,
            "p50 {p50:.3}  p90 {p90:.3}  p99 {p99:.3}  p99.9 {p999:.3}  p99.99 {p9999:.3}  \
             max {max:.3} ms"
        )
    }
}

impl fmt::Display for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.2} s of CPU time", self.cpu_s)?;
        if let Some(each) = self.cpu_us_per_delivery {
            write!(f, ", {each:.2} us a delivery")?;
        }
        let mib = |bytes: u64| bytes as f64 / 1048576.0;
        write!(
            f,
            "; resident {:.1} MiB before, {:.1} with everybody in ({} bytes each), {:.1} at the end",
            mib(self.resident_before),
            mib(self.resident_filled),
            self.resident_per_client,
            mib(self.resident_after)
        )
    }
}

fn faults(verdict: &Verdict) -> String {
    let each = Fault::ALL.iter();
    each.map(|fault| format!("{} {}", fault.name(), verdict.tally(*fault).count))
        .collect::<Vec<_>>()
        .join(", ")
}

fn per_second(count: u64, time: Duration) -> f64 {
    let seconds = time.as_secs_f64();
    if seconds > 0.0 {
        count as f64 / seconds
    } else {
        0.0
    }
}
