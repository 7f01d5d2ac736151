//! The queue against a model: random taking, syncing, sending, losing, crashing, refusing disks and new stores. What
//! was accepted reaches the server exactly once.
#![allow(clippy::arithmetic_side_effects)]

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::Ordering;

use proptest::prelude::*;
use shared::id::BindingId;
use shared::sequence::{Range, Ranges};
use shared::wire::{Entry, LossCause, LossExtent};

use super::Question;
use super::model::{Hub, Server, copy_folder};

#[derive(Debug, Clone, Copy)]
enum Op {
    Take(bool),
    Advance(u64),
    Sync,
    Connect(bool),
    Live(bool),
    Backlog(bool),
    Crash,
    Refuse(bool),
    Restore,
}

fn ops(last: Op) -> impl Strategy<Value = Vec<Op>> {
    let op = prop_oneof![
        6 => any::<bool>().prop_map(Op::Take),
        2 => (0_u64..2_000).prop_map(Op::Advance),
        3 => Just(Op::Sync),
        2 => any::<bool>().prop_map(Op::Connect),
        2 => any::<bool>().prop_map(Op::Live),
        2 => any::<bool>().prop_map(Op::Backlog),
        1 => Just(Op::Crash),
        1 => Just(last),
        1 => Just(Op::Refuse(false)),
    ];
    prop::collection::vec(op, 1..40)
}

fn play(ops: &[Op]) {
    let (mut hub, mut server) = Hub::new();
    for op in ops {
        match *op {
            Op::Take(keep) => hub.take(keep),
            Op::Advance(millis) => hub.advance(millis),
            Op::Sync => hub.sync(),
            Op::Connect(is_connected) => hub.connect(is_connected),
            Op::Live(with_receipt) => {
                if let Ok(lent) = hub.live.try_recv() {
                    hub.deliver(&mut server, lent, with_receipt);
                }
            }
            Op::Backlog(with_receipt) => {
                if let Some(lent) = hub.backlog() {
                    hub.deliver(&mut server, lent, with_receipt);
                }
            }
            Op::Crash => hub.crash(),
            Op::Refuse(on) => hub.switch.0.store(on, Ordering::Relaxed),
            Op::Restore => server.restore(),
        }
    }
    // A record that is still lent and was never received comes back with the connection.
    hub.connect(false);
    hub.take(true);
    hub.drain(&mut server);
    // A restored server is met with the first receipt; then everything held goes again.
    while let Some(lent) = hub.backlog() {
        hub.deliver(&mut server, lent, true);
    }
    let stored: BTreeSet<i64> = server.seen.iter().copied().collect();
    assert_eq!(stored.len(), server.seen.len(), "something is stored twice");
    let missing: Vec<_> = hub.accepted.difference(&stored).collect();
    assert!(missing.is_empty(), "accepted and not stored: {missing:?}");
    assert_eq!(hub.status.borrow().pending_records, 0);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    #[test]
    fn what_is_accepted_is_stored_once_through_crashes_and_restores(ops in ops(Op::Restore)) {
        play(&ops);
    }

    #[test]
    fn what_is_accepted_is_stored_once_though_the_disk_refuses(ops in ops(Op::Refuse(true))) {
        play(&ops);
    }
}

fn entries(server: &Server) -> impl Iterator<Item = &Entry> {
    server.entries.iter().map(|(_, entry)| entry)
}

#[test]
fn a_refused_write_takes_the_next_number_and_the_skipped_one_is_void() {
    let (mut hub, mut server) = Hub::new();
    hub.take(true);
    hub.switch.0.store(true, Ordering::Relaxed);
    hub.take(true);
    assert!(hub.status.borrow().disk_refuses);
    assert_eq!(hub.status.borrow().accepted_observations, 1);
    hub.drain(&mut server);
    assert_eq!(server.seen, [1, 2]);
    let voids: Vec<u64> = entries(&server)
        .filter_map(|entry| if let Entry::Void(range) = entry { Some(range.first().get()) } else { None })
        .collect();
    assert_eq!(voids, [2]);
    let places: Vec<u64> = server.tags.keys().map(|(_, number)| *number).collect();
    assert_eq!(places, [1, 3]);
    assert_eq!(hub.status.borrow().accepted_observations, 2);
    assert_eq!(hub.status.borrow().receipted_observations, 2);
}

#[test]
fn nothing_is_accepted_before_its_sync_and_thinnable_within_a_second() {
    let (mut hub, _server) = Hub::new();
    hub.take(false);
    assert_eq!(hub.status.borrow().accepted_observations, 1, "the first of a minute is for keep");
    hub.take(false);
    hub.advance(250);
    assert_eq!(hub.status.borrow().accepted_observations, 1);
    hub.advance(749);
    assert_eq!(hub.status.borrow().accepted_observations, 1);
    hub.advance(151);
    assert_eq!(hub.status.borrow().accepted_observations, 2);
}

