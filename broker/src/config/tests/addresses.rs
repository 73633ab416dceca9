use super::*;

#[test]
fn an_endpoint_is_read_and_written() {
    for text in ["127.0.0.1:9092", "[::1]:0", ":9092", "a-b_c.example:65535"] {
        assert_eq!(text.parse::<Endpoint>().unwrap().to_string(), text);
    }
    for text in [
        "",
        "9092",
        "host",
        "host:",
        "host:65536",
        "host:-1",
        "::1:9092",
        "a b:1",
    ] {
        assert_eq!(text.parse::<Endpoint>(), Err(EndpointError), "{text}");
    }
}

#[test]
fn a_listener_other_than_one_in_plaintext_is_refused() {
    assert!(refusal("listeners", "SSL://:9093").contains("there is no TLS"));
    assert!(refusal("listeners", "a:1,b:2").contains("several"));
    assert!(refusal("listeners", "OUTSIDE://a:1").contains("PLAINTEXT"));
    let named = [
        ("listeners", "outside://a:1"),
        ("listener.security.protocol.map", "OUTSIDE:PLAINTEXT"),
    ];
    assert_eq!(broker(&named).listener.host, "a");
}

#[test]
fn an_address_that_no_client_can_reach_is_not_advertised() {
    for address in ["0.0.0.0:9092", "[::]:9092", ":9092", "host:0"] {
        assert!(refusal("advertised.listeners", address).contains("clients can connect to"));
    }
}

#[test]
fn an_address_to_bind_has_a_host() {
    for (text, bound) in [(":1", "0.0.0.0:1"), ("[::1]:1", "[::1]:1"), ("a:1", "a:1")] {
        assert_eq!(text.parse::<Endpoint>().unwrap().to_bind(), bound);
    }
}
