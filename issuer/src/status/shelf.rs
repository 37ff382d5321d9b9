//! What is published, as bytes.

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

/// All forms of all lists, as they are served: one version of the store.
#[derive(Debug, Clone, Default)]
pub(crate) struct Shelf {
    /// The number of the last act that it shows.
    pub(super) version: i64,
    forms: BTreeMap<(i64, publication::Form), Form>,
    /// Signed statement of the store that it is of.
    statement: Option<SignedStatement>,
}

/// A statement as it is published.
#[derive(Debug, Clone)]
struct SignedStatement {
    said: PublicationStatement,
    kid: String,
    token: String,
}

/// One list in one form.
#[derive(Debug, Clone)]
pub(crate) struct Form {
    pub(crate) url: String,
    pub(crate) content: Content,
    /// A token in CBOR, at the same URL.
    pub(super) cwt: Option<Content>,
    made: Made,
}

/// What is served.
#[derive(Debug, Clone)]
pub(crate) struct Content {
    pub(crate) media_type: &'static str,
    /// An entity tag (RFC 9110 section 8.8.3), with its quotation marks: of these bytes and no others.
    pub(crate) etag: String,
    pub(crate) bytes: axum::body::Bytes,
}

impl Shelf {
    /// A form of a list.
    pub(super) fn form(&self, form: publication::Form, list: i64) -> Option<&Form> {
        self.forms.get(&(list, form))
    }

    pub(super) fn put(&mut self, form: publication::Form, list: i64, made: Form) {
        self.forms.insert((list, form), made);
    }

    /// Says which store this is of; signed again where that or the key is another.
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

    /// The statement on the store, signed.
    pub(super) fn statement(&self) -> Option<&str> {
        self.statement.as_ref().map(|statement| statement.token.as_str())
    }

    /// Takes out every other list.
    pub(super) fn retain(&mut self, stays: impl Fn(i64) -> bool) {
        self.forms.retain(|(list, _), _| stays(*list));
    }

    /// The numbers of the lists that are here.
    pub(super) fn lists(&self) -> BTreeSet<i64> {
        self.forms.keys().map(|(list, _)| *list).collect()
    }

    /// Whether a list is here.
    pub(super) fn has_list(&self, list: i64) -> bool {
        self.forms.keys().any(|(known, _)| *known == list)
    }

    /// The URLs of everything that is here.
    pub(crate) fn urls(&self) -> impl Iterator<Item = &str> {
        self.forms.values().map(|form| form.url.as_str())
    }

    /// What is at a URL.
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

    /// Whether it is to be signed again: half of its time is over, by a clock that may have been set back, or another key signs
    /// now.
    pub(super) fn is_due(&self, kid: &str, now: Timestamp, validity: i64) -> bool {
        self.made.kid != kid || now < self.made.at || now >= self.made.at.plus(validity / 2)
    }
}

impl Content {
    pub(super) fn new(media_type: &'static str, bytes: axum::body::Bytes) -> Self {
        let digest = Sha256::digest(&bytes);
        let etag = format!("\"{}\"", URL_SAFE_NO_PAD.encode(digest.get(..16).unwrap_or_default()));
        Self { media_type, etag, bytes }
    }
}
