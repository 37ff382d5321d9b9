//! Refill: exchange of one copy, presented in full, for new ones of the same credential (spec/protocol.md section 3).
//!
//! The issuer erased the claims when the first batch was collected, so the holder presents them in a copy that the
//! issuer signed. They are kept only in memory, while the new copies are signed. A refill reveals to the issuer that
//! the holder wants more copies, and when, but not to whom copies were presented.

use std::sync::Arc;

use carnet_core::{
    Code, Problem,
    did::{Did, DidDocument, Resolve},
    epoch::Epoch,
    format::CredentialFormat,
    keys::PublicKey,
    secure::{
        data_integrity::Cryptosuites,
        sd_jwt::{KeyBindingRequirements, SdJwt},
    },
    time::{CLOCK_SKEW, Timestamp},
    verify::{self, IssuerPolicy, StatusPolicy, VerificationEnvironment, VerifiedCredential},
};
use serde_json::{Map, Value};
use zeroize::Zeroizing;

use crate::{
    credential::BatchContent,
    error::Error,
    indices::insert_copies,
    intent::{SignedCopies, consume_nonce, mark_copies_issued},
    issuance::{IssuanceOutcome, copy_digest, copy_identifiers, notification_hash, spawn_cpu},
    issuer::Issuer,
    nonces::Nonce,
    proofs::{self, MAX_AGE_SECONDS},
    reissue::{ReissueIntent, require_daily_refill_capacity, require_total_refill_capacity, require_valid_copy},
    secrets::{self, HashPurpose, Sha256Hash},
    store::{
        Store, StoreTx as _,
        issuances::{IssuanceRows as _, IssuanceState, NewIssuance, ReissueTerms, SigningResult},
        renewal::RenewalRows as _,
    },
};

/// Copy that its holder presented in full, with verified signature and key binding.
pub(crate) struct PresentedCopy {
    /// Digest of the copy.
    pub(crate) copy: Sha256Hash,
    pub(crate) credential_type: String,
    pub(crate) format: CredentialFormat,
    /// Claims of the subject, without its id and without commitments of threshold proofs.
    pub(crate) claims: Map<String, Value>,
    /// Thumbprints of the new copies' keys, as listed in the key binding.
    new_key_thumbprints: Vec<String>,
    /// Nonce of the key binding, verified, and its text.
    pub(crate) nonce: (Nonce, String),
}

/// Refill request with a verified presentation and verified proofs, to be stored before signing.
#[derive(Debug)]
pub(crate) struct RefillIntent {
    /// Digest of the presented copy.
    pub(crate) copy: Sha256Hash,
    pub(crate) nonce: Nonce,
    pub(crate) request_digest: Sha256Hash,
    pub(crate) notification_hash: Sha256Hash,
    /// Thumbprints of the new copies' keys.
    pub(crate) thumbprints: Vec<String>,
    /// Epoch to whose start the dates of copies of the type are rounded.
    pub(crate) epoch: Epoch,
    pub(crate) now: Timestamp,
}

impl<S: Store> Issuer<S> {
    /// Verifies a presented copy and the proofs, and signs a new copy for each proof's key, with the claims and the
    /// validity of the presented copy; dates from before epochs are rounded to their epoch.
    ///
    /// # Errors
    /// The copy, its key binding, a proof or the nonce is refused; the copy is revoked or suspended;
    /// [`Error::CopyUnknown`]; [`Error::RefillUnsupported`]; [`Error::RefillLimit`], or the limit of all refills is
    /// reached; [`Error::KeyUsed`]; store errors; signing errors.
    pub(crate) async fn refill(
        self: &Arc<Self>,
        presentation: Zeroizing<String>,
        proofs: Vec<String>,
    ) -> Result<IssuanceOutcome, Error> {
        let now = self.now();
        let (shown, keys, request_digest) = self.verify_refill_request(presentation, proofs, now).await?;
        let notification_id = secrets::random_secret();
        let refill = self
            .store_refill_intent(RefillIntent {
                copy: shown.copy,
                nonce: shown.nonce.0,
                request_digest,
                notification_hash: notification_hash(&notification_id),
                thumbprints: keys.iter().map(PublicKey::thumbprint).collect(),
                epoch: self.validity_epoch(&shown.credential_type),
                now,
            })
            .await?;
        self.ensure_published(&refill.status_indices).await?;
        let issuer = self.clone();
        let format = shown.format;
        let copies = spawn_cpu(move || {
            let content = BatchContent {
                credential_type: issuer.credential_type(&shown.credential_type)?,
                claims: &shown.claims,
                valid_from: refill.valid_from,
                valid_until: refill.valid_until,
            };
            issuer.sign_copies(format, &content, &keys, &refill.status_indices, now)
        })
        .await??;
        self.complete_refill(refill.issuance, self.with_signing_key(&copy_identifiers(format, &copies)), now).await?;
        tracing::info!(offer_id = refill.offer_id, copies = copies.len(), "credentials refilled");
        Ok(IssuanceOutcome::Issued { format, copies, notification_id })
    }

