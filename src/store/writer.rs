//! Group commit: many commands, one transaction, one flush to disk.
//!
//! Floor 2. The writer is a function of its batch and of what the engine answers. It has no thread
//! and reads no clock, so that a simulation can drive it and cut it off at any step. It knows no
//! SQL, and not where commands come from; `lanes.rs` puts it on a thread.
//!
//! Nobody is told of a write before its commit returned. When something goes wrong, the answers are
//! chosen such that none can be contradicted by a restart:
//!
//! | what failed | what it means | the answer |
//! |---|---|---|
//! | `begin`, or the commit had no effect | disk full, locked | not done, for all; go on |
//! | one command | a bug, a damaged page | replayed one by one: not done, for the guilty one |
//! | the flush | nobody can tell what is on disk | unknown, for all; the process ends |
//!
//! After a failed flush the kernel may have dropped the dirty pages and report success next time,
//! so there is no second attempt: only a restart reads what the disk really holds.

use crate::chat::durable::{Write, WriteResult, Written};
use crate::chat::refusal::{ErrorCode, Refusal};
use crate::clock::UnixMillis;
use crate::ids::Ticket;
use crate::limits::BUSY_RETRY;
use crate::store::engine::{CommitError, Engine, EngineError, JobError, Pace};

/// The one that writes.
#[derive(Debug)]
pub struct Writer<E> {
    engine: E,
    sweeping: Sweeping,
}

/// A sweep that fails once would fail every later group with it. Retention can wait for the
/// operator, messages cannot.
#[derive(Debug, PartialEq, Eq)]
enum Sweeping {
    On,
    Off,
}

/// What became of one batch.
#[derive(Debug)]
#[must_use]
pub struct Flush {
    /// One for each command, in the order of the batch.
    pub answers: Vec<(Ticket, WriteResult)>,
    /// Transactions that were committed.
    pub commits: u64,
    /// The first thing that the engine complained of, for the log.
    pub trouble: Option<EngineError>,
    /// Whether there may be another batch.
    pub verdict: Verdict,
}

/// Whether the writer may go on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It may.
    GoOn,
    /// The process must end, for this reason; what the disk holds is known after a restart only.
    End(String),
}

/// Where a transaction of several commands broke off.
enum Broken {
    Begin(EngineError),
    Inside(EngineError),
    Commit(CommitError),
}

/// Whether the next transaction is worth beginning.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Chance {
    Good,
    None,
}

impl<E: Engine> Writer<E> {
    /// A writer over an engine that has no transaction open.
    pub const fn new(engine: E) -> Self {
        Self {
            engine,
            sweeping: Sweeping::On,
        }
    }

    /// Does a batch of at most [`crate::limits::GROUP_COMMANDS`] in one transaction, in its order.
    pub fn flush(&mut self, batch: &[(Ticket, Write)], now: UnixMillis) -> Flush {
        let mut flush = Flush {
            answers: Vec::with_capacity(batch.len()),
            commits: 0,
            trouble: None,
            verdict: Verdict::GoOn,
        };
        if !batch.is_empty() {
            self.group(batch, now, &mut flush);
        }
        flush
    }

    /// Housekeeping; to be called when the answers of [`Writer::flush`] are on their way.
    #[must_use]
    pub fn tend(&mut self, pace: Pace) -> Verdict {
        match self.engine.tend(pace) {
            Ok(()) => Verdict::GoOn,
            Err(error) => Verdict::End(error.to_string()),
        }
    }

    /// The engine, for reading through it between two batches.
    pub const fn engine(&mut self) -> &mut E {
        &mut self.engine
    }

    /// The engine, for a simulation that wraps it.
    pub fn into_engine(self) -> E {
        self.engine
    }

