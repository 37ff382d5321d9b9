//! Metadata of a credential: the members that are no claims, each in its standard form (spec/credential-types.md 2.6).

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::Value;

use crate::format::CredentialFormat;

const SUBJECT: &str = "credentialSubject";
pub(crate) const INTEGRITY: &str = "vct#integrity";

/// Members of an entry of `credentialStatus` (Bitstring Status List 1.0 section 2.1).
const STATUS_ENTRY: [&str; 8] = [
    "id",
    "type",
    "statusPurpose",
    "statusListIndex",
    "statusListCredential",
    "statusSize",
    "statusMessage",
    "statusReference",
];

/// Step of a path, where all elements of an array are alike.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum PathMember<'a> {
    Name(&'a str),
    Element,
}

/// Maximum length of a metadata path: `credentialStatus[0].statusMessage[0].status`.
const MAX_METADATA_STEPS: usize = 5;

/// Returns whether a leaf value at this path is metadata. `None`: a JWT of unknown format, for which the members of
/// SD-JWT and of the W3C data model count.
pub(crate) fn is_metadata<'a>(
    format: Option<CredentialFormat>,
    path: impl ExactSizeIterator<Item = PathMember<'a>>,
    value: &Value,
) -> bool {
    use PathMember::{Element, Name};
    let length = path.len();
    let mut steps = [Element; MAX_METADATA_STEPS];
    steps.iter_mut().zip(path).for_each(|(slot, step)| *slot = step);
    let Some(steps) = steps.get(..length) else { return false };
    let is_jwt = format.is_none_or(CredentialFormat::is_sd_jwt);
    match steps {
        [Name("iss" | "iat" | "nbf" | "exp" | "_sd_alg")] => is_jwt,
        [Name("cnf"), Name("jwk"), Name("kty" | "crv" | "x" | "y")] => is_jwt,
        [Name("status"), Name("status_list"), Name("idx" | "uri")] => true,
        [Name("vct")] => format == Some(CredentialFormat::DcSdJwt),
        [Name(INTEGRITY)] => format == Some(CredentialFormat::DcSdJwt) && is_integrity_metadata(value),
        _ if format == Some(CredentialFormat::DcSdJwt) => false,
        [Name("@context" | "type" | "issuer" | "validFrom" | "validUntil" | SUBJECT)] => true,
        [Name("@context" | "type" | SUBJECT), Element] | [Name("issuer"), Name("id")] => true,
        [Name(SUBJECT), Name("id")] | [Name(SUBJECT), Element, Name("id")] => true,
        [Name("credentialStatus"), Element, entry @ ..] => is_status(entry),
        [Name("credentialStatus"), entry @ ..] => is_status(entry),
        _ => false,
    }
}

/// Returns whether the value is a single digest of Subresource Integrity (section 3.5): `sha256`, `sha384` or `sha512`,
/// a hyphen and the digest in base64. Lists of digests, and digests with options, are not accepted: they could carry
/// any data.
#[must_use]
pub fn is_integrity_metadata(value: &Value) -> bool {
    let Some((name, digest)) = value.as_str().and_then(|text| text.split_once('-')) else { return false };
    let bytes = match name {
        "sha256" => 32,
        "sha384" => 48,
        "sha512" => 64,
        _ => return false,
    };
    STANDARD.decode(digest).is_ok_and(|digest| digest.len() == bytes)
}

fn is_status(entry: &[PathMember<'_>]) -> bool {
    use PathMember::{Element, Name};
    match entry {
        [Name(name)] => STATUS_ENTRY.contains(name),
        [Name("statusMessage"), Element, Name("status" | "message")] => true,
        _ => false,
    }
}
