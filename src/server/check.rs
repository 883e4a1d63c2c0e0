//! The other side of readiness, for probes of images that have no curl.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use super::HEALTH;

/// Probes ask again; docker and Kubernetes give them a second or more.
const PATIENCE: Duration = Duration::from_millis(900);

/// True if the server there has credentials for every name; false if it says that it has not. With
/// `local`, its Unix socket is asked instead of the address.
pub fn check(address: SocketAddr, local: Option<&Path>) -> io::Result<bool> {
    match local {
        Some(path) => {
            let stream = UnixStream::connect(path)?;
            stream.set_read_timeout(Some(PATIENCE))?;
            ask(stream, address)
        }
        None => {
            let stream = TcpStream::connect_timeout(&address, PATIENCE)?;
            stream.set_read_timeout(Some(PATIENCE))?;
            ask(stream, address)
        }
    }
}

fn ask(mut stream: impl Read + Write, address: SocketAddr) -> io::Result<bool> {
    let request = format!("GET {HEALTH} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes())?;
    // No more than tells: who speaks something else may break the connection off behind it.
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
