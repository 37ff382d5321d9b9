//! Lists as they are published, and the answers that carry them.

use std::sync::Arc;

use carnet_core::{
    did::{Did, DidDocument, Resolve},
    secure::data_integrity::Cryptosuites,
    status::{VerifiedStatusList, cwt, token},
};
use carnet_tests::{Result, stage::Stage, visitor};
use serde_json::Value;

use super::fixtures::{Answer, Client, Lists, base, issued, shown};

#[tokio::test(flavor = "multi_thread")]
async fn what_staff_do_is_in_the_lists_that_everybody_fetches() -> Result<()> {
    let stage = Stage::set(false).await?;
    let office = &stage.authority;
    let client = Client::new(&stage)?;
    let (mine, other) = (issued(&stage).await?, issued(&stage).await?);
    let index = shown(office, &mine)?.first().ok_or("no copy")?.0;
    let other = shown(office, &other)?.first().ok_or("no copy")?.0;
    assert_eq!(Lists::fetch(&client, office).await?.state(index)?, "valid");

    for (verb, state) in [("suspend", "suspended"), ("reinstate", "valid"), ("revoke", "revoked")] {
        let done = office
            .staff(&["status", verb, &mine, "--urgent", "--yes", "--reason", "a case worker decided"])?
            .ok()?
            .json()?;
        assert_eq!(done.get("published"), Some(&Value::Bool(true)));
        let lists = Lists::fetch(&client, office).await?;
        assert_eq!((lists.state(index)?, lists.state(other)?), (state, "valid"));
        assert!(shown(office, &mine)?.iter().all(|(_, shown)| shown == state));
    }
    // It stays revoked, whatever staff try; and the record can be read.
    let refused = office.staff(&["status", "reinstate", &mine, "--reason", "a slip"])?;
    assert_eq!(refused.code, 1);
    assert!(
        refused.stderr.contains("STATUS_REVOKED") || refused.stderr.contains("cannot be undone"),
        "{}",
        refused.stderr
    );
    let acts = office.staff(&["status", "audit", &mine])?.ok()?.json()?;
    let acts = acts.get("acts").and_then(Value::as_array).ok_or("no acts")?;
    let verbs: Vec<&str> = acts.iter().filter_map(|act| act.get("verb").and_then(Value::as_str)).collect();
    assert_eq!(verbs, ["revoke", "reinstate", "suspend"]);

    // Found only by the directory, and not sent again if nothing changed.
    let directory = client.text(&format!("{}/lists", base(office))).await?;
    let directory: Value = serde_json::from_str(&directory)?;
    let urls = directory.get("status_lists").and_then(Value::as_array).ok_or("no lists")?;
    assert_eq!(urls.len(), 3);
    for url in urls.iter().filter_map(Value::as_str) {
        let first = client.get(url, "").await?;
        assert_eq!((first.code, first.header("cache-control")?), (200, "public, max-age=300"));
        let again = client.get(url, &format!("if-none-match: {}\r\n", first.header("etag")?)).await?;
        assert_eq!((again.code, again.body.len()), (304, 0));
    }
    Ok(())
}

/// The document that an office has published.
struct Published(DidDocument);

impl Resolve for Published {
    fn resolve(&self, _: &Did) -> std::result::Result<Arc<DidDocument>, carnet_core::Problem> {
        Ok(Arc::new(self.0.clone()))
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_asks_for_cbor_gets_the_same_list_in_cbor() -> Result<()> {
    let stage = Stage::set(false).await?;
    let office = &stage.authority;
    let client = Client::new(&stage)?;
    let offer = issued(&stage).await?;
    let index = shown(office, &offer)?.first().ok_or("no copy")?.0;
    office.staff(&["status", "suspend", &offer, "--reason", "a case worker decided"])?.ok()?;

    let did = Did::parse(&office.did)?;
    let document = std::fs::read(office.service.data.join("did.json"))?;
    let document = Published(DidDocument::parse(&did, &serde_json::from_slice(&document)?)?);
    let url = format!("{}/token/0", base(office));
    let in_cbor = client.get(&url, "accept: application/statuslist+cwt\r\n").await?;
    let in_json = client.get(&url, "accept: */*\r\n").await?;
    for (answer, media_type) in [(&in_cbor, cwt::MEDIA_TYPE), (&in_json, token::MEDIA_TYPE)] {
        assert_eq!((answer.code, answer.header("content-type")?), (200, media_type));
        assert_eq!((answer.header("vary")?, answer.header("cache-control")?), ("accept", "public, max-age=300"));
        let listed = VerifiedStatusList::verify(
            &answer.body,
            &url,
            &did,
            (visitor::now(), 60),
            (&document, &Cryptosuites::empty()),
        )?;
        assert_eq!(listed.token_value(&token::TokenStatusReference { uri: url.clone(), index })?, token::SUSPENDED);
        let other = VerifiedStatusList::verify(
            &answer.body,
            &base(office),
            &did,
            (visitor::now(), 60),
            (&document, &Cryptosuites::empty()),
        );
        assert_eq!(other.map(drop).map_err(|problem| problem.code), Err(carnet_core::Code::StatusListMismatch));
    }
    // Each has its own tag: a cache that has the one does not take it for the other.
    let tagged = |answer: &Answer, accept: &str| {
        Ok::<_, carnet_tests::Error>(format!("accept: {accept}\r\nif-none-match: {}\r\n", answer.header("etag")?))
    };
    for (answer, accept, code) in [
        (&in_cbor, cwt::MEDIA_TYPE, 304),
        (&in_cbor, "*/*", 200),
        (&in_json, cwt::MEDIA_TYPE, 200),
        (&in_json, "*/*", 304),
    ] {
        let again = client.get(&url, &tagged(answer, accept)?).await?;
        assert_eq!((again.code, again.header("vary")?), (code, "accept"), "{accept}");
    }
    Ok(())
}
