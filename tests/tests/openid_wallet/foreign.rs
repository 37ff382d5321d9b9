//! An issuer of another house, which speaks OpenID4VCI 1.0 and issues a type that no catalogue has (spec/foreign-types.md).

use std::sync::{
    Arc, Mutex,
    atomic::{AtomicUsize, Ordering},
};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use carnet_core::{
    did::Did,
    keys::{PublicKey, SecretKey, SignatureAlgorithm, Signer as _},
    secure::sd_jwt::{IssueOptions, Step, issue},
};
use carnet_tests::{
    Result,
    stage::Stage,
    stranger::{Stranger, read},
    visitor::{now, object},
};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use rand_core::OsRng;
use serde_json::{Value, json};
use tokio::{
    io::AsyncWriteExt as _,
    net::{TcpListener, TcpStream},
};

use super::{carnet, present_to_stranger, reason, receive};

const VCT: &str = "urn:eudi:pid:1";
const CLAIMS: [&str; 4] = ["family_name", "birthdate", "age_over_18", "given_name"];

/// Answers of the issuer that a test changes.
#[derive(Clone)]
struct Wares {
    vct: String,
    name: String,
    /// Other authorization server, in the metadata and in the grants of offers.
    server: Option<String>,
    /// Display data of the type (`credential_metadata`).
    display: Value,
    /// Another credential endpoint than its own.
    credential_endpoint: Option<String>,
    /// Keys of `/.well-known/jwt-vc-issuer`; `None`: there is no such document.
    named: Option<Did>,
}

/// Running issuer, and the number of requests for credentials.
struct Issuer {
    url: String,
    did: Did,
    wares: Arc<Mutex<Wares>>,
    asked: Arc<AtomicUsize>,
    /// Number of redeemed codes.
    redeemed: Arc<AtomicUsize>,
}

struct Desk {
    url: String,
    key: SecretKey,
    wares: Arc<Mutex<Wares>>,
    asked: Arc<AtomicUsize>,
    redeemed: Arc<AtomicUsize>,
}

impl Issuer {
    async fn open() -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let key = SecretKey::generate(SignatureAlgorithm::Es256, &mut OsRng);
        let did = Did::did_jwk(&key.public_key());
        let url = format!("http://{}", listener.local_addr()?);
        let wares = Wares {
            vct: VCT.to_owned(),
            name: "Ministry".to_owned(),
            server: None,
            display: json!({}),
            credential_endpoint: None,
            named: None,
        };
        let (wares, asked) = (Arc::new(Mutex::new(wares)), Arc::<AtomicUsize>::default());
        let redeemed = Arc::<AtomicUsize>::default();
        let (counted, codes) = (Arc::clone(&asked), Arc::clone(&redeemed));
        let desk = Desk { url: url.clone(), key, wares: Arc::clone(&wares), asked: counted, redeemed: codes };
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let _ = desk.serve(stream).await;
            }
        });
        Ok(Self { url, did, wares, asked, redeemed })
    }

    fn change(&self, change: impl FnOnce(&mut Wares)) {
        change(&mut self.wares.lock().unwrap());
    }

    fn link(&self) -> String {
        let offer = utf8_percent_encode(&format!("{}/offer", self.url), NON_ALPHANUMERIC).to_string();
        format!("openid-credential-offer://?credential_offer_uri={offer}")
    }
}

/// Offer of the type, whose code a server redeems.
fn offer(issuer: &str, server: Option<&str>) -> Value {
    let mut grant = json!({"pre-authorized_code": "c-1"});
    if let Some(server) = server {
        grant["authorization_server"] = server.into();
    }
    json!({
        "credential_issuer": issuer, "credential_configuration_ids": ["pid"],
        "grants": {"urn:ietf:params:oauth:grant-type:pre-authorized_code": grant},
    })
}

/// Link of an offer by value.
fn by_value(offer: &Value) -> String {
    let offer = utf8_percent_encode(&offer.to_string(), NON_ALPHANUMERIC).to_string();
    format!("openid-credential-offer://?credential_offer={offer}")
}

impl Desk {
    async fn serve(&self, mut stream: TcpStream) -> Result<()> {
        let (head, body) = read(&mut stream).await?;
        let path = head.split(' ').nth(1).unwrap_or_default();
        let answer = self.answer(path, &body);
        let (status, text) = answer.map_or((404, String::new()), |answer| (200, answer.to_string()));
        let head = format!(
            "HTTP/1.1 {status} X\r\ncontent-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
            text.len()
        );
        stream.write_all(head.as_bytes()).await?;
        stream.write_all(text.as_bytes()).await?;
        Ok(())
    }

