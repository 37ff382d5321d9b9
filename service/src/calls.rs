//! Tower layer for calls: counts them per connection, limits their number and time, and gives all errors one format.
//!
//! A failed gRPC call always has the form of spec/protocol.md section 7: errors from tonic and panics get an ErrorInfo
//! and an appropriate code. A request that is not gRPC gets an HTTP response.

mod deadline;
mod refusal;
#[cfg(test)]
mod tests;

use std::{
    panic::AssertUnwindSafe,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use futures::FutureExt as _;
use http::{Method, Request, Response, StatusCode, header};
use http_body::{Body as HttpBody, Frame, SizeHint};
use tonic::{Status, body::Body};
use tower::{Layer, Service};

use crate::{
    config::ServeConfig,
    connections::{CallGuard, ClientConnection},
    http_wire,
};

/// Limits on calls.
#[derive(Debug, Clone, Copy)]
pub(crate) struct CallLimits {
    /// Maximum number of concurrent calls on one connection.
    max_concurrent: usize,
    /// Maximum time until the response begins.
    timeout: Duration,
    /// Maximum size of a message, in bytes. The generated services enforce it; here it is only named in the error.
    max_message_bytes: usize,
}

impl CallLimits {
    /// Returns the limits set in the configuration.
    pub(crate) fn from_config(config: &ServeConfig) -> Self {
        Self {
            max_concurrent: config.concurrency,
            timeout: Duration::from_secs(config.timeout_seconds),
            max_message_bytes: config.max_message_bytes,
        }
    }
}

/// Tower layer with the call limits, for all gRPC and HTTP services of a server.
#[derive(Debug, Clone)]
pub(crate) struct CallLayer {
    limits: CallLimits,
    /// Full names of the gRPC services.
    services: Arc<[String]>,
}

impl CallLayer {
    pub(crate) fn new(limits: CallLimits, services: impl IntoIterator<Item = String>) -> Self {
        Self { limits, services: services.into_iter().collect() }
    }

    /// Returns the HTTP status for a request to a gRPC service that is not a gRPC request: 415 for POST, 405 for other
    /// methods. `None` for every other request.
    fn non_grpc_status(&self, request: &Request<Body>) -> Option<StatusCode> {
        let service = request.uri().path().trim_start_matches('/').split('/').next().unwrap_or_default();
        if is_grpc(request) || !self.services.iter().any(|name| name == service) {
            None
        } else if request.method() == Method::POST {
            Some(StatusCode::UNSUPPORTED_MEDIA_TYPE)
        } else {
            Some(StatusCode::METHOD_NOT_ALLOWED)
        }
    }
}

impl<S> Layer<S> for CallLayer {
    type Service = CallService<S>;

    fn layer(&self, inner: S) -> CallService<S> {
        CallService { inner, layer: self.clone() }
    }
}

/// Tower service created by [`CallLayer`].
#[derive(Debug, Clone)]
pub(crate) struct CallService<S> {
    inner: S,
    layer: CallLayer,
}

impl<S> Service<Request<Body>> for CallService<S>
where
    S: Service<Request<Body>, Response = Response<Body>>,
    S::Future: Send + 'static,
    S::Error: Send + 'static,
{
    type Response = Response<Body>;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Body>, S::Error>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let connection = request.extensions().get::<Arc<ClientConnection>>();
        let (guard, calls) = connection.map(ClientConnection::begin_call).unzip();
        let (limits, grpc) = (self.layer.limits, is_grpc(&request));
        let explained = grpc.then_some(limits.max_message_bytes);
        let counted = move |mut answer: Response<Body>| {
            if !grpc {
                http_wire::complete_error_headers(answer.status(), answer.headers_mut());
            }
            answer.map(|body| Body::new(CallBody { body, max_message_bytes: explained, _guard: guard }))
        };
        if let Some(status) = self.layer.non_grpc_status(&request) {
            return Box::pin(async move { Ok(counted(empty_response(status))) });
        }
        if calls.is_some_and(|calls| calls > limits.max_concurrent) {
            return Box::pin(async move {
                Ok(counted(refusal::error_response(refusal::too_many_calls(limits.max_concurrent), grpc)))
            });
        }
        let asked = if grpc { deadline::requested_timeout(request.headers()) } else { None };
        let time = asked.map_or(limits.timeout, |asked| asked.min(limits.timeout));
        // Handlers keep all state that outlives a call in the database, whose transactions roll back when they are
        // dropped: no partial state is visible after an unwind, or when a call is cut at its deadline.
        let call = deadline::with_timeout(time, AssertUnwindSafe(self.inner.call(request)).catch_unwind());
        Box::pin(async move {
            let answer = match call.await {
                None => refusal::error_response(refusal::deadline_exceeded(time), grpc),
                Some(Err(_panic)) => refusal::error_response(refusal::handler_panicked(), grpc),
                Some(Ok(answer)) => complete_error(answer?, limits, grpc),
            };
            Ok(counted(answer))
        })
    }
}

