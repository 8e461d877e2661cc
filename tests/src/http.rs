//! How agents are asked over HTTP: reqwest, as any Rust program would.

use std::{collections::BTreeMap, net::SocketAddr, sync::OnceLock, time::Duration};

use reqwest::{
    Certificate, Client, ClientBuilder, Identity, Method,
    header::{HeaderMap, HeaderName, HeaderValue},
};
use serde_json::Value;
use tokio::runtime::{Builder, Runtime};

/// An agent answers from memory.
const ANSWER_WITHIN: Duration = Duration::from_secs(5);

/// What waits for a change is asked again after this long.
const WAIT_WITHIN: Duration = Duration::from_secs(120);

/// One agent's HTTP address.
#[derive(Clone, Debug)]
pub struct Http {
    base: String,
    client: Client,
}

/// What came back.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The status code.
    pub status: u16,
    /// The headers, their names in lower case.
    pub headers: BTreeMap<String, String>,
    /// The body.
    pub body: String,
}

impl Http {
    /// The API at `addr`, over connections of its own.
    pub fn new(addr: SocketAddr) -> Self {
        Self::waiting(addr, ANSWER_WITHIN)
    }

    /// As [`Http::new`], for requests that may wait longer than an answer from memory takes.
    pub fn waiting(addr: SocketAddr, answer_within: Duration) -> Self {
        Self {
            base: format!("http://{addr}"),
            client: client(answer_within, usize::MAX),
        }
    }

    /// As [`Http::waiting`], over a new connection for each request.
    pub fn unpooled(addr: SocketAddr, answer_within: Duration) -> Self {
        Self {
            base: format!("http://{addr}"),
            client: client(answer_within, 0),
        }
    }

    /// The API over HTTPS at `addr`, for a client that trusts the authority `ca` alone and shows the
    /// certificate and key `shows`, all PEM, over a new connection for each request.
    ///
    /// # Panics
    /// If they are no PEM.
    pub fn secure(addr: SocketAddr, ca: &str, shows: Option<&str>) -> Self {
        let ca = Certificate::from_pem(ca.as_bytes()).expect("an authority is PEM");
        // A connection that is cut between its handshake and the request, as one is whose certificate is
        // refused, can leave reqwest waiting without any socket: nothing else ends that.
        let within = match shows {
            Some(_) => ANSWER_WITHIN,
            None => WAIT_WITHIN,
        };
        let mut builder = builder(within, 0).tls_certs_only([ca]);
        if let Some(pem) = shows {
            let identity = Identity::from_pem(pem.as_bytes());
            builder = builder.identity(identity.expect("a pair is PEM"));
        }
        Self {
            base: format!("https://{addr}"),
            client: builder.build().expect("a client can be made"),
        }
    }

    /// `GET path`.
    ///
    /// # Errors
    /// If nobody answered, in words.
    pub fn get(&self, path: &str) -> Result<Answer, String> {
        self.call(Method::GET, path, String::new())
    }

    /// `PUT path` with `body`.
    ///
    /// # Errors
    /// If nobody answered, in words.
    pub fn put(&self, path: &str, body: &Value) -> Result<Answer, String> {
        self.call(Method::PUT, path, text_of(body))
    }

    /// The JSON that `GET path` answers with 200.
    ///
    /// # Errors
    /// If nobody answered, or not so, in words.
    pub fn json(&self, path: &str) -> Result<Value, String> {
        self.get(path)?.json()
    }

    /// `PUT path` with `body`, to be answered with 200.
    ///
    /// # Errors
    /// If nobody answered, or not so, in words.
    pub fn accept(&self, path: &str, body: &Value) -> Result<Answer, String> {
        self.put(path, body)?.success()
    }

