//! IP addresses that a fetch may contact: public ones, and private ones for configured hosts.

use std::{
    collections::BTreeSet,
    error::Error,
    fmt,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    sync::Arc,
};

use reqwest::dns::{Addrs, Name, Resolve, Resolving};

/// Only host name to which pins apply.
pub const LOCALHOST: &str = "localhost";

/// Reachability class of an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum AddressKind {
    /// Public address.
    Public,
    /// Loopback, private, or shared address space (RFC 6598): permitted only for configured hosts.
    Private,
    /// Never permitted: link-local (including cloud metadata services), multicast, reserved, documentation.
    Forbidden,
}

/// Classifies an address by the registries of special-purpose addresses (RFC 6890). An IPv4 address embedded in an IPv6
/// address (mapped, NAT64, 6to4) determines the class.
pub(crate) fn classify_address(ip: IpAddr) -> AddressKind {
    match ip {
        IpAddr::V4(ip) => classify_ipv4(ip),
        IpAddr::V6(ip) => classify_ipv6(ip),
    }
}

fn classify_ipv4(ip: Ipv4Addr) -> AddressKind {
    match ip.octets() {
        [127 | 10, ..] | [172, 16..=31, ..] | [192, 168, ..] => AddressKind::Private,
        // Shared address space (RFC 6598): carriers and private overlays.
        [100, 64..=127, ..] => AddressKind::Private,
        // "This network", link-local, protocol assignments, documentation, benchmarks.
        [0, ..] | [169, 254, ..] | [192, 0, 0 | 2, _] | [198, 18 | 19, ..] | [198, 51, 100, _] | [203, 0, 113, _] => {
            AddressKind::Forbidden
        }
        // Anycast for 6to4 relays; multicast; reserved and broadcast.
        [192, 88, 99, _] | [224..=255, ..] => AddressKind::Forbidden,
        _ => AddressKind::Public,
    }
}

fn classify_ipv6(ip: Ipv6Addr) -> AddressKind {
    if ip.is_loopback() {
        return AddressKind::Private;
    }
    let [a, b, c, d, e, f, high, low] = ip.segments();
    let embedded = |high: u16, low: u16| {
        let ([h1, h2], [l1, l2]) = (high.to_be_bytes(), low.to_be_bytes());
        classify_ipv4(Ipv4Addr::new(h1, h2, l1, l2))
    };
    match [a, b, c, d, e, f] {
        // v4-mapped, and the well-known prefix of NAT64 (RFC 6052): the v4 address inside counts.
        [0, 0, 0, 0, 0, 0xffff] | [0x64, 0xff9b, 0, 0, 0, 0] => embedded(high, low),
        // A 6to4 address (RFC 3056) embeds a v4 address, too.
        [0x2002, ..] => embedded(b, c),
        // Unique local addresses (RFC 4193).
        [0xfc00..=0xfdff, ..] => AddressKind::Private,
        // Teredo and other protocol assignments, documentation (two blocks).
        [0x2001, 0..=0x01ff | 0x0db8, ..] | [0x3fff, 0..=0x0fff, ..] => AddressKind::Forbidden,
        // Global unicast is 2000::/3; everything else is unspecified, link-local, multicast, reserved.
        [0x2000..=0x3fff, ..] => AddressKind::Public,
        _ => AddressKind::Forbidden,
    }
}

/// Error: the host name resolved to at least one address that must not be contacted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ForbiddenAddress;

impl fmt::Display for ForbiddenAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the host has an address that must not be fetched")
    }
}

impl Error for ForbiddenAddress {}

/// DNS resolver that returns the addresses found by the system's resolver, or fails if one of them is not permitted.
///
/// The HTTP connector calls it, so that a name cannot change its address between the check and the connection.
#[derive(Debug, Clone)]
pub(crate) struct GuardedResolver {
    /// Normalised names of the hosts that may have loopback or private addresses.
    pub(crate) private_hosts: Arc<BTreeSet<String>>,
    /// `true` if `localhost` is resolved to 127.0.0.1 without DNS.
    pub(crate) localhost_is_loopback: bool,
}

