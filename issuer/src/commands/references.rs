//! Offers that a file of references, or the folder of an import, names.

use std::{
    collections::{BTreeSet, HashSet},
    fs::File,
    path::{Path, PathBuf},
};

use carnet_core::{input::decode_file_text, text::quoted};
use carnet_proto::issuer::v1::{self as proto, offer_service_client::OfferServiceClient};
use carnet_service::{client::StaffTokenInterceptor, disk};
use clap::Args;
use tonic::{service::interceptor::InterceptedService, transport::Channel};

use super::StaffFailure;
use crate::import::{csv::CsvReader, encoding::Encoding, table::TableReader as _};

/// Number of unknown references that an error names.
const SHOWN_REFERENCES: usize = 5;

/// Arguments that name many offers.
#[derive(Debug, Clone, Args)]
pub(crate) struct ReferenceArgs {
    /// A file with references of offers, one per line; `-` reads standard input.
    #[arg(long, value_name = "FILE")]
    pub(super) references: Option<PathBuf>,
    /// The folder of an import: all offers in its links.csv.
    #[arg(long, value_name = "DIR", conflicts_with = "references")]
    pub(super) import: Option<PathBuf>,
}

impl ReferenceArgs {
    pub(super) fn is_given(&self) -> bool {
        self.references.is_some() || self.import.is_some()
    }

    /// Finds the offers.
    ///
    /// # Errors
    /// The file cannot be read or names none; no offer has one of the references; the service failed.
    pub(super) async fn find(
        &self,
        channel: Channel,
        token: StaffTokenInterceptor,
    ) -> Result<Vec<proto::Offer>, StaffFailure> {
        let mut client = OfferServiceClient::with_interceptor(channel, token);
        let mut found = Vec::new();
        if let Some(folder) = &self.import {
            let wanted = imported_ids(folder)?;
            let mut pages = OfferPages::new(&mut client, String::new());
            while found.len() < wanted.len()
                && let Some(offers) = pages.next().await?
            {
                found.extend(offers.into_iter().filter(|offer| wanted.contains(&offer.offer_id)));
            }
            if found.is_empty() {
                return Err(StaffFailure::Input(format!(
                    "the service has none of the {} offers of the import; nothing was changed\nhint: check --server",
                    wanted.len()
                )));
            }
            return Ok(found);
        }
        let mut unknown = Vec::new();
        for reference in
            self.references.iter().map(|path| read_references(path)).collect::<Result<Vec<_>, _>>()?.concat()
        {
            let before = found.len();
            let mut pages = OfferPages::new(&mut client, reference.clone());
            while let Some(offers) = pages.next().await? {
                found.extend(offers);
            }
            if found.len() == before {
                unknown.push(quoted(&reference));
            }
        }
        match unknown.len() {
            0 => Ok(found),
            count => {
                let shown = unknown.iter().take(SHOWN_REFERENCES).cloned().collect::<Vec<_>>().join(", ");
                Err(StaffFailure::Input(format!(
                    "no offer has {count} of the references, such as {shown}; nothing was changed\nhint: correct the file"
                )))
            }
        }
    }
}

/// Pages of the offers with a reference, or of all offers for an empty one.
struct OfferPages<'a> {
    client: &'a mut OfferServiceClient<InterceptedService<Channel, StaffTokenInterceptor>>,
    /// Request for the next page; `None` after the last.
    request: Option<proto::ListOffersRequest>,
}

impl<'a> OfferPages<'a> {
    fn new(
        client: &'a mut OfferServiceClient<InterceptedService<Channel, StaffTokenInterceptor>>,
        reference: String,
    ) -> Self {
        let request = proto::ListOffersRequest { page_size: 500, reference, ..Default::default() };
        Self { client, request: Some(request) }
    }

    /// Returns the offers of the next page; `None` after the last.
    async fn next(&mut self) -> Result<Option<Vec<proto::Offer>>, StaffFailure> {
        let Some(request) = self.request.take() else { return Ok(None) };
        let page = self.client.list_offers(request.clone()).await?.into_inner();
        let next = proto::ListOffersRequest { page_token: page.next_page_token, ..request };
        self.request = Some(next).filter(|next| !next.page_token.is_empty());
        Ok(Some(page.offers))
    }
}

/// Refuses a change of several offers without approval and their number.
///
/// # Errors
/// `--yes` and `--count` are missing, or the number differs.
pub(super) fn require_count(found: usize, count: Option<u64>, yes: bool) -> Result<(), StaffFailure> {
    let found = u64::try_from(found).unwrap_or(u64::MAX);
    let refused = |text: String| Err(StaffFailure::WithReason { reason: "approval_needed", text });
    match count.filter(|_| yes) {
        Some(count) if count == found => Ok(()),
        Some(count) => refused(format!(
            "{found} offers would be cancelled, and {count} were expected; nothing was changed\nhint: check the file"
        )),
        None => refused(format!(
            "{found} offers would be cancelled; nothing was changed\nhint: to do it, add --yes --count {found}"
        )),
    }
}

/// Reads references from a file, one per line; white space around them and empty lines are skipped.
fn read_references(path: &Path) -> Result<Vec<String>, StaffFailure> {
    let unread = |error: &dyn std::fmt::Display| {
        StaffFailure::Unreadable(format!(
            "the references in {} cannot be read: {error}\nhint: check the path, and that the file is text in UTF-8",
            path.display()
        ))
    };
    let content = disk::read_file_or_stdin(path).map_err(|error| unread(&error))?;
    let text = decode_file_text(&content).map_err(|error| unread(&error))?;
    let references: BTreeSet<String> =
        text.lines().map(str::trim).filter(|line| !line.is_empty()).map(str::to_owned).collect();
    if references.is_empty() {
        let what = format!("{} has no references\nhint: give one reference a line", path.display());
        return Err(StaffFailure::Input(what));
    }
    Ok(references.into_iter().collect())
}

/// Reads the ids of all offers of an import.
fn imported_ids(folder: &Path) -> Result<HashSet<String>, StaffFailure> {
    let path = folder.join("links.csv");
    let failed = |error: &dyn std::fmt::Display| {
        StaffFailure::Unreadable(format!(
            "{} cannot be read: {error}\nhint: name the folder that was given to `import` with --out",
            path.display()
        ))
    };
    let file = File::open(&path).map_err(|error| failed(&error))?;
    let mut reader = CsvReader::new(file, 0, false, Encoding::Utf8, b',').map_err(|error| failed(&error))?;
    let place = reader.columns().iter().position(|name| name == "offer_id");
    let place = place.ok_or_else(|| failed(&"it has no column offer_id"))?;
    let mut ids = HashSet::new();
    while let Some(row) = reader.next_row().map_err(|error| failed(&error))? {
        ids.extend(row.cells.get(place).map(|cell| cell.shown()));
    }
    if ids.is_empty() { Err(failed(&"it has no offers")) } else { Ok(ids) }
}
