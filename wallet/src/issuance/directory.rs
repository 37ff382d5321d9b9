//! Issuer's directory of status lists, which names the lists for new copies and the key that signs copies
//! (spec/status.md 3.1).

use std::collections::BTreeSet;

use carnet_core::{
    Code, Problem,
    did::{Did, DidDocument},
    format::CredentialFormat,
    json::{Limits, parse_object},
    status::{
        StatusPurpose,
        bitstring::{self, ENTRY_TYPE},
        message::StatusMessages,
        token,
    },
    time::Timestamp,
};
use serde_json::{Map, Value};

use super::recognisable_copy_problem;
use crate::{
    failure::{Failure, FaultParty, Sentence},
    ports::{DocumentSource as _, Ports, resolve_issuer},
};

/// Path of a directory below the base URL of the lists.
const PATH: &str = "/lists";
/// Formats of one list, as their URLs name them (spec/status.md 3.1).
const FORMS: [&str; 4] = ["message", "revocation", "suspension", "token"];

/// Parsed directory of an issuer's status lists.
#[derive(Debug, Clone)]
pub struct StatusListDirectory {
    /// Common URL prefix of all lists, without a trailing slash.
    base: String,
    lists: BTreeSet<String>,
    signing_key: Option<String>,
}

/// Name and value of the member by which a copy refers to its status lists.
pub(super) type StatusMember = (String, Value);

impl StatusListDirectory {
    /// Parses the directory that was fetched from `url`, which must end with `/lists`.
    ///
    /// # Errors
    /// `status_list_invalid`, also if it names a list that is not below its base URL; those of [`parse_object`].
    pub fn parse(url: &str, bytes: &[u8]) -> Result<Self, Problem> {
        let invalid =
            |what: &str| Problem::new(Code::StatusListInvalid, format!("the directory of status lists {what}"));
        let base = url.strip_suffix(PATH).ok_or_else(|| invalid("is not at B/lists"))?.to_owned();
        let said = parse_object(bytes, Limits::DOCUMENT)?;
        let listed = said.get("status_lists").and_then(Value::as_array).ok_or_else(|| invalid("names none"))?;
        let below = |url: &Value| {
            let url = url.as_str()?;
            url.strip_prefix(&base)?.starts_with('/').then(|| url.to_owned())
        };
        let lists = listed.iter().map(below).collect::<Option<_>>();
        let lists = lists.ok_or_else(|| invalid("names a list that is not below it"))?;
        let signing_key = match said.get("signing_key") {
            None => None,
            Some(Value::String(key)) => Some(key.clone()),
            Some(_) => return Err(invalid("names a key that is not text")),
        };
        Ok(Self { base, lists, signing_key })
    }

    /// Returns the number of a listed status list by its URL; `None` if the URL is not listed, or of another format
    /// than `form`.
    fn number(&self, form: &str, url: &str) -> Option<u64> {
        let digits = url.strip_prefix(&self.base)?.strip_prefix('/')?.strip_prefix(form)?.strip_prefix('/')?;
        let number: u64 = digits.parse().ok()?;
        (number.to_string() == digits && self.lists.contains(url)).then_some(number)
    }

    /// Returns the URL of the list with a number in one format; `None` if the directory does not list it.
    fn url(&self, form: &str, number: u64) -> Option<String> {
        Some(format!("{}/{form}/{number}", self.base)).filter(|url| self.lists.contains(url))
    }

    fn has(&self, form: &str) -> bool {
        let prefix = format!("{}/{form}/", self.base);
        self.lists.iter().any(|url| url.starts_with(&prefix))
    }

    /// Returns the status member that every copy with the given index has. `said` is the member of the copy.
    fn expected_reference(&self, said: &Value) -> Result<Value, Problem> {
        let reference = token::TokenStatusReference::parse(said)?;
        match self.number("token", &reference.uri) {
            Some(_) => Ok(reference.to_json()),
            None => Err(foreign()),
        }
    }

    /// Returns the status member that every copy with the given index has, for the W3C formats. `said` is the member of
    /// the copy.
    fn expected_entries(&self, said: &Value) -> Result<Value, Problem> {
        let entries = said.as_array().map(Vec::as_slice).unwrap_or_default();
        let first = bitstring::BitstringStatusListEntry::parse(entries.first().unwrap_or(&Value::Null))?;
        let revocation = StatusPurpose::Revocation.as_str();
        let number = self.number(revocation, &first.url).ok_or_else(foreign)?;
        let mut expected = Vec::with_capacity(entries.len());
        for purpose in [StatusPurpose::Revocation, StatusPurpose::Suspension] {
            let url = self.url(purpose.as_str(), number).ok_or_else(foreign)?;
            expected.push(
                bitstring::BitstringStatusListEntry { purpose, url, index: first.index, size_in_bits: 1 }.to_json(),
            );
        }
        if let Some(url) = self.url(StatusPurpose::Message.as_str(), number) {
            let texts = entries.get(2).and_then(|entry| entry.get("statusMessage"));
            let texts = StatusMessages::parse(
                texts.ok_or_else(|| recognisable_copy_problem("the copy's status lacks its message"))?,
            )?;
            expected.push(texts.status_entry(url, first.index));
        }
        Ok(Value::Array(expected))
    }
}

