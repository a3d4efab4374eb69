//! The verdict and the schedule against a server that errs on purpose, on memory, with a clock of
//! its own: every fault is found, and counted exactly.

mod breaks;
mod closed;
mod rig;
mod server;

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::time::Duration;

    use kith::clock::Moment;
    use kith::ids::Entropy;

    use super::rig::{Doing, Rig, TALKERS, plan};
    use super::server::{Deal, Script};
    use crate::scenario::Plan;
    use crate::verdict::{Fault, Verdict};

    /// Runs a script; these faults, so often, and no other.
    fn check(script: &[(u32, u64, Deal)], expected: &[(Fault, u64)]) -> Verdict {
        let verdict = check_plan(plan(), script, expected);
        assert_eq!(verdict.said, 100);
        verdict
    }

    pub fn check_plan(
        plan: Plan,
        script: &[(u32, u64, Deal)],
        expected: &[(Fault, u64)],
    ) -> Verdict {
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
        check(&each(Deal::OtherWords), &[(Fault::Altered, 4)]);
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
    fn one_of_a_thousand_is_found_among_the_others() {
        use Deal::{AndForeign, Drop, Late, Twice};
        let mut plan = plan();
        plan.pace.rate = 1000.0;
        plan.pace.duration = Duration::from_secs(20);
        let mut entropy = Entropy::Seeded(7);
        // Each of them happens to one of 1,000 messages, anywhere among them but not to neighbours,
        // on its way to somebody who only listens.
        let mut script = Vec::new();
        for thousand in 0..20 {
            for (quarter, deal) in [Drop, Twice, Late, AndForeign].into_iter().enumerate() {
                let within = u64::from(entropy.u32() % 240);
                let listener = TALKERS + entropy.u32() % (plan.clients - TALKERS);
                script.push((
                    listener,
                    thousand * 1000 + quarter as u64 * 250 + 5 + within,
                    deal,
                ));
            }
        }
        let found = [
            (Fault::Lost, 20),
            (Fault::SilentHole, 20),
            (Fault::Duplicated, 20),
            (Fault::Reordered, 20),
            (Fault::Misdelivered, 20),
        ];
        let verdict = check_plan(plan, &script, &found);
        assert_eq!((verdict.said, verdict.acknowledged), (20_000, 20_000));
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
    fn what_a_server_decides_for_everybody_alike_is_found_too() {
        // It says them in another order than it was told them, ...
        let after = [(0, 5, Deal::After), (1, 20, Deal::After)];
        check(&after, &[(Fault::Reordered, 2)]);
        // ... says what it refused, ...
        let verdict = check(&[(0, 5, Deal::RefuseAloud)], &[(Fault::Altered, 1)]);
        assert_eq!(verdict.refused.count(), 1);
        // ... or says one thing where it has said another, which it answers for no longer.
        let forgotten = [(Fault::Lost, 1), (Fault::AnnouncedHole, 5)];
        check(&[(0, 5, Deal::Forget)], &forgotten);
    }

    #[test]
    fn what_comes_again_after_everything_has_come_is_heard_too() {
        let mut rig = Rig::new(plan(), Vec::new());
        rig.doings = vec![(Duration::from_millis(1050), Doing::Repeat(2))];
        let (_, verdict) = rig.run().unwrap();
        assert_eq!(verdict.tally(Fault::Duplicated).count, 1);
        assert_eq!(verdict.faults(), 1);
    }

    #[test]
    fn who_is_behind_is_given_no_more_a_second_for_it() {
        let mut rig = Rig::new(plan(), Vec::new());
        rig.stall = (Moment(500_000_000), Moment(3_000_000_000));
        let (numbers, verdict) = rig.run().unwrap();
        assert_eq!((verdict.said, numbers.deliveries), (100, 400));
        let whole = Duration::from_millis(2900)..Duration::from_millis(3100);
        assert!(whole.contains(&numbers.talked), "{:?}", numbers.talked);
    }

    #[test]
    fn who_is_not_let_in_is_counted_and_the_server_quoted() {
        let fail = |script: Script| Rig::new(plan(), script).run().unwrap_err().to_string();
        let one = fail(vec![(3, 0, Deal::TurnAway)]);
        assert!(one.starts_with("only 4 of 5 clients got in: it refused the name with 201: taken"));
        let all = fail((0..5).map(|client| (client, 0, Deal::TurnAway)).collect());
        assert!(
            all.starts_with("127.0.0.1:9091 is no chat server of this protocol"),
            "{all}"
        );
        let mut rig = Rig::new(plan(), Vec::new());
        rig.stall = (Moment(0), Moment(u64::MAX));
        let silent = rig.run().unwrap_err().to_string();
        assert!(
            silent.starts_with("127.0.0.1:9091 did not answer within 10 s"),
            "{silent}"
        );
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
