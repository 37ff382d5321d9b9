//! VC-API endpoints `POST /credentials/verify`, `POST /presentations/verify` and `GET /identifiers/{did}` for staff
//! (W3C CCG, Verifiable Credentials API v0.3; docs/vc-api.md). The use cases are those of the gRPC service for staff.

mod messages;
mod presentation;

use std::sync::Arc;

use axum::{
    Router,
    body::Body,
    extract::{Path, State, rejection::PathRejection},
    http::HeaderMap,
    response::Response,
    routing::{get, post},
};
use carnet_core::did::Resolve as _;
use carnet_service::{
    staff::StaffAuthenticator,
    time::now,
    vc_api::{self, VcApiError, read_message, resolution_response},
};

use self::messages::{credential_bytes, require_verification_options, verification_response};
use crate::{store::Store, verifier::Verifier};

struct EndpointState<S> {
    verifier: Arc<Verifier<S>>,
    max_message_bytes: usize,
}

/// Returns the routes. `max_message_bytes`: maximum size of a request body.
pub(super) fn router<S: Store>(
    verifier: Arc<Verifier<S>>,
    staff: StaffAuthenticator,
    max_message_bytes: usize,
) -> Router {
    let routes = Router::new()
        .route("/credentials/verify", post(verify_credential::<S>))
        .route("/presentations/verify", post(verify_presentation::<S>))
        .route("/identifiers/{did}", get(resolve::<S>));
    vc_api::for_staff(routes, staff).with_state(Arc::new(EndpointState { verifier, max_message_bytes }))
}

async fn verify_credential<S: Store>(
    State(door): State<Arc<EndpointState<S>>>,
    headers: HeaderMap,
    body: Body,
) -> Response {
    let verified = async {
        let mut message = read_message(&headers, body, door.max_message_bytes).await?;
        let credential = credential_bytes(message.take_object("verifiableCredential")?)?;
        let mut options = vc_api::RequestMessage::new(message.take_optional_object("options")?);
        message.require_nothing_else("the request")?;
        require_verification_options(&mut options)?;
        options.require_nothing_else("options")?;
        Ok::<_, VcApiError>(door.verifier.verify_credential(credential, now()).await?)
    };
    verification_response(verified.await)
}

async fn verify_presentation<S: Store>(
    State(door): State<Arc<EndpointState<S>>>,
    headers: HeaderMap,
    body: Body,
) -> Response {
    let verified = async {
        let mut message = read_message(&headers, body, door.max_message_bytes).await?;
        let presentation = message.take_object("verifiablePresentation")?;
        let mut options = vc_api::RequestMessage::new(message.take_optional_object("options")?);
        message.require_nothing_else("the request")?;
        require_verification_options(&mut options)?;
        let nonce = options.take_optional_text("challenge")?.unwrap_or_default();
        let audience = options.take_optional_text("domain")?.unwrap_or_default();
        let query = options.take("dcql_query");
        options.require_nothing_else("options")?;
        let presented = presentation::read(presentation, query, &door.verifier.verification)?;
        let (vp_token, query) = (presented.vp_token, presented.query);
        Ok::<_, VcApiError>(door.verifier.verify_presentation(vp_token, query, nonce, audience, now()).await?)
    };
    verification_response(verified.await)
}

/// Handles `GET /identifiers/{did}`: documents of DIDs that contain their key, of the accepted issuers, and of this
/// verifier. Nothing is fetched, so that no caller can make this verifier send a request.
async fn resolve<S: Store>(
    State(door): State<Arc<EndpointState<S>>>,
    path: Result<Path<String>, PathRejection>,
) -> Response {
    let did = path.map(|Path(did)| did).unwrap_or_default();
    let identity = &door.verifier.identity;
    let issuers = &door.verifier.verification.issuers;
    resolution_response(&did, |did| {
        if *did == identity.did {
            identity.own_resolver()?.resolve(did)
        } else {
            issuers.documents_at(now()).resolve(did)
        }
    })
}
