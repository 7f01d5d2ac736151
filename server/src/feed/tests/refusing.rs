//! What people are told while the store refuses.

use super::*;
use crate::web::error::Problem;

#[tokio::test]
async fn people_are_told_while_the_store_refuses_and_when_it_commits_again() {
    let rig = rig().await;
    let mut watcher = rig.watch(None).await;
    watcher.expect("snapshot").await;
    rig.refusal.send_replace(true);
    let said = watcher.expect("store_refuses").await;
    let asked = serde_json::to_value(Problem::STORE_REFUSES).unwrap();
    for key in ["what", "cause", "remedy"] {
        assert_eq!(said[key], asked[key], "as /readyz says it");
    }
    // It is said on, with each heartbeat.
    let heartbeat = watcher.heartbeat().await;
    assert_eq!(heartbeat["stores"], false);
    // Who comes now learns it too: after the snapshot if there is one, else with the end.
    let mut served = rig.watch(None).await;
    served.expect("snapshot").await;
    served.expect("store_refuses").await;
    rig.state(|state| state.fails = true);
    let mut unserved = rig.watch(None).await;
    assert_eq!(unserved.expect("store_refuses").await["what"], asked["what"]);
    assert_eq!(unserved.closed().await, Problem::STORE_REFUSES.cause);
    rig.state(|state| state.fails = false);
    rig.refusal.send_replace(false);
    watcher.expect("store_commits").await;
    served.expect("store_commits").await;
    assert_eq!(watcher.heartbeat().await["stores"], true);
}

#[tokio::test]
async fn a_store_that_fails_once_and_does_not_refuse_is_only_unavailable() {
    let rig = rig().await;
    rig.state(|state| state.fails = true);
    assert_eq!(rig.watch(None).await.closed().await, "store unavailable");
}

#[tokio::test]
async fn who_cannot_be_let_in_because_the_store_refuses_is_told_why() {
    let rig = rig().await;
    rig.state(|state| state.mute = true);
    let refused = async || match rig.open("/v1/feed", &authorization()).await {
        Err(Error::Http(response)) => {
            let body: Json = serde_json::from_slice(response.body().as_ref().unwrap()).unwrap();
            (response.status().as_u16(), body["cause"].as_str().unwrap().to_owned())
        }
        other => panic!("{:?}", other.map(drop)),
    };
    assert_eq!(refused().await, (503, Problem::STORE.cause.to_owned()));
    rig.refusal.send_replace(true);
    assert_eq!(refused().await, (503, Problem::STORE_REFUSES.cause.to_owned()));
}
