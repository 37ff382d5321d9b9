//! Credentials and claims that the wallet lacks for a query.

use std::collections::BTreeSet;

use carnet_core::{
    Problem,
    format::CredentialFormat,
    query::{ClaimQuery, CredentialQuery, Query, Threshold, values_at},
    secure::sd_jwt::ClaimPath,
};
use carnet_spec::Catalogue;

use super::{
    AnswerConstraints, answer_query,
    holdings::{DecryptedCopy, candidate_copies},
};
use crate::store::{HeldCredential, WalletContents};

/// Credential query that the wallet cannot answer.
#[derive(Debug, Clone, PartialEq)]
pub struct UnansweredQuery {
    /// Id of the credential query.
    pub query_id: String,
    /// Name of the requested type, as in the catalogue if known.
    pub type_name: String,
    /// Reason why no credential in the wallet answers it.
    pub reason: MissingReason,
}

/// Reason why no credential answers a query. If several apply, the credentials of the type are reduced step by step, in
/// the order of the variants; the reason is the step that leaves none.
#[derive(Debug, Clone, PartialEq)]
pub enum MissingReason {
    /// The wallet has no credential of the type.
    NoCredential,
    /// All credentials of the type are suspended or revoked by their issuers.
    Withdrawn,
    /// The remaining credentials of the type have expired.
    Expired,
    /// The holder chose the credentials that may be used, and none of the remaining ones is among them.
    NotAllowed,
    /// The remaining credentials of the type have other formats.
    Format,
    /// The remaining credentials of the type have no copy that can still be presented.
    NoCopies,
    /// A voucher serial is requested, and all uses of the vouchers were redeemed.
    UsedUp,
    /// A voucher serial is requested, and the vouchers may disclose none to this verifier: they are for another
    /// redeemer.
    OtherRedeemer,
    /// No remaining credential has these claims with a value that the query accepts.
    Claims(Vec<ClaimQuery>),
    /// The query requires features that the wallet does not support. This reason is tested first.
    UnsupportedQuery,
    /// The claims are accepted, but no remaining copy can prove the thresholds: all were presented or opened for others,
    /// or the wallet was restored. Fresh copies can.
    FreshCopies,
    /// Any other reason.
    Other,
}

impl MissingReason {
    /// Returns the stable name in JSON output, in `snake_case`.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::NoCredential => "document",
            Self::Withdrawn => "withdrawn",
            Self::Expired => "ended",
            Self::NotAllowed => "not_chosen",
            Self::Format => "format",
            Self::NoCopies => "copies",
            Self::UsedUp => "used_up",
            Self::OtherRedeemer => "other_redeemer",
            Self::Claims(_) => "claims",
            Self::UnsupportedQuery => "foreign",
            Self::FreshCopies => "fresh_copies",
            Self::Other => "other",
        }
    }
}

/// Returns the first requested type: its name in the catalogue, or as written in the query. Returns the format if the
/// query names no type.
pub fn requested_type(catalogue: &Catalogue, query: &CredentialQuery) -> String {
    // In an unknown format, it is unknown where the query states the type.
    requested_types(catalogue, query).into_iter().next().unwrap_or_else(|| query.format.to_string())
}

/// Returns all types that the query accepts: their names in the catalogue, or as written in the query.
/// `VerifiableCredential` is omitted.
pub(super) fn requested_types(catalogue: &Catalogue, query: &CredentialQuery) -> Vec<String> {
    let by_vct =
        |vct: &String| catalogue.credential_type_by_vct(vct).map_or_else(|| vct.clone(), |known| known.name.clone());
    let own = |set: &Vec<String>| set.iter().find(|name| *name != "VerifiableCredential").cloned();
    query.vct_values.iter().map(by_vct).chain(query.type_values.iter().filter_map(own)).collect()
}

