//! Listens to the wire: every packet on every interface of the node.

use std::{
    io::Read as _,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

use socket2::{Domain, Protocol, Socket, Type};

/// `ETH_P_ALL` of `linux/if_ether.h`, in network byte order.
const EVERY_PROTOCOL: i32 = (0x0003_u16.to_be()) as i32;
/// Larger than the kernel joins segments to.
const PACKET_LEN: usize = 128 * 1024;

/// Packets from now on until [`Capture::stop`].
pub struct Capture {
    packets: Arc<Mutex<Vec<Vec<u8>>>>,
    stopping: Arc<AtomicBool>,
    thread: JoinHandle<()>,
}

impl Capture {
    /// Begins to listen on the node: all traffic between pods passes it.
    pub fn start() -> Self {
        let socket = Socket::new(
            Domain::PACKET,
            Type::RAW,
            Some(Protocol::from(EVERY_PROTOCOL)),
        );
        let mut socket = socket.expect("a packet socket");
        socket
            .set_read_timeout(Some(Duration::from_millis(20)))
            .expect("a time limit");
        socket
            .set_recv_buffer_size(16 << 20)
            .expect("a larger buffer");
        let packets: Arc<Mutex<Vec<Vec<u8>>>> = Arc::default();
        let stopping: Arc<AtomicBool> = Arc::default();
        let (keep, stop) = (Arc::clone(&packets), Arc::clone(&stopping));
        let thread = thread::spawn(move || {
            let mut buffer = vec![0; PACKET_LEN];
            loop {
                match socket.read(&mut buffer) {
                    Ok(len) => keep
                        .lock()
                        .expect("no panic")
                        .push(buffer.iter().take(len).copied().collect()),
                    // Only when nothing is left to read may it end.
                    Err(_) if stop.load(Ordering::Relaxed) => return,
                    Err(_) => {}
                }
            }
        });
        Self {
            packets,
            stopping,
            thread,
        }
    }

    /// Ends the capture and returns the packets, from their Ethernet headers on.
    pub fn stop(self) -> Vec<Vec<u8>> {
        self.stopping.store(true, Ordering::Relaxed);
        self.thread.join().expect("the capturing thread");
        std::mem::take(&mut *self.packets.lock().expect("no panic"))
    }
}

/// How many of the packets hold these bytes.
pub fn count_containing(packets: &[Vec<u8>], needle: &[u8]) -> usize {
    let holds = |packet: &&Vec<u8>| packet.windows(needle.len()).any(|window| window == needle);
    packets.iter().filter(holds).count()
}
