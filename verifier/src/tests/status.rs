//! Cached status lists, and their maximum age by template.

use carnet_core::{
    did::{Did, DidUrl, Resolve, SelfContainedResolver},
    secure::data_integrity::Cryptosuites,
    status::{
        MIN_ENTRIES, StatusPurpose, StatusState, VerifiedStatusList,
        bitstring::BitstringStatusListEntry,
        message::StatusMessages,
        publication::{ListFormat, PublicationParameters, UnsignedStatusList},
    },
    time::Timestamp,
};
use carnet_proto::verifier::v1::{
    CheckOutcome, CreateRequestRequest, SubmitPresentationResponse, create_request_request::What,
};
use carnet_service::time::now;
use serde_json::{Value, json};

use super::world::{Asked, World, did, hours_ago, path, query};

const URL: &str = "https://authority.example/status/revocation/0";
const ENTRY: u64 = 77;

/// Creates a verifier with a template that tolerates lists of two hours.
async fn tolerant() -> (tempfile::TempDir, World) {
    let folder = tempfile::tempdir().unwrap();
    let template = include_str!("../../../spec/requests/job-right-to-work.toml");
    let template = template.replace("id = \"job-right-to-work\"", "id = \"patient\"\nstale_status_seconds = 7200");
    std::fs::create_dir(folder.path().join("requests")).unwrap();
    std::fs::write(folder.path().join("requests/patient.toml"), template).unwrap();
    let world = World::with(|config| config.serve.catalogue = Some(folder.path().to_owned())).await;
    (folder, world)
}

async fn request(world: &World) -> Asked {
    let what = Some(What::Template("patient".to_owned()));
    world.ask(CreateRequestRequest { what, ..Default::default() }).await
}

/// Caches a list that was signed and fetched then, and is valid for an hour.
fn fetched(world: &World, at: Timestamp, state: StatusState) {
    let mut list = UnsignedStatusList::new(MIN_ENTRIES).unwrap();
    list.set_state(ENTRY, state).unwrap();
    put(world, &mut list, (ListFormat::Revocation, URL), at);
}

fn put(world: &World, list: &mut UnsignedStatusList, (form, url): (ListFormat, &str), at: Timestamp) {
    let issuer = Did::parse(&did(&world.issuer)).unwrap();
    let kid = DidUrl::parse(&format!("{issuer}#0")).unwrap();
    let terms = PublicationParameters { kid: &kid, url, now: at, lifetime_seconds: 86_400, ttl: 3_600 };
    let text = list.sign(form, &terms, &Cryptosuites::jcs(), &world.issuer).unwrap();
    let suites = Cryptosuites::jcs();
    let suites = (&SelfContainedResolver as &dyn Resolve, &suites);
    world
        .verifier
        .verification
        .status_lists
        .put(url, VerifiedStatusList::verify(text.as_bytes(), url, &issuer, (at, 60), suites).unwrap());
}

fn answer(world: &World, asked: &Asked) -> String {
    let mut document = world.document();
    let reference = BitstringStatusListEntry {
        purpose: StatusPurpose::Revocation,
        url: URL.to_owned(),
        index: ENTRY,
        size_in_bits: 1,
    };
    document.insert("credentialStatus".into(), Value::Array(vec![reference.to_json()]));
    let claims = ["rightToWork", "legalResidence"].map(|claim| path(&["credentialSubject", claim]));
    world.bind(&world.issue(&document).select_claims(&claims).unwrap(), asked)
}

fn status(answer: &SubmitPresentationResponse) -> (CheckOutcome, &str) {
    let check = answer.checks.iter().find(|check| check.name == "status").unwrap();
    (check.outcome(), &check.code)
}

