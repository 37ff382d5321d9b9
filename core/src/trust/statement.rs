//! Signed statements: documents such as registrations and receipts. Each is a VCDM 2.0 credential with one type, one
//! subject, and one eddsa-jcs-2022 proof. A statement with an unknown member is refused.

use std::collections::BTreeMap;

use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Map, Value, json};

use crate::{
    Code, Problem,
    credential::{CONTEXT_V2, Credential},
    did::{Did, DidUrl, Resolve, VerificationRelationship},
    endpoint::parse_endpoint,
    json,
    keys::Signer,
    secure::data_integrity::{self, Cryptosuites, ProofOptions, ProofRequirements, eddsa_jcs::EddsaJcs2022},
    text::is_visible_text,
    time::Timestamp,
};

/// Base URL of the JSON-LD terms that VCDM 2.0 does not define.
const VOCABULARY: &str = "https://carnet.example/vocab#";
/// Permitted top-level members of a statement, and of a trust list.
const MEMBERS: [&str; 7] = ["@context", "type", "issuer", "validFrom", "validUntil", "credentialSubject", "proof"];
/// Maximum number of languages of a text.
const MAX_LANGUAGES: usize = 32;
/// Maximum length of a text in one language, in characters.
const MAX_TEXT: usize = 1_000;
/// Maximum length of a URI, in bytes.
const MAX_URI: usize = 2_048;

/// Kind of signed statement.
pub(crate) struct StatementKind {
    /// Value in `type` besides `VerifiableCredential`.
    pub(crate) type_name: &'static str,
    /// Error code for malformed statements.
    pub(crate) invalid_code: Code,
}

/// Statement whose structure, proof and validity period were verified.
pub(crate) struct VerifiedStatement<T> {
    pub(crate) issuer: String,
    pub(crate) subject: T,
    pub(crate) valid_from: Timestamp,
    pub(crate) valid_until: Option<Timestamp>,
}

/// Issuer and validity period of a statement.
pub(crate) struct IssuerAndValidity {
    pub(crate) issuer: String,
    pub(crate) valid_from: Timestamp,
    pub(crate) valid_until: Option<Timestamp>,
}

/// Time of verification, and tolerated clock skew in seconds.
#[derive(Clone, Copy)]
pub(crate) struct VerificationTime {
    pub(crate) now: Timestamp,
    pub(crate) skew: i64,
}

impl VerificationTime {
    /// Checks that a time is not in the future by more than the clock skew (`not_yet_valid`). `what` names it in the
    /// error.
    pub(crate) fn require_past(self, at: Timestamp, what: &str) -> Result<(), Problem> {
        if self.now.plus(self.skew) < at {
            return Err(Problem::new(Code::NotYetValid, format!("{what} has not come yet")));
        }
        Ok(())
    }

    /// Checks that an end of validity has not passed by more than the clock skew (`expired`). `what` names it in the
    /// error.
    pub(crate) fn require_not_expired(self, at: Timestamp, what: &str) -> Result<(), Problem> {
        if self.now.plus(self.skew.saturating_neg()) > at {
            return Err(Problem::new(Code::Expired, format!("{what} has passed")));
        }
        Ok(())
    }
}

/// Returns the `@context` of every statement, and of a trust list.
fn context() -> Value {
    json!([CONTEXT_V2, {"@vocab": VOCABULARY}])
}

impl StatementKind {
    /// Signs a statement. Its issuer is the DID of `kid`.
    ///
    /// # Errors
    /// `algorithm_mismatch` unless the key is an Ed25519 key; `proof_generation`, `date_malformed`,
    /// `validity_reversed`.
    pub(crate) fn sign<T: Serialize>(
        &self,
        subject: &T,
        (from, until): (Timestamp, Option<Timestamp>),
        kid: &DidUrl,
        signer: &dyn Signer,
    ) -> Result<Map<String, Value>, Problem> {
        let subject = serde_json::to_value(subject).map_err(|_| Problem::from(Code::ProofGeneration))?;
        let document = self.unsigned_document(kid.did(), (from, until), subject)?;
        let options = ProofOptions {
            verification_method: &kid.to_string(),
            purpose: VerificationRelationship::AssertionMethod,
            created: Some(from),
            expires: None,
            challenge: None,
            domain: None,
        };
        data_integrity::add_proof(&document, &EddsaJcs2022, &options, signer)
    }

