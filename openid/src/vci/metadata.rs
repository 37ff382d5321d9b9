//! Metadata of a credential issuer (OpenID4VCI section 12.2), of its authorization server (RFC 8414), and of a JWT VC
//! issuer.

use std::collections::{BTreeMap, HashSet};

use carnet_core::{
    Code, Problem,
    did::{Did, DidUrl},
    json::{self, Limits},
    keys::PublicKey,
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{PRE_AUTHORIZED_CODE_GRANT, parse_issuer_identifier};
use crate::link::parse_https_url;

/// Format identifier of SD-JWT VC, the only format whose configuration has a `vct`.
pub const DC_SD_JWT: &str = carnet_core::format::CredentialFormat::DcSdJwt.as_str();

/// Credential issuer metadata (OpenID4VCI section 12.2.4).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct IssuerMetadata {
    /// Credential issuer identifier.
    pub credential_issuer: String,
    /// Identifiers of the authorization servers; empty: the credential issuer is its own authorization server.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub authorization_servers: Vec<String>,
    /// URL of the credential endpoint.
    pub credential_endpoint: String,
    /// URL of the nonce endpoint.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nonce_endpoint: Option<String>,
    /// URL of the deferred credential endpoint.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deferred_credential_endpoint: Option<String>,
    /// URL of the notification endpoint.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub notification_endpoint: Option<String>,
    /// Encryption of requests, not parsed ([`super::encryption`]).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credential_request_encryption: Option<Value>,
    /// Encryption of responses, not parsed ([`super::encryption`]).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credential_response_encryption: Option<Value>,
    /// Batch issuance; `None`: one copy per request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub batch_credential_issuance: Option<BatchIssuance>,
    /// Display properties of the issuer, one entry per language.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub display: Vec<DisplayProperties>,
    /// Credential configurations, by id.
    pub credential_configurations_supported: BTreeMap<String, CredentialConfiguration>,
}

/// Batch issuance (`batch_credential_issuance`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct BatchIssuance {
    /// Maximum number of proofs in a request, at least 2.
    pub batch_size: u64,
}

/// Display properties in one language (`display`): name and description.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DisplayProperties {
    /// Name to be displayed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Language tag (BCP 47).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub locale: Option<String>,
    /// One-line description.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
}

/// Credential configuration: a kind of credential that can be requested, in one format.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CredentialConfiguration {
    /// Credential format identifier, such as `dc+sd-jwt`.
    pub format: String,
    /// OAuth scope with which the credential can be requested.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scope: Option<String>,
    /// `vct`, for SD-JWT VC.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vct: Option<String>,
    /// JSON-LD contexts and types, for W3C credentials.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credential_definition: Option<CredentialDefinition>,
    /// Signature algorithms of the issuer: JOSE names, Data Integrity cryptosuites, or COSE algorithm numbers.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub credential_signing_alg_values_supported: Vec<Value>,
    /// Methods of binding to the holder's key, such as `jwk`; empty: the credential is not bound to a key.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub cryptographic_binding_methods_supported: Vec<String>,
    /// Supported types of proofs of possession of the holder's key, by name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub proof_types_supported: BTreeMap<String, ProofType>,
    /// Display properties of the credential, and its claims.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credential_metadata: Option<CredentialMetadata>,
    /// Epoch to whose start the dates of all copies are rounded down, such as `week`: a member of Carnet's profile
    /// (spec/openid.md 2.7). Carnet's wallet uses it to detect dates that would make a holder recognisable.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub carnet_validity_epoch: Option<String>,
}

/// JSON-LD contexts and types of a W3C credential (`credential_definition`, OpenID4VCI appendix A.1).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CredentialDefinition {
    /// JSON-LD contexts.
    #[serde(rename = "@context", default, skip_serializing_if = "Vec::is_empty")]
    pub context: Vec<String>,
    /// Credential types.
    #[serde(rename = "type")]
    pub types: Vec<String>,
}

/// Supported algorithms for one type of proof of possession.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProofType {
    /// Signature algorithms of the holder's key.
    pub proof_signing_alg_values_supported: Vec<String>,
}