/// Adds an ErrorInfo to an error response that no handler created. For a request that is not gRPC, returns 404 instead
/// of the router's gRPC error.
fn complete_error(mut answer: Response<Body>, limits: CallLimits, grpc: bool) -> Response<Body> {
    let Some(status) = Status::from_header_map(answer.headers()) else { return answer };
    if !grpc {
        // Only the router's answer to unknown paths gets here: no handler of HTTP speaks gRPC.
        return empty_response(StatusCode::NOT_FOUND);
    }
    if let Some(explained) = refusal::with_error_info(&status, limits.max_message_bytes) {
        // The other headers stay, such as the accepted encodings.
        answer.headers_mut().extend(explained.into_http::<()>().into_parts().0.headers);
    }
    answer
}

/// Returns whether a request is gRPC, by method and media type (gRPC over HTTP/2, "Requests").
fn is_grpc(request: &Request<Body>) -> bool {
    let media_type = request.headers().get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let rest = media_type.and_then(|media_type| media_type.strip_prefix("application/grpc"));
    request.method() == Method::POST && rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(['+', ';']))
}

/// Returns an HTTP response without a body.
fn empty_response(status: StatusCode) -> Response<Body> {
    let mut answer = Response::new(Body::empty());
    *answer.status_mut() = status;
    if status == StatusCode::METHOD_NOT_ALLOWED {
        answer.headers_mut().insert(header::ALLOW, header::HeaderValue::from_static("POST"));
    }
    answer
}

/// Response body, with whose end the call ends. An error in its trailers gets an ErrorInfo, like an error in the
/// headers.
struct CallBody {
    body: Body,
    /// Maximum message size, in bytes, for the text of an error; `None` for a response that is not gRPC.
    max_message_bytes: Option<usize>,
    _guard: Option<CallGuard>,
}

impl CallBody {
    fn complete_trailers(&self, frame: Frame<<Body as HttpBody>::Data>) -> Frame<<Body as HttpBody>::Data> {
        let Some(limit) = self.max_message_bytes else { return frame };
        let mut trailers = match frame.into_trailers() {
            Ok(trailers) => trailers,
            Err(frame) => return frame,
        };
        let explained = Status::from_header_map(&trailers).and_then(|status| refusal::with_error_info(&status, limit));
        // A status that cannot be encoded in headers stays unchanged.
        if let Some(explained) = explained {
            let _ = explained.add_header(&mut trailers);
        }
        Frame::trailers(trailers)
    }
}

impl HttpBody for CallBody {
    type Data = <Body as HttpBody>::Data;
    type Error = <Body as HttpBody>::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Self::Data>, Self::Error>>> {
        let frame = std::task::ready!(Pin::new(&mut self.body).poll_frame(cx));
        Poll::Ready(frame.map(|frame| frame.map(|frame| self.complete_trailers(frame))))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
