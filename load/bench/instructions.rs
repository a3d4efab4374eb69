//! Instructions per delivery, which no neighbour on the machine can disturb.
//!
//! The bench starts itself again under `valgrind --tool=callgrind`, which counts only while one of
//! the two halves of a delivery runs.

use std::env;
use std::process::{Command, Stdio};

use kith::wire::Format;

use crate::echo;
use crate::rig::Room;
use crate::table::{Table, tenths};
use crate::{SMALL, name, talks};

/// What the copy of this program is started with.
pub const FLAG: &str = "--count";
/// Listeners; valgrind takes its time for each.
const LISTENERS: usize = 1_000;
/// Talks of which the instructions are counted.
const TALKS: usize = 20;

/// Prints the table, or why there is none.
pub fn report() {
    println!("{LISTENERS} listeners, {SMALL} bytes, one talk per tick, instructions\n");
    let columns = [
        "format",
        "to the outbox",
        "to the socket",
        "per talk",
        "per ping",
        "per newcomer",
    ];
    let mut table = Table::new(&columns);
    for format in [Format::Proto, Format::Json] {
        // Per delivery, per talk to one, for as many pings as come in one read, and for each who
        // comes in by an upgrade that carries a name.
        let everybody = LISTENERS + 1;
        let parts = [
            ("*Room::fill*", LISTENERS, LISTENERS),
            ("*Room::write_out*", LISTENERS, LISTENERS),
            ("*Room::fill*", 1, 1),
            ("*Room::fill*", 0, echo::PIPELINED),
        ]
        .map(|(half, listeners, shares)| (half, listeners, shares * TALKS));
        let newcomers = ("*Room::enter*", LISTENERS, everybody);
        let mut counted = Vec::new();
        for (half, listeners, shares) in parts.into_iter().chain([newcomers]) {
            match count(format, half, listeners) {
                Ok(instructions) => counted.push(instructions / shares as f64),
                Err(why) => return println!("not counted: {why}\n"),
            }
        }
        let row: [&dyn std::fmt::Display; 6] = [
            &name(format),
            &tenths(counted[0]),
            &tenths(counted[0] + counted[1]),
            &format!("{:.0}", counted[2]),
            &format!("{:.0}", counted[3]),
            &format!("{:.0}", counted[4]),
        ];
        table.row(&row);
    }
    table.print();
}

/// Instructions of one half of all deliveries.
fn count(format: Format, half: &str, listeners: usize) -> Result<f64, String> {
    let myself = env::current_exe().map_err(|error| error.to_string())?;
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
        .arg(format!("--toggle-collect={half}"))
        .arg(myself)
        .args([FLAG, name(format), &listeners.to_string()])
        .stdin(Stdio::null())
        .output()
        .map_err(|error| format!("valgrind does not start: {error}"))?;
    let told = String::from_utf8_lossy(&output.stderr);
    let collected = told
        .lines()
        .find_map(|line| line.split_once("Collected : "));
    collected
        .and_then(|(_, number)| number.trim().parse().ok())
        .ok_or_else(|| format!("valgrind says: {told}"))
}

/// What runs under valgrind. People enter and the room comes to rest by other functions than the two
/// that are counted.
pub fn child(args: &[String]) {
    let format = match args.first().map(String::as_str) {
        Some("JSON") => Format::Json,
        _ => Format::Proto,
    };
    let listeners = args.get(1).and_then(|count| count.parse().ok());
    let listeners = listeners.unwrap_or(LISTENERS);
    let mut room = Room::new(format, listeners);
    // Without anybody to hear it the talker asks whether anybody is there.
    let frame = match listeners {
        0 => echo::pings(format),
        _ => talks(format, SMALL, 1),
    };
    for _ in 0..TALKS {
        room.put(frame.clone());
        room.fill();
        room.write_out();
    }
}
