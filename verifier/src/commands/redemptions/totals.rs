//! Command `redemptions totals`: numbers of redeemed uses for audits, without personal data.

use carnet_core::text::displayable_lines;
use carnet_service::{directory::DirectoryArgs, store as ground};
use serde_json::{Value, json};

use super::{StaffFailure, sqlite_store, store_error};
use crate::{
    config::VerifierConfig,
    redemption::reconciliation::{WrittenOffDesk, written_off_desks},
    sqlite::MIGRATIONS,
    store::{MonthlyTotal, ReadUses as _, Store as _, StoreError},
};

pub(super) async fn run(place: &DirectoryArgs) -> Result<u8, StaffFailure> {
    let config = VerifierConfig::load(&place.data, place.config.as_deref())?;
    let store = ground::open_store(&place.data, &MIGRATIONS).await?;
    let sqlite = sqlite_store(&store);
    let read = async { Ok::<_, StoreError>((sqlite.read().await?.totals().await?, written_off_desks(&sqlite).await?)) };
    let read = read.await;
    store.close().await;
    let (totals, gone) = read.map_err(store_error)?;
    let desk = config.redemption.as_ref().map(|redemption| redemption.desk.as_str());
    if place.json {
        carnet_console::print_line(report(desk, &totals, &gone));
        return Ok(0);
    }
    for MonthlyTotal { template, issuer, service, month, uses } in &totals {
        // The service is text of the issuer.
        carnet_console::print_line(displayable_lines(&format!("{month}  {uses:>8}  {service}  {template}  {issuer}")));
    }
    let all = totals.iter().fold(0_u64, |sum, total| sum.saturating_add(total.uses));
    carnet_console::print_line(format_args!("{all} uses in all"));
    for WrittenOffDesk { desk, written_off_at: at, max_unseen_uses: unseen, .. } in &gone {
        carnet_console::print_line(format_args!(
            "{desk} was written off at {at}; at most {unseen} of its uses are unknown"
        ));
    }
    Ok(0)
}

fn report(desk: Option<&str>, totals: &[MonthlyTotal], gone: &[WrittenOffDesk]) -> Value {
    let totals = totals.iter().map(|total| {
        let MonthlyTotal { template, issuer, service, month, uses } = total;
        json!({"template": template, "issuer": issuer, "service": service, "month": month, "uses": uses})
    });
    let gone = gone.iter().map(|gone| {
        let WrittenOffDesk { desk, written_off_at: at, last_mark: last, max_unseen_uses: unseen } = gone;
        json!({"desk": desk, "at": at.to_string(), "last": last, "unseen": unseen})
    });
    json!({"desk": desk, "totals": totals.collect::<Vec<_>>(), "written_off": gone.collect::<Vec<_>>()})
}
