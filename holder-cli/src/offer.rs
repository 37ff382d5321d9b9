//! Credential offers (OpenID4VCI 1.0 section 4.1): untrusted input, by value.

use std::collections::HashSet;

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use carnet_core::{
    json::{Limits, parse},
    time::Timestamp,
};
use serde_json::Value;
use sha2::{Digest, Sha256};
use url::Url;

use crate::{
    client::{origin, service_address},
    failure::Failure,
    wallet::contents::Secret,
};

const GRANT: &str = "urn:ietf:params:oauth:grant-type:pre-authorized_code";
const LONGEST: usize = 16_384;
const MOST_CONFIGURATIONS: usize = 8;

/// An offer that was parsed. Nothing in it is to be believed.
#[derive(Debug, Clone)]
pub(crate) struct Offer {
    /// Where the issuer's service is.
    pub(crate) endpoint: String,
    /// What is offered.
    pub(crate) configuration_ids: Vec<String>,
    /// The code, which works once.
    pub(crate) code: Secret,
    /// Whether a PIN is needed.
    pub(crate) pin_needed: bool,
    /// End of the offered credential, if the offer says it (spec/protocol.md 3.28).
    pub(crate) valid_until: Option<Timestamp>,
}

impl Offer {
    /// Parses an offer.
    pub(crate) fn parse(text: &str) -> Result<Self, Failure> {
        if text.len() > LONGEST {
            return Err(malformed("it is too long"));
        }
        let url = Url::parse(text.trim()).map_err(|_| malformed("it is not a link"))?;
        if url.scheme() != "openid-credential-offer" {
            return Err(malformed("it does not begin with openid-credential-offer://"));
        }
        let values: Vec<_> = url.query_pairs().filter(|(name, _)| name == "credential_offer").collect();
        if url.query_pairs().any(|(name, _)| name == "credential_offer_uri") {
            return Err(Failure::new(
                "offer_by_reference",
                "The offer does not hold what is offered, only a link to it, and those are not followed",
                "ask the issuer for an offer by value (credential_offer)",
            ));
        }
        let [(_, value)] = values.as_slice() else { return Err(malformed("it has no credential_offer, or two")) };
        let json = parse(value.as_bytes(), Limits::SMALL).map_err(|problem| malformed(&problem.detail))?;
        Self::from_json(&json)
    }

    fn from_json(json: &Value) -> Result<Self, Failure> {
        let issuer = json.get("credential_issuer").and_then(Value::as_str);
        let endpoint = origin(&service_address(issuer.ok_or_else(|| malformed("it names no issuer"))?)?);
        let configuration_ids: Vec<String> = json
            .get("credential_configuration_ids")
            .and_then(Value::as_array)
            .and_then(|ids| ids.iter().map(|id| id.as_str().map(str::to_owned)).collect())
            .filter(|ids: &Vec<String>| !ids.is_empty() && ids.len() <= MOST_CONFIGURATIONS)
            // A collection is known by its offer and what was asked for.
            .filter(|ids| ids.iter().collect::<HashSet<_>>().len() == ids.len())
            .ok_or_else(|| malformed("it offers nothing, too much, or the same twice"))?;
        let grant = json.get("grants").and_then(|grants| grants.get(GRANT)).ok_or_else(|| {
            Failure::new(
                "grant_unsupported",
                "The offer needs a way of signing in that this wallet does not have",
                "ask the issuer for an offer with a pre-authorised code",
            )
        })?;
        let code = grant.get("pre-authorized_code").and_then(Value::as_str).filter(|code| !code.is_empty());
        let code = Secret::new(code.ok_or_else(|| malformed("it has no code"))?.to_owned());
        let pin_needed = match grant.get("tx_code") {
            None => false,
            // Even an empty one means that a PIN is needed.
            Some(Value::Object(_)) => true,
            Some(_) => return Err(malformed("its tx_code is not an object")),
        };
        let valid_until = match json.get("carnet_valid_until") {
            None => None,
            Some(Value::String(text)) => {
                let end = Timestamp::parse(text).ok().filter(|end| end.start_of_day().to_string() == *text);
                Some(end.ok_or_else(|| malformed("its carnet_valid_until is not the beginning of a day"))?)
            }
            Some(_) => return Err(malformed("its carnet_valid_until is no text")),
        };
        Ok(Self { endpoint, configuration_ids, code, pin_needed, valid_until })
    }

