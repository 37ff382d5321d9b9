//! Freshness statements: short-lived statements by the issuer that one copy of a credential was recently valid, which
//! the holder includes in a presentation ("stapling").
//!
//! A statement identifies its copy by the digest of the issuer-signed JWT, and names no person. A verifier that
//! receives one needs no status list and no network. An issuer signs statements for several epochs of six hours at
//! once, and a wallet staples the oldest that the verifier accepts, so that verifiers cannot compare refresh times. The
//! holder requests statements by the handle of the copy, which can be computed only with all of its disclosures.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::{Map, Value};
use sha2::{Digest as _, Sha256};

use super::ListValidity;
use crate::{
    Code, Problem,
    did::{Did, DidUrl, Resolve, VerificationRelationship},
    keys::Signer,
    secure::{
        jose::{self, Jws, KeyRef, numeric_date},
        sd_jwt::SdJwt,
    },
    time::Timestamp,
};

/// The `typ` of a freshness statement.
pub const TYP: &str = "carnet-freshness+jwt";

/// Member of the key-binding JWT that contains a stapled statement.
pub const KEY_BINDING_MEMBER: &str = "carnet_freshness";

/// Member of the request's `carnet` object with the maximum age of a statement, in seconds (within [`LIFETIME_RANGE`]). Its
/// presence requests a statement.
pub const MAX_AGE_MEMBER: &str = "freshness_seconds_max";

/// Length of an epoch, in seconds: the times in statements are multiples of it, since finer times would distinguish
/// copies.
pub const EPOCH_SECONDS: u32 = 21_600;

/// Permitted lifetimes of a statement and maximum ages in a request: twelve hours to seven days, in seconds, both
/// included.
pub const LIFETIME_RANGE: std::ops::RangeInclusive<u32> = 43_200..=604_800;

/// Prefix of the hash input of handles, for domain separation.
const HANDLE_TAG: &[u8] = b"carnet-freshness-handle/1\0";

/// Permitted members of a statement: those of its header, and those of its payload.
const PERMITTED_MEMBERS: ([&str; 3], [&str; 3]) = (["alg", "kid", "typ"], ["copy", "exp", "iat"]);

/// Default lifetime of a freshness statement: one day, in seconds.
pub const DEFAULT_LIFETIME: i64 = crate::day::SECONDS;

/// Minimum remaining lifetime of a statement when it is stapled, in seconds, to allow for clock differences and
/// transmission.
pub const MIN_REMAINING_SECONDS: i64 = 120;

/// Maximum number of statements about one copy that an issuer signs at once: for the current epoch and the three before
/// it.
const EPOCHS_GIVEN: u32 = 4;

/// Returns the digest that identifies a copy in a statement: base64url of SHA-256 over its issuer-signed JWT, without
/// disclosures.
#[must_use]
pub fn copy_digest(copy: &SdJwt) -> String {
    URL_SAFE_NO_PAD.encode(Sha256::digest(copy.jws().as_str().as_bytes()))
}

/// Returns the handle by which the holder requests statements: tagged SHA-256 over the issuer-signed JWT and all
/// disclosures, in byte order, each after a tilde (spec/freshness.md 1.3). A key binding is ignored.
#[must_use]
pub fn copy_handle(copy: &str) -> [u8; 32] {
    let issued = copy.rsplit_once('~').map_or(copy, |(issued, _)| issued);
    let mut parts = issued.split('~');
    let mut hash = Sha256::new_with_prefix(HANDLE_TAG);
    hash.update(parts.next().unwrap_or_default());
    let mut disclosures: Vec<&str> = parts.collect();
    disclosures.sort_unstable();
    for disclosure in disclosures {
        hash.update("~");
        hash.update(disclosure);
    }
    hash.finalize().into()
}

/// Returns the start of the epoch that contains `now`.
#[must_use]
pub fn epoch_start(now: Timestamp) -> Timestamp {
    Timestamp::from_unix(now.unix().saturating_sub(now.unix().rem_euclid(EPOCH_SECONDS.into())))
}

