//! Batches: repeats, conflicts, savepoints, clones.

use shared::wire::{Entry, PreviousStream, QuarantineReason};

use super::*;

fn one(world: &World, number: u64, tag: u8, tick: u64) -> OpenedRecord {
    record(number, tag, vec![Entry::Observation(world.observation(tick, 97))])
}

#[test]
fn repeats_are_stored_once() {
    let mut world = World::new();
    let send = batch(vec![one(&world, 1, 1, 49_000), one(&world, 2, 2, 49_500)]);
    let first = world.take(send.clone()).batches.remove(0).unwrap();
    assert_eq!((first.observations, first.repeats, first.known), (2, 0, true));
    let mut world = world.crash();
    let second = world.take(OpenedBatch { new_stream: None, ..send }).batches.remove(0).unwrap();
    assert_eq!((second.observations, second.repeats, &second.stored), (0, 2, &ranges(&[(1, 2)])));
    let counts = world.counts();
    assert_eq!((counts.observations, counts.duplicates, counts.records), (2, 0, 2));
}

#[test]
fn counting_would_show_a_duplicate() {
    let mut world = World::new();
    world.take(batch(vec![one(&world, 1, 1, 49_000)]));
    let copy = "INSERT INTO observation (stream, sequence, position, device, metric, quality, usability, captured_tick,
        captured_wall, captured_clock, taken, late, history, arrived) SELECT stream, sequence, position, device, metric,
        quality, usability, captured_tick, captured_wall, captured_clock, taken, late, history, arrived FROM observation";
    world.store.conn.execute_batch(copy).unwrap();
    assert_eq!(world.counts().duplicates, 1);
}

#[test]
fn gaps_fill_and_ranges_survive() {
    let mut world = World::new();
    for numbers in [[5, 6], [1, 2], [9, 10]] {
        let records = numbers.map(|number| one(&world, number, 1, 49_000)).to_vec();
        world.take(batch(records));
    }
    let mut world = world.crash();
    let records = [3, 4].map(|number| one(&world, number, 1, 49_000)).to_vec();
    let outcome = world.take(batch(records)).batches.remove(0).unwrap();
    assert_eq!(outcome.stored, ranges(&[(1, 6), (9, 10)]));
    assert_eq!(world.number("SELECT count(*) FROM stream_range"), 2);
}

#[test]
fn what_a_batch_brought_is_said_stored_however_many_ranges_lie_below() {
    let mut world = World::new();
    let apart = (1..=600).map(|n| record(n * 2, 1, Vec::new())).collect();
    world.take(batch(apart));
    let outcome = world.take(batch(vec![record(1_301, 1, Vec::new()), record(1_200, 1, Vec::new())]));
    let stored = &outcome.batches[0].as_ref().unwrap().stored;
    assert!(
        [2, 4, 1_000, 1_200, 1_301]
            .map(|n| stored.contains(sequence(n)))
            .into_iter()
            .eq([true, true, true, true, true])
    );
    assert_eq!(stored.range_count(), shared::wire::RANGES_MAX);
}

#[test]
fn another_tag_is_a_conflict_kept_and_never_called_stored() {
    let mut world = World::new();
    world.take(batch(vec![one(&world, 1, 1, 49_000), one(&world, 2, 2, 49_000), one(&world, 3, 3, 49_000)]));
    let outcome = world.take(batch(vec![one(&world, 2, 99, 49_000)])).batches.remove(0).unwrap();
    assert_eq!(outcome.quarantined.len(), 1);
    assert_eq!(outcome.quarantined[0].reason, QuarantineReason::Conflict);
    assert_eq!(outcome.stored, ranges(&[(1, 1), (3, 3)]));
    let counts = world.counts();
    assert_eq!((counts.observations, counts.quarantined), (3, 1));
    // The bytes are kept once, however often they come.
    world.take(batch(vec![one(&world, 2, 99, 49_000)]));
    assert_eq!(world.counts().quarantined, 1);
    let raw: Vec<u8> = world.store.conn.query_row("SELECT raw FROM quarantine", [], |row| row.get(0)).unwrap();
    assert_eq!(raw, vec![99; 40]);
}

#[test]
fn what_does_not_open_is_quarantined_and_can_come_later() {
    let mut world = World::new();
    let outcome = world.take(batch(vec![closed(1, 1, QuarantineReason::SealingKeyRetired), one(&world, 2, 2, 49_000)]));
    let outcome = outcome.batches[0].as_ref().unwrap();
    assert_eq!(outcome.stored, ranges(&[(2, 2)]));
    assert_eq!(outcome.quarantined[0].reason, QuarantineReason::SealingKeyRetired);
    let later = world.take(batch(vec![one(&world, 1, 1, 49_000)])).batches.remove(0).unwrap();
    assert_eq!(later.stored, ranges(&[(1, 2)]));
}

