//! The whole system as real processes, with TLS, door and disk, on this machine: what is promised is tried.
#![allow(clippy::print_stdout, clippy::print_stderr, clippy::disallowed_methods)]
#![allow(clippy::arithmetic_side_effects, clippy::indexing_slicing)]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod backlog;
mod clients;
mod cloned_card;
mod day;
mod delivery;
mod disk;
mod door;
mod door_access;
mod evaluate;
mod full_disk;
mod home;
mod hostile_network;
mod io_errors;
mod loading;
mod memory;
mod planted;
mod planted_live;
mod power_cut;
mod reload;
mod restoring;
mod serial_devices;
mod stolen_disk;
mod sync_order;
mod tap;
mod trace;
mod wrong_patient;
