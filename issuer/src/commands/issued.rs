//! Commands `issued list` and `issued show`.

use carnet_proto::issuer::v1::{self as proto, offer_service_client::OfferServiceClient};
use carnet_service::{
    client::{self, StaffArgs},
    wire,
};
use clap::Subcommand;
use serde_json::{Value, json};

use super::{StaffFailure, format_name, format_timestamp, last_day, offer::OfferFilterArgs, print_result};

#[derive(Debug, Subcommand)]
pub(crate) enum IssuedVerb {
    /// List issued copies, newest first; several conditions must all match.
    List {
        /// Only copies issued from the offer with this id.
        #[arg(long, default_value = "", hide_default_value = true)]
        offer: String,
        #[command(flatten)]
        which: OfferFilterArgs,
        #[command(flatten)]
        staff: StaffArgs,
    },
    /// Show the record of one issued copy.
    Show {
        /// The id of the issued copy.
        id: String,
        #[command(flatten)]
        staff: StaffArgs,
    },
}

pub(super) async fn run(verb: IssuedVerb) -> Result<(), StaffFailure> {
    match verb {
        IssuedVerb::List { offer, which, staff } => {
            let filter = proto::ListIssuedRequest {
                page_size: 500,
                page_token: String::new(),
                offer_id: offer,
                credential_type: which.credential_type,
                reference: which.reference,
                created_by: which.created_by,
                issued_from: which.from.map(wire::to_timestamp),
                issued_until: which.until.map(wire::to_timestamp),
            };
            list(filter, &staff).await
        }
        IssuedVerb::Show { id, staff } => {
            let (channel, token) = client::connect(&staff).await?;
            let request = proto::ReadIssuedRequest { issued_id: id };
            let answer = OfferServiceClient::with_interceptor(channel, token).read_issued(request).await?;
            let record = issued_json(&answer.into_inner().issued.unwrap_or_default());
            print_result(staff.json, &record, || line(&record));
            Ok(())
        }
    }
}

async fn list(filter: proto::ListIssuedRequest, staff: &StaffArgs) -> Result<(), StaffFailure> {
    let (channel, token) = client::connect(staff).await?;
    let mut client = OfferServiceClient::with_interceptor(channel, token);
    let mut records = Vec::new();
    let mut page_token = String::new();
    loop {
        let request = proto::ListIssuedRequest { page_token, ..filter.clone() };
        let page = client.list_issued(request).await?.into_inner();
        records.extend(page.issued.iter().map(issued_json));
        page_token = page.next_page_token;
        if page_token.is_empty() {
            break;
        }
    }
    print_result(staff.json, &json!({ "issued": records }), || match records.as_slice() {
        [] => "Nothing was issued.".to_owned(),
        records => records.iter().map(line).collect::<Vec<_>>().join("\n"),
    });
    Ok(())
}

fn notification_name(event: i32) -> &'static str {
    match proto::NotificationEvent::try_from(event) {
        Ok(proto::NotificationEvent::CredentialAccepted) => "credential_accepted",
        Ok(proto::NotificationEvent::CredentialFailure) => "credential_failure",
        Ok(proto::NotificationEvent::CredentialDeleted) => "credential_deleted",
        Ok(proto::NotificationEvent::Unspecified) | Err(_) => "none",
    }
}

fn issued_json(record: &proto::IssuedRecord) -> Value {
    json!({
        "issued_id": record.issued_id,
        "offer_id": record.offer_id,
        "credential_type": record.credential_type,
        "format": format_name(record.format),
        "status_index": record.status_index,
        "issued_at": format_timestamp(record.issued_at.as_ref()),
        "valid_until": format_timestamp(record.valid_until.as_ref()),
        "notification": notification_name(record.notification),
        "reference": record.reference,
        "created_by": record.created_by,
    })
}

fn line(record: &Value) -> String {
    let text = |name: &str| record.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
    let beside = |before: &str, name: &str| match text(name) {
        text if text.is_empty() => text,
        text => format!("{before}{text}"),
    };
    format!(
        "{}  {} ({}), issued {}, valid until {}, index {}, wallet: {}{}{}",
        text("issued_id"),
        text("credential_type"),
        text("format"),
        text("issued_at"),
        last_day(&text("valid_until")),
        record.get("status_index").cloned().unwrap_or_default(),
        text("notification"),
        beside(", reference ", "reference"),
        beside(", made by ", "created_by")
    )
}
