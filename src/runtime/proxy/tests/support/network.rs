//! Pods: network namespaces, each joined to the node by a routed veth pair, as in the local cluster.
//!
//! The node is the namespace that the test runs in (see [`super::isolated`]). A pod has one IPv4
//! and one IPv6 address, both host routes, and its default route goes to the node, which forwards.

use std::{
    fs::{self, File},
    io::{self, Write as _},
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    os::fd::AsFd as _,
    process::{Command, Output, Stdio},
    sync::atomic::{AtomicU16, Ordering},
    thread,
    time::Duration,
};

use tokio::net::{TcpListener, TcpStream};

use super::sys;

/// The number of the next pod; its addresses are made of it.
static NEXT_POD: AtomicU16 = AtomicU16::new(2);

/// The binary under test.
///
/// A private mount of it: the user that the proxy runs as may not be let into the build folder.
pub const PROXY_BINARY: &str = "/run/linkerd-proxy";

/// A pod's network.
pub struct Pod {
    pub name: String,
    pub ipv4: Ipv4Addr,
    pub ipv6: Ipv6Addr,
    /// The node's end of the pair.
    pub node_interface: String,
    namespace: File,
}

/// Makes the node forward between pods; call once, first.
pub fn prepare_node() {
    ip("link set lo up");
    for setting in ["ipv4/ip_forward", "ipv6/conf/all/forwarding"] {
        fs::write(format!("/proc/sys/net/{setting}"), "1").expect("a writable network setting");
    }
}

/// Runs lines of ip(8) in the namespace of the calling thread.
fn ip(batch: &str) {
    let output = run(Command::new("ip").args(["-batch", "-"]), batch);
    assert!(
        output.status.success(),
        "ip -batch: {}\n{batch}",
        stderr(&output)
    );
}

/// Waits until an interface of the calling thread's namespace carries packets.
fn wait_until_up(interface: &str) {
    for _ in 0..1_000 {
        let output = run(
            Command::new("ip").args(["-oneline", "link", "show", interface]),
            "",
        );
        if stdout(&output).contains("state UP") {
            return;
        }
        thread::sleep(Duration::from_millis(2));
    }
    panic!("{interface} does not come up");
}

fn run(command: &mut Command, input: &str) -> Output {
    let program = command.get_program().to_owned();
    let pipes = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = pipes
        .spawn()
        .unwrap_or_else(|error| panic!("{program:?}: {error}"));
    child
        .stdin
        .take()
        .expect("a pipe")
        .write_all(input.as_bytes())
        .expect("a reader");
    child.wait_with_output().expect("its output")
}

/// What a program wrote to stderr.
pub fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// What a program wrote to stdout.
pub fn stdout(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

impl Pod {
    /// Makes a pod and its addresses, and routes them.
    pub fn new(name: &str) -> Self {
        let number = NEXT_POD.fetch_add(1, Ordering::Relaxed);
        let [high, low] = number.to_be_bytes();
        let ipv4 = Ipv4Addr::new(10, 244, high, low);
        let ipv6 = Ipv6Addr::new(0xfd00, 0x10, 0x244, 0, 0, 0, 0, number);
        let node_interface = format!("pod{number}");
        let namespace = new_namespace();
        let pod = Self {
            name: name.to_owned(),
            ipv4,
            ipv6,
            node_interface,
            namespace,
        };
        pod.connect_to_node();
        pod
    }

    fn connect_to_node(&self) {
        let Self {
            ipv4,
            ipv6,
            node_interface: veth,
            ..
        } = self;
        // The one address of the node that a pod must know, the same for every pod.
        let (gateway4, gateway6) = ("169.254.1.1", "fe80::1");
        let node = std::process::id();
        self.enter(|| {
            ip(&format!(
                "link set lo up\n\
                 link add eth0 type veth peer name {veth} netns {node}\n\
                 addr add {ipv4}/32 dev eth0\n\
                 addr add {ipv6}/128 dev eth0 nodad\n\
                 link set eth0 up\n\
                 route add {gateway4} dev eth0 scope link\n\
                 route add default via {gateway4} dev eth0\n\
                 route add default via {gateway6} dev eth0"
            ));
        });
        ip(&format!(
            "addr add {gateway4}/32 dev {veth}\n\
             addr add {gateway6}/64 dev {veth} nodad\n\
             link set {veth} up\n\
             route add {ipv4}/32 dev {veth}\n\
             route add {ipv6}/128 dev {veth}"
        ));
        // The kernel turns a new link on by and by; until then it drops packets without a word, and
        // a lost SYN costs a second.
        wait_until_up(veth);
        self.enter(|| wait_until_up("eth0"));
    }

    /// Runs `body` on a thread inside of the pod's network: sockets and processes that it makes are
    /// the pod's for ever, wherever they are used.
    pub fn enter<T: Send>(&self, body: impl FnOnce() -> T + Send) -> T {
        thread::scope(|scope| {
            let inside = scope.spawn(|| {
                sys::enter_network_namespace(self.namespace.as_fd()).expect("entering the pod");
                body()
            });
            inside
                .join()
                .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        })
    }

    /// The pod's address with a port, of the IP version asked for.
    pub fn addr(&self, port: u16) -> SocketAddr {
        (self.ipv4, port).into()
    }

    /// The pod's IPv6 address with a port.
    pub fn addr6(&self, port: u16) -> SocketAddr {
        (self.ipv6, port).into()
    }

    /// Both addresses.
    pub fn ips(&self) -> [IpAddr; 2] {
        [self.ipv4.into(), self.ipv6.into()]
    }

    /// Runs a program to its end in the pod's network.
    pub fn run(&self, program: &str, args: &[&str]) -> Output {
        self.enter(|| run(Command::new(program).args(args), ""))
    }

    /// Loads redirect rules with the binary under test.
    pub fn redirect(&self, args: &[&str]) {
        let args: Vec<&str> = ["redirect"].iter().chain(args).copied().collect();
        let output = self.run(PROXY_BINARY, &args);
        assert!(output.status.success(), "{args:?}: {}", stderr(&output));
    }

    /// Listens in the pod on every address of both IP versions.
    pub fn listen(&self, port: u16) -> TcpListener {
        self.listen_on((Ipv6Addr::UNSPECIFIED, port).into())
    }

    /// Listens in the pod on one address.
    pub fn listen_on(&self, address: SocketAddr) -> TcpListener {
        let listener = self.enter(|| std::net::TcpListener::bind(address));
        let listener = listener.unwrap_or_else(|error| panic!("{}: {address}: {error}", self.name));
        listener
            .set_nonblocking(true)
            .expect("a socket that does not block");
        TcpListener::from_std(listener).expect("a listener of the runtime")
    }

    /// Connects from the pod, as a process of its application would.
    pub async fn connect(&self, address: SocketAddr) -> io::Result<TcpStream> {
        let domain = socket2::Domain::for_address(address);
        let socket = self.enter(|| socket2::Socket::new(domain, socket2::Type::STREAM, None))?;
        socket.set_nonblocking(true)?;
        socket.set_tcp_nodelay(true)?;
        tokio::net::TcpSocket::from_std_stream(socket.into())
            .connect(address)
            .await
    }
}

/// Opens a new network namespace; it lives as long as the file (and sockets and processes in it).
fn new_namespace() -> File {
    let made = thread::spawn(|| {
        sys::new_network_namespace().expect("a network namespace");
        File::open("/proc/thread-self/ns/net").expect("the file of this thread's namespace")
    });
    made.join().expect("the thread that made a namespace")
}
