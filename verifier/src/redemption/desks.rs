//! Desks: the verifier installations of one organisation that redeem vouchers, with their names, keys and limits
//! (spec/entitlement.md section 4).

use std::{collections::BTreeSet, path::Path};

use carnet_core::{
    did::Did,
    keys::{PublicKey, SignatureAlgorithm, Signer as _},
};
use carnet_service::{
    config::{StartError, invalid_field},
    keys::{Keyring, KeysConfig},
};
use serde::{Deserialize, Deserializer, de::Error as _};

/// Name of the folder with the desk's own key, in its data directory.
const KEY_FOLDER: &str = "desk";

/// Configuration of several desks of one organisation that are not always connected.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RedemptionConfig {
    /// Name of this desk.
    pub(crate) desk: String,
    /// The other desks.
    #[serde(deserialize_with = "others")]
    pub(crate) others: Vec<OtherDesk>,
    /// Maximum number of uses that this desk redeems between two reconciliations with all others.
    pub(crate) offline_uses: u32,
}

/// Another desk of the organisation.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct OtherDesk {
    /// Name of the desk.
    pub(crate) desk: String,
    /// Public key of the desk, as printed by its `carnet-verifier redemptions key`.
    pub(crate) key: String,
    /// Maximum number of uses that the desk redeems between two reconciliations, as in its own configuration.
    pub(crate) offline_uses: u32,
}

/// Deserialises the other desks. A list of names only, as in older configurations, is refused with an explanation.
fn others<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<OtherDesk>, D::Error> {
    let written = Vec::<serde_json::Value>::deserialize(deserializer)?;
    let read = |value: serde_json::Value| match value.as_str() {
        Some(name) => Err(D::Error::custom(format!(
            "\"{}\" is only a desk's name: write {{ desk, key, offline_uses }}, with the key that `carnet-verifier \
             redemptions key` prints there",
            name.escape_default()
        ))),
        None => OtherDesk::deserialize(value).map_err(D::Error::custom),
    };
    written.into_iter().map(read).collect()
}

impl RedemptionConfig {
    /// Refuses malformed names and keys, duplicate names or keys, a configuration without other desks, and a limit of
    /// 0.
    pub(crate) fn check(&self) -> Result<(), StartError> {
        let names = || self.others.iter().map(|other| &other.desk).chain([&self.desk]);
        if let Some(wrong) = names().find(|name| !is_valid_desk_name(name)) {
            let what = format!("redemption: {wrong:?} is not a desk name: 1 to 64 small letters, digits and -");
            return Err(invalid_field("redemption", what));
        }
        if self.others.is_empty() || names().collect::<BTreeSet<_>>().len() != names().count() {
            let what = "redemption.others must name the other desks, each once, and not this one";
            return Err(invalid_field("redemption.others", what));
        }
        if let Some(wrong) = self.others.iter().find(|other| other.public_key().is_none()) {
            let what = format!("redemption.others: the key of {:?} is not a multikey, such as z6Mk...", wrong.desk);
            return Err(invalid_field("redemption.others", what));
        }
        let keys: BTreeSet<&str> = self.others.iter().map(|other| other.key.as_str()).collect();
        if keys.len() != self.others.len() {
            let what = "redemption.others: two desks have the same key, so one could sign for the other";
            return Err(invalid_field("redemption.others", what));
        }
        if self.offline_uses == 0 {
            let what = "redemption.offline_uses is 0, so no use could be marked";
            return Err(invalid_field("redemption.offline_uses", what));
        }
        Ok(())
    }

    /// Returns the other desk with this name; `None` also for this desk.
    pub(crate) fn other_desk(&self, name: &str) -> Option<&OtherDesk> {
        self.others.iter().find(|other| other.desk == name)
    }

    /// Returns the limits on uses between reconciliations (`offline_uses`) of all desks.
    pub(crate) fn offline_limits(&self) -> impl Iterator<Item = u32> {
        self.others.iter().map(|other| other.offline_uses).chain([self.offline_uses])
    }
}

impl OtherDesk {
    /// Parses the public key; `None` if it is malformed.
    pub(crate) fn public_key(&self) -> Option<PublicKey> {
        PublicKey::from_multikey(&self.key).ok()
    }
}

