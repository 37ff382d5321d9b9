//! Transfer of single copies between wallets, in files: a raw credential with its private key.
//!
//! A copy that leaves counts as presented to an unknown verifier, and so does one that arrives: the other wallet may
//! present it too, and then the two presentations can be linked.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use carnet_core::{
    Code, Problem,
    did::Did,
    format::CredentialFormat,
    json::{self, Limits},
    secure::sd_jwt::SdJwt,
    verify::TypeCatalogue as _,
};
use carnet_spec::Catalogue;
use serde_json::{Map, Value};
use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

pub mod sealed;

use crate::{
    failure::{Failure, FailureKind, FailureReason, FaultParty, Sentence},
    issuance::{
        DateRequirement, IssuanceRequirements, UNCHECKED_OF_FOREIGN_TYPES, fetch_directory, skipped_checks,
        verify_copies,
    },
    issuer_metadata::ExpectedCredential,
    ports::{DocumentSource as _, Ports, resolve_issuer},
    receive::ReceivedCredential,
    store::{
        HeldCredential, HolderKey, LogEntryKind, LoggedCredential, Wallet, WalletContents, WalletLogEntry, WalletStore,
        deletion::UNKNOWN_VERIFIER, holder_key::HolderAlgorithm, presentations::thumbprint,
    },
    trust,
};

/// Maximum size of a file with a copy and its key, in bytes.
pub const MAX_FILE: usize = 2_097_152;
/// Limits of the JSON of such a file: a copy may be a JSON document.
const LIMITS: Limits = Limits { max_bytes: MAX_FILE, max_depth: 36 };

/// Copy that is about to leave the wallet.
pub struct CopyExport {
    credential: usize,
    copy: usize,
    /// Format of the credential.
    pub format: CredentialFormat,
    /// Raw credential: an SD-JWT, or a JSON document.
    pub text: String,
    /// Private key of the copy as JWK.
    pub key: Zeroizing<String>,
    /// base64url SHA-256 of [`Self::text`], by which the holder approves the export of exactly this copy.
    pub digest: String,
}

impl CopyExport {
    /// Prepares the export of a copy of the credential at an index: of the newest one that was presented to nobody.
    /// Nothing is changed.
    ///
    /// # Errors
    /// `not_found`; `copy_missing` if all copies were presented; `key_invalid` if its key is damaged.
    pub fn prepare(contents: &WalletContents, credential: usize) -> Result<Self, Failure> {
        let held = contents.credentials.get(credential).ok_or_else(|| {
            Failure::new(FailureReason::NotFound, Sentence::new("error-no-document"), Sentence::new("hint-list"))
        })?;
        let found = held.copies.iter().enumerate().rev().find(|(_, copy)| copy.is_unused());
        let (index, copy) = found.ok_or_else(|| {
            let message = Sentence::new("error-export-no-copy");
            Failure::new(FailureReason::CopyMissing, message, Sentence::new("hint-refill-all"))
        })?;
        let key = copy.key.to_private_jwk().map_err(|problem| {
            Failure::from_problem(&problem, Sentence::new("error-keys"), Sentence::new("hint-again"))
        })?;
        let text = copy.credential.text().to_string();
        let digest = URL_SAFE_NO_PAD.encode(Sha256::digest(&text));
        Ok(Self { credential, copy: index, format: held.format, text, key, digest })
    }

    /// Returns the content of a file with the copy and its private key: a JSON object with `credential`, `format` and
    /// `key`.
    pub fn to_file(&self) -> Zeroizing<String> {
        let credential =
            if self.format.is_sd_jwt() { Value::from(self.text.as_str()).to_string() } else { self.text.clone() };
        let (format, key) = (self.format.as_str(), self.key.as_str());
        Zeroizing::new(format!("{{\"credential\":{credential},\"format\":\"{format}\",\"key\":{key}}}\n"))
    }

    /// Records that the copy left the wallet, and saves it. The caller must do this before it writes the file: after a
    /// power failure, the copy must not count as unused.
    ///
    /// # Errors
    /// `not_found` if the wallet does not have the copy any more; the wallet cannot be saved.
    pub fn record(
        &self,
        wallet: &mut Wallet<impl WalletStore>,
        now: carnet_core::time::Timestamp,
    ) -> Result<(), Failure> {
        let held = wallet.contents.credentials.get_mut(self.credential);
        let copy = held.and_then(|held| {
            let logged = LoggedCredential::without_disclosures(&held.id, &held.type_name);
            let copy = held.copies.get_mut(self.copy).filter(|copy| *copy.credential.text() == *self.text)?;
            Some((copy, logged, held.issuer.clone(), held.issuer_name.clone()))
        });
        let (copy, logged, issuer, issuer_name) = copy.ok_or_else(|| {
            Failure::new(FailureReason::NotFound, Sentence::new("error-no-document"), Sentence::new("hint-list"))
        })?;
        copy.presented_to.push(UNKNOWN_VERIFIER.to_owned());
        wallet.contents.log.push(WalletLogEntry {
            party_name: issuer_name,
            credentials: vec![logged],
            ..WalletLogEntry::new(now, LogEntryKind::Exported, &issuer)
        });
        wallet.save()
    }
}