#[test]
fn a_stream_begins_with_its_first_record_and_names_its_predecessor() {
    let (mut hub, mut server) = Hub::new();
    hub.turn();
    assert!(hub.status.borrow().stream.is_none());
    hub.take(true);
    let first = hub.status.borrow().stream.unwrap().0;
    hub.crash();
    assert!(hub.status.borrow().stream.is_none());
    hub.take(true);
    hub.connect(true);
    let mut previous = BTreeMap::new();
    while let Some(lent) = hub.backlog() {
        let opening = lent.run.opening.read().unwrap();
        previous.insert(opening.stream, opening.previous);
        assert_eq!(lent.run.batch.is_some(), opening.stream != first, "an earlier run has no batch key");
        hub.deliver(&mut server, lent, true);
    }
    assert_eq!(previous.len(), 2);
    assert_eq!(previous[&first], None);
    let second = previous.iter().find(|(stream, _)| **stream != first).unwrap().1.unwrap();
    assert_eq!((second.stream, second.last_durable), (first, 1));
    let boots = entries(&server).filter(|entry| matches!(entry, Entry::Boot(_))).count();
    assert_eq!(boots, 2);
}

#[test]
fn a_changed_binding_ends_the_stream_and_old_records_keep_the_old_binding() {
    let (mut hub, mut server) = Hub::new();
    hub.take(false);
    hub.take(false);
    let before = hub.status.borrow().stream.unwrap().0;
    let binding = BindingId::from_bytes([5; 16]);
    hub.settings(binding, 2);
    hub.take(false);
    hub.drain(&mut server);
    assert_ne!(hub.status.borrow().stream.unwrap().0, before);
    assert_eq!(server.bindings[&1], None);
    assert_eq!(server.bindings.values().filter(|bound| **bound == Some(binding)).count(), 1);
}

#[test]
fn a_reading_captured_before_settings_and_taken_after_them_has_the_old_binding() {
    let (mut hub, mut server) = Hub::new();
    let [old, new] = [5, 6].map(|number| BindingId::from_bytes([number; 16]));
    hub.settings(old, 2);
    hub.advance(10);
    // The owner was busy: the settings overtake the reading, which waits in the intake.
    let waiting = hub.taken(true);
    hub.advance(10);
    hub.settings(new, 3);
    hub.owner.take(waiting, hub.clock.now());
    hub.take(true);
    hub.drain(&mut server);
    assert_eq!((server.bindings[&1], server.bindings[&2]), (Some(old), Some(new)));
}

#[test]
fn a_record_is_lent_from_disk_only_once_it_is_synced() {
    let (mut hub, mut server) = Hub::new();
    hub.take(false);
    hub.connect(true);
    let first = hub.backlog().unwrap();
    hub.deliver(&mut server, first, true);
    hub.connect(false);
    hub.take(false);
    hub.advance(250);
    assert_eq!(hub.status.borrow().unlent_records, 0);
    assert!(hub.backlog().is_none());
    hub.advance(900);
    assert_eq!(hub.status.borrow().unlent_records, 1);
    assert!(hub.backlog().is_some());
}

#[test]
fn what_is_sealed_again_after_a_failed_sync_does_not_come_back_with_the_next_start() {
    let (mut hub, mut server) = Hub::new();
    hub.take(false);
    hub.take(false);
    hub.advance(250);
    // The row is written; only the sync fails.
    hub.switch.1.store(true, Ordering::Relaxed);
    hub.owner.sync(hub.clock.now());
    hub.switch.1.store(false, Ordering::Relaxed);
    // Sealed again and durable, and the ledger not told yet what the first generation holds.
    hub.advance(3_000);
    hub.sync();
    hub.crash();
    hub.drain(&mut server);
    assert_eq!(server.seen, [1, 2]);
}

#[test]
fn what_a_disk_refused_and_kept_is_removed_before_it_is_sealed_again() {
    let (mut hub, mut server) = Hub::new();
    // Two records are written, their sync fails, and so does taking them back.
    hub.take(false);
    hub.advance(300);
    hub.take(false);
    hub.advance(300);
    hub.switch.0.store(true, Ordering::Relaxed);
    hub.advance(1_000);
    hub.advance(1_100);
    hub.switch.0.store(false, Ordering::Relaxed);
    // Sealed again, with one more; then the power fails.
    hub.advance(2_100);
    hub.take(true);
    hub.sync();
    hub.crash();
    hub.drain(&mut server);
    assert_eq!(server.seen.iter().copied().collect::<BTreeSet<_>>(), BTreeSet::from([1, 2, 3]));
    assert_eq!(server.seen.len(), 3, "once each: {:?}", server.seen);
}

#[test]
fn a_stream_without_receipts_does_not_keep_the_others_waiting() {
    let (mut hub, mut server) = Hub::new();
    for number in 1..=3 {
        hub.settings(BindingId::from_bytes([number; 16]), number.into());
        hub.take(true);
    }
    hub.sync();
    hub.connect(true);
    let first = hub.backlog().unwrap();
    let stuck = first.run.stream;
    hub.deliver(&mut server, first, false);
    for _ in 0..2 {
        let next = hub.backlog().unwrap();
        assert_ne!(next.run.stream, stuck);
        hub.deliver(&mut server, next, true);
    }
    let again = hub.backlog().unwrap();
    assert_eq!(again.run.stream, stuck);
    // A lost connection says the same of what was lent.
    hub.take(true);
    hub.connect(false);
    let others = hub.backlog().unwrap();
    assert_ne!(others.run.stream, stuck);
    let stuck_again = hub.backlog().unwrap();
    hub.deliver(&mut server, others, true);
    hub.deliver(&mut server, stuck_again, true);
    assert!(hub.owner.given_back.is_empty(), "a receipt ends it");
}

