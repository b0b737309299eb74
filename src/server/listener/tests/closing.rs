//! The end: who has asked is answered whole, who has not is cut.

use super::*;

#[tokio::test]
async fn while_draining_calls_are_answered_and_connections_asked_to_close() {
    let site = Site::start(limits()).await;
    let mut kept = site.connect().await;
    kept.send(GET).await;
    assert!(!kept.answer().await.contains("connection: close"));
    let mut slow = site.connect().await;
    slow.send("GET /wait HTTP/1.1\r\nHost: a\r\n\r\n").await;
    site.entered.notified().await;

    site.lifecycle.set(Phase::Draining);
    site.leave.notify_one();
    kept.send(GET).await;
    for answer in [kept.rest().await, slow.rest().await, site.whole_answer(GET).await] {
        assert_closing(&answer, "200");
    }
    site.stop().await;
}

#[tokio::test]
async fn closing_cuts_who_has_not_asked_and_finishes_who_has() {
    let site = Site::start(limits()).await;
    let mut silent = site.connect().await;
    let mut half = site.connect().await;
    half.send("GET /ok HTTP/1.1\r\nHo").await;
    let mut half_second = site.connect().await;
    half_second.send(GET).await;
    half_second.answer().await;
    half_second.send("GET /ok").await;
    let mut idle = site.connect().await;
    idle.send(GET).await;
    idle.answer().await;
    let mut slow = site.connect().await;
    slow.send(&format!("GET /wait HTTP/1.1\r\nHost: a\r\n\r\n{GET}")).await;
    site.entered.notified().await;

    site.lifecycle.set(Phase::Closing);
    for client in [&mut silent, &mut half, &mut half_second, &mut idle] {
        assert_eq!(client.rest().await, "");
    }
    site.leave.notify_one();
    let answer = slow.rest().await;
    assert_closing(&answer, "200");
    assert!(answer.ends_with("done"), "{answer}");
    let refused = TcpStream::connect(site.address).await;
    assert_eq!(refused.unwrap_err().kind(), io::ErrorKind::ConnectionRefused);
    site.stop().await;
}

#[tokio::test]
async fn closing_lets_an_answer_that_is_being_sent_arrive_whole() {
    let site = Site::start(limits()).await;
    let mut client = site.connect().await;
    client.send("GET /big HTTP/1.1\r\nHost: a\r\n\r\n").await;
    timeout(BOUND, client.0.readable()).await.unwrap().unwrap();
    site.lifecycle.set(Phase::Closing);
    let answer = client.rest().await;
    assert!(answer.starts_with("HTTP/1.1 200"));
    let (_, body) = answer.split_once("\r\n\r\n").unwrap();
    assert_eq!(body.len(), 64 << 20);
    site.stop().await;
}

#[tokio::test]
async fn closing_answers_who_has_asked_in_the_queue_and_hangs_up_on_who_has_not() {
    let site = Site::start(limits()).await;
    // This thread drives the listener too: as long as nothing is awaited, nobody accepts.
    let queued: Vec<_> = (0..20).map(|_| site.connect_unseen(GET)).collect();
    let mut silent = site.connect_unseen("");
    site.lifecycle.set(Phase::Closing);
    for client in queued {
        assert_closing(&Client(client).rest().await, "200");
    }
    let mut end = [0; 1];
    assert_eq!(silent.read(&mut end).await.unwrap(), 0, "closed in order, not reset");
    site.stop().await;
}

#[tokio::test]
async fn closing_takes_no_more_out_of_the_queue_than_there_are_places() {
    let site = Site::start(ConnectionLimits { max_connections: 2, ..limits() }).await;
    let mut queued: Vec<_> = (0..4).map(|_| site.connect_unseen(GET)).collect();
    site.lifecycle.set(Phase::Closing);
    for client in queued.drain(..2) {
        assert_closing(&Client(client).rest().await, "200");
    }
    for mut client in queued {
        let reset = client.read(&mut [0; 1]).await.unwrap_err();
        assert_eq!(reset.kind(), io::ErrorKind::ConnectionReset);
    }
    site.stop().await;
}

#[tokio::test]
async fn closing_answers_what_came_on_a_resting_connection_and_nobody_has_seen_yet() {
    let site = Site::start(limits()).await;
    let mut kept = Vec::new();
    for _ in 0..20 {
        let mut client = site.connect().await;
        client.send(GET).await;
        client.answer().await;
        kept.push(client);
    }
    for client in &kept {
        assert_eq!(client.0.try_write(GET.as_bytes()).unwrap(), GET.len());
    }
    site.lifecycle.set(Phase::Closing);
    for mut client in kept {
        assert_closing(&client.rest().await, "200");
    }
    site.stop().await;
}

#[tokio::test]
async fn closing_does_not_wait_for_a_client_that_takes_nothing_of_its_answer() {
    let site = Site::start(limits()).await;
    let mut deaf = site.connect().await;
    deaf.send("GET /big HTTP/1.1\r\nHost: a\r\n\r\n").await;
    timeout(BOUND, deaf.0.readable()).await.unwrap().unwrap();
    let began = now();
    site.stop().await;
    assert!(began.elapsed() < LONG / 4, "{:?}", began.elapsed());
}
