//! Commands `offer create`, `offer list`, `offer cancel`, `offer release` and `offer reject`.

use std::path::{Path, PathBuf};

use carnet_core::{
    Problem, day,
    format::CredentialFormat,
    json::{self, Limits},
    text::displayable_lines,
    time::Timestamp,
};
use carnet_proto::issuer::v1::{self as proto, offer_service_client::OfferServiceClient};
use carnet_service::{
    client::{self, StaffArgs},
    disk, one_time_output,
    qr::QrArgs,
    wire,
};
use carnet_spec::{Catalogue, CredentialType};
use clap::{Args, Subcommand};
use serde_json::{Map, Value, json};

use super::{
    StaffFailure, format_name, format_timestamp, last_day, print_result,
    references::{self, ReferenceArgs},
    status::{parse_from, parse_until},
};
use crate::secrets;

#[derive(Debug, Subcommand)]
pub(crate) enum OfferVerb {
    /// Create an offer for one person.
    Create(OfferCreateArgs),
    /// List offers, newest first; several conditions must all match.
    List(OfferListArgs),
    /// Cancel offers that were not collected, and erase their claims.
    Cancel(OfferCancelArgs),
    /// Release a deferred offer for collection.
    Release {
        /// The offer's id.
        id: String,
        /// The reason, for the record; no personal data.
        #[arg(long, default_value = "")]
        reason: String,
        #[command(flatten)]
        staff: StaffArgs,
    },
    /// Refuse a deferred offer, and erase its claims.
    Reject {
        /// The offer's id.
        id: String,
        /// The reason, for the record and for the holder; no personal data.
        #[arg(long)]
        reason: String,
        #[command(flatten)]
        staff: StaffArgs,
    },
}

#[derive(Debug, Args)]
#[command(group = clap::ArgGroup::new("which").required(true).args(["id", "references", "import"]))]
pub(crate) struct OfferCancelArgs {
    /// The offer's id.
    id: Option<String>,
    #[command(flatten)]
    which: ReferenceArgs,
    /// Only count, and change nothing.
    #[arg(long, conflicts_with = "id")]
    dry_run: bool,
    /// Approve the cancellation of several offers; with --count.
    #[arg(long)]
    yes: bool,
    /// The expected number of offers that are cancelled; with another number nothing is changed.
    #[arg(long, value_name = "COUNT", conflicts_with = "id")]
    count: Option<u64>,
    #[command(flatten)]
    staff: StaffArgs,
}

#[derive(Debug, Args)]
pub(crate) struct OfferListArgs {
    /// Only offers in this state: open, redeemed, collected, cancelled, expired or locked.
    #[arg(long, value_parser = parse_state)]
    state: Option<proto::OfferState>,
    #[command(flatten)]
    which: OfferFilterArgs,
    #[command(flatten)]
    staff: StaffArgs,
}

/// Conditions on offers, also for the list of copies issued from them.
#[derive(Debug, Args)]
pub(crate) struct OfferFilterArgs {
    /// Only offers of this credential type, or copies issued from them.
    #[arg(long = "type", default_value = "", hide_default_value = true)]
    pub(super) credential_type: String,
    /// Only offers with exactly this reference, or copies issued from them.
    #[arg(long, default_value = "", hide_default_value = true)]
    pub(super) reference: String,
    /// Only offers created by this staff member, or copies issued from them.
    #[arg(long = "by", value_name = "NAME", default_value = "", hide_default_value = true)]
    pub(super) created_by: String,
    /// Only offers created, or copies issued, on or after this day: a day in UTC, or an instant.
    #[arg(long, value_name = "DAY", value_parser = parse_from)]
    pub(super) from: Option<Timestamp>,
    /// Only offers created, or copies issued, up to the end of this day: a day in UTC, or an instant.
    #[arg(long, value_name = "DAY", value_parser = parse_until)]
    pub(super) until: Option<Timestamp>,
}

