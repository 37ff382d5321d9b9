//! Libraries for SD-JWT: each verifies credentials and presentations of Carnet, and issues and presents its own to our
//! verifier.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use carnet_core::{
    keys::{SecretKey, SignatureAlgorithm},
    secure::sd_jwt::Step,
};
use carnet_tests::{
    Result,
    peer::Peer,
    stage::{Office, Stage, qualification},
    visitor::{self, Asked, Copy, now},
};
use rand_core::OsRng;
use serde_json::{Value, json};

use crate::{data_integrity, report::Report};

pub(crate) const QUALIFICATION: &str = "QualificationCredential";
const TITLE: &str = "Bachelor of Science in Nursing";
const NONCE: &str = "yLv9NGYxmkbaSjwJwPPUZA";
const AUDIENCE: &str = "decentralized_identifier:did:web:agency.example";
pub(crate) const OURS: &str = "made by Carnet";
const THEIRS: &str = "made by the peer";

/// Properties in which the libraries differ.
struct Traits {
    /// Refuses a disclosure that no digest refers to.
    refuses_unreferenced: bool,
    /// Compares the audience of a key binding.
    compares_audience: bool,
    /// Formats whose status list it reads.
    reads_status_of: &'static [&'static str],
}

#[tokio::test(flavor = "multi_thread")]
#[cfg_attr(not(carnet_interop_node), ignore = "CARNET_INTEROP_NODE is not set")]
async fn sd_jwt_vc_from_npm() -> Result<()> {
    let stage = Stage::set(false).await?;
    let peer = Peer::from_npm("sd_jwt.mjs", &stage.folder.join("ca.pem"))?;
    let traits = Traits { refuses_unreferenced: false, compares_audience: false, reads_status_of: &["dc+sd-jwt"] };
    let mut trial = exchange(stage, peer, traits).await?;
    // A holder key as WebCrypto exports it. A verifier of Carnet takes its further members for claims.
    let issued = trial.issue_sd_jwt(json!({"wholeKey": true}))?;
    let code = trial.refusal_of_presentation(&issued.credential, (NONCE, AUDIENCE))?;
    trial.theirs("presentation whose `cnf.jwk` has `ext` and `key_ops`", &code, "claim_unrequested");
    trial.report.finish()
}

#[tokio::test(flavor = "multi_thread")]
#[cfg_attr(not(carnet_interop_python), ignore = "CARNET_INTEROP_PYTHON is not set")]
async fn sd_jwt_from_pypi() -> Result<()> {
    let stage = Stage::set(false).await?;
    let peer = Peer::python("python/sd_jwt_peer.py", &stage.folder.join("ca.pem"))?;
    let traits = Traits { refuses_unreferenced: false, compares_audience: true, reads_status_of: &[] };
    exchange(stage, peer, traits).await?.report.finish()
}

#[tokio::test(flavor = "multi_thread")]
#[cfg_attr(not(carnet_interop_python), ignore = "CARNET_INTEROP_PYTHON is not set")]
async fn openvc_core_from_pypi() -> Result<()> {
    let stage = Stage::set(false).await?;
    let peer = Peer::python("python/openvc_peer.py", &stage.folder.join("ca.pem"))?;
    let traits =
        Traits { refuses_unreferenced: true, compares_audience: true, reads_status_of: &["dc+sd-jwt", "vc+sd-jwt"] };
    let mut trial = exchange(stage, peer, traits).await?;
    data_integrity::verifies_ours(&mut trial, "di_vc+jcs").await?;
    trial.report.finish()
}

/// One peer's trial.
pub(crate) struct Trial {
    pub(crate) stage: Stage,
    pub(crate) peer: Peer,
    pub(crate) report: Report,
}

/// A credential of a peer, and its DID.
pub(crate) struct Issued {
    pub(crate) issuer: String,
    pub(crate) credential: String,
}

async fn exchange(stage: Stage, mut peer: Peer, traits: Traits) -> Result<Trial> {
    let report = Report::of(&mut peer)?;
    let mut trial = Trial { stage, peer, report };
    for format in ["dc+sd-jwt", "vc+sd-jwt"] {
        trial.verifies_ours(format, &traits).await?;
    }
    trial.is_verified()?;
    Ok(trial)
}

/// Replaces the signature of the issuer by another text of its length.
fn with_broken_signature(sd_jwt: &str) -> Result<String> {
    let (jwt, disclosures) = sd_jwt.split_once('~').ok_or("no SD-JWT")?;
    let (signed, signature) = jwt.rsplit_once('.').ok_or("no JWS")?;
    let first = if signature.starts_with('A') { "B" } else { "A" };
    Ok(format!("{signed}.{first}{}~{disclosures}", signature.get(1..).unwrap_or_default()))
}

