//! Load on the services: whole verifications, issuing and reading by eight callers at a time, against the real
//! programs on this disk, beside the floor: durable commits a second of a bare SQLite file.
//!
//! A verification is a request's creation by staff, its reading, a presentation and the reading of the result: three
//! durable writes. Issuing is an offer's creation, its redemption, a nonce and the collection: four durable writes, and
//! the erasure of the claims from the write-ahead log. `CARNET_LOAD_SECONDS` sets how long each part lasts (10).

// A benchmark ends where something does not hold.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::print_stdout
)]

use std::{
    path::Path,
    time::{Duration, Instant},
};

use carnet_proto::{
    issuer::v1::{
        CreateOfferRequest, CredentialFormat, ReadMetadataRequest, issuance_service_client::IssuanceServiceClient,
        offer_service_client::OfferServiceClient,
    },
    verifier::v1::{
        CreateRequestRequest, ReadRequestRequest, ReadResultRequest, create_request_request::What,
        presentation_service_client::PresentationServiceClient, verification_service_client::VerificationServiceClient,
    },
};
use carnet_tests::{
    Result,
    stage::{Stage, residence_permit},
    visitor::{self, Copy, Offer, with_bearer},
};
use prost_types::{Struct, Value, value::Kind};
use sqlx::{
    Connection as _,
    sqlite::{SqliteConnectOptions, SqliteConnection, SqliteJournalMode, SqliteSynchronous},
};
use tonic::transport::Channel;

const CALLERS: usize = 8;
const PERMIT: &str = "ResidencePermitCredential";
const TEMPLATE: &str = "job-right-to-work";

/// One caller with its own connection.
enum Caller {
    Verify { channel: Channel, token: String, copy: Box<Copy> },
    Issue { channel: Channel, token: String, issuer: String, claims: Struct, copies: usize },
    Read { channel: Channel, id: String },
}

fn random() -> String {
    let mut bytes = [0; 16];
    rand_core::RngCore::fill_bytes(&mut rand_core::OsRng, &mut bytes);
    base16ct::lower::encode_string(&bytes)
}

async fn verify(channel: &Channel, token: &str, copy: &Copy) -> Result<()> {
    let mut staff = VerificationServiceClient::new(channel.clone());
    let mut verifier = PresentationServiceClient::new(channel.clone());
    let what = Some(What::Template(TEMPLATE.to_owned()));
    let create = CreateRequestRequest { request_id: random(), what, ttl_seconds: 0 };
    let made = staff.create_request(with_bearer(create, token)?).await?.into_inner();
    let asked = visitor::read_request_with(&mut verifier, &made.request_uri).await?;
    let presentation = visitor::present(copy, &asked, visitor::now())?;
    let answer = visitor::submit_with(&mut verifier, &asked, presentation).await;
    assert_eq!(visitor::refusal(&answer), None);
    let result = staff
        .read_result(with_bearer(ReadResultRequest { id: made.id, ..Default::default() }, token)?)
        .await?
        .into_inner();
    assert!(result.result.is_some());
    Ok(())
}

async fn issue(channel: &Channel, token: &str, issuer: &str, claims: &Struct, copies: usize) -> Result<()> {
    let create = CreateOfferRequest {
        request_id: random(),
        credential_type: PERMIT.to_owned(),
        format: CredentialFormat::VcSdJwt.into(),
        claims: Some(claims.clone()),
        ..CreateOfferRequest::default()
    };
    let made = OfferServiceClient::new(channel.clone()).create_offer(with_bearer(create, token)?).await?.into_inner();
    let offer = Offer::parse(&made.offer_uri)?;
    let mut client = IssuanceServiceClient::new(channel.clone());
    let got = visitor::collect_with(&mut client, issuer, offer, None, copies, visitor::now()).await?;
    assert_eq!(got.len(), copies);
    Ok(())
}

impl Caller {
    async fn call(&self) -> Result<()> {
        match self {
            Self::Verify { channel, token, copy } => verify(channel, token, copy).await,
            Self::Issue { channel, token, issuer, claims, copies } => {
                issue(channel, token, issuer, claims, *copies).await
            }
            Self::Read { channel, id } => {
                let read = ReadRequestRequest { id: id.clone() };
                PresentationServiceClient::new(channel.clone()).read_request(read).await?;
                Ok(())
            }
        }
    }
}

/// Lets each caller call again and again for a while, and returns the times of all calls.
async fn run(callers: Vec<Caller>, time: Duration) -> Vec<Duration> {
    let mut tasks = Vec::new();
    for caller in callers {
        tasks.push(tokio::spawn(async move {
            // Once before the clock starts: connections, prepared statements.
            caller.call().await.unwrap();
            let (start, mut times) = (Instant::now(), Vec::new());
            while start.elapsed() < time {
                let began = Instant::now();
                caller.call().await.unwrap();
                times.push(began.elapsed());
            }
            times
        }));
    }
    let mut times = Vec::new();
    for task in tasks {
        times.extend(task.await.unwrap());
    }
    times.sort();
    times
}

