//! Configuration of the issuer: `config.toml` in the data directory, and a file of the operator whose fields override
//! it.

use std::{collections::BTreeMap, path::Path};

use carnet_core::status::{freshness, message::StatusMessages};
use carnet_service::{
    config::{self, ConfigFiles, FieldRange, ServeConfig, StartError, invalid_field, whole},
    keys::KeysConfig,
};
use serde::Deserialize;

use crate::{
    policy::{cohorts::CohortPolicy, renewal::RenewalPolicy},
    status::publication_times::PublicationTimes,
};

const DAY: u32 = 86_400;
/// Default of [`IssuerConfig::record_days`].
pub(crate) const RECORD_DAYS: u32 = 365;

/// Configuration of the issuer, as read from its files. Unknown fields are refused.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct IssuerConfig {
    /// DID of the issuer.
    pub(crate) did: String,
    /// Display name of the issuer by language tag.
    #[serde(default)]
    pub(crate) name: BTreeMap<String, String>,
    /// Maximum number of copies of a credential in one request.
    #[serde(default = "default_batch")]
    pub(crate) max_batch_size: usize,
    /// Time during which an offer can be redeemed, in days.
    #[serde(default = "default_offer_days")]
    pub(crate) offer_days: u32,
    /// Time during which a deferred offer can be released and collected, in days.
    #[serde(default = "default_deferred_days")]
    pub(crate) deferred_days: u32,
    /// Minimum time between a wallet's requests for a deferred credential, in seconds.
    #[serde(default = "default_interval")]
    pub(crate) deferred_interval_seconds: u32,
    /// Retention period of an offer's record and its reference, in days, from the end of its last copy (or of the
    /// offer, if no copy was issued).
    #[serde(default = "default_record_days")]
    pub(crate) record_days: u32,
    /// Maximum number of copies that refills and renewals of one offer may issue within 24 hours. The count starts
    /// again when a reinstatement or a message requires the wallet to replace its copies.
    #[serde(default = "default_refill")]
    pub(crate) refill_copies_per_day: u32,
    /// Maximum number of copies that refills of one offer may issue in all; the count starts again with each renewal.
    #[serde(default = "default_refill_in_all")]
    pub(crate) refill_copies_in_all: u32,
    /// Lifetime of a freshness statement, in seconds, from the start of its six-hour epoch.
    #[serde(default = "default_freshness")]
    pub(crate) freshness_seconds: u32,
    /// Credential types to issue; empty: all types of the catalogue.
    #[serde(default)]
    pub(crate) types: Vec<String>,
    /// Renewal rules, by credential type; a type without rules is not renewable.
    #[serde(default)]
    pub(crate) renewal: BTreeMap<String, RenewalPolicy>,
    /// Rounding of the copies' dates, so that many holders share the same dates.
    #[serde(default)]
    pub(crate) cohorts: CohortPolicy,
    /// Status lists.
    #[serde(default)]
    pub(crate) status: StatusConfig,
    /// Source of the secret that decrypts the keys.
    #[serde(default)]
    pub(crate) keys: KeysConfig,
    /// Address, TLS and limits.
    #[serde(default)]
    pub(crate) serve: ServeConfig,
    /// Files that the configuration was read from.
    #[serde(skip)]
    pub(crate) files: ConfigFiles,
}

/// Publication of the credentials' status.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct StatusConfig {
    /// URL under which the lists are published, without a trailing slash; default: `/status` next to the DID document.
    pub(crate) url: Option<String>,
    /// Number of entries of a new list.
    pub(crate) entries: u64,
    /// Time to live of a list for verifiers that cache it, in seconds.
    pub(crate) ttl_seconds: u32,
    /// Validity period of a signed list, in seconds; it is signed again after half of that.
    pub(crate) validity_seconds: u32,
    /// Message texts for the numbers 1, 2, 3 and so on, for holders; messages do not change the status. `undefined`
    /// marks an unused number. Empty: no messages.
    pub(crate) messages: Vec<String>,
    /// Times of day (UTC), as `HH:MM`, at which non-urgent changes are published. Empty: all changes are published
    /// immediately.
    pub(crate) publish_at: Vec<String>,
}

