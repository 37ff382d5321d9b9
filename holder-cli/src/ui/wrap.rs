//! Lines that fit the terminal.

use unicode_width::{UnicodeWidthChar as _, UnicodeWidthStr as _};

/// Fewest columns that text is wrapped to; a narrower terminal wraps by itself.
const NARROWEST: usize = 20;

/// Writes a text that begins after some spaces, wrapped to so many columns; the lines after the first are two columns further
/// in. A word that fits no line is broken.
pub(crate) fn wrapped(text: &str, indent: usize, columns: Option<usize>) -> String {
    let Some(columns) = columns.map(|columns| columns.max(NARROWEST)) else {
        return format!("{}{text}\n", " ".repeat(indent));
    };
    let further = indent.saturating_add(2);
    let mut lines = String::new();
    let mut line = " ".repeat(indent);
    let mut used = indent;
    let mut empty = true;
    for word in text.split(' ').filter(|word| !word.is_empty()) {
        let space = usize::from(!empty);
        if !empty && used.saturating_add(space).saturating_add(width(word)) > columns {
            lines.push_str(&line);
            lines.push('\n');
            (line, used, empty) = (" ".repeat(further), further, true);
        }
        if !empty {
            line.push(' ');
            used = used.saturating_add(1);
        }
        for c in word.chars() {
            let wide = c.width().unwrap_or(0);
            if used.saturating_add(wide) > columns {
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

/// Columns that a text takes.
pub(crate) fn width(text: &str) -> usize {
    text.width()
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
            "",
        ] {
            for columns in [40, 80] {
                let lines = wrapped(text, 4, Some(columns));
                assert!(lines.lines().all(|line| width(line) <= columns), "{columns}\n{lines}");
                let letters = |text: &str| text.chars().filter(|c| !c.is_whitespace()).collect::<String>();
                assert_eq!(letters(&lines), letters(text));
            }
        }
    }

    #[test]
    fn lines_are_broken_between_words_and_go_on_further_in() {
        let text = "one two three four five six seven eight nine ten";
        assert_eq!(wrapped(text, 2, Some(24)), "  one two three four\n    five six seven eight\n    nine ten\n");
        assert_eq!(wrapped(text, 2, None), format!("  {text}\n"));
        // A wide character takes two columns, and is not cut in half.
        assert_eq!(wrapped(&"名".repeat(10), 1, Some(20)), format!(" {}\n   名\n", "名".repeat(9)));
    }
}
