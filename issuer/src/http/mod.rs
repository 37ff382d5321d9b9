//! HTTP adapter: status lists, and OpenID4VCI and VC-API over the same use cases as gRPC.

pub(crate) mod openid;
pub(crate) mod status_lists;
pub(crate) mod vc_api;
