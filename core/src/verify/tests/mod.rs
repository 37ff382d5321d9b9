//! The pipeline as a whole: an honest presentation passes, and each fault has its code.

// Tests are a caller of core's, and a caller has randomness.
#![allow(clippy::disallowed_types)]

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use rand_core::OsRng;
use serde_json::{Map, Value, json};

use super::*;
use crate::{
    credential::CONTEXT_V2,
    did::{Did, DidDocument, Resolve, SelfContainedResolver},
    format::CredentialFormat,
    keys::{SecretKey, SignatureAlgorithm, Signer},
    secure::{
        data_integrity::Cryptosuites,
        data_integrity::eddsa_jcs::EddsaJcs2022,
        sd_jwt::{IssueOptions, SdJwt, Step, issue},
    },
    status::VerifiedStatusList,
};

mod clear;
mod data_integrity;
mod delegated;
mod foreign;
mod history;
mod holders;
mod lists;
mod members;
mod messages;
mod sd_jwt;
mod statements;
mod status;
mod thresholds;

const NONCE: &str = "n-0S6_WzA2Mj";
const AUDIENCE: &str = "decentralized_identifier:did:web:agency.example";

/// Accepts one issuer for one type.
struct Only(String);
impl IssuerPolicy for Only {
    fn check_issuer(&self, held: &VerifiedCredential) -> Result<(), Problem> {
        if held.credential.issuer() == self.0 && held.type_name == "Permit" {
            Ok(())
        } else {
            Err(Code::IssuerUntrusted.into())
        }
    }
}

/// Resolver that answers with one document.
struct OneDocument(Arc<crate::did::DidDocument>);

impl Resolve for OneDocument {
    fn resolve(&self, _: &Did) -> Result<Arc<crate::did::DidDocument>, Problem> {
        Ok(Arc::clone(&self.0))
    }
}

/// A catalogue of one type.
struct OneType;
impl TypeCatalogue for OneType {
    fn type_name(&self, types: &[&str], vct: Option<&str>) -> Result<String, Problem> {
        if types == ["Permit"] || vct == Some("urn:permit") {
            Ok("Permit".into())
        } else {
            Err(Code::TypeUnknown.into())
        }
    }
    fn check_schema(&self, _: &str, _: &Map<String, Value>) -> Result<(), Problem> {
        Ok(())
    }
    fn is_always_disclosed(&self, type_name: &str, _: CredentialFormat, path: &[Step]) -> bool {
        type_name == "Permit" && path == [Step::Name("credentialSubject".into()), Step::Name("country".into())]
    }
}

/// Lists by URL only, so that they are found also if they are about another's credentials.
#[derive(Default, Clone)]
pub(super) struct ByUrl(HashMap<String, Arc<VerifiedStatusList>>, Option<u32>);

impl StatusLists for ByUrl {
    fn list(&self, _: &str, url: &str) -> Option<&VerifiedStatusList> {
        self.0.get(url).map(AsRef::as_ref)
    }

    fn freshness_seconds(&self, _: &str) -> Option<u32> {
        self.1
    }
}

impl std::ops::Deref for ByUrl {
    type Target = HashMap<String, Arc<VerifiedStatusList>>;

    fn deref(&self) -> &Self::Target {
        &self.0
    }
}

impl std::ops::DerefMut for ByUrl {
    fn deref_mut(&mut self) -> &mut Self::Target {
        &mut self.0
    }
}

/// An issuer, a holder and a verifier.
struct World {
    issuer: SecretKey,
    holder: SecretKey,
    now: Timestamp,
    query: Value,
    trusted: String,
    lists: ByUrl,
    stale_by: i64,
    statement_age: i64,
    /// Of an issuer that is no did:jwk.
    issuers_document: Option<Arc<DidDocument>>,
}

