//! The store's threads: one that writes, two that read, each behind a bounded mailbox.
//!
//! Floor 2. This is the only file of the store that knows threads and the wall clock. It does not
//! know who asks, nor what poller the wake call stirs.
//!
//! The writer takes whatever queued up while the last commit was being flushed. That is all the
//! company a commit waits for: when the disk is slow, groups grow by themselves; when it is fast,
//! an extra wait would only be added to every answer.
//!
//! Catching up and scrolling have a lane each, so that a storm of one leaves the other alone, and
//! neither holds up a write. Answers of the writer are small and few (no more than are in flight);
//! pages are big, so the readers stop reading when [`READ_AHEAD`] of them wait for the loop.

use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, Sender, SyncSender, TryRecvError};
use std::thread::{self, JoinHandle};
use std::time::{SystemTime, UNIX_EPOCH};

use crate::chat::durable::{Read, ReadResult, Write, WriteResult};
use crate::chat::refusal::{ErrorCode, Refusal};
use crate::clock::UnixMillis;
use crate::ids::Ticket;
use crate::limits::{
    BUSY_RETRY, GROUP_BYTES, GROUP_COMMANDS, READ_AHEAD, READER_QUEUE, WRITER_QUEUE,
    WRITER_QUEUE_BYTES,
};
use crate::store::engine::{Engine, EngineError, JobError, Pace, Reader};
use crate::store::writer::{Verdict, Writer};

/// What comes back from the lanes.
#[derive(Debug)]
pub enum Answer {
    /// To [`Lanes::write`]: on disk, or refused.
    Written {
        /// As given.
        ticket: Ticket,
        /// What became of it.
        result: WriteResult,
    },
    /// To [`Lanes::read`].
    Found {
        /// As given.
        ticket: Ticket,
        /// What was found.
        result: ReadResult,
    },
    /// A lane is gone, and nobody can tell what the disk holds: the process must end.
    Fatal {
        /// For the log and the last words of the process.
        reason: String,
    },
}

/// A job that was not taken; here it is again.
#[derive(Debug)]
pub enum Unsent<J> {
    /// Too much is in flight: "busy, retry after".
    Full(J),
    /// The lanes are closed, or one has died.
    Closed(J),
}

/// Stirs the loop when answers are there. Called once for each batch, from the lanes' threads.
pub type Wake = Arc<dyn Fn() + Send + Sync>;

/// The loop's end of the store.
///
/// Every job that was taken is answered exactly once, through [`Lanes::take`], unless
/// [`Answer::Fatal`] comes first.
pub struct Lanes {
    writer: Option<Sender<(Ticket, Write)>>,
    pages: Option<Sender<(Ticket, Read)>>,
    history: Option<Sender<(Ticket, Read)>>,
    written: Receiver<Parcel>,
    found: Receiver<(Lane, Ticket, ReadResult)>,
    opened: std::vec::IntoIter<(Ticket, WriteResult)>,
    last_words: Option<String>,
    flight: Flight,
    commits: u64,
    threads: Vec<JoinHandle<()>>,
}

/// What was sent and is not yet taken back.
#[derive(Debug, Default)]
struct Flight {
    writes: usize,
    write_bytes: usize,
    pages: usize,
    history: usize,
}

/// The answers of one commit.
#[derive(Debug, Default)]
struct Parcel {
    answers: Vec<(Ticket, WriteResult)>,
    /// Of the texts that the commands carried.
    bytes: usize,
    commits: u64,
    fatal: Option<String>,
}

#[derive(Clone, Copy, Debug)]
enum Lane {
    Pages,
    History,
}

impl Lanes {
    /// Starts the threads.
    ///
    /// # Errors
    /// The operating system has no thread to give.
    pub fn start<E, R>(engine: E, pages: R, history: R, wake: Wake) -> std::io::Result<Self>
    where
        E: Engine + Send + 'static,
        R: Reader + Send + 'static,
    {
        let (writer, write_jobs) = mpsc::channel();
        let (page_sender, page_jobs) = mpsc::channel();
        let (history_sender, history_jobs) = mpsc::channel();
        let (parcels, written) = mpsc::channel();
        let (answers, found) = mpsc::sync_channel(READ_AHEAD);
        let post = Post {
            parcels,
            wake: wake.clone(),
        };
        let reader = |lane, jobs, reader: R| ReaderLane {
            lane,
            jobs,
            reader,
            answers: answers.clone(),
            post: post.clone(),
        };
        let pages = reader(Lane::Pages, page_jobs, pages);
        let history = reader(Lane::History, history_jobs, history);
        let spawn = |name: &str| thread::Builder::new().name(name.to_owned());
        let threads = vec![
            spawn("kith-writer")
                .spawn(move || write_lane(&write_jobs, Writer::new(engine), &post))?,
            spawn("kith-pages").spawn(move || pages.run())?,
            spawn("kith-history").spawn(move || history.run())?,
        ];
        Ok(Self {
            writer: Some(writer),
            pages: Some(page_sender),
            history: Some(history_sender),
            written,
            found,
            opened: Vec::new().into_iter(),
            last_words: None,
            flight: Flight::default(),
            commits: 0,
            threads,
        })
    }

