//! A malicious issuer marks all copies of a batch alike, so that they equal each other; the wallet must detect it.

#![allow(clippy::arithmetic_side_effects)]

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use carnet_core::{
    format::CredentialFormat,
    json::canonicalize_object,
    keys::Signer as _,
    secure::data_integrity::{ProofOptions, add_proof, to_canonical_text},
};
use rand_core::{CryptoRng, RngCore};
use sha2::{Digest as _, Sha256};

use super::*;

type Remark = fn(&mut ProofOptions<'_>);
type Rewrite = fn(&str) -> String;

const SD_JWT: [CredentialFormat; 2] = [CredentialFormat::VcSdJwt, CredentialFormat::DcSdJwt];
const BASE: &str = "https://uni.example/status";
const DID: &str = "did:web:uni.example";

/// Creates the directory of an issuer's lists.
pub(super) fn directory(lists: &[&str], signing_key: Option<&str>) -> StatusListDirectory {
    let lists: Vec<String> = lists.iter().map(|list| format!("{BASE}/{list}")).collect();
    let mut said = json!({ "status_lists": lists });
    if let Some(key) = signing_key {
        said["signing_key"] = json!(key);
    }
    StatusListDirectory::parse(&format!("{BASE}/lists"), said.to_string().as_bytes()).unwrap()
}

pub(super) fn digest(disclosure: &str) -> String {
    URL_SAFE_NO_PAD.encode(Sha256::digest(disclosure.as_bytes()))
}

/// Parts of an SD-JWT, to be rewritten and signed again.
struct Texts {
    header: String,
    payload: String,
    disclosures: Vec<String>,
}

impl Texts {
    fn of(copy: &str) -> Self {
        let decode = |part: &str| String::from_utf8(URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap();
        let mut parts = copy.trim_end_matches('~').split('~');
        let jws: Vec<&str> = parts.next().unwrap().split('.').collect();
        Self { header: decode(jws[0]), payload: decode(jws[1]), disclosures: parts.map(decode).collect() }
    }

    fn sign(&self, issuer: &Issuer) -> String {
        let input = format!("{}.{}", URL_SAFE_NO_PAD.encode(&self.header), URL_SAFE_NO_PAD.encode(&self.payload));
        let mut copy = format!("{input}.{}", URL_SAFE_NO_PAD.encode(issuer.key.sign(input.as_bytes()).unwrap()));
        for disclosure in &self.disclosures {
            copy.push_str(&format!("~{}", URL_SAFE_NO_PAD.encode(disclosure)));
        }
        copy + "~"
    }

    /// Rewrites the disclosure of a claim, and replaces its digest.
    fn disclose(&mut self, name: &str, change: impl Fn(&str) -> String) {
        let is_it = |text: &&mut String| text.contains(&format!("\"{name}\""));
        let disclosure = self.disclosures.iter_mut().find(is_it).unwrap();
        let before = digest(&URL_SAFE_NO_PAD.encode(&*disclosure));
        *disclosure = change(disclosure);
        let after = digest(&URL_SAFE_NO_PAD.encode(&*disclosure));
        assert!(self.payload.contains(&before));
        self.payload = self.payload.replace(&before, &after);
        self.sort();
    }

    fn sort(&mut self) {
        let from = self.payload.find("\"_sd\":[").unwrap() + 7;
        let to = from + self.payload[from..].find(']').unwrap();
        let mut digests: Vec<&str> = self.payload[from..to].split(',').collect();
        digests.sort_unstable();
        self.payload = format!("{}{}{}", &self.payload[..from], digests.join(","), &self.payload[to..]);
    }

    fn replace(text: &mut String, from: &str, to: &str) {
        assert!(text.contains(from), "{text}");
        *text = text.replacen(from, to, 1);
    }
}

type Mark = fn(&mut Texts);

/// Possible marks in the JSON of an SD-JWT.
const MARKS: [(&str, Mark); 16] = [
    ("white space in the header", |texts| Texts::replace(&mut texts.header, ",", ", ")),
    ("the order of the header", |texts| {
        Texts::replace(&mut texts.header, "{\"alg\":\"EdDSA\",", "{");
        Texts::replace(&mut texts.header, "}", ",\"alg\":\"EdDSA\"}");
    }),
    ("an escape in the header", |texts| Texts::replace(&mut texts.header, "EdDSA", "Ed\\u0044SA")),
    ("white space in the payload", |texts| Texts::replace(&mut texts.payload, "{", "{ ")),
    ("white space after the payload", |texts| texts.payload.push('\n')),
    ("an escape in the payload", |texts| Texts::replace(&mut texts.payload, "sha-256", "sh\\u0061-256")),
    ("the order of the payload", |texts| {
        Texts::replace(&mut texts.payload, "\"_sd_alg\":\"sha-256\",", "");
        let end = texts.payload.len() - 1;
        texts.payload.insert_str(end, ",\"_sd_alg\":\"sha-256\"");
    }),
    ("a digest algorithm that is not named", |texts| {
        Texts::replace(&mut texts.payload, "\"_sd_alg\":\"sha-256\",", "")
    }),
    ("a member of cnf", |texts| Texts::replace(&mut texts.payload, "\"cnf\":{", "\"cnf\":{\"kid\":\"4711\",")),
    ("a member of the key", |texts| Texts::replace(&mut texts.payload, "\"jwk\":{", "\"jwk\":{\"kid\":\"4711\",")),
    ("the order of the digests", |texts| {
        let from = texts.payload.find("\"_sd\":[").unwrap() + 7;
        let (first, rest) = texts.payload[from..].split_at(46);
        let (second, rest) = rest.split_at(45);
        texts.payload = format!("{}{second},{}{rest}", &texts.payload[..from], &first[..45]);
    }),
    ("one more decoy", |texts| {
        let more = digest(&texts.payload);
        Texts::replace(&mut texts.payload, "\"_sd\":[", &format!("\"_sd\":[\"{more}\","));
        texts.sort();
    }),
    ("the order of the disclosures", |texts| texts.disclosures.rotate_left(1)),
    ("white space in a disclosure", |texts| texts.disclose("awardingBody", |text| text.replacen(',', ", ", 1))),
    ("an escape in a disclosure", |texts| {
        texts.disclose("awardingBody", |text| text.replacen("awardingBody", "awardingBod\\u0079", 1))
    }),
    ("a shorter salt", |texts| {
        texts.disclose("awardingBody", |text| format!("[\"{}", &text[4..]));
    }),
];

#[test]
fn row_92_each_mark_in_an_sd_jwt_is_refused() {
    for format in SD_JWT {
        let twin = Delivery::new(format);
        let all = twin.copies.clone();
        let signed = |mark: Mark| {
            let mark = |copy: &String| {
                let mut texts = Texts::of(copy);
                mark(&mut texts);
                texts.sign(&twin.issuer)
            };
            let mut delivery = Delivery { copies: all.iter().map(mark).collect(), ..Delivery::new(format) };
            delivery.keys.clone_from(&twin.keys);
            delivery.promised_issuer.clone_from(&twin.promised_issuer);
            delivery.receive().map(|_| ()).map_err(|problem| problem.code)
        };
        assert_eq!(signed(|_| ()), Ok(()), "{format}: signed again as it was");
        for (what, mark) in MARKS {
            assert_eq!(signed(mark), Err(Code::CopyMarked), "{format}: {what}");
        }
    }
}

#[test]
fn row_92_members_of_the_format_that_carnets_copies_lack() {
    let twin = Delivery::new(CredentialFormat::DcSdJwt);
    let received = |member: fn(&Did) -> (&'static str, Value)| {
        let mark = |copy: &String| {
            let mut texts = Texts::of(copy);
            let mut payload: Map<String, Value> = serde_json::from_str(&texts.payload).unwrap();
            let own = PublicKey::from_jwk(&payload["cnf"]["jwk"]).unwrap();
            let (name, value) = member(&Did::did_jwk(&own));
            payload.insert(name.to_owned(), value);
            texts.payload = String::from_utf8(canonicalize_object(&payload).unwrap()).unwrap();
            texts.sign(&twin.issuer)
        };
        let mut delivery =
            Delivery { copies: twin.copies.iter().map(mark).collect(), ..Delivery::new(CredentialFormat::DcSdJwt) };
        delivery.keys.clone_from(&twin.keys);
        delivery.promised_issuer.clone_from(&twin.promised_issuer);
        delivery.receive().map(|_| ()).map_err(|problem| problem.code)
    };
    assert_eq!(received(|_| ("_sd_alg", json!("sha-256"))), Ok(()), "as it was");
    let integrity = |_: &Did| ("vct#integrity", json!("sha256-WRRQ9PLFvTGwEKhXIZ6RCVRQXyNrAtbxGyZBLhGfKHo="));
    assert_eq!(received(integrity), Err(Code::CopyMarked));
    assert_eq!(received(|own| ("sub", json!(own.as_str()))), Err(Code::CopyMarked));
}

#[test]
fn row_118_the_integrity_of_a_type_is_the_catalogues_or_a_mark() {
    let dir = tempfile::tempdir().unwrap();
    let type_name = Issuer::new().type_name;
    let text = format!("[{type_name}]\nvct = \"https://uni.example/types/a\"\nintegrity = true\n");
    std::fs::write(dir.path().join("vct.toml"), text).unwrap();
    let catalogue = Catalogue::load(dir.path()).unwrap();
    let known = catalogue.credential_type(type_name).unwrap().clone();
    let integrity = known.vct_integrity.clone().unwrap();
    let received = |vct: &str, integrity: Option<&str>| {
        let mut delivery = Delivery::new(CredentialFormat::DcSdJwt);
        delivery.reissue(|_, payload| {
            payload.insert("vct".to_owned(), vct.into());
            payload.extend(integrity.map(|digest| ("vct#integrity".to_owned(), digest.into())));
        });
        delivery.issuer.catalogue = catalogue.clone();
        delivery.receive().map(|_| ()).map_err(|problem| problem.code)
    };
    assert_eq!(received(&known.vct, Some(&integrity)), Ok(()));
    assert_eq!(received(&known.vct, None), Err(Code::CopyMarked));
    let other = "sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=";
    assert_eq!(received(&known.vct, Some(other)), Err(Code::SchemaViolation));
    // One issuer that could use either name of a type could tell two people apart by it.
    let earlier = known.vcts().last().unwrap();
    assert_eq!(received(earlier, None), Err(Code::CopyMarked));
    assert_eq!(received(earlier, Some(&integrity)), Err(Code::CopyMarked));
}

/// Random number generator whose output always starts with the same bytes.
struct Prefixed(&'static [u8]);

impl RngCore for Prefixed {
    fn next_u32(&mut self) -> u32 {
        OsRng.next_u32()
    }
    fn next_u64(&mut self) -> u64 {
        OsRng.next_u64()
    }
    fn fill_bytes(&mut self, bytes: &mut [u8]) {
        OsRng.fill_bytes(bytes);
        bytes[..self.0.len()].copy_from_slice(self.0);
    }
    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), rand_core::Error> {
        self.fill_bytes(bytes);
        Ok(())
    }
}
impl CryptoRng for Prefixed {}

#[test]
fn row_92_salts_that_begin_alike_are_refused() {
    for format in SD_JWT {
        let received = |prefix: &'static [u8]| {
            let mut delivery = Delivery::new(format);
            let keys = delivery.keys.iter().map(|key| key.decode().unwrap().public_key());
            let copy = |key| delivery.issuer.copy_drawn(format, &key, |_| {}, &mut Prefixed(prefix));
            delivery.copies = keys.map(copy).collect();
            delivery.receive().map(|_| ()).map_err(|problem| problem.code)
        };
        // Six bytes are eight characters.
        assert_eq!(received(b"person"), Err(Code::CopyMarked), "{format}");
        assert_eq!(received(b""), Ok(()), "{format}");
    }
}

#[test]
fn row_92_a_salt_is_drawn_once_in_a_wallet() {
    for format in SD_JWT {
        let before = Delivery::new(format).receive().unwrap();
        let salt = SdJwt::parse(&before.copies[0].credential.text()).unwrap().salts().last().unwrap().to_owned();
        for (shared, code) in [(22, Some(Code::CopyMarked)), (8, Some(Code::CopyMarked)), (7, None)] {
            let mut delivery = Delivery::new(format);
            delivery.earlier.clone_from(&before.copies);
            assert!(delivery.receive().is_ok());
            let mut texts = Texts::of(&delivery.copies[1]);
            texts.disclose("awardingBody", |text| {
                // Copies share no more than that, not even by chance.
                let mut own = text[2 + shared..].to_owned();
                if salt[shared..].starts_with(&own[..1]) {
                    own.replace_range(..1, if own.starts_with('A') { "B" } else { "A" });
                }
                format!("[\"{}{own}", &salt[..shared])
            });
            delivery.copies[1] = texts.sign(&delivery.issuer);
            assert_eq!(delivery.receive().err().map(|problem| problem.code), code, "{format} {shared}");
        }
    }
}

#[test]
fn row_92_each_mark_in_a_data_integrity_proof_is_refused() {
    for &format in FORMATS.iter().filter(|format| !format.is_sd_jwt()) {
        let received = |change: &dyn Fn(&Issuer, &str) -> String| {
            let mut delivery = Delivery::new(format);
            let copies = delivery.copies.iter().map(|copy| change(&delivery.issuer, copy)).collect();
            delivery.copies = copies;
            delivery.receive().map(|_| ()).map_err(|problem| problem.code)
        };
        // Signs the credential again with other options.
        let again = |options: fn(&mut ProofOptions<'_>)| {
            move |issuer: &Issuer, copy: &str| {
                let mut document: Map<String, Value> = serde_json::from_str(copy).unwrap();
                document.remove("proof");
                let method = issuer.method();
                let mut chosen = ProofOptions {
                    verification_method: &method,
                    purpose: carnet_core::did::VerificationRelationship::AssertionMethod,
                    created: Some(NOW.start_of_day()),
                    expires: None,
                    challenge: None,
                    domain: None,
                };
                options(&mut chosen);
                let suites = supported_suites(&issuer.catalogue).unwrap();
                let suite = suites.for_signing(format, issuer.key.algorithm()).unwrap();
                to_canonical_text(&add_proof(&document, suite, &chosen, &issuer.key).unwrap()).unwrap()
            }
        };
        assert_eq!(received(&again(|_| ())), Ok(()), "{format}: signed again as it was");
        let marks: [(&str, Remark); 6] = [
            ("created to the second", |options| options.created = Some(NOW)),
            ("created on another day", |options| options.created = Some(NOW.plus(-86_400).start_of_day())),
            ("no created", |options| options.created = None),
            ("an end of the proof", |options| options.expires = Some(NOW.plus(86_400 * 400).start_of_day())),
            ("a challenge", |options| options.challenge = Some("4711")),
            ("a domain", |options| options.domain = Some("4711")),
        ];
        for (what, options) in marks {
            assert_eq!(received(&again(options)), Err(Code::CopyMarked), "{format}: {what}");
        }
        // The signature covers none of these, so a forger needs the text only.
        let texts: [(&str, Rewrite); 3] = [
            ("white space", |copy| copy.replacen(',', ", ", 1)),
            ("an escape", |copy| copy.replacen("Nursing", "Nursin\\u0067", 1)),
            ("the order", |copy| {
                let document: Map<String, Value> = serde_json::from_str(copy).unwrap();
                let context = document["@context"].to_string();
                let rest = copy.replacen(&format!("\"@context\":{context},"), "", 1);
                format!("{},\"@context\":{context}}}", rest.strip_suffix('}').unwrap())
            }),
        ];
        for (what, text) in texts {
            assert_eq!(received(&move |_, copy| text(copy)), Err(Code::CopyMarked), "{format}: {what}");
        }
    }
}

#[test]
fn row_92_days_are_those_of_issue_and_offer() {
    let from = |at: Timestamp| {
        move |format: CredentialFormat, payload: &mut Map<String, Value>| match format {
            CredentialFormat::DcSdJwt => drop(payload.insert("nbf".to_owned(), json!(at.unix()))),
            _ => drop(payload.insert("validFrom".to_owned(), json!(at.to_string()))),
        }
    };
    let today = NOW.start_of_day();
    for &format in FORMATS {
        let mut delivery = Delivery::new(format);
        assert!(delivery.receive().is_ok(), "{format}");
        delivery.reissue(|_, payload| from(today.plus(-86_400))(format, payload));
        assert_eq!(delivery.receive().unwrap_err().code, Code::CopyMarked, "{format}: the day before");
        // Copies requested yesterday may have been issued yesterday; the day of a proof is that of the copy.
        delivery.days = DateRequirement::Issued { since: NOW.plus(-86_400), until: None };
        delivery.issuer.created = Some(today.plus(-86_400));
        delivery.reissue(|_, payload| from(today.plus(-86_400))(format, payload));
        assert!(delivery.receive().is_ok(), "{format}: {:?}", delivery.receive().err());
        let mut delivery = Delivery::new(format);
        delivery.days = DateRequirement::Issued { since: NOW, until: Some(today.plus(366 * 86_400)) };
        assert_eq!(delivery.receive().unwrap_err().code, Code::CopyMarked, "{format}: another end than was offered");
        delivery.days = DateRequirement::Issued { since: NOW, until: None };
        assert!(delivery.receive().is_ok(), "{format}: the offer named no end");
    }
}

/// Sets the status of a copy to a list and index, as this issuer writes it.
fn status(format: CredentialFormat, payload: &mut Map<String, Value>, list: usize, index: usize) {
    let entry = |purpose: &str| {
        json!({"type": "BitstringStatusListEntry", "statusPurpose": purpose, "statusListIndex": index.to_string(),
            "statusListCredential": format!("{BASE}/{purpose}/{list}")})
    };
    let (name, value) = match format {
        CredentialFormat::DcSdJwt => {
            ("status", json!({"status_list": {"idx": index, "uri": format!("{BASE}/token/{list}")}}))
        }
        _ => ("credentialStatus", json!([entry("revocation"), entry("suspension")])),
    };
    payload.insert(name.to_owned(), value);
}

#[test]
fn row_92_places_in_status_lists_mark_nobody() {
    let forms = ["revocation", "suspension", "token"];
    let lists: Vec<String> = (1..=3).flat_map(|list| forms.map(|form| format!("{form}/{list}"))).collect();
    let lists: Vec<&str> = lists.iter().map(String::as_str).collect();
    let received = |format: CredentialFormat, earlier: &[CredentialCopy], place: fn(usize) -> (usize, usize)| {
        let mut delivery = Delivery::new(format);
        delivery.directory = Some(directory(&lists, None));
        delivery.earlier = earlier.to_vec();
        delivery.reissue(|at, payload| {
            let (list, index) = place(at);
            status(format, payload, list, index);
        });
        delivery.receive()
    };
    for &format in FORMATS {
        let code =
            |earlier: &[CredentialCopy], place| received(format, earlier, place).err().map(|problem| problem.code);
        let held = received(format, &[], |at| (1, at)).unwrap();
        assert_eq!(code(&[], |at| (1 + at % 2, 7)), Some(Code::CopyMarked), "{format}: one place for two copies");
        assert_eq!(code(&[], |_| (1, 7)), Some(Code::CopyMarked), "{format}: one index in all");
        assert_eq!(code(&[], |at| (1 + at % 2, at)), None, "{format}: two lists");
        assert_eq!(code(&[], |at| (1 + at, at)), Some(Code::CopyMarked), "{format}: three lists");
        assert_eq!(code(&[], |at| (4711, at)), Some(Code::CopyMarked), "{format}: a list for one person");
        assert_eq!(code(&held.copies, |at| (1, at + 2)), Some(Code::CopyMarked), "{format}: a place of before");
        assert_eq!(code(&held.copies, |at| (1, at + 3)), None, "{format}");
        for &other in FORMATS.iter().filter(|other| **other != format) {
            let held = received(other, &[], |at| (1, at)).unwrap();
            assert_eq!(code(&held.copies, |at| (1, at + 2)), Some(Code::CopyMarked), "{format}: a place of {other}");
            assert_eq!(code(&held.copies, |at| (2, at)), None, "{format}, {other}");
        }
        // An issuer with lists gives every copy an index; one without lists gives none.
        let mut delivery = Delivery::new(format);
        delivery.directory = Some(directory(&lists, None));
        assert_eq!(delivery.receive().unwrap_err().code, Code::CopyMarked, "{format}: without a status");
        delivery.directory = None;
        assert!(delivery.receive().is_ok(), "{format}");
        delivery.reissue(|at, payload| status(format, payload, 1, at));
        assert_eq!(delivery.receive().unwrap_err().code, Code::CopyMarked, "{format}: a status without a directory");
    }
}

#[test]
fn row_92_an_index_is_written_in_one_way() {
    for &format in FORMATS.iter().filter(|format| **format != CredentialFormat::DcSdJwt) {
        let received = |index: fn(usize) -> String| {
            let mut delivery = Delivery::new(format);
            delivery.directory = Some(directory(&["revocation/1", "suspension/1"], None));
            delivery.reissue(|at, payload| {
                status(format, payload, 1, at);
                for entry in payload["credentialStatus"].as_array_mut().unwrap() {
                    entry["statusListIndex"] = json!(index(at));
                }
            });
            delivery.receive().is_ok()
        };
        assert!(received(|at| at.to_string()), "{format}");
        assert!(!received(|at| format!("0{at}")), "{format}");
    }
}

#[test]
fn row_92_a_key_for_one_person_is_refused() {
    let person = || Issuer { did: Did::parse(DID).unwrap(), fragment: "key-2", ..Issuer::new() };
    for &format in FORMATS {
        let issuer = person();
        let (other, own) = (Issuer::new().key.public_key(), issuer.key.public_key());
        let document = |keys: &[(&str, &PublicKey)]| {
            let keys: Vec<_> = keys.iter().map(|(name, key)| ((*name).to_owned(), (*key).clone())).collect();
            let rendered = DidDocument::json_for_keys(&issuer.did, &keys);
            Arc::new(DidDocument::parse(&issuer.did, &rendered).unwrap())
        };
        let both = document(&[("key-1", &other), ("key-2", &own)]);
        let alone = document(&[("key-2", &own)]);
        let mut delivery = Delivery::by(issuer, format);
        let mut code = |document, signing_key: Option<&str>| {
            delivery.documents = Documents(vec![document]);
            delivery.directory = signing_key.map(|key| directory(&[], Some(&format!("{DID}#{key}"))));
            delivery.receive().err().map(|problem| problem.code)
        };
        assert_eq!(code(both.clone(), Some("key-2")), None, "{format}: the key that signs now");
        assert_eq!(code(both.clone(), Some("key-1")), Some(Code::CopyMarked), "{format}: another key signs now");
        assert_eq!(code(both, None), Some(Code::CopyMarked), "{format}: nobody knows which key signs now");
        assert_eq!(code(alone.clone(), None), None, "{format}: the only key");
        assert_eq!(code(alone, Some("key-9")), Some(Code::CopyMarked), "{format}: a key that is in no document");
    }
}

/// Creates a catalogue with a foreign type.
fn elsewhere() -> Catalogue {
    let bundled = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../spec/types/qualification");
    let folder = tempfile::tempdir().unwrap();
    let types = folder.path().join("types/diploma");
    let renamed = |text: &str| {
        text.replace("QualificationCredential", "DiplomaCredential")
            .replace("urn:carnet:type:qualification:1", "urn:elsewhere:diploma:1")
            .replace("https://carnet.example/ns/qualification/v1", "https://elsewhere.example/ns/diploma/v1")
    };
    let read = |name: &str| renamed(&std::fs::read_to_string(bundled.join(name)).unwrap());
    std::fs::create_dir_all(types.join("display")).unwrap();
    let context = read("context.jsonld");
    let hex = |bytes: &[u8]| base16ct::lower::encode_string(bytes);
    let before = hex(&Sha256::digest(std::fs::read(bundled.join("context.jsonld")).unwrap()));
    let description = read("type.toml").replace(&before, &hex(&Sha256::digest(context.as_bytes())));
    std::fs::write(types.join("type.toml"), description).unwrap();
    std::fs::write(types.join("context.jsonld"), context).unwrap();
    for name in ["schema.json", "example.json", "display/en.ftl"] {
        std::fs::write(types.join(name), read(name)).unwrap();
    }
    Catalogue::load(folder.path()).unwrap()
}

#[test]
fn row_92_copies_of_a_type_from_elsewhere_are_written_alike() {
    let issuer = || Issuer { catalogue: elsewhere(), type_name: "DiplomaCredential", ..Issuer::new() };
    for format in SD_JWT {
        let twin = Delivery::by(issuer(), format);
        let all = twin.copies.clone();
        let received = |marked: &[usize], mark: Mark| {
            let mark = |(at, copy): (usize, &String)| {
                let mut texts = Texts::of(copy);
                if marked.contains(&at) {
                    mark(&mut texts);
                }
                texts.sign(&twin.issuer)
            };
            let delivery = Delivery {
                copies: all.iter().enumerate().map(mark).collect(),
                keys: twin.keys.clone(),
                promised_issuer: twin.promised_issuer.clone(),
                ..Delivery::by(issuer(), format)
            };
            delivery.receive().map(|_| ()).map_err(|problem| problem.code)
        };
        assert_eq!(received(&[], |_| ()), Ok(()), "{format}");
        for (what, mark) in MARKS {
            // A layout of one copy that differs is detected; one that all share is not, and the owner is told so. The
            // order of digests is not part of the layout.
            if !what.contains("order of the digests") {
                assert_eq!(received(&[1], mark), Err(Code::CopyMarked), "{format}: {what}");
            }
            assert_eq!(received(&[0, 1, 2], mark), Ok(()), "{format}: {what}");
        }
    }
    for &format in FORMATS.iter().filter(|format| !format.is_sd_jwt()) {
        let mut delivery = Delivery::by(issuer(), format);
        assert!(delivery.receive().is_ok(), "{format}: {:?}", delivery.receive().err());
        delivery.copies[1] = delivery.copies[1].replacen(',', ", ", 1);
        assert_eq!(delivery.receive().unwrap_err().code, Code::CopyMarked, "{format}");
    }
}

#[test]
fn what_is_not_checked_is_said() {
    let catalogue = elsewhere();
    let (own, other) = ("QualificationCredential", "DiplomaCredential");
    let said = |name: &str, days| skipped_checks(catalogue.credential_type(name).unwrap(), days);
    let offered = DateRequirement::Issued { since: NOW, until: Some(NOW) };
    let unsaid = DateRequirement::Issued { since: NOW, until: None };
    assert!(said(own, offered).is_empty() && said(own, DateRequirement::Unchanged).is_empty());
    assert_eq!(said(own, unsaid), ["valid_until"]);
    let form = ["form", "signing_key", "status_lists"];
    assert_eq!(said(other, DateRequirement::Unchanged), form);
    assert_eq!(said(other, offered), [&form[..], &["valid_from", "valid_until"]].concat());
}
