//! Command `cohorts`: sizes of the cohorts, the groups of holders whose copies look the same to verifiers.

use carnet_core::{day, status::StatusListUrl, time::Timestamp};
use carnet_proto::issuer::v1::{self as proto, offer_service_client::OfferServiceClient};
use carnet_service::client::{self, StaffArgs};
use serde_json::{Value, json};

use super::{StaffFailure, format_name, format_timestamp, last_day, print_result};

/// Maximum number of small cohorts of a type that are printed.
const MAX_PRINTED_COHORTS: usize = 10;

pub(super) async fn run(staff: &StaffArgs) -> Result<(), StaffFailure> {
    let (channel, token) = client::connect(staff).await?;
    let mut client = OfferServiceClient::with_interceptor(channel, token);
    let answer = client.read_cohorts(proto::ReadCohortsRequest {}).await?.into_inner();
    let types: Vec<Value> = answer.types.iter().map(type_json).collect();
    print_result(staff.json, &json!({ "least": answer.least, "types": types }), || cohorts_text(&answer));
    Ok(())
}

fn epoch_name(epoch: i32) -> &'static str {
    match proto::ValidityEpoch::try_from(epoch) {
        Ok(proto::ValidityEpoch::Day) => "day",
        Ok(proto::ValidityEpoch::Week) => "week",
        Ok(proto::ValidityEpoch::Month) => "month",
        Ok(proto::ValidityEpoch::Quarter) => "quarter",
        Ok(proto::ValidityEpoch::Unspecified) | Err(_) => "unknown",
    }
}

fn type_json(of: &proto::TypeCohorts) -> Value {
    let cohort = |cohort: &proto::Cohort| {
        json!({
            "format": format_name(cohort.format),
            "valid_from": format_timestamp(cohort.valid_from.as_ref()),
            "valid_until": format_timestamp(cohort.valid_until.as_ref()),
            "kid": cohort.kid,
            "status_list": cohort.status_list,
            "holders": cohort.holders,
        })
    };
    json!({
        "credential_type": of.credential_type,
        "epoch": epoch_name(of.epoch),
        "holders": of.holders,
        "smallest": of.smallest,
        "median": of.median,
        "below": of.below,
        "cohorts": of.cohorts.iter().map(cohort).collect::<Vec<_>>(),
    })
}

fn cohorts_text(answer: &proto::ReadCohortsResponse) -> String {
    if answer.types.is_empty() {
        return "Nobody has a copy that can be used.".to_owned();
    }
    let mut lines = vec![
        "Holders with usable copies who share type, format, beginning, end, signing key and status list:".to_owned(),
    ];
    for of in &answer.types {
        lines.push(format!(
            "{}  {} in {}, smallest {}, median {} (days are rounded down to the {})",
            of.credential_type,
            counted(of.holders, "holder"),
            counted(u64::try_from(of.cohorts.len()).unwrap_or(u64::MAX), "cohort"),
            of.smallest,
            of.median,
            epoch_name(of.epoch),
        ));
        lines.extend(small_cohort_lines(of, answer.least));
    }
    lines.join("\n")
}

/// Returns lines that warn about cohorts with fewer than `least` holders; empty if there are none.
fn small_cohort_lines(of: &proto::TypeCohorts, least: u64) -> Vec<String> {
    if of.below == 0 {
        return Vec::new();
    }
    let of_all = counted(of.below, "holder");
    let mut lines = vec![format!(
        "  ! {of_all} in cohorts of fewer than {least}: verifiers that compare copies can single them out."
    )];
    let small: Vec<&proto::Cohort> = of.cohorts.iter().filter(|cohort| cohort.holders < least).collect();
    lines.extend(small.iter().take(MAX_PRINTED_COHORTS).map(|cohort| {
        let from = format_timestamp(cohort.valid_from.as_ref());
        let from = Timestamp::parse(&from).map_or(from, day::format_start);
        let (until, format) = (last_day(&format_timestamp(cohort.valid_until.as_ref())), format_name(cohort.format));
        let holders = counted(cohort.holders, "holder");
        format!("    {holders} ({format}) from {from} until {until}{}{}", key_name(cohort), list_name(cohort))
    }));
    if let Some(more) = small.len().checked_sub(MAX_PRINTED_COHORTS).filter(|more| *more > 0) {
        lines.push(format!("    and {more} more; --json has them all"));
    }
    if epoch_name(of.epoch) != "quarter" {
        lines.push("    A longer epoch under [cohorts] makes future cohorts larger.".to_owned());
    }
    lines
}

fn key_name(cohort: &proto::Cohort) -> String {
    match cohort.kid.split_once('#') {
        Some((_, fragment)) => format!(", key #{fragment}"),
        None => String::new(),
    }
}

fn list_name(cohort: &proto::Cohort) -> String {
    StatusListUrl::parse(&cohort.status_list).map(|url| format!(", status list {}", url.number)).unwrap_or_default()
}

pub(super) fn counted(number: u64, what: &str) -> String {
    if number == 1 { format!("1 {what}") } else { format!("{number} {what}s") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_cohorts_are_named_and_large_ones_are_summed_up() {
        let cohort = |holders| proto::Cohort {
            format: 1,
            holders,
            kid: "did:web:a.example#key-2".to_owned(),
            status_list: "https://a.example/status/token/3".to_owned(),
            ..proto::Cohort::default()
        };
        let of = |cohorts: Vec<proto::Cohort>, below| proto::TypeCohorts {
            credential_type: "QualificationCredential".to_owned(),
            epoch: proto::ValidityEpoch::Month.into(),
            holders: cohorts.iter().map(|cohort| cohort.holders).sum(),
            smallest: cohorts[0].holders,
            median: cohorts.last().map_or(0, |cohort| cohort.holders),
            below,
            cohorts,
        };
        let answer = |of| proto::ReadCohortsResponse { types: vec![of], least: 10 };
        let said = cohorts_text(&answer(of(vec![cohort(1), cohort(200)], 1)));
        assert!(said.contains("201 holders in 2 cohorts, smallest 1, median 200 (days are rounded down to the month)"));
        assert!(said.contains("! 1 holder in cohorts of fewer than 10") && said.contains("    1 holder (vc+sd-jwt)"));
        assert!(said.contains(", key #key-2, status list 3"), "{said}");
        assert!(!cohorts_text(&answer(of(vec![cohort(10)], 0))).contains('!'));
        let many = cohorts_text(&answer(of((0..13).map(|_| cohort(2)).collect(), 26)));
        assert!(many.contains("and 3 more"), "{many}");
        assert_eq!(cohorts_text(&proto::ReadCohortsResponse::default()), "Nobody has a copy that can be used.");
    }
}
