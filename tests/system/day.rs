//! A part of a day over serial lines, with noise and pulled plugs: every frame that was whole on its line is stored once, and
//! every gap is explained. `cargo run --release -p tests --bin day` plays the whole day.

use tests::binaries::Binaries;
use tests::day::{DEVICES, Plan, run};

/// An hour and a quarter, in 45 s.
const PLAN: Plan =
    Plan { seconds: 4500, speed: 100.0, seed: 1, unplug_every: 700, wrong_speed_every: 300, hears_hub_report: false };

#[test]
fn a_part_of_a_day_over_serial_lines_is_stored_once_and_its_gaps_are_explained() {
    let report = run(PLAN, &Binaries::for_tests().unwrap(), &|_| ()).unwrap();
    println!("{report}");
    assert_eq!(report.failures(), Vec::<String>::new(), "{report}");
    assert_eq!(report.devices.len(), DEVICES.len());
    for device in &report.devices {
        // It is a trial only if there was something to explain, and most to store.
        assert!(device.unplugs >= 3 && device.fates[1] >= 30 && device.verdict.gaps > 0, "{report}");
        assert!(device.verdict.required > PLAN.seconds / 3, "{report}");
    }
}
