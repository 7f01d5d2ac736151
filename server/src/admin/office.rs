//! Carries requests out, in the store's thread.

use std::path::PathBuf;
use std::time::Duration;

use serde_json::{Value, json};
use shared::hex;
use shared::id::{HubId, TokenId};
use shared::nhs_number::NhsNumber;
use shared::sealing::SealingPublic;
use shared::time::Timestamp;
use shared::wire::{Settings, SignedSettings};

use super::answer::Failure;
use super::reload::{CurrentAuthority, Fresh};
use super::{PatientDetails, Request};
use crate::access::{Action, Actor, Permit, permit};
use crate::config::Population;
use crate::keys::SealedFolder;
use crate::provisioning::enrolment::{Whereabouts, enrolment};
use crate::provisioning::request::HubRequest;
use crate::provisioning::secrets::ControlKey;
use crate::store::backup::Recipient;
use crate::store::sqlite::copy_out;
use crate::store::{AlertSink, BackupSource, Committed, NewBinding, NewHub, NewPatient, NewToken, Store, StoreError};

/// Longest name of a patient or a user, in characters.
const NAME_CHARS_MAX: usize = 120;
/// Longest life of a token, in days.
const TOKEN_DAYS_MAX: u32 = 366;

/// Signs and decides. One for each process.
pub struct Office {
    /// Signs certificates.
    pub authority: CurrentAuthority,
    /// Signs settings.
    pub control: ControlKey,
    /// What new streams are sealed to.
    pub sealing: SealingPublic,
    /// Where hubs find the server.
    pub whereabouts: Whereabouts,
    /// Whose NHS numbers are taken.
    pub population: Population,
    /// The names the server's certificate must have.
    pub certificate_names: Vec<String>,
    /// The private keys.
    pub vault: SealedFolder,
    /// Where certificates and sealed keys lie.
    pub keys_folder: PathBuf,
}

/// What a request became.
#[derive(Debug)]
pub struct Done {
    /// The answer, JSON.
    pub answer: Value,
    /// What was committed besides: alert events for the feed.
    pub committed: Option<Committed>,
    /// What the rest of the server must learn.
    pub after: Option<After>,
}

/// What the rest of the server must learn or do.
#[derive(Debug, Clone)]
pub enum After {
    /// New settings wait for the hub.
    SettingsWaiting(HubId, u64),
    /// The hub's certificates were taken back: cut its session, make the list anew.
    Revoked(HubId),
    /// Certificates and roots were read and tried: put them in force.
    Reloaded(Box<Fresh>),
    /// The backup is noted and allowed, not made: [`Backup::make`], away from the store's thread.
    Backup(Backup),
}

/// A backup to be made.
#[derive(Debug, Clone)]
pub struct Backup {
    source: BackupSource,
    to: PathBuf,
    recipient: Recipient,
}

impl Backup {
    /// Makes it; takes long.
    ///
    /// # Errors
    /// [`Failure`]; then there is no backup.
    pub fn make(&self) -> Result<(), Failure> {
        copy_out(&self.source, &self.to, &self.recipient).map_err(|error| Failure::of_store("backup", &error))
    }
}

impl From<Value> for Done {
    fn from(answer: Value) -> Self {
        Self { answer, committed: None, after: None }
    }
}

/// One request's circumstances.
pub struct Desk<'a> {
    /// The store.
    pub store: &'a mut dyn Store,
    /// The alert engine.
    pub alerts: &'a mut dyn AlertSink,
    /// Who asks.
    pub actor: &'a Actor,
    /// When, by the engine's clock: for the store and its audit log.
    pub now: Timestamp,
    /// When, by the wall clock: for certificates, settings and the end of tokens.
    pub wall: Timestamp,
}

impl Desk<'_> {
    pub(super) fn permit(&mut self, action: Action, what: &str) -> Result<Permit, Failure> {
        match permit(self.actor, action) {
            Ok(permit) => Ok(permit),
            Err(refused) => {
                self.store.refused(self.actor, action, self.now).map_err(|error| Failure::of_store(what, &error))?;
                Err(Failure::of_policy(what, &refused))
            }
        }
    }
}

