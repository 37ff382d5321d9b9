//! Match of a procedure's needs (the documents that it requires, [`Procedure`]) with the credentials in the wallet.

use std::cmp::Reverse;

use carnet_core::{status::CopyState, time::Timestamp};
use carnet_spec::{Procedure, RequiredDocument};

use crate::store::{HeldCredential, WalletContents};

/// State of a need, judged by its best matching credential; best state first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum NeedState {
    /// The credential is valid now, and its issuer has not reported it as suspended or revoked.
    Met,
    /// The validity period of the credential has not begun.
    NotYetValid,
    /// The validity period of the credential has ended.
    Expired,
    /// The issuer's latest report to this wallet is that the credential is suspended.
    Suspended,
    /// The issuer's latest report to this wallet is that the credential is revoked.
    Revoked,
    /// The wallet has no credential of an accepted type.
    Missing,
}

impl NeedState {
    /// Returns the stable name in JSON output, in `snake_case`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Met => "met",
            Self::NotYetValid => "not_yet_valid",
            Self::Expired => "expired",
            Self::Suspended => "suspended",
            Self::Revoked => "withdrawn",
            Self::Missing => "missing",
        }
    }

    fn of_credential(held: &HeldCredential, now: Timestamp) -> Self {
        if let Some(status) = held.withdrawn_status() {
            if status.state == CopyState::Suspended { Self::Suspended } else { Self::Revoked }
        } else if held.valid_until.is_some_and(|until| now > until) {
            Self::Expired
        } else if held.valid_from.is_some_and(|from| now < from) {
            Self::NotYetValid
        } else {
            Self::Met
        }
    }
}

/// Need of a procedure, with the best matching credential in the wallet.
#[derive(Debug)]
pub struct NeedStatus<'a> {
    /// Need, as defined in the catalogue.
    pub need: &'a RequiredDocument,
    /// State of the need.
    pub state: NeedState,
    /// Best matching credential; `None` if the wallet has none of the accepted types.
    pub credential: Option<&'a HeldCredential>,
}

impl NeedStatus<'_> {
    /// Returns whether the need is not optional and its state is other than [`NeedState::Met`].
    #[must_use]
    pub fn is_lacking(&self) -> bool {
        !self.need.optional && self.state != NeedState::Met
    }
}

/// Returns the state of each need of a procedure, in its order. Of several credentials of accepted types, the one with
/// the best state is chosen, then the one whose type the need names first, then one without an end of validity, then
/// the one that ends last.
#[must_use]
pub fn match_needs<'a>(procedure: &'a Procedure, contents: &'a WalletContents, now: Timestamp) -> Vec<NeedStatus<'a>> {
    let matched = procedure.needs.iter().map(|need| {
        let candidates = contents.credentials.iter().filter_map(|held| {
            let rank = need.types.iter().position(|name| *name == held.type_name)?;
            let end = (held.valid_until.is_some(), Reverse(held.valid_until));
            Some(((NeedState::of_credential(held, now), rank, end), held))
        });
        let best = candidates.min_by_key(|(key, _)| *key);
        let state = best.as_ref().map_or(NeedState::Missing, |((state, ..), _)| *state);
        NeedStatus { need, state, credential: best.map(|(_, held)| held) }
    });
    matched.collect()
}

#[cfg(test)]
mod tests {
    use carnet_core::format::CredentialFormat;
    use carnet_spec::Catalogue;

    use super::*;
    use crate::answer::tests::{Issuer, NOW};

    fn held(id: &str, type_name: &str, days: Option<i64>) -> HeldCredential {
        let mut held = Issuer::new().held(id, CredentialFormat::VcSdJwt, 1);
        held.type_name = type_name.to_owned();
        held.valid_until = days.map(|days| NOW.plus(days.saturating_mul(86_400)));
        held
    }

    #[test]
    fn the_best_document_answers_a_need() {
        let catalogue = Catalogue::embedded().unwrap();
        let procedure = catalogue.procedure("university-admission").unwrap();
        let mut contents = WalletContents::new(12);
        let states = |contents: &WalletContents| -> Vec<(NeedState, Option<String>)> {
            let matched = match_needs(procedure, contents, NOW);
            matched.iter().map(|status| (status.state, status.credential.map(|held| held.id.clone()))).collect()
        };
        let missing = (NeedState::Missing, None);
        assert_eq!(states(&contents), vec![missing.clone(); 3]);
        let (degree, passport) = ("QualificationCredential", "QualificationAssessmentCredential");
        let first = |contents: &WalletContents| states(contents).swap_remove(0);
        contents.credentials = vec![held("ended", degree, Some(-1))];
        assert_eq!(first(&contents), (NeedState::Expired, Some("ended".to_owned())));
        // A valid document of another type counts more than an expired one of the first.
        contents.credentials.push(held("passport", passport, Some(5)));
        assert_eq!(first(&contents), (NeedState::Met, Some("passport".to_owned())));
        for (id, days) in [("short", Some(3)), ("long", Some(40)), ("longer", Some(400)), ("endless", None)] {
            contents.credentials.push(held(id, degree, days));
            assert_eq!(first(&contents), (NeedState::Met, Some(id.to_owned())));
        }
        assert_eq!(states(&contents)[1..], [missing.clone(), missing], "another type answers no other need");
        let mut later = held("later", degree, Some(9));
        later.valid_from = Some(NOW.plus(86_400));
        contents.credentials = vec![later];
        assert_eq!(first(&contents), (NeedState::NotYetValid, Some("later".to_owned())));
    }

    #[test]
    fn only_what_is_demanded_is_lacking() {
        let catalogue = Catalogue::embedded().unwrap();
        let procedure = catalogue.procedure("university-admission").unwrap();
        let empty = WalletContents::new(12);
        let lacking = |contents: &WalletContents| {
            match_needs(procedure, contents, NOW).iter().filter(|one| one.is_lacking()).count()
        };
        assert_eq!(lacking(&empty), 1);
        let mut contents = WalletContents::new(12);
        contents.credentials = vec![held("degree", "QualificationCredential", Some(5))];
        assert_eq!(lacking(&contents), 0);
    }
}
