use carnet_core::{
    at_least::Direction,
    did::SelfContainedResolver,
    format::CredentialFormat,
    keys::Signer as _,
    query::{ClaimQuery, Threshold},
};
use serde_json::{Value, json};

use super::*;
use crate::{
    answer::{
        AnswerConstraints, RequestedItem, answer_query, requested_bounds, requested_items,
        tests::{Issuer, NOW},
    },
    request::tests::Asker,
    ui::messages::{Language, LocalizedMessages},
    verifier_identity::{
        VerifierIdentity,
        tests::{Authority, both, introduce},
    },
    wallet::{
        LogEntryKind, LoggedCredential, WalletContents, WalletLogEntry,
        cached_status::{CachedStatus, CopyState, FreshnessStatements},
    },
};

/// Situation that an owner can see.
#[derive(Default)]
struct Scene {
    /// Registered claims of the verifier; `None`: no registration.
    registered: Option<Value>,
    /// Requested claims instead of title and EQF level.
    claims: Option<Value>,
    /// Claim sets, if there are several.
    sets: Option<Value>,
    /// Bound of the EQF level that this verifier asked for before.
    before: Option<i64>,
    /// Claims that the owner approves.
    approved: Vec<&'static str>,
    /// Verifiers that have seen the only copy.
    seen: Vec<&'static str>,
    /// True if the issuer confirmed it recently.
    confirmed: bool,
    /// True if the verifier wants a freshness statement.
    wants_word: bool,
    /// True if an asker refused it as suspended.
    refused: bool,
    /// True if public lists have marked it.
    marked_in_lists: bool,
    /// Holder rule, if two credentials are requested.
    holder: Option<Value>,
    /// True if the issuer left an unrequested claim in the clear.
    marked: bool,
    /// Hidden dates that are close to the end of the credential.
    given_away: Vec<&'static str>,
    /// True if the credential ends in a year, so that only its beginning is close to these dates.
    lasting: bool,
    /// True if the owner has not pinned the registrar.
    unpinned: bool,
    /// Remaining days of the registration; default 30.
    days: Option<i64>,
}

/// Returns the screen with values that differ between runs replaced, and its JSON.
fn seen(scene: &Scene, language: Language) -> (String, Value) {
    screen(scene, language, false)
}

/// Returns the same with or without identifiers.
fn screen(scene: &Scene, language: Language, details: bool) -> (String, Value) {
    let mut ui = Ui::new(false, true, language);
    ui.details = details;
    screen_on(scene, &ui)
}

