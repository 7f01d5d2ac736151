//! `monitor-server`: arguments → configuration → run → exit code.

use std::io::{self, Read, Write};
use std::path::Path;
use std::process::ExitCode;

use clap::Parser;
use runtime::clock::Clock;
use runtime::evaluate::Wanted;
use runtime::exit::Exit;
use runtime::logging::{self, Format, Level};
use serde_json::{Value, json};
use server::access::{Scope, Ward};
use server::admin::answer::Failure;
use server::admin::office::Desk;
use server::admin::{After, PatientDetails, Request, socket};
use server::app::{self, CannotStart};
use server::check;
use server::cli::{Arguments, At, Audit, Command, Hub, Patient, Token};
use server::config::Config;
use server::evaluate::AREAS;
use server::limits::OPEN_FILES_WANTED;
use server::setup::{self, CannotOpen};
use server::store::backup::BackupSecret;

/// Largest file a command reads, in octets.
const FILE_BYTES_MAX: u64 = 64 * 1024;

fn main() -> ExitCode {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => {
            let _ = error.print();
            return if error.use_stderr() { Exit::Usage.into() } else { ExitCode::SUCCESS };
        }
    };
    match arguments.command {
        Command::Run { data } => run(&data),
        Command::Check(at) => check(&at),
        Command::Evaluate { area, compare } => evaluate(area.as_deref(), compare),
        command => carry_out(command),
    }
}

fn print(text: &str) {
    // A reader that went away is no failure of ours.
    let _ = writeln!(io::stdout(), "{text}");
}

fn run(data: &Path) -> ExitCode {
    if let Err(error) = runtime::process::forbid_core_dumps() {
        let _ = writeln!(io::stderr(), "core dumps cannot be forbidden: {error}");
    }
    let format = Config::load(data).map_or(Format::Text, |config| config.log);
    logging::init(format, Level::Info);
    expect_open_files();
    let announce = |addresses: &app::Addresses| print(&json!({ "listening": addresses }).to_string());
    let ended = runtime::process::block_on(async {
        match app::run(data, announce).await {
            Ok(exit) => exit,
            Err(error) => {
                let cause: &dyn std::error::Error = &error;
                tracing::error!(cause, "the server cannot start; `monitor-server check` says more");
                match error {
                    CannotStart::Open(CannotOpen::Configuration(_)) => Exit::Configuration,
                    _ => Exit::OwnerLost,
                }
            }
        }
    });
    ended.unwrap_or_else(|_| Exit::OwnerLost.into())
}

/// A server that runs out of open files refuses hubs: it takes all it may have, and says so if they are too few.
fn expect_open_files() {
    match runtime::process::raise_open_files() {
        Ok(Some(allowed)) if allowed < OPEN_FILES_WANTED => tracing::warn!(
            allowed,
            wanted = OPEN_FILES_WANTED,
            "fewer open files are allowed than there may be connections; raise LimitNOFILE"
        ),
        Ok(_) => {}
        Err(error) => tracing::warn!(%error, "the number of open files cannot be raised; raise LimitNOFILE"),
    }
}

fn check(at: &At) -> ExitCode {
    let report = check::check(&at.data, Clock::system().wall());
    if at.json {
        print(&report.to_json().to_string());
    } else {
        print(report.to_string().trim_end());
    }
    if report.is_well() { Exit::Drained.into() } else { Exit::Configuration.into() }
}

fn evaluate(area: Option<&str>, compare: bool) -> ExitCode {
    let wanted = Wanted::of(area, compare);
    runtime::evaluate::carry_out(AREAS, wanted, io::stdin().lock(), io::stdout().lock(), io::stderr().lock()).into()
}

