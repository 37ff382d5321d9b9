//! Timestamps of lists: their signers, lists and times.

use super::*;

/// The first list, with timestamps by the key 7.
fn stamped_contents() -> TrustListContents {
    TrustListContents { timestamp_signers: vec![did_of(7)], ..contents() }
}

fn stamp(
    contents: &TrustListContents,
    key: u8,
    from: Timestamp,
    until: Timestamp,
) -> Result<Map<String, Value>, Problem> {
    let preview = TrustList::preview(&draft(contents)).unwrap();
    ListTimestamp::sign(&preview, (from, until), &kid(&secret(key)), &secret(key))
}

/// The university's rule at an instant.
fn rule(list: &TrustList, now: Timestamp) -> AccreditationRule {
    list.decide(&AccreditationQuestion::for_issuance(UNI, QUALIFICATION), now).rule
}

#[test]
fn a_list_that_had_a_timestamp_decides_no_longer_than_the_newest_one() {
    let contents = stamped_contents();
    let mut held = list(&contents);
    // A program that never had one uses the list's own end.
    assert_eq!((rule(&held, day(29)), held.identity().timestamped), (AccreditationRule::Accredited, false));
    let first = stamp(&contents, 7, now(), day(7)).unwrap();
    held.add_timestamp(&ListTimestamp::verify(&first, &held, now()).unwrap());
    assert_eq!((rule(&held, day(7).plus(SKEW)), held.identity().timestamped), (AccreditationRule::Accredited, true));
    assert_eq!(rule(&held, day(7).plus(SKEW + 1)), AccreditationRule::ListStale);
    refused(held.require_timestamp(day(7).plus(SKEW + 1)), Code::TrustListStale);
    // A newer one prolongs it, an older one shortens nothing.
    let second = stamp(&contents, 7, day(3), day(9)).unwrap();
    held.add_timestamp(&ListTimestamp::verify(&second, &held, day(3)).unwrap());
    held.add_timestamp(&ListTimestamp::verify(&first, &held, day(3)).unwrap());
    assert_eq!((rule(&held, day(9)), held.timestamp_valid_until()), (AccreditationRule::Accredited, Some(day(9))));
    assert_eq!(rule(&held, day(31)), AccreditationRule::ListExpired);
}

#[test]
fn what_was_remembered_asks_for_a_timestamp_of_the_next_list_too() {
    let contents = stamped_contents();
    let mut held = list(&contents);
    held.add_timestamp(&ListTimestamp::verify(&stamp(&contents, 7, now(), day(7)).unwrap(), &held, now()).unwrap());
    let next = held.next_contents();
    let take = |contents: &TrustListContents| {
        verify_at(&signed_by(draft(contents), &[1, 2]), Some(&held.identity()), now()).unwrap()
    };
    let mut second = take(&next);
    refused(second.require_timestamp(now()), Code::TrustListStale);
    assert_eq!(rule(&second, now()), AccreditationRule::ListStale);
    // The timestamp of the list before it does not count for this one.
    let old = stamp(&contents, 7, now(), day(7)).unwrap();
    refused(ListTimestamp::verify(&old, &second, now()), Code::TrustListTimestamp);
    second.add_timestamp(&ListTimestamp::verify(&old, &held, now()).unwrap());
    refused(second.require_timestamp(now()), Code::TrustListStale);
    second.add_timestamp(&ListTimestamp::verify(&stamp(&next, 7, now(), day(7)).unwrap(), &second, now()).unwrap());
    second.require_timestamp(now()).unwrap();
    // Operators who no longer name signers ask for none.
    let without = take(&TrustListContents { timestamp_signers: Vec::new(), ..next });
    without.require_timestamp(day(20)).unwrap();
    assert!(without.identity().timestamped, "and it is not forgotten");
}

#[test]
fn a_timestamp_is_beside_its_list() {
    for (list, timestamp) in [
        ("/srv/trust-list.json", "/srv/trust-list.timestamp.json"),
        ("/srv/a?b/list", "/srv/a?b/list.timestamp.json"),
        ("https://trust.example/list.json", "https://trust.example/list.timestamp.json"),
        ("https://trust.example/list.json?v=1", "https://trust.example/list.timestamp.json?v=1"),
    ] {
        assert_eq!(ListTimestamp::timestamp_url(list), timestamp);
    }
}

#[test]
fn only_those_whom_the_list_names_stamp_it_and_for_a_week_at_most() {
    let contents = stamped_contents();
    let held = list(&contents);
    let by = |key: u8, from: i64, until: i64| stamp(&contents, key, day(from), day(until));
    ListTimestamp::verify(&by(7, 0, 7).unwrap(), &held, now()).unwrap();
    // Not even its operators, whose list it is.
    refused(by(1, 0, 7), Code::TrustListTimestamp);
    refused(by(7, 0, 8), Code::TrustListTimestamp);
    refused(ListTimestamp::verify(&by(7, 1, 2).unwrap(), &held, now()), Code::NotYetValid);
    refused(ListTimestamp::verify(&by(7, -2, -1).unwrap(), &held, now()), Code::Expired);
    // By a named signer's other key; and of a list that names another one.
    let others = TrustListContents { timestamp_signers: vec![did_of(8)], ..contents.clone() };
    refused(ListTimestamp::verify(&stamp(&others, 8, now(), day(7)).unwrap(), &held, now()), Code::TrustListTimestamp);
    let mut forged = by(7, 0, 7).unwrap();
    forged["credentialSubject"]["sequence"] = json!(2);
    refused(ListTimestamp::verify(&forged, &held, now()), Code::SignatureInvalid);
    let mut endless = by(7, 0, 7).unwrap();
    endless.remove("validUntil");
    assert!(ListTimestamp::verify(&endless, &held, now()).is_err());
    // No other DID is resolved to find out.
    for signers in [vec!["did:web:stamps.example".to_owned()], vec![did_of(7), did_of(7)]] {
        let with = TrustListContents { timestamp_signers: signers, ..contents.clone() };
        let did = Did::parse(LIST_DID).unwrap();
        refused(TrustList::draft(&did, &with, now(), day(30)), Code::TrustListInvalid);
    }
}
