//! Line wrapping for the terminal.

use unicode_width::{UnicodeWidthChar as _, UnicodeWidthStr as _};

/// Minimum number of columns for wrapping; a narrower terminal wraps by itself.
const NARROWEST: usize = 20;
/// First character of the control sequence for bold, which ends with `m`. Callers remove it from the texts of others.
const ESCAPE: char = '\u{1b}';

/// Treatment of a word that is longer than a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum LongWord {
    Break,
    Keep,
}

/// Wraps each line that does not fit into the columns, with the line's own indentation. A word longer than a line is
/// broken. `None`: nothing is wrapped.
#[must_use]
pub fn wrap_lines(text: &str, columns: Option<usize>) -> String {
    wrap_lines_with(text, columns, LongWord::Break)
}

/// Wraps lines as [`wrap_lines`], but breaks no word, so that a link can be copied.
#[must_use]
pub fn wrap_lines_between_words(text: &str, columns: Option<usize>) -> String {
    wrap_lines_with(text, columns, LongWord::Keep)
}

/// Returns an indented text with a newline, wrapped to the columns. Continuation lines are indented by two more
/// columns, and a word longer than a line is broken. `None`: nothing is wrapped.
#[must_use]
pub fn wrap_indented(text: &str, indent: usize, columns: Option<usize>) -> String {
    wrap_line(text, indent, columns, LongWord::Break)
}

fn wrap_lines_with(text: &str, columns: Option<usize>, long_word: LongWord) -> String {
    let Some(columns) = columns else { return text.to_owned() };
    let mut lines = String::with_capacity(text.len());
    for line in text.split_inclusive('\n') {
        let bare = line.trim_end_matches('\n');
        if width(bare) <= columns {
            lines.push_str(line);
            continue;
        }
        let said = bare.trim_start_matches(' ');
        let wrapped = wrap_line(said, bare.len().saturating_sub(said.len()), Some(columns), long_word);
        // A question does not end with a newline.
        lines.push_str(if line.ends_with('\n') { &wrapped } else { wrapped.trim_end_matches('\n') });
    }
    lines
}

fn wrap_line(text: &str, indent: usize, columns: Option<usize>, long_word: LongWord) -> String {
    let Some(columns) = columns.map(|columns| columns.max(NARROWEST)) else {
        return format!("{}{text}\n", " ".repeat(indent));
    };
    let further = indent.saturating_add(2);
    let mut lines = String::new();
    let mut line = " ".repeat(indent);
    let mut used = indent;
    let mut empty = true;
    // Spaces before the next word; a table has several.
    let mut spaces = 0_usize;
    for word in text.split(' ') {
        if word.is_empty() {
            spaces = spaces.saturating_add(1);
            continue;
        }
        let space = if empty { 0 } else { spaces.max(1) };
        spaces = 1;
        if !empty && used.saturating_add(space).saturating_add(width(word)) > columns {
            lines.push_str(&line);
            lines.push('\n');
            (line, used, empty) = (" ".repeat(further), further, true);
        }
        if !empty {
            line.push_str(&" ".repeat(space));
            used = used.saturating_add(space);
        }
        for (c, wide) in columns_of(word) {
            if long_word == LongWord::Break && used.saturating_add(wide) > columns {
                lines.push_str(&line);
                lines.push('\n');
                (line, used) = (" ".repeat(further), further);
            }
            line.push(c);
            used = used.saturating_add(wide);
        }
        empty = false;
    }
    lines.push_str(&line);
    lines.push('\n');
    lines
}

/// Returns the number of terminal columns that a text takes; control sequences for bold take none.
#[must_use]
pub fn width(text: &str) -> usize {
    if text.contains(ESCAPE) { columns_of(text).map(|(_, wide)| wide).sum() } else { text.width() }
}

/// Returns the characters, each with the number of columns that it takes.
fn columns_of(text: &str) -> impl Iterator<Item = (char, usize)> {
    let mut escaped = false;
    text.chars().map(move |c| {
        escaped |= c == ESCAPE;
        let wide = if escaped { 0 } else { c.width().unwrap_or(0) };
        escaped &= c != 'm';
        (c, wide)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_line_is_wider_than_the_terminal_and_nothing_is_lost() {
        for text in [
            "Supplement to the diploma of the university where the nurse was trained",
            "外国人在留資格証明書を発行した機関の名前はとても長いので折り返されます",
            "Universität für Bodenkultur 大学 🎓 did:webvh:QmTqmKdQ7Zr4oLs5PzXeJ2vYb8fGhW9nUc3RtM6aEiDkSv:university.example",
            "جامعة دمشق كلية الطب البشري شهادة التخرج من كلية الطب البشري في جامعة دمشق",
            "ኩሉ ግዜ ይካፈል፦ ነቲ ሰነድ ዝሃበ ኣካል፡ ዓይነቱ፡ ዕለታቱ፡ ክሳብ ሕጂ ዘገልግል ምዃኑ ዝረጋገጸሉ ቦታ ድማ።",
            "",
        ] {
            for columns in [40, 80] {
                let lines = wrap_indented(text, 4, Some(columns));
                assert!(lines.lines().all(|line| width(line) <= columns), "{columns}\n{lines}");
                let letters = |text: &str| text.chars().filter(|c| !c.is_whitespace()).collect::<String>();
                assert_eq!(letters(&lines), letters(text));
            }
        }
    }

    #[test]
    fn a_screen_fits_and_what_fits_already_stays() {
        let heading = "\u{1b}[1mWhat would be shown to the authority\u{1b}[0m";
        let screen = format!(
            "{heading}\n\n  issuer    University of Applied Sciences\n  + Place of birth of the holder: Dar es Salaam\n? "
        );
        assert_eq!(wrap_lines(&screen, None), screen);
        assert_eq!(wrap_lines(&screen, Some(80)), screen);
        let narrow = wrap_lines(&screen, Some(36));
        let bold = "\u{1b}[1mWhat would be shown to the authority\u{1b}[0m\n";
        assert!(narrow.starts_with(bold), "{narrow}");
        assert!(narrow.lines().all(|line| width(line) <= 36), "{narrow}");
        assert!(narrow.contains("  + Place of birth of the holder:\n    Dar es Salaam\n"), "{narrow}");
        assert!(narrow.contains("  issuer    University of Applied\n    Sciences\n"), "{narrow}");
        assert!(narrow.ends_with("\n? "), "{narrow:?}");
        assert!(!wrap_lines("Show this to somebody? (yes = 1, no = 2)", Some(24)).ends_with('\n'));
    }

    #[test]
    fn lines_are_broken_between_words_and_go_on_further_in() {
        let text = "one two three four five six seven eight nine ten";
        assert_eq!(wrap_indented(text, 2, Some(24)), "  one two three four\n    five six seven eight\n    nine ten\n");
        assert_eq!(wrap_indented(text, 2, None), format!("  {text}\n"));
        // Ge'ez has no space in front of its punctuation, and each sign takes one column.
        let screen = wrap_indented("ሰነድኩም ክሳብ ሕጂ የገልግል፤ ንወሃቢ ሓድሽ ቀረብ ሕተቱ።", 2, Some(24));
        assert_eq!(screen, "  ሰነድኩም ክሳብ ሕጂ የገልግል፤\n    ንወሃቢ ሓድሽ ቀረብ ሕተቱ።\n");
        // A wide character takes two columns, and is not cut in half.
        assert_eq!(wrap_indented(&"名".repeat(10), 1, Some(20)), format!(" {}\n   名\n", "名".repeat(9)));
    }
}
