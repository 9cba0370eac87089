//! A real HTTP gateway on loopback that keeps what it was asked.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use axum::body::{Body, Bytes};
use axum::http::{HeaderMap, Method, Response, Uri};
use axum::serve::Listener;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

/// A request as it came.
pub(crate) struct Asked {
    pub(crate) method: Method,
    pub(crate) uri: Uri,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Vec<u8>,
}

impl Asked {
    pub(crate) fn header(&self, name: &str) -> &str {
        let value = self.headers.get(name).expect(name);
        std::str::from_utf8(value.as_bytes()).unwrap()
    }
}

/// What the gateway answers to its first, second, … request; the last answer stays.
#[derive(Clone)]
pub(crate) enum Answer {
    Says(u16, &'static str),
    /// With these headers and this body.
    Tells(u16, Vec<(&'static str, String)>, String),
    Redirects(String),
    Giant,
    Never,
}

pub(crate) struct Gateway {
    pub(crate) address: SocketAddr,
    scheme: &'static str,
    asked: Arc<Mutex<Vec<Asked>>>,
    // Aborts the server when the gateway goes.
    _tasks: JoinSet<()>,
}

impl Gateway {
    pub(crate) async fn start(answers: &[Answer]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        Self::serve(listener, address, "http", answers)
    }

    /// With TLS, under a certificate for `localhost`.
    pub(crate) async fn start_tls(acceptor: TlsAcceptor, answers: &[Answer]) -> Self {
        let tcp = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = tcp.local_addr().unwrap();
        Self::serve(Tls { tcp, acceptor }, address, "https", answers)
    }

    fn serve<L: Listener<Addr = SocketAddr>>(
        listener: L,
        address: SocketAddr,
        scheme: &'static str,
        answers: &[Answer],
    ) -> Self {
        let asked: Arc<Mutex<Vec<Asked>>> = Arc::default();
        let (kept, answers) = (Arc::clone(&asked), answers.to_vec());
        let answer = move |method: Method, uri: Uri, headers: HeaderMap, body: Bytes| {
            let (kept, answers) = (Arc::clone(&kept), answers.clone());
            async move {
                let turn = {
                    let mut kept = kept.lock().unwrap();
                    kept.push(Asked {
                        method,
                        uri,
                        headers,
                        body: body.to_vec(),
                    });
                    kept.len().min(answers.len()) - 1
                };
                respond(&answers[turn]).await
            }
        };
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            axum::serve(listener, axum::Router::new().fallback(answer))
                .await
                .unwrap();
        });
        Self {
            address,
            scheme,
            asked,
            _tasks: tasks,
        }
    }

    pub(crate) fn url(&self, path: &str) -> String {
        let port = self.address.port();
        format!("{}://localhost:{port}{path}", self.scheme)
    }

    /// What was asked since the last look.
    pub(crate) fn asked(&self) -> Vec<Asked> {
        std::mem::take(&mut *self.asked.lock().unwrap())
    }

    /// The only request since the last look.
    pub(crate) fn asked_once(&self) -> Asked {
        let mut asked = self.asked();
        assert_eq!(asked.len(), 1, "requests");
        asked.remove(0)
    }
}

async fn respond(answer: &Answer) -> Response<Body> {
    let respond = |status: u16| Response::builder().status(status);
    match answer {
        Answer::Says(status, body) => respond(*status).body(Body::from(*body)),
        Answer::Tells(status, headers, body) => headers
            .iter()
            .fold(respond(*status), |respond, (name, value)| {
                respond.header(*name, value)
            })
            .body(Body::from(body.clone())),
        Answer::Redirects(to) => respond(307).header("location", to).body(Body::empty()),
        Answer::Giant => respond(200).body(Body::from(vec![b' '; 8 * 1024 * 1024])),
        Answer::Never => std::future::pending().await,
    }
    .unwrap()
}

struct Tls {
    tcp: TcpListener,
    acceptor: TlsAcceptor,
}

impl Listener for Tls {
    type Io = TlsStream<TcpStream>;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        loop {
            let (stream, from) = self.tcp.accept().await.unwrap();
            if let Ok(stream) = self.acceptor.accept(stream).await {
                return (stream, from);
            }
        }
    }

    fn local_addr(&self) -> std::io::Result<SocketAddr> {
        self.tcp.local_addr()
    }
}
