//! Bytes of a serial line → moments of readings. Pure: what a clock says comes in with the bytes.
//!
//! Three steps: a protocol's file finds frames in a stream that may begin anywhere, lose bytes and hold garbage
//! ([`nonin_packet`] for DF2 and DF7, [`nonin_df8`], [`nonin_df13`], [`bci`],
//! [`cms50_line`], [`masimo`]); what has no checksum must prove
//! itself before it is believed ([`belief`]); what comes many times a second is gathered into one moment a second
//! ([`window`]). [`StreamDecoder`] joins them.

pub mod and_scale;
pub mod and_ua767;
pub mod bci;
pub mod belief;
pub mod beurer_bm65;
pub mod ble;
pub mod checksum;
pub mod cms50_line;
pub mod cms50_package;
pub mod cuff;
pub mod cursor;
pub mod date_time;
pub mod framing;
pub mod lifescan;
pub mod masimo;
pub mod medfloat;
pub mod nonin_df13;
pub mod nonin_df8;
pub mod nonin_packet;
mod protocol;
pub mod quirks;
mod refused;
pub mod report;
mod stream;
pub mod suntech;
pub mod talk;
pub mod window;

pub use protocol::{Protocol, UnknownProtocol};
pub use refused::{RefusedFrame, Tally};
pub use report::{Memory, Moment, Readings, Report};
pub use stream::{Heard, StreamDecoder, Unit};

#[cfg(test)]
mod slips;
#[cfg(test)]
pub(crate) mod tests;