/// Returns the `iat` of each statement that an issuer signs for one copy at `now`, newest first: the starts of the
/// current epoch and of up to three earlier ones, as far as a statement with a lifetime of `seconds` is valid until the
/// end of the current epoch (spec/freshness.md 1.6).
pub fn issue_times(now: Timestamp, seconds: u32) -> impl Iterator<Item = Timestamp> {
    let newest = epoch_start(now);
    let count = EPOCHS_GIVEN.min(seconds / EPOCH_SECONDS);
    (0..count).map(move |before| newest.plus(i64::from(EPOCH_SECONDS.saturating_mul(before)).saturating_neg()))
}

/// Selects the statement to staple for a verifier with a maximum age of `max_age` seconds: the oldest that is within
/// this age and no older than a day. `statements` are pairs of start and end of validity; returns an index in them, or
/// `None` if the verifier would accept none.
///
/// Every wallet that refreshed recently has this statement, so that it does not reveal the time of the refresh. A
/// wallet that refreshed earlier lacks it, and staples the newest one that begins at 00:00 UTC if the verifier accepts
/// it, otherwise its newest.
pub fn choose_statement(
    statements: impl Iterator<Item = (Timestamp, Timestamp)>,
    max_age: u32,
    now: Timestamp,
) -> Option<usize> {
    let latest = now.plus(MIN_REMAINING_SECONDS);
    let is_within = |since: Timestamp, age: i64| latest <= since.plus(age);
    let rank = |since: Timestamp| match since.unix() {
        // First the oldest of the last day, then the newest of midnight, then the newest.
        at if is_within(since, DEFAULT_LIFETIME) => (2, at.saturating_neg()),
        at => (i32::from(since.start_of_day() == since), at),
    };
    let usable = statements.enumerate().filter(|(_, (since, until))| {
        // A statement that does not start at an epoch would be refused.
        epoch_start(*since) == *since && *since <= now && latest < *until && is_within(*since, max_age.into())
    });
    usable.max_by_key(|(_, (since, _))| rank(*since)).map(|(index, _)| index)
}

/// Signs a statement that the issuer found the copy with this digest valid, at some time in the four epochs from
/// `since`. `since` is its `iat`, and `seconds` its lifetime.
///
/// # Errors
/// `malformed_value` or `invalid_encoding` if `digest` is malformed; `malformed_value` if `since` is not the start of
/// an epoch, or `seconds` is not a multiple of the epoch within [`LIFETIME_RANGE`]; `algorithm_forbidden` for a P-384 key;
/// `proof_generation`.
pub fn issue_statement(
    digest: &str,
    kid: &str,
    since: Timestamp,
    seconds: i64,
    signer: &dyn Signer,
) -> Result<String, Problem> {
    if digest.len() != 43 || jose::decode_base64url(digest, "digest")?.len() != 32 {
        return Err(Problem::new(Code::MalformedValue, "the copy's digest is not a base64url SHA-256"));
    }
    let until = since.plus(seconds);
    require_times(since, until)?;
    let header = Map::from_iter([("typ".to_owned(), Value::from(TYP)), ("kid".to_owned(), Value::from(kid))]);
    let payload = Map::from_iter([
        ("copy".to_owned(), Value::from(digest)),
        ("iat".to_owned(), since.unix().into()),
        ("exp".to_owned(), until.unix().into()),
    ]);
    jose::sign(header, &payload, signer)
}

