//! Floods, and listeners who only count, against the scripted server.

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use crate::scripted::rig::{Rig, plan};
    use crate::scripted::server::Deal;
    use crate::scripted::tests::check_plan;
    use crate::verdict::Fault;

    #[test]
    fn who_only_counts_knows_how_many_are_missing_or_too_many() {
        use Deal::{AndForeign, Announce, Drop, Late, Twice};
        let mut plan = plan();
        plan.count = true;
        // Clients 2 to 4 count, and client 1 reads.
        let each = |deal| [(2, 10, deal), (3, 10, deal), (2, 20, deal), (4, 71, deal)];
        check_plan(plan, &[], &[]);
        check_plan(plan, &each(Drop), &[(Fault::Lost, 4)]);
        check_plan(plan, &each(Twice), &[(Fault::Duplicated, 4)]);
        check_plan(plan, &each(AndForeign), &[(Fault::Duplicated, 4)]);
        check_plan(plan, &each(Announce), &[(Fault::AnnouncedHole, 4)]);
        check_plan(plan, &each(Late), &[]);
        check_plan(plan, &each(Deal::Alter), &[]);
        let reader = [(1, 9, Drop)];
        check_plan(plan, &reader, &[(Fault::Lost, 1), (Fault::SilentHole, 1)]);
    }

    #[test]
    fn a_flood_keeps_windows_full_and_has_no_corrected_latency() {
        let mut plan = plan();
        plan.flood = true;
        plan.window = 3;
        plan.pace.duration = Duration::from_millis(50);
        let (numbers, verdict) = Rig::new(plan, Vec::new()).run().unwrap();
        assert!(verdict.said > 200, "{}", verdict.said);
        assert_eq!(verdict.acknowledged, verdict.said);
        assert_eq!(numbers.deliveries, 4 * verdict.said);
        assert_eq!(numbers.corrected.percentiles().count, 0);
        assert_eq!(numbers.uncorrected.percentiles().count, 4 * verdict.said);
        let verdict = check_plan(
            plan,
            &[(2, 10, Deal::Drop), (3, 99, Deal::Twice)],
            &[
                (Fault::Lost, 1),
                (Fault::SilentHole, 1),
                (Fault::Duplicated, 1),
            ],
        );
        assert_eq!(verdict.acknowledged, verdict.said);
    }
}
