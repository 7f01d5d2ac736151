//! The others, from Debian's packages: mosquitto, PostgreSQL, and the consumer between them.

use std::fmt::Write as _;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, bail};
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use tests::binaries::repository;
use tests::door_client::{Shown, client_config};
use tests::load::plain::Broker;
use tests::process::{self, Process};
use tests::wait;

const READY_WITHIN: Duration = Duration::from_secs(30);
/// Where Debian 12 puts PostgreSQL's programs.
const POSTGRES: &str = "/usr/lib/postgresql/15/bin";

/// A mosquitto that asks for client certificates, keeps nothing on disk and never discards.
pub(crate) struct Mosquitto {
    /// How to reach it.
    pub(crate) broker: Broker,
    folder: PathBuf,
    _process: Process,
}

/// An authority of its own, the broker's certificate and one for all clients, as files.
fn certificates(folder: &Path) -> anyhow::Result<()> {
    let authority_key = KeyPair::generate()?;
    let mut params = CertificateParams::new(Vec::new())?;
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.distinguished_name.push(DnType::CommonName, "comparison authority");
    let authority = params.self_signed(&authority_key)?;
    let issuer = Issuer::new(params, authority_key);
    std::fs::write(folder.join("ca.pem"), authority.pem())?;
    for name in ["localhost", "client"] {
        let key = KeyPair::generate()?;
        let mut params = CertificateParams::new(vec![name.to_owned()])?;
        params.distinguished_name.push(DnType::CommonName, name);
        let certificate = params.signed_by(&key, &issuer)?;
        std::fs::write(folder.join(format!("{name}.pem")), certificate.pem())?;
        std::fs::write(folder.join(format!("{name}.key")), key.serialize_pem())?;
    }
    Ok(())
}

impl Mosquitto {
    pub(crate) fn start(folder: &Path) -> anyhow::Result<Self> {
        certificates(folder)?;
        let address = TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], 0)))?.local_addr()?;
        let file = |name: &str| folder.join(name).display().to_string();
        let mut config = format!("listener {} 127.0.0.1\ncafile {}\n", address.port(), file("ca.pem"));
        write!(config, "certfile {}\nkeyfile {}\n", file("localhost.pem"), file("localhost.key"))?;
        config.push_str("require_certificate true\nallow_anonymous true\ntls_version tlsv1.3\nset_tcp_nodelay true\n");
        // Its default discards what a slow subscriber has not taken after 1,000 messages.
        config.push_str(
            "persistence false\nmax_queued_messages 0\nmax_inflight_messages 500\nuser root\nlog_type error\n",
        );
        std::fs::write(folder.join("mosquitto.conf"), config)?;
        let mut command = Command::new("/usr/sbin/mosquitto");
        command.args(["-c", &file("mosquitto.conf")]);
        let process = Process::start(command, &folder.join("mosquitto.log"))
            .context("mosquitto is not there: apt-get install mosquitto")?;
        wait::until("mosquitto to listen", READY_WITHIN, || TcpStream::connect(address).ok())?;
        let key = PrivateKeyDer::from_pem_file(folder.join("client.key"))?;
        let chain = vec![CertificateDer::from_pem_file(folder.join("client.pem"))?];
        let tls = client_config(&std::fs::read_to_string(folder.join("ca.pem"))?, Some(Shown { chain, key }))?;
        Ok(Self { broker: Broker { address, tls }, folder: folder.to_owned(), _process: process })
    }
}

/// A PostgreSQL as `initdb` makes it (every commit synced), with one table.
pub(crate) struct Postgres {
    database: String,
    _process: Process,
}

fn as_postgres(program: &str) -> Command {
    // It refuses to run as root.
    let mut command = Command::new("runuser");
    command.args(["-u", "postgres", "--", program]);
    command
}

impl Postgres {
    pub(crate) fn start(folder: &Path) -> anyhow::Result<Self> {
        let data = folder.join("postgres");
        std::fs::create_dir_all(&data)?;
        let mut chown = Command::new("chown");
        chown.arg("postgres").arg(&data);
        process::output(chown, "").context("PostgreSQL is not there: apt-get install postgresql")?;
        let mut init = as_postgres(&format!("{POSTGRES}/initdb"));
        init.args(["--auth=trust", "--encoding=UTF8", "--pgdata"]).arg(&data).current_dir("/");
        process::output(init, "")?;
        let mut command = as_postgres(&format!("{POSTGRES}/postgres"));
        command.arg("-D").arg(&data).arg("-k").arg(&data).args(["-h", ""]).current_dir("/");
        let process = Process::start(command, &folder.join("postgres.log"))?;
        let database = format!("host={} user=postgres dbname=postgres", data.display());
        let postgres = Self { database, _process: process };
        wait::until("PostgreSQL to answer", READY_WITHIN, || postgres.sql("SELECT 1").ok())?;
        postgres.sql(
            "CREATE TABLE observation (id BIGSERIAL PRIMARY KEY, hub TEXT NOT NULL, device TEXT NOT NULL, \
             metric TEXT NOT NULL, value NUMERIC NOT NULL, unit TEXT NOT NULL, taken BIGINT NOT NULL)",
        )?;
        postgres.sql("CREATE INDEX ON observation (hub, metric, taken)")?;
        Ok(postgres)
    }

    pub(crate) fn sql(&self, statement: &str) -> anyhow::Result<String> {
        let mut command = Command::new("psql");
        command.args(["-X", "-q", "-t", "-A", "-v", "ON_ERROR_STOP=1", "-d", &self.database, "-c", statement]);
        process::output(command, "")
    }

    pub(crate) fn rows(&self) -> anyhow::Result<u64> {
        Ok(self.sql("SELECT count(*) FROM observation")?.trim().parse()?)
    }
}

/// The consumer between the two.
pub(crate) struct Consumer {
    process: Process,
    progress: PathBuf,
}

impl Consumer {
    /// `mode` is `each` or `together`.
    pub(crate) fn start(mode: &str, mosquitto: &Mosquitto, postgres: &Postgres) -> anyhow::Result<Self> {
        let folder = &mosquitto.folder;
        let progress = folder.join("progress");
        let _ = std::fs::remove_file(&progress);
        let file = |name: &str| folder.join(name);
        let mut command = Command::new("/usr/bin/python3");
        command.arg(repository().join("tests/src/bin/compare/consumer.py")).arg(mode);
        command.arg(mosquitto.broker.address.port().to_string());
        command.arg(file("ca.pem")).arg(file("client.pem")).arg(file("client.key"));
        command.arg(&postgres.database).arg(&progress);
        let mut process = Process::start(command, &folder.join("consumer.log"))?;
        // It subscribes within a moment; what is published before reaches nobody.
        std::thread::sleep(Duration::from_secs(2));
        if let Some(code) = process.ended() {
            bail!(
                "the consumer ended with {code} (apt-get install python3-paho-mqtt python3-psycopg2):\n{}",
                process.said()
            );
        }
        Ok(Self { process, progress })
    }

    /// Rows it has committed.
    pub(crate) fn stored(&self) -> u64 {
        std::fs::read_to_string(&self.progress).ok().and_then(|text| text.trim().parse().ok()).unwrap_or(0)
    }

    /// Ends it.
    pub(crate) fn end(self) -> anyhow::Result<()> {
        self.process.kill()
    }
}
