//! TLS for both doors: 1.3 only, ring named explicitly, the hub's certificate, the enrolment's pinned roots and no
//! others, and always the enrolment's server name, whatever address is dialled.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use runtime::clock::Clock;
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::time_provider::TimeProvider;
use rustls::version::TLS13;
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};
use shared::time::{ClockState, Tick, Timestamp};

use crate::identity::{Identity, IdentityError};
use crate::limits;

/// When this was built, as far as anybody says; no certificate is checked at an earlier time.
const BUILT: Timestamp = Timestamp::from_millis(1_767_225_600_000);

/// Why TLS cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// The enrolment's roots cannot be read.
    #[error("the enrolment holds no readable roots; enrol the hub again")]
    UnreadableRoots,
    /// The enrolment's server name is none.
    #[error("the enrolment's server_name is not a DNS name or address; enrol the hub again")]
    UnreadableName,
    /// The hub's certificate does not fit.
    #[error(transparent)]
    Identity(#[from] IdentityError),
    /// rustls refuses the material.
    #[error("the TLS library refuses the enrolment's certificates")]
    Rustls(#[from] rustls::Error),
    /// The verifier cannot be built.
    #[error("the TLS library refuses the enrolment's roots")]
    Verifier(#[from] rustls::client::VerifierBuilderError),
}

/// The time that certificates are checked at: the wall clock if it was ever set, but never before the build, the hub's
/// own certificate, the settings in force and what receipts said, each with the time elapsed since
/// (PROTOCOL §6). Each receipt moves it at most by the monotonic time elapsed and 24 h.
#[derive(Debug)]
pub struct CheckTime {
    clock: Clock,
    floor: Mutex<(Timestamp, Tick)>,
}

impl CheckTime {
    /// Starts at the build, or at what is known to have been before now: `known` is the later of the times that
    /// authenticated material was issued at.
    #[must_use]
    pub fn new(clock: Clock, known: Timestamp) -> Arc<Self> {
        let now = clock.tick();
        Arc::new(Self { clock, floor: Mutex::new((BUILT.max(known), now)) })
    }

    /// The server said what time it is, in an authenticated receipt.
    pub fn raise(&self, server: Timestamp) {
        let now = self.clock.tick();
        let mut floor = self.floor.lock().unwrap_or_else(PoisonError::into_inner);
        // The first receipt after a long time without one is believed as far as it may move the floor, then the next.
        let reached = floor.0.after(now.since(floor.1));
        let most = reached.after(limits::TIME_FLOOR_STEP_MAX);
        *floor = (reached.max(server.min(most)), now);
    }

    fn now(&self) -> Timestamp {
        let at = self.clock.captured();
        let (floor, since) = *self.floor.lock().unwrap_or_else(PoisonError::into_inner);
        let floor = floor.after(at.tick.since(since));
        if at.clock == ClockState::NeverSet { floor } else { floor.max(at.wall) }
    }
}

impl TimeProvider for CheckTime {
    fn current_time(&self) -> Option<UnixTime> {
        let millis = u64::try_from(self.now().as_millis()).ok()?;
        Some(UnixTime::since_unix_epoch(Duration::from_millis(millis)))
    }
}

/// Checks a server's certificate for one fixed name.
#[derive(Debug)]
struct Pinned {
    inner: Arc<WebPkiServerVerifier>,
    name: ServerName<'static>,
}

impl ServerCertVerifier for Pinned {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _dialled: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        self.inner.verify_server_cert(end_entity, intermediates, &self.name, ocsp_response, now)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.inner.verify_tls12_signature(message, cert, dss)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.inner.verify_tls13_signature(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.inner.supported_verify_schemes()
    }
}

/// What TLS needs of an enrolment.
#[derive(Debug, Clone, Copy)]
pub struct Material<'a> {
    /// PEM of the pinned roots.
    pub roots_pem: &'a str,
    /// PEM of the hub's certificate and its issuer's.
    pub certificate_pem: &'a str,
    /// The name in the server's certificate.
    pub server_name: &'a str,
}

/// A client configuration with this ALPN list.
///
/// # Errors
/// [`TlsError`].
pub fn client_config(
    material: Material<'_>,
    identity: &Identity,
    time: &Arc<CheckTime>,
    alpn: &[&[u8]],
) -> Result<Arc<ClientConfig>, TlsError> {
    let provider: Arc<CryptoProvider> = Arc::new(ring::default_provider());
    let mut roots = RootCertStore::empty();
    for root in CertificateDer::pem_slice_iter(material.roots_pem.as_bytes()) {
        roots.add(root.map_err(|_| TlsError::UnreadableRoots)?)?;
    }
    if roots.is_empty() {
        return Err(TlsError::UnreadableRoots);
    }
    let inner = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider)).build()?;
    let name = ServerName::try_from(material.server_name.to_owned()).map_err(|_| TlsError::UnreadableName)?;
    let (chain, _) = identity.check_chain(material.certificate_pem)?;
    let time: Arc<dyn TimeProvider> = Arc::clone(time) as Arc<dyn TimeProvider>;
    let mut config = ClientConfig::builder_with_details(provider, time)
        .with_protocol_versions(&[&TLS13])?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Pinned { inner, name }))
        .with_client_auth_cert(chain, identity.private_key())?;
    config.alpn_protocols = alpn.iter().map(|name| name.to_vec()).collect();
    config.resumption = rustls::client::Resumption::disabled();
    Ok(Arc::new(config))
}