/// Returns whether a text is a valid desk name: 1 to 64 lower-case ASCII letters, digits and hyphens.
pub(crate) fn is_valid_desk_name(name: &str) -> bool {
    (1..=64).contains(&name.len())
        && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
}

/// Returns the maximum total number of uses of one voucher that desks with these limits can redeem before they are
/// reconciled: for each desk, its limit, but at most the permitted uses of the voucher.
pub(crate) fn max_uses_before_reconciliation(uses: u32, bounds: impl Iterator<Item = u32>) -> u64 {
    bounds.fold(0, |sum: u64, bound| sum.saturating_add(uses.min(bound).into()))
}

/// Returns the maximum number of unknown uses that a lost desk may have redeemed: the rest of its limit (`bound`) after
/// its last imported export, and its whole limit for each later export of this desk, by which it may have been
/// reconciled.
pub(crate) fn max_unseen_uses(bound: u32, unsynced: u64, exports_since: u64) -> u64 {
    u64::from(bound).saturating_sub(unsynced).saturating_add(exports_since.saturating_mul(bound.into()))
}

/// This desk, as the signer of exports.
pub(crate) struct OwnDesk {
    /// DID of the organisation, which all desks share.
    pub(crate) organisation: Did,
    /// Key of this desk.
    pub(crate) key: Keyring,
}

impl OwnDesk {
    /// Opens the desk with its own key, which is created on the first call and stored in the form of the verifier's
    /// keys.
    ///
    /// # Errors
    /// The key cannot be created, decrypted or stored; the configuration assigns the same key to another desk.
    pub(crate) fn open(
        data: &Path,
        config: &RedemptionConfig,
        organisation: Did,
        keys: &KeysConfig,
    ) -> Result<Self, StartError> {
        let key = open_or_create_desk_key(data, keys)?;
        let own = key.public_key().to_multikey();
        if let Some(other) = config.others.iter().find(|other| other.key == own) {
            let what = format!("redemption.others: \"{}\" has this desk's own key", other.desk);
            return Err(invalid_field("redemption.others", what));
        }
        Ok(Self { organisation, key })
    }
}

/// Opens the key of the desk in a data directory; creates it on the first call.
///
/// # Errors
/// It cannot be created, decrypted or stored.
pub(crate) fn open_or_create_desk_key(data: &Path, keys: &KeysConfig) -> Result<Keyring, StartError> {
    let folder = data.join(KEY_FOLDER);
    if !folder.exists() {
        create_key_folder(&folder).map_err(|error| {
            StartError::new(
                format!("The folder {} for the desk's key cannot be created: {error}.", folder.display()),
                "Nothing was changed. Check that this user may write there.",
            )
        })?;
        Keyring::create_register(&folder, SignatureAlgorithm::EdDsa, keys)?;
    }
    Keyring::open(&folder, keys)
}

fn create_key_folder(folder: &Path) -> std::io::Result<()> {
    use std::os::unix::fs::DirBuilderExt as _;
    std::fs::DirBuilder::new().mode(0o700).create(folder)
}

/// Returns whether a data directory contains a desk's key. Desks with the same key could not be told apart.
pub(crate) fn has_desk_key(data: &Path) -> bool {
    data.join(KEY_FOLDER).exists()
}

#[cfg(test)]
mod tests {
    use carnet_core::keys::SecretKey;
    use rand_core::{OsRng, RngCore as _};

    use super::*;
    use crate::{
        redemption::{PendingRedemption, UseCounts},
        store::{MonthlyTotal, UseMark},
    };

    pub(crate) fn other(desk: &str) -> OtherDesk {
        let key = SecretKey::generate(SignatureAlgorithm::EdDsa, &mut OsRng).public_key().to_multikey();
        OtherDesk { desk: desk.to_owned(), key, offline_uses: 5 }
    }

