//! Published lists, as bytes.

use std::collections::{BTreeMap, BTreeSet};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use carnet_core::{
    Problem,
    status::{cwt, publication},
    time::Timestamp,
};
use sha2::{Digest as _, Sha256};

use super::{Made, PublicationStatement};
use crate::error::Error;

/// All lists in all formats, as served: one version of the store.
#[derive(Debug, Clone, Default)]
pub(crate) struct Shelf {
    /// Number of the last act that is included.
    pub(super) version: i64,
    forms: BTreeMap<(i64, publication::Form), Form>,
    /// Signed statement about the store.
    statement: Option<SignedStatement>,
}

/// Statement as published.
#[derive(Debug, Clone)]
struct SignedStatement {
    said: PublicationStatement,
    kid: String,
    token: String,
}

/// One list in one format.
#[derive(Debug, Clone)]
pub(crate) struct Form {
    pub(crate) url: String,
    pub(crate) content: Content,
    /// CBOR token, at the same URL.
    pub(crate) cwt: Option<Content>,
    made: Made,
}

/// Content of a response.
#[derive(Debug, Clone)]
pub(crate) struct Content {
    pub(crate) media_type: &'static str,
    /// Entity tag (RFC 9110 section 8.8.3), with its quotation marks, for exactly these bytes.
    pub(crate) etag: String,
    pub(crate) bytes: axum::body::Bytes,
}

impl Shelf {
    /// Returns a list in one format.
    pub(super) fn form(&self, form: publication::Form, list: i64) -> Option<&Form> {
        self.forms.get(&(list, form))
    }

    pub(super) fn put(&mut self, form: publication::Form, list: i64, made: Form) {
        self.forms.insert((list, form), made);
    }

    /// Sets the statement about the store; it is signed again if the statement or the key has changed.
    pub(super) fn state(
        &mut self,
        said: Option<&PublicationStatement>,
        sign: impl FnOnce(&PublicationStatement) -> Result<String, Problem>,
        kid: &str,
    ) -> Result<(), Error> {
        let Some(said) = said else { return Ok(()) };
        if self.statement.as_ref().is_some_and(|there| there.said == *said && there.kid == kid) {
            return Ok(());
        }
        let token = sign(said).map_err(Error::Signing)?;
        self.statement = Some(SignedStatement { said: said.clone(), kid: kid.to_owned(), token });
        Ok(())
    }

    /// Returns the signed statement about the store.
    pub(crate) fn statement(&self) -> Option<&str> {
        self.statement.as_ref().map(|statement| statement.token.as_str())
    }

    /// Removes all other lists.
    pub(super) fn retain(&mut self, stays: impl Fn(i64) -> bool) {
        self.forms.retain(|(list, _), _| stays(*list));
    }

    /// Returns the numbers of the lists.
    pub(super) fn lists(&self) -> BTreeSet<i64> {
        self.forms.keys().map(|(list, _)| *list).collect()
    }

    /// Tests if a list is included.
    pub(super) fn has_list(&self, list: i64) -> bool {
        self.forms.keys().any(|(known, _)| *known == list)
    }

    /// Returns the URLs of all content.
    pub(crate) fn urls(&self) -> impl Iterator<Item = &str> {
        self.forms.values().map(|form| form.url.as_str())
    }

    /// Returns the content at a URL.
    pub(crate) fn at(&self, url: &str) -> Option<&Form> {
        self.forms.values().find(|form| form.url == url)
    }
}

impl Form {
    pub(super) fn new(
        form: publication::Form,
        url: String,
        text: String,
        cwt: Option<Vec<u8>>,
        (kid, now): (&str, Timestamp),
    ) -> Self {
        let content = Content::new(form.media_type(), text.into());
        let cwt = cwt.map(|bytes| Content::new(cwt::MEDIA_TYPE, bytes.into()));
        Self { url, content, cwt, made: Made { kid: kid.to_owned(), at: now } }
    }

    /// Tests if a list must be signed again: half of its lifetime is over, the clock was set back, or the key has
    /// changed.
    pub(super) fn is_due(&self, kid: &str, now: Timestamp, validity: i64) -> bool {
        self.made.kid != kid || now < self.made.at || now >= self.made.at.plus(validity / 2)
    }
}

impl Content {
    pub(crate) fn new(media_type: &'static str, bytes: axum::body::Bytes) -> Self {
        let digest = Sha256::digest(&bytes);
        let etag = format!("\"{}\"", URL_SAFE_NO_PAD.encode(digest.get(..16).unwrap_or_default()));
        Self { media_type, etag, bytes }
    }
}
