//! Wallet in memory that receives a qualification and shows a verifier two claims of it.

use carnet_spec::Catalogue;
use carnet_wallet::{
    answer::{RequestedItem, UnansweredQuery},
    failure::Failure,
    issuer_metadata::ExpectedCredential,
    memory::InMemoryPorts,
    offer::{PinFormat, ReceivedOffer},
    ports::{OfferConsent, Ports},
    present::{Consent, ConsentDecision, ConsentRequest, PresentationOptions, SentPresentation, present},
    receive::receive_offer,
    store::{MemoryStore, Wallet, WalletContents, holder_key::WalletSecret},
};

/// Owner who accepts every offer and approves every request. A real one is asked.
struct Agreeable;

impl OfferConsent for Agreeable {
    fn accept_offer(&self, _: &Catalogue, _: &str, _: &[ExpectedCredential]) -> Result<(), Failure> {
        Ok(())
    }

    fn ask_pin(&self, form: PinFormat, _: &str) -> Result<WalletSecret, Failure> {
        form.parse("123456").map(|pin| WalletSecret::new(pin.as_str().to_owned()))
    }
}

impl Consent for Agreeable {
    fn can_ask(&self) -> bool {
        true
    }

    fn show_request(&self, _: &ConsentRequest<'_>) {}

    fn approve_item(&self, _: &ConsentRequest<'_>, _: &RequestedItem) -> Option<bool> {
        Some(true)
    }

    fn approve_answer(&self, _: &ConsentRequest<'_>, _: bool) -> ConsentDecision {
        ConsentDecision::Yes
    }

    fn explain_unanswered(&self, _: &ConsentRequest<'_>, _: &[UnansweredQuery], failure: Failure) -> Failure {
        failure
    }

    fn show_response(&self, _: &SentPresentation) {}
}

/// Receives and presents, and returns the disclosed paths.
async fn run() -> Result<Vec<String>, Failure> {
    let (world, mut wallet) = (InMemoryPorts::new(), Wallet::new(WalletContents::new(12), MemoryStore));
    let offer = ReceivedOffer::parse(&world.offer_link())?;
    let received = receive_offer(&world, &world.catalogue()?, &mut wallet, &offer, &Agreeable).await?;
    if let Some(failure) = received.failure {
        return Err(failure);
    }
    let options = PresentationOptions::default();
    let presented = present(&world, &mut wallet, &world.verifier.pointer, options, &Agreeable).await?;
    Ok(presented.log_entry.credentials.into_iter().flat_map(|part| part.paths).collect())
}

#[tokio::main(flavor = "current_thread")]
pub(crate) async fn main() {
    let shown = run().await;
    assert!(shown.as_ref().is_ok_and(|paths| paths.len() == 2), "{shown:?}");
}
