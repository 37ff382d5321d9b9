//! Weights of the least-disclosure plan (credential-types.md section 9).

use carnet_core::query::plan::DisclosureWeights;
use serde::Deserialize;

use crate::{SpecError, type_files};

/// Text of the built-in `weights.toml`.
pub(crate) const EMBEDDED_WEIGHTS: &str = include_str!("../weights.toml");

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
pub(crate) fn parse_weights(path: &str, toml: &str) -> Result<DisclosureWeights, SpecError> {
    let text: WeightsFile = type_files::parse_toml(path.to_owned(), toml)?;
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
    Ok(DisclosureWeights {
        computed,
        threshold,
        coarse,
        value,
        fine,
        document,
        new_document,
        unused_copy: fresh_copy,
        shared_copy,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weights_rise_with_what_is_told() {
        let weights = parse_weights("weights.toml", EMBEDDED_WEIGHTS).unwrap();
        assert!(weights.computed < weights.fine && weights.fine < weights.shared_copy);
        for (from, to, says) in [
            ("threshold = 5", "threshold = 10", "does not rise"),
            ("fine = 100", "fine = 1", "does not rise"),
            ("computed = 1", "computed = -1", "weights.toml"),
            ("computed = 1", "surprise = 1", "unknown field"),
            ("fresh_copy = 2", "", "fresh_copy"),
        ] {
            assert!(EMBEDDED_WEIGHTS.contains(from), "{from}");
            let message = parse_weights("weights.toml", &EMBEDDED_WEIGHTS.replace(from, to)).unwrap_err().to_string();
            assert!(message.contains(says), "{message}");
        }
    }
}
