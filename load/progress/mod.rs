//! What is told of a run while it goes on, on standard error, so that the summary stands alone.
//!
//! A line a second where somebody collects them; a small display that is drawn over itself where
//! somebody looks at a terminal (`frame.rs`).

mod frame;

use std::io::{self, IsTerminal as _, Write as _};

use kith::clock::Moment;

pub use frame::Paint;
use frame::Trail;

use crate::observe::Scene;
use crate::series::{Mark, Sample};

/// Tells how it goes.
#[derive(Debug)]
pub enum Progress {
    /// A line for each look.
    Lines,
    /// A display of several lines in the same place.
    Display(Display),
}

/// A display that stands on the terminal.
#[derive(Debug)]
pub struct Display {
    title: String,
    paint: Paint,
    trail: Trail,
    /// How many lines of it stand above the cursor.
    height: usize,
}

/// What there is to tell.
#[derive(Clone, Copy, Debug)]
pub struct View<'a> {
    /// Now.
    pub at: Moment,
    /// The run.
    pub scene: &'a Scene<'a>,
    /// The last second of it.
    pub second: &'a Sample,
    /// What happened last.
    pub mark: Option<(Moment, Mark)>,
}

impl Progress {
    /// As standard error is. `term` and `no_color` are the variables `TERM` and `NO_COLOR` of the
    /// environment (no-color.org: any value but an empty one).
    pub fn new(title: String, term: Option<&str>, no_color: Option<&str>) -> Self {
        let dumb = matches!(term, None | Some("dumb" | ""));
        if dumb || !io::stderr().is_terminal() {
            return Self::Lines;
        }
        let paint = match no_color {
            None | Some("") => Paint::Colours,
            Some(_) => Paint::Plain,
        };
        Self::Display(Display {
            title,
            paint,
            trail: Trail::default(),
            height: 0,
        })
    }

    /// Tells. If standard error is gone, the run goes on.
    pub fn tell(&mut self, view: &View<'_>) {
        let _ = match self {
            Self::Lines => writeln!(io::stderr(), "{}", frame::line(view)),
            Self::Display(display) => {
                let text = display.next(view, columns());
                io::stderr().write_all(text.as_bytes())
            }
        };
    }

    /// Gives the terminal back as it was.
    pub fn close(&mut self) {
        if let Self::Display(display) = self {
            let _ = io::stderr().write_all(display.erase().as_bytes());
        }
    }
}

impl Display {
    /// What draws the next frame in place of the last one, in one write. The cursor stays visible
    /// and no mode is set, so that there is nothing to be restored if the swarm is killed.
    fn next(&mut self, view: &View<'_>, columns: usize) -> String {
        self.trail.push(view.second);
        let lines = frame::lines(&self.title, view, &self.trail, columns, self.paint);
        let mut text = self.erase();
        for line in &lines {
            text.push_str(line);
            text.push('\n');
        }
        self.height = lines.len();
        text
    }

    fn erase(&mut self) -> String {
        match std::mem::take(&mut self.height) {
            0 => String::new(),
            // To the beginning of the line so many above, then away with what is below (ECMA-48:
            // CPL and ED).
            height => format!("\x1b[{height}F\x1b[J"),
        }
    }
}

/// How wide the terminal is now; somebody may pull at its corner.
fn columns() -> usize {
    let mut size = libc::winsize {
        ws_row: 0,
        ws_col: 0,
        ws_xpixel: 0,
        ws_ypixel: 0,
    };
    // Takes a pointer to a struct that lives until it returns.
    let asked = unsafe { libc::ioctl(libc::STDERR_FILENO, libc::TIOCGWINSZ, &raw mut size) };
    match size.ws_col {
        columns if asked == 0 && columns > 0 => usize::from(columns),
        _ => frame::WIDEST,
    }
}
