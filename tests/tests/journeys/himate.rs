//! A voucher for a visit that somebody gave as a present: for the museum that it names, and for one visit.

use carnet_tests::{
    Result,
    journey::{Issuer, Journey, Prologue},
    stage::Cast,
};
use serde_json::json;

const VOUCHER: &str = "EntitlementCredential";
const VISIT: &str = "museum-visit";

#[tokio::test(flavor = "multi_thread")]
async fn himate() -> Result<()> {
    let prologue = Prologue {
        name: "himate",
        title: "A voucher for a visit, as a present",
        about: "People of the city give newcomers vouchers for the places that they like (as HiMate did). The museum lets in \
                the bearer, once, and asks for no name.",
    };
    let cast = Cast {
        university: "Friends of the City",
        university_types: &[VOUCHER],
        authority: "Residency Authority",
        authority_types: &["ResidencePermitCredential"],
        agency: "City Museum",
    };
    let mut journey = Journey::begin(&prologue, &cast, "Amina").await?;
    let museum = journey.stage.agency.did.clone();

    journey.act("1. The present", "One visit, at the museum that the voucher names.");
    let claims = json!({"service": "A visit to the City Museum", "redeemer": museum, "uses": 1});
    journey.receive(Issuer::University, VOUCHER, &claims, &[])?;

    journey.act("2. At the museum", "The clerk's desk counts the visit.");
    let answer = journey.show(VISIT, &[])?;
    assert!(answer.asker.contains("One unit was counted as used."), "{}", answer.asker);
    assert!(!answer.seen.contains("uses"), "{:?}", answer.seen);

    journey.act("3. Once more", "The voucher was for one visit. The wallet says so, and sends nothing.");
    journey.cannot_show(VISIT)?;

    journey.act("4. A voucher for another place", "Samir has a voucher for the theatre, and tries it at the museum.");
    journey.enter("Samir")?;
    let claims = json!({"service": "An evening at the theatre", "redeemer": "did:web:theatre.example", "uses": 1});
    journey.receive(Issuer::University, VOUCHER, &claims, &[])?;
    let screen = journey.cannot_show(VISIT)?;
    assert!(screen.contains("yours is accepted by someone else"), "{screen}");
    journey.finish()
}
