//! `linkerd-proxy validate-network`: proves, before a pod's containers start, that its connections
//! are redirected to the proxy's outbound port.
//!
//! It listens where the proxy will listen and connects to an address that nobody serves. With the
//! rules in place the connection comes back to it; then it reads the 64 random bytes that it gave
//! to whoever connects. Without them it reads nothing, or another's bytes.
//!
//! Exit codes: 0 redirected, 64 a flag is wrong, 95 not redirected (as Linkerd's validator, so that
//! what watches for it keeps working).

use std::io;
use std::net::SocketAddr;
use std::process::ExitCode;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;

use crate::redirect::flags::{self, Given, Problem, Problems, Spec};

const EXIT_USAGE: u8 = 64;
const EXIT_NOT_REDIRECTED: u8 = 95;
const TOKEN_LEN: usize = 64;
const USAGE: &str = "\
Check that this pod's connections are redirected to the proxy.

Usage: linkerd-proxy validate-network [flags]

      --listen-addr ADDRESS   where the proxy will listen (default 0.0.0.0:4140)
      --connect-addr ADDRESS  an address that nobody serves (default 1.1.1.1:20001)
      --timeout DURATION      how long to wait, such as 500ms or 10s (default 10s)
";
const SPECS: &[Spec] = &[
    Spec {
        long: "listen-addr",
        short: None,
        is_switch: false,
    },
    Spec {
        long: "connect-addr",
        short: None,
        is_switch: false,
    },
    Spec {
        long: "timeout",
        short: None,
        is_switch: false,
    },
    Spec {
        long: "help",
        short: Some('h'),
        is_switch: true,
    },
];

/// The command line, checked.
#[derive(Debug, PartialEq, Eq)]
struct Options {
    listen: SocketAddr,
    connect: SocketAddr,
    limit: Duration,
}

/// Why the network is not as it must be.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error("MESH_VALIDATE_NETWORK_LISTEN: cannot listen on {address}: {cause}")]
    Listen {
        address: SocketAddr,
        cause: io::Error,
    },
    #[error(
        "MESH_VALIDATE_NETWORK_CONNECT: cannot connect to {address}: {cause}; the redirect rules \
         of this pod are missing: look at its linkerd-init container or at the CNI plugin"
    )]
    Connect {
        address: SocketAddr,
        cause: io::Error,
    },
    #[error(
        "MESH_VALIDATE_NETWORK_FOREIGN: something else answered at {address}; the redirect rules \
         of this pod are missing: look at its linkerd-init container or at the CNI plugin"
    )]
    Foreign { address: SocketAddr },
    #[error(
        "MESH_VALIDATE_NETWORK_TIMEOUT: no answer from {address} within {} ms; the redirect rules \
         of this pod are missing: look at its linkerd-init container or at the CNI plugin",
        limit.as_millis()
    )]
    Timeout {
        address: SocketAddr,
        limit: Duration,
    },
    #[error("MESH_VALIDATE_NETWORK_RANDOM: the system gives no random bytes")]
    Random,
    #[error("MESH_VALIDATE_NETWORK_RUNTIME: cannot start: {0}")]
    Runtime(io::Error),
}