/// Verifies a statement by `issuer` about this copy at `now`, and returns its validity. The copy itself is not
/// verified.
///
/// # Errors
/// `token_type`, `header_key_unanchored` (no `kid`); `status_list_issuer` (another issuer than the copy's);
/// `key_invalid` (the issuer's key has expired); `status_list_mismatch` (another copy); `status_list_stale` (expired,
/// or issued in the future); `claim_missing`; `malformed_value` (unknown members in header or payload, times that are
/// not starts of epochs, or a lifetime outside [`LIFETIME_RANGE`]); those of [`Jws::parse`], [`Jws::verify`] and of resolving
/// the issuer's key.
pub fn verify_statement(
    statement: &str,
    copy: &SdJwt,
    issuer: &str,
    now: Timestamp,
    skew: i64,
    resolver: &dyn Resolve,
) -> Result<ListValidity, Problem> {
    let jws = Jws::parse(statement)?;
    jws.require_typ(TYP)?;
    let KeyRef::Kid(kid) = jws.key_ref() else {
        return Err(Problem::new(Code::HeaderKeyUnanchored, "the freshness statement has no kid"));
    };
    let url = DidUrl::parse(kid)?;
    if url.did().as_str() != issuer {
        return Err(Problem::new(
            Code::StatusListIssuer,
            "the freshness statement is not signed by the credential's issuer",
        ));
    }
    let document = resolver.resolve(&Did::parse(issuer)?)?;
    jws.verify(&document.current_key_for(&url, VerificationRelationship::AssertionMethod, now, skew)?)?;
    jws.require_known_members(&PERMITTED_MEMBERS.0, &PERMITTED_MEMBERS.1)?;
    let payload = jws.payload();
    if payload.get("copy").and_then(Value::as_str) != Some(copy_digest(copy).as_str()) {
        return Err(Problem::new(Code::StatusListMismatch, "the freshness statement is for another copy"));
    }
    let missing = |claim: &str| Problem::new(Code::ClaimMissing, format!("the freshness statement has no {claim}"));
    let issued = whole_seconds(payload, "iat")?.ok_or_else(|| missing("iat"))?;
    let until = whole_seconds(payload, "exp")?.ok_or_else(|| missing("exp"))?;
    require_times(issued, until)?;
    let freshness = ListValidity { issued_at: issued, expires_at: Some(until), ttl: None };
    freshness.require_usable(now, now, skew)?;
    Ok(freshness)
}

/// Returns a time that is an integer. Other notations, such as a fraction, could distinguish the statements of copies.
fn whole_seconds(payload: &Map<String, Value>, name: &str) -> Result<Option<Timestamp>, Problem> {
    if payload.get(name).is_some_and(|time| time.as_i64().is_none()) {
        return Err(Problem::new(Code::MalformedValue, format!("{name} is not a whole number of seconds")));
    }
    numeric_date(payload, name)
}

fn require_times(issued: Timestamp, until: Timestamp) -> Result<(), Problem> {
    let whole = [issued, until].iter().all(|time| epoch_start(*time) == *time);
    let seconds = u32::try_from(until.unix().saturating_sub(issued.unix()));
    if whole && seconds.is_ok_and(|seconds| LIFETIME_RANGE.contains(&seconds)) {
        return Ok(());
    }
    let why = "a freshness statement's times are 00:00, 06:00, 12:00 or 18:00 UTC, twelve hours to seven days apart";
    Err(Problem::new(Code::MalformedValue, why))
}

#[cfg(test)]
// Tests are a caller of core's, and a caller has randomness.
#[allow(clippy::disallowed_types)]
mod tests {
    use rand_core::OsRng;
    use serde_json::json;

    use super::*;
    use crate::{
        did::SelfContainedResolver,
        keys::{SecretKey, SignatureAlgorithm},
        secure::sd_jwt::{self, IssueOptions},
    };

    fn now() -> Timestamp {
        Timestamp::parse("2026-11-22T12:00:00Z").unwrap()
    }

