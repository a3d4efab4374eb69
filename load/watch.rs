//! What the system says of a process: CPU time and memory, from `/proc` (`proc(5)`).
//!
//! Linux only, like everything that is read here. Knows nothing of the run.

use std::fs;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

/// A process at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Of all its threads, in user space and in the kernel, since it began.
    pub cpu: Duration,
    /// Resident memory, in bytes.
    pub resident: u64,
}

/// Looks at a process.
///
/// # Errors
/// There is none of this number, or it may not be looked at.
pub fn usage(pid: u32) -> io::Result<Usage> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
    let statm = fs::read_to_string(format!("/proc/{pid}/statm"))?;
    let (ticks, page) = unsafe {
        // Neither call has a precondition.
        (
            libc::sysconf(libc::_SC_CLK_TCK),
            libc::sysconf(libc::_SC_PAGESIZE),
        )
    };
    parse(&stat, &statm, ticks.max(1) as u64, page.max(1) as u64)
        .ok_or_else(|| io::Error::other("its /proc entry cannot be read"))
}

/// The process that listens on this port of this machine, if it can be found.
pub fn listener(address: SocketAddr) -> Option<u32> {
    if !address.ip().is_loopback() {
        return None;
    }
    let tables = ["/proc/net/tcp", "/proc/net/tcp6"];
    let tables = tables.map(|table| fs::read_to_string(table).unwrap_or_default());
    let inode = tables
        .iter()
        .find_map(|table| listening_inode(table, address.port()))?;
    let wanted = format!("socket:[{inode}]");
    let processes = fs::read_dir("/proc").ok()?;
    processes
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .find(|pid: &u32| {
            let files = fs::read_dir(format!("/proc/{pid}/fd"));
            let mut links = files.into_iter().flatten().flatten();
            links.any(|file| fs::read_link(file.path()).is_ok_and(|to| *to == *wanted))
        })
}

fn listening_inode(table: &str, port: u16) -> Option<u64> {
    let suffix = format!(":{port:04X}");
    table.lines().skip(1).find_map(|line| {
        let mut words = line.split_whitespace().skip(1);
        let (local, state) = (words.next()?, words.nth(1)?);
        // TCP_LISTEN of the kernel's tcp_states.h.
        let listens = local.ends_with(&suffix) && state == "0A";
        listens.then(|| words.nth(5)?.parse().ok()).flatten()
    })
}

fn parse(stat: &str, statm: &str, ticks: u64, page: u64) -> Option<Usage> {
    // The name, in parentheses, may hold anything.
    let (_, rest) = stat.rsplit_once(')')?;
    let mut words = rest.split_whitespace();
    let user: u64 = words.nth(11)?.parse().ok()?;
    let system: u64 = words.next()?.parse().ok()?;
    let pages: u64 = statm.split_whitespace().nth(1)?.parse().ok()?;
    Some(Usage {
        cpu: Duration::from_nanos((user + system) * 1_000_000_000 / ticks),
        resident: pages * page,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fields_are_where_the_manual_says() {
        let stat = "7 (a) b)) S 1 7 7 0 -1 4194560 100 0 0 0 150 50 0 0 20 0 5 0 99 1000 300";
        let found = parse(stat, "900 300 200 1 0 500 0\n", 100, 4096);
        let expected = Usage {
            cpu: Duration::from_secs(2),
            resident: 300 * 4096,
        };
        assert_eq!(found, Some(expected));
        assert_eq!(parse("7 (a) S", "", 100, 4096), None);
        let table = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n   0: 0100007F:2383 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 4711 1 0 100\n   1: 0100007F:2384 0100007F:2383 01 00000000:00000000 00:00000000 00000000     0        0 4712 1 0 100\n";
        assert_eq!(listening_inode(table, 9091), Some(4711));
        assert_eq!(listening_inode(table, 9092), None);
    }

    #[test]
    fn this_very_process_can_be_looked_at_and_found() {
        let this = std::process::id();
        assert!(usage(this).unwrap().resident > 0);
        assert!(usage(u32::MAX).is_err());
        let socket = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        assert_eq!(listener(socket.local_addr().unwrap()), Some(this));
    }
}
