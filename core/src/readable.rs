//! Readable claims: everything that a verifier can read in a credential, except its metadata.
//!
//! A claim counts as readable whether the holder disclosed it or the issuer left it in the clear. Metadata are, by the
//! default profile of spec/credential-types.md 2.6, issuer, type, validity, status and the holder's key, each in its
//! standard form. Any other member counts as a claim, also inside metadata, such as a name beside the issuer's id.

use serde_json::{Map, Value};

pub use crate::metadata::is_integrity_metadata;
use crate::{
    format::CredentialFormat,
    metadata::{PathMember, is_metadata},
    secure::sd_jwt::{ClaimPath, Step},
};

const SUBJECT: &str = "credentialSubject";
const PROOF: &str = "proof";

impl<'a> From<&'a Step> for PathMember<'a> {
    fn from(step: &'a Step) -> Self {
        match step {
            Step::Name(name) => Self::Name(name),
            Step::Index(_) | Step::All => Self::Element,
        }
    }
}

/// Returns the paths of the claims of a credential without selective disclosure: the members of each subject except
/// `id`, and outside the subject each value without parts that is not metadata. The proof is left out.
#[must_use]
pub fn paths_without_selective_disclosure(format: CredentialFormat, payload: &Map<String, Value>) -> Vec<ClaimPath> {
    let mut claims = Vec::new();
    for (name, value) in payload.iter().filter(|(name, _)| *name != PROOF) {
        let at = vec![Step::Name(name.clone())];
        match value {
            Value::Object(subject) if name == SUBJECT => members(&at, subject, &mut claims),
            Value::Array(subjects) if name == SUBJECT => {
                for (index, subject) in subjects.iter().enumerate() {
                    let at = below(&at, Step::Index(index));
                    match subject {
                        Value::Object(subject) => members(&at, subject, &mut claims),
                        _ => claims.push(at),
                    }
                }
            }
            _ => leaves(format, at, value, &mut claims),
        }
    }
    claims
}

fn members(at: &[Step], subject: &Map<String, Value>, claims: &mut Vec<ClaimPath>) {
    let names = subject.keys().filter(|name| name.as_str() != "id");
    claims.extend(names.map(|name| below(at, Step::Name(name.clone()))));
}

/// Appends the paths of the values without parts that are not metadata.
fn leaves(format: CredentialFormat, at: ClaimPath, value: &Value, claims: &mut Vec<ClaimPath>) {
    match value {
        Value::Object(members) if !members.is_empty() => {
            for (name, value) in members {
                leaves(format, below(&at, Step::Name(name.clone())), value, claims);
            }
        }
        Value::Array(items) if !items.is_empty() => {
            for (index, value) in items.iter().enumerate() {
                leaves(format, below(&at, Step::Index(index)), value, claims);
            }
        }
        _ if is_metadata_at(format, &at, value) => {}
        _ => claims.push(at),
    }
}

/// Returns whether a leaf value at this path is metadata in this format.
pub(crate) fn is_metadata_at(format: CredentialFormat, path: &[Step], value: &Value) -> bool {
    is_metadata(Some(format), path.iter().map(PathMember::from), value)
}

fn below(path: &[Step], step: Step) -> ClaimPath {
    path.iter().cloned().chain([step]).collect()
}

#[cfg(test)]
mod tests {
    use base64::{Engine as _, engine::general_purpose::STANDARD};
    use serde_json::json;

    use super::*;
    use crate::{metadata::INTEGRITY, query::path_to_text};

    fn listed(format: CredentialFormat, payload: &Value) -> Vec<String> {
        let mut listed: Vec<String> = paths_without_selective_disclosure(format, payload.as_object().unwrap())
            .iter()
            .map(|path| path_to_text(path))
            .collect();
        listed.sort_unstable();
        listed
    }

    #[test]
    fn a_credential_that_is_shown_whole_shows_all_but_its_metadata() {
        let mut payload = json!({
            "@context": ["https://www.w3.org/ns/credentials/v2"], "type": ["VerifiableCredential", "Permit"],
            "issuer": {"id": "did:web:a.example"}, "validFrom": "2026-01-01T00:00:00Z",
            "validUntil": "2027-01-01T00:00:00Z", "proof": {"type": "DataIntegrityProof"},
            "credentialStatus": [{"type": "BitstringStatusListEntry", "statusListIndex": "7"}],
            "credentialSubject": {"id": "did:jwk:x", "name": "A", "place": {"country": "PT"}},
        });
        let subject = ["credentialSubject.name", "credentialSubject.place"];
        assert_eq!(listed(CredentialFormat::DiVcJcs, &payload), subject);
        payload["issuer"]["name"] = json!("University");
        payload["credentialStatus"][0]["owner"] = json!("urn:uuid:6c3b");
        payload["evidence"] = json!([{"note": "urn:uuid:6c3b"}]);
        payload["cnf"] = json!({"jwk": {"x": "AA"}});
        let all = ["cnf.jwk.x", "credentialStatus[0].owner", subject[0], subject[1], "evidence[0].note", "issuer.name"];
        assert_eq!(listed(CredentialFormat::DiVcJcs, &payload), all);
    }

    #[test]
    fn a_digest_of_the_type_counts_as_metadata_in_the_form_of_subresource_integrity_alone() {
        let digest = |name: &str, bytes: usize| format!("{name}-{}", STANDARD.encode(vec![7; bytes]));
        let shown = |text: Value| listed(CredentialFormat::DcSdJwt, &json!({"vct": "urn:a", INTEGRITY: text}));
        for (name, bytes) in [("sha256", 32), ("sha384", 48), ("sha512", 64)] {
            let good = digest(name, bytes);
            assert!(shown(json!(good)).is_empty(), "{good}");
            for text in [
                digest(name, bytes - 1),
                digest(name, bytes + 1),
                digest("md5", bytes),
                good.to_uppercase(),
                good.trim_end_matches('=').to_owned() + "-",
                format!("{good} {good}"),
                format!("{good}?of=ada"),
                format!(" {good}"),
                STANDARD.encode(vec![7; bytes]),
            ] {
                assert_eq!(shown(json!(text)), [INTEGRITY], "{text}");
            }
        }
        for text in [json!("sha256-x"), json!(""), json!(7), json!(null)] {
            assert_eq!(shown(text.clone()), [INTEGRITY], "{text}");
        }
    }

    #[test]
    fn each_subject_of_several_is_listed() {
        let payload = json!({"credentialSubject": [{"id": "did:jwk:x", "name": "A"}, "did:jwk:y", {"name": "B"}]});
        let all = ["credentialSubject[0].name", "credentialSubject[1]", "credentialSubject[2].name"];
        assert_eq!(listed(CredentialFormat::LdpVc, &payload), all);
    }
}
