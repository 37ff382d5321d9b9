//! Template of a copy: its text with placeholders for the copy-specific parts. The wallet cannot render types that are
//! not built in, but all copies of a batch must have the same template.

use std::collections::HashSet;

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use carnet_core::{Problem, did::Did, keys::PublicKey, secure::sd_jwt::SdJwt};
use carnet_spec::CredentialType;
use serde_json::Value;

use super::OpenedCopy;

/// Members with a copy-specific value at any depth: the status reference and the signature.
const OWN_MEMBERS: [&str; 5] = ["idx", "proofValue", "statusListCredential", "statusListIndex", "uri"];

/// Returns the template of a copy. Copies with equal templates differ in their copy-specific parts only. `key` is the
/// holder key of the copy.
///
/// # Errors
/// The digests of the SD-JWT cannot be read.
pub(super) fn copy_template(
    text: &str,
    opened: &OpenedCopy,
    known: &CredentialType,
    key: &PublicKey,
) -> Result<String, Problem> {
    let mut own: HashSet<String> = HashSet::new();
    own.insert(Did::did_jwk(key).as_str().to_owned());
    own.insert(Did::did_key(key).as_str().to_owned());
    own.extend(["x", "y"].iter().filter_map(|name| key.to_jwk().get(*name).and_then(Value::as_str).map(str::to_owned)));
    let Some(token) = &opened.token else { return Ok(scan(text, &own)) };
    own.extend(token.digests()?.into_iter().map(str::to_owned));
    own.extend(token.salts().map(str::to_owned));
    // Commitments derive from the claims' salts and were checked against them before.
    let subject = opened.members.get("credentialSubject").and_then(Value::as_object);
    let claims = subject.unwrap_or(&opened.members).iter().filter(|(name, _)| known.is_commitments(name));
    let commitments = claims.filter_map(|(_, value)| value.as_array()).flatten();
    own.extend(commitments.filter_map(Value::as_str).map(str::to_owned));
    let shown = |part: &str| {
        let bytes = URL_SAFE_NO_PAD.decode(part).unwrap_or_default();
        scan(&String::from_utf8_lossy(&bytes), &own)
    };
    Ok(parts(token, text).map(shown).collect::<Vec<_>>().join("\n"))
}

/// Returns the encoded header, payload and disclosures of an SD-JWT.
fn parts<'a>(token: &'a SdJwt, text: &'a str) -> impl Iterator<Item = &'a str> {
    let disclosures = text.split('~').skip(1).filter(|part| !part.is_empty());
    token.jws().as_str().split('.').take(2).chain(disclosures)
}

/// Copies JSON text with placeholders for the strings in `own` and for copy-specific members. Whitespace, escapes and
/// order are preserved.
fn scan(text: &str, own: &HashSet<String>) -> String {
    let mut laid = String::with_capacity(text.len());
    let mut member = "";
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let (token, after) = match first {
            '"' => rest.split_at(string_end(rest)),
            '-' | '0'..='9' => {
                let end = rest.find(|c: char| !matches!(c, '0'..='9' | '-' | '+' | '.' | 'e' | 'E'));
                rest.split_at(end.unwrap_or(rest.len()))
            }
            other => rest.split_at(other.len_utf8()),
        };
        rest = after;
        let content = token.strip_prefix('"').and_then(|token| token.strip_suffix('"'));
        let is_name = content.is_some() && after.trim_start_matches([' ', '\n', '\r', '\t']).starts_with(':');
        match content {
            Some(content) if is_name => {
                member = content;
                laid.push_str(token);
            }
            Some(_) if OWN_MEMBERS.contains(&member) => laid.push_str("\"*\""),
            Some(content) if own.contains(content) => laid.push_str(&format!("\"*{}\"", content.len())),
            None if first.is_ascii_digit() && OWN_MEMBERS.contains(&member) => laid.push('*'),
            _ => laid.push_str(token),
        }
    }
    laid
}

/// Returns the end of the string at the start of a text.
fn string_end(text: &str) -> usize {
    let mut escaped = false;
    let end = text.char_indices().skip(1).find(|(_, c)| {
        let closes = *c == '"' && !escaped;
        escaped = *c == '\\' && !escaped;
        closes
    });
    end.map_or(text.len(), |(at, _)| at.saturating_add(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn own_values_have_placeholders_and_all_else_stays() {
        let own = HashSet::from(["salt-1".to_owned(), "digest".to_owned()]);
        for (text, laid) in [
            (r#"["salt-1","name","value"]"#, r#"["*6","name","value"]"#),
            (r#"{"_sd":["digest", "other"]}"#, r#"{"_sd":["*6", "other"]}"#),
            (r#"{"status_list":{"idx": 17,"uri":"u"},"exp":17}"#, r#"{"status_list":{"idx": *,"uri":"*"},"exp":17}"#),
            (r#"{"statusListIndex":"17","n":"17"}"#, r#"{"statusListIndex":"*","n":"17"}"#),
            (r#"{"a\"":"dig\u0065st","b":-1.5e3}"#, r#"{"a\"":"dig\u0065st","b":-1.5e3}"#),
            (r#"{ "idx" : 3 }"#, r#"{ "idx" : * }"#),
            (r#"["open"#, r#"["open"#),
        ] {
            assert_eq!(scan(text, &own), laid);
        }
    }
}
