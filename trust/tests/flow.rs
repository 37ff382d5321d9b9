//! The program as operators run it: three of them, two of whom must sign.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

mod desk;

use desk::{Desk, LIST, SOURCE, UNI};
use serde_json::Value;

#[test]
fn a_list_is_made_signed_verified_and_asked() {
    let desk = Desk::new();
    desk.first();
    let said = desk.pinned(&["verify", &desk.at("list-1"), "--json"]).ok().json();
    assert_eq!((said["sequence"].as_u64(), said["signed_by"].as_array().map(Vec::len)), (Some(1), Some(2)));
    desk.pinned(&["verify", &desk.at("signed-1a")]).refused("trust_list_quorum");
    desk.pinned(&["verify", &desk.at("draft-1")]).refused("proof_missing");
    let ask = |at: &str, level: &str| {
        let list = desk.at("list-1");
        let question = ["--issuer", UNI, "--type", "QualificationCredential", "--at", at, "--level", level, "--json"];
        desk.pinned(&[["why", &list].as_slice(), &question].concat())
    };
    let accepted = ask("2025-01-01", "7").ok().json();
    assert_eq!((accepted["rule"].as_str(), accepted["entry"].as_str()), (Some("accredited"), Some("University")));
    assert_eq!((ask("2025-01-01", "8").code, ask("2025-01-01", "8").json()["rule"].as_str()), (1, Some("above_level")));
    assert_eq!(ask("2024-02-29", "7").json()["rule"], "not_yet_accredited");
    let words = desk.run(&["explain", &desk.at("list-1")]).ok().out;
    for word in ["\"University\"  did:web:uni.example", "up to level 7", "\"Register\"", "signed, as it says itself"] {
        assert!(words.contains(word), "{words}");
    }
}

#[test]
fn a_strike_is_shown_before_it_is_signed() {
    let desk = Desk::new();
    desk.two();
    let (data, list, previous) = (desk.at("a"), desk.at("list-2"), desk.at("list-1"));
    let shown = desk.run(&["sign", "--data", &data, &list, "--previous", &previous]);
    shown.refused("approval_needed");
    assert!(
        shown.error.contains("changed: issuer \"University\"") && shown.error.contains("Diplomas were sold."),
        "{}",
        shown.error
    );
    desk.run(&["sign", "--data", &data, &list]).refused("previous_needed");
    desk.run(&["sign", "--data", &data, &list, "--previous", &previous, "--yes-digest", "-x"])
        .refused("approval_mismatch");
    // An operator signs once.
    let digest = desk.run(&["sign", "--data", &desk.at("b"), &list, "--previous", &previous, "--json"]).json();
    let digest = digest["digest"].as_str().unwrap();
    desk.run(&["sign", "--data", &desk.at("b"), &list, "--previous", &previous, "--yes-digest", digest])
        .refused("trust_list_operator");
    let diff = desk.run(&["diff", &previous, &list, "--json"]).ok().json();
    assert_eq!(diff["changes"][0]["rewrites_history"], false);
    let question = ["--issuer", UNI, "--type", "QualificationCredential", "--level", "6", "--json"];
    let why =
        |at: &str| desk.pinned(&[["why", &list, "--at", at].as_slice(), &question].concat()).json()["rule"].clone();
    assert_eq!((why("2026-02-28"), why("2026-03-01")), ("withdrawn_since".into(), "withdrawn".into()));
}