/// Returns the same on a screen of its own.
fn screen_on(scene: &Scene, ui: &Ui) -> (String, Value) {
    let (mut asker, authority, issuer) = (Asker::new(), Authority::new(), Issuer::new());
    let mut contents = WalletContents::new(12);
    if !scene.unpinned {
        authority.pin(&mut contents);
    }
    if let Some(claims) = &scene.claims {
        asker.payload["dcql_query"]["credentials"][0]["claims"] = claims.clone();
    }
    if let Some(sets) = &scene.sets {
        asker.payload["dcql_query"]["credentials"][0]["claim_sets"] = sets.clone();
    }
    if let Some(holder) = &scene.holder {
        let query = &mut asker.payload["dcql_query"];
        query["carnet_holder"] = holder.clone();
        let first = query["credentials"][0].clone();
        query["credentials"].as_array_mut().unwrap().push(first);
        query["credentials"][1]["id"] = json!("r");
    }
    if let Some(claims) = &scene.registered {
        let registration = authority.register(&asker, claims.clone(), scene.days.unwrap_or(30));
        introduce(&mut asker, &registration);
    }
    if scene.wants_word {
        asker.payload["carnet"]["freshness_seconds_max"] = json!(86_400);
    }
    let request = asker.request().unwrap();
    contents.credentials.push(issuer.held("aaaa", CredentialFormat::VcSdJwt, 1));
    if let Some(bound) = scene.before {
        let mut earlier = request.query.clone();
        earlier.credentials[0].claims = vec![ClaimQuery {
            id: None,
            path: ["credentialSubject", "eqfLevel"].map(|name| Step::Name(name.to_owned())).to_vec(),
            values: Vec::new(),
            threshold: Some(Threshold::new(Direction::AtLeast, bound.into()).unwrap()),
        }];
        let bounds = requested_bounds(&earlier, &issuer.catalogue);
        contents.log.push(WalletLogEntry {
            requested_bounds: bounds,
            ..WalletLogEntry::new(NOW, LogEntryKind::Requested, &request.client_id)
        });
    }
    if scene.marked {
        let copy = &mut contents.credentials[0].copies[0];
        let holder = copy.key.decode().unwrap().public_key();
        copy.credential = issuer
            .copy_with(CredentialFormat::VcSdJwt, &holder, |payload| {
                payload["credentialSubject"]["room"] = json!("B 12");
            })
            .into();
    }
    if scene.lasting {
        contents.credentials[0].valid_until = Some(NOW.plus(365 * 86_400));
    }
    if !scene.given_away.is_empty() {
        let close = carnet_core::day::format_start(NOW.plus(10 * 86_400).start_of_day());
        let copy = &mut contents.credentials[0].copies[0];
        let holder = copy.key.decode().unwrap().public_key();
        copy.credential = issuer
            .copy_with(CredentialFormat::VcSdJwt, &holder, |payload| {
                for name in &scene.given_away {
                    payload["credentialSubject"][name] = json!(close);
                }
            })
            .into();
        copy.commitments = issuer.commitments(CredentialFormat::VcSdJwt, &copy.credential.text());
    }
    if scene.refused {
        let parts = vec![LoggedCredential::without_disclosures("aaaa", issuer.type_name)];
        let party_name = "Housing Office".to_owned();
        let number = contents.log.push(WalletLogEntry {
            credentials: parts,
            party_name,
            ..WalletLogEntry::new(NOW, LogEntryKind::Sending, "housing")
        });
        let sent = contents.log.entry(number).unwrap().clone();
        let reason = "suspended".to_owned();
        contents.log.push(WalletLogEntry {
            reason,
            ..WalletLogEntry::referring_to(&sent, NOW, LogEntryKind::RefusedByVerifier)
        });
    }
    contents.credentials[0].copies[0].presented_to =
        scene.seen.iter().map(|&name| name.replace("ASKER", &request.client_id)).collect();
    if scene.confirmed {
        let statement =
            FreshnessStatements { text: String::new().into(), since: NOW.plus(-7_200), until: NOW.plus(79_200) };
        let replace = scene.marked_in_lists;
        let standing = CachedStatus {
            statement: Some(statement),
            should_replace: replace,
            ..CachedStatus::new(CopyState::Valid, NOW)
        };
        contents.credentials[0].copies[0].status = Some(standing);
    }
    let introduction = VerifierIdentity::from_request(&request, &contents, NOW, &SelfContainedResolver);
    let asked = requested_items(&request.query, &introduction.excess(&request.query));
    let withheld: Vec<RequestedItem> = asked
        .iter()
        .filter(|asked| asked.needs_approval && !scene.approved.contains(&asked.name().as_str()))
        .cloned()
        .collect();
    let proofs_only = introduction.claims_without_value_permission(&request.query);
    let asker = &request.client_id;
    let bounds = AnswerConstraints {
        client_id: asker,
        now: NOW,
        allowed_credentials: &[],
        withheld: &withheld,
        proof_only_claims: &proofs_only,
    };
    let answer = answer_query(&contents, &issuer.catalogue, &request.query, &bounds).ok();
    let question = ConsentRequest {
        request: &request,
        verifier: &introduction,
        items: &asked,
        withheld: &withheld,
        digest: "DIGEST",
        answer: answer.as_ref(),
        endpoint: "https://a.example",
        contents: &contents,
        catalogue: &issuer.catalogue,
        now: NOW,
    };
    let consent = ConsentScreen { question, explain: true };
    // The question names the claims and the recipient.
    let question = consent.question_text(ui);
    let who = introduction.relying_party().map_or("a.example", |registered| registered.name.as_str());
    assert!(question.contains(who), "{question}");
    let labels = TypeLabels::new(&issuer.catalogue, issuer.type_name, &ui.messages);
    for part in consent.presentations() {
        let names =
            part.disclosed.iter().map(|claim| &claim.name).chain(part.proved.iter().map(|proving| &proving.name));
        assert!(names.map(|name| labels.claim_label(name)).all(|label| question.contains(&label)), "{question}");
        assert!(question.contains(&labels.type_label()), "{question}");
    }
    let named = |text: String| {
        let text = text.replace(request.did.as_str(), "ASKER-DID").replace(issuer.did.as_str(), "ISSUER-DID");
        text.replace(authority.did.as_str(), "REGISTRAR-DID")
    };
    (named(consent.text(ui)), serde_json::from_str(&named(consent.to_json(ui).to_string())).unwrap())
}

