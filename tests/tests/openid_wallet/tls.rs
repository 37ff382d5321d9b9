//! The OpenID wires over TLS, with issuers and verifiers at https addresses.

use carnet_tests::{Result, programs, stage::Stage};

use crate::{PERMIT, reason};

/// Runs `carnet` with these flags, besides those for its wallet.
fn carnet(stage: &Stage, args: &[&str], flags: &[&str]) -> Result<programs::Said> {
    let path = |name: &str| stage.folder.join(name).display().to_string();
    let (wallet, secret) = (path("wallet.age"), path("passphrase"));
    let own = ["--json", "--no-input", "--wallet", &wallet, "--passphrase-file", &secret];
    programs::run("carnet", [args, &own, flags].concat(), &[])
}

fn offer(stage: &Stage, kind: &str) -> Result<String> {
    let args = ["offer", "create", "--type", kind, "--example"];
    let said = stage.authority.staff_over_tls(&stage.folder.join("ca.pem"), &args)?.ok()?.json()?;
    Ok(said["offer_reference_uri"].as_str().ok_or("no link by reference")?.to_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn row_119_an_offer_at_a_private_address_is_refused_unless_its_host_is_allowed() -> Result<()> {
    let mut stage = Stage::set(false).await?;
    stage.make_wallet()?;
    stage.authority.with_tls(&stage.site)?;
    let ca = stage.folder.join("ca.pem").display().to_string();
    let here = ["--ca", ca.as_str(), "--private-host", "localhost"];
    let link = offer(&stage, PERMIT)?;
    assert!(link.contains("https%3A%2F%2Flocalhost"), "{link}");

    // A private address, by its name and by its number, and those that no option allows.
    let refused = |link: &str, flags: &[&str]| reason(&carnet(&stage, &["receive", link, "--yes"], flags)?);
    assert_eq!(refused(&link, &here[..2])?, "address_forbidden");
    for host in ["127.0.0.1", "10.0.0.1", "169.254.169.254", "[::1]", "192.168.1.1"] {
        let link =
            format!("openid-credential-offer://?credential_offer_uri=https%3A%2F%2F{host}%2Fopenid%2Foffers%2Fx");
        assert_eq!(refused(&link, &here)?, "address_forbidden", "{host}");
    }
    let plain = "openid-credential-offer://?credential_offer_uri=http%3A%2F%2Fissuer.example%2Foffer";
    assert_eq!(refused(plain, &here)?, "address_forbidden");
    // A certificate by an authority that the wallet does not know.
    assert_eq!(refused(&link, &here[2..])?, "unavailable");

    // The twin: the same offer is read, with the metadata of its issuer, and its owner would be asked.
    assert_eq!(reason(&carnet(&stage, &["receive", &link], &here)?)?, "approval_needed");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wallet_receives_presents_and_keeps_the_receipts_over_tls() -> Result<()> {
    let mut stage = Stage::set(false).await?;
    stage.make_wallet()?;
    stage.authority.with_tls(&stage.site)?;
    stage.agency.with_tls(&stage.site)?;
    let ca_file = stage.folder.join("ca.pem");
    let ca = ca_file.display().to_string();
    let here = ["--ca", ca.as_str(), "--private-host", "localhost"];
    carnet(&stage, &["receive", &offer(&stage, PERMIT)?, "--yes"], &here)?.ok()?;

    let request = |name: &str| -> Result<String> {
        let args = ["request", "create", "--template", "job-right-to-work"];
        let made = stage.agency.staff_over_tls(&ca_file, &args)?.ok()?.json()?;
        Ok(made[name].as_str().ok_or_else(|| format!("no {name}: {made}"))?.to_owned())
    };
    for name in ["openid_request_uri", "request_uri"] {
        let link = request(name)?;
        assert!(link.contains("https%3A%2F%2Flocalhost"), "{link}");
        // Without the authority of the certificate, nothing is asked or shown.
        assert_eq!(reason(&carnet(&stage, &["present", &link], &here[2..])?)?, "unavailable", "{name}");
        let consent = carnet(&stage, &["present", &link], &here)?.json()?;
        let digest = consent["digest"].as_str().ok_or_else(|| format!("no digest: {consent}"))?;
        let answer = carnet(&stage, &["present", &link, "--yes", digest], &here)?.ok()?.json()?;
        assert_eq!(
            (&answer["accepted"], &answer["receipt"]["state"]),
            (&true.into(), &"kept".into()),
            "{name}: {answer}"
        );
    }
    carnet(&stage, &["log", "--verify"], &here)?.ok()?;
    Ok(())
}
