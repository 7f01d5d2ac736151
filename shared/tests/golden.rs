//! The exact bytes of every version of every message, kept for ever: a hub of today must understand, and be
//! understood by, a server of any later year.
//!
//! A file under `golden/` never changes. A new message or version gets a new file: `GOLDEN_WRITE=1 cargo test -p
//! shared --test golden` writes those that do not exist yet, and nothing else.
#![allow(clippy::arithmetic_side_effects, clippy::indexing_slicing, clippy::panic, clippy::unwrap_used)]

#[path = "golden/samples.rs"]
mod samples;
#[path = "golden/sealed.rs"]
mod sealed;

use std::collections::BTreeSet;
use std::fmt::Debug;
use std::fs;
use std::path::{Path, PathBuf};

use serde::Serialize;
use serde::de::DeserializeOwned;
use shared::enrolment::Enrolment;
use shared::hex;
use shared::metric::Metric;
use shared::reading::{NoReading, Quality};
use shared::sealing::Suite;
use shared::time::ClockState;
use shared::units::Unit;
use shared::wire::{self, DeviceState, DownMessage, Entry, LossCause, QuarantineReason, Record, UpMessage};

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden")
}

/// The kept bytes, in lines of 64 digits.
fn kept(name: &str) -> Option<Vec<u8>> {
    let text = fs::read_to_string(folder().join(name).with_extension("hex")).ok()?;
    let digits: String = text.split_ascii_whitespace().collect();
    Some(hex::decode(&digits).unwrap_or_else(|| panic!("{name}: not hexadecimal")))
}

fn keep(name: &str, bytes: &[u8]) {
    let digits = hex::encode(bytes);
    let lines: Vec<&str> = digits.as_bytes().chunks(64).map(|line| std::str::from_utf8(line).unwrap()).collect();
    fs::write(folder().join(name).with_extension("hex"), lines.join("\n") + "\n").unwrap();
}

/// A name and the bytes the present code makes.
struct Made {
    name: String,
    bytes: Vec<u8>,
}

/// Makes a message and checks that its kept bytes, if there are any, read as the same message.
fn made<T: Serialize + DeserializeOwned + PartialEq + Debug>(name: &str, message: &T) -> Made {
    if let Some(bytes) = kept(name) {
        assert_eq!(&wire::from_bytes::<T>(&bytes).unwrap(), message, "{name} reads as something else");
    }
    Made { name: name.to_owned(), bytes: wire::to_bytes(message).unwrap() }
}

fn everything() -> Vec<Made> {
    let mut all = vec![
        made("up-batch-v1-live", &UpMessage::BatchV1(samples::live_batch())),
        made("up-batch-v1-backlog", &UpMessage::BatchV1(samples::backlog_batch())),
        made("opening", &samples::opening()),
        made("signed-opening", &samples::signed_opening()),
        made("receipt", &samples::receipt()),
        made("down-receipt-v1", &DownMessage::ReceiptV1(samples::signed_receipt())),
        made("down-opening-wanted-v1", &DownMessage::OpeningWantedV1(samples::STREAM)),
        made("down-settings-waiting-v1", &DownMessage::SettingsWaitingV1(300)),
        made("settings", &samples::settings()),
        made("signed-settings", &samples::signed_settings()),
    ];
    for (name, entry) in samples::entries() {
        all.push(made(&format!("record-v1-{name}"), &Record::V1(vec![entry])));
    }
    all.push(made("record-v1-several", &Record::V1(samples::entries().into_iter().map(|(_, entry)| entry).collect())));
    for (name, bytes) in sealed::everything() {
        all.push(Made { name, bytes });
    }
    let enrolment = serde_json::to_vec(&samples::enrolment()).unwrap();
    all.push(Made { name: "enrolment-json".to_owned(), bytes: enrolment });
    all
}

#[test]
fn every_message_has_the_bytes_it_always_had() {
    let write = std::env::var("GOLDEN_WRITE").is_ok_and(|value| value == "1");
    let mut missing = Vec::new();
    for Made { name, bytes } in everything() {
        match kept(&name) {
            Some(kept) => assert_eq!(hex::encode(&bytes), hex::encode(&kept), "{name} is written differently now"),
            None if write => keep(&name, &bytes),
            None => missing.push(name),
        }
    }
    assert!(missing.is_empty(), "no golden file for {missing:?}; GOLDEN_WRITE=1 writes new ones");
}

#[test]
fn no_golden_file_is_forgotten() {
    let names: BTreeSet<String> = everything().into_iter().map(|made| made.name).collect();
    let kept = fs::read_dir(folder()).unwrap().map(|file| file.unwrap().path());
    let kept: BTreeSet<String> = kept
        .filter(|path| path.extension().is_some_and(|extension| extension == "hex"))
        .map(|path| path.file_stem().unwrap().to_str().unwrap().to_owned())
        .collect();
    assert_eq!(kept, names);
}

