//! Random numbers for tests.

use rand_core::{CryptoRng, RngCore};
use sha2::{Digest as _, Sha256};

/// Deterministic generator for tests: the same numbers in every run.
pub(crate) struct SeededRng(pub(crate) u64);

impl RngCore for SeededRng {
    fn next_u32(&mut self) -> u32 {
        self.next_u64() as u32
    }
    fn next_u64(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(1);
        let hash = Sha256::digest(self.0.to_be_bytes());
        u64::from_be_bytes(hash[..8].try_into().unwrap())
    }
    fn fill_bytes(&mut self, bytes: &mut [u8]) {
        for chunk in bytes.chunks_mut(8) {
            chunk.copy_from_slice(&self.next_u64().to_be_bytes()[..chunk.len()]);
        }
    }
    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), rand_core::Error> {
        self.fill_bytes(bytes);
        Ok(())
    }
}
impl CryptoRng for SeededRng {}
