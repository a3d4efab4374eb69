//! The whole server minus the kernel, in 256 worlds that fail in every way we could think of.
//!
//! `SIM_SEED=17` lives through one of them again, exactly; `SIM_TRACE=1` tells what happens in it.
//! `SIM_SEEDS=10000` lives through more than 256. What is checked is listed in `sim/oracle.rs`,
//! and what has to have happened in `sim/counts.rs`.

#![allow(clippy::unwrap_used)]

mod sim;

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use sim::{Counts, World};

const SEEDS: u64 = 256;

#[test]
fn whatever_goes_wrong_nobody_is_told_what_is_not_so() {
    if let Some(seed) = number("SIM_SEED") {
        let counts = live_through(seed, number("SIM_TRACE").is_some());
        counts.unwrap_or_else(|what| panic!("{what}")).print();
        return;
    }
    let seeds = number("SIM_SEEDS").unwrap_or(SEEDS);
    let next = AtomicU64::new(0);
    let outcome = Mutex::new((Counts::default(), Vec::new()));
    thread::scope(|scope| {
        for _ in 0..thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(|| {
                while let Some(seed) =
                    Some(next.fetch_add(1, Ordering::Relaxed)).filter(|n| *n < seeds)
                {
                    let lived = live_through(seed, false);
                    let mut outcome = outcome.lock().unwrap();
                    match lived {
                        Ok(counts) => outcome.0.merge(&counts),
                        Err(what) => {
                            outcome.1.push(what);
                            next.store(seeds, Ordering::Relaxed);
                        }
                    }
                }
            });
        }
    });
    let (counts, failures) = outcome.into_inner().unwrap();
    assert!(failures.is_empty(), "{}", failures.join("\n"));
    if seeds >= SEEDS {
        counts.print();
        let missing = counts.missing();
        assert!(
            missing.is_empty(),
            "it happens too seldom:\n{}",
            missing.join("\n")
        );
    }
}

/// One seed, from the first connection to the rest at the end.
fn live_through(seed: u64, trace: bool) -> Result<Counts, String> {
    let step = AtomicU64::new(0);
    let lived = catch_unwind(AssertUnwindSafe(|| World::new(seed, trace, &step).run()));
    let told = |what: &str| {
        let step = step.load(Ordering::Relaxed);
        format!("SIM_SEED={seed} step {step}: {what}")
    };
    match lived {
        Ok(lived) => lived.map_err(|what| told(&what)),
        Err(panic) => Err(told(&words(&*panic))),
    }
}

fn words(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    let text = text.or_else(|| panic.downcast_ref::<&str>().copied());
    text.unwrap_or("a panic without words").to_owned()
}

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}
