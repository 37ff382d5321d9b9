//! Passphrase recipient and identity for files encrypted with age, with a work factor that the caller sets.
//!
//! The stanza is that of the age specification (c2sp.org/age, scrypt recipient), so that every age implementation can
//! decrypt the file. The types of the `age` crate run scrypt when they are created, to choose a work factor for the
//! machine; these do not.
//!
//! A file is encrypted with the normal form of a passphrase, and can be decrypted with its other encodings as well.

use std::{
    collections::HashSet,
    io,
    sync::atomic::{AtomicBool, Ordering},
};

use age::{DecryptError, EncryptError, secrecy::ExposeSecret as _};
use age_core::{
    format::{FILE_KEY_BYTES, FileKey, Stanza},
    primitives::{aead_decrypt, aead_encrypt},
    secrecy::SecretString,
};
use base64::{Engine as _, prelude::BASE64_STANDARD_NO_PAD};
use rand_core::{OsRng, RngCore as _};
use scrypt::Params;
use zeroize::{Zeroize as _, Zeroizing};

mod forms;

pub use forms::{first_forbidden_character, normal_form};

const STANZA_TAG: &str = "scrypt";
const SALT_LABEL: &[u8] = b"age-encryption.org/v1/scrypt";
const SALT_BYTES: usize = 16;
/// Length of the wrapped file key: the key, and the tag of Poly1305.
const BODY_BYTES: usize = FILE_KEY_BYTES + 16;
/// scrypt's block size, as the age specification fixes it.
const BLOCK_SIZE: u32 = 8;

/// Age recipient for a passphrase. It must be the only recipient of its file.
pub struct PassphraseRecipient {
    passphrase: SecretString,
    work_factor: u8,
}

impl PassphraseRecipient {
    /// Creates a recipient with the normal form of the passphrase. `work_factor` is the base-2 logarithm of scrypt's N;
    /// encryption fails for one that scrypt does not support.
    #[must_use]
    pub fn new(passphrase: &SecretString, work_factor: u8) -> Self {
        Self { passphrase: normal_form(passphrase), work_factor }
    }
}

impl age::Recipient for PassphraseRecipient {
    fn wrap_file_key(&self, file_key: &FileKey) -> Result<(Vec<Stanza>, HashSet<String>), EncryptError> {
        // The wrapping key encrypts under a fixed nonce: a salt must never be used twice.
        let mut salt = [0; SALT_BYTES];
        OsRng.fill_bytes(&mut salt);
        let key = derive_wrapping_key(&self.passphrase, &salt, self.work_factor)
            .ok_or_else(|| EncryptError::Io(io::Error::other("no such work factor")))?;
        let stanza = Stanza {
            tag: STANZA_TAG.to_owned(),
            args: vec![BASE64_STANDARD_NO_PAD.encode(salt), self.work_factor.to_string()],
            body: aead_encrypt(&key, file_key.expose_secret()),
        };
        // A unique label keeps other recipients out of the file.
        let mut label = [0; SALT_BYTES];
        OsRng.fill_bytes(&mut label);
        Ok((vec![stanza], HashSet::from([BASE64_STANDARD_NO_PAD.encode(label)])))
    }
}

/// Age identity that decrypts files that were encrypted with any encoding of a passphrase.
pub struct PassphraseIdentity {
    /// Encodings of the passphrase; the normal form is first.
    forms: Vec<SecretString>,
    max_work_factor: u8,
    opened_by_older_form: AtomicBool,
}

impl PassphraseIdentity {
    /// Creates an identity that refuses files with a work factor above `greatest_work_factor`, so that a file cannot
    /// demand excessive time and memory.
    #[must_use]
    pub fn new(passphrase: &SecretString, greatest_work_factor: u8) -> Self {
        Self {
            forms: forms::all_forms(passphrase),
            max_work_factor: greatest_work_factor,
            opened_by_older_form: AtomicBool::new(false),
        }
    }

    /// Returns whether the last file decrypted with this identity was encrypted with an encoding other than the normal
    /// form.
    #[must_use]
    pub fn opened_by_older_form(&self) -> bool {
        self.opened_by_older_form.load(Ordering::Relaxed)
    }

