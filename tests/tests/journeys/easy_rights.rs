//! Two procedures of a city: registering an address with a permit, and driving in a clean-air zone with a document whose
//! type, request and procedure are only data of the municipality.

use std::{fs, path::PathBuf};

use carnet_spec::Catalogue;
use carnet_tests::{
    Result,
    journey::{Issuer, Journey, Prologue},
    stage::{Cast, claims_of},
};
use serde_json::Value;

use super::{exactly, set};

const PERMIT: &str = "ResidencePermitCredential";
const CLEAN_AIR: &str = "CleanAirPermitCredential";
const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../examples/catalogue");

#[tokio::test(flavor = "multi_thread")]
async fn easy_rights() -> Result<()> {
    let prologue = Prologue {
        name: "easy_rights",
        title: "Two procedures of a city, one of which it added itself",
        about: "Two procedures that the cities of easyRights worked on: the registration of residence, and the permit for a \
                clean-air zone. Nobody built the second one into Carnet: the municipality wrote its type, its request, its \
                procedure and their names in ten languages into a folder (`examples/catalogue`), and the programs read it.",
    };
    let cast = Cast {
        university: "Residency Authority",
        university_types: &[PERMIT],
        authority: "Traffic Office",
        authority_types: &[],
        agency: "City of Example",
    };
    let mut journey = Journey::begin(&prologue, &cast, "Amina").await?;
    journey.stage.agency.with_catalogue(&PathBuf::from(FOLDER))?;
    journey.stage.authority.with_catalogue(&PathBuf::from(FOLDER))?;
    journey.stage.register_again(&journey.stage.agency)?;
    let issuers = format!("[[issuers]]\ndid = {:?}\ntypes = [{CLEAN_AIR:?}]\n", journey.stage.authority.did);
    journey.stage.agency.reconfigure(&issuers)?;
    let mut permit = claims_of(PERMIT);
    set(&mut permit, "validUntil", "2060-12-31T23:59:59Z");
    let folder = fs::canonicalize(FOLDER)?.display().to_string();
    let own = ["--catalogue", folder.as_str()];

    journey.act(
        "1. Registering the address",
        "She reads what the registration needs, and gets the permit that was missing.",
    );
    let screen = journey.wallet(&["need", "register-address"])?;
    assert!(screen.contains("Residence permit"), "{screen}");
    journey.receive(Issuer::University, PERMIT, &permit, &[])?;
    let answer = journey.show("right-of-residence", &[])?;
    assert!(answer.seen.contains("legalResidence") && answer.seen.contains("residentIn"), "{:?}", answer.seen);
    journey.withheld(
        &answer,
        &permit,
        &["givenName", "familyName", "dateOfBirth", "nationality", "permitType", "legalBasis", "documentNumber"],
    )?;

    journey.act("2. What does the clean-air zone need?", "The procedure is that of the municipality's folder.");
    let screen = journey.wallet(&["need", "clean-air-zone", "--catalogue", &folder])?;
    assert!(screen.contains("10 euros"), "{screen}");

    journey.act("3. Without the permit", "A control in the zone asks, and her wallet has nothing to show.");
    journey.cannot_show_with("clean-air-zone", &own)?;

    journey.act(
        "4. With the permit",
        "The control sees the zone and the emission class. The number of the vehicle stays hidden.",
    );
    let catalogue = Catalogue::load(&PathBuf::from(FOLDER))?;
    let example = catalogue.credential_type(CLEAN_AIR).map(|kind| kind.example_claims()).unwrap_or_default();
    let example = Value::Object(example);
    journey.receive(Issuer::Authority, CLEAN_AIR, &example, &own)?;
    let answer = journey.show("clean-air-zone", &own)?;
    assert_eq!(answer.seen, exactly(&["emissionClass", "zone"]));
    journey.withheld(&answer, &example, &["registrationNumber"])?;
    journey.finish()
}
