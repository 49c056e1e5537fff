//! `linkerd-proxy validate-network` in pods with and without rules.

use crate::support::{
    isolated::isolated,
    network::{PROXY_BINARY, Pod, prepare_node, stderr},
};

const VALIDATE: &[&str] = &["validate-network", "--timeout=5s"];

#[test]
fn succeeds_in_a_pod_with_rules() {
    isolated(async || {
        let pod = Pod::new("pod");
        pod.redirect(&[]);
        let output = pod.run(PROXY_BINARY, VALIDATE);
        assert!(output.status.success(), "{}", stderr(&output));
        let v6 = [
            "--listen-addr=[::]:4140",
            "--connect-addr=[2001:db8::1]:20001",
        ];
        let output = pod.run(PROXY_BINARY, &[VALIDATE, &v6].concat());
        assert!(output.status.success(), "{}", stderr(&output));
    });
}

#[test]
fn exits_95_in_a_pod_without_rules() {
    isolated(async || {
        prepare_node();
        let (pod, other) = (Pod::new("pod"), Pod::new("other"));
        // Nobody listens there: refused.
        let connect = format!("--connect-addr={}", other.addr(20001));
        let output = pod.run(PROXY_BINARY, &[VALIDATE, &[&connect]].concat());
        assert_eq!(output.status.code(), Some(95));
        let message = stderr(&output);
        assert!(
            message.starts_with("MESH_VALIDATE_NETWORK_CONNECT: "),
            "{message}"
        );
        assert!(message.contains("linkerd-init"), "{message}");
    });
}

#[test]
fn exits_95_when_nobody_answers_in_time() {
    isolated(async || {
        prepare_node();
        let (pod, other) = (Pod::new("pod"), Pod::new("other"));
        let _silent = other.listen(20001);
        let connect = format!("--connect-addr={}", other.addr(20001));
        let args = ["validate-network", "--timeout=200ms", &connect];
        let output = pod.run(PROXY_BINARY, &args);
        assert_eq!(output.status.code(), Some(95));
        let message = stderr(&output);
        assert!(
            message.starts_with("MESH_VALIDATE_NETWORK_TIMEOUT: "),
            "{message}"
        );
        assert!(message.contains("200 ms"), "{message}");
    });
}

#[test]
fn a_taken_port_and_bad_flags_are_told_apart() {
    isolated(async || {
        let pod = Pod::new("pod");
        let _taken = pod.listen(4140);
        let output = pod.run(PROXY_BINARY, VALIDATE);
        assert_eq!(output.status.code(), Some(95));
        assert!(
            stderr(&output).starts_with("MESH_VALIDATE_NETWORK_LISTEN: "),
            "{output:?}"
        );
        let output = pod.run(PROXY_BINARY, &["validate-network", "--timeout=soon"]);
        assert_eq!(output.status.code(), Some(64));
        assert!(
            stderr(&output).starts_with("MESH_VALIDATE_NETWORK_BAD_TIMEOUT: "),
            "{output:?}"
        );
    });
}
