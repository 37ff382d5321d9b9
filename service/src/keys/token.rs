//! Keys in a PKCS#11 token (PKCS #11 v3.0), generated in the token, which they never leave.
//!
//! P-256 uses CKM_ECDSA over a SHA-256 computed by this module, Ed25519 uses CKM_EDDSA over the message. The private
//! key must be CKA_SENSITIVE and not CKA_EXTRACTABLE; a token that does not comply is refused. Every signature is
//! verified before use, so that a faulty or wrong token causes an error instead of invalid credentials.

pub(super) mod kek;
mod point;

use std::{
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError, RwLock},
};

use carnet_core::{
    Code, Problem,
    keys::{PublicKey, SignatureAlgorithm, Signer},
};
use cryptoki::{
    context::{CInitializeArgs, CInitializeFlags, Pkcs11},
    error::{Error, RvError},
    mechanism::{
        Mechanism,
        eddsa::{EddsaParams, EddsaSignatureScheme},
    },
    object::{Attribute, AttributeType, ObjectClass, ObjectHandle},
    session::{Session, UserType},
    slot::Slot,
    types::AuthPin,
};
use rand_core::{OsRng, RngCore as _};
use sha2::{Digest as _, Sha256};

use super::KeysConfig;
use crate::config::StartError;

/// OID of the curve P-256 in DER: 1.2.840.10045.3.1.7.
const P256: [u8; 10] = [0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07];
/// OID of Ed25519 in DER: 1.3.101.112.
const ED25519: [u8; 5] = [0x06, 0x03, 0x2b, 0x65, 0x70];
/// Name of the curve as a PrintableString, for older tokens.
const ED25519_BY_NAME: &[u8] = b"\x13\x0cedwards25519";
/// Length of the signatures of both algorithms.
const SIGNATURE_BYTES: usize = 64;
/// Maximum number of idle sessions that stay open for later signatures.
const SPARE_SESSIONS: usize = 8;

