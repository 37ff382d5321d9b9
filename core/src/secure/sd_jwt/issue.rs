//! Making an SD-JWT (RFC 9901 section 4): digests in, a signature over the rest.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::{Map, Value};

use super::{
    ClaimPath, DIGEST_ALGORITHM, DIGESTS, ELEMENT, MAX_DEPTH, OrderedClaim, SHA_256, Step, never_hidden,
    parse::{DigestText, digest_of},
};
use crate::{
    Code, Problem, Rng,
    at_least::{self, Direction, Ordered},
    keys::{PublicKey, Signer},
    secure::jose,
};

/// The most that digests may be padded to a multiple of.
const MAX_DECOYS: usize = 256;

/// How to issue.
pub struct IssueOptions<'a> {
    /// `vc+sd-jwt` or `dc+sd-jwt`.
    pub typ: &'a str,
    /// The `kid`: a DID URL.
    pub kid: &'a str,
    /// Paths that are selectively disclosable; deeper ones are made first, so an object and its
    /// members can both be. `All` matches each element. A path that leads to nothing in this payload
    /// is passed over: a type lists the claims that a credential may have.
    pub disclosable: &'a [ClaimPath],
    /// Claims with an order, whose thresholds can be proved; each is among the disclosable. A claim that is absent
    /// or has no place in the order (spec/at-least.md section 1) gets decoys for commitments, so that the array
    /// says nothing of it.
    pub ordered: &'a [OrderedClaim],
    /// The holder's key, put in `cnf`.
    pub holder: Option<&'a PublicKey>,
    /// How many digests each `_sd` array is padded to a multiple of, with decoys (RFC 9901 section
    /// 4.2.5); 0: no decoys; at most 256.
    pub decoys_to_multiple_of: usize,
}

/// Issues: digests in, signature over the rest. Returns `jwt~d1~...~dn~`.
///
/// Each salt has 128 bits from `rng`; digests are sorted, so that their order says nothing.
///
/// # Errors
/// `disclosure_forbidden` (a path that security needs, see [`never_hidden`]), `disclosure_name` (the
/// payload has a member `_sd`, `_sd_alg` or `...`), `claim_forbidden` (the payload has a `cnf` and
/// a holder's key is to be put there), `too_deep`, `malformed_value` (too many decoys),
/// `proof_generation` (no randomness, or no signature).
pub fn issue(
    payload: &Map<String, Value>,
    options: &IssueOptions<'_>,
    signer: &dyn Signer,
    rng: Rng<'_>,
) -> Result<String, Problem> {
    if options.disclosable.iter().any(|path| never_hidden(Some(options.typ), path)) {
        return Err(Problem::new(Code::DisclosureForbidden, "a claim that security needs would be hidden"));
    }
    if options.decoys_to_multiple_of > MAX_DECOYS {
        return Err(Problem::new(Code::MalformedValue, "digests can be padded to a multiple of 256 at most"));
    }
    let seen = Seen {
        disclosable: options.disclosable.iter().map(Vec::as_slice).collect(),
        ordered: options.ordered.iter().map(|claim| (claim.direction, claim.path.as_slice())).collect(),
    };
    let count = options.disclosable.len();
    let mut sealer = Sealer { rng, decoys: options.decoys_to_multiple_of, disclosures: Vec::with_capacity(count) };
    let mut payload = sealer.object(payload, &seen, 0)?;
    if let Some(key) = options.holder {
        let confirmation = Map::from_iter([("jwk".to_owned(), Value::Object(key.to_jwk()))]);
        if payload.insert("cnf".to_owned(), confirmation.into()).is_some() {
            return Err(Problem::new(Code::ClaimForbidden, "the payload has a cnf already"));
        }
    }
    payload.insert(DIGEST_ALGORITHM.to_owned(), SHA_256.into());
    let header =
        Map::from_iter([("typ".to_owned(), Value::from(options.typ)), ("kid".to_owned(), Value::from(options.kid))]);
    let mut compact = jose::sign(header, &payload, signer)?;
    compact.push('~');
    for disclosure in sealer.disclosures {
        compact.push_str(&disclosure);
        compact.push('~');
    }
    Ok(compact)
}

/// The paths that lead on from a value.
struct Seen<'p> {
    disclosable: Vec<&'p [Step]>,
    ordered: Vec<(Direction, &'p [Step])>,
}

impl<'p> Seen<'p> {
    /// The rest of each path whose first step leads on.
    fn below(&self, leads: impl Fn(&Step) -> bool) -> Self {
        let rest = |path: &'p [Step]| path.split_first().filter(|(step, _)| leads(step)).map(|(_, rest)| rest);
        Self {
            disclosable: self.disclosable.iter().filter_map(|path| rest(path)).collect(),
            ordered: self.ordered.iter().filter_map(|(direction, path)| Some((*direction, rest(path)?))).collect(),
        }
    }

    /// Whether this very value is disclosable.
    fn hides(&self) -> bool {
        self.disclosable.iter().any(|path| path.is_empty())
    }

    /// The members of this very object that have an order.
    fn ordered_members(&self) -> impl Iterator<Item = (Direction, &'p str)> {
        self.ordered.iter().filter_map(|(direction, path)| match path {
            [Step::Name(name)] => Some((*direction, name.as_str())),
            _ => None,
        })
    }
}

/// Puts digests in the place of what is disclosable.
struct Sealer<'a> {
    rng: Rng<'a>,
    decoys: usize,
    disclosures: Vec<String>,
}

