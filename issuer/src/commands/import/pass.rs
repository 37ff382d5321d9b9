//! One pass over the rows of a file: batches that are sent, and their outcomes.

use std::{
    collections::{HashMap, VecDeque},
    time::Duration,
};

use carnet_proto::issuer::v1::{self as proto, offer_service_client::OfferServiceClient};
use carnet_service::{client::StaffTokenInterceptor, error::FieldViolation, wire};
use proto::{import_offers_request::Message, import_outcome::Outcome};
use serde_json::Value;
use sha2::{Digest as _, Sha256};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Status, Streaming, service::interceptor::InterceptedService, transport::Channel};

use super::{preview_row, progress::Progress, source::Source};
use crate::{
    commands::StaffFailure,
    import::{
        claims::{ConvertedRow, RowConverter, RowError},
        table::{TableError, TableReader, TableRow},
    },
    imports::MAX_BATCH_ROWS,
};

/// Maximum size of a batch, in bytes of its message; a larger row is sent alone.
const MAX_BATCH_BYTES: usize = 262_144;
/// Number of batches that are sent before the first is answered.
const MAX_PENDING: usize = 2;
/// Maximum wait for the answer to a batch.
const MAX_WAIT: Duration = Duration::from_secs(120);
/// Number of batches on one stream. The service checks the staff token at the beginning of each.
const BATCHES_PER_STREAM: usize = 50;
/// Maximum number of errors and of warnings that are kept; all are counted.
const MAX_PROBLEMS: usize = 10_000;

type Client = OfferServiceClient<InterceptedService<Channel, StaffTokenInterceptor>>;

/// Results of a pass.
#[derive(Debug, Default)]
pub(super) struct Findings {
    /// Number of rows with content.
    pub(super) rows: u64,
    pub(super) empty_rows: u64,
    pub(super) created: u64,
    pub(super) existed: u64,
    /// Number of existing offers that can no longer be collected.
    pub(super) closed: u64,
    /// Number of rows without an offer.
    pub(super) refused: u64,
    pub(super) errors: Vec<RowError>,
    pub(super) error_count: usize,
    pub(super) warnings: Vec<String>,
    pub(super) warning_count: usize,
}

impl Findings {
    fn refuse(&mut self, errors: Vec<RowError>) {
        self.refused = self.refused.saturating_add(1);
        self.error_count = self.error_count.saturating_add(errors.len());
        let room = MAX_PROBLEMS.saturating_sub(self.errors.len());
        self.errors.extend(errors.into_iter().take(room));
    }

    fn warn(&mut self, text: String) {
        self.warning_count = self.warning_count.saturating_add(1);
        if self.warnings.len() < MAX_PROBLEMS && !self.warnings.contains(&text) {
            self.warnings.push(text);
        }
    }
}

/// Receiver of the outcomes of valid rows, in their order.
pub(super) trait RowSink {
    /// Takes the outcome of a row.
    ///
    /// # Errors
    /// It cannot be written.
    fn take(&mut self, row: &ConvertedRow, imported: &proto::ImportedOffer) -> Result<(), StaffFailure>;
}

/// Rows as they would be issued.
#[derive(Debug, Default)]
pub(super) struct Preview {
    pub(super) rows: Vec<Value>,
}

impl RowSink for Preview {
    fn take(&mut self, row: &ConvertedRow, imported: &proto::ImportedOffer) -> Result<(), StaffFailure> {
        self.rows.push(preview_row(row.number, &row.reference, &row.language, imported));
        Ok(())
    }
}

/// Row that was sent, with its cells for error messages.
type SentRow = (TableRow, ConvertedRow);

/// Stream to the service.
struct OpenStream {
    sender: mpsc::Sender<proto::ImportOffersRequest>,
    answers: Streaming<proto::ImportOffersResponse>,
    sent: usize,
}

/// One pass over a file.
pub(super) struct Pass<'a> {
    pub(super) client: Client,
    pub(super) source: &'a Source,
    pub(super) columns: &'a [String],
    pub(super) converter: &'a RowConverter,
    /// `true` if the service stores the rows.
    pub(super) is_stored: bool,
    /// Maximum number of valid rows.
    pub(super) limit: Option<usize>,
}

