//! Credential types of other ecosystems, by configuration alone (spec/foreign-types.md).

use carnet_core::{
    did::VerificationRelationship,
    keys::{SecretKey, Signer as _},
    secure::{
        data_integrity::{Cryptosuite, ProofOptions, add_proof, eddsa_jcs::EddsaJcs2022},
        sd_jwt::{IssueOptions, SdJwt, issue},
    },
    time::Timestamp,
};
use carnet_proto::verifier::v1::{CreateRequestRequest, WatchResultRequest, create_request_request::What};
use carnet_service::{time::now, wire};
use rand_core::OsRng;
use serde_json::{Map, Value, json};

use super::world::{Asked, World, custom, did, key, path, reason};
use crate::{
    config::VerifierConfig,
    foreign::{ForeignContextEntry, ForeignTypeEntry},
};

const VCT: &str = "urn:eudi:pid:1";

/// An entry for the issuer of the world, which relaxes nothing.
fn strict(config: &VerifierConfig) -> ForeignTypeEntry {
    ForeignTypeEntry {
        vct: Some(VCT.to_owned()),
        issuers: vec![config.issuers[0].did.clone()],
        required_claims: vec!["family_name".to_owned()],
        ..Default::default()
    }
}

/// A verifier that accepts the type from the issuer of the world, as others issue it.
async fn open() -> World {
    World::with(|config| {
        let entry = ForeignTypeEntry {
            visible_claims: vec!["issuing_country".to_owned(), "cnf.jwk.kid".to_owned()],
            allow_no_end: true,
            allow_relative_kid: true,
            ..strict(config)
        };
        config.foreign_types.push(entry);
    })
    .await
}

fn query(vct: &str, claims: &[&str]) -> Value {
    let claims: Vec<Value> = claims.iter().map(|claim| json!({"path": [claim]})).collect();
    json!({"credentials": [{"id": "pid", "format": "dc+sd-jwt", "meta": {"vct_values": [vct]}, "claims": claims}]})
}

/// A credential as others issue it.
struct Stranger {
    vct: &'static str,
    kid: String,
    exp: Option<i64>,
    country: bool,
}

impl Stranger {
    /// With a relative `kid`, no end, and a claim in the clear.
    const LOOSE: Self = Self { vct: VCT, kid: String::new(), exp: None, country: true };

    /// As the default profile demands it.
    fn strict(world: &World) -> Self {
        let exp = Some(now().plus(86_400).unix());
        Self { vct: VCT, kid: format!("{}#0", did(&world.issuer)), exp, country: false }
    }

    fn issue(&self, issuer: &SecretKey, holder: &SecretKey) -> SdJwt {
        let mut payload = Map::from_iter([
            ("iss".to_owned(), json!(did(issuer))),
            ("vct".to_owned(), json!(self.vct)),
            ("iat".to_owned(), json!(now().plus(-60).unix())),
            ("family_name".to_owned(), json!("Haddad")),
            ("given_name".to_owned(), json!("Amina")),
        ]);
        payload.extend(self.exp.map(|exp| ("exp".to_owned(), json!(exp))));
        if self.country {
            payload.insert("issuing_country".to_owned(), json!("PT"));
        }
        let options = IssueOptions {
            typ: "dc+sd-jwt",
            kid: if self.kid.is_empty() { "#0" } else { &self.kid },
            disclosable: &[path(&["family_name"]), path(&["given_name"])],
            ordered_claims: &[],
            holder_key: Some(&holder.public_key()),
            decoys_to_multiple_of: 0,
            padded_arrays: &[],
        };
        SdJwt::parse(&issue(&payload, &options, issuer, &mut OsRng).unwrap()).unwrap()
    }
}

/// A request, also of a type that the verifier does not know.
async fn ask(world: &World, query: &Value) -> Asked {
    let What::Query(mut what) = custom(query) else { panic!("a custom query") };
    what.allow_unknown = true;
    world.ask(CreateRequestRequest { what: Some(What::Query(what)), ..Default::default() }).await
}

/// Presents the family name of a credential by this issuer, and returns the reason of the refusal; empty: accepted.
async fn outcome(world: &World, stranger: &Stranger, issuer: &SecretKey) -> String {
    let asked = ask(world, &query(stranger.vct, &["family_name"])).await;
    let shown = stranger.issue(issuer, &world.holder).select_claims(&[path(&["family_name"])]).unwrap();
    let answer = world.submit(&asked, world.bind(&shown, &asked)).await.unwrap();
    assert_eq!(answer.accepted, answer.reason.is_empty());
    answer.reason
}

