//! Reader of the rows of one sheet of an XLSX file (ECMA-376), as a stream.
//!
//! The shared strings of the file are in memory, and nothing else of it.

mod archive;
mod parts;

use std::{cell::Cell as Counter, fs::File, rc::Rc};

use carnet_core::{day, spelling::nearest_name, text::quoted, time::Timestamp};
use quick_xml::events::{BytesStart, Event};

use super::table::{self, Cell, MAX_COLUMNS, MAX_ROW_BYTES, TableError, TableReader, TableRow};
use archive::Archive;
use parts::{SharedStrings, XmlReader, add_text, attribute};

/// Maximum size of a sheet when it is unpacked, in bytes.
const MAX_SHEET: u64 = 2_147_483_648;
/// Largest integer that a number of a spreadsheet represents exactly.
const MAX_EXACT: f64 = 9_007_199_254_740_991.0;

/// Reader of the rows of a sheet.
pub(crate) struct XlsxReader {
    xml: XmlReader,
    strings: SharedStrings,
    date_styles: Vec<bool>,
    is_1904: bool,
    columns: Vec<String>,
    packed: u64,
    read: Rc<Counter<u64>>,
    /// Number of the last row.
    number: u64,
    empty_rows: u64,
}

/// Cell as it is in the file.
#[derive(Debug, Default)]
struct RawCell {
    /// Number of the column, from 0.
    column: usize,
    kind: String,
    is_date: bool,
    value: String,
    has_value: bool,
}

impl XlsxReader {
    /// Opens a sheet, and reads its first row. `sheet`: its name; `None`: the only one.
    ///
    /// # Errors
    /// The file is not a workbook, is damaged, or has no such sheet; there are several, and none is named; the first row
    /// does not name the columns.
    pub(crate) fn new(file: File, sheet: Option<&str>) -> Result<Self, TableError> {
        let archive = Archive::open(file)?;
        let workbook = parts::read_workbook(&archive)?;
        let names: Vec<&str> = workbook.sheets.iter().map(|sheet| sheet.name.as_str()).collect();
        let found = match (sheet, workbook.sheets.as_slice()) {
            (None, [only]) => only,
            (None, _) => {
                let names = names.iter().map(|name| quoted(name)).collect::<Vec<_>>().join(", ");
                return Err(TableError::Malformed(format!("the file has the sheets {names}; name one with --sheet")));
            }
            (Some(name), sheets) => sheets.iter().find(|sheet| sheet.name == name).ok_or_else(|| {
                let near = nearest_name(name, names.iter().copied());
                let near = near.map_or(String::new(), |near| format!("; the nearest is {}", quoted(near)));
                TableError::Malformed(format!("the file has no sheet {}{near}", quoted(name)))
            })?,
        };
        let (strings, date_styles) = (SharedStrings::read(&archive)?, parts::read_date_styles(&archive)?);
        let entry = archive.entry(&found.entry, MAX_SHEET)?;
        let entry = entry.ok_or_else(|| TableError::Malformed("the file lacks the sheet that it names".to_owned()))?;
        let (packed, read) = (entry.packed, Rc::clone(&entry.read));
        let mut reader = Self {
            xml: XmlReader::new(entry),
            strings,
            date_styles,
            is_1904: workbook.is_1904,
            columns: Vec::new(),
            packed,
            read,
            number: 0,
            empty_rows: 0,
        };
        let header = reader.next_cells()?.unwrap_or_default();
        reader.columns = table::check_columns(header.iter().map(Cell::shown).collect())?;
        Ok(reader)
    }

    /// Returns the cells of the next row.
    fn next_cells(&mut self) -> Result<Option<Vec<Cell>>, TableError> {
        loop {
            let Some(event) = self.xml.next()? else { return Ok(None) };
            match &event {
                Event::Start(tag) if tag.local_name().as_ref() == "row" => {
                    self.number = row_number(tag, self.number)?;
                    return self.read_row().map(Some);
                }
                Event::Empty(tag) if tag.local_name().as_ref() == "row" => {
                    self.number = row_number(tag, self.number)?;
                    return Ok(Some(Vec::new()));
                }
                _ => {}
            }
        }
    }

    fn read_row(&mut self) -> Result<Vec<Cell>, TableError> {
        let mut cells: Vec<Cell> = Vec::new();
        let mut current: Option<RawCell> = None;
        // Within `v` or `t`, but not within a phonetic reading.
        let (mut in_value, mut in_reading, mut size) = (false, false, 0_usize);
        loop {
            let Some(event) = self.xml.next()? else {
                return Err(TableError::Malformed("the sheet was not saved completely".to_owned()));
            };
            match &event {
                Event::Start(tag) => match tag.local_name().as_ref() {
                    "c" => current = Some(raw_cell(tag, cells.len(), &self.date_styles)?),
                    "v" | "t" => in_value = true,
                    "rPh" => in_reading = true,
                    _ => {}
                },
                Event::End(tag) => match tag.local_name().as_ref() {
                    "row" => return Ok(cells),
                    "v" | "t" => in_value = false,
                    "rPh" => in_reading = false,
                    "c" => {
                        let Some(raw) = current.take().filter(|raw| raw.has_value) else { continue };
                        let (column, cell) = (raw.column, convert(raw, &self.strings, self.is_1904, self.number)?);
                        size = size.saturating_add(cell.shown().len());
                        if column >= MAX_COLUMNS || size > MAX_ROW_BYTES {
                            let what = format!(
                                "row {} has more than {MAX_COLUMNS} columns or {MAX_ROW_BYTES} bytes",
                                self.number
                            );
                            return Err(TableError::Malformed(what));
                        }
                        if cells.len() <= column {
                            cells.resize(column.saturating_add(1), Cell::Empty);
                        }
                        if let Some(place) = cells.get_mut(column) {
                            *place = cell;
                        }
                    }
                    _ => {}
                },
                event if in_value && !in_reading => {
                    if let Some(raw) = &mut current {
                        raw.has_value = true;
                        add_text(event, &mut raw.value)?;
                    }
                }
                _ => {}
            }
        }
    }
}

