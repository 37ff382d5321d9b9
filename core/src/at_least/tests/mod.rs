//! Content and cost of proofs; the refusals are in `rows`, the rest in files by their subject.

mod properties;
mod rows;
mod vectors;
mod wire;

use super::{chain::count::count_blocks, *};

const SALT: &str = "2GLC42sKQveCfGfryNRN9w";
const OTHER_SALT: &str = "eluV5Og3gSNII8EYnsxA_A";

fn refused<T: fmt::Debug>(result: Result<T, Problem>) -> Code {
    result.unwrap_err().code
}

/// The commitment that an opening is for.
fn commitment(direction: Direction, salt: &str, value: u16, opening: &ThresholdWitness) -> Commitment {
    let entries = commitments(direction, salt, value.into());
    entries.iter().find(|entry| entry.entry_index == opening.entry_index).unwrap().commitment
}

#[test]
fn the_element_is_found_where_the_issuer_shuffled_it() {
    for direction in Direction::ALL {
        let value = OrderedValue::from(46_344);
        let entries = commitments(direction, SALT, value);
        let texts: Vec<_> = entries.iter().map(|entry| entry.commitment.to_string()).collect();
        let mut elements: Vec<&str> = texts.iter().map(String::as_str).collect();
        elements.rotate_left(1);
        let positions = locate_commitments(direction, SALT, value, &elements).unwrap();
        assert_eq!(positions.iter().flatten().count(), entries.len());
        for (DominatingValue { entry_index: entry, .. }, text) in entries.iter().zip(&texts) {
            assert_eq!(elements[positions[usize::from(*entry)].unwrap()], text);
        }

        let opening = prove_threshold(direction, SALT, value, value).unwrap();
        let element = elements[positions[usize::from(opening.entry_index)].unwrap()];
        verify_threshold(direction, value, &element.parse().unwrap(), &opening.witness).unwrap();
    }
}

#[test]
fn a_wallet_sees_that_an_issuer_committed_to_something_else() {
    let of = |salt, value: u16| -> Vec<String> {
        let entries = commitments(Direction::AtLeast, salt, value.into());
        entries.iter().map(|entry| entry.commitment.to_string()).collect()
    };
    let check = |elements: &[String]| {
        let elements: Vec<&str> = elements.iter().map(String::as_str).collect();
        locate_commitments(Direction::AtLeast, SALT, 0x1234.into(), &elements)
    };
    let genuine = of(SALT, 0x1234);
    check(&genuine).unwrap();

    let one_less = genuine[1..].to_vec();
    let one_more = [&genuine[..], &of(SALT, 0x1235)[..1]].concat();
    let twice = [&genuine[1..], &genuine[1..2]].concat();
    let marked = [&genuine[1..], &["a mark to know this copy by".to_owned()]].concat();
    for elements in [one_less, one_more, twice, marked, of(OTHER_SALT, 0x1234), of(SALT, 0x1233), Vec::new()] {
        assert_eq!(refused(check(&elements)), Code::ThresholdUnproven, "{elements:?}");
    }
}

#[test]
fn a_proof_costs_at_most_64_blocks_and_its_check_63() {
    let cost = |direction, value: u16, threshold: u16| {
        let (opening, proving) =
            count_blocks(|| prove_threshold(direction, SALT, value.into(), threshold.into()).unwrap());
        let commitment = commitment(direction, SALT, value, &opening);
        let (verdict, verifying) =
            count_blocks(|| verify_threshold(direction, threshold.into(), &commitment, &opening.witness));
        verdict.unwrap();
        (proving, verifying)
    };
    // The holder's work is four seeds and the way down to the threshold; the verifier's the way up from it, and the
    // root.
    assert_eq!(cost(Direction::AtLeast, 65_535, 0), (64, 3));
    assert_eq!(cost(Direction::AtLeast, 65_535, 65_535), (4, 63));
    assert_eq!(cost(Direction::AtMost, 0, 65_535), (64, 3));
    assert_eq!(cost(Direction::AtMost, 0, 0), (4, 63));

    // The cost of the most expensive value for the issuer, and for the wallet once for each copy.
    let all = |value: u16| count_blocks(|| commitments(Direction::AtLeast, SALT, value.into())).1;
    assert_eq!(all(0xfffe), 264);
}

#[test]
fn what_is_secret_is_not_printed() {
    let opening = prove_threshold(Direction::AtLeast, SALT, 46_344.into(), 46_021.into()).unwrap();
    assert_eq!(format!("{opening:?}"), "ThresholdWitness { entry_index: 2, witness: Witness(..) }");
    assert!(!format!("{:?}", commitments(Direction::AtLeast, SALT, 46_344.into())).contains("46344"));
}
