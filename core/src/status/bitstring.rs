//! Bitstring Status List 1.0: a status list as a verifiable credential.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::{Map, Value, json};

use super::{BitOrder, ListProfile, ListValidity, StatusList, StatusPurpose, list::CompressionFormat, parse_index};
use crate::{
    Code, Problem,
    credential::{CONTEXT_V2, Credential},
    json,
    secure::jose,
};

/// `type` of a status list credential.
pub const CREDENTIAL_TYPE: &str = "BitstringStatusListCredential";
pub(crate) const LIST_TYPE: &str = "BitstringStatusList";
/// `type` of an entry of `credentialStatus`.
pub const ENTRY_TYPE: &str = "BitstringStatusListEntry";
/// Time to live of a list that states none (section 2.2), in milliseconds.
const DEFAULT_TTL: i64 = 300_000;

/// Reference to the status of a credential: an entry of `credentialStatus` (Bitstring Status List 1.0 section 2.1).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BitstringStatusListEntry {
    /// Status purpose of the entry.
    pub purpose: StatusPurpose,
    /// URL of the status list credential.
    pub url: String,
    /// Index in the list.
    pub index: u64,
    /// Size of the entry in bits (`statusSize`); 1 if not stated.
    pub size_in_bits: u8,
}

impl BitstringStatusListEntry {
    /// Parses an entry of `credentialStatus`.
    ///
    /// # Errors
    /// `status_unsupported`: another type or purpose; `status_index`: the index is not a string with a decimal
    /// non-negative integer without leading zeros; `malformed_value`: a missing purpose or URL, or a size that is not
    /// an integer up to 255.
    pub fn parse(entry: &Value) -> Result<Self, Problem> {
        let text = |name: &str| entry.get(name).and_then(Value::as_str);
        if text("type") != Some(ENTRY_TYPE) {
            return Err(Code::StatusUnsupported.into());
        }
        let malformed = |what: &str| Problem::new(Code::MalformedValue, format!("credentialStatus has no {what}"));
        let purpose = text("statusPurpose").ok_or_else(|| malformed("statusPurpose"))?;
        let purpose = StatusPurpose::parse(purpose).ok_or(Code::StatusUnsupported)?;
        let url = text("statusListCredential").ok_or_else(|| malformed("statusListCredential"))?.to_owned();
        let index = parse_index(text("statusListIndex").ok_or(Code::StatusIndex)?)?;
        let bits = match entry.get("statusSize") {
            None => 1,
            Some(size) => json::as_integer(size)
                .and_then(|size| u8::try_from(size).ok())
                .ok_or_else(|| malformed("statusSize"))?,
        };
        Ok(Self { purpose, url, index, size_in_bits: bits })
    }

    /// Returns the JSON form. It has no `id`, by which copies could be linked.
    #[must_use]
    pub fn to_json(&self) -> Value {
        let mut entry = json!({
            "type": ENTRY_TYPE, "statusPurpose": self.purpose.as_str(), "statusListIndex": self.index.to_string(),
            "statusListCredential": self.url,
        });
        if let (true, Some(members)) = (self.size_in_bits > 1, entry.as_object_mut()) {
            members.insert("statusSize".to_owned(), self.size_in_bits.into());
        }
        entry
    }
}

/// Decodes `encodedList`: `u` and the base64url of GZIP data (section 3.3). `bits` is the size of an entry.
///
/// # Errors
/// `status_list_invalid`, `invalid_encoding`; `status_list_length`: fewer entries than the [`ListProfile`] requires.
pub fn decode_list(encoded: &str, bits: u8) -> Result<StatusList, Problem> {
    let text = encoded.strip_prefix('u').ok_or_else(|| {
        Problem::new(Code::StatusListInvalid, "encodedList is not multibase base64url (its first letter is not u)")
    })?;
    let packed = jose::decode_base64url(text, "encodedList")?;
    let list = StatusList::decompress(&packed, CompressionFormat::Gzip, bits, BitOrder::MostSignificantFirst)?;
    ListProfile::DEFAULT.require_length(list.entry_count())?;
    Ok(list)
}

/// Encodes a list as `encodedList`: `u` and the base64url of GZIP data.
///
/// # Errors
/// `proof_generation` if it cannot be compressed.
///
/// # Examples
/// ```
/// use carnet_core::status::{BitOrder, StatusList, bitstring};
///
/// let mut list = StatusList::new(131_072, 1, BitOrder::MostSignificantFirst)?;
/// list.set_value(94_567, 1)?;
/// let published = bitstring::decode_list(&bitstring::encode_list(&list)?, 1)?;
/// assert_eq!((published.value(94_567)?, published.value(94_568)?), (1, 0));
/// # Ok::<(), carnet_core::Problem>(())
/// ```
pub fn encode_list(list: &StatusList) -> Result<String, Problem> {
    Ok(format!("u{}", URL_SAFE_NO_PAD.encode(list.compress(CompressionFormat::Gzip)?)))
}

