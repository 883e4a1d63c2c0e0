//! Name look-ups of a static binary.

use std::ffi::{CStr, CString, c_char, c_int};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};
use std::ptr;
use std::sync::Once;

unsafe extern "C" {
    /// glibc's own, exported but in no header: overrides one line of nsswitch.conf.
    fn __nss_configure_lookup(database: *const c_char, services: *const c_char) -> c_int;
}

const HOSTS: &CStr = c"hosts";
const SERVICES: &CStr = c"files dns";

/// Makes host look-ups use /etc/hosts and DNS only, whatever nsswitch.conf says. A static glibc would load the
/// NSS modules (`resolve`, `myhostname`) of the host's other glibc, and crash in them (SIGFPE).
fn configure_name_service() {
    // glibc's table has no lock, and several threads look names up.
    static ONCE: Once = Once::new();
    // SAFETY: two valid constant strings; glibc parses the second into its own copy.
    ONCE.call_once(|| unsafe {
        __nss_configure_lookup(HOSTS.as_ptr(), SERVICES.as_ptr());
    });
}

/// The addresses to look up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    Any,
    /// IPv4: `A` in DNS.
    V4,
    /// IPv6: `AAAA` in DNS.
    V6,
}

/// The addresses of a host name, in the order of getaddrinfo(3), with port 0; none if it fails. Its time
/// limit is that of resolv.conf(5), by default twice 5 s for each name server.
pub fn addresses(name: &str, family: Family) -> Vec<SocketAddr> {
    let Ok(name) = CString::new(name) else { return Vec::new() };
    configure_name_service();
    // SAFETY: all zero is a valid addrinfo: numbers and null pointers.
    let mut hints: libc::addrinfo = unsafe { std::mem::zeroed() };
    hints.ai_family = match family {
        Family::Any => libc::AF_UNSPEC,
        Family::V4 => libc::AF_INET,
        Family::V6 => libc::AF_INET6,
    };
    // Else each address comes once for each type.
    hints.ai_socktype = libc::SOCK_STREAM;
    let mut list = ptr::null_mut();
    // SAFETY: a C string, valid hints, and an out-pointer that is set where 0 is returned.
    if unsafe { libc::getaddrinfo(name.as_ptr(), ptr::null(), &raw const hints, &raw mut list) }
        != 0
    {
        return Vec::new();
    }
    let mut found = Vec::new();
    let mut next = list.cast_const();
    // SAFETY: null, or an entry of the list, which is freed after the loop.
    while let Some(entry) = unsafe { next.as_ref() } {
        found.extend(socket_address(entry));
        next = entry.ai_next;
    }
    // SAFETY: getaddrinfo made it, and nothing of it is referred to any more.
    unsafe { libc::freeaddrinfo(list) };
    found
}

fn socket_address(entry: &libc::addrinfo) -> Option<SocketAddr> {
    match entry.ai_family {
        libc::AF_INET => {
            // SAFETY: for this family ai_addr points to a sockaddr_in; it is copied.
            let it = unsafe { entry.ai_addr.cast::<libc::sockaddr_in>().read_unaligned() };
            let address = Ipv4Addr::from_bits(u32::from_be(it.sin_addr.s_addr));
            Some(SocketAddrV4::new(address, 0).into())
        }
        libc::AF_INET6 => {
            // SAFETY: for this family ai_addr points to a sockaddr_in6; it is copied.
            let it = unsafe { entry.ai_addr.cast::<libc::sockaddr_in6>().read_unaligned() };
            let address = Ipv6Addr::from(it.sin6_addr.s6_addr);
            Some(SocketAddrV6::new(address, 0, 0, it.sin6_scope_id).into())
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_addresses_are_found_by_family() {
        assert!(addresses("localhost", Family::V4).contains(&"127.0.0.1:0".parse().unwrap()));
        let of = |name, family| addresses(name, family);
        assert_eq!(of("192.0.2.1", Family::Any), ["192.0.2.1:0".parse().unwrap()]);
        assert_eq!(of("fd00::1", Family::V6), ["[fd00::1]:0".parse().unwrap()]);
        assert_eq!(of("192.0.2.1", Family::V6), []);
        assert_eq!(of("fd00::1", Family::V4), []);
        assert_eq!(of("a\0b", Family::Any), []);
    }
}
