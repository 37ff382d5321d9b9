//! Rendering of built-in types: the wallet renders each copy from its content, and compares the bytes
//! (spec/credential-types.md 4.5).

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use carnet_core::{
    Problem,
    credential::is_permitted_claim_name,
    did::VerificationRelationship,
    format::CredentialFormat,
    keys::PublicKey,
    secure::{
        copy::CopyContent,
        data_integrity::{self, Cryptosuites, ProofOptions},
        sd_jwt::{IssueOptions, SdJwt},
    },
    time::Timestamp,
};
use carnet_spec::CredentialType;
use serde_json::{Map, Value};

use super::{OpenedCopy, directory::StatusMember, recognisable_copy_problem};

/// Copy, and the values for its rendering that are known independently of it.
pub(super) struct RenderedCopy<'a> {
    pub(super) text: &'a str,
    pub(super) opened: &'a OpenedCopy,
    pub(super) format: CredentialFormat,
    pub(super) issuer: &'a str,
    pub(super) known: &'a CredentialType,
    pub(super) key: &'a PublicKey,
    /// DID URL of the issuer's signing key.
    pub(super) signing_key: &'a str,
    pub(super) status: Option<&'a StatusMember>,
    pub(super) suites: &'a Cryptosuites,
}

impl RenderedCopy<'_> {
    /// Renders the copy with these validity dates, and compares it byte by byte.
    ///
    /// # Errors
    /// `copy_marked`
    pub(super) fn check_rendering(&self, (valid_from, valid_until): (Timestamp, Timestamp)) -> Result<(), Problem> {
        let claims =
            self.claims().ok_or_else(|| recognisable_copy_problem("the copy must have exactly one subject"))?;
        let content = CopyContent {
            type_name: &self.known.name,
            vct: &self.known.vct,
            // The digest of the catalogue's own document: any other value could mark one person's copies.
            vct_integrity: self.known.vct_integrity.as_deref(),
            context_url: &self.known.context_url,
            issuer: self.issuer,
            valid_from,
            valid_until,
            claims: &claims,
            holder: self.key,
            status: self.status,
        };
        let form = self.known.unsecured_copy(self.format, &content);
        let Some(token) = &self.opened.token else {
            let options = ProofOptions {
                verification_method: self.signing_key,
                purpose: VerificationRelationship::AssertionMethod,
                created: Some(valid_from),
                expires: None,
                challenge: None,
                domain: None,
            };
            return data_integrity::check_rendering(self.text, &form.payload, self.suites, &options);
        };
        check_salt_lengths(token, self.known.copy_profile.salt_bytes)?;
        let options = IssueOptions {
            typ: self.format.as_str(),
            kid: self.signing_key,
            disclosable: &form.disclosable,
            ordered_claims: &form.ordered,
            holder_key: Some(self.key),
            decoys_to_multiple_of: self.known.copy_profile.decoys_to_multiple_of,
            padded_arrays: &form.padded,
        };
        token.check_rendering(&form.payload, &options)
    }

    /// Returns the claims as offered: without the subject id and the commitments. `None` if the copy does not have
    /// exactly one subject.
    fn claims(&self) -> Option<Map<String, Value>> {
        let members = &self.opened.members;
        let mut claims = if self.format == CredentialFormat::DcSdJwt {
            let mut claims = members.clone();
            // Carnet's copies have no `sub`, and the `vct#integrity` of the catalogue or none.
            claims.retain(|name, _| is_permitted_claim_name(name));
            claims
        } else {
            let mut claims = members.get("credentialSubject")?.as_object()?.clone();
            claims.remove("id");
            claims
        };
        claims.retain(|name, _| !self.known.is_commitments(name));
        Some(claims)
    }
}

fn check_salt_lengths(token: &SdJwt, bytes: usize) -> Result<(), Problem> {
    // Unused bits must be zero; otherwise they could mark a copy.
    let fits = |salt: &str| URL_SAFE_NO_PAD.decode(salt).is_ok_and(|salt| salt.len() == bytes);
    if token.salts().all(fits) {
        Ok(())
    } else {
        Err(recognisable_copy_problem(&format!("a salt of the copy does not have {bytes} bytes")))
    }
}