#[test]
fn a_bad_batch_is_rolled_back_alone() {
    let mut world = World::new();
    let mut too_long = world.observation(49_900, 80);
    too_long.from_memory =
        Some(shared::observation::DeviceRecordId { identity: "x".repeat(65), record: 1, time: None, digest: [0; 16] });
    let bad = batch(vec![one(&world, 2, 2, 49_900), record(3, 3, vec![Entry::Observation(too_long)])]);
    let group = [batch(vec![one(&world, 1, 1, 49_000)]), bad, batch(vec![one(&world, 4, 4, 49_100)])];
    let committed = world.store.take(&group, &mut world.alerts, at(100_000)).unwrap();
    assert!(committed.batches[0].is_ok() && committed.batches[2].is_ok());
    assert!(matches!(committed.batches[1], Err(StoreError::OverLimit(_))));
    assert_eq!(committed.batches[2].as_ref().unwrap().stored, ranges(&[(1, 1), (4, 4)]));
    // The engine never saw the bad one, and what it captured does not make the others late.
    let seen: usize = world.alerts.told.iter().map(|(_, observed)| observed.len()).sum();
    assert_eq!(seen, 2);
    assert_eq!(world.number("SELECT count(*) FROM observation WHERE late = 1"), 0);
    assert_eq!((world.alerts.rolled_back, world.counts().observations), (0, 2));
    let verdict = world.store.audit_verify(&allow(Action::AuditVerify), at(1)).unwrap();
    assert_eq!(verdict.first_broken, None);
}

#[test]
fn a_failing_transaction_keeps_nothing_and_tells_the_engine() {
    let mut world = World::new();
    world.take(batch(vec![one(&world, 1, 1, 49_000)]));
    let committed = world.alerts.committed;
    world.store.conn.execute_batch("PRAGMA query_only = ON").unwrap();
    let group = [batch(vec![one(&world, 2, 2, 49_100)])];
    assert!(world.store.take(&group, &mut world.alerts, at(100_000)).is_err());
    assert_eq!((world.alerts.committed, world.alerts.rolled_back), (committed, 1));
    world.store.conn.execute_batch("PRAGMA query_only = OFF").unwrap();
    assert_eq!(world.counts().observations, 1);
    let outcome = world.take(batch(vec![one(&world, 2, 2, 49_100)])).batches.remove(0).unwrap();
    assert_eq!((outcome.observations, outcome.repeats), (1, 0));
}

#[test]
fn an_opening_far_behind_what_is_held_is_noticed_and_a_power_cut_is_not() {
    let mut world = World::new();
    let held = crate::limits::HELD_AHEAD_MAX + 2;
    world.take(batch(vec![one(&world, 1, 1, 49_000), one(&world, held, 2, 49_000)]));
    for (id, last_durable, findings) in [(0xB2, held, 0), (0xB3, 2, 0), (0xB4, 1, 1)] {
        let stream = StreamId::from_bytes([id; 16]);
        let previous = Some(PreviousStream { stream: STREAM, last_durable });
        let new_stream = Some(opening(stream, 1, previous));
        world.take(OpenedBatch { stream, new_stream, ..batch(vec![one(&world, 1, 1, 49_000)]) });
        let sql = "SELECT count(*) FROM technical_entry WHERE kind = 'restored_or_cloned_hub'";
        assert_eq!(world.number(sql), findings);
    }
}

#[test]
fn two_boots_that_advance_at_once_are_two_hubs() {
    let mut world = World::new();
    world.take(batch(vec![one(&world, 1, 1, 49_000)]));
    let stream = StreamId::from_bytes([0xB2; 16]);
    let other = |records| OpenedBatch { stream, new_stream: Some(opening(stream, 2, None)), ..batch(records) };
    world.take(other(vec![one(&world, 1, 1, 49_000)]));
    // A late repeat of the first is none; nor is its backlog, without a MAC.
    assert!(world.take(batch(vec![one(&world, 1, 1, 49_000)])).batches[0].as_ref().unwrap().quarantined.is_empty());
    let backlog = OpenedBatch { sent: None, ..batch(vec![one(&world, 2, 2, 49_000)]) };
    assert!(world.take(backlog).batches[0].as_ref().unwrap().quarantined.is_empty());
    let outcome = world.take(batch(vec![one(&world, 3, 3, 49_000)])).batches.remove(0).unwrap();
    assert_eq!(outcome.quarantined[0].reason, QuarantineReason::ClonedHub);
    let mut world = world.crash();
    let outcome = world.take(batch(vec![one(&world, 4, 4, 49_000)])).batches.remove(0).unwrap();
    assert_eq!(outcome.quarantined[0].reason, QuarantineReason::ClonedHub);
    assert_eq!(world.counts().observations, 3);
}

#[test]
fn a_void_record_that_comes_all_the_same_is_a_repeat() {
    let mut world = World::new();
    let void = |first, last| Entry::Void(Range::new(sequence(first), sequence(last)).unwrap());
    world.take(batch(vec![record(3, 3, vec![void(1, 2)]), one(&world, 4, 4, 49_000)]));
    // One in a later batch, one in the batch that says so, and one that is not void.
    world.take(batch(vec![one(&world, 2, 2, 49_000)]));
    let send = batch(vec![one(&world, 6, 6, 49_000), one(&world, 7, 7, 49_000), record(8, 8, vec![void(6, 6)])]);
    let outcome = world.take(send).batches.remove(0).unwrap();
    assert_eq!((outcome.observations, outcome.repeats, outcome.stored), (1, 1, ranges(&[(2, 4), (6, 8)])));
    assert_eq!(world.counts().observations, 2);
    let again = world.crash().take(batch(vec![record(6, 6, Vec::new())])).batches.remove(0).unwrap();
    assert_eq!((again.repeats, again.quarantined.len()), (1, 0));
}