    /// Verifies a statement: its structure, its one proof and its validity period. `accept` decides about the issuer
    /// before any DID is resolved.
    ///
    /// # Errors
    /// Those of `accept`; the error code of the kind for a malformed statement; `expired`, `not_yet_valid`; those of
    /// [`Credential::parse`] and [`data_integrity::verify`].
    pub(crate) fn verify<T: DeserializeOwned>(
        &self,
        document: &Map<String, Value>,
        accept: impl FnOnce(&str) -> Result<(), Problem>,
        clock: VerificationTime,
        resolver: &dyn Resolve,
    ) -> Result<VerifiedStatement<T>, Problem> {
        let IssuerAndValidity { issuer, valid_from: from, valid_until: until } = self.check_common_members(document)?;
        accept(&issuer)?;
        if document.get("proof").is_some_and(|proof| !proof.is_object()) {
            return Err(self.problem("it must have exactly one proof"));
        }
        let purpose = VerificationRelationship::AssertionMethod;
        let VerificationTime { now, skew } = clock;
        let expected = ProofRequirements { purpose, controller: &issuer, binding: None, now, skew };
        let mut verified = data_integrity::verify(document, &Cryptosuites::only(EddsaJcs2022), resolver, &expected)?;
        clock.require_past(from, "its validFrom")?;
        if let Some(until) = until {
            clock.require_not_expired(until, "its validUntil")?;
        }
        let subject = self.parse_subject(verified.remove("credentialSubject").unwrap_or_default())?;
        Ok(VerifiedStatement { issuer, subject, valid_from: from, valid_until: until })
    }

    /// Checks the members that all statements and trust lists have in common, and returns issuer and validity period.
    /// Subject, proofs and the current time are not checked.
    ///
    /// # Errors
    /// The error code of the kind; those of [`Credential::parse`].
    pub(crate) fn check_common_members(&self, document: &Map<String, Value>) -> Result<IssuerAndValidity, Problem> {
        let credential = Credential::parse(document.clone())?;
        let member = |name: &str| document.get(name);
        if member("type") != Some(&json!(["VerifiableCredential", self.type_name])) {
            return Err(self.problem(format!("it is not a {}", self.type_name)));
        }
        if member("@context") != Some(&context()) {
            return Err(self.problem("its @context is not that of Carnet's statements"));
        }
        if let Some(name) = document.keys().find(|name| !MEMBERS.contains(&name.as_str())) {
            // Members such as a status or terms of use are not checked here, and so must not be ignored.
            let known = ["id", "credentialStatus", "termsOfUse", "evidence", "credentialSchema", "refreshService"];
            let named = known.iter().find(|known| *known == name).copied().unwrap_or("an unknown member");
            return Err(self.problem(format!("{named} is not allowed in it")));
        }
        if !member("issuer").is_some_and(Value::is_string) {
            return Err(self.problem("its issuer is not a DID"));
        }
        let from = credential.valid_from().ok_or_else(|| self.problem("it has no validFrom"))?;
        Ok(IssuerAndValidity {
            issuer: credential.issuer().to_owned(),
            valid_from: from,
            valid_until: credential.valid_until(),
        })
    }

    /// Deserialises the subject, which must not have unknown members.
    ///
    /// # Errors
    /// The error code of the kind.
    pub(crate) fn parse_subject<T: DeserializeOwned>(&self, subject: Value) -> Result<T, Problem> {
        // The error text of serde may quote a value, so it is not passed on.
        json::deserialize_typed(subject)
            .map_err(|_| self.problem(format!("its subject lacks the members of a {}", self.type_name)))
    }

    /// Creates an unsigned statement of this kind.
    ///
    /// # Errors
    /// Those of [`Self::check_common_members`].
    pub(crate) fn unsigned_document(
        &self,
        issuer: &Did,
        (from, until): (Timestamp, Option<Timestamp>),
        subject: Value,
    ) -> Result<Map<String, Value>, Problem> {
        let mut document = Map::from_iter([
            ("@context".to_owned(), context()),
            ("type".to_owned(), json!(["VerifiableCredential", self.type_name])),
            ("issuer".to_owned(), issuer.as_str().into()),
            ("validFrom".to_owned(), from.to_string().into()),
            ("credentialSubject".to_owned(), subject),
        ]);
        if let Some(until) = until {
            document.insert("validUntil".to_owned(), until.to_string().into());
        }
        self.check_common_members(&document)?;
        Ok(document)
    }

