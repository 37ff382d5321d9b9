//! Contents of a wallet.

use std::collections::BTreeMap;

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use carnet_core::{
    epoch::Epoch,
    format::CredentialFormat,
    time::{CLOCK_SKEW, Timestamp},
};
use carnet_fetch::local::LocalSite;
use rand_core::{OsRng, RngCore};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::{
    cached_status::CachedStatus,
    holder_key::{HolderKey, WalletSecret},
    log::WalletLog,
    packing::{self, PackedText},
    papers::Paper,
    requests::StoredRequestObjects,
    thresholds::{CommitmentPositions, ProvedThreshold},
    trust::WalletTrust,
    vouchers::VoucherSerials,
};
use crate::{foreign_display::ForeignDisplay, protocol::ServiceProtocol};

/// Version of the file format that this program writes. Since version 2 the log is a hash chain; since 3 copies have a
/// status; since 4 an issuance is stored before its offer is redeemed; since 5 the common text of copies is stored
/// once; since 6 a credential has the epoch of its dates, and request objects are stored with their receipts; since 7 the log
/// has exports and imports, credentials of foreign types have names, and there are deleted credentials and papers.
pub const FORMAT_VERSION: u32 = 7;
/// Oldest version of the file format that this program reads. Members added since have defaults, and are written with
/// the next change.
pub const OLDEST_FORMAT_VERSION: u32 = 2;

/// Remaining validity from which on a credential is due for renewal, in seconds: 30 days.
const SOON: i64 = 30 * carnet_core::day::SECONDS;

/// Everything that the wallet stores.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WalletContents {
    /// Version of the file format.
    pub version: u32,
    /// Binary logarithm of scrypt's N for this file.
    pub work_factor: u8,
    /// Credentials of the holder.
    pub credentials: Vec<HeldCredential>,
    /// Deleted credentials that can be taken back. Omitted in the file if empty, for older programs.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub bin: Vec<BinnedCredential>,
    /// Pictures and scans of paper documents. Omitted in the file if empty, for older programs.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub papers: Vec<Paper>,
    /// Pending issuances.
    #[serde(rename = "pending")]
    pub pending_issuances: Vec<PendingIssuance>,
    /// Log of presentations and other events, oldest first.
    pub log: WalletLog,
    /// Keys of deleted copies that were presented: the holder can still request erasure with them.
    #[serde(rename = "retired")]
    pub erasure_keys: Vec<HolderKey>,
    /// Registrars that the holder has pinned.
    #[serde(default)]
    pub registrars: Vec<PinnedRegistrar>,
    /// Services on this machine that the holder added for trials. Omitted in the file if empty, for older programs.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[serde(rename = "local_sites")]
    pub local_services: Vec<LocalSite>,
    /// Trust lists that the holder has pinned.
    #[serde(default)]
    pub trust: WalletTrust,
    /// Time of the next automatic refresh of freshness statements, chosen at random at each refresh; `None`: never
    /// refreshed.
    #[serde(default)]
    pub refresh_after: Option<Timestamp>,
    /// `versionId` of the last accepted entry of each did:webvh log, by DID. A log that does not continue it is
    /// refused.
    #[serde(default)]
    #[serde(rename = "logs")]
    pub webvh_versions: BTreeMap<String, String>,
    /// Request objects for which the log has a receipt; their texts are in the second part of the file.
    #[serde(default)]
    pub requests: StoredRequestObjects,
    /// Ed25519 key that signs checkpoints of the log; `None` in a wallet of an older version until its first
    /// checkpoint.
    #[serde(default)]
    pub log_key: Option<HolderKey>,
    /// Retention period of the log in days, chosen by the holder; `None`: unlimited.
    #[serde(default)]
    #[serde(rename = "log_days")]
    pub log_retention_days: Option<u32>,
    /// Local identifier of this wallet for its [rollback mark](super::rollback_mark), generated with the first change; it never
    /// leaves the machine.
    #[serde(default)]
    #[serde(rename = "mark")]
    pub mark_id: Option<String>,
    /// Number of times that the file was saved since the mark was created.
    #[serde(default)]
    pub revision: u64,
}

/// Registrar that the holder has pinned: its registrations of verifiers are accepted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PinnedRegistrar {
    /// DID of the registrar.
    pub did: String,
    /// Name given by the holder; may be empty.
    pub name: String,
}

