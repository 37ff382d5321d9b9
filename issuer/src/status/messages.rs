//! Messages to holders: the meanings of their numbers.

use carnet_core::status::message::Messages;

use crate::{
    error::Error,
    store::{Store, StoreTx as _, status::StatusRows as _},
};

/// Records the meanings of messages on copies issued from now on. Meanings that no act has used, and no copy was issued
/// with, are deleted first; others must not change.
///
/// # Errors
/// [`Error::MessageChanged`]; store errors.
pub(crate) async fn settle<S: Store>(store: &S, messages: Option<&Messages>) -> Result<(), Error> {
    let mut tx = store.begin("settle_messages").await?;
    let newest = tx.last_copy().await?;
    tx.forget_messages(newest).await?;
    let text = |number| messages.and_then(|messages| messages.text(number));
    for (number, meant) in tx.messages().await? {
        if text(number) != Some(meant.as_str()) {
            return Err(Error::MessageChanged { number, meant });
        }
    }
    for (number, text) in (0..=u8::MAX).filter_map(|number| text(number).map(|text| (number, text))) {
        tx.insert_message(number, text, newest).await?;
    }
    Ok(tx.commit().await?)
}
