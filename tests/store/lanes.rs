//! The threads: answers, bounds, and ends. Nothing here waits for time to pass, only for events;
//! the deadline is there so that a failure ends.

use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use kith::chat::durable::{Found, Read, Write, Written};
use kith::chat::event::{Body, Entry};
use kith::clock::UnixMillis;
use kith::ids::{AppId, ConvId, Entropy, Seq, Ticket};
use kith::limits::{GROUP_COMMANDS, READER_QUEUE, TEXT_BYTES, WRITER_QUEUE, WRITER_QUEUE_BYTES};
use kith::store::engine::{CommitError, Engine, EngineError, JobError, Pace, Reader};
use kith::store::{Answer, Lanes, Unsent, Wake, open};

use crate::ground::{Ground, InFile, InMemory, person, words};

const DEADLINE: Duration = Duration::from_secs(60);

/// Lanes, and the wakes that they sent.
struct Rig {
    lanes: Lanes,
    woken: Receiver<()>,
}

impl Rig {
    fn start<E, R>(engine: E, pages: R, history: R) -> Self
    where
        E: Engine + Send + 'static,
        R: Reader + Send + 'static,
    {
        let (wake, woken) = waker();
        let lanes = Lanes::start(engine, pages, history, wake).unwrap();
        Self { lanes, woken }
    }

    /// The next answer; waits for a wake where there is none yet.
    fn answer(&mut self) -> Answer {
        loop {
            if let Some(answer) = self.lanes.take() {
                return answer;
            }
            self.woken
                .recv_timeout(DEADLINE)
                .expect("an answer comes with a wake");
        }
    }

    fn answers(&mut self, count: usize) -> Vec<String> {
        (0..count).map(|_| told(&self.answer())).collect()
    }
}

fn waker() -> (Wake, Receiver<()>) {
    let (sender, woken) = mpsc::channel();
    let sender = Mutex::new(sender);
    let wake = move || {
        let _ = sender.lock().unwrap().send(());
    };
    (Arc::new(wake), woken)
}

/// An answer in words: its ticket and what it says.
fn told(answer: &Answer) -> String {
    match answer {
        Answer::Written { ticket, result } => format!("{}: {}", ticket.0, words(result)),
        Answer::Found { ticket, result } => {
            let what = match result {
                Ok(Found::Page(page)) => format!("page of {}", page.entries.len()),
                Ok(Found::Cursor { matches }) => format!("cursor {matches}"),
                Ok(Found::History(page)) => format!("history of {}", page.entries.len()),
                Err(refusal) => refusal.code.name().to_owned(),
            };
            format!("{}: {what}", ticket.0)
        }
        Answer::Fatal { reason } => format!("fatal: {reason}"),
    }
}

fn talk(conv: ConvId, text: &str) -> Write {
    Write::Talk {
        app: AppId::DEFAULT,
        conv,
        from: person("alice"),
        text: text.to_owned(),
        key: None,
    }
}

fn page(conv: ConvId) -> Read {
    Read::Page { conv, next: Seq(1) }
}

fn history(conv: ConvId) -> Read {
    Read::History {
        conv,
        before: Seq::ZERO,
        after: Seq::ZERO,
        limit: 0,
        head: Seq::MAX,
    }
}

#[test]
fn every_job_is_answered_and_writes_in_their_order() {
    for ground in [InFile::new().config(0), InMemory::new().config(0)] {
        let opened = open(&ground, Entropy::System).unwrap();
        let conv = opened.snapshot.lobby.conv;
        let (wake, woken) = waker();
        let mut rig = Rig {
            lanes: opened.start(wake).unwrap(),
            woken,
        };
        for n in 0..1000 {
            rig.lanes.write(Ticket(n), talk(conv, "a")).unwrap();
        }
        let expected: Vec<_> = (0..1000)
            .map(|n| format!("{n}: {0} ({0})", n + 1))
            .collect();
        assert_eq!(rig.answers(1000), expected);
        assert!(rig.lanes.commits() >= 1000 / GROUP_COMMANDS as u64);
        rig.lanes.read(Ticket(1), page(conv)).unwrap();
        assert_eq!(rig.answers(1), ["1: page of 64"]);
        rig.lanes.read(Ticket(2), history(conv)).unwrap();
        assert_eq!(rig.answers(1), ["2: history of 100"]);
        rig.lanes.read(Ticket(3), page(ConvId(99))).unwrap();
        assert_eq!(rig.answers(1), ["3: not_found"]);
        assert!(rig.lanes.join().is_empty());
    }
}

