//! Percent-encoding of URI components.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

/// Characters that are percent-encoded: all except the unreserved ones of RFC 3986 section 2.3.
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// Returns the text percent-encoded for a query parameter value (RFC 3986 section 2.1).
#[must_use]
pub fn percent_encode(text: &str) -> String {
    // Capacity for the whole text, which may be a secret offer: reallocation would leave copies in memory.
    let mut encoded = String::with_capacity(text.len().saturating_mul(3));
    encoded.extend(utf8_percent_encode(text, RESERVED));
    encoded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_but_the_unreserved_characters_are_encoded() {
        assert_eq!(percent_encode("http://[::1]:7/a b~é"), "http%3A%2F%2F%5B%3A%3A1%5D%3A7%2Fa%20b~%C3%A9");
        for byte in 0..128_u8 {
            let kept = byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
            let text = char::from(byte).to_string();
            let expected = if kept { text.clone() } else { format!("%{byte:02X}") };
            assert_eq!(percent_encode(&text), expected);
        }
    }
}
