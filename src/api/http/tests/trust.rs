//! Whom we talk to: TLS, certificates, proxies, and hosts on this machine.

use super::*;

/// A fatal TLS alert "protocol version": what a server that only knows TLS 1.1 answers to us.
#[tokio::test]
async fn a_server_without_a_safe_tls_version_is_left_for_good() {
    let server = Server::new(|connection| {
        let _ = connection.stream.read(&mut [0; 4096]);
        connection.write(&[0x15, 3, 1, 0, 2, 2, 70]);
        connection.hold();
    });
    let base_url = format!("https://{}", server.address);
    let why = NotCarriedOut::NotSentForGood;
    is_not_carried_out(&act(&api(&base_url)).await, why, "the connection cannot be trusted: received fatal alert");
    let PollReply::NoAnswer { for_good: true, .. } = poll(&api(&base_url)).await else {
        panic!("it cannot get better")
    };
}

#[tokio::test]
async fn tls_that_fails_otherwise_was_not_sent() {
    let not_tls = Server::new(|connection| {
        connection.write(b"220 mail ready\r\n");
        connection.hold();
    });
    let base_url = format!("https://{}", not_tls.address);
    is_not_carried_out(&act(&api(&base_url)).await, NotCarriedOut::NotSent, "cannot agree on TLS");
    let silent = Server::new(Connection::hold);
    let base_url = format!("https://{}", silent.address);
    is_not_carried_out(&act(&hurried_api(&base_url)).await, NotCarriedOut::NotSent, "cannot connect in time");
}

/// A certificate that nobody vouches for, valid for 127.0.0.1 for a century.
#[tokio::test]
async fn an_unknown_certificate_stops_everything_before_the_request() {
    use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
    let certificate = CertificateDer::from(include_bytes!("../stranger-certificate.der").as_slice());
    let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(include_bytes!("../stranger-key.der").as_slice()));
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let config = Arc::new(config.with_no_client_auth().with_single_cert(vec![certificate], key).unwrap());
    let received = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&received);
    let server = Server::new(move |connection| {
        let mut tls = rustls::ServerConnection::new(Arc::clone(&config)).unwrap();
        let mut stream = rustls::Stream::new(&mut tls, &mut connection.stream);
        counted.fetch_add(stream.read(&mut [0; 4096]).unwrap_or(0), SeqCst);
    });
    let base_url = format!("https://{}", server.address);
    let words = "the connection cannot be trusted: invalid peer certificate";
    is_not_carried_out(&act(&api(&base_url)).await, NotCarriedOut::NotSentForGood, words);
    let PollReply::NoAnswer { for_good: true, .. } = poll(&api(&base_url)).await else {
        panic!("it cannot get better")
    };
    assert_eq!((received.load(SeqCst), server.connections.load(SeqCst)), (0, 2));
}

#[test]
fn certificates_are_refused_for_good() {
    use rustls::{AlertDescription, CertificateError, Error as Tls, PeerIncompatible};
    let table = [
        (Tls::InvalidCertificate(CertificateError::Expired), Phase::Certificate),
        (Tls::InvalidCertificate(CertificateError::UnknownIssuer), Phase::Certificate),
        (Tls::InvalidCertificate(CertificateError::NotValidForName), Phase::Certificate),
        (Tls::PeerIncompatible(PeerIncompatible::ServerDoesNotSupportTls12Or13), Phase::Certificate),
        (Tls::AlertReceived(AlertDescription::HandshakeFailure), Phase::Certificate),
        (Tls::AlertReceived(AlertDescription::InternalError), Phase::Tls),
        (Tls::DecryptError, Phase::Tls),
    ];
    for (error, expected) in table {
        assert_eq!(tls_phase(&error), Some(expected), "{error}");
        let wrapped = std::io::Error::new(std::io::ErrorKind::InvalidData, error);
        assert_eq!(tls_phase(&wrapped), Some(expected), "{wrapped}");
    }
    assert_eq!(tls_phase(&std::io::Error::from(std::io::ErrorKind::ConnectionReset)), None);
}

/// A client like ours that goes through a proxy, since the environment cannot be set in a test.
async fn act_through_proxy(answer: &'static str) -> (ActReply, Server) {
    let proxy = Server::answering(answer);
    let base_url = "https://gateway.invalid";
    let through = reqwest::Proxy::all(format!("http://{}", proxy.address)).unwrap();
    let mut http = Http::new(base_url, &limits(PATIENT)).unwrap();
    http.acts = client(&Url::parse(base_url).unwrap(), PATIENT).http1_only().proxy(through).build().unwrap();
    (act(&api_over(base_url, http)).await, proxy)
}

#[tokio::test]
async fn proxies_that_refuse_the_tunnel() {
    let (reply, proxy) =
        act_through_proxy("HTTP/1.1 407 Proxy Authentication Required\r\ncontent-length: 0\r\n\r\n").await;
    is_not_carried_out(&reply, NotCarriedOut::NotSentForGood, "the proxy refuses: ");
    let seen = proxy.requests().concat();
    assert!(seen.starts_with("CONNECT gateway.invalid:443 ") && !seen.contains("CANARY"), "{seen}");
    let (reply, _) = act_through_proxy("HTTP/1.1 502 Bad Gateway\r\ncontent-length: 0\r\n\r\n").await;
    is_not_carried_out(&reply, NotCarriedOut::NotSent, "cannot connect: ");
}

#[test]
fn a_proxy_is_named_without_its_credentials() {
    let matcher = || Matcher::builder().https("http://me:CANARY@proxy.example:3128").no("inside.example").build();
    assert_eq!(proxy_for("https://gateway.example/x", &matcher()).as_deref(), Some("proxy.example:3128"));
    assert_eq!(proxy_for("https://inside.example", &matcher()), None);
    assert_eq!(proxy_for("https://gateway.example", &Matcher::builder().build()), None);
}

#[test]
fn hosts_on_this_machine() {
    let table = [
        ("http://127.0.0.1:8080", true),
        ("http://127.9.9.9", true),
        ("http://[::1]:80", true),
        ("http://localhost", true),
        ("http://sim.localhost", true),
        ("http://localhost.example", false),
        ("http://10.0.0.1", false),
        ("http://[::2]", false),
        ("http://127.0.0.1.example", false),
    ];
    for (url, expected) in table {
        assert_eq!(is_loopback(&Url::parse(url).unwrap()), expected, "{url}");
    }
}

#[test]
fn the_token_never_crosses_the_network_in_the_clear() {
    let error = Http::new("http://gateway.example", &limits(PATIENT)).unwrap_err();
    let expected =
        "base_url \"http://gateway.example/\" must begin with https: the token would cross the network in the clear";
    assert_eq!(error.to_string(), expected);
}
