//! Holder's decision on a request: which items to withhold, and the consent to the answer without them.

use carnet_core::{Code, Problem, time::Timestamp};
use carnet_spec::Catalogue;

use super::{PresentationOptions, SentPresentation};
use crate::{
    answer::{
        self, AnswerConstraints, MissingReason, PlannedPresentation, RequestedClaimPath, RequestedItem,
        UnansweredQuery, answer_query, answerable_queries, approval_digest, items_by_name, requested_items,
        unanswered_queries,
    },
    failure::{Failure, FailureReason, FaultParty, Sentence},
    request::{AuthorizationRequestLink, PresentationRequest},
    store::WalletContents,
    verifier_identity::VerifierIdentity,
};

/// Valid request, and everything else that the holder's decision depends on.
pub struct DecisionContext<'a> {
    /// Source of the current time.
    pub now: &'a dyn Fn() -> Timestamp,
    /// Choices that the holder made before the request was fetched.
    pub options: PresentationOptions<'a>,
    /// Contents of the wallet.
    pub contents: &'a WalletContents,
    /// Catalogue of credential types.
    pub catalogue: &'a Catalogue,
    /// Link of the request.
    pub link: &'a AuthorizationRequestLink,
    /// Verified request.
    pub request: &'a PresentationRequest,
    /// Registration of the verifier, or the reason why it counts as unregistered.
    pub verifier: &'a VerifierIdentity,
    /// Indexes of the credentials that may be used; empty: all.
    pub allowed_credentials: &'a [usize],
}

/// Facts of a question to the holder about a presentation.
#[derive(Clone, Copy)]
pub struct ConsentRequest<'a> {
    /// Verified request.
    pub request: &'a PresentationRequest,
    /// Registration of the verifier, or the reason why it counts as unregistered.
    pub verifier: &'a VerifierIdentity,
    /// All requested items.
    pub items: &'a [RequestedItem],
    /// Items that the holder withholds, and items that exceed the registration and were not approved.
    pub withheld: &'a [RequestedItem],
    /// Approval digest of the request and the answer; empty while the items are approved one by one.
    pub digest: &'a str,
    /// Answer to be sent; `None` if there is none yet, or the query cannot be answered.
    pub answer: Option<&'a answer::QueryAnswer>,
    /// URL of the verifier's service.
    pub endpoint: &'a str,
    /// Contents of the wallet.
    pub contents: &'a WalletContents,
    /// Catalogue of credential types.
    pub catalogue: &'a Catalogue,
    /// Current time.
    pub now: Timestamp,
}

impl ConsentRequest<'_> {
    /// Returns whether an item needs separate approval because it exceeds the registration.
    #[must_use]
    pub fn needs_item_approval(&self) -> bool {
        self.items.iter().any(|asked| asked.needs_approval)
    }
}

/// Port for the holder's consent to a presentation: a user interface.
pub trait Consent {
    /// Returns whether the holder can be asked about single items, as on a terminal.
    fn can_ask(&self) -> bool;

