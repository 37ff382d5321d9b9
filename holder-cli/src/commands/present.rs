//! Command `carnet present`: answers the request of a verifier with what the holder approves, and nothing else.

use carnet_console::Answer;
use carnet_core::{Code, trust::registration::ReceiptKeyState};
use carnet_wallet::{
    answer::{MissingReason, RequestedItem, UnansweredQuery},
    ports::{ReportedOutcome, VerdictCheck},
    present::{
        Consent, ConsentDecision, ConsentRequest, PresentationOptions, ReceiptOutcome, SentPresentation, present,
    },
};
use serde_json::{Value, json};

use crate::{
    arguments::Present,
    context::CommandContext,
    failure::{DataSafety, Failure, FailureReason, FaultParty, Sentence},
    link::LinkKind,
    link_input,
    request::AuthorizationRequestLink,
    ui::{Ui, consent::ConsentScreen, messages::LocalizedMessages, sanitise::sanitise},
};

/// Answers the request of a link. A refusal by the verifier is returned as failure.
pub(crate) async fn run(context: &CommandContext, arguments: &Present) -> Result<(), Failure> {
    let picture = arguments.picture.as_deref();
    let link = link_input::read_link(&context.ui, LinkKind::Request, &arguments.request, picture)?;
    let pointer = AuthorizationRequestLink::parse(&link)?;
    let mut wallet = context.wallet.open()?;
    if pointer.openid.is_some() {
        context.connections.set_known_hosts(&wallet.contents, context.now());
    }
    let options = PresentationOptions {
        allowed_ids: &arguments.credential_ids,
        withheld_names: &arguments.withhold,
        approved_names: &arguments.approve,
    };
    let owner = TerminalConsent { ui: &context.ui, arguments };
    let presented = present(context, &mut wallet, &pointer, options, &owner).await?;
    if presented.response.accepted { Ok(()) } else { Err(refusal(&context.ui.messages, &presented)) }
}

/// Consent of the holder: at the terminal, or by a digest on the command line.
pub(crate) struct TerminalConsent<'a> {
    pub(crate) ui: &'a Ui,
    pub(crate) arguments: &'a Present,
}

impl TerminalConsent<'_> {
    fn screen<'c>(&self, question: &ConsentRequest<'c>) -> ConsentScreen<'c> {
        ConsentScreen { question: *question, explain: self.arguments.explain }
    }
}

impl Consent for TerminalConsent<'_> {
    fn can_ask(&self) -> bool {
        self.arguments.yes.is_none() && self.ui.can_ask()
    }

    fn show_request(&self, question: &ConsentRequest<'_>) {
        self.ui.print_text(&self.screen(question).verifier_text(self.ui));
    }

    fn approve_item(&self, question: &ConsentRequest<'_>, asked: &RequestedItem) -> Option<bool> {
        let screen = self.screen(question);
        let asked_in = |ui: &Ui| ui.messages.format("excess-question", &[("claim", &screen.item_text(ui, asked))]);
        match self.ui.ask_about(&asked_in(self.ui), |ui| format!("{}\n{}\n", screen.verifier_text(ui), asked_in(ui))) {
            Answer::Yes => Some(true),
            Answer::No => Some(false),
            Answer::Unclear => None,
        }
    }

    /// Asks for the decision at the terminal, unless the command line has the digest of the request and the answer.
    fn approve_answer(&self, question: &ConsentRequest<'_>, introduced: bool) -> ConsentDecision {
        let (ui, consent) = (self.ui, &self.screen(question));
        let needs_choice = consent.uses_linkable_copy() && !self.arguments.show_marked;
        if self.arguments.yes.as_deref() == Some(question.digest) {
            return if needs_choice {
                ConsentDecision::NotObtained(linkable_copy().with_members(consent.to_json(ui)))
            } else {
                ConsentDecision::Yes
            };
        }
        let missing = |reason: FailureReason, message| {
            let hint = Sentence::new("hint-present-yes").with("digest", question.digest);
            ConsentDecision::NotObtained(
                Failure::new(reason, Sentence::new(message), hint).with_members(consent.to_json(ui)),
            )
        };
        if self.arguments.yes.is_some() {
            return missing(FailureReason::ApprovalMismatch, "error-present-mismatch");
        }
        if !introduced {
            ui.print_text(&consent.verifier_text(ui));
        }
        ui.print_text(&consent.disclosure_text(ui));
        if !ui.can_ask() {
            return missing(FailureReason::ApprovalNeeded, "error-present-nobody");
        }
        if needs_choice {
            match ui.ask(&ui.messages.text("marked-question")) {
                Answer::Yes => {}
                Answer::No => return ConsentDecision::NotObtained(linkable_copy()),
                Answer::Unclear => return ConsentDecision::Unclear,
            }
        }
        let screen = |ui: &Ui| {
            format!("{}{}\n{}\n", consent.verifier_text(ui), consent.disclosure_text(ui), consent.question_text(ui))
        };
        match ui.ask_about(&consent.question_text(ui), screen) {
            Answer::Yes => ConsentDecision::Yes,
            Answer::No => ConsentDecision::No,
            Answer::Unclear => ConsentDecision::Unclear,
        }
    }

    fn explain_unanswered(
        &self,
        question: &ConsentRequest<'_>,
        missing: &[UnansweredQuery],
        failure: Failure,
    ) -> Failure {
        let (ui, screen) = (self.ui, self.screen(question));
        if missing.is_empty() {
            let options = screen.excess_items().map(|asked| format!("--approve '{}'", sanitise(&asked.name())));
            let options = options.collect::<Vec<_>>().join(" ");
            let hint = if failure.reason == FailureReason::OverAsked {
                failure.hint.with("options", options)
            } else {
                failure.hint
            };
            return Failure { hint, ..failure }.with_members(screen.to_json(ui));
        }
        ui.print_text(&screen.unanswered_text(ui, missing));
        let documents = screen.missing_types(ui, missing);
        let id = match missing {
            all if all.iter().all(|one| one.reason == MissingReason::FreshCopies) => "error-unprovable-documents",
            all if all.iter().all(|one| one.reason == MissingReason::UnsupportedQuery) => {
                "error-form-unsupported-documents"
            }
            _ => "error-unanswerable-documents",
        };
        let message = Sentence::new(id).with("documents", documents);
        Failure { message, ..failure }.with_members(screen.unanswered_json(ui, missing))
    }

    fn show_response(&self, presented: &SentPresentation) {
        let messages = &self.ui.messages;
        let (said, object) = describe_result(messages, presented);
        if presented.response.accepted {
            let back = presented
                .response
                .return_url
                .as_deref()
                .map(sanitise)
                .map(|url| messages.format("return-link", &[("url", &url)]));
            let back = back.map(|line| format!("{line}\n")).unwrap_or_default();
            self.ui.print_result(&format!("{}\n{said}\n{back}", messages.text("result-accepted")), &object);
        } else {
            self.ui.print_note(&said);
        }
    }
}

