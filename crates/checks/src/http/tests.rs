use std::collections::BTreeMap;

use tidings_types::{Headers, Text};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
    task::JoinHandle,
};

use super::*;

const PATIENCE: Duration = Duration::from_secs(5);

/// Answers one connection after another with `answers`; yields the requests' heads and bodies.
async fn serve(answers: Vec<String>) -> (String, JoinHandle<Vec<String>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let server = tokio::spawn(async move {
        let mut requests = Vec::new();
        for answer in answers {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut seen = vec![0; 4_096];
            let mut length = 0;
            while !complete(&seen[..length]) {
                length += stream.read(&mut seen[length..]).await.unwrap();
            }
            requests.push(String::from_utf8_lossy(&seen[..length]).into_owned());
            stream.write_all(answer.as_bytes()).await.unwrap();
        }
        requests
    });
    (url, server)
}

fn complete(request: &[u8]) -> bool {
    let text = String::from_utf8_lossy(request);
    let Some((head, body)) = text.split_once("\r\n\r\n") else {
        return false;
    };
    let length = head
        .to_ascii_lowercase()
        .lines()
        .find_map(|line| line.strip_prefix("content-length: ")?.parse().ok())
        .unwrap_or(0);
    body.len() >= length
}

fn answer(status: &str, body: &str) -> String {
    format!(
        "HTTP/1.1 {status}\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )
}

fn headers<const N: usize>(headers: [(&str, &[&str]); N]) -> Headers {
    let owned = |values: &[&str]| values.iter().map(|&value| value.to_owned()).collect();
    let headers = headers.map(|(name, values)| (name.to_owned(), owned(values)));
    BTreeMap::from(headers).into()
}

fn check(url: &str) -> HttpCheck {
    HttpCheck {
        url: url.into(),
        method: Text::new(),
        header: Headers::new(),
        body: Text::new(),
        disable_redirects: false,
        tls_skip_verify: false,
        tls_server_name: Text::new(),
    }
}

async fn run(check: &HttpCheck, body_bytes: usize) -> Found {
    HttpProbe::new(check, body_bytes, &HttpClients::default())
        .unwrap()
        .run(PATIENCE)
        .await
}

#[tokio::test]
async fn success_passes_429_warns_and_all_else_is_critical() {
    let cases = [
        ("200 OK", CheckStatus::Passing),
        ("204 No Content", CheckStatus::Passing),
        ("429 Too Many Requests", CheckStatus::Warning),
        ("404 Not Found", CheckStatus::Critical),
        ("503 Service Unavailable", CheckStatus::Critical),
    ];
    for (line, expected) in cases {
        let (url, server) = serve(vec![answer(line, "")]).await;
        let found = run(&check(&url), 100).await;
        assert_eq!(found.status, expected, "{}", found.output);
        assert_eq!(found.output, format!("HTTP GET {url}/: {line} Output: "));
        server.await.unwrap();
    }
}

#[tokio::test]
async fn the_request_is_what_the_check_states() {
    let (url, server) = serve(vec![answer("200 OK", "fine")]).await;
    let mut check = check(&format!("{url}/up?deep=1"));
    check.method = "POST".into();
    check.body = "ping".into();
    check.header = headers([("Host", &["web.example"]), ("X-Two", &["a", "b"])]);
    let found = run(&check, 100).await;
    assert_eq!(found.status, CheckStatus::Passing, "{}", found.output);
    assert_eq!(
        found.output,
        format!("HTTP POST {url}/up?deep=1: 200 OK Output: fine")
    );
    let request = server.await.unwrap().remove(0);
    let lower = request.to_ascii_lowercase();
    assert!(request.starts_with("POST /up?deep=1 HTTP/1.1\r\n"));
    assert!(request.ends_with("\r\n\r\nping"));
    for line in [
        "host: web.example\r\n",
        "x-two: a\r\nx-two: b\r\n",
        "user-agent: consul health check\r\n",
        "accept: text/plain, text/*, */*\r\n",
    ] {
        assert!(lower.contains(line), "{line:?} in {request}");
    }
    assert_eq!(lower.matches("host: ").count(), 1, "{request}");
}

#[tokio::test]
async fn a_redirect_is_followed_unless_the_check_forbids_it() {
    let moved =
        "HTTP/1.1 302 Found\r\nlocation: /there\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
    let (url, server) = serve(vec![moved.to_owned(), answer("200 OK", "there")]).await;
    let found = run(&check(&url), 100).await;
    assert_eq!(found.status, CheckStatus::Passing, "{}", found.output);
    assert!(server.await.unwrap()[1].starts_with("GET /there "));

    let (url, server) = serve(vec![moved.to_owned()]).await;
    let mut check = check(&url);
    check.disable_redirects = true;
    let found = run(&check, 100).await;
    assert_eq!(found.status, CheckStatus::Critical);
    assert!(found.output.contains("302 Found"), "{}", found.output);
    server.await.unwrap();
}

#[tokio::test]
async fn a_long_body_is_captured_up_to_the_limit_and_not_read_further() {
    let (url, server) = serve(vec![answer("200 OK", &"x".repeat(100_000))]).await;
    let found = run(&check(&url), 10).await;
    assert_eq!(
        found.output,
        format!("HTTP GET {url}/: 200 OK Output: Captured 10 of 100000 bytes\n...\nxxxxxxxxxx")
    );
    drop(server);
}

#[tokio::test]
async fn an_endless_body_does_not_change_what_the_status_line_said() {
    let endless = "HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nbegin".to_owned();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let server = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut rest = vec![0; 4_096];
        assert!(stream.read(&mut rest).await.unwrap() > 0);
        stream.write_all(endless.as_bytes()).await.unwrap();
        // Holds the connection open until the client goes away.
        let _ = stream.read_to_end(&mut rest).await;
    });
    let probe = HttpProbe::new(&check(&url), 100, &HttpClients::default()).unwrap();
    let found = probe.run(Duration::from_millis(300)).await;
    assert_eq!(found.status, CheckStatus::Passing, "{}", found.output);
    assert!(
        found
            .output
            .ends_with("Captured 5 of 100 bytes\n...\nbegin")
    );
    server.await.unwrap();
}