/// Display properties and claims of a credential (`credential_metadata`).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Default)]
pub struct CredentialMetadata {
    /// Display properties of the credential, one entry per language.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub display: Vec<DisplayProperties>,
    /// Claims of the credential.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub claims: Vec<ClaimDescription>,
}

/// Description of a claim of a credential (OpenID4VCI appendix B.2).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ClaimDescription {
    /// Claims path pointer: names, `null` for all elements of an array, and indexes.
    pub path: Vec<Value>,
    /// `true` if the issuer includes the claim in every credential of this configuration.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub mandatory: bool,
    /// Display properties of the claim, one entry per language.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub display: Vec<DisplayProperties>,
}

impl IssuerMetadata {
    /// Parses and checks the metadata of the credential issuer with the identifier `issuer`. Unknown members are
    /// ignored, and so are invalid credential configurations, which may be of unsupported formats.
    ///
    /// # Errors
    /// The errors of [`json::parse_object`]; `malformed_value` for a malformed member, or another `credential_issuer`.
    pub fn parse(body: &[u8], issuer: &str) -> Result<Self, Problem> {
        let mut members = json::parse_object(body, Limits::DOCUMENT)?;
        let malformed = |what: String| Problem::new(Code::MalformedValue, what);
        if let Some(Value::Object(all)) = members.get_mut("credential_configurations_supported") {
            let is_known = |known: &Value| {
                json::deserialize_typed::<CredentialConfiguration>(known.clone()).is_ok_and(|c| c.check().is_ok())
            };
            all.retain(|_, configuration| is_known(configuration));
        }
        let metadata: Self = json::deserialize_typed(Value::Object(members))
            .map_err(|mismatch| malformed(format!("{} is malformed", mismatch.path)))?;
        // Byte for byte (section 12.2.1): no other spelling of the same URL counts.
        if metadata.credential_issuer != issuer {
            return Err(malformed("credential_issuer is that of another issuer".to_owned()));
        }
        metadata.check()?;
        Ok(metadata)
    }

    /// Checks the rules that the types do not express (OpenID4VCI section 12.2.4): URLs, batch size, languages, and
    /// every credential configuration.
    ///
    /// # Errors
    /// `malformed_value`; its detail names the member.
    pub fn check(&self) -> Result<(), Problem> {
        parse_issuer_identifier(&self.credential_issuer)?;
        parse_https_url("credential_endpoint", &self.credential_endpoint)?;
        for (member, url) in [
            ("nonce_endpoint", &self.nonce_endpoint),
            ("deferred_credential_endpoint", &self.deferred_credential_endpoint),
            ("notification_endpoint", &self.notification_endpoint),
        ] {
            url.as_ref().map(|url| parse_https_url(member, url)).transpose()?;
        }
        self.authorization_servers
            .iter()
            .try_for_each(|url| parse_https_url("authorization_servers", url).map(drop))?;
        if self.batch_credential_issuance.is_some_and(|batch| batch.batch_size < 2) {
            return Err(Problem::new(Code::MalformedValue, "batch_size is below 2"));
        }
        check_locales(&self.display)?;
        self.credential_configurations_supported.values().try_for_each(CredentialConfiguration::check)
    }

    /// Returns the identifier of the authorization server for an offer: the one that its grant names (OpenID4VCI section
    /// 4.1.1), otherwise the first of the metadata, otherwise the credential issuer itself.
    ///
    /// # Errors
    /// `malformed_value` if `authorization_servers` does not contain the server that the grant names.
    pub fn authorization_server(&self, named: Option<&str>) -> Result<&str, Problem> {
        let first = self.authorization_servers.first().unwrap_or(&self.credential_issuer);
        let Some(named) = named else { return Ok(first) };
        let known = self.authorization_servers.iter().find(|known| *known == named);
        known.map(String::as_str).ok_or_else(|| {
            let what = "the offer's authorization_server is not one of authorization_servers";
            Problem::new(Code::MalformedValue, what)
        })
    }

    /// Serialises the metadata.
    #[must_use]
    pub fn to_json(&self) -> Value {
        serde_json::to_value(self).unwrap_or_default()
    }
}