fn linkable_copy() -> Failure {
    Failure::new(Code::CopyMarked, Sentence::new("error-copy-marked"), Sentence::new("hint-marked"))
}

/// Returns the line about the receipt, and the object for `--json`.
fn describe_result(messages: &LocalizedMessages, presented: &SentPresentation) -> (String, Value) {
    let (sent, answer) = (&presented.log_entry, &presented.response);
    let shown: Vec<Value> = sent
        .credentials
        .iter()
        .map(|part| {
            json!({
                "query_id": part.query_id, "id": part.id, "type": part.type_name, "paths": part.paths,
                "thresholds": part.thresholds,
            })
        })
        .collect();
    let (said, receipt) = match &presented.receipt {
        ReceiptOutcome::Valid { number, digest, erase_at, key } => {
            let mut said = messages.format("receipt-kept", &[("time", erase_at)]);
            if matches!(key, Some(ReceiptKeyState::NotRegistered)) {
                said.push('\n');
                said.push_str(&messages.text("receipt-key-not-registered"));
            }
            let object = json!({
                "state": "kept", "entry": number, "digest": digest, "erase_at": erase_at, "key": key,
                "presentation_digest": sent.presentation_digest,
            });
            (said, object)
        }
        ReceiptOutcome::Missing => (messages.text("receipt-missing"), json!({"state": "missing"})),
        ReceiptOutcome::Invalid(reason) => {
            (messages.format("receipt-false", &[("reason", reason)]), json!({"state": "false", "reason": reason}))
        }
    };
    let checks: Vec<Value> = answer.checks.iter().map(check_json).collect();
    let reason = sanitise(&answer.reason).to_lowercase();
    let object = json!({
        "return_url": answer.return_url.as_deref().map(sanitise), "accepted": answer.accepted, "reason": if answer.accepted { Value::Null } else { json!(reason) },
        "digest": sent.approval_digest, "shown": shown, "checks": checks, "receipt": receipt,
    });
    (said, object)
}

/// Returns the failure for a presentation that the verifier refused, with advice by its reason.
fn refusal(messages: &LocalizedMessages, presented: &SentPresentation) -> Failure {
    let (answer, (_, object)) = (&presented.response, describe_result(messages, presented));
    let reason = sanitise(&answer.reason).to_lowercase();
    let failed: Vec<String> = answer
        .checks
        .iter()
        .filter(|check| check.outcome == ReportedOutcome::Failed)
        .map(|check| sanitise(&check.detail))
        .collect();
    let message = Sentence::new("error-refused").with_details(failed.join("; "));
    let reason = if reason.is_empty() { FailureReason::Refused } else { FailureReason::from_code(&reason) };
    // The issuer can explain and fix a defect of the credential itself.
    let hint = match &reason {
        FailureReason::Check(Code::Revoked | Code::Suspended) => "hint-taken-back",
        FailureReason::Check(Code::Expired) => "hint-ended",
        FailureReason::Check(Code::StatusListUnavailable | Code::StatusListStale) => "hint-unconfirmed",
        _ => "hint-refused",
    };
    Failure::new(reason, message, Sentence::new(hint))
        .with_fault(FaultParty::Verifier)
        .with_safety(DataSafety::Sent)
        .with_members(object)
}

fn check_json(check: &VerdictCheck) -> Value {
    let outcome = match check.outcome {
        ReportedOutcome::Passed => "passed",
        ReportedOutcome::Failed => "failed",
        ReportedOutcome::Tolerated => "tolerated",
        ReportedOutcome::NotApplicable => "not_applicable",
        ReportedOutcome::Unknown => "unknown",
    };
    json!({
        "name": sanitise(&check.name), "about": sanitise(&check.query_id), "outcome": outcome,
        "code": sanitise(&check.code), "detail": sanitise(&check.detail),
    })
}
