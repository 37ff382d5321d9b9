//! Strict parser for CBOR (RFC 8949).
//!
//! Size and nesting are bounded before parsing. Only the deterministic form is accepted: definite lengths, shortest
//! integers, no duplicate map keys. Tags are refused, as no supported format has any. A float may have any of the three
//! widths, and cannot be a map key.

use std::collections::BTreeSet;

use coset::cbor::{self, Value};

use crate::{Code, Problem, json::Limits};

/// Maximum number of data items, nested ones included: many small items take many times their encoded size in memory.
const MAX_ITEMS: usize = 1_024;

/// Parses one data item that takes up the whole input.
///
/// # Errors
/// `too_large` (more bytes than the limit, or more than 1,024 items), `too_deep`, `duplicate_key`, `invalid_unicode`;
/// `token_malformed` for everything else.
pub(crate) fn parse(bytes: &[u8], limits: Limits) -> Result<Value, Problem> {
    if bytes.len() > limits.max_bytes {
        return Err(Code::TooLarge.into());
    }
    let mut room = MAX_ITEMS;
    if !item(bytes, limits.max_depth, &mut room)?.is_empty() {
        return Err(malformed("something follows the value"));
    }
    // All that is left to be wrong is text.
    cbor::from_reader(bytes).map_err(|_| Problem::new(Code::InvalidUnicode, "a text in the CBOR is not UTF-8"))
}

/// Checks one data item and those in it, and returns the bytes after it. `room` is the number of items that are still
/// allowed.
fn item<'a>(bytes: &'a [u8], depth: usize, room: &mut usize) -> Result<&'a [u8], Problem> {
    *room = room.checked_sub(1).ok_or_else(|| Problem::new(Code::TooLarge, "the CBOR has too many items"))?;
    let (major, argument, rest) = head(bytes)?;
    let deeper =
        || depth.checked_sub(1).ok_or_else(|| Problem::new(Code::TooDeep, "the CBOR nests deeper than its limit"));
    match major {
        0 | 1 => Ok(rest),
        2 | 3 => usize::try_from(argument).ok().and_then(|length| rest.get(length..)).ok_or_else(cut),
        4 => {
            let depth = deeper()?;
            (0..argument).try_fold(rest, |rest, _| item(rest, depth, room))
        }
        5 => {
            let depth = deeper()?;
            let mut keys = BTreeSet::new();
            (0..argument).try_fold(rest, |rest, _| {
                if is_float(rest) {
                    // Another width could encode the same number.
                    return Err(malformed("a float as the key of a map"));
                }
                let after = item(rest, depth, room)?;
                // Each value has one form here, so that two keys are equal where their bytes are.
                let key = rest.len().checked_sub(after.len()).and_then(|length| rest.get(..length));
                if !keys.insert(key) {
                    return Err(Problem::new(Code::DuplicateKey, "a map of the CBOR has a key twice"));
                }
                item(after, depth, room)
            })
        }
        7 if matches!(argument, 20..=22) || is_float(bytes) => Ok(rest),
        _ => Err(malformed("an unsupported kind of item")),
    }
}

/// Returns whether the first item is a float of two, four or eight bytes.
fn is_float(bytes: &[u8]) -> bool {
    matches!(bytes.first(), Some(0xf9..=0xfb))
}

/// Returns the major type of an item, its argument (RFC 8949 section 3), and the bytes after both.
fn head(bytes: &[u8]) -> Result<(u8, u64, &[u8]), Problem> {
    let (first, rest) = bytes.split_first().ok_or_else(cut)?;
    let (major, short) = (first >> 5, first & 0x1f);
    let width = match short {
        0..=23 => return Ok((major, short.into(), rest)),
        24 => 1,
        25 => 2,
        26 => 4,
        27 => 8,
        _ => return Err(malformed("an indefinite length")),
    };
    let (argument, rest) = rest.split_at_checked(width).ok_or_else(cut)?;
    let argument = argument.iter().fold(0_u64, |all, byte| (all << 8) | u64::from(*byte));
    let least = match width {
        1 => 24,
        2 => 1 << 8,
        4 => 1 << 16,
        _ => 1 << 32,
    };
    // Of a float the argument is its bits.
    if is_float(bytes) {
        return Ok((major, argument, rest));
    }
    if argument < least || major == 7 {
        return Err(malformed("a number that is longer than it needs to be"));
    }
    Ok((major, argument, rest))
}

