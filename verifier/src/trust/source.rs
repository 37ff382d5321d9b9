//! Sources of a trust list and its timestamp.

use std::path::PathBuf;

use carnet_core::{
    Problem,
    input::decode_file_bytes,
    trust::list::{ListTimestamp, TrustListContents},
};
use carnet_fetch::HttpsFetcher;
use carnet_service::config::{StartError, invalid_field};

use super::no_list_problem;

/// File or URL of a trust list or timestamp, which is read periodically.
pub(super) enum TrustListSource {
    File(PathBuf),
    Url(String),
}

impl TrustListSource {
    /// Parses the configured location of a list. The second source is that of its timestamp, next to it.
    ///
    /// # Errors
    /// It is a URL that is not https.
    pub(super) fn parse(list: &str) -> Result<(Self, Self), StartError> {
        let timestamp = ListTimestamp::timestamp_url(list);
        match list.split_once("://") {
            Some(("https", _)) => Ok((Self::Url(list.to_owned()), Self::Url(timestamp))),
            Some(_) => Err(invalid_field(
                "trust.list",
                format!("trust.list is {list}, which is neither a file nor an https URL"),
            )),
            None => Ok((Self::File(PathBuf::from(list)), Self::File(PathBuf::from(timestamp)))),
        }
    }

    /// Returns the source of the list with this number in the history next to `list`; `None` for an invalid location.
    pub(super) fn historical(list: &str, number: u64) -> Option<Self> {
        Self::parse(&TrustListContents::history_url(list, number)).ok().map(|(list, _)| list)
    }

    /// Returns whether the source is a file, which is read at each refresh.
    pub(super) fn is_file(&self) -> bool {
        matches!(self, Self::File(_))
    }

    /// Reads the source; from a URL at most `most` bytes.
    ///
    /// # Errors
    /// It is missing, unreachable or too large, or a file in UTF-16.
    pub(super) async fn read(&self, fetcher: &HttpsFetcher, most: usize) -> Result<Vec<u8>, Problem> {
        match self {
            Self::File(path) => {
                let read = tokio::fs::read(path).await;
                let unread = |error: &dyn std::fmt::Display| {
                    no_list_problem(&format!("{} cannot be read: {error}", path.display()))
                };
                let content = read.map_err(|error| unread(&error))?;
                decode_file_bytes(&content).map(<[u8]>::to_vec).map_err(|error| unread(&error))
            }
            Self::Url(url) => fetcher.fetch(url, "application/vc, application/json", most).await,
        }
    }
}
