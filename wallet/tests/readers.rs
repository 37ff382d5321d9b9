//! Every door of the wallet over arbitrary bytes and over valid inputs that were changed a little: none may panic.
//! The fuzz targets in fuzz/ run the same functions for longer.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use proptest::{prelude::*, sample::Index};

#[path = "../../fuzz/wallet_doors.rs"]
mod doors;

fn open(name: &str, bytes: &[u8]) {
    for (door, read) in doors::ALL.iter().filter(|(door, _)| *door == name) {
        assert_eq!(*door, name);
        read(bytes);
    }
}

#[test]
fn every_door_has_a_valid_input() {
    let valid = doors::valid();
    let names: Vec<&str> = doors::ALL.iter().map(|(name, _)| *name).collect();
    assert_eq!(valid.iter().map(|(name, _)| *name).collect::<Vec<_>>(), names);
    valid.iter().for_each(|(name, bytes)| open(name, bytes));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn no_door_panics_at_any_bytes(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        doors::ALL.iter().for_each(|(_, read)| read(&bytes));
    }

    #[test]
    fn a_link_is_found_once_and_for_all(
        around in "[<>()\\[\\]\"'.,; \u{200b}\u{feff}]{0,6}", after in "[<>()\\[\\]\"'.,; \u{200b}\u{feff}]{0,6}",
    ) {
        for (name, bytes) in doors::valid() {
            if name == "link" {
                doors::link(format!("{around}{}{after}", String::from_utf8(bytes).unwrap()).as_bytes());
            }
        }
    }

    #[test]
    fn no_door_panics_at_a_changed_input(
        at in any::<Index>(), removed in 0..8_usize, added in proptest::collection::vec(any::<u8>(), 0..8),
    ) {
        for (name, mut bytes) in doors::valid() {
            let start = at.index(bytes.len());
            let end = start.saturating_add(removed).min(bytes.len());
            bytes.splice(start..end, added.iter().copied());
            open(name, &bytes);
        }
    }
}
