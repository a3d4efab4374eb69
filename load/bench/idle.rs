//! What an idle connection with a name costs in memory.
//!
//! `cargo bench --bench idle`. Starts the real server, lets a second process open ten thousand
//! sockets, each with a name of its own, and reads what the kernel says of the server before, while
//! everybody is idle, after everybody has left, and when as many have come again: what is kept of
//! the first crowd serves the second. Then the same number of people enter an
//! exchange in this process, under an allocator that keeps account of what is alive: that says what
//! the memory is made of.

mod client;
mod live;
mod rig;
mod server;
mod table;

use std::env;
use std::fs;
use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::process::{Command, ExitCode, Stdio};
use std::thread;
use std::time::Duration;

use kith::conn::Conn;
use kith::event_loop::peer::Peer;
use kith::wire::Format;
use live::{Alive, Ledger, in_the_heap};
use rig::Room;
use server::{Memory, Server};
use socket2::{Domain, Socket, Type};
use table::{Table, tenths};

#[global_allocator]
static LEDGER: Ledger = Ledger;

/// Connections; twice as many files would not fit into one process everywhere.
const CONNECTIONS: usize = 10_000;
/// Connections from one source address.
const PER_ADDRESS: usize = 5_000;
/// What the process that holds the sockets is started with.
const HOLD: &str = "--hold";
/// The number online is told every 2 s, and what that took must be free again.
const SETTLED: Duration = Duration::from_secs(4);
/// Who left is on the list for 10 s more, and memory goes back some 2 s later, or once more after 24.
const FORGOTTEN: Duration = Duration::from_secs(30);

fn main() -> ExitCode {
    let args: Vec<String> = env::args().collect();
    if let Some(place) = args.iter().position(|arg| arg == HOLD) {
        let address = args.get(place + 1).and_then(|address| address.parse().ok());
        hold(address.expect("an address follows")).expect("the server takes everybody");
        return ExitCode::SUCCESS;
    }
    measure();
    account();
    ExitCode::SUCCESS
}

fn measure() {
    let server = Server::start(&[]);
    thread::sleep(SETTLED);
    let (empty, kernel_empty) = (server.memory(), kernel());
    let (full, kernel_full) = with_everybody(&server);
    thread::sleep(FORGOTTEN);
    let left = server.memory();
    let (again, _) = with_everybody(&server);
    println!("{CONNECTIONS} idle connections, each with a name\n");
    let mut table = Table::new(&["", "Rss", "Pss", "Private_Dirty"]);
    for (what, memory) in [
        ("nobody, KiB", empty),
        ("everybody, KiB", full),
        ("all left, KiB", left),
        ("everybody again, KiB", again),
    ] {
        let kib = |bytes: i64| bytes / 1024;
        table.row(&[
            &what,
            &kib(memory.rss),
            &kib(memory.pss),
            &kib(memory.dirty),
        ]);
    }
    let per = |now: i64, then: i64| (now - then) / CONNECTIONS as i64;
    for (what, now) in [
        ("bytes per connection", full),
        ("bytes per connection that left", left),
    ] {
        let (rss, pss) = (per(now.rss, empty.rss), per(now.pss, empty.pss));
        table.row(&[&what, &rss, &pss, &per(now.dirty, empty.dirty)]);
    }
    table.print();
    let kernel = per(kernel_full, kernel_empty);
    println!("the kernel's own, both ends of each connection (SUnreclaim): {kernel} bytes\n");
}

/// Memory of the server and of the kernel while everybody is there and idle; then all leave.
fn with_everybody(server: &Server) -> (Memory, i64) {
    let myself = env::current_exe().expect("this program has a path");
    let mut holder = Command::new(myself)
        .args([HOLD, &server.address().to_string()])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("this program starts again");
    let mut ready = [0; 1];
    let mut told = holder.stdout.take().expect("it is piped");
    told.read_exact(&mut ready).expect("everybody was welcomed");
    server.wait_for("kith_sessions", CONNECTIONS as u64);
    thread::sleep(SETTLED);
    let memory = (server.memory(), kernel());
    drop(holder.stdin.take());
    holder.wait().expect("it ends");
    server.wait_for("kith_sessions", 0);
    memory
}

/// Memory of the kernel that it cannot give back, in bytes; other programs use it too.
fn kernel() -> i64 {
    let text = fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix("SUnreclaim:"));
    let number = line.and_then(|line| line.trim().strip_suffix(" kB"));
    number.and_then(|kb| kb.parse::<i64>().ok()).unwrap_or(0) * 1024
}

/// Opens all sockets, one after the other, and keeps them until standard input ends.
fn hold(address: SocketAddr) -> io::Result<()> {
    let mut sockets = Vec::new();
    for n in 0..CONNECTIONS {
        let source = Ipv4Addr::new(127, 0, 1, 1 + (n / PER_ADDRESS) as u8);
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
        socket.bind(&SocketAddr::from((source, 0)).into())?;
        socket.connect(&address.into())?;
        let mut socket = TcpStream::from(socket);
        let head = client::upgrade(Format::Json, &format!("idle-{n:05}"));
        socket.write_all(head.as_bytes())?;
        sockets.push(socket);
        // Some are on their way while others are awaited.
        if let Some(earlier) = n.checked_sub(64) {
            welcomed(&mut sockets[earlier])?;
        }
    }
    let last = CONNECTIONS.saturating_sub(64);
    sockets[last..].iter_mut().try_for_each(welcomed)?;
    io::stdout().write_all(b"!")?;
    io::stdout().flush()?;
    io::stdin().read_to_end(&mut Vec::new())?;
    Ok(())
}

fn welcomed(socket: &mut TcpStream) -> io::Result<()> {
    let mut seen = Vec::new();
    let mut buffer = [0; 2048];
    while !seen.windows(7).any(|bytes| bytes == b"welcome") {
        match socket.read(&mut buffer)? {
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            count => seen.extend_from_slice(&buffer[..count]),
        }
    }
    Ok(())
}

/// What it is made of, as the program asks for it.
fn account() {
    let before = Alive::now();
    let room = Room::new(Format::Json, CONNECTIONS - 1);
    let came = Alive::now().since(&before);
    println!(
        "what is alive for them, by the size of blocks; Peer {}, of it Conn {}\n",
        size_of::<Peer<mio::net::TcpStream>>(),
        size_of::<Conn>()
    );
    let mut table = Table::new(&["block", "how many", "bytes per connection", "in the heap"]);
    let share = |bytes: i64| tenths(bytes as f64 / CONNECTIONS as f64);
    let (mut asked, mut taken) = (0, 0);
    for (size, count) in came {
        let (bytes, heap) = (size as i64 * count, in_the_heap(size) as i64 * count);
        asked += bytes;
        taken += heap;
        if bytes >= CONNECTIONS as i64 {
            table.row(&[&size, &count, &share(bytes), &share(heap)]);
        }
    }
    table.row(&[&"all", &"", &share(asked), &share(taken)]);
    table.print();
    drop(room);
}
