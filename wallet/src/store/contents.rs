//! Contents of a wallet.

use std::{collections::BTreeMap, fmt};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use carnet_core::{
    Problem,
    epoch::Epoch,
    format::CredentialFormat,
    keys::{Algorithm, SecretKey},
    time::{CLOCK_SKEW, Timestamp},
};
use carnet_fetch::local::LocalSite;
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
use crate::{
    failure::{Failure, Sentence},
    wire::Wire,
};

/// Version of the contents that this program writes. Since 2 the log is a hash chain; since 3 copies have a status;
/// since 4 a collection is stored before its offer is redeemed; since 5 the common text of copies is stored once; since
/// 6 a credential has the epoch of its dates, and requests are kept with their receipts.
pub const VERSION: u32 = 6;
/// Oldest version that this program reads. Newer members have defaults, and are written with the next change.
pub const OLDEST: u32 = 2;

/// Remaining validity below which a credential is said to end soon, in seconds: 30 days.
const SOON: i64 = 30 * carnet_core::day::SECONDS;

/// Everything that the wallet stores.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Contents {
    /// Version of the format.
    pub version: u32,
    /// log2 of scrypt's work factor for this file.
    pub work_factor: u8,
    /// Credentials of the owner.
    pub credentials: Vec<HeldCredential>,
    /// Pending collections.
    pub pending: Vec<Pending>,
    /// Log of presentations and other events, oldest first.
    pub log: Log,
    /// Keys of deleted copies that were presented; with them the owner can still request erasure.
    pub retired: Vec<HolderKey>,
    /// Registrars whose registrations of verifiers are accepted.
    #[serde(default)]
    pub registrars: Vec<Registrar>,
    /// Services on this machine that the owner tries out. A wallet without one can be read by programs that do not know them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub local_sites: Vec<LocalSite>,
    /// Trust lists that the owner accepts.
    #[serde(default)]
    pub trust: Trust,
    /// Time of the next automatic freshness request, drawn at each refresh.
    #[serde(default)]
    pub refresh_after: Option<Timestamp>,
    /// `versionId` of the last entry seen of each did:webvh log, by DID. An older log is refused.
    #[serde(default)]
    pub logs: BTreeMap<String, String>,
    /// Requests for which the log has a receipt; their texts are in the second part of the file.
    #[serde(default)]
    pub requests: KeptRequests,
    /// Ed25519 key that signs checkpoints of the log; drawn with the first checkpoint in wallets that lack it.
    #[serde(default)]
    pub log_key: Option<HolderKey>,
    /// Retention period of the log in days, chosen by the owner; `None`: forever.
    #[serde(default)]
    pub log_days: Option<u32>,
    /// Local identifier of this wallet for its [mark](super::mark), drawn with the first change; it never leaves the
    /// machine.
    #[serde(default)]
    pub mark: Option<String>,
    /// Number of times that the file was saved since it has a mark.
    #[serde(default)]
    pub revision: u64,
}

/// A registrar whose registrations the owner accepts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Registrar {
    /// DID of the registrar.
    pub did: String,
    /// Name given by the owner; may be empty.
    pub name: String,
}

