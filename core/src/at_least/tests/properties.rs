//! Properties of every value and every threshold.

use proptest::prelude::*;

use super::*;

/// Values around which carries, lowered digits and fifteens begin and end.
const BOUNDARIES: [u16; 20] = [
    0, 1, 14, 15, 16, 17, 0xfe, 0xff, 0x100, 0x0f0f, 0xfff, 0x1000, 0x1001, 0x10ff, 0x1f00, 0xb508, 0xf0f0, 0xfff0,
    0xfffe, 0xffff,
];

/// Numbers of which many have digits of zero or fifteen, and neighbours.
fn number() -> impl Strategy<Value = u16> {
    prop_oneof![
        any::<u16>(),
        prop::sample::select(&BOUNDARIES[..]),
        (0..16_u16, prop::sample::select(&[0, 4, 8, 12][..])).prop_map(|(digit, bits)| digit << bits)
    ]
}

#[test]
fn for_boundary_values_every_threshold_up_to_them_is_dominated_and_none_above() {
    for value in BOUNDARIES {
        let entries: Vec<_> = value::dominating_values(value.into()).collect();
        assert!(entries.len() <= COMMITMENT_ARRAY_LENGTH);
        for threshold in 0..=u16::MAX {
            let dominated = entries.iter().any(|(_, entry)| dominates(*entry, threshold.into()));
            assert_eq!(dominated, threshold <= value, "{threshold} of {value}");
        }
    }
}

#[test]
fn for_every_value_the_value_is_dominated_and_the_next_number_is_not() {
    for value in 0..u16::MAX {
        let dominated = |threshold: u16| {
            value::dominating_values(value.into()).any(|(_, entry)| dominates(entry, threshold.into()))
        };
        assert!(dominated(value) && dominated(value / 2) && !dominated(value + 1), "{value}");
    }
}

#[test]
fn the_first_entry_that_serves_would_tell_of_the_last_digit() {
    // This is why a wallet does not open it again: of 0x0120 one entry proves 0x0110, and another 0x0111.
    let entry = |prove: fn(Direction, &str, OrderedValue, OrderedValue) -> Result<ThresholdWitness, Problem>,
                 threshold: u16| {
        prove(Direction::AtLeast, SALT, 0x0120.into(), threshold.into()).unwrap().entry_index
    };
    assert_ne!(entry(prove_threshold, 0x0110), entry(prove_threshold, 0x0111));
    assert_eq!(entry(prove_threshold_in_block, 0x0110), entry(prove_threshold_in_block, 0x0111));
    assert!(are_in_same_block(0x0110.into(), 0x011f.into()) && !are_in_same_block(0x011f.into(), 0x0120.into()));
}

#[test]
fn around_a_carry_every_threshold_is_proved_or_refused_to_the_last_hash() {
    for value in [0xef_u16, 0xff, 0x100, 0x101] {
        let entries = commitments(Direction::AtLeast, SALT, value.into());
        for threshold in 0..=0x111_u16 {
            let opening = prove_threshold(Direction::AtLeast, SALT, value.into(), threshold.into());
            assert_eq!(opening.is_ok(), threshold <= value, "{threshold} of {value}");
            let Ok(ThresholdWitness { entry_index: entry, witness }) = opening else { continue };
            for of in &entries {
                let verdict = verify_threshold(Direction::AtLeast, threshold.into(), &of.commitment, &witness);
                assert_eq!(verdict.is_ok(), of.entry_index == entry, "{threshold} of {value}");
            }
        }
    }
}

