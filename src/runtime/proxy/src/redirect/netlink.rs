//! The little of netlink that nf_tables needs: messages with nested attributes, sent as one batch.
//!
//! Layouts and numbers are the kernel's user-space interface: `linux/netlink.h`,
//! `linux/netfilter/nfnetlink.h` and `linux/netfilter/nf_tables.h`. A netlink socket that is
//! neither bound nor connected talks to the kernel, so no address structure has to be built.

use std::io::{self, Read as _};

use socket2::{Domain, Protocol, Socket, Type};

const NLMSG_HEADER_LEN: usize = 16;
const NLMSG_ERROR: u16 = 2;
const NLM_F_REQUEST: u16 = 0x1;
const NLM_F_ACK: u16 = 0x4;
/// `NLM_F_CREATE`: make the object if it is not there. For rules, with `APPEND`, at the end.
pub(super) const CREATE: u16 = 0x400;
/// `NLM_F_APPEND`.
pub(super) const APPEND: u16 = 0x800;
const NLA_F_NESTED: u16 = 0x8000;
const NFNL_SUBSYS_NFTABLES: u16 = 10;
const NFNL_MSG_BATCH_BEGIN: u16 = 0x10;
const NFNL_MSG_BATCH_END: u16 = 0x11;
/// Room for the kernel's answers; each is a header, an error number and an echo of our header.
const ANSWER_LEN: usize = 64 * 1024;

/// Attributes of one message, in wire form: length, type, value, padding to four bytes.
#[derive(Default)]
pub(super) struct Attributes(Vec<u8>);

impl Attributes {
    pub(super) fn bytes(mut self, kind: u16, value: &[u8]) -> Self {
        self.push(kind, value);
        self
    }

    /// A number, in network byte order as nf_tables wants all of its own numbers.
    pub(super) fn number(self, kind: u16, value: u32) -> Self {
        self.bytes(kind, &value.to_be_bytes())
    }

    /// A string, with the zero that ends it.
    pub(super) fn text(self, kind: u16, value: &str) -> Self {
        let mut bytes = value.as_bytes().to_vec();
        bytes.push(0);
        self.bytes(kind, &bytes)
    }

    pub(super) fn nested(self, kind: u16, inner: &Self) -> Self {
        self.bytes(kind | NLA_F_NESTED, &inner.0)
    }

    fn push(&mut self, kind: u16, value: &[u8]) {
        let len = u16::try_from(4 + value.len()).expect("an attribute is far below 64 KiB");
        self.0.extend(len.to_ne_bytes());
        self.0.extend(kind.to_ne_bytes());
        self.0.extend(value);
        self.0.resize(self.0.len().next_multiple_of(4), 0);
    }
}

/// One request of nf_tables.
pub(super) struct Request {
    /// `NFT_MSG_*`.
    pub(super) kind: u16,
    /// [`CREATE`] and [`APPEND`].
    pub(super) flags: u16,
    /// `NFPROTO_*`.
    pub(super) family: u8,
    pub(super) body: Attributes,
    /// What it does, for error messages.
    pub(super) purpose: String,
}

/// Requests that the kernel carries out all together or not at all.
pub(super) struct Batch {
    bytes: Vec<u8>,
    /// What each message does; its index is the message's sequence number.
    purposes: Vec<String>,
    /// Where the last message begins.
    last: usize,
}

/// Why the kernel did not do what it was asked.
#[derive(Debug)]
pub(super) struct Refusal {
    /// The request that failed.
    pub(super) purpose: String,
    pub(super) cause: io::Error,
}

impl Batch {
    pub(super) fn new() -> Self {
        let mut batch = Self {
            bytes: Vec::new(),
            purposes: Vec::new(),
            last: 0,
        };
        batch.append(
            boundary(NFNL_MSG_BATCH_BEGIN, 0),
            "begin of the batch".to_owned(),
        );
        batch
    }

    pub(super) fn push(&mut self, request: Request) {
        let message = encode(&request, NLM_F_REQUEST | request.flags, self.next_seq());
        self.append(message, request.purpose);
    }

    fn next_seq(&self) -> u32 {
        u32::try_from(self.purposes.len()).expect("a batch has far fewer than 2^32 messages")
    }

