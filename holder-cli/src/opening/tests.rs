use super::*;

/// Copies count as shown whichever command opens the wallet first.
#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_was_put_back_is_marked_by_a_verb_that_only_reads_it() {
    use crate::{service_tests::desk::Scene, wallet::LogEntryKind};
    let scene = Scene::set([]).await;
    scene.receive().await.unwrap();
    let path = scene.context.location.file_path().unwrap();
    let older = std::fs::read(&path).unwrap();
    // The newest file is read unchanged.
    assert_eq!(scene.context.wallet.read_without_texts().unwrap().credentials[0].unused_copies(), 3);
    assert_eq!(std::fs::read(&path).unwrap(), older);
    scene.context.wallet.open().unwrap().save().unwrap();
    std::fs::write(&path, &older).unwrap();
    // Another command holds the wallet, so it cannot be changed now; the copies read count as shown nevertheless.
    let opened = WalletFile::open(
        &path,
        scene.context.passphrases.read_existing().unwrap(),
        &scene.context.ui.lock_notice(),
        Box::new(scene.context.ui.wallet_notice()),
    );
    let restored = |contents: &WalletContents| contents.log.newest().unwrap().kind == LogEntryKind::Restored;
    let read = scene.context.wallet.read_without_texts().unwrap();
    assert!(read.credentials[0].unused_copies() == 0 && restored(&read));
    assert_eq!(std::fs::read(&path).unwrap(), older);
    drop(opened);
    let read = scene.context.wallet.read_without_texts().unwrap();
    assert!(read.credentials[0].unused_copies() == 0 && restored(&read));
    let stored = std::fs::read(&path).unwrap();
    assert_ne!(stored, older);
    // Only once.
    let again = scene.context.wallet.read().unwrap();
    assert_eq!(again.log.entries().len(), read.log.entries().len());
    assert_eq!(std::fs::read(&path).unwrap(), stored);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_verb_that_only_reads_the_wallet_forgets_what_the_owner_does_not_keep() {
    use crate::{answer::tests::NOW, service_tests::desk::Scene};
    let scene = Scene::set([]).await;
    scene.receive().await.unwrap();
    let mut wallet = scene.context.wallet.open().unwrap();
    wallet.contents.log_retention_days = Some(30);
    wallet.save().unwrap();
    drop(wallet);
    let entries = |scene: &Scene| scene.context.wallet.read_without_texts().unwrap().log.entries().len();
    scene.set_clock(NOW.plus(30 * 86_400));
    assert!(entries(&scene) > 0, "the last day that is kept");
    scene.set_clock(NOW.plus(31 * 86_400));
    let path = scene.context.location.file_path().unwrap();
    let before = std::fs::read(&path).unwrap();
    assert_eq!(entries(&scene), 0);
    assert_ne!(std::fs::read(&path).unwrap(), before, "it is not in the file either");
}
