//! Entries of a status list in memory, and their compression.

use std::io::{Read as _, Write as _};

use flate2::{
    Compression,
    read::{MultiGzDecoder, ZlibDecoder},
    write::{GzEncoder, ZlibEncoder},
};

use super::MAX_LIST_BYTES;
use crate::{Code, Problem};

/// Bit order of the entries within a byte.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BitOrder {
    /// The first entry is in the most significant bits (Bitstring Status List).
    MostSignificantFirst,
    /// The first entry is in the least significant bits (Token Status List).
    LeastSignificantFirst,
}

/// Compression of a published list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum CompressionFormat {
    /// GZIP (RFC 1952), for Bitstring Status List.
    Gzip,
    /// ZLIB (RFC 1950), for Token Status List.
    Zlib,
}

/// Compression level for published lists, from 0 to 9.
pub(super) const COMPRESSION_LEVEL: u32 = 6;

/// Status list in memory, with entries of one, two, four or eight bits.
#[derive(Clone, PartialEq, Eq)]
pub struct StatusList {
    bytes: Vec<u8>,
    /// Bits of an entry: 1, 2, 4 or 8.
    bits: u8,
    order: BitOrder,
}

impl std::fmt::Debug for StatusList {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("StatusList")
            .field("entries", &self.entry_count())
            .field("bits", &self.bits)
            .field("order", &self.order)
            .finish_non_exhaustive()
    }
}

impl StatusList {
    /// Creates a list of at least `entries` entries (rounded up to whole bytes), all zero.
    ///
    /// # Errors
    /// `status_list_invalid` if `bits` is not 1, 2, 4 or 8, or the list would exceed [`MAX_LIST_BYTES`].
    pub fn new(entries: u64, bits: u8, order: BitOrder) -> Result<Self, Problem> {
        let bytes = entries.checked_mul(u64::from(bits)).map(|all| all.div_ceil(8));
        let bytes = bytes.and_then(|bytes| usize::try_from(bytes).ok()).filter(|bytes| *bytes <= MAX_LIST_BYTES);
        let bytes = bytes.ok_or_else(|| Problem::new(Code::StatusListInvalid, "the list would be too long"))?;
        Self::from_bytes(vec![0; bytes], bits, order)
    }

    /// Creates a list from its uncompressed bytes.
    ///
    /// # Errors
    /// `status_list_invalid` if `bits` is not 1, 2, 4 or 8, or the list exceeds [`MAX_LIST_BYTES`].
    pub fn from_bytes(bytes: Vec<u8>, bits: u8, order: BitOrder) -> Result<Self, Problem> {
        require_size(bits)?;
        if bytes.len() > MAX_LIST_BYTES {
            return Err(Problem::new(Code::StatusListInvalid, "the list is too long"));
        }
        Ok(Self { bytes, bits, order })
    }

    /// Returns the number of entries.
    #[must_use]
    pub fn entry_count(&self) -> u64 {
        self.entry_count_with_bits(self.bits)
    }

    /// Returns the number of entries if each has `bits` bits.
    #[must_use]
    pub fn entry_count_with_bits(&self, bits: u8) -> u64 {
        let bytes = u64::try_from(self.bytes.len()).unwrap_or(u64::MAX);
        bytes.saturating_mul(8).checked_div(u64::from(bits)).unwrap_or_default()
    }

    /// Returns the size of an entry, in bits.
    #[must_use]
    pub fn entry_bits(&self) -> u8 {
        self.bits
    }

    /// Returns the uncompressed bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Returns the value of an entry, by direct access.
    ///
    /// # Errors
    /// `status_index`: the index is beyond the end of the list.
    pub fn value(&self, index: u64) -> Result<u8, Problem> {
        self.value_with_bits(index, self.bits)
    }

    /// Returns the value of an entry if each has `bits` bits. For Bitstring Status List, the entry size is stated in
    /// the credential, not in the list.
    ///
    /// # Errors
    /// `status_index`: the index is beyond the end of the list; `status_list_invalid`: `bits` is not 1, 2, 4 or 8.
    pub fn value_with_bits(&self, index: u64, bits: u8) -> Result<u8, Problem> {
        require_size(bits)?;
        let (at, shift) = self.locate(index, bits)?;
        let byte = self.bytes.get(at).copied().ok_or(Code::StatusIndex)?;
        Ok(byte.checked_shr(shift).unwrap_or_default() & mask(bits))
    }

