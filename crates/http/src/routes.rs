//! Which path and method is which endpoint, and what every answer has in common.

use std::{collections::BTreeMap, sync::LazyLock, time::Instant};

use axum::{
    BoxError, Router,
    body::{Body, Bytes, HttpBody},
    extract::State,
    http::{Method, Request, StatusCode, header},
    response::{IntoResponse, Response},
};
use tracing::{debug, level_filters::LevelFilter};

use crate::{
    agent, agent_check, agent_health, agent_service, batch, catalog, catalog_write, compress,
    conflicts, coordinate, event, explain,
    failure::Failure,
    front, health, http_sd, keyring, maintenance, metrics, monitor,
    refusals::{self, Refused},
    reply::{self, Answer},
    request::{Call, Params, decode, read_body},
    setup,
    state::HttpState,
    status, tidings, watch,
};

/// The whole API as one service.
///
/// Consul decodes a path before it matches it, lets ids contain slashes, and has its own texts for
/// what it does not know; so the table below is searched here rather than by the router.
pub fn router(state: HttpState) -> Router {
    let any = async |State(state): State<HttpState>, request| {
        answer(&state, Channel::Plain, request).await
    };
    Router::new().fallback(any).with_state(state)
}

/// How a request came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Channel {
    /// As it was sent.
    Plain,
    /// Over TLS, from a client that took this agent's certificate.
    Tls,
}

/// Answers one request.
pub(crate) async fn answer<B>(state: &HttpState, channel: Channel, request: Request<B>) -> Response
where
    B: HttpBody<Data = Bytes, Error: Into<BoxError>> + Send + 'static,
{
    let accepted = request.headers().get_all(header::ACCEPT_ENCODING).iter();
    let accepted: Vec<_> = accepted.cloned().collect();
    // Not by `enabled!`: where each layer has its filter, that makes the thread's next line be lost.
    let is_told = LevelFilter::current() >= LevelFilter::DEBUG;
    let told = is_told.then(|| Told::of(&request));
    let mut response = match front::check_browser(state, channel, request.headers())
        .map_err(|failure| Box::new(failure.into_response()))
        .and_then(|()| route(&request))
    {
        Ok(found) => call(state, found, request)
            .await
            .unwrap_or_else(Failure::into_response),
        Err(response) => *response,
    };
    reply::put(&mut response, reply::ACL_POLICY, reply::ALLOW);
    reply::mark_island(&mut response, state.view());
    state.figures().answered(response.status());
    if let Some(told) = told {
        told.log(&response);
    }
    compress::compress(&accepted, response).await
}

/// A request as the log tells of it. Without its query, which may hold a token.
struct Told {
    began: Instant,
    method: Method,
    path: String,
}

impl Told {
    fn of<B>(request: &Request<B>) -> Self {
        Self {
            began: Instant::now(),
            method: request.method().clone(),
            path: request.uri().path().to_owned(),
        }
    }

    fn log(self, response: &Response) {
        let Self {
            began,
            method,
            path,
        } = self;
        let (status, took) = (response.status().as_u16(), began.elapsed());
        debug!(%method, path, status, ?took, "request finished");
    }
}

/// An endpoint with what the URL says to it.
struct Found {
    endpoint: Endpoint,
    params: Params,
    rest: String,
}

/// Finds the endpoint, or the answer that says why there is none.
fn route<B>(request: &Request<B>) -> Result<Found, Box<Response>> {
    let fail = |failure: Failure| Box::new(failure.into_response());
    let Ok(path) = decode(request.uri().path()) else {
        return Err(fail(Failure::bad("the path has a malformed escape")));
    };
    if path.contains(char::is_control) {
        return Err(fail(Failure::bad(
            "the path has characters that cannot be printed",
        )));
    }
    let Ok(params) = Params::parse(request.uri().query().unwrap_or_default()) else {
        return Err(fail(Failure::semantic("")));
    };
    let found = find(&path);
    let raw = request.uri().path();
    if let Some(clean) = front::cleaned(raw, request.method(), found.is_some()) {
        return Err(Box::new(reply::moved(request.uri(), &clean)));
    }
    let Some((pattern, methods, endpoint)) = found else {
        return Err(fail(unknown_path(&path)));
    };
    if let Some(methods) = methods
        && !methods.contains(request.method())
    {
        return Err(Box::new(other_method(request.method(), methods)));
    }
    let rest = path[pattern.len()..].to_owned();
    Ok(Found {
        endpoint,
        params,
        rest,
    })
}

