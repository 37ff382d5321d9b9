//! Food assistance: each unit is paid with once and only once, and no payment names or links anybody.

use carnet_tests::{
    Result,
    journey::{Answer, Issuer, Journey, Prologue},
    stage::Cast,
    visitor,
};
use serde_json::json;

const VOUCHER: &str = "VoucherCredential";
const PAYMENT: &str = "voucher-payment";

#[tokio::test(flavor = "multi_thread")]
async fn building_blocks() -> Result<()> {
    let prologue = Prologue {
        name: "building_blocks",
        title: "An entitlement: once and only once, without a name",
        about: "A food programme (as Building Blocks of the World Food Programme) gives a voucher of two units. The shop learns \
                that a unit is good and not yet used. It learns neither who pays nor how many units are left, and cannot tell \
                that two payments are by one person.",
    };
    let cast = Cast {
        university: "Food Programme",
        university_types: &[VOUCHER],
        authority: "Residency Authority",
        authority_types: &["ResidencePermitCredential"],
        agency: "Village Shop",
    };
    let mut journey = Journey::begin(&prologue, &cast, "Amina").await?;
    let shop = journey.stage.agency.did.clone();
    let voucher = |uses: u32| {
        json!({"programme": "Food assistance of Example", "purse": "Food", "redeemer": shop, "uses": uses, "unitValue": 20,
               "currency": "EUR"})
    };

    journey.act("1. The voucher", "The programme gives two units of 20 euros. Nobody's name is in the voucher.");
    journey.receive(Issuer::University, VOUCHER, &voucher(2), &[])?;

    journey.act("2. She pays, twice", "Each time the wallet shows another serial, from another copy of the voucher.");
    let first = journey.show(PAYMENT, &[])?;
    let second = journey.show_briefly(PAYMENT)?;
    for answer in [&first, &second] {
        assert!(answer.asker.contains("One unit was counted as used."), "{}", answer.asker);
        let hidden = ["uses", "programme", "entitlementId"];
        assert!(hidden.iter().all(|name| !answer.seen.contains(*name)), "{:?}", answer.seen);
    }
    assert_ne!(serial(&first)?, serial(&second)?, "two payments have nothing in common");

    journey.act("3. The voucher is used up", "Her wallet knows that by itself, and sends nothing.");
    journey.cannot_show(PAYMENT)?;

    journey.act(
        "4. Somebody pays twice with one unit",
        "A voucher was copied together with its key, and both copies pay with the same serial. The shop counts it once.",
    );
    let copied = journey.stage.offer(&journey.stage.university, VOUCHER, &voucher(1), &[])?;
    let copy = visitor::collect(&copied.uri, None, visitor::now()).await?;
    let paid = journey.show_copy(PAYMENT, &copy, 0).await?;
    assert!(paid.asker.contains("One unit was counted as used."), "{}", paid.asker);
    let refused = journey.show_copy(PAYMENT, &copy, 0).await?;
    assert!(refused.asker.contains("(entitlement_used)"), "{}", refused.asker);
    journey.finish()
}

/// The serial that the desk showed.
fn serial(answer: &Answer) -> Result<&str> {
    let line = answer.asker.lines().find_map(|line| line.trim().strip_prefix("Serial of one unit: "));
    Ok(line.ok_or_else(|| format!("no serial: {}", answer.asker))?.trim())
}
