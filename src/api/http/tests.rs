//! Real sockets on loopback: what servers and networks do to a call, and how often the server saw it.

use super::*;
use crate::api::tests::{action, item, tenant};
use crate::api::{Api, TokenSource};
use crate::engine::call::{ActReply, PollReply, Reply, ReplyBody};
use crate::engine::fact::NotCarriedOut;
use crate::plan::PlannedTenant;
use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex};

mod trust;

const TOKEN: &str = "CANARY-token-4711";
const OK: &[u8] =
    b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 26\r\n\r\n{\"remediationIds\":[\"RTF\"]}";

/// A server that counts its connections and keeps the requests it read.
struct Server {
    address: SocketAddr,
    connections: Arc<AtomicUsize>,
    requests: Arc<Mutex<Vec<String>>>,
}

impl Server {
    fn new(serve: impl Fn(&mut Connection) + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let (connections, requests) = (Arc::new(AtomicUsize::new(0)), Arc::new(Mutex::new(vec![])));
        let server = Self { address, connections: Arc::clone(&connections), requests: Arc::clone(&requests) };
        let serve = Arc::new(serve);
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                connections.fetch_add(1, SeqCst);
                let (serve, requests) = (Arc::clone(&serve), Arc::clone(&requests));
                std::thread::spawn(move || serve(&mut Connection { stream: stream.unwrap(), requests }));
            }
        });
        server
    }

    fn answering(answer: impl AsRef<[u8]> + Send + Sync + 'static) -> Self {
        Self::new(move |connection| {
            connection.read();
            connection.write(answer.as_ref());
        })
    }

    fn base_url(&self) -> String {
        format!("http://{}/prefix", self.address)
    }

    fn requests(&self) -> Vec<String> {
        self.requests.lock().unwrap().clone()
    }

    async fn act(&self) -> ActReply {
        act(&api(&self.base_url())).await
    }

    async fn poll(&self) -> PollReply {
        poll(&api(&self.base_url())).await
    }
}

struct Connection {
    stream: TcpStream,
    requests: Arc<Mutex<Vec<String>>>,
}

impl Connection {
    /// Reads one whole request and keeps it; false when the client left before.
    fn read(&mut self) -> bool {
        let mut bytes = vec![];
        let mut part = [0; 4096];
        loop {
            if let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") {
                let head = String::from_utf8_lossy(&bytes[..end]).to_lowercase();
                let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")?.parse().ok());
                if bytes.len() >= end + 4 + length.unwrap_or(0) {
                    self.requests.lock().unwrap().push(String::from_utf8(bytes).unwrap());
                    return true;
                }
            }
            match self.stream.read(&mut part) {
                Ok(0) | Err(_) => return false,
                Ok(count) => bytes.extend_from_slice(&part[..count]),
            }
        }
    }

    /// The client may have left: that is what some tests are about.
    fn write(&mut self, bytes: &[u8]) -> bool {
        self.stream.write_all(bytes).is_ok()
    }

    /// Holds the connection open until the client leaves.
    fn hold(&mut self) {
        while matches!(self.stream.read(&mut [0; 64]), Ok(count) if count > 0) {}
    }
}

/// Long enough for a machine that does much else.
const PATIENT: Duration = Duration::from_secs(30);
/// For the tests in which the time must run out.
const HURRIED: Duration = Duration::from_millis(300);

fn limits(time_max: Duration) -> Limits {
    Limits { act_timeout: time_max, poll_timeout: time_max, ..Limits::default() }
}

fn api(base_url: &str) -> Api {
    api_over(base_url, Http::new(base_url, &limits(PATIENT)).unwrap())
}

fn hurried_api(base_url: &str) -> Api {
    api_over(base_url, Http::new(base_url, &limits(HURRIED)).unwrap())
}

fn api_over(base_url: &str, http: Http) -> Api {
    let tenant = PlannedTenant { base_url: base_url.to_owned(), user: "jdoe\r\nX-Evil: 1".to_owned(), ..tenant() };
    Api::new(&tenant, TokenSource::Given(TOKEN.into()), http).unwrap()
}

