//! Who may do what, as a table against a committed file: a change of the policy is seen in review, and an action that
//! is in no row fails. `RPM_WRITE_POLICY=1` writes the file anew.
#![allow(clippy::print_stdout, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::fmt::Write;
use std::path::Path;

use serde_json::Value;
use server::access::{Action, Actor, Role, Scope, Ward, permit};
use shared::id::{HubId, TokenId};

/// The roles of people, in the table's order. The match makes a new one fail to compile here.
const ROLES: [Role; 4] = [Role::Clinician, Role::Installer, Role::Administrator, Role::Auditor];

const fn every_role_is_listed(role: Role) -> usize {
    match role {
        Role::Clinician => 0,
        Role::Installer => 1,
        Role::Administrator => 2,
        Role::Auditor => 3,
    }
}

fn bearer(role: Role, scope: Scope) -> Actor {
    Actor::Bearer { token: TokenId::from_bytes([1; 16]), name: "Example".into(), role, scope }
}

fn name(of: impl serde::Serialize) -> String {
    match serde_json::to_value(of).unwrap() {
        Value::String(name) => name,
        other => panic!("no name: {other}"),
    }
}

fn actors() -> Vec<(String, Actor)> {
    let mut actors: Vec<_> = ROLES.map(|role| (name(role), bearer(role, Scope::AllWards))).into();
    actors.push(("local_operator".into(), Actor::LocalOperator { user: "example".into() }));
    actors.push(("hub".into(), Actor::Hub(HubId::from_bytes([1; 16]))));
    actors.push(("system".into(), Actor::System));
    actors
}

fn table() -> String {
    let actors = actors();
    let mut table = format!("{:<14}", "action");
    for (actor, _) in &actors {
        write!(table, " {actor}").unwrap();
    }
    table.push('\n');
    for action in Action::ALL {
        write!(table, "{:<14}", name(action)).unwrap();
        for (actor, who) in &actors {
            let may = if permit(who, action).is_ok() { "yes" } else { "-" };
            write!(table, " {may:<width$}", width = actor.len()).unwrap();
        }
        table.truncate(table.trim_end().len());
        table.push('\n');
    }
    table
}

#[test]
fn the_policy_is_the_committed_one() {
    let package = std::env::var("CARGO_MANIFEST_DIR").expect("cargo says where the package is");
    let file = Path::new(&package).join("access/policy.txt");
    let table = table();
    println!("{table}");
    if std::env::var_os("RPM_WRITE_POLICY").is_some() {
        std::fs::write(&file, &table).unwrap();
    }
    let committed = std::fs::read_to_string(&file).unwrap_or_default();
    assert_eq!(table, committed, "the policy changed: look at each row, then write the file with RPM_WRITE_POLICY=1");
}

#[test]
fn every_action_and_role_has_its_place() {
    for (place, role) in ROLES.into_iter().enumerate() {
        assert_eq!(every_role_is_listed(role), place);
    }
    // An action is listed where serde knows it: names that serde takes and the table lacks are missing rows.
    let unknown = serde_json::from_value::<Action>(Value::String("no_such_action".into())).unwrap_err().to_string();
    let known: Vec<&str> = unknown.split('`').skip(3).step_by(2).collect();
    let listed: Vec<String> = Action::ALL.map(name).into();
    assert!(known.len() > 10, "{unknown}");
    for action in &known {
        assert!(listed.iter().any(|listed| listed == action), "`{action}` is in no row of the policy's table");
    }
    assert_eq!(known.len(), listed.len());
}

#[test]
fn a_permit_has_the_scope_of_its_actor_and_no_other() {
    let ward = Ward::try_from("Ward 3".to_owned()).unwrap();
    let scope = Scope::Wards([ward.clone()].into());
    let permit = permit(&bearer(Role::Clinician, scope.clone()), Action::FeedWatch).unwrap();
    assert_eq!(permit.scope(), &scope);
    assert!(permit.scope().covers(&ward));
    assert!(!permit.scope().covers(&Ward::try_from("Ward 4".to_owned()).unwrap()));
    assert_eq!(permit.action(), Action::FeedWatch);
}
