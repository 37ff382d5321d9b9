use super::*;
use crate::store::HolderKey;

#[test]
fn of_old_copies_that_were_shown_only_the_key_stays() {
    let fresh = || CredentialCopy::new("x~".to_owned(), HolderKey::generate());
    let mut copies: Vec<CredentialCopy> = (0..SHOWN_KEPT + 4).map(|_| fresh()).collect();
    for copy in &mut copies[2..] {
        copy.presented_to.push("asker".to_owned());
    }
    limit_presented_copies(&mut copies);
    let gone = |copies: &[CredentialCopy]| {
        copies.iter().enumerate().filter(|(_, copy)| !copy.is_presentable()).map(|(at, _)| at).collect()
    };
    let first: Vec<usize> = gone(&copies);
    assert_eq!(first, [2, 3], "the oldest that were shown, and no fresh one");
    assert!(copies.iter().all(|copy| copy.key.decode().is_ok()));
    assert_eq!(copies[2].presented_to, ["asker"]);
    assert_eq!(copies.iter().filter(|copy| copy.is_unused()).count(), 2);
    limit_presented_copies(&mut copies);
    assert_eq!(gone(&copies), first);
}

#[test]
fn the_mark_is_drawn_and_never_most_of_a_batch() {
    let drawn: std::collections::BTreeSet<u8> = (0..200).map(|_| choose_refill_threshold(10)).collect();
    assert_eq!(drawn.into_iter().collect::<Vec<_>>(), [2, 3, 4]);
    assert!((0..50).all(|_| choose_refill_threshold(3) == 1 && choose_refill_threshold(1) == 0));
}
