//! What people cause: permits, secrets, the trail.

use std::collections::BTreeSet;

use shared::id::TokenId;

use super::*;
use crate::access::{Role, Scope};
use crate::store::backup::{self, BackupSecret};
use crate::store::sqlite::copy_out;
use crate::store::{Conflict, EventNumber, EventsAfter, NewToken};

fn watcher(ward: &str) -> Permit {
    let wards = BTreeSet::from([Ward::try_from(ward.to_owned()).unwrap()]);
    let token = TokenId::from_bytes([1; 16]);
    let actor = Actor::Bearer { token, name: "Test".to_owned(), role: Role::Clinician, scope: Scope::Wards(wards) };
    permit(&actor, Action::FeedWatch).unwrap()
}

pub(super) fn entries(world: &World) -> Vec<crate::audit::AuditEntry> {
    let mut query = world.store.conn.prepare("SELECT content FROM audit ORDER BY number").unwrap();
    let rows = query.query_map([], |row| row.get::<_, Vec<u8>>(0)).unwrap();
    rows.map(|row| serde_json::from_slice(&row.unwrap()).unwrap()).collect()
}

#[test]
fn the_file_holds_no_identity() {
    let mut world = World::new();
    let listed = world.store.patient_list(&allow(Action::PatientList), at(1)).unwrap();
    assert_eq!((listed[0].name.as_str(), listed[0].nhs_number.as_str()), (NAME, NUMBER));
    let again = world.store.patient_add(&allow(Action::PatientAdd), &new_patient(NUMBER), at(1));
    assert!(matches!(again, Err(StoreError::Conflict(Conflict::NhsNumberTaken))));
    for suffix in ["", "-wal"] {
        let bytes = std::fs::read(format!("{}{suffix}", world.path().display())).unwrap();
        for planted in [NAME, NUMBER, "1950-02-03"] {
            assert!(!bytes.windows(planted.len()).any(|window| window == planted.as_bytes()), "{planted} in {suffix}");
        }
    }
    let refused = entries(&world).pop().unwrap();
    assert_eq!((refused.action.as_str(), refused.outcome), ("patient_add", crate::audit::AuditOutcome::Rejected));
}

#[test]
fn a_changed_entry_is_found() {
    let mut world = World::new();
    let permit = allow(Action::AuditVerify);
    let before = world.store.audit_verify(&permit, at(1)).unwrap();
    assert_eq!((before.entries, before.first_broken), (3, None));
    world
        .store
        .conn
        .execute(
            "UPDATE audit SET content = CAST(replace(CAST(content AS TEXT), 'root', 'boot') AS BLOB) WHERE number = 2",
            [],
        )
        .unwrap();
    assert_eq!(world.store.audit_verify(&permit, at(2)).unwrap().first_broken, Some(2));
    world.store.conn.execute("DELETE FROM audit WHERE number = 1", []).unwrap();
    assert_eq!(world.store.audit_verify(&permit, at(3)).unwrap().first_broken, Some(1));
}

/// Makes a token with secret 3 that ends at 1,000 by the wall clock, and at this moment by the engine's.
fn token_until(world: &mut World, expires_engine: i64) -> TokenId {
    let token = TokenId::from_bytes([8; 16]);
    let new = NewToken {
        token,
        secret_hash: [3; 32],
        name: "Screen".to_owned(),
        role: Role::Clinician,
        scope: Scope::AllWards,
        expires: at(1_000),
        expires_engine: at(expires_engine),
    };
    world.store.token_create(&allow(Action::TokenCreate), &new, at(0)).unwrap();
    token
}

#[test]
fn tokens_stand_for_their_actor_until_they_end() {
    let mut world = World::new();
    let token = token_until(&mut world, 501_000);
    let mut ends = |secret: u8, wall, engine| {
        let known = world.store.token_actor(token, &[secret; 32], at(wall), at(engine)).unwrap();
        known.map(|(_, ends)| ends)
    };
    assert_eq!(ends(3, 999, 500_999), Some(at(1_000)));
    assert_eq!(ends(4, 999, 500_999), None, "another secret");
    assert_eq!(ends(3, 1_000, 500_999), None, "by the wall clock");
    // The wall clock is set back: it does not last longer for that.
    assert_eq!(ends(3, -5_000, 500_990), Some(at(-4_990)), "what is left by the engine's clock");
    assert_eq!(ends(3, -5_000, 501_000), None, "by the engine's clock");
    let unknown = world.store.token_actor(TokenId::from_bytes([9; 16]), &[0; 32], at(1), at(1));
    assert!(unknown.unwrap().is_none());
    world.store.token_revoke(&allow(Action::TokenRevoke), token, at(5)).unwrap();
    assert!(world.store.token_actor(token, &[3; 32], at(6), at(6)).unwrap().is_none());
    let again = world.store.token_revoke(&allow(Action::TokenRevoke), token, at(7));
    assert!(matches!(again, Err(StoreError::Unknown(_))));
    assert_eq!(refusals(&world)[0][0], "refused:1");
}

