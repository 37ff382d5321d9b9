//! Staff register: the names that may make staff calls, in one file that is replaced atomically. A running service
//! reads a replaced file at the next call, so that a revoked token is refused at once.

use std::{
    io::{ErrorKind, Read as _},
    path::Path,
    time::{Duration, SystemTime},
};

use carnet_core::{Rng, time::Timestamp};
use serde::{Deserialize, Serialize};
use subtle::{Choice, ConditionallySelectable as _, ConstantTimeEq as _};
use zeroize::Zeroizing;

use super::{generate_token, hash_token};
use crate::{config::StartError, disk, time::at};

const REGISTER_FILE: &str = "staff.json";
const LOCK_FILE: &str = "staff.lock";
/// File of older versions with the hash of the only staff token.
const OLD_TOKEN_FILE: &str = "staff-token.sha256";
/// Name in records for the only staff token of older versions.
const OLD_NAME: &str = "staff";
const FORMAT_VERSION: u32 = 1;
/// Maximum number of names, former staff included.
const MAX_STAFF: usize = 1_000;
/// Maximum number of bytes that are read; far more than a register of [`MAX_STAFF`] names has.
const MAX_BYTES: u64 = 1 << 20;
const MAX_NAME_CHARS: usize = 64;

/// Current or former staff member.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct StaffEntry {
    /// Name in records. Never reused for another person.
    pub(super) name: String,
    /// Time at which the token was created; `None` for the token of an older version.
    #[serde(default, with = "at", skip_serializing_if = "Option::is_none")]
    pub(super) since: Option<Timestamp>,
    #[serde(default, with = "at", skip_serializing_if = "Option::is_none")]
    pub(super) ended: Option<Timestamp>,
    /// SHA-256 hash of the token, in hex in the file; `None` once the membership has ended.
    #[serde(default, with = "hex", skip_serializing_if = "Option::is_none")]
    token: Option<[u8; 32]>,
}

/// All current and former staff, oldest first.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct StaffRegister {
    version: u32,
    pub(super) staff: Vec<StaffEntry>,
}

/// Properties of the register's file by which its replacement is detected.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct FileStamp {
    length: u64,
    modified: SystemTime,
    /// Inode number, and time of the last status change (seconds, nanoseconds); zeros on systems without them.
    file: (u64, i64, i64),
}

impl FileStamp {
    /// Returns the stamp of `DIR/staff.json`; `None` if there is no such file, or if it is so new that a replacement
    /// could have the same stamp.
    pub(super) fn of_register(data: &Path) -> Option<Self> {
        /// Far above the steps in which file systems write times.
        const SETTLED: Duration = Duration::from_secs(2);
        let file = std::fs::metadata(data.join(REGISTER_FILE)).ok()?;
        let modified = file.modified().ok()?;
        let settled = SystemTime::now().duration_since(modified).is_ok_and(|age| age > SETTLED);
        #[cfg(unix)]
        let id = {
            use std::os::unix::fs::MetadataExt as _;
            (file.ino(), file.ctime(), file.ctime_nsec())
        };
        #[cfg(not(unix))]
        let id = (0, 0, 0);
        settled.then_some(Self { length: file.len(), modified, file: id })
    }
}

impl StaffRegister {
    pub(super) const fn new() -> Self {
        Self { version: FORMAT_VERSION, staff: Vec::new() }
    }

    /// Loads `DIR/staff.json`, or converts the `DIR/staff-token.sha256` of an older directory.
    ///
    /// # Errors
    /// The file is missing, unreadable or damaged.
    pub(super) fn load(data: &Path) -> Result<Self, StartError> {
        let path = data.join(REGISTER_FILE);
        let old = data.join(OLD_TOKEN_FILE);
        let failed = |path: &Path, what: &str| {
            StartError::new(
                format!("{} {what}.", path.display()),
                "Restore it from a backup: without it no staff call can be authenticated.",
            )
            .nothing_changed()
        };
        let unread = |path: &Path, error: std::io::Error| failed(path, &format!("cannot be read ({error})"));
        match read(&path) {
            Ok(text) => serde_json::from_slice(&text)
                .ok()
                .filter(Self::is_consistent)
                .ok_or_else(|| failed(&path, "is not a register of staff")),
            Err(error) if error.kind() == ErrorKind::NotFound && old.exists() => {
                let text = read(&old).map_err(|error| unread(&old, error))?;
                let token = std::str::from_utf8(&text).ok().and_then(|text| hex::parse(text.trim()));
                let token = Some(token.ok_or_else(|| failed(&old, "does not contain a SHA-256 in hex"))?);
                let first = StaffEntry { name: OLD_NAME.to_owned(), since: None, ended: None, token };
                Ok(Self { staff: vec![first], ..Self::new() })
            }
            Err(error) => Err(unread(&path, error)),
        }
    }

