//! Journeys of people through several offices, each with its page in `docs/journeys`, which prints what each party saw.
//! `UPDATE_DOCS=1` writes the pages; otherwise they are compared.

mod building_blocks;
mod chatterbox;
mod coding_school;
mod easy_rights;
mod guidance;
mod help_u;
mod himate;
mod kiron;
mod nadine;
mod protection;
mod volunteer;

use std::collections::BTreeSet;

use serde_json::Value;

/// The claims and thresholds that an asker may have seen.
fn exactly(names: &[&str]) -> BTreeSet<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

/// Sets a claim to a text.
fn set(claims: &mut Value, name: &str, value: &str) {
    if let Some(members) = claims.as_object_mut() {
        members.insert(name.to_owned(), Value::from(value));
    }
}
