//! Issuance of SD-JWTs (RFC 9901 section 4).

use std::borrow::Cow;

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::{Map, Value};

use super::{
    ClaimPath, DIGEST_ALGORITHM, DIGESTS, ELEMENT_DIGEST, MAX_DEPTH, OrderedClaim, SHA_256, Step, must_be_in_clear,
    parse::{DigestText, digest_text},
    resolution::PathStep,
};
use crate::{
    Code, Problem, Rng,
    at_least::{self, Direction, OrderedValue},
    json,
    keys::{PublicKey, SignatureAlgorithm, Signer},
    secure::jose,
};

/// Maximum of [`IssueOptions::decoys_to_multiple_of`] and of [`PaddedArray::digest_count`].
const MAX_DECOYS: usize = 256;

/// Options for issuing an SD-JWT.
pub struct IssueOptions<'a> {
    /// `typ` header: `vc+sd-jwt` or `dc+sd-jwt`.
    pub typ: &'a str,
    /// `kid` header: a DID URL.
    pub kid: &'a str,
    /// Paths of the selectively disclosable claims. Both an object and its members can be included. `All` selects each
    /// element. A path that selects nothing in this payload is ignored, since a type lists all claims that a credential
    /// may have.
    pub disclosable: &'a [ClaimPath],
    /// Ordered claims, for which thresholds can be proved; they must be selectively disclosable. For a claim that is
    /// absent or out of range (spec/at-least.md section 1), the array of commitments consists of decoys, so that the
    /// array does not reveal this.
    pub ordered_claims: &'a [OrderedClaim],
    /// Holder's key for `cnf`; `None` omits `cnf`.
    pub holder_key: Option<&'a PublicKey>,
    /// Each `_sd` array is padded with decoys (RFC 9901 section 4.2.5): its length is the number of claim names that
    /// could be hidden at that position in any payload, rounded up to a multiple of this. Its length thus reveals
    /// nothing about the payload. 0: no decoys; at most 256.
    pub decoys_to_multiple_of: usize,
    /// Arrays whose elements are hidden and unordered, and which are padded with decoys to hide the number of elements.
    pub padded_arrays: &'a [PaddedArray],
}

/// Array with a fixed number of digests in every copy, in an order that reveals nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PaddedArray {
    /// Path of the array. Each element is selectively disclosable, and nothing within an element is.
    pub path: ClaimPath,
    /// Number of digests, including decoys; at most 256.
    pub digest_count: usize,
}

