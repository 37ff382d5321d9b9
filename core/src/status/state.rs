//! States of a credential copy after issuance.

use serde::{Deserialize, Serialize};

/// State of a credential copy, as an entry in a status list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StatusState {
    /// Neither suspended nor revoked.
    Valid,
    /// Suspended temporarily.
    Suspended,
    /// Revoked permanently.
    Revoked,
}

impl StatusState {
    /// All states.
    pub const ALL: [Self; 3] = [Self::Valid, Self::Suspended, Self::Revoked];

    /// Returns the name in databases and JSON.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Valid => "valid",
            Self::Suspended => "suspended",
            Self::Revoked => "revoked",
        }
    }

    /// Parses a name; `None` for an unknown one.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.as_str() == text)
    }
}

/// State of a copy in the issuer's response to the wallet (spec/freshness.md). The order of the variants is that of
/// precedence: of two responses with the same time, the greater state applies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CopyState {
    /// Neither suspended nor revoked.
    Valid,
    /// The issuer does not know the copy.
    Unknown,
    /// Past the end of its validity period.
    #[serde(rename = "ended")]
    Expired,
    /// Suspended temporarily.
    Suspended,
    /// Revoked permanently.
    Revoked,
}

impl CopyState {
    /// Returns the name in databases and JSON.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Valid => StatusState::Valid.as_str(),
            Self::Unknown => "unknown",
            Self::Expired => "ended",
            Self::Suspended => StatusState::Suspended.as_str(),
            Self::Revoked => StatusState::Revoked.as_str(),
        }
    }

    /// Returns whether the issuer has suspended or revoked the copy.
    #[must_use]
    pub const fn is_withdrawn(self) -> bool {
        matches!(self, Self::Suspended | Self::Revoked)
    }
}

impl From<StatusState> for CopyState {
    fn from(state: StatusState) -> Self {
        match state {
            StatusState::Valid => Self::Valid,
            StatusState::Suspended => Self::Suspended,
            StatusState::Revoked => Self::Revoked,
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn every_state_has_one_name_in_text_and_json() {
        for state in StatusState::ALL {
            assert_eq!(StatusState::parse(state.as_str()), Some(state));
            assert_eq!(json!(state), json!(state.as_str()));
            let copy = CopyState::from(state);
            assert_eq!((copy.as_str(), json!(copy)), (state.as_str(), json!(state)));
            assert_eq!(copy.is_withdrawn(), state != StatusState::Valid);
        }
        for other in ["", "Valid", "unknown", "ended"] {
            assert_eq!(StatusState::parse(other), None, "{other}");
        }
        for state in [CopyState::Unknown, CopyState::Expired] {
            assert!(!state.is_withdrawn() && json!(state) == json!(state.as_str()));
        }
    }
}