const TITLE: &str = "q:credentialSubject.title";
const LEVEL: &str = "q:credentialSubject.eqfLevel";
const BIRTH: &str = "q:credentialSubject.dateOfBirth <= 2027-03-01";

fn by_title() -> Value {
    json!({"claims": [["title"]]})
}

fn level_at_least(bound: i64) -> Value {
    json!([{"path": ["credentialSubject", "eqfLevel"], "carnet_at_least": bound}])
}

fn born_by(day: &str) -> Value {
    json!([{"path": ["credentialSubject", "dateOfBirth"], "carnet_at_most": day}])
}

fn date_of_birth() -> Value {
    json!([
        {"path": ["credentialSubject", "eqfLevel"], "carnet_at_least": 6},
        {"path": ["credentialSubject", "dateOfBirth"], "carnet_at_most": "2008-11-22"}
    ])
}

/// Returns all situations, by name.
fn scenes() -> Vec<(&'static str, Scene)> {
    let title_only = || json!([{"path": ["credentialSubject", "title"]}]);
    let proofs = || {
        json!([
            {"path": ["credentialSubject", "eqfLevel"], "carnet_at_least": true},
            {"path": ["credentialSubject", "dateOfBirth"], "carnet_at_most": true}
        ])
    };
    vec![
        ("registered", Scene { registered: Some(both()), ..Scene::default() }),
        ("confirmed", Scene { registered: Some(both()), confirmed: true, wants_word: true, ..Scene::default() }),
        (
            "marked-in-lists",
            Scene { registered: Some(both()), confirmed: true, marked_in_lists: true, ..Scene::default() },
        ),
        ("refused-before", Scene { registered: Some(both()), refused: true, ..Scene::default() }),
        ("unconfirmed", Scene { registered: Some(both()), wants_word: true, ..Scene::default() }),
        ("one-person", Scene { registered: Some(both()), holder: Some(by_title()), ..Scene::default() }),
        ("one-key", Scene { registered: Some(both()), holder: Some(json!("key")), ..Scene::default() }),
        ("anybody", Scene { registered: Some(both()), holder: Some(json!("any")), ..Scene::default() }),
        ("in-the-clear", Scene { registered: Some(both()), marked: true, ..Scene::default() }),
        ("given-away", Scene { registered: Some(both()), given_away: vec!["awardingDate"], ..Scene::default() }),
        (
            "given-away-start",
            Scene { registered: Some(both()), given_away: vec!["awardingDate"], lasting: true, ..Scene::default() },
        ),
        (
            "given-away-excess",
            Scene {
                registered: Some(title_only()),
                claims: Some(born_by("2027-03-01")),
                approved: vec![BIRTH],
                given_away: vec!["dateOfBirth"],
                ..Scene::default()
            },
        ),
        (
            "before-excess",
            Scene {
                registered: Some(title_only()),
                claims: Some(level_at_least(6)),
                before: Some(4),
                ..Scene::default()
            },
        ),
        ("over-asking", Scene { registered: Some(title_only()), ..Scene::default() }),
        ("over-asking-allowed", Scene { registered: Some(title_only()), approved: vec![LEVEL], ..Scene::default() }),
        ("unregistered", Scene { approved: vec![TITLE, LEVEL], ..Scene::default() }),
        (
            "registrar-unknown",
            Scene { registered: Some(both()), unpinned: true, approved: vec![TITLE, LEVEL], ..Scene::default() },
        ),
        (
            "registration-ended",
            Scene { registered: Some(both()), days: Some(-1), approved: vec![TITLE, LEVEL], ..Scene::default() },
        ),
        (
            "concluded",
            Scene {
                registered: Some(both()),
                claims: Some(json!([
                    {"id": "a", "path": ["credentialSubject", "eqfLevel"], "carnet_at_least": 7},
                    {"id": "b", "path": ["credentialSubject", "title"]}
                ])),
                sets: Some(json!([["a"], ["b"]])),
                before: Some(6),
                ..Scene::default()
            },
        ),
        ("threshold", Scene { registered: Some(proofs()), claims: Some(date_of_birth()), ..Scene::default() }),
        (
            "reused",
            Scene {
                registered: Some(both()),
                seen: vec!["decentralized_identifier:did:web:shop.example", "ASKER"],
                ..Scene::default()
            },
        ),
    ]
}