impl WalletContents {
    /// Creates the contents of an empty wallet, with a new log key. `work_factor` is the binary logarithm of scrypt's
    /// N.
    pub fn new(work_factor: u8) -> Self {
        Self {
            version: FORMAT_VERSION,
            work_factor,
            credentials: Vec::new(),
            bin: Vec::new(),
            papers: Vec::new(),
            pending_issuances: Vec::new(),
            log: WalletLog::default(),
            erasure_keys: Vec::new(),
            registrars: Vec::new(),
            local_services: Vec::new(),
            trust: WalletTrust::default(),
            refresh_after: None,
            webvh_versions: BTreeMap::new(),
            requests: StoredRequestObjects::default(),
            log_key: Some(HolderKey::generate()),
            log_retention_days: None,
            mark_id: None,
            revision: 0,
        }
    }

    /// Returns the registrar with the DID `did` if the holder has pinned it, or if it is the local registrar that the
    /// holder added together with the verifier `asker` (a DID). `None` otherwise.
    pub fn pinned_registrar(&self, did: &str, asker: &str) -> Option<PinnedRegistrar> {
        let pinned = self.registrars.iter().find(|registrar| registrar.did == did).cloned();
        pinned.or_else(|| {
            let own = self.local_services.iter().find(|site| site.did == asker)?.registrar.as_ref()?;
            (own.did == did).then(|| PinnedRegistrar { did: own.did.clone(), name: own.name.clone() })
        })
    }

    /// Packs the texts of copies, freshness statements and request objects, before the contents are saved.
    pub fn pack(&mut self) {
        for held in self.stored_credentials_mut() {
            packing::pack_texts(held.copies.iter_mut().map(|copy| &mut copy.credential).collect());
            packing::pack_texts(held.copies.iter_mut().filter_map(CredentialCopy::freshness_text_mut).collect());
        }
        self.requests.pack();
    }
}

/// Credential of the holder, with its copies.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HeldCredential {
    /// Local identifier; it never leaves the wallet.
    pub id: String,
    /// Name of its type in the catalogue.
    pub type_name: String,
    /// Format of all copies.
    pub format: CredentialFormat,
    /// DID of the issuer.
    pub issuer: String,
    /// Issuer's own display name.
    pub issuer_name: String,
    /// Time when the first copies, or those of the last renewal, were received.
    pub received_at: Timestamp,
    /// Start of the validity period (`validFrom`).
    pub valid_from: Option<Timestamp>,
    /// End of the validity period, inclusive.
    pub valid_until: Option<Timestamp>,
    /// Epoch to whose start both dates are rounded down; `None`: not stated by the issuer.
    #[serde(default)]
    pub epoch: Option<Epoch>,
    /// Copies, oldest first.
    pub copies: Vec<CredentialCopy>,
    /// URL of the issuer's service for refills and freshness statements. `None` if it was received by OpenID4VCI, its
    /// service does not certainly belong to the issuer, or it is of an older version; then it cannot be refilled.
    #[serde(default)]
    pub endpoint: Option<String>,
    /// Number of unused copies at which the credential is refilled. It is chosen at random for each credential, so that
    /// the time of a refill does not reveal how many copies were presented.
    #[serde(default = "default_low_water")]
    #[serde(rename = "low_water")]
    pub refill_threshold: u8,
    /// Names that its issuer gives a type that the catalogue does not have, and its claims.
    #[serde(default, skip_serializing_if = "ForeignDisplay::is_empty")]
    pub display: ForeignDisplay,
    /// Disclosed serials of a voucher; `None` for other credentials, and for vouchers of older versions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub serials: Option<VoucherSerials>,
}

/// Time for which a deleted credential is kept, in seconds: 30 days.
const BIN_SECONDS: i64 = 30 * carnet_core::day::SECONDS;

/// Deleted credential in the bin.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BinnedCredential {
    /// Time of the deletion.
    pub deleted_at: Timestamp,
    /// The credential, with its copies and keys.
    pub credential: HeldCredential,
}

impl BinnedCredential {
    /// Returns the instant at which the credential is deleted permanently.
    #[must_use]
    pub fn kept_until(&self) -> Timestamp {
        self.deleted_at.plus(BIN_SECONDS)
    }
}

/// Returns the `refill_threshold` of credentials of older versions.
pub const fn default_low_water() -> u8 {
    3
}

impl HeldCredential {
    /// Returns the number of copies that can be presented and were presented to nobody.
    pub fn unused_copies(&self) -> usize {
        self.copies.iter().filter(|copy| copy.is_unused()).count()
    }

    /// Returns whether the number of unused copies is at or below that for a refill.
    pub fn needs_refill(&self) -> bool {
        self.unused_copies() <= usize::from(self.refill_threshold)
    }

