//! Command `doctor`: checks of a service's configuration and of its publications as others see them, each with advice.
//!
//! A running service performs the same checks at its start and every hour.

use std::path::Path;

use carnet_core::{
    Code,
    did::Did,
    json::{self, Limits},
    text::displayable_lines,
    time::{CLOCK_SKEW, Timestamp},
};
use carnet_fetch::{
    HttpsFetcher,
    diagnostics::{SiteError, SiteResponse},
};
use serde_json::{Value, json};

use crate::{
    config::{ServeConfig, StartError},
    keys, serve,
};

/// Result of one check.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DoctorCheck {
    /// Name of the check, such as `tls`.
    name: &'static str,
    outcome: DoctorOutcome,
    detail: String,
    /// Advice; empty unless the check failed.
    advice: String,
}

/// Outcome of a check.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum DoctorOutcome {
    Passed,
    /// Failed check.
    Failed {
        /// `true` if the check may pass on a retry, because a server did not respond.
        is_retryable: bool,
    },
    /// The check was not possible or not applicable.
    Skipped,
}

impl DoctorCheck {
    /// Creates a passed check.
    pub fn passed(name: &'static str, detail: impl Into<String>) -> Self {
        Self { name, outcome: DoctorOutcome::Passed, detail: detail.into(), advice: String::new() }
    }

    /// Creates a failed check, with advice.
    pub fn failed(name: &'static str, detail: impl Into<String>, advice: impl Into<String>) -> Self {
        let outcome = DoctorOutcome::Failed { is_retryable: false };
        Self { name, outcome, detail: detail.into(), advice: advice.into() }
    }

    /// Creates a skipped check: it could not be made, or is not applicable.
    pub fn skipped(name: &'static str, why: impl Into<String>) -> Self {
        Self { name, outcome: DoctorOutcome::Skipped, detail: why.into(), advice: String::new() }
    }

    /// Marks the check as one that may pass on a retry.
    #[must_use]
    pub fn retryable(self) -> Self {
        Self { outcome: DoctorOutcome::Failed { is_retryable: true }, ..self }
    }

    /// Creates a failed check from an error, with the error's hint as advice. It is retryable if the error is.
    #[must_use]
    pub fn from_error(name: &'static str, error: StartError) -> Self {
        // The consequence is omitted: it refers to a start, and `doctor` starts nothing.
        let check = Self::failed(name, error.message, error.hint);
        if error.is_retryable { check.retryable() } else { check }
    }

    /// Returns whether the check failed.
    #[must_use]
    pub const fn has_failed(&self) -> bool {
        matches!(self.outcome, DoctorOutcome::Failed { .. })
    }

    /// Creates the check of the configuration from the result of the service's own check at its start.
    #[must_use]
    pub fn configuration<T>(checked: Result<T, StartError>) -> Self {
        match checked {
            Ok(_) => Self::passed(CONFIGURATION, "Its values are valid, and agree with the catalogue."),
            Err(error) => Self::from_error(CONFIGURATION, error),
        }
    }

    const fn outcome_name(&self) -> &'static str {
        match self.outcome {
            DoctorOutcome::Passed => "passed",
            DoctorOutcome::Failed { .. } => "failed",
            DoctorOutcome::Skipped => "skipped",
        }
    }

    fn to_line(&self) -> String {
        let advice = if self.advice.is_empty() { String::new() } else { format!(" To do: {}", self.advice) };
        format!("{:<8}{:<14}{}{advice}", self.outcome_name(), self.name, self.detail.replace('\n', " "))
    }

    fn to_json(&self) -> Value {
        json!({"check": self.name, "outcome": self.outcome_name(), "detail": self.detail, "advice": self.advice})
    }
}

/// Prints the checks, one per line, and returns the exit code: 0 if none failed, 3 if every failed check may pass on a
/// retry, otherwise 1.
#[must_use]
pub fn print_report(checks: &[DoctorCheck], json: bool) -> u8 {
    let code = exit_code(checks);
    if json {
        let checks: Vec<Value> = checks.iter().map(DoctorCheck::to_json).collect();
        carnet_console::print_line(json!({"healthy": code == 0, "checks": checks}));
    } else {
        let lines: Vec<String> = checks.iter().map(DoctorCheck::to_line).collect();
        carnet_console::print_line(displayable_lines(&lines.join("\n")));
    }
    code
}

