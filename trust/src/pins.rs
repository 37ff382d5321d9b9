//! Pins of verifiers and wallets: the DID of a list, its operators and their quorum.

use std::{collections::BTreeMap, path::PathBuf, sync::Arc};

use carnet_core::{
    Code, Problem,
    did::{Did, DidDocument, Resolve, SelfContainedResolver},
    time::{CLOCK_SKEW, Timestamp},
    trust::list::{AcceptedList, PinnedOperators, TrustList, TrustListAnchors},
};
use clap::Args;
use serde_json::{Map, Value};

use crate::{error::CommandError, files::read_object};

/// Pinned list and operators.
#[derive(Debug, Clone, Args)]
pub(crate) struct PinArgs {
    /// The DID that identifies the list.
    #[arg(long, value_name = "DID")]
    list: String,
    /// The DID of an operator; once for each.
    #[arg(long = "operator", value_name = "DID", required = true)]
    operators: Vec<String>,
    /// The number of operators who must have signed.
    #[arg(long, value_name = "N")]
    quorum: usize,
    /// A list from the history that named other operators than the pinned ones; once for each, the oldest first.
    #[arg(long = "handover", value_name = "LIST")]
    handovers: Vec<PathBuf>,
    /// The minimum number of the list.
    #[arg(long, value_name = "N")]
    least: Option<u64>,
    /// The DID document of an operator with a did:web or did:webvh DID; once for each.
    #[arg(long = "did-document", value_name = "FILE")]
    did_documents: Vec<PathBuf>,
}

impl PinArgs {
    /// Verifies a list as a verifier or wallet with these pins that has not accepted any list before.
    pub(crate) fn verify_list(&self, document: &Map<String, Value>, now: Timestamp) -> Result<TrustList, CommandError> {
        let operators = self.operators.iter().map(String::as_str);
        let operators = PinnedOperators::pin(&self.list, operators, self.quorum).map_err(|problem| {
            CommandError::from_problem(
                &problem,
                "These pins are refused",
                "name the list, each operator once, and a quorum of them",
            )
        })?;
        let operators = operators.with_min_sequence(self.least);
        let given = SuppliedDocuments::read(&self.did_documents)?;
        let mut newest = None;
        for path in &self.handovers {
            let anchors = anchors(&operators, newest.as_ref(), now);
            let accepted = TrustList::verify_handover(&read_object(path)?, &anchors, &given).map_err(|problem| {
                let what = format!("{} does not hand over to other operators", path.display());
                CommandError::from_problem(&problem, &what, advice_for(problem.code))
            })?;
            newest = Some(accepted);
        }
        TrustList::verify(document, &anchors(&operators, newest.as_ref(), now), &given)
            .map_err(|problem| CommandError::from_problem(&problem, "The list is not valid", advice_for(problem.code)))
    }
}

fn anchors<'a>(
    operators: &'a PinnedOperators,
    newest_accepted: Option<&'a AcceptedList>,
    now: Timestamp,
) -> TrustListAnchors<'a> {
    TrustListAnchors { operators, newest_accepted, accepted_digest: None, now, skew: CLOCK_SKEW }
}

/// Returns advice for the error code of an invalid list.
fn advice_for(code: Code) -> &'static str {
    match code {
        Code::ProofMissing | Code::TrustListQuorum => "have more of the pinned operators sign it",
        Code::Expired => "get the newest list; its operators renew it with: carnet-trust edit LIST --out DRAFT",
        Code::NotYetValid => "wait until it is valid, or check this machine's clock",
        Code::DidUnresolved => "get the operator's document from its site, and give the file",
        _ => "get the list again from its operators",
    }
}

/// Resolver for did:key and did:jwk, and for the DIDs whose documents are given as files.
struct SuppliedDocuments(BTreeMap<Did, Arc<DidDocument>>);

impl SuppliedDocuments {
    fn read(files: &[PathBuf]) -> Result<Self, CommandError> {
        let mut given = BTreeMap::new();
        for path in files {
            let document = read_object(path)?;
            let did = document.get("id").and_then(Value::as_str).unwrap_or_default();
            let parsed = Did::parse(did).and_then(|did| {
                DidDocument::parse(&did, &Value::Object(document.clone())).map(|document| (did, document))
            });
            let (did, document) = parsed.map_err(|problem| {
                CommandError::from_problem(
                    &problem,
                    &format!("{} is refused as a DID document", path.display()),
                    "get it again",
                )
            })?;
            given.insert(did, Arc::new(document));
        }
        Ok(Self(given))
    }
}

impl Resolve for SuppliedDocuments {
    fn resolve(&self, did: &Did) -> Result<Arc<DidDocument>, Problem> {
        if did.is_self_contained() {
            return SelfContainedResolver.resolve(did);
        }
        let missing = || format!("this program fetches nothing: give the document of {did} with --did-document");
        self.0.get(did).cloned().ok_or_else(|| Problem::new(Code::DidUnresolved, missing()))
    }
}
