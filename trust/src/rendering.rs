//! Trust lists as text and JSON for display. Names in them come from third parties: they are quoted, with invisible
//! characters escaped.

use carnet_core::{
    day,
    text::quoted,
    time::Timestamp,
    trust::list::{
        Accreditation, EntryChange, NamedOperators, TrustListContents, TrustListDifference, TrustListEntry,
        UnverifiedTrustList,
    },
};
use serde_json::{Value, json};

/// Describes a list and its entries, line by line.
pub(crate) fn describe_list(preview: &UnverifiedTrustList, now: Timestamp) -> Vec<String> {
    let mut lines = describe_header(preview, now);
    for (what, entries) in [("issuers", &preview.contents.issuers), ("registrars", &preview.contents.registrars)] {
        lines.push(format!("{what}: {}", entries.len()));
        lines.extend(entries.iter().flat_map(describe_entry));
    }
    lines
}

fn join_dids(dids: &[String]) -> String {
    if dids.is_empty() { "nobody".to_owned() } else { dids.join(", ") }
}

fn describe_operators(named: Option<&NamedOperators>) -> String {
    match named {
        None => "those who are pinned".to_owned(),
        Some(named) => format!("{} of {}", named.quorum, named.ids.join(", ")),
    }
}

/// Returns the lines that describe the head of a list: number, identifier, validity, previous list, digest, operators,
/// timestamp signers and signers.
pub(crate) fn describe_header(preview: &UnverifiedTrustList, now: Timestamp) -> Vec<String> {
    let over = match (now < preview.valid_from, now > preview.valid_until) {
        (true, _) => " (that has not begun)",
        (_, true) => " (that has passed)",
        _ => "",
    };
    let signed = match preview.claimed_signers.as_slice() {
        [] => "nobody".to_owned(),
        names => names.iter().map(|name| quoted(name)).collect::<Vec<_>>().join(", "),
    };
    vec![
        format!("Trust list {} of {}", preview.contents.sequence, preview.list_id),
        format!(
            "  valid     from {} until {}{over}",
            day::format_start(preview.valid_from),
            day::format_end(preview.valid_until)
        ),
        format!("  follows   {}", preview.contents.previous.as_deref().unwrap_or("none: it is the first")),
        format!("  names     {} lists before it", preview.contents.history.len()),
        format!("  digest    {}", preview.digest),
        format!("  operators {}", describe_operators(preview.contents.operators.as_ref())),
        format!("  stamped by {}", join_dids(&preview.contents.timestamp_signers)),
        format!("  signed, as it says itself, by {signed}"),
    ]
}

fn describe_entry(entry: &TrustListEntry) -> Vec<String> {
    let mut lines = vec![format!("- {}  {}", quoted(&entry.name), entry.id)];
    lines.extend(entry.accreditations.iter().map(|held| format!("    {}", describe_accreditation(held))));
    lines
}

fn describe_accreditation(accreditation: &Accreditation) -> String {
    let types: Vec<String> = accreditation.types.iter().map(|name| quoted(name)).collect();
    if types.is_empty() { accreditation.to_string() } else { format!("{}: {accreditation}", types.join(", ")) }
}

/// Returns the changes from one list to the next, one line each.
pub(crate) fn describe_changes(before: &TrustListContents, after: &TrustListContents) -> Vec<String> {
    let differences = before.differences_to(after);
    let (were, are) = (&before.timestamp_signers, &after.timestamp_signers);
    let mut lines = Vec::new();
    if were != are {
        lines.push(format!("changed: timestamps are signed by {} (before: {})", join_dids(are), join_dids(were)));
    }
    if before.operators != after.operators {
        lines
            .push(format!("changed: from this list, it is signed by {}", describe_operators(after.operators.as_ref())));
        lines.push(
            "  ATTENTION: the previous operators sign no list after this one (spec/trust.md section 11)".to_owned(),
        );
    }
    if differences.is_empty() {
        lines.push("No entry changes.".to_owned());
    }
    lines.extend(differences.iter().flat_map(describe_difference));
    lines
}

fn describe_difference(difference: &TrustListDifference<'_>) -> Vec<String> {
    let role = if difference.is_registrar { "registrar" } else { "issuer" };
    let title = |what: &str, entry: &TrustListEntry| format!("{what}: {role} {}  {}", quoted(&entry.name), entry.id);
    let marked = |mark: &str, held: &[Accreditation]| {
        held.iter().map(|held| format!("  {mark} {}", describe_accreditation(held))).collect::<Vec<_>>()
    };
    let mut lines = match difference.change {
        EntryChange::Added(entry) => [vec![title("added", entry)], marked("+", &entry.accreditations)].concat(),
        EntryChange::Removed(entry) => [vec![title("removed", entry)], marked("-", &entry.accreditations)].concat(),
        EntryChange::Changed { before, after } => {
            let gone = difference_of(&before.accreditations, &after.accreditations);
            let new = difference_of(&after.accreditations, &before.accreditations);
            let renamed = (before.name != after.name).then(|| format!("  was called {}", quoted(&before.name)));
            let title = vec![title("changed", after)];
            [title, renamed.into_iter().collect(), marked("-", &gone), marked("+", &new)].concat()
        }
    };
    if difference.rewrites_history() {
        lines.push("  ATTENTION: this list rewrites its history (spec/trust.md section 6)".to_owned());
    }
    lines
}

fn difference_of(all: &[Accreditation], known: &[Accreditation]) -> Vec<Accreditation> {
    all.iter().filter(|held| !known.contains(held)).cloned().collect()
}

/// Returns the changes from one list to the next, as JSON.
pub(crate) fn changes_json(before: &TrustListContents, after: &TrustListContents) -> Value {
    let change = |difference: &TrustListDifference<'_>| {
        let (what, was, is) = match difference.change {
            EntryChange::Added(entry) => ("added", None, Some(entry)),
            EntryChange::Removed(entry) => ("removed", Some(entry), None),
            EntryChange::Changed { before, after } => ("changed", Some(before), Some(after)),
        };
        json!({
            "change": what, "role": if difference.is_registrar { "registrar" } else { "issuer" }, "id": difference.party_id(),
            "before": was, "after": is, "rewrites_history": difference.rewrites_history(),
        })
    };
    before.differences_to(after).iter().map(change).collect()
}

/// Returns the head of a list as JSON: list, sequence number, chain, operators, timestamp signers, digest, validity and
/// signers.
pub(crate) fn list_head_json(preview: &UnverifiedTrustList) -> Value {
    json!({
        "list": preview.list_id,
        "sequence": preview.contents.sequence,
        "previous": preview.contents.previous,
        "history": preview.contents.history,
        "timestamp_signers": preview.contents.timestamp_signers,
        "operators": preview.contents.operators,
        "digest": preview.digest,
        "valid_from": preview.valid_from.to_string(),
        "valid_until": preview.valid_until.to_string(),
        "proofs_by": preview.claimed_signers,
    })
}