fn exit_code(checks: &[DoctorCheck]) -> u8 {
    let mut code = 0;
    for check in checks {
        match check.outcome {
            DoctorOutcome::Failed { is_retryable: false } => return carnet_console::EXIT_FAILURE,
            DoctorOutcome::Failed { is_retryable: true } => code = carnet_console::EXIT_TRY_AGAIN,
            DoctorOutcome::Passed | DoctorOutcome::Skipped => {}
        }
    }
    code
}

/// Service whose web site and configuration are checked.
#[derive(Debug)]
pub struct ExaminedService<'a> {
    /// Data directory.
    pub data: &'a Path,
    /// DID of the service.
    pub did: &'a Did,
    /// Configuration.
    pub config: &'a ServeConfig,
    /// Fetcher for the published files.
    pub fetcher: &'a HttpsFetcher,
    /// Current time by the clock of this machine.
    pub now: Timestamp,
}

/// Name of the check of the configuration, which is the first one.
pub const CONFIGURATION: &str = "configuration";
const TLS: &str = "tls";
const DOCUMENT: &str = "document";
const CLOCK: &str = "clock";

impl ExaminedService<'_> {
    /// Checks TLS (the service's own certificate, and that of the web site), the published DID document, and this
    /// machine's clock. Returns one result for each; checks that are not possible or not applicable are skipped.
    pub async fn check_site(&self) -> Vec<DoctorCheck> {
        let listener = self.check_listener();
        let Some((url, file, visit)) = fetch_published(self.did, self.fetcher).await else {
            let why = "the DID contains its key, and nothing is published for it";
            let tls = listener.unwrap_or_else(|| DoctorCheck::skipped(TLS, why));
            return vec![tls, DoctorCheck::skipped(DOCUMENT, why), DoctorCheck::skipped(CLOCK, why)];
        };
        let tls =
            listener.filter(DoctorCheck::has_failed).unwrap_or_else(|| check_certificate(&url, visit.as_ref().err()));
        match visit {
            Ok(visit) => {
                vec![tls, self.check_document(&url, file, &visit.bytes).await, check_clock(self.now, visit.server_time)]
            }
            Err(error) if error.is_tls => {
                let why = "its site was not read";
                vec![tls, DoctorCheck::skipped(DOCUMENT, why), DoctorCheck::skipped(CLOCK, why)]
            }
            Err(error) => vec![
                tls,
                failed_fetch_check(&url, file, &error),
                DoctorCheck::skipped(CLOCK, "its site did not answer"),
            ],
        }
    }

    /// Checks the certificate of the service's own listener; `None` if none is configured.
    fn check_listener(&self) -> Option<DoctorCheck> {
        let files = self.config.tls.as_ref()?;
        Some(match serve::tls_acceptor(files, &[]) {
            Ok(_) => DoctorCheck::passed(TLS, format!("{} and its key can be used.", files.cert.display())),
            Err(error) => DoctorCheck::from_error(TLS, error),
        })
    }

    async fn check_document(&self, url: &str, file: &str, bytes: &[u8]) -> DoctorCheck {
        let parsed = keys::parse_published(self.did, bytes, self.fetcher).await;
        let path = self.data.join(file);
        let publish = format!("Publish {} at {url}, unchanged.", path.display());
        let document = match parsed {
            Ok(document) => document,
            Err(problem) => return DoctorCheck::failed(DOCUMENT, format!("{url} is refused: {problem}."), publish),
        };
        let differences = match keys::compare_published(self.data, self.did, &document) {
            Ok(differences) => differences,
            Err(older) => return DoctorCheck::from_error(DOCUMENT, older),
        };
        if !differences.is_empty() {
            return DoctorCheck::failed(DOCUMENT, format!("{url}: {}.", differences.join("; ")), publish);
        }
        match std::fs::read(&path) {
            Ok(own) if same_document(&own, bytes) => {
                DoctorCheck::passed(DOCUMENT, format!("{url} is {}.", path.display()))
            }
            Ok(_) => DoctorCheck::failed(
                DOCUMENT,
                format!("{url} has the right keys, but differs from {} otherwise.", path.display()),
                publish,
            ),
            Err(error) => DoctorCheck::failed(
                DOCUMENT,
                format!("{} cannot be read: {error}.", path.display()),
                "Run `keys check`: it writes the document for the keys.",
            ),
        }
    }
}

/// Returns whether two files are equal as JSON documents, or otherwise as bytes without surrounding white space.
fn same_document(one: &[u8], other: &[u8]) -> bool {
    let read = |bytes: &[u8]| json::parse(bytes, Limits::DOCUMENT).ok();
    match (read(one), read(other)) {
        (Some(one), Some(other)) => one == other,
        _ => one.trim_ascii() == other.trim_ascii(),
    }
}

