//! Links in pictures of QR codes: untrusted files, whose size and dimensions are limited before they are decoded.

use std::{
    collections::BTreeSet,
    fs::File,
    io::{Cursor, Read as _},
    path::Path,
    sync::mpsc,
    thread,
    time::Duration,
};

use png::{ColorType, Transformations};
use rqrr::PreparedImage;

use zune_jpeg::{
    JpegDecoder,
    zune_core::{bytestream::ZCursor, colorspace::ColorSpace, options::DecoderOptions},
};

/// Maximum size of a picture file, in bytes.
const MAX_FILE: usize = 16 * 1_048_576;
/// Maximum width and height of a picture, in pixels.
const MAX_SIDE: usize = 16_384;
/// Maximum number of pixels of a picture; decoded, each takes up to 6 bytes.
const MAX_PIXELS: usize = 16 * 1_048_576;
/// Maximum memory of the PNG decoder, in bytes.
const MAX_PNG_MEMORY: usize = 4 * MAX_PIXELS;
/// Maximum number of passes over the data of a progressive JPEG.
const MAX_JPEG_SCANS: usize = 32;
/// Longest sides to which a picture is reduced, in pixels, one after the other, until a code is found. Reduction bounds the
/// work of the search.
const SEARCHED_SIDES: [usize; 2] = [1_536, 768];
/// Radius over which a picture is smoothed against noise, in pixels.
const SMOOTHING: usize = 1;
/// Time limit of the search for codes in one picture. A picture can be drawn so that the search takes hours.
const SEARCH_TIME: Duration = Duration::from_secs(20);

/// Reason why a picture gives no text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum PictureProblem {
    /// The file cannot be read.
    Unreadable,
    /// The file is neither PNG nor JPEG, or is damaged.
    Malformed,
    /// The file, or the picture in it, is larger than the limits.
    TooLarge,
    /// There is no QR code in the picture, or none that can be read.
    NoCode,
}

/// Reads the texts of the QR codes in a picture file; at least one.
pub(crate) fn read_codes(path: &Path) -> Result<BTreeSet<String>, PictureProblem> {
    let mut bytes = Vec::new();
    let limit = u64::try_from(MAX_FILE).unwrap_or(u64::MAX).saturating_add(1);
    let file = File::open(path).map_err(|_| PictureProblem::Unreadable)?;
    file.take(limit).read_to_end(&mut bytes).map_err(|_| PictureProblem::Unreadable)?;
    if bytes.len() > MAX_FILE {
        return Err(PictureProblem::TooLarge);
    }
    // The decoder of codes can panic, or search for long, on a picture made for that.
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || sender.send(decode(&bytes).and_then(|picture| find_codes(&picture))));
    receiver.recv_timeout(SEARCH_TIME).unwrap_or(Err(PictureProblem::NoCode))
}

/// Picture in grey: one byte a pixel, row by row.
struct GreyPicture {
    width: usize,
    height: usize,
    pixels: Vec<u8>,
}

fn decode(bytes: &[u8]) -> Result<GreyPicture, PictureProblem> {
    match bytes {
        [0x89, b'P', b'N', b'G', ..] => decode_png(bytes),
        [0xff, 0xd8, 0xff, ..] => decode_jpeg(bytes),
        _ => Err(PictureProblem::Malformed),
    }
}

/// Checks the dimensions that a header states.
fn check_dimensions(width: usize, height: usize) -> Result<(), PictureProblem> {
    let fits = |side: usize| (1..=MAX_SIDE).contains(&side);
    if fits(width) && fits(height) && width.saturating_mul(height) <= MAX_PIXELS {
        Ok(())
    } else {
        Err(PictureProblem::TooLarge)
    }
}

