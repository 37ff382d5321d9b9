//! Journeys of people through several offices, each with its page in `docs/journeys`, which prints what each party saw.
//! `UPDATE_DOCS=1` writes the pages; otherwise they are compared.

mod chatterbox;
mod coding_school;
mod kiron;

use std::collections::BTreeSet;

/// The claims and thresholds that an asker may have seen.
fn exactly(names: &[&str]) -> BTreeSet<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}