#[derive(Debug, Args)]
pub(crate) struct OfferCreateArgs {
    /// The credential type, such as QualificationCredential.
    #[arg(long = "type")]
    credential_type: String,
    /// vc+sd-jwt, dc+sd-jwt, ldp_vc or di_vc+jcs.
    #[arg(long, default_value_t = CredentialFormat::VcSdJwt, value_parser = parse_format)]
    format: CredentialFormat,
    /// A JSON file with the claims of credentialSubject; `-` reads standard input.
    #[arg(long, required_unless_present = "example")]
    claims: Option<PathBuf>,
    /// For trials: use the claims of the type's example, which is about no real person.
    #[arg(long, conflicts_with = "claims")]
    example: bool,
    /// A directory with types/, requests/, services/ and vct.toml of your own, for the examples of its types; the same as
    /// `serve.catalogue` in the configuration.
    #[arg(long, value_name = "DIR", requires = "example")]
    catalogue: Option<PathBuf>,
    /// Require a PIN, which you send to the holder separately.
    #[arg(long)]
    pin: bool,
    /// Print the link for the holder and nothing else, for scripts.
    #[arg(long, conflicts_with_all = ["json", "pin"])]
    link: bool,
    /// Use the link for wallets other than Carnet's (OpenID4VCI, by reference) with --link, --qr and --qr-file.
    #[arg(long)]
    openid: bool,
    #[command(flatten)]
    qr: QrArgs,
    /// Defer the offer until `offer release`.
    #[arg(long)]
    deferred: bool,
    /// The first day of validity, in UTC; by default today. A later day must be the first of an epoch.
    #[arg(long, value_name = "DAY", value_parser = parse_first_day)]
    valid_from: Option<Timestamp>,
    /// The last day of validity, to its end in UTC; by default the type's number of days. It is rounded down to the
    /// issuer's epoch (a month, unless configured otherwise), so that the day identifies nobody.
    #[arg(long, value_name = "DAY", value_parser = parse_last_day)]
    valid_until: Option<Timestamp>,
    /// The number of seconds for which the offer can be redeemed; by default that of the configuration.
    #[arg(long)]
    ttl: Option<u32>,
    /// Your own reference, such as a file number, to find the offer by. Do not include personal data: it is kept as
    /// long as the record of the offer, which is longer than the claims.
    #[arg(long, default_value = "", hide_default_value = true)]
    reference: String,
    /// An id of your choice that makes a retry safe: the same id returns the same offer.
    #[arg(long)]
    request_id: Option<String>,
    #[command(flatten)]
    staff: StaffArgs,
}

fn parse_state(text: &str) -> Result<proto::OfferState, String> {
    let known = |state: &proto::OfferState| state_name((*state).into()) == text;
    STATES
        .into_iter()
        .find(known)
        .ok_or_else(|| "one of open, redeemed, collected, cancelled, expired, locked".to_owned())
}

pub(super) fn parse_format(text: &str) -> Result<CredentialFormat, String> {
    let names = || CredentialFormat::ALL.map(CredentialFormat::as_str).join(", ");
    CredentialFormat::parse(text).ok_or_else(|| format!("one of {}", names()))
}

/// Parses the first day of validity, and returns its start (UTC).
fn parse_first_day(text: &str) -> Result<Timestamp, String> {
    require_day_start(day::parse_start(text))
}

/// Parses the last day of validity, and returns its end: the start of the next day (UTC).
fn parse_last_day(text: &str) -> Result<Timestamp, String> {
    require_day_start(day::parse_end(text))
}

/// Refuses an instant that is not the start of a day (UTC).
fn require_day_start(at: Result<Timestamp, Problem>) -> Result<Timestamp, String> {
    let at = at.map_err(|problem| problem.detail)?;
    if at == at.start_of_day() {
        return Ok(at);
    }
    Err(format!("credentials are valid for whole days (UTC), and {at} is within a day; give a day, such as 2026-11-30"))
}

