//! A server of the tests' own: routes on a port of this machine, in a runtime that ends with its value.

use axum::Router;
use tokio::net::TcpListener;
use tokio::runtime::{Builder, Runtime};

/// Routes that are served.
pub(super) struct Served {
    port: u16,
    runtime: Option<Runtime>,
}

impl Served {
    /// Serves at a port, or at any (0).
    pub(super) fn start(port: u16, routes: Router) -> Self {
        let mut builder = Builder::new_multi_thread();
        let runtime = builder.worker_threads(1).enable_all().build().unwrap();
        let listener = runtime
            .block_on(TcpListener::bind(("127.0.0.1", port)))
            .unwrap();
        let port = listener.local_addr().unwrap().port();
        let server = async { axum::serve(listener, routes).await.unwrap() };
        drop(runtime.spawn(server));
        let runtime = Some(runtime);
        Self { port, runtime }
    }

    pub(super) fn port(&self) -> u16 {
        self.port
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            // Listener and connections go, whoever waits.
            runtime.shutdown_timeout(std::time::Duration::from_secs(5));
        }
    }
}
