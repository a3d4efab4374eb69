//! What is counted while the crowd talks. Numbers only; what they mean is said in the report.

use std::collections::BTreeMap;
use std::time::Duration;

use kith::clock::Moment;

use crate::bounds::LINGER;
use crate::breaks::Breaks;
use crate::crowd::Phase;
use crate::latency::Latency;
use crate::series::Marks;

/// Everything that is counted in one run.
#[derive(Clone, Debug)]
pub struct Numbers {
    /// From due to heard.
    pub corrected: Latency,
    /// From sent to heard.
    pub uncorrected: Latency,
    /// From due to heard, where sender or listener was cut by the swarm in between.
    pub after_break: Latency,
    /// From due to heard, where sender or listener is a slow reader.
    pub slow: Latency,
    /// From due to acknowledged, for senders who were not cut.
    pub acknowledged: Latency,
    /// From due to the swarm's taking it up: its own lateness.
    pub lateness: Latency,
    /// From `connect` to `welcome`.
    pub sign_in: Latency,
    /// Messages heard.
    pub deliveries: u64,
    /// WebSockets granted.
    pub handshakes: u64,
    /// Connections that the swarm cut.
    pub cuts: u64,
    /// Connections that were opened besides, to get nothing done.
    pub flaps: u64,
    /// When everybody was out at once.
    pub breaks: Breaks,
    /// Connections that ended otherwise: by close code, or `lost` without one.
    pub ended: BTreeMap<String, u64>,
    /// Bytes read from sockets.
    pub bytes_in: u64,
    /// Bytes written to sockets.
    pub bytes_out: u64,
    /// How long it took to fill the room.
    pub filled: Duration,
    /// How long messages were due, and then until the last of them was heard: a server that is
    /// behind delivers long after.
    pub talked: Duration,
    /// When the last message was heard, and when the last was said.
    heard: Moment,
    said: Moment,
    /// Somebody did not want to wait until the end of that.
    pub interrupted: bool,
    /// What happened, and when.
    pub marks: Marks,
}

impl Numbers {
    /// Nothing yet.
    pub fn new() -> Self {
        Self {
            corrected: Latency::new(),
            uncorrected: Latency::new(),
            after_break: Latency::new(),
            slow: Latency::new(),
            acknowledged: Latency::new(),
            lateness: Latency::new(),
            sign_in: Latency::new(),
            deliveries: 0,
            handshakes: 0,
            cuts: 0,
            flaps: 0,
            breaks: Breaks::default(),
            ended: BTreeMap::new(),
            bytes_in: 0,
            bytes_out: 0,
            filled: Duration::ZERO,
            talked: Duration::ZERO,
            heard: Moment(0),
            said: Moment(0),
            interrupted: false,
            marks: Marks::default(),
        }
    }

    /// So many messages more were heard.
    pub const fn heard(&mut self, messages: u64, now: Moment) {
        if messages > 0 {
            self.deliveries += messages;
            self.heard = now;
        }
    }

    /// No more are due, after some time.
    pub fn said(&mut self, since: Moment, now: Moment) {
        self.talked += now.since(since);
        self.said = now;
    }

    /// Whether it is over, as it was to be by `until`. When everybody has heard everything it soon
    /// is: what comes twice may come a little later.
    pub fn settle(&mut self, all_heard: bool, until: Moment, now: Moment) -> Phase {
        if now >= until {
            self.talked += self.heard.since(self.said);
            Phase::Over
        } else if all_heard {
            Phase::Settling(until.min(now.after(LINGER)))
        } else {
            Phase::Settling(until)
        }
    }
}
