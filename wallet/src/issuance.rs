//! Issuance on the wallet's side: holder keys, proofs of possession, and verification of the issued copies. The wallet
//! stores only verified copies.

use std::collections::BTreeMap;

use carnet_core::{
    Code, Problem,
    did::{Did, Resolve},
    format::CredentialFormat,
    keys::{PublicKey, Signer},
    secure::{
        copy::CopyProfile,
        data_integrity::Cryptosuites,
        jose::{self, Jws},
        sd_jwt::SdJwt,
    },
    time::{CLOCK_SKEW, Timestamp},
    verify::{self, StatusPolicy, TypeCatalogue, VerificationEnvironment},
};
use carnet_spec::{Catalogue, CredentialType};
use serde_json::{Map, Value, json};

use crate::{
    answer::is_status_reference,
    issuer_metadata::ExpectedCredential,
    store::{
        CredentialCopy, HeldCredential, HolderKey,
        contents::{default_low_water, random_id},
        holder_key::HolderAlgorithm,
        thresholds::CommitmentPositions,
        vouchers::VoucherSerials,
    },
};

mod dates;
mod directory;
mod foreign;
mod rendering;
mod template;
mod unlinkable;

pub use dates::DateRequirement;
pub use directory::{StatusListDirectory, fetch_directory};
use directory::{expected_status, signing_key};
use foreign::ForeignTypeRules;
pub use foreign::{UNCHECKED as UNCHECKED_OF_FOREIGN_TYPES, issuer_of_copies};
use rendering::RenderedCopy;

/// Number of copies to request of a credential, if the issuer permits as many in one request.
pub const REQUESTED_COPIES: u32 = 10;
/// Members with copy-specific values: holder key, subject, status index, signing time and signature.
const COPY_SPECIFIC: [&str; 6] = ["cnf", "credentialStatus", "iat", "proof", "status", "sub"];
/// Status purposes in the order in which a copy must list its status entries (spec/status.md).
const PURPOSES: [&str; 3] = ["revocation", "suspension", "message"];
const PROOF_TYP: &str = "openid4vci-proof+jwt";

/// Generates Ed25519 holder keys for one request: ten, or the issuer's maximum if it is lower; at least one.
pub fn generate_keys(max_batch_size: u32) -> Vec<HolderKey> {
    generate_keys_for(max_batch_size, HolderAlgorithm::EdDsa)
}

/// Generates holder keys of an algorithm for one request: ten, or the issuer's maximum if it is lower; at least one.
pub fn generate_keys_for(max_batch_size: u32, algorithm: HolderAlgorithm) -> Vec<HolderKey> {
    (0..REQUESTED_COPIES.min(max_batch_size.max(1))).map(|_| HolderKey::generate_for(algorithm)).collect()
}

/// Signs one proof of possession for each key (OpenID4VCI 1.0 appendix F.1). `audience` is that of the issuer's
/// metadata. An empty nonce means that the issuer does not use nonces, and is left out.
///
/// # Errors
/// A key is damaged.
pub fn sign_proofs(keys: &[HolderKey], audience: &str, nonce: &str, now: Timestamp) -> Result<Vec<String>, Problem> {
    keys.iter()
        .map(|key| {
            let key = key.decode()?;
            let header = json!({"typ": PROOF_TYP, "jwk": key.public_key().to_jwk()});
            let mut payload = json!({"aud": audience, "iat": now.unix()});
            if let (false, Some(members)) = (nonce.is_empty(), payload.as_object_mut()) {
                members.insert("nonce".to_owned(), nonce.into());
            }
            match (header, payload) {
                (Value::Object(header), Value::Object(payload)) => jose::sign(header, &payload, &key),
                _ => Err(Code::ProofGeneration.into()),
            }
        })
        .collect()
}

/// Requirements on the copies of one issuance.
pub struct IssuanceRequirements<'a> {
    /// Credential that the issuer announced.
    pub expected: &'a ExpectedCredential,
    /// Holder keys for which the copies were requested, in the order of the proofs.
    pub keys: &'a [HolderKey],
    /// All credentials in the wallet: no copy may share copy-specific values with theirs.
    pub held: &'a [HeldCredential],
    /// Requirement on the validity dates.
    pub dates: DateRequirement,
    /// Issuer's directory of status lists; `None` if its DID document does not name one.
    pub directory: Option<&'a StatusListDirectory>,
    /// Resolver of the issuer's DID document.
    pub resolver: &'a dyn Resolve,
    /// Credential types that this wallet knows.
    pub catalogue: &'a Catalogue,
    /// Current time.
    pub now: Timestamp,
}

