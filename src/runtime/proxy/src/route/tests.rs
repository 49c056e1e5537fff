use http::Request;

use super::*;

fn request(method: &str, uri: &str, headers: &[(&str, &str)]) -> Request<()> {
    let builder = Request::builder().method(method).uri(uri);
    let builder = headers
        .iter()
        .fold(builder, |b, (name, value)| b.header(*name, *value));
    builder.body(()).unwrap()
}

fn rank(m: &impl Match, request: &Request<()>) -> Option<Rank> {
    m.rank(Head::of(request))
}

fn path(path: PathMatch) -> HttpMatch {
    HttpMatch {
        path: Some(path),
        ..HttpMatch::default()
    }
}

type TestRoute = (Vec<Host>, Vec<Vec<HttpMatch>>);

impl RouteView for TestRoute {
    type Match = HttpMatch;

    fn hosts(&self) -> &[Host] {
        &self.0
    }

    fn rules(&self) -> usize {
        self.1.len()
    }

    fn matches(&self, rule: usize) -> &[HttpMatch] {
        &self.1[rule]
    }
}

fn find_among(routes: &[TestRoute], request: &Request<()>) -> Option<(usize, usize)> {
    find(routes, Head::of(request)).map(|found| (found.route, found.rule))
}

#[test]
fn prefixes_match_by_segments() {
    let m = path(PathMatch::Prefix("/a".to_owned()));
    for (uri, expected) in [
        ("/a", true),
        ("/a/", true),
        ("/a/b", true),
        ("/ab", false),
        ("/", false),
    ] {
        assert_eq!(
            rank(&m, &request("GET", uri, &[])).is_some(),
            expected,
            "{uri}"
        );
    }
    let root = path(PathMatch::Prefix(String::new()));
    assert!(rank(&root, &request("GET", "/anything", &[])).is_some());
}

#[test]
fn regular_expressions_match_the_whole_path() {
    let m = path(PathMatch::Regex(Regex::new("^(?:/a|/ab)$").unwrap()));
    assert!(rank(&m, &request("GET", "/ab", &[])).is_some());
    assert!(rank(&m, &request("GET", "/abc", &[])).is_none());
}

#[test]
fn headers_query_and_method_must_all_hold() {
    let m = HttpMatch {
        headers: vec![HeaderMatch::Exact(
            HeaderName::from_static("x-user"),
            HeaderValue::from_static("ann"),
        )],
        query: vec![QueryMatch::Exact("q".to_owned(), "a b".to_owned())],
        method: Some(Method::GET),
        ..HttpMatch::default()
    };
    let user = [("x-user", "ann")];
    assert!(rank(&m, &request("GET", "/?z=1&q=a%20b&q=c", &user)).is_some());
    assert!(rank(&m, &request("GET", "/?q=c&q=a%20b", &user)).is_none());
    assert!(rank(&m, &request("POST", "/?q=a+b", &user)).is_none());
    assert!(rank(&m, &request("GET", "/?q=a+b", &[])).is_none());
}

#[test]
fn the_most_specific_rule_wins_and_of_equals_the_first() {
    let routes = vec![
        (
            vec![],
            vec![vec![], vec![path(PathMatch::Prefix("/a".to_owned()))]],
        ),
        (
            vec![],
            vec![vec![path(PathMatch::Prefix("/a/b".to_owned()))]],
        ),
        (
            vec![],
            vec![vec![path(PathMatch::Exact("/a/b/c".to_owned()))]],
        ),
        (
            vec![],
            vec![vec![path(PathMatch::Prefix("/a/b".to_owned()))]],
        ),
        (vec![Host::Exact("x.example".to_owned())], vec![vec![]]),
        (vec![Host::Suffix(".example".to_owned())], vec![vec![]]),
    ];
    let found =
        |uri: &str, host: &str| find_among(&routes, &request("GET", uri, &[("host", host)]));
    assert_eq!(found("/z", "h"), Some((0, 0)));
    assert_eq!(found("/a", "h"), Some((0, 1)));
    assert_eq!(found("/a/b/x", "h"), Some((1, 0)));
    assert_eq!(found("/a/b/c", "h:80"), Some((2, 0)));
    assert_eq!(found("/a/b/c", "X.example:80"), Some((4, 0)));
    assert_eq!(found("/a/b/c", "y.example"), Some((5, 0)));
}

#[test]
fn without_a_matching_rule_there_is_no_route() {
    let routes = vec![(vec![Host::Exact("a".to_owned())], vec![vec![]])];
    assert_eq!(
        find_among(&routes, &request("GET", "/", &[("host", "b")])),
        None
    );
    assert_eq!(find_among(&routes, &request("GET", "/", &[])), None);
    let never = vec![(
        vec![],
        vec![vec![HttpMatch {
            never: true,
            ..HttpMatch::default()
        }]],
    )];
    assert_eq!(find_among(&never, &request("GET", "/", &[])), None);
}

#[test]
fn grpc_matches_service_and_method() {
    let m = GrpcMatch {
        service: Some("shop.Cart".to_owned()),
        method: Some("Add".to_owned()),
        ..GrpcMatch::default()
    };
    assert!(rank(&m, &request("POST", "/shop.Cart/Add", &[])).is_some());
    assert!(rank(&m, &request("POST", "/shop.Cart/Remove", &[])).is_none());
    assert!(rank(&m, &request("POST", "/shop.Cart", &[])).is_none());
}
