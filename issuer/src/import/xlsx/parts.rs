//! Parts of a workbook besides its rows: sheets, shared strings, and formats that are dates.

use std::{collections::HashMap, io::BufReader};

use quick_xml::{
    Reader,
    events::{BytesStart, Event},
};

use super::archive::{Archive, EntryReader, LimitedBytes};
use crate::import::table::TableError;

/// Maximum size of a part other than a sheet, in bytes.
const MAX_PART: u64 = 268_435_456;
/// Maximum nesting of elements.
const MAX_DEPTH: usize = 64;

/// Reader of the XML of one part.
pub(super) struct XmlReader {
    reader: Reader<BufReader<LimitedBytes>>,
    buffer: Vec<u8>,
    depth: usize,
}

impl XmlReader {
    pub(super) fn new(entry: EntryReader) -> Self {
        Self { reader: Reader::from_reader(entry.bytes), buffer: Vec::new(), depth: 0 }
    }

    /// Returns the next event; `None` at the end.
    ///
    /// # Errors
    /// The XML is malformed, nested too deeply, or has a text over the limit; the file cannot be read.
    pub(super) fn next(&mut self) -> Result<Option<Event<'_>>, TableError> {
        self.buffer.clear();
        self.reader.get_mut().get_mut().begin_event();
        let event = self.reader.read_event_into(&mut self.buffer);
        let event = event.map_err(|error| TableError::Malformed(format!("the spreadsheet is damaged: {error}")))?;
        match event {
            Event::Start(_) => self.depth = self.depth.saturating_add(1),
            Event::End(_) => self.depth = self.depth.saturating_sub(1),
            // Entities are declared there; no spreadsheet has any.
            Event::DocType(_) => return Err(TableError::Malformed("the spreadsheet has a document type".to_owned())),
            Event::Eof => return Ok(None),
            _ => {}
        }
        if self.depth > MAX_DEPTH {
            return Err(TableError::Malformed(format!("the spreadsheet is nested deeper than {MAX_DEPTH} levels")));
        }
        Ok(Some(event))
    }
}

/// Returns the value of an attribute; `None` if it is absent.
///
/// # Errors
/// The tag is malformed.
pub(super) fn attribute(tag: &BytesStart<'_>, name: &str) -> Result<Option<String>, TableError> {
    let damaged = |what: String| TableError::Malformed(format!("the spreadsheet is damaged: {what}"));
    let Some(found) = tag.try_get_attribute(name).map_err(|error| damaged(error.to_string()))? else { return Ok(None) };
    let value = found.normalized_value(quick_xml::XmlVersion::Implicit1_0);
    value.map(|value| Some(value.into_owned())).map_err(|error| damaged(error.to_string()))
}

/// Adds the text of an event: characters, and references to them.
///
/// # Errors
/// A reference is unknown.
pub(super) fn add_text(event: &Event<'_>, text: &mut String) -> Result<(), TableError> {
    match event {
        Event::Text(part) => text.push_str(&part.xml10_content()),
        Event::CData(part) => text.push_str(&part.xml10_content()),
        Event::GeneralRef(reference) => {
            let character = reference.resolve_char_ref().ok().flatten();
            let name = reference.xml10_content();
            let named = quick_xml::escape::resolve_predefined_entity(&name);
            match (character, named) {
                (Some(character), _) => text.push(character),
                (None, Some(named)) => text.push_str(named),
                (None, None) => {
                    return Err(TableError::Malformed("the spreadsheet has an unknown entity".to_owned()));
                }
            }
        }
        _ => {}
    }
    Ok(())
}

/// Sheet of a workbook.
#[derive(Debug)]
pub(super) struct Sheet {
    pub(super) name: String,
    /// Name of its entry.
    pub(super) entry: String,
}

/// Workbook without the content of its sheets.
#[derive(Debug)]
pub(super) struct Workbook {
    /// Visible sheets.
    pub(super) sheets: Vec<Sheet>,
    /// `true` if days are counted from 1904.
    pub(super) is_1904: bool,
}

/// Reads the names of the sheets.
///
/// # Errors
/// The archive is not a workbook.
pub(super) fn read_workbook(archive: &Archive) -> Result<Workbook, TableError> {
    let missing = || TableError::Malformed("the file is not a workbook in the XLSX format".to_owned());
    let mut targets = HashMap::new();
    let mut xml = XmlReader::new(archive.entry("xl/_rels/workbook.xml.rels", MAX_PART)?.ok_or_else(missing)?);
    while let Some(event) = xml.next()? {
        let (Event::Start(tag) | Event::Empty(tag)) = &event else { continue };
        if tag.local_name().as_ref() == "Relationship" {
            let pair = attribute(tag, "Id")?.zip(attribute(tag, "Target")?);
            targets.extend(pair.map(|(id, target)| match target.strip_prefix('/') {
                Some(absolute) => (id, absolute.to_owned()),
                None => (id, format!("xl/{target}")),
            }));
        }
    }
    let mut workbook = Workbook { sheets: Vec::new(), is_1904: false };
    let mut xml = XmlReader::new(archive.entry("xl/workbook.xml", MAX_PART)?.ok_or_else(missing)?);
    while let Some(event) = xml.next()? {
        let (Event::Start(tag) | Event::Empty(tag)) = &event else { continue };
        match tag.local_name().as_ref() {
            "workbookPr" => {
                workbook.is_1904 = attribute(tag, "date1904")?.is_some_and(|value| value == "1" || value == "true");
            }
            "sheet" if attribute(tag, "state")?.is_none_or(|state| state == "visible") => {
                let entry = attribute(tag, "r:id")?.and_then(|id| targets.get(&id).cloned());
                let pair = attribute(tag, "name")?.zip(entry);
                workbook.sheets.extend(pair.map(|(name, entry)| Sheet { name, entry }));
            }
            _ => {}
        }
    }
    if workbook.sheets.is_empty() { Err(missing()) } else { Ok(workbook) }
}