    /// Displays the verifier, its purpose and the requested items.
    fn show_request(&self, question: &ConsentRequest<'_>);

    /// Asks for the approval of one item that exceeds the registration. `None`: the holder answered neither yes nor no.
    fn approve_item(&self, question: &ConsentRequest<'_>, asked: &RequestedItem) -> Option<bool>;

    /// Asks for the approval of the answer. `introduced` is `true` if verifier and items were displayed already.
    fn approve_answer(&self, question: &ConsentRequest<'_>, introduced: bool) -> ConsentDecision;

    /// Adds the facts of a request that cannot be answered to its failure, and displays the missing credentials, if
    /// any.
    fn explain_unanswered(
        &self,
        question: &ConsentRequest<'_>,
        missing: &[UnansweredQuery],
        failure: Failure,
    ) -> Failure;

    /// Displays the verifier's decision. It is called before automatic refills, which may take long.
    fn show_response(&self, presented: &SentPresentation);
}

/// Answer to a request with the holder's decision about it.
pub struct DecidedAnswer {
    /// Digest of the request and the answer.
    pub digest: String,
    /// Presentations and the holder's decision, or the reason why there is no answer.
    pub outcome: Result<(Vec<PlannedPresentation>, ConsentDecision), Failure>,
}

/// Holder's decision about an answer.
#[derive(Debug)]
pub enum ConsentDecision {
    /// Approved.
    Yes,
    /// Declined.
    No,
    /// The holder answered neither yes nor no.
    Unclear,
    /// The holder could not be asked, or an approval given in advance does not apply: no terminal, another digest, or a
    /// linkable copy that the holder did not permit. Nothing was sent.
    NotObtained(Failure),
}

impl DecisionContext<'_> {
    /// Finds the answer with the least disclosure, and asks the holder: about each item that exceeds the registration,
    /// then about the answer. The holder is not asked if no answer is possible.
    ///
    /// # Errors
    /// `claim_unknown` or `claim_ambiguous` for a name in the options; the digest cannot be computed. An impossible
    /// answer is no error but an outcome.
    pub fn decide(&self, owner: &impl Consent) -> Result<DecidedAnswer, Failure> {
        let all = requested_items(&self.request.query, &self.verifier.excess(&self.request.query));
        let mut withheld = items_by_name(&all, self.options.withheld_names, false)?;
        let approved = items_by_name(&all, self.options.approved_names, true)?;
        // Without an answer, there is nothing to ask the holder.
        if let Err(problem) = self.answer(&[]) {
            return self.unanswered(&all, &problem, owner);
        }
        let needed = self
            .with_bounds(&[], |bounds| answerable_queries(self.contents, self.catalogue, &self.request.query, bounds));
        // No answer contains the items of an option that the wallet does not have: they are withheld without a question.
        let (open, unneeded): (Vec<&RequestedItem>, Vec<&RequestedItem>) = all
            .iter()
            .filter(|asked| asked.needs_approval && !approved.contains(asked) && !withheld.contains(asked))
            .partition(|asked| needed.contains(&asked.query_id));
        withheld.extend(unneeded.into_iter().cloned());
        let (mut introduced, mut unclear) = (false, false);
        if owner.can_ask() && !open.is_empty() {
            let none: Vec<RequestedItem> = withheld.iter().chain(open.iter().copied()).cloned().collect();
            let consent = self.consent(&all, &none, "", None);
            owner.show_request(&consent);
            introduced = true;
            for asked in open {
                let allowed = owner.approve_item(&consent, asked);
                unclear |= allowed.is_none();
                if allowed != Some(true) {
                    withheld.push(asked.clone());
                }
            }
        } else {
            withheld.extend(open.into_iter().cloned());
        }
        let answer = match self.answer(&withheld) {
            Ok(answer) => answer,
            Err(problem) if withheld.is_empty() => return self.no_answer(unanswerable(&problem)),
            Err(_) => {
                let digest = self.digest(&[])?;
                let consent = self.consent(&all, &withheld, &digest, None);
                if !introduced {
                    owner.show_request(&consent);
                }
                let failure = match consent.needs_item_approval() {
                    _ if unclear => Failure::not_answered(Sentence::new("undone-not-allowed")),
                    true => excess_not_approved(self.verifier.registration().is_some()),
                    false => all_withheld(),
                };
                return self.no_answer(owner.explain_unanswered(&consent, &[], failure));
            }
        };
        if answer.presentations.is_empty() {
            return self.no_answer(empty_answer());
        }
        let digest = self.digest(&answer.presentations)?;
        let decision = owner.approve_answer(&self.consent(&all, &withheld, &digest, Some(&answer)), introduced);
        Ok(DecidedAnswer { digest, outcome: Ok((answer.presentations, decision)) })
    }

    /// Returns the outcome for a query that cannot be answered, with the missing credentials as far as they can be
    /// determined.
    fn unanswered(
        &self,
        all: &[RequestedItem],
        problem: &Problem,
        owner: &impl Consent,
    ) -> Result<DecidedAnswer, Failure> {
        let failure = self.explained(unanswerable(problem));
        let lacks = self
            .with_bounds(&[], |bounds| unanswered_queries(self.contents, self.catalogue, &self.request.query, bounds));
        let Some(lacks) = lacks.ok().filter(|lacks| problem.code == Code::QueryUnmet && !lacks.is_empty()) else {
            return self.no_answer(failure);
        };
        let each_is = |lack: MissingReason| lacks.iter().all(|one| one.reason == lack);
        let failure = if each_is(MissingReason::FreshCopies) {
            Failure { hint: Sentence::new("hint-refill-all"), ..failure }
        } else if each_is(MissingReason::UnsupportedQuery) {
            let (message, hint) = (Sentence::new("error-form-unsupported"), Sentence::new("hint-ask-other-form"));
            Failure { message, hint, ..failure }
        } else {
            failure
        };
        let digest = self.digest(&[])?;
        self.no_answer(owner.explain_unanswered(&self.consent(all, &[], &digest, None), &lacks, failure))
    }

    fn answer(&self, withheld: &[RequestedItem]) -> Result<answer::QueryAnswer, Problem> {
        self.with_bounds(withheld, |bounds| answer_query(self.contents, self.catalogue, &self.request.query, bounds))
    }

    fn with_bounds<T>(&self, withheld: &[RequestedItem], with: impl FnOnce(&AnswerConstraints<'_>) -> T) -> T {
        // A withheld value must not replace its proof either.
        let values = withheld.iter().filter(|asked| asked.threshold.is_none()).filter_map(|asked| {
            asked.path.clone().map(|path| RequestedClaimPath { query_id: asked.query_id.clone(), path })
        });
        let mut proofs_only = self.verifier.claims_without_value_permission(&self.request.query);
        proofs_only.extend(values);
        let bounds = AnswerConstraints {
            client_id: &self.request.client_id,
            now: (self.now)(),
            allowed_credentials: self.allowed_credentials,
            withheld,
            proof_only_claims: &proofs_only,
        };
        with(&bounds)
    }

    /// Replaces the hint of a failure with the likely cause of a missing answer, if the wallet has suspended, revoked
    /// or expired credentials.
    fn explained(&self, failure: Failure) -> Failure {
        let now = (self.now)();
        let held = || self.contents.credentials.iter();
        let hint = if held().any(|held| held.withdrawn_status().is_some()) {
            "hint-taken-back-list"
        } else if held().any(|held| held.valid_until.is_some_and(|until| now > until)) {
            "hint-ended-list"
        } else {
            return failure;
        };
        Failure { hint: Sentence::new(hint), ..failure }
    }

    fn digest(&self, parts: &[PlannedPresentation]) -> Result<String, Failure> {
        let text = self.request.approval_text().map_err(|problem| unanswerable(&problem))?;
        approval_digest(&text, parts, self.contents).map_err(|problem| unanswerable(&problem))
    }

    fn no_answer(&self, failure: Failure) -> Result<DecidedAnswer, Failure> {
        Ok(DecidedAnswer { digest: self.digest(&[])?, outcome: Err(failure) })
    }

    fn consent<'c>(
        &'c self,
        asked: &'c [RequestedItem],
        withheld: &'c [RequestedItem],
        digest: &'c str,
        answer: Option<&'c answer::QueryAnswer>,
    ) -> ConsentRequest<'c> {
        ConsentRequest {
            request: self.request,
            verifier: self.verifier,
            items: asked,
            withheld,
            digest,
            answer,
            endpoint: &self.link.endpoint,
            contents: self.contents,
            catalogue: self.catalogue,
            now: (self.now)(),
        }
    }
}

fn excess_not_approved(registered: bool) -> Failure {
    let message = if registered { "error-over-asked" } else { "error-unregistered" };
    Failure::new(FailureReason::OverAsked, Sentence::new(message), Sentence::new("hint-approve"))
}

fn all_withheld() -> Failure {
    Failure::new(Code::QueryUnmet, Sentence::new("error-all-withheld"), Sentence::new("hint-ask-need"))
}

/// Returns the failure for an answer without presentations: the holder would have no credential to choose and nothing
/// to approve, and yet an answer would be sent.
fn empty_answer() -> Failure {
    Failure::new(Code::QueryUnmet, Sentence::new("error-nothing-asked"), Sentence::new("hint-say-need"))
        .with_fault(FaultParty::Verifier)
}

fn unanswerable(problem: &Problem) -> Failure {
    let hint = Sentence::new("hint-list-missing");
    match problem.code {
        Code::QueryUnmet => Failure::new(Code::QueryUnmet, Sentence::new("error-unanswerable"), hint),
        Code::HolderDiffers => {
            let message = Sentence::new("error-holder-differs");
            Failure::new(problem.code, message, Sentence::new("hint-holder"))
        }
        _ => Failure::from_problem(problem, Sentence::new("error-request-unanswered"), hint),
    }
}
