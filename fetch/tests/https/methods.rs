//! DID methods of a program's own.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use carnet_core::{
    Code, Problem,
    did::{Did, DidDocument, DidDriver, DidMethods, PublishedDidFile, ResolutionStep, Resolve as _, ResolvedDid},
    json::{self, Limits},
    time::Timestamp,
};
use carnet_fetch::{DidCache, FetchOptions, HttpsFetcher};

use super::site::{Answer, document, options, serve};

/// Maximum size of each file, in bytes.
const MOST: usize = 10_000;

/// Method whose DIDs name the port of a site with two files: the name of the second one, and the document there.
struct DidTwice;

impl DidTwice {
    fn file(did: &Did, path: &str) -> PublishedDidFile {
        let url = format!("https://localhost:{}/{path}", did.method_specific_id());
        PublishedDidFile { url, name: "did.json", accept: "*/*", max_bytes: MOST }
    }
}

impl DidDriver for DidTwice {
    fn name(&self) -> &'static str {
        "twice"
    }

    fn location(&self, did: &Did) -> Result<PublishedDidFile, Problem> {
        Ok(Self::file(did, "first"))
    }

    fn read(&self, did: &Did, file: &[u8], _now: Timestamp) -> Result<ResolutionStep, Problem> {
        let path = str::from_utf8(file).map_err(|_| Problem::from(Code::InvalidUnicode))?;
        let (did, next) = (did.clone(), Self::file(did, path));
        Ok(ResolutionStep::Fetch(
            next,
            Box::new(move |file, _now| {
                let document = DidDocument::parse(&did, &json::parse(file, Limits::DOCUMENT)?)?;
                Ok(ResolutionStep::Resolved(ResolvedDid::without_history(document)))
            }),
        ))
    }
}

#[tokio::test]
async fn a_registered_method_is_fetched_and_one_that_is_not_is_refused() {
    let files = Arc::new(Mutex::new(BTreeMap::from([("/first", "second".to_owned())])));
    let site = serve(|_| Answer::Files(files.clone())).await;
    let port = site.did.method_specific_id().rsplit("%3A").next().unwrap();
    let did = Did::parse(&format!("did:twice:{port}")).unwrap();

    let methods = DidMethods::standard().with(DidTwice);
    let fetcher = HttpsFetcher::new(FetchOptions { methods, ..options(&site) }).unwrap();
    let cache = DidCache::new(fetcher.methods().clone());
    let refresh = async || cache.refresh(&fetcher, &did, Duration::ZERO).await.map_err(|problem| problem.code);
    assert_eq!(refresh().await, Err(Code::DidUnresolved), "the second file is missing");
    files.lock().unwrap().insert("/second", "{".to_owned());
    refresh().await.unwrap_err();
    let refused = cache.resolve(&did).unwrap_err();
    assert_eq!(refused.code, Code::DidDocumentInvalid, "not the code of its JSON: {refused}");
    files.lock().unwrap().insert("/second", document(&did));
    refresh().await.unwrap();
    assert_eq!(cache.resolve(&did).unwrap().did(), &did);

    let (fetcher, cache) = (HttpsFetcher::new(options(&site)).unwrap(), DidCache::default());
    let refused = cache.refresh(&fetcher, &did, Duration::ZERO).await.unwrap_err();
    assert_eq!((refused.code, refused.detail.as_str()), (Code::DidUnsupported, "did:twice is not supported here"));
    assert_eq!(cache.resolve(&did).unwrap_err().code, Code::DidUnsupported);
}
