//! Command `init`: creates a data directory with a key, a configuration, a store, and a staff token, which is displayed
//! once.

use std::path::Path;

use carnet_core::{
    did::{Did, DidDocument, web},
    keys::SignatureAlgorithm,
};
use carnet_fetch::local::{Fingerprint, LocalSite};
use carnet_service::{
    config::StartError,
    disk::{self, NewDirectory},
    keys::{FIRST_KEY_NAME as FIRST_KEY, KeyStorageArgs, Keyring},
    local, staff, store, time,
};
use carnet_spec::Catalogue;
use rand_core::OsRng;
use zeroize::Zeroizing;

use crate::{config::VerifierConfig, redemption::desks, sqlite::MIGRATIONS};

/// Result of `init`.
pub(crate) struct InitializedVerifier {
    /// DID of the verifier.
    pub(crate) did: Did,
    /// URL at which `did.json` must be published; `None`: not a did:web.
    pub(crate) publish_at: Option<String>,
    /// Staff token, displayed once; only its hash is stored. In local mode, it is also in a file.
    pub(crate) staff_token: Zeroizing<String>,
    /// Fingerprint of the certificate of the local site; `None`: not in local mode.
    pub(crate) certificate: Option<Fingerprint>,
}

/// Parameters of a new verifier, chosen by the operator.
pub(crate) struct NewVerifier<'a> {
    /// DID (a did:web); `None`: a did:jwk of the new key.
    pub(crate) did: Option<&'a str>,
    /// Name displayed to holders.
    pub(crate) name: &'a str,
    pub(crate) algorithm: SignatureAlgorithm,
    /// Storage of the keys.
    pub(crate) key_storage: &'a KeyStorageArgs,
    /// Name of the first staff member.
    pub(crate) staff_name: &'a str,
    /// Sites of the issuers accepted for every type of the catalogue; `None`: not in local mode.
    pub(crate) local_issuers: Option<&'a [LocalSite]>,
}

/// Creates a data directory. Existing files are never overwritten.
///
/// # Errors
/// The DID is not a valid did:web, the directory exists and is not empty, or a file or key cannot be created.
pub(crate) async fn init(data: &Path, new: &NewVerifier<'_>) -> Result<InitializedVerifier, StartError> {
    let NewVerifier { did, name, algorithm, key_storage: place, staff_name, local_issuers } = *new;
    let chosen = did.map(parse_published_did).transpose()?;
    let directory = NewDirectory::prepare(data).map_err(|error| match error.kind() {
        std::io::ErrorKind::DirectoryNotEmpty => StartError::new(
            format!("{} is not empty. Nothing was changed.", data.display()),
            "Name a new directory: init never overwrites a key.",
        ),
        _ => StartError::new(
            format!("{} cannot be created: {error}. Nothing was created.", data.display()),
            "Name a directory that is yours.",
        ),
    })?;
    let key = Keyring::create_register(data, algorithm, &place.to_config())?;
    let (did, publish_at) = match chosen {
        Some((did, url)) => {
            let document = DidDocument::json_for_keys(&did, &[(FIRST_KEY.to_owned(), key)]);
            write_new(&data.join("did.json"), &format!("{document:#}\n"), 0o644)?;
            (did, Some(url))
        }
        None => (Did::did_jwk(&key), None),
    };
    let staff_token = staff::create_staff_register(data, staff_name, time::now(), &mut OsRng)?;
    store::create_store(data, &MIGRATIONS).await?;
    let mut text = config_text(&did, name) + &place.to_toml();
    let mut certificate = None;
    if let Some(issuers) = local_issuers {
        let own = local::create_certificate(data, time::now())?;
        let pins: Vec<_> = std::iter::once(&own).chain(issuers.iter().map(|site| &site.certificate_sha256)).collect();
        text.push_str(&local::config_section(&pins));
        text.push_str(&accepted_issuers_config(issuers)?);
        certificate = Some(own);
    }
    // The configuration is written last: a directory without it is not taken for a verifier's.
    write_new(&data.join("config.toml"), &text, 0o600)?;
    directory.keep();
    Ok(InitializedVerifier { did, publish_at, staff_token, certificate })
}

/// Creates the store of a further desk, in a copy of the first desk's data directory without its store and desk key.
///
/// # Errors
/// The directory is not a verifier's, or it contains a desk key, a store or its mark.
pub(crate) async fn create_further_desk(data: &Path) -> Result<(), StartError> {
    if desks::has_desk_key(data) {
        return Err(StartError::new(
            format!("{} has the key of the desk that it was copied from. Nothing was created.", data.display()),
            "Delete the folder `desk` in the copy: each desk makes a key of its own.",
        ));
    }
    VerifierConfig::load(data, None)?;
    store::create_store(data, &MIGRATIONS).await
}

