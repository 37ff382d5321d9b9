//! Reader of delimited text (RFC 4180, with any delimiter), row by row and with limits.

use std::io::{BufReader, Read};

use csv_core::ReadRecordResult;

use super::{
    encoding::Encoding,
    table::{self, Cell, MAX_COLUMNS, MAX_ROW_BYTES, TableError, TableReader, TableRow},
};

/// Size of a read, in bytes.
const CHUNK: usize = 65_536;

/// Reader of the rows of a delimited text file.
pub(crate) struct CsvReader<R> {
    input: BufReader<R>,
    parser: csv_core::Reader,
    encoding: Encoding,
    size: u64,
    columns: Vec<String>,
    chunk: Vec<u8>,
    /// Part of `chunk` that was not parsed yet.
    unread: std::ops::Range<usize>,
    read_bytes: u64,
    /// Number of the last row.
    number: u64,
    empty_rows: u64,
    /// `true` if the last consumed byte was a carriage return.
    after_return: bool,
    record: Vec<u8>,
    ends: Vec<usize>,
}

impl<R: Read> CsvReader<R> {
    /// Reads the first row. `size`: that of the file, for the progress; `has_mark`: it begins with a byte-order mark.
    ///
    /// # Errors
    /// The file cannot be read; the first row does not name the columns.
    pub(crate) fn new(
        input: R,
        size: u64,
        has_mark: bool,
        encoding: Encoding,
        delimiter: u8,
    ) -> Result<Self, TableError> {
        let mut reader = Self {
            input: BufReader::with_capacity(CHUNK, input),
            parser: csv_core::ReaderBuilder::new().delimiter(delimiter).build(),
            encoding,
            size,
            columns: Vec::new(),
            chunk: vec![0; CHUNK],
            unread: 0..0,
            read_bytes: 0,
            number: 0,
            empty_rows: 0,
            after_return: false,
            record: vec![0; MAX_ROW_BYTES],
            // One more than is allowed, and one for the end.
            ends: vec![0; MAX_COLUMNS.saturating_add(2)],
        };
        if has_mark {
            reader.fill()?;
            reader.unread.start = reader.unread.start.saturating_add(3).min(reader.unread.end);
        }
        let names = reader.next_texts()?.unwrap_or_default();
        reader.columns = table::check_columns(names)?;
        reader.empty_rows = 0;
        Ok(reader)
    }

    /// Reads more bytes if all were parsed; `false` at the end of the file.
    fn fill(&mut self) -> Result<bool, TableError> {
        if self.unread.is_empty() {
            let length = self.input.read(&mut self.chunk)?;
            self.unread = 0..length;
            self.read_bytes = self.read_bytes.saturating_add(u64::try_from(length).unwrap_or(u64::MAX));
        }
        Ok(!self.unread.is_empty())
    }

    /// Consumes the line ends before the next row: each but the second byte of CRLF is an empty row.
    fn skip_empty_rows(&mut self) -> Result<bool, TableError> {
        while self.fill()? {
            match self.chunk.get(self.unread.start) {
                Some(b'\n') if self.after_return => self.after_return = false,
                Some(b'\n' | b'\r') => {
                    self.after_return = self.chunk.get(self.unread.start) == Some(&b'\r');
                    self.number = self.number.saturating_add(1);
                    self.empty_rows = self.empty_rows.saturating_add(1);
                }
                _ => return Ok(true),
            }
            self.unread.start = self.unread.start.saturating_add(1);
        }
        Ok(false)
    }

    /// Returns the cells of the next row that has at least one character.
    fn next_texts(&mut self) -> Result<Option<Vec<String>>, TableError> {
        if !self.skip_empty_rows()? {
            return Ok(None);
        }
        self.number = self.number.saturating_add(1);
        let (mut written, mut ended) = (0_usize, 0_usize);
        loop {
            let at_end = !self.fill()?;
            // A line end completes the last row, unless a quotation mark is open.
            let input: &[u8] = if at_end { b"\n" } else { self.chunk.get(self.unread.clone()).unwrap_or_default() };
            let room = (self.record.get_mut(written..), self.ends.get_mut(ended..));
            let (Some(record), Some(ends)) = room else { return Err(self.too_long()) };
            let (result, read, wrote, ends_read) = self.parser.read_record(input, record, ends);
            if !at_end {
                self.after_return =
                    read.checked_sub(1).and_then(|last| input.get(last)).is_some_and(|byte| *byte == b'\r');
                self.unread.start = self.unread.start.saturating_add(read);
            }
            written = written.saturating_add(wrote);
            ended = ended.saturating_add(ends_read);
            match result {
                ReadRecordResult::Record => break,
                ReadRecordResult::OutputFull => return Err(self.too_long()),
                ReadRecordResult::OutputEndsFull => return Err(TableError::Malformed(table::too_many_columns())),
                ReadRecordResult::InputEmpty if at_end => return Err(self.unclosed()),
                ReadRecordResult::InputEmpty => {}
                ReadRecordResult::End => return Ok(None),
            }
        }
        if ended > MAX_COLUMNS {
            return Err(TableError::Malformed(table::too_many_columns()));
        }
        let mut start = 0;
        let ends = self.ends.get(..ended).unwrap_or_default();
        let cells = ends.iter().map(|end| {
            let bytes = self.record.get(start..*end).unwrap_or_default();
            start = *end;
            self.encoding.decode(bytes).ok_or_else(|| self.undecodable())
        });
        cells.collect::<Result<_, _>>().map(Some)
    }

