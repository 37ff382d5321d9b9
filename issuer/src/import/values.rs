//! Values of claims from cells.

use carnet_core::text::quoted;
use serde_json::{Number, Value};

use super::{dates::DateForm, table::Cell};

/// Maximum integer that JSON numbers represent exactly everywhere: 2^53 - 1.
const MAX_INTEGER: u64 = 9_007_199_254_740_991;
/// Number of characters of a cell that an error shows.
const SHOWN_CHARS: usize = 40;

/// Kind of value that a column has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum ValueKind {
    /// Text as it is; with `digits`, a whole number that is written with at least so many digits.
    Text {
        digits: Option<usize>,
    },
    Integer,
    /// Number with this decimal sign.
    Number {
        decimal: char,
    },
    /// One of two texts.
    Boolean {
        yes: String,
        no: String,
    },
    Date(DateForm),
    /// Value of a JSON file as it is.
    Json,
}

impl ValueKind {
    /// Converts a cell that is not empty.
    ///
    /// # Errors
    /// The cell has another form; the text states the expected one.
    pub(crate) fn convert(&self, cell: &Cell) -> Result<Value, String> {
        if let Cell::Error(error) = cell {
            return Err(format!("the formula of the cell failed ({error}); correct it in the spreadsheet"));
        }
        match self {
            Self::Text { digits: None } => plain_text(cell).map(Value::String),
            Self::Text { digits: Some(digits) } => padded_digits(cell, *digits).map(Value::String),
            Self::Integer => integer(cell),
            Self::Number { decimal } => number(cell, *decimal),
            Self::Boolean { yes, no } => match cell {
                Cell::Bool(value) => Ok(Value::Bool(*value)),
                Cell::Text(text) if text == yes => Ok(Value::Bool(true)),
                Cell::Text(text) if text == no => Ok(Value::Bool(false)),
                _ => Err(format!("it must be {} or {}", quoted(yes), quoted(no))),
            },
            Self::Date(form) => form.read(cell).map(Value::String),
            Self::Json => match cell {
                Cell::Json(value) => Ok(value.clone()),
                Cell::Text(text) => Ok(Value::String(text.clone())),
                Cell::Bool(value) => Ok(Value::Bool(*value)),
                cell => number(cell, '.'),
            },
        }
    }
}

/// Returns the text of a cell, for an error: quoted, and shortened if it is long.
pub(crate) fn shown(cell: &Cell) -> String {
    let text = cell.shown();
    match text.char_indices().nth(SHOWN_CHARS) {
        Some((at, _)) => format!("{}...", quoted(text.get(..at).unwrap_or_default())),
        None => quoted(&text),
    }
}

fn plain_text(cell: &Cell) -> Result<String, String> {
    match cell {
        Cell::Text(text) => Ok(text.clone()),
        Cell::Number(_) => {
            Err("the file marks it as a number, which may have lost leading zeros, and the mapping expects \
                                text; format the column as text, or write `digits = N` (as text with at least N \
                                digits), `as = \"integer\"` or `as = \"number\"` for it in the mapping"
                .to_owned())
        }
        Cell::Day { .. } => Err("the spreadsheet marks it as a day, and the mapping expects text; write `date = \
                                 \"spreadsheet\"` for this column"
            .to_owned()),
        Cell::Bool(_) => Err("it is true or false, and the mapping expects text; write `as = \"boolean\"`".to_owned()),
        _ => Err("it is an array or an object, and the mapping expects text; write `as = \"json\"`".to_owned()),
    }
}

fn padded_digits(cell: &Cell, digits: usize) -> Result<String, String> {
    let text = cell.shown();
    let is_whole = matches!(cell, Cell::Text(_) | Cell::Number(_))
        && !text.is_empty()
        && text.bytes().all(|byte| byte.is_ascii_digit());
    if !is_whole || (matches!(cell, Cell::Text(_)) && text.len() < digits) {
        return Err(format!("it must be a whole number with at least {digits} digits"));
    }
    Ok(format!("{text:0>digits$}"))
}

