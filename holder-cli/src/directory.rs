//! Download of an issuer's directory of status lists.

use carnet_core::{
    Problem,
    did::{Did, Resolve as _},
    json::Limits,
};
use carnet_wallet::collect::Directory;

use crate::{
    failure::{Failure, Sentence},
    session::Session,
};

/// Fetches the directory that an issuer's document names; none where it names none. It is the issuer's own, so that who
/// collects copies tells it nothing by that; nothing is fetched when copies are shown.
pub(crate) async fn fetch_directory(session: &Session, issuer: &str) -> Result<Option<Directory>, Failure> {
    session.resolve_issuer(issuer).await?;
    let failed = |problem: &Problem| {
        let message = Sentence::id("error-directory-refused");
        Failure::from_problem(problem, message, Sentence::id("hint-directory"))
    };
    let document = Did::parse(issuer).and_then(|did| session.dids.resolve(&did)).map_err(|problem| failed(&problem))?;
    let Some(url) = document.status_lists() else { return Ok(None) };
    let bytes = session.download(url, "application/json", Limits::DOCUMENT.max_bytes).await?;
    Directory::parse(url, &bytes).map(Some).map_err(|problem| failed(&problem))
}
