//! Meanings of the values in a status list with the purpose `message`: their texts are in the `credentialStatus` entry
//! (Bitstring Status List 1.0 section 2.1, `statusMessage`; spec/status.md 2.6).

use serde_json::{Value, json};

use super::{StatusPurpose, bitstring::BitstringStatusListEntry};
use crate::{Code, Problem, text::invisible_characters};

/// Entry size of the message lists that Carnet publishes, in bits.
pub const ENTRY_BITS: u8 = 4;
/// Greatest message number.
pub const MAX_MESSAGE_NUMBER: u8 = 15;
/// Maximum length of a message text, in characters.
pub const MAX_MESSAGE_CHARS: usize = 80;
/// Text of the number 0.
const NOTHING: &str = "nothing to say";
/// Text of a number without a message.
const UNDEFINED: &str = "undefined";

/// Message texts of one issuer, for the numbers 1 to [`MAX_MESSAGE_NUMBER`]. 0 means no message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StatusMessages {
    /// Texts of the numbers 0 to [`MAX_MESSAGE_NUMBER`].
    texts: Vec<String>,
}

impl StatusMessages {
    /// Creates the table from the texts of the numbers 1, 2, 3 and so on; the remaining numbers mean no message.
    ///
    /// # Errors
    /// `malformed_value`: more than [`MAX_MESSAGE_NUMBER`] texts, or a text that is empty, longer than [`MAX_MESSAGE_CHARS`], begins or
    /// ends with a space, or has invisible or control characters.
    pub fn new(texts: &[String]) -> Result<Self, Problem> {
        if texts.len() > usize::from(MAX_MESSAGE_NUMBER) {
            return Err(malformed(format!("there are more than {MAX_MESSAGE_NUMBER} texts")));
        }
        if let Some(wrong) = texts.iter().find(|text| !is_plain(text)) {
            return Err(malformed(format!("{wrong:?} is not 1 to {MAX_MESSAGE_CHARS} plain characters of one line")));
        }
        let given = std::iter::once(NOTHING).chain(texts.iter().map(String::as_str));
        let all = given.chain(std::iter::repeat(UNDEFINED)).take(usize::from(MAX_MESSAGE_NUMBER).saturating_add(1));
        Ok(Self { texts: all.map(str::to_owned).collect() })
    }

    /// Parses `statusMessage` strictly in the form of [`Self::to_json`]: every number in order, and nothing else, so
    /// that it cannot carry a mark that identifies a credential.
    ///
    /// # Errors
    /// `malformed_value` for anything else.
    pub fn parse(value: &Value) -> Result<Self, Problem> {
        let text = |element: &Value| element.get("message").and_then(Value::as_str).map(str::to_owned);
        let texts: Option<Vec<String>> = value.as_array().and_then(|all| all.iter().skip(1).map(text).collect());
        let read = Self::new(&texts.ok_or_else(|| malformed("statusMessage has an element without a message"))?)?;
        if read.to_json() == *value { Ok(read) } else { Err(malformed("statusMessage is malformed")) }
    }

    /// Returns the text of a number; `None` if the number has no message.
    #[must_use]
    pub fn text(&self, number: u8) -> Option<&str> {
        let text = self.texts.get(usize::from(number)).filter(|_| number > 0)?;
        (text != UNDEFINED).then_some(text)
    }

    /// Returns the value of `statusMessage`: a text for every number.
    #[must_use]
    pub fn to_json(&self) -> Value {
        let element = |(number, text): (usize, &String)| json!({"status": format!("0x{number:x}"), "message": text});
        self.texts.iter().enumerate().map(element).collect()
    }

    /// Returns the `credentialStatus` entry for an index of the list at `url`.
    #[must_use]
    pub fn status_entry(&self, url: String, index: u64) -> Value {
        let mut entry =
            BitstringStatusListEntry { purpose: StatusPurpose::Message, url, index, size_in_bits: ENTRY_BITS }
                .to_json();
        if let Some(members) = entry.as_object_mut() {
            members.insert("statusMessage".to_owned(), self.to_json());
        }
        entry
    }
}