    /// Decrypts the file key in a stanza, with each encoding of the passphrase in turn.
    fn unwrap_file_key(&self, stanza: &Stanza) -> Result<FileKey, DecryptError> {
        let [salt, work_factor] = stanza.args.as_slice() else { return Err(DecryptError::InvalidHeader) };
        let salt: [u8; SALT_BYTES] = BASE64_STANDARD_NO_PAD
            .decode(salt)
            .ok()
            .and_then(|salt| salt.try_into().ok())
            .ok_or(DecryptError::InvalidHeader)?;
        let required = parse_work_factor(work_factor).ok_or(DecryptError::InvalidHeader)?;
        if stanza.body.len() != BODY_BYTES {
            return Err(DecryptError::InvalidHeader);
        }
        let excessive = || DecryptError::ExcessiveWork { required, target: self.max_work_factor };
        if required > self.max_work_factor {
            return Err(excessive());
        }
        let open = |form: &SecretString| -> Result<Vec<u8>, DecryptError> {
            let key = derive_wrapping_key(form, &salt, required).ok_or_else(excessive)?;
            Ok(aead_decrypt(&key, FILE_KEY_BYTES, &stanza.body)?)
        };
        let mut tried = self.forms.iter().map(open).enumerate();
        let opened = tried.find(|(_, opened)| !matches!(opened, Err(DecryptError::DecryptionFailed)));
        let (number, plain) = opened.ok_or(DecryptError::DecryptionFailed)?;
        let mut plain = plain?;
        self.opened_by_older_form.store(number > 0, Ordering::Relaxed);
        let file_key = FileKey::init_with_mut(|file_key| {
            for (to, from) in file_key.iter_mut().zip(&plain) {
                *to = *from;
            }
        });
        plain.zeroize();
        Ok(file_key)
    }
}

impl age::Identity for PassphraseIdentity {
    fn unwrap_stanza(&self, stanza: &Stanza) -> Option<Result<FileKey, DecryptError>> {
        (stanza.tag == STANZA_TAG).then(|| self.unwrap_file_key(stanza))
    }
}

/// Derives the key that wraps the file key, with scrypt; `None` for an unsupported work factor.
fn derive_wrapping_key(
    passphrase: &SecretString,
    salt: &[u8; SALT_BYTES],
    work_factor: u8,
) -> Option<Zeroizing<[u8; 32]>> {
    let params = Params::new(work_factor, BLOCK_SIZE, 1, 32).ok()?;
    let salt = [SALT_LABEL, salt].concat();
    let mut key = Zeroizing::new([0; 32]);
    scrypt::scrypt(passphrase.expose_secret().as_bytes(), &salt, &params, key.as_mut()).ok()?;
    Some(key)
}

/// Parses a work factor in the only form that the specification allows: digits without a leading zero; `None` for other
/// texts and for more than 255.
fn parse_work_factor(text: &str) -> Option<u8> {
    let number: u8 = text.parse().ok()?;
    (number > 0 && number.to_string() == text).then_some(number)
}

#[cfg(test)]
mod tests {
    use std::{
        io::{Read as _, Write as _},
        iter,
    };

    use age::{Decryptor, Encryptor, Identity, Recipient, scrypt as native};

    use super::*;

    fn secret(text: &str) -> SecretString {
        SecretString::from(text.to_owned())
    }

    fn seal(recipient: &dyn Recipient) -> Vec<u8> {
        let mut sealed = Vec::new();
        let encryptor = Encryptor::with_recipients(iter::once(recipient)).unwrap();
        let mut writer = encryptor.wrap_output(&mut sealed).unwrap();
        writer.write_all(b"contents").unwrap();
        writer.finish().unwrap();
        sealed
    }

    fn open(sealed: &[u8], identity: &dyn Identity) -> Result<Vec<u8>, DecryptError> {
        let mut plain = Vec::new();
        Decryptor::new_buffered(sealed)?.decrypt(iter::once(identity))?.read_to_end(&mut plain).unwrap();
        Ok(plain)
    }

    #[test]
    fn files_open_here_and_with_ages_own_identity() {
        let sealed = seal(&PassphraseRecipient::new(&secret("correct horse"), 10));
        assert_eq!(open(&sealed, &PassphraseIdentity::new(&secret("correct horse"), 10)).unwrap(), b"contents");
        assert_eq!(open(&sealed, &native::Identity::new(secret("correct horse"))).unwrap(), b"contents");
        let head = String::from_utf8_lossy(&sealed).lines().nth(1).unwrap().to_owned();
        assert!(head.starts_with("-> scrypt ") && head.ends_with(" 10"), "{head}");
    }