    /// Returns whether the credential is valid for at most 30 more days. `false` once it has expired, and for one
    /// without an end.
    pub fn is_due_for_renewal(&self, now: Timestamp) -> bool {
        self.valid_until.is_some_and(|until| now <= until && until <= now.plus(SOON))
    }

    /// Replaces the copies, validity period and epoch with those of `renewed`. Unused copies are dropped; of presented
    /// ones the keys are kept, without text, for erasure requests.
    pub fn replace_copies(&mut self, renewed: Self, low_water: u8) {
        self.copies.retain(|copy| !copy.presented_to.is_empty());
        for copy in &mut self.copies {
            copy.delete_text();
        }
        self.copies.extend(renewed.copies);
        (self.valid_from, self.valid_until) = (renewed.valid_from, renewed.valid_until);
        (self.received_at, self.refill_threshold, self.epoch) = (renewed.received_at, low_water, renewed.epoch);
    }

    /// Returns whether its issuer could be asked for more copies: its service is known, and the format has selective
    /// disclosure.
    pub fn is_refillable(&self) -> bool {
        self.endpoint.is_some() && self.format.is_sd_jwt()
    }
}

/// Copy of a credential, with its holder key. All copies of a credential have the same claims, and nothing else by
/// which verifiers could link them.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CredentialCopy {
    /// Text of the credential; empty if only the key is kept (see [`CredentialCopy::is_presentable`]).
    pub credential: PackedText,
    /// Secret key of this copy.
    pub key: HolderKey,
    /// Client ids of the verifiers, and DID of the issuer, to which it was presented; `unknown` for unknown ones.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[serde(rename = "shown_to")]
    pub presented_to: Vec<String>,
    /// Positions of the commitments to its ordered claims. They are stored in the second part of the file.
    #[serde(default, skip_serializing)]
    pub commitments: Vec<CommitmentPositions>,
    /// Thresholds that were proved with it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[serde(rename = "opened")]
    pub proved_thresholds: Vec<ProvedThreshold>,
    /// Latest state reported by the issuer; `None` if it never reported one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[serde(rename = "standing")]
    pub status: Option<CachedStatus>,
    /// Digest of the voucher serial that was disclosed last with it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[serde(rename = "serial")]
    pub serial_digest: Option<String>,
}

impl CredentialCopy {
    /// Creates a copy that was presented to nobody.
    pub fn new(credential: String, key: HolderKey) -> Self {
        let credential = credential.into();
        let (commitments, opened) = (Vec::new(), Vec::new());
        Self {
            credential,
            key,
            presented_to: Vec::new(),
            commitments,
            proved_thresholds: opened,
            status: None,
            serial_digest: None,
        }
    }

    /// Returns the stored text of the freshness statements; `None` if there are none.
    pub fn freshness_text(&self) -> Option<&PackedText> {
        Some(&self.status.as_ref()?.statement.as_ref()?.text)
    }

    /// Returns the stored text of the freshness statements, for changes.
    pub fn freshness_text_mut(&mut self) -> Option<&mut PackedText> {
        Some(&mut self.status.as_mut()?.statement.as_mut()?.text)
    }

    /// Deletes the text, the commitments, the proved thresholds and the status. The key, the verifiers and the digest
    /// of the serial are kept.
    pub fn delete_text(&mut self) {
        self.credential.clear();
        self.commitments.clear();
        self.proved_thresholds.clear();
        self.status = None;
    }

    /// Returns whether it can still be presented: it has a text. Of copies presented long ago, only the key is kept,
    /// for erasure requests.
    pub fn is_presentable(&self) -> bool {
        !self.credential.is_empty()
    }

    /// Returns whether it can be presented and was presented to nobody.
    pub fn is_unused(&self) -> bool {
        self.presented_to.is_empty() && self.is_presentable()
    }
}