fn malformed(what: &str) -> Problem {
    Problem::new(Code::TokenMalformed, format!("the CBOR contains {what}"))
}

fn cut() -> Problem {
    malformed("fewer bytes than it declares")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn refused(bytes: &[u8], code: Code) {
        assert_eq!(parse(bytes, Limits::SMALL).unwrap_err().code, code, "{bytes:02x?}");
    }

    #[test]
    fn each_value_has_one_form() {
        let value = parse(&[0xa2, 0x01, 0x43, 1, 2, 3, 0x61, b'a', 0x83, 0x20, 0xf6, 0x18, 24], Limits::SMALL).unwrap();
        let list = vec![Value::from(-1), Value::Null, Value::from(24)];
        assert_eq!(value, Value::Map(vec![(1.into(), Value::Bytes(vec![1, 2, 3])), ("a".into(), Value::Array(list))]));
        for bytes in [
            &[][..],
            &[0x00, 0x00], // two values
            &[0x18, 23],   // longer than it needs to be
            &[0x19, 0, 255],
            &[0x1a, 0, 0, 255, 255],
            &[0x1b, 0, 0, 0, 0, 255, 255, 255, 255],
            &[0x9f, 0xff], // no definite length
            &[0x5f, 0x41, 0, 0xff],
            &[0x42, 0], // cut off
            &[0x9b, 255, 255, 255, 255, 255, 255, 255, 255],
            &[0x5b, 255, 255, 255, 255, 255, 255, 255, 255],
            &[0xc2, 0x41, 1],          // a number in another form
            &[0xa1, 0xf9, 0x3c, 0, 0], // a float as a key
            &[0xf9, 0x3c],             // a float cut off
            &[0xe0],                   // a simple value that means nothing
            &[0xf8, 20],
            &[0x1c],
        ] {
            refused(bytes, Code::TokenMalformed);
        }
        refused(&[0x61, 0xff], Code::InvalidUnicode);
    }

    #[test]
    fn a_float_has_any_width() {
        let one = [&[0xf9, 0x3c, 0][..], &[0xfa, 0x3f, 0x80, 0, 0], &[0xfb, 0x3f, 0xf0, 0, 0, 0, 0, 0, 0]];
        for bytes in one {
            assert_eq!(parse(bytes, Limits::SMALL).unwrap(), Value::Float(1.0));
        }
    }

    #[test]
    fn a_key_may_stand_once_in_a_map() {
        assert!(parse(&[0xa2, 1, 0xa1, 1, 0, 2, 0xa1, 1, 0], Limits::SMALL).is_ok());
        refused(&[0xa2, 1, 0, 1, 0], Code::DuplicateKey);
        refused(&[0x81, 0xa3, 0x61, b'a', 0, 0x61, b'b', 0, 0x61, b'a', 1], Code::DuplicateKey);
    }

    #[test]
    fn size_depth_and_number_are_bounded() {
        let nested = |depth: usize| [vec![0x81; depth], vec![0]].concat();
        assert!(parse(&nested(16), Limits::SMALL).is_ok());
        refused(&nested(17), Code::TooDeep);
        refused(&nested(60_000), Code::TooDeep);
        refused(&nested(65_536), Code::TooLarge);
        let items = |count: u8| [vec![0x98, count], vec![0; usize::from(count)]].concat();
        let several = |count: u8| [vec![0x80 | count], items(254).repeat(usize::from(count))].concat();
        assert!(parse(&several(4), Limits::SMALL).is_ok());
        refused(&several(5), Code::TooLarge);
    }

    proptest! {
        // Small bytes, of which many are CBOR.
        #[test]
        fn what_is_read_has_the_form_in_which_it_is_written(
            bytes in prop::collection::vec(prop_oneof![any::<u8>(), 0_u8..4, 0x40_u8..0x44, 0x80_u8..0x84, 0xa0_u8..0xa3], 0..12)
        ) {
            if let Ok(value) = parse(&bytes, Limits::SMALL) {
                let mut again = Vec::new();
                cbor::into_writer(&value, &mut again).unwrap();
                // But for the widths of floats. As text, since one that is no number equals none.
                let floats = bytes.iter().any(|byte| matches!(byte, 0xf9..=0xfb));
                let alike = || format!("{:?}", parse(&again, Limits::SMALL).unwrap()) == format!("{:?}", value);
                prop_assert!(again == bytes || (floats && alike()));
            }
        }
    }
}
