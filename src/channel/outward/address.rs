//! Which addresses are of the world: those that anybody may be asked to connect to.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Networks of IPv4 that are somebody's own or nobody's (IANA's registry of special addresses, RFC 6890), with the bits of
/// their prefix.
const SPECIAL: [([u8; 4], u32); 15] = [
    ([0, 0, 0, 0], 8),
    ([10, 0, 0, 0], 8),
    ([100, 64, 0, 0], 10),
    ([127, 0, 0, 0], 8),
    ([169, 254, 0, 0], 16),
    ([172, 16, 0, 0], 12),
    ([192, 0, 0, 0], 24),
    ([192, 0, 2, 0], 24),
    ([192, 88, 99, 0], 24),
    ([192, 168, 0, 0], 16),
    ([198, 18, 0, 0], 15),
    ([198, 51, 100, 0], 24),
    ([203, 0, 113, 0], 24),
    // Multicast, and what is reserved up to the broadcast address.
    ([224, 0, 0, 0], 4),
    ([240, 0, 0, 0], 4),
];
/// Networks within IPv6's 2000::/3 that lead to no host of the world, or to one of IPv4 that is hidden in them: IETF's own
/// (Teredo among it), documentation, 6to4, documentation again.
const SPECIAL_6: [(u128, u32); 4] = [
    (0x2001_0000 << 96, 23),
    (0x2001_0db8 << 96, 32),
    (0x2002_0000 << 96, 16),
    (0x3fff_0000 << 96, 20),
];
/// All that IPv6 has given out to the world.
const WORLD_6: (u128, u32) = (0x2000 << 112, 3);
/// Where a translator shows the hosts of IPv4 (RFC 6052 §2.1).
const TRANSLATED: (u128, u32) = (0x0064_ff9b << 96, 96);

/// Whether an address is one of the world's hosts.
pub(in crate::channel) fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => is_public_4(address),
        IpAddr::V6(address) => is_public_6(address),
    }
}

fn is_public_4(address: Ipv4Addr) -> bool {
    let is_in = |(network, prefix): &([u8; 4], u32)| {
        let differing = address.to_bits() ^ u32::from_be_bytes(*network);
        differing.leading_zeros() >= *prefix
    };
    !SPECIAL.iter().any(is_in)
}

fn is_public_6(address: Ipv6Addr) -> bool {
    if let Some(address) = address.to_ipv4_mapped() {
        return is_public_4(address);
    }
    let is_in =
        |(network, prefix): &(u128, u32)| (address.to_bits() ^ network).leading_zeros() >= *prefix;
    if is_in(&TRANSLATED) {
        let [.., a, b, c, d] = address.octets();
        return is_public_4(Ipv4Addr::new(a, b, c, d));
    }
    is_in(&WORLD_6) && !SPECIAL_6.iter().any(is_in)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_the_world_are_told_from_all_others() {
        for (public, addresses) in [
            (
                true,
                "1.1.1.1 8.8.8.8 9.255.255.255 11.0.0.0 100.63.255.255 100.128.0.0 133.1.1.1 172.15.255.255 172.32.0.0 \
                 192.0.1.0 192.167.255.255 192.169.0.0 198.17.255.255 198.20.0.0 223.255.255.255 \
                 ::ffff:8.8.8.8 64:ff9b::8.8.8.8 2001:200::1 2400:4000::1 2606:4700::1111 3ffe::1",
            ),
            (
                false,
                "0.0.0.0 0.1.2.3 10.0.0.1 10.255.255.255 100.64.0.1 100.127.255.255 127.0.0.1 127.255.255.254 169.254.169.254 \
                 172.16.0.1 172.31.255.255 192.0.0.8 192.0.2.1 192.88.99.1 192.168.0.1 198.18.0.1 198.19.255.255 198.51.100.1 \
                 203.0.113.1 224.0.0.1 239.255.255.255 240.0.0.1 255.255.255.255",
            ),
            (
                false,
                ":: ::1 ::127.0.0.1 ::8.8.8.8 ::ffff:127.0.0.1 ::ffff:10.0.0.1 ::ffff:169.254.169.254 ::ffff:0:127.0.0.1 \
                 64:ff9b::10.0.0.1 64:ff9b::127.0.0.1 64:ff9b:1::8.8.8.8 100::1 2001::1 2001:10::1 2001:20::1 2001:db8::1 \
                 2002:7f00:1::1 2002:808:808::1 3fff::1 fc00::1 fd00::1 fdff::1 fe80::1 febf::1 fec0::1 ff02::1 ff0e::1 \
                 4000::1 5f00::1",
            ),
        ] {
            for address in addresses.split_whitespace() {
                assert_eq!(is_public(address.parse().unwrap()), public, "{address}");
            }
        }
    }
}
