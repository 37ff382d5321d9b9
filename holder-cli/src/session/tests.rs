use super::*;

#[test]
fn a_new_passphrase_can_be_typed_again() {
    let check = |text: &str| check_new(&SecretString::from(text.to_owned())).map_err(|failure| failure.reason);
    for good in ["correct horse", "Zoe\u{308} cafe\u{301}", "\u{feff}correct horse", "كلمة سر طويلة"] {
        assert_eq!(check(good), Ok(()), "{good:?}");
    }
    // Eight code points that make four letters, and a byte-order mark that does not count.
    for short in ["e\u{301}e\u{301}e\u{301}e\u{301}", "\u{feff}7 chars"] {
        assert_eq!(check(short), Err("passphrase_short".to_owned()), "{short:?}");
    }
    assert_eq!(check("correct\thorse"), Err("passphrase_unsafe".to_owned()));
    assert_eq!(check("correct\u{200b}horse"), Err("passphrase_unsafe".to_owned()));
}

/// Copies count as shown whichever command opens the wallet first.
#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_was_put_back_is_marked_by_a_verb_that_only_reads_it() {
    use crate::{service_tests::desk::Scene, wallet::EntryKind};
    let scene = Scene::set([]).await;
    scene.receive().await.unwrap();
    let path = scene.session.wallet_path().unwrap();
    let older = std::fs::read(&path).unwrap();
    // The newest file is read unchanged.
    assert_eq!(scene.session.read_without_texts().unwrap().credentials[0].unused_copies(), 3);
    assert_eq!(std::fs::read(&path).unwrap(), older);
    scene.session.open().unwrap().save().unwrap();
    std::fs::write(&path, &older).unwrap();
    // Another command holds the wallet, so it cannot be changed now; the copies read count as shown nevertheless.
    let opened = WalletFile::open(
        &path,
        scene.session.passphrase(false).unwrap(),
        &scene.session.ui.busy_wait(),
        Box::new(scene.session.ui.wallet_wait()),
    );
    let restored = |contents: &WalletContents| contents.log.last().unwrap().kind == EntryKind::Restored;
    let read = scene.session.read_without_texts().unwrap();
    assert!(read.credentials[0].unused_copies() == 0 && restored(&read));
    assert_eq!(std::fs::read(&path).unwrap(), older);
    drop(opened);
    let read = scene.session.read_without_texts().unwrap();
    assert!(read.credentials[0].unused_copies() == 0 && restored(&read));
    let stored = std::fs::read(&path).unwrap();
    assert_ne!(stored, older);
    // Only once.
    let again = scene.session.read().unwrap();
    assert_eq!(again.log.entries().len(), read.log.entries().len());
    assert_eq!(std::fs::read(&path).unwrap(), stored);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_verb_that_only_reads_the_wallet_forgets_what_the_owner_does_not_keep() {
    use crate::{answer::tests::NOW, service_tests::desk::Scene};
    let scene = Scene::set([]).await;
    scene.receive().await.unwrap();
    let mut wallet = scene.session.open().unwrap();
    wallet.contents.log_days = Some(30);
    wallet.save().unwrap();
    drop(wallet);
    let entries = |scene: &Scene| scene.session.read_without_texts().unwrap().log.entries().len();
    scene.set_clock(NOW.plus(30 * 86_400));
    assert!(entries(&scene) > 0, "the last day that is kept");
    scene.set_clock(NOW.plus(31 * 86_400));
    let path = scene.session.wallet_path().unwrap();
    let before = std::fs::read(&path).unwrap();
    assert_eq!(entries(&scene), 0);
    assert_ne!(std::fs::read(&path).unwrap(), before, "it is not in the file either");
}
