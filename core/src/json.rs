//! Strict parser for JSON, and canonical serialisation (RFC 8785).
//!
//! Carnet has its own single-pass parser for three reasons. `serde_json` keeps the last of two members with the same
//! name. Without its `float_roundtrip` feature, it may be off by one unit in the last place, which would change the
//! signed content. With its `arbitrary_precision` feature, which any dependency may enable for the whole build, it
//! passes numbers as objects with a private name, so that an object from outside could be taken for a number. This
//! parser returns the same [`Value`] with any of these features.

use serde::Serialize;
use serde_json::{Map, Number, Value};

use crate::{Code, Problem};

mod authored;
mod typed;
mod whole;

pub use authored::parse_authored;
pub use typed::{TypeMismatch, deserialize_typed};
pub use whole::{as_integer, as_unsigned_integer};

/// Greatest integer of I-JSON, 2^53 - 1 (RFC 7493 section 2.2).
const MAX_INTEGER: u64 = 9_007_199_254_740_991;

/// Maximum nesting for parsing and canonicalisation, so that no value can exhaust the stack. It is one less than the
/// recursion limit of `serde_json`, so that written JSON can be parsed again.
const MAX_DEPTH: usize = 127;

/// Limits on JSON or CBOR input.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Maximum length of the input, in bytes.
    pub max_bytes: usize,
    /// Maximum nesting of arrays and objects. In JSON, 127 is the maximum even if this is greater.
    pub max_depth: usize,
}

impl Limits {
    /// Limits for a credential, a presentation or a DID document: 256 KiB, 32 levels.
    pub const DOCUMENT: Limits = Limits { max_bytes: 262_144, max_depth: 32 };
    /// Limits for a status list: 4 MiB, 16 levels.
    pub const STATUS_LIST: Limits = Limits { max_bytes: 4_194_304, max_depth: 16 };
    /// Limits for a token header, a disclosure or a query: 64 KiB, 16 levels.
    pub const SMALL: Limits = Limits { max_bytes: 65_536, max_depth: 16 };
}

/// Parses JSON text (RFC 8259) strictly, as I-JSON (RFC 7493): no duplicate names in an object, no integer with a
/// magnitude above 2^53 - 1, no lone surrogate, nothing but white space around the value.
///
/// # Errors
/// `too_large`, `too_deep`, `invalid_json`, `duplicate_key`, `number_range`, `invalid_unicode`. The detail states the
/// byte offset and never quotes the text.
///
/// # Examples
/// ```
/// use carnet_core::{
///     Code,
///     json::{self, Limits},
/// };
///
/// let value = json::parse(br#"{"b": 1.0, "a": [true]}"#, Limits::DOCUMENT)?;
/// assert_eq!(json::canonicalize(&value)?, br#"{"a":[true],"b":1}"#);
///
/// let twice = json::parse(br#"{"a": 1, "a": 2}"#, Limits::DOCUMENT);
/// assert_eq!(twice.unwrap_err().code, Code::DuplicateKey);
/// # Ok::<(), carnet_core::Problem>(())
/// ```
pub fn parse(bytes: &[u8], limits: Limits) -> Result<Value, Problem> {
    if bytes.len() > limits.max_bytes {
        return Err(Problem::new(
            Code::TooLarge,
            format!("{} bytes of JSON, and at most {} are accepted", bytes.len(), limits.max_bytes),
        ));
    }
    let text = std::str::from_utf8(bytes)
        .map_err(|error| Problem::new(Code::InvalidUnicode, format!("not UTF-8 at byte {}", error.valid_up_to())))?;
    Parser { text, at: 0 }.document(limits)
}

/// Parses text that must be a JSON object, with the rules of [`parse`].
///
/// # Errors
/// Those of [`parse`], and `invalid_json` if it is another kind of value.
pub fn parse_object(bytes: &[u8], limits: Limits) -> Result<Map<String, Value>, Problem> {
    match parse(bytes, limits)? {
        Value::Object(members) => Ok(members),
        _ => Err(Problem::new(Code::InvalidJson, "not a JSON object")),
    }
}

/// Returns the canonical form of RFC 8785 (JCS).
///
/// # Errors
/// `number_range` for an integer with a magnitude above 2^53 - 1 or a number that is not finite, which have no exact
/// canonical form; `too_deep` for more than 127 levels.
pub fn canonicalize(value: &Value) -> Result<Vec<u8>, Problem> {
    let plain = check_canonicalizable(value, MAX_DEPTH)?;
    let mut written = Vec::with_capacity(128);
    write_canonical(value, plain, &mut written)?;
    Ok(written)
}