/// Pending issuance of one credential configuration. It is saved before the offer is redeemed, so that a lost response
/// can be requested again.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PendingIssuance {
    /// base64url SHA-256 of the offer's code, by which the offer is recognised if it is received again; for a renewal
    /// `renewal:` and the id of the credential.
    #[serde(rename = "offer")]
    pub offer_digest: String,
    /// URL of the issuer's service.
    pub endpoint: String,
    /// DID of the issuer, as in its metadata when the issuance began.
    pub issuer: String,
    /// Id of the requested credential configuration.
    pub configuration_id: String,
    /// Access token; empty until the offer is redeemed, and for a renewal.
    pub access_token: WalletSecret,
    /// Holder keys, in the order of the proofs.
    pub keys: Vec<HolderKey>,
    /// Time when the issuance began.
    #[serde(rename = "since")]
    pub started_at: Timestamp,
    /// Progress of the issuance.
    pub stage: IssuanceStage,
    /// Id of the credential whose copies this renewal replaces; `None`: an offer.
    #[serde(default)]
    #[serde(rename = "renews")]
    pub renewed_id: Option<String>,
    /// Data for redeeming the offer; `None` for a renewal, and in wallets of older versions.
    #[serde(default)]
    pub redemption: Option<OfferRedemption>,
    /// End of validity stated in the offer; `None` if not stated, for a renewal, and in wallets of older versions.
    #[serde(default)]
    pub valid_until: Option<Timestamp>,
    /// Protocol of the issuer's service. Omitted in the file for gRPC, so that older programs can read it.
    #[serde(default, skip_serializing_if = "ServiceProtocol::is_grpc")]
    #[serde(rename = "wire")]
    pub protocol: ServiceProtocol,
}

/// Data for redeeming an offer, kept to repeat the redemption if the response is lost.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OfferRedemption {
    /// Pre-authorized code of the offer.
    pub code: WalletSecret,
    /// PIN as typed by the holder; `None` if the offer requires none.
    pub pin: Option<WalletSecret>,
    /// Code verifier: 32 random bytes in base64url, generated by this wallet. The issuer accepts a repeated redemption
    /// only with it (spec/protocol.md 3.6).
    #[serde(rename = "verifier")]
    pub code_verifier: WalletSecret,
    /// Token endpoint that the holder was told the code and PIN are sent to; `None`: the service of the offer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token_endpoint: Option<String>,
    /// Authorization server that the offer names; `None`: the one of the issuer's metadata.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub authorization_server: Option<String>,
}

impl OfferRedemption {
    /// Creates the data for an offer, with a new random code verifier.
    pub fn generate(code: WalletSecret, pin: Option<WalletSecret>, token_endpoint: Option<String>) -> Self {
        let mut bytes = Zeroizing::new([0; 32]);
        OsRng.fill_bytes(bytes.as_mut());
        let verifier = WalletSecret::new(URL_SAFE_NO_PAD.encode(bytes.as_slice()));
        Self { code, pin, code_verifier: verifier, token_endpoint, authorization_server: None }
    }
}

/// Stage of an issuance.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum IssuanceStage {
    /// The offer is being redeemed, and no response has arrived. The issuer may or may not have used the code.
    Redeeming {
        /// Proofs of possession, one per key, to be sent.
        proofs: Vec<String>,
    },
    /// The offer was redeemed and the copies were requested; no response has arrived. Repeating the same call returns
    /// the same response while the access token is valid (spec/protocol.md 3.17).
    #[serde(rename = "asked")]
    Requested {
        /// Proofs of possession, one per key, as sent.
        proofs: Vec<String>,
        /// Expiry of the access token.
        until: Timestamp,
    },
    /// Deferred by the issuer, which decides how long the transaction is kept.
    Deferred {
        /// Transaction id of the issuer.
        transaction_id: WalletSecret,
    },
}

impl PendingIssuance {
    /// Returns whether both are records of the same issuance: the same offer and credential configuration.
    pub fn is_same_issuance(&self, other: &Self) -> bool {
        self.offer_digest == other.offer_digest && self.configuration_id == other.configuration_id
    }

    /// Returns whether no response is possible any more: a new access token is needed, and there are no data for
    /// redeeming the offer.
    pub fn is_unredeemable(&self, now: Timestamp) -> bool {
        self.redemption.is_none() && self.needs_token(now)
    }

    /// Returns whether the offer must be redeemed, for the first time or again, before the next credential request.
    pub fn needs_token(&self, now: Timestamp) -> bool {
        match &self.stage {
            IssuanceStage::Redeeming { .. } => true,
            IssuanceStage::Requested { until, .. } => now > until.plus(CLOCK_SKEW),
            IssuanceStage::Deferred { .. } => false,
        }
    }
}

/// Generates a local identifier: 64 random bits in hexadecimal.
pub fn random_id() -> String {
    format!("{:016x}", OsRng.next_u64())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknown_members_are_refused() {
        let text = serde_json::to_string(&WalletContents::new(12)).unwrap();
        assert!(serde_json::from_str::<WalletContents>(&text).is_ok());
        let more = text.replacen('{', "{\"surprise\":1,", 1);
        assert!(serde_json::from_str::<WalletContents>(&more).is_err());
        let twice = text.replacen('{', "{\"log\":[],", 1);
        assert!(serde_json::from_str::<WalletContents>(&twice).is_err());
    }
}
