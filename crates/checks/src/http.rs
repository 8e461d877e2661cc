//! One run of an HTTP check.

use std::{
    error::Error,
    net::SocketAddr,
    sync::{Arc, OnceLock},
    time::Duration,
};

use reqwest::{
    Client, ClientBuilder, Method, Request, Response, StatusCode, Url,
    dns::{Addrs, Name, Resolve, Resolving},
    header::{ACCEPT, HOST, HeaderMap, HeaderName, HeaderValue, USER_AGENT},
    redirect::Policy,
};
use tidings_types::{CheckStatus, HttpCheck};
use tokio::{
    net::lookup_host,
    time::{Instant, timeout_at},
};

use crate::{output::captured, probe::Found, tls::choose_provider};

/// How a check introduces itself unless its headers say otherwise.
const AGENT: &str = "Consul Health Check";
/// What it accepts unless its headers say otherwise.
const ACCEPTED: &str = "text/plain, text/*, */*";

/// Redirects that one run follows; one more is critical, as with Consul.
const REDIRECTS_MAX: usize = 10;

/// An HTTP check, ready to be sent.
#[derive(Debug)]
pub(crate) struct HttpProbe {
    client: Client,
    request: Request,
    /// The start of every output.
    label: String,
    body_bytes: usize,
}

impl HttpProbe {
    /// Checks the definition. An error is a reason for people.
    pub(crate) fn new(
        check: &HttpCheck,
        body_bytes: usize,
        clients: &HttpClients,
    ) -> Result<Self, String> {
        let mut url =
            Url::parse(&check.url).map_err(|e| format!("bad URL {:?}: {e}", check.url))?;
        let method = method_of(check)?;
        let label = format!("HTTP {method} {}", without_password(&url));
        let mut headers = headers_of(check)?;
        let client = if check.tls_server_name.is_empty() {
            clients.shared(check)?
        } else {
            rename_host(&mut url, &check.tls_server_name, &mut headers, check)?
        };
        let mut request = Request::new(method, url);
        *request.headers_mut() = headers;
        if !check.body.is_empty() {
            *request.body_mut() = Some(check.body.to_string().into());
        }
        Ok(Self {
            client,
            request,
            label,
            body_bytes,
        })
    }

    /// Asks once. A body that is late or breaks off does not change what the status line said.
    pub(crate) async fn run(&self, timeout: Duration) -> Found {
        let label = &self.label;
        let deadline = Instant::now() + timeout;
        let request = self
            .request
            .try_clone()
            .expect("a request whose body is text can be cloned");
        match timeout_at(deadline, self.client.execute(request)).await {
            Ok(Ok(response)) => self.judge(response, deadline).await,
            Ok(Err(error)) => Found::critical(format!("{label}: {}", causes(error))),
            Err(_elapsed) => Found::critical(format!("{label}: no answer within {timeout:?}")),
        }
    }

    async fn judge(&self, mut response: Response, deadline: Instant) -> Found {
        let status = response.status();
        let total = response.content_length();
        let mut head = Vec::new();
        let mut complete = false;
        while head.len() <= self.body_bytes {
            match timeout_at(deadline, response.chunk()).await {
                Ok(Ok(Some(chunk))) => head.extend_from_slice(&chunk),
                Ok(Ok(None)) => {
                    complete = true;
                    break;
                }
                Ok(Err(_)) | Err(_) => break,
            }
        }
        complete &= head.len() <= self.body_bytes;
        head.truncate(self.body_bytes);
        let body = captured(&head, complete, total);
        Found {
            status: meaning(status),
            output: format!("{}: {status} Output: {body}", self.label),
        }
    }
}

fn meaning(status: StatusCode) -> CheckStatus {
    if status.is_success() {
        CheckStatus::Passing
    } else if status == StatusCode::TOO_MANY_REQUESTS {
        CheckStatus::Warning
    } else {
        CheckStatus::Critical
    }
}

fn method_of(check: &HttpCheck) -> Result<Method, String> {
    if check.method.is_empty() {
        return Ok(Method::GET);
    }
    Method::from_bytes(check.method.as_bytes())
        .map_err(|_| format!("bad HTTP method {:?}", check.method))
}

