//! Properties of any payload and any choice of disclosures.

use proptest::{collection::vec, prelude::*, sample::Index};

use super::*;
use crate::query::values_at;

/// Any JSON that a claim could be: names include those that need escapes, and such as look like ours.
fn claim() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        (-9_007_199_254_740_991i64..=9_007_199_254_740_991).prop_map(Value::from),
        "\\PC{0,12}".prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 32, 5, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..5).prop_map(Value::from),
            vec((member(), inner), 0..5).prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

fn member() -> impl Strategy<Value = String> {
    prop_oneof!["[a-d]", "\\PC{1,8}", Just("_sd_".to_owned()), Just("..".to_owned()), Just("~\"\\".to_owned())]
        .prop_filter("reserved", |name| !["_sd", "...", "_sd_alg"].contains(&name.as_str()))
}

fn payload() -> impl Strategy<Value = Map<String, Value>> {
    vec((member(), claim()), 1..6)
        .prop_map(|members| members.into_iter().map(|(name, value)| (format!("x{name}"), value)).collect::<Map<_, _>>())
}

/// Every place in a document, from the outside in.
fn places(value: &Value, at: ClaimPath, all: &mut Vec<ClaimPath>) {
    let mut visit = |step: Step, value: &Value| {
        let mut path = at.clone();
        path.push(step);
        all.push(path.clone());
        places(value, path, all);
    };
    match value {
        Value::Object(members) => members.iter().for_each(|(name, value)| visit(Step::Name(name.clone()), value)),
        Value::Array(items) => items.iter().enumerate().for_each(|(index, value)| visit(Step::Index(index), value)),
        _ => {}
    }
}

/// Some of the places, as the indices choose.
fn some(of: &[ClaimPath], chosen: &[Index]) -> Vec<ClaimPath> {
    let mut some: Vec<_> =
        if of.is_empty() { vec![] } else { chosen.iter().map(|index| index.get(of).clone()).collect() };
    some.sort();
    some.dedup();
    some
}

/// Computes the expected claims the plain way: everything that is not hidden. A claim is hidden if its path is
/// disclosable and neither leads to, nor lies below, a path that is shown.
fn seen(value: &Value, at: &ClaimPath, disclosable: &[ClaimPath], shown: &[ClaimPath]) -> Value {
    let visible = |path: &ClaimPath| {
        !disclosable.contains(path) || shown.iter().any(|shown| path.starts_with(shown) || shown.starts_with(path))
    };
    let child = |step: Step| at.iter().cloned().chain([step]).collect::<ClaimPath>();
    match value {
        Value::Object(members) => members
            .iter()
            .map(|(name, value)| (name, child(Step::Name(name.clone())), value))
            .filter(|(_, path, _)| visible(path))
            .map(|(name, path, value)| (name.clone(), seen(value, &path, disclosable, shown)))
            .collect::<Map<_, _>>()
            .into(),
        Value::Array(items) => items
            .iter()
            .enumerate()
            .map(|(index, value)| (child(Step::Index(index)), value))
            .filter(|(path, _)| visible(path))
            .map(|(path, value)| seen(value, &path, disclosable, shown))
            .collect(),
        other => other.clone(),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 192, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_subset_of_any_claims_is_shown_and_nothing_else(
        payload in payload(),
        disclosable in vec(any::<Index>(), 0..12),
        shown in vec(any::<Index>(), 0..6),
        decoys in 0usize..5,
        seed in any::<u32>(),
    ) {
        let whole = Value::Object(payload.clone());
        let mut all = Vec::new();
        places(&whole, Vec::new(), &mut all);
        let disclosable = some(&all, &disclosable);
        let shown = some(&all, &shown);
        let key = holder().public_key();
        let options = IssueOptions {
            typ: "vc+sd-jwt", kid: "did:a:b#c", disclosable: &disclosable, ordered_claims: &[], holder_key: Some(&key), decoys_to_multiple_of: decoys,
            padded_arrays: &[],
        };
        let compact = issue(&payload, &options, &issuer(), &mut SeededRng(u64::from(seed) << 32)).unwrap();
        let token = SdJwt::parse(&compact).unwrap();
        prop_assert_eq!(token.disclosure_count(), disclosable.len());
        let mut paths = token.resolve_disclosures().unwrap().disclosure_paths;
        paths.sort();
        prop_assert_eq!(&paths, &disclosable);

        let presentation = token.select_claims(&shown).unwrap().bind_key("nonce", AUDIENCE, NOW, &holder()).unwrap();
        let token = SdJwt::parse(&presentation).unwrap();
        token.verify_signature(&issuer().public_key()).unwrap();
        let expected = KeyBindingRequirements { nonce: "nonce", audience: AUDIENCE, now: NOW, max_age: 60, skew: 0 };
        token.verify_key_binding(&expected).unwrap();
        let disclosed = token.resolve_disclosures().unwrap();
        let mut claims = disclosed.payload.clone();
        prop_assert!(claims.remove("cnf").is_some());
        prop_assert_eq!(Value::Object(claims), seen(&whole, &Vec::new(), &disclosable, &shown));
        // And each disclosure says truly where it belongs.
        for path in &disclosed.disclosure_paths {
            prop_assert_eq!(values_at(&payload, path).len(), 1);
        }
    }

    #[test]
    fn any_byte_changed_is_refused_or_means_the_same(at in any::<Index>(), byte in any::<u8>()) {
        let token = issued(4).select_claims(&[path(json!(["credentialSubject", "outcomes", 0]))]).unwrap();
        let good = token.bind_key("nonce", AUDIENCE, NOW, &holder()).unwrap();
        let mut bytes = good.clone().into_bytes();
        let at = at.index(bytes.len());
        bytes[at] = byte;
        let changed = String::from_utf8_lossy(&bytes).into_owned();
        let verify = |compact: &str| -> Result<_, Problem> {
            let token = SdJwt::parse(compact)?;
            token.jws().require_typ("vc+sd-jwt")?;
            token.verify_signature(&issuer().public_key())?;
            let expected = KeyBindingRequirements { nonce: "nonce", audience: AUDIENCE, now: NOW, max_age: 60, skew: 0 };
            let binding = token.verify_key_binding(&expected)?;
            Ok((token.resolve_disclosures()?.payload, binding))
        };
        let meaning = verify(&good).unwrap();
        if let Ok(other) = verify(&changed) {
            prop_assert_eq!(other, meaning);
            prop_assert_eq!(changed, good, "there is one text for one meaning");
        }
    }

    #[test]
    fn any_text_is_parsed_or_refused(text in "[a-zA-Z0-9_.~-]{0,80}|\\PC{0,40}", tail in "(~|~[a-zA-Z0-9_-]{0,12}){0,4}") {
        let _ = SdJwt::parse(&text);
        // After a token that is right, so that the rest is reached.
        let after = format!("{}{text}{tail}", made(&json!({}), &[]));
        if let Ok(token) = SdJwt::parse(&after) {
            let _ = token.resolve_disclosures();
        }
    }

    #[test]
    fn any_payload_is_resolved_or_refused(mut payload in payload(), digests in vec(claim(), 0..4)) {
        payload.insert("_sd".to_owned(), digests.into());
        let token = SdJwt::parse(&made(&Value::Object(payload.clone()), &[])).unwrap();
        if let Ok(disclosed) = token.resolve_disclosures() {
            payload.remove("_sd");
            prop_assert_eq!(disclosed.payload, payload);
        }
    }
}
