//! The log: one line per event, on standard output, and never in anybody's way.
//!
//! Floor 4. Whoever logs formats the line and hands it to a bounded queue; a thread of its own
//! prints it through `simple_logger`. A full queue drops the line and counts it: the event loop
//! must not wait for a terminal. This file knows nothing of settings; it is given levels.
//!
//! It is also where panics end. A server with a dead thread must not pretend to live, so a panic
//! anywhere ends the process with one line and status 101. The one exception is `println!` on a
//! pipe whose reader has gone: `simple_logger` cannot print otherwise, and a server does not stop
//! because somebody stopped reading its log.

use std::cell::Cell;
use std::fmt::{self, Write as _};
use std::io::Write as _;
use std::panic::{self, AssertUnwindSafe};
use std::str::FromStr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{self, Receiver, Sender, TryRecvError};
use std::thread;

use log::{Level, LevelFilter, Log, Metadata, Record};
use simple_logger::SimpleLogger;

use crate::limits::{LOG_FLUSH_WAIT, LOG_LINE, LOG_NAP, LOG_QUEUE};

/// The status of a process that a panic ended; what Rust itself uses.
pub const PANIC_STATUS: i32 = 101;

/// A part of the server, or a library, with a level of its own. As text: `store=debug`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// A path of modules; those of the server go without `kith::`.
    pub part: String,
    /// The least important level that is written.
    pub level: LevelFilter,
}

/// A text that is no [`Target`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BadTarget;

impl FromStr for Target {
    type Err = BadTarget;

    fn from_str(text: &str) -> Result<Self, BadTarget> {
        let (part, level) = text.split_once('=').ok_or(BadTarget)?;
        let part = part.trim();
        let fits = |b: u8| b.is_ascii_alphanumeric() || b == b'_' || b == b':';
        if part.is_empty() || !part.bytes().all(fits) {
            return Err(BadTarget);
        }
        let level = level.trim().parse().map_err(|_| BadTarget)?;
        let part = part.strip_prefix("kith::").unwrap_or(part).to_owned();
        Ok(Self { part, level })
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}={}", self.part, self.level.to_string().to_lowercase())
    }
}

/// The log of this process, from [`Logging::start`] to [`Logging::stop`].
#[derive(Debug)]
pub struct Logging {
    queue: Queue,
}

/// Why there is no log: there is one already, or no thread for it.
#[derive(Debug)]
pub struct CannotLog(String);

impl fmt::Display for CannotLog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the log cannot be started: {}", self.0)
    }
}

impl std::error::Error for CannotLog {}

impl Logging {
    /// Takes over the `log` crate's macros, and what happens at a panic.
    ///
    /// # Errors
    /// When it was started before, or the system has no thread to give.
    pub fn start(level: LevelFilter, targets: Vec<Target>) -> Result<Self, CannotLog> {
        // Levels are decided before a line is queued; the printer prints what it gets.
        let printer = SimpleLogger::new()
            .with_level(LevelFilter::Trace)
            .with_utc_timestamps();
        let logger =
            Logger::start(level, targets, printer).map_err(|error| CannotLog(error.to_string()))?;
        let most = logger.filter.most();
        let queue = logger.queue.clone();
        log::set_boxed_logger(Box::new(logger)).map_err(|error| CannotLog(error.to_string()))?;
        log::set_max_level(most);
        die_of_panics();
        Ok(Self { queue })
    }

    /// Lines dropped since the start, to be read by whoever shows counters.
    pub fn dropped(&self) -> Arc<AtomicU64> {
        self.queue.dropped.clone()
    }

    /// Writes out what is queued, and waits for that no longer than [`LOG_FLUSH_WAIT`]. What is
    /// logged afterwards goes nowhere.
    pub fn stop(self) {
        log::set_max_level(LevelFilter::Off);
        self.queue.flush();
    }
}

/// Which lines are wanted.
#[derive(Debug)]
struct Filter {
    level: LevelFilter,
    targets: Vec<Target>,
}

