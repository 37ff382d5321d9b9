//! Command `carnet need`: lists procedures, such as opening a bank account, with the required documents that the wallet
//! has or lacks. Nothing is fetched or presented.

use carnet_core::{day, query::path_to_text, spelling::nearest_name, time::Timestamp};
use carnet_spec::{Catalogue, Procedure, RequestTemplate, RequiredDocument};
use carnet_wallet::need::{NeedState, NeedStatus, match_needs};
use serde_json::{Value, json};

use crate::{
    arguments::NeedArguments,
    context::CommandContext,
    failure::{Failure, FailureReason, Sentence},
    ui::{Ui, labels::TypeLabels, parties, sanitise::sanitise},
    wallet::{HeldCredential, WalletContents, file::DEFAULT_WORK_FACTOR},
};

pub(crate) fn run(context: &CommandContext, arguments: &NeedArguments) -> Result<(), Failure> {
    let catalogue = context.catalogue()?;
    let chosen =
        arguments.procedure.as_deref().map(|id| catalogue.procedure(id).ok_or_else(|| unknown(&catalogue, id)));
    let chosen = chosen.transpose()?;
    let contents = if context.location.file_path().is_ok_and(|path| path.symlink_metadata().is_ok()) {
        context.wallet.read_without_texts()?
    } else {
        // The list is for people who decide about a wallet, too: nothing is made and nothing is asked for.
        context.ui.print_note(&context.ui.messages.text("need-no-wallet"));
        WalletContents::new(DEFAULT_WORK_FACTOR)
    };
    let guide = ProcedureView { ui: &context.ui, catalogue: &catalogue, contents: &contents, now: context.now() };
    let (text, object) = match chosen {
        Some(procedure) => guide.procedure(procedure),
        None => guide.list(),
    };
    context.ui.print_result(&text, &object);
    Ok(())
}

fn unknown(catalogue: &Catalogue, id: &str) -> Failure {
    let near = nearest_name(id, catalogue.procedures().map(|known| known.id.as_str()));
    let hint = match near {
        Some(near) => Sentence::new("hint-procedure-nearest").with("id", near),
        None => Sentence::new("hint-procedure-list"),
    };
    Failure::new(
        FailureReason::Program("procedure_unknown"),
        Sentence::new("error-procedure-unknown").with("id", sanitise(id)),
        hint,
    )
}

/// Renderer of procedures for one wallet.
struct ProcedureView<'a> {
    ui: &'a Ui,
    catalogue: &'a Catalogue,
    contents: &'a WalletContents,
    now: Timestamp,
}

