//! Staff identities: names with bearer tokens, which are displayed once and stored as hashes.

pub mod commands;
mod register;

use std::{
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use carnet_core::{Rng, time::Timestamp};
use sha2::{Digest as _, Sha256};
use tokio::runtime::{Handle, RuntimeFlavor};
use tonic::{Code, Request, Status};
use zeroize::Zeroizing;

use crate::{
    config::StartError,
    error::{CallError, ErrorKind},
    http_wire, wire,
};
use register::{FileStamp, StaffRegister};

pub use register::check_staff_name;

const TOKEN_PREFIX: &str = "carnet_staff_";

/// Generates a token: `carnet_staff_` and base64url of 32 random bytes.
fn generate_token(rng: Rng<'_>) -> Zeroizing<String> {
    let mut bytes = Zeroizing::new([0_u8; 32]);
    rng.fill_bytes(bytes.as_mut_slice());
    // Capacity for the whole token: reallocation would leave partial copies in memory.
    let mut token = Zeroizing::new(String::with_capacity(64));
    token.push_str(TOKEN_PREFIX);
    BASE64_URL_SAFE_NO_PAD.encode_string(bytes.as_slice(), &mut token);
    token
}

/// Returns the SHA-256 hash under which a token is stored. A token has 256 bits of entropy, so that no slow hash is
/// needed.
fn hash_token(token: &str) -> [u8; 32] {
    Sha256::digest(token.as_bytes()).into()
}

/// Creates the staff register of a new data directory with one name, and returns its token.
///
/// # Errors
/// The register could not be written.
pub fn create_staff_register(
    data: &Path,
    name: &str,
    now: Timestamp,
    rng: Rng<'_>,
) -> Result<Zeroizing<String>, StartError> {
    let mut register = StaffRegister::new();
    let token = register.add_member(name, now, rng)?;
    register.save(data)?;
    Ok(token)
}

/// Tonic interceptor that admits only calls with the token of a current staff member, and records the name for
/// [`caller_name`].
#[derive(Debug, Clone)]
pub struct StaffAuthenticator {
    data: PathBuf,
    /// Register as it was last read, and the stamp of its file. The lock is never held while a file is read.
    cached: Arc<Mutex<Option<CachedRegister>>>,
    /// Lock that is held while the file is read.
    reading: Arc<Mutex<()>>,
}

/// Register in memory, with the stamp of its file.
type CachedRegister = (FileStamp, Arc<StaffRegister>);

impl StaffAuthenticator {
    /// Creates the interceptor for the staff register in a data directory.
    ///
    /// # Errors
    /// The register is missing or damaged.
    pub fn for_directory(data: &Path) -> Result<Self, StartError> {
        StaffRegister::load(data)?;
        Ok(Self { data: data.to_owned(), cached: Arc::default(), reading: Arc::default() })
    }

    /// Returns the current register. The file is read only if it was replaced since it was last read, or is very new.
    fn current_register(&self) -> Result<Arc<StaffRegister>, StartError> {
        let known = self.cached_register(FileStamp::of_register(&self.data).as_ref());
        known.map_or_else(|| run_blocking(|| self.read_register()), Ok)
    }

    fn cached_register(&self, stamp: Option<&FileStamp>) -> Option<Arc<StaffRegister>> {
        let read = self.cached.lock().unwrap_or_else(PoisonError::into_inner);
        let (known, register) = read.as_ref()?;
        (stamp == Some(known)).then(|| Arc::clone(register))
    }

    /// Reads the file, one call at a time; the calls that wait use the result of the first.
    fn read_register(&self) -> Result<Arc<StaffRegister>, StartError> {
        let _reading = self.reading.lock().unwrap_or_else(PoisonError::into_inner);
        // The stamp is taken before the file is read: a file that replaces it during the read has another stamp.
        let stamp = FileStamp::of_register(&self.data);
        if let Some(known) = self.cached_register(stamp.as_ref()) {
            return Ok(known);
        }
        let register = Arc::new(StaffRegister::load(&self.data)?);
        let read = stamp.map(|stamp| (stamp, Arc::clone(&register)));
        *self.cached.lock().unwrap_or_else(PoisonError::into_inner) = read;
        Ok(register)
    }
}

impl StaffAuthenticator {
    /// Returns the staff member whose bearer token a request has in its headers.
    ///
    /// # Errors
    /// Unauthenticated, with reason `TOKEN_MISSING` or `STAFF_TOKEN_INVALID`; unavailable, with `STAFF_UNREADABLE`.
    pub fn authenticate(&self, headers: &http::HeaderMap) -> Result<StaffCaller, CallError> {
        let hash = hash_token(http_wire::bearer_token(headers).ok_or_else(token_missing)?);
        let register = self.current_register().map_err(|error| {
            tracing::error!(%error, "no staff call is accepted");
            CallError::new(
                ErrorKind::Unavailable,
                "STAFF_UNREADABLE",
                "This service cannot read its register of staff. Nothing was changed. Its log gives the reason.",
            )
        })?;
        let name = register.name_by_token_hash(&hash).ok_or_else(|| {
            CallError::new(
                ErrorKind::Unauthenticated,
                "STAFF_TOKEN_INVALID",
                "The staff token is unknown here, or was revoked. Nothing was changed. Use one that `init` or `staff \
                 add` showed.",
            )
        })?;
        Ok(StaffCaller(name.to_owned()))
    }
}

fn token_missing() -> CallError {
    CallError::new(
        ErrorKind::Unauthenticated,
        "TOKEN_MISSING",
        "This call needs one `authorization: Bearer <token>` in its metadata. Nothing was changed.",
    )
}

/// Runs blocking work for an interceptor, which cannot be asynchronous. Other tasks of the worker thread continue on
/// another thread.
fn run_blocking<T>(work: impl FnOnce() -> T) -> T {
    let flavor = Handle::try_current().map(|runtime| runtime.runtime_flavor());
    if flavor.is_ok_and(|flavor| flavor == RuntimeFlavor::MultiThread) {
        tokio::task::block_in_place(work)
    } else {
        work()
    }
}

impl tonic::service::Interceptor for StaffAuthenticator {
    /// Errors: UNAUTHENTICATED with reason TOKEN_MISSING or STAFF_TOKEN_INVALID; UNAVAILABLE with STAFF_UNREADABLE.
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        let caller = self.authenticate(request.metadata().as_ref())?;
        request.extensions_mut().insert(caller);
        Ok(request)
    }
}

