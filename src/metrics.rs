//! Counters and gauges, as plain numbers that one thread owns.
//!
//! Floor 0. The loop adds to these as it goes; `/metrics` renders them when somebody asks. Nothing
//! here is atomic: what other threads count reaches the loop with their answers.

use std::fmt::Write;

macro_rules! metrics {
    ($( $(#[doc = $help:literal])+ $name:ident: $kind:ident, )+) => {
        /// Every number that the server keeps of itself.
        #[derive(Clone, Debug, Default)]
        pub struct Metrics {
            $( $(#[doc = $help])+ pub $name: u64, )+
        }

        impl Metrics {
            /// The text format of Prometheus (exposition format 0.0.4).
            pub fn render(&self) -> String {
                let mut out = String::new();
                $( render_one(
                    &mut out,
                    stringify!($name),
                    stringify!($kind),
                    concat!($($help),+),
                    self.$name,
                ); )+
                out
            }
        }
    };
}

metrics! {
    /// Connections that are open now.
    connections_open: gauge,
    /// Connections accepted since the start.
    connections_accepted: counter,
    /// Times that accepting stopped because the process had no file descriptor left.
    accept_exhausted: counter,
    /// WebSocket upgrades granted.
    upgrades: counter,
    /// HTTP requests answered, upgrades not counted.
    http_requests: counter,
    /// Sessions that are signed in now.
    sessions: gauge,
    /// Bytes read from sockets.
    bytes_in: counter,
    /// Bytes written to sockets.
    bytes_out: counter,
    /// Calls that wrote to a socket.
    writes: counter,
    /// Commands taken from clients.
    commands: counter,
    /// Commands refused, whatever the reason.
    refused: counter,
    /// Messages accepted.
    talks: counter,
    /// Frames queued for listeners by fan-out.
    deliveries: counter,
    /// Times that a listener was put behind because it read too slowly.
    put_behind: counter,
    /// Pages of a log read from the store.
    pages_read: counter,
    /// Pages of a log served from memory.
    pages_cached: counter,
    /// Connections that the server closed for misbehaving or silence.
    cut: counter,
    /// Commits of the store.
    commits: counter,
    /// Log lines dropped because the log could not keep up.
    log_dropped: counter,
    /// Turns of the event loop.
    ticks: counter,
}

fn render_one(out: &mut String, name: &str, kind: &str, help: &str, value: u64) {
    let suffix = if kind == "counter" { "_total" } else { "" };
    let help = help.trim();
    // Writing to a String cannot fail.
    let _ = writeln!(
        out,
        "# HELP kith_{name}{suffix} {help}\n# TYPE kith_{name}{suffix} {kind}\nkith_{name}{suffix} {value}"
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_is_what_prometheus_reads() {
        let metrics = Metrics {
            talks: 3,
            ..Metrics::default()
        };
        let text = metrics.render();
        assert!(
            text.contains("# TYPE kith_talks_total counter\nkith_talks_total 3\n"),
            "{text}"
        );
        assert!(text.contains("kith_connections_open 0\n"), "{text}");
    }
}
