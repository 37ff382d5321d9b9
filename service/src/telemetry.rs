//! Logging to stderr, never of claims, tokens, request bodies or secrets.
//!
//! Logs may contain method names, codes, durations, counts, and random identifiers.

use tracing_subscriber::EnvFilter;

/// Starts logging on standard error, and logs panics with their location, without the message.
///
/// The environment variable `CARNET_LOG` filters (default `info`, also if it is malformed; the syntax of
/// `tracing_subscriber::EnvFilter`); `CARNET_LOG_FORMAT=json` selects one JSON object per line. A second call does not
/// start logging again.
pub fn init_logging() {
    let filter = EnvFilter::try_from_env("CARNET_LOG").unwrap_or_else(|_| EnvFilter::new("info"));
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(carnet_console::standard_error)
        .with_target(false);
    // An error means that logging was already started.
    let _ = if std::env::var("CARNET_LOG_FORMAT").is_ok_and(|format| format == "json") {
        builder.json().try_init()
    } else {
        builder.with_ansi(false).try_init()
    };
    std::panic::set_hook(Box::new(|panic| {
        // Only the location is logged: the message may contain personal data.
        let place = panic.location().map(ToString::to_string).unwrap_or_default();
        tracing::error!(place, "the program panicked: this is a bug");
    }));
}