/// Returns the text that an issuer's `credentialStatus` entry defines for a value of the list. Entries of one bit
/// without `statusMessage` have the texts `unset` and `set`.
///
/// # Errors
/// `malformed_value` if `statusMessage` is missing, has not one element for each possible value, or does not define
/// this value exactly once (section 2.1).
pub fn message_text(entry: &Value, reference: &BitstringStatusListEntry, value: u8) -> Result<String, Problem> {
    let Some(all) = entry.get("statusMessage") else {
        // It may be omitted only for entries of one bit.
        return match (reference.size_in_bits, value) {
            (1, 0) => Ok("unset".to_owned()),
            (1, _) => Ok("set".to_owned()),
            _ => Err(malformed("credentialStatus has no statusMessage")),
        };
    };
    let all = all.as_array().map(Vec::as_slice).unwrap_or_default();
    if 1_usize.checked_shl(reference.size_in_bits.into()) != Some(all.len()) {
        return Err(malformed("statusMessage does not have an element for each value"));
    }
    let status = |element: &Value| {
        let digits = element.get("status").and_then(Value::as_str)?.strip_prefix("0x")?;
        digits.bytes().all(|byte| byte.is_ascii_hexdigit()).then(|| u8::from_str_radix(digits, 16).ok())?
    };
    let mut named = all.iter().filter(|element| status(element) == Some(value));
    let text = match (named.next(), named.next()) {
        (Some(element), None) => element.get("message").and_then(Value::as_str),
        _ => None,
    };
    text.map(str::to_owned).ok_or_else(|| malformed("statusMessage does not define the value exactly once"))
}

/// Returns whether the text has 1 to [`MAX_MESSAGE_CHARS`] characters, does not begin or end with a space, and contains no
/// invisible character and no white space except U+0020.
fn is_plain(text: &str) -> bool {
    let is_other_space = |c: char| c.is_whitespace() && c != ' ';
    let is_short = !text.is_empty() && text.chars().count() <= MAX_MESSAGE_CHARS;
    is_short && text.trim() == text && !text.contains(is_other_space) && invisible_characters(text).next().is_none()
}

