use super::*;
use crate::{
    arguments::Delete,
    commands::delete,
    failure::{FailureKind, FailureOutput as _, Translate as _},
    receipt::verify_log,
    verifier_desk::{Fault, VerifierScene},
    wallet::LogEntryKind,
};

/// Requests erasure, with the digest of the request.
pub(crate) async fn erase(scene: &VerifierScene, who: &str) -> Result<(), Failure> {
    let ask = |yes| {
        let arguments = Erase { who: who.to_owned(), yes };
        async move { run(&scene.context, &arguments).await }
    };
    match ask(None).await {
        Err(failure) if failure.reason == "approval_needed" => {
            let digest = failure.json()["digest"].as_str().unwrap().to_owned();
            assert!(failure.hint.english().ends_with(&format!("--yes {digest}")), "{:?}", failure.hint);
            ask(Some(digest)).await
        }
        said => said,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_shown_is_erased_and_the_confirmation_kept() {
    for by in ["client id", "did", "name", "entry", "receipt"] {
        let scene = VerifierScene::shown(Fault::None).await;
        let who = match by {
            "client id" => scene.client_id.clone(),
            "did" => scene.client_id.trim_start_matches("decentralized_identifier:").to_owned(),
            "name" => "Job <b>Agency</b>".to_owned(),
            "entry" => "2".to_owned(),
            _ => "4".to_owned(),
        };
        erase(&scene, &who).await.unwrap();
        let log = scene.contents().log;
        assert_eq!(scene.kinds()[4..], [LogEntryKind::ErasureRequested, LogEntryKind::ErasureConfirmed], "{by}");
        assert_eq!(verify_log(&log).unwrap().confirmations, 1);
        assert_eq!(scene.desk.erased.lock().unwrap().len(), 1);
        // Erasure is not requested twice.
        assert_eq!(erase(&scene, &who).await.unwrap_err().reason, "already_erased");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_is_asked_without_a_yes() {
    let scene = VerifierScene::shown(Fault::None).await;
    // Neither a plain --yes nor a different digest approves it.
    for (yes, reason) in [(None, "approval_needed"), (Some(""), "approval_needed"), (Some("AAAA"), "approval_mismatch")]
    {
        let arguments = Erase { who: scene.client_id.clone(), yes: yes.map(str::to_owned) };
        let asked = run(&scene.context, &arguments).await.unwrap_err();
        assert_eq!((asked.reason.as_str(), asked.kind), (reason, FailureKind::Permanent));
        assert_eq!(asked.json()["would_ask"][0]["entry"], 2);
        assert!(scene.desk.erased.lock().unwrap().is_empty());
    }
    let before = scene.kinds().len();
    erase(&scene, &scene.client_id).await.unwrap();
    assert_eq!((scene.kinds().len(), scene.desk.erased.lock().unwrap().len()), (before + 2, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_confirmation_that_does_not_hold_is_none() {
    let cases = [
        (Fault::ErasureOfAnother, "receipt_mismatch"),
        (Fault::ErasureByAnother, "receipt_mismatch"),
        (Fault::ErasureRefused, "failed_precondition"),
    ];
    for (fault, reason) in cases {
        let scene = VerifierScene::shown(Fault::None).await;
        *scene.desk.fault.lock().unwrap() = fault;
        let failed = erase(&scene, &scene.client_id).await.unwrap_err();
        assert_eq!((failed.reason.as_str(), failed.kind), (reason, FailureKind::Permanent), "{fault:?}");
        assert_eq!(scene.kinds()[4..], [LogEntryKind::ErasureRequested, LogEntryKind::ErasureFailed]);
        // The request can be repeated.
        *scene.desk.fault.lock().unwrap() = Fault::None;
        erase(&scene, &scene.client_id).await.unwrap();
        assert_eq!(verify_log(&scene.contents().log).unwrap().confirmations, 1);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_asker_that_is_not_there_can_be_asked_later_and_written_to() {
    let mut scene = VerifierScene::shown(Fault::None).await;
    scene.close().await;
    scene.change(|contents| {
        // The address of a registered verifier, from a rewritten entry of the same presentation.
        let mut log = crate::wallet::log::WalletLog::default();
        for entry in contents.log.entries() {
            let mut entry = entry.clone();
            if let Some(asker) = &mut entry.verifier {
                asker.support = Some("mailto:privacy@agency.example".to_owned());
            }
            log.push(entry);
        }
        contents.log = log;
    });
    let failed = erase(&scene, &scene.client_id).await.unwrap_err();
    assert_eq!((failed.reason.as_str(), failed.kind), ("unavailable", FailureKind::Temporary));
    assert!(failed.hint.english().contains("mailto:privacy@agency.example"), "{:?}", failed.hint);
    assert_eq!(scene.kinds()[4..], [LogEntryKind::ErasureRequested, LogEntryKind::ErasureFailed]);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_key_of_a_deleted_document_still_erases_what_it_showed_and_is_then_gone() {
    let scene = VerifierScene::shown(Fault::None).await;
    delete::run(&scene.context, &Delete { id: "aaaa".to_owned(), yes: true, permanently: true }).unwrap();
    // Only the presenting key is kept.
    assert_eq!(scene.contents().erasure_keys.len(), 1);
    erase(&scene, &scene.client_id).await.unwrap();
    assert!(scene.contents().erasure_keys.is_empty());
    let without = VerifierScene::shown(Fault::None).await;
    delete::run(&without.context, &Delete { id: "aaaa".to_owned(), yes: true, permanently: true }).unwrap();
    without.change(|contents| contents.erasure_keys.clear());
    let failed = erase(&without, &without.client_id).await.unwrap_err();
    assert_eq!(failed.extra_members.unwrap()["skipped"][0]["reason"], "key_gone");
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_receipt_there_is_nothing_to_ask_with() {
    let scene = VerifierScene::shown(Fault::Missing).await;
    let failed = erase(&scene, &scene.client_id).await.unwrap_err();
    assert_eq!((failed.reason.as_str(), failed.kind), ("no_receipt", FailureKind::Permanent));
    assert_eq!(erase(&scene, "nobody").await.unwrap_err().reason, "not_found");
    assert_eq!(erase(&scene, "99").await.unwrap_err().reason, "not_found");
    assert_eq!(erase(&scene, "1").await.unwrap_err().reason, "not_found");
    // A name that two verifiers share identifies neither.
    scene.change(|contents| {
        let mut other = contents.log.entry(2).unwrap().clone();
        other.party = "did:web:other.example".to_owned();
        contents.log.push(other);
    });
    assert_eq!(erase(&scene, "Job <b>Agency</b>").await.unwrap_err().reason, "ambiguous_name");
}
