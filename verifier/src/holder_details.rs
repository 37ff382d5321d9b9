//! Descriptions of failed checks for holders. If a fetch failed, they omit the details, which can contain addresses of
//! the verifier's internal network.

use carnet_core::Code;

use crate::verdicts::CheckRecord;

/// Codes of checks that may involve a fetch.
const FETCH_CODES: [Code; 14] = [
    Code::AddressForbidden,
    Code::DidUnresolved,
    Code::DidDocumentInvalid,
    Code::DidLogInvalid,
    Code::DidLogForked,
    Code::DidLogWitness,
    Code::TooLarge,
    Code::StatusListInvalid,
    Code::StatusListMismatch,
    Code::StatusListLength,
    Code::StatusListStale,
    Code::StatusListUnavailable,
    Code::StatusListIssuer,
    Code::StatusPurpose,
];

/// Returns the description of a check for the holder: the general meaning of its code if a fetch may be involved,
/// otherwise the detail.
pub(crate) fn detail_for_holder(check: &CheckRecord) -> String {
    let code = FETCH_CODES.iter().find(|code| code.as_str() == check.code);
    code.map_or_else(|| check.detail.clone(), |code| code.meaning().to_owned())
}
