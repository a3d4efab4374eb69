//! Every number of a report, in tables: for whoever wants to copy one, or cannot see the plots.

use super::markup::Html;
use crate::report::{PlanTold, Report, Server};
use crate::series::{Mark, Sample};
use crate::units::{bytes, count, given, ms, percent, seconds, three, us};
use crate::verdict::{Fault, Refusals};

/// All of them.
pub fn draw(html: &mut Html, report: &Report) {
    html.within("section", &[("class", "tables")], |html| {
        html.element("h2", &[], "Numbers");
        latencies(html, report);
        messages(html, report);
        if let Some(server) = &report.server {
            threads(html, server);
            memory(html, server);
        }
        rest(html, report);
        if !report.marks.is_empty() {
            marks(html, report);
        }
        samples(html, report);
    });
}

/// A table with a name, what stands above its columns, and rows. The first cell of a row is its
/// name; what begins with a digit is a number.
fn table(html: &mut Html, name: &str, columns: &[&str], rows: &[Vec<String>]) {
    let box_of = [
        ("class", "card wide"),
        // Who has no mouse can scroll it.
        ("tabindex", "0"),
        ("role", "group"),
        ("aria-label", name),
    ];
    let class = if columns.is_empty() {
        "pairs"
    } else {
        "columns"
    };
    html.within("div", &box_of, |html| {
        html.within("table", &[("class", class)], |html| {
            html.element("caption", &[], name);
            if !columns.is_empty() {
                html.within("thead", &[], |html| heads(html, columns, rows));
            }
            html.within("tbody", &[], |html| {
                rows.iter().for_each(|cells| row(html, cells));
            });
        });
    });
}

/// What stands above numbers stands on their side.
fn heads(html: &mut Html, columns: &[&str], rows: &[Vec<String>]) {
    html.within("tr", &[], |html| {
        for (at, name) in columns.iter().enumerate() {
            let numbers = at > 0 && rows.iter().all(|cells| is_number(&cells[at]));
            match numbers {
                true => html.element("th", &[("scope", "col"), ("class", "number")], name),
                false => html.element("th", &[("scope", "col")], name),
            }
        }
    });
}

fn row(html: &mut Html, cells: &[String]) {
    html.within("tr", &[], |html| {
        for (at, cell) in cells.iter().enumerate() {
            match (at, is_number(cell)) {
                (0, _) => html.element("th", &[("scope", "row")], cell),
                (_, true) => html.element("td", &[("class", "number")], cell),
                _ => html.element("td", &[("class", "words")], cell),
            }
        }
    });
}

fn is_number(cell: &str) -> bool {
    cell.starts_with(|c: char| c.is_ascii_digit() || c == '–')
}

fn latencies(html: &mut Html, report: &Report) {
    let mut all = report.latency.named().to_vec();
    all.push(("the swarm's own lateness", report.swarm.lateness));
    all.retain(|(_, percentiles)| percentiles.count > 0);
    let rows: Vec<Vec<String>> = all
        .into_iter()
        .map(|(name, p)| {
            let times = [p.p50, p.p90, p.p99, p.p999, p.p9999, p.max].map(ms);
            let mut row = vec![name.to_owned()];
            row.extend(times);
            row.push(count(p.count));
            row
        })
        .collect();
    let columns = [
        "", "p50", "p90", "p99", "p99.9", "p99.99", "slowest", "count",
    ];
    table(html, "Latencies", &columns, &rows);
}

fn messages(html: &mut Html, report: &Report) {
    let verdict = &report.verdict;
    let word = |n: u64| count(n);
    let mut rows = vec![
        vec![
            "due".to_owned(),
            word(verdict.said),
            "–".to_owned(),
            String::new(),
        ],
        vec![
            "acknowledged".to_owned(),
            word(verdict.acknowledged),
            "–".to_owned(),
            String::new(),
        ],
    ];
    for fault in Fault::ALL {
        let tally = verdict.tally(*fault);
        let most = report.limits.faults.get(fault.name());
        rows.push(vec![
            fault.name().replace('-', " "),
            word(tally.count),
            most.map_or("–".to_owned(), |most| word(*most)),
            tally.first.unwrap_or_else(|| fault.help().to_owned()),
        ]);
    }
    let Refusals(refused) = &verdict.refused;
    rows.push(vec![
        "refused".to_owned(),
        word(verdict.refused.count()),
        word(report.limits.refused),
        String::new(),
    ]);
    for ((code, name), tally) in refused {
        rows.push(vec![
            format!("{code} {name}"),
            word(tally.count),
            "–".to_owned(),
            tally.first.clone().unwrap_or_default(),
        ]);
    }
    let columns = ["", "found", "allowed", "the first one, or what it means"];
    table(html, "Messages", &columns, &rows);
}

