//! HTTP adapter on the same listener as gRPC: the OpenID4VP endpoints, and the VC-API for staff.

mod error;
mod openid;
mod vc_api;

use std::sync::Arc;

use axum::Router;
use carnet_service::staff::StaffAuthenticator;

use crate::{store::Store, verifier::Verifier};

/// Returns the routes of the HTTP endpoints. The maximum body size is that of a gRPC message.
pub(crate) fn router<S: Store>(
    verifier: Arc<Verifier<S>>,
    staff: StaffAuthenticator,
    max_message_bytes: usize,
) -> Router {
    let openid = openid::router(Arc::clone(&verifier), max_message_bytes);
    openid.merge(vc_api::router(verifier, staff, max_message_bytes))
}
