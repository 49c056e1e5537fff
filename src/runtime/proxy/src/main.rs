//! Entry of the `linkerd-proxy` binary: the proxy itself, and its helpers as subcommands.

use std::process::ExitCode;

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    match args.split_first() {
        Some((command, rest)) if command == "redirect" => mesh_proxy::redirect::run(rest),
        Some((command, rest)) if command == "validate-network" => {
            mesh_proxy::validate_network::run(rest)
        }
        Some((flag, _)) if flag == "--version" => {
            #[expect(clippy::print_stdout, reason = "the answer to the user goes to stdout")]
            {
                println!("linkerd-proxy {}", mesh_proxy::VERSION);
            }
            ExitCode::SUCCESS
        }
        Some((other, _)) => {
            eprintln!(
                "MESH_PROXY_USAGE: no subcommand {other:?}; use redirect, validate-network, --version or nothing"
            );
            ExitCode::from(64)
        }
        None => mesh_proxy::app::run(),
    }
}
