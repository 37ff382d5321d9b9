//! Pictures drawn here, with the libraries that write them.

#![allow(clippy::arithmetic_side_effects)]

use std::fs;

use qrcode::{Color, EcLevel, QrCode};

use super::*;

const LINK: &str = "openid4vp://?client_id=decentralized_identifier%3Adid%3Aweb%3Aoffice.example\
                    &request_uri=https%3A%2F%2Foffice.example%2Fopenid%2Frequest%2F0123456789abcdef0123456789abcdef";

/// Grey picture of a code, turned by an angle around its middle, with noise.
struct Drawing {
    width: usize,
    height: usize,
    module: f64,
    degrees: f64,
    noise: u32,
}

impl Drawing {
    fn pixels(&self, text: &str) -> Vec<u8> {
        let code = QrCode::with_error_correction_level(text, EcLevel::M).unwrap();
        let side = code.width();
        let colours = code.to_colors();
        let (sine, cosine) = self.degrees.to_radians().sin_cos();
        let mut state = 1_u64;
        let mut pixels = Vec::new();
        for row in 0..self.height {
            for column in 0..self.width {
                let (x, y) = (column as f64 - self.width as f64 / 2.0, row as f64 - self.height as f64 / 2.0);
                let at = |offset: f64| offset / self.module + side as f64 / 2.0;
                let (u, v) = (at(x * cosine + y * sine), at(y * cosine - x * sine));
                let inside = |at: f64| (0.0..side as f64).contains(&at).then_some(at as usize);
                let dark = inside(u).zip(inside(v)).is_some_and(|(u, v)| colours[v * side + u] == Color::Dark);
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                let noise = (state >> 33) as u32 % (2 * self.noise + 1);
                let brightness = if dark { 40 } else { 210 } + noise;
                pixels.push(brightness.saturating_sub(self.noise).min(255) as u8);
            }
        }
        pixels
    }

    fn plain(module: f64) -> Self {
        Self { width: 600, height: 500, module, degrees: 0.0, noise: 0 }
    }

    fn png(&self, text: &str) -> Vec<u8> {
        png(self.width, self.height, &self.pixels(text))
    }

    fn jpeg(&self, text: &str, quality: u8) -> Vec<u8> {
        let mut bytes = Vec::new();
        let (width, height) = (u16::try_from(self.width).unwrap(), u16::try_from(self.height).unwrap());
        jpeg_encoder::Encoder::new(&mut bytes, quality)
            .encode(&self.pixels(text), width, height, jpeg_encoder::ColorType::Luma)
            .unwrap();
        bytes
    }
}

fn png(width: usize, height: usize, grey: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut encoder = png::Encoder::new(&mut bytes, width as u32, height as u32);
    encoder.set_color(ColorType::Grayscale);
    encoder.write_header().unwrap().write_image_data(grey).unwrap();
    bytes
}

fn read(bytes: &[u8]) -> Result<Vec<String>, PictureProblem> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("picture");
    fs::write(&path, bytes).unwrap();
    read_codes(&path).map(|codes| codes.into_iter().collect())
}

#[test]
fn a_code_is_read_as_it_is_drawn_and_as_it_is_photographed() {
    let found = || Ok(vec![LINK.to_owned()]);
    assert_eq!(read(&Drawing::plain(3.0).png(LINK)), found());
    assert_eq!(read(&Drawing::plain(6.0).jpeg(LINK, 80)), found());
    let turned = Drawing { width: 900, height: 800, module: 8.0, degrees: 17.0, noise: 30 };
    assert_eq!(read(&turned.png(LINK)), found());
    assert_eq!(read(&turned.jpeg(LINK, 50)), found());
    let large = Drawing { width: 2_600, height: 1_900, module: 16.0, degrees: 190.0, noise: 60 };
    assert_eq!(read(&large.jpeg(LINK, 60)), found());
}

#[test]
fn a_code_with_colours_and_transparency_is_read() {
    let drawing = Drawing::plain(4.0);
    let dark: Vec<bool> = drawing.pixels(LINK).iter().map(|pixel| *pixel < 128).collect();
    // Transparent where it is bright: what lies there is black.
    let coloured: Vec<u8> = dark.iter().flat_map(|dark| if *dark { [0, 30, 90, 255] } else { [0, 0, 0, 0] }).collect();
    let mut bytes = Vec::new();
    let mut encoder = png::Encoder::new(&mut bytes, drawing.width as u32, drawing.height as u32);
    encoder.set_color(ColorType::Rgba);
    encoder.write_header().unwrap().write_image_data(&coloured).unwrap();
    assert_eq!(read(&bytes), Ok(vec![LINK.to_owned()]));
    let rgb: Vec<u8> = dark.iter().flat_map(|dark| if *dark { [20, 10, 90] } else { [250, 240, 230] }).collect();
    let mut bytes = Vec::new();
    jpeg_encoder::Encoder::new(&mut bytes, 80)
        .encode(&rgb, drawing.width as u16, drawing.height as u16, jpeg_encoder::ColorType::Rgb)
        .unwrap();
    assert_eq!(read(&bytes), Ok(vec![LINK.to_owned()]));
}

