#![allow(clippy::arithmetic_side_effects)]

use std::sync::Arc;

use super::*;
use crate::queue::Run;
use shared::id::StoreId;
use shared::sequence::{Range, Sequence};
use shared::time::Timestamp;
use shared::wire::{Receipt, SealedRecord, SignedOpening, from_bytes};

const HUB: HubId = HubId::from_bytes([1; 16]);

fn run(stream: u8) -> Arc<Run> {
    let opening = SignedOpening { body: vec![stream], signature: vec![1] };
    Arc::new(Run { stream: StreamId::from_bytes([stream; 16]), opening, batch: None })
}

fn lent(stream: u8, numbers: std::ops::RangeInclusive<u64>) -> Lent {
    let record =
        |n| SealedRecord { sequence: Sequence::new(n).unwrap(), keep: false, nonce: [0; 4], sealed: vec![0; 40] };
    Lent { run: run(stream), records: numbers.map(record).collect() }
}

fn receipt(stream: u8, last: u64, is_new_store: bool) -> Input {
    let range = Range::new(Sequence::FIRST, Sequence::new(last).unwrap()).unwrap();
    let receipt = Receipt {
        store: StoreId::from_bytes([9; 16]),
        number: 1,
        hub: HUB,
        stream: StreamId::from_bytes([stream; 16]),
        known: true,
        stored: vec![range].into(),
        quarantined: Vec::new(),
        safe: 0,
        server_time: Timestamp::from_millis(0),
    };
    Input::Receipt(Obeyed { receipt, is_new_store })
}

fn at(millis: u64) -> Tick {
    Tick::from_millis(millis)
}

fn commands(session: &mut Session) -> Vec<Command> {
    std::iter::from_fn(|| session.next_command()).collect()
}

fn batches(session: &mut Session) -> Vec<shared::wire::WireBatch> {
    let published = commands(session).into_iter().filter_map(|command| match command {
        Command::Publish(bytes) => Some(bytes),
        _ => None,
    });
    published
        .map(|bytes| {
            let UpMessage::BatchV1(batch) = from_bytes(&bytes).unwrap();
            batch
        })
        .collect()
}

/// A session that is up and has been told that there is no backlog.
fn up() -> Session {
    let mut session = Session::new(HUB, 7, at(0));
    session.handle_deadline(at(0));
    assert_eq!(commands(&mut session), [Command::Connect]);
    session.handle(Input::Connected, at(10));
    assert_eq!(commands(&mut session), [Command::TellQueue(true), Command::AskBacklog]);
    session.handle(Input::Backlog(None), at(10));
    session
}

#[test]
fn the_opening_travels_until_a_receipt_says_known_and_again_when_wanted() {
    let mut session = up();
    session.handle(Input::Live(lent(2, 1..=1)), at(20));
    assert!(batches(&mut session)[0].opening.is_some());
    session.handle(Input::Live(lent(2, 2..=2)), at(21));
    assert!(batches(&mut session)[0].opening.is_some());
    session.handle(receipt(2, 2, false), at(30));
    session.handle(Input::Live(lent(2, 3..=3)), at(31));
    assert!(batches(&mut session)[0].opening.is_none());
    let stream = StreamId::from_bytes([2; 16]);
    session.handle(Input::OpeningWanted(stream), at(32));
    let given_back = commands(&mut session);
    assert!(matches!(&given_back[..], [Command::GiveBack(of, _), Command::AskBacklog] if *of == stream));
    session.handle(Input::Backlog(Some(lent(2, 3..=3))), at(33));
    assert!(batches(&mut session)[0].opening.is_some());
    session.handle(Input::OpeningWanted(stream), at(34));
    assert!(!commands(&mut session).iter().any(|command| matches!(command, Command::GiveBack(..))), "said once only");
}

#[test]
fn flight_is_bounded_and_live_goes_before_backlog() {
    let mut session = up();
    for number in 1..=limits::FLIGHT_MAX as u64 + 5 {
        session.handle(Input::Live(lent(2, number..=number)), at(20));
    }
    assert_eq!(batches(&mut session).len(), limits::FLIGHT_MAX);
    session.handle(Input::BacklogWaiting, at(21));
    assert!(commands(&mut session).is_empty(), "no room");
    session.handle(receipt(2, 3, false), at(22));
    let sent = batches(&mut session);
    assert_eq!(sent.len(), 1, "what waited goes together");
    assert_eq!(sent[0].read().unwrap().records.len(), 5);
}

#[test]
fn backlog_leaves_room_for_live() {
    let mut session = up();
    session.handle(Input::BacklogWaiting, at(20));
    let mut asked = 0;
    while commands(&mut session).contains(&Command::AskBacklog) {
        asked += 1;
        session.handle(Input::Backlog(Some(lent(3, asked..=asked))), at(20));
    }
    assert_eq!(asked as usize, limits::BACKLOG_FLIGHT_MAX);
    session.handle(Input::Live(lent(2, 1..=1)), at(21));
    assert_eq!(batches(&mut session).len(), 1);
}

