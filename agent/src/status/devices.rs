//! The command `devices`: each device, how it is, what of it could not be read, and what to do about it.

use serde_json::{Value as Json, json};
use shared::wire::DeviceState;

use crate::config::Config;
use crate::decode::RefusedFrame;

/// The devices of a configuration, with what the running agent's status says of them, if one runs.
#[must_use]
pub fn list(config: &Config, status: Option<&Json>) -> Json {
    let known = status.and_then(|status| status.get("devices")).and_then(Json::as_array);
    let devices: Vec<Json> = match known {
        Some(devices) => devices.iter().map(with_advice).collect(),
        None => {
            let configured = config.devices.iter();
            configured.map(|it| json!({ "name": it.name.as_str(), "source": it.source.to_string() })).collect()
        }
    };
    json!({ "running": status.is_some(), "devices": devices })
}

fn with_advice(device: &Json) -> Json {
    let mut device = device.clone();
    let advice = advice(&device);
    if let Some(fields) = device.as_object_mut() {
        fields.insert("advice".to_owned(), advice.into());
    }
    device
}

/// What to do about what the status says of a device; nothing if all is well.
fn advice(device: &Json) -> Vec<String> {
    let state = serde_json::from_value::<DeviceState>(device["state"].clone()).ok();
    let mut advice: Vec<String> = state.and_then(for_state).into_iter().map(str::to_owned).collect();
    if let Some(trouble) = device["port_trouble"].as_str() {
        advice.push(trouble.to_owned());
    }
    if device["is_unattributed"] == true {
        advice.push(
            "bound to nobody: bind it to a patient at the server, until then its readings are unattributed".into(),
        );
    }
    if device["battery_low"] == true {
        advice.push("its battery is low: change or charge it".into());
    }
    if device["overrun"].as_u64().unwrap_or(0) > 0 {
        advice.push("readings were lost because the disk was too slow: see `hub-agent status`".into());
    }
    let refused = RefusedFrame::ALL
        .into_iter()
        .filter(|why| device["frames_refused"].get(why.name()).and_then(Json::as_u64).unwrap_or(0) > 0);
    advice.extend(refused.map(|why| format!("{}: {}; {}", why.name(), why.explained(), for_refused(why))));
    advice
}

const fn for_state(state: DeviceState) -> Option<&'static str> {
    match state {
        DeviceState::Connected => None,
        DeviceState::Absent => Some("not there: plug it in, switch it on, bring it within range"),
        DeviceState::Silent => Some("silent: switch it on, put the sensor on, check its cable and its output setting"),
        DeviceState::Unreadable => {
            Some("nothing it says can be read: check protocol, speed and parity in the configuration")
        }
        DeviceState::Busy => Some("another program holds its port: stop that program"),
    }
}

const fn for_refused(why: RefusedFrame) -> &'static str {
    match why {
        RefusedFrame::Marker | RefusedFrame::Unproven => {
            "a few when it starts are normal; many mean another protocol, speed or parity than configured"
        }
        RefusedFrame::Checksum | RefusedFrame::FrameLoss => "check cable and plugs, and what else disturbs the line",
        RefusedFrame::Length => "send a capture to whoever maintains this agent; `hub-agent decode` reads it",
        RefusedFrame::DeviceTime => "set the device's clock",
        RefusedFrame::Inconsistent => "hold the sensor still; if it goes on, check the cable",
        RefusedFrame::Cell | RefusedFrame::Line => "correct the recording; the log names the line",
        RefusedFrame::Contradiction | RefusedFrame::Unknown => {
            "the device does not keep to its standard: send a capture to whoever maintains this agent"
        }
        RefusedFrame::OutOfOrder => "a part was lost on the way: measure again",
        RefusedFrame::ModelQuirk => "this model is known for it: measure again, or use another",
    }
}

