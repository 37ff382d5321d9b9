//! Logs of controllers that keep to the rules, and bytes changed in them.

use proptest::prelude::*;

use super::*;

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    /// Every change by an honest controller verifies, and every changed byte is refused.
    #[test]
    fn created_logs_verify_and_changed_ones_do_not(
        steps in proptest::collection::vec((1_i64..1_000, any::<bool>(), any::<bool>(), 1_u8..90), 0..5),
        pre_rotated in any::<bool>(),
        flips in proptest::collection::vec((any::<prop::sample::Index>(), 1_u8..=255), 40),
    ) {
        let (mut at, mut update, mut reserve) = (0, 100_u8, 101_u8);
        let (did, mut text) = if pre_rotated { inception(&[public(101)]) } else { created() };
        let mut committed = pre_rotated;
        for (pause, rotate, commit, seed) in steps {
            let log = verify(&did, &text).unwrap();
            at += pause;
            let state = document(&did, &[seed]);
            let rotate = rotate || committed;
            let (keys, next) = ([public(reserve)], [public(reserve + 1)]);
            let change = LogUpdate {
                update_keys: rotate.then_some(&keys),
                next_update_keys: commit.then_some(&next),
                ..change(at, &state)
            };
            let signer = if committed { reserve } else { update };
            if rotate {
                update = reserve;
            }
            text = append(&log, &text, &change, &secret(signer)).unwrap();
            reserve += 1;
            committed = commit;
            if !commit {
                reserve += 1;
            }
            verify(&did, &text).unwrap().require_version(log.last_version_id().unwrap()).unwrap();
        }
        let whole = verify(&did, &text).unwrap();
        prop_assert!(whole.document().is_ok());
        for (place, mask) in flips {
            let mut bytes = text.clone().into_bytes();
            let place = place.index(bytes.len());
            bytes[place] ^= mask;
            prop_assert!(UnwitnessedLog::verify_entries(&did, &bytes, NOW, SKEW).is_err(), "byte {place}, mask {mask}");
        }
    }
}