/// The complete screens, word for word. To change them on purpose, run with UPDATE_SCREENS=1 and review the diff.
#[test]
fn the_screens_in_every_language() {
    for (name, scene) in scenes() {
        for language in Language::ALL {
            let file = format!("{}/tests/screens/{name}.{}.txt", env!("CARGO_MANIFEST_DIR"), language.tag());
            let (screen, _) = seen(&scene, language);
            if std::env::var_os("UPDATE_SCREENS").is_some() {
                std::fs::create_dir_all(std::path::Path::new(&file).parent().unwrap()).unwrap();
                std::fs::write(&file, &screen).unwrap();
            }
            assert_eq!(screen, std::fs::read_to_string(&file).unwrap(), "{file}");
        }
    }
}

/// Members with identifiers for programs; another member states the same in words.
const FOR_PROGRAMS: [&str; 20] = [
    "client_id",
    "language",
    "query_id",
    "rule",
    "id",
    "type",
    "format",
    "claim",
    "path",
    "paths",
    "value",
    "at_least",
    "at_most",
    "copy",
    "beyond",
    "approved",
    "what",
    "reason",
    "intended_use",
    "retention_days",
];
/// Flags, and the messages shown if they are true.
const FLAGS: [(&str, &str); 3] =
    [("everything", "consent-everything"), ("in_part", "consent-in-part"), ("marked", "consent-marked")];

/// Marks around text of the other direction, and within a day in Arabic.
const DIRECTION_MARKS: [char; 3] = ['\u{2068}', '\u{2069}', '\u{200f}'];

/// Collects every fact of the JSON as the text that the screen must contain.
fn facts(name: &str, value: &Value, ui: &Ui, facts: &mut Vec<String>) {
    match value {
        _ if FOR_PROGRAMS.contains(&name) => {}
        Value::Null => {}
        Value::Object(members) => members.iter().for_each(|(name, value)| super::tests::facts(name, value, ui, facts)),
        Value::Array(items) => items.iter().for_each(|item| super::tests::facts(name, item, ui, facts)),
        Value::String(text) => facts.push(sanitise(&text.replace(DIRECTION_MARKS, ""))),
        Value::Number(number) => facts.push(number.to_string()),
        Value::Bool(flag) => {
            let message = match name {
                "registered" => flag.then_some("consent-registered-by"),
                // The warning depends on the other members.
                "within" | "confirmation_asked" => None,
                _ => {
                    let said = FLAGS.iter().find(|(flag, _)| *flag == name);
                    let (_, message) = said.unwrap_or_else(|| panic!("{name} is not on the screen"));
                    flag.then_some(*message)
                }
            };
            facts.extend(message.map(|id| ui.messages.text(id)));
        }
    }
}

/// Returns the warnings that the screen must show for the registration in its JSON.
fn warnings(registration: &Value) -> impl Iterator<Item = &'static str> {
    let registered = registration["registered"].as_bool().unwrap();
    let unregistered = match registration["reason"].as_str() {
        None => None,
        Some("none") => Some("unregistered-warning"),
        Some(_) => Some("registration-refused-warning"),
    };
    let within = registration["within"].as_bool().unwrap();
    let beyond = if registered { "excess-warning" } else { "excess-unregistered" };
    unregistered.into_iter().chain((!within).then_some(beyond))
}

