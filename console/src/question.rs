//! Yes-or-no questions at a terminal.

use carnet_core::input::{fold_for_language, with_ascii_digits, without_diacritics};

/// Maximum number of times that a question is asked.
const MAX_TRIES: usize = 3;

/// Answer to a [`Question`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// Approval.
    Yes,
    /// Refusal.
    No,
    /// Neither: three answers were neither yes nor no, or the input ended.
    Unclear,
}

/// Answer to a question that also offers a third choice ([`Question::ask_with_third`]).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Choice {
    /// An answer to the question.
    Answer(Answer),
    /// The third choice: neither yes nor no, and not unclear.
    Third,
}

/// Question to be answered with a whole word in one language, or with 1 for yes and 2 for no, in the digits of any
/// script.
///
/// Initials are not accepted, since they conflict between languages, such as Turkish and Somali.
#[derive(Debug, Clone, Copy)]
pub struct Question<'a> {
    /// Text of the question, including both answers.
    pub text: &'a str,
    /// BCP 47 language tag, for case folding.
    pub language: &'a str,
    /// Word for yes.
    pub yes: &'a str,
    /// Word for no.
    pub no: &'a str,
    /// Line printed before the question is repeated.
    pub retry_prompt: &'a str,
}

impl<'a> Question<'a> {
    /// Creates a question with the answers yes and no in English. `text` must include them.
    #[must_use]
    pub const fn english(text: &'a str) -> Self {
        let again = "Please answer with a whole word, yes or no; or with 1 for yes, 2 for no.";
        Self { text, language: "en", yes: "yes", no: "no", retry_prompt: again }
    }

    /// Asks the question up to three times, until the answer is clear. `print` writes text; `read` returns the next
    /// line, or `None` at the end of the input.
    ///
    /// Lines that were typed or pasted at the terminal before the question are discarded, since they were not meant as
    /// answers.
    pub fn ask(&self, print: impl FnMut(&str), read: impl FnMut() -> Option<String>) -> Answer {
        match self.ask_once(print, read, false) {
            Choice::Answer(answer) => answer,
            // Never returned without a third choice.
            Choice::Third => Answer::Unclear,
        }
    }

    /// Asks the question as [`Question::ask`] does, with 3 as a third choice, which `text` must name.
    pub fn ask_with_third(&self, print: impl FnMut(&str), read: impl FnMut() -> Option<String>) -> Choice {
        self.ask_once(print, read, true)
    }

    fn ask_once(&self, mut print: impl FnMut(&str), mut read: impl FnMut() -> Option<String>, third: bool) -> Choice {
        for tried in 0..MAX_TRIES {
            if tried > 0 {
                print(self.retry_prompt);
                print("\n");
            }
            discard_typed_ahead();
            print(self.text);
            print(" ");
            let Some(line) = read() else { return Choice::Answer(Answer::Unclear) };
            if third && with_ascii_digits(&line).trim() == "3" {
                return Choice::Third;
            }
            match self.parse_answer(&line) {
                Answer::Unclear => {}
                answer => return Choice::Answer(answer),
            }
        }
        Choice::Answer(Answer::Unclear)
    }

    /// Returns the answer in a line; case and surrounding white space are ignored. Diacritics may be left out where the
    /// other answer does not become the same word.
    fn parse_answer(&self, line: &str) -> Answer {
        let fold = |text: &str| fold_for_language(text.trim(), self.language);
        let given = fold(&with_ascii_digits(line));
        match given.as_str() {
            "1" => Answer::Yes,
            "2" => Answer::No,
            word if word == fold(self.yes) => Answer::Yes,
            word if word == fold(self.no) => Answer::No,
            word => {
                let plain = |text: &str| without_diacritics(text);
                let (word, yes, no) = (plain(word), plain(&fold(self.yes)), plain(&fold(self.no)));
                match (word == yes, word == no) {
                    (true, false) => Answer::Yes,
                    (false, true) => Answer::No,
                    _ => Answer::Unclear,
                }
            }
        }
    }
}

/// Empties the input queue of the terminal on standard input. Input from a file or a pipe is kept: a script has no
/// other way to answer.
pub(crate) fn discard_typed_ahead() {
    #[cfg(unix)]
    {
        use std::io::{IsTerminal as _, stdin};

        let stdin = stdin();
        if stdin.is_terminal() {
            // A terminal that refuses this gives the lines later, as it did before.
            let _ = rustix::termios::tcflush(&stdin, rustix::termios::QueueSelector::IFlush);
        }
    }
}

