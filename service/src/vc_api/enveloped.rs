//! Enveloped credentials and presentations: secured text in a `data:` URL (VCDM 2.0 sections 4.12 and 4.13.1).

use carnet_core::{credential::CONTEXT_V2, format::CredentialFormat};
use serde_json::{Map, Value, json};

use super::problem::VcApiError;

/// Kind of an envelope.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EnvelopedContent {
    /// `EnvelopedVerifiableCredential`.
    Credential,
    /// `EnvelopedVerifiablePresentation`.
    Presentation,
}

impl EnvelopedContent {
    /// Returns the name of the type.
    #[must_use]
    pub const fn type_name(self) -> &'static str {
        match self {
            Self::Credential => "EnvelopedVerifiableCredential",
            Self::Presentation => "EnvelopedVerifiablePresentation",
        }
    }

    /// Returns whether an object has this type, alone or in a list.
    #[must_use]
    pub fn is_type_of(self, object: &Map<String, Value>) -> bool {
        match object.get("type") {
            Some(Value::String(name)) => name == self.type_name(),
            Some(Value::Array(names)) => names.iter().any(|name| name == self.type_name()),
            _ => false,
        }
    }
}

/// Returns the media type and the secured text of an envelope.
///
/// # Errors
/// 400: a member besides `@context`, `id` and `type`, a first context other than that of VCDM 2.0, another type, or an
/// `id` that is no `data:` URL with a media type and text.
pub fn enveloped_text(object: &Map<String, Value>, content: EnvelopedContent) -> Result<(&str, &str), VcApiError> {
    let refused = |why: &str| VcApiError::malformed("MALFORMED_VALUE", content.type_name(), why);
    if object.keys().any(|name| !["@context", "id", "type"].contains(&name.as_str())) {
        return Err(refused("has a member besides @context, id and type"));
    }
    let first = match object.get("@context") {
        Some(Value::Array(contexts)) => contexts.first(),
        other => other,
    };
    if first.and_then(Value::as_str) != Some(CONTEXT_V2) {
        return Err(refused("lacks the context of VCDM 2.0"));
    }
    if !content.is_type_of(object) {
        return Err(refused("has another type"));
    }
    let url = object.get("id").and_then(Value::as_str).unwrap_or_default();
    match url.strip_prefix("data:").and_then(|rest| rest.split_once(',')) {
        Some((media_type, text)) if !media_type.is_empty() && !text.is_empty() => Ok((media_type, text)),
        _ => Err(refused("has no data: URL with a media type as its id")),
    }
}

/// Returns an SD-JWT as an `EnvelopedVerifiableCredential`.
#[must_use]
pub fn enveloped_credential(format: CredentialFormat, text: &str) -> Value {
    json!({
        "@context": CONTEXT_V2,
        "id": format!("data:application/{format},{text}"),
        "type": EnvelopedContent::Credential.type_name(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(object: &Value) -> Option<(String, String)> {
        let read = enveloped_text(object.as_object().unwrap(), EnvelopedContent::Credential).ok()?;
        Some((read.0.to_owned(), read.1.to_owned()))
    }

    #[test]
    fn an_envelope_is_read_as_it_was_written() {
        let good = enveloped_credential(CredentialFormat::VcSdJwt, "a.b.c~");
        assert_eq!(text(&good), Some(("application/vc+sd-jwt".to_owned(), "a.b.c~".to_owned())));
        let mut listed = good.clone();
        listed["type"] = json!(["EnvelopedVerifiableCredential"]);
        listed["@context"] = json!([CONTEXT_V2]);
        assert_eq!(text(&listed), text(&good));
        for (member, value) in [
            ("@context", json!("https://example.com")),
            ("@context", json!([])),
            ("type", json!("VerifiableCredential")),
            ("type", json!("EnvelopedVerifiablePresentation")),
            ("id", json!("https://example.com")),
            ("id", json!("data:,x")),
            ("id", json!("data:application/vc+sd-jwt,")),
            ("id", json!(null)),
            ("issuer", json!("did:example:1")),
        ] {
            let mut bad = good.clone();
            bad[member] = value;
            assert_eq!(text(&bad), None, "{bad}");
        }
    }
}
