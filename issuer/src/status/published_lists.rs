//! Signed status lists, as served.

use std::collections::{BTreeMap, BTreeSet};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use carnet_core::{
    Problem,
    status::{cwt, publication},
    time::Timestamp,
};
use sha2::{Digest as _, Sha256};

use super::statement::PublicationStatement;
use crate::error::Error;

/// All published lists in all formats, as served, for one version of the store.
#[derive(Debug, Clone, Default)]
pub(crate) struct PublishedLists {
    /// Number of the last act that is included.
    pub(super) version: i64,
    /// Lists by number and format.
    by_list_and_format: BTreeMap<(i64, publication::ListFormat), PublishedList>,
    /// Signed statement about the store.
    statement: Option<SignedStatement>,
}

/// Statement about the store, as published, with the key that signed it.
#[derive(Debug, Clone)]
struct SignedStatement {
    statement: PublicationStatement,
    kid: String,
    token: String,
}

/// Status list in one format, as published.
#[derive(Debug, Clone)]
pub(crate) struct PublishedList {
    pub(crate) url: String,
    pub(crate) content: HttpContent,
    /// The same list as a status list token in CBOR (CWT), served at the same URL; only beside the token in JWT format.
    pub(crate) cwt: Option<HttpContent>,
    signature: ListSignature,
}

/// Key and time of a list's signature, which determine when it is signed again.
#[derive(Debug, Clone, PartialEq, Eq)]
struct ListSignature {
    /// DID URL of the signing key.
    kid: String,
    signed_at: Timestamp,
}

/// Body of an HTTP response, with its media type and entity tag.
#[derive(Debug, Clone)]
pub(crate) struct HttpContent {
    pub(crate) media_type: &'static str,
    /// Entity tag of the body (RFC 9110 section 8.8.3), including the quotation marks.
    pub(crate) etag: String,
    pub(crate) bytes: axum::body::Bytes,
}

impl PublishedLists {
    /// Returns a list in one format; `None` if it is not published.
    pub(super) fn list_in_format(&self, form: publication::ListFormat, list: i64) -> Option<&PublishedList> {
        self.by_list_and_format.get(&(list, form))
    }

    /// Adds a list in one format, or replaces it.
    pub(super) fn insert(&mut self, form: publication::ListFormat, list: i64, made: PublishedList) {
        self.by_list_and_format.insert((list, form), made);
    }

    /// Sets the statement about the store, if there is one. It is signed only if it or the key has changed.
    ///
    /// # Errors
    /// [`Error::Signing`]
    pub(super) fn set_statement(
        &mut self,
        said: Option<&PublicationStatement>,
        sign: impl FnOnce(&PublicationStatement) -> Result<String, Problem>,
        kid: &str,
    ) -> Result<(), Error> {
        let Some(said) = said else { return Ok(()) };
        if self.statement.as_ref().is_some_and(|there| there.statement == *said && there.kid == kid) {
            return Ok(());
        }
        let token = sign(said).map_err(Error::Signing)?;
        self.statement = Some(SignedStatement { statement: said.clone(), kid: kid.to_owned(), token });
        Ok(())
    }

    /// Returns the signed statement about the store, as a compact JWS; `None` before the first publication.
    pub(crate) fn statement(&self) -> Option<&str> {
        self.statement.as_ref().map(|statement| statement.token.as_str())
    }

    /// Removes all lists except those whose number the condition accepts.
    pub(super) fn retain(&mut self, stays: impl Fn(i64) -> bool) {
        self.by_list_and_format.retain(|(list, _), _| stays(*list));
    }

    /// Returns the numbers of the published lists.
    pub(super) fn list_numbers(&self) -> BTreeSet<i64> {
        self.by_list_and_format.keys().map(|(list, _)| *list).collect()
    }

    /// Returns whether a list is published in any format.
    pub(super) fn has_list(&self, list: i64) -> bool {
        self.by_list_and_format.keys().any(|(known, _)| *known == list)
    }

    /// Returns the URLs of all lists, one for each list and format.
    pub(crate) fn urls(&self) -> impl Iterator<Item = &str> {
        self.by_list_and_format.values().map(|form| form.url.as_str())
    }

    /// Returns the list that is published at a URL; `None` if there is none.
    pub(crate) fn by_url(&self, url: &str) -> Option<&PublishedList> {
        self.by_list_and_format.values().find(|form| form.url == url)
    }
}

impl PublishedList {
    /// Creates a published list. `text`: the signed list; `cwt`: the same as CBOR; `kid` and `now`: key and time of the
    /// signature.
    pub(super) fn new(
        form: publication::ListFormat,
        url: String,
        text: String,
        cwt: Option<Vec<u8>>,
        (kid, now): (&str, Timestamp),
    ) -> Self {
        let content = HttpContent::new(form.media_type(), text.into());
        let cwt = cwt.map(|bytes| HttpContent::new(cwt::MEDIA_TYPE, bytes.into()));
        Self { url, content, cwt, signature: ListSignature { kid: kid.to_owned(), signed_at: now } }
    }

    /// Returns whether a list must be signed again: half of its validity period (`validity`, in seconds) is over, the
    /// clock was set back, or the key has changed.
    pub(super) fn is_signature_due(&self, kid: &str, now: Timestamp, validity: i64) -> bool {
        self.signature.kid != kid
            || now < self.signature.signed_at
            || now >= self.signature.signed_at.plus(validity / 2)
    }
}

impl HttpContent {
    /// Creates a response body, and computes its entity tag.
    pub(crate) fn new(media_type: &'static str, bytes: axum::body::Bytes) -> Self {
        let digest = Sha256::digest(&bytes);
        let etag = format!("\"{}\"", URL_SAFE_NO_PAD.encode(digest.get(..16).unwrap_or_default()));
        Self { media_type, etag, bytes }
    }
}
