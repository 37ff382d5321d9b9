//! Operator: a party whose signature counts towards the quorum of a list. Its directory contains a key, a name, and the
//! last list that it signed.

use std::path::{Path, PathBuf};

use carnet_core::{
    did::{Did, DidUrl},
    keys::{SignatureAlgorithm, Signer as _},
    text::is_visible_text,
    time::Timestamp,
    trust::list::{AcceptedList, ListTimestamp, TrustList, UnverifiedTrustList},
};
use carnet_service::{
    config::{self, StartError},
    disk::{self, NewDirectory},
    keys::{KeyStorageArgs, Keyring, KeysConfig},
};
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::{
    error::CommandError,
    files::{read_file, replace_file, to_json_text, write_new},
};

const CONFIG_FILE: &str = "operator.toml";
/// File with the identity of the newest list signed with this directory, so that no two lists with one number are
/// signed.
const LAST_SIGNED_FILE: &str = "signed.json";
const LOCK: &str = "signed.lock";
/// Maximum length of a name, in characters.
const MAX_NAME_CHARS: usize = 200;

/// Operator of a trust list, with its key.
pub(crate) struct Operator {
    pub(crate) name: String,
    pub(crate) did: Did,
    kid: DidUrl,
    key: Keyring,
    directory: PathBuf,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct OperatorConfig {
    name: String,
    #[serde(default)]
    keys: KeysConfig,
}

impl Operator {
    /// Creates an operator's directory with a new key. The directory must not exist or be empty; nothing is
    /// overwritten.
    pub(crate) fn init(data: &Path, name: &str, place: &KeyStorageArgs) -> Result<Self, CommandError> {
        if !is_visible_text(name, MAX_NAME_CHARS) {
            return Err(CommandError::new(
                "name_refused",
                format!("The name is not a text of 1 to {MAX_NAME_CHARS} visible characters"),
                "give the name by which people know the operator",
            ));
        }
        let directory = NewDirectory::prepare(data).map_err(|error| {
            CommandError::new(
                "operator_directory",
                format!("{} cannot be an operator's directory: {error}. Nothing was changed", data.display()),
                "name a new directory that you may write to: init never overwrites a key",
            )
        })?;
        Keyring::create_register(data, SignatureAlgorithm::EdDsa, &place.to_config())?;
        // Written now, so that a missing file is later known to have been removed.
        write_new(&data.join(LAST_SIGNED_FILE), "null\n")?;
        // The configuration is written last: without it, the directory does not count as an operator's.
        let quoted = Value::from(name).to_string().replace('\u{7f}', "\\u007F");
        write_new(
            &data.join(CONFIG_FILE),
            &format!("# Made by `carnet-trust init`.\nname = {quoted}\n{}", place.to_toml()),
        )?;
        let made = Self::from_key(data, name.to_owned(), Keyring::open(data, &place.to_config())?)?;
        directory.keep();
        Ok(made)
    }

    /// Opens a directory that [`Self::init`] created.
    pub(crate) fn open(data: &Path) -> Result<Self, CommandError> {
        let path = data.join(CONFIG_FILE);
        if !path.is_file() {
            let what = format!("{} is not an operator's directory: {CONFIG_FILE} is missing", data.display());
            return Err(StartError::new(what, "run `carnet-trust init --data DIR --name NAME` first")
                .input_missing()
                .into());
        }
        let OperatorConfig { name, keys } = config::read_toml(&path)?;
        Self::from_key(data, name, Keyring::open(data, &keys)?)
    }

    fn from_key(data: &Path, name: String, key: Keyring) -> Result<Self, CommandError> {
        let did = Did::did_key(&key.public_key());
        // The fragment of the only method of a did:key is the key itself.
        let kid = did.with_fragment(did.method_specific_id()).map_err(|problem| {
            StartError::new(format!("The key gives no DID: {problem}"), "restore the key from a backup")
        })?;
        Ok(Self { name, did, kid, key, directory: data.to_owned() })
    }

