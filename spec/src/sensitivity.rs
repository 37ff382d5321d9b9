//! Sensitivity classes of claims (credential-types.md section 9).

use carnet_core::{
    format::CredentialFormat,
    query::plan::{AvailableCopy, DisclosureWeights, Sensitivity, SensitivityClasses},
    secure::sd_jwt::Step,
    verify::TypeCatalogue,
};
use serde_json::Value;

use crate::{Catalogue, claims};

impl SensitivityClasses for Catalogue {
    fn sensitivity(&self, holding: &AvailableCopy<'_>, path: &[Step]) -> Sensitivity {
        let payload = holding.candidate.payload;
        let types = payload.get("type").and_then(Value::as_array).into_iter().flatten();
        let types: Vec<&str> = types.filter_map(Value::as_str).collect();
        let flat = holding.candidate.format == CredentialFormat::DcSdJwt;
        let vct = payload.get("vct").and_then(Value::as_str).filter(|_| flat);
        let below = match path.split_first() {
            Some((Step::Name(first), rest)) if !flat && first == "credentialSubject" => rest,
            _ => path,
        };
        self.type_name(&types, vct).map_or(Sensitivity::Identifying, |name| {
            self.sensitivity_of(&name, &claims::path_to_text_without_indices(below))
        })
    }
}

impl Catalogue {
    /// Returns the weights of the least-disclosure plan.
    #[must_use]
    pub fn weights(&self) -> &DisclosureWeights {
        &self.weights
    }

    /// Returns the sensitivity class of a claim. `path` is a text path below credentialSubject. A claim of an unknown
    /// type, or that the type does not have, is [`Sensitivity::Identifying`].
    #[must_use]
    pub fn sensitivity_of(&self, type_name: &str, path: &str) -> Sensitivity {
        match self.credential_type(type_name) {
            Some(known) if known.is_computed_boolean(path) => Sensitivity::Computed,
            Some(known) if known.is_widely_shared(path) => Sensitivity::WidelyShared,
            Some(known) if known.is_identifying(path) => Sensitivity::Identifying,
            Some(known) if known.has_claim(path) => Sensitivity::Ordinary,
            _ => Sensitivity::Identifying,
        }
    }
}
