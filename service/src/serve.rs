//! gRPC server: listener, TLS, limits, health checks, reflection, the ready line, graceful shutdown on SIGTERM.
//!
//! This module limits connections and their idle time (the module `connections`), concurrent calls per connection
//! (further ones are refused, not queued), the duration of a call (the module `calls`), and the size of headers. The
//! size of messages is limited by each generated service: the programs call
//! `max_decoding_message_size(config.max_message_bytes)` on every service they add.

use std::{net::SocketAddr, time::Duration};

use rustls::pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _};
use serde_json::json;
use tokio::{
    net::{TcpListener, TcpSocket},
    sync::watch,
};
use tokio_rustls::TlsAcceptor;
use tonic::{service::Routes, transport::Server};
use url::Url;

use crate::{
    calls::{CallLayer, CallLimits},
    client::is_loopback,
    config::{ServeConfig, StartError, TlsFiles},
    connections::{self, ConnectionLimits},
    disk,
};

/// Maximum time for calls in progress to finish after the service was told to stop.
const SHUTDOWN_GRACE: Duration = Duration::from_secs(10);
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(30);
const MAX_HEADER_BYTES: u32 = 16_384;
/// gRPC services that every server has in addition to those of its program.
const BUILT_IN_SERVICES: [&str; 2] = ["grpc.health.v1.Health", "grpc.reflection.v1.ServerReflection"];

/// Maximum number of pending connections in the kernel's queue.
const BACKLOG: u32 = 1_024;

/// Address that is bound but not listened on, so that it is known before the services are created. Connections are
/// refused until [`BoundAddress::listen`], so that a reverse proxy sees at once that the service is not running.
#[derive(Debug)]
pub struct BoundAddress {
    socket: TcpSocket,
    address: SocketAddr,
    /// Public URL without trailing slash.
    pub public_url: String,
}

/// Listener of a service that is about to run; clients can connect, and wait until it runs.
#[derive(Debug)]
pub struct ListeningAddress {
    listener: TcpListener,
    /// Public URL without trailing slash.
    pub public_url: String,
}

impl BoundAddress {
    /// Starts to listen. To be called before anything is written to the data directory, since it fails if another
    /// process has the port.
    ///
    /// # Errors
    /// Another process has begun to listen on the address since it was bound.
    pub fn listen(self) -> Result<ListeningAddress, StartError> {
        let Self { socket, address, public_url } = self;
        let listener = socket.listen(BACKLOG).map_err(|error| address_in_use_error(address, &error))?;
        Ok(ListeningAddress { listener, public_url })
    }
}

fn address_in_use_error(address: SocketAddr, error: &std::io::Error) -> StartError {
    StartError::new(
        format!("{address} cannot be listened on: {error}."),
        "Stop what uses that port, or choose another with --listen (port 0 picks a free one).",
    )
    .nothing_started()
}

/// Binds the configured address, by default a loopback address with the given port, without listening yet.
///
/// # Errors
/// The address is not loopback and TLS is not configured; the address cannot be bound; the public URL is invalid, or is
/// missing and cannot be derived from the address.
pub fn bind(config: &ServeConfig, default_port: u16) -> Result<BoundAddress, StartError> {
    let listen = config.listen.unwrap_or_else(|| SocketAddr::from(([127, 0, 0, 1], default_port)));
    if !listen.ip().is_loopback() && config.tls.is_none() {
        return Err(StartError::new(
            format!("{listen} is not a loopback address, and there is no TLS certificate."),
            "Configure tls.cert and tls.key, or listen on 127.0.0.1 behind a proxy that terminates TLS.",
        )
        .nothing_started());
    }
    let given = config.public_url.as_deref().map(parse_public_url).transpose()?;
    let bound = || {
        let socket = if listen.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
        // As `TcpListener::bind` does: earlier connections do not delay a restart.
        #[cfg(not(windows))]
        socket.set_reuseaddr(true)?;
        socket.bind(listen)?;
        let address = socket.local_addr()?;
        Ok((socket, address))
    };
    let (socket, address) = bound().map_err(|error| address_in_use_error(listen, &error))?;
    let public_url = match given {
        Some(url) => url,
        None if address.ip().is_unspecified() => {
            return Err(StartError::new(
                format!(
                    "{address} means every address of this machine, so there is no URL to give to wallets. Nothing \
                     was started."
                ),
                "Set public_url in the configuration.",
            ));
        }
        None => format!("{}://{address}", if config.tls.is_some() { "https" } else { "http" }),
    };
    Ok(BoundAddress { socket, address, public_url })
}