    #[test]
    fn desks_are_named_keyed_and_bounded() {
        let config = |desk: &str, others: Vec<OtherDesk>, offline_uses| {
            RedemptionConfig { desk: desk.to_owned(), others, offline_uses }.check()
        };
        assert!(config("east", vec![other("west"), other("north")], 1).is_ok());
        let west = other("west");
        let twin = OtherDesk { desk: "north".to_owned(), ..west.clone() };
        let keyless = OtherDesk { key: "z6Mk".to_owned(), ..west.clone() };
        for (desk, others, most) in [
            ("", vec![west.clone()], 1),
            ("East", vec![west.clone()], 1),
            ("east", vec![], 1),
            ("east", vec![other("east")], 1),
            ("east", vec![west.clone(), other("west")], 1),
            ("east", vec![west.clone(), twin], 1),
            ("east", vec![keyless], 1),
            ("east", vec![west.clone()], 0),
        ] {
            assert!(config(desk, others.clone(), most).is_err(), "{desk} {others:?} {most}");
        }
    }

    #[test]
    fn names_alone_are_refused_with_what_is_wanted() {
        let read = |others: &str| {
            toml::from_str::<RedemptionConfig>(&format!("desk = \"east\"\noffline_uses = 1\nothers = {others}"))
        };
        let said = read("[\"west\"]").unwrap_err().to_string();
        assert!(said.contains("west") && said.contains("redemptions key"), "{said}");
        assert!(read("[{ desk = \"west\", key = \"z6Mk\", offline_uses = 1 }]").is_ok());
        assert!(read("[{ desk = \"west\", key = \"z6Mk\", offline_uses = 1, more = 1 }]").is_err());
    }

    #[test]
    fn a_desk_has_one_key_of_its_own_and_no_other_has_it() {
        let dir = tempfile::tempdir().unwrap();
        let did = Did::parse("did:web:museum.example").unwrap();
        let mut config = RedemptionConfig { desk: "east".to_owned(), others: vec![other("west")], offline_uses: 1 };
        let open = |config: &RedemptionConfig| OwnDesk::open(dir.path(), config, did.clone(), &KeysConfig::default());
        assert!(!has_desk_key(dir.path()));
        let first = open(&config).unwrap().key.public_key();
        assert!(has_desk_key(dir.path()));
        assert_eq!(open(&config).unwrap().key.public_key(), first);
        config.others.push(OtherDesk { desk: "north".to_owned(), key: first.to_multikey(), offline_uses: 1 });
        assert!(open(&config).is_err());
    }

    #[test]
    fn what_a_lost_desk_could_have_let_through_is_its_bound_and_more_for_each_reconciliation() {
        assert_eq!(max_unseen_uses(5, 0, 0), 5);
        assert_eq!(max_unseen_uses(5, 3, 0), 2);
        // It may have been reconciled twice since.
        assert_eq!(max_unseen_uses(5, 3, 2), 12);
        // A lowered bound never makes the result negative.
        assert_eq!(max_unseen_uses(5, 9, 0), 0);
    }

    /// Desks without a connection allow at most as many uses of a voucher as the formula says, in any order of
    /// requests.
    #[test]
    fn no_more_goes_through_than_the_formula_says() {
        let drawn = |least: u32, most: u32| least + OsRng.next_u32() % (most - least + 1);
        for _ in 0..200 {
            let uses = drawn(1, 40);
            let bounds: Vec<u32> = (0..drawn(1, 5)).map(|_| drawn(1, 40)).collect();
            let at = carnet_core::time::Timestamp::from_unix(0);
            let mark = UseMark { entitlement: [0; 32], uses, marked_at: at, erase_at: at };
            let claimed = PendingRedemption { mark, is_by_serial: false, total: MonthlyTotal::default() };
            let mut marked = vec![0_u32; bounds.len()];
            // Some requests in random order, and then each desk until it refuses.
            let some: Vec<usize> =
                (0..drawn(0, 100)).map(|_| usize::try_from(drawn(0, 4)).unwrap() % bounds.len()).collect();
            let rest = (0..bounds.len()).flat_map(|desk| std::iter::repeat_n(desk, 50));
            for desk in some.into_iter().chain(rest) {
                let counted = UseCounts { marks: marked[desk], unreconciled: marked[desk].into() };
                if counted.next_use(&claimed, Some(bounds[desk])).is_ok() {
                    marked[desk] += 1;
                }
            }
            let all: u64 = marked.iter().map(|marked| u64::from(*marked)).sum();
            assert_eq!(
                all,
                max_uses_before_reconciliation(uses, bounds.iter().copied()),
                "{uses} uses, bounds {bounds:?}"
            );
        }
    }
}
