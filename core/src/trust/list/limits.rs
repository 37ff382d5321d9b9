//! Country and level of a credential, on which a trust decision depends (spec/trust.md 5.1).

use serde_json::{Map, Value};

use super::AccreditationQuestion;
use crate::{
    json,
    query::{VerifiedThreshold, values_at},
    secure::sd_jwt::{ClaimPath, Step},
    verify::VerifiedCredential,
};

/// Claims of a credential type to which an accreditation can be limited. Paths are from the root of the credential, and
/// do not pass through arrays.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct LimitingClaims {
    /// Paths of claims with the country (ISO 3166-1 alpha-2) under whose law the credential was issued.
    pub country: Vec<ClaimPath>,
    /// Paths of claims with a level of the European Qualifications Framework.
    pub level: Vec<ClaimPath>,
}

impl AccreditationQuestion {
    /// Creates the question whether the issuer of a credential was accredited for it: for its type, at its `validFrom`,
    /// with the disclosed country, and with the highest level that is disclosed or proved as a threshold. A country
    /// counts as unknown if it is ambiguous or malformed, and so does a malformed level.
    #[must_use]
    pub fn for_credential(held: &VerifiedCredential, claims: &LimitingClaims) -> Self {
        let issued = held.credential.valid_from();
        let asked = Self { issued_at: issued, ..Self::for_issuance(held.credential.issuer(), &held.type_name) };
        asked.with_claims(held.credential.document(), &held.proved_thresholds, claims)
    }

    /// Sets the country and the level from a document, whose claims are in `credentialSubject`, and from its proved
    /// thresholds.
    #[must_use]
    pub fn with_claims(
        self,
        document: &Map<String, Value>,
        proved: &[VerifiedThreshold],
        claims: &LimitingClaims,
    ) -> Self {
        Self { jurisdiction: country(document, claims), level: level(document, proved, claims), ..self }
    }
}

fn country(document: &Map<String, Value>, claims: &LimitingClaims) -> Option<String> {
    let mut shown = disclosed_values(document, &claims.country);
    let country = shown.next()?.as_str()?;
    shown.all(|other| other.as_str() == Some(country)).then(|| country.to_owned())
}

fn level(document: &Map<String, Value>, proved: &[VerifiedThreshold], claims: &LimitingClaims) -> Option<u8> {
    let relied = |path: &ClaimPath| claims.level.iter().any(|level| below_subject(level) == below_subject(path));
    let proved = proved.iter().filter(|proved| relied(&proved.path));
    let proved = proved.map(|proved| u64::from(proved.bound.number()));
    let shown =
        disclosed_values(document, &claims.level).map(|value| json::as_unsigned_integer(value).unwrap_or(u64::MAX));
    shown.chain(proved).max().and_then(|level| u8::try_from(level).ok())
}

fn disclosed_values<'a>(document: &'a Map<String, Value>, paths: &'a [ClaimPath]) -> impl Iterator<Item = &'a Value> {
    paths.iter().flat_map(move |path| values_at(document, path)).map(|(_, value)| value)
}

/// Removes a leading `credentialSubject`: in a `dc+sd-jwt`, the claims and their proofs are at the top level.
fn below_subject(path: &[Step]) -> &[Step] {
    match path {
        [Step::Name(subject), below @ ..] if subject == "credentialSubject" => below,
        all => all,
    }
}
