//! Requests and verdicts in words, for clerks.

use std::{collections::BTreeMap, fmt::Write as _};

use carnet_core::{Code, day, query::path_to_text, text::displayable};
use carnet_proto::verifier::v1::{
    CheckOutcome, CredentialSummary, ProvedThreshold, RequestResult, RequestState, Verdict, proved_threshold::Bound,
};
use carnet_service::time::now;
use carnet_spec::{Catalogue, DisplayTexts, RequestTemplate};
use serde_json::{Map, Value};

const LANGUAGE: &str = "en";
/// Member of the documents under which the claims are.
const SUBJECT: &str = "credentialSubject";

/// Words for the requests of one template and for their results.
pub(super) struct RequestWording<'a> {
    catalogue: &'a Catalogue,
    template_id: &'a str,
    template: Option<&'a RequestTemplate>,
    /// Requested claims by query id: name of the credential type, and the names of the claims directly below the
    /// subject, in the order of the query. Empty if the catalogue does not have the template.
    asked: BTreeMap<String, (String, Vec<String>)>,
    /// `true` if one of several credentials answers the request.
    has_alternatives: bool,
}

impl<'a> RequestWording<'a> {
    /// Creates the words from a catalogue. For a template that it does not have, names are technical.
    pub(super) fn new(catalogue: &'a Catalogue, template_id: &'a str) -> Self {
        let template = catalogue.template(template_id);
        let query = template.and_then(|template| template.query_at(now()).ok()).map(|(query, _)| query);
        let mut asked = BTreeMap::new();
        for credential in query.iter().flat_map(|query| &query.credentials) {
            let by_vct = || credential.vct_values.iter().find_map(|vct| catalogue.credential_type_by_vct(vct));
            let by_type = credential.type_values.first().and_then(|set| set.last()).cloned();
            let Some(name) = by_type.or_else(|| by_vct().map(|known| known.name.clone())) else { continue };
            let mut claims: Vec<String> = Vec::new();
            for claim in credential.claims.iter().map(|claim| top_level_name(&path_to_text(&claim.path))) {
                if !claims.contains(&claim) {
                    claims.push(claim);
                }
            }
            asked.insert(credential.id.clone(), (name, claims));
        }
        let sets = query.iter().flat_map(|query| &query.credential_sets);
        let has_alternatives = sets.into_iter().any(|set| set.options.len() > 1);
        Self { catalogue, template_id, template, asked, has_alternatives }
    }

    fn display(&self, type_name: &str) -> Option<&DisplayTexts> {
        Some(self.catalogue.credential_type(type_name)?.display_texts(LANGUAGE))
    }

    fn type_label(&self, type_name: &str) -> String {
        self.display(type_name).map_or_else(|| displayable(type_name), |display| displayable(&display.name))
    }

    fn claim_label(&self, type_name: &str, path: &str) -> String {
        let label = self.display(type_name).and_then(|display| display.claim_label(path));
        displayable(label.unwrap_or_else(|| path.strip_prefix("credentialSubject.").unwrap_or(path)))
    }

