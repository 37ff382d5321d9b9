//! Content of one presentation, extracted from the token to be sent.

use carnet_core::{
    Code, Problem,
    at_least::Direction,
    day,
    format::CredentialFormat,
    query::{CredentialQuery, commitments_path, path_to_text, plan::ClaimDisclosure},
    readable,
    secure::sd_jwt::{ClaimPath, CommitmentIndices, Step},
    status::{
        StatusPurpose,
        bitstring::ENTRY_TYPE,
        message::{self, StatusMessages},
    },
};
use serde_json::{Map, Value};

use super::{
    DisplayedClaim, PlannedPresentation, PresentedContent, ProvedClaim, holdings::ClaimSource, holdings::DecryptedCopy,
    split_disclosures, threshold_text,
};
use crate::store::vouchers::serial_digest;

/// Members of a `vc+sd-jwt` that are always disclosed and not listed as claims: issuer, type, validity, holder key. The
/// status reference and the signature are tested separately. The screen lists every other disclosed member, including
/// those that the verifier did not request.
const VC_FRAME: [&str; 10] =
    ["@context", "type", "issuer", "validFrom", "validUntil", "cnf", "iss", "iat", "nbf", "exp"];
/// The same members of a Data Integrity credential, which is no JWT.
const DI_FRAME: [&str; 5] = ["@context", "type", "issuer", "validFrom", "validUntil"];
/// The same members of a `dc+sd-jwt`, whose claims are at the top level too.
const DC_FRAME: [&str; 6] = ["iss", "iat", "nbf", "exp", "cnf", "vct"];
/// Member with the signature of a Data Integrity credential.
const PROOF: &str = "proof";
const SUBJECT: &str = "credentialSubject";

/// Builds the presentation of one copy for a credential query. The disclosures are read from the token that will be
/// sent, so that screen and presentation cannot differ.
///
/// # Errors
/// `query_unmet` if the copy has no commitments for a threshold; the token cannot be read.
pub(super) fn plan_presentation(
    query: &CredentialQuery,
    opened: &DecryptedCopy,
    shows: &[ClaimDisclosure],
) -> Result<PlannedPresentation, Problem> {
    let mut proves = Vec::new();
    let mut unasked = Vec::new();
    // An array of commitments discloses one element for a proof; that element serves the proof only.
    let mut openings: Vec<ClaimPath> = Vec::new();
    let (shown, visible, paths, everything) = match &opened.source {
        ClaimSource::SdJwt(token, positions) => {
            let (mut values, thresholds) = split_disclosures(shows);
            let mut proofs = Vec::with_capacity(thresholds.len());
            for (path, threshold) in thresholds {
                let known = |known: &&CommitmentIndices| {
                    known.claim.path == *path && known.claim.direction == threshold.direction()
                };
                let positions = positions.iter().find(known).ok_or(Code::QueryUnmet)?;
                let (element, proof) = token.prove_threshold(positions, threshold)?;
                values.push(element);
                proofs.push(proof);
                openings.extend(commitments_path(path, threshold.direction()));
                let name = last_name(path);
                proves.push(ProvedClaim { name, path: path.clone(), threshold: threshold.clone() });
            }
            let selected = token.select_claims(&values)?;
            let disclosed = selected.resolve_disclosures()?;
            let is_below = |path: &ClaimPath, array: &ClaimPath| path.len() > array.len() && path.starts_with(array);
            // An array that discloses more than this one element counts as an ordinary claim.
            openings
                .retain(|array| disclosed.disclosure_paths.iter().filter(|path| is_below(path, array)).count() == 1);
            let is_opening = |path: &ClaimPath| openings.iter().any(|array| is_below(path, array));
            let listed =
                disclosed.disclosure_paths.iter().filter(|path| !is_opening(path)).map(|path| path_to_text(path));
            let proved = proves.iter().map(|proving| threshold_text(&proving.path, &proving.threshold));
            let clear: Vec<ClaimPath> = disclosed.clear_claims.into_iter().map(|claim| claim.original_path).collect();
            let in_clear = clear.iter().map(|path| path_to_text(path));
            let paths = listed.chain(in_clear).chain(proved).collect();
            unasked = clear.into_iter().filter(|path| !query.requests_path(path)).collect();
            (PresentedContent::Selected(selected, proofs), disclosed.payload, paths, false)
        }
        ClaimSource::DataIntegrity(document) => {
            let all = readable::paths_without_selective_disclosure(opened.format, &opened.payload);
            let paths = all.iter().map(|path| path_to_text(path)).collect();
            (PresentedContent::Whole(document.clone()), opened.payload.clone(), paths, true)
        }
    };
    let visible = payload_claims(&visible, opened.format);
    let mut goes = Vec::new();
    let mut stays = Vec::new();
    let (mut given_away, mut given_away_by_start) = (Vec::new(), Vec::new());
    for (name, whole) in payload_claims(&opened.payload, opened.format) {
        let shown = visible.iter().find(|(shown, _)| *shown == name).map(|(_, value)| *value);
        let opened_by_proof = || openings.iter().any(|array| array.last() == Some(&Step::Name(name.clone())));
        // Hidden commitments say nothing about the owner and count neither as disclosed nor as hidden.
        if is_commitments_name(&name)
            && (opened_by_proof() || shown.is_none_or(|shown| shown.as_array().is_some_and(Vec::is_empty)))
        {
            continue;
        }
        match shown {
            Some(value) => goes.push(DisplayedClaim { name, value: value.clone(), is_partial: value != whole }),
            None => match revealing_date(opened, whole) {
                Some(ValidityDate::End) => given_away.push(name),
                Some(ValidityDate::Start) => given_away_by_start.push(name),
                None => stays.push(name),
            },
        }
    }
    stays.retain(|name| !is_told(&proves, name));
    let serial = disclosed_serial(opened, &goes);
    Ok(PlannedPresentation {
        query_id: query.id.clone(),
        credential: opened.credential,
        copy: opened.copy,
        earlier_verifiers: opened.earlier_verifiers.clone(),
        disclosed: goes,
        proved: proves,
        hidden: stays,
        revealed_dates: given_away,
        given_away_by_start,
        unrequested: unasked,
        is_whole: everything,
        disclosed_paths: paths,
        serial_digest: serial,
        shown,
    })
}

