//! Files of the letters of an import, with at most 500 letters each.

use std::{
    fs::{self, File},
    io::{self, BufWriter, Write as _},
    path::{Path, PathBuf},
};

use carnet_service::{disk, qr};
use carnet_spec::Catalogue;

use super::unwritten::unwritten;
use crate::{
    commands::StaffFailure,
    import::{
        claims::ConvertedRow,
        letters::{Letter, LetterWriter},
    },
};

/// Number of letters in one file: a browser has to lay it out as a whole.
const LETTERS_PER_FILE: u64 = 500;
/// Mode of the files: who has a letter can collect the document.
const MODE: u32 = 0o600;

/// Content of a letter that comes from the offer.
pub(super) struct LetterContent<'a> {
    pub(super) link: &'a str,
    /// PIN; empty: the offer has none.
    pub(super) pin: &'a str,
    /// Last whole day on which the offer can be collected.
    pub(super) until: &'a str,
}

/// Letters that are being written beside those of an earlier run.
pub(super) struct LetterFiles {
    unfinished: PathBuf,
    path: PathBuf,
    writer: LetterWriter,
    catalogue: Option<Catalogue>,
    credential_type: String,
    with_pins: bool,
    count: u64,
    links: Option<BufWriter<File>>,
    pins: Option<BufWriter<File>>,
}

impl LetterFiles {
    /// Begins the letters of an import in its folder.
    ///
    /// # Errors
    /// Those of the file system.
    pub(super) fn begin(
        folder: &Path,
        sender: &str,
        credential_type: &str,
        with_pins: bool,
    ) -> Result<Self, StaffFailure> {
        let (path, unfinished) = (folder.join("letters"), folder.join("letters.part"));
        remove_folder(&unfinished)?;
        disk::create_private_directory(&unfinished).map_err(|error| unwritten(&unfinished, &error))?;
        Ok(Self {
            unfinished,
            path,
            writer: LetterWriter::new(sender).map_err(StaffFailure::Input)?,
            // Types of the service's own catalogue are called by their names.
            catalogue: Catalogue::embedded().ok(),
            credential_type: credential_type.to_owned(),
            with_pins,
            count: 0,
            links: None,
            pins: None,
        })
    }

    /// Adds the letter of a row.
    ///
    /// # Errors
    /// Those of the file system; the link is too long for a QR code.
    pub(super) fn add(&mut self, row: &ConvertedRow, content: &LetterContent<'_>) -> Result<(), StaffFailure> {
        let picture = qr::print_picture(content.link).ok_or_else(|| {
            unwritten(&self.path, &format!("the link of row {} is too long for a QR code", row.number))
        })?;
        let known = self.catalogue.as_ref().and_then(|catalogue| catalogue.credential_type(&self.credential_type));
        let document = known.map_or(self.credential_type.as_str(), |known| &known.display_texts(&row.language).name);
        let letter = Letter {
            language: &row.language,
            addressee: &row.addressee,
            reference: &row.reference,
            document,
            day: content.until,
            link: content.link,
            picture: &picture,
            has_pin: self.with_pins,
        };
        let link_page = self.writer.link_page(&letter);
        let pin_page = self.with_pins.then(|| self.writer.pin_page(&letter, content.pin));
        self.turn_page()?;
        let written = self.links.as_mut().map_or(Ok(()), |file| file.write_all(link_page.as_bytes()));
        let written = written.and_then(|()| match (&mut self.pins, pin_page) {
            (Some(file), Some(page)) => file.write_all(page.as_bytes()),
            _ => Ok(()),
        });
        self.count = self.count.saturating_add(1);
        written.map_err(|error| unwritten(&self.path, &error))
    }

    /// Begins the next files if the current ones are full.
    fn turn_page(&mut self) -> Result<(), StaffFailure> {
        if !self.count.is_multiple_of(LETTERS_PER_FILE) {
            return Ok(());
        }
        self.close()?;
        let number = self.count.checked_div(LETTERS_PER_FILE).unwrap_or_default().saturating_add(1);
        self.links = Some(self.open(&format!("letters-{number:04}.html"))?);
        self.pins = if self.with_pins { Some(self.open(&format!("pins-{number:04}.html"))?) } else { None };
        Ok(())
    }

    fn open(&self, name: &str) -> Result<BufWriter<File>, StaffFailure> {
        let path = self.unfinished.join(name);
        let opened = disk::create_new(&path, MODE).map(BufWriter::new).and_then(|mut file| {
            file.write_all(LetterWriter::head().as_bytes())?;
            Ok(file)
        });
        opened.map_err(|error| unwritten(&path, &error))
    }

    fn close(&mut self) -> Result<(), StaffFailure> {
        for mut file in self.links.take().into_iter().chain(self.pins.take()) {
            let closed = file.write_all(LetterWriter::tail().as_bytes());
            let closed = closed.and_then(|()| file.into_inner().map_err(io::IntoInnerError::into_error));
            closed.and_then(|file| file.sync_all()).map_err(|error| unwritten(&self.path, &error))?;
        }
        Ok(())
    }

    /// Replaces the letters of an earlier run.
    ///
    /// # Errors
    /// Those of the file system.
    pub(super) fn finish(mut self) -> Result<(), StaffFailure> {
        self.close()?;
        remove_folder(&self.path)?;
        fs::rename(&self.unfinished, &self.path).map_err(|error| unwritten(&self.path, &error))
    }
}

/// Removes a folder with its files, if it exists.
fn remove_folder(path: &Path) -> Result<(), StaffFailure> {
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(unwritten(path, &error)),
        _ => Ok(()),
    }
}
