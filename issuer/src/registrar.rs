//! Registrar: signs registrations of verifiers, for wallets that trust its DID (spec/registration.md).
//!
//! Its directory contains only a key and a name. It runs no service, and works offline.

use std::path::Path;

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use carnet_core::{
    Problem, day,
    did::{Did, DidDocument, DidMethod, DidUrl, Resolve, SelfContainedResolver, web},
    json::{self, Limits},
    keys::{SignatureAlgorithm, Signer as _},
    text::is_visible_text,
    time::{CLOCK_SKEW, Timestamp},
    trust::registration::{Registration, RegistrationRequest},
};
use carnet_service::{
    config::{self, StartError},
    disk,
    keys::{KeyStorageArgs, Keyring, KeysConfig},
};
use serde::Deserialize;
use serde_json::{Map, Value};
use sha2::{Digest as _, Sha256};
use std::sync::Arc;

use crate::setup::{create_directory, toml_string, write_new};

const REGISTRAR_FILE: &str = "registrar.toml";
/// Maximum length of a registrar's name, in characters.
const MAX_NAME_CHARS: usize = 200;
/// Maximum validity period of a registration, in days (spec/registration.md).
pub(crate) const MAX_REGISTRATION_DAYS: u32 = 366;

/// Error of the registrar's commands.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RegistrarError {
    #[error("{path} cannot be read: {error}")]
    Unreadable { path: String, error: std::io::Error },
    #[error("The request is refused: {0}")]
    RequestInvalid(Problem),
    #[error("{did} publishes its keys at {url}, and a registrar does not fetch")]
    DocumentMissing { did: String, url: String },
    #[error("The DID document is refused: {0}")]
    DocumentInvalid(Problem),
    #[error("A registration is valid for 1 to {MAX_REGISTRATION_DAYS} days, and not for {0}")]
    DaysOutOfRange(u32),
    #[error("Signing this needs an approval, and there is no terminal to ask on")]
    ApprovalNeeded { digest: String },
    #[error("The approval is for another request")]
    ApprovalMismatch { digest: String },
    #[error("You said no")]
    Declined,
    #[error("The answer was neither yes nor no")]
    NotAnswered,
    #[error("{path} cannot be written: {error}")]
    Unwritable { path: String, error: std::io::Error },
    #[error("The registration could not be signed: {0}")]
    Signing(Problem),
}

impl RegistrarError {
    /// Returns the stable reason for scripts: the code of the failed check, or the kind of the error.
    pub(crate) fn reason(&self) -> &'static str {
        match self {
            Self::Unreadable { .. } => "file_unreadable",
            Self::RequestInvalid(problem) | Self::DocumentInvalid(problem) | Self::Signing(problem) => {
                problem.code.as_str()
            }
            Self::DocumentMissing { .. } => "did_document_needed",
            Self::DaysOutOfRange(_) => "days_out_of_range",
            Self::ApprovalNeeded { .. } => "approval_needed",
            Self::ApprovalMismatch { .. } => "approval_mismatch",
            Self::Declined => "declined",
            Self::NotAnswered => "not_answered",
            Self::Unwritable { .. } => "file_unwritable",
        }
    }

    /// Returns advice for the operator on the next step.
    pub(crate) fn hint(&self) -> String {
        match self {
            Self::Unreadable { .. } => "check the path, and that the file is text in UTF-8".to_owned(),
            Self::RequestInvalid(_) => "ask the verifier for a new request".to_owned(),
            Self::DocumentMissing { url, .. } => format!("get {url} yourself, and name the file with --did-document"),
            Self::DocumentInvalid(_) => "get the document again from the verifier's web site".to_owned(),
            Self::DaysOutOfRange(_) => format!("give --days from 1 to {MAX_REGISTRATION_DAYS}"),
            Self::ApprovalNeeded { digest } | Self::ApprovalMismatch { digest } => {
                format!("read what it would allow, and if you agree: --yes {digest}")
            }
            Self::Declined => "nothing more to do".to_owned(),
            Self::NotAnswered => "run it again; answer with yes or no, or with 1 for yes, 2 for no".to_owned(),
            Self::Unwritable { .. } => "name a new file with --out: existing files are never overwritten".to_owned(),
            Self::Signing(_) => "a registrar needs an Ed25519 key; restore it from a backup".to_owned(),
        }
    }
}

