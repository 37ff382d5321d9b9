//! The JSON-LD format, with programs that were built with it.

use carnet_tests::{
    Result,
    stage::{Stage, qualification, residence_permit},
};
use serde_json::{Value, json};

#[tokio::test(flavor = "multi_thread")]
#[cfg_attr(
    not(carnet_jsonld),
    ignore = "CARNET_JSONLD is not set: the programs were built without the JSON-LD formats"
)]
async fn a_json_ld_credential_is_issued_held_shown_and_accepted() -> Result<()> {
    let stage = Stage::set(false).await?;
    stage.make_wallet()?;
    for (office, kind, claims) in [
        (&stage.university, "QualificationCredential", qualification()),
        (&stage.authority, "ResidencePermitCredential", residence_permit()),
    ] {
        let offered = stage.offer(office, kind, &claims, &["--format", "ldp_vc"])?;
        stage.carnet(&["receive", &offered.uri, "--yes"])?.ok()?;
        let query = json!({"credentials": [{"id": "whole", "format": "ldp_vc", "meta": {"type_values": [[kind]]}}]});
        let file = stage.folder.join("query.json");
        std::fs::write(&file, query.to_string())?;
        let said = stage.agency.staff(&[
            "request",
            "create",
            "--query",
            &file.display().to_string(),
            "--purpose",
            "A test",
            "--legal-basis",
            "None",
            "--retention",
            "None",
        ])?;
        let created = said.ok()?.json()?;
        let uri = created.get("request_uri").and_then(Value::as_str).unwrap_or_default();
        // Nobody is registered for whole documents: their owner has to approve the document itself.
        let refused = stage.carnet(&["present", uri])?;
        assert_eq!(refused.json()?.pointer("/error/reason"), Some(&json!("over_asked")));
        let (consent, answer) = stage.approve_with(uri, &["--approve", "whole"])?;
        assert_eq!(
            consent.pointer("/credentials/0/everything"),
            Some(&Value::Bool(true)),
            "the screen says that all goes"
        );
        assert_eq!(answer.ok()?.json()?.get("accepted"), Some(&Value::Bool(true)));
    }
    Ok(())
}
