//! Order in which the entries of a status list are issued: a pseudorandom permutation chosen when the list is opened.
//!
//! Only its key is stored. The permutation is a Feistel network over the smallest even number of bits that covers the
//! list, iterated until the result is within the list. The state for a list of ten million entries takes 32 bytes, a
//! draw takes the same time for an empty and a nearly full list, and every entry is used.

use sha2::{Digest as _, Sha256};

/// Key of a permutation.
pub(crate) type PermutationKey = [u8; 32];

/// Number of Feistel rounds. Four make a pseudorandom permutation from a random function (Luby and Rackoff); small
/// domains need more (NIST SP 800-38G uses eight or ten).
const ROUNDS: u8 = 10;

/// Returns the entry for the draw with number `draw`; both are counted from 0, and `entries` is the size of the list.
/// `None` if all entries were drawn.
pub(crate) fn permuted_entry(seed: &PermutationKey, entries: u64, draw: u64) -> Option<u64> {
    if draw >= entries {
        return None;
    }
    let bits = u64::BITS.saturating_sub(entries.leading_zeros()).div_ceil(2);
    let mask = 1_u64.checked_shl(bits)?.checked_sub(1)?;
    let mut number = draw;
    loop {
        let (mut left, mut right) = (number.checked_shr(bits)?, number & mask);
        for round in 0..ROUNDS {
            (left, right) = (right, left ^ (round_function(seed, round, right) & mask));
        }
        number = left.checked_shl(bits)? | right;
        // A result outside is permuted again: that yields a permutation of the entries, and takes at most four
        // iterations on average.
        if number < entries {
            return Some(number);
        }
    }
}

/// Round function: SHA-256 of key, round and half, cut to 64 bits.
fn round_function(seed: &PermutationKey, round: u8, half: u64) -> u64 {
    let digest = Sha256::new().chain_update(seed).chain_update([round]).chain_update(half.to_be_bytes()).finalize();
    digest.iter().take(8).fold(0, |number, byte| (number << 8) | u64::from(*byte))
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn every_entry_comes_once_and_no_other() {
        for entries in [1, 2, 3, 255, 256, 257, 1_000, 65_537] {
            let seen: HashSet<u64> =
                (0..entries).map(|draw| permuted_entry(&[7; 32], entries, draw).unwrap()).collect();
            assert_eq!(seen.len() as u64, entries, "{entries}");
            assert!(seen.iter().all(|entry| *entry < entries));
            assert_eq!(permuted_entry(&[7; 32], entries, entries), None);
        }
    }

    #[test]
    fn neighbours_do_not_stay_neighbours_and_another_seed_is_another_order() {
        let order = |seed: u8| -> Vec<u64> {
            (0..1_000).map(|draw| permuted_entry(&[seed; 32], 131_072, draw).unwrap()).collect()
        };
        let (one, other) = (order(1), order(2));
        assert_ne!(one, other);
        let near = one.windows(2).filter(|pair| pair[0].abs_diff(pair[1]) < 131).count();
        // In a random order one pair in five hundred is this close.
        assert!(near < 20, "{near}");
        let low = one.iter().filter(|entry| **entry < 65_536).count();
        assert!((400..600).contains(&low), "{low}");
    }

    #[test]
    fn a_list_of_ten_million_takes_no_longer() {
        assert!(permuted_entry(&[3; 32], 10_000_000, 9_999_999).unwrap() < 10_000_000);
    }
}
