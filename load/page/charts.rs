//! Which plots a report has, and what they say in words.

use std::collections::BTreeSet;

use super::markup::Html;
use super::plot::{Axis, LOOKS, Line, Plot};
use crate::latency::CurvePoint;
use crate::report::Report;
use crate::series::Sample;
use crate::units::{bytes, count, ms, percent};

/// All of them.
pub fn draw(html: &mut Html, report: &Report) {
    html.within(
        "section",
        &[("class", "plots"), ("aria-label", "Plots")],
        |html| {
            let all = [
                latency(report),
                percentiles(report),
                rate(report, &DELIVERIES),
                rate(report, &MESSAGES),
                inside(report),
                processors(report),
                memory(report),
                lateness(report),
            ];
            all.iter().flatten().for_each(|plot| plot.draw(html));
            if report
                .samples
                .iter()
                .any(|sample| sample.cuts + sample.ended > 0)
            {
                html.within("p", &[("class", "key")], |html| {
                    html.element("span", &[("class", "bar")], "");
                    html.text(
            "Bars on the axis of time: connections that broke, the higher the more. Lines across: \
             what happened to the server and to the crowd.",
        );
                });
            }
        },
    );
}

/// A rate over time.
struct Rate {
    id: &'static str,
    title: &'static str,
    of: fn(&Sample) -> f64,
}

const DELIVERIES: Rate = Rate {
    id: "deliveries",
    title: "Deliveries a second",
    of: |sample| sample.deliveries_per_second,
};
const MESSAGES: Rate = Rate {
    id: "messages",
    title: "Messages due a second",
    of: |sample| sample.messages_per_second,
};

/// Lines over time, with everything that happened.
fn over_time(report: &Report, id: &'static str, title: &'static str, y: Axis) -> Option<Plot> {
    let end = report.samples.last()?.at_s;
    let breaks = |sample: &Sample| sample.cuts + sample.ended;
    let most = report.samples.iter().map(breaks).max()?.max(1);
    let broken = report.samples.iter().filter(|sample| breaks(sample) > 0);
    Some(Plot {
        id,
        title,
        about: String::new(),
        x: Axis::exact(end, clock),
        y,
        lines: Vec::new(),
        marks: report
            .marks
            .iter()
            .map(|mark| (mark.at_s, mark.what))
            .collect(),
        events: broken
            .map(|sample| {
                let share = breaks(sample) as f64 / most as f64;
                (sample.at_s - sample.seconds, sample.at_s, share)
            })
            .collect(),
        limits: Vec::new(),
    })
}

/// A point in the middle of each sample.
fn line(report: &Report, name: &str, of: impl Fn(&Sample) -> Option<f64>) -> Line {
    let points = report.samples.iter();
    Line {
        name: name.to_owned(),
        points: points
            .map(|sample| (sample.at_s - sample.seconds / 2.0, of(sample)))
            .collect(),
    }
}

fn latency(report: &Report) -> Option<Plot> {
    let lines = [
        line(report, "p50", |sample| sample.p50),
        line(report, "p99", |sample| sample.p99),
        line(report, "slowest", |sample| sample.max),
    ];
    let limits = ["p50", "p99", "p999"].into_iter();
    let limits: Vec<(f64, String)> = limits
        .filter_map(|name| {
            let most = report.limits.latency.get(name)?;
            Some((*most, format!("{name} at most {}", ms(*most))))
        })
        .collect();
    let (least, most) = ends(&lines)?;
    let most = limits
        .iter()
        .fold(most, |most, (limit, _)| most.max(*limit));
    let y = Axis::log(least.max(0.001), most, round_ms);
    let mut plot = over_time(report, "latency", "Latency over time", y)?;
    let p99 = ends(&lines[1..2])?;
    plot.about = format!(
        "The 99th percentile of a second lies between {} and {}, the slowest delivery took {}.",
        ms(p99.0),
        ms(p99.1),
        ms(report.latency.corrected.max)
    );
    (plot.lines, plot.limits) = (lines.into(), limits);
    Some(plot)
}