/// Authenticated staff member who made a call.
#[derive(Debug, Clone)]
pub struct StaffCaller(String);

impl StaffCaller {
    /// Returns the name, for records.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.0
    }
}

/// Returns the name of the staff member who made a call, for records.
///
/// # Errors
/// INTERNAL: the call did not pass through [`StaffAuthenticator`].
pub fn caller_name<T>(request: &Request<T>) -> Result<String, Status> {
    let caller = request.extensions().get::<StaffCaller>().map(|caller| caller.0.clone());
    caller.ok_or_else(|| {
        wire::error_status(Code::Internal, "INTERNAL", "The caller was not authenticated. Nothing was changed.")
    })
}

/// Returns the bearer token of a call (metadata `authorization: Bearer <token>`, RFC 6750).
///
/// # Errors
/// UNAUTHENTICATED with reason TOKEN_MISSING if there is not exactly one, or it is malformed.
pub fn bearer_token<T>(request: &Request<T>) -> Result<&str, Status> {
    http_wire::bearer_token(request.metadata().as_ref()).ok_or_else(|| token_missing().into())
}

#[cfg(test)]
mod tests {
    use rand_core::OsRng;
    use tonic::service::Interceptor as _;

    use super::*;

    fn call(staff: &StaffAuthenticator, headers: &[&str]) -> Result<String, (Code, Option<String>)> {
        let mut request = Request::new(());
        for header in headers {
            request.metadata_mut().append("authorization", header.parse().unwrap());
        }
        let passed = staff.clone().call(request).map_err(|status| (status.code(), wire::status_reason(&status)))?;
        Ok(caller_name(&passed).unwrap())
    }

    fn refused<T>(code: Code, reason: &str) -> Result<T, (Code, Option<String>)> {
        Err((code, Some(reason.to_owned())))
    }

    fn begun() -> (tempfile::TempDir, StaffAuthenticator, Zeroizing<String>) {
        let dir = tempfile::tempdir().unwrap();
        assert!(StaffAuthenticator::for_directory(dir.path()).is_err());
        let token = create_staff_register(dir.path(), "Anna", Timestamp::from_unix(0), &mut OsRng).unwrap();
        let staff = StaffAuthenticator::for_directory(dir.path()).unwrap();
        (dir, staff, token)
    }

    #[test]
    fn only_a_token_of_the_register_passes_and_says_whose_it_is() {
        let (_dir, staff, token) = begun();
        assert_eq!(token.len(), TOKEN_PREFIX.len() + 43);
        assert_ne!(*token, *generate_token(&mut OsRng));
        let right = format!("Bearer {}", *token);
        assert_eq!(call(&staff, &[&right]).as_deref(), Ok("Anna"));
        assert_eq!(call(&staff, &[&right.replacen("Bearer", "bearer", 1)]).as_deref(), Ok("Anna"));
        let other = format!("Bearer {}", *generate_token(&mut OsRng));
        for wrong in [other.as_str(), "Bearer carnet_staff_"] {
            assert_eq!(call(&staff, &[wrong]), refused(Code::Unauthenticated, "STAFF_TOKEN_INVALID"));
        }
        assert_eq!(caller_name(&Request::new(())).unwrap_err().code(), Code::Internal);
    }

