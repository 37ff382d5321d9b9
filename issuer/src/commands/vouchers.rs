//! Command `vouchers`: totals of issued vouchers and their uses, for an audit.

use carnet_core::text::displayable;
use carnet_service::{config::StartError, directory::DirectoryArgs, store as ground};
use serde_json::json;

use super::StaffFailure;
use crate::{
    config::IssuerConfig,
    sqlite::{MIGRATIONS, SqliteStore},
    store::{
        Store, Stored,
        records::{RecordRows as _, VoucherTotal},
    },
};

pub(super) async fn run(args: &DirectoryArgs) -> Result<(), StaffFailure> {
    // A configuration that is refused is refused here as well.
    IssuerConfig::load(&args.data, args.config.as_deref())?;
    let opened = ground::open_store(&args.data, &MIGRATIONS).await?;
    let totals = totals(&SqliteStore(opened.clone())).await;
    opened.close().await;
    let totals = totals.map_err(|error| {
        StartError::new(
            format!("The store failed: {error}."),
            "Nothing was changed. Try again; if it happens again, restore a backup.",
        )
    })?;
    if args.json {
        let totals = totals.iter().map(|total| {
            let VoucherTotal { service, redeemer, month, vouchers, uses } = total;
            json!({"service": service, "redeemer": redeemer, "month": month, "vouchers": vouchers, "uses": uses})
        });
        carnet_console::line(json!({"totals": totals.collect::<Vec<_>>()}));
        return Ok(());
    }
    for VoucherTotal { service, redeemer, month, vouchers, uses } in &totals {
        carnet_console::line(format_args!(
            "{month}  {uses:>8} uses in {vouchers} vouchers  {}  {redeemer}",
            displayable(service)
        ));
    }
    let all = totals.iter().fold(0_u64, |sum, total| sum.saturating_add(total.uses));
    carnet_console::line(format_args!("{all} uses in all"));
    Ok(())
}

async fn totals<S: Store>(store: &S) -> Stored<Vec<VoucherTotal>> {
    store.read().await?.voucher_totals().await
}
