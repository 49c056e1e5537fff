//! Runs a test in network, mount and process namespaces of its own.
//!
//! A test calls [`isolated`] with its body. The first time, it starts this test program again under
//! unshare(1), for that one test; the second time, already inside, it runs the body. Whatever the
//! body makes — interfaces, rules, processes, files under `/run` — goes with the namespaces,
//! however the test ends: the inner test is process 1 of its namespace, and dies with its parent.

use std::{
    fs,
    future::Future,
    os::unix::fs::MetadataExt as _,
    process::{Command, exit},
    thread,
    time::Duration,
};

use super::network::PROXY_BINARY;

/// Says to the inner run that it is inside.
const INSIDE: &str = "MESH_TEST_INSIDE";
/// The first line that the inner run prints: from here on, failures are the test's own.
const ENTERED: &str = "mesh-test: entered its namespaces";
/// No test takes nearly as long.
const LIMIT: Duration = Duration::from_secs(60);

/// Runs `body` inside of new namespaces, on a runtime of its own; panics when it fails there, or
/// when namespaces cannot be made.
pub fn isolated<F: AsyncFnOnce()>(body: F) {
    #[expect(
        clippy::disallowed_methods,
        reason = "a message from the outer run of this program"
    )]
    if std::env::var(INSIDE).is_ok() {
        run_inside(body());
    } else {
        run_outside(test_name(std::any::type_name::<F>()));
    }
}

/// `crate::module::test::{{closure}}` is the type of the body of `module::test`.
fn test_name(type_name: &str) -> &str {
    let path = type_name
        .split_once("::")
        .map_or(type_name, |(_, path)| path);
    path.split("::{{closure}}").next().unwrap_or(path)
}

fn run_inside(body: impl Future<Output = ()>) {
    #[expect(clippy::print_stdout, reason = "the outer run reads it")]
    {
        println!("{ENTERED}");
    }
    thread::spawn(|| {
        thread::sleep(LIMIT);
        eprintln!("the test takes more than {LIMIT:?}");
        exit(1);
    });
    // Names of network namespaces, locks of iptables: private, like the rest.
    let mounted = Command::new("mount")
        .args(["-t", "tmpfs", "tmpfs", "/run"])
        .status();
    assert!(
        mounted.is_ok_and(|status| status.success()),
        "cannot mount a private /run"
    );
    fs::write(PROXY_BINARY, "").expect("a private /run");
    let built = env!("CARGO_BIN_EXE_linkerd-proxy");
    let mounted = Command::new("mount")
        .args(["--bind", built, PROXY_BINARY])
        .status();
    assert!(
        mounted.is_ok_and(|status| status.success()),
        "cannot mount {built}"
    );
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("a runtime")
        .block_on(body);
}

fn run_outside(test: &str) {
    let program = std::env::current_exe().expect("the path of this program");
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "KILL", "unshare"]);
    if !is_root() {
        // All of the user's subordinate ids, so that the proxy can have its own.
        command.args(["--user", "--map-root-user", "--map-auto"]);
    }
    command
        .args([
            "--net",
            "--mount",
            "--pid",
            "--fork",
            "--kill-child",
            "--mount-proc",
        ])
        .arg(program)
        .args(["--exact", test, "--nocapture", "--test-threads=1"])
        .env(INSIDE, "1")
        .env("RUST_BACKTRACE", "0");
    let output = command
        .output()
        .expect("setpriv and unshare (package util-linux)");
    let (stdout, stderr) = (
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
    );
    assert!(
        stdout.contains(ENTERED),
        "this test needs namespaces of its own, and they cannot be made: {stderr}\n\
         run the tests as root, or allow user namespaces and install the package uidmap"
    );
    assert!(
        stdout.contains("1 passed"),
        "inside its namespaces:\n{stdout}\n{stderr}"
    );
    assert!(
        output.status.success(),
        "inside its namespaces:\n{stdout}\n{stderr}"
    );
}

fn is_root() -> bool {
    fs::metadata("/proc/self").is_ok_and(|own| own.uid() == 0)
}
