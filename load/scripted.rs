//! The verdict and the schedule against a server that errs on purpose, on memory, with a clock of
//! its own: every fault is found, and counted exactly.
//!
//! The scripted server is the least chat server there is: one lobby, a log, keys and cursors. Its
//! script says for which listener it does what with which entry.

#[cfg(test)]
mod tests {
    mod closed;

    use std::collections::{BTreeMap, HashMap};
    use std::io::IoSlice;
    use std::time::Duration;

    use kith::clock::{Moment, Now};
    use kith::conn::frame::{Kind, append};
    use kith::conn::{Conn, ConnConfig, Event, Frame, Push, Shared};
    use kith::ids::Entropy;
    use kith::limits::WRITE_PIECES;
    use kith::wire::pb;
    use kith::wire::pb::client_frame::Command;
    use kith::wire::pb::server_frame::Body;
    use prost::Message as _;

    use crate::clients::Clients;
    use crate::crowd::{Action, Crowd, Phase, Target};
    use crate::failure::Failure;
    use crate::numbers::Numbers;
    use crate::scenario::{Plan, find};
    use crate::schedule::Pace;
    use crate::verdict::{Fault, Verdict};

    /// What the server does with one entry for one client.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    enum Deal {
        Drop,
        Twice,
        /// After the one that follows.
        Late,
        /// And with it what belongs into another room.
        AndForeign,
        /// And with it what another swarm said here, at a place that was heard long ago.
        AndOtherRun,
        Alter,
        Announce,
        /// The sender is told nothing.
        Unanswered,
        /// The sender is told that it is too fast, and nobody else anything.
        Refuse,
        /// It gets a second place, and everybody hears both.
        TwoPlaces,
        /// With seq 0: this client is not let in.
        TurnAway,
    }

    type Script = Vec<(u32, u64, Deal)>;

    #[derive(Default)]
    struct Guest {
        conn: Option<Conn>,
        name: String,
        late: Vec<pb::Entry>,
    }

    struct Server {
        guests: Vec<Guest>,
        shared: Shared,
        log: Vec<pb::Entry>,
        keys: HashMap<Vec<u8>, pb::Talked>,
        script: Script,
    }

    impl Server {
        fn deal(&self, client: u32, seq: u64) -> Option<Deal> {
            let mut rows = self.script.iter();
            let row = rows.find(|(who, at, _)| (*who, *at) == (client, seq));
            row.map(|(_, _, deal)| *deal)
        }

        fn tell(&mut self, client: u32, id: u32, body: Body) {
            let Some(conn) = &mut self.guests[client as usize].conn else {
                return;
            };
            let body = Some(body);
            let frame = pb::ServerFrame { id, body };
            let mut bytes = Vec::new();
            let range = append(&mut bytes, Kind::Binary, |out| frame.encode(out).unwrap());
            let pushed = conn.push(&Frame::Copied(&bytes[range]), &mut self.shared);
            assert_ne!(pushed, Push::Full);
        }

        fn received(&mut self, client: u32, bytes: &[u8], now: Now) {
            let mut input = bytes;
            loop {
                let Some(conn) = &mut self.guests[client as usize].conn else {
                    return;
                };
                match conn.poll_event(&mut input, &mut self.shared, now) {
                    Some(Event::Upgrade(_)) => {
                        conn.accept(Some("kith.v1.proto"), &mut self.shared, now);
                    }
                    Some(Event::Binary(bytes)) => {
                        let frame = pb::ClientFrame::decode(bytes).unwrap();
                        match frame.command.unwrap() {
                            Command::Hello(hello) => self.hello(client, frame.id, hello),
                            Command::Talk(talk) => self.talk(client, frame.id, frame.key, talk),
                            other => panic!("{other:?}"),
                        }
                    }
                    Some(other) => panic!("{other:?}"),
                    None => return,
                }
            }
        }

        fn hello(&mut self, client: u32, id: u32, hello: pb::Hello) {
            if self.deal(client, 0) == Some(Deal::TurnAway) {
                let error = pb::Error {
                    code: 201,
                    message: "taken".to_owned(),
                    ..pb::Error::default()
                };
                return self.tell(client, id, Body::Error(error));
            }
            self.guests[client as usize].name.clone_from(&hello.name);
            let lobby = pb::Standing {
                conversation: "lobby".to_owned(),
                epoch: "e".to_owned(),
                head: self.log.len() as u64,
                ..pb::Standing::default()
            };
            let welcome = pb::Welcome {
                name: hello.name,
                guest_id: "g".to_owned(),
                conversations: vec![lobby],
                ..pb::Welcome::default()
            };
            self.tell(client, id, Body::Welcome(welcome));
            for cursor in hello.cursors {
                for at in cursor.seq as usize..self.log.len() {
                    self.bring(client, self.log[at].clone());
                }
            }
        }

        fn talk(&mut self, client: u32, id: u32, key: Vec<u8>, talk: pb::Talk) {
            if let Some(known) = self.keys.get(&key) {
                let mut again = known.clone();
                again.duplicate = true;
                return self.tell(client, id, Body::Talked(again));
            }
            let seq = self.log.len() as u64 + 1;
            if self.deal(client, seq) == Some(Deal::Refuse) {
                let error = pb::Error {
                    code: 500,
                    name: "too_fast".to_owned(),
                    ..pb::Error::default()
                };
                // So that the next message finds another script.
                self.script.retain(|row| (row.0, row.1) != (client, seq));
                return self.tell(client, id, Body::Error(error));
            }
            let talked = pb::Talked {
                conversation: "lobby".to_owned(),
                seq,
                ..pb::Talked::default()
            };
            self.keys.insert(key, talked.clone());
            if self.deal(client, seq) != Some(Deal::Unanswered) {
                self.tell(client, id, Body::Talked(talked));
            }
            self.say(client, talk.text.clone(), Some(client));
            if self.deal(client, seq) == Some(Deal::TwoPlaces) {
                self.say(client, talk.text, None);
            }
        }

        /// Gives it a place and tells everybody but one.
        fn say(&mut self, sender: u32, text: String, but: Option<u32>) {
            let entry = pb::Entry {
                conversation: "lobby".to_owned(),
                seq: self.log.len() as u64 + 1,
                from: self.guests[sender as usize].name.clone(),
                body: Some(pb::entry::Body::Message(pb::Message { text })),
                ..pb::Entry::default()
            };
            self.log.push(entry.clone());
            for client in 0..self.guests.len() as u32 {
                if Some(client) != but {
                    self.bring(client, entry.clone());
                }
            }
        }

        fn bring(&mut self, client: u32, entry: pb::Entry) {
            let seq = entry.seq;
            let deal = self.deal(client, seq);
            let copies = match deal {
                Some(Deal::Drop | Deal::Late | Deal::Announce | Deal::Alter) => 0,
                Some(Deal::Twice) => 2,
                _ => 1,
            };
            for _ in 0..copies {
                self.tell(client, 0, Body::Entry(entry.clone()));
            }
            for late in std::mem::take(&mut self.guests[client as usize].late) {
                self.tell(client, 0, Body::Entry(late));
            }
            let other = |conversation: &str, text: String, seq| {
                Body::Entry(pb::Entry {
                    conversation: conversation.to_owned(),
                    seq,
                    body: Some(pb::entry::Body::Message(pb::Message { text })),
                    ..entry.clone()
                })
            };
            let words = format!("swarm {:016x} 0 0 0 x", 0);
            match deal {
                Some(Deal::Late) => self.guests[client as usize].late.push(entry),
                Some(Deal::AndForeign) => self.tell(client, 0, other("g:x", words, 9000)),
                Some(Deal::AndOtherRun) => self.tell(client, 0, other("lobby", words, 1)),
                Some(Deal::Alter) => {
                    let Some(pb::entry::Body::Message(message)) = &entry.body else {
                        return;
                    };
                    let text = message.text.replace("xx", "yx");
                    self.tell(client, 0, other("lobby", text, seq));
                }
                Some(Deal::Announce) => {
                    let hole = pb::Hole {
                        conversation: "lobby".to_owned(),
                        from: seq,
                        to: seq,
                        reason: 0,
                    };
                    self.tell(client, 0, Body::Hole(hole));
                }
                _ => {}
            }
        }
    }

    /// Crowd and server, and what is between them.
    struct Rig {
        crowd: Crowd,
        server: Server,
        now: Moment,
        /// Between these two the server does nothing.
        stall: (Moment, Moment),
        /// What came for the server meanwhile.
        queued: Vec<(u32, Vec<u8>)>,
    }

    const TALKERS: u32 = 2;

    fn plan() -> Plan {
        Plan {
            clients: 5,
            talkers: TALKERS,
            pace: Pace {
                rate: 100.0,
                burst: 1,
                ramp: Duration::ZERO,
                duration: Duration::from_secs(1),
            },
            ..find("lobby").unwrap().plan
        }
    }

    impl Rig {
        fn new(plan: Plan, script: Script) -> Self {
            let target = Target {
                address: ([127, 0, 0, 1], 9091).into(),
                host: "h".to_owned(),
                path: "/ws".to_owned(),
            };
            let now = Moment(0);
            Self {
                crowd: Crowd::new(plan, target, Entropy::Seeded(7), now),
                server: Server {
                    guests: (0..plan.clients).map(|_| Guest::default()).collect(),
                    shared: Shared::new(ConnConfig::default()),
                    log: Vec::new(),
                    keys: HashMap::new(),
                    script,
                },
                now,
                stall: (Moment(0), Moment(0)),
                queued: Vec::new(),
            }
        }

        fn run(mut self) -> Result<(Numbers, Verdict), Failure> {
            while !matches!(self.crowd.phase(), Phase::Over) {
                self.crowd.tick(self.now);
                while self.exchange() {
                    if self.crowd.plan.flood {
                        // It must come to its end.
                        self.now = self.now.after(Duration::from_micros(100));
                        self.crowd.tick(self.now);
                    }
                }
                if let Some(failure) = self.crowd.take_failure() {
                    return Err(failure);
                }
                let next = self.crowd.next_tick(self.now);
                // Neither crowd nor script ever waits for nothing.
                self.now = next.max(self.now.after(Duration::from_micros(1)));
            }
            Ok(self.crowd.finish())
        }

        /// Moves bytes both ways, once; says whether there were any.
        fn exchange(&mut self) -> bool {
            let mut moved = false;
            while let Some(action) = self.crowd.poll_action() {
                let (Action::Connect(client) | Action::Drop(client)) = action;
                let conn = match action {
                    Action::Connect(_) => Some(Conn::new(Now::default())),
                    Action::Drop(_) => None,
                };
                self.server.guests[client as usize].conn = conn;
                moved = true;
            }
            let mut dirty = Vec::new();
            self.crowd.take_dirty(&mut dirty);
            for client in dirty {
                let mut pieces = [IoSlice::new(&[]); WRITE_PIECES];
                let count = self.crowd.slices(client, &mut pieces);
                let bytes = together(&pieces[..count]);
                self.crowd.wrote(client, bytes.len());
                self.queued.push((client, bytes));
            }
            let now = Now {
                mono: self.now,
                ..Now::default()
            };
            if !(self.stall.0 <= self.now && self.now < self.stall.1) {
                for (client, bytes) in std::mem::take(&mut self.queued) {
                    self.server.received(client, &bytes, now);
                    moved = true;
                }
            }
            for client in 0..self.server.guests.len() as u32 {
                let Some(conn) = &mut self.server.guests[client as usize].conn else {
                    continue;
                };
                let mut pieces = [IoSlice::new(&[]); WRITE_PIECES];
                let count = conn.slices(&self.server.shared, &mut pieces);
                let bytes = together(&pieces[..count]);
                conn.wrote(bytes.len(), &mut self.server.shared, now);
                if !bytes.is_empty() {
                    self.crowd.received(client, &bytes, self.now);
                    moved = true;
                }
            }
            moved
        }
    }

    fn together(pieces: &[IoSlice<'_>]) -> Vec<u8> {
        pieces.iter().flat_map(|piece| piece.to_vec()).collect()
    }

    /// Runs a script; these faults, so often, and no other.
    fn check(script: &[(u32, u64, Deal)], expected: &[(Fault, u64)]) -> Verdict {
        let verdict = check_plan(plan(), script, expected);
        assert_eq!(verdict.said, 100);
        verdict
    }

    fn check_plan(plan: Plan, script: &[(u32, u64, Deal)], expected: &[(Fault, u64)]) -> Verdict {
        let (_, verdict) = Rig::new(plan, script.to_vec()).run().unwrap();
        let expected: BTreeMap<_, _> = expected.iter().copied().collect();
        for fault in Fault::ALL {
            let tally = verdict.tally(*fault);
            let wanted = expected.get(fault).copied().unwrap_or(0);
            assert_eq!(tally.count, wanted, "{fault:?} of {script:?}: {tally:?}");
            assert_eq!(tally.first.is_some(), wanted > 0);
        }
        verdict
    }

    #[test]
    fn a_good_server_has_no_fault() {
        let verdict = check(&[], &[]);
        assert_eq!((verdict.acknowledged, verdict.refused.count()), (100, 0));
    }

    #[test]
    fn each_fault_is_found_and_counted_exactly() {
        use Deal::{AndForeign, AndOtherRun, Announce, Drop, Late, Twice};
        let each = |deal| [(2, 10, deal), (3, 10, deal), (2, 20, deal), (4, 71, deal)];
        check(&each(Drop), &[(Fault::Lost, 4), (Fault::SilentHole, 4)]);
        check(&each(Twice), &[(Fault::Duplicated, 4)]);
        check(&each(Late), &[(Fault::Reordered, 4)]);
        check(&each(AndForeign), &[(Fault::Misdelivered, 4)]);
        check(&each(AndOtherRun), &[(Fault::Misdelivered, 4)]);
        check(&each(Deal::Alter), &[(Fault::Altered, 4)]);
        check(&each(Announce), &[(Fault::AnnouncedHole, 4)]);
        // Talkers are listeners too.
        check(
            &[(0, 2, Drop), (1, 3, Twice)],
            &[
                (Fault::Lost, 1),
                (Fault::SilentHole, 1),
                (Fault::Duplicated, 1),
            ],
        );
        // Behind the last entry there is no hole to be seen, and a message is missing all the same.
        check(&[(2, 100, Drop)], &[(Fault::Lost, 1)]);
    }

    #[test]
    fn what_becomes_of_a_message_itself_is_counted_once() {
        // Seq 5 is the third message of client 0, as the two take turns.
        let nobody: Script = [1, 2, 3, 4].map(|client| (client, 5, Deal::Drop)).into();
        check(
            &nobody,
            &[
                (Fault::Lost, 4),
                (Fault::SilentHole, 4),
                (Fault::NeverSeen, 1),
            ],
        );
        check(&[(0, 5, Deal::Unanswered)], &[(Fault::Unanswered, 1)]);
        check(&[(0, 5, Deal::TwoPlaces)], &[(Fault::Duplicated, 5)]);
        let verdict = check(&[(0, 5, Deal::Refuse)], &[]);
        assert_eq!((verdict.acknowledged, verdict.refused.count()), (99, 1));
        assert!(
            verdict
                .refused
                .0
                .contains_key(&(500, "too_fast".to_owned()))
        );
    }

    #[test]
    fn who_is_not_let_in_is_counted_and_the_server_quoted() {
        let fail = |script: Script| Rig::new(plan(), script).run().unwrap_err().to_string();
        let one = fail(vec![(3, 0, Deal::TurnAway)]);
        assert!(one.starts_with("only 4 of 5 clients got in: it answered `hello` with 201: taken"));
        let all = fail((0..5).map(|client| (client, 0, Deal::TurnAway)).collect());
        assert!(
            all.starts_with("127.0.0.1:9091 is no chat server of this protocol"),
            "{all}"
        );
    }

    #[test]
    fn whoever_is_cut_and_comes_back_misses_nothing() {
        let mut plan = plan();
        plan.cut = 2.0;
        plan.pace.duration = Duration::from_secs(5);
        let (numbers, verdict) = Rig::new(plan, Vec::new()).run().unwrap();
        assert!(numbers.cuts > 20, "{}", numbers.cuts);
        assert!(numbers.after_break.percentiles().count > 0);
        assert_eq!((verdict.said, verdict.acknowledged), (500, 500));
        for fault in Fault::ALL {
            assert_eq!(
                verdict.tally(*fault).count,
                0,
                "{:?}",
                verdict.tally(*fault)
            );
        }
    }

    #[test]
    fn a_stall_of_a_second_shows_in_what_is_corrected_and_only_there() {
        let mut plan = plan();
        plan.talkers = 1;
        plan.window = 1;
        plan.pace.duration = Duration::from_secs(10);
        let mut rig = Rig::new(plan, Vec::new());
        rig.stall = (Moment(5_005_000_000), Moment(6_005_000_000));
        let (numbers, verdict) = rig.run().unwrap();
        assert_eq!(verdict.acknowledged, 1000);
        let p99 = |latency: &crate::latency::Latency| latency.at(0.99);
        let corrected = p99(&numbers.corrected);
        assert!(corrected >= Duration::from_millis(850), "{corrected:?}");
        let uncorrected = p99(&numbers.uncorrected);
        assert!(uncorrected < Duration::from_millis(10), "{uncorrected:?}");
        let longest = numbers.uncorrected.percentiles().max;
        assert!((900.0..1100.0).contains(&longest), "{longest}");
        // The schedule went on meanwhile: nothing was taken up late.
        assert!(p99(&numbers.lateness) < Duration::from_millis(10));
    }
}
