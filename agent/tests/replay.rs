//! Recordings, played into a channel.
#![allow(clippy::arithmetic_side_effects, clippy::disallowed_methods)]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use std::convert::Infallible;
use std::io::Write;
use std::sync::Arc;
use std::time::{Duration, Instant};

use agent::decode::{Protocol, RefusedFrame};
use agent::devices::{
    Column, Counters, DeviceConfig, Joints, Recording, ReplayConfig, SerialConfig, Source, Speed, own_all, replay,
};
use agent::intake_item::Taken;
use runtime::clock::Clock;
use runtime::exit::Exit;
use runtime::supervisor::Supervisor;
use shared::reading::Outcome;
use shared::wire::DeviceState;
use tempfile::NamedTempFile;
use tokio::sync::mpsc::{Receiver, channel};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

struct Playing {
    taken: Receiver<Taken>,
    counters: Arc<Counters>,
    stop: CancellationToken,
    owner: JoinSet<Result<(), Infallible>>,
}

fn file(text: &str) -> NamedTempFile {
    let mut file = NamedTempFile::new().unwrap();
    file.write_all(text.as_bytes()).unwrap();
    file
}

fn play(file: &NamedTempFile, recording: Recording, speed: f64, repeat: bool, room: usize) -> Playing {
    let (out, taken) = channel(room);
    let (counters, stop) = (Arc::new(Counters::default()), CancellationToken::new());
    let joints = Joints {
        device: "recording".parse().unwrap(),
        clock: Clock::system(),
        out,
        counters: Arc::clone(&counters),
        stop: stop.clone(),
        progress: Supervisor::new().progress("device"),
    };
    let speed = Speed::try_from(speed).unwrap();
    let config = ReplayConfig { path: file.path().to_owned(), recording, speed, repeat };
    let mut owner = JoinSet::new();
    owner.spawn(replay::run(config, joints));
    Playing { taken, counters, stop, owner }
}

impl Playing {
    async fn next(&mut self) -> Taken {
        tokio::time::timeout(Duration::from_secs(5), self.taken.recv()).await.expect("nothing came").unwrap()
    }

    /// Values of moments until the recording's end, as text.
    async fn values(&mut self) -> Vec<Vec<String>> {
        let mut moments = Vec::new();
        loop {
            match self.next().await {
                Taken::Device(status) if status.state == DeviceState::Absent => return moments,
                Taken::Readings { readings, .. } => {
                    let text = |outcome: Outcome| match outcome {
                        Outcome::Value(value) => format!("{}{}", value.decimal, value.unit.ucum()),
                        Outcome::None(why) => why.name().to_owned(),
                    };
                    moments.push(readings.iter().map(|reading| text(reading.outcome)).collect());
                }
                _ => {}
            }
        }
    }

    fn refused(&self, why: RefusedFrame) -> u64 {
        self.counters.refused().find(|(reason, _)| *reason == why).unwrap().1
    }

    async fn stopped(mut self) {
        self.stop.cancel();
        let ended = tokio::time::timeout(Duration::from_secs(1), self.owner.join_next()).await;
        ended.expect("the player did not stop").unwrap().unwrap().unwrap();
    }
}

#[tokio::test]
async fn values_come_as_they_were_written() {
    let file =
        file("time_s,hr,pulse,resp,spo2,temp_c\n0,94,93,25,97.0,36.80\n1,,,,,\n2,95,x,24,,\nbroken\n3,96,,,96,\n");
    let mut playing = play(&file, Recording::Values(None), 100.0, false, 256);
    let expected: [&[&str]; 3] =
        [&["94/min", "93/min", "25/min", "97.0%", "36.80Cel"], &["95/min", "24/min"], &["96/min", "96%"]];
    assert_eq!(playing.values().await, expected);
    assert_eq!((playing.refused(RefusedFrame::Cell), playing.refused(RefusedFrame::Line)), (1, 1));
    assert_eq!(playing.counters.accepted(), 3);
    playing.stopped().await;
}

#[tokio::test]
async fn only_the_columns_that_are_wanted() {
    let file = file("time_s,hr,pulse,resp,spo2\n0,94,93,25,97\n");
    let mut playing = play(&file, Recording::Values(Some(vec![Column::RespiratoryRate])), 100.0, false, 256);
    assert_eq!(playing.values().await, [["25/min"]]);
    playing.stopped().await;
}