fn parse_public_url(text: &str) -> Result<String, StartError> {
    let odd = |why: &str| {
        StartError::new(
            format!("The public_url {text} {why}."),
            "Set it to https://HOST or https://HOST:PORT; http:// is allowed only with a loopback address.",
        )
        .nothing_started()
    };
    let url = Url::parse(text).map_err(|_| odd("is not a URL"))?;
    match url.scheme() {
        "https" => {}
        "http" if is_loopback(&url) => {}
        _ => return Err(odd("is not https")),
    }
    // Only an origin can be a gRPC endpoint; wallets derive it from longer URLs.
    if !matches!(url.path(), "" | "/")
        || url.query().is_some()
        || url.fragment().is_some()
        || !url.username().is_empty()
    {
        return Err(odd("has more than a host and a port"));
    }
    Ok(url.origin().ascii_serialization())
}

fn local_address(listener: &TcpListener) -> Result<SocketAddr, StartError> {
    listener.local_addr().map_err(|error| {
        StartError::new(format!("The listener has no address: {error}."), "Try again.").nothing_started()
    })
}

/// gRPC services and HTTP routes of one program.
#[derive(Debug)]
pub struct ServerContent<'a> {
    /// Full names of the gRPC services, for health checks; without the health and reflection services.
    pub names: &'a [&'a str],
    /// Encoded `FileDescriptorSet` of the gRPC services, for reflection.
    pub descriptors: &'static [u8],
    /// Routes of the gRPC services and of HTTP resources.
    pub routes: Routes,
}

/// Serves until SIGTERM or SIGINT, then waits up to ten seconds for calls to finish.
///
/// Prints `{"event":"ready","address":"127.0.0.1:1234","url":"http://..."}` on standard output once it accepts
/// connections. Adds health checks (all of `services.names` are serving until the stop), reflection, and the limits
/// described in the module. A panic in a handler fails only its own call, with INTERNAL. An unknown path returns 404,
/// except for gRPC calls.
///
/// # Errors
/// The certificate is unusable, signals cannot be received, or the listener failed.
pub async fn run_server(
    listening: ListeningAddress,
    config: &ServeConfig,
    services: ServerContent<'_>,
) -> Result<(), StartError> {
    let stop = stop_signal()?;
    serve(listening, config, services, (stop, SHUTDOWN_GRACE), |line| {
        // The line is also logged; a service that cannot print it continues.
        if let Err(error) = carnet_console::try_print_line(line) {
            tracing::warn!(%error, "the ready line could not be printed");
        }
    })
    .await
}

