//! Checkpoint: signed replacement of deleted log entries (spec/log.md section 7).

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use carnet_core::{
    Code, Problem,
    json::canonicalize,
    keys::{PublicKey, Signer},
    time::Timestamp,
};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{LogError, WalletLog, instant};

/// Prefix of the signed bytes, so that the key signs nothing else.
const TAG: &[u8] = b"carnet-log-checkpoint/1\0";

/// Replacement of the deleted entries at the start of a log: their number, and the digest to which the next entry
/// refers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Checkpoint {
    /// Number of the last deleted entry.
    #[serde(rename = "entries")]
    pub last_deleted: u64,
    /// Digest of the last deleted entry.
    pub head: String,
    /// Instant before which all entries were deleted: the start of a day.
    #[serde(with = "instant")]
    pub before: Timestamp,
    /// Time of the deletion.
    #[serde(with = "instant")]
    pub at: Timestamp,
    /// Public key of the wallet's log key, as a Multikey.
    pub key: String,
    /// base64url of the signature over [`TAG`] and the RFC 8785 text of the other members.
    signature: String,
}

impl Checkpoint {
    fn sign(mut self, signer: &dyn Signer) -> Result<Self, Problem> {
        self.signature = URL_SAFE_NO_PAD.encode(signer.sign(&self.message()?)?);
        Ok(self)
    }

    fn message(&self) -> Result<Vec<u8>, Problem> {
        let mut value = serde_json::to_value(self).map_err(|_| Problem::from(Code::ProofGeneration))?;
        if let Value::Object(members) = &mut value {
            members.remove("signature");
        }
        Ok([TAG, &canonicalize(&value)?].concat())
    }

    /// Verifies the signature with the key in the checkpoint itself.
    fn verify_signature(&self) -> Result<(), Problem> {
        let signature = URL_SAFE_NO_PAD.decode(&self.signature).map_err(|_| Problem::from(Code::InvalidEncoding))?;
        PublicKey::from_multikey(&self.key)?.verify(&self.message()?, &signature)
    }
}

impl WalletLog {
    /// Returns the checkpoint that replaces deleted entries; `None` if none were deleted.
    pub fn checkpoint(&self) -> Option<&Checkpoint> {
        self.checkpoint.as_ref()
    }

    /// Returns the number of deleted entries. The numbers of later entries continue from there.
    pub fn deleted_count(&self) -> u64 {
        self.checkpoint.as_ref().map_or(0, |checkpoint| checkpoint.last_deleted)
    }

    /// Returns the number of entries at the start of the log that are older than an instant, up to the first that is
    /// not.
    pub fn count_before(&self, instant: Timestamp) -> usize {
        self.entries.iter().take_while(|entry| entry.at < instant).count()
    }

    /// Deletes the entries at the start of the log that are older than `before`, up to the first that is not, and
    /// replaces them with a checkpoint signed by `signer`. The head is unchanged. Returns the number of deleted
    /// entries.
    ///
    /// # Errors
    /// The hash chain is invalid: a deletion must not hide a change.
    pub fn delete_before(&mut self, before: Timestamp, now: Timestamp, signer: &dyn Signer) -> Result<usize, LogError> {
        self.check_chain()?;
        let count = self.count_before(before);
        let Some(last) = count.checked_sub(1).and_then(|last| self.entries.get(last)) else { return Ok(0) };
        let checkpoint = Checkpoint {
            last_deleted: last.number,
            head: last.digest(),
            before,
            at: now,
            key: signer.public_key().to_multikey(),
            signature: String::new(),
        };
        let unsigned = |problem: Problem| LogError { number: last.number, description: problem.to_string() };
        self.checkpoint = Some(checkpoint.sign(signer).map_err(unsigned)?);
        self.entries.drain(..count);
        Ok(count)
    }

    /// Verifies the checkpoint, if there is one, and returns the digest to which the first entry must refer.
    ///
    /// # Errors
    /// The signature of the checkpoint is invalid.
    pub(super) fn check_checkpoint(&self) -> Result<Option<&str>, LogError> {
        let Some(checkpoint) = &self.checkpoint else { return Ok(None) };
        let broken = |problem: Problem| LogError {
            number: checkpoint.last_deleted,
            description: format!("its checkpoint: {problem}"),
        };
        checkpoint.verify_signature().map_err(broken)?;
        Ok(Some(&checkpoint.head))
    }
}

#[cfg(test)]
mod tests {
    use carnet_core::keys::{SecretKey, SignatureAlgorithm};
    use serde_json::json;

    use super::*;
    use crate::store::{LogEntryKind, WalletLogEntry};

    const DAY: i64 = 86_400;
    const NOW: Timestamp = Timestamp::from_unix(1_800_000_000);

