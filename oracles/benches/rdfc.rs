//! Time to verify one credential with eddsa-rdfc-2022, by `ssi` and by Carnet, in turns: text in, verdict out.
//!
//! Both read the text, resolve the issuer's `did:key`, canonicalise and verify; both have all contexts in memory.

use std::time::{Duration, Instant};

use carnet_core::keys::SignatureAlgorithm;
use carnet_oracles::{Issuer, carnet_suites, run, sign_with_carnet, ssi_contexts, verify_with_carnet, verify_with_ssi};

const ROUNDS: usize = 9;
const REPETITIONS: u32 = 200;

/// Returns the time for one of many calls.
fn time_of_one(mut verify: impl FnMut()) -> Duration {
    let start = Instant::now();
    for _ in 0..REPETITIONS {
        verify();
    }
    start.elapsed() / REPETITIONS
}

fn main() {
    // `cargo test` runs benchmarks too, with another argument.
    if !std::env::args().any(|argument| argument == "--bench") {
        return;
    }
    let issuer = Issuer::did_key(SignatureAlgorithm::EdDsa);
    let (suites, contexts) = (carnet_suites(), ssi_contexts());
    let text = serde_json::to_string(&sign_with_carnet(&issuer, &suites)).expect("the credential is JSON");
    let mut rounds = Vec::new();
    for _ in 0..ROUNDS {
        let ours = time_of_one(|| verify_with_carnet(&text, &issuer.did, &suites).expect("Carnet accepts it"));
        let theirs = run(async {
            let start = Instant::now();
            for _ in 0..REPETITIONS {
                verify_with_ssi(&text, &contexts).await.expect("ssi accepts it");
            }
            start.elapsed() / REPETITIONS
        });
        rounds.push((theirs.as_secs_f64() / ours.as_secs_f64(), ours, theirs));
    }
    rounds.sort_by(|one, other| one.0.total_cmp(&other.0));
    let (ratio, ours, theirs) = rounds[ROUNDS / 2];
    println!("eddsa-rdfc-2022, one credential of {} bytes, median of {ROUNDS} rounds of {REPETITIONS}:", text.len());
    println!("  Carnet {:.0} us, ssi {:.0} us, ratio {ratio:.2}", ours.as_secs_f64() * 1e6, theirs.as_secs_f64() * 1e6);
}
