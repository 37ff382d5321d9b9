//! Sanitisation of untrusted text for a terminal.

use carnet_core::text::displayable;

/// Maximum length of untrusted text on a screen, in characters.
const LONGEST: usize = 400;

/// Collapses white space, replaces invisible characters with their code points (`[U+202E]`), and truncates to 400
/// characters. Names and purposes come from third parties; they must not imitate other text or push the question off
/// the screen.
pub fn sanitise(text: &str) -> String {
    let spaced: String = text.chars().map(|c| if is_blank(c) { ' ' } else { c }).collect();
    let collapsed = displayable(&spaced.split_whitespace().collect::<Vec<_>>().join(" "));
    let mut cleaned: String = collapsed.chars().take(LONGEST).collect();
    if cleaned.len() < collapsed.len() {
        cleaned.push('…');
    }
    cleaned
}

/// Tests for whitespace, and the Braille pattern without dots. Other invisible letters are shown as code points.
fn is_blank(c: char) -> bool {
    c.is_whitespace() || c == '\u{2800}'
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_steers_a_terminal_is_shown_and_does_nothing() {
        assert_eq!(sanitise("A\u{1b}[31mB\u{7}\u{9b}C"), "A[U+001B][31mB[U+0007][U+009B]C");
        assert_eq!(sanitise("one\ntwo\r\u{2028}three"), "one two three");
        assert_eq!(sanitise("bank\u{202e}gro.elpmaxe"), "bank[U+202E]gro.elpmaxe");
        assert_eq!(sanitise("\u{e0041}x\u{200b}"), "[U+E0041]x[U+200B]");
    }

    #[test]
    fn nothing_pushes_the_question_off_the_screen() {
        for blank in ["\n", "\r\n", "\u{b}", "\u{c}", "\u{85}", "\u{2028}", "\t", " ", "\u{a0}", "\u{3000}", "\u{2800}"]
        {
            let pushed = format!("{blank}why{}not so{blank}", blank.repeat(200));
            assert_eq!(sanitise(&pushed), "why not so", "{blank:?}");
        }
    }

    #[test]
    fn no_control_of_direction_gets_through() {
        let controls = ('\u{202a}'..='\u{202e}').chain('\u{2066}'..='\u{2069}');
        for control in controls.chain(['\u{61c}', '\u{200e}', '\u{200f}']) {
            let visible = format!("[U+{:04X}]", u32::from(control));
            assert_eq!(sanitise(&format!("a{control}b")), format!("a{visible}b"));
        }
    }

    #[test]
    fn what_people_write_stays() {
        for text in ["Universität Straßburg", "جامعة دمشق", "می\u{200c}خواهم", "Zażółć 🎓"] {
            assert_eq!(sanitise(text), text);
        }
    }

    #[test]
    fn what_is_too_long_is_cut() {
        assert_eq!(sanitise(&"x".repeat(10_000)).chars().count(), LONGEST + 1);
    }
}
