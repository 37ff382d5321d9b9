//! Candidate copies for an answer: up to two decrypted copies of each credential.

use carnet_core::{
    Code, Problem,
    at_least::are_in_same_block,
    epoch::Epoch,
    format::CredentialFormat,
    json::{Limits, parse},
    query::{
        Query, QueryCandidate, commitments_path,
        plan::{self, AvailableCopy},
        values_at,
    },
    receipt::DID_CLIENT_ID_PREFIX,
    secure::sd_jwt::{ClaimPath, ClearClaim, CommitmentIndices, OrderedClaim, SdJwt, Step},
    time::Timestamp,
};
use carnet_spec::{Catalogue, SerialClaims};
use serde_json::{Map, Value};

use super::{AnswerConstraints, EarlierVerifiers};
use crate::store::{
    CredentialCopy, HeldCredential, WalletContents,
    vouchers::{VoucherSerials, serial_digest},
};

/// Copy of a credential whose claims are readable, for matching with a query.
pub(super) struct DecryptedCopy {
    /// Index of the credential in the wallet.
    pub(super) credential: usize,
    /// Format of the credential.
    pub(super) format: CredentialFormat,
    /// Beginning of the validity period, which every verifier sees.
    pub(super) start: Option<Timestamp>,
    /// End of the validity period, which every verifier sees.
    pub(super) end: Option<Timestamp>,
    /// Epoch to whose start the validity period is rounded down.
    pub(super) epoch: Epoch,
    /// Index of the copy in the credential.
    pub(super) copy: usize,
    /// Verifiers to which the copy was presented before.
    pub(super) earlier_verifiers: EarlierVerifiers,
    /// All claims, hidden and visible.
    pub(super) payload: Map<String, Value>,
    /// `payload` without claims that must not be disclosed for this query; `None` if there are none.
    reduced: Option<Map<String, Value>>,
    /// Credential from which a presentation is made.
    pub(super) source: ClaimSource,
    /// Claims of which the copy can prove thresholds.
    pub(super) provable: Vec<OrderedClaim>,
    /// Claims that are always disclosed, since the issuer did not make them selectively disclosable.
    clear: Vec<ClearClaim>,
    /// `true` if the verifier has already seen some copy of the credential.
    credential_known: bool,
    /// `true` if a verifier refused the credential as suspended or revoked, according to the log.
    credential_refused: bool,
    /// Digest of the voucher serial that it may disclose to the verifier; `None`: none.
    pub(super) serial: Option<String>,
}

/// Credential from which a presentation is made.
pub(super) enum ClaimSource {
    /// SD-JWT, with the positions of the commitments of its ordered claims.
    SdJwt(SdJwt, Vec<CommitmentIndices>),
    /// Data Integrity credential, which has no selective disclosure.
    DataIntegrity(Value),
}

impl DecryptedCopy {
    /// Returns the copy as input for the planner of core.
    pub(super) fn to_holding(&self) -> AvailableCopy<'_> {
        let payload = self.reduced.as_ref().unwrap_or(&self.payload);
        AvailableCopy {
            document: self.credential,
            candidate: QueryCandidate { format: self.format, payload, thresholds: &[] },
            provable_claims: &self.provable,
            clear_claims: &self.clear,
            exposure: match &self.earlier_verifiers {
                EarlierVerifiers::Unused => plan::CopyExposure::NoVerifier,
                EarlierVerifiers::SameVerifier => plan::CopyExposure::SameVerifier,
                EarlierVerifiers::Others(others) => plan::CopyExposure::OtherVerifiers(others.len()),
            },
            seen_by_verifier: self.credential_known,
            refused_before: self.credential_refused,
        }
    }
}

/// Reads the candidate copies for a query, newest credential first, so that newer credentials win over older ones that
/// disclose as little. Credentials are skipped that have expired, are suspended or revoked, are not among
/// `bounds.only`, or have a format that the query does not request.
///
/// Of each credential there is a copy that only this verifier has seen, and an unused copy or else the one that the
/// fewest verifiers have seen. A voucher has one candidate only.
pub(super) fn candidate_copies(
    contents: &WalletContents,
    catalogue: &Catalogue,
    query: &Query,
    bounds: &AnswerConstraints<'_>,
) -> Result<Vec<DecryptedCopy>, Problem> {
    let mut order: Vec<(usize, &HeldCredential)> = contents.credentials.iter().enumerate().collect();
    order.sort_by_key(|(_, held)| std::cmp::Reverse(held.received_at));
    let refusals = contents.withdrawal_refusals();
    let mut opened = Vec::new();
    for (index, held) in order {
        let wanted = query.credentials.iter().any(|credential| credential.format == held.format);
        let holds = held.valid_until.is_none_or(|until| bounds.now <= until);
        // A verifier would refuse a credential that its issuer revoked; showing it would disclose data for nothing.
        let holds = holds && held.withdrawn_status().is_none();
        if !wanted || !holds || !(bounds.allowed_credentials.is_empty() || bounds.allowed_credentials.contains(&index))
        {
            continue;
        }
        let known = held.copies.iter().any(|copy| copy.presented_to.iter().any(|seen| seen == bounds.client_id));
        for copy in copies(held, query, bounds) {
            let serials = catalogue.credential_type(&held.type_name).and_then(|known| known.serials.as_ref());
            let refused = refusals.contains_key(held.id.as_str());
            opened.push(DecryptedCopy {
                credential_refused: refused,
                ..open((index, held, copy, known), serials, query, bounds)?
            });
        }
    }
    Ok(opened)
}

