//! Operators who change in band.

use super::*;

/// The list after another one, which names these operators.
fn handing_over(before: &TrustListContents, ids: &[u8], quorum: usize) -> TrustListContents {
    let mut next = TrustList::preview(&draft(before)).unwrap().next_contents();
    next.set_operators(ids.iter().map(|number| did_of(*number)), quorum);
    next
}

fn after(before: &TrustListContents) -> TrustListContents {
    TrustList::preview(&draft(before)).unwrap().next_contents()
}

fn take(contents: &TrustListContents, signers: &[u8], seen: Option<&AcceptedList>) -> Result<TrustList, Problem> {
    verify_at(&signed_by(draft(contents), signers), seen, now())
}

#[test]
fn the_old_quorum_names_the_new_one_and_those_who_pinned_the_old_go_on() {
    let first = take(&contents(), &[1, 2], None).unwrap();
    // Three of four new ones, one of whom was there before.
    let second = handing_over(&contents(), &[3, 4, 5, 6], 3);
    let held = take(&second, &[1, 3, 4, 5], Some(&first.identity())).unwrap();
    // It still holds by the new ones when it is verified again.
    take(&second, &[1, 3, 4, 5], Some(&held.identity())).unwrap();
    let third = after(&second);
    let next = take(&third, &[4, 5, 6], Some(&held.identity())).unwrap();
    take(&after(&third), &[3, 4, 6], Some(&next.identity())).unwrap();
    // The old ones no longer sign, and the new ones not yet for programs that saw no list that names them.
    refused(take(&third, &[1, 2], Some(&held.identity())), Code::TrustListQuorum);
    refused(take(&third, &[1, 2, 3, 4], Some(&held.identity())), Code::TrustListQuorum);
    refused(take(&third, &[4, 5, 6], Some(&first.identity())), Code::TrustListQuorum);
}

#[test]
fn neither_quorum_alone_hands_over() {
    let first = take(&contents(), &[1, 2], None).unwrap();
    let second = handing_over(&contents(), &[4, 5, 6], 2);
    take(&second, &[1, 2, 4, 5], Some(&first.identity())).unwrap();
    for signers in [&[1, 2][..], &[1, 2, 4], &[4, 5, 6], &[1, 4, 5, 6]] {
        refused(take(&second, signers, Some(&first.identity())), Code::TrustListQuorum);
    }
    let problem = take(&second, &[1, 2, 4], Some(&first.identity())).unwrap_err();
    assert!(problem.detail.contains("that it names"), "{problem}");
}

#[test]
fn whoever_missed_it_passes_the_list_that_names_them() {
    let second = handing_over(&contents(), &[4, 5, 6], 2);
    let third = handing_over(&second, &[7, 8, 9], 2);
    let fourth = after(&third);
    assert_eq!(fourth.operators.as_ref().unwrap().named_in, [2, 3]);
    let operators = operators();
    let pass = |contents: &TrustListContents, signers: &[u8], seen: Option<&AcceptedList>| {
        // Long after their ends.
        let pinned = TrustListAnchors {
            operators: &operators,
            newest_accepted: seen,
            accepted_digest: None,
            now: day(90),
            skew: SKEW,
        };
        TrustList::verify_handover(&signed_by(draft(contents), signers), &pinned, &SelfContainedResolver)
    };
    let first = take(&contents(), &[1, 2], None).unwrap().identity();
    for seen in [None, Some(&first)] {
        refused(take(&fourth, &[7, 8], seen), Code::TrustListQuorum);
        let passed = pass(&second, &[1, 2, 4, 5], seen).unwrap();
        let passed = pass(&third, &[4, 5, 7, 8], Some(&passed)).unwrap();
        take(&fourth, &[7, 8], Some(&passed)).unwrap();
        refused(pass(&third, &[4, 5, 7, 8], seen), Code::TrustListQuorum);
    }
    // A list that names nobody leads nowhere, and a fork leads nobody astray.
    refused(pass(&contents(), &[1, 2], None), Code::TrustListInvalid);
    let other = take(&after(&contents()), &[1, 2], None).unwrap().identity();
    refused(pass(&second, &[1, 2, 4, 5], Some(&other)), Code::TrustListConflict);
}

