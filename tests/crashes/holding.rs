//! A way to the tenant that stops one act where a test wants it: half of it is read, or it was carried out and its answer
//! is held, or half of the answer was written. Whoever sent it is then killed.
//!
//! It passes everything else on as it is, and adds nothing of its own.

use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// How long an act is held at most: whoever sent it is gone long before.
const HELD_MAX: Duration = Duration::from_secs(30);

/// Where an act stops.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Hold {
    /// Half of its body was taken; the tenant knows nothing of it.
    HalfRead,
    /// It was carried out, and nothing of the answer has left.
    Answered,
    /// It was carried out, and half of the answer has left.
    HalfAnswered,
}

/// See the module. Ends with its owner.
pub(crate) struct Holding {
    address: SocketAddr,
    shared: Arc<Shared>,
}

struct Shared {
    tenant: String,
    /// What is held, and how many acts pass before it.
    next: Mutex<Option<(Hold, u32)>>,
    reached: AtomicBool,
    closing: AtomicBool,
}

impl Holding {
    /// Before the tenant at that URL.
    pub(crate) fn new(tenant: &str) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
        let address = listener.local_addr().expect("an address");
        let tenant = tenant.strip_prefix("http://").expect("an http URL").to_owned();
        let (next, reached, closing) = (Mutex::default(), AtomicBool::new(false), AtomicBool::new(false));
        let shared = Arc::new(Shared { tenant, next, reached, closing });
        let of_listener = Arc::clone(&shared);
        std::thread::spawn(move || {
            for client in listener.incoming().flatten() {
                if of_listener.closing.load(Ordering::SeqCst) {
                    return;
                }
                let shared = Arc::clone(&of_listener);
                std::thread::spawn(move || shared.connection(client));
            }
        });
        Self { address, shared }
    }

    /// `http://127.0.0.1:PORT`
    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Holds one act after so many others.
    pub(crate) fn hold(&self, how: Hold, after: u32) {
        self.shared.reached.store(false, Ordering::SeqCst);
        *self.shared.next.lock().expect("nobody panics with it") = Some((how, after));
    }

    /// Whether the act that was to be held is.
    pub(crate) fn has_reached(&self) -> bool {
        self.shared.reached.load(Ordering::SeqCst)
    }
}

impl Drop for Holding {
    fn drop(&mut self) {
        self.shared.closing.store(true, Ordering::SeqCst);
        // Whoever waits for a connection gets one, and sees that it is over.
        drop(TcpStream::connect(self.address));
    }
}

impl Shared {
    /// How this act is held, if it is the one.
    fn ticket(&self) -> Option<Hold> {
        let mut next = self.next.lock().expect("nobody panics with it");
        match *next {
            Some((how, 0)) => {
                *next = None;
                Some(how)
            }
            Some((how, after)) => {
                *next = Some((how, after - 1));
                None
            }
            None => None,
        }
    }

    /// Calls of one connection, until either side has enough. A connection that breaks is what a kill looks like here.
    fn connection(&self, mut client: TcpStream) {
        let Ok(mut tenant) = TcpStream::connect(&self.tenant) else { return };
        while let Some((head, length)) = read_head(&mut client) {
            let held = if head.starts_with(b"POST ") { self.ticket() } else { None };
            if held == Some(Hold::HalfRead) {
                let _half = read_body(&mut client, length / 2);
                return self.hold(&mut client);
            }
            let Some(body) = read_body(&mut client, length) else { return };
            if tenant.write_all(&[head, body].concat()).is_err() {
                return;
            }
            let Some((head, length)) = read_head(&mut tenant) else { return };
            let Some(body) = read_body(&mut tenant, length) else { return };
            let answer = [head, body].concat();
            match held {
                Some(Hold::HalfAnswered) => {
                    let _gone = client.write_all(&answer[..answer.len() / 2]);
                    return self.hold(&mut client);
                }
                Some(_) => return self.hold(&mut client),
                None if client.write_all(&answer).is_err() => return,
                None => {}
            }
        }
    }

    /// Says that it is so far, and waits until the client is gone.
    fn hold(&self, client: &mut TcpStream) {
        self.reached.store(true, Ordering::SeqCst);
        let began = Instant::now();
        if client.set_read_timeout(Some(Duration::from_millis(100))).is_err() {
            return;
        }
        let mut rest = [0; 4096];
        while began.elapsed() < HELD_MAX && !self.closing.load(Ordering::SeqCst) {
            match client.read(&mut rest) {
                Err(e) if matches!(e.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {}
                // What is left of a request that was half read is never looked at.
                Ok(read) if read > 0 => {}
                _ => return,
            }
        }
    }
}

/// A message up to the end of its head, and how long its body is.
fn read_head(from: &mut TcpStream) -> Option<(Vec<u8>, usize)> {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") {
        from.read_exact(&mut byte).ok()?;
        head.push(byte[0]);
    }
    let text = String::from_utf8_lossy(&head).to_ascii_lowercase();
    let length = text.lines().find_map(|line| line.strip_prefix("content-length:")?.trim().parse().ok());
    Some((head, length.unwrap_or(0)))
}

fn read_body(from: &mut TcpStream, length: usize) -> Option<Vec<u8>> {
    let mut body = vec![0; length];
    from.read_exact(&mut body).ok()?;
    Some(body)
}
