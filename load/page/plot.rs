//! A plot as inline SVG: axes, lines, marks. Knows no report.
//!
//! Colours and fonts are the style sheet's, so that a plot is as light or dark as its page. The
//! drawing is small and scales with its column; at the width of a phone its letters have 10 px.

use super::markup::Html;

/// A plot.
#[derive(Clone, Debug)]
pub struct Plot {
    /// A word of its own on the page.
    pub id: &'static str,
    /// What there is to see.
    pub title: &'static str,
    /// What can be seen, in a sentence with numbers, for whoever cannot see it.
    pub about: String,
    /// From left to right.
    pub x: Axis,
    /// From below.
    pub y: Axis,
    /// In order of drawing; the number of a line is its look.
    pub lines: Vec<Line>,
    /// Moments, with a word, on the x axis.
    pub marks: Vec<(f64, &'static str)>,
    /// Times from and to, where something small happened, and how much: from 0 to 1.
    pub events: Vec<(f64, f64, f64)>,
    /// Values that were not to be exceeded, and by what.
    pub limits: Vec<(f64, String)>,
}

/// A line.
#[derive(Clone, Debug)]
pub struct Line {
    /// What it shows.
    pub name: String,
    /// From left to right, with gaps.
    pub points: Vec<(f64, Option<f64>)>,
}

/// An axis, with what stands beside it.
#[derive(Clone, Debug, PartialEq)]
pub struct Axis {
    from: f64,
    to: f64,
    scale: Scale,
    ticks: Vec<(f64, String)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Scale {
    Linear,
    /// Each power of ten as wide as the next.
    Log,
}

/// How many looks lines can have.
pub const LOOKS: usize = 6;

const WIDTH: f64 = 440.0;
const HEIGHT: f64 = 232.0;
const LEFT: f64 = 54.0;
const RIGHT: f64 = 12.0;
const TOP: f64 = 20.0;
const BOTTOM: f64 = 30.0;

impl Axis {
    /// From nothing to `most` or a little more, with a handful of round numbers.
    pub fn linear(most: f64, name: impl Fn(f64) -> String) -> Self {
        let most = if most > 0.0 { most } else { 1.0 };
        let step = round_step(most);
        let count = (most / step - 1e-9).ceil();
        Self {
            from: 0.0,
            to: step * count,
            scale: Scale::Linear,
            ticks: ticks(step, count, name),
        }
    }

    /// From nothing to exactly `most`.
    pub fn exact(most: f64, name: impl Fn(f64) -> String) -> Self {
        let step = round_step(most);
        Self {
            from: 0.0,
            to: most,
            scale: Scale::Linear,
            ticks: ticks(step, (most / step + 1e-9).floor(), name),
        }
    }

    /// From a power of ten to another.
    pub fn log(least: f64, most: f64, name: impl Fn(f64) -> String) -> Self {
        let from = least.log10().floor();
        let to = most.log10().ceil().max(from + 1.0);
        let powers = (0..=(to - from) as i32).map(|at| 10f64.powf(from + f64::from(at)));
        Self {
            from: 10f64.powf(from),
            to: 10f64.powf(to),
            scale: Scale::Log,
            ticks: powers.map(|power| (power, name(power))).collect(),
        }
    }

    /// With these numbers instead.
    pub fn with_ticks(from: f64, to: f64, ticks: Vec<(f64, String)>) -> Self {
        let scale = Scale::Linear;
        Self {
            from,
            to,
            scale,
            ticks,
        }
    }

    /// The same numbers for values that are so many times as large.
    pub fn scale_by(&mut self, factor: f64) {
        self.from *= factor;
        self.to *= factor;
        self.ticks
            .iter_mut()
            .for_each(|(value, _)| *value *= factor);
    }