pub(super) async fn run(verb: OfferVerb) -> Result<(), StaffFailure> {
    match verb {
        OfferVerb::Create(args) => create(args).await,
        OfferVerb::List(args) => list(args).await,
        OfferVerb::Cancel(args) => cancel(args).await,
        OfferVerb::Reject { id, reason, staff } => {
            let (channel, token) = client::connect(&staff).await?;
            let request = proto::RejectOfferRequest { offer_id: id, reason };
            let answer = OfferServiceClient::with_interceptor(channel, token).reject_offer(request).await?;
            let offer = offer_json(&answer.into_inner().offer.unwrap_or_default());
            print_result(staff.json, &offer, || {
                format!("Rejected; its claims are erased, and its holder is told why.\n{}", line(&offer))
            });
            Ok(())
        }
        OfferVerb::Release { id, reason, staff } => {
            let (channel, token) = client::connect(&staff).await?;
            let request = proto::ReleaseOfferRequest { offer_id: id, request_id: secrets::random_id(), reason };
            let answer = OfferServiceClient::with_interceptor(channel, token).release_offer(request).await?;
            let offer = offer_json(&answer.into_inner().offer.unwrap_or_default());
            print_result(staff.json, &offer, || format!("Released: its holder can collect it now.\n{}", line(&offer)));
            Ok(())
        }
    }
}

async fn cancel(args: OfferCancelArgs) -> Result<(), StaffFailure> {
    let (channel, token) = client::connect(&args.staff).await?;
    let mut client = OfferServiceClient::with_interceptor(channel.clone(), token.clone());
    let request = |offer_id: String| proto::CancelOfferRequest { offer_id, request_id: secrets::random_id() };
    if let Some(id) = args.id {
        let answer = client.cancel_offer(request(id)).await?;
        let offer = offer_json(&answer.into_inner().offer.unwrap_or_default());
        print_result(args.staff.json, &offer, || format!("Cancelled; its claims are erased.\n{}", line(&offer)));
        return Ok(());
    }
    let found = args.which.find(channel, token).await?;
    let is_open =
        |offer: &&proto::Offer| matches!(offer.state(), proto::OfferState::Open | proto::OfferState::Redeemed);
    let open: Vec<&proto::Offer> = found.iter().filter(is_open).collect();
    let others = found.len().saturating_sub(open.len());
    if !args.dry_run {
        references::require_count(open.len(), args.count, args.yes)?;
    }
    let mut cancelled = 0_usize;
    for offer in open.iter().filter(|_| !args.dry_run) {
        match client.cancel_offer(request(offer.offer_id.clone())).await {
            Ok(_) => cancelled = cancelled.saturating_add(1),
            // It was collected in the meantime.
            Err(status) if status.code() == tonic::Code::FailedPrecondition => {}
            Err(status) => {
                carnet_console::print_error_line(format_args!(
                    "{cancelled} offers were cancelled before this error; the same command continues with the others."
                ));
                return Err(status.into());
            }
        }
    }
    let value = json!({"found": found.len(), "open": open.len(), "cancelled": cancelled, "dry_run": args.dry_run});
    print_result(args.staff.json, &value, || {
        let rest = format!("{others} others are collected, cancelled, expired or locked already.");
        if args.dry_run {
            return format!("{} offers would be cancelled; {rest} Nothing was changed.", open.len());
        }
        format!("{cancelled} offers are cancelled; their claims are erased. {rest}")
    });
    Ok(())
}

