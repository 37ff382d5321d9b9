//! Record of the disclosed serials of a voucher, so that no use is disclosed twice (spec/entitlement.md section 7).

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

/// Disclosed serials of one voucher, and the number of its uses.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct VoucherSerials {
    /// Total number of uses of the voucher.
    pub uses: usize,
    /// Serials that were disclosed with any copy, oldest first.
    #[serde(default)]
    pub shown: Vec<ShownSerial>,
}

/// Serial that was disclosed to a verifier, or was about to be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ShownSerial {
    /// Digest of the serial ([`serial_digest`]).
    pub digest: String,
    /// Client id of the verifier to which it was disclosed.
    pub to: String,
    /// `true` if the verifier reported it as used. Before that, it may be disclosed again to the same verifier only.
    #[serde(default)]
    pub used: bool,
}

/// Returns the SHA-256 of a serial, in base64url.
pub fn serial_digest(serial: &str) -> String {
    URL_SAFE_NO_PAD.encode(Sha256::digest(serial))
}

impl VoucherSerials {
    /// Creates the record of a voucher without disclosed serials.
    pub fn new(uses: usize) -> Self {
        Self { uses, shown: Vec::new() }
    }

    /// Returns the number of uses whose serial no verifier has reported as used.
    pub fn left(&self) -> usize {
        self.uses.saturating_sub(self.shown.iter().filter(|shown| shown.used).count())
    }

    /// Returns the digest of the serial that was disclosed to a verifier and not reported as used; `None` if there is
    /// none.
    pub fn pending(&self, asker: &str) -> Option<&str> {
        let pending = self.shown.iter().find(|shown| shown.to == asker && !shown.used);
        pending.map(|shown| shown.digest.as_str())
    }

    /// Returns the index in `serials`, the serials of a copy, of the one that may be disclosed to a verifier: one
    /// already disclosed to it and not reported as used, otherwise one never disclosed. `None` if all were disclosed.
    pub fn choose(&self, serials: &[String], asker: &str) -> Option<usize> {
        let digests: Vec<String> = serials.iter().map(|serial| serial_digest(serial)).collect();
        let pending = self.pending(asker).and_then(|pending| digests.iter().position(|digest| digest == pending));
        pending.or_else(|| digests.iter().position(|digest| self.shown.iter().all(|shown| shown.digest != *digest)))
    }

    /// Records the digest of a serial before the serial is disclosed to a verifier. One that is recorded already stays
    /// unchanged.
    pub fn record_shown(&mut self, digest: &str, asker: &str) {
        if self.shown.iter().all(|shown| shown.digest != digest) {
            self.shown.push(ShownSerial { digest: digest.to_owned(), to: asker.to_owned(), used: false });
        }
    }

    /// Records that the serial with this digest was used. A serial that was never disclosed is ignored.
    pub fn record_used(&mut self, digest: &str) {
        for shown in self.shown.iter_mut().filter(|shown| shown.digest == digest) {
            shown.used = true;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_serial_goes_once_and_again_only_to_whoever_did_not_use_it() {
        let copy: Vec<String> = ["one", "two", "three"].map(str::to_owned).into();
        let mut other = copy.clone();
        other.reverse();
        let mut serials = VoucherSerials::new(3);
        assert_eq!((serials.choose(&copy, "museum"), serials.left()), (Some(0), 3));
        serials.record_shown(&serial_digest("one"), "museum");
        // Refused or unanswered: the same verifier sees the same serial in any copy; others do not.
        assert_eq!((serials.choose(&copy, "museum"), serials.choose(&other, "museum")), (Some(0), Some(2)));
        assert_eq!((serials.choose(&copy, "another"), serials.left()), (Some(1), 3));
        serials.record_used(&serial_digest("one"));
        assert_eq!((serials.choose(&copy, "museum"), serials.choose(&other, "museum")), (Some(1), Some(0)));
        assert_eq!((serials.pending("museum"), serials.left()), (None, 2));
        for serial in ["two", "three"] {
            serials.record_shown(&serial_digest(serial), "museum");
            serials.record_used(&serial_digest(serial));
        }
        assert_eq!((serials.choose(&copy, "museum"), serials.left()), (None, 0));
    }
}
