//! What holds for every history.

use proptest::prelude::*;
use server::alerts::{AlertChange, Observed};
use server::store::AlertSink;
use shared::metric::Metric;
use shared::reading::{NoReading, Quality, Reading};

use crate::bench::*;

/// A history: gaps in seconds, values, kinds.
fn history() -> impl Strategy<Value = Vec<Observed>> {
    prop::collection::vec((0_i64..90, 80_u8..100, 0_u8..8), 1..60).prop_map(|steps| {
        let mut s = 0;
        let mut all = Vec::new();
        for (gap, value, kind) in steps {
            s += gap;
            let text = value.to_string();
            let reading = match kind {
                0 => reading(Metric::SpO2, &text, Quality::ARTEFACT),
                1 => Reading::none(Metric::SpO2, NoReading::SensorOff, Quality::GOOD),
                2 => reading(Metric::SpO2, "0", Quality::GOOD),
                _ => reading(Metric::SpO2, &text, Quality::GOOD),
            };
            all.push(observed(&reading, s * 1000, Some(0)));
        }
        all
    })
}

fn end_of(history: &[Observed]) -> shared::time::Timestamp {
    history.last().unwrap().taken
}

proptest! {
    #[test]
    fn any_split_into_batches_says_the_same(history in history(), cuts in prop::collection::vec(any::<bool>(), 60)) {
        let end = end_of(&history);
        let mut whole = Bench::new(one_rule(20));
        let mut one = whole.alerts.observed(patient(), &history, end);
        one.extend(whole.alerts.deadlines(end));
        let mut split = Bench::new(one_rule(20));
        let mut many = Vec::new();
        let mut batch = Vec::new();
        for (observed, cut) in history.iter().zip(cuts.iter().cycle()) {
            batch.push(observed.clone());
            if *cut {
                many.extend(split.alerts.observed(patient(), &batch, end));
                split.alerts.commit();
                batch.clear();
            }
        }
        many.extend(split.alerts.observed(patient(), &batch, end));
        many.extend(split.alerts.deadlines(end));
        prop_assert_eq!(one, many);
    }

    #[test]
    fn late_ones_and_repeats_change_nothing(history in history(), picks in prop::collection::vec(any::<prop::sample::Index>(), 0..20)) {
        let end = end_of(&history);
        let mut plain = Bench::new(one_rule(20));
        let mut noisy = Bench::new(one_rule(20));
        for (place, observed) in history.iter().enumerate() {
            plain.events.extend(plain.alerts.observed(patient(), std::slice::from_ref(observed), observed.taken));
            noisy.events.extend(noisy.alerts.observed(patient(), std::slice::from_ref(observed), observed.taken));
            for pick in &picks {
                let mut late = history[pick.index(place + 1)].clone();
                if late.taken == observed.taken { late.history = true; }
                noisy.events.extend(noisy.alerts.observed(patient(), &[late], observed.taken));
            }
        }
        plain.events.extend(plain.alerts.deadlines(end));
        noisy.events.extend(noisy.alerts.deadlines(end));
        prop_assert_eq!(plain.events, noisy.events);
    }

    #[test]
    fn every_breach_alerts_in_time_and_nothing_else_does(history in history()) {
        let end = end_of(&history).after(std::time::Duration::from_secs(60));
        let mut bench = Bench::new(one_rule(0));
        bench.events.extend(bench.alerts.observed(patient(), &history, end));
        bench.events.extend(bench.alerts.deadlines(end));
        // An independent reading of §3: runs of valid breaching observations, ended by a valid one inside.
        let valid = history.iter().filter_map(|o| {
            let usable = matches!(o.usability, shared::plausibility::Usability::Valid { .. });
            Some((o.taken, value(o.outcome).filter(|_| usable)?.decimal))
        });
        let (mut expected, mut run, mut active) = (Vec::new(), None, false);
        for (taken, decimal) in valid {
            if let Some(t0) = run.filter(|t0: &shared::time::Timestamp| !active && taken.since(*t0).as_secs() > 60) {
                expected.push(t0.after(std::time::Duration::from_secs(60)));
                active = true;
            }
            if decimal < 90.into() {
                let t0 = *run.get_or_insert(taken);
                if !active && taken.since(t0).as_secs() >= 60 { expected.push(taken); active = true; }
            } else {
                if !active { run = None; }
                if active && decimal >= 92.into() { active = false; run = None; }
            }
        }
        if let Some(t0) = run.filter(|_| !active) {
            expected.push(t0.after(std::time::Duration::from_secs(60)));
        }
        let raised: Vec<_> = bench.events.iter()
            .filter(|e| e.rule == "limit" && e.change != AlertChange::Returned)
            .map(|e| e.at)
            .collect();
        prop_assert_eq!(raised, expected);
    }
}
