//! Timeouts and retries that a request sets for itself, where its route allows that.

use std::time::Duration;

use http::HeaderMap;

use crate::{
    config::BackoffConfig,
    outbound::policy::{Conditions, Retry, Timeouts},
};

/// Wait between tries that were asked for by headers.
const BACKOFF: BackoffConfig = BackoffConfig {
    min: Duration::from_millis(25),
    max: Duration::from_millis(250),
    jitter: 1.0,
};
const MAX_REPLAY: usize = 64 * 1024;

/// Takes the headers out of the request and overrides what the route says.
pub(super) fn apply(headers: &mut HeaderMap, timeouts: &mut Timeouts, retry: &mut Option<Retry>) {
    let mut take = |name: &str| {
        headers
            .remove(name)
            .and_then(|value| value.to_str().map(str::to_owned).ok())
    };
    let request = take("l5d-request-timeout").or_else(|| take("l5d-timeout"));
    timeouts.request = request.as_deref().and_then(duration).or(timeouts.request);
    let response = take("l5d-response-timeout");
    timeouts.response = response.as_deref().and_then(duration).or(timeouts.response);

    let statuses = take("l5d-retry-http").map(|text| statuses(&text));
    let grpc = take("l5d-retry-grpc").map(|text| grpc_codes(&text));
    let limit = take("l5d-retry-limit").and_then(|text| text.trim().parse().ok());
    let timeout = take("l5d-retry-timeout").as_deref().and_then(duration);
    if statuses.is_none() && grpc.is_none() && limit.is_none() && timeout.is_none() {
        return;
    }
    let known = retry.get_or_insert_with(|| Retry {
        max_retries: 1,
        max_request_bytes: MAX_REPLAY,
        conditions: Conditions::default(),
        timeout: None,
        backoff: Some(BACKOFF),
    });
    if let Some(statuses) = statuses {
        known.conditions.statuses = statuses;
    }
    if let Some(grpc) = grpc {
        known.conditions.grpc = grpc;
    }
    known.max_retries = limit.unwrap_or(known.max_retries);
    known.timeout = timeout.or(known.timeout);
}

/// Digits and a unit: ms, s, m, h or d.
fn duration(text: &str) -> Option<Duration> {
    let text = text.trim();
    let split = text.find(|c: char| !c.is_ascii_digit())?;
    let (digits, unit) = text.split_at_checked(split)?;
    let count: u64 = digits.parse().ok()?;
    let factor_ms = match unit {
        "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        _ => return None,
    };
    count
        .checked_mul(factor_ms)
        .map(Duration::from_millis)
        .filter(|d| !d.is_zero())
}

/// `5xx`, `gateway-error`, `503`, `500-504`, separated by commas.
fn statuses(text: &str) -> Vec<(u16, u16)> {
    let one = |item: &str| match item.trim() {
        "5xx" => Some((500, 599)),
        "gateway-error" => Some((502, 504)),
        item => {
            let (start, end) = item.split_once('-').unwrap_or((item, item));
            Some((start.trim().parse().ok()?, end.trim().parse().ok()?))
        }
    };
    text.split(',').filter_map(one).collect()
}

fn grpc_codes(text: &str) -> Vec<u8> {
    let one = |item: &str| match item.trim() {
        "cancelled" => Some(1),
        "deadline-exceeded" => Some(4),
        "resource-exhausted" => Some(8),
        "internal" => Some(13),
        "unavailable" => Some(14),
        _ => None,
    };
    text.split(',').filter_map(one).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        pairs
            .iter()
            .map(|(n, v)| (n.parse().unwrap(), v.parse().unwrap()))
            .collect()
    }

    #[test]
    fn headers_override_the_route_and_are_taken_out() {
        let mut headers = headers(&[
            ("l5d-timeout", "5s"),
            ("l5d-response-timeout", "100ms"),
            ("l5d-retry-http", "5xx, 429,gateway-error, 401-403"),
            ("l5d-retry-limit", "3"),
            ("other", "1"),
        ]);
        let (mut timeouts, mut retry) = (Timeouts::default(), None);
        apply(&mut headers, &mut timeouts, &mut retry);
        assert_eq!(headers.len(), 1);
        assert_eq!(timeouts.request, Some(Duration::from_secs(5)));
        assert_eq!(timeouts.response, Some(Duration::from_millis(100)));
        let retry = retry.unwrap();
        assert_eq!(retry.max_retries, 3);
        assert_eq!(
            retry.conditions.statuses,
            [(500, 599), (429, 429), (502, 504), (401, 403)]
        );
    }

    #[test]
    fn nonsense_changes_nothing() {
        let mut headers = headers(&[("l5d-timeout", "soon"), ("l5d-retry-limit", "many")]);
        let (mut timeouts, mut retry) = (Timeouts::default(), None);
        apply(&mut headers, &mut timeouts, &mut retry);
        assert_eq!((timeouts, retry), (Timeouts::default(), None));
    }
}
