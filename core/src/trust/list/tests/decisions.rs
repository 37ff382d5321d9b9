//! Decisions by a list, and their reasons.

use super::*;
use crate::epoch::Epoch;

const MARCH: &str = "2026-03-01T00:00:00Z";

fn question(issued: Option<Timestamp>) -> AccreditationQuestion {
    AccreditationQuestion { issued_at: issued, ..AccreditationQuestion::for_issuance(UNI, QUALIFICATION) }
}

#[track_caller]
fn decided(accreditations: Vec<Accreditation>, question: &AccreditationQuestion) -> AccreditationRule {
    let why = list(&with_issuer(accreditations)).decide(question, now());
    assert_eq!(
        why.require_accepted().map_err(|p| p.code),
        if why.is_accepted() { Ok(()) } else { Err(Code::IssuerUntrusted) }
    );
    why.rule
}

#[test]
fn row_68_an_issuer_that_is_not_listed_for_the_type() {
    let list = list(&contents());
    let accepts =
        |issuer, name| list.decide(&AccreditationQuestion::for_issuance(issuer, name), now()).require_accepted();
    accepts(UNI, QUALIFICATION).unwrap();
    refused(accepts(UNI, "ResidencePermitCredential"), Code::IssuerUntrusted);
    refused(accepts("did:web:uni.example.other", QUALIFICATION), Code::IssuerUntrusted);
    // A registrar is no issuer, and an issuer no registrar.
    refused(accepts("did:web:registrar.example", QUALIFICATION), Code::IssuerUntrusted);
    let rule = |question| list.decide(&question, now()).rule;
    assert_eq!(
        rule(AccreditationQuestion::for_issuance("did:web:registrar.example", QUALIFICATION)),
        AccreditationRule::NotListed
    );
    assert_eq!(rule(AccreditationQuestion::for_registration(UNI)), AccreditationRule::NotListed);
    assert_eq!(
        rule(AccreditationQuestion::for_issuance(UNI, "ResidencePermitCredential")),
        AccreditationRule::TypeNotListed
    );
}

#[test]
fn row_69_an_issuer_that_is_listed_but_withdrawn() {
    let accepts = |accreditation: Accreditation, issued: Option<&str>| {
        let list = list(&with_issuer(vec![accreditation]));
        list.decide(&question(issued.map(at)), now()).require_accepted()
    };
    let (february, april) = (Some("2026-02-01T00:00:00Z"), Some("2026-04-01T00:00:00Z"));
    let stand = || withdrawn(MARCH, EarlierCredentials::StayValid);
    let fall = || withdrawn(MARCH, EarlierCredentials::BecomeInvalid);
    for issued in [february, april, None] {
        accepts(accreditation(), issued).unwrap();
    }
    // Struck off in March: credentials issued in February stay valid, if the entry says so.
    accepts(stand(), february).unwrap();
    refused(accepts(stand(), april), Code::IssuerUntrusted);
    refused(accepts(stand(), None), Code::IssuerUntrusted);
    for issued in [february, april, None] {
        refused(accepts(fall(), issued), Code::IssuerUntrusted);
    }
}

/// Offsets from a boundary: -1 d, -5 min, -1 s, at it, +1 s, +5 min, +1 d.
const OFFSETS: [i64; 7] = [-86_400, -300, -1, 0, 1, 300, 86_400];

#[track_caller]
fn table(
    accreditation: &Accreditation,
    boundary: Timestamp,
    expected: [AccreditationRule; 7],
    judged: fn(Timestamp) -> AccreditationQuestion,
) {
    let list = list(&with_issuer(vec![accreditation.clone()]));
    let rules = OFFSETS.map(|offset| list.decide(&judged(boundary.plus(offset)), now()).rule);
    assert_eq!(rules, expected);
}

