//! Catalogue of credential types, request templates and procedures, checked for consistency.

use std::path::{Path, PathBuf};

use carnet_core::{
    Code, Problem,
    format::CredentialFormat,
    query::{CredentialQuery, Query, plan::DisclosureWeights},
    secure::sd_jwt::Step,
    verify::{TypeCatalogue, VerificationProfile},
};
use serde_json::{Map, Value};

use crate::{
    CredentialType, ForeignType, Procedure, RequestTemplate, RequiredDocument, SpecError,
    claims::BASE_TYPE,
    embedded,
    foreign::ForeignTypes,
    template::RequestedType,
    type_files::{self, TypeFiles},
    weights,
};

/// All credential types, request templates and procedures that a program knows.
#[derive(Debug, Clone)]
pub struct Catalogue {
    types: Vec<CredentialType>,
    templates: Vec<RequestTemplate>,
    procedures: Vec<Procedure>,
    pub(crate) foreign: ForeignTypes,
    pub(crate) weights: DisclosureWeights,
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
    /// let faults = known.claim_errors(claims.as_object().unwrap());
    /// assert!(faults.iter().any(|fault| fault.nearest.as_deref() == Some("awardingBody")));
    /// # Ok::<(), carnet_spec::SpecError>(())
    /// ```
    pub fn embedded() -> Result<Catalogue, SpecError> {
        let weights = weights::parse_weights("weights.toml", weights::EMBEDDED_WEIGHTS)?;
        let mut catalogue = Catalogue {
            types: Vec::new(),
            templates: Vec::new(),
            procedures: Vec::new(),
            foreign: ForeignTypes::default(),
            weights,
        };
        for (name, files) in embedded::TYPES {
            catalogue.add_type(&TypeFiles::embedded(name, files), true)?;
        }
        for (name, text) in embedded::REQUESTS {
            catalogue.add_template(&format!("requests/{name}"), text)?;
        }
        for (name, text) in embedded::SERVICES {
            let path = format!("services/{name}");
            let procedure = catalogue.read_procedure(&path, text)?;
            catalogue.procedures.push(procedure);
        }
        Ok(catalogue)
    }

    /// Loads the built-in catalogue, extended by `types/`, `requests/`, `services/` and `vct.toml` in a directory (each
    /// may be missing). A procedure (`services/`) of the directory replaces the built-in one with the same id.
    ///
    /// # Errors
    /// [`SpecError`] names the file that is unreadable, inconsistent, or repeats a name.
    pub fn load(dir: &Path) -> Result<Catalogue, SpecError> {
        Self::load_with(Some(dir), Vec::new())
    }

    /// Loads the catalogue as [`Catalogue::load`], or the built-in one without a directory, with foreign types, which
    /// requests of the directory may ask for.
    ///
    /// # Errors
    /// Those of [`Catalogue::load`]; a foreign type is malformed, without issuers, in the catalogue, or occurs twice
    /// for one issuer.
    pub fn load_with(dir: Option<&Path>, foreign: Vec<ForeignType>) -> Result<Catalogue, SpecError> {
        let mut catalogue = Self::embedded()?;
        if let Some(dir) = dir {
            catalogue.add_types_of(dir)?;
        }
        catalogue.foreign = ForeignTypes::new(foreign, catalogue.types.iter())?;
        if let Some(dir) = dir {
            catalogue.add_requests_of(dir)?;
        }
        Ok(catalogue)
    }

    fn add_types_of(&mut self, dir: &Path) -> Result<(), SpecError> {
        if !dir.is_dir() {
            return Err(SpecError::file(
                dir.display().to_string(),
                "is not a folder",
                "Name a folder with types/, requests/, services/ or vct.toml in it",
            ));
        }
        for path in type_files::directory_entries(&dir.join("types"))?.iter().filter(|path| path.is_dir()) {
            self.add_type(&TypeFiles::read(path)?, false)?;
        }
        self.apply_type_urls(dir)
    }

    fn add_requests_of(&mut self, dir: &Path) -> Result<(), SpecError> {
        for path in toml_files(&dir.join("requests"))? {
            self.add_template(&path.display().to_string(), &type_files::read_catalogue_text(&path)?)?;
        }
        let mut own = Vec::new();
        for path in toml_files(&dir.join("services"))? {
            let name = path.display().to_string();
            let procedure = self.read_procedure(&name, &type_files::read_catalogue_text(&path)?)?;
            if own.iter().any(|known: &Procedure| known.id == procedure.id) {
                return Err(SpecError::file(name, "another procedure has its id", "Give it an id of its own"));
            }
            own.push(procedure);
        }
        self.procedures.retain(|known| !own.iter().any(|new| new.id == known.id));
        self.procedures.append(&mut own);
        self.procedures.sort_by(|one, other| one.id.cmp(&other.id));
        Ok(())
    }

