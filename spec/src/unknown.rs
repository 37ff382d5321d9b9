//! Types and claims in queries or accreditations that the catalogue does not have.

use std::fmt;

use carnet_core::{
    format::CredentialFormat,
    query::{CredentialQuery, Query},
    secure::sd_jwt::{ClaimPath, Step},
    spelling::nearest_name,
    text::quoted,
};

use crate::{
    Catalogue, CredentialType,
    claims::{self, BASE_TYPE},
};

/// Type or claim that the catalogue does not have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnknownName {
    /// Kind of name.
    pub kind: UnknownKind,
    /// Name or path as given.
    pub given: String,
    /// Most similar known name or path; `None` if none is similar.
    pub nearest: Option<String>,
}

/// Kind of an unknown name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum UnknownKind {
    /// Type, by name or `vct`.
    Type,
    /// Claim that none of these types has.
    Claim(Vec<String>),
}

impl fmt::Display for UnknownName {
    /// Quotes the given name, which is text from outside.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.kind {
            UnknownKind::Type => write!(f, "the catalogue has no type {}", quoted(&self.given))?,
            UnknownKind::Claim(types) => write!(f, "{} has no claim {}", types.join(" and "), quoted(&self.given))?,
        }
        match &self.nearest {
            Some(nearest) => write!(f, "; the nearest is {nearest}"),
            None => Ok(()),
        }
    }
}

impl Catalogue {
    /// Returns the types and claims of a query that the catalogue does not have, each with the id of its credential
    /// query. With alternative types, a claim is known if one of them has it. The claims of an unknown type or format
    /// are not checked.
    #[must_use]
    pub fn unknown_names(&self, query: &Query) -> Vec<(String, UnknownName)> {
        query
            .credentials
            .iter()
            .flat_map(|asked| self.unknown_names_of(asked).into_iter().map(|unknown| (asked.id.clone(), unknown)))
            .collect()
    }

    /// Returns the error for a type name; `None` if the catalogue has it.
    #[must_use]
    pub fn unknown_type(&self, name: &str) -> Option<UnknownName> {
        if self.credential_type(name).is_some() {
            return None;
        }
        let nearest = nearest_name(name, self.types().map(|known| known.name.as_str())).map(str::to_owned);
        Some(UnknownName { kind: UnknownKind::Type, given: name.to_owned(), nearest })
    }

    fn unknown_names_of(&self, asked: &CredentialQuery) -> Vec<UnknownName> {
        let names = || asked.type_values.iter().flatten().filter(|name| *name != BASE_TYPE);
        let is_foreign = |vct: &String| self.foreign.has_vct(vct);
        let unknown_vct = |vct: &&String| self.credential_type_by_vct(vct).is_none() && !is_foreign(vct);
        let vcts = || {
            let own = self.types().map(|known| known.vct.as_str());
            own.chain(self.foreign_types().map(|known| known.name.as_str()))
        };
        let near = |vct: &str| nearest_name(vct, vcts()).map(str::to_owned);
        let is_foreign_type = |name: &&String| self.foreign.has_type(name);
        let mut unknown: Vec<UnknownName> =
            names().filter(|name| !is_foreign_type(name)).filter_map(|name| self.unknown_type(name)).collect();
        unknown.extend(asked.vct_values.iter().filter(unknown_vct).map(|vct| UnknownName {
            kind: UnknownKind::Type,
            given: vct.clone(),
            nearest: near(vct),
        }));
        let by_name = names().filter_map(|name| self.credential_type(name));
        let types: Vec<&CredentialType> =
            by_name.chain(asked.vct_values.iter().filter_map(|vct| self.credential_type_by_vct(vct))).collect();
        // The claims of an unknown or foreign type, or of an unsupported format, are unknown.
        let is_foreign = asked.vct_values.iter().any(is_foreign) || names().any(|name| is_foreign_type(&name));
        let are_claims_known = !types.is_empty() && !is_foreign;
        let Some(format) = asked.format.known().filter(|_| are_claims_known) else { return unknown };
        for claim in &asked.claims {
            if !types.iter().any(|known| has_path(known, format, &claim.path)) {
                unknown.push(unknown_claim(&types, format, &claim.path));
            }
        }
        unknown
    }
}

/// Returns whether a credential of the type can have a claim or member at the path.
fn has_path(known: &CredentialType, format: CredentialFormat, path: &ClaimPath) -> bool {
    let text = claims::path_to_text_without_indices(path);
    if format == CredentialFormat::DcSdJwt {
        return known.has_claim(&text) || claims::is_registered_member(&text);
    }
    match path.split_first() {
        Some((Step::Name(first), rest)) if first == SUBJECT => {
            let below = claims::path_to_text_without_indices(rest);
            rest.is_empty() || below == "id" || known.has_claim(&below)
        }
        _ => claims::is_within(&text, &known.always_disclosed),
    }
}