/// Content of a status list credential besides the list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BitstringListParameters {
    /// DID of the issuer.
    pub issuer: String,
    /// URL of the status list credential.
    pub url: String,
    /// Status purpose of the list.
    pub purpose: StatusPurpose,
    /// Time of issue, expiry and time to live.
    pub validity: ListValidity,
}

impl BitstringListParameters {
    /// Returns the unsecured status list credential that contains the list.
    ///
    /// # Errors
    /// `proof_generation`
    pub fn to_document(&self, list: &StatusList) -> Result<Map<String, Value>, Problem> {
        Ok(self.document_with_encoded_list(encode_list(list)?))
    }

    /// Returns the unsecured status list credential for an `encodedList`. It does not state the entry size, which is in
    /// the credentials that refer to the list (section 2.1).
    pub(super) fn document_with_encoded_list(&self, encoded: String) -> Map<String, Value> {
        let mut subject = json!({
            "id": format!("{}#list", self.url), "type": LIST_TYPE, "statusPurpose": self.purpose.as_str(),
            "encodedList": encoded,
        });
        if let (Some(ttl), Some(members)) = (self.validity.ttl, subject.as_object_mut()) {
            members.insert("ttl".to_owned(), ttl.saturating_mul(1_000).into());
        }
        let mut document = Map::from_iter([
            ("@context".to_owned(), json!([CONTEXT_V2])),
            ("id".to_owned(), self.url.as_str().into()),
            ("type".to_owned(), json!(["VerifiableCredential", CREDENTIAL_TYPE])),
            ("issuer".to_owned(), self.issuer.as_str().into()),
            ("validFrom".to_owned(), self.validity.issued_at.to_string().into()),
            ("credentialSubject".to_owned(), subject),
        ]);
        if let Some(until) = self.validity.expires_at {
            document.insert("validUntil".to_owned(), until.to_string().into());
        }
        document
    }

    /// Extracts the list from a status list credential whose proof the caller has verified. Its URL, purpose and, if
    /// stated, entry size must match the reference; its validity period is not checked.
    ///
    /// # Errors
    /// `status_list_mismatch`: another URL; `status_purpose`: another purpose; `status_list_invalid`; `claim_missing`:
    /// no `validFrom`; those of [`decode_list`].
    pub fn from_credential(
        credential: &Credential,
        reference: &BitstringStatusListEntry,
    ) -> Result<(Self, StatusList), Problem> {
        let invalid = |what: &str| Problem::new(Code::StatusListInvalid, what.to_owned());
        if !credential.specific_types().any(|name| name == CREDENTIAL_TYPE) {
            return Err(invalid("it is not a BitstringStatusListCredential"));
        }
        let document = credential.document();
        if document.get("id").and_then(Value::as_str) != Some(reference.url.as_str()) {
            return Err(Problem::new(Code::StatusListMismatch, "it is the list for another URL"));
        }
        let subject = document.get("credentialSubject").and_then(Value::as_object);
        let subject = subject.ok_or_else(|| invalid("it must have exactly one subject"))?;
        let text = |name: &str| subject.get(name).and_then(Value::as_str);
        if text("type") != Some(LIST_TYPE) {
            return Err(invalid("its subject is not a BitstringStatusList"));
        }
        let named = |purpose: &Value| purpose.as_str() == Some(reference.purpose.as_str());
        let matches = match subject.get("statusPurpose") {
            Some(Value::Array(several)) => several.iter().any(named),
            Some(one) => named(one),
            None => false,
        };
        if !matches {
            return Err(Code::StatusPurpose.into());
        }
        // The list need not state the entry size, but must not contradict the reference.
        if subject.get("statusSize").is_some_and(|bits| json::as_integer(bits) != Some(reference.size_in_bits.into())) {
            return Err(invalid("the size of its entries differs from the credential's"));
        }
        let ttl = subject.get("ttl").map_or(Some(DEFAULT_TTL), json::as_integer).filter(|ttl| *ttl >= 0);
        let ttl = ttl.ok_or_else(|| invalid("its ttl is invalid"))?;
        let issued = credential.valid_from();
        let issued =
            issued.ok_or_else(|| Problem::new(Code::ClaimMissing, "the list does not say when it was made"))?;
        let list =
            decode_list(text("encodedList").ok_or_else(|| invalid("it has no encodedList"))?, reference.size_in_bits)?;
        // Rounded up to whole seconds: a list with a time to live of 0 could never be used.
        let ttl = Some(ttl.saturating_add(999) / 1_000);
        let freshness = ListValidity { issued_at: issued, expires_at: credential.valid_until(), ttl };
        let published = Self {
            issuer: credential.issuer().to_owned(),
            url: reference.url.clone(),
            purpose: reference.purpose,
            validity: freshness,
        };
        Ok((published, list))
    }
}
