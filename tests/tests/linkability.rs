//! Linkability of one person by two verifiers, from everything that each of them was sent and has stored.

use std::collections::BTreeSet;

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use carnet_tests::{
    Result,
    stage::{Office, Stage, residence_permit},
    visitor,
};
use serde_json::Value;

/// Every string and number in a JSON value, and every name.
fn atoms(value: &Value, found: &mut BTreeSet<String>) {
    match value {
        Value::Null | Value::Bool(_) => {}
        Value::Number(number) => drop(found.insert(number.to_string())),
        Value::String(text) => drop(found.insert(text.clone())),
        Value::Array(items) => items.iter().for_each(|item| atoms(item, found)),
        Value::Object(members) => {
            for (name, value) in members {
                found.insert(name.clone());
                atoms(value, found);
            }
        }
    }
}

/// Decodes JSON in base64url; null if it is none.
fn json(text: &str) -> Value {
    URL_SAFE_NO_PAD.decode(text).ok().and_then(|bytes| serde_json::from_slice(&bytes).ok()).unwrap_or_default()
}

/// Everything in a presentation: both tokens with their signatures, and every disclosure with its salt.
fn sent(presentation: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for part in presentation.split('~') {
        found.insert(part.to_owned());
        // A token has a header, a payload and a signature, which is no JSON; a disclosure has one part.
        for part in part.split('.') {
            found.insert(part.to_owned());
            atoms(&json(part), &mut found);
        }
    }
    found
}

/// Returns every run of letters, digits and identifier characters in the files of a service's store.
fn stored(office: &Office) -> Result<BTreeSet<String>> {
    let mut found = BTreeSet::new();
    for entry in std::fs::read_dir(&office.service.data)? {
        let path = entry?.path();
        if path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("store.sqlite")) {
            let bytes = std::fs::read(path)?;
            let runs = bytes.split(|byte| !(byte.is_ascii_alphanumeric() || b"-_:/#.+=%@".contains(byte)));
            let texts = runs.filter(|run| run.len() >= 12).filter_map(|run| std::str::from_utf8(run).ok());
            found.extend(texts.map(str::to_owned));
        }
    }
    Ok(found)
}

#[tokio::test(flavor = "multi_thread")]
async fn two_verifiers_have_nothing_in_common_but_what_was_disclosed() -> Result<()> {
    let stage = Stage::set(false).await?;
    let other = stage.open_stranger()?;
    let offered = stage.offer(&stage.authority, "ResidencePermitCredential", &residence_permit(), &[])?;
    let now = visitor::now();
    let copies = visitor::collect_copies(&offered.uri, None, 2, now).await?;
    let mut seen = Vec::new();
    for (office, copy) in [&stage.agency, &other].into_iter().zip(&copies) {
        let asked = visitor::read_request(&stage.request_of(office, &["--template", "job-right-to-work"])?.1).await?;
        let presentation = visitor::present(copy, &asked, now)?;
        assert_eq!(visitor::refusal(&visitor::submit(&asked, presentation.clone()).await), None);
        seen.push((office, presentation, asked));
    }
    let [(first, shown, asked), (second, shown_too, asked_too)] = &seen[..] else { panic!("there are two") };

    // The members that every copy of that day with the same claims has: taken from somebody else's copy, so that
    // nothing of this person can excuse itself.
    let mut claims = residence_permit();
    for (name, value) in [("givenName", "Somebody"), ("familyName", "Else"), ("documentNumber", "AB7654321")] {
        claims[name] = value.into();
    }
    let theirs = stage.offer(&stage.authority, "ResidencePermitCredential", &claims, &[])?;
    let theirs = visitor::collect(&theirs.uri, None, now).await?;
    let elsewhere =
        visitor::read_request(&stage.request_of(&stage.agency, &["--template", "job-right-to-work"])?.1).await?;
    let of_everybody = sent(&visitor::present(&theirs, &elsewhere, now)?);

    let (here, there) = (sent(shown), sent(shown_too));
    assert!(here.len() > 30 && there.len() > 30, "everything was taken apart");
    let common: BTreeSet<&String> = here.intersection(&there).filter(|atom| !of_everybody.contains(*atom)).collect();
    assert!(common.is_empty(), "both were sent {common:?}");

    // Data of one store that only a copy could have brought is neither in the other store, nor was it sent to the
    // other.
    let (kept, kept_too) = (stored(first)?, stored(second)?);
    assert!(
        kept.iter().any(|text| text.contains(&asked.id)) && kept_too.iter().any(|text| text.contains(&asked_too.id))
    );
    let own = |sent: &BTreeSet<String>| -> BTreeSet<String> {
        sent.iter().filter(|atom| atom.len() >= 12 && !of_everybody.contains(*atom)).cloned().collect()
    };
    for (mine, theirs) in [(own(&here), &kept_too), (own(&there), &kept)] {
        let leaked: Vec<&String> = mine.iter().filter(|atom| theirs.iter().any(|text| text.contains(*atom))).collect();
        assert!(leaked.is_empty(), "{leaked:?}");
    }
    // Nor does a verifier keep data that would recognise the copy: key, salts, digests, signatures.
    let mut of_the_request: BTreeSet<String> = BTreeSet::new();
    of_the_request.extend([asked.nonce.clone(), asked.audience.clone()]);
    for atom in own(&here).iter().filter(|atom| !of_the_request.contains(*atom)) {
        assert!(!kept.iter().any(|text| text.contains(atom)), "the verifier keeps {atom}");
    }
    // The test would see it if there were something: a copy that is shown twice has its key in common.
    let asked = visitor::read_request(&stage.request_of(&other, &["--template", "job-right-to-work"])?.1).await?;
    let again = sent(&visitor::present(&copies[0], &asked, now)?);
    assert!(here.intersection(&again).any(|atom| !of_everybody.contains(atom)));
    Ok(())
}