impl Office {
    /// Carries a request out.
    ///
    /// # Errors
    /// [`Failure`], for people and programs.
    pub fn carry_out(&self, desk: &mut Desk<'_>, request: Request) -> Result<Done, Failure> {
        let what = request.name();
        let store_says = |error: StoreError| Failure::of_store(what, &error);
        let (now, wall) = (desk.now, desk.wall);
        match request {
            Request::PatientAdd(details) => self.patient_add(desk, details),
            Request::PatientList => {
                let permit = desk.permit(Action::PatientList, what)?;
                let patients = desk.store.patient_list(&permit, now);
                Ok(json!({ "patients": patients.map_err(store_says)? }).into())
            }
            Request::HubEnrol { csr_pem, label } => self.hub_enrol(desk, &csr_pem, &label),
            Request::HubList => {
                let permit = desk.permit(Action::HubList, what)?;
                let hubs = desk.store.hub_list(&permit, now);
                Ok(json!({ "hubs": hubs.map_err(store_says)? }).into())
            }
            Request::HubRevoke { hub, compromised_since } => {
                let permit = desk.permit(Action::HubRevoke, what)?;
                desk.store.hub_revoke(&permit, hub, compromised_since, wall, now).map_err(store_says)?;
                Ok(Done { after: Some(After::Revoked(hub)), ..Done::from(json!({ "revoked": hub })) })
            }
            Request::Bind { hub, device, slot, patient } => {
                let permit = desk.permit(Action::Bind, what)?;
                let binding = NewBinding { hub, device, slot, patient };
                let (bound, committed) = desk.store.bind(&permit, &binding, desk.alerts, now).map_err(store_says)?;
                let after = Some(After::SettingsWaiting(hub, bound.settings_counter));
                Ok(Done { answer: json!(bound), committed: Some(committed), after })
            }
            Request::TokenCreate { role, name, scope, days } => {
                let permit = desk.permit(Action::TokenCreate, what)?;
                let (token, shown) = new_token(what, (role, name, scope), days, (wall, now))?;
                desk.store.token_create(&permit, &token, now).map_err(store_says)?;
                Ok(json!({ "token": shown, "token_id": token.token, "expires": token.expires }).into())
            }
            Request::TokenRevoke { token } => {
                let permit = desk.permit(Action::TokenRevoke, what)?;
                desk.store.token_revoke(&permit, token, now).map_err(store_says)?;
                Ok(json!({ "revoked": token }).into())
            }
            Request::AuditVerify => {
                let permit = desk.permit(Action::AuditVerify, what)?;
                let verdict = desk.store.audit_verify(&permit, now);
                Ok(json!(verdict.map_err(store_says)?).into())
            }
            Request::Counts => {
                let permit = desk.permit(Action::StoreCount, what)?;
                let counts = desk.store.counts(&permit, now);
                Ok(json!(counts.map_err(store_says)?).into())
            }
            Request::Backup { to, recipient } => {
                let permit = desk.permit(Action::Backup, what)?;
                back_up(desk, &permit, to, &recipient)
            }
            Request::Reload => self.reload(desk),
        }
    }

    /// A hub's settings, signed. `wall` is the wall clock's time: the hub checks no certificate at an earlier one.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn signed_settings(
        &self,
        store: &mut dyn Store,
        hub: HubId,
        wall: Timestamp,
    ) -> Result<SignedSettings, StoreError> {
        let (counter, bindings) = store.hub_settings(hub)?;
        let settings = Settings { hub, counter, issued: wall, bindings, sealing_key: self.sealing.clone() };
        self.control.sign(&settings).map_err(|error| StoreError::Unreadable(Box::new(error)))
    }

    fn patient_add(&self, desk: &mut Desk<'_>, details: PatientDetails) -> Result<Done, Failure> {
        let what = "patient add";
        let permit = desk.permit(Action::PatientAdd, what)?;
        let refuse = |cause: &dyn std::fmt::Display| Failure::new(what, cause, "Correct it and try again");
        let nhs_number =
            NhsNumber::parse(&details.nhs_number, self.population.nhs_numbers()).map_err(|e| refuse(&e))?;
        if !is_name(&details.name) {
            return Err(refuse(&"the name must have 1 to 120 characters and no control characters"));
        }
        if !is_date(&details.born) {
            return Err(refuse(&"the date of birth must be a calendar date written YYYY-MM-DD"));
        }
        let patient = NewPatient { nhs_number, name: details.name, born: details.born, ward: details.ward };
        let added = desk.store.patient_add(&permit, &patient, desk.now);
        Ok(json!({ "patient": added.map_err(|error| Failure::of_store(what, &error))? }).into())
    }

    fn hub_enrol(&self, desk: &mut Desk<'_>, csr_pem: &str, label: &str) -> Result<Done, Failure> {
        let what = "hub enrol";
        let permit = desk.permit(Action::HubEnrol, what)?;
        if !is_name(label) {
            let cause = "the label must have 1 to 120 characters and no control characters";
            return Err(Failure::new(what, cause, "Give a label that names the box, not the patient"));
        }
        let refused = |error| Failure::of_provisioning(what, &error);
        let request = HubRequest::from_pem(csr_pem).map_err(|error| refused(error.into()))?;
        let authority = self.authority.get();
        let issued = authority.issue_hub(request, desk.wall).map_err(refused)?;
        let new = NewHub {
            hub: issued.hub,
            identity: issued.identity.clone(),
            certificate: issued.certificate.clone(),
            serial: issued.serial.clone(),
            not_before: issued.not_before,
            not_after: issued.not_after,
            label: label.to_owned(),
        };
        let store_says = |error: StoreError| Failure::of_store(what, &error);
        desk.store.hub_enrol(&permit, &new, desk.now).map_err(store_says)?;
        let settings = self.signed_settings(desk.store, issued.hub, desk.wall).map_err(store_says)?;
        let enrolment = enrolment(&authority, &self.control, &self.whereabouts, &issued, &settings)
            .map_err(|error| Failure::new(what, error, "Report this; the hub is enrolled but has no file"))?;
        Ok(json!({ "hub": issued.hub, "enrolment": enrolment }).into())
    }
}

