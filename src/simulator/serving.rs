//! The simulator on a socket: an accept loop of its own, as broken connections must really be closed unanswered.
//!
//! It refuses any address but loopback: it believes every token.

use super::Simulator;
use super::answer::answer_or_break;
use axum::Router;
use axum::body::Body;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};
use tower::ServiceExt;

/// How long a shutdown waits for calls in flight.
const GRACE: Duration = Duration::from_secs(5);
/// How long accepting pauses when the system has no descriptor left.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// A simulator that is being served. Dropping it ends the serving too, without waiting for it.
#[derive(Debug)]
pub struct Served {
    /// Where it listens.
    pub address: SocketAddr,
    stop: watch::Sender<()>,
    task: JoinHandle<()>,
}

impl Served {
    /// `http://127.0.0.1:PORT`
    pub fn base_url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Accepts no more, lets calls in flight finish for at most five seconds, and closes everything.
    pub async fn shutdown(self) {
        drop(self.stop);
        if let Err(error) = self.task.await
            && error.is_panic()
        {
            std::panic::resume_unwind(error.into_panic());
        }
    }
}

pub(super) fn serve(simulator: Simulator, listener: TcpListener) -> io::Result<Served> {
    let address = listener.local_addr()?;
    if !address.ip().is_loopback() {
        let message = format!("the simulator listens on loopback only, not on {address}");
        return Err(io::Error::new(io::ErrorKind::InvalidInput, message));
    }
    let (stop, stopped) = watch::channel(());
    let task = tokio::spawn(accept(simulator, listener, stopped));
    Ok(Served { address, stop, task })
}

async fn accept(simulator: Simulator, listener: TcpListener, mut stopped: watch::Receiver<()>) {
    let router = simulator.router();
    let mut connections = JoinSet::new();
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            Some(_) = connections.join_next() => continue,
            // Nothing is ever sent: it resolves when the handle is gone.
            _ = stopped.changed() => break,
        };
        match accepted {
            Ok((stream, _)) if !simulator.closes_connection() => {
                connections.spawn(connection(router.clone(), stream, stopped.clone()));
            }
            Ok(closed) => drop(closed),
            Err(_) => tokio::time::sleep(ACCEPT_PAUSE).await,
        }
    }
    drop(listener);
    let finished = async { while connections.join_next().await.is_some() {} };
    // Whoever is still busy after the grace is cut off by dropping the set.
    drop(tokio::time::timeout(GRACE, finished).await);
}

/// One connection to its end. How it ends is the client's business: errors are what broken connections look like here.
async fn connection(router: Router, stream: TcpStream, mut stopped: watch::Receiver<()>) {
    if stream.set_nodelay(true).is_err() {
        return;
    }
    let service = service_fn(move |request: hyper::Request<hyper::body::Incoming>| {
        let router = router.clone();
        async move { answer_or_break(router.oneshot(request.map(Body::new)).await) }
    });
    let mut connection = std::pin::pin!(http1::Builder::new().serve_connection(TokioIo::new(stream), service));
    tokio::select! {
        _ended = connection.as_mut() => return,
        _ = stopped.changed() => connection.as_mut().graceful_shutdown(),
    }
    let _ended = connection.await;
}

impl Simulator {
    /// Whether a script closes the connection that was just accepted.
    fn closes_connection(&self) -> bool {
        let mut state = self.state();
        let closes = state.script.close_connections > 0;
        state.script.close_connections -= u32::from(closes);
        closes
    }
}
