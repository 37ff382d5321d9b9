//! Commands `status revoke`, `suspend`, `reinstate`, `message`, `show`, `changed` and `audit`.

use std::{collections::HashSet, path::PathBuf};

use carnet_console::{Answer, Question};
use carnet_core::{day, input::decode_file_text, time::Timestamp};
use carnet_proto::issuer::v1::{self as proto, status_service_client::StatusServiceClient};
use carnet_service::{
    client::{self, StaffArgs},
    disk, wire,
};
use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::{StaffFailure, format_timestamp, print_result, references::ReferenceArgs};
use crate::secrets;

#[derive(Debug, Subcommand)]
pub(crate) enum StatusVerb {
    /// Revoke credentials for good. This cannot be undone, so it asks, or needs --yes. The lists show it at once.
    Revoke(TimedArgs),
    /// Suspend credentials for now. The lists show it at once.
    Suspend(TimedArgs),
    /// End a suspension. The lists show it at the next publication time; the holder's wallet can get new copies at
    /// once.
    Reinstate(TimedArgs),
    /// Send a message to the holders of credentials, by its number in the configuration. It changes no status and is in
    /// no list: wallets receive it at their next refresh.
    Message(MessageArgs),
    /// Show the status of a credential's copies.
    Show {
        /// The id of the offer, or of one issued copy.
        id: String,
        #[command(flatten)]
        staff: StaffArgs,
    },
    /// List the ids of what an act changed, one per line, as --file reads them: to undo exactly that act.
    Changed {
        /// The number of the act, as audit shows it.
        act: u64,
        #[command(flatten)]
        staff: StaffArgs,
    },
    /// Show the audit log, newest first: who, when, what, why.
    Audit {
        /// Show only the actions on this offer or issued copy.
        #[arg(default_value = "")]
        id: String,
        #[command(flatten)]
        staff: StaffArgs,
    },
}

#[derive(Debug, Args)]
#[command(group = clap::ArgGroup::new("whom").required(true).multiple(true).args(["ids", "file", "credential_type", "from", "until", "references", "import"]))]
pub(crate) struct ChangeArgs {
    /// Ids of offers, each for all copies of its credential, or of single issued copies.
    #[arg(value_parser = parse_id)]
    ids: Vec<String>,
    /// A file with such ids, one per line; `-` reads standard input.
    #[arg(long, conflicts_with_all = ["ids", "references", "import"])]
    file: Option<PathBuf>,
    #[command(flatten)]
    which: ReferenceArgs,
    /// Every credential of this type.
    #[arg(long = "type", conflicts_with_all = ["ids", "file", "references", "import"])]
    credential_type: Option<String>,
    /// Every credential issued from this day on: a date, or a time with offset.
    #[arg(long, value_parser = parse_from, conflicts_with_all = ["ids", "file", "references", "import"])]
    from: Option<Timestamp>,
    /// Every credential issued until the end of this day: a date, or a time with offset.
    #[arg(long, value_parser = parse_until, conflicts_with_all = ["ids", "file", "references", "import"])]
    until: Option<Timestamp>,
    /// The reason, for the record; no personal data.
    #[arg(long)]
    reason: String,
    /// Only count, and change nothing.
    #[arg(long)]
    dry_run: bool,
    /// The expected number of credentials; with another number nothing is changed. Needed unless there is one id. A dry
    /// run prints it.
    #[arg(long, value_name = "COUNT")]
    count: Option<u64>,
    /// Approve without a question: needed to revoke, and to change more than one credential.
    #[arg(long)]
    yes: bool,
    /// Refused: replaced by `--yes --count COUNT`.
    #[arg(long, value_name = "COUNT", hide = true)]
    yes_count: Option<u64>,
    /// An id of your choice that makes a retry safe: the same id changes nothing twice.
    #[arg(long)]
    request_id: Option<String>,
    #[command(flatten)]
    staff: StaffArgs,
}

#[derive(Debug, Args)]
pub(crate) struct TimedArgs {
    #[command(flatten)]
    change: ChangeArgs,
    /// Publish the change at once.
    #[arg(long, conflicts_with = "not_urgent")]
    urgent: bool,
    /// Publish the change at the next publication time, together with all others: an archive of the lists then shows
    /// that the copies of one credential changed together.
    #[arg(long)]
    not_urgent: bool,
}

