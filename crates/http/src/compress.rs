//! gzip, for whoever accepts it.

use std::io::Write as _;

use axum::{
    body::{Body, HttpBody as _, to_bytes},
    http::{HeaderValue, header},
    response::Response,
};
use flate2::{Compression, write::GzEncoder};

/// Compresses the body of `response` if its client accepts that and it is worth it. Bodies that are
/// made while they are sent stay as they are.
///
/// `accepted` are the request's `Accept-Encoding` headers.
pub(crate) async fn compress(accepted: &[HeaderValue], response: Response) -> Response {
    let is_sized = response.body().size_hint().exact();
    let is_worth = is_sized.is_some_and(|bytes| bytes >= BYTES_MIN);
    if !is_worth || !accepts(accepted) {
        return response;
    }
    let (mut parts, body) = response.into_parts();
    // It is in memory already, and as long as it says.
    let Ok(plain) = to_bytes(body, usize::MAX).await else {
        return Response::from_parts(parts, Body::empty());
    };
    let mut encoder = GzEncoder::new(Vec::with_capacity(plain.len() / 4), LEVEL);
    let written = encoder.write_all(&plain).and_then(|()| encoder.finish());
    let body = match written {
        Ok(packed) => {
            let gzip = HeaderValue::from_static("gzip");
            parts.headers.insert(header::CONTENT_ENCODING, gzip);
            let vary = HeaderValue::from_static("Accept-Encoding");
            parts.headers.insert(header::VARY, vary);
            Body::from(packed)
        }
        // Writing to memory does not fail.
        Err(_) => Body::from(plain),
    };
    parts.headers.remove(header::CONTENT_LENGTH);
    Response::from_parts(parts, body)
}

/// Whether `gzip` is among the accepted encodings and not given the weight 0.
fn accepts(accepted: &[HeaderValue]) -> bool {
    let accepted = accepted.iter().filter_map(|value| value.to_str().ok());
    accepted.flat_map(|value| value.split(',')).any(|coding| {
        let mut parts = coding.split(';').map(str::trim);
        let is_gzip = parts
            .next()
            .is_some_and(|name| name.eq_ignore_ascii_case("gzip"));
        let weight = parts.find_map(|part| part.strip_prefix("q="));
        is_gzip && weight.is_none_or(|weight| weight.parse::<f32>().is_ok_and(|q| q > 0.0))
    })
}

/// What is shorter fits in one packet anyway.
const BYTES_MIN: u64 = 1_400;
/// The fastest: names and keys repeat so much that it takes nine tenths off.
const LEVEL: Compression = Compression::fast();