/// Issues an SD-JWT: replaces the disclosable claims with digests, signs, and returns `jwt~d1~...~dn~`.
///
/// Each salt has 128 bits from `rng`; digests are sorted, so that their order reveals nothing. Everything else is
/// determined by `payload` and `options`. Header, payload and disclosures are serialised canonically (RFC 8785).
/// Disclosures are in the order of claim names: those within a claim precede its own, and those of commitments follow
/// those of their sibling claims. Elements of a padded array are in the order of their digests.
///
/// # Errors
/// `disclosure_forbidden` (a claim that must stay in the clear, see [`must_be_in_clear`], or an ordered claim that is
/// not disclosable), `disclosure_name` (the payload has a member `_sd`, `_sd_alg` or `...`), `claim_forbidden` (the
/// payload has a `cnf` although `options` has a holder's key, or a member with the name of an array of commitments),
/// `too_deep`, `malformed_value` (too many decoys, or a padded array with too many elements or an element that is not
/// disclosable), `algorithm_forbidden` (a P-384 key), `proof_generation` (randomness, serialisation or signing failed).
///
/// # Examples
/// ```
/// use carnet_core::{
///     keys::{SignatureAlgorithm, SecretKey, Signer},
///     query::parse_path,
///     secure::sd_jwt::{IssueOptions, KeyBindingRequirements, SdJwt, issue},
///     time::Timestamp,
/// };
/// use serde_json::json;
///
/// let [issuer, holder] = [1, 2].map(|seed| SecretKey::from_bytes(SignatureAlgorithm::EdDsa, &[seed; 32]).unwrap());
/// let payload = json!({"iss": "did:web:university.example", "title": "Master of Science", "grade": "1.5"});
/// let [title, grade] = ["title", "grade"].map(|name| parse_path(&json!([name])).unwrap());
/// let options = IssueOptions {
///     typ: "dc+sd-jwt",
///     kid: "did:web:university.example#key-1",
///     disclosable: &[title.clone(), grade],
///     ordered_claims: &[],
///     holder_key: Some(&holder.public_key()),
///     decoys_to_multiple_of: 4,
///     padded_arrays: &[],
/// };
/// let copy = issue(payload.as_object().unwrap(), &options, &issuer, &mut rand_core::OsRng)?;
///
/// // The holder shows the title, to one verifier and for one request.
/// let now = Timestamp::parse("2026-11-18T09:30:00Z")?;
/// let shown = SdJwt::parse(&copy)?.select_claims(&[title])?.bind_key("n-0S6", "agency.example", now, &holder)?;
///
/// let presented = SdJwt::parse(&shown)?;
/// presented.verify_signature(&issuer.public_key())?;
/// let required = KeyBindingRequirements { nonce: "n-0S6", audience: "agency.example", now, max_age: 300, skew: 60 };
/// presented.verify_key_binding(&required)?;
/// let payload = presented.resolve_disclosures()?.payload;
/// assert!(payload.contains_key("title") && !payload.contains_key("grade"));
/// # Ok::<(), carnet_core::Problem>(())
/// ```
pub fn issue(
    payload: &Map<String, Value>,
    options: &IssueOptions<'_>,
    signer: &dyn Signer,
    rng: Rng<'_>,
) -> Result<String, Problem> {
    let Rendered { signing_input, disclosures } =
        render(payload, options, signer.algorithm(), &mut RandomBlinding(rng))?;
    let mut compact = jose::append_signature(signing_input, signer)?;
    compact.push_str(&disclosures);
    Ok(compact)
}

/// SD-JWT without its signature.
pub(super) struct Rendered {
    pub(super) signing_input: String,
    /// Text after the signature: `~d1~...~dn~`.
    pub(super) disclosures: String,
}

/// Renders the signing input and the disclosures. They are determined by the arguments and the output of `blinding`.
pub(super) fn render(
    payload: &Map<String, Value>,
    options: &IssueOptions<'_>,
    algorithm: SignatureAlgorithm,
    blinding: &mut dyn BlindingSource,
) -> Result<Rendered, Problem> {
    if options.disclosable.iter().any(|path| must_be_in_clear(Some(options.typ), path)) {
        return Err(Problem::new(
            Code::DisclosureForbidden,
            "a claim that must not be hidden is selectively disclosable",
        ));
    }
    if options.decoys_to_multiple_of > MAX_DECOYS
        || options.padded_arrays.iter().any(|array| array.digest_count > MAX_DECOYS)
    {
        return Err(Problem::new(
            Code::MalformedValue,
            "decoys_to_multiple_of and the digests of a padded array are at most 256",
        ));
    }
    let seen = RemainingPaths {
        disclosable: options.disclosable.iter().map(Vec::as_slice).collect(),
        ordered: options.ordered_claims.iter().map(|claim| (claim.direction, claim.path.as_slice())).collect(),
        padded: options.padded_arrays.iter().map(|array| (array.digest_count, array.path.as_slice())).collect(),
    };
    let mut disclosures = String::with_capacity(options.disclosable.len().saturating_mul(96));
    disclosures.push('~');
    let mut sealer = DisclosureBuilder {
        blinding,
        decoys: options.decoys_to_multiple_of,
        disclosures,
        path: Vec::new(),
        written: Vec::new(),
    };
    let mut payload = sealer.object(payload, &seen)?;
    if let Some(key) = options.holder_key {
        let confirmation = Map::from_iter([("jwk".to_owned(), Value::Object(key.to_jwk()))]);
        if payload.insert("cnf".to_owned(), confirmation.into()).is_some() {
            return Err(Problem::new(Code::ClaimForbidden, "the payload already has a cnf"));
        }
    }
    payload.insert(DIGEST_ALGORITHM.to_owned(), SHA_256.into());
    let header =
        Map::from_iter([("typ".to_owned(), Value::from(options.typ)), ("kid".to_owned(), Value::from(options.kid))]);
    let signing_input = jose::signing_input(header, &payload, algorithm)?;
    Ok(Rendered { signing_input, disclosures: sealer.disclosures })
}

