//! JSON as protobuf values.

use prost_types::{ListValue, Struct, Value, value::Kind};

/// Converts a JSON object; `None` for anything else.
pub(crate) fn to_struct(value: &serde_json::Value) -> Option<Struct> {
    match to_value(value).kind {
        Some(Kind::StructValue(members)) => Some(members),
        _ => None,
    }
}

fn to_value(value: &serde_json::Value) -> Value {
    let kind = match value {
        serde_json::Value::Null => Kind::NullValue(0),
        serde_json::Value::Bool(truth) => Kind::BoolValue(*truth),
        serde_json::Value::Number(number) => Kind::NumberValue(number.as_f64().unwrap_or(f64::NAN)),
        serde_json::Value::String(text) => Kind::StringValue(text.clone()),
        serde_json::Value::Array(items) => Kind::ListValue(ListValue { values: items.iter().map(to_value).collect() }),
        serde_json::Value::Object(members) => Kind::StructValue(Struct {
            fields: members.iter().map(|(name, value)| (name.clone(), to_value(value))).collect(),
        }),
    };
    Value { kind: Some(kind) }
}