/// Returns the credential queries that the wallet cannot answer, with the reason. If the query has credential sets,
/// only those in required sets none of whose options can be answered.
///
/// # Errors
/// A copy in the wallet cannot be parsed.
pub fn unanswered_queries(
    contents: &WalletContents,
    catalogue: &Catalogue,
    query: &Query,
    bounds: &AnswerConstraints<'_>,
) -> Result<Vec<UnansweredQuery>, Problem> {
    let mut unmet = Vec::new();
    for asked in &query.credentials {
        let single = Query { credentials: vec![asked.clone()], credential_sets: Vec::new(), holder_rule: None };
        if answer_query(contents, catalogue, &single, bounds).is_err() {
            unmet.push((asked, single));
        }
    }
    let is_unmet = |id: &String| unmet.iter().any(|(asked, _)| asked.id == *id);
    let sets = || query.credential_sets.iter().filter(|set| set.required);
    let open = || sets().filter(|set| set.options.iter().all(|option| option.iter().any(is_unmet)));
    let counts = |id: &String| {
        query.credential_sets.is_empty() || open().any(|set| set.options.iter().flatten().any(|option| option == id))
    };
    unmet
        .iter()
        .filter(|(asked, _)| counts(&asked.id))
        .map(|(asked, single)| {
            let lack = lack_reason(contents, catalogue, asked, single, bounds)?;
            Ok(UnansweredQuery {
                query_id: asked.id.clone(),
                type_name: requested_type(catalogue, asked),
                reason: lack,
            })
        })
        .collect()
}

/// Returns the ids of the credential queries that an answer can need: those of the required options of which every
/// credential query can be answered by itself.
pub fn answerable_queries(
    contents: &WalletContents,
    catalogue: &Catalogue,
    query: &Query,
    bounds: &AnswerConstraints<'_>,
) -> BTreeSet<String> {
    let is_met = |asked: &&CredentialQuery| {
        let single = Query { credentials: vec![(*asked).clone()], credential_sets: Vec::new(), holder_rule: None };
        answer_query(contents, catalogue, &single, bounds).is_ok()
    };
    let met: BTreeSet<String> = query.credentials.iter().filter(is_met).map(|asked| asked.id.clone()).collect();
    if query.credential_sets.is_empty() {
        return met;
    }
    let options = query.credential_sets.iter().filter(|set| set.required).flat_map(|set| &set.options);
    options.filter(|option| option.iter().all(|id| met.contains(id))).flatten().cloned().collect()
}

/// Predicate that keeps a credential to which a reason does not apply.
type Stays<'a> = &'a dyn Fn(usize, &HeldCredential) -> bool;

