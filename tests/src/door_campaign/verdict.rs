//! What a campaign must find. Pure.

use std::time::Duration;

use super::honest::RECEIPT_WITHIN;
use super::report::Report;

/// How many times longer receipts may take while all attack.
pub const RATIO_MAX: f64 = 2.0;
/// What the p99 before counts as at least: on an idle machine it is a few milliseconds, and twice that says nothing.
pub const FLOOR: Duration = Duration::from_millis(50);
/// Latencies that a p99 needs.
pub const SAMPLES_MIN: usize = 100;
/// Reasons that are a fault of the server's, whatever was sent.
const FAULTS: [&str; 5] = ["broken_off", "router_lost", "store_silent", "intake_unavailable", "stopping"];
/// Connections that wait too long for their turn, or find their address or the door full, come to no TLS that could be
/// refused.
const NEVER_SHOOK_HANDS: [&str; 3] = ["handshakes_full", "address_full", "strangers_full"];

/// What was wrong.
#[must_use]
pub fn failures(report: &Report) -> Vec<String> {
    let mut wrong = Vec::new();
    let counts = &report.counts;
    if report.done() != report.plan.cases {
        wrong.push(format!("{} of {} cases were done", report.done(), report.plan.cases));
    }
    if counts.accepted != report.opened {
        wrong.push(format!("{} connections were opened and {} accepted", report.opened, counts.accepted));
    }
    if !counts.is_accounted_for() || counts.connections != 0 {
        let (refused, left, here) = (counts.refused(), counts.left, counts.connections);
        wrong.push(format!("of {} accepted, {refused} were refused, {left} left, {here} are here", counts.accepted));
    }
    for reason in FAULTS.iter().filter(|reason| counts.of(reason) > 0) {
        wrong.push(format!("{} connections ended as `{reason}`", counts.of(reason)));
    }
    wrong.extend(reasons(report));
    wrong.extend(stored(report));
    wrong.extend(receipts(report));
    wrong
}

/// Every refusal that was asked for is counted under its own reason.
fn reasons(report: &Report) -> Vec<String> {
    let mut excused: u64 = NEVER_SHOOK_HANDS.iter().map(|reason| report.counts.of(reason)).sum();
    let mut wrong = Vec::new();
    for (reason, expected) in &report.expected {
        let missing = expected.saturating_sub(report.counts.of(reason));
        if missing == 0 {
            continue;
        }
        if reason.starts_with("tls") && missing <= excused {
            excused -= missing;
        } else {
            wrong.push(format!("`{reason}` was counted {} times, not {expected}", report.counts.of(reason)));
        }
    }
    wrong
}

/// What is stored is what honest hubs sent and what hostile hubs had of their own, once.
fn stored(report: &Report) -> Vec<String> {
    let expected = report.batches + report.originals;
    let stored = report.stored;
    let mut wrong = Vec::new();
    if (stored.records, stored.observations) != (expected, expected) {
        let (records, observations) = (stored.records, stored.observations);
        wrong.push(format!("{records} records and {observations} observations are stored, not {expected} of each"));
    }
    if stored.duplicates > 0 {
        wrong.push(format!("{} observations are stored more than once", stored.duplicates));
    }
    wrong
}

fn receipts(report: &Report) -> Vec<String> {
    let mut wrong = Vec::new();
    for (when, latencies) in [("before", report.before), ("during", report.during)] {
        if latencies.samples < SAMPLES_MIN {
            wrong.push(format!("only {} receipts were timed {when} the attack", latencies.samples));
        }
        if latencies.max > RECEIPT_WITHIN {
            wrong.push(format!("a receipt took {} s {when} the attack", latencies.max.as_secs()));
        }
    }
    if report.ratio() > RATIO_MAX {
        wrong.push(format!("receipts took {:.2} times as long (p99); at most {RATIO_MAX} is allowed", report.ratio()));
    }
    wrong
}

#[cfg(test)]
mod tests {
    use super::super::Plan;
    use super::super::report::{Percentiles, Stored};
    use super::*;
    use crate::door_counts::DoorCounts;

    fn good() -> Report {
        let latency = |millis| Percentiles {
            samples: 120,
            p50: Duration::from_millis(millis / 2),
            p99: Duration::from_millis(millis),
            max: Duration::from_millis(millis * 2),
        };
        let refusals = [("tls".to_owned(), 6), ("packet".to_owned(), 2)].into();
        Report {
            plan: Plan { cases: 10, seed: 1 },
            cases: [("Octets".to_owned(), 10)].into(),
            took: Duration::from_secs(1),
            opened: 10,
            expected: [("tls".to_owned(), 6), ("packet".to_owned(), 1)].into(),
            counts: DoorCounts { refusals, accepted: 10, left: 2, ..DoorCounts::default() },
            before: latency(40),
            during: latency(100),
            batches: 300,
            originals: 20,
            stored: Stored { records: 320, observations: 320, duplicates: 0, quarantined: 3 },
            rss_before_kib: 1,
            rss_after_kib: 1,
            failures: Vec::new(),
        }
    }

    #[test]
    fn a_door_that_held_passes() {
        assert_eq!(failures(&good()), Vec::<String>::new());
        // 100 ms is twice the floor, although more than twice 40 ms.
        assert!((good().ratio() - 2.0).abs() < 1e-9);
    }

    #[test]
    fn each_thing_that_must_not_be_is_found() {
        let changes: [fn(&mut Report); 12] = [
            |r| r.plan.cases = 11,
            |r| r.opened = 11,
            |r| r.counts.left = 1,
            |r| r.counts.connections = 1,
            |r| r.counts.refusals.extend([("broken_off".into(), 1)]),
            |r| r.expected.extend([("will".into(), 1)]),
            |r| r.expected.extend([("tls".into(), 7)]),
            |r| r.stored.records += 1,
            |r| r.stored.duplicates = 1,
            |r| r.before.samples = 99,
            |r| r.during.p99 += Duration::from_millis(5),
            |r| r.during.max = Duration::from_millis(10_001),
        ];
        for (number, change) in changes.iter().enumerate() {
            let mut report = good();
            change(&mut report);
            assert!(!failures(&report).is_empty(), "change {number} went unseen");
        }
    }

    #[test]
    fn who_never_shook_hands_was_not_refused_in_tls() {
        let mut report = good();
        report.expected.insert("tls".into(), 7);
        report.counts.refusals.insert("handshakes_full".into(), 1);
        report.counts.left = 1;
        assert_eq!(failures(&report), Vec::<String>::new());
    }
}