/// Initial capacity for the canonical form of an object: enough for a usual credential, so that the buffer does not
/// grow step by step.
const CREDENTIAL_BYTES: usize = 2048;

/// Returns the canonical form of an object, as [`canonicalize`].
///
/// # Errors
/// Those of [`canonicalize`].
pub fn canonicalize_object(members: &Map<String, Value>) -> Result<Vec<u8>, Problem> {
    let mut plain = has_plain_names(members);
    for value in members.values() {
        plain &= check_canonicalizable(value, MAX_DEPTH)?;
    }
    let mut written = Vec::with_capacity(CREDENTIAL_BYTES);
    write_canonical(members, plain, &mut written)?;
    Ok(written)
}

/// Appends the canonical form of an SD-JWT disclosure to `written`: an array of salt, claim name (absent for an array
/// element) and value.
///
/// # Errors
/// Those of [`canonicalize`].
pub(crate) fn canonicalize_disclosure(
    salt: &str,
    name: Option<&str>,
    value: &Value,
    written: &mut Vec<u8>,
) -> Result<(), Problem> {
    let plain = check_canonicalizable(value, MAX_DEPTH)?;
    match name {
        Some(name) => write_canonical(&(salt, name, value), plain, written),
        None => write_canonical(&(salt, value), plain, written),
    }
}

/// Appends the canonical form to `written`. `plain` says that `serde_json`, which is much faster, writes the value
/// canonically.
fn write_canonical<T: Serialize + ?Sized>(value: &T, plain: bool, written: &mut Vec<u8>) -> Result<(), Problem> {
    let result = if plain {
        serde_json::to_writer(&mut *written, value)
    } else {
        serde_jcs::to_vec(value).map(|text| written.extend_from_slice(&text))
    };
    result.map_err(|_| Problem::new(Code::NumberRange, "a number has no canonical form"))
}

/// Returns whether the names are ASCII and sorted by bytes. `serde_json` then writes them in the order of RFC 8785
/// section 3.2.3.
fn has_plain_names(members: &Map<String, Value>) -> bool {
    members.keys().all(|name| name.is_ascii()) && members.keys().is_sorted()
}

/// Checks that a value has a canonical form. Returns whether `serde_json` writes it: it differs from RFC 8785 only in
/// numbers with a fraction or an exponent, and in the order of names.
///
/// # Errors
/// `number_range`, `too_deep`.
fn check_canonicalizable(value: &Value, depth: usize) -> Result<bool, Problem> {
    let below = || depth.checked_sub(1).ok_or(Code::TooDeep);
    match value {
        Value::Number(number) => {
            let exact = number.is_f64()
                || number.as_i64().is_some_and(|n| n.unsigned_abs() <= MAX_INTEGER)
                || number.as_u64().is_some_and(|n| n <= MAX_INTEGER);
            if exact && number.as_f64().is_some_and(f64::is_finite) {
                Ok(!number.is_f64())
            } else {
                Err(Code::NumberRange.into())
            }
        }
        Value::Array(items) => {
            let below = below()?;
            items.iter().try_fold(true, |plain, item| Ok(check_canonicalizable(item, below)? && plain))
        }
        Value::Object(members) => {
            let below = below()?;
            let names = has_plain_names(members);
            members.values().try_fold(names, |plain, member| Ok(check_canonicalizable(member, below)? && plain))
        }
        Value::Null | Value::Bool(_) | Value::String(_) => Ok(true),
    }
}

