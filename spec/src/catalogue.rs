//! Catalogue of all credential types and request templates, checked for consistency.

use std::path::Path;

use carnet_core::{
    Code, Problem,
    format::CredentialFormat,
    query::{CredentialQuery, plan::Weights},
    secure::sd_jwt::Step,
    verify::TypeRules,
};
use serde_json::{Map, Value};

use crate::{
    CredentialType, RequestTemplate, SpecError, embedded,
    folder::{self, Folder},
    weights,
};

/// All credential types and request templates that a program knows.
#[derive(Debug, Clone)]
pub struct Catalogue {
    types: Vec<CredentialType>,
    templates: Vec<RequestTemplate>,
    pub(crate) weights: Weights,
}

impl Catalogue {
    /// Returns the built-in catalogue.
    ///
    /// # Errors
    /// [`SpecError`] if the embedded data is inconsistent, which the tests of this crate exclude.
    ///
    /// # Examples
    /// ```
    /// let catalogue = carnet_spec::Catalogue::embedded()?;
    /// let known = catalogue.credential_type("QualificationCredential").unwrap();
    /// assert_eq!(known.vct, "urn:carnet:type:qualification:1");
    ///
    /// let claims = serde_json::json!({"title": "Master of Science", "awardingBodi": "University of Example"});
    /// let faults = known.claim_faults(claims.as_object().unwrap());
    /// assert!(faults.iter().any(|fault| fault.nearest.as_deref() == Some("awardingBody")));
    /// # Ok::<(), carnet_spec::SpecError>(())
    /// ```
    pub fn embedded() -> Result<Catalogue, SpecError> {
        let weights = weights::read("weights.toml", weights::EMBEDDED)?;
        let mut catalogue = Catalogue { types: Vec::new(), templates: Vec::new(), weights };
        for (name, files) in embedded::TYPES {
            catalogue.add_type(&Folder::embedded(name, files), true)?;
        }
        for (name, text) in embedded::REQUESTS {
            catalogue.add_template(&format!("requests/{name}"), text)?;
        }
        Ok(catalogue)
    }

    /// Loads the built-in catalogue, extended by `types/` and `requests/` in a directory (either may be missing).
    ///
    /// # Errors
    /// [`SpecError`] names the file that is unreadable, inconsistent, or repeats a name.
    pub fn load(dir: &Path) -> Result<Catalogue, SpecError> {
        if !dir.is_dir() {
            return Err(SpecError::file(
                dir.display().to_string(),
                "is not a folder",
                "Name a folder with types/ or requests/ in it",
            ));
        }
        let mut catalogue = Self::embedded()?;
        for path in folder::entries(&dir.join("types"))?.iter().filter(|path| path.is_dir()) {
            catalogue.add_type(&Folder::read(path)?, false)?;
        }
        for path in
            folder::entries(&dir.join("requests"))?.iter().filter(|path| folder::file_name(path).ends_with(".toml"))
        {
            catalogue.add_template(&path.display().to_string(), &folder::read_text(path)?)?;
        }
        Ok(catalogue)
    }

    /// Returns all credential types.
    pub fn types(&self) -> impl Iterator<Item = &CredentialType> {
        self.types.iter()
    }

    /// Returns the credential type with this name, such as `QualificationCredential`.
    #[must_use]
    pub fn credential_type(&self, name: &str) -> Option<&CredentialType> {
        self.types.iter().find(|known| known.name == name)
    }

    /// Returns the credential type with this `vct`.
    #[must_use]
    pub fn by_vct(&self, vct: &str) -> Option<&CredentialType> {
        self.types.iter().find(|known| known.has_vct(vct))
    }

    /// Returns all request templates.
    pub fn templates(&self) -> impl Iterator<Item = &RequestTemplate> {
        self.templates.iter()
    }

    /// Returns the request template with this id.
    #[must_use]
    pub fn template(&self, id: &str) -> Option<&RequestTemplate> {
        self.templates.iter().find(|known| known.id == id)
    }

