//! Unguessable identifiers.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use carnet_core::Rng;

/// Id of a request: 128 random bits in base64url. Anyone who knows it may fetch and answer the request.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct RequestId(String);

impl RequestId {
    /// Generates an id. It never begins with a hyphen.
    pub(crate) fn generate(rng: Rng<'_>) -> Self {
        loop {
            let mut bytes = [0; 16];
            rng.fill_bytes(&mut bytes);
            let text = URL_SAFE_NO_PAD.encode(bytes);
            // On a command line, an id with a leading hyphen would be taken for an option.
            if !text.starts_with('-') {
                return Self(text);
            }
        }
    }

    /// Parses an id; `None` if it is malformed. Callers handle it like an unknown id.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
        (bytes.len() == 16).then(|| Self(text.to_owned()))
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

/// Generates a nonce: 256 random bits in base64url.
pub(crate) fn generate_nonce(rng: Rng<'_>) -> String {
    let mut bytes = [0; 32];
    rng.fill_bytes(&mut bytes);
    URL_SAFE_NO_PAD.encode(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_of_one_form() {
        let id = RequestId::generate(&mut rand_core::OsRng);
        assert_eq!(id.as_str().len(), 22);
        assert!(RequestId::parse(id.as_str()).is_some());
        for text in ["", "..", "a b", "AAAAAAAAAAAAAAAAAAAAA", "AAAAAAAAAAAAAAAAAAAAAAA", "' OR 1=1 --"] {
            assert!(RequestId::parse(text).is_none(), "{text}");
        }
    }
}
