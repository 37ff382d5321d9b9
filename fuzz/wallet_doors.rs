//! Entry points of the wallet for bytes from outside, each as a function of bytes that must not panic.
//!
//! The fuzz targets and the property tests of the wallet (`wallet/tests/readers.rs`) share this file. Signed inputs are
//! signed here, because arbitrary bytes would end at the signature.

use std::{collections::BTreeSet, sync::LazyLock};

use carnet_core::{
    did::SelfContainedResolver,
    endpoint::parse_endpoint,
    format::CredentialFormat,
    json::{Limits, parse},
    keys::Signer as _,
    secure::jose::{self, Jws},
};
use carnet_wallet::{
    answer::tests::{Issuer, NOW},
    issuance::{DateRequirement, IssuanceRequirements, verify_copies},
    issuer_metadata::ExpectedCredential,
    link::{LinkKind, extract_link},
    offer::ReceivedOffer,
    request::{AuthorizationRequestLink, PresentationRequest, tests::Asker},
    store::{HeldCredential, HolderKey, holder_key::HolderAlgorithm},
};
use serde_json::{Map, Value, json};

/// Reader of the wallet, fed with any bytes.
pub(crate) type Door = fn(&[u8]);

/// Every door with its name.
pub(crate) const ALL: &[(&str, Door)] =
    &[("link", link), ("offer", offer), ("request", request), ("copy_text", copy_text), ("copy_payload", copy_payload)];

static ASKER: LazyLock<Asker> = LazyLock::new(Asker::new);
static ISSUER: LazyLock<Issuer> = LazyLock::new(Issuer::new);
static KEY: LazyLock<HolderKey> = LazyLock::new(HolderKey::generate);
/// Copy that is accepted.
static VALID: LazyLock<String> = LazyLock::new(|| {
    let key = KEY.decode().expect("a key that was just drawn");
    ISSUER.copy(CredentialFormat::VcSdJwt, &key.public_key())
});

/// Pasted text; a link in it is found once and for all, and is an offer or a request, never both.
pub(crate) fn link(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let found = extract_link(text);
    assert_eq!(extract_link(&found), found);
    if let Ok(offer) = ReceivedOffer::parse(text) {
        assert_eq!(LinkKind::detect(&found), Some(LinkKind::Offer));
        is_consistent(&offer);
    }
    if let Ok(pointer) = AuthorizationRequestLink::parse(text) {
        assert_eq!(LinkKind::detect(&found), Some(LinkKind::Request));
        assert!(parse_endpoint(&pointer.endpoint).is_ok() && !pointer.request_id.contains('/'));
    }
}

/// Content of an offer, in a link.
pub(crate) fn offer(bytes: &[u8]) {
    let content: String = url::form_urlencoded::byte_serialize(bytes).collect();
    if let Ok(offer) = ReceivedOffer::parse(&format!("openid-credential-offer://?credential_offer={content}")) {
        is_consistent(&offer);
    }
}

fn is_consistent(offer: &ReceivedOffer) {
    assert!(parse_endpoint(&offer.endpoint).is_ok(), "{}", offer.endpoint);
    let ids: BTreeSet<&String> = offer.configuration_ids.iter().collect();
    assert!(!ids.is_empty() && ids.len() == offer.configuration_ids.len());
    assert!(!offer.code.expose().is_empty());
    assert_eq!(offer.code_digest(), offer.code_digest());
}

/// Payload of a request object, signed by its sender; one that is accepted is bound to its link.
pub(crate) fn request(bytes: &[u8]) {
    let (Some(payload), Value::Object(header)) = (object(bytes), ASKER.header()) else { return };
    let Ok(token) = jose::sign(header, &payload, &ASKER.key) else { return };
    let Ok(request) = PresentationRequest::verify(&token, &ASKER.pointer, &SelfContainedResolver, NOW) else { return };
    assert_eq!(request.client_id, ASKER.pointer.client_id);
    assert!(!request.nonce.is_empty() && request.nonce.is_ascii());
    let other =
        AuthorizationRequestLink { client_id: format!("{}x", ASKER.pointer.client_id), ..ASKER.pointer.clone() };
    assert!(PresentationRequest::verify(&token, &other, &SelfContainedResolver, NOW).is_err());
}