/// Returns the stable names of the checks that are skipped for copies of a type. The wallet cannot render copies of
/// types that are not built in, so most checks of their form are skipped; for built-in types, only the end of the
/// validity if the offer does not state it.
pub fn skipped_checks(known: &CredentialType, days: DateRequirement) -> Vec<&'static str> {
    if known.is_builtin && matches!(days, DateRequirement::Imported) {
        return vec!["signing_key", "valid_from", "valid_until"];
    }
    let days = match days {
        DateRequirement::Imported => [Some("valid_from"), Some("valid_until")],
        DateRequirement::Unchanged => [None, None],
        DateRequirement::Renewed { .. } => [Some("valid_from"), None],
        DateRequirement::Issued { until, .. } => {
            [Some("valid_from"), Some("valid_until").filter(|_| !known.is_builtin || until.is_none())]
        }
    };
    let form = ["form", "signing_key", "status_lists"].map(Some).into_iter().chain(days);
    form.flatten().filter(|name| !known.is_builtin || *name == "valid_until").collect()
}

/// Returns the problem `copy_marked`, for a copy by which the issuer could recognise its holder.
pub(crate) fn recognisable_copy_problem(detail: &str) -> Problem {
    Problem::new(Code::CopyMarked, detail)
}

/// Verifies all copies and combines them into one credential. One invalid copy causes refusal of all. Besides
/// signature, schema and holder binding, each copy must have nothing by which its issuer could recognise it. The status
/// lists are not fetched.
///
/// # Errors
/// The problem of the first invalid copy; `malformed_value` if the number of copies is not that of the keys;
/// `copy_marked` for a recognisable copy.
pub fn verify_copies(copies: &[String], expected: &IssuanceRequirements<'_>) -> Result<HeldCredential, Problem> {
    let &IssuanceRequirements { expected: promise, keys, catalogue, resolver, now, .. } = expected;
    if copies.is_empty() || copies.len() != keys.len() {
        return Err(Problem::new(Code::MalformedValue, "the issuer sent a different number of copies from the proofs"));
    }
    let suites = &supported_suites(catalogue)?;
    let known = catalogue.credential_type(&promise.type_name);
    if known.is_none() && !promise.is_foreign {
        return Err(Code::TypeUnknown.into());
    }
    let foreign = ForeignTypeRules { vct: &promise.type_name };
    let types: &dyn TypeCatalogue = if known.is_some() { catalogue } else { &foreign };
    let status = StatusPolicy::NotChecked("it was issued just now");
    let env = VerificationEnvironment {
        now,
        skew: CLOCK_SKEW,
        resolver,
        suites,
        issuer_policy: promise,
        types,
        status_policy: status,
    };
    let mut held = credential_without_copies(promise, now);
    let is_bundled = known.is_some_and(|known| known.is_builtin);
    let is_imported = matches!(expected.dates, DateRequirement::Imported);
    let signing_key = if is_bundled && !is_imported { Some(expected.signing_key()?) } else { None };
    let mut first: Option<CredentialContent> = None;
    let mut first_layout: Option<String> = None;
    for (credential, key) in copies.iter().zip(keys) {
        let credential = credential.trim();
        let (report, verified) = verify::verify_credential(credential.as_bytes(), &env);
        let verified = match (verified, report.first_failure()) {
            (Some(verified), None) => verified,
            (_, Some(problem)) => return Err(problem.clone()),
            _ => return Err(Problem::new(Code::MalformedValue, "the copy could not be verified")),
        };
        let seen = verified.get();
        if seen.format != promise.format {
            return Err(Problem::new(Code::UnknownFormat, "the copy's format is not the offered one"));
        }
        let opened = OpenedCopy::of(credential, seen)?;
        if let Some(token) = &opened.token {
            check_header(token.jws())?;
        }
        let own = key.decode()?.public_key();
        check_holder_binding(&opened, seen, &own)?;
        if known.is_some() {
            check_timestamps(&opened.members, seen.format)?;
        }
        check_status(&opened.members, seen.format)?;
        let commitments = known.map_or(Ok(Vec::new()), |known| opened.commitments(seen.format, known))?;
        let said = CredentialContent::of(&opened.members, known);
        if *first.get_or_insert_with(|| said.clone()) != said {
            return Err(Problem::new(Code::MalformedValue, "the copies of one credential differ in content"));
        }
        // The key of an older copy may be one that signs no more.
        let older_key = if is_bundled && is_imported { opened.signed_by() } else { None };
        match (known, signing_key.as_ref().or(older_key.as_ref())) {
            (Some(known), Some(signing_key)) => {
                expected.check_form((credential, &opened, seen), (known, &own), signing_key, suites)?;
            }
            (Some(known), None) => {
                let layout = template::copy_template(credential, &opened, known, &own)?;
                if *first_layout.get_or_insert_with(|| layout.clone()) != layout {
                    return Err(recognisable_copy_problem("the copies of one credential are encoded differently"));
                }
            }
            // Copies of other ecosystems state when they were signed, so that they can differ by a second.
            (None, _) => {}
        }
        let serials = known.and_then(|known| known.serials.as_ref());
        let uses = serials.and_then(|serials| serials.serials_in(seen.format, &opened.members));
        held.serials = uses.map(|serials| VoucherSerials::new(serials.len()));
        held.valid_from = seen.credential.valid_from();
        held.valid_until = seen.credential.valid_until();
        held.copies.push(CredentialCopy { commitments, ..CredentialCopy::new(credential.to_owned(), key.clone()) });
    }
    let profile = known.map_or_else(CopyProfile::default, |known| known.copy_profile.clone());
    unlinkable::check_unlinkable(expected.held, &held.copies, &profile)?;
    Ok(held)
}