    fn claim_labels<'b>(&self, type_name: &str, claims: impl IntoIterator<Item = &'b String>) -> String {
        claims.into_iter().map(|claim| self.claim_label(type_name, claim)).collect::<Vec<_>>().join("; ")
    }

    /// Returns the title of the request, and a line for each credential that it asks for.
    pub(super) fn request_text(&self) -> String {
        let title = self.template.map(|template| RequestTemplate::text_in_language(&template.title, LANGUAGE));
        let mut text = format!("{}\n", displayable(title.unwrap_or(self.template_id)));
        if self.has_alternatives {
            text.push_str("Asked for, from one of these documents:\n");
        }
        let lead = if self.has_alternatives { "  " } else { "Asked for, from " };
        for (type_name, claims) in self.asked.values() {
            let (kind, labels) = (self.type_label(type_name), self.claim_labels(type_name, claims));
            // Writing to a String does not fail.
            writeln!(text, "{lead}{kind}: {labels}").ok();
        }
        text
    }

    /// Returns the claims of each credential that the request does not ask for, by query id: their names directly below
    /// the subject. An empty object if the catalogue does not have the template.
    pub(super) fn not_asked(&self, verdict: Option<&Verdict>) -> Value {
        let credentials = verdict.map(|verdict| verdict.credentials.as_slice()).unwrap_or_default();
        let members = credentials.iter().filter_map(|credential| {
            Some((credential.query_id.clone(), Value::from(self.claims_not_asked(credential)?)))
        });
        Value::Object(members.collect())
    }

    fn claims_not_asked(&self, credential: &CredentialSummary) -> Option<Vec<String>> {
        let known = self.catalogue.credential_type(&credential.credential_type)?;
        let (_, asked) = self.asked.get(&credential.query_id)?;
        let mut others: Vec<String> = Vec::new();
        for name in known.disclosable_claims.iter().map(|path| top_level_name(&path_to_text(path))) {
            if !known.is_commitments(&name) && !asked.contains(&name) && !others.contains(&name) {
                others.push(name);
            }
        }
        Some(others)
    }

    /// Returns a final state of a request in words. `disclosed` has the disclosed claims by query id, if they reached
    /// this program.
    pub(super) fn result_text(&self, state: RequestState, result: &RequestResult, disclosed: Option<&Value>) -> String {
        let verdict = result.verdict.clone().unwrap_or_default();
        match state {
            RequestState::Accepted => self.accepted_text(&result.id, &verdict, disclosed),
            RequestState::Refused => refused_text(&result.id, &verdict),
            RequestState::Expired => "NO ANSWER: nobody answered in time. Nothing was stored.\n".to_owned(),
            RequestState::Erased => {
                "ERASED: the request was answered, and the holder then had its data erased.\n".to_owned()
            }
            RequestState::Open | RequestState::Unspecified => String::new(),
        }
    }

    fn accepted_text(&self, id: &str, verdict: &Verdict, disclosed: Option<&Value>) -> String {
        let mut text = "VERIFIED: every check passed.\n".to_owned();
        let mut documents = disclosed.map(documents_by_query).unwrap_or_default();
        for credential in &verdict.credentials {
            let issuer = issuer_label(verdict, credential);
            writeln!(text, "{}, from {issuer}", self.type_label(&credential.credential_type)).ok();
            let document = documents.get_mut(&credential.query_id).and_then(Iterator::next);
            match document {
                Some(document) => self.write_claims(&mut text, &credential.credential_type, document),
                None => {
                    let paths = self.claim_labels(&credential.credential_type, &credential.disclosed_paths);
                    writeln!(text, "  Shown: {paths}").ok();
                }
            }
            for proved in &credential.proved_thresholds {
                let label = self.claim_label(&credential.credential_type, &proved.path);
                writeln!(text, "  {label}: {} (the value was not shown)", bound_text(proved)).ok();
            }
            if let Some(others) = self.claims_not_asked(credential).filter(|others| !others.is_empty()) {
                let labels = self.claim_labels(&credential.credential_type, &others);
                writeln!(text, "  Not asked for: {labels}").ok();
            }
        }
        for message in &verdict.status_messages {
            writeln!(text, "The issuer's message (not verified): {}", displayable(&message.text)).ok();
        }
        match &verdict.redemption {
            Some(used) if used.of > 0 => writeln!(text, "One use was counted: {} of {}.", used.number, used.of).ok(),
            Some(_) => writeln!(text, "One unit was counted as used.").ok(),
            None => None,
        };
        let kept = if disclosed.is_some() {
            "The answers above are not stored"
        } else {
            "The answers came while the desk was not connected, and are not stored: to read them, ask again. The \
             verdict is valid"
        };
        writeln!(text, "{kept}. The verdict is: carnet-verifier result {id}").ok();
        text
    }

    /// Writes the claims of a document, each on a line.
    fn write_claims(&self, text: &mut String, type_name: &str, document: &Value) {
        let subjects = match document.get(SUBJECT) {
            Some(Value::Array(subjects)) => subjects.as_slice(),
            Some(subject) => std::slice::from_ref(subject),
            None => &[],
        };
        for (name, value) in subjects.iter().filter_map(Value::as_object).flatten() {
            let (label, value) = (self.claim_label(type_name, name), self.value_text(type_name, name, value));
            writeln!(text, "  {label}: {value}").ok();
        }
    }

    /// Formats a claim value; `path` is that of the claim below the subject.
    fn value_text(&self, type_name: &str, path: &str, value: &Value) -> String {
        match value {
            Value::Bool(true) => "yes".to_owned(),
            // A verified "no" must not pass for a yes at a glance.
            Value::Bool(false) => "NO".to_owned(),
            Value::String(text) => {
                let known = self.display(type_name).and_then(|display| display.value_text(path, text));
                displayable(known.unwrap_or(text))
            }
            Value::Array(items) => {
                items.iter().map(|item| self.value_text(type_name, path, item)).collect::<Vec<_>>().join("; ")
            }
            Value::Object(members) => members
                .iter()
                .map(|(name, value)| {
                    let path = format!("{path}.{name}");
                    format!("{}: {}", self.claim_label(type_name, &path), self.value_text(type_name, &path, value))
                })
                .collect::<Vec<_>>()
                .join(", "),
            other => displayable(&other.to_string()),
        }
    }
}