    /// One transaction; says whether another one right after it has a chance.
    fn group(&mut self, batch: &[(Ticket, Write)], now: UnixMillis, flush: &mut Flush) -> Chance {
        let from = flush.answers.len();
        let broken = match self.transaction(batch, now, flush) {
            Ok(()) => {
                flush.commits += 1;
                return Chance::Good;
            }
            Err(broken) => broken,
        };
        match broken {
            Broken::Begin(error) => {
                settle(batch, from, ErrorCode::StoreFailed, flush);
                trouble(flush, error);
                Chance::None
            }
            Broken::Commit(CommitError::Unknown(error)) => {
                settle(batch, from, ErrorCode::StoreUnknown, flush);
                end(flush, error)
            }
            Broken::Commit(CommitError::NotDone(error)) => {
                settle(batch, from, ErrorCode::StoreFailed, flush);
                trouble(flush, error);
                self.rollback(flush)
            }
            Broken::Inside(error) => {
                trouble(flush, error);
                let chance = self.rollback(flush);
                if batch.len() == 1 || chance == Chance::None {
                    settle(batch, from, ErrorCode::StoreFailed, flush);
                } else {
                    flush.answers.truncate(from);
                    self.one_by_one(batch, now, flush);
                }
                chance
            }
        }
    }

    /// Applies and commits; on success the answers are in `flush`.
    fn transaction(
        &mut self,
        batch: &[(Ticket, Write)],
        now: UnixMillis,
        flush: &mut Flush,
    ) -> Result<(), Broken> {
        self.engine.begin().map_err(Broken::Begin)?;
        for (ticket, write) in batch {
            let result = match self.engine.apply(write, now) {
                Ok(written) => Ok(written),
                Err(JobError::Refused(refusal)) => Err(refusal),
                Err(JobError::Engine(error)) => return Err(Broken::Inside(error)),
            };
            flush.answers.push((*ticket, result));
        }
        if self.sweeping == Sweeping::On
            && let Err(error) = self.engine.sweep(now)
        {
            self.sweeping = Sweeping::Off;
            return Err(Broken::Inside(EngineError {
                doing: "the retention, which pauses until the next start",
                detail: error.to_string(),
            }));
        }
        self.engine.commit().map_err(Broken::Commit)
    }

    fn one_by_one(&mut self, batch: &[(Ticket, Write)], now: UnixMillis, flush: &mut Flush) {
        for at in 0..batch.len() {
            if self.group(&batch[at..=at], now, flush) == Chance::None {
                // A database that cannot even begin will not serve the others either, and each
                // attempt may cost the whole wait for a lock.
                let from = flush.answers.len();
                settle(&batch[at + 1..], from, ErrorCode::StoreFailed, flush);
                return;
            }
        }
    }

    fn rollback(&mut self, flush: &mut Flush) -> Chance {
        match self.engine.rollback() {
            Ok(()) => Chance::Good,
            Err(error) => end(flush, error),
        }
    }
}

/// Answers the batch, whose answers begin at `from`, with `code`. What is true whatever became of
/// the transaction stays: a refusal by a rule, and the first answer to what an earlier transaction
/// had done; "not done" would be a lie about that.
fn settle(batch: &[(Ticket, Write)], from: usize, code: ErrorCode, flush: &mut Flush) {
    let place = |answer: &(Ticket, WriteResult)| match &answer.1 {
        Ok(Written::Appended(entry)) => Some((entry.conv, entry.seq)),
        _ => None,
    };
    let lost: Vec<_> = flush.answers[from..].iter().filter_map(place).collect();
    for (at, (ticket, _)) in batch.iter().enumerate() {
        let refusal = Refusal::new(code).retry(BUSY_RETRY);
        match flush.answers.get_mut(from + at) {
            Some((_, Err(_))) => {}
            Some((_, Ok(Written::Again { conv, seq, .. }))) if !lost.contains(&(*conv, *seq)) => {}
            Some((_, answer)) => *answer = Err(refusal),
            None => flush.answers.push((*ticket, Err(refusal))),
        }
    }
}

fn trouble(flush: &mut Flush, error: EngineError) {
    flush.trouble.get_or_insert(error);
}

fn end(flush: &mut Flush, error: EngineError) -> Chance {
    flush.verdict = Verdict::End(error.to_string());
    trouble(flush, error);
    Chance::None
}