#[test]
fn the_boundaries_for_what_was_issued_to_the_second() {
    use AccreditationRule::{Accredited, Ended, EndedSince, Fallen, NotYetAccredited, Withdrawn, WithdrawnSince};
    let issued = |at| question(Some(at));
    let (n, a) = (NotYetAccredited, Accredited);
    table(&accreditation(), accreditation().from, [n, n, n, a, a, a, a], issued);
    let until = at(MARCH);
    let ended = Accreditation { until: Some(until), ..accreditation() };
    let (s, e) = (EndedSince, Ended);
    table(&ended, until, [s, s, s, s, e, e, e], issued);
    let (s, w) = (WithdrawnSince, Withdrawn);
    table(&withdrawn(MARCH, EarlierCredentials::StayValid), at(MARCH), [s, s, s, w, w, w, w], issued);
    let f = Fallen;
    table(&withdrawn(MARCH, EarlierCredentials::BecomeInvalid), at(MARCH), [f, f, f, w, w, w, w], issued);
}

#[test]
fn the_boundaries_for_the_time_of_the_decision_to_the_second() {
    use AccreditationRule::{Accredited, Ended, EndedSince, Fallen, NotYetAccredited, Withdrawn, WithdrawnSince};
    // Within the list's own time, so that nothing but the accreditation decides.
    let boundary = day(15);
    let decide = |accreditation: &Accreditation, issued: Option<Timestamp>| {
        let list = list(&with_issuer(vec![accreditation.clone()]));
        OFFSETS.map(|offset| list.decide(&question(issued), boundary.plus(offset)).rule)
    };
    let (a, before, at_it) = (Accredited, Some(day(-1)), Some(boundary));
    let until = Accreditation { until: Some(boundary), ..accreditation() };
    assert_eq!(decide(&until, None), [a, a, a, a, Ended, Ended, Ended]);
    assert_eq!(decide(&until, before), [a, a, a, a, EndedSince, EndedSince, EndedSince]);
    let from = Accreditation { from: boundary, ..accreditation() };
    let n = NotYetAccredited;
    assert_eq!(decide(&from, None), [n, n, n, a, a, a, a]);
    assert_eq!(decide(&from, at_it), [n, n, n, a, a, a, a], "an accreditation that is announced is none yet");
    let announced = |earlier_credentials| {
        let withdrawal = Withdrawal { withdrawn_from: boundary, earlier_credentials, reason: None };
        Accreditation { withdrawal: Some(withdrawal), ..accreditation() }
    };
    let (stand, fall) = (announced(EarlierCredentials::StayValid), announced(EarlierCredentials::BecomeInvalid));
    let (s, w, f) = (WithdrawnSince, Withdrawn, Fallen);
    assert_eq!(decide(&stand, None), [a, a, a, w, w, w, w]);
    assert_eq!(decide(&stand, before), [a, a, a, s, s, s, s]);
    assert_eq!(decide(&stand, at_it), [w; 7]);
    assert_eq!(decide(&fall, None), [a, a, a, w, w, w, w]);
    assert_eq!(decide(&fall, before), [a, a, a, f, f, f, f]);
}

#[test]
fn what_ended_long_ago_can_still_be_withdrawn() {
    let until = Some(at("2024-01-01T00:00:00Z"));
    let issued = question(Some(at("2023-01-01T00:00:00Z")));
    let ended = Accreditation { until, ..accreditation() };
    assert_eq!(decided(vec![ended], &issued), AccreditationRule::EndedSince);
    let fallen = Accreditation { until, ..withdrawn(MARCH, EarlierCredentials::BecomeInvalid) };
    assert_eq!(decided(vec![fallen], &issued), AccreditationRule::Fallen);
}

#[test]
fn an_issuer_that_came_back() {
    let again = Accreditation { from: at("2026-06-01T00:00:00Z"), ..accreditation() };
    let issued = |earlier, issued: Option<&str>| {
        decided(vec![withdrawn(MARCH, earlier), again.clone()], &question(issued.map(at)))
    };
    let (february, april, july) = ("2026-02-01T00:00:00Z", "2026-04-01T00:00:00Z", "2026-07-01T00:00:00Z");
    for (earlier, in_february, undated) in [
        (EarlierCredentials::StayValid, AccreditationRule::WithdrawnSince, AccreditationRule::Accredited),
        // A credential without a date may be from before.
        (EarlierCredentials::BecomeInvalid, AccreditationRule::Fallen, AccreditationRule::IssueDateUnknown),
    ] {
        assert_eq!(issued(earlier, Some(february)), in_february);
        assert_eq!(issued(earlier, Some(april)), AccreditationRule::Withdrawn);
        assert_eq!(issued(earlier, Some(july)), AccreditationRule::Accredited);
        assert_eq!(issued(earlier, None), undated);
    }
    // That another type fell says nothing of this one.
    let other = Accreditation { types: vec!["X".to_owned()], ..withdrawn(MARCH, EarlierCredentials::BecomeInvalid) };
    assert_eq!(decided(vec![other, accreditation()], &question(None)), AccreditationRule::Accredited);
}