    /// A name for the offer that does not give its code away.
    pub(crate) fn digest(&self) -> String {
        URL_SAFE_NO_PAD.encode(Sha256::digest(self.code.expose()))
    }
}

fn malformed(why: &str) -> Failure {
    Failure::usage(
        "offer_malformed",
        format!("This is not an offer: {why}"),
        "copy the whole link that the issuer gave you",
    )
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn offer() -> Value {
        json!({
            "credential_issuer": "http://127.0.0.1:4000",
            "credential_configuration_ids": ["QualificationCredential_vc+sd-jwt"],
            "grants": {GRANT: {"pre-authorized_code": "abc", "tx_code": {}}}
        })
    }

    fn link(offer: &Value) -> String {
        let mut url = Url::parse("openid-credential-offer://").unwrap();
        url.query_pairs_mut().append_pair("credential_offer", &offer.to_string());
        url.to_string()
    }

    #[test]
    fn an_offer_is_read() {
        let read = Offer::parse(&link(&offer())).unwrap();
        assert_eq!(read.endpoint, "http://127.0.0.1:4000");
        assert!(read.pin_needed);
        assert_eq!(read.code.expose(), "abc");
        assert!(!format!("{read:?}").contains("abc"));
    }

    #[test]
    fn an_offer_says_when_what_it_offers_ends() {
        let with = |end: Value| {
            let mut offer = offer();
            offer["carnet_valid_until"] = end;
            Offer::parse(&link(&offer)).map(|offer| offer.valid_until).map_err(|failure| failure.reason)
        };
        assert_eq!(Offer::parse(&link(&offer())).unwrap().valid_until, None);
        let end = Timestamp::parse("2027-11-29T00:00:00Z").unwrap();
        assert_eq!(with(json!("2027-11-29T00:00:00Z")), Ok(Some(end)));
        for wrong in [json!("2027-11-29T00:00:01Z"), json!("2027-11-29"), json!("2027-11-29T00:00:00+00:00"), json!(1)]
        {
            assert_eq!(with(wrong), Err("offer_malformed".to_owned()));
        }
    }

    #[test]
    fn what_is_not_an_offer_is_refused() {
        let change = |pointer: &str, value: Value| {
            let mut offer = offer();
            *offer.pointer_mut(pointer).unwrap() = value;
            Offer::parse(&link(&offer)).unwrap_err().reason
        };
        assert_eq!(change("/credential_issuer", json!("http://issuer.example")), "address_forbidden");
        assert_eq!(change("/credential_issuer", json!(7)), "offer_malformed");
        assert_eq!(change("/credential_configuration_ids", json!([])), "offer_malformed");
        assert_eq!(change("/credential_configuration_ids", json!([1])), "offer_malformed");
        assert_eq!(change("/credential_configuration_ids", json!(["a", "a"])), "offer_malformed");
        assert_eq!(change("/grants", json!({"authorization_code": {}})), "grant_unsupported");
        let by_reference = "openid-credential-offer://?credential_offer_uri=https%3A%2F%2Fa.example";
        assert_eq!(Offer::parse(by_reference).unwrap_err().reason, "offer_by_reference");
        for bad in
            ["", "x", "openid4vp://?a=b", "openid-credential-offer://", "openid-credential-offer://?credential_offer={"]
        {
            assert_eq!(Offer::parse(bad).unwrap_err().reason, "offer_malformed", "{bad}");
        }
    }
}
