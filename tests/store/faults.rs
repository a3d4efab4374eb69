//! The writer when its engine fails: who is told what, and whether a restart ever contradicts it.

use std::collections::BTreeMap;

use kith::chat::durable::{Write, WriteResult, Written};
use kith::chat::refusal::Fate;
use kith::clock::UnixMillis;
use kith::ids::{Seq, Tag, Ticket};
use kith::store::engine::Pace;
use kith::store::sqlite::{SqliteReader, SqliteWriter};
use kith::store::writer::{Flush, Verdict, Writer};

use crate::faulty::{Fault, Faulty};
use crate::ground::{Ground, InFile, InMemory, Server, text, words};

/// Three commands in one commit, the second of which a rule refuses.
const BATCH: [&str; 3] = ["alice #1: a", "bob #2:  ", "carol #3: c"];

/// What the writer says of [`BATCH`] when `fault` strikes at `step`.
struct Case {
    step: usize,
    fault: Fault,
    /// What was called.
    calls: &'static str,
    answers: [&'static str; 3],
    verdict: fn(&Verdict) -> bool,
}

const GOES_ON: fn(&Verdict) -> bool = |verdict| *verdict == Verdict::GoOn;
const ENDS: fn(&Verdict) -> bool = |verdict| matches!(verdict, Verdict::End(_));

fn batch<const N: usize>(server: &Server<SqliteWriter, SqliteReader>, lines: [&str; N]) -> Batch {
    (0..)
        .map(Ticket)
        .zip(lines.map(|line| server.line(line)))
        .collect()
}

type Batch = Vec<(Ticket, Write)>;

/// A batch for a fresh store that fails as planned, and a writer for it.
fn planned<const N: usize, const F: usize>(
    lines: [&str; N],
    plan: [(usize, Fault); F],
) -> (Batch, Writer<Faulty<SqliteWriter>>) {
    let server = InMemory::new().start(0);
    let batch = batch(&server, lines);
    (
        batch,
        Writer::new(Faulty::new(server.writer.into_engine(), plan)),
    )
}

#[test]
fn every_failure_is_answered_by_what_is_known_of_it() {
    let (failed, done) = (["store_failed"; 3], ["1 (1)", "text_empty", "2 (2)"]);
    let unknown = ["store_unknown", "text_empty", "store_unknown"];
    for case in [
        Case {
            step: 0,
            fault: Fault::Fails,
            calls: "begin",
            answers: failed,
            verdict: GOES_ON,
        },
        Case {
            step: 1,
            fault: Fault::Fails,
            calls: "begin apply rollback \
                    begin apply sweep commit begin apply sweep commit begin apply sweep commit",
            answers: done,
            verdict: GOES_ON,
        },
        Case {
            step: 4,
            fault: Fault::Fails,
            calls: "begin apply apply apply sweep rollback \
                    begin apply commit begin apply commit begin apply commit",
            answers: done,
            verdict: GOES_ON,
        },
        Case {
            step: 5,
            fault: Fault::Fails,
            calls: "begin apply apply apply sweep commit rollback",
            answers: ["store_failed", "text_empty", "store_failed"],
            verdict: GOES_ON,
        },
        Case {
            step: 5,
            fault: Fault::UnknownDone,
            calls: "begin apply apply apply sweep commit",
            answers: unknown,
            verdict: ENDS,
        },
        Case {
            step: 5,
            fault: Fault::UnknownLost,
            calls: "begin apply apply apply sweep commit",
            answers: unknown,
            verdict: ENDS,
        },
        Case {
            step: 2,
            fault: Fault::CrashBefore,
            calls: "begin apply apply rollback",
            answers: failed,
            verdict: ENDS,
        },
    ] {
        let (batch, mut writer) = planned(BATCH, [(case.step, case.fault)]);
        let flush = writer.flush(&batch, UnixMillis(0));
        let at = format!("{:?} at step {}", case.fault, case.step);
        assert_eq!(writer.engine().calls.join(" "), case.calls, "{at}");
        assert_eq!(answers(&flush), case.answers, "{at}");
        assert!((case.verdict)(&flush.verdict), "{at}: {:?}", flush.verdict);
        assert!(flush.trouble.is_some(), "{at}");
        for (_, result) in &flush.answers {
            let Err(refusal) = result else { continue };
            let unknown = refusal.code.name() == "store_unknown";
            assert_eq!(refusal.fate == Fate::Unknown, unknown, "{at}");
        }
    }
}

fn answers(flush: &Flush) -> Vec<String> {
    flush
        .answers
        .iter()
        .map(|(_, result)| words(result))
        .collect()
}

#[test]
fn the_guilty_command_fails_alone() {
    // The second command fails in the group, at step 2, and again on its own: rollback is step 3,
    // the first command takes steps 4 to 7, begin is step 8.
    let plan = [(2, Fault::Fails), (9, Fault::Fails)];
    let (batch, mut writer) = planned(["alice: a", "bob: b", "carol: c"], plan);
    let flush = writer.flush(&batch, UnixMillis(0));
    assert_eq!(answers(&flush), ["1 (1)", "store_failed", "2 (2)"]);
    assert_eq!((flush.commits, flush.verdict), (2, Verdict::GoOn));
}

#[test]
fn what_an_earlier_commit_did_is_not_denied_when_a_later_one_fails() {
    for (fault, says) in [
        (Fault::Fails, "store_failed"),
        (Fault::UnknownLost, "store_unknown"),
    ] {
        let mut server = InMemory::new().start(0);
        server.check(&[&[("alice #1: a", "1 (1)")]]);
        let lines = ["alice #1: a", "bob #2: b", "bob #2: b", "alice #1: b"];
        let batch = batch(&server, lines);
        // Begin, four commands, sweep: the commit is step 6.
        let mut writer = Writer::new(Faulty::new(server.writer.into_engine(), [(6, fault)]));
        let flush = writer.flush(&batch, UnixMillis(0));
        assert_eq!(answers(&flush), ["again 1", says, says, "key_reused"]);
    }
}

#[test]
fn a_database_that_cannot_begin_is_not_asked_once_per_command() {
    // Begin, a command that fails, rollback, and then no begin any more.
    let (batch, mut writer) = planned(BATCH, [(1, Fault::Fails), (3, Fault::Fails)]);
    let flush = writer.flush(&batch, UnixMillis(0));
    assert_eq!(
        writer.engine().calls.join(" "),
        "begin apply rollback begin"
    );
    assert_eq!(answers(&flush), ["store_failed"; 3]);
    assert_eq!((flush.commits, flush.verdict), (0, Verdict::GoOn));
}

#[test]
fn a_failed_checkpoint_ends_the_process() {
    let (_, mut writer) = planned([], [(1, Fault::Fails)]);
    assert!(GOES_ON(&writer.tend(Pace::Idle)));
    assert!(ENDS(&writer.tend(Pace::Busy)));
}

/// Runs a script of commits with one fault at one step, restarts, and compares what was said with
/// what is there. Returns whether the fault struck at all.
fn survives<G>(ground: &G, fault: Fault, step: usize) -> bool
where
    G: Ground<Engine = SqliteWriter, Reader = SqliteReader>,
{
    let script: [&[&str]; 4] = [
        &["alice #1: a", "bob #2: b", "carol: c"],
        &["bob #2: b", "alice #3: d"],
        &["dave #4: e"],
        &["alice: f", "alice #5: g", "bob #6: h", "dave #4: e"],
    ];
    let server = ground.start(3);
    let script = script.map(|lines| {
        lines
            .iter()
            .map(|line| server.line(line))
            .collect::<Vec<_>>()
    });
    let mut writer = Writer::new(Faulty::new(server.writer.into_engine(), [(step, fault)]));
    let mut said: Vec<(Write, WriteResult)> = Vec::new();
    let mut struck = false;
    for writes in script {
        let batch: Vec<_> = (0..).map(Ticket).zip(writes.iter().cloned()).collect();
        let flush = writer.flush(&batch, UnixMillis(7));
        let mut verdict = flush.verdict;
        said.extend(
            writes
                .into_iter()
                .zip(flush.answers.into_iter().map(|(_, result)| result)),
        );
        if verdict == Verdict::GoOn {
            verdict = writer.tend(Pace::Busy);
        }
        struck |= flush.trouble.is_some() || verdict != Verdict::GoOn;
        if verdict != Verdict::GoOn {
            break;
        }
    }
    drop(writer);
    drop(server.reader);
    let mut server = ground.start(3);
    check_after(&mut server, &said);
    struck
}

/// Acknowledged means present; not done means absent; unknown is told by the key.
fn check_after(server: &mut Server<SqliteWriter, SqliteReader>, said: &[(Write, WriteResult)]) {
    let floor = server.page(1).floor;
    let found: BTreeMap<Seq, (Tag, String)> = server
        .everything()
        .iter()
        .map(|entry| (entry.seq, (entry.tag, text(entry).to_owned())))
        .collect();
    let head = server.snapshot.lobby.head;
    assert_eq!(
        found.keys().copied().collect::<Vec<_>>(),
        (floor.0..=head.0).map(Seq).collect::<Vec<_>>()
    );
    for (write, result) in said {
        let Write::Talk { text, key, .. } = write;
        match result {
            Ok(Written::Appended(entry)) => {
                assert!(entry.seq <= head);
                let there = found.get(&entry.seq);
                assert!(entry.seq < floor || there == Some(&(entry.tag, text.clone())));
            }
            Ok(Written::Again { seq, tag, .. }) => {
                let there = found.get(seq);
                assert!(*seq < floor || there == Some(&(*tag, text.clone())));
            }
            Err(refusal) if refusal.fate == Fate::Unknown || key.is_some() => {}
            Err(_) => assert!(!found.values().any(|(_, found)| found == text)),
        }
    }
    // Asked again under its key, everything has happened once, and earlier answers stay true.
    for (write, result) in said {
        let Write::Talk { key: Some(_), .. } = write else {
            continue;
        };
        let first = server.one(write.clone()).unwrap();
        let place = |written: &Written| match written {
            Written::Appended(entry) => (entry.seq, entry.tag, entry.at),
            Written::Again { seq, tag, at, .. } => (*seq, *tag, *at),
        };
        if let Ok(then) = result {
            assert!(matches!(first, Written::Again { .. }), "{write:?}");
            assert_eq!(place(then), place(&first));
        }
        let again = server.one(write.clone()).unwrap();
        assert!(matches!(again, Written::Again { .. }));
        assert_eq!(place(&again), place(&first));
    }
}

#[test]
fn no_fault_at_any_step_makes_a_lie_of_an_answer() {
    for fault in Fault::ALL {
        let mut step = 0;
        while survives(&InMemory::new(), fault, step) {
            step += 1;
        }
        assert!(step > 20, "{fault:?} ended at step {step}");
    }
}

#[test]
fn nor_does_it_in_a_file() {
    for fault in [Fault::UnknownDone, Fault::CrashBefore, Fault::CrashAfter] {
        // The commits of the script, and their neighbours.
        for step in [0, 1, 4, 5, 6, 9, 10, 11, 12, 15] {
            survives(&InFile::new(), fault, step);
        }
    }
}