/// Returns the last name of a claim's path; the whole path as text if it ends with an array element.
fn last_name(path: &[Step]) -> String {
    match path.last() {
        Some(Step::Name(name)) => name.clone(),
        _ => path_to_text(path),
    }
}

/// Returns the digest of the voucher serial that the presentation discloses, if any. The copy was opened with this
/// serial only, so any disclosed element of the array is this serial.
fn disclosed_serial(opened: &DecryptedCopy, disclosed: &[DisplayedClaim]) -> Option<String> {
    opened.serial.clone().filter(|serial| {
        let mut texts = disclosed.iter().filter_map(|claim| claim.value.as_array()).flatten().filter_map(Value::as_str);
        texts.any(|text| serial_digest(text) == *serial)
    })
}

/// Disclosed date of the validity period.
enum ValidityDate {
    Start,
    End,
}

/// Returns the disclosed date that reveals a hidden value, if the value is a date that is close to it (spec/
/// credential-types.md 3.8).
fn revealing_date(opened: &DecryptedCopy, value: &Value) -> Option<ValidityDate> {
    let date = value.as_str().and_then(day::instant_of_claim)?;
    if opened.end.is_some_and(|end| opened.epoch.reveals(end, date)) {
        return Some(ValidityDate::End);
    }
    opened.start.filter(|start| opened.epoch.reveals_by_start(*start, date)).map(|_| ValidityDate::Start)
}

/// Returns `true` for a claim that is proven to be both at least and at most the same bound.
fn is_told(proves: &[ProvedClaim], name: &str) -> bool {
    let of = |direction| proves.iter().filter(move |one| one.name == name && one.threshold.direction() == direction);
    of(Direction::AtLeast).any(|from| {
        of(Direction::AtMost)
            .any(|to| from.path == to.path && from.threshold.comparable_bound() == to.threshold.comparable_bound())
    })
}

