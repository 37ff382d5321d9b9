//! What Carnet makes, `ssi` accepts, and the other way round; what was altered, both refuse.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use carnet_core::{
    Code, Rng,
    conformance::{EnvelopedToken, Enveloping, SigningKey, VerificationKey, sign_enveloped},
    did::{Did, SelfContainedResolver, VerificationRelationship, resolve_key},
    keys::{SignatureAlgorithm, Signer},
    query::parse_path,
    secure::{
        jose::{self, Jws},
        sd_jwt::{IssueOptions, SdJwt, issue},
    },
};
use carnet_oracles::{
    Issuer, NOW, carnet_suites, run, sign_with_carnet, sign_with_ssi, ssi_contexts, verify_with_carnet, verify_with_ssi,
};
use serde_json::{Map, Value, json};
use ssi::{
    claims::{
        sd_jwt::{self, ConcealJwtClaims},
        vc::v1::ToJwtClaims,
        vc_jose_cose,
    },
    dids::DIDKey,
    prelude::*,
};

const ALGORITHMS: [SignatureAlgorithm; 2] = [SignatureAlgorithm::EdDsa, SignatureAlgorithm::Es256];

fn issuers() -> Vec<Issuer> {
    ALGORITHMS.into_iter().flat_map(|algorithm| [Issuer::did_key(algorithm), Issuer::did_jwk(algorithm)]).collect()
}

fn object(value: Value) -> Map<String, Value> {
    let Value::Object(members) = value else { panic!("{value} is no object") };
    members
}

/// Returns the token with the first character of its last part replaced.
fn with_another_signature(token: &str) -> String {
    let (signed, signature) = token.rsplit_once('.').unwrap();
    let first = if signature.starts_with('A') { 'B' } else { 'A' };
    format!("{signed}.{first}{}", signature.get(1..).unwrap())
}

/// Verifies a compact JWS with `ssi`, which resolves the DID URL in its `kid`.
fn ssi_accepts_jws(token: &str) -> bool {
    let resolver = ssi::dids::AnyDidMethod::default().into_vm_resolver::<AnyJwkMethod>();
    let jws = JwsBuf::new(token.to_owned()).unwrap();
    run(async { jws.verify(VerificationParameters::from_resolver(resolver)).await.is_ok_and(|valid| valid.is_ok()) })
}

/// Verifies a compact JWS with Carnet, which resolves the DID URL in its `kid`.
fn carnet_verifies_jws(token: &str) -> Result<(), carnet_core::Problem> {
    let jws = Jws::parse(token)?;
    let kid = jws.header().get("kid").and_then(Value::as_str).unwrap();
    let (_, key) = resolve_key(&SelfContainedResolver, kid, VerificationRelationship::AssertionMethod)?;
    jws.verify(&key)
}

#[test]
fn did_key_and_did_jwk_of_a_key_are_the_same() {
    for algorithm in ALGORITHMS {
        let issuer = Issuer::did_key(algorithm);
        assert_eq!(DIDKey::generate(&issuer.public_jwk()).unwrap().as_str(), issuer.did.as_str());
        // The JSON in a did:jwk is not canonical, so that both spell it in their own way: each resolves the other's.
        let theirs = Did::parse(DIDJWK::generate(&issuer.public_jwk()).as_str()).unwrap();
        let method = format!("{theirs}#0");
        let (_, key) = resolve_key(&SelfContainedResolver, &method, VerificationRelationship::AssertionMethod).unwrap();
        assert_eq!(key.to_jwk(), issuer.key.public_key().to_jwk());
    }
}

#[test]
fn an_altered_did_key_is_resolved_by_neither() {
    let issuer = Issuer::did_key(SignatureAlgorithm::EdDsa);
    let altered = issuer.did.as_str().replacen("z6Mk", "z6M0", 1);
    let method = format!("{altered}#{}", altered.replacen("did:key:", "", 1));
    assert!(resolve_key(&SelfContainedResolver, &method, VerificationRelationship::AssertionMethod).is_err());
    let did = ssi::dids::DIDBuf::from_string(altered).unwrap();
    assert!(run(async { ssi::dids::AnyDidMethod::default().resolve(&did).await.is_err() }));
}