/// Copy from a file, not yet verified.
pub struct ImportedCopy {
    text: String,
    key: HolderKey,
}

impl ImportedCopy {
    /// Parses a file with a copy and its private key ([`CopyExport::to_file`]).
    ///
    /// # Errors
    /// `transfer_malformed`, `key_invalid`
    pub fn from_file(file: &[u8]) -> Result<Self, Failure> {
        let mut members = json::parse_object(file, LIMITS).map_err(|problem| malformed(&problem))?;
        let text = match members.remove("credential") {
            Some(Value::String(text)) => text,
            Some(document @ Value::Object(_)) => document.to_string(),
            _ => return Err(malformed(&Code::ClaimMissing.into())),
        };
        let key = members.remove("key").ok_or_else(|| malformed(&Code::KeyInvalid.into()))?;
        Ok(Self { text, key: holder_key(key)? })
    }

    /// Parses a raw credential, and a private key as JWK.
    ///
    /// # Errors
    /// `transfer_malformed`, `key_invalid`
    pub fn from_raw(credential: &[u8], key: &[u8]) -> Result<Self, Failure> {
        let text = std::str::from_utf8(credential).map_err(|_| malformed(&Code::InvalidUnicode.into()))?;
        let key = json::parse(key, Limits::SMALL).map_err(|problem| malformed(&problem))?;
        Ok(Self { text: text.trim().to_owned(), key: holder_key(key)? })
    }

    /// Reads what the copy says of itself: type, format and issuer. Nothing of it is verified yet.
    ///
    /// # Errors
    /// `transfer_malformed` for a text that is no credential; `type_unknown` for a type that the catalogue does not
    /// have, in another format than `dc+sd-jwt`; `format_unsupported` if this program cannot verify the format.
    pub fn announced(&self, catalogue: &Catalogue) -> Result<ExpectedCredential, Failure> {
        let Announced { format, type_name, issuer, is_foreign } =
            Announced::of(&self.text, catalogue).map_err(|problem| match problem.code {
                Code::TypeUnknown => {
                    let message = Sentence::new("error-type-unknown").with("type", problem.detail.clone());
                    Failure::new(Code::TypeUnknown, message, Sentence::new("hint-type-folder"))
                }
                _ => malformed(&problem),
            })?;
        ExpectedCredential::imported(&issuer, type_name, format, is_foreign)
    }
}

/// Content of a copy that says what it is, unverified.
struct Announced {
    format: CredentialFormat,
    type_name: String,
    issuer: String,
    is_foreign: bool,
}

impl Announced {
    fn of(text: &str, catalogue: &Catalogue) -> Result<Self, Problem> {
        if text.starts_with('{') {
            let document = json::parse_object(text.as_bytes(), LIMITS)?;
            let proof = document.get("proof").map(|proof| proof.get(0).unwrap_or(proof));
            let suite = proof.and_then(|proof| proof.get("cryptosuite")).and_then(Value::as_str).unwrap_or_default();
            let format = if suite.contains("-jcs-") { CredentialFormat::DiVcJcs } else { CredentialFormat::LdpVc };
            return Self::of_data_model(format, &document, catalogue);
        }
        let token = SdJwt::parse(text)?;
        let typ = token.jws().header().get("typ").and_then(Value::as_str).unwrap_or_default();
        let payload = token.jws().payload();
        match CredentialFormat::parse(typ) {
            Some(CredentialFormat::DcSdJwt) => {
                let member = |name: &str| payload.get(name).and_then(Value::as_str).unwrap_or_default();
                let (vct, known) = (member("vct"), catalogue.credential_type_by_vct(member("vct")));
                let type_name = known.map_or_else(|| vct.to_owned(), |known| known.name.clone());
                let issuer = member("iss").to_owned();
                Ok(Self { format: CredentialFormat::DcSdJwt, type_name, issuer, is_foreign: known.is_none() })
            }
            Some(format @ CredentialFormat::VcSdJwt) => Self::of_data_model(format, payload, catalogue),
            _ => Err(Problem::new(Code::UnknownFormat, "its typ is that of no credential")),
        }
    }

    /// Reads a credential of the W3C data model. Its type must be one of the catalogue.
    fn of_data_model(
        format: CredentialFormat,
        members: &Map<String, Value>,
        catalogue: &Catalogue,
    ) -> Result<Self, Problem> {
        let issuer = members.get("issuer").map(|issuer| issuer.get("id").unwrap_or(issuer));
        let issuer = issuer.and_then(Value::as_str).unwrap_or_default().to_owned();
        let types: Vec<&str> = match members.get("type") {
            Some(Value::Array(types)) => types.iter().filter_map(Value::as_str).collect(),
            Some(Value::String(one)) => vec![one.as_str()],
            _ => Vec::new(),
        };
        let type_name = catalogue.type_name(&types, None).map_err(|_| {
            let own = types.iter().rfind(|name| **name != "VerifiableCredential").copied().unwrap_or_default();
            Problem::new(Code::TypeUnknown, crate::sanitise::sanitise(own))
        })?;
        Ok(Self { format, type_name, issuer, is_foreign: false })
    }
}

