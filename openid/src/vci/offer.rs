//! Credential offers (OpenID4VCI section 4.1). Their content is untrusted input.

use std::collections::HashSet;

use carnet_core::{
    Code, Problem,
    json::{self, Limits},
    time::Timestamp,
};
use percent_encoding::utf8_percent_encode;
use serde_json::{Map, Value, json};
use zeroize::Zeroizing;

use super::{PRE_AUTHORIZED_CODE_GRANT, parse_issuer_identifier};
use crate::{
    SecretText,
    form::PERCENT_ENCODED,
    link::{self, parse_https_url},
};

/// URL scheme of offer links.
pub const OFFER_SCHEME: &str = "openid-credential-offer";
/// Maximum length of an offer link, in bytes.
const MAX_LINK_BYTES: usize = 8_192;
/// Maximum number of credential configurations in an offer.
const MAX_CONFIGURATIONS: usize = 64;
/// Maximum length of the description of a transaction code (section 4.1.1), in characters.
const MAX_DESCRIPTION_CHARS: usize = 300;

/// Link with a credential offer or its URL.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OfferLink {
    /// Offer by value: `credential_offer`.
    Value(CredentialOffer),
    /// Offer by reference: `credential_offer_uri`. The URL is untrusted: it must be fetched without access to private
    /// networks.
    Reference(String),
}

impl OfferLink {
    /// Parses a link: `openid-credential-offer://`, or an https URL with the same parameters.
    ///
    /// # Errors
    /// `too_large`: longer than 8,192 bytes; `unknown_format` for another scheme; the errors of
    /// [`crate::form::FormParameters::parse`] and [`CredentialOffer::parse`]; `malformed_value` unless there is exactly
    /// one of the two parameters, and for an invalid URL.
    pub fn parse(link: &str) -> Result<Self, Problem> {
        let (_, form) = link::parse_link(link, OFFER_SCHEME, MAX_LINK_BYTES)?;
        match (form.get("credential_offer"), form.get("credential_offer_uri")) {
            (Some(offer), None) if !form.contains("credential_offer_uri") => {
                CredentialOffer::parse(offer.expose().as_bytes()).map(Self::Value)
            }
            (None, Some(uri)) if !form.contains("credential_offer") => {
                parse_https_url("credential_offer_uri", uri.expose())?;
                Ok(Self::Reference(uri.expose().to_owned()))
            }
            _ => Err(Problem::new(
                Code::MalformedValue,
                "a link has exactly one of credential_offer and credential_offer_uri",
            )),
        }
    }

    /// Serialises the link with the scheme `openid-credential-offer`.
    #[must_use]
    pub fn to_link(&self) -> Zeroizing<String> {
        let (name, value) = match self {
            Self::Value(offer) => ("credential_offer", offer.to_json()),
            Self::Reference(url) => ("credential_offer_uri", Zeroizing::new(url.clone())),
        };
        // Capacity for the whole link, which is secret: reallocation would leave copies in memory.
        let mut link = Zeroizing::new(String::with_capacity(value.len().saturating_mul(3).saturating_add(64)));
        link.push_str(OFFER_SCHEME);
        link.push_str("://?");
        link.push_str(name);
        link.push('=');
        link.extend(utf8_percent_encode(&value, PERCENT_ENCODED));
        link
    }
}

/// Credential offer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CredentialOffer {
    /// Credential issuer identifier.
    pub credential_issuer: String,
    /// Ids of the offered credential configurations, 1 to 64, all different.
    pub configuration_ids: Vec<String>,
    /// Pre-authorized code grant; `None`: the offer has other grants only, which are ignored, or none, so that the
    /// issuer's metadata determines the grant.
    pub pre_authorized: Option<PreAuthorizedGrant>,
    /// End of the credential's validity, `carnet_valid_until`: a member of Carnet's profile (spec/protocol.md 3.28),
    /// which other wallets ignore.
    pub valid_until: Option<Timestamp>,
}

