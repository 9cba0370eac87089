//! The metrics page over real HTTP.

use std::net::SocketAddr;
use std::time::Duration;

use sekisho::clock::Clock;
use sekisho::telemetry::{Discard, Telemetry};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

struct Page {
    telemetry: Telemetry,
    address: SocketAddr,
    stop: CancellationToken,
    tracker: TaskTracker,
}

impl Page {
    async fn serve() -> Self {
        let telemetry = Telemetry::start(&super::quiet(), Clock::system());
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let page = Self {
            address: listener.local_addr().unwrap(),
            telemetry: telemetry.clone(),
            stop: CancellationToken::new(),
            tracker: TaskTracker::new(),
        };
        let stop = page.stop.clone();
        page.tracker
            .spawn(async move { telemetry.serve(listener, stop).await.unwrap() });
        page.tracker.close();
        page
    }

    async fn ask(&self, request: &str) -> String {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        let request = format!("{request} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        answer
    }
}

#[tokio::test]
async fn metrics_are_shown_over_http_and_nothing_else_is() {
    let page = Page::serve().await;
    let from = "192.0.2.1:5000".parse().unwrap();
    page.telemetry
        .discard(Discard::UnknownClient, from, None, "no client");
    let answer = page.ask("GET /metrics").await;
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    assert!(answer.contains("content-type: application/openmetrics-text; version=1.0.0"));
    assert!(
        answer.contains("reason=\"unknown-client\"} 1\n"),
        "{answer}"
    );
    assert!(answer.trim_end().ends_with("# EOF"));
    assert!(page.ask("GET /").await.starts_with("HTTP/1.1 404 "));
    assert!(page.ask("POST /metrics").await.starts_with("HTTP/1.1 405 "));
}

#[tokio::test]
async fn idle_connections_do_not_shut_scrapers_out_and_stopping_ends_all() {
    let page = Page::serve().await;
    let mut idle = Vec::new();
    for _ in 0..20 {
        idle.push(TcpStream::connect(page.address).await.unwrap());
    }
    let answer = tokio::time::timeout(Duration::from_secs(60), page.ask("GET /metrics"))
        .await
        .expect("idle connections end by themselves");
    assert!(answer.starts_with("HTTP/1.1 200 "));
    page.stop.cancel();
    tokio::time::timeout(Duration::from_secs(60), page.tracker.wait())
        .await
        .expect("serving ends");
}

#[tokio::test]
async fn several_daemons_in_a_process_share_the_logger() {
    let first = Telemetry::start(&super::quiet(), Clock::system());
    let second = Telemetry::start(&super::quiet(), Clock::system());
    log::debug!(target: "sekisho::test", "installed twice, and still a logger");
    first.lost(1);
    assert!(first.render().contains("sekisho_lost_packets_total 1"));
    assert!(second.render().contains("sekisho_lost_packets_total 0"));
    let flushing = std::thread::spawn(move || second.flush());
    flushing.join().unwrap();
}