impl Sealer<'_> {
    /// `seen` has the paths of the disclosable claims as seen from this value.
    fn value(&mut self, value: &Value, seen: &Seen<'_>, depth: usize) -> Result<Value, Problem> {
        match value {
            Value::Object(_) | Value::Array(_) if depth >= MAX_DEPTH => Err(Code::TooDeep.into()),
            Value::Object(members) => self.object(members, seen, depth).map(Value::Object),
            Value::Array(items) => self.array(items, seen, depth).map(Value::Array),
            other => Ok(other.clone()),
        }
    }

    fn object(
        &mut self,
        members: &Map<String, Value>,
        seen: &Seen<'_>,
        depth: usize,
    ) -> Result<Map<String, Value>, Problem> {
        let mut sealed = Map::new();
        let mut digests = Vec::new();
        let mut salts = Vec::new();
        for (name, value) in members {
            if [DIGESTS, ELEMENT, DIGEST_ALGORITHM].contains(&name.as_str()) {
                return Err(Problem::new(Code::DisclosureName, format!("a claim cannot be named {name}")));
            }
            let below = seen.below(|step| matches!(step, Step::Name(wanted) if wanted == name));
            let value = self.value(value, &below, depth.saturating_add(1))?;
            if below.hides() {
                let salt = self.random::<16>()?;
                digests.push(self.disclose(&salt, Some(name), &value)?);
                salts.push((name.as_str(), salt));
            } else {
                sealed.insert(name.clone(), value);
            }
        }
        for (direction, name) in seen.ordered_members() {
            let beside = direction.commitments_claim(name);
            let salt = salts.iter().find(|(hidden, _)| *hidden == name).map(|(_, salt)| salt.as_str());
            let hidden = members.get(name).zip(salt);
            if hidden.is_none() && members.contains_key(name) {
                return Err(Problem::new(Code::DisclosureForbidden, format!("{name} has an order and is not hidden")));
            }
            let array = self.commitments(direction, hidden)?;
            if members.contains_key(&beside) || sealed.insert(beside.clone(), array).is_some() {
                return Err(Problem::new(Code::ClaimForbidden, format!("the payload has a {beside} already")));
            }
        }
        if !digests.is_empty() {
            if self.decoys > 0 {
                let padded = digests.len().checked_next_multiple_of(self.decoys).unwrap_or(digests.len());
                while digests.len() < padded {
                    // The digest of randomness (RFC 9901 section 4.2.5), which nobody can tell from another.
                    digests.push(digest_of(&self.random::<32>()?));
                }
            }
            digests.sort_unstable();
            let digests = digests.iter().map(|digest| Value::from(text(digest))).collect();
            sealed.insert(DIGESTS.to_owned(), Value::Array(digests));
        }
        Ok(sealed)
    }

    fn array(&mut self, items: &[Value], seen: &Seen<'_>, depth: usize) -> Result<Vec<Value>, Problem> {
        let mut sealed = Vec::with_capacity(items.len());
        for (index, item) in items.iter().enumerate() {
            let below = seen.below(|step| match step {
                Step::Index(wanted) => *wanted == index,
                Step::All => true,
                Step::Name(_) => false,
            });
            let mut value = self.value(item, &below, depth.saturating_add(1))?;
            if below.hides() {
                let salt = self.random::<16>()?;
                value = element(&self.disclose(&salt, None, &value)?);
            }
            sealed.push(value);
        }
        Ok(sealed)
    }

    /// The commitments to a hidden value and its salt, as an array of disclosable elements, with decoys in the
    /// place of those that the value does not have.
    fn commitments(&mut self, direction: Direction, hidden: Option<(&Value, &str)>) -> Result<Value, Problem> {
        let mut elements = Vec::with_capacity(at_least::ENTRIES);
        if let Some((value, salt)) = hidden
            && let Ok(value) = Ordered::of_claim(direction, value)
        {
            for entry in at_least::commitments(direction, salt, value) {
                let own = self.random::<16>()?;
                elements.push(self.disclose(&own, None, &entry.commitment.to_string().into())?);
            }
        }
        while elements.len() < at_least::ENTRIES {
            elements.push(digest_of(&self.random::<32>()?));
        }
        // The order of digests of fresh salts is random, and says nothing of the entries.
        elements.sort_unstable();
        Ok(elements.iter().map(element).collect())
    }

    fn disclose(&mut self, salt: &str, name: Option<&str>, value: &Value) -> Result<DigestText, Problem> {
        let written = match name {
            Some(name) => serde_json::to_vec(&(salt, name, value)),
            None => serde_json::to_vec(&(salt, value)),
        };
        let written = written.map_err(|_| Problem::new(Code::ProofGeneration, "a disclosure could not be written"))?;
        let disclosure = URL_SAFE_NO_PAD.encode(written);
        let digest = digest_of(&disclosure);
        self.disclosures.push(disclosure);
        Ok(digest)
    }

    fn random<const N: usize>(&mut self) -> Result<String, Problem> {
        let mut bytes = [0; N];
        self.rng
            .try_fill_bytes(&mut bytes)
            .map_err(|_| Problem::new(Code::ProofGeneration, "there is no randomness to be had"))?;
        Ok(URL_SAFE_NO_PAD.encode(bytes))
    }
}

/// An array's element that is disclosable (RFC 9901 section 4.2.4.2).
fn element(digest: &DigestText) -> Value {
    Value::Object(Map::from_iter([(ELEMENT.to_owned(), Value::from(text(digest)))]))
}

fn text(digest: &DigestText) -> &str {
    // Base64url is ASCII.
    std::str::from_utf8(digest).unwrap_or_default()
}
