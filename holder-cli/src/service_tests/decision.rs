use std::cell::RefCell;

use carnet_core::{did::SelfContainedResolver, format::CredentialFormat};
use clap::Parser;
use serde_json::{Value, json};

use crate::{
    answer::tests::{Issuer, NOW},
    arguments::{Arguments, Command, Present},
    clock::CommandClock,
    commands::present::TerminalConsent,
    context::CommandContext,
    failure::{Failure, FailureOutput as _, Translate as _},
    request::tests::Asker,
    verifier_identity::{
        VerifierIdentity,
        tests::{Authority, both, introduce},
    },
    wallet::WalletContents,
};
use carnet_spec::Catalogue;
use carnet_wallet::{
    answer::{RequestedItem, UnansweredQuery},
    present::{
        Consent, ConsentDecision, ConsentRequest, DecidedAnswer, DecisionContext, PresentationOptions, SentPresentation,
    },
};

/// Wallet with one qualification and a verifier with some registered claims; without a terminal.
struct DecisionScene {
    asker: Asker,
    contents: WalletContents,
    catalogue: Catalogue,
}

impl DecisionScene {
    fn new(registered: Option<Value>) -> Self {
        let (mut asker, issuer, authority) = (Asker::new(), Issuer::new(), Authority::new());
        let mut contents = WalletContents::new(12);
        contents.credentials.push(issuer.held("aaaa", CredentialFormat::VcSdJwt, 2));
        authority.pin(&mut contents);
        if let Some(claims) = registered {
            let registration = authority.register(&asker, claims, 30);
            introduce(&mut asker, &registration);
        }
        Self { asker, contents, catalogue: issuer.catalogue }
    }

    fn ask(&mut self, claims: Value) -> &mut Self {
        self.asker.payload["dcql_query"]["credentials"][0]["claims"] = claims;
        self
    }

    fn decide(&self, options: &[&str]) -> Result<DecidedAnswer, Failure> {
        let line = ["carnet", "--json", "present", "openid4vp://x"].iter().chain(options);
        let Arguments { global, command } = Arguments::try_parse_from(line).unwrap();
        let Some(Command::Present(arguments)) = command else { panic!("another command") };
        let context = CommandContext::new(global, CommandClock::system());
        self.decide_by(&arguments, &TerminalConsent { ui: &context.ui, arguments: &arguments })
    }

    fn decide_by(&self, arguments: &Present, owner: &impl Consent) -> Result<DecidedAnswer, Failure> {
        let request = self.asker.request().unwrap();
        let introduction = VerifierIdentity::from_request(&request, &self.contents, NOW, &SelfContainedResolver);
        let (withhold, approve) = (&arguments.withhold, &arguments.approve);
        let decision = DecisionContext {
            now: &|| NOW,
            options: PresentationOptions { allowed_ids: &[], withheld_names: withhold, approved_names: approve },
            contents: &self.contents,
            catalogue: &self.catalogue,
            link: &self.asker.pointer,
            request: &request,
            verifier: &introduction,
            allowed_credentials: &[],
        };
        decision.decide(owner)
    }

    /// Returns the reason for which nothing is sent.
    fn refused(&self, options: &[&str]) -> Failure {
        self.decide(options).unwrap().outcome.err().unwrap()
    }

    /// Returns the paths that would be disclosed, and the digest that approves them.
    fn would_go(&self, options: &[&str]) -> (Vec<String>, String) {
        let decided = self.decide(options).unwrap();
        let (parts, word) = decided.outcome.unwrap();
        let ConsentDecision::NotObtained(failure) = word else { panic!("nobody said yes") };
        assert_eq!(failure.reason, "approval_needed");
        (parts.into_iter().flat_map(|part| part.disclosed_paths).collect(), decided.digest)
    }
}

fn title() -> Value {
    json!([{"path": ["credentialSubject", "title"]}])
}

const LEVEL: &str = "q:credentialSubject.eqfLevel";
const TITLE: &str = "q:credentialSubject.title";

#[test]
fn what_is_within_a_registration_goes_with_one_yes() {
    let scene = DecisionScene::new(Some(both()));
    let (paths, digest) = scene.would_go(&[]);
    assert_eq!(paths, ["credentialSubject.eqfLevel", "credentialSubject.title"]);
    let yes = scene.decide(&["--yes", &digest]).unwrap().outcome.unwrap().1;
    assert!(matches!(yes, ConsentDecision::Yes));
    let other = scene.decide(&["--yes", "x"]).unwrap().outcome.unwrap().1;
    assert!(matches!(other, ConsentDecision::NotObtained(failure) if failure.reason == "approval_mismatch"));
}

