//! The owner's decision: withheld claims, and consent to the rest.

use carnet_console::Answer;
use carnet_core::{Code, Problem};
use carnet_spec::Catalogue;

use crate::{
    answer::{self, Asked, Bounds, Claimed, Part, answer, asked, digest, missing, named},
    arguments::Present,
    failure::{Failure, Sentence},
    introduction::Introduction,
    request::{Pointer, Request},
    session::Session,
    ui::{Ui, consent::Consent, sanitise::clean},
    wallet::Contents,
};

/// Valid request, and everything that the decision needs.
pub(super) struct Decision<'a> {
    pub(super) session: &'a Session,
    pub(super) arguments: &'a Present,
    pub(super) contents: &'a Contents,
    pub(super) catalogue: &'a Catalogue,
    pub(super) pointer: &'a Pointer,
    pub(super) request: &'a Request,
    pub(super) introduction: &'a Introduction,
    /// Indices of the credentials that may answer; empty: all.
    pub(super) only: &'a [usize],
}

/// Result of the decision.
pub(super) struct Decided {
    /// Digest of the request and the answer.
    pub(super) digest: String,
    /// The presentations, and the owner's consent.
    pub(super) outcome: Result<(Vec<Part>, Word), Failure>,
}

/// Consent of the owner.
pub(super) enum Word {
    /// Approved.
    Yes,
    /// Refused.
    No,
    /// Neither yes nor no.
    Unclear,
    /// No terminal, a mismatching digest, or a marked copy that was not allowed. Nothing was sent.
    Missing(Failure),
}

impl Decision<'_> {
    /// Asks the owner as far as necessary, and finds the minimal answer.
    ///
    /// # Errors
    /// For mistakes on the command line.
    pub(super) fn decide(&self) -> Result<Decided, Failure> {
        let ui = &self.session.ui;
        let all = asked(&self.request.query, &self.introduction.excess(&self.request.query));
        let mut withheld = named(&all, &self.arguments.withhold, false)?;
        let approved = named(&all, &self.arguments.approve, true)?;
        // Without an answer, there is nothing to ask the owner.
        if let Err(problem) = self.answer(&[]) {
            return self.unanswered(&all, &problem);
        }
        let open: Vec<&Asked> = all
            .iter()
            .filter(|asked| asked.needs_approval && !approved.contains(asked) && !withheld.contains(asked))
            .collect();
        let (mut introduced, mut unclear) = (false, false);
        if self.arguments.yes.is_none() && ui.can_ask() && !open.is_empty() {
            let none: Vec<Asked> = withheld.iter().chain(open.iter().copied()).cloned().collect();
            let consent = self.consent(&all, &none, "", None);
            ui.say(&consent.introduced(ui));
            introduced = true;
            for asked in open {
                let answer = allow(ui, &consent, asked);
                unclear |= answer == Answer::Unclear;
                if answer != Answer::Yes {
                    withheld.push(asked.clone());
                }
            }
        } else {
            withheld.extend(open.into_iter().cloned());
        }
        let answer = match self.answer(&withheld) {
            Ok(answer) => answer,
            Err(problem) if withheld.is_empty() => return self.nothing(unanswerable(&problem)),
            Err(_) => {
                let digest = self.digest(&[])?;
                let consent = self.consent(&all, &withheld, &digest, None);
                if !introduced {
                    ui.say(&consent.introduced(ui));
                }
                let failure = match consent.excess().next() {
                    _ if unclear => Failure::not_answered(Sentence::id("undone-not-allowed")),
                    Some(_) => over_asked(self.introduction.registration().is_some(), &consent),
                    None => all_withheld(),
                };
                return self.nothing(failure.beside(consent.json(ui)));
            }
        };
        if answer.parts.is_empty() {
            return self.nothing(nothing_is_asked());
        }
        let digest = self.digest(&answer.parts)?;
        let word = self.word(&self.consent(&all, &withheld, &digest, Some(&answer)), introduced);
        Ok(Decided { digest, outcome: Ok((answer.parts, word)) })
    }

    /// Obtains the owner's consent: on the screen, or by the digest of a request that was looked at before.
    fn word(&self, consent: &Consent<'_>, introduced: bool) -> Word {
        let ui = &self.session.ui;
        let needs_choice = consent.shows_marked_copy() && !self.arguments.show_marked;
        if self.arguments.yes.as_deref() == Some(consent.digest) {
            return if needs_choice { Word::Missing(marked().beside(consent.json(ui))) } else { Word::Yes };
        }
        let missing = |reason: &str, message| {
            let hint = Sentence::id("hint-present-yes").with("digest", consent.digest);
            Word::Missing(Failure::new(reason, Sentence::id(message), hint).beside(consent.json(ui)))
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
                Answer::No => return Word::Missing(marked()),
                Answer::Unclear => return Word::Unclear,
            }
        }
        match ui.ask(&consent.question(ui)) {
            Answer::Yes => Word::Yes,
            Answer::No => Word::No,
            Answer::Unclear => Word::Unclear,
        }
    }

    /// Prints who asked for what and why, and the missing credentials.
    fn unanswered(&self, all: &[Asked], problem: &Problem) -> Result<Decided, Failure> {
        let failure = self.explained(unanswerable(problem));
        let lacks = self.with_bounds(&[], |bounds| missing(self.contents, self.catalogue, &self.request.query, bounds));
        let Some(lacks) = lacks.ok().filter(|lacks| problem.code == Code::QueryUnmet && !lacks.is_empty()) else {
            return self.nothing(failure);
        };
        let ui = &self.session.ui;
        let digest = self.digest(&[])?;
        let consent = self.consent(all, &[], &digest, None);
        ui.say(&consent.unanswered(ui, &lacks));
        let documents = consent.missing_documents(ui, &lacks);
        let message = Sentence::id("error-unanswerable-documents").with("documents", documents);
        self.nothing(Failure { message, ..failure }.beside(consent.unanswered_json(ui, &lacks)))
    }

    fn answer(&self, withheld: &[Asked]) -> Result<answer::Answer, Problem> {
        self.with_bounds(withheld, |bounds| answer(self.contents, self.catalogue, &self.request.query, bounds))
    }

    fn with_bounds<T>(&self, withheld: &[Asked], with: impl FnOnce(&Bounds<'_>) -> T) -> T {
        // A withheld value must not replace its proof either.
        let values = withheld
            .iter()
            .filter(|asked| asked.threshold.is_none())
            .filter_map(|asked| asked.path.clone().map(|path| Claimed { query_id: asked.query_id.clone(), path }));
        let mut proofs_only = self.introduction.proofs_only(&self.request.query);
        proofs_only.extend(values);
        let bounds = Bounds {
            asker: &self.request.client_id,
            now: self.session.now(),
            only: self.only,
            withheld,
            proofs_only: &proofs_only,
        };
        with(&bounds)
    }

    /// Adds the likely cause of a missing answer: revoked or expired credentials.
    fn explained(&self, failure: Failure) -> Failure {
        let now = self.session.now();
        let held = || self.contents.credentials.iter();
        let hint = if held().any(|held| held.withdrawn().is_some()) {
            "hint-taken-back-list"
        } else if held().any(|held| held.valid_until.is_some_and(|until| now > until)) {
            "hint-ended-list"
        } else {
            return failure;
        };
        Failure { hint: Sentence::id(hint), ..failure }
    }

    fn digest(&self, parts: &[Part]) -> Result<String, Failure> {
        digest(&self.request.object, parts, self.contents).map_err(|problem| unanswerable(&problem))
    }

    fn nothing(&self, failure: Failure) -> Result<Decided, Failure> {
        Ok(Decided { digest: self.digest(&[])?, outcome: Err(failure) })
    }

    fn consent<'c>(
        &'c self,
        asked: &'c [Asked],
        withheld: &'c [Asked],
        digest: &'c str,
        answer: Option<&'c answer::Answer>,
    ) -> Consent<'c> {
        Consent {
            request: self.request,
            introduction: self.introduction,
            asked,
            withheld,
            digest,
            answer,
            endpoint: &self.pointer.endpoint,
            contents: self.contents,
            catalogue: self.catalogue,
            explain: self.arguments.explain,
            now: self.session.now(),
        }
    }
}

