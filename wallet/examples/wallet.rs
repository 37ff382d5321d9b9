//! Wallet in memory that receives a qualification and shows a verifier two claims of it.

use carnet_spec::Catalogue;
use carnet_wallet::{
    answer::{RequestedItem, UnansweredQuery},
    failure::Failure,
    memory::World,
    offer::{PinForm, ReceivedOffer},
    ports::{OfferConsent, Ports},
    present::{Consent, ConsentDecision, ConsentRequest, PresentOptions, Presented, present},
    promise::ExpectedCredential,
    receive::receive,
    store::{MemoryStore, Wallet, WalletContents, contents::WalletSecret},
};

/// Owner who accepts every offer and approves every request. A real one is asked.
struct Agreeable;

impl OfferConsent for Agreeable {
    fn accept(&self, _: &Catalogue, _: &str, _: &[ExpectedCredential]) -> Result<(), Failure> {
        Ok(())
    }

    fn pin(&self, form: PinForm, _: &str) -> Result<WalletSecret, Failure> {
        form.parse("123456").map(|pin| WalletSecret::new(pin.as_str().to_owned()))
    }
}

impl Consent for Agreeable {
    fn can_ask(&self) -> bool {
        true
    }

    fn introduce(&self, _: &ConsentRequest<'_>) {}

    fn allow(&self, _: &ConsentRequest<'_>, _: &RequestedItem) -> Option<bool> {
        Some(true)
    }

    fn decide(&self, _: &ConsentRequest<'_>, _: bool) -> ConsentDecision {
        ConsentDecision::Yes
    }

    fn explain(&self, _: &ConsentRequest<'_>, _: &[UnansweredQuery], failure: Failure) -> Failure {
        failure
    }

    fn presented(&self, _: &Presented) {}
}

/// Receives and presents, and returns the disclosed paths.
async fn run() -> Result<Vec<String>, Failure> {
    let (world, mut wallet) = (World::new(), Wallet::new(WalletContents::new(12), MemoryStore));
    let offer = ReceivedOffer::parse(&world.offer())?;
    let received = receive(&world, &world.catalogue()?, &mut wallet, &offer, &Agreeable).await?;
    if let Some(failure) = received.failure {
        return Err(failure);
    }
    let options = PresentOptions::default();
    let presented = present(&world, &mut wallet, &world.asker.pointer, options, &Agreeable).await?;
    Ok(presented.sent.parts.into_iter().flat_map(|part| part.paths).collect())
}

#[tokio::main(flavor = "current_thread")]
pub(crate) async fn main() {
    let shown = run().await;
    assert!(shown.as_ref().is_ok_and(|paths| paths.len() == 2), "{shown:?}");
}