fn carry_out(command: Command) -> ExitCode {
    let json = wants_json(&command);
    match answer(command) {
        Ok(answer) if json => {
            print(&answer.to_string());
            ExitCode::SUCCESS
        }
        Ok(answer) => {
            print(&for_people(&answer));
            ExitCode::SUCCESS
        }
        Err(failure) if json => {
            print(&failure.to_json().to_string());
            ExitCode::FAILURE
        }
        Err(failure) => {
            let _ = writeln!(io::stderr(), "{failure}");
            ExitCode::FAILURE
        }
    }
}

fn wants_json(command: &Command) -> bool {
    match command {
        Command::Init(init) => init.at.json,
        Command::Run { .. } | Command::BackupKey { .. } | Command::Evaluate { .. } => false,
        Command::Check(at) | Command::Counts(at) | Command::Reload(at) => at.json,
        Command::Bind { at, .. } | Command::Backup { at, .. } | Command::Restore { at, .. } => at.json,
        Command::Hub(Hub::Enrol { at, .. } | Hub::List(at) | Hub::Revoke { at, .. }) => at.json,
        Command::Patient(Patient::Add { at, .. } | Patient::List(at)) => at.json,
        Command::Token(Token::Create { at, .. } | Token::Revoke { at, .. }) => at.json,
        Command::Audit(Audit::Verify(at)) => at.json,
    }
}

fn answer(command: Command) -> Result<Value, Failure> {
    let now = Clock::system().wall();
    match command {
        Command::Init(options) => {
            let token = setup::init(&options, now)?;
            Ok(json!({ "administrator_token": *token, "data": options.at.data }))
        }
        Command::BackupKey { identity } => {
            let what = "backup-key";
            if identity.exists() {
                return Err(Failure::new(what, "the file exists", "Choose a new file; nothing was changed"));
            }
            let secret = BackupSecret::generate().map_err(|error| Failure::new(what, error, "Try again"))?;
            runtime::files::write_atomically(&identity, secret.reveal().as_bytes(), 0o600)
                .map_err(|error| Failure::new(what, error, "Choose a new file in a folder you may write"))?;
            Ok(json!({ "recipient": secret.recipient().to_string() }))
        }
        Command::Restore { at, from, identity } => {
            setup::restore(&at.data, &from, &identity, now)?;
            Ok(json!({ "restored": from }))
        }
        Command::Hub(Hub::Enrol { at, csr, label, out }) => {
            let what = "hub enrol";
            let csr_pem = String::from_utf8(read(what, &csr)?).map_err(|_| {
                Failure::new(what, "the request is not text", "Give the file `hub-agent identity new` made")
            })?;
            let done = ask(&at, Request::HubEnrol { csr_pem, label })?;
            let enrolment = done.get("enrolment").map(Value::to_string).unwrap_or_default();
            runtime::files::write_atomically(&out, enrolment.as_bytes(), 0o600)
                .map_err(|error| Failure::new(what, error, "The hub is enrolled; revoke it and enrol it again"))?;
            Ok(json!({ "hub": done.get("hub"), "out": out }))
        }
        command => {
            let (at, request) = request(command)?;
            ask(&at, request)
        }
    }
}