/// Replaces the title in its disclosure.
fn with_another_title(sd_jwt: &str) -> Result<String> {
    let bent = |part: &str| {
        let parsed = URL_SAFE_NO_PAD.decode(part).ok().and_then(|bytes| serde_json::from_slice::<Value>(&bytes).ok());
        match parsed {
            Some(mut disclosure) if disclosure[1] == "title" && disclosure[2] == TITLE => {
                disclosure[2] = json!("Master of Science");
                URL_SAFE_NO_PAD.encode(disclosure.to_string())
            }
            _ => part.to_owned(),
        }
    };
    let bent: Vec<String> = sd_jwt.split('~').map(bent).collect();
    let bent = bent.join("~");
    if bent == sd_jwt { Err("the title is not disclosed".into()) } else { Ok(bent) }
}

/// Title as a peer reports it, which is in the subject in one of the formats.
fn title(verified: &Value) -> &Value {
    let claims = &verified["claims"];
    if claims["credentialSubject"].is_object() { &claims["credentialSubject"]["title"] } else { &claims["title"] }
}

/// Claim paths of a request for the title alone.
fn title_path(format: &str) -> Vec<Step> {
    let names: &[&str] = if format == "dc+sd-jwt" { &["title"] } else { &["credentialSubject", "title"] };
    names.iter().map(|name| Step::Name((*name).to_owned())).collect()
}

impl Trial {
    pub(crate) fn verify(
        &mut self,
        credential: &str,
        nonce: Option<(&str, &str)>,
    ) -> Result<std::result::Result<Value, String>> {
        let mut args = json!({"credential": credential, "service": self.stage.university.service.url});
        if let Some((nonce, audience)) = nonce {
            args["nonce"] = json!(nonce);
            args["audience"] = json!(audience);
        }
        self.peer.call("verify", args)
    }

    /// Expects a refusal that has one of these words.
    pub(crate) fn must_refuse(
        &mut self,
        (what, words): (&str, &str),
        credential: &str,
        nonce: Option<(&str, &str)>,
    ) -> Result<()> {
        let verified = self.verify(credential, nonce)?;
        let error = verified.as_ref().map_or_else(|error| error.to_lowercase(), |_| String::new());
        assert!(words.split(' ').any(|word| error.contains(word)), "{what}: {verified:?}");
        self.report.row(what, OURS, "refused");
        Ok(())
    }

    async fn verifies_ours(&mut self, format: &str, traits: &Traits) -> Result<()> {
        let offer = self.stage.offer(&self.stage.university, QUALIFICATION, &qualification(), &["--format", format])?;
        // The reference implementation verifies key bindings of ES256 alone.
        let key = SecretKey::generate(SignatureAlgorithm::Es256, &mut OsRng);
        let copy = visitor::collect_bound(&offer.uri, offer.pin.as_deref(), key, now()).await?;
        let good = self.verify(&copy.credential, None)??;
        assert_eq!(title(&good), TITLE, "{good}");
        let reads_status = traits.reads_status_of.contains(&format);
        let status = if reads_status { " and its status list" } else { "" };
        self.report.row(&format!("`{format}` credential{status}"), OURS, "accepted");
        let what = format!("`{format}` with a changed signature");
        self.must_refuse((&what, "signature"), &with_broken_signature(&copy.credential)?, None)?;
        let (bent, what) = (with_another_title(&copy.credential)?, format!("`{format}` with a changed claim"));
        if traits.refuses_unreferenced {
            self.must_refuse((&what, "disclosure"), &bent, None)?;
        } else {
            let verified = self.verify(&bent, None)??;
            assert!(title(&verified).is_null(), "{verified}");
            self.report.row(&what, OURS, "accepted without the claim, against RFC 9901 section 7.1");
        }
        self.verifies_presentation(format, &copy, traits)?;
        if reads_status {
            let revoke = ["status", "revoke", &offer.id, "--urgent", "--yes", "--reason", "issued by mistake"];
            self.stage.university.staff(&revoke)?.ok()?;
            self.must_refuse((&format!("`{format}` that was revoked"), "revoked status"), &copy.credential, None)?;
        }
        Ok(())
    }

    fn verifies_presentation(&mut self, format: &str, copy: &Copy, traits: &Traits) -> Result<()> {
        let asked = Asked {
            endpoint: String::new(),
            id: String::new(),
            nonce: NONCE.to_owned(),
            audience: AUDIENCE.to_owned(),
            query_id: "qualification".to_owned(),
            paths: vec![title_path(format)],
        };
        let shown = visitor::present(copy, &asked, now())?;
        let verified = self.verify(&shown, Some((&asked.nonce, &asked.audience)))??;
        assert_eq!(title(&verified), TITLE, "{verified}");
        let aside = if traits.compares_audience { "" } else { "; the library leaves the audience to its caller" };
        let what = format!("presentation of `{format}`, bound to nonce and audience");
        self.report.row(&what, OURS, &format!("accepted{aside}"));
        let what = format!("presentation of `{format}` with another nonce");
        self.must_refuse((&what, "nonce"), &shown, Some(("another", &asked.audience)))?;
        if traits.compares_audience {
            let what = format!("presentation of `{format}` for another audience");
            self.must_refuse((&what, "aud"), &shown, Some((&asked.nonce, "another")))?;
        }
        Ok(())
    }