#[cfg(test)]
mod tests {
    use super::*;
    use runtime::clock::ManualClock;
    use shared::id::BootId;
    use shared::observation::Captured;

    fn clock(wall: Timestamp) -> (ManualClock, Arc<CheckTime>) {
        let at = Captured { tick: Tick::from_millis(0), wall, clock: ClockState::NeverSet };
        let manual = ManualClock::new(at, BootId::from_bytes([1; 16]));
        let time = CheckTime::new(Clock::manual(manual.clone()), Timestamp::from_millis(0));
        (manual, time)
    }

    #[test]
    fn a_clock_that_was_never_set_is_no_reason_to_refuse_every_server() {
        let (_, time) = clock(Timestamp::from_millis(0));
        assert_eq!(time.now(), BUILT);
        // What an unset clock says counts for nothing; the time elapsed does.
        let (manual, time) = clock(BUILT.after(Duration::from_secs(60)));
        assert_eq!(time.now(), BUILT);
        manual.advance(Duration::from_secs(5));
        assert_eq!(time.now(), BUILT.after(Duration::from_secs(5)));
    }

    #[test]
    fn a_certificate_issued_after_the_build_is_valid_for_a_clock_that_was_never_set() {
        let mut params = rcgen::CertificateParams::new(["hub".to_owned()]).unwrap();
        params.not_before = rcgen::date_time_ymd(2026, 6, 1);
        let key = rcgen::KeyPair::generate().unwrap();
        let pem = params.self_signed(&key).unwrap().pem();
        let issued = crate::identity::issued_at(&pem).unwrap();
        assert_eq!(issued, Timestamp::from_millis(1_780_272_000_000));
        let (manual, _) = clock(Timestamp::from_millis(0));
        let time = CheckTime::new(Clock::manual(manual), issued);
        assert!(time.now() >= issued && issued > BUILT);
    }

    #[test]
    fn receipts_move_the_floor_forward_and_not_too_far() {
        let (manual, time) = clock(Timestamp::from_millis(0));
        time.raise(BUILT.after(Duration::from_secs(60)));
        assert_eq!(time.now(), BUILT.after(Duration::from_secs(60)));
        time.raise(BUILT);
        assert_eq!(time.now(), BUILT.after(Duration::from_secs(60)));
        manual.advance(Duration::from_secs(100));
        time.raise(Timestamp::from_millis(i64::MAX));
        assert_eq!(time.now(), BUILT.after(Duration::from_secs(160 + 24 * 3600)));
    }

    #[test]
    fn unreadable_material_is_an_error() {
        let (_, time) = clock(BUILT);
        let identity = Identity::generate().unwrap();
        let material = Material { roots_pem: "", certificate_pem: "", server_name: "server" };
        assert!(matches!(client_config(material, &identity, &time, &[]), Err(TlsError::UnreadableRoots)));
    }
}
