use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::Arc;

use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::ClientCertVerifier;
use rustls_pki_types::UnixTime;
use zeroize::Zeroizing;

use super::*;
use crate::provisioning::VaultError;
use crate::provisioning::request::HUB_URN;

#[derive(Default)]
struct Drawer(RefCell<HashMap<String, Vec<u8>>>);

impl Vault for Drawer {
    fn put(&self, name: &str, secret: &[u8]) -> Result<(), VaultError> {
        self.0.borrow_mut().insert(name.to_owned(), secret.to_vec());
        Ok(())
    }
    fn get(&self, name: &str) -> Result<Option<Zeroizing<Vec<u8>>>, VaultError> {
        Ok(self.0.borrow().get(name).cloned().map(Zeroizing::new))
    }
}

fn now() -> Timestamp {
    "2026-03-01T12:00:00Z".parse().unwrap()
}

fn request(hub: HubId) -> HubRequest {
    let key = KeyPair::generate().unwrap();
    let uri = format!("{HUB_URN}{hub}");
    let names = vec![SanType::URI(uri.as_str().try_into().unwrap())];
    let mut params = CertificateParams::default();
    params.subject_alt_names = names;
    HubRequest::from_pem(&params.serialize_request(&key).unwrap().pem().unwrap()).unwrap()
}

fn verifier(material: TlsMaterial) -> Arc<dyn ClientCertVerifier> {
    let mut roots = rustls::RootCertStore::empty();
    material.client_roots.into_iter().for_each(|root| roots.add(root).unwrap());
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider)
        .with_crls(material.crl)
        .only_check_end_entity_revocation()
        .build()
        .unwrap()
}

#[test]
fn a_hubs_certificate_holds_until_it_ends_or_is_taken_back() {
    let folder = tempfile::tempdir().unwrap();
    let vault = Drawer::default();
    let authority = Authority::create(&vault, folder.path(), now()).unwrap();
    authority.ensure_server(&vault, &["localhost".into(), "127.0.0.1".into()], now()).unwrap();
    let hub = HubId::from_bytes([9; 16]);
    let issued = authority.issue_hub(request(hub), now()).unwrap();
    assert_eq!(issued.hub, hub);
    let chain: Vec<_> =
        CertificateDer::pem_slice_iter(issued.chain_pem.as_bytes()).collect::<Result<Vec<_>, _>>().unwrap();
    let check = |material: TlsMaterial, at: Timestamp| {
        let seconds = Duration::from_secs(u64::try_from(at.as_millis()).unwrap() / 1000);
        verifier(material).verify_client_cert(&chain[0], &chain[1..], UnixTime::since_unix_epoch(seconds)).is_ok()
    };
    let tls = |revoked: &[Revoked]| authority.tls(&vault, revoked, now()).unwrap();
    assert!(check(tls(&[]), now()));
    assert!(check(tls(&[]), now().after(days(29))));
    assert!(!check(tls(&[]), now().after(days(31))));
    let taken_back = Revoked { serial: issued.serial.clone(), at: now(), compromised: true };
    assert!(!check(tls(std::slice::from_ref(&taken_back)), now()));

    // Another authority's hubs are strangers.
    let elsewhere = tempfile::tempdir().unwrap();
    let other = Authority::create(&vault, elsewhere.path(), now()).unwrap();
    other.ensure_server(&vault, &["localhost".into()], now()).unwrap();
    assert!(!check(other.tls(&vault, &[], now()).unwrap(), now()));
}

#[test]
fn the_server_certificate_is_renewed_in_time_and_kept_otherwise() {
    let folder = tempfile::tempdir().unwrap();
    let vault = Drawer::default();
    let authority = Authority::create(&vault, folder.path(), now()).unwrap();
    let names = ["localhost".to_owned()];
    let pem = || std::fs::read_to_string(folder.path().join("server.pem")).unwrap();
    authority.ensure_server(&vault, &names, now()).unwrap();
    let first = pem();
    authority.ensure_server(&vault, &names, now().after(days(59))).unwrap();
    assert_eq!(pem(), first);
    authority.ensure_server(&vault, &names, now().after(days(61))).unwrap();
    let second = pem();
    assert_ne!(second, first);
    authority.ensure_server(&vault, &["elsewhere".to_owned()], now().after(days(61))).unwrap();
    assert_ne!(pem(), second);
}

