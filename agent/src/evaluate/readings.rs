//! What the product would store of a case, beside its fields: the decoders and the lines that the agent runs, with their decisions
//! about what is a value.
//!
//! A frame of a protocol that has to prove itself is said again and again, as its device does, and the last second counts.

use runtime::evaluate::{Answer, Evaluate, Input, UnusableInput};
use serde_json::Value as Json;
use shared::observation::Captured;
use shared::time::{ClockState, Tick, Timestamp};

use super::quirks;
use crate::decode::ble::{Characteristic, Values};
use crate::decode::checksum::crc16_mcrf4xx;
use crate::decode::{Protocol, Report, StreamDecoder};
use crate::show;

/// The answer of `evaluate`, and under `readings` what the product would store of the value of a characteristic.
pub(super) fn beside_value(input: &Input, evaluate: Evaluate) -> Result<Answer, UnusableInput> {
    let answer = evaluate(input)?;
    let Ok(characteristic) = input.text("characteristic")?.parse() else { return Ok(answer) };
    let mut values = Values::new(quirks(input)?);
    if matches!(characteristic, Characteristic::Cgm | Characteristic::CgmSessionStart) {
        // Whether a CRC comes is said by the sensor's features.
        let feature = feature(input.flag("e2e_crc")?);
        let _ = values.read(Characteristic::CgmFeature, &feature, &mut |_| {});
    }
    Ok(with(answer, reports(&mut values, characteristic, &input.hex("hex")?)))
}

/// Features of a sensor that measures interstitial fluid, with or without a CRC.
fn feature(has_crc: bool) -> [u8; 6] {
    let [low, high] = if has_crc { crc16_mcrf4xx(&[0, 0x10, 0, 0x59]).to_le_bytes() } else { [0xFF, 0xFF] };
    [0, if has_crc { 0x10 } else { 0 }, 0, 0x59, low, high]
}

/// The answer of `evaluate`, and under `readings` what the product would store of a serial line that brings this.
pub(super) fn beside_line(input: &Input, evaluate: Evaluate) -> Result<Answer, UnusableInput> {
    let answer = evaluate(input)?;
    let (protocol, repeats) = match input.text("protocol")? {
        "nonin-df2" => (Protocol::NoninDf2, 3),
        "nonin-df7" => (Protocol::NoninDf7, 3),
        "nonin-df8-3" | "nonin-df8-4" => (Protocol::NoninDf8, 6),
        "nonin-df13" => (Protocol::NoninDf13, 1),
        "bci-5" => (Protocol::Bci, 60),
        "cms50-v7" => (Protocol::Cms50V7, 60),
        "masimo-ascii1" => (Protocol::MasimoAscii1, 1),
        "suntech-nibp" => (Protocol::SuntechNibp, 1),
        "and-ua767pc" => (Protocol::AndUa767pc, 1),
        "and-scale" => (Protocol::AndScale, 1),
        "lifescan-binary" => (Protocol::Lifescan, 1),
        "beurer-bm65" => (Protocol::BeurerBm65, 1),
        // Makers' services that stand among serial protocols.
        "nonin-3230-ble" => return value_of(answer, input, Characteristic::NoninOximetry),
        "viatom-o2-sensors" => return value_of(answer, input, Characteristic::Viatom),
        _ => return Ok(answer),
    };
    let octets = if input.has("hex") { input.hex("hex")? } else { format!("{}\r\n", input.text("text")?).into_bytes() };
    let is_berry = protocol == Protocol::Bci && input.has("model") && is_of(input.text("model")?, "Berry");
    let mut decoder = if is_berry { StreamDecoder::of_berry() } else { StreamDecoder::new(protocol) };
    let mut reports = Vec::new();
    let at = |millis| Captured {
        tick: Tick::from_millis(millis),
        wall: Timestamp::from_millis(0),
        clock: ClockState::NeverSet,
    };
    decoder.push(&octets.repeat(repeats), at(0), &mut |moment| reports.push(moment.report));
    reports.extend(std::iter::from_fn(|| decoder.expire(at(60_000))).map(|moment| moment.report));
    if repeats > 1 {
        reports.drain(..reports.len().saturating_sub(1));
    }
    Ok(with(answer, reports))
}

fn value_of(answer: Answer, input: &Input, characteristic: Characteristic) -> Result<Answer, UnusableInput> {
    let mut values = Values::new(quirks(input)?);
    Ok(with(answer, reports(&mut values, characteristic, &input.hex("hex")?)))
}

fn is_of(model: &str, maker: &str) -> bool {
    model.get(..maker.len()).is_some_and(|begins| begins.eq_ignore_ascii_case(maker))
}

fn reports(values: &mut Values, characteristic: Characteristic, value: &[u8]) -> Vec<Report> {
    let mut reports = Vec::new();
    // What is refused has no readings; the answer beside them says why.
    let _ = values.read(characteristic, value, &mut |report| reports.push(report));
    reports
}

/// The readings of all reports, one after the other.
fn with(answer: Answer, reports: Vec<Report>) -> Answer {
    let readings = reports.iter().flat_map(show::readings_json);
    answer.with("readings", readings.collect::<Vec<Json>>().into())
}

