//! The real engine behind a wrapper that fails as disks do, and keeps a book of what was committed.
//!
//! The database lives in memory and outlives the server. Whatever fault is planned strikes once, at
//! the step that it names; after a crash the engine does nothing any more, as its process is gone.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};

use kith::chat::durable::{Found, Read, Write, Written};
use kith::chat::event::Entry;
use kith::clock::UnixMillis;
use kith::store::engine::{CommitError, Engine, EngineError, JobError, Pace, Reader};
use kith::store::sqlite::SqliteWriter;

/// What goes wrong with the next transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The transaction does not begin: another process holds the lock.
    Begin,
    /// The statement of this command fails: a bug, or a damaged page.
    Apply(usize),
    Sweep,
    /// The commit has no effect: the disk is full.
    CommitNotDone,
    /// The flush fails, and the transaction is on disk.
    UnknownDone,
    /// The flush fails, and the transaction is not on disk.
    UnknownUndone,
    /// The housekeeping after the transaction fails.
    Tend,
    /// The process dies before this command of the transaction.
    DieBefore(usize),
    DieBeforeCommit,
    /// The process dies after the commit, and nobody was told.
    DieAfterCommit,
}

/// What the disk holds, kept by the wrapper and not read back.
#[derive(Debug, Default)]
pub struct Book {
    /// Every entry ever committed, also those that retention took since.
    pub committed: BTreeMap<u64, Entry>,
    /// Transactions that were committed.
    pub commits: u64,
    pub plan: Option<Fault>,
    /// Once the process died, nothing it still does has an effect.
    pub dead: bool,
    /// What struck, for the count.
    pub struck: Vec<Fault>,
}

/// Held by the world and by the engine of whichever server runs.
pub type Ledger = Arc<Mutex<Book>>;

pub fn open(ledger: &Ledger) -> MutexGuard<'_, Book> {
    ledger.lock().expect("one thread")
}

/// See the module.
pub struct Faulty {
    inner: SqliteWriter,
    ledger: Ledger,
    /// Appended by the transaction that is open.
    appended: Vec<Entry>,
    applied: usize,
}

impl Faulty {
    pub const fn new(inner: SqliteWriter, ledger: Ledger) -> Self {
        Self {
            inner,
            ledger,
            appended: Vec::new(),
            applied: 0,
        }
    }

    /// Whether this fault is planned; then it strikes.
    fn strikes(&self, fault: Fault) -> bool {
        let mut book = open(&self.ledger);
        let struck = book.plan == Some(fault) && !book.dead;
        if struck {
            book.plan = None;
            book.struck.push(fault);
        }
        struck
    }

    fn dies(&self, fault: Fault) -> bool {
        let dies = self.strikes(fault);
        let mut book = open(&self.ledger);
        book.dead |= dies;
        book.dead
    }
}

fn broken(doing: &'static str) -> EngineError {
    EngineError {
        doing,
        detail: "simulated".to_owned(),
    }
}

impl Reader for Faulty {
    fn read(&mut self, read: &Read) -> Result<Found, JobError> {
        self.inner.read(read)
    }
}

impl Engine for Faulty {
    fn begin(&mut self) -> Result<(), EngineError> {
        self.appended.clear();
        self.applied = 0;
        if self.strikes(Fault::Begin) || open(&self.ledger).dead {
            return Err(broken("begin"));
        }
        self.inner.begin()
    }

    fn apply(&mut self, write: &Write, now: UnixMillis) -> Result<Written, JobError> {
        let number = self.applied;
        self.applied += 1;
        if self.dies(Fault::DieBefore(number)) || self.strikes(Fault::Apply(number)) {
            return Err(JobError::Engine(broken("a statement")));
        }
        let written = self.inner.apply(write, now)?;
        if let Written::Appended(entry) = &written {
            self.appended.push(entry.clone());
        }
        Ok(written)
    }

    fn sweep(&mut self, now: UnixMillis) -> Result<(), EngineError> {
        if self.strikes(Fault::Sweep) || open(&self.ledger).dead {
            return Err(broken("a sweep"));
        }
        self.inner.sweep(now)
    }

    fn commit(&mut self) -> Result<(), CommitError> {
        if self.strikes(Fault::CommitNotDone) {
            return Err(CommitError::NotDone(broken("commit")));
        }
        if self.dies(Fault::DieBeforeCommit) {
            return Err(CommitError::NotDone(broken("commit")));
        }
        if self.strikes(Fault::UnknownUndone) {
            self.inner.rollback().expect("memory takes a rollback");
            return Err(CommitError::Unknown(broken("flush")));
        }
        self.inner.commit()?;
        let unknown = self.strikes(Fault::UnknownDone);
        let dead = self.dies(Fault::DieAfterCommit);
        let mut book = open(&self.ledger);
        book.commits += 1;
        for entry in self.appended.drain(..) {
            let before = book.committed.insert(entry.seq.0, entry);
            assert!(before.is_none(), "a position was given out twice");
        }
        if unknown || dead {
            return Err(CommitError::Unknown(broken("flush")));
        }
        Ok(())
    }

    fn rollback(&mut self) -> Result<(), EngineError> {
        self.appended.clear();
        self.inner.rollback()
    }

    fn tend(&mut self, pace: Pace) -> Result<(), EngineError> {
        if self.strikes(Fault::Tend) {
            return Err(broken("a checkpoint"));
        }
        self.inner.tend(pace)
    }
}
