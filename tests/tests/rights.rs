//! Rights of the holder besides the screen: a log that can be checked, receipts, erasure, a complaint.

use carnet_tests::{
    Result,
    stage::{Stage, residence_permit},
};
use serde_json::{Value, json};

#[tokio::test(flavor = "multi_thread")]
async fn what_was_shown_is_proved_by_receipt_and_erased_on_request() -> Result<()> {
    let stage = Stage::set(false).await?;
    stage.make_wallet()?;
    let offered = stage.offer(&stage.authority, "ResidencePermitCredential", &residence_permit(), &[])?;
    stage.carnet(&["receive", &offered.uri, "--yes"])?.ok()?;
    let (id, uri) = stage.request("work-permit-today")?;
    let answer = stage.approve(&uri)?.1.ok()?.json()?;
    assert_eq!(answer.pointer("/receipt/state"), Some(&json!("kept")), "{answer}");

    let whole = stage.carnet(&["log", "--verify"])?.ok()?.json()?;
    assert_eq!((whole.get("whole"), whole.get("receipts")), (Some(&json!(true)), Some(&json!(1))), "{whole}");
    let page = stage.folder.join("page");
    stage.carnet(&["log", "--export", &page.display().to_string()])?.ok()?;
    let html = std::fs::read_to_string(page.join("log.html"))?;
    assert!(html.contains(&stage.agency.name) && !html.contains("<script"));
    let number = residence_permit().get("documentNumber").and_then(Value::as_str).unwrap_or_default().to_owned();
    assert!(!number.is_empty() && !html.contains(&number), "the page has no values");

    let complaint = stage.carnet(&["report", &stage.agency.name])?.ok()?.json()?;
    let authority = complaint.pointer("/complaint/authority/name").and_then(Value::as_str);
    assert_eq!(authority, Some("National Data Protection Commission"), "{complaint}");

    // Without a yes nothing is erased.
    let digest = stage.erasure_digest(&stage.agency.name)?;
    for yes in [vec![], vec!["--yes"], vec!["--yes", "AAAA"]] {
        let refused = stage.carnet(&[vec!["erase", stage.agency.name.as_str()], yes].concat())?;
        assert!(refused.code == 1 && refused.stdout.contains(&digest), "{refused:?}");
    }
    assert_eq!(stage.agency.staff(&["result", &id])?.ok()?.json()?.get("state"), Some(&json!("accepted")));
    let erased = stage.carnet(&["erase", &stage.agency.name, "--yes", &digest])?.ok()?.json()?;
    assert_eq!(erased.get("erased").and_then(Value::as_array).map(Vec::len), Some(1), "{erased}");
    let left = stage.agency.staff(&["result", &id])?.json()?;
    assert_eq!((left.get("state"), left.get("verdict")), (Some(&json!("erased")), Some(&Value::Null)), "{left}");
    let whole = stage.carnet(&["log", "--verify"])?.ok()?.json()?;
    assert_eq!(whole.get("confirmations"), Some(&json!(1)), "{whole}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_asker_that_nobody_registered_gets_only_what_its_owner_allows_claim_by_claim() -> Result<()> {
    let stage = Stage::set(false).await?;
    stage.make_wallet()?;
    let offered = stage.offer(&stage.authority, "ResidencePermitCredential", &residence_permit(), &[])?;
    stage.carnet(&["receive", &offered.uri, "--yes"])?.ok()?;
    let stranger = stage.open_stranger()?;
    let ask = || stage.request_of(&stranger, &["--template", "job-right-to-work"]);
    let (id, uri) = ask()?;
    let refused = stage.carnet(&["present", &uri])?;
    let said = refused.json()?;
    assert_eq!((refused.code, said.pointer("/error/reason")), (1, Some(&json!("over_asked"))), "{said}");
    assert_eq!(said.get("excess").and_then(Value::as_array).map(Vec::len), Some(2), "each claim by its name: {said}");
    // One of two required ones is not enough, and nothing is disclosed.
    let one = ["present", &uri, "--approve", "residence:credentialSubject.rightToWork"];
    assert_eq!(stage.carnet(&one)?.code, 1);
    assert_eq!(stranger.staff(&["result", &id])?.json()?.get("state"), Some(&json!("open")));
    let both = [
        "--approve",
        "residence:credentialSubject.rightToWork",
        "--approve",
        "residence:credentialSubject.legalResidence",
    ];
    let (_, answer) = stage.approve_with(&uri, &both)?;
    assert_eq!(answer.ok()?.json()?.get("accepted"), Some(&json!(true)));
    // A claim that a registered verifier asks for can be kept back too.
    let (id, uri) = stage.request("job-right-to-work")?;
    let kept_back = stage.carnet(&["present", &uri, "--withhold", "residence:credentialSubject.legalResidence"])?;
    assert_eq!(kept_back.json()?.pointer("/error/reason"), Some(&json!("query_unmet")));
    assert_eq!(stage.agency.staff(&["result", &id])?.json()?.get("state"), Some(&json!("open")));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_receipt_convinces_others_until_it_is_forgotten() -> Result<()> {
    let stage = Stage::set(false).await?;
    stage.make_wallet()?;
    let offered = stage.offer(&stage.authority, "ResidencePermitCredential", &residence_permit(), &[])?;
    stage.carnet(&["receive", &offered.uri, "--yes"])?.ok()?;
    let uri = stage.request("work-permit-today")?.1;
    let answer = stage.approve(&uri)?.1.ok()?.json()?;
    // The registration that the registrar signed names the key of the receipt.
    assert_eq!(answer.pointer("/receipt/key"), Some(&json!("registered")), "{answer}");
    let digest = answer.pointer("/receipt/presentation_digest").and_then(Value::as_str).unwrap_or_default().to_owned();
    assert_eq!(digest.len(), 43, "{answer}");

    // Somebody else, without the wallet.
    let file = stage.folder.join("receipt.json").display().to_string();
    stage.carnet(&["receipt", "export", &stage.agency.name, "--out", &file])?.ok()?;
    let verify = ["receipt", "verify", &file, "--registrar", &stage.registrar];
    let held = stage.carnet_on("nobodys.age", &verify, &["--json", "--no-input"], "")?.ok()?.json()?;
    assert_eq!(held.pointer("/registration/registrar"), Some(&json!(stage.registrar)), "{held}");
    assert_eq!(held.pointer("/registration/name"), Some(&json!(stage.agency.name)), "{held}");
    assert_eq!(held.get("request_signed"), Some(&json!(true)), "{held}");
    assert_eq!(held.pointer("/receipt/presentation_digest"), Some(&json!(digest)), "{held}");

    // It is forgotten only with an approval, and then the wallet no longer has it; the head stays.
    let head = |said: Value| said.get("head").cloned().unwrap_or_default();
    let before = head(stage.carnet(&["log", "--verify"])?.ok()?.json()?);
    let asked = stage.carnet(&["log", "forget", "--before", "2100-01-01"])?.json()?;
    assert_eq!(asked.pointer("/error/reason"), Some(&json!("approval_needed")), "{asked}");
    assert_eq!(asked.get("erasure_lost").and_then(Value::as_array).map(Vec::len), Some(1), "{asked}");
    stage.carnet(&["log", "forget", "--before", "2100-01-01", "--yes"])?.ok()?;
    let whole = stage.carnet(&["log", "--verify"])?.ok()?.json()?;
    assert_eq!((whole.get("count"), whole.get("whole")), (Some(&json!(0)), Some(&json!(true))), "{whole}");
    assert_eq!(head(whole), before);
    assert_eq!(stage.carnet(&["erase", &stage.agency.name, "--yes"])?.code, 1);
    let again = ["receipt", "export", &stage.agency.name, "--out", "again.json"];
    assert_eq!(stage.carnet(&again)?.json()?.pointer("/error/reason"), Some(&json!("not_found")));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wallet_that_was_restored_shows_nothing_as_new() -> Result<()> {
    let stage = Stage::set(false).await?;
    stage.make_wallet()?;
    let offered = stage.offer(&stage.authority, "ResidencePermitCredential", &residence_permit(), &[])?;
    stage.carnet(&["receive", &offered.uri, "--yes"])?.ok()?;
    let copy = stage.folder.join("copy.age").display().to_string();
    stage.carnet(&["backup", &copy])?.ok()?;
    stage.approve(&stage.request("job-right-to-work")?.1)?.1.ok()?;
    std::fs::remove_file(stage.folder.join("wallet.age"))?;
    stage.carnet(&["restore", &copy])?.ok()?;
    let unused = || -> Result<Option<u64>> {
        let listed = stage.carnet(&["list"])?.ok()?.json()?;
        Ok(listed.pointer("/credentials/0/copies_unused").and_then(Value::as_u64))
    };
    assert_eq!(unused()?, Some(0));
    // A threshold is not proved with a copy that may have been opened for another; a value may be disclosed, and the
    // screen names the linkable copy.
    let refused = stage.carnet(&["present", &stage.request("work-permit-today")?.1])?.json()?;
    assert_eq!(refused.pointer("/error/reason"), Some(&json!("query_unmet")), "{refused}");
    let consent = stage.carnet(&["present", &stage.request("job-right-to-work")?.1])?.json()?;
    assert_eq!(consent.pointer("/credentials/0/copy"), Some(&json!("seen_by_others")), "{consent}");
    // With fresh copies all is as before.
    stage.carnet(&["refill", "--all"])?.ok()?;
    assert!(unused()? > Some(0));
    let wallet = stage.folder.join("wallet.age");
    let older = std::fs::read(&wallet)?;
    stage.approve(&stage.request("work-permit-today")?.1)?.1.ok()?;
    assert!(unused()? > Some(0));
    // Put back by hand: a verb that only reads it marks it too.
    std::fs::write(&wallet, older)?;
    assert_eq!(unused()?, Some(0));
    Ok(())
}