impl Pass<'_> {
    /// Sends all rows that can be converted, and returns what was found. `verb`: for the progress.
    ///
    /// # Errors
    /// The file cannot be read further; the service refused a whole batch, or the connection failed; the sink failed.
    pub(super) async fn run(
        &mut self,
        terms: proto::ImportTerms,
        verb: &'static str,
        mut sink: Option<&mut dyn RowSink>,
    ) -> Result<Findings, StaffFailure> {
        let mut rows = Rows::new(self.source.reader(self.columns)?, self.converter, self.limit);
        let mut found = Findings::default();
        let mut progress = Progress::new(verb);
        let mut stream: Option<OpenStream> = None;
        let mut pending: VecDeque<Vec<SentRow>> = VecDeque::new();
        let mut done = 0_u64;
        loop {
            let is_full = stream.as_ref().is_some_and(|stream| stream.sent >= BATCHES_PER_STREAM);
            let batch = if is_full || pending.len() >= MAX_PENDING { None } else { rows.batch(&mut found)? };
            if let Some((message, sent)) = batch {
                let open = match stream.as_mut() {
                    Some(open) => open,
                    None => stream.insert(self.open(&terms).await.map_err(|status| self.failure(status, done))?),
                };
                open.sent = open.sent.saturating_add(1);
                // A stream that has ended tells why when it is read.
                open.sender.send(message).await.ok();
                pending.push_back(sent);
                continue;
            }
            let Some(sent) = pending.pop_front() else {
                if is_full {
                    stream = None;
                    continue;
                }
                break;
            };
            let Some(open) = stream.as_mut() else { break };
            let answer = tokio::time::timeout(MAX_WAIT, open.answers.message()).await.unwrap_or_else(|_| Err(silent()));
            let answer = answer.and_then(|answer| answer.ok_or_else(cut_off));
            let answer = answer.map_err(|status| self.failure(status, done))?;
            answer.warnings.into_iter().for_each(|warning| found.warn(warning));
            if answer.outcomes.len() != sent.len() {
                return Err(self.failure(cut_off(), done));
            }
            for ((row, converted), outcome) in sent.into_iter().zip(answer.outcomes) {
                done = done.saturating_add(1);
                self.take(&mut found, &row, &converted, outcome, &mut sink)?;
            }
            progress.show(done, rows.reader.progress());
        }
        found.rows = rows.count;
        found.empty_rows = rows.reader.empty_rows();
        Ok(found)
    }

    fn take(
        &self,
        found: &mut Findings,
        row: &TableRow,
        converted: &ConvertedRow,
        outcome: proto::ImportOutcome,
        sink: &mut Option<&mut dyn RowSink>,
    ) -> Result<(), StaffFailure> {
        match outcome.outcome {
            Some(Outcome::Offer(imported)) => {
                let count = if imported.existed { &mut found.existed } else { &mut found.created };
                *count = count.saturating_add(1);
                if self.is_stored && imported.offer_uri.is_empty() {
                    found.closed = found.closed.saturating_add(1);
                }
                imported.warnings.iter().for_each(|warning| found.warn(format!("row {}: {warning}", row.number)));
                sink.as_mut().map_or(Ok(()), |sink| sink.take(converted, &imported))
            }
            Some(Outcome::Error(error)) => {
                found.refuse(self.locate(row, error));
                Ok(())
            }
            None => Err(self.failure(cut_off(), found.created)),
        }
    }

    /// Returns the errors of a row with their columns.
    fn locate(&self, row: &TableRow, error: proto::ImportError) -> Vec<RowError> {
        let fields = error.fields.into_iter().map(|at| FieldViolation { field: at.field, description: at.description });
        let located: Vec<RowError> = fields.map(|at| self.converter.locate(row, &at.field, at.description)).collect();
        if located.is_empty() {
            let text = format!("{} ({})", error.message, error.reason);
            return vec![RowError { row: row.number, column: None, given: None, text }];
        }
        located
    }

    async fn open(&mut self, terms: &proto::ImportTerms) -> Result<OpenStream, Status> {
        let (sender, receiver) = mpsc::channel(1);
        let first = proto::ImportOffersRequest { message: Some(Message::Terms(terms.clone())) };
        // The channel has room for it.
        sender.send(first).await.ok();
        let answers = self.client.import_offers(ReceiverStream::new(receiver)).await?.into_inner();
        Ok(OpenStream { sender, answers, sent: 0 })
    }

    /// Returns the failure for an error that ended the stream; one without a reason comes from the connection.
    fn failure(&self, status: Status, done: u64) -> StaffFailure {
        let consequence = if self.is_stored {
            format!("{done} rows are stored. The same command continues, and creates no offer twice")
        } else {
            "Nothing was created".to_owned()
        };
        if wire::is_connection_failure(&status) {
            return Status::unavailable(format!("The connection to the service broke. {consequence}.")).into();
        }
        let message = format!("{} {consequence}.", status.message());
        Status::with_details(status.code(), message, status.details().to_vec().into()).into()
    }
}

