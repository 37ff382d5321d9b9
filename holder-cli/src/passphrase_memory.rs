//! Memory for the passphrase of a menu session, which forgets it after some time without input.

use std::{
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread,
    time::{Duration, Instant, SystemTime},
};

use age::secrecy::SecretString;

/// Time without input after which a menu session forgets the passphrase.
pub(crate) const IDLE: Duration = Duration::from_secs(5 * 60);

/// Memory of one session. Clones share it.
#[derive(Clone)]
pub(crate) struct PassphraseMemory(Arc<Shared>);

struct Shared {
    remembered: Mutex<Option<Remembered>>,
    changed: Condvar,
    idle: Duration,
}

struct Remembered {
    passphrase: SecretString,
    used: Instant,
    /// The same time by the clock of the day: the other one may stop while the machine sleeps.
    used_at: SystemTime,
}

impl Remembered {
    /// Returns how long nobody has used it; as long as possible if the clock of the day was set back.
    fn idle(&self) -> Duration {
        self.used.elapsed().max(self.used_at.elapsed().unwrap_or(Duration::MAX))
    }
}

impl PassphraseMemory {
    /// Creates an empty memory, and starts the thread that erases it after `idle` without use.
    pub(crate) fn new(idle: Duration) -> Self {
        let shared = Arc::new(Shared { remembered: Mutex::new(None), changed: Condvar::new(), idle });
        let watched = Arc::clone(&shared);
        // Without the thread the passphrase is still refused once it is idle, and erased at the next use.
        let _ = thread::Builder::new().spawn(move || watched.erase_when_idle());
        Self(shared)
    }

    /// Remembers a passphrase that was just typed.
    pub(crate) fn remember(&self, passphrase: &SecretString) {
        let (used, used_at) = (Instant::now(), SystemTime::now());
        *self.0.lock() = Some(Remembered { passphrase: passphrase.clone(), used, used_at });
        self.0.changed.notify_all();
    }

    /// Returns the passphrase, which counts as used now; `None` if there is none, or nobody used it for too long.
    pub(crate) fn recall(&self) -> Option<SecretString> {
        self.touch();
        self.0.lock().as_ref().map(|remembered| remembered.passphrase.clone())
    }

    /// Counts the passphrase as used now, since the holder did something. Erases it if it was idle for too long before.
    pub(crate) fn touch(&self) {
        let mut remembered = self.0.lock();
        match remembered.as_mut() {
            Some(found) if found.idle() < self.0.idle => {
                (found.used, found.used_at) = (Instant::now(), SystemTime::now());
            }
            _ => *remembered = None,
        }
    }

    /// Erases the passphrase.
    pub(crate) fn forget(&self) {
        *self.0.lock() = None;
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Option<Remembered>> {
        self.remembered.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn erase_when_idle(&self) {
        let mut remembered = self.lock();
        loop {
            let left = remembered.as_ref().map(|found| self.idle.saturating_sub(found.idle()));
            remembered = match left {
                None => self.changed.wait(remembered).unwrap_or_else(PoisonError::into_inner),
                Some(Duration::ZERO) => {
                    *remembered = None;
                    remembered
                }
                Some(left) => {
                    let waited = self.changed.wait_timeout(remembered, left);
                    waited.unwrap_or_else(PoisonError::into_inner).0
                }
            };
        }
    }
}

#[cfg(test)]
mod tests {
    use age::secrecy::ExposeSecret as _;

    use super::*;

    fn passphrase() -> SecretString {
        SecretString::from("correct horse".to_owned())
    }

    #[test]
    fn a_passphrase_is_remembered_until_it_is_forgotten() {
        let memory = PassphraseMemory::new(IDLE);
        assert!(memory.recall().is_none());
        memory.remember(&passphrase());
        assert_eq!(memory.clone().recall().unwrap().expose_secret(), "correct horse");
        memory.forget();
        assert!(memory.recall().is_none());
    }

    #[test]
    fn an_idle_passphrase_is_erased_by_itself() {
        let memory = PassphraseMemory::new(Duration::from_millis(30));
        memory.remember(&passphrase());
        // Nobody asks for it: the thread alone erases it.
        while memory.0.lock().is_some() {
            thread::yield_now();
        }
    }

    #[test]
    fn time_that_the_machine_slept_counts() {
        let memory = PassphraseMemory::new(IDLE);
        memory.remember(&passphrase());
        let long_ago = SystemTime::now().checked_sub(IDLE).unwrap();
        if let Some(remembered) = memory.0.lock().as_mut() {
            remembered.used_at = long_ago;
        }
        assert!(memory.recall().is_none());
    }
}
