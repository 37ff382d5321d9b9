//! SD-JWT VC type metadata (SD-JWT VC section 6). Nothing of Carnet fetches it to present or to verify.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest as _, Sha256};

/// Type metadata.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TypeMetadata {
    /// The type.
    pub vct: String,
    /// Name for developers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Description for developers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Names for people.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub display: Vec<TypeName>,
    /// Claims.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub claims: Vec<ClaimMetadata>,
}

/// Name of a type in one language.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TypeName {
    /// Language tag (BCP 47).
    pub locale: String,
    /// The name.
    pub name: String,
    /// One line for readers who do not know it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
}

/// Claim of a type.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ClaimMetadata {
    /// Claims path pointer: names, `null` for each element, and indexes.
    pub path: Vec<Value>,
    /// Names for people.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub display: Vec<ClaimLabel>,
    /// Selective disclosure.
    pub sd: SelectiveDisclosure,
}

/// Label of a claim in one language.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClaimLabel {
    /// Language tag (BCP 47).
    pub locale: String,
    /// The label.
    pub label: String,
    /// One line for readers who do not know it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
}

/// Selective disclosure of a claim.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SelectiveDisclosure {
    /// Always selectively disclosable.
    Always,
    /// At the issuer's choice.
    Allowed,
    /// Never.
    Never,
}

impl TypeMetadata {
    /// Writes the document, over whose bytes the integrity is computed.
    #[must_use]
    pub fn to_json(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }
}

/// Computes the value of `vct#integrity` over a document (W3C Subresource Integrity).
#[must_use]
pub fn integrity(document: &[u8]) -> String {
    format!("sha256-{}", STANDARD.encode(Sha256::digest(document)))
}

/// Tests a document against a value of `vct#integrity`. Another algorithm than SHA-256 never matches.
#[must_use]
pub fn is_intact(document: &[u8], expected: &str) -> bool {
    integrity(document) == expected
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn integrity_is_that_of_the_bytes() {
        // SHA-256 of the empty text.
        assert_eq!(integrity(b""), "sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=");
        let metadata = TypeMetadata {
            vct: "https://uni.example/types/a".to_owned(),
            name: Some("A".to_owned()),
            description: None,
            display: vec![TypeName { locale: "en".to_owned(), name: "A".to_owned(), description: None }],
            claims: vec![ClaimMetadata {
                path: vec![json!("a"), Value::Null],
                display: Vec::new(),
                sd: SelectiveDisclosure::Always,
            }],
        };
        let document = metadata.to_json();
        assert_eq!(serde_json::from_str::<TypeMetadata>(&document).unwrap(), metadata);
        assert!(document.contains(r#""path":["a",null],"sd":"always""#), "{document}");
        let pinned = integrity(document.as_bytes());
        assert!(is_intact(document.as_bytes(), &pinned));
        assert!(!is_intact(document.replace("\"A\"", "\"B\"").as_bytes(), &pinned));
        assert!(!is_intact(document.as_bytes(), &pinned.replace("sha256-", "sha384-")));
        assert!(!is_intact(document.as_bytes(), ""));
    }
}
