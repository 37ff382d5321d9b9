//! Time and memory that a verifier needs to look up one credential's status in a list that is in memory.
//!
//! A look-up is the pipeline's work for one entry: the list by its URL, its issuer, its times, the bit. Lists and
//! entries are drawn at random, so that the processor's caches help no more than in production. The last line is
//! `status-check VALUE ns`, the median of many rounds, of 16 lists of a million entries.

// A bench is a program: it has a clock, and may stop at the first error.
#![allow(
    missing_docs,
    clippy::disallowed_methods,
    clippy::print_stdout,
    clippy::disallowed_types,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects
)]

use std::{collections::HashMap, hint::black_box, sync::Arc, time::Instant};

use carnet_core::{
    did::{Did, DidUrl, SelfContainedResolver},
    keys::{SecretKey, SignatureAlgorithm, Signer},
    secure::data_integrity::Cryptosuites,
    status::{
        StatusPurpose, StatusState, VerifiedStatusList,
        bitstring::BitstringStatusListEntry,
        publication::{ListFormat, PublicationParameters, UnsignedStatusList},
    },
    time::Timestamp,
    verify::StatusLists,
};
use rand_core::{OsRng, RngCore as _};

const NOW: Timestamp = Timestamp::from_unix(1_800_000_000);
const LOOKS: usize = 100_000;
const ROUNDS: usize = 41;

fn main() {
    let key = SecretKey::generate(SignatureAlgorithm::EdDsa, &mut OsRng);
    let issuer = Did::did_jwk(&key.public_key());
    let read = |entries: u64, number: u64| {
        let mut list = UnsignedStatusList::new(entries).unwrap();
        for _ in 0..entries / 100 {
            list.set_state(OsRng.next_u64() % entries, StatusState::Revoked).unwrap();
        }
        let (kid, url) = (DidUrl::parse(&format!("{issuer}#0")).unwrap(), url(number));
        let terms = PublicationParameters { kid: &kid, url: &url, now: NOW, lifetime_seconds: 86_400, ttl: 300 };
        let text = list.sign(ListFormat::Revocation, &terms, &Cryptosuites::jcs(), &key).unwrap();
        VerifiedStatusList::verify(
            text.as_bytes(),
            &url,
            &issuer,
            (NOW, 60),
            (&SelfContainedResolver, &Cryptosuites::jcs()),
        )
        .unwrap()
    };
    for entries in [1_000_000, 10_000_000] {
        let bytes = read(entries, 0).entries().as_bytes().len() + size_of::<VerifiedStatusList>();
        println!("{entries} entries: {bytes} bytes, {:.4} of n/8", bytes as f64 * 8.0 / entries as f64);
    }
    // A hundred lists do not fit into a processor's caches; those of a few issuers do.
    for number in [100, 16] {
        let of_one = (0..number).map(|n| (url(n), Arc::new(read(1_000_000, n)))).collect();
        // As a verifier has them that trusts a thousand issuers.
        let mut lists: HashMap<String, HashMap<String, Arc<VerifiedStatusList>>> =
            (0..1_000).map(|n| (format!("did:web:issuer-{n}.example"), HashMap::new())).collect();
        lists.insert(issuer.to_string(), of_one);
        // The references that the pipeline has just read out of the credential.
        let mut references: Vec<BitstringStatusListEntry> = (0..number)
            .map(|n| BitstringStatusListEntry {
                purpose: StatusPurpose::Revocation,
                url: url(n),
                index: 0,
                size_in_bits: 1,
            })
            .collect();
        let draws: Vec<(usize, u64)> = (0..LOOKS)
            .map(|_| (usize::try_from(OsRng.next_u64() % number).unwrap(), OsRng.next_u64() % 1_000_000))
            .collect();
        let mut rounds: Vec<f64> =
            (0..ROUNDS).map(|_| round(&lists, &mut references, &draws, issuer.as_str())).collect();
        rounds.sort_by(f64::total_cmp);
        println!("{number} lists of a million: {:.0} ns", rounds[ROUNDS / 2]);
        if number == 16 {
            println!("status-check {:.0} ns", rounds[ROUNDS / 2]);
        }
    }
}

/// Nanoseconds for each of these.
fn round(
    lists: &dyn StatusLists,
    references: &mut [BitstringStatusListEntry],
    draws: &[(usize, u64)],
    issuer: &str,
) -> f64 {
    let start = Instant::now();
    let mut set = 0_usize;
    for (list, index) in draws {
        let reference = &mut references[*list];
        reference.index = *index;
        let listed = lists.list(issuer, black_box(&reference.url)).unwrap();
        assert!(
            listed.credential_issuer().as_str() == issuer
                && listed.validity().require_usable(listed.fetched_at(), NOW, 60).is_ok()
        );
        set += usize::from(listed.is_set(reference).unwrap());
    }
    black_box(set);
    start.elapsed().as_secs_f64() * 1e9 / draws.len() as f64
}

fn url(number: u64) -> String {
    format!("https://issuer.example/status/revocation/{number}")
}
