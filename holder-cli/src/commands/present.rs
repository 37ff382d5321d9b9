//! `carnet present`: shows a verifier what the owner approves, and nothing else.

use carnet_console::Answer;
use carnet_core::trust::registration::KeyStanding;
use carnet_wallet::{
    answer::{Asked, Missing},
    ports::{CheckOutcome, VerdictCheck},
    present::{
        Consent, ConsentDecision, ConsentRequest, OVER_ASKED, PresentOptions, Presented, ReceiptOutcome, present,
    },
};
use serde_json::{Value, json};

use crate::{
    arguments::Present,
    failure::{Failure, Fault, Safety, Sentence},
    link::LinkKind,
    pasting,
    request::Pointer,
    session::Session,
    ui::{Ui, consent::Screen, messages::Messages, sanitise::clean},
};

/// Answers a request.
pub(crate) async fn run(session: &Session, arguments: &Present) -> Result<(), Failure> {
    let pointer = Pointer::parse(&pasting::given(&session.ui, LinkKind::Request, &arguments.request)?)?;
    let mut wallet = session.open()?;
    if pointer.openid.is_some() {
        session.know_hosts(&wallet.contents);
    }
    let options = PresentOptions { only: &arguments.only, withhold: &arguments.withhold, approve: &arguments.approve };
    let owner = Owner { ui: &session.ui, arguments };
    let presented = present(session, &mut wallet, &pointer, options, &owner).await?;
    if presented.verdict.accepted { Ok(()) } else { Err(refusal(&session.ui.messages, &presented)) }
}

/// Owner at the terminal, or the one who approved by digest.
pub(crate) struct Owner<'a> {
    pub(crate) ui: &'a Ui,
    pub(crate) arguments: &'a Present,
}

impl Owner<'_> {
    fn screen<'c>(&self, question: &ConsentRequest<'c>) -> Screen<'c> {
        Screen { question: *question, explain: self.arguments.explain }
    }
}

impl Consent for Owner<'_> {
    fn can_ask(&self) -> bool {
        self.arguments.yes.is_none() && self.ui.can_ask()
    }

    fn introduce(&self, question: &ConsentRequest<'_>) {
        self.ui.say(&self.screen(question).introduced(self.ui));
    }

    fn allow(&self, question: &ConsentRequest<'_>, asked: &Asked) -> Option<bool> {
        let claim = self.screen(question).words_of(self.ui, asked);
        match self.ui.ask(&self.ui.messages.with("excess-question", &[("claim", &claim)])) {
            Answer::Yes => Some(true),
            Answer::No => Some(false),
            Answer::Unclear => None,
        }
    }

    /// Obtains the decision on the screen, or by the digest of a request that was looked at before.
    fn decide(&self, question: &ConsentRequest<'_>, introduced: bool) -> ConsentDecision {
        let (ui, consent) = (self.ui, &self.screen(question));
        let needs_choice = consent.shows_marked_copy() && !self.arguments.show_marked;
        if self.arguments.yes.as_deref() == Some(question.digest) {
            return if needs_choice {
                ConsentDecision::Missing(marked().beside(consent.json(ui)))
            } else {
                ConsentDecision::Yes
            };
        }
        let missing = |reason: &str, message| {
            let hint = Sentence::id("hint-present-yes").with("digest", question.digest);
            ConsentDecision::Missing(Failure::new(reason, Sentence::id(message), hint).beside(consent.json(ui)))
        };
        if self.arguments.yes.is_some() {
            return missing("approval_mismatch", "error-present-mismatch");
        }
        if !introduced {
            ui.say(&consent.introduced(ui));
        }
        ui.say(&consent.answered(ui));
        if !ui.can_ask() {
            return missing("approval_needed", "error-present-nobody");
        }
        if needs_choice {
            match ui.ask(&ui.messages.text("marked-question")) {
                Answer::Yes => {}
                Answer::No => return ConsentDecision::Missing(marked()),
                Answer::Unclear => return ConsentDecision::Unclear,
            }
        }
        match ui.ask(&consent.question(ui)) {
            Answer::Yes => ConsentDecision::Yes,
            Answer::No => ConsentDecision::No,
            Answer::Unclear => ConsentDecision::Unclear,
        }
    }

    fn explain(&self, question: &ConsentRequest<'_>, missing: &[Missing], failure: Failure) -> Failure {
        let (ui, screen) = (self.ui, self.screen(question));
        if missing.is_empty() {
            let options = screen.excess().map(|asked| format!("--approve '{}'", clean(&asked.name())));
            let options = options.collect::<Vec<_>>().join(" ");
            let hint = if failure.reason == OVER_ASKED { failure.hint.with("options", options) } else { failure.hint };
            return Failure { hint, ..failure }.beside(screen.json(ui));
        }
        ui.say(&screen.unanswered(ui, missing));
        let documents = screen.missing_documents(ui, missing);
        let message = Sentence::id("error-unanswerable-documents").with("documents", documents);
        Failure { message, ..failure }.beside(screen.unanswered_json(ui, missing))
    }

    fn presented(&self, presented: &Presented) {
        let messages = &self.ui.messages;
        let (said, object) = told(messages, presented);
        if presented.verdict.accepted {
            let back = presented
                .verdict
                .return_url
                .as_deref()
                .map(clean)
                .map(|url| messages.with("return-link", &[("url", &url)]));
            let back = back.map(|line| format!("{line}\n")).unwrap_or_default();
            self.ui.result(&format!("{}\n{said}\n{back}", messages.text("result-accepted")), &object);
        } else {
            self.ui.note(&said);
        }
    }
}

