//! Catalogue of credential types of a command.

use std::path::PathBuf;

use carnet_core::text::displayable;
use carnet_spec::Catalogue;

use crate::failure::{Failure, FailureReason, Sentence};

/// Source of the credential types: those of Carnet, and those in a directory, if given.
#[derive(Clone)]
pub(crate) struct CatalogueSource(pub(crate) Option<PathBuf>);

/// Maximum size of a file with the texts of a language, in bytes.
const MAX_LANGUAGE_BYTES: usize = 512 * 1024;

impl CatalogueSource {
    /// Reads the wallet's texts in a language of the directory, `languages/TAG.ftl`.
    ///
    /// # Errors
    /// `language_unknown` if there is no such file, or it has characters that a screen cannot show.
    pub(crate) fn language(&self, tag: &str) -> Result<String, Failure> {
        let unknown = || {
            let message = Sentence::new("error-language-unknown").with("tag", tag);
            Failure::usage(FailureReason::Program("language_unknown"), message, Sentence::new("hint-language"))
        };
        let folder = self.0.as_ref().ok_or_else(unknown)?;
        let path = folder.join("languages").join(format!("{tag}.ftl"));
        let text = carnet_disk::read_user_text(&path).map_err(|_| unknown())?;
        // The texts become lines of the wallet: they may not move the cursor or reorder what stands beside them.
        let is_plain = text.lines().all(|line| displayable(line) == line);
        if text.len() > MAX_LANGUAGE_BYTES || !is_plain { Err(unknown()) } else { Ok(text.to_string()) }
    }

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