    /// Sets the value of an entry.
    ///
    /// # Errors
    /// `status_index`: the index is beyond the end of the list; `status_list_invalid`: the value has more bits than an
    /// entry.
    pub fn set_value(&mut self, index: u64, value: u8) -> Result<(), Problem> {
        let mask = mask(self.bits);
        if value & !mask != 0 {
            return Err(Problem::new(Code::StatusListInvalid, "the value has more bits than an entry"));
        }
        let (at, shift) = self.locate(index, self.bits)?;
        let byte = self.bytes.get_mut(at).ok_or(Code::StatusIndex)?;
        let (mask, value) = (mask.checked_shl(shift), value.checked_shl(shift));
        *byte = (*byte & !mask.unwrap_or_default()) | value.unwrap_or_default();
        Ok(())
    }

    /// Compresses the list.
    ///
    /// # Errors
    /// `proof_generation` if the list cannot be compressed.
    pub(super) fn compress(&self, packing: CompressionFormat) -> Result<Vec<u8>, Problem> {
        let level = Compression::new(COMPRESSION_LEVEL);
        let packed = match packing {
            CompressionFormat::Gzip => {
                let mut encoder = GzEncoder::new(Vec::new(), level);
                encoder.write_all(&self.bytes).and_then(|()| encoder.finish())
            }
            CompressionFormat::Zlib => {
                let mut encoder = ZlibEncoder::new(Vec::new(), level);
                encoder.write_all(&self.bytes).and_then(|()| encoder.finish())
            }
        };
        packed.map_err(|_| Problem::new(Code::ProofGeneration, "the list could not be packed"))
    }

    /// Decompresses a list of at most [`MAX_LIST_BYTES`]; decompression stops at that size.
    ///
    /// # Errors
    /// `status_list_invalid` if it is malformed or too long.
    pub(super) fn decompress(
        packed: &[u8],
        packing: CompressionFormat,
        bits: u8,
        order: BitOrder,
    ) -> Result<Self, Problem> {
        let limit = u64::try_from(MAX_LIST_BYTES).unwrap_or(u64::MAX).saturating_add(1);
        let mut bytes = Vec::new();
        let read = match packing {
            CompressionFormat::Gzip => MultiGzDecoder::new(packed).take(limit).read_to_end(&mut bytes),
            CompressionFormat::Zlib => ZlibDecoder::new(packed).take(limit).read_to_end(&mut bytes),
        };
        read.map_err(|_| Problem::new(Code::StatusListInvalid, "the list cannot be unpacked"))?;
        Self::from_bytes(bytes, bits, order)
    }

    /// Returns the byte of an entry, and the shift of the entry in it.
    fn locate(&self, index: u64, bits: u8) -> Result<(usize, u32), Problem> {
        if index >= self.entry_count_with_bits(bits) {
            return Err(Code::StatusIndex.into());
        }
        let bits = u64::from(bits);
        let first = index.checked_mul(bits).ok_or(Code::StatusIndex)?;
        let (at, within) = (first / 8, first % 8);
        let shift = match self.order {
            BitOrder::LeastSignificantFirst => within,
            BitOrder::MostSignificantFirst => 8_u64.saturating_sub(bits).saturating_sub(within),
        };
        let at = usize::try_from(at).map_err(|_| Code::StatusIndex)?;
        Ok((at, u32::try_from(shift).map_err(|_| Code::StatusIndex)?))
    }
}

fn mask(bits: u8) -> u8 {
    u8::MAX.checked_shr(8_u32.saturating_sub(u32::from(bits))).unwrap_or(u8::MAX)
}

fn require_size(bits: u8) -> Result<(), Problem> {
    if matches!(bits, 1 | 2 | 4 | 8) {
        Ok(())
    } else {
        Err(Problem::new(Code::StatusListInvalid, "the entry size is not 1, 2, 4 or 8 bits"))
    }
}
