//! Redemption of an offer whose issuances are stored in the wallet, for the first time or again.

use super::{IssuanceRun, still_pending};
use crate::{
    failure::{Failure, FailureKind, FailureReason, Sentence},
    ports::{IssuerClient, Ports},
    store::{IssuanceStage, OfferRedemption, PendingIssuance, WalletStore},
};

/// Assumed lifetime of an access token if the issuer does not state it, in seconds: the maximum (spec/protocol.md 3.8).
const TOKEN_SECONDS: i64 = 300;

/// Redemption errors after which no copies can follow.
const REDEMPTION_REFUSED: [FailureReason; 7] = [
    FailureReason::InvalidArgument,
    FailureReason::InvalidGrant,
    FailureReason::InvalidRequest,
    FailureReason::OfferAlreadyUsed,
    FailureReason::OfferCancelled,
    FailureReason::OfferLocked,
    FailureReason::RecordDamaged,
];

impl<P: Ports, S: WalletStore> IssuanceRun<'_, P, S> {
    /// Redeems the offer of a pending issuance, and stores the token with all issuances of that offer that need one.
    /// `repeats` is `true` if an earlier call may have arrived. Returns the issuance with its token.
    ///
    /// # Errors
    /// The redemption fails. If the issuer refused the offer for good, its issuances are deleted; otherwise they stay
    /// pending.
    pub(super) async fn redeem(
        &mut self,
        issuer: &mut dyn IssuerClient,
        pending: &PendingIssuance,
        redemption: &OfferRedemption,
        repeats: bool,
    ) -> Result<PendingIssuance, Failure> {
        let redeemed = match issuer.redeem(redemption, repeats).await {
            Ok(redeemed) => redeemed,
            Err(failure) if is_final(&failure) => return Err(self.delete_refused(pending, failure, repeats)),
            Err(failure) => return Err(still_pending(failure)),
        };
        let until = redeemed.expires_at.unwrap_or_else(|| self.ports.now().plus(TOKEN_SECONDS));
        let token = redeemed.access_token;
        for stored in self
            .wallet
            .contents
            .pending_issuances
            .iter_mut()
            .filter(|stored| stored.offer_digest == pending.offer_digest)
        {
            let (IssuanceStage::Redeeming { proofs } | IssuanceStage::Requested { proofs, .. }) = &stored.stage else {
                continue;
            };
            stored.stage = IssuanceStage::Requested { proofs: proofs.clone(), until };
            stored.access_token = token.clone();
        }
        // An issuer without repetition returns its token once, so it is stored at once. Other issuers return the same
        // token again, and the stored redemption record is enough.
        if !redeemed.repeatable {
            self.wallet.save().map_err(still_pending)?;
        }
        let gone =
            || Failure::new(FailureReason::NotFound, Sentence::new("error-record-gone"), Sentence::new("hint-again"));
        self.stored(pending).ok_or_else(gone)
    }

    /// Deletes the issuances of an offer that was refused for good. If an earlier run began them, the log records the
    /// reason.
    fn delete_refused(&mut self, pending: &PendingIssuance, failure: Failure, repeats: bool) -> Failure {
        if repeats {
            let siblings = self
                .wallet
                .contents
                .pending_issuances
                .iter()
                .filter(|stored| stored.offer_digest == pending.offer_digest)
                .cloned();
            let siblings: Vec<PendingIssuance> = siblings.collect();
            return siblings.iter().fold(failure, |failure, sibling| self.delete_failed(sibling, "", failure));
        }
        self.wallet.contents.pending_issuances.retain(|stored| stored.offer_digest != pending.offer_digest);
        match self.wallet.save() {
            Ok(()) => failure,
            Err(unsaved) => unsaved,
        }
    }
}

fn is_final(failure: &Failure) -> bool {
    failure.kind != FailureKind::Temporary && REDEMPTION_REFUSED.contains(&failure.reason)
}