    /// Where a value lies, from 0 to 1.
    fn at(&self, value: f64) -> f64 {
        let share = match self.scale {
            Scale::Linear => (value - self.from) / (self.to - self.from),
            Scale::Log => {
                let value = value.max(self.from);
                (value / self.from).log10() / (self.to / self.from).log10()
            }
        };
        share.clamp(0.0, 1.0)
    }
}

/// 1, 2 or 5 times a power of ten, of which at most five make `most`.
fn round_step(most: f64) -> f64 {
    let most = if most > 0.0 { most } else { 1.0 };
    let power = 10f64.powf((most / 5.0).log10().floor());
    let steps = [1.0, 2.0, 5.0, 10.0].map(|factor| factor * power);
    let fits = |step: &f64| most / step <= 5.0 + 1e-9;
    steps.into_iter().find(fits).unwrap_or(10.0 * power)
}

fn ticks(step: f64, count: f64, name: impl Fn(f64) -> String) -> Vec<(f64, String)> {
    // Rounded, because three times 0.2 is not 0.6.
    let value = |at: u32| (f64::from(at) * step * 1e9).round() / 1e9;
    let values = (0..=count as u32).map(value);
    values.map(|value| (value, name(value))).collect()
}

impl Plot {
    /// With title, legend and description.
    pub fn draw(&self, html: &mut Html) {
        let (title, about) = (format!("{}-title", self.id), format!("{}-about", self.id));
        let named = format!("{title} {about}");
        html.within("figure", &[("class", "card")], |html| {
            html.within("figcaption", &[], |html| {
                html.element("h3", &[], self.title);
                if self.lines.len() > 1 || !self.limits.is_empty() {
                    self.legend(html);
                }
            });
            let view = format!("0 0 {WIDTH} {HEIGHT}");
            let attributes = [
                ("viewBox", view.as_str()),
                ("role", "img"),
                ("aria-labelledby", named.as_str()),
            ];
            html.within("svg", &attributes, |html| {
                html.element("title", &[("id", &title)], self.title);
                html.element("desc", &[("id", &about)], &self.about);
                self.axes(html);
                self.happenings(html);
                let alone = self.lines.len() == 1;
                for (look, line) in self.lines.iter().enumerate() {
                    self.line(html, line, look % LOOKS, alone);
                }
            });
        });
    }

    fn legend(&self, html: &mut Html) {
        html.within("ul", &[("class", "legend")], |html| {
            for (look, line) in self.lines.iter().enumerate() {
                let class = format!("line look{}", look % LOOKS);
                html.within("li", &[], |html| {
                    swatch(html, &class);
                    html.text(&line.name);
                });
            }
            for (_, name) in &self.limits {
                html.within("li", &[], |html| {
                    swatch(html, "limit");
                    html.text(name);
                });
            }
        });
    }

    fn axes(&self, html: &mut Html) {
        for (value, name) in &self.y.ticks {
            let y = self.y_of(*value);
            stroke(html, "grid", (LEFT, y), (WIDTH - RIGHT, y));
            label(html, "end", (LEFT - 7.0, y + 4.0), name);
        }
        for (value, name) in &self.x.ticks {
            let x = self.x_of(*value);
            stroke(
                html,
                "grid",
                (x, HEIGHT - BOTTOM),
                (x, HEIGHT - BOTTOM + 4.0),
            );
            // The last one ends where the plot does.
            let last = x > WIDTH - RIGHT - 20.0;
            let (anchor, x) = if last {
                ("end", WIDTH - 2.0)
            } else {
                ("middle", x)
            };
            label(html, anchor, (x, HEIGHT - BOTTOM + 18.0), name);
        }
    }

    fn happenings(&self, html: &mut Html) {
        let (top, bottom) = (TOP, HEIGHT - BOTTOM);
        for (from, to, weight) in &self.events {
            let (from, to) = (self.x_of(*from), self.x_of(*to));
            let height = 2.0 + 6.0 * weight;
            let (x, y) = (number(from), number(bottom - height));
            let (width, height) = (number((to - from).max(1.0)), number(height));
            let place = [
                ("x", &*x),
                ("y", &*y),
                ("width", &*width),
                ("height", &*height),
            ];
            html.empty("rect", &[&[("class", "event")], &place[..]].concat());
        }
        let mut free = 0.0;
        for (at, word) in &self.marks {
            let x = self.x_of(*at);
            let class = format!("mark {word}");
            stroke(html, &class, (x, top - 4.0), (x, bottom));
            // A letter has some 5.6 px; who would stand on another's word has none.
            let half = word.len() as f64 * 2.8;
            let middle = x.clamp(half, WIDTH - half);
            if middle - half > free {
                label(html, "middle", (middle, top - 8.0), word);
                free = middle + half + 4.0;
            }
        }
        for (value, _) in &self.limits {
            let y = self.y_of(*value);
            stroke(html, "limit", (LEFT, y), (WIDTH - RIGHT, y));
        }
    }

