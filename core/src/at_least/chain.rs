//! The three hash functions of threshold proofs: seed of a chain, step of a chain, and root over four chain ends
//! (spec/at-least.md 2.2 to 2.4).

use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

use super::Direction;

/// The digits of a number in base 16, and so the chains of an entry.
pub(super) const DIGITS: usize = 4;

/// A point of a chain, or a root.
pub(super) type Hash = [u8; 32];

/// The three tags of a direction: no hash of one is ever one of another.
struct Tags {
    seed: &'static str,
    step: &'static str,
    root: &'static str,
}

const fn tags(direction: Direction) -> Tags {
    match direction {
        Direction::AtLeast => {
            Tags { seed: "carnet-at-least-seed/1", step: "carnet-at-least-step/1", root: "carnet-at-least-root/1" }
        }
        Direction::AtMost => {
            Tags { seed: "carnet-at-most-seed/1", step: "carnet-at-most-step/1", root: "carnet-at-most-root/1" }
        }
    }
}

/// Returns the first hash in the chain of one digit of one entry. `place` is 0 for the least significant digit.
pub(super) fn seed(direction: Direction, salt: &str, entry: u8, place: u8) -> Zeroizing<Hash> {
    Zeroizing::new(hash(tags(direction).seed, &[salt.as_bytes(), &[entry, place]]))
}

/// The point of a chain `count` steps on. Each step is one block of SHA-256.
pub(super) fn steps(direction: Direction, from: &Hash, count: u8) -> Zeroizing<Hash> {
    let mut point = Zeroizing::new(*from);
    for _ in 0..count {
        *point = hash(tags(direction).step, &[&*point]);
    }
    point
}

/// The commitment to four ends, most significant digit first.
pub(super) fn root(direction: Direction, ends: &[Hash; DIGITS]) -> Hash {
    hash(tags(direction).root, &[ends.as_flattened()])
}

fn hash(tag: &str, parts: &[&[u8]]) -> Hash {
    let mut hasher = Sha256::new();
    hasher.update(tag);
    hasher.update([0]);
    for part in parts {
        hasher.update(part);
    }
    #[cfg(test)]
    count::add([tag.as_bytes(), &[0]].iter().chain(parts).map(|part| part.len()).sum());
    hasher.finalize().into()
}

/// Counts the hashes of a proof, for the tests.
#[cfg(test)]
pub(super) mod count {
    use std::cell::Cell;

    thread_local!(static BLOCKS: Cell<usize> = const { Cell::new(0) });

    /// A message's blocks, with SHA-256's own padding of at least nine bytes (FIPS 180-4 section 5.1.1).
    pub(super) fn add(bytes: usize) {
        BLOCKS.set(BLOCKS.get().saturating_add(bytes.saturating_add(9).div_ceil(64)));
    }

    /// Runs `work` and counts the SHA-256 blocks that it hashes on this thread.
    pub(crate) fn count_blocks<T>(work: impl FnOnce() -> T) -> (T, usize) {
        let before = BLOCKS.get();
        let result = work();
        (result, BLOCKS.get().saturating_sub(before))
    }
}
