use std::io::Write as _;

use flate2::{Compression, write::DeflateEncoder};

use super::*;

/// Writes a ZIP file of these entries.
pub(crate) fn zip(entries: &[(&str, &[u8])]) -> Vec<u8> {
    let (mut file, mut directory) = (Vec::new(), Vec::new());
    let le16 = |value: usize| u16::try_from(value).unwrap().to_le_bytes();
    let le32 = |value: usize| u32::try_from(value).unwrap().to_le_bytes();
    for (name, content) in entries {
        let mut encoder = DeflateEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(content).unwrap();
        let packed = encoder.finish().unwrap();
        let offset = file.len();
        let sizes = [[0; 4], le32(packed.len()), le32(content.len())].concat();
        let common = [&[20, 0, 0, 0, 8, 0, 0, 0, 0, 0][..], &sizes, &le16(name.len()), &[0, 0]].concat();
        file.extend([b"PK\x03\x04", common.as_slice(), name.as_bytes(), &packed].concat());
        directory.extend([b"PK\x01\x02\x14\x00", common.as_slice(), &[0; 10], &le32(offset), name.as_bytes()].concat());
    }
    let offset = file.len();
    let count = le16(entries.len());
    let ends = [&b"PK\x05\x06\0\0\0\0"[..], &count, &count, &le32(directory.len()), &le32(offset), &[0, 0]].concat();
    [file, directory, ends].concat()
}

const RELS: &str = "<Relationships><Relationship Id=\"rId1\" Target=\"worksheets/sheet1.xml\"/>\
    <Relationship Id=\"rId2\" Target=\"/xl/worksheets/sheet2.xml\"/></Relationships>";
const STYLES: &str = "<styleSheet><numFmts><numFmt numFmtId=\"164\" formatCode=\"dd\\.mm\\.yyyy\"/></numFmts>\
    <cellStyleXfs><xf numFmtId=\"14\"/></cellStyleXfs>\
    <cellXfs><xf numFmtId=\"0\"/><xf numFmtId=\"14\"/><xf numFmtId=\"164\"/></cellXfs></styleSheet>";
const STRINGS: &str = "<sst><si><t>Name</t></si><si><t>Born</t></si><si><r><t>Jos</t></r><r><t>é &amp; &#233;</t></r>\
    <rPh><t>x</t></rPh></si><si/></sst>";

fn workbook(sheets: &str, sheet: &[u8]) -> File {
    let book = format!("<workbook><workbookPr/><sheets>{sheets}</sheets></workbook>");
    let bytes = zip(&[
        ("xl/workbook.xml", book.as_bytes()),
        ("xl/_rels/workbook.xml.rels", RELS.as_bytes()),
        ("xl/styles.xml", STYLES.as_bytes()),
        ("xl/sharedStrings.xml", STRINGS.as_bytes()),
        ("xl/worksheets/sheet1.xml", sheet),
    ]);
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(&bytes).unwrap();
    file
}

const ONE: &str =
    "<sheet name=\"Diplomas\" sheetId=\"1\" r:id=\"rId1\"/><sheet name=\"Old\" state=\"hidden\" r:id=\"rId2\"/>";
const TWO: &str = "<sheet name=\"Diplomas\" r:id=\"rId1\"/><sheet name=\"Notes\" r:id=\"rId2\"/>";

fn read(rows: &str) -> Result<Vec<(u64, Vec<Cell>)>, String> {
    let sheet = format!(
        "<worksheet><sheetData><row r=\"1\"><c r=\"A1\" t=\"s\"><v>0</v></c><c r=\"B1\" t=\"s\"><v>1</v></c></row>\
         {rows}</sheetData></worksheet>"
    );
    let mut reader = XlsxReader::new(workbook(ONE, sheet.as_bytes()), None).map_err(|error| error.to_string())?;
    assert_eq!(reader.columns(), ["Name", "Born"]);
    let mut rows = Vec::new();
    while let Some(row) = reader.next_row().map_err(|error| error.to_string())? {
        rows.push((row.number, row.cells));
    }
    assert!((reader.progress() - 1.0).abs() < f64::EPSILON);
    Ok(rows)
}

fn text(text: &str) -> Cell {
    Cell::from_text(text.to_owned())
}

fn day(text: &str, has_time: bool) -> Cell {
    Cell::Day { text: text.to_owned(), has_time }
}

#[test]
fn cells_are_read_by_their_kinds() {
    let rows = read(
        "<row r=\"2\"><c r=\"A2\" t=\"s\"><v>2</v></c><c r=\"B2\" s=\"1\"><v>35902</v></c></row>\
         <row r=\"3\"/><row r=\"5\"><c r=\"B5\" s=\"2\"><v>35902.5</v></c></row>\
         <row><c t=\"inlineStr\"><is><t>x</t></is></c><c t=\"b\"><v>1</v></c></row>\
         <row><c><v>7.2999999999999998</v></c><c t=\"str\"><f>A1</f><v>1.0</v></c></row>\
         <row><c><v>180.0</v></c><c t=\"e\"><v>#N/A</v></c></row>\
         <row><c t=\"s\"><v>3</v></c><c s=\"1\"/></row>",
    );
    let number = |text: &str| Cell::Number(text.to_owned());
    assert_eq!(
        rows.unwrap(),
        [
            (2, vec![text("José & é"), day("1998-04-17", false)]),
            (5, vec![Cell::Empty, day("1998-04-17", true)]),
            (6, vec![text("x"), Cell::Bool(true)]),
            (7, vec![number("7.3"), text("1.0")]),
            (8, vec![number("180"), Cell::Error("#N/A".to_owned())]),
        ]
    );
}