#[test]
fn ssi_verifies_tokens_of_carnet() {
    for issuer in issuers() {
        let header = object(json!({"kid": issuer.method, "typ": "JWT"}));
        let payload = object(json!({"iss": issuer.did.as_str(), "sub": "urn:example:1"}));
        let token = jose::sign(header, &payload, &issuer.key).unwrap();
        assert!(ssi_accepts_jws(&token), "{}", issuer.did);
        assert!(!ssi_accepts_jws(&with_another_signature(&token)), "{}", issuer.did);
    }
}

#[test]
fn carnet_verifies_tokens_of_ssi() {
    for issuer in issuers() {
        let claims = JWTClaims::builder().iss(issuer.did.to_string().parse::<ssi::claims::jwt::StringOrURI>().unwrap());
        let token = run(async {
            claims
                .with_private_claims(json!({"sub": "urn:example:1"}))
                .unwrap()
                .sign(&issuer.secret_jwk())
                .await
                .unwrap()
        });
        carnet_verifies_jws(token.as_str()).unwrap();
        let refused = carnet_verifies_jws(&with_another_signature(token.as_str())).unwrap_err();
        assert_eq!(refused.code, Code::SignatureInvalid);
    }
}

#[test]
fn ssi_verifies_eddsa_rdfc_2022_of_carnet() {
    let issuer = Issuer::did_key(SignatureAlgorithm::EdDsa);
    let (suites, contexts) = (carnet_suites(), ssi_contexts());
    let signed = serde_json::to_string(&sign_with_carnet(&issuer, &suites)).unwrap();
    verify_with_carnet(&signed, &issuer.did, &suites).unwrap();
    run(verify_with_ssi(&signed, &contexts)).unwrap();
    let altered = signed.replace("Nursing", "Medicine");
    assert_ne!(altered, signed);
    run(verify_with_ssi(&altered, &contexts)).unwrap_err();
    assert_eq!(verify_with_carnet(&altered, &issuer.did, &suites).unwrap_err().code, Code::SignatureInvalid);
}

#[test]
fn carnet_verifies_eddsa_rdfc_2022_of_ssi() {
    let issuer = Issuer::did_key(SignatureAlgorithm::EdDsa);
    let (suites, contexts) = (carnet_suites(), ssi_contexts());
    let signed = run(sign_with_ssi(&issuer));
    run(verify_with_ssi(&signed, &contexts)).unwrap();
    verify_with_carnet(&signed, &issuer.did, &suites).unwrap();
    let altered = signed.replace("Nursing", "Medicine");
    assert_ne!(altered, signed);
    assert_eq!(verify_with_carnet(&altered, &issuer.did, &suites).unwrap_err().code, Code::SignatureInvalid);
}

/// Returns the credential in a VC-JWT of VCDM 2.0 that `ssi` verified, or `None` if it refused it.
fn ssi_reads_vc_jwt(token: &str) -> Option<Value> {
    let jws = JwsBuf::new(token.to_owned()).ok()?;
    let decoded = vc_jose_cose::JoseVc::decode_any(&jws).ok()?;
    let credential = serde_json::to_value(&decoded.signing_bytes.payload.0).ok()?;
    ssi_accepts_jws(token).then_some(credential)
}

#[test]
fn ssi_verifies_a_vc_jwt_of_carnet() {
    for algorithm in ALGORITHMS {
        let issuer = Issuer::did_key(algorithm);
        let credential = issuer.qualification();
        let key = SigningKey::Core(&issuer.key);
        let token =
            sign_enveloped(&credential, (Enveloping::Jwt, &[]), Some(&issuer.method), &key, &mut rand_core::OsRng)
                .unwrap();
        let read = ssi_reads_vc_jwt(&token).unwrap();
        assert_eq!(read["credentialSubject"]["title"], credential["credentialSubject"]["title"], "{read}");
        assert_eq!(ssi_reads_vc_jwt(&with_another_signature(&token)), None);
    }
}

#[test]
fn carnet_verifies_a_vc_jwt_of_ssi() {
    for algorithm in ALGORITHMS {
        let issuer = Issuer::did_key(algorithm);
        // The form of VCDM 1.1 section 6.3.1; of VCDM 2.0, ssi 0.16 writes the media type of an older draft.
        let credential = json!({"@context": ["https://www.w3.org/2018/credentials/v1"], "type": ["VerifiableCredential"],
            "issuer": issuer.did.as_str(), "issuanceDate": "2026-12-01T09:00:00Z",
            "credentialSubject": {"id": "urn:example:1", "title": "Bachelor of Science in Nursing"}});
        let credential: ssi::claims::vc::v1::JsonCredential = serde_json::from_value(credential).unwrap();
        let claims = credential.to_jwt_claims().unwrap();
        let token = run(async { claims.sign(&issuer.secret_jwk()).await.unwrap() });
        let key = VerificationKey::from_jwk(&issuer.key.public_key().to_jwk().into()).unwrap();
        let read = EnvelopedToken::parse(token.as_str()).unwrap();
        read.verify(&key).unwrap();
        assert_eq!(read.document()["issuer"], issuer.did.as_str());
        let altered = EnvelopedToken::parse(&with_another_signature(token.as_str())).unwrap();
        assert_eq!(altered.verify(&key).unwrap_err().code, Code::SignatureInvalid);
    }
}