    /// Sends a write on its way.
    ///
    /// # Errors
    /// The job comes back when [`WRITER_QUEUE`] or [`WRITER_QUEUE_BYTES`] are in flight.
    pub fn write(&mut self, ticket: Ticket, write: Write) -> Result<(), Unsent<Write>> {
        let Some(sender) = &self.writer else {
            return Err(Unsent::Closed(write));
        };
        let bytes = weight(&write);
        if self.flight.writes >= WRITER_QUEUE
            || self.flight.write_bytes + bytes > WRITER_QUEUE_BYTES
        {
            return Err(Unsent::Full(write));
        }
        match sender.send((ticket, write)) {
            Ok(()) => {
                self.flight.writes += 1;
                self.flight.write_bytes += bytes;
                Ok(())
            }
            Err(mpsc::SendError((_, write))) => Err(Unsent::Closed(write)),
        }
    }

    /// Sends a read on its way, in the lane where its kind belongs.
    ///
    /// # Errors
    /// The job comes back when [`READER_QUEUE`] of its lane are in flight.
    pub fn read(&mut self, ticket: Ticket, read: Read) -> Result<(), Unsent<Read>> {
        let (sender, flight) = match lane_of(&read) {
            Lane::Pages => (&self.pages, &mut self.flight.pages),
            Lane::History => (&self.history, &mut self.flight.history),
        };
        let Some(sender) = sender else {
            return Err(Unsent::Closed(read));
        };
        if *flight >= READER_QUEUE {
            return Err(Unsent::Full(read));
        }
        match sender.send((ticket, read)) {
            Ok(()) => {
                *flight += 1;
                Ok(())
            }
            Err(mpsc::SendError((_, read))) => Err(Unsent::Closed(read)),
        }
    }

    /// The next answer, if one is there. Writes are answered in the order of their commits, and
    /// before whatever was read.
    pub fn take(&mut self) -> Option<Answer> {
        loop {
            if let Some((ticket, result)) = self.opened.next() {
                return Some(Answer::Written { ticket, result });
            }
            if let Some(reason) = self.last_words.take() {
                return Some(Answer::Fatal { reason });
            }
            match self.written.try_recv() {
                Ok(parcel) => self.open(parcel),
                Err(TryRecvError::Empty | TryRecvError::Disconnected) => break,
            }
        }
        self.found.try_recv().ok().map(|found| self.found(found))
    }

    /// Transactions that were committed, as far as their answers were taken.
    pub const fn commits(&self) -> u64 {
        self.commits
    }

    /// Takes no more jobs. What is queued is still done and answered; then the writer leaves the
    /// database as the next start wants to find it, and the threads end.
    pub fn close(&mut self) {
        self.writer = None;
        self.pages = None;
        self.history = None;
    }

    /// Closes, waits for the threads, and gives the answers that were not yet taken.
    pub fn join(mut self) -> Vec<Answer> {
        self.close();
        let mut answers: Vec<Answer> = std::iter::from_fn(|| self.take()).collect();
        // Both channels end when the last thread that may answer has ended; the readers first, for
        // they may be waiting for room.
        while let Ok(found) = self.found.recv() {
            answers.push(self.found(found));
        }
        while let Ok(parcel) = self.written.recv() {
            self.open(parcel);
            answers.extend(std::iter::from_fn(|| self.take()));
        }
        for thread in self.threads.drain(..) {
            // A panic has already been told as `Fatal`, by the thread's own post.
            let _ = thread.join();
        }
        answers
    }

    fn open(&mut self, parcel: Parcel) {
        self.flight.writes -= parcel.answers.len();
        self.flight.write_bytes -= parcel.bytes;
        self.commits += parcel.commits;
        self.last_words = parcel.fatal;
        self.opened = parcel.answers.into_iter();
    }

    fn found(&mut self, (lane, ticket, result): (Lane, Ticket, ReadResult)) -> Answer {
        match lane {
            Lane::Pages => self.flight.pages -= 1,
            Lane::History => self.flight.history -= 1,
        }
        Answer::Found { ticket, result }
    }
}

/// History has a lane of its own; pages and cursors are what a signing-in client waits for.
const fn lane_of(read: &Read) -> Lane {
    match read {
        Read::Page { .. } | Read::Cursor { .. } => Lane::Pages,
        Read::History { .. } => Lane::History,
    }
}

/// What a command holds of memory while it waits.
fn weight(write: &Write) -> usize {
    match write {
        Write::Talk { text, .. } => size_of::<Write>() + text.len(),
    }
}

/// A lane's way to the loop. Dropped while its thread panics, it tells so.
#[derive(Clone)]
struct Post {
    parcels: Sender<Parcel>,
    wake: Wake,
}

impl Post {
    /// The loop may be gone already; then nobody is left to be told.
    fn send(&self, parcel: Parcel) {
        let _ = self.parcels.send(parcel);
        (self.wake)();
    }

