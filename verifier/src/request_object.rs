//! Members of a stored request object that its answers need.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use carnet_core::status::freshness;
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::requests::LocalizedTexts;

/// Members of a request object of this verifier, which it has signed and stored itself: they are read without checking
/// the others again, of which the registration is many times as long.
#[derive(Default, Deserialize)]
pub(crate) struct RequestObjectMembers {
    #[serde(default)]
    carnet: Map<String, Value>,
}

impl RequestObjectMembers {
    /// Reads the members; none, if the text is not a request object.
    pub(crate) fn read(request_object: &str) -> Self {
        let payload = request_object.split('.').nth(1).and_then(|payload| URL_SAFE_NO_PAD.decode(payload).ok());
        payload.and_then(|payload| serde_json::from_slice(&payload).ok()).unwrap_or_default()
    }

    /// Returns the purpose, by language.
    pub(crate) fn purpose(&self) -> LocalizedTexts {
        let texts = self.carnet.get("purpose").and_then(Value::as_object).into_iter().flatten();
        texts.filter_map(|(tag, text)| Some((tag.clone(), text.as_str()?.to_owned()))).collect()
    }

    /// Returns the intended use; empty: none.
    pub(crate) fn intended_use(&self) -> &str {
        self.carnet.get("intended_use").and_then(Value::as_str).unwrap_or_default()
    }

    /// Returns the maximum age of freshness statements, in seconds; `None` if the request asks for none.
    pub(crate) fn max_statement_age(&self) -> Option<i64> {
        self.carnet.get(freshness::MAX_AGE_MEMBER)?.as_i64()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_are_read_and_those_that_are_absent_are_none() {
        let payload = r#"{"carnet":{"freshness_seconds_max":86400,"intended_use":"a","purpose":{"en":"A job"}},"verifier_info":[{"data":{"x":[1]}}]}"#;
        let object = format!("e30.{}.x", URL_SAFE_NO_PAD.encode(payload));
        let read = RequestObjectMembers::read(&object);
        assert_eq!(read.purpose(), LocalizedTexts::from([("en".to_owned(), "A job".to_owned())]));
        assert_eq!((read.intended_use(), read.max_statement_age()), ("a", Some(86_400)));
        for other in ["", "a.b.c", "e30.e30.x"] {
            let read = RequestObjectMembers::read(other);
            assert_eq!((read.purpose().len(), read.intended_use(), read.max_statement_age()), (0, "", None), "{other}");
        }
    }
}
