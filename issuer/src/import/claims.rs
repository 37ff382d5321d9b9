//! Rows of a table as claims with a reference, a language and days, by a mapping.

use std::collections::BTreeMap;

use carnet_core::{day, text::quoted, time::Timestamp};
use serde_json::{Map, Value};

use super::{
    mapping::{ColumnRule, DaySource, Mapping, PathStep, check_language, places},
    table::{Cell, TableRow},
    values,
};

/// Row that was converted.
#[derive(Debug, Clone)]
pub(crate) struct ConvertedRow {
    /// Number of the row as a spreadsheet shows it.
    pub(crate) number: u64,
    pub(crate) claims: Map<String, Value>,
    /// Reference; empty: the mapping has none.
    pub(crate) reference: String,
    pub(crate) language: String,
    /// Lines of the address; none if the mapping has no letters.
    pub(crate) addressee: Vec<String>,
    pub(crate) valid_from: Option<Timestamp>,
    pub(crate) valid_until: Option<Timestamp>,
}

/// Error in a cell, or in a row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RowError {
    pub(crate) row: u64,
    /// Name of the column; `None` if the error concerns no single one.
    pub(crate) column: Option<String>,
    /// Given value, quoted and perhaps shortened; `None` if it is empty or there is none.
    pub(crate) given: Option<String>,
    /// Sentence about the error and the expected value.
    pub(crate) text: String,
}

impl std::fmt::Display for RowError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "row {}", self.row)?;
        if let Some(column) = &self.column {
            write!(f, ", column {}", quoted(column))?;
        }
        match &self.given {
            Some(given) => write!(f, ": {given}: {}", self.text),
            None => write!(f, ": {}", self.text),
        }
    }
}

/// Converter of the rows of one table.
#[derive(Debug)]
pub(crate) struct RowConverter {
    mapping: Mapping,
    places: BTreeMap<String, usize>,
}

impl RowConverter {
    /// Creates a converter for a table with these columns.
    ///
    /// # Errors
    /// Columns of table and mapping differ.
    pub(crate) fn new(mapping: Mapping, columns: &[String]) -> Result<Self, String> {
        mapping.check_columns(columns)?;
        Ok(Self { mapping, places: places(columns) })
    }

    /// Returns whether rows have references.
    pub(crate) fn has_references(&self) -> bool {
        self.mapping.reference.is_some()
    }

    /// Returns the name of the sender of letters; `None` if the mapping has no letters.
    pub(crate) fn sender(&self) -> Option<&str> {
        self.mapping.letters.as_ref().map(|letters| letters.sender.as_str())
    }

    fn addressee(&self, row: &TableRow) -> Vec<String> {
        let lines = self.mapping.letters.iter().flat_map(|letters| &letters.addressee);
        let text = |columns: &Vec<String>| {
            let cells = columns.iter().map(|column| self.cell(row, column).shown());
            cells.filter(|cell| !cell.is_empty()).collect::<Vec<_>>().join(" ")
        };
        lines.map(text).filter(|line| !line.is_empty()).collect()
    }

    /// Converts a row.
    ///
    /// # Errors
    /// All errors of the row's cells.
    pub(crate) fn convert(&self, row: &TableRow) -> Result<ConvertedRow, Vec<RowError>> {
        let mut errors = Vec::new();
        let mut claims = self.mapping.constants.clone();
        for rule in &self.mapping.rules {
            let cell = self.cell(row, &rule.column);
            if cell == Cell::Empty {
                continue;
            }
            if let Err(text) = values_of(rule, &cell).and_then(|values| insert(&mut claims, &rule.path, values)) {
                errors.push(cell_error(row, &rule.column, &cell, text));
            }
        }
        let mut take = |result: Result<Option<Timestamp>, RowError>| result.map_err(|error| errors.push(error)).ok();
        let valid_from = take(self.day(row, self.mapping.valid_from.as_ref(), false)).flatten();
        let valid_until = take(self.day(row, self.mapping.valid_until.as_ref(), true)).flatten();
        let reference = self.reference(row).map_err(|error| errors.push(error)).unwrap_or_default();
        let language = self.language(row).map_err(|error| errors.push(error)).unwrap_or_default();
        if !errors.is_empty() {
            return Err(errors);
        }
        let addressee = self.addressee(row);
        Ok(ConvertedRow { number: row.number, claims, reference, language, addressee, valid_from, valid_until })
    }

