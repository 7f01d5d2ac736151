//! The only file that reads entropy: the kernel's `getrandom`.

use getrandom::SysRng;
use getrandom::rand_core::UnwrapErr;
use shared::sealing::CryptoRng;

/// The kernel gives no entropy. Nothing can be sealed, signed or named without it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the kernel gives no random bytes; the process must end and be started again")]
pub struct EntropyUnavailable;

/// Fills the buffer with random bytes.
///
/// # Errors
/// [`EntropyUnavailable`] if the kernel has none to give.
pub fn fill(to: &mut [u8]) -> Result<(), EntropyUnavailable> {
    getrandom::fill(to).map_err(|_| EntropyUnavailable)
}

/// An array of random bytes.
///
/// # Errors
/// [`EntropyUnavailable`] if the kernel has none to give.
pub fn array<const N: usize>() -> Result<[u8; N], EntropyUnavailable> {
    let mut bytes = [0_u8; N];
    fill(&mut bytes)?;
    Ok(bytes)
}

/// A generator for what takes one (`shared::sealing::begin_stream`). It has no way to say that entropy is missing
/// and unwinds then; ask [`array()`] first where that must be handled.
#[must_use]
pub const fn rng() -> impl CryptoRng {
    UnwrapErr(SysRng)
}

#[cfg(test)]
mod tests {
    use super::*;
    use shared::id::{HubId, StreamId};
    use shared::sealing::{SealingSecret, StreamContext, Suite, begin_stream};

    #[test]
    fn does_not_repeat() {
        assert_ne!(array::<32>().unwrap(), array::<32>().unwrap());
        let mut bytes = [0_u8; 64];
        fill(&mut bytes).unwrap();
        assert_ne!(bytes, [0_u8; 64]);
    }

    #[test]
    fn a_stream_begins_with_it_and_each_time_anew() {
        let secret = SealingSecret::from_seed(Suite::X25519, [1; 32]);
        let context = StreamContext {
            hub: HubId::from_bytes([1; 16]),
            stream: StreamId::from_bytes([2; 16]),
            sealing_key: secret.public().id(),
            identity_digest: [3; 32],
        };
        let (first, _) = begin_stream(&secret.public(), &context, &mut rng()).unwrap();
        let (second, _) = begin_stream(&secret.public(), &context, &mut rng()).unwrap();
        assert_ne!(first, second);
    }
}
