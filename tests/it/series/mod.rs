//! Series: that each call moves its own and no other, and that nobody outside can add any. The data
//! plane is asked without a socket, on a scripted world in virtual time.

mod book;
mod budget;
mod failures;
mod labels;
mod outcomes;
mod reload;
mod strangers;

use std::collections::{BTreeMap, BTreeSet};

use axum::{Router, body::Body, extract::Request};
use holdline::{
    server::lifecycle::Lifecycle,
    telemetry::metrics::{Kind, TABLE},
};
use tower::ServiceExt;

use crate::support::rig::{Rig, Setup};

/// The data plane and the world around it.
struct Scene {
    rig: Rig,
    routes: Router,
    lifecycle: Lifecycle,
}

impl Scene {
    fn of(yaml: &str) -> Self {
        let rig = Rig::of(yaml, Setup::PLAIN.room, Setup::PLAIN.chance);
        let (plane, lifecycle) = rig.data_plane();
        Self { rig, routes: Router::new().fallback_service(plane.routes()), lifecycle }
    }

    /// The status of what is answered.
    async fn send(&self, request: Request) -> u16 {
        let answered = self.routes.clone().oneshot(request).await;
        answered.unwrap_or_else(|never| match never {}).status().as_u16()
    }

    /// The names and labels of all that a scrape shows.
    fn series(&self) -> BTreeSet<String> {
        series_of(&self.rig.scrape())
    }

    /// Every counter, how many samples each histogram has, and of those in seconds their sum.
    fn counted(&self) -> BTreeMap<String, f64> {
        let text = self.rig.scrape();
        let series = text.lines().filter_map(|line| {
            let (series, value) = line.rsplit_once(' ')?;
            let name = series.split('{').next()?;
            let counts = TABLE.iter().any(|metric| match metric.kind {
                Kind::Counter => name == metric.name,
                Kind::Gauge => false,
                Kind::Histogram(_) => {
                    name.strip_suffix("_count").or(name.strip_suffix("_sum")) == Some(metric.name)
                }
            });
            let series = series.strip_prefix("holdline_").unwrap_or(series).replace('"', "");
            counts.then(|| (series, value.parse().expect("a number")))
        });
        series.collect()
    }
}

/// The names and labels of all series in the text of a scrape.
fn series_of(text: &str) -> BTreeSet<String> {
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    lines.filter_map(|line| Some(line.rsplit_once(' ')?.0.to_owned())).collect()
}

/// A call about that customer, with the token `good`.
fn call(action: &str, customer: u64) -> Request {
    let body = format!(r#"{{"data":{{"id":{customer}}}}}"#);
    Request::post(format!("/data-action/{action}"))
        .header("x-genesys-auth-token", "good")
        .body(Body::from(body))
        .expect("a request")
}