/// Returns the claims of an SD-JWT that `ssi` verified, or `None` if it refused it.
fn ssi_reveals(copy: &str) -> Option<Value> {
    let resolver = ssi::dids::AnyDidMethod::default().into_vm_resolver::<AnyJwkMethod>();
    let sd_jwt = sd_jwt::SdJwtBuf::new(copy.to_owned()).ok()?;
    let at = chrono::DateTime::parse_from_rfc3339(NOW).unwrap().to_utc();
    let parameters = VerificationParameters::from_resolver(resolver).with_date_time(at);
    run(async {
        let (revealed, verification) = sd_jwt.decode_reveal_verify_any(parameters).await.ok()?;
        verification.ok()?;
        serde_json::to_value(revealed.claims()).ok()
    })
}

fn copy_of(issuer: &Issuer, rng: Rng<'_>) -> String {
    let payload = object(json!({"iss": issuer.did.as_str(), "vct": "https://carnet.example/qualification",
        "title": "Bachelor of Science in Nursing", "grade": "1.7"}));
    let [title, grade] = ["title", "grade"].map(|name| parse_path(&json!([name])).unwrap());
    let options = IssueOptions {
        typ: "dc+sd-jwt",
        kid: &issuer.method,
        disclosable: &[title, grade],
        ordered_claims: &[],
        holder_key: Some(&issuer.key.public_key()),
        decoys_to_multiple_of: 4,
        padded_arrays: &[],
    };
    issue(&payload, &options, &issuer.key, rng).unwrap()
}

#[test]
fn ssi_verifies_an_sd_jwt_of_carnet_and_what_it_discloses() {
    for issuer in issuers() {
        let copy = copy_of(&issuer, &mut rand_core::OsRng);
        let claims = ssi_reveals(&copy).unwrap();
        assert_eq!((&claims["title"], &claims["grade"]), (&json!("Bachelor of Science in Nursing"), &json!("1.7")));

        let title = parse_path(&json!(["title"])).unwrap();
        let shown = SdJwt::parse(&copy).unwrap().select_claims(&[title]).unwrap().to_string();
        let claims = ssi_reveals(&shown).unwrap();
        assert_eq!((claims.get("title").is_some(), claims.get("grade")), (true, None));

        let (token, disclosures) = copy.split_once('~').unwrap();
        assert_eq!(ssi_reveals(&format!("{}~{disclosures}", with_another_signature(token))), None);
    }
}

#[test]
fn carnet_verifies_an_sd_jwt_of_ssi_and_what_it_discloses() {
    for issuer in issuers() {
        let claims = JWTClaims::builder()
            .iss(issuer.did.to_string().parse::<ssi::claims::jwt::StringOrURI>().unwrap())
            .with_private_claims(json!({"title": "Bachelor of Science in Nursing", "grade": "1.7"}))
            .unwrap();
        let paths = [ssi::json_pointer!("/title"), ssi::json_pointer!("/grade")];
        let copy =
            run(async { claims.conceal_and_sign(sd_jwt::SdAlg::Sha256, &paths, &issuer.secret_jwk()).await.unwrap() });
        let parsed = SdJwt::parse(copy.as_str()).unwrap();
        parsed.verify_signature(&issuer.key.public_key()).unwrap();
        let payload = parsed.resolve_disclosures().unwrap().payload;
        assert_eq!((&payload["title"], &payload["grade"]), (&json!("Bachelor of Science in Nursing"), &json!("1.7")));

        let (token, disclosures) = copy.as_str().split_once('~').unwrap();
        let altered = format!("{}~{disclosures}", with_another_signature(token));
        let refused = SdJwt::parse(&altered).unwrap().verify_signature(&issuer.key.public_key()).unwrap_err();
        assert_eq!(refused.code, Code::SignatureInvalid);
    }
}