#[test]
fn countries_and_levels_are_limits() {
    let limited = Accreditation {
        jurisdictions: Some(vec!["DE".to_owned(), "AT".to_owned()]),
        max_level: Some(6),
        ..accreditation()
    };
    let asked = |jurisdiction: Option<&str>, level| AccreditationQuestion {
        jurisdiction: jurisdiction.map(str::to_owned),
        level,
        ..question(None)
    };
    let rule = |jurisdiction, level| decided(vec![limited.clone()], &asked(jurisdiction, level));
    assert_eq!(rule(Some("DE"), Some(6)), AccreditationRule::Accredited);
    assert_eq!(rule(Some("AT"), Some(1)), AccreditationRule::Accredited);
    assert_eq!(rule(Some("FR"), Some(6)), AccreditationRule::OutsideJurisdiction);
    assert_eq!(rule(Some("de"), Some(6)), AccreditationRule::OutsideJurisdiction);
    assert_eq!(rule(Some("DE"), Some(7)), AccreditationRule::AboveLevel);
    // An unknown country is not within a limit.
    assert_eq!(rule(None, Some(6)), AccreditationRule::JurisdictionUnknown);
    assert_eq!(rule(Some("DE"), None), AccreditationRule::LevelUnknown);
    assert_eq!(decided(vec![accreditation()], &asked(Some("FR"), Some(8))), AccreditationRule::Accredited);
    // Two limits are not mixed: up to 6 in Germany and 8 in France is not 8 in Germany.
    let france = Accreditation { jurisdictions: Some(vec!["FR".to_owned()]), max_level: Some(8), ..accreditation() };
    let both =
        |jurisdiction, level| decided(vec![limited.clone(), france.clone()], &asked(Some(jurisdiction), Some(level)));
    assert_eq!((both("FR", 8), both("DE", 6)), (AccreditationRule::Accredited, AccreditationRule::Accredited));
    assert_eq!(both("DE", 8), AccreditationRule::AboveLevel);
}

#[test]
fn registrars_are_judged_as_issuers_are() {
    let list = list(&contents());
    let asked = |jurisdiction: Option<&str>| {
        let jurisdiction = jurisdiction.map(str::to_owned);
        list.decide(
            &AccreditationQuestion {
                jurisdiction,
                ..AccreditationQuestion::for_registration("did:web:registrar.example")
            },
            now(),
        )
    };
    asked(Some("AT")).require_accepted().unwrap();
    refused(asked(Some("FR")).require_accepted(), Code::RegistrarUntrusted);
    assert_eq!(asked(None).rule, AccreditationRule::JurisdictionUnknown);
}

