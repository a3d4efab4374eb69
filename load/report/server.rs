//! What a report says of processes: the server's and the swarm's own.

use std::time::Duration;

use serde::Serialize;

use crate::latency::Percentiles;
use crate::numbers::Numbers;
use crate::observe::{Observation, Snapshot};
use crate::watch::{Holdings, Spent};

/// The server's process, or its processes one after the other. CPU time, switches and what is made
/// of them are of the time from when everybody was in until the last message, unless said
/// otherwise.
#[derive(Clone, Debug, Serialize)]
pub struct Server {
    /// The last one's number.
    pub pid: u32,
    /// How many there were; more than one means restarts.
    pub processes: u32,
    /// CPU time of all its threads.
    pub cpu_s: f64,
    /// Of it in the program.
    pub user_s: f64,
    /// Of it in the kernel.
    pub kernel_s: f64,
    /// CPU time for each delivery; none without deliveries.
    pub cpu_us_per_delivery: Option<f64>,
    /// CPU time for each client while the room filled.
    pub cpu_us_per_handshake: f64,
    /// How often threads waited for something, ...
    pub voluntary_switches: u64,
    /// ... and how often one was put off its core.
    pub involuntary_switches: u64,
    /// By thread, in order of CPU time.
    pub threads: Vec<Thread>,
    /// Resident memory before the first connection, ...
    pub resident_before: Option<u64>,
    /// ... with everybody in, ...
    pub resident_filled: Option<u64>,
    /// ... and after the last message; none where there was no process then.
    pub resident_after: Option<u64>,
    /// What each client added while the room filled. A server that was busy before has memory
    /// left over, and shows less than it takes.
    pub resident_per_client: u64,
    /// Memory at the same moments, pages that are shared counted in shares; none where that may
    /// not be known.
    pub proportional_before: Option<u64>,
    /// With everybody in.
    pub proportional_filled: Option<u64>,
    /// After the last message.
    pub proportional_after: Option<u64>,
    /// What each client added.
    pub proportional_per_client: Option<u64>,
    /// Open files at the same moments.
    pub files_before: Option<u64>,
    /// With everybody in.
    pub files_filled: Option<u64>,
    /// After the last message.
    pub files_after: Option<u64>,
}

/// Threads of one name.
#[derive(Clone, Debug, Serialize)]
pub struct Thread {
    /// That; of a process's first thread it is the program's.
    pub name: String,
    /// CPU time in the program.
    pub user_s: f64,
    /// CPU time in the kernel.
    pub kernel_s: f64,
    /// Both, for each delivery; none without deliveries.
    pub cpu_us_per_delivery: Option<f64>,
    /// How often it waited for something.
    pub voluntary_switches: u64,
    /// How often it was put off its core.
    pub involuntary_switches: u64,
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

impl Server {
    /// From what was seen.
    pub fn new(seen: &Observation, numbers: &Numbers, clients: u32) -> Self {
        let Observation {
            before,
            filled,
            after,
            ..
        } = seen;
        let each = |cpu: Duration| {
            let some = numbers.deliveries > 0;
            some.then(|| cpu.as_secs_f64() * 1e6 / numbers.deliveries as f64)
        };
        let clients = u64::from(clients);
        let spent = after.totals.spent().since(filled.totals.spent());
        let filling = filled.totals.spent().since(before.totals.spent());
        let held = |of: fn(&Holdings) -> Option<u64>| {
            [before, filled, after].map(|moment: &Snapshot| moment.holdings.as_ref().and_then(of))
        };
        let added =
            |[before, filled, _]: [Option<u64>; 3]| Some(filled?.saturating_sub(before?) / clients);
        let resident = held(|holdings| Some(holdings.resident));
        let proportional = held(|holdings| holdings.proportional);
        let files = held(|holdings| holdings.files);
        let threads = after.totals.since(&filled.totals);
        let mut threads: Vec<Thread> = threads
            .into_iter()
            .map(|(name, spent)| Thread::new(name, spent, each(spent.cpu.total())))
            .collect();
        threads.sort_by(|a, b| b.cpu_s().total_cmp(&a.cpu_s()));
        Self {
            pid: seen.pid,
            processes: seen.processes,
            cpu_s: spent.cpu.total().as_secs_f64(),
            user_s: spent.cpu.user.as_secs_f64(),
            kernel_s: spent.cpu.kernel.as_secs_f64(),
            cpu_us_per_delivery: each(spent.cpu.total()),
            cpu_us_per_handshake: filling.cpu.total().as_secs_f64() * 1e6 / clients as f64,
            voluntary_switches: spent.voluntary,
            involuntary_switches: spent.involuntary,
            threads,
            resident_before: resident[0],
            resident_filled: resident[1],
            resident_after: resident[2],
            resident_per_client: added(resident).unwrap_or(0),
            proportional_before: proportional[0],
            proportional_filled: proportional[1],
            proportional_after: proportional[2],
            proportional_per_client: added(proportional),
            files_before: files[0],
            files_filled: files[1],
            files_after: files[2],
        }
    }
}

impl Thread {
    fn new(name: String, spent: Spent, cpu_us_per_delivery: Option<f64>) -> Self {
        Self {
            name,
            user_s: spent.cpu.user.as_secs_f64(),
            kernel_s: spent.cpu.kernel.as_secs_f64(),
            cpu_us_per_delivery,
            voluntary_switches: spent.voluntary,
            involuntary_switches: spent.involuntary,
        }
    }

    /// Both together.
    pub fn cpu_s(&self) -> f64 {
        self.user_s + self.kernel_s
    }
}

impl Swarm {
    /// From what was seen.
    pub fn new(numbers: &Numbers, seen: &Observation) -> Self {
        let lateness = numbers.lateness.percentiles();
        let corrected = numbers.corrected.percentiles();
        let seconds = numbers.talked.as_secs_f64();
        let spent = seen.after.totals.spent().since(seen.filled.totals.spent());
        let cpu_share = if seconds > 0.0 {
            spent.cpu.total().as_secs_f64() / seconds
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
