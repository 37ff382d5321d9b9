//! Bitstring Status List 1.0: entries of any purpose and size, and their lookup.

use serde_json::{Map, Value};

use super::{malformed, values::values};
use crate::{
    Code, Problem,
    credential::url,
    json,
    status::{MIN_ENTRIES, bitstring, parse_index},
};

/// Maximum `statusSize`, in bits: a message for each value is in the credential.
const MAX_SIZE: u32 = 16;

/// Reference to a status: an entry of `credentialStatus` with its members checked.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct StatusEntry<'a> {
    purpose: &'a str,
    url: &'a str,
    index: u64,
    size: u32,
    messages: &'a [Value],
}

impl<'a> StatusEntry<'a> {
    /// Parses an entry of the type `BitstringStatusListEntry`.
    ///
    /// # Errors
    /// `status_unsupported`: another type; `malformed_value`, `status_index`.
    pub(super) fn parse(entry: &'a Value) -> Result<Self, Problem> {
        let entry = entry.as_object().ok_or_else(|| malformed("credentialStatus is not an object"))?;
        if entry.get("type").and_then(Value::as_str) != Some(bitstring::ENTRY_TYPE) {
            return Err(Code::StatusUnsupported.into());
        }
        parse(entry)
    }

    /// Returns the URL of the list.
    pub(super) fn url(&self) -> &str {
        self.url
    }

    /// Looks the entry up in its verified status list credential.
    ///
    /// # Errors
    /// `revoked`, `suspended`; `status_list_invalid`, `status_list_mismatch`, `status_purpose`, `status_list_length`,
    /// `status_index`.
    pub(super) fn look_up(&self, list: &Map<String, Value>) -> Result<StatusResult, Problem> {
        let value = value_in(list, self)?;
        if value != 0 {
            match self.purpose {
                "revocation" => return Err(Code::Revoked.into()),
                "suspension" => return Err(Code::Suspended.into()),
                _ => {}
            }
        }
        let message = self.messages.iter().find(|message| value_of(message) == Some(value));
        let message = message.and_then(|message| message.get("message")).and_then(Value::as_str);
        Ok(StatusResult { purpose: self.purpose.to_owned(), value, message: message.map(str::to_owned) })
    }
}

/// Result of the lookup of one entry (section 3.2).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StatusResult {
    /// `statusPurpose` of the entry.
    pub purpose: String,
    /// Value in the list.
    pub value: u64,
    /// Message of the value, if the entry states one.
    pub message: Option<String>,
}

/// Checks an entry of `credentialStatus` of the type `BitstringStatusListEntry` (section 2.1); an entry of another type
/// passes.
///
/// # Errors
/// `malformed_value`, `status_index`.
pub fn check_status_entry(entry: &Map<String, Value>) -> Result<(), Problem> {
    if entry.get("type").and_then(Value::as_str) == Some(bitstring::ENTRY_TYPE) {
        parse(entry).map(|_| ())
    } else {
        Ok(())
    }
}

fn parse(entry: &Map<String, Value>) -> Result<StatusEntry<'_>, Problem> {
    let text = |name: &str| entry.get(name).and_then(Value::as_str);
    let missing = |what: &str| malformed(format!("credentialStatus has no {what}"));
    let purpose =
        text("statusPurpose").filter(|purpose| !purpose.is_empty()).ok_or_else(|| missing("statusPurpose"))?;
    let list = entry.get("statusListCredential").ok_or_else(|| missing("statusListCredential"))?;
    let list = url(list, "statusListCredential")?;
    if text("id") == Some(list) {
        return Err(malformed("the id of credentialStatus is the URL of the list"));
    }
    let index = parse_index(text("statusListIndex").ok_or(Code::StatusIndex)?)?;
    let size = match entry.get("statusSize") {
        None => 1,
        Some(size) => json::as_integer(size)
            .and_then(|size| u32::try_from(size).ok())
            .filter(|size| (1..=MAX_SIZE).contains(size))
            .ok_or_else(|| malformed(format!("statusSize is not an integer from 1 to {MAX_SIZE}")))?,
    };
    check_references(entry)?;
    let messages = match entry.get("statusMessage") {
        None if size > 1 => return Err(missing("statusMessage, which its statusSize requires")),
        None => &[],
        Some(Value::Array(messages)) => messages.as_slice(),
        Some(_) => return Err(malformed("statusMessage is not an array")),
    };
    if entry.contains_key("statusMessage") {
        check_messages(messages, size)?;
    }
    Ok(StatusEntry { purpose, url: list, index, size, messages })
}

