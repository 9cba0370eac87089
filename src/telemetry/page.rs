//! The page with the metrics: GET /metrics over plain HTTP, for a scraper on the same machine.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::Router;
use axum::http::header::CONTENT_TYPE;
use axum::routing::get;
use axum::serve::Listener;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Sleep, sleep};
use tokio_util::sync::CancellationToken;

use super::Telemetry;

/// Connections at once: a scraper or two, and somebody who looks.
const CONNECTIONS: usize = 16;
/// How long a connection lives: a scrape takes milliseconds, a scraper connects again.
const LIFE: Duration = Duration::from_secs(5);
/// OpenMetrics 1.0.
const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Serves the page until stopped.
pub(super) async fn serve(
    telemetry: Telemetry,
    listener: TcpListener,
    stop: CancellationToken,
) -> io::Result<()> {
    let show = move || {
        let page = telemetry.render();
        async move { ([(CONTENT_TYPE, OPEN_METRICS)], page) }
    };
    let listener = Bounded {
        listener,
        connections: Arc::new(Semaphore::new(CONNECTIONS)),
    };
    axum::serve(listener, Router::new().route("/metrics", get(show)))
        .with_graceful_shutdown(stop.cancelled_owned())
        .await
}

/// Accepts when there is room.
struct Bounded {
    listener: TcpListener,
    connections: Arc<Semaphore>,
}

impl Listener for Bounded {
    type Io = Connection;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Connection, SocketAddr) {
        loop {
            let permit = Arc::clone(&self.connections).acquire_owned().await;
            let (stream, peer) = Listener::accept(&mut self.listener).await;
            // The semaphore is never closed.
            if let Ok(permit) = permit {
                let connection = Connection {
                    stream,
                    end: Box::pin(sleep(LIFE)),
                    _permit: permit,
                };
                return (connection, peer);
            }
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }
}

/// A connection that ends by itself and gives its place back.
struct Connection {
    stream: TcpStream,
    end: Pin<Box<Sleep>>,
    _permit: OwnedSemaphorePermit,
}

impl Connection {
    fn is_over(&mut self, context: &mut Context<'_>) -> bool {
        self.end.as_mut().poll(context).is_ready()
    }
}

impl AsyncRead for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.is_over(context) {
            return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
        }
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl AsyncWrite for Connection {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        octets: &[u8],
    ) -> Poll<io::Result<usize>> {
        if self.is_over(context) {
            return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
        }
        Pin::new(&mut self.stream).poll_write(context, octets)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