    /// Has the peer issue a qualification as an SD-JWT VC, with further arguments.
    fn issue_sd_jwt(&mut self, mut args: Value) -> Result<Issued> {
        let day = now().unix() / 86_400 * 86_400;
        let mut claims = json!({"vct": "urn:carnet:type:qualification:1", "nbf": day, "exp": day + 300 * 86_400});
        let names = ["title", "eqfLevel", "awardingBody", "awardingDate", "givenName", "familyName", "dateOfBirth"];
        for name in names {
            claims[name] = qualification()[name].clone();
        }
        args["claims"] = claims;
        args["disclosable"] = json!(names);
        self.issue(args)
    }

    /// Has the peer issue a credential.
    pub(crate) fn issue(&mut self, args: Value) -> Result<Issued> {
        let issued = self.peer.ask("issue", args)?;
        let text = |name: &str| issued[name].as_str().map(str::to_owned).ok_or_else(|| format!("no {name}"));
        Ok(Issued { issuer: text("issuer")?, credential: text("credential")? })
    }

    /// Has our verifier trust an issuer for qualifications.
    pub(crate) fn trust(&mut self, issuer: &str) -> Result<()> {
        self.stage.agency.reconfigure(&format!("[[issuers]]\ndid = {issuer:?}\ntypes = [{QUALIFICATION:?}]\n"))
    }

    /// Code of the check at which our verifier refuses a credential; empty if it accepts it.
    pub(crate) fn refusal(&self, credential: &str) -> Result<String> {
        let file = self.stage.folder.join("credential");
        std::fs::write(&file, credential)?;
        verdict(&self.stage.agency, &["verify", &file.display().to_string()])
    }

    /// The same for a presentation that the peer makes for this nonce and audience.
    fn refusal_of_presentation(&mut self, credential: &str, (nonce, audience): (&str, &str)) -> Result<String> {
        let disclose = ["title", "eqfLevel", "awardingBody", "awardingDate"];
        let args = json!({"credential": credential, "disclose": disclose, "nonce": nonce, "audience": audience});
        let shown = self.peer.ask("present", args)?.as_str().ok_or("no presentation")?.to_owned();
        let claims: Vec<Value> = disclose.iter().map(|name| json!({"path": [name]})).collect();
        let meta = json!({"vct_values": ["urn:carnet:type:qualification:1"]});
        let query = json!({"credentials": [{"id": "one", "format": "dc+sd-jwt", "meta": meta, "claims": claims}]});
        let (file, query_file) = (self.stage.folder.join("presentation"), self.stage.folder.join("query.json"));
        std::fs::write(&file, shown)?;
        std::fs::write(&query_file, query.to_string())?;
        let (file, query_file) = (file.display().to_string(), query_file.display().to_string());
        let presented = ["verify", &file, "--presentation", "--query", &query_file];
        let bound = ["--nonce", NONCE, "--audience", AUDIENCE];
        verdict(&self.stage.agency, &presented.into_iter().chain(bound).collect::<Vec<_>>())
    }

    fn is_verified(&mut self) -> Result<()> {
        let issued = self.issue_sd_jwt(json!({}))?;
        let credential = issued.credential.as_str();
        let code = self.refusal(credential)?;
        self.theirs("credential of an issuer that our configuration does not name", &code, "issuer_untrusted");
        self.trust(&issued.issuer)?;
        let code = self.refusal(credential)?;
        self.theirs("`dc+sd-jwt` credential, ES256, did:jwk, once our configuration names its issuer", &code, "");
        let code = self.refusal(&with_broken_signature(credential)?)?;
        self.theirs("credential with a changed signature", &code, "signature_invalid");
        let code = self.refusal(&with_another_title(credential)?)?;
        self.theirs("credential with a changed claim", &code, "disclosure_unreferenced");
        let code = self.refusal_of_presentation(credential, (NONCE, AUDIENCE))?;
        self.theirs("presentation, bound to nonce and audience", &code, "");
        let code = self.refusal_of_presentation(credential, ("another", AUDIENCE))?;
        self.theirs("presentation with another nonce", &code, "challenge_mismatch");
        let code = self.refusal_of_presentation(credential, (NONCE, "another"))?;
        self.theirs("presentation for another audience", &code, "domain_mismatch");
        Ok(())
    }

    pub(crate) fn theirs(&mut self, what: &str, code: &str, expected: &str) {
        assert_eq!(code, expected, "{what}");
        let result = if code.is_empty() { "accepted".to_owned() } else { format!("refused: `{code}`") };
        self.report.row(what, THEIRS, &result);
    }
}

/// Code of the failed check of a verdict; empty if there is none.
fn verdict(agency: &Office, args: &[&str]) -> Result<String> {
    let said = agency.staff(args)?.json()?;
    let checks = said["verdict"]["checks"].as_array().ok_or("no checks")?;
    let failed = checks.iter().find(|check| check["outcome"] == "failed");
    let code = failed.map_or("", |check| check["code"].as_str().unwrap_or_default());
    assert_eq!(said["verdict"]["accepted"], code.is_empty(), "{said}");
    Ok(code.to_owned())
}
