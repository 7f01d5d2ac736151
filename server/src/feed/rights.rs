//! A client's rights, looked up again and again: what was gained is shown, what was lost is withdrawn.

use std::collections::{BTreeMap, BTreeSet};

use shared::id::PatientId;
use shared::time::{Tick, Timestamp};

use super::bearer::Shown;
use super::client::{Client, Closed};
use super::limits::RIGHTS_UNKNOWN_MAX;
use super::messages;
use crate::access::{Action, Permit, Ward, permit};
use crate::store::Snapshot;

pub(super) struct Rights {
    pub(super) shown: Shown,
    pub(super) permit: Permit,
    pub(super) expires: Timestamp,
    // Patients the client was told of.
    known: BTreeMap<PatientId, Ward>,
    // Whether somebody else has shown up in scope.
    met_others: bool,
    confirmed: Tick,
}

impl Rights {
    pub(super) fn new(shown: Shown, permit: Permit, expires: Timestamp, now: Tick) -> Self {
        Self { shown, permit, expires, known: BTreeMap::new(), met_others: false, confirmed: now }
    }

    pub(super) fn know(&mut self, snapshot: &Snapshot) {
        self.known = snapshot.patients.iter().cloned().collect();
        self.met_others = false;
    }

    /// Something of this patient is being sent.
    pub(super) fn meet(&mut self, patient: PatientId) {
        self.met_others |= !self.known.contains_key(&patient);
    }

    /// Who is lost and who gained between what is known and the snapshot.
    fn changes(&self, snapshot: &Snapshot) -> (Vec<PatientId>, Vec<(PatientId, Ward)>) {
        let now: BTreeSet<PatientId> = snapshot.patients.iter().map(|(patient, _)| *patient).collect();
        let lost = self.known.keys().filter(|patient| !now.contains(patient)).copied().collect();
        let gained = snapshot.patients.iter().filter(|(patient, _)| !self.known.contains_key(patient)).cloned();
        (lost, gained.collect())
    }
}

impl Client {
    /// Asks the store whose token it is now, and tells the client what changed.
    pub(super) async fn look_up_rights(&mut self, now: Tick) -> Result<(), Closed> {
        let Ok(known) = self.shared.store.authenticate(self.rights.shown.token, self.rights.shown.secret_hash).await
        else {
            let too_long = now.since(self.rights.confirmed) >= RIGHTS_UNKNOWN_MAX;
            return if too_long { Err(Closed::StoreUnavailable) } else { Ok(()) };
        };
        self.rights.confirmed = now;
        let Some((actor, expires)) = known else {
            let expired = self.rights.expires <= self.shared.clock.wall();
            return Err(if expired { Closed::TokenExpired } else { Closed::TokenRevoked });
        };
        let permit = permit(&actor, Action::FeedWatch).map_err(|_| Closed::NotAllowed)?;
        let same_scope = permit.scope() == self.rights.permit.scope();
        self.rights.expires = expires;
        self.rights.permit = permit;
        if same_scope && !self.rights.met_others {
            return Ok(());
        }
        self.outbox.set_scope(self.rights.permit.scope().clone());
        let snapshot = self.shared.store.snapshot(self.rights.permit.clone()).await?;
        let (lost, gained) = self.rights.changes(&snapshot);
        self.rights.know(&snapshot);
        for patient in lost {
            self.forget(patient);
            self.send(&messages::withdrawn(patient)).await?;
        }
        for (patient, ward) in gained {
            let message = messages::snapshot_of(&self.cursor(), patient, &ward, &snapshot);
            self.send(&message).await?;
        }
        Ok(())
    }
}
