//! Shared parts of the VC-API interfaces (W3C CCG, Verifiable Credentials API v0.3): messages, problem details and staff
//! authentication. The endpoints themselves, and the use cases behind them, are those of each service.

mod enveloped;
mod message;
mod problem;
mod resolution;

use axum::{
    Router,
    extract::{Request, State},
    http::{HeaderValue, header::CACHE_CONTROL},
    middleware::{Next, from_fn, from_fn_with_state},
    response::{IntoResponse as _, Response},
};

use crate::staff::StaffAuthenticator;

pub use enveloped::{EnvelopedContent, enveloped_credential, enveloped_text};
pub use message::{RequestMessage, json_response, read_message};
pub use problem::{ProblemDetails, VcApiError};
pub use resolution::resolution_response;

/// Adds staff authentication and `Cache-Control: no-store` to the routes of an interface. Handlers find the caller in
/// the extension [`crate::staff::StaffCaller`].
pub fn for_staff<S: Clone + Send + Sync + 'static>(routes: Router<S>, staff: StaffAuthenticator) -> Router<S> {
    routes.layer(from_fn_with_state(staff, require_staff)).layer(from_fn(forbid_caching))
}

/// Refuses a request without the token of a current staff member.
async fn require_staff(State(staff): State<StaffAuthenticator>, mut request: Request, next: Next) -> Response {
    match staff.authenticate(request.headers()) {
        Ok(caller) => {
            request.extensions_mut().insert(caller);
            next.run(request).await
        }
        Err(error) => VcApiError::from(error).into_response(),
    }
}

async fn forbid_caching(request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
