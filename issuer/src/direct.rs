//! Direct issuance by staff: one copy, for a key that staff name, in one call.
//!
//! It is an offer that is redeemed and collected within the call, so that every rule of offers applies: the claims are
//! held to the type's schema, the intent and the status index are stored before the signature, and the claims are erased
//! with the transaction that marks the copy as issued. Two things differ. Nobody proves possession of the key: staff
//! vouch for it. And the response is not kept, since nobody holds a token with which it could be asked for again; after a
//! lost response, staff find the copy in the list of issued credentials and revoke it.

use std::sync::Arc;

use carnet_core::{format::CredentialFormat, keys::PublicKey};
use zeroize::Zeroizing;

use crate::{
    error::Error,
    issuance::{IssuanceOutcome, NotificationEvent},
    issuer::Issuer,
    offers::OfferRequest,
    redemption::RedemptionRequest,
    store::Store,
};

/// Time for which the offer of a call may wait, in seconds. If the call is cut, the offer's claims are erased after it.
pub(crate) const OFFER_SECONDS: u32 = 300;

/// Copy that was issued in one call.
pub(crate) struct DirectlyIssuedCopy {
    /// Id of the offer, by which the status of the credential can be changed.
    pub(crate) offer_id: String,
    pub(crate) format: CredentialFormat,
    pub(crate) copy: Zeroizing<String>,
    /// Warnings about input that may be a mistake.
    pub(crate) warnings: Vec<String>,
}

impl<S: Store> Issuer<S> {
    /// Issues one copy for a key of the holder for which staff vouch.
    ///
    /// # Errors
    /// Those of [`Self::create_offer`]; [`Error::KeyUsed`]; signing errors; store errors. The claims are erased.
    pub(crate) async fn issue_directly(
        self: &Arc<Self>,
        request: OfferRequest,
        holder: PublicKey,
    ) -> Result<DirectlyIssuedCopy, Error> {
        let created = self.create_offer(request).await?;
        let (offer_id, format) = (created.offer.offer_id.clone(), created.offer.format);
        let links = created.links.ok_or(Error::RequestIdReused { what: "an offer" })?;
        let issued = async {
            let redemption = RedemptionRequest { code: links.code, ..RedemptionRequest::default() };
            let grant = self.redeem_offer(&redemption).await?;
            self.issue_to_vouched_key(&grant.access_token, &grant.offer, holder).await
        };
        let outcome = match issued.await {
            Ok(outcome) => outcome,
            Err(error) => {
                if let Err(failure) = self.cancel_offer(&offer_id, "").await {
                    tracing::warn!(%failure, offer_id, "an offer remains open until its end");
                }
                return Err(error);
            }
        };
        let IssuanceOutcome::Issued { mut copies, notification_id, .. } = outcome else {
            return Err(Error::Corrupt("offers.deferred"));
        };
        self.record_notification(&notification_id, NotificationEvent::Accepted).await?;
        let copy = copies.pop().map(Zeroizing::new).ok_or(Error::Corrupt("answer"))?;
        Ok(DirectlyIssuedCopy { offer_id, format, copy, warnings: created.warnings })
    }
}