fn lack_reason(
    contents: &WalletContents,
    catalogue: &Catalogue,
    asked: &CredentialQuery,
    single: &Query,
    bounds: &AnswerConstraints<'_>,
) -> Result<MissingReason, Problem> {
    if asked.unsupported_reason().is_some() {
        return Ok(MissingReason::UnsupportedQuery);
    }
    let types = requested_types(catalogue, asked);
    let mut held: Vec<(usize, &HeldCredential)> =
        contents.credentials.iter().enumerate().filter(|(_, held)| types.contains(&held.type_name)).collect();
    // Each step keeps the credentials to which its reason does not apply.
    let steps: [(Stays<'_>, MissingReason); 5] = [
        (&|_, _| true, MissingReason::NoCredential),
        (&|_, held| held.withdrawn_status().is_none(), MissingReason::Withdrawn),
        (&|_, held| held.valid_until.is_none_or(|until| bounds.now <= until), MissingReason::Expired),
        (
            &|index, _| bounds.allowed_credentials.is_empty() || bounds.allowed_credentials.contains(&index),
            MissingReason::NotAllowed,
        ),
        (&|_, held| asked.format == held.format, MissingReason::Format),
    ];
    for (stays, lack) in steps {
        held.retain(|(index, held)| stays(*index, held));
        if held.is_empty() {
            return Ok(lack);
        }
    }
    let opened = candidate_copies(contents, catalogue, single, bounds)?;
    let payloads: Vec<_> = opened
        .iter()
        .filter(|opened| held.iter().any(|(index, _)| *index == opened.credential))
        .map(|opened| &opened.payload)
        .collect();
    if payloads.is_empty() {
        return Ok(MissingReason::NoCopies);
    }
    if let Some(lack) = voucher_lack(catalogue, asked, &held, &opened) {
        return Ok(lack);
    }
    let has = |claim: &ClaimQuery| {
        let accepted = |(_, value): &(ClaimPath, &serde_json::Value)| claim.accepts(value);
        payloads.iter().any(|payload| values_at(payload, &claim.path).iter().any(accepted))
    };
    let lacking: Vec<ClaimQuery> = asked.claims.iter().filter(|claim| !has(claim)).cloned().collect();
    Ok(match lacking.is_empty() {
        true if lacks_fresh_copies(catalogue, asked, &held, &opened) => MissingReason::FreshCopies,
        true => MissingReason::Other,
        false => MissingReason::Claims(lacking),
    })
}

/// Returns whether a threshold is requested that fresh copies of these credentials can prove, and none of their copies
/// in the wallet.
fn lacks_fresh_copies(
    catalogue: &Catalogue,
    asked: &CredentialQuery,
    held: &[(usize, &HeldCredential)],
    opened: &[DecryptedCopy],
) -> bool {
    let is_ordered = |path: &ClaimPath, direction| {
        held.iter().any(|(_, held)| {
            let Some(known) = catalogue.credential_type(&held.type_name) else { return false };
            let ordered = match held.format {
                CredentialFormat::DcSdJwt => known.ordered_in_sd_jwt_vc(),
                CredentialFormat::VcSdJwt => known.ordered_claims.clone(),
                _ => Vec::new(),
            };
            ordered.iter().any(|ordered| ordered.path == *path && ordered.direction == direction)
        })
    };
    let own = |opened: &&DecryptedCopy| held.iter().any(|(index, _)| *index == opened.credential);
    let is_provable = |path: &ClaimPath, direction| {
        let mut provable = opened.iter().filter(own).flat_map(|opened| &opened.provable);
        provable.any(|known| known.path == *path && known.direction == direction)
    };
    asked.claims.iter().any(|claim| {
        let direction = claim.threshold.as_ref().map(Threshold::direction);
        direction.is_some_and(|direction| is_ordered(&claim.path, direction) && !is_provable(&claim.path, direction))
    })
}

/// Returns the reason why no voucher discloses a requested serial. `None` if one does, or if a credential is no voucher
/// or the query requests no serial.
fn voucher_lack(
    catalogue: &Catalogue,
    asked: &CredentialQuery,
    held: &[(usize, &HeldCredential)],
    opened: &[DecryptedCopy],
) -> Option<MissingReason> {
    let is_voucher = |held: &HeldCredential| {
        let serials = catalogue.credential_type(&held.type_name).and_then(|known| known.serials.as_ref());
        let array = serials.zip(asked.format.known()).map(|(serials, format)| serials.array_path(format));
        array.is_some_and(|array| asked.claims.iter().any(|claim| claim.path.starts_with(&array)))
    };
    let left: Option<Vec<usize>> = held
        .iter()
        .map(|(_, held)| held.serials.as_ref().filter(|_| is_voucher(held)).map(|serials| serials.remaining_uses()))
        .collect();
    if left?.iter().all(|left| *left == 0) {
        return Some(MissingReason::UsedUp);
    }
    let shows = |opened: &DecryptedCopy| opened.serial.is_some();
    let own = |opened: &&DecryptedCopy| held.iter().any(|(index, _)| *index == opened.credential);
    (!opened.iter().filter(own).any(shows)).then_some(MissingReason::OtherRedeemer)
}
