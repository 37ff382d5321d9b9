//! Descent, steps of numbers, the least number, and the way back.

use super::*;

/// The list after another one, distinguished by a note in the university's name.
fn after(contents: &TrustListContents, name: &str) -> TrustListContents {
    let digest = TrustList::preview(&draft(contents)).unwrap().digest;
    let mut next = contents.next_after(&digest);
    next.issuers[0].name = name.to_owned();
    next
}

fn seen(contents: &TrustListContents) -> AcceptedList {
    TrustList::preview(&draft(contents)).unwrap().identity()
}

/// Verifies the list as a program that has pinned the operators, after what it has seen.
fn taken(contents: &TrustListContents, seen: Option<&AcceptedList>) -> Result<TrustList, Problem> {
    verify_at(&signed_by(draft(contents), &[1, 2]), seen, now())
}

/// A list from before there was a history.
fn without_history(contents: TrustListContents) -> TrustListContents {
    TrustListContents { history: Vec::new(), ..contents }
}

#[test]
fn a_list_that_forked_off_is_refused_also_across_a_gap() {
    let first = contents();
    let (second, other) = (after(&first, "A"), after(&first, "B"));
    let (third, other_third) = (after(&second, "A"), after(&other, "B"));
    let (fourth, other_fourth) = (after(&third, "A"), after(&other_third, "B"));
    for known in [&first, &second, &third, &fourth] {
        taken(&fourth, Some(&seen(known))).unwrap();
    }
    taken(&other_fourth, Some(&seen(&first))).unwrap();
    for known in [&second, &third, &fourth] {
        refused(taken(&other_fourth, Some(&seen(known))), Code::TrustListConflict);
    }
    // Nor one that leaves out the number that was seen.
    let skipping = TrustListContents { sequence: 5, ..after(&third, "A") };
    taken(&skipping, Some(&seen(&third))).unwrap();
    refused(taken(&skipping, Some(&seen(&fourth))), Code::TrustListConflict);
}

#[test]
fn a_list_names_the_last_64_before_it() {
    let mut lists = vec![contents()];
    while lists.len() < 70 {
        lists.push(after(lists.last().unwrap(), "A"));
    }
    let last = lists.last().unwrap();
    assert_eq!((last.history.len(), last.history[0].sequence, last.history[63].sequence), (64, 69, 6));
    taken(last, Some(&seen(&lists[5]))).unwrap();
    refused(taken(last, Some(&seen(&lists[4]))), Code::TrustListConflict);
    // One in between leads there.
    taken(&lists[40], Some(&seen(&lists[4]))).unwrap();
    taken(last, Some(&seen(&lists[40]))).unwrap();
}

#[test]
fn lists_of_before_there_was_a_history_are_a_root_until_the_first_with_one() {
    let first = contents();
    let old = without_history(after(&first, "A"));
    let older = AcceptedList {
        sequence: 1,
        digest: seen(&first).digest,
        has_history: false,
        timestamped: false,
        operators: None,
    };
    taken(&old, Some(&older)).unwrap();
    // Across a gap nothing shows that one descends from it: the list in between leads there.
    let third = without_history(after(&old, "A"));
    refused(taken(&third, Some(&older)), Code::TrustListConflict);
    taken(&third, Some(&seen(&old))).unwrap();
    refused(taken(&without_history(after(&after(&first, "B"), "A")), Some(&seen(&old))), Code::TrustListConflict);
    // The first with a history names the one before it, and as many as that one has.
    let new = after(&old, "A");
    assert_eq!((new.history.len(), seen(&old).has_history, seen(&new).has_history), (1, false, true));
    taken(&new, Some(&seen(&old))).unwrap();
    refused(taken(&new, Some(&older)), Code::TrustListConflict);
    refused(taken(&new, Some(&seen(&without_history(after(&first, "B"))))), Code::TrustListConflict);
    // From then on there must be one.
    let next = after(&new, "A");
    taken(&next, Some(&seen(&new))).unwrap();
    refused(taken(&without_history(next), Some(&seen(&new))), Code::TrustListConflict);
    // An older record says nothing of it.
    let kept = serde_json::from_value::<AcceptedList>(json!({"sequence": 1, "digest": older.digest})).unwrap();
    assert_eq!(kept, older);
}