    fn copy(key: &SecretKey) -> SdJwt {
        let options = IssueOptions {
            typ: "vc+sd-jwt",
            kid: "k",
            disclosable: &[],
            ordered_claims: &[],
            holder_key: None,
            decoys_to_multiple_of: 0,
            padded_arrays: &[],
        };
        // Each copy has something of its own; here it is enough that it says so.
        let mut id = [0; 8];
        rand_core::RngCore::fill_bytes(&mut OsRng, &mut id);
        let payload = json!({"own": URL_SAFE_NO_PAD.encode(id)}).as_object().unwrap().clone();
        SdJwt::parse(&sd_jwt::issue(&payload, &options, key, &mut OsRng).unwrap()).unwrap()
    }

    fn kid(key: &SecretKey) -> String {
        format!("{}#0", Did::did_jwk(&key.public_key()))
    }

    #[track_caller]
    fn refused(result: Result<ListValidity, Problem>, code: Code) {
        assert_eq!(result.unwrap_err().code, code);
    }

    #[test]
    fn a_statement_holds_for_its_copy_its_issuer_and_its_time() {
        let key = SecretKey::generate(SignatureAlgorithm::EdDsa, &mut OsRng);
        let (mine, other) = (copy(&key), copy(&key));
        let issuer = Did::did_jwk(&key.public_key()).to_string();
        let statement = issue_statement(&copy_digest(&mine), &kid(&key), now(), DEFAULT_LIFETIME, &key).unwrap();
        let at = |copy: &SdJwt, issuer: &str, seconds: i64| {
            verify_statement(&statement, copy, issuer, now().plus(seconds), 60, &SelfContainedResolver)
        };
        assert_eq!(at(&mine, &issuer, 0).unwrap().issued_at, now());
        refused(at(&other, &issuer, 0), Code::StatusListMismatch);
        refused(at(&mine, "did:web:other.example", 0), Code::StatusListIssuer);
        for (seconds, holds) in [(-61, false), (-60, true), (86_460, true), (86_461, false)] {
            assert_eq!(at(&mine, &issuer, seconds).is_ok(), holds, "{seconds}");
        }
    }

    #[test]
    fn a_statement_by_another_key_or_of_another_type_is_none() {
        let (key, thief) = (
            SecretKey::generate(SignatureAlgorithm::EdDsa, &mut OsRng),
            SecretKey::generate(SignatureAlgorithm::EdDsa, &mut OsRng),
        );
        let mine = copy(&key);
        let issuer = Did::did_jwk(&key.public_key()).to_string();
        let check = |statement: &str| verify_statement(statement, &mine, &issuer, now(), 60, &SelfContainedResolver);
        let by = |signer: &SecretKey| {
            issue_statement(&copy_digest(&mine), &kid(&key), now(), DEFAULT_LIFETIME, signer).unwrap()
        };
        assert!(check(&by(&key)).is_ok());
        refused(check(&by(&thief)), Code::SignatureInvalid);
        refused(check(mine.jws().as_str()), Code::TokenType);
        assert_eq!(
            issue_statement("x", &kid(&key), now(), DEFAULT_LIFETIME, &key).unwrap_err().code,
            Code::MalformedValue
        );
    }

    /// Freshness statement of a copy for a day, with header and payload changed before they are signed.
    fn changed(change: impl FnOnce(&mut Map<String, Value>, &mut Map<String, Value>)) -> Result<ListValidity, Problem> {
        let key = SecretKey::generate(SignatureAlgorithm::EdDsa, &mut OsRng);
        let (mine, at) = (copy(&key), now().unix());
        let object = |value: Value| value.as_object().unwrap().clone();
        let mut header = object(json!({"typ": TYP, "kid": kid(&key)}));
        let mut payload =
            object(json!({"copy": copy_digest(&mine), "iat": at, "exp": at.saturating_add(DEFAULT_LIFETIME)}));
        change(&mut header, &mut payload);
        let statement = jose::sign(header, &payload, &key).unwrap();
        verify_statement(&statement, &mine, Did::did_jwk(&key.public_key()).as_str(), now(), 60, &SelfContainedResolver)
    }

