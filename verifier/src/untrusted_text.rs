//! Untrusted text in verification results.

/// Limits a detail to 200 characters, and escapes invisible and control characters: it may contain untrusted text.
pub(crate) fn sanitise_detail(detail: &str) -> String {
    const MAX_CHARS: usize = 200;
    carnet_core::text::escaped(&detail.chars().take(MAX_CHARS).collect::<String>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_detail_cannot_redraw_a_terminal() {
        assert_eq!(sanitise_detail("a \u{1b}[2J b\u{202e}c"), "a \\u{1b}[2J b\\u{202e}c");
        assert_eq!(sanitise_detail(&"x".repeat(5_000)).len(), 200);
        assert_eq!(sanitise_detail("\"name\" at the top: Größe"), "\"name\" at the top: Größe");
    }
}