/// Registrar: its name, and its key, from which its did:key is derived.
pub(crate) struct Registrar {
    pub(crate) name: String,
    pub(crate) did: Did,
    kid: DidUrl,
    key: Keyring,
}

/// Request for a registration with a verified signature, which the registrar has not approved yet.
pub(crate) struct RegistrationApplication {
    pub(crate) request: RegistrationRequest,
    /// Base64url SHA-256 of the request file, by which it is approved.
    pub(crate) digest: String,
    /// Start of the registration's validity: the current day.
    pub(crate) valid_from: Timestamp,
    pub(crate) valid_until: Timestamp,
}

/// Contents of `registrar.toml`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RegistrarConfig {
    name: String,
    #[serde(default)]
    keys: KeysConfig,
}

impl Registrar {
    /// Creates a registrar's directory with a new key. Existing files are never overwritten.
    ///
    /// # Errors
    /// The name is not a text of 1 to 200 characters, the directory is not empty, the key cannot be created, or a file
    /// cannot be written.
    pub(crate) fn init(data: &Path, name: &str, place: &KeyStorageArgs) -> Result<Self, StartError> {
        if !is_visible_text(name, MAX_NAME_CHARS) {
            return Err(StartError::new(
                format!(
                    "The name is refused: it is not a text of 1 to {MAX_NAME_CHARS} visible characters. Nothing was made."
                ),
                "Give the name by which people know the registrar.",
            ));
        }
        let directory = create_directory(data)?;
        Keyring::create_register(data, SignatureAlgorithm::EdDsa, &place.to_config())?;
        // The name is written last: a directory without it is not taken for a registrar's.
        let text =
            format!("# Made by `carnet-issuer registrar init`.\nname = {}\n{}", toml_string(name), place.to_toml());
        write_new(&data.join(REGISTRAR_FILE), text.as_bytes(), 0o600)?;
        let made = Self::from_key(name.to_owned(), Keyring::open(data, &place.to_config())?)?;
        directory.keep();
        Ok(made)
    }

    /// Opens the directory of a registrar.
    ///
    /// # Errors
    /// It is not a registrar's directory, or its key is unusable.
    pub(crate) fn open(data: &Path) -> Result<Self, StartError> {
        let path = data.join(REGISTRAR_FILE);
        if !path.is_file() {
            return Err(StartError::new(
                format!(
                    "{} is not a registrar's directory: {REGISTRAR_FILE} is missing. Nothing was changed.",
                    data.display()
                ),
                "Run `carnet-issuer registrar init --data DIR --name NAME` first.",
            )
            .input_missing());
        }
        let RegistrarConfig { name, keys } = config::read_toml(&path)?;
        Self::from_key(name, Keyring::open(data, &keys)?)
    }

    /// Derives the registrar's DID from its key.
    fn from_key(name: String, key: Keyring) -> Result<Self, StartError> {
        let did = Did::did_key(&key.public_key());
        // The only verification method of a did:key is named after the key.
        let kid = did.with_fragment(did.method_specific_id()).map_err(|problem| {
            StartError::new(format!("The key gives no DID: {problem}."), "Restore the key from a backup.")
        })?;
        Ok(Self { name, did, kid, key })
    }

    /// Verifies a request for a registration, and computes the validity period of the registration: `days` days from
    /// the start of today. `document` is the verifier's DID document, required for a DID that is published on the web,
    /// and ignored for others.
    ///
    /// # Errors
    /// The number of days is out of range; the request or the document is invalid; [`RegistrarError::DocumentMissing`].
    pub(crate) fn verify_request_file(
        bytes: &[u8],
        document: Option<&[u8]>,
        days: u32,
        now: Timestamp,
    ) -> Result<RegistrationApplication, RegistrarError> {
        if days == 0 || days > MAX_REGISTRATION_DAYS {
            return Err(RegistrarError::DaysOutOfRange(days));
        }
        let request = json::parse(bytes, Limits::DOCUMENT).map_err(RegistrarError::RequestInvalid)?;
        let request = request.as_object().ok_or_else(|| {
            RegistrarError::RequestInvalid(Problem::new(
                carnet_core::Code::RegistrationInvalid,
                "it is not a JSON object",
            ))
        })?;
        let given = SuppliedDocumentResolver::for_request(request, document)?;
        let request =
            RegistrationRequest::verify(request, now, CLOCK_SKEW, &given).map_err(RegistrarError::RequestInvalid)?;
        let valid_from = now.start_of_day();
        Ok(RegistrationApplication {
            request,
            digest: URL_SAFE_NO_PAD.encode(Sha256::digest(bytes)),
            valid_from,
            valid_until: valid_from.plus(i64::from(days).saturating_mul(day::SECONDS)),
        })
    }