/// Texts that cells refer to by number, in one block of memory.
#[derive(Debug, Default)]
pub(super) struct SharedStrings {
    text: String,
    ends: Vec<usize>,
}

impl SharedStrings {
    /// Reads the shared strings; none if the workbook has no such part.
    ///
    /// # Errors
    /// The part is damaged or too large.
    pub(super) fn read(archive: &Archive) -> Result<Self, TableError> {
        let mut strings = Self::default();
        let Some(entry) = archive.entry("xl/sharedStrings.xml", MAX_PART)? else { return Ok(strings) };
        let mut xml = XmlReader::new(entry);
        // Phonetic readings of a text are no part of it.
        let (mut in_text, mut in_reading) = (false, false);
        while let Some(event) = xml.next()? {
            match &event {
                Event::Start(tag) => match tag.local_name().as_ref() {
                    "t" => in_text = true,
                    "rPh" => in_reading = true,
                    _ => {}
                },
                Event::End(tag) => match tag.local_name().as_ref() {
                    "t" => in_text = false,
                    "rPh" => in_reading = false,
                    "si" => strings.ends.push(strings.text.len()),
                    _ => {}
                },
                Event::Empty(tag) if tag.local_name().as_ref() == "si" => strings.ends.push(strings.text.len()),
                event if in_text && !in_reading => add_text(event, &mut strings.text)?,
                _ => {}
            }
        }
        Ok(strings)
    }

    pub(super) fn get(&self, number: usize) -> Option<&str> {
        let start = number.checked_sub(1).map_or(Some(0), |before| self.ends.get(before).copied())?;
        self.text.get(start..*self.ends.get(number)?)
    }
}

/// Reads which cell styles are dates, by their numbers.
///
/// # Errors
/// The part is damaged.
pub(super) fn read_date_styles(archive: &Archive) -> Result<Vec<bool>, TableError> {
    let Some(entry) = archive.entry("xl/styles.xml", MAX_PART)? else { return Ok(Vec::new()) };
    let mut xml = XmlReader::new(entry);
    let (mut custom, mut styles, mut in_cells) = (HashMap::new(), Vec::new(), false);
    while let Some(event) = xml.next()? {
        match &event {
            Event::Start(tag) | Event::Empty(tag) => match tag.local_name().as_ref() {
                "numFmt" => {
                    let pair = attribute(tag, "numFmtId")?.zip(attribute(tag, "formatCode")?);
                    custom.extend(pair.map(|(id, code)| (id, is_date_code(&code))));
                }
                "cellXfs" => in_cells = matches!(event, Event::Start(_)),
                "xf" if in_cells => {
                    let id = attribute(tag, "numFmtId")?.unwrap_or_default();
                    let is_date = custom.get(&id).copied().unwrap_or_else(|| is_built_in_date(&id));
                    styles.push(is_date);
                }
                _ => {}
            },
            Event::End(tag) if tag.local_name().as_ref() == "cellXfs" => in_cells = false,
            _ => {}
        }
    }
    Ok(styles)
}

/// Returns whether a built-in format shows a day (ECMA-376 part 1 section 18.8.30).
fn is_built_in_date(id: &str) -> bool {
    id.parse::<u16>().is_ok_and(|id| matches!(id, 14..=17 | 22 | 27..=31 | 34..=36 | 50..=58))
}

/// Returns whether the code of a format shows a year or a day.
fn is_date_code(code: &str) -> bool {
    let (mut quoted, mut bracket, mut escaped) = (false, false, false);
    code.chars().any(|c| {
        let plain = !quoted && !bracket && !escaped;
        match c {
            _ if escaped => escaped = false,
            '"' if !bracket => quoted = !quoted,
            '[' if !quoted => bracket = true,
            ']' if !quoted => bracket = false,
            '\\' | '_' | '*' if plain => escaped = true,
            _ => {}
        }
        plain && matches!(c, 'y' | 'Y' | 'd' | 'D')
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formats_of_days_are_told_from_others() {
        for date in ["dd/mm/yyyy", "[$-407]d. mmmm yyyy;@", "yyyy\\-mm\\-dd"] {
            assert!(is_date_code(date), "{date}");
        }
        for other in ["General", "0.00", "h:mm", "#,##0 \"days\"", "0\\d", "[Red]0.0"] {
            assert!(!is_date_code(other), "{other}");
        }
        assert!(is_built_in_date("14") && !is_built_in_date("2") && !is_built_in_date("20"));
    }
}
