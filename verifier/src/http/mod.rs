//! HTTP adapter on the same listener as gRPC: the OpenID4VP endpoints.

mod error;
mod openid;

use std::sync::Arc;

use axum::Router;

use crate::{store::Store, verifier::Verifier};

/// Returns the routes of the HTTP endpoints. The maximum body size is that of a gRPC message.
pub(crate) fn router<S: Store>(verifier: Arc<Verifier<S>>, max_message_bytes: usize) -> Router {
    openid::router(verifier, max_message_bytes)
}