#[cfg(test)]
mod tests {
    use runtime::evaluate::answer;
    use serde_json::json;

    use crate::evaluate::AREAS;

    /// Each reading of a case: its value with the unit, or its absence; then its flags.
    fn stored(area: &str, input: serde_json::Value) -> Vec<String> {
        let area = AREAS.iter().find(|(name, _)| *name == area).unwrap();
        let answer = answer(*area, &json!({ "input": input }).to_string());
        let text = |reading: &serde_json::Value| {
            let told = [&reading["value"], &reading["unit"], &reading["absent"]].into_iter();
            let flags = reading["flags"].as_array().unwrap().iter();
            told.chain(flags).filter_map(|part| part.as_str()).collect::<Vec<_>>().join(" ")
        };
        answer["readings"].as_array().unwrap_or_else(|| panic!("{answer}")).iter().map(text).collect()
    }

    #[test]
    fn what_is_held_or_not_worn_is_an_absence_though_the_fields_have_numbers() {
        let held = stored("serial-nonin", json!({ "protocol": "nonin-df8-4", "hex": "804b6208" }));
        assert_eq!(held, ["stale sensor_alarm"; 2]);
        let worn = "5500ff00000d00ffffff0000000060000500000043";
        let off = stored("serial-extra", json!({ "protocol": "viatom-o2-sensors", "hex": worn }));
        assert_eq!(off[..2], ["sensor_off", "sensor_off"]);
        let line = "02/22/16 22:47:45 SN=1 SPO2=098% BPM=097 PI=03.60% ALARM=0000 EXC=000820";
        let off = stored("serial-masimo", json!({ "protocol": "masimo-ascii1", "text": line }));
        assert_eq!(off, ["sensor_off"; 3]);
        let stopped = json!({ "characteristic": "2AA7", "hex": "07807800c80001", "e2e_crc": false });
        assert_eq!(stored("ble-cgm", stopped), ["stale"]);
        let with_crc = json!({ "characteristic": "2AA7", "hex": "08000C100600596F", "e2e_crc": true });
        assert_eq!(stored("ble-cgm", with_crc), ["120 mg/dL"]);
        assert_eq!(
            stored("ble-thermometer", json!({ "characteristic": "2A1C", "hex": "042e0100ff04" })),
            ["30.2 Cel wrong_position"]
        );
    }

    #[test]
    fn a_line_is_read_as_the_product_reads_it() {
        let frame = |model: &str| json!({ "protocol": "bci-5", "hex": "a532074858", "model": model });
        assert_eq!(stored("serial-bci-cms50", frame("Contec CMS50E")), ["88 % desaturation", "72 /min desaturation"]);
        assert_eq!(stored("serial-bci-cms50", frame("Berry BM1000")), ["sensor_disconnected sensor_alarm"; 2]);
        let line = |spo2: u8| format!("02/22/16 22:47:45 SN=1 SPO2=0{spo2}% BPM=097 ALARM=0000 EXC=000800");
        let two = json!({ "protocol": "masimo-ascii1", "text": format!("{}\r\n{}", line(97), line(98)) });
        assert_eq!(stored("serial-masimo", two), ["97 %", "97 /min", "98 %", "97 /min"]);
        let cuff = json!({ "protocol": "and-ua767pc", "text": "804C4C4960\r\n" });
        assert_eq!(stored("serial-extra", cuff), ["152 mm[Hg]", "76 mm[Hg]", "73 /min"]);
        assert!(stored("serial-extra", json!({ "protocol": "and-scale", "text": "US,+0083.800 kg\r\n" })).is_empty());
        // The record that the meter's driver has in its tests, in a packet.
        let record = json!({ "protocol": "lifescan-binary", "hex": lifescan() });
        assert_eq!(stored("serial-extra", record), ["104 mg/dL"]);
    }

    fn lifescan() -> String {
        let mut packet = vec![2, 16, 2, 5, 6, 0xA8, 0xBF, 0x68, 0x6A, 104, 0, 0, 0, 3];
        let sum = crate::decode::checksum::crc16_ccitt_false(&packet).to_le_bytes();
        packet.extend(sum);
        shared::hex::encode(&packet)
    }

    #[test]
    fn a_model_is_read_with_what_is_known_of_it() {
        let cuff = "566a0047000000ea07080b121f00003f000000";
        let cuff = |model: &str| {
            stored("ble-blood-pressure", json!({ "characteristic": "2A35", "hex": cuff, "model": model }))
        };
        assert_eq!(cuff("Beurer BM85"), ["106 mm[Hg]", "71 mm[Hg]", "63 /min"]);
        assert_ne!(cuff("Beurer BM77"), cuff("Beurer BM85"));
        let scale = |model: &str| {
            let input = json!({ "characteristic": "2A9D", "hex": "006a07", "model": model });
            stored("ble-weight-bodycomp", input)
        };
        assert_eq!((scale("ES-WBE28"), scale("BF720")), (vec!["94.90 kg".to_owned()], vec!["9.490 kg".to_owned()]));
        assert!(scale("Renpho ES-CS20M").is_empty(), "refused");
    }
}
