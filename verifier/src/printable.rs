//! Untrusted text in a verdict.

/// Sanitises a detail: it may contain untrusted text, which must not be able to redraw a terminal or fill a store.
pub(crate) fn printable(detail: &str) -> String {
    const MOST: usize = 200;
    carnet_core::text::escaped(&detail.chars().take(MOST).collect::<String>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_detail_cannot_redraw_a_terminal() {
        assert_eq!(printable("a \u{1b}[2J b\u{202e}c"), "a \\u{1b}[2J b\\u{202e}c");
        assert_eq!(printable(&"x".repeat(5_000)).len(), 200);
        assert_eq!(printable("\"name\" at the top: Größe"), "\"name\" at the top: Größe");
    }
}
