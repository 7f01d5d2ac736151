//! The load generator against a real server: what it claims is so. How fast is another matter, see docs/performance.md.

use tests::binaries::Binaries;
use tests::load::fleet::Fleet;
use tests::load::run::{Plan, run};
use tests::server::Server;

const PLAN: Plan = Plan { hubs: 10, rate: 100.0, seconds: 3, observations: 4, feed_clients: 2 };

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_load_is_stored_whole_and_the_next_one_goes_on_from_it() {
    let folder = tempfile::tempdir().unwrap();
    let binaries = Binaries::for_tests().unwrap();
    let mut server = Server::create(folder.path(), &binaries, 1).unwrap();
    server.start().unwrap();
    let file = folder.path().join("fleet.json");
    let mut fleet = Fleet::load(&file).unwrap();
    // Two patients on each hub.
    fleet.grow(&server.data().join("run"), PLAN.hubs, 2).unwrap();
    for _ in 0..2 {
        let outcome = run(PLAN, &server, &mut fleet).await.unwrap();
        assert!(outcome.is_whole(), "{outcome:?}");
        assert_eq!(outcome.batches, 300, "ten a second of each hub, for three seconds");
        assert_eq!(outcome.receipt.unwrap().samples, 300);
        assert!(outcome.capture_to_socket.is_some(), "two screens saw something");
        assert!(outcome.server_rss_mib > 1.0 && outcome.connects_per_s > 0.0);
        // What is kept is enough for another process to go on.
        fleet.save(&file).unwrap();
        fleet = Fleet::load(&file).unwrap();
        assert_eq!(fleet.members.len(), PLAN.hubs);
    }
    // A hub's next stream follows its last one, so nobody is taken for a clone.
    let hubs = server.ask(&["hub", "list"], "").unwrap();
    for hub in hubs["hubs"].as_array().unwrap() {
        assert!(hub["findings"].as_array().is_none_or(Vec::is_empty), "{hub}");
    }
    server.stop().unwrap();
}