    pub(crate) fn problem(&self, detail: impl Into<String>) -> Problem {
        Problem::new(self.invalid_code, detail)
    }

    pub(crate) fn require(&self, holds: bool, what: &str, must: &str) -> Result<(), Problem> {
        if holds { Ok(()) } else { Err(self.problem(format!("{what} {must}"))) }
    }

    /// Checks a text for people: not blank, at most `max` characters, all of them visible (see [`crate::text`]).
    pub(crate) fn check_text(&self, text: &str, what: &str, max: usize) -> Result<(), Problem> {
        self.require(is_visible_text(text, max), what, &format!("is not a text of 1 to {max} visible characters"))
    }

    /// Checks texts by language tag: at most 32 languages, English among them, each with at most 1,000 characters.
    pub(crate) fn check_texts(&self, texts: &BTreeMap<String, String>, what: &str) -> Result<(), Problem> {
        self.require(texts.contains_key("en"), what, "has no English text")?;
        self.require(texts.len() <= MAX_LANGUAGES, what, "has too many languages")?;
        for (language, text) in texts {
            let tag = (2..=35).contains(&language.len())
                && language.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
            self.require(tag, what, "has an invalid language tag")?;
            self.check_text(text, what, MAX_TEXT)?;
        }
        Ok(())
    }

    /// Checks an identifier: 1 to 128 ASCII letters, digits, `_` and `-`.
    pub(crate) fn check_identifier(&self, id: &str, what: &str) -> Result<(), Problem> {
        let holds = (1..=128).contains(&id.len())
            && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'));
        self.require(holds, what, "is not 1 to 128 letters, digits, _ and -")
    }

    /// Checks the number of entries of a list.
    pub(crate) fn check_count(
        &self,
        count: usize,
        range: std::ops::RangeInclusive<usize>,
        what: &str,
    ) -> Result<(), Problem> {
        let must = format!("does not have {} to {} entries", range.start(), range.end());
        self.require(range.contains(&count), what, &must)
    }

    pub(crate) fn check_did(&self, did: &str, what: &str) -> Result<(), Problem> {
        self.require(Did::parse(did).is_ok(), what, "is not a DID")
    }

    /// Checks an https URL: visible ASCII, at most 2,048 bytes, with a host and without user name and password.
    pub(crate) fn check_https_url(&self, text: &str, what: &str) -> Result<(), Problem> {
        let holds = text.len() <= MAX_URI && parse_endpoint(text).is_ok_and(|url| url.scheme() == "https");
        self.require(holds, what, "is not an https URL")
    }

    /// Checks an email address: `local@domain`, at most 254 bytes, without header fields or other content.
    pub(crate) fn check_email(&self, text: &str, what: &str) -> Result<(), Problem> {
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b".!#$'*+-/=^_`{|}~".contains(&byte);
        let holds = text.len() <= 254
            && text.split_once('@').is_some_and(|(local, domain)| {
                [local, domain].iter().all(|part| !part.is_empty() && part.bytes().all(allowed))
            });
        self.require(holds, what, "is not an email address")
    }
}

/// Serde format of [`Timestamp`]s: `dateTimeStamp`.
pub(crate) mod instant {
    use serde::{Deserialize as _, Deserializer, Serializer, de::Error as _};

    use crate::time::Timestamp;

    pub(crate) fn serialize<S: Serializer>(at: &Timestamp, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(at)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Timestamp, D::Error> {
        let text = String::deserialize(deserializer)?;
        Timestamp::parse(&text).map_err(D::Error::custom)
    }
}

/// Serde format of claim paths: claims path pointers (DCQL).
pub(crate) mod path {
    use serde::{Deserialize as _, Deserializer, Serialize as _, Serializer, de::Error as _};
    use serde_json::Value;

    use crate::{
        query::{parse_path, path_to_json},
        secure::sd_jwt::{ClaimPath, Step},
    };

    pub(crate) fn serialize<S: Serializer>(path: &[Step], serializer: S) -> Result<S::Ok, S::Error> {
        path_to_json(path).serialize(serializer)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<ClaimPath, D::Error> {
        parse_path(&Value::deserialize(deserializer)?).map_err(D::Error::custom)
    }
}
