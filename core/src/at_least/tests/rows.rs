//! The negative cases, each with its passing twin.

use serde_json::{Value, json};

use super::*;

#[test]
fn row_84_no_proof_of_a_threshold_above_the_value() {
    for (direction, value, met, unmet) in [
        (Direction::AtLeast, 0x2345, [0, 0x2344, 0x2345], [0x2346, 0x2400, 65_535]),
        (Direction::AtMost, 0x2345, [0x2345, 0x2346, 65_535], [0x2344, 0x1fff, 0]),
    ] {
        let entries = commitments(direction, SALT, value.into());
        for threshold in met {
            let opening = prove_threshold(direction, SALT, value.into(), threshold.into()).unwrap();
            let commitment = entries[usize::from(opening.entry_index)].commitment;
            verify_threshold(direction, threshold.into(), &commitment, &opening.witness).unwrap();
        }
        for threshold in unmet {
            assert_eq!(refused(prove_threshold(direction, SALT, value.into(), threshold.into())), Code::ThresholdUnmet);
            // The holder's best attempt: the seeds, from which nobody can step back.
            for DominatingValue { entry_index: entry, value, commitment } in &entries {
                let seeds = digits(*value).map(|(place, _)| *chain::seed(direction, SALT, *entry, place));
                let outcome = verify_threshold(direction, threshold.into(), commitment, &Witness(seeds));
                assert_eq!(refused(outcome), Code::ThresholdUnproven);
            }
        }
    }
}

#[test]
fn row_85_a_witness_of_another_claim_copy_or_direction() {
    let [value, threshold] = [OrderedValue::from(0x7fff), OrderedValue::from(0x7000)];
    let own = prove_threshold(Direction::AtLeast, SALT, value, threshold).unwrap();
    let commitment = commitment(Direction::AtLeast, SALT, 0x7fff, &own);
    let check = |witness: &Witness| verify_threshold(Direction::AtLeast, threshold, &commitment, witness);
    check(&own.witness).unwrap();

    // Another claim of the copy, or the same claim of another copy, has another salt.
    let of_other_salt = prove_threshold(Direction::AtLeast, OTHER_SALT, value, threshold).unwrap();
    // The number 0x8000 below 65,535 is mirrored onto the value and the threshold themselves.
    let mirrored = [!value.number(), !threshold.number()].map(OrderedValue::from);
    let of_other_direction = prove_threshold(Direction::AtMost, SALT, mirrored[0], mirrored[1]).unwrap();
    let of_other_entry = Witness(digits(value).map(|(place, _)| *chain::seed(Direction::AtLeast, SALT, 3, place)));
    for witness in [of_other_salt.witness, of_other_direction.witness, of_other_entry] {
        assert_eq!(refused(check(&witness)), Code::ThresholdUnproven);
    }
    let as_at_most = verify_threshold(Direction::AtMost, mirrored[1], &commitment, &own.witness);
    assert_eq!(refused(as_at_most), Code::ThresholdUnproven);
}

#[test]
fn row_86_a_negative_or_absurd_threshold() {
    for number in [0, 1, 65_535] {
        assert_eq!(i64::from(OrderedValue::try_from(number).unwrap().number()), number);
    }
    for number in [-1, 65_536, i64::MIN, i64::MAX] {
        assert_eq!(refused(OrderedValue::try_from(number)), Code::ThresholdInvalid, "{number}");
    }

    let proof = |threshold: Value| {
        let witness = prove_threshold(Direction::AtLeast, SALT, 9.into(), 3.into()).unwrap().witness;
        ThresholdProof::parse_all(&json!([{"path": ["level"], "at_least": threshold, "witness": witness.to_string()}]))
    };
    for good in [json!(3), json!("B1")] {
        assert_eq!(OrderedValue::from_threshold(&good).unwrap(), 3.into());
    }
    assert_eq!(proof(json!(3)).unwrap()[0].threshold, 3.into());
    for bad in [json!(-1), json!(-0.5), json!(65_536), json!(1e300), json!(u64::MAX), json!(3.5)] {
        assert_eq!(refused(OrderedValue::from_threshold(&bad)), Code::ThresholdInvalid, "{bad}");
        assert_eq!(refused(proof(bad.clone())), Code::ThresholdInvalid, "{bad}");
    }
    for (bad, code) in [
        (json!(null), Code::ThresholdInvalid),
        (json!(true), Code::ThresholdInvalid),
        (json!([3]), Code::ThresholdInvalid),
        (json!("1899-12-31"), Code::ThresholdInvalid),
        (json!("2079-06-07"), Code::ThresholdInvalid),
        (json!("2027-02-29"), Code::DateMalformed),
        (json!("2027-02-28T00:00:00Z"), Code::DateMalformed),
        (json!("3"), Code::DateMalformed),
        (json!("b1"), Code::DateMalformed),
    ] {
        assert_eq!(refused(OrderedValue::from_threshold(&bad)), code, "{bad}");
        assert_eq!(refused(proof(bad.clone())), Code::ThresholdInvalid, "{bad}");
    }
}