fn headers_of(check: &HttpCheck) -> Result<HeaderMap, String> {
    let mut headers = HeaderMap::new();
    for (name, values) in check.header.iter() {
        let key = HeaderName::from_bytes(name.as_bytes())
            .map_err(|_| format!("bad HTTP header name {name:?}"))?;
        for value in values {
            let value = HeaderValue::from_str(value)
                .map_err(|_| format!("bad value of HTTP header {name:?}"))?;
            headers.append(key.clone(), value);
        }
    }
    for (key, value) in [(USER_AGENT, AGENT), (ACCEPT, ACCEPTED)] {
        headers
            .entry(key)
            .or_insert_with(|| HeaderValue::from_static(value));
    }
    Ok(headers)
}

/// The URL as it may be shown and replicated.
fn without_password(url: &Url) -> String {
    let mut shown = url.clone();
    if shown.password().is_some() && shown.set_password(Some("redacted")).is_err() {
        return "(URL with a password)".to_owned();
    }
    shown.into()
}

/// The error and what caused it, in one line. The URL stands in the label already.
fn causes(error: reqwest::Error) -> String {
    let error = error.without_url();
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        text.push_str(": ");
        text.push_str(&inner.to_string());
        cause = inner.source();
    }
    text
}

/// The clients that checks share, one per combination of what a client fixes.
#[derive(Debug, Default)]
pub(crate) struct HttpClients([OnceLock<Result<Client, String>>; 4]);

impl HttpClients {
    /// Whether a check's client is there already.
    pub(crate) fn are_made_for(&self, check: &HttpCheck) -> bool {
        check.tls_server_name.is_empty() && self.0[Self::index(check)].get().is_some()
    }

    fn shared(&self, check: &HttpCheck) -> Result<Client, String> {
        self.0[Self::index(check)]
            .get_or_init(|| build(check, |builder| builder))
            .clone()
    }

    fn index(check: &HttpCheck) -> usize {
        usize::from(check.tls_skip_verify) * 2 + usize::from(check.disable_redirects)
    }
}

/// A client without proxies and without idle connections: a check must see whether the service
/// accepts a new connection, from here.
fn build(
    check: &HttpCheck,
    further: impl Fn(ClientBuilder) -> ClientBuilder,
) -> Result<Client, String> {
    choose_provider();
    let builder = || {
        let redirects = if check.disable_redirects {
            Policy::none()
        } else {
            Policy::limited(REDIRECTS_MAX)
        };
        further(Client::builder())
            .no_proxy()
            .pool_max_idle_per_host(0)
            .redirect(redirects)
            .tls_danger_accept_invalid_certs(check.tls_skip_verify)
    };
    builder().build().or_else(|error| {
        // A machine without certificates of authorities can still run checks without TLS.
        tracing::warn!(%error, "no certificates to verify HTTPS health checks with");
        builder()
            .tls_certs_only([])
            .build()
            .map_err(|error| format!("no HTTP client: {}", causes(error)))
    })
}

/// Makes `url` ask for and verify `server_name` while it still goes to the host that it names.
///
/// TLS takes the name to ask for from the URL, so the URL gets that name, the resolver of a client
/// of its own leads it to the old host, and the `Host` header keeps the old name.
fn rename_host(
    url: &mut Url,
    server_name: &str,
    headers: &mut HeaderMap,
    check: &HttpCheck,
) -> Result<Client, String> {
    let bad = || format!("bad TLS server name {server_name:?}: it must be a host name");
    let host = url
        .host_str()
        .ok_or_else(|| format!("the URL {:?} names no host", check.url))?
        .trim_matches(['[', ']'])
        .to_owned();
    let authority = url.authority().rsplit('@').next().unwrap_or_default();
    let authority = HeaderValue::from_str(authority).map_err(|_| bad())?;
    url.set_host(Some(server_name)).map_err(|_| bad())?;
    if url.domain().is_none() {
        return Err(bad());
    }
    headers.entry(HOST).or_insert(authority);
    let resolver = Arc::new(Detour {
        server_name: server_name.to_ascii_lowercase(),
        host,
    });
    build(check, move |builder| {
        builder.dns_resolver(Arc::clone(&resolver))
    })
}

/// A resolver that leads one name to another host.
#[derive(Debug)]
struct Detour {
    server_name: String,
    host: String,
}

impl Resolve for Detour {
    fn resolve(&self, name: Name) -> Resolving {
        let host = if name.as_str().eq_ignore_ascii_case(&self.server_name) {
            self.host.clone()
        } else {
            name.as_str().to_owned()
        };
        Box::pin(async move {
            let found: Vec<SocketAddr> = lookup_host((host, 0)).await?.collect();
            Ok(Box::new(found.into_iter()) as Addrs)
        })
    }
}

#[cfg(test)]
mod tests;
