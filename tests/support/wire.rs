//! What goes over one connection of a [`super::relay::Relay`]: whole requests as they came, whole answers to be sent or
//! spoiled, with TLS or without.
//!
//! It reads a request but for its last byte, so that a connection can be reset although the request is known: the
//! system resets what is closed with bytes unread. It understands nothing of HTTP but heads and lengths.

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use serde_json::Value;
use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::time::Duration;

/// No test has to wait longer than this for a peer.
const SILENCE_MAX: Duration = Duration::from_secs(60);

/// A connection, in the clear or with TLS.
pub(crate) enum Wire {
    Plain(TcpStream),
    Tls(Box<StreamOwned<ServerConnection, TcpStream>>),
}

/// A request as it came.
pub(crate) struct Request {
    /// With the empty line that ends it.
    pub(crate) head: String,
    pub(crate) body: Vec<u8>,
    /// Whether its last byte is still unread.
    last_unread: bool,
}

/// An answer, to be sent as it is or otherwise.
#[derive(Clone)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

/// Under which name a server with TLS presents itself, and whether it offers HTTP/2.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Identity {
    /// `localhost` and `tenant.invalid`.
    Tenant,
    /// The same, with HTTP/2 before HTTP/1.1.
    TenantWithHttp2,
    /// `other.invalid`, by the same authority.
    Other,
}

impl Wire {
    pub(crate) fn plain(stream: TcpStream) -> io::Result<Self> {
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(SILENCE_MAX))?;
        stream.set_write_timeout(Some(SILENCE_MAX))?;
        Ok(Self::Plain(stream))
    }

    /// Takes TLS up as a server. `None` when the client does not agree, or is gone.
    pub(crate) fn with_tls(self, identity: Identity) -> Option<Self> {
        let Self::Plain(stream) = self else { return Some(self) };
        let connection = ServerConnection::new(Arc::new(config(identity))).expect("a fitting configuration");
        let mut stream = StreamOwned::new(connection, stream);
        while stream.conn.is_handshaking() {
            stream.conn.complete_io(&mut stream.sock).ok()?;
        }
        // A client that refuses the certificate says so after its last message.
        Some(Self::Tls(Box::new(stream)))
    }

    /// Whether both sides agreed on HTTP/2.
    pub(crate) fn is_http2(&self) -> bool {
        matches!(self, Self::Tls(stream) if stream.conn.alpn_protocol() == Some(b"h2"))
    }

    /// Waits until something is there to be read, and leaves it unread. False when the client is gone, or with TLS.
    pub(crate) fn await_bytes(&self) -> bool {
        matches!(self, Self::Plain(stream) if stream.peek(&mut [0]).is_ok_and(|count| count > 0))
    }

    /// Reads the next request; `None` when the client is gone.
    pub(crate) fn request(&mut self) -> Option<Request> {
        let leaves_last = matches!(self, Self::Plain(_));
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r") {
            head.push(self.byte()?);
        }
        let text = String::from_utf8(head.clone()).expect("a request's head is text");
        let length = header_in(&text, "content-length").map_or(0, |text| text.parse().expect("a length"));
        let mut request = Request { head: format!("{text}\n"), body: vec![0; length], last_unread: leaves_last };
        if length > 0 {
            self.byte()?;
            let most = length - usize::from(leaves_last);
            self.read_exact(&mut request.body[..most]).ok()?;
        } else if !leaves_last {
            self.byte()?;
        }
        if let Self::Plain(stream) = self {
            let mut last = [0];
            stream.peek(&mut last).ok().filter(|count| *count > 0)?;
            if let Some(end) = request.body.last_mut() {
                *end = last[0];
            }
        }
        Some(request)
    }

    /// Reads what [`Wire::request`] left.
    pub(crate) fn take_last(&mut self, request: &mut Request) {
        if std::mem::take(&mut request.last_unread) {
            self.byte();
        }
    }

    fn byte(&mut self) -> Option<u8> {
        let mut byte = [0];
        self.read_exact(&mut byte).ok()?;
        Some(byte[0])
    }
}

