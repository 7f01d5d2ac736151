//! A network that does everything a network can do wrong, at once and in no order: it only delays.

use std::time::{Duration, Instant};

use tests::faulty_network::{Direction, FaultyNetwork, Seeded};
use tests::wait;

use crate::home::{World, gaps, repeated};

const HOMES: [&str; 3] = ["home-1", "home-2", "home-3"];
const HOSTILE_FOR: Duration = Duration::from_secs(20);
const SPEED: f64 = 20.0;
const PATIENCE: Duration = Duration::from_secs(90);
/// A run with this seed throws the same faults in the same order.
const SEED_VARIABLE: &str = "RPM_HOSTILE_SEED";

/// What was thrown at the connections.
#[derive(Debug, Default)]
struct Thrown {
    cuts: u32,
    stalls: u32,
    delays: u32,
    throttles: u32,
    reorders: u32,
    corruptions: u32,
    half_closes: u32,
}

impl Thrown {
    /// One fault more, or the end of one.
    fn throw(&mut self, network: &FaultyNetwork, numbers: &mut Seeded) {
        let direction = Direction::BOTH[usize::from(numbers.below(2) == 1)];
        match numbers.below(10) {
            0 => {
                network.cut();
                self.cuts += 1;
            }
            1 => {
                network.stall();
                self.stalls += 1;
            }
            2 => {
                network.delay(Duration::from_millis(numbers.below(200)));
                self.delays += 1;
            }
            3 => {
                network.throttle(500 + numbers.below(8000));
                self.throttles += 1;
            }
            4 => {
                network.reorder(Duration::from_millis(1 + numbers.below(800)));
                self.reorders += 1;
            }
            5 => {
                network.corrupt(numbers.number(), 200 + numbers.below(20_000), direction);
                self.corruptions += 1;
            }
            6 => {
                network.half_close(direction);
                self.half_closes += 1;
            }
            7 => network.heal(),
            // More often than it is cut or stalled, so that connections come to be at all.
            _ => network.resume(),
        }
    }

    fn is_everything(&self) -> bool {
        let Self { cuts, stalls, delays, throttles, reorders, corruptions, half_closes } = *self;
        [cuts, stalls, delays, throttles, reorders, corruptions, half_closes].iter().all(|count| *count > 0)
    }
}

fn seed() -> u64 {
    std::env::var(SEED_VARIABLE).ok().and_then(|seed| seed.parse().ok()).unwrap_or_else(|| {
        let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
        Seeded::new(since.as_secs()).number()
    })
}

#[test]
fn a_hostile_network_loses_nothing_and_brings_nothing_twice() {
    let seed = seed();
    println!("{SEED_VARIABLE}={seed}");
    let mut world = World::new(1);
    let network = FaultyNetwork::before(world.door()).unwrap();
    let rows: Vec<_> = (0..60_u16).map(|second| (60 + second % 20, 95 + (second % 4) as u8)).collect();
    for label in HOMES {
        let hub = world.add_hub(label);
        world.hubs[hub].reach_door_at(network.address()).unwrap();
        let devices = ["one", "two"].map(|name| world.looping(&format!("{label}-{name}"), &rows, SPEED));
        world.hubs[hub].configure(&devices).unwrap();
        world.hubs[hub].start().unwrap();
    }
    wait::until("observations of every home", PATIENCE, || {
        world.hubs.iter().all(|hub| hub.count("receipted_observations").is_ok_and(|count| count > 0)).then_some(())
    })
    .unwrap();

    let (mut numbers, mut thrown) = (Seeded::new(seed), Thrown::default());
    let begin = Instant::now();
    while begin.elapsed() < HOSTILE_FOR || !thrown.is_everything() {
        thrown.throw(&network, &mut numbers);
        std::thread::sleep(Duration::from_millis(50 + numbers.below(300)));
    }
    network.heal();
    let connections = network.accepted();
    println!("{thrown:?}, {connections} connections");
    assert!(connections > 2 * HOMES.len() as u64, "{connections} connections: nothing was hostile");

    let mut accepted = 0;
    for hub in &mut world.hubs {
        hub.caught_up(PATIENCE).unwrap();
        let closed = hub.stop_and_count().unwrap();
        assert_eq!((closed.pending_records, closed.accepted), (0, closed.receipted), "{closed:?}; {}", hub.said());
        accepted += closed.accepted;
    }
    // Two devices with two values each, twenty rows a second: what came in the calm alone would be far less.
    assert!(accepted > 500, "{accepted} observations");
    assert_eq!(world.count("observations"), accepted);
    assert_eq!((world.count("duplicates"), world.count("quarantined")), (0, 0));
    assert_eq!(repeated(&world.store()), []);
    assert_eq!(gaps(&world.store()), []);
    println!(
        "{accepted} observations accepted, receipted and stored, {:.0?} after it healed",
        begin.elapsed() - HOSTILE_FOR
    );
    world.server.stop().unwrap();
}
