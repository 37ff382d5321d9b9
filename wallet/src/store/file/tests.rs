use carnet_core::format::CredentialFormat;
use std::os::unix::fs::PermissionsExt;

use super::*;
use crate::{
    failure::{FailureKind, Sentence},
    store::{
        HolderKey,
        contents::{CredentialCopy, FORMAT_VERSION, HeldCredential},
    },
};

fn passphrase(text: &str) -> SecretString {
    SecretString::from(text.to_owned())
}

fn made() -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("deep/er/wallet.age");
    WalletFile::create(&path, passphrase("correct horse"), MIN_WORK_FACTOR).unwrap();
    (folder, path)
}

fn open(path: &Path) -> Result<WalletFile, Failure> {
    open_with(path, "correct horse")
}

fn open_with(path: &Path, typed: &str) -> Result<WalletFile, Failure> {
    WalletFile::open(path, passphrase(typed), &SilentObserver, Box::new(SilentObserver))
}

fn credential(id: &str) -> HeldCredential {
    let copies = (0..10).map(|_| CredentialCopy::new("x".repeat(2_000), HolderKey::generate()));
    HeldCredential {
        id: id.to_owned(),
        type_name: "T".to_owned(),
        format: CredentialFormat::VcSdJwt.to_owned(),
        issuer: "did:web:a.example".to_owned(),
        issuer_name: "A".to_owned(),
        received_at: carnet_core::time::Timestamp::from_unix(0),
        valid_from: None,
        valid_until: None,
        epoch: None,
        copies: copies.collect(),
        endpoint: None,
        refill_threshold: 3,
        display: Default::default(),
        serials: None,
    }
}

#[test]
fn what_is_stored_is_read_again_and_only_the_owner_may_read_it() {
    let (_folder, path) = made();
    let mut wallet = open(&path).unwrap();
    wallet.contents.credentials.push(credential("abcd"));
    wallet.save().unwrap();
    drop(wallet);
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&path), 0o600);
    assert_eq!(mode(path.parent().unwrap()), 0o700);
    let read = read_wallet(&path, &passphrase("correct horse"), WalletScope::Whole).unwrap();
    assert_eq!(read.credentials[0].copies.len(), 10);
    let sealed = fs::read(&path).unwrap();
    assert!(sealed.starts_with(b"age-encryption.org/v1\n"));
    assert!(!sealed.windows(16).any(|bytes| bytes == b"xxxxxxxxxxxxxxxx"));
}

#[test]
fn how_far_logs_went_is_kept_and_bounded() {
    let (_folder, path) = made();
    let log = |number: usize| (format!("did:webvh:{number}:a.example"), "1-Q".to_owned());
    let mut wallet = open(&path).unwrap();
    let dids = DidCache::default();
    wallet.use_did_cache(&dids);
    dids.set_accepted_entries([log(0)].into());
    wallet.save().unwrap();
    drop(wallet);
    let mut wallet = open(&path).unwrap();
    assert_eq!(wallet.contents.webvh_versions, [log(0)].into());
    let dids = DidCache::default();
    wallet.use_did_cache(&dids);
    assert_eq!(dids.accepted_entries(), [log(0)].into());
    // A known log is still followed when there is no room for another.
    let mut many: std::collections::BTreeMap<_, _> = (0..LOGS + 1).map(log).collect();
    many.insert(log(0).0, "2-Q".to_owned());
    dids.set_accepted_entries(many);
    wallet.save().unwrap();
    assert_eq!(wallet.contents.webvh_versions.len(), LOGS);
    assert_eq!(wallet.contents.webvh_versions[&log(0).0], "2-Q");
}

#[test]
fn a_wallet_is_not_overwritten() {
    let (_folder, path) = made();
    let before = fs::read(&path).unwrap();
    let failure = WalletFile::create(&path, passphrase("another one"), MIN_WORK_FACTOR).unwrap_err();
    assert_eq!(failure.reason, "wallet_exists");
    assert_eq!(fs::read(&path).unwrap(), before);
}

#[test]
fn a_wrong_passphrase_is_told_from_a_damaged_file() {
    let (_folder, path) = made();
    assert!(open(&path).is_ok());
    assert_eq!(
        read_wallet(&path, &passphrase("correct hors"), WalletScope::Whole).unwrap_err().reason,
        "wrong_passphrase"
    );
    let good = fs::read(&path).unwrap();
    for (at, flip) in [(0, 1), (good.len() - 1, 1), (good.len() - 40, 128)] {
        let mut bad = good.clone();
        bad[at] ^= flip;
        fs::write(&path, &bad).unwrap();
        assert_eq!(open(&path).err().unwrap().reason, "wallet_corrupted", "{at}");
    }
    for cut in [0, 10, good.len() - 5] {
        fs::write(&path, &good[..cut]).unwrap();
        assert_eq!(open(&path).err().unwrap().reason, "wallet_corrupted", "{cut}");
    }
}