fn percentiles(report: &Report) -> Option<Plot> {
    let curves = &report.curves;
    // How rare it is to be slower, in powers of ten. The slowest of all has no place there, and
    // stands one step behind the last that has.
    let rarity = |share: f64| -(1.0 - share).log10();
    let line = |name: &str, curve: &[CurvePoint]| {
        let last = curve
            .iter()
            .rev()
            .nth(1)
            .map_or(0.0, |point| rarity(point.share));
        let x = |point: &CurvePoint| match point.share {
            1.0 => last + 0.1,
            share => rarity(share),
        };
        Line {
            name: name.to_owned(),
            points: curve
                .iter()
                .map(|point| (x(point), Some(point.ms)))
                .collect(),
        }
    };
    let lines = vec![
        line("from due (corrected)", &curves.corrected),
        line("from sent (uncorrected)", &curves.uncorrected),
    ];
    let (least, most) = ends(&lines)?;
    let end = lines[0].points.last()?.0.max(1.0);
    // Beyond five nines the numbers would stand on each other.
    let ticks = (0..=(end as u32).min(5)).map(|nines| (f64::from(nines), nines_of(nines)));
    let at = &report.latency.corrected;
    Some(Plot {
        id: "percentiles",
        title: "Percentiles",
        about: format!(
            "Half of the deliveries took at most {}, 99 % at most {}, 99.99 % at most {}.",
            ms(at.p50),
            ms(at.p99),
            ms(at.p9999)
        ),
        x: Axis::with_ticks(0.0, end, ticks.collect()),
        y: Axis::log(least.max(0.001), most, round_ms),
        lines,
        marks: Vec::new(),
        events: Vec::new(),
        limits: Vec::new(),
    })
}

fn rate(report: &Report, rate: &Rate) -> Option<Plot> {
    let line = line(report, rate.title, |sample| Some((rate.of)(sample)));
    let (_, most) = ends(std::slice::from_ref(&line))?;
    let mut plot = over_time(report, rate.id, rate.title, Axis::linear(most, short))?;
    plot.about = format!("At most {} in a second.", count(most.round() as u64));
    plot.lines = vec![line];
    Some(plot)
}

fn inside(report: &Report) -> Option<Plot> {
    let y = Axis::linear(f64::from(report.plan.clients), short);
    let mut plot = over_time(report, "inside", "Clients that are in", y)?;
    let fewest = report.samples.iter().map(|sample| sample.inside).min()?;
    plot.about = format!(
        "Of {} clients, {} were in when they were fewest; {} connections were cut.",
        count(u64::from(report.plan.clients)),
        count(u64::from(fewest)),
        count(report.traffic.cuts)
    );
    plot.lines = vec![line(report, "in", |sample| Some(f64::from(sample.inside)))];
    Some(plot)
}

fn processors(report: &Report) -> Option<Plot> {
    let threads = &report.server.as_ref()?.threads;
    let busy = threads.iter().filter(|thread| thread.cpu_s() >= 0.005);
    let names: Vec<&str> = busy.map(|thread| thread.name.as_str()).collect();
    // The busiest have a line of their own.
    let (own, others) = names.split_at(names.len().min(LOOKS - 1));
    let mut lines: Vec<Line> = own
        .iter()
        .map(|name| line(report, name, |sample| sample.server_cpu.get(*name).copied()))
        .collect();
    if !others.is_empty() {
        let others: BTreeSet<&str> = others.iter().copied().collect();
        lines.push(line(report, "others", |sample| {
            let all = sample.server_cpu.iter();
            let those = all.filter(|(name, _)| others.contains(name.as_str()));
            Some(those.map(|(_, share)| share).sum())
        }));
    }
    let (_, most) = ends(&lines)?;
    let y = Axis::linear(most, |share| format!("{:.0} %", share * 100.0));
    let mut plot = over_time(report, "cpu", "Server CPU by thread", y)?;
    let busiest = names.first()?;
    plot.about = format!(
        "In shares of one core. The busiest thread, {busiest}, took at most {}.",
        percent(ends(&lines[..1])?.1)
    );
    plot.lines = lines;
    Some(plot)
}