    #[test]
    fn row_96_a_statement_with_more_members_than_its_form() {
        assert!(changed(|_, _| {}).is_ok());
        for name in ["nbf", "iss", "sub", "jti", "status", "x"] {
            refused(changed(|_, payload| drop(payload.insert(name.to_owned(), json!(1)))), Code::MalformedValue);
        }
        for name in ["cty", "iat", "x"] {
            refused(changed(|header, _| drop(header.insert(name.to_owned(), json!("a")))), Code::MalformedValue);
        }
        for name in ["iat", "exp"] {
            refused(changed(|_, payload| drop(payload.remove(name))), Code::ClaimMissing);
        }
    }

    #[test]
    fn row_96_a_statement_with_times_that_its_form_has_not() {
        let times = |from: i64, until: i64| {
            changed(|_, payload| {
                payload.insert("iat".to_owned(), (now().unix() + from).into());
                payload.insert("exp".to_owned(), (now().unix() + until).into());
            })
        };
        for (from, until) in [(0, 43_200), (0, 604_800), (-21_600, 21_600)] {
            assert!(times(from, until).is_ok(), "{from} {until}");
        }
        for (from, until) in [
            (-1, 86_399),
            (1, 86_401),
            (0, 86_399),
            (0, 21_600),
            (0, 0),
            (0, 626_400),
            (0, 31_536_000),
            (-3_600, 82_800),
            (0, 46_800),
            (3_600, 90_000),
        ] {
            refused(times(from, until), Code::MalformedValue);
            let key = SecretKey::generate(SignatureAlgorithm::EdDsa, &mut OsRng);
            let made = issue_statement(&copy_digest(&copy(&key)), &kid(&key), now().plus(from), until - from, &key);
            assert_eq!(made.unwrap_err().code, Code::MalformedValue);
        }
        // A fraction, which other NumericDates may have, could tell statements apart.
        for name in ["iat", "exp"] {
            let add = |payload: &mut Map<String, Value>| {
                let time = payload[name].as_f64().unwrap() + 0.5;
                payload.insert(name.to_owned(), time.into());
            };
            refused(changed(|_, payload| add(payload)), Code::MalformedValue);
        }
        refused(
            changed(|_, payload| drop(payload.insert("exp".to_owned(), json!(9_007_199_254_740_991_i64)))),
            Code::MalformedValue,
        );
        refused(
            changed(|_, payload| drop(payload.insert("iat".to_owned(), json!(-9_007_199_254_740_991_i64)))),
            Code::MalformedValue,
        );
    }

    #[test]
    fn a_handle_is_of_the_whole_copy_in_any_order_and_is_not_its_digest() {
        // Expected by another implementation: printf 'carnet-freshness-handle/1\0a.b.c~ZA~ZQ' | sha256sum
        let expected = "645b63f8e9d61845d951bd4f25e378b44a025dff2a82ac29500db88c7ba3ff25";
        let hex = |copy: &str| base16ct::lower::encode_string(&copy_handle(copy));
        for whole in ["a.b.c~ZA~ZQ~", "a.b.c~ZQ~ZA~", "a.b.c~ZQ~ZA~kb.kb.kb"] {
            assert_eq!(hex(whole), expected, "{whole}");
        }
        for part in ["a.b.c~", "a.b.c~ZA~", "a.b.c~ZQ~", "a.b.c~ZAZQ~", "a.b.d~ZA~ZQ~", "a.b.c~ZA~ZQ~ZR~"] {
            assert_ne!(hex(part), expected, "{part}");
        }
        // Of a copy without disclosures it is another digest than the one that statements have in public.
        assert_ne!(copy_handle("a.b.c~").as_slice(), Sha256::digest("a.b.c").as_slice());
    }

