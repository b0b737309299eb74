//! The control of a running demo: `GET /faults` shows how the fakes behave and what they have
//! counted, `POST /faults` changes it.

use futures_util::future::BoxFuture;
use serde_json::{Value, json};

use super::{
    notation::{self, Order, Which},
    site::{Role, Site},
    wire::{Request, Response},
};

/// What answers on the control listener.
pub(super) struct Control {
    pub(super) crm: Site,
    pub(super) genesys: Site,
}

impl Role for Control {
    fn answer<'a>(&'a self, request: &'a Request) -> BoxFuture<'a, Response> {
        Box::pin(self.response(request))
    }
}

impl Control {
    async fn response(&self, request: &Request) -> Response {
        match (request.path(), request.method.as_str()) {
            ("/faults", "GET" | "HEAD") => Response::json(200, &self.show()),
            ("/faults", "POST") => match notation::orders(&request.body) {
                Err(sentence) => Response::json(400, &json!({"detail": sentence})),
                Ok(orders) => self.carry_out(orders).await,
            },
            ("/faults", _) => Response::json(405, &json!({"detail": "GET or POST"}))
                .with("Allow", "GET, HEAD, POST"),
            _ => Response::json(404, &json!({"detail": "there is only /faults"})),
        }
    }

    async fn carry_out(&self, orders: Vec<(Which, Order)>) -> Response {
        for (which, order) in orders {
            let site = match which {
                Which::Crm => &self.crm,
                Which::Genesys => &self.genesys,
            };
            match order {
                Order::Script(faults) => site.script(faults),
                Order::Stand(standing) => {
                    if let Err(error) = site.set(standing).await {
                        let detail = format!("{which}: the port could not be opened: {error}");
                        return Response::json(500, &json!({"detail": detail}));
                    }
                }
            }
        }
        Response::json(200, &self.show())
    }

    fn show(&self) -> Value {
        json!({"crm": show(&self.crm), "genesys": show(&self.genesys)})
    }
}

fn show(site: &Site) -> Value {
    let counts = site.counts();
    json!({
        "url": site.url(),
        "standing": notation::show(&site.standing()),
        "script_left": site.script_left(),
        "connections": counts.connections,
        "open": counts.open,
        "requests": counts.requests,
        "in_flight": counts.in_flight,
        "max_in_flight": counts.max_in_flight,
        "left": counts.left,
    })
}