/// Asks for the approval of one claim.
fn allow(ui: &Ui, consent: &Consent<'_>, asked: &Asked) -> Answer {
    ui.ask(&ui.messages.with("excess-question", &[("claim", &consent.words_of(ui, asked))]))
}

fn marked() -> Failure {
    Failure::new("copy_marked", Sentence::id("error-copy-marked"), Sentence::id("hint-marked"))
}

fn over_asked(registered: bool, consent: &Consent<'_>) -> Failure {
    let message = if registered { "error-over-asked" } else { "error-unregistered" };
    let options: Vec<String> = consent.excess().map(|asked| format!("--approve '{}'", clean(&asked.name()))).collect();
    let hint = Sentence::id("hint-approve").with("options", options.join(" "));
    Failure::new("over_asked", Sentence::id(message), hint)
}

fn all_withheld() -> Failure {
    Failure::new(Code::QueryUnmet.as_str(), Sentence::id("error-all-withheld"), Sentence::id("hint-ask-need"))
}

/// Refuses an empty answer: there would be no credential to choose and nothing to approve, and yet an answer would be
/// sent.
fn nothing_is_asked() -> Failure {
    Failure::new(Code::QueryUnmet.as_str(), Sentence::id("error-nothing-asked"), Sentence::id("hint-say-need"))
}

fn unanswerable(problem: &Problem) -> Failure {
    let hint = Sentence::id("hint-list-missing");
    match problem.code {
        Code::QueryUnmet => Failure::new("query_unmet", Sentence::id("error-unanswerable"), hint),
        Code::HolderDiffers => {
            let message = Sentence::id("error-holder-differs");
            Failure::new(problem.code.as_str(), message, Sentence::id("hint-holder"))
        }
        _ => Failure::from_problem(problem, Sentence::id("error-request-unanswered"), hint),
    }
}

#[cfg(test)]
mod tests;