fn malformed(what: impl Into<String>) -> Problem {
    Problem::new(Code::MalformedValue, what)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(texts: &[&str]) -> Vec<String> {
        texts.iter().map(|text| (*text).to_owned()).collect()
    }

    #[test]
    fn every_number_is_explained_and_what_says_nothing_is_undefined() {
        let messages = StatusMessages::new(&texts(&["the card was lost", "undefined", "a newer one exists"])).unwrap();
        let entry = messages.status_entry("https://university.example/status/message/0".to_owned(), 7);
        let reference = BitstringStatusListEntry::parse(&entry).unwrap();
        assert_eq!((reference.purpose, reference.index, reference.size_in_bits), (StatusPurpose::Message, 7, 4));
        let all = entry["statusMessage"].as_array().unwrap();
        assert_eq!((all.len(), &all[1]), (16, &json!({"status": "0x1", "message": "the card was lost"})));
        assert_eq!(all[15], json!({"status": "0xf", "message": "undefined"}));
        assert_eq!(StatusMessages::parse(&entry["statusMessage"]).unwrap(), messages);
        let said: Vec<u8> = (0..=u8::MAX).filter(|number| messages.text(*number).is_some()).collect();
        assert_eq!(said, [1, 3]);
        for (number, text) in [(0, NOTHING), (1, "the card was lost"), (2, UNDEFINED), (15, UNDEFINED)] {
            assert_eq!(message_text(&entry, &reference, number).unwrap(), text);
        }
    }

    #[test]
    fn texts_are_plain_short_and_at_most_fifteen() {
        let longest = "ü".repeat(MAX_MESSAGE_CHARS);
        assert!(StatusMessages::new(&vec![longest.clone(); 15]).is_ok());
        assert!(StatusMessages::new(&vec![longest.clone(); 16]).is_err());
        for wrong in [
            "",
            " a",
            "a ",
            "a\nb",
            "a\tb",
            "a\u{a0}b",
            "a\u{1b}[2J",
            "a\u{202e}b",
            "a\u{200b}b",
            "a\u{fe0f}b",
            &format!("{longest}ü"),
        ] {
            assert_eq!(StatusMessages::new(&texts(&[wrong])).unwrap_err().code, Code::MalformedValue, "{wrong:?}");
        }
    }

    #[test]
    fn there_is_one_way_to_write_it() {
        let right = StatusMessages::new(&texts(&["the card was lost"])).unwrap().to_json();
        assert!(StatusMessages::parse(&right).is_ok());
        let with = |change: &dyn Fn(&mut Vec<Value>)| {
            let mut value = right.clone();
            change(value.as_array_mut().unwrap());
            StatusMessages::parse(&value).is_ok()
        };
        assert!(with(&|all| all[2]["message"] = "a newer one exists".into()));
        assert!(!with(&|all| all[2]["message"] = "x".repeat(MAX_MESSAGE_CHARS + 1).into()));
        assert!(!with(&|all| all[0]["message"] = "urn:uuid:6c3b".into()));
        assert!(!with(&|all| all[1]["owner"] = "urn:uuid:6c3b".into()));
        assert!(!with(&|all| all[1]["status"] = "0x01".into()));
        assert!(!with(&|all| all[10]["status"] = "0xA".into()));
        assert!(!with(&|all| all.swap(1, 2)));
        assert!(!with(&|all| all[3]["message"] = 7.into()));
        assert!(!with(&|all| drop(all.pop())));
        assert!(!with(&|all| all.push(json!({"status": "0x10", "message": "undefined"}))));
        for wrong in [json!([]), json!({}), json!("0x1"), Value::Null] {
            assert!(StatusMessages::parse(&wrong).is_err(), "{wrong}");
        }
    }

    /// The entry of Bitstring Status List 1.0, example 5, and the rules of section 2.1 for its members.
    #[test]
    fn entries_of_other_issuers_are_read_as_the_recommendation_has_them() {
        let entry = json!({
            "id": "https://example.com/credentials/status/8#492847", "type": "BitstringStatusListEntry",
            "statusPurpose": "message", "statusListIndex": "492847", "statusSize": 2,
            "statusListCredential": "https://example.com/credentials/status/8",
            "statusMessage": [
                {"status": "0x0", "message": "pending_review"}, {"status": "0x1", "message": "accepted"},
                {"status": "0x2", "message": "rejected"}, {"status": "0x3", "message": "undefined"},
            ],
            "statusReference": "https://example.org/status-dictionary/",
        });
        let reference = BitstringStatusListEntry::parse(&entry).unwrap();
        assert_eq!((reference.index, reference.size_in_bits), (492_847, 2));
        assert_eq!(message_text(&entry, &reference, 0).unwrap(), "pending_review");
        assert_eq!(message_text(&entry, &reference, 2).unwrap(), "rejected");
        let with = |change: &dyn Fn(&mut Value)| {
            let mut entry = entry.clone();
            change(&mut entry);
            message_text(&entry, &reference, 2).map_err(|problem| problem.code)
        };
        assert_eq!(with(&|entry| entry["statusMessage"].as_array_mut().unwrap().reverse()), Ok("rejected".to_owned()));
        let refused = Err(Code::MalformedValue);
        assert_eq!(with(&|entry| drop(entry["statusMessage"].as_array_mut().unwrap().pop())), refused);
        assert_eq!(with(&|entry| entry["statusMessage"][3]["status"] = "0x2".into()), refused);
        assert_eq!(with(&|entry| entry["statusMessage"][2]["status"] = "2".into()), refused);
        assert_eq!(with(&|entry| entry["statusMessage"][2]["status"] = "0x+2".into()), refused);
        assert_eq!(with(&|entry| drop(entry.as_object_mut().unwrap().remove("statusMessage"))), refused);
        // Of one bit, texts may be left out.
        let one = json!({"type": "BitstringStatusListEntry", "statusPurpose": "message", "statusListIndex": "1",
            "statusListCredential": "https://example.com/credentials/status/8"});
        let reference = BitstringStatusListEntry::parse(&one).unwrap();
        assert_eq!([0, 1].map(|value| message_text(&one, &reference, value).unwrap()), ["unset", "set"]);
    }
}
