//! What is in a wallet.

use std::{collections::BTreeMap, fmt};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use carnet_core::{
    Problem,
    epoch::Epoch,
    keys::{Algorithm, SecretKey},
    time::{CLOCK_SKEW, Timestamp},
};
use rand_core::{OsRng, RngCore};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use zeroize::Zeroizing;

use super::{
    log::Log,
    packing::{self, PackedText},
    requests::KeptRequests,
    standing::Standing,
    thresholds::{Commitments, Opened},
    trust::Trust,
    vouchers::VoucherSerials,
};
use crate::failure::Failure;

/// The version of the contents that this program writes: 2 since the log is a chain, 3 since copies have a standing, 4 since
/// a collection is stored before its offer is redeemed, 5 since what repeats in the copies is stored once, 6 since a credential has the
/// epoch of its days and requests are kept with their receipts.
pub(crate) const VERSION: u32 = 6;
/// The oldest version that it reads: what came since has a default, and is there after the next change.
pub(crate) const OLDEST: u32 = 2;

/// How long before its end a credential is said to end soon, in seconds: 30 days.
const SOON: i64 = 30 * carnet_core::day::SECONDS;

/// Everything in a wallet.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Contents {
    /// [`VERSION`].
    pub(crate) version: u32,
    /// log2 of scrypt's work factor for this file.
    pub(crate) work_factor: u8,
    /// What the owner holds.
    pub(crate) credentials: Vec<HeldCredential>,
    /// What is on its way.
    pub(crate) pending: Vec<Pending>,
    /// Who saw what, when; oldest first.
    pub(crate) log: Log,
    /// Keys of deleted copies that presented: with one of them its owner can still ask for erasure.
    pub(crate) retired: Vec<HolderKey>,
    /// Whose word is taken on who asks.
    #[serde(default)]
    pub(crate) registrars: Vec<Registrar>,
    /// By which trust lists.
    #[serde(default)]
    pub(crate) trust: Trust,
    /// When the issuers are asked next for freshness, where nobody says when: drawn at each refresh.
    #[serde(default)]
    pub(crate) refresh_after: Option<Timestamp>,
    /// Which entry of each did:webvh log was seen last: by DID, its `versionId`. An older log is refused.
    #[serde(default)]
    pub(crate) logs: BTreeMap<String, String>,
    /// The requests of which the log has a receipt; their texts are in the file's second part.
    #[serde(default)]
    pub(crate) requests: KeptRequests,
    /// The key that signs checkpoints of the log: Ed25519; a wallet of before it has none until something is forgotten.
    #[serde(default)]
    pub(crate) log_key: Option<HolderKey>,
    /// For how many days the log is kept, as the owner chose; none: for ever.
    #[serde(default)]
    pub(crate) log_days: Option<u32>,
    /// This wallet's own name for its [mark](super::mark), drawn with the first change; it never leaves the machine.
    #[serde(default)]
    pub(crate) mark: Option<String>,
    /// How often the file was stored since it has a mark.
    #[serde(default)]
    pub(crate) revision: u64,
}

/// A registrar whose registrations the owner accepts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Registrar {
    /// Its DID.
    pub(crate) did: String,
    /// The owner's name for it; may be empty.
    pub(crate) name: String,
}

impl Contents {
    /// An empty wallet.
    pub(crate) fn new(work_factor: u8) -> Self {
        Self {
            version: VERSION,
            work_factor,
            credentials: Vec::new(),
            pending: Vec::new(),
            log: Log::default(),
            retired: Vec::new(),
            registrars: Vec::new(),
            trust: Trust::default(),
            refresh_after: None,
            logs: BTreeMap::new(),
            requests: KeptRequests::default(),
            log_key: Some(HolderKey::draw()),
            log_days: None,
            mark: None,
            revision: 0,
        }
    }