/// Returns whether a terminal shows what is typed.
pub(crate) fn shows_input(terminal: &std::fs::File) -> bool {
    #[cfg(unix)]
    {
        use rustix::termios::{LocalModes, tcgetattr};

        tcgetattr(terminal).is_ok_and(|modes| modes.local_modes.contains(LocalModes::ECHO))
    }
    #[cfg(not(unix))]
    {
        let _ = terminal;
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn question() -> Question<'static> {
        Question::english("Go on? (yes = 1, no = 2)")
    }

    fn put(question: Question<'_>, lines: &[&str]) -> (Answer, String) {
        let (mut screen, mut lines) = (String::new(), lines.iter());
        let answer = question.ask(|text| screen.push_str(text), || lines.next().map(|line| (*line).to_owned()));
        (answer, screen)
    }

    #[test]
    fn whole_words_and_numbers_are_answers() {
        for yes in ["yes", " YES \n", "1", "١", "۱", "１"] {
            assert_eq!(put(question(), &[yes]).0, Answer::Yes, "{yes}");
        }
        for no in ["no", "No\r\n", "2", "٢", "२"] {
            assert_eq!(put(question(), &[no]).0, Answer::No, "{no}");
        }
    }

    #[test]
    fn anything_else_is_asked_again_twice() {
        for other in ["", "y", "n", "ye", "yes please", "ja", "0", "11", "true"] {
            let (answer, screen) = put(question(), &[other, other, other, "yes"]);
            assert_eq!(answer, Answer::Unclear, "{other}");
            assert_eq!(screen.matches("Go on?").count(), 3, "{screen}");
            assert_eq!(screen.matches("whole word").count(), 2, "{screen}");
            assert_eq!(put(question(), &[other, other, "yes"]).0, Answer::Yes, "{other}");
            assert_eq!(put(question(), &[other, "no", "yes"]).0, Answer::No, "{other}");
        }
    }

    #[test]
    fn the_end_of_the_input_approves_nothing() {
        assert_eq!(put(question(), &[]).0, Answer::Unclear);
        assert_eq!(put(question(), &["y"]).0, Answer::Unclear);
    }

    #[test]
    fn words_are_those_of_the_language_on_the_screen() {
        let arabic = Question { language: "ar", yes: "نعم", no: "لا", ..question() };
        assert_eq!(put(arabic, &["نعم"]).0, Answer::Yes);
        assert_eq!(put(arabic, &["yes", "no", "ن"]).0, Answer::Unclear);
        let turkish = Question { language: "tr", yes: "evet", no: "hayır", ..question() };
        assert_eq!(put(turkish, &["HAYIR"]).0, Answer::No);
        assert_eq!(put(turkish, &["h", "e", "hayir"]).0, Answer::Unclear);
        // The Somali words: "haa" begins as the Turkish no does.
        let somali = Question { language: "so", yes: "haa", no: "maya", ..question() };
        assert_eq!(put(somali, &["Haa"]).0, Answer::Yes);
        let composed = Question { yes: "s\u{ed}", ..question() };
        assert_eq!(put(composed, &["SI\u{301}"]).0, Answer::Yes);
    }

    #[test]
    fn a_third_choice_counts_only_where_it_is_offered() {
        let ask = |line: &str| {
            let mut lines = [line.to_owned()].into_iter();
            question().ask_with_third(|_| (), || lines.next())
        };
        assert_eq!((ask("3"), ask("٣")), (Choice::Third, Choice::Third));
        assert_eq!((ask("1"), ask("no")), (Choice::Answer(Answer::Yes), Choice::Answer(Answer::No)));
        assert_eq!(ask("33"), Choice::Answer(Answer::Unclear));
        assert_eq!(put(question(), &["3"]).0, Answer::Unclear);
    }

    #[test]
    fn an_accent_may_be_left_out_unless_the_words_become_one() {
        let spanish = Question { language: "es", yes: "sí", no: "no", ..question() };
        for (line, answer) in [("si", Answer::Yes), ("SI", Answer::Yes), ("nó", Answer::No), ("s", Answer::Unclear)] {
            assert_eq!(put(spanish, &[line]).0, answer, "{line}");
        }
        let arabic = Question { language: "ar", yes: "نعم", no: "لا", ..question() };
        assert_eq!(put(arabic, &["نَعَمْ"]).0, Answer::Yes);
        // Invented: without its accent each answer is the other one, too.
        let alike = Question { yes: "pa", no: "pá", ..question() };
        assert_eq!(put(alike, &["pa"]).0, Answer::Yes);
        assert_eq!(put(alike, &["pá"]).0, Answer::No);
        assert_eq!(put(alike, &["pà"]).0, Answer::Unclear);
        // The dotless i of Turkish is a letter of its own.
        let turkish = Question { language: "tr", yes: "evet", no: "hayır", ..question() };
        assert_eq!(put(turkish, &["hayir"]).0, Answer::Unclear);
    }
}