#[test]
fn what_is_beyond_is_approved_one_by_one() {
    for (registered, names) in [(Some(title()), vec![LEVEL]), (None, vec![TITLE, LEVEL])] {
        let scene = DecisionScene::new(registered);
        let refused = scene.refused(&[]);
        assert_eq!((refused.reason.as_str(), refused.kind), ("over_asked", crate::failure::FailureKind::Permanent));
        let asked: Vec<Value> = refused.json()["excess"].as_array().unwrap().clone();
        assert_eq!(asked.iter().map(|excess| excess["name"].as_str().unwrap()).collect::<Vec<_>>(), names);
        let mut options = Vec::new();
        for name in &names {
            assert_eq!(scene.refused(&options).reason, "over_asked");
            options.extend(["--approve", name]);
        }
        let (paths, digest) = scene.would_go(&options);
        assert_eq!(paths.len(), 2);
        // A digest alone does not approve claims that need approval by name.
        assert_eq!(scene.refused(&["--yes", &digest]).reason, "over_asked");
        options.extend(["--yes", &digest]);
        assert!(matches!(scene.decide(&options).unwrap().outcome.unwrap().1, ConsentDecision::Yes));
    }
}

#[test]
fn whoever_has_no_such_document_is_not_asked() {
    let mut scene = DecisionScene::new(None);
    scene.contents.credentials.clear();
    let refused = scene.refused(&[]);
    assert_eq!((refused.reason.as_str(), refused.kind), ("query_unmet", crate::failure::FailureKind::Permanent));
}

#[test]
fn whoever_cannot_answer_learns_who_asks_why_and_what_is_missing() {
    let missing = |scene: &DecisionScene, options: &[&str]| {
        let refused = scene.refused(options);
        assert!(refused.message.english().contains("(Qualification)"), "{:?}", refused.message);
        let json = refused.json();
        assert!(json["asker"]["name"].is_string() && json["purpose"].is_string(), "{json}");
        let entry = json["missing"][0].clone();
        let text = entry["text"].as_str().unwrap().to_owned();
        (entry["what"].as_str().unwrap().to_owned(), text, entry["paths"].clone())
    };
    let mut scene = DecisionScene::new(Some(both()));
    scene.ask(json!([{"path": ["credentialSubject", "title"]}, {"path": ["credentialSubject", "shoeSize"]}]));
    let (what, text, paths) = missing(&scene, &[]);
    assert_eq!((what.as_str(), paths), ("claims", json!(["credentialSubject.shoeSize"])));
    assert_eq!(text, "Qualification: yours does not match: shoeSize");
    let mut scene = DecisionScene::new(Some(both()));
    scene.contents.credentials[0].valid_until = Some(NOW.plus(-1));
    assert_eq!(missing(&scene, &[]).0, "ended");
    scene.contents.credentials[0].valid_until = None;
    scene.contents.credentials[0].format = CredentialFormat::DcSdJwt.to_owned();
    assert_eq!(missing(&scene, &[]).0, "format");
    scene.contents.credentials.clear();
    assert_eq!(missing(&scene, &[]).1, "Qualification: you have none");
}

/// Owner who allows each item, and remembers which were asked about.
#[derive(Default)]
struct Allowing(RefCell<Vec<String>>);

impl Consent for Allowing {
    fn can_ask(&self) -> bool {
        true
    }

