use std::rc::Rc;

use super::*;
use crate::{
    request::tests::NOW,
    ui::{Ui, messages::Language},
    verifier_desk::{Fault, VerifierScene},
    wallet::{LogEntryKind, WalletLogEntry, deletion::UNKNOWN_VERIFIER, vouchers::VoucherSerials},
};

const DAY: i64 = 86_400;

fn forgetting(before: &str, yes: bool) -> Forget {
    Forget { before: before.to_owned(), yes }
}

fn tomorrow() -> String {
    day::format_start(NOW.plus(DAY).start_of_day())
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_of_what_was_forgotten_is_in_the_wallet() {
    let scene = VerifierScene::shown(Fault::None).await;
    scene.change(|contents| {
        let mut serials = VoucherSerials::new(2);
        serials.record_shown("digest", &scene.client_id);
        contents.credentials[0].serials = Some(serials);
    });
    let before = scene.contents();
    let copy = before.credentials[0].copies.iter().position(|copy| !copy.presented_to.is_empty()).unwrap();
    assert_eq!((before.requests.texts().len(), before.log.entries().len()), (1, 4));
    // It needs a yes, and the question names the verifiers from which erasure can no longer be requested.
    let asked = run_forget(&scene.context, &forgetting(&tomorrow(), false)).unwrap_err();
    assert_eq!(asked.reason, "approval_needed");
    assert_eq!(asked.kind, crate::failure::FailureKind::Permanent);
    let beside = asked.extra_members.unwrap();
    assert_eq!((&beside["would_forget"], beside["erasure_lost"].as_array().unwrap().len()), (&json!(4), 1));
    assert_eq!(scene.contents().log.entries().len(), 4);
    run_forget(&scene.context, &forgetting(&tomorrow(), true)).unwrap();
    let after = scene.contents();
    assert_eq!((after.log.head(), after.log.deleted_count()), (before.log.head(), 4));
    assert!(after.log.entries().is_empty() && after.requests.texts().is_empty());
    // The copy remains marked as shown, without the verifier's name.
    assert_eq!(after.credentials[0].copies[copy].presented_to, [UNKNOWN_VERIFIER]);
    assert_eq!(after.credentials[0].unused_copies(), before.credentials[0].unused_copies());
    let text = serde_json::to_string(&after).unwrap();
    assert!(!text.contains(&scene.client_id) && !text.contains("Agency"), "{text}");
    super::super::run(
        &scene.context,
        &crate::arguments::LogArguments {
            verb: None,
            verify: true,
            noted: Some(before.log.head().to_owned()),
            export: None,
        },
    )
    .unwrap();
    scene.change(|contents| contents.credentials[0].serials = None);
    // The same verifier is shown another copy: others may have seen this one.
    scene.present().await.unwrap();
    assert_eq!(scene.contents().credentials[0].unused_copies(), 1);
    assert_eq!(before.credentials[0].unused_copies(), 2);
    assert_eq!(scene.contents().log.entries()[0].number, 5);
}

/// All that goes and all that stays, before the yes (spec/log.md 7.5 and 7.6).
#[tokio::test(flavor = "multi_thread")]
async fn the_question_names_what_is_lost_and_what_remains() {
    let mut scene = VerifierScene::shown(Fault::None).await;
    let before = NOW.plus(DAY).start_of_day();
    let plan = LogDeletionPlan::before_instant(&scene.contents(), before).unwrap();
    assert_eq!((plan.count, plan.erasure_lost.len()), (4, 1));
    let said = warning(&scene.context, &plan).0;
    for part in [
        "the proof that they give",
        "warnings about limits",
        "a voucher use that was shown and not confirmed",
        "for vouchers without serials, the count of uses left",
        "ask for erasure",
        "how many entries, and up to which day",
        "your documents, the limits that each copy has proved",
        "did:webvh",
        "Earlier copies of the wallet file",
        "the disk",
    ] {
        assert!(said.contains(part), "{part}\n{said}");
    }
    let kept = retention_text(&scene.context, Some(30));
    let without = LogDeletionPlan { before, count: 4, erasure_lost: Vec::new() };
    assert!(kept.contains("when the wallet is next opened") && kept.contains("warnings about limits"), "{kept}");
    for language in Language::ALL {
        scene.context.ui = Rc::new(Ui::new(false, true, language));
        let said = warning(&scene.context, &plan).0;
        let place = |id: &str| said.find(&scene.context.ui.messages.text(id)).unwrap();
        assert!(place("forget-erasure") < place("forget-copies") && said.contains("did:webvh"), "{said}");
        // Without a presentation that can be erased, the rest is still told.
        let twin = warning(&scene.context, &without).0;
        assert!(!twin.contains(&scene.context.ui.messages.text("forget-erasure")) && twin.contains("did:webvh"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_day_at_which_nothing_happened_or_that_is_none_changes_nothing() {
    let scene = VerifierScene::shown(Fault::None).await;
    let reason = |before: &str| run_forget(&scene.context, &forgetting(before, true)).unwrap_err().reason;
    assert_eq!(reason("1970-01-02"), "nothing_to_forget");
    assert_eq!(reason("yesterday"), "date_malformed");
    assert_eq!(scene.contents().log.deleted_count(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_head_of_what_was_forgotten_cannot_be_looked_up_and_is_told_from_a_forged_log() {
    let scene = VerifierScene::shown(Fault::None).await;
    let old = scene.contents().log.entry(2).unwrap().digest();
    let verify = || {
        let noted = Some(old.clone());
        let arguments = crate::arguments::LogArguments { verb: None, verify: true, noted, export: None };
        super::super::run(&scene.context, &arguments).map_err(|failure| failure.reason)
    };
    assert_eq!(verify(), Ok(()));
    run_forget(&scene.context, &forgetting(&tomorrow(), true)).unwrap();
    assert_eq!(verify(), Err(FailureReason::HeadUnknown));
    // A checkpoint signed by another key than the wallet's is invalid.
    scene.change(|contents| contents.log_key = Some(crate::wallet::HolderKey::generate()));
    assert_eq!(verify(), Err(FailureReason::LogBroken));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_that_does_not_hold_is_not_forgotten() {
    let scene = VerifierScene::shown(Fault::None).await;
    let mut altered = serde_json::to_value(&scene.contents().log).unwrap();
    altered["entries"][1]["purpose"] = json!("Another.");
    scene.change(|contents| contents.log = serde_json::from_value(altered).unwrap());
    assert_eq!(run_forget(&scene.context, &forgetting(&tomorrow(), true)).unwrap_err().reason, "log_broken");
    assert_eq!(scene.contents().log.entries().len(), 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_log_is_kept_for_ever_until_its_owner_chooses() {
    let scene = VerifierScene::shown(Fault::None).await;
    let later = NOW.plus(400 * DAY);
    scene.time.set(later);
    drop(scene.context.wallet.open().unwrap());
    assert_eq!(scene.contents().log.entries().len(), 4);
    run_keep(&scene.context, &KeepLog { days: Some(500), forever: false }).unwrap();
    assert_eq!(scene.contents().log.entries().len(), 4);
    // The next command that opens the wallet after the period forgets, even a reading one.
    let later = NOW.plus(502 * DAY);
    scene.time.set(later);
    let contents = scene.contents();
    assert_eq!(
        (contents.log.entries().len(), contents.log.deleted_count(), contents.log_retention_days),
        (0, 4, Some(500))
    );
    run_keep(&scene.context, &KeepLog { days: None, forever: true }).unwrap();
    assert_eq!(scene.contents().log_retention_days, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_confirmation_whose_receipt_was_forgotten_stands_alone() {
    let scene = VerifierScene::shown(Fault::None).await;
    let later = NOW.plus(2 * DAY);
    scene.change(|contents| {
        let receipt = contents.log.entry(4).unwrap().clone();
        let kept = receipt.statement.clone();
        contents.log.push(WalletLogEntry {
            statement: kept,
            ..WalletLogEntry::referring_to(&receipt, later, LogEntryKind::ErasureConfirmed)
        });
    });
    scene.time.set(later);
    let log = scene.contents().log;
    assert!(crate::receipt::verify_log(&log).is_err(), "a receipt is no confirmation");
    run_forget(&scene.context, &forgetting(&tomorrow(), true)).unwrap();
    assert_eq!(crate::receipt::verify_log(&scene.contents().log).unwrap().not_verified, 1);
}
