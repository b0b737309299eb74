//! What a fake has seen: counters, and the last requests as they came.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Mutex, MutexGuard},
};

use bytes::Bytes;
use tokio::sync::watch;

use crate::time::{self, Instant};

use super::wire::Request;

/// How many requests are remembered whole.
const REMEMBERED: usize = 1_000;

/// Bytes of a body that are remembered.
const REMEMBERED_BODY: usize = 64 * 1024;

/// How many paths are counted one by one; a demo that runs for days asks for ever new ones.
const COUNTED_PATHS: usize = 20_000;

/// One request as it came.
#[derive(Debug, Clone)]
pub struct Seen {
    /// When its end was read, or when the client left.
    pub at: Instant,
    /// The connection it came on, counted from 1.
    pub connection: u64,
    /// The request itself.
    pub request: Request,
}

/// Counters of one fake since its start.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Connections accepted.
    pub connections: u64,
    /// Connections open now.
    pub open: u64,
    /// Requests whose head came, whatever became of them.
    pub requests: u64,
    /// Requests whose body came whole.
    pub bodies: u64,
    /// Requests being answered now.
    pub in_flight: u64,
    /// The most that were at once.
    pub max_in_flight: u64,
    /// Clients that left before they had their whole answer.
    pub left: u64,
}

/// The record of one fake.
#[derive(Debug)]
pub(super) struct Record {
    book: Mutex<Book>,
    shown: watch::Sender<Counts>,
}

#[derive(Debug, Default)]
struct Book {
    counts: Counts,
    paths: HashMap<String, u64>,
    last: VecDeque<Seen>,
}

impl Default for Record {
    fn default() -> Self {
        Self { book: Mutex::default(), shown: watch::Sender::new(Counts::default()) }
    }
}

impl Record {
    fn book(&self) -> MutexGuard<'_, Book> {
        self.book.lock().expect("nothing under this lock panics")
    }

    /// Writes into the book and wakes whoever waits for a count.
    fn write<T>(&self, change: impl FnOnce(&mut Book) -> T) -> T {
        let mut book = self.book();
        let result = change(&mut book);
        self.shown.send_replace(book.counts);
        result
    }

    pub(super) fn counts(&self) -> Counts {
        self.book().counts
    }

    pub(super) async fn until(&self, reached: impl FnMut(&Counts) -> bool) -> Counts {
        let mut watching = self.shown.subscribe();
        let counts = watching.wait_for(reached).await.map(|counts| *counts);
        counts.expect("the sender is in `self`")
    }

    pub(super) fn requests_for(&self, path: &str) -> u64 {
        self.book().paths.get(path).copied().unwrap_or_default()
    }

    pub(super) fn seen(&self) -> Vec<Seen> {
        self.book().last.iter().cloned().collect()
    }

    /// Everything from zero, except what is open and in flight now.
    pub(super) fn reset(&self) {
        self.write(|book| {
            let Counts { open, in_flight, .. } = book.counts;
            let counts = Counts { open, in_flight, max_in_flight: in_flight, ..Counts::default() };
            *book = Book { counts, ..Book::default() };
        });
    }

    /// Counts a connection until the result is dropped.
    pub(super) fn connection(&self) -> OpenConnection<'_> {
        let number = self.write(|book| {
            book.counts.connections += 1;
            book.counts.open += 1;
            book.counts.connections
        });
        OpenConnection { record: self, number }
    }

    /// Takes down a request.
    pub(super) fn request(&self, connection: u64, request: &Request) {
        let mut request = request.clone();
        if request.body.len() > REMEMBERED_BODY {
            request.body = Bytes::copy_from_slice(&request.body[..REMEMBERED_BODY]);
        }
        self.write(|book| {
            book.counts.requests += 1;
            book.counts.bodies += u64::from(request.body_complete);
            if let Some(count) = book.paths.get_mut(request.path()) {
                *count += 1;
            } else if book.paths.len() < COUNTED_PATHS {
                book.paths.insert(request.path().to_owned(), 1);
            }
            if book.last.len() == REMEMBERED {
                book.last.pop_front();
            }
            book.last.push_back(Seen { at: time::now(), connection, request });
        });
    }

    /// Counts a request as in flight until the result is dropped.
    pub(super) fn in_flight(&self) -> InFlight<'_> {
        self.write(|Book { counts, .. }| {
            counts.in_flight += 1;
            counts.max_in_flight = counts.max_in_flight.max(counts.in_flight);
        });
        InFlight(self)
    }

    pub(super) fn client_left(&self) {
        self.write(|book| book.counts.left += 1);
    }
}

/// A connection, as long as it is open.
pub(super) struct OpenConnection<'a> {
    record: &'a Record,
    pub(super) number: u64,
}

impl Drop for OpenConnection<'_> {
    fn drop(&mut self) {
        self.record.write(|book| book.counts.open -= 1);
    }
}

/// A request, as long as it is being answered.
pub(super) struct InFlight<'a>(&'a Record);

impl Drop for InFlight<'_> {
    fn drop(&mut self) {
        self.0.write(|book| book.counts.in_flight -= 1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_bounded_and_counters_are_not() {
        let record = Record::default();
        for place in 0..COUNTED_PATHS + 10 {
            let target = format!("/users/{place}?q");
            record.request(1, &Request { target, ..Request::default() });
        }
        assert_eq!(record.counts().requests, 20_010);
        assert_eq!(record.seen().len(), REMEMBERED);
        assert_eq!((record.requests_for("/users/0"), record.requests_for("/users/20005")), (1, 0));
    }

    #[test]
    fn a_reset_forgets_all_but_what_is_under_way() {
        let record = Record::default();
        let (first, second) = (record.in_flight(), record.in_flight());
        drop(first);
        record.request(1, &Request::default());
        record.reset();
        let expected = Counts { in_flight: 1, max_in_flight: 1, ..Counts::default() };
        assert_eq!(record.counts(), expected);
        drop(second);
        assert_eq!(record.counts().in_flight, 0);
    }
}
