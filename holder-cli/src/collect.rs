//! Collecting copies: keys and proofs out, verified copies in. Nothing is stored that was not verified.

use std::collections::BTreeMap;

use carnet_core::{
    Code, Problem,
    did::{Did, Resolve},
    keys::{PublicKey, Signer},
    secure::{
        data_integrity::{Cryptosuite, eddsa_jcs::EddsaJcs2022},
        jose::{self, Jws},
        sd_jwt::SdJwt,
    },
    time::{CLOCK_SKEW, Timestamp},
    verify::{self, Environment, StatusPolicy},
};
use carnet_spec::{Catalogue, CredentialType};
use serde_json::{Map, Value, json};

use crate::{
    answer::is_status,
    promise::Promise,
    wallet::{
        Copy, HeldCredential, HolderKey,
        contents::{default_low_water, fresh_id},
        thresholds::Commitments,
        vouchers::VoucherSerials,
    },
};

mod days;
mod directory;
mod layout;
mod rendering;
mod unlinkable;

pub(crate) use days::Days;
pub(crate) use directory::Directory;
use directory::{expected_status, signing_key};
use rendering::Received;

/// How many copies are asked for, if the issuer gives as many.
pub(crate) const COPIES: u32 = 10;
/// What of a copy is its own: its key and names, its place in the status list, when it was signed, its signature.
const OWN: [&str; 6] = ["cnf", "credentialStatus", "iat", "proof", "status", "sub"];
/// What a status may be for, in the order in which the entries of a copy stand (spec/status.md).
const PURPOSES: [&str; 3] = ["revocation", "suspension", "message"];
const PROOF_TYP: &str = "openid4vci-proof+jwt";

/// Draws a key for each copy.
pub(crate) fn draw_keys(max_batch_size: u32) -> Vec<HolderKey> {
    (0..COPIES.min(max_batch_size.max(1))).map(|_| HolderKey::draw()).collect()
}

/// One proof of possession for each key (OpenID4VCI 1.0 appendix F.1).
pub(crate) fn proofs(keys: &[HolderKey], issuer: &str, nonce: &str, now: Timestamp) -> Result<Vec<String>, Problem> {
    keys.iter()
        .map(|key| {
            let key = key.open()?;
            let header = json!({"typ": PROOF_TYP, "jwk": key.public_key().to_jwk()});
            let payload = json!({"aud": issuer, "iat": now.unix(), "nonce": nonce});
            match (header, payload) {
                (Value::Object(header), Value::Object(payload)) => jose::sign(header, &payload, &key),
                _ => Err(Code::ProofGeneration.into()),
            }
        })
        .collect()
}

/// Rules for the copies of one collection.
pub(crate) struct Expected<'a> {
    /// Promise of their issuer.
    pub(crate) promise: &'a Promise,
    /// The keys that were drawn, in the order of the proofs.
    pub(crate) keys: &'a [HolderKey],
    /// All that is in the wallet already.
    pub(crate) held: &'a [HeldCredential],
    /// The days that they may say.
    pub(crate) days: Days,
    /// Their issuer's directory of status lists, where its document names one.
    pub(crate) directory: Option<&'a Directory>,
    /// The documents of issuers.
    pub(crate) resolver: &'a dyn Resolve,
    /// The types that this wallet knows.
    pub(crate) catalogue: &'a Catalogue,
    /// The time.
    pub(crate) now: Timestamp,
}

/// Checks that copies of a type do not get, as stable names: the form of a type from elsewhere is not known here.
pub(crate) fn unchecked(known: &CredentialType, days: Days) -> Vec<&'static str> {
    let days = match days {
        Days::Kept => [None, None],
        Days::Renewed { .. } => [Some("valid_from"), None],
        Days::Issued { until, .. } => {
            [Some("valid_from"), Some("valid_until").filter(|_| !known.bundled || until.is_none())]
        }
    };
    let form = ["form", "signing_key", "status_lists"].map(Some).into_iter().chain(days);
    form.flatten().filter(|name| !known.bundled || *name == "valid_until").collect()
}

pub(crate) fn marked(detail: &str) -> Problem {
    Problem::new(Code::CopyMarked, detail)
}

