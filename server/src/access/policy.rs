//! The policy: one table of action × role.

use serde::Serialize;

use super::{Action, Actor, Role, Scope};

/// Leave to do one thing. Only [`permit`] makes one.
#[derive(Debug, Clone)]
pub struct Permit {
    actor: Actor,
    action: Action,
    scope: Scope,
}

impl Permit {
    /// Who was given it.
    #[must_use]
    pub const fn actor(&self) -> &Actor {
        &self.actor
    }

    /// For what.
    #[must_use]
    pub const fn action(&self) -> Action {
        self.action
    }

    /// For whose patients.
    #[must_use]
    pub const fn scope(&self) -> &Scope {
        &self.scope
    }
}

/// The policy says no.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error, Serialize)]
#[error("this role may not do that; ask an administrator for a token of a role that may")]
pub struct Refused {
    /// What was asked for.
    pub action: Action,
}

impl Action {
    /// Every action, in the table's order.
    pub const ALL: [Self; 13] = [
        Self::PatientAdd,
        Self::PatientList,
        Self::HubEnrol,
        Self::HubRevoke,
        Self::HubList,
        Self::Bind,
        Self::TokenCreate,
        Self::TokenRevoke,
        Self::FeedWatch,
        Self::StoreCount,
        Self::AuditVerify,
        Self::Backup,
        Self::Reload,
    ];

    /// The roles that may. The local operator may do what an administrator may: they hold the machine.
    const fn roles(self) -> &'static [Role] {
        use Role::{Administrator, Auditor, Clinician, Installer};
        match self {
            Self::PatientAdd | Self::PatientList => &[Clinician, Administrator],
            Self::HubEnrol | Self::Bind => &[Installer, Administrator],
            Self::HubList => &[Installer, Administrator, Clinician],
            Self::HubRevoke | Self::TokenCreate | Self::TokenRevoke | Self::Backup | Self::Reload => &[Administrator],
            Self::FeedWatch => &[Clinician],
            Self::StoreCount => &[Administrator, Auditor],
            Self::AuditVerify => &[Auditor, Administrator],
        }
    }
}

/// Asks the policy.
///
/// # Errors
/// [`Refused`] if the actor may not.
pub fn permit(actor: &Actor, action: Action) -> Result<Permit, Refused> {
    let (allowed, scope) = match actor {
        Actor::Bearer { role, scope, .. } => (action.roles().contains(role), scope.clone()),
        Actor::LocalOperator { .. } => (action.roles().contains(&Role::Administrator), Scope::AllWards),
        Actor::Hub(_) | Actor::System => (false, Scope::Wards(std::collections::BTreeSet::new())),
    };
    if allowed { Ok(Permit { actor: actor.clone(), action, scope }) } else { Err(Refused { action }) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use shared::id::{HubId, TokenId};

    fn bearer(role: Role) -> Actor {
        let token = TokenId::from_bytes([1; 16]);
        Actor::Bearer { token, name: "Test".to_owned(), role, scope: Scope::AllWards }
    }

    #[test]
    fn hubs_and_the_system_have_no_permits() {
        for action in Action::ALL {
            assert!(permit(&Actor::Hub(HubId::from_bytes([1; 16])), action).is_err());
            assert!(permit(&Actor::System, action).is_err());
        }
    }

    #[test]
    fn an_administrator_does_not_watch_patients() {
        assert!(permit(&bearer(Role::Administrator), Action::FeedWatch).is_err());
        assert!(permit(&bearer(Role::Clinician), Action::FeedWatch).is_ok());
        assert!(permit(&bearer(Role::Clinician), Action::TokenCreate).is_err());
        assert!(permit(&bearer(Role::Auditor), Action::PatientList).is_err());
    }
}
