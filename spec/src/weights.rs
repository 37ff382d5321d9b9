//! Weights of the least-disclosure plan, and sensitivity classes of claims (credential-types.md section 9).

use carnet_core::{
    format::CredentialFormat,
    query::plan::{DisclosureWeights, Holding, Sensitivity, SensitivityClasses},
    secure::sd_jwt::Step,
    verify::TypeRules,
};
use serde::Deserialize;
use serde_json::Value;

use crate::{Catalogue, SpecError, claims, folder};

/// Text of the built-in `weights.toml`.
pub(crate) const EMBEDDED: &str = include_str!("../weights.toml");

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WeightsFile {
    computed: u32,
    threshold: u32,
    coarse: u32,
    value: u32,
    fine: u32,
    document: u32,
    new_document: u32,
    fresh_copy: u32,
    shared_copy: u32,
}

/// Parses `weights.toml`. The weights must increase from `computed` over `threshold`, `coarse` and `value` to `fine`.
pub(crate) fn read(path: &str, toml: &str) -> Result<DisclosureWeights, SpecError> {
    let text: WeightsFile = folder::parse_toml(path.to_owned(), toml)?;
    let rising = [text.computed, text.threshold, text.coarse, text.value, text.fine];
    if !rising.is_sorted_by(|less, more| less < more) {
        return Err(SpecError::file(
            path,
            "does not rise from computed over threshold, coarse and value to fine",
            "Give what tells more the greater weight",
        ));
    }
    let WeightsFile { computed, threshold, coarse, value, fine, document, new_document, fresh_copy, shared_copy } =
        text;
    Ok(DisclosureWeights { computed, threshold, coarse, value, fine, document, new_document, fresh_copy, shared_copy })
}

impl SensitivityClasses for Catalogue {
    fn class(&self, holding: &Holding<'_>, path: &[Step]) -> Sensitivity {
        let payload = holding.candidate.payload;
        let types = payload.get("type").and_then(Value::as_array).into_iter().flatten();
        let types: Vec<&str> = types.filter_map(Value::as_str).collect();
        let flat = holding.candidate.format == CredentialFormat::DcSdJwt;
        let vct = payload.get("vct").and_then(Value::as_str).filter(|_| flat);
        let below = match path.split_first() {
            Some((Step::Name(first), rest)) if !flat && first == "credentialSubject" => rest,
            _ => path,
        };
        self.type_name(&types, vct)
            .map_or(Sensitivity::Fine, |name| self.sensitivity_of(&name, &claims::path_text(below)))
    }
}

impl Catalogue {
    /// Returns the weights of the least-disclosure plan.
    #[must_use]
    pub fn weights(&self) -> &DisclosureWeights {
        &self.weights
    }

    /// Returns the sensitivity class of a claim. `path` is a text path below credentialSubject. A claim of an unknown
    /// type, or that the type does not have, is [`Sensitivity::Fine`].
    #[must_use]
    pub fn sensitivity_of(&self, type_name: &str, path: &str) -> Sensitivity {
        match self.credential_type(type_name) {
            Some(known) if known.is_computed_boolean(path) => Sensitivity::Computed,
            Some(known) if known.is_widely_shared(path) => Sensitivity::Coarse,
            Some(known) if known.is_identifying(path) => Sensitivity::Fine,
            Some(known) if known.has_claim(path) => Sensitivity::Value,
            _ => Sensitivity::Fine,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weights_rise_with_what_is_told() {
        let weights = read("weights.toml", EMBEDDED).unwrap();
        assert!(weights.computed < weights.fine && weights.fine < weights.shared_copy);
        for (from, to, says) in [
            ("threshold = 5", "threshold = 10", "does not rise"),
            ("fine = 100", "fine = 1", "does not rise"),
            ("computed = 1", "computed = -1", "weights.toml"),
            ("computed = 1", "surprise = 1", "unknown field"),
            ("fresh_copy = 2", "", "fresh_copy"),
        ] {
            assert!(EMBEDDED.contains(from), "{from}");
            let message = read("weights.toml", &EMBEDDED.replace(from, to)).unwrap_err().to_string();
            assert!(message.contains(says), "{message}");
        }
    }
}
