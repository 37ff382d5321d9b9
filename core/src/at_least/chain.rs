//! Hash functions of threshold proofs: first point of a chain, next point of a chain, and commitment to four chain ends
//! (spec/at-least.md 2.2 to 2.4).

use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

use super::Direction;

/// Number of hexadecimal digits of a value; each digit has one hash chain.
pub(super) const DIGITS: usize = 4;

/// SHA-256 hash: a point of a chain, or a commitment.
pub(super) type Hash = [u8; 32];

/// Prefixes of the hash inputs of a direction. They are all different, so that no hash can be taken for one of another
/// function or direction.
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

/// Returns the first point of the chain of a digit, for the dominating value with index `entry`. `place` is 0 for the
/// least significant digit.
pub(super) fn seed(direction: Direction, salt: &str, entry: u8, place: u8) -> Zeroizing<Hash> {
    Zeroizing::new(hash(tags(direction).seed, &[salt.as_bytes(), &[entry, place]]))
}

/// Returns the point of a chain that is `count` steps after `from`. Each step hashes one SHA-256 block.
pub(super) fn advance(direction: Direction, from: &Hash, count: u8) -> Zeroizing<Hash> {
    let mut point = Zeroizing::new(*from);
    for _ in 0..count {
        *point = hash(tags(direction).step, &[&*point]);
    }
    point
}

/// Returns the commitment to four chain ends, given most significant digit first.
pub(super) fn commit_ends(direction: Direction, ends: &[Hash; DIGITS]) -> Hash {
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
