//! Command `carnet backup`: copies the wallet file, so that the passphrase, twelve words or the sheets of several people
//! open the copy.

use std::path::{Path, PathBuf};

use rand_core::{OsRng, RngCore as _};
use serde_json::json;

use crate::{
    arguments::Backup,
    backup_secret::{BackupSecret, BackupSheet},
    context::CommandContext,
    failure::{Failure, FailureReason, Sentence},
    ui::Ui,
};

/// Number of words that are asked back.
const ASKED_BACK: usize = 3;
/// Number of times that a word is asked for.
const TRIES: usize = 3;

/// Copies the encrypted wallet file to a new file, after the passphrase was checked.
pub(crate) fn run(context: &CommandContext, arguments: &Backup) -> Result<(), Failure> {
    let wallet = context.wallet.open()?;
    let file = arguments.file.display().to_string();
    let text = |id: &str| format!("{}\n", context.ui.messages.format(id, &[("file", &file)]));
    if arguments.words {
        let secret = BackupSecret::generate();
        confirm_words(&context.ui, &secret)?;
        wallet.copy_with_passphrase(&arguments.file, &secret.passphrase())?;
        context.ui.print_result(&text("backup-words-made"), &json!({"backup": file, "words": true}));
        return Ok(());
    }
    let (Some(needed), Some(total)) = (arguments.shares, arguments.of) else {
        wallet.copy_to(&arguments.file)?;
        context.ui.print_result(&text("backup-made"), &json!({"backup": file}));
        return Ok(());
    };
    if needed > total {
        let message = Sentence::new("error-sheets-too-few");
        return Err(Failure::usage(FailureReason::Program("usage"), message, Sentence::new("hint-usage")));
    }
    let secret = BackupSecret::generate();
    wallet.copy_with_passphrase(&arguments.file, &secret.passphrase())?;
    let mut sheets = Vec::new();
    for sheet in secret.split(needed, total) {
        let path = sheet_path(&arguments.file, sheet.number);
        carnet_disk::write_new(&path, sheet_text(&context.ui, &sheet, &file).as_bytes(), 0o600).map_err(|error| {
            let message = Sentence::new("error-file-unwritable").with("path", path.display()).with_details(error);
            Failure::new(FailureReason::FileUnwritable, message, Sentence::new("hint-new-file"))
        })?;
        sheets.push(path.display().to_string());
    }
    let arguments = [("file", file.as_str()), ("needed", &needed.to_string())];
    let mut text = format!("{}\n", context.ui.messages.format("backup-sheets-made", &arguments));
    sheets.iter().for_each(|sheet| text.push_str(&format!("  {sheet}\n")));
    context.ui.print_result(&text, &json!({"backup": file, "sheets": sheets, "needed": needed}));
    Ok(())
}

/// Shows the words of a backup, removes them from the screen, and asks some of them back.
///
/// # Errors
/// `words_unconfirmed` without a terminal, or if the words are not repeated. Nothing is written then.
fn confirm_words(ui: &Ui, secret: &BackupSecret) -> Result<(), Failure> {
    let unconfirmed = |message| {
        Failure::usage(FailureReason::Program("words_unconfirmed"), Sentence::new(message), Sentence::new("hint-words"))
    };
    if !ui.can_ask() {
        return Err(unconfirmed("error-words-nobody"));
    }
    let words = secret.words();
    let listed: String = words.iter().zip(1..).map(|(word, number)| format!("  {number}  {word}\n")).collect();
    ui.print_text(&format!("{}\n{listed}\n", ui.messages.text("backup-words-title")));
    if !carnet_console::wait_for_enter(&format!("{} ", ui.messages.text("backup-words-ready"))) {
        return Err(unconfirmed("error-words-unconfirmed"));
    }
    carnet_console::clear_screen();
    for number in asked_back(words.len()) {
        let word = number.checked_sub(1).and_then(|index| words.get(index));
        let prompt = format!("{}: ", ui.messages.format("backup-words-ask", &[("number", &number.to_string())]));
        let repeated = (0..TRIES).any(|_| {
            ui.print_text(&prompt);
            carnet_console::read_line()
                .is_some_and(|line| word.is_some_and(|word| line.trim().to_lowercase() == **word))
        });
        if !repeated {
            return Err(unconfirmed("error-words-unconfirmed"));
        }
    }
    Ok(())
}

/// Returns the numbers of the words that are asked back, in ascending order: some of them, at random.
fn asked_back(count: usize) -> Vec<usize> {
    let mut numbers: Vec<usize> = (1..=count).collect();
    while numbers.len() > ASKED_BACK {
        let random = usize::try_from(OsRng.next_u32()).unwrap_or_default();
        numbers.remove(random.checked_rem(numbers.len()).unwrap_or_default());
    }
    numbers
}

fn sheet_path(file: &Path, number: u8) -> PathBuf {
    let mut path = file.as_os_str().to_owned();
    path.push(format!(".sheet-{number}.txt"));
    PathBuf::from(path)
}

/// Returns a sheet for printing, for somebody who knows nothing of wallets.
fn sheet_text(ui: &Ui, sheet: &BackupSheet, file: &str) -> String {
    let [needed, total, number] = [sheet.needed, sheet.total, sheet.number].map(|number| number.to_string());
    let name = Path::new(file).file_name().unwrap_or_default().to_string_lossy().into_owned();
    let values = [("number", number.as_str()), ("total", &total), ("needed", &needed), ("file", &name)];
    let paragraphs = ["sheet-title", "sheet-about", "sheet-keep", "sheet-use"].map(|id| {
        let text = ui.messages.format(id, &values);
        carnet_console::wrap_indented(&text, 0, Some(SHEET_COLUMNS))
    });
    let words: String = sheet.words().iter().zip(1..).map(|(word, number)| format!("{number:>4}  {word}\n")).collect();
    format!("{}\n{words}", paragraphs.join("\n"))
}

/// Width of a sheet, in columns.
const SHEET_COLUMNS: usize = 72;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ui::messages::Language;

    #[test]
    fn different_words_are_asked_back_in_order() {
        for _ in 0..50 {
            let numbers = asked_back(12);
            assert_eq!(numbers.len(), ASKED_BACK);
            assert!(numbers.windows(2).all(|pair| pair[0] < pair[1]) && numbers.iter().all(|n| (1..=12).contains(n)));
        }
    }

    #[test]
    fn a_sheet_can_be_read_again_in_every_language() {
        let secret = BackupSecret::generate();
        for language in Language::ALL {
            let ui = Ui::new(false, true, language);
            for sheet in secret.split(2, 3) {
                let text = sheet_text(&ui, &sheet, "/home/somebody/backup.age");
                assert!(text.contains("backup.age") && !text.contains("/home"), "{text}");
                assert!(!text.contains("sheet-"), "{text}");
                let words: Vec<&str> =
                    text.lines().rev().take(18).filter_map(|line| line.split_whitespace().nth(1)).collect();
                let words: Vec<&str> = words.into_iter().rev().collect();
                assert!(BackupSheet::from_words(&words.join(" ")).unwrap().belongs_with(&sheet), "{text}");
            }
        }
    }

    #[test]
    fn without_a_terminal_no_words_are_shown() {
        let ui = Ui::new(false, true, Language::En);
        assert_eq!(confirm_words(&ui, &BackupSecret::generate()).unwrap_err().reason, "words_unconfirmed");
    }
}
