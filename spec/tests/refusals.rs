//! Holds the table of refused inputs (`spec/refusals.md`) and the tests named `row_NN_...` together.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "a test may fail by panicking")]

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

use carnet_core::Code;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// Cells of the table's rows: number, input, reason, clause, test.
fn rows() -> Vec<Vec<String>> {
    let text = fs::read_to_string(root().join("spec/refusals.md")).unwrap();
    let rows = text.lines().filter_map(|line| line.strip_prefix("| ")?.strip_suffix(" |"));
    let rows = rows.map(|row| row.split(" | ").map(|cell| cell.trim().to_owned()).collect::<Vec<_>>());
    rows.filter(|row| row[0].parse::<u32>().is_ok()).collect()
}

/// Numbers of all tests that are named after a row, in the Rust files below a folder.
fn tested(folder: &Path, numbers: &mut BTreeSet<u32>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            tested(&path, numbers);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            for name in fs::read_to_string(&path).unwrap().split("fn ").filter_map(|rest| rest.strip_prefix("row_")) {
                let digits = name.split('_').take_while(|part| part.bytes().all(|byte| byte.is_ascii_digit()));
                numbers.extend(digits.filter_map(|part| part.parse::<u32>().ok()));
            }
        }
    }
}

#[test]
fn each_row_names_a_test_that_exists_and_a_code_that_exists() {
    let rows = rows();
    assert!(rows.len() > 90, "{} rows", rows.len());
    for row in &rows {
        assert_eq!(row.len(), 5, "{row:?}");
        let (name, file) = row[4].split_once(", ").unwrap();
        let name = name.trim_matches('`');
        let text = fs::read_to_string(root().join(file)).unwrap_or_else(|error| panic!("{file}: {error}"));
        assert!(text.contains(&format!("fn {name}(")), "{file} has no test {name}");
        let number: u32 = row[0].parse().unwrap();
        assert!(name.split('_').any(|part| part.parse() == Ok(number)), "{name} is of another row than {number}");
        let code = row[2].trim_matches('`');
        let ours = code.bytes().any(|byte| byte.is_ascii_lowercase());
        assert!(!ours || Code::ALL.iter().any(|known| known.as_str() == code), "core has no code {code}");
        assert!(!row[3].is_empty(), "row {number} names no clause");
    }
}

#[test]
fn each_test_of_a_row_has_its_row() {
    let numbers: Vec<u32> = rows().iter().map(|row| row[0].parse().unwrap()).collect();
    assert!(numbers.windows(2).all(|pair| pair[0] < pair[1]), "the rows are not in order, or one stands twice");
    let mut named = BTreeSet::new();
    for member in
        ["core", "openid", "spec", "jsonld", "service", "issuer", "verifier", "holder-cli", "wallet", "trust", "tests"]
    {
        for folder in ["src", "tests"].map(|folder| root().join(member).join(folder)) {
            if folder.is_dir() {
                tested(&folder, &mut named);
            }
        }
    }
    assert!(named.len() > 90, "{} numbers", named.len());
    let missing: Vec<_> = named.iter().filter(|number| !numbers.contains(number)).collect();
    assert!(missing.is_empty(), "spec/refusals.md has no rows {missing:?}");
}