/// Runs the check; `args` is what follows `validate-network` on the command line.
pub fn run(args: &[String]) -> ExitCode {
    let options = match parse(args) {
        Ok(Some(options)) => options,
        Ok(None) => {
            eprint!("{USAGE}");
            return ExitCode::SUCCESS;
        }
        Err(problems) => {
            for problem in problems {
                eprintln!("{problem}");
            }
            return ExitCode::from(EXIT_USAGE);
        }
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let outcome = runtime
        .map_err(Failure::Runtime)
        .and_then(|runtime| runtime.block_on(validate(&options)));
    match outcome {
        Ok(()) => {
            eprintln!(
                "connections to {} are redirected to {}",
                options.connect, options.listen
            );
            ExitCode::SUCCESS
        }
        Err(failure) => {
            eprintln!("{failure}");
            ExitCode::from(EXIT_NOT_REDIRECTED)
        }
    }
}

/// The options, or `None` when help was asked for.
fn parse(args: &[String]) -> Result<Option<Options>, Vec<Problem>> {
    let mut problems = Problems::new("MESH_VALIDATE_NETWORK");
    let mut options = Options {
        listen: SocketAddr::from(([0, 0, 0, 0], 4140)),
        connect: SocketAddr::from(([1, 1, 1, 1], 20001)),
        limit: Duration::from_secs(10),
    };
    for given in flags::scan(args, SPECS, &mut problems) {
        match given.name {
            "listen-addr" => set_address(&mut options.listen, &given, &mut problems),
            "connect-addr" => set_address(&mut options.connect, &given, &mut problems),
            "timeout" => match parse_duration(&given.value) {
                Some(limit) => options.limit = limit,
                None => {
                    let message = format!("--timeout: {:?} is no time such as 10s", given.value);
                    problems.add("BAD_TIMEOUT", message);
                }
            },
            _ => return Ok(None),
        }
    }
    problems.finish(Some(options))
}

fn set_address(slot: &mut SocketAddr, given: &Given, problems: &mut Problems) {
    match given.value.parse() {
        Ok(address) => *slot = address,
        Err(_) => {
            let message = format!(
                "--{}: {:?} is no address such as 0.0.0.0:4140 or [::]:4140",
                given.name, given.value
            );
            problems.add("BAD_ADDRESS", message);
        }
    }
}

/// A time such as `500ms`, `10s`, `1m`: more than zero.
fn parse_duration(text: &str) -> Option<Duration> {
    let unit_at = text.find(|c: char| !c.is_ascii_digit())?;
    let (digits, unit) = text.split_at(unit_at);
    let count: u64 = digits.parse().ok().filter(|count| *count > 0)?;
    let millis = match unit {
        "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        _ => return None,
    };
    Some(Duration::from_millis(count.checked_mul(millis)?))
}

async fn validate(options: &Options) -> Result<(), Failure> {
    let address = options.connect;
    let mut token = [0; TOKEN_LEN];
    aws_lc_rs::rand::fill(&mut token).map_err(|_| Failure::Random)?;
    let listener = TcpListener::bind(options.listen)
        .await
        .map_err(|cause| Failure::Listen {
            address: options.listen,
            cause,
        })?;

    let answer = async {
        tokio::select! {
            () = hand_out(&listener, &token) => unreachable!("it serves until it is dropped"),
            answer = ask(address) => answer,
        }
    };
    match timeout(options.limit, answer).await {
        Ok(Ok(answer)) if answer == token => Ok(()),
        Ok(Ok(_)) => Err(Failure::Foreign { address }),
        Ok(Err(cause)) if cause.kind() == io::ErrorKind::UnexpectedEof => {
            Err(Failure::Foreign { address })
        }
        Ok(Err(cause)) => Err(Failure::Connect { address, cause }),
        Err(_) => Err(Failure::Timeout {
            address,
            limit: options.limit,
        }),
    }
}

/// Gives the token to everyone who connects. Anyone may: it only proves who answered.
async fn hand_out(listener: &TcpListener, token: &[u8; TOKEN_LEN]) {
    loop {
        match listener.accept().await {
            Ok((mut peer, _)) => {
                // 64 bytes always fit the empty send buffer; a peer that left is not ours.
                let _ = peer.write_all(token).await;
            }
            // Out of descriptors or memory: let the deadline decide.
            Err(_) => tokio::time::sleep(Duration::from_millis(10)).await,
        }
    }
}

async fn ask(address: SocketAddr) -> io::Result<[u8; TOKEN_LEN]> {
    let mut answer = [0; TOKEN_LEN];
    TcpStream::connect(address)
        .await?
        .read_exact(&mut answer)
        .await?;
    Ok(answer)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse_line(line: &str) -> Result<Option<Options>, Vec<String>> {
        let args: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
        parse(&args).map_err(|problems| problems.into_iter().map(|p| p.code).collect())
    }

    #[test]
    fn reads_times() {
        let millis = |text| parse_duration(text).map(|t| t.as_millis());
        assert_eq!(millis("500ms"), Some(500));
        assert_eq!(millis("10s"), Some(10_000));
        assert_eq!(millis("2m"), Some(120_000));
        for wrong in [
            "",
            "10",
            "s",
            "0s",
            "-1s",
            "1.5s",
            "10sec",
            "18446744073709551615m",
        ] {
            assert_eq!(millis(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn tells_all_mistakes_at_once() {
        let codes = parse_line("--listen-addr x --connect-addr 1.1.1.1 --timeout 1 --what");
        let expected = ["UNKNOWN_FLAG", "BAD_ADDRESS", "BAD_ADDRESS", "BAD_TIMEOUT"];
        assert_eq!(
            codes,
            Err(expected
                .map(|c| format!("MESH_VALIDATE_NETWORK_{c}"))
                .to_vec())
        );
    }

    #[tokio::test]
    async fn its_own_token_proves_the_redirect() {
        let listen = free_address();
        let options = Options {
            listen,
            connect: listen,
            limit: Duration::from_secs(5),
        };
        assert!(validate(&options).await.is_ok());
    }

    #[tokio::test]
    async fn another_server_is_told_from_the_redirect() {
        let other = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let connect = other.local_addr().unwrap();
        let serve = async move {
            let (mut peer, _) = other.accept().await.unwrap();
            peer.write_all(&[7; TOKEN_LEN]).await.unwrap();
        };
        let limit = Duration::from_secs(5);
        let options = Options {
            listen: free_address(),
            connect,
            limit,
        };
        let (outcome, ()) = tokio::join!(validate(&options), serve);
        assert!(
            matches!(outcome, Err(Failure::Foreign { .. })),
            "{outcome:?}"
        );
    }

    #[tokio::test]
    async fn a_silent_server_ends_in_the_time_limit() {
        let other = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let connect = other.local_addr().unwrap();
        let limit = Duration::from_millis(50);
        let options = Options {
            listen: free_address(),
            connect,
            limit,
        };
        let outcome = validate(&options).await;
        assert!(
            matches!(outcome, Err(Failure::Timeout { .. })),
            "{outcome:?}"
        );
    }

    /// An address nobody listens on just now.
    fn free_address() -> SocketAddr {
        std::net::TcpListener::bind("127.0.0.1:0")
            .unwrap()
            .local_addr()
            .unwrap()
    }
}