#[tokio::test]
async fn it_keeps_its_pace_times_its_speed() {
    // The first row is the start, wherever the recording's clock stood.
    let file = file("time_s,hr\n3600,80\n3605,81\n3610,82\n");
    let began = Instant::now();
    let mut playing = play(&file, Recording::Values(None), 20.0, false, 256);
    assert_eq!(playing.values().await.len(), 3);
    let took = began.elapsed();
    assert!(took >= Duration::from_millis(500) && took < Duration::from_millis(1500), "{took:?}");
    playing.stopped().await;
}

#[tokio::test]
async fn it_waits_for_room_and_loses_nothing() {
    let rows: String = (0..200).map(|n| format!("0.{n:03},{}\n", 60 + n)).collect();
    let file = file(&format!("time_s,hr\n{rows}"));
    let mut playing = play(&file, Recording::Values(None), 1000.0, false, 1);
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert!(playing.counters.accepted() < 3, "there is room for one");
    let values = playing.values().await;
    assert_eq!(values.len(), 200);
    assert_eq!(values[199], ["259/min"]);
    playing.stopped().await;
}

#[tokio::test]
async fn it_begins_again_if_configured() {
    let file = file("time_s,hr\n0,80\n1,81\n");
    let mut playing = play(&file, Recording::Values(None), 100.0, true, 256);
    let mut moments = 0;
    while moments < 7 {
        moments += usize::from(matches!(playing.next().await, Taken::Readings { .. }));
    }
    playing.stopped().await;
}

#[tokio::test]
async fn recorded_frames_go_through_the_decoder() {
    let frame = |at_ms: u64, pulse: u8| format!("{{\"at_ms\": {at_ms}, \"hex\": \"80{pulse:02X}6100\"}}\n");
    let text: String = (0..4).map(|n| frame(n * 1000, 70 + u8::try_from(n).unwrap())).collect();
    let file = file(&format!("{text}no JSON\n"));
    let mut playing = play(&file, Recording::Frames(Protocol::NoninDf8), 50.0, false, 256);
    // The first frame of a line without checksums is not yet believed.
    assert_eq!(playing.values().await, [["97%", "71/min"], ["97%", "72/min"], ["97%", "73/min"]]);
    assert_eq!(playing.counters.refused_in_all(), 1);
    playing.stopped().await;
}

#[tokio::test]
async fn a_recording_that_cannot_be_played_is_an_absent_device() {
    for text in ["when,what\n1,2\n", ""] {
        let mut playing = play(&file(text), Recording::Values(None), 1.0, false, 256);
        assert!(playing.values().await.is_empty());
        playing.stopped().await;
    }
}

#[tokio::test]
async fn the_supervisor_holds_every_device_and_all_end_with_the_stop() {
    let recording = file("time_s,hr\n0,80\n");
    let replay = ReplayConfig {
        path: recording.path().to_owned(),
        recording: Recording::Values(None),
        speed: Speed::OWN,
        repeat: false,
    };
    let nowhere = recording.path().with_extension("no-port");
    let configs = vec![
        DeviceConfig { name: "recording".parse().unwrap(), source: Source::Replay(replay) },
        DeviceConfig {
            name: "oximeter".parse().unwrap(),
            source: Source::Serial(SerialConfig::new(nowhere, Protocol::Bci)),
        },
    ];
    let (out, mut taken) = channel(256);
    let mut supervisor = Supervisor::new();
    let devices = own_all(&mut supervisor, configs, &Clock::system(), &out);
    drop(out);
    let stop = supervisor.stop();
    let mut process = JoinSet::new();
    process.spawn(supervisor.run(Duration::from_secs(5)));
    let mut told = Vec::new();
    while told.len() < 4 {
        told.push(match taken.recv().await.unwrap() {
            Taken::Readings { device, .. } => format!("{device} readings"),
            Taken::Device(status) => format!("{} {:?}", status.device, status.state),
            Taken::Overrun { device, .. } => format!("{device} overrun"),
        });
    }
    told.sort();
    assert_eq!(told, ["oximeter Absent", "recording Absent", "recording Connected", "recording readings"]);
    let accepted: Vec<_> = devices.iter().map(|device| (device.name.to_string(), device.counters.accepted())).collect();
    assert_eq!(accepted, [("recording".to_owned(), 1), ("oximeter".to_owned(), 0)]);
    stop.cancel();
    assert_eq!(process.join_next().await.unwrap().unwrap(), Exit::Drained);
    assert!(taken.recv().await.is_none(), "nobody holds the channel any more");
}
