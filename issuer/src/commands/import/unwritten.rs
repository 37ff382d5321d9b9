//! Error of a file that an import cannot write.

use std::path::Path;

use crate::commands::StaffFailure;

/// Returns the failure for a file that cannot be written.
pub(super) fn unwritten(path: &Path, error: &dyn std::fmt::Display) -> StaffFailure {
    StaffFailure::WithReason {
        reason: "output_unwritten",
        text: format!(
            "{} cannot be written: {error}. All acknowledged offers are stored\nhint: make room, and run the same \
             command again: the links are derived again",
            path.display()
        ),
    }
}