#[test]
fn an_operator_signs_no_two_lists_of_one_number() {
    let desk = Desk::new();
    desk.first();
    // Made a second later or not, it is to be another list.
    let source = SOURCE.replace("max_level = 7", "max_level = 8");
    std::fs::write(desk.path("source.toml"), source).unwrap();
    desk.create("other-1");
    desk.sign("a", "other-1", None, "other-1a").refused("signed_before");
    desk.sign("c", "other-1", None, "other-1c").ok();
    // A number that was signed and never published is left out.
    let (source, previous) = (desk.at("source.toml"), desk.at("list-1"));
    let make = |number: &str, out: &str| {
        let out = desk.at(out);
        desk.run(&["create", "--source", &source, "--after", &previous, "--number", number, "--out", &out, "--json"])
    };
    make("1", "none").refused("trust_list_rollback");
    assert_eq!(make("3", "draft-3").ok().json()["sequence"], 3);
    desk.sign("a", "draft-3", Some("list-1"), "signed-3").ok();
    desk.create("again-1");
    desk.sign("a", "again-1", None, "again-1a").refused("signed_before");
    let shown = desk.run(&["show", "--data", &desk.at("a"), "--json"]).ok().json();
    assert_eq!(shown["signed"]["sequence"], 3);
}

#[test]
fn an_operator_signs_no_list_that_does_not_descend_from_what_it_signed() {
    let desk = Desk::new();
    desk.first();
    let edit = |from: &str, more: &[&str], out: &str| {
        let (from, out) = (desk.at(from), desk.at(out));
        desk.run(&[&["edit", from.as_str(), "--out", &out, "--json"], more].concat()).ok().json()
    };
    edit("list-1", &[], "draft-2");
    desk.sign("a", "draft-2", Some("list-1"), "signed-2a").ok();
    // List 2 lacks a second operator and is left out; its signer signs no list beside it by chance.
    edit("list-1", &["--number", "3", "--days", "20"], "draft-3");
    desk.sign("b", "draft-3", Some("list-1"), "signed-3b").ok();
    let refused = desk.sign("a", "signed-3b", Some("list-1"), "signed-3ab");
    refused.refused("trust_list_conflict");
    let signed = desk.run(&["show", "--data", &desk.at("a"), "--json"]).ok().json()["signed"]["digest"].clone();
    let signed = signed.as_str().unwrap();
    assert!(refused.error.contains(&format!("--leave-out {signed}")), "{}", refused.error);
    let sign = |leave_out: &str| {
        let (data, list, previous, out) = (desk.at("a"), desk.at("signed-3b"), desk.at("list-1"), desk.at("list-3"));
        let mut args = vec!["sign", "--data", &data, &list, "--previous", &previous, "--out", &out, "--json"];
        args.extend(["--leave-out", leave_out]);
        let shown = desk.run(&args);
        if !shown.error.contains("(approval_needed)") {
            return shown;
        }
        let digest = shown.json()["digest"].as_str().unwrap().to_owned();
        desk.run(&[args.as_slice(), &["--yes", &digest]].concat())
    };
    sign("another").refused("trust_list_conflict");
    sign(signed).ok();
    desk.pinned(&["verify", &desk.at("list-3"), "--least", "3"]).ok();
    desk.pinned(&["verify", &desk.at("list-3"), "--least", "4"]).refused("trust_list_rollback");
    // Where it descends, nothing has to be left out, however many numbers were.
    edit("list-3", &["--number", "1003"], "draft-far");
    desk.sign("a", "draft-far", Some("list-3"), "signed-far").ok();
    let (from, out) = (desk.at("list-3"), desk.at("too-far"));
    desk.run(&["edit", &from, "--number", "1004", "--out", &out]).refused("trust_list_jump");
}

#[test]
fn a_history_that_is_not_the_one_before_it_is_not_signed() {
    let desk = Desk::new();
    desk.two();
    let (from, out) = (desk.at("list-2"), desk.at("draft-3"));
    let made = desk.run(&["edit", &from, "--out", &out, "--json"]).ok().json();
    assert_eq!(made["history"].as_array().map(Vec::len), Some(2));
    let mut draft: Value = serde_json::from_slice(&std::fs::read(&out).unwrap()).unwrap();
    draft["credentialSubject"]["history"][1]["digest"] = "a".repeat(43).into();
    std::fs::write(desk.path("changed-3"), draft.to_string()).unwrap();
    desk.sign("c", "changed-3", Some("list-2"), "signed-3").refused("trust_list_conflict");
    desk.sign("c", "draft-3", Some("list-2"), "signed-3").ok();
}