fn report(name: &str, times: &[Duration], time: Duration, floor: f64) {
    let ms = |part: usize| times[(times.len() * part / 1000).min(times.len() - 1)].as_secs_f64() * 1_000.0;
    let rate = times.len() as f64 / time.as_secs_f64();
    println!(
        "{name:<34} {rate:>8.1}/s  p50 {:>7.1} ms  p99 {:>7.1} ms  {:>6.3} of the floor",
        ms(500),
        ms(990),
        rate / floor
    );
}

/// Durable commits a second of one connection to a bare SQLite file with the stores' settings.
async fn floor(folder: &Path, time: Duration) -> Result<f64> {
    let options = SqliteConnectOptions::new()
        .filename(folder.join(format!("floor-{}.sqlite", random())))
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full);
    let mut connection = SqliteConnection::connect_with(&options).await?;
    sqlx::query("CREATE TABLE a (x TEXT)").execute(&mut connection).await?;
    let (start, mut commits) = (Instant::now(), 0);
    while start.elapsed() < time {
        sqlx::query("INSERT INTO a VALUES ('a small row')").execute(&mut connection).await?;
        commits += 1;
    }
    Ok(f64::from(commits) / start.elapsed().as_secs_f64())
}

fn wire(value: &serde_json::Value) -> Value {
    let kind = match value {
        serde_json::Value::Null => Kind::NullValue(0),
        serde_json::Value::Bool(truth) => Kind::BoolValue(*truth),
        serde_json::Value::Number(number) => Kind::NumberValue(number.as_f64().unwrap()),
        serde_json::Value::String(text) => Kind::StringValue(text.clone()),
        serde_json::Value::Array(items) => {
            Kind::ListValue(prost_types::ListValue { values: items.iter().map(wire).collect() })
        }
        serde_json::Value::Object(members) => Kind::StructValue(Struct {
            fields: members.iter().map(|(name, value)| (name.clone(), wire(value))).collect(),
        }),
    };
    Value { kind: Some(kind) }
}

async fn channel(url: &str) -> Result<Channel> {
    Ok(Channel::from_shared(url.to_owned())?.connect().await?)
}

#[tokio::main]
async fn main() -> Result<()> {
    let seconds = std::env::var("CARNET_LOAD_SECONDS").ok().and_then(|text| text.parse().ok()).unwrap_or(10);
    let time = Duration::from_secs(seconds);
    let stage = Stage::set(false).await?;
    let (verifier, authority) = (&stage.agency, &stage.authority);
    let Some(Kind::StructValue(claims)) = wire(&residence_permit()).kind else { return Err("no claims".into()) };
    let issuer = IssuanceServiceClient::connect(authority.service.url.clone())
        .await?
        .read_metadata(ReadMetadataRequest {})
        .await?
        .into_inner()
        .issuer;

    let verifying = async || -> Result<Vec<Caller>> {
        let mut callers = Vec::new();
        for _ in 0..CALLERS {
            let offered = stage.offer(authority, PERMIT, &residence_permit(), &[])?;
            let copy = Box::new(visitor::collect(&offered.uri, None, visitor::now()).await?);
            callers.push(Caller::Verify {
                channel: channel(&verifier.service.url).await?,
                token: verifier.token()?,
                copy,
            });
        }
        Ok(callers)
    };
    let issuing = async |copies: usize| -> Result<Vec<Caller>> {
        let mut callers = Vec::new();
        for _ in 0..CALLERS {
            callers.push(Caller::Issue {
                channel: channel(&authority.service.url).await?,
                token: authority.token()?,
                issuer: issuer.clone(),
                claims: claims.clone(),
                copies,
            });
        }
        Ok(callers)
    };
    let reading = async |count: usize| -> Result<Vec<Caller>> {
        let mut callers = Vec::new();
        for _ in 0..count {
            let (id, _) = stage.request(TEMPLATE)?;
            callers.push(Caller::Read { channel: channel(&verifier.service.url).await?, id });
        }
        Ok(callers)
    };

    let floor = floor(&stage.folder, Duration::from_secs(3)).await?;
    println!("load: {CALLERS} callers, {seconds} s each");
    println!("{:<34} {floor:>8.1}/s  durable commits of one connection to a bare SQLite file", "floor");
    report("verification", &run(verifying().await?, time).await, time, floor);
    report("issuing, 1 copy", &run(issuing(1).await?, time).await, time, floor);
    report("issuing, 10 copies", &run(issuing(10).await?, time).await, time, floor);
    report("reading", &run(reading(CALLERS).await?, time).await, time, floor);
    let (readers, writers) = (reading(2).await?, verifying().await?);
    let (read, _) = tokio::join!(run(readers, time), run(writers, time));
    report("2 reading beside 8 that verify", &read, time, floor);
    Ok(())
}
