//! Secrets of backups: twelve words to write down, and sheets by which several people open a backup together.

use std::collections::BTreeMap;

use age::secrecy::SecretString;
use bip39::{Language, Mnemonic};
use blahaj::{Share, Sharks};
use rand_core::{OsRng, RngCore as _};
use zeroize::Zeroizing;

/// Length of the secret, in bytes: twelve words (BIP 39) with four bits of checksum.
const SECRET_BYTES: usize = 16;
/// Length of a sheet's content, in bytes: eighteen words with six bits of checksum. One byte each for the form, the
/// number of sheets that are needed and that of all; four that are the same on all sheets of a backup; and the share:
/// its number, and one byte for each byte of the secret.
const SHEET_BYTES: usize = 24;
/// Form of the sheets.
const SHEET_FORM: u8 = 1;

/// Random secret from which the passphrase of a backup follows.
pub(crate) struct BackupSecret(Zeroizing<[u8; SECRET_BYTES]>);

/// Content of one sheet.
#[derive(Clone)]
pub(crate) struct BackupSheet {
    /// Number of sheets that open the backup together.
    pub(crate) needed: u8,
    /// Number of all sheets.
    pub(crate) total: u8,
    /// Random number of the backup.
    set: [u8; 4],
    /// Number of this sheet, from 1.
    pub(crate) number: u8,
    share: Zeroizing<Vec<u8>>,
}

impl BackupSecret {
    /// Generates a secret.
    pub(crate) fn generate() -> Self {
        let mut secret = Zeroizing::new([0; SECRET_BYTES]);
        OsRng.fill_bytes(&mut *secret);
        Self(secret)
    }

    /// Parses the words of a secret; `None` if there are others, or the checksum is wrong.
    pub(crate) fn from_words(text: &str) -> Option<Self> {
        let entropy = entropy(text)?;
        let secret = <[u8; SECRET_BYTES]>::try_from(entropy.as_slice()).ok()?;
        Some(Self(Zeroizing::new(secret)))
    }

    /// Returns the words, in order.
    pub(crate) fn words(&self) -> Vec<&'static str> {
        words(self.0.as_slice())
    }

    /// Returns the passphrase of the backup: the words with a space between them.
    pub(crate) fn passphrase(&self) -> SecretString {
        SecretString::from(self.words().join(" "))
    }

    /// Splits the secret among `total` sheets, of which any `needed` have it again and fewer have nothing (Shamir 1979).
    pub(crate) fn split(&self, needed: u8, total: u8) -> Vec<BackupSheet> {
        let mut set = [0; 4];
        OsRng.fill_bytes(&mut set);
        let shares = Sharks(needed).dealer(self.0.as_slice()).take(usize::from(total));
        let sheet = |share: Share| {
            let share = Zeroizing::new(Vec::from(&share));
            BackupSheet { needed, total, set, number: share.first().copied().unwrap_or_default(), share }
        };
        shares.map(sheet).collect()
    }

    /// Joins sheets; `None` if they are too few, or of several backups.
    pub(crate) fn join(sheets: &[BackupSheet]) -> Option<Self> {
        let first = sheets.first()?;
        if sheets.iter().any(|sheet| !sheet.belongs_with(first)) {
            return None;
        }
        // The same sheet twice counts once.
        let shares: BTreeMap<u8, &BackupSheet> = sheets.iter().map(|sheet| (sheet.number, sheet)).collect();
        if shares.len() < usize::from(first.needed) {
            return None;
        }
        let shares: Vec<Share> =
            shares.values().filter_map(|sheet| Share::try_from(sheet.share.as_slice()).ok()).collect();
        let joined = Zeroizing::new(Sharks(first.needed).recover(&shares).ok()?);
        Some(Self(Zeroizing::new(<[u8; SECRET_BYTES]>::try_from(joined.as_slice()).ok()?)))
    }
}

impl BackupSheet {
    /// Parses the words of a sheet; `None` if there are others, or the checksum is wrong.
    pub(crate) fn from_words(text: &str) -> Option<Self> {
        let content = entropy(text)?;
        let [form, needed, total, a, b, c, d, share @ ..] = content.as_slice() else { return None };
        let number = *share.first()?;
        let is_sheet = content.len() == SHEET_BYTES && *form == SHEET_FORM;
        let is_possible = (2..=*total).contains(needed) && (1..=*total).contains(&number);
        (is_sheet && is_possible).then(|| Self {
            needed: *needed,
            total: *total,
            set: [*a, *b, *c, *d],
            number,
            share: Zeroizing::new(share.to_vec()),
        })
    }

