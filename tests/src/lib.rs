//! What tests and the demo are made of: devices that are not there ([`simulators`]), a network that fails
//! ([`faulty_network`]), a machine with little memory ([`memory_limit`]), a hub made by hand ([`door_client`]) and what
//! the door counts of it ([`door_counts`]), many of them ([`load`]), a campaign against the door ([`door_campaign`]) and
//! one against the decoders ([`decoders`]), a day over serial lines ([`day`]), power cuts ([`power_cut`]) out of traces of
//! system calls ([`strace`]), a screen without a screen ([`feed_client`]), and the real programs as processes ([`binaries`],
//! [`process`], [`server`], [`hub`]) with what their store holds ([`stored`]), beside the public test vectors ([`vectors`]).
// Tests stop at the first thing that is wrong, and tell people so at a terminal.
#![allow(clippy::print_stdout, clippy::print_stderr, clippy::disallowed_methods)]
#![allow(clippy::arithmetic_side_effects, clippy::indexing_slicing)]

pub mod binaries;
pub mod day;
pub mod decoders;
pub mod door_campaign;
pub mod door_client;
pub mod door_counts;
pub mod faulty_network;
pub mod feed_client;
pub mod hub;
pub mod load;
pub mod memory_limit;
pub mod patients;
pub mod power_cut;
pub mod process;
pub mod server;
pub mod simulators;
pub mod stored;
pub mod strace;
pub mod vectors;
pub mod wait;
