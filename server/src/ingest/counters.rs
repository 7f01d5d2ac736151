//! What ingest counts. Readable at any time; nothing in it identifies a patient.

use std::sync::atomic::{AtomicU64, Ordering};

use shared::wire::QuarantineReason;

macro_rules! counters {
    ($($(#[$doc:meta])* $name:ident,)+) => {
        /// Counts since the start of the process.
        #[derive(Debug, Default)]
        pub struct Counters { $($(#[$doc])* pub $name: Counter,)+ quarantined: [Counter; REASONS.len()] }

        impl Counters {
            /// Every plain count by its name.
            #[must_use]
            pub fn all(&self) -> Vec<(&'static str, u64)> {
                vec![$((stringify!($name), self.$name.get()),)+]
            }
        }
    };
}

counters! {
    /// Batches committed.
    batches,
    /// Records in them.
    records,
    /// Observations that were new.
    observations,
    /// Records the store held already.
    repeats,
    /// Messages refused because they cannot be read.
    refused_unreadable,
    /// Messages refused because they name another hub than the certificate.
    refused_foreign,
    /// Messages that could not be committed; their hubs send them again.
    refused_unavailable,
    /// Batches taken apart because the store could not take them whole.
    taken_apart,
    /// Openings found good.
    openings,
    /// Openings not looked at, because their hub sent too many.
    openings_over_rate,
    /// Batches whose MAC does not fit: stored, ages unknown.
    mac_failures,
    /// Batches not kept because nobody knows their stream; the opening was asked for.
    openings_wanted,
    /// Receipts sent.
    receipts,
    /// Receipts not sent because the stream's key was forgotten meanwhile; the hub sends again.
    receipts_without_key,
    /// Quarantined ranges not said because too many waited; the hub sends again.
    receipts_cut,
}

/// The reasons counted apart.
pub const REASONS: [QuarantineReason; 7] = [
    QuarantineReason::Damaged,
    QuarantineReason::Unreadable,
    QuarantineReason::SealingKeyRetired,
    QuarantineReason::BadOpening,
    QuarantineReason::Conflict,
    QuarantineReason::ClonedHub,
    QuarantineReason::CompromisedKey,
];

impl Counters {
    /// Counts records in quarantine.
    pub(super) fn quarantine(&self, reason: QuarantineReason, records: u64) {
        let counted = REASONS.iter().zip(&self.quarantined).find(|(known, _)| **known == reason);
        if let Some((_, counter)) = counted {
            counter.add(records);
        }
    }

    /// Records in quarantine, by reason.
    #[must_use]
    pub fn quarantined(&self) -> Vec<(QuarantineReason, u64)> {
        REASONS.iter().copied().zip(self.quarantined.iter().map(Counter::get)).collect()
    }
}

/// One count.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    pub(super) fn add(&self, more: u64) {
        self.0.fetch_add(more, Ordering::Relaxed);
    }

    /// Its value.
    #[must_use]
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}
