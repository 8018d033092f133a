//! The binary with a table of names, or without a network, of its own: in Linux namespaces, where this user may make
//! some. What needs them is left out elsewhere, and that is told.

use crate::bench::Bench;
use crate::relay::Relay;
use std::any::Any;
use std::net::{Ipv6Addr, SocketAddr, TcpStream};
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use std::time::Duration;

/// The pause after which a connection attempt counts as swallowed.
const SWALLOWED: Duration = Duration::from_millis(300);

/// Whether this user may make namespaces.
pub(crate) fn can_be_had() -> bool {
    static CAN: OnceLock<bool> = OnceLock::new();
    *CAN.get_or_init(|| {
        let mut probe = Command::new("unshare");
        probe
            .args(["-rmn", "sh", "-c", "mount --bind /etc/hosts /etc/hosts"])
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        let can = probe.status().is_ok_and(|status| status.success());
        if !can {
            println!("no namespaces here: names and networks of one's own are left out");
        }
        can
    })
}

/// The same command where there is no network at all.
pub(crate) fn without_network(command: &Command) -> Command {
    let mut alone = Command::new("unshare");
    alone.arg("-rn").arg(command.get_program()).args(command.get_args());
    alone
}

/// The same command where only these names are known. In which order `localhost` has addresses stands in the
/// file `addresses`.
pub(crate) fn with_own_names(bench: &Bench, command: &Command, hosts: &str) -> Command {
    const SCRIPT: &str = "mount --bind hosts /etc/hosts || exit 99
        [ ! -e /etc/nsswitch.conf ] || mount --bind nsswitch /etc/nsswitch.conf || exit 99
        getent ahosts localhost > addresses
        exec \"$0\" \"$@\"";
    std::fs::write(bench.path("hosts"), hosts).expect("a file");
    std::fs::write(bench.path("nsswitch"), "hosts: files\n").expect("a file");
    let mut named = Command::new("unshare");
    named.args(["-rm", "sh", "-c", SCRIPT]).arg(command.get_program()).args(command.get_args());
    named
}

/// Whether nobody can be reached at the relay's port by IPv6.
pub(crate) fn ipv6_is_broken(relay: &Relay) -> bool {
    TcpStream::connect_timeout(&by_ipv6(relay), SWALLOWED).is_err()
}

/// Makes the relay's port swallow every connection attempt by IPv6: its queue is full, and nobody takes from it.
pub(crate) fn swallow_ipv6(relay: &Relay) -> Box<dyn Any> {
    let address = by_ipv6(relay);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build().expect("a runtime");
    let _entered = runtime.enter();
    let socket = tokio::net::TcpSocket::new_v6().expect("a socket");
    socket.bind(address).expect("the port is free");
    let listener = socket.listen(1).and_then(tokio::net::TcpListener::into_std).expect("it listens");
    let mut queue = Vec::new();
    while let Ok(stream) = TcpStream::connect_timeout(&address, SWALLOWED) {
        queue.push(stream);
        assert!(queue.len() < 64, "the queue is never full");
    }
    Box::new((listener, queue))
}

fn by_ipv6(relay: &Relay) -> SocketAddr {
    let port = relay.url().rsplit(':').next().and_then(|port| port.parse().ok()).expect("a port");
    (Ipv6Addr::LOCALHOST, port).into()
}