proptest! {
    #[test]
    fn a_proof_exists_exactly_for_what_is_true(value in number(), threshold in number(), salt in "[A-Za-z0-9_-]{22}") {
        for direction in Direction::ALL {
            let holds = match direction {
                Direction::AtLeast => value >= threshold,
                Direction::AtMost => value <= threshold,
            };
            let (opening, proving) = count_blocks(|| prove_threshold(direction, &salt, value.into(), threshold.into()));
            prop_assert!(proving <= 64);
            prop_assert_eq!(opening.is_ok(), holds);
            if let Ok(opening) = opening {
                let commitment = commitment(direction, &salt, value, &opening);
                let (verdict, verifying) =
                    count_blocks(|| verify_threshold(direction, threshold.into(), &commitment, &opening.witness));
                prop_assert!(verdict.is_ok() && verifying <= 63);
            }
        }
    }

    #[test]
    fn a_witness_is_good_for_its_threshold_entry_and_direction_alone(
        value in number(), threshold in number(), other in number()
    ) {
        for direction in Direction::ALL {
            let Ok(opening) = prove_threshold(direction, SALT, value.into(), threshold.into()) else { continue };
            for of in Direction::ALL {
                for entry in commitments(of, SALT, value.into()) {
                    for claimed in [threshold, other] {
                        let own = (of, entry.entry_index, claimed) == (direction, opening.entry_index, threshold);
                        let verdict = verify_threshold(of, claimed.into(), &entry.commitment, &opening.witness);
                        prop_assert_eq!(verdict.is_ok(), own);
                    }
                }
            }
        }
    }

    /// Otherwise, a verifier that is shown a copy again would learn from another entry what neither bound says.
    #[test]
    fn one_entry_proves_all_that_is_true_of_a_block(value in number(), threshold in number()) {
        for direction in Direction::ALL {
            let block = (0..16_u16).map(|digit| OrderedValue::from((threshold & 0xfff0) | digit));
            let mut entries = Vec::new();
            for one in block {
                let opening = prove_threshold_in_block(direction, SALT, value.into(), one);
                prop_assert_eq!(opening.is_ok(), prove_threshold(direction, SALT, value.into(), one).is_ok());
                let Ok(opening) = opening else { continue };
                let commitment = commitment(direction, SALT, value, &opening);
                prop_assert!(verify_threshold(direction, one, &commitment, &opening.witness).is_ok());
                entries.push(opening.entry_index);
            }
            entries.dedup();
            prop_assert!(entries.len() <= 1);
        }
    }

    /// A verifier steps on from the points that it has; from two bounds of a block it gets to nothing above the
    /// greater.
    #[test]
    fn two_bounds_of_a_block_combine_to_the_greater(value in number(), one in 0..16_u16, other in 0..16_u16) {
        let of = |digit: u16| OrderedValue::from((value & 0xfff0) | digit);
        let [one, other] = [of(one.min(other)), of(one.max(other))];
        prop_assert!(dominates(other, one) && are_in_same_block(one, other));
        let carried = OrderedValue::from(value.saturating_add(16));
        prop_assert!(carried.number() == u16::MAX || !are_in_same_block(OrderedValue::from(value), carried));
    }

    #[test]
    fn an_altered_bit_is_refused(value in number(), byte in 0..128_usize, bit in 0..8_u8) {
        let mut opening = prove_threshold(Direction::AtLeast, SALT, value.into(), (value / 2).into()).unwrap();
        let commitment = commitment(Direction::AtLeast, SALT, value, &opening);
        opening.witness.0.as_flattened_mut()[byte] ^= 1 << bit;
        let verdict = verify_threshold(Direction::AtLeast, (value / 2).into(), &commitment, &opening.witness);
        prop_assert_eq!(refused(verdict), Code::ThresholdUnproven);
    }

    #[test]
    fn no_commitment_of_two_copies_is_the_same(value in number()) {
        let all = Direction::ALL.into_iter().flat_map(|direction| {
            [SALT, OTHER_SALT].into_iter().flat_map(move |salt| commitments(direction, salt, value.into()))
        });
        let texts: Vec<_> = all.map(|entry| entry.commitment.to_string()).collect();
        let distinct: std::collections::HashSet<_> = texts.iter().collect();
        prop_assert_eq!(distinct.len(), texts.len());
    }

    #[test]
    fn reading_never_panics(text in "\\PC{0,200}") {
        let _ = (text.parse::<Witness>(), text.parse::<Commitment>(), days_since_1900(&text));
        let _ = OrderedValue::from_claim(Direction::AtLeast, &text.into());
    }
}