async fn create(args: OfferCreateArgs) -> Result<(), StaffFailure> {
    if args.link {
        one_time_output::require_output_for_scripts()?;
    } else {
        one_time_output::require_writable_output(args.staff.json)?;
    }
    let claims = match &args.claims {
        Some(file) => read_claims(file)?,
        None => example_claims(&args.credential_type, args.catalogue.as_deref())?,
    };
    let qr = args.qr.prepare()?;
    let (channel, token) = client::connect(&args.staff).await?;
    let request = proto::CreateOfferRequest {
        request_id: args.request_id.unwrap_or_else(secrets::random_id),
        credential_type: args.credential_type,
        format: crate::grpc::values::format_to_wire(args.format).into(),
        claims: Some(wire::to_struct(&claims)),
        with_pin: args.pin,
        offer_ttl_seconds: args.ttl.unwrap_or_default(),
        valid_until: args.valid_until.map(wire::to_timestamp),
        deferred: args.deferred,
        valid_from: args.valid_from.map(wire::to_timestamp),
        reference: args.reference,
    };
    let made = OfferServiceClient::with_interceptor(channel, token).create_offer(request).await?.into_inner();
    let mut value = offer_json(&made.offer.unwrap_or_default());
    if let Some(members) = value.as_object_mut() {
        let secrets =
            [("offer_uri", &made.offer_uri), ("offer_reference_uri", &made.offer_reference_uri), ("pin", &made.pin)];
        for (name, secret) in secrets {
            members.insert(name.to_owned(), if secret.is_empty() { Value::Null } else { json!(secret) });
        }
        members.insert("warnings".to_owned(), json!(made.warnings));
    }
    let link = if args.openid { &made.offer_reference_uri } else { &made.offer_uri };
    let drawn = qr.finish(link);
    let text = || {
        if args.link {
            return link.clone();
        }
        let mut text = line(&value);
        made.warnings.iter().for_each(|warning| text.push_str(&format!("\nWarning: {warning}")));
        if made.offer_uri.is_empty() {
            text.push_str(
                "\nAn earlier call with this request_id created the offer; its link and PIN were shown then and \
                 cannot be shown again.",
            );
        } else {
            text.push_str(&format!("\n\nFor the holder, shown only once:\n{}", made.offer_uri));
            text.push_str(&format!("\n\nThe same for an OpenID4VCI wallet:\n{}", made.offer_reference_uri));
        }
        text.push_str(&drawn);
        if !made.pin.is_empty() {
            text.push_str(&format!("\n\nPIN, to send separately: {}", made.pin));
        }
        text
    };
    let id = value.get("offer_id").and_then(Value::as_str).unwrap_or_default();
    if args.link {
        if made.offer_uri.is_empty() {
            return Err(StaffFailure::Input(format!(
                "the link of the offer {id} was shown when it was made, and is not known any more"
            )));
        }
        made.warnings.iter().for_each(|warning| {
            carnet_console::print_error_line(format_args!("Warning: {}", displayable_lines(warning)))
        });
    }
    let unseen = format!("The offer {id} was created, but its link and PIN could not be printed.");
    let hint =
        format!("Cancel it with `carnet-issuer offer cancel {id}`, and create it again with another request id.");
    Ok(one_time_output::show_once(args.staff.json, &value, text, unseen, hint)?)
}

async fn list(args: OfferListArgs) -> Result<(), StaffFailure> {
    let staff = &args.staff;
    let (channel, token) = client::connect(staff).await?;
    let mut client = OfferServiceClient::with_interceptor(channel, token);
    let mut offers = Vec::new();
    let mut page_token = String::new();
    loop {
        let request = proto::ListOffersRequest {
            page_size: 500,
            page_token,
            state: args.state.unwrap_or_default().into(),
            credential_type: args.which.credential_type.clone(),
            reference: args.which.reference.clone(),
            created_by: args.which.created_by.clone(),
            created_from: args.which.from.map(wire::to_timestamp),
            created_until: args.which.until.map(wire::to_timestamp),
        };
        let page = client.list_offers(request).await?.into_inner();
        offers.extend(page.offers.iter().map(offer_json));
        page_token = page.next_page_token;
        if page_token.is_empty() {
            break;
        }
    }
    print_result(staff.json, &json!({ "offers": offers }), || match offers.as_slice() {
        [] => "No offers.".to_owned(),
        offers => offers.iter().map(line).collect::<Vec<_>>().join("\n"),
    });
    Ok(())
}

/// Returns the example claims of a type: from the catalogue in `folder`, or the embedded one.
fn example_claims(name: &str, folder: Option<&Path>) -> Result<Map<String, Value>, StaffFailure> {
    let catalogue = folder.map_or_else(Catalogue::embedded, Catalogue::load);
    let catalogue = catalogue.map_err(|error| StaffFailure::Input(error.to_string()))?;
    let known = catalogue.credential_type(name).map(CredentialType::example_claims);
    known.ok_or_else(|| {
        let unknown = catalogue.unknown_type(name).map(|unknown| unknown.to_string()).unwrap_or_default();
        StaffFailure::Input(format!(
            "{unknown}\nhint: correct --type, or name the folder of your own types with --catalogue"
        ))
    })
}

