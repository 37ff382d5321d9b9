//! Authorisation and limits of calls.

use carnet_proto::verifier::v1::{
    CreateRequestRequest, ListRequestsRequest, ReadRequestRequest, ReadResultRequest, VerifyCredentialRequest,
    WatchResultRequest, create_request_request::What, verification_service_client::VerificationServiceClient,
};
use tonic::{Code, Request};

use super::world::{MAX_MESSAGE, World, reason};

#[tokio::test]
async fn staff_calls_need_the_token() {
    let world = World::new().await;
    let asked = world.request().await;
    let mut anybody = VerificationServiceClient::new(world.channel.clone());
    let id = || asked.id.clone();
    let codes = [
        anybody.create_request(CreateRequestRequest::default()).await.err().map(|status| status.code()),
        anybody
            .read_result(ReadResultRequest { id: id(), ..Default::default() })
            .await
            .err()
            .map(|status| status.code()),
        anybody.watch_result(WatchResultRequest { id: id() }).await.err().map(|status| status.code()),
        anybody.verify_credential(VerifyCredentialRequest::default()).await.err().map(|status| status.code()),
        anybody.list_requests(ListRequestsRequest::default()).await.err().map(|status| status.code()),
    ];
    assert_eq!(codes, [Some(Code::Unauthenticated); 5]);
    for wrong in ["Bearer carnet_staff_other", "Bearer ", "Basic abc", &world.token] {
        let mut request = Request::new(ReadResultRequest { id: id(), ..Default::default() });
        request.metadata_mut().insert("authorization", wrong.parse().unwrap());
        assert_eq!(anybody.read_result(request).await.unwrap_err().code(), Code::Unauthenticated, "{wrong}");
    }
    assert!(world.staff().read_result(ReadResultRequest { id: id(), ..Default::default() }).await.is_ok());
}

#[tokio::test]
async fn a_message_over_its_limit_is_refused() {
    let world = World::new().await;
    let asked = world.request().await;
    let over = world.submit(&asked, "x".repeat(MAX_MESSAGE + 1)).await.unwrap_err();
    assert!(matches!(over.code(), Code::OutOfRange | Code::ResourceExhausted), "{over:?}");
    let staff = VerifyCredentialRequest { credential: vec![b'x'; MAX_MESSAGE + 1] };
    assert!(world.staff().verify_credential(staff).await.is_err());
    // It did not count as an answer, and the next one is accepted.
    World::accepted(world.submit(&asked, world.answer(&asked)).await);
}

#[tokio::test]
async fn an_id_that_nobody_has_is_not_found_whatever_it_looks_like() {
    let world = World::new().await;
    for id in ["", "AAAAAAAAAAAAAAAAAAAAAA", "../../etc/passwd", "\u{0}", &"x".repeat(10_000)] {
        let read = world.wallet().read_request(ReadRequestRequest { id: id.to_owned() }).await;
        assert_eq!(reason(read), "REQUEST_UNKNOWN");
        let watch = world.staff().watch_result(WatchResultRequest { id: id.to_owned() }).await;
        assert_eq!(reason(watch), "REQUEST_UNKNOWN");
    }
}

#[tokio::test]
async fn lists_come_in_pages() {
    let world = World::new().await;
    let mut made = Vec::new();
    for _ in 0..5 {
        let what = Some(What::Template("job-right-to-work".to_owned()));
        let call = CreateRequestRequest { what, ..Default::default() };
        made.insert(0, world.staff().create_request(call).await.unwrap().into_inner().id);
    }
    let mut listed = Vec::new();
    let mut page_token = String::new();
    loop {
        let page =
            world.staff().list_requests(ListRequestsRequest { page_size: 2, page_token }).await.unwrap().into_inner();
        listed.extend(page.results.into_iter().map(|result| result.id));
        page_token = page.next_page_token;
        if page_token.is_empty() {
            break;
        }
    }
    assert_eq!(listed, made);
    let odd = ListRequestsRequest { page_size: 2, page_token: "rubbish".to_owned() };
    assert_eq!(reason(world.staff().list_requests(odd).await), "PAGE_TOKEN_INVALID");
}

#[tokio::test]
async fn field_values_out_of_range_are_refused() {
    let world = World::new().await;
    let call = |request_id: &str, ttl_seconds: u32| CreateRequestRequest {
        request_id: request_id.to_owned(),
        what: Some(What::Template("job-right-to-work".to_owned())),
        ttl_seconds,
    };
    assert!(world.staff().create_request(call("a", 60)).await.is_ok());
    for ttl in [1, 86_401, u32::MAX] {
        assert_eq!(reason(world.staff().create_request(call("b", ttl)).await), "TTL_OUT_OF_RANGE");
    }
    for id in ["a b", "\u{e9}", &"x".repeat(129)] {
        assert_eq!(reason(world.staff().create_request(call(id, 60)).await), "REQUEST_ID_MALFORMED");
    }
}

/// A key in a token may be slow, or not respond at all.
#[tokio::test]
async fn a_signature_that_takes_its_time_holds_up_no_other_call() {
    let world = World::new().await;
    let asked = world.request().await;
    let (tell, told) = std::sync::mpsc::channel();
    // The test has one thread for calls: if the signature blocked it, no other call could be served.
    let signing = world.verifier.identity.run_signing(move |_| told.recv_timeout(std::time::Duration::from_secs(30)));
    let calling = async {
        let read = world.wallet().read_request(ReadRequestRequest { id: asked.id.clone() }).await;
        tell.send(read.is_ok()).unwrap();
    };
    let (signed, ()) = tokio::join!(signing, calling);
    assert_eq!(signed.unwrap(), Ok(true));
}
