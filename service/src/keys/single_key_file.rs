//! Key file of older versions, `key.json`, with one key in plain text. It is only read; only tests write it.
//!
//! The file is a private JWK (RFC 7517; RFC 8037 for Ed25519, RFC 7518 section 6.2 for P-256).

use std::{
    fs::File,
    io::{ErrorKind, Read as _},
    path::Path,
};

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use carnet_core::keys::{PublicKey, SecretKey, SignatureAlgorithm, Signer as _};
use serde::Deserialize;
use serde_json::Value;
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

use crate::config::StartError;

pub(super) const SINGLE_KEY_FILE: &str = "key.json";
/// Maximum number of bytes that are read; far more than a private JWK has.
const MAX_BYTES: u64 = 4096;

#[derive(Deserialize, Zeroize, ZeroizeOnDrop)]
#[serde(deny_unknown_fields)]
struct PrivateJwk {
    kty: String,
    crv: String,
    x: String,
    y: Option<String>,
    d: String,
}

/// Writes `DIR/key.json`, as `init` did.
#[cfg(test)]
pub(super) fn create(data: &Path, algorithm: SignatureAlgorithm) -> SecretKey {
    let key = SecretKey::generate(algorithm, &mut rand_core::OsRng);
    crate::disk::write_new(&data.join(SINGLE_KEY_FILE), render(&key).as_bytes(), 0o600).unwrap();
    key
}

/// Loads `DIR/key.json`.
///
/// # Errors
/// The file is missing, accessible to other users, or damaged, or its key is of another type than Ed25519 or P-256.
pub(super) fn load(data: &Path) -> Result<SecretKey, StartError> {
    let path = data.join(SINGLE_KEY_FILE);
    let unreadable = |error: std::io::Error| {
        let hint = if error.kind() == ErrorKind::NotFound {
            "Run `init` with this data directory first, or check the path."
        } else {
            "Check that this user may read the file."
        };
        StartError::new(format!("The key {} cannot be read: {error}. Nothing was changed.", path.display()), hint)
    };
    let file = File::open(&path).map_err(unreadable)?;
    #[cfg(unix)]
    {
        let metadata = file.metadata().map_err(unreadable)?;
        if std::os::unix::fs::MetadataExt::mode(&metadata) & 0o077 != 0 {
            return Err(StartError::new(
                format!("The key {} can be read or written by other users, so it was not used.", path.display()),
                format!(
                    "Make sure that nobody else has read it, then run `chmod 600 {}`. If someone may have, make a \
                     new key.",
                    path.display()
                ),
            ));
        }
    }
    let mut text = Zeroizing::new(Vec::with_capacity(MAX_BYTES as usize));
    file.take(MAX_BYTES).read_to_end(&mut text).map_err(unreadable)?;
    parse(&text).ok_or_else(|| {
        StartError::new(
            format!("The key {} is damaged, or of a kind that is not accepted. Nothing was changed.", path.display()),
            "Restore the file from a backup. Credentials signed with this key remain valid.",
        )
    })
}

#[cfg(test)]
fn render(key: &SecretKey) -> Zeroizing<String> {
    let jwk = key.public_key().to_jwk();
    // Reserved at once, so that no half-written copy of the secret is left behind by growth.
    let mut text = Zeroizing::new(String::with_capacity(512));
    text.push('{');
    for (name, value) in &jwk {
        // The values of a public JWK are names and base64url: nothing in them needs escaping.
        for part in ["\"", name.as_str(), "\":\"", value.as_str().unwrap_or_default(), "\","] {
            text.push_str(part);
        }
    }
    text.push_str("\"d\":\"");
    BASE64_URL_SAFE_NO_PAD.encode_string(key.to_bytes().as_slice(), &mut text);
    text.push_str("\"}\n");
    text
}

fn parse(text: &[u8]) -> Option<SecretKey> {
    // The parser's own error is dropped: it could quote its input.
    let jwk: PrivateJwk = serde_json::from_slice(text).ok()?;
    let algorithm = match (jwk.kty.as_str(), jwk.crv.as_str()) {
        ("OKP", "Ed25519") => SignatureAlgorithm::EdDsa,
        ("EC", "P-256") => SignatureAlgorithm::Es256,
        _ => return None,
    };
    let mut bytes = Zeroizing::new(Vec::with_capacity(64));
    BASE64_URL_SAFE_NO_PAD.decode_vec(&jwk.d, &mut bytes).ok()?;
    let key = SecretKey::from_bytes(algorithm, &bytes).ok()?;
    let mut public = serde_json::Map::new();
    for (name, value) in [("kty", Some(&jwk.kty)), ("crv", Some(&jwk.crv)), ("x", Some(&jwk.x)), ("y", jwk.y.as_ref())]
    {
        if let Some(value) = value {
            public.insert(name.to_owned(), Value::String(value.clone()));
        }
    }
    // A secret key that does not match the public key was damaged or swapped: no signature would verify.
    (PublicKey::from_jwk(&Value::Object(public)).ok()? == key.public_key()).then_some(key)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_comes_back() {
        for algorithm in [SignatureAlgorithm::EdDsa, SignatureAlgorithm::Es256] {
            let dir = tempfile::tempdir().unwrap();
            assert!(load(dir.path()).unwrap_err().hint.contains("init"));
            let key = create(dir.path(), algorithm);
            assert_eq!(load(dir.path()).unwrap().public_key(), key.public_key());
        }
    }

    #[cfg(unix)]
    #[test]
    fn the_file_is_for_its_owner_only() {
        use std::os::unix::fs::PermissionsExt as _;
        let dir = tempfile::tempdir().unwrap();
        create(dir.path(), SignatureAlgorithm::EdDsa);
        let path = dir.path().join(SINGLE_KEY_FILE);
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o640)).unwrap();
        assert!(load(dir.path()).unwrap_err().hint.contains("chmod 600"));
    }

    #[test]
    fn a_damaged_file_is_refused_and_not_quoted() {
        let dir = tempfile::tempdir().unwrap();
        create(dir.path(), SignatureAlgorithm::EdDsa);
        let path = dir.path().join(SINGLE_KEY_FILE);
        let good = std::fs::read_to_string(&path).unwrap();
        let other = {
            let key = SecretKey::generate(SignatureAlgorithm::EdDsa, &mut rand_core::OsRng);
            render(&key).to_string()
        };
        let secret = good.split("\"d\":\"").nth(1).unwrap().trim_end_matches("\"}\n").to_owned();
        let swapped = other.replace(other.split("\"d\":\"").nth(1).unwrap(), &format!("{secret}\"}}\n"));
        for text in [
            "",
            "{}",
            &good[..good.len() / 2],
            &swapped,
            &good.replace("Ed25519", "X25519"),
            &good.replace("\"d\"", "\"k\""),
        ] {
            std::fs::write(&path, text).unwrap();
            let error = load(dir.path()).unwrap_err().to_string();
            assert!(error.contains("damaged") && !error.contains(&secret), "{error}");
        }
        std::fs::write(&path, good).unwrap();
        load(dir.path()).unwrap();
    }
}