    fn add_type(&mut self, folder: &Folder, bundled: bool) -> Result<(), SpecError> {
        let mut new = CredentialType::read(folder)?;
        new.bundled = bundled;
        let has_context = |known: &CredentialType, url: &str| known.contexts().any(|(known, ..)| known == url);
        if self
            .types
            .iter()
            .any(|known| known.name == new.name || known.has_vct(&new.vct) || has_context(known, &new.context_url))
        {
            return Err(SpecError::file(
                folder.path("type.toml"),
                "another type has its name, vct or context",
                "Give it names of its own",
            ));
        }
        self.types.push(new);
        Ok(())
    }

    fn add_template(&mut self, path: &str, text: &str) -> Result<(), SpecError> {
        let new = RequestTemplate::read(path, text)?;
        if self.template(&new.id).is_some() {
            return Err(SpecError::file(path, "another request has its id", "Give it an id of its own"));
        }
        new.check(path, |query| self.types_asked(query))?;
        self.templates.push(new);
        Ok(())
    }

    /// Returns the types that a credential query accepts, with `None` for an unknown one.
    fn types_asked(&self, query: &CredentialQuery) -> Vec<Option<&CredentialType>> {
        let by_name = query.type_values.iter().map(|types| {
            let own: Vec<&str> = types.iter().map(String::as_str).filter(|name| *name != GENERIC).collect();
            self.credential_type(own.first().filter(|_| own.len() == 1)?)
        });
        by_name.chain(query.vct_values.iter().map(|vct| self.by_vct(vct))).collect()
    }
}

impl Catalogue {
    /// Returns the JSON-LD contexts of all types: URL, text and SHA-256.
    ///
    /// # Errors
    /// `invalid_unicode`
    pub fn contexts(&self) -> Result<Vec<(String, String, String)>, Problem> {
        let contexts = self.types().flat_map(CredentialType::contexts).map(|(url, bytes, sha256)| {
            let text = std::str::from_utf8(bytes).map_err(|_| Problem::from(Code::InvalidUnicode))?;
            Ok((url.to_owned(), text.to_owned(), sha256.to_owned()))
        });
        contexts.collect()
    }
}

/// Type that every credential of VCDM 2.0 has.
pub(crate) const GENERIC: &str = "VerifiableCredential";

impl TypeRules for Catalogue {
    fn type_name(&self, types: &[&str], vct: Option<&str>) -> Result<String, Problem> {
        let unknown = |what: &str| Problem::new(Code::TypeUnknown, what);
        let mut own = types.iter().filter(|name| **name != GENERIC);
        let named = match (own.next(), own.next()) {
            (Some(name), None) => {
                Some(self.credential_type(name).ok_or_else(|| unknown("the type is not in the catalogue"))?)
            }
            (Some(_), Some(_)) => {
                return Err(unknown("a credential must have exactly one catalogue type, and this one has several"));
            }
            (None, _) => None,
        };
        let typed =
            vct.map(|vct| self.by_vct(vct).ok_or_else(|| unknown("the vct is not in the catalogue"))).transpose()?;
        match (named, typed) {
            (Some(named), Some(typed)) if named.name != typed.name => Err(unknown("type and vct name different types")),
            (Some(found), _) | (None, Some(found)) => Ok(found.name.clone()),
            (None, None) => Err(unknown("the credential names no type besides VerifiableCredential")),
        }
    }

    fn check(&self, type_name: &str, disclosed: &Map<String, Value>) -> Result<(), Problem> {
        let found = self.credential_type(type_name).ok_or_else(|| Problem::from(Code::TypeUnknown))?;
        if disclosed.contains_key("vct") {
            found.check_disclosed_sd_jwt_vc(disclosed)
        } else {
            found.check_disclosed(disclosed)
        }
    }

    fn is_always_disclosed(&self, type_name: &str, format: CredentialFormat, path: &[Step]) -> bool {
        self.credential_type(type_name).is_some_and(|known| known.is_always_disclosed(format, path))
    }
}
