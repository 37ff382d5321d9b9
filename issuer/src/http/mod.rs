//! HTTP adapter: status lists, and OpenID4VCI over the same use cases as gRPC.

pub(crate) mod lists;
pub(crate) mod openid;
