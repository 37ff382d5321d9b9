//! HTTP on the same listener as gRPC: the OpenID4VP wire over the same use cases.

mod error;
mod openid;

use std::sync::Arc;

use axum::Router;

use crate::{store::Store, verifier::Verifier};

/// Returns the routes. A body is at most as long as a message of gRPC.
pub(crate) fn router<S: Store>(verifier: Arc<Verifier<S>>, max_message_bytes: usize) -> Router {
    openid::router(verifier, max_message_bytes)
}
