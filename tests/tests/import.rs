//! A registrar's afternoon: a file with wrong rows, a preview, an import that is interrupted and continues, one offer
//! collected and no offer made twice.

use std::{
    collections::HashSet,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::Child,
};

use carnet_tests::{
    Result, programs,
    programs::Said,
    stage::{Office, Stage},
};
use serde_json::Value;

const MAPPING: &str = r#"
reference = "Number"
language = "Language"
default_language = "de"
ignore = ["Note"]
valid_until = { column = "Valid until", date = "DD.MM.YYYY" }

[constants]
awardingBody = "University of Coimbra"
eqfLevel = 6

[columns]
"Given name" = "givenName"
"Family name" = "familyName"
"Born" = { claim = "dateOfBirth", date = "DD.MM.YYYY" }
"Title" = "title"
"ECTS" = { claim = "credits", as = "number", decimal = "," }
"Awarded" = { claim = "awardingDate", date = "DD.MM.YYYY" }
"Outcomes" = { claim = "learningOutcomes[].title", split = "|" }
"#;
const HEADER: &str = "Number;Language;Note;Valid until;Given name;Family name;Born;Title;ECTS;Awarded;Outcomes;;\n";

fn row(number: usize) -> String {
    format!(
        "D-{number:05};uk;=1+1;31.12.2040;José;Müller {number};17.04.1998;\"Bachelor; Arts\";180,5;09.07.2026;reads|writes;;\n"
    )
}

fn rows(count: usize) -> String {
    (1..=count).map(row).collect()
}

/// Files of one import.
struct Desk<'a> {
    stage: &'a Stage,
    file: PathBuf,
    map: PathBuf,
}

impl<'a> Desk<'a> {
    fn new(stage: &'a Stage, name: &str, rows: &str) -> Result<Self> {
        let map = stage.folder.join("map.toml");
        std::fs::write(&map, MAPPING)?;
        let desk = Self { stage, file: stage.folder.join(format!("{name}.csv")), map };
        desk.write(rows)?;
        Ok(desk)
    }

    /// Writes the file in Latin-1, as an old spreadsheet program does.
    fn write(&self, rows: &str) -> Result<()> {
        let text = format!("{HEADER}{rows}");
        let bytes = text.chars().map(|c| u8::try_from(u32::from(c)));
        Ok(std::fs::write(&self.file, bytes.collect::<std::result::Result<Vec<u8>, _>>()?)?)
    }

    fn out(&self, name: &str) -> PathBuf {
        self.stage.folder.join(name)
    }

    fn args(&self, extra: &[&str]) -> Vec<String> {
        let (file, map) = (self.file.display().to_string(), self.map.display().to_string());
        let own = ["import", &file, "--type", "QualificationCredential", "--map", &map];
        own.iter().chain(extra).map(|arg| (*arg).to_owned()).collect()
    }

    fn import(&self, office: &Office, extra: &[&str]) -> Result<Said> {
        office.staff(&self.args(extra))
    }

    /// Starts an import, and returns once it has written the first links.
    fn start(&self, office: &Office, out: &Path) -> Result<Child> {
        let mut args = self.args(&["--out", &out.display().to_string()]);
        args.extend(["--json", "--server", &office.service.url, "--token-file"].map(str::to_owned));
        args.push(office.token_file.display().to_string());
        let part = out.join("links.csv.part");
        // A run that was killed left its own.
        std::fs::remove_file(&part).ok();
        let mut child = programs::spawn("carnet-issuer", args, &[])?;
        while !part.metadata().is_ok_and(|file| file.len() > 0) {
            assert!(child.try_wait()?.is_none(), "it ended before it could be killed: {:?}", child.wait_with_output()?);
            std::thread::yield_now();
        }
        Ok(child)
    }
}

fn lines(path: &Path) -> Result<Vec<Vec<String>>> {
    let text = std::fs::read_to_string(path)?;
    Ok(text.lines().skip(1).map(|line| line.split(',').map(str::to_owned).collect()).collect())
}

