//! HTTP adapter: converts between messages and domain types.

pub(crate) mod lists;
pub(crate) mod openid;
