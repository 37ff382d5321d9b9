//! Totals of issued vouchers, for an audit: numbers without personal data (spec/entitlement.md 1.9).

use carnet_core::time::Timestamp;
use carnet_spec::CredentialType;
use serde_json::{Map, Value};

/// Number of vouchers and uses issued in one month for a service of a redeemer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct VoucherTotal {
    pub(crate) service: String,
    /// DID of the redeemer.
    pub(crate) redeemer: String,
    /// Month in UTC, as `2026-11`.
    pub(crate) month: String,
    pub(crate) vouchers: u64,
    pub(crate) uses: u64,
}

impl VoucherTotal {
    /// Returns the increment for one voucher with these claims; `None` for other types.
    pub(crate) fn of(known: &CredentialType, claims: &Map<String, Value>, now: Timestamp) -> Option<Self> {
        let serials = known.serials.as_ref()?;
        let text = |name: &String| claims.get(name).and_then(Value::as_str).map(str::to_owned);
        let uses = claims.get(&serials.claim).and_then(Value::as_array)?.len();
        Some(Self {
            service: text(&serials.service)?,
            redeemer: text(&serials.redeemer)?,
            month: now.to_string().chars().take(7).collect(),
            vouchers: 1,
            uses: u64::try_from(uses).ok()?,
        })
    }
}
