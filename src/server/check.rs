//! The client of the health check, for probes in images that have no curl.
//!
//! The address is a loopback one by default, which a probe in another network namespace does not reach; the Unix
//! socket is in the file system, so that one in a directory that both see answers it.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use super::request::HEALTH;

/// docker and Kubernetes give a probe a second or more.
const TIMEOUT: Duration = Duration::from_millis(900);

/// True if the server has valid credentials for every profile. With `local`, the request goes to its Unix
/// socket instead of the address.
pub fn check(address: SocketAddr, local: Option<&Path>) -> io::Result<bool> {
    match local {
        Some(path) => {
            let stream = UnixStream::connect(path)?;
            stream.set_read_timeout(Some(TIMEOUT))?;
            ask(stream, address)
        }
        None => {
            let stream = TcpStream::connect_timeout(&address, TIMEOUT)?;
            stream.set_read_timeout(Some(TIMEOUT))?;
            ask(stream, address)
        }
    }
}

fn ask(mut stream: impl Read + Write, address: SocketAddr) -> io::Result<bool> {
    let request = format!("GET {HEALTH} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes())?;
    // No more than that: a server of another protocol may close the connection after it.
    let mut start = [0; 13];
    match stream.read_exact(&mut start) {
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
            return Err(io::ErrorKind::InvalidData.into());
        }
        read => read?,
    }
    match &start {
        b"HTTP/1.1 200 " => Ok(true),
        b"HTTP/1.1 503 " => Ok(false),
        _ => Err(io::ErrorKind::InvalidData.into()),
    }
}