impl GuardedResolver {
    /// Looks up the addresses of a host name.
    pub(crate) async fn lookup(self, name: String) -> Result<Vec<SocketAddr>, Box<dyn Error + Send + Sync>> {
        let host = normalize_host(&name);
        if self.localhost_is_loopback && host == LOCALHOST {
            return Ok(vec![loopback_address()]);
        }
        let private = self.private_hosts.contains(&host);
        let found: Vec<SocketAddr> = tokio::net::lookup_host((name.as_str(), 0)).await?.collect();
        Ok(require_permitted(found, private)?)
    }
}

impl Resolve for GuardedResolver {
    fn resolve(&self, name: Name) -> Resolving {
        let found = self.clone().lookup(name.as_str().to_owned());
        Box::pin(async move { Ok(Box::new(found.await?.into_iter()) as Addrs) })
    }
}

/// Returns the addresses if all are permitted. One forbidden address refuses the whole name: a mixture is suspicious.
fn require_permitted(found: Vec<SocketAddr>, private: bool) -> Result<Vec<SocketAddr>, ForbiddenAddress> {
    let fine = |address: &SocketAddr| match classify_address(address.ip()) {
        AddressKind::Public => true,
        AddressKind::Private => private,
        AddressKind::Forbidden => false,
    };
    if found.iter().all(fine) { Ok(found) } else { Err(ForbiddenAddress) }
}

/// Normalises a host name for comparison: lower case, without trailing dots.
pub(crate) fn normalize_host(host: &str) -> String {
    host.trim_end_matches('.').to_ascii_lowercase()
}

/// Returns the address to which `localhost` is resolved: 127.0.0.1, with port 0 as a placeholder.
pub(crate) fn loopback_address() -> SocketAddr {
    SocketAddr::from((Ipv4Addr::LOCALHOST, 0))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(kind_of: AddressKind, addresses: &[&str]) {
        for address in addresses {
            assert_eq!(classify_address(address.parse().unwrap()), kind_of, "{address}");
        }
    }

    #[test]
    fn addresses_are_told_apart() {
        all(
            AddressKind::Public,
            &["1.1.1.1", "172.32.0.1", "100.128.0.1", "2606:4700::1111", "::ffff:1.1.1.1", "64:ff9b::101:101"],
        );
        all(
            AddressKind::Private,
            &["127.0.0.1", "127.9.9.9", "10.0.0.1", "172.16.0.1", "172.31.255.255", "192.168.1.1", "100.64.0.1"],
        );
        all(
            AddressKind::Private,
            &["::1", "fc00::1", "fd12::1", "::ffff:127.0.0.1", "::ffff:10.1.2.3", "64:ff9b::7f00:1", "2002:7f00:1::"],
        );
        all(
            AddressKind::Forbidden,
            &["169.254.169.254", "0.0.0.0", "224.0.0.1", "255.255.255.255", "240.0.0.1", "192.0.2.1", "198.18.0.1"],
        );
        all(
            AddressKind::Forbidden,
            &["::", "fe80::1", "fec0::1", "ff02::1", "2001:db8::1", "2001::1", "::ffff:169.254.169.254", "::7f00:1"],
        );
    }

    #[test]
    fn one_bad_address_refuses_the_name() {
        let at = |text: &str| SocketAddr::new(text.parse().unwrap(), 0);
        assert!(require_permitted(vec![at("1.1.1.1"), at("10.0.0.1")], true).is_ok());
        assert!(require_permitted(vec![at("1.1.1.1"), at("10.0.0.1")], false).is_err());
        assert!(require_permitted(vec![at("169.254.169.254")], true).is_err());
        assert_eq!(normalize_host("LocalHost."), "localhost");
    }
}