    fn too_long(&self) -> TableError {
        TableError::Malformed(format!(
            "row {} is longer than {MAX_ROW_BYTES} bytes; probably a quotation mark in it is not closed",
            self.number
        ))
    }

    fn unclosed(&self) -> TableError {
        TableError::Malformed(format!("row {} opens a quotation mark that is not closed", self.number))
    }

    fn undecodable(&self) -> TableError {
        let encoding = self.encoding.as_str();
        TableError::Malformed(format!("row {} has bytes that are not {encoding}; save the file as UTF-8", self.number))
    }
}

impl<R: Read> TableReader for CsvReader<R> {
    fn columns(&self) -> &[String] {
        &self.columns
    }

    fn next_row(&mut self) -> Result<Option<TableRow>, TableError> {
        while let Some(texts) = self.next_texts()? {
            let cells = texts.into_iter().map(Cell::from_text).collect();
            if let Some(row) = table::fit(self.number, cells, self.columns.len())? {
                return Ok(Some(row));
            }
            self.empty_rows = self.empty_rows.saturating_add(1);
        }
        Ok(None)
    }

    #[expect(clippy::cast_precision_loss, reason = "a progress")]
    fn progress(&self) -> f64 {
        let unread = u64::try_from(self.unread.len()).unwrap_or_default();
        self.read_bytes.saturating_sub(unread) as f64 / self.size.max(1) as f64
    }

    fn empty_rows(&self) -> u64 {
        self.empty_rows
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Number and texts of each row.
    type Rows = Vec<(u64, Vec<String>)>;

    /// Returns the columns, the rows, and the number of empty rows.
    fn read(text: &[u8]) -> Result<(Vec<String>, Rows, u64), String> {
        let size = u64::try_from(text.len()).unwrap();
        let mark = text.starts_with(b"\xef\xbb\xbf");
        let encoding = if std::str::from_utf8(text).is_ok() { Encoding::Utf8 } else { Encoding::Windows1252 };
        let mut reader = CsvReader::new(text, size, mark, encoding, b';').map_err(|error| error.to_string())?;
        let mut rows = Vec::new();
        while let Some(row) = reader.next_row().map_err(|error| error.to_string())? {
            rows.push((row.number, row.cells.iter().map(Cell::shown).collect()));
        }
        assert!((reader.progress() - 1.0).abs() < f64::EPSILON);
        Ok((reader.columns.clone(), rows, reader.empty_rows))
    }

    fn rows(text: &str) -> Vec<(u64, Vec<String>)> {
        read(text.as_bytes()).unwrap().1
    }

    fn row(number: u64, cells: &[&str]) -> (u64, Vec<String>) {
        (number, cells.iter().map(|cell| (*cell).to_owned()).collect())
    }

    #[test]
    fn rows_have_the_numbers_that_a_spreadsheet_shows() {
        let expected = [row(2, &["1", "2"]), row(5, &["3\n4", "5"]), row(6, &["6", "7"])];
        assert_eq!(rows("a;b\n1;2\n\n\n\"3\n4\";5\n6;7"), expected);
        assert_eq!(rows("a;b\r\n1;2\r\n\r\n\r\n\"3\n4\";5\r\n6;7\r\n"), expected);
        assert_eq!(rows("a;b\r1;2\r\r\r\"3\n4\";5\r6;7\r"), expected);
        let (columns, rows, empty) = read(b"\xef\xbb\xbf a ;b;;\n1;2;;\n;;;\n").unwrap();
        assert_eq!(
            (columns.as_slice(), rows, empty),
            (&["a".to_owned(), "b".to_owned()][..], vec![row(2, &["1", "2"])], 1)
        );
    }

    #[test]
    fn quotation_marks_and_latin_1_are_read() {
        assert_eq!(rows("a;b\n\"x;\"\"y\"\"\";\n"), [row(2, &["x;\"y\"", ""])]);
        assert_eq!(read(b"a\nJos\xe9\n").unwrap().1, [row(2, &["José"])]);
    }

    #[test]
    fn a_broken_row_is_told_by_its_number() {
        for (text, told) in [
            ("a;b\n1;2\n\"3;4\n5;6\n", "row 3 opens a quotation mark"),
            ("a;b\n1;2\n\"3;4", "row 3 opens a quotation mark"),
            ("a;b\n1\n", "row 2: it has 1 cells"),
            ("a;b\n1;2;3\n", "row 2: it has 3 cells"),
            ("", "names of the columns"),
        ] {
            let refused = read(text.as_bytes()).unwrap_err();
            assert!(refused.contains(told), "{refused}");
        }
    }

    #[test]
    fn a_huge_row_and_a_million_columns_are_refused_within_the_limits() {
        let cell = format!("a\n{}\n", "x".repeat(10_000_000));
        assert!(read(cell.as_bytes()).unwrap_err().contains("row 2 is longer than 524288 bytes"));
        assert!(read(";".repeat(1_000_000).as_bytes()).unwrap_err().contains("more than 1000 columns"));
        let open = format!("a\n\"{}", "x\n".repeat(1_000_000));
        assert!(read(open.as_bytes()).unwrap_err().contains("not closed"));
        let most = vec!["x"; MAX_COLUMNS].join(";");
        assert!(read(most.as_bytes()).unwrap_err().contains("two columns"));
    }
}