fn silent() -> Status {
    Status::unavailable("The service did not answer in time.")
}

fn cut_off() -> Status {
    Status::unknown("The stream ended early.")
}

/// Rows of a file as batches.
struct Rows<'a> {
    reader: Box<dyn TableReader>,
    converter: &'a RowConverter,
    /// First row with each reference, by its digest.
    references: HashMap<[u8; 16], u64>,
    /// Row that did not fit into the last batch.
    held: Option<(SentRow, proto::ImportRow, usize)>,
    left: usize,
    count: u64,
}

impl<'a> Rows<'a> {
    fn new(reader: Box<dyn TableReader>, converter: &'a RowConverter, limit: Option<usize>) -> Self {
        let left = limit.unwrap_or(usize::MAX);
        Self { reader, converter, references: HashMap::new(), held: None, left, count: 0 }
    }

    /// Returns the message of the next batch, with its rows; `None` at the end.
    ///
    /// # Errors
    /// The file cannot be read further.
    fn batch(
        &mut self,
        found: &mut Findings,
    ) -> Result<Option<(proto::ImportOffersRequest, Vec<SentRow>)>, StaffFailure> {
        let (mut messages, mut sent, mut size) = (Vec::new(), Vec::new(), 0_usize);
        while messages.len() < MAX_BATCH_ROWS {
            let next = match self.held.take() {
                Some(held) => Some(held),
                None => self.next(found)?,
            };
            let Some((row, message, bytes)) = next else { break };
            if !messages.is_empty() && size.saturating_add(bytes) > MAX_BATCH_BYTES {
                self.held = Some((row, message, bytes));
                break;
            }
            size = size.saturating_add(bytes);
            messages.push(message);
            sent.push(row);
        }
        if messages.is_empty() {
            return Ok(None);
        }
        let rows = proto::ImportRows { rows: messages };
        Ok(Some((proto::ImportOffersRequest { message: Some(Message::Rows(rows)) }, sent)))
    }

    /// Returns the next row that can be converted, its message, and the size of that.
    fn next(&mut self, found: &mut Findings) -> Result<Option<(SentRow, proto::ImportRow, usize)>, StaffFailure> {
        while self.left > 0 {
            let row = match self.reader.next_row() {
                Ok(Some(row)) => row,
                Ok(None) => return Ok(None),
                Err(TableError::Row { number, text }) => {
                    self.count = self.count.saturating_add(1);
                    found.refuse(vec![RowError { row: number, column: None, given: None, text }]);
                    continue;
                }
                Err(error) => {
                    let text = format!(
                        "the file cannot be read further: {error}\nhint: correct it, and run the same command again"
                    );
                    return Err(StaffFailure::Input(text));
                }
            };
            self.count = self.count.saturating_add(1);
            let converted = match self.converter.convert(&row).and_then(|converted| self.first_of_its_kind(converted)) {
                Ok(converted) => converted,
                Err(errors) => {
                    found.refuse(errors);
                    continue;
                }
            };
            self.left = self.left.saturating_sub(1);
            let message = proto::ImportRow {
                key: key(&converted),
                claims: Some(wire::to_struct(&converted.claims)),
                reference: converted.reference.clone(),
                valid_from: converted.valid_from.map(wire::to_timestamp),
                valid_until: converted.valid_until.map(wire::to_timestamp),
            };
            let bytes = encoded_length(&message);
            // The claims are in the message.
            let converted = ConvertedRow { claims: serde_json::Map::new(), ..converted };
            return Ok(Some(((row, converted), message, bytes)));
        }
        Ok(None)
    }

    /// Refuses a reference that an earlier row has.
    fn first_of_its_kind(&mut self, row: ConvertedRow) -> Result<ConvertedRow, Vec<RowError>> {
        if row.reference.is_empty() {
            return Ok(row);
        }
        let digest: [u8; 32] = Sha256::digest(&row.reference).into();
        let digest = digest.first_chunk().copied().unwrap_or_default();
        let first = *self.references.entry(digest).or_insert(row.number);
        if first == row.number {
            return Ok(row);
        }
        let text = format!("reference: row {first} has the same; give each row another, or delete one of them");
        Err(vec![RowError { row: row.number, column: None, given: None, text }])
    }
}

/// Returns the key of a row within the import: its reference, or its number.
fn key(row: &ConvertedRow) -> String {
    if row.reference.is_empty() { format!("row:{}", row.number) } else { format!("ref:{}", row.reference) }
}

fn encoded_length(row: &proto::ImportRow) -> usize {
    prost::Message::encoded_len(row)
}
