//! What one delivery costs in user space: hub, wire and outbox, without the kernel.
//!
//! `cargo bench --bench delivery`, or a part: `-- small`, `large`, `echo`, `instructions`. A delivery is one listener's share of one message: from the bytes
//! of the talker's frame to the call that would be the `write` on the listener's socket. Every number
//! is the median of rounds in which Kith and its baseline alternate, so that a noisy machine disturbs
//! both. The baseline of a delivery copies the same frame into as many `Vec<u8>`: no server that
//! queues bytes for each connection can cost less. The baseline of an echo is tungstenite alone over
//! memory. Instructions are counted by valgrind, where that is installed.

mod allocations;
mod client;
mod echo;
mod instructions;
mod rig;
mod table;

use std::env;
use std::process::ExitCode;
use std::rc::Rc;
use std::time::{Duration, Instant};

use allocations::{Asked, Counting};
use kith::wire::Format;
use rig::Room;
use table::{Table, median, tenths, thousandths};

#[global_allocator]
static COUNTING: Counting = Counting;

/// Rounds of each measurement; the median is told.
const ROUNDS: usize = 9;
/// Deliveries in one round, about.
const DELIVERIES: usize = 400_000;
/// Bytes of a small message.
const SMALL: usize = 128;
/// Bytes of a large one, which outboxes share instead of copying it.
const LARGE: usize = 64 * 1024;

fn main() -> ExitCode {
    let args: Vec<String> = env::args().collect();
    if let Some(place) = args.iter().position(|arg| arg == instructions::FLAG) {
        instructions::child(&args[place + 1..]);
        return ExitCode::SUCCESS;
    }
    let sections: [(&str, fn()); 4] = [
        ("small", small),
        ("large", large),
        ("echo", echo::pipelined),
        ("instructions", instructions::report),
    ];
    let named = |name: &&str| args.iter().any(|arg| arg == name);
    let all = !sections.iter().any(|(name, _)| named(name));
    for (name, section) in sections {
        if all || named(&name) {
            section();
        }
    }
    ExitCode::SUCCESS
}

/// A talk of so many bytes, `count` times.
fn talks(format: Format, bytes: usize, count: usize) -> Rc<[u8]> {
    client::talk(format, bytes).repeat(count).into()
}

fn small() {
    println!("a message of {SMALL} bytes, ns per delivery\n");
    let mut table = Table::new(&[
        "format",
        "listeners",
        "talks per tick",
        "to the outbox",
        "to the socket",
        "copy only",
        "outbox/copy",
        "allocations per talk",
        "per delivery",
    ]);
    for format in [Format::Proto, Format::Json] {
        for listeners in [100, 1_000, 10_000] {
            for batch in [1, 64] {
                measure(format, listeners, batch, SMALL).row(&mut table);
            }
        }
    }
    table.print();
}

fn large() {
    println!("a message of {LARGE} bytes, ns per delivery; it is queued by reference\n");
    let mut table = Table::new(&[
        "format",
        "listeners",
        "to the outbox",
        "to the socket",
        "copy only",
        "bytes allocated per delivery",
        "allocations per delivery",
    ]);
    for format in [Format::Proto, Format::Json] {
        let cost = measure(format, 500, 1, LARGE);
        table.row(&[
            &cost.name,
            &cost.listeners,
            &tenths(cost.outbox),
            &tenths(cost.socket),
            &tenths(cost.copy),
            &tenths(cost.bytes_per_delivery),
            &thousandths(cost.calls_per_delivery),
        ]);
    }
    table.print();
}

/// Medians of one measurement, in nanoseconds per delivery.
struct Cost {
    name: &'static str,
    listeners: usize,
    batch: usize,
    outbox: f64,
    socket: f64,
    copy: f64,
    calls_per_talk: f64,
    calls_per_delivery: f64,
    bytes_per_delivery: f64,
}

impl Cost {
    fn row(&self, table: &mut Table) {
        table.row(&[
            &self.name,
            &self.listeners,
            &self.batch,
            &tenths(self.outbox),
            &tenths(self.socket),
            &tenths(self.copy),
            &format!("{:.2}", self.outbox / self.copy),
            &tenths(self.calls_per_talk),
            &thousandths(self.calls_per_delivery),
        ]);
    }
}

fn measure(format: Format, listeners: usize, batch: usize, bytes: usize) -> Cost {
    let mut room = Room::new(format, listeners);
    let one = talks(format, bytes, 1);
    let heard = room.overhear(one);
    let text = client::entry_text(format, &heard).expect("the last listener got the entry");
    assert_eq!(text.len(), bytes);
    let frame = talks(format, bytes, batch);
    let mut copies = vec![Vec::new(); listeners];
    let per_round = match bytes {
        SMALL => DELIVERIES,
        _ => DELIVERIES / 64,
    };
    let turns = per_round.div_ceil(listeners * batch);
    let deliveries = (turns * batch * listeners) as f64;
    let (mut outbox, mut socket, mut copy) = (Vec::new(), Vec::new(), Vec::new());
    let mut asked = Asked::default();
    // The first round warms up.
    for round in 0..=ROUNDS {
        let before = (room.sent(), Asked::so_far());
        let (filling, writing) = deliver(&mut room, &frame, turns);
        asked = Asked::so_far() - before.1;
        let told = room.sent().deliveries - before.0.deliveries;
        assert_eq!(told as f64, deliveries, "everybody heard everything");
        let copying = copy_only(&mut copies, &heard, turns, batch);
        if round > 0 {
            let per = |spent: Duration| spent.as_nanos() as f64 / deliveries;
            outbox.push(per(filling));
            socket.push(per(filling + writing));
            copy.push(per(copying));
        }
    }
    Cost {
        name: name(format),
        listeners,
        batch,
        outbox: median(&mut outbox),
        socket: median(&mut socket),
        copy: median(&mut copy),
        calls_per_talk: asked.calls as f64 / (turns * batch) as f64,
        calls_per_delivery: asked.calls as f64 / deliveries,
        bytes_per_delivery: asked.bytes as f64 / deliveries,
    }
}

/// How long it took to fill the outboxes, and to write them out.
fn deliver(room: &mut Room, frame: &Rc<[u8]>, turns: usize) -> (Duration, Duration) {
    let (mut filling, mut writing) = (Duration::ZERO, Duration::ZERO);
    for _ in 0..turns {
        room.put(frame.clone());
        let begun = Instant::now();
        room.fill();
        let filled = Instant::now();
        room.write_out();
        filling += filled - begun;
        writing += filled.elapsed();
    }
    (filling, writing)
}

/// What any server does that queues bytes for each connection.
fn copy_only(copies: &mut [Vec<u8>], frame: &[u8], turns: usize, batch: usize) -> Duration {
    let mut copying = Duration::ZERO;
    for _ in 0..turns {
        let begun = Instant::now();
        for _ in 0..batch {
            for copy in &mut *copies {
                copy.extend_from_slice(std::hint::black_box(frame));
            }
        }
        copying += begun.elapsed();
        copies.iter_mut().for_each(Vec::clear);
    }
    copying
}

/// As tables call it.
fn name(format: Format) -> &'static str {
    match format {
        Format::Proto => "protobuf",
        Format::Json => "JSON",
    }
}
