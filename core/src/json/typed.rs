//! Deserialisation that reports the path of an error and accepts integers in any notation.

use std::{cell::RefCell, fmt};

use serde::{
    de::{self, DeserializeOwned, DeserializeSeed, Deserializer, IntoDeserializer as _, MapAccess, SeqAccess, Visitor},
    forward_to_deserialize_any,
};
use serde_json::{Map, Value};

use super::as_integer;

/// Error for a value that is not of the expected type.
#[derive(Debug)]
pub struct TypeMismatch {
    /// Path of the value: names and indexes from the root, such as `LoTE.TrustedEntitiesList[0]`; empty for the root
    /// itself.
    pub path: String,
    /// Description of the error. It may quote a value.
    pub detail: String,
}

impl fmt::Display for TypeMismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { path, detail: fault } = self;
        if path.is_empty() { f.write_str(fault) } else { write!(f, "{path}: {fault}") }
    }
}

/// Deserialises a value. Integers may have a decimal point or an exponent, as in `1.0` ([`as_integer`]). Unlike in
/// `serde_json`, an array is no struct.
///
/// # Errors
/// [`TypeMismatch`]
pub fn deserialize_typed<T: DeserializeOwned>(value: Value) -> Result<T, TypeMismatch> {
    let path = RefCell::new(Vec::new());
    T::deserialize(Tracked { value, path: &path }).map_err(|fault: serde_json::Error| TypeMismatch {
        path: path.into_inner().concat(),
        detail: fault.to_string(),
    })
}

/// Value that is being deserialised, and its path.
struct Tracked<'p> {
    value: Value,
    path: &'p RefCell<Vec<String>>,
}

type Fault = serde_json::Error;

/// Deserialises integer types: a whole number in any notation is passed on as an integer, and any other value
/// unchanged.
macro_rules! integers {
    ($($name:ident)*) => {$(
        fn $name<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
            match as_integer(&self.value) {
                Some(number) => visitor.visit_i64(number),
                None => self.deserialize_any(visitor),
            }
        }
    )*};
}

impl<'de> Deserializer<'de> for Tracked<'_> {
    type Error = Fault;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        match self.value {
            Value::Array(items) => visitor.visit_seq(Items { items: items.into_iter().enumerate(), path: self.path }),
            Value::Object(members) => {
                visitor.visit_map(Members { members: members.into_iter(), value: None, path: self.path })
            }
            other => other.deserialize_any(visitor),
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        if self.value.is_null() { visitor.visit_none() } else { visitor.visit_some(self) }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, _: &'static str, visitor: V) -> Result<V::Value, Fault> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Fault> {
        self.value.deserialize_enum(name, variants, visitor)
    }

    /// Refuses an array: serde would assign its elements to the fields of the struct in their order.
    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Fault> {
        if self.value.is_array() {
            return Err(de::Error::invalid_type(de::Unexpected::Seq, &visitor));
        }
        self.deserialize_any(visitor)
    }

    integers! {
        deserialize_i8 deserialize_i16 deserialize_i32 deserialize_i64
        deserialize_u8 deserialize_u16 deserialize_u32 deserialize_u64
    }

    forward_to_deserialize_any! {
        bool i128 u128 f32 f64 char str string bytes byte_buf unit unit_struct seq tuple tuple_struct map
        identifier ignored_any
    }
}

/// Deserialises a nested value. `step` is appended to the path, and removed again only if that succeeds.
fn below<'de, S: DeserializeSeed<'de>>(
    seed: S,
    value: Value,
    step: String,
    path: &RefCell<Vec<String>>,
) -> Result<S::Value, Fault> {
    path.borrow_mut().push(step);
    let read = seed.deserialize(Tracked { value, path })?;
    path.borrow_mut().pop();
    Ok(read)
}

struct Items<'p> {
    items: std::iter::Enumerate<std::vec::IntoIter<Value>>,
    path: &'p RefCell<Vec<String>>,
}

impl<'de> SeqAccess<'de> for Items<'_> {
    type Error = Fault;

    fn next_element_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>, Fault> {
        let Some((index, value)) = self.items.next() else { return Ok(None) };
        below(seed, value, format!("[{index}]"), self.path).map(Some)
    }
}

struct Members<'p> {
    members: <Map<String, Value> as IntoIterator>::IntoIter,
    value: Option<(String, Value)>,
    path: &'p RefCell<Vec<String>>,
}

impl<'de> MapAccess<'de> for Members<'_> {
    type Error = Fault;

    fn next_key_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>, Fault> {
        let Some((name, value)) = self.members.next() else { return Ok(None) };
        let dot = if self.path.borrow().is_empty() { "" } else { "." };
        self.value = Some((format!("{dot}{name}"), value));
        seed.deserialize(name.into_deserializer()).map(Some)
    }

    fn next_value_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<S::Value, Fault> {
        let (step, value) = self.value.take().ok_or_else(|| de::Error::custom("a value was read before its name"))?;
        below(seed, value, step, self.path)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde::Deserialize;
    use serde_json::json;

    use super::*;

    #[derive(Debug, PartialEq, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Outer {
        version: u8,
        #[serde(default)]
        note: Option<String>,
        inner: Vec<Inner>,
        #[serde(default)]
        texts: BTreeMap<String, String>,
        #[serde(default)]
        raw: Option<Value>,
    }

    #[derive(Debug, PartialEq, Deserialize)]
    struct Inner {
        at: i64,
    }

    fn fault(value: Value) -> String {
        deserialize_typed::<Outer>(value).unwrap_err().to_string()
    }

    #[test]
    fn a_fault_says_where_it_is() {
        let said = fault(json!({"version": 1, "inner": [{"at": 1}, {"at": null}]}));
        assert!(said.starts_with("inner[1].at: invalid type: null"), "{said}");
        let said = fault(json!({"version": 1, "inner": [], "texts": {"en": 1}}));
        assert!(said.starts_with("texts.en: invalid type: integer"), "{said}");
        assert!(fault(json!({"version": null, "inner": []})).starts_with("version: invalid type: null"));
        assert!(fault(json!({"version": 1, "inner": [{}]})).starts_with("inner[0]: missing field `at`"));
        assert!(fault(json!({"version": 1, "inner": [], "x": 1})).contains("unknown field `x`"));
        assert!(fault(json!([1, null, []])).starts_with("invalid type: sequence"));
    }

    #[test]
    fn whole_numbers_are_read_in_any_form() {
        let plain: Outer = deserialize_typed(json!({"version": 6, "inner": [{"at": -2}]})).unwrap();
        assert_eq!(deserialize_typed::<Outer>(json!({"version": 6.0, "inner": [{"at": -2.0}]})).unwrap(), plain);
        for bad in [json!(6.5), json!(256.0), json!(-1.0), json!("6"), json!(1e300)] {
            let said = fault(json!({"version": bad, "inner": []}));
            assert!(said.starts_with("version: invalid"), "{said}");
        }
    }

    #[test]
    fn what_is_read_is_what_serde_json_reads() {
        let value = json!({"version": 1, "note": null, "inner": [{"at": 5}], "texts": {"en": "a"},
            "raw": {"b": [1, 1.0, 1.5, null, true, "x"]}});
        let own: Outer = deserialize_typed(value.clone()).unwrap();
        assert_eq!(own, serde_json::from_value(value.clone()).unwrap());
        assert_eq!(own.raw, value.get("raw").cloned());
    }
}
