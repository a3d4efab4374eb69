//! Whose a listening port is, from `/proc/net` and everybody's open files (`proc(5)`).
//!
//! Linux only. Finds processes of this user, or all of them for the superuser.

use std::fs;
use std::net::SocketAddr;

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_that_is_listened_on_has_an_inode_and_a_process() {
        let table = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n   0: 0100007F:2383 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 4711 1 0 100\n   1: 0100007F:2384 0100007F:2383 01 00000000:00000000 00:00000000 00000000     0        0 4712 1 0 100\n";
        assert_eq!(listening_inode(table, 9091), Some(4711));
        assert_eq!(listening_inode(table, 9092), None);
        let socket = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let found = listener(socket.local_addr().unwrap());
        assert_eq!(found, Some(std::process::id()));
    }
}
