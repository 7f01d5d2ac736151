//! The end of the router's thread, as hubs see it: they do not.

use super::*;

#[tokio::test]
async fn a_router_that_ends_is_started_again_and_sessions_stay() {
    let rig = rig_with(true).await;
    let mut client = rig.connect(HUB).await;
    client.write_all(&write_subscribe(3, &[(&topic::down(HUB), 0)])).await.unwrap();
    assert_eq!(read(&mut client, 5).await, packet::suback(3));
    for number in 0..100_u16 {
        rig.down.send((HUB, number.to_be_bytes().to_vec())).await.unwrap();
        let expected = packet::publish_down(&topic::down(HUB), &number.to_be_bytes()).unwrap();
        assert_eq!(read(&mut client, expected.len()).await, expected);
    }
    assert_eq!(rig.metrics.messages_down_unheard.get(), 0);
}