impl TimedArgs {
    fn urgency(&self) -> proto::StatusUrgency {
        match (self.urgent, self.not_urgent) {
            (true, _) => proto::StatusUrgency::Urgent,
            (_, true) => proto::StatusUrgency::NotUrgent,
            _ => proto::StatusUrgency::Unspecified,
        }
    }
}

#[derive(Debug, Args)]
#[command(allow_missing_positional = true)]
pub(crate) struct MessageArgs {
    #[command(flatten)]
    change: ChangeArgs,
    /// The number of the text, 1 to 15; 0 removes the message.
    #[arg(value_parser = clap::value_parser!(u8).range(0..=15))]
    number: u8,
}

/// Parses an id. Refuses a number of up to seven digits, which earlier versions took as the value of `--yes`.
fn parse_id(text: &str) -> Result<String, String> {
    // Ids are 22 characters long.
    if text.len() <= 7 && text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(format!("this is not an id; to give a number of credentials, use --yes --count {text}"));
    }
    Ok(text.to_owned())
}

/// Parses a day or an instant, and returns the first second of the day (UTC), or the instant.
pub(super) fn parse_from(text: &str) -> Result<Timestamp, String> {
    day::parse_start(text).map_err(|problem| problem.detail)
}

/// Parses a day or an instant, and returns the last second of the day (UTC), or the instant.
pub(super) fn parse_until(text: &str) -> Result<Timestamp, String> {
    day::parse_inclusive_end(text).map_err(|problem| problem.detail)
}

pub(super) async fn run(verb: StatusVerb) -> Result<(), StaffFailure> {
    match verb {
        StatusVerb::Revoke(args) => change_with_urgency(proto::StatusVerb::Revoke, args).await,
        StatusVerb::Suspend(args) => change_with_urgency(proto::StatusVerb::Suspend, args).await,
        StatusVerb::Reinstate(args) => change_with_urgency(proto::StatusVerb::Reinstate, args).await,
        StatusVerb::Message(MessageArgs { change: args, number }) => {
            change(proto::StatusVerb::Message, number, proto::StatusUrgency::Unspecified, args).await
        }
        StatusVerb::Show { id, staff } => show(id, &staff).await,
        StatusVerb::Changed { act, staff } => print_changed_ids(act, &staff).await,
        StatusVerb::Audit { id, staff } => audit(id, &staff).await,
    }
}

async fn change_with_urgency(verb: proto::StatusVerb, args: TimedArgs) -> Result<(), StaffFailure> {
    let urgency = args.urgency();
    change(verb, 0, urgency, args.change).await
}

async fn change(
    verb: proto::StatusVerb,
    message: u8,
    urgency: proto::StatusUrgency,
    args: ChangeArgs,
) -> Result<(), StaffFailure> {
    let ids = match &args.file {
        Some(path) => read_ids(path)?,
        None if args.which.is_given() => collected_ids(&args.which, &args.staff).await?,
        None => args.ids,
    };
    let filter = args.credential_type.is_some() || args.from.is_some() || args.until.is_some();
    let filter = filter.then(|| proto::StatusFilter {
        credential_type: args.credential_type.unwrap_or_default(),
        from: args.from.map(wire::to_timestamp),
        until: args.until.map(wire::to_timestamp),
    });
    if let Some(count) = args.yes_count {
        let what = format!("--yes-count is no longer an option; nothing was changed\nhint: give --yes --count {count}");
        return Err(StaffFailure::WithReason { reason: "approval_needed", text: what });
    }
    if (filter.is_some() || ids.len() > 1) && !(args.yes && args.count.is_some()) && !args.dry_run {
        let what = "more than one credential can be meant; nothing was changed\nhint: run it with --dry-run, which says how many it \
                    would be, and then with --yes, and --count and that number";
        return Err(StaffFailure::WithReason { reason: "approval_needed", text: what.to_owned() });
    }
    if verb == proto::StatusVerb::Revoke && !args.yes && !args.dry_run {
        approve_revocation(ids.first().map_or("", String::as_str), args.staff.json)?;
    }
    let request = proto::ChangeStatusRequest {
        request_id: args.request_id.unwrap_or_else(secrets::random_id),
        verb: verb.into(),
        reason: args.reason,
        ids,
        filter,
        expected_count: args.count,
        dry_run: args.dry_run,
        message: message.into(),
        urgency: urgency.into(),
    };
    let (channel, token) = client::connect(&args.staff).await?;
    let done = StatusServiceClient::with_interceptor(channel, token).change_status(request).await?.into_inner();
    let value = json!({
        "act": done.act, "verb": action_name(verb.into()), "credentials": done.credentials, "copies": done.copies,
        "changed": done.changed, "published": done.published, "dry_run": args.dry_run, "open_offers": done.open_offers,
        "published_at": done.published_at.as_ref().map(|at| format_timestamp(Some(at))),
        "unchanged_since": done.unchanged_since.as_ref().map(|at| format_timestamp(Some(at))),
    });
    print_result(args.staff.json, &value, || change_text(verb, args.dry_run, &done));
    Ok(())
}

