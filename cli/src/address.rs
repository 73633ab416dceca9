//! Which addresses are open to this machine only.

use std::net::{IpAddr, ToSocketAddrs as _};

use ottla_broker::config::Endpoint;

use crate::failure::Failure;

/// Refuses an address that other machines can reach, unless they may.
pub(crate) fn check(listener: &Endpoint, insecure: bool) -> Result<(), Failure> {
    if insecure || is_loopback(listener)? {
        return Ok(());
    }
    Err(Failure::NotLoopback(listener.clone()))
}

/// A name is as good as the worst address that it stands for.
fn is_loopback(listener: &Endpoint) -> Result<bool, Failure> {
    let host = listener.host.as_str();
    if host.is_empty() {
        return Ok(false);
    }
    if let Ok(ip) = host.parse::<IpAddr>() {
        return Ok(ip.to_canonical().is_loopback());
    }
    let addresses = (host, listener.port)
        .to_socket_addrs()
        .map_err(|source| Failure::Resolve {
            host: host.to_owned(),
            source,
        })?;
    Ok(addresses
        .into_iter()
        .all(|address| address.ip().to_canonical().is_loopback()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn open(address: &str) -> bool {
        check(&address.parse().unwrap(), false).is_ok()
    }

    #[test]
    fn a_loopback_address_needs_no_flag() {
        for address in [
            "127.0.0.1:9092",
            "127.8.9.1:0",
            "[::1]:9092",
            "localhost:9092",
        ] {
            assert!(open(address), "{address}");
        }
    }

    #[test]
    fn any_other_address_is_refused() {
        for address in [
            ":9092",
            "0.0.0.0:9092",
            "[::]:9092",
            "10.0.0.1:1",
            "[::ffff:10.0.0.1]:1",
        ] {
            assert!(!open(address), "{address}");
        }
    }

    #[test]
    fn any_other_address_is_taken_with_the_flag() {
        assert!(check(&"0.0.0.0:9092".parse().unwrap(), true).is_ok());
    }

    #[test]
    fn the_refusal_names_the_flag() {
        let failure = check(&"0.0.0.0:9092".parse().unwrap(), false)
            .unwrap_err()
            .to_string();
        assert!(
            failure.starts_with("refusing to listen on 0.0.0.0:9092"),
            "{failure}"
        );
        assert!(failure.contains("--insecure"), "{failure}");
    }
}
