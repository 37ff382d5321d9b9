//! Text from outside, made harmless for a terminal.

use carnet_core::text::is_invisible;

/// The longest text from outside that is shown, in characters.
const LONGEST: usize = 400;

/// Removes what could move the cursor, recolour the screen or turn the direction of writing, makes one space of each run
/// of them, and bounds the length: a name or a purpose is chosen by a stranger, and must not push the question off the
/// screen.
pub(crate) fn clean(text: &str) -> String {
    let visible: String = text
        .chars()
        .map(|c| if is_blank(c) { ' ' } else { c })
        .filter(|c| !c.is_control() && !is_invisible(*c))
        .collect();
    let collapsed = visible.split_whitespace().collect::<Vec<_>>().join(" ");
    let mut cleaned: String = collapsed.chars().take(LONGEST).collect();
    if cleaned.len() < collapsed.len() {
        cleaned.push('…');
    }
    cleaned
}

/// What is shown as nothing but room: spaces, ends of lines and pages, and letters without a shape.
fn is_blank(c: char) -> bool {
    c.is_whitespace() || matches!(c, '\u{115f}' | '\u{1160}' | '\u{2800}' | '\u{3164}' | '\u{ffa0}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_steers_a_terminal_is_removed() {
        assert_eq!(clean("A\u{1b}[31mB\u{7}\u{9b}C"), "A[31mBC");
        assert_eq!(clean("one\ntwo\r\u{2028}three"), "one two three");
        assert_eq!(clean("bank\u{202e}gro.elpmaxe\u{202c}\u{2066}\u{200f}"), "bankgro.elpmaxe");
        assert_eq!(clean("\u{e0041}x\u{200b}"), "x");
    }

    #[test]
    fn nothing_pushes_the_question_off_the_screen() {
        for blank in ["\n", "\r\n", "\u{b}", "\u{c}", "\u{85}", "\u{2028}", "\t", " ", "\u{a0}", "\u{3000}", "\u{2800}"]
        {
            let pushed = format!("{blank}why{}not \u{200b} so{blank}", blank.repeat(200));
            assert_eq!(clean(&pushed), "why not so", "{blank:?}");
        }
    }

    #[test]
    fn no_control_of_direction_gets_through() {
        let controls = ('\u{202a}'..='\u{202e}').chain('\u{2066}'..='\u{2069}');
        for control in controls.chain(['\u{61c}', '\u{200e}', '\u{200f}']) {
            assert_eq!(clean(&format!("a{control}b{control}")), "ab", "{control:?}");
        }
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