impl Contents {
    /// Creates an empty wallet.
    pub fn new(work_factor: u8) -> Self {
        Self {
            version: VERSION,
            work_factor,
            credentials: Vec::new(),
            pending: Vec::new(),
            log: Log::default(),
            retired: Vec::new(),
            registrars: Vec::new(),
            local_sites: Vec::new(),
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

    /// Returns the registrar whose word on this asker the owner takes: one that is pinned, or that of a local site on itself.
    pub fn pinned_registrar(&self, did: &str, asker: &str) -> Option<Registrar> {
        let pinned = self.registrars.iter().find(|registrar| registrar.did == did).cloned();
        pinned.or_else(|| {
            let own = self.local_sites.iter().find(|site| site.did == asker)?.registrar.as_ref()?;
            (own.did == did).then(|| Registrar { did: own.did.clone(), name: own.name.clone() })
        })
    }

    /// Packs the texts of all copies before saving.
    pub fn pack(&mut self) {
        for held in &mut self.credentials {
            packing::pack(held.copies.iter_mut().map(|copy| &mut copy.credential).collect());
            packing::pack(held.copies.iter_mut().filter_map(Copy::statement_mut).collect());
        }
        self.requests.pack();
    }

    /// Returns the index of the credential with an id, or an unambiguous prefix of one.
    pub fn find(&self, id: &str) -> Result<usize, Failure> {
        let matches: Vec<usize> = self
            .credentials
            .iter()
            .enumerate()
            .filter(|(_, held)| held.id == id || (id.len() >= 4 && held.id.starts_with(id)))
            .map(|(index, _)| index)
            .collect();
        match matches.as_slice() {
            [one] => Ok(*one),
            [] => Err(Failure::new("not_found", Sentence::id("error-no-document"), Sentence::id("hint-list"))),
            _ => {
                let message = Sentence::id("error-ambiguous-id");
                Err(Failure::usage("ambiguous_id", message, Sentence::id("hint-more-of-id")))
            }
        }
    }
}

/// Credential with its one-time copies.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HeldCredential {
    /// Local identifier; it never leaves the wallet.
    pub id: String,
    /// Name of its type in the catalogue.
    pub type_name: String,
    /// `vc+sd-jwt`, `dc+sd-jwt`, `ldp_vc` or `di_vc+jcs`.
    pub format: CredentialFormat,
    /// DID of the issuer.
    pub issuer: String,
    /// Name that the issuer gives itself.
    pub issuer_name: String,
    /// Time of receipt.
    pub received_at: Timestamp,
    /// Start of the validity period.
    pub valid_from: Option<Timestamp>,
    /// End of the validity period.
    pub valid_until: Option<Timestamp>,
    /// Epoch to whose start both dates are rounded down, if the issuer named one.
    #[serde(default)]
    pub epoch: Option<Epoch>,
    /// Copies, oldest first.
    pub copies: Vec<Copy>,
    /// URL of the issuer's service. Credentials of early versions have none and cannot be refilled.
    #[serde(default)]
    pub endpoint: Option<String>,
    /// Number of fresh copies at which it is refilled. It is drawn for each credential, so that the time of a refill
    /// does not tell the issuer how many copies were shown.
    #[serde(default = "default_low_water")]
    pub low_water: u8,
    /// Serials of a voucher. Other credentials have none, and neither have vouchers from before serials existed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub serials: Option<VoucherSerials>,
}

/// Default for credentials stored before it was drawn.
pub const fn default_low_water() -> u8 {
    3
}

impl HeldCredential {
    /// Returns the number of fresh copies.
    pub fn fresh_copies(&self) -> usize {
        self.copies.iter().filter(|copy| copy.is_fresh()).count()
    }

    /// Tests if the fresh copies run low.
    pub fn is_low(&self) -> bool {
        self.fresh_copies() <= usize::from(self.low_water)
    }

    /// Tests if the end is near enough to renew it.
    pub fn ends_soon(&self, now: Timestamp) -> bool {
        self.valid_until.is_some_and(|until| now <= until && until <= now.plus(SOON))
    }

    /// Replaces the copies by those of a renewal. The keys of shown copies remain, because receipts need them.
    pub fn replace(&mut self, renewed: Self, low_water: u8) {
        self.copies.retain(|copy| !copy.shown_to.is_empty());
        for copy in &mut self.copies {
            copy.forget_text();
        }
        self.copies.extend(renewed.copies);
        (self.valid_from, self.valid_until) = (renewed.valid_from, renewed.valid_until);
        (self.received_at, self.low_water, self.epoch) = (renewed.received_at, low_water, renewed.epoch);
    }

    /// Tests if its issuer can be asked for more copies: its address is known, and the format has selective disclosure.
    pub fn is_refillable(&self) -> bool {
        self.endpoint.is_some() && self.format.is_sd_jwt()
    }
}

/// One copy, with its holder key.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Copy {
    /// Secured credential; empty if only the key is left (see [`Copy::is_kept`]).
    pub credential: PackedText,
    /// Secret holder key of this copy.
    pub key: HolderKey,
    /// Client ids of the verifiers that saw it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub shown_to: Vec<String>,
    /// Positions of the commitments of its ordered claims; in the second part of the file.
    #[serde(default, skip_serializing)]
    pub commitments: Vec<Commitments>,
    /// Thresholds that it was opened for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub opened: Vec<Opened>,
    /// Latest status from the issuer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub standing: Option<Standing>,
    /// Digest of the voucher serial that it showed last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub serial: Option<String>,
}

