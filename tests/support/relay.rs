//! A server on loopback that stands between the binary and a simulated tenant: it passes calls on, and spoils the
//! connections and calls that a fault is for.
//!
//! It counts what came and how often each fault took place, until it is healed. It never repeats a call, and passes a
//! call on only when the fault says so: what the tenant's ledger holds is what was carried out.

use super::wire::{Answer, Identity, Request, Wire};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// See the module. Ends with its owner.
pub(crate) struct Relay(Arc<Shared>);

/// What is spoiled, and how.
#[derive(Clone)]
pub(crate) enum Fault {
    /// Connections, by their order from 0.
    Connections(Range<usize>, Deed),
    /// Calls of a kind, by their order from 0 among those of that kind.
    Calls(Kind, Range<usize>, Inject),
}

pub(crate) type Inject = Arc<dyn Fn(&mut Exchange<'_>) + Send + Sync>;

/// What becomes of a connection.
#[derive(Clone, Copy)]
pub(crate) enum Deed {
    /// It is closed before anything was read.
    Closed,
    /// It is reset once something came, which is not read.
    Reset,
    /// Nothing is read and nothing said, until the client leaves.
    Ignored,
    /// With TLS: somebody else answers, under another name.
    Impostor,
    /// With TLS: HTTP/2 is offered; where it is taken, these frames come, and then the end.
    Http2(&'static [u8]),
}

/// What a call asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Act,
    Poll,
    /// A proxy is asked for a tunnel.
    Tunnel,
}

/// A call that came.
#[derive(Debug, Clone)]
pub(crate) struct Call {
    pub(crate) kind: Kind,
    pub(crate) target: String,
    pub(crate) head: String,
    pub(crate) at: Instant,
    /// How many calls came before it on the same connection.
    pub(crate) before: usize,
}

/// One call, in the hands of a fault.
pub(crate) struct Exchange<'a> {
    pub(crate) request: Request,
    /// How many calls came before it on the same connection.
    pub(crate) before: usize,
    wire: &'a mut Wire,
    relay: &'a Shared,
    ends: bool,
    spared: bool,
}

/// Looks at each act before anything else is done with it; what it says is a complaint.
type Watch = Box<dyn Fn(&Request) -> Option<String> + Send + Sync>;

struct Shared {
    address: SocketAddr,
    tls: bool,
    /// The tenant's `host:port`.
    tenant: String,
    folder: PathBuf,
    faults: Vec<Fault>,
    healed: AtomicBool,
    closing: AtomicBool,
    connections: AtomicUsize,
    fired: AtomicUsize,
    calls: Mutex<Vec<Call>>,
    watch: Watch,
    complaints: Mutex<Vec<String>>,
    /// A second listener, of another origin, that nobody has any business with.
    elsewhere: SocketAddr,
    strangers: AtomicUsize,
    /// Where it will listen once it is healed, when it does not yet.
    asleep: Mutex<Option<tokio::net::TcpSocket>>,
}

/// How the relay can be reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reach {
    Plain,
    Tls,
    /// Its port is taken and refuses everybody until it is healed.
    Asleep,
}

impl Relay {
    /// Between whoever calls it and the tenant at that URL. `folder` is where faults may write.
    pub(crate) fn new(
        tenant: &str,
        folder: &Path,
        reach: Reach,
        faults: Vec<Fault>,
        watch: impl Fn(&Request) -> Option<String> + Send + Sync + 'static,
    ) -> Self {
        let elsewhere = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let (address, listener, asleep) = listener(reach);
        let shared = Arc::new(Shared {
            address,
            tls: reach == Reach::Tls,
            tenant: tenant.strip_prefix("http://").expect("an http URL").to_owned(),
            folder: folder.to_owned(),
            faults,
            healed: AtomicBool::new(false),
            closing: AtomicBool::new(false),
            connections: AtomicUsize::new(0),
            fired: AtomicUsize::new(0),
            calls: Mutex::default(),
            watch: Box::new(watch),
            complaints: Mutex::default(),
            elsewhere: elsewhere.local_addr().expect("an address"),
            strangers: AtomicUsize::new(0),
            asleep: Mutex::new(asleep),
        });
        listen(&shared, elsewhere, |shared, _| {
            shared.strangers.fetch_add(1, SeqCst);
        });
        if let Some(listener) = listener {
            listen(&shared, listener, |shared, stream| shared.connection(stream));
        }
        Self(shared)
    }

    /// `http://127.0.0.1:PORT`, or `https://localhost:PORT`.
    pub(crate) fn url(&self) -> String {
        match self.0.tls {
            true => format!("https://localhost:{}", self.0.address.port()),
            false => format!("http://{}", self.0.address),
        }
    }