/// Pre-authorized code grant of an offer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PreAuthorizedGrant {
    /// Single-use pre-authorized code.
    pub code: SecretText,
    /// Form of the required transaction code; `None`: no transaction code is required.
    pub tx_code: Option<TxCode>,
    /// Authorization server that must be used; `None`: the only one of the issuer.
    pub authorization_server: Option<String>,
}

/// Form of a transaction code.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TxCode {
    /// Permitted characters.
    pub input_mode: InputMode,
    /// Length, in characters, from 1 to 1,000; `None`: not stated.
    pub length: Option<u64>,
    /// Instructions for the holder, at most 300 characters, from an untrusted party.
    pub description: Option<String>,
}

/// Permitted characters of a transaction code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum InputMode {
    /// Digits.
    #[default]
    Numeric,
    /// Any characters.
    Text,
}

impl CredentialOffer {
    /// Parses an offer (JSON). Unknown members and grants are ignored.
    ///
    /// # Errors
    /// The errors of [`json::parse_object`]; `malformed_value`, whose detail names the member; `date_malformed` for
    /// `carnet_valid_until`.
    pub fn parse(text: &[u8]) -> Result<Self, Problem> {
        let members = json::parse_object(text, Limits::SMALL)?;
        let malformed = |what: &str| Problem::new(Code::MalformedValue, what.to_owned());
        let issuer = members.get("credential_issuer").and_then(Value::as_str);
        let issuer = issuer.ok_or_else(|| malformed("credential_issuer is missing"))?;
        parse_issuer_identifier(issuer)?;
        let ids = members.get("credential_configuration_ids").and_then(Value::as_array);
        let ids = ids.and_then(|ids| ids.iter().map(|id| id.as_str().map(str::to_owned)).collect::<Option<Vec<_>>>());
        let ids = ids.filter(|ids| {
            let distinct: HashSet<_> = ids.iter().collect();
            (1..=MAX_CONFIGURATIONS).contains(&ids.len())
                && distinct.len() == ids.len()
                && ids.iter().all(|id| !id.is_empty())
        });
        let grants = match members.get("grants") {
            None => None,
            Some(Value::Object(grants)) => Some(grants),
            Some(_) => return Err(malformed("grants is not an object")),
        };
        let pre_authorized = grants
            .and_then(|grants| grants.get(PRE_AUTHORIZED_CODE_GRANT))
            .map(PreAuthorizedGrant::from_json)
            .transpose()?;
        let valid_until = match members.get("carnet_valid_until") {
            None => None,
            Some(Value::String(text)) => Some(Timestamp::parse(text)?),
            Some(_) => return Err(malformed("carnet_valid_until is not text")),
        };
        Ok(Self {
            credential_issuer: issuer.to_owned(),
            configuration_ids: ids.ok_or_else(|| malformed("credential_configuration_ids is not a list of ids"))?,
            pre_authorized,
            valid_until,
        })
    }

    /// Serialises the offer.
    #[must_use]
    pub fn to_json(&self) -> Zeroizing<String> {
        let mut members = Map::new();
        members.insert("credential_issuer".to_owned(), json!(self.credential_issuer));
        members.insert("credential_configuration_ids".to_owned(), json!(self.configuration_ids));
        if let Some(until) = self.valid_until {
            members.insert("carnet_valid_until".to_owned(), json!(until.to_string()));
        }
        if let Some(grant) = &self.pre_authorized {
            members.insert("grants".to_owned(), json!({ PRE_AUTHORIZED_CODE_GRANT: grant.to_json() }));
        }
        Zeroizing::new(Value::Object(members).to_string())
    }
}

impl PreAuthorizedGrant {
    fn from_json(grant: &Value) -> Result<Self, Problem> {
        let malformed = |what: &str| Problem::new(Code::MalformedValue, what.to_owned());
        let code = grant.get("pre-authorized_code").and_then(Value::as_str).filter(|code| !code.is_empty());
        let tx_code = match grant.get("tx_code") {
            None => None,
            Some(Value::Object(form)) => Some(TxCode::from_json(form)?),
            Some(_) => return Err(malformed("tx_code is not an object")),
        };
        let authorization_server = match grant.get("authorization_server") {
            None => None,
            Some(Value::String(server)) => {
                parse_https_url("authorization_server", server)?;
                Some(server.clone())
            }
            Some(_) => return Err(malformed("authorization_server is not text")),
        };
        let code = code.ok_or_else(|| malformed("pre-authorized_code is missing"))?.into();
        Ok(Self { code, tx_code, authorization_server })
    }

