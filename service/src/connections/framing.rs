//! Position in a client's byte stream: between HTTP/2 frames, or within one.

/// First bytes of every HTTP/2 connection (RFC 9113 section 3.4).
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
const FRAME_HEADER: usize = 9;
const HEADERS: u8 = 0x1;
const CONTINUATION: u8 = 0x9;
const END_HEADERS: u8 = 0x4;

/// Protocol of a connection and position in its byte stream; no content is stored.
#[derive(Debug)]
pub(super) enum Framing {
    /// The protocol is not known yet; this many bytes of the HTTP/2 preface have been received.
    Preface(usize),
    /// HTTP/1: the first bytes are not the HTTP/2 preface.
    Http1,
    /// HTTP/2, after the complete preface.
    Http2(FramePosition),
}

/// Position in a sequence of HTTP/2 frames.
#[derive(Debug, Default)]
pub(super) struct FramePosition {
    header: [u8; FRAME_HEADER],
    /// Number of bytes of `header` that have been received.
    header_bytes: usize,
    /// Number of bytes of the payload that have not been received.
    payload_left: usize,
    /// `true` after the beginning of a header block, until the frame with END_HEADERS.
    in_header_block: bool,
}

impl Framing {
    /// Advances the position by received bytes.
    pub(super) fn advance(&mut self, bytes: &[u8]) {
        let mut rest = bytes;
        if let Self::Preface(seen) = self {
            let expected = PREFACE.get(*seen..).unwrap_or_default();
            let length = expected.len().min(rest.len());
            let (begin, after) = rest.split_at(length);
            if !expected.starts_with(begin) {
                *self = Self::Http1;
                return;
            }
            *seen = seen.saturating_add(length);
            rest = after;
            if *seen == PREFACE.len() {
                *self = Self::Http2(FramePosition::default());
            }
        }
        if let Self::Http2(frames) = self {
            frames.advance(rest);
        }
    }

    /// Returns `true` if a preface, frame or header block is incomplete. Always `true` for HTTP/1, whose request heads
    /// are not parsed here: a head is complete when its call begins.
    pub(super) fn is_partial(&self) -> bool {
        match self {
            Self::Preface(_) | Self::Http1 => true,
            Self::Http2(frames) => frames.header_bytes > 0 || frames.payload_left > 0 || frames.in_header_block,
        }
    }
}

impl FramePosition {
    fn advance(&mut self, mut bytes: &[u8]) {
        loop {
            let payload = self.payload_left.min(bytes.len());
            self.payload_left = self.payload_left.saturating_sub(payload);
            bytes = bytes.get(payload..).unwrap_or_default();
            let Some((byte, rest)) = bytes.split_first() else { return };
            if let Some(place) = self.header.get_mut(self.header_bytes) {
                *place = *byte;
            }
            self.header_bytes = self.header_bytes.saturating_add(1);
            bytes = rest;
            if self.header_bytes == FRAME_HEADER {
                self.begin_payload();
            }
        }
    }

    fn begin_payload(&mut self) {
        let [a, b, c, kind, flags, ..] = self.header;
        self.header_bytes = 0;
        self.payload_left = usize::try_from(u32::from_be_bytes([0, a, b, c])).unwrap_or(usize::MAX);
        if matches!(kind, HEADERS | CONTINUATION) {
            self.in_header_block = flags & END_HEADERS == 0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(kind: u8, flags: u8, payload: &[u8]) -> Vec<u8> {
        let [_, a, b, c] = u32::try_from(payload.len()).unwrap().to_be_bytes();
        [&[a, b, c, kind, flags, 0, 0, 0, 1], payload].concat()
    }

    #[test]
    fn every_byte_of_a_preface_and_of_frames_is_in_the_middle_of_one_but_the_last() {
        let settings = frame(0x4, 0, &[0; 6]);
        let block = [frame(HEADERS, 0, b"abc"), frame(CONTINUATION, END_HEADERS, b"d")].concat();
        for message in [settings, block, frame(HEADERS, END_HEADERS, b"x"), frame(0x6, 1, &[0; 8])] {
            let mut framing = Framing::Preface(0);
            framing.advance(PREFACE);
            assert!(!framing.is_partial());
            for byte in &message[..message.len() - 1] {
                framing.advance(&[*byte]);
                assert!(framing.is_partial(), "{message:?}");
            }
            framing.advance(&message[message.len() - 1..]);
            assert!(!framing.is_partial(), "{message:?}");
            // The same at once, and with the following bytes.
            framing.advance(&[message.clone(), message].concat());
            assert!(!framing.is_partial());
        }
    }

    #[test]
    fn an_empty_frame_ends_with_its_header() {
        let mut framing = Framing::Http2(FramePosition::default());
        framing.advance(&frame(0x4, 1, &[]));
        assert!(!framing.is_partial());
    }

    #[test]
    fn what_begins_otherwise_is_http_1() {
        for text in [&b"GET / HTTP/1.1\r\n"[..], b"PRI * HTTP/1", b"P", b"POST /"] {
            let mut framing = Framing::Preface(0);
            for byte in text {
                framing.advance(&[*byte]);
            }
            assert!(framing.is_partial());
            assert_eq!(matches!(framing, Framing::Http1), text != b"P", "{text:?}");
        }
    }
}