    /// In pieces, where it has gaps; a piece of one point is a dot.
    fn line(&self, html: &mut Html, line: &Line, look: usize, filled: bool) {
        let place = |(x, y): &(f64, Option<f64>)| y.map(|y| (self.x_of(*x), self.y_of(y)));
        let class = format!("line look{look}");
        for piece in line.points.split(|(_, y)| y.is_none()) {
            let places: Vec<(f64, f64)> = piece.iter().filter_map(place).collect();
            let (Some(first), Some(last)) = (places.first(), places.last()) else {
                continue;
            };
            if places.len() == 1 {
                let (x, y) = (number(first.0), number(first.1));
                let class = format!("dot look{look}");
                html.empty(
                    "circle",
                    &[("class", &class), ("cx", &x), ("cy", &y), ("r", "2.5")],
                );
                continue;
            }
            let each = places.iter();
            let mut path: String = each
                .enumerate()
                .map(|(at, (x, y))| {
                    let letter = if at == 0 { 'M' } else { 'L' };
                    format!("{letter}{} {}", number(*x), number(*y))
                })
                .collect();
            html.empty("path", &[("class", &class), ("d", &path)]);
            if filled {
                let base = number(HEIGHT - BOTTOM);
                path.push_str(&format!("L{} {base}", number(last.0)));
                path.push_str(&format!("L{} {base}Z", number(first.0)));
                html.empty("path", &[("class", "area"), ("d", &path)]);
            }
        }
    }

    fn x_of(&self, value: f64) -> f64 {
        LEFT + self.x.at(value) * (WIDTH - LEFT - RIGHT)
    }

    fn y_of(&self, value: f64) -> f64 {
        HEIGHT - BOTTOM - self.y.at(value) * (HEIGHT - BOTTOM - TOP)
    }
}

fn swatch(html: &mut Html, class: &str) {
    let attributes = [
        ("class", "swatch"),
        ("viewBox", "0 0 24 8"),
        ("aria-hidden", "true"),
    ];
    html.within("svg", &attributes, |html| {
        stroke(html, class, (1.0, 4.0), (23.0, 4.0));
    });
}

fn stroke(html: &mut Html, class: &str, from: (f64, f64), to: (f64, f64)) {
    let path = format!(
        "M{} {}L{} {}",
        number(from.0),
        number(from.1),
        number(to.0),
        number(to.1)
    );
    html.empty("path", &[("class", class), ("d", &path)]);
}

fn label(html: &mut Html, anchor: &str, at: (f64, f64), words: &str) {
    let (x, y) = (number(at.0), number(at.1));
    html.element(
        "text",
        &[("x", &x), ("y", &y), ("text-anchor", anchor)],
        words,
    );
}

/// A tenth of a pixel is enough.
fn number(value: f64) -> String {
    let text = format!("{value:.1}");
    text.strip_suffix(".0").map_or(text.clone(), str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn axes_have_a_handful_of_round_numbers() {
        let names = |axis: Axis| {
            let ticks = axis.ticks.into_iter();
            ticks.map(|(_, name)| name).collect::<Vec<_>>().join(" ")
        };
        let plain = |value: f64| format!("{value}");
        assert_eq!(names(Axis::linear(0.0, plain)), "0 0.2 0.4 0.6 0.8 1");
        assert_eq!(names(Axis::linear(7.0, plain)), "0 2 4 6 8");
        assert_eq!(
            names(Axis::linear(100_000.0, plain)),
            "0 20000 40000 60000 80000 100000"
        );
        assert_eq!(names(Axis::exact(12.5, plain)), "0 5 10");
        assert_eq!(names(Axis::log(0.3, 42.0, plain)), "0.1 1 10 100");
        assert_eq!(names(Axis::log(1.0, 1.0, plain)), "1 10");
    }

    #[test]
    fn values_lie_between_the_ends_of_their_axis() {
        let linear = Axis::linear(10.0, |_| String::new());
        let log = Axis::log(1.0, 100.0, |_| String::new());
        for (axis, value, expected) in [
            (&linear, 5.0, 0.5),
            (&linear, 11.0, 1.0),
            (&log, 10.0, 0.5),
            (&log, 0.0, 0.0),
        ] {
            assert!((axis.at(value) - expected).abs() < 1e-9, "{value}");
        }
    }

    #[test]
    fn a_gap_in_a_line_is_a_gap_in_its_drawing() {
        let plot = Plot {
            id: "p",
            title: "Title",
            about: String::new(),
            x: Axis::exact(4.0, |_| String::new()),
            y: Axis::linear(1.0, |_| String::new()),
            lines: Vec::new(),
            marks: Vec::new(),
            events: Vec::new(),
            limits: Vec::new(),
        };
        let line = Line {
            name: String::new(),
            points: [Some(1.0), Some(0.0), None, Some(1.0), None]
                .into_iter()
                .enumerate()
                .map(|(x, y)| (x as f64, y))
                .collect(),
        };
        let mut html = Html::new();
        plot.line(&mut html, &line, 0, false);
        assert_eq!(
            html.finish(),
            "<path class=\"line look0\" d=\"M54 20L147.5 202\"/>\
             <circle class=\"dot look0\" cx=\"334.5\" cy=\"20\" r=\"2.5\"/>"
        );
    }
}