#[test]
fn a_token_of_an_older_store_ends_when_it_did_by_the_engines_clock() {
    let mut world = World::new();
    let token = token_until(&mut world, 2_000);
    let to_version_2 = "ALTER TABLE token DROP COLUMN expires_engine; DELETE FROM schema_version WHERE version = 3";
    world.store.conn.execute_batch(to_version_2).unwrap();
    let mut world = world.crash();
    let mut known = |wall, engine| world.store.token_actor(token, &[3; 32], at(wall), at(engine)).unwrap().is_some();
    assert!(known(999, 999));
    assert!(!known(0, 1_000) && !known(1_000, 0));
}

fn refusals(world: &World) -> Vec<Vec<String>> {
    let shown = |entry: &crate::audit::AuditEntry| entry.action == "token_shown";
    entries(world).into_iter().filter(shown).map(|entry| entry.resources).collect()
}

#[test]
fn made_up_tokens_cost_one_entry_a_second() {
    let mut world = World::new();
    for number in 0..1_000_u128 {
        let token = TokenId::from_bytes(number.to_be_bytes());
        assert!(world.store.token_actor(token, &[0; 32], at(5_000), at(5_000)).unwrap().is_none());
    }
    assert_eq!(refusals(&world).len(), 1, "the first at once");
    world.store.idle(at(5_999)).unwrap();
    assert_eq!(refusals(&world).len(), 1);
    world.store.idle(at(6_000)).unwrap();
    let noted = refusals(&world);
    assert_eq!((noted.len(), noted[1][0].as_str()), (2, "refused:999"));
    assert_eq!(noted[1].len(), 1 + crate::limits::REFUSED_TOKENS_NAMED_MAX);
    world.store.idle(at(9_000)).unwrap();
    assert_eq!(refusals(&world).len(), 2);
}

#[test]
fn feeds_see_their_wards_only() {
    let mut world = World::new();
    for (number, tick) in [(1, 49_000), (2, 49_100)] {
        let low = shared::wire::Entry::Observation(world.observation(tick, 80));
        world.take(batch(vec![record(number, 1, vec![low])]));
    }
    let seen = world.store.feed_snapshot(&watcher("Ward 3"), at(1)).unwrap();
    assert_eq!((seen.cursor, seen.patients.len(), seen.alerts.len(), seen.live.len()), (EventNumber(2), 1, 1, 1));
    assert_eq!(seen.alerts[0].number, EventNumber(2));
    let other = world.store.feed_snapshot(&watcher("Ward 4"), at(1)).unwrap();
    assert_eq!((other.cursor, other.patients.len(), other.alerts.len(), other.live.len()), (EventNumber(2), 0, 0, 0));
    let mut after = |ward, after, limit| match world
        .store
        .events_after(&watcher(ward), EventNumber(after), limit, at(1))
        .unwrap()
    {
        EventsAfter::Events { events, more } => Some((events.len(), more)),
        EventsAfter::Beyond => None,
    };
    assert_eq!(after("Ward 3", 0, 10), Some((2, false)));
    assert_eq!(after("Ward 3", 0, 1), Some((1, true)));
    assert_eq!(after("Ward 3", 2, 10), Some((0, false)));
    assert_eq!(after("Ward 4", 0, 10), Some((0, false)));
    assert_eq!(after("Ward 3", 3, 10), None);
    assert_eq!(world.counts().alerting_patients, [world.patient]);
}

