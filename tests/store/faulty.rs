//! An engine around an engine, which fails where it is told to.
//!
//! Every call is a step, counted from 0. A fault that is planned for a step strikes there, once; a
//! crash takes the connection with it, as the end of the process would, and nothing works
//! afterwards.

use std::collections::BTreeMap;

use kith::chat::durable::{Found, Read, Write, Written};
use kith::clock::UnixMillis;
use kith::store::engine::{CommitError, Engine, EngineError, JobError, Pace, Reader};

/// What goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The call fails and has no effect. For a commit: and says so.
    Fails,
    /// A commit whose flush failed, though the transaction reached the disk. Otherwise as `Fails`.
    UnknownDone,
    /// A commit whose flush failed, and nothing reached the disk. Otherwise as `Fails`.
    UnknownLost,
    /// The process dies before the call does anything.
    CrashBefore,
    /// The process dies when the call has done everything.
    CrashAfter,
}

impl Fault {
    pub const ALL: [Self; 5] = [
        Self::Fails,
        Self::UnknownDone,
        Self::UnknownLost,
        Self::CrashBefore,
        Self::CrashAfter,
    ];
}

/// The wrapper.
pub struct Faulty<E> {
    /// `None` after a crash.
    engine: Option<E>,
    plan: BTreeMap<usize, Fault>,
    step: usize,
    /// What was called, for a test to see which step is which.
    pub calls: Vec<&'static str>,
}

impl<E: Engine> Faulty<E> {
    pub fn new(engine: E, plan: impl IntoIterator<Item = (usize, Fault)>) -> Self {
        Self {
            engine: Some(engine),
            plan: plan.into_iter().collect(),
            step: 0,
            calls: Vec::new(),
        }
    }

    fn strike(&mut self, call: &'static str) -> Result<Option<Fault>, EngineError> {
        self.calls.push(call);
        let fault = self.plan.remove(&self.step);
        self.step += 1;
        if fault == Some(Fault::CrashBefore) {
            self.engine = None;
        }
        match self.engine {
            Some(_) => Ok(fault),
            None => Err(error("dead")),
        }
    }

    fn call<T, X: From<EngineError>>(
        &mut self,
        name: &'static str,
        work: impl FnOnce(&mut E) -> Result<T, X>,
    ) -> Result<T, X> {
        let fault = self.strike(name)?;
        match (&mut self.engine, fault) {
            (Some(engine), None) => work(engine),
            (Some(engine), Some(Fault::CrashAfter)) => {
                let _ = work(engine);
                self.engine = None;
                Err(error("dead").into())
            }
            _ => Err(error("told to fail").into()),
        }
    }
}

fn error(detail: &str) -> EngineError {
    EngineError {
        doing: "a test",
        detail: detail.to_owned(),
    }
}

impl<E: Engine> Reader for Faulty<E> {
    fn read(&mut self, read: &Read) -> Result<Found, JobError> {
        self.call("read", |engine| engine.read(read))
    }
}

impl<E: Engine> Engine for Faulty<E> {
    fn begin(&mut self) -> Result<(), EngineError> {
        self.call("begin", Engine::begin)
    }

    fn apply(&mut self, write: &Write, now: UnixMillis) -> Result<Written, JobError> {
        self.call("apply", |engine| engine.apply(write, now))
    }

    fn sweep(&mut self, now: UnixMillis) -> Result<(), EngineError> {
        self.call("sweep", |engine| engine.sweep(now))
    }

    fn commit(&mut self) -> Result<(), CommitError> {
        let fault = self.strike("commit").map_err(CommitError::Unknown)?;
        let Some(engine) = &mut self.engine else {
            return Err(CommitError::Unknown(error("dead")));
        };
        match fault {
            None => return engine.commit(),
            Some(Fault::Fails) => return Err(CommitError::NotDone(error("told to fail"))),
            Some(Fault::UnknownLost | Fault::CrashBefore) => {}
            Some(Fault::UnknownDone) => engine.commit()?,
            Some(Fault::CrashAfter) => {
                engine.commit()?;
                self.engine = None;
            }
        }
        Err(CommitError::Unknown(error("told to fail")))
    }

    fn rollback(&mut self) -> Result<(), EngineError> {
        self.call("rollback", Engine::rollback)
    }

    fn tend(&mut self, pace: Pace) -> Result<(), EngineError> {
        self.call("tend", |engine| engine.tend(pace))
    }
}