#[tokio::test]
async fn a_strangers_type_is_asked_for_and_accepted_by_configuration() {
    let world = open().await;
    // No `allow_unknown`: the configuration makes it known.
    let asked = world.request_for(&query(VCT, &["family_name"])).await;
    let watch = WatchResultRequest { id: asked.id.clone() };
    let mut changes = world.staff().watch_result(watch).await.unwrap().into_inner();
    changes.message().await.unwrap().unwrap();
    let shown = Stranger::LOOSE.issue(&world.issuer, &world.holder).select_claims(&[path(&["family_name"])]).unwrap();
    World::accepted(world.submit(&asked, world.bind(&shown, &asked)).await);
    let disclosed = changes.message().await.unwrap().unwrap().disclosed.unwrap();
    let claims = wire::from_struct(&disclosed).unwrap()["pid"][0]["credentialSubject"].clone();
    assert_eq!(claims, json!({"family_name": "Haddad", "issuing_country": "PT"}));
    let verdict = world.result(&asked.id).await.verdict.unwrap();
    let [credential] = verdict.credentials.as_slice() else { panic!("{verdict:?}") };
    assert_eq!((credential.credential_type.as_str(), credential.issuer.as_str()), (VCT, did(&world.issuer).as_str()));
    let mut paths = credential.disclosed_paths.clone();
    paths.sort();
    assert_eq!(paths, ["family_name", "issuing_country"], "what is in the clear counts as shown");
    assert_eq!(verdict.issuers[0].rule, "configured");
}

#[tokio::test]
async fn without_the_configuration_the_same_credential_is_refused() {
    let world = World::new().await;
    let create = |query: &Value| CreateRequestRequest { what: Some(custom(query)), ..Default::default() };
    let refused = world.staff().create_request(create(&query(VCT, &["family_name"]))).await;
    assert_eq!(reason(refused), "QUERY_UNKNOWN");
    assert_eq!(outcome(&world, &Stranger::LOOSE, &world.issuer).await, "did_malformed");
    assert_eq!(outcome(&world, &Stranger::strict(&world), &world.issuer).await, "type_unknown");
}

#[tokio::test]
async fn each_liberty_is_opened_by_its_own_field() {
    let world = World::with(|config| config.foreign_types.push(strict(config))).await;
    let good = || Stranger::strict(&world);
    assert_eq!(outcome(&world, &good(), &world.issuer).await, "");
    for (stranger, code) in [
        (Stranger { kid: "#0".to_owned(), ..good() }, "did_malformed"),
        (Stranger { exp: None, ..good() }, "claim_missing"),
        (Stranger { country: true, ..good() }, "claim_unrequested"),
        (Stranger { exp: Some(now().plus(-86_400).unix()), ..good() }, "expired"),
    ] {
        assert_eq!(outcome(&world, &stranger, &world.issuer).await, code);
    }
    // A presentation without the claim that the configuration requires.
    let asked = ask(&world, &query(VCT, &["family_name", "given_name"])).await;
    let shown = good().issue(&world.issuer, &world.holder).select_claims(&[path(&["given_name"])]).unwrap();
    World::refused(world.submit(&asked, world.bind(&shown, &asked)).await, "schema_violation");
    let without = CreateRequestRequest { what: Some(custom(&query(VCT, &["given_name"]))), ..Default::default() };
    assert_eq!(reason(world.staff().create_request(without).await), "QUERY_UNSUPPORTED");
}

#[tokio::test]
async fn what_is_open_for_one_type_and_issuer_is_closed_for_all_others() {
    let world = open().await;
    assert_eq!(outcome(&world, &Stranger::LOOSE, &world.issuer).await, "");
    let permit = "urn:carnet:type:residence-permit:1";
    assert!(world.permit().has_vct(permit));
    // The same issuer is accepted for this type of the catalogue, which keeps its own rules.
    assert_eq!(outcome(&world, &Stranger { vct: permit, ..Stranger::LOOSE }, &world.issuer).await, "did_malformed");
    let no_end = Stranger { vct: permit, exp: None, ..Stranger::strict(&world) };
    assert_eq!(outcome(&world, &no_end, &world.issuer).await, "claim_missing");
    // Another issuer of the foreign type.
    let other = key();
    assert_eq!(outcome(&world, &Stranger::LOOSE, &other).await, "did_malformed");
    let strict = Stranger { kid: format!("{}#0", did(&other)), ..Stranger::strict(&world) };
    assert_eq!(outcome(&world, &strict, &other).await, "issuer_untrusted");
}