/// Verifies every copy and makes one credential of them; if one does not hold, none does.
pub(crate) fn verified(copies: &[String], expected: &Expected<'_>) -> Result<HeldCredential, Problem> {
    let &Expected { promise, keys, catalogue, resolver, now, .. } = expected;
    if copies.is_empty() || copies.len() != keys.len() {
        return Err(Problem::new(
            Code::MalformedValue,
            "the issuer gave another number of copies than there are proofs",
        ));
    }
    let jcs = EddsaJcs2022;
    #[cfg(feature = "jsonld")]
    let rdfc = rdfc(catalogue)?;
    let suites: &[&dyn Cryptosuite] = &[
        &jcs,
        #[cfg(feature = "jsonld")]
        &rdfc,
    ];
    let known = catalogue.credential_type(&promise.type_name).ok_or_else(|| Problem::from(Code::TypeUnknown))?;
    let status = StatusPolicy::NotChecked("it was issued just now");
    let env = Environment { now, skew: CLOCK_SKEW, resolver, suites, issuers: promise, types: catalogue, status };
    let mut held = HeldCredential {
        id: fresh_id(),
        type_name: promise.type_name.clone(),
        format: promise.format.to_owned(),
        issuer: promise.issuer.clone(),
        issuer_name: promise.issuer_name.clone(),
        received_at: now,
        valid_from: None,
        valid_until: None,
        epoch: promise.epoch,
        copies: Vec::with_capacity(copies.len()),
        endpoint: None,
        low_water: default_low_water(),
        serials: None,
    };
    let signing_key = if known.bundled { Some(expected.signing_key()?) } else { None };
    let mut first: Option<Said> = None;
    let mut first_layout: Option<String> = None;
    for (credential, key) in copies.iter().zip(keys) {
        let credential = credential.trim();
        let (report, verified) = verify::credential(credential.as_bytes(), &env);
        let verified = match (verified, report.failure()) {
            (Some(verified), None) => verified,
            (_, Some(problem)) => return Err(problem.clone()),
            _ => return Err(Problem::new(Code::MalformedValue, "the copy could not be verified")),
        };
        let seen = verified.get();
        if seen.format != promise.format {
            return Err(Problem::new(Code::UnknownFormat, "the copy has another format than the one that was offered"));
        }
        let opened = Opened::of(credential, seen)?;
        if let Some(token) = &opened.token {
            plain(token.jws())?;
        }
        let own = key.open()?.public_key();
        bound_to(&opened, seen, &own)?;
        coarse(&opened.members, &seen.format)?;
        placed(&opened.members, &seen.format)?;
        let commitments = opened.commitments(&seen.format, known)?;
        let said = Said::of(&opened.members, known);
        if *first.get_or_insert_with(|| said.clone()) != said {
            return Err(Problem::new(Code::MalformedValue, "the copies of one credential say different things"));
        }
        if let Some(signing_key) = &signing_key {
            expected.check_form((credential, &opened, seen), (known, &own), signing_key, suites)?;
        } else {
            let layout = layout::layout(credential, &opened, known, &own)?;
            if *first_layout.get_or_insert_with(|| layout.clone()) != layout {
                return Err(marked("the copies of one credential are written in different ways"));
            }
        }
        let uses = known.serials.as_ref().and_then(|serials| serials.shown(&seen.format, &opened.members));
        held.serials = uses.map(|serials| VoucherSerials::new(serials.len()));
        held.valid_from = seen.credential.valid_from();
        held.valid_until = seen.credential.valid_until();
        held.copies.push(Copy { commitments, ..Copy::new(credential.to_owned(), key.clone()) });
    }
    unlinkable::check_unlinkable(expected.held, &held.copies, &known.copies)?;
    Ok(held)
}

impl Expected<'_> {
    /// The key that the issuer signs with now.
    fn signing_key(&self) -> Result<String, Problem> {
        let document = self.resolver.resolve(&Did::parse(&self.promise.issuer)?)?;
        signing_key(&document, self.directory, self.now)
    }

    /// Holds a copy of one of Carnet's own types to the form, the days and the place that it has to have.
    fn check_form(
        &self,
        (text, opened, seen): (&str, &Opened, &verify::Held),
        (known, key): (&CredentialType, &PublicKey),
        signing_key: &str,
        suites: &[&dyn Cryptosuite],
    ) -> Result<(), Problem> {
        let (Some(from), Some(until)) = (seen.credential.valid_from(), seen.credential.valid_until()) else {
            return Err(marked("the copy does not say from when until when it holds"));
        };
        self.days.check(self.promise.epoch, (from, until), self.now)?;
        let status = expected_status(self.directory, &opened.members, &seen.format)?;
        let (issuer, format, status) = (self.promise.issuer.as_str(), seen.format.as_str(), status.as_ref());
        Received { text, opened, format, issuer, known, key, signing_key, status, suites }.check((from, until))
    }
}