    /// Returns an error of the issuer with the column and the given value. `field`: path in the request, such as
    /// `claims.credits`.
    pub(crate) fn locate(&self, row: &TableRow, field: &str, text: String) -> RowError {
        let day = |source: &Option<DaySource>| match source {
            Some(DaySource::Column { column, .. }) => Some(column.clone()),
            _ => None,
        };
        let column = match field {
            "reference" => self.mapping.reference.as_ref().map(|reference| reference.column.clone()),
            "valid_from" => day(&self.mapping.valid_from),
            "valid_until" => day(&self.mapping.valid_until),
            field => field.strip_prefix("claims.").and_then(|path| self.mapping.column_of(path)).map(str::to_owned),
        };
        match column {
            Some(column) => cell_error(row, &column, &self.cell(row, &column), text),
            None => RowError { row: row.number, column: None, given: None, text: format!("{field}: {text}") },
        }
    }

    /// Returns the cell of a column; one of white space alone counts as empty if texts are trimmed.
    fn cell(&self, row: &TableRow, column: &str) -> Cell {
        let cell = self.places.get(column).and_then(|at| row.cells.get(*at)).cloned().unwrap_or(Cell::Empty);
        match cell {
            Cell::Text(text) if self.mapping.trim => Cell::from_text(text.trim().to_owned()),
            cell => cell,
        }
    }

    fn day(&self, row: &TableRow, source: Option<&DaySource>, is_end: bool) -> Result<Option<Timestamp>, RowError> {
        let (column, form) = match source {
            None => return Ok(None),
            Some(DaySource::Fixed(at)) => return Ok(Some(*at)),
            Some(DaySource::Column { column, form }) => (column, form),
        };
        let cell = self.cell(row, column);
        if cell == Cell::Empty {
            return Ok(None);
        }
        let read = form.read(&cell).and_then(|text| {
            let at = if is_end { day::parse_end(&text) } else { day::parse_start(&text) };
            at.map_err(|problem| problem.detail)
        });
        read.map(Some).map_err(|text| cell_error(row, column, &cell, text))
    }

    fn reference(&self, row: &TableRow) -> Result<String, RowError> {
        let Some(source) = &self.mapping.reference else { return Ok(String::new()) };
        let cell = self.cell(row, &source.column);
        if cell == Cell::Empty {
            let text = "the row has no reference; give each row one, such as the student number".to_owned();
            return Err(cell_error(row, &source.column, &cell, text));
        }
        match source.kind.convert(&cell) {
            Ok(Value::String(reference)) => Ok(reference),
            Ok(_) => Ok(String::new()),
            Err(text) => Err(cell_error(row, &source.column, &cell, text)),
        }
    }

    fn language(&self, row: &TableRow) -> Result<String, RowError> {
        let given = self.mapping.language.as_ref().map(|column| (column, self.cell(row, column)));
        let Some((column, cell)) = given.filter(|(_, cell)| *cell != Cell::Empty) else {
            return Ok(self.mapping.default_language.clone());
        };
        let tag = cell.shown();
        check_language(&tag).map_err(|text| cell_error(row, column, &cell, text))?;
        Ok(tag)
    }
}

fn cell_error(row: &TableRow, column: &str, cell: &Cell, text: String) -> RowError {
    let given = (*cell != Cell::Empty).then(|| values::shown(cell));
    RowError { row: row.number, column: Some(column.to_owned()), given, text }
}

/// Returns the values of a cell: several for a list.
fn values_of(rule: &ColumnRule, cell: &Cell) -> Result<Vec<Value>, String> {
    let Some(separator) = &rule.split else { return Ok(vec![rule.kind.convert(cell)?]) };
    let Cell::Text(text) = cell else { return Ok(vec![rule.kind.convert(cell)?]) };
    let parts = text.split(separator.as_str()).map(str::trim).enumerate();
    let value = |(at, part): (usize, &str)| {
        let number = at.saturating_add(1);
        match Cell::from_text(part.to_owned()) {
            Cell::Empty => Err(format!("element {number} of the list is empty; remove a separator")),
            part => rule.kind.convert(&part).map_err(|text| format!("element {number} of the list: {text}")),
        }
    };
    parts.map(value).collect()
}

