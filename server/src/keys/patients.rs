//! Patients' keys: each patient's identity is sealed under a key of their own, which the master key wraps. Destroying
//! the wrapped key erases the identity.

use shared::id::PatientId;
use shared::nhs_number::NhsNumber;
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

use super::{Cipher, KeysError, MasterKey, mac};

/// One patient's key.
pub struct PatientKey(Cipher);

impl PatientKey {
    /// Seals a column's text.
    ///
    /// # Errors
    /// [`KeysError`]
    pub fn seal(&self, patient: PatientId, column: &str, text: &str) -> Result<Vec<u8>, KeysError> {
        self.0.seal(text.as_bytes(), &place(patient, column))
    }

    /// Opens a column's text.
    ///
    /// # Errors
    /// [`KeysError::DoesNotOpen`] if it was not sealed for this patient and column.
    pub fn open(&self, patient: PatientId, column: &'static str, sealed: &[u8]) -> Result<String, KeysError> {
        let bytes = self.0.open(sealed, &place(patient, column)).ok_or(KeysError::DoesNotOpen(column))?;
        String::from_utf8(bytes.to_vec()).map_err(|_| KeysError::DoesNotOpen(column))
    }
}

fn place(patient: PatientId, column: &str) -> Vec<u8> {
    [patient.as_bytes().as_slice(), column.as_bytes()].concat()
}

#[derive(Zeroize, ZeroizeOnDrop)]
struct IndexKey([u8; 32]);

/// Makes, wraps and unwraps patients' keys, and finds patients by NHS number without storing it readably.
pub struct PatientVault {
    wrapping: Cipher,
    index: IndexKey,
}

impl PatientVault {
    /// The vault of this master key.
    #[must_use]
    pub fn new(master: &MasterKey) -> Self {
        Self {
            wrapping: master.cipher("rpm patient key wrapping v1"),
            index: IndexKey(master.derive("rpm nhs number index v1")),
        }
    }

    /// A new key for a patient, and the same wrapped.
    ///
    /// # Errors
    /// [`KeysError::Entropy`]
    pub fn create(&self, patient: PatientId) -> Result<(PatientKey, Vec<u8>), KeysError> {
        let key = Zeroizing::new(runtime::entropy::array::<32>()?);
        let wrapped = self.wrapping.seal(key.as_slice(), &place(patient, "key"))?;
        Ok((PatientKey(Cipher(*key)), wrapped))
    }

    /// A patient's key out of its wrapping.
    ///
    /// # Errors
    /// [`KeysError::DoesNotOpen`]
    pub fn unwrap(&self, patient: PatientId, wrapped: &[u8]) -> Result<PatientKey, KeysError> {
        let wrong = KeysError::DoesNotOpen("a patient's key");
        let Some(key) = self.wrapping.open(wrapped, &place(patient, "key")) else { return Err(wrong) };
        let key: [u8; 32] = key.as_slice().try_into().map_err(|_| wrong)?;
        Ok(PatientKey(Cipher(key)))
    }

    /// What is stored to find a patient again: a MAC of the number.
    #[must_use]
    pub fn lookup(&self, number: &NhsNumber) -> [u8; 32] {
        mac(&self.index.0, Zeroizing::new(number.reveal()).as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_opens_for_its_patient_and_column_only() {
        let vault = PatientVault::new(&MasterKey::from_bytes([3; 32]));
        let (ann, bob) = (PatientId::from_bytes([1; 16]), PatientId::from_bytes([2; 16]));
        let (key, wrapped) = vault.create(ann).unwrap();
        let sealed = key.seal(ann, "name", "Ann Example").unwrap();
        assert!(!sealed.windows(3).any(|w| w == b"Ann"));
        let again = vault.unwrap(ann, &wrapped).unwrap();
        assert_eq!(again.open(ann, "name", &sealed).unwrap(), "Ann Example");
        assert!(again.open(ann, "born", &sealed).is_err());
        assert!(again.open(bob, "name", &sealed).is_err());
        assert!(vault.unwrap(bob, &wrapped).is_err());
    }

    #[test]
    fn a_number_is_found_under_the_same_master_key_only() {
        let number: NhsNumber = "9434765919".parse().unwrap();
        let (one, two) = (MasterKey::from_bytes([3; 32]), MasterKey::from_bytes([4; 32]));
        assert_eq!(PatientVault::new(&one).lookup(&number), PatientVault::new(&one).lookup(&number));
        assert_ne!(PatientVault::new(&one).lookup(&number), PatientVault::new(&two).lookup(&number));
    }
}
