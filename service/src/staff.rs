//! Staff identity: a bearer token, made at init, stored hashed, shown once.

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use carnet_core::Rng;
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;
use tonic::{Code, Request, Status};
use zeroize::Zeroizing;

use crate::wire;

const PREFIX: &str = "carnet_staff_";

/// Draws a token: `carnet_staff_` and base64url of 32 bytes.
pub fn generate(rng: Rng<'_>) -> Zeroizing<String> {
    let mut bytes = Zeroizing::new([0_u8; 32]);
    rng.fill_bytes(bytes.as_mut_slice());
    // Reserved at once, so that no half-written copy is left behind by growth.
    let mut token = Zeroizing::new(String::with_capacity(64));
    token.push_str(PREFIX);
    BASE64_URL_SAFE_NO_PAD.encode_string(bytes.as_slice(), &mut token);
    token
}

/// SHA-256 of a token, as it is stored (the token has 256 bits of entropy, so that no slow hash is needed).
#[must_use]
pub fn hash(token: &str) -> [u8; 32] {
    Sha256::digest(token.as_bytes()).into()
}

/// A tonic interceptor that lets a call pass only with the right token; compares in constant time.
#[derive(Clone)]
pub struct StaffOnly {
    hash: [u8; 32],
}

impl StaffOnly {
    /// Made from the stored hash.
    #[must_use]
    pub fn new(hash: [u8; 32]) -> Self {
        Self { hash }
    }
}

impl std::fmt::Debug for StaffOnly {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("StaffOnly(redacted)")
    }
}

impl tonic::service::Interceptor for StaffOnly {
    /// Errors: UNAUTHENTICATED with reason TOKEN_MISSING or STAFF_TOKEN_INVALID.
    fn call(&mut self, request: Request<()>) -> Result<Request<()>, Status> {
        let right: bool = hash(bearer(&request)?).ct_eq(&self.hash).into();
        if right {
            return Ok(request);
        }
        Err(wire::status(
            Code::Unauthenticated,
            "STAFF_TOKEN_INVALID",
            "The staff token is not the one of this service. Nothing was changed. Use the token that `init` showed.",
        ))
    }
}

/// The bearer token of a call (metadata `authorization: Bearer <token>`, RFC 6750).
///
/// # Errors
/// UNAUTHENTICATED with reason TOKEN_MISSING if there is none, more than one, or one in another form.
pub fn bearer<T>(request: &Request<T>) -> Result<&str, Status> {
    let missing = || {
        wire::status(
            Code::Unauthenticated,
            "TOKEN_MISSING",
            "This call needs one `authorization: Bearer <token>` in its metadata. Nothing was changed.",
        )
    };
    let mut values = request.metadata().get_all("authorization").iter();
    let (Some(value), None) = (values.next(), values.next()) else { return Err(missing()) };
    let text = value.to_str().map_err(|_| missing())?;
    match text.split_once(' ') {
        Some((scheme, token)) if scheme.eq_ignore_ascii_case("bearer") && !token.is_empty() && !token.contains(' ') => {
            Ok(token)
        }
        _ => Err(missing()),
    }
}

#[cfg(test)]
mod tests {
    use tonic::service::Interceptor as _;

    use super::*;

    fn call(hash: [u8; 32], headers: &[&str]) -> Result<(), Option<String>> {
        let mut request = Request::new(());
        for header in headers {
            request.metadata_mut().append("authorization", header.parse().unwrap());
        }
        StaffOnly::new(hash).call(request).map(|_| ()).map_err(|status| {
            assert_eq!(status.code(), Code::Unauthenticated);
            wire::reason(&status)
        })
    }

    #[test]
    fn only_the_right_token_passes() {
        let token = generate(&mut rand_core::OsRng);
        assert_eq!(token.len(), PREFIX.len() + 43);
        assert_ne!(*token, *generate(&mut rand_core::OsRng));
        let right = format!("Bearer {}", *token);
        assert_eq!(call(hash(&token), &[&right]), Ok(()));
        assert_eq!(call(hash(&token), &[&right.replacen("Bearer", "bearer", 1)]), Ok(()));
        let invalid = Err(Some("STAFF_TOKEN_INVALID".to_owned()));
        assert_eq!(call(hash(&generate(&mut rand_core::OsRng)), &[&right]), invalid);
        assert_eq!(call(hash(&token), &["Bearer carnet_staff_"]), invalid);
    }

    #[test]
    fn a_missing_or_odd_token_is_refused() {
        let missing = Err(Some("TOKEN_MISSING".to_owned()));
        let token = generate(&mut rand_core::OsRng);
        let right = format!("Bearer {}", *token);
        for headers in [vec![], vec!["Bearer "], vec!["Basic eDp5"], vec![token.as_str()], vec![&right, &right]] {
            assert_eq!(call(hash(&token), &headers), missing, "{}", headers.len());
        }
    }
}