impl Filter {
    fn wants(&self, metadata: &Metadata<'_>) -> bool {
        metadata.level() <= self.level_of(metadata.target())
    }

    /// The longest part that fits decides. Without one, libraries are heard from `warn` on: at
    /// `debug` an operator wants to see connections, not the parser's every step.
    fn level_of(&self, target: &str) -> LevelFilter {
        let own = target
            .strip_prefix("kith::")
            .or((target == "kith").then_some(target));
        let path = own.unwrap_or(target);
        let inside = |part: &str| {
            let rest = path.strip_prefix(part);
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with("::"))
        };
        let named = self.targets.iter().filter(|target| inside(&target.part));
        match named.max_by_key(|target| target.part.len()) {
            Some(target) => target.level,
            None if own.is_some() => self.level,
            None => self.level.min(LevelFilter::Warn),
        }
    }

    fn most(&self) -> LevelFilter {
        let named = self.targets.iter().map(|target| target.level);
        named.fold(self.level, Ord::max)
    }
}

/// What the `log` crate calls.
struct Logger {
    filter: Filter,
    queue: Queue,
}

impl Logger {
    fn start(
        level: LevelFilter,
        targets: Vec<Target>,
        printer: impl Log + 'static,
    ) -> std::io::Result<Self> {
        let (sender, receiver) = mpsc::channel();
        let queue = Queue {
            sender,
            waiting: Arc::new(AtomicUsize::new(0)),
            dropped: Arc::new(AtomicU64::new(0)),
        };
        let (waiting, dropped) = (queue.waiting.clone(), queue.dropped.clone());
        thread::Builder::new()
            .name("log".to_owned())
            .spawn(move || print_all(&receiver, &waiting, &dropped, &printer))?;
        let filter = Filter { level, targets };
        Ok(Self { filter, queue })
    }
}

impl Log for Logger {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        self.filter.wants(metadata)
    }

    fn log(&self, record: &Record<'_>) {
        if self.enabled(record.metadata()) {
            self.queue.push(record);
        }
    }

    fn flush(&self) {
        self.queue.flush();
    }
}

/// The way to the printer. The channel itself has no bound, `waiting` gives it one: a bounded
/// channel would set aside memory for all of `LOG_QUEUE` at the start, this one takes what is
/// waiting.
#[derive(Clone, Debug)]
struct Queue {
    sender: Sender<Job>,
    waiting: Arc<AtomicUsize>,
    dropped: Arc<AtomicU64>,
}

#[derive(Debug)]
enum Job {
    Print(Line),
    /// Tell me when everything before this is printed.
    Flush(Sender<()>),
}

#[derive(Debug)]
struct Line {
    level: Level,
    target: Box<str>,
    text: Box<str>,
}

impl Queue {
    fn push(&self, record: &Record<'_>) {
        if self.waiting.fetch_add(1, Ordering::AcqRel) >= LOG_QUEUE {
            self.waiting.fetch_sub(1, Ordering::AcqRel);
            self.dropped.fetch_add(1, Ordering::AcqRel);
            return;
        }
        let line = Line {
            level: record.level(),
            target: record.target().into(),
            text: one_line(record.args()).into(),
        };
        // The printer lives as long as the process; if not, there is nobody to tell.
        let _ = self.sender.send(Job::Print(line));
    }

    fn flush(&self) {
        let (done, wait) = mpsc::channel();
        if self.sender.send(Job::Flush(done)).is_ok() {
            // Late or never makes no difference: the process is about to end.
            let _ = wait.recv_timeout(LOG_FLUSH_WAIT);
        }
    }
}

