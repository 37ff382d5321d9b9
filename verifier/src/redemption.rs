//! Uses of vouchers: the presentations that count as uses, the desks that may redeem, and their limits
//! (spec/entitlement.md).

use carnet_core::{json, time::Timestamp};
use carnet_spec::RedemptionClaims;
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use crate::{
    disclosed::{DisclosedClaims, KeptClaim},
    error::Error,
    ids::RequestId,
    recording::{commit_verdict, record_verdict},
    store::{MonthlyTotal, OWN_DESK, ReadUses as _, Store, UseMark, WriteRows as _, WriteUses as _},
    verdicts::{CheckRecord, RecordedUse, Verdict},
    verifier::Verifier,
};

pub(crate) mod desks;
pub(crate) mod export;
pub(crate) mod reconciliation;

/// Time for which the mark of a use is stored after its voucher's end of validity, in seconds; desks can reconcile
/// until then.
const RECONCILIATION_PERIOD: i64 = 30 * carnet_core::day::SECONDS;

/// Name of the check for the redemption of a use.
const CHECK_NAME: &str = "redemption";
/// Domain separator for the digests of vouchers.
const DOMAIN: &[u8] = b"carnet entitlement 1\0";
/// Domain separator for the digests of serials.
const SERIAL_DOMAIN: &[u8] = b"carnet entitlement serial 1\0";

/// Reason why a use is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum UseRefusal {
    /// The voucher is for another redeemer.
    RedeemerOther,
    /// All uses were redeemed.
    EntitlementUsed,
    /// More than one serial was disclosed, so that the use is ambiguous.
    SerialsSeveral,
    /// This desk must first be reconciled with the others.
    ReconciliationDue,
}

impl UseRefusal {
    /// Returns the stable error code.
    pub(crate) const fn code(self) -> &'static str {
        match self {
            Self::RedeemerOther => "redeemer_other",
            Self::EntitlementUsed => "entitlement_used",
            Self::SerialsSeveral => "serials_several",
            Self::ReconciliationDue => "reconciliation_due",
        }
    }

    /// Returns a description for people.
    pub(crate) const fn detail(self) -> &'static str {
        match self {
            Self::RedeemerOther => "The voucher names another redeemer. No use was counted.",
            Self::EntitlementUsed => "The presented voucher or serial is used up. No use was counted.",
            Self::SerialsSeveral => "More than one serial of the voucher was shown. No use was counted; show one.",
            Self::ReconciliationDue => {
                "This desk has counted as many uses as it may before it is reconciled with the others. No use was counted; try again later."
            }
        }
    }
}

/// Verified presentation for a template whose accepted presentations count as uses of a voucher.
#[derive(Clone, Copy)]
pub(crate) struct RedeemingPresentation<'a> {
    /// Id of the template.
    pub(crate) template_id: &'a str,
    pub(crate) redemption_claims: &'a RedemptionClaims,
    pub(crate) disclosed: &'a DisclosedClaims,
}

/// Returns the use that an accepted presentation would redeem, or the reason of a refusal: another redeemer, or several
/// serials.
///
/// # Errors
/// [`Error::Internal`] if a claim that the type's schema requires is missing.
fn pending_redemption(
    RedeemingPresentation { template_id: template, redemption_claims: redeem, disclosed }: RedeemingPresentation<'_>,
    verdict: &Verdict,
    own: &str,
    now: Timestamp,
) -> Result<Result<PendingRedemption, UseRefusal>, Error> {
    let missing = || Error::Internal("an accepted answer lacks what its use is counted by".to_owned());
    let text = |path| disclosed.single_value(&redeem.query_id, path).and_then(Value::as_str);
    let redeemer = text(&redeem.redeemer).ok_or_else(missing)?;
    let until = disclosed.valid_until(&redeem.query_id).and_then(|until| Timestamp::parse(until).ok());
    let shown = verdict.credentials().iter().find(|shown| shown.query_id == redeem.query_id);
    let (until, shown) = until.zip(shown).ok_or_else(missing)?;
    if redeemer != own {
        return Ok(Err(UseRefusal::RedeemerOther));
    }
    let serials = redeem.serials.iter().flat_map(|path| disclosed.values(&redeem.query_id, path)).collect::<Vec<_>>();
    let (entitlement, uses) = match (serials.as_slice(), &redeem.counted_claims) {
        ([serial], _) => (voucher_digest(SERIAL_DOMAIN, &shown.issuer, serial.as_str().ok_or_else(missing)?), None),
        ([], Some(counted)) => {
            let uses = disclosed.single_value(&redeem.query_id, &counted.uses).and_then(json::as_unsigned_integer);
            let uses = uses.and_then(|uses| u32::try_from(uses).ok()).filter(|uses| (1..=1_000).contains(uses));
            let id = text(&counted.id).ok_or_else(missing)?;
            (voucher_digest(DOMAIN, &shown.issuer, id), Some(uses.ok_or_else(missing)?))
        }
        ([], None) => return Err(missing()),
        _ => return Ok(Err(UseRefusal::SerialsSeveral)),
    };
    let (by_serial, erase_at) = (uses.is_none(), until.plus(RECONCILIATION_PERIOD));
    let mark = UseMark { entitlement, uses: uses.unwrap_or(1), marked_at: now, erase_at };
    let month = now.to_string().chars().take(7).collect();
    let service = redeem.service.as_ref().map(|path| text(path).ok_or_else(missing)).transpose()?.unwrap_or_default();
    let (template, issuer, service) = (template.to_owned(), shown.issuer.clone(), service.to_owned());
    let total = MonthlyTotal { template, issuer, service, month, uses: 1 };
    Ok(Ok(PendingRedemption { mark, is_by_serial: by_serial, total }))
}

