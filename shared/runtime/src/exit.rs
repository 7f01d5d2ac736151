//! What the process says when it ends.

use std::process::{ExitCode, Termination};

/// How the process ended. The numbers are part of the service's unit files.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Exit {
    /// 0: asked to stop, and everything accepted is durable.
    Drained = 0,
    /// 64: the arguments make no sense; starting again does not help (`RestartPreventExitStatus=64`).
    Usage = 64,
    /// 70: an owner ended unasked; starting again helps.
    OwnerLost = 70,
    /// 75: asked to stop, and something did not finish within the grace period.
    NotDrained = 75,
    /// 78: the configuration or the identity is wrong. Said by `check` only: a service starts in safe mode instead.
    Configuration = 78,
}

impl Exit {
    /// The number.
    #[must_use]
    pub const fn code(self) -> u8 {
        self as u8
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}

impl Termination for Exit {
    fn report(self) -> ExitCode {
        self.into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_numbers_stay() {
        let all = [Exit::Drained, Exit::Usage, Exit::OwnerLost, Exit::NotDrained, Exit::Configuration];
        assert_eq!(all.map(Exit::code), [0, 64, 70, 75, 78]);
    }
}