    /// Stores the intent to sign for the offer of the presented copy, and marks the nonce as used. The dates of the new
    /// copies are those of the presented one, rounded to the epoch if that leaves a validity period.
    ///
    /// # Errors
    /// The copy is unknown, revoked or suspended; [`Error::NonceInvalid`]; the daily limit or the limit of all refills
    /// is reached; [`Error::KeyUsed`]; store errors.
    pub(crate) async fn store_refill_intent(&self, intent: RefillIntent) -> Result<ReissueIntent, Error> {
        let RefillIntent { copy, nonce, request_digest, notification_hash, thumbprints, epoch, now } = intent;
        let mut tx = self.store.begin("intend_refill").await?;
        let known = require_valid_copy(&mut tx, &copy).await?;
        let offer_id = known.offer_id;
        consume_nonce(&mut tx, &nonce).await?;
        let copies = thumbprints.len();
        require_daily_refill_capacity(&mut tx, &offer_id, copies, self.settings.refill_copies_per_day, now).await?;
        require_total_refill_capacity(&mut tx, &offer_id, known.generation, copies, self.settings.refill_copies_in_all)
            .await?;
        let (from, until) = (known.valid_from, known.valid_until);
        // Copies from before epochs get the dates of their epoch, unless no validity would be left.
        let (valid_from, valid_until) = epoch.round_validity(from, until, now).unwrap_or((from, until));
        let collection = tx
            .insert_issuance(&NewIssuance {
                offer_id: &offer_id,
                request_digest: &request_digest,
                state: IssuanceState::Intended,
                transaction_hash: None,
                notification_hash: &notification_hash,
                holder_keys: None,
                reissue: Some(ReissueTerms { valid_from, valid_until, generation: known.generation }),
            })
            .await?;
        let entries = self.settings.list_entries;
        let places = insert_copies(&mut tx, entries, (collection, &offer_id), &thumbprints, now).await?;
        tx.commit().await?;
        Ok(ReissueIntent { issuance: collection, offer_id, status_indices: places, valid_from, valid_until })
    }

    /// Records the signed copies of a refill, or of a renewal that needed no approval: marks them as issued. The
    /// response is not stored.
    ///
    /// # Errors
    /// [`Error::KeyUsed`]; store errors.
    pub(crate) async fn complete_refill(
        &self,
        collection: i64,
        copies: SignedCopies<'_>,
        now: Timestamp,
    ) -> Result<(), Error> {
        let mut tx = self.store.begin("finish_refill").await?;
        let signature = SigningResult { kid: copies.kid, response: None, validity: None };
        tx.mark_issuance_signed(collection, &signature).await?;
        tx.mark_renewal_of_issuance(collection).await?;
        mark_copies_issued(&mut tx, collection, copies.identifiers, now).await?;
        Ok(tx.commit().await?)
    }

    /// Verifies a presented copy and the proofs of the new keys. Both must have the same nonce, and the key binding
    /// must list the keys of the proofs in order. Returns the copy, the keys, and the digest of the whole request. The
    /// nonce is not yet marked as used.
    ///
    /// # Errors
    /// The copy, its key binding, a proof or the nonce is refused; [`Error::CopyUnknown`];
    /// [`Error::RefillUnsupported`]; store errors.
    pub(crate) async fn verify_refill_request(
        self: &Arc<Self>,
        presentation: Zeroizing<String>,
        proofs: Vec<String>,
        now: Timestamp,
    ) -> Result<(PresentedCopy, Vec<PublicKey>, Sha256Hash), Error> {
        let mut parts = vec![presentation.as_bytes()];
        parts.extend(proofs.iter().map(String::as_bytes));
        let request_digest = secrets::purpose_hash(HashPurpose::RequestDigest, &parts);
        let issuer = self.clone();
        let shown = spawn_cpu(move || issuer.verify_presented_copy(&presentation, now)).await??;
        // Proofs are verified only for the holder of a copy by this issuer.
        require_valid_copy(&mut self.store.read().await?, &shown.copy).await?;
        let issuer = self.clone();
        let per_day = usize::try_from(self.settings.refill_copies_per_day).unwrap_or(usize::MAX);
        let most = self.settings.max_batch_size.min(per_day);
        let (shown, keys) = spawn_cpu(move || {
            let proven = proofs::verify_proofs(&proofs, issuer.did.as_str(), most, Some(now))?;
            if proven.nonce != shown.nonce.1 {
                let what = "the key binding and the proofs must have the same nonce";
                return Err(Error::PresentationInvalid(Problem::new(Code::ChallengeMismatch, what)));
            }
            // Otherwise an intermediary could replace the holder's keys with its own.
            if shown.new_key_thumbprints != proven.keys.iter().map(PublicKey::thumbprint).collect::<Vec<_>>() {
                let what = "the key binding is for other keys than those of the proofs";
                return Err(Error::PresentationInvalid(Problem::new(Code::ChallengeMismatch, what)));
            }
            Ok((shown, proven.keys))
        })
        .await??;
        Ok((shown, keys, request_digest))
    }