/// Fetches the status list directory named in an issuer's DID document; `None` if it names none. The issuer learns of
/// the request during an issuance, of which it knows anyway; nothing is fetched during presentations.
///
/// # Errors
/// The directory or the document is unavailable or invalid.
pub async fn fetch_directory(ports: &impl Ports, issuer: &str) -> Result<Option<StatusListDirectory>, Failure> {
    resolve_issuer(ports, issuer).await?;
    let failed = |problem: &Problem| {
        let message = Sentence::new("error-directory-refused");
        Failure::from_problem(problem, message, Sentence::new("hint-directory")).with_fault(FaultParty::Issuer)
    };
    let document = Did::parse(issuer)
        .and_then(|did| ports.documents().resolver().resolve(&did))
        .map_err(|problem| failed(&problem))?;
    let Some(url) = document.status_lists_url() else { return Ok(None) };
    let bytes = ports.documents().download(url, "application/json", Limits::DOCUMENT.max_bytes).await;
    let bytes = bytes.map_err(|failure| failure.with_fault(FaultParty::Issuer))?;
    StatusListDirectory::parse(url, &bytes).map(Some).map_err(|problem| failed(&problem))
}

fn foreign() -> Problem {
    recognisable_copy_problem("the copy's status list is not in its issuer's directory")
}

/// Returns the status member that a copy must have: the directory's spelling for the list and index that the copy
/// names. `None` if copies of this issuer have no status.
///
/// # Errors
/// `copy_marked` if the copy's list is not in the directory, or the copy has no status although the directory has lists
/// for its format.
pub(super) fn expected_status(
    directory: Option<&StatusListDirectory>,
    members: &Map<String, Value>,
    format: CredentialFormat,
) -> Result<Option<StatusMember>, Problem> {
    let in_sd_jwt_vc = format == CredentialFormat::DcSdJwt;
    let name = if in_sd_jwt_vc { "status" } else { "credentialStatus" };
    let published = |directory: &StatusListDirectory| {
        if in_sd_jwt_vc { directory.has("token") } else { directory.has(StatusPurpose::Revocation.as_str()) }
    };
    match (members.get(name), directory.filter(|directory| published(directory))) {
        (None, None) => Ok(None),
        (None, Some(_)) => {
            Err(recognisable_copy_problem("the copy has no status, although its issuer's others have one"))
        }
        (Some(_), None) => Err(foreign()),
        (Some(said), Some(directory)) => {
            let status =
                if in_sd_jwt_vc { directory.expected_reference(said) } else { directory.expected_entries(said) };
            Ok(Some((name.to_owned(), status?)))
        }
    }
}

/// Returns the pairs of list and index at which a copy is entered in status lists (spec/status.md 1.1). The formats of
/// one list count as one.
pub(super) fn status_entries(members: &Map<String, Value>) -> BTreeSet<(String, u64)> {
    let token = members.get("status").and_then(|status| token::TokenStatusReference::parse(status).ok());
    let entries = members.get("credentialStatus").and_then(Value::as_array);
    let entries =
        entries.into_iter().flatten().filter(|entry| entry.get("type").and_then(Value::as_str) == Some(ENTRY_TYPE));
    let entries = entries.filter_map(|entry| bitstring::BitstringStatusListEntry::parse(entry).ok());
    token
        .map(|reference| (list_name(reference.uri), reference.index))
        .into_iter()
        .chain(entries.map(|reference| (list_name(reference.url), reference.index)))
        .collect()
}

/// Returns one name for a list in all of its formats, such as `B/7` for `B/revocation/7` and `B/token/7`; another URL
/// is returned unchanged.
fn list_name(url: String) -> String {
    let mut parts = url.rsplitn(3, '/');
    match (parts.next(), parts.next(), parts.next()) {
        (Some(number), Some(form), Some(base)) if FORMS.contains(&form) => format!("{base}/{number}"),
        _ => url,
    }
}

/// Returns the DID URL of the issuer's current signing key: the key that the directory names, if the DID document lists
/// it for assertions at `now`; without a named key, the only one that the document lists.
///
/// # Errors
/// `copy_marked` if there is no such key: then the key by which a copy is signed could mark it.
pub(super) fn signing_key(
    document: &DidDocument,
    directory: Option<&StatusListDirectory>,
    now: Timestamp,
) -> Result<String, Problem> {
    let usable: Vec<&str> = document.assertion_methods(now).collect();
    let named = directory.and_then(|directory| directory.signing_key.as_deref());
    let key = match (usable.as_slice(), named) {
        ([only], None) => Some(*only),
        (_, None) => None,
        (usable, Some(named)) => usable.iter().copied().find(|key| *key == named),
    };
    key.map(str::to_owned)
        .ok_or_else(|| recognisable_copy_problem("no public document names the issuer's key that signs copies now"))
}
