//! Tables: rows of cells under named columns.

use serde_json::Value;

/// Maximum number of columns.
pub(crate) const MAX_COLUMNS: usize = 1_000;
/// Maximum size of a row, in bytes as it is in the file.
pub(crate) const MAX_ROW_BYTES: usize = 524_288;

/// Cell of a table.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Cell {
    Empty,
    Text(String),
    /// Number that the file marks as one, with its text.
    Number(String),
    Bool(bool),
    /// Day that the file marks as one, as `YYYY-MM-DD`; `has_time` if it has a time of day as well.
    Day {
        text: String,
        has_time: bool,
    },
    /// Array or object of a JSON file.
    Json(Value),
    /// Error of a formula, such as `#N/A`.
    Error(String),
}

impl Cell {
    /// Returns a cell of a text: empty for a text without characters.
    pub(crate) fn from_text(text: String) -> Self {
        if text.is_empty() { Self::Empty } else { Self::Text(text) }
    }

    /// Returns the content as text, for messages.
    pub(crate) fn shown(&self) -> String {
        match self {
            Self::Empty => String::new(),
            Self::Text(text) | Self::Number(text) | Self::Day { text, .. } | Self::Error(text) => text.clone(),
            Self::Bool(value) => value.to_string(),
            Self::Json(value) => value.to_string(),
        }
    }
}

/// Row of a table, with one cell for each column.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct TableRow {
    /// Number of the row as a spreadsheet shows it: the header has 1.
    pub(crate) number: u64,
    pub(crate) cells: Vec<Cell>,
}

/// Error that ends the reading of a file.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TableError {
    #[error("the file cannot be read: {0}")]
    Io(#[from] std::io::Error),
    /// The file is malformed.
    #[error("{0}")]
    Malformed(String),
    /// A row is malformed; the next one can be read.
    #[error("row {number}: {text}")]
    Row { number: u64, text: String },
}

/// Source of the rows of a table.
pub(crate) trait TableReader {
    /// Returns the names of the columns, in the order of the cells.
    fn columns(&self) -> &[String];
    /// Returns the next row that is not empty.
    ///
    /// # Errors
    /// [`TableError::Row`], after which the next row can be read; the file cannot be read further.
    fn next_row(&mut self) -> Result<Option<TableRow>, TableError>;
    /// Returns the read part of the file, from 0 to 1.
    fn progress(&self) -> f64;
    /// Returns the number of rows without content so far.
    fn empty_rows(&self) -> u64;
}

/// Checks the names of columns, and returns them without spaces around them.
///
/// # Errors
/// There are too many; two are equal; one in front of others is empty.
pub(crate) fn check_columns(names: Vec<String>) -> Result<Vec<String>, TableError> {
    if names.len() > MAX_COLUMNS {
        return Err(TableError::Malformed(too_many_columns()));
    }
    let mut names: Vec<String> = names.into_iter().map(|name| name.trim().to_owned()).collect();
    while names.last().is_some_and(String::is_empty) {
        names.pop();
    }
    if names.is_empty() {
        return Err(TableError::Malformed(
            "the first row must have the names of the columns, and it is empty".to_owned(),
        ));
    }
    for (at, name) in names.iter().enumerate() {
        let number = at.saturating_add(1);
        if name.is_empty() {
            return Err(TableError::Malformed(format!(
                "column {number} has no name in the first row; name it, or delete it"
            )));
        }
        if names.iter().take(at).any(|earlier| earlier == name) {
            let what = format!("two columns are named {}; rename one of them", carnet_core::text::quoted(name));
            return Err(TableError::Malformed(what));
        }
    }
    Ok(names)
}

pub(crate) fn too_many_columns() -> String {
    format!("a row has more than {MAX_COLUMNS} columns; check the delimiter, or save the file with fewer columns")
}

/// Brings the cells of a row to the number of columns. `None` for a row without content.
///
/// # Errors
/// There are fewer cells, or cells with content beyond the last column.
pub(crate) fn fit(number: u64, mut cells: Vec<Cell>, columns: usize) -> Result<Option<TableRow>, TableError> {
    if cells.iter().all(|cell| *cell == Cell::Empty) {
        return Ok(None);
    }
    let found = cells.len();
    let beyond = cells.iter().skip(columns).any(|cell| *cell != Cell::Empty);
    if beyond || found < columns {
        let text = format!(
            "it has {found} cells, and the first row names {columns} columns; check the row for a missing delimiter, or \
             for one inside a text without quotation marks"
        );
        return Err(TableError::Row { number, text });
    }
    cells.truncate(columns);
    Ok(Some(TableRow { number, cells }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(given: &[&str]) -> Result<Vec<String>, String> {
        check_columns(given.iter().map(|name| (*name).to_owned()).collect()).map_err(|error| error.to_string())
    }

    #[test]
    fn names_of_columns_are_trimmed_and_differ() {
        assert_eq!(names(&[" Name ", "Grade", "", ""]).unwrap(), ["Name", "Grade"]);
        assert!(names(&["Name", "", "Grade"]).unwrap_err().contains("column 2 has no name"));
        assert!(names(&["Name", " Name"]).unwrap_err().contains("two columns are named \"Name\""));
        assert!(names(&["", ""]).unwrap_err().contains("is empty"));
        assert!(names(&["x"; MAX_COLUMNS + 1]).unwrap_err().contains("more than 1000"));
    }

    #[test]
    fn trailing_empty_cells_are_dropped_and_others_are_not() {
        let text = |text: &str| Cell::from_text(text.to_owned());
        let row = |cells: &[&str]| fit(7, cells.iter().map(|cell| text(cell)).collect(), 2);
        assert_eq!(row(&["a", "b", "", ""]).unwrap().unwrap().cells, [text("a"), text("b")]);
        assert_eq!(row(&["", "", ""]).unwrap(), None);
        assert!(row(&["a"]).unwrap_err().to_string().contains("row 7: it has 1 cells"));
        assert!(row(&["a", "b", "c"]).unwrap_err().to_string().contains("row 7: it has 3 cells"));
    }
}
