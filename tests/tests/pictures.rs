//! Pictures of the wallet's screens in docs/screens: the texts that the wallet's own tests compare with what it prints, drawn
//! as a terminal shows them.

use std::{fmt::Write as _, path::Path};

use carnet_tests::{
    Result,
    page::{check, docs},
};

/// Screens by the file names of the wallet's tests.
const SCREENS: [&str; 3] = ["menu", "need-job", "registered"];
/// Languages, with `true` for those that are written from right to left.
const LANGUAGES: [(&str, bool); 4] = [("ar", true), ("de", false), ("ti", false), ("uk", false)];

/// Width of a column, height of a line, and margin, in pixels.
const COLUMN: usize = 9;
const LINE: usize = 21;
const MARGIN: usize = 16;
/// Minimum width of a picture, in columns.
const MIN_COLUMNS: usize = 40;

/// Style of the pictures: bright, or dark where the reader prefers it.
const STYLE: &str = "\
  <style>
    .screen { fill: #fbfaf7; stroke: #d5d0c4 }
    .text { fill: #1d2530 }
    @media (prefers-color-scheme: dark) {
      .screen { fill: #14181f; stroke: #333c49 }
      .text { fill: #e6e9ee }
    }
  </style>
";

/// Returns the picture of a screen. Each line is set by itself, in the direction of the language, as terminals that know
/// the bidirectional algorithm do.
fn picture(screen: &str, language: &str, is_right_to_left: bool) -> String {
    let lines: Vec<&str> = screen.trim_matches('\n').lines().collect();
    let columns = lines.iter().map(|line| line.chars().count()).max().unwrap_or(0).max(MIN_COLUMNS);
    let width = columns.saturating_mul(COLUMN).saturating_add(2 * MARGIN);
    let height = lines.len().saturating_mul(LINE).saturating_add(2 * MARGIN);
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" width=\"{width}\" height=\"{height}\" \
         role=\"img\" xml:lang=\"{language}\"\n     font-family=\"ui-monospace, 'DejaVu Sans Mono', 'Noto Sans Mono', \
         monospace\" font-size=\"15\">\n  <title>{}</title>\n{STYLE}  <rect class=\"screen\" x=\"1\" y=\"1\" \
         width=\"{}\" height=\"{}\" rx=\"8\"/>\n",
        escaped(lines.first().copied().unwrap_or_default()),
        width.saturating_sub(2),
        height.saturating_sub(2)
    );
    let (direction, start) = if is_right_to_left { ("rtl", width.saturating_sub(MARGIN)) } else { ("ltr", MARGIN) };
    let _ = writeln!(svg, "  <g class=\"text\" direction=\"{direction}\" xml:space=\"preserve\">");
    for (number, line) in lines.iter().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
        let indent = line.chars().take_while(|character| *character == ' ').count().saturating_mul(COLUMN);
        let x = if is_right_to_left { start.saturating_sub(indent) } else { start.saturating_add(indent) };
        let y = number.saturating_add(1).saturating_mul(LINE).saturating_add(MARGIN / 2);
        let _ = writeln!(svg, "    <text x=\"{x}\" y=\"{y}\">{}</text>", escaped(line.trim_start()));
    }
    svg.push_str("  </g>\n</svg>\n");
    svg
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[test]
fn the_screens_in_the_documents_are_those_of_the_wallet() -> Result<()> {
    let screens = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../holder-cli/tests/screens"));
    for screen in SCREENS {
        for (language, is_right_to_left) in LANGUAGES {
            let printed = std::fs::read_to_string(screens.join(format!("{screen}.{language}.txt")))?;
            let svg = picture(&printed, language, is_right_to_left);
            check(&docs(&format!("screens/{screen}.{language}.svg")), &svg)?;
        }
    }
    Ok(())
}

#[test]
fn a_picture_has_each_line_in_its_direction_and_no_markup_of_others() {
    let svg = picture("\nYour <wallet> & more\n  1  Receive\n", "en", false);
    assert!(svg.contains("<text x=\"16\" y=\"29\">Your &lt;wallet&gt; &amp; more</text>"), "{svg}");
    assert!(svg.contains("<text x=\"34\" y=\"50\">1  Receive</text>") && svg.contains("direction=\"ltr\""), "{svg}");
    let svg = picture("محفظتك\n  1", "ar", true);
    assert!(svg.contains("direction=\"rtl\"") && svg.contains("<text x=\"376\" y=\"29\">محفظتك</text>"), "{svg}");
    assert!(svg.contains("<text x=\"358\" y=\"50\">1</text>"), "{svg}");
}
