//! Floors without a network: bare signatures and hashes, and durable commits of a bare SQLite file.

use std::{
    hint::black_box,
    path::Path,
    time::{Duration, Instant},
};

use carnet_core::keys::{SecretKey, SignatureAlgorithm, Signer as _};
use carnet_tests::Result;
use rand_core::OsRng;
use sha2::{Digest as _, Sha256};
use sqlx::{
    Connection as _,
    sqlite::{SqliteConnectOptions, SqliteConnection, SqliteJournalMode, SqliteSynchronous},
};

use crate::process::ProcessState;

/// Processor time of bare cryptography, in microseconds.
#[derive(Debug, Clone, Copy)]
pub(crate) struct CryptoFloor {
    /// Ed25519 signature.
    pub(crate) sign: f64,
    /// Strict Ed25519 verification.
    pub(crate) verify: f64,
    /// SHA-256 of 1 KiB.
    pub(crate) hash_kib: f64,
}

impl CryptoFloor {
    /// Measures for about a second and a half.
    ///
    /// # Errors
    /// The processor time cannot be read.
    pub(crate) fn measure() -> Result<Self> {
        let key = SecretKey::generate(SignatureAlgorithm::EdDsa, &mut OsRng);
        let message = [7_u8; 1_024];
        let signature = key.sign(&message)?;
        let public = key.public_key();
        Ok(Self {
            sign: processor_time(|| key.sign(black_box(&message)))?,
            verify: processor_time(|| public.verify(black_box(&message), &signature))?,
            hash_kib: processor_time(|| Sha256::digest(black_box(&message)))?,
        })
    }

    /// Sum for an operation.
    pub(crate) fn of(&self, signatures: u32, verifications: u32, hashed_bytes: usize) -> f64 {
        self.sign * f64::from(signatures)
            + self.verify * f64::from(verifications)
            + self.hash_kib * hashed_bytes as f64 / 1_024.0
    }
}

/// Processor time of one call, in microseconds, over half a second.
fn processor_time<T>(mut work: impl FnMut() -> T) -> Result<f64> {
    let own = std::process::id();
    let (start, before, mut calls) = (Instant::now(), ProcessState::of(own)?, 0_u64);
    while start.elapsed() < Duration::from_millis(500) {
        for _ in 0..16 {
            black_box(work());
        }
        calls += 16;
    }
    Ok(ProcessState::of(own)?.cost_since(&before, calls).cpu_us)
}

/// Cost of durable commits.
#[derive(Debug, Clone, Copy)]
pub(crate) struct CommitFloor {
    /// Commits a second of one connection.
    pub(crate) rate: f64,
    /// Processor time of one commit, in microseconds.
    pub(crate) cpu_us: f64,
}

/// Measures durable commits of one connection to a bare SQLite file, with the stores' settings, each with one row of
/// so many bytes.
///
/// # Errors
/// The file cannot be written.
pub(crate) async fn commits(folder: &Path, bytes: usize, time: Duration) -> Result<CommitFloor> {
    let file = folder.join(format!("floor-{bytes}-{}.sqlite", std::process::id()));
    let options = SqliteConnectOptions::new()
        .filename(&file)
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        .pragma("secure_delete", "ON");
    let mut connection = SqliteConnection::connect_with(&options).await?;
    sqlx::query("CREATE TABLE IF NOT EXISTS a (x TEXT)").execute(&mut connection).await?;
    let (row, own) = ("a".repeat(bytes), std::process::id());
    let (start, before, mut commits) = (Instant::now(), ProcessState::of(own)?, 0_u64);
    while start.elapsed() < time {
        sqlx::query("INSERT INTO a VALUES (?)").bind(&row).execute(&mut connection).await?;
        commits += 1;
    }
    let cost = ProcessState::of(own)?.cost_since(&before, commits);
    connection.close().await?;
    Ok(CommitFloor { rate: commits as f64 / start.elapsed().as_secs_f64(), cpu_us: cost.cpu_us })
}
