//! Status list that stays compressed while its entries change.
//!
//! DEFLATE blocks can be concatenated, and the checksums of GZIP and ZLIB can be combined from those of parts. A list
//! is compressed in independent pieces, and a change recompresses only the affected piece: with two bits per
//! entry, one of sixteen for a million entries.

use flate2::{Compress, Compression, Crc, FlushCompress, Status};

use super::{
    StatusList,
    list::{COMPRESSION_LEVEL, CompressionFormat},
};
use crate::{Code, Problem};

/// Length of a piece before compression, in bytes.
const PIECE: usize = 16 * 1024;
/// Empty final DEFLATE block with fixed codes.
const END: [u8; 2] = [0x03, 0x00];
/// Header of RFC 1952: DEFLATE, no flags, no time, no level, unknown system.
const GZIP_HEADER: [u8; 10] = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff];
/// Header of RFC 1950: DEFLATE with a window of 32 KiB, default level.
const ZLIB_HEADER: [u8; 2] = [0x78, 0x9c];
/// Modulus of Adler-32.
const ADLER: u32 = 65_521;

/// Compressed piece of a list, with its checksums.
#[derive(Debug)]
struct Piece {
    /// Complete DEFLATE blocks, none of them final.
    blocks: Vec<u8>,
    crc: Crc,
    adler: u32,
}

/// Status list with its compressed form.
#[derive(Debug)]
pub(super) struct CompressedStatusList {
    list: StatusList,
    packing: CompressionFormat,
    /// Compressed pieces; `None` for a piece to be compressed again.
    pieces: Vec<Option<Piece>>,
}

impl CompressedStatusList {
    pub(super) fn new(list: StatusList, packing: CompressionFormat) -> Self {
        let pieces = list.as_bytes().chunks(PIECE).map(|_| None).collect();
        Self { list, packing, pieces }
    }

    pub(super) fn list(&self) -> &StatusList {
        &self.list
    }

    /// Sets an entry; returns whether its value changed.
    ///
    /// # Errors
    /// Those of [`StatusList::set_value`].
    pub(super) fn set_value(&mut self, index: u64, value: u8) -> Result<bool, Problem> {
        if self.list.value(index)? == value {
            return Ok(false);
        }
        self.list.set_value(index, value)?;
        let byte = index.saturating_mul(u64::from(self.list.entry_bits())) / 8;
        let piece = usize::try_from(byte).ok().and_then(|byte| self.pieces.get_mut(byte / PIECE));
        *piece.ok_or(Code::StatusIndex)? = None;
        Ok(true)
    }

    /// Returns the compressed list. [`StatusList`] can decompress it, although it compresses to other bytes itself.
    ///
    /// # Errors
    /// `proof_generation` if the list cannot be compressed.
    pub(super) fn compress(&mut self) -> Result<Vec<u8>, Problem> {
        let (mut crc, mut adler) = (Crc::new(), 1);
        let mut packed = match self.packing {
            CompressionFormat::Gzip => GZIP_HEADER.to_vec(),
            CompressionFormat::Zlib => ZLIB_HEADER.to_vec(),
        };
        for (bytes, piece) in self.list.as_bytes().chunks(PIECE).zip(&mut self.pieces) {
            let piece = match piece {
                Some(piece) => piece,
                none => none.insert(Piece::pack(bytes)?),
            };
            packed.extend_from_slice(&piece.blocks);
            crc.combine(&piece.crc);
            adler = combine_adler(adler, piece.adler, bytes.len());
        }
        packed.extend_from_slice(&END);
        match self.packing {
            CompressionFormat::Gzip => {
                packed.extend_from_slice(&crc.sum().to_le_bytes());
                packed.extend_from_slice(&crc.amount().to_le_bytes());
            }
            CompressionFormat::Zlib => packed.extend_from_slice(&adler.to_be_bytes()),
        }
        Ok(packed)
    }
}

impl Piece {
    fn pack(bytes: &[u8]) -> Result<Self, Problem> {
        let failed = || Problem::new(Code::ProofGeneration, "the list could not be packed");
        let mut compress = Compress::new(Compression::new(COMPRESSION_LEVEL), false);
        // Room for incompressible data, and for the empty block that ends the piece at a byte boundary.
        let mut blocks = Vec::with_capacity(bytes.len().saturating_add(256));
        let status = compress.compress_vec(bytes, &mut blocks, FlushCompress::Sync).map_err(|_| failed())?;
        let all = u64::try_from(bytes.len()).is_ok_and(|length| compress.total_in() == length);
        if status != Status::Ok || !all || blocks.len() == blocks.capacity() {
            return Err(failed());
        }
        let mut crc = Crc::new();
        crc.update(bytes);
        blocks.shrink_to_fit();
        Ok(Self { blocks, crc, adler: adler(bytes) })
    }
}

