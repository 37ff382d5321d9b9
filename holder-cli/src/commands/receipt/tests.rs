use carnet_core::trust::registration::ReceiptKeyState;

use super::*;
use crate::{
    failure::Translate as _,
    ui::messages::Language,
    verifier_desk::{Fault, VerifierScene},
};

fn exported(scene: &VerifierScene, name: &str) -> Result<std::path::PathBuf, Failure> {
    let out = scene.folder.path().join(name);
    export(&scene.context, &ExportReceipt { who: scene.client_id.clone(), out: out.clone() }).map(|()| out)
}

fn verified(scene: &VerifierScene, file: &Path) -> Result<(), Failure> {
    let (registrars, documents) = (Vec::new(), Vec::new());
    verify(&scene.context, &VerifyReceipt { file: file.to_owned(), registrars, documents })
}

fn evidence(file: &Path) -> ReceiptEvidence {
    let file = ExportedReceipt::parse(&std::fs::read(file).unwrap()).unwrap();
    let now = crate::request::tests::NOW;
    let pinned =
        EvidenceAnchors { is_pinned_registrar: &|_| false, resolver: &SelfContainedResolver, now, skew: CLOCK_SKEW };
    ReceiptEvidence::verify(&file, &pinned).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_receipt_is_handed_over_with_its_request_and_holds_without_the_wallet() {
    let scene = VerifierScene::shown(Fault::None).await;
    let sent = scene.contents().log.entry(2).unwrap().clone();
    let file = exported(&scene, "receipt.json").unwrap();
    assert_eq!(exported(&scene, "receipt.json").unwrap_err().reason, "file_unwritable");
    std::fs::remove_file(scene.folder.path().join("wallet.age")).unwrap();
    verified(&scene, &file).unwrap();
    let evidence = evidence(&file);
    assert!(evidence.request_signature_verified());
    assert_eq!(evidence.receipt().content().presentation_digest.as_deref(), Some(sent.presentation_digest.as_str()));
    for language in Language::ALL {
        let mut ui = Ui::new(false, true, language);
        let digest = sent.presentation_digest.as_str();
        assert!(!evidence_text(&ui, &evidence).contains(digest));
        ui.details = true;
        let said = evidence_text(&ui, &evidence);
        for part in ["credentialSubject.title", "To find you work.", digest, sent.request_digest.as_str(), sent.did()] {
            assert!(said.contains(part), "{part}\n{said}");
        }
    }
    // One changed byte invalidates it.
    let written = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, written.replacen("2027-02-14", "2027-02-15", 1)).unwrap();
    assert_eq!(verified(&scene, &file).unwrap_err().reason, "signature_invalid");
    std::fs::write(&file, "{}").unwrap();
    assert_eq!(verified(&scene, &file).unwrap_err().reason, "receipt_invalid");
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_receipt_or_with_several_nothing_is_written() {
    let scene = VerifierScene::shown(Fault::Missing).await;
    assert_eq!(exported(&scene, "none.json").unwrap_err().reason, "no_receipt");
    *scene.desk.fault.lock().unwrap() = Fault::None;
    scene.present().await.unwrap();
    scene.present().await.unwrap();
    let several = exported(&scene, "none.json").unwrap_err();
    assert_eq!(several.reason, "ambiguous_receipt");
    assert!(!scene.folder.path().join("none.json").exists());
    let number = several.hint.english().rsplit([' ', ',']).next().unwrap().to_owned();
    export(&scene.context, &ExportReceipt { who: number, out: scene.folder.path().join("one.json") }).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wallet_of_before_requests_were_kept_exports_the_receipt_alone() {
    let scene = VerifierScene::shown(Fault::None).await;
    scene.change(|contents| contents.requests = crate::wallet::requests::StoredRequestObjects::default());
    let evidence = evidence(&exported(&scene, "receipt.json").unwrap());
    assert!(!evidence.request_signature_verified());
    assert!(
        evidence_text(&Ui::new(false, true, Language::En), &evidence).contains("its signature could not be verified")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_the_registration_does_not_name_is_noted_and_refuses_nothing() {
    let scene = VerifierScene::shown(Fault::None).await;
    let log = scene.contents().log;
    let (sent, receipt) = (log.entry(2).unwrap(), log.entry(4).unwrap());
    let document = &receipt.statement.as_ref().unwrap().document;
    let method = document["proof"]["verificationMethod"].as_str().unwrap();
    let registered = |keys: Value| -> carnet_core::trust::registration::RelyingParty {
        serde_json::from_value(json!({
            "id": sent.did(), "name": "City Job Centre", "country": "DE", "privacy_policy": "https://agency.example/privacy",
            "support_uri": "mailto:data@agency.example",
            "supervisory_authority": {"name": "Data Protection Authority", "email": "post@dpa.example"},
            "intended_uses": [], "receipt_keys": keys,
        }))
        .unwrap()
    };
    let standing = |keys: Option<Value>| {
        let party = keys.map(registered);
        let text = Value::Object(document.clone()).to_string();
        let now = crate::request::tests::NOW;
        let (_, kept) =
            crate::receipt::verify_receipt(&text, sent, true, now, &SelfContainedResolver, party.as_ref()).unwrap();
        kept.key_standing
    };
    let key = |multikey: &str| json!([{"id": method, "publicKeyMultibase": multikey}]);
    let own = receipt.statement.as_ref().unwrap().key.clone();
    let other = crate::wallet::HolderKey::generate().decode().unwrap();
    let other = carnet_core::keys::Signer::public_key(&other).to_multikey();
    assert_eq!(standing(None), None);
    assert_eq!(standing(Some(json!([]))), Some(ReceiptKeyState::NoKeysRegistered));
    assert_eq!(standing(Some(key(&own))), Some(ReceiptKeyState::Registered));
    assert_eq!(standing(Some(key(&other))), Some(ReceiptKeyState::NotRegistered));
}