#[tokio::test]
async fn silence_and_refusal_are_critical_with_the_reason() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let probe = HttpProbe::new(&check(&url), 100, &HttpClients::default()).unwrap();
    let found = probe.run(Duration::from_millis(100)).await;
    assert_eq!(found.status, CheckStatus::Critical);
    assert!(found.output.ends_with("no answer within 100ms"));
    drop(listener);
    let found = probe.run(PATIENCE).await;
    assert_eq!(found.status, CheckStatus::Critical);
    assert!(found.output.contains("refused"), "{}", found.output);
}

#[tokio::test]
async fn a_definition_that_cannot_be_sent_says_why() {
    let clients = HttpClients::default();
    let refused = |change: fn(&mut HttpCheck)| {
        let mut check = check("https://127.0.0.1:1/");
        change(&mut check);
        HttpProbe::new(&check, 100, &clients).unwrap_err()
    };
    assert!(refused(|c| c.url = "not a url".into()).starts_with("bad URL"));
    assert!(refused(|c| c.method = "B AD".into()).starts_with("bad HTTP method"));
    assert!(refused(|c| c.header = headers([("a b", &[""])])).starts_with("bad HTTP header name"));
    assert!(refused(|c| c.tls_server_name = "10.0.0.1".into()).contains("host name"));
}

#[tokio::test]
async fn a_server_name_leads_to_the_old_host_with_its_own_name_in_the_header() {
    let (url, server) = serve(vec![answer("200 OK", "")]).await;
    let mut check = check(&url);
    check.tls_server_name = "inner.example".into();
    let found = run(&check, 100).await;
    assert_eq!(found.status, CheckStatus::Passing, "{}", found.output);
    assert!(found.output.starts_with(&format!("HTTP GET {url}/: ")));
    let host = url.trim_start_matches("http://");
    let request = server.await.unwrap().remove(0).to_ascii_lowercase();
    assert!(request.contains(&format!("host: {host}\r\n")), "{request}");
}