#[test]
fn serial_numbers_are_days_of_1900_or_1904() {
    assert_eq!(day_of_serial(1.0, false), day("1900-01-01", false));
    assert_eq!(day_of_serial(59.0, false), day("1900-02-28", false));
    assert_eq!(day_of_serial(61.0, false), day("1900-03-01", false));
    assert_eq!(day_of_serial(0.0, true), day("1904-01-01", false));
    assert_eq!(day_of_serial(34_440.0, true), day("1998-04-17", false));
    for none in [60.0, 0.0, -1.0, 1e9, 1e300] {
        assert!(matches!(day_of_serial(none, false), Cell::Error(_)), "{none}");
    }
}

#[test]
fn a_sheet_is_named_where_there_are_several() {
    let open = |sheet| {
        let content = b"<worksheet><sheetData><row><c t=\"s\"><v>0</v></c></row></sheetData></worksheet>";
        XlsxReader::new(workbook(TWO, content), sheet).map(|reader| reader.columns).map_err(|error| error.to_string())
    };
    assert_eq!(open(Some("Diplomas")).unwrap(), ["Name"]);
    assert!(open(None).unwrap_err().contains("\"Diplomas\", \"Notes\"; name one with --sheet"));
    assert!(open(Some("Diploma")).unwrap_err().contains("the nearest is \"Diplomas\""));
}

#[test]
fn bombs_and_damaged_files_are_refused() {
    let refused = |file: &[u8]| {
        let mut temporary = tempfile::tempfile().unwrap();
        temporary.write_all(file).unwrap();
        XlsxReader::new(temporary, None).err().map(|error| error.to_string()).unwrap_or_default()
    };
    assert!(refused(b"a,b\n").contains("not an XLSX file"));
    assert!(refused(b"\xd0\xcf\x11\xe0\xa1\xb1").contains("protected by a password"));
    assert!(refused(&zip(&[("a", b"b")])).contains("not a workbook"));
    let whole = zip(&[("xl/workbook.xml", b"<a/>"), ("xl/_rels/workbook.xml.rels", b"<a/>")]);
    assert!(refused(&whole[..whole.len() - 30]).contains("damaged"));
    let huge = format!("<row><c t=\"inlineStr\"><is><t>{}</t></is></c></row>", "x".repeat(20_000_000));
    assert!(read(&huge).unwrap_err().contains("larger when unpacked"));
    assert!(read(&"<a>".repeat(100_000)).unwrap_err().contains("deeper than 64"));
    assert!(read("<row><c r=\"ZZZ2\"><v>1</v></c></row>").unwrap_err().contains("more than 1000 columns"));
    assert!(read("<row><c r=\"C2\"><v>1</v></c></row>").unwrap_err().contains("it has 3 cells"));
    assert!(read("<row r=\"1\"></row>").unwrap_err().contains("twice"));
    assert!(read("<row><c t=\"s\"><v>99</v></c></row>").unwrap_err().contains("damaged"));
    let entity = "<row><c t=\"inlineStr\"><is><t>&bomb;</t></is></c></row>";
    assert!(read(entity).unwrap_err().contains("unknown entity"));
}

#[test]
fn a_file_of_another_program_is_read() {
    let mut file = tempfile::tempfile().unwrap();
    // Written by openpyxl 3.1.
    file.write_all(include_bytes!("openpyxl.xlsx")).unwrap();
    let mut reader = XlsxReader::new(file, None).unwrap();
    assert_eq!(reader.columns().len(), 9);
    let first = reader.next_row().unwrap().unwrap();
    let number = |text: &str| Cell::Number(text.to_owned());
    let expected = [
        text("D-000001"),
        text("uk"),
        text("José"),
        text("Müller 1"),
        day("1998-04-17", false),
        text("Bachelor, Arts"),
        number("180.5"),
        day("2026-07-09", false),
        text("reads|writes"),
    ];
    assert_eq!((first.number, first.cells.as_slice()), (2, expected.as_slice()));
    reader.next_row().unwrap().unwrap();
    let last = reader.next_row().unwrap().unwrap().cells;
    // The program stores no result of its formula.
    let expected =
        [number("123"), Cell::Empty, Cell::Bool(true), Cell::Empty, day("1998-04-17", true), text("a\nb & <c>")];
    assert_eq!(last.get(..6).unwrap(), expected);
    assert_eq!(reader.next_row().unwrap(), None);
}
