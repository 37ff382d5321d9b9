//! Resolution of digests to claims (RFC 9901 section 7.1, steps 3 to 5), and selection of disclosures.

use std::fmt;

use serde_json::{Map, Value};

use super::{
    ClaimPath, DIGEST_ALGORITHM, DIGESTS, ELEMENT_DIGEST, MAX_DEPTH, SdJwt, Step, must_be_clear, parse::Disclosure,
};
use crate::{
    Code, Problem,
    at_least::Direction,
    format::CredentialFormat,
    metadata::{PathMember, is_metadata},
    query,
};

/// Maximum number of claims in the clear: the presenter determines their number, and each takes memory for its path.
const MAX_CLEAR: usize = 256;

/// Content of an SD-JWT after its digests were replaced by the disclosed claims.
#[derive(Clone)]
pub struct ResolvedSdJwt {
    /// Payload with every disclosed claim at its position, without `_sd`, `_sd_alg` and `...`.
    pub payload: Map<String, Value>,
    /// Path of each disclosure, in the order of the disclosures. Indexes refer to the *original* array, which includes
    /// undisclosed elements.
    pub disclosure_paths: Vec<ClaimPath>,
    /// Claims that are not selectively disclosable, in the payload or within a disclosure. A recipient can read them
    /// like disclosed claims.
    pub clear_claims: Vec<ClearClaim>,
}

/// Claim without parts that is neither selectively disclosable nor metadata. An object or array whose content is all
/// selectively disclosable counts too, since its name is readable; an array of commitments (spec/at-least.md 3.1) does
/// not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClearClaim {
    /// Path with indexes in the original arrays, as in [`ResolvedSdJwt::disclosure_paths`].
    pub original_path: ClaimPath,
    /// Path in [`ResolvedSdJwt::payload`], where undisclosed array elements do not count.
    pub payload_path: ClaimPath,
    /// Number of leading steps of both paths that lead to the innermost disclosure around the claim; 0 if the claim is
    /// readable without any disclosure.
    pub disclosure_steps: usize,
}

impl ClearClaim {
    /// Returns whether the claim is readable when the claims at these paths in the payload are disclosed.
    #[must_use]
    pub fn is_readable_with<'p>(&self, mut disclosed: impl Iterator<Item = &'p ClaimPath>) -> bool {
        let Some(around) = self.payload_path.get(..self.disclosure_steps).filter(|around| !around.is_empty()) else {
            return true;
        };
        disclosed.any(|path| path.iter().zip(around).all(|(one, other)| one == other))
    }
}

impl fmt::Debug for ResolvedSdJwt {
    /// Shows only the paths: the payload's values do not belong in logs.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResolvedSdJwt").field("paths", &self.disclosure_paths).finish_non_exhaustive()
    }
}

impl SdJwt {
    /// Replaces every digest that has a disclosure with the claim, and removes the others (RFC 9901 section 7.1, steps
    /// 3 to 5). The signature is NOT verified.
    ///
    /// # Errors
    /// `digest_algorithm`, `disclosure_malformed` (digests in a wrong position, or of a wrong type),
    /// `disclosure_duplicate`, `disclosure_unreferenced`, `disclosure_overrides`, `disclosure_forbidden` (see
    /// [`must_be_in_clear`](super::must_be_in_clear)), `too_deep`, `too_large` (more than 256 claims in the clear)
    pub fn resolve_disclosures(&self) -> Result<ResolvedSdJwt, Problem> {
        let (payload, resolver) = self.resolver()?;
        let places = resolver.places.into_iter().collect::<Option<Vec<_>>>().ok_or(Code::DisclosureUnreferenced)?;
        let paths = places.iter().map(|place| place.iter().map(PathStep::original).collect()).collect();
        let clear = resolver.clear.into_iter().map(|(place, within)| ClearClaim {
            original_path: place.iter().map(PathStep::original).collect(),
            payload_path: place.iter().map(PathStep::shown).collect(),
            disclosure_steps: within,
        });
        Ok(ResolvedSdJwt { payload, disclosure_paths: paths, clear_claims: clear.collect() })
    }

