//! A genuine ClientHello (RFC 8446 §4.1.2), taken apart, changed and put together again.

use std::sync::Arc;

use anyhow::Context;
use rustls::{ClientConfig, ClientConnection};
use rustls_pki_types::ServerName;

use super::draw::Draw;

/// The extension `supported_versions` (RFC 8446 §4.2.1).
const SUPPORTED_VERSIONS: u16 = 43;

/// A ClientHello.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hello {
    /// From the version to the compression methods.
    head: Vec<u8>,
    extensions: Vec<(u16, Vec<u8>)>,
}

/// What the client of a configuration says first, as octets on the wire.
///
/// # Errors
/// TLS's.
pub fn recorded(tls: Arc<ClientConfig>) -> anyhow::Result<Vec<u8>> {
    let name = ServerName::try_from(crate::server::SERVER_NAME)?;
    let mut wire = Vec::new();
    ClientConnection::new(tls, name)?.write_tls(&mut wire)?;
    Ok(wire)
}

fn two(octets: &[u8], at: usize) -> Option<usize> {
    let pair = octets.get(at..at.checked_add(2)?)?;
    Some(usize::from(u16::from_be_bytes(pair.try_into().ok()?)))
}

fn long(length: usize) -> [u8; 2] {
    u16::try_from(length).unwrap_or(u16::MAX).to_be_bytes()
}

impl Hello {
    /// Of one record on the wire.
    ///
    /// # Errors
    /// If that is none.
    pub fn read(wire: &[u8]) -> anyhow::Result<Self> {
        Self::parts(wire).context("what the client says first is no ClientHello in one record")
    }

    fn parts(wire: &[u8]) -> Option<Self> {
        // Five octets of the record's header, four of the handshake message's.
        let body = wire.get(9..)?;
        let session = 2 + 32;
        let suites = session + 1 + usize::from(*body.get(session)?);
        let compressions = suites + 2 + two(body, suites)?;
        let end = compressions + 1 + usize::from(*body.get(compressions)?);
        let mut rest = body.get(end + 2..)?;
        (rest.len() == two(body, end)?).then_some(())?;
        let mut extensions = Vec::new();
        while !rest.is_empty() {
            let (kind, length) = (two(rest, 0)?, two(rest, 2)?);
            extensions.push((u16::try_from(kind).ok()?, rest.get(4..4 + length)?.to_vec()));
            rest = rest.get(4 + length..)?;
        }
        Some(Self { head: body.get(..end)?.to_vec(), extensions })
    }

    /// As octets on the wire.
    #[must_use]
    pub fn wire(&self) -> Vec<u8> {
        let mut extensions = Vec::new();
        for (kind, content) in &self.extensions {
            extensions.extend(kind.to_be_bytes());
            extensions.extend(long(content.len()));
            extensions.extend(content);
        }
        let body = [self.head.as_slice(), &long(extensions.len()), &extensions].concat();
        let message = [[1, 0].as_slice(), &long(body.len()), &body].concat();
        [[22, 3, 1].as_slice(), &long(message.len()), &message].concat()
    }

    /// The same for a server that knows nothing newer than TLS 1.2.
    #[must_use]
    pub fn without_tls_1_3(&self) -> Self {
        let older = |(kind, _): &&(u16, Vec<u8>)| *kind != SUPPORTED_VERSIONS;
        Self { head: self.head.clone(), extensions: self.extensions.iter().filter(older).cloned().collect() }
    }

    /// Changed: its octets, its lengths, or its extensions.
    #[must_use]
    pub fn changed(&self, draw: &mut Draw) -> Vec<u8> {
        let mut hello = self.clone();
        match draw.below(8) {
            0 | 1 => return draw.torn(&self.wire()),
            2 => {
                // The lengths of record, message, session, suites: somewhere in them another number.
                let mut wire = self.wire();
                let at = *draw.of(&[3, 4, 6, 7, 8, 43, 76, 77]).unwrap_or(&3);
                let other = draw.octet();
                wire.iter_mut().skip(at).take(1).for_each(|octet| *octet ^= other | 1);
                return wire;
            }
            3 => draw.shuffle(&mut hello.extensions),
            4 => {
                let gone = draw.below(hello.extensions.len());
                hello.extensions.remove(gone);
            }
            5 => {
                let twice = hello.extensions.get(draw.below(hello.extensions.len())).cloned();
                hello.extensions.extend(twice);
            }
            6 => {
                let place = draw.below(hello.extensions.len());
                if let Some((_, content)) = hello.extensions.get_mut(place) {
                    *content = draw.torn(content);
                }
            }
            _ => {
                let (kind, count) = (draw.number().to_le_bytes(), draw.below(4_096));
                let content = draw.octets(count);
                hello.extensions.push((u16::from_le_bytes([kind[0], kind[1]]), content));
            }
        }
        hello.wire()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn genuine() -> Vec<u8> {
        let builder = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()));
        let builder = builder.with_protocol_versions(&[&rustls::version::TLS13]).unwrap();
        let config = builder.with_root_certificates(rustls::RootCertStore::empty()).with_no_client_auth();
        recorded(Arc::new(config)).unwrap()
    }

    #[test]
    fn a_genuine_hello_is_put_together_as_it_was() {
        let wire = genuine();
        let hello = Hello::read(&wire).unwrap();
        assert_eq!(hello.wire()[3..], wire[3..]);
        assert!(hello.extensions.iter().any(|(kind, _)| *kind == SUPPORTED_VERSIONS));
        let older = Hello::read(&hello.without_tls_1_3().wire()).unwrap();
        assert_eq!(older.extensions.len() + 1, hello.extensions.len());
        assert!(Hello::read(&wire[..50]).is_err());
    }

    #[test]
    fn any_change_can_be_put_on_the_wire() {
        let hello = Hello::read(&genuine()).unwrap();
        let changed = (0..500).map(|case| hello.changed(&mut Draw::new(5, case)));
        let other = changed.filter(|wire| *wire != hello.wire()).count();
        assert!(other > 450, "{other} differ");
    }
}
