//! Setup of a new issuer by the command `init`: creates a data directory with a key, a DID document, a configuration, a
//! store and a staff token.

use std::path::{Path, PathBuf};

use carnet_core::{
    Problem,
    did::{Did, DidDocument, web, webvh},
    keys::{PublicKey, SignatureAlgorithm},
};
use carnet_fetch::local::LocalSite;
use carnet_service::{
    config::StartError,
    disk::{self, NewDirectory},
    keys::{self, KeyStorageArgs, Keyring},
    local, staff, store, time,
};
use rand_core::OsRng;
use zeroize::Zeroizing;

use crate::{sqlite::MIGRATIONS, status::default_status_url};

const DOCUMENT_FILE: &str = "did.json";

/// Result of the command `init`, to be displayed to the operator.
pub(crate) struct InitializedIssuer {
    pub(crate) did: Did,
    /// File to be published: the DID document, or the did:webvh log that contains it.
    pub(crate) document: PathBuf,
    /// URL at which it must be published.
    pub(crate) publication_url: String,
    /// Staff token, displayed once; only its hash is stored. In local mode, it is also in a file.
    pub(crate) staff_token: Zeroizing<String>,
}

/// Parameters of a new issuer, chosen by the operator.
pub(crate) struct NewIssuer<'a> {
    /// A did:web; or `did:webvh:` with a host, for which the identifier is generated.
    pub(crate) did: &'a str,
    /// Display name in English.
    pub(crate) name: Option<&'a str>,
    pub(crate) algorithm: SignatureAlgorithm,
    /// Location of the secret that decrypts the signing key.
    pub(crate) key_storage: &'a KeyStorageArgs,
    pub(crate) staff_name: &'a str,
    /// `true` for a trial on one machine: the service serves its own web site on `localhost`, with a certificate made
    /// for it.
    pub(crate) is_local: bool,
}

/// Creates a data directory for a new issuer. Existing files are never overwritten.
///
/// # Errors
/// The DID is not a did:web or the host of a new did:webvh; the directory is not empty; the key, the store or a file
/// cannot be created.
pub(crate) async fn init_issuer(data: &Path, new: &NewIssuer<'_>) -> Result<InitializedIssuer, StartError> {
    let NewIssuer { did, name, algorithm, key_storage: place, staff_name, is_local } = *new;
    let refused = |problem: Problem| {
        StartError::new(
            format!("the DID is refused: {problem}"),
            "give a did:web whose host you control, such as did:web:university.example; or did:webvh:university.example, \
             and its identifier is added",
        )
    };
    let config = place.to_config();
    // Verifiers find the status lists through the DID document, and through nothing that a credential contains.
    let render = |did: &Did, key: &PublicKey| {
        let document = DidDocument::json_for_keys(did, &[(keys::FIRST_KEY_NAME.to_owned(), key.clone())]);
        match default_status_url(did) {
            Some(base) => DidDocument::with_status_lists(did, document, &format!("{base}/lists")),
            None => document,
        }
    };
    let (directory, did, rendered, document, publish_at) = match did.strip_prefix("did:webvh:") {
        Some(host) => {
            let directory = create_directory(data)?;
            let (did, rendered) = keys::create_webvh(data, host, algorithm, &config, &render)?;
            let publish_at = webvh::log_url(&did).map_err(refused)?;
            (directory, did, rendered, data.join("did.jsonl"), publish_at)
        }
        None => {
            let did = Did::parse(did).map_err(refused)?;
            let publish_at = web::document_url(&did).map_err(refused)?;
            let directory = create_directory(data)?;
            let key = Keyring::create_register(data, algorithm, &config)?;
            let rendered = render(&did, &key);
            (directory, did, rendered, data.join(DOCUMENT_FILE), publish_at)
        }
    };
    write_new(&data.join(DOCUMENT_FILE), format!("{rendered:#}\n").as_bytes(), 0o644)?;
    let staff_token = staff::create_staff_register(data, staff_name, time::now(), &mut OsRng)?;
    store::create_store(data, &MIGRATIONS).await?;
    let mut text = config_text(&did, name) + &place.to_toml();
    if is_local {
        let certificate_sha256 = local::create_certificate(data, time::now())?;
        text.push_str(&local::config_section(&[&certificate_sha256]));
        let name = name.unwrap_or(did.as_str()).to_owned();
        let site = LocalSite { did: did.to_string(), name, certificate_sha256, registrar: None };
        local::write_local_site_files(data, &site, &staff_token)?;
    }
    // The configuration is written last: a directory without it is not taken for an issuer's.
    write_new(&data.join("config.toml"), text.as_bytes(), 0o600)?;
    directory.keep();
    Ok(InitializedIssuer { did, document, publication_url: publish_at, staff_token })
}

/// Creates a new directory, or takes an empty one. Unless it is kept, its files are removed on drop.
///
/// # Errors
/// The directory is not empty, or cannot be created.
pub(crate) fn create_directory(data: &Path) -> Result<NewDirectory, StartError> {
    NewDirectory::prepare(data).map_err(|error| match error.kind() {
        std::io::ErrorKind::DirectoryNotEmpty => StartError::new(
            format!("{} is not empty; nothing was changed", data.display()),
            "name a new directory: init never overwrites a key",
        ),
        _ => StartError::new(
            format!("{} could not be created: {error}", data.display()),
            "name a directory that you may write to",
        ),
    })
}

/// Writes a new file, and syncs it to disk.
///
/// # Errors
/// The file exists, or cannot be written.
pub(crate) fn write_new(path: &Path, bytes: &[u8], mode: u32) -> Result<(), StartError> {
    disk::write_new(path, bytes, mode).map_err(|error| {
        StartError::new(
            format!("{} could not be written: {error}", path.display()),
            "remove the directory if init has just created it, and run init again",
        )
    })
}

/// Returns the text of a new issuer's `config.toml`.
fn config_text(did: &Did, name: Option<&str>) -> String {
    let mut text = String::from(
        "# Made by `carnet-issuer init`. `carnet-issuer serve --config FILE` lays another file over it.\n",
    );
    text.push_str(&format!("did = {}\n", toml_string(did.as_str())));
    if let Some(name) = name {
        text.push_str(&format!("\n[name]\nen = {}\n", toml_string(name)));
    }
    text
}

/// Formats a string as a TOML basic string: JSON's escapes are a subset of TOML's.
pub(crate) fn toml_string(text: &str) -> String {
    serde_json::Value::from(text).to_string().replace('\u{7f}', "\\u007F")
}