#[test]
fn an_orderly_stop_does_what_is_queued_and_empties_the_log_ahead() {
    let ground = InFile::new();
    let server = ground.start(0);
    let conv = server.conv;
    drop(server);
    let opened = open(&ground.config(0), Entropy::System).unwrap();
    let mut lanes = opened.start(waker().0).unwrap();
    for n in 0..600 {
        lanes.write(Ticket(n), talk(conv, "a")).unwrap();
        lanes.read(Ticket(n), page(conv)).unwrap();
    }
    lanes.close();
    assert!(matches!(
        lanes.write(Ticket(600), talk(conv, "b")),
        Err(Unsent::Closed(_))
    ));
    assert!(matches!(
        lanes.read(Ticket(600), page(conv)),
        Err(Unsent::Closed(_))
    ));
    let answers = lanes.join();
    let written = answers
        .iter()
        .filter(|a| matches!(a, Answer::Written { result: Ok(_), .. }));
    assert_eq!(written.count(), 600);
    let found = answers
        .iter()
        .filter(|a| matches!(a, Answer::Found { result: Ok(_), .. }));
    assert_eq!(found.count(), 600);
    assert!(!ground.0.path().join("data/kith.db-wal").exists());
    assert_eq!(ground.start(0).snapshot.lobby.head, Seq(600));
}

/// An engine that waits at its gate in every `begin` and every read, and does as it is told there.
struct Gate {
    orders: Receiver<Order>,
    seen: Sender<()>,
}

enum Order {
    Pass,
    Panic,
    LoseFlush,
}

/// The other side of a gate.
struct Keeper {
    orders: Sender<Order>,
    seen: Receiver<()>,
}

fn gate() -> (Gate, Keeper) {
    let (orders, gate_orders) = mpsc::channel();
    let (gate_seen, seen) = mpsc::channel();
    let gate = Gate {
        orders: gate_orders,
        seen: gate_seen,
    };
    (gate, Keeper { orders, seen })
}

impl Keeper {
    /// Waits until somebody stands at the gate.
    fn wait(&self) {
        self.seen
            .recv_timeout(DEADLINE)
            .expect("somebody comes to the gate");
    }

    fn order(&self, order: Order) {
        let _ = self.orders.send(order);
    }
}

impl Gate {
    /// A gate whose keeper has left is open.
    fn enter(&self) -> Result<(), EngineError> {
        let _ = self.seen.send(());
        match self.orders.recv() {
            Ok(Order::Pass) | Err(_) => Ok(()),
            Ok(Order::Panic) => panic!("as ordered by a test"),
            Ok(Order::LoseFlush) => Err(EngineError {
                doing: "commit",
                detail: "the flush failed".to_owned(),
            }),
        }
    }
}

impl Reader for Gate {
    fn read(&mut self, _: &Read) -> Result<Found, JobError> {
        self.enter()?;
        Ok(Found::Cursor { matches: true })
    }
}

impl Engine for Gate {
    fn begin(&mut self) -> Result<(), EngineError> {
        Ok(())
    }

    fn apply(&mut self, write: &Write, at: UnixMillis) -> Result<Written, JobError> {
        let Write::Talk { from, text, .. } = write;
        Ok(Written::Appended(Entry {
            conv: ConvId(1),
            seq: Seq(1),
            n: 1,
            tag: kith::ids::Tag(0),
            at,
            from: from.clone(),
            body: Body::Message {
                text: text.as_str().into(),
            },
        }))
    }

    fn sweep(&mut self, _: UnixMillis) -> Result<(), EngineError> {
        Ok(())
    }

    fn commit(&mut self) -> Result<(), CommitError> {
        self.enter().map_err(CommitError::Unknown)
    }