#[test]
fn an_unanswered_batch_is_given_back_and_a_stall_rebuilds_the_client() {
    let mut session = up();
    session.handle(Input::Live(lent(2, 1..=2)), at(1_000));
    let _ = commands(&mut session);
    session.handle_deadline(at(10_999));
    assert!(commands(&mut session).is_empty());
    assert_eq!(session.next_deadline().unwrap().0, at(11_000));
    session.handle_deadline(at(11_000));
    assert!(matches!(&commands(&mut session)[..], [Command::GiveBack(..), Command::AskBacklog]));
    session.handle(Input::Backlog(Some(lent(2, 1..=2))), at(11_001));
    assert_eq!(batches(&mut session).len(), 1);
    session.handle_deadline(at(30_999));
    let _ = commands(&mut session);
    session.handle_deadline(at(31_000));
    assert_eq!(commands(&mut session), [Command::CloseClient, Command::TellQueue(false)]);
    assert!(matches!(session.state(), State::Down { .. }));
    assert_eq!((session.counts().stalls, session.counts().unanswered_batches), (1, 2));
}

#[test]
fn the_wait_grows_to_its_limit_with_jitter_and_a_receipt_resets_it() {
    let mut session = Session::new(HUB, 7, at(0));
    let mut now = at(0);
    let mut waits = Vec::new();
    for _ in 0..40 {
        session.handle_deadline(now);
        assert!(commands(&mut session).contains(&Command::Connect));
        session.handle(Input::Lost, now);
        let State::Down { until } = session.state() else { panic!("not down") };
        waits.push(until.since(now));
        now = until;
    }
    assert!(waits[0] <= limits::BACK_OFF_FIRST);
    assert!(waits.iter().all(|wait| *wait <= limits::BACK_OFF_MAX));
    assert!(waits.iter().any(|wait| *wait > limits::BACK_OFF_MAX / 4));
    let different: BTreeSet<_> = waits.iter().collect();
    assert!(different.len() > 20, "jitter");
    session.handle_deadline(now);
    session.handle(Input::Connected, now);
    session.handle(Input::Live(lent(2, 1..=1)), now);
    session.handle(receipt(2, 1, false), now);
    session.handle(Input::Lost, now);
    let State::Down { until } = session.state() else { panic!("not down") };
    assert!(until.since(now) <= limits::BACK_OFF_FIRST);
}

#[test]
fn another_store_makes_openings_travel_and_the_backlog_go_again() {
    let mut session = up();
    session.handle(Input::Live(lent(2, 1..=1)), at(20));
    session.handle(receipt(2, 1, false), at(21));
    let _ = commands(&mut session);
    session.handle(receipt(2, 1, true), at(22));
    assert_eq!(commands(&mut session), [Command::AskBacklog]);
}

#[test]
fn what_comes_while_down_is_given_back() {
    let mut session = up();
    session.handle(Input::Lost, at(20));
    let _ = commands(&mut session);
    session.handle(Input::Live(lent(2, 1..=1)), at(21));
    session.handle(Input::Backlog(Some(lent(2, 2..=2))), at(21));
    let given_back = commands(&mut session);
    assert_eq!(given_back.len(), 2);
    assert!(given_back.iter().all(|command| matches!(command, Command::GiveBack(..))));
}

#[test]
fn a_client_without_room_is_rebuilt() {
    let mut session = up();
    session.handle(Input::Live(lent(2, 1..=1)), at(20));
    let _ = commands(&mut session);
    session.handle(Input::Refused, at(21));
    assert_eq!(commands(&mut session), [Command::CloseClient, Command::TellQueue(false)]);
    session.handle(Input::Refused, at(22));
    assert!(commands(&mut session).is_empty());
}

#[test]
fn openings_are_paced_and_the_living_stream_does_not_wait() {
    let mut session = up();
    session.handle(Input::BacklogWaiting, at(1_000));
    let mut introduced = 0;
    for stream in 10..40 {
        if !commands(&mut session).contains(&Command::AskBacklog) {
            break;
        }
        session.handle(Input::Backlog(Some(lent(stream, 1..=1))), at(1_000));
        let sent = commands(&mut session);
        introduced += sent.iter().filter(|command| matches!(command, Command::Publish(_))).count();
        session.handle(receipt(stream, 1, false), at(1_000));
        if sent.iter().any(|command| matches!(command, Command::GiveBack(..))) {
            break;
        }
        session.handle(Input::BacklogWaiting, at(1_000));
        if sent.contains(&Command::AskBacklog) {
            session.commands.push_back(Command::AskBacklog);
        }
    }
    assert_eq!(introduced, limits::OPENINGS_MAX);
    let _ = commands(&mut session);
    assert_eq!(session.next_deadline().unwrap().0, at(61_000));
    session.handle(Input::Live(lent(2, 1..=1)), at(2_000));
    assert_eq!(batches(&mut session).len(), 1);
    session.handle(receipt(2, 1, false), at(2_001));
    session.handle_deadline(at(61_000));
    assert_eq!(commands(&mut session), [Command::AskBacklog]);
}