/// Text of a copy, as an issuer may send it: no copy that this issuer did not sign for this key is accepted.
pub(crate) fn copy_text(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    for format in [CredentialFormat::VcSdJwt, CredentialFormat::DcSdJwt, CredentialFormat::DiVcJcs] {
        let accepted = received(format, text.to_owned());
        assert!(accepted.is_none() || text.trim() == VALID.trim(), "{text}");
    }
}

/// Members of a copy's payload, signed by its issuer; an accepted copy has the promised issuer and the drawn key.
pub(crate) fn copy_payload(bytes: &[u8]) {
    let Some(members) = object(bytes) else { return };
    let Some(held) = changed(members).and_then(|copy| received(CredentialFormat::VcSdJwt, copy)) else { return };
    assert_eq!((held.issuer.as_str(), held.copies.len()), (ISSUER.did.as_str(), 1));
}

/// Returns the valid copy with other members, signed by the issuer again.
fn changed(members: Map<String, Value>) -> Option<String> {
    let jwt = VALID.split('~').next()?;
    let mut payload = Jws::parse(jwt).ok()?.payload().clone();
    payload.extend(members);
    let header = json!({"typ": CredentialFormat::VcSdJwt.as_str(), "kid": ISSUER.method()});
    let signed = jose::sign(header.as_object()?.clone(), &payload, &ISSUER.key).ok()?;
    Some(VALID.replacen(jwt, &signed, 1))
}

/// Valid inputs, and the names of their doors; the readers accept each.
pub(crate) fn valid() -> Vec<(&'static str, Vec<u8>)> {
    let offer = json!({
        "credential_issuer": "https://issuer.example", "credential_configuration_ids": ["a", "b"],
        "grants": {"urn:ietf:params:oauth:grant-type:pre-authorized_code": {
            "pre-authorized_code": "c0de", "tx_code": {"length": 6, "input_mode": "numeric"}
        }}
    });
    let mut link = url::Url::parse("openid-credential-offer://").expect("a URL");
    link.query_pairs_mut().append_pair("credential_offer", &offer.to_string());
    assert!(ReceivedOffer::parse(link.as_str()).is_ok());
    assert!(ASKER.request().is_ok());
    assert!(received(CredentialFormat::VcSdJwt, VALID.clone()).is_some());
    assert!(changed(Map::new()).and_then(|copy| received(CredentialFormat::VcSdJwt, copy)).is_some());
    vec![
        ("link", link.to_string().into_bytes()),
        ("offer", offer.to_string().into_bytes()),
        ("request", ASKER.payload.to_string().into_bytes()),
        ("copy_text", VALID.clone().into_bytes()),
        ("copy_payload", json!({"validUntil": "2027-01-01T00:00:00Z", "exp": 1_798_761_600}).to_string().into_bytes()),
    ]
}

fn received(format: CredentialFormat, copy: String) -> Option<HeldCredential> {
    let issuer = &*ISSUER;
    let announced = ExpectedCredential {
        audience: String::new(),
        key_algorithm: HolderAlgorithm::EdDsa,
        issuer: issuer.did.to_string(),
        issuer_name: String::new(),
        configuration_id: String::new(),
        type_name: issuer.type_name.to_owned(),
        format,
        epoch: None,
        renewal_window_days: 0,
        is_foreign: false,
        display: Default::default(),
    };
    let expected = IssuanceRequirements {
        expected: &announced,
        keys: std::slice::from_ref(&*KEY),
        held: &[],
        dates: DateRequirement::Issued { since: NOW, until: None },
        directory: None,
        resolver: &SelfContainedResolver,
        catalogue: &issuer.catalogue,
        now: NOW,
    };
    verify_copies(&[copy], &expected).ok()
}

fn object(bytes: &[u8]) -> Option<Map<String, Value>> {
    match parse(bytes, Limits::DOCUMENT).ok()? {
        Value::Object(members) => Some(members),
        _ => None,
    }
}
