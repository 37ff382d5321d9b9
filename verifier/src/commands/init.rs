//! `init`.

use std::path::PathBuf;

use carnet_core::keys::Algorithm;
use clap::{Args, ValueEnum};
use serde_json::json;

use super::{Failure, registration};
use crate::{registration::About, setup};

#[derive(Debug, Clone, Copy, ValueEnum)]
enum KeyAlgorithm {
    /// Ed25519.
    Eddsa,
    /// ECDSA on P-256.
    Es256,
}

#[derive(Debug, Args)]
pub(crate) struct InitArgs {
    /// The directory to make.
    #[arg(long)]
    data: PathBuf,
    /// The verifier's DID, such as did:web:jobs.example; without it the verifier is named by its key (did:jwk).
    #[arg(long)]
    did: Option<String>,
    /// The name that holders are shown.
    #[arg(long, default_value = "Unnamed verifier")]
    name: String,
    /// The signing key's algorithm.
    #[arg(long, value_enum, default_value = "eddsa")]
    algorithm: KeyAlgorithm,
    /// What registrars need to know; with it a request for registration is made too.
    #[command(flatten)]
    about: Option<About>,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

pub(super) async fn run(args: InitArgs) -> Result<u8, Failure> {
    let algorithm = match args.algorithm {
        KeyAlgorithm::Eddsa => Algorithm::EdDsa,
        KeyAlgorithm::Es256 => Algorithm::Es256,
    };
    let made = setup::init(&args.data, args.did.as_deref(), &args.name, algorithm).await?;
    let data = args.data.display();
    let requested = match &args.about {
        Some(about) => {
            let path = args.data.join("registration-request.json");
            registration::write(&path, &registration::made(&args.data, about)?)?;
            Some(path.display().to_string())
        }
        None => None,
    };
    if args.json {
        let document = made.publish_at.as_ref().map(|_| args.data.join("did.json").display().to_string());
        let value = json!({
            "did": made.did.as_str(),
            "data": data.to_string(),
            "did_document": document,
            "publish_at": made.publish_at,
            "registration_request": requested,
            "staff_token": made.staff_token.as_str(),
        });
        println!("{value}");
        return Ok(0);
    }
    println!("The verifier {} is set up in {data}.", made.did);
    if let Some(url) = &made.publish_at {
        println!("Publish {data}/did.json at {url}, unchanged.");
    }
    match &requested {
        Some(path) => println!("Have a registrar sign {path}, and install what it signs."),
        None => println!("Ask to be registered: carnet-verifier registration request --data {data} --help"),
    }
    println!(
        "\nStaff token (shown this once, keep it secret):\n{}\n\n\
         Next: name the issuers that you accept in {data}/config.toml, then\n  carnet-verifier serve --data {data}",
        made.staff_token.as_str()
    );
    Ok(0)
}
