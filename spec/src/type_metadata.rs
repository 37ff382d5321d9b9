//! SD-JWT VC type metadata (SD-JWT VC section 6). Carnet's issuers publish it; wallets and verifiers do not fetch it.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use carnet_core::secure::sd_jwt::{ClaimPath, Step};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::CredentialType;

/// Type metadata document, which an issuer publishes at the URL in `vct`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TypeMetadata {
    /// `vct` of the type.
    pub vct: String,
    /// Name of the type for developers, in English.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Description of the type for developers, in English.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Names for people, by language.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub display: Vec<TypeDisplay>,
    /// Selectively disclosable claims.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub claims: Vec<ClaimMetadata>,
}

/// Display name of a type in one language.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TypeDisplay {
    /// Language tag (BCP 47).
    pub locale: String,
    /// Display name of the type.
    pub name: String,
    /// One-line description for readers who do not know the type.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
}

/// Claim of a type (`claims`).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ClaimMetadata {
    /// Claims path pointer: names, `null` for all elements, and indexes.
    pub path: Vec<Value>,
    /// Labels for people, by language.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub display: Vec<ClaimDisplayMetadata>,
    /// Selective disclosure of the claim.
    pub sd: SelectiveDisclosure,
}

/// Label of a claim in one language.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClaimDisplayMetadata {
    /// Language tag (BCP 47).
    pub locale: String,
    /// Label of the claim.
    pub label: String,
    /// One-line description for readers who do not know the claim.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
}

/// Selective disclosure of a claim.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SelectiveDisclosure {
    /// Always selectively disclosable.
    Always,
    /// Selectively disclosable or not, at the issuer's choice.
    Allowed,
    /// Never selectively disclosable.
    Never,
}

impl TypeMetadata {
    /// Serialises the document. Its digest is computed from exactly these bytes.
    #[must_use]
    pub fn to_json(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }
}

/// Returns the value of `vct#integrity` for a document (W3C Subresource Integrity).
#[must_use]
pub fn integrity_value(document: &[u8]) -> String {
    format!("sha256-{}", STANDARD.encode(Sha256::digest(document)))
}

impl CredentialType {
    /// Returns the type's metadata. Its bytes are determined by the catalogue, so that everybody can reproduce them.
    #[must_use]
    pub fn type_metadata(&self) -> TypeMetadata {
        let english = self.display_texts("en");
        let display = self.languages().map(|language| {
            let words = self.display_texts(language);
            let description = Some(words.description.clone());
            TypeDisplay { locale: language.to_owned(), name: words.name.clone(), description }
        });
        let claim = |path: &ClaimPath| {
            let name = dotted_claim_name(path);
            let label = |language: &str| {
                let words = self.display_texts(language);
                let name = name.as_deref()?;
                Some(ClaimDisplayMetadata {
                    locale: language.to_owned(),
                    label: words.claim_label(name)?.to_owned(),
                    description: words.claim_description(name).map(str::to_owned),
                })
            };
            ClaimMetadata {
                path: claims_path_pointer(path),
                display: self.languages().filter_map(label).collect(),
                sd: SelectiveDisclosure::Always,
            }
        };
        TypeMetadata {
            vct: self.vct.clone(),
            name: Some(english.name.clone()),
            description: Some(english.description.clone()),
            display: display.collect(),
            claims: self.disclosable_in_sd_jwt_vc().iter().map(claim).collect(),
        }
    }
}

/// Returns the dotted name of a claim below the subject; `None` for the elements of an array, which have none.
#[must_use]
pub fn dotted_claim_name(path: &ClaimPath) -> Option<String> {
    if !matches!(path.last(), Some(Step::Name(_))) {
        return None;
    }
    let names: Vec<&str> = path
        .iter()
        .filter_map(|step| match step {
            Step::Name(name) => Some(name.as_str()),
            Step::Index(_) | Step::All => None,
        })
        .collect();
    let text = names.join(".");
    Some(text.strip_prefix("credentialSubject.").map(str::to_owned).unwrap_or(text))
}

/// Converts a path to a claims path pointer (OpenID4VCI 1.0 appendix C).
#[must_use]
pub fn claims_path_pointer(path: &ClaimPath) -> Vec<Value> {
    let step = |step: &Step| match step {
        Step::Name(name) => json!(name),
        Step::Index(index) => json!(index),
        Step::All => Value::Null,
    };
    path.iter().map(step).collect()
}

/// Returns whether a document matches a value of `vct#integrity`. Only SHA-256 is supported.
#[must_use]
pub fn matches_integrity(document: &[u8], expected: &str) -> bool {
    integrity_value(document) == expected
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Catalogue;

    #[test]
    fn paths_have_names_and_pointers() {
        let name = |text: &str| Step::Name(text.to_owned());
        let path = vec![name("credentialSubject"), name("outcomes"), Step::All, name("title")];
        assert_eq!(dotted_claim_name(&path).as_deref(), Some("outcomes.title"));
        assert_eq!(
            claims_path_pointer(&path),
            [json!("credentialSubject"), json!("outcomes"), Value::Null, json!("title")]
        );
        assert_eq!(dotted_claim_name(&vec![name("outcomes"), Step::All]), None);
    }

    #[test]
    fn every_type_of_the_catalogue_has_metadata_in_all_its_languages() {
        let catalogue = Catalogue::embedded().unwrap();
        for known in catalogue.types() {
            let metadata = known.type_metadata();
            assert_eq!(metadata.display.len(), known.languages().count());
            assert!(!metadata.claims.is_empty(), "{}", known.name);
            let top = |claim: &ClaimMetadata| claim.path.len() == 1;
            let unnamed = metadata.claims.iter().filter(|claim| top(claim) && claim.display.is_empty());
            assert_eq!(unnamed.count(), 0, "{}", known.name);
        }
    }

    #[test]
    fn integrity_is_that_of_the_bytes() {
        // SHA-256 of the empty text.
        assert_eq!(integrity_value(b""), "sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=");
        let metadata = TypeMetadata {
            vct: "https://uni.example/types/a".to_owned(),
            name: Some("A".to_owned()),
            description: None,
            display: vec![TypeDisplay { locale: "en".to_owned(), name: "A".to_owned(), description: None }],
            claims: vec![ClaimMetadata {
                path: vec![json!("a"), Value::Null],
                display: Vec::new(),
                sd: SelectiveDisclosure::Always,
            }],
        };
        let document = metadata.to_json();
        assert_eq!(serde_json::from_str::<TypeMetadata>(&document).unwrap(), metadata);
        assert!(document.contains(r#""path":["a",null],"sd":"always""#), "{document}");
        let pinned = integrity_value(document.as_bytes());
        assert!(matches_integrity(document.as_bytes(), &pinned));
        assert!(!matches_integrity(document.replace("\"A\"", "\"B\"").as_bytes(), &pinned));
        assert!(!matches_integrity(document.as_bytes(), &pinned.replace("sha256-", "sha384-")));
        assert!(!matches_integrity(document.as_bytes(), ""));
    }
}
