//! Name look-ups of a static binary.

use std::ffi::{CStr, c_char, c_int};
use std::sync::Once;

unsafe extern "C" {
    /// glibc's own, exported but in no header: overrides one line of nsswitch.conf.
    fn __nss_configure_lookup(database: *const c_char, services: *const c_char) -> c_int;
}

const HOSTS: &CStr = c"hosts";
const SERVICES: &CStr = c"files dns";

/// Makes host look-ups use /etc/hosts and DNS only, whatever nsswitch.conf says. A static glibc would
/// load the host's NSS modules (`resolve`, `myhostname`) of another glibc, and die of SIGFPE in them.
/// Call it before the first look-up.
pub fn configure_name_service() {
    // glibc's table has no lock, and several threads call this, also while others look names up.
    static ONCE: Once = Once::new();
    // SAFETY: two valid constant strings; glibc parses the second into its own copy.
    ONCE.call_once(|| unsafe {
        __nss_configure_lookup(HOSTS.as_ptr(), SERVICES.as_ptr());
    });
}

#[cfg(test)]
mod tests {
    use std::net::ToSocketAddrs;

    #[test]
    fn localhost_is_found_afterwards() {
        super::configure_name_service();
        assert!(("localhost", 80).to_socket_addrs().unwrap().next().is_some());
    }
}
