//! Operations of staff and wallets over gRPC, each as one caller with its own state.

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use carnet_core::{
    keys::{SecretKey, SignatureAlgorithm},
    secure::jose::Jws,
};
use carnet_proto::{
    issuer::v1::{
        CollectCredentialsRequest, CreateOfferRequest, CredentialFormat, IssueNonceRequest, RedeemOfferRequest,
        issuance_service_client::IssuanceServiceClient, offer_service_client::OfferServiceClient,
    },
    verifier::v1::{
        CreateRequestRequest, HandedOverPresentation, PresentationList, PresentationOutcome, ReadRequestRequest,
        SubmitPresentationRequest, VerifyPresentationRequest, VerifyPresentationsRequest, VerifyPresentationsResponse,
        create_request_request::What, presentation_outcome::Outcome,
        presentation_service_client::PresentationServiceClient, verification_service_client::VerificationServiceClient,
    },
};
use carnet_tests::{
    Result,
    visitor::{self, Copy, Offer, with_bearer},
};
use prost::Message;
use prost_types::Struct;
use rand_core::OsRng;
use serde_json::Value;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Streaming, transport::Channel};

use crate::{echo, wire};

/// Template of the requests.
pub(crate) const TEMPLATE: &str = "job-right-to-work";
/// Type of the issued credentials.
pub(crate) const PERMIT: &str = "ResidencePermitCredential";

/// One completed operation.
#[derive(Debug)]
pub(crate) struct Trip {
    /// Operations in it.
    pub(crate) operations: u64,
    /// Time of the wallet's own work (keys, signatures), which is not the service's.
    pub(crate) own_work: Duration,
    /// Sizes of each request and its answer, in bytes.
    pub(crate) exchanges: Vec<(usize, usize)>,
}

impl Default for Trip {
    fn default() -> Self {
        Self { operations: 1, own_work: Duration::ZERO, exchanges: Vec::new() }
    }
}

impl Trip {
    fn exchanged(&mut self, request: usize, answer: &impl Message) {
        self.exchanges.push((request, answer.encoded_len()));
    }
}

/// One caller with its state.
pub(crate) enum Caller {
    /// Bare gRPC calls of these sizes.
    Echo { channel: Channel, exchanges: Vec<(usize, usize)> },
    /// A presentation that was made before, verified without a stored request.
    Direct { channel: Channel, token: String, messages: Vec<VerifyPresentationRequest>, next: usize },
    /// Presentations that were made before, verified in one message of a stream.
    Stream {
        sender: mpsc::Sender<VerifyPresentationsRequest>,
        answers: Streaming<VerifyPresentationsResponse>,
        message: VerifyPresentationsRequest,
    },
    /// A request, its reading, the presentation, the receipt.
    Chain { channel: Channel, token: String, copy: Box<Copy> },
    /// An offer without a PIN, its redemption, a nonce, and the collection of so many copies.
    Issue { channel: Channel, token: String, issuer: String, claims: Struct, copies: usize },
    /// The reading of one request again and again.
    Read { channel: Channel, id: String },
}

fn random() -> String {
    let mut bytes = [0; 16];
    rand_core::RngCore::fill_bytes(&mut OsRng, &mut bytes);
    base16ct::lower::encode_string(&bytes)
}

impl Caller {
    /// Carries out one operation.
    pub(crate) async fn call(&mut self) -> Result<Trip> {
        match self {
            Self::Echo { channel, exchanges } => {
                for sizes in exchanges.iter() {
                    echo::call(channel, *sizes).await?;
                }
                Ok(Trip::default())
            }
            Self::Direct { channel, token, messages, next } => {
                let message = messages[*next % messages.len()].clone();
                *next += 1;
                verify_directly(channel, token, message).await
            }
            Self::Stream { sender, answers, message } => verify_batch(sender, answers, message.clone()).await,
            Self::Chain { channel, token, copy } => chain(channel, token, copy).await,
            Self::Issue { channel, token, issuer, claims, copies } => {
                issue(channel, token, issuer, claims, *copies).await
            }
            Self::Read { channel, id } => {
                let read = ReadRequestRequest { id: id.clone() };
                let mut trip = Trip::default();
                let sent = read.encoded_len();
                let answer = PresentationServiceClient::new(channel.clone()).read_request(read).await?.into_inner();
                trip.exchanged(sent, &answer);
                Ok(trip)
            }
        }
    }
}

async fn verify_directly(channel: &Channel, token: &str, message: VerifyPresentationRequest) -> Result<Trip> {
    let (mut trip, sent) = (Trip::default(), message.encoded_len());
    let mut staff = VerificationServiceClient::new(channel.clone());
    let answer = staff.verify_presentation(with_bearer(message, token)?).await?.into_inner();
    let verdict = answer.verdict.as_ref().ok_or("no verdict")?;
    if !verdict.accepted {
        return Err(format!("refused: {}", verdict.reason).into());
    }
    trip.exchanged(sent, &answer);
    Ok(trip)
}

/// Opens a stream for presentations that were made before.
///
/// # Errors
/// The service refuses the stream.
pub(crate) async fn streaming(
    channel: Channel,
    token: &str,
    messages: Vec<VerifyPresentationRequest>,
) -> Result<Caller> {
    let first = messages.first().ok_or("no presentations")?;
    let (dcql_query, audience) = (first.dcql_query.clone(), first.audience.clone());
    let items = messages
        .into_iter()
        .map(|message| HandedOverPresentation { vp_token: message.vp_token, nonce: message.nonce })
        .collect();
    let message = VerifyPresentationsRequest { dcql_query, audience, items };
    let (sender, receiver) = mpsc::channel(1);
    let mut staff = VerificationServiceClient::new(channel).max_decoding_message_size(usize::MAX);
    let request = with_bearer(ReceiverStream::new(receiver), token)?;
    let answers = staff.verify_presentations(request).await?.into_inner();
    Ok(Caller::Stream { sender, answers, message })
}

