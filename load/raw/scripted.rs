//! The verdict on servers that give messages no places, against one that errs on purpose, on
//! memory, with a clock of its own: every fault is found, and counted exactly.
//!
//! The scripted server broadcasts or echoes. Its script says what it does with which delivery.

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::io::IoSlice;
    use std::time::Duration;

    use kith::clock::{Moment, Now};
    use kith::conn::frame::{Kind, append};
    use kith::conn::{Conn, ConnConfig, Event, Frame, Push, Shared};
    use kith::ids::Entropy;
    use kith::limits::WRITE_PIECES;

    use crate::args::Offer;
    use crate::clients::Clients;
    use crate::crowd::{Action, Phase, Target};
    use crate::numbers::Numbers;
    use crate::payload::Run;
    use crate::raw::{Expect, Opaque, Raw};
    use crate::scenario::{Plan, find};
    use crate::schedule::Pace;
    use crate::verdict::{Fault, Verdict};

    /// What the server does with one delivery.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    enum Deal {
        Drop,
        Twice,
        /// After the next one for the same client.
        Late,
        /// A byte behind the marker is another.
        Alter,
        /// A byte of the marker is.
        AlterMarker,
        /// Somebody else hears it, and who was to hear it does not.
        Astray,
        /// And with it what another swarm says, and what a person says.
        AndOthers,
    }

    struct Server {
        conns: Vec<Option<Conn>>,
        shared: Shared,
        expect: Expect,
        /// What it does with every `every`'th delivery, the first of them being `every - 1`.
        deal: Deal,
        every: u64,
        deliveries: u64,
        late: Vec<Vec<Vec<u8>>>,
    }

    impl Server {
        fn received(&mut self, client: u32, bytes: &[u8], now: Now) {
            let mut input = bytes;
            let mut said = Vec::new();
            while let Some(conn) = &mut self.conns[client as usize]
                && let Some(event) = conn.poll_event(&mut input, &mut self.shared, now)
            {
                match event {
                    Event::Upgrade(_) => conn.accept(Some("any"), &mut self.shared, now),
                    Event::Binary(bytes) => said.push(bytes),
                    other => panic!("{other:?}"),
                }
            }
            for payload in said {
                for listener in 0..self.conns.len() as u32 {
                    let hears = match self.expect {
                        Expect::Broadcast => true,
                        Expect::Others => listener != client,
                        Expect::Echo => listener == client,
                    };
                    if hears {
                        self.deliver(listener, &payload);
                    }
                }
            }
        }

        fn deliver(&mut self, client: u32, payload: &[u8]) {
            self.deliveries += 1;
            let errs = self.deliveries.is_multiple_of(self.every);
            let mut other = payload.to_vec();
            match self.deal {
                _ if !errs => self.tell(client, payload),
                Deal::Drop => {}
                Deal::Twice => {
                    self.tell(client, payload);
                    self.tell(client, payload);
                }
                Deal::Late => return self.late[client as usize].push(other),
                Deal::Alter => {
                    *other.last_mut().unwrap() ^= 1;
                    self.tell(client, &other);
                }
                Deal::AlterMarker => {
                    other[20] ^= 1;
                    self.tell(client, &other);
                }
                Deal::Astray => self.tell((client + 1) % self.conns.len() as u32, payload),
                Deal::AndOthers => {
                    self.tell(client, b"hello");
                    self.tell(client, payload);
                    other.clear();
                    let which = crate::payload::Which {
                        sender: 0,
                        number: 0,
                    };
                    let times = super::super::marker::Times {
                        due: Moment(0),
                        sent: Moment(0),
                    };
                    super::super::marker::write(Run(1), which, times, 100, &mut other);
                    self.tell(client, &other);
                }
            }
            for late in std::mem::take(&mut self.late[client as usize]) {
                self.tell(client, &late);
            }
        }

        fn tell(&mut self, client: u32, payload: &[u8]) {
            let Some(conn) = &mut self.conns[client as usize] else {
                return;
            };
            let mut bytes = Vec::new();
            let range = append(&mut bytes, Kind::Binary, |out| {
                out.extend_from_slice(payload);
            });
            let pushed = conn.push(&Frame::Copied(&bytes[range]), &mut self.shared);
            assert_ne!(pushed, Push::Full);
        }
    }

    const CLIENTS: u32 = 5;

    /// 5 clients, of whom 2 talk: in all 1,000 messages, and 5,000 deliveries if all hear all.
    fn plan() -> Plan {
        Plan {
            clients: CLIENTS,
            talkers: 2,
            pace: Pace {
                rate: 1000.0,
                burst: 1,
                ramp: Duration::ZERO,
                duration: Duration::from_secs(1),
            },
            ..find("raw").unwrap().plan
        }
    }

    fn run(plan: Plan, expect: Expect, deal: Deal, every: u64) -> (Numbers, Verdict) {
        run_and_lose(plan, expect, deal, every, None)
    }

    /// The same; at this moment the server loses this client.
    fn run_and_lose(
        plan: Plan,
        expect: Expect,
        deal: Deal,
        every: u64,
        mut lose: Option<(Moment, u32)>,
    ) -> (Numbers, Verdict) {
        let target = Target {
            address: ([127, 0, 0, 1], 9092).into(),
            host: "h".to_owned(),
            path: "/".to_owned(),
        };
        let run = Run(7);
        let offer = Offer {
            subprotocol: Some("any".to_owned()),
            fields: Vec::new(),
        };
        let size = plan.size;
        let opaque = Opaque { run, size, offer };
        let mut now = Moment(0);
        let mut raw = Raw::new(opaque, expect, run, plan, target, Entropy::Seeded(7), now);
        let count = plan.clients as usize;
        let mut server = Server {
            conns: (0..count).map(|_| None).collect(),
            shared: Shared::new(ConnConfig::default()),
            expect,
            deal,
            every,
            deliveries: 0,
            late: vec![Vec::new(); count],
        };
        while !matches!(raw.phase(), Phase::Over) {
            if let Some((_, client)) = lose.take_if(|(at, _)| now >= *at) {
                server.conns[client as usize] = None;
                raw.ended(client, now);
            }
            raw.tick(now);
            while exchange(&mut raw, &mut server, now) {
                // A flood must come to its end.
                now = now.after(Duration::from_micros(100));
                raw.tick(now);
            }
            assert!(raw.take_failure().is_none());
            let next = raw.next_tick(now);
            now = next.max(now.after(Duration::from_micros(1)));
        }
        raw.finish()
    }

    /// Moves bytes both ways, once; says whether there were any.
    fn exchange(raw: &mut Raw<Opaque>, server: &mut Server, now: Moment) -> bool {
        let mut moved = false;
        let time = Now {
            mono: now,
            ..Now::default()
        };
        while let Some(action) = raw.poll_action() {
            if let Action::Connect(client) = action {
                server.conns[client as usize] = Some(Conn::new(time));
            }
        }
        let mut dirty = Vec::new();
        raw.take_dirty(&mut dirty);
        for client in dirty {
            let mut pieces = [IoSlice::new(&[]); WRITE_PIECES];
            let count = raw.slices(client, &mut pieces);
            let bytes = together(&pieces[..count]);
            raw.wrote(client, bytes.len());
            server.received(client, &bytes, time);
            moved = true;
        }
        for client in 0..server.conns.len() as u32 {
            let Some(conn) = &mut server.conns[client as usize] else {
                continue;
            };
            let mut pieces = [IoSlice::new(&[]); WRITE_PIECES];
            let count = conn.slices(&server.shared, &mut pieces);
            let bytes = together(&pieces[..count]);
            conn.wrote(bytes.len(), &mut server.shared, time);
            if !bytes.is_empty() {
                raw.received(client, &bytes, now);
                moved = true;
            }
        }
        moved
    }

    fn together(pieces: &[IoSlice<'_>]) -> Vec<u8> {
        pieces.iter().flat_map(|piece| piece.to_vec()).collect()
    }

    /// One of 1,000 deliveries is dealt with so; these faults, so often, and no other.
    fn check(expect: Expect, deal: Deal, expected: &[(Fault, u64)]) -> Verdict {
        let (_, verdict) = run(plan(), expect, deal, 1000);
        faults(&verdict, expected, &format!("{deal:?} of {expect:?}"));
        assert_eq!(verdict.said, 1000);
        verdict
    }

    fn faults(verdict: &Verdict, expected: &[(Fault, u64)], what: &str) {
        let expected: BTreeMap<_, _> = expected.iter().copied().collect();
        for fault in Fault::ALL {
            let tally = verdict.tally(*fault);
            let wanted = expected.get(fault).copied().unwrap_or(0);
            assert_eq!(tally.count, wanted, "{fault:?} of {what}: {tally:?}");
        }
    }

    #[test]
    fn each_fault_is_found_and_counted_exactly() {
        use Fault::{Altered, Duplicated, Lost, Misdelivered};
        // So many deliveries are one of 1,000.
        for (expect, n) in [
            (Expect::Broadcast, 5),
            (Expect::Others, 4),
            (Expect::Echo, 1),
        ] {
            check(expect, Deal::Drop, &[(Lost, n)]);
            check(expect, Deal::Twice, &[(Duplicated, n)]);
            check(expect, Deal::Alter, &[(Altered, n)]);
            check(expect, Deal::AlterMarker, &[(Altered, n), (Lost, n)]);
            let verdict = check(expect, Deal::AndOthers, &[(Misdelivered, n)]);
            assert_eq!(verdict.strangers, n);
        }
        check(Expect::Echo, Deal::Astray, &[(Lost, 1), (Misdelivered, 1)]);
        // Whoever it went to hears it there and of right.
        check(
            Expect::Broadcast,
            Deal::Astray,
            &[(Lost, 5), (Duplicated, 5)],
        );
    }

    #[test]
    fn only_what_one_sender_said_has_an_order() {
        // The next delivery is another sender's, and the one after the last never comes.
        check(Expect::Broadcast, Deal::Late, &[(Fault::Lost, 1)]);
        let mut plan = plan();
        plan.talkers = 1;
        let (_, verdict) = run(plan, Expect::Broadcast, Deal::Late, 1000);
        let expected = [(Fault::Reordered, 4), (Fault::Lost, 1)];
        faults(&verdict, &expected, "one who talks");
    }

    #[test]
    fn a_good_server_has_no_fault_and_all_come_back() {
        for expect in [Expect::Broadcast, Expect::Others, Expect::Echo] {
            let (numbers, verdict) = run(plan(), expect, Deal::Drop, u64::MAX);
            faults(&verdict, &[], "nothing");
            let (own, heard) = match expect {
                Expect::Broadcast => (1000, 5000),
                Expect::Others => (0, 4000),
                Expect::Echo => (1000, 1000),
            };
            assert_eq!((verdict.said, verdict.acknowledged), (1000, own));
            assert_eq!(numbers.deliveries, heard);
            assert_eq!(numbers.corrected.percentiles().count, heard);
        }
    }

    #[test]
    fn who_counts_knows_how_many_are_missing_or_too_many() {
        let mut plan = plan();
        plan.count = true;
        for (deal, expected) in [
            (Deal::Drop, &[(Fault::Lost, 5)][..]),
            (Deal::Twice, &[(Fault::Duplicated, 5)]),
            // The last of five deliveries is a counter's: it sees another message, and no more.
            (Deal::Alter, &[]),
            // Two more each.
            (Deal::AndOthers, &[(Fault::Duplicated, 10)]),
        ] {
            let (numbers, verdict) = run(plan, Expect::Broadcast, deal, 1000);
            faults(&verdict, expected, &format!("{deal:?}"));
            assert!(numbers.deliveries >= 4990, "{}", numbers.deliveries);
            assert_eq!(numbers.corrected.percentiles().count, 2000);
        }
    }

    #[test]
    fn whoever_is_cut_off_by_the_server_comes_back_and_has_lost_what_was_said() {
        let lose = Some((Moment(300_000_000), 0));
        let (numbers, verdict) =
            run_and_lose(plan(), Expect::Broadcast, Deal::Drop, u64::MAX, lose);
        assert_eq!(numbers.ended.get("lost"), Some(&1));
        assert_eq!(numbers.handshakes, u64::from(CLIENTS) + 1);
        // It is away for half a second to a whole one, in which the other talker says half of it.
        let lost = verdict.tally(Fault::Lost).count;
        assert!((200..700).contains(&lost), "{lost}");
        faults(&verdict, &[(Fault::Lost, lost)], "a client that is lost");
        // What it was to say meanwhile, it says when it is back.
        assert_eq!((verdict.said, verdict.acknowledged), (1000, 1000));
    }

    #[test]
    fn a_flood_keeps_windows_full_and_loses_nothing_but_what_is_lost() {
        let mut plan = plan();
        plan.flood = true;
        plan.window = 3;
        plan.pace.duration = Duration::from_millis(50);
        for (every, expect) in [(u64::MAX, Expect::Broadcast), (7, Expect::Echo)] {
            let (numbers, verdict) = run(plan, expect, Deal::Drop, every);
            let lost = verdict.tally(Fault::Lost).count;
            let dropped = match expect {
                Expect::Echo => verdict.said / 7,
                _ => 0,
            };
            faults(&verdict, &[(Fault::Lost, dropped)], "a flood");
            assert_eq!(verdict.acknowledged, verdict.said - lost);
            assert!(verdict.said > 200, "{}", verdict.said);
            assert_eq!(numbers.corrected.percentiles().count, 0);
            assert_eq!(numbers.uncorrected.percentiles().count, numbers.deliveries);
        }
    }
}