    /// Packs the texts of all copies, before they are stored.
    pub(crate) fn pack(&mut self) {
        for held in &mut self.credentials {
            packing::pack(held.copies.iter_mut().map(|copy| &mut copy.credential).collect());
            packing::pack(held.copies.iter_mut().filter_map(Copy::statement_mut).collect());
        }
        self.requests.pack();
    }

    /// The credential that an id, or the unambiguous beginning of one, names.
    pub(crate) fn find(&self, id: &str) -> Result<usize, Failure> {
        let matches: Vec<usize> = self
            .credentials
            .iter()
            .enumerate()
            .filter(|(_, held)| held.id == id || (id.len() >= 4 && held.id.starts_with(id)))
            .map(|(index, _)| index)
            .collect();
        match matches.as_slice() {
            [one] => Ok(*one),
            [] => Err(Failure::new(
                "not_found",
                "There is no such document in this wallet",
                "see the ids with: carnet list",
            )),
            _ => Err(Failure::usage(
                "ambiguous_id",
                "More than one document has an id that begins so",
                "give more of the id",
            )),
        }
    }
}

/// One credential, of which there are several one-time copies.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct HeldCredential {
    /// The wallet's own name for it; it never leaves the wallet.
    pub(crate) id: String,
    /// Its type in the catalogue.
    pub(crate) type_name: String,
    /// `vc+sd-jwt`, `dc+sd-jwt`, `ldp_vc` or `di_vc+jcs`.
    pub(crate) format: String,
    /// The issuer's DID.
    pub(crate) issuer: String,
    /// What the issuer calls itself.
    pub(crate) issuer_name: String,
    /// When it came.
    pub(crate) received_at: Timestamp,
    /// Its validFrom.
    pub(crate) valid_from: Option<Timestamp>,
    /// Its validUntil.
    pub(crate) valid_until: Option<Timestamp>,
    /// The epoch to whose beginning both are rounded down, if the issuer named it.
    #[serde(default)]
    pub(crate) epoch: Option<Epoch>,
    /// The copies.
    pub(crate) copies: Vec<Copy>,
    /// Where the issuer's service is. A wallet from before it was kept has none, and cannot refill the credential.
    #[serde(default)]
    pub(crate) endpoint: Option<String>,
    /// With how many fresh copies left it is refilled. It is drawn for each credential, so that from the moment of a refill
    /// the issuer cannot tell how many were shown.
    #[serde(default = "default_low_water")]
    pub(crate) low_water: u8,
    /// The serials of a voucher. One from before there were serials has none, and neither has any other document.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) serials: Option<VoucherSerials>,
}

/// For credentials from before it was drawn.
pub(crate) const fn default_low_water() -> u8 {
    3
}

impl HeldCredential {
    /// How many copies nobody has seen.
    pub(crate) fn fresh_copies(&self) -> usize {
        self.copies.iter().filter(|copy| copy.is_fresh()).count()
    }

    /// Whether its fresh copies run out.
    pub(crate) fn is_low(&self) -> bool {
        self.fresh_copies() <= usize::from(self.low_water)
    }

    /// Whether its end is near, so that it is time to renew it.
    pub(crate) fn ends_soon(&self, now: Timestamp) -> bool {
        self.valid_until.is_some_and(|until| now <= until && until <= now.plus(SOON))
    }

    /// Puts the copies of its renewal in the place of those that it has. Of the old ones that were shown the keys stay:
    /// receipts need them.
    pub(crate) fn replace(&mut self, renewed: Self, low_water: u8) {
        self.copies.retain(|copy| !copy.shown_to.is_empty());
        for copy in &mut self.copies {
            copy.forget_text();
        }
        self.copies.extend(renewed.copies);
        (self.valid_from, self.valid_until) = (renewed.valid_from, renewed.valid_until);
        (self.received_at, self.low_water, self.epoch) = (renewed.received_at, low_water, renewed.epoch);
    }

    /// Whether its issuer can be asked for more copies: one whose address is known, and of a format that hides something.
    pub(crate) fn is_refillable(&self) -> bool {
        self.endpoint.is_some() && self.format.ends_with("sd-jwt")
    }
}

