//! Metrics of connections.

use std::{cell::Cell, io, sync::Arc};

use super::{
    LabelSet, Labels, Metrics,
    registry::{Counter, Gauge},
};

/// The series of one kind of connection.
#[derive(Debug)]
pub struct TcpSeries {
    metrics: Arc<Metrics>,
    base: LabelSet,
    open_total: Arc<Counter>,
    open: Arc<Gauge>,
    read: Arc<Counter>,
    write: Arc<Counter>,
}

/// One open connection. Counts its bytes and, when dropped, its end.
#[derive(Debug)]
pub struct TcpMeter {
    series: Arc<TcpSeries>,
    errno: Cell<Option<&'static str>>,
}

// === impl TcpSeries ===

impl TcpSeries {
    /// The series with these labels (direction, peer, target, TLS).
    pub fn new(metrics: &Arc<Metrics>, base: LabelSet) -> Arc<Self> {
        Arc::new(Self {
            open_total: metrics.tcp_open_total.get(&base),
            open: metrics.tcp_open_connections.get(&base),
            read: metrics.tcp_read_bytes_total.get(&base),
            write: metrics.tcp_write_bytes_total.get(&base),
            metrics: metrics.clone(),
            base,
        })
    }

    /// Counts a connection as open until the meter is dropped.
    pub fn open(self: &Arc<Self>) -> TcpMeter {
        self.open_total.incr();
        self.open.incr();
        TcpMeter {
            series: self.clone(),
            errno: Cell::new(None),
        }
    }
}

// === impl TcpMeter ===

impl TcpMeter {
    /// Bytes came from the peer.
    pub fn read(&self, bytes: usize) {
        self.series.read.add(bytes as u64);
    }

    /// Bytes went to the peer.
    pub fn wrote(&self, bytes: usize) {
        self.series.write.add(bytes as u64);
    }

    /// The connection failed; the first error is the one that counts.
    pub fn failed(&self, error: &io::Error) {
        if self.errno.get().is_none() {
            self.errno.set(Some(errno_name(error)));
        }
    }
}

impl Drop for TcpMeter {
    fn drop(&mut self) {
        self.series.open.decr();
        let errno = self.errno.get().unwrap_or("");
        let labels = Labels::from_set(&self.series.base)
            .with("errno", errno)
            .finish();
        self.series.metrics.tcp_close_total.get(&labels).incr();
    }
}

/// The name of the system error, or of its class.
fn errno_name(error: &io::Error) -> &'static str {
    match error.raw_os_error() {
        Some(libc::ECONNRESET) => "ECONNRESET",
        Some(libc::ECONNREFUSED) => "ECONNREFUSED",
        Some(libc::ECONNABORTED) => "ECONNABORTED",
        Some(libc::EPIPE) => "EPIPE",
        Some(libc::ETIMEDOUT) => "ETIMEDOUT",
        Some(libc::EHOSTUNREACH) => "EHOSTUNREACH",
        Some(libc::ENETUNREACH) => "ENETUNREACH",
        Some(_) => "OTHER",
        None => match error.kind() {
            io::ErrorKind::ConnectionReset => "ECONNRESET",
            io::ErrorKind::BrokenPipe => "EPIPE",
            io::ErrorKind::TimedOut => "ETIMEDOUT",
            io::ErrorKind::UnexpectedEof => "UNEXPECTED_EOF",
            _ => "OTHER",
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connection_is_counted_from_open_to_close() {
        let metrics = Metrics::new();
        let series = TcpSeries::new(&metrics, "peer=\"src\"".into());
        let meter = series.open();
        meter.read(5);
        meter.wrote(7);
        assert!(
            metrics
                .encode()
                .contains("tcp_open_connections{peer=\"src\"} 1\n")
        );
        meter.failed(&io::Error::from_raw_os_error(libc::ECONNRESET));
        drop(meter);
        let text = metrics.encode();
        for line in [
            "tcp_open_total{peer=\"src\"} 1",
            "tcp_open_connections{peer=\"src\"} 0",
            "tcp_read_bytes_total{peer=\"src\"} 5",
            "tcp_write_bytes_total{peer=\"src\"} 7",
            "tcp_close_total{peer=\"src\",errno=\"ECONNRESET\"} 1",
        ] {
            assert!(text.lines().any(|l| l == line), "{line}\n{text}");
        }
    }
}
