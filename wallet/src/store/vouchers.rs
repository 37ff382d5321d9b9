//! Record of the disclosed serials of a voucher, so that no use is disclosed twice (spec/entitlement.md section 7).

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

/// Disclosed serials of one voucher, and the number of its uses.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct VoucherSerials {
    /// Total number of uses of the voucher.
    #[serde(rename = "uses")]
    pub total_uses: usize,
    /// Serials that were disclosed with any copy, or were about to be, oldest first.
    #[serde(default)]
    #[serde(rename = "shown")]
    pub disclosed: Vec<DisclosedSerial>,
}

/// Serial that was disclosed to a verifier, or was about to be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DisclosedSerial {
    /// Digest of the serial ([`serial_digest`]).
    pub digest: String,
    /// Client id of the verifier to which it was disclosed.
    #[serde(rename = "to")]
    pub client_id: String,
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
        Self { total_uses: uses, disclosed: Vec::new() }
    }

    /// Returns the number of uses whose serial no verifier has reported as used.
    pub fn remaining_uses(&self) -> usize {
        self.total_uses.saturating_sub(self.disclosed.iter().filter(|shown| shown.used).count())
    }

    /// Returns the digest of the serial that was disclosed to a verifier and not reported as used; `None` if there is
    /// none.
    pub fn pending_serial(&self, asker: &str) -> Option<&str> {
        let pending = self.disclosed.iter().find(|shown| shown.client_id == asker && !shown.used);
        pending.map(|shown| shown.digest.as_str())
    }

    /// Returns the index in `serials`, the serials of a copy, of the one that may be disclosed to a verifier: one
    /// already disclosed to it and not reported as used, otherwise one never disclosed. `None` if all were disclosed.
    pub fn choose_serial(&self, serials: &[String], asker: &str) -> Option<usize> {
        let digests: Vec<String> = serials.iter().map(|serial| serial_digest(serial)).collect();
        let pending =
            self.pending_serial(asker).and_then(|pending| digests.iter().position(|digest| digest == pending));
        pending.or_else(|| digests.iter().position(|digest| self.disclosed.iter().all(|shown| shown.digest != *digest)))
    }

    /// Records the digest of a serial before the serial is disclosed to a verifier. One that is recorded already stays
    /// unchanged.
    pub fn record_shown(&mut self, digest: &str, asker: &str) {
        if self.disclosed.iter().all(|shown| shown.digest != digest) {
            self.disclosed.push(DisclosedSerial {
                digest: digest.to_owned(),
                client_id: asker.to_owned(),
                used: false,
            });
        }
    }

    /// Records that the serial with this digest was used. A serial that was never disclosed is ignored.
    pub fn record_used(&mut self, digest: &str) {
        for shown in self.disclosed.iter_mut().filter(|shown| shown.digest == digest) {
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
        assert_eq!((serials.choose_serial(&copy, "museum"), serials.remaining_uses()), (Some(0), 3));
        serials.record_shown(&serial_digest("one"), "museum");
        // Refused or unanswered: the same verifier sees the same serial in any copy; others do not.
        assert_eq!(
            (serials.choose_serial(&copy, "museum"), serials.choose_serial(&other, "museum")),
            (Some(0), Some(2))
        );
        assert_eq!((serials.choose_serial(&copy, "another"), serials.remaining_uses()), (Some(1), 3));
        serials.record_used(&serial_digest("one"));
        assert_eq!(
            (serials.choose_serial(&copy, "museum"), serials.choose_serial(&other, "museum")),
            (Some(1), Some(0))
        );
        assert_eq!((serials.pending_serial("museum"), serials.remaining_uses()), (None, 2));
        for serial in ["two", "three"] {
            serials.record_shown(&serial_digest(serial), "museum");
            serials.record_used(&serial_digest(serial));
        }
        assert_eq!((serials.choose_serial(&copy, "museum"), serials.remaining_uses()), (None, 0));
    }
}