#[test]
fn identifiers_are_on_the_screen_only_with_details() {
    for (name, scene) in scenes() {
        for language in Language::ALL {
            let (plain, json) = seen(&scene, language);
            // A registrar whose DID is its key, and whom neither the owner nor a list names, has nothing else.
            let nameless = json["registration"]["claimed_registrar"].is_string() && scene.unpinned;
            for id in ["ASKER-DID", "ISSUER-DID", "REGISTRAR-DID", "DIGEST", "did:", "credentialSubject"] {
                assert!(!plain.contains(id) || nameless && id == "REGISTRAR-DID", "{name} {language:?}: {id}\n{plain}");
            }
            let (detailed, _) = screen(&scene, language, true);
            assert!(detailed.contains("ASKER-DID") && detailed.contains("DIGEST"), "{name}: {detailed}");
            assert!(json["credentials"] == json!([]) || detailed.contains("ISSUER-DID"), "{name}: {detailed}");
        }
    }
}

#[test]
fn the_screen_has_every_fact_of_the_json() {
    for (name, scene) in scenes() {
        for language in Language::ALL {
            let (screen, json) = screen(&scene, language, true);
            let ui = Ui::new(false, true, language);
            let mut wanted = Vec::new();
            facts("", &json, &ui, &mut wanted);
            assert!(wanted.len() > 20, "{name}");
            for credential in json["credentials"].as_array().unwrap() {
                let reuse = match credential["copy"].as_str().unwrap() {
                    "same_asker" => Some("consent-reuse-same"),
                    "seen_by_others" => Some("consent-reuse-other"),
                    _ => None,
                };
                wanted.extend(reuse.map(|id| ui.messages.text(id)));
                let asked = credential["confirmation_asked"].as_bool().unwrap();
                let without = if asked { "consent-unconfirmed" } else { "consent-confirmation-unasked" };
                wanted.extend(credential["confirmed_since"].is_null().then(|| ui.messages.text(without)));
            }
            let registration = &json["registration"];
            wanted.extend(warnings(registration).map(|id| ui.messages.text(id)));
            let screen = screen.replace(DIRECTION_MARKS, "");
            let digits = carnet_core::input::with_ascii_digits(&screen);
            for fact in wanted {
                let told = [&screen, &digits].iter().any(|text| text.contains(&fact));
                assert!(
                    told || screen.contains(&ui.messages.time(&fact).replace(DIRECTION_MARKS, "")),
                    "{name} {language:?}: {fact}\n{screen}"
                );
            }
        }
    }
}

/// Headings come from the messages and none from the code, and the screen fits a narrow terminal from right to left.
#[test]
fn the_pseudo_language_has_every_heading() {
    for (name, scene) in scenes() {
        let mut ui = Ui::new(false, true, Language::En);
        ui.messages = LocalizedMessages::pseudo();
        let (text, _) = screen_on(&scene, &ui);
        let headings: Vec<&str> = text.lines().filter(|line| !line.starts_with(' ') && line.ends_with(':')).collect();
        assert!(headings.len() > 3, "{name}: {text}");
        // A date has letters of its own.
        for heading in headings.into_iter().filter(|heading| !heading.contains(|c: char| c.is_ascii_digit())) {
            assert!(!heading.chars().any(|c| c.is_ascii_alphabetic()), "{name}: {heading}");
        }
    }
}

#[test]
fn nothing_from_outside_steers_the_terminal() {
    let scene = Scene {
        approved: vec![TITLE, LEVEL],
        seen: vec!["decentralized_identifier:did:web:evil.example\u{1b}[2J\u{202e}"],
        ..Scene::default()
    };
    let (screen, _) = seen(&scene, Language::En);
    assert!(!screen.contains(['\u{1b}', '\u{202e}']));
    assert!(screen.contains("Job Agency[U+202E][U+001B][2J"));
}

#[test]
fn reuse_names_who_could_link() {
    let screen = |names: &[&'static str]| {
        seen(&Scene { registered: Some(both()), seen: names.to_vec(), ..Scene::default() }, Language::En).0
    };
    assert!(!screen(&[]).contains("! "));
    assert!(screen(&["ASKER"]).contains("This asker has seen this copy before"));
    let others = screen(&["decentralized_identifier:did:web:shop.example", "ASKER"]);
    assert!(others.contains("    shop.example (an asker that nobody vouches for)\n"), "{others}");
}

