//! Numbers of claims and thresholds, and the member of the key-binding JWT.

use serde_json::{Value, json};

use super::*;
use crate::query::parse_path;

#[test]
fn a_date_is_days_since_1900_and_back() {
    for (date, days) in [
        ("1900-01-01", 0),
        ("1900-03-01", 59),
        ("1970-01-01", 25_567),
        ("2000-02-29", 36_583),
        ("2026-01-01", 46_021),
        ("2079-06-06", 65_535),
    ] {
        assert_eq!(days_since_1900(date).unwrap().number(), days, "{date}");
        assert_eq!(date_of(days.into()), date);
    }
    for days in 0..u16::MAX {
        let (today, tomorrow) = (date_of(days.into()), date_of((days + 1).into()));
        assert!(today < tomorrow);
        assert_eq!(days_since_1900(&today).unwrap().number(), days);
    }
    for date in ["", "2026-1-01", "2026-01-1", "26-01-01", "2026-13-01", "2026-02-30", "2026/01/01", "+2026-1-1"] {
        assert_eq!(refused(days_since_1900(date)), Code::DateMalformed, "{date}");
    }
}

#[test]
fn a_claim_comes_to_a_number_that_keeps_both_directions_true() {
    let of = |direction, value: Value| OrderedValue::from_claim(direction, &value).map(OrderedValue::number);
    for direction in Direction::ALL {
        assert_eq!(of(direction, json!("1996-04-12")), days_since_1900("1996-04-12").map(OrderedValue::number));
        assert_eq!(of(direction, json!(6)), Ok(6));
        assert_eq!(of(direction, json!("A1")), Ok(1));
        assert_eq!(of(direction, json!("C2")), Ok(6));
        // The day in UTC, for any offset of the instant.
        for instant in ["2028-02-29T23:59:59+01:00", "2028-03-01T00:00:00Z", "2028-02-28T23:30:00-01:00"] {
            assert_eq!(
                of(direction, json!(instant)),
                days_since_1900("2028-02-29").map(OrderedValue::number),
                "{instant}"
            );
        }
        for absurd in [json!(true), json!({}), json!(null)] {
            assert_eq!(of(direction, absurd.clone()).unwrap_err().code, Code::ThresholdInvalid, "{absurd}");
        }
        assert_eq!(refused(OrderedValue::from_claim(direction, &json!("2028-02-29T23:59:59"))), Code::DateMalformed);
    }
    assert_eq!(of(Direction::AtLeast, json!(7.5)), Ok(7));
    assert_eq!(of(Direction::AtMost, json!(7.5)), Ok(8));
    assert_eq!(of(Direction::AtLeast, json!(180.0)), Ok(180));
}

#[test]
fn names_follow_the_claims() {
    assert_eq!(Direction::AtLeast.commitments_claim("validUntil"), "validUntilAtLeast");
    assert_eq!(Direction::AtMost.commitments_claim("dateOfBirth"), "dateOfBirthAtMost");
    for direction in Direction::ALL {
        assert_eq!(Direction::parse(direction.as_str()), Some(direction));
        assert_eq!(direction.query_member(), format!("carnet_{}", direction.as_str()));
    }
    assert_eq!(Direction::parse("AtLeast"), None);
}

fn proof(path: Value, direction: Direction, threshold: u16) -> ThresholdProof {
    let threshold = OrderedValue::from(threshold);
    let witness = prove_threshold(direction, SALT, threshold, threshold).unwrap().witness;
    ThresholdProof { path: parse_path(&path).unwrap(), direction, threshold, witness }
}

#[test]
fn proofs_are_written_and_read_back() {
    let proofs = [
        proof(json!(["credentialSubject", "validUntil"]), Direction::AtLeast, 46_021),
        proof(json!(["credentialSubject", "validUntil"]), Direction::AtMost, 50_000),
        proof(json!(["credentialSubject", "language", "level"]), Direction::AtLeast, 4),
    ];
    let written = Value::from_iter(proofs.iter().map(ThresholdProof::to_json));
    assert_eq!(written[0]["at_least"], 46_021);
    assert_eq!(written[1]["at_most"], 50_000);
    assert_eq!(ThresholdProof::parse_all(&written).unwrap(), proofs);
}

#[test]
fn proofs_of_another_shape_are_refused() {
    let good = proof(json!(["level"]), Direction::AtLeast, 4).to_json();
    let with = |name: &str, value: Value| {
        let mut changed = good.clone();
        changed[name] = value;
        json!([changed])
    };
    let without = |name: &str| {
        let mut changed = good.clone();
        changed.as_object_mut().unwrap().remove(name);
        json!([changed])
    };
    let many: Vec<Value> =
        (0..=64).map(|index| proof(json!([format!("claim {index}")]), Direction::AtLeast, 4).to_json()).collect();
    ThresholdProof::parse_all(&json!([good])).unwrap();
    assert_eq!(
        ThresholdProof::parse_all(&with("at_least", json!(4.0))).unwrap(),
        ThresholdProof::parse_all(&json!([good])).unwrap()
    );
    ThresholdProof::parse_all(&json!(many[..MAX_PROOFS])).unwrap();

    for wrong in [
        json!([]),
        json!({}),
        json!([1]),
        json!([good, good]),
        json!(many),
        with("at_most", json!(5)),
        with("entry", json!(0)),
        with("witness", json!(null)),
        with("path", json!([])),
        with("path", json!(["levels", null])),
        with("path", json!(["levels", 0])),
        without("path"),
        without("at_least"),
        without("witness"),
    ] {
        assert_eq!(refused(ThresholdProof::parse_all(&wrong)), Code::TokenMalformed, "{wrong}");
    }
    for (wrong, code) in [
        (with("witness", json!("AA")), Code::ThresholdUnproven),
        (with("at_least", json!("4")), Code::ThresholdInvalid),
        (with("at_least", json!(4.5)), Code::ThresholdInvalid),
    ] {
        assert_eq!(refused(ThresholdProof::parse_all(&wrong)), code, "{wrong}");
    }
}