    fn answer(&self, path: &str, body: &str) -> Option<Value> {
        let (url, wares) = (&self.url, self.wares.lock().unwrap().clone());
        Some(match path {
            "/offer" => offer(url, wares.server.as_deref()),
            "/.well-known/openid-credential-issuer" => json!({
                "credential_issuer": url,
                "credential_endpoint": wares.credential_endpoint.unwrap_or_else(|| format!("{url}/credential")),
                "nonce_endpoint": format!("{url}/nonce"), "batch_credential_issuance": {"batch_size": 3},
                "display": [{"name": wares.name, "locale": "en"}],
                "authorization_servers": wares.server.iter().collect::<Vec<_>>(),
                "credential_configurations_supported": {"pid": {
                    "format": "dc+sd-jwt", "vct": wares.vct, "credential_metadata": wares.display,
                    "cryptographic_binding_methods_supported": ["jwk"],
                    "credential_signing_alg_values_supported": ["ES256"],
                    "proof_types_supported": {"jwt": {"proof_signing_alg_values_supported": ["EdDSA"]}},
                }},
            }),
            "/.well-known/oauth-authorization-server" => {
                json!({"issuer": url, "token_endpoint": format!("{url}/token")})
            }
            "/.well-known/jwt-vc-issuer" => {
                let kid = format!("{}#0", wares.named.as_ref()?);
                let mut key = self.key.public_key().to_jwk();
                key.insert("kid".to_owned(), kid.into());
                json!({"issuer": url, "jwks": {"keys": [key]}})
            }
            "/token" => {
                self.redeemed.fetch_add(1, Ordering::Relaxed);
                json!({"access_token": "t-1", "token_type": "Bearer", "expires_in": 300})
            }
            "/nonce" => json!({"c_nonce": "n-1"}),
            "/credential" => {
                self.asked.fetch_add(1, Ordering::Relaxed);
                let request: Value = serde_json::from_str(body).ok()?;
                let proofs = request["proofs"]["jwt"].as_array()?;
                let copies =
                    proofs.iter().map(|proof| Some(json!({"credential": self.copy(proof.as_str()?, &wares)?})));
                json!({"credentials": copies.collect::<Option<Vec<_>>>()?})
            }
            _ => return None,
        })
    }

