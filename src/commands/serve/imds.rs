//! `serve --imds`: where a stand-in for an instance's metadata service may listen.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4, TcpStream};
use std::path::Path;
use std::time::Duration;

use crate::env::Env;
use crate::error::{Error, Result};
use crate::origin::Origin;

/// The address of the metadata service, for every client.
const REAL: Ipv4Addr = Ipv4Addr::new(169, 254, 169, 254);
const REAL_PORT: u16 = 80;

/// The timeout. A real service answers at once, since it is on the machine's own link.
const ANSWER: Duration = Duration::from_secs(1);

/// The firmware's description of the machine.
const FIRMWARE: &str = "/sys/class/dmi/id";

/// Machines with a metadata service at that address, by a file of the firmware and its content.
const CLOUDS: [(&str, &str, &str); 3] = [
    ("sys_vendor", "Amazon EC2", "EC2"),
    ("product_name", "Google Compute Engine", "Compute Engine"),
    ("chassis_asset_tag", "7783-7084-3265-9085-8269-3286-77", "Azure"),
];

/// The address of `--imds`: a loopback address, or that of the real service, which a container can have in a
/// network namespace of its own. Any other is refused, since each client there gets the credentials.
///
/// # Errors
/// Usage (2) if it is no IPv4 address with a port; refused (6) if other machines can reach it.
pub fn address(text: &str) -> Result<SocketAddr> {
    let address: SocketAddrV4 = text.parse().map_err(|_| {
        Error::usage("--imds: not an IPv4 address with a port")
            .hint("it looks like 127.0.0.1:9912 or 169.254.169.254:80")
    })?;
    let ip = *address.ip();
    if !ip.is_loopback() && ip != REAL {
        return Err(Error::refused(format!(
            "--imds: anyone who reaches {ip} would get the credentials, since clients of a \
             metadata service send no token of vault's"
        ))
        .hint("listen on a loopback address, or on 169.254.169.254 in a container's own network"));
    }
    Ok(address.into())
}

/// Refuses to run on a machine with a real metadata service, whose clients would get other credentials than
/// that machine's. `AWS_EC2_METADATA_SERVICE_ENDPOINT` names the real one's address, as it does for clients.
///
/// # Errors
/// Refused (6) if there is one.
pub fn refuse_beside_a_real_one(address: SocketAddr, env: &Env) -> Result<()> {
    let real = real(address, Path::new(FIRMWARE), env.get("AWS_EC2_METADATA_SERVICE_ENDPOINT"));
    let Some(found) = real else { return Ok(()) };
    Err(Error::refused(format!("--imds: this machine has a metadata service: {found}")).hint(
        "give the instance a role, or hand credentials out by exec --server or serve --token-file",
    ))
}

/// The evidence for a real service. The endpoint may be our own address or a name, which is not looked up:
/// neither is the address of a real one.
fn real(address: SocketAddr, firmware: &Path, endpoint: Option<&str>) -> Option<String> {
    let is = |(file, value, _): &&(&str, &str, &str)| {
        std::fs::read_to_string(firmware.join(file)).is_ok_and(|text| text.trim() == *value)
    };
    let named = endpoint.and_then(socket_of).filter(|there| *there != address);
    // If the address belongs to this network namespace, a real service cannot be reached; and it may not
    // answer a container, by its hop limit.
    if (address.ip() == REAL || named.is_none())
        && let Some((_, _, cloud)) = CLOUDS.iter().find(is)
    {
        return Some(format!("it is one of {cloud}"));
    }
    let there = named.unwrap_or_else(|| SocketAddr::from((REAL, REAL_PORT)));
    let answers = there != address && answers(there).unwrap_or(false);
    answers.then(|| format!("{there} answers"))
}

/// The address in an endpoint's URL, with port 80 by default and without the path. `None` for a name other
/// than `localhost`.
fn socket_of(endpoint: &str) -> Option<SocketAddr> {
    let rest = endpoint.split_once("://").map_or(endpoint, |(_, rest)| rest);
    let origin = Origin::parse(&format!("http://{rest}"))?;
    Some(SocketAddr::new(origin.address()?, origin.port))
}