    /// Writes the file atomically. Removes the `staff-token.sha256` of an older directory, whose token the register
    /// contains.
    ///
    /// # Errors
    /// It could not be written, and is unchanged.
    pub(super) fn save(&self, data: &Path) -> Result<(), StartError> {
        let path = data.join(REGISTER_FILE);
        let failed = |error: std::io::Error| {
            StartError::new(
                format!("{} could not be written: {error}. The register of staff is unchanged.", path.display()),
                "Check that the disk has room and that this user may write there, then run it again.",
            )
        };
        let text = serde_json::to_string_pretty(self).map_err(|error| failed(error.into()))?;
        disk::replace_file(&path, format!("{text}\n").as_bytes(), 0o600).map_err(failed)?;
        // The old file is no longer read, so it does no harm if it cannot be removed.
        let _ = std::fs::remove_file(data.join(OLD_TOKEN_FILE));
        Ok(())
    }

    /// Loads the register, applies `change` and saves the result, under a lock. Returns the result of `change`.
    ///
    /// # Errors
    /// Those of [`StaffRegister::load`], of `change` and of [`StaffRegister::save`]; another process is changing the
    /// register. The file is then unchanged.
    pub(super) fn update<T>(
        data: &Path,
        change: impl FnOnce(&mut Self) -> Result<T, StartError>,
    ) -> Result<T, StartError> {
        // Checked before any file is created: this may not be a data directory.
        Self::load(data)?;
        let path = data.join(LOCK_FILE);
        let (_lock, locked) = disk::lock_file(&path, std::fs::File::try_lock).map_err(|error| {
            StartError::new(
                format!("{} could not be used: {error}. Nothing was changed.", path.display()),
                "Check that this user may write in the directory.",
            )
        })?;
        if !locked {
            return Err(StartError::new(
                "Another program is changing the register of staff. Nothing was changed.",
                "Run it again.",
            )
            .retryable());
        }
        let mut register = Self::load(data)?;
        let changed = change(&mut register)?;
        register.save(data)?;
        Ok(changed)
    }

    /// Adds a staff member, and returns the new token, which is displayed once.
    ///
    /// # Errors
    /// The name belongs to a current or former staff member; the register has the maximum number of names.
    pub(super) fn add_member(
        &mut self,
        name: &str,
        now: Timestamp,
        rng: Rng<'_>,
    ) -> Result<Zeroizing<String>, StartError> {
        if let Some(known) = self.staff.iter().find(|entry| entry.name == name) {
            let (what, hint) = match known.ended {
                None => ("is staff already", "Choose another name; `staff end` revokes a lost token."),
                Some(_) => ("was a staff name before, and names are never reused", "Choose another name."),
            };
            return Err(StartError::new(format!("Nothing was changed: {name} {what}."), hint));
        }
        if self.staff.len() >= MAX_STAFF {
            return Err(StartError::new(
                format!("Nothing was changed: there are already {MAX_STAFF} names."),
                "Start with a new data directory.",
            ));
        }
        let token = generate_token(rng);
        self.staff.push(StaffEntry {
            name: name.to_owned(),
            since: Some(now),
            ended: None,
            token: Some(hash_token(&token)),
        });
        Ok(token)
    }

    /// Ends a membership and erases the hash of its token. The name remains reserved.
    ///
    /// # Errors
    /// No staff member has this name, or the membership has already ended.
    pub(super) fn end_membership(&mut self, name: &str, now: Timestamp) -> Result<(), StartError> {
        let refused = |what: &str| StartError::new(format!("Nothing was changed: {name} {what}."), "See `staff list`.");
        let entry = self.staff.iter_mut().find(|entry| entry.name == name).ok_or_else(|| refused("is nobody here"))?;
        if entry.ended.is_some() {
            return Err(refused("is no longer staff"));
        }
        (entry.ended, entry.token) = (Some(now), None);
        Ok(())
    }

