//! What is taken together, and what is said of it at the end.

use super::*;
use crate::broker::limits::UNANSWERED_KIB_MAX;

const KIB: [u8; 1024] = [7; 1024];

impl Rig {
    fn taken(&self) -> u64 {
        self.metrics.batches_arrived.get()
    }
}

#[tokio::test]
async fn what_has_no_room_among_all_waits_in_order_and_is_not_taken() {
    let rig = rig().await;
    rig.shared.unanswered_kib.forget_permits(UNANSWERED_KIB_MAX - 2);
    *rig.server.holds.lock().unwrap() = true;
    let mut first = rig.connect(HUB).await;
    for id in 1..=3 {
        first.write_all(&write_publish(&topic::up(HUB), Some(id), &KIB)).await.unwrap();
    }
    let mut arrivals = rig.server.arrivals.subscribe();
    arrivals.wait_for(|arrivals| arrivals.len() == 2).await.unwrap();
    // It waits for longer than it may be silent.
    let mut other = rig.tls(OTHER, 8).await.unwrap();
    other.write_all(&hello(OTHER, 1)).await.unwrap();
    assert_eq!(read(&mut other, 4).await, [0x20, 2, 0, 0]);
    other.write_all(&write_publish(&topic::up(OTHER), Some(1), &KIB)).await.unwrap();
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!((rig.taken(), rig.server.arrivals.borrow().len()), (2, 2));
    assert_eq!(rig.metrics.refusals(Refusal::Silent.name()), 0);
    // What is answered makes room, and who asked first has it.
    rig.server.release.notify_one();
    assert_eq!(read(&mut first, 4).await, packet::puback(1));
    arrivals.wait_for(|arrivals| arrivals.len() == 3).await.unwrap();
    *rig.server.holds.lock().unwrap() = false;
    rig.server.release.notify_waiters();
    for id in 2..=3 {
        assert_eq!(read(&mut first, 4).await, packet::puback(id));
    }
    assert_eq!(read(&mut other, 4).await, packet::puback(1));
    let hubs: Vec<_> = rig.server.arrivals.borrow().iter().map(|arrival| arrival.hub).collect();
    assert_eq!(hubs, [HUB, HUB, HUB, OTHER]);
    assert_eq!(rig.shared.unanswered_kib.available_permits(), 2);
}

#[tokio::test]
async fn who_goes_while_it_waits_for_room_leaves_its_place_at_once() {
    let rig = rig().await;
    rig.shared.unanswered_kib.forget_permits(UNANSWERED_KIB_MAX - 2);
    *rig.server.holds.lock().unwrap() = true;
    let (mut first, mut waits) = (rig.connect(HUB).await, rig.connect(OTHER).await);
    let mut arrivals = rig.server.arrivals.subscribe();
    first.write_all(&write_publish(&topic::up(HUB), Some(1), &KIB)).await.unwrap();
    arrivals.wait_for(|arrivals| arrivals.len() == 1).await.unwrap();
    for id in 1..=2 {
        waits.write_all(&write_publish(&topic::up(OTHER), Some(id), &KIB)).await.unwrap();
    }
    arrivals.wait_for(|arrivals| arrivals.len() == 2).await.unwrap();
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert_eq!((rig.taken(), rig.shared.unanswered_kib.available_permits()), (2, 0));
    // It goes, and its end waits for the commit of what was taken; what was not has no room meanwhile.
    assert!(rig.handle.disconnect(OTHER));
    tokio::time::sleep(Duration::from_millis(200)).await;
    first.write_all(&write_publish(&topic::up(HUB), Some(2), &KIB)).await.unwrap();
    rig.server.release.notify_one();
    assert_eq!(read(&mut first, 4).await, packet::puback(1));
    let next = arrivals.wait_for(|arrivals| arrivals.len() == 3);
    let next =
        tokio::time::timeout(limits::FAREWELL_MAX / 2, next).await.expect("the room is not lost").unwrap()[2].hub;
    assert_eq!(next, HUB);
    *rig.server.holds.lock().unwrap() = false;
    rig.server.release.notify_waiters();
    assert_eq!(read(&mut first, 4).await, packet::puback(2));
    assert_eq!(rest(&mut waits).await, packet::puback(1));
    assert_eq!((rig.taken(), rig.shared.unanswered_kib.available_permits()), (3, 2));
}

#[tokio::test]
async fn stopping_answers_what_was_taken_and_says_what_is_here_for_the_hub() {
    let mut rig = rig().await;
    let mut client = rig.connect(HUB).await;
    client.write_all(&write_subscribe(3, &[(&topic::down(HUB), 0)])).await.unwrap();
    assert_eq!(read(&mut client, 5).await, packet::suback(3));
    *rig.server.holds.lock().unwrap() = true;
    client.write_all(&write_publish(&topic::up(HUB), Some(5), b"x")).await.unwrap();
    rig.server.arrivals.subscribe().wait_for(|arrivals| arrivals.len() == 1).await.unwrap();
    rig.stop.cancel();
    tokio::time::sleep(Duration::from_millis(50)).await;
    // While it waits for the commit, a receipt comes.
    rig.down.send((HUB, b"receipt".to_vec())).await.unwrap();
    tokio::time::sleep(Duration::from_millis(300)).await;
    rig.server.release.notify_one();
    let mut expected = packet::puback(5).to_vec();
    expected.extend(packet::publish_down(&topic::down(HUB), b"receipt").unwrap());
    assert_eq!(rest(&mut client).await, expected);
    assert!(rig.owner.join_next().await.unwrap().unwrap().is_ok());
}