/// One copy, with the key that it is bound to.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Copy {
    /// The credential as it is secured; empty where only the key is left (see [`Copy::is_kept`]).
    pub(crate) credential: PackedText,
    /// The holder's secret key of this copy.
    pub(crate) key: HolderKey,
    /// The client ids of those who saw it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) shown_to: Vec<String>,
    /// Place of the commitments to its ordered claims; in the file's second part.
    #[serde(default, skip_serializing)]
    pub(crate) commitments: Vec<Commitments>,
    /// The thresholds that it was opened for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) opened: Vec<Opened>,
    /// What its issuer last said of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) standing: Option<Standing>,
    /// Digest of the voucher's serial that it showed last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) serial: Option<String>,
}

impl Copy {
    /// A copy that nobody has seen.
    pub(crate) fn new(credential: String, key: HolderKey) -> Self {
        let credential = credential.into();
        let (commitments, opened) = (Vec::new(), Vec::new());
        Self { credential, key, shown_to: Vec::new(), commitments, opened, standing: None, serial: None }
    }

    /// The text of the issuer's word for it.
    pub(crate) fn statement(&self) -> Option<&PackedText> {
        Some(&self.standing.as_ref()?.statement.as_ref()?.text)
    }

    /// The same, to be changed.
    pub(crate) fn statement_mut(&mut self) -> Option<&mut PackedText> {
        Some(&mut self.standing.as_mut()?.statement.as_mut()?.text)
    }

    /// Drops all but the key and who saw it.
    pub(crate) fn forget_text(&mut self) {
        self.credential.clear();
        self.commitments.clear();
        self.opened.clear();
        self.standing = None;
    }

    /// Whether it can still be shown. Of copies that were shown long ago only the key is kept, for receipts.
    pub(crate) fn is_kept(&self) -> bool {
        !self.credential.is_empty()
    }

    /// Whether nobody has seen it.
    pub(crate) fn is_fresh(&self) -> bool {
        self.shown_to.is_empty() && self.is_kept()
    }
}

/// A collection that was begun and is not done. It is in the file before the offer is redeemed, so that an answer that is
/// lost on its way, whichever, can be asked for again.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Pending {
    /// SHA-256 of the offer's code, in base64url: tells the same offer when it comes again.
    pub(crate) offer: String,
    /// The issuer's address.
    pub(crate) endpoint: String,
    /// The issuer's DID when the offer was redeemed.
    pub(crate) issuer: String,
    /// What was asked for.
    pub(crate) configuration_id: String,
    /// Access token of the collection; empty until the offer is redeemed.
    pub(crate) access_token: Secret,
    /// The keys that were drawn, in the order of the proofs.
    pub(crate) keys: Vec<HolderKey>,
    /// When it was asked for.
    pub(crate) since: Timestamp,
    /// How far it came.
    pub(crate) stage: Stage,
    /// The credential whose copies it replaces, for a renewal.
    #[serde(default)]
    pub(crate) renews: Option<String>,
    /// Data to redeem the offer with; none for a renewal, and in records from before it was kept.
    #[serde(default)]
    pub(crate) redemption: Option<Redemption>,
    /// End of the collected credential, as its offer said; none in older wallets, and for a renewal.
    #[serde(default)]
    pub(crate) valid_until: Option<Timestamp>,
}

/// Data to redeem an offer with, again whenever the answer is lost.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Redemption {
    /// The offer's code.
    pub(crate) code: Secret,
    /// The PIN, where the offer has one.
    pub(crate) pin: Option<Secret>,
    /// 32 random bytes in base64url, drawn by this wallet: the issuer takes a repeat from whoever has them, and from nobody else
    /// (protocol 3.6).
    pub(crate) verifier: Secret,
}