    /// Returns the name of the staff member whose token has this hash; `None` if there is none. All hashes are compared
    /// in constant time.
    pub(super) fn name_by_token_hash(&self, hash: &[u8; 32]) -> Option<&str> {
        let mut found = u64::MAX;
        for (entry, at) in self.staff.iter().zip(0_u64..) {
            let same = entry.token.map_or(Choice::from(0), |token| token.ct_eq(hash));
            found.conditional_assign(&at, same);
        }
        let found = usize::try_from(found).ok().and_then(|at| self.staff.get(at));
        found.map(|entry| entry.name.as_str())
    }

    /// Returns whether the content of the register is consistent.
    fn is_consistent(&self) -> bool {
        let mut names = std::collections::BTreeSet::new();
        self.version == FORMAT_VERSION
            && self.staff.len() <= MAX_STAFF
            && self.staff.iter().all(|entry| {
                names.insert(&entry.name)
                    && check_staff_name(&entry.name).is_ok()
                    && entry.ended.is_some() == entry.token.is_none()
            })
    }
}

fn read(path: &Path) -> std::io::Result<Vec<u8>> {
    let mut text = Vec::new();
    std::fs::File::open(path)?.take(MAX_BYTES).read_to_end(&mut text)?;
    Ok(text)
}

/// Checks a staff name, for clap: 1 to 64 visible characters, without quotation marks and backslashes, with single
/// spaces between words. Returns it unchanged.
///
/// # Errors
/// The rule, as a sentence.
pub fn check_staff_name(text: &str) -> Result<String, String> {
    // An invisible character, such as one that reverses the order of letters, is longer when quoted.
    let seen = format!("{text:?}").len() == text.len().saturating_add(2);
    let spaced = text.split(' ').all(|word| !word.is_empty());
    if seen && spaced && (1..=MAX_NAME_CHARS).contains(&text.chars().count()) {
        Ok(text.to_owned())
    } else {
        Err(format!("a name must be 1 to {MAX_NAME_CHARS} visible characters without quotation marks and backslashes"))
    }
}

/// Serde format of optional SHA-256 hashes: hexadecimal.
mod hex {
    use serde::{Deserialize as _, Deserializer, Serializer, de::Error as _};

    pub(super) fn serialize<S: Serializer>(hash: &Option<[u8; 32]>, serializer: S) -> Result<S::Ok, S::Error> {
        match hash {
            Some(hash) => serializer.serialize_str(&base16ct::lower::encode_string(hash)),
            None => serializer.serialize_none(),
        }
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<[u8; 32]>, D::Error> {
        Option::<String>::deserialize(deserializer)?
            .map(|text| parse(&text).ok_or_else(|| D::Error::custom("not a SHA-256 in hex")))
            .transpose()
    }

    pub(super) fn parse(text: &str) -> Option<[u8; 32]> {
        let mut hash = [0; 32];
        let whole = base16ct::mixed::decode(text, &mut hash).is_ok_and(|bytes| bytes.len() == 32);
        whole.then_some(hash)
    }
}

#[cfg(test)]
mod tests {
    use rand_core::OsRng;

    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_unix(1_795_305_600).plus(second)
    }

    fn refused<T: std::fmt::Debug>(result: Result<T, StartError>, what: &str) {
        let error = result.unwrap_err();
        assert!(error.message.contains(what), "{error}");
    }

    #[test]
    fn a_name_is_one_persons_for_ever() {
        let mut register = StaffRegister::new();
        let anna = register.add_member("Anna", at(0), &mut OsRng).unwrap();
        let bela = register.add_member("Béla Kovács (night)", at(1), &mut OsRng).unwrap();
        assert_eq!(register.name_by_token_hash(&hash_token(&anna)), Some("Anna"));
        assert_eq!(register.name_by_token_hash(&hash_token(&bela)), Some("Béla Kovács (night)"));
        assert_eq!(register.name_by_token_hash(&hash_token("carnet_staff_other")), None);
        refused(register.add_member("Anna", at(1), &mut OsRng), "is staff already");
        refused(register.end_membership("anna", at(1)), "is nobody here");
        register.end_membership("Anna", at(2)).unwrap();
        assert_eq!(
            (
                register.name_by_token_hash(&hash_token(&anna)),
                register.name_by_token_hash(&hash_token(&bela)).is_some()
            ),
            (None, true)
        );
        refused(register.end_membership("Anna", at(2)), "is no longer staff");
        refused(register.add_member("Anna", at(3), &mut OsRng), "never reused");
        // Nothing that is left of the token could be compared with.
        assert!(
            StaffRegister::new().name_by_token_hash(&[0; 32]).is_none()
                && register.name_by_token_hash(&[0; 32]).is_none()
        );
    }

