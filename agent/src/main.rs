//! `hub-agent`: arguments → configuration → run → exit code.

use std::io::{self, Write};
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use agent::app::{self, CannotStart};
use agent::capture::{self, Reader};
use agent::cli::{Arguments, Capture, Command, IdentityCommand};
use agent::config::Config;
use agent::decode::quirks::{Identity, Quirks};
use agent::devices::models::Model;
use agent::evaluate::AREAS;
use agent::status::listen::Ended;
use agent::{health, identity, status};
use clap::Parser;
use runtime::clock::Clock;
use runtime::config_file::{Problem, Problems};
use runtime::evaluate::Wanted;
use runtime::exit::Exit;
use runtime::logging::{self, Format, Level};

fn main() -> ExitCode {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => {
            let _ = error.print();
            let is_help = !error.use_stderr();
            return if is_help { ExitCode::SUCCESS } else { Exit::Usage.into() };
        }
    };
    let code = match arguments.command {
        Command::Identity { command: IdentityCommand::New { key, csr, force } } => new_identity(&key, &csr, force),
        Command::Run { config } => run(&config),
        Command::Check { config, json } => check(&config, json),
        Command::Status { config, json } => show_status(&config, json),
        Command::Devices { config, json } => show_devices(&config, json),
        Command::Listen { config, device, json } => listen(&config, &device, json),
        Command::Decode(capture) => return decode(&capture),
        Command::Evaluate { area, compare } => return evaluate(area.as_deref(), compare),
    };
    code.into()
}

/// Output that nobody reads is no reason to fail.
fn say(text: &str) {
    let _ = writeln!(io::stdout().lock(), "{text}");
}

fn complain(text: &str) {
    let _ = writeln!(io::stderr().lock(), "{text}");
}

fn decode(asked: &Capture) -> ExitCode {
    let quirks = asked.model.as_deref().map_or(Quirks::NONE, |model| Quirks::of(&Identity::named(model)));
    let reader = match (asked.characteristic, asked.protocol) {
        (Some(characteristic), _) => Reader::Characteristic(characteristic, quirks),
        (None, Some(protocol)) => Reader::Protocol(protocol),
        (None, None) => match asked.model.as_deref().unwrap_or_default().parse::<Model>().map(Model::protocol) {
            Ok(Some(protocol)) => Reader::Protocol(protocol),
            Ok(None) => {
                complain("this model may speak several protocols: give --protocol");
                return Exit::Usage.into();
            }
            Err(error) => {
                complain(&format!("{error}; or give --characteristic"));
                return Exit::Usage.into();
            }
        },
    };
    let mut pieces = Vec::new();
    for text in &asked.hex {
        let read = if text == "-" {
            capture::lines(io::stdin().lock())
        } else {
            capture::octets(text).map(|piece| vec![piece])
        };
        match read {
            Ok(read) => pieces.extend(read),
            Err(error) => {
                complain(&error.to_string());
                return Exit::Usage.into();
            }
        }
    }
    match capture::print(reader, &pieces, asked.json, &mut io::stdout().lock()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        // A reader that went away is no failure of ours.
        Err(_) => ExitCode::SUCCESS,
    }
}

fn evaluate(area: Option<&str>, compare: bool) -> ExitCode {
    let wanted = Wanted::of(area, compare);
    runtime::evaluate::carry_out(AREAS, wanted, io::stdin().lock(), io::stdout().lock(), io::stderr().lock()).into()
}

fn new_identity(key: &Path, csr: &Path, force: bool) -> Exit {
    match identity::create(key, csr, force) {
        Ok(hub) => {
            say(&hub.to_string());
            Exit::Drained
        }
        Err(error) => {
            complain(&format!("{}: {error}", key.display()));
            Exit::Configuration
        }
    }
}

