//! Errors in JSON that a person has written, by line and column.

use serde_json::Value;

use super::{Limits, Parser, parse};
use crate::{Code, Problem, text::quoted};

/// Parses JSON text that the reader of the error has written, with the rules of [`parse`].
///
/// # Errors
/// Those of [`parse`]; the detail states line and column instead of the byte, and the name that occurs twice in an
/// object. Values are not quoted.
///
/// # Examples
/// ```
/// use carnet_core::json::{Limits, parse_authored};
///
/// let broken = parse_authored(b"{\n  \"a\": 1\n  \"b\": 2\n}", Limits::SMALL).unwrap_err();
/// assert_eq!(broken.detail, "an object is not closed, at line 3, column 3");
/// ```
pub fn parse_authored(bytes: &[u8], limits: Limits) -> Result<Value, Problem> {
    parse(bytes, limits).map_err(|problem| located(bytes, limits, problem))
}

fn located(bytes: &[u8], limits: Limits, problem: Problem) -> Problem {
    let text = match std::str::from_utf8(bytes) {
        Ok(text) if bytes.len() <= limits.max_bytes => text,
        // Its detail has no position in a text.
        _ => return problem,
    };
    let mut parser = Parser { text, at: 0 };
    if parser.document(limits).is_ok() {
        return problem;
    }
    let byte = format!(", at byte {}", parser.at);
    let Some(what) = problem.detail.strip_suffix(&byte) else { return problem };
    let before = text.get(..parser.at).unwrap_or(text);
    let line = before.matches('\n').count().saturating_add(1);
    let column = before.rsplit('\n').next().unwrap_or_default().chars().count().saturating_add(1);
    let name = match problem.code {
        Code::DuplicateKey => parser.string().map(|name| format!(": {}", quoted(&name))).unwrap_or_default(),
        _ => String::new(),
    };
    Problem::new(problem.code, format!("{what}{name}, at line {line}, column {column}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_is_found_by_line_and_column_and_a_repeated_name_is_named() {
        for (text, code, expected) in [
            (
                "{\r\n \"familyName\": \"É\", \"familyName\": \"secret\"}",
                Code::DuplicateKey,
                "a name occurs twice in an object: \"familyName\", at line 2, column 21",
            ),
            ("{\"a\": 1,}", Code::InvalidJson, "a string is missing, at line 1, column 9"),
            ("[1]\n\n]", Code::InvalidJson, "something follows the value, at line 3, column 1"),
            ("", Code::InvalidJson, ", at line 1, column 1"),
        ] {
            let problem = parse_authored(text.as_bytes(), Limits::SMALL).unwrap_err();
            assert_eq!(problem.code, code, "{text}");
            assert!(problem.detail.ends_with(expected) && !problem.detail.contains("secret"), "{}", problem.detail);
        }
        let wrong = parse_authored(b"\"\xff\"", Limits::SMALL).unwrap_err();
        assert_eq!((wrong.code, wrong.detail.as_str()), (Code::InvalidUnicode, "not UTF-8 at byte 1"));
        let small = Limits { max_bytes: 2, max_depth: 2 };
        assert_eq!(parse_authored(b"[1]", small).unwrap_err().code, Code::TooLarge);
        assert_eq!(parse_authored(b"{\"a\": [1]}", Limits::SMALL).unwrap(), serde_json::json!({"a": [1]}));
    }
}