    /// Returns this SD-JWT with only the disclosures needed for `paths`, in their original order, and without key
    /// binding.
    ///
    /// These are the disclosures of each claim itself, of the claims that contain it, and of all claims within it.
    /// Indexes are those of the payload returned by [`SdJwt::resolve_disclosures`]; `All` selects each element. The path of a
    /// claim in the clear needs no disclosure. Without paths, no disclosure is kept.
    ///
    /// # Errors
    /// `query_unmet` if a path selects nothing; those of [`SdJwt::resolve_disclosures`].
    pub fn select_claims(&self, paths: &[ClaimPath]) -> Result<SdJwt, Problem> {
        let (payload, places) = self.resolve()?;
        let mut wanted = Vec::new();
        for path in paths {
            let found = query::values_at(&payload, path);
            if found.is_empty() {
                return Err(Problem::new(Code::QueryUnmet, format!("there is no {}", query::path_to_text(path))));
            }
            wanted.extend(found.into_iter().map(|(path, _)| path));
        }
        self.with_disclosures(&places, |place| {
            wanted.iter().any(|path| path.iter().zip(place).all(|(step, place)| place.matches_step(step)))
        })
    }

    /// Returns this SD-JWT with all disclosures except those of an array's elements, of which only one is kept, and
    /// without key binding. `element` is an index in the payload returned by [`SdJwt::resolve_disclosures`]; `None` keeps no
    /// element.
    ///
    /// # Errors
    /// Those of [`SdJwt::resolve_disclosures`].
    pub fn select_element(&self, array: &[Step], element: Option<usize>) -> Result<SdJwt, Problem> {
        let (_, places) = self.resolve()?;
        self.with_disclosures(&places, |place| {
            let leads_there = array.iter().zip(place).all(|(step, place)| place.matches_step(step));
            match place.get(array.len()) {
                Some(PathStep::Index { shown, .. }) if leads_there => element == Some(*shown),
                _ => true,
            }
        })
    }

    /// Returns the SD-JWT with those of its disclosures whose path satisfies `wanted`.
    fn with_disclosures(
        &self,
        places: &[Vec<PathStep<'_>>],
        wanted: impl Fn(&[PathStep<'_>]) -> bool,
    ) -> Result<SdJwt, Problem> {
        let mut text = self.jws().as_str().to_owned();
        text.push('~');
        let mut kept = Vec::new();
        let texts = self.text.split('~').skip(1);
        for ((disclosure, place), written) in self.disclosures.iter().zip(places).zip(texts) {
            if wanted(place) {
                kept.push(disclosure.clone());
                text.push_str(written);
                text.push('~');
            }
        }
        Self::from_parts(self.jws().clone(), text, kept, None)
    }

    /// Returns every digest in `_sd` and `...`, including decoys and digests within disclosures. If a digest occurs in
    /// two copies, they can be linked.
    ///
    /// # Errors
    /// Those of [`SdJwt::resolve_disclosures`].
    pub fn digests(&self) -> Result<Vec<&str>, Problem> {
        let (_, resolver) = self.resolver()?;
        Ok(resolver.seen)
    }

    /// Returns the payload with its disclosed claims, and the digests without a disclosure, each with its path.
    pub(super) fn resolve_with_decoys(&self) -> Result<(Map<String, Value>, Vec<Decoy<'_>>), Problem> {
        let mut resolver = self.new_resolver()?;
        resolver.decoys = Some(Vec::new());
        let payload = resolver.object(self.jws().payload(), 0)?;
        Ok((payload, resolver.decoys.unwrap_or_default()))
    }

    /// Returns the payload with its disclosed claims, and the resolver with what it found.
    fn resolver(&self) -> Result<(Map<String, Value>, DisclosureResolver<'_>), Problem> {
        let mut resolver = self.new_resolver()?;
        let payload = resolver.object(self.jws().payload(), 0)?;
        resolver.check_duplicates()?;
        Ok((payload, resolver))
    }

    fn new_resolver(&self) -> Result<DisclosureResolver<'_>, Problem> {
        self.check_digest_algorithm()?;
        Ok(DisclosureResolver {
            token: self,
            places: self.disclosures.iter().map(|_| None).collect(),
            seen: Vec::with_capacity(self.disclosures.len().saturating_mul(2)),
            path: Vec::new(),
            within: 0,
            clear: Vec::new(),
            decoys: None,
        })
    }

    /// Returns the payload with its disclosed claims, and the path of each disclosure.
    pub(super) fn resolve(&self) -> Result<ResolvedPaths<'_>, Problem> {
        let (payload, resolver) = self.resolver()?;
        let places = resolver.places.into_iter().collect::<Option<_>>();
        Ok((payload, places.ok_or(Code::DisclosureUnreferenced)?))
    }
}

/// Payload with its disclosed claims, and the path of each disclosure.
pub(super) type ResolvedPaths<'a> = (Map<String, Value>, Vec<Vec<PathStep<'a>>>);

/// Digest without a disclosure: the path of the object or array that contains it, and its text.
pub(super) type Decoy<'a> = (Vec<PathStep<'a>>, &'a str);

