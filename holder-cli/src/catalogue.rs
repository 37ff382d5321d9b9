//! Catalogue of credential types of a command.

use std::path::PathBuf;

use carnet_spec::Catalogue;

use crate::failure::{Failure, FailureReason, Sentence};

/// Source of the credential types: those of Carnet, and those in a directory, if given.
#[derive(Clone)]
pub(crate) struct CatalogueSource(pub(crate) Option<PathBuf>);

impl CatalogueSource {
    /// Loads the credential types.
    ///
    /// # Errors
    /// `catalogue_invalid`
    pub(crate) fn load(&self) -> Result<Catalogue, Failure> {
        match &self.0 {
            Some(folder) => Catalogue::load(folder),
            None => Catalogue::embedded(),
        }
        .map_err(|error| {
            let message = Sentence::new("error-catalogue").with_details(error);
            Failure::usage(FailureReason::Program("catalogue_invalid"), message, Sentence::new("hint-catalogue"))
        })
    }
}
