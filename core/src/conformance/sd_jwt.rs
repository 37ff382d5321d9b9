//! Selective disclosure (RFC 9901) for the envelopes of VC-JOSE-COSE, with any key and any claim hidden.

use std::collections::{HashMap, HashSet};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::{Map, Value, json};
use sha2::{Digest as _, Sha256};

use super::malformed;
use crate::{
    Code, Problem, Rng,
    json::{self, Limits},
    secure::jose::{MAX_TOKEN_BYTES, decode_base64url},
};

const DIGESTS: &str = "_sd";
const ALGORITHM: &str = "_sd_alg";
const ELEMENT: &str = "...";
/// Maximum number of disclosures.
const MAX_DISCLOSURES: usize = 1_000;

/// Step of a path.
#[derive(Debug, Clone, PartialEq, Eq)]
enum PathStep {
    Member(String),
    Element(usize),
}

/// Path of a claim that is disclosable by itself, such as `credentialSubject.phoneNumbers[0]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DisclosurePath(Vec<PathStep>);

impl DisclosurePath {
    /// Parses names separated by dots, each of which may have indices in brackets.
    ///
    /// # Errors
    /// `malformed_value`
    pub fn parse(text: &str) -> Result<Self, Problem> {
        let wrong = || malformed("a disclosure path is malformed");
        let mut steps = Vec::new();
        for part in text.split('.') {
            let (name, indices) = part.split_once('[').map_or((part, None), |(name, rest)| (name, Some(rest)));
            if name.is_empty() {
                return Err(wrong());
            }
            steps.push(PathStep::Member(name.to_owned()));
            for index in indices.into_iter().flat_map(|indices| indices.split('[')) {
                let digits = index.strip_suffix(']').ok_or_else(wrong)?;
                steps.push(PathStep::Element(digits.parse().map_err(|_| wrong())?));
            }
        }
        Ok(Self(steps))
    }
}

/// Replaces the claims at the paths by digests, and returns their disclosures. A path within another one is hidden
/// first, so that its digest is in the other's disclosure.
///
/// # Errors
/// `malformed_value`: a path leads to no claim, or to one that is hidden already.
pub(super) fn hide(
    payload: &mut Map<String, Value>,
    paths: &[DisclosurePath],
    rng: Rng<'_>,
) -> Result<Vec<String>, Problem> {
    let mut deepest_first: Vec<&DisclosurePath> = paths.iter().collect();
    deepest_first.sort_by_key(|path| std::cmp::Reverse(path.0.len()));
    let mut root = Value::Object(std::mem::take(payload));
    let mut disclosures = Vec::with_capacity(paths.len());
    for path in deepest_first {
        let mut salt = [0; 16];
        rng.fill_bytes(&mut salt);
        disclosures.push(hide_at(&mut root, &path.0, &URL_SAFE_NO_PAD.encode(salt))?);
    }
    if let Value::Object(members) = root {
        *payload = members;
    }
    if !disclosures.is_empty() {
        payload.insert(ALGORITHM.to_owned(), "sha-256".into());
    }
    Ok(disclosures)
}

fn hide_at(value: &mut Value, path: &[PathStep], salt: &str) -> Result<String, Problem> {
    let nowhere = || malformed("a disclosure path leads to no claim");
    let (step, rest) = path.split_first().ok_or_else(nowhere)?;
    if !rest.is_empty() {
        let below = match step {
            PathStep::Member(name) => value.get_mut(name.as_str()),
            PathStep::Element(index) => value.get_mut(*index),
        };
        return hide_at(below.ok_or_else(nowhere)?, rest, salt);
    }
    match (step, value) {
        (PathStep::Member(name), Value::Object(members)) => {
            let claim = members.remove(name).ok_or_else(nowhere)?;
            let (text, digest) = disclosure(&json!([salt, name, claim]))?;
            match members.entry(DIGESTS).or_insert_with(|| json!([])) {
                Value::Array(digests) => {
                    digests.push(digest.into());
                    // The order of the digests must not tell that of the claims.
                    digests.sort_by(|a, b| a.as_str().cmp(&b.as_str()));
                }
                _ => return Err(nowhere()),
            }
            Ok(text)
        }
        (PathStep::Element(index), Value::Array(items)) => {
            let item = items.get_mut(*index).filter(|item| item.get(ELEMENT).is_none()).ok_or_else(nowhere)?;
            let (text, digest) = disclosure(&json!([salt, item]))?;
            *item = json!({ELEMENT: digest});
            Ok(text)
        }
        _ => Err(nowhere()),
    }
}

/// Returns the text of a disclosure and its digest.
fn disclosure(parts: &Value) -> Result<(String, String), Problem> {
    let text = serde_json::to_vec(parts).map_err(|_| Problem::from(Code::ProofGeneration))?;
    let text = URL_SAFE_NO_PAD.encode(text);
    let digest = digest_of(&text);
    Ok((text, digest))
}

fn digest_of(text: &str) -> String {
    URL_SAFE_NO_PAD.encode(Sha256::digest(text.as_bytes()))
}

/// Disclosure by its digest: the name of a claim, or none for an element, and the value.
type Disclosures = HashMap<String, (Option<String>, Value)>;

