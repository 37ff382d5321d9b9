//! From a query to an answer: which copy, what goes, what stays, who could link it.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use carnet_core::{
    Code, Problem,
    at_least::Direction,
    did::Did,
    json::{Limits, canonicalize, parse},
    keys::Signer,
    presentation,
    query::{Candidate, Query, path_to_text},
    secure::sd_jwt::SdJwt,
    time::Timestamp,
};
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

use crate::wallet::{Contents, Copy, HeldCredential};

/// What always goes along and is not listed: who issued it, what kind it is, when it is valid, the copy's own key, and the
/// signature. Everything else that goes is on the screen, also what nobody asked for and the issuer put in.
const VC_FRAME: [&str; 10] =
    ["@context", "type", "issuer", "validFrom", "validUntil", "cnf", "iss", "iat", "nbf", "exp"];
/// The same for an SD-JWT VC, where the claims stand beside them.
const DC_FRAME: [&str; 7] = ["iss", "iat", "nbf", "exp", "cnf", "vct", "vct#integrity"];
/// The signature of a Data Integrity credential.
const PROOF: &str = "proof";
const SUBJECT: &str = "credentialSubject";

/// A claim as a person sees it: one member of the subject.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Claim {
    /// Its name below the subject.
    pub(crate) name: String,
    /// What of it goes.
    pub(crate) value: Value,
    /// Whether some of it stays.
    pub(crate) in_part: bool,
}

/// Who has seen the copy that is going to be used.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Exposure {
    /// Nobody.
    Fresh,
    /// This asker, and nobody else.
    SameAsker,
    /// These others.
    Others(Vec<String>),
}

/// One presentation of the answer, ready to be bound.
#[derive(Debug)]
pub(crate) struct Part {
    /// The credential query that it answers.
    pub(crate) query_id: String,
    /// Which credential of the wallet.
    pub(crate) credential: usize,
    /// Which of its copies.
    pub(crate) copy: usize,
    /// Who has seen that copy.
    pub(crate) exposure: Exposure,
    /// What the asker will see.
    pub(crate) goes: Vec<Claim>,
    /// The names of what it will not see.
    pub(crate) stays: Vec<String>,
    /// Whether the format can hide nothing.
    pub(crate) everything: bool,
    /// Every path that goes, for the log.
    pub(crate) paths: Vec<String>,
    shown: Shown,
}

#[derive(Debug)]
enum Shown {
    Selected(SdJwt),
    Whole(Value),
}

/// A credential of the wallet, opened for matching.
struct Opened {
    credential: usize,
    format: String,
    copy: usize,
    exposure: Exposure,
    payload: Map<String, Value>,
    source: Shown,
}

/// Answers a query from the wallet, or not at all. `only` limits it to some credentials of the wallet, if not empty.
pub(crate) fn answer(
    contents: &Contents,
    query: &Query,
    asker: &str,
    now: Timestamp,
    only: &[usize],
) -> Result<Vec<Part>, Problem> {
    let mut opened = Vec::new();
    for (index, held) in contents.credentials.iter().enumerate() {
        let wanted = query.credentials.iter().any(|credential| credential.format == held.format);
        let holds = held.valid_until.is_none_or(|until| now <= until);
        if wanted && holds && (only.is_empty() || only.contains(&index)) {
            opened.extend(open(index, held, asker)?);
        }
    }
    // A copy that nobody has seen, of whichever credential answers, goes before one that somebody has; then the newest.
    opened.sort_by(|a, b| {
        let received = |opened: &Opened| contents.credentials.get(opened.credential).map(|held| held.received_at);
        a.exposure.cmp(&b.exposure).then_with(|| received(b).cmp(&received(a)))
    });
    let candidates: Vec<Candidate<'_>> = opened
        .iter()
        .map(|opened| Candidate { format: &opened.format, payload: &opened.payload, proved: &[] })
        .collect();
    let choices = query.answer(&candidates)?;
    choices
        .into_iter()
        .map(|choice| {
            let opened = opened.get(choice.candidate).ok_or_else(|| Problem::from(Code::QueryUnmet))?;
            part(choice.query_id, opened, &choice.paths)
        })
        .collect()
}

/// What an approval without a screen (`--yes`) names: base64url of SHA-256 over the request object's text and the canonical
/// JSON (RFC 8785) of what goes, which is for each presentation its query's id, the wallet's id of the credential, its
/// format, and the paths, sorted (protocol 5.2). So it approves this request and this answer, and no other, whatever has
/// come into the wallet since.
///
/// # Errors
/// If the answer cannot be written as JSON.
pub(crate) fn digest(object: &str, parts: &[Part], contents: &Contents) -> Result<String, Problem> {
    let goes: Vec<Value> = parts
        .iter()
        .map(|part| {
            let held = contents.credentials.get(part.credential).ok_or_else(|| Problem::from(Code::QueryUnmet))?;
            let mut paths = part.paths.clone();
            paths.sort_unstable();
            Ok(json!([part.query_id, held.id, held.format, paths]))
        })
        .collect::<Result<_, Problem>>()?;
    // A bracket is no letter of the request object's text: where the one ends and the other begins is certain.
    let digest = Sha256::new_with_prefix(object).chain_update(canonicalize(&Value::Array(goes))?);
    Ok(URL_SAFE_NO_PAD.encode(digest.finalize()))
}

