use carnet_core::format::CredentialFormat;
use serde_json::{Value, json};

use super::*;
use crate::{
    answer::tests::{Issuer, NOW},
    store::{
        HeldCredential, WalletContents,
        cached_status::{CachedStatus, CopyState, FreshnessStatements},
        holder_key::HolderKey,
        stored_texts::StoredTexts,
    },
};

const SD_JWT_FORMATS: [CredentialFormat; 2] = [CredentialFormat::VcSdJwt, CredentialFormat::DcSdJwt];

fn texts(held: &HeldCredential) -> Vec<String> {
    held.copies.iter().map(|copy| copy.credential.text().into_owned()).collect()
}

/// Returns the second part of the file for the first credential.
fn second_part(contents: &WalletContents) -> Value {
    serde_json::to_value(StoredTexts::from_credential(&contents.credentials[0])).unwrap()
}

fn layouts(contents: &WalletContents) -> usize {
    second_part(contents)["layouts"].as_array().unwrap().len()
}

/// Reads both parts again.
fn read(first: &str, second: Value) -> Option<WalletContents> {
    let mut read: WalletContents = serde_json::from_str(first).ok()?;
    let texts: StoredTexts = serde_json::from_value(second).ok()?;
    texts.restore(&mut read.credentials[0]).then_some(read)
}

/// Saves and reads the contents.
fn stored(contents: &mut WalletContents) -> WalletContents {
    contents.pack();
    read(&serde_json::to_string(contents).unwrap(), second_part(contents)).unwrap()
}

fn holding(held: Vec<HeldCredential>) -> WalletContents {
    WalletContents { credentials: held, ..WalletContents::new(12) }
}

#[test]
fn copies_of_every_format_are_given_back_byte_for_byte() {
    let issuer = Issuer::new();
    for format in [CredentialFormat::VcSdJwt, CredentialFormat::DcSdJwt, CredentialFormat::DiVcJcs] {
        let held = issuer.held("aaaa", format, 10);
        let before = texts(&held);
        let mut contents = holding(vec![held]);
        let read = stored(&mut contents);
        assert_eq!(texts(&read.credentials[0]), before, "{format}");
        assert_eq!(texts(&contents.credentials[0]), before, "{format}");
        assert_eq!(layouts(&contents), 1, "{format}");
    }
}

#[test]
fn what_repeats_is_stored_once() {
    let issuer = Issuer::new();
    for format in SD_JWT_FORMATS {
        let mut contents = holding((0..20).map(|n| issuer.held(&format!("{n:04}"), format, 10)).collect());
        // The form before version 5.
        let long: usize = contents.credentials.iter().flat_map(texts).map(|text| text.len()).sum();
        contents.pack();
        let length = |value: String| value.len();
        let second: usize = contents
            .credentials
            .iter()
            .map(StoredTexts::from_credential)
            .map(|texts| length(serde_json::to_string(&texts).unwrap()))
            .sum();
        let first = length(serde_json::to_string(&contents).unwrap());
        println!("{format}: texts of {} bytes a document, {} stored; {} beside", long / 20, second / 20, first / 20);
        assert!(second * 5 < long * 2, "{format}: {long} {second}");
        assert!(first < 20 * 2_500, "{format}: {first}");
    }
}

#[test]
fn nothing_that_is_a_copys_own_outlasts_it() {
    let issuer = Issuer::new();
    let mut contents = holding(vec![issuer.held("aaaa", CredentialFormat::VcSdJwt, 3)]);
    contents.pack();
    let gone = contents.credentials[0].copies.remove(0);
    contents.pack();
    let stored = format!("{}{}", serde_json::to_string(&contents).unwrap(), second_part(&contents));
    let text = gone.credential.text();
    let words = runs(&text)
        .iter()
        .flat_map(|run| pieces(run).iter().map(|word| (*word).to_owned()).collect::<Vec<_>>())
        .collect::<Vec<_>>();
    let random: Vec<&String> = words.iter().filter(|word| matches!(word.len(), 22 | 43 | 86)).collect();
    assert!(random.len() > 10);
    for word in random {
        // The issuer's own key is part of its DID, and so of every copy.
        let others =
            contents.credentials[0].copies.iter().all(|copy| runs(&copy.credential.text()).concat().contains(word));
        assert!(others || !stored.contains(word), "{word}");
    }
    // Deleting the last copy deletes its layout.
    for copy in &mut contents.credentials[0].copies {
        copy.delete_text();
    }
    contents.pack();
    assert_eq!(layouts(&contents), 0);
}

#[test]
fn later_copies_take_the_layout_of_those_before() {
    let issuer = Issuer::new();
    let mut contents = holding(vec![issuer.held("aaaa", CredentialFormat::VcSdJwt, 4)]);
    contents.pack();
    let more = issuer.held("bbbb", CredentialFormat::VcSdJwt, 1).copies.remove(0);
    let text = more.credential.text().into_owned();
    contents.credentials[0].copies.push(more);
    let read = stored(&mut contents);
    assert_eq!(layouts(&contents), 1);
    assert!(matches!(contents.credentials[0].copies[4].credential, PackedText::Filled(..)));
    assert_eq!(read.credentials[0].copies[4].credential.text(), text);
}

