use std::convert::Infallible;

use tonic_types::{ErrorDetails, StatusExt as _};

use super::*;

const GRPC: &str = "application/grpc";
const SERVICE: &str = "carnet.test.v1.Test";

/// Asks a service that panics, never answers, or answers as its path says, in less than a minute.
async fn ask(method: Method, media_type: &str, path: &str, timeout: &str) -> Response<Body> {
    ask_within(Duration::from_secs(60), method, media_type, path, timeout).await
}

async fn ask_within(time: Duration, method: Method, media_type: &str, path: &str, timeout: &str) -> Response<Body> {
    let limits = CallLimits { max_concurrent: 8, timeout: time, max_message_bytes: 1_000 };
    let layer = CallLayer::new(limits, [SERVICE.to_owned()]);
    let mut service = layer.layer(tower::service_fn(|request: Request<Body>| async move {
        let method = request.uri().path().rsplit('/').next().unwrap_or_default().to_owned();
        assert_ne!(method, "panic");
        let status = match method.as_str() {
            "never" => std::future::pending::<Status>().await,
            "large" => {
                Status::out_of_range("Error, decoded message length too large: found 2 bytes, the limit is: 1 bytes")
            }
            "deep" => Status::internal("failed to decode Protobuf message: Struct.fields: recursion limit reached"),
            "bytes" => Status::internal("failed to decode Protobuf message: buffer underflow"),
            "nothing" => Status::internal("Missing request message."),
            "packed" => Status::unimplemented("Content is compressed with `gzip` which isn't supported"),
            "health" => Status::not_found("service not registered"),
            "ours" => crate::wire::error_status(tonic::Code::Internal, "STORE_FAILED", "It failed."),
            "other" => {
                let details = ErrorDetails::with_error_info("OTHER", "example", std::collections::HashMap::new());
                Status::with_error_details(tonic::Code::OutOfRange, "Somebody else's.", details)
            }
            "page" => return Ok::<_, Infallible>(Response::new(Body::empty())),
            _ => Status::unimplemented(""),
        };
        Ok(status.into_http())
    }));
    let mut request = Request::builder().method(method).uri(path);
    for (name, value) in [("content-type", media_type), ("grpc-timeout", timeout)] {
        if !value.is_empty() {
            request = request.header(name, value);
        }
    }
    service.call(request.body(Body::empty()).unwrap()).await.unwrap()
}

/// Code and reason of the answer to a gRPC call.
async fn refused(method: &str, timeout: &str) -> (tonic::Code, String) {
    let answer = ask(Method::POST, GRPC, &format!("/{SERVICE}/{method}"), timeout).await;
    assert_eq!(answer.status(), StatusCode::OK, "{method}");
    let status = Status::from_header_map(answer.headers()).unwrap();
    (status.code(), status.get_details_error_info().map(|info| info.reason).unwrap_or_default())
}

#[tokio::test]
async fn every_error_of_a_call_has_a_code_and_a_reason() {
    use tonic::Code;
    for (method, timeout, code, reason) in [
        ("large", "", Code::ResourceExhausted, "MESSAGE_TOO_LARGE"),
        ("deep", "", Code::InvalidArgument, "TOO_DEEP"),
        ("bytes", "", Code::Internal, "MESSAGE_UNDECODABLE"),
        ("nothing", "", Code::Internal, "MESSAGE_UNDECODABLE"),
        ("packed", "", Code::Unimplemented, "ENCODING_UNSUPPORTED"),
        ("missing", "", Code::Unimplemented, "METHOD_UNKNOWN"),
        ("health", "", Code::NotFound, "NOT_FOUND"),
        ("panic", "", Code::Internal, "INTERNAL"),
        ("never", "20m", Code::DeadlineExceeded, "DEADLINE_EXCEEDED"),
        ("never", "1n", Code::DeadlineExceeded, "DEADLINE_EXCEEDED"),
        // A handler's own error stays as it is.
        ("ours", "", Code::Internal, "STORE_FAILED"),
        ("other", "", Code::OutOfRange, "OTHER"),
    ] {
        assert_eq!(refused(method, timeout).await, (code, reason.to_owned()), "{method}");
    }
    // The service's own limit counts as well, even if a client asks for more.
    for timeout in ["", "1H"] {
        let path = format!("/{SERVICE}/never");
        let late = ask_within(Duration::from_millis(20), Method::POST, GRPC, &path, timeout).await;
        assert_eq!(Status::from_header_map(late.headers()).unwrap().code(), Code::DeadlineExceeded);
    }
    let page = ask(Method::POST, GRPC, &format!("/{SERVICE}/page"), "").await;
    assert!(Status::from_header_map(page.headers()).is_none());
}