#[tokio::test]
async fn a_credential_without_an_end_is_verified_directly_too() {
    let world = open().await;
    let loose = Stranger::LOOSE.issue(&world.issuer, &world.holder).to_string().into_bytes();
    let verify = async |bytes: Vec<u8>, at: Timestamp| world.verifier.verify_credential(bytes, at).await.unwrap().0;
    // An accepted credential raises the floor of the clock, so the earliest time is first.
    assert_eq!(verify(loose.clone(), now().plus(-86_400)).await.reason(), "not_yet_valid");
    assert!(verify(loose.clone(), now()).await.accepted());
    assert!(verify(loose, now().plus(86_400 * 3_650)).await.accepted());
}

const BADGE: &str = "OpenBadgeCredential";
const BADGE_CONTEXT: &str = "https://purl.imsglobal.org/spec/ob/v3p0/context-3.0.3.json";

/// A badge by the issuer of the world, with a Data Integrity proof. `change` edits it before.
fn badge(world: &World, change: impl FnOnce(&mut Map<String, Value>)) -> Value {
    badge_by(world, &EddsaJcs2022, change)
}

fn badge_by(world: &World, suite: &dyn Cryptosuite, change: impl FnOnce(&mut Map<String, Value>)) -> Value {
    let document = json!({
        "@context": ["https://www.w3.org/ns/credentials/v2", BADGE_CONTEXT],
        "type": ["VerifiableCredential", BADGE],
        "issuer": did(&world.issuer),
        "validFrom": now().plus(-60).to_string(),
        "validUntil": now().plus(86_400).to_string(),
        "credentialSubject": {"id": did(&world.holder), "achievement": {"name": "First aid"}},
    });
    let mut document = document.as_object().unwrap().clone();
    change(&mut document);
    let method = format!("{}#0", did(&world.issuer));
    let options = ProofOptions {
        verification_method: &method,
        purpose: VerificationRelationship::AssertionMethod,
        created: None,
        expires: None,
        challenge: None,
        domain: None,
    };
    Value::Object(add_proof(&document, suite, &options, &world.issuer).unwrap())
}

fn badges(config: &VerifierConfig) -> ForeignTypeEntry {
    ForeignTypeEntry {
        vct: None,
        credential_type: Some(BADGE.to_owned()),
        required_claims: vec!["credentialSubject.achievement.name".to_owned()],
        contexts: vec![ForeignContextEntry { url: BADGE_CONTEXT.to_owned(), file: None, sha256: None }],
        ..strict(config)
    }
}

#[tokio::test]
async fn a_credential_of_the_w3c_model_is_presented_by_configuration() {
    let world = World::with(|config| config.foreign_types.push(badges(config))).await;
    let query = json!({"credentials": [{"id": "badge", "format": "di_vc+jcs", "meta": {"type_values": [[BADGE]]},
        "claims": [{"path": ["credentialSubject", "achievement", "name"]}]}]});
    let asked = world.request_for(&query).await;
    let presented = world.present_document(badge(&world, |_| {}), &asked.nonce, &asked.audience);
    World::accepted(world.submit(&asked, presented).await);
    let verdict = world.result(&asked.id).await.verdict.unwrap();
    assert_eq!(verdict.credentials[0].credential_type, BADGE);
}

