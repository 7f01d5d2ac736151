//! Configurations of serial devices: what they mean, and what is refused.

use crate::config::tests::read;
use crate::decode::Protocol;
use crate::devices::{SerialConfig, Source};

/// The serial device with these lines, or the keys of its problems without `device[0].`.
fn serial(lines: &str) -> Result<SerialConfig, Vec<String>> {
    let config = read(&format!("[[device]]\nname = \"a\"\nsource = \"serial\"\n{lines}\n"));
    let config = config
        .map_err(|keys| keys.iter().map(|key| key.trim_start_matches("device[0].").to_owned()).collect::<Vec<_>>())?;
    match config.devices.into_iter().next().map(|device| device.source) {
        Some(Source::Serial(serial)) => Ok(serial),
        other => panic!("{other:?}"),
    }
}

fn settings(lines: &str) -> Vec<String> {
    let serial = serial(&format!("path = \"/p\"\n{lines}")).unwrap();
    serial.lines().iter().map(ToString::to_string).collect()
}

fn problems(lines: &str) -> Vec<String> {
    serial(lines).map(|config| panic!("{config:?}")).unwrap_err()
}

#[test]
fn a_port_is_opened_for_every_protocol() {
    for protocol in Protocol::ALL {
        assert_eq!(settings(&format!("protocol = \"{protocol}\"")).len(), 1, "{protocol}");
        let replay = read(&format!(
            "[[device]]\nname = \"a\"\nsource = \"replay\"\npath = \"x.jsonl\"\nprotocol = \"{protocol}\"\n"
        ));
        assert!(replay.is_ok(), "{protocol}");
    }
    assert_eq!(settings("protocol = \"and-scale\""), ["and-scale at 2400 7E1"]);
}

#[test]
fn a_model_sets_the_line_and_what_is_given_besides_overrides_it() {
    let cms50 = ["cms50-v7 at 115200 8N1", "bci at 19200 8O1", "bci at 4800 8N1"];
    assert_eq!(settings("model = \"contec-cms50e\""), cms50);
    assert_eq!(settings("model = \"contec-cms50e\"\nprotocol = \"bci\""), cms50[1..]);
    assert_eq!(
        settings("model = \"contec-cms50e\"\nprotocol = \"bci\"\nbaud = 9600\nparity = \"none\""),
        ["bci at 9600 8N1"]
    );
    assert_eq!(problems("path = \"/p\"\nmodel = \"contec-cms50e\"\nprotocol = \"nonin-df8\""), ["protocol"]);
    assert_eq!(super::spoken("contec-cms50e".parse().ok()), "cms50-v7, bci");
    assert_eq!(settings("model = \"and-scale\"\ndata_bits = 8\nparity = \"none\""), ["and-scale at 2400 8N1"]);
    assert_eq!(problems("path = \"/p\"\nmodel = \"contec\""), ["model"]);
    assert_eq!(problems("path = \"/p\""), ["protocol"]);
    for line in ["baud = 300", "parity = \"mark\"", "data_bits = 9"] {
        let key = line.split(' ').next().unwrap();
        assert_eq!(problems(&format!("path = \"/p\"\nprotocol = \"bci\"\n{line}")), [key]);
    }
}

