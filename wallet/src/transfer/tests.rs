use std::future::Future;

use carnet_core::{keys::Signer as _, time::Timestamp};
use serde_json::json;

use super::*;
use crate::{
    memory::InMemoryPorts,
    request::tests::NOW,
    store::{CredentialCopy, MemoryStore},
};

/// Drives a future of the ports in memory, which never waits.
fn run<T>(work: impl Future<Output = T>) -> T {
    let mut work = std::pin::pin!(work);
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    match work.as_mut().poll(&mut context) {
        std::task::Poll::Ready(value) => value,
        std::task::Poll::Pending => panic!("the ports in memory do not wait"),
    }
}

fn wallet_with(ports: &InMemoryPorts, format: CredentialFormat, copies: usize) -> Wallet<MemoryStore> {
    let mut contents = WalletContents::new(12);
    contents.credentials.push(ports.held("aaaa", format, copies));
    Wallet::new(contents, MemoryStore)
}

fn empty() -> Wallet<MemoryStore> {
    Wallet::new(WalletContents::new(12), MemoryStore)
}

fn import(
    ports: &InMemoryPorts,
    wallet: &mut Wallet<MemoryStore>,
    copy: &ImportedCopy,
) -> Result<ReceivedCredential, Failure> {
    run(import_copy(ports, &Catalogue::embedded().unwrap(), wallet, copy, |_| Ok(())))
}

fn refusal<T>(result: Result<T, Failure>) -> String {
    result.err().map(|failure| failure.reason.to_string()).unwrap_or_default()
}

#[test]
fn a_copy_that_leaves_arrives_with_its_key() {
    for format in [CredentialFormat::VcSdJwt, CredentialFormat::DcSdJwt, CredentialFormat::DiVcJcs] {
        let ports = InMemoryPorts::new();
        let mut from = wallet_with(&ports, format, 3);
        let export = CopyExport::prepare(&from.contents, 0).unwrap();
        export.record(&mut from, NOW).unwrap();
        // It is not unused any more, and the next export takes another one.
        assert_eq!(from.contents.credentials[0].unused_copies(), 2);
        assert_ne!(CopyExport::prepare(&from.contents, 0).unwrap().digest, export.digest);
        let last = from.contents.log.entries().last().unwrap();
        assert_eq!((last.kind, last.credentials.len()), (LogEntryKind::Exported, 1));

        for copy in [
            ImportedCopy::from_file(export.to_file().as_bytes()).unwrap(),
            ImportedCopy::from_raw(format!("{}\n", export.text).as_bytes(), export.key.as_bytes()).unwrap(),
        ] {
            let mut to = empty();
            let received = import(&ports, &mut to, &copy).unwrap();
            assert_eq!((received.copies, received.format), (1, format));
            let held = &to.contents.credentials[0];
            assert_eq!(held.copies[0].presented_to, [UNKNOWN_VERIFIER], "it may have been shown before");
            assert_eq!(held.endpoint, None);
            assert_eq!(to.contents.log.entries().last().unwrap().kind, LogEntryKind::Imported);
            // A second time, and into the wallet that it came from.
            assert_eq!(refusal(import(&ports, &mut to, &copy)), "already_held");
            assert_eq!(refusal(import(&ports, &mut from, &copy)), "already_held");
        }
    }
}

#[test]
fn an_export_needs_a_copy_that_nobody_has_seen() {
    let ports = InMemoryPorts::new();
    let mut wallet = wallet_with(&ports, CredentialFormat::VcSdJwt, 1);
    assert_eq!(refusal(CopyExport::prepare(&wallet.contents, 1)), "not_found");
    let export = CopyExport::prepare(&wallet.contents, 0).unwrap();
    wallet.contents.credentials[0].copies[0].presented_to.push("asker".to_owned());
    assert_eq!(refusal(CopyExport::prepare(&wallet.contents, 0)), "copy_missing");
    // The copy was replaced between the question and the export.
    let key = HolderKey::generate();
    wallet.contents.credentials[0].copies[0] = CredentialCopy::new("x".to_owned(), key);
    assert_eq!(refusal(export.record(&mut wallet, NOW)), "not_found");
}

