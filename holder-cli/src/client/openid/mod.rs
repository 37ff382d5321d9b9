//! OpenID4VCI and OpenID4VP clients. Each call follows the restrictions for URLs from outside, and its host is
//! announced to the holder beforehand.

use std::time::Duration;

use carnet_core::{Code, Problem};
use carnet_fetch::service::{CallContent, ServiceCall, ServiceClient, ServiceResponse};
use carnet_openid::vp::error::ReceivedVerifierError;
use carnet_wallet::sanitise::sanitise;
use url::Url;

use super::contacts::ContactAnnouncer;
use crate::{
    failure::{Failure, FailureReason, FaultParty, Sentence},
    ui::wait_notice::WaitNotice,
};

pub(crate) mod issuance;
pub(crate) mod presentation;

/// Time limit of one call.
pub(super) const CALL_TIMEOUT: Duration = Duration::from_secs(30);
/// Maximum size of metadata and offers, in bytes.
const MOST_DOCUMENT: usize = 1_048_576;
const JSON: &str = "application/json";

/// HTTP client for the services of one issuer or verifier.
#[derive(Clone)]
pub(crate) struct HttpServices {
    client: ServiceClient,
    contacts: ContactAnnouncer,
    wait: WaitNotice,
    /// Party that runs the services, for failures.
    party: FaultParty,
}

impl HttpServices {
    /// Creates the client. `party` is the party that runs the services, for failures.
    pub(crate) const fn new(
        client: ServiceClient,
        contacts: ContactAnnouncer,
        wait: WaitNotice,
        party: FaultParty,
    ) -> Self {
        Self { client, contacts, wait, party }
    }

    /// Announces the host and makes a call. Returns the response whatever its status; `message` is the message id for
    /// failures.
    async fn call(&self, call: ServiceCall<'_>, message: &'static str) -> Result<ServiceResponse, Failure> {
        self.contacts.announce(call.url);
        let _waiting = self.wait.begin();
        self.client.call(call).await.map_err(|problem| unanswered(&problem, call.url, message).with_fault(self.party))
    }

    /// Fetches a JSON document; any status other than 200 is a failure.
    pub(super) async fn fetch_document(&self, url: &str, message: &'static str) -> Result<Vec<u8>, Failure> {
        let call =
            ServiceCall { url, content: CallContent::None, accept: JSON, token: "", max_document_bytes: MOST_DOCUMENT };
        let answer = self.call(call, message).await?;
        if answer.status == 200 { Ok(answer.body) } else { Err(self.refused(&answer, message)) }
    }

    /// Checks that a URL may be called; nothing is sent to it.
    async fn check(&self, url: &str, message: &'static str) -> Result<(), Failure> {
        let checked = self.client.check(url).await;
        checked.map_err(|problem| unanswered(&problem, url, message).with_fault(self.party))
    }

    /// Converts a response with an error status into a failure of the party.
    fn refused(&self, answer: &ServiceResponse, message: &'static str) -> Failure {
        refused(answer, message).with_fault(self.party)
    }

    /// Converts a problem with a response into a failure of the party.
    fn malformed(&self, problem: &Problem, message: &'static str) -> Failure {
        Failure::from_problem(problem, Sentence::new(message), Sentence::new("hint-name-in-brackets"))
            .with_fault(self.party)
    }
}

/// Converts the problem of a call without a response into a failure.
fn unanswered(problem: &Problem, url: &str, message: &'static str) -> Failure {
    let origin = Url::parse(url).map(|url| url.origin().ascii_serialization()).unwrap_or_default();
    match problem.code {
        Code::DidUnresolved => {
            let message =
                Sentence::new("error-unreachable").with("origin", origin).with_details(sanitise(&problem.detail));
            Failure::temporary(FailureReason::Unavailable, message, Sentence::new("hint-connection"))
        }
        Code::AddressForbidden => {
            let message = Sentence::new("error-private-address").with("origin", origin);
            Failure::new(Code::AddressForbidden, message, Sentence::new("hint-private-host"))
        }
        _ => Failure::from_problem(problem, Sentence::new(message), Sentence::new("hint-name-in-brackets")),
    }
}

/// Converts a response with an error status into a failure. Its reason is that of Carnet's services, otherwise the
/// error code in the body, otherwise that of the status.
fn refused(answer: &ServiceResponse, message: &'static str) -> Failure {
    let said = ReceivedVerifierError::parse(&answer.body);
    let named = Some(said.error.as_str()).filter(|code| is_error_code(code));
    let reason = FailureReason::from_code(answer.reason.as_deref().or(named).unwrap_or(match answer.status {
        401 => "unauthenticated",
        403 => "permission_denied",
        404 | 410 => "not_found",
        408 | 429 | 502..=504 => "unavailable",
        _ => "service_error",
    }));
    let message = Sentence::new(message).with_details(sanitise(&said.description));
    let may_pass = matches!(answer.status, 408 | 429 | 502..=504) || answer.retry_after.is_some();
    match (answer.retry_after, may_pass) {
        (Some(seconds), _) => {
            Failure::temporary(reason, message, Sentence::new("hint-wait").with("seconds", seconds.max(1)))
        }
        (None, true) => Failure::temporary(reason, message, Sentence::new("hint-connection")),
        (None, false) => crate::failure::refused(reason, message),
    }
}

/// Returns whether a text is an error code: 1 to 64 lower-case letters, digits and underscores.
fn is_error_code(text: &str) -> bool {
    let fits = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
    (1..=64).contains(&text.len()) && text.bytes().all(fits)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::failure::FailureKind;

    fn answer(status: u16, reason: Option<&str>, retry_after: Option<u64>, body: &str) -> ServiceResponse {
        ServiceResponse {
            status,
            media_type: JSON.to_owned(),
            reason: reason.map(str::to_owned),
            retry_after,
            body: body.as_bytes().to_vec(),
        }
    }

    #[test]
    fn a_refusal_has_the_reason_of_the_service() {
        let read = |answer: &ServiceResponse| {
            let failure = refused(answer, "error-service-redeem");
            (failure.reason.to_string(), failure.kind)
        };
        let permanent = |reason: &str| (reason.to_owned(), FailureKind::Permanent);
        let later = |reason: &str| (reason.to_owned(), FailureKind::Temporary);
        let grant = r#"{"error":"invalid_grant"}"#;
        assert_eq!(read(&answer(400, Some("offer_used"), None, grant)), permanent("offer_used"));
        assert_eq!(read(&answer(400, None, None, grant)), permanent("invalid_grant"));
        assert_eq!(read(&answer(404, None, None, "<html>")), permanent("not_found"));
        assert_eq!(read(&answer(302, None, None, "")), permanent("service_error"));
        assert_eq!(read(&answer(503, None, None, "")), later("unavailable"));
        assert_eq!(read(&answer(503, Some("store_busy"), Some(2), "")), later("store_busy"));
        assert_eq!(read(&answer(400, None, None, r#"{"error":"In\u001bvalid"}"#)), permanent("service_error"));
    }

    #[test]
    fn a_private_address_is_named_and_can_be_configured() {
        let failure = unanswered(&Code::AddressForbidden.into(), "http://127.0.0.1:7401/x", "error-service-offer");
        assert_eq!((failure.reason.as_str(), failure.kind), ("address_forbidden", FailureKind::Permanent));
        let away = unanswered(&Code::DidUnresolved.into(), "https://a.example/x", "error-service-offer");
        assert_eq!((away.reason.as_str(), away.kind), ("unavailable", FailureKind::Temporary));
    }
}