/// Returns the result of a change, or of a dry run, for people.
fn change_text(verb: proto::StatusVerb, dry_run: bool, done: &proto::ChangeStatusResponse) -> String {
    let what = format!(
        "{}, {}",
        count_with_noun(done.credentials, "credential", "credentials"),
        count_with_noun(done.copies, "copy", "copies")
    );
    let open = match done.open_offers {
        0 => String::new(),
        open => format!(
            "\n{} of this kind not collected yet: nothing becomes of that. `offer list` shows them, `offer cancel` ends them.",
            count_with_noun(open, "offer is", "offers are")
        ),
    };
    if dry_run {
        return format!(
            "It would be {what}, of which {} change. Nothing was changed.\nTo do it: leave out --dry-run and add --yes --count {}{open}",
            done.changed, done.credentials
        );
    }
    if done.act == 0 {
        return unchanged_text(verb, done) + &open;
    }
    let published = match &done.published_at {
        _ if verb == proto::StatusVerb::Message => {
            "It is in no list. Holders' wallets show it after their next refresh.".to_owned()
        }
        Some(at) => format!(
            "The lists will show it from {} on, together with all other pending changes. Holders' wallets learn \
                 it when they ask.",
            format_timestamp(Some(at))
        ),
        None if done.published => "The lists show it now; verifiers see it when they next fetch them.".to_owned(),
        None => "It is stored, but not published yet; the service publishes it as soon as it can.".to_owned(),
    };
    format!("Act {}: {} of {what}; {} changed.\n{published}{open}", done.act, action_name(verb.into()), done.changed)
}

/// Returns the ids of the offers that references or an import name, and from which copies were issued.
///
/// # Errors
/// Nothing was issued from any of them; the file cannot be read; the service failed.
async fn collected_ids(which: &ReferenceArgs, staff: &StaffArgs) -> Result<Vec<String>, StaffFailure> {
    let (channel, token) = client::connect(staff).await?;
    let found = which.find(channel, token).await?;
    let is_collected = |offer: &&proto::Offer| offer.state() == proto::OfferState::Collected;
    let ids: Vec<String> = found.iter().filter(is_collected).map(|offer| offer.offer_id.clone()).collect();
    let others = found.len().saturating_sub(ids.len());
    if ids.is_empty() {
        return Err(StaffFailure::WithReason {
            reason: "nothing_matches",
            text: format!(
                "none of these {others} offers was collected, so no credential was issued; nothing was changed\nhint: end \
                 them with `offer cancel`"
            ),
        });
    }
    if others > 0 {
        carnet_console::print_error_line(format_args!(
            "{others} of these offers were not collected and are left as they are; `offer cancel` ends them."
        ));
    }
    Ok(ids)
}

/// Asks for approval before one credential is revoked, which cannot be undone.
///
/// # Errors
/// There is no approval; no terminal to ask on, or JSON output, counts as none.
fn approve_revocation(id: &str, json: bool) -> Result<(), StaffFailure> {
    let refused = |reason, what: &str| {
        let text =
            format!("{what}; nothing was changed\nhint: look with `status show {id}`, and add --yes to revoke it");
        Err(StaffFailure::WithReason { reason, text })
    };
    let question = format!("Revoke {id} for good? It cannot be undone. (yes = 1, no = 2)");
    match if json { None } else { carnet_console::ask(&Question::english(&question)) } {
        None => refused("approval_needed", "revoking cannot be undone, so it needs a yes, and nobody can be asked"),
        Some(Answer::Yes) => Ok(()),
        Some(Answer::No) => refused("declined", "the answer was no"),
        Some(Answer::Unclear) => refused("not_answered", "nobody answered with yes or no"),
    }
}

