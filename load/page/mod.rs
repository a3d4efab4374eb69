//! A report as one page that can be kept, sent and printed: no script, nothing from elsewhere.
//!
//! The verdict first, then the key figures, then plots, then every number in tables. Made of the
//! [`Report`] alone, so that it says what the JSON says.

mod charts;
mod markup;
mod plot;
mod tables;

use markup::Html;

use crate::report::{Report, Server};
use crate::units::{bytes, count, given, ms, percent, seconds, us};
use crate::verdict::{Fault, Tally};

/// The page. Its policy lets a browser load nothing, wherever it may be put.
pub fn page(report: &Report) -> String {
    let title = format!("{} · kith-swarm", report.scenario);
    let mut html = Html::new();
    html.own("<!DOCTYPE html>\n");
    html.within("html", &[("lang", "en")], |html| {
        html.within("head", &[], |html| {
            html.empty("meta", &[("charset", "utf-8")]);
            let policy = "default-src 'none'; style-src 'unsafe-inline'; img-src data:";
            html.empty(
                "meta",
                &[
                    ("http-equiv", "Content-Security-Policy"),
                    ("content", policy),
                ],
            );
            let width = "width=device-width, initial-scale=1";
            html.empty("meta", &[("name", "viewport"), ("content", width)]);
            html.empty("link", &[("rel", "icon"), ("href", "data:,")]);
            html.element("title", &[], &title);
            html.within("style", &[], |html| html.own(include_str!("style.css")));
        });
        html.within("body", &[], |html| {
            head(html, report);
            html.within("main", &[], |html| {
                verdict(html, report);
                tiles(html, report);
                charts::draw(html, report);
                tables::draw(html, report);
            });
            html.within("footer", &[], |html| {
                html.text(&format!(
                    "kith-swarm {} · {} · latencies count from the moment a message was due, \
                     whatever kept it from being sent",
                    report.version, report.started
                ));
            });
        });
    });
    html.finish()
}

fn head(html: &mut Html, report: &Report) {
    let plan = &report.plan;
    html.within("header", &[], |html| {
        html.own(LOGO);
        html.within("div", &[], |html| {
            html.element("h1", &[], &report.scenario);
            let words = format!(
                "{} clients, {} talking, {} messages of {} a second for {}",
                count(u64::from(plan.clients)),
                count(u64::from(plan.talkers)),
                given(plan.rate),
                bytes(plan.size as u64),
                seconds(plan.duration_s)
            );
            html.element("p", &[], &words);
        });
        html.within("p", &[("class", "where")], |html| {
            html.element("code", &[], &report.url);
            let (day, time) = report.started.split_once('T').unwrap_or_default();
            let time = time.get(..5).unwrap_or_default();
            let moment = [("datetime", report.started.as_str())];
            html.element("time", &moment, &format!("{day}, {time} UTC"));
        });
    });
}

fn verdict(html: &mut Html, report: &Report) {
    let (class, symbol, words) = match report.held {
        true => ("verdict held", HELD, "All limits held".to_owned()),
        false => match report.broken.len() {
            1 => (
                "verdict broken",
                BROKEN,
                "One limit did not hold".to_owned(),
            ),
            many => (
                "verdict broken",
                BROKEN,
                format!("{many} limits did not hold"),
            ),
        },
    };
    html.within("section", &[("class", class)], |html| {
        html.own(symbol);
        html.within("div", &[], |html| {
            html.element("h2", &[], &words);
            let (said, heard) = (report.verdict.said, report.traffic.deliveries);
            let refused = report.verdict.refused.count();
            let mut line = format!("{} messages were due, ", count(said));
            if refused > 0 {
                line.push_str(&format!("{} refused, ", count(refused)));
            }
            line.push_str(&format!(
                "{} deliveries looked at one by one.",
                count(heard)
            ));
            html.element("p", &[], &line);
            if !report.broken.is_empty() {
                html.within("ul", &[], |html| {
                    let each = report.broken.iter();
                    each.for_each(|broken| html.element("li", &[], broken));
                });
            }
        });
        html.within("ul", &[("class", "faults")], |html| {
            for fault in Fault::ALL {
                let Tally { count: times, .. } = report.verdict.tally(*fault);
                let class = if times == 0 { "none" } else { "some" };
                html.within("li", &[("class", class), ("title", fault.help())], |html| {
                    html.element("b", &[], &count(times));
                    html.text(&format!(" {}", fault.name().replace('-', " ")));
                });
            }
        });
    });
    if report.swarm.is_bottleneck {
        html.within("section", &[("class", "note")], |html| {
            let words = format!(
                "The swarm itself was late ({}), or busy ({} of a core). The latencies are partly \
                 its own: give it a machine or a core to itself, or ask for less.",
                ms(report.swarm.lateness.p99),
                percent(report.swarm.cpu_share)
            );
            html.element("p", &[], &words);
        });
    }
}

