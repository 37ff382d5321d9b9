//! `result`.

use carnet_proto::verifier::v1::{
    ReadResultRequest, RequestResult, RequestState, WatchResultRequest, WatchResultResponse,
};
use carnet_service::client::StaffArgs;
use clap::Args;

use super::{Failure, client, show};

#[derive(Debug, Args)]
pub(crate) struct ResultArgs {
    /// The request's id.
    id: String,
    /// Waits for the answer and shows what was disclosed, which is not kept.
    #[arg(long)]
    watch: bool,
    #[command(flatten)]
    staff: StaffArgs,
}

pub(super) async fn run(args: ResultArgs) -> Result<u8, Failure> {
    let mut client = client(&args.staff).await?;
    if !args.watch {
        let answer = client.read_result(ReadResultRequest { id: args.id }).await?.into_inner();
        let result = answer.result.unwrap_or_default();
        print(&WatchResultResponse { result: Some(result.clone()), disclosed: None }, args.staff.json);
        return Ok(exit_code(&result));
    }
    let mut changes = client.watch_result(WatchResultRequest { id: args.id }).await?.into_inner();
    let mut code = 3;
    while let Some(change) = changes.message().await? {
        print(&change, args.staff.json);
        code = change.result.as_ref().map_or(3, exit_code);
    }
    Ok(code)
}

/// 0 accepted, 1 refused, expired or erased, 3 not answered yet.
pub(super) fn exit_code(result: &RequestResult) -> u8 {
    match RequestState::try_from(result.state) {
        Ok(RequestState::Accepted) => 0,
        Ok(RequestState::Refused | RequestState::Expired | RequestState::Erased) => 1,
        Ok(RequestState::Open | RequestState::Unspecified) | Err(_) => 3,
    }
}

fn print(change: &WatchResultResponse, json: bool) {
    let result = change.result.clone().unwrap_or_default();
    if json {
        let mut value = show::result(&result);
        if let (Some(disclosed), Some(members)) = (&change.disclosed, value.as_object_mut()) {
            members.insert("disclosed".to_owned(), show::structure(disclosed));
        }
        println!("{value}");
        return;
    }
    println!("Request {}: {}", result.id, show::state(result.state));
    if let Some(verdict) = &result.verdict {
        print!("{}", show::verdict_text(verdict));
    }
    if let Some(disclosed) = &change.disclosed {
        println!("Disclosed (shown now, not kept):\n{:#}", show::structure(disclosed));
    }
}
