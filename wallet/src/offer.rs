//! Credential offers (OpenID4VCI 1.0 section 4.1), by value or by reference: untrusted input.

use std::collections::HashSet;

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use carnet_core::{
    Problem,
    endpoint::parse_endpoint,
    input::{parse_numeric_pin, text_without_bom},
    json::{Limits, parse},
    time::Timestamp,
};
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};
use url::Url;
use zeroize::Zeroizing;

use crate::{
    address::origin,
    failure::{Failure, FailureReason, Sentence},
    link::{LinkKind, extract_link, wrong_kind_failure},
    protocol::ServiceProtocol,
    sanitise::sanitise,
    store::holder_key::WalletSecret,
};

const GRANT: &str = "urn:ietf:params:oauth:grant-type:pre-authorized_code";
const LONGEST: usize = 16_384;
const MOST_CONFIGURATIONS: usize = 8;

/// Form of a PIN (OpenID4VCI 1.0 section 4.1.1, `tx_code`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PinFormat {
    /// Digits only, which is the default.
    numeric: bool,
    /// Number of characters, if the offer states it.
    length: Option<usize>,
}

impl PinFormat {
    fn from_json(form: &Map<String, Value>) -> Self {
        let numeric = form.get("input_mode").and_then(Value::as_str).is_none_or(|mode| mode == "numeric");
        let length = form.get("length").and_then(Value::as_u64).and_then(|length| usize::try_from(length).ok());
        Self { numeric, length }
    }

    /// Parses a PIN as typed by the holder. Digits of any script are converted to ASCII if the form is numeric. A
    /// malformed PIN is not sent, so that it does not use up an attempt.
    ///
    /// # Errors
    /// `pin_malformed` if the PIN is empty, is not numeric although the form is, or has another length than the offer
    /// states.
    pub fn parse(self, text: &str) -> Result<Zeroizing<String>, Failure> {
        let plain = || Some(Zeroizing::new(text_without_bom(text).trim().to_owned())).filter(|pin| !pin.is_empty());
        let pin = if self.numeric { parse_numeric_pin(text) } else { plain() };
        let fits = |pin: &Zeroizing<String>| self.length.is_none_or(|length| pin.chars().count() == length);
        pin.filter(fits).ok_or_else(|| {
            let form = match (self.numeric, self.length) {
                (true, None) => Sentence::new("pin-digits"),
                (true, Some(length)) => Sentence::new("pin-digits-count").with("count", length),
                (false, None) => Sentence::new("pin-characters"),
                (false, Some(length)) => Sentence::new("pin-characters-count").with("count", length),
            };
            let message = Sentence::new("error-pin-malformed").with_part("form", form);
            Failure::usage(FailureReason::PinMalformed, message, Sentence::new("hint-look-at-pin"))
        })
    }
}

/// Content of an offer link.
#[derive(Debug, Clone)]
pub enum OfferLink {
    /// The offer itself.
    Offer(ReceivedOffer),
    /// URL from which the offer can be fetched (`credential_offer_uri`).
    Reference(Url),
}

impl OfferLink {
    /// Parses the link of an offer as pasted by the holder ([`extract_link`]). A referenced offer is not fetched.
    ///
    /// # Errors
    /// `offer_malformed`, `grant_unsupported`, `address_forbidden`
    pub fn parse(text: &str) -> Result<Self, Failure> {
        let text = extract_link(text);
        if text.len() > LONGEST {
            return Err(malformed("why-long"));
        }
        if LinkKind::detect(&text) != Some(LinkKind::Offer) {
            return Err(wrong_kind_failure(LinkKind::Offer, &text, FailureReason::OfferMalformed));
        }
        let url = Url::parse(&text).map_err(|_| malformed("why-no-link"))?;
        let all = |wanted: &str| -> Vec<String> {
            url.query_pairs().filter(|(name, _)| name == wanted).map(|(_, value)| value.into_owned()).collect()
        };
        match (all("credential_offer").as_slice(), all("credential_offer_uri").as_slice()) {
            ([offer], []) => {
                let json = parse(offer.as_bytes(), Limits::SMALL).map_err(|problem| unread(&problem))?;
                let offer = ReceivedOffer::from_json(&json)?;
                // Issuers of Carnet state the end; others speak OpenID4VCI alone (spec/openid.md 5.3).
                Ok(Self::Offer(if offer.valid_until.is_some() { offer } else { offer.with_openid() }))
            }
            ([], [reference]) => Ok(Self::Reference(parse_endpoint(reference)?)),
            _ => Err(malformed("why-offer-missing")),
        }
    }
}

