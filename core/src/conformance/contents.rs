//! Statements of a document besides its proofs.

use serde_json::{Map, Value};

use super::{Environment, resources::check_related_resources, status::check_status_entry, values::values};
use crate::Problem;

/// Checks what a document states besides its proofs: terms, status entries and digests.
pub(super) fn check_contents(document: &Map<String, Value>, env: &Environment<'_>) -> Result<(), Problem> {
    env.terms.check_terms(document)?;
    for entry in values(document, "credentialStatus") {
        if let Some(entry) = entry.as_object() {
            check_status_entry(entry)?;
        }
    }
    check_related_resources(document, env.resources)
}
