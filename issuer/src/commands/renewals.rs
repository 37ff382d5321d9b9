//! Commands `renewals list`, `renewals approve` and `renewals reject`.

use carnet_proto::issuer::v1::{self as proto, renewal_service_client::RenewalServiceClient};
use carnet_service::client::{self, StaffArgs};
use clap::Subcommand;
use serde_json::{Value, json};

use super::{StaffFailure, format_timestamp, last_day, print_result};

#[derive(Debug, Subcommand)]
pub(crate) enum RenewalsVerb {
    /// List renewals, newest first.
    List {
        /// Only renewals that wait for a decision of staff.
        #[arg(long)]
        pending: bool,
        #[command(flatten)]
        staff: StaffArgs,
    },
    /// Approve a renewal, so that the holder's wallet can collect the new copies.
    Approve {
        /// The renewal's id.
        id: String,
        /// The reason, for the record; no personal data.
        #[arg(long, default_value = "")]
        reason: String,
        #[command(flatten)]
        staff: StaffArgs,
    },
    /// Refuse a renewal, and erase its pending data.
    Reject {
        /// The renewal's id.
        id: String,
        /// The reason, for the record and for the holder; no personal data.
        #[arg(long)]
        reason: String,
        #[command(flatten)]
        staff: StaffArgs,
    },
}

pub(super) async fn run(verb: RenewalsVerb) -> Result<(), StaffFailure> {
    match verb {
        RenewalsVerb::List { pending, staff } => list(pending, &staff).await,
        RenewalsVerb::Approve { id, reason, staff } => decide(id, true, reason, &staff).await,
        RenewalsVerb::Reject { id, reason, staff } => decide(id, false, reason, &staff).await,
    }
}

async fn decide(renewal_id: String, approve: bool, reason: String, staff: &StaffArgs) -> Result<(), StaffFailure> {
    let (channel, token) = client::connect(staff).await?;
    let request = proto::DecideRenewalRequest { renewal_id, approve, reason };
    let answer = RenewalServiceClient::with_interceptor(channel, token).decide_renewal(request).await?;
    let renewal = renewal_json(&answer.into_inner().renewal.unwrap_or_default());
    let done = if approve { "Approved: its holder can collect it now." } else { "Rejected; its holder is told why." };
    print_result(staff.json, &renewal, || format!("{done}\n{}", line(&renewal)));
    Ok(())
}

async fn list(pending: bool, staff: &StaffArgs) -> Result<(), StaffFailure> {
    let (channel, token) = client::connect(staff).await?;
    let mut client = RenewalServiceClient::with_interceptor(channel, token);
    let state = if pending { proto::RenewalState::Pending } else { proto::RenewalState::Unspecified };
    let mut renewals = Vec::new();
    let mut page_token = String::new();
    loop {
        let request = proto::ListRenewalsRequest { page_size: 500, page_token, state: state.into() };
        let page = client.list_renewals(request).await?.into_inner();
        renewals.extend(page.renewals.iter().map(renewal_json));
        page_token = page.next_page_token;
        if page_token.is_empty() {
            break;
        }
    }
    print_result(staff.json, &json!({ "renewals": renewals }), || match renewals.as_slice() {
        [] => "No renewals.".to_owned(),
        renewals => renewals.iter().map(line).collect::<Vec<_>>().join("\n"),
    });
    Ok(())
}

fn state_name(state: i32) -> &'static str {
    match proto::RenewalState::try_from(state) {
        Ok(proto::RenewalState::Pending) => "pending",
        Ok(proto::RenewalState::Approved) => "approved",
        Ok(proto::RenewalState::Rejected) => "rejected",
        Ok(proto::RenewalState::Issued) => "issued",
        Ok(proto::RenewalState::Lapsed) => "lapsed",
        Ok(proto::RenewalState::Unspecified) | Err(_) => "unknown",
    }
}

fn renewal_json(renewal: &proto::Renewal) -> Value {
    json!({
        "renewal_id": renewal.renewal_id,
        "offer_id": renewal.offer_id,
        "credential_type": renewal.credential_type,
        "state": state_name(renewal.state),
        "generation": renewal.generation,
        "valid_until": format_timestamp(renewal.valid_until.as_ref()),
        "asked_at": format_timestamp(renewal.asked_at.as_ref()),
        "decided_at": format_timestamp(renewal.decided_at.as_ref()),
        "decided_by": renewal.decided_by,
        "reason": renewal.reason,
    })
}

fn line(renewal: &Value) -> String {
    let text = |name: &str| renewal.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
    let said = |before: &str, name: &str| match text(name) {
        text if text.is_empty() => text,
        text => format!("{before}{text}"),
    };
    let (by, reason) = (said(" by ", "decided_by"), said(": ", "reason"));
    format!(
        "{}  {}{by}{reason}  {} of offer {}, asked {}, would be valid until {}",
        text("renewal_id"),
        text("state"),
        text("credential_type"),
        text("offer_id"),
        text("asked_at"),
        last_day(&text("valid_until"))
    )
}
