//! Entries of the log, their chain, and the form in which they are stored.

use serde_json::json;

use super::*;

const NOW: Timestamp = Timestamp::from_unix(1_800_000_000);

/// Creates a log of five entries.
fn log() -> WalletLog {
    let mut log = WalletLog::default();
    for (kind, party) in [
        (LogEntryKind::Received, "did:web:a.example"),
        (LogEntryKind::Requested, "did:web:b.example"),
        (LogEntryKind::DeclinedByHolder, "did:web:b.example"),
        (LogEntryKind::Received, "did:web:c.example"),
        (LogEntryKind::Deleted, "did:web:c.example"),
    ] {
        log.push(WalletLogEntry::new(NOW, kind, party));
    }
    log
}

fn first_bad(change: impl FnOnce(&mut Vec<WalletLogEntry>)) -> u64 {
    let mut log = log();
    assert_eq!(log.check_chain(), Ok(()));
    change(&mut log.entries);
    log.check_chain().unwrap_err().number
}

#[test]
fn a_whole_chain_is_whole_also_when_read_again() {
    assert_eq!(WalletLog::default().check_chain(), Ok(()));
    let log = log();
    log.check_chain().unwrap();
    let read: WalletLog = serde_json::from_value(serde_json::to_value(&log).unwrap()).unwrap();
    read.check_chain().unwrap();
    assert_eq!(read.head(), log.head());
    assert_eq!(log.entry(2).unwrap().kind, LogEntryKind::Requested);
    assert!(log.entry(0).is_none() && log.entry(6).is_none());
}

#[test]
fn an_altered_entry_is_named() {
    for index in 0..5 {
        let number = number(index);
        assert_eq!(first_bad(|entries| entries[index].party.push('x')), number);
        assert_eq!(first_bad(|entries| entries[index].at = NOW.plus(1)), number);
        assert_eq!(first_bad(|entries| entries[index].kind = LogEntryKind::Accepted), number);
    }
}

#[test]
fn a_removed_entry_is_named() {
    for index in 0..4 {
        assert_eq!(first_bad(|entries| drop(entries.remove(index))), number(index));
    }
    assert_eq!(first_bad(|entries| drop(entries.pop())), 4);
    assert_eq!(first_bad(Vec::clear), 0);
}

#[test]
fn reordered_entries_are_named() {
    assert_eq!(first_bad(|entries| entries.swap(1, 2)), 2);
    // Also with renumbered entries.
    let renumbered = |entries: &mut Vec<WalletLogEntry>| {
        entries.swap(1, 2);
        (entries[1].number, entries[2].number) = (2, 3);
    };
    assert!(first_bad(renumbered) <= 2);
}

#[test]
fn an_inserted_entry_is_named() {
    let entry = WalletLogEntry::new(NOW, LogEntryKind::Accepted, "did:web:x.example");
    assert_eq!(first_bad(|entries| entries.insert(2, entry.clone())), 3);
    assert_eq!(first_bad(|entries| entries.push(entry.clone())), 6);
    let fitted = |entries: &mut Vec<WalletLogEntry>| {
        let previous = entries[1].digest();
        entries.insert(2, WalletLogEntry { number: 3, previous, ..entry });
        entries.iter_mut().skip(3).for_each(|entry| entry.number += 1);
    };
    assert_eq!(first_bad(fitted), 3);
}

#[test]
fn an_entry_is_about_one_before_it() {
    let mut log = log();
    log.push(WalletLogEntry { refers_to: Some(6), ..WalletLogEntry::new(NOW, LogEntryKind::ErasureConfirmed, "x") });
    assert_eq!(log.check_chain().unwrap_err().number, 6);
}

#[test]
fn there_is_no_place_for_a_value() {
    let entry = serde_json::to_value(&log().entries[0]).unwrap();
    assert!(serde_json::from_value::<WalletLogEntry>(entry.clone()).is_ok());
    let faults: [fn(&mut Value); 4] = [
        |entry| entry["value"] = json!("Surgery"),
        |entry| entry["claims"] = json!({"title": "Surgery"}),
        |entry| entry["parts"] = json!([{"id": "a", "type_name": "b", "values": ["Surgery"]}]),
        |entry| entry["parts"] = json!([{"id": "a", "type_name": "b", "paths": [{"title": "Surgery"}]}]),
    ];
    for fault in faults {
        let mut faulty = entry.clone();
        fault(&mut faulty);
        assert!(serde_json::from_value::<WalletLogEntry>(faulty).is_err());
    }
}

#[test]
fn a_kind_has_one_name() {
    for name in ["received", "refused_by_asker", "erasure_failed", "registrar_removed"] {
        let kind: LogEntryKind = serde_json::from_value(json!(name)).unwrap();
        assert_eq!(kind.as_str(), name);
    }
}
