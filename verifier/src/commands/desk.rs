//! Command `desk`: shows the QR code of a request to each visitor of a counter, and says the verdict in words.

mod clerk;
mod words;

use std::{path::PathBuf, time::Duration};

use carnet_core::time::Timestamp;
use carnet_proto::verifier::v1::{
    CreateRequestRequest, CreateRequestResponse, RequestResult, RequestState, WatchResultRequest, WatchResultResponse,
    create_request_request::What,
};
use carnet_service::{client::StaffArgs, config::StartError, one_time_output, qr::QrSeries, time::now, wire};
use carnet_spec::Catalogue;
use clap::Args;
use rand_core::OsRng;
use serde_json::{Value, json};
use tonic::Streaming;

use self::{
    clerk::{Clerk, ClerkAction},
    words::{RequestWording, wrapped},
};
use super::{Client, StaffFailure, connect_client, result::exit_code, show};
use crate::ids::RequestId;

/// First delay before the service is called again after a failure; it doubles up to the longest.
const FIRST_DELAY: Duration = Duration::from_millis(250);
const LONGEST_DELAY: Duration = Duration::from_secs(8);

#[derive(Debug, Args)]
pub(crate) struct DeskArgs {
    /// The request template's id, such as job-right-to-work.
    #[arg(long)]
    template: String,
    /// End after the first verdict, and read no input, for scripts.
    #[arg(long)]
    once: bool,
    /// The number of seconds for which each request can be answered; by default that of the configuration.
    #[arg(long, default_value_t = 0)]
    ttl: u32,
    /// Show links for wallets other than Carnet's (OpenID4VP over HTTP).
    #[arg(long)]
    openid: bool,
    /// Show the QR code for a terminal with dark text on a bright background.
    #[arg(long, conflicts_with = "json")]
    qr_inverse: bool,
    /// Also write each QR code to this new file (PNG), which only you can read. The next one replaces it, and the end of
    /// the command removes it.
    #[arg(long, value_name = "FILE")]
    qr_file: Option<PathBuf>,
    /// The folder of your own types and templates, as in the configuration (serve.catalogue), for their names.
    #[arg(long, value_name = "DIR")]
    catalogue: Option<PathBuf>,
    #[command(flatten)]
    staff: StaffArgs,
}

/// Runs the desk. Returns 0 if the clerk ended it; with `--once`, the exit code of `result`.
pub(super) async fn run(args: DeskArgs) -> Result<u8, StaffFailure> {
    one_time_output::require_writable_output(args.staff.json)?;
    let catalogue = args.catalogue.as_deref().map_or_else(Catalogue::embedded, Catalogue::load);
    let catalogue = catalogue.map_err(|error| StaffFailure::Input(error.to_string()))?;
    let client = connect_client(&args.staff).await?;
    let mut desk = Desk {
        client,
        clerk: Clerk::listen(!args.once),
        codes: QrSeries::prepare(args.qr_inverse, args.qr_file.as_deref())?,
        wording: RequestWording::new(&catalogue, &args.template),
        args: &args,
        delay: FIRST_DELAY,
    };
    let (mut is_first, mut is_seen) = (true, false);
    loop {
        let Some(request) = desk.create_request(is_first).await? else { break };
        // The next visitor reads no verdict of the one before.
        if is_seen && !args.staff.json {
            carnet_console::clear_screen();
        }
        desk.show_request(&request)?;
        (is_first, is_seen) = (false, true);
        match desk.await_verdict(&request).await? {
            Visit::Over(code) if args.once => return Ok(code),
            Visit::Over(_) if !desk.wait_for_next().await => break,
            Visit::Over(_) | Visit::Next => {}
            Visit::Unanswered => is_seen = false,
            Visit::Ended if args.once => return Ok(carnet_console::EXIT_TRY_AGAIN),
            Visit::Ended => {
                let until = show::time(request.expires_at.as_ref());
                let open =
                    format!("Request {} stays open until {until}: carnet-verifier result {}", request.id, request.id);
                desk.say(&open);
                break;
            }
        }
    }
    desk.say("The desk is closed.");
    Ok(0)
}

/// End of one visit.
enum Visit {
    /// The request has a final result, with this exit code.
    Over(u8),
    /// A visitor was refused, and the clerk wants a new request.
    Next,
    /// Nobody answered in time: a new request follows at once.
    Unanswered,
    /// The clerk ended the desk while the request was open.
    Ended,
}