async fn call<B>(state: &HttpState, found: Found, request: Request<B>) -> Answer
where
    B: HttpBody<Data = Bytes, Error: Into<BoxError>> + Send + 'static,
{
    let (parts, body) = request.into_parts();
    let body = if found.endpoint.takes_body() {
        Box::pin(read_body(Body::new(body), state.limits())).await?
    } else {
        Bytes::new()
    };
    let call = Call {
        state: state.clone(),
        params: found.params,
        headers: parts.headers,
        rest: found.rest,
        body,
    };
    dispatch(found.endpoint, call).await
}

/// The longest pattern that fits. One that ends in a slash takes everything below it.
fn find(path: &str) -> Option<Route> {
    let named = |pattern: &str| BY_PATTERN.get(pattern).copied();
    let above = path.rmatch_indices('/').map(|(at, _)| &path[..=at]);
    named(path)
        .or_else(|| {
            let mut above = above.filter(|above| (2..=LONGEST).contains(&above.len()));
            above.find_map(named)
        })
        .or_else(|| {
            let refused = refusals::of(path)?;
            Some(("", None, Endpoint::Refused(refused)))
        })
}

/// Bytes of the longest pattern.
const LONGEST: usize = {
    let (mut longest, mut nth) = (0, 0);
    while nth < ROUTES.len() {
        let bytes = ROUTES[nth].0.len();
        longest = if bytes > longest { bytes } else { longest };
        nth += 1;
    }
    longest
};

/// The table of the patterns, for whoever looks for one.
static BY_PATTERN: LazyLock<BTreeMap<&str, Route>> = LazyLock::new(|| {
    let patterns = ROUTES.iter().map(|route| (route.0, *route));
    patterns.collect()
});

fn unknown_path(path: &str) -> Failure {
    Failure::not_found(if path.contains("/v1/") {
        "Invalid URL path: not a recognized HTTP API endpoint\n"
    } else {
        "Invalid URL path: if attempting to use the HTTP API, ensure the path starts with '/v1/'\n"
    })
}

/// `OPTIONS` is answered for every endpoint; any other method than its own is refused.
fn other_method(method: &Method, methods: &[Method]) -> Response {
    let mut response = if method == Method::OPTIONS {
        reply::empty()
    } else {
        let text = format!("method {method} not allowed");
        (StatusCode::METHOD_NOT_ALLOWED, text).into_response()
    };
    let allowed = methods.iter().map(Method::as_str);
    let allowed: Vec<_> = std::iter::once("OPTIONS").chain(allowed).collect();
    reply::set(&mut response, header::ALLOW, allowed.join(","));
    response
}