    fn append(&mut self, message: Vec<u8>, purpose: String) {
        self.last = self.bytes.len();
        self.bytes.extend(message);
        self.purposes.push(purpose);
    }

    /// Sends the batch; `Ok` means that the kernel has carried out every request.
    pub(super) fn commit(mut self) -> Result<(), Refusal> {
        self.acknowledge_last();
        let acknowledged = self.next_seq() - 1;
        let end = boundary(NFNL_MSG_BATCH_END, self.next_seq());
        self.append(end, "end of the batch".to_owned());

        let fail = |cause| Refusal {
            purpose: "open the netlink socket".to_owned(),
            cause,
        };
        let socket = open().map_err(fail)?;
        let fail = |cause| Refusal {
            purpose: "send the rules".to_owned(),
            cause,
        };
        // A hint: where the limit is lower, sending fails and says so.
        let _ = socket.set_send_buffer_size(self.bytes.len() * 2);
        socket.send(&self.bytes).map_err(fail)?;
        let answers = receive_all(&socket).map_err(fail)?;
        self.judge(&answers, acknowledged)
    }

    /// One acknowledgement tells success from silence; one for each request of a long batch would
    /// overflow the receive buffer. (Errors are always answered.)
    fn acknowledge_last(&mut self) {
        // Flags are the fourth half-word of the header.
        let at = self.last + 6;
        if let Some([low, high]) = self.bytes.get_mut(at..at + 2) {
            [*low, *high] = (u16::from_ne_bytes([*low, *high]) | NLM_F_ACK).to_ne_bytes();
        }
    }

    fn judge(&self, answers: &[Answer], acknowledged: u32) -> Result<(), Refusal> {
        if let Some(failed) = answers.iter().find(|answer| answer.errno != 0) {
            let index = usize::try_from(failed.seq).unwrap_or(usize::MAX);
            let purpose = self.purposes.get(index).cloned().unwrap_or_default();
            return Err(Refusal {
                purpose,
                cause: io::Error::from_raw_os_error(failed.errno),
            });
        }
        if answers.iter().any(|answer| answer.seq == acknowledged) {
            return Ok(());
        }
        let cause = io::Error::new(io::ErrorKind::UnexpectedEof, "the kernel did not answer");
        Err(Refusal {
            purpose: "send the rules".to_owned(),
            cause,
        })
    }
}

/// Asks for one object; `true` when the kernel has it, `false` on any error.
pub(super) fn exists(request: &Request) -> bool {
    let ask = || {
        let socket = open()?;
        socket.send(&encode(request, NLM_F_REQUEST, 0))?;
        receive_all(&socket)
    };
    // An object is answered by itself, its absence by an error: the only answers collected.
    matches!(ask(), Ok(errors) if errors.is_empty())
}

fn open() -> io::Result<Socket> {
    let family = Domain::from(libc::AF_NETLINK);
    let socket = Socket::new(
        family,
        Type::RAW,
        Some(Protocol::from(libc::NETLINK_NETFILTER)),
    )?;
    socket.set_nonblocking(true)?;
    Ok(socket)
}

/// An acknowledgement (`errno` 0) or an error, and the request it belongs to.
struct Answer {
    seq: u32,
    errno: i32,
}

