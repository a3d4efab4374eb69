//! What the writer and the readers ask of a database.
//!
//! Floor 2. One set of rules serves every engine: the built-in SQLite now, a shared MariaDB later.
//! `tests/store/contract.rs` is the other half of this file: what it demands, any engine must do.
//! Nothing here knows threads, mailboxes or SQL.

use std::fmt;

use crate::chat::durable::{Found, Read, Write, Written};
use crate::chat::refusal::Refusal;
use crate::clock::UnixMillis;

/// The reading half. Every read sees one moment of the database: no floor that moves while entries
/// are collected.
pub trait Reader {
    /// Looks something up.
    ///
    /// # Errors
    /// [`JobError::Refused`] for a conversation that does not exist.
    fn read(&mut self, read: &Read) -> Result<Found, JobError>;
}

/// The writing half: one transaction at a time, of one or many commands.
///
/// The order of calls is `begin`, any number of `apply`, at most one `sweep`, then `commit` or
/// `rollback`. After an error of `apply`, `sweep` or `commit` (unless [`CommitError::Unknown`]) the
/// transaction is still to be rolled back.
pub trait Engine: Reader {
    /// Opens a transaction that may write, after a bounded wait if another process is writing.
    ///
    /// # Errors
    /// Nothing was begun.
    fn begin(&mut self) -> Result<(), EngineError>;

    /// Does one command. The rules are asked before the first row changes, so that a refused
    /// command leaves nothing behind and the transaction can go on.
    ///
    /// `now` stands in the entry for people to read. It may run backwards when the host's clock is
    /// set; if it could not, one wrong jump into the future would stamp every later entry with it.
    /// Order is by `seq` alone.
    ///
    /// # Errors
    /// [`JobError::Refused`] is an answer; after [`JobError::Engine`] the transaction is worthless.
    fn apply(&mut self, write: &Write, now: UnixMillis) -> Result<Written, JobError>;

    /// Removes a bounded number of rows that are no longer kept: expired keys, and entries beyond
    /// the retention.
    ///
    /// # Errors
    /// The transaction is worthless.
    fn sweep(&mut self, now: UnixMillis) -> Result<(), EngineError>;

    /// Makes the transaction last. When this returns `Ok`, a power cut loses nothing of it.
    ///
    /// # Errors
    /// Says whether it may have happened all the same.
    fn commit(&mut self) -> Result<(), CommitError>;

    /// Takes the transaction back.
    ///
    /// # Errors
    /// The connection is in a state that nobody knows; it must not be used again.
    fn rollback(&mut self) -> Result<(), EngineError>;

    /// Housekeeping between transactions, after the answers have gone out.
    ///
    /// # Errors
    /// The disk failed to keep what it was given; the process must end.
    fn tend(&mut self, pace: Pace) -> Result<(), EngineError>;
}

/// Whether somebody waits for the next transaction while the engine tends to itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pace {
    /// Commands are waiting: only what cannot wait.
    Busy,
    /// Nobody is waiting.
    Idle,
    /// Nothing will come any more: leave it as the next start wants to find it.
    Last,
}

/// Why a job was not done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum JobError {
    /// The asker's fault: a rule forbids it, or it names what does not exist.
    Refused(Refusal),
    /// The database's or the disk's fault.
    Engine(EngineError),
}

impl From<EngineError> for JobError {
    fn from(error: EngineError) -> Self {
        Self::Engine(error)
    }
}

/// Why a commit was not acknowledged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CommitError {
    /// It had no effect and will have none: the disk is full, the database is locked.
    NotDone(EngineError),
    /// Nobody can tell: the flush failed, or the connection broke while committing.
    Unknown(EngineError),
}

/// The database or the disk failed. For the operator's log; clients never see these words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EngineError {
    /// What was being done, as a noun: `commit`, `a page`.
    pub doing: &'static str,
    /// What the database said.
    pub detail: String,
}

impl fmt::Display for EngineError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.doing, self.detail)
    }
}

impl std::error::Error for EngineError {}