/// Creates the credential that the copies belong to, before any of them is verified.
fn credential_without_copies(promise: &ExpectedCredential, received_at: Timestamp) -> HeldCredential {
    HeldCredential {
        id: random_id(),
        type_name: promise.type_name.clone(),
        format: promise.format,
        issuer: promise.issuer.clone(),
        issuer_name: promise.issuer_name.clone(),
        received_at,
        valid_from: None,
        valid_until: None,
        epoch: promise.epoch,
        copies: Vec::new(),
        endpoint: None,
        refill_threshold: default_low_water(),
        display: promise.display.clone(),
        serials: None,
    }
}

impl IssuanceRequirements<'_> {
    /// Returns the DID URL of the issuer's current signing key.
    fn signing_key(&self) -> Result<String, Problem> {
        let document = self.resolver.resolve(&Did::parse(&self.expected.issuer)?)?;
        signing_key(&document, self.directory, self.now)
    }

    /// Checks the rendering, validity dates and status index of a copy of a built-in type.
    fn check_form(
        &self,
        (text, opened, seen): (&str, &OpenedCopy, &verify::VerifiedCredential),
        (known, key): (&CredentialType, &PublicKey),
        signing_key: &str,
        suites: &Cryptosuites,
    ) -> Result<(), Problem> {
        let (Some(from), Some(until)) = (seen.credential.valid_from(), seen.credential.valid_until()) else {
            return Err(recognisable_copy_problem("the copy lacks the start or the end of its validity"));
        };
        self.dates.check(self.expected.epoch, (from, until), self.now)?;
        let status = expected_status(self.directory, &opened.members, seen.format)?;
        let (issuer, format, status) = (self.expected.issuer.as_str(), seen.format, status.as_ref());
        RenderedCopy { text, opened, format, issuer, known, key, signing_key, status, suites }
            .check_rendering((from, until))
    }
}

/// Copy with all of its disclosures resolved.
struct OpenedCopy {
    token: Option<SdJwt>,
    members: Map<String, Value>,
}

impl OpenedCopy {
    fn of(credential: &str, seen: &verify::VerifiedCredential) -> Result<Self, Problem> {
        if !seen.format.is_sd_jwt() {
            return Ok(Self { token: None, members: seen.credential.document().clone() });
        }
        let token = SdJwt::parse(credential)?;
        let members = token.resolve_disclosures()?.payload;
        Ok(Self { token: Some(token), members })
    }

