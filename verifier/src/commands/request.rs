//! Commands `request create` and `request list`.

use std::{collections::HashMap, path::PathBuf};

use carnet_proto::verifier::v1::{
    CreateRequestRequest, CustomQuery, ListRequestsRequest, create_request_request::What,
};
use carnet_service::{client::StaffArgs, one_time_output, qr::QrArgs};
use clap::{Args, Subcommand};
use rand_core::OsRng;
use serde_json::json;

use super::{StaffFailure, connect_client, read_query, show};
use crate::ids::RequestId;

#[derive(Debug, Subcommand)]
pub(crate) enum RequestCommand {
    /// Create a request, and print the link for the holder.
    Create(Box<RequestCreateArgs>),
    /// List requests, newest first.
    List {
        #[command(flatten)]
        staff: StaffArgs,
        /// The maximum number of requests to list; at most 500.
        #[arg(long, default_value_t = 50)]
        limit: u32,
        /// The token of the next page, as the previous page printed it.
        #[arg(long, default_value = "")]
        page_token: String,
    },
}

#[derive(Debug, Args)]
#[command(group = clap::ArgGroup::new("what").required(true).args(["template", "query"]))]
pub(crate) struct RequestCreateArgs {
    #[command(flatten)]
    staff: StaffArgs,
    /// A request template's id, such as job-right-to-work.
    #[arg(long)]
    template: Option<String>,
    /// A file with your own DCQL query; `-` is standard input.
    #[arg(long, requires_all = ["purpose", "legal_basis", "retention"])]
    query: Option<PathBuf>,
    /// The purpose, in English.
    #[arg(long, requires = "query")]
    purpose: Option<String>,
    /// The legal basis, in English.
    #[arg(long, requires = "query")]
    legal_basis: Option<String>,
    /// The data that you keep, and for how long, in English.
    #[arg(long, requires = "query")]
    retention: Option<String>,
    /// The intended use of your registration that covers the query.
    #[arg(long, requires = "query")]
    intended_use: Option<String>,
    /// Allow types and claims that the verifier's catalogue does not contain.
    #[arg(long, requires = "query")]
    allow_unknown: bool,
    /// Ask for an issuer's statement that each credential is still valid, at most this many seconds old (43200 to
    /// 604800).
    #[arg(long, requires = "query", value_name = "SECONDS")]
    freshness_seconds_max: Option<u32>,
    /// The number of seconds for which the request can be answered; by default that of the configuration.
    #[arg(long, default_value_t = 0)]
    ttl: u32,
    /// Print the link for the holder and nothing else, for scripts.
    #[arg(long, conflicts_with = "json")]
    link: bool,
    /// Print the link for wallets other than Carnet's (OpenID4VP over HTTP).
    #[arg(long, conflicts_with = "json")]
    openid: bool,
    #[command(flatten)]
    qr: QrArgs,
    /// Your own id for this call: the same id returns the same request.
    #[arg(long)]
    request_id: Option<String>,
}

pub(super) async fn run(verb: RequestCommand) -> Result<u8, StaffFailure> {
    match verb {
        RequestCommand::Create(args) => create(*args).await,
        RequestCommand::List { staff, limit, page_token } => list(staff, limit, page_token).await,
    }
}

async fn create(args: RequestCreateArgs) -> Result<u8, StaffFailure> {
    if args.link {
        one_time_output::require_output_for_scripts()?;
    } else {
        one_time_output::require_writable_output(args.staff.json)?;
    }
    let english = |text: Option<String>| HashMap::from([("en".to_owned(), text.unwrap_or_default())]);
    let what = match (args.template, &args.query) {
        (Some(template), _) => What::Template(template),
        (None, Some(file)) => What::Query(CustomQuery {
            dcql_query: Some(read_query(file)?),
            purpose: english(args.purpose),
            legal_basis: english(args.legal_basis),
            retention: english(args.retention),
            intended_use: args.intended_use.unwrap_or_default(),
            allow_unknown: args.allow_unknown,
            freshness_seconds_max: args.freshness_seconds_max.unwrap_or_default(),
        }),
        (None, None) => return Err(StaffFailure::Input("give --template or --query".to_owned())),
    };
    let qr = args.qr.prepare()?;
    let request_id = args.request_id.unwrap_or_else(|| RequestId::generate(&mut OsRng).as_str().to_owned());
    let message = CreateRequestRequest { request_id: request_id.clone(), what: Some(what), ttl_seconds: args.ttl };
    let made = connect_client(&args.staff).await?.create_request(message).await?.into_inner();
    let expires_at = show::time(made.expires_at.as_ref());
    let value = json!({
        "id": made.id, "request_uri": made.request_uri, "openid_request_uri": made.openid_request_uri,
        "expires_at": expires_at,
    });
    let link = if args.openid { &made.openid_request_uri } else { &made.request_uri };
    let drawn = qr.finish(link);
    let text = || {
        if args.link {
            return link.clone();
        }
        format!(
            "Request {} can be answered until {expires_at}. Hand this link to the holder:\n{link}{drawn}\n\n\
             Next: carnet-verifier result {} --watch",
            made.id, made.id
        )
    };
    let unseen =
        format!("Request {} was created, but its link could not be printed. It expires at {expires_at}.", made.id);
    let hint = format!("Repeat the command with --request-id {request_id}: it shows the same link.");
    one_time_output::show_once(args.staff.json, &value, text, unseen, hint)?;
    Ok(0)
}

async fn list(staff: StaffArgs, limit: u32, page_token: String) -> Result<u8, StaffFailure> {
    let message = ListRequestsRequest { page_size: limit, page_token };
    let page = connect_client(&staff).await?.list_requests(message).await?.into_inner();
    if staff.json {
        let results: Vec<_> = page.results.iter().map(show::result).collect();
        carnet_console::print_line(json!({"requests": results, "next_page_token": page.next_page_token}));
        return Ok(0);
    }
    if page.results.is_empty() {
        carnet_console::print_line("There are no requests.");
    }
    for result in &page.results {
        let template = if result.template.is_empty() { "(own query)" } else { &result.template };
        let created = show::time(result.created_at.as_ref());
        carnet_console::print_line(format_args!(
            "{}  {:<8}  {created}  {template}",
            result.id,
            show::state(result.state)
        ));
    }
    if !page.next_page_token.is_empty() {
        carnet_console::print_line(format_args!("There are more: --page-token {}", page.next_page_token));
    }
    Ok(0)
}
