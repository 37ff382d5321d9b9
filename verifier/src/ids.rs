//! Names that cannot be guessed.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use carnet_core::Rng;

/// The id of a request: 128 random bits in base64url. Who knows it may read the request and answer it.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct RequestId(String);

impl RequestId {
    /// Draws a new one.
    pub(crate) fn draw(rng: Rng<'_>) -> Self {
        loop {
            let mut bytes = [0; 16];
            rng.fill_bytes(&mut bytes);
            let text = URL_SAFE_NO_PAD.encode(bytes);
            // An id that begins with a hyphen would be taken for an option where somebody types it.
            if !text.starts_with('-') {
                return Self(text);
            }
        }
    }

    /// Reads one; `None` for what cannot be an id, which is no more than an id that nobody has.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
        (bytes.len() == 16).then(|| Self(text.to_owned()))
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

/// A nonce: 256 random bits in base64url.
pub(crate) fn nonce(rng: Rng<'_>) -> String {
    let mut bytes = [0; 32];
    rng.fill_bytes(&mut bytes);
    URL_SAFE_NO_PAD.encode(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_of_one_form() {
        let id = RequestId::draw(&mut rand_core::OsRng);
        assert_eq!(id.as_str().len(), 22);
        assert!(RequestId::parse(id.as_str()).is_some());
        for text in ["", "..", "a b", "AAAAAAAAAAAAAAAAAAAAA", "AAAAAAAAAAAAAAAAAAAAAAA", "' OR 1=1 --"] {
            assert!(RequestId::parse(text).is_none(), "{text}");
        }
    }
}