#[tokio::test]
async fn row_64_a_template_says_how_old_a_list_may_be_and_the_verdict_that_it_was() {
    let (_folder, world) = tolerant().await;
    // By the template, and by a custom query, which tolerates no age.
    let both = async || {
        let by_template = request(&world).await;
        let by_template = world.submit(&by_template, answer(&world, &by_template)).await.unwrap();
        let own = world.request_for(&query("vc+sd-jwt", &["rightToWork", "legalResidence"])).await;
        (by_template, world.submit(&own, answer(&world, &own)).await.unwrap())
    };
    let (by_template, own) = both().await;
    assert_eq!(status(&by_template), (CheckOutcome::Failed, "status_list_unavailable"));
    assert_eq!(own.reason, "status_list_unavailable");
    fetched(&world, now(), StatusState::Valid);
    let (by_template, own) = both().await;
    assert_eq!((status(&by_template), status(&own)), ((CheckOutcome::Passed, ""), (CheckOutcome::Passed, "")));
    fetched(&world, hours_ago(2), StatusState::Valid);
    let (by_template, own) = both().await;
    assert!(by_template.accepted && !own.accepted);
    assert_eq!(status(&by_template), (CheckOutcome::Tolerated, "status_list_stale"));
    assert_eq!(status(&own), (CheckOutcome::Failed, "status_list_stale"));
    fetched(&world, hours_ago(4), StatusState::Valid);
    assert_eq!(both().await.0.reason, "status_list_stale");
    fetched(&world, hours_ago(2), StatusState::Revoked);
    assert_eq!(both().await.0.reason, "revoked");
}

#[tokio::test]
async fn what_is_tolerated_is_in_the_verdict_that_is_kept() {
    let (_folder, world) = tolerant().await;
    fetched(&world, hours_ago(2), StatusState::Valid);
    let asked = request(&world).await;
    World::accepted(world.submit(&asked, answer(&world, &asked)).await);
    let verdict = world.result(&asked.id).await.verdict.unwrap();
    let tolerated: Vec<_> = verdict
        .checks
        .iter()
        .filter(|check| check.outcome() == CheckOutcome::Tolerated)
        .map(|check| &check.name)
        .collect();
    assert_eq!(json!(tolerated), json!(["status"]));
}

#[tokio::test]
async fn an_issuers_message_is_for_staff_and_changes_nothing() {
    let (_folder, world) = tolerant().await;
    fetched(&world, now(), StatusState::Valid);
    let url = "https://authority.example/status/message/0";
    let texts = StatusMessages::new(&["the card was lost".to_owned()]).unwrap();
    let shown = async || {
        let asked = request(&world).await;
        let mut document = world.document();
        let holds = BitstringStatusListEntry {
            purpose: StatusPurpose::Revocation,
            url: URL.to_owned(),
            index: ENTRY,
            size_in_bits: 1,
        };
        let entries = vec![holds.to_json(), texts.status_entry(url.to_owned(), ENTRY)];
        document.insert("credentialStatus".into(), Value::Array(entries));
        let claims = ["rightToWork", "legalResidence"].map(|claim| path(&["credentialSubject", claim]));
        let presented = world.bind(&world.issue(&document).select_claims(&claims).unwrap(), &asked);
        let answer = world.submit(&asked, presented).await.unwrap();
        assert!(answer.accepted, "{answer:?}");
        // The holder learns that the status was checked, but not its content.
        assert!(!format!("{answer:?}").contains("lost"));
        let check = answer.checks.into_iter().find(|check| check.name == "status_message").unwrap();
        let messages = world.result(&asked.id).await.verdict.unwrap().status_messages;
        (check.outcome(), check.code, messages)
    };
    let (outcome, code, messages) = shown().await;
    assert_eq!((outcome, code.as_str()), (CheckOutcome::Tolerated, "status_list_unavailable"));
    assert!(messages.is_empty());
    for (number, expected) in [(1, Some("the card was lost")), (0, None)] {
        let mut list = UnsignedStatusList::with_messages(MIN_ENTRIES).unwrap();
        list.set_message(ENTRY, number).unwrap();
        put(&world, &mut list, (ListFormat::Message, url), now());
        let (outcome, _, messages) = shown().await;
        assert_eq!(outcome, CheckOutcome::Passed);
        assert_eq!(
            messages.first().map(|message| (message.number, message.text.as_str())),
            expected.map(|text| (1, text))
        );
    }
}