/// Step of the path of a disclosure. An array element has two indices: one among all elements, and one among the
/// readable ones.
#[derive(Clone, Copy)]
pub(super) enum PathStep<'a> {
    Name(&'a str),
    Index { original: usize, shown: usize },
}

impl<'a> PathStep<'a> {
    fn member(&self) -> PathMember<'a> {
        match *self {
            PathStep::Name(name) => PathMember::Name(name),
            PathStep::Index { .. } => PathMember::Element,
        }
    }

    /// Returns whether both are the same step in the payload with its disclosed claims.
    pub(super) fn is_same_step(&self, other: &PathStep<'_>) -> bool {
        match (self, other) {
            (PathStep::Name(name), PathStep::Name(wanted)) => name == wanted,
            (PathStep::Index { shown, .. }, PathStep::Index { shown: wanted, .. }) => shown == wanted,
            _ => false,
        }
    }

    fn original(&self) -> Step {
        match *self {
            PathStep::Name(name) => Step::Name(name.to_owned()),
            PathStep::Index { original, .. } => Step::Index(original),
        }
    }

    fn shown(&self) -> Step {
        match *self {
            PathStep::Name(name) => Step::Name(name.to_owned()),
            PathStep::Index { shown, .. } => Step::Index(shown),
        }
    }

    pub(super) fn matches_step(&self, step: &Step) -> bool {
        match (self, step) {
            (PathStep::Name(name), Step::Name(wanted)) => name == wanted,
            (PathStep::Index { shown, .. }, Step::Index(wanted)) => shown == wanted,
            _ => false,
        }
    }
}

struct DisclosureResolver<'a> {
    token: &'a SdJwt,
    /// Path of each disclosure; `None` until a digest refers to it.
    places: Vec<Option<Vec<PathStep<'a>>>>,
    /// Every digest found, including those without a disclosure.
    seen: Vec<&'a str>,
    path: Vec<PathStep<'a>>,
    /// Length of the path to the innermost disclosure around the current value; 0 outside disclosures.
    within: usize,
    /// Claims in the clear, each with the length of its path to the innermost disclosure.
    clear: Vec<(Vec<PathStep<'a>>, usize)>,
    /// Digests without a disclosure; `None` if they are not collected.
    decoys: Option<Vec<Decoy<'a>>>,
}

impl<'a> DisclosureResolver<'a> {
    fn value(&mut self, value: &'a Value) -> Result<Value, Problem> {
        // The length of the path is the depth of the value, disclosures within disclosures included.
        let depth = self.path.len();
        match value {
            Value::Object(_) | Value::Array(_) if depth >= MAX_DEPTH => Err(Code::TooDeep.into()),
            Value::Object(members) => self.object(members, depth).map(Value::Object),
            Value::Array(items) => self.array(items).map(Value::Array),
            other => Ok(other.clone()),
        }
    }

    /// Resolves a value that is not selectively disclosable, and records it if it is a claim without parts.
    fn in_the_clear(&mut self, value: &'a Value) -> Result<Value, Problem> {
        let has_clear_parts = match value {
            Value::Object(members) => members.keys().any(|name| name != DIGESTS),
            Value::Array(items) => items.iter().any(|item| item.get(ELEMENT_DIGEST).is_none()),
            _ => false,
        };
        let is_digests = || value.as_array().is_some_and(|items| !items.is_empty());
        if !(has_clear_parts || self.is_metadata(value) || is_digests() && self.is_at_commitments()) {
            if self.clear.len() >= MAX_CLEAR {
                let detail = format!("there are more than {MAX_CLEAR} claims in the clear");
                return Err(Problem::new(Code::TooLarge, detail));
            }
            self.clear.push((self.path.clone(), self.within));
        }
        self.value(value)
    }

    fn is_metadata(&self, value: &Value) -> bool {
        is_metadata(
            self.token.jws().typ().and_then(CredentialFormat::parse),
            self.path.iter().map(PathStep::member),
            value,
        )
    }

    /// Returns whether the current member has the name of an array of commitments (spec/at-least.md 3.1).
    fn is_at_commitments(&self) -> bool {
        let Some(PathStep::Name(name)) = self.path.last() else { return false };
        Direction::ALL.iter().any(|direction| name.ends_with(&direction.commitments_claim("")))
    }