impl World {
    fn new() -> Self {
        let issuer = SecretKey::generate(SignatureAlgorithm::EdDsa, &mut OsRng);
        let trusted = Did::did_jwk(&issuer.public_key()).to_string();
        Self {
            issuer,
            trusted,
            lists: ByUrl::default(),
            stale_by: 0,
            statement_age: 7 * 86_400,
            issuers_document: None,
            holder: SecretKey::generate(SignatureAlgorithm::EdDsa, &mut OsRng),
            now: Timestamp::parse("2026-11-22T12:00:00Z").unwrap(),
            query: json!({"credentials": [{"id": "permit", "format": "vc+sd-jwt",
                "meta": {"type_values": [["Permit"]]},
                "claims": [{"path": ["credentialSubject", "rightToWork"]}]}]}),
        }
    }

    fn did(&self) -> String {
        Did::did_jwk(&self.issuer.public_key()).to_string()
    }

    fn holder_did(&self) -> String {
        Did::did_jwk(&self.holder.public_key()).to_string()
    }

    fn document(&self) -> Map<String, Value> {
        object(json!({
            "@context": [CONTEXT_V2], "type": ["VerifiableCredential", "Permit"], "issuer": self.did(),
            "validFrom": "2026-01-01T00:00:00Z", "validUntil": "2027-01-01T00:00:00Z",
            "credentialSubject": {"id": self.holder_did(), "rightToWork": true, "permitType": "student"}
        }))
    }

    fn verify(&self, presentation: &str) -> (VerificationReport, Option<Verified<VerifiedCredentials>>) {
        self.verify_answer(&BTreeMap::from([("permit".to_owned(), vec![presentation.to_owned()])]))
    }

    fn verify_answer(
        &self,
        answer: &BTreeMap<String, Vec<String>>,
    ) -> (VerificationReport, Option<Verified<VerifiedCredentials>>) {
        let query = Query::parse(&self.query).unwrap();
        let asked = PresentationContext { query: &query, nonce: NONCE, audience: AUDIENCE, max_age: 300 };
        self.with_environment(|env| verify_presentation(answer, &asked, env))
    }

    fn verify_alone(&self, bytes: &[u8]) -> (VerificationReport, Option<Verified<VerifiedCredential>>) {
        self.with_environment(|env| verify_credential(bytes, env))
    }

    fn with_environment<T>(&self, run: impl FnOnce(&VerificationEnvironment<'_>) -> T) -> T {
        let issuers = Only(self.trusted.clone());
        run(&VerificationEnvironment {
            now: self.now,
            skew: 60,
            resolver: self,
            suites: &Cryptosuites::jcs(),
            issuer_policy: &issuers,
            types: &OneType,
            status_policy: StatusPolicy::Lists {
                lists: &self.lists,
                max_staleness: self.stale_by,
                max_statement_age: self.statement_age,
            },
        })
    }
}

impl Resolve for World {
    fn resolve(&self, did: &Did) -> Result<Arc<DidDocument>, Problem> {
        match &self.issuers_document {
            Some(document) if document.did() == did => Ok(Arc::clone(document)),
            _ => SelfContainedResolver.resolve(did),
        }
    }
}

fn object(value: Value) -> Map<String, Value> {
    value.as_object().unwrap().clone()
}

fn path(names: &[&str]) -> ClaimPath {
    names.iter().map(|name| Step::Name((*name).to_owned())).collect()
}

/// Asserts that the report has a failure of this code, and that nothing was verified.
#[track_caller]
fn refused<T>((report, verified): (VerificationReport, Option<Verified<T>>), code: Code) {
    assert_eq!(report.first_failure().map(|problem| problem.code), Some(code), "{report:#?}");
    assert!(verified.is_none());
}

#[track_caller]
fn accepted<T>((report, verified): (VerificationReport, Option<Verified<T>>)) -> T {
    assert_eq!(report.first_failure(), None);
    verified.unwrap().into_inner()
}

#[test]
fn an_empty_report_seals_nothing() {
    assert!(VerificationReport::default().to_verified(Some(())).is_none());
}

#[test]
fn every_check_has_its_own_name() {
    use CheckName::*;
    let all = [
        Format,
        IssuerKey,
        Proof,
        Model,
        HolderBinding,
        Thresholds,
        HolderSubject,
        Validity,
        Status,
        Schema,
        IssuerTrust,
        Query,
        Distinct,
        HolderRule,
    ];
    let names: std::collections::HashSet<_> = all.iter().map(|name| name.as_str()).collect();
    assert_eq!(names.len(), all.len());
}