fn memory(report: &Report) -> Option<Plot> {
    let resident = |sample: &Sample| sample.server_resident.map(|bytes| bytes as f64);
    let line = line(report, "resident", resident);
    let (least, most) = ends(std::slice::from_ref(&line))?;
    const MIB: f64 = 1_048_576.0;
    let mut y = Axis::linear(most / MIB, |mib| format!("{mib} MiB"));
    y.scale_by(MIB);
    let mut plot = over_time(report, "memory", "Server memory", y)?;
    let (least, most) = (bytes(least as u64), bytes(most as u64));
    plot.about = format!("Resident memory between {least} and {most}.");
    plot.lines = vec![line];
    Some(plot)
}

fn lateness(report: &Report) -> Option<Plot> {
    let line = line(report, "p99", |sample| sample.swarm_lateness);
    let (least, most) = ends(std::slice::from_ref(&line))?;
    let y = Axis::log(least.max(0.001), most.max(0.001), round_ms);
    let mut plot = over_time(report, "lateness", "The swarm's own lateness (p99)", y)?;
    plot.about = format!(
        "Messages were taken up within {} of when they were due, 99 of 100 in the worst second.",
        ms(most)
    );
    plot.lines = vec![line];
    Some(plot)
}

/// The least and the most of what is to be drawn.
fn ends(lines: &[Line]) -> Option<(f64, f64)> {
    let points = lines.iter().flat_map(|line| &line.points);
    let values = points.filter_map(|(_, value)| *value);
    let both = values.map(|value| (value, value));
    both.reduce(|(least, most), (value, _)| (least.min(value), most.max(value)))
}

/// `90 %`, `99 %`, `99.9 %`: so many nines.
fn nines_of(nines: u32) -> String {
    match nines {
        0 => "0 %".to_owned(),
        1 => "90 %".to_owned(),
        2 => "99 %".to_owned(),
        more => format!("99.{} %", "9".repeat(more as usize - 2)),
    }
}

/// A power of ten of milliseconds.
fn round_ms(ms: f64) -> String {
    match ms {
        n if n < 0.999 => format!("{:.0} µs", n * 1000.0),
        n if n < 999.0 => format!("{n:.0} ms"),
        n => format!("{:.0} s", n / 1000.0),
    }
}

/// A round number beside an axis: `800`, `5k`, `1.5M`.
fn short(number: f64) -> String {
    let (by, unit) = match number {
        n if n < 1000.0 => (1.0, ""),
        n if n < 1e6 => (1e3, "k"),
        _ => (1e6, "M"),
    };
    // Rounded, because tenths have no exact number.
    format!("{}{unit}", (number / by * 100.0).round() / 100.0)
}

/// A time beside an axis: `15 s`, `2:30`.
fn clock(seconds: f64) -> String {
    match seconds {
        s if s < 120.0 => format!("{} s", (s * 100.0).round() / 100.0),
        s => format!("{}:{:02}", s as u64 / 60, s as u64 % 60),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_stands_beside_an_axis_is_short() {
        for (found, expected) in [
            (nines_of(0), "0 %"),
            (nines_of(2), "99 %"),
            (nines_of(4), "99.99 %"),
            (round_ms(0.01), "10 µs"),
            (round_ms(10.0), "10 ms"),
            (round_ms(1000.0), "1 s"),
            (short(0.2 + 0.4), "0.6"),
            (short(8000.0), "8k"),
            (short(150_000.0), "150k"),
            (short(1_500_000.0), "1.5M"),
            (clock(2.5), "2.5 s"),
            (clock(150.0), "2:30"),
        ] {
            assert_eq!(found, expected);
        }
    }
}