/// Event while a request is open.
enum DeskEvent {
    Clerk(ClerkAction),
    Result(Box<WatchResultResponse>),
    /// The service ended the watch, as it does after a final state.
    WatchEnded,
    Failed(StaffFailure),
}

struct Desk<'a> {
    client: Client,
    clerk: Clerk,
    codes: QrSeries,
    wording: RequestWording<'a>,
    args: &'a DeskArgs,
    /// Delay before the next call; longer than the first one during an outage that the clerk was told of.
    delay: Duration,
}

impl Desk<'_> {
    /// Creates a request. A failure that a retry may mend is an error for the first request; later the desk tries again
    /// until the clerk ends it, which gives `None`.
    async fn create_request(&mut self, is_first: bool) -> Result<Option<CreateRequestResponse>, StaffFailure> {
        let request_id = RequestId::generate(&mut OsRng).as_str().to_owned();
        loop {
            let what = Some(What::Template(self.args.template.clone()));
            let call = CreateRequestRequest { request_id: request_id.clone(), what, ttl_seconds: self.args.ttl };
            match self.client.create_request(call).await {
                Ok(made) => {
                    self.note_recovery();
                    return Ok(Some(made.into_inner()));
                }
                Err(status) => {
                    let failure = StaffFailure::from(status);
                    if is_first || !is_passing(&failure) {
                        return Err(failure);
                    }
                    if !self.wait_out(&failure, "No new request was made.").await {
                        return Ok(None);
                    }
                }
            }
        }
    }

    /// Shows what the request asks for, its code and its link.
    fn show_request(&self, request: &CreateRequestResponse) -> Result<(), StartError> {
        let expires_at = show::time(request.expires_at.as_ref());
        let value = json!({
            "event": "request", "id": request.id, "request_uri": request.request_uri,
            "openid_request_uri": request.openid_request_uri, "expires_at": expires_at,
        });
        let link = if self.args.openid { &request.openid_request_uri } else { &request.request_uri };
        let code = self.codes.show(link, !self.args.staff.json);
        let text = || {
            let asked = self.wording.request_text();
            let end = if self.args.once { "" } else { " Ctrl-C ends the desk." };
            let wait = format!("Waiting for an answer until {expires_at}.{end}");
            // The rows of a code fit; a sentence in its place is wrapped.
            format!("{}{}\n{link}\n\n{}", wrapped(&asked), wrapped(&code), wrapped(&wait).trim_end())
        };
        let unseen = format!("Request {} was created, but its link could not be shown.", request.id);
        one_time_output::show_once(self.args.staff.json, &value, text, unseen, "Start the desk again.")
    }

    /// Waits until the request has a result, and says it.
    async fn await_verdict(&mut self, request: &CreateRequestResponse) -> Result<Visit, StaffFailure> {
        let expires_at = request.expires_at.as_ref().and_then(|at| wire::from_timestamp(at).ok());
        let mut watch = None;
        // Refusal that was said last; the holder may answer again.
        let mut refused = None;
        loop {
            let event = tokio::select! {
                action = self.clerk.next_action() => DeskEvent::Clerk(action),
                event = next_event(&mut self.client, &mut watch, &request.id) => event,
            };
            match event {
                DeskEvent::Clerk(ClerkAction::End) => return Ok(Visit::Ended),
                // A visitor who was refused has left. Before an answer, the line is a mistake.
                DeskEvent::Clerk(ClerkAction::Next) if refused.is_some() => return Ok(Visit::Next),
                DeskEvent::Clerk(ClerkAction::Next | ClerkAction::InputOver) => {}
                DeskEvent::WatchEnded if refused.is_some() => return Ok(Visit::Over(carnet_console::EXIT_FAILURE)),
                DeskEvent::WatchEnded => {
                    watch = None;
                    tokio::time::sleep(FIRST_DELAY).await;
                }
                DeskEvent::Result(change) => {
                    self.note_recovery();
                    let result = change.result.clone().unwrap_or_default();
                    let is_said = result.state == i32::from(RequestState::Refused) && refused == result.verdict;
                    if is_said {
                        continue;
                    }
                    if let Some(visit) = self.say_result(&change, &result)? {
                        return Ok(visit);
                    }
                    refused = result.verdict;
                }
                DeskEvent::Failed(failure) => {
                    watch = None;
                    let is_late = expires_at.is_none_or(|at: Timestamp| now() > at);
                    if !is_passing(&failure) || (self.args.once && is_late) {
                        return Err(failure);
                    }
                    if !self.wait_out(&failure, "The request is stored by the service; the desk keeps waiting.").await {
                        return Ok(Visit::Ended);
                    }
                }
            }
        }
    }

    /// Says a state of the request; `None`: the visit continues.
    fn say_result(&self, change: &WatchResultResponse, result: &RequestResult) -> Result<Option<Visit>, StartError> {
        let state = RequestState::try_from(result.state).unwrap_or(RequestState::Unspecified);
        let may_answer_again = state == RequestState::Refused && !self.args.once;
        let visit = match state {
            RequestState::Open | RequestState::Unspecified => return Ok(None),
            RequestState::Expired if !self.args.once => Visit::Unanswered,
            _ => Visit::Over(exit_code(result)),
        };
        let disclosed = change.disclosed.as_ref().map(show::struct_to_json);
        let mut text = self.wording.result_text(state, result, disclosed.as_ref());
        if may_answer_again {
            text.push_str("The visitor can answer again with the same code. Press Enter for the next visitor.\n");
        }
        let mut value = show::result(result);
        if let Some(members) = value.as_object_mut() {
            members.insert("event".to_owned(), Value::from("result"));
            members.insert("not_asked".to_owned(), self.wording.not_asked(result.verdict.as_ref()));
            members.extend(disclosed.map(|claims| ("disclosed".to_owned(), claims)));
        }
        let unseen = format!("Request {} was answered, but its verdict could not be shown.", result.id);
        let hint = "The verdict is stored: carnet-verifier result. For the claims, ask again.";
        let screen = || format!("\n{}", wrapped(&text).trim_end());
        one_time_output::show_once(self.args.staff.json, &value, screen, unseen, hint)?;
        Ok(if may_answer_again { None } else { Some(visit) })
    }

    /// Waits for the clerk before the next visitor, so that no verdict is erased unread. `false`: the desk ends.
    async fn wait_for_next(&mut self) -> bool {
        if self.clerk.is_input_over() {
            return false;
        }
        self.say("\nPress Enter for the next visitor. Ctrl-C ends the desk.");
        self.clerk.next_action().await == ClerkAction::Next
    }

    /// Tells the clerk of a failure, once, and waits before the next call. `false`: the clerk ended the desk.
    async fn wait_out(&mut self, failure: &StaffFailure, state: &str) -> bool {
        if self.delay == FIRST_DELAY {
            let text = if is_broken_connection(failure) {
                "The service does not answer: the connection broke.".to_owned()
            } else {
                failure.to_string()
            };
            carnet_console::print_error_line(wrapped(&format!("{text}\n{state}")).trim_end());
        }
        let delay = self.delay;
        self.delay = delay.saturating_mul(2).min(LONGEST_DELAY);
        tokio::select! {
            () = tokio::time::sleep(delay) => true,
            () = self.clerk.ended() => false,
        }
    }

    /// Tells the clerk that an outage is over.
    fn note_recovery(&mut self) {
        if self.delay != FIRST_DELAY {
            self.delay = FIRST_DELAY;
            carnet_console::print_error_line("The service answers again.");
        }
    }

    /// Prints a line for the clerk; nothing in JSON mode.
    fn say(&self, text: &str) {
        if !self.args.staff.json {
            carnet_console::print(wrapped(text));
        }
    }
}

/// Returns whether a retry may succeed.
fn is_passing(failure: &StaffFailure) -> bool {
    failure.exit_code() == carnet_console::EXIT_TRY_AGAIN || is_broken_connection(failure)
}

fn is_broken_connection(failure: &StaffFailure) -> bool {
    matches!(failure, StaffFailure::Refused(status) if wire::is_connection_failure(status))
}

/// Returns the next state of a request, and starts to watch it if it is not watched. Cancellation loses no state.
async fn next_event(client: &mut Client, watch: &mut Option<Streaming<WatchResultResponse>>, id: &str) -> DeskEvent {
    if watch.is_none() {
        match client.watch_result(WatchResultRequest { id: id.to_owned() }).await {
            Ok(stream) => *watch = Some(stream.into_inner()),
            Err(status) => return DeskEvent::Failed(status.into()),
        }
    }
    let Some(stream) = watch else { return DeskEvent::WatchEnded };
    match stream.message().await {
        Ok(Some(change)) => DeskEvent::Result(Box::new(change)),
        Ok(None) => DeskEvent::WatchEnded,
        Err(status) => DeskEvent::Failed(status.into()),
    }
}