    /// Returns all credential types.
    pub fn types(&self) -> impl Iterator<Item = &CredentialType> {
        self.types.iter()
    }

    pub(crate) fn types_mut(&mut self) -> impl Iterator<Item = &mut CredentialType> {
        self.types.iter_mut()
    }

    /// Returns the credential type with this name, such as `QualificationCredential`; `None` if it is unknown.
    #[must_use]
    pub fn credential_type(&self, name: &str) -> Option<&CredentialType> {
        self.types.iter().find(|known| known.name == name)
    }

    /// Returns the credential type with this `vct`, including those of its earlier versions; `None` if it is unknown.
    #[must_use]
    pub fn credential_type_by_vct(&self, vct: &str) -> Option<&CredentialType> {
        self.types.iter().find(|known| known.has_vct(vct))
    }

    /// Returns all foreign types.
    pub fn foreign_types(&self) -> impl Iterator<Item = &ForeignType> {
        self.foreign.iter()
    }

    /// Returns a sentence about a claim of a foreign type that is required and that some answer to the query would
    /// lack; `None` if there is none.
    #[must_use]
    pub fn missing_required_claim(&self, query: &Query) -> Option<String> {
        query.credentials.iter().find_map(|asked| self.foreign.missing_required_claim(asked))
    }

    /// Returns all request templates.
    pub fn templates(&self) -> impl Iterator<Item = &RequestTemplate> {
        self.templates.iter()
    }

    /// Returns the request template with this id; `None` if it is unknown.
    #[must_use]
    pub fn template(&self, id: &str) -> Option<&RequestTemplate> {
        self.templates.iter().find(|known| known.id == id)
    }

    /// Returns all procedures, sorted by id.
    pub fn procedures(&self) -> impl Iterator<Item = &Procedure> {
        self.procedures.iter()
    }

    /// Returns the procedure with this id; `None` if it is unknown.
    #[must_use]
    pub fn procedure(&self, id: &str) -> Option<&Procedure> {
        self.procedures.iter().find(|known| known.id == id)
    }

    /// Returns the first request template of a need that requests a type, with the first credential query for it;
    /// `None` if no template of the need requests the type.
    #[must_use]
    pub fn request_for_type(
        &self,
        need: &RequiredDocument,
        type_name: &str,
    ) -> Option<(&RequestTemplate, &CredentialQuery)> {
        need.requests.iter().find_map(|id| {
            let template = self.template(id)?;
            let mut queries = template.first_day_query.credentials.iter();
            let is_type =
                |asked: &RequestedType<'_>| matches!(asked, RequestedType::Known(one) if one.name == type_name);
            let asks = |query: &CredentialQuery| self.types_asked(query).iter().any(is_type);
            queries.find(|query| asks(query)).map(|query| (template, query))
        })
    }

    /// Parses a procedure, and checks that the catalogue has its types and its request templates.
    fn read_procedure(&self, path: &str, text: &str) -> Result<Procedure, SpecError> {
        let read = Procedure::read(path, text)?;
        for need in &read.needs {
            if let Some(unknown) = need.types.iter().find_map(|name| self.unknown_type(name)) {
                return Err(SpecError::file(path, unknown.to_string(), "Correct the name of the type"));
            }
            let answers = |id: &String| {
                let alone = RequiredDocument { requests: vec![id.clone()], ..need.clone() };
                need.types.iter().any(|name| self.request_for_type(&alone, name).is_some())
            };
            if let Some(id) = need.requests.iter().find(|id| !answers(id)) {
                let what = format!("the request \"{id}\" is not in the catalogue, or asks for none of the types");
                return Err(SpecError::file(path, what, "Name a request that one of the types answers"));
            }
            // The holder of such a document would be told that it is enough, and refused when it is shown.
            let is_asked_for = |name: &String| {
                need.optional || need.requests.is_empty() || self.request_for_type(need, name).is_some()
            };
            if let Some(name) = need.types.iter().find(|name| !is_asked_for(name)) {
                let what = format!("none of the requests asks for the type \"{name}\"");
                return Err(SpecError::file(path, what, "Name a request for it, or leave out the type"));
            }
        }
        Ok(read)
    }

