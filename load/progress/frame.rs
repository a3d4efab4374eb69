//! How the progress of a run looks: one line of it, or a frame of the display.
//!
//! Text from values; knows no terminal. The display has a line for each question that somebody has
//! who watches: how far, who is in, how much, how fast, is anything wrong, who does the work.

use std::collections::VecDeque;

use super::View;
use crate::series::Sample;
use crate::units;

/// The most columns that a frame takes, one more than it writes into: a character in the last
/// column makes some terminals begin a new line.
pub const WIDEST: usize = 80;

/// Whether there may be colours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Paint {
    /// None.
    Plain,
    /// The terminal's own.
    Colours,
}

/// Deliveries per second of the last minute.
#[derive(Clone, Debug, Default)]
pub struct Trail(VecDeque<f64>);

/// How something is drawn (ECMA-48: SGR).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Style {
    Usual,
    Strong,
    Quiet,
    Accent,
    Good,
    Bad,
}

/// A line, from left to right.
#[derive(Debug, Default)]
struct Line(Vec<(Style, String)>);

impl Trail {
    const MOST: usize = 60;

    /// Adds a second.
    pub fn push(&mut self, second: &Sample) {
        if self.0.len() == Self::MOST {
            self.0.pop_front();
        }
        self.0.push_back(second.deliveries_per_second);
    }

    /// The newest of them, each an eighth of the highest or more.
    fn spark(&self, width: usize) -> String {
        const BARS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
        let newest = self.0.iter().skip(self.0.len().saturating_sub(width));
        let most = newest.clone().copied().fold(0.0, f64::max);
        newest
            .map(|rate| match rate / most {
                share if share > 0.0 => BARS[((share * 8.0).ceil() as usize).clamp(1, 8) - 1],
                _ => ' ',
            })
            .collect()
    }
}

/// One line, for whoever collects them.
pub fn line(view: &View<'_>) -> String {
    let (scene, second) = (view.scene, view.second);
    format!(
        "{:>4} s  {:<8}  {} in  {:.0} deliveries/s  p99 so far {:.1} ms  {} faults",
        view.at.0 / 1_000_000_000,
        scene.doing.name(),
        scene.inside,
        second.deliveries_per_second,
        scene.numbers.corrected.at(0.99).as_secs_f64() * 1000.0,
        scene.faults
    )
}

/// A frame of the display, of at most `columns` less one.
pub fn lines(
    title: &str,
    view: &View<'_>,
    trail: &Trail,
    columns: usize,
    paint: Paint,
) -> Vec<String> {
    let width = columns.clamp(2, WIDEST) - 1;
    let (scene, second) = (view.scene, view.second);
    let inside = format!(
        "{} of {} in",
        units::count(u64::from(scene.inside)),
        units::count(u64::from(scene.clients))
    );
    let mut clients = label("clients").usual(&inside);
    let ended: u64 = scene.numbers.ended.values().sum();
    for (count, how) in [(scene.numbers.cuts, "cut"), (ended, "ended by the server")] {
        if count > 0 {
            clients = clients.quiet(&format!("   {} {how}", units::count(count)));
        }
    }
    let mut lines = vec![
        Line::default().strong("kith-swarm ").usual(title),
        bar(view, width),
        clients,
        heard(view, trail, width),
        latency(view),
        faults(scene.faults),
        processes(second),
    ];
    if let Some((at, mark)) = view.mark {
        let ago = units::seconds(view.at.since(at).as_secs_f64());
        lines.push(
            label("last")
                .usual(mark.name())
                .quiet(&format!(", {ago} ago")),
        );
    }
    let each = lines.iter();
    each.map(|line| line.draw(width, paint)).collect()
}

fn bar(view: &View<'_>, width: usize) -> Line {
    let scene = view.scene;
    let after = format!(
        " {:>3.0} %  {} left",
        scene.done * 100.0,
        units::seconds(scene.left.as_secs_f64())
    );
    let room = width.saturating_sub(10 + after.len()).min(40);
    // In eighths of a character.
    let eighths = (scene.done.clamp(0.0, 1.0) * room as f64 * 8.0) as usize;
    let mut full = "█".repeat(eighths / 8);
    if let Some(part) = ["", "▏", "▎", "▍", "▌", "▋", "▊", "▉"].get(eighths % 8) {
        full.push_str(part);
    }
    let rest = "─".repeat(room - full.chars().count());
    let line = Line::default().accent(&format!("{:<10}", scene.doing.name()));
    line.accent(&full).quiet(&rest).usual(&after)
}