/// Returns the documents by query id; a query has one, or an array of them.
fn documents_by_query(disclosed: &Value) -> BTreeMap<String, std::slice::Iter<'_, Value>> {
    let members = disclosed.as_object().into_iter().flat_map(Map::iter);
    members
        .map(|(id, documents)| {
            let documents = documents.as_array().map_or(std::slice::from_ref(documents), Vec::as_slice);
            (id.clone(), documents.iter())
        })
        .collect()
}

/// Returns the name of the claim directly below the subject that contains the claim at a path.
fn top_level_name(path: &str) -> String {
    let below = path.strip_prefix("credentialSubject.").unwrap_or(path);
    below.split(['.', '[']).next().unwrap_or_default().to_owned()
}

/// Returns the name of the issuer in the trust list, with its DID; the DID alone if no entry decided.
fn issuer_label(verdict: &Verdict, credential: &CredentialSummary) -> String {
    let decision = verdict.issuers.iter().find(|decision| decision.query_id == credential.query_id);
    match decision.map(|decision| decision.entry.as_str()).filter(|entry| !entry.is_empty()) {
        Some(entry) => displayable(&format!("{entry} ({})", credential.issuer)),
        None => displayable(&credential.issuer),
    }
}

fn bound_text(proved: &ProvedThreshold) -> String {
    let is_date = |bound: &str| day::parse_start(bound).is_ok();
    let text = match &proved.bound {
        Some(Bound::AtLeast(bound)) if is_date(bound) => format!("{bound} or later"),
        Some(Bound::AtMost(bound)) if is_date(bound) => format!("{bound} or earlier"),
        Some(Bound::AtLeast(bound)) => format!("at least {bound}"),
        Some(Bound::AtMost(bound)) => format!("at most {bound}"),
        None => "proved".to_owned(),
    };
    displayable(&text)
}

/// Returns a refusal in words: the reason, and the next step of the clerk or the visitor.
fn refused_text(id: &str, verdict: &Verdict) -> String {
    let (reason, advice) = refusal_words(&verdict.reason);
    let detail = verdict
        .checks
        .iter()
        .find(|check| check.outcome == i32::from(CheckOutcome::Failed) && check.code == verdict.reason)
        .map(|check| displayable(&check.detail))
        .unwrap_or_default();
    let reason = match (reason, detail.is_empty()) {
        (Some(reason), _) => reason.to_owned(),
        (None, false) => detail,
        (None, true) => "a check failed.".to_owned(),
    };
    let code = displayable(&verdict.reason);
    format!(
        "NOT VERIFIED: {reason} ({code})\n{advice}\nNothing that the visitor sent was stored or is shown. The checks: \
         carnet-verifier result {id}\n"
    )
}

/// Returns the reason of a refusal for a clerk, if its code has one, and the next step.
fn refusal_words(code: &str) -> (Option<&'static str>, &'static str) {
    const ISSUER: &str = "The visitor can ask the issuer.";
    const SERVICE: &str =
        "This is not the visitor's fault. Try again in a few minutes, and tell the operator of this service.";
    let known = match code {
        "revoked" => ("the issuer has revoked the document.", ISSUER),
        "suspended" => {
            ("the issuer has suspended the document.", "It may be valid again later. The visitor can ask the issuer.")
        }
        "expired" => (
            "the document, or the answer, has expired.",
            "The visitor can renew the document in the wallet, or ask its issuer for a new one.",
        ),
        "not_yet_valid" => ("the document, or the answer, is not valid yet.", "Check the clock of this machine."),
        "issuer_untrusted" => (
            "this service does not accept documents of this kind from their issuer.",
            "The reason for the issuer: carnet-verifier why ID.",
        ),
        "entitlement_used" => (
            "the voucher, or the unit that was shown, is used up. No use was counted.",
            "The visitor can show another one, if there is any.",
        ),
        "redeemer_other" => (
            "the voucher is for another office. No use was counted.",
            "The voucher names the office; the visitor's wallet shows it.",
        ),
        "serials_several" => ("more than one unit was shown. No use was counted.", "The visitor can answer again."),
        "reconciliation_due" => (
            "this desk must first be reconciled with the others. No use was counted.",
            "This is not the visitor's fault. Exchange exports with the other desks: carnet-verifier redemptions.",
        ),
        "status_list_stale" | "status_list_unavailable" | "did_unresolved" | "issuer_key_unknown" => {
            ("the validity of the document could not be checked.", SERVICE)
        }
        "threshold_unmet" | "threshold_unproven" => (
            "the document does not prove the level, number or date that was asked for.",
            "The visitor may have another document that does.",
        ),
        "query_unmet" | "claim_missing" => {
            ("the answer does not contain everything that was asked for.", "The visitor can answer again.")
        }
        "holder_differs" => {
            ("the documents do not belong to one person, as the request demands.", "The visitor can answer again.")
        }
        "signature_invalid" | "key_binding_key" | "key_binding_missing" | "holder_mismatch" => (
            "the signature is not that of the issuer, or the sender lacks the key of the document.",
            "Do not accept it. The visitor can answer again from the wallet that received the document.",
        ),
        _ => {
            let meaning = Code::ALL.iter().find(|known| known.as_str() == code).map(|known| known.meaning());
            return (meaning, "The visitor can answer again, or ask the issuer.");
        }
    };
    (Some(known.0), known.1)
}

