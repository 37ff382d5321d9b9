//! QR codes of links that staff hand over: on the terminal, or as a picture (PNG).

use std::{
    fs::{self, File},
    io::Write as _,
    path::{Path, PathBuf},
};

use clap::Args;
use qrcode::{Color, EcLevel, QrCode};

use crate::{config::StartError, disk};

/// Width of the margin around a code, in modules (ISO/IEC 18004 section 6.3.8).
const MARGIN: usize = 4;
/// Width of a module in a picture, in pixels.
const MODULE_PIXELS: usize = 8;
/// Width of a module in a picture for print, in pixels.
const PRINT_MODULE_PIXELS: usize = 4;
/// Mode of the picture's file: who has the link can use it.
const PICTURE_MODE: u32 = 0o600;

/// Options of commands that create a link.
#[derive(Debug, Clone, Args)]
pub struct QrArgs {
    /// Also print the link as a QR code, for a terminal with bright text on a dark background.
    #[arg(long, conflicts_with_all = ["json", "link"])]
    qr: bool,
    /// With --qr, for a terminal with dark text on a bright background.
    #[arg(long, requires = "qr")]
    qr_inverse: bool,
    /// Also write the link as a QR code to this new file (PNG), which only you can read.
    #[arg(long, value_name = "FILE")]
    qr_file: Option<PathBuf>,
}

impl QrArgs {
    /// Creates the file of the picture, so that a command that cannot write it changes nothing.
    ///
    /// # Errors
    /// The file exists or cannot be created.
    pub fn prepare(self) -> Result<QrOutput, StartError> {
        let file = match &self.qr_file {
            None => None,
            Some(path) => Some(PictureFile::create(path)?),
        };
        Ok(QrOutput { terminal: self.qr.then_some(self.qr_inverse), file })
    }
}

/// Prepared output of the QR code of one link.
#[derive(Debug)]
pub struct QrOutput {
    /// Code on the terminal; `true`: for dark text on a bright background.
    terminal: Option<bool>,
    file: Option<PictureFile>,
}

impl QrOutput {
    /// Writes the picture of a link, and returns the text that is printed about the code: its lines, and the name of its
    /// file. A code that cannot be made is reported on standard error. Without a link (one that was shown by an earlier
    /// call) the file is removed.
    pub fn finish(self, link: &str) -> String {
        if link.is_empty() || (self.terminal.is_none() && self.file.is_none()) {
            return String::new();
        }
        let Some(code) = code_of_link(link) else { return String::new() };
        let mut text = String::new();
        if let Some(inverse) = self.terminal {
            text.push_str("\n\n");
            text.push_str(&terminal_text(&code, inverse, carnet_console::terminal_columns()));
        }
        if let Some(file) = self.file {
            let path = file.path.display().to_string();
            match file.write(&code) {
                Ok(()) => text.push_str(&format!("\n\nThe link as a QR code: {path}")),
                Err(error) => report_unwritten(&path, &error),
            }
        }
        text
    }
}

/// QR codes of a series of links, each of which replaces the one before.
#[derive(Debug)]
pub struct QrSeries {
    /// `true`: for a terminal with dark text on a bright background.
    inverse: bool,
    /// Picture of the current link; removed on drop.
    file: Option<PictureFile>,
}

impl QrSeries {
    /// Creates the file of the pictures, so that a command that cannot write it changes nothing.
    ///
    /// # Errors
    /// The file exists or cannot be created.
    pub fn prepare(inverse: bool, picture: Option<&Path>) -> Result<Self, StartError> {
        Ok(Self { inverse, file: picture.map(PictureFile::create).transpose()? })
    }

    /// Replaces the picture by that of a link, and returns the lines of the code for the terminal, after an empty line;
    /// without `for_terminal`, an empty text. A failure is reported on standard error; the link is valid nevertheless.
    #[must_use]
    pub fn show(&self, link: &str, for_terminal: bool) -> String {
        let Some(code) = code_of_link(link) else { return String::new() };
        let picture = self.file.as_ref().map(|file| (&file.path, file.replace(&code)));
        if let Some((path, Err(error))) = picture {
            report_unwritten(&path.display(), &error);
        }
        if !for_terminal {
            return String::new();
        }
        format!("\n{}", terminal_text(&code, self.inverse, carnet_console::terminal_columns()))
    }
}

/// Returns the code of a link; `None`, with a line on standard error, if the link is too long.
fn code_of_link(link: &str) -> Option<QrCode> {
    let code = QrCode::with_error_correction_level(link.as_bytes(), EcLevel::L);
    if code.is_err() {
        let length = link.len();
        carnet_console::print_error_line(format_args!("The link is {length} bytes long: too long for a QR code."));
    }
    code.ok()
}