impl ProcedureView<'_> {
    /// Returns a text of the catalogue in the holder's language, sanitised, since a municipality may have written it;
    /// `None` if it is empty.
    fn localized(&self, texts: &std::collections::BTreeMap<String, String>) -> Option<String> {
        let text = RequestTemplate::text_in_language(texts, self.ui.messages.language().tag());
        (!text.is_empty()).then(|| sanitise(text))
    }

    fn title(&self, procedure: &Procedure) -> String {
        self.localized(&procedure.title).unwrap_or_default()
    }

    fn label(&self, type_name: &str) -> String {
        TypeLabels::new(self.catalogue, type_name, &self.ui.messages).type_label()
    }

    /// Returns all procedures as text and as an object.
    fn list(&self) -> (String, Value) {
        let (ui, messages) = (self.ui, &self.ui.messages);
        let (mut text, mut listed) = (String::new(), Vec::new());
        for procedure in self.catalogue.procedures() {
            let matched = match_needs(procedure, self.contents, self.now);
            let demanded = matched.iter().filter(|status| !status.need.optional).count();
            let lacking = matched.iter().filter(|status| status.is_lacking()).count();
            let state = match (demanded, lacking) {
                (0, _) => messages.text("need-none"),
                (_, 0) => messages.text("need-ready"),
                _ => {
                    let (lacking, demanded) = (lacking.to_string(), demanded.to_string());
                    messages.format("need-lacks", &[("missing", &lacking), ("all", &demanded)])
                }
            };
            let title = self.title(procedure);
            text.push_str(&heading(ui, &title));
            text.push_str(&ui.format_wrapped(2, &state));
            text.push_str(&ui.format_wrapped(2, &messages.format("need-more", &[("id", &procedure.id)])));
            listed.push(json!({
                "id": procedure.id, "title": title, "example": procedure.is_example,
                "demanded": demanded, "lacking": lacking,
            }));
        }
        (text, json!({"procedures": listed}))
    }

    /// Returns one procedure as text and as an object.
    fn procedure(&self, procedure: &Procedure) -> (String, Value) {
        let (ui, messages) = (self.ui, &self.ui.messages);
        let matched = match_needs(procedure, self.contents, self.now);
        let title = self.title(procedure);
        let about = self.localized(&procedure.purpose).unwrap_or_default();
        let mut text = heading(ui, &title);
        text.push_str(&ui.format_wrapped(2, &about));
        if procedure.is_example {
            text.push_str(&ui.format_wrapped(2, &messages.text("need-example")));
        }
        type Section = fn(&NeedStatus<'_>) -> bool;
        let sections: [(&str, Section); 3] = [
            ("need-have", |status| status.state == NeedState::Met),
            ("need-missing", |status| status.is_lacking()),
            ("need-optional", |status| status.need.optional && status.state != NeedState::Met),
        ];
        for (section, belongs) in sections {
            let mut part = matched.iter().filter(|status| belongs(status)).peekable();
            if part.peek().is_some() {
                text.push('\n');
                text.push_str(&heading(ui, &messages.text(section)));
            }
            part.for_each(|status| self.write_need(status, &mut text));
        }
        let papers: Vec<String> =
            procedure.other_requirements.iter().filter_map(|paper| self.localized(paper)).collect();
        if !papers.is_empty() {
            text.push('\n');
            text.push_str(&heading(ui, &messages.text("need-papers")));
            papers.iter().for_each(|paper| text.push_str(&ui.format_wrapped(2, paper)));
        }
        text.push('\n');
        let place = self.localized(&procedure.place);
        let facts =
            [("need-office", &procedure.office), ("need-cost", &procedure.cost), ("need-time", &procedure.duration)];
        let facts = facts.map(|(id, texts)| (id, self.localized(texts)));
        let mut line =
            |id: &str, said: &str| text.push_str(&ui.format_wrapped(0, &messages.format(id, &[("text", said)])));
        place.iter().for_each(|place| line("need-place", place));
        for (id, said) in &facts {
            line(id, said.as_deref().unwrap_or(&messages.text("need-not-stated")));
        }
        let [(_, office), (_, cost), (_, duration)] = facts;
        let needs: Vec<Value> = matched.iter().map(|status| self.need_json(status)).collect();
        let object = json!({
            "id": procedure.id, "title": title, "about": about, "example": procedure.is_example, "needs": needs,
            "papers": papers, "place": place, "office": office, "cost": cost, "duration": duration,
        });
        (text, object)
    }

    /// Writes a need and the credential that meets it, or the reason why there is none.
    fn write_need(&self, status: &NeedStatus<'_>, text: &mut String) {
        let (ui, messages) = (self.ui, &self.ui.messages);
        let mut line = |indent: usize, said: &str| text.push_str(&ui.format_wrapped(indent, said));
        match status.credential {
            Some(held) => {
                line(2, &self.label(&held.type_name));
                line(4, &parties::issuer_name(ui, &held.issuer_name, &held.issuer));
                self.state_sentences(status.state, held).iter().for_each(|said| line(4, said));
            }
            None => line(2, &self.labels(status.need).join(&messages.text("need-or"))),
        }
        line(4, &self.localized(&status.need.reason).unwrap_or_default());
        let asked: Vec<String> = self.requested_claims(status).into_iter().map(|(_, said)| said).collect();
        if !asked.is_empty() {
            line(4, &messages.format("need-asked", &[("claims", &asked.join("; "))]));
        }
        if status.state != NeedState::Met {
            for (label, source) in self.sources(status) {
                line(4, &messages.format("need-source", &[("document", &label), ("source", &source)]));
            }
        }
    }

    /// Returns sentences about the state and the end of validity of a credential.
    fn state_sentences(&self, state: NeedState, held: &HeldCredential) -> Vec<String> {
        let messages = &self.ui.messages;
        let sentence = match state {
            NeedState::Suspended => Some("need-suspended"),
            NeedState::Revoked => Some("need-withdrawn"),
            NeedState::NotYetValid => Some("need-not-yet"),
            NeedState::Met | NeedState::Expired | NeedState::Missing => None,
        };
        let mut said: Vec<String> = sentence.map(|id| messages.text(id)).into_iter().collect();
        if let Some(until) = held.valid_until.filter(|_| state != NeedState::Revoked) {
            let id = if self.now > until { "list-ended" } else { "list-until" };
            said.push(messages.format(id, &[("day", &day::format_last_day(until))]));
        }
        if held.is_due_for_renewal(self.now) {
            said.push(messages.text(if held.is_refillable() { "list-renew" } else { "need-ends-soon" }));
        }
        said
    }

    fn labels(&self, need: &RequiredDocument) -> Vec<String> {
        need.types.iter().map(|name| self.label(name)).collect()
    }

    /// Returns the claims that a verifier would request, as path and label: of the matching credential, or of the first
    /// type that has a request template.
    fn requested_claims(&self, status: &NeedStatus<'_>) -> Vec<(String, String)> {
        let types = match status.credential {
            Some(held) => std::slice::from_ref(&held.type_name),
            None => status.need.types.as_slice(),
        };
        let found = types.iter().find_map(|name| Some((name, self.catalogue.request_for_type(status.need, name)?)));
        let Some((type_name, (template, stored))) = found else { return Vec::new() };
        let Ok((query, _)) = template.query_at(self.now) else { return Vec::new() };
        let Some(query) = query.credential(&stored.id) else { return Vec::new() };
        let labels = TypeLabels::new(self.catalogue, type_name, &self.ui.messages);
        let first = query.claim_sets.first();
        let is_asked = |id: &Option<String>| first.is_none_or(|set| id.as_ref().is_some_and(|id| set.contains(id)));
        let asked = query.claims.iter().filter(|claim| is_asked(&claim.id)).map(|claim| {
            let path = path_to_text(&claim.path);
            let path = path.strip_prefix("credentialSubject.").unwrap_or(&path).to_owned();
            let label = labels.claim_label(&path);
            let said = match &claim.threshold {
                Some(threshold) => format!("{label}: {}", labels.bound_label(threshold)),
                None => label,
            };
            (path, said)
        });
        asked.collect()
    }

    /// Returns, for each accepted type, its label and where it can be obtained, as far as the type's texts say so.
    fn sources(&self, status: &NeedStatus<'_>) -> Vec<(String, String)> {
        let language = self.ui.messages.language().tag();
        let known = status.need.types.iter().filter_map(|name| self.catalogue.credential_type(name));
        known
            .filter_map(|known| {
                let source = known.display_texts(language).how_to_obtain.as_deref()?;
                Some((self.label(&known.name), sanitise(source)))
            })
            .collect()
    }

    fn need_json(&self, status: &NeedStatus<'_>) -> Value {
        let document = status.credential.map(|held| {
            json!({
                "id": held.id, "type": held.type_name, "label": self.label(&held.type_name), "issuer": held.issuer,
                "issuer_name": held.issuer_name, "valid_until": held.valid_until.map(|until| until.to_string()),
                "ends_soon": held.is_due_for_renewal(self.now),
            })
        });
        let asked =
            self.requested_claims(status).into_iter().map(|(claim, text)| json!({"claim": claim, "text": text}));
        let sources = self.sources(status).into_iter();
        let sources = sources.map(|(label, source)| json!({"label": label, "source": source}));
        json!({
            "types": status.need.types, "labels": self.labels(status.need), "optional": status.need.optional,
            "why": self.localized(&status.need.reason), "state": status.state.as_str(), "document": document,
            "asked": asked.collect::<Vec<_>>(), "sources": sources.collect::<Vec<_>>(),
        })
    }
}