    #[test]
    fn names_can_be_seen() {
        for name in ["a", "Anna", "Béla Kovács", "管理者", "o'neill+night@jobs.example", &"x".repeat(64)] {
            assert_eq!(check_staff_name(name).as_deref(), Ok(name));
        }
        let long = "x".repeat(65);
        for name in [
            "",
            " ",
            " a",
            "a ",
            "a  b",
            "a\u{a0}b",
            "a\nb",
            "a\tb",
            "\u{202e}a",
            "a\u{200b}",
            "\u{1b}[2J",
            "\"a\"",
            &long,
        ] {
            assert!(check_staff_name(name).is_err(), "{name:?}");
        }
    }

    #[test]
    fn the_file_is_read_as_it_was_written_or_not_at_all() {
        let dir = tempfile::tempdir().unwrap();
        let data = dir.path();
        refused(StaffRegister::load(data), "cannot be read");
        let mut register = StaffRegister::new();
        let token = register.add_member("Anna", at(0), &mut OsRng).unwrap();
        register.save(data).unwrap();
        let read = StaffRegister::load(data).unwrap();
        assert_eq!((read.name_by_token_hash(&hash_token(&token)), read.staff[0].since), (Some("Anna"), Some(at(0))));
        let path = data.join(REGISTER_FILE);
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(!text.contains(&*token));
        #[cfg(unix)]
        assert_eq!(
            std::os::unix::fs::PermissionsExt::mode(&std::fs::metadata(&path).unwrap().permissions()) & 0o777,
            0o600
        );
        // Cut off, of another version, with a name twice, or with an ended entry that still has a token.
        let one = &text[text.rfind('{').unwrap()..=text.find('}').unwrap()];
        let twice = text.replace(one, &format!("{one},{one}"));
        for damaged in [
            text[..text.len() / 2].to_owned(),
            String::new(),
            text.replace("\"version\": 1", "\"version\": 2"),
            text.replace("Anna", "An\\u202ena"),
            text.replace("\"since\"", "\"ended\": \"2026-11-23T00:00:00Z\", \"since\""),
            text.replace("\"since\"", "\"Since\""),
            twice,
        ] {
            assert_ne!(damaged, text);
            std::fs::write(&path, &damaged).unwrap();
            refused(StaffRegister::load(data), "is not a register of staff");
        }
        std::fs::write(&path, &text).unwrap();
        assert!(StaffRegister::load(data).is_ok());
    }

    #[test]
    fn the_one_token_of_an_older_directory_is_called_staff() {
        let dir = tempfile::tempdir().unwrap();
        let (data, old) = (dir.path(), dir.path().join(OLD_TOKEN_FILE));
        let token = generate_token(&mut OsRng);
        let text = base16ct::lower::encode_string(&hash_token(&token));
        std::fs::write(&old, format!("{text}\n")).unwrap();
        assert_eq!(StaffRegister::load(data).unwrap().name_by_token_hash(&hash_token(&token)), Some("staff"));
        let anna = StaffRegister::update(data, |register| register.add_member("Anna", at(0), &mut OsRng)).unwrap();
        assert!(!old.exists());
        let both = StaffRegister::load(data).unwrap();
        assert_eq!(
            (both.name_by_token_hash(&hash_token(&token)), both.name_by_token_hash(&hash_token(&anna))),
            (Some("staff"), Some("Anna"))
        );
        StaffRegister::update(data, |register| register.end_membership("staff", at(1))).unwrap();
        // A file that a power cut left behind does not bring the ended token back.
        std::fs::write(&old, format!("{text}\n")).unwrap();
        assert_eq!(StaffRegister::load(data).unwrap().name_by_token_hash(&hash_token(&token)), None);
        std::fs::remove_file(data.join(REGISTER_FILE)).unwrap();
        std::fs::write(&old, "x").unwrap();
        refused(StaffRegister::load(data), "does not contain a SHA-256");
    }

    #[test]
    fn two_programs_do_not_change_it_at_once() {
        let dir = tempfile::tempdir().unwrap();
        StaffRegister::new().save(dir.path()).unwrap();
        let (lock, had) = disk::lock_file(&dir.path().join(LOCK_FILE), std::fs::File::try_lock).unwrap();
        assert!(had);
        let add = || StaffRegister::update(dir.path(), |register| register.add_member("Anna", at(0), &mut OsRng));
        assert!(add().unwrap_err().is_retryable);
        drop(lock);
        add().unwrap();
    }
}