async fn dispatch(endpoint: Endpoint, call: Call) -> Answer {
    match endpoint {
        Endpoint::AgentChecks => agent_check::list(&call),
        Endpoint::AgentCheckDeregister => agent_check::deregister(call).await,
        Endpoint::AgentCheckFail => agent_check::report(call, "critical").await,
        Endpoint::AgentCheckPass => agent_check::report(call, "passing").await,
        Endpoint::AgentCheckRegister => agent_check::register(call).await,
        Endpoint::AgentCheckUpdate => agent_check::update(call).await,
        Endpoint::AgentCheckWarn => agent_check::report(call, "warning").await,
        Endpoint::AgentForceLeave => agent::force_leave(call).await,
        Endpoint::AgentHealthById => agent_health::by_id(&call),
        Endpoint::AgentHealthByName => agent_health::by_name(&call),
        Endpoint::AgentHost => agent::host(&call),
        Endpoint::AgentJoin => agent::join(call).await,
        Endpoint::AgentLeave => agent::leave(&call),
        Endpoint::AgentReload => agent::reload(call).await,
        Endpoint::AgentMaintenance => maintenance::of_node(call).await,
        Endpoint::AgentMembers => agent::members(&call),
        Endpoint::AgentMetrics => metrics::consul(&call),
        Endpoint::AgentMonitor => monitor::log(&call),
        Endpoint::AgentSelf => agent::itself(&call),
        Endpoint::AgentService => agent_service::one(&call).await,
        Endpoint::AgentServiceDeregister => agent_service::deregister(call).await,
        Endpoint::AgentServiceMaintenance => maintenance::of_service(call).await,
        Endpoint::AgentServiceRegister => agent_service::register(call).await,
        Endpoint::AgentServices => agent_service::list(&call),
        Endpoint::AgentVersion => agent::version(&call),
        Endpoint::CatalogDatacenters => catalog::datacenters(&call),
        Endpoint::CatalogDeregister => catalog_write::deregister(call).await,
        Endpoint::CatalogNode => catalog::node(&call).await,
        Endpoint::CatalogNodes => catalog::nodes(&call).await,
        Endpoint::CatalogNodeServices => catalog::node_services(&call).await,
        Endpoint::CatalogRegister => catalog_write::register(call).await,
        Endpoint::CatalogService => catalog::service(&call).await,
        Endpoint::CatalogServices => catalog::services(&call).await,
        Endpoint::CoordinateDatacenters => coordinate::datacenters(&call),
        Endpoint::CoordinateNode => coordinate::node(&call).await,
        Endpoint::CoordinateNodes => coordinate::nodes(&call).await,
        Endpoint::CoordinateUpdate => coordinate::update(&call),
        Endpoint::EventFire => event::fire(call).await,
        Endpoint::EventList => event::list(&call).await,
        Endpoint::HealthChecks => health::checks(&call).await,
        Endpoint::HealthNode => health::node(&call).await,
        Endpoint::HealthService => health::service(&call).await,
        Endpoint::HealthState => health::state(&call).await,
        Endpoint::NoMesh => catalog::no_mesh(&call).await,
        Endpoint::Refused(refused) => Err(refusals::refuse(refused)),
        Endpoint::Root => Ok(ROOT.into_response()),
        Endpoint::StatusLeader => status::leader(&call),
        Endpoint::StatusPeers => status::peers(&call),
        Endpoint::TidingsExplain => explain::service(&call),
        Endpoint::TidingsConflicts => conflicts::list(&call),
        Endpoint::TidingsHttpSd => http_sd::targets(&call),
        Endpoint::TidingsKeyring => keyring::list(call).await,
        Endpoint::TidingsKeyringAdd => keyring::add(call).await,
        Endpoint::TidingsServices => batch::register(call).await,
        Endpoint::TidingsSetup => setup::show(call).await,
        Endpoint::TidingsKeyringRemove => keyring::remove(call).await,
        Endpoint::TidingsKeyringUse => keyring::use_key(call).await,
        Endpoint::TidingsMetrics => metrics::prometheus(&call),
        Endpoint::TidingsStatus => tidings::status(&call),
        Endpoint::TidingsWatch => watch::services(&call),
    }
}

#[derive(Clone, Copy, Debug)]
enum Endpoint {
    AgentChecks,
    AgentCheckDeregister,
    AgentCheckFail,
    AgentCheckPass,
    AgentCheckRegister,
    AgentCheckUpdate,
    AgentCheckWarn,
    AgentForceLeave,
    AgentHealthById,
    AgentHealthByName,
    AgentHost,
    AgentJoin,
    AgentLeave,
    AgentReload,
    AgentMaintenance,
    AgentMembers,
    AgentMetrics,
    AgentMonitor,
    AgentSelf,
    AgentService,
    AgentServiceDeregister,
    AgentServiceMaintenance,
    AgentServiceRegister,
    AgentServices,
    AgentVersion,
    CatalogDatacenters,
    CatalogDeregister,
    CatalogNode,
    CatalogNodes,
    CatalogNodeServices,
    CatalogRegister,
    CatalogService,
    CatalogServices,
    CoordinateDatacenters,
    CoordinateNode,
    CoordinateNodes,
    CoordinateUpdate,
    EventFire,
    EventList,
    HealthChecks,
    HealthNode,
    HealthService,
    HealthState,
    NoMesh,
    Refused(Refused),
    Root,
    StatusLeader,
    StatusPeers,
    TidingsExplain,
    TidingsConflicts,
    TidingsHttpSd,
    TidingsKeyring,
    TidingsKeyringAdd,
    TidingsServices,
    TidingsSetup,
    TidingsKeyringRemove,
    TidingsKeyringUse,
    TidingsMetrics,
    TidingsStatus,
    TidingsWatch,
}