#[test]
fn all_codes_of_a_picture_are_found() {
    let one = Drawing::plain(4.0);
    let (first, second) = (one.pixels(LINK), one.pixels("openid-credential-offer://?x"));
    let both: Vec<u8> = [first, second].concat();
    assert_eq!(read(&png(600, 1_000, &both)).unwrap().len(), 2);
}

#[test]
fn a_picture_without_a_code_has_none() {
    assert_eq!(read(&png(300, 300, &[255; 90_000])), Err(PictureProblem::NoCode));
    // A code that is cut off.
    let drawing = Drawing::plain(6.0);
    let half = drawing.pixels(LINK)[..600 * 250].to_vec();
    assert_eq!(read(&png(600, 250, &half)), Err(PictureProblem::NoCode));
}

/// Header of a PNG with these dimensions, and nothing behind it.
fn png_header(width: u32, height: u32) -> Vec<u8> {
    let mut bytes = Vec::new();
    png::Encoder::new(&mut bytes, width, height).write_header().unwrap();
    bytes
}

#[test]
fn dimensions_are_limited_before_anything_is_decoded() {
    for (width, height) in [(100_000, 100_000), (u32::from(u16::MAX), 1), (16_384, 16_384), (4_097, 4_096)] {
        assert_eq!(read(&png_header(width, height)), Err(PictureProblem::TooLarge), "{width}x{height}");
    }
    // Within the limits: the header is accepted, and what follows is missing.
    assert_eq!(read(&png_header(4_096, 4_096)), Err(PictureProblem::Malformed));
    // The dimensions in the frame header of a JPEG: height, then width.
    let mut jpeg = Drawing::plain(6.0).jpeg(LINK, 80);
    assert_eq!(read(&jpeg).map(|codes| codes.len()), Ok(1));
    let frame = jpeg.windows(2).position(|marker| marker == [0xff, 0xc0]).unwrap();
    jpeg[frame + 5..frame + 9].copy_from_slice(&[0xff, 0xff, 0xff, 0xff]);
    assert_eq!(read(&jpeg), Err(PictureProblem::TooLarge));
}

#[test]
fn a_file_beyond_the_limit_is_not_read_to_its_end() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("picture");
    // Sparse: a gigabyte that takes no room.
    fs::File::create(&path).unwrap().set_len(1 << 30).unwrap();
    assert_eq!(read_codes(&path), Err(PictureProblem::TooLarge));
    assert_eq!(read_codes(&folder.path().join("missing")), Err(PictureProblem::Unreadable));
    #[cfg(target_os = "linux")]
    assert_eq!(read_codes(Path::new("/dev/zero")), Err(PictureProblem::TooLarge));
}

#[test]
fn damaged_pictures_and_other_files_are_refused() {
    assert_eq!(read(b""), Err(PictureProblem::Malformed));
    assert_eq!(read(b"GIF89a"), Err(PictureProblem::Malformed));
    assert_eq!(read(LINK.as_bytes()), Err(PictureProblem::Malformed));
    let (png, jpeg) = (Drawing::plain(3.0).png(LINK), Drawing::plain(3.0).jpeg(LINK, 70));
    assert_eq!(read(&png[..png.len() / 2]), Err(PictureProblem::Malformed));
    for end in [4, 30, 200] {
        assert_eq!(read(&jpeg[..end]), Err(PictureProblem::Malformed), "{end}");
    }
}

/// Pixels of a stranger reach all of the search.
#[test]
fn arbitrary_pixels_end_without_harm() {
    let mut state = 7_u64;
    for size in [1, 2, 7, 40, 200] {
        let mut pixel = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            if state >> 62 == 0 { 0 } else { 255 }
        };
        let pixels: Vec<u8> = (0..size * size).map(|_| pixel()).collect();
        assert_eq!(read(&png(size, size, &pixels)), Err(PictureProblem::NoCode), "{size}");
    }
}