impl Read for Wire {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Plain(stream) => stream.read(buffer),
            Self::Tls(stream) => stream.read(buffer),
        }
    }
}

impl Write for Wire {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Plain(stream) => stream.write(bytes),
            Self::Tls(stream) => stream.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Plain(stream) => stream.flush(),
            Self::Tls(stream) => stream.flush(),
        }
    }
}

impl Request {
    pub(crate) fn method(&self) -> &str {
        self.head.split(' ').next().unwrap_or_default()
    }

    pub(crate) fn target(&self) -> &str {
        self.head.split(' ').nth(1).unwrap_or_default()
    }

    /// Has a server on this machine carry it out; `None` when it breaks the connection.
    pub(crate) fn forwarded_to(&self, authority: &str) -> Option<Answer> {
        let mut stream = TcpStream::connect(authority).ok()?;
        stream.set_read_timeout(Some(SILENCE_MAX)).ok()?;
        let (first, rest) = self.head.split_once("\r\n")?;
        let head = format!("{first}\r\nconnection: close\r\n{rest}");
        stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(&self.body)).ok()?;
        let mut bytes = Vec::new();
        stream.read_to_end(&mut bytes).ok()?;
        Answer::read(&bytes)
    }
}

impl Answer {
    pub(crate) fn new(status: u16, headers: &[(&str, &str)], body: impl Into<Vec<u8>>) -> Self {
        let headers = headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        Self { status, headers, body: body.into() }
    }

    fn read(bytes: &[u8]) -> Option<Self> {
        let end = bytes.windows(4).position(|window| window == b"\r\n\r\n")?;
        let head = std::str::from_utf8(&bytes[..end]).ok()?;
        let mut lines = head.lines();
        let status = lines.next()?.split(' ').nth(1)?.parse().ok()?;
        let kept = |name: &str| !["content-length", "connection", "transfer-encoding"].contains(&name);
        let headers = lines.filter_map(|line| line.split_once(": ")).filter(|(name, _)| kept(name));
        let headers = headers.map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        Some(Self { status, headers, body: bytes[end + 4..].to_vec() })
    }

    /// Its status line and headers, without the empty line.
    pub(crate) fn head(&self) -> String {
        let headers: String = self.headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
        format!("HTTP/1.1 {} X\r\n{headers}", self.status)
    }

    /// The whole of it, with its length.
    pub(crate) fn bytes(&self) -> Vec<u8> {
        let head = format!("{}content-length: {}\r\n\r\n", self.head(), self.body.len());
        [head.as_bytes(), &self.body].concat()
    }

    /// The JSON that it holds.
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).expect("the tenant answers in JSON")
    }

    /// The same with another body.
    pub(crate) fn with_body(self, body: impl Into<Vec<u8>>) -> Self {
        Self { body: body.into(), ..self }
    }
}

/// The value of a header in a head.
fn header_in<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    let named = |line: &'a str| line.split_once(':').filter(|(found, _)| found.eq_ignore_ascii_case(name));
    head.lines().find_map(named).map(|(_, value)| value.trim())
}

fn config(identity: Identity) -> ServerConfig {
    let (certificate, key): (&[u8], &[u8]) = match identity {
        Identity::Tenant | Identity::TenantWithHttp2 => {
            (include_bytes!("tls/tenant.pem"), include_bytes!("tls/tenant.key"))
        }
        Identity::Other => (include_bytes!("tls/other.pem"), include_bytes!("tls/other.key")),
    };
    let chain = vec![CertificateDer::from_pem_slice(certificate).expect("a certificate")];
    let key = PrivateKeyDer::from_pem_slice(key).expect("a key");
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let config = config.expect("versions that fit").with_no_client_auth().with_single_cert(chain, key);
    let mut config = config.expect("a key that fits its certificate");
    if identity == Identity::TenantWithHttp2 {
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    }
    config
}
