//! Decisions of staff on pending renewals and on deferred offers.

use crate::{
    checks::{check_id, check_reason},
    error::Error,
    issuer::Issuer,
    store::{
        PageSlice, Store, StoreTx as _,
        offers::{OfferRecord, OfferRows as _, OfferState},
        renewal::{RenewalRecord, RenewalRows as _, RenewalState, StaffDecision},
    },
};

impl<S: Store> Issuer<S> {
    /// Returns renewals in a state (`None`: in any), newest first. Expired data is erased first
    /// ([`Issuer::erase_expired`]), so that overdue renewals are listed as lapsed.
    ///
    /// # Errors
    /// Store errors.
    pub(crate) async fn list_renewals(
        &self,
        state: Option<RenewalState>,
        slice: PageSlice,
    ) -> Result<Vec<RenewalRecord>, Error> {
        self.erase_expired(self.now()).await?;
        Ok(self.store.read().await?.renewals(state, slice).await?)
    }

    /// Records the decision of staff on a pending renewal. The same decision again changes nothing. `reason` may be
    /// empty for an approval; `who` is the name of the staff member.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a malformed id or reason, or a refusal without a reason; [`Error::NotFound`]; the renewal
    /// is not pending, and was not decided in this way; store errors.
    pub(crate) async fn decide_renewal(
        &self,
        renewal_id: &str,
        approve: bool,
        reason: &str,
        who: String,
    ) -> Result<RenewalRecord, Error> {
        check_id("renewal_id", renewal_id)?;
        let decision = self.staff_decision(approve, reason, who)?;
        // A renewal whose deadline is over lapses here, as the list says, and not only at the next sweep.
        self.erase_expired(decision.now).await?;
        let mut tx = self.store.begin("decide_renewal").await?;
        let not_found = || Error::NotFound { what: "renewal" };
        let record = tx.renewal(renewal_id).await?.ok_or_else(not_found)?;
        let wanted = if approve { RenewalState::Approved } else { RenewalState::Rejected };
        if record.state == wanted {
            tx.commit().await?;
            return Ok(record);
        }
        if record.state != RenewalState::Pending {
            let verb = if approve { "approved" } else { "rejected" };
            return Err(Error::RenewalNotPending { state: record.state.as_str(), verb });
        }
        tx.store_renewal_decision(renewal_id, &decision).await?;
        let record = tx.renewal(renewal_id).await?.ok_or_else(not_found)?;
        tx.commit().await?;
        self.store.purge_erased_data().await;
        tracing::info!(renewal_id, approve, "staff decided on a renewal");
        Ok(record)
    }

    /// Records the decision of staff on a deferred offer: `approve` releases it to the wallet, a refusal closes it and
    /// erases its claims, and the wallet receives the reason. The same decision again changes nothing.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a malformed id or reason, or a refusal without a reason; [`Error::NotFound`];
    /// the offer is not deferred; [`Error::WrongState`] if the offer was decided otherwise or is closed; store errors.
    pub(crate) async fn decide_offer(
        &self,
        offer_id: &str,
        approve: bool,
        reason: &str,
        who: String,
    ) -> Result<OfferRecord, Error> {
        check_id("offer_id", offer_id)?;
        let record = self.store_offer_decision(offer_id, self.staff_decision(approve, reason, who)?).await?;
        tracing::info!(offer_id, approve, "staff decided on a deferred offer");
        Ok(record)
    }

    async fn store_offer_decision(&self, offer_id: &str, decision: StaffDecision) -> Result<OfferRecord, Error> {
        let mut tx = self.store.begin("decide_offer").await?;
        let content = tx.offer(offer_id).await?.ok_or(Error::NotFound { what: "offer" })?;
        let offer = content.offer;
        if !offer.deferred {
            return Err(Error::OfferNotDeferred);
        }
        let approve = decision.approve;
        if (approve && content.released) || (!approve && content.rejected) {
            tx.commit().await?;
            return Ok(offer);
        }
        let verb = if approve { "released" } else { "rejected" };
        if content.released {
            return Err(Error::WrongState { state: "released", verb });
        }
        if !matches!(offer.state, OfferState::Open | OfferState::Redeemed) {
            return Err(Error::WrongState { state: offer.state.as_str(), verb });
        }
        tx.store_offer_decision(offer_id, &decision).await?;
        let offer = OfferRecord { decision: Some(decision), ..offer };
        if approve {
            tx.commit().await?;
            return Ok(offer);
        }
        tx.close_offer(offer_id, OfferState::Cancelled).await?;
        tx.commit().await?;
        self.store.purge_erased_data().await;
        Ok(OfferRecord { state: OfferState::Cancelled, ..offer })
    }

    fn staff_decision(&self, approve: bool, reason: &str, who: String) -> Result<StaffDecision, Error> {
        // An approval needs no reason.
        let reason = if approve && reason.is_empty() { String::new() } else { check_reason(reason)? };
        Ok(StaffDecision { approve, reason, staff_name: who, now: self.now() })
    }
}
