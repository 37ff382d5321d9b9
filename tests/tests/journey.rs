//! The main job with the real programs: issue, hold, present, verify, forget.

use carnet_tests::{
    Result,
    programs::Service,
    stage::{Stage, qualification, residence_permit},
};
use serde_json::Value;

async fn stage_with_wallet() -> Result<Stage> {
    let stage = Stage::set(false).await?;
    stage.make_wallet()?;
    Ok(stage)
}

fn receive(stage: &Stage, kind: &str, extra: &[&str]) -> Result<Value> {
    let (office, claims) = match kind {
        "QualificationCredential" => (&stage.university, qualification()),
        _ => (&stage.authority, residence_permit()),
    };
    let offered = stage.offer(office, kind, &claims, extra)?;
    let mut args = vec!["receive", offered.uri.as_str(), "--yes"];
    args.extend(offered.pin.iter().flat_map(|pin| ["--pin", pin.as_str()]));
    stage.carnet(&args)?.ok()?.json()
}

/// Every file of a data directory, as one heap of bytes: the store, its log, its shared memory.
fn bytes_of(service: &Service) -> Result<Vec<u8>> {
    let mut all = Vec::new();
    for entry in std::fs::read_dir(&service.data)? {
        let path = entry?.path();
        if path.is_file() {
            all.extend(std::fs::read(path)?);
        }
    }
    Ok(all)
}

fn holds(heap: &[u8], needle: &str) -> bool {
    heap.windows(needle.len()).any(|window| window == needle.as_bytes())
}