impl CredentialConfiguration {
    /// Checks the rules that the types do not express (OpenID4VCI section 12.2.4 and appendix A): proof types, `vct`,
    /// languages and claim paths.
    ///
    /// # Errors
    /// `malformed_value`; its detail names the member.
    pub fn check(&self) -> Result<(), Problem> {
        let refuse = |what: &str| Err(Problem::new(Code::MalformedValue, what.to_owned()));
        if self.cryptographic_binding_methods_supported.is_empty() != self.proof_types_supported.is_empty() {
            return refuse("cryptographic_binding_methods_supported and proof_types_supported go together");
        }
        if self.proof_types_supported.values().any(|proof| proof.proof_signing_alg_values_supported.is_empty()) {
            return refuse("proof_signing_alg_values_supported is empty");
        }
        match (self.format.as_str(), &self.vct, &self.credential_definition) {
            ("", ..) => return refuse("format is empty"),
            (DC_SD_JWT, Some(vct), None) if !vct.is_empty() => {}
            (DC_SD_JWT, ..) => return refuse("dc+sd-jwt has a vct, and no credential_definition"),
            (_, Some(_), _) => return refuse("only dc+sd-jwt has a vct"),
            _ => {}
        }
        let metadata = self.credential_metadata.iter();
        metadata.clone().try_for_each(|metadata| check_locales(&metadata.display))?;
        for claim in metadata.flat_map(|metadata| &metadata.claims) {
            let step = |step: &Value| step.is_string() || step.is_null() || step.is_u64();
            if claim.path.is_empty() || !claim.path.iter().all(step) {
                return refuse("a path of claims is malformed");
            }
            check_locales(&claim.display)?;
        }
        Ok(())
    }
}

/// Refuses malformed language tags (only their syntax is checked, BCP 47) and two names in one language.
fn check_locales(names: &[DisplayProperties]) -> Result<(), Problem> {
    let mut seen = HashSet::new();
    for locale in names.iter().filter_map(|name| name.locale.as_deref()) {
        let subtag = |tag: &str| (1..=8).contains(&tag.len()) && tag.bytes().all(|byte| byte.is_ascii_alphanumeric());
        if !locale.split('-').all(subtag) || !seen.insert(locale.to_ascii_lowercase()) {
            return Err(Problem::new(Code::MalformedValue, "a locale is malformed, or there twice"));
        }
    }
    Ok(())
}

/// Returns the metadata of an authorization server (RFC 8414) that supports only the pre-authorized code grant.
#[must_use]
pub fn authorization_server_metadata(issuer: &str, token_endpoint: &str) -> Value {
    json!({
        "issuer": issuer,
        "token_endpoint": token_endpoint,
        // Required by RFC 8414: there is no authorization endpoint, so there are none.
        "response_types_supported": [],
        "grant_types_supported": [PRE_AUTHORIZED_CODE_GRANT],
        "token_endpoint_auth_methods_supported": ["none"],
        "pre-authorized_grant_anonymous_access_supported": true,
    })
}

/// Parses the metadata of the authorization server `issuer`, and returns the URL of its token endpoint (RFC 8414
/// section 3.3).
///
/// # Errors
/// The errors of [`json::parse_object`]; `malformed_value` for another `issuer`, or a missing or invalid URL.
pub fn parse_token_endpoint(body: &[u8], issuer: &str) -> Result<String, Problem> {
    let members = json::parse_object(body, Limits::DOCUMENT)?;
    let text = |name: &str| members.get(name).and_then(Value::as_str);
    if text("issuer") != Some(issuer) {
        return Err(Problem::new(Code::MalformedValue, "issuer is that of another server"));
    }
    let endpoint = text("token_endpoint").unwrap_or_default();
    parse_https_url("token_endpoint", endpoint)?;
    Ok(endpoint.to_owned())
}

/// Parses the JWT VC issuer metadata of `issuer`, and returns the DID to which all its keys belong by their key ids.
///
/// # Errors
/// The errors of [`json::parse_object`]; `malformed_value` for another `issuer`, no keys, a key id that is not a DID
/// URL, or keys of several DIDs.
pub fn parse_issuer_did(body: &[u8], issuer: &str) -> Result<Did, Problem> {
    let members = json::parse_object(body, Limits::DOCUMENT)?;
    let malformed = |what: &str| Problem::new(Code::MalformedValue, what);
    if members.get("issuer").and_then(Value::as_str) != Some(issuer) {
        return Err(malformed("issuer is that of another issuer"));
    }
    let keys = members.get("jwks").and_then(|jwks| jwks.get("keys")).and_then(Value::as_array);
    let mut dids = keys.into_iter().flatten().map(|key| {
        let kid = key.get("kid").and_then(Value::as_str).unwrap_or_default();
        DidUrl::parse(kid).map(|url| url.did().clone()).map_err(|_| malformed("a key is not named by a DID URL"))
    });
    let first = dids.next().ok_or_else(|| malformed("the issuer names no keys"))??;
    for did in dids {
        if did? != first {
            return Err(malformed("the issuer names keys of several DIDs"));
        }
    }
    Ok(first)
}

