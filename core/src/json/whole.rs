//! Integers in JSON, in any notation.

use serde_json::Value;

use super::MAX_INTEGER;

/// Returns the integer that a value is, in any notation: `1`, `1.0` and `1e0` are the same number (RFC 8259 section 6),
/// and RFC 8785 writes them alike. `None` for a fraction, for a number with a decimal point or an exponent and a
/// magnitude above 2^53 - 1, and for any other value.
#[must_use]
pub fn as_integer(value: &Value) -> Option<i64> {
    value.as_i64().or_else(|| whole_float(value.as_f64()?))
}

/// Returns the integer that a value is, like [`as_integer`]; `None` also for a negative one.
#[must_use]
pub fn as_unsigned_integer(value: &Value) -> Option<u64> {
    as_integer(value).and_then(|number| u64::try_from(number).ok())
}

/// Returns a number without a fraction as an integer; `None` for a fraction, for a magnitude above 2^53 - 1, and for a
/// number that is not finite.
pub(super) fn whole_float(number: f64) -> Option<i64> {
    // Also not for one that is not finite.
    (number.fract() == 0.0 && number.abs() <= MAX_INTEGER as f64).then_some(number as i64)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::json::{Limits, parse};

    #[test]
    fn a_whole_number_is_one_however_it_is_written() {
        let read = |text: &str| as_integer(&parse(text.as_bytes(), Limits::SMALL).unwrap());
        for text in ["6", "6.0", "6.00", "6e0", "0.6e1", "60E-1"] {
            assert_eq!(read(text), Some(6), "{text}");
        }
        for (text, number) in
            [("0", 0), ("-0", 0), ("-0.0", 0), ("-6.0", -6), ("9007199254740991.0", 9_007_199_254_740_991)]
        {
            assert_eq!(read(text), Some(number), "{text}");
        }
        for text in ["6.5", "9007199254740992.0", "1e300", "\"6\"", "true", "null", "[6]"] {
            assert_eq!(read(text), None, "{text}");
        }
        assert_eq!(as_unsigned_integer(&json!(6.0)), Some(6));
        assert_eq!(as_unsigned_integer(&json!(-6.0)), None);
    }
}