#[test]
fn values_that_stay_are_not_on_the_screen() {
    let (screen, _) = seen(&Scene { registered: Some(both()), ..Scene::default() }, Language::En);
    assert!(screen.contains("+ Title: Bachelor of Science in Nursing"));
    assert!(screen.contains("- Family name\n") && !screen.contains("Haddad"));
}

#[test]
fn row_93_what_nobody_asked_for_and_goes_is_on_the_screen() {
    let scene = |marked| Scene { registered: Some(both()), marked, ..Scene::default() };
    let (screen, json) = seen(&scene(true), Language::En);
    assert!(screen.contains("+ room: B 12"), "{screen}");
    assert!(
        screen.contains("! Also shared, although nobody asked for it") && screen.contains("\n    room\n"),
        "{screen}"
    );
    let unasked = json!([{"path": "credentialSubject.room", "label": "room"}]);
    assert_eq!(json["credentials"][0]["unasked"], unasked);
    assert!(json["credentials"][0]["paths"].as_array().unwrap().contains(&json!("credentialSubject.room")));
    let (screen, json) = seen(&scene(false), Language::En);
    assert!(!screen.contains("Also shared, although") && json["credentials"][0]["unasked"] == json!([]));
}

#[test]
fn row_97_the_screen_says_whose_the_documents_have_to_be() {
    let said = |holder: Option<Value>| {
        let (screen, json) = seen(&Scene { registered: Some(both()), holder, ..Scene::default() }, Language::En);
        assert!(json["holder"].is_null() || screen.contains(json["holder"]["text"].as_str().unwrap()), "{screen}");
        (screen, json["holder"]["rule"].clone())
    };
    let (screen, rule) = said(Some(by_title()));
    assert!(screen.contains("one person: Title\n"), "{screen}");
    assert_eq!(rule, "claims");
    let (screen, rule) = said(Some(json!("key")));
    assert!(screen.contains("The issuers can tell from it"), "{screen}");
    assert_eq!(rule, "key");
    let (screen, rule) = said(Some(json!("any")));
    assert!(screen.contains("may belong to different people"), "{screen}");
    assert_eq!(rule, "any");
    assert_eq!(said(None).1, Value::Null);
}

#[test]
fn a_proof_is_told_from_a_value() {
    let proved = Scene { registered: Some(both()), claims: Some(level_at_least(5)), ..Scene::default() };
    let (screen, json) = seen(&proved, Language::En);
    assert!(screen.contains("+ European level (EQF): at least 5 (the value itself stays hidden)"), "{screen}");
    assert!(screen.contains("- European level (EQF)\n"), "{screen}");
    let credential = &json["credentials"][0];
    assert_eq!(credential["paths"], json!(["credentialSubject.eqfLevel >= 5"]));
    assert_eq!(credential["goes"], json!([]));
    assert_eq!(credential["proves"][0]["at_least"], 5);
}

#[test]
fn only_a_value_that_nothing_reveals_is_said_to_stay_hidden() {
    const HIDDEN: &str = "stays hidden)";
    let scene = |day: &str, approved: &'static str, given_away: Vec<&'static str>| Scene {
        registered: Some(json!([{"path": ["credentialSubject", "title"]}])),
        claims: Some(born_by(day)),
        approved: vec![approved],
        given_away,
        ..Scene::default()
    };
    let (screen, json) = seen(&scene("2027-03-01", BIRTH, vec!["dateOfBirth"]), Language::En);
    let line = "Date of birth: on or before 2027-03-01";
    // The line about the excess, and the one about the proof.
    assert_eq!((screen.matches(line).count(), screen.contains(HIDDEN)), (2, false), "{screen}");
    assert!(!json.to_string().contains(HIDDEN), "{json}");
    assert_eq!(json["credentials"][0]["given_away"][0]["claim"], "dateOfBirth");
    // A date that the beginning reveals, and no proof of it.
    let start = Scene { registered: Some(both()), lasting: true, ..Scene::default() };
    let (screen, json) = seen(&Scene { given_away: vec!["awardingDate"], ..start }, Language::En);
    assert!(
        screen.contains("start date (2027-01-14T08:00:00Z) is always shared and is close to it:\n    Awarded on\n")
    );
    assert!(!screen.contains("- Awarded on") && json["credentials"][0]["given_away"] == json!([]), "{screen}");
    assert_eq!(json["credentials"][0]["given_away_by_start"][0]["claim"], "awardingDate");
    // Its twin: nothing reveals the date, which the line about the proof says.
    let (screen, json) =
        seen(&scene("2008-11-22", "q:credentialSubject.dateOfBirth <= 2008-11-22", vec![]), Language::En);
    assert_eq!(screen.matches("Date of birth: on or before 2008-11-22").count(), 2, "{screen}");
    assert_eq!(screen.matches(HIDDEN).count(), 1, "{screen}");
    assert!(json["credentials"][0]["proves"][0]["text"].as_str().unwrap().contains(HIDDEN), "{json}");
    assert!(!json["excess"].to_string().contains(HIDDEN), "{json}");
    assert!(json["credentials"][0]["given_away"] == json!([]));
}

