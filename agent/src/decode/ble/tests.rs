//! Values by their characteristic, and those that belong together.

use proptest::prelude::*;
use shared::hex;

use super::*;

#[test]
fn found_by_number_and_by_uuid() {
    for characteristic in Characteristic::ALL {
        assert_eq!(characteristic.to_string().parse(), Ok(characteristic));
        assert_eq!(characteristic.uuid().to_ascii_lowercase().parse(), Ok(characteristic));
    }
    assert_eq!("00002a37-0000-1000-8000-00805f9b34fb".parse(), Ok(Characteristic::HeartRate));
    assert_eq!("2A00".parse::<Characteristic>(), Err(UnknownCharacteristic));
}

/// A value of each kind that gives readings, and how many.
const VALUES: [(Characteristic, &str, usize); 12] = [
    (Characteristic::HeartRate, "1f0101320101000201ffff", 1),
    (Characteristic::Temperature, "066c0100ffea0701150a1e0002", 1),
    (Characteristic::BloodPressure, "1e8a00580078000000041114293b3c00012700", 4),
    (Characteristic::EnhancedBloodPressure, "7e8a0058007800805101003c0001270080510100", 4),
    (Characteristic::PlxSpot, "0facf3bef5e8070b1d170839204022000066e3", 3),
    (Characteristic::PlxContinuous, "1fdef3caf3caf35af5d4f3b2f220010000007ae3", 3),
    (Characteristic::BatteryLevel, "32", 1),
    (Characteristic::NoninOximetry, "0a141d0190002a610048", 3),
    (Characteristic::Berry, "8532074861", 2),
    (Characteristic::Jumper, "81386344", 3),
    (Characteristic::Viatom, "5500ff00000d00ffffff0000000060000500000043", 4),
    (Characteristic::ContecBt, "eb010453637f0025", 2),
];

#[test]
fn a_value_goes_to_its_profile_and_its_beginning_is_refused() {
    for (characteristic, value, readings) in VALUES {
        let value = hex::decode(value).unwrap();
        let report = decode(characteristic, Quirks::NONE, &value);
        assert_eq!(report.map(|report| report.readings.len()), Ok(readings), "{characteristic:?}");
        for length in 0..value.len() {
            // Intervals of a heart beat come in any number, the flag for them with none too.
            let whole = characteristic == Characteristic::HeartRate && length >= 5 && length % 2 == 1;
            let beginning = decode(characteristic, Quirks::NONE, &value[..length]);
            assert_eq!(beginning.is_ok(), whole, "{characteristic:?}, {length} octets");
        }
    }
}

#[test]
fn what_is_in_progress_or_describes_the_device_is_no_reading() {
    for (characteristic, value) in [
        (Characteristic::CuffPressure, "009600ff07ff07"),
        (Characteristic::IntermediateTemperature, "006c0100ff"),
        (Characteristic::BodySensorLocation, "01"),
        (Characteristic::PlxFeatures, "0000"),
        (Characteristic::CurrentTime, "ea07071c0e1e0f000001"),
        (Characteristic::DateTime, "ea07071c0e1e0f"),
    ] {
        let value = hex::decode(value).unwrap();
        let report = decode(characteristic, Quirks::NONE, &value).unwrap();
        assert!(report.readings.is_empty(), "{characteristic:?}");
        assert!(decode(characteristic, Quirks::NONE, &value[1..]).is_err(), "{characteristic:?}");
    }
}

/// The readings of each report of these values, one after the other.
fn read(values: &[(Characteristic, &str)]) -> Vec<Result<Vec<usize>, RefusedFrame>> {
    let mut device = Values::new(Quirks::NONE);
    let of = |(characteristic, value): &(Characteristic, &str)| {
        let mut readings = Vec::new();
        let value = hex::decode(value).unwrap();
        device.read(*characteristic, &value, &mut |report| readings.push(report.readings.len()))?;
        Ok(readings)
    };
    values.iter().map(of).collect()
}

#[test]
fn what_belongs_to_a_value_before_it_is_read_with_it() {
    use Characteristic::{BodyComposition, Cgm, Glucose, GlucoseContext};
    let none = || Err(RefusedFrame::OutOfOrder);
    let announced = (Glucose, "130600e407040d10260a000078b0f1");
    let own = (GlucoseContext, "02060002");
    assert_eq!(read(&[own, announced, own, own]), [none(), Ok(vec![1]), Ok(vec![0]), none()]);
    // The second packet repeats the fat, and has the weight.
    let packets = [(BodyComposition, "0010eb00"), (BodyComposition, "0014eb00803e")];
    assert_eq!(read(&packets), [Ok(vec![1]), Ok(vec![1])]);
    assert_eq!(read(&[(Cgm, "06000c10050006000c100600")]), [Ok(vec![1, 1])]);
}

#[test]
fn a_mass_whose_steps_are_not_known_is_refused() {
    use Characteristic::{BloodPressure, BodyComposition, Weight};
    let mut device = Values::new(Quirks { mass_steps_unknown: true, ..Quirks::NONE });
    for (characteristic, value) in [(Weight, "006a07"), (BodyComposition, "0000eb00")] {
        let read = device.read(characteristic, &hex::decode(value).unwrap(), &mut |report| panic!("{report:?}"));
        assert_eq!(read, Err(RefusedFrame::ModelQuirk));
    }
    let cuff = hex::decode("1e8a00580078000000041114293b3c00012700").unwrap();
    assert_eq!(device.read(BloodPressure, &cuff, &mut |_| {}), Ok(()));
}

proptest! {
    #[test]
    fn no_value_makes_a_decoder_panic(value: Vec<u8>, big_endian: bool, always: bool) {
        let quirks = Quirks { cuff_tail_big_endian: big_endian, cuff_user_always: always, ..Quirks::NONE };
        for characteristic in Characteristic::ALL {
            let _ = Values::new(quirks).read(characteristic, &value, &mut |_| {});
        }
    }
}
