//! Every negative case that applies has a test named `row_NN_...`; one that cannot apply yet is
//! listed here, with the reason, and nowhere else.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
};

/// The rows that apply to the implemented parts.
fn applying() -> impl Iterator<Item = u8> {
    (1..=50)
        .chain([51, 52, 53, 54, 55, 56, 68, 69, 70, 71, 72, 73, 74, 75, 76, 77, 78, 79, 80, 81])
        .chain(57..=67)
        .chain(83..=87)
        .chain([103])
}

/// Rows that cannot apply yet, and why.
const NOT_YET: &[(u8, &str)] = &[(82, "no bbs-2023 yet")];

fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        let name = entry.file_name();
        if path.is_dir() && name != "target" && !name.to_string_lossy().starts_with('.') {
            sources(&path, found);
        } else if path.extension().is_some_and(|ending| ending == "rs") {
            found.push(path);
        }
    }
}

/// Row numbers in the names of tests: `row_42_43_a_nonce` stands for rows 42 and 43. A function counts if it is a
/// test that runs: with `#[test]` or `#[tokio::test]` right above it, and no `#[ignore]`.
fn tested() -> BTreeSet<u8> {
    let mut files = Vec::new();
    sources(Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/..")), &mut files);
    let texts: Vec<String> = files.iter().filter_map(|file| std::fs::read_to_string(file).ok()).collect();
    texts.iter().flat_map(|text| rows_in(text)).collect()
}

fn rows_in(text: &str) -> Vec<u8> {
    let mut rows = Vec::new();
    let mut attributes: Vec<&str> = Vec::new();
    for line in text.lines().map(str::trim) {
        if line.starts_with("#[") {
            attributes.push(line);
            continue;
        }
        let name = line.strip_prefix("async ").unwrap_or(line).strip_prefix("fn row_");
        let runs = attributes.iter().any(|line| line.starts_with("#[test]") || line.starts_with("#[tokio::test"))
            && !attributes.iter().any(|line| line.starts_with("#[ignore"));
        if let Some(name) = name.filter(|_| runs) {
            rows.extend(name.split('_').map_while(|part| part.parse::<u8>().ok()));
        }
        attributes.clear();
    }
    rows
}

#[test]
fn only_tests_that_run_count() {
    let counts = |text: &str| !rows_in(text).is_empty();
    assert!(counts("#[test]\nfn row_07_both() {"));
    assert!(counts("#[tokio::test(flavor = \"multi_thread\")]\nasync fn row_07_both() {"));
    for text in ["fn row_07_both() {", "// #[test]\n// fn row_07_both() {", "#[test]\n#[ignore]\nfn row_07_both() {"] {
        assert!(!counts(text), "{text}");
    }
}

#[test]
fn every_row_is_tested_or_listed_with_its_reason() {
    let tested = tested();
    let missing: Vec<u8> = applying().filter(|row| !tested.contains(row)).collect();
    assert!(missing.is_empty(), "rows without a test: {missing:?}");
    let listed: BTreeSet<u8> = NOT_YET.iter().map(|(row, _)| *row).collect();
    let silent: Vec<u8> = (1..=87).filter(|row| !applying().any(|one| one == *row) && !listed.contains(row)).collect();
    assert!(silent.is_empty(), "rows that are neither tested nor listed: {silent:?}");
    let stale: Vec<&u8> = listed.intersection(&tested).collect();
    assert!(stale.is_empty(), "rows that are listed as not applying, and tested: {stale:?}");
}
