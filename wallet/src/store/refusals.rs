//! Credentials that a verifier refused as suspended or revoked, according to the log.

use std::collections::BTreeMap;

use carnet_core::time::Timestamp;

use super::{HeldCredential, LogEntryKind, WalletContents, WalletLogEntry, cached_status::CopyState};

/// Refusal by a verifier because a credential is suspended or revoked. If several were presented together, it may be
/// another one of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WithdrawalRefusal<'a> {
    /// Reason of the refusal: `Suspended` or `Revoked`.
    pub state: CopyState,
    /// Time of the refusal.
    pub at: Timestamp,
    /// Name of the verifier, or its client id if the name is unknown.
    pub verifier_name: &'a str,
}

impl WalletContents {
    /// Returns the last refusal of each credential as suspended or revoked, by the credential's id. It is omitted if it
    /// was contradicted later: by a verifier that accepted the credential, or by the issuer in a freshness refresh.
    pub fn withdrawal_refusals(&self) -> BTreeMap<&str, WithdrawalRefusal<'_>> {
        let mut refusals = BTreeMap::new();
        for verdict in self.log.entries() {
            let refusal = match verdict.kind {
                LogEntryKind::Accepted => None,
                LogEntryKind::RefusedByVerifier => {
                    let Some(state) = state(&verdict.reason) else { continue };
                    Some(WithdrawalRefusal { state, at: verdict.at, verifier_name: asker(verdict) })
                }
                _ => continue,
            };
            let Some(sent) = verdict.refers_to.and_then(|number| self.log.entry(number)) else { continue };
            for part in &sent.credentials {
                match refusal {
                    Some(refusal) => drop(refusals.insert(part.id.as_str(), refusal)),
                    None => drop(refusals.remove(part.id.as_str())),
                }
            }
        }
        for held in &self.credentials {
            if refusals
                .get(held.id.as_str())
                .is_some_and(|refusal: &WithdrawalRefusal<'_>| held.is_valid_since(refusal.at))
            {
                refusals.remove(held.id.as_str());
            }
        }
        refusals
    }
}

impl HeldCredential {
    /// Returns whether the issuer's latest report is that the credential is valid, and was requested at or after
    /// `then`.
    fn is_valid_since(&self, then: Timestamp) -> bool {
        let said = self.copies.iter().filter_map(|copy| copy.status.as_ref());
        let last = said.max_by_key(|standing| (standing.requested_at, standing.state));
        last.is_some_and(|last| last.requested_at >= then && last.state == CopyState::Valid)
    }
}

fn state(reason: &str) -> Option<CopyState> {
    [CopyState::Suspended, CopyState::Revoked].into_iter().find(|state| state.as_str() == reason)
}

fn asker(verdict: &WalletLogEntry) -> &str {
    if verdict.party_name.is_empty() { &verdict.party } else { &verdict.party_name }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        answer::tests::{Issuer, NOW},
        store::{LoggedCredential, cached_status::CachedStatus},
    };
    use carnet_core::format::CredentialFormat;

    /// Adds what was sent of a document, and the verdict on it.
    fn verdict(contents: &mut WalletContents, id: &str, at: Timestamp, kind: LogEntryKind, reason: &str) {
        let parts = vec![LoggedCredential::without_disclosures(id, "QualificationCredential")];
        let party_name = "Admissions Office".to_owned();
        let number = contents.log.push(WalletLogEntry {
            credentials: parts,
            party_name,
            ..WalletLogEntry::new(at, LogEntryKind::Sending, "asker")
        });
        let sent = contents.log.entry(number).unwrap().clone();
        contents
            .log
            .push(WalletLogEntry { reason: reason.to_owned(), ..WalletLogEntry::referring_to(&sent, at, kind) });
    }

    #[test]
    fn a_refusal_lasts_until_its_issuer_or_an_asker_says_otherwise() {
        let mut contents = WalletContents::new(12);
        contents.credentials = vec![Issuer::new().held("aaaa", CredentialFormat::VcSdJwt, 2)];
        let refused =
            |contents: &WalletContents| contents.withdrawal_refusals().get("aaaa").map(|refusal| refusal.state);
        for (reason, state) in [
            ("suspended", Some(CopyState::Suspended)),
            ("revoked", Some(CopyState::Revoked)),
            ("threshold_unmet", None),
        ] {
            let mut contents = contents.clone();
            verdict(&mut contents, "aaaa", NOW, LogEntryKind::RefusedByVerifier, reason);
            assert_eq!(refused(&contents), state, "{reason}");
        }
        verdict(&mut contents, "aaaa", NOW, LogEntryKind::RefusedByVerifier, "suspended");
        verdict(&mut contents, "bbbb", NOW.plus(1), LogEntryKind::Accepted, "");
        // An answer that did not arrive says nothing.
        verdict(&mut contents, "aaaa", NOW.plus(2), LogEntryKind::Unanswered, "timeout");
        assert_eq!(contents.withdrawal_refusals()["aaaa"].verifier_name, "Admissions Office");
        for (state, after, still) in [
            (CopyState::Valid, -1, true),
            (CopyState::Unknown, 60, true),
            (CopyState::Suspended, 60, true),
            (CopyState::Valid, 60, false),
        ] {
            let mut contents = contents.clone();
            contents.credentials[0].copies[1].status = Some(CachedStatus::new(state, NOW.plus(after)));
            assert_eq!(refused(&contents).is_some(), still, "{state:?} {after}");
        }
        verdict(&mut contents, "aaaa", NOW.plus(3), LogEntryKind::Accepted, "");
        assert_eq!(refused(&contents), None);
    }
}
