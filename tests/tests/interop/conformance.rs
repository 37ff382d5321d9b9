//! The conformance build with a library from npm: each verifies what the other secures, over VC-API.

use carnet_tests::{Result, conformance::ConformanceBuild, peer::Peer};
use serde_json::{Value, json};

#[tokio::test(flavor = "multi_thread")]
#[cfg_attr(
    not(all(carnet_interop_node, carnet_conformance)),
    ignore = "CARNET_INTEROP_NODE or CARNET_CONFORMANCE is not set"
)]
async fn the_conformance_build_with_digitalbazaar_from_npm() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let mut peer = Peer::from_npm("digitalbazaar.mjs", &folder.path().join("ca.pem"))?;
    let conformance = ConformanceBuild::start()?;
    let unsecured = json!({
        "@context": ["https://www.w3.org/ns/credentials/v2"], "type": ["VerifiableCredential"],
        "credentialSubject": {"id": "did:example:subject"},
    });
    let verify = |kind: &str, document: &Value, options: Value| {
        let (path, member) =
            (format!("/{kind}s/verify"), format!("verifiable{}{}", kind[..1].to_uppercase(), &kind[1..]));
        let mut body = json!({"options": options});
        body[member] = document.clone();
        conformance.post(&path, &body)
    };
    let (status, issued) = conformance.post("/eddsa-rdfc-2022/credentials/issue", &json!({"credential": unsecured}))?;
    let ours = issued["verifiableCredential"].clone();
    assert_eq!(status, 201, "{issued}");
    peer.ask("verify", json!({"credential": ours.to_string()}))?;
    let mut changed = ours.clone();
    changed["credentialSubject"]["id"] = json!("did:example:another");
    assert!(peer.call("verify", json!({"credential": changed.to_string()}))?.is_err());

    let issued = peer.ask("issue", json!({"claims": unsecured}))?;
    let mut theirs: Value = serde_json::from_str(issued["credential"].as_str().ok_or("no credential")?)?;
    assert_eq!(verify("credential", &theirs, json!({}))?.0, 200);
    theirs["credentialSubject"]["id"] = json!("did:example:another");
    assert_eq!(verify("credential", &theirs, json!({}))?.0, 400);

    let presented = peer.ask("present", json!({"credential": ours.to_string(), "challenge": "c", "domain": "d"}))?;
    for (challenge, domain, expected) in [("c", "d", 200), ("x", "d", 400), ("c", "x", 400)] {
        let (status, body) = verify("presentation", &presented, json!({"challenge": challenge, "domain": domain}))?;
        assert_eq!(status, expected, "{challenge} {domain}: {body}");
    }
    Ok(())
}