#[tokio::test]
async fn what_is_not_grpc_is_answered_in_http() {
    let of = |path: &str| format!("/{SERVICE}/{path}");
    for (method, media_type, path, status) in [
        (Method::GET, "", "/nowhere".to_owned(), StatusCode::NOT_FOUND),
        (Method::GET, GRPC, "/nowhere".to_owned(), StatusCode::NOT_FOUND),
        (Method::POST, "application/json", "/nowhere".to_owned(), StatusCode::NOT_FOUND),
        (Method::GET, "", "/page".to_owned(), StatusCode::OK),
        (Method::GET, "", "/panic".to_owned(), StatusCode::INTERNAL_SERVER_ERROR),
        (Method::GET, "", "/never".to_owned(), StatusCode::SERVICE_UNAVAILABLE),
        (Method::GET, "", of("page"), StatusCode::METHOD_NOT_ALLOWED),
        (Method::POST, "", of("page"), StatusCode::UNSUPPORTED_MEDIA_TYPE),
        (Method::POST, "text/plain", of("panic"), StatusCode::UNSUPPORTED_MEDIA_TYPE),
        (Method::POST, "application/grpc-web", of("page"), StatusCode::UNSUPPORTED_MEDIA_TYPE),
        (Method::POST, "application/grpc+proto", of("page"), StatusCode::OK),
        (Method::POST, "application/grpc;x=y", of("page"), StatusCode::OK),
    ] {
        let time = Duration::from_millis(if path == "/never" { 20 } else { 60_000 });
        // The header is gRPC's: no other request is cut short by it.
        let timeout = if media_type.starts_with("application/grpc") { "" } else { "0n" };
        let answer = ask_within(time, method.clone(), media_type, &path, timeout).await;
        assert_eq!(answer.status(), status, "{method} {path} {media_type}");
        assert!(Status::from_header_map(answer.headers()).is_none(), "{method} {path}");
        let header = |name: &str| answer.headers().get(name).and_then(|value| value.to_str().ok());
        let stored = (header("carnet-reason"), header("retry-after").is_some(), header("cache-control"));
        let expected = match status {
            StatusCode::INTERNAL_SERVER_ERROR => (Some("INTERNAL"), false, Some("no-store")),
            StatusCode::SERVICE_UNAVAILABLE => (Some("DEADLINE_EXCEEDED"), true, Some("no-store")),
            StatusCode::NOT_FOUND => (Some("NOT_FOUND"), false, Some("no-store")),
            StatusCode::METHOD_NOT_ALLOWED => (Some("METHOD_NOT_ALLOWED"), false, Some("no-store")),
            StatusCode::UNSUPPORTED_MEDIA_TYPE => (Some("MEDIA_TYPE_UNSUPPORTED"), false, Some("no-store")),
            _ => (None, false, None),
        };
        assert_eq!(stored, expected, "{method} {path}");
    }
}

/// Endless body.
struct Endless;

impl HttpBody for Endless {
    type Data = <Body as HttpBody>::Data;
    type Error = <Body as HttpBody>::Error;

