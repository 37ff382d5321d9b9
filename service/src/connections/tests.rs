//! A server with real sockets, and clients that send nothing, or little.

use std::time::Duration;

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};
use tonic::transport::{Channel, Endpoint};
use tonic_health::pb::{HealthCheckRequest, health_client::HealthClient};

use super::*;
use crate::serve::tests::{NAME, Running, healthy, start};

/// Longer than any test runs.
const LONG: u64 = 600;
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
const SETTINGS: [u8; 9] = [0, 0, 0, 4, 0, 0, 0, 0, 0];
/// The beginning of a HEADERS frame with a header block of 16,000 bytes.
const HEADERS: [u8; 9] = [0, 62, 128, 1, 0, 0, 0, 0, 1];

fn config(header_seconds: u64, idle_seconds: u64, max_connections: Option<usize>) -> ServeConfig {
    ServeConfig { header_seconds, idle_seconds, max_connections, timeout_seconds: 1, ..ServeConfig::default() }
}

async fn connect(running: &Running, begin: &[u8]) -> TcpStream {
    let mut stream = TcpStream::connect(running.address).await.unwrap();
    stream.write_all(begin).await.unwrap();
    stream
}

async fn channel(running: &Running) -> Channel {
    Endpoint::from_shared(running.url.clone()).unwrap().connect().await.unwrap()
}

/// Waits for the end of a connection, and ignores everything before it.
async fn ended(mut stream: TcpStream) {
    let mut rest = Vec::new();
    // A reset is an end too.
    let _ = stream.read_to_end(&mut rest).await;
}

/// One request on a connection of HTTP/1; `true` if it is answered.
async fn is_answered(stream: &mut TcpStream) -> bool {
    let mut answer = [0; 9];
    let sent = stream.write_all(b"GET /nothing HTTP/1.1\r\nHost: a\r\n\r\n").await;
    sent.is_ok() && stream.read_exact(&mut answer).await.is_ok() && answer == *b"HTTP/1.1 " && drained(stream).await
}

/// Reads the rest of an answer without a body.
async fn drained(stream: &mut TcpStream) -> bool {
    let mut end = [0; 4];
    while end != *b"\r\n\r\n" {
        let Ok(byte) = stream.read_u8().await else { return false };
        end.rotate_left(1);
        end[3] = byte;
    }
    true
}

#[tokio::test]
async fn row_101_connections_that_send_nothing_or_half_a_head_are_closed() {
    let running = start(config(1, LONG, None)).await;
    let long = channel(&running).await;
    assert!(healthy(long.clone()).await);
    let half = [PREFACE, &SETTINGS, &HEADERS].concat();
    let begun: [&[u8]; 6] = [b"", b"P", b"GET / HTTP/1.1\r\nA: b", &PREFACE[..20], &half, &half[..PREFACE.len() + 12]];
    for begin in begun {
        ended(connect(&running, begin).await).await;
    }
    // The twin: one that sent whole messages is still open.
    assert!(healthy(long).await);
    running.stop();
}

#[tokio::test]
async fn row_101_heads_that_come_byte_by_byte_are_cut() {
    let running = start(config(1, LONG, None)).await;
    for begin in [b"GET / HTTP/1.1\r\nA: ".to_vec(), [PREFACE, &SETTINGS, &HEADERS].concat()] {
        let (mut reader, mut writer) = connect(&running, &begin).await.into_split();
        let sending = tokio::spawn(async move {
            let mut pace = tokio::time::interval(Duration::from_millis(50));
            while writer.write_all(b"a").await.is_ok() {
                pace.tick().await;
            }
        });
        let _ = reader.read_to_end(&mut Vec::new()).await;
        drop(reader);
        sending.await.unwrap();
    }
    running.stop();
}

#[tokio::test]
async fn row_101_idle_connections_are_closed_and_streams_are_not_idle() {
    let running = start(config(LONG, 1, None)).await;
    let request = HealthCheckRequest { service: NAME.to_owned() };
    let mut watch = HealthClient::new(channel(&running).await).watch(request).await.unwrap().into_inner();
    assert_eq!(watch.message().await.unwrap().unwrap().status, 1);
    let mut used = connect(&running, b"").await;
    assert!(is_answered(&mut used).await && is_answered(&mut used).await);
    ended(used).await;
    ended(connect(&running, &[PREFACE, &SETTINGS].concat()).await).await;
    // The stream was there before them, and hears of the stop.
    let served = running.stop();
    assert_eq!(watch.message().await.unwrap().unwrap().status, 2);
    served.await.unwrap().unwrap();
}

#[tokio::test]
async fn row_101_when_all_places_are_taken_the_oldest_silent_connection_goes_first() {
    let running = start(config(LONG, LONG, Some(8))).await;
    let mut used = connect(&running, b"").await;
    assert!(is_answered(&mut used).await);
    let mut silent = Vec::new();
    for _ in 0..30 {
        silent.push(connect(&running, b"").await);
    }
    assert!(healthy(channel(&running).await).await);
    for stream in silent.drain(..20) {
        ended(stream).await;
    }
    // A client that made a call before is still served on the same connection.
    assert!(is_answered(&mut used).await);
    running.stop();
}

#[tokio::test]
async fn row_101_streams_that_never_end_do_not_keep_others_out() {
    let running = start(config(LONG, LONG, Some(4))).await;
    let mut watches = Vec::new();
    for _ in 0..8 {
        let request = HealthCheckRequest { service: NAME.to_owned() };
        let mut client = HealthClient::new(channel(&running).await);
        let mut watch = client.watch(request).await.unwrap().into_inner();
        assert_eq!(watch.message().await.unwrap().unwrap().status, 1);
        watches.push((client, watch));
    }
    assert!(healthy(channel(&running).await).await);
    running.stop();
}

#[test]
fn connections_leave_room_for_other_files() {
    assert_eq!(connection_capacity(Some(256)), 192);
    assert_eq!(connection_capacity(Some(1024)), 768);
    assert_eq!(connection_capacity(Some(64)), 32);
    assert_eq!(connection_capacity(Some(u64::MAX)), MAX_CONNECTIONS);
    assert_eq!(connection_capacity(None), MAX_CONNECTIONS);
}
