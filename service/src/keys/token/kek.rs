//! Key-encryption key in a PKCS#11 token: AES-256, generated in the token, which it never leaves. The keys that it
//! encrypts are in the register.

use cryptoki::{
    error::{Error, RvError},
    mechanism::{Mechanism, aead::GcmParams},
    object::{Attribute, KeyType, ObjectClass, ObjectHandle},
    session::Session,
};
use rand_core::{OsRng, RngCore as _};
use zeroize::Zeroizing;

use super::{KeysConfig, TokenAccess, TokenError, require_unextractable};
use crate::config::StartError;

const NONCE_BYTES: usize = 12;
const TAG_BITS: u64 = 128;
const KEY_BYTES: u64 = 32;

/// Creates the key, unless the token has one with this label.
///
/// # Errors
/// [`TokenError`]: the token has several, or one that is extractable; or the PIN cannot be read.
pub(in crate::keys) fn prepare(config: &KeysConfig, label: &str) -> Result<(), StartError> {
    let session = TokenAccess::from_config(config)?.open()?.open_session(true)?;
    match find_kek(&session, label) {
        Ok(_) => return Ok(()),
        Err(TokenError::NotOneKek(_, 0)) => {}
        Err(error) => return Err(error.into()),
    }
    let name = label.as_bytes().to_vec();
    let template = [
        Attribute::Class(ObjectClass::SECRET_KEY),
        Attribute::KeyType(KeyType::AES),
        Attribute::ValueLen(KEY_BYTES.into()),
        Attribute::Token(true),
        Attribute::Label(name.clone()),
        Attribute::Id(name),
        Attribute::Private(true),
        Attribute::Sensitive(true),
        Attribute::Extractable(false),
        Attribute::Encrypt(true),
        Attribute::Decrypt(true),
    ];
    let key = session.generate_key(&Mechanism::AesKeyGen, &template).map_err(TokenError::from)?;
    require_unextractable(&session, key).map_err(|error| {
        // Nobody will use this key.
        session.destroy_object(key).ok();
        error.into()
    })
}

/// Encrypts a secret with AES-256-GCM, and returns nonce and ciphertext. `bound_to` is the associated data.
///
/// # Errors
/// [`TokenError`]; or the PIN cannot be read.
pub(in crate::keys) fn seal(
    config: &KeysConfig,
    label: &str,
    secret: &[u8],
    bound_to: &[u8],
) -> Result<Vec<u8>, StartError> {
    let session = TokenAccess::from_config(config)?.open()?.open_session(false)?;
    let key = find_kek(&session, label)?;
    let mut nonce = [0; NONCE_BYTES];
    OsRng.fill_bytes(&mut nonce);
    let params = GcmParams::new(&mut nonce, bound_to, TAG_BITS.into()).map_err(TokenError::from)?;
    let mechanism = Mechanism::AesGcm(params);
    let ciphertext = session.encrypt(&mechanism, key, secret).map_err(TokenError::from)?;
    drop(mechanism);
    // Read after the encryption: a token that generates its own nonce has written it there.
    let mut sealed = nonce.to_vec();
    sealed.extend(ciphertext);
    Ok(sealed)
}

/// Decrypts the result of [`seal`]; `None` if the key or the associated data is another one, or the bytes are damaged.
///
/// # Errors
/// [`TokenError`]; or the PIN cannot be read.
pub(in crate::keys) fn open(
    config: &KeysConfig,
    label: &str,
    sealed: &[u8],
    bound_to: &[u8],
) -> Result<Option<Zeroizing<Vec<u8>>>, StartError> {
    let Some((nonce, ciphertext)) = sealed.split_first_chunk::<NONCE_BYTES>() else { return Ok(None) };
    let session = TokenAccess::from_config(config)?.open()?.open_session(false)?;
    let key = find_kek(&session, label)?;
    let mut nonce = *nonce;
    let params = GcmParams::new(&mut nonce, bound_to, TAG_BITS.into()).map_err(TokenError::from)?;
    match session.decrypt(&Mechanism::AesGcm(params), key, ciphertext) {
        Ok(secret) => Ok(Some(Zeroizing::new(secret))),
        // Tokens differ in their errors for a tag that does not match.
        Err(Error::Pkcs11(
            RvError::EncryptedDataInvalid | RvError::EncryptedDataLenRange | RvError::GeneralError,
            _,
        )) => Ok(None),
        Err(error) => Err(TokenError::from(error).into()),
    }
}

fn find_kek(session: &Session, label: &str) -> Result<ObjectHandle, TokenError> {
    let template = [
        Attribute::Class(ObjectClass::SECRET_KEY),
        Attribute::KeyType(KeyType::AES),
        Attribute::Label(label.as_bytes().to_vec()),
    ];
    match session.find_objects(&template)?.as_slice() {
        [key] => require_unextractable(session, *key).map(|()| *key),
        found => Err(TokenError::NotOneKek(label.to_owned(), found.len())),
    }
}
