use super::*;

fn parse_line(line: &str) -> Result<Options, Vec<String>> {
    let args: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
    match parse(&args) {
        Ok(Parsed::Run(options)) => Ok(options),
        Ok(Parsed::Help) => panic!("{line} asked for help"),
        Err(problems) => Err(problems.into_iter().map(|p| p.code).collect()),
    }
}

fn range(first: u16, last: u16) -> PortRange {
    PortRange { first, last }
}

#[test]
fn the_defaults_are_linkerds_ports_and_user() {
    let options = parse_line("").unwrap();
    assert_eq!((options.incoming_port, options.outgoing_port), (4143, 4140));
    assert_eq!(
        (options.proxy_uid, options.proxy_gid, options.ipv6),
        (2102, None, true)
    );
    assert!(!options.simulate && options.ports_to_redirect.is_empty());
}

#[test]
fn lists_add_up_and_touching_ranges_are_joined() {
    let line = "--inbound-ports-to-ignore 4191,4190,25 --inbound-ports-to-ignore=20-25,65535";
    let options = parse_line(line).unwrap();
    assert_eq!(
        options.inbound_ignore,
        [range(20, 25), range(4190, 4191), range(65535, 65535)]
    );
}

#[test]
fn an_empty_list_is_no_mistake() {
    let options = parse_line("--outbound-ports-to-ignore= --subnets-to-ignore=").unwrap();
    assert!(options.outbound_ignore.is_empty() && options.subnets_to_ignore.is_empty());
}

#[test]
fn subnets_lose_the_bits_beyond_their_prefix() {
    let options = parse_line("--subnets-to-ignore 10.1.2.3/8,fd00::1/9,1.2.3.4,::/0").unwrap();
    let shown: Vec<String> = options
        .subnets_to_ignore
        .iter()
        .map(|s| format!("{}/{}", s.address, s.prefix))
        .collect();
    assert_eq!(shown, ["10.0.0.0/8", "fd00::/9", "1.2.3.4/32", "::/0"]);
}

#[test]
fn gid_zero_exempts_no_group() {
    assert_eq!(parse_line("-g 0").unwrap().proxy_gid, None);
    assert_eq!(parse_line("-g 7").unwrap().proxy_gid, Some(7));
}

#[test]
fn every_mistake_is_told_with_its_code() {
    let line = "-p 0 -o 65536 -u -1 -g x --ports-to-redirect 9-8,1-,+5 --subnets-to-ignore \
                10.0.0.0/33,nonsense,::/129,1.2.3.4/+8 --ipv6=maybe --backend magic";
    let codes = parse_line(line).unwrap_err();
    let expected = [
        "BAD_PORT",
        "BAD_PORT",
        "BAD_ID",
        "BAD_ID",
        "BAD_PORTS",
        "BAD_PORTS",
        "BAD_PORTS",
        "BAD_SUBNET",
        "BAD_SUBNET",
        "BAD_SUBNET",
        "BAD_SUBNET",
        "BAD_BOOL",
        "BAD_BACKEND",
    ];
    assert_eq!(codes, expected.map(|code| format!("MESH_REDIRECT_{code}")));
}

#[test]
fn one_port_cannot_take_both_directions() {
    assert_eq!(
        parse_line("-p 4140").unwrap_err(),
        ["MESH_REDIRECT_SAME_PORT"]
    );
}