/// The list for people.
#[must_use]
pub fn text(list: &Json) -> Vec<String> {
    let mut lines = Vec::new();
    if list["running"] != true {
        lines.push("the agent does not run: this is what the configuration says".to_owned());
    }
    let devices = list["devices"].as_array().map(Vec::as_slice).unwrap_or_default();
    if devices.is_empty() {
        lines.push("no devices are configured".to_owned());
    }
    for device in devices {
        let word = |key: &str| device[key].as_str().unwrap_or("-").to_owned();
        lines.push(format!("{}: {}", word("name"), word("source")));
        if list["running"] != true {
            continue;
        }
        if let Some(line) = device["line"].as_str() {
            lines.push(format!("  line: {line}"));
        }
        let tried: Vec<&str> =
            device["lines_tried"].as_array().into_iter().flatten().filter_map(Json::as_str).collect();
        if !tried.is_empty() {
            lines.push(format!("  line: not found yet, tried in turn: {}", tried.join(", ")));
        }
        let heard = match device["last_heard_ago_ms"].as_u64() {
            Some(age_ms) => format!("last readings {} ago", age(age_ms)),
            None => "no readings yet".to_owned(),
        };
        let battery = match device["battery_low"].as_bool() {
            Some(true) => ", battery low",
            Some(false) => ", battery not low",
            None => "",
        };
        let state =
            device["state"].as_str().map_or_else(|| "not heard of yet".to_owned(), |state| state.replace('_', " "));
        lines.push(format!("  {}, {heard}{battery}", state.to_lowercase()));
        let refused: Vec<String> = device["frames_refused"]
            .as_object()
            .into_iter()
            .flatten()
            .map(|(why, count)| format!("{count} {why}"))
            .collect();
        let refused = if refused.is_empty() { "none".to_owned() } else { refused.join(", ") };
        lines.push(format!("  frames: {} accepted, refused: {refused}", device["frames_accepted"]));
        let advice = device["advice"].as_array().into_iter().flatten().filter_map(Json::as_str);
        lines.extend(advice.map(|advice| format!("  → {advice}")));
    }
    lines
}

fn age(millis: u64) -> String {
    match millis / 1000 {
        seconds @ 0..120 => format!("{seconds} s"),
        seconds @ 120..7_200 => format!("{} min", seconds / 60),
        seconds @ 7_200..172_800 => format!("{} h", seconds / 3600),
        seconds => format!("{} days", seconds / 86_400),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decode::Protocol;
    use crate::devices::{DeviceConfig, PortTrouble, SerialConfig, Source};

    fn config() -> Config {
        let serial = SerialConfig::new("/dev/ttyUSB0".into(), Protocol::Bci);
        Config {
            state_dir: "/s".into(),
            runtime_dir: "/r".into(),
            identity_key: "/k".into(),
            enrolment: "/e".into(),
            log: runtime::logging::Format::Text,
            queue_bytes_max: 1,
            devices: vec![DeviceConfig { name: "oximeter".parse().unwrap(), source: Source::Serial(serial) }],
        }
    }

    #[test]
    fn without_an_agent_the_configuration_is_told() {
        let lines = text(&list(&config(), None));
        assert_eq!(lines[0], "the agent does not run: this is what the configuration says");
        assert_eq!(lines[1..], ["oximeter: bci on /dev/ttyUSB0"]);
    }

    #[test]
    fn what_is_wrong_is_told_with_what_to_do() {
        let device = json!({
            "name": "oximeter", "source": "bci on /dev/ttyUSB0", "state": DeviceState::Silent,
            "line": "bci at 4800 8N1", "lines_tried": [], "port_trouble": PortTrouble::NotTaken.to_string(),
            "last_heard_ago_ms": 61_000, "battery_low": true, "is_unattributed": true, "overrun": 0,
            "frames_accepted": 120, "frames_refused": { "checksum": 3 },
        });
        let lines = text(&list(&config(), Some(&json!({ "devices": [device] }))));
        assert_eq!(lines[1], "  line: bci at 4800 8N1");
        assert_eq!(lines[2], "  silent, last readings 61 s ago, battery low");
        assert_eq!(lines[3], "  frames: 120 accepted, refused: 3 checksum");
        let begins =
            ["  → silent:", "  → the port did not take", "  → bound to nobody", "  → its battery", "  → checksum:"];
        for (line, begin) in lines[4..].iter().zip(begins) {
            assert!(line.starts_with(begin), "{line}");
        }
        assert_eq!(lines.len(), 9);
        let tried = json!({ "name": "a", "source": "s", "lines_tried": ["bci at 4800 8N1", "bci at 19200 8O1"] });
        let lines = text(&list(&config(), Some(&json!({ "devices": [tried] }))));
        assert_eq!(lines[1], "  line: not found yet, tried in turn: bci at 4800 8N1, bci at 19200 8O1");
        let well =
            json!({ "name": "a", "state": DeviceState::Connected, "is_unattributed": false, "frames_refused": {} });
        assert!(advice(&well).is_empty());
    }

    #[test]
    fn every_reason_has_a_remedy_and_ages_are_round() {
        assert!(RefusedFrame::ALL.into_iter().all(|why| !for_refused(why).is_empty()));
        assert_eq!([119_000, 120_000, 7_200_000, 172_800_000].map(age), ["119 s", "2 min", "2 h", "2 days"]);
    }
}