/// Parsed credential offer; all of its content is untrusted.
#[derive(Debug, Clone)]
pub struct ReceivedOffer {
    /// URL of the issuer's service: for Carnet's gRPC protocol the origin of the credential issuer identifier, for
    /// OpenID4VCI that identifier itself.
    pub endpoint: String,
    /// Protocol of that service.
    pub protocol: ServiceProtocol,
    /// Credential issuer identifier, as written in the offer.
    pub credential_issuer: String,
    /// Ids of the offered credential configurations.
    pub configuration_ids: Vec<String>,
    /// Pre-authorized code, which can be used once.
    pub code: WalletSecret,
    /// Form of the PIN; `None`: no PIN is required.
    pub pin: Option<PinFormat>,
    /// Authorization server that redeems the code; `None`: the one of the issuer's metadata.
    pub authorization_server: Option<String>,
    /// End of the credential's validity, always the start of a day; `None` if the offer does not state it
    /// (spec/protocol.md 3.28).
    pub valid_until: Option<Timestamp>,
}

impl ReceivedOffer {
    /// Parses the link of an offer by value.
    ///
    /// # Errors
    /// `offer_malformed`, also for an offer by reference; `grant_unsupported`, `address_forbidden`
    pub fn parse(text: &str) -> Result<Self, Failure> {
        match OfferLink::parse(text)? {
            OfferLink::Offer(offer) => Ok(offer),
            OfferLink::Reference(_) => Err(malformed("why-offer-missing")),
        }
    }

    /// Parses an offer that was fetched from its URL. Its service is assumed to support OpenID4VCI only.
    ///
    /// # Errors
    /// `offer_malformed`, `grant_unsupported`, `address_forbidden`
    pub fn from_fetched(body: &[u8]) -> Result<Self, Failure> {
        let json = parse(body, Limits::SMALL).map_err(|problem| unread(&problem))?;
        Ok(Self::from_json(&json)?.with_openid())
    }

    /// Returns the offer with OpenID4VCI as the protocol of its service, and the credential issuer identifier as its
    /// URL.
    #[must_use]
    pub fn with_openid(self) -> Self {
        Self { endpoint: self.credential_issuer.clone(), protocol: ServiceProtocol::OpenId, ..self }
    }

    fn from_json(json: &Value) -> Result<Self, Failure> {
        let issuer = json.get("credential_issuer").and_then(Value::as_str);
        let credential_issuer = issuer.ok_or_else(|| malformed("why-no-issuer"))?.to_owned();
        let endpoint = origin(&parse_endpoint(&credential_issuer)?);
        let configuration_ids: Vec<String> = json
            .get("credential_configuration_ids")
            .and_then(Value::as_array)
            .and_then(|ids| ids.iter().map(|id| id.as_str().map(str::to_owned)).collect())
            .filter(|ids: &Vec<String>| !ids.is_empty() && ids.len() <= MOST_CONFIGURATIONS)
            // A pending issuance is identified by its offer and configuration.
            .filter(|ids| ids.iter().collect::<HashSet<_>>().len() == ids.len())
            .ok_or_else(|| malformed("why-offers"))?;
        let grant = json.get("grants").and_then(|grants| grants.get(GRANT)).ok_or_else(|| {
            let message = Sentence::new("error-grant-unsupported");
            Failure::new(FailureReason::GrantUnsupported, message, Sentence::new("hint-pre-authorised"))
        })?;
        let code = grant.get("pre-authorized_code").and_then(Value::as_str).filter(|code| !code.is_empty());
        let code = WalletSecret::new(code.ok_or_else(|| malformed("why-no-code"))?.to_owned());
        let pin = match grant.get("tx_code") {
            None => None,
            // Even an empty `tx_code` means that a PIN is needed.
            Some(Value::Object(form)) => Some(PinFormat::from_json(form)),
            Some(_) => return Err(malformed("why-tx-code")),
        };
        let authorization_server = match grant.get("authorization_server") {
            None => None,
            Some(Value::String(server)) => Some(parse_endpoint(server).map(|_| server.clone())?),
            Some(_) => return Err(malformed("why-authorization-server")),
        };
        let valid_until = match json.get("carnet_valid_until") {
            None => None,
            Some(Value::String(text)) => {
                let end = Timestamp::parse(text).ok().filter(|end| end.start_of_day().to_string() == *text);
                Some(end.ok_or_else(|| malformed("why-until-day"))?)
            }
            Some(_) => return Err(malformed("why-until-text")),
        };
        let wire = ServiceProtocol::Grpc;
        Ok(Self {
            endpoint,
            protocol: wire,
            credential_issuer,
            configuration_ids,
            code,
            pin,
            authorization_server,
            valid_until,
        })
    }

