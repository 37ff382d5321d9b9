//! Text from outside, made harmless for a terminal.

/// The longest text from outside that is shown, in characters.
const LONGEST: usize = 400;

/// Removes what could move the cursor, recolour the screen or turn the direction of writing, and
/// bounds the length: a name or a purpose is chosen by a stranger.
pub(crate) fn clean(text: &str) -> String {
    let mut cleaned: String = text
        .chars()
        .map(|c| if matches!(c, '\n' | '\r' | '\t' | '\u{2028}' | '\u{2029}') { ' ' } else { c })
        .filter(|c| !c.is_control() && !is_invisible(*c))
        .take(LONGEST)
        .collect();
    if text.chars().count() > LONGEST {
        cleaned.push('…');
    }
    cleaned.trim().to_owned()
}

/// Bidirectional controls, invisible marks and tags. The joiners (U+200C, U+200D) stay: Arabic script and others need them.
fn is_invisible(c: char) -> bool {
    matches!(c,
        '\u{00ad}' | '\u{061c}' | '\u{180e}' | '\u{200b}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_steers_a_terminal_is_removed() {
        assert_eq!(clean("A\u{1b}[31mB\u{7}\u{9b}C"), "A[31mBC");
        assert_eq!(clean("one\ntwo\r\u{2028}three"), "one two  three");
        assert_eq!(clean("bank\u{202e}gro.elpmaxe\u{202c}\u{2066}\u{200f}"), "bankgro.elpmaxe");
        assert_eq!(clean("\u{e0041}x\u{200b}"), "x");
    }

    #[test]
    fn what_people_write_stays() {
        for text in ["Universität Straßburg", "جامعة دمشق", "می\u{200c}خواهم", "Zażółć 🎓"] {
            assert_eq!(clean(text), text);
        }
    }

    #[test]
    fn what_is_too_long_is_cut() {
        assert_eq!(clean(&"x".repeat(10_000)).chars().count(), LONGEST + 1);
    }
}
