//! CSV files for people, which a spreadsheet cannot mistake for formulas.

/// Returns a line of CSV (RFC 4180), with the line end.
pub(crate) fn csv_line(cells: &[&str]) -> String {
    let mut line = cells.iter().map(|cell| csv_cell(cell)).collect::<Vec<_>>().join(",");
    line.push_str("\r\n");
    line
}

/// Returns a cell of CSV. A text that a spreadsheet could execute gets an apostrophe in front.
fn csv_cell(text: &str) -> String {
    let is_formula = text.starts_with(['=', '+', '-', '@', '\t', '\r', '\n', '|', '%', '＝', '＋', '－', '＠']);
    let text = if is_formula { format!("'{text}") } else { text.to_owned() };
    if text.contains([',', ';', '"', '\r', '\n', '\t']) || text.trim() != text {
        format!("\"{}\"", text.replace('"', "\"\""))
    } else {
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_cell_is_a_formula_and_none_breaks_its_row() {
        assert_eq!(csv_line(&["1", "2026/0113", "a,b"]), "1,2026/0113,\"a,b\"\r\n");
        assert_eq!(csv_cell("=HYPERLINK(\"http://x\",\"y\")"), "\"'=HYPERLINK(\"\"http://x\"\",\"\"y\"\")\"");
        for text in ["+1", "-1", "@a", "\ta", "\ra", "＝1"] {
            assert!(csv_cell(text).trim_start_matches('"').starts_with('\''), "{text}");
        }
        assert_eq!(csv_cell("a\r\nb\"c"), "\"a\r\nb\"\"c\"");
    }
}
