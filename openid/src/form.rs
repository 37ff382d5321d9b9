//! Bodies of `application/x-www-form-urlencoded` (RFC 6749 appendix B), strictly parsed.

use carnet_core::{Code, Problem};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use zeroize::Zeroizing;

use crate::SecretText;

/// Characters that are percent-encoded: all except the unreserved ones of RFC 3986 section 2.3.
pub(crate) const PERCENT_ENCODED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// Maximum number of parameters.
const MAX_PARAMETERS: usize = 64;

/// Parameters of a form or a query string, each with one value.
#[derive(Debug)]
pub struct FormParameters(Vec<(String, SecretText)>);

impl FormParameters {
    /// Parses a request body or a query string.
    ///
    /// # Errors
    /// `invalid_encoding` for a malformed percent-encoding; `invalid_unicode` (not UTF-8); `duplicate_key` for a
    /// repeated parameter (RFC 6749 section 3.2); `too_large` for more than 64 parameters.
    pub fn parse(text: &[u8]) -> Result<Self, Problem> {
        let mut parameters: Vec<(String, SecretText)> = Vec::new();
        for pair in text.split(|byte| *byte == b'&').filter(|pair| !pair.is_empty()) {
            let equals = pair.iter().position(|byte| *byte == b'=').unwrap_or(pair.len());
            let (name, value) = pair.split_at_checked(equals).unwrap_or((pair, &[]));
            let name = decode_component(name)?.to_string();
            let value = decode_component(value.strip_prefix(b"=").unwrap_or(value))?;
            if parameters.iter().any(|(known, _)| *known == name) {
                return Err(Problem::new(Code::DuplicateKey, "a parameter is there twice"));
            }
            if parameters.len() >= MAX_PARAMETERS {
                return Err(Problem::new(Code::TooLarge, format!("more than {MAX_PARAMETERS} parameters")));
            }
            parameters.push((name, value.into()));
        }
        Ok(Self(parameters))
    }

    /// Returns the value of a parameter; `None` if it is absent or empty (RFC 6749 section 3.2).
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&SecretText> {
        let found = self.0.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| value).filter(|value| !value.expose().is_empty())
    }

    /// Returns whether a parameter is present, even if it is empty.
    #[must_use]
    pub fn contains(&self, name: &str) -> bool {
        self.0.iter().any(|(known, _)| known == name)
    }
}

/// Serialises parameters as a form body, in the given order.
#[must_use]
pub fn encode_form(parameters: &[(&str, &str)]) -> Zeroizing<String> {
    let length = parameters.iter().map(|(name, value)| name.len().saturating_add(value.len()));
    // Capacity for the whole body, which may be secret: reallocation would leave copies in memory.
    let most = length.fold(0_usize, usize::saturating_add).saturating_add(parameters.len()).saturating_mul(3);
    let mut body = Zeroizing::new(String::with_capacity(most));
    for (name, value) in parameters {
        if !body.is_empty() {
            body.push('&');
        }
        body.extend(utf8_percent_encode(name, PERCENT_ENCODED));
        body.push('=');
        body.extend(utf8_percent_encode(value, PERCENT_ENCODED));
    }
    body
}

/// Returns whether a query string contains a parameter, in any percent-encoding. Query strings that
/// [`FormParameters::parse`] refuses are searched too.
#[must_use]
pub fn query_has_parameter(query: &str, name: &str) -> bool {
    let names = query.split('&').map(|pair| pair.split_once('=').map_or(pair, |(name, _)| name));
    names.map(percent_decode_str).any(|known| known.decode_utf8().is_ok_and(|known| known == name))
}

fn decode_component(text: &[u8]) -> Result<Zeroizing<String>, Problem> {
    let mut bytes = Zeroizing::new(Vec::with_capacity(text.len()));
    let mut rest = text.iter();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'+' => b' ',
            b'%' => {
                let mut digit = || rest.next().and_then(|digit| char::from(*digit).to_digit(16));
                let value = digit().zip(digit()).and_then(|(high, low)| u8::try_from(high << 4 | low).ok());
                value.ok_or_else(|| Problem::new(Code::InvalidEncoding, "an escape is incomplete"))?
            }
            byte => *byte,
        });
    }
    match std::str::from_utf8(&bytes) {
        Ok(text) => Ok(Zeroizing::new(text.to_owned())),
        Err(_) => Err(Problem::new(Code::InvalidUnicode, "a parameter is not UTF-8")),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn parameters_are_decoded_once() {
        let form = FormParameters::parse(b"a=1+2%2B3&%62=%C3%A9&c=&d&e=x=y&&f=%2525").unwrap();
        let value = |name: &str| form.get(name).map(SecretText::expose);
        assert_eq!(
            (value("a"), value("b"), value("e"), value("f")),
            (Some("1 2+3"), Some("é"), Some("x=y"), Some("%25"))
        );
        assert_eq!((value("c"), value("d"), value("g")), (None, None, None));
        assert!(form.contains("c") && form.contains("d") && !form.contains("g"));
        assert!(FormParameters::parse(b"").unwrap().get("a").is_none());
    }

    #[test]
    fn faults_are_refused() {
        let fault = |text: &[u8]| FormParameters::parse(text).unwrap_err().code;
        for twice in ["a=1&a=2", "a=1&a=1", "a&a=1", "a=1&%61=2"] {
            assert_eq!(fault(twice.as_bytes()), Code::DuplicateKey, "{twice}");
        }
        for escape in ["a=%", "a=%2", "a=%g0", "a=%+1", "%=1", "a=%-1"] {
            assert_eq!(fault(escape.as_bytes()), Code::InvalidEncoding, "{escape}");
        }
        assert_eq!(fault(b"a=%ff"), Code::InvalidUnicode);
        assert_eq!(fault(b"a=\xff"), Code::InvalidUnicode);
        let many = |count: usize| (0..count).map(|n| format!("p{n}=1")).collect::<Vec<_>>().join("&");
        assert!(FormParameters::parse(many(MAX_PARAMETERS).as_bytes()).is_ok());
        assert_eq!(fault(many(MAX_PARAMETERS + 1).as_bytes()), Code::TooLarge);
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = FormParameters::parse(&bytes);
        }

        #[test]
        fn any_text_comes_back(name in ".{1,20}", value in ".{1,40}") {
            let form = FormParameters::parse(encode_form(&[(&name, &value), ("", "&=")]).as_bytes()).unwrap();
            prop_assert_eq!(form.get(&name).map(SecretText::expose), Some(value.as_str()));
        }
    }
}
