//! Deadlines of calls.

use std::{pin::pin, task::Poll, time::Duration};

use http::HeaderMap;
use tokio::time::{Instant, sleep_until};

/// Longest timeout; a longer one is shortened to it.
const MAX_TIMEOUT: Duration = Duration::from_secs(86_400);

/// Returns the timeout that a client requests (gRPC over HTTP/2, "Timeout"); `None` if the header is absent or
/// malformed.
pub(super) fn requested_timeout(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get("grpc-timeout")?.to_str().ok()?;
    let (digits, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    if digits.is_empty() || digits.len() > 8 || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let number: u64 = digits.parse().ok()?;
    Some(match unit {
        "H" => Duration::from_secs(number.saturating_mul(3_600)),
        "M" => Duration::from_secs(number.saturating_mul(60)),
        "S" => Duration::from_secs(number),
        "m" => Duration::from_millis(number),
        "u" => Duration::from_micros(number),
        "n" => Duration::from_nanos(number),
        _ => return None,
    })
}

/// Runs a call for at most `time` from now, and returns its result; `None` if the time is over before.
pub(super) fn with_timeout<F: Future>(time: Duration, call: F) -> impl Future<Output = Option<F::Output>> {
    let now = Instant::now();
    let deadline = now.checked_add(time.min(MAX_TIMEOUT)).unwrap_or(now);
    async move {
        let (mut call, mut timer) = (pin!(call), pin!(sleep_until(deadline)));
        std::future::poll_fn(|context| {
            if let Poll::Ready(answer) = call.as_mut().poll(context) {
                return Poll::Ready(Some(answer));
            }
            // The clock is checked in addition to the timer: tonic's own timer for the client's deadline may wake the
            // call first.
            if timer.as_mut().poll(context).is_ready() || Instant::now() >= deadline {
                return Poll::Ready(None);
            }
            Poll::Pending
        })
        .await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clients_time_is_read_in_every_unit() {
        let read = |text: &str| {
            requested_timeout(
                &[(http::HeaderName::from_static("grpc-timeout"), text.parse().unwrap())].into_iter().collect(),
            )
        };
        for (text, nanos) in [
            ("1H", 3_600_000_000_000),
            ("2M", 120_000_000_000),
            ("30S", 30_000_000_000),
            ("5m", 5_000_000),
            ("7u", 7_000),
            ("99999999n", 99_999_999),
            ("0n", 0),
        ] {
            assert_eq!(read(text).map(|time| time.as_nanos()), Some(nanos), "{text}");
        }
        for text in ["", "S", "5", "-1S", "+1S", "1.5S", "123456789S", "1s", "1 S", "S1"] {
            assert_eq!(read(text), None, "{text}");
        }
        assert_eq!(requested_timeout(&HeaderMap::new()), None);
    }

    #[tokio::test]
    async fn a_call_ends_at_its_deadline_and_not_before() {
        let never = std::future::pending::<()>;
        assert!(with_timeout(Duration::from_millis(20), never()).await.is_none());
        assert!(with_timeout(Duration::ZERO, never()).await.is_none());
        // An immediate answer counts, even with no time left.
        assert!(with_timeout(Duration::ZERO, async {}).await.is_some());
        assert!(with_timeout(Duration::MAX, tokio::task::yield_now()).await.is_some());
    }
}
