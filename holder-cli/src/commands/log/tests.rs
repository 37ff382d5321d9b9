use std::rc::Rc;

use carnet_core::at_least::Direction;

use super::*;
use crate::{
    context::CommandContext,
    failure::Translate as _,
    ui::{Ui, messages::Language},
    verifier_desk::{Fault, VerifierScene},
};

fn text(context: &CommandContext, log: &WalletLog) -> String {
    let mut text = String::new();
    let catalogue = context.catalogue().unwrap();
    entry_views(log).iter().for_each(|view| write(view, context, &catalogue, &mut text));
    text
}

fn arguments(verify: bool, noted: Option<&str>) -> LogArguments {
    LogArguments { verb: None, verify, noted: noted.map(str::to_owned), export: None }
}

#[tokio::test(flavor = "multi_thread")]
async fn it_says_who_saw_what_why_and_until_when() {
    let mut scene = VerifierScene::shown(Fault::None).await;
    let log = scene.contents().log;
    let said = text(&scene.context, &log);
    for part in ["shown to Job", "To find you work.", "Claims: ", "To be deleted by: 2027-02-14T08:00:00Z"] {
        assert!(said.contains(part), "{part}\n{said}");
    }
    assert_eq!(said.lines().filter(|line| !line.starts_with("      ")).count(), 1, "{said}");
    let known = log_json(&scene.context, &log);
    assert_eq!(known["presentations"][0]["already_due"], false);
    assert_eq!((&known["count"], known["entries"].as_array().unwrap().len()), (&json!(4), 4));
    let later = scene.context.now().plus(31 * 86_400);
    scene.time.set(later);
    assert!(text(&scene.context, &log).contains("Should have been deleted by: 2027-02-14T08:00:00Z"));
    assert_eq!(log_json(&scene.context, &log)["presentations"][0]["already_due"], true);
    let catalogue = scene.context.catalogue().unwrap();
    let part = &log.entries().iter().find(|entry| !entry.credentials.is_empty()).unwrap().credentials[0];
    let labels = TypeLabels::new(&catalogue, &part.type_name, &scene.context.ui.messages);
    let title = labels.claim_label("title");
    assert!(said.contains(&labels.type_label()) && said.contains(&title), "{said}");
    assert!(!said.contains("credentialSubject") && !said.contains(&part.type_name), "{said}");
    for columns in [40, 80] {
        let mut ui = Ui::new(false, true, Language::En);
        ui.columns = Some(columns);
        scene.context.ui = Rc::new(ui);
        let narrow = text(&scene.context, &log);
        assert!(narrow.lines().all(|line| carnet_console::width(line) <= columns), "{narrow}");
    }
    let without = VerifierScene::shown(Fault::Missing).await;
    let said = text(&without.context, &without.contents().log);
    assert!(said.contains("no valid receipt") && said.contains("no receipt from Job"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_whole_log_is_verified_and_a_broken_one_names_its_first_bad_entry() {
    let scene = VerifierScene::shown(Fault::None).await;
    run(&scene.context, &arguments(true, None)).unwrap();
    let head = scene.contents().log.head().to_owned();
    // A noted head stays valid while the log grows; an unknown head is refused.
    scene.present().await.unwrap();
    run(&scene.context, &arguments(true, Some(&head))).unwrap();
    let cut = run(&scene.context, &arguments(true, Some("AAAA"))).unwrap_err();
    assert_eq!(cut.reason, "log_broken");
    let stored = serde_json::to_value(&scene.contents().log).unwrap();
    let mut altered = stored.clone();
    altered["entries"][1]["purpose"] = json!("Another.");
    scene.change(|contents| contents.log = serde_json::from_value(altered).unwrap());
    let broken = run(&scene.context, &arguments(true, None)).unwrap_err();
    assert_eq!((broken.reason.as_str(), broken.kind), ("log_broken", crate::failure::FailureKind::Permanent));
    assert_eq!(broken.extra_members.as_ref().unwrap()["first_bad"], 2);
    assert!(broken.message.english().contains("entry 2"), "{:?}", broken.message);
    scene.change(|contents| contents.log = serde_json::from_value(stored).unwrap());
    run(&scene.context, &arguments(true, None)).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_exported_can_be_checked_and_holds_no_markup_of_others() {
    let mut scene = VerifierScene::shown(Fault::None).await;
    let folder = scene.folder.path().join("out");
    let export = LogArguments { verb: None, verify: false, noted: None, export: Some(folder.clone()) };
    run(&scene.context, &export).unwrap();
    let written: Value = serde_json::from_slice(&std::fs::read(folder.join("log.json")).unwrap()).unwrap();
    let log = scene.contents().log;
    let again = json!({"head": written["head"], "entries": written["entries"]});
    // The signed request, by the digest in the receipt.
    let requests = written["requests"].as_object().unwrap();
    let named = log.entries().iter().find_map(|entry| entry.statement.as_ref()).unwrap();
    let digest = named.document["credentialSubject"]["request_digest"].as_str().unwrap();
    let object = requests[digest].as_str().unwrap();
    assert_eq!(carnet_core::receipt::request_digest(object), digest);
    crate::receipt::verify_log(&serde_json::from_value::<WalletLog>(again).unwrap()).unwrap();
    let page = std::fs::read_to_string(folder.join("log.html")).unwrap();
    assert!(
        page.contains("<html lang=\"en\" dir=\"ltr\">") && page.contains(log.head()) && page.contains("@media print")
    );
    assert!(page.contains("Job &lt;b&gt;Agency&lt;/b&gt;") && !page.contains("<b>"), "{page}");
    for forbidden in ["<script", "src=", "href=", "@import", "http://127"] {
        assert!(!page.contains(forbidden), "{forbidden}");
    }
    scene.context.ui = Rc::new(Ui::new(false, true, Language::Ar));
    assert!(
        export::render_page(&scene.context, &scene.context.catalogue().unwrap(), &log)
            .contains("<html lang=\"ar\" dir=\"rtl\">")
    );
}

/// Also where nothing was presented.
#[tokio::test(flavor = "multi_thread")]
async fn what_was_asked_beyond_the_registration_is_said_in_the_words_of_the_screen() {
    let mut scene = VerifierScene::shown(Fault::None).await;
    let log = scene.contents().log;
    let requested = log.entries().iter().find(|entry| entry.kind == LogEntryKind::Requested).unwrap();
    assert_eq!(requested.excess[0], "q: *");
    assert_eq!(requested.beyond_types["q"], "QualificationCredential");
    let refused = WalletLogEntry {
        excess: vec!["q: *".to_owned(), "q: credentialSubject.eqfLevel".to_owned()],
        beyond_types: requested.beyond_types.clone(),
        ..WalletLogEntry::new(scene.context.now(), LogEntryKind::DeclinedByHolder, "decentralized_identifier:did:x:y")
    };
    let catalogue = scene.context.catalogue().unwrap();
    let of = |entry: &WalletLogEntry| {
        let mut log = WalletLog::default();
        log.push(entry.clone());
        log
    };
    for language in Language::ALL {
        scene.context.ui = Rc::new(Ui::new(false, true, language));
        let messages = LocalizedMessages::new(language);
        let said = text(&scene.context, &of(&refused));
        let labels = TypeLabels::new(&catalogue, "QualificationCredential", &messages);
        for what in [messages.text("excess-document"), labels.claim_label("eqfLevel")] {
            assert!(said.contains(&format!("{}, {what}", labels.type_label())), "{said}");
        }
        assert!(!said.contains("credentialSubject") && !said.contains("q: "), "{said}");
    }
    // An entry of an earlier version names the type only where something was presented.
    let former = WalletLogEntry { beyond_types: std::collections::BTreeMap::new(), ..refused };
    assert!(text(&scene.context, &of(&former)).contains("q: credentialSubject.eqfLevel"));
    let part = json!({"id": "a", "type_name": "QualificationCredential", "query_id": "q"});
    let shown = WalletLogEntry { credentials: vec![serde_json::from_value(part).unwrap()], ..former };
    assert!(!text(&scene.context, &of(&shown)).contains("credentialSubject"));
}

/// Not those that were proved: they stand among what was shown.
#[tokio::test(flavor = "multi_thread")]
async fn the_bounds_that_were_asked_for_are_named_in_every_language() {
    let mut scene = VerifierScene::shown(Fault::None).await;
    let asked = |bound: u8| RequestedBound {
        types: vec!["QualificationCredential".to_owned()],
        claim: "eqfLevel".to_owned(),
        direction: Direction::AtLeast,
        bound: bound.into(),
    };
    let part = json!({"id": "a", "type_name": "QualificationCredential",
        "thresholds": [{"path": "credentialSubject.eqfLevel", "at_least": 5}]});
    let entry = |kind, bounds| WalletLogEntry {
        requested_bounds: bounds,
        ..WalletLogEntry::new(scene.context.now(), kind, "decentralized_identifier:did:x:y")
    };
    let mut log = WalletLog::default();
    log.push(entry(LogEntryKind::DeclinedByHolder, vec![asked(8), asked(6)]));
    let sent = entry(LogEntryKind::Sending, vec![asked(5)]);
    log.push(WalletLogEntry { credentials: vec![serde_json::from_value(part).unwrap()], ..sent });
    assert!(text(&scene.context, &log).contains("(EQF): at least 8; "), "{}", text(&scene.context, &log));
    // The log does not know if the validity dates, or another bound, gave the value away.
    let proved = text(&scene.context, &log);
    assert!(proved.contains("Proved: ") && !proved.contains("hidden"), "{proved}");
    for language in Language::ALL {
        scene.context.ui = Rc::new(Ui::new(false, true, language));
        let (said, messages) = (text(&scene.context, &log), LocalizedMessages::new(language));
        let label = messages.text("log-bounds");
        assert_ne!(label, "log-bounds");
        let lines: Vec<&str> = said.lines().filter(|line| line.contains(&label)).collect();
        assert_eq!(lines.len(), 1, "{said}");
        for bound in ["8", "6"] {
            assert!(lines[0].contains(&messages.format("bound-value-at-least", &[("bound", bound)])), "{said}");
        }
    }
}

#[test]
fn every_kind_has_its_words() {
    for language in Language::ALL {
        let messages = LocalizedMessages::new(language);
        for kind in [
            LogEntryKind::Received,
            LogEntryKind::ReceiveFailed,
            LogEntryKind::Requested,
            LogEntryKind::RequestFailed,
            LogEntryKind::DeclinedByHolder,
            LogEntryKind::Sending,
            LogEntryKind::Accepted,
            LogEntryKind::RefusedByVerifier,
            LogEntryKind::Unanswered,
            LogEntryKind::Receipt,
            LogEntryKind::ReceiptMissing,
            LogEntryKind::ReceiptInvalid,
            LogEntryKind::ErasureRequested,
            LogEntryKind::ErasureConfirmed,
            LogEntryKind::ErasureFailed,
            LogEntryKind::Deleted,
            LogEntryKind::RegistrarAdded,
            LogEntryKind::RegistrarRemoved,
            LogEntryKind::TrustListAdded,
            LogEntryKind::TrustListRemoved,
            LogEntryKind::Exported,
            LogEntryKind::Imported,
            LogEntryKind::Restored,
        ] {
            let id = format!("log-kind-{}", kind.as_str().replace('_', "-"));
            assert_ne!(messages.text(&id), id);
        }
    }
}

#[test]
fn a_registered_name_stands_for_its_identifier_and_one_that_the_asker_chose_does_not() {
    let mut ui = Ui::new(false, true, Language::En);
    let asker = |registrar: Option<&str>| crate::wallet::log::VerifierContacts {
        endpoint: "https://a.example".to_owned(),
        registrar: registrar.map(str::to_owned),
        support: None,
        authority: None,
    };
    let entry = |registrar| WalletLogEntry {
        party_name: "City Job Centre".to_owned(),
        verifier: Some(asker(registrar)),
        ..WalletLogEntry::new(crate::answer::tests::NOW, LogEntryKind::Sending, "did:web:jobs.example")
    };
    let (registered, own) = (entry(Some("did:web:registrar.example")), entry(None));
    assert_eq!(party_name(&ui, &registered), "City Job Centre");
    assert_eq!(party_name(&ui, &own), "City Job Centre (unverified name), jobs.example");
    ui.details = true;
    assert_eq!(party_name(&ui, &registered), "City Job Centre <did:web:jobs.example>");
    let nameless = WalletLogEntry { party_name: String::new(), ..registered };
    ui.details = false;
    assert_eq!(party_name(&ui, &nameless), "jobs.example");
}