fn decode_png(bytes: &[u8]) -> Result<GreyPicture, PictureProblem> {
    let malformed = |error| match error {
        png::DecodingError::LimitsExceeded => PictureProblem::TooLarge,
        _ => PictureProblem::Malformed,
    };
    let mut decoder = png::Decoder::new_with_limits(Cursor::new(bytes), png::Limits { bytes: MAX_PNG_MEMORY });
    decoder.set_transformations(Transformations::normalize_to_color8());
    decoder.set_ignore_text_chunk(true);
    let header = decoder.read_header_info().map_err(malformed)?;
    let (width, height) = (header.width, header.height);
    let side = |side: u32| usize::try_from(side).unwrap_or(usize::MAX);
    check_dimensions(side(width), side(height))?;
    let mut reader = decoder.read_info().map_err(malformed)?;
    let size = reader.output_buffer_size().filter(|size| *size <= MAX_PNG_MEMORY).ok_or(PictureProblem::TooLarge)?;
    let mut content = vec![0; size];
    let frame = reader.next_frame(&mut content).map_err(malformed)?;
    content.truncate(frame.buffer_size());
    let grey: fn(&[u8]) -> u8 = match frame.color_type {
        ColorType::Grayscale => |pixel| on_white(pixel, 255),
        ColorType::GrayscaleAlpha => |pixel| on_white(pixel.get(..1).unwrap_or_default(), last(pixel)),
        ColorType::Rgb => |pixel| on_white(pixel, 255),
        ColorType::Rgba => |pixel| on_white(pixel.get(..3).unwrap_or_default(), last(pixel)),
        ColorType::Indexed => return Err(PictureProblem::Malformed),
    };
    let pixels: Vec<u8> = content.chunks_exact(frame.color_type.samples()).map(grey).collect();
    GreyPicture::new(side(frame.width), side(frame.height), pixels)
}

/// Returns the opacity of a pixel: its last channel.
fn last(pixel: &[u8]) -> u8 {
    pixel.last().copied().unwrap_or(255)
}

/// Returns the brightness of a pixel in front of white.
fn on_white(channels: &[u8], opacity: u8) -> u8 {
    let (mut sum, mut count) = (0_u32, 0_u32);
    for channel in channels {
        sum = sum.saturating_add(u32::from(*channel));
        count = count.saturating_add(1);
    }
    let brightness = sum.checked_div(count).unwrap_or(255);
    let opacity = u32::from(opacity);
    let shown =
        brightness.saturating_mul(opacity).saturating_add(255_u32.saturating_mul(255_u32.saturating_sub(opacity)));
    u8::try_from(shown / 255).unwrap_or(255)
}

fn decode_jpeg(bytes: &[u8]) -> Result<GreyPicture, PictureProblem> {
    let options = DecoderOptions::new_safe()
        .set_max_width(usize::from(u16::MAX))
        .set_max_height(usize::from(u16::MAX))
        .jpeg_set_max_scans(MAX_JPEG_SCANS)
        .jpeg_set_out_colorspace(ColorSpace::Luma);
    let mut decoder = JpegDecoder::new_with_options(ZCursor::new(bytes), options);
    decoder.decode_headers().map_err(|_| PictureProblem::Malformed)?;
    let header = decoder.info().ok_or(PictureProblem::Malformed)?;
    let (width, height) = (usize::from(header.width), usize::from(header.height));
    check_dimensions(width, height)?;
    GreyPicture::new(width, height, decoder.decode().map_err(|_| PictureProblem::Malformed)?)
}

impl GreyPicture {
    fn new(width: usize, height: usize, pixels: Vec<u8>) -> Result<Self, PictureProblem> {
        if width.checked_mul(height) == Some(pixels.len()) {
            Ok(Self { width, height, pixels })
        } else {
            Err(PictureProblem::Malformed)
        }
    }

    /// Returns the mean brightness of a rectangle of pixels; white outside of the picture.
    fn mean(&self, columns: std::ops::Range<usize>, rows: std::ops::Range<usize>) -> u8 {
        let (mut sum, mut count) = (0_u64, 0_u64);
        for row in rows {
            let start = row.saturating_mul(self.width);
            let range = start.saturating_add(columns.start)..start.saturating_add(columns.end.min(self.width));
            for pixel in self.pixels.get(range).unwrap_or_default() {
                sum = sum.saturating_add(u64::from(*pixel));
                count = count.saturating_add(1);
            }
        }
        u8::try_from(sum.checked_div(count).unwrap_or(255)).unwrap_or(255)
    }

