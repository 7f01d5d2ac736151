//! What some models send otherwise than their protocol says. Decoders take what they need of it and know no model.

/// How a device's frames differ from its protocol. Default: they do not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Quirks {
    /// A cuff's pulse rate and measurement status come with the high octet first; the pressures do not.
    pub cuff_tail_big_endian: bool,
    /// A cuff sends the user's octet always, whatever its flag says.
    pub cuff_user_always: bool,
}
