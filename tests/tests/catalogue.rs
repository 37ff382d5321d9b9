//! A credential type and a procedure that are only data: the type of a folder named in the configuration is issued,
//! received, shown in part and verified by programs that were built without it.

use std::{fs, path::PathBuf};

use carnet_spec::Catalogue;
use carnet_tests::{
    Result,
    stage::{Office, Stage},
};
use serde_json::{Value, json};

const TYPE: &str = "CleanAirPermitCredential";
const TEMPLATE: &str = "clean-air-zone";

/// A municipality's own catalogue, as the documentation shows it, in a folder of the stage.
fn city_catalogue(stage: &Stage) -> Result<String> {
    let from = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../examples/catalogue"));
    let to = stage.folder.join("catalogue");
    let mut folders = vec![PathBuf::new()];
    while let Some(folder) = folders.pop() {
        fs::create_dir_all(to.join(&folder))?;
        for entry in fs::read_dir(from.join(&folder))? {
            let entry = entry?;
            let path = folder.join(entry.file_name());
            if entry.file_type()?.is_dir() {
                folders.push(path);
            } else {
                fs::copy(entry.path(), to.join(path))?;
            }
        }
    }
    Ok(to.display().to_string())
}

/// Names the catalogue in a service's configuration. It takes effect at the next start.
fn name_catalogue(office: &Office, catalogue: &str) -> Result<()> {
    let path = office.service.data.join("config.toml");
    let config = fs::read_to_string(&path)?;
    let line = format!("\n[serve]\ncatalogue = {catalogue:?}\n");
    let named = config.replace("\n[serve]\n", &line);
    let named = if named == config { config + &line } else { named };
    Ok(fs::write(&path, named)?)
}

fn text<'a>(value: &'a Value, pointer: &str) -> &'a str {
    value.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_type_dropped_into_a_folder_is_issued_shown_in_part_and_verified() -> Result<()> {
    assert!(Catalogue::embedded()?.credential_type(TYPE).is_none(), "the programs do not have the type built in");
    let mut stage = Stage::set(false).await?;
    let catalogue = city_catalogue(&stage)?;
    let example = ["offer", "create", "--type", TYPE, "--example"];
    let with_catalogue: Vec<&str> = example.into_iter().chain(["--catalogue", &catalogue]).collect();

    // Without the folder nobody knows the type: not staff's program, not the service.
    let refused = stage.authority.staff(&example)?;
    assert!(refused.code != 0 && refused.stderr.contains("--catalogue"), "{}", refused.stderr);
    let refused = stage.authority.staff(&with_catalogue)?;
    assert!(refused.code != 0 && refused.stderr.contains(TYPE), "{}", refused.stderr);

    let issuers = format!("[[issuers]]\ndid = {:?}\ntypes = [{TYPE:?}]\n", stage.authority.did);
    name_catalogue(&stage.authority, &catalogue)?;
    stage.authority.reconfigure("")?;
    name_catalogue(&stage.agency, &catalogue)?;
    // The agency is registered for what its new template asks for.
    stage.register_again(&stage.agency)?;
    stage.agency.reconfigure(&issuers)?;

    stage.make_wallet()?;
    // The municipality's procedure stands in the place of the built-in one, which knows of no such permit.
    let need = ["need", "clean-air-zone"];
    let built_in = stage.carnet(&need)?.ok()?.json()?;
    assert_eq!((built_in.pointer("/needs"), text(&built_in, "/cost")), (Some(&json!([])), ""));
    let need: Vec<&str> = need.into_iter().chain(["--catalogue", &catalogue]).collect();
    let before = stage.carnet(&need)?.ok()?.json()?;
    assert_eq!((text(&before, "/needs/0/state"), text(&before, "/cost")), ("missing", "10 euros"));
    assert_eq!(before.pointer("/example"), Some(&json!(true)));
    let offer = stage.authority.staff(&with_catalogue)?.ok()?.json()?;
    let receive = ["receive", text(&offer, "/offer_uri"), "--yes"];
    let refused = stage.carnet(&receive)?;
    assert!(refused.code != 0, "a wallet without the folder does not know the type: {}", refused.stdout);
    let receive: Vec<&str> = receive.into_iter().chain(["--catalogue", &catalogue]).collect();
    stage.carnet(&receive)?.ok()?;
    let listed = stage.carnet(&["list", "--lang", "de", "--catalogue", &catalogue])?.ok()?.json()?;
    assert_eq!(text(&listed, "/credentials/0/label"), "Umweltzonen-Genehmigung");

    let after = stage.carnet(&need)?.ok()?.json()?;
    assert_eq!(text(&after, "/needs/0/state"), "met");
    let asked = after.pointer("/needs/0/asked").and_then(Value::as_array).map_or(0, Vec::len);
    assert_eq!(asked, 2, "the wallet tells beforehand what {TEMPLATE} asks for: {after:#}");

    let (id, uri) = stage.request(TEMPLATE)?;
    let (consent, answer) = stage.approve_with(&uri, &["--catalogue", &catalogue])?;
    assert_eq!(answer.ok()?.json()?.pointer("/accepted"), Some(&Value::Bool(true)), "{consent:#}");
    let result = stage.agency.staff(&["result", &id])?.ok()?.json()?;
    let paths = result.pointer("/verdict/credentials/0/disclosed_paths").cloned().unwrap_or_default();
    let mut paths: Vec<&str> = paths.as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    paths.sort_unstable();
    let expected = ["credentialSubject.emissionClass", "credentialSubject.zone"];
    assert_eq!(paths, expected, "the number of the vehicle stays hidden");
    Ok(())
}
