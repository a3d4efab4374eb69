//! What is broken on purpose is no fault of the server's, and nothing may be lost of it.

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use crate::breaks::Kind;
    use crate::numbers::Numbers;
    use crate::scenario::Plan;
    use crate::scripted::rig::{Doing, Rig, plan};
    use crate::scripted::server::Deal;
    use crate::verdict::{Fault, Verdict};

    /// Runs for five seconds; nothing may be wrong. `doings` are in order.
    fn check(plan: Plan, doings: &[(Duration, Doing)]) -> (Numbers, Verdict) {
        let mut rig = Rig::new(plan, Vec::new());
        rig.doings = doings.iter().rev().copied().collect();
        let (numbers, verdict) = rig.run().unwrap();
        for fault in Fault::ALL {
            let tally = verdict.tally(*fault);
            assert_eq!(tally.count, 0, "{fault:?}: {tally:?}");
        }
        assert_eq!(verdict.said, verdict.acknowledged);
        (numbers, verdict)
    }

    fn five_seconds() -> Plan {
        let mut plan = plan();
        plan.pace.duration = Duration::from_secs(5);
        plan
    }

    const fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    fn longest(latency: &crate::latency::Latency) -> f64 {
        latency.percentiles().max
    }

    #[test]
    fn whoever_is_cut_and_comes_back_misses_nothing() {
        let mut plan = five_seconds();
        plan.cut = 2.0;
        let (numbers, verdict) = check(plan, &[]);
        assert!(numbers.cuts > 20, "{}", numbers.cuts);
        assert!(numbers.after_break.percentiles().count > 0);
        assert_eq!(verdict.said, 500);
    }

    #[test]
    fn a_wave_takes_all_at_once_and_brings_them_back() {
        let mut plan = five_seconds();
        plan.waves = 3;
        let (numbers, _) = check(plan, &[]);
        assert_eq!(numbers.cuts, 3 * 5);
        let told = numbers.breaks.told();
        assert_eq!(told.len(), 3);
        for (wave, at) in told.iter().zip([1.25, 2.5, 3.75]) {
            assert_eq!((wave.what, wave.out, wave.back), (Kind::Wave, 5, 5));
            // The room was full after some milliseconds.
            assert!((at..at + 0.1).contains(&wave.at_s), "{}", wave.at_s);
            assert!(wave.last_back_ms < Some(10.0));
        }
    }

    #[test]
    fn what_a_server_does_not_take_because_it_stops_is_said_again_to_the_next() {
        let run = |doings| {
            let mut rig = Rig::new(plan(), vec![(0, 5, Deal::Stop)]);
            rig.doings = doings;
            rig.run().unwrap().1
        };
        let verdict = run(vec![(ms(500), Doing::Lose(0))]);
        assert_eq!((verdict.faults(), verdict.refused.count()), (0, 0));
        assert_eq!((verdict.said, verdict.acknowledged), (100, 100));
        // One that only says so is found out: 48 of the 50 messages of the one are nowhere.
        let verdict = run(Vec::new());
        assert_eq!(verdict.tally(Fault::Unanswered).count, 48);
    }

    #[test]
    fn a_killed_server_is_waited_for_and_what_was_due_meanwhile_is_counted_apart() {
        let (kill, gone) = (Doing::Leave(Kind::Kill), Doing::Gone);
        let doings = [(ms(2000), kill), (ms(2000), gone), (ms(2600), Doing::Up)];
        let (numbers, _) = check(five_seconds(), &doings);
        assert!(
            longest(&numbers.corrected) < 1.0,
            "{}",
            longest(&numbers.corrected)
        );
        assert!(longest(&numbers.after_break) > 600.0);
        let told = &numbers.breaks.told()[0];
        assert_eq!(
            (told.what, told.back, told.up_ms),
            (Kind::Kill, 5, Some(600.0))
        );
        assert!(told.first_back_ms >= told.up_ms && told.last_back_ms >= told.first_back_ms);
        // Nobody waits longer than it takes to try again.
        assert!(told.last_back_ms < Some(1700.0), "{told}");
    }

    #[test]
    fn a_server_that_dies_of_itself_is_blamed_for_it() {
        let doings = [(ms(2000), Doing::Gone), (ms(2600), Doing::Up)];
        let (numbers, _) = check(five_seconds(), &doings);
        assert!(longest(&numbers.corrected) > 600.0);
        assert!(numbers.breaks.told().is_empty());
        assert_eq!(numbers.ended["lost"], 5);
    }

    #[test]
    fn who_comes_into_a_server_that_drains_is_not_back_yet() {
        let drain = Doing::Leave(Kind::Drain);
        // The second is in again before the others are out.
        let doings = [
            (ms(2000), drain),
            (ms(2010), Doing::Lose(1)),
            (ms(3500), Doing::Gone),
            (ms(3600), Doing::Up),
        ];
        let (numbers, _) = check(five_seconds(), &doings);
        let told = &numbers.breaks.told()[0];
        assert_eq!(
            (told.what, told.back, told.up_ms),
            (Kind::Drain, 5, Some(1600.0))
        );
        assert!(told.first_back_ms >= Some(1600.0), "{told}");
        assert!(
            longest(&numbers.corrected) < 1.0,
            "{}",
            longest(&numbers.corrected)
        );
    }

    #[test]
    fn a_slow_reader_has_everything_in_the_end_and_a_histogram_of_its_own() {
        let mut plan = five_seconds();
        plan.slow.share = 0.2;
        // A fifth of what is said.
        plan.slow.rate = 4096;
        plan.slow.turn = ms(500);
        let (numbers, verdict) = check(plan, &[]);
        assert_eq!(verdict.said, 500);
        assert_eq!(numbers.slow.percentiles().count, 500);
        assert_eq!(numbers.corrected.percentiles().count, 3 * 500);
        assert!(
            longest(&numbers.slow) > 1000.0,
            "{}",
            longest(&numbers.slow)
        );
        assert!(
            longest(&numbers.corrected) < 1.0,
            "{}",
            longest(&numbers.corrected)
        );
    }

    #[test]
    fn who_gets_nothing_done_is_in_no_verdict() {
        let mut plan = five_seconds();
        plan.flap = 1.0;
        let (numbers, verdict) = check(plan, &[]);
        assert_eq!(verdict.said, 500);
        assert!(numbers.flaps >= 10, "{}", numbers.flaps);
        assert_eq!(numbers.handshakes, 5);
    }

    #[test]
    fn everything_at_once_loses_nothing() {
        let mut plan = five_seconds();
        (plan.cut, plan.waves, plan.flap, plan.slow.share) = (1.0, 1, 1.0, 0.2);
        let doings = [
            (ms(1000), Doing::Leave(Kind::Kill)),
            (ms(1000), Doing::Gone),
            (ms(1100), Doing::Up),
            (ms(3000), Doing::Leave(Kind::Drain)),
            (ms(3100), Doing::Gone),
            (ms(3200), Doing::Up),
        ];
        let (numbers, verdict) = check(plan, &doings);
        assert_eq!(verdict.said, 500);
        assert_eq!(numbers.breaks.told().len(), 3);
    }

    #[test]
    fn who_is_stopped_judges_what_was_said_until_then() {
        let (numbers, verdict) = check(five_seconds(), &[(ms(2000), Doing::Stop)]);
        assert!(numbers.interrupted);
        assert!((195..=200).contains(&verdict.said), "{}", verdict.said);
        let mut rig = Rig::new(five_seconds(), Vec::new());
        rig.doings = vec![(Duration::ZERO, Doing::Stop)];
        let failure = rig.run().unwrap_err().to_string();
        assert_eq!(failure, "interrupted before anybody talked");
    }
}