/// Returns the claims of a payload with their names: the members of the subject except `id`, and all other top-level
/// members that are not metadata. A malformed status reference counts as a claim.
pub fn payload_claims(payload: &Map<String, Value>, format: CredentialFormat) -> Vec<(String, &Value)> {
    let frame: &[&str] = match format {
        CredentialFormat::DcSdJwt => &DC_FRAME,
        CredentialFormat::VcSdJwt => &VC_FRAME,
        _ => &DI_FRAME,
    };
    let signature = |name: &str| name == PROOF && !format.is_sd_jwt();
    let mut claims = Vec::new();
    for (name, value) in payload {
        match (name.as_str(), value) {
            (SUBJECT, Value::Object(members)) if format != CredentialFormat::DcSdJwt => {
                claims.extend(
                    members.iter().filter(|(name, _)| *name != "id").map(|(name, value)| (name.clone(), value)),
                );
            }
            ("vct#integrity", value)
                if format == CredentialFormat::DcSdJwt && readable::is_integrity_metadata(value) => {}
            (known, value)
                if frame.contains(&known) || signature(known) || is_status_reference(known, value, format) => {}
            _ => claims.push((name.clone(), value)),
        }
    }
    claims
}

/// Returns whether a top-level member is the status reference of its format, well-formed and without unknown members.
pub fn is_status_reference(name: &str, value: &Value, format: CredentialFormat) -> bool {
    let only = |value: &Value, known: &[&str]| {
        value.as_object().is_some_and(|members| members.keys().all(|name| known.contains(&name.as_str())))
    };
    const PLACE: [&str; 4] = ["type", "statusPurpose", "statusListIndex", "statusListCredential"];
    let entry = |entry: &Value| {
        let explains = entry.get("statusPurpose").and_then(Value::as_str) == Some(StatusPurpose::Message.as_str());
        let members =
            if explains { [PLACE.as_slice(), &["statusSize", "statusMessage"]].concat() } else { PLACE.to_vec() };
        only(entry, &members)
            && entry.get("type").and_then(Value::as_str) == Some(ENTRY_TYPE)
            && (!explains || explained(entry))
    };
    match name {
        "credentialStatus" if format != CredentialFormat::DcSdJwt => {
            value.as_array().is_some_and(|entries| !entries.is_empty() && entries.iter().all(entry))
        }
        "status" if format == CredentialFormat::DcSdJwt => {
            only(value, &["status_list"]) && value.get("status_list").is_some_and(|list| only(list, &["idx", "uri"]))
        }
        _ => false,
    }
}

/// Returns whether the entry of a status message lists the meanings of its values in the one accepted form. All copies
/// of an issuer must carry the same texts, which a wallet cannot check on its own. So the form allows fifteen short
/// texts and nothing else that could mark a copy (spec/status.md 2.6).
fn explained(entry: &Value) -> bool {
    entry.get("statusSize").and_then(Value::as_u64) == Some(message::ENTRY_BITS.into())
        && entry.get("statusMessage").is_some_and(|texts| StatusMessages::parse(texts).is_ok())
}

/// Returns whether a member name is that of an array of commitments, such as `validUntilAtLeast` (spec/at-least.md
/// 3.1).
pub fn is_commitments_name(name: &str) -> bool {
    Direction::ALL.iter().any(|direction| name.ends_with(&direction.commitments_claim("")))
}

#[cfg(test)]
mod tests {
    use carnet_core::query::Threshold;

    use super::*;

    #[test]
    fn a_claim_between_two_equal_bounds_is_told() {
        let proving = |name: &str, direction, bound: i64| ProvedClaim {
            name: name.to_owned(),
            path: vec![Step::Name(name.to_owned())],
            threshold: Threshold::new(direction, bound.into()).unwrap(),
        };
        let from = |bound| proving("level", Direction::AtLeast, bound);
        let to = |name: &str, bound| proving(name, Direction::AtMost, bound);
        assert!(is_told(&[from(5), to("level", 5)], "level"));
        for hidden in [vec![from(5)], vec![from(5), to("level", 6)], vec![from(5), to("credits", 5)]] {
            assert!(!is_told(&hidden, "level"));
        }
    }
}
