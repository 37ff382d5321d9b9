//! Status lists that somebody signs for an issuer (spec/status.md 5.2), in every form.

use super::{status::*, *};
use crate::{
    did::{DidDocument, DidUrl},
    secure::data_integrity::Cryptosuites,
    status::{
        MIN_ENTRIES, StatusState,
        publication::{ListFormat, PublicationParameters, UnsignedStatusList},
    },
};

/// `world`'s document as published, with a second signer of its lists.
fn naming(world: &World, other: Option<&str>) -> Arc<DidDocument> {
    let did = Did::parse(&world.did()).unwrap();
    let rendered = DidDocument::json_for_keys(&did, &[("0".to_owned(), world.issuer.public_key())]);
    let mut rendered = DidDocument::with_status_lists(&did, rendered, "https://issuer.example/status/lists");
    if let Some(other) = other {
        rendered["service"][0]["statusListIssuer"] = other.into();
    }
    Arc::new(DidDocument::parse(&did, &rendered).unwrap())
}

/// Every form in which `by` signs a list that says this, a token in both of its own, with its URL.
fn every_form(by: &World, state: StatusState) -> Vec<(String, Vec<u8>)> {
    let terms = (by.now, DAY, 300);
    let mut every: Vec<_> =
        ListFormat::ALL.map(|form| (url(form), signed(by, form, MIN_ENTRIES, state, terms).into_bytes())).into();
    let mut publication = UnsignedStatusList::new(MIN_ENTRIES).unwrap();
    publication.set_state(MINE, state).unwrap();
    let (kid, url) = (DidUrl::parse(&format!("{}#0", by.did())).unwrap(), url(ListFormat::Token));
    let terms = PublicationParameters { kid: &kid, url: &url, now: by.now, lifetime_seconds: DAY, ttl: 300 };
    let cwt = publication.sign_cwt(&terms, &by.issuer).unwrap();
    every.push((url, cwt));
    every
}

/// Reads a list as one about the credentials of `world`, by the documents that `world` knows.
fn read_for(world: &World, (url, bytes): &(String, Vec<u8>)) -> Result<VerifiedStatusList, Problem> {
    let did = Did::parse(&world.did()).unwrap();
    VerifiedStatusList::verify(bytes, url, &did, (world.now, 60), (world, &Cryptosuites::jcs()))
}

#[test]
fn row_59_a_list_by_whom_the_issuer_names_and_by_nobody_else() {
    let (mut world, service, stranger) = (World::new(), World::new(), World::new());
    let code = |result: Result<VerifiedStatusList, Problem>| result.map(drop).map_err(|problem| problem.code);
    let refused = Err(Code::StatusListIssuer);
    world.issuers_document = Some(naming(&world, Some(&service.did())));
    for by in [&world, &service] {
        for list in every_form(by, StatusState::Valid) {
            let listed = read_for(&world, &list).unwrap();
            assert_eq!((listed.signer().as_str(), listed.credential_issuer().as_str()), (&*by.did(), &*world.did()));
        }
    }
    for list in every_form(&stranger, StatusState::Valid) {
        assert_eq!(code(read_for(&world, &list)), refused);
    }
    // A signer that it does not name, and one that is named by a named signer.
    for named in [None, Some(world.did())] {
        let mut other = World::new();
        other.issuers_document = Some(naming(&other, named.as_deref()));
        for (own, by_service) in
            every_form(&other, StatusState::Valid).iter().zip(every_form(&service, StatusState::Valid))
        {
            assert_eq!(code(read_for(&other, own)), Ok(()));
            assert_eq!(code(read_for(&other, &by_service)), refused);
        }
    }
    // In the issuer's name it signs nothing: whose name is in the list has signed it.
    let kid = DidUrl::parse(&format!("{}#0", world.did())).unwrap();
    let forged = |form| {
        let terms =
            PublicationParameters { kid: &kid, url: &url(form), now: world.now, lifetime_seconds: DAY, ttl: 300 };
        let text = UnsignedStatusList::new(MIN_ENTRIES)
            .unwrap()
            .sign(form, &terms, &Cryptosuites::jcs(), &service.issuer)
            .unwrap();
        (url(form), text.into_bytes())
    };
    for form in ListFormat::ALL {
        assert_eq!(code(read_for(&world, &forged(form))), Err(Code::SignatureInvalid), "{form:?}");
    }
}