/// Returns the text for an action that changed nothing, and so was not recorded.
fn unchanged_text(verb: proto::StatusVerb, done: &proto::ChangeStatusResponse) -> String {
    let since = done.unchanged_since.as_ref().map(|at| format!(" since {}", format_timestamp(Some(at))));
    let since = since.unwrap_or_default();
    let what = match (verb, done.credentials) {
        (proto::StatusVerb::Revoke, 1) => format!("it is revoked{since}"),
        (proto::StatusVerb::Suspend, 1) => format!("it is suspended{since}"),
        (proto::StatusVerb::Reinstate, 1) => format!("it is valid{since}"),
        (proto::StatusVerb::Revoke, several) => format!("all {several} credentials are revoked"),
        (proto::StatusVerb::Suspend, several) => format!("each of the {several} credentials is suspended or revoked"),
        (proto::StatusVerb::Reinstate, several) => format!("none of the {several} credentials is suspended"),
        _ => "what is said to the holders is that already".to_owned(),
    };
    let listed =
        done.published_at.as_ref().map(|at| format!(" The lists say so from {} on.", format_timestamp(Some(at))));
    format!("Nothing to change: {what}.{}", listed.unwrap_or_default())
}

fn count_with_noun(number: u64, one: &str, several: &str) -> String {
    format!("{number} {}", if number == 1 { one } else { several })
}

/// Reads ids from a file, one per line; white space around them, text after `#` and empty lines are skipped.
///
/// # Errors
/// The file cannot be read, or has no ids.
fn read_ids(path: &std::path::Path) -> Result<Vec<String>, StaffFailure> {
    let unread = |error: &dyn std::fmt::Display| {
        StaffFailure::Unreadable(format!(
            "the ids in {} cannot be read: {error}\nhint: check the path, and that the file is text in UTF-8",
            path.display()
        ))
    };
    let content = disk::read_file_or_stdin(path).map_err(|error| unread(&error))?;
    let lines = decode_file_text(&content)
        .map_err(|error| unread(&error))?
        .lines()
        .map(|line| line.split('#').next().unwrap_or_default().trim());
    let ids: Vec<String> = lines.filter(|line| !line.is_empty()).map(str::to_owned).collect();
    if ids.is_empty() {
        let what = format!("{} has no ids\nhint: give one id a line", path.display());
        return Err(StaffFailure::Input(what));
    }
    Ok(ids)
}

async fn show(id: String, staff: &StaffArgs) -> Result<(), StaffFailure> {
    let (channel, token) = client::connect(staff).await?;
    let request = proto::ReadStatusRequest { id };
    let copies = StatusServiceClient::with_interceptor(channel, token).read_status(request).await?.into_inner().copies;
    let copies: Vec<Value> = copies.iter().map(copy_json).collect();
    print_result(staff.json, &json!({ "copies": copies }), || {
        let text = |copy: &Value, name: &str| copy.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
        let line = |copy: &Value| {
            let list = copy.get("lists").and_then(|lists| lists.get(0)).and_then(Value::as_str).unwrap_or("no list");
            format!(
                "{}  {}{}  {}  issued {}  entry {} of {list}{}",
                text(copy, "issued_id"),
                text(copy, "status"),
                copy.get("message")
                    .and_then(Value::as_u64)
                    .filter(|number| *number > 0)
                    .map(|number| format!(", message {number}"))
                    .unwrap_or_default(),
                text(copy, "credential_type"),
                text(copy, "issued_at"),
                copy.get("index").cloned().unwrap_or_default(),
                copy.get("listed_from")
                    .and_then(Value::as_str)
                    .map(|from| format!("  the lists say so from {from}"))
                    .unwrap_or_default(),
            )
        };
        copies.iter().map(line).collect::<Vec<_>>().join("\n")
    });
    Ok(())
}

async fn print_changed_ids(act: u64, staff: &StaffArgs) -> Result<(), StaffFailure> {
    let (channel, token) = client::connect(staff).await?;
    let mut client = StatusServiceClient::with_interceptor(channel, token);
    let mut ids = Vec::new();
    let mut page_token = String::new();
    loop {
        let request = proto::ListStatusChangesRequest { act, page_size: 500, page_token };
        let page = client.list_status_changes(request).await?.into_inner();
        ids.extend(
            page.changes.into_iter().map(|change| if change.whole { change.offer_id } else { change.issued_id }),
        );
        page_token = page.next_page_token;
        if page_token.is_empty() {
            break;
        }
    }
    // The copies of an offer are not necessarily adjacent.
    let mut seen = HashSet::new();
    ids.retain(|id| seen.insert(id.clone()));
    print_result(staff.json, &json!({ "act": act, "ids": ids }), || ids.join("\n"));
    Ok(())
}

