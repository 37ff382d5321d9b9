//! Signing of one copy in each format.

use carnet_core::{
    Code, Problem,
    did::VerificationRelationship,
    format::CredentialFormat,
    keys::PublicKey,
    secure::{
        copy::CopyContent,
        data_integrity::{self, Cryptosuite, ProofOptions},
        sd_jwt::{self, IssueOptions},
    },
    time::Timestamp,
};
use carnet_spec::{CredentialType, UnsecuredCopy};
use rand_core::OsRng;
use serde_json::{Map, Value};

use crate::{issuer::Issuer, store::status::StatusIndex};

/// Content shared by all copies of a batch: type, claims and validity period.
pub(crate) struct BatchContent<'a> {
    pub(crate) credential_type: &'a CredentialType,
    pub(crate) claims: &'a Map<String, Value>,
    pub(crate) valid_from: Timestamp,
    pub(crate) valid_until: Timestamp,
}

impl<S> Issuer<S> {
    /// Signs one copy that is bound to a holder's key and refers to the status index `place`. The result is the SD-JWT
    /// with all disclosures, or the JSON text of a credential with a Data Integrity proof.
    ///
    /// # Errors
    /// `cryptosuite_unknown`: no cryptosuite signs this format with the issuer's key; the errors of [`sd_jwt::issue`]
    /// or [`data_integrity::add_proof`].
    pub(crate) fn sign_copy(
        &self,
        format: CredentialFormat,
        content: &BatchContent<'_>,
        holder: &PublicKey,
        place: StatusIndex,
        now: Timestamp,
    ) -> Result<String, Problem> {
        let known = content.credential_type;
        let status = self.status_member(format, place);
        let content = CopyContent {
            type_name: &known.name,
            vct: &known.vct,
            vct_integrity: known.vct_integrity.as_deref(),
            context_url: &known.context_url,
            issuer: self.did.as_str(),
            valid_from: content.valid_from,
            valid_until: content.valid_until,
            claims: content.claims,
            holder,
            status: status.as_ref(),
        };
        let form = known.unsecured_copy(format, &content);
        if format.is_sd_jwt() {
            return self.sign_sd_jwt(format, &form, known, holder);
        }
        let suite = self.suites.for_signing(format, self.signer.algorithm()).ok_or(Code::CryptosuiteUnknown)?;
        self.sign_data_integrity(suite, &form.payload, self.validity_epoch(&known.name).start(now))
    }

    fn sign_sd_jwt(
        &self,
        format: CredentialFormat,
        form: &UnsecuredCopy,
        known: &CredentialType,
        holder: &PublicKey,
    ) -> Result<String, Problem> {
        let options = IssueOptions {
            typ: format.as_str(),
            kid: &self.kid,
            disclosable: &form.disclosable,
            ordered_claims: &form.ordered,
            holder_key: Some(holder),
            decoys_to_multiple_of: known.copy_profile.decoys_to_multiple_of,
            padded_arrays: &form.padded,
        };
        sd_jwt::issue(&form.payload, &options, self.signer.as_ref(), &mut OsRng)
    }

    fn sign_data_integrity(
        &self,
        suite: &dyn Cryptosuite,
        document: &Map<String, Value>,
        created: Timestamp,
    ) -> Result<String, Problem> {
        let options = ProofOptions {
            verification_method: &self.kid,
            purpose: VerificationRelationship::AssertionMethod,
            // The start of the epoch, which is the same for all copies issued in it.
            created: Some(created),
            expires: None,
            challenge: None,
            domain: None,
        };
        data_integrity::to_canonical_text(&data_integrity::add_proof(document, suite, &options, self.signer.as_ref())?)
    }
}
