//! HTTP adapter: status lists, and OpenID4VCI over the same use cases as gRPC.

pub(crate) mod openid;
pub(crate) mod status_lists;
