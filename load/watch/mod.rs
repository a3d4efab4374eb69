//! What a process takes while it is watched, added up over its restarts.
//!
//! A server that is killed and started again is another process with another number, and begins to
//! count anew. [`Watch`] keeps what the former ones have taken, so that every sum only grows. Knows
//! nothing of the run.

mod listener;
mod proc;

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::thread::{self, JoinHandle};
use std::time::Duration;

pub use listener::listener;
#[cfg(test)]
pub use proc::Cpu;
pub use proc::{Holdings, Spent};
use proc::{Usage, usage};

/// Watches one server, whichever process it is.
#[derive(Debug)]
pub struct Watch {
    pid: u32,
    /// Where its successor will listen.
    address: Option<SocketAddr>,
    last: Usage,
    /// Not once it is gone and nobody has taken its place.
    alive: bool,
    /// What processes and threads that have ended had taken, by thread.
    gone: Totals,
    processes: u32,
    /// Whoever took its place is being looked for. On a thread of its own: where many files are
    /// open that takes a quarter of a second, in which no message would be taken up.
    search: Option<JoinHandle<Option<u32>>>,
}

/// What was taken since the first process began.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// By name of thread; threads of one name are one.
    pub threads: BTreeMap<String, Spent>,
    /// Resident memory now, in bytes; 0 while there is no process.
    pub resident: u64,
}

impl Watch {
    /// Watches this process, and after its end whoever listens at `address`.
    ///
    /// # Errors
    /// It cannot be looked at.
    pub fn new(pid: u32, address: Option<SocketAddr>) -> io::Result<Self> {
        Ok(Self {
            pid,
            address,
            last: usage(pid)?,
            alive: true,
            gone: Totals::default(),
            processes: 1,
            search: None,
        })
    }

    /// The number of the latest process.
    pub const fn pid(&self) -> u32 {
        self.pid
    }

    /// How many processes there have been, one after the other.
    pub const fn processes(&self) -> u32 {
        self.processes
    }

    /// How long ago the latest process began.
    pub fn age(&self) -> Duration {
        self.last.age().unwrap_or_default()
    }

    /// Looks again. What a new process took before it was found is seen at once; what a process
    /// took between the last look and its end is not seen.
    pub fn look(&mut self) -> Totals {
        let found = match usage(self.pid) {
            Ok(found) if found.began == self.last.began => Some((self.pid, found)),
            // Gone, or its number is somebody else's by now.
            _ => self.successor(),
        };
        self.seen(found)
    }

    /// Looks when the run is over, and waits for a search: nobody is kept waiting by that any more,
    /// and who began in the last seconds has not been found before.
    pub fn look_last(&mut self) -> Totals {
        let totals = self.look();
        let Some(address) = self.address.filter(|_| !self.alive) else {
            return totals;
        };
        // One that began while nobody listened has found nobody.
        let found = listener(address).and_then(|pid| Some((pid, usage(pid).ok()?)));
        self.seen(found)
    }

    /// What it holds now.
    pub fn holdings(&self) -> Option<Holdings> {
        proc::holdings(self.pid).ok().filter(|_| self.alive)
    }

    /// Whoever listens there now, as far as the search has come.
    fn successor(&mut self) -> Option<(u32, Usage)> {
        let address = self.address?;
        match self.search.take() {
            Some(search) if search.is_finished() => {
                // A search that panicked has found nobody.
                let pid = search.join().ok().flatten()?;
                Some((pid, usage(pid).ok()?))
            }
            Some(search) => {
                self.search = Some(search);
                None
            }
            None => {
                let name = thread::Builder::new().name("search".to_owned());
                // Where no thread is to be had, the next look tries again.
                self.search = name.spawn(move || listener(address)).ok();
                None
            }
        }
    }