/// Inserts values at a path, those of a list one into each element.
fn insert(claims: &mut Map<String, Value>, path: &[PathStep], values: Vec<Value>) -> Result<(), String> {
    let Some((step, rest)) = path.split_first() else { return Ok(()) };
    let clash = || format!("the claim {} is filled by a column of another kind", quoted(&step.name));
    if step.each {
        let items = claims.entry(&step.name).or_insert_with(|| Value::Array(Vec::new()));
        let items = items.as_array_mut().ok_or_else(clash)?;
        if rest.is_empty() {
            items.extend(values);
            return Ok(());
        }
        if items.is_empty() {
            items.extend(values.iter().map(|_| Value::Object(Map::new())));
        }
        if items.len() != values.len() {
            let (found, expected) = (values.len(), items.len());
            return Err(format!("the list has {found} elements, and another column of the same list has {expected}"));
        }
        for (item, value) in items.iter_mut().zip(values) {
            insert(item.as_object_mut().ok_or_else(clash)?, rest, vec![value])?;
        }
        return Ok(());
    }
    if rest.is_empty() {
        claims.extend(values.into_iter().next().map(|value| (step.name.clone(), value)));
        return Ok(());
    }
    let inner = claims.entry(&step.name).or_insert_with(|| Value::Object(Map::new()));
    insert(inner.as_object_mut().ok_or_else(clash)?, rest, values)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const MAPPING: &str = "reference = \"No\"\nlanguage = \"Lang\"\ndefault_language = \"de\"\n\
        valid_until = { column = \"Until\", date = \"DD.MM.YYYY\" }\n\
        [constants]\naddress = { country = \"PT\" }\n\
        [columns]\n\"Name\" = \"name.family\"\n\"Credits\" = { claim = \"credits\", as = \"integer\" }\n\
        \"Skills\" = { claim = \"outcomes[].title\", split = \";\" }\n\
        \"Codes\" = { claim = \"outcomes[].code\", split = \";\", as = \"integer\" }\n";
    const COLUMNS: [&str; 7] = ["No", "Lang", "Until", "Name", "Credits", "Skills", "Codes"];

    fn convert(cells: [&str; 7]) -> Result<ConvertedRow, Vec<String>> {
        let columns = COLUMNS.map(str::to_owned);
        let converter = RowConverter::new(Mapping::parse(MAPPING).unwrap(), &columns).unwrap();
        let cells = cells.iter().map(|text| Cell::from_text((*text).to_owned())).collect();
        let converted = converter.convert(&TableRow { number: 17, cells });
        converted.map_err(|errors| errors.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn a_row_becomes_claims_and_terms() {
        let row = convert(["A-1", "uk", "31.12.2030", "Haddad", "180", "read; write", "1;2"]).unwrap();
        let expected = json!({
            "address": {"country": "PT"}, "name": {"family": "Haddad"}, "credits": 180,
            "outcomes": [{"title": "read", "code": 1}, {"title": "write", "code": 2}],
        });
        assert_eq!(Value::Object(row.claims), expected);
        assert_eq!((row.reference.as_str(), row.language.as_str()), ("A-1", "uk"));
        assert_eq!(row.valid_until.unwrap().to_string(), "2031-01-01T00:00:00Z");
        let row = convert(["A-1", "", "", "", "", "", ""]).unwrap();
        assert_eq!((row.language.as_str(), row.valid_until, row.claims.len()), ("de", None, 1));
    }

    #[test]
    fn all_errors_of_a_row_are_told_with_their_columns_and_values() {
        let errors = convert(["", "pt", "2030-12-31", "Haddad", "1.0", "a;;b", "1"]).unwrap_err();
        let told = [
            "row 17, column \"Credits\": \"1.0\": it must be a whole number",
            "row 17, column \"Skills\": \"a;;b\": element 2 of the list is empty",
            "row 17, column \"Until\": \"2030-12-31\": it must be a day written as DD.MM.YYYY",
            "row 17, column \"No\": the row has no reference",
            "row 17, column \"Lang\": \"pt\": it must be one of ar, de",
        ];
        assert_eq!(errors.len(), told.len(), "{errors:?}");
        for told in told {
            assert!(errors.iter().any(|error| error.starts_with(told)), "{told}: {errors:?}");
        }
        let uneven = convert(["A", "", "", "", "", "a;b", "1"]).unwrap_err();
        assert!(uneven[0].contains("another column of the same list has"), "{uneven:?}");
    }
}