fn text<'a>(value: &'a Value, pointer: &str) -> &'a str {
    value.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_credential_travels_from_issuer_to_verifier_and_both_forget() -> Result<()> {
    let stage = stage_with_wallet().await?;
    let documents = residence_permit();
    let number = text(&documents, "/documentNumber").to_owned();
    assert!(!number.is_empty());

    let offered = stage.offer(&stage.authority, "ResidencePermitCredential", &documents, &["--pin"])?;
    assert!(holds(&bytes_of(&stage.authority.service)?, &number), "the claims wait for their holder");
    let pin = offered.pin.clone().ok_or("there is no PIN")?;
    stage.carnet(&["receive", &offered.uri, "--yes", "--pin", &pin])?.ok()?;
    // A collected offer is erased at once, and removed from the store's log a moment later.
    while holds(&bytes_of(&stage.authority.service)?, &number) {
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }

    let (id, uri) = stage.request("job-right-to-work")?;
    let (consent, answer) = stage.approve(&uri)?;
    assert_eq!(text(&consent, "/asker/name"), "City Welcome Office");
    let answer = answer.ok()?.json()?;
    assert_eq!(answer.get("accepted"), Some(&Value::Bool(true)), "{answer}");

    let result = stage.agency.staff(&["result", &id])?.ok()?.json()?;
    assert_eq!(text(&result, "/state"), "accepted");
    let paths = result.pointer("/verdict/credentials/0/disclosed_paths").cloned().unwrap_or_default();
    let mut paths: Vec<&str> = paths.as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    paths.sort_unstable();
    assert_eq!(paths, ["credentialSubject.legalResidence", "credentialSubject.rightToWork"]);

    let kept = bytes_of(&stage.agency.service)?;
    for secret in
        [number.as_str(), text(&documents, "/familyName"), "did:jwk:eyJjcnYiOiJFZDI1NTE5Iiwia3R5IjoiT0tQIiwieCI6"]
    {
        let own = stage.agency.did.contains(secret);
        assert!(own || !holds(&kept, secret), "the verifier keeps {secret}");
    }
    let log = stage.carnet(&["log"])?.ok()?.stdout;
    assert!(log.contains("credentialSubject.rightToWork") && !log.contains(&number));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn every_sd_jwt_format_of_every_type_is_issued_and_kept() -> Result<()> {
    let stage = stage_with_wallet().await?;
    for kind in ["QualificationCredential", "ResidencePermitCredential"] {
        for format in ["vc+sd-jwt", "dc+sd-jwt", "di_vc+jcs"] {
            let received = receive(&stage, kind, &["--format", format])?;
            assert_eq!(received.pointer("/received/0/copies").and_then(Value::as_u64), Some(10), "{kind} {format}");
        }
    }
    let listed = stage.carnet(&["list"])?.ok()?.json()?;
    assert_eq!(listed.get("credentials").and_then(Value::as_array).map(Vec::len), Some(6), "{listed}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_goes_without_the_digest_of_this_very_request() -> Result<()> {
    let stage = stage_with_wallet().await?;
    receive(&stage, "QualificationCredential", &[])?;
    let (first, first_uri) = stage.request("university-admission")?;
    let (second, second_uri) = stage.request("university-admission")?;
    let consent = stage.carnet(&["present", &first_uri])?;
    assert_eq!(consent.code, 1);
    let digest = text(&consent.json()?, "/digest").to_owned();
    let other = stage.carnet(&["present", &second_uri, "--yes", &digest])?;
    assert_ne!(other.code, 0, "the digest was another request's");
    for id in [&first, &second] {
        assert_eq!(text(&stage.agency.staff(&["result", id])?.json()?, "/state"), "open");
    }
    stage.carnet(&["present", &first_uri, "--yes", &digest])?.ok()?;
    assert_eq!(text(&stage.agency.staff(&["result", &first])?.ok()?.json()?, "/state"), "accepted");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_approval_is_of_the_document_that_was_described() -> Result<()> {
    let stage = stage_with_wallet().await?;
    let first = receive(&stage, "QualificationCredential", &[])?;
    let (id, uri) = stage.request("university-admission")?;
    let described = text(&stage.carnet(&["present", &uri])?.json()?, "/digest").to_owned();
    // Now another document would answer the same request.
    receive(&stage, "QualificationCredential", &[])?;
    stage.carnet(&["delete", text(&first, "/received/0/id"), "--yes"])?.ok()?;
    let refused = stage.carnet(&["present", &uri, "--yes", &described])?;
    assert_eq!(refused.code, 1, "{refused:?}");
    let refused = refused.json()?;
    assert_eq!(text(&refused, "/error/reason"), "approval_mismatch");
    assert_eq!(text(&stage.agency.staff(&["result", &id])?.json()?, "/state"), "open");
    stage.carnet(&["present", &uri, "--yes", text(&refused, "/digest")])?.ok()?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_terminal_nothing_is_approved() -> Result<()> {
    let stage = stage_with_wallet().await?;
    receive(&stage, "ResidencePermitCredential", &[])?;
    let (id, uri) = stage.request("job-right-to-work")?;
    let declined = stage.carnet_on("wallet.age", &["present", &uri], &[], "\n")?;
    assert_eq!(declined.code, 1, "{declined:?}");
    assert_eq!(text(&stage.agency.staff(&["result", &id])?.json()?, "/state"), "open");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deferred_offer_is_collected_after_its_release() -> Result<()> {
    let stage = stage_with_wallet().await?;
    let offered = stage.offer(&stage.university, "QualificationCredential", &qualification(), &["--deferred"])?;
    let early = stage.carnet(&["receive", &offered.uri, "--yes"])?;
    assert_eq!(early.code, 3, "{early:?}");
    stage.university.staff(&["offer", "release", &offered.id])?.ok()?;
    let received = stage.carnet(&["receive", &offered.uri, "--yes"])?.ok()?.json()?;
    assert_eq!(received.pointer("/received/0/copies").and_then(Value::as_u64), Some(10));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn services_drain_on_sigterm_and_find_their_data_again() -> Result<()> {
    let stage = stage_with_wallet().await?;
    let offered = stage.offer(&stage.university, "QualificationCredential", &qualification(), &[])?;
    let (id, _) = stage.request("university-admission")?;
    let Stage { university, agency, authority, .. } = stage;
    let university = university.restart()?;
    let offers = university.staff(&["offer", "list"])?.ok()?.stdout;
    assert!(offers.contains(&offered.id));
    let agency = agency.restart()?;
    assert_eq!(text(&agency.staff(&["result", &id])?.json()?, "/id"), id);
    for office in [university, agency, authority] {
        assert_eq!(office.service.stop()?, 0);
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn one_copy_for_each_asker() -> Result<()> {
    let stage = stage_with_wallet().await?;
    receive(&stage, "ResidencePermitCredential", &[])?;
    let wallets = stage.carnet(&["list"])?.ok()?.json()?;
    assert_eq!(wallets.pointer("/credentials/0/copies").and_then(Value::as_u64), Some(10), "{wallets}");
    let other = stage.open_agency("other", "Another Office", true)?;
    // A verifier that has seen a copy gets the same one again, and so learns nothing new; another gets a fresh one.
    for (agency, left) in [(&stage.agency, 9), (&stage.agency, 9), (&other, 8), (&stage.agency, 8)] {
        let (_, uri) = stage.request_of(agency, &["--template", "job-right-to-work"])?;
        let (consent, said) = stage.approve(&uri)?;
        said.ok()?;
        assert!(consent.pointer("/credentials/0/copy_seen_by").and_then(Value::as_array).is_some_and(Vec::is_empty));
        let wallets = stage.carnet(&["list"])?.ok()?.json()?;
        assert_eq!(wallets.pointer("/credentials/0/copies_unused").and_then(Value::as_u64), Some(left), "{wallets}");
    }
    Ok(())
}