/// A copy with all its disclosures in place.
struct Opened {
    token: Option<SdJwt>,
    members: Map<String, Value>,
}

impl Opened {
    fn of(credential: &str, seen: &verify::Held) -> Result<Self, Problem> {
        if !seen.format.ends_with("sd-jwt") {
            return Ok(Self { token: None, members: seen.credential.document().clone() });
        }
        let token = SdJwt::parse(credential)?;
        let members = token.disclosed()?.payload;
        Ok(Self { token: Some(token), members })
    }

    /// Where the commitments to the ordered claims stand, once it is sure that they are those of the claims' values
    /// (spec/at-least.md 3.5).
    fn commitments(&self, format: &str, known: &CredentialType) -> Result<Vec<Commitments>, Problem> {
        let Some(token) = &self.token else { return Ok(Vec::new()) };
        let positions = if format == "dc+sd-jwt" {
            token.commitments(&known.ordered_in_sd_jwt_vc())?
        } else {
            token.commitments(&known.ordered)?
        };
        Ok(positions.into_iter().map(Commitments::from).collect())
    }
}

/// What a copy says, without what is this copy's own: key, status, signature and salts. It is the same in all copies of a
/// credential, or the issuer could know one by it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Said {
    /// The members, but for the arrays of commitments.
    pub(crate) members: Map<String, Value>,
    /// How many commitments each array has.
    commitments: BTreeMap<String, usize>,
}

impl Said {
    /// Of a copy with all its disclosures in place.
    pub(crate) fn of(members: &Map<String, Value>, known: &CredentialType) -> Self {
        let mut members = members.clone();
        for own in OWN {
            members.remove(own);
        }
        sort_serials(&mut members, known);
        let mut commitments = BTreeMap::new();
        let mut take = |claims: &mut Map<String, Value>| {
            claims.retain(|name, value| {
                let array = value.as_array().filter(|_| known.is_commitments(name));
                array.is_none_or(|array| {
                    commitments.insert(name.clone(), array.len());
                    false
                })
            });
        };
        match members.get_mut("credentialSubject").and_then(Value::as_object_mut) {
            Some(subject) => {
                subject.remove("id");
                take(subject);
            }
            // In an SD-JWT VC the claims stand at the top.
            None => take(&mut members),
        }
        Self { members, commitments }
    }
}

/// Sorts the serials: each copy has them in an order of its own.
fn sort_serials(members: &mut Map<String, Value>, known: &CredentialType) {
    let Some(serials) = &known.serials else { return };
    let subject = match members.get_mut("credentialSubject").and_then(Value::as_object_mut) {
        Some(subject) => subject.get_mut(&serials.claim),
        None => members.get_mut(&serials.claim),
    };
    if let Some(items) = subject.and_then(Value::as_array_mut) {
        items.sort_by(|one, other| one.as_str().cmp(&other.as_str()));
    }
}

/// The copy names the key that was drawn for it, and no other; and it has no name of its own besides, which would make the
/// copies of one person known to be one person's.
fn bound_to(opened: &Opened, seen: &verify::Held, key: &PublicKey) -> Result<(), Problem> {
    let other = || Problem::new(Code::HolderMismatch, "the copy is bound to another key than yours");
    let did = Did::jwk(key);
    if let Some(token) = &opened.token
        && token.holder_key()?.ok_or_else(other)? != *key
    {
        return Err(other());
    }
    nameless(&opened.members, &seen.format, &did)?;
    let mut subjects = seen.credential.subject_ids();
    // An SD-JWT VC has no subject id; the W3C formats have exactly the copy's own.
    match (seen.format.as_str(), subjects.next(), subjects.next()) {
        ("dc+sd-jwt", None, None) => Ok(()),
        (_, Some(subject), None) if subject == did.as_str() => Ok(()),
        _ => Err(other()),
    }
}