    fn object(&mut self, members: &'a Map<String, Value>, depth: usize) -> Result<Map<String, Value>, Problem> {
        let mut shown = Map::new();
        for (name, value) in members {
            match name.as_str() {
                DIGESTS => continue,
                DIGEST_ALGORITHM if depth == 0 => continue,
                DIGEST_ALGORITHM => return Err(Problem::new(Code::DigestAlgorithm, "_sd_alg is below the top level")),
                ELEMENT_DIGEST => {
                    return Err(Problem::new(Code::DisclosureMalformed, "... is outside an array element"));
                }
                _ => {}
            }
            let value = self.with_step(PathStep::Name(name), |this| this.in_the_clear(value))?;
            shown.insert(name.clone(), value);
        }
        let Some(digests) = members.get(DIGESTS) else {
            return Ok(shown);
        };
        let digests = digests.as_array().ok_or_else(|| malformed("_sd is not an array"))?;
        for digest in digests {
            let digest = digest.as_str().ok_or_else(|| malformed("_sd contains a value that is not a digest"))?;
            let Some((index, disclosure)) = self.lookup(digest)? else { continue };
            let name = disclosure.name.as_deref().ok_or_else(|| malformed("an object's claim has no name"))?;
            if shown.contains_key(name) {
                return Err(Code::DisclosureOverrides.into());
            }
            let value = self.with_step(PathStep::Name(name), |this| this.resolve_disclosure(index, disclosure))?;
            shown.insert(name.to_owned(), value);
        }
        Ok(shown)
    }

    fn array(&mut self, items: &'a [Value]) -> Result<Vec<Value>, Problem> {
        let mut shown = Vec::with_capacity(items.len());
        for (original, item) in items.iter().enumerate() {
            let place = PathStep::Index { original, shown: shown.len() };
            let Some(digest) = item.get(ELEMENT_DIGEST) else {
                shown.push(self.with_step(place, |this| this.in_the_clear(item))?);
                continue;
            };
            // RFC 9901 gives no meaning to an object with further members.
            if item.as_object().is_none_or(|members| members.len() != 1) {
                return Err(malformed("an array's element has more than a digest"));
            }
            let digest = digest.as_str().ok_or_else(|| malformed("... is not a digest"))?;
            let Some((index, disclosure)) = self.lookup(digest)? else { continue };
            if disclosure.name.is_some() {
                return Err(malformed("an array's element has a name"));
            }
            shown.push(self.with_step(place, |this| this.resolve_disclosure(index, disclosure))?);
        }
        Ok(shown)
    }

    /// Returns the disclosure that a digest refers to; `None` if it was not presented. Records the digest in either
    /// case.
    ///
    /// Each disclosure can be used only once, so that resolution terminates even if disclosures refer to one another.
    fn lookup(&mut self, digest: &'a str) -> Result<Option<(usize, &'a Disclosure)>, Problem> {
        self.seen.push(digest);
        let token = self.token;
        let digest_at = |index: &usize| token.disclosures.get(*index).map(|disclosure| &disclosure.digest[..]);
        let found = token.by_digest.binary_search_by(|index| digest_at(index).cmp(&Some(digest.as_bytes())));
        let Some(index) = found.ok().and_then(|at| token.by_digest.get(at).copied()) else {
            if let Some(decoys) = &mut self.decoys {
                decoys.push((self.path.clone(), digest));
            }
            return Ok(None);
        };
        if self.places.get(index).is_some_and(Option::is_some) {
            return Err(Code::DisclosureDuplicate.into());
        }
        Ok(token.disclosures.get(index).map(|disclosure| (index, disclosure)))
    }

    /// Resolves a disclosure at the current path.
    fn resolve_disclosure(&mut self, index: usize, disclosure: &'a Disclosure) -> Result<Value, Problem> {
        if must_be_clear(self.token.jws().typ(), self.path.iter().map(PathStep::member)) {
            let path: ClaimPath = self.path.iter().map(PathStep::original).collect();
            return Err(Problem::new(Code::DisclosureForbidden, format!("{} is hidden", query::path_to_text(&path))));
        }
        if let Some(place) = self.places.get_mut(index) {
            *place = Some(self.path.clone());
        }
        let outer = std::mem::replace(&mut self.within, self.path.len());
        let value = self.value(&disclosure.value);
        self.within = outer;
        value
    }

    fn with_step<T>(&mut self, place: PathStep<'a>, then: impl FnOnce(&mut Self) -> T) -> T {
        self.path.push(place);
        let result = then(self);
        self.path.pop();
        result
    }

    fn check_duplicates(&mut self) -> Result<(), Problem> {
        self.seen.sort_unstable();
        let mut following = self.seen.iter().skip(1);
        if self.seen.iter().any(|digest| following.next() == Some(digest)) {
            return Err(Code::DisclosureDuplicate.into());
        }
        Ok(())
    }
}

fn malformed(detail: &str) -> Problem {
    Problem::new(Code::DisclosureMalformed, detail)
}