    #[test]
    fn files_of_ages_own_recipient_open() {
        let mut recipient = native::Recipient::new(secret("correct horse"));
        recipient.set_work_factor(10);
        let sealed = seal(&recipient);
        assert_eq!(open(&sealed, &PassphraseIdentity::new(&secret("correct horse"), 12)).unwrap(), b"contents");
    }

    #[test]
    fn a_file_that_was_sealed_with_an_older_form_opens_with_all_forms() {
        let (composed, decomposed) = ("Zo\u{eb} caf\u{e9}", "Zoe\u{308} cafe\u{301}");
        for older in [decomposed, "\u{feff}Zo\u{eb} caf\u{e9}", "Zo\u{eb}\u{a0}caf\u{e9}"] {
            let mut recipient = native::Recipient::new(secret(older));
            recipient.set_work_factor(2);
            let identity = PassphraseIdentity::new(&secret(older), 10);
            assert_eq!(open(&seal(&recipient), &identity).unwrap(), b"contents");
            assert!(identity.opened_by_older_form());
            let again = seal(&PassphraseRecipient::new(&secret(older), 2));
            for form in [composed, decomposed, older] {
                let identity = PassphraseIdentity::new(&secret(form), 10);
                assert_eq!(open(&again, &identity).unwrap(), b"contents");
                assert!(!identity.opened_by_older_form());
            }
        }
        let mut recipient = native::Recipient::new(secret(decomposed));
        recipient.set_work_factor(2);
        let sealed = seal(&recipient);
        assert!(open(&sealed, &PassphraseIdentity::new(&secret(composed), 10)).is_ok(), "typed on another system");
        let other = open(&sealed, &PassphraseIdentity::new(&secret("Zoe cafe"), 10));
        assert!(matches!(other, Err(DecryptError::DecryptionFailed)));
    }

    #[test]
    fn another_passphrase_does_not_open_and_too_much_work_is_not_done() {
        let sealed = seal(&PassphraseRecipient::new(&secret("correct horse"), 10));
        let wrong = open(&sealed, &PassphraseIdentity::new(&secret("correct hors"), 10));
        assert!(matches!(wrong, Err(DecryptError::DecryptionFailed)), "{wrong:?}");
        let much = open(&sealed, &PassphraseIdentity::new(&secret("correct horse"), 9));
        assert!(matches!(much, Err(DecryptError::ExcessiveWork { required: 10, target: 9 })), "{much:?}");
    }

    #[test]
    fn two_files_share_no_salt_and_no_other_recipient_comes_beside() {
        let recipient = PassphraseRecipient::new(&secret("correct horse"), 1);
        let stanza = || String::from_utf8_lossy(&seal(&recipient)).lines().nth(1).unwrap().to_owned();
        assert_ne!(stanza(), stanza());
        let both = [&recipient as &dyn Recipient, &recipient];
        assert!(Encryptor::with_recipients(both.into_iter()).is_err());
    }

    #[test]
    fn stanzas_of_another_form_are_refused() {
        let identity = PassphraseIdentity::new(&secret("correct horse"), 10);
        let salt = BASE64_STANDARD_NO_PAD.encode([7; SALT_BYTES]);
        let salt = salt.as_str();
        let stanza = |args: &[&str], length: usize| Stanza {
            tag: STANZA_TAG.to_owned(),
            args: args.iter().map(|arg| (*arg).to_owned()).collect(),
            body: vec![0; length],
        };
        for work_factor in ["", "0", "01", "+1", "1 ", "ten", "256"] {
            let refused = identity.unwrap_stanza(&stanza(&[salt, work_factor], BODY_BYTES)).unwrap();
            assert!(matches!(refused, Err(DecryptError::InvalidHeader)), "{work_factor}");
        }
        for (args, length) in [(&[][..], 32), (&[salt][..], 32), (&["AAAA", "1"][..], 32), (&[salt, "1"][..], 31)] {
            let refused = identity.unwrap_stanza(&stanza(args, length)).unwrap();
            assert!(matches!(refused, Err(DecryptError::InvalidHeader)), "{args:?} {length}");
        }
        let guessed = identity.unwrap_stanza(&stanza(&[salt, "1"], BODY_BYTES)).unwrap();
        assert!(matches!(guessed, Err(DecryptError::DecryptionFailed)));
        let other = Stanza { tag: "X25519".to_owned(), ..stanza(&[], 32) };
        assert!(identity.unwrap_stanza(&other).is_none());
    }
}
