//! Credentials of other ecosystems, by a profile for one type and one issuer.

use super::{sd_jwt::show, *};
use crate::secure::jose;

const VCT: &str = "urn:stranger:pass:1";

/// A profile for the credentials of one issuer with one `vct`.
struct Foreign {
    issuer: String,
    profile: VerificationProfile,
}

impl TypeCatalogue for Foreign {
    fn type_name(&self, _: &[&str], vct: Option<&str>) -> Result<String, Problem> {
        // Every type is known here, so that what refuses is the profile.
        Ok(vct.unwrap_or_default().to_owned())
    }
    fn check_schema(&self, _: &str, _: &Map<String, Value>) -> Result<(), Problem> {
        Ok(())
    }
    fn profile(&self, vct: &str, issuer: &str) -> &VerificationProfile {
        if vct == VCT && issuer == self.issuer { &self.profile } else { VerificationProfile::DEFAULT }
    }
}

impl IssuerPolicy for Foreign {
    fn check_issuer(&self, _: &VerifiedCredential) -> Result<(), Problem> {
        Ok(())
    }
}

/// A credential, and the rules that it is verified by.
struct Trial {
    world: World,
    rules: Foreign,
    kid: String,
    payload: Value,
    jwk: Value,
}

impl Trial {
    /// A credential of the default profile.
    fn new() -> Self {
        let world = World::new();
        let payload = json!({"iss": world.did(), "vct": VCT, "exp": 1_800_000_000, "family_name": "Okonkwo"});
        let rules = Foreign { issuer: world.did(), profile: VerificationProfile::default() };
        let (kid, jwk) = (format!("{}#0", world.did()), world.holder.public_key().to_jwk().into());
        Self { world, rules, kid, payload, jwk }
    }

    fn verify(&self) -> (VerificationReport, Option<Verified<VerifiedCredentials>>) {
        let mut payload = object(self.payload.clone());
        payload.insert("cnf".to_owned(), json!({"jwk": self.jwk}));
        let header = object(json!({"typ": "dc+sd-jwt", "kid": self.kid}));
        let token = jose::sign(header, &payload, &self.world.issuer).unwrap() + "~";
        let vct = &self.payload["vct"];
        let query = json!({"credentials": [{"id": "permit", "format": "dc+sd-jwt", "meta": {"vct_values": [vct]},
            "claims": [{"path": ["family_name"]}]}]});
        let query = Query::parse(&query).unwrap();
        let asked = PresentationContext { query: &query, nonce: NONCE, audience: AUDIENCE, max_age: 300 };
        let presentation = show(&self.world, &token, &[]);
        let answer = BTreeMap::from([("permit".to_owned(), vec![presentation])]);
        self.world.with_environment(|env| {
            let env = VerificationEnvironment { types: &self.rules, issuer_policy: &self.rules, ..*env };
            verify_presentation(&answer, &asked, &env)
        })
    }

    /// The change makes a credential that the relaxed profile accepts, and that the default profile, another issuer and
    /// another type refuse with this code.
    #[track_caller]
    fn needs(relax: impl FnOnce(&mut VerificationProfile), change: impl FnOnce(&mut Self), code: Code) {
        let mut trial = Self::new();
        accepted(trial.verify());
        change(&mut trial);
        refused(trial.verify(), code);
        relax(&mut trial.rules.profile);
        accepted(trial.verify());
        let issuer = std::mem::replace(&mut trial.rules.issuer, "did:web:other.example".to_owned());
        refused(trial.verify(), code);
        trial.rules.issuer = issuer;
        trial.payload["vct"] = json!("urn:stranger:pass:2");
        refused(trial.verify(), code);
    }
}

#[test]
fn a_kid_may_be_a_fragment_of_the_issuers_did() {
    let relative = |profile: &mut VerificationProfile| profile.requires_absolute_kid = false;
    Trial::needs(relative, |trial| trial.kid = "#0".to_owned(), Code::DidMalformed);
    // It names a key of this issuer's document, and of no other.
    for (kid, code) in [
        ("#1", Code::MethodUnknown),
        ("#", Code::DidMalformed),
        ("0", Code::DidMalformed),
        ("##0", Code::DidMalformed),
        ("did:web:other.example#0", Code::MethodOfOther),
    ] {
        let mut trial = Trial::new();
        relative(&mut trial.rules.profile);
        accepted(trial.verify());
        trial.kid = kid.to_owned();
        refused(trial.verify(), code);
    }
    let mut trial = Trial::new();
    relative(&mut trial.rules.profile);
    trial.kid = "#0".to_owned();
    accepted(trial.verify());
    trial.world.issuer = SecretKey::generate(SignatureAlgorithm::EdDsa, &mut OsRng);
    refused(trial.verify(), Code::SignatureInvalid);
}

#[test]
fn a_validity_period_may_have_no_end() {
    let without_end = |trial: &mut Trial| drop(trial.payload.as_object_mut().unwrap().remove("exp"));
    Trial::needs(|profile| profile.requires_end = false, without_end, Code::ClaimMissing);
    let mut trial = Trial::new();
    trial.rules.profile.requires_end = false;
    let held = accepted(trial.verify());
    assert!(held["permit"][0].credential.valid_until().is_some());
    // An end that is there counts.
    trial.payload["exp"] = json!(1_700_000_000);
    refused(trial.verify(), Code::Expired);
    without_end(&mut trial);
    assert_eq!(accepted(trial.verify())["permit"][0].credential.valid_until(), None);
    trial.payload["nbf"] = json!(1_900_000_000);
    refused(trial.verify(), Code::NotYetValid);
}

#[test]
fn named_members_may_be_in_the_clear() {
    let visible = |names: &'static [&'static str]| {
        move |profile: &mut VerificationProfile| profile.visible = names.iter().map(|name| path(&[name])).collect()
    };
    let country = |trial: &mut Trial| trial.payload["issuing_country"] = json!("PT");
    Trial::needs(visible(&["issuing_country"]), country, Code::ClaimUnrequested);
    let with_kid = |trial: &mut Trial| {
        trial.jwk["kid"] = json!("key-1");
        trial.jwk["use"] = json!("sig");
        trial.jwk["alg"] = json!("EdDSA");
    };
    let members = |profile: &mut VerificationProfile| {
        profile.visible = ["kid", "use", "alg"].map(|name| path(&["cnf", "jwk", name])).to_vec();
    };
    Trial::needs(members, with_kid, Code::ClaimUnrequested);
    // They count as shown, and only what is named may be there.
    let mut trial = Trial::new();
    members(&mut trial.rules.profile);
    with_kid(&mut trial);
    assert!(accepted(trial.verify())["permit"][0].disclosed_paths.contains(&path(&["cnf", "jwk", "kid"])));
    trial.jwk["ext"] = json!(true);
    refused(trial.verify(), Code::ClaimUnrequested);
}

#[test]
fn what_has_no_exception_stays_closed() {
    let open = || VerificationProfile { requires_absolute_kid: false, requires_end: false, visible: Vec::new() };
    for (name, value, code) in [
        ("issuer", json!("did:web:other.example"), Code::ClaimForbidden),
        ("jti", json!("urn:uuid:6c3b"), Code::ClaimForbidden),
        ("room", json!("B 12"), Code::ClaimUnrequested),
        ("exp", json!("1999999999"), Code::MalformedValue),
        ("sub", json!("did:web:somebody.example"), Code::HolderMismatch),
    ] {
        let mut trial = Trial::new();
        trial.rules.profile = open();
        accepted(trial.verify());
        trial.payload[name] = value;
        refused(trial.verify(), code);
    }
}
