//! gRPC adapter: converts between messages and domain types.

mod batches;
mod convert;
mod presentation;
mod verification;

use std::sync::Arc;

use carnet_proto::verifier::v1::{
    presentation_service_server::PresentationServiceServer, verification_service_server::VerificationServiceServer,
};
use carnet_service::{error::CallError, staff::StaffAuthenticator};
use tonic::{
    Status,
    service::{Routes, interceptor::InterceptedService},
};

use crate::{error::Error, store::Store, verifier::Verifier};

impl From<Error> for Status {
    fn from(error: Error) -> Self {
        CallError::from(error).into()
    }
}

/// Full names of the gRPC services, for health checks.
pub(crate) const SERVICE_NAMES: [&str; 2] =
    ["carnet.verifier.v1.PresentationService", "carnet.verifier.v1.VerificationService"];

/// Returns the routes of both gRPC services: the public one for holders, and the one for staff, which requires a staff
/// token.
pub(crate) fn routes<S: Store>(
    verifier: Arc<Verifier<S>>,
    staff: StaffAuthenticator,
    max_message_bytes: usize,
) -> Routes {
    let presentations = PresentationServiceServer::new(presentation::PresentationGrpc(Arc::clone(&verifier)))
        .max_decoding_message_size(max_message_bytes);
    let verifications = VerificationServiceServer::new(verification::VerificationGrpc(verifier))
        .max_decoding_message_size(max_message_bytes);
    Routes::new(presentations).add_service(InterceptedService::new(verifications, staff))
}