#[test]
fn kept_envelopes_pass_the_readers_of_today() {
    let UpMessage::BatchV1(batch) = wire::from_bytes(&kept("up-batch-v1-live").unwrap()).unwrap();
    assert_eq!(batch.read().unwrap().opening, Some(samples::signed_opening()));
    assert_eq!(samples::signed_opening().read().unwrap(), samples::opening());
    assert_eq!(samples::signed_settings().read().unwrap(), samples::settings());
    assert_eq!(samples::signed_receipt().verify(&samples::receipt_key()).unwrap(), samples::receipt());
    let enrolment: Enrolment = serde_json::from_slice(&kept("enrolment-json").unwrap()).unwrap();
    assert_eq!(enrolment, samples::enrolment());
    let more = br#"{"version":1,"surprise":true}"#;
    assert!(serde_json::from_slice::<Enrolment>(more).is_err());
}

/// A wire enum: these variants at these places, and none after them. A variant that is appended to the enum is
/// appended here; anything else that makes this fail breaks hubs in the field.
fn order<T: Serialize + DeserializeOwned + Debug>(variants: &[T]) {
    for (place, variant) in variants.iter().enumerate() {
        let bytes = wire::to_bytes(variant).unwrap();
        assert_eq!(bytes.first().copied(), u8::try_from(place).ok(), "{variant:?} has moved");
    }
    // Enough ones for any fields: only an unknown variant is left to refuse.
    let after = [&[u8::try_from(variants.len()).unwrap()], [1_u8; 256].as_slice()].concat();
    for length in 1..after.len() {
        let unknown = wire::from_bytes::<T>(&after[..length]);
        assert!(unknown.is_err(), "{unknown:?} is a variant that is not listed here");
    }
}

#[test]
fn enums_of_words_only_grow_at_their_end() {
    order(&Metric::ALL);
    let metrics = "heart_rate pulse_rate spo2 respiratory_rate temperature systolic_pressure diastolic_pressure \
                   mean_pressure weight glucose perfusion_index battery interstitial_glucose body_fat muscle_share \
                   muscle_mass fat_free_mass body_water impedance body_mass_index height";
    assert_eq!(Metric::ALL.map(Metric::name).join(" "), metrics);
    order(&Unit::ALL);
    let units = "/min % Cel [degF] mm[Hg] kPa kg [lb_av] mmol/L mg/dL Ohm kg/m2 m [in_i]";
    assert_eq!(Unit::ALL.map(Unit::ucum).join(" "), units);
    order(&[ClockState::Synchronised, ClockState::HeldOver, ClockState::NeverSet]);
    let reasons = [
        NoReading::NotANumber,
        NoReading::NotAtThisResolution,
        NoReading::AboveRange,
        NoReading::BelowRange,
        NoReading::Reserved,
        NoReading::MissingData,
        NoReading::SensorDisconnected,
        NoReading::SensorOff,
        NoReading::Searching,
        NoReading::SensorFault,
        NoReading::Stale,
        NoReading::MeasurementFailed,
        NoReading::DeclaredInvalid,
        NoReading::NotOfAPatient,
        NoReading::ControlSolution,
        NoReading::DeviceFault,
        NoReading::ModelQuirk,
    ];
    order(&reasons);
    let flags = "artefact out_of_track low_perfusion marginal_perfusion sensor_alarm low_battery smart_point searching \
                 desaturation weak_signal provisional questionable irregular_pulse loose_cuff \
                 wrong_position interference calibration_due wrong_conditions device_clock inconsistent";
    for (place, name) in flags.split(' ').enumerate() {
        assert!(Quality::from_bits(1 << place).names().eq([name]), "flag {place} is no longer {name}");
    }
    assert_eq!(Quality::from_bits(u32::MAX).names().count(), 20, "a flag that is not listed here");
}

#[test]
fn enums_of_messages_only_grow_at_their_end() {
    let states =
        [DeviceState::Connected, DeviceState::Absent, DeviceState::Silent, DeviceState::Unreadable, DeviceState::Busy];
    order(&states);
    order(&[LossCause::DiskFull, LossCause::Damaged, LossCause::Overrun, LossCause::WriteFailed]);
    let quarantine = [
        QuarantineReason::Damaged,
        QuarantineReason::Unreadable,
        QuarantineReason::SealingKeyRetired,
        QuarantineReason::BadOpening,
        QuarantineReason::Conflict,
        QuarantineReason::ClonedHub,
        QuarantineReason::CompromisedKey,
    ];
    order(&quarantine);
    order(&samples::losses());
    order(&samples::outcomes());
    order(&[Record::V1(Vec::new())]);
    order(&[UpMessage::BatchV1(samples::backlog_batch())]);
    let down = [
        DownMessage::ReceiptV1(samples::signed_receipt()),
        DownMessage::OpeningWantedV1(samples::STREAM),
        DownMessage::SettingsWaitingV1(1),
    ];
    order(&down);
    let mut entries: Vec<Entry> = samples::entries().into_iter().map(|(_, entry)| entry).collect();
    entries.dedup_by_key(|entry| std::mem::discriminant(entry));
    order(&entries);
    // Suites are numbers, not places.
    assert_eq!((wire::to_bytes(&Suite::X25519).unwrap(), wire::to_bytes(&Suite::XWing).unwrap()), (vec![1], vec![2]));
    assert!(wire::from_bytes::<Suite>(&[0]).is_err() && wire::from_bytes::<Suite>(&[3]).is_err());
}
