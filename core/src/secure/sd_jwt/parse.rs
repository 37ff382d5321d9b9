//! Parser for the compact form of SD-JWTs (RFC 9901 section 4).

use std::sync::OnceLock;

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::Value;
use sha2::{Digest as _, Sha256};
use zeroize::Zeroize as _;

use super::{DIGESTS, ELEMENT_DIGEST, SdJwt};
use crate::{
    Code, Problem,
    json::{self, Limits},
    secure::jose::{Jws, MAX_TOKEN_BYTES, decode_base64url},
};

/// Maximum length of a compact SD-JWT with its disclosures and key binding, in bytes.
const MAX_COMPACT: usize = MAX_TOKEN_BYTES.saturating_mul(2);

/// SHA-256 digest as text: 43 characters of base64url.
pub(super) type DigestText = [u8; 43];

/// Returns the SHA-256 digest of a text, encoded as in `_sd`, `...` and `sd_hash`.
pub(super) fn digest_text(text: &str) -> DigestText {
    let mut written = [0; 43];
    // 32 bytes make 43 characters, so this always fits; a failure would leave zeros, which match no digest.
    let _ = URL_SAFE_NO_PAD.encode_slice(Sha256::digest(text.as_bytes()), &mut written);
    written
}

/// Disclosure: a claim with its name, or an array element without a name.
#[derive(Clone)]
pub(super) struct Disclosure {
    pub(super) digest: DigestText,
    /// Salt from which a wallet derives its threshold proofs.
    pub(super) salt: String,
    pub(super) name: Option<String>,
    pub(super) value: Value,
}

impl Drop for Disclosure {
    /// Wipes the claim, and the salt of its thresholds.
    fn drop(&mut self) {
        self.salt.zeroize();
        crate::wipe(&mut self.value);
    }
}

impl Disclosure {
    fn parse(text: &str) -> Result<Self, Problem> {
        let malformed = |detail: &str| Problem::new(Code::DisclosureMalformed, detail);
        if text.is_empty() {
            return Err(malformed("a disclosure is empty"));
        }
        let Value::Array(parts) = json::parse(&decode_base64url(text, "disclosure")?, Limits::SMALL)? else {
            return Err(malformed("a disclosure is not an array"));
        };
        let mut parts = parts.into_iter();
        let (salt, name, value) = match (parts.next(), parts.next(), parts.next(), parts.next()) {
            (Some(salt), Some(value), None, None) => (salt, None, value),
            (Some(salt), Some(Value::String(name)), Some(value), None) => (salt, Some(name), value),
            (Some(_), Some(_), Some(_), None) => return Err(malformed("a disclosure's name is not a string")),
            _ => return Err(malformed("a disclosure has neither two nor three elements")),
        };
        let Value::String(salt) = salt else {
            return Err(malformed("a disclosure's salt is not a string"));
        };
        if name.as_deref().is_some_and(|name| name == DIGESTS || name == ELEMENT_DIGEST) {
            return Err(Code::DisclosureName.into());
        }
        Ok(Self { digest: digest_text(text), salt, name, value })
    }
}

impl SdJwt {
    /// Parses the compact form: `jwt~disclosure~...~`, optionally with a key-binding JWT after the last tilde.
    ///
    /// # Errors
    /// `too_large`, `token_malformed`, those of [`Jws::parse`] for both tokens, and for the disclosures
    /// `disclosure_malformed`, `disclosure_name`, `disclosure_duplicate`, `invalid_encoding` and those of
    /// [`json::parse`].
    pub fn parse(compact: &str) -> Result<Self, Problem> {
        if compact.len() > MAX_COMPACT {
            return Err(Code::TooLarge.into());
        }
        let (head, tail) = compact
            .rsplit_once('~')
            .ok_or_else(|| Problem::new(Code::TokenMalformed, "an SD-JWT has a tilde after each of its parts"))?;
        let mut parts = head.split('~');
        let jws = Jws::parse(parts.next().unwrap_or_default())?;
        let disclosures = parts.map(Disclosure::parse).collect::<Result<Vec<_>, _>>()?;
        let key_binding = if tail.is_empty() { None } else { Some(Jws::parse(tail)?) };
        let text = compact.strip_suffix(tail).unwrap_or(compact).to_owned();
        Self::from_parts(jws, text, disclosures, key_binding)
    }

    /// Assembles an SD-JWT; `text` is that of the issuer-signed JWT and the disclosures, with the last tilde.
    pub(super) fn from_parts(
        jws: Jws,
        text: String,
        disclosures: Vec<Disclosure>,
        key_binding: Option<Jws>,
    ) -> Result<Self, Problem> {
        let mut sorted: Vec<(&DigestText, usize)> = disclosures.iter().map(|d| &d.digest).zip(0..).collect();
        sorted.sort_unstable();
        let mut following = sorted.iter().skip(1);
        if sorted.iter().any(|(digest, _)| following.next().is_some_and(|(next, _)| next == digest)) {
            return Err(Problem::new(Code::DisclosureDuplicate, "a disclosure occurs twice"));
        }
        let by_digest = sorted.into_iter().map(|(_, at)| at).collect();
        Ok(Self { jws, text, disclosures, by_digest, key_binding, holder: OnceLock::new() })
    }
}