    fn to_json(&self) -> Value {
        let mut members = Map::new();
        members.insert("pre-authorized_code".to_owned(), json!(self.code.expose()));
        if let Some(form) = &self.tx_code {
            members.insert("tx_code".to_owned(), form.to_json());
        }
        if let Some(server) = &self.authorization_server {
            members.insert("authorization_server".to_owned(), json!(server));
        }
        Value::Object(members)
    }
}

impl TxCode {
    fn from_json(form: &Map<String, Value>) -> Result<Self, Problem> {
        let malformed = |what: &str| Problem::new(Code::MalformedValue, format!("tx_code.{what}"));
        let input_mode = match form.get("input_mode").map(|mode| mode.as_str()) {
            None | Some(Some("numeric")) => InputMode::Numeric,
            Some(Some("text")) => InputMode::Text,
            Some(_) => return Err(malformed("input_mode is neither numeric nor text")),
        };
        let length = match form.get("length") {
            None => None,
            Some(length) => match json::as_unsigned_integer(length) {
                Some(length @ 1..=1_000) => Some(length),
                _ => return Err(malformed("length is not a number from 1 to 1000")),
            },
        };
        let description = match form.get("description") {
            None => None,
            Some(Value::String(text)) if text.chars().count() <= MAX_DESCRIPTION_CHARS => Some(text.clone()),
            Some(_) => return Err(malformed("description is not text of at most 300 characters")),
        };
        Ok(Self { input_mode, length, description })
    }