#[test]
fn bounds_of_before_are_shown_before_the_excess_and_withheld_or_not() {
    const BEFORE: &str = "They asked you for other limits of this before";
    let scene = |before| Scene {
        registered: Some(json!([{"path": ["credentialSubject", "title"]}])),
        claims: Some(level_at_least(6)),
        before,
        ..Scene::default()
    };
    let (screen, json) = seen(&scene(Some(4)), Language::En);
    let at = |part: &str| screen.find(part).unwrap();
    assert!(at(BEFORE) < at("It asks for more than it is registered for"), "{screen}");
    assert!(screen.contains("at least 4, asked for on ") && json["asked_before"][0]["at_least"] == 4, "{screen}");
    let (screen, json) = seen(&scene(None), Language::En);
    assert!(!screen.contains(BEFORE) && json["asked_before"] == json!([]), "{screen}");
}

#[test]
fn the_registered_words_are_shown_and_not_the_own_ones() {
    let (screen, json) = seen(&Scene { registered: Some(both()), ..Scene::default() }, Language::De);
    assert!(screen.contains("City Job Centre") && screen.contains("Um Sie in Arbeit zu vermitteln."));
    assert!(!screen.contains("Job Agency") && !screen.contains("Um Arbeit für Sie zu finden."));
    assert_eq!(json["asker"]["name"], "City Job Centre");
    assert_eq!(json["registration"]["support_uri"], "mailto:data@agency.example");
}

#[test]
fn a_registration_that_does_not_count_is_not_said_to_be_none() {
    let said = |scene: Scene| seen(&scene, Language::En).0;
    let nothing = said(Scene::default());
    assert!(nothing.contains("This asker is not registered. It sent no registration."), "{nothing}");
    let unknown = said(Scene { registered: Some(both()), unpinned: true, ..Scene::default() });
    assert!(unknown.contains("by a registrar that you have not accepted: REGISTRAR-DID"), "{unknown}");
    let ended = said(Scene { registered: Some(both()), days: Some(-1), ..Scene::default() });
    assert!(ended.contains("by Registrar of Example has expired"), "{ended}");
    for screen in [&nothing, &unknown, &ended] {
        assert!(!screen.contains("more than it is registered for"), "{screen}");
    }
    for screen in [&unknown, &ended] {
        assert!(!screen.contains("not registered"), "{screen}");
    }
    // A verifier's own claim must not appear as its registrar.
    assert!(!unknown.contains("Registered by"));
}

#[test]
fn nothing_is_preselected_of_what_is_beyond() {
    let scene = |approved: &[&'static str]| Scene {
        registered: Some(json!([{"path": ["credentialSubject", "title"]}])),
        approved: approved.to_vec(),
        ..Scene::default()
    };
    let (screen, json) = seen(&scene(&[]), Language::En);
    assert_eq!(json["credentials"], json!([]));
    assert_eq!(json["excess"][0]["name"], LEVEL);
    assert_eq!((json["excess"][0]["approved"].as_bool(), json["excess"].as_array().unwrap().len()), (Some(false), 1));
    assert!(screen.contains("! Qualification, European level (EQF): not registered, withheld"), "{screen}");
    let (_, json) = seen(&scene(&[LEVEL]), Language::En);
    assert_eq!(json["excess"][0]["approved"], true);
    assert_eq!(json["credentials"][0]["goes"].as_array().unwrap().len(), 2);
}