async fn verify_batch(
    sender: &mpsc::Sender<VerifyPresentationsRequest>,
    answers: &mut Streaming<VerifyPresentationsResponse>,
    message: VerifyPresentationsRequest,
) -> Result<Trip> {
    let (count, sent) = (message.items.len(), message.encoded_len());
    sender.send(message).await?;
    let answer = answers.message().await?.ok_or("the stream has ended")?;
    let accepted = |outcome: &PresentationOutcome| match &outcome.outcome {
        Some(Outcome::Answer(answer)) => answer.verdict.as_ref().is_some_and(|verdict| verdict.accepted),
        Some(Outcome::Error(_)) | None => false,
    };
    if answer.outcomes.len() != count || !answer.outcomes.iter().all(accepted) {
        return Err("a presentation of the batch was refused".into());
    }
    let operations = u64::try_from(count)?;
    Ok(Trip { operations, exchanges: vec![(sent, answer.encoded_len())], ..Trip::default() })
}

async fn chain(channel: &Channel, token: &str, copy: &Copy) -> Result<Trip> {
    let mut trip = Trip::default();
    let mut staff = VerificationServiceClient::new(channel.clone());
    let mut verifier = PresentationServiceClient::new(channel.clone());
    let what = Some(What::Template(TEMPLATE.to_owned()));
    let create = CreateRequestRequest { request_id: random(), what, ttl_seconds: 0 };
    let sent = create.encoded_len();
    let made = staff.create_request(with_bearer(create, token)?).await?.into_inner();
    trip.exchanged(sent, &made);
    let read = ReadRequestRequest { id: made.id.clone() };
    let sent = read.encoded_len();
    let answer = verifier.read_request(read).await?.into_inner();
    trip.exchanged(sent, &answer);

    let own = Instant::now();
    let asked = visitor::asked_from(&made.request_uri, &answer.request_object)?;
    let presentation = visitor::present(copy, &asked, visitor::now())?;
    trip.own_work += own.elapsed();

    let submit = SubmitPresentationRequest {
        id: asked.id.clone(),
        vp_token: HashMap::from([(asked.query_id.clone(), PresentationList { presentations: vec![presentation] })]),
    };
    let sent = submit.encoded_len();
    let answer = verifier.submit_presentation(submit).await?.into_inner();
    if !answer.accepted || answer.receipt.is_empty() {
        return Err(format!("refused: {}", answer.reason).into());
    }
    trip.exchanged(sent, &answer);
    Ok(trip)
}

async fn issue(channel: &Channel, token: &str, issuer: &str, claims: &Struct, copies: usize) -> Result<Trip> {
    let mut trip = Trip::default();
    let create = CreateOfferRequest {
        request_id: random(),
        credential_type: PERMIT.to_owned(),
        format: CredentialFormat::VcSdJwt.into(),
        claims: Some(claims.clone()),
        ..CreateOfferRequest::default()
    };
    let sent = create.encoded_len();
    let made = OfferServiceClient::new(channel.clone()).create_offer(with_bearer(create, token)?).await?.into_inner();
    trip.exchanged(sent, &made);
    let offer = Offer::parse(&made.offer_uri)?;
    let mut client = IssuanceServiceClient::new(channel.clone());
    let redeem = RedeemOfferRequest { pre_authorized_code: offer.code, ..Default::default() };
    let sent = redeem.encoded_len();
    let granted = client.redeem_offer(redeem).await?.into_inner();
    trip.exchanged(sent, &granted);
    let nonce = client.issue_nonce(IssueNonceRequest {}).await?.into_inner();
    trip.exchanged(0, &nonce);

    let own = Instant::now();
    let prove = || {
        let key = SecretKey::generate(SignatureAlgorithm::EdDsa, &mut OsRng);
        visitor::proof(&key, issuer, &nonce.c_nonce, visitor::now())
    };
    let proofs = (0..copies).map(|_| prove()).collect::<Result<Vec<_>>>()?;
    trip.own_work += own.elapsed();

    let collect = CollectCredentialsRequest { credential_configuration_id: offer.configuration, proofs };
    let sent = collect.encoded_len();
    let answer = client.collect_credentials(with_bearer(collect, &granted.access_token)?).await?.into_inner();
    if answer.credentials.len() != copies {
        return Err("the number of copies differs".into());
    }
    trip.exchanged(sent, &answer);
    Ok(trip)
}

/// Makes messages with presentations for direct verification: the query of a template, and a nonce of its own for each.
///
/// # Errors
/// The request object or the copy is not as expected.
pub(crate) fn direct_messages(
    request_uri: &str,
    request_object: &str,
    copy: &Copy,
    count: usize,
) -> Result<Vec<VerifyPresentationRequest>> {
    let asked = visitor::asked_from(request_uri, request_object)?;
    let query = Jws::parse(request_object)?.payload().get("dcql_query").cloned().unwrap_or(Value::Null);
    let dcql_query = wire::to_struct(&query);
    let message = |_| {
        let asked = visitor::Asked { nonce: random(), ..asked.clone() };
        let presentation = visitor::present(copy, &asked, visitor::now())?;
        Ok(VerifyPresentationRequest {
            vp_token: HashMap::from([(asked.query_id.clone(), PresentationList { presentations: vec![presentation] })]),
            dcql_query: dcql_query.clone(),
            nonce: asked.nonce,
            audience: asked.audience,
        })
    };
    (0..count).map(message).collect()
}