fn heard(view: &View<'_>, trail: &Trail, width: usize) -> Line {
    let rate = view.second.deliveries_per_second.round() as u64;
    let text = format!("{}/s", units::count(rate));
    let line = label("heard").strong(&format!("{text:<13}"));
    line.accent(&trail.spark(width.saturating_sub(24)))
}

fn latency(view: &View<'_>) -> Line {
    let (corrected, second) = (&view.scene.numbers.corrected, view.second);
    if corrected.count() == 0 {
        return label("latency").quiet("nothing was heard yet");
    }
    let at = |share| units::ms(corrected.at(share).as_secs_f64() * 1000.0);
    let so_far = format!("p50 {}  p99 {}", at(0.5), at(0.99));
    let line = label("latency").usual(&so_far);
    match (second.p50, second.p99) {
        (Some(p50), Some(p99)) => {
            let (p50, p99) = (units::ms(p50), units::ms(p99));
            line.quiet(&format!("   last second {p50} and {p99}"))
        }
        _ => line.quiet("   last second silent"),
    }
}

fn faults(count: u64) -> Line {
    match count {
        0 => label("faults").good("none so far"),
        count => label("faults").bad(&format!("{} so far", units::count(count))),
    }
}

fn processes(second: &Sample) -> Line {
    let mut line = label("server");
    line = match second.server_resident {
        Some(resident) => {
            let cpu = units::percent(second.server_cpu.values().sum());
            line.usual(&format!("CPU {cpu}  {}", units::bytes(resident)))
        }
        None => line.quiet("not to be seen"),
    };
    let late = second.swarm_lateness.map(units::ms);
    let late = late.map_or(String::new(), |late| format!("  late {late}"));
    let cpu = units::percent(second.swarm_cpu);
    line.quiet("   swarm ").usual(&format!("CPU {cpu}{late}"))
}

fn label(name: &str) -> Line {
    Line::default().quiet(&format!("{name:<10}"))
}

impl Line {
    fn usual(self, text: &str) -> Self {
        self.with(Style::Usual, text)
    }

    fn strong(self, text: &str) -> Self {
        self.with(Style::Strong, text)
    }

    fn quiet(self, text: &str) -> Self {
        self.with(Style::Quiet, text)
    }

    fn accent(self, text: &str) -> Self {
        self.with(Style::Accent, text)
    }

    fn good(self, text: &str) -> Self {
        self.with(Style::Good, text)
    }

    fn bad(self, text: &str) -> Self {
        self.with(Style::Bad, text)
    }

    fn with(mut self, style: Style, text: &str) -> Self {
        self.0.push((style, text.to_owned()));
        self
    }

    /// What fits. Every character that is used here is one column wide, but for what stands in a
    /// URL, where it is percent-encoded.
    fn draw(&self, width: usize, paint: Paint) -> String {
        let mut room = width;
        let mut text = String::new();
        for (style, part) in &self.0 {
            let part: String = part.chars().take(room).collect();
            room -= part.chars().count();
            match (paint, style.sgr()) {
                (Paint::Colours, Some(sgr)) if !part.is_empty() => {
                    text.push_str(&format!("\x1b[{sgr}m{part}\x1b[m"));
                }
                _ => text.push_str(&part),
            }
        }
        text.trim_end().to_owned()
    }
}

