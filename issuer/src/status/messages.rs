//! Messages to holders: record of the configured texts, so that a number keeps its meaning.

use carnet_core::status::message::StatusMessages;

use crate::{
    error::Error,
    store::{Store, StoreTx as _, status::StatusRows as _},
};

/// Records the configured message texts at the start of the service. Recorded texts that were never sent, and that no
/// copy was issued under, are replaced or removed; all others must be unchanged. `None`: no messages are configured.
///
/// # Errors
/// [`Error::MessageChanged`] with the first recorded text that the configuration changes or removes; store errors.
pub(crate) async fn record_messages<S: Store>(store: &S, messages: Option<&StatusMessages>) -> Result<(), Error> {
    let mut tx = store.begin("settle_messages").await?;
    let newest = tx.last_copy_number().await?;
    tx.delete_unused_messages(newest).await?;
    let text = |number| messages.and_then(|messages| messages.text(number));
    for (number, meant) in tx.message_texts().await? {
        if text(number) != Some(meant.as_str()) {
            return Err(Error::MessageChanged { number, meant });
        }
    }
    for (number, text) in (0..=u8::MAX).filter_map(|number| text(number).map(|text| (number, text))) {
        tx.insert_message(number, text, newest).await?;
    }
    Ok(tx.commit().await?)
}