fn report_unwritten(path: &dyn std::fmt::Display, error: &std::io::Error) {
    carnet_console::print_error_line(format_args!(
        "The QR code could not be written to {path}: {error}. The link is valid."
    ));
}

/// New file of a picture; removed on drop unless the picture was written.
#[derive(Debug)]
struct PictureFile {
    path: PathBuf,
    file: File,
    is_written: bool,
}

impl PictureFile {
    fn create(path: &Path) -> Result<Self, StartError> {
        let file = disk::create_new(path, PICTURE_MODE).map_err(|error| {
            StartError::new(
                format!("{} cannot be created: {error}. Nothing was changed.", path.display()),
                "Name a new file in a directory that you can write.",
            )
        })?;
        Ok(Self { path: path.to_owned(), file, is_written: false })
    }

    fn write(mut self, code: &QrCode) -> std::io::Result<()> {
        let picture = picture(code, MODULE_PIXELS).map_err(std::io::Error::other)?;
        self.file.write_all(&picture)?;
        self.file.sync_all()?;
        self.is_written = true;
        Ok(())
    }

    /// Replaces the file by the picture of another code. It is still removed on drop.
    fn replace(&self, code: &QrCode) -> std::io::Result<()> {
        let picture = picture(code, MODULE_PIXELS).map_err(std::io::Error::other)?;
        disk::replace_file(&self.path, &picture, PICTURE_MODE)
    }
}

impl Drop for PictureFile {
    fn drop(&mut self) {
        if !self.is_written {
            fs::remove_file(&self.path).ok();
        }
    }
}

/// Modules of a code with its margin.
struct Modules {
    /// Number of modules on a side, with the margin.
    side: usize,
    inner: usize,
    colours: Vec<Color>,
}

impl Modules {
    fn new(code: &QrCode) -> Self {
        let inner = code.width();
        Self { side: inner.saturating_add(2_usize.saturating_mul(MARGIN)), inner, colours: code.to_colors() }
    }

    /// Returns whether a module is dark; the margin and everything outside are bright.
    fn is_dark(&self, column: usize, row: usize) -> bool {
        let inside = |at: usize| at.checked_sub(MARGIN).filter(|at| *at < self.inner);
        let (Some(column), Some(row)) = (inside(column), inside(row)) else { return false };
        let at = row.saturating_mul(self.inner).saturating_add(column);
        self.colours.get(at) == Some(&Color::Dark)
    }
}

/// Returns the lines of a code, two rows of modules in each; a sentence if the terminal is too narrow.
fn terminal_text(code: &QrCode, inverse: bool, columns: Option<usize>) -> String {
    let modules = Modules::new(code);
    if let Some(columns) = columns.filter(|columns| *columns < modules.side) {
        return format!(
            "The QR code has {} columns, and this terminal has {columns}: widen it, or use --qr-file FILE.",
            modules.side
        );
    }
    let is_drawn = |column, row| row < modules.side && modules.is_dark(column, row) == inverse;
    let block = |column: usize, row: usize| match (is_drawn(column, row), is_drawn(column, row.saturating_add(1))) {
        (true, true) => '█',
        (true, false) => '▀',
        (false, true) => '▄',
        (false, false) => ' ',
    };
    let line = |row: usize| (0..modules.side).map(|column| block(column, row)).collect::<String>();
    (0..modules.side).step_by(2).map(line).collect::<Vec<_>>().join("\n")
}

/// Returns the QR code of a link as PNG, for print: with medium error correction. `None` if the link is too long.
#[must_use]
pub fn print_picture(link: &str) -> Option<Vec<u8>> {
    let code = QrCode::with_error_correction_level(link.as_bytes(), EcLevel::M).ok()?;
    picture(&code, PRINT_MODULE_PIXELS).ok()
}

