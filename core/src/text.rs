//! Text that somebody else chose, for people to read.

/// Bidirectional controls, invisible marks and tags. The joiners (U+200C, U+200D) are none of them: Arabic script and others need
/// them.
#[must_use]
pub fn is_invisible(c: char) -> bool {
    matches!(c,
        '\u{00ad}' | '\u{061c}' | '\u{180e}' | '\u{200b}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

/// The text in quotation marks, with what steers a terminal or cannot be seen written out, and every letter and mark of every
/// script as it is.
#[must_use]
pub fn quoted(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len().saturating_add(2));
    quoted.push('"');
    for c in text.chars() {
        match c {
            '"' | '\\' => quoted.extend(['\\', c]),
            c if c.is_control() || is_invisible(c) || matches!(c, '\u{2028}' | '\u{2029}') => {
                quoted.extend(c.escape_unicode());
            }
            c => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_every_script_are_read_as_they_are() {
        for name in ["كافٍ", "Łódź", "क्षत्रिय", "می\u{200c}خواهم", "中文", "a b"] {
            assert_eq!(quoted(name), format!("\"{name}\""));
        }
    }

    #[test]
    fn what_steers_a_terminal_is_written_out() {
        for (text, shown) in [
            ("a\"b\\c", r#""a\"b\\c""#),
            ("a\u{1b}[2Jb", r#""a\u{1b}[2Jb""#),
            ("a\nb", r#""a\u{a}b""#),
            ("a\u{202e}b\u{200b}", r#""a\u{202e}b\u{200b}""#),
            ("a\u{2028}b", r#""a\u{2028}b""#),
        ] {
            assert_eq!(quoted(text), shown);
        }
    }
}
