//! Claims path pointers (OpenID4VP 1.0 section 7).

use serde_json::{Map, Value};

use crate::{
    Code, Problem, json,
    secure::sd_jwt::{ClaimPath, Step},
};

/// Maximum number of steps in a path.
const MAX_STEPS: usize = 16;

/// Parses a claims path pointer: an array of 1 to 16 strings (a member), nulls (every element) and non-negative
/// integers (one element).
///
/// # Errors
/// `query_malformed` for anything else.
pub fn parse_path(value: &Value) -> Result<ClaimPath, Problem> {
    let malformed = |detail: &str| Problem::new(Code::QueryMalformed, format!("a claim path {detail}"));
    let steps = value.as_array().ok_or_else(|| malformed("is not an array"))?;
    if steps.is_empty() || steps.len() > MAX_STEPS {
        return Err(malformed("is empty or too long"));
    }
    steps
        .iter()
        .map(|step| match step {
            Value::String(name) => Ok(Step::Name(name.clone())),
            Value::Null => Ok(Step::All),
            Value::Number(_) => json::as_unsigned_integer(step)
                .and_then(|index| usize::try_from(index).ok())
                .map(Step::Index)
                .ok_or_else(|| malformed("has a number that is not an array index")),
            _ => Err(malformed("has a step that is neither a string, a number nor null")),
        })
        .collect()
}

/// Returns the path as the JSON array of a claims path pointer.
#[must_use]
pub fn path_to_json(path: &[Step]) -> Value {
    path.iter()
        .map(|step| match step {
            Step::Name(name) => Value::from(name.as_str()),
            Step::Index(index) => Value::from(*index),
            Step::All => Value::Null,
        })
        .collect()
}

/// Returns the path as text for people and logs: `credentialSubject.rightToWork`, `a[0].b`, `a[].b`.
#[must_use]
pub fn path_to_text(path: &[Step]) -> String {
    let mut text = String::new();
    for step in path {
        match step {
            Step::Name(name) => {
                if !text.is_empty() {
                    text.push('.');
                }
                text.push_str(name);
            }
            Step::Index(index) => text.push_str(&format!("[{index}]")),
            Step::All => text.push_str("[]"),
        }
    }
    text
}

/// Returns every value that a path selects in a document, each with its concrete path, in which an index replaces each
/// `All`. Empty if the path selects nothing.
#[must_use]
pub fn values_at<'a>(document: &'a Map<String, Value>, path: &[Step]) -> Vec<(ClaimPath, &'a Value)> {
    let Some((Step::Name(first), rest)) = path.split_first() else { return Vec::new() };
    let Some(value) = document.get(first) else { return Vec::new() };
    let mut found = vec![(vec![Step::Name(first.clone())], value)];
    for step in rest {
        found = found.into_iter().flat_map(|(at, value)| follow(at, value, step)).collect();
    }
    found
}

fn follow<'a>(at: ClaimPath, value: &'a Value, step: &Step) -> Vec<(ClaimPath, &'a Value)> {
    let longer = |step: Step| at.iter().cloned().chain([step]).collect::<ClaimPath>();
    match (step, value) {
        (Step::Name(name), Value::Object(members)) => {
            members.get(name).map(|value| (longer(step.clone()), value)).into_iter().collect()
        }
        (Step::Index(index), Value::Array(items)) => {
            items.get(*index).map(|value| (longer(step.clone()), value)).into_iter().collect()
        }
        (Step::All, Value::Array(items)) => {
            items.iter().enumerate().map(|(index, value)| (longer(Step::Index(index)), value)).collect()
        }
        _ => Vec::new(),
    }
}

/// Returns whether two paths are equal or one is a prefix of the other. `All` matches any index.
pub(super) fn is_prefix_or_extension(asked: &[Step], path: &[Step]) -> bool {
    asked.iter().zip(path).all(|(a, b)| match (a, b) {
        (Step::All, Step::Index(_)) | (Step::Index(_), Step::All) => true,
        (a, b) => a == b,
    })
}

/// Returns whether `outer` is the path of a claim, or of one that contains it, where `All` stands for any index.
#[must_use]
pub fn contains(outer: &[Step], path: &[Step]) -> bool {
    outer.len() <= path.len() && is_prefix_or_extension(outer, path)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_path_is_read_and_written() {
        let json = json!(["a", null, 3, "b"]);
        let path = parse_path(&json).unwrap();
        assert_eq!(path_to_json(&path), json);
        assert_eq!(path_to_text(&path), "a[][3].b");
        assert_eq!(parse_path(&json!(["a", null, 3.0, "b"])).unwrap(), path);
        for bad in [json!([]), json!("a"), json!([true]), json!([-1]), json!([1.5]), json!(vec!["a"; 17])] {
            assert_eq!(parse_path(&bad).unwrap_err().code, Code::QueryMalformed, "{bad}");
        }
    }

    #[test]
    fn values_are_found_with_concrete_paths() {
        let document = json!({"a": [{"b": 1}, {"c": 2}, {"b": 3}]});
        let path = parse_path(&json!(["a", null, "b"])).unwrap();
        let found = values_at(document.as_object().unwrap(), &path);
        let texts: Vec<_> = found.iter().map(|(path, value)| (path_to_text(path), value.as_i64().unwrap())).collect();
        assert_eq!(texts, [("a[0].b".to_owned(), 1), ("a[2].b".to_owned(), 3)]);
        assert!(values_at(document.as_object().unwrap(), &[Step::All]).is_empty());
    }
}