#[test]
fn whoever_pins_others_takes_their_own_word_again() {
    let first = take(&contents(), &[1, 2], None).unwrap();
    let second = handing_over(&contents(), &[4, 5, 6], 2);
    let seen = take(&second, &[1, 2, 4, 5], Some(&first.identity())).unwrap().identity();
    let third = after(&second);
    let by = |pins: [u8; 3], signers: &[u8]| {
        let dids = pins.map(did_of);
        let operators = PinnedOperators::pin(LIST_DID, dids.iter().map(String::as_str), 2).unwrap();
        let pinned = TrustListAnchors {
            operators: &operators,
            newest_accepted: Some(&seen),
            accepted_digest: None,
            now: now(),
            skew: SKEW,
        };
        TrustList::verify(&signed_by(draft(&third), signers), &pinned, &SelfContainedResolver).map(drop)
    };
    by([1, 2, 3], &[4, 5]).unwrap();
    // After the named ones lost their keys, and those who rely on the list have pinned others by hand.
    refused(by([10, 11, 12], &[4, 5]), Code::TrustListQuorum);
    by([4, 5, 6], &[4, 5]).unwrap();
}

#[test]
fn the_way_back_is_judged_by_the_pins_alone() {
    let second = handing_over(&contents(), &[4, 5, 6], 2);
    let seen = take(&second, &[1, 2, 4, 5], None).unwrap().identity();
    let right = after(&contents());
    let digest = TrustList::preview(&draft(&right)).unwrap().digest;
    let by = |accept: Option<&str>, signers: &[u8]| {
        let operators = operators();
        let pinned = TrustListAnchors {
            operators: &operators,
            newest_accepted: Some(&seen),
            accepted_digest: accept,
            now: now(),
            skew: SKEW,
        };
        TrustList::verify(&signed_by(draft(&right), signers), &pinned, &SelfContainedResolver)
    };
    assert_eq!(by(Some(&digest), &[1, 2]).unwrap().identity().operators, None);
    refused(by(Some(&digest), &[4, 5]), Code::TrustListQuorum);
    refused(by(None, &[1, 2]), Code::TrustListQuorum);
}

#[test]
fn operators_are_named_sensibly_or_not_at_all() {
    type Change = fn(&mut NamedOperators);
    let did = Did::parse(LIST_DID).unwrap();
    let with = |ids: &[u8], quorum: usize, change: &Change| {
        let mut contents = handing_over(&contents(), ids, quorum);
        change(contents.operators.as_mut().unwrap());
        TrustList::draft(&did, &contents, now(), day(30))
    };
    with(&[1, 2, 3], 2, &((|_| ()) as Change)).unwrap();
    let faults: [(&[u8], usize, Change); 7] = [
        (&[], 0, |_| ()),
        (&[1], 0, |_| ()),
        (&[1], 2, |_| ()),
        (&[1, 1], 1, |_| ()),
        (&[1, 2], 1, |named| named.ids.reverse()),
        (&[1, 2], 1, |named| named.named_in.clear()),
        (&[1, 2], 1, |named| named.named_in.push(3)),
    ];
    for (at, (ids, quorum, change)) in faults.iter().enumerate() {
        assert_eq!(with(ids, *quorum, change).map_err(|p| p.code), Err(Code::TrustListInvalid), "fault {at}");
    }
    assert_eq!(
        TrustListContents::history_url("https://a.example/t/list.json", 7),
        "https://a.example/t/history/007.json"
    );
    assert_eq!(TrustListContents::history_url("list.json", 1_234), "history/1234.json");
}
