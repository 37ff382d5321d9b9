//! Command `why`: displays entry and rule of the decisions about the issuers of a presentation.

use carnet_proto::verifier::v1::ReadResultRequest;
use carnet_service::client::StaffArgs;
use clap::Args;
use serde_json::{Value, json};

use super::{StaffFailure, connect_client, show};

#[derive(Debug, Args)]
pub(crate) struct ResultWhyArgs {
    /// The request's id.
    id: String,
    #[command(flatten)]
    staff: StaffArgs,
}

/// Prints the decisions. Returns 0 if every issuer was accepted, 3 if the request is not answered yet, otherwise 1.
pub(super) async fn run(args: ResultWhyArgs) -> Result<u8, StaffFailure> {
    let mut client = connect_client(&args.staff).await?;
    let answer = client.read_result(ReadResultRequest { id: args.id, ..Default::default() }).await?.into_inner();
    let result = answer.result.unwrap_or_default();
    let verdict = result.verdict.clone().unwrap_or_default();
    if args.staff.json {
        let issuers: Value = verdict.issuers.iter().map(show::decision).collect();
        carnet_console::print_line(
            json!({"id": result.id, "state": show::state(result.state), "reason": verdict.reason, "issuers": issuers}),
        );
    } else if verdict.issuers.is_empty() {
        let state = show::state(result.state);
        carnet_console::print_line(format_args!("Request {}: {state}; no issuer was asked about.", result.id));
    } else {
        verdict.issuers.iter().for_each(|decision| carnet_console::print(show::decision_text(decision)));
    }
    let accepted = !verdict.issuers.is_empty() && verdict.issuers.iter().all(|decision| decision.accepted);
    match (accepted, super::result::exit_code(&result)) {
        (true, _) => Ok(0),
        (false, 3) => Ok(3),
        (false, _) => Ok(1),
    }
}
