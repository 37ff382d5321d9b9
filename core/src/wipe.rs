//! Erasure of claims from memory after use.

use serde_json::Value;
use zeroize::Zeroize as _;

/// Overwrites every string in a value with zeros, and replaces numbers and booleans with null. Member names are kept:
/// they come from the schema.
pub fn wipe(value: &mut Value) {
    match value {
        Value::String(text) => text.zeroize(),
        Value::Array(items) => items.iter_mut().for_each(wipe),
        Value::Object(members) => members.values_mut().for_each(wipe),
        Value::Null | Value::Bool(_) | Value::Number(_) => *value = Value::Null,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn wiping_leaves_no_value() {
        let mut value = json!({"a": ["secret", 7, true, {"b": "x"}]});
        wipe(&mut value);
        assert_eq!(value, json!({"a": ["", null, null, {"b": ""}]}));
    }
}
