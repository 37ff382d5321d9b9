//! Language of the screens that the holder chose in the menu, stored beside the wallet file: it is needed before the
//! wallet is open, to ask for its passphrase.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use crate::{location::WalletLocation, ui::messages::Language};

/// Maximum size of the file, in bytes.
const MAX_BYTES: u64 = 64;

/// Returns the saved language; `None` if there is none, or none of this program.
pub(crate) fn read(location: &WalletLocation) -> Option<Language> {
    let path = path_beside(&location.file_path().ok()?);
    let is_small_file = fs::metadata(&path).is_ok_and(|file| file.is_file() && file.len() <= MAX_BYTES);
    let text = if is_small_file { fs::read_to_string(&path).ok()? } else { return None };
    Language::ALL.into_iter().find(|language| language.tag() == text.trim())
}

/// Saves the language, and creates the directory of the wallet if it does not exist.
///
/// # Errors
/// The file or its directory cannot be written.
pub(crate) fn save(location: &WalletLocation, language: Language) -> io::Result<()> {
    let wallet = location.file_path().map_err(|_| io::ErrorKind::NotFound)?;
    if let Some(directory) = wallet.parent().filter(|directory| !directory.as_os_str().is_empty()) {
        carnet_disk::create_private_directory(directory)?;
    }
    carnet_disk::replace_file(&path_beside(&wallet), format!("{}\n", language.tag()).as_bytes(), 0o600)
}

/// Returns the path of the file: that of the wallet, with `.language` after it.
fn path_beside(wallet: &Path) -> PathBuf {
    let mut path = wallet.as_os_str().to_owned();
    path.push(".language");
    path.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_language_is_read_as_it_was_saved_and_anything_else_is_none() {
        let dir = tempfile::tempdir().unwrap();
        let wallet = dir.path().join("new/wallet.age");
        let location = WalletLocation::new(Some(wallet.clone()), None);
        assert_eq!(read(&location), None);
        for language in Language::ALL {
            save(&location, language).unwrap();
            assert_eq!(read(&location), Some(language));
        }
        let file = dir.path().join("new/wallet.age.language");
        for bad in ["xx", "", "de\nfr", &"de".repeat(40), "../de"] {
            fs::write(&file, bad).unwrap();
            assert_eq!(read(&location), None, "{bad}");
        }
        fs::write(&file, "\u{feff}de").unwrap();
        assert_eq!(read(&location), None);
        // The twin.
        fs::write(&file, "de\r\n").unwrap();
        assert_eq!(read(&location), Some(Language::De));
    }
}