fn check_certificate(url: &str, error: Option<&SiteError>) -> DoctorCheck {
    match error {
        None => DoctorCheck::passed(TLS, format!("The certificate of {url} is trusted and valid now.")),
        Some(error) if error.is_tls => DoctorCheck::failed(
            TLS,
            format!("The certificate is refused: {}.", error.problem.detail),
            "Renew it, or get one for this host; name your own certificate authority in extra_ca under [serve].",
        ),
        Some(_) => DoctorCheck::skipped(TLS, "its site was not read"),
    }
}

fn failed_fetch_check(url: &str, file: &str, error: &SiteError) -> DoctorCheck {
    let detail = format!("{}.", error.problem.detail);
    if error.problem.code == Code::AddressForbidden {
        return DoctorCheck::failed(
            DOCUMENT,
            format!("{url}: {detail}"),
            "If that address is correct, add the host to private_hosts under [serve].",
        );
    }
    DoctorCheck::failed(
        DOCUMENT,
        detail,
        format!("Configure the web server to answer there with {file}, without a redirect."),
    )
    .retryable()
}

/// Compares this machine's clock with a server's: failed if they differ by more than the permitted clock skew, skipped
/// without the server's time.
#[must_use]
pub fn check_clock(now: Timestamp, server: Option<Timestamp>) -> DoctorCheck {
    let Some(server) = server else { return DoctorCheck::skipped(CLOCK, "its site does not send the time") };
    let apart = now.unix().abs_diff(server.unix());
    let detail = format!("This machine's clock says {now}, the site's says {server}.");
    if apart <= CLOCK_SKEW.unsigned_abs() {
        return DoctorCheck::passed(CLOCK, detail);
    }
    DoctorCheck::failed(
        CLOCK,
        format!("{detail} They are {apart} seconds apart; at most {CLOCK_SKEW} are allowed."),
        "Set the wrong one, and synchronise both with a time server (NTP).",
    )
}

/// Fetches the time of the web site with a DID's document; `None` if the fetch fails, the site does not state the time,
/// or the DID is not published.
pub async fn fetch_server_time(did: &Did, fetcher: &HttpsFetcher) -> Option<Timestamp> {
    fetch_published(did, fetcher).await?.2.ok()?.server_time
}

/// Fetches the published document or log of a DID. Returns its URL, its file name in a data directory, and the
/// response; `None` if nothing is published for the DID.
async fn fetch_published(
    did: &Did,
    fetcher: &HttpsFetcher,
) -> Option<(String, &'static str, Result<SiteResponse, SiteError>)> {
    let file = fetcher.methods().location(did).ok()?;
    let visited = fetcher.fetch_with_server_time(&file.url, file.accept, file.max_bytes).await;
    Some((file.url, file.name, visited))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clocks_may_be_a_minute_apart() {
        let at = |seconds: i64| Timestamp::from_unix(1_796_000_000 + seconds);
        for (apart, word) in [(0, "passed"), (60, "passed"), (-60, "passed"), (61, "failed"), (-61, "failed")] {
            assert_eq!(check_clock(at(0), Some(at(apart))).outcome_name(), word, "{apart}");
        }
        assert_eq!(check_clock(at(0), None).outcome_name(), "skipped");
    }

    #[test]
    fn the_exit_code_is_that_of_the_worst_check() {
        let (passed, skipped) = (DoctorCheck::passed("a", "x"), DoctorCheck::skipped("b", "x"));
        let (failed, passing) = (DoctorCheck::failed("c", "x", "y"), DoctorCheck::failed("d", "x", "y").retryable());
        assert_eq!(exit_code(&[passed.clone(), skipped]), 0);
        assert_eq!(exit_code(&[passed, passing.clone()]), 3);
        assert_eq!(exit_code(&[passing, failed.clone()]), 1);
        // The longest names have a space after them.
        for name in [CONFIGURATION, "registration"] {
            assert!(DoctorCheck::skipped(name, "there is none").to_line().contains(&format!("{name} ")));
        }
        assert_eq!(failed.to_line(), "failed  c             x To do: y");
    }

    #[test]
    fn documents_are_the_same_if_they_say_the_same() {
        assert!(same_document(b"{\"a\": 1, \"b\": 2}\n", b"{\"b\":2,\"a\":1}"));
        assert!(!same_document(b"{\"a\": 1}", b"{\"a\": 2}"));
        assert!(same_document(b"{\"a\":1}\n{\"b\":2}\n", b"{\"a\":1}\n{\"b\":2}"));
    }
}