/// nf_tables answers before `send` returns, so what is queued now is all there will be.
fn receive_all(mut socket: &Socket) -> io::Result<Vec<Answer>> {
    let mut buffer = vec![0; ANSWER_LEN];
    let mut answers = Vec::new();
    loop {
        match socket.read(&mut buffer) {
            Ok(len) => answers.extend(parse_answers(buffer.get(..len).unwrap_or_default())),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(answers),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

/// The `NLMSG_ERROR` messages of a datagram; others are skipped, a torn tail is ignored.
fn parse_answers(mut datagram: &[u8]) -> Vec<Answer> {
    let mut answers = Vec::new();
    while let (Some(len), Some(kind), Some(seq)) = (
        u32_at(datagram, 0),
        u32_at(datagram, 4),
        u32_at(datagram, 8),
    ) {
        // Type and flags share the second word; the type comes first in memory.
        let [a, b, _, _] = kind.to_ne_bytes();
        if u16::from_ne_bytes([a, b]) == NLMSG_ERROR
            && let Some(negative_errno) = u32_at(datagram, NLMSG_HEADER_LEN)
        {
            answers.push(Answer {
                seq,
                errno: negative_errno.cast_signed().wrapping_neg(),
            });
        }
        let step = usize::try_from(len)
            .unwrap_or(usize::MAX)
            .max(NLMSG_HEADER_LEN);
        datagram = datagram.get(step.next_multiple_of(4)..).unwrap_or_default();
    }
    answers
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    let word = bytes.get(at..at.checked_add(4)?)?;
    Some(u32::from_ne_bytes(word.try_into().ok()?))
}

fn boundary(kind: u16, seq: u32) -> Vec<u8> {
    frame(kind, NLM_F_REQUEST, seq, &nfgenmsg(0, NFNL_SUBSYS_NFTABLES))
}

fn encode(request: &Request, flags: u16, seq: u32) -> Vec<u8> {
    let mut payload = nfgenmsg(request.family, 0).to_vec();
    payload.extend(&request.body.0);
    frame(
        (NFNL_SUBSYS_NFTABLES << 8) | request.kind,
        flags,
        seq,
        &payload,
    )
}

/// `struct nfgenmsg`: family, version 0, resource in network byte order.
fn nfgenmsg(family: u8, resource: u16) -> [u8; 4] {
    let [high, low] = resource.to_be_bytes();
    [family, 0, high, low]
}

/// `struct nlmsghdr` and its payload. The sender's port 0 lets the kernel fill it in.
fn frame(kind: u16, flags: u16, seq: u32, payload: &[u8]) -> Vec<u8> {
    let len = NLMSG_HEADER_LEN + payload.len();
    let mut bytes = Vec::with_capacity(len);
    bytes.extend(
        u32::try_from(len)
            .expect("a message is far below 4 GiB")
            .to_ne_bytes(),
    );
    bytes.extend(kind.to_ne_bytes());
    bytes.extend(flags.to_ne_bytes());
    bytes.extend(seq.to_ne_bytes());
    bytes.extend(0_u32.to_ne_bytes());
    bytes.extend(payload);
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attributes_are_padded_but_their_length_is_not() {
        let attributes = Attributes::default().text(1, "lo").number(2, 0x0102_0304);
        let mut expected = vec![];
        expected.extend(7_u16.to_ne_bytes());
        expected.extend(1_u16.to_ne_bytes());
        expected.extend(b"lo\0\0");
        expected.extend(8_u16.to_ne_bytes());
        expected.extend(2_u16.to_ne_bytes());
        expected.extend([1, 2, 3, 4]);
        assert_eq!(attributes.0, expected);
    }

    #[test]
    fn an_error_names_its_request() {
        let mut batch = Batch::new();
        let body = Attributes::default();
        let purpose = "add a table".to_owned();
        batch.push(Request {
            kind: 0,
            flags: CREATE,
            family: 1,
            body,
            purpose,
        });
        let mut answer = frame(NLMSG_ERROR, 0, 1, &(-libc::EPERM).to_ne_bytes());
        answer.extend(frame(NLMSG_ERROR, 0, 0, &0_i32.to_ne_bytes()));
        let refusal = batch.judge(&parse_answers(&answer), 1).unwrap_err();
        assert_eq!(refusal.purpose, "add a table");
        assert_eq!(refusal.cause.raw_os_error(), Some(libc::EPERM));
    }

    #[test]
    fn silence_is_not_success() {
        assert!(Batch::new().judge(&[], 0).is_err());
        assert!(
            Batch::new()
                .judge(&[Answer { seq: 0, errno: 0 }], 0)
                .is_ok()
        );
    }

    #[test]
    fn torn_answers_are_ignored() {
        let whole = frame(NLMSG_ERROR, 0, 3, &(-1_i32).to_ne_bytes());
        for len in 0..whole.len() {
            assert!(parse_answers(&whole[..len]).is_empty());
        }
        let mut endless = whole;
        endless[0..4].fill(0);
        assert_eq!(parse_answers(&endless).len(), 1);
    }
}