    fn last_words(&self, reason: String) {
        self.send(Parcel {
            fatal: Some(reason),
            ..Parcel::default()
        });
    }
}

/// In the server a panic in any thread ends the process before this is reached (`logging.rs`). Whoever
/// uses the lanes without that, a test for one, is told here.
impl Drop for Post {
    fn drop(&mut self) {
        if thread::panicking() {
            let name = thread::current().name().unwrap_or("a lane").to_owned();
            self.last_words(format!("the store's thread {name} panicked"));
        }
    }
}

/// Milliseconds since 1970; 0 on a host whose clock stands before that.
fn wall_clock() -> UnixMillis {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    UnixMillis(since.map_or(0, |since| {
        i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
    }))
}

fn write_lane<E: Engine>(jobs: &Receiver<(Ticket, Write)>, mut writer: Writer<E>, post: &Post) {
    let mut verdict = write_until_closed(jobs, &mut writer, post);
    if verdict == Verdict::GoOn {
        verdict = writer.tend(Pace::Last);
    }
    if let Verdict::End(reason) = verdict {
        // What still waits was not begun, and may be told so before the process ends.
        let answers: Vec<_> = jobs.try_iter().collect();
        post.send(Parcel {
            bytes: answers.iter().map(|(_, write)| weight(write)).sum(),
            answers: answers
                .iter()
                .map(|(ticket, _)| (*ticket, Err(not_done())))
                .collect(),
            commits: 0,
            fatal: Some(reason),
        });
    }
}

fn write_until_closed<E: Engine>(
    jobs: &Receiver<(Ticket, Write)>,
    writer: &mut Writer<E>,
    post: &Post,
) -> Verdict {
    let mut batch = Vec::with_capacity(GROUP_COMMANDS);
    let mut health = Health::Good;
    loop {
        let first = match jobs.try_recv() {
            Ok(first) => first,
            Err(TryRecvError::Empty) => {
                if let end @ Verdict::End(_) = writer.tend(Pace::Idle) {
                    return end;
                }
                match jobs.recv() {
                    Ok(first) => first,
                    Err(mpsc::RecvError) => return Verdict::GoOn,
                }
            }
            Err(TryRecvError::Disconnected) => return Verdict::GoOn,
        };
        let bytes = gather(first, jobs, &mut batch);
        let flush = writer.flush(&batch, wall_clock());
        health.note(flush.trouble.as_ref());
        post.send(Parcel {
            answers: flush.answers,
            bytes,
            commits: flush.commits,
            fatal: None,
        });
        if flush.verdict != Verdict::GoOn {
            return flush.verdict;
        }
        batch.clear();
        if let end @ Verdict::End(_) = writer.tend(Pace::Busy) {
            return end;
        }
    }
}

/// Takes what waits, up to [`GROUP_COMMANDS`] or [`GROUP_BYTES`]; returns the bytes of it.
fn gather(
    first: (Ticket, Write),
    jobs: &Receiver<(Ticket, Write)>,
    batch: &mut Vec<(Ticket, Write)>,
) -> usize {
    let mut bytes = weight(&first.1);
    batch.push(first);
    while batch.len() < GROUP_COMMANDS && bytes < GROUP_BYTES {
        let Ok(job) = jobs.try_recv() else { break };
        bytes += weight(&job.1);
        batch.push(job);
    }
    bytes
}

struct ReaderLane<R> {
    lane: Lane,
    jobs: Receiver<(Ticket, Read)>,
    reader: R,
    answers: SyncSender<(Lane, Ticket, ReadResult)>,
    post: Post,
}

impl<R: Reader> ReaderLane<R> {
    fn run(mut self) {
        let mut health = Health::Good;
        for (ticket, read) in &self.jobs {
            let result = match self.reader.read(&read) {
                Ok(found) => {
                    health.note(None);
                    Ok(found)
                }
                Err(JobError::Refused(refusal)) => Err(refusal),
                Err(JobError::Engine(error)) => {
                    health.note(Some(&error));
                    Err(not_done())
                }
            };
            // Waits while the loop has not taken what is there; it was woken for that already. An
            // error means that the loop is gone.
            if self.answers.send((self.lane, ticket, result)).is_err() {
                return;
            }
            (self.post.wake)();
        }
    }
}

fn not_done() -> Refusal {
    Refusal::new(ErrorCode::StoreFailed).retry(BUSY_RETRY)
}

/// So that a disk that is full for an hour is one line in the log, and its recovery another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Health {
    Good,
    Bad,
}

impl Health {
    fn note(&mut self, trouble: Option<&EngineError>) {
        match (*self, trouble) {
            (Self::Good, Some(error)) => log::error!("the store fails: {error}"),
            (Self::Bad, None) => log::info!("the store works again"),
            (Self::Good, None) | (Self::Bad, Some(_)) => return,
        }
        *self = match trouble {
            Some(_) => Self::Bad,
            None => Self::Good,
        };
    }
}