#[test]
fn row_59_a_list_speaks_for_the_credentials_that_it_was_fetched_for() {
    let (mut world, service, mut other) = (World::new(), World::new(), World::new());
    world.issuers_document = Some(naming(&world, Some(&service.did())));
    for (state, expected) in
        [(StatusState::Valid, None), (StatusState::Revoked, Some(Code::Revoked)), (StatusState::Valid, None)]
    {
        for list in every_form(&service, state) {
            let listed = Arc::new(read_for(&world, &list).unwrap());
            world.lists.insert(list.0, listed);
        }
        assert_eq!(all(&mut world), [expected; 3]);
    }
    // At the same URLs, by the same signer, whom the other issuer names as well: they were fetched for the first one.
    other.issuers_document = Some(naming(&other, Some(&service.did())));
    other.lists = world.lists.clone();
    assert_eq!(all(&mut other), [Some(Code::StatusListIssuer); 3]);
    for list in every_form(&service, StatusState::Valid) {
        let listed = Arc::new(read_for(&other, &list).unwrap());
        other.lists.insert(list.0, listed);
    }
    assert_eq!(all(&mut other), [None; 3]);
}

#[test]
fn an_authorisation_ends_with_the_document_that_gave_it_or_with_the_key() {
    let (mut world, service) = (World::new(), World::new());
    world.issuers_document = Some(naming(&world, Some(&service.did())));
    let by_both = [every_form(&world, StatusState::Valid), every_form(&service, StatusState::Valid)];
    let by_both = by_both.map(|lists| lists.iter().map(|list| read_for(&world, list).unwrap()).collect::<Vec<_>>());
    let stands = |world: &World| {
        let stands =
            |listed: &VerifiedStatusList| listed.check_signer(world, (world.now, 60)).map_err(|problem| problem.code);
        by_both.each_ref().map(|lists| {
            let said: Vec<_> = lists.iter().map(stands).collect();
            assert!(said.iter().all(|one| *one == said[0]), "{said:?}");
            said[0]
        })
    };
    assert_eq!(stands(&world), [Ok(()), Ok(())]);
    for other in [None, Some(World::new().did())] {
        world.issuers_document = Some(naming(&world, other.as_deref()));
        assert_eq!(stands(&world), [Ok(()), Err(Code::StatusListIssuer)]);
    }
    // The same by the documents of two that publish theirs, one of which has lost its key.
    let issuer = naming(&world, Some(&service.did()));
    let mut lost =
        DidDocument::json_for_keys(&Did::parse(&service.did()).unwrap(), &[("0".into(), service.issuer.public_key())]);
    for (revoked, expected) in [(false, Ok(())), (true, Err(Code::KeyInvalid))] {
        if revoked {
            lost["verificationMethod"][0]["revoked"] = json!("2026-11-01T00:00:00Z");
        }
        let named = DidDocument::parse(&Did::parse(&service.did()).unwrap(), &lost).unwrap();
        let both = Both(Arc::clone(&issuer), Arc::new(named));
        for listed in &by_both[1] {
            let said = listed.check_signer(&both, (world.now, 60)).map_err(|problem| problem.code);
            assert_eq!(said, expected);
        }
    }
}

/// Publishes two documents.
struct Both(Arc<DidDocument>, Arc<DidDocument>);

impl Resolve for Both {
    fn resolve(&self, did: &Did) -> Result<Arc<DidDocument>, Problem> {
        let found = [&self.0, &self.1].into_iter().find(|document| document.did() == did);
        found.cloned().ok_or(Code::DidUnresolved.into())
    }
}
