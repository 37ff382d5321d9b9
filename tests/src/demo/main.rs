//! `cargo demo`: a university and an authority issue to a wallet, an agency asks for proof, the holder approves the
//! request, refuses an excessive one, and has the agency's records erased. A wallet from npm and a verifier of others
//! take part over OpenID4VCI and OpenID4VP. Then a permit is suspended and reinstated,
//! a qualification renewed, a key rotated, a university struck off, a permit proved without its issuer and revoked;
//! and five forgeries are refused. All of it really happens, between real processes on loopback, and is deleted
//! afterwards.

// A demonstration is no product: it is watched.
#![allow(clippy::print_stdout, clippy::print_stderr)]

use std::process::ExitCode;

use clap::Parser;
use serde_json::{Map, Value, json};

mod cohorts;
mod life;
mod refusals;
mod rights;
mod story;
mod strangers;

/// Shows Carnet's main job from end to end.
#[derive(Debug, Parser)]
#[command(name = "cargo demo")]
struct Arguments {
    /// Print one JSON object instead of a story.
    #[arg(long)]
    json: bool,
    /// Leave all programs running, and print how to continue by hand.
    #[arg(long)]
    keep: bool,
}

#[tokio::main]
async fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let mut telling = Telling::new(arguments.json);
    let ended = story::tell(&mut telling, arguments.keep).await;
    telling.end(ended)
}

/// Text told so far.
struct Telling {
    json: bool,
    steps: Vec<(String, bool)>,
    refusals: Vec<(String, String)>,
    notes: Map<String, Value>,
}

impl Telling {
    fn new(json: bool) -> Self {
        Self { json, steps: Vec::new(), refusals: Vec::new(), notes: Map::new() }
    }

    /// A line of the story.
    fn say(&self, line: impl AsRef<str>) {
        if !self.json {
            println!("{}", line.as_ref());
        }
    }

    /// Records a step; a failed one ends the story.
    fn step<T>(&mut self, name: &str, result: carnet_tests::Result<T>) -> carnet_tests::Result<T> {
        self.steps.push((name.to_owned(), result.is_ok()));
        result.map_err(|error| format!("{name}: {error}").into())
    }

    /// Notes a refusal.
    fn refused(&mut self, name: &str, reason: &str) {
        self.say(format!("   refused  {name:<32} {reason}"));
        self.refusals.push((name.to_owned(), reason.to_owned()));
    }

    /// Records a result, for programs.
    fn note(&mut self, name: &str, what: Value) {
        self.notes.insert(name.to_owned(), what);
    }

    fn end(mut self, ended: carnet_tests::Result<()>) -> ExitCode {
        if self.json {
            let steps: Vec<_> = self.steps.iter().map(|(name, ok)| json!({"name": name, "ok": ok})).collect();
            let refusals: Vec<_> =
                self.refusals.iter().map(|(name, reason)| json!({"name": name, "reason": reason})).collect();
            self.notes.extend([("steps".to_owned(), json!(steps)), ("refusals".to_owned(), json!(refusals))]);
            println!("{}", Value::Object(self.notes));
        }
        match ended {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                eprintln!("The demonstration stopped: {error}");
                eprintln!(
                    "No data of yours is concerned. hint: run it again; if it stops at the same place, please report it."
                );
                ExitCode::FAILURE
            }
        }
    }
}
