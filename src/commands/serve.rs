//! `serve`: credentials over HTTP for a whole container or pod.

mod imds;

use std::io::{self, ErrorKind};
use std::net::{IpAddr, SocketAddr};
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::path::Path;

use super::context::Context;
use super::serving::{self, Serving};
use crate::cli::serve::Serve;
use crate::error::{Error, Result, os_text};
use crate::exec;
use crate::file;
use crate::name::ProfileName;
use crate::server::{self, Server, Source};

/// The default address.
const DEFAULT: &str = "127.0.0.1:9911";
/// The hint about addresses: beside loopback, SDKs accept those of ECS's and EKS's agents.
const AGENTS: &str = "SDKs take credentials over plain HTTP only from a loopback address, 169.254.170.2, \
                      169.254.170.23 and fd00:ec2::23";

pub fn run(args: &Serve, context: &'static Context) -> Result<u8> {
    let address = address(args, context)?;
    if args.check {
        return check(args, address);
    }
    let mode = token_mode(&args.token_mode)?;
    let (token_file, health_socket) = (args.token_file.as_deref(), args.health_socket.as_deref());
    if token_file.is_none() && args.imds.is_none() {
        return Err(
            Error::usage("--token-file is missing").hint("clients read the token from that file")
        );
    }
    check_address(args, address)?;
    token_file.map_or(Ok(()), check_directory)?;
    let names = names(args, context)?;
    // Before AWS is called and codes are used.
    let mut server =
        Server::bind(address).map_err(|error| not_bound(&address, &error, "--listen"))?;
    let imds = bind_imds(args, &mut server, context)?;
    let health_socket = health_socket.map(|path| bind_local(&mut server, path)).transpose()?;
    let serving = Serving::start("serve", &names, &args.options, context)?;
    let cannot_wait =
        |error: io::Error| Error::other(format!("cannot wait for signals: {}", os_text(&error)));
    let ending = exec::Ending::watch().map_err(cannot_wait)?;
    server.set_region(serving.region().map(str::to_owned));
    let token_file = token_file.map(|path| write_token(path, &server, mode)).transpose()?;
    let sources = serving.sources();
    announce(&sources, &server, imds, context);
    server.start(sources, context.clock, &serving::log(context, false))?;
    let ended = ending.wait();
    drop((token_file, health_socket));
    ended.map(|()| 0).map_err(cannot_wait)
}

/// Notes what is served where, and warns about who can reach it.
fn announce(sources: &[Source], server: &Server, imds: Option<SocketAddr>, context: &Context) {
    if !server.address().ip().is_loopback() {
        context.reporter.warn(format!(
            "{} can be reached by others: the token alone guards the credentials, and both cross that \
             network in the clear",
            server.address()
        ));
    }
    if let (Some(imds), Some(source)) = (imds, sources.first()) {
        context.reporter.warn(format!(
            "every process that reaches http://{imds} gets the credentials of profile {} there: a \
             metadata service knows no token of vault's",
            source.name
        ));
    }
    for source in sources {
        let url = server.url(&source.name);
        context.reporter.note(format!("vault: serving {} at {url}", source.name));
    }
}

fn address(args: &Serve, context: &Context) -> Result<SocketAddr> {
    let variable = "AWS_VAULT_LISTEN";
    let (text, by) = match &args.listen {
        Some(text) => (text.into(), "--listen"),
        None => match context.env.own(variable, "an address and a port")? {
            Some(text) => (text.to_string_lossy(), variable),
            None => (DEFAULT.into(), ""),
        },
    };
    text.parse().map_err(|_| {
        Error::usage(format!("{by}: not an IP address with a port"))
            .hint(format!("it looks like {DEFAULT} or [::1]:9911"))
    })
}

/// A mode by which not everybody can read the token.
fn token_mode(text: &str) -> Result<u32> {
    let mode = u32::from_str_radix(text, 8).ok();
    mode.filter(|mode| [0o600, 0o400, 0o640, 0o440].contains(mode)).ok_or_else(|| {
        Error::usage("--token-mode: it takes 0600, 0400, 0640 or 0440")
            .hint("let the clients have the server's user or group")
    })
}

fn check_address(args: &Serve, address: SocketAddr) -> Result<()> {
    if address.ip().is_loopback() {
        return Ok(());
    }
    // ::ffff:0.0.0.0 is 0.0.0.0.
    let ip = address.ip().to_canonical();
    let broadcast = matches!(ip, IpAddr::V4(ip) if ip.is_broadcast());
    if ip.is_unspecified() || ip.is_multicast() || broadcast {
        return Err(Error::refused(format!(
            "{ip} is not a single address of this host \
            (unspecified, multicast or broadcast)"
        ))
        .hint(AGENTS));
    }
    if !args.allow_non_loopback {
        return Err(Error::refused(format!(
            "{ip} is not a loopback address: others may reach it, and the token and the credentials \
             would cross that network in the clear"
        ))
        .hint("share a network namespace and listen on 127.0.0.1, or add --allow-non-loopback"));
    }
    Ok(())
}

