//! Errors on the wire of the real programs, seen over bare HTTP/2, HTTP/1.1 and by a gRPC client.

use carnet_proto::{
    issuer::v1::{CreateOfferRequest, offer_service_client::OfferServiceClient},
    verifier::v1::{
        CreateRequestRequest, CustomQuery, PresentationList, SubmitPresentationRequest, create_request_request::What,
        presentation_service_client::PresentationServiceClient, verification_service_client::VerificationServiceClient,
    },
};
use carnet_tests::{
    Result, programs,
    stage::{Office, Stage},
    visitor::with_bearer,
};
use prost_types::{Struct, value::Kind};
use serde_json::Value;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};
use tonic::{
    Code, Status,
    codegen::{Bytes, http::Request},
};
use tonic_types::StatusExt as _;

const GRPC: (&str, &str) = ("content-type", "application/grpc");
const NONCE: &str = "/carnet.issuer.v1.IssuanceService/IssueNonce";
const REDEEM: &str = "/carnet.issuer.v1.IssuanceService/RedeemOffer";
const REFLECTION: &str = "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo";

/// An answer over bare HTTP/2.
struct Answer {
    status: u16,
    /// The head of the answer in gRPC's terms.
    refused: Option<Status>,
    body: Vec<u8>,
}

impl Answer {
    fn reason(&self) -> Option<(Code, String)> {
        self.refused.as_ref().map(|status| (status.code(), reason(status)))
    }
}

fn reason(status: &Status) -> String {
    status.get_details_error_info().filter(|info| info.domain == "carnet").map(|info| info.reason).unwrap_or_default()
}

fn address(office: &Office) -> &str {
    office.service.url.trim_start_matches("http://")
}

/// Sends one request; with no body it is never finished.
async fn ask(
    office: &Office,
    (method, path): (&str, &str),
    headers: &[(&str, &str)],
    body: Option<&[u8]>,
) -> Result<Answer> {
    let (mut sender, connection) = h2::client::handshake(TcpStream::connect(address(office)).await?).await?;
    let connection = tokio::spawn(connection);
    let url = format!("{}{path}", office.service.url);
    let request = headers
        .iter()
        .fold(Request::builder().method(method).uri(url), |request, (name, value)| request.header(*name, *value));
    let (answer, mut stream) = sender.send_request(request.body(())?, false)?;
    if let Some(body) = body {
        // A server that answers by the head alone may have reset the rest by now (RFC 9113 section 8.1).
        stream.send_data(Bytes::copy_from_slice(body), true).ok();
    }
    let (head, mut incoming) = answer.await?.into_parts();
    let mut body = Vec::new();
    while let Some(chunk) = incoming.data().await {
        body.extend_from_slice(&chunk?);
    }
    drop((stream, sender));
    connection.abort();
    Ok(Answer { status: head.status.as_u16(), refused: Status::from_header_map(&head.headers), body })
}

/// A message in gRPC's framing, with this length in its head.
fn framed(length: u32, message: &[u8]) -> Vec<u8> {
    [&[0], &length.to_be_bytes()[..], message].concat()
}

/// Status code of a request over HTTP/1.1.
async fn http1(office: &Office, method: &str, path: &str) -> Result<u16> {
    let mut stream = TcpStream::connect(address(office)).await?;
    stream.write_all(format!("{method} {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").as_bytes()).await?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await?;
    assert!(!answer.contains("grpc-status"), "{answer}");
    Ok(answer.split(' ').nth(1).ok_or("no status line")?.parse()?)
}

/// Path, headers and body of a call, and its expected error.
type Case<'a> = (&'a str, &'a [(&'a str, &'a str)], Option<&'a [u8]>, Code, &'a str);