impl TableReader for XlsxReader {
    fn columns(&self) -> &[String] {
        &self.columns
    }

    fn next_row(&mut self) -> Result<Option<TableRow>, TableError> {
        while let Some(mut cells) = self.next_cells()? {
            // Empty cells are not in the file.
            if cells.len() < self.columns.len() {
                cells.resize(self.columns.len(), Cell::Empty);
            }
            if let Some(row) = table::fit(self.number, cells, self.columns.len())? {
                return Ok(Some(row));
            }
            self.empty_rows = self.empty_rows.saturating_add(1);
        }
        Ok(None)
    }

    #[expect(clippy::cast_precision_loss, reason = "a progress")]
    fn progress(&self) -> f64 {
        self.read.get() as f64 / self.packed.max(1) as f64
    }

    fn empty_rows(&self) -> u64 {
        self.empty_rows
    }
}

/// Returns the number of a row: the stated one, or the one after the last.
fn row_number(tag: &BytesStart<'_>, last: u64) -> Result<u64, TableError> {
    let next = last.saturating_add(1);
    let stated = attribute(tag, "r")?.and_then(|number| number.parse().ok());
    match stated {
        Some(number) if number < next => Err(TableError::Malformed(format!("row {number} is in the sheet twice"))),
        stated => Ok(stated.unwrap_or(next)),
    }
}

fn raw_cell(tag: &BytesStart<'_>, next: usize, date_styles: &[bool]) -> Result<RawCell, TableError> {
    let column = attribute(tag, "r")?.and_then(|reference| column_number(&reference)).unwrap_or(next);
    let style = attribute(tag, "s")?.and_then(|style| style.parse::<usize>().ok());
    let is_date = style.and_then(|style| date_styles.get(style)).copied().unwrap_or_default();
    let kind = attribute(tag, "t")?.unwrap_or_else(|| "n".to_owned());
    Ok(RawCell { column, kind, is_date, ..RawCell::default() })
}

/// Returns the number of a column, from 0, of a reference such as `AB12`.
fn column_number(reference: &str) -> Option<usize> {
    let letters = reference.bytes().take_while(u8::is_ascii_uppercase);
    let number = letters.take(4).try_fold(0_usize, |number, letter| {
        number.checked_mul(26)?.checked_add(usize::from(letter.checked_sub(b'A')?))?.checked_add(1)
    });
    number?.checked_sub(1)
}

fn convert(raw: RawCell, strings: &SharedStrings, is_1904: bool, row: u64) -> Result<Cell, TableError> {
    let damaged = || TableError::Malformed(format!("row {row} of the sheet is damaged"));
    Ok(match raw.kind.as_str() {
        "s" => {
            let number = raw.value.trim().parse::<usize>().ok();
            Cell::from_text(number.and_then(|number| strings.get(number)).ok_or_else(damaged)?.to_owned())
        }
        "str" | "inlineStr" => Cell::from_text(raw.value),
        "b" => Cell::Bool(raw.value.trim() == "1" || raw.value.trim() == "true"),
        "e" => Cell::Error(raw.value),
        // A day of ISO 8601, which newer programs write.
        "d" => match raw.value.split_once('T') {
            None => Cell::Day { text: raw.value, has_time: false },
            Some((day, time)) => {
                let has_time = time.bytes().any(|byte| matches!(byte, b'1'..=b'9'));
                Cell::Day { text: day.to_owned(), has_time }
            }
        },
        _ => {
            let value = raw.value.trim().parse::<f64>().ok().filter(|value| value.is_finite()).ok_or_else(damaged)?;
            if raw.is_date { day_of_serial(value, is_1904) } else { Cell::Number(number_text(value)) }
        }
    })
}

/// Returns a number in its shortest form; a whole one without a point.
#[expect(clippy::cast_possible_truncation, reason = "within the range")]
fn number_text(value: f64) -> String {
    if value.fract() == 0.0 && value.abs() <= MAX_EXACT { (value as i64).to_string() } else { value.to_string() }
}

/// Returns the day of a serial number: the days since the beginning of 1900, or of 1904.
#[expect(clippy::cast_possible_truncation, reason = "within the range")]
fn day_of_serial(value: f64, is_1904: bool) -> Cell {
    let whole = value.floor() as i64;
    // A spreadsheet believes that 1900 had a 29 February, as day 60.
    let first = match (is_1904, whole) {
        (true, _) => "1904-01-01T00:00:00Z",
        (false, 61..) => "1899-12-30T00:00:00Z",
        (false, 1..=59) => "1899-12-31T00:00:00Z",
        (false, _) => "",
    };
    let at = Timestamp::parse(first).ok().filter(|_| (0..=2_958_465).contains(&whole));
    let at = at.map(|first| first.plus(whole.saturating_mul(day::SECONDS)));
    match at {
        Some(at) => Cell::Day { text: day::format_start(at), has_time: value.fract() != 0.0 },
        None => Cell::Error(format!("no day has the number {}", number_text(value))),
    }
}

#[cfg(test)]
mod tests;
