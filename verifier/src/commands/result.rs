//! Command `result`: displays the result of a request, or watches it.

use carnet_core::text::displayable_json;
use carnet_proto::verifier::v1::{
    ReadResultRequest, RequestResult, RequestState, WatchResultRequest, WatchResultResponse,
};
use carnet_service::{client::StaffArgs, config::StartError, one_time_output};
use clap::Args;

use super::{StaffFailure, connect_client, show};

#[derive(Debug, Args)]
pub(crate) struct ResultArgs {
    /// The request's id.
    id: String,
    /// Wait for the answer and show the disclosed claims, which are not stored.
    #[arg(long)]
    watch: bool,
    /// The response code with which the wallet returned to your site; that of another request is refused.
    #[arg(long, conflicts_with = "watch", value_name = "CODE")]
    response_code: Option<String>,
    #[command(flatten)]
    staff: StaffArgs,
}

pub(super) async fn run(args: ResultArgs) -> Result<u8, StaffFailure> {
    let mut client = connect_client(&args.staff).await?;
    if !args.watch {
        let response_code = args.response_code.unwrap_or_default();
        let message = ReadResultRequest { id: args.id, response_code };
        let answer = client.read_result(message).await?.into_inner();
        let result = answer.result.unwrap_or_default();
        print_state(&WatchResultResponse { result: Some(result.clone()), disclosed: None }, args.staff.json)?;
        return Ok(exit_code(&result));
    }
    one_time_output::require_writable_output(args.staff.json)?;
    let mut changes = client.watch_result(WatchResultRequest { id: args.id }).await?.into_inner();
    let mut code = 3;
    while let Some(change) = changes.message().await? {
        print_state(&change, args.staff.json)?;
        code = change.result.as_ref().map_or(3, exit_code);
    }
    Ok(code)
}

/// Returns the exit code for a result: 0 for accepted, 1 for refused, expired or erased, 3 for not answered yet.
pub(super) fn exit_code(result: &RequestResult) -> u8 {
    match RequestState::try_from(result.state) {
        Ok(RequestState::Accepted) => 0,
        Ok(RequestState::Refused | RequestState::Expired | RequestState::Erased) => 1,
        Ok(RequestState::Open | RequestState::Unspecified) | Err(_) => 3,
    }
}

/// Prints one state of a request. Disclosed claims are printed and not stored, so the command fails if they cannot be
/// written.
fn print_state(change: &WatchResultResponse, json: bool) -> Result<(), StartError> {
    let result = change.result.clone().unwrap_or_default();
    let mut value = show::result(&result);
    let disclosed = change.disclosed.as_ref().map(show::struct_to_json);
    if let (Some(disclosed), Some(members)) = (&disclosed, value.as_object_mut()) {
        members.insert("disclosed".to_owned(), disclosed.clone());
    }
    let text = || {
        let mut text = format!("Request {}: {}\n", result.id, show::state(result.state));
        text.extend(result.verdict.as_ref().map(show::verdict_text));
        text.extend(
            disclosed
                .as_ref()
                .map(|claims| format!("Disclosed (shown now, not kept):\n{}\n", displayable_json(claims))),
        );
        text.trim_end().to_owned()
    };
    if disclosed.is_none() {
        carnet_console::print_line(if json { value.to_string() } else { text() });
        return Ok(());
    }
    let unseen =
        format!("Request {} was answered, but the disclosed claims could be neither shown nor stored.", result.id);
    one_time_output::show_once(
        json,
        &value,
        text,
        unseen,
        "The verdict is stored: carnet-verifier result. For the claims, ask again.",
    )
}