/// The thread that prints. Times are those of printing; a queue that is not empty makes them
/// late by as much as it lags.
fn print_all(jobs: &Receiver<Job>, waiting: &AtomicUsize, dropped: &AtomicU64, printer: &dyn Log) {
    let mut told = 0;
    while let Some(job) = next(jobs) {
        match job {
            Job::Print(line) => {
                waiting.fetch_sub(1, Ordering::AcqRel);
                if !print(
                    printer,
                    line.level,
                    &line.target,
                    format_args!("{}", line.text),
                ) {
                    dropped.fetch_add(1, Ordering::AcqRel);
                    told += 1;
                }
                let lost = dropped.load(Ordering::Acquire);
                if lost > told && waiting.load(Ordering::Acquire) <= LOG_QUEUE / 2 {
                    let count = lost - told;
                    let text = format_args!("{count} log lines were dropped");
                    if print(printer, Level::Warn, module_path!(), text) {
                        told = lost;
                    }
                }
            }
            Job::Flush(done) => {
                // Whoever asked may have stopped waiting.
                let _ = done.send(());
            }
        }
    }
}

/// The next job. To wake a printer that waits costs whoever logs some 5 µs, more than the line itself;
/// so it takes a nap before it waits, in which lines gather.
fn next(jobs: &Receiver<Job>) -> Option<Job> {
    match jobs.try_recv() {
        Err(TryRecvError::Empty) => {
            thread::park_timeout(LOG_NAP);
            jobs.recv().ok()
        }
        job => job.ok(),
    }
}

thread_local! {
    /// Set while this thread is inside `println!`, where a panic means a closed pipe.
    static PRINTING: Cell<bool> = const { Cell::new(false) };
}

/// Whether it could be printed.
#[must_use]
fn print(printer: &dyn Log, level: Level, target: &str, text: fmt::Arguments<'_>) -> bool {
    PRINTING.set(true);
    let printed = panic::catch_unwind(AssertUnwindSafe(|| {
        printer.log(
            &Record::builder()
                .level(level)
                .target(target)
                .args(text)
                .build(),
        );
    }));
    PRINTING.set(false);
    printed.is_ok()
}

/// From here on a panic ends the process, unless it is a line that could not be printed.
fn die_of_panics() {
    panic::set_hook(Box::new(|info| {
        if PRINTING.get() {
            return;
        }
        let thread = thread::current();
        let name = thread.name().unwrap_or("unnamed");
        if name != "log" {
            // What led to it is in the queue. The printer is another thread, and the wait bounded.
            log::logger().flush();
        }
        let text = one_line(&format_args!(
            "kith: a bug ended the server, in thread {name}: {info}"
        ));
        // Standard error may be gone too.
        let _ = writeln!(std::io::stderr(), "{text}");
        // `_exit`: no other thread's destructors, which may wait for locks that this one holds.
        unsafe { libc::_exit(PANIC_STATUS) }
    }));
}

/// Formats on one line whatever it is given: what a peer sent may hold line breaks, terminal
/// control sequences and characters that turn the text around.
fn one_line(args: &fmt::Arguments<'_>) -> String {
    let mut line = OneLine(String::new());
    // Fails when the line is full, and then it says so.
    if line.write_fmt(*args).is_err() {
        line.0.push_str("… (cut)");
    }
    line.0
}

struct OneLine(String);

impl fmt::Write for OneLine {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for c in text.chars() {
            if self.0.len() >= LOG_LINE {
                return Err(fmt::Error);
            }
            if disturbs(c) {
                self.0.extend(c.escape_default());
            } else {
                self.0.push(c);
            }
        }
        Ok(())
    }
}

