//! Why a staff verb failed, in words for a person and as an exit code for a script.

use carnet_core::text::shown_lines;
use tonic::Code;

use crate::{config::StartError, wire};

/// Why a verb failed.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// It could not be begun.
    #[error(transparent)]
    Start(#[from] StartError),
    /// The service refused it.
    #[error("{}", describe(.0))]
    Refused(Box<tonic::Status>),
    /// What was given to it cannot be used.
    #[error("{0}")]
    Input(String),
}

impl From<tonic::Status> for Failure {
    fn from(status: tonic::Status) -> Self {
        Self::Refused(Box::new(status))
    }
}

impl Failure {
    /// The exit code: 1 is a problem, 3 means that the same may go well later.
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        let passing = match self {
            Self::Refused(status) => matches!(
                status.code(),
                Code::Unavailable | Code::ResourceExhausted | Code::DeadlineExceeded | Code::Aborted
            ),
            Self::Start(error) => error.try_again,
            Self::Input(_) => false,
        };
        if passing { 3 } else { 1 }
    }
}

/// The service's words with its stable reason.
fn describe(status: &tonic::Status) -> String {
    match wire::reason(status) {
        Some(reason) => format!("{} ({reason})", shown_lines(status.message())),
        // Another service of ours has no reason for it, and no words.
        None if status.code() == Code::Unimplemented => {
            "What answers there is another service, or an older one, which does not know this. Nothing was changed.\n\
             hint: check --server"
                .to_owned()
        }
        None => format!("{} ({:?})", shown_lines(status.message()), status.code()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_service_is_said_to_be_one() {
        let other = Failure::from(tonic::Status::new(Code::Unimplemented, ""));
        assert!(other.to_string().contains("--server"), "{other}");
        let ours = Failure::from(wire::status(Code::Unimplemented, "NO_STATUS_LISTS", "None."));
        assert_eq!(ours.to_string(), "None. (NO_STATUS_LISTS)");
    }

    #[test]
    fn trying_again_is_said_only_where_it_may_help() {
        let refused = |code| Failure::from(tonic::Status::new(code, "x")).exit_code();
        assert_eq!(refused(Code::Unavailable), 3);
        assert_eq!(refused(Code::InvalidArgument), 1);
        assert_eq!(Failure::from(StartError::new("a", "b")).exit_code(), 1);
        assert_eq!(Failure::from(StartError::new("a", "b").passing()).exit_code(), 3);
    }
}
