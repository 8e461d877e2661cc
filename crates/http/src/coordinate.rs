//! `/v1/coordinate/...`: distances between nodes, which nobody measures here.
//!
//! Reads answer as those of a cluster whose nodes have not told their coordinates yet, which clients
//! know from every fresh cluster. A write is refused as an agent of Consul refuses it that has them
//! turned off, since it would be lost.

use axum::http::StatusCode;
use serde::Serialize;
use tidings_view::{View, Watch};

use crate::{
    blocking::read,
    failure::Failure,
    reply::{self, Answer, Marks},
    request::Call,
};

/// `GET /v1/coordinate/datacenters`
pub(crate) fn datacenters(call: &Call) -> Answer {
    #[derive(Serialize)]
    #[serde(rename_all = "PascalCase")]
    struct Datacenter<'a> {
        datacenter: &'a str,
        #[serde(rename = "AreaID")]
        area_id: &'a str,
        coordinates: [(); 0],
    }
    call.check_scope()?;
    let own = Datacenter {
        datacenter: call.view().datacenter(),
        area_id: "wan",
        coordinates: [],
    };
    Ok(reply::json(call, &[own]))
}

/// `GET /v1/coordinate/nodes`
pub(crate) async fn nodes(call: &Call) -> Answer {
    let watch = |_: &View| Watch::Nodes;
    read(call, watch, |_| {
        let nothing: [(); 0] = [];
        (reply::json(call, &nothing), Marks::default())
    })
    .await
}

/// `GET /v1/coordinate/node/:node`
pub(crate) async fn node(call: &Call) -> Answer {
    if call.rest.is_empty() {
        return Err(Failure::bad("Missing node name"));
    }
    let watch = |_: &View| Watch::Nodes;
    read(call, watch, |_| {
        let mut response = reply::empty();
        *response.status_mut() = StatusCode::NOT_FOUND;
        (response, Marks::default())
    })
    .await
}

/// `PUT /v1/coordinate/update`
pub(crate) fn update(call: &Call) -> Answer {
    call.check_scope()?;
    Err(Failure::new(
        StatusCode::UNAUTHORIZED,
        "Coordinate support disabled",
    ))
}
