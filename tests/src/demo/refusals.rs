//! Five attacks that must be refused.

use carnet_core::{
    keys::{SecretKey, SignatureAlgorithm},
    secure::sd_jwt::SdJwt,
    time::Timestamp,
};
use carnet_tests::{
    Result,
    stage::{Stage, residence_permit},
    visitor::{self, Asked, Copy},
};
use rand_core::OsRng;

use super::Telling;

const TEMPLATE: &str = "job-right-to-work";

pub(crate) async fn all(telling: &mut Telling, stage: &Stage) -> Result<()> {
    let now = visitor::now();
    let mine = collect(stage, &[], now).await?;

    let asked = ask(stage).await?;
    let forged = tampered(&visitor::present(&mine, &asked, now)?)?;
    expect(telling, "tampered claim", &asked, forged).await?;

    // The same answer a second time: once to the request that it was made for, which is accepted, once to another.
    let honest = visitor::present(&mine, &asked, now)?;
    if let Some(reason) = visitor::refusal(&visitor::submit(&asked, honest.clone()).await) {
        return Err(format!("the honest presentation was refused: {reason}").into());
    }
    expect(telling, "replayed presentation", &ask(stage).await?, honest).await?;

    let asked = ask(stage).await?;
    let elsewhere = Asked { audience: "decentralized_identifier:did:web:other.example".to_owned(), ..asked.clone() };
    expect(telling, "wrong audience", &asked, visitor::present(&mine, &elsewhere, now)?).await?;

    let past = collect(stage, &["--valid-from", "2020-01-01", "--valid-until", "2024-01-01"], now).await?;
    expect(telling, "expired credential", &asked, visitor::present(&past, &asked, now)?).await?;

    // A thief has the credential of another, and a key of their own.
    let shown = SdJwt::parse(&mine.credential)?.select_claims(&asked.paths)?.to_string();
    let thief = SecretKey::generate(SignatureAlgorithm::EdDsa, &mut OsRng);
    expect(telling, "another person's credential", &asked, visitor::bind_with(&shown, &asked, now, &thief)?).await
}

async fn collect(stage: &Stage, extra: &[&str], now: Timestamp) -> Result<Copy> {
    let offered = stage.offer(&stage.authority, "ResidencePermitCredential", &residence_permit(), extra)?;
    visitor::collect(&offered.uri, offered.pin.as_deref(), now).await
}

async fn ask(stage: &Stage) -> Result<Asked> {
    visitor::read_request(&stage.request(TEMPLATE)?.1).await
}

async fn expect(telling: &mut Telling, name: &str, asked: &Asked, presentation: String) -> Result<()> {
    match visitor::refusal(&visitor::submit(asked, presentation).await) {
        Some(reason) => {
            telling.refused(name, &reason);
            Ok(())
        }
        None => Err(format!("{name}: it was accepted").into()),
    }
}

/// The presentation with one disclosure changed: the same salt and name, another value.
fn tampered(presentation: &str) -> Result<String> {
    use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
    let disclosure = presentation.split('~').nth(1).ok_or("there is no disclosure")?;
    let text = String::from_utf8(URL_SAFE_NO_PAD.decode(disclosure)?)?;
    let (head, _) = text.rsplit_once(',').ok_or("the disclosure has no value")?;
    let changed = URL_SAFE_NO_PAD.encode(format!("{head},\"anything\"]"));
    Ok(presentation.replacen(disclosure, &changed, 1))
}