/// Returns a text with a line feed at its end, wrapped to the columns of the terminal.
pub(super) fn wrapped(text: &str) -> String {
    let columns = carnet_console::terminal_columns();
    text.lines().map(|line| wrap_line(line, columns)).collect()
}

/// Returns a line with a line feed, wrapped at spaces. Further lines have two more columns of indentation.
fn wrap_line(line: &str, columns: Option<usize>) -> String {
    carnet_console::wrap_lines_between_words(&format!("{line}\n"), columns)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn lines_wrap_at_spaces_and_keep_their_indentation() {
        assert_eq!(wrap_line("  Not asked for: a; bcdef", Some(20)), "  Not asked for: a;\n    bcdef\n");
        assert_eq!(wrap_line("  Not asked for: a; b", None), "  Not asked for: a; b\n");
        let long = "x".repeat(30);
        assert_eq!(wrap_line(&long, Some(20)), format!("{long}\n"), "a link stays in one piece");
    }

    #[test]
    fn every_template_is_said_in_the_words_of_the_catalogue() {
        let catalogue = Catalogue::embedded().unwrap();
        for template in catalogue.templates() {
            let wording = RequestWording::new(&catalogue, &template.id);
            let text = wording.request_text();
            assert!(!wording.asked.is_empty() && !text.contains("Credential"), "{text}");
        }
        let residence = RequestWording::new(&catalogue, "right-of-residence").request_text();
        assert!(residence.contains("from one of these documents:\n  Applicant for"), "{residence}");
        let unknown = RequestWording::new(&catalogue, "no-such-template");
        assert_eq!(unknown.request_text(), "no-such-template\n");
    }

    #[test]
    fn a_verified_no_is_said_in_capitals_and_the_rest_as_not_asked_for() {
        let catalogue = Catalogue::embedded().unwrap();
        let wording = RequestWording::new(&catalogue, "job-right-to-work");
        let summary = CredentialSummary {
            query_id: "residence".to_owned(),
            credential_type: "ResidencePermitCredential".to_owned(),
            issuer: "did:web:authority.example".to_owned(),
            disclosed_paths: vec!["credentialSubject.rightToWork".to_owned()],
            ..Default::default()
        };
        let verdict = Verdict { accepted: true, credentials: vec![summary], ..Default::default() };
        let result = RequestResult { id: "ID".to_owned(), verdict: Some(verdict.clone()), ..Default::default() };
        let claims = serde_json::json!({"residence": [{"credentialSubject": {"rightToWork": false}}]});
        let text = wording.result_text(RequestState::Accepted, &result, Some(&claims));
        assert!(text.contains("  Right to work: NO\n") && text.contains("Not asked for: Given names;"), "{text}");
        assert!(!text.contains("Commitment") && !text.contains("AtLeast"), "{text}");
        assert_eq!(wording.not_asked(Some(&verdict))["residence"][0], "givenName");
        let unseen = wording.result_text(RequestState::Accepted, &result, None);
        assert!(unseen.contains("Shown: Right to work") && unseen.contains("ask again"), "{unseen}");
    }

    #[test]
    fn a_refusal_has_a_reason_its_code_and_a_next_step() {
        let refused = |reason: &str| refused_text("ID", &Verdict { reason: reason.to_owned(), ..Default::default() });
        assert!(refused("revoked").starts_with("NOT VERIFIED: the issuer has revoked the document. (revoked)\n"));
        assert!(refused("proof_expired").contains("The proof has expired. (proof_expired)"));
        assert!(refused("something_new").contains("a check failed. (something_new)"));
        let known: BTreeSet<&str> = Code::ALL.iter().map(|code| code.as_str()).collect();
        let of_uses = ["entitlement_used", "redeemer_other", "serials_several", "reconciliation_due"];
        let own = ["revoked", "suspended", "expired", "not_yet_valid", "issuer_untrusted", "query_unmet"];
        for code in own {
            assert!(known.contains(code), "{code}");
        }
        for code in own.into_iter().chain(of_uses) {
            assert!(refusal_words(code).0.is_some_and(|words| words.starts_with(char::is_lowercase)), "{code}");
        }
    }
}
