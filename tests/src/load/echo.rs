//! Floor of a gRPC call: a tonic server in a process of its own that answers with as many bytes as it is asked for.

use std::{
    convert::Infallible,
    future::{Ready, ready},
    io::{BufRead as _, BufReader},
    process::{Child, Command, Stdio},
    task::{Context, Poll},
};

use carnet_tests::Result;
use tonic::{
    Request, Response, Status,
    body::Body,
    codegen::http,
    server::{Grpc, NamedService, UnaryService},
    transport::{Channel, Server, server::TcpIncoming},
};
use tonic_prost::ProstCodec;

const PATH: &str = "/carnet.load.Echo/Echo";

/// Request of the given size, for an answer of the given size.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct EchoRequest {
    #[prost(uint32, tag = "1")]
    pub(crate) answer_bytes: u32,
    #[prost(string, tag = "2")]
    pub(crate) data: String,
}

/// Answer.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct EchoResponse {
    #[prost(string, tag = "1")]
    pub(crate) data: String,
}

#[derive(Clone)]
struct EchoService;

impl NamedService for EchoService {
    const NAME: &'static str = "carnet.load.Echo";
}

impl UnaryService<EchoRequest> for EchoService {
    type Response = EchoResponse;
    type Future = Ready<std::result::Result<Response<EchoResponse>, Status>>;

    fn call(&mut self, request: Request<EchoRequest>) -> Self::Future {
        let bytes = usize::try_from(request.into_inner().answer_bytes).unwrap_or_default();
        ready(Ok(Response::new(EchoResponse { data: "a".repeat(bytes) })))
    }
}

impl tonic::codegen::Service<http::Request<Body>> for EchoService {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = std::pin::Pin<Box<dyn Future<Output = std::result::Result<Self::Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<std::result::Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        let mut grpc = Grpc::new(ProstCodec::<EchoResponse, EchoRequest>::default());
        Box::pin(async move { Ok(grpc.unary(Self, request).await) })
    }
}

/// Serves echoes until the process is killed, and prints the address first.
pub(crate) async fn serve() -> Result<()> {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    println!("http://{}", listener.local_addr()?);
    Server::builder().add_service(EchoService).serve_with_incoming(TcpIncoming::from(listener)).await?;
    Ok(())
}

/// Running echo server; killed when it is dropped.
pub(crate) struct EchoServer {
    child: Child,
    pub(crate) url: String,
}

impl EchoServer {
    /// Starts this program as an echo server.
    pub(crate) fn start() -> Result<Self> {
        let mut child = Command::new(std::env::current_exe()?).arg("--echo-server").stdout(Stdio::piped()).spawn()?;
        let mut url = String::new();
        BufReader::new(child.stdout.take().ok_or("no output")?).read_line(&mut url)?;
        Ok(Self { child, url: url.trim().to_owned() })
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for EchoServer {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

/// Calls the echo server once with so many bytes each way.
pub(crate) async fn call(channel: &Channel, (request, answer): (usize, usize)) -> Result<()> {
    let mut client = tonic::client::Grpc::new(channel.clone());
    client.ready().await?;
    let message = EchoRequest { answer_bytes: u32::try_from(answer)?, data: "a".repeat(request) };
    let codec = ProstCodec::<EchoRequest, EchoResponse>::default();
    let answered = client.unary(Request::new(message), http::uri::PathAndQuery::from_static(PATH), codec).await?;
    assert_eq!(answered.into_inner().data.len(), answer);
    Ok(())
}