#[test]
fn a_port_is_named_in_exactly_one_way() {
    let (path, by_id) = ("path = \"/p\"", "by_id = \"usb-1\"");
    let usb = "usb = { vendor = \"1a86\", product = \"7523\" }";
    let port = |lines: &str| serial(&format!("protocol = \"bci\"\n{lines}")).map(|serial| serial.port.to_string());
    assert_eq!(port(path).unwrap(), "/p");
    assert_eq!(port(by_id).unwrap(), "/dev/serial/by-id/usb-1");
    assert_eq!(port(usb).unwrap(), "the adapter 1a86:7523");
    assert_eq!(
        port("usb = { vendor = \"1A86\", product = \"7523\", serial = \"A1\" }").unwrap(),
        "the adapter 1a86:7523 A1"
    );
    for two in [[path, by_id], [path, usb], [by_id, usb]] {
        assert_eq!(port(&two.join("\n")), Err(vec!["path".to_owned()]), "{two:?}");
    }
    assert_eq!(port(""), Err(vec!["path".to_owned()]));
    assert_eq!(port("path = \"\""), Err(vec!["path".to_owned()]));
    assert_eq!(port("by_id = \"../x\""), Err(vec!["by_id".to_owned()]));
    assert_eq!(
        port("usb = { vendor = \"0x86\", product = \"75230\" }"),
        Err(vec!["usb.vendor".to_owned(), "usb.product".to_owned()])
    );
    assert!(port("usb = { vendor = \"1a86\" }").is_err());
}

#[test]
fn two_devices_on_one_port_are_refused() {
    let device = |name: &str, port: &str| {
        format!("[[device]]\nname = \"{name}\"\nsource = \"serial\"\nprotocol = \"bci\"\n{port}\n")
    };
    let usb = "usb = { vendor = \"1a86\", product = \"7523\" }";
    for (one, other) in [
        ("path = \"/p\"", "path = \"/p\""),
        ("by_id = \"usb-1\"", "by_id = \"usb-1\""),
        ("by_id = \"usb-1\"", "path = \"/dev/serial/by-id/usb-1\""),
        (usb, usb),
    ] {
        let both = read(&format!("{}{}", device("a", one), device("b", other)));
        assert_eq!(both.unwrap_err(), ["device[1]"], "{one} {other}");
    }
    let both = read(&format!("{}{}", device("a", "path = \"/p\""), device("b", "path = \"/q\"")));
    assert!(both.is_ok());
}

#[test]
fn what_is_said_is_said_to_devices_that_know_it() {
    let nonin = serial("path = \"/p\"\nprotocol = \"nonin-df13\"\nset_clock = true\nselect_format = true").unwrap();
    assert!(nonin.talk.set_clock && nonin.talk.select_format && nonin.talk.measure_every.is_none());
    let every =
        |seconds: u64| serial(&format!("path = \"/p\"\nmodel = \"suntech-advantage\"\nmeasure_every_s = {seconds}"));
    assert_eq!(every(300).unwrap().talk.measure_every, Some(std::time::Duration::from_secs(300)));
    assert!(every(86_400).is_ok());
    for seconds in [0, 299, 86_401] {
        assert_eq!(every(seconds), Err(vec!["measure_every_s".to_owned()]), "{seconds}");
    }
    for line in ["set_clock = true", "select_format = true", "measure_every_s = 3600"] {
        let key = line.split(' ').next().unwrap();
        assert_eq!(problems(&format!("path = \"/p\"\nprotocol = \"bci\"\n{line}")), [key]);
    }
}

#[test]
fn a_device_of_several_formats_is_told_one_only_if_it_is_named() {
    let xpod = "path = \"/p\"\nmodel = \"nonin-xpod\"\nselect_format = true";
    assert_eq!(problems(xpod), ["select_format"]);
    assert!(serial(&format!("{xpod}\nprotocol = \"nonin-df7\"")).unwrap().talk.select_format);
    assert!(serial(&xpod.replace("true", "false")).is_ok());
}

#[test]
fn a_recording_has_no_port() {
    let keys = read(
        "[[device]]\nname = \"a\"\nsource = \"replay\"\npath = \"x.csv\"\nby_id = \"u\"\nmodel = \"bm65\"\ndata_bits = 7\n",
    )
    .unwrap_err();
    assert_eq!(keys, ["device[0].by_id", "device[0].model", "device[0].data_bits"]);
    assert_eq!(read("[[device]]\nname = \"a\"\nsource = \"replay\"\n").unwrap_err(), ["device[0].path"]);
}