fn names(args: &Serve, context: &Context) -> Result<Vec<ProfileName>> {
    let mut names = Vec::new();
    for word in &args.profile {
        let name = context.profile_name(Some(word))?;
        if !names.contains(&name) {
            names.push(name);
        }
    }
    if names.is_empty() {
        names.push(context.profile_name(None)?);
    }
    Ok(names)
}

/// Binds the stand-in for an instance's metadata service, if there is `--imds`; gives its address.
fn bind_imds(args: &Serve, server: &mut Server, context: &Context) -> Result<Option<SocketAddr>> {
    let Some(text) = &args.imds else { return Ok(None) };
    let address = imds::address(text)?;
    imds::refuse_beside_a_real_one(address, &context.env)?;
    let bound = server.bind_imds(address, args.imds_v1);
    bound.map(Some).map_err(|error| not_bound(&address, &error, "--imds"))
}

fn not_bound(address: &SocketAddr, error: &io::Error, flag: &str) -> Error {
    let what = format!("cannot listen on {address}: {}", os_text(error));
    match error.kind() {
        ErrorKind::AddrInUse => Error::busy(what)
            .hint(format!("another program uses this port; choose another with {flag}")),
        ErrorKind::PermissionDenied => Error::refused(what).hint("ports below 1024 require root"),
        _ => Error::other(what),
    }
}

/// Replaces a socket that a killed server left behind. Any other file is an error.
fn bind_local<'a>(server: &mut Server, path: &'a Path) -> Result<OwnFile<'a>> {
    let cannot = |error: io::Error| {
        Error::other(format!("cannot listen on {}: {}", path.display(), os_text(&error)))
    };
    if let Ok(about) = path.symlink_metadata() {
        let left = about.file_type().is_socket()
            && std::os::unix::net::UnixStream::connect(path)
                .is_err_and(|error| error.kind() == ErrorKind::ConnectionRefused);
        if !left {
            return Err(Error::busy(format!("{} is there already", path.display()))
                .hint("another server may use it; name another file with --health-socket"));
        }
        std::fs::remove_file(path).map_err(cannot)?;
    }
    server.bind_local(path).map_err(cannot)?;
    let socket = OwnFile::at(path);
    std::fs::set_permissions(path, PermissionsExt::from_mode(0o600)).map_err(cannot)?;
    Ok(socket)
}

/// Refuses a directory in which everybody could replace the token's file.
fn check_directory(path: &Path) -> Result<()> {
    let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    if file::is_unsafe_directory(directory.unwrap_or(Path::new("."))) {
        return Err(Error::refused(format!(
            "the token file's directory may be written by everybody: {}",
            path.display()
        ))
        .hint(
            "set the sticky bit (chmod +t), as /tmp has; in Kubernetes, use an emptyDir with \
            medium: Memory",
        ));
    }
    Ok(())
}

/// Clients wait for this file, so it is written last, and it appears complete.
fn write_token<'a>(path: &'a Path, server: &Server, mode: u32) -> Result<OwnFile<'a>> {
    let token = server.token().expose().as_bytes();
    file::replace_quickly(path, token, mode).map_err(|error| {
        let path = path.display();
        Error::other(format!("cannot write the token to {path}: {}", os_text(&error)))
    })?;
    Ok(OwnFile::at(path))
}

/// A file that this server made. It is removed when this is dropped, unless a server that was started
/// meanwhile has put its own there.
struct OwnFile<'a> {
    path: &'a Path,
    /// Device and inode.
    identity: Option<(u64, u64)>,
}

impl<'a> OwnFile<'a> {
    fn at(path: &'a Path) -> Self {
        Self { path, identity: identity(path) }
    }
}

impl Drop for OwnFile<'_> {
    fn drop(&mut self) {
        if self.identity.is_some() && identity(self.path) == self.identity {
            let _ = std::fs::remove_file(self.path);
        }
    }
}

fn identity(path: &Path) -> Option<(u64, u64)> {
    path.symlink_metadata().ok().map(|about| (about.dev(), about.ino()))
}

fn check(args: &Serve, address: SocketAddr) -> Result<u8> {
    let local = args.health_socket.as_deref();
    let place = local.map_or_else(|| address.to_string(), |path| path.display().to_string());
    match server::check(address, local) {
        Ok(true) => Ok(0),
        Ok(false) => Err(Error::other(format!(
            "not ready: the server at {place} has credentials that ended and could not be renewed"
        ))),
        Err(error) if error.kind() == ErrorKind::InvalidData => {
            Err(Error::other(format!("not ready: no vault server answers at {place}")))
        }
        Err(error) => {
            Err(Error::other(format!("not ready: no answer from {place}: {}", os_text(&error))))
        }
    }
}
