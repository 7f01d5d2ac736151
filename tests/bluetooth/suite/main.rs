//! A real bluetoothd and simulated devices: what is measured there arrives here. `README.md` beside it says how to run
//! this and what of it is real.
#![allow(clippy::arithmetic_side_effects, clippy::expect_used, clippy::indexing_slicing, clippy::unwrap_used)]
#![allow(clippy::disallowed_methods, clippy::print_stderr)]

/// All that needs the machine, under one name: who runs ignored tests elsewhere leaves it out by that.
mod emulated_machine {
    mod pairing;
    mod profiles;
    mod records;
    mod rig;
    mod troubles;
}