#[test]
fn values_out_of_range_count_as_its_end_where_that_keeps_proofs_true() {
    let of = |direction, value: Value| OrderedValue::from_claim(direction, &value).map(OrderedValue::number).ok();
    let (last, none) = (Some(u16::MAX), None::<u16>);
    for (value, at_least, at_most) in [
        (json!("9999-12-31"), last, none),
        (json!("9999-12-31T23:59:59Z"), last, none),
        (json!("2079-06-07"), last, none),
        (json!("2079-06-06"), last, last),
        (json!("1899-12-31"), none, Some(0)),
        (json!("0001-01-01T12:00:00Z"), none, Some(0)),
        (json!(70_000), last, none),
        (json!(65_535.5), last, none),
        (json!(1e300), last, none),
        (json!(u64::MAX), last, none),
        (json!(-1), none, Some(0)),
        (json!(-0.5), none, Some(0)),
        (json!(7.5), Some(7), Some(8)),
    ] {
        let found = (of(Direction::AtLeast, value.clone()), of(Direction::AtMost, value.clone()));
        assert_eq!(found, (at_least, at_most), "{value}");
        // A threshold out of range is refused.
        assert!(found == (Some(7), Some(8)) || found == (last, last) || OrderedValue::from_threshold(&value).is_err());
    }
    for bad in [json!("9999-12-32"), json!("later"), json!(null), json!(true)] {
        assert!(Direction::ALL.into_iter().all(|direction| of(direction, bad.clone()).is_none()), "{bad}");
    }
}

#[test]
fn what_ends_at_midnight_ends_with_the_day_before() {
    let day = |date: &str| days_since_1900(date).unwrap();
    for (instant, date) in [
        ("2027-03-01T00:00:00Z", "2027-02-28"),
        ("2027-03-01T02:00:00+02:00", "2027-02-28"),
        ("2027-02-28T24:00:00Z", "2027-02-28"),
        ("2027-02-28T23:59:59Z", "2027-02-28"),
        ("2027-03-01T00:00:01Z", "2027-03-01"),
        ("2027-03-01T00:00:00.5Z", "2027-03-01"),
        ("2027-03-01T00:00:00.0Z", "2027-02-28"),
    ] {
        for direction in Direction::ALL {
            assert_eq!(OrderedValue::from_claim(direction, &json!(instant)).unwrap(), day(date), "{instant}");
        }
        let before = OrderedValue::from_legacy_claim(Direction::AtLeast, &json!(instant));
        assert_eq!(
            before.is_some(),
            instant.contains("T00:00:00Z")
                || instant.contains("T02")
                || instant.contains("T24")
                || instant.contains(".0Z")
        );
    }
    // A date is a whole day, as it was.
    assert_eq!(OrderedValue::from_claim(Direction::AtLeast, &json!("2027-03-01")).unwrap(), day("2027-03-01"));
    assert_eq!(OrderedValue::from_legacy_claim(Direction::AtLeast, &json!("2027-03-01")), None);
}

#[test]
fn row_87_a_witness_of_the_wrong_length() {
    let opening = prove_threshold(Direction::AtLeast, SALT, 46_344.into(), 46_021.into()).unwrap();
    let bytes = opening.witness.0.as_flattened();
    let text = opening.witness.to_string();
    assert_eq!(text.parse::<Witness>().unwrap(), opening.witness);

    let longer = [bytes, &[0]].concat();
    for wrong in [&bytes[..0], &bytes[..96], &bytes[..127], &longer, &[bytes, bytes].concat()] {
        let wrong = URL_SAFE_NO_PAD.encode(wrong);
        assert_eq!(refused(wrong.parse::<Witness>()), Code::ThresholdUnproven, "{} characters", wrong.len());
    }
    // The right number of characters, but padded, in the other alphabet, or with unused bits that are not zero.
    for wrong in [format!("{}=", &text[..170]), format!("+{}", &text[1..]), format!("{}_", &text[..170])] {
        assert_eq!(refused(wrong.parse::<Witness>()), Code::InvalidEncoding, "{wrong}");
    }

    let commitment = commitment(Direction::AtLeast, SALT, 46_344, &opening).to_string();
    assert_eq!(commitment.parse::<Commitment>().unwrap().to_string(), commitment);
    for wrong in [&commitment[1..], "", &text] {
        assert_eq!(refused(wrong.parse::<Commitment>()), Code::ThresholdUnproven);
    }
}