fn integer(cell: &Cell) -> Result<Value, String> {
    let text = cell.shown();
    let expected = || "it must be a whole number, such as 180, without sign, spaces and leading zeros".to_owned();
    let digits = text.strip_prefix('-').unwrap_or(&text);
    let is_plain = !digits.is_empty()
        && digits.bytes().all(|byte| byte.is_ascii_digit())
        && (digits == "0" || !digits.starts_with('0'));
    if !matches!(cell, Cell::Text(_) | Cell::Number(_)) || !is_plain || text == "-0" {
        return Err(expected());
    }
    let value = text.parse::<i64>().ok().filter(|value| value.unsigned_abs() <= MAX_INTEGER);
    value.map(Value::from).ok_or_else(|| format!("it must be a whole number of at most {MAX_INTEGER}"))
}

fn number(cell: &Cell, decimal: char) -> Result<Value, String> {
    // A spreadsheet's own numbers have a point, whichever sign it shows.
    let (text, sign) = match cell {
        Cell::Number(text) => (text.as_str(), '.'),
        Cell::Text(text) => (text.as_str(), decimal),
        _ => ("", decimal),
    };
    let expected = || format!("it must be a number, such as 7{sign}5, without spaces and signs for thousands");
    let (whole, fraction) = text.split_once(sign).map_or((text, None), |(whole, fraction)| (whole, Some(fraction)));
    let Some(fraction) = fraction else { return integer(cell).map_err(|_| expected()) };
    let digits = whole.strip_prefix('-').unwrap_or(whole);
    let all_digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let is_plain = all_digits(digits) && all_digits(fraction) && (digits == "0" || !digits.starts_with('0'));
    let value = format!("{whole}.{fraction}").parse::<f64>().ok().filter(|value| is_plain && value.is_finite());
    value.and_then(Number::from_f64).map(Value::Number).ok_or_else(expected)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn text(text: &str) -> Cell {
        Cell::from_text(text.to_owned())
    }

    fn numeric(text: &str) -> Cell {
        Cell::Number(text.to_owned())
    }

    #[test]
    fn numbers_are_read_in_one_form() {
        let integer = |cell| ValueKind::Integer.convert(&cell);
        assert_eq!(integer(text("180")), Ok(json!(180)));
        assert_eq!(integer(numeric("-3")), Ok(json!(-3)));
        for wrong in
            ["1.0", "007", "+5", "1e3", "1 000", "", "-", "-0", "٣", "9007199254740992", "99999999999999999999"]
        {
            assert!(integer(text(wrong)).is_err(), "{wrong}");
        }
        let comma = |cell| ValueKind::Number { decimal: ',' }.convert(&cell);
        assert_eq!(comma(text("7,5")), Ok(json!(7.5)));
        assert_eq!(comma(text("7")), Ok(json!(7)));
        assert_eq!(comma(numeric("7.5")), Ok(json!(7.5)));
        for wrong in ["7.5", "1.000,5", "7,", ",5", "NaN", "1e5", "07,5", "7,5 "] {
            assert!(comma(text(wrong)).unwrap_err().contains("7,5") || wrong == "7.5", "{wrong}");
        }
    }

    #[test]
    fn text_that_became_a_number_is_refused_or_padded() {
        let plain = ValueKind::Text { digits: None };
        assert_eq!(plain.convert(&text("00123")), Ok(json!("00123")));
        assert!(plain.convert(&numeric("123")).unwrap_err().contains("leading zeros"));
        assert!(plain.convert(&Cell::Error("#N/A".to_owned())).unwrap_err().contains("#N/A"));
        let padded = ValueKind::Text { digits: Some(5) };
        assert_eq!(padded.convert(&numeric("123")), Ok(json!("00123")));
        assert_eq!(padded.convert(&text("00123")), Ok(json!("00123")));
        for wrong in [text("123"), text("0012a"), numeric("1.5")] {
            assert!(padded.convert(&wrong).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn booleans_have_two_texts() {
        let kind = ValueKind::Boolean { yes: "ja".to_owned(), no: "nein".to_owned() };
        assert_eq!(kind.convert(&text("ja")), Ok(json!(true)));
        assert_eq!(kind.convert(&Cell::Bool(false)), Ok(json!(false)));
        assert!(kind.convert(&text("Ja")).unwrap_err().contains("\"ja\" or \"nein\""));
    }

    #[test]
    fn a_long_cell_is_shown_in_part() {
        assert_eq!(shown(&text(&"é".repeat(50))), format!("\"{}\"...", "é".repeat(40)));
    }
}
