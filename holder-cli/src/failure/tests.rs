use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

use tonic_types::{ErrorDetails, StatusExt};

use super::*;
use crate::ui::messages::Language;

#[test]
fn three_lines_and_one_object() {
    let failure = Failure::new(
        FailureReason::Program("a_reason"),
        Sentence::new("error-wrong-passphrase"),
        Sentence::new("hint-again"),
    );
    let text = failure.text(&LocalizedMessages::new(Language::En));
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines.len(), 3);
    assert_eq!(lines[0], "error: This passphrase does not open the wallet [a_reason]");
    assert_eq!(lines[2], "hint: try again");
    assert_eq!(failure.json()["error"]["data_safe"], true);
}

#[test]
fn a_status_keeps_its_reason_and_loses_its_control_characters() {
    let doing = || Sentence::new("error-service-redeem");
    let mut details = ErrorDetails::new();
    details.set_error_info("INVALID_GRANT", "carnet", std::collections::HashMap::<String, String>::new());
    let status = tonic::Status::with_error_details(tonic::Code::PermissionDenied, "no\u{1b}[31m\u{202e}", details);
    let failure = from_grpc_status(&status, FaultParty::Issuer, doing());
    assert_eq!((failure.reason.as_str(), failure.kind), ("invalid_grant", FailureKind::Permanent));
    let message = failure.message.english();
    assert_eq!(message, "The offer could not be redeemed (no[U+001B][31m[U+202E])");
    assert_eq!(
        from_grpc_status(&tonic::Status::unavailable("x"), FaultParty::Issuer, doing()).kind,
        FailureKind::Temporary
    );
    let late = from_grpc_status(&tonic::Status::cancelled("Timeout expired"), FaultParty::Issuer, doing());
    assert_eq!((late.reason.as_str(), late.kind), ("deadline_exceeded", FailureKind::Temporary));
    let exhausted = |reason: &str| {
        let details =
            ErrorDetails::with_error_info(reason, "carnet", std::collections::HashMap::<String, String>::new());
        let status = tonic::Status::with_error_details(tonic::Code::ResourceExhausted, "x", details);
        from_grpc_status(&status, FaultParty::Issuer, doing()).kind
    };
    assert_eq!(
        (exhausted("CALLS_EXHAUSTED"), exhausted("MESSAGE_TOO_LARGE")),
        (FailureKind::Temporary, FailureKind::Permanent)
    );
}

#[test]
fn a_failure_names_the_party_at_fault() {
    let reason = |code, reason: &str| {
        let info = ErrorDetails::with_error_info(reason, "carnet", std::collections::HashMap::<String, String>::new());
        tonic::Status::with_error_details(code, "x", info)
    };
    for (status, fault) in [
        (tonic::Status::unavailable("x"), FaultParty::Network),
        (tonic::Status::deadline_exceeded("x"), FaultParty::Network),
        (tonic::Status::internal("x"), FaultParty::Verifier),
        (reason(tonic::Code::Unavailable, "STORE_BUSY"), FaultParty::Verifier),
        (reason(tonic::Code::FailedPrecondition, "REQUEST_EXPIRED"), FaultParty::Verifier),
    ] {
        let failure = from_grpc_status(&status, FaultParty::Verifier, Sentence::new("error-service-submit"));
        assert_eq!(failure.fault, fault, "{status:?}");
        assert_eq!(failure.json()["error"]["fault"], fault.as_str());
        // An outer use case cannot blame a service for the network.
        assert_eq!(failure.with_fault(FaultParty::Issuer).fault == FaultParty::Network, fault == FaultParty::Network);
    }
    assert_eq!(Failure::declined(Sentence::new("undone-sent")).fault, FaultParty::Ours);
}

#[test]
fn a_failure_is_told_in_the_language_of_the_session_and_to_programs_in_english() {
    let failure = Failure::not_answered(Sentence::new("undone-sent"));
    let told = |language| failure.text(&LocalizedMessages::new(language));
    let english = told(Language::En);
    assert!(english.starts_with("error: The answer was neither yes nor no; nothing was sent ["));
    for (language, yes, error) in [
        (Language::De, "ja", "Fehler: "),
        (Language::Fr, "oui", "erreur : "),
        (Language::Ar, "نعم", "خطأ: "),
        (Language::Uk, "так", "помилка: "),
        (Language::Es, "sí", "Error: "),
        (Language::So, "haa", "khalad: "),
        (Language::Ti, "እወ", "ጌጋ፦ "),
        (Language::Fa, "بله", "خطا: "),
        (Language::Tr, "evet", "hata: "),
    ] {
        let text = told(language);
        assert!(text.starts_with(error) && text.contains(yes) && text.contains("[not_answered]"), "{text}");
        for (own, other) in text.lines().zip(english.lines()) {
            assert_ne!(own, other, "{language:?}");
        }
    }
    assert_eq!(failure.json()["error"]["hint"], failure.hint.english());
    assert!(english.contains(&failure.hint.english()));
}

