//! The vectors of an independent implementation, and the table in the specification.

use std::path::Path;

use serde_json::Value;

use super::*;

fn number(value: &Value) -> OrderedValue {
    value.as_i64().unwrap().try_into().unwrap()
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap()
}

#[test]
#[cfg_attr(not(carnet_vectors), ignore = "CARNET_VECTORS is not set")]
fn the_vectors_of_another_implementation_are_met() {
    let file = Path::new(&std::env::var_os("CARNET_VECTORS").unwrap()).join("at-least/vectors.json");
    let file: Value = serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap();
    let (mut proofs, mut refusals) = (0, 0);
    for vector in file["vectors"].as_array().unwrap() {
        let (salt, value) = (text(&vector["salt"]), number(&vector["value"]));
        let entries = commitments(Direction::AtLeast, salt, value);
        let expected = vector["entries"].as_array().unwrap();
        assert_eq!(entries.len(), expected.len(), "{vector}");
        for (entry, expected) in entries.iter().zip(expected) {
            assert_eq!(u64::from(entry.entry_index), expected["entry"].as_u64().unwrap());
            assert_eq!(entry.value, number(&expected["value"]));
            assert_eq!(entry.commitment.to_string(), text(&expected["commitment"]));
        }
        for proof in vector["proofs"].as_array().unwrap() {
            let threshold = number(&proof["threshold"]);
            let opening = prove_threshold(Direction::AtLeast, salt, value, threshold).unwrap();
            assert_eq!(u64::from(opening.entry_index), proof["entry"].as_u64().unwrap(), "{proof}");
            assert_eq!(opening.witness.to_string(), text(&proof["witness"]));
            let entry = entries.iter().find(|entry| entry.entry_index == opening.entry_index).unwrap();
            verify_threshold(
                Direction::AtLeast,
                threshold,
                &entry.commitment,
                &text(&proof["witness"]).parse().unwrap(),
            )
            .unwrap();
            proofs += 1;
        }
        for refusal in vector["refused"].as_array().unwrap() {
            let commitment = text(&refusal["commitment"]).parse().unwrap();
            let outcome = text(&refusal["witness"]).parse().and_then(|witness| {
                verify_threshold(Direction::AtLeast, number(&refusal["threshold"]), &commitment, &witness)
            });
            assert_eq!(refused(outcome), Code::ThresholdUnproven, "{refusal}");
            refusals += 1;
        }
    }
    assert!(proofs >= 32 && refusals >= 32, "{proofs} proofs and {refusals} refusals");
}

/// The code reproduces the specification's table.
#[test]
fn the_specifications_own_vectors_hold() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../spec/at-least.md");
    let document = std::fs::read_to_string(file).unwrap();
    let rows: Vec<Vec<String>> = document
        .lines()
        .filter(|line| line.starts_with("| at_"))
        .map(|line| line.trim_matches('|').split('|').map(|cell| cell.trim().trim_matches('`').to_owned()).collect())
        .collect();
    assert!(rows.len() >= 6);
    for row in &rows {
        let [direction, salt, value, threshold, entry, commitment, witness] = &row[..] else { panic!("{row:?}") };
        let direction = Direction::parse(direction).unwrap();
        let [value, threshold] = [value, threshold].map(|number| number.parse::<u16>().unwrap().into());
        let opening = prove_threshold(direction, salt, value, threshold).unwrap();
        assert_eq!(opening.entry_index.to_string(), *entry, "{row:?}");
        assert_eq!(opening.witness.to_string(), *witness, "{row:?}");
        let entries = commitments(direction, salt, value);
        let found = entries.iter().find(|found| found.entry_index == opening.entry_index).unwrap();
        assert_eq!(found.commitment.to_string(), *commitment, "{row:?}");
        verify_threshold(direction, threshold, &found.commitment, &opening.witness).unwrap();
    }
    for direction in Direction::ALL {
        assert!(rows.iter().any(|row| row[0] == direction.as_str()));
    }
}