/// The best copy of a credential for this asker: one that nobody has seen, else one that only this asker has, else the least seen.
fn open(credential: usize, held: &HeldCredential, asker: &str) -> Result<Option<Opened>, Problem> {
    let kept = held.copies.iter().enumerate().filter(|(_, copy)| copy.is_kept());
    let rated = kept.map(|(index, copy)| (exposure(copy, asker), index, copy));
    let rank = |exposure: &Exposure| match exposure {
        Exposure::Fresh => 0,
        Exposure::SameAsker => 1,
        Exposure::Others(others) => others.len().saturating_add(1),
    };
    let Some((exposure, copy, chosen)) = rated.min_by_key(|(exposure, ..)| rank(exposure)) else { return Ok(None) };
    let (payload, source) = if held.format.ends_with("sd-jwt") {
        let token = SdJwt::parse(&chosen.credential)?;
        (token.disclosed()?.payload, Shown::Selected(token))
    } else {
        let document = parse(chosen.credential.as_bytes(), Limits::DOCUMENT)?;
        let members = document.as_object().cloned().ok_or_else(|| Problem::from(Code::InvalidJson))?;
        (members, Shown::Whole(document))
    };
    Ok(Some(Opened { credential, format: held.format.clone(), copy, exposure, payload, source }))
}

fn exposure(copy: &Copy, asker: &str) -> Exposure {
    let others: Vec<String> = copy.shown_to.iter().filter(|seen| *seen != asker).cloned().collect();
    match (copy.shown_to.is_empty(), others.is_empty()) {
        (true, _) => Exposure::Fresh,
        (false, true) => Exposure::SameAsker,
        (false, false) => Exposure::Others(others),
    }
}

/// Takes what is shown from the very thing that will be sent, so that the screen cannot say something else.
fn part(query_id: String, opened: &Opened, paths: &[carnet_core::secure::sd_jwt::ClaimPath]) -> Result<Part, Problem> {
    let (shown, visible, paths, everything) = match &opened.source {
        Shown::Selected(token) => {
            let selected = token.select(paths)?;
            let disclosed = selected.disclosed()?;
            let paths = disclosed.paths.iter().map(|path| path_to_text(path)).collect();
            (Shown::Selected(selected), disclosed.payload, paths, false)
        }
        Shown::Whole(document) => {
            let names = claims_of(&opened.payload, &opened.format)
                .into_iter()
                .map(|(name, _)| format!("{SUBJECT}.{name}"))
                .collect();
            (Shown::Whole(document.clone()), opened.payload.clone(), names, true)
        }
    };
    let visible = claims_of(&visible, &opened.format);
    let mut goes = Vec::new();
    let mut stays = Vec::new();
    for (name, whole) in claims_of(&opened.payload, &opened.format) {
        let shown = visible.iter().find(|(shown, _)| *shown == name).map(|(_, value)| *value);
        // Commitments that are all hidden say nothing of the owner: there is nothing to go, and nothing to stay.
        if are_commitments(&name) && shown.is_none_or(|shown| shown.as_array().is_some_and(Vec::is_empty)) {
            continue;
        }
        match shown {
            Some(value) => goes.push(Claim { name, value: value.clone(), in_part: value != whole }),
            None => stays.push(name),
        }
    }
    Ok(Part {
        query_id,
        credential: opened.credential,
        copy: opened.copy,
        exposure: opened.exposure.clone(),
        goes,
        stays,
        everything,
        paths,
        shown,
    })
}

/// The claims of a payload: the members of the subject, and whatever else stands at the top.
pub(crate) fn claims_of<'a>(payload: &'a Map<String, Value>, format: &str) -> Vec<(String, &'a Value)> {
    let frame: &[&str] = if format == "dc+sd-jwt" { &DC_FRAME } else { &VC_FRAME };
    let signature = |name: &str| name == PROOF && !format.ends_with("sd-jwt");
    let mut claims = Vec::new();
    for (name, value) in payload {
        match (name.as_str(), value) {
            (SUBJECT, Value::Object(members)) if format != "dc+sd-jwt" => {
                claims.extend(
                    members.iter().filter(|(name, _)| *name != "id").map(|(name, value)| (name.clone(), value)),
                );
            }
            (known, _) if frame.contains(&known) || signature(known) => {}
            _ => claims.push((name.clone(), value)),
        }
    }
    claims
}

/// Whether a member has the name of an array of commitments, such as `validUntilAtLeast` (spec/at-least.md 3.1).
pub(crate) fn are_commitments(name: &str) -> bool {
    Direction::ALL.iter().any(|direction| name.ends_with(&direction.commitments_claim("")))
}

impl Part {
    /// Binds the presentation to its asker and nonce, with the copy's own key.
    pub(crate) fn bind(&self, copy: &Copy, nonce: &str, audience: &str, now: Timestamp) -> Result<String, Problem> {
        let key = copy.key.open()?;
        match &self.shown {
            Shown::Selected(token) => token.bind(nonce, audience, now, &key),
            Shown::Whole(document) => {
                let did = Did::jwk(&key.public_key());
                let method = format!("{did}#0");
                presentation::present(std::slice::from_ref(document), did.as_str(), &method, nonce, audience, now, &key)
            }
        }
    }
}

#[cfg(test)]
pub(crate) mod tests;