    /// Returns the base64url SHA-256 of the pre-authorized code, which identifies the offer without revealing the code.
    pub fn code_digest(&self) -> String {
        URL_SAFE_NO_PAD.encode(Sha256::digest(self.code.expose()))
    }
}

/// Returns the failure `offer_malformed`; `why` is the message id of the reason.
fn malformed(why: &'static str) -> Failure {
    let message = Sentence::new("error-offer").with_part("why", Sentence::new(why));
    Failure::usage(FailureReason::OfferMalformed, message, Sentence::new("hint-whole-offer"))
}

/// Returns the failure for an offer whose JSON is refused, with the parser's details.
fn unread(problem: &Problem) -> Failure {
    let failure = malformed("why-unread");
    Failure { message: failure.message.with_details(sanitise(&problem.detail)), ..failure }
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
        let read = ReceivedOffer::parse(&link(&offer())).unwrap();
        assert_eq!(read.endpoint, "http://127.0.0.1:4000");
        assert_eq!(read.pin, Some(PinFormat { numeric: true, length: None }));
        assert_eq!(read.code.expose(), "abc");
        assert!(!format!("{read:?}").contains("abc"));
    }

    #[test]
    fn a_pin_of_the_wrong_form_is_not_sent() {
        let form = |tx_code: Value| {
            let mut offer = offer();
            offer["grants"][GRANT]["tx_code"] = tx_code;
            ReceivedOffer::parse(&link(&offer)).unwrap().pin.unwrap()
        };
        let read = |form: PinFormat, text: &str| form.parse(text).map(|pin| pin.to_string()).map_err(|no| no.reason);
        let malformed = || Err(FailureReason::PinMalformed);
        let six = form(json!({"length": 6, "input_mode": "numeric"}));
        for text in ["123456", "123 456", "١٢٣٤٥٦", "\u{feff}۱۲۳۴۵۶ "] {
            assert_eq!(read(six, text), Ok("123456".to_owned()), "{text:?}");
        }
        for text in ["", "12345", "1234567", "12345o"] {
            assert_eq!(read(six, text), malformed(), "{text:?}");
        }
        assert_eq!(read(form(json!({})), "1234"), Ok("1234".to_owned()));
        let text = form(json!({"length": 5, "input_mode": "text"}));
        assert_eq!(read(text, " a٣ b \n"), malformed());
        assert_eq!(read(text, " a٣ bc\n"), Ok("a٣ bc".to_owned()));
    }

    #[test]
    fn an_offer_says_when_what_it_offers_ends() {
        let with = |end: Value| {
            let mut offer = offer();
            offer["carnet_valid_until"] = end;
            ReceivedOffer::parse(&link(&offer)).map(|offer| offer.valid_until).map_err(|failure| failure.reason)
        };
        assert_eq!(ReceivedOffer::parse(&link(&offer())).unwrap().valid_until, None);
        let end = Timestamp::parse("2027-11-29T00:00:00Z").unwrap();
        assert_eq!(with(json!("2027-11-29T00:00:00Z")), Ok(Some(end)));
        for wrong in [json!("2027-11-29T00:00:01Z"), json!("2027-11-29"), json!("2027-11-29T00:00:00+00:00"), json!(1)]
        {
            assert_eq!(with(wrong), Err(FailureReason::OfferMalformed));
        }
    }

    #[test]
    fn an_offer_by_value_is_one_of_grpc_only_with_the_member_of_carnets_issuers() {
        let mut made = offer();
        made["credential_issuer"] = json!("https://a.example/tenant");
        let read = |offer: &Value| {
            let read = ReceivedOffer::parse(&link(offer)).unwrap();
            (read.endpoint, read.protocol)
        };
        assert_eq!(read(&made), ("https://a.example/tenant".to_owned(), ServiceProtocol::OpenId));
        made["carnet_valid_until"] = json!("2027-11-29T00:00:00Z");
        assert_eq!(read(&made), ("https://a.example".to_owned(), ServiceProtocol::Grpc));
    }

    #[test]
    fn the_authorization_server_of_an_offer_is_read() {
        let with = |server: Value| {
            let mut offer = offer();
            offer["grants"][GRANT]["authorization_server"] = server;
            ReceivedOffer::parse(&link(&offer))
                .map(|offer| offer.authorization_server)
                .map_err(|failure| failure.reason)
        };
        assert_eq!(ReceivedOffer::parse(&link(&offer())).unwrap().authorization_server, None);
        assert_eq!(with(json!("https://as.example/x")), Ok(Some("https://as.example/x".to_owned())));
        assert_eq!(with(json!(7)), Err(FailureReason::OfferMalformed));
        assert_eq!(with(json!("http://as.example")), Err(carnet_core::Code::AddressForbidden.into()));
    }

    #[test]
    fn an_offer_by_reference_is_one_of_openid() {
        let reference = |link: &str| match OfferLink::parse(link) {
            Ok(OfferLink::Reference(url)) => Ok(url.to_string()),
            Ok(OfferLink::Offer(_)) => Ok("an offer".to_owned()),
            Err(failure) => Err(failure.reason),
        };
        let by_reference = "openid-credential-offer://?credential_offer_uri=https%3A%2F%2Fa.example%2Fo";
        assert_eq!(reference(by_reference), Ok("https://a.example/o".to_owned()));
        let universal = "https://wallet.example/add?credential_offer_uri=https%3A%2F%2Fa.example%2Fo";
        assert_eq!(reference(universal), Ok("https://a.example/o".to_owned()));
        assert_eq!(reference(&link(&offer())), Ok("an offer".to_owned()));
        let plain = by_reference.replace("https%", "http%");
        assert_eq!(reference(&plain), Err(FailureReason::Check(carnet_core::Code::AddressForbidden)));
        let both = format!("{}&credential_offer_uri=https%3A%2F%2Fa.example", link(&offer()));
        assert_eq!(reference(&both), Err(FailureReason::OfferMalformed));
        let mut fetched = offer();
        fetched["credential_issuer"] = json!("https://a.example/tenant");
        let read = ReceivedOffer::from_fetched(fetched.to_string().as_bytes()).unwrap();
        assert_eq!((read.endpoint.as_str(), read.protocol), ("https://a.example/tenant", ServiceProtocol::OpenId));
        assert_eq!(ReceivedOffer::from_fetched(b"<html>").unwrap_err().reason, "offer_malformed");
    }

    #[test]
    fn what_is_not_an_offer_is_refused() {
        let change = |pointer: &str, value: Value| {
            let mut offer = offer();
            *offer.pointer_mut(pointer).unwrap() = value;
            ReceivedOffer::parse(&link(&offer)).unwrap_err().reason
        };
        assert_eq!(change("/credential_issuer", json!("http://issuer.example")), "address_forbidden");
        assert_eq!(change("/credential_issuer", json!(7)), "offer_malformed");
        assert_eq!(change("/credential_configuration_ids", json!([])), "offer_malformed");
        assert_eq!(change("/credential_configuration_ids", json!([1])), "offer_malformed");
        assert_eq!(change("/credential_configuration_ids", json!(["a", "a"])), "offer_malformed");
        assert_eq!(change("/grants", json!({"authorization_code": {}})), "grant_unsupported");
        for bad in
            ["", "x", "openid4vp://?a=b", "openid-credential-offer://", "openid-credential-offer://?credential_offer={"]
        {
            assert_eq!(ReceivedOffer::parse(bad).unwrap_err().reason, "offer_malformed", "{bad}");
        }
    }
}