/// Control characters (Cc), line and paragraph separators, and the bidirectional formatting
/// characters of Unicode Annex 9.
fn disturbs(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;
    use std::time::Duration;

    use super::*;

    /// Hands every line to the test, and waits for it each time.
    struct Slow(Mutex<Sender<String>>, Mutex<Receiver<()>>);

    impl Log for Slow {
        fn enabled(&self, _: &Metadata<'_>) -> bool {
            true
        }

        fn log(&self, record: &Record<'_>) {
            self.0
                .lock()
                .unwrap()
                .send(record.args().to_string())
                .unwrap();
            self.1.lock().unwrap().recv().unwrap();
        }

        fn flush(&self) {}
    }

    fn slow() -> (Logger, Receiver<String>, Sender<()>) {
        let (lines, seen) = mpsc::channel();
        let (go, gate) = mpsc::channel();
        let printer = Slow(Mutex::new(lines), Mutex::new(gate));
        let logger = Logger::start(LevelFilter::Info, Vec::new(), printer).unwrap();
        (logger, seen, go)
    }

    fn say(logger: &Logger, text: &str) {
        let mut record = Record::builder();
        record.level(Level::Info).target("kith");
        logger.log(&record.args(format_args!("{text}")).build());
    }

    const PATIENCE: Duration = Duration::from_secs(60);

    #[test]
    fn a_full_queue_never_blocks_and_tells_how_much_was_lost() {
        let (logger, seen, go) = slow();
        say(&logger, "first");
        assert_eq!(seen.recv_timeout(PATIENCE).unwrap(), "first");
        // The printer stands still with "first" in its hands, so this fills the queue, and three
        // do not fit.
        for _ in 0..LOG_QUEUE + 3 {
            say(&logger, "more");
        }
        assert_eq!(logger.queue.dropped.load(Ordering::Acquire), 3);
        let mut lines = 0;
        loop {
            go.send(()).unwrap();
            lines += 1;
            if seen.recv_timeout(PATIENCE).unwrap() == "3 log lines were dropped" {
                break;
            }
        }
        assert_eq!(lines, LOG_QUEUE / 2 + 1, "told as soon as there is room");
    }

    #[test]
    fn flushing_waits_for_what_was_said_before() {
        let (logger, seen, go) = slow();
        say(&logger, "a");
        say(&logger, "b");
        go.send(()).unwrap();
        go.send(()).unwrap();
        logger.flush();
        assert_eq!(seen.try_iter().collect::<Vec<_>>(), ["a", "b"]);
    }

    #[test]
    fn an_event_is_one_line_whatever_is_in_it() {
        for (text, want) in [
            ("plain, 小明, é", "plain, 小明, é"),
            ("a\r\nERROR forged", "a\\r\\nERROR forged"),
            ("\u{1b}[31m", "\\u{1b}[31m"),
            (
                "a\u{202e}b\u{2028}c\u{85}d",
                "a\\u{202e}b\\u{2028}c\\u{85}d",
            ),
            ("\0", "\\u{0}"),
        ] {
            assert_eq!(one_line(&format_args!("{text}")), want);
        }
        let long = one_line(&format_args!("{}", "界".repeat(LOG_LINE)));
        assert!(
            long.len() < LOG_LINE + 16 && long.ends_with("… (cut)"),
            "{long}"
        );
    }

    #[test]
    fn the_longest_part_that_fits_decides_the_level() {
        let targets = ["store=debug", "store::sqlite=error", "mio=trace"];
        let filter = Filter {
            level: LevelFilter::Info,
            targets: targets.iter().map(|text| text.parse().unwrap()).collect(),
        };
        for (target, level) in [
            ("kith", LevelFilter::Info),
            ("kith::conn::http", LevelFilter::Info),
            ("kith::store", LevelFilter::Debug),
            ("kith::store::sqlite", LevelFilter::Error),
            ("kith::storefront", LevelFilter::Info),
            ("mio::poll", LevelFilter::Trace),
            ("tungstenite", LevelFilter::Warn),
        ] {
            assert_eq!(filter.level_of(target), level, "{target}");
        }
        assert_eq!(filter.most(), LevelFilter::Trace);
    }

    #[test]
    fn a_target_is_a_part_and_a_level() {
        assert_eq!(
            "kith::store = Debug".parse::<Target>().unwrap().to_string(),
            "store=debug"
        );
        for text in ["store", "=debug", "store=", "store=loud", "a b=info"] {
            assert_eq!(text.parse::<Target>(), Err(BadTarget), "{text}");
        }
    }
}