impl Copy {
    /// Creates a copy that no verifier has seen.
    pub fn new(credential: String, key: HolderKey) -> Self {
        let credential = credential.into();
        let (commitments, opened) = (Vec::new(), Vec::new());
        Self { credential, key, shown_to: Vec::new(), commitments, opened, standing: None, serial: None }
    }

    /// Returns the text of the freshness statement.
    pub fn statement(&self) -> Option<&PackedText> {
        Some(&self.standing.as_ref()?.statement.as_ref()?.text)
    }

    /// Returns the text of the freshness statement for changes.
    pub fn statement_mut(&mut self) -> Option<&mut PackedText> {
        Some(&mut self.standing.as_mut()?.statement.as_mut()?.text)
    }

    /// Deletes all but the key and the verifiers.
    pub fn forget_text(&mut self) {
        self.credential.clear();
        self.commitments.clear();
        self.opened.clear();
        self.standing = None;
    }

    /// Tests if it can still be shown. Copies shown long ago keep their key only, for receipts.
    pub fn is_kept(&self) -> bool {
        !self.credential.is_empty()
    }

    /// Tests if no verifier has seen it.
    pub fn is_fresh(&self) -> bool {
        self.shown_to.is_empty() && self.is_kept()
    }
}

/// Pending collection. It is saved before the offer is redeemed, so that any lost response can be requested again.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pending {
    /// SHA-256 of the offer's code, in base64url: identifies the offer if it is received again.
    pub offer: String,
    /// URL of the issuer's service.
    pub endpoint: String,
    /// DID of the issuer when the offer was redeemed.
    pub issuer: String,
    /// Id of the requested configuration.
    pub configuration_id: String,
    /// Access token of the collection; empty until the offer is redeemed.
    pub access_token: Secret,
    /// Holder keys in the order of the proofs.
    pub keys: Vec<HolderKey>,
    /// Time of the request.
    pub since: Timestamp,
    /// Progress of the collection.
    pub stage: Stage,
    /// Id of the credential whose copies a renewal replaces.
    #[serde(default)]
    pub renews: Option<String>,
    /// Data to redeem the offer with; `None` for a renewal, and in records from before it was stored.
    #[serde(default)]
    pub redemption: Option<Redemption>,
    /// End of the credential according to its offer; `None` in older wallets, and for a renewal.
    #[serde(default)]
    pub valid_until: Option<Timestamp>,
    /// Wire of the issuer's service. A record of Carnet's own wire can be read by programs that know no other.
    #[serde(default, skip_serializing_if = "Wire::is_grpc")]
    pub wire: Wire,
}

/// Data to redeem an offer with; kept to repeat the redemption after a lost response.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Redemption {
    /// Pre-authorized code of the offer.
    pub code: Secret,
    /// PIN, if the offer has one.
    pub pin: Option<Secret>,
    /// 32 random bytes in base64url, drawn by this wallet: the issuer accepts a repetition from their owner only
    /// (protocol 3.6).
    pub verifier: Secret,
}

impl Redemption {
    /// Draws the verifier of an offer.
    pub fn draw(code: Secret, pin: Option<Secret>) -> Self {
        let mut bytes = Zeroizing::new([0; 32]);
        OsRng.fill_bytes(bytes.as_mut());
        Self { code, pin, verifier: Secret::new(URL_SAFE_NO_PAD.encode(bytes.as_slice())) }
    }
}

/// Stage of a collection.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Stage {
    /// The offer is being redeemed without a response so far: the issuer may or may not have used the code.
    Redeeming {
        /// One proof per key, to be sent.
        proofs: Vec<String>,
    },
    /// The copies were requested; no response has arrived. Repeating the same call returns the same response while the
    /// access token is valid (protocol 3.17).
    Asked {
        /// One proof per key, as sent.
        proofs: Vec<String>,
        /// End of the access token.
        until: Timestamp,
    },
    /// Deferred. The issuer decides how long it keeps the transaction.
    Deferred {
        /// Transaction id of the issuer.
        transaction_id: Secret,
    },
}

impl Pending {
    /// Tests if both are records of the same collection, at any stage.
    pub fn is(&self, other: &Self) -> bool {
        self.offer == other.offer && self.configuration_id == other.configuration_id
    }

    /// Tests if no response can arrive any more: the token has expired, and there is no data to get another.
    pub fn is_over(&self, now: Timestamp) -> bool {
        self.redemption.is_none() && self.needs_token(now)
    }