fn threads(html: &mut Html, server: &Server) {
    let each = |each: Option<f64>| each.map_or("–".to_owned(), us);
    let time = |seconds: f64| format!("{seconds:.3} s");
    let mut rows: Vec<Vec<String>> = Vec::new();
    for thread in &server.threads {
        rows.push(vec![
            thread.name.clone(),
            time(thread.user_s),
            time(thread.kernel_s),
            each(thread.cpu_us_per_delivery),
            count(thread.voluntary_switches),
            count(thread.involuntary_switches),
        ]);
    }
    rows.push(vec![
        "all".to_owned(),
        time(server.user_s),
        time(server.kernel_s),
        each(server.cpu_us_per_delivery),
        count(server.voluntary_switches),
        count(server.involuntary_switches),
    ]);
    let columns = [
        "",
        "in the program",
        "in the kernel",
        "a delivery",
        "waited",
        "put off",
    ];
    table(
        html,
        "The server's threads, while messages were due",
        &columns,
        &rows,
    );
}

fn memory(html: &mut Html, server: &Server) {
    let held = |held: Option<u64>| held.map_or("–".to_owned(), bytes);
    let number = |held: Option<u64>| held.map_or("–".to_owned(), count);
    let rows = [
        vec![
            "resident".to_owned(),
            held(server.resident_before),
            held(server.resident_filled),
            held(server.resident_after),
            bytes(server.resident_per_client),
        ],
        vec![
            "proportional".to_owned(),
            held(server.proportional_before),
            held(server.proportional_filled),
            held(server.proportional_after),
            held(server.proportional_per_client),
        ],
        vec![
            "open files".to_owned(),
            number(server.files_before),
            number(server.files_filled),
            number(server.files_after),
            "–".to_owned(),
        ],
    ];
    let columns = ["", "before", "everybody in", "at the end", "a client"];
    table(html, "What the server holds", &columns, &rows);
}

fn rest(html: &mut Html, report: &Report) {
    let (plan, traffic, swarm) = (&report.plan, &report.traffic, &report.swarm);
    let PlanTold {
        clients, talkers, ..
    } = *plan;
    let mut rows: Vec<(&str, String)> = vec![
        ("clients", count(u64::from(clients))),
        ("of them talking", count(u64::from(talkers))),
        ("messages a second", given(plan.rate)),
        ("at once", count(u64::from(plan.burst))),
        ("ramp", seconds(plan.ramp_s)),
        ("duration", seconds(plan.duration_s)),
        ("size of a message", bytes(plan.size as u64)),
        ("unanswered of one client", count(plan.window as u64)),
        ("share cut each second", percent(plan.cut)),
        ("bytes from the server", bytes(traffic.bytes_in)),
        ("bytes to the server", bytes(traffic.bytes_out)),
        ("connections cut", count(traffic.cuts)),
        ("the swarm's CPU", percent(swarm.cpu_share)),
    ];
    if let Some(server) = &report.server {
        rows.push((
            "the server's CPU a handshake",
            us(server.cpu_us_per_handshake),
        ));
        rows.push(("the server's process", server.pid.to_string()));
        rows.push(("processes of it", count(u64::from(server.processes))));
    }
    let mut rows: Vec<Vec<String>> = rows
        .into_iter()
        .map(|(name, value)| vec![name.to_owned(), value])
        .collect();
    for (how, times) in &traffic.ended {
        rows.push(vec![format!("connections ended: {how}"), count(*times)]);
    }
    table(html, "The plan, and the rest", &[], &rows);
}

fn marks(html: &mut Html, report: &Report) {
    let help = |name| {
        Mark::ALL
            .iter()
            .find(|mark| mark.name() == name)
            .map(|mark| mark.help())
    };
    let rows: Vec<Vec<String>> = report
        .marks
        .iter()
        .map(|mark| {
            let help = help(mark.what).unwrap_or_default();
            vec![
                mark.what.to_owned(),
                format!("{:.3} s", mark.at_s),
                help.to_owned(),
            ]
        })
        .collect();
    table(html, "What happened", &["", "at", ""], &rows);
}

fn samples(html: &mut Html, report: &Report) {
    let time = |time: Option<f64>| time.map_or("–".to_owned(), ms);
    let rows: Vec<Vec<String>> = report
        .samples
        .iter()
        .map(|sample: &Sample| {
            vec![
                format!("{:.1} s", sample.at_s),
                count(sample.deliveries_per_second.round() as u64),
                three(sample.messages_per_second),
                time(sample.p50),
                time(sample.p99),
                time(sample.max),
                count(u64::from(sample.inside)),
                count(sample.cuts + sample.ended),
                percent(sample.server_cpu.values().sum()),
                sample.server_resident.map_or("–".to_owned(), bytes),
                percent(sample.swarm_cpu),
                time(sample.swarm_lateness),
            ]
        })
        .collect();
    html.within("details", &[], |html| {
        html.element("summary", &[], "The run, second by second");
        let columns = [
            "until",
            "deliveries/s",
            "messages/s",
            "p50",
            "p99",
            "slowest",
            "in",
            "breaks",
            "server CPU",
            "server memory",
            "swarm CPU",
            "swarm late",
        ];
        table(html, "The run, second by second", &columns, &rows);
    });
}
