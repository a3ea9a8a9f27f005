"""IP addresses that are no public host: IANA's registries of special-purpose addresses (RFC 6890 and its successors).

A crawl refuses every range, also the few that are globally reachable. They serve protocols such as anycast relays, and
no website is there. Ranges inside another range are left out, except where they are known by their own name.
"""

from ipaddress import IPv4Network, IPv6Network, ip_network

# Range, its name, and the RFC that reserves it.
SPECIAL: tuple[tuple[str, str, str], ...] = (
    ("0.0.0.0/8", "this network", "RFC 791"),
    ("10.0.0.0/8", "private use", "RFC 1918"),
    ("100.64.0.0/10", "shared by a provider's customers", "RFC 6598"),
    ("127.0.0.0/8", "loopback", "RFC 1122"),
    ("169.254.0.0/16", "link local", "RFC 3927"),
    ("172.16.0.0/12", "private use", "RFC 1918"),
    ("192.0.0.0/24", "protocol assignments", "RFC 6890"),
    ("192.0.2.0/24", "documentation", "RFC 5737"),
    ("192.31.196.0/24", "AS112", "RFC 7535"),
    ("192.52.193.0/24", "multicast tunnelling", "RFC 7450"),
    ("192.88.99.0/24", "6to4 relays", "RFC 7526"),
    ("192.168.0.0/16", "private use", "RFC 1918"),
    ("192.175.48.0/24", "AS112", "RFC 7534"),
    ("198.18.0.0/15", "benchmarks", "RFC 2544"),
    ("198.51.100.0/24", "documentation", "RFC 5737"),
    ("203.0.113.0/24", "documentation", "RFC 5737"),
    ("224.0.0.0/4", "multicast", "RFC 1112"),
    ("240.0.0.0/4", "reserved, with the limited broadcast", "RFC 1112"),
    ("::/96", "unspecified, loopback, IPv4-compatible", "RFC 4291"),
    ("::ffff:0:0:0/96", "IPv4-translated", "RFC 2765"),
    ("64:ff9b:1::/48", "local translation to IPv4", "RFC 8215"),
    ("100::/64", "discarded", "RFC 6666"),
    ("100:0:0:1::/64", "dummy prefix", "RFC 9780"),
    ("2001::/23", "protocol assignments, with Teredo, benchmarks, ORCHID and DRIP", "RFC 2928"),
    ("2001:db8::/32", "documentation", "RFC 3849"),
    ("2620:4f:8000::/48", "AS112", "RFC 7534"),
    ("3fff::/20", "documentation", "RFC 9637"),
    ("5f00::/16", "segment routing", "RFC 9602"),
    ("fc00::/7", "unique local", "RFC 4193"),
    ("fe80::/10", "link local", "RFC 4291"),
    ("fec0::/10", "site local", "RFC 3879"),
    ("ff00::/8", "multicast", "RFC 4291"),
)

NETWORKS = tuple(ip_network(network) for network, _, _ in SPECIAL)
SPECIAL_V4 = tuple(network for network in NETWORKS if isinstance(network, IPv4Network))
SPECIAL_V6 = tuple(network for network in NETWORKS if isinstance(network, IPv6Network))

# The block from which IANA assigns the addresses of public IPv6 hosts.
GLOBAL_UNICAST = IPv6Network("2000::/3")

# IPv6 ranges that stand for IPv4 addresses: IPv4-mapped, NAT64 (RFC 6052) and 6to4. The second number is the distance
# of the IPv4 address from the right, in bits. The IPv4 address decides.
EMBEDDING = (
    (IPv6Network("::ffff:0:0/96"), 0),
    (IPv6Network("64:ff9b::/96"), 0),
    (IPv6Network("2002::/16"), 80),
)