/// Error in the use of a PKCS#11 token.
#[derive(Debug, thiserror::Error)]
pub enum TokenError {
    /// The configuration lacks the module, token or PIN; the text names it.
    #[error("the configuration names no {0}")]
    NotConfigured(&'static str),
    /// The module at this path is missing, or is not a PKCS#11 module.
    #[error("the PKCS#11 module {} cannot be loaded", .0.display())]
    ModuleUnusable(PathBuf),
    /// No token with this label is present.
    #[error("there is no token {0:?}")]
    TokenMissing(String),
    /// Several tokens have this label.
    #[error("there are several tokens {0:?}")]
    TokenAmbiguous(String),
    /// The token refuses the PIN, or the PIN is not used again after a refusal; the text states the reason.
    #[error("the token refuses the PIN ({0})")]
    PinRefused(&'static str),
    /// Only one PIN attempt is left before the token locks; it was not used.
    #[error("one more wrong PIN would lock the token, so no attempt was made")]
    LastPinAttempt,
    /// The token does not have exactly one private key with this label; the number is that of the keys found.
    #[error("the token has {1} private keys {0:?}, not one")]
    NotOnePrivateKey(String, usize),
    /// The token does not have exactly one AES key with this label; the number is that of the keys found.
    #[error("the token has {1} AES keys {0:?}, not one")]
    NotOneKek(String, usize),
    /// The private key with this label in the token does not match the public key in the register.
    #[error("the key {0:?} in the token is not this service's key")]
    KeyMismatch(String),
    /// The key in the token is extractable, or is not marked as sensitive.
    #[error("the token creates extractable keys")]
    Extractable,
    /// Any other error of the token, or an unusable result.
    #[error("the token failed: {0}")]
    Failed(String),
}

impl From<TokenError> for StartError {
    fn from(error: TokenError) -> Self {
        let hint = match &error {
            TokenError::NotConfigured(_) => "Set module, token and pin under [keys] in config.toml.",
            TokenError::ModuleUnusable(_) => "Check the path of the module and that this user may read it.",
            TokenError::TokenMissing(_) | TokenError::TokenAmbiguous(_) => {
                "Connect or start the token, and check its label: it has the only copy of the key. If the token is \
                 lost, see docs/a-key-leaked.md."
            }
            TokenError::PinRefused(_) => "Correct the PIN before the token locks itself.",
            TokenError::LastPinAttempt => {
                "Log in once with the token's own tools and the right PIN, then run this again."
            }
            TokenError::NotOneKek(..) => {
                "Check the token, and the label (kek under [keys] in config.toml). If the token is lost, so are the \
                 keys that it sealed; see docs/a-key-leaked.md."
            }
            TokenError::NotOnePrivateKey(..) | TokenError::KeyMismatch(_) => {
                "Check that this is the token in which the keys were created."
            }
            TokenError::Extractable => "Use another token, or change its settings.",
            TokenError::Failed(_) => "Check the token with its own tools, then run this again.",
        };
        Self::new(format!("The signing key cannot be used: {error}."), hint).nothing_changed()
    }
}

impl From<Error> for TokenError {
    fn from(error: Error) -> Self {
        match error {
            Error::Pkcs11(RvError::PinIncorrect, _) => Self::PinRefused("it is wrong"),
            Error::Pkcs11(RvError::PinLocked, _) => Self::PinRefused("it is locked"),
            Error::Pkcs11(RvError::PinLenRange | RvError::PinInvalid, _) => Self::PinRefused("it is not a valid label"),
            other => Self::Failed(other.to_string()),
        }
    }
}

/// Configured access to a token: module, label and PIN.
struct TokenAccess {
    module: PathBuf,
    label: String,
    pin: AuthPin,
}

impl TokenAccess {
    fn from_config(config: &KeysConfig) -> Result<Self, StartError> {
        let module = config.module.clone().ok_or(TokenError::NotConfigured("module"))?;
        let label = config.token.clone().ok_or(TokenError::NotConfigured("token"))?;
        let pin = config.pin.as_ref().ok_or(TokenError::NotConfigured("pin"))?.read("PIN")?;
        let pin = std::str::from_utf8(&pin).map_err(|_| TokenError::PinRefused("it is not UTF-8"))?;
        Ok(Self { module, label, pin: AuthPin::from(pin) })
    }

    fn open(&self) -> Result<TokenHandle, TokenError> {
        let context = load_module(&self.module)?;
        let slot = find_slot(&context, &self.label)?;
        Ok(TokenHandle { context, slot, pin: self.pin.clone() })
    }
}

/// Open token: loaded module, slot and PIN.
struct TokenHandle {
    context: Pkcs11,
    slot: Slot,
    pin: AuthPin,
}

impl TokenHandle {
    /// Opens a session and logs in. The login applies to the whole process, so that a further one finds it.
    fn open_session(&self, writing: bool) -> Result<Session, TokenError> {
        let session =
            if writing { self.context.open_rw_session(self.slot) } else { self.context.open_ro_session(self.slot) }?;
        if self.context.get_token_info(self.slot)?.user_pin_final_try() {
            return Err(TokenError::LastPinAttempt);
        }
        match session.login(UserType::User, Some(&self.pin)) {
            Ok(()) | Err(Error::Pkcs11(RvError::UserAlreadyLoggedIn, _)) => Ok(session),
            Err(error) => Err(error.into()),
        }
    }
}

fn load_module(module: &Path) -> Result<Pkcs11, TokenError> {
    let context = Pkcs11::new(module).map_err(|_| TokenError::ModuleUnusable(module.to_owned()))?;
    match context.initialize(CInitializeArgs::new(CInitializeFlags::OS_LOCKING_OK)) {
        Ok(()) | Err(Error::Pkcs11(RvError::CryptokiAlreadyInitialized, _)) => Ok(context),
        Err(error) => Err(error.into()),
    }
}

fn find_slot(context: &Pkcs11, label: &str) -> Result<Slot, TokenError> {
    let slots = context.get_slots_with_initialized_token()?;
    let named = |slot: &Slot| context.get_token_info(*slot).is_ok_and(|info| info.label() == label);
    let mut found = slots.into_iter().filter(named);
    match (found.next(), found.next()) {
        (Some(slot), None) => Ok(slot),
        (None, _) => Err(TokenError::TokenMissing(label.to_owned())),
        (Some(_), Some(_)) => Err(TokenError::TokenAmbiguous(label.to_owned())),
    }
}

fn find_private_key(session: &Session, label: &str) -> Result<ObjectHandle, TokenError> {
    let template = [Attribute::Class(ObjectClass::PRIVATE_KEY), Attribute::Label(label.as_bytes().to_vec())];
    match session.find_objects(&template)?.as_slice() {
        [key] => Ok(*key),
        found => Err(TokenError::NotOnePrivateKey(label.to_owned(), found.len())),
    }
}

/// Generates a key pair in the token with a random label, and returns label and public key. The key is tested, and
/// destroyed if it is extractable or its signature does not verify.
///
/// # Errors
/// [`TokenError`]; or the PIN cannot be read.
pub(super) fn generate_key_pair(
    config: &KeysConfig,
    algorithm: SignatureAlgorithm,
) -> Result<(String, PublicKey), StartError> {
    let token = TokenAccess::from_config(config)?.open()?;
    let session = token.open_session(true)?;
    // Random, so that it does not collide with keys that a power failure left in the token.
    let label = format!("carnet-{:016x}", OsRng.next_u64());
    let (mechanism, curves): (_, &[&[u8]]) = match algorithm {
        SignatureAlgorithm::Es256 => (Mechanism::EccKeyPairGen, &[&P256]),
        SignatureAlgorithm::EdDsa => (Mechanism::EccEdwardsKeyPairGen, &[&ED25519, ED25519_BY_NAME]),
        SignatureAlgorithm::Es384 => {
            return Err(TokenError::Failed("keys on P-384 are not for tokens".to_owned()).into());
        }
    };
    let mut made = Err(TokenError::Failed("it cannot create keys".to_owned()));
    for curve in curves {
        made = generate_on_curve(&session, &mechanism, curve, &label).map_err(TokenError::from);
        if made.is_ok() {
            break;
        }
    }
    let (public, private) = made?;
    let checked = require_unextractable(&session, private)
        .and_then(|()| read_public_key(&session, public, algorithm))
        .and_then(|key| test_key_pair(&session, private, &key).map(|()| key));
    match checked {
        Ok(key) => Ok((label, key)),
        Err(error) => {
            // Nobody will use this key.
            session.destroy_object(private).ok();
            session.destroy_object(public).ok();
            Err(error.into())
        }
    }
}

/// Destroys the key pair with this label in the token.
///
/// # Errors
/// [`TokenError`]; or the PIN cannot be read.
pub(super) fn destroy_key_pair(config: &KeysConfig, label: &str) -> Result<(), StartError> {
    let token = TokenAccess::from_config(config)?.open()?;
    let session = token.open_session(true)?;
    let private = find_private_key(&session, label)?;
    let public = [Attribute::Class(ObjectClass::PUBLIC_KEY), Attribute::Label(label.as_bytes().to_vec())];
    let public = session.find_objects(&public).map_err(TokenError::from)?;
    for object in [private].into_iter().chain(public) {
        session.destroy_object(object).map_err(TokenError::from)?;
    }
    Ok(())
}

fn generate_on_curve(
    session: &Session,
    mechanism: &Mechanism<'_>,
    curve: &[u8],
    label: &str,
) -> Result<(ObjectHandle, ObjectHandle), Error> {
    let named = |sign: Attribute| {
        let label = label.as_bytes().to_vec();
        vec![Attribute::Token(true), Attribute::Label(label.clone()), Attribute::Id(label), sign]
    };
    let mut public = named(Attribute::Verify(true));
    public.extend([Attribute::Private(false), Attribute::EcParams(curve.to_vec())]);
    let mut private = named(Attribute::Sign(true));
    private.extend([Attribute::Private(true), Attribute::Sensitive(true), Attribute::Extractable(false)]);
    session.generate_key_pair(mechanism, &public, &private)
}

fn require_unextractable(session: &Session, private: ObjectHandle) -> Result<(), TokenError> {
    let kinds = [AttributeType::Sensitive, AttributeType::Extractable];
    let said = session.get_attributes(private, &kinds)?;
    let holds = |wanted: &Attribute| said.contains(wanted);
    if holds(&Attribute::Sensitive(true)) && holds(&Attribute::Extractable(false)) {
        Ok(())
    } else {
        Err(TokenError::Extractable)
    }
}

fn read_public_key(
    session: &Session,
    public: ObjectHandle,
    algorithm: SignatureAlgorithm,
) -> Result<PublicKey, TokenError> {
    let point =
        session.get_attributes(public, &[AttributeType::EcPoint])?.into_iter().find_map(|attribute| match attribute {
            Attribute::EcPoint(point) => Some(point),
            _ => None,
        });
    point::public_key(algorithm, &point.unwrap_or_default())
}

/// Signs a random challenge, and verifies the signature with the public key.
fn test_key_pair(session: &Session, private: ObjectHandle, public: &PublicKey) -> Result<(), TokenError> {
    let mut challenge = [0_u8; 32];
    OsRng.fill_bytes(&mut challenge);
    let signature = sign(session, private, public.algorithm(), &challenge)?;
    public.verify(&challenge, &signature).map_err(|_| TokenError::Failed("its signature does not verify".to_owned()))
}

fn sign(
    session: &Session,
    key: ObjectHandle,
    algorithm: SignatureAlgorithm,
    message: &[u8],
) -> Result<Vec<u8>, TokenError> {
    let signature = match algorithm {
        SignatureAlgorithm::Es256 => {
            let signature = session.sign(&Mechanism::Ecdsa, key, &Sha256::digest(message))?;
            // Of the two equivalent signatures, the one with low s, as for keys in memory.
            p256::ecdsa::Signature::from_slice(&signature)
                .map(|signature| signature.normalize_s().unwrap_or(signature).to_vec())
                .map_err(|_| TokenError::Failed("it did not return a P-256 signature".to_owned()))?
        }
        SignatureAlgorithm::EdDsa => {
            session.sign(&Mechanism::Eddsa(EddsaParams::new(EddsaSignatureScheme::Pure)), key, message)?
        }
        SignatureAlgorithm::Es384 => return Err(TokenError::Failed("keys on P-384 are not for tokens".to_owned())),
    };
    if signature.len() == SIGNATURE_BYTES {
        Ok(signature)
    } else {
        Err(TokenError::Failed("its signature is not 64 bytes long".to_owned()))
    }
}

/// Private key in a token, ready to sign. The token is reopened after an error.
pub(super) struct TokenKey {
    access: TokenAccess,
    label: String,
    public: PublicKey,
    /// Connection to the token: locked for reading by signers, and for writing by the thread that reopens it.
    connection: RwLock<TokenConnection>,
}

/// Connection to a token, replaced when the token is reopened.
struct TokenConnection {
    /// Number of times that the token was reopened.
    generation: u64,
    /// `true` if the token refused the PIN. It is not used again before the next start, since each attempt brings the
    /// token nearer to its lock.
    pin_refused: bool,
    /// Open token; `None` while the token is away.
    token: Option<TokenHandle>,
    /// Idle sessions, each with its handle of the private key.
    idle_sessions: Mutex<Vec<(Session, ObjectHandle)>>,
}

impl TokenKey {
    /// Finds the private key in the token, and checks that it is not extractable and matches `public`.
    ///
    /// # Errors
    /// [`TokenError`]; or the PIN cannot be read.
    pub(super) fn open(config: &KeysConfig, label: &str, public: &PublicKey) -> Result<Self, StartError> {
        let access = TokenAccess::from_config(config)?;
        let token = access.open()?;
        let session = token.open_session(false)?;
        let key = find_private_key(&session, label)?;
        require_unextractable(&session, key)?;
        test_key_pair(&session, key, public).map_err(|error| match error {
            TokenError::Failed(_) => TokenError::KeyMismatch(label.to_owned()),
            other => other,
        })?;
        let open = TokenConnection {
            generation: 0,
            pin_refused: false,
            token: Some(token),
            idle_sessions: Mutex::new(vec![(session, key)]),
        };
        Ok(Self { access, label: label.to_owned(), public: public.clone(), connection: RwLock::new(open) })
    }

    /// Signs once with the current connection, and returns its generation too.
    fn try_sign(&self, message: &[u8]) -> (u64, Result<Vec<u8>, TokenError>) {
        let open = self.connection.read().unwrap_or_else(PoisonError::into_inner);
        (open.generation, open.try_sign(&self.label, self.public.algorithm(), message))
    }

    /// Reopens the token, unless another thread has done so since generation `failed`. Modules do not find a token that
    /// was disconnected, so the module is loaded again while no other thread uses it.
    fn reopen(&self, failed: u64) -> Result<(), TokenError> {
        let mut open = self.connection.write().unwrap_or_else(PoisonError::into_inner);
        open.require_pin_usable()?;
        if open.generation != failed {
            return Ok(());
        }
        open.idle_sessions.get_mut().unwrap_or_else(PoisonError::into_inner).clear();
        if let Some(token) = open.token.take() {
            // A broken module may also fail to finalize.
            token.context.finalize().ok();
        }
        let token = self.access.open()?;
        // The login happens while no other thread uses the token, so that a wrong PIN is tried only once.
        let session = token.open_session(false);
        open.pin_refused = matches!(session, Err(TokenError::PinRefused(_) | TokenError::LastPinAttempt));
        let session = session?;
        let key = find_private_key(&session, &self.label)?;
        *open.idle_sessions.get_mut().unwrap_or_else(PoisonError::into_inner) = vec![(session, key)];
        open.token = Some(token);
        open.generation = failed.wrapping_add(1);
        Ok(())
    }
}

impl TokenConnection {
    /// Fails if the token has refused the PIN.
    fn require_pin_usable(&self) -> Result<(), TokenError> {
        if self.pin_refused {
            Err(TokenError::PinRefused("it is not used again before the next start"))
        } else {
            Ok(())
        }
    }

    fn try_sign(&self, label: &str, algorithm: SignatureAlgorithm, message: &[u8]) -> Result<Vec<u8>, TokenError> {
        let spare = self.idle_sessions.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let (session, key) = match spare {
            Some(spare) => spare,
            None => {
                self.require_pin_usable()?;
                let token = self.token.as_ref().ok_or_else(|| TokenError::Failed("it is away".to_owned()))?;
                let session = token.open_session(false)?;
                let key = find_private_key(&session, label)?;
                (session, key)
            }
        };
        let signature = sign(&session, key, algorithm, message)?;
        let mut spare = self.idle_sessions.lock().unwrap_or_else(PoisonError::into_inner);
        if spare.len() < SPARE_SESSIONS {
            spare.push((session, key));
        }
        Ok(signature)
    }
}

impl Signer for TokenKey {
    fn public_key(&self) -> PublicKey {
        self.public.clone()
    }

    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, Problem> {
        let signature = match self.try_sign(message) {
            (_, Ok(signature)) => Ok(signature),
            (_, Err(error @ (TokenError::PinRefused(_) | TokenError::LastPinAttempt))) => {
                self.connection.write().unwrap_or_else(PoisonError::into_inner).pin_refused = true;
                Err(error)
            }
            (generation, Err(error)) => {
                tracing::warn!(%error, "the token did not sign; reopening it and trying once more");
                self.reopen(generation).and_then(|()| self.try_sign(message).1)
            }
        };
        let signature = signature.map_err(|error| Problem::new(Code::ProofGeneration, error.to_string()))?;
        self.public
            .verify(message, &signature)
            .map_err(|_| Problem::new(Code::ProofGeneration, "the token's signature does not verify"))?;
        Ok(signature)
    }
}