#[test]
fn a_full_queue_gives_up_thinnable_records_first_and_says_so() {
    let (mut hub, mut server) = Hub::new();
    for _ in 0..6 {
        hub.take(false);
        hub.advance(300);
    }
    hub.take(true);
    hub.sync();
    hub.owner.setup.bytes_max = 1;
    hub.owner.make_room(hub.clock.now());
    hub.owner.setup.bytes_max = u64::MAX;
    hub.drain(&mut server);
    let lost: Ranges = entries(&server)
        .filter_map(|entry| match entry {
            Entry::Loss(loss) if loss.cause == LossCause::DiskFull => match &loss.extent {
                LossExtent::Records { range, .. } => Some(*range),
                LossExtent::Frames { .. } => None,
            },
            _ => None,
        })
        .collect();
    assert!(lost.count() > 0, "the loss is recorded");
    let stored: Ranges =
        server.tags.keys().map(|(_, n)| Range::one(shared::sequence::Sequence::new(*n).unwrap())).collect();
    assert!(super::sets::both(&stored, &lost).is_empty());
    let last = hub.status.borrow().stream.unwrap().1;
    assert_eq!(stored.count() + lost.count(), last, "each number is stored or lost with a trace");
}

#[test]
fn a_damaged_generation_is_set_aside_and_the_queue_goes_on() {
    let (mut hub, mut server) = Hub::new();
    hub.take(true);
    hub.owner.shelf.end_head(hub.clock.now());
    hub.sync();
    hub.owner.save_ledger();
    hub.take(true);
    std::fs::write(hub.folder.path().join("gen-1/conf"), b"damage and nothing else").unwrap();
    hub.crash();
    hub.drain(&mut server);
    hub.drain(&mut server);
    assert_eq!(server.seen, [2]);
    let damaged =
        entries(&server).filter(|entry| matches!(entry, Entry::Loss(loss) if loss.cause == LossCause::Damaged)).count();
    assert_eq!(damaged, 1);
    assert_eq!(hub.status.borrow().set_aside, 1);
    let names: Vec<_> = std::fs::read_dir(hub.folder.path()).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert!(names.iter().any(|name| name.to_str().unwrap().starts_with("damaged-1-")));
}

#[test]
fn a_forged_receipt_releases_nothing() {
    let (mut hub, mut server) = Hub::new();
    hub.take(true);
    hub.connect(true);
    let lent = hub.backlog().unwrap();
    let mut receipt = server.take(&lent);
    receipt.mac[0] ^= 1;
    assert!(hub.ask(|reply| Question::Receipt(receipt, reply)).is_none());
    assert_eq!(hub.status.borrow().pending_records, 1);
}

#[test]
fn an_old_receipt_of_a_store_that_was_replaced_releases_nothing() {
    let (mut hub, mut server) = Hub::new();
    hub.take(true);
    hub.connect(true);
    let first = hub.backlog().unwrap();
    let old = server.take(&first);
    assert!(hub.ask(|reply| Question::Receipt(old.clone(), reply)).is_some());
    server.restore();
    hub.take(true);
    hub.sync();
    // The restored server answers for what came since; what it lost is on the hub, and pending again.
    let second = hub.live.try_recv().unwrap();
    hub.deliver(&mut server, second, true);
    assert_eq!(hub.status.borrow().pending_records, 1);
    hub.owner.save_ledger();
    for _ in 0..2 {
        assert!(hub.ask(|reply| Question::Receipt(old.clone(), reply)).is_none());
        assert_eq!(hub.status.borrow().pending_records, 1, "the old receipt is not obeyed");
        hub.crash();
    }
    // A store that was put aside and really answers again is believed: its numbers went on.
    let [first_store, ..] = *server.store.as_bytes();
    server.store = shared::id::StoreId::from_bytes([first_store - 1; 16]);
    hub.drain(&mut server);
    assert_eq!(hub.status.borrow().pending_records, 0);
}

#[test]
fn a_thinning_cut_short_loses_nothing() {
    let (mut hub, mut server) = Hub::new();
    hub.take(true);
    hub.sync();
    let at = |name: &str| hub.folder.path().join(name);
    // Between the two renames: the old folder is out of the way and the thin one has not taken its place.
    copy_folder(&at("gen-1"), &at("gen-1.thin"));
    std::fs::rename(at("gen-1"), at("gen-1.old")).unwrap();
    hub.crash();
    hub.drain(&mut server);
    assert_eq!(server.seen, [1]);
    assert!(!hub.folder.path().join("gen-1.old").exists());
}