    /// Any request.
    ///
    /// # Errors
    /// If nobody answered, in words.
    pub fn send(
        &self,
        method: Method,
        path: &str,
        headers: &BTreeMap<String, String>,
        body: &str,
    ) -> Result<Answer, String> {
        let headers = headers.iter().try_fold(HeaderMap::new(), |mut all, pair| {
            let name = HeaderName::try_from(pair.0).map_err(|error| error.to_string())?;
            let value = HeaderValue::try_from(pair.1).map_err(|error| error.to_string())?;
            all.insert(name, value);
            Ok::<_, String>(all)
        })?;
        runtime().block_on(self.send_async(method, path, headers, body.to_owned()))
    }

    fn call(&self, method: Method, path: &str, body: String) -> Result<Answer, String> {
        runtime().block_on(self.call_async(method, path, body))
    }

    /// As [`Http::put`], for callers that are tasks.
    ///
    /// # Errors
    /// If nobody answered, in words.
    pub async fn put_async(&self, path: &str, body: &Value) -> Result<Answer, String> {
        let body = text_of(body);
        self.call_async(Method::PUT, path, body).await
    }

    /// As [`Http::get`], for callers that are tasks.
    ///
    /// # Errors
    /// If nobody answered, in words.
    pub async fn get_async(&self, path: &str) -> Result<Answer, String> {
        self.call_async(Method::GET, path, String::new()).await
    }

    async fn call_async(&self, method: Method, path: &str, body: String) -> Result<Answer, String> {
        self.send_async(method, path, HeaderMap::new(), body).await
    }

    async fn send_async(
        &self,
        method: Method,
        path: &str,
        headers: HeaderMap,
        body: String,
    ) -> Result<Answer, String> {
        let url = format!("{}{path}", self.base);
        let failed = |error: reqwest::Error| format!("{method} {url}: {}", causes(&error));
        let request = self.client.request(method.clone(), &url);
        let request = request.headers(headers).body(body);
        let response = request.send().await.map_err(failed)?;
        let status = response.status().as_u16();
        let headers = response.headers().iter().map(|(name, value)| {
            let value = String::from_utf8_lossy(value.as_bytes());
            (name.as_str().to_owned(), value.into_owned())
        });
        Ok(Answer {
            status,
            headers: headers.collect(),
            body: response.text().await.map_err(failed)?,
        })
    }
}

impl Answer {
    /// The body as JSON, if the status is 200.
    ///
    /// # Errors
    /// What came instead.
    pub fn json(&self) -> Result<Value, String> {
        if self.status != 200 {
            return Err(format!("{}: {}", self.status, self.body));
        }
        serde_json::from_str(&self.body).map_err(|error| format!("{error} in {}", self.body))
    }

    /// Itself, if the status is 200.
    ///
    /// # Errors
    /// What came instead.
    pub fn success(self) -> Result<Self, String> {
        if self.status == 200 {
            Ok(self)
        } else {
            Err(format!("{}: {}", self.status, self.body))
        }
    }

    /// A header's value, empty if it is not there.
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", String::as_str)
    }

    /// `X-Consul-Index`; 0 if it is not there.
    pub fn index(&self) -> u64 {
        self.header("x-consul-index").parse().unwrap_or_default()
    }
}

/// The runtime on which all stories' requests are driven.
pub fn runtime() -> &'static Runtime {
    static RUNTIME: OnceLock<Runtime> = OnceLock::new();
    RUNTIME.get_or_init(|| {
        let built = Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build();
        built.expect("a runtime can be started")
    })
}

/// No value is no body.
fn text_of(body: &Value) -> String {
    if body.is_null() {
        String::new()
    } else {
        body.to_string()
    }
}

fn client(answer_within: Duration, idle: usize) -> Client {
    let built = builder(answer_within, idle).build();
    built.expect("a client without certificates can be made")
}

fn builder(answer_within: Duration, idle: usize) -> ClientBuilder {
    // reqwest wants a provider even where no TLS is spoken. An error says that there is one.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let builder = Client::builder().no_proxy().timeout(answer_within);
    builder.pool_max_idle_per_host(idle)
}

fn causes(error: &reqwest::Error) -> String {
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(source) = cause {
        text = format!("{text}: {source}");
        cause = source.source();
    }
    text
}
