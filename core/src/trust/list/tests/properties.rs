//! Properties of every list and every question.

use proptest::prelude::*;

use super::*;
use crate::epoch::Epoch;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    /// A list with any one byte changed is refused, or it is the same list.
    #[test]
    fn one_byte_changed(place in any::<prop::sample::Index>(), mask in 1..=255_u8) {
        let mut text = serde_json::to_vec(&signed_by(draft(&contents()), &[1, 2])).unwrap();
        let read = |text: &[u8]| json::parse_object(text, json::Limits::STATUS_LIST).and_then(|list| verify(&list));
        let held = read(&text).unwrap();
        let at = place.index(text.len());
        text[at] ^= mask;
        if let Ok(other) = read(&text) {
            prop_assert_eq!(other, held);
        }
    }

    /// A list with a piece taken out or repeated is refused, or it is the same list.
    #[test]
    fn one_piece_removed_or_repeated(from in any::<prop::sample::Index>(), length in 1..200_usize, repeat in any::<bool>()) {
        let text = serde_json::to_vec(&signed_by(draft(&contents()), &[1, 2])).unwrap();
        let read = |text: &[u8]| json::parse_object(text, json::Limits::STATUS_LIST).and_then(|list| verify(&list));
        let held = read(&text).unwrap();
        let start = from.index(text.len());
        let end = start.saturating_add(length).min(text.len());
        let (before, after) = (if repeat { &text[..end] } else { &text[..start] }, &text[if repeat { start } else { end }..]);
        if let Ok(other) = read(&[before, after].concat()) {
            prop_assert_eq!(other, held);
        }
    }

    /// After any list, only a newer one or the same is accepted.
    #[test]
    fn no_way_back(seen in 1..6_u64, offered in 1..6_u64) {
        let mut lists = vec![list(&contents())];
        while lists.len() < 5 {
            lists.push(list(&lists.last().unwrap().next_contents()));
        }
        let of = |number: u64| lists.iter().find(|list| list.contents().sequence == number).unwrap();
        let document = signed_by(draft(of(offered).contents()), &[2, 3]);
        prop_assert_eq!(verify_at(&document, Some(&of(seen).identity()), now()).is_ok(), offered >= seen);
    }
}

fn seconds() -> impl Strategy<Value = Timestamp> {
    (-5..=5_i64).prop_map(|offset| now().plus(offset))
}

fn any_accreditation() -> impl Strategy<Value = Accreditation> {
    let withdrawal = (0..6_i64, any::<bool>());
    let epoch = prop::option::of(prop::sample::select(&Epoch::ALL[..]));
    (seconds(), epoch, prop::option::of(0..6_i64), prop::option::of(withdrawal)).prop_map(
        |(from, epoch, until, withdrawal)| Accreditation {
            from,
            epoch,
            until: until.map(|after| from.plus(after)),
            withdrawal: withdrawal.map(|(after, stand)| Withdrawal {
                withdrawn_from: from.plus(after),
                earlier_credentials: if stand {
                    EarlierCredentials::StayValid
                } else {
                    EarlierCredentials::BecomeInvalid
                },
                reason: None,
            }),
            ..accreditation()
        },
    )
}

/// Spec/trust.md section 5 again, as one condition on each second.
fn oracle(accreditations: &[Accreditation], issued: Option<Timestamp>, now: Timestamp) -> bool {
    let falls = |of: &Accreditation| {
        of.withdrawal
            .as_ref()
            .is_some_and(|w| w.earlier_credentials == EarlierCredentials::BecomeInvalid && w.withdrawn_from <= now)
    };
    let at = issued.unwrap_or(now);
    let good = accreditations.iter().any(|of| {
        let begun = of.from <= now;
        let end = of.until.map_or(i64::MAX, |until| until.plus(1).unix());
        let end = of.withdrawal.as_ref().map_or(end, |w| end.min(w.withdrawn_from.unix()));
        let first = of.epoch.unwrap_or(Epoch::Month).start(of.from);
        begun && (first.unix()..end).contains(&at.unix()) && !falls(of)
    });
    good && (issued.is_some() || !accreditations.iter().any(falls))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1024))]

    /// Decisions are those of the rules as the specification has them, at every second around every boundary.
    #[test]
    fn decisions_are_those_of_the_specification(
        accreditations in prop::collection::vec(any_accreditation(), 1..4),
        issued in prop::option::of(seconds()),
        after in 0..6_i64,
    ) {
        let contents = with_issuer(accreditations.clone());
        // Verified by itself: signing it is not under test here.
        let mut held = list(&self::contents());
        contents.check_limits(&LIST).unwrap();
        held.contents = contents;
        let question = AccreditationQuestion { issued_at: issued, ..AccreditationQuestion::for_issuance(UNI, QUALIFICATION) };
        let why = held.decide(&question, now().plus(after));
        prop_assert_eq!(why.is_accepted(), oracle(&accreditations, issued, now().plus(after)), "{}", why);
    }
}