#[test]
fn a_decision_tells_its_reason() {
    let limited = Accreditation { jurisdictions: Some(vec!["DE".to_owned()]), max_level: Some(6), ..accreditation() };
    let mut fallen = withdrawn(MARCH, EarlierCredentials::BecomeInvalid);
    fallen.withdrawal.as_mut().unwrap().reason = Some("Diplomas were sold.".to_owned());
    let list = list(&with_issuer(vec![fallen.clone(), limited]));
    let why = list.decide(&question(Some(at("2026-02-01T00:00:00Z"))), now());
    assert_eq!(
        (why.sequence, why.rule, why.name.as_deref()),
        (1, AccreditationRule::JurisdictionUnknown, Some("University of Example"))
    );
    assert_eq!(why.accreditation.as_ref().map(|(at, _)| *at), Some(1));
    assert_eq!(
        why.to_string(),
        "did:web:uni.example as issuer of QualificationCredential: refused. Its accreditation is limited to some \
         countries, and the country is unknown. (rule jurisdiction_unknown, trust list 1, entry \"University of \
         Example\", accreditation 2: from 2020-01-01, for DE, up to level 6)"
    );
    let why = self::list(&with_issuer(vec![fallen.clone()])).decide(&question(Some(at("2026-02-01T00:00:00Z"))), now());
    assert_eq!(why.accreditation, Some((0, fallen)));
    assert!(why.to_string().ends_with(
        "accreditation 1: from 2020-01-01, withdrawn from 2026-03-01 on (what was issued before falls): Diplomas were sold.)"
    ));
    let said = |until: &str| Accreditation { until: Some(at(until)), ..accreditation() }.to_string();
    assert_eq!(said("2026-02-28T23:59:59Z"), "from 2020-01-01 until 2026-02-28");
    assert_eq!(said("2026-02-28T12:00:00Z"), "from 2020-01-01 until 2026-02-28T12:00:00Z");
    // A stranger's text does nothing to its line.
    let stranger = list.decide(&AccreditationQuestion::for_issuance("did:web:a\u{202e}\u{1b}[2J", "X\n"), now());
    assert_eq!(stranger.rule, AccreditationRule::NotListed);
    assert!(!stranger.to_string().contains(['\u{202e}', '\u{1b}', '\n']));
}

#[test]
fn rules_have_names_of_their_own() {
    let names: BTreeSet<&str> = AccreditationRule::ALL.iter().map(|rule| rule.as_str()).collect();
    assert_eq!(names.len(), AccreditationRule::ALL.len());
    let accepting: Vec<AccreditationRule> =
        AccreditationRule::ALL.iter().copied().filter(|rule| rule.accepts()).collect();
    assert_eq!(
        accepting,
        AccreditationRule::ALL[AccreditationRule::ALL.len() - 3..],
        "acceptance is last in the order"
    );
}

/// Copies bear the beginning of the epoch in which they were issued, and an accreditation begins on any day.
#[test]
fn what_is_issued_in_the_epoch_in_which_an_accreditation_begins_is_accepted() {
    use AccreditationRule::{Accredited, NotYetAccredited};
    let (mid_march, quarter) = (at("2026-03-17T00:00:00Z"), at("2026-01-01T00:00:00Z"));
    let begun = |from: Timestamp, epoch| Accreditation { from, epoch, ..accreditation() };
    let issued = |day: Timestamp| question(Some(day));
    for (epoch, first) in [
        (None, MARCH),
        (Some(Epoch::Month), MARCH),
        (Some(Epoch::Week), "2026-03-16T00:00:00Z"),
        (Some(Epoch::Day), "2026-03-17T00:00:00Z"),
        (Some(Epoch::Quarter), "2026-01-01T00:00:00Z"),
    ] {
        let accreditation = || vec![begun(mid_march, epoch)];
        assert_eq!(decided(accreditation(), &issued(at(first))), Accredited, "{epoch:?}");
        assert_eq!(decided(accreditation(), &issued(at(first).plus(-1))), NotYetAccredited, "{epoch:?}");
    }
    // One that began the month after refuses what was issued in March, and so does one that is to begin.
    assert_eq!(decided(vec![begun(at("2026-04-01T00:00:00Z"), None)], &issued(at(MARCH))), NotYetAccredited);
    assert_eq!(decided(vec![begun(at("2026-04-17T00:00:00Z"), None)], &issued(at(MARCH))), NotYetAccredited);
    let to_begin = now().plus(3_600);
    assert_eq!(decided(vec![begun(to_begin, Some(Epoch::Quarter))], &issued(quarter)), NotYetAccredited);
    // A registrar's registrations bear their own instant.
    let registrar = Accreditation { types: Vec::new(), ..begun(mid_march, None) };
    let registrar_did = "did:web:registrar.example";
    let list = list(&TrustListContents { registrars: vec![entry(registrar_did, vec![registrar])], ..contents() });
    let registered = |day: Timestamp| AccreditationQuestion {
        issued_at: Some(day),
        ..AccreditationQuestion::for_registration(registrar_did)
    };
    assert_eq!(list.decide(&registered(mid_march.plus(-1)), now()).rule, NotYetAccredited);
    assert_eq!(list.decide(&registered(mid_march), now()).rule, Accredited);
}
