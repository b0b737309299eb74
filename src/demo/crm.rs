//! The fake customer API: JSONPlaceholder's `/users/{id}` with as many customers as wanted, and its
//! way of taking changes, which is to agree and to forget them.

use std::{
    collections::HashMap,
    io,
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard},
};

use futures_util::future::{self, BoxFuture};
use serde_json::{Value, json};

use crate::chance::Chance;

use super::{
    fault::Latency,
    people,
    site::{Role, Site},
    wire::{Request, Response},
};

/// How the fake CRM begins.
#[derive(Debug, Clone)]
pub struct CrmSettings {
    /// Customers have the numbers from 1 to this one.
    pub customers: u64,
    /// How long an answer takes where no rule says otherwise.
    pub latency: Latency,
    /// What decides on jitter and on shares.
    pub chance: Chance,
}

impl Default for CrmSettings {
    fn default() -> Self {
        Self { customers: 5_000, latency: Latency::NONE, chance: Chance::Random }
    }
}

/// A running CRM.
#[derive(Debug, Clone)]
pub struct FakeCrm {
    /// Its place on the network: faults, counters, what it has seen.
    pub site: Site,
    customers: Arc<Customers>,
}

impl FakeCrm {
    /// Starts one at `address`; port 0 picks a free one.
    ///
    /// # Errors
    /// The address cannot be bound.
    pub async fn start(address: SocketAddr, settings: CrmSettings) -> io::Result<Self> {
        let customers =
            Arc::new(Customers { count: settings.customers, written: Mutex::default() });
        let role = Crm(customers.clone());
        let site = Site::start(address, role, settings.latency, settings.chance).await?;
        Ok(Self { site, customers })
    }

    /// The customer of that number as the CRM would answer now, if there is one.
    pub fn customer(&self, id: u64) -> Option<Value> {
        self.customers.get(id)
    }

    /// Replaces a customer's record, or adds one beyond the usual numbers.
    pub fn write(&self, id: u64, record: Value) {
        self.customers.written().insert(id, Some(record));
    }

    /// Takes a customer out of the records.
    pub fn remove(&self, id: u64) {
        self.customers.written().insert(id, None);
    }
}

#[derive(Debug)]
struct Customers {
    count: u64,
    /// What differs from the usual customers; `None` where one was removed.
    written: Mutex<HashMap<u64, Option<Value>>>,
}

impl Customers {
    fn written(&self) -> MutexGuard<'_, HashMap<u64, Option<Value>>> {
        self.written.lock().expect("nothing under this lock panics")
    }

    fn get(&self, id: u64) -> Option<Value> {
        if let Some(written) = self.written().get(&id) {
            return written.clone();
        }
        (1..=self.count).contains(&id).then(|| people::customer(id))
    }
}

struct Crm(Arc<Customers>);

impl Role for Crm {
    fn answer<'a>(&'a self, request: &'a Request) -> BoxFuture<'a, Response> {
        Box::pin(future::ready(self.response(request)))
    }
}

impl Crm {
    fn response(&self, request: &Request) -> Response {
        let user = request.path().strip_prefix("/users/").and_then(|id| id.parse().ok());
        let user = user.and_then(|id| self.0.get(id));
        match (request.method.as_str(), user) {
            ("GET" | "HEAD", Some(user)) => Response::json(200, &user),
            ("PUT" | "PATCH", Some(user)) => Response::json(200, &merged(user, request)),
            ("DELETE", Some(_)) => Response::json(200, &json!({})),
            ("POST", None) if collection(request.path()) => {
                let created = json!({"id": self.0.count + 1});
                Response::json(201, &merged(created, request))
            }
            _ => Response::json(404, &json!({})),
        }
    }
}

/// `/users`, `/tickets` and so on: one segment.
fn collection(path: &str) -> bool {
    path.len() > 1 && !path[1..].contains('/')
}

/// `record` with the fields that the request's body brings.
fn merged(mut record: Value, request: &Request) -> Value {
    if let (Some(fields), Some(Value::Object(new))) = (record.as_object_mut(), request.json()) {
        fields.extend(new);
    }
    record
}

#[cfg(test)]
mod tests {
    use super::*;

    fn crm() -> Crm {
        Crm(Arc::new(Customers { count: 5_000, written: Mutex::default() }))
    }

    fn ask(crm: &Crm, method: &str, target: &str, body: &'static str) -> (u16, Value) {
        let (method, target) = (method.to_owned(), target.to_owned());
        let request = Request { method, target, body: body.into(), ..Request::default() };
        let response = crm.response(&request);
        (response.status, serde_json::from_slice(&response.body).unwrap())
    }

    #[test]
    fn customers_exist_from_one_to_the_last_and_no_further() {
        let crm = crm();
        assert_eq!(ask(&crm, "GET", "/users/1", "").1["name"], "Leanne Graham");
        assert_eq!(ask(&crm, "GET", "/users/5000?x=y", "").0, 200);
        for unknown in ["/users/0", "/users/5001", "/users/", "/users/abc", "/users", "/"] {
            assert_eq!(ask(&crm, "GET", unknown, ""), (404, json!({})), "{unknown}");
        }
    }

    #[test]
    fn a_written_record_is_answered_and_a_removed_one_is_not() {
        let crm = crm();
        crm.0.written().insert(7, Some(json!({"name": "Ada"})));
        crm.0.written().insert(8, None);
        assert_eq!(ask(&crm, "GET", "/users/7", ""), (200, json!({"name": "Ada"})));
        assert_eq!(ask(&crm, "GET", "/users/8", "").0, 404);
    }

    #[test]
    fn changes_are_agreed_to_and_forgotten() {
        let crm = crm();
        let created = ask(&crm, "POST", "/tickets", r#"{"subject":"help"}"#);
        assert_eq!(created, (201, json!({"id": 5001, "subject": "help"})));
        assert_eq!(ask(&crm, "PATCH", "/users/1", r#"{"name":"Ada"}"#).1["name"], "Ada");
        assert_eq!(ask(&crm, "DELETE", "/users/1", ""), (200, json!({})));
        assert_eq!(ask(&crm, "GET", "/users/1", "").1["name"], "Leanne Graham");
    }
}