    /// Tests if the offer must be redeemed, for the first time or again, before the next credential request.
    pub fn needs_token(&self, now: Timestamp) -> bool {
        match &self.stage {
            Stage::Redeeming { .. } => true,
            Stage::Asked { until, .. } => now > until.plus(CLOCK_SKEW),
            Stage::Deferred { .. } => false,
        }
    }
}

/// Secret text: wiped from memory when dropped, and never printed.
#[derive(Clone)]
pub struct Secret(Zeroizing<String>);

impl Secret {
    /// Wraps a secret text.
    pub fn new(text: String) -> Self {
        Self(Zeroizing::new(text))
    }

    /// Returns the secret text.
    pub fn expose(&self) -> &str {
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

/// Signature algorithm of a holder key.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum HolderAlgorithm {
    /// Ed25519.
    #[default]
    EdDsa,
    /// ECDSA on P-256, for issuers that want it.
    Es256,
}

/// Mark before the bytes of a P-256 key. Keys without it are Ed25519 keys.
const P256: &str = "ES256:";

/// Secret key of one copy, 32 bytes in base64url: Ed25519, or P-256 behind a mark.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(transparent)]
pub struct HolderKey(Secret);

impl HolderKey {
    /// Draws a new Ed25519 key.
    pub fn draw() -> Self {
        Self::draw_for(HolderAlgorithm::EdDsa)
    }

    /// Draws a new key for a signature algorithm.
    pub fn draw_for(algorithm: HolderAlgorithm) -> Self {
        let (mark, algorithm) = match algorithm {
            HolderAlgorithm::EdDsa => ("", Algorithm::EdDsa),
            HolderAlgorithm::Es256 => (P256, Algorithm::Es256),
        };
        let key = SecretKey::generate(algorithm, &mut OsRng);
        let mut text = Zeroizing::new(String::with_capacity(64));
        text.push_str(mark);
        URL_SAFE_NO_PAD.encode_string(key.to_bytes().as_slice(), &mut text);
        Self(Secret(text))
    }

    /// Returns the key, ready to sign.
    pub fn open(&self) -> Result<SecretKey, Problem> {
        let text = self.0.expose();
        let (algorithm, text) =
            text.strip_prefix(P256).map_or((Algorithm::EdDsa, text), |text| (Algorithm::Es256, text));
        let mut bytes = Zeroizing::new(Vec::with_capacity(64));
        URL_SAFE_NO_PAD
            .decode_vec(text, &mut bytes)
            .map_err(|_| Problem::new(carnet_core::Code::KeyInvalid, "a holder key in the wallet is damaged"))?;
        SecretKey::from_bytes(algorithm, &bytes)
    }
}

/// Draws an id: 64 random bits in hexadecimal.
pub fn fresh_id() -> String {
    format!("{:016x}", OsRng.next_u64())
}

#[cfg(test)]
mod tests {
    use carnet_core::keys::Signer as _;

    use super::*;

    #[test]
    fn secrets_are_not_printed() {
        let secret = Secret::new("hunter2".to_owned());
        assert!(!format!("{secret:?}").contains("hunter2"));
        assert_eq!(serde_json::to_string(&secret).unwrap(), "\"hunter2\"");
    }

    #[test]
    fn a_holder_key_comes_back_with_its_algorithm() {
        for (wanted, algorithm) in
            [(HolderAlgorithm::EdDsa, Algorithm::EdDsa), (HolderAlgorithm::Es256, Algorithm::Es256)]
        {
            let key = HolderKey::draw_for(wanted);
            let stored = serde_json::to_string(&key).unwrap();
            let read: HolderKey = serde_json::from_str(&stored).unwrap();
            assert_eq!(read.open().unwrap().public_key(), key.open().unwrap().public_key());
            assert_eq!(read.open().unwrap().algorithm(), algorithm);
        }
        // The form in wallets from before P-256: 43 characters and no mark.
        let old: HolderKey = serde_json::from_str(&format!("\"{}\"", "A".repeat(43))).unwrap();
        assert_eq!(old.open().unwrap().algorithm(), Algorithm::EdDsa);
        let damaged: HolderKey = serde_json::from_str("\"ES256:AAAA\"").unwrap();
        assert!(damaged.open().is_err());
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