fn offers(office: &Office, extra: &[&str]) -> Result<Vec<Value>> {
    let listed = office.staff(&[&["offer", "list"], extra].concat())?.ok()?.json()?;
    Ok(listed.get("offers").and_then(Value::as_array).cloned().unwrap_or_default())
}

fn number(value: &Value, name: &str) -> u64 {
    value.get(name).and_then(Value::as_u64).unwrap_or(u64::MAX)
}

/// Asserts that each row has one offer, with the link that the file has for it.
fn assert_once(office: &Office, out: &Path, count: usize) -> Result<()> {
    let listed = offers(office, &["--type", "QualificationCredential"])?;
    let of = |name: &str| listed.iter().filter_map(|offer| offer.get(name)?.as_str()).collect::<HashSet<_>>();
    assert_eq!((listed.len(), of("reference").len()), (count, count));
    let links = lines(&out.join("links.csv"))?;
    let ids: HashSet<&str> = links.iter().filter_map(|line| line.get(3).map(String::as_str)).collect();
    let distinct: HashSet<&str> = links.iter().filter_map(|line| line.get(4).map(String::as_str)).collect();
    assert_eq!((links.len(), distinct.len()), (count, count));
    assert_eq!(ids, of("offer_id"));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_rows_are_told_with_row_column_and_value_and_nothing_is_created() -> Result<()> {
    let stage = Stage::set(false).await?;
    let office = &stage.university;
    let mut all: Vec<String> = (1..=60).map(row).collect();
    let wrong = [
        ("17.04.1998", "31.02.1998", "row 3, column \"Born\": \"31.02.1998\": no such day exists"),
        ("17.04.1998", "1998-04-17", "row 4, column \"Born\": \"1998-04-17\": it must be a day written as DD.MM.YYYY"),
        ("180,5", "180.5", "row 5, column \"ECTS\": \"180.5\": it must be a number, such as 7,5"),
        ("180,5", "-3", "row 6, column \"ECTS\": \"-3\": "),
        (";uk;", ";pt;", "row 7, column \"Language\": \"pt\": it must be one of ar, de"),
        ("D-00007", "D-00001", "row 8: reference: row 2 has the same"),
        ("D-00008", "", "row 9, column \"Number\": the row has no reference"),
        ("reads|writes", "reads||writes", "row 10, column \"Outcomes\": \"reads||writes\": element 2"),
        (";reads|writes;;", "", "row 11: it has 10 cells, and the first row names 11 columns"),
        ("Müller 11", "Mu\u{ad}ller", "row 12, column \"Family name\": \"Mu\\u{ad}ller\": it has"),
    ];
    for (at, (from, to, _)) in wrong.iter().enumerate() {
        let row = all.get_mut(at.saturating_add(1)).ok_or("too few rows")?;
        assert!(row.contains(from), "{row}");
        *row = row.replacen(from, to, 1);
    }
    let desk = Desk::new(&stage, "wrong", &all.concat())?;
    let out = desk.out("wrong-out");
    let out_text = out.display().to_string();
    for extra in [&["--dry-run"][..], &["--out", &out_text]] {
        let said = desk.import(office, extra)?;
        let told = said.json()?;
        assert_eq!(said.code, 1, "{told}");
        assert_eq!(told.pointer("/error/reason").and_then(Value::as_str), Some("rows_refused"), "{told}");
        let errors: Vec<&str> = told
            .pointer("/errors")
            .and_then(Value::as_array)
            .map(|all| all.iter().filter_map(Value::as_str).collect())
            .unwrap_or_default();
        for (_, _, expected) in wrong {
            assert!(errors.iter().any(|error| error.starts_with(expected)), "{expected}: {errors:#?}");
        }
        assert_eq!(errors.len(), wrong.len(), "{errors:#?}");
        assert!(said.stderr.contains("Windows-1252"), "{}", said.stderr);
    }
    assert_eq!(offers(office, &[])?.len(), 0);
    let problems = std::fs::read_to_string(out.join("problems.csv"))?;
    assert!(problems.contains("3,Born,\"\"\"31.02.1998\"\"\""), "{problems}");
    // The others are created on request, and the corrected rows by the same command.
    let created = desk.import(office, &["--out", &out_text, "--skip-invalid"])?;
    assert_eq!(created.code, 1, "{created:?}");
    assert_eq!(offers(office, &[])?.len(), 50);
    desk.write(&rows(60))?;
    let completed = desk.import(office, &["--out", &out_text])?.ok()?.json()?;
    assert_eq!((number(&completed, "created"), number(&completed, "existed")), (10, 50), "{completed}");
    assert_once(office, &out, 60)
}

#[tokio::test(flavor = "multi_thread")]
async fn an_import_that_is_killed_continues_without_a_double() -> Result<()> {
    const COUNT: usize = 1_200;
    let mut stage = Stage::set(false).await?;
    stage.make_wallet()?;
    {
        let desk = Desk::new(&stage, "year", &rows(COUNT))?;
        let previewed = desk.import(&stage.university, &["--preview"])?.ok()?.json()?;
        let first = previewed.pointer("/rows/0").cloned().unwrap_or_default();
        assert_eq!(previewed.pointer("/rows").and_then(Value::as_array).map(Vec::len), Some(10));
        assert_eq!(first.pointer("/claims/givenName"), Some(&Value::from("José")), "{first}");
        assert_eq!(first.pointer("/claims/learningOutcomes/1/title"), Some(&Value::from("writes")), "{first}");
        assert_eq!(offers(&stage.university, &[])?.len(), 0);
    }
    let out = stage.folder.join("year-out");
    // The client is killed, then the service.
    let mut client = Desk::new(&stage, "year", &rows(COUNT))?.start(&stage.university, &out)?;
    client.kill()?;
    client.wait()?;
    let after_first = offers(&stage.university, &[])?.len();
    assert!(after_first < COUNT, "all offers existed before the kill");
    let client = Desk::new(&stage, "year", &rows(COUNT))?.start(&stage.university, &out)?;
    stage.university.service.kill()?;
    let cut: Said = client.wait_with_output()?.into();
    stage.university.switch_on()?;
    assert_eq!(cut.code, 3, "{cut:?}");
    assert!(cut.stdout.contains("The same command continues"), "{cut:?}");
    let desk = Desk::new(&stage, "year", &rows(COUNT))?;
    let office = &stage.university;
    let out_text = out.display().to_string();
    let done = desk.import(office, &["--out", &out_text])?.ok()?.json()?;
    assert_eq!(number(&done, "created").saturating_add(number(&done, "existed")), 1_200, "{done}");
    assert!(number(&done, "existed") > 0, "{done}");
    assert_once(office, &out, COUNT)?;
    for file in ["links.csv", "import.json"] {
        let mode = out.join(file).metadata()?.permissions().mode() & 0o777;
        assert_eq!(mode, 0o600, "{file}");
    }
    assert!(!std::fs::read_to_string(out.join("import.json"))?.contains("\"secret\":\""));
    // Complete: nothing is done again, and another folder cannot get the links.
    let again = desk.import(office, &["--out", &out_text])?.ok()?.json()?;
    assert_eq!((number(&again, "created"), number(&again, "rows")), (0, 1_200), "{again}");
    let other = desk.import(office, &["--out", &desk.out("other-out").display().to_string()])?;
    assert_eq!(other.code, 1);
    assert!(other.stdout.contains("IMPORT_SECRET_DIFFERS"), "{other:?}");
    assert_once(office, &out, COUNT)?;
    // A link works.
    let links = lines(&out.join("links.csv"))?;
    let link = links.get(700).and_then(|line| line.get(4)).ok_or("no link")?;
    stage.carnet(&["receive", link, "--yes"])?.ok()?;
    let collected = offers(office, &["--state", "collected"])?;
    assert_eq!(collected.len(), 1);
    assert_eq!(collected.first().and_then(|offer| offer.get("reference")?.as_str()), Some("D-00701"));
    withdraw(&desk, office, &out)
}

/// Revokes the one collected credential and cancels one offer by their references, and then the whole import.
fn withdraw(desk: &Desk<'_>, office: &Office, out: &Path) -> Result<()> {
    let file = desk.out("withdrawn.txt");
    std::fs::write(&file, "D-00701\n D-00002 \n\n")?;
    let (file_text, out_text) = (file.display().to_string(), out.display().to_string());
    let cancel = |extra: &[&str]| office.staff(&[&["offer", "cancel"], extra].concat());
    let revoked = office.staff(&["status", "revoke", "--references", &file_text, "--reason", "a mistake", "--yes"])?;
    let revoked = revoked.ok()?;
    assert_eq!(number(&revoked.json()?, "credentials"), 1, "{revoked:?}");
    assert!(revoked.stderr.contains("1 of these offers were not collected"), "{revoked:?}");
    let unapproved = cancel(&["--references", &file_text])?;
    assert!(unapproved.code == 1 && unapproved.stdout.contains("--yes --count 1"), "{unapproved:?}");
    let other_count = cancel(&["--references", &file_text, "--yes", "--count", "2"])?;
    assert!(other_count.code == 1 && other_count.stdout.contains("2 were expected"), "{other_count:?}");
    assert_eq!(offers(office, &["--state", "cancelled"])?.len(), 0);
    let done = cancel(&["--references", &file_text, "--yes", "--count", "1"])?.ok()?.json()?;
    assert_eq!((number(&done, "found"), number(&done, "cancelled")), (2, 1), "{done}");
    let cancelled = offers(office, &["--state", "cancelled"])?;
    assert_eq!(cancelled.first().and_then(|offer| offer.get("reference")?.as_str()), Some("D-00002"));
    let whole = cancel(&["--import", &out_text, "--dry-run"])?.ok()?.json()?;
    assert_eq!((number(&whole, "found"), number(&whole, "open")), (1_200, 1_198), "{whole}");
    std::fs::write(&file, "D-00002\nD-99999\n")?;
    let unknown = cancel(&["--references", &file_text, "--dry-run"])?;
    assert!(unknown.code == 1 && unknown.stdout.contains("D-99999"), "{unknown:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn pins_are_in_a_file_of_their_own_and_work() -> Result<()> {
    let stage = Stage::set(false).await?;
    stage.make_wallet()?;
    let office = &stage.university;
    let mapping = MAPPING.replace("reference = \"Number\"\n", "").replace("[\"Note\"]", "[\"Note\", \"Number\"]");
    let desk = Desk::new(&stage, "pins", &rows(3))?;
    let letters =
        "[letters]\nsender = \"University of Coimbra\"\naddressee = [[\"Given name\", \"Family name\"], [\"Note\"]]\n";
    std::fs::write(&desk.map, format!("{mapping}\n{letters}"))?;
    let out = desk.out("pins-out");
    desk.import(office, &["--out", &out.display().to_string(), "--pin", "--letters"])?.ok()?;
    let (links, pins) = (lines(&out.join("links.csv"))?, lines(&out.join("pins.csv"))?);
    assert_eq!(out.join("pins.csv").metadata()?.permissions().mode() & 0o777, 0o600);
    let pin = pins.get(1).and_then(|line| line.get(3)).ok_or("no PIN")?;
    assert!(pin.len() == 6 && !pin.starts_with('0'), "{pin}");
    let link = links.get(1).and_then(|line| line.get(4)).ok_or("no link")?;
    assert!(!std::fs::read_to_string(out.join("links.csv"))?.contains(pin.as_str()));
    stage.carnet(&["receive", link, "--yes", "--pin", pin])?.ok()?;
    // A page for each person, in the language of the row, and the PINs on sheets of their own.
    let sheets = |name: &str| std::fs::read_to_string(out.join("letters").join(name));
    let (pages, pin_sheets) = (sheets("letters-0001.html")?, sheets("pins-0001.html")?);
    assert_eq!((pages.matches("<section lang=\"uk\"").count(), pin_sheets.matches("<section").count()), (3, 3));
    assert!(pages.contains("<bdi>José Müller 2</bdi>") && pages.contains(&link.replace('&', "&amp;")), "{pages}");
    assert!(pin_sheets.contains(pin.as_str()) && !pin_sheets.contains("openid-credential-offer"));
    assert_eq!(pages.matches("src=\"data:image/png;base64,").count(), 3);
    // The letters of a complete import are made again from its files.
    std::fs::remove_dir_all(out.join("letters"))?;
    let again = desk.import(office, &["--out", &out.display().to_string(), "--pin", "--letters"])?.ok()?.json()?;
    assert_eq!((number(&again, "letters"), number(&again, "created")), (3, 0), "{again}");
    assert_eq!((sheets("letters-0001.html")?, sheets("pins-0001.html")?), (pages, pin_sheets));
    assert_eq!(offers(office, &[])?.len(), 3);
    // Without references, another file is another import.
    desk.write(&rows(4))?;
    let changed = desk.import(office, &["--out", &out.display().to_string(), "--pin"])?;
    assert_eq!(changed.code, 1);
    assert!(changed.stdout.contains("other_import"), "{changed:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_spreadsheet_is_read_and_other_files_are_refused_before_anything_is_sent() -> Result<()> {
    let stage = Stage::set(false).await?;
    let office = &stage.university;
    let mut desk = Desk::new(&stage, "none", "")?;
    desk.file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../issuer/src/import/xlsx/openpyxl.xlsx");
    // Its third row has numbers and days where the mapping wants text.
    let mapping =
        MAPPING.replace("date = \"DD.MM.YYYY\"", "date = \"spreadsheet\"").replace("ignore = [\"Note\"]\n", "");
    let mapping: String = mapping
        .lines()
        .filter(|line| !line.starts_with("valid_until"))
        .fold(String::new(), |text, line| text + line + "\n");
    std::fs::write(&desk.map, mapping)?;
    let out = desk.out("sheet-out");
    let said = desk.import(office, &["--out", &out.display().to_string(), "--skip-invalid"])?;
    let told = said.json()?;
    assert_eq!((number(&told, "created"), number(&told, "refused"), said.code), (2, 1, 1), "{said:?}");
    for expected in ["row 4, column \"Number\": \"123\": the file marks it as a number", "row 4, column \"Born\""] {
        assert!(said.stdout.contains(&expected.replace('"', "\\\"")), "{expected}: {said:?}");
    }
    let folder = stage.folder.display().to_string();
    let write = |name: &str, bytes: &[u8]| -> Result<String> {
        let path = stage.folder.join(name);
        std::fs::write(&path, bytes)?;
        Ok(path.display().to_string())
    };
    let map = desk.map.display().to_string();
    let long = [b"Number\n\"".as_slice(), &[b'x'; 1_000_000]].concat();
    for (file, expected, code) in [
        (folder.clone(), "it is a directory", 2),
        (format!("{folder}/absent.csv"), "cannot be read", 2),
        (write("zip.csv", b"PK\x03\x04\0")?, "not text", 1),
        (write("text.xlsx", b"Number,Name\n")?, "not an XLSX file", 1),
        (write("rows.doc", b"Number\n")?, "does not say its kind", 1),
        (write("empty.csv", b"")?, "the first row must have the names", 1),
        (write("columns.csv", &b";".repeat(1_000_000))?, "more than 1000 columns", 1),
        (write("twice.csv", b"Number;Number\n")?, "two columns are named", 1),
        (write("bom.csv", b"\xef\xbb\xbf Number ;Nam\n")?, "does not name the column \\\"Nam\\\"", 1),
        (write("long.csv", &long)?, "the file has no column", 1),
    ] {
        let said = office.staff(&["import", &file, "--type", "QualificationCredential", "--map", &map, "--dry-run"])?;
        assert!(
            said.code == code && said.stdout.contains(expected) && said.stdout.contains("othing was sent"),
            "{file}: {said:?}"
        );
    }
    assert_eq!(offers(office, &[])?.len(), 2);
    Ok(())
}