/// Returns the JWT VC issuer metadata (SD-JWT VC section 4) with public keys, given as `(key id, key)`.
#[must_use]
pub fn jwt_vc_issuer_metadata(issuer: &str, keys: &[(String, PublicKey)]) -> Value {
    let jwk = |(kid, key): &(String, PublicKey)| {
        let mut jwk = key.to_jwk();
        jwk.insert("kid".to_owned(), json!(kid));
        jwk.insert("alg".to_owned(), json!(key.algorithm().as_str()));
        jwk.insert("use".to_owned(), json!("sig"));
        Value::Object(jwk)
    };
    json!({ "issuer": issuer, "jwks": { "keys": keys.iter().map(jwk).collect::<Vec<_>>() } })
}

#[cfg(test)]
mod tests {
    use super::*;

    const ISSUER: &str = "https://uni.example/t";

    fn metadata() -> Value {
        json!({
            "credential_issuer": ISSUER,
            "credential_endpoint": "https://uni.example/credential",
            "nonce_endpoint": "https://uni.example/nonce",
            "batch_credential_issuance": {"batch_size": 10},
            "display": [{"name": "University", "locale": "en"}, {"name": "Universidade", "locale": "pt-PT"}],
            "unknown": true,
            "credential_configurations_supported": {
                "a": {
                    "format": "dc+sd-jwt", "vct": "https://uni.example/a",
                    "cryptographic_binding_methods_supported": ["jwk"],
                    "proof_types_supported": {"jwt": {"proof_signing_alg_values_supported": ["ES256"]}},
                    "credential_signing_alg_values_supported": ["EdDSA"],
                    "credential_metadata": {"claims": [{"path": ["a", null, 0], "display": [{"name": "A"}]}]},
                },
                "b": {"format": "vc+sd-jwt", "credential_definition": {"type": ["VerifiableCredential", "B"]}},
                "mdoc": {"format": "mso_mdoc", "doctype": "x", "credential_signing_alg_values_supported": [-7]},
            },
        })
    }

    fn read(metadata: &Value) -> Result<IssuerMetadata, Problem> {
        IssuerMetadata::parse(metadata.to_string().as_bytes(), ISSUER)
    }

    #[test]
    fn an_offer_chooses_among_the_authorization_servers_of_the_metadata() {
        let mut metadata = read(&metadata()).unwrap();
        let chosen = |metadata: &IssuerMetadata, named: Option<&str>| {
            metadata.authorization_server(named).map(str::to_owned).map_err(|problem| problem.code)
        };
        let refused = Err(Code::MalformedValue);
        metadata.authorization_servers.clear();
        assert_eq!(chosen(&metadata, None), Ok(ISSUER.to_owned()));
        assert_eq!(chosen(&metadata, Some(ISSUER)), refused);
        let (one, two) = ("https://one.example", "https://two.example/as");
        metadata.authorization_servers = vec![one.to_owned(), two.to_owned()];
        assert_eq!(chosen(&metadata, None), Ok(one.to_owned()));
        assert_eq!(chosen(&metadata, Some(two)), Ok(two.to_owned()));
        for other in ["https://three.example", "https://two.example/as/", ""] {
            assert_eq!(chosen(&metadata, Some(other)), refused, "{other}");
        }
    }

    #[test]
    fn metadata_comes_back() {
        let read_once = read(&metadata()).unwrap();
        assert_eq!(read_once.credential_configurations_supported.len(), 3);
        assert_eq!(read(&read_once.to_json()).unwrap(), read_once);
    }

