//! Totals of issued vouchers for audits, without personal data (spec/entitlement.md 1.9).

use carnet_core::time::Timestamp;
use carnet_spec::CredentialType;
use serde_json::{Map, Value};

use crate::store::records::VoucherTotal;

/// Returns the increment of the totals for one voucher with these claims, issued at `now`. `None` for a type without
/// serials, or if a claim that the totals need is missing or malformed.
pub(crate) fn voucher_total_increment(
    known: &CredentialType,
    claims: &Map<String, Value>,
    now: Timestamp,
) -> Option<VoucherTotal> {
    let serials = known.serials.as_ref()?;
    let text = |name: &String| claims.get(name).and_then(Value::as_str).map(str::to_owned);
    let uses = claims.get(&serials.claim).and_then(Value::as_array)?.len();
    Some(VoucherTotal {
        service: text(&serials.service)?,
        redeemer: text(&serials.redeemer)?,
        month: now.to_string().chars().take(7).collect(),
        vouchers: 1,
        uses: u64::try_from(uses).ok()?,
    })
}