#[tokio::test]
async fn a_tls_check_against_a_server_that_speaks_none_is_critical() {
    let (url, server) = serve(vec!["HTTP/1.1 400 Bad Request\r\n\r\n".to_owned()]).await;
    let mut check = check(&url.replace("http://", "https://"));
    check.tls_skip_verify = true;
    let probe = HttpProbe::new(&check, 100, &HttpClients::default()).unwrap();
    let found = probe.run(Duration::from_millis(500)).await;
    assert_eq!(found.status, CheckStatus::Critical, "{}", found.output);
    server.abort();
}

#[test]
fn a_password_in_the_url_is_not_shown() {
    let url = Url::parse("http://me:secret@127.0.0.1/x").unwrap();
    assert_eq!(without_password(&url), "http://me:redacted@127.0.0.1/x");
}

/// Answers one TLS connection; yields the server name that was asked for, if a session came about.
async fn serve_tls() -> (String, JoinHandle<Option<String>>) {
    use std::io::{Read, Write};

    use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};

    let key = PrivatePkcs8KeyDer::from(include_bytes!("test-only-key.der").as_slice());
    let certificate = CertificateDer::from(include_bytes!("test-only-cert.der").as_slice());
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate], PrivateKeyDer::Pkcs8(key))
        .unwrap();
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("https://{}/", listener.local_addr().unwrap());
    let server = tokio::task::spawn_blocking(move || {
        let (stream, _) = listener.accept().ok()?;
        stream.set_read_timeout(Some(PATIENCE)).ok()?;
        let session = rustls::ServerConnection::new(Arc::new(config)).ok()?;
        let mut tls = rustls::StreamOwned::new(session, stream);
        let mut request = [0; 4_096];
        if tls.read(&mut request).ok()? == 0 {
            return None;
        }
        tls.write_all(answer("200 OK", "sealed").as_bytes()).ok()?;
        tls.flush().ok()?;
        Some(tls.conn.server_name().unwrap_or_default().to_owned())
    });
    (url, server)
}

#[tokio::test]
async fn a_strange_certificate_is_critical_unless_the_check_accepts_any() {
    let (url, server) = serve_tls().await;
    let found = run(&check(&url), 100).await;
    assert_eq!(found.status, CheckStatus::Critical);
    assert!(found.output.contains("certificate"), "{}", found.output);
    assert_eq!(server.await.unwrap(), None);

    let (url, server) = serve_tls().await;
    let mut check = check(&url);
    check.tls_skip_verify = true;
    check.tls_server_name = "inner.example".into();
    let found = run(&check, 100).await;
    assert_eq!(
        found.output,
        format!("HTTP GET {url}: 200 OK Output: sealed")
    );
    assert_eq!(server.await.unwrap().as_deref(), Some("inner.example"));
}

#[tokio::test]
async fn redirects_are_followed_up_to_the_limit() {
    let around = "HTTP/1.1 302 Found\r\nlocation: /again\r\ncontent-length: 0\r\n\r\n".to_owned();
    let (url, server) = serve(vec![around; REDIRECTS_MAX + 1]).await;
    let found = run(&check(&url), 100).await;
    assert_eq!(found.status, CheckStatus::Critical);
    assert!(found.output.contains("redirect"), "{}", found.output);
    assert_eq!(server.await.unwrap().len(), REDIRECTS_MAX + 1);
}

#[test]
fn checks_that_fix_the_same_wait_for_one_client() {
    let clients = HttpClients::default();
    let (one, other) = (check("http://a/"), check("https://b/health"));
    assert!(!clients.are_made_for(&one));
    HttpProbe::new(&one, 100, &clients).unwrap();
    assert!(clients.are_made_for(&other));
    let lax = HttpCheck {
        tls_skip_verify: true,
        ..check("https://b/")
    };
    assert!(!clients.are_made_for(&lax));
    let of_its_own = HttpCheck {
        tls_server_name: "c".into(),
        ..check("https://b/")
    };
    assert!(!clients.are_made_for(&of_its_own));
}