impl Endpoint {
    const fn takes_body(self) -> bool {
        matches!(
            self,
            Self::AgentCheckRegister
                | Self::AgentCheckUpdate
                | Self::AgentServiceRegister
                | Self::CatalogDeregister
                | Self::CatalogRegister
                | Self::EventFire
                | Self::TidingsKeyringAdd
                | Self::TidingsServices
        )
    }
}

/// A pattern, the methods it takes (`None`: any) and the endpoint.
type Route = (&'static str, Option<&'static [Method]>, Endpoint);

const GET: Option<&[Method]> = Some(&[Method::GET]);
const PUT: Option<&[Method]> = Some(&[Method::PUT]);

const ROUTES: &[Route] = &[
    ("/", GET, Endpoint::Root),
    (
        "/v1/agent/check/deregister/",
        PUT,
        Endpoint::AgentCheckDeregister,
    ),
    ("/v1/agent/check/fail/", PUT, Endpoint::AgentCheckFail),
    ("/v1/agent/check/pass/", PUT, Endpoint::AgentCheckPass),
    (
        "/v1/agent/check/register",
        PUT,
        Endpoint::AgentCheckRegister,
    ),
    ("/v1/agent/check/update/", PUT, Endpoint::AgentCheckUpdate),
    ("/v1/agent/check/warn/", PUT, Endpoint::AgentCheckWarn),
    ("/v1/agent/checks", GET, Endpoint::AgentChecks),
    ("/v1/agent/force-leave/", PUT, Endpoint::AgentForceLeave),
    (
        "/v1/agent/health/service/id/",
        GET,
        Endpoint::AgentHealthById,
    ),
    (
        "/v1/agent/health/service/name/",
        GET,
        Endpoint::AgentHealthByName,
    ),
    ("/v1/agent/host", GET, Endpoint::AgentHost),
    ("/v1/agent/join/", PUT, Endpoint::AgentJoin),
    ("/v1/agent/leave", PUT, Endpoint::AgentLeave),
    ("/v1/agent/reload", PUT, Endpoint::AgentReload),
    ("/v1/agent/maintenance", PUT, Endpoint::AgentMaintenance),
    ("/v1/agent/members", GET, Endpoint::AgentMembers),
    ("/v1/agent/metrics", GET, Endpoint::AgentMetrics),
    ("/v1/agent/monitor", GET, Endpoint::AgentMonitor),
    ("/v1/agent/self", GET, Endpoint::AgentSelf),
    ("/v1/agent/service/", GET, Endpoint::AgentService),
    (
        "/v1/agent/service/deregister/",
        PUT,
        Endpoint::AgentServiceDeregister,
    ),
    (
        "/v1/agent/service/maintenance/",
        PUT,
        Endpoint::AgentServiceMaintenance,
    ),
    (
        "/v1/agent/service/register",
        PUT,
        Endpoint::AgentServiceRegister,
    ),
    ("/v1/agent/services", GET, Endpoint::AgentServices),
    ("/v1/agent/version", GET, Endpoint::AgentVersion),
    ("/v1/catalog/connect/", GET, Endpoint::NoMesh),
    ("/v1/catalog/datacenters", GET, Endpoint::CatalogDatacenters),
    ("/v1/catalog/deregister", PUT, Endpoint::CatalogDeregister),
    ("/v1/catalog/gateway-services/", GET, Endpoint::NoMesh),
    ("/v1/catalog/node/", GET, Endpoint::CatalogNode),
    (
        "/v1/catalog/node-services/",
        GET,
        Endpoint::CatalogNodeServices,
    ),
    ("/v1/catalog/nodes", GET, Endpoint::CatalogNodes),
    ("/v1/catalog/register", PUT, Endpoint::CatalogRegister),
    ("/v1/catalog/service/", GET, Endpoint::CatalogService),
    ("/v1/catalog/services", GET, Endpoint::CatalogServices),
    (
        "/v1/coordinate/datacenters",
        GET,
        Endpoint::CoordinateDatacenters,
    ),
    ("/v1/coordinate/node/", GET, Endpoint::CoordinateNode),
    ("/v1/coordinate/nodes", GET, Endpoint::CoordinateNodes),
    ("/v1/coordinate/update", PUT, Endpoint::CoordinateUpdate),
    ("/v1/event/fire/", PUT, Endpoint::EventFire),
    ("/v1/event/list", GET, Endpoint::EventList),
    ("/v1/health/checks/", GET, Endpoint::HealthChecks),
    ("/v1/health/connect/", GET, Endpoint::NoMesh),
    ("/v1/health/ingress/", GET, Endpoint::NoMesh),
    ("/v1/health/node/", GET, Endpoint::HealthNode),
    ("/v1/health/service/", GET, Endpoint::HealthService),
    ("/v1/health/state/", GET, Endpoint::HealthState),
    ("/v1/status/leader", GET, Endpoint::StatusLeader),
    ("/v1/status/peers", GET, Endpoint::StatusPeers),
    ("/v1/tidings/explain/", GET, Endpoint::TidingsExplain),
    ("/v1/tidings/conflicts", GET, Endpoint::TidingsConflicts),
    ("/v1/tidings/http_sd", GET, Endpoint::TidingsHttpSd),
    ("/v1/tidings/keyring", GET, Endpoint::TidingsKeyring),
    ("/v1/tidings/keyring/add", PUT, Endpoint::TidingsKeyringAdd),
    (
        "/v1/tidings/keyring/remove/",
        PUT,
        Endpoint::TidingsKeyringRemove,
    ),
    ("/v1/tidings/keyring/use/", PUT, Endpoint::TidingsKeyringUse),
    ("/metrics", GET, Endpoint::TidingsMetrics),
    ("/v1/tidings/metrics", GET, Endpoint::TidingsMetrics),
    ("/v1/tidings/services", PUT, Endpoint::TidingsServices),
    ("/v1/tidings/setup", GET, Endpoint::TidingsSetup),
    ("/v1/tidings/status", GET, Endpoint::TidingsStatus),
    ("/v1/tidings/watch", GET, Endpoint::TidingsWatch),
];

/// Every pattern, for the table of what is covered.
#[cfg(test)]
pub(crate) fn patterns() -> impl Iterator<Item = &'static str> {
    ROUTES.iter().map(|(pattern, ..)| *pattern)
}

/// Consul's first words, for clients that look for them, and what this is.
const ROOT: &str = "Consul Agent: UI disabled. This is tidings, a service registry without a \
                    leader that speaks Consul's HTTP API under /v1/; see /v1/tidings/status.\n";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_pattern_wins() {
        let found = |path| find(path).map(|(pattern, ..)| pattern);
        assert_eq!(found("/v1/agent/service/web"), Some("/v1/agent/service/"));
        assert_eq!(
            found("/v1/agent/service/register"),
            Some("/v1/agent/service/register")
        );
        assert_eq!(
            found("/v1/agent/service/deregister/a/b"),
            Some("/v1/agent/service/deregister/")
        );
        assert_eq!(
            found("/v1/catalog/node-services/a"),
            Some("/v1/catalog/node-services/")
        );
        assert_eq!(found("/"), Some("/"));
        assert_eq!(found("/v1/nonsense"), None);
    }
}
