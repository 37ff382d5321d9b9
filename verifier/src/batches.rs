//! Use cases for those who verify by the thousand. Each item has the rules, the limits and the reasons of the same use
//! case for one, and its result does not depend on the others.

use std::sync::Arc;

use carnet_core::time::Timestamp;
use serde_json::{Map, Value};

use crate::{
    error::Error,
    presentations::{require_audience, require_nonce},
    requests::{CreateRequest, CreatedRequest, parse_custom_query},
    store::Store,
    verification::{HandedOver, HandedOverResult},
    verifier::Verifier,
};

/// Maximum number of presentations in one message.
pub(crate) const MAX_PRESENTATIONS: usize = 256;
/// Maximum number of requests that one call creates.
pub(crate) const MAX_REQUESTS: usize = 100;

impl<S: Store> Verifier<S> {
    /// Verifies presentations as [`Verifier::verify_presentation`] does, all against the same query and audience.
    /// Returns their results in order. Stores nothing about them.
    ///
    /// # Errors
    /// Those that concern all of them: too many or none, an invalid or unsupported query, an empty audience,
    /// [`Error::ClockBehind`], store errors.
    pub(crate) async fn verify_presentations(
        &self,
        items: Vec<HandedOver>,
        dcql: Map<String, Value>,
        audience: String,
        now: Timestamp,
    ) -> Result<Vec<HandedOverResult>, Error> {
        require_count("items", items.len(), MAX_PRESENTATIONS)?;
        require_audience(&audience)?;
        let (_, query) = parse_custom_query(dcql, "dcql_query")?;
        self.verification.clock.require_not_behind(now)?;
        let items = items.into_iter().map(|item| require_nonce(&item.nonce).map(|()| item)).collect();
        let results = self.verification.verify_presentations(items, query, audience, now).await?;
        self.save_clock_floor().await?;
        Ok(results)
    }

    /// Creates requests as [`Verifier::create_request`] does, and returns their results in order.
    ///
    /// # Errors
    /// Too many or none; internal errors.
    pub(crate) async fn create_requests(
        self: &Arc<Self>,
        calls: Vec<Result<CreateRequest, Error>>,
        now: Timestamp,
    ) -> Result<Vec<Result<CreatedRequest, Error>>, Error> {
        require_count("requests", calls.len(), MAX_REQUESTS)?;
        // At the same time, so that they share commits.
        let creating = calls.into_iter().map(|call| {
            let this = Arc::clone(self);
            tokio::spawn(async move { this.create_request(call?, now).await })
        });
        let creating: Vec<_> = creating.collect();
        let mut results = Vec::with_capacity(creating.len());
        for created in creating {
            results.push(created.await.map_err(|error| Error::Internal(error.to_string()))?);
        }
        Ok(results)
    }
}

fn require_count(field: &'static str, count: usize, most: usize) -> Result<(), Error> {
    if (1..=most).contains(&count) {
        return Ok(());
    }
    Err(Error::invalid("BATCH_SIZE_OUT_OF_RANGE", field, format!("must be 1 to {most}; these are {count}")))
}