fn marked() -> Failure {
    Failure::new("copy_marked", Sentence::id("error-copy-marked"), Sentence::id("hint-marked"))
}

/// Returns the line about the receipt, and the object for `--json`.
fn told(messages: &Messages, presented: &Presented) -> (String, Value) {
    let (sent, answer) = (&presented.sent, &presented.verdict);
    let shown: Vec<Value> = sent
        .parts
        .iter()
        .map(|part| {
            json!({
                "query_id": part.query_id, "id": part.id, "type": part.type_name, "paths": part.paths,
                "thresholds": part.thresholds,
            })
        })
        .collect();
    let (said, receipt) = match &presented.receipt {
        ReceiptOutcome::Kept { number, digest, erase_at, key } => {
            let mut said = messages.with("receipt-kept", &[("time", erase_at)]);
            if matches!(key, Some(KeyStanding::NotRegistered)) {
                said.push('\n');
                said.push_str(&messages.text("receipt-key-not-registered"));
            }
            let object = json!({
                "state": "kept", "entry": number, "digest": digest, "erase_at": erase_at, "key": key,
                "presentation_digest": sent.presentation,
            });
            (said, object)
        }
        ReceiptOutcome::Missing => (messages.text("receipt-missing"), json!({"state": "missing"})),
        ReceiptOutcome::False(reason) => {
            (messages.with("receipt-false", &[("reason", reason)]), json!({"state": "false", "reason": reason}))
        }
    };
    let checks: Vec<Value> = answer.checks.iter().map(check).collect();
    let reason = clean(&answer.reason).to_lowercase();
    let object = json!({
        "return_url": answer.return_url.as_deref().map(clean), "accepted": answer.accepted, "reason": if answer.accepted { Value::Null } else { json!(reason) },
        "digest": sent.approval, "shown": shown, "checks": checks, "receipt": receipt,
    });
    (said, object)
}

/// Returns the failure for a refused presentation. The verdict determines the exit code, not the receipt.
fn refusal(messages: &Messages, presented: &Presented) -> Failure {
    let (answer, (_, object)) = (&presented.verdict, told(messages, presented));
    let reason = clean(&answer.reason).to_lowercase();
    let failed: Vec<String> = answer
        .checks
        .iter()
        .filter(|check| check.outcome == CheckOutcome::Failed)
        .map(|check| clean(&check.detail))
        .collect();
    let message = Sentence::id("error-refused").details(failed.join("; "));
    let reason = if reason.is_empty() { "refused" } else { reason.as_str() };
    // The issuer can explain and fix a defect of the credential itself.
    let hint = match reason {
        "revoked" | "suspended" => "hint-taken-back",
        "expired" => "hint-ended",
        "status_list_unavailable" | "status_list_stale" => "hint-unconfirmed",
        _ => "hint-refused",
    };
    Failure::new(reason, message, Sentence::id(hint)).by(Fault::Asker).with_safety(Safety::Sent).beside(object)
}

fn check(check: &VerdictCheck) -> Value {
    let outcome = match check.outcome {
        CheckOutcome::Passed => "passed",
        CheckOutcome::Failed => "failed",
        CheckOutcome::Tolerated => "tolerated",
        CheckOutcome::NotApplicable => "not_applicable",
        CheckOutcome::Unknown => "unknown",
    };
    json!({
        "name": clean(&check.name), "about": clean(&check.about), "outcome": outcome,
        "code": clean(&check.code), "detail": clean(&check.detail),
    })
}