#[test]
fn numbers_rise_by_a_thousand_at_most() {
    let first = contents();
    let at = |sequence| TrustListContents { sequence, ..after(&first, "A") };
    taken(&at(1_001), Some(&seen(&first))).unwrap();
    let did = Did::parse(LIST_DID).unwrap();
    refused(TrustList::draft(&did, &at(1_002), now(), day(30)), Code::TrustListJump);
    // Nor without a history, or with one that was made up.
    let far = |sequence| without_history(at(sequence));
    refused(taken(&far(1_001), Some(&seen(&first))), Code::TrustListConflict);
    refused(taken(&far(1_002), Some(&seen(&first))), Code::TrustListJump);
    refused(taken(&far(9_007_199_254_740_991), Some(&seen(&first))), Code::TrustListJump);
    taken(&far(9_007_199_254_740_991), None).unwrap();
}

#[test]
fn the_least_number_keeps_older_lists_from_those_who_have_seen_none() {
    let first = contents();
    let second = after(&first, "A");
    let by = |least, contents: &TrustListContents, seen: Option<&AcceptedList>| {
        let operators = operators().with_min_sequence(Some(least));
        let pinned = TrustListAnchors {
            operators: &operators,
            newest_accepted: seen,
            accepted_digest: None,
            now: now(),
            skew: SKEW,
        };
        TrustList::verify(&signed_by(draft(contents), &[1, 2]), &pinned, &SelfContainedResolver)
    };
    by(2, &second, None).unwrap();
    refused(by(3, &second, None), Code::TrustListRollback);
    refused(by(3, &second, Some(&seen(&second))), Code::TrustListRollback);
    // And those who could sign such a list from a number far above it.
    let far = |sequence| without_history(TrustListContents { sequence, ..second.clone() });
    by(2, &far(1_002), None).unwrap();
    refused(by(2, &far(1_003), None), Code::TrustListJump);
}

#[test]
fn the_way_back_is_one_list_by_its_digest() {
    let first = contents();
    let wrong = TrustListContents { sequence: 1_001, ..after(&first, "B") };
    let right = after(&first, "A");
    let back = |accept: &TrustListContents, contents: &TrustListContents| {
        let (operators, seen, accept) = (operators(), seen(&wrong), seen(accept).digest);
        let pinned = TrustListAnchors {
            operators: &operators,
            newest_accepted: Some(&seen),
            accepted_digest: Some(&accept),
            now: now(),
            skew: SKEW,
        };
        TrustList::verify(&signed_by(draft(contents), &[1, 2]), &pinned, &SelfContainedResolver)
    };
    let taken = back(&right, &right).unwrap();
    assert_eq!(taken.identity(), seen(&right));
    // No other one, and not by fewer operators.
    refused(back(&right, &after(&first, "C")), Code::TrustListRollback);
    let (operators, known, digest) = (operators(), seen(&wrong), seen(&right).digest);
    let pinned = TrustListAnchors {
        operators: &operators,
        newest_accepted: Some(&known),
        accepted_digest: Some(&digest),
        now: now(),
        skew: SKEW,
    };
    refused(TrustList::verify(&signed_by(draft(&right), &[1]), &pinned, &SelfContainedResolver), Code::TrustListQuorum);
}

#[test]
fn a_history_that_is_none_is_refused() {
    let third = after(&after(&contents(), "A"), "A");
    let did = Did::parse(LIST_DID).unwrap();
    let with = |change: &dyn Fn(&mut TrustListContents)| {
        let mut changed = third.clone();
        change(&mut changed);
        TrustList::draft(&did, &changed, now(), day(30))
    };
    with(&|_| ()).unwrap();
    let faults: [&dyn Fn(&mut TrustListContents); 8] = [
        &|list| list.history.reverse(),
        &|list| list.history[1] = list.history[0].clone(),
        &|list| list.history[0].sequence = 3,
        &|list| list.history[1].sequence = 0,
        &|list| drop(list.history.remove(0)),
        &|list| list.history[1].digest = "a".to_owned(),
        &|list| list.previous = Some("a".repeat(43)),
        &|list| list.history = vec![list.history[0].clone(); 65],
    ];
    for (at, fault) in faults.iter().enumerate() {
        assert_eq!(with(fault).map_err(|problem| problem.code), Err(Code::TrustListInvalid), "fault {at}");
    }
}
