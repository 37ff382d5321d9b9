use carnet_core::{format::CredentialFormat, secure::sd_jwt::SdJwt, status::freshness};

use super::*;
use crate::{
    answer::{AnswerConstraints, answer_query, tests::Issuer},
    request::tests::{Asker, NOW},
    store::{
        MemoryStore, WalletContents,
        cached_status::{CachedStatus, CopyState, FreshnessStatements},
    },
};

/// Creates a wallet with three copies of a qualification, and the catalogue of its type.
fn wallet() -> (Wallet<MemoryStore>, Catalogue) {
    let (issuer, mut contents) = (Issuer::new(), WalletContents::new(12));
    contents.credentials.push(issuer.held("aaaa", CredentialFormat::VcSdJwt, 3));
    (Wallet::new(contents, MemoryStore), issuer.catalogue)
}

#[test]
fn an_answer_without_a_verdict_is_named_where_its_request_is_closed() {
    let refusal = |reason: &str| {
        Failure::new(
            FailureReason::from_code(reason),
            Sentence::new("error-service-submit"),
            Sentence::new("hint-ask-new"),
        )
    };
    let said = |log: &WalletLog, reason: &str| closed_request_failure(log, u64::MAX, "asker", refusal(reason));
    let mut log = WalletLog::default();
    assert_eq!(said(&log, "nonce_replayed").safety, DataSafety::Untouched);
    let number = log.push(WalletLogEntry::new(NOW, LogEntryKind::Sending, "asker"));
    let sent = log.entry(number).unwrap().clone();
    let named = said(&log, "nonce_replayed");
    assert_eq!((named.reason.as_str(), named.safety), ("nonce_replayed", DataSafety::Sent));
    assert_eq!(named.message, Sentence::new("error-closed").with("time", NOW));
    assert_eq!(named.hint, Sentence::new("hint-closed"));
    // Not for another verifier or another reason, nor after a verdict.
    let other = closed_request_failure(&log, u64::MAX, "another", refusal("nonce_replayed"));
    assert_eq!(other.safety, DataSafety::Untouched);
    let first = closed_request_failure(&log, number, "asker", refusal("nonce_replayed"));
    assert_eq!(first.safety, DataSafety::Untouched);
    assert_eq!(said(&log, "unavailable").safety, DataSafety::Untouched);
    log.push(WalletLogEntry::referring_to(&sent, NOW, LogEntryKind::Unanswered));
    assert_eq!(said(&log, "request_expired").safety, DataSafety::Sent);
    log.push(WalletLogEntry::referring_to(&sent, NOW, LogEntryKind::Accepted));
    assert_eq!(said(&log, "nonce_replayed").safety, DataSafety::Untouched);
}

#[test]
fn what_is_bound_is_of_when_it_goes_and_nothing_is_spent_after_the_end() {
    let ((mut wallet, catalogue), request) = (wallet(), Asker::new().request().unwrap());
    let bounds = AnswerConstraints {
        client_id: &request.client_id,
        now: NOW,
        allowed_credentials: &[],
        withheld: &[],
        proof_only_claims: &[],
    };
    let parts = answer_query(&wallet.contents, &catalogue, &request.query, &bounds).unwrap().presentations;
    // The request was checked on arrival and expires 300 seconds later; clocks may differ by a minute.
    let over = bind(NOW.plus(361), &mut wallet, &request, &parts).unwrap_err();
    assert_eq!(over.reason, "expired");
    assert_eq!(wallet.contents.credentials[0].unused_copies(), 3);
    let bound = bind(NOW.plus(360), &mut wallet, &request, &parts).unwrap();
    let binding = SdJwt::parse(&bound[0].1).unwrap().key_binding().unwrap().payload()["iat"].clone();
    assert_eq!(binding, NOW.plus(360).unix());
    assert_eq!(wallet.contents.credentials[0].unused_copies(), 2);
}

/// Only verifiers that ask for it, or that know the copy anyway, get the statement.
#[test]
fn a_statement_goes_along_while_it_holds_to_those_who_want_it() {
    let epoch = NOW.plus(-7_200);
    for (since, until, asked, seen, goes) in [
        (epoch, NOW.plus(121), Some(43_200), false, true),
        (epoch, NOW.plus(120), Some(43_200), false, false),
        (epoch, NOW.plus(121), None, false, false),
        (epoch, NOW.plus(121), None, true, true),
        (epoch, NOW.plus(120), None, true, false),
        // 28,800, 50,400 and 93,600 seconds old.
        (epoch.plus(-21_600), NOW.plus(900), Some(43_200), true, true),
        (epoch.plus(-43_200), NOW.plus(900), Some(43_200), true, false),
        (epoch.plus(-43_200), NOW.plus(900), Some(86_400), false, true),
        (epoch.plus(-86_400), NOW.plus(900), Some(604_800), false, true),
        (epoch.plus(-86_400), NOW.plus(900), None, true, false),
        // A statement from before epochs existed.
        (epoch.plus(3_600), NOW.plus(900), Some(43_200), true, false),
    ] {
        let mut asker = Asker::new();
        if let Some(seconds) = asked {
            asker.payload["carnet"][freshness::MAX_AGE_MEMBER] = seconds.into();
        }
        let ((mut wallet, catalogue), request) = (wallet(), asker.request().unwrap());
        for copy in &mut wallet.contents.credentials[0].copies {
            let statement = Some(FreshnessStatements { text: "a.b.c".to_owned().into(), since, until });
            copy.status = Some(CachedStatus { statement, ..CachedStatus::new(CopyState::Valid, NOW) });
            let other = "decentralized_identifier:did:web:other.example".to_owned();
            copy.presented_to = if seen { vec![other, request.client_id.clone()] } else { Vec::new() };
        }
        let bounds = AnswerConstraints {
            client_id: &request.client_id,
            now: NOW,
            allowed_credentials: &[],
            withheld: &[],
            proof_only_claims: &[],
        };
        let parts = answer_query(&wallet.contents, &catalogue, &request.query, &bounds).unwrap().presentations;
        let bound = bind(NOW, &mut wallet, &request, &parts).unwrap();
        let token = SdJwt::parse(&bound[0].1).unwrap();
        let stapled = token.key_binding().unwrap().payload().get(freshness::KEY_BINDING_MEMBER).cloned();
        assert_eq!(stapled, goes.then(|| "a.b.c".into()), "{since} {until} {asked:?} {seen}");
    }
}