#[tokio::test]
async fn liberties_of_the_w3c_model_are_opened_one_by_one() {
    type Change = fn(&mut Map<String, Value>);
    type Open = fn(&mut ForeignTypeEntry);
    let trials: [(Change, Open, &str); 6] = [
        (
            |badge| {
                badge.insert("id".into(), "urn:uuid:6c3b".into());
                badge.insert("name".into(), "A badge".into());
                badge.insert("credentialSchema".into(), json!({"id": "https://a.example/s", "type": "JsonSchema"}));
            },
            |entry| entry.visible_claims = ["id", "name", "credentialSchema"].map(str::to_owned).to_vec(),
            "schema_violation",
        ),
        (
            |badge| {
                let id = badge["issuer"].clone();
                badge.insert("issuer".into(), json!({"id": id, "name": "Red Cross"}));
            },
            |entry| entry.visible_claims = vec!["issuer.name".to_owned()],
            "schema_violation",
        ),
        (|badge| drop(badge.remove("validUntil")), |entry| entry.allow_no_end = true, "claim_missing"),
        (
            |badge| drop(badge.insert("type".into(), json!(["VerifiableCredential", BADGE, "AchievementCredential"]))),
            |entry| entry.other_types = vec!["AchievementCredential".to_owned()],
            "type_unknown",
        ),
        (
            |badge| badge["@context"].as_array_mut().unwrap().push("https://a.example/third".into()),
            |entry| {
                let url = "https://a.example/third".to_owned();
                entry.contexts.push(ForeignContextEntry { url, file: None, sha256: None });
            },
            "context_unknown",
        ),
        (
            |badge| drop(badge.insert("credentialSubject".into(), json!({"id": "did:web:a.example", "rank": 1}))),
            |entry| entry.required_claims.clear(),
            "schema_violation",
        ),
    ];
    for (at, (change, open, code)) in trials.into_iter().enumerate() {
        let verify = async |world: &World, badge: Value| {
            let bytes = badge.to_string().into_bytes();
            world.verifier.verify_credential(bytes, now()).await.unwrap().0.reason().to_owned()
        };
        let strict = World::with(|config| config.foreign_types.push(badges(config))).await;
        assert_eq!(verify(&strict, badge(&strict, |_| {})).await, "", "{at}");
        assert_eq!(verify(&strict, badge(&strict, change)).await, code, "{at}");
        let opened = World::with(|config| {
            let mut entry = badges(config);
            open(&mut entry);
            config.foreign_types.push(entry);
        })
        .await;
        assert_eq!(verify(&opened, badge(&opened, change)).await, "", "{at}");
        // A type of the catalogue, by the same issuer and with the same, is refused.
        let permit = |document: &mut Map<String, Value>| *document = opened.document();
        assert_eq!(verify(&opened, badge(&opened, permit)).await, "", "{at}");
        if at < 3 {
            let changed = badge(&opened, |document| {
                permit(document);
                change(document);
            });
            assert_ne!(verify(&opened, changed).await, "", "{at}");
        }
    }
}

/// The form of Open Badges 3.0: terms that are defined within the types that they belong to.
#[cfg(feature = "jsonld")]
const SCOPED_CONTEXT: &str = r##"{"@context": {"@protected": true, "id": "@id", "type": "@type",
  "OpenBadgeCredential": "https://purl.imsglobal.org/spec/vc/ob/vocab.html#OpenBadgeCredential",
  "AchievementSubject": {"@id": "https://purl.imsglobal.org/spec/vc/ob/vocab.html#AchievementSubject", "@context": {
    "@protected": true, "id": "@id", "type": "@type",
    "achievement": {"@id": "https://purl.imsglobal.org/spec/vc/ob/vocab.html#achievement", "@type": "@id"}}},
  "Achievement": {"@id": "https://purl.imsglobal.org/spec/vc/ob/vocab.html#Achievement", "@context": {
    "@protected": true, "id": "@id", "type": "@type", "name": "https://schema.org/name"}}}}"##;

#[cfg(feature = "jsonld")]
#[tokio::test]
async fn a_credential_over_rdf_has_terms_of_its_types_in_a_context_from_a_file() {
    use sha2::{Digest as _, Sha256};

    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("badge.jsonld");
    std::fs::write(&file, SCOPED_CONTEXT).unwrap();
    let sha256: String = Sha256::digest(SCOPED_CONTEXT).iter().map(|byte| format!("{byte:02x}")).collect();
    let with_file = |file: Option<std::path::PathBuf>| {
        let sha256 = file.as_ref().map(|_| sha256.clone());
        ForeignContextEntry { url: BADGE_CONTEXT.to_owned(), file, sha256 }
    };
    let world = World::with(|config| {
        config.foreign_types.push(ForeignTypeEntry { contexts: vec![with_file(Some(file))], ..badges(config) });
    })
    .await;
    let suites = crate::verification::supported_suites(&world.verifier.verification.catalogue).unwrap();
    let suite = suites.by_name("eddsa-rdfc-2022").unwrap();
    let signed = badge_by(&world, suite, |document| {
        document["credentialSubject"] = json!({"id": did(&world.holder), "type": "AchievementSubject",
            "achievement": {"type": "Achievement", "name": "First aid"}});
    });
    let verify = async |world: &World, badge: &Value| {
        let bytes = badge.to_string().into_bytes();
        world.verifier.verify_credential(bytes, now()).await.unwrap().0.reason().to_owned()
    };
    assert_eq!(verify(&world, &signed).await, "");
    let mut changed = signed.clone();
    changed["credentialSubject"]["achievement"]["name"] = json!("Surgery");
    assert_eq!(verify(&world, &changed).await, "signature_invalid");
    // Without the file, nothing is fetched.
    let without = World::with(|config| {
        config.issuers[0].did = did(&world.issuer);
        config.foreign_types.push(ForeignTypeEntry { contexts: vec![with_file(None)], ..badges(config) });
    })
    .await;
    assert_eq!(verify(&without, &signed).await, "context_unknown");
}