#[test]
fn what_is_imported_is_verified_as_what_is_received() {
    let ports = InMemoryPorts::new();
    let format = CredentialFormat::VcSdJwt;
    let export = CopyExport::prepare(&wallet_with(&ports, format, 1).contents, 0).unwrap();
    let raw = |text: &str, key: &str| ImportedCopy::from_raw(text.as_bytes(), key.as_bytes()).unwrap();
    // Another's key: the copy is not bound to it.
    let other = HolderKey::generate().to_private_jwk().unwrap();
    let mut wallet = empty();
    assert_eq!(refusal(import(&ports, &mut wallet, &raw(&export.text, &other))), "holder_mismatch");
    // A byte of the signature.
    let (token, disclosures) = export.text.split_once('~').unwrap();
    let last = if token.ends_with('A') { 'Q' } else { 'A' };
    let forged = format!("{}{last}~{disclosures}", &token[..token.len() - 1]);
    assert!(
        ["signature_invalid", "invalid_encoding"]
            .contains(&refusal(import(&ports, &mut wallet, &raw(&forged, &export.key))).as_str())
    );
    // The owner says no before anything is stored.
    let copy = raw(&export.text, &export.key);
    let declined = || Failure::declined(Sentence::new("undone-imported"));
    let said = run(import_copy(&ports, &Catalogue::embedded().unwrap(), &mut wallet, &copy, |_| Err(declined())));
    assert_eq!(refusal(said), "declined");
    assert!(wallet.contents.credentials.is_empty());
    // The twin.
    import(&ports, &mut wallet, &copy).unwrap();
}

#[test]
fn an_expired_copy_and_a_type_of_nobody_are_refused() {
    let ports = InMemoryPorts::new();
    let key = HolderKey::generate();
    let public = key.decode().unwrap().public_key();
    let import_changed = |change: &dyn Fn(&mut Map<String, Value>)| {
        let text = ports.issue_changed(CredentialFormat::VcSdJwt, &public, |payload| change(payload));
        let copy = ImportedCopy::from_raw(text.as_bytes(), key.to_private_jwk().unwrap().as_bytes()).unwrap();
        refusal(import(&ports, &mut empty(), &copy))
    };
    assert_eq!(import_changed(&|_| ()), "");
    let day = |at: i64| json!(Timestamp::from_unix(at).start_of_day().to_string());
    let ended = |payload: &mut Map<String, Value>| {
        payload.insert("validFrom".to_owned(), day(1_500_000_000));
        payload.insert("validUntil".to_owned(), day(1_600_000_000));
    };
    assert_eq!(import_changed(&ended), "expired");
    assert_eq!(
        import_changed(&|payload| drop(
            payload.insert("type".to_owned(), json!(["VerifiableCredential", "NobodysCredential"]))
        )),
        "type_unknown"
    );
}

#[test]
fn a_file_that_is_none_is_refused() {
    let key = HolderKey::generate().to_private_jwk().unwrap();
    for file in
        ["", "x", "{}", r#"{"credential": 1, "key": {}}"#, r#"{"credential": "x"}"#, r#"{"credential": "x", "key": 1}"#]
    {
        let refused = refusal(ImportedCopy::from_file(file.as_bytes()));
        assert!(["transfer_malformed", "key_invalid"].contains(&refused.as_str()), "{file}: {refused}");
    }
    for text in ["", "x", "a.b.c~", "{}", r#"{"type": ["VerifiableCredential"]}"#] {
        let copy = ImportedCopy::from_raw(text.as_bytes(), key.as_bytes()).unwrap();
        let refused = refusal(copy.announced(&Catalogue::embedded().unwrap()));
        assert!(["transfer_malformed", "type_unknown"].contains(&refused.as_str()), "{text}: {refused}");
    }
}
