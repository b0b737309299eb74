//! Claims: what an authority, or a signed token, says about a caller, and whether such a one may
//! call.

use std::{sync::Arc, time::Duration};

use serde_json::Value;
use serde_json_path::JsonPath;

use crate::{
    catalog::{caller::Admission, name::Name},
    pipeline::authenticate::Caller,
};

/// How far the clock of an issuer may be ahead of ours: a token is taken so long before it says that
/// it begins, for its holder cannot wait. None is taken past its end, for that its holder renews it.
pub(super) const AHEAD: Duration = Duration::from_secs(30);

/// A claim that is there and cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Unreadable;

/// Who those `claims` are about; `None` where such a one may not call. `entry` names who names no
/// client, or is of the only organisation.
///
/// # Errors
/// [`Unreadable`]: taken for absent, a claim would lift the very restriction that it makes.
pub(super) fn caller(
    admission: &Admission,
    entry: &Name,
    claims: &Value,
) -> Result<Option<Arc<Caller>>, Unreadable> {
    let org = match &admission.org_claim {
        Some(at) => claim(at, claims, Value::as_str)?,
        None => None,
    };
    let client = claim(&admission.client_claim, claims, Value::as_str)?;
    let foreign = match (&admission.org, org) {
        (_, None) => admission.names_org,
        (Some(ours), Some(org)) => ours != org,
        (None, Some(_)) => false,
    };
    let clients = &admission.clients;
    let listed = || client.is_some_and(|client| clients.iter().any(|known| known == client));
    if foreign || !(clients.is_empty() || listed()) {
        return Ok(None);
    }
    let org = org.or(admission.org.as_deref()).unwrap_or(entry.as_str()).into();
    let client = client.unwrap_or(entry.as_str()).into();
    Ok(Some(Arc::new(Caller { org, client })))
}

/// A claim, read by `read`; `None` where it is not made.
pub(super) fn claim<'a, T>(
    at: &JsonPath,
    claims: &'a Value,
    read: impl Fn(&'a Value) -> Option<T>,
) -> Result<Option<T>, Unreadable> {
    match at.query(claims).first() {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) if text.is_empty() => Ok(None),
        Some(value) => read(value).map(Some).ok_or(Unreadable),
    }
}

/// A point in time; it may have a fraction. One before 1970 is as good as 1970.
pub(super) fn seconds(number: &Value) -> Option<Duration> {
    let fractional = || Some(Duration::try_from_secs_f64(number.as_f64()?.max(0.0)));
    match number.as_u64() {
        Some(whole) => Some(Duration::from_secs(whole)),
        None => fractional().map(|expires| expires.unwrap_or(Duration::MAX)),
    }
}

/// Whether what begins at `begins` has not begun at `now`, as far as clocks can tell.
pub(super) fn is_to_come(begins: Option<Duration>, now: Duration) -> bool {
    begins.is_some_and(|begins| begins > now.saturating_add(AHEAD))
}
