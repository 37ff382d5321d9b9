use super::*;
use crate::store::{
    LogEntryKind, LoggedCredential, WalletLogEntry,
    cached_status::{CachedStatus, CopyState},
};
use carnet_core::format::CredentialFormat;

const ASKER: &str = "asker";

/// A wallet with two documents of one type, of which the second, older one was shown to the asker and refused.
fn wallet(reason: &str) -> WalletContents {
    let issuer = Issuer::new();
    let mut contents = WalletContents::new(12);
    contents.credentials =
        vec![issuer.held("aaaa", CredentialFormat::VcSdJwt, 2), issuer.held("bbbb", CredentialFormat::VcSdJwt, 2)];
    contents.credentials[1].copies[0].presented_to = vec![ASKER.to_owned()];
    let parts = vec![LoggedCredential::without_disclosures("bbbb", TYPE)];
    let number = contents
        .log
        .push(WalletLogEntry { credentials: parts, ..WalletLogEntry::new(NOW, LogEntryKind::Sending, ASKER) });
    let sent = contents.log.entry(number).unwrap().clone();
    contents.log.push(WalletLogEntry {
        reason: reason.to_owned(),
        ..WalletLogEntry::referring_to(&sent, NOW, LogEntryKind::RefusedByVerifier)
    });
    contents
}

fn shown(contents: &WalletContents, only: &[usize]) -> usize {
    parts_of(contents, &query(CredentialFormat::VcSdJwt, subject(&["title"])), ASKER, only).unwrap()[0].credential
}

#[test]
fn a_document_that_was_refused_as_suspended_gives_way_to_another_one() {
    for reason in ["suspended", "revoked"] {
        assert_eq!(shown(&wallet(reason), &[]), 0, "{reason}");
        // Where it is the only one, or the one that the owner chose, it goes.
        assert_eq!(shown(&wallet(reason), &[1]), 1, "{reason}");
    }
    // The twins: refused for what the document cannot mend, and confirmed by its issuer since.
    assert_eq!(shown(&wallet("holder_differs"), &[]), 1);
    let mut confirmed = wallet("suspended");
    confirmed.credentials[1].copies[1].status = Some(CachedStatus::new(CopyState::Valid, NOW.plus(1)));
    assert_eq!(shown(&confirmed, &[]), 1);
}