fn back_up(desk: &mut Desk<'_>, permit: &Permit, to: PathBuf, recipient: &str) -> Result<Done, Failure> {
    let what = "backup";
    let recipient: Recipient = recipient.parse().map_err(|error| {
        Failure::new(what, error, "Make a key with `monitor-server backup-key` and give its public half")
    })?;
    let source = desk.store.backup(permit, desk.now).map_err(|error| Failure::of_store(what, &error))?;
    let answer = json!({ "backup": to });
    Ok(Done { after: Some(After::Backup(Backup { source, to, recipient })), ..Done::from(answer) })
}

fn new_token(
    what: &str,
    (role, name, scope): (crate::access::Role, String, crate::access::Scope),
    days: u32,
    (wall, now): (Timestamp, Timestamp),
) -> Result<(NewToken, String), Failure> {
    if !is_name(&name) {
        let cause = "the name must have 1 to 120 characters and no control characters";
        return Err(Failure::new(what, cause, "Say whom the token is for"));
    }
    if !(1..=TOKEN_DAYS_MAX).contains(&days) {
        return Err(Failure::new(what, "a token lasts 1 to 366 days", "Give --days in that range"));
    }
    let entropy = |_| Failure::new(what, "the operating system gives no randomness", "Try again");
    let id = TokenId::from_bytes(runtime::entropy::array().map_err(entropy)?);
    let secret: zeroize::Zeroizing<[u8; 32]> = zeroize::Zeroizing::new(runtime::entropy::array().map_err(entropy)?);
    let shown = format!("rpm_{id}_{}", hex::encode(secret.as_slice()));
    let life = Duration::from_secs(u64::from(days).saturating_mul(24 * 3600));
    let secret_hash = <sha2::Sha256 as sha2::Digest>::digest(secret.as_slice()).into();
    let (expires, expires_engine) = (wall.after(life), now.after(life));
    Ok((NewToken { token: id, secret_hash, name, role, scope, expires, expires_engine }, shown))
}

fn is_name(text: &str) -> bool {
    (1..=NAME_CHARS_MAX).contains(&text.chars().count()) && !text.chars().any(char::is_control)
}

fn is_date(text: &str) -> bool {
    // The time of day makes it RFC 3339, whose reader knows the calendar.
    text.len() == 10 && format!("{text}T00:00:00Z").parse::<Timestamp>().is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_calendar_dates() {
        assert!(is_date("1950-02-28"));
        for wrong in ["1950-02-30", "28-02-1950", "1950-2-28", "", "1950-02-28T"] {
            assert!(!is_date(wrong), "{wrong}");
        }
    }

    #[test]
    fn a_token_is_shown_once_and_kept_as_a_hash() {
        let (wall, engine) = (Timestamp::from_millis(0), Timestamp::from_millis(7));
        let make = |days| {
            let scope = crate::access::Scope::AllWards;
            let whose = (crate::access::Role::Clinician, "Night screen".into(), scope);
            new_token("token create", whose, days, (wall, engine))
        };
        let (token, shown) = make(1).unwrap();
        let secret = hex::decode(shown.rsplit('_').next().unwrap()).unwrap();
        assert_eq!(secret.len(), 32);
        let hash: [u8; 32] = <sha2::Sha256 as sha2::Digest>::digest(&secret).into();
        assert_eq!(hash, token.secret_hash);
        let day_ms = 24 * 3600 * 1000;
        let ends = (token.expires.as_millis(), token.expires_engine.as_millis());
        assert_eq!(ends, (day_ms, day_ms + 7));
        assert!(make(0).is_err() && make(367).is_err());
    }
}