/// Member of a VCDM 2.0 credential that contains its claims.
const SUBJECT: &str = "credentialSubject";

fn unknown_claim(types: &[&CredentialType], format: CredentialFormat, path: &ClaimPath) -> UnknownName {
    let given = claims::path_to_text_without_indices(path);
    // A path given as one text (`$.credentialSubject.title`) means its last part.
    let bare = given.trim_start_matches(['$', '.']);
    let bare = bare.strip_prefix(SUBJECT).map_or(bare, |rest| rest.trim_start_matches('.'));
    let paths: Vec<&str> = types.iter().flat_map(|known| known.claim_paths()).collect();
    let nearest = nearest_name(bare, paths.iter().copied()).map(|claim| dcql_path_text(format, claim));
    let names = types.iter().map(|known| known.name.clone()).collect();
    UnknownName { kind: UnknownKind::Claim(names), given, nearest }
}

/// Returns a claim's path as a DCQL claims path pointer, as text.
fn dcql_path_text(format: CredentialFormat, claim: &str) -> String {
    let prefix: Vec<&str> = format.subject_member().into_iter().collect();
    let path = claims::parse_path(claim, &prefix).unwrap_or_default();
    carnet_core::query::path_to_json(&path).to_string()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn unknown(format: &str, types: &[&str], path: &Value) -> Vec<String> {
        let meta = match format {
            "dc+sd-jwt" => json!({"vct_values": types}),
            _ => {
                json!({"type_values": types.iter().map(|name| json!(["VerifiableCredential", name])).collect::<Value>()})
            }
        };
        let query = json!({"credentials": [{"id": "q", "format": format, "meta": meta, "claims": [{"path": path}]}]});
        let found = Catalogue::embedded().unwrap().unknown_names(&Query::parse(&query).unwrap());
        assert!(found.iter().all(|(id, _)| id == "q"));
        found.into_iter().map(|(_, unknown)| unknown.to_string()).collect()
    }

    #[test]
    fn what_the_catalogue_has_is_no_surprise() {
        const QUALIFICATION: &[&str] = &["QualificationCredential"];
        for path in [
            json!(["credentialSubject", "title"]),
            json!(["credentialSubject", "learningOutcomes", null, "title"]),
            json!(["credentialSubject", "id"]),
            json!(["credentialSubject"]),
            json!(["issuer"]),
            json!(["validUntil"]),
        ] {
            assert_eq!(unknown("vc+sd-jwt", QUALIFICATION, &path), Vec::<String>::new(), "{path}");
        }
        let both = ["ResidencePermitCredential", "QualificationCredential"];
        assert!(unknown("di_vc+jcs", &both, &json!(["credentialSubject", "title"])).is_empty());
        let vct = ["urn:carnet:type:qualification:1"];
        assert!(unknown("dc+sd-jwt", &vct, &json!(["title"])).is_empty());
        assert!(unknown("dc+sd-jwt", &vct, &json!(["exp"])).is_empty());
    }

    #[test]
    fn what_it_does_not_have_is_named_with_the_nearest() {
        let types = ["QualificationCredential"];
        for (path, given, nearest) in [
            (json!(["credentialSubject", "tittle"]), "credentialSubject.tittle", true),
            (json!(["$.credentialSubject.title"]), "$.credentialSubject.title", true),
            (json!(["title"]), "title", true),
            (json!(["credentialSubject.title"]), "credentialSubject.title", true),
            (json!(["credentialSubject", "shoeSize"]), "credentialSubject.shoeSize", false),
        ] {
            let found = unknown("vc+sd-jwt", &types, &path);
            let mut words = format!("QualificationCredential has no claim {given:?}");
            if nearest {
                words.push_str(r#"; the nearest is ["credentialSubject","title"]"#);
            }
            assert_eq!(found, [words], "{path}");
        }
        let found = unknown("vc+sd-jwt", &["QualificationCredentials"], &json!(["credentialSubject", "title"]));
        assert_eq!(
            found,
            ["the catalogue has no type \"QualificationCredentials\"; the nearest is QualificationCredential"]
        );
        let found = unknown("dc+sd-jwt", &["urn:carnet:type:qualification:2"], &json!(["title"]));
        assert!(found[0].ends_with("the nearest is urn:carnet:type:qualification:1"), "{found:?}");
        let found = unknown("dc+sd-jwt", &["urn:carnet:type:qualification:1"], &json!(["credentialSubject", "title"]));
        assert!(found[0].ends_with(r#"the nearest is ["title"]"#), "{found:?}");
    }
}