#[test]
fn a_timestamp_is_made_by_a_key_that_the_list_names() {
    let desk = Desk::new();
    let stamps = desk.run(&["init", "--data", &desk.at("stamps"), "--name", "Timestamps", "--json"]).ok().json();
    let (source, draft, did) = (desk.at("source.toml"), desk.at("draft-1"), stamps["did"].as_str().unwrap());
    let create = ["create", "--source", &source, "--list", LIST, "--out", &draft, "--timestamp-signer", did, "--json"];
    assert_eq!(desk.run(&create).ok().json()["timestamp_signers"], serde_json::json!([did]));
    desk.sign("a", "draft-1", None, "signed-1a").ok();
    desk.sign("b", "signed-1a", None, "list-1.json").ok();
    let stamp = |by: &str, list: &str, more: &[&str]| {
        let (data, list) = (desk.at(by), desk.at(list));
        desk.pinned(&[&["timestamp", &list, "--data", &data, "--json"], more].concat())
    };
    let said = stamp("stamps", "list-1.json", &[]).ok().json();
    assert_eq!((said["sequence"].as_u64(), desk.path("list-1.timestamp.json").exists()), (Some(1), true));
    // Again each day, in place of the earlier one.
    stamp("stamps", "list-1.json", &["--days", "1"]).ok();
    // By nobody else, not for longer, and of no list without a quorum.
    stamp("a", "list-1.json", &[]).refused("trust_list_timestamp");
    assert_eq!(stamp("stamps", "list-1.json", &["--days", "8"]).code, 2);
    stamp("stamps", "signed-1a", &[]).refused("trust_list_quorum");
    // The next list keeps them, and a source has them.
    let (list, out) = (desk.at("list-1.json"), desk.at("source-2.json"));
    desk.run(&["source", &list, "--out", &out]).ok();
    let made = ["create", "--source", &out, "--after", &list, "--out", &desk.at("draft-2"), "--json"];
    assert_eq!(desk.run(&made).ok().json()["timestamp_signers"], serde_json::json!([did]));
    let without = ["create", "--source", &source, "--after", &list, "--out", &desk.at("draft-x")];
    assert!(desk.run(&without).ok().out.contains("changed: timestamps are signed by nobody"));
}

#[test]
fn a_list_by_the_old_operators_names_the_new_ones() {
    let desk = Desk::new();
    desk.first();
    let mut new: Vec<String> = Vec::new();
    for name in ["d", "e", "f", "g"] {
        let said = desk.run(&["init", "--data", &desk.at(name), "--name", name, "--json"]).ok().json();
        new.push(said["did"].as_str().unwrap().to_owned());
    }
    let (first, second, third) = (desk.at("list-1"), desk.at("draft-2"), desk.at("draft-3"));
    let mut edit = vec!["edit", &first, "--out", &second, "--json", "--new-quorum", "3"];
    edit.extend(new.iter().flat_map(|did| ["--new-operator", did.as_str()]));
    assert_eq!(desk.run(&edit).ok().json()["operators"]["named_in"], serde_json::json!([2]));
    let (data, draft) = (desk.at("a"), desk.at("draft-2"));
    let shown = desk.run(&["sign", "--data", &data, &draft, "--previous", &first]);
    assert!(shown.error.contains("from this list, it is signed by 3 of "), "{}", shown.error);
    let mut last = "draft-2".to_owned();
    for signer in ["a", "b", "d", "e", "f"] {
        let next = format!("signed-2{signer}");
        desk.sign(signer, &last, Some("list-1"), &next).ok();
        last = next;
    }
    // Neither the old ones alone, nor the named ones.
    let verify = |list: &str, more: &[&str]| desk.pinned(&[&["verify", &desk.at(list)], more].concat());
    verify("signed-2b", &[]).refused("trust_list_quorum");
    verify("signed-2e", &[]).refused("trust_list_quorum");
    verify("signed-2f", &[]).ok();
    desk.run(&["edit", &desk.at("signed-2f"), "--out", &third]).ok();
    let mut last = "draft-3".to_owned();
    for signer in ["d", "e", "g"] {
        let next = format!("signed-3{signer}");
        desk.sign(signer, &last, Some("signed-2f"), &next).ok();
        last = next;
    }
    verify("signed-3g", &[]).refused("trust_list_quorum");
    verify("signed-3g", &["--handover", &desk.at("signed-2f")]).ok();
    verify("signed-3g", &["--handover", &first]).refused("trust_list_invalid");
}