/// Use that an accepted presentation would redeem.
pub(crate) struct PendingRedemption {
    /// Mark to be stored.
    pub(crate) mark: UseMark,
    /// `true` if the use is identified by a serial.
    pub(crate) is_by_serial: bool,
    /// Increment of the monthly total.
    pub(crate) total: MonthlyTotal,
}

impl<S: Store> Verifier<S> {
    /// Refuses to create requests whose uses this desk could not redeem now, so that holders do not disclose claims in
    /// vain. A verifier with only one desk has no limit.
    ///
    /// # Errors
    /// [`Error::ReconciliationDue`], store errors.
    pub(crate) async fn require_offline_uses_left(&self) -> Result<(), Error> {
        let Some(most) = self.settings.offline_uses else { return Ok(()) };
        let own = self.store.read().await?.desk(OWN_DESK).await?;
        if own.unreconciled_uses() >= u64::from(most) { Err(Error::ReconciliationDue) } else { Ok(()) }
    }

    /// Records an accepting result together with the use that it redeems, or a refusal if no use is left, in one
    /// transaction. Returns the recorded result, and `false` if the request was no longer open, so that nothing was
    /// recorded. Of two concurrent calls for the last use, only one is accepted.
    ///
    /// # Errors
    /// A claim that the type's schema requires is missing; store errors.
    pub(crate) async fn record_use(
        &self,
        id: &RequestId,
        verdict: Verdict,
        kept: &[KeptClaim],
        counted: RedeemingPresentation<'_>,
        now: Timestamp,
    ) -> Result<(Verdict, bool), Error> {
        let claimed = match pending_redemption(counted, &verdict, self.identity.did.as_str(), now)? {
            Ok(claimed) => claimed,
            Err(refusal) => {
                let verdict = refuse_use(verdict, refusal);
                let counts = commit_verdict(&self.store, id, &verdict, &[]).await?;
                return Ok((verdict, counts));
            }
        };
        let mut transaction = self.store.begin("conclude_use").await?;
        let mut own = transaction.desk(OWN_DESK).await?;
        let marks = transaction.mark_count(&claimed.mark.entitlement).await?;
        let next =
            UseCounts { marks, unreconciled: own.unreconciled_uses() }.next_use(&claimed, self.settings.offline_uses);
        let (concluded, kept) = match next {
            Ok(used) => (with_redeemed_use(verdict.clone(), used), kept),
            Err(refusal) => (refuse_use(verdict.clone(), refusal), &[][..]),
        };
        if !record_verdict(&mut transaction, id, &concluded, kept).await? {
            transaction.commit().await?;
            return Ok((verdict, false));
        }
        if next.is_ok() {
            own.last_mark = own.last_mark.saturating_add(1);
            transaction.put_desk(&own).await?;
            transaction.insert_mark(OWN_DESK, own.last_mark, &claimed.mark).await?;
            transaction.add_to_total(&claimed.total).await?;
        }
        transaction.commit().await?;
        Ok((concluded, true))
    }
}

/// Turns an accepted result into the refusal of a use.
fn refuse_use(verdict: Verdict, refusal: UseRefusal) -> Verdict {
    verdict.refuse_with(CheckRecord::failed(CHECK_NAME, refusal.code(), refusal.detail()))
}