/// Product files below a folder, without their test modules.
fn sources(folder: &Path) -> Vec<(PathBuf, String)> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            if !path.ends_with("tests") {
                found.extend(sources(&path));
            }
        } else if !path.ends_with("tests.rs") {
            let text = fs::read_to_string(&path).unwrap();
            let product = text.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default().to_owned();
            found.push((path, product));
        }
    }
    found
}

fn product() -> Vec<(PathBuf, String)> {
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    ["holder-cli/src", "wallet/src"].iter().flat_map(|folder| sources(&workspace.join(folder))).collect()
}

/// Ids that stand in string literals: lower-case words with hyphens, under one of the prefixes of failures.
fn named_in(text: &str) -> impl Iterator<Item = &str> {
    text.split('"').skip(1).filter(|literal| {
        let prefixed = crate::ui::messages::FAILURE_PREFIXES.iter().any(|prefix| literal.starts_with(prefix));
        prefixed
            && !literal.ends_with('-')
            && literal.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
    })
}

#[test]
fn every_sentence_of_a_failure_is_in_the_catalogue_and_every_one_there_is_used() {
    let product = product();
    let named: BTreeSet<&str> = product.iter().flat_map(|(_, text)| named_in(text)).collect();
    let listed = crate::ui::messages::failure_ids();
    let unlisted: Vec<&&str> = named.iter().filter(|id| !listed.contains(**id)).collect();
    assert!(unlisted.is_empty(), "no message: {unlisted:?}");
    let unused: Vec<&String> = listed.iter().filter(|id| !named.contains(id.as_str())).collect();
    assert!(unused.is_empty(), "nothing says: {unused:?}");
}

/// A literal where the id of a message belongs would be shown to everybody as it stands.
#[test]
fn no_failure_is_told_in_words_of_the_source() {
    let mut count = 0;
    for (path, text) in product() {
        for call in text.split("Sentence::new(").skip(1) {
            let Some(literal) = call.trim_start().strip_prefix('"') else { continue };
            let id = literal.split('"').next().unwrap_or_default();
            count += 1;
            assert!(named_in(&format!("\"{id}\"")).next().is_some(), "{}: {id}", path.display());
        }
    }
    assert!(count > 100, "{count}");
    assert!(named_in("\"Nothing was sent\"").next().is_none() && named_in("\"error-start\"").next().is_some());
}

/// Codes that are literals of this program, in calls of `FailureReason::Program`.
fn program_codes(text: &str) -> impl Iterator<Item = &str> {
    text.split("Program(").skip(1).filter_map(|rest| rest.trim_start().strip_prefix('"')?.split('"').next())
}

/// Two meanings of one code would mislead the programs that match on it.
#[test]
fn a_reason_of_this_program_is_none_of_the_wallet_and_every_one_of_the_wallet_is_used() {
    let product = product();
    let own: BTreeSet<&str> = product
        .iter()
        .filter(|(path, _)| path.components().any(|part| part.as_os_str() == "holder-cli"))
        .flat_map(|(_, text)| program_codes(text))
        .collect();
    assert!(own.len() > 10, "{own:?}");
    for code in own {
        assert!(code.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_'), "{code}");
        assert_eq!(FailureReason::from_code(code), FailureReason::Service(code.to_owned()), "a reason of the wallet");
        assert_eq!(FailureReason::from_code(code).fault(), FaultParty::Ours);
    }
    for reason in FailureReason::KNOWN {
        let named = format!("FailureReason::{reason:?}");
        let is_used = product.iter().any(|(_, text)| text.contains(&named));
        // These arrive by their codes alone.
        let is_stated = [FailureReason::DeadlineExceeded].contains(reason);
        assert!(is_used || is_stated, "no use of {named}");
    }
}

#[test]
fn an_offer_that_cannot_be_used_any_more_is_asked_for_again() {
    let hint =
        |code: &str| refused(FailureReason::from_code(code), Sentence::new("error-service-redeem")).hint.english();
    for code in ["offer_locked", "offer_already_used", "offer_already_collected", "offer_cancelled", "not_found"] {
        assert_eq!(hint(code), "ask for a new one", "{code}");
    }
    assert!(hint("signature_invalid").contains("name in brackets"));
}