/// Returns the Adler-32 checksum (RFC 1950 section 8.2) of a piece. The sums are reduced every 4,096 bytes, so that
/// they stay below 2^32.
fn adler(bytes: &[u8]) -> u32 {
    let (mut low, mut high) = (1_u32, 0_u32);
    for run in bytes.chunks(4_096) {
        for byte in run {
            low = low.wrapping_add(u32::from(*byte));
            high = high.wrapping_add(low);
        }
        (low, high) = (low % ADLER, high % ADLER);
    }
    (high << 16) | low
}

/// Combines the Adler-32 checksums of two consecutive byte sequences; `length` is that of the second.
fn combine_adler(first: u32, second: u32, length: usize) -> u32 {
    const MODULUS: u64 = ADLER as u64;
    let parts = |sum: u32| (u64::from(sum & 0xffff), u64::from(sum >> 16));
    let ((low_1, high_1), (low_2, high_2)) = (parts(first), parts(second));
    let length = u64::try_from(length).unwrap_or_default() % MODULUS;
    // The sums of the second sequence began at 1; they continue from low_1 instead.
    let more = low_1.saturating_add(MODULUS).saturating_sub(1) % MODULUS;
    let low = low_2.saturating_add(more) % MODULUS;
    let high = high_1.saturating_add(high_2).saturating_add(length.saturating_mul(more)) % MODULUS;
    u32::try_from((high << 16) | low).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::status::BitOrder;

    fn unpacked(packed: &mut CompressedStatusList, bits: u8, order: BitOrder) -> StatusList {
        StatusList::decompress(&packed.compress().unwrap(), packed.packing, bits, order).unwrap()
    }

    #[test]
    fn what_is_packed_in_pieces_unpacks_as_one_list_after_every_change() {
        for (entries, bits, order, packing) in [
            (131_072, 1, BitOrder::MostSignificantFirst, CompressionFormat::Gzip),
            (1_000_003, 1, BitOrder::MostSignificantFirst, CompressionFormat::Gzip),
            (1_000_003, 2, BitOrder::LeastSignificantFirst, CompressionFormat::Zlib),
        ] {
            let mut list = StatusList::new(entries, bits, order).unwrap();
            let mut packed = CompressedStatusList::new(list.clone(), packing);
            assert_eq!(unpacked(&mut packed, bits, order), list);
            // A sequence without a pattern, in which entries come twice.
            let mut index = 1_u64;
            for step in 0_u64..2_000 {
                index = (index * 6_364_136_223 + 1_442_695_041) % entries;
                let value = u8::from(step % 3 > 0);
                assert_eq!(packed.set_value(index, value).unwrap(), list.value(index).unwrap() != value);
                list.set_value(index, value).unwrap();
                if step % 400 == 0 {
                    assert_eq!(unpacked(&mut packed, bits, order), list);
                }
            }
            for edge in [0, entries - 1] {
                packed.set_value(edge, 1).unwrap();
                list.set_value(edge, 1).unwrap();
            }
            assert_eq!(unpacked(&mut packed, bits, order), list);
            assert_eq!(packed.set_value(packed.list().entry_count(), 1).unwrap_err().code, Code::StatusIndex);
        }
    }

    #[test]
    fn what_cannot_be_made_smaller_is_packed_too() {
        let mut state = 1_u64;
        let mut noise = || {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            u8::try_from(state % 256).unwrap()
        };
        let bytes: Vec<u8> = (0..50_000).map(|_| noise()).collect();
        let list = StatusList::from_bytes(bytes, 1, BitOrder::MostSignificantFirst).unwrap();
        for packing in [CompressionFormat::Gzip, CompressionFormat::Zlib] {
            assert_eq!(
                unpacked(&mut CompressedStatusList::new(list.clone(), packing), 1, BitOrder::MostSignificantFirst),
                list
            );
        }
    }

    #[test]
    fn only_what_was_touched_is_packed_again() {
        let mut packed = CompressedStatusList::new(
            StatusList::new(1_000_000, 1, BitOrder::MostSignificantFirst).unwrap(),
            CompressionFormat::Gzip,
        );
        packed.compress().unwrap();
        packed.set_value(500_000, 1).unwrap();
        assert_eq!(packed.pieces.iter().filter(|piece| piece.is_none()).count(), 1);
    }
}
