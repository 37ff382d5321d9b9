//! Lookup of credentials by their ids, as the holder types them.

use std::collections::BTreeSet;

use super::WalletContents;
use crate::failure::{Failure, FailureReason, Sentence};

impl WalletContents {
    /// Returns the indices of the credentials with these ids or prefixes of ids, sorted and without duplicates.
    ///
    /// # Errors
    /// `not_found`, `ambiguous_id`
    pub fn find_credentials(&self, ids: &[String]) -> Result<Vec<usize>, Failure> {
        let found: BTreeSet<usize> = ids.iter().map(|id| self.find_credential(id)).collect::<Result<_, _>>()?;
        Ok(found.into_iter().collect())
    }

    /// Returns the index of the credential with an id, or with an unambiguous prefix of its id of at least four
    /// characters.
    ///
    /// # Errors
    /// `not_found`, `ambiguous_id`
    pub fn find_credential(&self, id: &str) -> Result<usize, Failure> {
        let matches: Vec<usize> = self
            .credentials
            .iter()
            .enumerate()
            .filter(|(_, held)| held.id == id || (id.len() >= 4 && held.id.starts_with(id)))
            .map(|(index, _)| index)
            .collect();
        match matches.as_slice() {
            [one] => Ok(*one),
            [] => Err(Failure::new(
                FailureReason::NotFound,
                Sentence::new("error-no-document"),
                Sentence::new("hint-list"),
            )),
            _ => {
                let message = Sentence::new("error-ambiguous-id");
                Err(Failure::usage(FailureReason::AmbiguousId, message, Sentence::new("hint-more-of-id")))
            }
        }
    }
}