/// Returns the picture of a code as PNG, with a bit for each pixel: a letter has many neighbours in its file.
fn picture(code: &QrCode, module_pixels: usize) -> Result<Vec<u8>, png::EncodingError> {
    let modules = Modules::new(code);
    let mut rows = Vec::new();
    for row in 0..modules.side {
        let bright = |column: usize| std::iter::repeat_n(!modules.is_dark(column, row), module_pixels);
        let pixels: Vec<bool> = (0..modules.side).flat_map(bright).collect();
        let byte = |pixels: &[bool]| {
            let bits = pixels.iter().enumerate().filter(|(_, is_bright)| **is_bright);
            bits.fold(0_u8, |byte, (at, _)| byte | (0x80_u8 >> at))
        };
        let line: Vec<u8> = pixels.chunks(8).map(byte).collect();
        rows.extend(std::iter::repeat_n(line, module_pixels).flatten());
    }
    let mut bytes = Vec::new();
    let pixels_wide = u32::try_from(modules.side.saturating_mul(module_pixels)).unwrap_or(u32::MAX);
    let mut encoder = png::Encoder::new(&mut bytes, pixels_wide, pixels_wide);
    encoder.set_color(png::ColorType::Grayscale);
    encoder.set_depth(png::BitDepth::One);
    let mut writer = encoder.write_header()?;
    writer.write_image_data(&rows)?;
    writer.finish()?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code() -> QrCode {
        QrCode::with_error_correction_level("openid4vp://?client_id=x", EcLevel::L).unwrap()
    }

    #[test]
    fn a_terminal_shows_each_module_and_a_margin_around_them() {
        let code = code();
        let modules = Modules::new(&code);
        for inverse in [false, true] {
            let text = terminal_text(&code, inverse, None);
            let lines: Vec<Vec<char>> = text.lines().map(|line| line.chars().collect()).collect();
            assert_eq!(lines.len(), modules.side.div_ceil(2));
            assert!(lines.iter().all(|line| line.len() == modules.side));
            for row in 0..modules.side {
                for (column, block) in lines[row / 2].iter().enumerate() {
                    let (upper, lower) = match block {
                        '█' => (true, true),
                        '▀' => (true, false),
                        '▄' => (false, true),
                        _ => (false, false),
                    };
                    let drawn = if row % 2 == 0 { upper } else { lower };
                    assert_eq!(drawn, modules.is_dark(column, row) == inverse, "{column} {row}");
                }
            }
        }
        assert!((0..modules.side).all(|at| (0..MARGIN).all(|edge| !modules.is_dark(at, edge))));
        // The finder pattern at the upper left.
        assert!(modules.is_dark(MARGIN, MARGIN) && !modules.is_dark(MARGIN + 1, MARGIN + 1));
    }

    #[test]
    fn a_picture_for_print_has_each_module() {
        let link = "openid-credential-offer://?credential_offer=x";
        let bytes = print_picture(link).unwrap();
        let code = QrCode::with_error_correction_level(link, EcLevel::M).unwrap();
        let modules = Modules::new(&code);
        let mut reader = png::Decoder::new(std::io::Cursor::new(&bytes)).read_info().unwrap();
        let line = (modules.side * PRINT_MODULE_PIXELS).div_ceil(8);
        let mut pixels = vec![0; line * modules.side * PRINT_MODULE_PIXELS];
        reader.next_frame(&mut pixels).unwrap();
        for (row, column) in (0..modules.side).flat_map(|row| (0..modules.side).map(move |column| (row, column))) {
            let (x, y) = (column * PRINT_MODULE_PIXELS + 3, row * PRINT_MODULE_PIXELS + 1);
            let is_bright = pixels[y * line + x / 8] & (0x80 >> (x % 8)) != 0;
            assert_eq!(is_bright, !modules.is_dark(column, row), "{column} {row}");
        }
        assert!(print_picture(&"x".repeat(3_000)).is_none());
    }

    #[test]
    fn a_narrow_terminal_gets_a_sentence_and_no_broken_code() {
        let code = code();
        let side = Modules::new(&code).side;
        assert!(terminal_text(&code, false, Some(side - 1)).contains("--qr-file"));
        assert_eq!(terminal_text(&code, false, Some(side)), terminal_text(&code, false, None));
    }

    #[test]
    fn a_series_has_one_picture_of_the_newest_link_until_its_end() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("desk.png");
        let series = QrSeries::prepare(false, Some(&path)).unwrap();
        assert!(QrSeries::prepare(false, Some(&path)).is_err(), "another desk cannot take the file");
        let pictures = ["openid4vp://?client_id=x", "openid4vp://?client_id=y"].map(|link| {
            assert_eq!(series.show(link, false), "");
            assert!(series.show(link, true).contains('█'));
            fs::read(&path).unwrap()
        });
        assert!(pictures[0].starts_with(b"\x89PNG") && pictures[0] != pictures[1]);
        drop(series);
        assert!(!path.exists());
    }

    #[test]
    fn a_picture_is_private_new_and_gone_without_a_link() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("link.png");
        let prepare = || QrArgs { qr: false, qr_inverse: false, qr_file: Some(path.clone()) }.prepare();
        assert_eq!(prepare().unwrap().finish(""), "");
        assert!(!path.exists());
        assert_eq!(prepare().unwrap().finish(&"x".repeat(3_000)), "");
        assert!(!path.exists());
        let said = prepare().unwrap().finish("openid4vp://?client_id=x");
        assert!(said.contains("link.png"), "{said}");
        let written = fs::read(&path).unwrap();
        assert!(written.starts_with(b"\x89PNG"));
        use std::os::unix::fs::PermissionsExt as _;
        assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600);
        let refused = prepare().unwrap_err();
        assert!(refused.message.contains("Nothing was changed"), "{refused:?}");
        assert_eq!(fs::read(&path).unwrap(), written);
    }
}