/// Refuses a header that says more than how it was signed: by what stands there besides, copies could be known again.
fn plain(token: &Jws) -> Result<(), Problem> {
    const KNOWN: [&str; 3] = ["alg", "kid", "typ"];
    if token.header().keys().all(|name| KNOWN.contains(&name.as_str())) {
        return Ok(());
    }
    Err(Problem::new(Code::MalformedValue, "the header says more than how it was signed"))
}

/// Refuses members at the top by which a copy could be known again: Carnet's profile has none. The catalogue's schemas do not
/// allow them either; those of a folder from elsewhere may.
fn nameless(members: &Map<String, Value>, format: &str, did: &Did) -> Result<(), Problem> {
    if members.get("sub").is_some_and(|sub| sub.as_str() != Some(did.as_str())) {
        return Err(Problem::new(Code::HolderMismatch, "sub is another than the copy's own key"));
    }
    // The signature of a Data Integrity credential is its proof; in an SD-JWT it would be something else.
    let forbidden = |name: &&&str| members.contains_key(**name) && (**name != "proof" || format.ends_with("sd-jwt"));
    match ["id", "proof"].iter().find(forbidden) {
        Some(name) => Err(Problem::new(Code::ClaimForbidden, format!("the copy has a {name} of its own"))),
        None => Ok(()),
    }
}

/// Refuses times that are no whole days, and the time of the signature: by a second, an issuer would know one person's copies
/// again, and so would everybody else (spec/credential-types.md 3.1).
fn coarse(members: &Map<String, Value>, format: &str) -> Result<(), Problem> {
    let fine =
        |name: &str| Problem::new(Code::MalformedValue, format!("{name} of the copy is not the beginning of a day"));
    if members.contains_key("iat") {
        return Err(Problem::new(Code::MalformedValue, "the copy says when it was signed"));
    }
    for name in ["nbf", "exp"] {
        let whole = |at: i64| Timestamp::from_unix(at).start_of_day().unix() == at;
        if members.get(name).is_some_and(|at| !at.as_i64().is_some_and(whole)) {
            return Err(fine(name));
        }
    }
    // In an SD-JWT VC these are claims, as the type has them.
    if format == "dc+sd-jwt" {
        return Ok(());
    }
    for name in ["validFrom", "validUntil"] {
        let Some(at) = members.get(name) else { continue };
        // There is one way to write it: an offset or a fraction would tell copies apart as well as a second does.
        let text = at.as_str().unwrap_or_default();
        if Timestamp::parse(text)?.start_of_day().to_string() != text {
            return Err(fine(name));
        }
    }
    Ok(())
}

/// Refuses a status that says more than where it stands, or the same in another order: by either, copies could be known again.
fn placed(members: &Map<String, Value>, format: &str) -> Result<(), Problem> {
    let more = || Problem::new(Code::MalformedValue, "the status of the copy says more than where it stands");
    for name in ["credentialStatus", "status"] {
        if members.get(name).is_some_and(|status| !is_status(name, status, format)) {
            return Err(more());
        }
    }
    let entries = members.get("credentialStatus").and_then(Value::as_array);
    let ranks = entries.into_iter().flatten().map(|entry| {
        let purpose = entry.get("statusPurpose").and_then(Value::as_str);
        PURPOSES.iter().position(|known| purpose == Some(*known)).ok_or_else(more)
    });
    let ranks = ranks.collect::<Result<Vec<_>, _>>()?;
    if ranks.is_sorted_by(|one, next| one < next) { Ok(()) } else { Err(more()) }
}

#[cfg(feature = "jsonld")]
pub(crate) fn rdfc(catalogue: &Catalogue) -> Result<carnet_jsonld::EddsaRdfc2022, Problem> {
    let contexts = catalogue.types().flat_map(CredentialType::contexts);
    let contexts = contexts
        .map(|(url, bytes, sha256)| (url.to_owned(), String::from_utf8_lossy(bytes).into_owned(), sha256.to_owned()));
    carnet_jsonld::EddsaRdfc2022::new(contexts.collect())
}

#[cfg(test)]
mod tests;