async fn full_act(api: &Api) -> Reply {
    api.act(&action(), &[item()], "why\r\nX-Evil: 2").await
}

async fn act(api: &Api) -> ActReply {
    match full_act(api).await.body {
        ReplyBody::Act(reply) => reply,
        ReplyBody::Poll(reply) => panic!("it answers a poll: {reply:?}"),
    }
}

async fn poll(api: &Api) -> PollReply {
    match api.poll(&action(), "RTF_1#x").await.body {
        ReplyBody::Poll(reply) => reply,
        ReplyBody::Act(reply) => panic!("it answers an act: {reply:?}"),
    }
}

fn accepted() -> ActReply {
    ActReply::Accepted { ids: vec!["RTF".to_owned()] }
}

#[track_caller]
fn is_unknown(reply: &ActReply, words: &str) {
    let ActReply::Unreadable { message } = reply else { panic!("{reply:?} is not unknown") };
    assert!(message.contains(words), "{message:?} does not say {words:?}");
}

#[track_caller]
fn is_not_carried_out(reply: &ActReply, expected: NotCarriedOut, words: &str) {
    let ActReply::NotCarriedOut { why, message } = reply else { panic!("{reply:?} may have been carried out") };
    assert_eq!(*why, expected, "{message}");
    assert!(message.contains(words), "{message:?} does not say {words:?}");
}

#[tokio::test]
async fn a_request_as_the_server_sees_it() {
    let server = Server::answering(OK);
    assert_eq!(server.act().await, accepted());
    let requests = server.requests();
    let [request] = requests.as_slice() else { panic!("one request, not {requests:?}") };
    let (head, body) = request.split_once("\r\n\r\n").unwrap();
    let mut lines: Vec<_> = head.lines().collect();
    assert_eq!(
        lines.remove(0),
        "POST /prefix/ioc/v1/remediation-actions/performAction\
         ?user=jdoe%0D%0AX-Evil%3A%201&userId=u-1&comment=why%0D%0AX-Evil%3A%202 HTTP/1.1"
    );
    lines.sort_unstable();
    let host = format!("host: {}", server.address);
    let expected = [
        "accept: */*",
        "authorization: Bearer CANARY-token-4711",
        "content-length: 89",
        "content-type: application/json",
        &host,
        concat!("user-agent: quell/", env!("CARGO_PKG_VERSION")),
    ];
    assert_eq!(lines, expected);
    assert_eq!(body, r#"[{"actionId":3,"agentId":"a","eventId":"e","eventType":"PROCESS","pid":7,"uniqueId":"u"}]"#);
}

#[tokio::test]
async fn a_poll_as_the_server_sees_it() {
    let server = Server::answering("HTTP/1.1 200 OK\r\ncontent-length: 20\r\n\r\n{\"status\":\"Queued\"} ");
    let PollReply::Detail(detail) = server.poll().await else { panic!("no detail") };
    assert_eq!(detail.status.as_deref(), Some("Queued"));
    let request = server.requests().remove(0);
    let first = request.lines().next().unwrap();
    assert_eq!(first, "GET /prefix/ioc/v1/remediation-actions/activityLog/RTF_1%23x HTTP/1.1");
    assert!(request.contains("accept-encoding: gzip\r\n"), "{request}");
}

#[tokio::test]
async fn nothing_listens() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let base_url = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    is_not_carried_out(&act(&api(&base_url)).await, NotCarriedOut::NotSent, "cannot connect: Connection refused");
    let PollReply::NoAnswer { for_good: false, .. } = poll(&api(&base_url)).await else { panic!("it may be repeated") };
}

