//! Entries of a ZIP file, unpacked as a stream and with limits that do not depend on the sizes that the file states.

use std::{
    cell::Cell as Counter,
    collections::HashMap,
    fs::File,
    io::{self, BufReader, Read, Seek as _, SeekFrom},
    rc::Rc,
};

use flate2::read::DeflateDecoder;

use crate::import::table::TableError;

/// Maximum size of the directory of the archive, in bytes.
const MAX_DIRECTORY: u64 = 4_194_304;
/// Maximum length of the end record with its comment, in bytes.
const MAX_END_RECORD: u64 = 65_557;
/// Maximum number of bytes between two events of XML: the size of a text or a tag.
const MAX_EVENT_BYTES: u64 = 1_048_576;

/// Entry of an archive.
#[derive(Debug, Clone, Copy)]
struct Entry {
    method: u16,
    packed: u64,
    header: u64,
}

/// Archive of a file.
pub(super) struct Archive {
    file: File,
    entries: HashMap<String, Entry>,
}

fn malformed(what: &str) -> TableError {
    TableError::Malformed(format!("{what}; open it in a spreadsheet program and save it as XLSX again"))
}

fn number(bytes: &[u8], at: usize, length: usize) -> Option<u64> {
    let bytes = bytes.get(at..at.checked_add(length)?)?;
    Some(bytes.iter().rev().fold(0_u64, |value, byte| (value << 8) | u64::from(*byte)))
}

fn short(bytes: &[u8], at: usize) -> Option<usize> {
    number(bytes, at, 2).and_then(|value| usize::try_from(value).ok())
}

impl Archive {
    /// Reads the directory of an archive.
    ///
    /// # Errors
    /// The file is not a ZIP file, is damaged, or cannot be read.
    pub(super) fn open(mut file: File) -> Result<Self, TableError> {
        let mut start = [0; 4];
        file.seek(SeekFrom::Start(0))?;
        let length = file.read(&mut start)?;
        if start == *b"\xd0\xcf\x11\xe0" {
            return Err(malformed("the file is an old .xls, or protected by a password"));
        }
        if length < 4 || start != *b"PK\x03\x04" {
            return Err(malformed("the file is not an XLSX file"));
        }
        let size = file.seek(SeekFrom::End(0))?;
        let tail_size = size.min(MAX_END_RECORD);
        file.seek(SeekFrom::Start(size.saturating_sub(tail_size)))?;
        let mut tail = Vec::new();
        (&mut file).take(tail_size).read_to_end(&mut tail)?;
        let damaged = || malformed("the file is damaged or was not saved completely");
        let end = tail.windows(4).rposition(|window| window == b"PK\x05\x06").ok_or_else(damaged)?;
        let end = tail.get(end..).unwrap_or_default();
        let (length, offset) = number(end, 12, 4).zip(number(end, 16, 4)).ok_or_else(damaged)?;
        if length > MAX_DIRECTORY || offset.saturating_add(length) > size {
            return Err(damaged());
        }
        file.seek(SeekFrom::Start(offset))?;
        let mut directory = Vec::new();
        (&mut file).take(length).read_to_end(&mut directory)?;
        let entries = read_directory(&directory).ok_or_else(damaged)?;
        Ok(Self { file, entries })
    }

    /// Opens an entry; `None` if there is no such one. `most`: maximum size of its content, in bytes.
    ///
    /// # Errors
    /// It is packed in an unknown way; the file is damaged or cannot be read.
    pub(super) fn entry(&self, name: &str, most: u64) -> Result<Option<EntryReader>, TableError> {
        let Some(entry) = self.entries.get(name).copied() else { return Ok(None) };
        let mut file = self.file.try_clone()?;
        file.seek(SeekFrom::Start(entry.header))?;
        let mut header = [0; 30];
        file.read_exact(&mut header)?;
        let lengths = short(&header, 26).zip(short(&header, 28)).filter(|_| header.starts_with(b"PK\x03\x04"));
        let (name_length, extra_length) = lengths.ok_or_else(|| malformed("the file is damaged"))?;
        let skipped = i64::try_from(name_length.saturating_add(extra_length)).unwrap_or_default();
        file.seek(SeekFrom::Current(skipped))?;
        let read = Rc::new(Counter::new(0));
        let packed = PackedBytes { file: file.take(entry.packed), read: Rc::clone(&read) };
        let content = match entry.method {
            0 => Content::Stored(packed),
            8 => Content::Deflated(DeflateDecoder::new(packed)),
            _ => return Err(malformed("the file is packed in an unusual way")),
        };
        let limited = LimitedBytes { content, left: most, left_in_event: MAX_EVENT_BYTES };
        Ok(Some(EntryReader { bytes: BufReader::new(limited), packed: entry.packed, read }))
    }
}

fn read_directory(mut rest: &[u8]) -> Option<HashMap<String, Entry>> {
    let mut entries = HashMap::new();
    while rest.starts_with(b"PK\x01\x02") {
        let (name, extra, comment) = (short(rest, 28)?, short(rest, 30)?, short(rest, 32)?);
        let text = rest.get(46..46_usize.checked_add(name)?)?;
        let flags = number(rest, 8, 2)?;
        let method = u16::try_from(number(rest, 10, 2)?).ok()?;
        let entry = Entry { method, packed: number(rest, 20, 4)?, header: number(rest, 42, 4)? };
        // The first bit: encrypted. Sizes of four full bytes: ZIP64, which no sheet needs.
        if flags & 1 != 0 || entry.packed == u64::from(u32::MAX) {
            return None;
        }
        entries.insert(String::from_utf8_lossy(text).into_owned(), entry);
        rest = rest.get(46_usize.checked_add(name)?.checked_add(extra)?.checked_add(comment)?..)?;
    }
    (!entries.is_empty()).then_some(entries)
}

/// Packed bytes of an entry, which are counted.
struct PackedBytes {
    file: io::Take<File>,
    read: Rc<Counter<u64>>,
}

impl Read for PackedBytes {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let length = self.file.read(buffer)?;
        self.read.set(self.read.get().saturating_add(u64::try_from(length).unwrap_or_default()));
        Ok(length)
    }
}

enum Content {
    Stored(PackedBytes),
    Deflated(DeflateDecoder<PackedBytes>),
}

/// Content of an entry, with its limits.
pub(super) struct LimitedBytes {
    content: Content,
    left: u64,
    left_in_event: u64,
}

impl LimitedBytes {
    /// Begins the next event of XML.
    pub(super) fn begin_event(&mut self) {
        self.left_in_event = MAX_EVENT_BYTES;
    }
}

impl Read for LimitedBytes {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let length = match &mut self.content {
            Content::Stored(bytes) => bytes.read(buffer)?,
            Content::Deflated(bytes) => bytes.read(buffer)?,
        };
        let taken = u64::try_from(length).unwrap_or(u64::MAX);
        let left = self.left.checked_sub(taken).zip(self.left_in_event.checked_sub(taken));
        let Some((left, left_in_event)) = left else {
            let what = "a part of it is larger when unpacked than the limit of an ordinary spreadsheet";
            return Err(io::Error::other(what));
        };
        (self.left, self.left_in_event) = (left, left_in_event);
        Ok(length)
    }
}

/// Reader of the content of an entry.
pub(super) struct EntryReader {
    pub(super) bytes: BufReader<LimitedBytes>,
    /// Size of the packed entry.
    pub(super) packed: u64,
    /// Number of packed bytes that were read.
    pub(super) read: Rc<Counter<u64>>,
}
