//! The bounds of the swarm, by name, with the reason for their size.
//!
//! Not in `src/limits.rs`: none of them is the server's.

use std::ops::RangeInclusive;
use std::time::Duration;

/// Clients of one run. Each takes some kilobytes here, and a file.
pub const CLIENTS: u32 = 1_000_000;
/// What happens again and again does not happen more often than this.
pub const TURN_LEAST: Duration = Duration::from_millis(10);
/// The smallest message: its stamp, with every number at its longest.
pub const MESSAGE_LEAST: usize = 66;
/// The smallest message to a server that takes any bytes: its marker.
pub const RAW_LEAST: usize = 44;
/// One message from a server, and one frame of it. A server may send more than it takes.
pub const MESSAGE_MOST: usize = 1024 * 1024;
/// The swarm's one read buffer: what is only counted is counted faster than the kernel is asked, so
/// it is asked seldom.
pub const READ_BUFFER: usize = 256 * 1024;
/// Full read buffers of one connection in one turn; the rest waits for the next.
pub const READS: usize = 4;
/// Connections that are read before it is looked what is due: with 3 µs each, messages are not late
/// by more than a fraction of a millisecond.
pub const READS_AT_ONCE: usize = 64;
/// The same for bytes: 2,000 messages of 128 bytes, with up to half a microsecond each.
pub const BYTES_AT_ONCE: usize = 256 * 1024;
/// Readiness events taken from the kernel in one turn.
pub const EVENTS: usize = 1024;
/// Connections that are being opened at once. More would overflow the server's backlog, and who is
/// dropped there waits a second.
pub const OPENING: usize = 256;
/// From the call of `connect` to `welcome`.
pub const SIGN_IN_WAIT: Duration = Duration::from_secs(10);
/// When somebody who could not get in tries again.
pub const RETRY: Duration = Duration::from_millis(500);
/// Who was cut comes back within this, each at a time of its own.
pub const AWAY_MOST: Duration = Duration::from_millis(500);
/// Gaps in what one client heard that are remembered, to be closed by what arrives late. With more
/// of them the oldest counts as lost, whoever said what belongs into it.
pub const GAPS: usize = 4096;
/// Places of people's own words in the lobby that are remembered, because a message of the swarm's
/// might belong there. A room in which people say more meanwhile is none to measure in.
pub const STRANGE: usize = 65_536;
/// Kinds of refusal that are told apart, by code and name. The protocol has some thirty.
pub const REFUSALS: usize = 64;
/// What is quoted of a server's words, in characters.
pub const QUOTED: usize = 300;
/// A scenario's file. A printed one has two thousand bytes.
pub const SCENARIO_BYTES: u64 = 1024 * 1024;
/// Who says something, times who hears it, where a server gives no places: for each such pair it is
/// remembered how far that one has heard the other, in 4 bytes. This is 256 MiB of them.
pub const PAIRS: u64 = 64 * 1024 * 1024;
/// Messages of a flood to Kith; each is remembered to the end, with some 100 bytes. The flood ends
/// with the last of them.
pub const FLOOD_MESSAGES: u64 = 8_000_000;
/// Whoever has heard nothing of what it said for so long goes on: what fills its window was lost.
pub const PATIENCE: Duration = Duration::from_secs(10);
/// Connections to one address from one source address. A kernel has some 28,000 ports to give
/// (`ip_local_port_range`), and some may be taken.
pub const PORTS: usize = 20_000;
/// Files that are no connection: standard streams, the poller, what `/proc` is read through.
pub const FILES_KEPT: u64 = 32;
/// How often, while the last messages are on their way, it is looked whether everybody has all.
pub const LOOK: Duration = Duration::from_millis(20);
/// How long a run still listens when everybody has heard everything, for what nobody is to hear.
pub const LINGER: Duration = Duration::from_millis(100);
/// The longest latency that has a place of its own in a histogram; a longer one counts as this.
pub const LATENCY_MOST: Duration = Duration::from_secs(600);
/// How long a step of a search takes, unless it is said otherwise.
pub const SEARCH_STEP: Duration = Duration::from_secs(3);
/// What 99 of 100 deliveries may take in a search for which no other bound is given.
pub const SEARCH_P99: Duration = Duration::from_millis(50);
/// The lowest and the highest rate that a search tries, in messages per second.
pub const SEARCH_LEAST: f64 = 0.5;
/// See `SEARCH_LEAST`.
pub const SEARCH_MOST: f64 = 1_000_000.0;
/// A search ends when what breaks is so close to what holds.
pub const SEARCH_CLOSE: f64 = 1.05;
/// Times at which everybody was out at once that a report names: a restart every ten seconds for a
/// day.
pub const BREAKS: usize = 8640;
/// What a slow reader takes at once.
pub const SLOW_PIECE: usize = 4 * 1024;
/// What the kernel may hold of a slow reader's, in bytes; it takes twice as much for its own use.
/// Without this it would hold megabytes, and no server would notice that anybody is slow.
pub const SLOW_BUFFER: usize = 16 * 1024;
/// From the start of a server that the swarm starts itself until it can be reached.
pub const SERVE_START: Duration = Duration::from_secs(30);
/// From SIGTERM to its end. Twice what Kith allows itself for that.
pub const SERVE_END: Duration = Duration::from_secs(30);
/// One attempt to reach it. On this machine an answer, yes or no, takes microseconds.
pub const SERVE_CONNECT: Duration = Duration::from_millis(100);
/// How often it is looked whether it has ended, or can be reached.
pub const SERVE_LOOK: Duration = Duration::from_millis(5);
/// What is kept of its output, in memory, if that has no file of its own.
pub const SERVE_OUTPUT: u64 = 8 * 1024 * 1024;
/// How much of its output is quoted when it fails.
pub const SERVE_QUOTED: usize = 1024;
/// How long a connection that gets nothing done stays; shorter than a server's patience, so that
/// there are always some.
pub const FLAP_HOLD: Duration = Duration::from_secs(2);
/// Until it comes again.
pub const FLAP_AWAY: Duration = Duration::from_millis(100);
/// Between two bytes of one that says everything byte by byte: a handshake and a name take some
/// 300 of them, and most of `FLAP_HOLD`.
pub const FLAP_BYTE: Duration = Duration::from_millis(5);
/// Where the floor listens, unless it is told otherwise.
pub const FLOOR_PORT: u16 = 9092;
/// How often a run is looked at while it goes on.
pub const SAMPLE: Duration = Duration::from_secs(1);
/// Samples that a report holds: ten minutes of seconds. In a longer run neighbours become one,
/// of two seconds each, then of four, and so on.
pub const SAMPLES: usize = 600;
/// Marks that a report holds: a restart every two seconds for half an hour. More are counted.
pub const MARKS: usize = 1000;
/// Points of a percentile curve for each power of ten.
pub const CURVE_STEPS: u32 = 12;
/// Connections that the floor lets queue in the kernel. More arrive in a storm than it accepts at
/// once, and who is dropped there waits a second.
pub const BACKLOG: i32 = 4096;
/// Connections that it accepts in one turn, with 10 µs each.
pub const ACCEPTS: usize = 256;
/// Its one read buffer.
pub const FLOOR_BUFFER: usize = 256 * 1024;
/// One message to it.
pub const FLOOR_MESSAGE: usize = 1024 * 1024;
/// When so much is said in one turn of it, nobody else is read in that turn.
pub const FLOOR_TURN: usize = 1024 * 1024;
/// What may wait for one of its sockets that does not drain; beyond it that socket is dropped.
pub const FLOOR_QUEUE: usize = 8 * 1024 * 1024;
/// A queue of such a size is kept when it is empty: echoes come again. The answer to a handshake is
/// smaller, and what piles up for a slow one larger.
pub const FLOOR_KEPT: RangeInclusive<usize> = 1024..=64 * 1024;
/// Lives of such a server that a report tells of.
pub const LIVES: usize = BREAKS;
