use super::*;
use crate::{
    commands::erase::tests::erase,
    ui::messages::Language,
    verifier_desk::{Fault, VerifierScene},
};

#[tokio::test(flavor = "multi_thread")]
async fn it_names_law_facts_and_what_was_not_answered_and_no_value() {
    let scene = VerifierScene::shown(Fault::None).await;
    *scene.desk.fault.lock().unwrap() = Fault::ErasureRefused;
    erase(&scene, &scene.client_id).await.unwrap_err();
    let contents = scene.contents();
    let shown = presentations_to(&contents.log, &scene.client_id).unwrap();
    let catalogue = scene.context.catalogue().unwrap();
    let complaint = |language| {
        let messages = LocalizedMessages::new(language);
        let names = ComplaintNames { messages: &messages, catalogue: &catalogue, credentials: &contents.credentials };
        complaint_text(&names, &shown)
    };
    for language in Language::ALL {
        let said = carnet_core::input::with_ascii_digits(&complaint(language));
        for part in ["12", "17", "77", "credentialSubject.title", "To find you work.", "______", &scene.client_id] {
            assert!(said.contains(part), "{part}\n{said}");
        }
    }
    let english = complaint(Language::En);
    assert!(english.contains("[credentialSubject.title]"), "a label with its path: {english}");
    assert!(english.contains("[q: *], ") && english.contains("[q: credentialSubject.title]"), "{english}");
    assert!(english.contains("Erasure was requested and not confirmed"), "{english}");
    let object = complaint_json(&scene.context, &shown);
    assert_eq!(object["articles"], json!([12, 17, 77]));
    assert_eq!((&object["complainant"], &object["authority"]), (&json!(""), &Value::Null));
    assert_eq!(object["presentations"][0]["erasure_unanswered"], true);
    assert_eq!(object["presentations"][0]["receipt_digest"].as_str().unwrap().len(), 43);
    let example = &catalogue.credential_type("QualificationCredential").unwrap().example;
    let title = example["credentialSubject"]["title"].as_str().unwrap();
    assert!(!english.contains(title) && !object.to_string().contains(title));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_confirmed_erasure_is_no_complaint_of_its_own_and_a_file_is_not_replaced() {
    let scene = VerifierScene::shown(Fault::None).await;
    erase(&scene, &scene.client_id).await.unwrap();
    let (contents, catalogue) = (scene.contents(), scene.context.catalogue().unwrap());
    let messages = LocalizedMessages::new(Language::En);
    let names = ComplaintNames { messages: &messages, catalogue: &catalogue, credentials: &contents.credentials };
    let english = complaint_text(&names, &presentations_to(&contents.log, "2").unwrap());
    assert!(!english.contains("not confirmed") && english.contains("Deleted, as they confirmed"), "{english}");
    let out = scene.folder.path().join("complaint.txt");
    let report = Report { who: "2".to_owned(), out: Some(out.clone()) };
    run(&scene.context, &report).unwrap();
    assert_eq!(std::fs::read_to_string(&out).unwrap(), english);
    assert_eq!(run(&scene.context, &report).unwrap_err().reason, "file_unwritable");
}