    fn poll_frame(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Self::Data>, Self::Error>>> {
        Poll::Pending
    }
}

/// Body of a stream that ends in an error.
struct Failing(Option<http::HeaderMap>);

impl HttpBody for Failing {
    type Data = <Body as HttpBody>::Data;
    type Error = <Body as HttpBody>::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Self::Data>, Self::Error>>> {
        Poll::Ready(self.0.take().map(|trailers| Ok(Frame::trailers(trailers))))
    }
}

#[tokio::test]
async fn an_error_in_the_trailers_of_a_stream_has_a_code_and_a_reason_too() {
    use tonic::Code;
    let undecodable = Status::internal("failed to decode Protobuf message: buffer underflow");
    let large = Status::out_of_range("Error, decoded message length too large: found 2 bytes, the limit is: 1 bytes");
    for (status, code, reason) in [
        (undecodable.clone(), Code::Internal, Some("MESSAGE_UNDECODABLE")),
        (large, Code::ResourceExhausted, Some("MESSAGE_TOO_LARGE")),
        (Status::cancelled("gone"), Code::Cancelled, Some("CANCELLED")),
        (
            crate::wire::error_status(Code::NotFound, "REQUEST_UNKNOWN", "None."),
            Code::NotFound,
            Some("REQUEST_UNKNOWN"),
        ),
        (Status::new(Code::Ok, ""), Code::Ok, None),
    ] {
        let mut trailers = http::HeaderMap::from_iter([(http::HeaderName::from_static("x"), "y".parse().unwrap())]);
        status.add_header(&mut trailers).unwrap();
        let limits = CallLimits { max_concurrent: 8, timeout: Duration::from_secs(60), max_message_bytes: 1_000 };
        let mut service = CallLayer::new(limits, [SERVICE.to_owned()]).layer(tower::service_fn(|_: Request<Body>| {
            let body = Body::new(Failing(Some(trailers.clone())));
            async { Ok::<_, Infallible>(Response::new(body)) }
        }));
        let mut send = async |media_type: &str| {
            let request = Request::builder().method(Method::POST).uri("/stream").header("content-type", media_type);
            let answer = service.call(request.body(Body::empty()).unwrap()).await.unwrap();
            let mut body = answer.into_body();
            let frame = std::future::poll_fn(|context| Pin::new(&mut body).poll_frame(context)).await;
            frame.unwrap().unwrap().into_trailers().unwrap()
        };
        let sent = send(GRPC).await;
        let said = Status::from_header_map(&sent).unwrap();
        assert_eq!((said.code(), crate::wire::status_reason(&said).as_deref()), (code, reason), "{status:?}");
        assert_eq!((sent["x"].as_bytes(), sent.get_all("grpc-status").iter().count()), (&b"y"[..], 1));
        // A response that is not gRPC is passed on unchanged.
        assert_eq!(send("text/plain").await, trailers);
    }
}

#[tokio::test]
async fn more_calls_at_once_on_one_connection_than_the_limit_are_refused() {
    let limits = CallLimits { max_concurrent: 2, timeout: Duration::from_secs(30), max_message_bytes: 1_000 };
    let mut service = CallLayer::new(limits, [])
        .layer(tower::service_fn(|_: Request<Body>| async { Ok::<_, Infallible>(Response::new(Body::new(Endless))) }));
    let connection = Arc::new(ClientConnection::new(tokio::time::Instant::now()));
    let mut call = || {
        let request = Request::builder().method(Method::POST).header(header::CONTENT_TYPE, GRPC);
        service.call(request.extension(Arc::clone(&connection)).body(Body::empty()).unwrap())
    };
    let first = call().await.unwrap();
    let _second = call().await.unwrap();
    let third = call().await.unwrap();
    let refused = Status::from_header_map(third.headers()).unwrap();
    assert_eq!(refused.code(), tonic::Code::ResourceExhausted);
    assert_eq!(crate::wire::status_reason(&refused).as_deref(), Some("CALLS_EXHAUSTED"));
    assert!(refused.get_details_retry_info().is_some());
    // A call ends with its answer, so that there is a place again.
    drop((first, third));
    assert!(Status::from_header_map(call().await.unwrap().headers()).is_none());
}