    /// A copy for the key of a proof: `kid` is a fragment, and there is no end.
    fn copy(&self, proof: &str, wares: &Wares) -> Option<String> {
        let header: Value = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(proof.split('.').next()?).ok()?).ok()?;
        let holder = PublicKey::from_jwk(&header["jwk"]).ok()?;
        let payload = json!({
            "iss": Did::did_jwk(&self.key.public_key()).as_str(), "vct": wares.vct, "iat": now().unix(),
            "family_name": "Okonkwo\u{1b}[2J", "given_name": "Ada", "birthdate": "1998-04-03", "age_over_18": true,
        });
        let options = IssueOptions {
            typ: "dc+sd-jwt",
            kid: "#0",
            disclosable: &CLAIMS.map(|name| vec![Step::Name(name.to_owned())]),
            ordered_claims: &[],
            holder_key: Some(&holder),
            decoys_to_multiple_of: 0,
            padded_arrays: &[],
        };
        issue(&object(payload), &options, &self.key, &mut OsRng).ok()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_type_that_no_catalogue_has_is_received_listed_and_shown_by_the_least() -> Result<()> {
    let stage = Stage::set(false).await?;
    stage.make_wallet()?;
    let issuer = Issuer::open().await?;
    issuer.change(|wares| wares.name = "Residency\u{202e} Authority".to_owned());
    let said = receive(&stage, &issuer.link(), None)?.ok()?.json()?;
    let received = &said["received"][0];
    assert_eq!((&received["type"], &received["copies"]), (&json!(VCT), &json!(3)), "{said}");
    assert_eq!(received["issuer"], issuer.did.as_str());
    assert_eq!(received["label"], format!("unknown kind of document ({VCT})"));
    let name = format!("{} (Residency[U+202E] Authority)", issuer.url.trim_start_matches("http://"));
    assert_eq!(received["issuer_name"], name);
    let unchecked = ["form", "signing_key", "status_lists", "valid_from", "valid_until"];
    assert_eq!(received["unchecked"], json!(unchecked));

    // Text of others moves no cursor, and starts no line.
    let listed = stage.carnet_on("wallet.age", &["list"], &["--no-input"], "")?.ok()?;
    assert!(listed.stdout.contains(VCT) && !listed.stdout.contains(['\u{1b}', '\u{202e}']), "{}", listed.stdout);
    let id = received["id"].as_str().ok_or("no id")?;
    let shown = stage.carnet_on("wallet.age", &["show", id], &["--no-input"], "")?.ok()?;
    let line = shown.stdout.lines().find(|line| line.contains("family_name")).ok_or("no family name")?;
    assert!(line.ends_with("family_name: Okonkwo[U+001B][2J"), "{line:?}");

    // Of two sets, the one that tells less.
    let claims: Vec<Value> = CLAIMS.iter().map(|name| json!({"id": name, "path": [name]})).collect();
    let query = json!({"credentials": [{"id": "pid", "format": "dc+sd-jwt", "meta": {"vct_values": [VCT]},
        "claims": claims, "claim_sets": [["family_name", "given_name", "birthdate"], ["age_over_18"]]}]});
    let verifier = Stranger::open(query, (200, "{}"), |_, _| ()).await?;
    let answer = present_to_stranger(&stage, &verifier.link())?.ok()?.json()?;
    assert_eq!(answer["shown"][0]["paths"], json!(["age_over_18"]), "{answer}");
    let token = verifier.vp_token().ok_or("nothing was sent")?;
    assert_eq!(token["pid"][0].as_str().map(|text| text.split('~').count()), Some(3), "one disclosure: {token}");
    // The twin: another type is not answered with it.
    let query = json!({"credentials": [{"id": "pid", "format": "dc+sd-jwt", "meta": {"vct_values": ["urn:eudi:pid:2"]},
        "claims": [{"path": ["age_over_18"]}]}]});
    let verifier = Stranger::open(query, (200, "{}"), |_, _| ()).await?;
    assert_eq!(reason(&carnet(&stage, &["present", &verifier.link()])?)?, "query_unmet");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn row_120_names_by_an_issuer_stand_beside_the_kind_and_the_path_and_imitate_nothing() -> Result<()> {
    let stage = Stage::set(false).await?;
    stage.make_wallet()?;
    let issuer = Issuer::open().await?;
    let claim = |path: &str, name: &str| json!({"path": [path], "display": [{"name": name, "locale": "en"}]});
    let display = |name: &str, claim_name: &str| {
        json!({
            "display": [{"name": name, "locale": "en-US"}, {"name": "Ausweis", "locale": "de"}],
            "claims": [claim("family_name", claim_name), claim("age_over_18", "Over 18")],
        })
    };
    let list = |flags: &[&str]| -> Result<String> {
        Ok(stage.carnet_on("wallet.age", &["list"], &[&["--no-input"], flags].concat(), "")?.ok()?.stdout)
    };
    // A name that would be the end of its line, and a line of the wallet's.
    issuer.change(|wares| wares.display = display("Residence permit\n  Issuer: State", "Name (checked by Carnet)"));
    let said = receive(&stage, &issuer.link(), None)?.ok()?.json()?;
    assert_eq!(said["received"][0]["label"], format!("unknown kind of document ({VCT})"));
    let id = said["received"][0]["id"].as_str().ok_or("no id")?.to_owned();
    let shown = stage.carnet_on("wallet.age", &["show", &id], &["--no-input"], "")?.ok()?.stdout;
    assert!(shown.contains("  family_name: ") && shown.contains("\u{201c}Over 18\u{201d} (age_over_18): "), "{shown}");
    assert!(!shown.contains("State") && !shown.contains("checked by"), "{shown}");
    stage.carnet(&["delete", &id, "--yes"])?.ok()?;

    // The twin: the name of a type of the catalogue is shown, as what a stranger calls something else.
    issuer.change(|wares| wares.display = display("Residence permit", "Family name"));
    let said = receive(&stage, &issuer.link(), None)?.ok()?.json()?;
    let named = format!("\u{201c}Residence permit\u{201d}, as its issuer calls it: unknown kind of document ({VCT})");
    assert_eq!(said["received"][0]["label"], named.as_str());
    assert!(list(&[])?.contains("\u{201c}Residence permit\u{201d}, as its issuer calls it"));
    assert!(list(&["--lang", "de"])?.contains("Ausweis"));

    // On the screen of consent, in the log and in a complaint the path stands beside the name.
    let query = json!({"credentials": [{"id": "pid", "format": "dc+sd-jwt", "meta": {"vct_values": [VCT]},
        "claims": [{"path": ["age_over_18"]}]}]});
    let verifier = Stranger::open(query, (200, "{}"), |_, _| ()).await?;
    let consent = carnet(&stage, &["present", &verifier.link()])?;
    assert!(consent.stdout.contains("(age_over_18)") && consent.stdout.contains("Over 18"), "{}", consent.stdout);
    present_to_stranger(&stage, &verifier.link())?.ok()?;
    let complaint = carnet(&stage, &["report", &verifier.client_id])?.ok()?.json()?;
    let text = complaint["text"].as_str().ok_or("no text")?;
    assert!(text.contains("Over 18") && text.contains("age_over_18"), "{text}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_code_goes_to_the_authorization_server_that_offer_and_metadata_name() -> Result<()> {
    let stage = Stage::set(false).await?;
    stage.make_wallet()?;
    let (issuer, server, other) = (Issuer::open().await?, Issuer::open().await?, Issuer::open().await?);
    let redeemed = |at: &Issuer| at.redeemed.load(Ordering::Relaxed);
    issuer.change(|wares| wares.server = Some(server.url.clone()));
    // The offer names a server that the metadata do not.
    let link = by_value(&offer(&issuer.url, Some(&other.url)));
    assert_eq!(reason(&receive(&stage, &link, None)?)?, "malformed_value");
    assert_eq!((redeemed(&issuer), redeemed(&server), redeemed(&other)), (0, 0, 0));
    // The twin, by value and by reference.
    receive(&stage, &by_value(&offer(&issuer.url, Some(&server.url))), None)?.ok()?;
    receive(&stage, &issuer.link(), None)?.ok()?;
    assert_eq!((redeemed(&issuer), redeemed(&server), redeemed(&other)), (0, 2, 0));
    // Without a server in the offer, the first of the metadata.
    receive(&stage, &by_value(&offer(&issuer.url, None)), None)?.ok()?;
    assert_eq!((redeemed(&issuer), redeemed(&server)), (0, 3));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_code_is_not_spent_where_an_endpoint_must_not_be_called() -> Result<()> {
    let stage = Stage::set(false).await?;
    stage.make_wallet()?;
    let issuer = Issuer::open().await?;
    for endpoint in ["https://10.0.0.1/credential", "http://127.0.0.2:9/credential"] {
        issuer.change(|wares| wares.credential_endpoint = Some(endpoint.to_owned()));
        assert_eq!(reason(&receive(&stage, &issuer.link(), None)?)?, "address_forbidden", "{endpoint}");
        assert_eq!(issuer.redeemed.load(Ordering::Relaxed), 0, "{endpoint}");
    }
    // The twin: the code is still good.
    issuer.change(|wares| wares.credential_endpoint = None);
    receive(&stage, &issuer.link(), None)?.ok()?;
    assert_eq!(issuer.redeemed.load(Ordering::Relaxed), 1);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stranger_is_neither_another_issuer_nor_of_the_catalogue() -> Result<()> {
    let stage = Stage::set(false).await?;
    stage.make_wallet()?;
    let issuer = Issuer::open().await?;
    // A type of the catalogue, from an issuer that does not say which DID it issues under.
    issuer.change(|wares| wares.vct = "urn:carnet:type:qualification:1".to_owned());
    assert_eq!(reason(&receive(&stage, &issuer.link(), None)?)?, "not_found");
    // A name that cannot be shown.
    issuer.change(|wares| wares.vct = "urn:eudi\u{202e}:pid".to_owned());
    assert_eq!(reason(&receive(&stage, &issuer.link(), None)?)?, "type_unknown");
    assert_eq!(issuer.asked.load(Ordering::Relaxed), 0, "nothing was redeemed");
    // The service names one DID, and the copies are by another.
    let other = SecretKey::generate(SignatureAlgorithm::Es256, &mut OsRng);
    issuer.change(|wares| (wares.vct, wares.named) = (VCT.to_owned(), Some(Did::did_jwk(&other.public_key()))));
    assert_eq!(reason(&receive(&stage, &issuer.link(), None)?)?, "issuer_mismatch");
    issuer.change(|wares| wares.named = Some(issuer.did.clone()));
    let said = receive(&stage, &issuer.link(), None)?.ok()?.json()?;
    assert_eq!(said["received"][0]["issuer"], issuer.did.as_str(), "{said}");
    Ok(())
}