impl Redemption {
    /// Draws the verifier for one offer.
    pub(crate) fn draw(code: Secret, pin: Option<Secret>) -> Self {
        let mut bytes = Zeroizing::new([0; 32]);
        OsRng.fill_bytes(bytes.as_mut());
        Self { code, pin, verifier: Secret::new(URL_SAFE_NO_PAD.encode(bytes.as_slice())) }
    }
}

/// How far a collection came.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub(crate) enum Stage {
    /// The offer is being redeemed, and no answer came: the issuer may have taken the code or not.
    Redeeming {
        /// One for each key, as they will be sent.
        proofs: Vec<String>,
    },
    /// The copies are being asked for, and no answer came. The very same call gets the same answer while the access token
    /// lives (protocol 3.17).
    Asked {
        /// One for each key, as they were sent.
        proofs: Vec<String>,
        /// When the access token ends.
        until: Timestamp,
    },
    /// The issuer was not ready. How long it keeps the transaction is for the issuer to say.
    Deferred {
        /// The issuer's name for the transaction.
        transaction_id: Secret,
    },
}

impl Pending {
    /// Whether it is the same collection, however far it came.
    pub(crate) fn is(&self, other: &Self) -> bool {
        self.offer == other.offer && self.configuration_id == other.configuration_id
    }

    /// Tells if no answer can come any more: the token has ended, and there is nothing to get another with.
    pub(crate) fn is_over(&self, now: Timestamp) -> bool {
        self.redemption.is_none() && self.needs_token(now)
    }

    /// Tells if the offer has to be redeemed, for the first time or again, before copies can be asked for.
    pub(crate) fn needs_token(&self, now: Timestamp) -> bool {
        match &self.stage {
            Stage::Redeeming { .. } => true,
            Stage::Asked { until, .. } => now > until.plus(CLOCK_SKEW),
            Stage::Deferred { .. } => false,
        }
    }
}

/// Text that is wiped from memory and never printed.
#[derive(Clone)]
pub(crate) struct Secret(Zeroizing<String>);

impl Secret {
    /// Wraps the text.
    pub(crate) fn new(text: String) -> Self {
        Self(Zeroizing::new(text))
    }

    /// The text.
    pub(crate) fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(redacted)")
    }
}

impl Serialize for Secret {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Secret {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(Self::new)
    }
}

/// The secret key of one copy: Ed25519, 32 bytes in base64url.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct HolderKey(Secret);

impl HolderKey {
    /// Draws a new key.
    pub(crate) fn draw() -> Self {
        let key = SecretKey::generate(Algorithm::EdDsa, &mut OsRng);
        Self(Secret::new(URL_SAFE_NO_PAD.encode(key.to_bytes().as_slice())))
    }

    /// The key, ready to sign.
    pub(crate) fn open(&self) -> Result<SecretKey, Problem> {
        let mut bytes = Zeroizing::new(Vec::with_capacity(64));
        URL_SAFE_NO_PAD
            .decode_vec(self.0.expose(), &mut bytes)
            .map_err(|_| Problem::new(carnet_core::Code::KeyInvalid, "a holder key in the wallet is damaged"))?;
        SecretKey::from_bytes(Algorithm::EdDsa, &bytes)
    }
}

/// A fresh id: 64 random bits in hexadecimal.
pub(crate) fn fresh_id() -> String {
    format!("{:016x}", OsRng.next_u64())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_not_printed() {
        let secret = Secret::new("hunter2".to_owned());
        assert!(!format!("{secret:?}").contains("hunter2"));
        assert_eq!(serde_json::to_string(&secret).unwrap(), "\"hunter2\"");
    }

    #[test]
    fn unknown_members_are_refused() {
        let text = serde_json::to_string(&Contents::new(12)).unwrap();
        assert!(serde_json::from_str::<Contents>(&text).is_ok());
        let more = text.replacen('{', "{\"surprise\":1,", 1);
        assert!(serde_json::from_str::<Contents>(&more).is_err());
        let twice = text.replacen('{', "{\"log\":[],", 1);
        assert!(serde_json::from_str::<Contents>(&twice).is_err());
    }
}
