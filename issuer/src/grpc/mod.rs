//! gRPC adapter: converts between protobuf messages and domain types.

mod imports;
pub(crate) mod issuance;
pub(crate) mod offers;
pub(crate) mod renewals;
pub(crate) mod status;
pub(crate) mod values;

use carnet_service::error::CallError;
use tonic::Status;

use crate::error::Error;

impl From<Error> for Status {
    fn from(error: Error) -> Self {
        CallError::from(error).into()
    }
}