/// Source of salts and decoys. Issuance draws them at random; a check of a copy takes them from the copy.
pub(super) trait BlindingSource {
    /// Returns the salt of the next disclosure.
    fn salt(&mut self) -> Result<String, Problem>;
    /// Returns a decoy digest for an object, or for the array that is its member.
    fn decoy(&mut self, object: &[PathStep<'_>], array: Option<&str>) -> Result<DigestText, Problem>;
}

struct RandomBlinding<'a>(Rng<'a>);

impl RandomBlinding<'_> {
    fn random<const N: usize>(&mut self) -> Result<String, Problem> {
        let mut bytes = [0; N];
        self.0
            .try_fill_bytes(&mut bytes)
            .map_err(|_| Problem::new(Code::ProofGeneration, "the system provides no randomness"))?;
        Ok(URL_SAFE_NO_PAD.encode(bytes))
    }
}

impl BlindingSource for RandomBlinding<'_> {
    fn salt(&mut self) -> Result<String, Problem> {
        self.random::<16>()
    }

    fn decoy(&mut self, _: &[PathStep<'_>], _: Option<&str>) -> Result<DigestText, Problem> {
        // The digest of random bytes (RFC 9901 section 4.2.5) cannot be distinguished from another digest.
        Ok(digest_text(&self.random::<32>()?))
    }
}

/// Remaining paths, relative to the current value.
struct RemainingPaths<'p> {
    disclosable: Vec<&'p [Step]>,
    ordered: Vec<(Direction, &'p [Step])>,
    padded: Vec<(usize, &'p [Step])>,
}

impl<'p> RemainingPaths<'p> {
    /// Returns the rest of each path whose first step satisfies `leads`.
    fn below(&self, leads: impl Fn(&Step) -> bool) -> Self {
        let rest = |path: &'p [Step]| path.split_first().filter(|(step, _)| leads(step)).map(|(_, rest)| rest);
        Self {
            disclosable: self.disclosable.iter().filter_map(|path| rest(path)).collect(),
            ordered: self.ordered.iter().filter_map(|(direction, path)| Some((*direction, rest(path)?))).collect(),
            padded: self.padded.iter().filter_map(|(digests, path)| Some((*digests, rest(path)?))).collect(),
        }
    }

    /// Returns the number of digests of the current array; `None` if it is not padded.
    fn padded_to(&self) -> Option<usize> {
        self.padded.iter().find(|(_, path)| path.is_empty()).map(|(digests, _)| *digests)
    }

    /// Returns the number of claim names that can be hidden in the current object.
    fn hidden_names(&self) -> usize {
        let name = |path: &&'p [Step]| match path {
            [Step::Name(name)] => Some(name.as_str()),
            _ => None,
        };
        let mut names: Vec<&str> = self.disclosable.iter().filter_map(name).collect();
        names.sort_unstable();
        names.dedup();
        names.len()
    }

    /// Returns whether the value that a step leads to is itself selectively disclosable.
    fn is_disclosable(&self, leads: impl Fn(&Step) -> bool) -> bool {
        self.disclosable.iter().any(|path| matches!(path, [step] if leads(step)))
    }

    /// Returns the ordered claims among the members of the current object.
    fn ordered_members(&self) -> impl Iterator<Item = (Direction, &'p str)> {
        self.ordered.iter().filter_map(|(direction, path)| match path {
            [Step::Name(name)] => Some((*direction, name.as_str())),
            _ => None,
        })
    }
}

