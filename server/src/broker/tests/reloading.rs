//! The door's material replaced under its sessions.

use runtime::clock::ManualClock;
use shared::time::Timestamp;

use super::*;
use crate::broker::tls::Prepared;

#[tokio::test]
async fn who_is_not_believed_any_more_is_expelled_alone() {
    let rig = rig().await;
    let mut client = rig.connect(HUB).await;
    let mut staying = rig.tls(OTHER, 8).await.unwrap();
    staying.write_all(&hello(OTHER, 60)).await.unwrap();
    assert_eq!(read(&mut staying, 4).await, [0x20, 2, 0, 0]);
    assert_eq!(rig.handle.expel_disbelieved().await, 0);

    // The first certificate is 7, the other's 8.
    rig.tls.replace(Prepared::for_hubs(&rig.authority.material(&[7])).unwrap());
    assert_eq!(rig.handle.expel_disbelieved().await, 1);
    assert_eq!(rest(&mut client).await, b"");
    rig.until(Refusal::Revoked).await;
    staying.write_all(&[0xc0, 0]).await.unwrap();
    assert_eq!(read(&mut staying, 2).await, packet::PINGRESP);
    assert_eq!(rig.handle.expel_disbelieved().await, 0);

    // Of another authority, nobody stays.
    rig.tls.replace(Prepared::for_hubs(&Authority::new().material(&[])).unwrap());
    assert_eq!(rig.handle.expel_disbelieved().await, 1);
    assert_eq!(rest(&mut staying).await, b"");
}

/// The test authority's certificates begin in 1975, the clock is set back to before.
#[tokio::test]
async fn a_wall_clock_set_back_expels_nobody_who_is_not_revoked() {
    let manual = ManualClock::default();
    let mut rig = rig().await;
    rig.handle.clock = Clock::manual(manual.clone());
    let mut client = rig.connect(HUB).await;
    let mut staying = rig.tls(OTHER, 8).await.unwrap();
    staying.write_all(&hello(OTHER, 60)).await.unwrap();
    assert_eq!(read(&mut staying, 4).await, [0x20, 2, 0, 0]);
    manual.set_wall(Timestamp::from_millis(0));
    rig.tls.replace(Prepared::for_hubs(&rig.authority.material(&[])).unwrap());
    assert_eq!(rig.handle.expel_disbelieved().await, 0);
    rig.tls.replace(Prepared::for_hubs(&rig.authority.material(&[7])).unwrap());
    assert_eq!(rig.handle.expel_disbelieved().await, 1);
    assert_eq!(rest(&mut client).await, b"");
    staying.write_all(&[0xc0, 0]).await.unwrap();
    assert_eq!(read(&mut staying, 2).await, packet::PINGRESP);
}

#[tokio::test]
async fn who_shakes_hands_meanwhile_is_looked_at_again() {
    let rig = rig().await;
    let (mut revoked, mut good) = (rig.tls(HUB, 7).await.unwrap(), rig.tls(OTHER, 8).await.unwrap());
    // TLS ends for the client before the door has looked at its certificate; half a CONNECT gives it time.
    let (first, other) = (hello(HUB, 60), hello(OTHER, 60));
    revoked.write_all(&first[..4]).await.unwrap();
    good.write_all(&other[..4]).await.unwrap();
    tokio::time::sleep(Duration::from_millis(300)).await;
    rig.tls.replace(Prepared::for_hubs(&rig.authority.material(&[7])).unwrap());
    assert_eq!(rig.handle.expel_disbelieved().await, 0, "nobody sits yet");
    revoked.write_all(&first[4..]).await.unwrap();
    good.write_all(&other[4..]).await.unwrap();
    assert_eq!(rest(&mut revoked).await, b"");
    rig.until(Refusal::Revoked).await;
    assert_eq!(read(&mut good, 4).await, [0x20, 2, 0, 0]);
}