    /// From now on it listens, and spoils nothing.
    pub(crate) fn heal(&self) {
        self.0.healed.store(true, SeqCst);
        let Some(socket) = locked(&self.0.asleep).take() else { return };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build().expect("a runtime");
        let _entered = runtime.enter();
        let listener = socket.listen(64).and_then(tokio::net::TcpListener::into_std).expect("its port is its own");
        listener.set_nonblocking(false).expect("it can block");
        listen(&self.0, listener, |shared, stream| shared.connection(stream));
    }

    /// How often a fault took place.
    pub(crate) fn fired(&self) -> usize {
        self.0.fired.load(SeqCst)
    }

    /// Connections to the other origin.
    pub(crate) fn strangers(&self) -> usize {
        self.0.strangers.load(SeqCst)
    }

    /// Every call that came whole, in order.
    pub(crate) fn calls(&self) -> Vec<Call> {
        locked(&self.0.calls).clone()
    }

    pub(crate) fn count(&self, kind: Kind) -> usize {
        locked(&self.0.calls).iter().filter(|call| call.kind == kind).count()
    }

    /// What the watch over the acts complained of.
    pub(crate) fn complaints(&self) -> Vec<String> {
        locked(&self.0.complaints).clone()
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.0.closing.store(true, SeqCst);
        for address in [self.0.address, self.0.elsewhere] {
            // Whoever waits for a connection gets one, and sees that it is over.
            drop(TcpStream::connect(address));
        }
    }
}

fn listener(reach: Reach) -> (SocketAddr, Option<TcpListener>, Option<tokio::net::TcpSocket>) {
    if reach == Reach::Asleep {
        let socket = tokio::net::TcpSocket::new_v4().expect("a socket");
        socket.bind(([127, 0, 0, 1], 0).into()).expect("a free port");
        return (socket.local_addr().expect("an address"), None, Some(socket));
    }
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    (listener.local_addr().expect("an address"), Some(listener), None)
}

fn listen(shared: &Arc<Shared>, listener: TcpListener, serve: fn(&Shared, TcpStream)) {
    let shared = Arc::clone(shared);
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            if shared.closing.load(SeqCst) {
                return;
            }
            let shared = Arc::clone(&shared);
            std::thread::spawn(move || serve(&shared, stream));
        }
    });
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Shared {
    fn connection(&self, stream: TcpStream) {
        let number = self.connections.fetch_add(1, SeqCst);
        let deed = self.deed(number);
        let Ok(mut wire) = Wire::plain(stream) else { return };
        let fired = || self.fired.fetch_add(1, SeqCst);
        let identity = match deed {
            Some(Deed::Closed) => {
                fired();
                return;
            }
            Some(Deed::Reset) => {
                if wire.await_bytes() {
                    fired();
                }
                return;
            }
            Some(Deed::Ignored) => {
                fired();
                // The bytes that come are nobody's; what ends the waiting is that the client leaves.
                drop(std::io::copy(&mut wire, &mut std::io::sink()));
                return;
            }
            Some(Deed::Impostor) => {
                fired();
                Identity::Other
            }
            Some(Deed::Http2(_)) => Identity::TenantWithHttp2,
            None => Identity::Tenant,
        };
        if self.tls {
            let Some(with_tls) = wire.with_tls(identity) else { return };
            wire = with_tls;
        }
        match deed {
            Some(Deed::Http2(frames)) if wire.is_http2() => {
                fired();
                speak_http2(&mut wire, frames);
            }
            _ => self.calls_on(wire),
        }
    }

    fn deed(&self, number: usize) -> Option<Deed> {
        let of = |fault: &Fault| match fault {
            Fault::Connections(range, deed) if range.contains(&number) => Some(*deed),
            _ => None,
        };
        self.faults.iter().find_map(of).filter(|_| !self.healed.load(SeqCst))
    }

    fn calls_on(&self, mut wire: Wire) {
        let mut before = 0;
        while let Some(request) = wire.request() {
            let tunnels = request.method() == "CONNECT";
            let inject = self.note(&request, before);
            let mut exchange = Exchange { request, before, wire: &mut wire, relay: self, ends: false, spared: false };
            match inject {
                Some(inject) => {
                    // Counted before it is over: some faults last longer than who meets them.
                    self.fired.fetch_add(1, SeqCst);
                    inject(&mut exchange);
                    self.fired.fetch_sub(usize::from(exchange.spared), SeqCst);
                }
                None if tunnels => {
                    exchange.raw("HTTP/1.1 200 OK\r\n\r\n");
                    return wire.with_tls(Identity::Tenant).into_iter().for_each(|wire| self.calls_on(wire));
                }
                None => exchange.pass(),
            }
            if exchange.ends {
                return;
            }
            before += 1;
        }
    }

    /// Writes the call down, and finds the fault that it is for.
    fn note(&self, request: &Request, before: usize) -> Option<Inject> {
        let kind = match request.method() {
            "POST" => Kind::Act,
            "CONNECT" => Kind::Tunnel,
            _ => Kind::Poll,
        };
        if kind == Kind::Act
            && let Some(complaint) = (self.watch)(request)
        {
            locked(&self.complaints).push(complaint);
        }
        let mut calls = locked(&self.calls);
        let number = calls.iter().filter(|call| call.kind == kind).count();
        let (target, head) = (request.target().to_owned(), request.head.clone());
        calls.push(Call { kind, target, head, at: Instant::now(), before });
        drop(calls);
        let of = |fault: &Fault| match fault {
            Fault::Calls(of, range, inject) if *of == kind && range.contains(&number) => Some(Arc::clone(inject)),
            _ => None,
        };
        self.faults.iter().find_map(of).filter(|_| !self.healed.load(SeqCst))
    }
}