#[test]
fn an_operators_key_opens_with_what_lies_apart_from_it() {
    let desk = Desk::new();
    desk.create("draft-1");
    // No file of the directory has the key.
    let register = std::fs::read_to_string(desk.path("a/keys.json")).unwrap();
    assert!(register.contains("\"kek\"") && !register.contains("\"plain\""), "{register}");
    std::fs::rename(desk.path("a.kek"), desk.path("elsewhere")).unwrap();
    let refused = desk.sign("a", "draft-1", None, "signed-1a");
    assert!(refused.code == 1 && refused.error.contains("a.kek"), "{}", refused.error);
    std::fs::write(desk.path("a.kek"), "0".repeat(64)).unwrap();
    let refused = desk.sign("a", "draft-1", None, "signed-1a");
    assert!(refused.code == 1 && refused.error.contains("does not open"), "{}", refused.error);
    std::fs::rename(desk.path("elsewhere"), desk.path("a.kek")).unwrap();
    desk.sign("a", "draft-1", None, "signed-1a").ok();

    // In plain text only on request, and never by chance; a failed try leaves nothing.
    let open = desk.run(&["init", "--data", &desk.at("d"), "--name", "d", "--plain-text-keys", "--json"]).ok();
    assert!(open.json()["did"].as_str().is_some() && !desk.path("d.kek").exists());
    let signed = desk.sign("d", "draft-1", None, "signed-1d").ok();
    assert!(signed.error.contains("unencrypted"), "{}", signed.error);
    assert!(!desk.sign("b", "draft-1", None, "signed-1b").ok().error.contains("unencrypted"));
    assert_eq!(desk.run(&["init", "--data", &desk.at("e"), "--name", "e", "--kek", "env:CARNET_NO_SUCH"]).code, 1);
    assert_eq!(desk.run(&["init", "--data", &desk.at("e"), "--name", ""]).code, 1);
    assert!(!desk.path("e").exists() && !desk.path("e.kek").exists());
}

#[test]
fn a_file_that_is_there_is_said_before_anything_is_signed() {
    let desk = Desk::new();
    desk.create("draft-1");
    desk.sign("a", "draft-1", None, "draft-1").refused("file_unwritable");
    desk.sign("a", "draft-1", None, "nowhere/signed-1a").refused("file_unwritable");
    let shown = desk.run(&["show", "--data", &desk.at("a"), "--json"]).ok().json();
    assert_eq!(shown["signed"].as_object(), None);
    desk.sign("a", "draft-1", None, "signed-1a").ok();
    assert_eq!(desk.run(&["show", "--data", &desk.at("a"), "--json"]).ok().json()["signed"]["sequence"], 1);
}