/// Puts the disclosures in their places (RFC 9901 section 7.1), and returns the payload. `disclosures` is the text after
/// the first tilde.
///
/// # Errors
/// `token_malformed`, `key_binding_unexpected`, `digest_algorithm`, `disclosure_malformed`, `disclosure_duplicate`,
/// `disclosure_name`, `disclosure_overrides`, `disclosure_unreferenced`, `too_deep`, `too_large`.
pub(super) fn show(payload: &Map<String, Value>, disclosures: &str) -> Result<Map<String, Value>, Problem> {
    if disclosures.len() > MAX_TOKEN_BYTES {
        return Err(Code::TooLarge.into());
    }
    let mut parts: Vec<&str> = disclosures.split('~').collect();
    if parts.pop().is_some_and(|binding| !binding.is_empty()) {
        return Err(Code::KeyBindingUnexpected.into());
    }
    if parts.len() > MAX_DISCLOSURES {
        return Err(Code::TooLarge.into());
    }
    if payload.get(ALGORITHM).is_some_and(|algorithm| algorithm != "sha-256") {
        return Err(Code::DigestAlgorithm.into());
    }
    let mut by_digest = Disclosures::new();
    for part in parts {
        if by_digest.insert(digest_of(part), parse(part)?).is_some() {
            return Err(Code::DisclosureDuplicate.into());
        }
    }
    let mut resolution = Resolution { by_digest, seen: HashSet::new() };
    let mut shown = resolution.object(payload, 1)?;
    if !resolution.by_digest.is_empty() {
        return Err(Code::DisclosureUnreferenced.into());
    }
    shown.remove(ALGORITHM);
    Ok(shown)
}

fn parse(text: &str) -> Result<(Option<String>, Value), Problem> {
    let wrong = |what: &str| Problem::new(Code::DisclosureMalformed, what);
    let Value::Array(parts) = json::parse(&decode_base64url(text, "disclosure")?, Limits::DOCUMENT)? else {
        return Err(wrong("a disclosure is not an array"));
    };
    match <[Value; 3]>::try_from(parts) {
        Ok([Value::String(_), Value::String(name), value]) => {
            if name == DIGESTS || name == ELEMENT {
                return Err(Code::DisclosureName.into());
            }
            Ok((Some(name), value))
        }
        Ok(_) => Err(wrong("a disclosure has a salt or a name that is not a string")),
        Err(parts) => match <[Value; 2]>::try_from(parts) {
            Ok([Value::String(_), value]) => Ok((None, value)),
            _ => Err(wrong("a disclosure does not have two or three parts")),
        },
    }
}

struct Resolution {
    by_digest: Disclosures,
    seen: HashSet<String>,
}

impl Resolution {
    fn see(&mut self, digest: &Value) -> Result<String, Problem> {
        let digest = digest.as_str().ok_or(Code::DisclosureMalformed)?.to_owned();
        if self.seen.insert(digest.clone()) { Ok(digest) } else { Err(Code::DisclosureDuplicate.into()) }
    }

    fn object(&mut self, members: &Map<String, Value>, depth: usize) -> Result<Map<String, Value>, Problem> {
        if depth > Limits::DOCUMENT.max_depth {
            return Err(Code::TooDeep.into());
        }
        let mut shown = Map::new();
        for (name, value) in members.iter().filter(|(name, _)| *name != DIGESTS) {
            if name == ELEMENT {
                return Err(Code::DisclosureName.into());
            }
            shown.insert(name.clone(), self.value(value, depth)?);
        }
        let digests = match members.get(DIGESTS) {
            None => return Ok(shown),
            Some(Value::Array(digests)) => digests,
            Some(_) => return Err(Code::DisclosureMalformed.into()),
        };
        for digest in digests {
            let digest = self.see(digest)?;
            match self.by_digest.remove(&digest) {
                None => {}
                Some((None, _)) => return Err(Code::DisclosureMalformed.into()),
                Some((Some(name), value)) => {
                    if shown.contains_key(&name) {
                        return Err(Code::DisclosureOverrides.into());
                    }
                    let value = self.value(&value, depth)?;
                    shown.insert(name, value);
                }
            }
        }
        Ok(shown)
    }

    fn value(&mut self, value: &Value, depth: usize) -> Result<Value, Problem> {
        let below = depth.saturating_add(1);
        if below > Limits::DOCUMENT.max_depth {
            return Err(Code::TooDeep.into());
        }
        match value {
            Value::Object(members) => self.object(members, below).map(Value::Object),
            Value::Array(items) => {
                let mut shown = Vec::with_capacity(items.len());
                for item in items {
                    match item.get(ELEMENT).filter(|_| item.as_object().is_some_and(|item| item.len() == 1)) {
                        None => shown.push(self.value(item, below)?),
                        Some(digest) => {
                            let digest = self.see(digest)?;
                            match self.by_digest.remove(&digest) {
                                None => {}
                                Some((Some(_), _)) => return Err(Code::DisclosureMalformed.into()),
                                Some((None, value)) => shown.push(self.value(&value, below)?),
                            }
                        }
                    }
                }
                Ok(Value::Array(shown))
            }
            other => Ok(other.clone()),
        }
    }
}