/// Adds a redeemed use to a result.
fn with_redeemed_use(verdict: Verdict, used: RecordedUse) -> Verdict {
    let detail = match used.number_and_total() {
        Some((number, of)) => format!("use {number} of {of}"),
        None => "one use, by its serial".to_owned(),
    };
    verdict.with_use(used, CheckRecord::passed(CHECK_NAME, detail))
}

/// Computes the digest of a serial or voucher id of an issuer. It does not reveal the id, which has 128 random bits.
fn voucher_digest(domain: &[u8], issuer: &str, id: &str) -> [u8; 32] {
    // A DID contains no zero byte, so that two different pairs never give the same bytes.
    Sha256::new().chain_update(domain).chain_update(issuer).chain_update([0]).chain_update(id).finalize().into()
}

/// Use counts of a voucher and of this desk, read from the store in one transaction.
pub(crate) struct UseCounts {
    /// Number of uses of this voucher recorded by all known desks.
    pub(crate) marks: u32,
    /// Number of uses redeemed by this desk since its last reconciliation.
    pub(crate) unreconciled: u64,
}

impl UseCounts {
    /// Returns the next use of the voucher.
    ///
    /// # Errors
    /// [`UseRefusal::EntitlementUsed`], [`UseRefusal::ReconciliationDue`]
    pub(crate) fn next_use(
        &self,
        claimed: &PendingRedemption,
        offline_uses: Option<u32>,
    ) -> Result<RecordedUse, UseRefusal> {
        let uses = claimed.mark.uses;
        if self.marks >= uses {
            return Err(UseRefusal::EntitlementUsed);
        }
        if offline_uses.is_some_and(|most| self.unreconciled >= u64::from(most)) {
            return Err(UseRefusal::ReconciliationDue);
        }
        Ok(if claimed.is_by_serial {
            RecordedUse::BY_SERIAL
        } else {
            RecordedUse::Counted { number: self.marks.saturating_add(1), of: uses }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn uses_are_counted_up_to_the_last_one_and_bounded_between_reconciliations() {
        let at = Timestamp::from_unix(0);
        let claimed = |uses| PendingRedemption {
            mark: UseMark { entitlement: [0; 32], uses, marked_at: at, erase_at: at },
            is_by_serial: false,
            total: MonthlyTotal::default(),
        };
        let next =
            |marks, unsynced, uses, most| UseCounts { marks, unreconciled: unsynced }.next_use(&claimed(uses), most);
        let counted = |number, of| Ok(RecordedUse::Counted { number, of });
        assert_eq!(next(0, 0, 1, None), counted(1, 1));
        assert_eq!(next(2, 9_999, 3, None), counted(3, 3));
        let serial = PendingRedemption { is_by_serial: true, ..claimed(1) };
        assert_eq!(UseCounts { marks: 0, unreconciled: 0 }.next_use(&serial, None), Ok(RecordedUse::BY_SERIAL));
        assert_eq!(UseCounts { marks: 1, unreconciled: 0 }.next_use(&serial, None), Err(UseRefusal::EntitlementUsed));
        assert_eq!(next(3, 0, 3, None), Err(UseRefusal::EntitlementUsed));
        assert_eq!(next(0, 1, 3, Some(2)), counted(1, 3));
        assert_eq!(next(0, 2, 3, Some(2)), Err(UseRefusal::ReconciliationDue));
        // A used-up voucher remains used up, whether or not the desk is reconciled.
        assert_eq!(next(3, 2, 3, Some(2)), Err(UseRefusal::EntitlementUsed));
    }

    #[test]
    fn a_digest_is_of_the_issuer_and_the_id() {
        let digest = |issuer: &str, id: &str| voucher_digest(DOMAIN, issuer, id);
        let one = digest("did:web:a.example", "idididididididididididi");
        assert_eq!(one, digest("did:web:a.example", "idididididididididididi"));
        assert_ne!(one, digest("did:web:b.example", "idididididididididididi"));
        assert_ne!(one, digest("did:web:a.example", "idididididididididididj"));
        assert_ne!(digest("did:web:a", "bc"), digest("did:web:ab", "c"));
        // A serial's digest never equals that of a voucher's number.
        assert_ne!(one, super::voucher_digest(SERIAL_DOMAIN, "did:web:a.example", "idididididididididididi"));
    }
}
