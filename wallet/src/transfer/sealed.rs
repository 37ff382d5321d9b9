//! Encrypted files of single copies: age, with a passphrase.

use std::{
    io::{Read as _, Write as _},
    iter,
};

use age::{DecryptError, Decryptor, Encryptor, secrecy::SecretString};
use carnet_core::Code;
use carnet_passphrase::{PassphraseIdentity, PassphraseRecipient};
use zeroize::Zeroizing;

use super::{MAX_FILE, malformed};
use crate::{
    failure::{Failure, FailureReason, Sentence},
    store::file::MAX_WORK_FACTOR,
};

/// Beginning of every age file.
const HEADER: &[u8] = b"age-encryption.org/";

/// Returns whether a file is encrypted.
#[must_use]
pub fn is_sealed(file: &[u8]) -> bool {
    file.starts_with(HEADER)
}

/// Encrypts a file with a passphrase. `work_factor`: base-2 logarithm of scrypt's N.
///
/// # Errors
/// `system` if it cannot be encrypted.
pub fn seal(content: &[u8], passphrase: &SecretString, work_factor: u8) -> Result<Vec<u8>, Failure> {
    let recipient = PassphraseRecipient::new(passphrase, work_factor);
    let mut sealed = Vec::new();
    let write = |sealed: &mut Vec<u8>| -> std::io::Result<()> {
        let encryptor =
            Encryptor::with_recipients(iter::once(&recipient as &dyn age::Recipient)).map_err(std::io::Error::other)?;
        let mut writer = encryptor.wrap_output(sealed)?;
        writer.write_all(content)?;
        writer.finish().map(drop)
    };
    write(&mut sealed).map_err(|error| {
        let message = Sentence::new("error-start").with_details(error);
        Failure::new(FailureReason::System, message, Sentence::new("hint-again"))
    })?;
    Ok(sealed)
}

/// Decrypts a file.
///
/// # Errors
/// `wrong_passphrase`; `work_factor` if decryption would take too long; `transfer_malformed`, also for more than
/// [`MAX_FILE`] bytes.
pub fn open(file: &[u8], passphrase: &SecretString) -> Result<Zeroizing<Vec<u8>>, Failure> {
    let identity = PassphraseIdentity::new(passphrase, MAX_WORK_FACTOR);
    let decryptor = Decryptor::new_buffered(file).map_err(undecryptable)?;
    let reader = decryptor.decrypt(iter::once(&identity as &dyn age::Identity)).map_err(undecryptable)?;
    let mut content = Zeroizing::new(Vec::with_capacity(file.len()));
    let limit = u64::try_from(MAX_FILE).unwrap_or(u64::MAX);
    reader.take(limit).read_to_end(&mut content).map_err(|_| malformed(&Code::MalformedValue.into()))?;
    Ok(content)
}

fn undecryptable(error: DecryptError) -> Failure {
    match error {
        DecryptError::DecryptionFailed | DecryptError::KeyDecryptionFailed => Failure::new(
            FailureReason::WrongPassphrase,
            Sentence::new("error-file-passphrase"),
            Sentence::new("hint-keyboard"),
        ),
        DecryptError::ExcessiveWork { .. } => Failure::new(
            FailureReason::WorkFactor,
            Sentence::new("error-work-factor"),
            Sentence::new("hint-strange-file"),
        ),
        _ => malformed(&Code::MalformedValue.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sealed_file_opens_with_its_passphrase_alone() {
        let secret = |text: &str| SecretString::from(text.to_owned());
        let sealed = seal(b"content", &secret("correct horse"), 12).unwrap();
        assert!(is_sealed(&sealed) && !is_sealed(b"{}"));
        assert!(!sealed.windows(7).any(|part| part == b"content"));
        assert_eq!(open(&sealed, &secret("correct horse")).unwrap().as_slice(), b"content");
        let refusal =
            |file: &[u8]| open(file, &secret("correct horse")).err().map(|failure| failure.reason.to_string());
        assert_eq!(open(&sealed, &secret("another")).unwrap_err().reason, FailureReason::WrongPassphrase);
        assert_eq!(refusal(&sealed[..sealed.len() - 1]).as_deref(), Some("transfer_malformed"));
        assert_eq!(refusal(HEADER).as_deref(), Some("transfer_malformed"));
    }
}
