//! System clock. All other code receives the time as a parameter.

use std::time::{SystemTime, UNIX_EPOCH};

use carnet_core::time::Timestamp;

/// Returns the current time, in whole seconds.
#[must_use]
pub fn now() -> Timestamp {
    let seconds = match SystemTime::now().duration_since(UNIX_EPOCH) {
        Ok(since) => i64::try_from(since.as_secs()).unwrap_or(i64::MAX),
        // A machine whose clock is before 1970.
        Err(before) => i64::try_from(before.duration().as_secs()).unwrap_or(i64::MAX).saturating_neg(),
    };
    Timestamp::from_unix(seconds)
}

/// Serde format of optional times: RFC 3339 text.
pub(crate) mod at {
    use carnet_core::time::Timestamp;
    use serde::{Deserialize as _, Deserializer, Serializer, de::Error as _};

    pub(crate) fn serialize<S: Serializer>(at: &Option<Timestamp>, serializer: S) -> Result<S::Ok, S::Error> {
        match at {
            Some(at) => serializer.serialize_str(&at.to_string()),
            None => serializer.serialize_none(),
        }
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Timestamp>, D::Error> {
        Option::<String>::deserialize(deserializer)?
            .map(|text| Timestamp::parse(&text).map_err(|_| D::Error::custom("not a time")))
            .transpose()
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn now_is_after_this_was_written() {
        assert!(super::now() > carnet_core::time::Timestamp::from_unix(1_700_000_000));
    }
}