    fn show_request(&self, _: &ConsentRequest<'_>) {}

    fn approve_item(&self, _: &ConsentRequest<'_>, asked: &RequestedItem) -> Option<bool> {
        self.0.borrow_mut().push(asked.query_id.clone());
        Some(true)
    }

    fn approve_answer(&self, _: &ConsentRequest<'_>, _: bool) -> ConsentDecision {
        ConsentDecision::Yes
    }

    fn explain_unanswered(&self, _: &ConsentRequest<'_>, _: &[UnansweredQuery], failure: Failure) -> Failure {
        failure
    }

    fn show_response(&self, _: &SentPresentation) {}
}

#[test]
fn nothing_is_asked_about_an_option_that_cannot_be_answered() {
    let mut scene = DecisionScene::new(None);
    let query = scene.asker.payload["dcql_query"]["credentials"][0].clone();
    let with = |id: &str, name: &str| {
        let mut query = query.clone();
        (query["id"], query["meta"]["type_values"]) = (json!(id), json!([[name]]));
        query
    };
    let (known, foreign) = ("QualificationCredential", "NobodysCredential");
    scene.asker.payload["dcql_query"]["credentials"] =
        json!([with("q", known), with("foreign", foreign), with("beside", known)]);
    let ask = |scene: &mut DecisionScene, sets: Value| {
        scene.asker.payload["dcql_query"]["credential_sets"] = sets;
        let Some(Command::Present(arguments)) =
            Arguments::try_parse_from(["carnet", "present", "openid4vp://x"]).unwrap().command
        else {
            panic!("another command")
        };
        let owner = Allowing::default();
        let decided = scene.decide_by(&arguments, &owner).unwrap().outcome;
        let sent = decided.map(|(parts, _)| parts.into_iter().map(|part| part.query_id).collect::<Vec<_>>());
        let mut asked = owner.0.into_inner();
        asked.dedup();
        (asked, sent.unwrap_or_default())
    };
    let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
    // Of the first option one credential is missing: nothing is asked about its other one either.
    let sets = json!([{"options": [["foreign", "beside"], ["q"]]}]);
    assert_eq!(ask(&mut scene, sets), (names(&["q"]), names(&["q"])));
    // An optional set is never answered.
    let sets = json!([{"options": [["q"]]}, {"options": [["beside"]], "required": false}]);
    assert_eq!(ask(&mut scene, sets), (names(&["q"]), names(&["q"])));
    // The twin: both options can be answered, and both are asked about.
    let sets = json!([{"options": [["beside"], ["q"]]}]);
    assert_eq!(ask(&mut scene, sets).0, names(&["q", "beside"]));
}

#[test]
fn what_is_withheld_is_absent() {
    let mut scene = DecisionScene::new(Some(both()));
    assert_eq!(scene.refused(&["--withhold", LEVEL]).reason, "query_unmet");
    assert_eq!(scene.refused(&["--withhold", "q"]).reason, "query_unmet");
    // If another claim set answers the query, that one is used.
    scene.ask(json!([
        {"id": "t", "path": ["credentialSubject", "title"]}, {"id": "l", "path": ["credentialSubject", "eqfLevel"]}
    ]));
    scene.asker.payload["dcql_query"]["credentials"][0]["claim_sets"] = json!([["t", "l"], ["t"]]);
    let (paths, digest) = scene.would_go(&["--withhold", LEVEL]);
    assert_eq!(paths, ["credentialSubject.title"]);
    assert!(matches!(
        scene.decide(&["--withhold", LEVEL, "--yes", &digest]).unwrap().outcome.unwrap().1,
        ConsentDecision::Yes
    ));
    // Withholding takes precedence over approving.
    assert_eq!(
        DecisionScene::new(None).refused(&["--approve", TITLE, "--approve", LEVEL, "--withhold", TITLE]).reason,
        "over_asked"
    );
}

#[test]
fn what_is_withheld_does_not_go_within_something_else() {
    let mut scene = DecisionScene::new(Some(json!([{"path": ["credentialSubject", "learningOutcomes"]}])));
    scene.ask(json!([
        {"id": "all", "path": ["credentialSubject", "learningOutcomes"]},
        {"id": "part", "path": ["credentialSubject", "learningOutcomes", null, "description"]},
    ]));
    scene.asker.payload["dcql_query"]["credentials"][0]["claim_sets"] = json!([["all"], ["part"]]);
    let (paths, _) = scene.would_go(&[]);
    assert!(!paths.is_empty());
    let part = "q:credentialSubject.learningOutcomes[].description";
    assert_eq!(scene.refused(&["--withhold", part]).reason, "query_unmet");
}

#[test]
fn a_name_that_is_not_asked_for_is_a_mistake() {
    let scene = DecisionScene::new(Some(both()));
    for option in ["--approve", "--withhold"] {
        let refused = scene.decide(&[option, "q:credentialSubject.grade"]).err().unwrap();
        assert_eq!((refused.reason.as_str(), refused.kind), ("claim_unknown", crate::failure::FailureKind::Usage));
    }
}

#[test]
fn a_threshold_is_approved_apart_from_the_value() {
    let mut scene = DecisionScene::new(None);
    let at_least = json!({"path": ["credentialSubject", "eqfLevel"], "carnet_at_least": 5});
    scene.ask(json!([at_least]));
    // By the name without the bound, which moves daily in some requests, and by the full name.
    for name in [LEVEL, "q:credentialSubject.eqfLevel >= 5"] {
        assert_eq!(scene.would_go(&["--approve", name]).0, ["credentialSubject.eqfLevel >= 5"]);
    }
    scene.ask(json!([at_least, {"path": ["credentialSubject", "eqfLevel"]}]));
    assert_eq!(scene.refused(&["--approve", "q:credentialSubject.eqfLevel >= 5"]).reason, "over_asked");
    // A value and its threshold share the short name, which means the value.
    assert_eq!(scene.refused(&["--approve", LEVEL]).reason, "over_asked");
    scene.ask(json!([at_least, {"path": ["credentialSubject", "eqfLevel"], "carnet_at_most": 7}]));
    assert_eq!(scene.decide(&["--approve", LEVEL]).err().unwrap().reason, "claim_ambiguous");
}

#[test]
fn a_proof_that_cannot_be_given_is_not_replaced_by_a_value_that_is_not_registered() {
    let ask = json!([{"path": ["credentialSubject", "eqfLevel"], "carnet_at_least": 5}]);
    let threshold_only = json!([{"path": ["credentialSubject", "eqfLevel"], "carnet_at_least": true}]);
    for (registered, options) in [(Some(threshold_only), vec![]), (None, vec!["--approve", LEVEL])] {
        let mut scene = DecisionScene::new(registered);
        scene.ask(ask.clone());
        assert_eq!(scene.would_go(&options).0, ["credentialSubject.eqfLevel >= 5"]);
        scene.contents.credentials[0].copies.iter_mut().for_each(|copy| copy.commitments.clear());
        assert_eq!(scene.refused(&options).reason, "query_unmet");
    }
    // If the value is registered, it is disclosed: that is DCQL's own answer.
    let mut scene = DecisionScene::new(Some(both()));
    scene.ask(ask);
    scene.contents.credentials[0].copies.iter_mut().for_each(|copy| copy.commitments.clear());
    assert_eq!(scene.would_go(&[]).0, ["credentialSubject.eqfLevel"]);
}

/// The owner may have the document.
#[test]
fn a_request_in_a_form_that_is_not_supported_is_not_a_missing_document() {
    for (member, value) in [
        ("trusted_authorities", json!([{"type": "etsi_tl", "values": ["https://list.example"]}])),
        ("format", json!("mso_mdoc")),
    ] {
        let mut scene = DecisionScene::new(Some(both()));
        scene.asker.payload["dcql_query"]["credentials"][0][member] = value;
        let refused = scene.refused(&[]);
        let (said, hint) = (refused.message.english(), refused.hint.english());
        assert_eq!(refused.reason, "query_unmet");
        assert!(said.starts_with("The request has a form that this wallet does not support ("), "{said}");
        assert!(hint.contains("another form"), "{hint}");
    }
    // A document that is missing in a supported form is still missing.
    let mut scene = DecisionScene::new(Some(both()));
    scene.contents.credentials.clear();
    let refused = scene.refused(&[]);
    let (said, hint) = (refused.message.english(), refused.hint.english());
    assert!(said.starts_with("You have no valid document") && hint.contains("carnet list"), "{said} {hint}");
}

#[test]
fn a_request_that_needs_nothing_gets_nothing() {
    let asked = |required: bool| {
        let mut scene = DecisionScene::new(Some(both()));
        scene.asker.payload["dcql_query"]["credential_sets"] = json!([{"options": [["q"]], "required": required}]);
        scene
    };
    assert_eq!(asked(true).would_go(&[]).0.len(), 2);
    let refused = asked(false).refused(&[]);
    assert_eq!((refused.reason.as_str(), refused.kind), ("query_unmet", crate::failure::FailureKind::Permanent));
    assert!(refused.message.english().contains("The request requires no data"));
}

/// An archive of the lists could link it with another copy, so consent to the request does not cover it.
#[test]
fn a_marked_copy_goes_only_where_the_owner_says_so_and_a_copy_without_a_mark_needs_no_word() {
    use crate::wallet::cached_status::{CachedStatus, CopyState};
    let mut scene = DecisionScene::new(Some(both()));
    let (_, digest) = scene.would_go(&[]);
    let word = |scene: &DecisionScene, options: &[&str]| scene.decide(options).unwrap().outcome.unwrap().1;
    assert!(matches!(word(&scene, &["--yes", &digest]), ConsentDecision::Yes));
    // As long as there is an unmarked copy, that one is used.
    let mark = |scene: &mut DecisionScene, number: usize| {
        let standing = CachedStatus { should_replace: true, ..CachedStatus::new(CopyState::Valid, NOW) };
        scene.contents.credentials[0].copies[number].status = Some(standing);
    };
    mark(&mut scene, 0);
    let (_, digest) = scene.would_go(&[]);
    assert!(matches!(word(&scene, &["--yes", &digest]), ConsentDecision::Yes));
    mark(&mut scene, 1);
    let (_, digest) = scene.would_go(&[]);
    let ConsentDecision::NotObtained(refused) = word(&scene, &["--yes", &digest]) else { panic!("it goes") };
    assert_eq!(refused.reason, "copy_marked");
    assert!(
        refused.hint.english().contains("carnet refresh") && refused.hint.english().contains("--show-marked"),
        "{refused:?}"
    );
    assert!(matches!(word(&scene, &["--yes", &digest, "--show-marked"]), ConsentDecision::Yes));
    // The option approves nothing else.
    let ConsentDecision::NotObtained(refused) = word(&scene, &["--show-marked"]) else { panic!("it goes") };
    assert_eq!(refused.reason, "approval_needed");
}