#[tokio::test]
async fn closed_before_the_request_was_read() {
    let server = Server::new(|connection| connection.stream.shutdown(Shutdown::Both).unwrap());
    // Whether the body was taken is a race with the close; both are the truth, and neither is an acceptance.
    match server.act().await {
        ActReply::NotCarriedOut { why: NotCarriedOut::NotSent, .. } | ActReply::Unreadable { .. } => {}
        reply => panic!("{reply:?}"),
    }
    assert_eq!(server.requests(), Vec::<String>::new());
    assert_eq!(server.connections.load(SeqCst), 1, "it was not tried again");
}

/// Everything that can happen after the server has the request: sent once, and unknown.
#[tokio::test]
async fn after_the_request_was_read() {
    let cases: [(&str, &[u8], &str); 9] = [
        ("no answer", b"", "sent, but no answer came"),
        ("half a status line", b"HTTP/1.1 200 O", "sent, but no answer came"),
        ("half the headers", b"HTTP/1.1 200 OK\r\ncontent-le", "sent, but no answer came"),
        ("not HTTP", b"garbage garbage\r\n\r\n", "sent, but no answer came"),
        ("a cut body", b"HTTP/1.1 200 OK\r\ncontent-length: 50\r\n\r\n{\"remed", "cut short after 7 bytes"),
        (
            "a whole text in a cut body",
            b"HTTP/1.1 200 OK\r\ncontent-length: 50\r\n\r\n{\"remediationIds\":[\"a\"]}",
            "cut short after 24 bytes",
        ),
        (
            "a bad chunk",
            b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\n{\"rem\r\nzz\r\n",
            "cut short after 5 bytes",
        ),
        (
            "a body without length that ends early",
            b"HTTP/1.1 200 OK\r\n\r\n{\"remediationIds\":[\"a\"]",
            "HTTP 200, no content type: {\"remediationIds\":[\"a\"]",
        ),
        (
            "a compressed body nobody asked for",
            b"HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: 4\r\n\r\n\x1f\x8b\x08\x00",
            "HTTP 200, no content type: ",
        ),
    ];
    for (name, answer, words) in cases {
        let server = Server::answering(answer);
        let reply = server.act().await;
        is_unknown(&reply, words);
        assert_eq!((server.requests().len(), server.connections.load(SeqCst)), (1, 1), "{name}");
    }
}

#[tokio::test]
async fn redirects_are_not_followed() {
    for status in [301, 302, 303, 307, 308] {
        let elsewhere = Server::answering(OK);
        let location = elsewhere.base_url();
        let server =
            Server::answering(format!("HTTP/1.1 {status} Moved\r\nlocation: {location}\r\ncontent-length: 0\r\n\r\n"));
        is_unknown(&server.act().await, &format!("HTTP {status}"));
        let PollReply::Failed { message } = server.poll().await else { panic!("{status} is no detail") };
        assert_eq!(message, format!("HTTP {status}, no content type: an empty body"));
        assert_eq!(server.requests().len(), 2, "{status}");
        assert_eq!(elsewhere.connections.load(SeqCst), 0, "{status}");
    }
}

/// The server closes kept connections just when they are used again, which an act must never notice.
#[tokio::test]
async fn every_act_has_a_connection_of_its_own() {
    let server = Server::new(|connection| {
        connection.read();
        connection.write(OK);
        connection.read();
    });
    let api = api(&server.base_url());
    for _ in 0..5 {
        assert_eq!(act(&api).await, accepted());
        poll(&api).await;
    }
    let posts = server.requests().iter().filter(|request| request.starts_with("POST ")).count();
    assert_eq!(posts, 5);
    assert!(server.connections.load(SeqCst) >= 6, "the acts alone need five connections, the polls one");
}

#[tokio::test]
async fn a_kept_connection_serves_the_next_poll() {
    let server = Server::new(|connection| {
        while connection.read() {
            connection.write(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}");
        }
    });
    let api = api(&server.base_url());
    for _ in 0..3 {
        assert!(matches!(poll(&api).await, PollReply::Detail(_)));
    }
    assert_eq!((server.requests().len(), server.connections.load(SeqCst)), (3, 1));
}

#[tokio::test]
async fn no_answer_in_time() {
    let server = Server::new(|connection| {
        connection.read();
        connection.hold();
    });
    let api = hurried_api(&server.base_url());
    is_unknown(&act(&api).await, "sent, but no answer came in time");
    let PollReply::NoAnswer { for_good: false, .. } = poll(&api).await else { panic!("it may be repeated") };
    assert_eq!(server.requests().len(), 2);
}

#[tokio::test]
async fn a_body_that_trickles_ends_at_the_deadline() {
    let server = Server::new(|connection| {
        connection.read();
        connection.write(b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n");
        while connection.write(b" ") {
            std::thread::sleep(Duration::from_millis(20));
        }
    });
    let begun = std::time::Instant::now();
    is_unknown(&act(&hurried_api(&server.base_url())).await, "not complete in time");
    // The body alone would take 20 s.
    assert!(begun.elapsed() >= HURRIED && begun.elapsed() < HURRIED * 30, "it took {:?}", begun.elapsed());
}

#[tokio::test]
async fn endless_bodies_end_at_the_cap() {
    let server = Server::new(|connection| {
        connection.read();
        connection.write(b"HTTP/1.1 200 OK\r\n\r\n");
        while connection.write(&[b' '; 65_536]) {}
    });
    is_unknown(&server.act().await, "longer than 8388608 bytes");
}

#[tokio::test]
async fn a_compressed_detail_is_read_and_a_bomb_is_not() {
    // Stored blocks unfold to exactly what they hold, so no compressor is needed to build them.
    let stored = |block: &[u8], times: usize| {
        let mut gzip = vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255];
        for _ in 0..times {
            let length = u16::try_from(block.len()).unwrap();
            gzip.push(0);
            gzip.extend(length.to_le_bytes());
            gzip.extend((!length).to_le_bytes());
            gzip.extend(block);
        }
        gzip
    };
    let head = "HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\n\r\n".as_bytes();
    let small = stored(br#"{"status":"queued"}"#, 1);
    // The last block: empty, marked as final, then checksum and length of what came before.
    let end = [1, 0, 0, 255, 255, 0x13, 0x4A, 0x74, 0xE0, 19, 0, 0, 0];
    let server = Server::answering([head, &small, &end].concat());
    let reply = server.poll().await;
    let PollReply::Detail(detail) = &reply else { panic!("{reply:?}") };
    assert_eq!(detail.status.as_deref(), Some("queued"));
    let bomb = [head, &stored(&[b' '; 65_535], 300)].concat();
    let reply = Server::answering(bomb).poll().await;
    let PollReply::Failed { message } = &reply else { panic!("{reply:?}") };
    assert_eq!(message, "HTTP 200, no content type: longer than 16777216 bytes");
}

#[tokio::test]
async fn a_million_headers_are_no_answer() {
    let server = Server::new(|connection| {
        connection.read();
        connection.write(b"HTTP/1.1 200 OK\r\n");
        let many = "x-header: value\r\n".repeat(4_096);
        while connection.write(many.as_bytes()) {}
    });
    is_unknown(&server.act().await, "sent, but no answer came");
}

#[tokio::test]
async fn statuses_over_the_wire() {
    let answer = |status: u16, headers: &str| format!("HTTP/1.1 {status} X\r\n{headers}content-length: 0\r\n\r\n");
    let table = [
        (answer(401, ""), NotCarriedOut::Unauthorized),
        (answer(404, ""), NotCarriedOut::WrongPlace),
        (answer(429, "retry-after: 7\r\n"), NotCarriedOut::Throttled),
        (answer(409, "x-ratelimit-towait-sec: 7\r\n"), NotCarriedOut::Throttled),
    ];
    for (answer, why) in table {
        is_not_carried_out(&Server::answering(answer).act().await, why, "HTTP 4");
    }
    let reply = full_act(&api(&Server::answering(answer(429, "retry-after: 7\r\n")).base_url())).await;
    assert_eq!(reply.limits.wait, Some(Duration::from_secs(7)));
}