    /// Returns the words, in order.
    pub(crate) fn words(&self) -> Vec<&'static str> {
        let mut content = Zeroizing::new(Vec::with_capacity(SHEET_BYTES));
        content.extend_from_slice(&[SHEET_FORM, self.needed, self.total]);
        content.extend_from_slice(&self.set);
        content.extend_from_slice(&self.share);
        words(&content)
    }

    /// Returns whether both are sheets of one backup.
    pub(crate) fn belongs_with(&self, other: &Self) -> bool {
        (self.set, self.needed, self.total) == (other.set, other.needed, other.total)
    }
}

/// Returns the words for bytes; none for a length that has none.
fn words(bytes: &[u8]) -> Vec<&'static str> {
    Mnemonic::from_entropy_in(Language::English, bytes).map(|words| words.words().collect()).unwrap_or_default()
}

/// Returns the bytes of words as people type them: in any case, and with numbers or line breaks between them.
fn entropy(text: &str) -> Option<Zeroizing<Vec<u8>>> {
    let plain: Zeroizing<String> = Zeroizing::new(text.to_lowercase());
    let parts = plain.split(|c: char| !c.is_ascii_lowercase()).filter(|word| !word.is_empty());
    let plain = Zeroizing::new(parts.collect::<Vec<_>>().join(" "));
    let (bytes, length) = Mnemonic::parse_in_normalized(Language::English, &plain).ok()?.to_entropy_array();
    let bytes = Zeroizing::new(bytes);
    Some(Zeroizing::new(bytes.get(..length)?.to_vec()))
}

#[cfg(test)]
mod tests {
    use age::secrecy::ExposeSecret as _;

    use super::*;

    #[test]
    fn words_are_read_as_people_write_them() {
        let secret = BackupSecret::generate();
        let words = secret.words();
        assert_eq!(words.len(), 12);
        let written: String =
            words.iter().zip(1..).map(|(word, n)| format!("{n}. {}\n", word.to_uppercase())).collect();
        for text in [words.join(" "), words.join("   "), written] {
            let read = BackupSecret::from_words(&text).unwrap();
            assert_eq!(read.passphrase().expose_secret(), secret.passphrase().expose_secret());
        }
        for wrong in ["", "a passphrase", &words[1..].join(" "), &format!("{} zoo", words.join(" "))] {
            assert!(BackupSecret::from_words(wrong).is_none(), "{wrong}");
        }
    }

    #[test]
    fn any_sheets_of_the_number_that_is_needed_open_a_backup_and_fewer_do_not() {
        let secret = BackupSecret::generate();
        let sheets = secret.split(3, 5);
        assert_eq!(sheets.iter().map(|sheet| sheet.number).collect::<Vec<_>>(), [1, 2, 3, 4, 5]);
        let read = |number: usize| BackupSheet::from_words(&sheets[number].words().join(" ")).unwrap();
        for chosen in [[0, 1, 2], [4, 2, 0], [1, 3, 4]] {
            let joined = BackupSecret::join(&chosen.map(read)).unwrap();
            assert_eq!(joined.0, secret.0);
        }
        assert!(BackupSecret::join(&[read(0), read(1)]).is_none());
        assert!(BackupSecret::join(&[read(0), read(1), read(1)]).is_none(), "one sheet twice");
        // Fewer sheets under a false claim that they are enough do not have the secret either.
        let mut fewer = [read(0), read(1)];
        fewer.iter_mut().for_each(|sheet| sheet.needed = 2);
        assert!(BackupSecret::join(&fewer).is_none_or(|joined| joined.0 != secret.0));
    }

    #[test]
    fn sheets_of_two_backups_do_not_mix_and_a_wrong_word_is_found() {
        let (first, second) = (BackupSecret::generate().split(2, 3), BackupSecret::generate().split(2, 3));
        assert!(BackupSecret::join(&[first[0].clone(), second[1].clone()]).is_none());
        let mut words = first[0].words();
        assert_eq!(words.len(), 18);
        words.swap(0, 17);
        let swapped = words.join(" ");
        assert!(
            words[0] == words[17] || BackupSheet::from_words(&swapped).is_none_or(|sheet| sheet.set != first[0].set)
        );
        assert!(BackupSheet::from_words(&BackupSecret::generate().words().join(" ")).is_none());
    }
}