impl StatusConfig {
    /// Returns the message texts; `None` if none are configured.
    ///
    /// # Errors
    /// A text is invalid, or there are too many.
    pub(crate) fn messages(&self) -> Result<Option<StatusMessages>, StartError> {
        if self.messages.is_empty() {
            return Ok(None);
        }
        let messages = StatusMessages::new(&self.messages);
        messages.map(Some).map_err(|problem| {
            invalid_field("status.messages", format!("status.messages is refused: {}", problem.detail))
        })
    }
}

impl StatusConfig {
    /// Returns the publication times of status changes that are not urgent.
    ///
    /// # Errors
    /// A text is not a time of day.
    pub(crate) fn publication_times(&self) -> Result<PublicationTimes, StartError> {
        let time = |text: &String| {
            PublicationTimes::parse_time_of_day(text).ok_or_else(|| {
                let what =
                    format!("status.publish_at has \"{text}\", and each must be a time of day such as \"06:00\"");
                invalid_field("status.publish_at", what)
            })
        };
        self.publish_at.iter().map(time).collect::<Result<_, _>>().map(PublicationTimes::new)
    }
}

impl Default for StatusConfig {
    fn default() -> Self {
        Self {
            url: None,
            entries: 1 << 20,
            ttl_seconds: 300,
            validity_seconds: DAY,
            messages: Vec::new(),
            publish_at: ["00:00", "06:00", "12:00", "18:00"].map(str::to_owned).to_vec(),
        }
    }
}

const fn default_batch() -> usize {
    10
}
const fn default_offer_days() -> u32 {
    7
}
const fn default_deferred_days() -> u32 {
    30
}
const fn default_record_days() -> u32 {
    RECORD_DAYS
}
const fn default_refill() -> u32 {
    200
}
const fn default_refill_in_all() -> u32 {
    2_000
}
const fn default_freshness() -> u32 {
    DAY
}
const fn default_interval() -> u32 {
    5
}

impl IssuerConfig {
    /// Reads `config.toml` in the data directory, and the file `over`, whose fields override it.
    ///
    /// # Errors
    /// A file is missing, is not TOML or has an unknown field; a value is out of range, or contradicts another one.
    pub(crate) fn load(data: &Path, over: Option<&Path>) -> Result<Self, StartError> {
        let (config, files): (Self, _) = config::read_layered_config("carnet-issuer", data, over)
            .map_err(|error| error.with_range(&Self::ranges()).with_range(&ServeConfig::ranges()))?;
        config.check_values().map_err(|error| files.add_location(error))?;
        Ok(Self { files, ..config })
    }

    fn ranges() -> [FieldRange<Self>; 11] {
        let (least, most) =
            (u64::from(*freshness::LIFETIME_RANGE.start()), u64::from(*freshness::LIFETIME_RANGE.end()));
        [
            ("max_batch_size", |it| whole(it.max_batch_size), 1..=100),
            ("offer_days", |it| it.offer_days.into(), 1..=365),
            ("deferred_days", |it| it.deferred_days.into(), 1..=365),
            ("deferred_interval_seconds", |it| it.deferred_interval_seconds.into(), 1..=86_400),
            ("record_days", |it| it.record_days.into(), 1..=36_600),
            ("refill_copies_per_day", |it| it.refill_copies_per_day.into(), 1..=100_000),
            ("refill_copies_in_all", |it| it.refill_copies_in_all.into(), 1..=1_000_000),
            // With the minimum, half of it is left at the end of the epoch in which the statement was signed.
            ("freshness_seconds", |it| it.freshness_seconds.into(), least..=most),
            // From the minimum that hides which entry is looked up, to the maximum size of a list at two bits per
            // entry.
            ("status.entries", |it| it.status.entries, 131_072..=67_108_864),
            ("status.ttl_seconds", |it| it.status.ttl_seconds.into(), 1..=86_400),
            ("status.validity_seconds", |it| it.status.validity_seconds.into(), 60..=31_622_400),
        ]
    }

    /// Checks the ranges of the values. Policies that depend on the catalogue are not checked.
    fn check_values(&self) -> Result<(), StartError> {
        config::check_ranges(self, &Self::ranges())?;
        config::check_ranges(&self.serve, &ServeConfig::ranges())?;
        // All statements start with an epoch, so that none can be recognised by its time.
        if !self.freshness_seconds.is_multiple_of(freshness::EPOCH_SECONDS) {
            let (seconds, epoch) = (self.freshness_seconds, freshness::EPOCH_SECONDS);
            let what = format!("freshness_seconds is {seconds}, which is not a multiple of {epoch} (six hours)");
            return Err(invalid_field("freshness_seconds", what));
        }
        if self.status.ttl_seconds > self.status.validity_seconds / 2 {
            let (ttl, validity) = (self.status.ttl_seconds, self.status.validity_seconds);
            let what =
                format!("status.ttl_seconds is {ttl}, which is more than half of status.validity_seconds, {validity}");
            return Err(invalid_field("status.ttl_seconds", what));
        }
        self.status.messages()?;
        self.status.publication_times()?;
        Ok(())
    }