    /// Returns the DID URL of the key that the copy is signed with.
    fn signed_by(&self) -> Option<String> {
        let method = match &self.token {
            Some(token) => token.jws().header().get("kid"),
            None => self.members.get("proof").and_then(|proof| proof.get("verificationMethod")),
        };
        method.and_then(Value::as_str).map(str::to_owned)
    }

    /// Returns the positions of the commitments of the ordered claims, after checking that they match the claims'
    /// values (spec/at-least.md 3.5). Empty for a copy that is not an SD-JWT.
    fn commitments(
        &self,
        format: CredentialFormat,
        known: &CredentialType,
    ) -> Result<Vec<CommitmentPositions>, Problem> {
        let Some(token) = &self.token else { return Ok(Vec::new()) };
        let positions = if format == CredentialFormat::DcSdJwt {
            token.verify_commitments(&known.ordered_in_sd_jwt_vc())?
        } else {
            token.verify_commitments(&known.ordered_claims)?
        };
        Ok(positions.into_iter().map(CommitmentPositions::from).collect())
    }
}

/// Content of a copy without its copy-specific parts: holder key, status, signing time, signature, and the salts and
/// digests. It must be equal in all copies of a credential; otherwise the issuer could recognise a copy by it.
#[derive(Debug, Clone, PartialEq)]
pub struct CredentialContent {
    /// Members without copy-specific ones and without the arrays of commitments; voucher serials are sorted.
    pub members: Map<String, Value>,
    /// Number of commitments in each array, by its name.
    commitments: BTreeMap<String, usize>,
}

impl CredentialContent {
    /// Extracts the content from the members of a copy with all disclosures resolved. `None`: the type is foreign.
    pub fn of(members: &Map<String, Value>, known: Option<&CredentialType>) -> Self {
        let mut members = members.clone();
        for own in COPY_SPECIFIC {
            members.remove(own);
        }
        known.iter().for_each(|known| sort_serials(&mut members, known));
        let mut commitments = BTreeMap::new();
        let mut take = |claims: &mut Map<String, Value>| {
            claims.retain(|name, value| {
                let array = value.as_array().filter(|_| known.is_some_and(|known| known.is_commitments(name)));
                array.is_none_or(|array| {
                    commitments.insert(name.clone(), array.len());
                    false
                })
            });
        };
        match members.get_mut("credentialSubject").and_then(Value::as_object_mut) {
            Some(subject) => {
                subject.remove("id");
                take(subject);
            }
            // An SD-JWT VC has its claims at the top level.
            None => take(&mut members),
        }
        Self { members, commitments }
    }
}

/// Sorts the voucher serials, whose order differs from copy to copy.
fn sort_serials(members: &mut Map<String, Value>, known: &CredentialType) {
    let Some(serials) = &known.serials else { return };
    let subject = match members.get_mut("credentialSubject").and_then(Value::as_object_mut) {
        Some(subject) => subject.get_mut(&serials.claim),
        None => members.get_mut(&serials.claim),
    };
    if let Some(items) = subject.and_then(Value::as_array_mut) {
        items.sort_by(|one, other| one.as_str().cmp(&other.as_str()));
    }
}

/// Checks that the copy is bound to exactly the key generated for it, and has no identifier of its own, which would
/// link the copies of one person.
fn check_holder_binding(
    opened: &OpenedCopy,
    seen: &verify::VerifiedCredential,
    key: &PublicKey,
) -> Result<(), Problem> {
    let other = || Problem::new(Code::HolderMismatch, "the copy is bound to a key other than yours");
    let did = Did::did_jwk(key);
    if let Some(token) = &opened.token
        && token.holder_key()?.ok_or_else(other)? != *key
    {
        return Err(other());
    }
    check_identifiers(&opened.members, seen.format, &did)?;
    let mut subjects = seen.credential.subject_ids();
    // An SD-JWT VC has no subject id; the W3C formats have exactly that of the copy.
    match (seen.format, subjects.next(), subjects.next()) {
        (CredentialFormat::DcSdJwt, None, None) => Ok(()),
        (_, Some(subject), None) if subject == did.as_str() => Ok(()),
        _ => Err(other()),
    }
}