    fn rollback(&mut self) -> Result<(), EngineError> {
        Ok(())
    }

    fn tend(&mut self, _: Pace) -> Result<(), EngineError> {
        Ok(())
    }
}

/// Lanes whose writer stands at a gate, and whose readers pass.
fn gated() -> (Rig, Keeper) {
    let (writer, keeper) = gate();
    (Rig::start(writer, gate().0, gate().0), keeper)
}

#[test]
fn a_full_mailbox_gives_the_job_back() {
    let (mut rig, keeper) = gated();
    for n in 0..WRITER_QUEUE as u64 {
        rig.lanes.write(Ticket(n), talk(ConvId(1), "a")).unwrap();
    }
    let one_more = talk(ConvId(1), "one more");
    match rig.lanes.write(Ticket(9), one_more.clone()) {
        Err(Unsent::Full(job)) => assert_eq!(job, one_more),
        other => panic!("{other:?}"),
    }
    // Every answer that is taken makes room; the first commit may have begun with one command.
    keeper.wait();
    keeper.order(Order::Pass);
    rig.answer();
    rig.lanes.write(Ticket(9), one_more).unwrap();
    drop(keeper);
    assert_eq!(rig.lanes.join().len(), WRITER_QUEUE);
}

#[test]
fn long_messages_fill_it_sooner() {
    let (mut rig, keeper) = gated();
    let text = "x".repeat(TEXT_BYTES);
    let taken = (0..WRITER_QUEUE as u64)
        .take_while(|n| rig.lanes.write(Ticket(*n), talk(ConvId(1), &text)).is_ok())
        .count();
    assert!(
        taken > 400 && taken * TEXT_BYTES <= WRITER_QUEUE_BYTES,
        "{taken}"
    );
    drop(keeper);
    assert_eq!(rig.lanes.join().len(), taken);
}

#[test]
fn a_reader_that_hangs_holds_up_neither_writes_nor_the_other_reader() {
    let (pages, page_keeper) = gate();
    let mut rig = Rig::start(gate().0, pages, gate().0);
    for n in 0..READER_QUEUE as u64 {
        rig.lanes.read(Ticket(n), page(ConvId(1))).unwrap();
    }
    assert!(matches!(
        rig.lanes.read(Ticket(0), page(ConvId(1))),
        Err(Unsent::Full(_))
    ));
    page_keeper.wait();
    rig.lanes.write(Ticket(1), talk(ConvId(1), "a")).unwrap();
    rig.lanes.read(Ticket(2), history(ConvId(1))).unwrap();
    let mut answers = rig.answers(2);
    answers.sort();
    assert_eq!(answers, ["1: 1 (1)", "2: cursor true"]);
    // Nor can answers that nobody takes: all of them are read, and only so many wait.
    drop(page_keeper);
    assert_eq!(rig.lanes.join().len(), READER_QUEUE);
}

#[test]
fn a_lost_flush_ends_the_writer_and_everybody_is_told() {
    let (mut rig, keeper) = gated();
    rig.lanes.write(Ticket(0), talk(ConvId(1), "a")).unwrap();
    keeper.wait();
    rig.lanes.write(Ticket(1), talk(ConvId(1), "b")).unwrap();
    keeper.order(Order::LoseFlush);
    assert_eq!(
        rig.answers(3),
        [
            "0: store_unknown",
            "1: store_failed",
            "fatal: commit: the flush failed"
        ]
    );
    assert!(rig.lanes.join().is_empty());
}

#[test]
fn a_thread_that_panics_says_so() {
    let (mut rig, keeper) = gated();
    rig.lanes.write(Ticket(0), talk(ConvId(1), "a")).unwrap();
    keeper.order(Order::Panic);
    assert_eq!(
        rig.answers(1),
        ["fatal: the store's thread kith-writer panicked"]
    );

    let (history_gate, keeper) = gate();
    let mut rig = Rig::start(gate().0, gate().0, history_gate);
    rig.lanes.read(Ticket(0), history(ConvId(1))).unwrap();
    keeper.order(Order::Panic);
    assert_eq!(
        rig.answers(1),
        ["fatal: the store's thread kith-history panicked"]
    );
}