#[test]
fn hubs_are_enrolled_renewed_and_revoked() {
    let mut world = World::new();
    let enrol = allow(Action::HubEnrol);
    let other_key = world.store.hub_enrol(&enrol, &new_hub(HUB, 2, "02"), at(1));
    assert!(matches!(other_key, Err(StoreError::Conflict(Conflict::HubEnrolled))));
    world.store.hub_enrol(&enrol, &new_hub(HUB, 1, "03"), at(1)).unwrap();
    assert!(world.store.hub_admitted(HUB, "01").unwrap() && world.store.hub_admitted(HUB, "03").unwrap());
    assert!(!world.store.hub_admitted(HUB, "02").unwrap());
    assert!(!world.store.hub_admitted(HubId::from_bytes([1; 16]), "01").unwrap());
    world.store.hub_revoke(&allow(Action::HubRevoke), HUB, Some(at(2)), at(5), at(105)).unwrap();
    assert!(!world.store.hub_admitted(HUB, "01").unwrap() && !world.store.hub_admitted(HUB, "03").unwrap());
    let revoked = world.store.revoked().unwrap();
    assert_eq!((revoked.len(), revoked[0].compromised, revoked[0].at), (2, true, at(5)));
    let keys = world.store.identities(HUB).unwrap();
    assert_eq!((keys[0].compromised, keys[0].not_after), (Some(at(2)), at(5)), "by the wall clock");
    // The compromised key is not taken again; a new one is.
    world.store.hub_enrol(&enrol, &new_hub(HUB, 4, "04"), at(6)).unwrap();
    assert!(world.store.hub_admitted(HUB, "04").unwrap() && !world.store.hub_admitted(HUB, "01").unwrap());
    let hubs = world.store.hub_list(&allow(Action::HubList), at(7)).unwrap();
    assert_eq!((hubs[0].revoked, hubs[0].bindings.len()), (false, 1));
}

#[test]
fn a_keys_span_begins_where_the_clock_was_right_again() {
    let mut world = World::new();
    let enrol = allow(Action::HubEnrol);
    let hub = HubId::from_bytes([6; 16]);
    let span = |from, until| NewHub { not_before: at(from), not_after: at(until), ..new_hub(hub, 6, "a") };
    world.store.hub_enrol(&enrol, &span(9_000, 12_000), at(9_500)).unwrap();
    let right = NewHub { serial: "b".to_owned(), ..span(1_000, 4_000) };
    world.store.hub_enrol(&enrol, &right, at(9_600)).unwrap();
    let keys = world.store.identities(hub).unwrap();
    assert_eq!((keys.len(), keys[0].not_before, keys[0].not_after), (1, at(1_000), at(4_000)));
}

#[test]
fn a_backup_holds_everything_and_becomes_another_life() {
    let mut world = World::new();
    world.take(batch(vec![record(1, 1, vec![shared::wire::Entry::Observation(world.observation(49_000, 97))])]));
    let secret = BackupSecret::generate().unwrap();
    let (sealed, opened) = (world.folder.path().join("b"), world.folder.path().join("restored.sqlite"));
    let source = world.store.backup(&allow(Action::Backup), at(5)).unwrap();
    // The store goes on while the copy is made, also in the middle of a transaction.
    world.store.conn.execute_batch("BEGIN IMMEDIATE").unwrap();
    copy_out(&source, &sealed, &secret.recipient()).unwrap();
    world.store.conn.execute_batch("COMMIT").unwrap();
    let left = std::fs::read_dir(world.folder.path()).unwrap().map(|entry| entry.unwrap().file_name());
    assert!(!left.into_iter().any(|name| name.to_string_lossy().contains(".backup-")));
    backup::open(&sealed, &opened, &secret).unwrap();
    let mut restored = SqliteStore::open(&opened, vault(), at(6)).unwrap();
    assert_eq!(restored.store_id(), world.store.store_id());
    restored.renew(at(7)).unwrap();
    assert_ne!(restored.store_id(), world.store.store_id());
    assert_eq!(restored.counts(&allow(Action::StoreCount), at(8)).unwrap().observations, 1);
    assert_eq!(restored.audit_verify(&allow(Action::AuditVerify), at(9)).unwrap().first_broken, None);
}

#[test]
fn what_a_backup_cut_short_left_is_removed_when_the_store_opens() {
    let world = World::new();
    let left = world.folder.path().join("store.sqlite.backup-4321");
    let others = ["store.sqlite-wal", "mine.backup-1"].map(|name| world.folder.path().join(name));
    std::fs::write(&left, "plain").unwrap();
    std::fs::write(&others[1], "kept").unwrap();
    let world = world.crash();
    assert!(!left.exists() && others.iter().all(|file| file.exists()));
    drop(world);
}
