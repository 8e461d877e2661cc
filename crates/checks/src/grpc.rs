//! One run of a gRPC check: `grpc.health.v1.Health/Check`, over HTTP/2 with or without TLS.
//!
//! The two messages have one field each, so they are written and read here by hand.

use std::time::Duration;

use bytes::Bytes;
use h2::client::{Builder, ResponseFuture};
use http::{HeaderMap, Method, Request, Version, header};
use tidings_types::{CheckStatus, Endpoint};
use tokio::time;

use crate::{http2::Speaking, probe::Found, tls::Dial};

/// Bytes of an answer that are looked at; the one expected has seven.
const ANSWER_BYTES_MAX: usize = 4_096;

/// A gRPC check, ready to be sent.
#[derive(Clone)]
pub(crate) struct GrpcProbe {
    /// As the definition writes it: `host:port` or `host:port/service`.
    target: String,
    service: String,
    authority: String,
    dial: Dial,
}

impl GrpcProbe {
    /// Checks the definition. An error is a reason for people.
    pub(crate) fn new(endpoint: &Endpoint) -> Result<Self, String> {
        let target = &*endpoint.address;
        let (address, service) = target.split_once('/').unwrap_or((target, ""));
        let authority = match &*endpoint.tls_server_name {
            "" => address,
            name => name,
        };
        Ok(Self {
            target: target.to_owned(),
            service: service.to_owned(),
            authority: authority.to_owned(),
            dial: Dial::new(endpoint, address, &[b"h2"])?,
        })
    }

    /// Asks once.
    pub(crate) async fn run(&self, timeout: Duration) -> Found {
        let target = &self.target;
        match time::timeout(timeout, self.ask()).await {
            Ok(Ok(SERVING)) => Found {
                status: CheckStatus::Passing,
                output: format!("gRPC check {target}: success"),
            },
            Ok(Ok(status)) => {
                let name = STATUSES.get(status).copied().unwrap_or("UNKNOWN");
                Found::critical(format!("gRPC {target} serving status: {name}"))
            }
            Ok(Err(reason)) => Found::critical(format!("gRPC check {target}: {reason}")),
            Err(_elapsed) => {
                Found::critical(format!("gRPC check {target}: no answer within {timeout:?}"))
            }
        }
    }

    /// The serving status that the server states.
    async fn ask(&self) -> Result<usize, String> {
        let stream = self.dial.connect().await?;
        let (mut client, connection) = Builder::new()
            .max_header_list_size(HEADER_BYTES_MAX)
            .handshake(stream)
            .await
            .map_err(|error| error.to_string())?;
        let _speaking = Speaking::new(connection);
        let (scheme, authority) = (self.dial.scheme(), &self.authority);
        let request = Request::builder()
            .method(Method::POST)
            .version(Version::HTTP_2)
            .uri(format!(
                "{scheme}://{authority}/grpc.health.v1.Health/Check"
            ))
            .header(header::CONTENT_TYPE, "application/grpc")
            .header(header::TE, "trailers")
            .header(header::USER_AGENT, "Consul Health Check")
            .body(())
            .map_err(|error| error.to_string())?;
        let (answer, mut body) = client
            .send_request(request, false)
            .map_err(|error| error.to_string())?;
        body.send_data(request_for(&self.service), true)
            .map_err(|error| error.to_string())?;
        read(answer).await
    }
}

async fn read(answer: ResponseFuture) -> Result<usize, String> {
    let answer = answer.await.map_err(|error| error.to_string())?;
    if !answer.status().is_success() {
        return Err(format!("HTTP status {}", answer.status()));
    }
    let (head, mut body) = answer.into_parts();
    let mut message = Vec::new();
    while let Some(data) = body.data().await {
        let data = data.map_err(|error| error.to_string())?;
        // What was looked at has to be given back, or a longer answer would stop coming.
        let _ = body.flow_control().release_capacity(data.len());
        message.extend_from_slice(&data);
        if message.len() > ANSWER_BYTES_MAX {
            return Err("the answer is no health status: it is too long".to_owned());
        }
    }
    let trailers = body.trailers().await.map_err(|error| error.to_string())?;
    // An answer without a message has its status among the headers.
    let status = trailers.as_ref().and_then(status_of);
    match status.or_else(|| status_of(&head.headers)) {
        Some((0, _)) => serving_status(&message)
            .ok_or_else(|| "the answer is no message of grpc.health.v1".to_owned()),
        Some((code, text)) => Err(format!("rpc error: code = {code} desc = {text}")),
        None => Err("the answer has no gRPC status".to_owned()),
    }
}

/// `grpc-status` and `grpc-message`.
fn status_of(headers: &HeaderMap) -> Option<(u32, String)> {
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
    let code = text("grpc-status")?.parse().ok()?;
    Some((code, text("grpc-message").unwrap_or_default().to_owned()))
}

/// `HealthCheckRequest`, framed: field 1 is the service's name.
fn request_for(service: &str) -> Bytes {
    let mut message = Vec::new();
    if !service.is_empty() {
        message.push(SERVICE_FIELD);
        let mut length = service.len();
        while length >= 0x80 {
            message.push(0x80 | u8::try_from(length & 0x7f).unwrap_or_default());
            length >>= 7;
        }
        message.push(u8::try_from(length).unwrap_or_default());
        message.extend_from_slice(service.as_bytes());
    }
    let length = u32::try_from(message.len()).unwrap_or(u32::MAX);
    let mut framed = vec![0];
    framed.extend_from_slice(&length.to_be_bytes());
    framed.extend_from_slice(&message);
    framed.into()
}

/// Reads a framed `HealthCheckResponse`: field 1 is the status, others are skipped.
fn serving_status(framed: &[u8]) -> Option<usize> {
    let (&[compressed, a, b, c, d], mut message) = framed.split_first_chunk()?;
    let length = usize::try_from(u32::from_be_bytes([a, b, c, d])).ok()?;
    if compressed != 0 || length != message.len() {
        return None;
    }
    let mut status = 0;
    while !message.is_empty() {
        let tag = varint(&mut message)?;
        let skipped = match tag & 7 {
            0 => {
                let value = varint(&mut message)?;
                if tag == STATUS_FIELD {
                    status = usize::try_from(value).ok()?;
                }
                0
            }
            1 => 8,
            2 => usize::try_from(varint(&mut message)?).ok()?,
            5 => 4,
            _ => return None,
        };
        message = message.get(skipped..)?;
    }
    Some(status)
}

fn varint(message: &mut &[u8]) -> Option<u64> {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let (&byte, rest) = message.split_first()?;
        *message = rest;
        value |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return Some(value);
        }
    }
    None
}

const SERVICE_FIELD: u8 = 1 << 3 | 2;
const STATUS_FIELD: u64 = 1 << 3;
/// The one status that passes.
const SERVING: usize = 1;
const STATUSES: &[&str] = &["UNKNOWN", "SERVING", "NOT_SERVING", "SERVICE_UNKNOWN"];
/// Bytes of headers that a server may send.
const HEADER_BYTES_MAX: u32 = 16_384;

#[cfg(test)]
mod tests;
