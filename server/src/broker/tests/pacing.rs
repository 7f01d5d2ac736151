//! What a hub gains by connecting again: nothing.

use super::*;
use crate::broker::limits::{BURST, MESSAGES_PER_S_MAX};

/// Sends pings without pause, and counts those that are answered in half a second.
async fn pings_answered(client: &mut Client) -> u64 {
    client.write_all(&[0xc0, 0].repeat(1_000)).await.unwrap();
    client.flush().await.unwrap();
    let mut count = 0;
    let reading = async {
        while client.read_exact(&mut [0; 2]).await.is_ok() {
            count += 1;
        }
    };
    let _ = tokio::time::timeout(Duration::from_millis(500), reading).await;
    count
}

#[tokio::test]
async fn a_hub_that_connects_again_has_no_new_burst() {
    let rig = rig().await;
    let mut client = rig.connect(HUB).await;
    let burst = MESSAGES_PER_S_MAX * BURST.as_secs();
    let first = pings_answered(&mut client).await;
    assert!(first >= burst, "only {first} were answered at once");
    for _ in 0..3 {
        drop(client);
        client = rig.connect(HUB).await;
        let further = pings_answered(&mut client).await;
        // Half a second's, and what was regained while it connected.
        assert!(further < burst / 2, "{further} more were answered at once");
    }
    // Others have theirs.
    let mut other = rig.connect(OTHER).await;
    assert!(pings_answered(&mut other).await >= burst);
}

#[tokio::test]
async fn a_hub_that_connects_too_often_is_told_so_and_the_store_is_not_asked() {
    let rig = rig().await;
    let now = Clock::system().tick();
    // All of this minute's, and some of the next one's so that time in between does not matter.
    let ahead = now.after(Duration::from_secs(20));
    while rig.handle.roster.connect(HUB, ahead).is_ok() {}
    rig.server.refuses.lock().unwrap().push(HUB);
    let mut client = rig.tls(HUB, 7).await.unwrap();
    client.write_all(&hello(HUB, 60)).await.unwrap();
    assert_eq!(rest(&mut client).await, packet::connack(packet::ConnectAnswer::Unavailable));
    rig.until(Refusal::ConnectsTooFast).await;
    assert_eq!(rig.metrics.refusals(Refusal::NotAdmitted.name()), 0);
    rig.connect(OTHER).await;
}
