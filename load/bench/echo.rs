//! Pipelined `ping` and `pong`: what one small command and its answer cost, decoded and encoded.

use std::io::{self, Read, Write};
use std::rc::Rc;
use std::time::{Duration, Instant};

use kith::wire::Format;
use kith::wire::pb::{Ping, client_frame::Command};
use tungstenite::protocol::{Role, WebSocketConfig, WebSocketContext};

use crate::allocations::Asked;
use crate::client;
use crate::rig::Room;
use crate::table::{Table, median, tenths, thousandths};
use crate::{ROUNDS, name};

/// Pings that arrive in one read.
pub const PIPELINED: usize = 128;
/// Reads in one round.
const READS: usize = 2_000;

/// Prints the table.
pub fn pipelined() {
    println!("ping and pong, {PIPELINED} in one read, ns per echo\n");
    let mut table = Table::new(&[
        "format",
        "kith",
        "tungstenite alone",
        "alone/kith",
        "allocations per echo",
    ]);
    for format in [Format::Proto, Format::Json] {
        let pings = pings(format);
        let mut room = Room::new(format, 1);
        let mut plain = Plain::new();
        let (mut kith, mut alone) = (Vec::new(), Vec::new());
        let mut calls = 0.0;
        for round in 0..=ROUNDS {
            let before = (room.sent(), Asked::so_far());
            let ours = answer(&mut room, &pings);
            calls = (Asked::so_far() - before.1).calls as f64 / (READS * PIPELINED) as f64;
            assert_eq!(room.sent().writes - before.0.writes, READS as u64);
            let theirs = plain.echo(&pings);
            if round > 0 {
                let per = |spent: Duration| spent.as_nanos() as f64 / (READS * PIPELINED) as f64;
                kith.push(per(ours));
                alone.push(per(theirs));
            }
        }
        let (kith, alone) = (median(&mut kith), median(&mut alone));
        table.row(&[
            &name(format),
            &tenths(kith),
            &tenths(alone),
            &format!("{:.2}", alone / kith),
            &thousandths(calls),
        ]);
    }
    table.print();
}

/// As many as arrive in one read.
pub fn pings(format: Format) -> Rc<[u8]> {
    let ping = client::client_frame(format, 1, Command::Ping(Ping {}));
    ping.repeat(PIPELINED).into()
}

fn answer(room: &mut Room, pings: &Rc<[u8]>) -> Duration {
    let begun = Instant::now();
    for _ in 0..READS {
        room.put(pings.clone());
        room.fill();
        room.write_out();
    }
    begun.elapsed()
}

/// tungstenite over memory, sending back what it gets, one write for one read.
struct Plain {
    context: WebSocketContext,
    out: Vec<u8>,
}

impl Plain {
    fn new() -> Self {
        // Its own default of 128 KiB would be cleared anew with every read.
        let config = WebSocketConfig::default().read_buffer_size(4096);
        Self {
            context: WebSocketContext::new(Role::Server, Some(config)),
            out: Vec::new(),
        }
    }

    fn echo(&mut self, pings: &[u8]) -> Duration {
        let begun = Instant::now();
        let mut echoed = 0;
        for _ in 0..READS {
            self.out.clear();
            let mut pipe = Pipe {
                inp: pings,
                out: &mut self.out,
            };
            while let Ok(message) = self.context.read(&mut pipe) {
                self.context
                    .write(&mut pipe, message)
                    .expect("a Vec takes everything");
                echoed += 1;
            }
            self.context
                .flush(&mut pipe)
                .expect("a Vec takes everything");
        }
        assert_eq!(echoed, READS * PIPELINED);
        begun.elapsed()
    }
}

struct Pipe<'a> {
    inp: &'a [u8],
    out: &'a mut Vec<u8>,
}

impl Read for Pipe<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self.inp.read(buffer) {
            Ok(0) => Err(io::ErrorKind::WouldBlock.into()),
            read => read,
        }
    }
}

impl Write for Pipe<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.out.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
