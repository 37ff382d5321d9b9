//! User interface: screens, questions, notes and languages.

use std::io::{self, IsTerminal};

use carnet_console::{Answer, Choice, Question, print};
use serde_json::Value;

use crate::failure::{Failure, FailureOutput as _, Sentence};

pub(crate) mod consent;
pub(crate) mod labels;
pub(crate) mod locale;
pub(crate) mod messages;
pub(crate) mod notices;
pub(crate) mod parties;
pub(crate) use carnet_wallet::sanitise;
pub(crate) mod wait_notice;

use messages::{Language, LocalizedMessages};
use wait_notice::WaitNotice;

/// Output and input of the program: one JSON object for programs, or text for people.
pub(crate) struct Ui {
    /// `true` prints one JSON object on standard output, and asks no questions.
    pub(crate) json: bool,
    ask: bool,
    prompt: bool,
    bold: bool,
    /// `true` displays DIDs and digests even if a name is available.
    pub(crate) details: bool,
    /// Width of the terminal in columns; `None`: the output is redirected, and lines are not wrapped.
    pub(crate) columns: Option<usize>,
    /// Messages in the chosen language.
    pub(crate) messages: LocalizedMessages,
}

impl Ui {
    /// Creates the user interface of a command. Questions are asked only if `json` and `no_input` are `false` and both
    /// standard input and output are terminals.
    pub(crate) fn new(json: bool, no_input: bool, language: Language) -> Self {
        let colour = std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
        let (input, screen) = (io::stdin().is_terminal(), carnet_console::stdout_is_terminal());
        let may_ask = !json && !no_input;
        Self {
            json,
            ask: may_ask && is_interactive(input, screen),
            prompt: may_ask && input,
            bold: !json && colour && screen,
            details: false,
            columns: carnet_console::terminal_columns(),
            messages: LocalizedMessages::new(language),
        }
    }

    /// Returns whether questions can be asked: they are permitted, and standard input and output are terminals.
    pub(crate) fn can_ask(&self) -> bool {
        self.ask
    }

    /// Returns whether a passphrase can be asked for: questions are permitted, and standard input is a terminal. The
    /// prompt uses the terminal directly, so that standard output may be redirected.
    pub(crate) fn can_prompt(&self) -> bool {
        self.prompt
    }

    /// Formats a heading: bold at a terminal, unless `NO_COLOR` is set.
    pub(crate) fn heading(&self, text: &str) -> String {
        if self.bold { format!("\u{1b}[1m{text}\u{1b}[0m") } else { text.to_owned() }
    }

    /// Formats a text indented by `indent` columns and wrapped to the terminal, with a newline.
    pub(crate) fn format_wrapped(&self, indent: usize, text: &str) -> String {
        carnet_console::wrap_indented(text, indent, self.columns)
    }

    /// Prints the result of a command: the object with `--json`, otherwise the text.
    pub(crate) fn print_result(&self, text: &str, object: &Value) {
        if self.json {
            print(format_args!("{object}\n"))
        } else {
            print(carnet_console::wrap_lines(text, self.columns))
        }
    }

    /// Prints text on standard output; nothing with `--json`.
    pub(crate) fn print_text(&self, text: &str) {
        if !self.json {
            print(carnet_console::wrap_lines(text, self.columns));
        }
    }

    /// Prints a note on standard error; nothing with `--json`.
    pub(crate) fn print_note(&self, text: &str) {
        if !self.json {
            carnet_console::print_error_line(text);
        }
    }

    /// Returns the notice shown while calls to a host are slow.
    pub(crate) fn service_notice(&self, host: &str) -> WaitNotice {
        self.notice(&self.messages.format("wait-service", &[("host", &sanitise::sanitise(host))]))
    }

    /// Returns the notice shown while another command has locked the wallet.
    pub(crate) fn lock_notice(&self) -> WaitNotice {
        self.notice(&self.messages.text("wait-busy"))
    }

    /// Returns the notice shown while the passphrase is hashed, which happens whenever the wallet is opened or saved.
    pub(crate) fn wallet_notice(&self) -> WaitNotice {
        self.notice(&self.messages.text("wait-wallet"))
    }

    fn notice(&self, text: &str) -> WaitNotice {
        WaitNotice::new(carnet_console::wrap_lines(text, self.columns), self.json)
    }

    /// Prints a failure: the object with `--json`, otherwise its lines on standard error.
    pub(crate) fn print_failure(&self, failure: &Failure) {
        if self.json {
            carnet_console::print_line(failure.json());
        } else {
            carnet_console::print_error_line(carnet_console::wrap_lines(
                failure.text(&self.messages).trim_end(),
                self.columns,
            ));
        }
    }

    /// Asks the holder a question, to which it appends the possible answers; up to three times, until the answer is
    /// clear. [`Answer::Unclear`] if questions cannot be asked, or no answer is yes or no.
    pub(crate) fn ask(&self, question: &str) -> Answer {
        match self.choose("answer-choices", question, false) {
            Choice::Answer(answer) => answer,
            // Not offered.
            Choice::Third => Answer::Unclear,
        }
    }

    /// Asks about a screen that the holder has read. If nobody has checked the translation, says so, and offers the same
    /// screen in English, after which the question is asked again.
    pub(crate) fn ask_about(&self, question: &str, screen: impl Fn(&Self) -> String) -> Answer {
        let Some(english) = self.in_english().filter(|_| self.ask) else { return self.ask(question) };
        if matches!(self.messages.language(), Language::Data(_)) {
            // These texts came with a folder: the wallet's own stand beside them without being asked for.
            self.print_text(&format!("\n{}\n", screen(&english)));
        }
        self.print_text(&self.format_wrapped(0, &self.messages.text("translation-unread")));
        loop {
            match self.choose("answer-choices-english", question, true) {
                Choice::Answer(answer) => return answer,
                Choice::Third => self.print_text(&screen(&english)),
            }
        }
    }