fn request(command: Command) -> Result<(At, Request), Failure> {
    Ok(match command {
        Command::Counts(at) => (at, Request::Counts),
        Command::Reload(at) => (at, Request::Reload),
        Command::Bind { at, hub, device, slot, patient } => (at, Request::Bind { hub, device, slot, patient }),
        Command::Backup { at, to, recipient } => {
            let to =
                std::path::absolute(&to).map_err(|error| Failure::new("backup", error, "Give an absolute path"))?;
            (at, Request::Backup { to, recipient })
        }
        Command::Hub(Hub::List(at)) => (at, Request::HubList),
        Command::Hub(Hub::Revoke { at, hub, compromised_since }) => (at, Request::HubRevoke { hub, compromised_since }),
        Command::Patient(Patient::List(at)) => (at, Request::PatientList),
        Command::Patient(Patient::Add { at, file, nhs_number, name, born, ward }) => {
            let details = match file {
                Some(file) => serde_json::from_slice(&read("patient add", &file)?).map_err(|_| {
                    let cause = "the input is not a JSON object with nhs_number, name, born and ward";
                    Failure::new("patient add", cause, "See `monitor-server patient add --help`")
                })?,
                None => PatientDetails {
                    nhs_number: nhs_number.unwrap_or_default(),
                    name: name.unwrap_or_default(),
                    born: born.unwrap_or_default(),
                    ward: ward_of("patient add", ward.unwrap_or_default())?,
                },
            };
            (at, Request::PatientAdd(details))
        }
        Command::Token(Token::Create { at, role, name, wards, all_wards, days }) => {
            let scope = if all_wards {
                Scope::AllWards
            } else {
                Scope::Wards(wards.into_iter().map(|ward| ward_of("token create", ward)).collect::<Result<_, _>>()?)
            };
            (at, Request::TokenCreate { role, name, scope, days })
        }
        Command::Token(Token::Revoke { at, token }) => (at, Request::TokenRevoke { token }),
        Command::Audit(Audit::Verify(at)) => (at, Request::AuditVerify),
        // Carried out before they come here.
        Command::Init(_)
        | Command::Run { .. }
        | Command::Check(_)
        | Command::BackupKey { .. }
        | Command::Evaluate { .. }
        | Command::Restore { .. }
        | Command::Hub(Hub::Enrol { .. }) => {
            return Err(Failure::new("command", "this command asks nothing of the store", "Report this"));
        }
    })
}

fn ward_of(what: &str, name: String) -> Result<Ward, Failure> {
    Ward::try_from(name).map_err(|error| Failure::new(what, error, "Correct the ward's name"))
}

fn read(what: &str, path: &Path) -> Result<Vec<u8>, Failure> {
    let read = if path == Path::new("-") {
        let mut bytes = Vec::new();
        io::stdin().take(FILE_BYTES_MAX).read_to_end(&mut bytes).map(|_| bytes)
    } else {
        runtime::files::read_bounded(path, FILE_BYTES_MAX)
    };
    read.map_err(|error| Failure::new(what, format!("{}: {error}", path.display()), "Check the path"))
}

/// Through the running server, else with the data folder locked.
fn ask(at: &At, request: Request) -> Result<Value, Failure> {
    let what = request.name();
    if let Some(answer) = socket::ask(&at.data.join("run"), &request)? {
        return Ok(answer);
    }
    if matches!(request, Request::Reload) {
        return Err(Failure::new(what, "the server does not run", "Start it: it reads everything when it starts"));
    }
    let wall = Clock::system().wall();
    let mut system = setup::open(&at.data, wall)
        .map_err(|error| Failure::new(what, error, "Check the data folder with `monitor-server check`"))?;
    let committed = server::store::Store::restore_alerts(&mut system.store, &mut system.alerts)
        .map_err(|error| Failure::of_store(what, &error))?;
    let now = committed.map_or(wall, |committed| committed.max(wall));
    let actor = setup::local_operator();
    let mut desk = Desk { store: &mut system.store, alerts: &mut system.alerts, actor: &actor, now, wall };
    let done = system.office.carry_out(&mut desk, request)?;
    // Hubs and doors learn the rest when the server runs.
    if let Some(After::Backup(backup)) = done.after {
        backup.make()?;
    }
    Ok(done.answer)
}

/// One line for each field; lists of objects one line an object.
fn for_people(answer: &Value) -> String {
    let plain = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let Some(fields) = answer.as_object() else { return plain(answer) };
    let mut lines = Vec::new();
    for (name, value) in fields {
        match value.as_array() {
            Some(rows) if rows.iter().all(Value::is_object) => {
                lines.extend(rows.iter().map(|row| {
                    let row = row.as_object().into_iter().flatten();
                    row.map(|(name, value)| format!("{name}={}", plain(value))).collect::<Vec<_>>().join("  ")
                }));
            }
            _ => lines.push(format!("{name}: {}", plain(value))),
        }
    }
    lines.join("\n")
}