    #[test]
    fn statements_of_one_answer_hold_until_the_end_of_the_epoch() {
        for (seconds, count) in [(43_200, 2), (64_800, 3), (86_400, 4), (604_800, 4)] {
            let times: Vec<i64> = issue_times(now().plus(21_599), seconds).map(Timestamp::unix).collect();
            let expected: Vec<i64> = (0..count).map(|before| now().unix() - 21_600 * before).collect();
            assert_eq!(times, expected, "{seconds}");
            assert!(times.iter().all(|since| since + i64::from(seconds) >= now().unix() + 21_600), "{seconds}");
        }
    }

    /// Beginning of the statement that a wallet staples at `at`, by the time of its refresh.
    fn stapled(refreshed: Timestamp, seconds: u32, max_age: u32, at: Timestamp) -> Option<Timestamp> {
        let held: Vec<Timestamp> = issue_times(refreshed, seconds).collect();
        choose_statement(held.iter().map(|since| (*since, since.plus(seconds.into()))), max_age, at)
            .map(|index| held[index])
    }

    /// Otherwise two verifiers could compare when the wallets refreshed that they saw.
    #[test]
    fn all_wallets_that_can_staple_a_statement_of_a_day_staple_the_same_one() {
        for seconds in [43_200, 64_800, 86_400, 259_200, 604_800] {
            for max_age in [43_200, 50_000, 64_800, 86_399, 86_400] {
                for at in (0..86_400_i64).step_by(617).chain([21_479, 21_480, 21_481, 21_599, 21_600]) {
                    let at = now().plus(at);
                    let refreshes = (0..300_000_i64).step_by(1_801).map(|ago| at.plus(-ago));
                    let all: std::collections::BTreeSet<_> =
                        refreshes.filter_map(|refreshed| stapled(refreshed, seconds, max_age, at)).collect();
                    assert_eq!(all.len(), 1, "{seconds} {max_age} {at} {all:?}");
                }
            }
        }
    }

    #[test]
    fn the_oldest_that_the_asker_takes_is_stapled_and_a_wallet_that_was_away_tells_the_day() {
        let at = |hours: i64| now().plus(hours * 3_600);
        for (refreshed, max_age, asked, expected) in [
            // At 13:00: the epochs began at 12:00, 06:00, 00:00 and 18:00.
            (0, 43_200, 1, Some(-6)),
            (0, 64_800, 1, Some(-12)),
            (0, 86_400, 1, Some(-18)),
            // More than a day is no reason for more.
            (0, 604_800, 1, Some(-18)),
            (-17, 86_400, 1, Some(-18)),
            (-19, 86_400, 1, None),
            // Just refreshed, and a wallet that was away for four days: the day that is in its statements.
            (-96, 604_800, 1, Some(-108)),
            (-91, 604_800, 1, Some(-108)),
            (-85, 604_800, 1, Some(-108)),
            (-84, 604_800, 1, Some(-84)),
            // Midnight is too long ago for this verifier.
            (-85, 345_600, 1, Some(-90)),
            (-168, 604_800, 1, None),
        ] {
            let held = stapled(at(refreshed), 604_800, max_age, at(asked));
            assert_eq!(held, expected.map(at), "{refreshed} {max_age}");
        }
        // None from the future, none that is about to end, none from before there were epochs.
        let only = |since: i64, until: i64| {
            choose_statement([(at(0).plus(since), at(0).plus(until))].into_iter(), 86_400, at(0))
        };
        assert_eq!(
            (only(0, 121), only(0, 120), only(21_600, 64_800), only(-3_600, 40_000)),
            (Some(0), None, None, None)
        );
    }

    #[test]
    fn a_statement_names_nobody() {
        let key = SecretKey::generate(SignatureAlgorithm::EdDsa, &mut OsRng);
        let statement = issue_statement(&copy_digest(&copy(&key)), &kid(&key), now(), DEFAULT_LIFETIME, &key).unwrap();
        let payload = Jws::parse(&statement).unwrap();
        let mut members: Vec<&str> = payload.payload().keys().map(String::as_str).collect();
        members.sort_unstable();
        assert_eq!(members, ["copy", "exp", "iat"]);
    }
}