    fn add_type(&mut self, folder: &TypeFiles, bundled: bool) -> Result<(), SpecError> {
        let mut new = CredentialType::read(folder)?;
        new.is_builtin = bundled;
        if !bundled {
            new.check_schema(folder)?;
        }
        let has_context = |known: &CredentialType, url: &str| known.contexts().any(|(known, ..)| known == url);
        if self
            .types
            .iter()
            .any(|known| known.name == new.name || known.has_vct(&new.vct) || has_context(known, &new.context_url))
        {
            return Err(SpecError::file(
                folder.display_path("type.toml"),
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
        new.check_against_catalogue(path, |query| self.types_asked(query))?;
        if let Some(what) = self.missing_required_claim(&new.first_day_query) {
            return Err(SpecError::file(path, what, "Ask for it, or require less of the type"));
        }
        self.templates.push(new);
        Ok(())
    }

    /// Returns the type for each set of types and each `vct` that a credential query accepts. A set with more than one
    /// type besides `VerifiableCredential` is unknown.
    fn types_asked(&self, query: &CredentialQuery) -> Vec<RequestedType<'_>> {
        let by_name = query.type_values.iter().map(|types| {
            let own: Vec<&str> = types.iter().map(String::as_str).filter(|name| *name != BASE_TYPE).collect();
            match own.first().filter(|_| own.len() == 1) {
                Some(name) if self.foreign.has_type(name) => RequestedType::Foreign,
                name => name
                    .and_then(|name| self.credential_type(name))
                    .map_or(RequestedType::Unknown, RequestedType::Known),
            }
        });
        let by_vct = query.vct_values.iter().map(|vct| match self.credential_type_by_vct(vct) {
            Some(known) => RequestedType::Known(known),
            None if self.foreign.has_vct(vct) => RequestedType::Foreign,
            None => RequestedType::Unknown,
        });
        by_name.chain(by_vct).collect()
    }
}

impl Catalogue {
    /// Returns the JSON-LD contexts of all types, foreign ones included: URL, text and SHA-256.
    ///
    /// # Errors
    /// `invalid_unicode` if a text is not UTF-8.
    pub fn contexts(&self) -> Result<Vec<(String, String, String)>, Problem> {
        let contexts = self.types().flat_map(CredentialType::contexts).map(|(url, bytes, sha256)| {
            let text = std::str::from_utf8(bytes).map_err(|_| Problem::from(Code::InvalidUnicode))?;
            Ok((url.to_owned(), text.to_owned(), sha256.to_owned()))
        });
        let mut contexts = contexts.collect::<Result<Vec<_>, Problem>>()?;
        // Several entries may have the same context.
        for context in self.foreign.iter().flat_map(|known| &known.contexts) {
            let Some((text, sha256)) = context.document.clone() else { continue };
            let new = (context.url.clone(), text, sha256);
            if !contexts.contains(&new) {
                contexts.push(new);
            }
        }
        Ok(contexts)
    }
}

/// Returns the TOML files of a directory, sorted by name; empty if the directory does not exist.
fn toml_files(dir: &Path) -> Result<Vec<PathBuf>, SpecError> {
    let mut paths = type_files::directory_entries(dir)?;
    paths.retain(|path| type_files::file_name(path).ends_with(".toml"));
    Ok(paths)
}

impl TypeCatalogue for Catalogue {
    fn type_name(&self, types: &[&str], vct: Option<&str>) -> Result<String, Problem> {
        let unknown = |what: &str| Problem::new(Code::TypeUnknown, what);
        let besides: Vec<&str> = types.iter().copied().filter(|name| *name != BASE_TYPE).collect();
        if let Some(name) = self.foreign.name_of(&besides).filter(|_| vct.is_none()) {
            return Ok(name.to_owned());
        }
        let mut own = types.iter().filter(|name| **name != BASE_TYPE);
        let named = match (own.next(), own.next()) {
            (Some(name), None) => {
                Some(self.credential_type(name).ok_or_else(|| unknown("the type is not in the catalogue"))?)
            }
            (Some(_), Some(_)) => {
                return Err(unknown("a credential must have exactly one catalogue type, and this one has several"));
            }
            (None, _) => None,
        };
        if let Some(vct) = vct.filter(|vct| named.is_none() && self.foreign.has_vct(vct)) {
            return Ok(vct.to_owned());
        }
        let typed = vct
            .map(|vct| self.credential_type_by_vct(vct).ok_or_else(|| unknown("the vct is not in the catalogue")))
            .transpose()?;
        match (named, typed) {
            (Some(named), Some(typed)) if named.name != typed.name => Err(unknown("type and vct name different types")),
            (Some(found), _) | (None, Some(found)) => Ok(found.name.clone()),
            (None, None) => Err(unknown("the credential names no type besides VerifiableCredential")),
        }
    }

    fn check_schema(&self, type_name: &str, disclosed: &Map<String, Value>) -> Result<(), Problem> {
        if self.foreign.is_named(type_name) {
            return self.foreign.check_disclosed(type_name, disclosed);
        }
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

    fn profile(&self, type_name: &str, issuer: &str) -> &VerificationProfile {
        self.foreign.entry(type_name, issuer).map_or(VerificationProfile::DEFAULT, |entry| &entry.profile)
    }
}
