//! The summary: a report for people, in as few lines as will do.

use std::fmt;

use super::{PlanTold, Report, Server, Thread};
use crate::latency::Percentiles;
use crate::units::{bytes, count, given, ms, percent, seconds, us};
use crate::verdict::{Fault, Refusals};

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let plan @ PlanTold { rate, size, .. } = &self.plan;
        writeln!(
            f,
            "{}: {} clients at {}, {} talking, {} messages of {} a second for {}\n",
            self.scenario,
            count(u64::from(plan.clients)),
            self.url,
            count(u64::from(plan.talkers)),
            given(*rate),
            bytes(*size as u64),
            seconds(plan.duration_s)
        )?;
        self.messages(f)?;
        self.traffic(f)?;
        self.latencies(f)?;
        if let Some(server) = &self.server {
            server.summary(f)?;
        }
        if self.swarm.is_bottleneck {
            let late = ms(self.swarm.lateness.p99);
            writeln!(
                f,
                "\nNOTE         the swarm itself was late ({late}), or busy ({} of a core): the \
                 latencies are\n             partly its own",
                percent(self.swarm.cpu_share)
            )?;
        }
        if self.plan.flood {
            writeln!(
                f,
                "\nNOTE         a flood is not open loop: nobody talks while waiting for an answer, \
                 and\n             latencies count from then"
            )?;
        }
        if self.interrupted {
            writeln!(
                f,
                "\nNOTE         stopped early: only what was said until then counts"
            )?;
        }
        if let Some(found) = &self.search {
            write!(f, "\n{found}")?;
        }
        writeln!(f)?;
        for broken in &self.broken {
            writeln!(f, "NOT HELD     {broken}")?;
        }
        f.write_str(match self.held {
            true => "all limits held",
            false => "not all limits held",
        })
    }
}

impl Report {
    fn messages(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let verdict = &self.verdict;
        let Refusals(refused) = &verdict.refused;
        writeln!(
            f,
            "messages     {} due, {} acknowledged, {} refused",
            count(verdict.said),
            count(verdict.acknowledged),
            count(verdict.refused.count())
        )?;
        for ((code, name), tally) in refused {
            let first = tally.first.as_deref().unwrap_or_default();
            let times = count(tally.count);
            writeln!(f, "             {code} {name}: {times}; {first}")?;
        }
        let faults = Fault::ALL.iter();
        let faults: Vec<_> = faults
            .map(|fault| (fault.name(), verdict.tally(*fault)))
            .filter(|(_, tally)| tally.count > 0)
            .collect();
        if faults.is_empty() {
            let names: Vec<_> = Fault::ALL.iter().map(|fault| fault.name()).collect();
            let (some, rest) = names.split_at(5);
            let (some, rest) = (some.join(", "), rest.join(", "));
            writeln!(f, "verdict      none {some},\n             {rest}")?;
        }
        for (at, (name, tally)) in faults.iter().enumerate() {
            let first = tally.first.as_deref().unwrap_or_default();
            let label = if at == 0 { "verdict" } else { "" };
            writeln!(f, "{label:<12} {} {name}; {first}", count(tally.count))?;
        }
        Ok(())
    }

    fn traffic(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let traffic = &self.traffic;
        let second = |rate: f64| count(rate.round() as u64);
        writeln!(
            f,
            "deliveries   {}, {} a second",
            count(traffic.deliveries),
            second(traffic.deliveries_per_second)
        )?;
        writeln!(
            f,
            "handshakes   {}, {} a second; {} in, {} out",
            count(traffic.handshakes),
            second(traffic.handshakes_per_second),
            bytes(traffic.bytes_in),
            bytes(traffic.bytes_out)
        )?;
        if traffic.cuts > 0 || !traffic.ended.is_empty() {
            write!(f, "breaks       {} cut by the swarm", count(traffic.cuts))?;
            for (how, times) in &traffic.ended {
                write!(f, ", {} ended by the server ({how})", count(*times))?;
            }
            writeln!(f)?;
        }
        for told in &self.breaks {
            writeln!(f, "             {told}")?;
        }
        if traffic.flaps > 0 {
            let times = count(traffic.flaps);
            writeln!(f, "besides      {times} connections that got nothing done")?;
        }
        Ok(())
    }

    fn latencies(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut rows = self.latency.named().to_vec();
        rows.push(("own lateness", self.swarm.lateness));
        rows.retain(|(_, percentiles)| percentiles.count > 0);
        if !rows.is_empty() {
            let names = ["p50", "p90", "p99", "p99.9", "p99.99", "max"];
            write!(f, "\nlatency     ")?;
            names.iter().try_for_each(|name| write!(f, "{name:>10}"))?;
            writeln!(f, "      count")?;
        }
        for (name, percentiles) in rows {
            write!(f, "{name:<12}")?;
            let Percentiles { p50, p90, p99, .. } = percentiles;
            let Percentiles {
                p999, p9999, max, ..
            } = percentiles;
            let all = [p50, p90, p99, p999, p9999, max];
            all.iter().try_for_each(|n| write!(f, "{:>10}", ms(*n)))?;
            writeln!(f, "{:>11}", count(percentiles.count))?;
        }
        Ok(())
    }
}

impl Server {
    fn summary(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let wide = |cpu: f64| format!("{cpu:.2} s");
        write!(f, "\nserver       process {}", self.pid)?;
        if self.processes > 1 {
            write!(f, ", the last of {}", self.processes)?;
        }
        writeln!(f, "; {} per handshake", us(self.cpu_us_per_handshake))?;
        let delivery = |each: Option<f64>| each.map_or(String::new(), |n| format!("{:>10}", us(n)));
        let head = if self.cpu_us_per_delivery.is_some() {
            "a delivery"
        } else {
            ""
        };
        writeln!(
            f,
            "{:<16}{:>9}{:>9}{:>11}{head:>12}",
            "CPU time", "user", "kernel", "switches"
        )?;
        let all = ("all", self.user_s, self.kernel_s, self.cpu_us_per_delivery);
        let switches = self.voluntary_switches + self.involuntary_switches;
        let busy = self.threads.iter().filter(|thread| thread.cpu_s() >= 0.005);
        let rows = busy.map(|thread| {
            let switches = thread.voluntary_switches + thread.involuntary_switches;
            let Thread {
                name,
                user_s,
                kernel_s,
                cpu_us_per_delivery,
                ..
            } = thread;
            (
                (name.as_str(), *user_s, *kernel_s, *cpu_us_per_delivery),
                switches,
            )
        });
        for ((name, user, kernel, each), switches) in rows.chain([(all, switches)]) {
            let (user, kernel) = (wide(user), wide(kernel));
            let (switches, each) = (count(switches), delivery(each));
            writeln!(
                f,
                "  {name:<14}{user:>9}{kernel:>9}{switches:>11}{each:>12}"
            )?;
        }
        self.memory(f)
    }

    fn memory(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Pages that are shared count in shares where that may be known; one measure for all four.
        let (each, all) = match self.proportional_per_client {
            Some(each) => {
                let (before, filled) = (self.proportional_before, self.proportional_filled);
                (each, [before, filled, self.proportional_after])
            }
            None => {
                let (before, filled) = (self.resident_before, self.resident_filled);
                let all = [before, filled, self.resident_after];
                (self.resident_per_client, all)
            }
        };
        let [before, filled, after] = all.map(|held| held.map_or("-".to_owned(), bytes));
        writeln!(
            f,
            "memory       {before} before, {filled} with everybody in ({} each), {after} at the end",
            bytes(each)
        )
    }
}
