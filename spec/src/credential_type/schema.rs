//! JSON Schema of a type, compiled on first use.

use std::sync::OnceLock;

use carnet_core::time::Timestamp;
use jsonschema::{Draft, Validator};
use serde_json::Value;

/// Validator of a type's schema. It is compiled on first use: compilation takes milliseconds, and most programs need
/// few types.
#[derive(Debug, Default)]
pub(super) struct SchemaValidator(OnceLock<Result<Validator, String>>);

impl SchemaValidator {
    /// Returns the compiled validator. `schema` must be the same in every call.
    ///
    /// # Errors
    /// Description of the error, if it is not a JSON Schema of draft 2020-12.
    pub(super) fn compiled(&self, schema: &Value) -> Result<&Validator, &str> {
        self.0.get_or_init(|| compile(schema)).as_ref().map_err(String::as_str)
    }
}

fn compile(schema: &Value) -> Result<Validator, String> {
    jsonschema::options()
        .with_draft(Draft::Draft202012)
        .should_validate_formats(true)
        // An instant is a dateTimeStamp of XML Schema (VCDM 2.0 section 4.9), which has more forms than RFC 3339.
        .with_format("date-time", |text: &str| Timestamp::parse(text).is_ok())
        .should_ignore_unknown_formats(false)
        .offline()
        .build(schema)
        .map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::{CredentialType, embedded, type_files::TypeFiles};

    #[test]
    fn every_built_in_type_has_a_schema_and_an_example_that_holds() {
        for (name, files) in embedded::TYPES {
            let folder = TypeFiles::embedded(name, files);
            CredentialType::read(&folder).unwrap().check_schema(&folder).unwrap();
        }
    }

    #[test]
    fn a_schema_that_cannot_be_compiled_says_why_each_time() {
        let validator = SchemaValidator::default();
        let (bad, good) = (json!({"type": "nothing"}), json!({"type": "object"}));
        let first = validator.compiled(&bad).unwrap_err().to_owned();
        assert_eq!(validator.compiled(&bad).unwrap_err(), first);
        assert!(SchemaValidator::default().compiled(&good).unwrap().is_valid(&json!({})));
    }
}