    #[test]
    fn a_missing_or_odd_token_is_refused() {
        let (_dir, staff, token) = begun();
        let right = format!("Bearer {}", *token);
        assert!(call(&staff, &[&right]).is_ok());
        for headers in [vec![], vec!["Bearer "], vec!["Basic eDp5"], vec![token.as_str()], vec![&right, &right]] {
            assert_eq!(call(&staff, &headers), refused(Code::Unauthenticated, "TOKEN_MISSING"), "{}", headers.len());
        }
    }

    /// Makes the register look an hour old.
    fn age(data: &Path) {
        let file = std::fs::File::options().write(true).open(data.join("staff.json")).unwrap();
        file.set_modified(std::time::UNIX_EPOCH).unwrap();
    }

    #[test]
    fn a_register_that_has_not_changed_is_read_once() {
        let (dir, staff, _token) = begun();
        // A file that was written just now may change again without a new stamp.
        assert!(!Arc::ptr_eq(&staff.current_register().unwrap(), &staff.current_register().unwrap()));
        age(dir.path());
        let first = staff.current_register().unwrap();
        assert!(Arc::ptr_eq(&first, &staff.clone().current_register().unwrap()));
        let now = Timestamp::from_unix(1);
        StaffRegister::update(dir.path(), |register| register.add_member("Béla", now, &mut OsRng)).unwrap();
        assert!(!Arc::ptr_eq(&first, &staff.current_register().unwrap()));
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 1)]
    async fn a_file_that_is_read_keeps_no_other_call_from_its_worker() {
        let (_dir, staff, anna) = begun();
        let other = staff.clone();
        let calls = tokio::spawn(async move {
            let reading = staff.reading.lock().unwrap_or_else(PoisonError::into_inner);
            let header = format!("Bearer {}", *anna);
            let waiting = other.clone();
            let (begun, has_begun) = std::sync::mpsc::channel();
            let call = tokio::spawn(async move {
                begun.send(()).unwrap();
                call(&waiting, &[&header])
            });
            // This task has the only worker, and gives it up only here.
            tokio::task::block_in_place(|| has_begun.recv().unwrap());
            (tokio::task::block_in_place(|| std::mem::drop(reading)), call)
        });
        let ((), call) = calls.await.unwrap();
        assert_eq!(call.await.unwrap().as_deref(), Ok("Anna"));
    }

    #[test]
    fn what_changes_in_the_register_counts_from_the_next_call_on() {
        let (dir, staff, anna) = begun();
        let now = Timestamp::from_unix(1);
        let anna = format!("Bearer {}", *anna);
        let bela = StaffRegister::update(dir.path(), |register| register.add_member("Béla", now, &mut OsRng)).unwrap();
        let bela = format!("Bearer {}", *bela);
        assert_eq!((call(&staff, &[&anna]).as_deref(), call(&staff, &[&bela]).as_deref()), (Ok("Anna"), Ok("Béla")));
        StaffRegister::update(dir.path(), |register| register.end_membership("Anna", now)).unwrap();
        assert_eq!(call(&staff, &[&anna]), refused(Code::Unauthenticated, "STAFF_TOKEN_INVALID"));
        assert_eq!(call(&staff, &[&bela]).as_deref(), Ok("Béla"));
        // Also where the register was kept in memory before it changed.
        age(dir.path());
        assert_eq!(call(&staff, &[&bela]).as_deref(), Ok("Béla"));
        let carl = StaffRegister::update(dir.path(), |register| register.add_member("Carl", now, &mut OsRng)).unwrap();
        age(dir.path());
        assert_eq!(call(&staff, &[&format!("Bearer {}", *carl)]).as_deref(), Ok("Carl"));
        StaffRegister::update(dir.path(), |register| register.end_membership("Carl", now)).unwrap();
        let ended = call(&staff, &[&format!("Bearer {}", *carl)]);
        assert_eq!(ended, refused(Code::Unauthenticated, "STAFF_TOKEN_INVALID"));
        // An unreadable register lets nobody in.
        std::fs::write(dir.path().join("staff.json"), "{").unwrap();
        assert_eq!(call(&staff, &[&bela]), refused(Code::Unavailable, "STAFF_UNREADABLE"));
    }
}