async fn serve(
    ListeningAddress { listener, public_url }: ListeningAddress,
    config: &ServeConfig,
    services: ServerContent<'_>,
    (stop, grace): (impl Future<Output = ()> + Send + 'static, Duration),
    ready: impl FnOnce(String),
) -> Result<(), StartError> {
    let address = local_address(&listener)?;
    let ServerContent { names, descriptors, routes } = services;
    let grpc = names.iter().copied().chain(BUILT_IN_SERVICES).map(str::to_owned);
    let mut server = Server::builder()
        // Some routes are plain HTTP resources.
        .accept_http1(true)
        .max_concurrent_streams(u32::try_from(config.concurrency).unwrap_or(u32::MAX))
        .http2_max_header_list_size(MAX_HEADER_BYTES)
        .http2_keepalive_interval(Some(KEEPALIVE_INTERVAL))
        .http2_keepalive_timeout(Some(KEEPALIVE_INTERVAL))
        .layer(CallLayer::new(CallLimits::from_config(config), grpc));
    let tls = config.tls.as_ref().map(|files| tls_acceptor(files, &[ALPN_H2, ALPN_HTTP1])).transpose()?;
    let (health, health_service) = tonic_health::server::health_reporter();
    for name in names {
        health.set_service_status(*name, tonic_health::ServingStatus::Serving).await;
    }
    let reflection = tonic_reflection::server::Builder::configure()
        .register_encoded_file_descriptor_set(descriptors)
        .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
        .build_v1()
        .map_err(|error| {
            StartError::new(format!("Reflection cannot be set up: {error}."), "This is a bug; please report it.")
        })?;
    let routes = routes
        .add_service(health_service.max_decoding_message_size(config.max_message_bytes))
        .add_service(reflection.max_decoding_message_size(config.max_message_bytes));

    // Two tasks wait for the signal: the server, which then drains, and the timer that limits the drain.
    let (stopping, mut stopped) = watch::channel(false);
    let mut told = stopped.clone();
    let names: Vec<String> = names.iter().map(ToString::to_string).collect();
    let waiter = tokio::spawn(async move {
        stop.await;
        // Clients that watch the health service are told first, and send their next call elsewhere.
        for name in names {
            health.set_service_status(name, tonic_health::ServingStatus::NotServing).await;
        }
        tracing::info!("stopping: no new calls, waiting for those in progress");
        let _ = stopping.send(true);
    });
    let incoming = connections::accept_connections(listener, tls, ConnectionLimits::from_config(config));
    let serving = server.add_routes(routes).serve_with_incoming_shutdown(incoming, async move {
        let _ = told.wait_for(|stop| *stop).await;
    });
    ready(json!({"event": "ready", "address": address.to_string(), "url": public_url}).to_string());
    tracing::info!(%address, url = public_url, "ready");
    let grace_over = async move {
        let _ = stopped.wait_for(|stop| *stop).await;
        tokio::time::sleep(grace).await;
    };
    let ended = tokio::select! {
        served = serving => served.map_err(|error| {
            StartError::new(
                format!("The server failed: {error}. Everything acknowledged is stored."),
                "See the log, and start the service again.",
            )
        }),
        () = grace_over => {
            tracing::warn!("some calls did not end in time and were cut off");
            Ok(())
        }
    };
    waiter.abort();
    ended
}

/// ALPN protocol identifier of HTTP/2, which gRPC uses (RFC 9113 section 3.2).
const ALPN_H2: &[u8] = b"h2";
/// ALPN protocol identifier of HTTP/1.1 (RFC 7301 section 6).
const ALPN_HTTP1: &[u8] = b"http/1.1";

/// Creates the TLS acceptor of a server with these ALPN protocols.
pub(crate) fn tls_acceptor(files: &TlsFiles, protocols: &[&[u8]]) -> Result<TlsAcceptor, StartError> {
    // If another crate in the same program enables a second provider, rustls requires an explicit default.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let read = |path: &std::path::Path| {
        disk::read_user_file(path).map_err(|error| {
            StartError::new(
                format!("The TLS file {} cannot be read: {error}.", path.display()),
                "Check tls.cert and tls.key in the configuration, and that this user may read them.",
            )
            .nothing_started()
            .input_missing()
        })
    };
    let unusable = |error: &dyn std::fmt::Display| {
        StartError::new(
            format!("The TLS certificate {} cannot be used: {error}.", files.cert.display()),
            "Check that tls.cert and tls.key are PEM files that belong together.",
        )
        .nothing_started()
    };
    let certificates = CertificateDer::pem_slice_iter(&read(&files.cert)?).collect::<Result<Vec<_>, _>>();
    let certificates = certificates.map_err(|error| unusable(&error))?;
    let key = PrivateKeyDer::from_pem_slice(&read(&files.key)?).map_err(|error| unusable(&error))?;
    let config = rustls::ServerConfig::builder().with_no_client_auth().with_single_cert(certificates, key);
    let mut config = config.map_err(|error| unusable(&error))?;
    config.alpn_protocols = protocols.iter().map(|protocol| protocol.to_vec()).collect();
    Ok(TlsAcceptor::from(std::sync::Arc::new(config)))
}

/// Returns a future that completes at SIGTERM or SIGINT. The handlers are registered at once, before the ready line,
/// whose reader may send a signal immediately.
#[cfg(unix)]
fn stop_signal() -> Result<impl Future<Output = ()> + Send + 'static, StartError> {
    use tokio::signal::unix::{SignalKind, signal};
    let on = |kind: SignalKind| {
        signal(kind).map_err(|error| {
            StartError::new(format!("Signals cannot be received: {error}."), "Try again.").nothing_started()
        })
    };
    let (mut terminate, mut interrupt) = (on(SignalKind::terminate())?, on(SignalKind::interrupt())?);
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    })
}

#[cfg(not(unix))]
fn stop_signal() -> Result<impl Future<Output = ()> + Send + 'static, StartError> {
    Ok(async {
        let _ = tokio::signal::ctrl_c().await;
    })
}

#[cfg(test)]
pub(crate) mod tests;