    /// Verifies a presented copy, and its key binding to one of this issuer's nonces. Its status is not checked.
    fn verify_presented_copy(&self, presentation: &str, now: Timestamp) -> Result<PresentedCopy, Error> {
        let refuse = Error::PresentationInvalid;
        if presentation.trim_start().starts_with('{') {
            return Err(Error::RefillUnsupported);
        }
        let token = SdJwt::parse(presentation).map_err(refuse)?;
        let binding = token.key_binding().ok_or(Error::PresentationInvalid(Code::KeyBindingMissing.into()))?;
        let nonce_text = match binding.payload().get("nonce").map(Value::as_str) {
            Some(Some(nonce)) => nonce.to_owned(),
            _ => return Err(refuse(Code::ChallengeMissing.into())),
        };
        let nonce = self.nonces.verify_nonce(&nonce_text, now).ok_or(Error::NonceInvalid)?;
        let held = self.verify_copy(presentation, now).map_err(refuse)?;
        let expected = KeyBindingRequirements {
            nonce: &nonce_text,
            audience: self.did.as_str(),
            now,
            max_age: MAX_AGE_SECONDS,
            skew: CLOCK_SKEW,
        };
        token.verify_key_binding(&expected).map_err(refuse)?;
        let claims = self.subject_claims(&held).map_err(refuse)?;
        if self.credential_type(&held.type_name)?.is_former_version(&claims) {
            return Err(Error::RefillUnsupported);
        }
        let claims = self.checked_claims(&held.type_name, claims).map_err(refuse)?;
        Ok(PresentedCopy {
            copy: copy_digest(presentation),
            format: held.format,
            credential_type: held.type_name,
            claims,
            new_key_thumbprints: token.exchange_thumbprints().map_err(refuse)?.into_iter().map(str::to_owned).collect(),
            nonce: (nonce, nonce_text),
        })
    }

    /// Verifies a copy (signature, issuer, type, dates) with the common pipeline, without its key binding and its
    /// status.
    fn verify_copy(&self, presentation: &str, now: Timestamp) -> Result<VerifiedCredential, Problem> {
        let copy = presentation.rfind('~').and_then(|end| presentation.get(..=end)).unwrap_or_default();
        let own = OwnIssuerPolicy(self);
        let environment = VerificationEnvironment {
            now,
            skew: CLOCK_SKEW,
            resolver: &own,
            suites: &Cryptosuites::empty(),
            issuer_policy: &own,
            types: &self.catalogue,
            status_policy: StatusPolicy::NotChecked("the issuer's own store says it"),
        };
        let (report, verified) = verify::verify_credential(copy.as_bytes(), &environment);
        verified.map(verify::Verified::into_inner).ok_or_else(|| {
            report.first_failure().cloned().unwrap_or_else(|| Problem::new(Code::ProofMissing, "nothing was checked"))
        })
    }

    /// Returns the members of `credentialSubject`, without its id.
    fn subject_claims(&self, held: &VerifiedCredential) -> Result<Map<String, Value>, Problem> {
        let subject = held.credential.document().get("credentialSubject").and_then(Value::as_object);
        let mut claims =
            subject.cloned().ok_or_else(|| Problem::new(Code::MalformedValue, "the copy needs exactly one subject"))?;
        claims.remove("id");
        Ok(claims)
    }

    /// Returns the claims without commitments of threshold proofs, as staff provide them, after checking them against
    /// the type.
    fn checked_claims(&self, type_name: &str, mut claims: Map<String, Value>) -> Result<Map<String, Value>, Problem> {
        let known = self.catalogue.credential_type(type_name).ok_or_else(|| Problem::from(Code::TypeUnknown))?;
        claims.retain(|name, _| !known.is_commitments(name));
        known.validate_claims(&claims)?;
        Ok(claims)
    }
}

/// Resolver and issuer policy that accept only this issuer, and only types that it still issues.
pub(crate) struct OwnIssuerPolicy<'a, S>(pub(crate) &'a Issuer<S>);

impl<S: Send + Sync> Resolve for OwnIssuerPolicy<'_, S> {
    fn resolve(&self, did: &Did) -> Result<Arc<DidDocument>, Problem> {
        let issuer = self.0;
        if *did != issuer.did {
            return Err(foreign_issuer_problem());
        }
        Ok(Arc::clone(&issuer.own_document))
    }
}

impl<S: Send + Sync> IssuerPolicy for OwnIssuerPolicy<'_, S> {
    fn check_issuer(&self, held: &VerifiedCredential) -> Result<(), Problem> {
        if held.credential.issuer() != self.0.did.as_str() {
            return Err(foreign_issuer_problem());
        }
        self.0
            .credential_type(&held.type_name)
            .map(drop)
            .map_err(|_| Problem::new(Code::TypeUnknown, "this issuer no longer issues this type"))
    }
}

/// Returns the error for a copy of another issuer.
fn foreign_issuer_problem() -> Problem {
    Problem::new(Code::IssuerUntrusted, "another issuer issued the copy; ask that one")
}