/// The empty settings that a server begins with, and then what is to be said.
fn speak_http2(wire: &mut Wire, frames: &[u8]) {
    const SETTINGS: &[u8] = &[0, 0, 0, 4, 0, 0, 0, 0, 0];
    let mut came = [0; 4096];
    // Whoever has left hears nothing, which is as well.
    if wire.read(&mut came).is_ok_and(|count| count > 0) {
        drop(wire.write_all(&[SETTINGS, frames].concat()).and_then(|()| wire.flush()));
        drop(wire.read(&mut came));
    }
}

impl Exchange<'_> {
    /// The call goes on to the tenant, which carries it out; this is its answer.
    pub(crate) fn forward(&mut self) -> Answer {
        let answer = self.request.forwarded_to(&self.relay.tenant);
        answer.unwrap_or_else(|| Answer::new(500, &[], "the tenant broke the connection"))
    }

    /// As if there were no fault.
    pub(crate) fn pass(&mut self) {
        self.spared = true;
        let answer = self.forward();
        self.send(&answer);
    }

    /// Sends an answer, whole.
    pub(crate) fn send(&mut self, answer: &Answer) {
        self.wire.take_last(&mut self.request);
        self.write(&answer.bytes());
    }

    /// Sends bytes and nothing else; then the connection ends.
    pub(crate) fn raw(&mut self, bytes: impl AsRef<[u8]>) {
        self.wire.take_last(&mut self.request);
        self.write(bytes.as_ref());
        self.ends = true;
    }

    /// Ends the connection after all that was said.
    pub(crate) fn close(&mut self) {
        self.raw("");
    }

    /// The connection is reset: a byte of the request stays unread.
    pub(crate) fn reset(&mut self) {
        self.ends = true;
    }

    /// Sends bytes again and again, with a pause after each time, until the client leaves.
    pub(crate) fn endless(&mut self, bytes: &[u8], pause: Duration) {
        self.wire.take_last(&mut self.request);
        while self.write(bytes) {
            std::thread::sleep(pause);
        }
        self.ends = true;
    }

    /// Sends bytes, and then others again and again, with a pause after each time, until the client leaves.
    pub(crate) fn trickle(&mut self, first: &[u8], then: &[u8], pause: Duration) {
        self.wire.take_last(&mut self.request);
        if self.write(first) {
            self.endless(then, pause);
        }
    }

    /// Sends bytes one by one.
    pub(crate) fn in_pieces(&mut self, bytes: &[u8]) {
        self.wire.take_last(&mut self.request);
        for byte in bytes {
            self.write(&[*byte]);
        }
    }

    /// Says nothing, until the client leaves.
    pub(crate) fn hold(&mut self) {
        self.wire.take_last(&mut self.request);
        drop(std::io::copy(self.wire, &mut std::io::sink()));
        self.ends = true;
    }

    /// Where faults may write.
    pub(crate) fn folder(&self) -> &Path {
        &self.relay.folder
    }

    /// The URL of another origin, which nobody has any business with.
    pub(crate) fn elsewhere(&self) -> String {
        format!("http://{}", self.relay.elsewhere)
    }

    /// Writes; false when the client has left, which some faults wait for.
    fn write(&mut self, bytes: &[u8]) -> bool {
        let written = self.wire.write_all(bytes).and_then(|()| self.wire.flush()).is_ok();
        self.ends |= !written;
        written
    }
}