    /// Returns the time during which an offer can be redeemed, in seconds.
    pub(crate) fn offer_ttl_seconds(&self) -> u32 {
        self.offer_days.saturating_mul(DAY)
    }

    /// Returns the time during which a deferred offer can be released and collected, in seconds.
    pub(crate) fn deferred_ttl_seconds(&self) -> u32 {
        self.deferred_days.saturating_mul(DAY)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(base: &str, over: &str) -> Result<IssuerConfig, StartError> {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("config.toml"), base).unwrap();
        let file = dir.path().join("over.toml");
        std::fs::write(&file, over).unwrap();
        IssuerConfig::load(dir.path(), Some(&file))
    }

    #[test]
    fn an_operators_file_lies_over_the_one_of_init() {
        let base = "did = \"did:web:a.example\"\n[name]\nen = \"A\"\n";
        let config =
            load(base, "max_batch_size = 3\n[name]\nde = \"B\"\n[serve]\nlisten = \"127.0.0.1:7401\"\n").unwrap();
        assert_eq!((config.did.as_str(), config.max_batch_size, config.name.len()), ("did:web:a.example", 3, 2));
        assert_eq!(config.serve.listen.map(|at| at.port()), Some(7401));
    }

    #[test]
    fn unknown_fields_and_values_out_of_range_are_refused() {
        let base = "did = \"did:web:a.example\"\n";
        assert!(load(base, "").is_ok());
        assert!(load(base, "[status]\nmessages = [\"a\"]\nentries = 33554432").is_ok());
        for wrong in [
            "batch = 3",
            "max_batch_size = 0",
            "max_batch_size = 1000",
            "record_days = 0",
            "record_days = 36601",
            "refill_copies_per_day = 0",
            "refill_copies_in_all = 0",
            "freshness_seconds = 21600",
            "freshness_seconds = 626400",
            "freshness_seconds = 46800",
            "[serve]\nport = 1",
            "[cohorts]\nepoch = \"year\"",
            "[cohorts]\nleast = -1",
            "[serve]\ntimeout_seconds = 0",
            "[serve]\nconcurrency = 0",
            "[serve]\nmax_message_bytes = 0",
            "[serve]\nmax_connections = 0",
            "[status]\nentries = 131071",
            "[status]\nentries = 67108865",
            "[status]\nttl_seconds = 0",
            "[status]\nttl_seconds = 31\nvalidity_seconds = 60",
            "[status]\nvalidity_seconds = 59",
            "[status]\nlists = 1",
            "[status]\nmessages = [\"\"]",
            "[status]\nmessages = [\"a\\nb\"]",
            "[status]\npublish_at = [\"24:00\"]",
            "[status]\npublish_at = [\"6:00\"]",
            "[status]\npublish_at = [\"06:60\"]",
            "[status]\npublish_at = [\"06:00:00\"]",
            "[status]\npublish_at = \"06:00\"",
            "did = 3",
            "=",
        ] {
            let refused = load(base, wrong).unwrap_err();
            assert!(refused.message.contains("over.toml, line "), "{refused}");
        }
    }

    #[test]
    fn a_value_of_the_wrong_type_is_told_the_range_of_its_field() {
        let base = "did = \"did:web:a.example\"\n";
        for (wrong, expected) in [
            ("offer_days = \"7\"", "offer_days = \"7\": it must be a whole number from 1 to 365."),
            ("offer_days = -7", "it must be a whole number from 1 to 365."),
            ("[serve]\nconcurrency = true", "it must be a whole number from 1 to 65535."),
            ("[status]\nentries = \"x\"", "it must be a whole number from 131072 to 67108864."),
        ] {
            let refused = load(base, wrong).unwrap_err().message;
            assert!(refused.contains("over.toml, line ") && refused.ends_with(expected), "{refused}");
        }
        assert!(load(base, "offer_days = 7").is_ok());
    }
}
