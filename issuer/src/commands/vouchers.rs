//! Command `vouchers`: totals of issued vouchers and their uses, for an audit.

use carnet_core::text::displayable;
use carnet_service::{config::StartError, directory::DirectoryArgs, store as ground};
use serde_json::json;

use super::{StaffFailure, cohorts::counted};
use crate::{
    config::IssuerConfig,
    sqlite::{MIGRATIONS, SqliteStore},
    store::{
        Store, StoreResult,
        records::{RecordRows as _, VoucherTotal},
    },
};

pub(super) async fn run(args: &DirectoryArgs) -> Result<(), StaffFailure> {
    // A configuration that is refused is refused here as well.
    IssuerConfig::load(&args.data, args.config.as_deref())?;
    let opened = ground::open_store(&args.data, &MIGRATIONS).await?;
    let totals = read_totals(&SqliteStore(opened.clone())).await;
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
        carnet_console::print_line(json!({"totals": totals.collect::<Vec<_>>()}));
        return Ok(());
    }
    for total in &totals {
        carnet_console::print_line(total_text(total));
    }
    let all = totals.iter().fold(0_u64, |sum, total| sum.saturating_add(total.uses));
    carnet_console::print_line(format_args!("{} in all", counted(all, "use")));
    Ok(())
}

fn total_text(total: &VoucherTotal) -> String {
    let VoucherTotal { service, redeemer, month, vouchers, uses } = total;
    let (uses, vouchers) = (counted(*uses, "use"), counted(*vouchers, "voucher"));
    format!("{month}  {uses:>13} in {vouchers}  {}  {redeemer}", displayable(service))
}

async fn read_totals<S: Store>(store: &S) -> StoreResult<Vec<VoucherTotal>> {
    store.read().await?.voucher_totals().await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_voucher_is_in_the_singular() {
        let said = |vouchers, uses| {
            let (service, redeemer) = ("museum".to_owned(), "did:web:museum.example".to_owned());
            total_text(&VoucherTotal { service, redeemer, month: "2026-11".to_owned(), vouchers, uses })
        };
        assert_eq!(said(1, 1), "2026-11          1 use in 1 voucher  museum  did:web:museum.example");
        assert_eq!(said(2, 20), "2026-11        20 uses in 2 vouchers  museum  did:web:museum.example");
        assert_eq!(counted(0, "use"), "0 uses");
    }
}
