//! Reader of JSON Lines: one JSON object on each line.

use std::io::{BufRead, BufReader, Read};

use carnet_core::{
    json::{self, Limits},
    spelling::nearest_name,
    text::quoted,
};
use serde_json::Value;

use super::table::{Cell, MAX_ROW_BYTES, TableError, TableReader, TableRow};

/// Reader of the objects of a JSON Lines file, whose members are the columns.
pub(crate) struct JsonLinesReader<R> {
    input: BufReader<R>,
    columns: Vec<String>,
    size: u64,
    read_bytes: u64,
    number: u64,
    empty_rows: u64,
}

impl<R: Read> JsonLinesReader<R> {
    /// Creates a reader. `columns`: the permitted members.
    pub(crate) fn new(input: R, size: u64, columns: Vec<String>) -> Self {
        Self { input: BufReader::new(input), columns, size, read_bytes: 0, number: 0, empty_rows: 0 }
    }

    fn malformed(&self, what: &str) -> TableError {
        TableError::Row { number: self.number, text: what.to_owned() }
    }

    fn cells(&self, line: &[u8]) -> Result<Vec<Cell>, TableError> {
        let line =
            json::parse_object(line, Limits::DOCUMENT).map_err(|problem| self.malformed(&problem.to_string()))?;
        if let Some(unknown) = line.keys().find(|name| !self.columns.contains(name)) {
            let near = nearest_name(unknown, self.columns.iter().map(String::as_str));
            let near = near.map_or(String::new(), |near| format!("; the nearest is {near}"));
            return Err(self.malformed(&format!(
                "the mapping has no {}{near}; map it, or list it under `ignore`",
                quoted(unknown)
            )));
        }
        let mut line = line;
        let cell = |value| match value {
            Some(Value::Null) | None => Cell::Empty,
            Some(Value::Bool(value)) => Cell::Bool(value),
            Some(Value::Number(number)) => Cell::Number(number.to_string()),
            Some(Value::String(text)) => Cell::from_text(text),
            Some(value) => Cell::Json(value),
        };
        Ok(self.columns.iter().map(|name| cell(line.remove(name))).collect())
    }
}

impl<R: Read> TableReader for JsonLinesReader<R> {
    fn columns(&self) -> &[String] {
        &self.columns
    }

    fn next_row(&mut self) -> Result<Option<TableRow>, TableError> {
        loop {
            let mut line = Vec::new();
            let most = u64::try_from(MAX_ROW_BYTES).unwrap_or(u64::MAX);
            let length = (&mut self.input).take(most).read_until(b'\n', &mut line)?;
            if length == 0 {
                return Ok(None);
            }
            let first = self.number == 0;
            self.number = self.number.saturating_add(1);
            self.read_bytes = self.read_bytes.saturating_add(u64::try_from(length).unwrap_or(u64::MAX));
            if length >= MAX_ROW_BYTES {
                let what = format!("row {} is longer than {MAX_ROW_BYTES} bytes", self.number);
                return Err(TableError::Malformed(what));
            }
            let content = if first { carnet_core::input::without_bom(&line) } else { &line };
            if content.iter().all(u8::is_ascii_whitespace) {
                self.empty_rows = self.empty_rows.saturating_add(1);
                continue;
            }
            let cells = self.cells(content)?;
            return Ok(Some(TableRow { number: self.number, cells }));
        }
    }

    #[expect(clippy::cast_precision_loss, reason = "a progress")]
    fn progress(&self) -> f64 {
        self.read_bytes as f64 / self.size.max(1) as f64
    }

    fn empty_rows(&self) -> u64 {
        self.empty_rows
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(text: &str) -> Result<Vec<TableRow>, String> {
        let columns = ["name", "credits", "outcomes"].map(str::to_owned).to_vec();
        let mut reader = JsonLinesReader::new(text.as_bytes(), 1, columns);
        let mut rows = Vec::new();
        while let Some(row) = reader.next_row().map_err(|error| error.to_string())? {
            rows.push(row);
        }
        Ok(rows)
    }

    #[test]
    fn members_become_cells_by_their_kind() {
        let rows = read("\u{feff}{\"name\":\"José\",\"credits\":7.5}\n\n{\"outcomes\":[1],\"name\":null}").unwrap();
        let text = |text: &str| Cell::from_text(text.to_owned());
        assert_eq!(rows[0].cells, [text("José"), Cell::Number("7.5".to_owned()), Cell::Empty]);
        assert_eq!((rows[1].number, rows[1].cells[2].clone()), (3, Cell::Json(json!([1]))));
    }

    #[test]
    fn a_broken_line_is_told_by_its_number() {
        for (line, told) in [
            ("{\"name\":1,\"name\":2}", "row 2: "),
            ("[]", "row 2: "),
            ("{\"nam\":1}", "row 2: the mapping has no \"nam\"; the nearest is name"),
            (&"x".repeat(MAX_ROW_BYTES), "row 2 is longer"),
        ] {
            let refused = read(&format!("{{\"name\":\"a\"}}\n{line}")).unwrap_err();
            assert!(refused.contains(told), "{refused}");
        }
    }
}