fn run(file: &Path) -> Exit {
    let is_protected = runtime::process::forbid_core_dumps();
    let chosen = match app::choose(file) {
        Ok(chosen) => chosen,
        Err(problems) => {
            logging::init(Format::Text, Level::Info);
            tracing::error!(%problems, "no usable configuration, and no last good one; see `hub-agent check`");
            return Exit::Configuration;
        }
    };
    logging::init(chosen.config.log, Level::Info);
    if let Err(error) = is_protected {
        tracing::warn!(%error, "core dumps cannot be forbidden; a crash could write keys to the disk");
    }
    // One thread for all tasks: the hub is small, and what blocks has threads of its own.
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            tracing::error!(%error, "the runtime cannot be started");
            return Exit::OwnerLost;
        }
    };
    let ended = runtime.block_on(app::run(file, chosen));
    runtime.shutdown_timeout(Duration::from_secs(1));
    match ended {
        Ok(exit) => exit,
        Err(error) => {
            tracing::error!(%error, "the agent cannot start; see `hub-agent check`");
            match error {
                CannotStart::Problems(_) | CannotStart::Tls(_) | CannotStart::Settings(_) => Exit::Configuration,
                CannotStart::Lock(_) | CannotStart::Io(_) => Exit::OwnerLost,
            }
        }
    }
}

fn check(file: &Path, json: bool) -> Exit {
    let clock = Clock::system();
    let (problems, warnings): (Vec<Problem>, Vec<Problem>) = match Config::read(file) {
        Ok(config) => {
            let findings = health::check(&config, clock.wall(), clock.state());
            (findings.problems, findings.warnings)
        }
        Err(problems) => (problems.0, Vec::new()),
    };
    let is_good = problems.is_empty();
    let (problems, warnings) = (Problems(problems), Problems(warnings));
    if json {
        let (problems, warnings) = (problems.to_json(), warnings.to_json());
        say(&serde_json::json!({ "ok": is_good, "problems": problems, "warnings": warnings }).to_string());
    } else {
        problems.0.iter().for_each(|problem| say(&format!("problem: {problem}")));
        warnings.0.iter().for_each(|warning| say(&format!("warning: {warning}")));
        if is_good {
            say("the configuration is good");
        }
    }
    if is_good { Exit::Drained } else { Exit::Configuration }
}

/// The configuration that a running agent has: the one asked for, or the last good one.
fn configuration(file: &Path) -> Result<Config, Exit> {
    app::choose(file).map(|chosen| chosen.config).map_err(|problems| {
        complain(&problems.to_string());
        Exit::Configuration
    })
}

fn show_status(file: &Path, json: bool) -> Exit {
    let config = match configuration(file) {
        Ok(config) => config,
        Err(exit) => return exit,
    };
    let socket = config.status_socket();
    match status::ask(&socket) {
        Ok(status) if json => say(&status.to_string()),
        Ok(status) => {
            let _ = status::print(&status, &mut io::stdout().lock());
        }
        Err(error) => {
            complain(&status::no_answer(&socket, &error));
            return Exit::OwnerLost;
        }
    }
    Exit::Drained
}

fn show_devices(file: &Path, json: bool) -> Exit {
    let config = match configuration(file) {
        Ok(config) => config,
        Err(exit) => return exit,
    };
    let list = status::devices::list(&config, status::ask(&config.status_socket()).ok().as_ref());
    if json {
        say(&list.to_string());
    } else {
        status::devices::text(&list).iter().for_each(|line| say(line));
    }
    Exit::Drained
}

fn listen(file: &Path, device: &str, json: bool) -> Exit {
    let config = match configuration(file) {
        Ok(config) => config,
        Err(exit) => return exit,
    };
    let socket = config.status_socket();
    match status::listen::follow(&socket, device, json, &mut io::stdout().lock()) {
        Ok(Ended::Unread) => Exit::Drained,
        Ok(Ended::LetGo) => {
            complain("the agent stopped, or this listener was too slow");
            Exit::OwnerLost
        }
        Ok(Ended::Refused(why)) => {
            complain(&why);
            Exit::Usage
        }
        Err(error) => {
            complain(&status::no_answer(&socket, &error));
            Exit::OwnerLost
        }
    }
}