#[test]
fn an_unknown_version_is_refused() {
    let (_folder, path) = made();
    let mut wallet = open(&path).unwrap();
    wallet.contents.version = FORMAT_VERSION + 1;
    wallet.save().unwrap();
    drop(wallet);
    assert_eq!(open(&path).err().unwrap().reason, "wallet_version");
}

#[test]
fn two_cannot_change_it_at_once_but_reading_goes_on() {
    let (_folder, path) = made();
    let first = open(&path).unwrap();
    let failure = open(&path).err().unwrap();
    assert_eq!((failure.reason.as_str(), failure.kind), ("wallet_busy", FailureKind::Temporary));
    assert!(read_wallet(&path, &passphrase("correct horse"), WalletScope::Whole).is_ok());
    drop(first);
    assert!(open(&path).is_ok());
}

#[test]
fn a_store_that_fails_leaves_the_old_file() {
    let (_folder, path) = made();
    let before = fs::read(&path).unwrap();
    let mut wallet = open(&path).unwrap();
    wallet.contents.credentials.push(credential("abcd"));
    // The folder for the new file is gone.
    let hidden = path.parent().unwrap().with_file_name("hidden");
    fs::rename(path.parent().unwrap(), &hidden).unwrap();
    assert_eq!(wallet.save().unwrap_err().reason, "wallet_unwritable");
    fs::rename(&hidden, path.parent().unwrap()).unwrap();
    assert_eq!(fs::read(&path).unwrap(), before);
    let left: Vec<_> = fs::read_dir(path.parent().unwrap()).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert_eq!(left.len(), 2, "{left:?}");
}

#[test]
fn a_missing_wallet_says_how_to_make_one() {
    let failure = read_wallet(Path::new("/nonexistent/wallet.age"), &passphrase("x"), WalletScope::Whole).unwrap_err();
    assert_eq!(failure.reason, "wallet_missing");
    assert_eq!(failure.hint, Sentence::new("hint-init"));
}

#[test]
fn a_wallet_of_the_version_before_is_read_and_written_as_the_new_one() {
    let (_folder, path) = made();
    let mut wallet = open(&path).unwrap();
    wallet.contents.credentials.push(credential("abcd"));
    // Members that the previous version lacked.
    let mut old = serde_json::to_value(&wallet.contents).unwrap();
    old["version"] = 2.into();
    old.as_object_mut().unwrap().remove("refresh_after").unwrap();
    for copy in old["credentials"][0]["copies"].as_array_mut().unwrap() {
        // Earlier versions stored the texts inside the contents.
        copy["credential"] = "text".into();
        assert!(copy.get("standing").is_none());
    }
    let parse = |old: &serde_json::Value| format::read(old.to_string().as_bytes(), WalletScope::WithoutTexts);
    let read = parse(&old).unwrap();
    assert!(read.credentials[0].copies.iter().all(|copy| copy.credential.text() == "text"));
    assert_eq!((read.version, read.credentials[0].copies.len()), (FORMAT_VERSION, 10));
    assert!(read.refresh_after.is_none() && read.credentials[0].copies.iter().all(|copy| copy.status.is_none()));
    old["version"] = 1.into();
    assert_eq!(parse(&old).unwrap_err().reason, "wallet_version");
}

#[test]
fn what_a_killed_program_left_half_written_is_removed_and_nothing_else() {
    let (_folder, path) = made();
    let beside = |name: &str| path.with_file_name(name);
    let left = beside(".wallet.age.Ab3dEf.tmp");
    assert_eq!(path.file_name().unwrap(), "wallet.age");
    let others = [".other.age.Ab3dEf.tmp", ".wallet.age.backup", "wallet.age.tmp"].map(beside);
    for file in others.iter().chain([&left]) {
        fs::write(file, "half").unwrap();
    }
    // Reading takes no lock, and leaves alone what another command may be writing.
    read_wallet(&path, &passphrase("correct horse"), WalletScope::Whole).unwrap();
    assert!(left.exists());
    open(&path).unwrap();
    assert!(!left.exists() && others.iter().all(|file| file.exists()));
}

#[test]
fn another_passphrase_takes_the_place_of_the_first() {
    let (_folder, path) = made();
    let mut wallet = open(&path).unwrap();
    wallet.contents.credentials.push(credential("abcd"));
    wallet.contents.work_factor = MIN_WORK_FACTOR + 1;
    wallet.change_passphrase(passphrase("battery staple")).unwrap();
    assert_eq!(
        read_wallet(&path, &passphrase("correct horse"), WalletScope::Whole).unwrap_err().reason,
        "wrong_passphrase"
    );
    let read = read_wallet(&path, &passphrase("battery staple"), WalletScope::Whole).unwrap();
    assert_eq!((read.credentials.len(), read.work_factor), (1, MIN_WORK_FACTOR + 1));
    let sealed = fs::read(&path).unwrap();
    let head = String::from_utf8_lossy(&sealed).lines().nth(1).unwrap().to_owned();
    assert!(head.ends_with(&format!(" {}", MIN_WORK_FACTOR + 1)), "{head}");
}