impl Style {
    const fn sgr(self) -> Option<&'static str> {
        match self {
            Self::Usual => None,
            Self::Strong => Some("1"),
            Self::Quiet => Some("2"),
            Self::Accent => Some("36"),
            Self::Good => Some("32"),
            Self::Bad => Some("1;31"),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::time::Duration;

    use kith::clock::Moment;

    use super::*;
    use crate::numbers::Numbers;
    use crate::observe::{Doing, Scene};
    use crate::series::Mark;

    fn draw(columns: usize, paint: Paint, faults: u64) -> String {
        let mut numbers = Numbers::new();
        numbers.cuts = 12;
        (1..=100).for_each(|ms| numbers.corrected.record(Moment(0), Moment(ms * 100_000)));
        let scene = Scene {
            doing: Doing::Talking,
            done: 0.43,
            left: Duration::from_millis(5700),
            inside: 988,
            clients: 1000,
            numbers: &numbers,
            faults,
        };
        let mut second = Sample {
            server_cpu: BTreeMap::from([("kith".to_owned(), 0.4), ("log".to_owned(), 0.02)]),
            server_resident: Some(40_000_000),
            swarm_cpu: 0.055,
            swarm_lateness: Some(0.08),
            ..Sample::default()
        };
        let mut trail = Trail::default();
        for rate in [0.0, 1000.0, 50_000.0, 103_920.0] {
            second.deliveries_per_second = rate;
            trail.push(&second);
        }
        (second.p50, second.p99) = (Some(0.7), Some(2.9));
        let view = View {
            at: Moment(9_000_000_000),
            scene: &scene,
            second: &second,
            mark: Some((Moment(4_700_000_000), Mark::Talking)),
        };
        let title = "chatty at ws://127.0.0.1:9091/ws";
        lines(title, &view, &trail, columns, paint).join("\n")
    }

    #[test]
    fn a_frame_answers_what_somebody_asks_who_watches() {
        let expected = "\
kith-swarm chatty at ws://127.0.0.1:9091/ws
talking   █████████████████▏──────────────────────  43 %  5.7 s left
clients   988 of 1,000 in   12 cut
heard     103,920/s     ▁▄█
latency   p50 5.00 ms  p99 9.90 ms   last second 700 µs and 2.90 ms
faults    none so far
server    CPU 42 %  38.1 MiB   swarm CPU 5.5 %  late 80 µs
last      talking, 4.3 s ago";
        assert_eq!(draw(200, Paint::Plain, 0), expected);
        assert_eq!(draw(80, Paint::Plain, 0), expected);
    }

    #[test]
    fn a_narrow_terminal_cuts_lines_and_wraps_none() {
        for columns in [0, 1, 2, 11, 30, 40, 60] {
            let found = draw(columns, Paint::Plain, 3);
            let longest = found.lines().map(|line| line.chars().count()).max();
            assert!(longest < Some(columns.max(2)), "{columns}: {found}");
            assert_eq!(found.lines().count(), 8, "{found}");
        }
        assert!(draw(40, Paint::Plain, 3).contains("faults    3 so far"));
    }

    #[test]
    fn colours_add_nothing_but_colours() {
        let painted = draw(50, Paint::Colours, 3);
        assert!(painted.contains("\x1b[1;31m3 so far\x1b[m"), "{painted:?}");
        let mut plain = String::new();
        for (at, part) in painted.split('\x1b').enumerate() {
            let text = part.split_once('m').map_or(part, |(_, text)| text);
            plain.push_str(if at == 0 { part } else { text });
        }
        let trimmed = |text: &str| {
            text.lines()
                .map(str::trim_end)
                .collect::<Vec<_>>()
                .join("\n")
        };
        assert_eq!(trimmed(&plain), draw(50, Paint::Plain, 3));
    }

    #[test]
    fn a_frame_takes_the_place_of_the_one_before() {
        let mut display = super::super::Display {
            title: "lobby".to_owned(),
            paint: Paint::Plain,
            trail: Trail::default(),
            height: 0,
        };
        let numbers = Numbers::new();
        let scene = Scene {
            doing: Doing::Filling,
            done: 0.0,
            left: Duration::ZERO,
            inside: 0,
            clients: 1,
            numbers: &numbers,
            faults: 0,
        };
        let view = View {
            at: Moment(0),
            scene: &scene,
            second: &Sample::default(),
            mark: None,
        };
        let first = display.next(&view, 80);
        assert!(first.starts_with("kith-swarm lobby\nfilling "), "{first:?}");
        assert_eq!(first.matches('\n').count(), 7);
        let second = display.next(&view, 80);
        assert_eq!(second, format!("\x1b[7F\x1b[J{first}"));
        assert_eq!(display.erase(), "\x1b[7F\x1b[J");
        assert_eq!(display.erase(), "");
    }
}