    fn key(seed: u8) -> SecretKey {
        SecretKey::from_bytes(SignatureAlgorithm::EdDsa, &[seed; 32]).unwrap()
    }

    /// Creates a log with one entry a day, the last one today.
    fn log(entries: i64) -> WalletLog {
        let mut log = WalletLog::default();
        for day in (0..entries).rev() {
            log.push(WalletLogEntry::new(
                NOW.plus(day.saturating_mul(DAY).saturating_neg()),
                LogEntryKind::Received,
                "did:web:a.example",
            ));
        }
        log
    }

    fn again(log: &WalletLog) -> WalletLog {
        serde_json::from_value(serde_json::to_value(log).unwrap()).unwrap()
    }

    #[test]
    fn what_was_forgotten_is_gone_and_the_head_and_the_numbers_stay() {
        let mut log = log(10);
        let (head, third) = (log.head().to_owned(), log.entry(3).unwrap().digest());
        assert_eq!(log.delete_before(NOW.plus(-6 * DAY), NOW, &key(1)), Ok(3));
        assert_eq!((log.head(), log.deleted_count(), log.entries().len()), (head.as_str(), 3, 7));
        assert!(log.entry(3).is_none() && log.entry(0).is_none() && log.entry(11).is_none());
        assert_eq!((log.entry(4).unwrap().number, log.entry(10).unwrap().number), (4, 10));
        assert_eq!(log.checkpoint().unwrap().head, third);
        again(&log).check_chain().unwrap();
        assert_eq!(log.push(WalletLogEntry::new(NOW, LogEntryKind::Deleted, "did:web:a.example")), 11);
        log.check_chain().unwrap();
        // Again, and of the whole log.
        assert_eq!(log.delete_before(NOW.plus(-5 * DAY), NOW, &key(1)), Ok(1));
        let head = log.head().to_owned();
        assert_eq!(log.delete_before(NOW.plus(DAY), NOW, &key(1)), Ok(7));
        assert_eq!((log.head(), log.deleted_count(), log.entries().len()), (head.as_str(), 11, 0));
        assert_eq!(log.delete_before(NOW.plus(DAY), NOW, &key(1)), Ok(0));
        assert_eq!(log.push(WalletLogEntry::new(NOW, LogEntryKind::Deleted, "did:web:a.example")), 12);
        again(&log).check_chain().unwrap();
    }

    #[test]
    fn entries_stay_from_the_first_that_is_of_the_day() {
        let mut log = log(3);
        // The clock was set back.
        log.push(WalletLogEntry::new(NOW.plus(-30 * DAY), LogEntryKind::Received, "did:web:a.example"));
        assert_eq!(log.delete_before(NOW.plus(-DAY), NOW, &key(1)), Ok(1));
        assert_eq!(log.entries().len(), 3);
        assert_eq!(log.delete_before(NOW.plus(-DAY), NOW, &key(1)), Ok(0));
    }

    #[test]
    fn a_checkpoint_that_was_changed_or_taken_away_is_told() {
        let mut log = log(5);
        log.delete_before(NOW.plus(-2 * DAY), NOW, &key(1)).unwrap();
        let stored = serde_json::to_value(&log).unwrap();
        let first_bad = |change: &dyn Fn(&mut Value)| {
            let mut stored = stored.clone();
            change(&mut stored);
            serde_json::from_value::<WalletLog>(stored).unwrap().check_chain().map_err(|broken| broken.number)
        };
        assert_eq!(first_bad(&|_| {}), Ok(()));
        let changes: [&dyn Fn(&mut Value); 6] = [
            &|log| log["checkpoint"]["entries"] = json!(1),
            &|log| log["checkpoint"]["before"] = json!("2027-01-01T00:00:00Z"),
            &|log| log["checkpoint"]["head"] = log["head"].clone(),
            &|log| log["checkpoint"]["key"] = json!(key(2).public_key().to_multikey()),
            &|log| log["checkpoint"]["signature"] = json!("AAAA"),
            &|log| drop(log.as_object_mut().unwrap().remove("checkpoint")),
        ];
        for (at, change) in changes.into_iter().enumerate() {
            assert!(first_bad(change).is_err(), "{at}");
        }
        // Forgetting does not hide an invalid chain.
        let mut changed = again(&log);
        changed.entries[0].party.push('x');
        assert!(changed.delete_before(NOW.plus(DAY), NOW, &key(1)).is_err());
        assert_eq!(changed.entries.len(), 3);
    }

    #[test]
    fn a_digest_does_not_confirm_a_guess_of_an_entry() {
        let entry = || WalletLogEntry::new(NOW, LogEntryKind::RegistrarAdded, "did:web:a.example");
        let (mut one, mut other) = (WalletLog::default(), WalletLog::default());
        one.push(entry());
        other.push(entry());
        assert_ne!(one.head(), other.head());
    }
}