/// A figure: what it is, the number, and what else is to be said of it.
type Tile = (&'static str, String, String);

fn tiles(html: &mut Html, report: &Report) {
    html.within(
        "section",
        &[("class", "tiles"), ("aria-label", "Key figures")],
        |html| {
            for (name, figure, more) in latency_tiles(report).into_iter().chain(work_tiles(report))
            {
                html.within("div", &[("class", "tile")], |html| {
                    html.element("h3", &[], name);
                    // The unit is smaller than the number.
                    let (number, unit) = figure.split_once(' ').unwrap_or((&figure, ""));
                    html.within("p", &[], |html| {
                        html.element("b", &[], number);
                        if !unit.is_empty() {
                            html.text(" ");
                            html.element("span", &[], unit);
                        }
                    });
                    html.element("small", &[], &more);
                });
            }
        },
    );
}

fn latency_tiles(report: &Report) -> Vec<Tile> {
    let (latency, plain) = (&report.latency.corrected, &report.latency.uncorrected);
    if latency.count == 0 {
        return Vec::new();
    }
    let limit = |name| {
        let most = report.limits.latency.get(name);
        most.map(|most| format!("at most {}", ms(*most)))
    };
    let from_sent = |plain: f64| format!("{} from sent", ms(plain));
    let half = limit("p50").unwrap_or(from_sent(plain.p50));
    let most = limit("p99").unwrap_or(from_sent(plain.p99));
    let nearly = limit("p999").unwrap_or(from_sent(plain.p999));
    vec![
        ("Median latency", ms(latency.p50), half),
        ("99 of 100 within", ms(latency.p99), most),
        ("999 of 1,000 within", ms(latency.p999), nearly),
        ("Slowest", ms(latency.max), from_sent(plain.max)),
    ]
}

fn work_tiles(report: &Report) -> Vec<Tile> {
    let (traffic, swarm) = (&report.traffic, &report.swarm);
    let whole = |rate: f64| count(rate.round() as u64);
    let mut tiles = vec![(
        "Deliveries a second",
        whole(traffic.deliveries_per_second),
        format!("{} in all", count(traffic.deliveries)),
    )];
    if let Some(server) = &report.server {
        tiles.extend(server_tiles(server));
    }
    tiles.push((
        "Handshakes a second",
        whole(traffic.handshakes_per_second),
        format!("{} in all", count(traffic.handshakes)),
    ));
    if swarm.lateness.count > 0 && tiles.len() < 4 {
        let cpu = format!("and {} of a core", percent(swarm.cpu_share));
        tiles.push(("The swarm's own lateness", ms(swarm.lateness.p99), cpu));
    }
    tiles
}

fn server_tiles(server: &Server) -> Vec<Tile> {
    let mut tiles = Vec::new();
    if let Some(each) = server.cpu_us_per_delivery {
        let kernel = match server.cpu_s {
            0.0 => 0.0,
            whole => server.kernel_s / whole,
        };
        let more = format!("{} of it in the kernel", percent(kernel));
        tiles.push(("Server CPU a delivery", us(each), more));
    }
    let (each, filled) = match server.proportional_per_client {
        Some(each) => (each, server.proportional_filled),
        None => (server.resident_per_client, server.resident_filled),
    };
    let with = filled.map_or("-".to_owned(), bytes);
    tiles.push((
        "Server memory a client",
        bytes(each),
        format!("{with} with everybody in"),
    ));
    tiles
}

const LOGO: &str = r##"<svg class="logo" viewBox="0 0 64 64" aria-hidden="true"><rect width="64" height="64" rx="15"/><g transform="translate(8 8) scale(2)"><path d="M5.5 4h9A3.5 3.5 0 0 1 18 7.5v4a3.5 3.5 0 0 1-3.5 3.5H10l-3.7 3.1A.8.8 0 0 1 5 17.5V15A3.5 3.5 0 0 1 2 11.5v-4A3.5 3.5 0 0 1 5.5 4Z"/><path opacity=".6" d="M19.5 8.6A3.5 3.5 0 0 1 22 12v3a3.5 3.5 0 0 1-2.5 3.35v1.95a.8.8 0 0 1-1.3.62L15.3 18.5H12.5a3.5 3.5 0 0 1-2.7-1.27l.75-.63H14.5A5.1 5.1 0 0 0 19.5 11.5Z"/></g></svg>"##;
const HELD: &str = r#"<svg class="symbol" viewBox="0 0 40 40" aria-hidden="true"><circle cx="20" cy="20" r="20"/><path d="M11.5 20.5l6 6L29 14.5"/></svg>"#;
const BROKEN: &str = r#"<svg class="symbol" viewBox="0 0 40 40" aria-hidden="true"><circle cx="20" cy="20" r="20"/><path d="M13.5 13.5l13 13m0-13l-13 13"/></svg>"#;
