//! Which device of this hub has which port. Two names can lead to one port (a path, a link to it, an adapter's numbers), and
//! while one device waits to open it again, the other must not get it: its readings would be another person's.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use shared::id::DeviceId;

/// A port that a device was given.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Claim {
    device: DeviceId,
    /// The name that led to it.
    name: PathBuf,
    /// The port itself, without links.
    port: PathBuf,
}

/// The ports that devices were given, one for each device. The first to have a port keeps it while it waits to open it again,
/// and also while it is unplugged; it loses it when it ends, or when its name leads to another port that is there.
#[derive(Debug, Default)]
pub(super) struct Claims(Mutex<Vec<Claim>>);

impl Claims {
    /// None yet.
    pub(super) const fn new() -> Self {
        Self(Mutex::new(Vec::new()))
    }

    /// Gives a device the port that its name leads to; whether it may have it. A name that leads nowhere is given nothing and
    /// refused nothing.
    pub(super) fn claim(&self, device: &DeviceId, name: &Path) -> bool {
        let Ok(port) = name.canonicalize() else { return true };
        let mut claims = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let has_left = |claim: &Claim| claim.name.canonicalize().is_ok_and(|now| now != claim.port);
        if claims.iter().any(|claim| claim.port == port && claim.device != *device && !has_left(claim)) {
            return false;
        }
        claims.retain(|claim| claim.device != *device && claim.port != port);
        claims.push(Claim { device: device.clone(), name: name.to_owned(), port });
        true
    }

    /// The device has ended.
    pub(super) fn release(&self, device: &DeviceId) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).retain(|claim| claim.device != *device);
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn a_port_stays_with_the_first_device_until_its_name_leads_elsewhere() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        fs::write(path("tty0"), "").unwrap();
        fs::write(path("tty1"), "").unwrap();
        symlink(path("tty0"), path("by-id")).unwrap();
        let device = |name: &str| -> DeviceId { name.parse().unwrap() };
        let (first, second, claims) = (device("first"), device("second"), Claims::new());
        assert!(claims.claim(&first, &path("by-id")) && claims.claim(&first, &path("by-id")));
        assert!(!claims.claim(&second, &path("tty0")), "another name of the same port");
        assert!(claims.claim(&second, &path("tty1")) && claims.claim(&second, &path("nowhere")));
        // Unplugged: what is at the path meanwhile may still be the first one's.
        fs::remove_file(path("by-id")).unwrap();
        assert!(!claims.claim(&second, &path("tty0")));
        // Plugged in elsewhere.
        claims.release(&second);
        symlink(path("tty1"), path("by-id")).unwrap();
        assert!(claims.claim(&second, &path("tty0")) && claims.claim(&first, &path("by-id")));
        assert!(!claims.claim(&second, &path("tty1")));
        claims.release(&first);
        assert!(claims.claim(&second, &path("tty1")));
    }
}