fn check_references(entry: &Map<String, Value>) -> Result<(), Problem> {
    values(entry, "statusReference").iter().try_for_each(|reference| url(reference, "statusReference").map(|_| ()))
}

/// Checks `statusMessage`: one message for each value, with the value in hexadecimal.
fn check_messages(messages: &[Value], size: u32) -> Result<(), Problem> {
    let count = 1_usize.checked_shl(size).unwrap_or(usize::MAX);
    if messages.len() != count {
        return Err(malformed(format!("statusMessage does not have {count} messages, one for each value")));
    }
    let mut seen = vec![false; count];
    for message in messages {
        let value = value_of(message).and_then(|value| seen.get_mut(usize::try_from(value).ok()?));
        let text = message.get("message").is_some_and(Value::is_string);
        match value {
            Some(seen) if text && !*seen => *seen = true,
            _ => return Err(malformed("statusMessage has an entry without its status and message, or one twice")),
        }
    }
    Ok(())
}

/// Returns the value of a message: `0x` and hexadecimal digits.
fn value_of(message: &Value) -> Option<u64> {
    let digits = message.get("status")?.as_str()?.strip_prefix("0x")?;
    let plain = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_hexdigit());
    if plain { u64::from_str_radix(digits, 16).ok() } else { None }
}

/// Returns the value of an entry in a verified status list credential (section 3.2, steps 5 to 10).
fn value_in(list: &Map<String, Value>, entry: &StatusEntry<'_>) -> Result<u64, Problem> {
    let invalid = |what: &str| Problem::new(Code::StatusListInvalid, what);
    if !values(list, "type").iter().any(|name| name == bitstring::CREDENTIAL_TYPE) {
        return Err(invalid("it is not a BitstringStatusListCredential"));
    }
    if list.get("id").is_some_and(|id| id.as_str() != Some(entry.url)) {
        return Err(Code::StatusListMismatch.into());
    }
    let subject = list.get("credentialSubject").and_then(Value::as_object);
    let subject = subject.ok_or_else(|| invalid("it does not have exactly one subject"))?;
    if subject.get("type").and_then(Value::as_str) != Some(bitstring::LIST_TYPE) {
        return Err(invalid("its subject is not a BitstringStatusList"));
    }
    if !values(subject, "statusPurpose").iter().any(|purpose| purpose == entry.purpose) {
        return Err(Code::StatusPurpose.into());
    }
    if subject.get("ttl").is_some_and(|ttl| json::as_integer(ttl).is_none_or(|ttl| ttl < 0)) {
        return Err(invalid("its ttl is not a number of milliseconds"));
    }
    let encoded = subject.get("encodedList").and_then(Value::as_str);
    let bits = bitstring::decode_list(encoded.ok_or_else(|| invalid("it has no encodedList"))?, 1)?;
    let size = u64::from(entry.size);
    if bits.entry_count().checked_div(size).is_none_or(|entries| entries < MIN_ENTRIES) {
        return Err(Code::StatusListLength.into());
    }
    let first = entry.index.checked_mul(size).ok_or(Code::StatusIndex)?;
    (0..size).try_fold(0_u64, |value, bit| {
        let position = first.checked_add(bit).ok_or(Code::StatusIndex)?;
        Ok((value << 1) | u64::from(bits.value(position)?))
    })
}