fn read_claims(path: &Path) -> Result<Map<String, Value>, StaffFailure> {
    let failed = |what: String| {
        StaffFailure::Input(format!(
            "the claims in {} are refused: {what}\nhint: give a JSON object of the type's claims",
            path.display()
        ))
    };
    let text = disk::read_file_or_stdin(path).map_err(|error| {
        StaffFailure::Unreadable(format!(
            "the claims in {} cannot be read: {error}\nhint: check the path, and that the file is text in UTF-8",
            path.display()
        ))
    })?;
    match json::parse_authored(&text, Limits::DOCUMENT) {
        Ok(Value::Object(claims)) => Ok(claims),
        Ok(_) => Err(failed("not a JSON object".to_owned())),
        Err(problem) => Err(failed(problem.to_string())),
    }
}

/// All states of an offer.
const STATES: [proto::OfferState; 6] = [
    proto::OfferState::Open,
    proto::OfferState::Redeemed,
    proto::OfferState::Collected,
    proto::OfferState::Cancelled,
    proto::OfferState::Expired,
    proto::OfferState::Locked,
];

fn state_name(state: i32) -> &'static str {
    match proto::OfferState::try_from(state) {
        Ok(proto::OfferState::Open) => "open",
        Ok(proto::OfferState::Redeemed) => "redeemed",
        Ok(proto::OfferState::Collected) => "collected",
        Ok(proto::OfferState::Cancelled) => "cancelled",
        Ok(proto::OfferState::Expired) => "expired",
        Ok(proto::OfferState::Locked) => "locked",
        Ok(proto::OfferState::Unspecified) | Err(_) => "unknown",
    }
}

fn offer_json(offer: &proto::Offer) -> Value {
    json!({
        "offer_id": offer.offer_id,
        "credential_type": offer.credential_type,
        "format": format_name(offer.format),
        "state": state_name(offer.state),
        "deferred": offer.deferred,
        "created_at": format_timestamp(offer.created_at.as_ref()),
        "expires_at": format_timestamp(offer.expires_at.as_ref()),
        "valid_from": format_timestamp(offer.valid_from.as_ref()),
        "valid_until": format_timestamp(offer.valid_until.as_ref()),
        "reference": offer.reference,
        "created_by": offer.created_by,
        "decision": offer.decision.as_ref().map(|decision| json!({
            "released": decision.released,
            "decided_at": format_timestamp(decision.decided_at.as_ref()),
            "decided_by": decision.decided_by,
            "reason": decision.reason,
        })),
    })
}

fn line(offer: &Value) -> String {
    let text = |name: &str| offer.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
    let deferred = if offer.get("deferred") == Some(&Value::Bool(true)) { ", deferred" } else { "" };
    let said = |name: &str| offer.pointer(&format!("/decision/{name}")).and_then(Value::as_str).unwrap_or_default();
    let decision = offer.pointer("/decision/released").and_then(Value::as_bool).map(|released| {
        let verb = if released { "released" } else { "rejected" };
        let reason = if said("reason").is_empty() { String::new() } else { format!(": {}", said("reason")) };
        format!(", {verb} {} by {}{reason}", said("decided_at"), said("decided_by"))
    });
    let beside = |before: &str, name: &str| match text(name) {
        text if text.is_empty() => text,
        text => format!("{before}{text}"),
    };
    format!(
        "{}  {}  {} ({}{deferred}), to be collected until {}, valid until {}{}{}{}",
        text("offer_id"),
        text("state"),
        text("credential_type"),
        text("format"),
        text("expires_at"),
        last_day(&text("valid_until")),
        beside(", reference ", "reference"),
        beside(", made by ", "created_by"),
        decision.unwrap_or_default()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_type_is_told_with_the_nearest() {
        assert!(example_claims("QualificationCredential", None).is_ok());
        for (name, says) in [
            ("QualificationCredental", "no type \"QualificationCredental\"; the nearest is QualificationCredential"),
            ("Passport", "no type \"Passport\"\n"),
        ] {
            let Err(StaffFailure::Input(refused)) = example_claims(name, None) else { panic!("{name} has an example") };
            assert!(refused.contains(says) && refused.contains("--catalogue"), "{refused}");
        }
    }
}
