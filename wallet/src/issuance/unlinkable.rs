//! Values that would link copies of one wallet: repeated digests, salts or status indices.

use std::collections::{BTreeSet, HashSet};

use carnet_core::{
    Code, Problem,
    json::{Limits, parse_object},
    secure::{copy::CopyProfile, sd_jwt::SdJwt},
};
use serde_json::{Map, Value};

use super::{directory::status_entries, recognisable_copy_problem};
use crate::store::{CredentialCopy, HeldCredential};

/// Parsed text of a copy.
enum ParsedCopy {
    Token(Box<SdJwt>),
    Document(Map<String, Value>),
}

impl ParsedCopy {
    /// Parses a copy; `None` for one that cannot be parsed, as copies of older versions may be.
    fn read(copy: &CredentialCopy) -> Option<Self> {
        let text = copy.credential.text();
        if text.starts_with('{') {
            return parse_object(text.as_bytes(), Limits::DOCUMENT).ok().map(Self::Document);
        }
        SdJwt::parse(&text).ok().map(|token| Self::Token(Box::new(token)))
    }

    fn members(&self) -> &Map<String, Value> {
        match self {
            Self::Token(token) => token.jws().payload(),
            Self::Document(document) => document,
        }
    }

    fn digests(&self) -> Vec<&str> {
        match self {
            Self::Token(token) => token.digests().unwrap_or_default(),
            Self::Document(_) => Vec::new(),
        }
    }

    fn salts(&self) -> impl Iterator<Item = &str> {
        let token = match self {
            Self::Token(token) => Some(token),
            Self::Document(_) => None,
        };
        token.into_iter().flat_map(|token| token.salts())
    }
}

/// Returns the substrings of a salt, each with its position, of `shared` characters. No two copies may have the same
/// substring at the same position. A shorter salt is one substring.
fn pieces(salt: &str, shared: usize) -> impl Iterator<Item = (usize, &[u8])> {
    salt.as_bytes().windows(shared.clamp(1, salt.len().max(1))).enumerate()
}

/// Refuses fresh copies that share digests, salts or status indices with each other or with a presentable copy in the
/// wallet, and batches in more status lists than the type's profile permits. Values shared among earlier copies are not
/// checked: they can no longer be changed.
///
/// # Errors
/// `malformed_value` for a common digest, otherwise `copy_marked`.
pub(super) fn check_unlinkable(
    held: &[HeldCredential],
    fresh: &[CredentialCopy],
    profile: &CopyProfile,
) -> Result<(), Problem> {
    let twice = |what: &str| recognisable_copy_problem(&format!("two copies have {what} in common"));
    let joined = || Problem::new(Code::MalformedValue, "two copies have a digest in common");
    let texts: Vec<ParsedCopy> = fresh.iter().filter_map(ParsedCopy::read).collect();
    let (mut digests, mut salts, mut taken) = (HashSet::new(), HashSet::new(), HashSet::new());
    let mut lists = BTreeSet::new();
    for text in &texts {
        if !text.digests().into_iter().all(|digest| digests.insert(digest)) {
            return Err(joined());
        }
        if !text.salts().flat_map(|salt| pieces(salt, profile.linking_salt_characters)).all(|piece| salts.insert(piece))
        {
            return Err(twice("a salt, or part of one,"));
        }
        let places = status_entries(text.members());
        lists.insert(places.iter().map(|(url, _)| url.clone()).collect::<Vec<_>>());
        if !places.into_iter().all(|place| taken.insert(place)) {
            return Err(twice("a place in a status list"));
        }
    }
    if lists.len() > profile.max_lists_per_batch {
        return Err(recognisable_copy_problem("the copies of one batch are in too many status lists"));
    }
    for copy in held.iter().flat_map(|held| &held.copies).filter(|copy| copy.is_presentable()) {
        let Some(text) = ParsedCopy::read(copy) else { continue };
        if text.digests().into_iter().any(|digest| digests.contains(digest)) {
            return Err(joined());
        }
        if text
            .salts()
            .flat_map(|salt| pieces(salt, profile.linking_salt_characters))
            .any(|piece| salts.contains(&piece))
        {
            return Err(twice("a salt, or part of one,"));
        }
        if status_entries(text.members()).iter().any(|place| taken.contains(place)) {
            return Err(twice("a place in a status list"));
        }
    }
    Ok(())
}