#[test]
fn texts_of_any_form_are_kept() {
    let long = "x".repeat(400);
    let odd: Vec<Vec<String>> = vec![
        vec!["a.b.c".to_owned(), "a.b.d".to_owned()],
        vec![format!("{long}1"), format!("{long}2")],
        vec!["~~..".to_owned(), "..~~".to_owned(), "ü~{}.é".to_owned()],
        // Base64url with other trailing bits or with padding is treated as plain text.
        vec!["eyJhIjoxfR.x".to_owned(), "eyJhIjoxfQ.x".to_owned(), "eyJhIjoxfQ==.x".to_owned()],
        vec!["AAAAAAAAAAAAAAAAAAAAAB".to_owned(), "AAAAAAAAAAAAAAAAAAAAAA".to_owned()],
        vec!["W10.W10~W10".to_owned(), "W10.W11d~W10".to_owned(), "W10.WzFd~W10".to_owned()],
        vec![String::new(), "same".to_owned(), "same".to_owned()],
    ];
    for texts in odd {
        let mut packed: Vec<PackedText> = texts.iter().cloned().map(PackedText::from).collect();
        pack_texts(packed.iter_mut().collect());
        let kept: Vec<String> = packed.iter().map(|text| text.text().into_owned()).collect();
        assert_eq!(kept, texts);
    }
}

#[test]
fn statements_are_packed_too_and_go_when_their_time_is_over() {
    let issuer = Issuer::new();
    let mut held = issuer.held("aaaa", CredentialFormat::VcSdJwt, 4);
    let lasting = |n: usize| {
        let body =
            URL_SAFE_NO_PAD.encode(json!({"iss": "did:web:a.example", "sub_hash": format!("{n:043}")}).to_string());
        format!("{}.{body}.{n:086}", URL_SAFE_NO_PAD.encode(r#"{"alg":"EdDSA","typ":"freshness+jwt"}"#))
    };
    for (n, copy) in held.copies.iter_mut().enumerate() {
        let statement = FreshnessStatements { text: lasting(n).into(), since: NOW, until: NOW.plus(3_600) };
        copy.status = Some(CachedStatus { statement: Some(statement), ..CachedStatus::new(CopyState::Valid, NOW) });
    }
    let mut contents = holding(vec![held]);
    let read = stored(&mut contents);
    assert_eq!(layouts(&contents), 2);
    for (n, copy) in read.credentials[0].copies.iter().enumerate() {
        assert_eq!(copy.current_statements(NOW).unwrap().text.text(), lasting(n));
    }
    for copy in &mut contents.credentials[0].copies {
        copy.erase_expired_statements(NOW.plus(7_200));
    }
    contents.pack();
    assert_eq!(layouts(&contents), 1);
}

#[test]
fn contents_that_no_layout_takes_are_refused() {
    let mut contents = holding(vec![Issuer::new().held("aaaa", CredentialFormat::VcSdJwt, 3)]);
    contents.pack();
    let (first, good) = (serde_json::to_string(&contents).unwrap(), second_part(&contents));
    assert!(read(&first, good.clone()).is_some());
    let gaps = good["copies"][0]["credential"][1].as_str().unwrap();
    let bytes = URL_SAFE_NO_PAD.decode(gaps).unwrap();
    let changed = |change: fn(Vec<u8>) -> Vec<u8>| json!([0, URL_SAFE_NO_PAD.encode(change(bytes.clone()))]);
    for bad in [
        json!([1, gaps]),
        json!([0, "="]),
        json!([0]),
        json!([-1, gaps]),
        json!({"text": gaps}),
        json!(null),
        changed(|bytes| bytes[1..].to_vec()),
        changed(|bytes| bytes[..bytes.len() - 1].to_vec()),
        changed(|bytes| [bytes, vec![0]].concat()),
        // Instead of the holder's key: the digest of the payload that contains it, and that of a missing run.
        changed(|bytes| [&[255, 3], &bytes[33..]].concat()),
        changed(|bytes| [&[255, 254], &bytes[33..]].concat()),
    ] {
        let mut faulty = good.clone();
        faulty["copies"][0]["credential"] = bad.clone();
        assert!(read(&first, faulty).is_none(), "{bad}");
    }
    let mut fewer = good.clone();
    fewer["copies"].as_array_mut().unwrap().pop();
    assert!(read(&first, fewer).is_none());
}

#[test]
fn a_text_is_not_printed() {
    let copy = crate::store::CredentialCopy::new("hunter2".to_owned(), HolderKey::generate());
    assert!(!format!("{copy:?}").contains("hunter2"));
}