/// Formats a heading, wrapped to the terminal.
fn heading(ui: &Ui, text: &str) -> String {
    ui.format_wrapped(0, text).lines().map(|line| format!("{}\n", ui.heading(line))).collect()
}

#[cfg(test)]
mod tests {
    use carnet_core::format::CredentialFormat;

    use super::*;
    use crate::{
        answer::tests::{Issuer, NOW},
        ui::messages::Language,
    };

    /// A wallet with a degree that ends soon, an expired permit, and nothing else.
    fn contents() -> WalletContents {
        let mut contents = WalletContents::new(12);
        let degree = Issuer::new().held("aaaa", CredentialFormat::VcSdJwt, 2);
        let mut permit = degree.clone();
        permit.id = "bbbb".to_owned();
        permit.type_name = "ResidencePermitCredential".to_owned();
        permit.issuer_name = "Residency Authority".to_owned();
        permit.valid_until = Some(NOW.plus(-86_400));
        contents.credentials = vec![degree, permit];
        contents
    }

    type Stage = (Catalogue, WalletContents);

    fn stage() -> Stage {
        (Catalogue::embedded().unwrap(), contents())
    }

    fn screen(
        (catalogue, contents): &Stage,
        language: Language,
        columns: Option<usize>,
        id: Option<&str>,
    ) -> (String, Value) {
        let mut ui = Ui::new(false, true, language);
        ui.columns = columns;
        let guide = ProcedureView { ui: &ui, catalogue, contents, now: NOW };
        id.map_or_else(|| guide.list(), |id| guide.procedure(catalogue.procedure(id).unwrap()))
    }