/// Returns the indices of the candidate copies of one credential, at most two.
fn copies(held: &HeldCredential, query: &Query, bounds: &AnswerConstraints<'_>) -> Vec<usize> {
    let kept = || held.copies.iter().enumerate().filter(|(_, copy)| copy.is_presentable());
    // Among copies with the same exposure, prefer the one with the most proofs, then one with a freshness statement.
    let best = |wanted: &dyn Fn(&EarlierVerifiers) -> bool| {
        kept()
            .map(|(index, copy)| (index, copy, exposure(copy, bounds.client_id)))
            .filter(|(_, _, exposure)| wanted(exposure))
            .min_by_key(|(_, copy, exposure)| {
                let most = std::cmp::Reverse(provable(copy, query, bounds.client_id).len());
                (seen_by(exposure), copy.is_linkable(), most, copy.current_statements(bounds.now).is_none())
            })
            .map(|(index, ..)| index)
    };
    let own = best(&|exposure| *exposure == EarlierVerifiers::SameVerifier);
    if held.serials.is_some() {
        // Two uses shown by one copy can be linked to one person, so a copy shows a second use only if the first was
        // not counted.
        let pending = held.copy_with_pending_serial(bounds.client_id);
        let fresh = pending.or_else(|| best(&|exposure| *exposure == EarlierVerifiers::Unused));
        return fresh.or_else(|| best(&|_| true)).into_iter().collect();
    }
    let other = best(&|exposure| *exposure == EarlierVerifiers::Unused)
        .or_else(|| best(&|exposure| matches!(exposure, EarlierVerifiers::Others(_))));
    own.into_iter().chain(other).collect()
}

fn seen_by(exposure: &EarlierVerifiers) -> usize {
    match exposure {
        EarlierVerifiers::Unused => 0,
        EarlierVerifiers::SameVerifier => 1,
        EarlierVerifiers::Others(others) => others.len().saturating_add(1),
    }
}

fn exposure(copy: &CredentialCopy, asker: &str) -> EarlierVerifiers {
    let others: Vec<String> = copy.presented_to.iter().filter(|seen| *seen != asker).cloned().collect();
    match (copy.presented_to.is_empty(), others.is_empty()) {
        (true, _) => EarlierVerifiers::Unused,
        (false, true) => EarlierVerifiers::SameVerifier,
        (false, false) => EarlierVerifiers::Others(others),
    }
}

/// Returns the claims whose thresholds a copy can prove for this query: those with commitments. A claim opened for
/// another threshold in the same direction is left out, unless it was opened for the same verifier only and within one
/// block of thresholds (spec/at-least.md 4.5 and 4.6). The rule depends on the thresholds and not on the value, so
/// reusing a copy reveals nothing about the value.
fn provable(copy: &CredentialCopy, query: &Query, asker: &str) -> Vec<OrderedClaim> {
    let thresholds = || {
        let claims = query.credentials.iter().flat_map(|credential| &credential.claims);
        claims.filter_map(|claim| Some((&claim.path, claim.threshold.as_ref()?)))
    };
    let spent = |path: &ClaimPath, direction| {
        let mut before =
            copy.proved_thresholds.iter().filter(|opened| opened.path == *path && opened.direction == direction);
        let own = copy.presented_to.iter().all(|seen| seen == asker);
        before.any(|opened| {
            thresholds().any(|(asked, threshold)| {
                let bound = threshold.comparable_bound();
                let again = bound.number() == opened.bound || own && are_in_same_block(bound, opened.bound.into());
                asked == path && threshold.direction() == direction && !(opened.in_block && again)
            })
        })
    };
    copy.commitments
        .iter()
        .filter(|known| !spent(&known.path, known.direction))
        .map(|known| OrderedClaim { path: known.path.clone(), direction: known.direction })
        .collect()
}