/// Verifies a copy from a file as those that an issuer sends, and stores it. `accept` is asked before anything is
/// fetched. The copy counts as presented to an unknown verifier.
///
/// # Errors
/// Those of [`ImportedCopy::announced`] and of `accept`; `already_held`; the issuer's documents are unavailable; the copy
/// is invalid; the wallet cannot be saved.
pub async fn import_copy(
    ports: &impl Ports,
    catalogue: &Catalogue,
    wallet: &mut Wallet<impl WalletStore>,
    copy: &ImportedCopy,
    accept: impl FnOnce(&ExpectedCredential) -> Result<(), Failure>,
) -> Result<ReceivedCredential, Failure> {
    let expected = copy.announced(catalogue)?;
    let own = thumbprint(&copy.key);
    let held = wallet.contents.credentials.iter().flat_map(|held| &held.copies);
    if held.map(|held| thumbprint(&held.key)).any(|known| known == own) {
        let message = Sentence::new("error-import-held");
        return Err(Failure::new(FailureReason::AlreadyHeld, message, Sentence::new("hint-list")));
    }
    accept(&expected)?;
    resolve_issuer(ports, &expected.issuer).await?;
    let known = catalogue.credential_type(&expected.type_name);
    let directory = match known {
        Some(known) if known.is_builtin => fetch_directory(ports, &expected.issuer).await?,
        _ => None,
    };
    let now = ports.now();
    let verified = verify_copies(
        std::slice::from_ref(&copy.text),
        &IssuanceRequirements {
            expected: &expected,
            keys: std::slice::from_ref(&copy.key),
            held: &wallet.contents.credentials,
            dates: DateRequirement::Imported,
            directory: directory.as_ref(),
            resolver: ports.documents().resolver(),
            catalogue,
            now,
        },
    );
    let mut held: HeldCredential = verified.map_err(|problem| {
        let message = Sentence::new("error-import-refused");
        Failure::from_problem(&problem, message, Sentence::new("hint-import-source")).with_fault(FaultParty::Ours)
    })?;
    held.copies.iter_mut().for_each(|copy| copy.presented_to.push(UNKNOWN_VERIFIER.to_owned()));
    let skipped =
        known.map_or(UNCHECKED_OF_FOREIGN_TYPES.to_vec(), |known| skipped_checks(known, DateRequirement::Imported));
    let decision = trust::issuer_decision_json(&wallet.contents.trust, &held, catalogue, now);
    let summary = ReceivedCredential::new(&held, false, skipped, decision);
    wallet.contents.log.push(WalletLogEntry {
        party_name: held.issuer_name.clone(),
        credentials: vec![LoggedCredential::without_disclosures(&held.id, &held.type_name)],
        ..WalletLogEntry::new(now, LogEntryKind::Imported, &held.issuer)
    });
    wallet.contents.credentials.push(held);
    wallet.save()?;
    Ok(summary)
}

impl ExpectedCredential {
    /// Returns the credential that a file announces. It is verified against its issuer's DID document; the name of the
    /// issuer is the host of its DID, or the DID.
    ///
    /// # Errors
    /// `format_unsupported`; `did_malformed` for an issuer that is no DID; `type_unknown` for a foreign `vct` that cannot
    /// be shown.
    fn imported(issuer: &str, type_name: String, format: CredentialFormat, is_foreign: bool) -> Result<Self, Failure> {
        Self::require_supported(format)?;
        if is_foreign && !Self::is_displayable_vct(&type_name) {
            let message = Sentence::new("error-type-unknown").with("type", crate::sanitise::sanitise(&type_name));
            return Err(Failure::new(Code::TypeUnknown, message, Sentence::new("hint-type-folder")));
        }
        let did = Did::parse(issuer).map_err(|problem| malformed(&problem))?;
        Ok(Self {
            issuer: did.to_string(),
            audience: did.to_string(),
            issuer_name: crate::hosts::host_name(issuer).unwrap_or_else(|| did.to_string()),
            configuration_id: String::new(),
            type_name,
            format,
            epoch: None,
            renewal_window_days: 0,
            key_algorithm: HolderAlgorithm::EdDsa,
            is_foreign,
            display: Default::default(),
        })
    }
}

/// Parses a private key as JWK.
fn holder_key(jwk: Value) -> Result<HolderKey, Failure> {
    HolderKey::from_private_jwk(jwk).map_err(|problem| {
        let message = Sentence::new("error-import-key");
        let failure = Failure::from_problem(&problem, message, Sentence::new("hint-import-key"));
        Failure { kind: FailureKind::Usage, ..failure }
    })
}

fn malformed(problem: &Problem) -> Failure {
    let message = Sentence::new("error-import-malformed").with_details(crate::sanitise::sanitise(&problem.to_string()));
    Failure::usage(FailureReason::TransferMalformed, message, Sentence::new("hint-import-file"))
}

#[cfg(test)]
mod tests;