async fn audit(id: String, staff: &StaffArgs) -> Result<(), StaffFailure> {
    let (channel, token) = client::connect(staff).await?;
    let mut client = StatusServiceClient::with_interceptor(channel, token);
    let mut acts = Vec::new();
    let mut page_token = String::new();
    loop {
        let request = proto::ListStatusActsRequest { page_size: 500, page_token, id: id.clone() };
        let page = client.list_status_acts(request).await?.into_inner();
        acts.extend(page.acts);
        page_token = page.next_page_token;
        if page_token.is_empty() {
            break;
        }
    }
    let value: Vec<Value> = acts.iter().map(act_json).collect();
    print_result(staff.json, &json!({ "acts": value }), || {
        let line = |act: &proto::StatusAct| {
            format!(
                "{}  {}  {}  {}, {}, {} changed  by {}: {}",
                act.act,
                format_timestamp(act.at.as_ref()),
                action_text(act),
                count_with_noun(act.credentials, "credential", "credentials"),
                count_with_noun(act.copies, "copy", "copies"),
                act.changed,
                act.who,
                act.reason
            )
        };
        if acts.is_empty() {
            "Nothing was done.".to_owned()
        } else {
            acts.iter().map(line).collect::<Vec<_>>().join("\n")
        }
    });
    Ok(())
}

fn action_name(verb: i32) -> &'static str {
    match proto::StatusVerb::try_from(verb) {
        Ok(proto::StatusVerb::Revoke) => "revoke",
        Ok(proto::StatusVerb::Suspend) => "suspend",
        Ok(proto::StatusVerb::Reinstate) => "reinstate",
        Ok(proto::StatusVerb::Message) => "message",
        Ok(proto::StatusVerb::Unspecified) | Err(_) => "unknown",
    }
}

/// Returns the name of an act's action, with the number of a message.
fn action_text(act: &proto::StatusAct) -> String {
    match act.verb() {
        proto::StatusVerb::Message => format!("message {}", act.message),
        _ => action_name(act.verb).to_owned(),
    }
}

fn copy_json(copy: &proto::CopyStatus) -> Value {
    let status = match copy.status() {
        proto::CredentialStatus::Valid => "valid",
        proto::CredentialStatus::Suspended => "suspended",
        proto::CredentialStatus::Revoked => "revoked",
        proto::CredentialStatus::Unspecified => "unknown",
    };
    json!({
        "issued_id": copy.issued_id, "offer_id": copy.offer_id, "credential_type": copy.credential_type,
        "issued_at": format_timestamp(copy.issued_at.as_ref()), "status": status, "lists": copy.lists, "index": copy.index,
        "act": copy.act, "message": copy.message, "listed_from": copy.listed_from.as_ref().map(|at| format_timestamp(Some(at))),
    })
}

fn act_json(act: &proto::StatusAct) -> Value {
    json!({
        "act": act.act, "at": format_timestamp(act.at.as_ref()), "verb": action_name(act.verb), "reason": act.reason, "who": act.who,
        "credentials": act.credentials, "copies": act.copies, "changed": act.changed, "request_id": act.request_id,
        "message": (act.verb() == proto::StatusVerb::Message).then_some(act.message),
    })
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Debug, Parser)]
    struct Message {
        #[command(flatten)]
        args: MessageArgs,
    }

    #[test]
    fn the_number_of_a_message_comes_last_however_credentials_are_named() {
        let parse = |line: &str| {
            let words = ["message"].into_iter().chain(line.split(' ')).chain(["--reason", "r"]);
            Message::try_parse_from(words).map(|read| (read.args.change.ids, read.args.number)).ok()
        };
        let ids = |ids: &[&str]| ids.iter().map(|id| (*id).to_owned()).collect::<Vec<_>>();
        assert_eq!(parse("A 3"), Some((ids(&["A"]), 3)));
        assert_eq!(parse("A B 0"), Some((ids(&["A", "B"]), 0)));
        for named in ["--file x 3", "--type T 3", "--from 2026-11-01 3"] {
            assert_eq!(parse(named), Some((ids(&[]), 3)), "{named}");
        }
        for wrong in ["3", "A", "A 16", "A -1", "A B", "--file x"] {
            assert_eq!(parse(wrong), None, "{wrong}");
        }
    }
}