struct Parser<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Parser<'a> {
    /// Parses the whole text. After an error, the position is that of the error.
    fn document(&mut self, limits: Limits) -> Result<Value, Problem> {
        self.skip_blanks();
        let value = self.value(limits.max_depth.min(MAX_DEPTH))?;
        self.skip_blanks();
        if self.at < self.text.len() {
            return Err(self.invalid("something follows the value"));
        }
        Ok(value)
    }

    fn problem(&self, code: Code, what: &str) -> Problem {
        Problem::new(code, format!("{what}, at byte {}", self.at))
    }

    fn invalid(&self, what: &str) -> Problem {
        self.problem(Code::InvalidJson, what)
    }

    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    /// Advances by a number of bytes that the caller has found to exist.
    fn advance(&mut self, bytes: usize) {
        self.at = self.at.saturating_add(bytes);
    }

    fn rest(&self) -> &'a str {
        self.text.get(self.at..).unwrap_or("")
    }

    fn skip_blanks(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\n' | b'\r' | b'\t')) {
            self.advance(1);
        }
    }

    fn expect(&mut self, byte: u8, what: &str) -> Result<(), Problem> {
        if self.peek() == Some(byte) {
            self.advance(1);
            Ok(())
        } else {
            Err(self.invalid(what))
        }
    }

    /// Parses a value. `depth` is the number of levels of nesting that may still be opened.
    fn value(&mut self, depth: usize) -> Result<Value, Problem> {
        match self.peek() {
            Some(b'"') => self.string().map(Value::String),
            Some(b'{') => self.object(depth).map(Value::Object),
            Some(b'[') => self.array(depth).map(Value::Array),
            Some(b'-' | b'0'..=b'9') => self.number().map(Value::Number),
            Some(b't') => self.literal("true", Value::Bool(true)),
            Some(b'f') => self.literal("false", Value::Bool(false)),
            Some(b'n') => self.literal("null", Value::Null),
            _ => Err(self.invalid("no value")),
        }
    }

    fn literal(&mut self, literal: &str, value: Value) -> Result<Value, Problem> {
        if self.rest().starts_with(literal) {
            self.advance(literal.len());
            Ok(value)
        } else {
            Err(self.invalid("no value"))
        }
    }

    fn open(&mut self, depth: usize) -> Result<usize, Problem> {
        let below = depth.checked_sub(1).ok_or_else(|| self.problem(Code::TooDeep, "nested too deep"))?;
        self.advance(1);
        self.skip_blanks();
        Ok(below)
    }

    fn array(&mut self, depth: usize) -> Result<Vec<Value>, Problem> {
        let below = self.open(depth)?;
        let mut items = Vec::new();
        if self.peek() == Some(b']') {
            self.advance(1);
            return Ok(items);
        }
        loop {
            items.push(self.value(below)?);
            self.skip_blanks();
            match self.peek() {
                Some(b',') => self.advance(1),
                Some(b']') => {
                    self.advance(1);
                    return Ok(items);
                }
                _ => return Err(self.invalid("an array is not closed")),
            }
            self.skip_blanks();
        }
    }

    fn object(&mut self, depth: usize) -> Result<Map<String, Value>, Problem> {
        let below = self.open(depth)?;
        let mut members = Map::new();
        if self.peek() == Some(b'}') {
            self.advance(1);
            return Ok(members);
        }
        loop {
            let name_at = self.at;
            let name = self.string()?;
            self.skip_blanks();
            self.expect(b':', "a member has no value")?;
            self.skip_blanks();
            let value = self.value(below)?;
            if members.insert(name, value).is_some() {
                self.at = name_at;
                return Err(self.problem(Code::DuplicateKey, "a name occurs twice in an object"));
            }
            self.skip_blanks();
            match self.peek() {
                Some(b',') => self.advance(1),
                Some(b'}') => {
                    self.advance(1);
                    return Ok(members);
                }
                _ => return Err(self.invalid("an object is not closed")),
            }
            self.skip_blanks();
        }
    }

    fn string(&mut self) -> Result<String, Problem> {
        self.expect(b'"', "a string is missing")?;
        let mut text = String::new();
        loop {
            let rest = self.rest();
            let plain = plain_length(rest.as_bytes()).ok_or_else(|| self.invalid("a string is not closed"))?;
            text.push_str(rest.get(..plain).unwrap_or(""));
            self.advance(plain);
            match self.peek() {
                Some(b'"') => {
                    self.advance(1);
                    return Ok(text);
                }
                Some(b'\\') => {
                    self.advance(1);
                    text.push(self.escape()?);
                }
                _ => return Err(self.invalid("a string contains a control character")),
            }
        }
    }

    fn escape(&mut self) -> Result<char, Problem> {
        let escaped = match self.peek() {
            Some(b'"') => '"',
            Some(b'\\') => '\\',
            Some(b'/') => '/',
            Some(b'b') => '\u{8}',
            Some(b'f') => '\u{c}',
            Some(b'n') => '\n',
            Some(b'r') => '\r',
            Some(b't') => '\t',
            Some(b'u') => {
                self.advance(1);
                return self.unicode_escape();
            }
            _ => return Err(self.invalid("an escape is unknown")),
        };
        self.advance(1);
        Ok(escaped)
    }

    fn unicode_escape(&mut self) -> Result<char, Problem> {
        let lone = |parser: &Self| parser.problem(Code::InvalidUnicode, "a surrogate is unpaired");
        let first = self.hex4()?;
        if !(0xD800..=0xDBFF).contains(&first) {
            return char::from_u32(first).ok_or_else(|| lone(self));
        }
        if !self.rest().starts_with("\\u") {
            return Err(lone(self));
        }
        self.advance(2);
        let second = self.hex4()?;
        if !(0xDC00..=0xDFFF).contains(&second) {
            return Err(lone(self));
        }
        let scalar = (((first & 0x3FF) << 10) | (second & 0x3FF)).saturating_add(0x1_0000);
        char::from_u32(scalar).ok_or_else(|| lone(self))
    }

    fn hex4(&mut self) -> Result<u32, Problem> {
        let digits = self
            .rest()
            .get(..4)
            .filter(|digits| digits.bytes().all(|byte| byte.is_ascii_hexdigit()))
            .ok_or_else(|| self.invalid("an escape lacks four hexadecimal digits"))?;
        self.advance(4);
        u32::from_str_radix(digits, 16).map_err(|_| self.invalid("an escape lacks four hexadecimal digits"))
    }

    fn digits(&mut self) -> Result<(), Problem> {
        if !matches!(self.peek(), Some(b'0'..=b'9')) {
            return Err(self.invalid("a number lacks a digit"));
        }
        while matches!(self.peek(), Some(b'0'..=b'9')) {
            self.advance(1);
        }
        Ok(())
    }

    fn number(&mut self) -> Result<Number, Problem> {
        let from = self.at;
        let mut integer = true;
        if self.peek() == Some(b'-') {
            self.advance(1);
        }
        if self.peek() == Some(b'0') {
            self.advance(1);
            if matches!(self.peek(), Some(b'0'..=b'9')) {
                return Err(self.invalid("a number begins with a zero"));
            }
        } else {
            self.digits()?;
        }
        if self.peek() == Some(b'.') {
            integer = false;
            self.advance(1);
            self.digits()?;
        }
        if matches!(self.peek(), Some(b'e' | b'E')) {
            integer = false;
            self.advance(1);
            if matches!(self.peek(), Some(b'+' | b'-')) {
                self.advance(1);
            }
            self.digits()?;
        }
        let text = self.text.get(from..self.at).unwrap_or("");
        let number = if integer {
            // "-0" becomes 0 here: the two are the same number, and JCS writes both as 0.
            text.parse::<i64>().ok().filter(|n| n.unsigned_abs() <= MAX_INTEGER).map(Number::from)
        } else {
            text.parse::<f64>().ok().and_then(Number::from_f64)
        };
        number.ok_or_else(|| {
            self.at = from;
            self.problem(Code::NumberRange, "a number is outside the I-JSON range")
        })
    }
}

/// Returns the number of bytes before the first quote, backslash or control character; `None` without one.
///
/// Most of a document is the inside of strings, so this looks at eight bytes at a time.
fn plain_length(bytes: &[u8]) -> Option<usize> {
    const ONES: u64 = 0x0101_0101_0101_0101;
    const HIGH: u64 = 0x8080_8080_8080_8080;
    // Whether some byte is below n: it borrows from its high bit, which is not set in it.
    let any_below = |word: u64, n: u64| word.wrapping_sub(ONES.wrapping_mul(n)) & !word & HIGH != 0;
    let is_plain = |word: u64| {
        !any_below(word, 0x20)
            && !any_below(word ^ ONES.wrapping_mul(u64::from(b'"')), 1)
            && !any_below(word ^ ONES.wrapping_mul(u64::from(b'\\')), 1)
    };
    let (words, _) = bytes.as_chunks::<8>();
    let skipped = words.iter().take_while(|word| is_plain(u64::from_le_bytes(**word))).count().saturating_mul(8);
    let rest = bytes.get(skipped..)?;
    let found = rest.iter().position(|byte| matches!(byte, b'"' | b'\\' | 0..=0x1f))?;
    Some(skipped.saturating_add(found))
}

#[cfg(test)]
mod tests;
