//! Uses of entitlements: which answer is one, who may mark it, and how often (spec/entitlement.md).

use carnet_core::{json, time::Timestamp};
use carnet_service::config::{StartError, refused_field};
use carnet_spec::Redeem;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use crate::{
    error::Error,
    ids::RequestId,
    store::Store,
    verdicts::{Disclosed, KeptClaim, Verdict},
    verifier::Verifier,
};

pub(crate) mod export;

/// For how long a mark outlives its entitlement, in seconds: so long desks can reconcile.
const RECONCILE_WITHIN: i64 = 30 * 86_400;

/// Separates these digests from all others.
const DOMAIN: &[u8] = b"carnet entitlement 1\0";

/// Several desks of one organisation, which do not reach each other at all times.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RedemptionConfig {
    /// This desk's name.
    pub(crate) desk: String,
    /// The names of all other desks.
    pub(crate) others: Vec<String>,
    /// How many uses it may mark from one reconciliation with all others to the next.
    pub(crate) offline_uses: u32,
}

impl RedemptionConfig {
    /// Refuses names that are none, and desks without others.
    pub(crate) fn check(&self) -> Result<(), StartError> {
        if let Some(wrong) = self.others.iter().chain([&self.desk]).find(|name| !is_desk(name)) {
            let what = format!("redemption: {wrong:?} is no name of a desk: 1 to 64 small letters, digits and -");
            return Err(refused_field("redemption", what));
        }
        if self.others.is_empty() || self.others.contains(&self.desk) {
            let what = "redemption.others must name the other desks, and not this one";
            return Err(refused_field("redemption.others", what));
        }
        if self.offline_uses == 0 {
            let what = "redemption.offline_uses is 0, so that no use could ever be marked";
            return Err(refused_field("redemption.offline_uses", what));
        }
        Ok(())
    }
}

/// Whether a text can be a desk's name.
pub(crate) fn is_desk(name: &str) -> bool {
    (1..=64).contains(&name.len())
        && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
}

/// One use of one entitlement, as it is kept. The entitlement's id is in it as a digest alone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Mark {
    /// SHA-256 over issuer and id.
    pub(crate) entitlement: [u8; 32],
    /// How many uses there are in all: 1 to 1,000.
    pub(crate) uses: u32,
    pub(crate) marked_at: Timestamp,
    /// When it is forgotten.
    pub(crate) erase_at: Timestamp,
}

/// Which use of how many an accepted answer was.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Use {
    pub(crate) number: u32,
    pub(crate) of: u32,
}

/// Why no use is marked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// The entitlement names another redeemer.
    RedeemerOther,
    /// Every use is marked.
    EntitlementUsed,
    /// This desk has to be reconciled with the others first.
    ReconciliationDue,
}

impl Refusal {
    /// The stable code.
    pub(crate) const fn code(self) -> &'static str {
        match self {
            Self::RedeemerOther => "redeemer_other",
            Self::EntitlementUsed => "entitlement_used",
            Self::ReconciliationDue => "reconciliation_due",
        }
    }

    /// For a person.
    pub(crate) const fn detail(self) -> &'static str {
        match self {
            Self::RedeemerOther => "The voucher names another redeemer. No use was counted.",
            Self::EntitlementUsed => "Every use of the voucher was counted before.",
            Self::ReconciliationDue => {
                "This desk has counted as many uses as it may before it is reconciled with the others. No use was counted; try again later."
            }
        }
    }
}

/// The use that an accepted answer claims, held to who this verifier is.
///
/// # Errors
/// [`Error::Internal`] if what the type's schema promises is not there.
fn claimed(
    redeem: &Redeem,
    verdict: &Verdict,
    disclosed: &Disclosed,
    own: &str,
    now: Timestamp,
) -> Result<Result<Mark, Refusal>, Error> {
    let missing = || Error::Internal("an accepted answer lacks what its use is counted by".to_owned());
    let text = |path| disclosed.one(&redeem.credential, path).and_then(Value::as_str);
    let (id, redeemer) = text(&redeem.id).zip(text(&redeem.redeemer)).ok_or_else(missing)?;
    let uses = disclosed.one(&redeem.credential, &redeem.uses).and_then(json::whole_unsigned);
    let uses = uses.and_then(|uses| u32::try_from(uses).ok()).filter(|uses| (1..=1_000).contains(uses));
    let until = disclosed.valid_until(&redeem.credential).and_then(|until| Timestamp::parse(until).ok());
    let shown = verdict.credentials().iter().find(|shown| shown.query_id == redeem.credential);
    let ((uses, until), shown) = uses.zip(until).zip(shown).ok_or_else(missing)?;
    if redeemer != own {
        return Ok(Err(Refusal::RedeemerOther));
    }
    let erase_at = until.plus(RECONCILE_WITHIN);
    Ok(Ok(Mark { entitlement: digest(&shown.issuer, id), uses, marked_at: now, erase_at }))
}