    /// The complete screens, word for word. To change them on purpose, run with UPDATE_SCREENS=1 and review the diff.
    #[test]
    fn the_screens_in_every_language() {
        let stage = stage();
        let shown = [("need", None), ("need-university", Some("university-admission")), ("need-job", Some("job"))];
        for (name, id) in shown.into_iter().chain([("need-bank-account", Some("bank-account"))]) {
            for language in Language::ALL {
                let file = format!("{}/tests/screens/{name}.{}.txt", env!("CARGO_MANIFEST_DIR"), language.tag());
                let (screen, _) = screen(&stage, language, None, id);
                if std::env::var_os("UPDATE_SCREENS").is_some() {
                    std::fs::write(&file, &screen).unwrap();
                }
                assert_eq!(screen, std::fs::read_to_string(&file).unwrap(), "{file}");
            }
        }
    }

    #[test]
    fn every_procedure_fits_the_terminal_and_says_what_it_knows() {
        let stage = stage();
        for language in Language::ALL {
            for id in std::iter::once(None).chain(stage.0.procedures().map(|known| Some(known.id.as_str()))) {
                let (text, object) = screen(&stage, language, Some(40), id);
                assert!(text.lines().all(|line| carnet_console::width(line) <= 40), "{text}");
                assert!(!text.contains("need-") && !text.contains("list-"), "a message is missing: {text}");
                // A line can also end before a comma.
                let flat = |text: &str| text.split_whitespace().collect::<String>();
                let said = |member: &str| flat(object.get(member).and_then(Value::as_str).unwrap_or_default());
                let shown = flat(&text);
                assert!(shown.contains(&said("title")) && shown.contains(&said("about")), "{text}");
            }
        }
    }

    #[test]
    fn an_expired_document_is_missing_and_a_valid_one_is_not() {
        let stage = stage();
        let needs = |id: &str| screen(&stage, Language::En, None, Some(id)).1["needs"].clone();
        let university = needs("university-admission");
        assert_eq!(university.pointer("/0/state"), Some(&json!("met")));
        assert_eq!(university.pointer("/0/document/id"), Some(&json!("aaaa")));
        assert_eq!(university.pointer("/0/document/ends_soon"), Some(&json!(true)));
        assert_eq!(university.pointer("/1/state"), Some(&json!("missing")));
        let bank = needs("bank-account");
        assert_eq!(bank.pointer("/0/state"), Some(&json!("expired")));
        assert!(bank.pointer("/0/sources/0/source").is_some_and(Value::is_string), "{bank}");
        let listed = screen(&stage, Language::En, None, None).1;
        let entry = |id: &str| {
            let all = listed["procedures"].as_array().unwrap();
            all.iter().find(|entry| entry["id"] == id).map(|entry| entry["lacking"].clone())
        };
        assert_eq!(entry("university-admission"), Some(json!(0)));
        assert_eq!(entry("bank-account"), Some(json!(1)));
    }

    #[test]
    fn words_of_others_cannot_move_the_cursor() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(dir.path().join("services")).unwrap();
        let file = "id = \"trap\"\n[title]\nen = \"Free \\u001b[2J money\"\n[about]\nen = \"Come \\u202e here\"\n";
        std::fs::write(dir.path().join("services/trap.toml"), file).unwrap();
        let catalogue = Catalogue::load(dir.path()).unwrap();
        let contents = contents();
        let ui = Ui::new(false, true, Language::En);
        let guide = ProcedureView { ui: &ui, catalogue: &catalogue, contents: &contents, now: NOW };
        let (text, _) = guide.procedure(catalogue.procedure("trap").unwrap());
        assert!(!text.contains('\u{1b}') && !text.contains('\u{202e}'), "{text:?}");
        assert!(text.contains("money") && text.contains("here"), "{text:?}");
    }

    #[test]
    fn a_mistyped_name_is_told_the_nearest() {
        let catalogue = Catalogue::embedded().unwrap();
        let failure = unknown(&catalogue, "bank-acount");
        // An unknown name ends with 1, as that of a document or an issuer does; 2 is for the command line.
        assert_eq!(failure.reason, "procedure_unknown");
        assert_eq!(crate::failure::FailureOutput::exit_code(&failure), 1);
        let ui = Ui::new(false, true, Language::En);
        assert!(crate::failure::FailureOutput::text(&failure, &ui.messages).contains("carnet need bank-account"));
    }
}
