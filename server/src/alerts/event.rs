//! How a condition's change becomes an event: identity, version, occurrence.

use sha2::{Digest, Sha256};
use shared::id::AlertId;
use shared::time::Timestamp;

use super::engine::{Engine, Facts};
use super::state::{Condition, Standing};
use super::{AlertChange, AlertEvent, AlertState, Subject};

/// The first 16 octets of SHA-256 over subject, rule and the subject's counter: the same history makes the same ids.
fn alert_id(subject: Subject, rule: &str, counter: u64) -> AlertId {
    let (kind, id) = match subject {
        Subject::Patient(patient) => (b"p", *patient.as_bytes()),
        Subject::Hub(hub) => (b"h", *hub.as_bytes()),
    };
    let mut hash = Sha256::new();
    hash.update(kind);
    hash.update(id);
    hash.update(rule.as_bytes());
    hash.update(counter.to_be_bytes());
    let digest: [u8; 32] = hash.finalize().into();
    let mut bytes = [0; 16];
    bytes.iter_mut().zip(digest).for_each(|(to, from)| *to = from);
    AlertId::from_bytes(bytes)
}

impl Engine<'_> {
    /// The condition is complete.
    pub(super) fn raise(&mut self, condition: &mut Condition, facts: Facts<'_>, at: Timestamp) {
        condition.active = true;
        let (standing, change) = match condition.standing {
            None => {
                self.state.counter = self.state.counter.saturating_add(1);
                let alert = alert_id(self.subject, facts.rule, self.state.counter);
                let priority = facts.priority;
                (Standing { alert, version: 1, occurrence: 1, priority }, AlertChange::Raised)
            }
            Some(old) => {
                let (version, occurrence) = (old.version.saturating_add(1), old.occurrence.saturating_add(1));
                let priority = facts.priority;
                (Standing { alert: old.alert, version, occurrence, priority }, AlertChange::RaisedAgain)
            }
        };
        condition.standing = Some(standing);
        self.say(standing, change, AlertState::Raised, facts, at);
    }

    /// The condition ended, with evidence; nobody has taken notice, so the alert stays.
    pub(super) fn give_back(&mut self, condition: &mut Condition, facts: Facts<'_>, at: Timestamp) {
        condition.active = false;
        condition.since = None;
        self.go_on(condition, AlertChange::Returned, AlertState::Returned, facts, at);
    }

    /// The condition holds, with new facts.
    pub(super) fn update(&mut self, condition: &mut Condition, facts: Facts<'_>, at: Timestamp) {
        self.go_on(condition, AlertChange::Updated, AlertState::Raised, facts, at);
    }

    fn go_on(
        &mut self,
        condition: &mut Condition,
        change: AlertChange,
        state: AlertState,
        facts: Facts<'_>,
        at: Timestamp,
    ) {
        if let Some(standing) = &mut condition.standing {
            standing.version = standing.version.saturating_add(1);
            let standing = *standing;
            self.say(standing, change, state, facts, at);
        }
    }

    fn say(&mut self, standing: Standing, change: AlertChange, state: AlertState, facts: Facts<'_>, at: Timestamp) {
        self.out.push(AlertEvent {
            alert: standing.alert,
            subject: self.subject,
            change,
            state,
            version: standing.version,
            occurrence: standing.occurrence,
            at,
            rule: facts.rule.to_owned(),
            pack: self.pack.label.clone(),
            priority: standing.priority,
            kind: facts.kind,
            metric: facts.metric,
            words: facts.words,
            evidence: facts.evidence,
        });
    }
}