    /// Returns this user interface in English; `None` if a speaker has checked its own language, or it is English.
    fn in_english(&self) -> Option<Self> {
        if self.messages.language().is_checked() {
            return None;
        }
        let Self { json, ask, prompt, bold, details, columns, .. } = *self;
        Some(Self { json, ask, prompt, bold, details, columns, messages: LocalizedMessages::new(Language::En) })
    }

    fn choose(&self, choices: &str, question: &str, third: bool) -> Choice {
        if !self.ask {
            return Choice::Answer(Answer::Unclear);
        }
        let word = |id: &str| self.messages.text(id);
        let choices = self.messages.format(choices, &[("question", question)]);
        // A space follows.
        let columns = self.columns.map(|columns| columns.saturating_sub(1));
        let question = Question {
            text: &carnet_console::wrap_lines(&choices, columns),
            language: self.messages.language().tag(),
            yes: &word("answer-yes"),
            no: &word("answer-no"),
            retry_prompt: &carnet_console::wrap_lines(&word("answer-again"), self.columns),
        };
        let print = |text: &str| print(text);
        if third {
            question.ask_with_third(print, carnet_console::read_line)
        } else {
            Choice::Answer(question.ask(print, carnet_console::read_line))
        }
    }

    /// Asks the holder a question. `undone` describes the action that is not taken without a yes.
    ///
    /// # Errors
    /// `declined` after a no; `not_answered` without a clear answer.
    pub(crate) fn require_yes(&self, question: &str, undone: Sentence) -> Result<(), Failure> {
        approval(self.ask(question), undone)
    }

    /// [`Ui::require_yes`], with the screen of the question as in [`Ui::ask_about`].
    ///
    /// # Errors
    /// As there.
    pub(crate) fn require_yes_about(
        &self,
        question: &str,
        undone: Sentence,
        screen: impl Fn(&Self) -> String,
    ) -> Result<(), Failure> {
        approval(self.ask_about(question, screen), undone)
    }
}

fn approval(answer: Answer, undone: Sentence) -> Result<(), Failure> {
    match answer {
        Answer::Yes => Ok(()),
        Answer::No => Err(Failure::declined(undone)),
        Answer::Unclear => Err(Failure::not_answered(undone)),
    }
}

/// Returns whether the person who answers sees the question. If input or output is a file or another program, nobody
/// has consented.
const fn is_interactive(input_is_terminal: bool, screen_is_terminal: bool) -> bool {
    input_is_terminal && screen_is_terminal
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_question_shows_both_answers_in_its_language() {
        for language in Language::ALL {
            let messages = LocalizedMessages::new(language);
            let (yes, no) = (messages.text("answer-yes"), messages.text("answer-no"));
            let choices =
                ["answer-choices", "answer-choices-english"].map(|id| messages.format(id, &[("question", "Q")]));
            assert!(choices[1].contains("English = 3"), "{language:?}: {}", choices[1]);
            for shown in choices.into_iter().chain([messages.text("answer-again")]) {
                assert!(shown.contains(&yes) && shown.contains(&no), "{language:?}: {shown}");
                let digits = carnet_core::input::with_ascii_digits(&shown);
                assert!(digits.contains('1') && digits.contains('2'), "{language:?}: {shown}");
            }
            for id in [
                "consent-question",
                "excess-question",
                "receive-question",
                "delete-question",
                "erase-question",
                "forget-question",
            ] {
                let question = messages.format(id, &[("claim", "X")]);
                assert!(!question.contains(&format!("/{no}")) && !question.contains('['), "{language:?}: {question}");
            }
        }
    }

    /// A word that means yes in one language and no in another would approve what the holder refuses.
    #[test]
    fn no_yes_is_a_no_in_another_language() {
        for asked in Language::ALL {
            let words = |language, id: &str| {
                carnet_core::input::fold_for_language(&LocalizedMessages::new(language).text(id), asked.tag())
            };
            for other in Language::ALL {
                assert_ne!(words(asked, "answer-yes"), words(other, "answer-no"), "{asked:?} {other:?}");
                assert_ne!(words(asked, "answer-no"), words(other, "answer-yes"), "{asked:?} {other:?}");
            }
        }
    }

    #[test]
    fn only_a_language_that_nobody_checked_offers_english() {
        let page = include_str!("../../../docs/translations.md");
        for language in Language::ALL {
            let ui = Ui::new(false, true, language);
            assert_eq!(ui.in_english().is_some(), !language.is_checked());
            let row = page.lines().find(|line| line.contains(&format!("| `{}` |", language.tag()))).unwrap();
            assert_eq!(row.ends_with("| nobody yet |"), !language.is_checked(), "{row}");
        }
    }

    #[test]
    fn an_answer_that_nobody_can_give_is_unclear() {
        let ui = Ui::new(false, true, Language::En);
        assert_eq!(ui.ask("Show this?"), Answer::Unclear);
        let failure = ui.require_yes("Show this?", Sentence::new("undone-sent")).unwrap_err();
        assert_eq!(failure.reason, "not_answered");
    }

    #[test]
    fn a_question_that_nobody_sees_is_not_asked() {
        assert!(is_interactive(true, true));
        for (input, screen) in [(true, false), (false, true), (false, false)] {
            assert!(!is_interactive(input, screen), "{input} {screen}");
        }
    }
}
