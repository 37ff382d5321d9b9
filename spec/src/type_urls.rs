//! `vct.toml` of a catalogue's directory: https URLs as the `vct` of types, and `vct#integrity`.
//!
//! The built-in `vct` remains valid, so that earlier credentials of the type are still recognised.

use std::{collections::BTreeMap, path::Path};

use serde::Deserialize;

use crate::{Catalogue, SpecError, type_files, type_metadata};

/// Name of the file with the URLs.
const FILE: &str = "vct.toml";
/// Maximum length of a URL, in bytes.
const MAX_URL_BYTES: usize = 512;

/// URL of one type.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct TypeUrlToml {
    vct: String,
    /// `true` if credentials have `vct#integrity`.
    #[serde(default)]
    integrity: bool,
}

impl Catalogue {
    /// Applies the `vct.toml` of a directory, if there is one.
    pub(crate) fn apply_type_urls(&mut self, dir: &Path) -> Result<(), SpecError> {
        let path = dir.join(FILE);
        if !path.is_file() {
            return Ok(());
        }
        let place = path.display().to_string();
        let wrong = |what: String, hint: &str| SpecError::file(&place, what, hint);
        let urls: BTreeMap<String, TypeUrlToml> =
            toml::from_str(&type_files::read_catalogue_text(&path)?).map_err(|error| {
                wrong(error.message().to_owned(), "Give each type a table with vct, and integrity if wanted")
            })?;
        for (name, url) in urls {
            if !is_type_url(&url.vct) {
                let what =
                    format!("the vct of {name} is not an https URL of at most {MAX_URL_BYTES} bytes with a path");
                return Err(wrong(what, "Name the URL at which the issuer publishes the type's metadata"));
            }
            if self.types().any(|other| other.name != name && other.has_vct(&url.vct)) {
                return Err(wrong(format!("the vct of {name} is another type's"), "Give each type a URL of its own"));
            }
            let Some(known) = self.types_mut().find(|known| known.name == name) else {
                return Err(wrong(format!("there is no type {name}"), "Correct the name"));
            };
            if known.vct != url.vct {
                known.builtin_vct = Some(std::mem::replace(&mut known.vct, url.vct));
            }
            let document = known.type_metadata().to_json();
            known.vct_integrity = url.integrity.then(|| type_metadata::integrity_value(document.as_bytes()));
        }
        Ok(())
    }
}

/// Returns whether a text is an https URL with a host and a path, at most 512 bytes long, without query, fragment, user
/// name and percent-encoding.
fn is_type_url(text: &str) -> bool {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"/-_.~:".contains(&byte);
    let Some((host, path)) = text.strip_prefix("https://").and_then(|rest| rest.split_once('/')) else { return false };
    text.len() <= MAX_URL_BYTES && !host.is_empty() && !path.is_empty() && text.bytes().all(is_plain)
}

#[cfg(test)]
mod tests {
    use carnet_core::{Code, verify::TypeCatalogue as _};
    use serde_json::json;

    use super::*;

    const NAME: &str = "QualificationCredential";
    const URL: &str = "https://uni.example/types/qualification-1";

    fn load(text: &str) -> Result<Catalogue, SpecError> {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join(FILE), text).unwrap();
        Catalogue::load(dir.path())
    }

    #[test]
    fn a_type_has_a_url_and_keeps_its_earlier_name() {
        let plain = Catalogue::embedded().unwrap();
        let before = plain.credential_type(NAME).unwrap();
        assert_eq!((before.vcts().count(), &before.vct_integrity), (1, &None));
        for (integrity, is_there) in [("", false), ("integrity = false", false), ("integrity = true", true)] {
            let catalogue = load(&format!("[{NAME}]\nvct = \"{URL}\"\n{integrity}\n")).unwrap();
            let known = catalogue.credential_type(NAME).unwrap();
            assert_eq!(known.vcts().collect::<Vec<_>>(), [URL, before.vct.as_str()]);
            assert_eq!(known.vct_integrity.is_some(), is_there, "{integrity}");
            for vct in [URL, before.vct.as_str()] {
                assert_eq!(catalogue.credential_type_by_vct(vct).map(|known| known.name.as_str()), Some(NAME));
            }
        }
    }

    #[test]
    fn row_118_an_integrity_that_differs() {
        let catalogue = load(&format!("[{NAME}]\nvct = \"{URL}\"\nintegrity = true\n")).unwrap();
        let known = catalogue.credential_type(NAME).unwrap();
        let own = known.vct_integrity.clone().unwrap();
        let document = known.type_metadata().to_json();
        assert!(type_metadata::matches_integrity(document.as_bytes(), &own));
        assert!(!type_metadata::matches_integrity(
            document.replace(URL, "https://uni.example/types/b").as_bytes(),
            &own
        ));
        let other = "sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=";
        let checked = |vct: &str, integrity: Option<&str>| {
            let mut payload = json!({"vct": vct});
            if let Some(integrity) = integrity {
                payload["vct#integrity"] = json!(integrity);
            }
            catalogue.check_schema(NAME, payload.as_object().unwrap()).map_err(|problem| problem.code)
        };
        assert_eq!(checked(URL, Some(&own)), Ok(()));
        assert_eq!(checked(URL, None), Ok(()));
        assert_eq!(checked(URL, Some(other)), Err(Code::SchemaViolation));
        // Nothing is known of the metadata of the earlier name.
        assert_eq!(checked("urn:carnet:type:qualification:1", Some(other)), Ok(()));
    }

    #[test]
    fn a_file_that_is_ambiguous_is_refused() {
        for wrong in [
            format!("[{NAME}]\nvct = \"http://uni.example/a\""),
            format!("[{NAME}]\nvct = \"https://uni.example\""),
            format!("[{NAME}]\nvct = \"https://uni.example/\""),
            format!("[{NAME}]\nvct = \"https:///a\""),
            format!("[{NAME}]\nvct = \"https://uni.example/a?b\""),
            format!("[{NAME}]\nvct = \"https://uni.example/a#b\""),
            format!("[{NAME}]\nvct = \"https://uni.example/{{a}}\""),
            format!("[{NAME}]\nvct = \"https://uni.example/{}\"", "a".repeat(MAX_URL_BYTES)),
            format!("[{NAME}]\nvct = \"{URL}\"\nurl = 1"),
            format!("[{NAME}]\nintegrity = true"),
            format!("[Nothing]\nvct = \"{URL}\""),
            format!("[{NAME}]\nvct = \"{URL}\"\n[ResidencePermitCredential]\nvct = \"{URL}\""),
        ] {
            assert!(load(&wrong).is_err(), "{wrong}");
        }
    }
}
