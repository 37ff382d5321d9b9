//! Screens: what is printed, what is asked, in which language.

use std::io::{self, IsTerminal};

use carnet_console::{Answer, Question, out};
use serde_json::Value;

use crate::failure::Failure;

pub(crate) mod consent;
pub(crate) mod labels;
pub(crate) mod messages;
pub(crate) mod sanitise;
pub(crate) mod waiting;
pub(crate) mod wrap;

use messages::{Language, Messages};
use waiting::WaitNotice;

/// How the program talks: one object of JSON, or text for a person.
pub(crate) struct Ui {
    /// One JSON object on standard output, and no questions.
    pub(crate) json: bool,
    ask: bool,
    prompt: bool,
    bold: bool,
    /// Columns of the terminal; none: text goes elsewhere, and lines are as long as they are.
    pub(crate) columns: Option<usize>,
    /// The words.
    pub(crate) messages: Messages,
}

impl Ui {
    /// For this run: questions are asked only of a person at a terminal.
    pub(crate) fn new(json: bool, no_input: bool, language: Language) -> Self {
        let colour = std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
        let (input, screen) = (io::stdin().is_terminal(), carnet_console::stdout_is_terminal());
        let may_ask = !json && !no_input;
        Self {
            json,
            ask: may_ask && somebody_reads(input, screen),
            prompt: may_ask && input,
            bold: !json && colour && screen,
            columns: carnet_console::columns(),
            messages: Messages::new(language),
        }
    }

    /// Whether there is a person to ask: one who sees the screen that a question is about, and can answer it.
    pub(crate) fn can_ask(&self) -> bool {
        self.ask
    }

    /// Whether there is a person to ask for the passphrase, which no screen comes before: the question and the answer go
    /// over the terminal itself, wherever standard output goes.
    pub(crate) fn can_prompt(&self) -> bool {
        self.prompt
    }

    /// A heading, stronger where the terminal can.
    pub(crate) fn heading(&self, text: &str) -> String {
        if self.bold { format!("\u{1b}[1m{text}\u{1b}[0m") } else { text.to_owned() }
    }

    /// A line of text after some spaces, wrapped to the terminal.
    pub(crate) fn wrapped(&self, indent: usize, text: &str) -> String {
        wrap::wrapped(text, indent, self.columns)
    }

    /// Prints a result: the text for a person, the object for a program.
    pub(crate) fn result(&self, text: &str, object: &Value) {
        if self.json { out(format_args!("{object}\n")) } else { out(wrap::fitted(text, self.columns)) }
    }

    /// Prints text for a person only.
    pub(crate) fn say(&self, text: &str) {
        if !self.json {
            out(wrap::fitted(text, self.columns));
        }
    }

    /// A word on the way, apart from the result.
    pub(crate) fn note(&self, text: &str) {
        if !self.json {
            carnet_console::note(text);
        }
    }

    /// Notice for calls to a host.
    pub(crate) fn service_wait(&self, host: &str) -> WaitNotice {
        self.notice(&self.messages.with("wait-service", &[("host", &sanitise::clean(host))]))
    }

    /// Notice for another command that has the wallet.
    pub(crate) fn busy_wait(&self) -> WaitNotice {
        self.notice(&self.messages.text("wait-busy"))
    }

    /// Notice for the work of the passphrase, each time that the wallet is opened or stored.
    pub(crate) fn wallet_wait(&self) -> WaitNotice {
        self.notice(&self.messages.text("wait-wallet"))
    }

    fn notice(&self, text: &str) -> WaitNotice {
        WaitNotice::new(wrap::fitted(text, self.columns), self.json)
    }

    /// Prints what went wrong.
    pub(crate) fn failure(&self, failure: &Failure) {
        if self.json {
            carnet_console::line(failure.json());
        } else {
            carnet_console::note(wrap::fitted(failure.text().trim_end(), self.columns));
        }
    }

    /// Puts a question to the owner, where the screen is that it is about.
    pub(crate) fn ask(&self, question: &str) -> Answer {
        if !self.ask {
            return Answer::Unclear;
        }
        let word = |id: &str| self.messages.text(id);
        let choices = self.messages.with("answer-choices", &[("question", question)]);
        // A space follows.
        let columns = self.columns.map(|columns| columns.saturating_sub(1));
        let question = Question {
            text: &wrap::fitted(&choices, columns),
            language: self.messages.language().tag(),
            yes: &word("answer-yes"),
            no: &word("answer-no"),
            again: &wrap::fitted(&word("answer-again"), self.columns),
        };
        question.put(|text| out(text), carnet_console::read_line)
    }

    /// Returns an error unless the owner answers a question with yes. `undone` says what was not done.
    pub(crate) fn require_yes(&self, question: &str, undone: &str) -> Result<(), Failure> {
        match self.ask(question) {
            Answer::Yes => Ok(()),
            Answer::No => Err(Failure::declined(undone)),
            Answer::Unclear => Err(Failure::not_answered(undone)),
        }
    }
}

/// Whether what is asked is seen by the one who answers. If either end is a file or another program, what comes back is
/// nobody's yes.
const fn somebody_reads(input_is_terminal: bool, screen_is_terminal: bool) -> bool {
    input_is_terminal && screen_is_terminal
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_question_shows_both_answers_in_its_language() {
        for language in Language::ALL {
            let messages = Messages::new(language);
            let (yes, no) = (messages.text("answer-yes"), messages.text("answer-no"));
            for shown in [messages.with("answer-choices", &[("question", "Q")]), messages.text("answer-again")] {
                assert!(shown.contains(&yes) && shown.contains(&no), "{language:?}: {shown}");
                assert!(shown.contains('1') && shown.contains('2'), "{language:?}: {shown}");
            }
            for id in [
                "consent-question",
                "excess-question",
                "receive-question",
                "delete-question",
                "erase-question",
                "forget-question",
            ] {
                let question = messages.with(id, &[("claim", "X")]);
                assert!(!question.contains(&format!("/{no}")) && !question.contains('['), "{language:?}: {question}");
            }
        }
    }

    #[test]
    fn an_answer_that_nobody_can_give_is_unclear() {
        let ui = Ui::new(false, true, Language::En);
        assert_eq!(ui.ask("Show this?"), Answer::Unclear);
        let failure = ui.require_yes("Show this?", "nothing was sent").unwrap_err();
        assert_eq!(failure.reason, "not_answered");
    }

    #[test]
    fn a_question_that_nobody_sees_is_not_asked() {
        assert!(somebody_reads(true, true));
        for (input, screen) in [(true, false), (false, true), (false, false)] {
            assert!(!somebody_reads(input, screen), "{input} {screen}");
        }
    }
}
