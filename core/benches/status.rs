//! Cost of flipping one status in a list of a million and publishing it, compared with one compression of the list at
//! the same level and one signature: the minimum for a publication that starts from scratch.
//!
//! Ours makes every form that changes: for a revocation the credential and the token, as JWT and as CWT. The two are
//! measured in turns; a figure is the median of many rounds. The last line is `ratio status-publish VALUE`.

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

use std::{
    hint::black_box,
    io::Write as _,
    time::{Duration, Instant},
};

use carnet_core::{
    did::{Did, DidUrl},
    keys::{SecretKey, SignatureAlgorithm, Signer},
    secure::data_integrity::Cryptosuites,
    status::{
        StatusState, bitstring,
        publication::{ListFormat, PublicationParameters, UnsignedStatusList},
    },
    time::Timestamp,
};
use flate2::{Compression, write::GzEncoder};
use rand_core::{OsRng, RngCore as _};

const ENTRIES: u64 = 1_000_000;
const ROUNDS: usize = 60;

fn main() {
    let key = SecretKey::generate(SignatureAlgorithm::EdDsa, &mut OsRng);
    let kid = DidUrl::parse(&format!("{}#0", Did::did_jwk(&key.public_key()))).unwrap();
    let sign = |list: &mut UnsignedStatusList, form: ListFormat| {
        let url = format!("https://issuer.example/status/{}/0", form.as_str());
        let now = Timestamp::from_unix(1_800_000_000);
        let terms = PublicationParameters { kid: &kid, url: &url, now, lifetime_seconds: 86_400, ttl: 300 };
        if form == ListFormat::Token {
            black_box(list.sign_cwt(&terms, &key).unwrap());
        }
        list.sign(form, &terms, &Cryptosuites::jcs(), &key).unwrap()
    };
    let draw = || u64::from(OsRng.next_u32()) % ENTRIES;
    let mut worst = 0.0_f64;
    // From a list in which nothing happened yet to one of which a tenth is revoked.
    for one_in in [0_u64, 1_000, 100, 10] {
        let mut list = UnsignedStatusList::new(ENTRIES).unwrap();
        for _ in 0..ENTRIES.checked_div(one_in).unwrap_or_default() {
            list.set_state(draw(), StatusState::Revoked).unwrap();
        }
        let first = ListFormat::ALL.map(|form| sign(&mut list, form));
        let document: serde_json::Value = serde_json::from_str(&first[0]).unwrap();
        let encoded = document["credentialSubject"]["encodedList"].as_str().unwrap();
        let bytes = bitstring::decode_list(encoded, 1).unwrap().as_bytes().to_vec();
        let (mut ours, mut floor) = (Vec::new(), Vec::new());
        for _ in 0..ROUNDS {
            let index = (0..).map(|_| draw()).find(|index| list.state(*index).unwrap() == StatusState::Valid).unwrap();
            ours.push(time(|| {
                for form in list.set_state(index, StatusState::Revoked).unwrap() {
                    black_box(sign(&mut list, form));
                }
            }));
            floor.push(time(|| {
                let mut encoder = GzEncoder::new(Vec::new(), Compression::new(6));
                encoder.write_all(black_box(&bytes)).unwrap();
                black_box(key.sign(&encoder.finish().unwrap()).unwrap());
            }));
        }
        let (ours, floor) = (median(ours), median(floor));
        let ratio = ours.as_secs_f64() / floor.as_secs_f64();
        worst = worst.max(ratio);
        println!("one in {one_in:>5} revoked: ours {ours:?}, floor {floor:?}, {ratio:.2}; {} bytes", encoded.len());
    }
    println!("ratio status-publish {worst:.2}");
}

fn time(work: impl FnOnce()) -> Duration {
    let start = Instant::now();
    work();
    start.elapsed()
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times[times.len() / 2]
}