#[test]
fn what_is_published_only_moves_on() {
    let desk = Desk::new();
    desk.two();
    let site = desk.at("site");
    let publish = |list: &str| desk.pinned(&["publish", &desk.at(list), "--to", &site, "--json"]);
    publish("signed-1a").refused("trust_list_quorum");
    assert!(!desk.path("site").exists());
    publish("list-1").ok();
    publish("list-2").ok();
    publish("list-2").ok();
    publish("list-1").refused("trust_list_rollback");
    assert_eq!(desk.sequence(&desk.path("site/trust-list.json")), 2);
    assert_eq!(desk.sequence(&desk.path("site/history/001.json")), 1);
    assert_eq!(desk.sequence(&desk.path("site/history/002.json")), 2);
    // Cut off between the two files, the same call makes it right; another list of that number is refused.
    std::fs::copy(desk.path("list-1"), desk.path("site/trust-list.json")).unwrap();
    publish("list-2").ok();
    let (previous, out) = (desk.at("list-1"), desk.at("other-2"));
    desk.run(&["edit", &previous, "--days", "7", "--out", &out]).ok();
    desk.sign("a", "other-2", Some("list-1"), "other-2a").ok();
    std::fs::copy(desk.path("list-1"), desk.path("site/trust-list.json")).unwrap();
    // A lost record cannot say what was signed.
    let signed = std::fs::read(desk.path("b/signed.json")).unwrap();
    for lost in [None, Some("{}"), Some("")] {
        match lost {
            Some(text) => std::fs::write(desk.path("b/signed.json"), text).unwrap(),
            None => std::fs::remove_file(desk.path("b/signed.json")).unwrap(),
        }
        desk.sign("b", "other-2a", Some("list-1"), "other-2ab").refused("operator_directory");
    }
    assert_ne!(signed, b"null\n");
    std::fs::write(desk.path("b/signed.json"), "null\n").unwrap();
    desk.sign("b", "other-2a", Some("list-1"), "other-2ab").ok();
    publish("other-2ab").refused("trust_list_conflict");
}

#[test]
fn a_source_comes_out_as_it_went_in() {
    let desk = Desk::new();
    desk.first();
    let (list, source, next) = (desk.at("list-1"), desk.at("source.json"), desk.at("draft-2"));
    desk.run(&["source", &list, "--out", &source]).ok();
    let made = desk.run(&["create", "--source", &source, "--after", &list, "--out", &next, "--json"]).ok().json();
    assert_eq!((made["sequence"].as_u64(), made["changes"].as_array().map(Vec::len)), (Some(2), Some(0)));
    // An existing file is not overwritten, and a key never.
    desk.run(&["source", &list, "--out", &source]).refused("file_unwritable");
    let key = std::fs::read(desk.path("a/keys.json")).unwrap();
    assert_eq!(desk.run(&["init", "--data", &desk.at("a"), "--name", "again"]).code, 1);
    assert_eq!(std::fs::read(desk.path("a/keys.json")).unwrap(), key);
    std::fs::write(desk.path("source.toml"), "[[issuers]]\nid = 3\n").unwrap();
    desk.run(&["create", "--source", &desk.at("source.toml"), "--list", LIST, "--out", &desk.at("x")])
        .refused("source_invalid");
    assert_eq!(desk.run(&["create"]).code, 2);
}

#[test]
fn an_import_says_who_signed_and_all_that_is_missing() {
    let desk = Desk::new();
    let lote = r#"{"LoTE":{"ListAndSchemeInformation":{"LoTEVersionIdentifier":1,"LoTESequenceNumber":7,
        "SchemeOperatorName":[{"lang":"en","value":"Authority"}],"SchemeTerritory":"PT",
        "ListIssueDateTime":"2026-01-01T00:00:00Z","NextUpdate":"2099-01-01T00:00:00Z"},
        "TrustedEntitiesList":[{"TrustedEntityInformation":{"TEName":[{"lang":"en","value":"University"}]},
        "TrustedEntityServices":[{"ServiceInformation":{"ServiceName":[],"ServiceTypeIdentifier":"urn:issue",
        "ServiceDigitalIdentity":{"X509Certificates":[{"val":"AQ=="}]}}}]}]}}"#;
    // As some editors save it.
    std::fs::write(desk.path("lote.json"), format!("\u{feff}{}", lote.replace('\n', "\r\n"))).unwrap();
    let (lote, out) = (desk.at("lote.json"), desk.at("imported.json"));
    let import = |more: &[&str]| desk.run(&[&["import", "--lote", &lote, "--out", &out, "--json"], more].concat());
    let digest = "ab".repeat(32);
    let mapped = ["--unsigned", "--type", "urn:issue=QualificationCredential"];
    import(&[]).refused("signer_needed");
    import(&["--signer-sha256", &digest]).refused("lote_unsigned");
    import(&["--signer", &lote]).refused("key_invalid");
    assert_eq!(import(&["--signer-sha256", &digest, "--unsigned"]).code, 2);
    import(&["--unsigned"]).refused("lote_unmapped");
    let missing = import(&mapped);
    missing.refused("lote_identity");
    assert!(missing.error.contains("\"University\""), "{}", missing.error);
    let did = format!("University={UNI}");
    let made = import(&[mapped.as_slice(), &["--did", &did]].concat()).ok().json();
    assert_eq!(made["issuers"], 1);
    // It stays in review until an operator has vouched for it.
    let create = ["create", "--source", &out, "--list", LIST, "--out", &desk.at("draft")];
    desk.run(&create).refused("review_needed");
}