#[test]
fn a_server_certificate_made_while_the_clock_was_ahead_is_made_anew() {
    let folder = tempfile::tempdir().unwrap();
    let vault = Drawer::default();
    let authority = Authority::create(&vault, folder.path(), now()).unwrap();
    let names = ["localhost".to_owned()];
    let pem = || std::fs::read_to_string(folder.path().join("server.pem")).unwrap();
    let taken = |at| crate::broker::tls::try_server(&authority.tls(&vault, &[], at).unwrap(), &names, at).is_ok();
    authority.ensure_server(&vault, &names, now().after(days(365))).unwrap();
    assert!(!taken(now()), "it has not begun");
    authority.ensure_server(&vault, &names, now()).unwrap();
    assert!(taken(now()));
    // A clock that is a little behind finds one that has begun.
    let second = pem();
    authority.ensure_server(&vault, &names, now().before(BACKDATED)).unwrap();
    assert_eq!(pem(), second);
    authority.ensure_server(&vault, &names, now().before(BACKDATED + Duration::from_secs(1))).unwrap();
    assert_ne!(pem(), second);
}

#[test]
fn what_is_missing_or_damaged_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let vault = Drawer::default();
    assert!(matches!(Authority::load(&vault, folder.path()), Err(ProvisioningError::Missing("root.pem"))));
    Authority::create(&vault, folder.path(), now()).unwrap();
    std::fs::write(folder.path().join("issuing.pem"), "damaged").unwrap();
    assert!(matches!(Authority::load(&vault, folder.path()), Err(ProvisioningError::Unreadable("issuing.pem"))));
}

#[test]
fn a_session_holds_while_its_certificate_is_believed_whatever_the_clock_says() {
    use crate::broker::tls::{Belief, Shown};
    let folder = tempfile::tempdir().unwrap();
    let vault = Drawer::default();
    let authority = Authority::create(&vault, folder.path(), now()).unwrap();
    let issued = authority.issue_hub(request(HubId::from_bytes([9; 16])), now()).unwrap();
    let shown = Shown::new(&certificates(&issued.chain_pem, "chain").unwrap()).unwrap();
    let belief = |roots: &[CertificateDer<'static>], revoked: &[Revoked]| {
        Belief::new(roots, &[authority.revocation_list(revoked, now()).unwrap()]).unwrap()
    };
    let roots = authority.roots().unwrap();
    // Long after its own end and that of the issuing authority, and by a clock set back to before either began: it was
    // good when the session began.
    let back = now().before(BACKDATED + Duration::from_secs(1));
    let times = [now(), now().after(days(31)), now().after(days(400)), back, now().before(days(20_000))];
    for (at, good) in times.into_iter().zip([true, false, false, false, false]) {
        assert!(belief(&roots, &[]).still_holds(&shown, at), "{at}");
        assert_eq!(belief(&roots, &[]).holds(&shown, at), good, "{at}");
        let revoked = Revoked { serial: issued.serial.clone(), at: now(), compromised: false };
        assert!(!belief(&roots, &[revoked]).still_holds(&shown, at), "taken back, at any time: {at}");
    }
    let elsewhere = tempfile::tempdir().unwrap();
    let other = Authority::create(&Drawer::default(), elsewhere.path(), now()).unwrap();
    let mut both = other.roots().unwrap();
    for at in times {
        assert!(!belief(&both, &[]).still_holds(&shown, at), "a stranger, at any time: {at}");
    }
    both.extend(roots);
    assert!(belief(&both, &[]).still_holds(&shown, now()), "one of several roots is enough");
}

#[test]
fn a_trial_shows_whether_issuing_key_certificate_and_root_belong_together() {
    use crate::broker::tls::{Belief, Shown};
    let folder = tempfile::tempdir().unwrap();
    let vault = Drawer::default();
    let authority = Authority::create(&vault, folder.path(), now()).unwrap();
    let believed = |authority: &Authority| {
        let list = authority.revocation_list(&[], now()).unwrap();
        let belief = Belief::new(&authority.roots().unwrap(), &[list]).unwrap();
        belief.holds(&Shown::new(&authority.trial(now()).unwrap()).unwrap(), now())
    };
    assert!(believed(&authority));
    // Another authority's key in the vault: the certificate's is not it any more.
    let elsewhere = tempfile::tempdir().unwrap();
    Authority::create(&vault, elsewhere.path(), now()).unwrap();
    assert!(!believed(&Authority::load(&vault, folder.path()).unwrap()));
}