    /// Returns the picture reduced so that neither side is longer than `side` pixels.
    fn reduced(&self, side: usize) -> Self {
        let longest = self.width.max(self.height).max(1);
        if longest <= side {
            return Self { width: self.width, height: self.height, pixels: self.pixels.clone() };
        }
        let ratio = |at: usize, to: usize, of: usize| at.saturating_mul(to).checked_div(of).unwrap_or(0);
        let scaled = |at: usize| ratio(at, side, longest);
        let original = |at: usize| ratio(at, longest, side);
        let (width, height) = (scaled(self.width).max(1), scaled(self.height).max(1));
        let span = |at: usize| {
            let start = original(at);
            start..original(at.saturating_add(1)).max(start.saturating_add(1))
        };
        let pixels = (0..height).flat_map(|row| (0..width).map(move |column| (column, row)));
        let pixels = pixels.map(|(column, row)| self.mean(span(column), span(row))).collect();
        Self { width, height, pixels }
    }

    /// Returns the picture with each pixel replaced by the mean of those within [`SMOOTHING`].
    fn smoothed(&self) -> Self {
        let around = |at: usize, end: usize| {
            at.saturating_sub(SMOOTHING)..at.saturating_add(SMOOTHING).saturating_add(1).min(end)
        };
        let pixels = (0..self.height).flat_map(|row| (0..self.width).map(move |column| (column, row)));
        let pixels =
            pixels.map(|(column, row)| self.mean(around(column, self.width), around(row, self.height))).collect();
        Self { pixels, width: self.width, height: self.height }
    }

    /// Returns the brightness that best separates the dark pixels from the bright ones (Otsu's method).
    fn threshold(&self) -> u8 {
        let mut counts = [0_u32; 256];
        for pixel in &self.pixels {
            if let Some(count) = counts.get_mut(usize::from(*pixel)) {
                *count = count.saturating_add(1);
            }
        }
        let weighed = |(brightness, count): (usize, &u32)| f64::from(*count) * brightness as f64;
        let all: f64 = counts.iter().map(|count| f64::from(*count)).sum();
        let all_weighed: f64 = counts.iter().enumerate().map(weighed).sum();
        let (mut best, mut threshold) = (0.0, 128);
        let (mut dark, mut dark_weighed) = (0.0, 0.0);
        for (brightness, count) in counts.iter().enumerate() {
            let variance =
                (dark_weighed / dark - (all_weighed - dark_weighed) / (all - dark)).powi(2) * dark * (all - dark);
            // Not a number where one side has no pixel.
            if variance > best {
                (best, threshold) = (variance, brightness);
            }
            dark += f64::from(*count);
            dark_weighed += weighed((brightness, count));
        }
        u8::try_from(threshold).unwrap_or(128)
    }

    fn brightness(&self, column: usize, row: usize) -> u8 {
        let at = row.saturating_mul(self.width).saturating_add(column);
        self.pixels.get(at).copied().unwrap_or(255)
    }
}

/// Returns the texts of all codes that can be read in a picture. Each reduction is searched twice: with local thresholds
/// between black and white, against uneven light, and with one threshold for all of it, against noise.
fn find_codes(picture: &GreyPicture) -> Result<BTreeSet<String>, PictureProblem> {
    for (side, is_noisy) in SEARCHED_SIDES.into_iter().flat_map(|side| [(side, false), (side, true)]) {
        let reduced = picture.reduced(side);
        let (width, height) = (reduced.width, reduced.height);
        let mut prepared = if is_noisy {
            let smooth = reduced.smoothed();
            let threshold = smooth.threshold();
            PreparedImage::prepare_from_bitmap(width, height, |column, row| smooth.brightness(column, row) < threshold)
        } else {
            PreparedImage::prepare_from_greyscale(width, height, |column, row| reduced.brightness(column, row))
        };
        let codes: BTreeSet<String> =
            prepared.detect_grids().iter().filter_map(|grid| grid.decode().ok()).map(|(_, text)| text).collect();
        if !codes.is_empty() {
            return Ok(codes);
        }
    }
    Err(PictureProblem::NoCode)
}

#[cfg(test)]
mod tests;
