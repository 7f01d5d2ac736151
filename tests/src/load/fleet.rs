//! Hubs of a load: enrolled, with devices bound to patients who do not exist. Kept in a file, so that a server of many
//! rows can be loaded again.

use std::path::Path;
use std::sync::{Mutex, PoisonError};

use agent::identity::Identity;
use anyhow::{Context, bail};
use rustls_pki_types::PrivateKeyDer;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use server::access::Ward;
use server::admin::{PatientDetails, Request, socket};
use shared::enrolment::Enrolment;
use shared::id::{BindingId, DeviceId, HubId, PatientId};
use shared::wire::PreviousStream;

use crate::patients::nhs_numbers;

/// The ward of everybody in a load.
pub const WARD: &str = "Load ward";
/// Requests asked at once: as many as the server's administration serves.
const ASKED_AT_ONCE: usize = 8;

/// An enrolled hub and what it needs to go on.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Member {
    /// Its private key, PKCS#8 in hexadecimal.
    pub key: String,
    /// Its enrolment.
    pub enrolment: Enrolment,
    /// A binding for each of its patients; the device is `oximeter-{place}`.
    pub bindings: Vec<BindingId>,
    /// The stream of its last load.
    pub previous: Option<PreviousStream>,
}

/// All hubs of a load.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Fleet {
    /// They.
    pub members: Vec<Member>,
}

impl Fleet {
    /// The fleet of a file, or none.
    ///
    /// # Errors
    /// If the file is there and unreadable.
    pub fn load(file: &Path) -> anyhow::Result<Self> {
        if !file.exists() {
            return Ok(Self::default());
        }
        serde_json::from_slice(&std::fs::read(file)?).with_context(|| format!("{} is no fleet", file.display()))
    }

    /// Keeps it.
    ///
    /// # Errors
    /// The system's.
    pub fn save(&self, file: &Path) -> anyhow::Result<()> {
        Ok(std::fs::write(file, serde_json::to_vec(self)?)?)
    }

    /// Enrols hubs until there are so many; each new one has so many patients. The server runs; `run_folder` holds
    /// its administration socket.
    ///
    /// # Errors
    /// If the server refuses.
    pub fn grow(&mut self, run_folder: &Path, hubs: usize, patients_each: usize) -> anyhow::Result<()> {
        let patients: usize = self.members.iter().map(|member| member.bindings.len()).sum();
        let mut numbers = nhs_numbers().skip(patients);
        let new = self.members.len()..hubs;
        let work: Vec<Vec<String>> = new.map(|_| numbers.by_ref().take(patients_each).collect()).collect();
        let work = Mutex::new(work.into_iter());
        let enrolling = || -> anyhow::Result<Vec<Member>> {
            let next = || work.lock().unwrap_or_else(PoisonError::into_inner).next();
            std::iter::from_fn(next).map(|numbers| enrol(run_folder, &numbers)).collect()
        };
        let enrolled: anyhow::Result<Vec<Vec<Member>>> = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..ASKED_AT_ONCE).map(|_| scope.spawn(enrolling)).collect();
            threads.into_iter().map(|thread| thread.join().unwrap_or_else(|_| bail!("enrolling panicked"))).collect()
        });
        self.members.extend(enrolled?.into_iter().flatten());
        Ok(())
    }
}

/// Asks the running server.
///
/// # Errors
/// Its refusal, or if it does not run.
pub fn ask(run_folder: &Path, request: &Request) -> anyhow::Result<Value> {
    let answer = socket::ask(run_folder, request).map_err(|failure| anyhow::anyhow!("{}", failure.to_json()))?;
    answer.context("the server does not run")
}

fn enrol(run_folder: &Path, nhs_numbers: &[String]) -> anyhow::Result<Member> {
    let identity = Identity::generate()?;
    let hub = HubId::from_bytes(runtime::entropy::array()?);
    let request = Request::HubEnrol { csr_pem: identity.request(hub)?, label: format!("Load {hub}") };
    let answer = ask(run_folder, &request)?;
    let enrolment: Enrolment = serde_json::from_value(answer["enrolment"].clone())?;
    let mut bindings = Vec::new();
    for (place, nhs_number) in nhs_numbers.iter().enumerate() {
        let ward = Ward::try_from(WARD.to_owned()).map_err(|_| anyhow::anyhow!("no name for a ward"))?;
        let (name, born) = ("Fictional, Load".to_owned(), "1950-01-01".to_owned());
        let details = PatientDetails { nhs_number: nhs_number.clone(), name, born, ward };
        let answer = ask(run_folder, &Request::PatientAdd(details))?;
        let patient: PatientId = serde_json::from_value(answer["patient"].clone())?;
        let answer = ask(run_folder, &Request::Bind { hub, device: device(place)?, slot: None, patient })?;
        bindings.push(serde_json::from_value(answer["binding"].clone())?);
    }
    let PrivateKeyDer::Pkcs8(key) = identity.private_key() else { bail!("the key is not PKCS#8") };
    Ok(Member { key: shared::hex::encode(key.secret_pkcs8_der()), enrolment, bindings, previous: None })
}

/// The device of a hub's patient.
///
/// # Errors
/// None for places a hub can have.
pub fn device(place: usize) -> anyhow::Result<DeviceId> {
    Ok(format!("oximeter-{place}").parse()?)
}