#[tokio::test(flavor = "multi_thread")]
async fn errors_that_no_handler_made_have_a_code_and_a_reason() -> Result<()> {
    let stage = Stage::set(false).await?;
    let office = &stage.university;
    let started = office.service.log().len();
    let empty = framed(0, &[]);
    let cases: &[Case<'_>] = &[
        (NONCE, &[GRPC], Some(&framed(9_000_000, b"x")), Code::ResourceExhausted, "MESSAGE_TOO_LARGE"),
        // A string field of which only one byte of eight is there.
        (REDEEM, &[GRPC], Some(&framed(3, &[0x0a, 8, b'x'])), Code::Internal, "MESSAGE_UNDECODABLE"),
        (NONCE, &[GRPC], Some(&framed(9, b"x")), Code::Internal, "MESSAGE_UNDECODABLE"),
        (NONCE, &[GRPC], Some(&[9, 0, 0, 0, 0]), Code::Internal, "MESSAGE_UNDECODABLE"),
        (NONCE, &[GRPC], Some(&[]), Code::Internal, "MESSAGE_UNDECODABLE"),
        (NONCE, &[GRPC, ("grpc-encoding", "gzip")], Some(&empty), Code::Unimplemented, "ENCODING_UNSUPPORTED"),
        (NONCE, &[GRPC, ("grpc-timeout", "50m")], None, Code::DeadlineExceeded, "DEADLINE_EXCEEDED"),
        ("/carnet.issuer.v1.IssuanceService/Nothing", &[GRPC], Some(&empty), Code::Unimplemented, "METHOD_UNKNOWN"),
        (
            "/carnet.verifier.v1.PresentationService/ReadRequest",
            &[GRPC],
            Some(&empty),
            Code::Unimplemented,
            "METHOD_UNKNOWN",
        ),
        ("/nowhere", &[GRPC], Some(&empty), Code::Unimplemented, "METHOD_UNKNOWN"),
    ];
    for (path, headers, body, code, reason) in cases {
        let answer = ask(office, ("POST", path), headers, *body).await?;
        assert_eq!((answer.status, answer.reason()), (200, Some((*code, (*reason).to_owned()))), "{path} {body:?}");
    }
    // Their twins.
    for (headers, body) in [(&[GRPC][..], &empty), (&[GRPC, ("grpc-timeout", "20S")], &empty)] {
        let answer = ask(office, ("POST", NONCE), headers, Some(body)).await?;
        assert!(answer.refused.is_none() && !answer.body.is_empty());
    }
    // The senders' faults are not logged as the service's.
    let log = office.service.log().split_off(started);
    assert!(!log.contains("ERROR") && !log.contains("WARN"), "{log}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_learns_what_was_too_large_and_what_too_deep() -> Result<()> {
    let stage = Stage::set(false).await?;
    let mut wallet = PresentationServiceClient::connect(stage.agency.service.url.clone()).await?;
    let list = PresentationList { presentations: vec!["x".repeat(2 << 20)] };
    let message = SubmitPresentationRequest { id: "x".into(), vp_token: [("x".to_owned(), list)].into() };
    let large = wallet.submit_presentation(message).await.unwrap_err();
    assert_eq!((large.code(), reason(&large).as_str()), (Code::ResourceExhausted, "MESSAGE_TOO_LARGE"));
    // 40 levels are too many for the decoder, 33 for the reader of claims.
    let mut offers = OfferServiceClient::connect(stage.university.service.url.clone()).await?;
    let mut requests = VerificationServiceClient::connect(stage.agency.service.url.clone()).await?;
    for depth in [33, 40, 200] {
        let claims = Some(nested(depth));
        let offer = CreateOfferRequest { request_id: "a".into(), format: 1, claims, ..Default::default() };
        let deep = offers.create_offer(with_bearer(offer, &stage.university.token()?)?).await.unwrap_err();
        assert_eq!((deep.code(), reason(&deep).as_str()), (Code::InvalidArgument, "TOO_DEEP"), "{depth}");
        let query = CustomQuery { dcql_query: Some(nested(depth)), ..Default::default() };
        let request = CreateRequestRequest { request_id: "a".into(), what: Some(What::Query(query)), ttl_seconds: 0 };
        let deep = requests.create_request(with_bearer(request, &stage.agency.token()?)?).await.unwrap_err();
        assert_eq!((deep.code(), reason(&deep).as_str()), (Code::InvalidArgument, "TOO_DEEP"), "{depth}");
    }
    Ok(())
}

fn nested(depth: u32) -> Struct {
    let kind = if depth > 1 { Kind::StructValue(nested(depth.saturating_sub(1))) } else { Kind::BoolValue(true) };
    Struct { fields: [("a".to_owned(), prost_types::Value { kind: Some(kind) })].into() }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_path_that_leads_nowhere_is_not_found() -> Result<()> {
    let stage = Stage::set(false).await?;
    let document: Value = serde_json::from_slice(&std::fs::read(stage.university.service.data.join("did.json"))?)?;
    let services = document.get("service").and_then(Value::as_array).ok_or("the document has no service")?;
    let endpoint = services.iter().find_map(|service| service.get("serviceEndpoint")?.as_str()).ok_or("no endpoint")?;
    let path = endpoint.splitn(4, '/').nth(3).map(|path| format!("/{path}")).ok_or("no path")?;
    let stripped = path.rfind('/').and_then(|at| path.get(at..)).unwrap_or_default();
    assert_ne!(path, stripped);
    assert_eq!(http1(&stage.university, "GET", &path).await?, 200);
    for office in [&stage.university, &stage.agency] {
        for nowhere in [stripped, "/", "/nowhere", "/.well-known/nothing"] {
            assert_eq!(http1(office, "GET", nowhere).await?, 404, "{nowhere}");
            let answer = ask(office, ("GET", nowhere), &[], Some(&[])).await?;
            assert_eq!((answer.status, answer.refused.is_some()), (404, false), "{nowhere}");
            let answer = ask(office, ("POST", nowhere), &[("content-type", "application/json")], Some(b"{}")).await?;
            assert_eq!((answer.status, answer.refused.is_some()), (404, false), "{nowhere}");
        }
    }
    // A gRPC method exists, but only for gRPC.
    assert_eq!(http1(&stage.university, "GET", NONCE).await?, 405);
    let answer =
        ask(&stage.university, ("POST", NONCE), &[("content-type", "text/plain")], Some(&framed(0, &[]))).await?;
    assert_eq!((answer.status, answer.refused.is_some(), answer.body.len()), (415, false, 0));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn reflection_names_the_services_own_and_no_others() -> Result<()> {
    let stage = Stage::set(false).await?;
    let has = |answer: &Answer, name: &str| answer.body.windows(name.len()).any(|part| part == name.as_bytes());
    for (office, own, other) in [(&stage.university, "issuer", "verifier"), (&stage.agency, "verifier", "issuer")] {
        // ServerReflectionRequest: list_services is field 7, file_by_filename field 3.
        let all = ask(office, ("POST", REFLECTION), &[GRPC], Some(&framed(3, &[0x3a, 1, b'*']))).await?;
        assert!(has(&all, &format!("carnet.{own}.v1.")) && has(&all, "grpc.health.v1.Health"));
        assert!(!has(&all, &format!("carnet.{other}.v1.")));
        for (program, there) in [(own, true), (other, false)] {
            let name = format!("carnet/{program}/v1/{program}.proto");
            let message = [&[0x1a, u8::try_from(name.len())?], name.as_bytes()].concat();
            let message = framed(u32::try_from(message.len())?, &message);
            let file = ask(office, ("POST", REFLECTION), &[GRPC], Some(&message)).await?;
            assert_eq!(has(&file, &format!("carnet.{program}.v1")), there, "{program}");
        }
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn staff_who_name_another_service_are_told_so() -> Result<()> {
    let stage = Stage::set(false).await?;
    let token = stage.university.token_file.display().to_string();
    let args = ["offer", "list", "--server", &stage.agency.service.url, "--token-file", &token];
    let said = programs::run("carnet-issuer", args, &[])?;
    assert_eq!(said.code, 1);
    assert!(said.stderr.contains("check --server"), "{}", said.stderr);
    Ok(())
}