    /// Returns the identity of the newest list that was signed with this directory; `None` if none was. An error if the
    /// record is missing or damaged.
    pub(crate) fn last_signed(&self) -> Result<Option<AcceptedList>, CommandError> {
        let path = self.directory.join(LAST_SIGNED_FILE);
        // A missing file does not prove that nothing was signed.
        let signed = if path.exists() { serde_json::from_slice(&read_file(&path)?).ok() } else { None };
        signed.ok_or_else(|| {
            CommandError::new(
                "operator_directory",
                format!(
                    "{} is missing or damaged, so it is unknown which lists were signed here before",
                    path.display()
                ),
                "restore it from a backup; or write the number and digest of the newest list that you signed into \
                 it, as {\"sequence\": NUMBER, \"digest\": \"DIGEST\"}, or null if you are sure that you signed none",
            )
        })
    }

    /// Checks that a list may be signed: it is not older than the newest list signed here, is no other list with the
    /// same number, and descends from it. The last condition is waived if `left_out` is that list's digest: the
    /// operator then declares it void.
    pub(crate) fn check_against_last_signed(
        &self,
        preview: &UnverifiedTrustList,
        left_out: Option<&str>,
    ) -> Result<(), CommandError> {
        let Some(signed) = self.last_signed()? else { return Ok(()) };
        let (number, last) = (preview.contents.sequence, signed.sequence);
        if number < last || (number == last && preview.digest != signed.digest) {
            return Err(CommandError::new(
                "signed_before",
                format!(
                    "This operator already signed list {last} (digest {}), and this is a different list {number}",
                    signed.digest
                ),
                "with two lists of one number, every verifier that saw one refuses the other: give the new list the \
                 next number (create --number)",
            ));
        }
        match signed.check_successor(&preview.contents, &preview.digest) {
            Err(problem) if left_out != Some(signed.digest.as_str()) => Err(CommandError::from_problem(
                &problem,
                &format!("This operator already signed list {last}, so it cannot sign list {number}"),
                format!(
                    "ask for a list that continues that one; or, if list {last} was never published and nobody \
                     relies on it, or you have read every list since: --leave-out {}",
                    signed.digest
                ),
            )),
            _ => Ok(()),
        }
    }

    /// Signs a timestamp, which states that a list is the newest one. The list's signatures and the record of signed
    /// lists are not checked.
    pub(crate) fn sign_timestamp(
        &self,
        document: &Map<String, Value>,
        times: (Timestamp, Timestamp),
    ) -> Result<Map<String, Value>, CommandError> {
        let stamped =
            TrustList::preview(document).and_then(|preview| ListTimestamp::sign(&preview, times, &self.kid, &self.key));
        stamped.map_err(|problem| {
            CommandError::from_problem(
                &problem,
                "No timestamp was made",
                "use the directory of a key that the list names for timestamps",
            )
        })
    }

    fn lock(&self) -> Result<std::fs::File, CommandError> {
        let path = self.directory.join(LOCK);
        disk::lock_file(&path, |file| file.lock().map_err(std::fs::TryLockError::Error)).map(|(file, _)| file).map_err(
            |error| {
                CommandError::new(
                    "operator_directory",
                    format!("{} could not be locked: {error}. Nothing was signed", path.display()),
                    "check that this user may write there",
                )
            },
        )
    }

    /// Signs a list, after the check of [`Self::check_against_last_signed`]. The signature is recorded on disk before it is returned.
    pub(crate) fn sign(
        &self,
        document: &Map<String, Value>,
        preview: &UnverifiedTrustList,
        left_out: Option<&str>,
        now: Timestamp,
    ) -> Result<Map<String, Value>, CommandError> {
        // The lock is held until the record is on disk: the later of two concurrent calls sees the signature of the
        // first.
        let _lock = self.lock()?;
        self.check_against_last_signed(preview, left_out)?;
        let signed = TrustList::sign(document, &self.kid, &self.key, now).map_err(|problem| {
            CommandError::from_problem(&problem, "The list could not be signed", "look at the list again")
        })?;
        replace_file(&self.directory.join(LAST_SIGNED_FILE), &to_json_text(&preview.identity()))?;
        Ok(signed)
    }
}