/// True if a metadata service answers: it gives a token, or has the headers of EC2's, Google's or Azure's. A
/// proxy that accepts connections to any address does not count.
fn answers(there: SocketAddr) -> io::Result<bool> {
    let mut stream = TcpStream::connect_timeout(&there, ANSWER)?;
    stream.set_read_timeout(Some(ANSWER))?;
    let request = format!(
        "PUT /latest/api/token HTTP/1.1\r\nHost: {}\r\nX-aws-ec2-metadata-token-ttl-seconds: 1\r\n\
         Content-Length: 0\r\nConnection: close\r\n\r\n",
        there.ip()
    );
    stream.write_all(request.as_bytes())?;
    let mut head = [0; 1024];
    let length = stream.read(&mut head)?;
    let head = String::from_utf8_lossy(&head[..length]).to_ascii_lowercase();
    let names = ["\r\nserver: ec2ws", "\r\nserver: imds", "\r\nmetadata-flavor: google"];
    Ok(head.starts_with("http/1.1 200 ") || names.iter().any(|name| head.contains(name)))
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;
    use crate::error::Class;
    use crate::file::testing::Directory;

    #[test]
    fn only_loopback_and_the_real_address_will_do() {
        for text in ["127.0.0.1:9912", "127.1.2.3:80", "169.254.169.254:80"] {
            assert_eq!(address(text).unwrap().to_string(), text);
        }
        let class = |text: &str| address(text).unwrap_err().class;
        for text in ["", "127.0.0.1", "localhost:80", "[::1]:80", "[fd00:ec2::254]:80"] {
            assert_eq!(class(text), Class::Usage, "{text}");
        }
        for text in ["0.0.0.0:80", "10.0.0.1:80", "169.254.170.2:80", "169.254.169.253:80"] {
            assert_eq!(class(text), Class::Refused, "{text}");
        }
    }

    /// A service that gives one answer to whatever it is asked.
    fn answering(answer: &'static str) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let there = listener.local_addr().unwrap();
        std::thread::spawn(move || {
            for mut stream in listener.incoming().flatten() {
                let _ = stream.read(&mut [0; 512]);
                let _ = stream.write_all(answer.as_bytes());
            }
        });
        there
    }

    #[test]
    fn a_metadata_service_gives_a_token_or_names_itself_and_a_proxy_does_neither() {
        for (answer, is) in [
            ("HTTP/1.1 200 OK\r\nServer: EC2ws\r\n\r\nx", true),
            ("HTTP/1.1 403 Forbidden\r\nServer: EC2ws\r\n\r\n", true),
            ("HTTP/1.1 404 Not Found\r\nMetadata-Flavor: Google\r\n\r\n", true),
            ("HTTP/1.1 400 Bad Request\r\nServer: IMDS/150.870.65.1854\r\n\r\n", true),
            ("HTTP/1.1 502 Bad Gateway\r\nServer: squid\r\n\r\n", false),
            ("HTTP/1.1 403 Forbidden\r\n\r\n", false),
            ("SSH-2.0-OpenSSH_10.0\r\n", false),
            ("", false),
        ] {
            assert_eq!(answers(answering(answer)).unwrap_or(false), is, "{answer}");
        }
    }

    #[test]
    fn a_real_one_is_known_by_its_answer_and_a_cloud_s_machine_by_its_firmware() {
        let firmware = Directory::new();
        let firmware = &*firmware.path;
        let there = answering("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
        let endpoint = format!("http://{there}/");
        let [own, local]: [SocketAddr; 2] =
            ["169.254.169.254:80", "127.0.0.1:9912"].map(|text| text.parse().unwrap());
        let real = |address| real(address, firmware, Some(&endpoint));
        assert_eq!(real(local), Some(format!("{there} answers")));
        let real = |address| super::real(address, firmware, Some("http://127.0.0.1:1"));
        std::fs::write(firmware.join("sys_vendor"), "QEMU\n").unwrap();
        assert_eq!((real(local), real(own)), (None, None));
        std::fs::write(firmware.join("sys_vendor"), "Amazon EC2\n").unwrap();
        assert_eq!(real(own), Some("it is one of EC2".to_owned()));
        assert_eq!(real(local), None, "where it is said to be, its answer counts");
        // Our own address, and what cannot be asked, say nothing of where a real one is.
        for endpoint in [
            None,
            Some("http://127.0.0.1:9912"),
            Some("http://127.0.0.1:9912/latest"),
            Some("http://localhost:9912/"),
            Some("http://metadata.internal/"),
            Some(""),
        ] {
            let found = super::real(local, firmware, endpoint);
            assert_eq!(found, Some("it is one of EC2".to_owned()), "{endpoint:?}");
        }
    }

    #[test]
    fn an_endpoint_is_read_as_a_url_with_an_address() {
        for (endpoint, expected) in [
            ("http://127.0.0.1:9912", Some("127.0.0.1:9912")),
            ("HTTP://127.0.0.1:9912/latest/", Some("127.0.0.1:9912")),
            ("127.0.0.1:9912", Some("127.0.0.1:9912")),
            ("http://169.254.169.254", Some("169.254.169.254:80")),
            ("http://[fd00:ec2::254]/", Some("[fd00:ec2::254]:80")),
            ("http://LocalHost:9912/x", Some("127.0.0.1:9912")),
            ("http://localhost", Some("127.0.0.1:80")),
            ("http://localhost.example:80", None),
            ("http://metadata.internal", None),
            ("", None),
        ] {
            let found = socket_of(endpoint).map(|there| there.to_string());
            assert_eq!(found.as_deref(), expected, "{endpoint}");
        }
    }
}
