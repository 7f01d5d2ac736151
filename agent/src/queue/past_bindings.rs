//! Bindings that were in force before: settings may be obeyed while readings taken under the table before still wait
//! for the queue's owner, and those readings belong to whoever had the device then.

use std::collections::VecDeque;

use shared::id::{BindingId, DeviceId};
use shared::time::Tick;
use shared::wire::BindingInForce;

use crate::limits;

/// The tables that were in force, each with the moment until which it was.
#[derive(Debug, Default)]
pub(super) struct PastBindings {
    /// Oldest first.
    tables: VecDeque<(Tick, Vec<BindingInForce>)>,
    /// Nothing is known of the time before.
    unknown_before: Option<Tick>,
}

impl PastBindings {
    /// Notes that `table` was in force until `until`.
    pub(super) fn push(&mut self, until: Tick, table: Vec<BindingInForce>) {
        self.tables.push_back((until, table));
        while self.tables.len() > limits::PAST_BINDINGS_MAX {
            self.unknown_before = self.tables.pop_front().map(|(until, _)| until);
        }
    }

    /// The binding of a device and slot at the moment a reading was captured; `current` is the table in force now.
    #[must_use]
    pub(super) fn find(
        &self,
        current: &[BindingInForce],
        device: &DeviceId,
        slot: Option<u8>,
        captured: Tick,
    ) -> Option<BindingId> {
        if self.unknown_before.is_some_and(|known_from| captured < known_from) {
            return None;
        }
        let past = self.tables.iter().find(|(until, _)| captured < *until);
        let table = past.map_or(current, |(_, table)| table.as_slice());
        table.iter().find(|row| row.device == *device && row.slot == slot).map(|row| row.binding)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::arithmetic_side_effects)]

    use super::*;

    fn table(number: u8) -> Vec<BindingInForce> {
        let binding = BindingId::from_bytes([number; 16]);
        vec![BindingInForce { binding, device: "device".parse().unwrap(), slot: None }]
    }

    fn at(past: &PastBindings, current: u8, tick: u64) -> Option<BindingId> {
        past.find(&table(current), &"device".parse().unwrap(), None, Tick::from_millis(tick))
    }

    #[test]
    fn the_moment_of_capture_chooses_the_table() {
        let mut past = PastBindings::default();
        past.push(Tick::from_millis(10), table(1));
        past.push(Tick::from_millis(20), table(2));
        let found = [9, 10, 19, 20].map(|tick| at(&past, 3, tick));
        assert_eq!(found, [1, 2, 2, 3].map(|number| Some(BindingId::from_bytes([number; 16]))));
    }

    #[test]
    fn a_time_whose_table_is_forgotten_has_no_binding_rather_than_a_wrong_one() {
        let mut past = PastBindings::default();
        for number in 1..=9 {
            past.push(Tick::from_millis(u64::from(number) * 10), table(number));
        }
        assert_eq!(past.tables.len(), limits::PAST_BINDINGS_MAX);
        assert_eq!(at(&past, 10, 9), None);
        assert_eq!(at(&past, 10, 10), Some(BindingId::from_bytes([2; 16])));
    }
}
