//! Commitments in issued copies: a holder proves a threshold with a collected copy, and core's pipeline accepts it.

use std::collections::BTreeMap;

use carnet_core::{
    at_least::Direction,
    keys::SecretKey,
    query::{Query, Threshold},
    secure::{
        data_integrity::Cryptosuites,
        sd_jwt::{ClaimPath, OrderedClaim, SdJwt, Step},
    },
    time::Timestamp,
    verify::{self, PresentationContext, VerificationEnvironment},
};
use carnet_proto::issuer::v1 as proto;
use carnet_service::wire;
use serde_json::{Value, json};

use super::harness::{DID, Running, claims, exchanged, holder_keys, offer_request, start};
use crate::refill::OwnIssuerPolicy;

const NONCE: &str = "a nonce of the verifier's";
const AUDIENCE: &str = "decentralized_identifier:did:web:agency.example";

/// Returns each SD-JWT format with the path of its claims and the type condition of a query.
fn formats() -> [(proto::CredentialFormat, &'static str, &'static [&'static str], Value); 2] {
    [
        (
            proto::CredentialFormat::VcSdJwt,
            "vc+sd-jwt",
            &["credentialSubject"],
            json!({"type_values": [["QualificationCredential"]]}),
        ),
        (
            proto::CredentialFormat::DcSdJwt,
            "dc+sd-jwt",
            &[],
            json!({"vct_values": ["urn:carnet:type:qualification:1"]}),
        ),
    ]
}

fn ordered(issuer: &Running, format: proto::CredentialFormat) -> Vec<OrderedClaim> {
    let credential_type = issuer.issuer.catalogue.credential_type("QualificationCredential").unwrap();
    match format {
        proto::CredentialFormat::DcSdJwt => credential_type.ordered_in_sd_jwt_vc(),
        _ => credential_type.ordered_claims.clone(),
    }
}

/// Collects a copy of these claims.
async fn collected(issuer: &Running, format: proto::CredentialFormat, without: &str) -> (SdJwt, SecretKey) {
    let mut claims = claims();
    claims.remove(without);
    let request = proto::CreateOfferRequest {
        format: format.into(),
        claims: Some(wire::to_struct(&claims)),
        ..offer_request(&format!("{format:?}{without}"))
    };
    let offer = issuer.create(request).await;
    let key = holder_keys(1).remove(0);
    let answer = issuer.receive(&offer, std::slice::from_ref(&key)).await.unwrap();
    (SdJwt::parse(&answer.credentials[0].credential).unwrap(), key)
}

/// Proves one threshold of a copy to a verifier, and nothing else; returns the payload that the verifier sees.
fn prove(
    issuer: &Running,
    copy: &SdJwt,
    key: &SecretKey,
    format: proto::CredentialFormat,
    threshold: &Threshold,
    claim: &str,
) -> Value {
    let (_, format_name, above, meta) = formats().into_iter().find(|known| known.0 == format).unwrap();
    let names: Vec<&str> = above.iter().copied().chain([claim]).collect();
    let path: ClaimPath = names.iter().map(|name| Step::Name((*name).to_owned())).collect();
    let positions = copy.verify_commitments(&ordered(issuer, format)).unwrap();
    let positions = positions.iter().find(|known| known.claim.path == path).unwrap();
    let (element, proof) = copy.prove_threshold(positions, threshold).unwrap();
    let now = Timestamp::from_unix(issuer.now());
    let shown =
        copy.select_claims(&[element]).unwrap().bind_key_with_proofs(&[proof], NONCE, AUDIENCE, now, key).unwrap();
    let mut asked_claim = json!({ "path": names });
    asked_claim[threshold.direction().query_member()] = threshold.bound().clone();
    let query = json!({ "credentials": [{ "id": "q", "format": format_name, "meta": meta, "claims": [asked_claim] }] });
    let query = Query::parse(&query).unwrap();
    let own = OwnIssuerPolicy(&*issuer.issuer);
    let environment = VerificationEnvironment {
        now,
        skew: 60,
        resolver: &own,
        suites: &Cryptosuites::empty(),
        issuer_policy: &own,
        types: &issuer.issuer.catalogue,
        status_policy: verify::StatusPolicy::NotChecked("it was issued just now"),
    };
    let asked = PresentationContext { query: &query, nonce: NONCE, audience: AUDIENCE, max_age: 300 };
    let answer = BTreeMap::from([("q".to_owned(), vec![shown])]);
    let (report, verified) = verify::verify_presentation(&answer, &asked, &environment);
    let verified = verified.unwrap_or_else(|| panic!("{report:#?}")).into_inner();
    let held = &verified["q"][0];
    assert_eq!(held.proved_thresholds.len(), 1);
    Value::Object(held.credential.document().clone())
}

#[tokio::test]
async fn a_collected_copy_proves_its_thresholds_and_hides_the_values() {
    let issuer = start().await;
    for (format, ..) in formats() {
        let (copy, key) = collected(&issuer, format, "").await;
        let positions = copy.verify_commitments(&ordered(&issuer, format)).unwrap();
        assert_eq!(positions.len(), 3, "dateOfBirth, eqfLevel and credits");
        let level = Threshold::new(Direction::AtLeast, json!(5)).unwrap();
        let seen = prove(&issuer, &copy, &key, format, &level, "eqfLevel");
        let subject = seen["credentialSubject"].as_object().unwrap();
        assert_eq!(subject["eqfLevelAtLeast"].as_array().unwrap().len(), 1);
        assert!(!subject.contains_key("eqfLevel") && !subject.contains_key("dateOfBirth"));
        // A present value proves no threshold above itself.
        let more = Threshold::new(Direction::AtLeast, json!(7)).unwrap();
        let eqf = positions.iter().find(|known| known.claim.path.contains(&Step::Name("eqfLevel".to_owned()))).unwrap();
        assert_eq!(copy.prove_threshold(eqf, &more).unwrap_err().code, carnet_core::Code::ThresholdUnmet);
        let adult = Threshold::new(Direction::AtMost, json!("2008-11-22")).unwrap();
        let seen = prove(&issuer, &copy, &key, format, &adult, "dateOfBirth");
        assert!(!seen.to_string().contains("1998"));
    }
}

#[tokio::test]
async fn what_a_copy_shows_to_everybody_does_not_tell_which_ordered_claims_it_has() {
    let issuer = start().await;
    for (format, _, above, _) in formats() {
        let visible = |copy: &SdJwt| {
            let payload = copy.jws().payload();
            let holds = if above.is_empty() { payload } else { payload["credentialSubject"].as_object().unwrap() };
            let arrays = ["dateOfBirthAtMost", "eqfLevelAtLeast", "creditsAtLeast"];
            arrays.map(|name| holds[name].as_array().unwrap().len())
        };
        let (whole, _) = collected(&issuer, format, "").await;
        let (part, _) = collected(&issuer, format, "credits").await;
        assert_eq!(part.verify_commitments(&ordered(&issuer, format)).unwrap().len(), 2);
        assert_eq!((visible(&whole), visible(&part)), ([4; 3], [4; 3]));
    }
}

#[tokio::test]
async fn a_refilled_copy_has_commitments_of_its_own() {
    let issuer = start().await;
    for (format, ..) in formats() {
        let (copy, key) = collected(&issuer, format, "").await;
        let nonce = issuer.nonce().await;
        let new = holder_keys(1);
        let shown = exchanged(&copy, &key, &new, (DID, &nonce, issuer.now()));
        let request = proto::RefillCredentialsRequest { presentation: shown, proofs: issuer.proofs(&new, &nonce) };
        let answer = issuer.issuance.clone().refill_credentials(request).await.unwrap().into_inner();
        let refilled = SdJwt::parse(&answer.credentials[0].credential).unwrap();
        let level = Threshold::new(Direction::AtLeast, json!(6)).unwrap();
        let one = prove(&issuer, &copy, &key, format, &level, "eqfLevel");
        let two = prove(&issuer, &refilled, &new[0], format, &level, "eqfLevel");
        let commitment = |seen: &Value| seen["credentialSubject"]["eqfLevelAtLeast"][0].as_str().unwrap().to_owned();
        assert_ne!(commitment(&one), commitment(&two));
    }
}
