//! Values of a document in either syntax.

use carnet_core::{Code, Problem};
use serde_json::Value;

/// Returns the problem of a member that the signature would not cover.
pub(crate) fn unsigned_syntax(name: &str, what: &str) -> Problem {
    Problem::new(Code::Transformation, format!("`{name}` {what}, which the signature would not cover"))
}

/// Greatest integer in I-JSON (RFC 7493 section 2.2).
const MAX_INTEGER: f64 = 9_007_199_254_740_991.0;

/// Returns a number in one form: 1, 1.0 and 1e0 are the same integer.
pub(crate) fn plain_number(name: &str, number: &serde_json::Number) -> Result<Value, Problem> {
    let refuse =
        || Problem::new(Code::Transformation, format!("`{name}` is a number that has no single canonical form"));
    let value = number.as_f64().filter(|value| value.is_finite()).ok_or_else(refuse)?;
    if value.fract() == 0.0 {
        if value.abs() > MAX_INTEGER {
            return Err(refuse());
        }
        #[allow(clippy::cast_possible_truncation, reason = "an integer within 53 bits, as checked above")]
        return Ok(Value::from(value as i64));
    }
    let digits = format!("{value:e}").chars().take_while(|c| *c != 'e').filter(char::is_ascii_digit).count();
    if digits > 15 {
        return Err(refuse());
    }
    serde_json::Number::from_f64(value).map(Value::Number).ok_or_else(refuse)
}