    fn to_json(&self) -> Value {
        let mut members = Map::new();
        let mode = match self.input_mode {
            InputMode::Numeric => "numeric",
            InputMode::Text => "text",
        };
        members.insert("input_mode".to_owned(), json!(mode));
        if let Some(length) = self.length {
            members.insert("length".to_owned(), json!(length));
        }
        if let Some(description) = &self.description {
            members.insert("description".to_owned(), json!(description));
        }
        Value::Object(members)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn offer() -> Value {
        json!({
            "credential_issuer": "https://uni.example",
            "credential_configuration_ids": ["a", "b"],
            "grants": {
                "authorization_code": {"issuer_state": "x"},
                PRE_AUTHORIZED_CODE_GRANT: {"pre-authorized_code": "c0de", "tx_code": {}},
            },
            "unknown": [1],
        })
    }

    fn read(offer: &Value) -> Result<CredentialOffer, Code> {
        CredentialOffer::parse(offer.to_string().as_bytes()).map_err(|problem| problem.code)
    }

    #[test]
    fn an_empty_tx_code_means_that_a_pin_is_needed() {
        let grant = read(&offer()).unwrap().pre_authorized.unwrap();
        assert_eq!((grant.code.expose(), grant.tx_code), ("c0de", Some(TxCode::default())));
        let mut without = offer();
        without["grants"][PRE_AUTHORIZED_CODE_GRANT] = json!({"pre-authorized_code": "c0de"});
        assert_eq!(read(&without).unwrap().pre_authorized.unwrap().tx_code, None);
    }

    #[test]
    fn malformed_offers_are_refused() {
        assert!(read(&offer()).is_ok());
        for (pointer, value) in [
            ("/credential_issuer", json!("http://uni.example")),
            ("/credential_issuer", json!(1)),
            ("/credential_configuration_ids", json!([])),
            ("/credential_configuration_ids", json!(["a", "a"])),
            ("/credential_configuration_ids", json!(["a", 1])),
            ("/credential_configuration_ids", json!([""])),
            ("/credential_configuration_ids", json!("a")),
            ("/grants", json!([])),
            ("/grants/urn:ietf:params:oauth:grant-type:pre-authorized_code", json!("c0de")),
            ("/grants/urn:ietf:params:oauth:grant-type:pre-authorized_code/pre-authorized_code", json!("")),
            ("/grants/urn:ietf:params:oauth:grant-type:pre-authorized_code/tx_code", json!(true)),
            ("/grants/urn:ietf:params:oauth:grant-type:pre-authorized_code/tx_code", json!({"length": 0})),
            ("/grants/urn:ietf:params:oauth:grant-type:pre-authorized_code/tx_code", json!({"input_mode": "x"})),
            (
                "/grants/urn:ietf:params:oauth:grant-type:pre-authorized_code/tx_code",
                json!({"description": "x".repeat(301)}),
            ),
        ] {
            let mut bad = offer();
            *bad.pointer_mut(pointer).unwrap() = value;
            assert_eq!(read(&bad), Err(Code::MalformedValue), "{bad}");
        }
        let twice = br#"{"credential_issuer":"https://a.example","credential_issuer":"https://b.example"}"#;
        assert_eq!(CredentialOffer::parse(twice).unwrap_err().code, Code::DuplicateKey);
    }

    #[test]
    fn a_link_has_the_offer_or_its_url_and_not_both() {
        let value = OfferLink::Value(read(&offer()).unwrap()).to_link();
        assert!(value.starts_with("openid-credential-offer://?credential_offer=%7B"), "{}", *value);
        assert!(matches!(OfferLink::parse(&value), Ok(OfferLink::Value(_))));
        let query = value.split_once('?').unwrap().1;
        assert!(OfferLink::parse(&format!("https://wallet.example/add?{query}")).is_ok());
        let reference = OfferLink::Reference("https://uni.example/o/1".to_owned());
        assert_eq!(OfferLink::parse(&reference.to_link()).unwrap(), reference);
        let both = format!("{}&credential_offer_uri=https%3A%2F%2Funi.example", *value);
        for (bad, code) in [
            (both.as_str(), Code::MalformedValue),
            (&format!("{}&credential_offer_uri=", *value), Code::MalformedValue),
            (&format!("{}&{query}", *value), Code::DuplicateKey),
            ("openid-credential-offer://", Code::MalformedValue),
            ("openid-credential-offer://?credential_offer_uri=http%3A%2F%2Funi.example", Code::MalformedValue),
            ("openid-credential-offer://?credential_offer_uri=file%3A%2F%2F%2Fetc", Code::MalformedValue),
            ("openid-credential-offer://?credential_offer=%7B", Code::InvalidJson),
            ("openid4vp://?credential_offer_uri=https%3A%2F%2Funi.example", Code::UnknownFormat),
            ("http://wallet.example?credential_offer_uri=https%3A%2F%2Funi.example", Code::UnknownFormat),
            ("nothing", Code::UnknownFormat),
            (&"x".repeat(MAX_LINK_BYTES + 1), Code::TooLarge),
        ] {
            assert_eq!(OfferLink::parse(bad).unwrap_err().code, code, "{bad}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(text in ".{0,300}") {
            let _ = OfferLink::parse(&text);
            let _ = CredentialOffer::parse(text.as_bytes());
        }

        #[test]
        fn an_offer_comes_back_from_its_link(
            ids in proptest::collection::hash_set("[ -~]{1,20}", 1..5),
            code in "[ -~é]{1,50}",
            length in proptest::option::of(1u64..=1_000),
            description in proptest::option::of(".{0,100}"),
        ) {
            let tx_code = Some(TxCode { input_mode: InputMode::Text, length, description });
            let offer = CredentialOffer {
                credential_issuer: "https://uni.example/a".to_owned(),
                configuration_ids: ids.into_iter().collect(),
                pre_authorized: Some(PreAuthorizedGrant { code: code.into(), tx_code, authorization_server: None }),
                valid_until: Some(Timestamp::from_unix(1_800_000_000)),
            };
            let link = OfferLink::Value(offer);
            prop_assert_eq!(OfferLink::parse(&link.to_link()).unwrap(), link);
        }
    }
}