/// Refuses a JWS header with parameters other than `alg`, `kid` and `typ`: others could mark a copy.
fn check_header(token: &Jws) -> Result<(), Problem> {
    const KNOWN: [&str; 3] = ["alg", "kid", "typ"];
    if token.header().keys().all(|name| KNOWN.contains(&name.as_str())) {
        return Ok(());
    }
    Err(Problem::new(Code::MalformedValue, "the header has more than the signature needs"))
}

/// Refuses the top-level members `id` and, in an SD-JWT, `proof`, and a `sub` other than the copy's key as did:jwk:
/// they could mark a copy. The schemas of built-in types refuse them too, but those of other types may not.
fn check_identifiers(members: &Map<String, Value>, format: CredentialFormat, did: &Did) -> Result<(), Problem> {
    if members.get("sub").is_some_and(|sub| sub.as_str() != Some(did.as_str())) {
        return Err(Problem::new(Code::HolderMismatch, "sub is not the copy's own key"));
    }
    // A Data Integrity credential has its signature in `proof`; an SD-JWT must not have that member.
    let forbidden = |name: &&&str| members.contains_key(**name) && (**name != "proof" || format.is_sd_jwt());
    match ["id", "proof"].iter().find(forbidden) {
        Some(name) => Err(Problem::new(Code::ClaimForbidden, format!("the copy has a {name} of its own"))),
        None => Ok(()),
    }
}

/// Refuses `iat`, and dates other than the start of a day (spec/credential-types.md 3.1): times to the second would let
/// everybody recognise one person's copies. The `validFrom` and `validUntil` of an SD-JWT VC are claims and not
/// checked.
fn check_timestamps(members: &Map<String, Value>, format: CredentialFormat) -> Result<(), Problem> {
    let fine =
        |name: &str| Problem::new(Code::MalformedValue, format!("{name} of the copy is not the beginning of a day"));
    if members.contains_key("iat") {
        return Err(Problem::new(Code::MalformedValue, "the copy states when it was signed"));
    }
    for name in ["nbf", "exp"] {
        let whole = |at: i64| Timestamp::from_unix(at).start_of_day().unix() == at;
        if members.get(name).is_some_and(|at| !at.as_i64().is_some_and(whole)) {
            return Err(fine(name));
        }
    }
    // In an SD-JWT VC these are claims, as the type defines them.
    if format == CredentialFormat::DcSdJwt {
        return Ok(());
    }
    for name in ["validFrom", "validUntil"] {
        let Some(at) = members.get(name) else { continue };
        // Only one spelling is accepted: an offset or a fraction would tell copies apart as well as a second does.
        let text = at.as_str().unwrap_or_default();
        if Timestamp::parse(text)?.start_of_day().to_string() != text {
            return Err(fine(name));
        }
    }
    Ok(())
}

/// Refuses a malformed status reference, one with unknown members, and status entries in another order than revocation,
/// suspension, message: all could mark a copy.
fn check_status(members: &Map<String, Value>, format: CredentialFormat) -> Result<(), Problem> {
    let more = || Problem::new(Code::MalformedValue, "the copy's status has more than its index and lists");
    for name in ["credentialStatus", "status"] {
        if members.get(name).is_some_and(|status| !is_status_reference(name, status, format)) {
            return Err(more());
        }
    }
    let entries = members.get("credentialStatus").and_then(Value::as_array);
    let ranks = entries.into_iter().flatten().map(|entry| {
        let purpose = entry.get("statusPurpose").and_then(Value::as_str);
        PURPOSES.iter().position(|known| purpose == Some(*known)).ok_or_else(more)
    });
    let ranks = ranks.collect::<Result<Vec<_>, _>>()?;
    if ranks.is_sorted_by(|one, next| one < next) { Ok(()) } else { Err(more()) }
}

/// Returns the supported Data Integrity cryptosuites. Those over RDF are included if this build has the feature
/// `jsonld`, with the pinned JSON-LD contexts of the catalogue.
///
/// # Errors
/// `invalid_unicode`, and those of the cryptosuites over RDF.
#[cfg_attr(not(feature = "jsonld"), allow(clippy::unnecessary_wraps))]
pub fn supported_suites(_catalogue: &Catalogue) -> Result<Cryptosuites, Problem> {
    let suites = Cryptosuites::jcs();
    #[cfg(feature = "jsonld")]
    let suites = carnet_jsonld::register_suites(suites, _catalogue.contexts()?)?;
    Ok(suites)
}

#[cfg(test)]
mod tests;
