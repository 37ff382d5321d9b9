//! Letters of a complete import, from its files of links and PINs.

use std::{fs::File, path::Path};

use super::{
    letter_files::{LetterContent, LetterFiles},
    source::Source,
};
use crate::{
    commands::StaffFailure,
    import::{
        claims::RowConverter,
        csv::CsvReader,
        encoding::Encoding,
        table::{TableReader as _, TableRow},
    },
};

/// File that the import wrote, row by row.
struct Written {
    reader: CsvReader<File>,
    shown: String,
}

impl Written {
    fn open(path: &Path) -> Result<Self, StaffFailure> {
        let shown = path.display().to_string();
        let opened = File::open(path).map_err(|error| unreadable(&shown, &error))?;
        let reader = CsvReader::new(opened, 0, false, Encoding::Utf8, b',');
        Ok(Self { reader: reader.map_err(|error| unreadable(&shown, &error))?, shown })
    }

    fn next(&mut self) -> Result<Option<TableRow>, StaffFailure> {
        self.reader.next_row().map_err(|error| unreadable(&self.shown, &error))
    }

    /// Returns the text of a column in a row.
    fn text(&self, row: &TableRow, column: &str) -> Result<String, StaffFailure> {
        let place = self.reader.columns().iter().position(|name| name == column);
        let cell = place.and_then(|place| row.cells.get(place));
        cell.map(|cell| cell.shown()).ok_or_else(|| unreadable(&self.shown, &format!("it has no column {column}")))
    }
}

fn unreadable(shown: &str, error: &dyn std::fmt::Display) -> StaffFailure {
    StaffFailure::Unreadable(format!(
        "{shown} cannot be read: {error}. No offer was changed\nhint: letters are made from this file; restore it"
    ))
}

/// Writes the letters of all rows with a link, and returns their number. The file must be that of the import.
///
/// # Errors
/// A file cannot be read or written, or does not fit the others.
pub(super) fn write_letters(
    folder: &Path,
    mut letters: LetterFiles,
    source: &Source,
    columns: &[String],
    converter: &RowConverter,
    with_pins: bool,
) -> Result<u64, StaffFailure> {
    let mut links = Written::open(&folder.join("links.csv"))?;
    let mut pins = if with_pins { Some(Written::open(&folder.join("pins.csv"))?) } else { None };
    let mut rows = source.reader(columns)?;
    let mut count = 0_u64;
    while let Some(written) = links.next()? {
        let number = links.text(&written, "row")?;
        let pin = match &mut pins {
            None => String::new(),
            Some(pins) => {
                let of = pins.next()?.ok_or_else(|| unreadable(&pins.shown, &"it ends too early"))?;
                if pins.text(&of, "row")? != number {
                    return Err(unreadable(&pins.shown, &format!("it does not have row {number} where links.csv has")));
                }
                pins.text(&of, "pin")?
            }
        };
        let row = loop {
            match rows.next_row() {
                Ok(Some(row)) if row.number.to_string() == number => break row,
                Ok(Some(_)) => {}
                Ok(None) => return Err(unreadable(&links.shown, &format!("the imported file has no row {number}"))),
                Err(error) => return Err(unreadable("the imported file", &error)),
            }
        };
        let converted = converter.convert(&row).map_err(|errors| {
            let first = errors.first().map(ToString::to_string).unwrap_or_default();
            unreadable("the imported file", &format!("with this mapping, a row is refused: {first}"))
        })?;
        let (link, until) = (links.text(&written, "link")?, links.text(&written, "collect_until")?);
        letters.add(&converted, &LetterContent { link: &link, pin: &pin, until: &until })?;
        count = count.saturating_add(1);
    }
    letters.finish()?;
    Ok(count)
}