#[test]
fn files_may_begin_with_a_mark_and_those_in_utf_16_are_said_to_be() {
    let desk = Desk::new();
    desk.first();
    let (list, json) = (desk.at("list-1"), desk.at("source.json"));
    desk.run(&["source", &list, "--out", &json]).ok();
    let saved = |name: &str, text: &str| std::fs::write(desk.path(name), text.replace('\n', "\r\n")).unwrap();
    for name in ["source.toml", "source.json", "list-1"] {
        let text = std::fs::read_to_string(desk.path(name)).unwrap();
        saved(name, &format!("\u{feff}{text}"));
    }
    desk.pinned(&["verify", &list]).ok();
    let create = |source: &str, out: &str| {
        desk.run(&["create", "--source", &desk.at(source), "--list", LIST, "--out", &desk.at(out), "--json"])
    };
    let of_toml = create("source.toml", "of-toml").ok().json();
    assert_eq!(create("source.json", "of-json").ok().json()["issuers"], of_toml["issuers"]);

    for (name, order) in [("little", u16::to_le_bytes as fn(u16) -> [u8; 2]), ("big", u16::to_be_bytes)] {
        let text = format!("\u{feff}{SOURCE}");
        std::fs::write(desk.path(name), text.encode_utf16().flat_map(order).collect::<Vec<u8>>()).unwrap();
        let refused = create(name, "none");
        assert!(refused.code == 2 && refused.error.contains("(file_unreadable)"), "{}", refused.error);
        assert!(refused.error.contains("UTF-16") && refused.error.contains("save it as UTF-8"), "{}", refused.error);
    }
    // A missing file ends in the same way, and a refused one in another.
    assert_eq!(create("no-such-file", "none").code, 2);
    saved("wrong.json", "{}{}");
    create("wrong.json", "none").refused("source_invalid");
}

#[test]
fn slips_are_named() {
    let desk = Desk::new();
    desk.two();
    let (source, list, out) = (desk.at("source.toml"), desk.at("list-2"), desk.at("out"));
    let create = |more: &[&str]| desk.run(&[&["create", "--source", &source, "--out", &out], more].concat());
    create(&["--list", LIST, "--number", "5"]).refused("trust_list_invalid");
    create(&["--list", "trust.example"]).refused("did_malformed");
    std::fs::write(desk.path("source.toml"), SOURCE.replace("max_level = 7", "max_level = 9")).unwrap();
    let refused = create(&["--list", LIST]);
    refused.refused("trust_list_invalid");
    assert!(refused.error.contains(UNI), "{}", refused.error);
    std::fs::write(desk.path("source.toml"), SOURCE).unwrap();
    create(&["--list", LIST, "--number", "1"]).ok();

    let strike = |id: &str, more: &[&str]| {
        let out = desk.at("struck");
        let args = ["edit", &list, "--strike", id, "--on", "2026-04-01", "--earlier", "fall", "--out", &out];
        desk.run(&[args.as_slice(), more].concat())
    };
    for (id, more, why) in [
        (UNI, [].as_slice(), "was already struck off"),
        (UNI, &["--type", "Other"], "has no accreditation for this type"),
        (LIST, &[], "is not in the list"),
    ] {
        let refused = strike(id, more);
        refused.refused("not_listed");
        assert!(refused.error.contains(why), "{}", refused.error);
    }
    strike("did:web:register.example", &[]).ok();

    let why = |issuer: &str, more: &[&str]| {
        desk.pinned(&[&["why", &list, "--type", "QualificationCredential", "--issuer", issuer], more].concat()).code
    };
    assert_eq!((why(UNI, &["--at", "2025-01-01", "--country", "PT", "--level", "7"]), why("uni.example", &[])), (0, 2));
    assert_eq!((why(UNI, &["--country", "pt"]), why(UNI, &["--level", "9"])), (2, 2));
}

