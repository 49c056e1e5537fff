//! `linkerd-proxy redirect`: loads the rules that send a pod's TCP connections through the proxy.
//!
//! It runs once, before the pod's containers, in the pod's network namespace and needs
//! `CAP_NET_ADMIN`. The flags are those of Linkerd's proxy-init. The rules are written to the
//! kernel's nf_tables over netlink, so the image needs neither `nft` nor `iptables`.
//!
//! Exit codes: 0 the rules are loaded, 1 the kernel refused them, 64 a flag is wrong.

pub(crate) mod flags;
mod iptables;
mod load;
mod netlink;
mod nftables;
mod options;
mod rules;
mod text;

use std::io::Write as _;
use std::process::ExitCode;

use options::{Options, Parsed};
use rules::Ruleset;

/// `EX_USAGE` of sysexits(3): the command line is wrong.
const EXIT_USAGE: u8 = 64;

/// Parses `args` (what follows `redirect` on the command line), then loads or prints the rules.
///
/// All mistakes of the command line are reported at once on stderr, one line each, beginning with
/// a stable `MESH_REDIRECT_*` code.
pub fn run(args: &[String]) -> ExitCode {
    let options = match options::parse(args) {
        Ok(Parsed::Run(options)) => options,
        Ok(Parsed::Help) => return print(options::USAGE),
        Err(problems) => {
            for problem in problems {
                eprintln!("{problem}");
            }
            return ExitCode::from(EXIT_USAGE);
        }
    };
    let rules = Ruleset::new(&options);
    if options.simulate {
        return print(&text::render(&rules, options.backend));
    }
    report(load::load(&rules, options.backend), &options)
}

/// Says on stderr what was loaded, or why nothing was.
fn report(loaded: Result<load::Loaded, load::LoadError>, options: &Options) -> ExitCode {
    match loaded {
        Ok(loaded) => {
            eprintln!(
                "redirecting inbound TCP to {} and outbound TCP to {} ({loaded})",
                options.incoming_port, options.outgoing_port
            );
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

/// Writes to stdout; a closed pipe is the reader's choice, not an error.
fn print(text: &str) -> ExitCode {
    match std::io::stdout().write_all(text.as_bytes()) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => {
            eprintln!("MESH_REDIRECT_OUTPUT: cannot write to stdout: {error}");
            ExitCode::FAILURE
        }
        _ => ExitCode::SUCCESS,
    }
}
