//! Over real sockets: what breaks must break on the wire.

use super::*;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

async fn serve(simulator: &Simulator) -> Served {
    simulator.serve(TcpListener::bind("127.0.0.1:0").await.unwrap()).unwrap()
}

fn raw_act(n: usize) -> String {
    let body = json!([file(AGENT, n)]).to_string();
    let length = body.len();
    format!(
        "POST {ACT} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer t\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n{body}"
    )
}

/// Everything that comes until the connection ends, however it ends.
async fn talk(served: &Served, request: &str) -> String {
    let mut stream = TcpStream::connect(served.address).await.unwrap();
    let mut got = Vec::new();
    if stream.write_all(request.as_bytes()).await.is_ok() {
        let mut buffer = [0; 4096];
        while let Ok(n @ 1..) = stream.read(&mut buffer).await {
            got.extend_from_slice(&buffer[..n]);
        }
    }
    String::from_utf8(got).unwrap()
}

#[tokio::test]
async fn broken_connections_end_without_a_byte() {
    for (before, after) in [(100.0, 0.0), (0.0, 100.0)] {
        let options = Options { break_before_percent: before, break_after_percent: after, ..Options::default() };
        let simulator = Simulator::new(options);
        let served = serve(&simulator).await;
        assert_eq!(talk(&served, &raw_act(1)).await, "");
        let counters = simulator.counters();
        assert_eq!(counters.carried_out, u64::from(after > 0.0));
        assert_eq!((counters.broken_before, counters.broken_after), (u64::from(before > 0.0), u64::from(after > 0.0)));
        served.shutdown().await;
    }
}

#[tokio::test]
async fn a_body_that_is_cut_promises_more_than_comes() {
    let simulator = Simulator::new(Options::default());
    let cut = ScriptedAnswer { cut: Some(Cut::MidBody(20)), ..ScriptedAnswer::default() };
    simulator.script(Script { acts: vec![cut], ..Script::default() });
    let served = serve(&simulator).await;
    let got = talk(&served, &raw_act(1)).await;
    let (head, body) = got.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("HTTP/1.1 200 OK\r\n") && head.contains("\r\ncontent-length: 107"), "{head}");
    assert_eq!(body, r#"{"remediationIds":["#.to_owned() + "\"");
    assert_eq!((simulator.counters().carried_out, simulator.counters().broken_after), (1, 1));
    served.shutdown().await;
}

#[tokio::test]
async fn connections_are_closed_before_they_are_read() {
    let simulator = Simulator::new(Options::default());
    simulator.script(Script { close_connections: 1, ..Script::default() });
    let served = serve(&simulator).await;
    assert_eq!(talk(&served, &raw_act(1)).await, "");
    assert_eq!(simulator.counters(), Counters::default());
    let last = raw_act(1).replace("host: x", "host: x\r\nconnection: close");
    assert!(talk(&served, &last).await.starts_with("HTTP/1.1 200 OK\r\n"));
    served.shutdown().await;
}

#[tokio::test]
async fn one_connection_carries_several_calls() {
    let simulator = Simulator::new(Options::default());
    let served = serve(&simulator).await;
    let last = raw_act(2).replace("host: x", "host: x\r\nconnection: close");
    let got = talk(&served, &(raw_act(1) + &last)).await;
    assert_eq!((got.matches("HTTP/1.1 200 OK").count(), simulator.counters().carried_out), (2, 2));
    served.shutdown().await;
}

#[tokio::test]
async fn a_client_that_gives_up_has_acted_and_frees_its_place() {
    let simulator = Simulator::new(Options { latency: Delay::Fixed(Duration::from_secs(3600)), ..Options::default() });
    let served = serve(&simulator).await;
    let mut stream = TcpStream::connect(served.address).await.unwrap();
    stream.write_all(raw_act(1).as_bytes()).await.unwrap();
    while simulator.counters().carried_out == 0 {
        tokio::task::yield_now().await;
    }
    drop(stream);
    while simulator.state().in_flight > 0 {
        tokio::task::yield_now().await;
    }
    served.shutdown().await;
    assert_eq!(simulator.counters().posts, 1);
}

#[tokio::test]
async fn a_shutdown_lets_a_call_finish_and_accepts_no_more() {
    let simulator = Simulator::new(Options { latency: Delay::Fixed(Duration::from_millis(50)), ..Options::default() });
    let served = serve(&simulator).await;
    let address = served.address;
    assert_eq!(served.base_url(), format!("http://{address}"));
    let mut idle = TcpStream::connect(address).await.unwrap();
    let mut busy = TcpStream::connect(address).await.unwrap();
    busy.write_all(raw_act(1).as_bytes()).await.unwrap();
    while simulator.counters().carried_out == 0 {
        tokio::task::yield_now().await;
    }
    served.shutdown().await;
    let (mut answer, mut nothing) = (String::new(), String::new());
    busy.read_to_string(&mut answer).await.unwrap();
    idle.read_to_string(&mut nothing).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n") && nothing.is_empty(), "{answer}");
    assert!(TcpStream::connect(address).await.is_err());
}

#[tokio::test]
async fn only_loopback_is_served() {
    let listener = TcpListener::bind("0.0.0.0:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let refused = Simulator::new(Options::default()).serve(listener).unwrap_err();
    assert_eq!(refused.to_string(), format!("the simulator listens on loopback only, not on {address}"));
}
