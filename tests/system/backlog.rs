//! The agent's queue without the agent's process, so that days can pass at once: its own code, its own disk, clocks
//! that a test moves.

use std::path::Path;
use std::sync::Arc;

use agent::identity::Identity;
use agent::intake_item::Taken;
use agent::queue::sled_store::SledDisk;
use agent::queue::{Lent, Owner, QueueStatus, Setup};
use runtime::clock::{Clock, ManualClock};
use shared::id::HubId;
use shared::metric::Metric;
use shared::reading::{Quality, Reading};
use shared::sealing::SealingPublic;
use shared::units::{Decimal, Unit};
use shared::wire::BindingInForce;
use tokio::sync::{mpsc, watch};

/// A queue on a folder, with its clock.
pub(crate) struct Queue {
    pub(crate) owner: Owner<SledDisk>,
    pub(crate) clock: ManualClock,
    pub(crate) live: mpsc::Receiver<Lent>,
    pub(crate) status: watch::Receiver<QueueStatus>,
}

impl Queue {
    pub(crate) fn open(
        folder: &Path,
        hub: HubId,
        key: &Path,
        sealing_key: SealingPublic,
        bindings: Vec<BindingInForce>,
        clock: ManualClock,
    ) -> Self {
        let setup = Setup {
            hub,
            identity: Arc::new(Identity::load(key).unwrap()),
            clock: Clock::manual(clock.clone()),
            bindings,
            sealing_key,
            bytes_max: 1 << 30,
            frames_refused: Arc::new(|| 0),
        };
        std::fs::create_dir_all(folder).unwrap();
        let (live_out, live) = mpsc::channel(agent::limits::LIVE_MAX);
        let (status_out, status) = watch::channel(QueueStatus::default());
        let owner = Owner::open(SledDisk, folder, setup, live_out, status_out).unwrap();
        Self { owner, clock, live, status }
    }

    /// A reading taken now, sealed and synced at once if its record is one to keep.
    pub(crate) fn take(&mut self, device: &str, metric: Metric, value: Decimal, unit: Unit) {
        let captured = self.clock.now();
        let readings = vec![Reading::value(metric, value, unit, Quality::GOOD)];
        let device = device.parse().unwrap();
        let taken = Taken::Readings { device, slot: None, captured, device_time: None, from_memory: None, readings };
        self.owner.take(taken, captured);
        self.owner.turn(self.clock.now());
    }

    /// Ends it in order: everything taken is synced.
    pub(crate) fn close(mut self) {
        let at = self.clock.now();
        self.owner.finish(at);
        self.owner.close(at).unwrap();
    }
}
