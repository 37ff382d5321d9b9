//! Explanations of checks for holders, who learn that a fetch failed but no details: these can contain addresses of the
//! verifier's own network.

use carnet_core::Code;

use crate::verdicts::CheckRecord;

/// Codes of checks that may involve a fetch.
const FETCHED: [Code; 14] = [
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

/// Returns the detail of a check for the holder, whatever the wire.
pub(crate) fn holders_detail(check: &CheckRecord) -> String {
    let code = FETCHED.iter().find(|code| code.as_str() == check.code);
    code.map_or_else(|| check.detail.clone(), |code| code.meaning().to_owned())
}