fn open(
    (credential, held, index, known): (usize, &HeldCredential, usize, bool),
    serials: Option<&SerialClaims>,
    query: &Query,
    bounds: &AnswerConstraints<'_>,
) -> Result<DecryptedCopy, Problem> {
    let copy = held.copies.get(index).ok_or(Code::QueryUnmet)?;
    let mut serial = None;
    let (payload, source, provable, clear) = if held.format.is_sd_jwt() {
        let mut token = SdJwt::parse(&copy.credential.text())?;
        if let Some((serials, of_voucher)) = serials.zip(held.serials.as_ref()) {
            (token, serial) = with_one_serial(token, held.format, serials, of_voucher, bounds.client_id)?;
        }
        let positions = copy.commitments.iter().map(CommitmentIndices::from).collect();
        let disclosed = token.resolve_disclosures()?;
        (
            disclosed.payload,
            ClaimSource::SdJwt(token, positions),
            provable(copy, query, bounds.client_id),
            disclosed.clear_claims,
        )
    } else {
        let document = parse(copy.credential.text().as_bytes(), Limits::DOCUMENT)?;
        let members = document.as_object().cloned().ok_or(Code::InvalidJson)?;
        (members, ClaimSource::DataIntegrity(document), Vec::new(), Vec::new())
    };
    let reduced = reduced(held.format, &payload, copy, &provable, query, bounds);
    let exposure = exposure(copy, bounds.client_id);
    let format = held.format;
    // Issuers without epochs round validity dates to the day.
    let epoch = held.epoch.unwrap_or(Epoch::Day);
    let (start, end) = (held.valid_from, held.valid_until);
    Ok(DecryptedCopy {
        credential,
        format,
        start,
        end,
        epoch,
        copy: index,
        earlier_verifiers: exposure,
        payload,
        reduced,
        source,
        provable,
        clear,
        credential_known: known,
        credential_refused: false,
        serial,
    })
}

/// Reduces a voucher copy to the one serial that may be shown to the verifier, and returns that serial's digest. No
/// query can disclose more; a verifier other than the redeemer gets no serial.
fn with_one_serial(
    token: SdJwt,
    format: CredentialFormat,
    serials: &SerialClaims,
    of_voucher: &VoucherSerials,
    asker: &str,
) -> Result<(SdJwt, Option<String>), Problem> {
    let payload = token.resolve_disclosures()?.payload;
    let texts = serials.serials_in(format, &payload).unwrap_or_default();
    let redeemer = values_at(&payload, &serials.redeemer_path(format)).pop().and_then(|(_, value)| value.as_str());
    let is_redeemer = redeemer.is_some_and(|redeemer| asker.strip_prefix(DID_CLIENT_ID_PREFIX) == Some(redeemer));
    let chosen = if is_redeemer { of_voucher.choose_serial(&texts, asker) } else { None };
    let digest = chosen.and_then(|index| texts.get(index)).map(|serial| serial_digest(serial));
    Ok((token.select_element(&serials.array_path(format), chosen)?, digest))
}

/// Returns the payload without the claims whose value must not replace a proof that this copy cannot give, and without
/// commitments requested directly, whose number reveals the value; `None` if nothing is removed.
fn reduced(
    format: CredentialFormat,
    payload: &Map<String, Value>,
    copy: &CredentialCopy,
    provable: &[OrderedClaim],
    query: &Query,
    bounds: &AnswerConstraints<'_>,
) -> Option<Map<String, Value>> {
    let mut reduced: Option<Map<String, Value>> = None;
    let candidate = QueryCandidate { format, payload, thresholds: &[] };
    for credential in query.credentials.iter().filter(|credential| credential.matches_format_and_type(candidate)) {
        for claim in &credential.claims {
            let known = copy.commitments.iter();
            let mut arrays = known.filter_map(|known| commitments_path(&known.path, known.direction));
            if let Some(array) = arrays.find(|array| claim.path.starts_with(array)) {
                remove(reduced.get_or_insert_with(|| payload.clone()), &array);
            }
            let Some(threshold) = &claim.threshold else { continue };
            let hidden = bounds.proof_only_claims.iter().any(|only| only.matches(&credential.id, &claim.path));
            let proves =
                provable.iter().any(|known| known.path == claim.path && known.direction == threshold.direction());
            if hidden && !proves {
                remove(reduced.get_or_insert_with(|| payload.clone()), &claim.path);
            }
        }
    }
    reduced
}

/// Removes a claim. The path of a claim with a threshold consists of names only (spec/at-least.md 5.2).
fn remove(payload: &mut Map<String, Value>, path: &[Step]) {
    match path {
        [Step::Name(last)] => {
            payload.remove(last);
        }
        [Step::Name(name), rest @ ..] => {
            if let Some(members) = payload.get_mut(name).and_then(Value::as_object_mut) {
                remove(members, rest);
            }
        }
        _ => {}
    }
}
