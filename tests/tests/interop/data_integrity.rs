//! Libraries for Data Integrity: each verifies credentials of Carnet with their status lists, and issues its own.

use carnet_tests::{
    Result,
    peer::Peer,
    stage::{Stage, qualification},
    visitor::{self, now},
};
use serde_json::{Value, json};

use crate::{
    report::Report,
    sd_jwt::{OURS, QUALIFICATION, Trial},
};

const CONTEXT: &str = "https://carnet.example/ns/qualification/v1";

/// Replaces the title.
fn with_another_title(credential: &str) -> Result<String> {
    let mut bent: Value = serde_json::from_str(credential)?;
    let title = bent.pointer_mut("/credentialSubject/title").ok_or("no title")?;
    *title = json!("Master of Science");
    Ok(bent.to_string())
}

/// Replaces a character of the proof's value.
fn with_broken_proof(credential: &str) -> Result<String> {
    let mut bent: Value = serde_json::from_str(credential)?;
    let proof = bent.pointer_mut("/proof/proofValue").ok_or("no proof")?;
    let value = proof.as_str().ok_or("no text")?;
    let (before, after) = value.split_at_checked(10).ok_or("a short proof")?;
    let other = if after.starts_with('A') { "B" } else { "A" };
    *proof = json!(format!("{before}{other}{}", after.get(1..).unwrap_or_default()));
    Ok(bent.to_string())
}

/// Has the peer verify a credential of a format of Carnet's, good and tampered with, until it is revoked.
pub(crate) async fn verifies_ours(trial: &mut Trial, format: &str) -> Result<()> {
    let university = &trial.stage.university;
    let offer = trial.stage.offer(university, QUALIFICATION, &qualification(), &["--format", format])?;
    let credential = visitor::collect(&offer.uri, offer.pin.as_deref(), now()).await?.credential;
    let good = trial.verify(&credential, None)??;
    assert_eq!(good["claims"]["credentialSubject"]["title"], qualification()["title"], "{good}");
    trial.report.row(&format!("`{format}` credential and its status list"), OURS, "accepted");
    let what = format!("`{format}` with a changed proof");
    trial.must_refuse((&what, "signature proof"), &with_broken_proof(&credential)?, None)?;
    let what = format!("`{format}` with a changed claim");
    trial.must_refuse((&what, "signature proof"), &with_another_title(&credential)?, None)?;
    let revoke = ["status", "revoke", &offer.id, "--urgent", "--yes", "--reason", "issued by mistake"];
    trial.stage.university.staff(&revoke)?.ok()?;
    trial.must_refuse((&format!("`{format}` that was revoked"), "revoked status"), &credential, None)
}

#[tokio::test(flavor = "multi_thread")]
#[cfg_attr(not(all(carnet_interop_node, carnet_jsonld)), ignore = "CARNET_INTEROP_NODE or CARNET_JSONLD is not set")]
async fn json_ld_with_digitalbazaar_from_npm() -> Result<()> {
    let stage = Stage::set(false).await?;
    let mut peer = Peer::from_npm("digitalbazaar.mjs", &stage.folder.join("ca.pem"))?;
    let context: Value = serde_json::from_str(include_str!("../../../spec/types/qualification/context.jsonld"))?;
    peer.ask("use", json!({"contexts": {CONTEXT: context}, "lists": "by_bits"}))?;
    let report = Report::of(&mut peer)?;
    let mut trial = Trial { stage, peer, report };
    verifies_ours(&mut trial, "ldp_vc").await?;
    // The lists have a proof of eddsa-jcs-2022, and the package has no such suite.
    trial.peer.ask("use", json!({"lists": "verified"}))?;
    let offer = trial.stage.offer(&trial.stage.university, QUALIFICATION, &qualification(), &["--format", "ldp_vc"])?;
    let credential = visitor::collect(&offer.uri, offer.pin.as_deref(), now()).await?.credential;
    let verified = trial.verify(&credential, None)?;
    assert!(verified.is_err(), "{verified:?}");
    trial.report.row("proof of the status list, `eddsa-jcs-2022`", OURS, "not verified: the package has no such suite");
    is_verified(&mut trial)?;
    trial.report.finish()
}

fn is_verified(trial: &mut Trial) -> Result<()> {
    let day = now().to_string().get(..10).map(str::to_owned).ok_or("no day")?;
    let mut subject = qualification();
    subject["id"] = json!("did:key:z6MkhaXgBZDvotDkL5257faiztiGiC2QtKLGpbnnEGta2doK");
    let claims = json!({
        "@context": ["https://www.w3.org/ns/credentials/v2", CONTEXT],
        "type": ["VerifiableCredential", QUALIFICATION],
        "validFrom": format!("{day}T00:00:00Z"),
        "validUntil": "2040-01-01T00:00:00Z",
        "credentialSubject": subject,
    });
    let issued = trial.issue(json!({"claims": claims}))?;
    let credential = issued.credential.as_str();
    let code = trial.refusal(credential)?;
    trial.theirs("credential of an issuer that our configuration does not name", &code, "issuer_untrusted");
    trial.trust(&issued.issuer)?;
    let code = trial.refusal(credential)?;
    trial.theirs("`ldp_vc` credential, did:key, once our configuration names its issuer", &code, "");
    let code = trial.refusal(&with_broken_proof(credential)?)?;
    trial.theirs("credential with a changed proof", &code, "signature_invalid");
    let code = trial.refusal(&with_another_title(credential)?)?;
    trial.theirs("credential with a changed claim", &code, "signature_invalid");
    Ok(())
}