    fn seen(&mut self, found: Option<(u32, Usage)>) -> Totals {
        self.alive = found.is_some();
        if let Some((pid, usage)) = found {
            let same = (pid, usage.began) == (self.pid, self.last.began);
            let ended = |thread: &&proc::Thread| usage.threads.iter().all(|t| t.id != thread.id);
            for thread in self.last.threads.iter().filter(|t| !same || ended(t)) {
                self.gone.add(thread);
            }
            self.processes += u32::from(!same);
            (self.pid, self.last) = (pid, usage);
        }
        let mut totals = self.gone.clone();
        for thread in &self.last.threads {
            totals.add(thread);
        }
        totals.resident = if self.alive { self.last.resident } else { 0 };
        totals
    }
}

impl Totals {
    /// All threads together.
    pub fn spent(&self) -> Spent {
        let all = self.threads.values().copied();
        all.fold(Spent::default(), Spent::plus)
    }

    /// What was taken since an earlier moment, by thread; those that took nothing too.
    pub fn since(&self, earlier: &Self) -> BTreeMap<String, Spent> {
        let threads = self.threads.iter();
        let before = |name| earlier.threads.get(name).copied().unwrap_or_default();
        threads
            .map(|(name, spent)| (name.clone(), spent.since(before(name))))
            .collect()
    }

    fn add(&mut self, thread: &proc::Thread) {
        let sum = self.threads.entry(thread.name.clone()).or_default();
        *sum = sum.plus(thread.spent);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn thread(id: u32, name: &str, ms: u64) -> proc::Thread {
        let cpu = Cpu {
            user: Duration::from_millis(ms),
            kernel: Duration::ZERO,
        };
        proc::Thread {
            id,
            name: name.to_owned(),
            spent: Spent {
                cpu,
                voluntary: ms,
                involuntary: 0,
            },
        }
    }

    fn process(began: u64, threads: &[(u32, &str, u64)]) -> Usage {
        let threads = threads.iter();
        Usage {
            began,
            threads: threads
                .map(|(id, name, ms)| thread(*id, name, *ms))
                .collect(),
            resident: 100,
        }
    }

    #[test]
    fn sums_survive_threads_that_end_and_servers_that_are_replaced() {
        let mut watch = Watch {
            pid: 7,
            address: None,
            last: process(1, &[(7, "kith", 0)]),
            alive: true,
            gone: Totals::default(),
            processes: 1,
            search: None,
        };
        let mut check = |found: Option<(u32, Usage)>, expected: &[(&str, u64)], resident| {
            let totals = watch.seen(found);
            let spent = |(name, spent): (&String, &Spent)| {
                let ms = spent.cpu.total().as_millis() as u64;
                assert_eq!(spent.voluntary, ms);
                (name.clone(), ms)
            };
            let found: Vec<_> = totals.threads.iter().map(spent).collect();
            let expected = expected.iter();
            let expected: Vec<_> = expected.map(|(n, ms)| ((*n).to_owned(), *ms)).collect();
            assert_eq!((found, totals.resident), (expected, resident));
            (watch.pid(), watch.processes())
        };
        let two = process(1, &[(7, "kith", 5), (8, "reader", 3), (9, "reader", 4)]);
        let one = process(1, &[(7, "kith", 6), (9, "reader", 4)]);
        check(Some((7, two)), &[("kith", 5), ("reader", 7)], 100);
        check(Some((7, one)), &[("kith", 6), ("reader", 7)], 100);
        check(None, &[("kith", 6), ("reader", 7)], 0);
        check(None, &[("kith", 6), ("reader", 7)], 0);
        // The number was given away again: that is another process.
        let other = process(2, &[(7, "kith", 1)]);
        let new = check(Some((7, other)), &[("kith", 7), ("reader", 7)], 100);
        assert_eq!(new, (7, 2));
        let third = process(3, &[(11, "kith", 2)]);
        let new = check(Some((11, third)), &[("kith", 9), ("reader", 7)], 100);
        assert_eq!(new, (11, 3));
    }
}
