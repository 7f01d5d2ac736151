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

/// What is for hubs is cumulative receipts for the most part: all of them must come, in order, whenever the thread ends.
#[tokio::test]
async fn what_is_for_hubs_comes_whenever_the_router_ends() {
    let rig = rig().await;
    let hubs = [1, 2, 3, 4].map(|octet| HubId::from_bytes([octet; 16]));
    let mut clients = Vec::new();
    for hub in hubs {
        let mut client = rig.connect(hub).await;
        client.write_all(&write_subscribe(3, &[(&topic::down(hub), 0)])).await.unwrap();
        assert_eq!(read(&mut client, 5).await, packet::suback(3));
        clients.push(client);
    }
    let ends = limits::ROUTER_RESTARTS_MAX;
    // No more than a mailbox holds, since nobody reads yet: before, between and behind the ends.
    let strides = u8::try_from(ends + 1).unwrap();
    let stride = u8::try_from(limits::HUB_MESSAGES_MAX).unwrap() / strides;
    for number in 0..strides {
        for message in 0..stride {
            for hub in hubs {
                rig.down.send((hub, vec![number, message])).await.unwrap();
            }
            // The last messages before an end are on their way through the thread that ends.
            if message + 1 == stride && usize::from(number) < ends {
                rig.down.send((HUB, super::super::router::BREAK.to_vec())).await.unwrap();
            }
        }
    }
    for (hub, client) in hubs.into_iter().zip(&mut clients) {
        for number in 0..strides {
            for message in 0..stride {
                let expected = packet::publish_down(&topic::down(hub), &[number, message]).unwrap();
                assert_eq!(read(client, expected.len()).await, expected, "{number} {message}");
            }
        }
        client.write_all(&[0xc0, 0]).await.unwrap();
        assert_eq!(read(client, 2).await, packet::PINGRESP, "nothing came twice, and the session stayed");
    }
    assert!(rig.metrics.router_restarts.get() >= 1);
    assert_eq!(rig.metrics.messages_down_unheard.get(), 0);
    assert_eq!(rig.owner.len(), 1, "the door goes on");
}

#[tokio::test]
async fn a_router_that_ends_again_and_again_ends_the_door() {
    let mut rig = rig().await;
    let mut client = rig.connect(HUB).await;
    client.write_all(&write_subscribe(3, &[(&topic::down(HUB), 0)])).await.unwrap();
    assert_eq!(read(&mut client, 5).await, packet::suback(3));
    for end in 0..=limits::ROUTER_RESTARTS_MAX {
        rig.down.send((HUB, super::super::router::BREAK.to_vec())).await.unwrap();
        if end < limits::ROUTER_RESTARTS_MAX {
            let seen = async {
                while rig.metrics.router_restarts.get() <= u64::try_from(end).unwrap() {
                    tokio::time::sleep(Duration::from_millis(5)).await;
                }
            };
            tokio::time::timeout(Duration::from_secs(10), seen).await.expect("it is started again");
        }
    }
    let ended = tokio::time::timeout(Duration::from_secs(10), rig.owner.join_next()).await.expect("the door ends");
    assert!(ended.unwrap().unwrap().is_err(), "the service manager starts it again");
}