/// Replaces selectively disclosable claims with digests.
struct DisclosureBuilder<'a, 'p> {
    blinding: &'a mut dyn BlindingSource,
    decoys: usize,
    disclosures: String,
    /// Buffer for a disclosure before its encoding.
    written: Vec<u8>,
    /// Path of the current value.
    path: Vec<PathStep<'p>>,
}

impl<'p> DisclosureBuilder<'_, 'p> {
    /// Replaces the claims within a value. `seen` has the paths relative to the value around it, and `leads` accepts
    /// the step to the value.
    fn value(
        &mut self,
        value: &'p Value,
        seen: &RemainingPaths<'_>,
        leads: impl Fn(&Step) -> bool,
        place: PathStep<'p>,
    ) -> Result<Cow<'p, Value>, Problem> {
        let depth = self.path.len().saturating_add(1);
        self.path.push(place);
        let sealed = match value {
            Value::Object(_) | Value::Array(_) if depth >= MAX_DEPTH => Err(Code::TooDeep.into()),
            Value::Object(members) => {
                self.object(members, &seen.below(leads)).map(|members| Cow::Owned(Value::Object(members)))
            }
            Value::Array(items) => {
                let seen = seen.below(leads);
                let sealed = match seen.padded_to() {
                    Some(digests) => self.padded_array(items, &seen, digests),
                    None => self.array(items, &seen),
                };
                sealed.map(|items| Cow::Owned(Value::Array(items)))
            }
            other => Ok(Cow::Borrowed(other)),
        };
        self.path.pop();
        sealed
    }

    fn object(
        &mut self,
        members: &'p Map<String, Value>,
        seen: &RemainingPaths<'_>,
    ) -> Result<Map<String, Value>, Problem> {
        let mut sealed = Map::new();
        let mut digests = Vec::with_capacity(members.len());
        let mut salts = Vec::new();
        for (name, value) in members {
            if [DIGESTS, ELEMENT_DIGEST, DIGEST_ALGORITHM].contains(&name.as_str()) {
                return Err(Problem::new(Code::DisclosureName, format!("a claim cannot be named {name}")));
            }
            let leads = |step: &Step| matches!(step, Step::Name(wanted) if wanted == name);
            let value = self.value(value, seen, leads, PathStep::Name(name))?;
            if seen.is_disclosable(leads) {
                let salt = self.blinding.salt()?;
                digests.push(self.disclose(&salt, Some(name), &value)?);
                if !seen.ordered.is_empty() {
                    salts.push((name.as_str(), salt));
                }
            } else {
                sealed.insert(name.clone(), value.into_owned());
            }
        }
        for (direction, name) in seen.ordered_members() {
            let beside = direction.commitments_claim(name);
            let salt = salts.iter().find(|(hidden, _)| *hidden == name).map(|(_, salt)| salt.as_str());
            let hidden = members.get(name).zip(salt);
            if hidden.is_none() && members.contains_key(name) {
                return Err(Problem::new(Code::DisclosureForbidden, format!("{name} is ordered and not hidden")));
            }
            let array = self.commitments(direction, hidden, &beside)?;
            if members.contains_key(&beside) || sealed.insert(beside.clone(), array).is_some() {
                return Err(Problem::new(Code::ClaimForbidden, format!("the payload already has a {beside}")));
            }
        }
        if self.decoys > 0 {
            let names = seen.hidden_names();
            let all = names.checked_next_multiple_of(self.decoys).unwrap_or(names);
            while digests.len() < all {
                digests.push(self.blinding.decoy(&self.path, None)?);
            }
        }
        if !digests.is_empty() {
            digests.sort_unstable();
            let digests = digests.iter().map(|digest| Value::from(text(digest))).collect();
            sealed.insert(DIGESTS.to_owned(), Value::Array(digests));
        }
        Ok(sealed)
    }

    fn array(&mut self, items: &'p [Value], seen: &RemainingPaths<'_>) -> Result<Vec<Value>, Problem> {
        let mut sealed = Vec::with_capacity(items.len());
        for (index, item) in items.iter().enumerate() {
            let leads = |step: &Step| match step {
                Step::Index(wanted) => *wanted == index,
                Step::All => true,
                Step::Name(_) => false,
            };
            let value = self.value(item, seen, leads, PathStep::Index { original: index, shown: index })?;
            sealed.push(if seen.is_disclosable(leads) {
                let salt = self.blinding.salt()?;
                element(&self.disclose(&salt, None, &value)?)
            } else {
                value.into_owned()
            });
        }
        Ok(sealed)
    }

    /// Returns the digests of a padded array in the order of their text, and sorts the disclosures likewise, so that
    /// neither reveals the order or the number of the elements.
    fn padded_array(
        &mut self,
        items: &'p [Value],
        seen: &RemainingPaths<'_>,
        digests: usize,
    ) -> Result<Vec<Value>, Problem> {
        let refused = |what: &str| Err(Problem::new(Code::MalformedValue, format!("an array that is padded {what}")));
        if items.len() > digests {
            return refused("has more elements than digests");
        }
        let before = self.disclosures.len();
        let mut sealed = Vec::with_capacity(digests);
        for (index, item) in items.iter().enumerate() {
            let is_hidden = seen.is_disclosable(|step| *step == Step::All || *step == Step::Index(index));
            if !is_hidden || item.is_object() || item.is_array() {
                return refused("has an element that is not hidden as a whole");
            }
            let salt = self.blinding.salt()?;
            sealed.push(self.disclose(&salt, None, item)?);
        }
        let own = self.disclosures.split_off(before);
        let mut ordered: Vec<(DigestText, &str)> = sealed.iter().copied().zip(own.split_terminator('~')).collect();
        ordered.sort_unstable_by_key(|(digest, _)| *digest);
        for (_, disclosure) in ordered {
            self.disclosures.push_str(disclosure);
            self.disclosures.push('~');
        }
        while sealed.len() < digests {
            sealed.push(self.blinding.decoy(&self.path, None)?);
        }
        sealed.sort_unstable();
        Ok(sealed.iter().map(element).collect())
    }

    /// Returns the commitments to a hidden value and its salt, as an array of disclosable elements. Decoys take the
    /// place of those that the value does not have. `beside` is the name of the array.
    fn commitments(
        &mut self,
        direction: Direction,
        hidden: Option<(&Value, &str)>,
        beside: &str,
    ) -> Result<Value, Problem> {
        let mut elements = Vec::with_capacity(at_least::COMMITMENT_ARRAY_LENGTH);
        if let Some((value, salt)) = hidden
            && let Ok(value) = OrderedValue::from_claim(direction, value)
        {
            for entry in at_least::commitments(direction, salt, value) {
                let own = self.blinding.salt()?;
                elements.push(self.disclose(&own, None, &entry.commitment.to_string().into())?);
            }
        }
        while elements.len() < at_least::COMMITMENT_ARRAY_LENGTH {
            elements.push(self.blinding.decoy(&self.path, Some(beside))?);
        }
        // The order of digests with fresh salts is random, and reveals nothing about the entries.
        elements.sort_unstable();
        Ok(elements.iter().map(element).collect())
    }

    fn disclose(&mut self, salt: &str, name: Option<&str>, value: &Value) -> Result<DigestText, Problem> {
        self.written.clear();
        json::canonicalize_disclosure(salt, name, value, &mut self.written).map_err(|problem| {
            Problem::new(Code::ProofGeneration, format!("a disclosure could not be written: {}", problem.detail))
        })?;
        let at = self.disclosures.len();
        URL_SAFE_NO_PAD.encode_string(&self.written, &mut self.disclosures);
        let digest = digest_text(self.disclosures.get(at..).unwrap_or_default());
        self.disclosures.push('~');
        Ok(digest)
    }
}

/// Returns the array element that contains a digest (RFC 9901 section 4.2.4.2).
fn element(digest: &DigestText) -> Value {
    Value::Object(Map::from_iter([(ELEMENT_DIGEST.to_owned(), Value::from(text(digest)))]))
}

fn text(digest: &DigestText) -> &str {
    // Base64url is ASCII.
    std::str::from_utf8(digest).unwrap_or_default()
}
