//! One step of a limit rule (SEMANTICS §3): pure, one observation.

use std::time::Duration;

use super::amount::Amount;
use super::rule::LimitRule;
use super::state::{LimitState, Seen};

/// What a valid observation did to a limit rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Nothing to say.
    Quiet,
    /// It completes a breach.
    Raise,
    /// It shows that the condition ended.
    Return,
}

/// Applies a valid observation.
pub fn step(rule: &LimitRule, state: &mut LimitState, amount: Amount, seen: Seen) -> Step {
    let breached = rule.breached(amount);
    if breached {
        state.breach = Some(seen);
    }
    if state.condition.active {
        return if breached { unsettle(state) } else { recover(rule, state, amount, seen) };
    }
    if !breached {
        state.condition.since = None;
        return Step::Quiet;
    }
    state.condition.since.get_or_insert(seen.taken);
    match state.condition.deadline(rule.persistence_ms) {
        Some(deadline) if seen.taken >= deadline => Step::Raise,
        _ => Step::Quiet,
    }
}

fn unsettle(state: &mut LimitState) -> Step {
    state.returning = None;
    Step::Quiet
}

fn recover(rule: &LimitRule, state: &mut LimitState, amount: Amount, seen: Seen) -> Step {
    if !rule.inside(amount) {
        return unsettle(state);
    }
    let max_gap = Duration::from_millis(rule.max_gap_ms);
    let since = match state.returning {
        Some((since, last)) if seen.taken.since(last) <= max_gap => since,
        _ => seen.taken,
    };
    state.returning = Some((since, seen.taken));
    let settled = seen.taken >= since.after(Duration::from_millis(rule.clear_delay_ms));
    if settled { Step::Return } else { Step::Quiet }
}