#[test]
fn days_in_a_source_are_included_from_the_first_second_to_the_last() {
    let desk = Desk::new();
    let source = SOURCE.replace("from = 2024-03-01T00:00:00Z", "from = 2024-03-01\nuntil = \"2026-11-30\"");
    std::fs::write(desk.path("days.toml"), source).unwrap();
    let (source, list) = (desk.at("days.toml"), desk.at("days.json"));
    desk.run(&["create", "--source", &source, "--list", LIST, "--out", &list]).ok();
    let list: Value = serde_json::from_str(&std::fs::read_to_string(list).unwrap()).unwrap();
    let held = list.pointer("/credentialSubject/issuers/0/accreditations/0").unwrap();
    assert_eq!((&held["from"], &held["until"]), (&"2024-03-01T00:00:00Z".into(), &"2026-11-30T23:59:59Z".into()));
}

#[test]
fn the_history_knows_what_was_published_when_the_newest_is_gone() {
    let desk = Desk::new();
    desk.two();
    let site = desk.at("site");
    let publish = |list: &str| desk.pinned(&["publish", &desk.at(list), "--to", &site]);
    publish("list-1").ok();
    publish("list-2").ok();
    std::fs::write(desk.path("site/trust-list.json"), "{").unwrap();
    publish("list-2").refused("invalid_json");
    std::fs::remove_file(desk.path("site/trust-list.json")).unwrap();
    publish("list-1").refused("trust_list_rollback");
    publish("list-2").ok();
    assert_eq!(desk.sequence(&desk.path("site/trust-list.json")), 2);
}

#[test]
fn a_type_that_no_catalogue_has_is_named_by_those_who_insist() {
    let desk = Desk::new();
    let mistyped = SOURCE.replace("QualificationCredential", "QualificationCredentials");
    std::fs::write(desk.path("source.toml"), &mistyped).unwrap();
    let make = |from: &[&str], extra: &[&str], out: &str| {
        let (source, out) = (desk.at("source.toml"), desk.at(out));
        desk.run(&[&["create", "--source", &source, "--out", &out, "--json"], from, extra].concat())
    };
    let first = ["--list", LIST];
    let warned = make(&first, &[], "draft-1");
    warned.refused("type_unknown");
    assert!(warned.error.contains("the nearest is QualificationCredential. "), "{}", warned.error);
    assert!(!desk.path("draft-1").exists());
    make(&first, &["--allow-unknown"], "draft-1").ok();
    // A type of the list before it needs no confirmation; another one does.
    let previous = desk.at("draft-1");
    make(&["--after", &previous], &[], "draft-2").ok();
    std::fs::write(desk.path("source.toml"), mistyped.replace("QualificationCredentials", "Diploma")).unwrap();
    make(&["--after", &previous], &[], "draft-3").refused("type_unknown");
    std::fs::write(desk.path("source.toml"), SOURCE).unwrap();
    make(&first, &[], "good").ok();
}
