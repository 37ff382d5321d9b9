//! HTTP layer: converts between wire and domain types.

pub(crate) mod lists;
pub(crate) mod openid;