    #[test]
    fn metadata_that_breaks_a_rule_is_refused() {
        for (pointer, value) in [
            ("/credential_issuer", json!("https://uni.example/t/")),
            ("/credential_issuer", json!("https://UNI.example/t")),
            ("/credential_endpoint", json!("http://uni.example/credential")),
            ("/credential_endpoint", json!(null)),
            ("/nonce_endpoint", json!("https://u@uni.example/nonce")),
            ("/batch_credential_issuance/batch_size", json!(1)),
            ("/display/1/locale", json!("EN")),
            ("/display/1/locale", json!("pt_PT")),
            ("/credential_configurations_supported", json!([])),
        ] {
            let mut bad = metadata();
            *bad.pointer_mut(pointer).unwrap() = value;
            assert_eq!(read(&bad).unwrap_err().code, Code::MalformedValue, "{pointer}");
        }
    }

    #[test]
    fn a_configuration_that_breaks_a_rule_is_left_out() {
        for (pointer, value) in [
            ("/a/proof_types_supported", json!({})),
            ("/a/cryptographic_binding_methods_supported", json!([])),
            ("/a/proof_types_supported/jwt/proof_signing_alg_values_supported", json!([])),
            ("/a/vct", json!("")),
            ("/a/format", json!("vc+sd-jwt")),
            ("/a/format", json!("")),
            ("/a/credential_metadata/claims/0/path", json!([])),
            ("/a/credential_metadata/claims/0/path/2", json!(-1)),
            ("/a/credential_metadata/display", json!([{"locale": "en"}, {"locale": "en"}])),
        ] {
            let mut bad = metadata();
            let place = format!("/credential_configurations_supported{pointer}");
            match bad.pointer_mut(&place) {
                Some(place) => *place = value,
                None => bad["credential_configurations_supported"]["a"]["credential_metadata"]["display"] = value,
            }
            let read = read(&bad).unwrap().credential_configurations_supported;
            assert_eq!(read.keys().collect::<Vec<_>>(), ["b", "mdoc"], "{pointer}");
        }
    }

    #[test]
    fn the_server_is_the_one_that_was_asked() {
        let written = authorization_server_metadata(ISSUER, "https://uni.example/token").to_string();
        assert_eq!(parse_token_endpoint(written.as_bytes(), ISSUER).unwrap(), "https://uni.example/token");
        assert!(parse_token_endpoint(written.as_bytes(), "https://uni.example").is_err());
        let plain = authorization_server_metadata(ISSUER, "http://uni.example/token").to_string();
        assert!(parse_token_endpoint(plain.as_bytes(), ISSUER).is_err());
    }

    #[test]
    fn published_keys_are_public() {
        let key =
            carnet_core::keys::SecretKey::from_bytes(carnet_core::keys::SignatureAlgorithm::Es256, &[7; 32]).unwrap();
        let public = carnet_core::keys::Signer::public_key(&key);
        let written = jwt_vc_issuer_metadata(ISSUER, &[("did:web:uni.example#a".to_owned(), public.clone())]);
        let jwk = &written["jwks"]["keys"][0];
        assert_eq!(PublicKey::from_jwk(jwk).unwrap(), public);
        assert_eq!((jwk.get("d"), &jwk["kid"]), (None, &json!("did:web:uni.example#a")));
    }

    #[test]
    fn an_issuer_is_known_by_the_did_of_its_keys() {
        let read = |kids: &[&str]| {
            let keys: Vec<Value> = kids.iter().map(|kid| json!({"kty": "EC", "kid": kid})).collect();
            let body = json!({"issuer": ISSUER, "jwks": {"keys": keys}}).to_string();
            parse_issuer_did(body.as_bytes(), ISSUER).map(|did| did.to_string()).map_err(|problem| problem.code)
        };
        assert_eq!(read(&["did:web:uni.example#a", "did:web:uni.example#b"]), Ok("did:web:uni.example".to_owned()));
        for bad in [&[][..], &["a"], &["#a"], &["did:web:uni.example#a", "did:web:other.example#a"]] {
            assert_eq!(read(bad), Err(Code::MalformedValue), "{bad:?}");
        }
        let other = json!({"issuer": "https://uni.example", "jwks": {"keys": [{"kid": "did:web:uni.example#a"}]}});
        assert!(parse_issuer_did(other.to_string().as_bytes(), ISSUER).is_err());
    }
}