impl<S: Store> Verifier<S> {
    /// Refuses a template whose answers could not be counted now, so that nobody shows anything in vain.
    ///
    /// # Errors
    /// [`Error::ReconciliationDue`], the store's.
    pub(crate) async fn require_uses_left(&self, template: &str) -> Result<(), Error> {
        let marks = self.verification.catalogue.template(template).is_some_and(|template| template.redeem.is_some());
        match self.settings.offline_uses.filter(|_| marks) {
            Some(most) if self.store.unsynced().await? >= most => Err(Error::ReconciliationDue),
            _ => Ok(()),
        }
    }

    /// Records the verdict on an answer, and marks the use of an entitlement if it is one: both or neither. The verdict as it
    /// was recorded, and whether the answer counts: not if the request was accepted or expired meanwhile.
    pub(crate) async fn conclude(
        &self,
        id: &RequestId,
        verdict: Verdict,
        kept: &[KeptClaim],
        redeem: Option<(&Redeem, &Disclosed)>,
        now: Timestamp,
    ) -> Result<(Verdict, bool), Error> {
        let Some((redeem, disclosed)) = redeem.filter(|_| verdict.accepted()) else {
            let counts = self.store.conclude(id, &verdict, kept).await?;
            return Ok((verdict, counts));
        };
        match claimed(redeem, &verdict, disclosed, self.identity.did.as_str(), now)? {
            Ok(mark) => {
                let concluded = self.store.conclude_use(id, &verdict, kept, &mark, self.settings.offline_uses).await?;
                Ok(concluded.map_or((verdict, false), |verdict| (verdict, true)))
            }
            Err(refusal) => {
                let verdict = verdict.refusing_use(refusal);
                let counts = self.store.conclude(id, &verdict, &[]).await?;
                Ok((verdict, counts))
            }
        }
    }
}

/// What stands for an entitlement: nobody finds the id of 128 random bits or more by it.
fn digest(issuer: &str, id: &str) -> [u8; 32] {
    // A DID has no zero byte, so that no two pairs give the same bytes.
    Sha256::new().chain_update(DOMAIN).chain_update(issuer).chain_update([0]).chain_update(id).finalize().into()
}

/// How far it is used, as the store has it in one transaction.
pub(crate) struct Counted {
    /// Marks of this entitlement, of all desks that are known here.
    pub(crate) marks: u32,
    /// Marks that this desk has made since it was last reconciled.
    pub(crate) unsynced: u32,
}

impl Counted {
    /// Whether one more use may be marked, and which it is.
    pub(crate) fn next(&self, uses: u32, offline_uses: Option<u32>) -> Result<Use, Refusal> {
        if self.marks >= uses {
            return Err(Refusal::EntitlementUsed);
        }
        if offline_uses.is_some_and(|most| self.unsynced >= most) {
            return Err(Refusal::ReconciliationDue);
        }
        Ok(Use { number: self.marks.saturating_add(1), of: uses })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn uses_are_counted_up_to_the_last_one_and_bounded_between_reconciliations() {
        let next = |marks, unsynced, uses, most| Counted { marks, unsynced }.next(uses, most);
        assert_eq!(next(0, 0, 1, None), Ok(Use { number: 1, of: 1 }));
        assert_eq!(next(2, 9_999, 3, None), Ok(Use { number: 3, of: 3 }));
        assert_eq!(next(3, 0, 3, None), Err(Refusal::EntitlementUsed));
        assert_eq!(next(0, 1, 3, Some(2)), Ok(Use { number: 1, of: 3 }));
        assert_eq!(next(0, 2, 3, Some(2)), Err(Refusal::ReconciliationDue));
        // What is used up stays so, whether or not the desk is reconciled.
        assert_eq!(next(3, 2, 3, Some(2)), Err(Refusal::EntitlementUsed));
    }

    #[test]
    fn a_digest_is_of_the_issuer_and_the_id() {
        let one = digest("did:web:a.example", "idididididididididididi");
        assert_eq!(one, digest("did:web:a.example", "idididididididididididi"));
        assert_ne!(one, digest("did:web:b.example", "idididididididididididi"));
        assert_ne!(one, digest("did:web:a.example", "idididididididididididj"));
        assert_ne!(digest("did:web:a", "bc"), digest("did:web:ab", "c"));
    }

    #[test]
    fn desks_are_named_and_bounded() {
        let config = |desk: &str, others: &[&str], offline_uses| {
            let others = others.iter().map(|name| (*name).to_owned()).collect();
            RedemptionConfig { desk: desk.to_owned(), others, offline_uses }.check()
        };
        assert!(config("east", &["west"], 1).is_ok());
        for (desk, others, most) in [
            ("", &["west"][..], 1),
            ("East", &["west"], 1),
            ("east", &[], 1),
            ("east", &["east"], 1),
            ("east", &["west"], 0),
        ] {
            assert!(config(desk, others, most).is_err(), "{desk} {others:?} {most}");
        }
    }
}
