//! A panic in a handler fails that call and no other.

use std::{
    panic::AssertUnwindSafe,
    pin::Pin,
    task::{Context, Poll},
};

use futures::FutureExt as _;
use http::{Request, Response};
use tonic::{Code, body::Body};
use tower::{Layer, Service};

use crate::wire;

/// Wraps a service so that a panic becomes INTERNAL with reason `INTERNAL`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct CatchPanics;

impl<S> Layer<S> for CatchPanics {
    type Service = Caught<S>;
    fn layer(&self, inner: S) -> Caught<S> {
        Caught { inner }
    }
}

/// What [`CatchPanics`] makes.
#[derive(Debug, Clone)]
pub(crate) struct Caught<S> {
    inner: S,
}

impl<S> Service<Request<Body>> for Caught<S>
where
    S: Service<Request<Body>, Response = Response<Body>>,
    S::Future: Send + 'static,
    S::Error: 'static,
{
    type Response = Response<Body>;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Body>, S::Error>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        // Handlers keep what outlives a call in the database, whose transactions roll back when
        // they are dropped; so that nothing half-done is left to be seen after an unwind.
        let call = AssertUnwindSafe(self.inner.call(request)).catch_unwind();
        Box::pin(async move {
            call.await.unwrap_or_else(|_| {
                let status = wire::status(
                    Code::Internal,
                    "INTERNAL",
                    "A bug in the service stopped this call. Nothing of it was stored. Tell the operator, with the time.",
                );
                Ok(status.into_http())
            })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_panic_becomes_internal_and_the_next_call_works() {
        let mut service = CatchPanics.layer(tower::service_fn(|request: Request<Body>| async move {
            assert_ne!(request.uri().path(), "/panic");
            Ok::<_, std::convert::Infallible>(Response::new(Body::empty()))
        }));
        let request = |path: &str| Request::builder().uri(path).body(Body::empty()).unwrap();
        let caught = service.call(request("/panic")).await.unwrap();
        assert_eq!(caught.headers().get("grpc-status").unwrap(), "13");
        assert!(service.call(request("/")).await.unwrap().headers().get("grpc-status").is_none());
    }
}
