//! Connections to an upstream: how long making one may take, how many are kept and how long.

use tokio::net::{TcpSocket, TcpStream};

use crate::{
    keys::server::well_before,
    support::{eventually, form::Form, proxy::Setup},
};

#[tokio::test]
pub(crate) async fn connecting_may_take_as_long_as_is_written() {
    // Nobody accepts, and the queue is full: who connects waits.
    let socket = TcpSocket::new_v4().expect("a socket");
    socket.bind("127.0.0.1:0".parse().expect("an address")).expect("a free port");
    let full = socket.listen(1).expect("it listens");
    let address = full.local_addr().expect("it is bound");
    let crowd: Vec<_> = (0..8).map(|_| Box::pin(TcpStream::connect(address))).collect();
    let mut crowd = futures_util::future::join_all(crowd);
    let gone = futures_util::poll!(&mut crowd);
    assert!(gone.is_pending(), "some of them wait");
    let unreachable = "Could not connect to external API";
    for (connect, status, detail) in
        [("100ms", 502, unreachable), ("5s", 504, "External API timed out")]
    {
        let timeouts = format!("timeouts: {{connect: {connect}, attempt: 6s}}");
        let setup = Setup::new().action("timeout: 10s").upstream(&timeouts);
        let proxy = setup.upstream(&format!("base_url: http://{address}")).start().await;
        // Its caller waits longer than connecting may usually take.
        let call = proxy.ask(Form::TUTORIAL, 1).header("x-deadline-ms", "1800").send().await;
        assert_eq!((call.status, &*call.detail()), (status, detail), "{connect}");
        proxy.stop().await;
    }
}

#[tokio::test]
pub(crate) async fn as_many_connections_are_kept_as_is_written() {
    for (idle, connections) in [("", 1), ("pool: {idle: 0}", 3)] {
        let setup = Setup::new();
        let setup = if idle.is_empty() { setup } else { setup.upstream(idle) };
        let proxy = setup.start().await;
        for _ in 0..3 {
            proxy.works().await;
        }
        assert_eq!(proxy.crm.site.counts().connections, connections, "{idle}");
        proxy.stop().await;
    }
}

#[tokio::test]
pub(crate) async fn a_connection_is_kept_as_long_as_is_written() {
    let proxy = Setup::new().upstream("pool: {idle_timeout: 100ms}").start().await;
    proxy.works().await;
    let closed = eventually("its end", async || (proxy.crm.site.counts().open == 0).then_some(()));
    well_before(4, closed).await;
    proxy.stop().await;
}