#[test]
fn a_passphrase_that_could_not_be_changed_is_the_old_one() {
    let (_folder, path) = made();
    let wallet = open(&path).unwrap();
    let hidden = path.parent().unwrap().with_file_name("hidden");
    fs::rename(path.parent().unwrap(), &hidden).unwrap();
    let failure = wallet.change_passphrase(passphrase("battery staple")).unwrap_err();
    assert_eq!(failure.reason, "wallet_unwritable");
    fs::rename(&hidden, path.parent().unwrap()).unwrap();
    assert!(read_wallet(&path, &passphrase("correct horse"), WalletScope::Whole).is_ok());
}

#[test]
fn a_wallet_that_ages_own_recipient_sealed_opens() {
    let (_folder, path) = made();
    let contents = WalletContents::new(MIN_WORK_FACTOR);
    let mut recipient = age::scrypt::Recipient::new(passphrase("correct horse"));
    recipient.set_work_factor(MIN_WORK_FACTOR);
    let encryptor = Encryptor::with_recipients(iter::once(&recipient as &dyn age::Recipient)).unwrap();
    let mut writer = encryptor.wrap_output(File::create(&path).unwrap()).unwrap();
    serde_json::to_writer(&mut writer, &contents).unwrap();
    writer.finish().unwrap();
    open(&path).unwrap().save().unwrap();
    assert!(open(&path).is_ok());
}

#[test]
fn a_wallet_that_was_sealed_with_an_older_form_of_the_passphrase_is_sealed_again() {
    let (composed, decomposed) = ("Zo\u{eb} caf\u{e9} ok", "Zoe\u{308} cafe\u{301} ok");
    let marked = "\u{feff}Zo\u{eb} caf\u{e9} ok";
    for (older, by_reading) in [(decomposed, false), (decomposed, true), (marked, false), (marked, true)] {
        let (_folder, path) = made();
        let mut recipient = age::scrypt::Recipient::new(passphrase(older));
        recipient.set_work_factor(MIN_WORK_FACTOR);
        let encryptor = Encryptor::with_recipients(iter::once(&recipient as &dyn age::Recipient)).unwrap();
        let mut writer = encryptor.wrap_output(File::create(&path).unwrap()).unwrap();
        serde_json::to_writer(&mut writer, &WalletContents::new(MIN_WORK_FACTOR)).unwrap();
        writer.finish().unwrap();

        let before = fs::read(&path).unwrap();
        assert!(read_with_form(&path, &passphrase(older), WalletScope::Whole).unwrap().1);
        assert_eq!(fs::read(&path).unwrap(), before);
        let read = || read_wallet(&path, &passphrase(older), WalletScope::WithoutTexts).unwrap();
        if by_reading {
            let other = lock(&path, Duration::ZERO).unwrap();
            read();
            assert_eq!(fs::read(&path).unwrap(), before, "another command has it");
            drop(other);
            read();
        } else {
            open_with(&path, older).unwrap();
        }
        for form in [composed, decomposed, older] {
            assert!(!read_with_form(&path, &passphrase(form), WalletScope::Whole).unwrap().1, "{form:?}");
        }
        let sealed = fs::read(&path).unwrap();
        open_with(&path, older).unwrap();
        read();
        assert_eq!(fs::read(&path).unwrap(), sealed, "once");
        assert_eq!(
            read_wallet(&path, &passphrase("Zoe cafe ok"), WalletScope::Whole).unwrap_err().reason,
            "wrong_passphrase"
        );
    }
}

#[test]
fn what_is_read_without_texts_is_the_rest() {
    let (_folder, path) = made();
    let mut wallet = open(&path).unwrap();
    wallet.contents.credentials.push(credential("abcd"));
    wallet.contents.credentials[0].copies[3].delete_text();
    wallet.save().unwrap();
    let read = |reading| read_wallet(&path, &passphrase("correct horse"), reading);
    let (whole, rest) = (read(WalletScope::Whole).unwrap(), read(WalletScope::WithoutTexts).unwrap());
    assert_eq!(serde_json::to_value(&whole).unwrap(), serde_json::to_value(&rest).unwrap());
    assert_eq!((whole.credentials[0].unused_copies(), rest.credentials[0].unused_copies()), (9, 9));
    assert_eq!(whole.credentials[0].copies[0].credential.text(), "x".repeat(2_000));
    // A part is checked for completeness even if it is not used.
    let good = fs::read(&path).unwrap();
    fs::write(&path, &good[..good.len() - 1]).unwrap();
    assert_eq!(read(WalletScope::WithoutTexts).unwrap_err().reason, "wallet_corrupted");
}