    /// Signs the registration that an application asks for.
    ///
    /// # Errors
    /// [`RegistrarError::Signing`]
    pub(crate) fn sign(&self, application: &RegistrationApplication) -> Result<Map<String, Value>, RegistrarError> {
        let RegistrationApplication { request, valid_from, valid_until, .. } = application;
        Registration::issue(request, &self.kid, &self.key, *valid_from, *valid_until).map_err(RegistrarError::Signing)
    }
}

impl RegistrationApplication {
    /// Compares an approval given in advance with the digest of the request. Returns `false` if none was given, so that
    /// a person must be asked.
    ///
    /// # Errors
    /// [`RegistrarError::ApprovalMismatch`] for the digest of another request.
    pub(crate) fn check_approval(&self, yes: Option<&str>) -> Result<bool, RegistrarError> {
        match yes {
            Some(digest) if digest == self.digest => Ok(true),
            Some(_) => Err(RegistrarError::ApprovalMismatch { digest: self.digest.clone() }),
            None => Ok(false),
        }
    }
}

/// Resolver for DIDs that contain their own document, and for the did:web whose document was supplied.
struct SuppliedDocumentResolver(Option<Arc<DidDocument>>);

impl SuppliedDocumentResolver {
    /// Parses the supplied document for the issuer of the request. A malformed request yields a resolver without
    /// document, and its verification reports the fault.
    ///
    /// # Errors
    /// [`RegistrarError::DocumentMissing`] if the issuer's DID needs one; the document is invalid.
    fn for_request(request: &Map<String, Value>, document: Option<&[u8]>) -> Result<Self, RegistrarError> {
        let Some(did) = request.get("issuer").and_then(Value::as_str).and_then(|did| Did::parse(did).ok()) else {
            // The verification reports the fault.
            return Ok(Self(None));
        };
        match document {
            Some(bytes) => {
                let document = json::parse(bytes, Limits::DOCUMENT).map_err(RegistrarError::DocumentInvalid)?;
                let document = DidDocument::parse(&did, &document).map_err(RegistrarError::DocumentInvalid)?;
                Ok(Self(Some(Arc::new(document))))
            }
            None => match web::document_url(&did) {
                Ok(url) => Err(RegistrarError::DocumentMissing { did: did.to_string(), url }),
                Err(_) => Ok(Self(None)),
            },
        }
    }
}

impl Resolve for SuppliedDocumentResolver {
    fn resolve(&self, did: &Did) -> Result<Arc<DidDocument>, Problem> {
        match &self.0 {
            Some(document) if document.did() == did && did.method() == DidMethod::Web => Ok(document.clone()),
            _ => SelfContainedResolver.resolve(did),
        }
    }
}

/// Reads a whole file, without a leading byte-order mark.
///
/// # Errors
/// [`RegistrarError::Unreadable`]
pub(crate) fn read_file(path: &Path) -> Result<Vec<u8>, RegistrarError> {
    disk::read_user_file(path)
        .map(|content| content.to_vec())
        .map_err(|error| RegistrarError::Unreadable { path: path.display().to_string(), error })
}

/// Writes a registration to a new file.
///
/// # Errors
/// [`RegistrarError::Unwritable`], also if the file exists.
pub(crate) fn write_registration(path: &Path, registration: &str) -> Result<(), RegistrarError> {
    // Readable by everybody, subject to the umask.
    disk::write_new(path, registration.as_bytes(), 0o666)
        .map_err(|error| RegistrarError::Unwritable { path: path.display().to_string(), error })
}

#[cfg(test)]
mod tests;
