//! Certificates, keys and roots read again from the data folder, and tried before anything uses them.

use std::sync::{Arc, PoisonError, RwLock};

use serde_json::json;
use shared::hex;
use shared::time::Timestamp;

use super::answer::Failure;
use super::office::{After, Desk, Done, Office};
use crate::access::Action;
use crate::broker::tls::{Belief, Prepared, Shown, TlsMisuse, try_server};
use crate::provisioning::ProvisioningError;
use crate::provisioning::authority::{Authority, Revoked, TlsMaterial};

/// Root set, issuing authority and its key.
const AUTHORITY: &str = "root.pem, issuing.pem or issuing.sealed";
/// The server's certificate and key.
const SERVER: &str = "server.pem or server.sealed";

/// Why material that was read is not taken.
#[derive(Debug, thiserror::Error)]
#[error("in the folder `keys`, {files}: {cause}")]
pub struct NotTaken {
    files: &'static str,
    #[source]
    cause: Cause,
}

#[derive(Debug, thiserror::Error)]
enum Cause {
    #[error(transparent)]
    Provisioning(#[from] ProvisioningError),
    #[error(transparent)]
    Tls(#[from] TlsMisuse),
    #[error(
        "a certificate made with the issuing authority is not believed by the roots, or the authority has ended or has \
         not begun"
    )]
    AuthorityNotBelieved,
    #[error("the server's certificate is not believed by the roots, has ended or has not begun, or lacks a name")]
    ServerNotBelieved(#[source] TlsMisuse),
}

impl NotTaken {
    fn of<E: Into<Cause>>(files: &'static str) -> impl Fn(E) -> Self {
        move |cause| Self { files, cause: cause.into() }
    }
}

/// The authority in force.
pub struct CurrentAuthority(RwLock<Arc<Authority>>);

impl CurrentAuthority {
    /// This one, for now.
    #[must_use]
    pub fn new(authority: Authority) -> Self {
        Self(RwLock::new(Arc::new(authority)))
    }

    /// The authority now.
    #[must_use]
    pub fn get(&self) -> Arc<Authority> {
        Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Takes another.
    pub fn replace(&self, authority: Arc<Authority>) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = authority;
    }
}

/// What was read and tried.
#[derive(Clone)]
pub struct Fresh {
    /// The authority.
    pub authority: Arc<Authority>,
    /// For the doors of hubs.
    pub hubs: Prepared,
    /// For the feed.
    pub people: Prepared,
    /// SHA-256 of the server's certificate, hexadecimal.
    pub certificate_sha256: String,
    /// How many roots are believed.
    pub roots: usize,
}

impl std::fmt::Debug for Fresh {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Fresh").field("certificate_sha256", &self.certificate_sha256).finish_non_exhaustive()
    }
}

fn prepared(authority: Arc<Authority>, material: TlsMaterial) -> Result<Fresh, NotTaken> {
    let hubs = Prepared::for_hubs(&material).map_err(NotTaken::of(SERVER))?;
    let roots = material.client_roots.len();
    let own = material.certificate_chain.first().map(|own| own.as_ref()).unwrap_or_default();
    let certificate_sha256 = hex::encode(&<[u8; 32]>::from(<sha2::Sha256 as sha2::Digest>::digest(own)));
    let people = Prepared::for_people(material.certificate_chain, material.key).map_err(NotTaken::of(SERVER))?;
    Ok(Fresh { authority, hubs, people, certificate_sha256, roots })
}

impl Office {
    /// Reads the authority again and tries everything; nothing of it is in force yet. The server's certificate is made
    /// anew where it is missing, ends soon or has not begun. `wall` is the wall clock's time, here and below.
    ///
    /// # Errors
    /// [`NotTaken`]
    pub fn read_anew(&self, revoked: &[Revoked], wall: Timestamp) -> Result<Fresh, NotTaken> {
        let authority = Authority::load(&self.vault, &self.keys_folder).map_err(NotTaken::of(AUTHORITY))?;
        let roots = authority.roots().map_err(NotTaken::of(AUTHORITY))?;
        let list = authority.revocation_list(revoked, wall).map_err(NotTaken::of(AUTHORITY))?;
        let belief = Belief::new(&roots, &[list]).map_err(NotTaken::of(AUTHORITY))?;
        let trial = authority.trial(wall).map_err(NotTaken::of(AUTHORITY))?;
        if !Shown::new(&trial).is_some_and(|shown| belief.holds(&shown, wall)) {
            return Err(NotTaken::of(AUTHORITY)(Cause::AuthorityNotBelieved));
        }
        let material = self.material(&authority, revoked, wall).map_err(NotTaken::of(SERVER))?;
        try_server(&material, &self.certificate_names, wall)
            .map_err(|error| NotTaken::of(SERVER)(Cause::ServerNotBelieved(error)))?;
        prepared(Arc::new(authority), material)
    }

    /// What the doors show and believe by an authority that was taken already. It is not tried: a server whose clock is
    /// wrong when it starts must still start.
    ///
    /// # Errors
    /// [`NotTaken`]
    pub fn prepare(&self, authority: Arc<Authority>, revoked: &[Revoked], wall: Timestamp) -> Result<Fresh, NotTaken> {
        let material = self.material(&authority, revoked, wall).map_err(NotTaken::of(SERVER))?;
        prepared(authority, material)
    }

    fn material(
        &self,
        authority: &Authority,
        revoked: &[Revoked],
        wall: Timestamp,
    ) -> Result<TlsMaterial, ProvisioningError> {
        authority.ensure_server(&self.vault, &self.certificate_names, wall)?;
        authority.tls(&self.vault, revoked, wall)
    }

    pub(super) fn reload(&self, desk: &mut Desk<'_>) -> Result<Done, Failure> {
        let what = "reload";
        let permit = desk.permit(Action::Reload, what)?;
        let store_says = |error| Failure::of_store(what, &error);
        let revoked = desk.store.revoked().map_err(store_says)?;
        let read = self.read_anew(&revoked, desk.wall);
        let certificate = read.as_ref().ok().map(|fresh| fresh.certificate_sha256.as_str());
        desk.store.reload(&permit, certificate, desk.now).map_err(store_says)?;
        let remedy = "Put the file back or remove server.pem to have it made anew, then reload; until then the server \
                      goes on with what it had";
        let fresh = read.map_err(|error| Failure::new(what, error, remedy))?;
        let answer = json!({
            "server_certificate_sha256": fresh.certificate_sha256,
            "roots": fresh.roots,
            "certificates_revoked": revoked.len(),
        });
        Ok(Done { after: Some(After::Reloaded(Box::new(fresh))), ..Done::from(answer) })
    }
}