fn parse_published_did(did: &str) -> Result<(Did, String), StartError> {
    Did::parse(did).and_then(|did| web::document_url(&did).map(|url| (did, url))).map_err(|problem| {
        StartError::new(
            format!("The DID is refused: {problem}. Nothing was created."),
            "Give a did:web whose host you control, such as did:web:jobs.example; or none, and the verifier is named by its key.",
        )
    })
}

fn write_new(path: &Path, text: &str, mode: u32) -> Result<(), StartError> {
    disk::write_new(path, text.as_bytes(), mode).map_err(|error| {
        StartError::new(
            format!("{} cannot be written: {error}. Existing files are unchanged.", path.display()),
            "Remove the directory if init has just created it, and run init again.",
        )
    })
}

fn config_text(did: &Did, name: &str) -> String {
    format!(
        "# Made by `carnet-verifier init`. `carnet-verifier serve --config FILE` lays another file over it.\n\
         did = {}\nname = {}\n\n\
         # [serve]\n\
         # listen = \"127.0.0.1:7402\"\n\n\
         # The issuers that are accepted, each for the types that are named here:\n\
         #\n\
         # [[issuers]]\n\
         # did = \"did:web:university.example\"\n\
         # types = [\"QualificationCredential\"]\n\
         #\n\
         # And those of a trust list (a file, or an https URL), signed by at least so many of these operators:\n\
         #\n\
         # [trust]\n\
         # list = \"https://trust.example/trust-list.json\"\n\
         # issuer = \"did:web:trust.example\"\n\
         # operators = [\"did:key:z6Mk...\", \"did:key:z6Mk...\", \"did:key:z6Mk...\"]\n\
         # quorum = 2\n",
        toml_string(did.as_str()),
        toml_string(name)
    )
}

/// Returns the configuration (TOML) that accepts these issuers for every type of the catalogue.
fn accepted_issuers_config(issuers: &[LocalSite]) -> Result<String, StartError> {
    let catalogue = Catalogue::embedded().map_err(|error| {
        StartError::new(format!("The catalogue is refused: {error}."), "This is a bug; please report it.")
    })?;
    let types: Vec<String> = catalogue.types().map(|known| toml_string(&known.name)).collect();
    let entry =
        |site: &LocalSite| format!("\n[[issuers]]\ndid = {}\ntypes = [{}]\n", toml_string(&site.did), types.join(", "));
    Ok(issuers.iter().map(entry).collect())
}

/// Returns a text as a TOML basic string; JSON's escapes are among those of TOML.
fn toml_string(text: &str) -> String {
    serde_json::Value::from(text).to_string().replace('\u{7f}', "\\u007F")
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    fn new<'a>(did: Option<&'a str>, name: &'a str, place: &'a KeyStorageArgs) -> NewVerifier<'a> {
        NewVerifier {
            did,
            name,
            algorithm: SignatureAlgorithm::EdDsa,
            key_storage: place,
            staff_name: "admin",
            local_issuers: None,
        }
    }

    #[tokio::test]
    async fn init_makes_a_directory_once_and_keeps_the_token_hashed() {
        let dir = tempfile::tempdir().unwrap();
        let data = dir.path().join("v");
        let made = init(&data, &new(None, "City \"Job\" Centre", &KeyStorageArgs::default())).await.unwrap();
        assert_eq!(made.did.method(), carnet_core::did::DidMethod::Jwk);
        let mode = |name: &str| std::fs::metadata(data.join(name)).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(""), mode("keys.json"), mode("staff.json")), (0o700, 0o600, 0o600));
        staff::StaffAuthenticator::for_directory(&data).unwrap();
        for entry in std::fs::read_dir(&data).unwrap() {
            let bytes = std::fs::read(entry.unwrap().path()).unwrap();
            assert!(!bytes.windows(made.staff_token.len()).any(|window| window == made.staff_token.as_bytes()));
        }
        let config = crate::config::VerifierConfig::load(&data, None).unwrap();
        assert_eq!((config.did.as_str(), config.name.as_str()), (made.did.as_str(), "City \"Job\" Centre"));
        let key = std::fs::read(data.join("keys.json")).unwrap();
        assert!(init(&data, &new(None, "Again", &KeyStorageArgs::default())).await.is_err());
        assert_eq!(std::fs::read(data.join("keys.json")).unwrap(), key);
    }

    #[tokio::test]
    async fn a_did_web_gets_a_document_to_publish() {
        let dir = tempfile::tempdir().unwrap();
        let data = dir.path().join("v");
        let place = KeyStorageArgs::default();
        let es256 =
            NewVerifier { algorithm: SignatureAlgorithm::Es256, ..new(Some("did:web:jobs.example"), "Jobs", &place) };
        let made = init(&data, &es256).await.unwrap();
        assert_eq!(made.publish_at.as_deref(), Some("https://jobs.example/.well-known/did.json"));
        assert!(data.join("did.json").exists());
        let refused = init(&dir.path().join("w"), &new(Some("did:web:127.0.0.1"), "Jobs", &place)).await;
        assert!(refused.is_err());
        assert!(!dir.path().join("w").exists());
    }
}
