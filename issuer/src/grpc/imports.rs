//! Stream of rows of `carnet.issuer.v1.OfferService`.

use std::{collections::HashSet, sync::Arc, time::Duration};

use carnet_proto::issuer::v1 as proto;
use carnet_service::{error::CallError, wire};
use proto::{import_offers_request::Message, import_outcome::Outcome};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Status, Streaming};
use zeroize::Zeroizing;

use super::values::{claims_from_wire, day_start_from_wire, format_from_wire, offer_to_wire};
use crate::{
    error::Error,
    imports::{ImportRow, ImportTerms, RowOutcome},
    issuer::Issuer,
    offers::ReceivedClaims,
    secrets::Sha256Hash,
    store::Store,
};

/// Maximum duration of a stream: its staff token is checked when it begins.
const MAX_STREAM_DURATION: Duration = Duration::from_secs(600);
/// Maximum wait for a message of the client.
const MAX_SILENCE: Duration = Duration::from_secs(60);

type Answers = ReceiverStream<Result<proto::ImportOffersResponse, Status>>;

/// Answers the batches of a stream in their order, until its end or its maximum duration. A stream that is cut off, also
/// by the stop of the service, loses only the batch that was not answered.
pub(super) fn import_stream<S: Store>(
    issuer: Arc<Issuer<S>>,
    mut incoming: Streaming<proto::ImportOffersRequest>,
    created_by: String,
) -> Answers {
    let (sender, receiver) = mpsc::channel(1);
    tokio::spawn(async move {
        let mut end = std::pin::pin!(tokio::time::sleep(MAX_STREAM_DURATION));
        let mut terms: Option<(ImportTerms, bool)> = None;
        let mut seen = HashSet::new();
        loop {
            let next = tokio::select! {
                () = sender.closed() => break,
                () = &mut end => Err(Error::StreamEnded.into()),
                next = tokio::time::timeout(MAX_SILENCE, incoming.message()) => match next {
                    Err(_) => Err(Error::StreamEnded.into()),
                    Ok(Ok(None)) => break,
                    Ok(Ok(Some(message))) => Ok(message),
                    Ok(Err(status)) => Err(status),
                },
            };
            let answer = match next.map(|message| (message.message, &terms)) {
                Err(status) => Err(status),
                Ok((Some(Message::Terms(given)), None)) => match read_terms(given, &created_by) {
                    Ok(read) => {
                        terms = Some(read);
                        continue;
                    }
                    Err(error) => Err(error.into()),
                },
                Ok((Some(Message::Rows(rows)), Some((terms, return_claims)))) => {
                    import(&issuer, terms, rows, &mut seen, *return_claims).await
                }
                Ok(_) => {
                    let what = "the first message must have the terms, and each one after it must have rows";
                    Err(Error::invalid("message", what).into())
                }
            };
            let is_last = answer.is_err();
            if sender.send(answer).await.is_err() || is_last {
                break;
            }
        }
    });
    ReceiverStream::new(receiver)
}

/// Reads the terms; the second result is `true` if the claims are returned.
fn read_terms(given: proto::ImportTerms, created_by: &str) -> Result<(ImportTerms, bool), Error> {
    let secret = Zeroizing::new(given.secret);
    let format = format_from_wire(given.format)
        .ok_or_else(|| Error::invalid("format", "must be one of the credential formats"))?;
    if given.return_claims && !given.dry_run {
        return Err(Error::invalid("return_claims", "claims are returned in a dry run only"));
    }
    let terms = ImportTerms::new(&given.import_id, &secret, &given.credential_type, created_by)?;
    let terms = ImportTerms {
        format,
        with_pin: given.with_pin,
        ttl_seconds: given.offer_ttl_seconds,
        deferred: given.deferred,
        dry_run: given.dry_run,
        ..terms
    };
    Ok((terms, given.return_claims))
}

async fn import<S: Store>(
    issuer: &Issuer<S>,
    terms: &ImportTerms,
    rows: proto::ImportRows,
    seen: &mut HashSet<Sha256Hash>,
    return_claims: bool,
) -> Result<proto::ImportOffersResponse, Status> {
    let rows = rows.rows.into_iter().map(read_row).collect();
    let outcomes = issuer.import_rows(terms, rows, seen).await?;
    let outcomes = outcomes.into_iter().map(|outcome| outcome_to_wire(outcome, terms.dry_run, return_claims)).collect();
    Ok(proto::ImportOffersResponse { outcomes, warnings: issuer.publication_faults.problems() })
}

fn read_row(row: proto::ImportRow) -> Result<ImportRow, Error> {
    Ok(ImportRow {
        key: row.key,
        claims: ReceivedClaims(claims_from_wire(row.claims.as_ref())?),
        reference: row.reference,
        valid_from: day_start_from_wire("valid_from", row.valid_from.as_ref())?,
        valid_until: day_start_from_wire("valid_until", row.valid_until.as_ref())?,
    })
}

fn outcome_to_wire(outcome: RowOutcome, dry_run: bool, return_claims: bool) -> proto::ImportOutcome {
    let outcome = match outcome {
        Ok(row) => {
            let mut offer = offer_to_wire(&row.offer);
            if dry_run && !row.existed {
                offer.offer_id.clear();
            }
            let (offer_uri, offer_reference_uri) =
                row.links.map(|links| (links.by_value.to_string(), links.by_reference.to_string())).unwrap_or_default();
            Outcome::Offer(proto::ImportedOffer {
                offer: Some(offer),
                existed: row.existed,
                offer_uri,
                offer_reference_uri,
                pin: row.pin.map(|pin| pin.to_string()).unwrap_or_default(),
                warnings: row.warnings,
                claims: return_claims.then(|| wire::to_struct(&row.claims)),
            })
        }
        Err(error) => {
            let error = CallError::from(error);
            let fields = error.fields.into_iter();
            let fields =
                fields.map(|at| proto::ImportFieldError { field: at.field, description: at.description }).collect();
            Outcome::Error(proto::ImportError { reason: error.reason.into_owned(), message: error.message, fields })
        }
    };
    proto::ImportOutcome { outcome: Some(outcome) }
}
